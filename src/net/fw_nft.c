/* SPDX-License-Identifier: ISC */
/*
 * Writes the firewall's rules (net/fw.h) as two tables of nftables.
 *
 * Each stage of a NIC is a chain of its own, found by one look into a map: by
 * the tap where a frame is bridged; where it is routed, by the MAC that it came
 * with or the address that it goes to.  So what a packet costs does not grow
 * with guests.  NICs with the same rules share a chain, named after the first.
 *
 *   bridge  prerouting -300  frames     SPOOF, FRAME by tap
 *                      -150  bodies     FRAME of every NIC, fragments joined
 *           input        0   named      the sender's MAC becomes the NIC's
 *           forward      0   bridged    OUT by tap
 *                        1   arriving   IN by tap
 *   inet    prerouting -300  spoofed    SPOOF
 *                      -100  published  RDR
 *           input        0   hosts      HOST by MAC
 *           forward      0   routed     OUT by MAC
 *                        1   arriving   IN by address
 *           postrouting 100  translated NAT
 *
 * OUT and IN have hooks of their own since Linux checks a chain anew for each way
 * that leads to it: after a map's 500 chains come 500 others, all of 250,000.
 *
 * A packet of IP no longer tells its tap, so its MAC must: a locked NIC's is
 * its own, that of others is rewritten in what goes up to the host.  No
 * neighbour gets in with a guest's.  The exception are groups that no bridge
 * passes on: Linux gives them to the host as the tap's own, past the bridge's
 * rules, so that IP drops whatever a tap has.
 *
 * Protocols are numbers: their names are in a file of /etc that the daemon may
 * not be able to read by then.
 *
 * A chain's policy is to accept, its last rule may drop: rules are replaced
 * all at once, policies are not.  Every table has all chains with a hook, and
 * nothing is said outside of chains and sets: so that a loader can exchange all
 * of it (fw_load_linux.h).  What is in the set of a map's keys and misses the
 * map is dropped.
 */
#include "net/fw_nft.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/addr.h"

#define WORD_MAX	128

static void
keep_error(struct fw_nft *w, int error)
{
	if (w->error == 0)
		w->error = error;
}

__attribute__((__format__(__printf__, 2, 0)))
static void
append(struct fw_nft *w, const char *fmt, va_list ap, struct buf *b)
{
	char line[2 * FW_NFT_MATCH];
	int n;

	n = vsnprintf(line, sizeof(line), fmt, ap);
	if (n < 0 || (size_t)n >= sizeof(line))
		keep_error(w, -ENOBUFS);
	else
		keep_error(w, buf_append(b, line, (size_t)n));
}

void
fw_nft_put(struct fw_nft *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	append(w, fmt, ap, &w->chains);
	va_end(ap);
}

void
fw_nft_out(struct fw_nft *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	append(w, fmt, ap, w->out);
	va_end(ap);
}

void
fw_nft_refuse(struct fw_nft *w, const char *fmt, ...)
{
	va_list ap;

	if (w->error != 0)
		return;
	va_start(ap, fmt);
	vsnprintf(w->err, w->errlen, fmt, ap);
	va_end(ap);
	w->error = -EOPNOTSUPP;
}

static const char *
stage_name(enum fw_stage stage)
{
	static const char *const names[FW_STAGES] = {
		[FW_FRAME] = "frame", [FW_HOST] = "host", [FW_OUT] = "out",
		[FW_IN] = "in",
	};

	return names[stage];
}

/*
 * ---- Sets and maps, of one line an element.
 */

/* Begins a set, or a map from `type` to `to`. */
static void
begin_set(struct fw_nft *w, const char *name, const char *type,
    const char *to)
{
	fw_nft_out(w, "\n\t%s %s {\n\t\ttype %s%s%s\n",
	    to != NULL ? "map" : "set", name, type,
	    to != NULL ? " : " : "", to != NULL ? to : "");
	w->elements = 0;
}

/* nft takes no empty list of elements. */
__attribute__((__format__(__printf__, 2, 3)))
static void
put_element(struct fw_nft *w, const char *fmt, ...)
{
	va_list ap;

	fw_nft_out(w, "%s\t\t\t", w->elements++ == 0 ?
	    "\t\telements = {\n" : "");
	va_start(ap, fmt);
	append(w, fmt, ap, w->out);
	va_end(ap);
	fw_nft_out(w, ",\n");
}

static void
end_set(struct fw_nft *w)
{
	fw_nft_out(w, "%s\t}\n", w->elements > 0 ? "\t\t}\n" : "");
}

static void
mac_text(char out[18], const uint8_t *m)
{
	snprintf(out, 18, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2],
	    m[3], m[4], m[5]);
}

/* Taps of a switch's NICs, or of all. */
static void
put_taps(struct fw_nft *w, const char *name, uint32_t sw)
{
	size_t i;

	begin_set(w, name, "ifname", NULL);
	for (i = 0; i < w->p->nnics; i++)
		if (sw == FW_ALL || w->p->nic[i].sw == sw)
			put_element(w, "\"%s\"", w->p->nic[i].tap);
	end_set(w);
}

/* Those of a switch's NICs, or of all, or of all that have neighbours. */
static void
put_macs(struct fw_nft *w, const char *name, uint32_t sw, bool shared_only)
{
	char mac[18];
	size_t i;

	begin_set(w, name, "ether_addr", NULL);
	for (i = 0; i < w->p->nnics; i++) {
		if ((shared_only && !w->p->sw[w->p->nic[i].sw].shared) ||
		    (sw != FW_ALL && sw != w->p->nic[i].sw))
			continue;
		mac_text(mac, w->p->nic[i].mac);
		put_element(w, "%s", mac);
	}
	end_set(w);
}

/* From a NIC's tap, or its MAC, to its chain in a stage. */
static void
put_map(struct fw_nft *w, enum fw_stage stage, bool by_mac)
{
	char nic[FW_NFT_NIC], mac[18];
	size_t i;

	begin_set(w, stage_name(stage), by_mac ? "ether_addr" : "ifname",
	    "verdict");
	for (i = 0; i < w->p->nnics; i++) {
		fw_nft_nic(nic, &w->p->nic[w->nics[stage][i].nic]);
		mac_text(mac, w->p->nic[i].mac);
		put_element(w, "%s%s%s : goto %s-%s",
		    by_mac ? "" : "\"", by_mac ? mac : w->p->nic[i].tap,
		    by_mac ? "" : "\"", stage_name(stage), nic);
	}
	end_set(w);
}

/* From addresses to chains of IN; without chains, the addresses. */
static bool
put_known(struct fw_nft *w, bool ipv6, bool map)
{
	char name[16], nic[FW_NFT_NIC], addr[ADDR_TEXT];
	const struct fw_nic *n, *end = w->p->nic + w->p->nnics;
	struct os_addr a;
	bool any = false;
	size_t i;

	for (n = w->p->nic; n < end; n++)
		for (i = 0; i < n->naddrs; i++) {
			a = n->addrs[i];
			if (a.ipv6 != ipv6)
				continue;
			snprintf(name, sizeof(name), "%s_%c",
			    map ? "in" : "known", ipv6 ? '6' : '4');
			if (!any)
				begin_set(w, name, ipv6 ? "ipv6_addr" :
				    "ipv4_addr", map ? "verdict" : NULL);
			any = true;
			a.prefix = ipv6 ? 128 : 32;
			addr_net_text(&a, addr);
			fw_nft_nic(nic, &w->p->nic[
			    w->nics[FW_IN][n - w->p->nic].nic]);
			put_element(w, "%s%s%s", addr,
			    map ? " : goto in-" : "", map ? nic : "");
		}
	if (any)
		end_set(w);
	return any;
}

/*
 * ---- Chains.
 */

static void
begin_chain(struct fw_nft *w, const char *name)
{
	fw_nft_put(w, "\n\tchain %s {\n", name);
}

static void
begin_base(struct fw_nft *w, const char *name, const char *type,
    const char *hook, int priority)
{
	begin_chain(w, name);
	fw_nft_put(w, "\t\ttype %s hook %s priority %d; policy accept\n",
	    type, hook, priority);
}

static void
end_chain(struct fw_nft *w)
{
	fw_nft_put(w, "\t}\n");
}

/* A rule of every NIC, or of every NIC of that switch. */
static bool
is_general(const struct fw_rule *rule, enum fw_stage stage, uint32_t sw)
{
	return rule->stage == stage && rule->nic == FW_ALL &&
	    (rule->sw == FW_ALL || rule->sw == sw);
}

static bool
has_general(const struct fw_nft *w, enum fw_stage stage, uint32_t sw)
{
	return (w->general[sw] & 1u << stage) != 0;
}

/* What goes before the own rules of a switch's NICs, and of all. */
static void
put_general(struct fw_nft *w, enum fw_stage stage)
{
	char name[WORD_MAX];
	uint32_t sw;
	size_t i;

	for (sw = 0; sw < w->p->nsws; sw++) {
		if (!has_general(w, stage, sw))
			continue;
		snprintf(name, sizeof(name), "all-%s-%s", stage_name(stage),
		    w->p->sw[sw].name);
		begin_chain(w, name);
		for (i = 0; i < w->r->n; i++)
			if (is_general(&w->r->v[i], stage, sw))
				fw_nft_rule(w, &w->r->v[i]);
		end_chain(w);
	}
}

static void
begin_nic(struct fw_nft *w, enum fw_stage stage, const struct fw_nic *nic)
{
	char name[WORD_MAX], text[FW_NFT_NIC];

	fw_nft_nic(text, nic);
	snprintf(name, sizeof(name), "%s-%s", stage_name(stage), text);
	begin_chain(w, name);
	if (stage == FW_FRAME)
		return;
	fw_nft_put(w, "\t\tjump new\n");
	if (has_general(w, stage, nic->sw))
		fw_nft_put(w, "\t\tjump all-%s-%s\n", stage_name(stage),
		    w->p->sw[nic->sw].name);
}

/* A chain for each NIC, or for several. */
static void
put_nics(struct fw_nft *w, enum fw_stage stage)
{
	const struct fw_nft_chain *c;
	size_t k;
	uint32_t i;

	for (i = 0; i < w->p->nnics && w->error == 0; i++) {
		c = &w->nics[stage][i];
		if (c->nic != i)
			continue;
		begin_nic(w, stage, &w->p->nic[i]);
		for (k = c->begin; k < c->end; k++)
			if (stage == FW_FRAME)
				fw_nft_check(w, &w->r->v[k]);
			else
				fw_nft_rule(w, &w->r->v[k]);
		end_chain(w);
	}
}

static void
put_spoof(struct fw_nft *w)
{
	size_t i;

	for (i = 0; i < w->r->n; i++)
		if (w->r->v[i].stage == FW_SPOOF)
			fw_nft_check(w, &w->r->v[i]);
}

/* Connections that are known, and errors about them. */
static void
put_known_state(struct fw_nft *w)
{
	fw_nft_put(w, "\t\tct state established accept\n");
	fw_nft_put(w, "\t\tct state related meta l4proto { 1, 58 } accept\n");
}

/* What begins no connection is none. */
static void
put_new(struct fw_nft *w)
{
	begin_chain(w, "new");
	fw_nft_put(w, "\t\tct state invalid drop\n");
	fw_nft_put(w, "\t\ttcp flags & (syn | ack) != syn drop\n");
	end_chain(w);
}

/*
 * ---- The bridge's table.
 */

static void
put_frames(struct fw_nft *w)
{
	size_t i;

	begin_base(w, "frames", "filter", "prerouting", -300);
	fw_nft_put(w, "\t\tiifname vmap @frame\n");
	fw_nft_put(w, "\t\tiifname @taps drop\n");
	fw_nft_put(w, "\t\tether saddr @macs drop\n");
	put_spoof(w);
	end_chain(w);

	begin_base(w, "bodies", "filter", "prerouting", -150);
	fw_nft_put(w, "\t\tiifname != @taps accept\n");
	for (i = 0; i < w->r->n; i++)
		if (w->r->v[i].stage == FW_FRAME && w->r->v[i].nic == FW_ALL)
			fw_nft_check(w, &w->r->v[i]);
	end_chain(w);
}

/* The map of NICs whose frames may have other MACs; whether there are any. */
static bool
put_unlocked(struct fw_nft *w)
{
	const struct fw_nic *n, *end = w->p->nic + w->p->nnics;
	bool any = false;
	char mac[18];

	for (n = w->p->nic; n < end; n++) {
		if (n->locked)
			continue;
		if (!any)
			begin_set(w, "unlocked", "ifname", "ether_addr");
		any = true;
		mac_text(mac, n->mac);
		put_element(w, "\"%s\" : %s", n->tap, mac);
	}
	if (any)
		end_set(w);
	return any;
}

static void
put_bridged(struct fw_nft *w)
{
	begin_base(w, "bridged", "filter", "forward", 0);
	/* ARP has no state, and asks for nothing but answers. */
	fw_nft_put(w, "\t\tether type arp accept\n");
	put_known_state(w);
	fw_nft_put(w, "\t\tiifname vmap @out\n");
	fw_nft_put(w, "\t\tiifname @taps drop\n");
	end_chain(w);

	begin_base(w, "arriving", "filter", "forward", 1);
	fw_nft_put(w, "\t\tether type arp accept\n");
	put_known_state(w);
	fw_nft_put(w, "\t\toifname vmap @in\n");
	fw_nft_put(w, "\t\toifname @taps drop\n");
	end_chain(w);
}

static void
put_bridge_table(struct fw_nft *w)
{
	char name[WORD_MAX];
	uint32_t sw;

	put_taps(w, "taps", FW_ALL);
	for (sw = 0; sw < w->p->nsws; sw++) {
		snprintf(name, sizeof(name), "ports-%s", w->p->sw[sw].name);
		put_taps(w, name, sw);
	}
	put_macs(w, "macs", FW_ALL, true);
	put_map(w, FW_FRAME, false);
	put_map(w, FW_OUT, false);
	put_map(w, FW_IN, false);
	put_new(w);
	put_general(w, FW_OUT);
	put_general(w, FW_IN);
	fw_nft_unnamed(w);
	put_nics(w, FW_FRAME);
	put_nics(w, FW_IN);
	put_nics(w, FW_OUT);
	put_bridged(w);
	put_frames(w);
	begin_base(w, "named", "filter", "input", 0);
	if (put_unlocked(w))
		fw_nft_put(w, "\t\tether saddr set iifname map @unlocked\n");
	end_chain(w);
}

/*
 * ---- IP's table.
 */

/* The interfaces of switches, whose list nft's sets take. */
static void
put_switches(struct fw_nft *w)
{
	size_t i;

	begin_set(w, "switches", "ifname", NULL);
	for (i = 0; i < w->p->nsws; i++)
		put_element(w, "\"%s\"", w->p->sw[i].iface);
	end_set(w);
}

/* Who reaches nobody of the same switch, by way of the host either. */
static void
put_isolated(struct fw_nft *w)
{
	char name[WORD_MAX];
	uint32_t sw;

	for (sw = 0; sw < w->p->nsws; sw++) {
		snprintf(name, sizeof(name), "macs-%s", w->p->sw[sw].name);
		if (w->p->sw[sw].isolate)
			put_macs(w, name, sw, false);
	}
}

/* Where nobody is but guests with known addresses; if anywhere. */
static bool
put_nobody(struct fw_nft *w)
{
	bool any = false;
	size_t i;

	for (i = 0; i < w->r->n; i++) {
		if (w->r->v[i].stage != FW_IN || w->r->v[i].nic != FW_NOBODY)
			continue;
		if (!any)
			begin_set(w, "nobody", "ifname", NULL);
		any = true;
		put_element(w, "\"%s\"",
		    w->p->sw[w->r->v[i].sw].iface);
	}
	if (any)
		end_set(w);
	return any;
}

/* Where the rules of a stage begin, or all end. */
static const struct fw_rule *
first_of(const struct fw_nft *w, enum fw_stage stage)
{
	const struct fw_rule *r = w->r->v, *end = r + w->r->n;

	while (r < end && r->stage != stage)
		r++;
	return r;
}

/* Does an earlier rule decide about all that this one would? */
static bool
is_behind(const struct fw_rule *first, const struct fw_rule *r)
{
	const struct fw_rule *e;

	for (e = first; e < r; e++)
		if (e->stage == FW_RDR && e->family == r->family &&
		    e->proto == r->proto && e->lo == r->lo &&
		    (!e->has_host || (r->has_host &&
		    addr_same(&e->host, &r->host))))
			return true;
	return false;
}

/* Published ports of one family: a map; whether there are any. */
static bool
put_ports(struct fw_nft *w, bool ipv6, bool has_host)
{
	const char *ip = ipv6 ? "ipv6_addr" : "ipv4_addr";
	char name[16], type[64], to[64], host[ADDR_TEXT], addr[ADDR_TEXT];
	const struct fw_rule *first = first_of(w, FW_RDR), *r;
	bool any = false;

	snprintf(name, sizeof(name), "%s_%c", has_host ? "ours" : "port",
	    ipv6 ? '6' : '4');
	snprintf(type, sizeof(type), "%s%sinet_proto . inet_service",
	    has_host ? ip : "", has_host ? " . " : "");
	snprintf(to, sizeof(to), "%s . inet_service", ip);
	for (r = first; r < w->r->v + w->r->n; r++) {
		if (r->stage != FW_RDR || (r->family == 6) != ipv6 ||
		    r->has_host != has_host || is_behind(first, r))
			continue;
		if (!any)
			begin_set(w, name, type, to);
		any = true;
		addr_net_text(&r->host, host);
		addr_net_text(&r->to, addr);
		put_element(w, "%s%s%u . %u : %s . %u",
		    has_host ? host : "", has_host ? " . " : "", r->proto,
		    r->lo, addr, r->to_port);
	}
	if (any)
		end_set(w);
	return any;
}

static void
put_published(struct fw_nft *w)
{
	static const char *const ip[] = { "ip", "ip6" };
	bool ours[2], port[2];
	unsigned i;

	for (i = 0; i < 2; i++) {
		ours[i] = put_ports(w, i == 1, true);
		port[i] = put_ports(w, i == 1, false);
	}
	begin_base(w, "published", "nat", "prerouting", -100);
	fw_nft_put(w, "\t\tfib daddr type != local accept\n");
	for (i = 0; i < 2; i++) {
		if (ours[i])
			fw_nft_put(w, "\t\tdnat %s to %s daddr . meta l4proto "
			    ". th dport map @ours_%s\n", ip[i], ip[i],
			    i == 1 ? "6" : "4");
		if (port[i])
			fw_nft_put(w, "\t\tmeta nfproto ipv%s dnat %s to "
			    "meta l4proto . th dport map @port_%s\n",
			    i == 1 ? "6" : "4", ip[i], i == 1 ? "6" : "4");
	}
	end_chain(w);
}

/* Rules of NAT that differ in nothing but the host that a packet goes to. */
static bool
same_nat(const struct fw_rule *a, const struct fw_rule *b)
{
	return a->stage == FW_NAT && b->stage == FW_NAT && a->sw == b->sw &&
	    a->family == b->family && a->has_host == b->has_host &&
	    a->want == b->want && strcmp(a->iface, b->iface) == 0 &&
	    addr_equal(&a->peer.cidr, &b->peer.cidr);
}

/* The hosts of such rules from `first` on. */
static void
put_hosts(struct fw_nft *w, const struct fw_rule *first, const char *name)
{
	const struct fw_rule *r, *end = w->r->v + w->r->n;
	char addr[ADDR_TEXT];

	begin_set(w, name, first->family == 6 ? "ipv6_addr" : "ipv4_addr",
	    NULL);
	for (r = first; r < end; r++)
		if (same_nat(first, r)) {
			addr_net_text(&r->host, addr);
			put_element(w, "%s", addr);
		}
	end_set(w);
}

static void
put_nat(struct fw_nft *w, const struct fw_rule *r, unsigned number)
{
	char name[16], cidr[ADDR_TEXT];
	const char *ip = r->family == 6 ? "ip6" : "ip";

	if (r->peer.kind != FW_PEER_CIDR) {
		fw_nft_refuse(w, "switch %s: NAT of what is no subnet",
		    w->p->sw[r->sw].name);
		return;
	}
	addr_net_text(&r->peer.cidr, cidr);
	fw_nft_put(w, "\t\t%s saddr %s ", ip, cidr);
	if (r->iface[0] != '\0')
		fw_nft_put(w, "oifname \"%s\" ", r->iface);
	else
		fw_nft_put(w, "oifname != @switches ");
	if (r->has_host) {
		snprintf(name, sizeof(name), "hairpin%u", number);
		put_hosts(w, r, name);
		fw_nft_put(w, "%s daddr @%s ", ip, name);
	}
	if (r->want != FW_RDR_ANY)
		fw_nft_put(w, "ct status & dnat %s 0 ",
		    r->want == FW_RDR_ONLY ? "!=" : "==");
	fw_nft_put(w, "masquerade\n");
}

static void
put_translated(struct fw_nft *w)
{
	const struct fw_rule *first = first_of(w, FW_NAT), *e, *r;
	unsigned number = 0;

	begin_base(w, "translated", "nat", "postrouting", 100);
	/* What the host sends is not routed. */
	fw_nft_put(w, "\t\tfib saddr type local accept\n");
	for (r = first; r < w->r->v + w->r->n; r++) {
		for (e = first; e < r && !same_nat(e, r);)
			e++;
		if (r->stage == FW_NAT && e == r)
			put_nat(w, r, number++);
	}
	end_chain(w);
}

/*
 * Where br_netfilter is loaded, what is bridged comes by, too.  It was judged at
 * the bridge, and nothing like it is ever routed.
 */
static void
begin_forward(struct fw_nft *w, const char *name, int priority)
{
	begin_base(w, name, "filter", "forward", priority);
	fw_nft_put(w, "\t\tmeta pkttype != host accept\n");
	fw_nft_put(w, "\t\tether daddr @macs accept\n");
	put_known_state(w);
}

static void
put_routed(struct fw_nft *w)
{
	bool ipv6, known, nobody = put_nobody(w);

	begin_forward(w, "arriving", 1);
	for (ipv6 = false;; ipv6 = true) {
		known = put_known(w, ipv6, true) && put_known(w, ipv6, false);
		if (known)
			fw_nft_put(w, "\t\t%s daddr vmap @in_%c\n"
			    "\t\t%s daddr @known_%c drop\n",
			    ipv6 ? "ip6" : "ip", ipv6 ? '6' : '4',
			    ipv6 ? "ip6" : "ip", ipv6 ? '6' : '4');
		if (ipv6)
			break;
	}
	if (nobody)
		fw_nft_put(w, "\t\toifname @nobody drop\n");
	end_chain(w);

	put_nics(w, FW_OUT);
	begin_forward(w, "routed", 0);
	fw_nft_put(w, "\t\tether saddr vmap @out\n");
	fw_nft_put(w, "\t\tether saddr @macs drop\n");
	end_chain(w);
}

static void
put_inet_table(struct fw_nft *w)
{
	put_switches(w);
	put_taps(w, "taps", FW_ALL);
	put_macs(w, "macs", FW_ALL, false);
	put_isolated(w);
	put_map(w, FW_OUT, true);
	put_map(w, FW_HOST, true);

	begin_base(w, "spoofed", "filter", "prerouting", -300);
	fw_nft_put(w, "\t\tiifname @taps drop\n");
	/* Seen at their bridges; a VRF shows all once more as its own. */
	fw_nft_put(w, "\t\tiifname @switches accept\n");
	fw_nft_put(w, "\t\tiifname \"lo\" accept\n");
	fw_nft_put(w, "\t\tmeta iifkind \"vrf\" accept\n");
	put_spoof(w);
	end_chain(w);

	put_published(w);
	put_new(w);
	put_general(w, FW_HOST);
	put_general(w, FW_OUT);
	put_general(w, FW_IN);
	put_nics(w, FW_HOST);
	begin_base(w, "hosts", "filter", "input", 0);
	put_known_state(w);
	fw_nft_put(w, "\t\tether saddr vmap @host\n");
	fw_nft_put(w, "\t\tether saddr @macs drop\n");
	end_chain(w);
	put_nics(w, FW_IN);
	put_routed(w);
	put_translated(w);
}

/*
 * ---- All of it.
 */

static void
put_table(struct fw_nft *w, const char *name, bool bridge)
{
	w->bridge = bridge;
	w->link_scope = false;
	memset(w->used, 0, (w->r->ntables + 1) * sizeof(*w->used));
	buf_init(&w->chains, w->out->limit);
	fw_nft_out(w, "\ntable %s %s {\n\tflags owner\n",
	    bridge ? "bridge" : "inet", name);
	if (bridge)
		put_bridge_table(w);
	else
		put_inet_table(w);
	fw_nft_tables(w);
	if (w->chains.len > 0)
		keep_error(w, buf_append(w->out, buf_head(&w->chains),
		    w->chains.len));
	fw_nft_out(w, "}\n");
	buf_free(&w->chains);
}

int
fw_nft_write(const struct fw_policy *p, const struct fw_rules *r,
    struct buf *b, char *err, size_t errlen)
{
	struct fw_nft w = {
		.p = p, .r = r, .out = b, .err = err, .errlen = errlen,
	};
	char name[FW_OURS];

	w.used = calloc(r->ntables + 1, sizeof(*w.used));
	if (w.used == NULL || fw_nft_chains(&w) != 0)
		w.error = -ENOMEM;
	fw_ours(name, p->daemon);
	fw_nft_check_nics(&w);
	fw_nft_check_names(&w);
	/* There is one to delete even at first. */
	fw_nft_out(&w, "table inet %s {\n\tflags owner\n}\n"
	    "delete table inet %s\n", name, name);
	fw_nft_out(&w, "table bridge %s {\n\tflags owner\n}\n"
	    "delete table bridge %s\n", name, name);
	if (p->nnics > 0 && w.error == 0) {
		put_table(&w, name, true);
		put_table(&w, name, false);
	}
	free(w.used);
	fw_nft_chains_free(&w);
	return w.error;
}
