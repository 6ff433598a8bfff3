/* SPDX-License-Identifier: ISC */
/*
 * A guest's side of a NIC for tests of what its port answers: frames are built
 * and judged here by code of its own, not by that which is tested.
 */
#ifndef VMMD_NETRIG_H
#define VMMD_NETRIG_H

#include <errno.h>

#include "net/frame.h"
#include "net/lease.h"
#include "testhost.h"

#define VNET	12
#define ETHER	(VNET + 14)

#define RIG_IP(a, b, c, d) \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (c) << 8 | (d))

static const uint8_t guest_mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };
static const uint8_t switch_mac[6] = { 0x52, 0x54, 0, 0xff, 0xff, 1 };
static const uint8_t other_mac[6] = { 0x52, 0x54, 0, 1, 2, 4 };
static const uint8_t any_mac[6] = { 255, 255, 255, 255, 255, 255 };
static const uint8_t guest_ll[16] = { 0xfe, 0x80, [15] = 0x77 };
static const uint8_t switch_ll[16] = { 0xfe, 0x80, [15] = 1 };
static const uint8_t no_ip6[16];

#define GUEST_IP	RIG_IP(192, 0, 2, 10)
#define SWITCH_IP	RIG_IP(192, 0, 2, 1)
#define ANY_IP		RIG_IP(255, 255, 255, 255)

/* One with all that can be told. */
static inline void
rig_lease(struct lease *l)
{
	memset(l, 0, sizeof(*l));
	memcpy(l->mac, guest_mac, 6);
	memcpy(l->server_mac, switch_mac, 6);
	l->mtu = 1400;
	l->ip = GUEST_IP;
	l->prefix = 24;
	l->server = l->router = SWITCH_IP;
	l->dns[0] = RIG_IP(192, 0, 2, 53);
	l->dns[1] = RIG_IP(198, 51, 100, 53);
	l->ndns = 2;
	l->seconds = 3600;
	l->prefix6[0] = 0xfd;
	l->prefix6[7] = 0x42;
	l->prefix6_len = 64;
	l->router6 = true;
	memcpy(l->server6, switch_ll, 16);
	l->dns6[0][0] = 0xfd;
	l->dns6[0][15] = 0x53;
	l->ndns6 = 1;
	strcpy(l->hostname, "web1");
	strcpy(l->domain, "example.org");
}

static inline void
rig16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
rig32(uint8_t *p, uint32_t v)
{
	rig16(p, v >> 16);
	rig16(p + 2, v & 0xffff);
}

/* Ones' complement sum over all bytes, the slow way; 0xffff is intact. */
static inline unsigned
rig_sum(unsigned s, const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		s += i % 2 == 0 ? (unsigned)p[i] << 8 : p[i];
		s = s > 0xffff ? s - 0xffff : s;
	}
	return s;
}

static inline unsigned
rig_transport_sum(const uint8_t *ip, const uint8_t *p, size_t len)
{
	unsigned s = (unsigned)len;

	if (ip[0] >> 4 == 4)
		return rig_sum(rig_sum(s + ip[9], ip + 12, 8), p, len);
	return rig_sum(rig_sum(s + ip[6], ip + 8, 32), p, len);
}

struct wire {
	uint8_t	b[2048];
	size_t	len;
};

/* A copy of a frame, behind whose end a sanitizer sees what is read. */
static inline uint8_t *
wire_exact(const struct wire *w)
{
	uint8_t *exact = malloc(w->len);

	ck_assert_ptr_nonnull(exact);
	memcpy(exact, w->b, w->len);
	return exact;
}

/* Ends it: nobody has changed it. */
static inline void
wire_exact_end(uint8_t *exact, const struct wire *w)
{
	ck_assert_mem_eq(exact, w->b, w->len);
	free(exact);
}

/* The transport header's place and its checksum's offset in it. */
static inline uint8_t *
wire_transport(struct wire *w, unsigned *csum)
{
	uint8_t *ip = w->b + ETHER;
	bool four = ip[0] >> 4 == 4;

	*csum = (four ? ip[9] : ip[6]) == 17 ? 6 : 2;
	return ip + (four ? (ip[0] & 15) * 4 : 40);
}

/* Makes all checksums right, after any change. */
static inline void
wire_seal(struct wire *w)
{
	uint8_t *ip = w->b + ETHER, *p;
	unsigned csum;
	size_t len;

	p = wire_transport(w, &csum);
	if (ip[0] >> 4 == 4) {
		rig16(ip + 10, 0);
		rig16(ip + 10, 0xffff - rig_sum(0, ip, (ip[0] & 15) * 4u));
		len = ((size_t)ip[2] << 8 | ip[3]) - (ip[0] & 15) * 4u;
	} else {
		len = (size_t)ip[4] << 8 | ip[5];
	}
	if (csum == 6)
		len = (size_t)p[4] << 8 | p[5];
	rig16(p + csum, 0);
	rig16(p + csum, 0xffff - rig_transport_sum(ip, p, len));
	if (csum == 6 && p[6] == 0 && p[7] == 0)
		rig16(p + csum, 0xffff);
}

static inline void
wire_ether(struct wire *w, const uint8_t *dst, unsigned type)
{
	memset(w, 0, sizeof(*w));
	memcpy(w->b + VNET, dst, 6);
	memcpy(w->b + VNET + 6, guest_mac, 6);
	rig16(w->b + VNET + 12, type);
}

static inline void
wire_udp4(struct wire *w, const uint8_t *eth_dst, uint32_t src, uint32_t dst,
    unsigned dport, const void *data, size_t len)
{
	uint8_t *ip = w->b + ETHER;

	wire_ether(w, eth_dst, 0x0800);
	ip[0] = 0x45;
	rig16(ip + 2, (unsigned)len + 28);
	ip[8] = 64;
	ip[9] = 17;
	rig32(ip + 12, src);
	rig32(ip + 16, dst);
	rig16(ip + 20, 68);
	rig16(ip + 22, dport);
	rig16(ip + 24, (unsigned)len + 8);
	memcpy(ip + 28, data, len);
	w->len = ETHER + 28 + len;
	wire_seal(w);
}

static inline void
wire_ip6(struct wire *w, const uint8_t *src, const uint8_t *dst,
    unsigned protocol, const void *data, size_t len)
{
	uint8_t multicast[6] = { 0x33, 0x33 }, *ip = w->b + ETHER;

	memcpy(multicast + 2, dst + 12, 4);
	wire_ether(w, dst[0] == 0xff ? multicast : switch_mac, 0x86dd);
	ip[0] = 0x60;
	rig16(ip + 4, (unsigned)len);
	ip[6] = (uint8_t)protocol;
	ip[7] = 255;
	memcpy(ip + 8, src, 16);
	memcpy(ip + 24, dst, 16);
	memcpy(ip + 40, data, len);
	w->len = ETHER + 40 + len;
	wire_seal(w);
}

static inline void
wire_udp6(struct wire *w, const uint8_t *src, const uint8_t *dst,
    unsigned dport, const void *data, size_t len)
{
	uint8_t udp[1500];

	ck_assert_uint_le(len, sizeof(udp) - 8);
	rig16(udp, 546);
	rig16(udp + 2, dport);
	rig16(udp + 4, (unsigned)len + 8);
	rig16(udp + 6, 0);
	memcpy(udp + 8, data, len);
	wire_ip6(w, src, dst, 17, udp, len + 8);
}

/*
 * An answer must be whole: from the switch, no virtio header's flag set, all
 * lengths and checksums right.
 */
static inline void
wire_judge(const struct wire *w)
{
	static const uint8_t zero[VNET];
	struct wire copy = *w;
	uint8_t *ip = copy.b + ETHER, *p;
	size_t hlen, total;
	unsigned csum;

	ck_assert_uint_ge(w->len, ETHER + 28);
	ck_assert_uint_le(w->len, FRAME_MAX);
	ck_assert_mem_eq(w->b, zero, VNET);
	ck_assert_mem_eq(w->b + VNET + 6, switch_mac, 6);
	p = wire_transport(&copy, &csum);
	hlen = (size_t)(p - ip);
	if (ip[0] >> 4 == 4) {
		ck_assert_uint_eq(rig_sum(0, ip, hlen), 0xffff);
		total = (size_t)ip[2] << 8 | ip[3];
	} else {
		total = 40 + ((size_t)ip[4] << 8 | ip[5]);
	}
	ck_assert_uint_eq(ETHER + total, w->len);
	if (csum == 6) {
		ck_assert_uint_eq((size_t)p[4] << 8 | p[5], total - hlen);
		ck_assert_uint_ne(p[6] << 8 | p[7], 0);
	}
	ck_assert_uint_eq(rig_transport_sum(ip, p, total - hlen), 0xffff);
}

#endif /* VMMD_NETRIG_H */
