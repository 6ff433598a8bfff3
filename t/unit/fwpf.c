/* SPDX-License-Identifier: ISC */
/* See fwpf.h. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "fwpf.h"

static void
net_text(char *to, size_t size, const struct os_addr *a)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(a->ipv6 ? AF_INET6 : AF_INET, a->bytes, text, sizeof(text));
	snprintf(to, size, "%s/%u", text, a->prefix);
}

/* The port by which neighbours are. */
static const char *
uplink(const struct fw_policy *p, uint32_t s, char to[IFNAME_SIZE])
{
	if (p->sw[s].uplink[0] != '\0')
		return p->sw[s].uplink;
	snprintf(to, IFNAME_SIZE, "neighbour%u", s);
	return to;
}

static void
add_switch(struct fwpf *f, uint32_t s)
{
	const struct fw_switch *sw = &f->p->sw[s];
	char nets[256] = "", one[64], name[IFNAME_SIZE];
	size_t i;

	for (i = 0; i < sw->naddrs; i++) {
		net_text(one, sizeof(one), &sw->addrs[i]);
		strcat(nets, one);
		strcat(nets, " ");
	}
	pfe_iface(f->pf, sw->iface, 0, "vport", nets);
	if (sw->shared)
		pfe_iface(f->pf, uplink(f->p, s, name), 0, "", "");
}

bool
fwpf_open(struct fwpf *f, const struct fw_policy *p, const char *pf,
    const char *veb, char *err, size_t size)
{
	uint32_t i;

	memset(f, 0, sizeof(*f));
	f->p = p;
	f->pf = pfe_create();
	f->veb = pfe_bridge_create();
	pfe_iface(f->pf, "lo0", 0, "lo", "127.0.0.1/8 ::1/128");
	pfe_iface(f->pf, FWPF_OUTSIDE, 0, "egress",
	    FWPF_HOST4 " " FWPF_HOST6);
	pfe_route(f->pf, "0.0.0.0/0", FWPF_OUTSIDE);
	pfe_route(f->pf, "::/0", FWPF_OUTSIDE);
	for (i = 0; i < p->nsws; i++)
		add_switch(f, i);
	for (i = 0; i < p->nnics; i++)
		pfe_iface(f->pf, p->nic[i].tap, 0, "tap", "");
	return pfe_load(f->pf, "", pf, err, size) == 0 &&
	    pfe_bridge_load(f->veb, veb, err, size) == 0;
}

void
fwpf_close(struct fwpf *f)
{
	pfe_destroy(f->pf);
	pfe_bridge_destroy(f->veb);
}

static void
to_flow(struct pfe_flow *f, const struct fw_packet *k)
{
	bool icmp = k->proto == FW_ICMP || k->proto == FW_ICMP6;

	memset(f, 0, sizeof(*f));
	f->af = k->src.ipv6 ? 6 : 4;
	f->proto = k->proto;
	f->type = k->icmp;
	f->sport = icmp ? 77 : k->sport;
	f->dport = icmp ? 0 : k->dport;
	memcpy(f->src, k->src.bytes, k->src.ipv6 ? 16 : 4);
	memcpy(f->dst, k->dst.bytes, k->dst.ipv6 ? 16 : 4);
	if (k->has_target)
		memcpy(f->target, k->target.bytes, 16);
}

static bool
is(const struct pfe_flow *f, const struct os_addr *a)
{
	return a->ipv6 == (f->af == 6) &&
	    memcmp(f->dst, a->bytes, a->ipv6 ? 16 : 4) == 0;
}

static uint32_t
switch_of(const struct fw_policy *p, const struct pfe_flow *f)
{
	struct os_addr a = { .ipv6 = f->af == 6 };
	uint32_t s;
	size_t i;

	memcpy(a.bytes, f->dst, 16);
	for (s = 0; s < p->nsws; s++)
		for (i = 0; i < p->sw[s].naddrs; i++)
			if (fw_addr_in(&p->sw[s].addrs[i], &a))
				return s;
	return FW_ALL;
}

static uint32_t
nic_of(const struct fw_policy *p, const struct pfe_flow *f)
{
	uint32_t n;
	size_t i;

	for (n = 0; n < p->nnics; n++)
		for (i = 0; i < p->nic[n].naddrs; i++)
			if (is(f, &p->nic[n].addrs[i]))
				return n;
	return FW_ALL;
}

static bool
is_host(const struct fw_policy *p, const struct pfe_flow *f)
{
	static const uint8_t host4[4] = { 203, 0, 113, 1 };
	static const uint8_t host6[16] = { 0x20, 1, 0x0d, 0xb8, 0, 3, [15] = 1 };
	uint32_t s = switch_of(p, f);
	struct os_addr last;
	size_t i;

	if (f->af == 4 ? memcmp(f->dst, host4, 4) == 0 || f->dst[0] >= 224 :
	    memcmp(f->dst, host6, 16) == 0 || f->dst[0] == 0xff)
		return true;
	for (i = 0; s != FW_ALL && i < p->sw[s].naddrs; i++) {
		last = p->sw[s].addrs[i];
		if (is(f, &last))
			return true;
		if (last.ipv6)
			continue;
		last.bytes[3] |= (uint8_t)(0xff >> (last.prefix - 24));
		if (is(f, &last))
			return true;
	}
	return false;
}

static bool
hop(struct fwpf *f, struct pfe_packet *pkt, struct fwpf_way *w,
    const char *ifname, enum pfe_dir dir)
{
	pkt->ifname = ifname;
	pkt->dir = dir;
	if (dir == PFE_IN)
		pkt->received = ifname;
	snprintf(w->hop[w->nhops], IFNAME_SIZE, "%s", ifname);
	w->dir[w->nhops++] = dir;
	pfe_run(f->pf, pkt, &w->by);
	return w->by.pass;
}

/* The host forwards it, or sends its own. */
static bool
route(struct fwpf *f, struct pfe_packet *pkt, struct fwpf_way *w)
{
	uint32_t s = switch_of(f->p, &pkt->flow), nic;
	char name[IFNAME_SIZE];

	nic = nic_of(f->p, &pkt->flow);
	if (s == FW_ALL)
		return hop(f, pkt, w, FWPF_OUTSIDE, PFE_OUT);
	if (!hop(f, pkt, w, f->p->sw[s].iface, PFE_OUT))
		return false;
	if (nic != FW_ALL)
		return hop(f, pkt, w, f->p->nic[nic].tap, PFE_OUT);
	return !f->p->sw[s].shared ||
	    hop(f, pkt, w, uplink(f->p, s, name), PFE_OUT);
}

/* It came in by a port of a switch, from `port`. */
static bool
switched(struct fwpf *f, struct pfe_packet *pkt, struct fwpf_way *w,
    uint32_t s, const char *port, uint32_t to)
{
	const struct fw_policy *p = f->p;
	bool local = is_host(p, &pkt->flow);
	uint32_t nic = to != FW_ALL ? to : nic_of(p, &pkt->flow);
	uint32_t sw = switch_of(p, &pkt->flow);
	char name[IFNAME_SIZE];

	if (!hop(f, pkt, w, port, PFE_IN))
		return false;
	/* What is for the host's MAC, and is so still if it is redirected. */
	if (to == FW_ALL && local)
		nic = FW_ALL;
	else if (nic != FW_ALL && p->nic[nic].sw == s)
		return hop(f, pkt, w, p->nic[nic].tap, PFE_OUT);
	else if (p->sw[s].shared && nic == FW_ALL && (sw == FW_ALL || sw == s))
		return hop(f, pkt, w, uplink(p, s, name), PFE_OUT);
	else if (nic == FW_ALL && sw == s)
		return true;
	if (!hop(f, pkt, w, p->sw[s].iface, PFE_IN))
		return false;
	return is_host(p, &pkt->flow) || route(f, pkt, w);
}

static bool
framed(struct fwpf *f, const struct fw_packet *k)
{
	const struct fw_nic *n = &f->p->nic[k->nic];
	struct pfe_frame fr = { .ethertype = k->ether == FW_ETHER_ARP ? 0x0806 :
	    k->ether == FW_ETHER_OTHER ? 0x88cc : k->src.ipv6 ? 0x86dd :
	    0x0800, .op = 1 };
	char tag[64] = "", veb[IFNAME_SIZE];

	snprintf(veb, sizeof(veb), "%s", f->p->sw[n->sw].iface);
	if (strncmp(veb, "vport", 5) == 0)
		snprintf(veb, sizeof(veb), "veb%.10s",
		    f->p->sw[n->sw].iface + 5);
	memcpy(fr.src, k->mac, 6);
	memcpy(fr.sha, k->arp_mac, 6);
	memcpy(fr.spa, k->src.bytes, 4);
	memcpy(fr.tpa, k->dst.bytes, 4);
	return !pfe_bridge_run(f->veb, veb, n->tap, PFE_IN, &fr, tag);
}

void
fwpf_send(struct fwpf *f, const struct fw_packet *k, uint32_t to,
    struct fwpf_way *w)
{
	struct pfe_packet pkt = { .flags = k->not_syn ? PFE_ACK : PFE_SYN };
	char name[IFNAME_SIZE];

	memset(w, 0, sizeof(*w));
	to_flow(&pkt.flow, k);
	w->first = pkt.flow;
	switch (k->from) {
	case FW_AT_NIC:
		w->framed = framed(f, k);
		w->pass = !w->framed && (k->ether != FW_ETHER_IP ||
		    switched(f, &pkt, w, f->p->nic[k->nic].sw,
		    f->p->nic[k->nic].tap, to));
		break;
	case FW_AT_NEIGHBOUR:
		w->pass = k->ether != FW_ETHER_IP || switched(f, &pkt, w,
		    k->sw, uplink(f->p, k->sw, name), to);
		break;
	case FW_AT_HOST:
		w->pass = route(f, &pkt, w);
		break;
	default:
		w->pass = hop(f, &pkt, w, FWPF_OUTSIDE, PFE_IN) &&
		    (is_host(f->p, &pkt.flow) || route(f, &pkt, w));
		break;
	}
	w->last = pkt.flow;
}

bool
fwpf_answer(struct fwpf *f, const struct fwpf_way *w)
{
	struct pfe_packet pkt = { .flags = PFE_SYN | PFE_ACK };
	struct pfe_verdict v;
	unsigned i;

	pkt.flow = w->last;
	memcpy(pkt.flow.src, w->last.dst, 16);
	memcpy(pkt.flow.dst, w->last.src, 16);
	pkt.flow.sport = w->last.dport;
	pkt.flow.dport = w->last.sport;
	for (i = w->nhops; i-- > 0;) {
		pkt.ifname = w->hop[i];
		pkt.dir = w->dir[i] == PFE_IN ? PFE_OUT : PFE_IN;
		if (pkt.dir == PFE_IN)
			pkt.received = pkt.ifname;
		pfe_run(f->pf, &pkt, &v);
		if (!v.pass)
			return false;
	}
	return memcmp(pkt.flow.src, w->first.dst, 16) == 0 &&
	    memcmp(pkt.flow.dst, w->first.src, 16) == 0 &&
	    pkt.flow.sport == w->first.dport &&
	    pkt.flow.dport == w->first.sport;
}
