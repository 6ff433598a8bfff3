/* SPDX-License-Identifier: ISC */
/*
 * Steps from what there is to what shall be: see plan.h.
 */
#include "net/plan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/addr.h"

/* One switch while it is planned. */
struct draft {
	struct plan			*p;
	const char			*daemon;
	struct os_view			*v;
	const struct switch_conf	*conf;
	struct switch_state		*s;
	struct os_link			 now;	/* the bridge; index 0: none */
	struct os_link			*uplink;	/* or NULL */
	uint8_t				 mac[6];
	bool				 known;	/* it is one of the old */
	uint16_t			 vlan;	/* it had */
	char				*err;
	size_t				 errlen;
};

void
plan_init(struct plan *p)
{
	memset(p, 0, sizeof(*p));
}

void
plan_free(struct plan *p)
{
	free(p->steps);
	memset(p, 0, sizeof(*p));
}

static struct plan_step *
plan_add(struct plan *p, enum plan_op op, int *index, const char *what)
{
	struct plan_step *s;

	if (p->n == p->cap) {
		s = reallocarray(p->steps, p->cap + 32, sizeof(*s));
		if (s == NULL) {
			p->error = -ENOMEM;
			return &p->none;
		}
		p->steps = s;
		p->cap += 32;
	}
	s = &p->steps[p->n++];
	memset(s, 0, sizeof(*s));
	s->op = op;
	s->index = index;
	snprintf(s->what, sizeof(s->what), "%s", what);
	return s;
}

static struct plan_step *
plan_set(struct plan *p, int *index, const char *what, enum os_attr attr,
    uint32_t from, uint32_t to)
{
	struct plan_step *s = plan_add(p, PLAN_SET, index, what);

	s->attr = attr;
	s->from.number = from;
	s->to.number = to;
	return s;
}

/* The same where there may be nothing to do. */
static void
plan_change(struct plan *p, int *index, const char *what, enum os_attr attr,
    uint32_t from, uint32_t to)
{
	if (from != to)
		plan_set(p, index, what, attr, from, to);
}

static void
plan_vlan(struct plan *p, int *index, const char *what, uint16_t from,
    uint16_t to, bool tagged, bool self)
{
	struct plan_step *s = plan_add(p, PLAN_VLAN, index, what);

	s->from.number = from;
	s->to.number = to;
	s->tagged = tagged;
	s->self = self;
}

static struct os_link *
view_by_name(struct os_view *v, const char *name)
{
	size_t i;

	for (i = 0; i < v->nlinks; i++)
		if (strcmp(v->links[i].name, name) == 0)
			return &v->links[i];
	return NULL;
}

static const char *
view_name(const struct os_view *v, int index)
{
	size_t i;

	for (i = 0; i < v->nlinks; i++)
		if (v->links[i].index == index)
			return v->links[i].name;
	return "another";
}

static int __attribute__((__format__(__printf__, 3, 4)))
draft_fail(struct draft *d, int error, const char *fmt, ...)
{
	va_list ap;
	int n;

	n = snprintf(d->err, d->errlen, "switch %s: ", d->conf->name);
	if (n < 0 || (size_t)n >= d->errlen)
		return error;
	va_start(ap, fmt);
	vsnprintf(d->err + n, d->errlen - (size_t)n, fmt, ap);
	va_end(ap);
	return error;
}

/* "switch lan: KIND NAME", of the step to come. */
static const char *
draft_what(const struct draft *d, char out[128], const char *kind,
    const char *name)
{
	snprintf(out, 128, "switch %s: %s %s", d->conf->name, kind, name);
	return out;
}

/* Made by this daemon, perhaps killed before it left its mark? */
static bool
draft_owns(const struct draft *d, const struct os_link *l)
{
	return ifname_is_switch_mark(l->mark, d->daemon) ||
	    (l->mark[0] == '\0' && l->kind == OS_KIND_BRIDGE &&
	    memcmp(l->mac, d->mac, sizeof(d->mac)) == 0);
}

/* Which bridge it is, and whose. */
static int
draft_resolve(struct draft *d)
{
	const struct switch_conf *c = d->conf;
	const struct os_link *l;
	char own[IFNAME_SIZE];

	ifname_switch(own, d->daemon, c->name);
	if (strlen(c->bridge) >= IFNAME_SIZE)
		return draft_fail(d, -ENAMETOOLONG, "bridge %s: %s",
		    c->bridge, strerror(ENAMETOOLONG));
	snprintf(d->s->name, sizeof(d->s->name), "%s", c->name);
	snprintf(d->s->bridge, sizeof(d->s->bridge), "%s",
	    *c->bridge != '\0' ? c->bridge : own);
	l = view_by_name(d->v, d->s->bridge);
	d->s->owned = l == NULL || draft_owns(d, l);
	if (l == NULL) {
		/* As the system makes them. */
		d->now.mtu = PLAN_MTU;
		d->now.linklocal = true;
		d->now.ra = 1;
		memcpy(d->now.mac, d->mac, sizeof(d->mac));
		return 0;
	}
	if (l->kind != OS_KIND_BRIDGE)
		return draft_fail(d, -EEXIST,
		    "bridge %s: File exists, and it is not a bridge",
		    l->name);
	if (!d->s->owned && *c->bridge == '\0')
		return draft_fail(d, -EEXIST,
		    "bridge %s: File exists, and it is not ours", l->name);
	d->now = *l;
	d->s->index = l->index;
	return 0;
}

static bool
draft_has_addr(const struct draft *d, const struct os_addr *a)
{
	size_t i;

	for (i = 0; i < d->v->naddrs && d->now.index != 0; i++)
		if (d->v->addrs[i].index == d->now.index &&
		    addr_equal(&d->v->addrs[i].addr, a))
			return true;
	return false;
}

static bool
draft_wants_addr(const struct draft *d, const struct os_addr *a)
{
	size_t i;

	for (i = 0; i < d->conf->naddrs; i++)
		if (addr_equal(&d->conf->addrs[i], a))
			return true;
	return false;
}

static void
draft_addr(struct draft *d, const struct os_addr *a, bool on)
{
	char what[128], text[ADDR_TEXT];
	struct plan_step *s;

	s = plan_add(d->p, PLAN_ADDR, &d->s->index,
	    draft_what(d, what, "address", addr_text(a, text)));
	s->addr = *a;
	s->on = on;
}

/* Addresses that others gave the bridge are theirs. */
static void
draft_addrs(struct draft *d)
{
	const struct os_ifaddr *a;
	size_t i;

	for (i = 0; i < d->v->naddrs && d->now.index != 0; i++) {
		a = &d->v->addrs[i];
		if (a->index == d->now.index && a->ours &&
		    !draft_wants_addr(d, &a->addr))
			draft_addr(d, &a->addr, false);
	}
	for (i = 0; i < d->conf->naddrs; i++)
		if (!draft_has_addr(d, &d->conf->addrs[i]))
			draft_addr(d, &d->conf->addrs[i], true);
}

/*
 * An interface is switched off and on to go into a VRF or out of it, whereby it
 * loses its IPv6 addresses.
 */
static void
draft_vrf(struct draft *d, uint32_t vrf)
{
	struct os_ifaddr *a;
	char what[128];
	size_t i;

	if ((uint32_t)d->now.master == vrf)
		return;
	for (i = 0; i < d->v->naddrs && d->now.index != 0; i++) {
		a = &d->v->addrs[i];
		if (a->index != d->now.index || !a->ours || !a->addr.ipv6)
			continue;
		draft_addr(d, &a->addr, false);
		a->index = 0;
	}
	plan_set(d->p, &d->s->index, draft_what(d, what, "vrf", d->conf->vrf),
	    OS_MASTER, (uint32_t)d->now.master, vrf);
}

static bool
draft_ipv6(const struct draft *d)
{
	size_t i;

	for (i = 0; i < d->conf->naddrs; i++)
		if (d->conf->addrs[i].ipv6)
			return true;
	return false;
}

/* What is another's stays as it is. */
static int
draft_join(struct draft *d)
{
	const struct switch_conf *c = d->conf;
	const char *key = NULL;
	char text[ADDR_TEXT];
	size_t i;

	if (*c->uplink != '\0')
		key = "uplink";
	else if (*c->vrf != '\0')
		key = "vrf";
	if (key != NULL)
		return draft_fail(d, -EPERM,
		    "bridge %s: it is not ours, and takes no %s from us",
		    d->s->bridge, key);
	if (c->mtu != 0 && c->mtu != d->now.mtu)
		return draft_fail(d, -EPERM,
		    "bridge %s: it is not ours, and its MTU is %u, not %u",
		    d->s->bridge, d->now.mtu, c->mtu);
	if (d->now.mtu > PLAN_MTU_MAX)
		return draft_fail(d, -EINVAL,
		    "bridge %s: its MTU is %u, more than a tap's, %d",
		    d->s->bridge, d->now.mtu, PLAN_MTU_MAX);
	if (c->vlan != 0 && !d->now.vlans)
		return draft_fail(d, -EPERM,
		    "bridge %s: it is not ours, and filters no VLANs",
		    d->s->bridge);
	for (i = 0; i < c->naddrs; i++)
		if (!draft_has_addr(d, &c->addrs[i]))
			return draft_fail(d, -EPERM,
			    "bridge %s: it is not ours, and has no address %s",
			    d->s->bridge, addr_text(&c->addrs[i], text));
	d->s->ports.mtu = d->now.mtu;
	d->s->up = d->now.up;
	memcpy(d->s->mac, d->now.mac, sizeof(d->s->mac));
	return 0;
}

/* Finds what the switch's keys name, and says what its ports shall be. */
static int
draft_look(struct draft *d, uint32_t *vrf)
{
	const struct switch_conf *c = d->conf;
	const struct os_link *l;
	struct os_link *u = NULL;

	*vrf = 0;
	if (*c->vrf != '\0') {
		l = view_by_name(d->v, c->vrf);
		if (l == NULL || l->kind != OS_KIND_VRF)
			return draft_fail(d, -ENODEV, "vrf %s: %s", c->vrf,
			    l == NULL ? strerror(ENODEV) : "it is no VRF");
		*vrf = (uint32_t)l->index;
	}
	if (*c->uplink != '\0') {
		u = view_by_name(d->v, c->uplink);
		if (u == NULL || u->kind == OS_KIND_BRIDGE)
			return draft_fail(d, -ENODEV, "uplink %s: %s",
			    c->uplink, u == NULL ? strerror(ENODEV) :
			    "it is a bridge itself");
		if (u->master != 0 && u->master != d->now.index)
			return draft_fail(d, -EBUSY,
			    "uplink %s: it is in %s already", c->uplink,
			    view_name(d->v, u->master));
		if (c->mtu > u->mtu)
			return draft_fail(d, -EINVAL,
			    "uplink %s: its MTU is %u, less than %u",
			    c->uplink, u->mtu, c->mtu);
		if (c->mtu == 0 && u->mtu > PLAN_MTU_MAX)
			return draft_fail(d, -EINVAL,
			    "uplink %s: its MTU is %u, more than a tap's: "
			    "write mtu, at most %d", c->uplink, u->mtu,
			    PLAN_MTU_MAX);
	}
	d->uplink = u;
	d->s->ports.mtu = c->mtu != 0 ? c->mtu : u != NULL ? u->mtu : PLAN_MTU;
	return 0;
}

static void
draft_mac(struct draft *d, const char *what)
{
	const uint8_t *mac = d->uplink != NULL ? d->uplink->mac : d->mac;
	struct plan_step *s;

	/* On the uplink's network no two hosts may have the same. */
	memcpy(d->s->mac, mac, sizeof(d->s->mac));
	if (memcmp(d->now.mac, mac, sizeof(d->mac)) == 0)
		return;
	s = plan_set(d->p, &d->s->index, what, OS_MAC, 0, 0);
	memcpy(s->from.mac, d->now.mac, sizeof(s->from.mac));
	memcpy(s->to.mac, mac, sizeof(s->to.mac));
}

static void
draft_mark(struct draft *d, const char *what)
{
	char mark[IFNAME_MARK];
	struct plan_step *s;

	ifname_switch_mark(mark, d->daemon, d->conf->name, d->conf->uplink);
	if (strcmp(mark, d->now.mark) == 0)
		return;
	s = plan_set(d->p, &d->s->index, what, OS_MARK, 0, 0);
	snprintf(s->text, sizeof(s->text), "%s", mark);
	snprintf(s->old_text, sizeof(s->old_text), "%s", d->now.mark);
}

/* The host's own place among the VLANs; a leftover's is not known. */
static void
draft_vlan(struct draft *d)
{
	bool on = d->conf->vlan != 0;
	char what[128], vid[8];

	snprintf(vid, sizeof(vid), "%u", on ? d->conf->vlan : d->vlan);
	draft_what(d, what, "vlan", vid);
	if (d->conf->vlan != d->vlan || (!d->known && d->now.vlans))
		plan_vlan(d->p, &d->s->index, what, d->vlan, d->conf->vlan,
		    false, true);
	plan_change(d->p, &d->s->index, what, OS_VLANS, d->now.vlans, on);
}

static void
draft_uplink(struct draft *d)
{
	struct os_link *u = d->uplink;
	bool joins = u->master == 0;
	char what[128];

	draft_what(d, what, "uplink", u->name);
	if (joins)
		plan_set(d->p, &u->index, what, OS_MASTER, 0, 0)->ref =
		    &d->s->index;
	plan_change(d->p, &u->index, what, OS_UP, u->up, true);
	if (joins ? d->conf->vlan != 0 :
	    d->conf->vlan != d->vlan || (!d->known && d->now.vlans))
		plan_vlan(d->p, &u->index, what, joins ? 0 : d->vlan,
		    d->conf->vlan, true, false);
}

/* Guests would tell a host without IPv6 there of routes otherwise. */
static void
draft_ipv6_set(struct draft *d)
{
	bool linklocal = d->now.linklocal;
	uint32_t ra = d->now.ra;
	char what[128];

	/* Nothing is there to set below, and all is new above. */
	if (d->s->ports.mtu < PLAN_MTU6)
		return;
	if (d->now.mtu < PLAN_MTU6) {
		linklocal = true;
		ra = 1;
	}
	draft_what(d, what, "bridge", d->s->bridge);
	plan_change(d->p, &d->s->index, what, OS_LINKLOCAL, linklocal,
	    draft_ipv6(d) || d->uplink != NULL);
	plan_change(d->p, &d->s->index, what, OS_RA, ra,
	    d->uplink != NULL ? ra : 0);
}

static int
draft_own(struct draft *d)
{
	struct switch_state *s = d->s;
	struct plan_step *step;
	char what[128], mtu[16];
	uint32_t vrf;
	int error;

	error = draft_look(d, &vrf);
	if (error != 0)
		return error;
	draft_what(d, what, "bridge", s->bridge);
	if (s->index == 0) {
		step = plan_add(d->p, PLAN_CREATE, &s->index, what);
		snprintf(step->name, sizeof(step->name), "%s", s->bridge);
		memcpy(step->to.mac, d->mac, sizeof(d->mac));
	}
	draft_mark(d, what);
	plan_change(d->p, &s->index, what, OS_GROUP, d->now.group,
	    s->ports.group);
	draft_mac(d, what);
	snprintf(mtu, sizeof(mtu), "%u", s->ports.mtu);
	plan_change(d->p, &s->index, draft_what(d, what, "mtu", mtu), OS_MTU,
	    d->now.mtu, s->ports.mtu);
	draft_ipv6_set(d);
	draft_vrf(d, vrf);
	draft_vlan(d);
	draft_addrs(d);
	plan_change(d->p, &s->index, draft_what(d, what, "bridge", s->bridge),
	    OS_UP, d->now.up, true);
	if (d->uplink != NULL)
		draft_uplink(d);
	s->up = true;
	return 0;
}

/* Fills the part of a state that no view is needed for. */
static int
draft_begin(struct draft *d, const struct switch_state *old, size_t nold)
{
	const struct switch_conf *c = d->conf;
	size_t i;
	int error;

	error = draft_resolve(d);
	if (error != 0)
		return error;
	for (i = 0; i < nold && d->s->index != 0; i++)
		if (old[i].index == d->s->index) {
			d->known = true;
			d->vlan = old[i].vlan;
		}
	d->s->vlan = d->s->ports.vlan = c->vlan;
	d->s->ports.isolated = c->isolate;
	if (*c->group != '\0' && os_group(c->group, &d->s->ports.group) != 0)
		return draft_fail(d, -EINVAL, "group %s: there is none",
		    c->group);
	return 0;
}

/* Two switches may share a bridge only if it is another's. */
static int
drafts_distinct(struct draft *d, size_t n)
{
	size_t i, j;

	for (i = 0; i < n; i++)
		for (j = 0; j < i; j++) {
			if (strcmp(d[i].s->bridge, d[j].s->bridge) == 0 &&
			    (d[i].s->owned || d[j].s->owned))
				return draft_fail(&d[i], -EEXIST,
				    "bridge %s: it is switch %s's",
				    d[i].s->bridge, d[j].conf->name);
			if (*d[i].conf->uplink != '\0' && strcmp(
			    d[i].conf->uplink, d[j].conf->uplink) == 0)
				return draft_fail(&d[i], -EBUSY,
				    "uplink %s: it is switch %s's",
				    d[i].conf->uplink, d[j].conf->name);
		}
	return 0;
}

/* Does a switch to come keep this uplink in this bridge? */
static bool
drafts_keep(const struct draft *d, size_t n, const struct os_link *bridge,
    const char *uplink)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (d[i].s->owned && d[i].s->index == bridge->index &&
		    strcmp(d[i].conf->uplink, uplink) == 0)
			return true;
	return false;
}

/* Gives back uplinks that our bridges do not have any more. */
static void
drafts_release(struct plan *p, const char *daemon, struct os_view *v,
    const struct draft *d, size_t n, const struct switch_state *old,
    size_t nold)
{
	const struct os_link *b;
	struct os_link *u;
	char what[128];
	size_t i, j;

	for (i = 0; i < v->nlinks; i++) {
		b = &v->links[i];
		if (!ifname_is_switch_mark(b->mark, daemon))
			continue;
		u = view_by_name(v, ifname_mark_uplink(b->mark));
		if (u == NULL || u->master != b->index ||
		    drafts_keep(d, n, b, u->name))
			continue;
		snprintf(what, sizeof(what), "bridge %s: uplink %s", b->name,
		    u->name);
		/* It would not come back with the bridge. */
		for (j = 0; j < nold; j++)
			if (old[j].index == b->index && old[j].vlan != 0)
				plan_vlan(p, &u->index, what, old[j].vlan, 0,
				    true, false);
		plan_set(p, &u->index, what, OS_MASTER, (uint32_t)u->master,
		    0);
		u->master = 0;
	}
}

int
plan_switches(struct plan *p, const char *daemon, struct os_view *v,
    const struct switch_conf *conf, size_t n, struct switch_state *state,
    const struct switch_state *old, size_t nold, char *err, size_t errlen)
{
	struct draft *d;
	char host[65];
	size_t i;
	int error = 0;

	d = calloc(n + 1, sizeof(*d));
	if (d == NULL) {
		snprintf(err, errlen, "network: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	os_host(host, sizeof(host));
	memset(state, 0, n * sizeof(*state));
	for (i = 0; i < n && error == 0; i++) {
		d[i] = (struct draft){
			.p = p, .daemon = daemon, .v = v, .conf = &conf[i],
			.s = &state[i], .err = err, .errlen = errlen,
		};
		ifname_switch_mac(d[i].mac, host, daemon, conf[i].name);
		error = draft_begin(&d[i], old, nold);
	}
	if (error == 0)
		error = drafts_distinct(d, n);
	if (error == 0)
		drafts_release(p, daemon, v, d, n, old, nold);
	for (i = 0; i < n && error == 0; i++)
		error = state[i].owned ? draft_own(&d[i]) : draft_join(&d[i]);
	free(d);
	return error;
}

void
plan_leftovers(struct plan *p, const char *daemon, struct os_view *v,
    const struct switch_state *state, size_t n)
{
	struct os_link *l;
	char what[128];
	bool used;
	size_t i, j;

	for (i = 0; i < v->nlinks; i++) {
		l = &v->links[i];
		if (!ifname_is_switch_mark(l->mark, daemon))
			continue;
		used = false;
		for (j = 0; j < n; j++)
			used |= state[j].owned && state[j].index == l->index;
		snprintf(what, sizeof(what), "bridge %s", l->name);
		if (!used)
			plan_add(p, PLAN_DELETE, &l->index, what);
	}
}

void
plan_port(struct plan *p, const char *what, int *index, bool up,
    const struct port_set *now, const struct port_set *want, const int *ref)
{
	struct port_set from = *now;
	/* Index 0: a bridge to be made. */
	bool moves = ref == NULL ? from.master != 0 :
	    *ref == 0 || *ref != from.master;

	if (moves) {
		/* Nothing gets through while it is not yet as it shall be. */
		plan_change(p, index, what, OS_UP, up, false);
		plan_change(p, index, what, OS_ISOLATED, from.isolated,
		    false);
		if (from.vlan != 0)
			plan_vlan(p, index, what, from.vlan, 0, false, false);
		plan_set(p, index, what, OS_MASTER, (uint32_t)from.master,
		    0)->ref = ref;
		from.isolated = false;
		from.vlan = 0;
	}
	plan_change(p, index, what, OS_MTU, from.mtu, want->mtu);
	plan_change(p, index, what, OS_GROUP, from.group, want->group);
	if (ref != NULL) {
		plan_change(p, index, what, OS_ISOLATED, from.isolated,
		    want->isolated);
		if (from.vlan != want->vlan)
			plan_vlan(p, index, what, from.vlan, want->vlan,
			    false, false);
	}
	plan_change(p, index, what, OS_UP, up && !moves, true);
}
