/* SPDX-License-Identifier: ISC */
/*
 * Messages for the administrator: see log.h.
 *
 * A message goes out with one write(2), so lines of several threads never
 * mix, and without control characters: part of its text may come from a
 * guest or a stranger, who must not be able to forge a second line.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define LOG_LINE_MAX	2048

/* Written by log_open and log_rename, before any thread; the level at any time. */
static struct {
	const char	*name;
	char		 own_name[65];
	bool		 use_syslog;
	atomic_int	 level;
} log_state = {
	.name = "vmmd",
	.level = LOG_LEVEL_INFO,
};

static const struct {
	const char	*prefix;
	int		 priority;
	const char	*name;
} log_levels[] = {
	[LOG_LEVEL_ERROR] = { "error: ", LOG_ERR, "error" },
	[LOG_LEVEL_WARN] = { "warning: ", LOG_WARNING, "warn" },
	[LOG_LEVEL_INFO] = { "", LOG_INFO, "info" },
	[LOG_LEVEL_DEBUG] = { "debug: ", LOG_DEBUG, "debug" },
};

void
log_open(const char *name, bool use_syslog)
{
	log_state.name = name;
	log_state.use_syslog = use_syslog;
	if (use_syslog)
		openlog(name, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void
log_rename(const char *name)
{
	snprintf(log_state.own_name, sizeof(log_state.own_name), "%s", name);
	log_open(log_state.own_name, log_state.use_syslog);
}

void
log_set_level(enum log_level level)
{
	atomic_store_explicit(&log_state.level, (int)level,
	    memory_order_relaxed);
}

enum log_level
log_get_level(void)
{
	return (enum log_level)atomic_load_explicit(&log_state.level,
	    memory_order_relaxed);
}

const char *
log_level_name(unsigned level)
{
	return level <= LOG_LEVEL_DEBUG ? log_levels[level].name : NULL;
}

/* What snprintf() returned, as the bytes it left in a buffer of `size`. */
static size_t
log_clamp(int n, size_t size)
{
	if (n < 0)
		return 0;
	return (size_t)n < size ? (size_t)n : size - 1;
}

static void
log_clean(char *p)
{
	for (; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
}

static void
log_stderr(enum log_level level, const char *msg)
{
	char line[LOG_LINE_MAX + 128];
	size_t n;

	n = log_clamp(snprintf(line, sizeof(line) - 1, "%s: %s%s",
	    log_state.name, log_levels[level].prefix, msg), sizeof(line) - 1);
	line[n++] = '\n';
	while (write(STDERR_FILENO, line, n) < 0 && errno == EINTR)
		;
}

static void
log_vwrite(enum log_level level, const char *fmt, va_list ap)
{
	char msg[LOG_LINE_MAX];
	int saved = errno;

	if ((int)level > atomic_load_explicit(&log_state.level,
	    memory_order_relaxed))
		return;
	if (vsnprintf(msg, sizeof(msg), fmt, ap) < 0)
		msg[0] = '\0';
	log_clean(msg);
	if (log_state.use_syslog)
		syslog(log_levels[level].priority, "%s", msg);
	else
		log_stderr(level, msg);
	errno = saved;
}

void
log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vwrite(LOG_LEVEL_ERROR, fmt, ap);
	va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vwrite(LOG_LEVEL_WARN, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vwrite(LOG_LEVEL_INFO, fmt, ap);
	va_end(ap);
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vwrite(LOG_LEVEL_DEBUG, fmt, ap);
	va_end(ap);
}
