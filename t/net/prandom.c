/* SPDX-License-Identifier: ISC */
/* See prandom.h. */
#include "prandom.h"

#include <stdlib.h>
#include <string.h>

#include "net/fw_trace.h"
#include "ppolicy.h"

/* Who sends, ppolicy's NICs first; who is asked for; as whom liars send. */
static const char *const names[] = { "web", "db", "app", "free", "www", "adm",
    "iso1", "iso2", "desk", "kiosk", "pc", "far", "peer", "lan", "dmz", "lab",
    "office", "up0", "alien" };
enum { KIOSK = 9, PC, FAR, PEER, LAN, UP0 = 17, ASKED, NAMES };

#define PUBLISHED	8000	/* these and the next of the host's ports */

static const uint16_t ports[] = { 22, 53, 80, 443 };

static unsigned
draw(struct prandom *r, unsigned n)
{
	return (unsigned)nrand48(r->state) % n;
}

static bool
often(struct prandom *r, unsigned percent)
{
	return draw(r, 100) < percent;
}

static uint16_t
draw_port(struct prandom *r)
{
	return ports[draw(r, sizeof(ports) / sizeof(ports[0]))];
}

static void
draw_allow(struct prandom *r, struct fw_allow *a)
{
	static const uint8_t protos[] = { FW_ANY, FW_TCP, FW_TCP, FW_UDP,
	    FW_ICMP };
	const struct fw_nic *n;

	a->proto = protos[draw(r, sizeof(protos))];
	if ((a->proto == FW_TCP || a->proto == FW_UDP) && often(r, 80)) {
		a->lo = draw_port(r);
		a->hi = (uint16_t)(a->lo + (often(r, 30) ? 30 : 0));
	}
	a->echo = a->proto == FW_ICMP && often(r, 50);
	a->kind = (enum fw_peer_kind)draw(r, 4);
	if (often(r, 20) && a->kind != FW_PEER_CIDR)
		a->family = often(r, 50) ? 4 : 6;
	n = &ppolicy.nic[draw(r, PRANDOM_NICS)];
	if (a->kind == FW_PEER_GUEST)
		memcpy(a->name, n->guest, FW_NAME);
	else if (a->kind == FW_PEER_SWITCH)
		memcpy(a->name, ppolicy.sw[n->sw].name, FW_NAME);
	if (a->kind != FW_PEER_CIDR)
		return;
	/* A host, its subnet, or a half of everything. */
	n = &ppolicy.nic[draw(r, KIOSK)];
	a->cidr = n->addrs[draw(r, 2)];
	if (often(r, 30))
		a->cidr.prefix = a->cidr.ipv6 ? 64 : 24;
	else if (often(r, 30))
		a->cidr = (struct os_addr){ .bytes = { 128 }, .prefix = 1 };
}

static struct fw_allows
draw_allows(struct prandom *r, struct fw_allow *v)
{
	struct fw_allows a = { v, draw(r, PRANDOM_ALLOWS + 1) };
	size_t i;

	for (i = 0; i < a.n; i++)
		draw_allow(r, &v[i]);
	return a;
}

static void
draw_nic(struct prandom *r, unsigned i)
{
	struct fw_nic *n = &r->nic[i];
	struct fw_publish *p = r->publish[i];
	unsigned k;

	n->log = FW_LOG_NO;
	n->locked = n->naddrs > 0 && often(r, 60);
	n->in = draw_allows(r, r->allow[i][0]);
	n->out = draw_allows(r, r->allow[i][1]);
	n->host = draw_allows(r, r->allow[i][2]);
	n->publish = p;
	n->npublish = r->sw[n->sw].shared ? 0 : draw(r, PRANDOM_PUBLISHED + 1);
	for (k = 0; k < n->npublish; k++) {
		p[k].proto = often(r, 60) ? FW_TCP : FW_UDP;
		p[k].port = (uint16_t)(PUBLISHED + i * PRANDOM_PUBLISHED + k);
		p[k].to = draw_port(r);
		p[k].has_host = often(r, 25);
		p[k].host = (struct os_addr){ .bytes = { 198, 51, 100, 2 },
		    .prefix = 32 };
	}
}

void
prandom_policy(struct prandom *r, unsigned long seed)
{
	unsigned i;

	memset(r, 0, sizeof(*r));
	r->seed = seed;
	r->state[0] = 0x330e;
	r->state[1] = (unsigned short)seed;
	r->state[2] = (unsigned short)(seed >> 16);
	r->p = ppolicy;
	r->p.sw = r->sw;
	r->p.nic = r->nic;
	r->p.nnics = PRANDOM_NICS;
	memcpy(r->sw, ppolicy.sw, sizeof(r->sw));
	memcpy(r->nic, ppolicy.nic, sizeof(r->nic));
	for (i = 0; i < PRANDOM_SWITCHES; i++) {
		r->sw[i].isolate = often(r, 30);
		if (!r->sw[i].shared)
			r->sw[i].nat = (enum fw_nat)draw(r, 3);
		memcpy(r->sw[i].nat_iface, "up0", 4);
	}
	for (i = 0; i < PRANDOM_NICS; i++)
		draw_nic(r, i);
}

static struct os_addr
addr(const struct ptab_name *n, unsigned family)
{
	struct os_addr a = { .ipv6 = family == 6,
	    .prefix = family == 6 ? 128 : 32 };

	memcpy(a.bytes, ptab_ip(n, family), family == 6 ? 16 : 4);
	return a;
}

/* Whose frame it is, from whom it says, and to whom. */
static void
draw_ends(struct prandom *r, const struct ptab *t, struct ptab_packet *p,
    struct fw_packet *k)
{
	unsigned from = often(r, 70) ? draw(r, PC) : PC + draw(r, 3);
	unsigned lie = draw(r, NAMES), to;

	k->from = from < PC ? FW_AT_NIC : from == PC ? FW_AT_NEIGHBOUR :
	    FW_AT_OUTSIDE;
	k->nic = from;
	k->sw = PRANDOM_SWITCHES - 1;
	p->sender = p->src.who = ptab_find(t, names[from]);
	memcpy(k->mac, ptab_party(p->sender)->mac, 6);
	/* Linux itself takes nothing from an address of its own. */
	if (often(r, 10) && lie != UP0 && (from < PC || lie < LAN))
		p->src.who = ptab_find(t, names[lie]);
	/* Nobody knows where the kiosk is; what passes by is no guest's. */
	do {
		to = draw(r, ASKED);
		p->dst.who = ptab_find(t, names[to]);
	} while (to == KIOSK || to == from || p->dst.who == p->src.who ||
	    (from > PC && (to == FAR || to == PEER)));
	if (to > PEER && often(r, 60))
		p->dst.port = (uint16_t)(PUBLISHED + draw(r, KIOSK *
		    PRANDOM_PUBLISHED));
	else
		p->dst.port = draw_port(r);
	k->src = addr(p->src.who, p->family);
	k->dst = addr(p->dst.who, p->family);
}

static void
draw_kind(struct prandom *r, uint16_t port, struct ptab_packet *p,
    struct fw_packet *k)
{
	static const enum ptab_kind kinds[] = { PTAB_TCP, PTAB_TCP, PTAB_TCP,
	    PTAB_UDP, PTAB_UDP, PTAB_ICMP };

	p->kind = kinds[draw(r, 6)];
	p->src.port = k->sport = port;
	k->dport = p->dst.port;
	p->protocol = p->kind == PTAB_TCP ? FW_TCP : FW_UDP;
	if (p->kind == PTAB_TCP) {
		/* To a published port Linux translates that, too, then drops it. */
		k->not_syn = p->dst.port < PUBLISHED && often(r, 10);
		p->flags = k->not_syn ? PTAB_ACK : PTAB_SYN;
	} else if (p->kind == PTAB_ICMP) {
		p->protocol = p->family == 6 ? FW_ICMP6 : FW_ICMP;
		p->type = k->icmp = p->family == 6 ? 128 : 8;
		k->sport = k->dport = p->dst.port = 0;
	}
	k->proto = (uint8_t)p->protocol;
}

/* What the judge says, as a table does. */
static void
expect(const struct prandom *r, const struct ptab *t,
    const struct fw_judgement *v, struct ptab_packet *p)
{
	const struct ptab_name *who = v->to == FW_AT_NIC ?
	    ptab_find(t, r->nic[v->nic].guest) : p->dst.who;

	if (!v->pass)
		return;
	if (v->to == FW_AT_HOST) {
		p->to_host = true;
		return;
	}
	p->who[p->nwho++] = who;
	p->translated = v->rdr || v->nat;
	p->as_src = p->src;
	p->as_dst = p->dst;
	if (v->rdr) {
		p->as_dst.who = who;
		p->as_dst.port = v->dport;
	}
	if (v->nat) {
		p->as_src.who = ptab_segment(who);
		p->as_src.any_port = true;
	}
}

bool
prandom_packet(struct prandom *r, const struct ptab *t,
    const struct fw_rules *rules, uint16_t port, struct ptab_packet *p)
{
	struct fw_packet k = { .ether = FW_ETHER_IP };
	const struct ptab_name *up0 = ptab_find(t, names[UP0]);
	struct fw_judgement v;
	struct os_addr host[2];
	unsigned i;

	for (i = 0; i < NAMES; i++)
		if (ptab_find(t, names[i]) == NULL)
			return false;
	memset(p, 0, sizeof(*p));
	p->line = (unsigned)r->seed;
	p->family = often(r, 50) ? 4 : 6;
	draw_ends(r, t, p, &k);
	draw_kind(r, port, p, &k);
	snprintf(p->id, sizeof(p->id), "%.4s:%.4s>%.6s:%u%s", p->sender->name,
	    p->src.who->name, p->dst.who->name, p->dst.port,
	    k.not_syn ? "A" : "");
	snprintf(k.oif, sizeof(k.oif), "%s", up0->iface);
	host[0] = addr(up0, 4);
	host[1] = addr(up0, 6);
	fw_trace(&r->p, rules, host, 2, &k, FW_ALL, &v);
	expect(r, t, &v, p);
	p->needs_bridge_ct = k.not_syn && v.bridged;
	return true;
}
