/* SPDX-License-Identifier: ISC */
/*
 * The router advertisements of a NIC.
 */
#include "net/ra.h"

#include <errno.h>
#include <string.h>

#include "net/dname.h"

#define SECOND		UINT64_C(1000000000)

/* RFC 4861, 6.2.1 and 10, in seconds. */
#define INTERVAL_MAX	600
#define INTERVAL_MIN	200
#define LIFETIME	1800		/* three intervals */
#define FIRST_INTERVAL	16
#define FIRST_COUNT	3
#define QUIET		3		/* MIN_DELAY_BETWEEN_RAS */
#define VALID		2592000
#define PREFERRED	604800

#define SOLICITATION_LEN	8
#define ADVERTISEMENT	134
#define MTU_LEAST	1280		/* RFC 8200, 5 */
#define HOP_LIMIT	64		/* that guests use */
#define OTHER_CONFIG	0x40		/* more is to be had by DHCPv6 */
#define ON_LINK		0x80		/* in the prefix option */
#define AUTONOMOUS	0x40

enum option {
	SOURCE_LINK = 1,
	PREFIX = 3,
	MTU = 5,
	RDNSS = 25,		/* RFC 8106 */
	DNSSL = 31,
};

static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 };
static const uint8_t all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
static const uint8_t all_routers[16] = { 0xff, 2, [15] = 2 };
static const uint8_t unspecified[16];

/* What an advertisement takes back. */
enum last {
	LAST_NONE,
	LAST_NAMES,
	LAST_ALL,
};

/* Appends an option of `len` bytes, a multiple of 8, all zero but its head. */
static uint8_t *
put(uint8_t **p, enum option type, size_t len)
{
	uint8_t *option = *p;

	memset(option, 0, len);
	option[0] = (uint8_t)type;
	option[1] = (uint8_t)(len / 8);
	*p += len;
	return option;
}

static void
put_prefix(uint8_t **p, const struct lease *l, bool last)
{
	uint8_t *option = put(p, PREFIX, 32);

	option[2] = l->prefix6_len;
	option[3] = ON_LINK | (l->prefix6_len == 64 ? AUTONOMOUS : 0);
	/* The guest cuts a valid time to two hours (RFC 4862, 5.5.3). */
	frame_put32(option + 4, last ? 0 : VALID);
	frame_put32(option + 8, last ? 0 : PREFERRED);
	memcpy(option + 16, l->prefix6, 16);
}

static void
put_names(uint8_t **p, const struct lease *l, bool last)
{
	uint8_t name[DNAME_MAX], *option;
	uint32_t lifetime = last ? 0 : LIFETIME;
	size_t n;
	unsigned i;

	if (l->ndns6 > 0) {
		option = put(p, RDNSS, 8 + 16 * (size_t)l->ndns6);
		frame_put32(option + 4, lifetime);
		for (i = 0; i < l->ndns6; i++)
			memcpy(option + 8 + 16 * i, l->dns6[i], 16);
	}
	n = dname_encode(name, l->domain);
	if (n > 0) {
		option = put(p, DNSSL, 8 + (n + 7) / 8 * 8);
		frame_put32(option + 4, lifetime);
		memcpy(option + 8, name, n);
	}
}

/* RFC 4861, 4.2. */
static int
advertise(const struct lease *l, const uint8_t *dst, enum last last,
    uint8_t *out)
{
	uint8_t *start = out + FRAME_ICMP6_DATA, *p = start + 16;
	const struct frame_to to = {
		.eth_dst = dst == all_nodes ? all_nodes_mac : l->mac,
		.eth_src = l->server_mac,
		.src = l->server6,
		.dst = dst,
	};

	memset(start, 0, 16);
	start[0] = ADVERTISEMENT;
	start[4] = HOP_LIMIT;
	if (l->ndns6 > 0 || l->domain[0] != '\0')
		start[5] = OTHER_CONFIG;
	if (l->router6 && last != LAST_ALL)
		frame_put16(start + 6, LIFETIME);
	memcpy(put(&p, SOURCE_LINK, 8) + 2, l->server_mac, 6);
	if (l->mtu >= MTU_LEAST)
		frame_put32(put(&p, MTU, 8) + 4, l->mtu);
	put_prefix(&p, l, last == LAST_ALL);
	put_names(&p, l, last != LAST_NONE);
	return (int)frame_icmp6(out, &to, (size_t)(p - start));
}

/* After one to all nodes: when the next comes. */
static void
schedule(struct ra *ra, uint64_t now)
{
	uint32_t s;

	/* Xorshift: routers must not get into step, no more. */
	ra->seed ^= ra->seed << 13;
	ra->seed ^= ra->seed >> 17;
	ra->seed ^= ra->seed << 5;
	s = INTERVAL_MIN + ra->seed % (INTERVAL_MAX - INTERVAL_MIN + 1);
	if (ra->first > 0) {
		ra->first--;
		s = FIRST_INTERVAL;
	}
	ra->due = now + s * SECOND;
	ra->quiet = now + QUIET * SECOND;
}

void
ra_init(struct ra *ra, const struct lease *l, uint64_t now)
{
	memset(ra, 0, sizeof(*ra));
	/* Never zero, which would stay so. */
	ra->seed = frame_get32(l->mac + 2) | 1;
	ra->first = FIRST_COUNT - 1;
	ra->due = l->prefix6_len != 0 ? now : RA_NEVER;
}

int
ra_periodic(struct ra *ra, const struct lease *l, uint64_t now,
    uint8_t out[FRAME_MAX])
{
	if (l->prefix6_len == 0 || now < ra->due)
		return 0;
	schedule(ra, now);
	return advertise(l, all_nodes, LAST_NONE, out);
}

/* RFC 4861, 6.1.1. */
static bool
is_solicitation(const struct frame *f)
{
	bool nobody = memcmp(f->src, unspecified, 16) == 0;
	size_t off;

	if (f->hops != 255 || f->data[1] != 0 || f->len < SOLICITATION_LEN ||
	    f->src[0] == 0xff)
		return false;
	for (off = SOLICITATION_LEN; off < f->len; ) {
		if (f->len - off < 8 || f->data[off + 1] == 0 ||
		    f->data[off + 1] * 8u > f->len - off)
			return false;
		if (f->data[off] == SOURCE_LINK && nobody)
			return false;
		off += f->data[off + 1] * 8u;
	}
	return true;
}

int
ra_answer(struct ra *ra, const struct lease *l, const struct frame *f,
    uint64_t now, uint8_t out[FRAME_MAX])
{
	if (l->prefix6_len == 0 || f->version != 6 ||
	    f->protocol != FRAME_ICMP6 || f->data[0] != RA_SOLICITATION ||
	    (memcmp(f->dst, all_routers, 16) != 0 &&
	    memcmp(f->dst, l->server6, 16) != 0))
		return -ENOMSG;
	if (!f->intact || memcmp(f->eth_src, l->mac, 6) != 0 ||
	    !is_solicitation(f))
		return 0;
	/* At once: on this link there is one who asks and one who answers. */
	if (memcmp(f->src, unspecified, 16) != 0)
		return advertise(l, f->src, LAST_NONE, out);
	if (now < ra->quiet) {
		if (ra->due > ra->quiet)
			ra->due = ra->quiet;
		return 0;
	}
	schedule(ra, now);
	return advertise(l, all_nodes, LAST_NONE, out);
}

int
ra_withdraw(const struct lease *l, uint8_t out[FRAME_MAX])
{
	return advertise(l, all_nodes, LAST_ALL, out);
}

int
ra_withdraw_names(const struct lease *l, uint8_t out[FRAME_MAX])
{
	return advertise(l, all_nodes, LAST_NAMES, out);
}
