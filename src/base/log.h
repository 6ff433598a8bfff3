/* SPDX-License-Identifier: ISC */
/*
 * Messages for the administrator, on stderr or to syslog(3).
 *
 * One message is one line that names its object first: "vm web1: disk
 * /x.qcow2: No space left on device".  Safe from any thread; errno survives.
 */
#ifndef VMMD_LOG_H
#define VMMD_LOG_H

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

#define log_printf_like(f, a) __attribute__((__format__(__printf__, f, a)))

/*
 * Opens the log: to syslog under the given program name, or to stderr.
 * `name` must outlive the log.  Called once, by main, before any thread.
 */
void log_open(const char *name, bool use_syslog);

/*
 * From now on messages come under another name, of at most 64 bytes, which is
 * copied; main thread, before any other.
 */
void log_rename(const char *name);

/* Drops messages above `level`; the default is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* "error", "warn", "info", "debug"; NULL beyond the last of them. */
const char *log_level_name(unsigned level);

void log_error(const char *fmt, ...) log_printf_like(1, 2);
void log_warn(const char *fmt, ...) log_printf_like(1, 2);
void log_info(const char *fmt, ...) log_printf_like(1, 2);
void log_debug(const char *fmt, ...) log_printf_like(1, 2);

#endif /* VMMD_LOG_H */
