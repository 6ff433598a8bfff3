/* SPDX-License-Identifier: ISC */
/*
 * The vCPUs of a guest as one: see crew.h.
 *
 * Halted for good is what no vCPU can find out: any other may be about to wake
 * it, by INIT or NMI.  So all are paused, and asked while none of them runs:
 * what one has sent to another before is there by then, and nothing else is
 * sent.  That costs each of them an exit, and is done only when a vCPU was
 * found halted with interrupts disabled, as those are that the guest has taken
 * offline; and not too often, since a guest that wakes such a one by NMIs can
 * have it found so again and again.
 *
 * Members of struct crew: i immutable; l loop; p vCPU 0's thread, until the
 * others are made.
 */
#include "vmm/crew.h"

#include <assert.h>
#include <ev.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/loop.h"
#include "vmm/hv.h"

/* Who wants a pause. */
#define PAUSE_USER	1u
#define PAUSE_CHECK	2u

/* From one look for a guest that is halted for good to the next, in seconds. */
#define CHECK_INTERVAL	0.01

/* How many threads are started in one turn of the loop. */
#define STARTS_MAX	8

struct crew_member {
	struct crew	*crew;		/* i */
	unsigned	 id;		/* i */
	struct vcpu	*vcpu;		/* l; i while the guest runs */
	struct hv_vcpu	*hv;		/* its thread; not of vCPU 0 */
	bool		 paused;	/* l */
	bool		 idle;		/* l */
	bool		 parked;	/* l */
};

struct crew {
	struct crew_conf	 cc;		/* i */
	struct vcpu_guest	 guest;		/* p */
	unsigned		 n;		/* l: members with a thread */
	unsigned		 waiting;	/* l: for the others, so many */
	unsigned		 pause;		/* l: PAUSE_* */
	ev_timer		 check_timer;	/* l: CHECK_INTERVAL is not over */
	bool			 check_again;	/* l: when it is */
	bool			 stopping;	/* l: asked for */
	bool			 ending;	/* l: `reason' is known */
	bool			 told_idle;	/* l */
	int			 error;		/* l: of prepare */
	enum vm_reason		 reason;	/* l */
	char			 msg[VCPU_MSG_MAX];	/* l */
	struct crew_member	 member[];	/* cc.ncpus */
};

static const struct vcpu_ops member_ops;

/* The number is what tells threads apart: the name gives way. */
static void
name_thread(const struct crew *c, unsigned id, char *name, size_t size)
{
	char number[8];
	int n;

	n = snprintf(number, sizeof(number), "/%u", id);
	snprintf(name, size, "vm %.*s%s", (int)size - 1 - 3 - n, c->cc.name,
	    number);
}

/* CPUs go offline without asking: that keeps no guest from running. */
static void
pin_member(struct crew *c, unsigned id, bool again)
{
	int error = vcpu_pin(c->member[id].vcpu, c->cc.affinity, again);

	if (error != 0 && error != -ESRCH)
		log_warn("vm %s: vCPU %u: cpu-affinity: %s%s", c->cc.name, id,
		    strerror(-error), error == -EINVAL ?
		    "; is one of these CPUs online?" : "");
}

static int
start_member(struct crew *c, unsigned id)
{
	struct crew_member *m = &c->member[id];
	struct vcpu_conf vc = {
		.id = id,
		.alone = c->cc.ncpus == 1,
		.loop = c->cc.loop,
		.hv = c->cc.hv,
		.deadline = id == 0 ? c->cc.deadline : NULL,
		.ops = &member_ops,
		.cookie = m,
	};
	int error;

	name_thread(c, id, vc.thread_name, sizeof(vc.thread_name));
	m->crew = c;
	m->id = id;
	error = vcpu_create(&m->vcpu, &vc);
	if (error == 0)
		pin_member(c, id, false);
	return error;
}

/* On the member's thread, as the next. */
static int
member_prepare(void *cookie, struct vcpu_guest *g, char *err, size_t errlen)
{
	struct crew_member *m = cookie;
	struct crew *c = m->crew;
	int error;

	if (m->id == 0) {
		error = c->cc.ops->prepare(c->cc.cookie, &c->guest, err,
		    errlen);
		*g = c->guest;
		return error;
	}
	*g = c->guest;
	error = c->cc.hv->vcpu_create(&m->hv, g->vm, m->id, err, errlen);
	g->hv = m->hv;
	return error;
}

static void
member_teardown(void *cookie)
{
	struct crew_member *m = cookie;
	struct crew *c = m->crew;

	if (m->id == 0)
		c->cc.ops->teardown(c->cc.cookie);
	else
		c->cc.hv->vcpu_destroy(m->hv);
}

static void
all_prepared(struct crew *c)
{
	c->cc.ops->prepared(c->cc.cookie, c->error);
}

/* The next of them: all at once would hold the loop for too long. */
static void
start_others(struct crew *c)
{
	int error = 0;

	for (; c->n < c->cc.ncpus && c->waiting < STARTS_MAX; c->n++) {
		error = start_member(c, c->n);
		if (error != 0)
			break;
		c->waiting++;
	}
	if (error == 0)
		return;
	c->error = error;
	snprintf(c->msg, sizeof(c->msg), "the thread of vCPU %u: %s", c->n,
	    strerror(-error));
}

static void
on_prepared(void *cookie, int error)
{
	struct crew_member *m = cookie;
	struct crew *c = m->crew;

	if (error != 0 && c->error == 0) {
		c->error = error;
		memcpy(c->msg, vcpu_message(m->vcpu), sizeof(c->msg));
	}
	if (m->id != 0)
		c->waiting--;
	if (c->waiting == 0 && c->error == 0 && !c->stopping)
		start_others(c);
	if (c->waiting == 0)
		all_prepared(c);
}

static void
stop_all(struct crew *c)
{
	unsigned i;

	for (i = 0; i < c->n; i++)
		vcpu_stop(c->member[i].vcpu);
}

/* Is none of them in the guest any more? */
static void
tell_if_idle(struct crew *c)
{
	unsigned i;

	for (i = 0; i < c->n; i++)
		if (!c->member[i].idle && !c->member[i].parked)
			return;
	if (!c->told_idle)
		c->cc.ops->idle(c->cc.cookie);
	c->told_idle = true;
}

static void
on_idle(void *cookie)
{
	struct crew_member *m = cookie;

	m->idle = true;
	tell_if_idle(m->crew);
}

static bool
all_parked(const struct crew *c)
{
	unsigned i;

	for (i = 0; i < c->n; i++)
		if (!c->member[i].parked)
			return false;
	return true;
}

static void
on_parked(void *cookie, enum vm_reason reason)
{
	struct crew_member *m = cookie;
	struct crew *c = m->crew;

	m->parked = true;
	if (!c->ending) {
		c->ending = true;
		c->reason = reason;
		memcpy(c->msg, vcpu_message(m->vcpu), sizeof(c->msg));
		stop_all(c);
	}
	if (all_parked(c))
		c->cc.ops->parked(c->cc.cookie, c->reason);
	else
		tell_if_idle(c);
}

static bool
all_paused(const struct crew *c)
{
	unsigned i;

	for (i = 0; i < c->n; i++)
		if (!c->member[i].paused)
			return false;
	return true;
}

static bool
all_halted(const struct crew *c)
{
	unsigned i;

	for (i = 0; i < c->n; i++)
		if (!vcpu_is_halted(c->member[i].vcpu))
			return false;
	return true;
}

static void
want_pause(struct crew *c, unsigned who)
{
	unsigned before = c->pause, i;

	c->pause |= who;
	for (i = 0; before == 0 && i < c->n; i++) {
		c->member[i].paused = false;
		vcpu_pause(c->member[i].vcpu);
	}
}

static void
drop_pause(struct crew *c, unsigned who)
{
	unsigned before = c->pause, i;

	c->pause &= ~who;
	for (i = 0; before != 0 && c->pause == 0 && i < c->n; i++)
		vcpu_resume(c->member[i].vcpu);
}

/* With all of them paused. */
static void
finish_check(struct crew *c)
{
	if ((c->pause & PAUSE_CHECK) == 0)
		return;
	if (all_halted(c))
		crew_end(c, VM_REASON_HALTED);
	else
		drop_pause(c, PAUSE_CHECK);
}

static void
on_paused(void *cookie)
{
	struct crew_member *m = cookie;
	struct crew *c = m->crew;

	if (m->paused || c->ending)
		return;
	m->paused = true;
	if (!all_paused(c))
		return;
	finish_check(c);
	if ((c->pause & PAUSE_USER) != 0)
		c->cc.ops->paused(c->cc.cookie);
}

static void
begin_check(struct crew *c)
{
	if (c->ending)
		return;
	c->check_again = ev_is_active(&c->check_timer);
	if (c->check_again)
		return;
	ev_timer_set(&c->check_timer, CHECK_INTERVAL, 0.0);
	ev_timer_start(loop_ev(c->cc.loop), &c->check_timer);
	want_pause(c, PAUSE_CHECK);
	if (all_paused(c))
		finish_check(c);
}

static void
check_interval_over(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct crew *c = t->data;

	(void)ev;
	(void)revents;
	if (c->check_again)
		begin_check(c);
}

static void
on_halted(void *cookie)
{
	struct crew_member *m = cookie;

	begin_check(m->crew);
}

static void
on_gone(void *cookie)
{
	struct crew_member *m = cookie;
	struct crew *c = m->crew;

	if (m->id == 0) {
		c->cc.ops->gone(c->cc.cookie);
		return;
	}
	vcpu_destroy(m->vcpu);
	m->vcpu = NULL;
	if (--c->waiting == 0)
		vcpu_teardown(c->member[0].vcpu);
}

static const struct vcpu_ops member_ops = {
	.prepare = member_prepare,
	.teardown = member_teardown,
	.prepared = on_prepared,
	.idle = on_idle,
	.paused = on_paused,
	.halted = on_halted,
	.parked = on_parked,
	.gone = on_gone,
};

int
crew_create(struct crew **cp, const struct crew_conf *cc)
{
	struct crew *c;
	int error;

	c = calloc(1, sizeof(*c) + cc->ncpus * sizeof(c->member[0]));
	if (c == NULL)
		return -ENOMEM;
	c->cc = *cc;
	c->n = 1;
	ev_timer_init(&c->check_timer, check_interval_over, CHECK_INTERVAL, 0.0);
	c->check_timer.data = c;
	*cp = c;
	error = start_member(c, 0);
	if (error != 0) {
		*cp = NULL;
		free(c);
	}
	return error;
}

void
crew_destroy(struct crew *c)
{
	ev_timer_stop(loop_ev(c->cc.loop), &c->check_timer);
	vcpu_destroy(c->member[0].vcpu);
	free(c);
}

void
crew_run(struct crew *c)
{
	unsigned i;

	for (i = 0; i < c->n; i++)
		vcpu_run(c->member[i].vcpu);
}

void
crew_stop(struct crew *c)
{
	c->stopping = true;
	stop_all(c);
}

void
crew_pause(struct crew *c)
{
	want_pause(c, PAUSE_USER);
}

void
crew_resume(struct crew *c)
{
	drop_pause(c, PAUSE_USER);
}

void
crew_teardown(struct crew *c)
{
	unsigned i;

	c->waiting = c->n - 1;
	if (c->waiting == 0)
		vcpu_teardown(c->member[0].vcpu);
	for (i = 1; i < c->n; i++)
		vcpu_teardown(c->member[i].vcpu);
}

const char *
crew_message(const struct crew *c)
{
	return c->msg;
}

void
crew_check_halt(struct crew *c)
{
	vcpu_check_halt(c->member[0].vcpu);
}

void
crew_stats(const struct crew *c, struct vm_stats *st)
{
	struct vm_stats one;
	unsigned i, k;

	memset(st, 0, sizeof(*st));
	for (i = 0; i < c->n; i++) {
		vcpu_stats(c->member[i].vcpu, &one);
		st->exits += one.exits;
		st->cpu_ns += one.cpu_ns;
		st->guest_ns += one.guest_ns;
		for (k = 0; k < HV_EXIT_KINDS; k++)
			st->kind[k] += one.kind[k];
	}
}

void
crew_get_vcpu(const struct crew *c, unsigned id, struct vm_vcpu *st)
{
	assert(id < c->n);
	vcpu_status(c->member[id].vcpu, st);
}

void
crew_pin(struct crew *c)
{
	unsigned i;

	for (i = 0; i < c->n; i++)
		if (c->member[i].vcpu != NULL)
			pin_member(c, i, true);
}

void
crew_attention(struct crew *c)
{
	vcpu_attention(c->member[0].vcpu);
}

void
crew_kick(struct crew *c)
{
	unsigned i;

	for (i = 0; i < c->n; i++)
		vcpu_attention(c->member[i].vcpu);
}

/* The vCPU whose thread this is, or NULL: it is the loop. */
static struct vcpu *
crew_current(struct crew *c)
{
	unsigned i;

	for (i = 0; i < c->cc.ncpus; i++)
		if (vcpu_is_self(c->member[i].vcpu))
			return c->member[i].vcpu;
	return NULL;
}

void
crew_end(struct crew *c, enum vm_reason reason)
{
	struct vcpu *self = crew_current(c);

	if (self != NULL) {
		vcpu_end(self, reason);
		return;
	}
	if (!c->ending) {
		c->ending = true;
		c->reason = reason;
	}
	stop_all(c);
}

void
crew_call(struct crew *c, struct dev_call *call)
{
	struct vcpu *self = crew_current(c);

	assert(self != NULL);
	vcpu_call(self, call);
}
