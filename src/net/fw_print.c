/* SPDX-License-Identifier: ISC */
/*
 * Rules of the firewall as a line that a person reads: see fw.h.
 */
#include <stdio.h>

#include "base/buf.h"
#include "net/addr.h"
#include "net/fw.h"

static const char *const stage_names[FW_STAGES] = {
	[FW_SPOOF] = "spoof",
	[FW_FRAME] = "frame",
	[FW_RDR] = "rdr",
	[FW_HOST] = "host",
	[FW_OUT] = "out",
	[FW_IN] = "in",
	[FW_NAT] = "nat",
};

static const char *const check_names[] = {
	[FW_CHECK_NONE] = "",
	[FW_CHECK_TYPE] = " neither IPv4, IPv6 nor ARP",
	[FW_CHECK_DHCP] = " answers of a DHCP server",
	[FW_CHECK_RA] = " router advertisements and redirects",
	[FW_CHECK_MAC] = " from another MAC address",
	[FW_CHECK_ARP] = " ARP for another address",
	[FW_CHECK_IP4] = " from another IPv4 address",
	[FW_CHECK_IP6] = " from another IPv6 address",
	[FW_CHECK_ND] = " neighbour discovery for another address",
	[FW_CHECK_OTHERS] = " from an address of others:",
	[FW_CHECK_SPOOF] = " from elsewhere, from an address of",
};

static int
print_addr(struct buf *b, const struct os_addr *a)
{
	char text[ADDR_TEXT];

	return buf_printf(b, " %s", addr_net_text(a, text));
}

/* Whose rule it is. */
static int
print_subject(const struct fw_policy *p, const struct fw_rule *r,
    struct buf *b)
{
	if (r->nic < p->nnics)
		return buf_printf(b, "vm %s nic %u", p->nic[r->nic].guest,
		    p->nic[r->nic].number);
	if (r->sw == FW_ALL)
		return buf_printf(b, "every nic");
	return buf_printf(b, "%sswitch %s", r->nic == FW_NOBODY ?
	    "no guest of " : "", p->sw[r->sw].name);
}

static int
print_proto(const struct fw_rule *r, struct buf *b)
{
	static const char *const family[] = { [4] = " inet", [6] = " inet6" };
	int ret = 0;

	if (r->family != 0)
		ret = buf_printf(b, "%s", family[r->family]);
	if (r->proto == FW_TCP)
		ret = ret ?: buf_printf(b, " tcp");
	else if (r->proto == FW_UDP)
		ret = ret ?: buf_printf(b, " udp");
	else if (r->proto == FW_ICMP || r->proto == FW_ICMP6)
		ret = ret ?: buf_printf(b, " icmp");
	else if (r->proto != FW_ANY)
		ret = ret ?: buf_printf(b, " proto %u", r->proto);
	if (r->has_icmp)
		ret = ret ?: buf_printf(b, " type %u", r->icmp);
	return ret;
}

static int
print_port(const struct fw_rule *r, struct buf *b)
{
	if (r->lo == 0 && r->hi == 0)
		return 0;
	return r->lo == r->hi ? buf_printf(b, " port %u", r->lo) :
	    buf_printf(b, " port %u-%u", r->lo, r->hi);
}

static int
print_peer(const struct fw_policy *p, const struct fw_rules *rs,
    const struct fw_rule *r, struct buf *b)
{
	const char *way = r->stage == FW_IN || r->stage == FW_RDR ||
	    r->stage == FW_NAT ? " from" : " to";
	int ret;

	if (r->check != FW_CHECK_NONE)
		return r->peer.table == FW_ALL ? 0 :
		    buf_printf(b, " %s", rs->table[r->peer.table].what);
	switch (r->peer.kind) {
	case FW_PEER_ANY:
		return 0;
	case FW_PEER_CIDR:
		ret = buf_printf(b, "%s", way);
		return ret ?: print_addr(b, &r->peer.cidr);
	case FW_PEER_GUEST:
		return buf_printf(b, "%s %s", way,
		    rs->table[r->peer.table].what);
	case FW_PEER_SWITCH:
		return buf_printf(b, "%s switch %s", way,
		    p->sw[r->peer.sw].name);
	}
	return 0;
}

static int
print_translation(const struct fw_rule *r, struct buf *b)
{
	int ret = 0;

	if (r->has_host) {
		ret = buf_printf(b, " to");
		ret = ret ?: print_addr(b, &r->host);
	} else if (r->stage == FW_RDR) {
		ret = buf_printf(b, " to the host");
	}
	if (r->stage == FW_RDR) {
		ret = ret ?: print_port(r, b);
		ret = ret ?: buf_printf(b, " ->");
		ret = ret ?: print_addr(b, &r->to);
		return ret ?: buf_printf(b, " port %u", r->to_port);
	}
	return ret ?: r->iface[0] != '\0' ? buf_printf(b, " by %s", r->iface) :
	    buf_printf(b, " by any interface to outside");
}

int
fw_rule_print(const struct fw_policy *p, const struct fw_rules *rs,
    const struct fw_rule *r, struct buf *b)
{
	static const char *const verdicts[] = { [FW_PASS] = "pass",
	    [FW_BLOCK] = "block", [FW_TRANSLATE] = "translate" };
	int ret;

	ret = print_subject(p, r, b);
	ret = ret ?: buf_printf(b, ": %s: %s%s%s", stage_names[r->stage],
	    verdicts[r->verdict], r->log ? " log" : "",
	    check_names[r->check]);
	ret = ret ?: print_proto(r, b);
	if (r->want != FW_RDR_ANY)
		ret = ret ?: buf_printf(b, "%s", r->want == FW_RDR_ONLY ?
		    " published" : " not published");
	if (r->verdict != FW_TRANSLATE)
		ret = ret ?: print_port(r, b);
	ret = ret ?: print_peer(p, rs, r, b);
	return r->verdict != FW_TRANSLATE ? ret :
	    ret ?: print_translation(r, b);
}
