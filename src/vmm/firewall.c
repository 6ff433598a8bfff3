/* SPDX-License-Identifier: ISC */
/*
 * The loaded firewall: see firewall.h.
 *
 * Members of struct firewall: i immutable; l loop; m the mutex; t what is to be
 * loaded and what is, which is the thread's while there is something to do, and
 * the loop's, who reads its outcome, otherwise.  A message is the log's from
 * either.
 */
#include "vmm/firewall.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "net/addr.h"
#include "net/fw_load.h"
#include "net/ifname.h"
#include "vmm/firewall_rules.h"
#include "vmm/policy.h"
#include "vmm/vm_table.h"

/* An address, and who has it. */
struct known {
	struct os_addr	 addr;
	char		 tap[IFNAME_SIZE];
};

struct firewall {
	struct firewall_env	 env;		/* i */
	char			*daemon;	/* i: whatever name is next */
	int			 unable;	/* i: there is none */
	char			 why[256];	/* i: and why */

	struct fw_load		*load;		/* t */
	struct ruleset		 rs;		/* t: to be loaded */
	int			 error;		/* t: what came of that */
	char			 err[512];	/* t */
	char			 cut[VM_NAME_MAX + 1];	/* t: a guest, or "" */
	char			*text;		/* t: as it is loaded, or NULL */
	struct known		*known;		/* t: in what is loaded */
	size_t			 nknown;	/* t */
	bool			 forwards[2];	/* t: of IPv4, of IPv6 */
	bool			 asked;		/* t: by a change, or the start */

	bool			 busy;		/* l */
	bool			 any;		/* l: a guest differs, in rs */
	bool			 again;		/* l: what is loaded is old */
	bool			 used;		/* l: there was a NIC */
	bool			 waits;		/* l: or in what is loaded */
	bool			 failed;	/* l: guests lack rules */
	char			 cause[512];	/* l: of that */
	firewall_done_fn	*done;		/* l: or NULL */
	void			*cookie;	/* l: its */
	struct firewall_wait	*waiting;	/* l: in the order they came */
	struct loop_task	 loaded;	/* l */

	pthread_mutex_t		 mutex;
	pthread_cond_t		 cond;
	bool			 todo;		/* m */
	bool			 end;		/* m */
	bool			 has_thread;	/* l */
	pthread_t		 thread;	/* l */
};

static void loaded(void *arg);

/*
 * Has the host forward what it did not need to before, of which *done is a note:
 * who has turned that off since has had a reason.
 */
static void
forward(const struct fw_policy *p, bool done[2])
{
	bool ipv4 = fw_forwards(p, false), ipv6 = fw_forwards(p, true);
	char err[256] = "", *line, *rest;
	struct buf said;
	int error = 0;

	buf_init(&said, 1 << 16);
	if ((ipv4 && !done[0]) || (ipv6 && !done[1]))
		error = fw_load_forward(ipv4 && !done[0], ipv6 && !done[1],
		    &said, err, sizeof(err));
	if (error != 0)
		log_warn("%s", err);
	done[0] = ipv4 && (done[0] || error == 0);
	done[1] = ipv6 && (done[1] || error == 0);
	if (buf_append(&said, "", 1) == 0)
		for (rest = buf_head(&said); (line = strsep(&rest, "\n")) !=
		    NULL && *line != '\0';)
			log_info("firewall: %s", line);
	buf_free(&said);
}

void
firewall_forward(const struct config *c)
{
	bool done[2] = { false };
	struct policy *policy;

	if (policy_make(&policy, c, NULL) != 0)
		return;
	forward(policy_fw(policy), done);
	policy_free(policy);
}

static bool
has_known(const struct known *v, size_t n, const struct known *k)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (addr_same(&v[i].addr, &k->addr) &&
		    strcmp(v[i].tap, k->tap) == 0)
			return true;
	return false;
}

/* All addresses of guests, in an array with room for more, or NULL. */
static struct known *
list_known(const struct fw_policy *p, size_t more, size_t *n)
{
	struct known *v;
	size_t i, k;

	for (i = 0, *n = 0; i < p->nnics; i++)
		*n += p->nic[i].naddrs;
	v = calloc(*n + more + 1, sizeof(*v));
	if (v == NULL)
		return NULL;
	for (i = 0, *n = 0; i < p->nnics; i++)
		for (k = 0; k < p->nic[i].naddrs; k++, (*n)++) {
			v[*n].addr = p->nic[i].addrs[k];
			memcpy(v[*n].tap, p->nic[i].tap, sizeof(v->tap));
		}
	return v;
}

/* The connections of these are no more; false: they are still to go. */
static bool
forget_gone(struct firewall *f, const struct os_addr *gone, size_t n)
{
	char err[256];

	if (n == 0 || fw_load_forget(f->load, gone, n, err, sizeof(err)) == 0)
		return true;
	log_warn("%s", err);
	return false;
}

/*
 * Who had an address, and does not have it any more, has no connections either:
 * whoever has it next begins without.  What fails is due with the next change.
 */
static void
forget(struct firewall *f, const struct fw_policy *p)
{
	struct os_addr *gone;
	struct known *now;
	size_t i, n, ngone = 0;

	now = list_known(p, f->nknown, &n);
	gone = calloc(f->nknown + 1, sizeof(*gone));
	if (now != NULL && gone != NULL) {
		for (i = 0; i < f->nknown; i++)
			if (!has_known(now, n, &f->known[i])) {
				now[n + ngone] = f->known[i];
				gone[ngone++] = f->known[i].addr;
			}
		f->nknown = forget_gone(f, gone, ngone) ? n : n + ngone;
		free(f->known);
		f->known = now;
		now = NULL;
	}
	free(gone);
	free(now);
}

/* Says what defeats our rules; nothing more can be done about it. */
static void
warn_conflicts(struct firewall *f)
{
	char err[256], *line, *rest;
	struct buf b;

	buf_init(&b, 1 << 16);
	if (fw_load_conflicts(f->load, &b, err, sizeof(err)) != 0)
		log_warn("%s", err);
	else if (buf_append(&b, "", 1) == 0)
		for (rest = buf_head(&b); (line = strsep(&rest, "\n")) !=
		    NULL && *line != '\0';)
			log_warn("firewall: %s", line);
	buf_free(&b);
}

/* Puts a text in place of that before, if it is another. */
static int
load_text(struct firewall *f, const char *text)
{
	char *copy;
	int error;

	if (f->text != NULL && strcmp(f->text, text) == 0)
		return 0;
	copy = strdup(text);
	if (copy == NULL) {
		snprintf(f->err, sizeof(f->err), "firewall: %s",
		    strerror(ENOMEM));
		return -ENOMEM;
	}
	f->err[0] = '\0';
	error = fw_load_apply(f->load, text, f->err, sizeof(f->err));
	if (error != 0) {
		free(copy);
		return error;
	}
	if (f->err[0] != '\0')
		log_warn("%s", f->err);
	free(f->text);
	f->text = copy;
	forward(policy_fw(f->rs.policy), f->forwards);
	forget(f, policy_fw(f->rs.policy));
	if (f->asked)
		warn_conflicts(f);
	return 0;
}

static int
load_rules(struct firewall *f)
{
	struct buf b;
	int error;

	buf_init(&b, FIREWALL_TEXT_MAX);
	error = fw_load_write(policy_fw(f->rs.policy), &f->rs.rules, &b,
	    f->err, sizeof(f->err));
	if (error == 0 && buf_append(&b, "", 1) != 0) {
		snprintf(f->err, sizeof(f->err), "firewall: %s",
		    strerror(ENOMEM));
		error = -ENOMEM;
	}
	if (error == 0)
		error = load_text(f, buf_head(&b));
	buf_free(&b);
	return error;
}

static void
load(struct firewall *f)
{
	f->error = ruleset_build(&f->rs, f->daemon, f->err, sizeof(f->err));
	snprintf(f->cut, sizeof(f->cut), "%s",
	    f->rs.cut != NULL ? f->rs.cut : "");
	if (f->error == 0)
		f->error = load_rules(f);
	ruleset_free(&f->rs);
}

static void *
firewall_run(void *arg)
{
	struct firewall *f = arg;

	pthread_mutex_lock(&f->mutex);
	while (true) {
		while (!f->todo && !f->end)
			pthread_cond_wait(&f->cond, &f->mutex);
		if (!f->todo)
			break;
		pthread_mutex_unlock(&f->mutex);
		load(f);
		pthread_mutex_lock(&f->mutex);
		f->todo = false;
		pthread_cond_broadcast(&f->cond);
		loop_post(f->env.loop, &f->loaded);
	}
	pthread_mutex_unlock(&f->mutex);
	return NULL;
}

/* With the first rules, since there may never be any; signals are the loop's. */
static int
start_thread(struct firewall *f)
{
	sigset_t all, old;
	int error;

	if (f->has_thread)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&f->thread, NULL, firewall_run, f);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	f->has_thread = error == 0;
	return -error;
}

struct firewall *
firewall_create(const char *daemon, const struct firewall_env *env)
{
	struct firewall *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->env = *env;
	f->loaded.fn = loaded;
	f->loaded.arg = f;
	f->daemon = strdup(daemon);
	if (f->daemon == NULL || pthread_mutex_init(&f->mutex, NULL) != 0)
		goto fail_mutex;
	if (pthread_cond_init(&f->cond, NULL) != 0)
		goto fail_cond;
	f->unable = fw_load_open(&f->load, f->why, sizeof(f->why));
	return f;

fail_cond:
	pthread_mutex_destroy(&f->mutex);
fail_mutex:
	free(f->daemon);
	free(f);
	return NULL;
}

void
firewall_destroy(struct firewall *f)
{
	if (f == NULL)
		return;
	assert(!f->busy);
	pthread_mutex_lock(&f->mutex);
	f->end = true;
	pthread_cond_broadcast(&f->cond);
	pthread_mutex_unlock(&f->mutex);
	if (f->has_thread)
		pthread_join(f->thread, NULL);
	if (f->unable == 0)
		fw_load_close(f->load);
	pthread_cond_destroy(&f->cond);
	pthread_mutex_destroy(&f->mutex);
	free(f->known);
	free(f->text);
	free(f->daemon);
	free(f);
}

/* Hands it to the thread: 0 or -errno and a message. */
static int
begin(struct firewall *f, char *err, size_t errlen)
{
	int error = f->unable;

	if (error != 0) {
		snprintf(err, errlen, "%s", f->why);
	} else {
		error = start_thread(f);
		if (error != 0)
			snprintf(err, errlen, "firewall: the thread that "
			    "loads it: %s", strerror(-error));
	}
	if (error != 0) {
		ruleset_free(&f->rs);
		return error;
	}
	f->busy = true;
	f->any = f->rs.now.any;
	pthread_mutex_lock(&f->mutex);
	f->todo = true;
	pthread_cond_broadcast(&f->cond);
	pthread_mutex_unlock(&f->mutex);
	return 0;
}

/* Without a NIC there is nothing to be loaded, but what was may have to go. */
int
firewall_apply(struct firewall *f, const struct config *c,
    firewall_done_fn *done, void *cookie, char *err, size_t errlen)
{
	int error;

	if (f == NULL)
		return 0;
	assert(!f->busy);
	error = ruleset_note(&f->rs, c, f->env.guests, f->env.switches);
	if (error != 0) {
		snprintf(err, errlen, "firewall: %s", strerror(-error));
		return error;
	}
	if (!f->rs.now.nics && !f->used) {
		ruleset_free(&f->rs);
		return 0;
	}
	f->asked = done != NULL;
	error = begin(f, err, errlen);
	if (error != 0)
		return error;
	f->used = true;
	f->done = done;
	f->cookie = cookie;
	return -EINPROGRESS;
}

/* Guests that are to have other rules will not begin. */
static void
note_failure(struct firewall *f, const char *err)
{
	f->failed = true;
	snprintf(f->cause, sizeof(f->cause), "%s", err);
	log_error("%s", err);
}

/* Nobody waits for the outcome but guests. */
void
firewall_revert(struct firewall *f)
{
	char err[512];
	int error;

	if (f == NULL)
		return;
	error = firewall_apply(f, *f->env.conf, NULL, NULL, err, sizeof(err));
	if (error == -EINPROGRESS)
		return;
	f->failed = false;
	if (error != 0)
		note_failure(f, err);
}

void
firewall_refresh(struct firewall *f)
{
	if (f == NULL)
		return;
	if (f->busy)
		f->again = true;
	else if (f->waits || f->failed)
		firewall_revert(f);
}

/* All that have waited; what they do may be to begin anew. */
static void
release(struct firewall *f)
{
	struct firewall_wait *w;

	while ((w = f->waiting) != NULL) {
		f->waiting = w->next;
		w->waits = false;
		loop_post(f->env.loop, &w->task);
	}
}

/* What was to be loaded is, or is not. */
static void
note_outcome(struct firewall *f)
{
	if (f->error == 0) {
		f->waits = f->any;
		f->failed = false;
		if (f->cut[0] != '\0')
			log_warn("vm %s: firewall: what its NIC has is "
			    "another's now: cut off until it is gone or "
			    "starts again", f->cut);
	} else if (f->done == NULL) {
		note_failure(f, f->err);
	}
}

static void
loaded(void *arg)
{
	struct firewall *f = arg;
	firewall_done_fn *done = f->done;
	bool again = f->again;
	int error = f->error;
	char err[512];

	note_outcome(f);
	memcpy(err, f->err, sizeof(err));
	f->busy = f->again = false;
	f->done = NULL;
	if (done != NULL)
		done(f->cookie, error, err);
	if (again && !f->busy)
		firewall_revert(f);
	else
		f->again |= again;
	if (!f->busy)
		release(f);
}

void
firewall_finish(struct firewall *f)
{
	while (f != NULL && f->busy) {
		pthread_mutex_lock(&f->mutex);
		while (f->todo)
			pthread_cond_wait(&f->cond, &f->mutex);
		pthread_mutex_unlock(&f->mutex);
		loop_cancel(f->env.loop, &f->loaded);
		loaded(f);
	}
}

struct outcome {
	int	 error;
	char	*err;
	size_t	 errlen;
};

static void
take_outcome(void *cookie, int error, const char *err)
{
	struct outcome *o = cookie;

	o->error = error;
	if (error != 0)
		snprintf(o->err, o->errlen, "%s", err);
}

int
firewall_load(struct firewall *f, char *err, size_t errlen)
{
	struct outcome o = { .err = err, .errlen = errlen };
	int error;

	error = firewall_apply(f, *f->env.conf, take_outcome, &o, err, errlen);
	if (error != -EINPROGRESS)
		return error;
	firewall_finish(f);
	return o.error;
}

bool
firewall_settled(struct firewall *f, struct firewall_wait *w)
{
	struct firewall_wait **wp;

	if (f == NULL || !f->busy)
		return true;
	if (w->waits)
		return false;
	for (wp = &f->waiting; *wp != NULL; wp = &(*wp)->next)
		;
	*wp = w;
	w->next = NULL;
	w->waits = true;
	return false;
}

void
firewall_unwait(struct firewall *f, struct firewall_wait *w)
{
	struct firewall_wait **wp;

	if (f == NULL)
		return;
	loop_cancel(f->env.loop, &w->task);
	for (wp = &f->waiting; w->waits && *wp != NULL; wp = &(*wp)->next)
		if (*wp == w) {
			*wp = w->next;
			w->waits = false;
			return;
		}
}

bool
firewall_covers(const struct firewall *f, char *err, size_t errlen)
{
	if (f == NULL || !f->failed)
		return true;
	snprintf(err, errlen, "%s", f->cause);
	return false;
}
