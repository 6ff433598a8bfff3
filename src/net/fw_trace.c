/* SPDX-License-Identifier: ISC */
/*
 * The reference of the firewall's rules: see fw_trace.h.
 */
#include "net/fw_trace.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "net/addr.h"
#include "net/frame.h"

/* One packet on its way. */
struct trace {
	const struct fw_policy		*p;
	const struct fw_rules		*r;
	const struct os_addr		*host;
	size_t				 nhost;
	const struct fw_packet		*k;
	uint32_t			 to;	/* as the caller says */
	struct fw_judgement		*v;
};

static bool
is_any(const struct os_addr *a)
{
	static const uint8_t none[16];

	return memcmp(a->bytes, none, a->ipv6 ? 16 : 4) == 0;
}

static bool
link_scope(const struct os_addr *a)
{
	unsigned i;

	for (i = 0; i < FW_LINK_SCOPES; i++)
		if (fw_addr_in(&fw_link_scope[i], a))
			return true;
	return false;
}

/* The last address of an IPv4 subnet. */
static bool
is_broadcast(const struct os_addr *net, const struct os_addr *a)
{
	return !net->ipv6 && net->prefix <= 30 && fw_addr_in(net, a) &&
	    (frame_get32(a->bytes) | addr_mask(net->prefix)) == UINT32_MAX;
}

/* The switch that has this in its subnets, or FW_ALL. */
static uint32_t
switch_of(const struct fw_policy *p, const struct os_addr *a)
{
	uint32_t i;
	size_t k;

	for (i = 0; i < p->nsws; i++)
		for (k = 0; k < p->sw[i].naddrs; k++)
			if (fw_addr_in(&p->sw[i].addrs[k], a))
				return i;
	return FW_ALL;
}

uint32_t
fw_nic_of(const struct fw_policy *p, const struct os_addr *a)
{
	uint32_t i;
	size_t k;

	for (i = 0; i < p->nnics; i++)
		for (k = 0; k < p->nic[i].naddrs; k++)
			if (addr_same(&p->nic[i].addrs[k], a))
				return i;
	return FW_ALL;
}

bool
fw_is_host(const struct fw_policy *p, const struct os_addr *host,
    size_t nhost, const struct os_addr *a)
{
	size_t i, k;

	for (i = 0; i < nhost; i++)
		if (addr_same(&host[i], a))
			return true;
	for (i = 0; i < p->nsws; i++)
		for (k = 0; k < p->sw[i].naddrs; k++)
			if (addr_same(&p->sw[i].addrs[k], a))
				return true;
	return false;
}

static bool
is_host(const struct trace *t, const struct os_addr *a)
{
	return fw_is_host(t->p, t->host, t->nhost, a);
}

/* Groups and addresses that mean no host on this link. */
static bool
is_group(const struct trace *t, const struct os_addr *a)
{
	uint32_t s = switch_of(t->p, a);
	size_t i;

	for (i = 0; s != FW_ALL && i < t->p->sw[s].naddrs; i++)
		if (is_broadcast(&t->p->sw[s].addrs[i], a))
			return true;
	return a->ipv6 ? a->bytes[0] == 0xff : a->bytes[0] >= 224;
}

/* The switch that the packet came in by, or FW_ALL. */
static uint32_t
came_by(const struct trace *t)
{
	if (t->k->from == FW_AT_NIC)
		return t->p->nic[t->k->nic].sw;
	return t->k->from == FW_AT_NEIGHBOUR ? t->k->sw : FW_ALL;
}

static void
step(struct trace *t, enum fw_stage stage, const struct fw_rule *rule)
{
	struct fw_judgement *v = t->v;

	if (v->nsteps < FW_STEPS) {
		v->step[v->nsteps].stage = stage;
		v->step[v->nsteps++].rule = rule;
	}
}

static bool
has(const struct trace *t, uint32_t table, const struct os_addr *a)
{
	return fw_table_has(&t->r->table[table], a);
}

static bool
fails_ip4(const struct trace *t, const struct fw_rule *r)
{
	const struct fw_packet *k = t->k;

	if (k->src.ipv6 || has(t, r->own, &k->src))
		return false;
	return !is_any(&k->src) || k->proto != FW_UDP || k->sport != 68 ||
	    k->dport != 67;
}

static bool
fails_ip6(const struct trace *t, const struct fw_rule *r)
{
	const struct fw_packet *k = t->k;

	if (!k->src.ipv6 || has(t, r->own, &k->src))
		return false;
	if (!is_any(&k->src) || k->proto != FW_ICMP6)
		return true;
	return k->icmp != 133 && k->icmp != 135 && k->icmp != 131 &&
	    k->icmp != 132 && k->icmp != 143;
}

static bool
fails_nd(const struct trace *t, const struct fw_rule *r)
{
	const struct fw_packet *k = t->k;

	if (!k->src.ipv6 || k->proto != FW_ICMP6 || (k->icmp != 136 &&
	    (k->icmp != 135 || !is_any(&k->src))))
		return false;
	return !k->has_target || !has(t, r->own, &k->target);
}

static bool
fails_dhcp(const struct fw_packet *k)
{
	return k->proto == FW_UDP && k->dport == (k->src.ipv6 ? 546 : 68);
}

static bool
fails_ra(const struct fw_packet *k)
{
	if (k->src.ipv6)
		return k->proto == FW_ICMP6 &&
		    (k->icmp == 134 || k->icmp == 137);
	return k->proto == FW_ICMP && (k->icmp == 9 || k->icmp == 5);
}

/* Is this what the check is there to block? */
static bool
fails(const struct trace *t, const struct fw_rule *r)
{
	const struct fw_packet *k = t->k;
	bool ip = k->ether == FW_ETHER_IP;

	switch (r->check) {
	case FW_CHECK_NONE:
		return false;
	case FW_CHECK_TYPE:
		return k->ether == FW_ETHER_OTHER;
	case FW_CHECK_MAC:
		return memcmp(k->mac, t->p->nic[k->nic].mac, 6) != 0;
	case FW_CHECK_ARP:
		return k->ether == FW_ETHER_ARP && (memcmp(k->arp_mac,
		    t->p->nic[k->nic].mac, 6) != 0 ||
		    (!is_any(&k->src) && !has(t, r->own, &k->src)));
	case FW_CHECK_DHCP:
		return ip && fails_dhcp(k);
	case FW_CHECK_RA:
		return ip && fails_ra(k);
	case FW_CHECK_IP4:
		return ip && fails_ip4(t, r);
	case FW_CHECK_IP6:
		return ip && fails_ip6(t, r);
	case FW_CHECK_ND:
		return ip && fails_nd(t, r);
	case FW_CHECK_OTHERS:
		return ip && has(t, r->peer.table, &k->src) &&
		    !has(t, r->own, &k->src);
	case FW_CHECK_SPOOF:
		return ip && has(t, r->peer.table, &k->src);
	}
	return true;
}

/* Is the rule of this NIC, or of all of which it is one? */
static bool
is_of(const struct fw_rule *r, uint32_t nic, uint32_t sw)
{
	if (r->nic != FW_ALL)
		return r->nic == nic && r->sw == sw;
	return r->sw == FW_ALL || r->sw == sw;
}

static bool
peer_is(const struct trace *t, const struct fw_rule *r, uint32_t sw)
{
	const struct os_addr *a = r->stage == FW_OUT || r->stage == FW_HOST ?
	    &t->v->dst : &t->k->src;

	switch (r->peer.kind) {
	case FW_PEER_ANY:
		return true;
	case FW_PEER_CIDR:
		return fw_addr_in(&r->peer.cidr, a);
	case FW_PEER_GUEST:
		return has(t, r->peer.table, a);
	case FW_PEER_SWITCH:
		if (r->stage == FW_IN && r->peer.sw == sw &&
		    (t->v->bridged || r->verdict == FW_BLOCK))
			return t->k->from == FW_AT_NIC && came_by(t) == sw;
		return has(t, r->peer.table, a) || (r->stage == FW_OUT &&
		    r->peer.sw == sw && link_scope(a));
	}
	return false;
}

static bool
matches(const struct trace *t, const struct fw_rule *r, uint32_t sw)
{
	const struct fw_packet *k = t->k;
	unsigned proto = k->proto;

	if (r->family != 0 && (r->family == 6) != k->src.ipv6)
		return false;
	/* A rule of both families. */
	if (r->family == 0 && r->proto == FW_ICMP && k->src.ipv6)
		proto = proto == FW_ICMP6 ? FW_ICMP : FW_ANY;
	if ((r->proto != FW_ANY && r->proto != proto) ||
	    (r->has_icmp && r->icmp != k->icmp) ||
	    (r->lo != 0 && (t->v->dport < r->lo || t->v->dport > r->hi)) ||
	    (r->want == FW_RDR_ONLY && !t->v->rdr) ||
	    (r->want == FW_RDR_NOT && t->v->rdr))
		return false;
	return peer_is(t, r, sw);
}

/* Does the stage let it through? */
static bool
checked(struct trace *t, enum fw_stage stage)
{
	uint32_t nic = stage == FW_FRAME ? t->k->nic : FW_ALL;
	size_t i;

	for (i = 0; i < t->r->n; i++) {
		const struct fw_rule *r = &t->r->v[i];

		if (r->stage != stage || (stage == FW_FRAME &&
		    !is_of(r, nic, came_by(t))) || !fails(t, r))
			continue;
		step(t, stage, r);
		return false;
	}
	step(t, stage, NULL);
	return true;
}

/*
 * The first rule in a stage of a NIC in a switch.  A packet of TCP that does
 * not begin a connection is none that a rule passes.
 */
static bool
judged(struct trace *t, enum fw_stage stage, uint32_t nic, uint32_t sw)
{
	const struct fw_rule *r;

	t->v->not_first = t->k->proto == FW_TCP && t->k->not_syn;
	if (t->v->not_first) {
		step(t, stage, NULL);
		return false;
	}
	for (r = t->r->v; r < t->r->v + t->r->n; r++) {
		if (r->stage != stage || !is_of(r, nic, sw) ||
		    !matches(t, r, sw))
			continue;
		step(t, stage, r);
		return r->verdict != FW_BLOCK;
	}
	step(t, stage, NULL);
	return true;
}

/* The port of the host may be a guest's. */
static void
redirect(struct trace *t)
{
	struct fw_judgement *v = t->v;
	const struct fw_rule *r;

	if ((t->k->proto == FW_TCP && t->k->not_syn) || !is_host(t, &v->dst))
		return;
	for (r = t->r->v; r < t->r->v + t->r->n; r++) {
		if (r->stage != FW_RDR || !matches(t, r, FW_ALL) ||
		    (r->has_host && !addr_same(&r->host, &v->dst)))
			continue;
		step(t, FW_RDR, r);
		v->rdr = true;
		v->dst = r->to;
		v->dport = r->to_port;
		v->to = FW_AT_NIC;
		v->nic = r->nic;
		return;
	}
}

/* Who gets it, as its way stands before RDR. */
static void
find_way(struct trace *t)
{
	struct fw_judgement *v = t->v;
	uint32_t by = came_by(t), nic = fw_nic_of(t->p, &v->dst);
	uint32_t sw = switch_of(t->p, &v->dst);
	bool local = link_scope(&v->dst) || is_group(t, &v->dst);

	if (t->to != FW_ALL && by != FW_ALL) {
		v->to = FW_AT_NIC;
		v->nic = t->to;
		v->bridged = t->p->nic[t->to].sw == by;
	} else if (is_host(t, &v->dst) || local) {
		v->to = FW_AT_HOST;
	} else if (nic != FW_ALL) {
		v->to = FW_AT_NIC;
		v->nic = nic;
		v->bridged = t->p->nic[nic].sw == by;
	} else if (by != FW_ALL && t->p->sw[by].shared &&
	    (sw == FW_ALL || sw == by)) {
		v->to = FW_AT_NEIGHBOUR;
		v->sw = by;
		v->bridged = true;
	} else if (sw != FW_ALL) {
		v->to = t->p->sw[sw].shared ? FW_AT_NEIGHBOUR : FW_AT_NOBODY;
		v->sw = sw;
		v->bridged = sw == by;
	} else {
		v->to = FW_AT_OUTSIDE;
	}
}

/* The interface that a routed packet leaves by is one of a switch's? */
static bool
leaves_by(const struct trace *t, const struct fw_rule *r)
{
	const struct fw_judgement *v = t->v;
	const char *oif = t->k->oif;

	if (v->to == FW_AT_NIC)
		oif = t->p->sw[t->p->nic[v->nic].sw].iface;
	else if (v->to != FW_AT_OUTSIDE)
		oif = t->p->sw[v->sw].iface;
	if (r->iface[0] != '\0')
		return strcmp(oif, r->iface) == 0;
	return v->to == FW_AT_OUTSIDE;
}

static void
translate(struct trace *t)
{
	const struct fw_rule *r;

	for (r = t->r->v; r < t->r->v + t->r->n; r++) {
		if (r->stage != FW_NAT || !matches(t, r, FW_ALL) ||
		    !leaves_by(t, r) ||
		    (r->has_host && !addr_same(&r->host, &t->v->dst)))
			continue;
		step(t, FW_NAT, r);
		t->v->nat = true;
		return;
	}
}

/* What is bridged to nobody meets nobody's rules. */
static bool
received(struct trace *t)
{
	const struct fw_judgement *v = t->v;

	if (v->to == FW_AT_NIC)
		return judged(t, FW_IN, v->nic, t->p->nic[v->nic].sw);
	if (v->to == FW_AT_NOBODY && !v->bridged)
		return judged(t, FW_IN, FW_NOBODY, v->sw);
	return true;
}

static bool
judge(struct trace *t)
{
	const struct fw_packet *k = t->k;
	struct fw_judgement *v = t->v;
	uint32_t by = came_by(t);

	if (k->from == FW_AT_HOST)
		return true;
	if (!checked(t, k->from == FW_AT_NIC ? FW_FRAME : FW_SPOOF))
		return false;
	if (k->ether != FW_ETHER_IP)
		return true;
	if (v->to == FW_AT_HOST)
		redirect(t);
	if (k->from == FW_AT_NIC && !judged(t, v->to == FW_AT_HOST ? FW_HOST :
	    FW_OUT, k->nic, by))
		return false;
	if (!received(t))
		return false;
	if (!v->bridged && v->to != FW_AT_HOST)
		translate(t);
	return true;
}

void
fw_trace(const struct fw_policy *p, const struct fw_rules *r,
    const struct os_addr *host, size_t nhost, const struct fw_packet *k,
    uint32_t to, struct fw_judgement *v)
{
	struct trace t = { .p = p, .r = r, .host = host, .nhost = nhost,
	    .k = k, .to = to, .v = v };

	memset(v, 0, sizeof(*v));
	v->dst = k->dst;
	v->dport = k->dport;
	find_way(&t);
	v->pass = judge(&t);
}

static int
print_place(const struct fw_policy *p, const struct fw_judgement *v,
    struct buf *b)
{
	switch (v->to) {
	case FW_AT_NIC:
		return buf_printf(b, "to vm %s nic %u", p->nic[v->nic].guest,
		    p->nic[v->nic].number);
	case FW_AT_NEIGHBOUR:
		return buf_printf(b, "to a neighbour in switch %s",
		    p->sw[v->sw].name);
	case FW_AT_HOST:
		return buf_printf(b, "to the host");
	case FW_AT_OUTSIDE:
		return buf_printf(b, "to outside");
	case FW_AT_NOBODY:
		return buf_printf(b, "to nobody in switch %s",
		    p->sw[v->sw].name);
	}
	return 0;
}

static int
print_step(const struct fw_policy *p, const struct fw_rules *r,
    const struct fw_judgement *v, const struct fw_step *s, struct buf *b)
{
	static const char *const nothing[FW_STAGES] = {
		[FW_SPOOF] = "spoof: it has no address of a guest",
		[FW_FRAME] = "frame: nothing blocks it",
		[FW_HOST] = "host: no rule",
		[FW_OUT] = "out: no rule",
		[FW_IN] = "in: no rule",
	};
	int ret;

	if (s->rule == NULL && v->not_first && s->stage >= FW_HOST)
		return buf_printf(b, "no connection begins with it\n");
	if (s->rule == NULL)
		return buf_printf(b, "%s\n", nothing[s->stage]);
	ret = fw_rule_print(p, r, s->rule, b);
	return ret ?: buf_append(b, "\n", 1);
}

int
fw_trace_print(const struct fw_policy *p, const struct fw_rules *r,
    const struct fw_judgement *v, struct buf *b)
{
	unsigned i;
	int ret;

	ret = print_place(p, v, b);
	ret = ret ?: buf_printf(b, ", %s\n", v->to == FW_AT_HOST ?
	    "itself" : v->bridged ? "bridged" : "routed");
	for (i = 0; i < v->nsteps && ret == 0; i++)
		ret = print_step(p, r, v, &v->step[i], b);
	return ret ?: buf_printf(b, "%s\n", v->pass ? "passes" : "blocked");
}
