#include "init.h"

#define SOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"
/* The kernel settles on its clock within a second or so. */
#define ATTEMPTS 50
#define ATTEMPT_MS 100

/*
 * Enclave time is the security module's plus the monotonic clock. kvm-clock is the hypervisor's, tsc the processor's; whatever
 * else the kernel falls back to (jiffies, refined-jiffies, hpet, acpi_pm) loses time when the host does not run this machine.
 */
void require_clock(void)
{
	char name[64];

	for (int i = 0; i < ATTEMPTS; i++) {
		long size = read_text(SOURCE, name, sizeof(name));

		if (size < 0)
			die("cannot read the clock source", SOURCE, -size);
		if (size > 0 && name[size - 1] == '\n')
			name[size - 1] = 0;
		if (!strcmp(name, "kvm-clock") || !strcmp(name, "tsc")) {
			say("clock source", name, 0);
			return;
		}
		msleep(ATTEMPT_MS);
	}
	die("the clock source has to be kvm-clock or tsc, not", name, 0);
}
