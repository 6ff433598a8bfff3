/* SPDX-License-Identifier: ISC */
/* See fwrandom.h. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fwrandom.h"
#include "fwrig.h"

/* xorshift64* (Vigna, 2014). */
static unsigned
draw(struct fwrandom *r, unsigned n)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return (unsigned)((r->state * 2685821657736338717ULL) >> 33) % n;
}

static bool
often(struct fwrandom *r, unsigned percent)
{
	return draw(r, 100) < percent;
}

static const uint16_t ports[] = { 22, 53, 67, 68, 80, 443, 546, 547, 5432,
    8080, 8081 };

static uint16_t
port(struct fwrandom *r)
{
	return ports[draw(r, sizeof(ports) / sizeof(ports[0]))];
}

static void
make_switch(struct fwrandom *r, unsigned i)
{
	static const char *const names[] = { "lan", "dmz", "office-2" };
	struct fw_switch *sw = &r->sw[i];
	char text[64];

	snprintf(sw->name, FW_NAME, "%s", names[i]);
	snprintf(sw->iface, IFNAME_SIZE, "vport%u", i);
	sw->shared = often(r, 30);
	if (sw->shared && often(r, 50))
		snprintf(sw->uplink, IFNAME_SIZE, "em%u", i + 1);
	sw->isolate = often(r, 25);
	sw->nat = (enum fw_nat)draw(r, 3);
	if (sw->nat == FW_NAT_IFACE)
		snprintf(sw->nat_iface, IFNAME_SIZE, "eth0");
	snprintf(text, sizeof(text), "10.0.%u.1/24", i);
	r->sw_addrs[i][0] = addr(text);
	snprintf(text, sizeof(text), i == 1 ? "2001:db8:%u::1/64" :
	    "fd00:%u::1/64", i + 10);
	r->sw_addrs[i][1] = addr(text);
	sw->addrs = r->sw_addrs[i];
	sw->naddrs = 2;
}

static void
make_allow(struct fwrandom *r, struct fw_allow *a)
{
	static const char *const cidrs[] = { "198.51.100.0/24",
	    "2001:db8:9::/48", "10.0.0.0/16", "fd00:10::11/128" };
	static const uint8_t protos[] = { FW_ANY, FW_TCP, FW_UDP, FW_ICMP, 47 };

	memset(a, 0, sizeof(*a));
	a->proto = protos[draw(r, sizeof(protos))];
	if ((a->proto == FW_TCP || a->proto == FW_UDP) && often(r, 80)) {
		a->lo = port(r);
		a->hi = (uint16_t)(a->lo + (often(r, 30) ? 1 : 0));
	}
	a->echo = a->proto == FW_ICMP && often(r, 50);
	a->kind = (enum fw_peer_kind)draw(r, 4);
	if (a->kind == FW_PEER_CIDR)
		a->cidr = addr(cidrs[draw(r, 4)]);
	else if (often(r, 20))
		a->family = often(r, 50) ? 4 : 6;
	if (a->kind == FW_PEER_GUEST)
		snprintf(a->name, FW_NAME, "%s",
		    r->nic[draw(r, (unsigned)r->p.nnics)].guest);
	else if (a->kind == FW_PEER_SWITCH)
		snprintf(a->name, FW_NAME, "%s",
		    r->sw[draw(r, (unsigned)r->p.nsws)].name);
}

static struct fw_allows
make_allows(struct fwrandom *r, struct fw_allow *v)
{
	struct fw_allows a = { v, draw(r, FWRANDOM_ALLOWS + 1) };
	size_t i;

	for (i = 0; i < a.n; i++)
		make_allow(r, &v[i]);
	return a;
}

static void
make_nic(struct fwrandom *r, unsigned i)
{
	struct fw_nic *n = &r->nic[i];
	char text[64];

	n->sw = draw(r, (unsigned)r->p.nsws);
	snprintf(n->tap, IFNAME_SIZE, "tap%u", i);
	n->mac[0] = 2;
	n->mac[5] = (uint8_t)(i + 1);
	snprintf(text, sizeof(text), "10.0.%u.%u", (unsigned)n->sw, i + 11);
	r->nic_addrs[i][0] = addr(text);
	snprintf(text, sizeof(text), n->sw == 1 ? "2001:db8:%u::%u" :
	    "fd00:%u::%u", (unsigned)n->sw + 10, i + 11);
	r->nic_addrs[i][1] = addr(text);
	n->addrs = r->nic_addrs[i];
	n->naddrs = often(r, 80) ? 2 : draw(r, 2);
	n->locked = often(r, 60);
	n->log = (enum fw_log)draw(r, 3);
	n->in = make_allows(r, r->allow[i][0]);
	n->out = make_allows(r, r->allow[i][1]);
	n->host = make_allows(r, r->allow[i][2]);
}

static void
make_published(struct fwrandom *r, unsigned i)
{
	struct fw_nic *n = &r->nic[i];
	struct fw_publish *pub;

	n->publish = r->publish[i];
	n->npublish = n->naddrs == 0 ? 0 : draw(r, FWRANDOM_PUBLISHED + 1);
	for (pub = r->publish[i]; pub < r->publish[i] + n->npublish; pub++) {
		memset(pub, 0, sizeof(*pub));
		pub->proto = often(r, 70) ? FW_TCP : FW_UDP;
		pub->port = port(r);
		pub->to = port(r);
		pub->has_host = often(r, 30);
		pub->host = addr("203.0.113.1");
	}
}

void
fwrandom_policy(struct fwrandom *r, unsigned long seed)
{
	unsigned i;

	memset(r, 0, sizeof(*r));
	r->seed = seed;
	r->state = seed * 0x9e3779b97f4a7c15ULL;
	snprintf(r->p.daemon, FW_NAME, "vmmd");
	r->p.sw = r->sw;
	r->p.nsws = 1 + draw(r, FWRANDOM_SWITCHES);
	r->p.nic = r->nic;
	r->p.nnics = 1 + draw(r, FWRANDOM_NICS);
	for (i = 0; i < r->p.nsws; i++)
		make_switch(r, i);
	/* Now and then a guest has two. */
	for (i = 0; i < r->p.nnics; i++) {
		if (i > 0 && r->nic[i - 1].number == 0 && often(r, 20)) {
			strcpy(r->nic[i].guest, r->nic[i - 1].guest);
			r->nic[i].number = 1;
		} else {
			snprintf(r->nic[i].guest, FW_NAME, "vm%u", i);
		}
	}
	for (i = 0; i < r->p.nnics; i++)
		make_nic(r, i);
	for (i = 0; i < r->p.nnics; i++)
		make_published(r, i);
}

/* An address of a NIC, of the host, or of neither. */
static struct os_addr
any_addr(struct fwrandom *r, const struct fw_policy *p, bool ipv6)
{
	static const char *const others[2][4] = {
		{ "198.51.100.7", "203.0.113.9", "203.0.113.1", "10.0.0.99" },
		{ "2001:db8:9::7", "2001:db8:77::1", "2001:db8:3::1",
		  "fd00:10::99" },
	};
	const struct fw_nic *n = &p->nic[draw(r, (unsigned)p->nnics)];
	const struct fw_switch *sw = &p->sw[draw(r, (unsigned)p->nsws)];
	struct os_addr a;

	if (often(r, 50) && n->naddrs == 2)
		return n->addrs[ipv6];
	if (often(r, 40)) {
		a = sw->addrs[ipv6];
		a.prefix = ipv6 ? 128 : 32;
		if (often(r, 30))
			a.bytes[ipv6 ? 15 : 3] = 99;
		return a;
	}
	return addr(others[ipv6][draw(r, 4)]);
}

static struct os_addr
group(struct fwrandom *r, const struct fw_policy *p, bool ipv6)
{
	static const char *const groups[2][3] = {
		{ "224.0.0.251", "255.255.255.255", "239.1.2.3" },
		{ "ff02::1", "ff02::fb", "ff05::2" },
	};
	struct os_addr a = p->sw[draw(r, (unsigned)p->nsws)].addrs[0];

	if (!ipv6 && often(r, 30)) {
		a.bytes[3] = 255;
		a.prefix = 32;
		return a;
	}
	return addr(groups[ipv6][draw(r, 3)]);
}

static bool
is_group(const struct os_addr *a)
{
	return a->ipv6 ? a->bytes[0] == 0xff :
	    a->bytes[0] >= 224 || a->bytes[3] == 255;
}

static void
draw_transport(struct fwrandom *r, struct fw_packet *k, bool ipv6)
{
	static const uint8_t protos[] = { FW_TCP, FW_TCP, FW_TCP, FW_UDP,
	    FW_UDP, FW_ICMP, 47 };
	static const uint8_t types[2][7] = { { 0, 5, 8, 8, 9, 13, 17 },
	    { 128, 129, 130, 133, 134, 137, 143 } };

	k->proto = protos[draw(r, sizeof(protos))];
	if (k->proto == FW_TCP || k->proto == FW_UDP) {
		k->sport = often(r, 80) ? (uint16_t)(1024 + draw(r, 9)) : 68;
		k->dport = port(r);
		k->not_syn = k->proto == FW_TCP && often(r, 10);
	} else if (k->proto == FW_ICMP) {
		k->icmp = types[ipv6][draw(r, 7)];
		k->proto = ipv6 ? FW_ICMP6 : FW_ICMP;
	}
}

/* Solicitations go where their target is. */
static void
draw_nd(struct fwrandom *r, const struct fw_policy *p, struct fw_packet *k)
{
	k->proto = FW_ICMP6;
	k->icmp = often(r, 60) ? 135 : 136;
	k->has_target = true;
	k->target = any_addr(r, p, true);
	k->sport = k->dport = 0;
	k->not_syn = false;
	if (k->icmp == 136)
		return;
	k->dst = addr("ff02::1:ff00:0");
	memcpy(k->dst.bytes + 13, k->target.bytes + 13, 3);
	if (often(r, 30))
		k->src = addr("::");
}

static void
draw_source(struct fwrandom *r, const struct fw_policy *p, struct fw_packet *k,
    bool ipv6)
{
	const struct fw_nic *n;
	const struct fw_switch *sw;

	k->from = (enum fw_place)draw(r, 4);
	if (often(r, 50))
		k->from = FW_AT_NIC;
	k->src = any_addr(r, p, ipv6);
	k->sw = draw(r, (unsigned)p->nsws);
	sw = &p->sw[k->sw];
	if (k->from == FW_AT_NEIGHBOUR && !sw->shared)
		k->from = FW_AT_OUTSIDE;
	if (k->from == FW_AT_HOST) {
		k->src = sw->addrs[ipv6];
		k->src.prefix = ipv6 ? 128 : 32;
	}
	if (k->from != FW_AT_NIC)
		return;
	k->nic = draw(r, (unsigned)p->nnics);
	n = &p->nic[k->nic];
	memcpy(k->mac, n->mac, 6);
	if (often(r, 5))
		k->mac[5] = 77;
	if (often(r, 80) && n->naddrs == 2)
		k->src = n->addrs[ipv6];
	else if (!ipv6 && often(r, 20))
		k->src = addr("0.0.0.0");
	if (ipv6 && often(r, 10)) {
		k->src = addr("fe80::ff:fe00:0");
		k->src.bytes[15] = n->mac[5];
	}
}

/* A client that has no address yet. */
static void
draw_dhcp(struct fwrandom *r, struct fw_packet *k)
{
	bool ipv6 = often(r, 30);

	k->src = addr(ipv6 ? "fe80::ff:fe00:1" : "0.0.0.0");
	if (ipv6)
		k->src.bytes[15] = k->mac[5];
	k->dst = addr(ipv6 ? "ff02::1:2" : "255.255.255.255");
	k->proto = FW_UDP;
	k->icmp = 0;
	k->sport = ipv6 ? 546 : 68;
	k->dport = ipv6 ? 547 : 67;
	k->not_syn = false;
}

/* ARP and what is neither; from guests only. */
static void
draw_frame(struct fwrandom *r, struct fw_packet *k)
{
	if (k->from != FW_AT_NIC || often(r, 95))
		return;
	k->ether = often(r, 60) && !k->src.ipv6 ? FW_ETHER_ARP :
	    FW_ETHER_OTHER;
	memcpy(k->arp_mac, k->mac, 6);
	if (often(r, 20))
		k->arp_mac[4] = 7;
}

static bool
is_of_host(const struct fw_policy *p, const struct os_addr *a)
{
	static const char *const own[] = { "203.0.113.1", "2001:db8:3::1" };
	struct os_addr o = addr(own[a->ipv6]);
	uint32_t s;

	if (memcmp(o.bytes, a->bytes, 16) == 0)
		return true;
	for (s = 0; s < p->nsws; s++)
		if (memcmp(p->sw[s].addrs[a->ipv6].bytes, a->bytes, 16) == 0)
			return true;
	return false;
}

/* To whom in the sender's switch, where the address does not say. */
static uint32_t
draw_receiver(struct fwrandom *r, const struct fw_policy *p,
    const struct fw_packet *k)
{
	uint32_t sw = k->from == FW_AT_NIC ? p->nic[k->nic].sw : k->sw;
	uint32_t to = draw(r, (unsigned)p->nnics);

	if ((k->from != FW_AT_NIC && k->from != FW_AT_NEIGHBOUR) ||
	    p->nic[to].sw != sw || (k->from == FW_AT_NIC && to == k->nic) ||
	    is_of_host(p, &k->dst))
		return FW_ALL;
	return is_group(&k->dst) ? (often(r, 60) ? to : FW_ALL) :
	    often(r, 15) ? to : FW_ALL;
}

static bool
by_itself(const struct fw_policy *p, const struct fw_packet *k)
{
	size_t i;

	for (i = 0; k->from == FW_AT_NIC && i < p->nic[k->nic].naddrs; i++)
		if (memcmp(p->nic[k->nic].addrs[i].bytes, k->dst.bytes,
		    16) == 0)
			return true;
	return memcmp(k->src.bytes, k->dst.bytes, 16) == 0;
}

uint32_t
fwrandom_packet(struct fwrandom *r, const struct fw_policy *p,
    struct fw_packet *k)
{
	bool ipv6;

	do {
		ipv6 = often(r, 50);
		memset(k, 0, sizeof(*k));
		snprintf(k->oif, sizeof(k->oif), "eth0");
		draw_source(r, p, k, ipv6);
		k->dst = any_addr(r, p, ipv6);
		draw_transport(r, k, ipv6);
		if ((k->from == FW_AT_NIC || k->from == FW_AT_NEIGHBOUR) &&
		    often(r, 15))
			k->dst = group(r, p, ipv6);
		if ((k->from == FW_AT_NIC || k->from == FW_AT_NEIGHBOUR) &&
		    ipv6 && often(r, 10))
			draw_nd(r, p, k);
		if (k->from == FW_AT_NIC && often(r, 3))
			draw_dhcp(r, k);
		draw_frame(r, k);
	} while (by_itself(p, k) ||
	    (k->from == FW_AT_HOST && is_of_host(p, &k->dst)));
	return draw_receiver(r, p, k);
}

const char *
fwrandom_print(const struct fw_packet *k, uint32_t to, char *text, size_t size)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	char target[INET6_ADDRSTRLEN];
	int af = k->src.ipv6 ? AF_INET6 : AF_INET;

	inet_ntop(af, k->src.bytes, src, sizeof(src));
	inet_ntop(af, k->dst.bytes, dst, sizeof(dst));
	inet_ntop(AF_INET6, k->target.bytes, target, sizeof(target));
	snprintf(text, size, "from %d nic %u sw %u ether %d %s > %s proto %u "
	    "port %u %u type %u target %s not-syn %d mac %u to %d", k->from,
	    k->nic, k->sw, k->ether, src, dst, k->proto, k->sport, k->dport,
	    k->icmp, target, k->not_syn, k->mac[5], (int)to);
	return text;
}

static bool
is_nobody(const struct os_addr *a)
{
	static const uint8_t none[16];

	return memcmp(a->bytes, none, 16) == 0;
}

bool
fwrandom_unseen(const struct fw_policy *p, const struct fw_packet *k,
    uint32_t to)
{
	(void)to;
	return k->from == FW_AT_NIC && p->nic[k->nic].locked &&
	    k->proto == FW_ICMP6 && k->icmp == 135 && is_nobody(&k->src);
}

bool
fwrandom_stricter(const struct fw_policy *p, const struct fw_packet *k,
    const struct fw_judgement *v)
{
	if (k->proto != FW_ICMP6)
		return false;
	/* No host forwards it. */
	if (v->to == FW_AT_NOBODY && (k->icmp == 135 || k->icmp == 136))
		return true;
	if (k->icmp == 136)
		return k->from == FW_AT_NIC && p->nic[k->nic].locked;
	return k->icmp == 135 && v->to == FW_AT_NIC && p->nic[v->nic].locked;
}

static bool
switch_has(const struct fw_policy *p, const struct os_addr *a)
{
	uint32_t s;

	for (s = 0; s < p->nsws; s++)
		if (fw_addr_in(&p->sw[s].addrs[a->ipv6], a))
			return true;
	return false;
}

bool
fwrandom_answers(const struct fw_policy *p, const struct fw_packet *k)
{
	if (k->ether != FW_ETHER_IP || is_group(&k->dst) ||
	    (k->proto != FW_TCP && k->proto != FW_UDP))
		return false;
	if (k->proto == FW_UDP && (k->dport == 67 || k->dport == 68 ||
	    k->dport == 546 || k->dport == 547))
		return false;
	/* Of outside only to those guests that outside can know. */
	return k->from == FW_AT_NIC || (k->from == FW_AT_OUTSIDE &&
	    !k->not_syn && !switch_has(p, &k->src) &&
	    (switch_has(p, &k->dst) || is_of_host(p, &k->dst)) &&
	    k->dst.bytes[k->dst.ipv6 ? 15 : 3] != 99);
}
