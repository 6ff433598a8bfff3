/* SPDX-License-Identifier: ISC */
/*
 * The switches of a daemon and what is plugged into them: see switch.h.
 */
#include "net/switch.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/loop.h"

/* Lists of ports by their tap's index, a power of two. */
#define SWITCH_BUCKETS	256

struct switches {
	char			 daemon[PLAN_NAME];
	struct os		*os;
	struct os_watch		*watch;
	struct switch_state	*state;
	size_t			 n;
	struct switch_port	*ports[SWITCH_BUCKETS];
};

static struct switch_port **
switches_bucket(struct switches *s, int index)
{
	return &s->ports[(unsigned)index % SWITCH_BUCKETS];
}

static struct switch_state *
state_find(struct switch_state *state, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(state[i].name, name) == 0)
			return &state[i];
	return NULL;
}

const struct switch_state *
switches_find(const struct switches *s, const char *name)
{
	return state_find(s->state, s->n, name);
}

/* Says what has become of the link, if anything has. */
static void
port_tell(const struct switches *s, struct switch_port *sp)
{
	const struct switch_state *state = switches_find(s, sp->name);
	bool up = state != NULL && state->up && sp->running &&
	    sp->set.master == state->index;

	if (up == sp->up)
		return;
	sp->up = up;
	sp->link(sp, up);
}

static void
ports_tell(const struct switches *s, const char *name)
{
	struct switch_port *sp, *next;
	size_t i;

	for (i = 0; i < SWITCH_BUCKETS; i++)
		for (sp = s->ports[i]; sp != NULL; sp = next) {
			next = sp->next;
			if (name == NULL || strcmp(sp->name, name) == 0)
				port_tell(s, sp);
		}
}

/* Whoever takes a port out of its bridge takes what it was there from it. */
static void
port_moved(struct switch_port *sp, int master, bool isolated)
{
	if (sp->set.master != master)
		sp->set.vlan = 0;
	sp->set.master = master;
	sp->set.isolated = isolated;
}

/* An interface of the host has changed. */
static void
switches_heard(void *cookie, const struct os_link *l)
{
	struct switches *s = cookie;
	struct switch_port *sp;
	size_t i;
	bool up;

	for (sp = *switches_bucket(s, l->index); sp != NULL; sp = sp->next)
		if (sp->index == l->index) {
			/* What is from before it was set up is no news. */
			sp->heard |= l->asked || l->gone;
			if (!sp->heard)
				return;
			sp->running = l->running && !l->gone;
			port_moved(sp, l->gone ? 0 : l->master, l->isolated);
			port_tell(s, sp);
			return;
		}
	for (i = 0; i < s->n; i++)
		if (s->state[i].index == l->index) {
			up = l->up && !l->gone;
			s->state[i].heard |= l->asked || l->gone;
			if (!s->state[i].heard || up == s->state[i].up)
				continue;
			s->state[i].up = up;
			ports_tell(s, s->state[i].name);
		}
}

int
switches_open(struct switches **sp, const char *daemon, struct loop *loop,
    char *err, size_t errlen)
{
	struct switches *s;
	int error;

	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		snprintf(err, errlen, "network: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	snprintf(s->daemon, sizeof(s->daemon), "%s", daemon);
	error = os_open(&s->os);
	if (error == 0)
		error = os_watch_start(&s->watch, loop, switches_heard, s);
	if (error != 0) {
		snprintf(err, errlen, "network: %s", strerror(-error));
		os_close(s->os);
		free(s);
		return error;
	}
	*sp = s;
	return 0;
}

static struct os_link *
view_find(const struct os_view *v, int index)
{
	size_t i;

	for (i = 0; i < v->nlinks; i++)
		if (v->links[i].index == index)
			return &v->links[i];
	return NULL;
}

/* Plans for one that is plugged in; one whose tap is gone has no hope. */
static void
port_plan(struct plan *p, struct switch_port *sp, const struct os_view *v,
    struct switch_state *state, size_t n)
{
	const struct switch_state *to = state_find(state, n, sp->name);
	const struct os_link *l = view_find(v, sp->index);
	struct port_set now;

	if (l == NULL)
		return;
	port_moved(sp, l->master, l->isolated);
	now = sp->set;
	now.mtu = l->mtu;
	now.group = l->group;
	if (to == NULL)
		plan_port(p, sp->what, &sp->index, l->up, &now, &now, NULL);
	else
		plan_port(p, sp->what, &sp->index, l->up, &now, &to->ports,
		    &to->index);
}

/* The new state is in force. */
static void
switches_adopt(struct switches *s, struct switch_state *state, size_t n)
{
	const struct switch_state *to;
	struct switch_port *sp;
	size_t i;
	int error;

	free(s->state);
	s->state = state;
	s->n = n;
	for (i = 0; i < n; i++) {
		state[i].ports.master = state[i].index;
		/* News of it may be from before it was made to be so. */
		error = os_watch_ask(s->watch, state[i].index);
		if (error != 0)
			log_warn("switch %s: %s", state[i].name,
			    strerror(-error));
	}
	for (i = 0; i < SWITCH_BUCKETS; i++)
		for (sp = s->ports[i]; sp != NULL; sp = sp->next) {
			to = switches_find(s, sp->name);
			if (to != NULL)
				sp->set = to->ports;
			else
				port_moved(sp, 0, false);
		}
	ports_tell(s, NULL);
}

static int
switches_plan(struct switches *s, struct plan *p, struct os_view *v,
    const struct switch_conf *conf, size_t n, struct switch_state *state,
    char *err, size_t errlen)
{
	struct switch_port *sp;
	size_t i;
	int error;

	error = plan_switches(p, s->daemon, v, conf, n, state, s->state,
	    s->n, err, errlen);
	if (error != 0)
		return error;
	for (i = 0; i < SWITCH_BUCKETS; i++)
		for (sp = s->ports[i]; sp != NULL; sp = sp->next)
			port_plan(p, sp, v, state, n);
	plan_leftovers(p, s->daemon, v, state, n);
	return plan_run(p, s->os, err, errlen);
}

int
switches_apply(struct switches *s, const struct switch_conf *conf, size_t n,
    char *err, size_t errlen)
{
	struct switch_state *state;
	struct os_view v;
	struct plan p;
	int error;

	state = calloc(n + 1, sizeof(*state));
	error = state != NULL ? os_view_get(s->os, &v) : -ENOMEM;
	if (error != 0) {
		snprintf(err, errlen, "network: %s", strerror(-error));
		free(state);
		return error;
	}
	plan_init(&p);
	error = switches_plan(s, &p, &v, conf, n, state, err, errlen);
	if (error == 0)
		switches_adopt(s, state, n);
	else
		free(state);
	plan_free(&p);
	os_view_free(&v);
	return error;
}

void
switches_cut(struct switches *s, const int *index, size_t n)
{
	/* If it fails, closing them takes longer. */
	(void)os_links_delete(s->os, index, n);
}

void
switches_close(struct switches *s)
{
	char err[256];
	size_t i;

	if (s == NULL)
		return;
	for (i = 0; i < SWITCH_BUCKETS; i++)
		assert(s->ports[i] == NULL);
	if (switches_apply(s, NULL, 0, err, sizeof(err)) != 0)
		log_warn("%s", err);
	os_watch_stop(s->watch);
	os_close(s->os);
	free(s->state);
	free(s);
}

/* Makes a port one of that switch, which it is told of then. */
static int
port_join(struct switches *s, struct switch_port *sp, const char *name,
    char *err, size_t errlen)
{
	struct switch_state *to = state_find(s->state, s->n, name);
	struct plan p;
	int error;

	if (to == NULL) {
		snprintf(err, errlen, "%s: there is no switch %s", sp->what,
		    name);
		return -ENOENT;
	}
	plan_init(&p);
	plan_port(&p, sp->what, &sp->index, true, &sp->set, &to->ports,
	    &to->index);
	error = plan_run(&p, s->os, err, errlen);
	plan_free(&p);
	if (error != 0)
		return error;
	sp->set = to->ports;
	snprintf(sp->name, sizeof(sp->name), "%s", name);
	sp->heard = false;
	/* It may have changed since it was made. */
	error = os_watch_ask(s->watch, sp->index);
	if (error != 0)
		log_warn("%s: %s", sp->what, strerror(-error));
	return 0;
}

int
switches_plug(struct switches *s, struct switch_port *sp, const char *name,
    char *err, size_t errlen)
{
	int error;

	error = port_join(s, sp, name, err, errlen);
	if (error != 0)
		return error;
	sp->next = *switches_bucket(s, sp->index);
	*switches_bucket(s, sp->index) = sp;
	port_tell(s, sp);
	return 0;
}

int
switches_move(struct switches *s, struct switch_port *sp, const char *name,
    char *err, size_t errlen)
{
	int error;

	if (strcmp(sp->name, name) == 0)
		return 0;
	error = port_join(s, sp, name, err, errlen);
	if (error != 0)
		return error;
	if (sp->up) {
		sp->up = false;
		sp->link(sp, false);
	}
	port_tell(s, sp);
	return 0;
}

void
switches_unplug(struct switches *s, struct switch_port *sp)
{
	struct switch_port **pp = switches_bucket(s, sp->index);

	while (*pp != sp)
		pp = &(*pp)->next;
	*pp = sp->next;
	sp->next = NULL;
	sp->heard = sp->up = false;
}
