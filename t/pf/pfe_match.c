/* SPDX-License-Identifier: ISC */
/*
 * Whether a rule is about a packet, and the translations of one that is.  A
 * list matches by any of its items, negated ones too: it stands for as many
 * rules.
 */
#include <string.h>

#include "pfe_int.h"

static bool
any_net(const struct pfe_net *nets, unsigned n, uint8_t af,
    const uint8_t addr[16])
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (nets[i].af == af && pfe_net_has(&nets[i], addr))
			return true;
	return false;
}

static bool
dynamic_has(const struct pfe *pf, const struct pfe_host *h, uint8_t af,
    const uint8_t addr[16])
{
	struct pfe_net nets[64];
	unsigned i, n, max = af == 4 ? 32 : 128;

	n = pfe_if_nets(pf, h->name, h->mod, h->first, nets, 64);
	for (i = 0; i < n; i++) {
		if (h->mod == MOD_ADDR)
			nets[i].prefix = (uint8_t)(nets[i].af == 4 ? 32 : 128);
		if (h->prefix >= 0 && (unsigned)h->prefix <= max)
			nets[i].prefix = (uint8_t)h->prefix;
	}
	return any_net(nets, n, af, addr);
}

/* The longest prefix decides; a negated one says no. */
static bool
table_has(const struct pfe_table *t, uint8_t af, const uint8_t addr[16])
{
	const struct pfe_host *h, *best = NULL;

	for (h = t->hosts; h != NULL; h = h->next)
		if (h->net.af == af && pfe_net_has(&h->net, addr) &&
		    (best == NULL || h->net.prefix > best->net.prefix))
			best = h;
	return best != NULL && !best->not;
}

/* In the anchor of the rule, else in the main rules. */
static const struct pfe_table *
find_table(const struct pfe *pf, const struct pfe_anchor *a, const char *name)
{
	const struct pfe_table *t;

	for (t = a->tables; t != NULL; t = t->next)
		if (strcmp(t->name, name) == 0)
			return t;
	a = pfe_anchor_find(pf, "");
	for (t = a == NULL ? NULL : a->tables; t != NULL; t = t->next)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

/* The interface behind which an address is; NULL if there is no route. */
static const char *
route(const struct pfe *pf, uint8_t af, const uint8_t addr[16])
{
	const struct pfe_rt *rt, *best = NULL;
	const struct pfe_if *i;
	struct pfe_net net;
	const char *name = NULL;
	int prefix = -1;
	unsigned n;

	for (i = pf->ifs; i != NULL; i = i->next)
		for (n = 0; n < i->nnets; n++) {
			net = i->nets[n];
			if (net.af == af && pfe_net_has(&net, addr) &&
			    net.prefix > prefix) {
				prefix = net.prefix;
				name = i->name;
			}
		}
	for (rt = pf->routes; rt != NULL; rt = rt->next)
		if (rt->net.af == af && pfe_net_has(&rt->net, addr) &&
		    rt->net.prefix > prefix) {
			prefix = rt->net.prefix;
			best = rt;
		}
	return best != NULL ? best->ifname : name;
}

static bool
host_has(const struct pfe_run *run, const struct pfe_anchor *a,
    const struct pfe_host *h, const uint8_t addr[16])
{
	const struct pfe_table *t;
	const char *name;
	uint8_t af = run->flow.af;

	switch (h->kind) {
	case HOST_NET:
		return pfe_net_has(&h->net, addr);
	case HOST_RANGE:
		return memcmp(addr, h->net.addr, 16) >= 0 &&
		    memcmp(addr, h->end, 16) <= 0;
	case HOST_DYNAMIC:
		return dynamic_has(run->pf, h, af, addr);
	case HOST_TABLE:
		t = find_table(run->pf, a, h->name);
		return t != NULL && table_has(t, af, addr);
	case HOST_NOROUTE:
		return route(run->pf, af, addr) == NULL;
	case HOST_URPF:
		name = route(run->pf, af, addr);
		return name == NULL || strcmp(name, run->pkt->ifname) != 0;
	default:
		return true;
	}
}

static bool
hosts_have(const struct pfe_run *run, const struct pfe_anchor *a,
    const struct pfe_host *h, const uint8_t addr[16])
{
	if (h == NULL)
		return true;
	for (; h != NULL; h = h->next) {
		if ((h->kind == HOST_NET || h->kind == HOST_RANGE) &&
		    h->net.af != run->flow.af)
			continue;
		if (host_has(run, a, h, addr) != h->not)
			return true;
	}
	return false;
}

static bool
port_is(const struct pfe_port *p, uint16_t port)
{
	switch (p->op) {
	case OP_EQ:
		return port == p->lo;
	case OP_NE:
		return port != p->lo;
	case OP_LT:
		return port < p->lo;
	case OP_LE:
		return port <= p->lo;
	case OP_GT:
		return port > p->lo;
	case OP_GE:
		return port >= p->lo;
	case OP_IN:
		return port >= p->lo && port <= p->hi;
	case OP_INSIDE:
		return port > p->lo && port < p->hi;
	case OP_OUTSIDE:
		return port < p->lo || port > p->hi;
	}
	return false;
}

static const struct pfe_port *
ports_have(const struct pfe_port *p, uint16_t port)
{
	while (p != NULL && !port_is(p, port))
		p = p->next;
	return p;
}

bool
pfe_onif_has(const struct pfe *pf, const struct pfe_onif *list,
    const char *ifname)
{
	const struct pfe_if *i = pfe_if_find(pf, ifname);
	bool is;

	for (; list != NULL; list = list->next) {
		if (list->rdomain >= 0)
			is = i != NULL && i->rdomain == (unsigned)list->rdomain;
		else
			is = pfe_if_is(pf, ifname, list->name);
		if (is != list->not)
			return true;
	}
	return false;
}

static bool
protos_have(const struct pfe_rule *r, uint8_t proto)
{
	const struct pfe_proto *p;

	for (p = r->protos; p != NULL; p = p->next)
		if (p->proto == proto)
			return true;
	return r->protos == NULL;
}

static bool
icmp_is(const struct pfe_rule *r, const struct pfe_flow *f)
{
	const struct pfe_icmp *i;

	for (i = r->icmp; i != NULL; i = i->next)
		if (i->proto == f->proto && i->type == f->type &&
		    (i->code < 0 || i->code == f->code))
			return true;
	return r->icmp == NULL;
}

/* What stands behind the IP header; a fragment has nothing of it. */
static bool
transport_is(const struct pfe_run *run, const struct pfe_rule *r)
{
	const struct pfe_flow *f = &run->flow;
	bool ports = r->sport != NULL || r->dport != NULL;

	if (run->pkt->fragment && run->pf->opt.no_reassemble)
		return !ports && r->icmp == NULL &&
		    (f->proto != PFE_TCP || r->flagset == 0);
	if (r->fragment)
		return false;
	if (ports && f->proto != PFE_TCP && f->proto != PFE_UDP)
		return false;
	if (r->sport != NULL && ports_have(r->sport, f->sport) == NULL)
		return false;
	if (r->dport != NULL && ports_have(r->dport, f->dport) == NULL)
		return false;
	if (f->proto == PFE_TCP &&
	    (run->pkt->flags & r->flagset) != r->flags)
		return false;
	return icmp_is(r, f);
}

static bool
received_on(const struct pfe_run *run, const struct pfe_rule *r)
{
	if (r->received == NULL)
		return true;
	if (run->pkt->received == NULL)
		return r->received->not;
	return pfe_onif_has(run->pf, r->received, run->pkt->received);
}

bool
pfe_rule_matches(struct pfe_run *run, const struct pfe_anchor *a,
    const struct pfe_rule *r)
{
	const struct pfe_flow *f = &run->flow;

	if (r->spent || (r->dir != 0 && r->dir != (int)run->pkt->dir))
		return false;
	if (r->on != NULL && !pfe_onif_has(run->pf, r->on, run->pkt->ifname))
		return false;
	if ((r->af != 0 && r->af != f->af) || !protos_have(r, f->proto))
		return false;
	if (!hosts_have(run, a, r->from, f->src) ||
	    !hosts_have(run, a, r->to, f->dst))
		return false;
	if (r->tagged[0] != '\0' &&
	    (strcmp(r->tagged, run->tag) == 0) == r->not_tagged)
		return false;
	return transport_is(run, r) && received_on(run, r);
}

/* The pool's net with the host's part of `addr`, or one after the other. */
static void
from_net(const struct pfe_pool *p, unsigned turn, const struct pfe_net *n,
    uint8_t addr[16])
{
	unsigned bit, max = n->af == 4 ? 32 : 128;
	uint8_t to[16];

	memcpy(to, n->addr, 16);
	if (p->pick == PICK_BITMASK || p->binat) {
		for (bit = n->prefix; bit < max; bit++) {
			to[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
			to[bit / 8] |= addr[bit / 8] & (0x80 >> bit % 8);
		}
	} else if (n->prefix < max) {
		to[max / 8 - 1] |= (uint8_t)(turn &
		    (max - n->prefix >= 8 ? 0xffU :
		    (1U << (max - n->prefix)) - 1));
	}
	memcpy(addr, to, 16);
}

static bool
take_address(struct pfe_run *run, const struct pfe_anchor *a,
    struct pfe_pool *p, uint8_t addr[16])
{
	struct pfe_net nets[64];
	const struct pfe_table *t;
	const struct pfe_host *h = p->hosts;
	unsigned i, n = 0, count = 0;

	if (h->kind == HOST_DYNAMIC) {
		n = pfe_if_nets(run->pf, h->name, MOD_ADDR, h->first, nets, 64);
		for (i = 0; i < n; i++)
			nets[i].prefix = nets[i].af == 4 ? 32 : 128;
	} else {
		if (h->kind == HOST_TABLE) {
			t = find_table(run->pf, a, h->name);
			h = t == NULL ? NULL : t->hosts;
		}
		for (; h != NULL && n < 64; h = h->next)
			nets[n++] = h->net;
	}
	for (i = 0; i < n; i++)
		if (nets[i].af == run->flow.af)
			nets[count++] = nets[i];
	if (count == 0)
		return false;
	from_net(p, p->turn / count, &nets[p->turn % count], addr);
	p->turn++;
	return true;
}

static void
translate_source(struct pfe_run *run, struct pfe_pool *p)
{
	struct pfe_flow *f = &run->flow;
	uint16_t lo = p->ports ? p->lo : 50001, hi = p->ports ? p->hi : 65535;
	bool echo = (f->proto == PFE_ICMP && f->type == 8) ||
	    (f->proto == PFE_ICMP6 && f->type == 128);

	if (!take_address(run, run->where, p, f->src)) {
		run->bad = true;
		return;
	}
	if (p->static_port ||
	    (f->proto != PFE_TCP && f->proto != PFE_UDP && !echo))
		return;
	if (p->proxy < lo || p->proxy >= hi)
		p->proxy = lo;
	else
		p->proxy++;
	f->sport = p->proxy;
}

/* A range of ports keeps the distance from the rule's first port. */
static void
translate_destination(struct pfe_run *run, const struct pfe_rule *r)
{
	struct pfe_flow *f = &run->flow;
	const struct pfe_port *p = ports_have(r->dport, f->dport);
	struct pfe_pool *to = r->rdr;
	unsigned away = p == NULL ? 0 : (unsigned)(f->dport - p->lo);

	if (!take_address(run, run->where, to, f->dst)) {
		run->bad = true;
		return;
	}
	if (!to->ports)
		return;
	if (!to->star)
		away %= (unsigned)(to->hi - to->lo) + 1;
	f->dport = (uint16_t)(to->lo + away);
}

void
pfe_translate(struct pfe_run *run, const struct pfe_rule *r)
{
	if (r->nat != NULL)
		translate_source(run, r->nat);
	if (r->rdr != NULL && !run->bad)
		translate_destination(run, r);
}
