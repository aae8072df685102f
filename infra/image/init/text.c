#include "init.h"

long read_text(const char *path, char *into, unsigned long size)
{
	unsigned long length = 0;
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return -errno;
	for (;;) {
		long got = read(fd, into + length, size - 1 - length);

		if (got < 0) {
			int error = errno;

			close(fd);
			return -error;
		}
		if (got == 0)
			break;
		length += got;
		if (length == size - 1)
			die("a file is too long", path, 0);
	}
	close(fd);
	into[length] = 0;
	return length;
}

void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (long)strlen(text))
		die("cannot set", path, errno);
	close(fd);
}

void split_lines(char *text, char **lines, unsigned long max)
{
	unsigned long count = 0;

	while (*text) {
		char *end = strchr(text, '\n');

		if (end)
			*end = 0;
		if (*text) {
			if (count + 1 == max)
				die("too many lines", text, 0);
			lines[count++] = text;
		}
		if (!end)
			break;
		text = end + 1;
	}
	lines[count] = NULL;
}

unsigned number_in(const char *cmdline, const char *name, unsigned otherwise)
{
	unsigned long length = strlen(name), value = 0;
	const char *at = cmdline;

	while (strncmp(at, name, length) || at[length] != '=') {
		at = strchr(at, ' ');
		if (!at)
			return otherwise;
		at++;
	}
	at += length + 1;
	if (*at < '0' || *at > '9')
		die("no number on the command line", name, 0);
	for (; *at >= '0' && *at <= '9'; at++) {
		value = value * 10 + (*at - '0');
		if (value > 0xffffffffUL)
			die("too large a number on the command line", name, 0);
	}
	if (*at && *at != ' ' && *at != '\n')
		die("no number on the command line", name, 0);
	return value;
}
