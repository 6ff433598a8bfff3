/* SPDX-License-Identifier: ISC */
/*
 * The packet filter that takes notes: see fakefw.h.
 */
#include "fakefw.h"

#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "net/fw.h"
#include "net/fw_load.h"

struct fakefw fakefw;

static pthread_mutex_t	mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t	cond = PTHREAD_COND_INITIALIZER;
static bool		hold, held;

static void
set(bool *what, bool value)
{
	pthread_mutex_lock(&mutex);
	*what = value;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&mutex);
}

static void
wait_for(const bool *what, bool value)
{
	pthread_mutex_lock(&mutex);
	while (*what != value)
		pthread_cond_wait(&cond, &mutex);
	pthread_mutex_unlock(&mutex);
}

void
fakefw_hold(void)
{
	set(&hold, true);
}

void
fakefw_let_go(void)
{
	set(&hold, false);
}

void
fakefw_wait_held(void)
{
	wait_for(&held, true);
}

int
fw_load_forward(bool ipv4, bool ipv6, struct buf *said, char *err,
    size_t errlen)
{
	(void)said;
	fakefw.forwards += ipv4 || ipv6;
	snprintf(err, errlen, "cannot forward");
	return fakefw.forward_error;
}

int
fw_load_open(struct fw_load **lp, char *err, size_t errlen)
{
	(void)lp;
	snprintf(err, errlen, "no loader");
	return fakefw.open_error;
}

int
fw_load_write(const struct fw_policy *p, const struct fw_rules *r,
    struct buf *b, char *err, size_t errlen)
{
	size_t i;

	(void)err;
	(void)errlen;
	fakefw.texts++;
	for (i = 0; i < r->n; i++) {
		ck_assert_int_eq(fw_rule_print(p, r, &r->v[i], b), 0);
		ck_assert_int_eq(buf_append(b, "\n", 1), 0);
	}
	for (i = 0; i < p->nnics; i++)
		ck_assert_int_eq(buf_printf(b, "%s %02x\n", p->nic[i].tap,
		    p->nic[i].mac[5]), 0);
	return 0;
}

int
fw_load_apply(struct fw_load *l, const char *text, char *err, size_t errlen)
{
	(void)l;
	set(&held, true);
	wait_for(&hold, false);
	set(&held, false);
	if (fakefw.load_error != 0) {
		snprintf(err, errlen, "cannot load");
	} else {
		snprintf(fakefw.loaded, sizeof(fakefw.loaded), "%s", text);
		fakefw.loads++;
	}
	return fakefw.load_error;
}

int
fw_load_forget(struct fw_load *l, const struct os_addr *gone, size_t n,
    char *err, size_t errlen)
{
	char text[64];
	size_t i;

	(void)l;
	snprintf(err, errlen, "cannot forget");
	if (fakefw.forget_error != 0)
		return fakefw.forget_error;
	for (i = 0; i < n; i++) {
		inet_ntop(gone[i].ipv6 ? AF_INET6 : AF_INET, gone[i].bytes,
		    text, sizeof(text));
		strcat(fakefw.forgotten, text);
		strcat(fakefw.forgotten, " ");
	}
	return 0;
}

int
fw_load_conflicts(struct fw_load *l, struct buf *warnings, char *err,
    size_t errlen)
{
	(void)l;
	(void)warnings;
	(void)err;
	(void)errlen;
	fakefw.conflicts++;
	return 0;
}

void
fw_load_close(struct fw_load *l)
{
	(void)l;
}
