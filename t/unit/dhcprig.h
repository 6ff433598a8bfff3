/* SPDX-License-Identifier: ISC */
/*
 * A DHCP client's messages, and what it reads in answers, for tests.
 */
#ifndef VMMD_DHCPRIG_H
#define VMMD_DHCPRIG_H

#include "net/dhcp.h"
#include "net/dhcp_opt.h"
#include "netrig.h"

#define XID	0x12345678u

/* A client's message, its options appended one by one. */
struct ask {
	uint8_t		b[1400];
	size_t		len;
	uint32_t	src, dst;
	const uint8_t	*eth_dst;
};

/* An answer, or that there was none. */
struct got {
	struct wire	w;
	int		n;
	uint8_t		m[1500];	/* the message */
	size_t		mlen;
	uint32_t	dst;
};

static inline void
opt(struct ask *a, uint8_t code, const void *p, size_t len)
{
	a->b[a->len++] = code;
	a->b[a->len++] = (uint8_t)len;
	memcpy(a->b + a->len, p, len);
	a->len += len;
}

static inline void
opt32(struct ask *a, uint8_t code, uint32_t v)
{
	uint8_t p[4];

	rig32(p, v);
	opt(a, code, p, 4);
}

static inline struct ask
ask(uint8_t type)
{
	struct ask a = { .len = 240, .dst = ANY_IP, .eth_dst = any_mac };

	a.b[0] = 1;
	a.b[1] = 1;
	a.b[2] = 6;
	rig32(a.b + 4, XID);
	memcpy(a.b + 28, guest_mac, 6);
	rig32(a.b + 236, 0x63825363);
	if (type != 0)
		opt(&a, 53, &type, 1);
	return a;
}

/* The answer to a frame, which was not changed, and is whole. */
static inline struct got
hear(const struct lease *l, const struct wire *w)
{
	struct frame f;
	struct got g;
	uint8_t *exact = wire_exact(w), *ip;

	memset(&g, 0, sizeof(g));
	g.n = frame_parse(&f, exact, w->len);
	if (g.n == 0)
		g.n = dhcp_answer(l, &f, g.w.b);
	wire_exact_end(exact, w);
	if (g.n <= 0)
		return g;
	g.w.len = (size_t)g.n;
	wire_judge(&g.w);
	ip = g.w.b + ETHER;
	ck_assert_uint_eq(frame_get32(ip + 12), l->server);
	ck_assert_uint_eq(frame_get16(ip + 20), 67);
	ck_assert_uint_eq(frame_get16(ip + 22), 68);
	g.dst = frame_get32(ip + 16);
	g.mlen = g.w.len - ETHER - 28;
	memcpy(g.m, ip + 28, g.mlen);
	ck_assert_uint_ge(g.mlen, 300);
	ck_assert_uint_eq(g.m[0], 2);
	ck_assert_uint_eq(g.m[1], 1);
	ck_assert_uint_eq(g.m[2], 6);
	ck_assert_uint_eq(g.m[3], 0);
	ck_assert_uint_eq(frame_get32(g.m + 4), XID);
	ck_assert_uint_eq(frame_get32(g.m + 24), 0);
	ck_assert_mem_eq(g.m + 28, guest_mac, 6);
	ck_assert_uint_eq(frame_get32(g.m + 236), 0x63825363);
	/* To the broadcast address, or the NIC's own: nobody else's. */
	ck_assert_mem_eq(g.w.b + VNET, g.dst == ANY_IP ? any_mac : guest_mac,
	    6);
	return g;
}

static inline struct got
tell(const struct lease *l, struct ask *a)
{
	struct wire w;

	a->b[a->len++] = 255;
	wire_udp4(&w, a->eth_dst, a->src, a->dst, 67, a->b, a->len);
	return hear(l, &w);
}

/* An option of a field, its length or -1; counts how often it is there. */
static inline int
look(const uint8_t *p, size_t len, uint8_t code, const uint8_t **data,
    unsigned *times)
{
	int found = -1;
	size_t i = 0;

	while (i < len && p[i] != 255) {
		if (p[i] == 0) {
			i++;
			continue;
		}
		ck_assert_uint_le(i + 2, len);
		ck_assert_uint_le(i + 2 + p[i + 1], len);
		if (p[i] == code) {
			*data = p + i + 2;
			found = p[i + 1];
			++*times;
		}
		i += 2u + p[i + 1];
	}
	ck_assert_uint_lt(i, len);
	return found;
}

/* The same of a whole answer, which has each option once. */
static inline int
has(const struct got *g, uint8_t code, const uint8_t **data)
{
	const uint8_t *over = NULL;
	unsigned times = 0, overs = 0;
	int n, more;

	n = look(g->m + 240, g->mlen - 240, code, data, &times);
	look(g->m + 240, g->mlen - 240, 52, &over, &overs);
	if (over != NULL && (*over & 1) != 0) {
		more = look(g->m + 108, 128, code, data, &times);
		n = more >= 0 ? more : n;
	}
	if (over != NULL && (*over & 2) != 0) {
		more = look(g->m + 44, 64, code, data, &times);
		n = more >= 0 ? more : n;
	}
	ck_assert_uint_le(times, 1);
	return n;
}

static inline void
want(const struct got *g, uint8_t code, const void *p, size_t len)
{
	const uint8_t *data = NULL;
	int n = has(g, code, &data);

	ck_assert_msg(n >= 0, "no option %u", code);
	ck_assert_int_eq(n, (int)len);
	ck_assert_mem_eq(data, p, len);
}

static inline void
want32(const struct got *g, uint8_t code, uint32_t v)
{
	uint8_t p[4];

	rig32(p, v);
	want(g, code, p, 4);
}

static inline void
want_none(const struct got *g, uint8_t code)
{
	const uint8_t *data;

	ck_assert_msg(has(g, code, &data) < 0, "option %u", code);
}

/* An answer of this type that gives the NIC's address. */
static inline void
want_lease(const struct got *g, uint8_t type)
{
	ck_assert_int_gt(g->n, 0);
	want(g, 53, &type, 1);
	want32(g, 54, SWITCH_IP);
	want32(g, 51, 3600);
	want32(g, 1, 0xffffff00);
	ck_assert_uint_eq(frame_get32(g->m + 16), GUEST_IP);
	ck_assert_uint_eq(frame_get32(g->m + 20), SWITCH_IP);
}

static inline void
want_nak(const struct got *g)
{
	uint8_t type = 6;

	ck_assert_int_gt(g->n, 0);
	want(g, 53, &type, 1);
	want32(g, 54, SWITCH_IP);
	want_none(g, 51);
	want_none(g, 1);
	want_none(g, 3);
	ck_assert_uint_eq(frame_get32(g->m + 12), 0);
	ck_assert_uint_eq(frame_get32(g->m + 16), 0);
	ck_assert_uint_eq(g->dst, ANY_IP);
}

/* All that a lease tells, for who does not choose. */
static inline void
want_all(const struct got *g)
{
	want32(g, 3, SWITCH_IP);
	want(g, 6, "\xc0\0\2\x35\xc6\x33\x64\x35", 8);
	want(g, 12, "web1", 4);
	want(g, 15, "example.org", 11);
	want(g, 26, "\x05\x78", 2);
	want32(g, 28, RIG_IP(192, 0, 2, 255));
}

#endif /* VMMD_DHCPRIG_H */
