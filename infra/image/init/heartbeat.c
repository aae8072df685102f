#include "init.h"
#include <asm/socket.h>

/* linux/vm_sockets.h wants a C library. */
struct sockaddr_vm {
	unsigned short svm_family;
	unsigned short svm_reserved1;
	unsigned svm_port;
	unsigned svm_cid;
	unsigned char svm_zero[4];
};

#define ANY_CID 0xffffffffU
#define PORT 9000
#define BEAT 0xb7
#define SOCK_STREAM 1
#define AF_VSOCK 40
#define ATTEMPTS 20
#define ATTEMPT_MS 250
#define ANSWER_SECONDS 5

static int beat_once(unsigned parent_cid)
{
	struct sockaddr_vm parent = { .svm_family = AF_VSOCK, .svm_cid = parent_cid, .svm_port = PORT };
	struct timeval patience = { ANSWER_SECONDS, 0 };
	unsigned char beat = BEAT;
	long socket = my_syscall3(__NR_socket, AF_VSOCK, SOCK_STREAM, 0), result;

	if (socket < 0)
		return socket;
	my_syscall5(__NR_setsockopt, socket, SOL_SOCKET, SO_RCVTIMEO_OLD, &patience, sizeof(patience));
	result = my_syscall3(__NR_connect, socket, &parent, sizeof(parent));
	if (result == 0) {
		result = write(socket, &beat, 1) == 1 ? 0 : -errno;
		beat = 0;
	}
	if (result == 0)
		result = read(socket, &beat, 1) == 1 ? 0 : -ETIMEDOUT;
	if (result == 0 && beat != BEAT)
		result = -EPROTO;
	close(socket);
	return result;
}

/* The byte that nitro-cli waits for, there and back. Nothing is learned from it and nothing on the link is trusted. */
void heartbeat(unsigned parent_cid)
{
	int result = 0;

	/* 0 and 1 are this side of the link, the highest number is everybody. */
	if (parent_cid < 2 || parent_cid == ANY_CID)
		die("enclave.parent_cid names no parent", itoa(parent_cid), 0);
	for (int i = 0; i < ATTEMPTS; i++) {
		result = beat_once(parent_cid);
		if (result == 0) {
			say("heartbeat answered by context", itoa(parent_cid), 0);
			return;
		}
		msleep(ATTEMPT_MS);
	}
	die("no heartbeat from the parent; its context is", itoa(parent_cid), -result);
}
