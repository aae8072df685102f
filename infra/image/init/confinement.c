#include "init.h"
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/securebits.h>

/* Every bit of a user without privileges, and its lock. */
#define SECUREBITS \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | \
	 SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)
#define CAPABILITY_SETS 2

/* Runs in the node's process: a failure ends it, and with it the enclave. */
static void must(long result, const char *what)
{
	if (result < 0)
		die("cannot confine the node", what, -result);
}

void confine(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct sets[CAPABILITY_SETS] = { { 0, 0, 0 }, { 0, 0, 0 } };
	unsigned long remaining = 0;

	for (int capability = 0; capability <= CAP_LAST_CAP; capability++)
		must(my_syscall5(__NR_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0), "bounding set");
	must(my_syscall5(__NR_prctl, PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0), "secure bits");
	must(my_syscall2(__NR_setgroups, 0, NULL), "groups");
	must(my_syscall3(__NR_setresgid, NODE_UID, NODE_UID, NODE_UID), "group");
	must(my_syscall3(__NR_setresuid, NODE_UID, NODE_UID, NODE_UID), "user");
	must(my_syscall2(__NR_capset, &header, sets), "capabilities");
	must(my_syscall5(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges");
	must(my_syscall2(__NR_capget, &header, sets), "capabilities");
	for (int i = 0; i < CAPABILITY_SETS; i++)
		remaining |= sets[i].effective | sets[i].permitted | sets[i].inheritable;
	if (remaining || my_syscall0(__NR_geteuid) != NODE_UID || my_syscall1(__NR_setuid, 0) == 0)
		die("the node keeps privileges", NULL, 0);
}
