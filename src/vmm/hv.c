/* SPDX-License-Identifier: ISC */
/*
 * Choice of a hypervisor backend, and the signal behind kicks.
 *
 * Called by main before the loop runs.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vmm/hv.h"
#include "vmm/hv_backend.h"

static void
on_kick(int sig)
{
	(void)sig;
}

int
hv_init(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_kick;
	sigfillset(&sa.sa_mask);
	/* Runs of a vCPU end all the same; file reads are left alone. */
	sa.sa_flags = SA_RESTART;
	return sigaction(HV_KICK_SIGNAL, &sa, NULL) == 0 ? 0 : -errno;
}

void
hv_thread_init(void)
{
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, HV_KICK_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
}

int
hv_fail(char *err, size_t errlen, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, errlen, fmt, ap);
	va_end(ap);
	return -error;
}

void
hv_exit_error(struct hv_exit *e, const char *fmt, ...)
{
	va_list ap;

	e->kind = HV_EXIT_ERROR;
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
}

static const struct hv_ops *
find_auto(char *err, size_t errlen)
{
	char why[160];
	size_t len = 0;
	unsigned i;

	err[0] = '\0';
	for (i = 0; hv_backends[i] != NULL; i++) {
		if (hv_backends[i]->probe(why, sizeof(why)) == 0)
			return hv_backends[i];
		snprintf(err + len, errlen - len, "%s%s", i > 0 ? "; " :
		    "no hypervisor: ", why);
		len += strlen(err + len);
	}
	return NULL;
}

const struct hv_ops *
hv_find(const char *name, char *err, size_t errlen)
{
	unsigned i;

	if (strcmp(name, "auto") == 0)
		return find_auto(err, errlen);
	for (i = 0; hv_backends[i] != NULL; i++) {
		if (strcmp(name, hv_backends[i]->name) != 0)
			continue;
		if (hv_backends[i]->probe(err, errlen) == 0)
			return hv_backends[i];
		return NULL;
	}
	hv_fail(err, errlen, ENOENT, "backend %s: unknown on this system",
	    name);
	return NULL;
}
