/* SPDX-License-Identifier: ISC */
/*
 * The network in the configuration: see config_net.h.
 */
#include "vmm/config_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
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

#define REFUSE_MAX	300

/* Why it is none: always false. */
static bool __attribute__((__format__(__printf__, 3, 4)))
refuse(char err[REFUSE_MAX], const char *value, const char *fmt, ...)
{
	size_t n = (size_t)snprintf(err, REFUSE_MAX, "`%s' ", value);
	va_list ap;

	va_start(ap, fmt);
	if (n < REFUSE_MAX)
		vsnprintf(err + n, REFUSE_MAX - n, fmt, ap);
	va_end(ap);
	return false;
}

static bool
is_host6(const uint8_t bytes[16])
{
	struct in6_addr in;

	memcpy(&in, bytes, sizeof(in));
	return !IN6_IS_ADDR_UNSPECIFIED(&in) && !IN6_IS_ADDR_LOOPBACK(&in) &&
	    !IN6_IS_ADDR_V4MAPPED(&in) && !IN6_IS_ADDR_MULTICAST(&in);
}

/* The address in `text`, a part of `value`; `like`: what that may be. */
static bool
parse_host(struct os_addr *a, const char *text, const char *value,
    const char *like, char err[REFUSE_MAX])
{
	static const struct addr_net all;

	a->ipv6 = strchr(text, ':') != NULL;
	if (inet_pton(a->ipv6 ? AF_INET6 : AF_INET, text, a->bytes) != 1)
		return refuse(err, value, "is no address, write it as in %s",
		    like);
	if (a->ipv6 ? !is_host6(a->bytes) : !addr_is_host(&all, addr_ip(a)))
		return refuse(err, value, "is loopback, multicast or reserved, "
		    "write another as in %s", like);
	return true;
}

/* An address with its subnet, which a host there can have. */
static bool
parse_subnet(struct os_addr *a, const char *value, char err[REFUSE_MAX])
{
	char host[INET6_ADDRSTRLEN];
	size_t n = strcspn(value, "/");
	struct addr_net net = { .prefix = 0 };
	struct addr_net6 net6 = { .prefix = 0 };
	bool first;

	snprintf(host, sizeof(host), "%.*s", (int)n, value);
	if (!parse_host(a, host, value, "192.0.2.1/24 or 2001:db8::1/64", err))
		return false;
	if (value[n] == '\0')
		return refuse(err, value, "has no bits, write it as in %s/%u",
		    host, a->ipv6 ? 64 : 24);
	if ((a->ipv6 ? addr6_parse(&net6, value) : addr_parse(&net, value)) !=
	    0 || net.prefix + net6.prefix == 0)
		return refuse(err, value, "needs bits of 1 to %u, as in %s/%u",
		    a->ipv6 ? 128 : 32, host, a->ipv6 ? 64 : 24);
	a->prefix = net.prefix + net6.prefix;
	addr6_clear(&net6);
	if (a->ipv6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80)
		return refuse(err, value, "is link-local, of which the host "
		    "makes one itself; write another");
	first = a->ipv6 ? a->prefix < 128 && memcmp(a->bytes, net6.ip, 16) == 0
	    : (net.ip & ~addr_mask(a->prefix)) == 0;
	if (a->ipv6 ? first : !addr_is_host(&net, net.ip))
		return refuse(err, value, "is the subnet%s, write an address "
		    "in it", first ? " itself" : "'s broadcast address");
	return true;
}

int
addrs_add(struct config_addrs *c, const char *value, bool subnet,
    unsigned max, char *err, size_t errlen)
{
	struct os_addr a = { .prefix = 0 };
	char why[REFUSE_MAX];
	unsigned i;

	if (subnet ? !parse_subnet(&a, value, why) :
	    !parse_host(&a, value, value, "192.0.2.1 or 2001:db8::1", why)) {
		snprintf(err, errlen, "%s", why);
		return -EINVAL;
	}
	for (i = 0; i < c->n; i++)
		if (addr_equal(&c->addr[i], &a)) {
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
		if (!addr_equal(&a->addr[i], &b->addr[i]))
			return false;
	return true;
}

int
addrs_print(const struct config_addrs *a, struct buf *b)
{
	char text[ADDR_TEXT];
	unsigned i;
	int ret = 0;

	if (a->n == 0)
		return buf_printf(b, "-");
	for (i = 0; i < a->n && ret == 0; i++)
		ret = buf_printf(b, "%s%s", i == 0 ? "" : ", ",
		    addr_text(&a->addr[i], text));
	return ret;
}

bool
nic_has_mac(const struct vm_nic *nic)
{
	static const uint8_t none[6];

	return memcmp(nic->mac, none, sizeof(none)) != 0;
}

void
nic_mac(uint8_t mac[6], const char *daemon, const char *vm,
    const struct vm_nic *nic, unsigned i)
{
	if (nic_has_mac(nic))
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

	if (nic->ip == VM_NIC_NO_IP)
		return -ENOENT;
	/* Behind an uplink there are hosts that nobody knows of here. */
	if (nic->ip == 0 && (a == NULL || sw->uplink != NULL))
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
