/* SPDX-License-Identifier: ISC */
/*
 * A vCPU's thread and its exit loop.
 *
 * Members of struct vcpu are marked: i immutable; t only this thread; l only
 * the loop; k under `lock`; a atomic.  `lock` is held for a few stores only,
 * with nothing else taken inside, so that the loop may take it too.
 *
 * Who wants something of the thread stores it in an atomic, then sets
 * `attention`, then kicks; the thread clears `attention` before it looks.  The
 * exchange on both sides orders the two, and a kick between two runs ends the
 * next, so the path of an ordinary exit reads one flag, relaxed.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/loop.h"
#include "base/thread.h"
#include "devices/dev.h"
#include "vmm/affinity.h"
#include "vmm/hv.h"
#include "vmm/machine.h"
#include "vmm/msrs.h"
#include "vmm/vcpu.h"

#define NS_PER_S	UINT64_C(1000000000)
#define STACK_SIZE	((size_t)512 * 1024)

enum command {
	COMMAND_NONE,
	COMMAND_RUN,
	COMMAND_TEARDOWN,
};

enum pause {
	PAUSE_NONE,
	PAUSE_WANTED,
	PAUSE_DONE,		/* and the loop was told */
};

_Static_assert(DEADLINE_NONE == DEV_NO_DEADLINE, "deadlines pass through");

struct vcpu {
	struct vcpu_conf	 vc;		/* i */
	const struct hv_ops	*hv;		/* i */
	struct vcpu_guest	 guest;		/* i after prepare */
	pthread_t		 thread;	/* l */
	pthread_t		 self;		/* the same; i after prepare */
	int			 account;	/* its; i after prepare */
	/*
	 * l: guest.hv can be kicked.  Others read it, who run only while it
	 * does not change.
	 */
	bool			 exists;

	atomic_bool		 attention;	/* a */
	atomic_bool		 stop;		/* a; set under lock */
	atomic_uint		 pause;		/* a; set under lock */
	atomic_bool		 check_halt;	/* a */
	atomic_ullong		 kind[HV_EXIT_KINDS];	/* a; written by t */

	pthread_mutex_t		 lock;
	pthread_cond_t		 cond;		/* command, calls, pause */
	enum command		 command;	/* k */
	bool			 in_call;	/* k */

	bool			 ended;		/* t */
	bool			 window;	/* t: interrupt window wanted */
	uint64_t		 armed;		/* t: what deadline is set to */
	struct hv_exit		 exit;		/* t */

	/* Written before a task is posted, read by it. */
	int			 error;
	enum vm_reason		 reason;
	char			 msg[VCPU_MSG_MAX];
	struct loop_task	 prepared;
	struct loop_task	 idle;
	struct loop_task	 paused;
	struct loop_task	 halted;
	struct loop_task	 parked;
	struct loop_task	 gone;
};

void
vcpu_end(struct vcpu *v, enum vm_reason reason)
{
	v->ended = true;
	v->reason = reason;
}

static void vcpu_fail(struct vcpu *, enum vm_reason, const char *, ...)
    __attribute__((__format__(__printf__, 3, 4)));

/* Ends the vCPU with a message that carries its registers. */
static void
vcpu_fail(struct vcpu *v, enum vm_reason reason, const char *fmt, ...)
{
	struct hv_regs r;
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	vsnprintf(v->msg, sizeof(v->msg), fmt, ap);
	va_end(ap);
	len = strlen(v->msg);
	len += (size_t)snprintf(v->msg + len, sizeof(v->msg) - len,
	    "; vcpu=%u", v->vc.id);
	if (len < sizeof(v->msg) &&
	    v->hv->get_regs(v->guest.hv, &r) == 0)
		snprintf(v->msg + len, sizeof(v->msg) - len,
		    " rip=%#" PRIx64 " rsp=%#" PRIx64 " rflags=%#" PRIx64
		    " cr0=%#" PRIx64 " cr2=%#" PRIx64 " cr3=%#" PRIx64
		    " cr4=%#" PRIx64 " efer=%#" PRIx64, r.rip,
		    r.gpr[HV_RSP], r.rflags, r.cr0, r.cr2, r.cr3, r.cr4,
		    r.efer);
	vcpu_end(v, reason);
}

/* Runs the devices' timers and input, and arms the next. */
static void
vcpu_fold(struct vcpu *v)
{
	uint64_t when = machine_fold(v->guest.machine);

	/* One in the past has fired: the next may not be taken for it. */
	if (when == v->armed && when > loop_now_ns())
		return;
	if (when != DEADLINE_NONE || v->armed != DEADLINE_NONE)
		deadline_set(v->vc.deadline, when);
	v->armed = when;
}

/* Waits until the guest is resumed, or is to end. */
static void
vcpu_wait_resume(struct vcpu *v)
{
	pthread_mutex_lock(&v->lock);
	while (atomic_load(&v->pause) != PAUSE_NONE &&
	    !atomic_load(&v->stop)) {
		if (atomic_load(&v->pause) == PAUSE_DONE) {
			pthread_cond_wait(&v->cond, &v->lock);
			continue;
		}
		/* Another pause may follow a resume that was too short. */
		atomic_store(&v->pause, PAUSE_DONE);
		pthread_mutex_unlock(&v->lock);
		loop_post(v->vc.loop, &v->paused);
		pthread_mutex_lock(&v->lock);
	}
	pthread_mutex_unlock(&v->lock);
}

/* Nobody can wake it who is not there. */
static void
vcpu_halted(struct vcpu *v)
{
	if (v->vc.alone)
		vcpu_end(v, VM_REASON_HALTED);
	else
		loop_post(v->vc.loop, &v->halted);
}

/* The slow path between two runs: somebody wants something. */
static void
vcpu_attend(struct vcpu *v)
{
	atomic_exchange(&v->attention, false);
	if (atomic_load(&v->pause) != PAUSE_NONE) {
		vcpu_wait_resume(v);
		v->hv->resumed(v->guest.hv);
	}
	if (atomic_load(&v->stop)) {
		vcpu_end(v, VM_REASON_STOP);
		return;
	}
	if (atomic_exchange(&v->check_halt, false) &&
	    v->hv->is_halted(v->guest.hv))
		vcpu_halted(v);
	if (v->vc.id == 0 && !v->ended)
		vcpu_fold(v);
}

/* Delivers the PIC's interrupt, or asks to be told when that is possible. */
static void
vcpu_interrupt(struct vcpu *v)
{
	struct machine *m = v->guest.machine;
	bool want;
	int error;

	if (machine_intr(m) && v->hv->intr_ready(v->guest.hv)) {
		error = v->hv->inject(v->guest.hv, machine_intr_ack(m));
		if (error != 0) {
			vcpu_fail(v, VM_REASON_ERROR, "injecting an interrupt:"
			    " %s", strerror(-error));
			return;
		}
	}
	want = machine_intr(m);
	if (want != v->window) {
		v->hv->intr_window(v->guest.hv, want);
		v->window = want;
	}
}

static void
vcpu_exit(struct vcpu *v)
{
	struct hv_exit *e = &v->exit;

	switch (e->kind) {
	case HV_EXIT_IO:
		machine_io(v->guest.machine, v->vc.id, e);
		break;
	case HV_EXIT_NONE:
	case HV_EXIT_INTR_WINDOW:
		break;
	case HV_EXIT_MMIO:
		machine_mmio(v->guest.machine, v->vc.id, e);
		break;
	case HV_EXIT_MSR:
		msrs_access(v->guest.msrs, e);
		break;
	case HV_EXIT_EOI:
		machine_eoi(v->guest.machine, e->eoi.vector);
		break;
	case HV_EXIT_HLT:
		vcpu_halted(v);
		break;
	case HV_EXIT_SHUTDOWN:
		vcpu_fail(v, VM_REASON_SHUTDOWN, "triple fault");
		break;
	case HV_EXIT_ERROR:
		vcpu_fail(v, VM_REASON_ERROR, "%s", e->msg);
		break;
	}
}

static void
count_exit(struct vcpu *v, enum hv_exit_kind kind)
{
	/* Nobody else writes: no need for an addition that is atomic. */
	atomic_store_explicit(&v->kind[kind], atomic_load_explicit(
	    &v->kind[kind], memory_order_relaxed) + 1, memory_order_relaxed);
}

static void
vcpu_loop(struct vcpu *v)
{
	/* The first turn of vCPU 0 folds: the devices' first deadlines. */
	atomic_store(&v->attention, true);
	while (!v->ended) {
		if (atomic_load_explicit(&v->attention, memory_order_relaxed))
			vcpu_attend(v);
		if (v->vc.id == 0 &&
		    (machine_intr(v->guest.machine) || v->window))
			vcpu_interrupt(v);
		if (v->ended)
			break;
		v->hv->run(v->guest.hv, &v->exit);
		count_exit(v, v->exit.kind);
		vcpu_exit(v);
	}
}

static enum command
next_command(struct vcpu *v)
{
	enum command c;

	pthread_mutex_lock(&v->lock);
	while (v->command == COMMAND_NONE)
		pthread_cond_wait(&v->cond, &v->lock);
	c = v->command;
	v->command = COMMAND_NONE;
	pthread_mutex_unlock(&v->lock);
	return c;
}

static void *
vcpu_main(void *arg)
{
	struct vcpu *v = arg;
	enum command c;

	hv_thread_init();
	v->self = pthread_self();
	v->account = thread_account();
	pthread_setname_np(pthread_self(), v->vc.thread_name);
	v->error = v->vc.ops->prepare(v->vc.cookie, &v->guest, v->msg,
	    sizeof(v->msg));
	if (v->error == 0)
		v->msg[0] = '\0';
	loop_post(v->vc.loop, &v->prepared);
	c = next_command(v);
	if (c == COMMAND_RUN) {
		vcpu_loop(v);
		loop_post(v->vc.loop, &v->parked);
		c = next_command(v);
	}
	assert(c == COMMAND_TEARDOWN);
	if (v->error == 0)
		v->vc.ops->teardown(v->vc.cookie);
	loop_post(v->vc.loop, &v->gone);
	return NULL;
}

static void
on_prepared(void *arg)
{
	struct vcpu *v = arg;

	v->exists = v->error == 0;
	v->vc.ops->prepared(v->vc.cookie, v->error);
}

static void
on_idle(void *arg)
{
	struct vcpu *v = arg;

	v->vc.ops->idle(v->vc.cookie);
}

static void
on_paused(void *arg)
{
	struct vcpu *v = arg;

	/* It may be the answer to an earlier pause: then one more comes. */
	if (atomic_load(&v->pause) == PAUSE_DONE)
		v->vc.ops->paused(v->vc.cookie);
}

static void
on_halted(void *arg)
{
	struct vcpu *v = arg;

	v->vc.ops->halted(v->vc.cookie);
}

static void
on_parked(void *arg)
{
	struct vcpu *v = arg;

	loop_cancel(v->vc.loop, &v->idle);
	loop_cancel(v->vc.loop, &v->halted);
	v->vc.ops->parked(v->vc.cookie, v->reason);
}

static void
on_gone(void *arg)
{
	struct vcpu *v = arg;

	v->vc.ops->gone(v->vc.cookie);
}

static void
init_tasks(struct vcpu *v)
{
	v->prepared = (struct loop_task){ .fn = on_prepared, .arg = v };
	v->idle = (struct loop_task){ .fn = on_idle, .arg = v };
	v->paused = (struct loop_task){ .fn = on_paused, .arg = v };
	v->halted = (struct loop_task){ .fn = on_halted, .arg = v };
	v->parked = (struct loop_task){ .fn = on_parked, .arg = v };
	v->gone = (struct loop_task){ .fn = on_gone, .arg = v };
}

/*
 * A stack smaller than a huge page: in one of the usual 8 MiB the first touch
 * may take 2 MiB of the host's memory.
 */
static int
start_thread(struct vcpu *v)
{
	pthread_attr_t attr;
	int error;

	error = -pthread_attr_init(&attr);
	if (error != 0)
		return error;
	error = -pthread_attr_setstacksize(&attr, STACK_SIZE);
	if (error == 0)
		error = -pthread_create(&v->thread, &attr, vcpu_main, v);
	pthread_attr_destroy(&attr);
	return error;
}

int
vcpu_create(struct vcpu **vp, const struct vcpu_conf *vc)
{
	struct vcpu *v;
	int error;

	v = calloc(1, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	v->vc = *vc;
	v->hv = vc->hv;
	v->armed = DEADLINE_NONE;
	init_tasks(v);
	error = -pthread_mutex_init(&v->lock, NULL);
	if (error != 0)
		goto free_vcpu;
	error = -pthread_cond_init(&v->cond, NULL);
	if (error != 0)
		goto destroy_lock;
	/* Before the thread is there: its devices may want it at once. */
	*vp = v;
	error = start_thread(v);
	if (error != 0)
		goto destroy_cond;
	return 0;
destroy_cond:
	*vp = NULL;
	pthread_cond_destroy(&v->cond);
destroy_lock:
	pthread_mutex_destroy(&v->lock);
free_vcpu:
	free(v);
	return error;
}

void
vcpu_destroy(struct vcpu *v)
{
	pthread_join(v->thread, NULL);
	if (v->account >= 0)
		close(v->account);
	pthread_cond_destroy(&v->cond);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

static void
give_command(struct vcpu *v, enum command c)
{
	pthread_mutex_lock(&v->lock);
	v->command = c;
	pthread_cond_broadcast(&v->cond);
	pthread_mutex_unlock(&v->lock);
}

void
vcpu_run(struct vcpu *v)
{
	give_command(v, COMMAND_RUN);
}

void
vcpu_teardown(struct vcpu *v)
{
	v->exists = false;
	give_command(v, COMMAND_TEARDOWN);
}

void
vcpu_stop(struct vcpu *v)
{
	bool in_call;

	pthread_mutex_lock(&v->lock);
	atomic_store(&v->stop, true);
	in_call = v->in_call;
	pthread_cond_broadcast(&v->cond);
	pthread_mutex_unlock(&v->lock);
	vcpu_attention(v);
	if (in_call)
		loop_post(v->vc.loop, &v->idle);
}

void
vcpu_pause(struct vcpu *v)
{
	pthread_mutex_lock(&v->lock);
	atomic_store(&v->pause, PAUSE_WANTED);
	pthread_cond_broadcast(&v->cond);
	pthread_mutex_unlock(&v->lock);
	vcpu_attention(v);
}

void
vcpu_resume(struct vcpu *v)
{
	pthread_mutex_lock(&v->lock);
	atomic_store(&v->pause, PAUSE_NONE);
	pthread_cond_broadcast(&v->cond);
	pthread_mutex_unlock(&v->lock);
}

void
vcpu_check_halt(struct vcpu *v)
{
	atomic_store(&v->check_halt, true);
	vcpu_attention(v);
}

bool
vcpu_is_halted(const struct vcpu *v)
{
	return v->hv->is_halted != NULL && v->hv->is_halted(v->guest.hv);
}

const char *
vcpu_message(const struct vcpu *v)
{
	return v->msg;
}

void
vcpu_stats(const struct vcpu *v, struct vm_stats *st)
{
	struct timespec ts = { 0 };
	struct hv_stats hs;
	clockid_t clock;
	unsigned i;

	v->hv->stats(v->guest.hv, &hs);
	st->exits = hs.exits;
	st->guest_ns = hs.guest_ns;
	for (i = 0; i < HV_EXIT_KINDS; i++)
		st->kind[i] = atomic_load_explicit(&v->kind[i],
		    memory_order_relaxed);
	if (pthread_getcpuclockid(v->thread, &clock) == 0)
		clock_gettime(clock, &ts);
	st->cpu_ns = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

void
vcpu_status(const struct vcpu *v, struct vm_vcpu *st)
{
	vcpu_stats(v, &st->stats);
	/* Without a kernel that tells there is nothing to tell. */
	(void)thread_waited(v->account, &st->steal_ns);
}

int
vcpu_pin(struct vcpu *v, const struct affinity *a, bool again)
{
	return affinity_apply(a, v->vc.id, v->thread, again);
}

void
vcpu_attention(struct vcpu *v)
{
	/* Whoever set it first has kicked, or is about to. */
	if (atomic_exchange(&v->attention, true))
		return;
	/* The vCPU's own thread looks at the flag before the next run. */
	if (v->exists && !vcpu_is_self(v))
		v->hv->kick(v->guest.hv);
}

bool
vcpu_is_self(const struct vcpu *v)
{
	return pthread_equal(v->self, pthread_self());
}

static void
call_done(struct dev_call *c)
{
	struct vcpu *v = c->cookie;

	pthread_mutex_lock(&v->lock);
	/*
	 * From here on the caller may return, take `c` with it and run the
	 * guest: vcpu_stop() must not take it for idle.
	 */
	v->in_call = false;
	c->cookie = NULL;
	pthread_cond_broadcast(&v->cond);
	pthread_mutex_unlock(&v->lock);
}

void
vcpu_call(struct vcpu *v, struct dev_call *c)
{
	bool stopping;

	c->done = call_done;
	c->cookie = v;
	pthread_mutex_lock(&v->lock);
	v->in_call = true;
	stopping = atomic_load(&v->stop);
	pthread_mutex_unlock(&v->lock);
	if (stopping)
		loop_post(v->vc.loop, &v->idle);
	loop_post(v->vc.loop, &c->task);
	pthread_mutex_lock(&v->lock);
	while (c->cookie != NULL)
		pthread_cond_wait(&v->cond, &v->lock);
	pthread_mutex_unlock(&v->lock);
}
