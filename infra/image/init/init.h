/* The first process of the image, in parts. No C library: nolibc and the headers of the pinned kernel source. */
#pragma once
#include <linux/types.h>

/* console.c: one line into the kernel's log, which alone goes to the console. */
void console_open(void);
/* detail may be NULL; error 0 is not shown */
void say(const char *what, const char *detail, int error);
/* Says why, then resets the machine. There is no shell to fall into and no second try: whoever runs the enclave starts it anew. */
void die(const char *what, const char *detail, int error) __attribute__((noreturn));
/* Carries the node's output into the log, line by line, until its end; more than a console takes is dropped and counted. */
void console_carry(const char *bytes, long size);

/* clock.c: refuses to go on with a clock that the hypervisor does not keep. */
void require_clock(void);

/* entropy.c: the security module fills the kernel's pool, before anything draws from it. */
void feed_entropy(void);

/* heartbeat.c: tells the parent that the enclave lives. */
void heartbeat(unsigned parent_cid);

/* mounts.c: the file systems that the node sees, read-only but for one directory, and nothing above them. */
void mount_kernel(void);
void enter_rootfs(void);

/* confinement.c: the calling process becomes an ordinary user without any capability, for good. */
#define NODE_UID 1000
void confine(void);

/* text.c */
/* Whole small file, ended by 0; its length, or -errno. */
long read_text(const char *path, char *into, unsigned long size);
void write_text(const char *path, const char *text);
/* Non-empty lines of the text, in place; NULL behind the last. */
void split_lines(char *text, char **lines, unsigned long max);
/* The decimal number behind name= in a command line; otherwise when it is absent, dies when it is none. */
unsigned number_in(const char *cmdline, const char *name, unsigned otherwise);
