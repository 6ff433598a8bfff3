/* SPDX-License-Identifier: ISC */
/*
 * Addresses and subnets.
 */
#include "net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Splits address/bits: 0 or -EINVAL. */
static int
parse(int family, const char *text, void *ip, unsigned most, uint8_t *prefix)
{
	const char *slash = strchr(text, '/'), *p;
	char address[INET6_ADDRSTRLEN];
	unsigned bits = 0;

	if (slash == NULL || (size_t)(slash - text) >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	if (inet_pton(family, address, ip) != 1)
		return -EINVAL;
	/* 24, but neither 024 nor +24. */
	for (p = slash + 1; *p >= '0' && *p <= '9' && bits <= most; p++)
		bits = bits * 10 + (unsigned)(*p - '0');
	if (p == slash + 1 || *p != '\0' || bits > most ||
	    (slash[1] == '0' && slash[2] != '\0'))
		return -EINVAL;
	*prefix = (uint8_t)bits;
	return 0;
}

int
addr_parse(struct addr_net *n, const char *text)
{
	struct in_addr in;
	int error;

	error = parse(AF_INET, text, &in, 32, &n->prefix);
	if (error == 0)
		n->ip = ntohl(in.s_addr);
	return error;
}

int
addr6_parse(struct addr_net6 *n, const char *text)
{
	return parse(AF_INET6, text, n->ip, 128, &n->prefix);
}

static const char *
put_text(const struct os_addr *a, bool prefix, char p[ADDR_TEXT])
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(a->ipv6 ? AF_INET6 : AF_INET, a->bytes, text, sizeof(text));
	if (prefix)
		snprintf(p, ADDR_TEXT, "%s/%u", text, a->prefix);
	else
		snprintf(p, ADDR_TEXT, "%s", text);
	return p;
}

const char *
addr_text(const struct os_addr *a, char p[ADDR_TEXT])
{
	return put_text(a, a->prefix != 0, p);
}

const char *
addr_net_text(const struct os_addr *a, char p[ADDR_TEXT])
{
	return put_text(a, a->prefix != (a->ipv6 ? 128 : 32), p);
}

const char *
addr_ip_text(uint32_t ip, char p[ADDR_TEXT])
{
	snprintf(p, ADDR_TEXT, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255,
	    ip >> 8 & 255, ip & 255);
	return p;
}

bool
addr_same(const struct os_addr *a, const struct os_addr *b)
{
	return a->ipv6 == b->ipv6 &&
	    memcmp(a->bytes, b->bytes, a->ipv6 ? 16 : 4) == 0;
}

bool
addr_equal(const struct os_addr *a, const struct os_addr *b)
{
	return addr_same(a, b) && a->prefix == b->prefix;
}

uint32_t
addr_mask(unsigned prefix)
{
	return prefix == 0 ? 0 : ~UINT32_C(0) << (32 - prefix);
}

bool
addr_is_host(const struct addr_net *n, uint32_t ip)
{
	uint32_t mask = addr_mask(n->prefix);

	/* This network, loopback, multicast and what is reserved. */
	if (ip >> 24 == 0 || ip >> 24 == 127 || ip >> 29 == 7)
		return false;
	if (((ip ^ n->ip) & mask) != 0)
		return false;
	/* A subnet of two has no broadcast address (RFC 3021). */
	return n->prefix >= 31 || ((ip & ~mask) != 0 && (ip | mask) != ~0u);
}

void
addr6_clear(struct addr_net6 *n)
{
	unsigned i, keep;

	for (i = 0; i < 16; i++) {
		keep = n->prefix > 8 * i ? n->prefix - 8 * i : 0;
		if (keep < 8)
			n->ip[i] &= (uint8_t)(0xff00 >> keep);
	}
}

int
addr_lease(const struct addr_net *net, unsigned vm, unsigned nic,
    uint32_t *ip)
{
	uint32_t size = ~addr_mask(net->prefix), number = vm, bit;

	if (vm == 0 || vm >= size || nic > size)
		return -ERANGE;
	number++;
	/* The NIC's number with its bits the other way round. */
	for (bit = size / 2 + 1; nic != 0; nic >>= 1, bit >>= 1)
		number += (nic & 1) != 0 ? bit : 0;
	*ip = (net->ip & ~size) | (number & size);
	return addr_is_host(net, *ip) && *ip != net->ip ? 0 : -EADDRNOTAVAIL;
}

void
addr6_by_mac(uint8_t ip[16], const uint8_t prefix[16],
    const uint8_t mac[6])
{
	memmove(ip, prefix, 8);
	ip[8] = mac[0] ^ 0x02;
	ip[9] = mac[1];
	ip[10] = mac[2];
	ip[11] = 0xff;
	ip[12] = 0xfe;
	memcpy(ip + 13, mac + 3, 3);
}
