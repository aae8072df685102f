#include "init.h"
#include <linux/resource.h>

#define MAX_TEXT 4096
#define MAX_ITEMS 64
#define CLOEXEC 02000000
#define IFF_UP 1
#define SIOCSIFFLAGS 0x8914

/* Layout of ifreq as far as it is used. */
struct interface_flags {
	char name[16];
	short flags;
	char rest[22];
};

static void raise_loopback(void)
{
	struct interface_flags lo = { "lo", IFF_UP, { 0 } };
	long socket = my_syscall3(__NR_socket, 2, 2, 0);

	if (socket < 0 || ioctl(socket, SIOCSIFFLAGS, &lo) < 0)
		die("cannot raise the loopback interface", NULL, errno);
	close(socket);
}

static void set_limits(void)
{
	struct rlimit none = { 0, 0 };
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	/* The kernel writes no core files at all; this says so to whoever asks. There is no swap either: memory stays memory. */
	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_MEMLOCK, &all) < 0)
		die("cannot set limits", NULL, errno);
	write_text("/proc/sys/kernel/printk_devkmsg", "on\n");
	write_text("/proc/sys/kernel/yama/ptrace_scope", "3");
	write_text("/proc/sys/kernel/kptr_restrict", "2");
	write_text("/proc/sys/kernel/perf_event_paranoid", "3");
}

/* The node's process; its output comes out of the returned descriptor. */
static int start_node(char **command, char **environment)
{
	int output[2];
	pid_t child;

	if (pipe2(output, CLOEXEC) < 0)
		die("cannot make a pipe", NULL, errno);
	child = fork();
	if (child < 0)
		die("cannot fork", NULL, errno);
	if (child == 0) {
		int nothing = open("/dev/null", O_RDONLY);

		if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(output[1], 1) < 0 || dup2(output[1], 2) < 0)
			die("cannot connect the node", NULL, errno);
		/* No other descriptor of this process passes over. */
		if (my_syscall3(__NR_close_range, 3, ~0U, 4) < 0)
			die("cannot close descriptors", NULL, 0);
		setsid();
		confine();
		execve(command[0], command, environment);
		exit(127);
	}
	close(output[1]);
	say("the node starts", command[0], 0);
	return output[0];
}

/* Reaps whatever ends, carries what the node says, and ends with the last process. */
static void supervise(int output)
{
	char bytes[4096];
	int is_open = 1;

	for (;;) {
		struct pollfd source = { output, POLLIN, 0 };
		int status = 0, ended;

		if (poll(&source, is_open, 1000) > 0 && is_open) {
			long size = read(output, bytes, sizeof(bytes));

			if (size > 0)
				console_carry(bytes, size);
			is_open = size > 0;
			/* Its last words first. */
			if (is_open)
				continue;
		}
		while ((ended = waitpid(-1, &status, is_open ? WNOHANG : 0)) > 0)
			say("a process ended; its status is", itoa(status), 0);
		if (ended < 0)
			return;
	}
}

int main(void)
{
	static char cmdline[MAX_TEXT], cmd[MAX_TEXT], env[MAX_TEXT];
	char *command[MAX_ITEMS], *environment[MAX_ITEMS];

	mount_kernel();
	say("start", NULL, 0);
	raise_loopback();
	set_limits();
	if (read_text("/proc/cmdline", cmdline, sizeof(cmdline)) < 0)
		die("cannot read the command line", NULL, 0);
	if (read_text("/cmd", cmd, sizeof(cmd)) < 0 || read_text("/env", env, sizeof(env)) < 0)
		die("the image has no command", NULL, 0);
	split_lines(cmd, command, MAX_ITEMS);
	split_lines(env, environment, MAX_ITEMS);
	if (!command[0])
		die("the image's command is empty", NULL, 0);
	require_clock();
	feed_entropy();
	heartbeat(number_in(cmdline, "enclave.parent_cid", 3));
	enter_rootfs();
	supervise(start_node(command, environment));
	die("the node ended", NULL, 0);
}
