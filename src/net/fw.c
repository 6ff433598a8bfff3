/* SPDX-License-Identifier: ISC */
/*
 * The firewall's rules, made of its policy: see fw.h.
 */
#include "net/fw.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/fw_build.h"

/* ICMP types: RFC 792, RFC 4443, RFC 2710, RFC 3810, RFC 4861. */
#define ECHO4			8
#define ECHO6			128
#define LISTENER_QUERY		130
#define LISTENER_REPORT		131
#define LISTENER_DONE		132
#define ROUTER_SOLICITATION	133
#define ROUTER_ADVERTISEMENT	134
#define NEIGHBOUR_SOLICITATION	135
#define NEIGHBOUR_ADVERTISEMENT	136
#define LISTENER_REPORT2	143

const struct os_addr fw_link_scope[FW_LINK_SCOPES] = {
	{ .bytes = { 169, 254 }, .prefix = 16 },
	{ .bytes = { 224 }, .prefix = 4 },
	{ .bytes = { 255, 255, 255, 255 }, .prefix = 32 },
	{ .bytes = { 0xfe, 0x80 }, .prefix = 10, .ipv6 = true },
	{ .bytes = { 0xff }, .prefix = 8, .ipv6 = true },
};

struct build {
	const struct fw_policy	*p;
	struct fw_rules		*r;
	size_t			 cap;	/* of r->v */
	struct fw_tables	 tables;
	char			*err;
	size_t			 errlen;
};

static int __attribute__((__format__(__printf__, 2, 3)))
fail(struct build *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(b->err, b->errlen, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int
add(struct build *b, const struct fw_rule *rule)
{
	struct fw_rules *r = b->r;
	struct fw_rule *v;

	if (r->n == b->cap) {
		v = reallocarray(r->v, b->cap * 2 + 64, sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		r->v = v;
		b->cap = b->cap * 2 + 64;
	}
	r->v[r->n++] = *rule;
	return 0;
}

/* What all rules begin as. */
static struct fw_rule
blank(enum fw_stage stage, enum fw_verdict verdict)
{
	return (struct fw_rule){ .stage = stage, .verdict = verdict,
	    .nic = FW_ALL, .sw = FW_ALL, .own = FW_ALL,
	    .peer = { .sw = FW_ALL, .table = FW_ALL } };
}

static struct fw_rule
of_nic(const struct build *b, enum fw_stage stage, enum fw_verdict verdict,
    uint32_t nic)
{
	struct fw_rule r = blank(stage, verdict);
	enum fw_log log = b->p->nic[nic].log;

	r.nic = nic;
	r.sw = b->p->nic[nic].sw;
	r.log = log == FW_LOG_ALL ||
	    (log == FW_LOG_BLOCKED && verdict == FW_BLOCK);
	return r;
}

static void
peer_switch(struct fw_rule *r, uint32_t sw)
{
	r->peer.kind = FW_PEER_SWITCH;
	r->peer.sw = sw;
	r->peer.table = sw;
}

static int
add_spoof(struct build *b, uint32_t sw)
{
	struct fw_rule r = blank(FW_SPOOF, FW_BLOCK);

	r.check = FW_CHECK_SPOOF;
	r.sw = sw;
	peer_switch(&r, sw);
	return add(b, &r);
}

static int
add_check(struct build *b, enum fw_check check)
{
	struct fw_rule r = blank(FW_FRAME, FW_BLOCK);

	r.check = check;
	return add(b, &r);
}

static int
add_nic_check(struct build *b, uint32_t nic, enum fw_check check,
    uint32_t table, uint32_t own)
{
	struct fw_rule r = of_nic(b, FW_FRAME, FW_BLOCK, nic);

	r.check = check;
	r.peer.table = table;
	r.own = own;
	return add(b, &r);
}

static int
add_frame(struct build *b, uint32_t nic)
{
	static const enum fw_check locks[] = { FW_CHECK_MAC, FW_CHECK_ARP,
	    FW_CHECK_IP4, FW_CHECK_IP6, FW_CHECK_ND };
	const struct fw_tables *t = &b->tables;
	size_t i;
	int error = 0;

	if (!b->p->nic[nic].locked)
		return add_nic_check(b, nic, FW_CHECK_OTHERS, t->all_guests,
		    t->own[nic]) ?:
		    add_nic_check(b, nic, FW_CHECK_OTHERS, t->all_subnets,
		    t->subnets[b->p->nic[nic].sw]);
	for (i = 0; i < sizeof(locks) / sizeof(locks[0]) && error == 0; i++)
		error = add_nic_check(b, nic, locks[i], FW_ALL, t->own[nic]);
	return error;
}

static int
add_icmp6(struct build *b, enum fw_stage stage, uint32_t sw, uint8_t type)
{
	struct fw_rule r = blank(stage, FW_PASS);

	r.sw = sw;
	r.family = 6;
	r.proto = FW_ICMP6;
	r.has_icmp = true;
	r.icmp = type;
	r.stateless = true;
	return add(b, &r);
}

static int
add_port(struct build *b, enum fw_stage stage, uint32_t sw, uint8_t family,
    uint16_t port)
{
	struct fw_rule r = blank(stage, FW_PASS);

	r.sw = sw;
	r.family = family;
	r.proto = FW_UDP;
	r.lo = r.hi = port;
	r.stateless = true;
	return add(b, &r);
}

/* Without neighbour discovery there is no IPv6. */
static int
add_host_all(struct build *b)
{
	return add_icmp6(b, FW_HOST, FW_ALL, ROUTER_SOLICITATION) ?:
	    add_icmp6(b, FW_HOST, FW_ALL, NEIGHBOUR_SOLICITATION) ?:
	    add_icmp6(b, FW_HOST, FW_ALL, NEIGHBOUR_ADVERTISEMENT);
}

/* A guest among neighbours asks their DHCP server, if it is told to. */
static int
add_out_all(struct build *b)
{
	uint32_t s;
	int error;

	error = add_icmp6(b, FW_OUT, FW_ALL, LISTENER_REPORT) ?:
	    add_icmp6(b, FW_OUT, FW_ALL, LISTENER_DONE) ?:
	    add_icmp6(b, FW_OUT, FW_ALL, ROUTER_SOLICITATION) ?:
	    add_icmp6(b, FW_OUT, FW_ALL, NEIGHBOUR_SOLICITATION) ?:
	    add_icmp6(b, FW_OUT, FW_ALL, NEIGHBOUR_ADVERTISEMENT) ?:
	    add_icmp6(b, FW_OUT, FW_ALL, LISTENER_REPORT2);
	for (s = 0; s < b->p->nsws && error == 0; s++)
		if (b->p->sw[s].shared)
			error = add_port(b, FW_OUT, s, 4, 67) ?:
			    add_port(b, FW_OUT, s, 6, 547);
	return error;
}

/* Isolation is first, as it is of all frames but published ports'. */
static int
add_isolate(struct build *b, uint32_t sw)
{
	struct fw_rule r = blank(FW_IN, FW_BLOCK);

	r.sw = sw;
	r.want = FW_RDR_NOT;
	peer_switch(&r, sw);
	return add(b, &r);
}

/* What guests are told by routers and DHCP servers among the neighbours. */
static int
add_in_shared(struct build *b, uint32_t sw)
{
	return add_icmp6(b, FW_IN, sw, LISTENER_QUERY) ?:
	    add_icmp6(b, FW_IN, sw, ROUTER_ADVERTISEMENT) ?:
	    add_port(b, FW_IN, sw, 4, 68) ?: add_port(b, FW_IN, sw, 6, 546);
}

static int
add_in_all(struct build *b)
{
	struct fw_rule nobody = blank(FW_IN, FW_BLOCK);
	uint32_t s;
	int error = 0;

	for (s = 0; s < b->p->nsws && error == 0; s++)
		if (b->p->sw[s].isolate)
			error = add_isolate(b, s);
	error = error ?:
	    add_icmp6(b, FW_IN, FW_ALL, NEIGHBOUR_SOLICITATION) ?:
	    add_icmp6(b, FW_IN, FW_ALL, NEIGHBOUR_ADVERTISEMENT);
	for (s = 0; s < b->p->nsws && error == 0; s++) {
		nobody.nic = FW_NOBODY;
		nobody.sw = s;
		error = b->p->sw[s].shared ? add_in_shared(b, s) :
		    add(b, &nobody);
	}
	return error;
}

static int
set_cidr(struct build *b, struct fw_rule *r, const struct os_addr *cidr,
    uint32_t nic)
{
	if (r->family != 0 && (r->family == 6) != cidr->ipv6)
		return fail(b, "vm %s: nic %u: an address of the other family",
		    b->p->nic[nic].guest, b->p->nic[nic].number);
	r->peer.kind = FW_PEER_CIDR;
	r->peer.cidr = fw_subnet_of(cidr);
	r->family = cidr->ipv6 ? 6 : 4;
	return 0;
}

static bool
set_guest(struct build *b, struct fw_rule *r, const char *name)
{
	uint32_t i;

	r->peer.kind = FW_PEER_GUEST;
	for (i = 0; i < b->p->nnics; i++)
		if (strcmp(b->p->nic[i].guest, name) == 0) {
			r->peer.table = b->tables.guest[i];
			return true;
		}
	return false;
}

static bool
set_switch(struct build *b, struct fw_rule *r, const char *name)
{
	uint32_t i;

	for (i = 0; i < b->p->nsws; i++)
		if (strcmp(b->p->sw[i].name, name) == 0) {
			peer_switch(r, i);
			return true;
		}
	return false;
}

/* 0; -ENOENT: there is no such peer, so nothing is ever its. */
static int
set_peer(struct build *b, struct fw_rule *r, const struct fw_allow *a,
    uint32_t nic)
{
	switch (a->kind) {
	case FW_PEER_ANY:
		return 0;
	case FW_PEER_CIDR:
		return set_cidr(b, r, &a->cidr, nic);
	case FW_PEER_GUEST:
		return set_guest(b, r, a->name) ? 0 : -ENOENT;
	case FW_PEER_SWITCH:
		return set_switch(b, r, a->name) ? 0 : -ENOENT;
	}
	return -EINVAL;
}

/* ICMP's or ICMPv6's, of the type that a rule of both has no room for. */
static int
add_echo(struct build *b, const struct fw_rule *any, uint8_t family)
{
	struct fw_rule r = *any;

	r.family = family;
	r.proto = family == 6 ? FW_ICMP6 : FW_ICMP;
	r.has_icmp = true;
	r.icmp = family == 6 ? ECHO6 : ECHO4;
	return add(b, &r);
}

static int
add_allow(struct build *b, enum fw_stage stage, uint32_t nic,
    const struct fw_allow *a)
{
	struct fw_rule r = of_nic(b, stage, FW_PASS, nic);
	int error;

	r.family = a->family;
	r.proto = a->proto;
	r.lo = a->lo;
	r.hi = a->hi;
	error = set_peer(b, &r, a, nic);
	if (error != 0)
		return error == -ENOENT ? 0 : error;
	if (!a->echo) {
		if (r.proto == FW_ICMP && r.family == 6)
			r.proto = FW_ICMP6;
		return add(b, &r);
	}
	if (r.family != 6)
		error = add_echo(b, &r, 4);
	if (error == 0 && r.family != 4)
		error = add_echo(b, &r, 6);
	return error;
}

/* All that is allowed, then nothing. */
static int
add_allows(struct build *b, enum fw_stage stage, uint32_t nic,
    const struct fw_allows *a)
{
	struct fw_rule last = of_nic(b, stage, FW_BLOCK, nic);
	size_t i;
	int error = 0;

	for (i = 0; i < a->n && error == 0; i++)
		error = add_allow(b, stage, nic, &a->v[i]);
	return error ?: add(b, &last);
}

/* The first address of a NIC of a family; or NULL. */
static const struct os_addr *
nic_addr(const struct fw_nic *nic, bool ipv6)
{
	size_t i;

	for (i = 0; i < nic->naddrs; i++)
		if (nic->addrs[i].ipv6 == ipv6)
			return &nic->addrs[i];
	return NULL;
}

/* Does this published port have that family? */
static bool
publishes(const struct fw_nic *nic, const struct fw_publish *pub, bool ipv6)
{
	return (!pub->has_host || pub->host.ipv6 == ipv6) &&
	    nic_addr(nic, ipv6) != NULL;
}

static int
add_rdr(struct build *b, uint32_t nic, const struct fw_publish *pub, bool ipv6)
{
	const struct fw_nic *n = &b->p->nic[nic];
	struct fw_rule r = of_nic(b, FW_RDR, FW_TRANSLATE, nic);

	if (!publishes(n, pub, ipv6))
		return 0;
	r.log = false;
	r.family = ipv6 ? 6 : 4;
	r.proto = pub->proto;
	r.lo = r.hi = pub->port;
	r.has_host = pub->has_host;
	if (pub->has_host)
		r.host = fw_host_of(&pub->host);
	r.to = fw_host_of(nic_addr(n, ipv6));
	r.to_port = pub->to;
	return add(b, &r);
}

/* Those of one address of the host first, then those of all. */
static int
add_rdrs(struct build *b, bool has_host)
{
	const struct fw_publish *pub;
	const struct fw_nic *n;
	uint32_t i;
	size_t k;
	int error = 0;

	for (i = 0; i < b->p->nnics; i++) {
		n = &b->p->nic[i];
		for (k = 0; k < n->npublish && error == 0; k++) {
			pub = &n->publish[k];
			if (!publishes(n, pub, false) &&
			    !publishes(n, pub, true))
				return fail(b, "vm %s: nic %u: port %u cannot "
				    "be published: no address of that family",
				    n->guest, n->number, pub->port);
			if (pub->has_host == has_host)
				error = add_rdr(b, i, pub, false) ?:
				    add_rdr(b, i, pub, true);
		}
	}
	return error;
}

/* What is published lets in what was sent to the host's port. */
static int
add_published(struct build *b, uint32_t nic)
{
	const struct fw_nic *n = &b->p->nic[nic];
	struct fw_rule r;
	unsigned ipv6;
	size_t i;
	int error = 0;

	for (i = 0; i < n->npublish; i++)
		for (ipv6 = 0; ipv6 < 2 && error == 0; ipv6++) {
			if (!publishes(n, &n->publish[i], ipv6 != 0))
				continue;
			r = of_nic(b, FW_IN, FW_PASS, nic);
			r.family = ipv6 != 0 ? 6 : 4;
			r.proto = n->publish[i].proto;
			r.lo = r.hi = n->publish[i].to;
			r.want = FW_RDR_ONLY;
			error = add(b, &r);
		}
	return error;
}

static struct fw_rule
nat_rule(const struct fw_switch *sw, uint32_t s, const struct os_addr *a)
{
	struct fw_rule r = blank(FW_NAT, FW_TRANSLATE);

	r.sw = s;
	r.family = a->ipv6 ? 6 : 4;
	r.peer.kind = FW_PEER_CIDR;
	r.peer.cidr = fw_subnet_of(a);
	if (sw->nat == FW_NAT_IFACE)
		snprintf(r.iface, sizeof(r.iface), "%s", sw->nat_iface);
	return r;
}

/* For a guest that asks for a published port of another of its switch. */
static int
add_hairpin(struct build *b, uint32_t nic, uint32_t s)
{
	const struct fw_nic *n = &b->p->nic[nic];
	const struct fw_switch *sw = &b->p->sw[s];
	struct fw_rule r;
	const struct os_addr *to;
	size_t i, k;
	int error = 0;

	for (i = 0; i < sw->naddrs; i++) {
		to = nic_addr(n, sw->addrs[i].ipv6);
		for (k = 0; k < n->npublish; k++)
			if (publishes(n, &n->publish[k], sw->addrs[i].ipv6))
				break;
		if (k == n->npublish || error != 0)
			continue;
		r = nat_rule(sw, s, &sw->addrs[i]);
		r.nic = nic;
		r.want = FW_RDR_ONLY;
		r.has_host = true;
		r.host = fw_host_of(to);
		snprintf(r.iface, sizeof(r.iface), "%s", sw->iface);
		error = add(b, &r);
	}
	return error;
}

/* Unique local addresses (RFC 4193) are for nobody outside. */
static bool
is_translated(const struct os_addr *a)
{
	return !a->ipv6 || (a->bytes[0] & 0xfe) == 0xfc;
}

static int
add_nat_of(struct build *b, uint32_t s, const struct os_addr *a, size_t n)
{
	struct fw_rule r;
	size_t i;
	int error = 0;

	for (i = 0; i < n && error == 0; i++) {
		if (!is_translated(&a[i]))
			continue;
		r = nat_rule(&b->p->sw[s], s, &a[i]);
		error = add(b, &r);
	}
	return error;
}

/* Neighbours in its subnets are not ours to translate. */
static int
add_nat_shared(struct build *b, uint32_t s)
{
	const struct fw_policy *p = b->p;
	size_t i;
	int error = 0;

	for (i = 0; i < p->nnics && error == 0; i++)
		if (p->nic[i].sw == s)
			error = add_nat_of(b, s, p->nic[i].addrs,
			    p->nic[i].naddrs);
	return error;
}

static int
add_nat(struct build *b)
{
	const struct fw_policy *p = b->p;
	const struct fw_switch *sw;
	uint32_t i;
	int error = 0;

	for (i = 0; i < p->nnics && error == 0; i++)
		error = add_hairpin(b, i, p->nic[i].sw);
	for (i = 0; i < p->nsws && error == 0; i++) {
		sw = &p->sw[i];
		if (sw->nat != FW_NAT_NO && sw->shared)
			error = add_nat_shared(b, i);
		else if (sw->nat != FW_NAT_NO)
			error = add_nat_of(b, i, sw->addrs, sw->naddrs);
	}
	return error;
}

/* The rules of each NIC in a stage. */
static int
add_nics(struct build *b, enum fw_stage stage)
{
	const struct fw_nic *n;
	uint32_t i;
	int error = 0;

	for (i = 0; i < b->p->nnics && error == 0; i++) {
		n = &b->p->nic[i];
		if (stage == FW_FRAME)
			error = add_frame(b, i);
		else if (stage == FW_HOST)
			error = add_allows(b, stage, i, &n->host);
		else if (stage == FW_OUT)
			error = add_allows(b, stage, i, &n->out);
		else
			error = add_published(b, i) ?:
			    add_allows(b, stage, i, &n->in);
	}
	return error;
}

static int
build(struct build *b)
{
	uint32_t s;
	int error;

	error = fw_tables_make(b->p, b->r, &b->tables);
	for (s = 0; s < b->p->nsws && error == 0; s++)
		error = add_spoof(b, s);
	return error ?: add_check(b, FW_CHECK_TYPE) ?:
	    add_check(b, FW_CHECK_DHCP) ?: add_check(b, FW_CHECK_RA) ?:
	    add_nics(b, FW_FRAME) ?: add_rdrs(b, true) ?: add_rdrs(b, false) ?:
	    add_host_all(b) ?: add_nics(b, FW_HOST) ?: add_out_all(b) ?:
	    add_nics(b, FW_OUT) ?: add_in_all(b) ?: add_nics(b, FW_IN) ?:
	    add_nat(b);
}

int
fw_build(const struct fw_policy *p, struct fw_rules *r, char *err,
    size_t errlen)
{
	struct build b = { .p = p, .r = r, .err = err, .errlen = errlen };
	int error;

	memset(r, 0, sizeof(*r));
	error = build(&b);
	fw_tables_free(&b.tables);
	if (error == -ENOMEM)
		snprintf(err, errlen, "firewall: %s", strerror(ENOMEM));
	if (error != 0)
		fw_rules_free(r);
	return error;
}

/* Does it let anything through that the host would forward? */
static bool
nic_forwards(const struct fw_nic *n, const struct fw_switch *sw)
{
	size_t i;

	for (i = 0; i < n->in.n; i++)
		if (n->in.v[i].kind != FW_PEER_SWITCH ||
		    strcmp(n->in.v[i].name, sw->name) != 0)
			return true;
	return n->out.n > 0 || n->npublish > 0;
}

bool
fw_forwards(const struct fw_policy *p, bool ipv6)
{
	const struct fw_switch *sw;
	size_t i, k;

	for (i = 0; i < p->nnics; i++) {
		sw = &p->sw[p->nic[i].sw];
		for (k = 0; k < sw->naddrs && !sw->shared; k++)
			if (sw->addrs[k].ipv6 == ipv6 &&
			    nic_forwards(&p->nic[i], sw))
				return true;
	}
	return false;
}

void
fw_ours(char out[FW_OURS], const char *daemon)
{
	bool usual = strcmp(daemon, "vmmd") == 0;

	snprintf(out, FW_OURS, "vmmd%s%s", usual ? "" : "-",
	    usual ? "" : daemon);
}
