#include "init.h"

#define ROOT "/rootfs"
#define STILL (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static void attach(const char *source, const char *target, const char *type, unsigned long flags, const char *options)
{
	if (mount(source, target, type, flags, options) < 0)
		die("cannot mount", target, errno);
}

void mount_kernel(void)
{
	attach("dev", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, NULL);
	console_open();
	attach("proc", "/proc", "proc", STILL, NULL);
	attach("sysfs", "/sys", "sysfs", STILL | MS_RDONLY, NULL);
}

/* The kernel's own encoding; nolibc's knows minor numbers below 256 only. */
static dev_t number_of(unsigned major, unsigned minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~0xffU) << 12;
}

static void device(const char *path, unsigned mode, unsigned major, unsigned minor)
{
	if (mknod(path, S_IFCHR | mode, number_of(major, minor)) < 0 || chmod(path, mode) < 0)
		die("cannot make", path, errno);
}

/* The security module's number is given out at boot. */
static void security_module(const char *path)
{
	char number[32];
	long size = read_text("/sys/class/misc/nsm/dev", number, sizeof(number));

	if (size < 4 || memcmp(number, "10:", 3))
		die("the security module has no number", NULL, size < 0 ? -size : 0);
	device(path, 0600, 10, atoi(number + 3));
	if (chown(path, NODE_UID, NODE_UID) < 0)
		die("cannot give away", path, errno);
}

/*
 * The root becomes /rootfs, read-only, with its own devices (no console, no kernel log, no memory) and its own view of
 * processes; what the boot loader unpacked around it is out of reach. Only /run can be written, and nothing there can be run.
 */
void enter_rootfs(void)
{
	attach(ROOT, ROOT, NULL, MS_BIND, NULL);
	attach("devices", ROOT "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k");
	device(ROOT "/dev/null", 0666, 1, 3);
	device(ROOT "/dev/random", 0444, 1, 8);
	device(ROOT "/dev/urandom", 0444, 1, 9);
	security_module(ROOT "/dev/nsm");
	attach(NULL, ROOT "/dev", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NOEXEC, NULL);
	attach("proc", ROOT "/proc", "proc", STILL | MS_RDONLY, "hidepid=invisible");
	attach("state", ROOT "/run", "tmpfs", STILL, "mode=0700,uid=1000,gid=1000");
	attach(NULL, ROOT, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL);
	if (chdir(ROOT) < 0)
		die("cannot enter", ROOT, errno);
	attach(".", "/", NULL, MS_MOVE, NULL);
	if (chroot(".") < 0 || chdir("/") < 0)
		die("cannot make it the root", ROOT, errno);
}
