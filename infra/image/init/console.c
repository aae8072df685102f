#include "init.h"

/* Room for one line of the kernel's log with its prefix. */
#define MAX_LINE 900
/* Lines of the node per second that reach the console: it is slow, and the node waits for whoever reads its output. */
#define LINES_PER_SECOND 50

static int kmsg = -1;

void console_open(void)
{
	/* There is no console to be standard input and output: the numbers go to nothing before anything else takes them. */
	while ((kmsg = open("/dev/null", O_RDWR)) >= 0 && kmsg < 2)
		;
	kmsg = open("/dev/kmsg", O_WRONLY);
}

/* Warnings and worse are shown (loglevel=5 on the command line). */
static void emit(const char *prefix, const char *text)
{
	char line[MAX_LINE + 64];

	strlcpy(line, "<4>", sizeof(line));
	strlcat(line, prefix, sizeof(line));
	strlcat(line, text, sizeof(line) - 1);
	strlcat(line, "\n", sizeof(line));
	write(kmsg, line, strlen(line));
}

void say(const char *what, const char *detail, int error)
{
	char text[MAX_LINE];

	strlcpy(text, what, sizeof(text));
	if (detail) {
		strlcat(text, ": ", sizeof(text));
		strlcat(text, detail, sizeof(text));
	}
	if (error) {
		strlcat(text, ": errno ", sizeof(text));
		strlcat(text, itoa(error), sizeof(text));
	}
	emit("init: ", text);
}

void die(const char *what, const char *detail, int error)
{
	say(what, detail, error);
	say("the enclave ends", NULL, 0);
	reboot(LINUX_REBOOT_CMD_RESTART);
	for (;;)
		sleep(1);
}

static void carry_line(const char *line)
{
	static long second;
	static unsigned shown, dropped;
	struct timespec now = { 0, 0 };

	my_syscall2(__NR_clock_gettime, CLOCK_MONOTONIC, &now);
	if (now.tv_sec != second) {
		second = now.tv_sec;
		shown = 0;
		if (dropped)
			say("lines of the node dropped", itoa(dropped), 0);
		dropped = 0;
	}
	if (shown++ < LINES_PER_SECOND)
		emit("", line);
	else
		dropped++;
}

void console_carry(const char *bytes, long size)
{
	static char line[MAX_LINE];
	static unsigned length;

	for (long i = 0; i < size; i++) {
		char c = bytes[i];

		if (c != '\n' && length < sizeof(line) - 1) {
			line[length++] = c < ' ' || c > '~' ? '?' : c;
			continue;
		}
		if (length > 0) {
			line[length] = 0;
			carry_line(line);
		}
		length = 0;
		/* What did not fit begins the next line. */
		if (c != '\n')
			line[length++] = c < ' ' || c > '~' ? '?' : c;
	}
}
