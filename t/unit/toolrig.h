/* SPDX-License-Identifier: ISC */
/*
 * Commands that tests run, such as the tools of QEMU.
 */
#ifndef VMMD_TOOLRIG_H
#define VMMD_TOOLRIG_H

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs a command in a directory; its exit status. */
static inline __attribute__((__format__(__printf__, 2, 3))) int
tool_run(const char *dir, const char *fmt, ...)
{
	static char command[1 << 20];
	int n, status;
	va_list ap;

	n = snprintf(command, sizeof(command),
	    "cd %s && export LC_ALL=C && exec >log 2>&1 && ", dir);
	va_start(ap, fmt);
	vsnprintf(command + n, sizeof(command) - (size_t)n, fmt, ap);
	va_end(ap);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* In the directory of a rig. */
#define rig_run(r, ...)	tool_run((r)->dir, __VA_ARGS__)

/* The same, which must succeed. */
#define rig_sh(r, ...) do {						\
	int rig_status = rig_run(r, __VA_ARGS__);			\
	char rig_log[160];						\
	if (rig_status != 0) {						\
		snprintf(rig_log, sizeof(rig_log), "head -20 %s/log >&2",\
		    (r)->dir);						\
		(void)!system(rig_log);					\
	}								\
	ck_assert_msg(rig_status == 0, "status %d: %s", rig_status,	\
	    #__VA_ARGS__);						\
} while (0)

#endif /* VMMD_TOOLRIG_H */
