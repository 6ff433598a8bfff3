/* SPDX-License-Identifier: ISC */
/*
 * The table of packets that nftables is tested with, t/net/packets.tab, by the
 * texts for pf and veb: an evaluator of both says who gets each of them.
 *
 * What differs is what pf cannot do otherwise (fw_pf_nic.c): a locked NIC hears
 * solicitations of its own addresses only, and is heard when it was asked.  And
 * pf puts fragments together at once, so that even a question for an address
 * can come in pieces.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "../net/ppolicy.h"
#include "../net/ptab.h"
#include "../pf/pfe.h"
#include "base/buf.h"
#include "testhost.h"

#define COPIES	16

/* Somebody who got it: a party, or NULL, the host. */
struct copy {
	const struct ptab_name	*who;
	struct pfe_flow		 flow;
};

struct result {
	struct pfe_flow	 sent;
	unsigned	 n;
	struct copy	 copy[COPIES];
};

static struct ptab	 tab;
static struct result	*results;	/* by the packet's index */
static struct pfe	*pf;
static struct pfe_bridge *veb;

static const struct fw_nic *
nic_of(const struct ptab_name *party)
{
	size_t i;

	for (i = 0; i < ppolicy.nnics; i++)
		if (strcmp(ppolicy.nic[i].tap, party->iface) == 0)
			return &ppolicy.nic[i];
	return NULL;
}

/* By the switch's segment, whose interface is the host's own port. */
static const struct ptab_name *
segment_of(const struct ptab_name *n)
{
	return n->role == PTAB_SEGMENT ? n : ptab_segment(n);
}

static bool
is_switch(const struct ptab_name *seg)
{
	return strcmp(seg->name, "up0") != 0;
}

static bool
has_addr(const struct ptab_name *n, unsigned af, const uint8_t *addr)
{
	const uint8_t *ip = ptab_ip(n, af);

	return ip != NULL && memcmp(ip, addr, af == 6 ? 16 : 4) == 0;
}

/* Whose address it is, of the host's segments and of parties. */
static const struct ptab_name *
owner(unsigned af, const uint8_t *addr)
{
	size_t i;

	for (i = 0; i < tab.nnames; i++)
		if (tab.names[i].role != PTAB_ADDR &&
		    has_addr(&tab.names[i], af, addr))
			return &tab.names[i];
	return NULL;
}

static const struct ptab_name *
linked(const struct ptab_name *seg, unsigned af, const uint8_t *addr)
{
	const struct ptab_name *n = owner(af, addr);
	char name[PTAB_NAME + 4];
	size_t i;

	for (i = 0; n == NULL && i < tab.nnames; i++) {
		snprintf(name, sizeof(name), "%s.ll", tab.names[i].name);
		if (ptab_find(&tab, name) != NULL &&
		    has_addr(ptab_find(&tab, name), af, addr))
			n = &tab.names[i];
	}
	return n != NULL && segment_of(n) == seg ? n : NULL;
}

static bool
hop(struct pfe_packet *pkt, const char *ifname, enum pfe_dir dir)
{
	struct pfe_verdict v;

	pkt->ifname = ifname;
	pkt->dir = dir;
	if (dir == PFE_IN)
		pkt->received = ifname;
	pfe_run(pf, pkt, &v);
	return v.pass;
}

static void
got(struct result *r, const struct ptab_name *who,
    const struct pfe_packet *pkt)
{
	ck_assert_uint_lt(r->n, COPIES);
	r->copy[r->n].who = who;
	r->copy[r->n++].flow = pkt->flow;
}

static bool
is_group(const struct ptab_name *seg, const struct pfe_flow *f)
{
	return f->af == 6 ? f->dst[0] == 0xff :
	    f->dst[0] >= 224 || (is_switch(seg) && f->dst[3] == 255);
}

/* The host forwards. */
static void
route(struct result *r, struct pfe_packet *pkt)
{
	const struct ptab_name *n = owner(pkt->flow.af, pkt->flow.dst), *seg;
	const struct ptab_name *party;

	if (n == NULL)
		return;
	seg = segment_of(ptab_party(n));
	if (!hop(pkt, seg->iface, PFE_OUT))
		return;
	party = ptab_party(n);
	if (!is_switch(seg) || hop(pkt, party->iface, PFE_OUT))
		got(r, n, pkt);
}

static bool
hears(const struct ptab_name *seg, const struct pfe_flow *f)
{
	/* The group of its own address, by the last three bytes. */
	if (f->af == 6 && f->dst[11] == 1 && f->dst[12] == 0xff)
		return memcmp(f->dst + 13, seg->v6 + 13, 3) == 0;
	return f->af == 4 || f->dst[15] == 1 || f->dst[15] == 2;
}

/* It is for the host's MAC, or for all. */
static void
to_host(struct result *r, struct pfe_packet *pkt, const struct ptab_name *seg)
{
	const struct ptab_name *n;

	if (is_switch(seg) && !hop(pkt, seg->iface, PFE_IN))
		return;
	if (is_group(seg, &pkt->flow)) {
		if (hears(seg, &pkt->flow))
			got(r, NULL, pkt);
		return;
	}
	n = owner(pkt->flow.af, pkt->flow.dst);
	if (n != NULL && n->role == PTAB_SEGMENT)
		got(r, NULL, pkt);
	else
		route(r, pkt);
}

static void
to_port(struct result *r, const struct pfe_packet *pkt,
    const struct ptab_name *party)
{
	struct pfe_packet copy = *pkt;

	if (hop(&copy, party->iface, PFE_OUT))
		got(r, party, &copy);
}

/* To all ports but its own, each once; nobody is not there to hear. */
static void
flood(struct result *r, const struct pfe_packet *pkt,
    const struct ptab_name *seg, const struct ptab_name *sender)
{
	struct pfe_packet copy = *pkt;
	const struct ptab_name *n;
	size_t i;

	for (i = 0; i < tab.nnames; i++) {
		n = &tab.names[i];
		if (n->role == PTAB_PARTY && segment_of(n) == seg &&
		    strcmp(n->iface, sender->iface) != 0 &&
		    strcmp(n->name, "nobody") != 0)
			to_port(r, pkt, n);
	}
	to_host(r, &copy, seg);
}

static void
set_mac(uint8_t mac[6], const struct ptab_name *n)
{
	memcpy(mac, n->mac, 6);
}

/* What veb's rules say of a frame of a guest's. */
static bool
framed(const struct ptab_packet *p, const struct ptab_name *sender)
{
	const struct ptab_name *src = p->eth_src != NULL ? p->eth_src : sender;
	struct pfe_frame f = { .ethertype = (uint16_t)(p->kind == PTAB_ARP ||
	    p->kind == PTAB_ETHER ? p->protocol : p->family == 6 ? 0x86dd :
	    0x0800), .op = (uint16_t)p->type };
	char tag[64] = "";

	set_mac(f.src, src);
	set_mac(f.sha, p->lladdr != NULL ? p->lladdr : src);
	if (p->kind == PTAB_ARP) {
		memcpy(f.spa, p->src.who->v4, 4);
		memcpy(f.tpa, p->dst.who->v4, 4);
	}
	return pfe_bridge_run(veb, segment_of(sender)->iface, sender->iface,
	    PFE_IN, &f, tag);
}

/* Where the frame goes: a party, a segment (the host), or NULL, all. */
static const struct ptab_name *
receiver(const struct ptab_packet *p, const struct pfe_flow *f,
    const struct ptab_name *sender)
{
	const struct ptab_name *seg = segment_of(sender), *to = p->eth_dst;

	if (to != NULL && to->role == PTAB_ADDR)
		return NULL;
	if (to != NULL)
		return to;
	if (is_group(seg, f))
		return NULL;
	to = linked(seg, f->af, f->dst);
	return to == NULL ? seg : ptab_party(to) != NULL ? ptab_party(to) : to;
}

/* A guest's port sends on none of these (net/port.h). */
static bool
is_reserved(const struct ptab_packet *p)
{
	static const uint8_t group[] = { 0x01, 0x80, 0xc2, 0, 0 };

	return p->eth_dst != NULL &&
	    memcmp(p->eth_dst->mac, group, sizeof(group)) == 0;
}

static void
carry(const struct ptab_packet *p, struct result *r, struct pfe_packet *pkt)
{
	const struct ptab_name *sender = ptab_party(p->sender);
	const struct ptab_name *seg = segment_of(sender), *to;

	if (is_switch(seg) && nic_of(sender) != NULL &&
	    (is_reserved(p) || !framed(p, sender)))
		return;
	to = receiver(p, &pkt->flow, sender);
	if (!hop(pkt, sender->iface, PFE_IN))
		return;
	if (!is_switch(seg) || (to != NULL && to->role == PTAB_SEGMENT))
		to_host(r, pkt, seg);
	else if (to == NULL)
		flood(r, pkt, seg, sender);
	else
		to_port(r, pkt, to);
}

/* ARP is the bridge's alone. */
static void
carry_arp(const struct ptab_packet *p, struct result *r)
{
	struct pfe_packet none = { .ifname = NULL };
	const struct ptab_name *sender = ptab_party(p->sender), *n;
	const struct ptab_name *seg = segment_of(sender);
	size_t i;

	if (nic_of(sender) != NULL && !framed(p, sender))
		return;
	for (i = 0; i < tab.nnames; i++) {
		n = &tab.names[i];
		if (n->role == PTAB_PARTY && segment_of(n) == seg &&
		    strcmp(n->iface, sender->iface) != 0 &&
		    strcmp(n->name, "nobody") != 0 &&
		    (p->type == 1 || n == p->dst.who))
			got(r, n, &none);
	}
	if (p->type == 1 || p->dst.who == seg)
		got(r, NULL, &none);
}

static void
set_addr(uint8_t addr[16], const struct ptab_name *n, unsigned af)
{
	memset(addr, 0, 16);
	if (n != NULL && ptab_ip(n, af) != NULL)
		memcpy(addr, ptab_ip(n, af), af == 6 ? 16 : 4);
}

/* Its target is asked for by the group of its address, unless one is named. */
static void
set_nd(const struct ptab_packet *p, struct pfe_flow *f)
{
	const struct ptab_name *t = p->target != NULL ? p->target :
	    p->type == 136 ? p->src.who : p->dst.who;

	f->sport = f->dport = 0;
	set_addr(f->target, t, 6);
	if (p->type != 135)
		return;
	memset(f->dst, 0, 16);
	f->dst[0] = 0xff;
	f->dst[1] = 2;
	f->dst[11] = 1;
	f->dst[12] = 0xff;
	memcpy(f->dst + 13, f->target + 13, 3);
}

static void
new_flow(const struct ptab_packet *p, struct pfe_flow *f)
{
	memset(f, 0, sizeof(*f));
	f->af = (uint8_t)p->family;
	f->proto = (uint8_t)p->protocol;
	f->type = (uint8_t)p->type;
	f->code = (uint8_t)p->code;
	set_addr(f->src, p->src.who, p->family);
	set_addr(f->dst, p->dst.who, p->family);
	f->sport = p->src.port;
	f->dport = p->dst.port;
	if (p->kind == PTAB_ICMP)
		f->sport = (uint16_t)(0x1d00 | (p->line & 0xff));
	if (p->kind == PTAB_ND)
		set_nd(p, f);
}

static void
turn(struct pfe_flow *f, const struct pfe_flow *of)
{
	*f = *of;
	memcpy(f->src, of->dst, 16);
	memcpy(f->dst, of->src, 16);
	if (f->proto == PFE_ICMP || f->proto == PFE_ICMP6) {
		f->type = of->type == 8 ? 0 : of->type == 128 ? 129 : of->type;
		return;
	}
	f->sport = of->dport;
	f->dport = of->sport;
}

static void
set_error(const struct ptab_packet *p, const struct pfe_flow *of,
    struct pfe_packet *pkt)
{
	static const uint8_t types[2][3] = { { 3, 11, 3 }, { 1, 3, 2 } };
	struct pfe_flow *f = &pkt->flow;

	memset(f, 0, sizeof(*f));
	f->af = of->af;
	f->proto = f->af == 6 ? PFE_ICMP6 : PFE_ICMP;
	f->type = types[f->af == 6][p->type];
	set_addr(f->src, p->sender, p->family);
	memcpy(f->dst, of->src, 16);
	pkt->error = true;
	pkt->inner = *of;
}

static uint8_t
tcp_flags(unsigned flags)
{
	return (uint8_t)((flags & PTAB_FIN ? PFE_FIN : 0) |
	    (flags & PTAB_SYN ? PFE_SYN : 0) |
	    (flags & PTAB_RST ? PFE_RST : 0) |
	    (flags & PTAB_ACK ? PFE_ACK : 0));
}

/* What is sent; false if what it is about was seen by nobody. */
static bool
make(const struct ptab_packet *p, struct pfe_packet *pkt)
{
	const struct result *of = p->of == NULL ? NULL :
	    &results[p->of - tab.packets];

	memset(pkt, 0, sizeof(*pkt));
	pkt->flags = tcp_flags(p->flags);
	pkt->fragment = p->frag != PTAB_WHOLE;
	if (of != NULL && of->n == 0)
		return false;
	if (p->kind == PTAB_REPLY)
		turn(&pkt->flow, &of->copy[0].flow);
	else if (p->kind == PTAB_AGAIN)
		pkt->flow = of->sent;
	else if (p->kind == PTAB_ERROR)
		set_error(p, &of->copy[0].flow, pkt);
	else
		new_flow(p, &pkt->flow);
	return true;
}

/* Does a locked NIC's neighbour discovery make the difference? */
static bool
is_stricter(const struct ptab_packet *p, const struct ptab_name *who)
{
	const struct fw_nic *sender = nic_of(ptab_party(p->sender));
	const struct fw_nic *n = who == NULL ? NULL : nic_of(who);

	if (p->kind != PTAB_ND)
		return false;
	if (p->type == 136)
		return sender != NULL && sender->locked;
	return p->type == 135 && n != NULL && n->locked &&
	    p->dst.who != who;
}

static bool
same_end(const struct ptab_end *e, unsigned af, const uint8_t *addr,
    uint16_t port)
{
	return has_addr(e->who, af, addr) &&
	    (e->any_port || e->port == 0 || e->port == port);
}

static bool
is_as_told(const struct ptab_packet *p, const struct result *r,
    const struct pfe_flow *f)
{
	if (p->kind == PTAB_ARP || p->kind == PTAB_ETHER)
		return true;
	if (p->translated)
		return same_end(&p->as_src, f->af, f->src, f->sport) &&
		    same_end(&p->as_dst, f->af, f->dst, f->dport);
	return memcmp(f->src, r->sent.src, 16) == 0 &&
	    memcmp(f->dst, r->sent.dst, 16) == 0 &&
	    f->sport == r->sent.sport && f->dport == r->sent.dport;
}

static bool
is_expected(const struct ptab_packet *p, const struct ptab_name *who)
{
	size_t i;

	for (i = 0; i < p->nwho; i++)
		if (p->who[i] == who)
			return true;
	return who == NULL && p->to_host;
}

static bool
has_got(const struct result *r, const struct ptab_name *who)
{
	unsigned i;

	for (i = 0; i < r->n; i++)
		if (r->copy[i].who == who)
			return true;
	return false;
}

/* In pieces, from a DHCP client. */
static bool
is_question(const struct ptab_packet *p, const struct result *r)
{
	static const uint8_t nobody[16];

	return p->frag == PTAB_FRAG_ALL && p->src.port == 68 &&
	    p->dst.port == 67 && memcmp(r->sent.src, nobody, 16) == 0;
}

static unsigned wrong, strict;

static void
complain(const struct ptab_packet *p, const char *what,
    const struct ptab_name *who)
{
	fprintf(stderr, "%u: %s (IPv%u): %s %s\n", p->line, p->id, p->family,
	    what, who == NULL ? "host" : who->name);
	wrong++;
}

static void
check(const struct ptab_packet *p, const struct result *r)
{
	unsigned i;

	for (i = 0; i < r->n; i++) {
		if (!is_expected(p, r->copy[i].who) && !is_question(p, r))
			complain(p, "is got by", r->copy[i].who);
		else if (!is_question(p, r) &&
		    !is_as_told(p, r, &r->copy[i].flow))
			complain(p, "is another when got by", r->copy[i].who);
	}
	for (i = 0; i <= p->nwho; i++) {
		const struct ptab_name *who = i < p->nwho ? p->who[i] : NULL;

		if ((who == NULL && !p->to_host) || has_got(r, who))
			continue;
		if (is_stricter(p, who))
			strict++;
		else
			complain(p, "is not got by", who);
	}
}

static void
send_one(const struct ptab_packet *p, struct result *r)
{
	struct pfe_packet pkt;

	/* What is not whole is never put together. */
	if (p->frag == PTAB_FRAG_FIRST || p->frag == PTAB_FRAG_REST)
		return;
	if (p->kind == PTAB_ARP) {
		carry_arp(p, r);
	} else if (p->kind == PTAB_ETHER) {
		if (framed(p, ptab_party(p->sender)))
			complain(p, "passes the bridge of", p->sender);
	} else if (make(p, &pkt)) {
		r->sent = pkt.flow;
		carry(p, r, &pkt);
	}
}

static void
add_interfaces(void)
{
	char nets[128], v4[INET_ADDRSTRLEN], v6[INET6_ADDRSTRLEN];
	const struct ptab_name *n;
	size_t i;

	pfe_iface(pf, "lo0", 0, "lo", "127.0.0.1/8 ::1/128");
	for (i = 0; i < tab.nnames; i++) {
		n = &tab.names[i];
		if (n->role != PTAB_SEGMENT)
			continue;
		inet_ntop(AF_INET, n->v4, v4, sizeof(v4));
		inet_ntop(AF_INET6, n->v6, v6, sizeof(v6));
		snprintf(nets, sizeof(nets), "%s/%u %s/%u", v4, n->bits4, v6,
		    n->bits6);
		pfe_iface(pf, n->iface, 0, is_switch(n) ? "vport" : "egress",
		    nets);
	}
	for (i = 0; i < ppolicy.nnics; i++)
		pfe_iface(pf, ppolicy.nic[i].tap, 0, "tap", "");
	pfe_iface(pf, "off0", 0, "", "");
}

static void
load(void)
{
	struct buf text, frames;
	struct fw_rules rules;
	char err[512] = "";

	buf_init(&text, 1 << 22);
	buf_init(&frames, 1 << 20);
	ck_assert_int_eq(fw_build(&ppolicy, &rules, err, sizeof(err)), 0);
	ck_assert_int_eq(fw_pf_write(&ppolicy, &rules, &text, err,
	    sizeof(err)), 0);
	ck_assert_int_eq(fw_pf_bridge_write(&ppolicy, &rules, &frames, err,
	    sizeof(err)), 0);
	buf_append(&text, "", 1);
	buf_append(&frames, "", 1);
	ck_assert_msg(pfe_load(pf, "", buf_head(&text), err, sizeof(err)) == 0,
	    "%s", err);
	ck_assert_int_eq(pfe_bridge_load(veb, buf_head(&frames), err,
	    sizeof(err)), 0);
	fw_rules_free(&rules);
	buf_free(&text);
	buf_free(&frames);
}

START_TEST(all_packets)
{
	const char *top = getenv("srcdir");
	char path[4096], err[256] = "";
	size_t i;
	FILE *f;

	snprintf(path, sizeof(path), "%s/t/net/packets.tab", top ? top : ".");
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	ck_assert_msg(ptab_read(&tab, f, err, sizeof(err)) == 0, "%s", err);
	fclose(f);
	ck_assert_uint_ge(tab.npackets, 300);
	results = calloc(tab.npackets, sizeof(*results));
	pf = pfe_create();
	veb = pfe_bridge_create();
	add_interfaces();
	load();
	for (i = 0; i < tab.npackets; i++) {
		send_one(&tab.packets[i], &results[i]);
		check(&tab.packets[i], &results[i]);
	}
	ck_assert_msg(wrong == 0, "%u verdicts of %zu are wrong", wrong,
	    tab.npackets);
	ck_assert_uint_le(strict, 20);
	pfe_destroy(pf);
	pfe_bridge_destroy(veb);
	free(results);
	ptab_free(&tab);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("fw_packets");

	tcase_add_test(tc, all_packets);
	return test_main("fw_packets", tc);
}
