/* SPDX-License-Identifier: ISC */
/*
 * Reading the configuration: switches and NICs among each other.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/addr.h"
#include "net/dname.h"
#include "vmm/config_parser.h"
#include "vmm/config_value.h"

#define FREE_TRIES	1024	/* to advise a free address */

unsigned
parser_switch_line(const struct parser *ps, unsigned sw, const char *key)
{
	const struct key *k = key_find(SECTION_SWITCH, key);
	unsigned line = ps->switch_lines[sw].key[k - config_keys];

	return line != 0 ? line : ps->switch_lines[sw].section;
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
overlap(const struct os_addr *a, const struct os_addr *b)
{
	unsigned bits = a->prefix < b->prefix ? a->prefix : b->prefix;
	unsigned bytes = bits / 8, rest = bits % 8;

	return a->ipv6 == b->ipv6 && memcmp(a->bytes, b->bytes, bytes) == 0 &&
	    (rest == 0 ||
	    (a->bytes[bytes] ^ b->bytes[bytes]) >> (8 - rest) == 0);
}

/* ", on line 2", where a switch's address stands, or "" if nobody knows. */
static const char *
addr_place(struct parser *ps, unsigned sw, unsigned addr, char *p)
{
	unsigned line = ps->switch_lines[sw].addr[addr];
	char place[PLACE_MAX];

	*p = '\0';
	if (line != 0 && ps->main_path != NULL)
		snprintf(p, PLACE_MAX, ", %s", parser_place(ps, ps->main_path,
		    line, place, sizeof(place)));
	return p;
}

static void
overlap_error(struct parser *ps, unsigned i, unsigned m, unsigned before,
    unsigned n)
{
	const struct config_switch *a = &ps->conf->sw[i];
	const struct config_switch *b = &ps->conf->sw[before];
	unsigned line = ps->switch_lines[i].addr[m];
	char ta[ADDR_TEXT], tb[ADDR_TEXT], place[PLACE_MAX];

	addr_text(&a->addrs.addr[m], ta);
	addr_text(&b->addrs.addr[n], tb);
	addr_place(ps, before, n, place);
	if (line == 0)
		parser_error(ps, ps->switch_lines[i].section, "nic: [switch "
		    "%s] has %s by default, which overlaps %s of [switch %s]%s; "
		    "give it another by a section [switch %s]", a->name, ta,
		    tb, b->name, place, a->name);
	else
		parser_error(ps, line, "address: %s overlaps %s of [switch "
		    "%s]%s, write another subnet", ta, tb, b->name, place);
}

/*
 * A host has each subnet once, unless a VRF keeps them apart: true after one
 * error.
 */
static bool
check_overlap(struct parser *ps, unsigned i, unsigned before)
{
	const struct config_switch *a = &ps->conf->sw[i];
	const struct config_switch *b = &ps->conf->sw[before];
	unsigned m, n;

	/* One bridge may be several switches'. */
	if (!same_text(a->vrf, b->vrf) ||
	    (a->bridge != NULL && same_text(a->bridge, b->bridge)))
		return false;
	for (m = 0; m < a->addrs.n; m++)
		for (n = 0; n < b->addrs.n; n++)
			if (overlap(&a->addrs.addr[m], &b->addrs.addr[n])) {
				overlap_error(ps, i, m, before, n);
				return true;
			}
	return false;
}

static void
check_mtu(struct parser *ps, unsigned i)
{
	const struct config_switch *sw = &ps->conf->sw[i];
	unsigned k;

	for (k = 0; k < sw->addrs.n; k++)
		if (sw->addrs.addr[k].ipv6 && sw->mtu != 0 &&
		    sw->mtu < PLAN_MTU6) {
			parser_error(ps, parser_switch_line(ps, i, "mtu"),
			    "mtu: %u is too little for IPv6, write %d or more, "
			    "or no IPv6 address", (unsigned)sw->mtu, PLAN_MTU6);
			return;
		}
}

static void
check_router(struct parser *ps, unsigned i)
{
	const struct config_switch *sw = &ps->conf->sw[i];
	const struct os_addr *r = sw->router.addr;
	char text[ADDR_TEXT];

	if (sw->router.n == 0)
		return;
	if (r->ipv6)
		parser_error(ps, parser_switch_line(ps, i, "router"),
		    "router: it is an IPv6 address, write an IPv4 address");
	else if (switch_subnet(sw, addr_ip(r)) == NULL)
		parser_error(ps, parser_switch_line(ps, i, "router"),
		    "router: %s lies in no subnet of [switch %s], add its "
		    "address there", addr_ip_text(addr_ip(r), text), sw->name);
}

/* A word that means yes or no is no interface that anybody meant. */
static void
check_nat(struct parser *ps, unsigned i)
{
	static const char *const no_names[] = {
		"auto", "no", "yes", "on", "off", "true", "false", "none",
	};
	const struct config_switch *sw = &ps->conf->sw[i];
	unsigned line, k;

	if (sw->nat == NULL || strcmp(sw->nat, "no") == 0)
		return;
	line = parser_switch_line(ps, i, "nat");
	if (sw->uplink != NULL) {
		parser_error(ps, line, "nat: guests of a switch with an uplink "
		    "are among its neighbours, write no");
		return;
	}
	if (strcmp(sw->nat, "auto") == 0)
		return;
	for (k = 0; k < sizeof(no_names) / sizeof(no_names[0]); k++)
		if (strcasecmp(sw->nat, no_names[k]) == 0)
			parser_error(ps, line, "nat: unknown value `%s', write "
			    "auto, no, or the name of an interface", sw->nat);
}

void
parser_check_switch(struct parser *ps, unsigned i)
{
	const struct config_switch *sw = &ps->conf->sw[i], *other;
	uint8_t wire[DNAME_MAX];
	bool told = false;
	unsigned k;

	check_router(ps, i);
	check_mtu(ps, i);
	check_nat(ps, i);
	if (sw->domain != NULL && dname_encode(wire, sw->domain) == 0)
		parser_error(ps, parser_switch_line(ps, i, "domain"),
		    "domain: `%s' is no domain, write labels of at most 63 "
		    "letters with dots between", sw->domain);
	if (sw->uplink != NULL && same_text(sw->uplink, sw->bridge))
		parser_error(ps, parser_switch_line(ps, i, "uplink"),
		    "uplink: `%s' is the bridge itself, write the interface "
		    "that it is to join", sw->uplink);
	for (k = 0; k < i; k++) {
		other = &ps->conf->sw[k];
		told = told || check_overlap(ps, i, k);
		if (sw->uplink != NULL && same_text(sw->uplink, other->uplink))
			parser_error(ps, parser_switch_line(ps, i, "uplink"),
			    "uplink: `%s' is that of [switch %s] already, on "
			    "line %u; for another VLAN of it, name a VLAN "
			    "interface", sw->uplink, other->name,
			    parser_switch_line(ps, k, "uplink"));
	}
}

const char *
parser_near_switch(const struct parser *ps, const char *name)
{
	const struct config *c = ps->conf;
	const char *near = NULL;
	unsigned i, best = VALUE_FAR;

	for (i = 0; i < c->nsws; i++)
		if (value_nearer(name, c->sw[i].name, &best))
			near = c->sw[i].name;
	return near;
}

static void
no_switch(struct parser *ps, unsigned line, const char *name)
{
	const char *near = parser_near_switch(ps, name);

	if (near != NULL)
		parser_error(ps, line, "nic: there is no [switch %s], did you "
		    "mean `%s'?", name, near);
	else
		parser_error(ps, line, "nic: there is no [switch %s], add "
		    "that section; an interface of the host is the uplink of "
		    "one", name);
}

/* Why a NIC cannot have the address that it is given, in subnet `a`. */
static void
bad_host(struct parser *ps, unsigned line, const struct config_switch *sw,
    uint32_t nic_ip, const struct os_addr *a)
{
	char ip[ADDR_TEXT], net[ADDR_TEXT], place[PLACE_MAX];
	bool first = (nic_ip & ~addr_mask(a->prefix)) == 0;

	addr_ip_text(nic_ip, ip);
	if (nic_ip == addr_ip(a))
		parser_error(ps, line, "nic: address %s is the host's in "
		    "[switch %s]%s", ip, sw->name, addr_place(ps,
		    (unsigned)(sw - ps->conf->sw),
		    (unsigned)(a - sw->addrs.addr), place));
	else
		parser_error(ps, line, "nic: address %s is the %s in [switch "
		    "%s], %s, write another", ip, first ? "subnet itself" :
		    "broadcast address", sw->name, addr_text(a, net));
}

/* Why a NIC cannot have its address. */
static void
bad_address(struct parser *ps, unsigned line, const struct config_switch *sw,
    const struct vm_nic *n)
{
	const struct os_addr *a = switch_subnet(sw, n->ip);
	char ip[ADDR_TEXT], net[ADDR_TEXT];

	if (switch_subnet(sw, 0) == NULL)
		parser_error(ps, line, "nic: address %s: [switch %s] has no "
		    "IPv4 address, so its subnet is not known; add address = "
		    "ADDRESS/BITS there%s", addr_ip_text(n->ip, ip), sw->name,
		    sw->uplink == NULL ? "" : ", or leave the address to the "
		    "DHCP server behind the uplink");
	else if (a == NULL)
		parser_error(ps, line, "nic: address %s lies outside of "
		    "[switch %s], %s", addr_ip_text(n->ip, ip), sw->name,
		    addr_text(switch_subnet(sw, 0), net));
	else if (n->ip != 0)
		bad_host(ps, line, sw, n->ip, a);
	else if (a->prefix == 32)
		parser_error(ps, line, "nic: the subnet %s of [switch %s] has "
		    "no address for a guest, write fewer bits there, or "
		    "address=none", addr_text(a, net), sw->name);
	else
		parser_error(ps, line, "nic: the subnet %s of [switch %s] has "
		    "no room, give the NIC an address, or none",
		    addr_text(a, net), sw->name);
}

/* Finds out who the NICs of a guest are; errors only if `tell`. */
static void
resolve(struct parser *ps, unsigned vm, bool tell)
{
	const struct vm_config *v = &ps->conf->vm[vm];
	struct vm_lines *l = &ps->lines[vm];
	const struct config_switch *sw;
	const struct vm_nic *n;
	struct addr_net net;
	unsigned i;
	int ret;

	if (l->resolved)
		return;
	l->resolved = true;
	for (i = 0; i < v->nics.n; i++) {
		n = &v->nics.nic[i];
		nic_mac(l->id[i].mac, ps->conf->name, v->name, n, i);
		sw = config_find_switch(ps->conf, n->sw);
		if (sw == NULL) {
			if (tell)
				no_switch(ps, l->nic[i], n->sw);
			continue;
		}
		ret = nic_address(sw, v->name, n, i, &net);
		if (ret == 0)
			l->id[i].ip = net.ip;
		else if (ret == -ERANGE && tell)
			bad_address(ps, l->nic[i], sw, n);
		if (tell && sw->mtu != 0 && n->mtu > sw->mtu)
			parser_error(ps, l->nic[i], "nic: mtu %u is more than "
			    "that of [switch %s], %u", (unsigned)n->mtu,
			    sw->name, (unsigned)sw->mtu);
	}
}

static bool
is_taken(const struct parser *ps, uint32_t ip)
{
	const struct config *c = ps->conf;
	unsigned vm, i;

	for (vm = 0; vm < c->nvms; vm++)
		for (i = 0; i < c->vm[vm].nics.n; i++)
			if (ps->lines[vm].id[i].ip == ip ||
			    c->vm[vm].nics.nic[i].ip == ip)
				return true;
	return false;
}

/* The next address that nobody has; 0: none nearby. */
static uint32_t
free_address(const struct parser *ps, const char *name, uint32_t ip)
{
	const struct os_addr *a = switch_subnet(
	    config_find_switch(ps->conf, name), ip);
	struct addr_net net = { .ip = addr_ip(a), .prefix = a->prefix };
	uint32_t mask = addr_mask(net.prefix);
	unsigned tries;

	for (tries = 0; tries < FREE_TRIES; tries++) {
		ip = (ip & mask) | ((ip + 1) & ~mask);
		if (addr_is_host(&net, ip) && ip != net.ip &&
		    !is_taken(ps, ip))
			return ip;
	}
	return 0;
}

static void
address_taken(struct parser *ps, unsigned vm, unsigned nic, unsigned other,
    unsigned k)
{
	const struct vm_config *v = &ps->conf->vm[vm];
	uint32_t ip = ps->lines[vm].id[nic].ip;
	char text[ADDR_TEXT], place[PLACE_MAX], advice[ADDR_TEXT];
	uint32_t other_ip = free_address(ps, v->nics.nic[nic].sw, ip);

	snprintf(advice, sizeof(advice), "ADDRESS");
	if (other_ip != 0)
		addr_ip_text(other_ip, advice);
	parser_error(ps, ps->lines[vm].nic[nic], "nic: address %s%s is that "
	    "of nic %u of [vm %s], %s, write address=%s",
	    addr_ip_text(ip, text),
	    v->nics.nic[nic].ip == 0 ? ", by the guest's name," : "", k,
	    ps->conf->vm[other].name, parser_place(ps,
	    ps->conf->vm[other].file, ps->lines[other].nic[k], place,
	    sizeof(place)), advice);
}

static void
mac_taken(struct parser *ps, unsigned vm, unsigned nic, unsigned other,
    unsigned k)
{
	const uint8_t *m = ps->lines[vm].id[nic].mac;
	char place[PLACE_MAX];

	parser_error(ps, ps->lines[vm].nic[nic], "nic: lladdr %02x:%02x:%02x:"
	    "%02x:%02x:%02x is that of nic %u of [vm %s], %s", m[0], m[1],
	    m[2], m[3], m[4], m[5], k, ps->conf->vm[other].name,
	    parser_place(ps, ps->conf->vm[other].file,
	    ps->lines[other].nic[k], place, sizeof(place)));
}

/* Looks for the NIC in what stands before it. */
static void
check_nic(struct parser *ps, unsigned vm, unsigned nic)
{
	const struct config *c = ps->conf;
	const struct nic_id *id = &ps->lines[vm].id[nic], *other;
	unsigned i, k, n;

	for (i = 0; i <= vm; i++) {
		n = i == vm ? nic : c->vm[i].nics.n;
		for (k = 0; k < n; k++) {
			other = &ps->lines[i].id[k];
			if (memcmp(other->mac, id->mac, sizeof(id->mac)) == 0) {
				mac_taken(ps, vm, nic, i, k);
				return;
			}
			/* In other switches, too: the firewall knows by it. */
			if (id->ip != 0 && other->ip == id->ip) {
				address_taken(ps, vm, nic, i, k);
				return;
			}
		}
	}
}

void
parser_check_nics(struct parser *ps, unsigned vm)
{
	unsigned i;

	/* Before a request there was a sound configuration. */
	for (i = 0; i < vm; i++)
		resolve(ps, i, false);
	resolve(ps, vm, true);
	for (i = 0; i < ps->conf->vm[vm].nics.n; i++)
		check_nic(ps, vm, i);
}
