/* SPDX-License-Identifier: ISC */
/*
 * The network in the configuration: see config_net.h.
 */
#include "vmm/config_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "net/ifname.h"

uint32_t
addr_ip(const struct os_addr *a)
{
	return (uint32_t)a->bytes[0] << 24 | (uint32_t)a->bytes[1] << 16 |
	    (uint32_t)a->bytes[2] << 8 | a->bytes[3];
}

static bool
addr_same(const struct os_addr *a, const struct os_addr *b)
{
	return a->ipv6 == b->ipv6 && a->prefix == b->prefix &&
	    memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* An address with its subnet, which a host there can have. */
static bool
parse_subnet(struct os_addr *a, const char *value)
{
	struct addr_net n;
	struct addr_net6 n6;
	uint32_t wire;

	a->ipv6 = strchr(value, ':') != NULL;
	if (!a->ipv6) {
		if (addr_parse(&n, value) != 0 || n.prefix == 0 ||
		    !addr_is_host(&n, n.ip))
			return false;
		wire = htonl(n.ip);
		memcpy(a->bytes, &wire, sizeof(wire));
		a->prefix = n.prefix;
		return true;
	}
	if (addr6_parse(&n6, value) != 0)
		return false;
	memcpy(a->bytes, n6.ip, sizeof(a->bytes));
	a->prefix = n6.prefix;
	addr6_clear(&n6);
	/* Neither the subnet itself nor multicast. */
	return n6.prefix != 0 && a->bytes[0] != 0xff && (n6.prefix == 128 ||
	    memcmp(a->bytes, n6.ip, sizeof(a->bytes)) != 0);
}

static bool
parse_host(struct os_addr *a, const char *value)
{
	const struct addr_net all = { .prefix = 0 };

	a->ipv6 = strchr(value, ':') != NULL;
	if (a->ipv6)
		return inet_pton(AF_INET6, value, a->bytes) == 1 &&
		    a->bytes[0] != 0xff;
	return inet_pton(AF_INET, value, a->bytes) == 1 &&
	    addr_is_host(&all, addr_ip(a));
}

int
addrs_add(struct config_addrs *c, const char *value, bool subnet,
    unsigned max, char *err, size_t errlen)
{
	struct os_addr a = { .prefix = 0 };
	unsigned i;

	if (subnet ? !parse_subnet(&a, value) : !parse_host(&a, value)) {
		snprintf(err, errlen, "`%s' is no %s, write %s", value,
		    subnet ? "address of a host in its subnet" :
		    "address of a host", subnet ?
		    "it as in 192.0.2.1/24 or 2001:db8::1/64" :
		    "it as in 192.0.2.1 or 2001:db8::1");
		return -EINVAL;
	}
	for (i = 0; i < c->n; i++)
		if (addr_same(&c->addr[i], &a)) {
			snprintf(err, errlen, "`%s' is given twice", value);
			return -EEXIST;
		}
	if (c->n == max) {
		snprintf(err, errlen, "too many, at most %u", max);
		return -E2BIG;
	}
	c->addr[c->n++] = a;
	return 0;
}

bool
addrs_equal(const struct config_addrs *a, const struct config_addrs *b)
{
	unsigned i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (!addr_same(&a->addr[i], &b->addr[i]))
			return false;
	return true;
}

int
addr_print(const struct os_addr *a, struct buf *b)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(a->ipv6 ? AF_INET6 : AF_INET, a->bytes, text, sizeof(text));
	return a->prefix == 0 ? buf_printf(b, "%s", text) :
	    buf_printf(b, "%s/%u", text, a->prefix);
}

int
addrs_print(const struct config_addrs *a, struct buf *b)
{
	unsigned i;
	int ret = 0;

	if (a->n == 0)
		return buf_printf(b, "-");
	for (i = 0; i < a->n && ret == 0; i++) {
		if (i > 0)
			ret = buf_printf(b, ", ");
		ret = ret ?: addr_print(&a->addr[i], b);
	}
	return ret;
}

void
nic_mac(uint8_t mac[6], const char *daemon, const char *vm,
    const struct vm_nic *nic, unsigned i)
{
	if (nic->has_mac)
		memcpy(mac, nic->mac, sizeof(nic->mac));
	else
		ifname_port_mac(mac, daemon, vm, i);
}

static bool
covers(const struct os_addr *a, uint32_t ip)
{
	return ((ip ^ addr_ip(a)) & addr_mask(a->prefix)) == 0;
}

const struct os_addr *
switch_subnet(const struct config_switch *sw, uint32_t ip)
{
	const struct os_addr *a;

	for (a = sw->addrs.addr; a < sw->addrs.addr + sw->addrs.n; a++)
		if (!a->ipv6 && (ip == 0 || covers(a, ip)))
			return a;
	return NULL;
}

/* By the guest's name; it misses what no guest can have. */
static int
derive_address(const char *vm, unsigned nic, struct addr_net *out)
{
	struct addr_net net = *out;
	uint32_t numbers = ~addr_mask(net.prefix), first, i;

	if (numbers < 3)
		return -ERANGE;
	/* Those of guests begin with 1, and the last has no room. */
	numbers -= 2;
	first = (uint32_t)(ifname_hash("vm", vm) % numbers);
	/* The subnet, its end, and the switch's own are none for a guest. */
	for (i = 0; i <= 3; i++)
		if (addr_lease(&net, 1 + (first + i) % numbers, nic,
		    &out->ip) == 0)
			return 0;
	return -ERANGE;
}

int
nic_address(const struct config_switch *sw, const char *vm,
    const struct vm_nic *nic, unsigned i, struct addr_net *out)
{
	const struct os_addr *a = switch_subnet(sw, nic->ip);

	/* Behind an uplink there are hosts that nobody knows of here. */
	if (nic->no_ip || (nic->ip == 0 && (a == NULL || sw->uplink != NULL)))
		return -ENOENT;
	if (a == NULL)
		return -ERANGE;
	out->ip = addr_ip(a);
	out->prefix = a->prefix;
	if (nic->ip == 0)
		return derive_address(vm, i, out);
	if (nic->ip == out->ip || !addr_is_host(out, nic->ip))
		return -ERANGE;
	out->ip = nic->ip;
	return 0;
}
