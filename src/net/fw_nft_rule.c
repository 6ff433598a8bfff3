/* SPDX-License-Identifier: ISC */
/*
 * The firewall's rules as nftables' rules, each by itself: see fw_nft.h.
 *
 * A rule of both families that names addresses becomes one of each.
 */
#include "net/fw_nft.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/addr.h"

/* A guest that is refused often must not fill the host's log. */
#define LOG_LIMIT	"limit rate 10/second burst 20 packets"

/* More addresses than this make a set. */
#define OWN_MAX		4

/* The words that a rule begins with. */
struct match {
	char	text[FW_NFT_MATCH];
	size_t	len;
};

__attribute__((__format__(__printf__, 2, 3)))
static void
match_add(struct match *m, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(m->text + m->len, sizeof(m->text) - m->len, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(m->text) - m->len)
		m->len += (size_t)n;
}

void
fw_nft_nic(char out[FW_NFT_NIC], const struct fw_nic *nic)
{
	snprintf(out, FW_NFT_NIC, "%s.%u", nic->guest, nic->number);
}

bool
fw_nft_has(const struct fw_table *t, bool ipv6)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		if (t->v[i].ipv6 == ipv6)
			return true;
	return false;
}

static const char *
ip_word(bool ipv6)
{
	return ipv6 ? "ip6" : "ip";
}

/* The set of a table, which is to be declared. */
static void
put_set(struct fw_nft *w, struct match *m, uint32_t table, bool ipv6)
{
	w->used[table] = true;
	match_add(m, "@%s_%c ", w->r->table[table].name, ipv6 ? '6' : '4');
}

/* The lines of a rule whose match is known. */
static void
put_line(struct fw_nft *w, const struct fw_rule *rule, const struct match *m)
{
	static const char *const stages[FW_STAGES] = {
		"spoof", "frame", "rdr", "host", "out", "in", "nat",
	};
	const char *verdict = "drop";
	char nic[FW_NFT_NIC];

	if (rule->verdict == FW_PASS)
		verdict = "accept";
	if (rule->log && rule->nic < w->p->nnics) {
		fw_nft_nic(nic, &w->p->nic[rule->nic]);
		fw_nft_put(w, "\t\t%s" LOG_LIMIT " log prefix "
		    "\"vmmd: %s %s %s: \"\n", m->text, nic,
		    stages[rule->stage],
		    rule->verdict == FW_PASS ? "pass" : "block");
	}
	fw_nft_put(w, "\t\t%s%s\n", m->text, verdict);
}

__attribute__((__format__(__printf__, 3, 4)))
static void
put_check(struct fw_nft *w, const struct fw_rule *rule, const char *fmt, ...)
{
	struct match m = { .len = 0 };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m.text, sizeof(m.text), fmt, ap);
	va_end(ap);
	put_line(w, rule, &m);
}

/*
 * "!= A != B", or "!= @own" if they are many, or nothing if all differ from what
 * is not there.
 */
static void
put_not_own(struct fw_nft *w, struct match *m, const struct fw_rule *rule,
    const char *field, bool ipv6)
{
	const struct fw_table *t;
	char addr[ADDR_TEXT];
	size_t i, n = 0;

	if (rule->own == FW_ALL)
		return;
	t = &w->r->table[rule->own];
	for (i = 0; i < t->n; i++)
		n += t->v[i].ipv6 == ipv6;
	if (n > OWN_MAX) {
		match_add(m, "%s != ", field);
		put_set(w, m, rule->own, ipv6);
	}
	for (i = 0; i < t->n && n <= OWN_MAX; i++) {
		if (t->v[i].ipv6 != ipv6)
			continue;
		addr_net_text(&t->v[i], addr);
		match_add(m, "%s != %s ", field, addr);
	}
}

static void
check_arp(struct fw_nft *w, const struct fw_rule *rule, const char *mac)
{
	struct match m = { .len = 0 };

	put_check(w, rule, "arp saddr ether != %s ", mac);
	match_add(&m, "arp saddr ip != 0.0.0.0 ");
	put_not_own(w, &m, rule, "arp saddr ip", false);
	put_line(w, rule, &m);
}

/* Who has no address yet may ask for one, and in one piece. */
static const char *const unnamed4[] = {
	"ip frag-off & 0x3fff != 0 ", "meta l4proto != 17 ", "udp sport != 68 ",
	"udp dport != 67 ",
};
static const char *const unnamed6[] = {
	"exthdr frag exists ", "meta l4proto != 58 ",
	"icmpv6 type != { 131, 132, 133, 135, 143 } ",
};

/* Once for all NICs, but for those whose log has to name them. */
void
fw_nft_unnamed(struct fw_nft *w)
{
	size_t i;

	fw_nft_put(w, "\n\tchain unnamed4 {\n");
	for (i = 0; i < sizeof(unnamed4) / sizeof(unnamed4[0]); i++)
		fw_nft_put(w, "\t\t%sdrop\n", unnamed4[i]);
	fw_nft_put(w, "\t}\n\n\tchain unnamed6 {\n");
	for (i = 0; i < sizeof(unnamed6) / sizeof(unnamed6[0]); i++)
		fw_nft_put(w, "\t\t%sdrop\n", unnamed6[i]);
	fw_nft_put(w, "\t}\n");
}

static void
check_ip(struct fw_nft *w, const struct fw_rule *rule, bool ipv6)
{
	const char *const *v = ipv6 ? unnamed6 : unnamed4;
	const char *field = ipv6 ? "ip6 saddr" : "ip saddr";
	const char *none = ipv6 ? "::" : "0.0.0.0";
	size_t i, n = ipv6 ? sizeof(unnamed6) / sizeof(unnamed6[0]) :
	    sizeof(unnamed4) / sizeof(unnamed4[0]);
	struct match m = { .len = 0 };

	match_add(&m, "%s != %s ", field, none);
	put_not_own(w, &m, rule, field, ipv6);
	put_line(w, rule, &m);
	if (!rule->log) {
		fw_nft_put(w, "\t\t%s %s jump unnamed%u\n", field, none,
		    ipv6 ? 6 : 4);
		return;
	}
	for (i = 0; i < n; i++)
		put_check(w, rule, "%s %s %s", field, none, v[i]);
}

/*
 * The target is 16 bytes from bit 64 of the message on; nft has a word for it
 * only from 1.0.9 on, and compares it with numbers, no addresses.
 */
static void
check_nd(struct fw_nft *w, const struct fw_rule *rule)
{
	const struct fw_table *t = &w->r->table[rule->own];
	struct buf own;
	size_t i, k;

	buf_init(&own, FW_NFT_MATCH - 80);
	for (i = 0; i < t->n; i++) {
		if (!t->v[i].ipv6)
			continue;
		buf_printf(&own, "@th,64,128 != 0x");
		for (k = 0; k < 16; k++)
			buf_printf(&own, "%02x", t->v[i].bytes[k]);
		buf_printf(&own, " ");
	}
	if (buf_append(&own, "", 1) != 0) {
		fw_nft_refuse(w, "vm %s: nic %u: too many IPv6 addresses for "
		    "nftables", w->p->nic[rule->nic].guest,
		    w->p->nic[rule->nic].number);
	} else {
		put_check(w, rule, "icmpv6 type 136 %s", buf_head(&own));
		put_check(w, rule, "ip6 saddr :: icmpv6 type 135 %s",
		    buf_head(&own));
	}
	buf_free(&own);
}

/* The source is in the rule's table, and not its own. */
static void
check_source(struct fw_nft *w, const struct fw_rule *rule, const char *field,
    bool ipv6)
{
	struct match m = { .len = 0 };

	if (!fw_nft_has(&w->r->table[rule->peer.table], ipv6))
		return;
	match_add(&m, "%s ", field);
	put_set(w, &m, rule->peer.table, ipv6);
	put_not_own(w, &m, rule, field, ipv6);
	put_line(w, rule, &m);
}

void
fw_nft_check(struct fw_nft *w, const struct fw_rule *rule)
{
	char mac[18] = "";
	const uint8_t *b;

	if (rule->nic < w->p->nnics) {
		b = w->p->nic[rule->nic].mac;
		snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x",
		    b[0], b[1], b[2], b[3], b[4], b[5]);
	}
	switch (rule->check) {
	case FW_CHECK_NONE:
		break;
	case FW_CHECK_TYPE:
		put_check(w, rule, "ether type != { ip, ip6, arp } ");
		break;
	case FW_CHECK_DHCP:
		put_check(w, rule, "ether type ip udp dport 68 ");
		put_check(w, rule, "ether type ip6 udp dport 546 ");
		break;
	case FW_CHECK_RA:
		put_check(w, rule, "icmpv6 type { 134, 137 } ");
		put_check(w, rule, "icmp type { 5, 9 } ");
		break;
	case FW_CHECK_MAC:
		put_check(w, rule, "ether saddr != %s ", mac);
		break;
	case FW_CHECK_ARP:
		check_arp(w, rule, mac);
		break;
	case FW_CHECK_IP4:
		check_ip(w, rule, false);
		break;
	case FW_CHECK_IP6:
		check_ip(w, rule, true);
		break;
	case FW_CHECK_ND:
		check_nd(w, rule);
		break;
	case FW_CHECK_OTHERS:
	case FW_CHECK_SPOOF:
		check_source(w, rule, "ip saddr", false);
		check_source(w, rule, "ip6 saddr", true);
		break;
	}
}

/* What it wants beside addresses. */
static void
put_protocol(const struct fw_nft *w, struct match *m,
    const struct fw_rule *rule)
{
	char ports[16];

	if (rule->want != FW_RDR_ANY && !w->bridge)
		match_add(m, "ct status & dnat %s 0 ",
		    rule->want == FW_RDR_ONLY ? "!=" : "==");
	snprintf(ports, sizeof(ports), rule->lo == rule->hi ? "%u" : "%u-%u",
	    rule->lo, rule->hi);
	if (rule->has_icmp)
		match_add(m, "%s type %u ",
		    rule->family == 6 ? "icmpv6" : "icmp", rule->icmp);
	else if (rule->proto == FW_ICMP && rule->family == 0)
		match_add(m, "meta l4proto { 1, 58 } ");
	else if (rule->lo == 0 && rule->hi == 0 && rule->proto != FW_ANY)
		match_add(m, "meta l4proto %u ", rule->proto);
	else if (rule->proto == FW_TCP || rule->proto == FW_UDP)
		match_add(m, "%s dport %s ",
		    rule->proto == FW_TCP ? "tcp" : "udp", ports);
	else if (rule->hi != 0)
		match_add(m, "meta l4proto %u th dport %s ", rule->proto,
		    ports);
}

static void
put_any(struct fw_nft *w, const struct fw_rule *rule)
{
	struct match m = { .len = 0 };

	if (rule->family != 0 && w->bridge)
		match_add(&m, "ether type %s ", ip_word(rule->family == 6));
	else if (rule->family != 0)
		match_add(&m, "meta nfproto ipv%u ", rule->family);
	put_protocol(w, &m, rule);
	put_line(w, rule, &m);
}

/* The other end has an address of that family, in `set` or in `table`. */
static void
put_peer(struct fw_nft *w, const struct fw_rule *rule, bool ipv6,
    const char *set, uint32_t table)
{
	struct match m = { .len = 0 };

	if (rule->family != 0 && (rule->family == 6) != ipv6)
		return;
	match_add(&m, "%s %s ", ip_word(ipv6),
	    rule->stage == FW_IN ? "saddr" : "daddr");
	if (set != NULL)
		match_add(&m, "%s ", set);
	else if (fw_nft_has(&w->r->table[table], ipv6))
		put_set(w, &m, table, ipv6);
	else
		return;
	put_protocol(w, &m, rule);
	put_line(w, rule, &m);
}

static void
put_switch(struct fw_nft *w, const struct fw_rule *rule)
{
	bool own = rule->peer.sw == rule->sw;
	struct match m = { .len = 0 };

	if (own && rule->stage == FW_IN &&
	    (w->bridge || rule->verdict == FW_BLOCK)) {
		match_add(&m, "%s-%s ", w->bridge ? "iifname @ports" :
		    "ether saddr @macs", w->p->sw[rule->sw].name);
		put_protocol(w, &m, rule);
		put_line(w, rule, &m);
		return;
	}
	put_peer(w, rule, false, NULL, rule->peer.table);
	put_peer(w, rule, true, NULL, rule->peer.table);
	if (own && rule->stage == FW_OUT) {
		put_peer(w, rule, false, "@link_4", 0);
		put_peer(w, rule, true, "@link_6", 0);
		w->link_scope = true;
	}
}

void
fw_nft_rule(struct fw_nft *w, const struct fw_rule *rule)
{
	char cidr[ADDR_TEXT];

	/* What is bridged was translated by nobody. */
	if (w->bridge && rule->want == FW_RDR_ONLY)
		return;
	switch (rule->peer.kind) {
	case FW_PEER_ANY:
		put_any(w, rule);
		break;
	case FW_PEER_CIDR:
		addr_net_text(&rule->peer.cidr, cidr);
		put_peer(w, rule, rule->peer.cidr.ipv6, cidr, 0);
		break;
	case FW_PEER_GUEST:
		put_peer(w, rule, false, NULL, rule->peer.table);
		put_peer(w, rule, true, NULL, rule->peer.table);
		break;
	case FW_PEER_SWITCH:
		put_switch(w, rule);
		break;
	}
}

/* Sets of subnets are searched as trees, those of hosts by a hash. */
static void
put_addrs(struct fw_nft *w, const char *name, const struct os_addr *v,
    size_t n, bool ipv6)
{
	char text[ADDR_TEXT];
	bool interval = false;
	size_t i;

	for (i = 0; i < n; i++)
		if (v[i].ipv6 == ipv6 && v[i].prefix != (ipv6 ? 128 : 32))
			interval = true;
	fw_nft_out(w, "\n\tset %s_%c {\n\t\ttype %s\n%s\t\telements = {\n",
	    name, ipv6 ? '6' : '4', ipv6 ? "ipv6_addr" : "ipv4_addr",
	    interval ? "\t\tflags interval\n" : "");
	for (i = 0; i < n; i++) {
		if (v[i].ipv6 != ipv6)
			continue;
		addr_net_text(&v[i], text);
		fw_nft_out(w, "\t\t\t%s,\n", text);
	}
	fw_nft_out(w, "\t\t}\n\t}\n");
}

void
fw_nft_tables(struct fw_nft *w)
{
	const struct fw_table *t;
	size_t i;

	for (i = 0; i < w->r->ntables; i++) {
		t = &w->r->table[i];
		if (w->used[i] && fw_nft_has(t, false))
			put_addrs(w, t->name, t->v, t->n, false);
		if (w->used[i] && fw_nft_has(t, true))
			put_addrs(w, t->name, t->v, t->n, true);
	}
	if (!w->link_scope)
		return;
	put_addrs(w, "link", fw_link_scope, FW_LINK_SCOPES, false);
	put_addrs(w, "link", fw_link_scope, FW_LINK_SCOPES, true);
}

/* What is one NIC's alone: its MAC, or an address of a family. */
struct key {
	uint8_t		 family;	/* 0: a MAC */
	uint8_t		 bytes[16];
	uint32_t	 nic;
};

static int
compare(const void *a, const void *b)
{
	const struct key *ka = a, *kb = b;
	int order = memcmp(ka, kb, offsetof(struct key, nic));

	return order != 0 ? order : (ka->nic > kb->nic) - (ka->nic < kb->nic);
}

static size_t
list_keys(const struct fw_policy *p, struct key *v)
{
	const struct fw_nic *n;
	size_t i, count = 0;
	uint32_t nic;

	for (nic = 0; nic < p->nnics; nic++) {
		n = &p->nic[nic];
		v[count].nic = nic;
		memcpy(v[count++].bytes, n->mac, sizeof(n->mac));
		for (i = 0; i < n->naddrs; i++) {
			v[count].nic = nic;
			v[count].family = n->addrs[i].ipv6 ? 6 : 4;
			memcpy(v[count++].bytes, n->addrs[i].bytes,
			    n->addrs[i].ipv6 ? 16 : 4);
		}
	}
	return count;
}

static void
refuse_same(struct fw_nft *w, const struct key *a, const struct key *b)
{
	const struct fw_nic *first = &w->p->nic[a->nic];
	const struct fw_nic *last = &w->p->nic[b->nic];

	fw_nft_refuse(w, "vm %s: nic %u: vm %s nic %u has the same %s, by which "
	    "nftables must tell them apart", last->guest, last->number,
	    first->guest, first->number,
	    a->family == 0 ? "lladdr" : "address");
}

/* NICs of which nobody could tell whose a routed packet is. */
void
fw_nft_check_nics(struct fw_nft *w)
{
	size_t i, n = 0;
	struct key *v;

	for (i = 0; i < w->p->nnics; i++)
		n += 1 + w->p->nic[i].naddrs;
	v = calloc(n + 1, sizeof(*v));
	if (v == NULL) {
		w->error = -ENOMEM;
		return;
	}
	n = list_keys(w->p, v);
	qsort(v, n, sizeof(*v), compare);
	for (i = 1; i < n; i++)
		if (memcmp(&v[i - 1], &v[i], offsetof(struct key, nic)) == 0 &&
		    v[i - 1].nic != v[i].nic)
			refuse_same(w, &v[i - 1], &v[i]);
	free(v);
}

/* Names of interfaces are quoted, where * at the end stands for more. */
void
fw_nft_check_names(struct fw_nft *w)
{
	const struct fw_switch *s, *end = w->p->sw + w->p->nsws;

	for (s = w->p->sw; s < end; s++)
		if (strpbrk(s->iface, "\"*\\") != NULL ||
		    strpbrk(s->nat_iface, "\"*\\") != NULL)
			fw_nft_refuse(w, "switch %s: the name of an interface "
			    "that nftables cannot be told", s->name);
}
