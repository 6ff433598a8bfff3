/* SPDX-License-Identifier: ISC */
/*
 * The state machine of a guest, as the administrator sees it.  Each boot is a
 * struct guest of its own; this file decides when there is one.
 *
 *	start		stopped -> starting
 *	running()	starting -> running
 *	pause		running, then
 *	paused()	running -> paused
 *	resume		paused -> running
 *	reset		running, paused -> starting
 *	stop		starting, running, paused -> stopping: a guest that
 *			listens is asked to shut down, for a time
 *	ended()		-> stopping, or -> starting if it boots again
 *	gone()		stopping -> stopped
 *
 * A forced stop is stopped as soon as the guest does not run any more; what
 * is left of it is detached and goes when the kernel lets go of its memory.
 * Until then its disks stay locked.
 *
 * Loop thread only.  The event function may destroy a stopped vm, so a change
 * of state is the last thing any function does.
 */
#include <assert.h>
#include <ev.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/loop.h"
#include "vmm/config.h"
#include "vmm/console.h"
#include "vmm/guest.h"
#include "vmm/nics.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

#define NS_PER_S	UINT64_C(1000000000)
#define BOOT_INTERVAL	NS_PER_S	/* between boots that guests ask for */

/* What a guest that crashes waits for its next boot: ever longer. */
#define BACKOFF_MIN	NS_PER_S
#define BACKOFF_MAX	(60 * NS_PER_S)
#define BACKOFF_RESET	(60 * NS_PER_S)	/* unless it ran so long */

struct vm {
	const struct vm_env	*env;
	struct vm_config	*conf;
	struct console		*console;
	enum vm_state		 state;
	enum vm_reason		 reason;
	char			 msg[VCPU_MSG_MAX];
	char			 fault[VCPU_MSG_MAX];	/* pauses it, or "" */

	struct guest		*guest;		/* NULL: none */
	bool			 ended;		/* guest has */
	bool			 idle;		/* guest does not run any more */
	bool			 stop;		/* asked for */
	bool			 force;
	ev_timer		 ask_timer;	/* ends the asking */
	bool			 reset;		/* asked for, too */
	bool			 again;		/* boot again when gone */
	ev_timer		 boot_timer;	/* for it */
	uint64_t		 next_boot;	/* when, or 0 */
	uint64_t		 backoff;	/* ns, of the last crash, or 0 */
	uint64_t		 booted;	/* when, or 0 */
	struct vm_stats		 stats;		/* of the last guest */
	unsigned		 boots;
	struct nics		*nics;		/* between boots */
};

static const struct guest_ops vm_guest_ops;

static void
set_state(struct vm *vm, enum vm_state state)
{
	if (vm->state == state)
		return;
	if (state != VM_RUNNING && state != VM_PAUSED)
		vm->fault[0] = '\0';
	vm->state = state;
	vm->env->event(vm->env->cookie, vm);
}

static void
drop_nics(struct vm *vm)
{
	nics_free(vm->nics);
	vm->nics = NULL;
}

static void
set_stopped(struct vm *vm)
{
	ev_timer_stop(loop_ev(vm->env->loop), &vm->ask_timer);
	drop_nics(vm);
	if (vm->stop && vm->reason != VM_REASON_ERROR)
		vm->reason = VM_REASON_STOP;
	log_info("vm %s: stopped: %s", vm->conf->name,
	    vm_reason_name(vm->reason));
	set_state(vm, VM_STOPPED);
}

/* Lets a guest that does not run any more go its way alone. */
static void
abandon_guest(struct vm *vm)
{
	guest_detach(vm->guest);
	vm->guest = NULL;
	set_stopped(vm);
}

static int
boot(struct vm *vm)
{
	int error;

	vm->ended = false;
	vm->idle = false;
	vm->reset = false;
	vm->again = false;
	vm->next_boot = 0;
	vm->booted = 0;
	error = guest_create(&vm->guest, vm->env, vm->conf, &vm->nics,
	    vm->console, &vm_guest_ops, vm);
	if (error == 0)
		return 0;
	vm->guest = NULL;
	drop_nics(vm);
	vm->reason = VM_REASON_ERROR;
	snprintf(vm->msg, sizeof(vm->msg), "cannot start: %s",
	    strerror(-error));
	log_error("vm %s: %s", vm->conf->name, vm->msg);
	return error;
}

static void
on_running(void *cookie)
{
	struct vm *vm = cookie;

	vm->booted = loop_now_ns();
	vm->boots++;
	log_info("vm %s: running", vm->conf->name);
	set_state(vm, VM_RUNNING);
}

static void
on_idle(void *cookie)
{
	struct vm *vm = cookie;

	vm->idle = true;
	guest_stats(vm->guest, &vm->stats);
	if (vm->force)
		abandon_guest(vm);
}

static void
on_paused(void *cookie)
{
	struct vm *vm = cookie;

	/* A stop or a reset may have overtaken it. */
	if (vm->state != VM_RUNNING)
		return;
	log_info("vm %s: paused", vm->conf->name);
	set_state(vm, VM_PAUSED);
}

/*
 * Told once, by its first request; the others fail while the guest is on its way
 * to rest.  One that is asked to shut down does not wait for anybody.
 */
static bool
on_failed(void *cookie, const char *msg)
{
	struct vm *vm = cookie;

	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return false;
	if (vm->fault[0] != '\0')
		return true;
	snprintf(vm->fault, sizeof(vm->fault), "%s", msg);
	log_error("vm %s: %s: paused until it is resumed", vm->conf->name, msg);
	if (vm->state == VM_RUNNING)
		guest_pause(vm->guest);
	else
		vm->env->event(vm->env->cookie, vm);
	return true;
}

/* Does a guest that has ended by itself boot again? */
static bool
boots_again(const struct vm *vm)
{
	if (vm->stop)
		return false;
	if (vm->reset)
		return true;
	switch (vm->reason) {
	case VM_REASON_RESET:
		return vm->conf->on_reboot == ON_END_RESTART;
	case VM_REASON_SHUTDOWN:
	case VM_REASON_ERROR:
		/* What never ran would not the next time either. */
		return vm->conf->on_crash == ON_END_RESTART && vm->boots > 0;
	default:
		return false;
	}
}

/* When does it, which has ended now? */
static uint64_t
boot_time(struct vm *vm)
{
	uint64_t now = loop_now_ns();

	if (vm->booted != 0 && now - vm->booted >= BACKOFF_RESET)
		vm->backoff = 0;
	/* Only what a guest can do is bounded, not the administrator. */
	if (vm->reset)
		return now;
	if (vm->reason == VM_REASON_RESET)
		return vm->booted + BOOT_INTERVAL;
	vm->backoff = vm->backoff == 0 ? BACKOFF_MIN : 2 * vm->backoff;
	if (vm->backoff > BACKOFF_MAX)
		vm->backoff = BACKOFF_MAX;
	return now + vm->backoff;
}

/* With no guest left. */
static void
schedule_boot(struct vm *vm)
{
	uint64_t now = loop_now_ns();
	double wait;

	wait = vm->next_boot > now ?
	    (double)(vm->next_boot - now) / (double)NS_PER_S : 0.0;
	if (wait < 1.0)
		log_info("vm %s: %s, boots again", vm->conf->name,
		    vm_reason_name(vm->reason));
	else
		log_info("vm %s: %s, boots again in %.0f s", vm->conf->name,
		    vm_reason_name(vm->reason), wait);
	ev_timer_set(&vm->boot_timer, wait, 0.0);
	ev_timer_start(loop_ev(vm->env->loop), &vm->boot_timer);
}

static void
boot_again(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct vm *vm = t->data;

	(void)ev;
	(void)revents;
	if (boot(vm) == 0)
		return;
	if (boots_again(vm)) {
		vm->next_boot = boot_time(vm);
		schedule_boot(vm);
	} else
		set_stopped(vm);
}

static void
on_ended(void *cookie, enum vm_reason reason, const char *msg)
{
	struct vm *vm = cookie;

	vm->ended = true;
	vm->idle = true;
	vm->reason = reason;
	if (vm->booted != 0)
		guest_stats(vm->guest, &vm->stats);
	snprintf(vm->msg, sizeof(vm->msg), "%s", msg);
	if (msg[0] != '\0')
		log_error("vm %s: %s", vm->conf->name, msg);
	if (vm->force) {
		abandon_guest(vm);
		return;
	}
	vm->again = boots_again(vm);
	if (vm->again) {
		vm->next_boot = boot_time(vm);
		guest_keep_nics(vm->guest, &vm->nics);
	}
	set_state(vm, vm->again ? VM_STARTING : VM_STOPPING);
}

static void
on_gone(void *cookie)
{
	struct vm *vm = cookie;

	vm->guest = NULL;
	if (vm->again && !vm->stop)
		schedule_boot(vm);
	else
		set_stopped(vm);
}

static const struct guest_ops vm_guest_ops = {
	.running = on_running,
	.idle = on_idle,
	.paused = on_paused,
	.failed = on_failed,
	.ended = on_ended,
	.gone = on_gone,
};

void
vm_stop_asking(struct vm *vm)
{
	ev_timer_stop(loop_ev(vm->env->loop), &vm->ask_timer);
	if (vm->guest != NULL && !vm->ended)
		guest_stop(vm->guest);
}

static void
asked_enough(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct vm *vm = t->data;

	(void)ev;
	(void)revents;
	log_warn("vm %s: did not shut down when asked", vm->conf->name);
	vm_stop_asking(vm);
}

struct vm *
vm_create(const struct vm_env *env, const struct vm_config *conf)
{
	struct vm *vm;

	vm = calloc(1, sizeof(*vm));
	if (vm == NULL)
		return NULL;
	vm->env = env;
	ev_timer_init(&vm->boot_timer, boot_again, 0.0, 0.0);
	vm->boot_timer.data = vm;
	ev_timer_init(&vm->ask_timer, asked_enough, 0.0, 0.0);
	vm->ask_timer.data = vm;
	vm->conf = vm_config_dup(conf);
	if (vm->conf == NULL)
		goto free_vm;
	vm->console = console_create(env->loop);
	if (vm->console == NULL)
		goto free_conf;
	return vm;
free_conf:
	vm_config_free(vm->conf);
free_vm:
	free(vm);
	errno = ENOMEM;
	return NULL;
}

void
vm_destroy(struct vm *vm)
{
	assert(vm->state == VM_STOPPED);
	console_destroy(vm->console);
	vm_config_free(vm->conf);
	free(vm);
}

int
vm_start(struct vm *vm)
{
	int error;

	if (vm->state != VM_STOPPED)
		return -EBUSY;
	vm->stop = false;
	vm->force = false;
	vm->reason = VM_REASON_NONE;
	vm->msg[0] = '\0';
	memset(&vm->stats, 0, sizeof(vm->stats));
	vm->boots = 0;
	vm->backoff = 0;
	error = boot(vm);
	if (error == 0)
		set_state(vm, VM_STARTING);
	return error;
}

/* Asks a guest to shut down; false if that is of no use. */
static bool
ask_guest(struct vm *vm)
{
	if ((vm->state != VM_RUNNING && vm->state != VM_PAUSED) ||
	    vm->conf->stop_timeout == 0 || !guest_ask_stop(vm->guest))
		return false;
	guest_resume(vm->guest);
	log_info("vm %s: asked to shut down", vm->conf->name);
	ev_timer_set(&vm->ask_timer,
	    (double)vm->conf->stop_timeout / (double)NS_PER_S, 0.0);
	ev_timer_start(loop_ev(vm->env->loop), &vm->ask_timer);
	return true;
}

static void
stop_guest(struct vm *vm)
{
	bool asking = ev_is_active(&vm->ask_timer);

	if (!vm->ended && (vm->force || (!asking && !ask_guest(vm))))
		vm_stop_asking(vm);
	set_state(vm, VM_STOPPING);
}

int
vm_stop(struct vm *vm, bool force)
{
	if (vm->state == VM_STOPPED)
		return -ESRCH;
	vm->stop = true;
	vm->force = vm->force || force;
	if (vm->guest == NULL) {
		ev_timer_stop(loop_ev(vm->env->loop), &vm->boot_timer);
		vm->reason = VM_REASON_STOP;
		set_stopped(vm);
	} else if (vm->force && vm->idle) {
		abandon_guest(vm);
	} else {
		stop_guest(vm);
	}
	return 0;
}

int
vm_pause(struct vm *vm)
{
	if (vm->state != VM_RUNNING)
		return -ESRCH;
	guest_pause(vm->guest);
	return 0;
}

int
vm_resume(struct vm *vm)
{
	if (vm->state != VM_PAUSED)
		return -ESRCH;
	vm->fault[0] = '\0';
	guest_resume(vm->guest);
	log_info("vm %s: resumed", vm->conf->name);
	set_state(vm, VM_RUNNING);
	return 0;
}

int
vm_reset(struct vm *vm)
{
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return -ESRCH;
	vm->reset = true;
	guest_reset(vm->guest);
	set_state(vm, VM_STARTING);
	return 0;
}

const struct vm_config *
vm_conf(const struct vm *vm)
{
	return vm->conf;
}

int
vm_set_conf(struct vm *vm, const struct vm_config *conf)
{
	struct vm_config *copy;

	if (vm->state != VM_STOPPED)
		return -EBUSY;
	copy = vm_config_dup(conf);
	if (copy == NULL)
		return -ENOMEM;
	vm_config_free(vm->conf);
	vm->conf = copy;
	return 0;
}

void
vm_set_live(struct vm *vm, const struct vm_config *conf)
{
	vm_config_set_live(vm->conf, conf);
	if (vm->guest == NULL)
		return;
	guest_pin(vm->guest, &vm->conf->affinity);
	guest_set_disks(vm->guest, vm->conf);
}

void
vm_get_status(const struct vm *vm, struct vm_status *st)
{
	bool runs = vm->booted != 0 && vm->guest != NULL && !vm->ended;
	uint64_t now = loop_now_ns();

	memset(st, 0, sizeof(*st));
	st->state = vm->state;
	st->reason = vm->fault[0] != '\0' ? VM_REASON_DISK : vm->reason;
	st->memory = vm->conf->memory;
	if (vm->state == VM_RUNNING || vm->state == VM_PAUSED)
		st->uptime_ns = now - vm->booted;
	if (vm->state == VM_STARTING && vm->next_boot > now)
		st->next_start_ns = vm->next_boot - now;
	if (runs)
		guest_stats(vm->guest, &st->stats);
	else
		st->stats = vm->stats;
	st->nvcpus = (unsigned)vm->conf->cpus;
	st->boots = vm->boots;
}

bool
vm_get_vcpu(const struct vm *vm, unsigned id, struct vm_vcpu *st)
{
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return false;
	guest_get_vcpu(vm->guest, id, st);
	return true;
}

bool
vm_get_nic(const struct vm *vm, unsigned i, struct nic_status *st)
{
	return (vm->state == VM_RUNNING || vm->state == VM_PAUSED) &&
	    guest_get_nic(vm->guest, i, st);
}

void
vm_update_nics(struct vm *vm)
{
	if (vm->guest != NULL)
		guest_set_nics(vm->guest, &vm->conf->nics);
}

const char *
vm_message(const struct vm *vm)
{
	return vm->fault[0] != '\0' ? vm->fault : vm->msg;
}

struct console *
vm_console(struct vm *vm)
{
	return vm->console;
}

const char *
vm_state_name(enum vm_state s)
{
	static const char *const name[] = {
		[VM_STOPPED] = "stopped",
		[VM_STARTING] = "starting",
		[VM_RUNNING] = "running",
		[VM_PAUSED] = "paused",
		[VM_STOPPING] = "stopping",
	};

	return name[s];
}

const char *
vm_reason_name(enum vm_reason r)
{
	static const char *const name[] = {
		[VM_REASON_NONE] = "-",
		[VM_REASON_STOP] = "stop",
		[VM_REASON_RESET] = "reset",
		[VM_REASON_SHUTDOWN] = "triple-fault",
		[VM_REASON_HALTED] = "halted",
		[VM_REASON_POWEROFF] = "poweroff",
		[VM_REASON_ERROR] = "error",
		[VM_REASON_DISK] = "disk-error",
	};

	return name[r];
}
