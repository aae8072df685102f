#include "init.h"
#include <linux/nsm.h>
#include <linux/random.h>
#include <linux/uio.h>

/* Each answer is 256 bytes on Nitro; 32 good ones would do. */
#define ANSWERS 4
#define MIN_ANSWER 32
#define MAX_ANSWER 1024

struct pool_input {
	int entropy_count;
	int buf_size;
	unsigned char buf[MAX_ANSWER];
};

static int ask(int nsm, unsigned char *response, unsigned long size)
{
	/* CBOR text "GetRandom". */
	static const char request[] = "\x69GetRandom";
	struct nsm_raw message = {
		.request = { (unsigned long)request, sizeof(request) - 1 },
		.response = { (unsigned long)response, size },
	};

	if (ioctl(nsm, NSM_IOCTL_RAW, &message) < 0)
		return -errno;
	return message.response.len;
}

/* {"GetRandom": {"random": bytes}}: where the bytes begin, and how many. Anything else is no answer. */
static int random_in(const unsigned char *response, int size, const unsigned char **bytes)
{
	static const char head[] = "\xa1\x69GetRandom\xa1\x66random";
	int at = sizeof(head) - 1, length;

	if (size < at + 3 || memcmp(response, head, at))
		return -EBADMSG;
	if (response[at] == 0x58) {
		length = response[at + 1];
		at += 2;
	} else if (response[at] == 0x59) {
		length = response[at + 1] << 8 | response[at + 2];
		at += 3;
	} else {
		return -EBADMSG;
	}
	if (length < MIN_ANSWER || length > MAX_ANSWER || at + length != size)
		return -EBADMSG;
	*bytes = response + at;
	return length;
}

static void erase(void *bytes, unsigned long size)
{
	memset(bytes, 0, size);
	__asm__ volatile("" : : "r"(bytes) : "memory");
}

void feed_entropy(void)
{
	unsigned char response[0x3000], former[MIN_ANSWER] = { 0 };
	struct pool_input input;
	int pool = open("/dev/random", O_WRONLY), nsm = open("/dev/nsm", O_RDWR);

	if (nsm < 0)
		die("there is no security module: this image runs in a Nitro enclave", "/dev/nsm", errno);
	if (pool < 0)
		die("cannot open", "/dev/random", errno);
	for (int i = 0; i < ANSWERS; i++) {
		const unsigned char *bytes = NULL;
		int size = ask(nsm, response, sizeof(response));
		int length = size < 0 ? size : random_in(response, size, &bytes);

		if (length < 0)
			die("the security module gives no entropy", NULL, -length);
		if (!memcmp(bytes, former, MIN_ANSWER))
			die("the security module repeats itself", NULL, 0);
		memcpy(former, bytes, MIN_ANSWER);
		memcpy(input.buf, bytes, length);
		input.buf_size = length;
		input.entropy_count = 8 * length;
		if (ioctl(pool, RNDADDENTROPY, &input) < 0)
			die("the kernel takes no entropy", NULL, errno);
	}
	erase(response, sizeof(response));
	erase(former, sizeof(former));
	erase(&input, sizeof(input));
	close(nsm);
	close(pool);
	say("entropy from the security module", NULL, 0);
}
