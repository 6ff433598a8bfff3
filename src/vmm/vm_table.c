/* SPDX-License-Identifier: ISC */
/*
 * The table of guests: see vm_table.h.  A vm is never destroyed or started from
 * within its own event; a task of the loop settles what waits instead.
 */
#include "vmm/vm_table.h"

#include <assert.h>
#include <ev.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/loop.h"
#include "devices/disk_tables.h"
#include "vmm/network.h"

#define NS_PER_S	1e9

struct vm_table {
	struct vm_env		 env;
	struct loop_task	 settle;
	vm_table_changed_fn	*changed;
	void			*cookie;
	struct vm_entry		*first;
	ev_timer		 turn;		/* of the next to start */
	uint64_t		 stagger;	/* ns */
	uint64_t		 parallel;
	bool			 closing;	/* none starts any more */
	bool			 forced;	/* some stop was */
};

const char *
vm_entry_name(const struct vm_entry *e)
{
	return vm_conf(e->vm)->name;
}

enum vm_state
vm_entry_state(const struct vm_entry *e)
{
	struct vm_status st;

	vm_get_status(e->vm, &st);
	return st.state;
}

static void
entry_free(struct vm_entry *e)
{
	vm_destroy(e->vm);
	vm_config_free(e->pending);
	free(e);
}

static void
vm_table_event(void *cookie, struct vm *vm)
{
	struct vm_table *vt = cookie;
	struct vm_entry *e;

	for (e = vt->first; e != NULL && e->vm != vm; e = e->next)
		;
	assert(e != NULL);
	vt->changed(vt->cookie, e);
	if (vm_entry_state(e) == VM_STOPPED)
		loop_post(vt->env.loop, &vt->settle);
}

/* Frees what is removed and stopped; true if no removal is left. */
static bool
vm_table_reap(struct vm_table *vt)
{
	struct vm_entry *e, **ep = &vt->first;
	bool done = true;

	while ((e = *ep) != NULL) {
		if (!e->removing || vm_entry_state(e) != VM_STOPPED) {
			done &= !e->removing;
			ep = &e->next;
			continue;
		}
		*ep = e->next;
		log_info("vm %s: removed", vm_entry_name(e));
		e->removed = true;
		vt->changed(vt->cookie, e);
		entry_free(e);
	}
	return done;
}

/* Who starts next of those that wait: the order's first, as in the file. */
static struct vm_entry *
vm_table_next(const struct vm_table *vt)
{
	struct vm_entry *e, *next = NULL;

	for (e = vt->first; e != NULL; e = e->next)
		if (e->want_start && vm_entry_state(e) == VM_STOPPED &&
		    (next == NULL || vm_conf(e->vm)->start_order <
		    vm_conf(next->vm)->start_order))
			next = e;
	return next;
}

/*
 * Starts wait for removals, because a guest that was only given a new name
 * still has its disks locked under the old one.  Those that fail say why.
 */
static void
vm_table_settle(void *arg)
{
	struct vm_table *vt = arg;
	struct vm_entry *e;
	uint64_t n = 0;

	if (!vm_table_reap(vt) || vt->closing || ev_is_active(&vt->turn))
		return;
	while ((vt->stagger == 0 || n < vt->parallel) &&
	    (e = vm_table_next(vt)) != NULL) {
		(void)vm_table_start(vt, e);
		n++;
	}
	if (n > 0 && vt->stagger > 0) {
		ev_timer_set(&vt->turn, (double)vt->stagger / NS_PER_S, 0.0);
		ev_timer_start(loop_ev(vt->env.loop), &vt->turn);
	}
}

static void
vm_table_turn(struct ev_loop *ev, ev_timer *t, int revents)
{
	(void)ev;
	(void)revents;
	vm_table_settle(t->data);
}

void
vm_table_set_stagger(struct vm_table *vt, uint64_t ns, uint64_t parallel)
{
	vt->stagger = ns;
	vt->parallel = parallel;
	if (ns == 0) {
		ev_timer_stop(loop_ev(vt->env.loop), &vt->turn);
		loop_post(vt->env.loop, &vt->settle);
	}
}

struct vm_table *
vm_table_create(struct loop *loop, struct aio *aio, const struct hv_ops *hv,
    vm_table_changed_fn *changed, void *cookie)
{
	struct vm_table *vt;

	vt = calloc(1, sizeof(*vt));
	if (vt == NULL)
		return NULL;
	vt->env.disk_tables = disk_tables_create(DISK_TABLES_BYTES);
	if (vt->env.disk_tables == NULL) {
		free(vt);
		return NULL;
	}
	vt->env.loop = loop;
	vt->env.aio = aio;
	vt->env.hv = hv;
	vt->env.event = vm_table_event;
	vt->env.cookie = vt;
	vt->settle.fn = vm_table_settle;
	vt->settle.arg = vt;
	ev_timer_init(&vt->turn, vm_table_turn, 0.0, 0.0);
	vt->turn.data = vt;
	vt->changed = changed;
	vt->cookie = cookie;
	return vt;
}

void
vm_table_confine(struct vm_table *vt, const struct confine *files,
    struct budget *memory)
{
	vt->env.files = files;
	vt->env.memory = memory;
}

void
vm_table_set_network(struct vm_table *vt, struct network *net)
{
	vt->env.net = net;
}

struct network *
vm_table_network(const struct vm_table *vt)
{
	return vt->env.net;
}

struct firewall *
vm_table_firewall(const struct vm_table *vt)
{
	return vt->env.net != NULL ? network_firewall(vt->env.net) : NULL;
}

void
vm_table_destroy(struct vm_table *vt)
{
	struct vm_entry *e;

	if (vt == NULL)
		return;
	loop_cancel(vt->env.loop, &vt->settle);
	ev_timer_stop(loop_ev(vt->env.loop), &vt->turn);
	while ((e = vt->first) != NULL) {
		vt->first = e->next;
		entry_free(e);
	}
	disk_tables_destroy(vt->env.disk_tables);
	free(vt);
}

struct vm_entry *
vm_table_first(const struct vm_table *vt)
{
	return vt->first;
}

struct vm_entry *
vm_table_find(const struct vm_table *vt, const char *name)
{
	struct vm_entry *e;

	for (e = vt->first; e != NULL; e = e->next)
		if (strcmp(vm_entry_name(e), name) == 0)
			return e;
	return NULL;
}

size_t
vm_table_count(const struct vm_table *vt)
{
	const struct vm_entry *e;
	size_t n = 0;

	for (e = vt->first; e != NULL; e = e->next)
		n++;
	return n;
}

size_t
vm_table_running(const struct vm_table *vt)
{
	const struct vm_entry *e;
	size_t n = 0;

	for (e = vt->first; e != NULL; e = e->next)
		n += vm_entry_state(e) != VM_STOPPED;
	return n;
}

int
vm_table_add(struct vm_table *vt, const struct vm_config *conf)
{
	struct vm_entry *e, **ep;

	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return -ENOMEM;
	e->vm = vm_create(&vt->env, conf);
	if (e->vm == NULL) {
		free(e);
		return -ENOMEM;
	}
	e->want_start = conf->autostart;
	for (ep = &vt->first; *ep != NULL; ep = &(*ep)->next)
		;
	*ep = e;
	loop_post(vt->env.loop, &vt->settle);
	vt->changed(vt->cookie, e);
	return 0;
}

static int
entry_set_conf(struct vm_entry *e, const struct vm_config *conf)
{
	struct buf changes;

	if (vm_config_equal(vm_conf(e->vm), conf))
		return 0;
	if (vm_entry_state(e) == VM_STOPPED)
		return vm_set_conf(e->vm, conf);
	e->pending = vm_config_dup(conf);
	if (e->pending == NULL)
		return -ENOMEM;
	buf_init(&changes, CONFIG_CHANGES_MAX);
	vm_config_changes(vm_conf(e->vm), conf, &changes);
	log_warn("vm %s: changed: restart required: %.*s", vm_entry_name(e),
	    (int)changes.len, buf_head(&changes));
	buf_free(&changes);
	return 0;
}

int
vm_table_update(struct vm_table *vt, struct vm_entry *e,
    const struct vm_config *conf)
{
	if (e->removing) {
		e->removing = false;
		e->want_start = conf->autostart;
		loop_post(vt->env.loop, &vt->settle);
	}
	vm_config_free(e->pending);
	e->pending = NULL;
	vm_set_live(e->vm, conf);
	return entry_set_conf(e, conf);
}

void
vm_table_remove(struct vm_table *vt, struct vm_entry *e)
{
	e->removing = true;
	e->want_start = false;
	(void)vm_stop(e->vm, false);
	loop_post(vt->env.loop, &vt->settle);
}

int
vm_table_start(struct vm_table *vt, struct vm_entry *e)
{
	int ret;

	if (vt->closing || e->removing)
		return -ESHUTDOWN;
	if (vm_entry_state(e) != VM_STOPPED)
		return -EBUSY;
	e->want_start = false;
	if (e->pending != NULL) {
		ret = vm_set_conf(e->vm, e->pending);
		if (ret != 0) {
			log_error("vm %s: cannot start: %s", vm_entry_name(e),
			    strerror(-ret));
			return ret;
		}
		vm_config_free(e->pending);
		e->pending = NULL;
	}
	return vm_start(e->vm);
}

int
vm_table_stop(struct vm_table *vt, struct vm_entry *e, bool force)
{
	int error;

	e->want_start = false;
	error = vm_stop(e->vm, force);
	vt->forced |= force && error == 0;
	return error;
}

bool
vm_table_forced(const struct vm_table *vt)
{
	return vt->forced;
}

void
vm_table_stop_all(struct vm_table *vt, bool force)
{
	struct vm_entry *e;

	vt->closing = true;
	ev_timer_stop(loop_ev(vt->env.loop), &vt->turn);
	for (e = vt->first; e != NULL; e = e->next)
		if (vm_stop(e->vm, force) == 0)
			vt->forced |= force;
}

void
vm_table_stop_asking(struct vm_table *vt)
{
	struct vm_entry *e;

	for (e = vt->first; e != NULL; e = e->next)
		vm_stop_asking(e->vm);
}
