/* SPDX-License-Identifier: ISC */
/*
 * The firewall for pf: the rules at a guest's tap.
 *
 * Neighbour discovery of a locked NIC: pf does not see what address it is
 * about, but a state of a solicitation is of who asks and what is asked for,
 * and lets in the answer for just that (pf's key of ICMPv6 135 and 136).  So a
 * solicitation is let out to a locked NIC only if it goes to an address of its
 * own or the group of one, making state, and an advertisement comes in by state
 * only: unsolicited ones are dropped.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "net/fw_pf.h"

#define SOLICITATION	135
#define ADVERTISEMENT	136

/* How the rules of a stage are written in one place. */
struct style {
	const char	*pass;		/* "pass in" and the like */
	const char	*block;		/* NULL: not written */
	const char	*opts;		/* of what passes */
	bool		 states;
};

static bool
is_of(const struct fw_pf *w, const struct fw_rule *r, enum fw_stage stage,
    uint32_t nic)
{
	uint32_t sw = w->p->nic[nic].sw;

	if (r->stage != stage)
		return false;
	if (r->nic != FW_ALL)
		return r->nic == nic;
	return r->sw == FW_ALL || r->sw == sw;
}

static bool
is_icmp6(const struct fw_rule *r, uint8_t type)
{
	return r->proto == FW_ICMP6 && r->has_icmp && r->icmp == type;
}

/* Written elsewhere, see above. */
static bool
is_nd(const struct fw_pf *w, const struct fw_rule *r, uint32_t nic)
{
	return w->p->nic[nic].locked && is_icmp6(r, ADVERTISEMENT) &&
	    (r->stage == FW_OUT || r->stage == FW_HOST);
}

static const char *
icmp_name(uint8_t family, uint8_t type, char to[8])
{
	static const struct {
		uint8_t		 family;
		uint8_t		 type;
		const char	*name;
	} names[] = {
		{ 4, 5, "redir" }, { 4, 8, "echoreq" }, { 4, 9, "routeradv" },
		{ 6, 128, "echoreq" }, { 6, 130, "listqry" },
		{ 6, 131, "listenrep" }, { 6, 132, "listendone" },
		{ 6, 133, "routersol" }, { 6, 134, "routeradv" },
		{ 6, 135, "neighbrsol" }, { 6, 136, "neighbradv" },
		{ 6, 137, "redir" },
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].family == family && names[i].type == type)
			return names[i].name;
	snprintf(to, 8, "%u", type);
	return to;
}

/* May the two be one line, with a list of types? */
static bool
alike(const struct fw_rule *a, const struct fw_rule *b)
{
	return a->has_icmp && b->has_icmp && a->verdict == b->verdict &&
	    a->nic == b->nic && a->sw == b->sw && a->family == b->family &&
	    a->proto == b->proto && a->want == b->want &&
	    a->stateless == b->stateless && a->log == b->log &&
	    a->peer.kind == FW_PEER_ANY && b->peer.kind == FW_PEER_ANY;
}

/* From `r` on, those that are alike; the index behind the last one. */
static size_t
add_types(struct fw_pf *w, size_t i, uint32_t nic)
{
	const struct fw_rule *r = fw_pf_rule(w, nic, i), *next;
	size_t k, last = i, n = 1, end = fw_pf_rules(w, nic);
	char text[8];

	for (k = i + 1; k < end; k++) {
		next = fw_pf_rule(w, nic, k);
		if (!is_of(w, next, r->stage, nic) || is_nd(w, next, nic))
			continue;
		if (!alike(r, next))
			break;
		last = k;
		n++;
	}
	if (!r->has_icmp)
		return i + 1;
	fw_pf_add(w, " %s %s%s", r->family == 6 ? "icmp6-type" : "icmp-type",
	    n > 1 ? "{ " : "", icmp_name(r->family, r->icmp, text));
	for (k = i + 1; k <= last && n > 1; k++) {
		next = fw_pf_rule(w, nic, k);
		if (is_of(w, next, r->stage, nic) && !is_nd(w, next, nic))
			fw_pf_add(w, " %s", icmp_name(r->family, next->icmp,
			    text));
	}
	fw_pf_add(w, n > 1 ? " }" : "");
	return last + 1;
}

static void
add_port(struct fw_pf *w, const struct fw_rule *r)
{
	if (r->lo != 0 && r->lo == r->hi)
		fw_pf_add(w, " port %u", r->lo);
	else if (r->lo != 0)
		fw_pf_add(w, " port %u:%u", r->lo, r->hi);
}

static void
add_proto(struct fw_pf *w, const struct fw_rule *r, uint8_t family)
{
	if (family != 0)
		fw_pf_add(w, family == 6 ? " inet6" : " inet");
	if (r->proto == FW_TCP)
		fw_pf_add(w, " proto tcp");
	else if (r->proto == FW_UDP)
		fw_pf_add(w, " proto udp");
	else if (r->proto == FW_ICMP || r->proto == FW_ICMP6)
		fw_pf_add(w, family == 6 ? " proto icmp6" : " proto icmp");
	else if (r->proto != FW_ANY)
		fw_pf_add(w, " proto %u", r->proto);
	else if (r->lo != 0)
		fw_pf_add(w, " proto { tcp udp }");
}

/* The other end, behind "from" or "to". */
static void
add_peer(struct fw_pf *w, const struct fw_rule *r, uint32_t sw)
{
	char name[FW_PF_TABLE];
	unsigned i;

	if (r->peer.kind == FW_PEER_CIDR) {
		fw_pf_addr(w, &r->peer.cidr);
	} else if (r->stage == FW_OUT && r->peer.kind == FW_PEER_SWITCH &&
	    r->peer.sw == sw) {
		fw_pf_add(w, " { <%s>", fw_pf_table(w, r->peer.table, name));
		for (i = 0; i < FW_LINK_SCOPES; i++)
			fw_pf_addr(w, &fw_link_scope[i]);
		fw_pf_add(w, " }");
	} else {
		fw_pf_add(w, " <%s>", fw_pf_table(w, r->peer.table, name));
	}
}

static void
add_ends(struct fw_pf *w, const struct fw_rule *r, uint32_t sw, bool table)
{
	bool peer = r->peer.kind != FW_PEER_ANY && table;

	if (r->stage == FW_IN && peer) {
		fw_pf_add(w, " from");
		add_peer(w, r, sw);
	}
	if (r->stage != FW_IN && peer) {
		fw_pf_add(w, " to");
		add_peer(w, r, sw);
	} else if (r->lo != 0) {
		fw_pf_add(w, " to");
	}
	add_port(w, r);
}

/* Which of the packets that a rule is about: there can be a line for each. */
enum part {
	PART_ALL,
	/* Of IN's from the NIC's own switch. */
	PART_BRIDGED,
	PART_ROUTED,
	PART_PUBLISHED,		/* of what needs no state but for that */
};

static void
add_state(struct fw_pf *w, const struct fw_rule *r, const struct style *s,
    uint32_t nic, enum part part)
{
	bool asked = part == PART_PUBLISHED || (r->stage == FW_IN &&
	    w->p->nic[nic].locked && is_icmp6(r, SOLICITATION));

	fw_pf_add(w, "%s", s->opts);
	if (!s->states)
		return;
	if (r->stateless && r->proto == FW_ICMP6)
		fw_pf_add(w, " allow-opts");
	fw_pf_add(w, r->stateless && !asked ? " no state" :
	    " keep state (if-bound)");
}

/* One rule of one family; the index behind it. */
static size_t
write_one(struct fw_pf *w, size_t i, uint32_t nic, const struct style *s,
    uint8_t family, enum part part)
{
	const struct fw_rule *r = fw_pf_rule(w, nic, i);
	uint32_t sw = w->p->nic[nic].sw;
	char tag[FW_PF_TAG];
	size_t next;

	fw_pf_add(w, "%s%s", r->verdict == FW_BLOCK ? s->block : s->pass,
	    r->log && s->states ? " log quick" :
	    s->states ? " quick" : "");
	add_proto(w, r, family);
	add_ends(w, r, sw, part != PART_BRIDGED && part != PART_ROUTED);
	next = add_types(w, i, nic);
	if (part == PART_BRIDGED)
		fw_pf_add(w, " tagged %s", fw_pf_tag(w, FW_PF_GUEST, sw, tag));
	else if (part == PART_ROUTED)
		fw_pf_add(w, " tagged %s", fw_pf_tag(w, FW_PF_ROUTED, sw,
		    tag));
	else if (part == PART_PUBLISHED)
		fw_pf_add(w, " tagged %s", fw_pf_tag(w, FW_PF_RDR, sw, tag));
	else if (r->want != FW_RDR_ANY)
		fw_pf_add(w, " %stagged %s", r->want == FW_RDR_NOT ? "! " : "",
		    fw_pf_tag(w, FW_PF_RDR, sw, tag));
	if (r->verdict != FW_BLOCK)
		add_state(w, r, s, nic, part);
	fw_pf_end(w);
	return next;
}

/* Is a port published that passes without state otherwise, a DHCP server's? */
static bool
is_published(const struct fw_pf *w, const struct fw_rule *r)
{
	const struct fw_rule *rdr;

	if (!r->stateless || r->lo == 0)
		return false;
	for (rdr = w->r->v; rdr < w->r->v + w->r->n; rdr++)
		if (rdr->stage == FW_RDR && rdr->proto == r->proto &&
		    rdr->to_port >= r->lo && rdr->to_port <= r->hi)
			return true;
	return false;
}

static size_t
write_rule(struct fw_pf *w, size_t i, uint32_t nic, const struct style *s)
{
	const struct fw_rule *r = fw_pf_rule(w, nic, i);
	bool own = r->stage == FW_IN && r->peer.kind == FW_PEER_SWITCH &&
	    r->peer.sw == w->p->nic[nic].sw && r->want != FW_RDR_ONLY;
	bool both = r->proto == FW_ICMP && r->family == 0;
	/* Who is isolated may say that it has any address. */
	enum part rest = own && r->verdict == FW_BLOCK ? PART_ROUTED : PART_ALL;
	uint8_t family = both ? 4 : r->family;
	size_t next;

	if (s->states && is_published(w, r))
		write_one(w, i, nic, s, family, PART_PUBLISHED);
	if (own)
		write_one(w, i, nic, s, family, PART_BRIDGED);
	next = write_one(w, i, nic, s, family, rest);
	if (both && own)
		write_one(w, i, nic, s, 6, PART_BRIDGED);
	if (both)
		write_one(w, i, nic, s, 6, rest);
	return next;
}

/* All of a NIC's in a stage. */
static void
write_stage(struct fw_pf *w, enum fw_stage stage, uint32_t nic,
    const struct style *s)
{
	const struct fw_rule *r;
	size_t i = 0, end = fw_pf_rules(w, nic);

	while (i < end) {
		r = fw_pf_rule(w, nic, i);
		if (!is_of(w, r, stage, nic) || is_nd(w, r, nic) ||
		    (r->verdict == FW_BLOCK && s->block == NULL))
			i++;
		else
			i = write_rule(w, i, nic, s);
	}
}

/* Whether the rule that blocks the rest logs that. */
static bool
logs(const struct fw_pf *w, enum fw_stage stage, uint32_t nic)
{
	const struct fw_rule *r;
	size_t i, end = fw_pf_rules(w, nic);
	bool log = false;

	for (i = 0; i < end; i++) {
		r = fw_pf_rule(w, nic, i);
		if (is_of(w, r, stage, nic) && r->verdict == FW_BLOCK)
			log = r->log;
	}
	return log;
}

/*
 * Each copy of what is sent to a group is judged by itself, but comes in once:
 * a tag says who may have it.
 */
static void
write_groups(struct fw_pf *w, uint32_t nic)
{
	uint32_t sw = w->p->nic[nic].sw;
	char guest[FW_PF_TAG], host[FW_PF_TAG], link[FW_PF_TAG];
	char all[FW_PF_TAG], opts[3 * FW_PF_TAG];
	struct style s = { .pass = "match", .opts = opts };

	fw_pf_tag(w, FW_PF_GUEST, sw, guest);
	fw_pf_tag(w, FW_PF_TO_HOST, sw, host);
	fw_pf_tag(w, FW_PF_TO_LINK, sw, link);
	fw_pf_tag(w, FW_PF_TO_ALL, sw, all);
	fw_pf_open(w, "anchor \"groups\" in to <%s-groups>", w->ours);
	snprintf(opts, sizeof(opts), " tag %s", host);
	write_stage(w, FW_HOST, nic, &s);
	snprintf(opts, sizeof(opts), " tagged %s tag %s", host, all);
	write_stage(w, FW_OUT, nic, &s);
	snprintf(opts, sizeof(opts), " tagged %s tag %s", guest, link);
	write_stage(w, FW_OUT, nic, &s);
	fw_pf_line(w, "pass quick flags S/SA ! tagged %s allow-opts no state",
	    guest);
	fw_pf_line(w, "block%s quick", logs(w, FW_OUT, nic) ? " log" : "");
	fw_pf_close(w);
}

static void
write_in(struct fw_pf *w, uint32_t nic)
{
	static const struct style host = { .pass = "pass", .block = "block",
	    .opts = "", .states = true };
	static const struct style out = { .pass = "pass in",
	    .block = "block in", .opts = "", .states = true };

	fw_pf_open(w, "anchor \"host\" in to (self)");
	write_stage(w, FW_HOST, nic, &host);
	fw_pf_close(w);
	write_groups(w, nic);
	write_stage(w, FW_OUT, nic, &out);
}

/* What a guest of the same switch asks of a published port. */
static void
write_hairpin(struct fw_pf *w, const struct fw_rule *r)
{
	const struct fw_switch *sw = &w->p->sw[r->sw];
	char tag[FW_PF_TAG];
	struct os_addr host;
	size_t i;

	for (i = 0; i < sw->naddrs; i++)
		if (sw->addrs[i].ipv6 == r->peer.cidr.ipv6 &&
		    fw_addr_in(&r->peer.cidr, &sw->addrs[i]))
			break;
	if (i == sw->naddrs) {
		fw_pf_fail(w, "switch %s has no address to translate to",
		    sw->name);
		return;
	}
	host = sw->addrs[i];
	host.prefix = host.ipv6 ? 128 : 32;
	fw_pf_add(w, "match out %s from", host.ipv6 ? "inet6" : "inet");
	fw_pf_addr(w, &r->peer.cidr);
	fw_pf_add(w, " to");
	fw_pf_addr(w, &r->host);
	fw_pf_add(w, " tagged %s nat-to", fw_pf_tag(w, FW_PF_RDR, r->sw, tag));
	fw_pf_addr(w, &host);
	fw_pf_end(w);
}

static void
write_out(struct fw_pf *w, uint32_t nic)
{
	const struct fw_nic *n = &w->p->nic[nic];
	char guest[FW_PF_TAG], tag[FW_PF_TAG], name[FW_PF_TABLE];
	char opts[FW_PF_TAG + 8];
	struct style s = { .pass = "pass out", .block = "block out",
	    .opts = opts, .states = true };
	size_t i, end = fw_pf_rules(w, nic);
	const struct fw_rule *r;

	fw_pf_tag(w, FW_PF_GUEST, n->sw, guest);
	snprintf(opts, sizeof(opts), " tag %s", guest);
	fw_pf_line(w, "block out quick tagged %s",
	    fw_pf_tag(w, FW_PF_TO_HOST, n->sw, tag));
	fw_pf_line(w, "match out tagged %s tag %s",
	    fw_pf_tag(w, FW_PF_TO_LINK, n->sw, tag), guest);
	fw_pf_line(w, "match out tagged %s tag %s",
	    fw_pf_tag(w, FW_PF_TO_ALL, n->sw, tag), guest);
	for (i = 0; i < end && n->locked; i++) {
		r = fw_pf_rule(w, nic, i);
		if (r->nic == nic && r->check == FW_CHECK_ND)
			fw_pf_line(w, "block out quick inet6 proto icmp6 to "
			    "! <%s> icmp6-type neighbrsol",
			    fw_pf_nd(w, r->own, name));
	}
	fw_pf_line(w, "pass out quick flags any tagged %s tag %s allow-opts "
	    "keep state (if-bound)", fw_pf_tag(w, FW_PF_HOST, 0, tag), guest);
	for (i = 0; i < end; i++) {
		r = fw_pf_rule(w, nic, i);
		if (r->stage == FW_NAT && r->nic == nic)
			write_hairpin(w, r);
	}
	write_stage(w, FW_IN, nic, &s);
}

void
fw_pf_nic(struct fw_pf *w, uint32_t nic)
{
	const struct fw_nic *n = &w->p->nic[nic];
	char name[FW_PF_ANCHOR];

	fw_pf_line(w, "# %s, NIC %u", n->guest, n->number);
	fw_pf_open(w, "anchor \"%s\" on %s", fw_pf_anchor_nic(w, nic, name),
	    n->tap);
	write_in(w, nic);
	write_out(w, nic);
	fw_pf_close(w);
}

/*
 * What of IPv4 or IPv6 is not of the NIC's own addresses, with exceptions: both
 * are tagged, then blocked.
 */
static void
write_lock(struct fw_pf *w, const struct fw_rule *r)
{
	const struct fw_rule *next = r + 1;
	bool last = next == w->r->v + w->r->n || next->nic != r->nic ||
	    next->check != FW_CHECK_IP6;
	char guest[FW_PF_TAG], forged[FW_PF_TAG], name[FW_PF_TABLE];

	fw_pf_tag(w, FW_PF_GUEST, r->sw, guest);
	fw_pf_tag(w, FW_PF_FORGED, r->sw, forged);
	fw_pf_line(w, "match %s from ! <%s> tag %s",
	    r->check == FW_CHECK_IP4 ? "inet" : "inet6",
	    fw_pf_table(w, r->own, name), forged);
	if (r->check == FW_CHECK_IP4)
		fw_pf_line(w, "match inet proto udp from 0.0.0.0 port 68 to "
		    "any port 67 tag %s", guest);
	else
		fw_pf_line(w, "match inet6 proto icmp6 from :: icmp6-type "
		    "{ routersol neighbrsol listenrep listendone 143 } tag %s",
		    guest);
	if (last)
		fw_pf_line(w, "block%s quick tagged %s", r->log ? " log" : "",
		    forged);
}

static void
write_check(struct fw_pf *w, const struct fw_rule *r)
{
	const char *block = r->log ? "block log quick" : "block quick";
	char own[FW_PF_TABLE], peer[FW_PF_TABLE];

	switch (r->check) {
	case FW_CHECK_DHCP:
		fw_pf_line(w, "%s inet proto udp to port 68", block);
		fw_pf_line(w, "%s inet6 proto udp to port 546", block);
		break;
	case FW_CHECK_RA:
		fw_pf_line(w, "%s inet proto icmp icmp-type { routeradv redir "
		    "}", block);
		fw_pf_line(w, "%s inet6 proto icmp6 icmp6-type { routeradv "
		    "redir }", block);
		break;
	case FW_CHECK_IP4:
	case FW_CHECK_IP6:
		write_lock(w, r);
		break;
	case FW_CHECK_ND:
		fw_pf_line(w, "%s inet6 proto icmp6 icmp6-type neighbradv",
		    block);
		fw_pf_line(w, "%s inet6 proto icmp6 from :: to ! <%s> "
		    "icmp6-type neighbrsol", block,
		    fw_pf_nd(w, r->own, own));
		break;
	case FW_CHECK_OTHERS:
		fw_pf_table(w, r->own, own);
		fw_pf_table(w, r->peer.table, peer);
		fw_pf_open(w, "anchor \"%s\" from <%s>", peer, peer);
		fw_pf_line(w, "%s from ! <%s>", block, own);
		fw_pf_close(w);
		break;
	default:
		/* The bridge's. */
		break;
	}
}

void
fw_pf_frames(struct fw_pf *w, uint32_t sw)
{
	const struct fw_nic *n;
	const struct fw_rule *r;
	uint32_t nic;
	size_t i;
	char tag[FW_PF_TAG], name[FW_PF_ANCHOR];

	fw_pf_open(w, "anchor \"frames\" in tagged %s",
	    fw_pf_tag(w, FW_PF_GUEST, sw, tag));
	for (r = w->r->v; r < w->r->v + w->r->n; r++)
		if (r->stage == FW_FRAME && r->nic == FW_ALL &&
		    (r->sw == FW_ALL || r->sw == sw))
			write_check(w, r);
	for (nic = 0; nic < w->p->nnics; nic++) {
		n = &w->p->nic[nic];
		if (n->sw != sw)
			continue;
		fw_pf_line(w, "# %s, NIC %u%s", n->guest, n->number,
		    n->locked ? ", is locked" : "");
		fw_pf_open(w, "anchor \"%s\" on %s",
		    fw_pf_anchor_nic(w, nic, name), n->tap);
		for (i = 0; i < fw_pf_rules(w, nic); i++) {
			r = fw_pf_rule(w, nic, i);
			if (r->stage == FW_FRAME && r->nic == nic)
				write_check(w, r);
		}
		fw_pf_close(w);
	}
	fw_pf_close(w);
}
