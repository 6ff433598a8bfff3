/* SPDX-License-Identifier: ISC */
/*
 * The daemon: see daemon.h.  Loop thread only.
 */
#include "vmm/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/confine.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/thread.h"
#include "devices/aio.h"
#include "vmm/budget.h"
#include "vmm/config.h"
#include "vmm/control.h"
#include "vmm/firewall.h"
#include "vmm/vm_table.h"
#include "vmm/hv.h"
#include "vmm/network.h"
#include "vmm/notify.h"
#include "vmm/privilege.h"
#include "vmm/reload.h"
#include "vmm/version.h"

/* What guests may take to end whose processors do not run any more. */
#define END_TIMEOUT	10.0

/* What a forced stop may take, when only the kernel is waited for. */
#define FORCE_TIMEOUT	10.0

/* How far the end has come; signals only ever move it forward. */
enum stop_stage {
	STAGE_RUNNING,
	STAGE_STOPPING,		/* guests were asked to shut down */
	STAGE_ENDING,		/* they were ended */
	STAGE_FORCING,		/* they were forced to */
};

struct daemon {
	const char		*conf_path;
	struct config		*conf;
	struct loop		*loop;
	struct aio		*aio;
	struct confine		*files;		/* where guests' must lie */
	struct budget		 memory;	/* of all guests */
	struct network		*net;
	struct firewall		*firewall;
	struct vm_table		*guests;
	struct control_env	 env;
	struct control		*control;
	struct reload		 change;	/* that a signal asked for */
	struct firewall_wait	 settled;	/* before that */
	ev_signal		 hup, term, intr;
	ev_timer		 bound;		/* of the current stage */
	ev_timer		 watchdog;	/* the service manager's */
	enum stop_stage		 stage;
	int			 result;	/* of daemon_run() */
};

static void
daemon_guest_changed(void *cookie, struct vm_entry *e)
{
	struct daemon *d = cookie;

	if (e->removed || vm_entry_state(e) == VM_STARTING)
		firewall_refresh(d->firewall);
	if (d->control != NULL)
		control_guest_changed(d->control, e);
	if (d->stage != STAGE_RUNNING && vm_table_running(d->guests) == 0)
		loop_break(d->loop);
}

static void
daemon_set_bound(struct daemon *d, double seconds)
{
	struct ev_loop *ev = loop_ev(d->loop);

	ev_timer_stop(ev, &d->bound);
	ev_timer_set(&d->bound, seconds, 0);
	ev_timer_start(ev, &d->bound);
}

/* Moves on to the next stage of the end, and on the last one gives up. */
static void
daemon_stop(struct daemon *d)
{
	if (d->stage == STAGE_RUNNING) {
		d->stage = STAGE_STOPPING;
		(void)notify_send("STOPPING=1");
		log_info("daemon: stopping guests: %zu",
		    vm_table_running(d->guests));
		daemon_set_bound(d, d->conf->stop_timeout / 1e9);
		vm_table_stop_all(d->guests, false);
	} else if (d->stage == STAGE_STOPPING) {
		d->stage = STAGE_ENDING;
		log_warn("daemon: ending guests: %zu",
		    vm_table_running(d->guests));
		daemon_set_bound(d, END_TIMEOUT);
		vm_table_stop_asking(d->guests);
	} else if (d->stage == STAGE_ENDING) {
		d->stage = STAGE_FORCING;
		log_warn("daemon: forcing %zu guests to stop",
		    vm_table_running(d->guests));
		daemon_set_bound(d, FORCE_TIMEOUT);
		vm_table_stop_all(d->guests, true);
	} else {
		log_error("daemon: %zu guests do not stop, giving up",
		    vm_table_running(d->guests));
		d->result = -ETIMEDOUT;
		loop_break(d->loop);
	}
	if (vm_table_running(d->guests) == 0)
		loop_break(d->loop);
}

static void
daemon_bound_over(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)revents;
	daemon_stop(w->data);
}

/* Another signal does not wait for the bound. */
static void
daemon_terminate(struct ev_loop *ev, ev_signal *w, int revents)
{
	struct daemon *d = w->data;

	(void)ev;
	(void)revents;
	if (d->stage != STAGE_FORCING)
		daemon_stop(d);
}

static void
daemon_reloaded(void *cookie, int error)
{
	struct daemon *d = cookie;

	if (error == 0)
		control_configured(d->control);
	(void)notify_send("READY=1");
}

static void
daemon_reload(void *arg)
{
	struct daemon *d = arg;

	if (d->stage != STAGE_RUNNING ||
	    !firewall_settled(d->firewall, &d->settled))
		return;
	d->change = (struct reload){
		.vt = d->guests, .conf = &d->conf, .done = daemon_reloaded,
		.restart_required = &d->env.restart_required, .cookie = d,
	};
	(void)notify_reloading();
	reload_file(&d->change, d->conf_path);
}

static void
daemon_hangup(struct ev_loop *ev, ev_signal *w, int revents)
{
	(void)ev;
	(void)revents;
	daemon_reload(w->data);
}

/* Those that the loop handles; kept back until it does. */
static void
daemon_signals(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(how, &set, NULL);
}

static void
daemon_watch(struct daemon *d, ev_signal *w,
    void (*fn)(struct ev_loop *, ev_signal *, int), int signum)
{
	ev_signal_init(w, fn, signum);
	w->data = d;
	ev_signal_start(loop_ev(d->loop), w);
}

static void
daemon_alive(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)w;
	(void)revents;
	(void)notify_send("WATCHDOG=1");
}

/* Ready, and alive twice as often as is asked for. */
static void
daemon_tell(struct daemon *d)
{
	double every = notify_watchdog() / 2;
	int ret = notify_send("READY=1");

	if (ret != 0)
		log_warn("daemon: service manager: %s", strerror(-ret));
	ev_timer_init(&d->watchdog, daemon_alive, every, every);
	if (every > 0)
		ev_timer_start(loop_ev(d->loop), &d->watchdog);
}

static void
daemon_start_watchers(struct daemon *d)
{
	daemon_watch(d, &d->hup, daemon_hangup, SIGHUP);
	daemon_watch(d, &d->term, daemon_terminate, SIGTERM);
	daemon_watch(d, &d->intr, daemon_terminate, SIGINT);
	ev_timer_init(&d->bound, daemon_bound_over, 0, 0);
	d->bound.data = d;
	daemon_signals(SIG_UNBLOCK);
}

static void
daemon_stop_watchers(struct daemon *d)
{
	struct ev_loop *ev = loop_ev(d->loop);

	ev_timer_stop(ev, &d->watchdog);
	ev_timer_stop(ev, &d->bound);
	ev_signal_stop(ev, &d->intr);
	ev_signal_stop(ev, &d->term);
	ev_signal_stop(ev, &d->hup);
}

static const struct hv_ops *
daemon_find_hv(const char *backend)
{
	const struct hv_ops *hv;
	char err[256] = "";
	int ret;

	ret = hv_init();
	if (ret != 0) {
		log_error("daemon: signals: %s", strerror(-ret));
		return NULL;
	}
	hv = hv_find(backend, err, sizeof(err));
	if (hv == NULL)
		log_error("%s", err);
	return hv;
}

/* What no reload can do any more had better be known now. */
static int
daemon_check_file(const struct daemon *d)
{
	if (access(d->conf_path, R_OK) == 0)
		return 0;
	log_error("daemon: %s: %s, and SIGHUP reads it again: let user %s read "
	    "it, by chgrp and chmod g+r", d->conf_path,
	    confine_strerror(errno), d->conf->user);
	return -EACCES;
}

/*
 * Takes what only root can, then gives up being root: all that follows, from
 * the backend's device to the guests' files, is opened by who opens it later.
 */
static int
daemon_confine(struct daemon *d)
{
	char err[512];
	int ret;

	(void)privilege_lock_limit(d->conf->memory);
	firewall_forward(d->conf);
	d->control = control_create(&d->env, d->conf->socket);
	if (d->control == NULL)
		return -EIO;
	ret = privilege_give(d->conf->user, d->conf->socket, d->conf->state,
	    err, sizeof(err));
	if (ret == 0)
		ret = privilege_drop(d->conf->user, err, sizeof(err));
	if (ret == 0)
		ret = confine_create(&d->files, d->conf->path, err,
		    sizeof(err));
	if (ret != 0)
		log_error("daemon: %s", err);
	return ret == 0 ? daemon_check_file(d) : ret;
}

static struct budget *
daemon_budget(struct daemon *d, const struct hv_ops *hv)
{
	uint64_t lockable = privilege_lock_limit(d->conf->memory);

	d->memory.limit = d->conf->memory;
	if (hv->pins_memory && lockable < d->memory.limit) {
		log_warn("daemon: memory: guests may have %" PRIu64 " MiB in "
		    "all, that is the limit of locked memory (RLIMIT_MEMLOCK)",
		    lockable >> 20);
		d->memory.limit = lockable;
	}
	return &d->memory;
}

/* Its rules are there before any guest. */
static int
daemon_open_firewall(struct daemon *d, char *err, size_t errlen)
{
	const struct firewall_env env = {
		.loop = d->loop, .conf = &d->conf, .guests = d->guests,
		.switches = network_switches(d->net),
	};

	d->firewall = firewall_create(d->conf->name, &env);
	if (d->firewall == NULL) {
		snprintf(err, errlen, "firewall: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	network_set_firewall(d->net, d->firewall);
	return firewall_load(d->firewall, err, errlen);
}

/*
 * CAP_NET_ADMIN is all that bridges and taps take; what a daemon of this name
 * that was killed has left is found, and taken over or removed.
 */
static int
daemon_open_network(struct daemon *d)
{
	char err[512];
	int ret;

	ret = network_create(&d->net, d->conf->name, d->loop, err,
	    sizeof(err));
	if (ret == 0)
		ret = network_apply(d->net, d->conf, err, sizeof(err));
	if (ret == 0)
		ret = daemon_open_firewall(d, err, sizeof(err));
	if (ret != 0)
		log_error("%s", err);
	else
		vm_table_set_network(d->guests, d->net);
	return ret;
}

/* Loop, socket, engine, table of guests and switches, in this order. */
static int
daemon_open(struct daemon *d)
{
	const struct hv_ops *hv;

	/* Before any vCPU's thread is created. */
	thread_forgo_rseq();
	d->loop = loop_create();
	if (d->loop == NULL) {
		log_error("daemon: event loop: %s", strerror(errno));
		return -ENOMEM;
	}
	d->env.loop = d->loop;
	d->env.conf = &d->conf;
	d->env.conf_path = d->conf_path;
	if (daemon_confine(d) != 0)
		return -EPERM;
	hv = daemon_find_hv(d->conf->backend);
	if (hv == NULL)
		return -ENODEV;
	d->aio = aio_create(d->loop, d->conf->aio);
	if (d->aio == NULL) {
		log_error("daemon: asynchronous I/O: %s", strerror(errno));
		return -EIO;
	}
	d->guests = vm_table_create(d->loop, d->aio, hv, daemon_guest_changed,
	    d);
	if (d->guests == NULL) {
		log_error("daemon: out of memory");
		return -ENOMEM;
	}
	vm_table_confine(d->guests, d->files, daemon_budget(d, hv));
	if (daemon_open_network(d) != 0)
		return -EIO;
	d->env.guests = d->guests;
	d->env.backend = hv->name;
	d->env.started_ns = loop_now_ns();
	return 0;
}

struct daemon *
daemon_create(const char *conf_path)
{
	struct daemon *d;

	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return NULL;
	daemon_signals(SIG_BLOCK);
	d->conf_path = conf_path;
	d->settled.task.fn = daemon_reload;
	d->settled.task.arg = d;
	d->conf = reload_read(conf_path, NULL);
	if (d->conf == NULL)
		goto fail;
	log_rename(d->conf->name);
	if (daemon_open(d) != 0)
		goto fail;
	daemon_start_watchers(d);
	log_info("daemon: version %s, backend %s, socket %s", VMMD_VERSION,
	    d->env.backend, d->conf->socket);
	reload_apply(d->guests, d->conf, NULL);
	daemon_tell(d);
	return d;

fail:
	(void)daemon_destroy(d);
	return NULL;
}

int
daemon_run(struct daemon *d)
{
	loop_run(d->loop);
	if (d->result == 0)
		log_info("daemon: ended");
	return d->result;
}

bool
daemon_destroy(struct daemon *d)
{
	if (d->control != NULL)
		daemon_stop_watchers(d);
	/* Whoever waits for it is still there. */
	firewall_finish(d->firewall);
	firewall_unwait(d->firewall, &d->settled);
	control_destroy(d->control);
	if (d->guests != NULL && (vm_table_forced(d->guests) ||
	    vm_table_running(d->guests) > 0)) {
		network_abandon(d->net);
		return false;
	}
	vm_table_destroy(d->guests);
	network_destroy(d->net);
	firewall_destroy(d->firewall);
	aio_destroy(d->aio);
	loop_destroy(d->loop);
	confine_destroy(d->files);
	config_free(d->conf);
	free(d);
	return true;
}
