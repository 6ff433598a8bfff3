/* SPDX-License-Identifier: ISC */
/*
 * Frames that a switch answers itself, apart and together again.
 */
#include "net/frame.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* The virtio header, 5.1.6: flags, and offsets from the Ethernet header. */
#define VNET_FLAGS		0
#define VNET_GSO		1
#define VNET_CSUM_START		6
#define VNET_CSUM_OFFSET	8
#define VNET_NEEDS_CSUM		0x01

#define ETHER_TYPE	12
#define ETHER_IP4	0x0800
#define ETHER_IP6	0x86dd

#define IP4_LEN		20
#define IP4_MORE	0x2000		/* fragments */
#define IP4_OFFSET	0x1fff
#define IP4_TTL		64
#define IP6_LEN		40
#define IP6_HOPS	255
#define UDP_LEN		8
#define UDP_CSUM	6
#define ICMP6_LEN	4
#define ICMP6_CSUM	2

/* The Internet checksum's sum (RFC 1071); the bytes before it were even. */
static uint32_t
sum(uint32_t s, const uint8_t *p, size_t len)
{
	for (; len > 1; p += 2, len -= 2)
		s += frame_get16(p);
	if (len == 1)
		s += (uint32_t)*p << 8;
	return s;
}

static uint16_t
fold(uint32_t s)
{
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

/* Over the pseudo header (RFC 768; RFC 8200, 8.1), too. */
static uint16_t
transport_sum(const uint8_t *src, const uint8_t *dst, size_t alen,
    unsigned protocol, const uint8_t *p, size_t len)
{
	uint32_t s = protocol + (uint32_t)len;

	s = sum(s, src, alen);
	s = sum(s, dst, alen);
	return fold(sum(s, p, len));
}

static int
parse_ip4(struct frame *f, const uint8_t **p, size_t *len)
{
	const uint8_t *ip = *p;
	size_t hlen, total;

	if (*len < IP4_LEN || ip[0] >> 4 != 4)
		return -ENOMSG;
	hlen = (ip[0] & 0x0f) * 4u;
	total = frame_get16(ip + 2);
	if (hlen < IP4_LEN || total < hlen || total > *len ||
	    (frame_get16(ip + 6) & (IP4_MORE | IP4_OFFSET)) != 0)
		return -ENOMSG;
	f->version = 4;
	f->hops = ip[8];
	f->protocol = ip[9];
	f->src = ip + 12;
	f->dst = ip + 16;
	*p = ip + hlen;
	*len = total - hlen;
	f->intact = fold(sum(0, ip, hlen)) == 0;
	return 0;
}

static int
parse_ip6(struct frame *f, const uint8_t **p, size_t *len)
{
	const uint8_t *ip = *p;

	if (*len < IP6_LEN || ip[0] >> 4 != 6 ||
	    frame_get16(ip + 4) > *len - IP6_LEN)
		return -ENOMSG;
	f->version = 6;
	f->protocol = ip[6];
	f->hops = ip[7];
	f->src = ip + 8;
	f->dst = ip + 24;
	*p = ip + IP6_LEN;
	*len = frame_get16(ip + 4);
	f->intact = true;
	return 0;
}

/* Whether the guest's NIC is to fill in this very checksum. */
static bool
is_offloaded(const uint8_t *frame, const uint8_t *p, size_t csum)
{
	/* These two are little-endian. */
	size_t start = frame[VNET_CSUM_START] |
	    (size_t)frame[VNET_CSUM_START + 1] << 8;
	size_t offset = frame[VNET_CSUM_OFFSET] |
	    (size_t)frame[VNET_CSUM_OFFSET + 1] << 8;

	return (frame[VNET_FLAGS] & VNET_NEEDS_CSUM) != 0 &&
	    start == (size_t)(p - frame) - FRAME_VNET && offset == csum;
}

static bool
is_intact(const struct frame *f, const uint8_t *frame, const uint8_t *p,
    size_t len, size_t csum)
{
	size_t alen = f->version == 4 ? 4 : 16;

	if (is_offloaded(frame, p, csum))
		return true;
	/* No checksum, which is for UDP over IPv4 alone. */
	if (f->version == 4 && frame_get16(p + csum) == 0)
		return true;
	if (f->protocol == FRAME_UDP && frame_get16(p + csum) == 0)
		return false;
	return transport_sum(f->src, f->dst, alen, f->protocol, p, len) == 0;
}

static int
parse_transport(struct frame *f, const uint8_t *frame, const uint8_t *p,
    size_t len)
{
	size_t csum;

	if (f->protocol == FRAME_UDP) {
		/* What is behind UDP's own length is none of it. */
		if (len < UDP_LEN || frame_get16(p + 4) < UDP_LEN ||
		    frame_get16(p + 4) > len)
			return -ENOMSG;
		len = frame_get16(p + 4);
		f->sport = frame_get16(p);
		f->dport = frame_get16(p + 2);
		f->data = p + UDP_LEN;
		f->len = len - UDP_LEN;
		csum = UDP_CSUM;
	} else if (f->protocol == FRAME_ICMP6 && f->version == 6) {
		if (len < ICMP6_LEN)
			return -ENOMSG;
		f->data = p;
		f->len = len;
		csum = ICMP6_CSUM;
	} else {
		return -ENOMSG;
	}
	/* Nothing that is answered is so long that it would be cut up. */
	f->intact = f->intact && frame[VNET_GSO] == 0 &&
	    is_intact(f, frame, p, len, csum);
	return 0;
}

int
frame_parse(struct frame *f, const uint8_t *frame, size_t len)
{
	const uint8_t *p = frame + FRAME_VNET;
	int error;

	memset(f, 0, sizeof(*f));
	if (len < FRAME_VNET + FRAME_ETHER)
		return -ENOMSG;
	f->eth_dst = p;
	f->eth_src = p + 6;
	len -= FRAME_VNET + FRAME_ETHER;
	p += FRAME_ETHER;
	switch (frame_get16(p - FRAME_ETHER + ETHER_TYPE)) {
	case ETHER_IP4:
		error = parse_ip4(f, &p, &len);
		break;
	case ETHER_IP6:
		error = parse_ip6(f, &p, &len);
		break;
	default:
		error = -ENOMSG;
	}
	return error != 0 ? error : parse_transport(f, frame, p, len);
}

/* The virtio header, all zero, and Ethernet's. */
static uint8_t *
put_ether(uint8_t *frame, const struct frame_to *to, uint16_t type)
{
	uint8_t *p = frame + FRAME_VNET;

	memset(frame, 0, FRAME_VNET);
	memcpy(p, to->eth_dst, 6);
	memcpy(p + 6, to->eth_src, 6);
	frame_put16(p + ETHER_TYPE, type);
	return p + FRAME_ETHER;
}

static void
put_udp(uint8_t *p, const struct frame_to *to, size_t alen, size_t len)
{
	uint16_t csum;

	frame_put16(p, to->sport);
	frame_put16(p + 2, to->dport);
	frame_put16(p + 4, (uint16_t)len);
	frame_put16(p + UDP_CSUM, 0);
	csum = transport_sum(to->src, to->dst, alen, FRAME_UDP, p, len);
	/* Zero would say that there is none. */
	frame_put16(p + UDP_CSUM, csum != 0 ? csum : 0xffff);
}

static uint8_t *
put_ip6(uint8_t *p, const struct frame_to *to, unsigned protocol, size_t len)
{
	memset(p, 0, IP6_LEN);
	p[0] = 6 << 4;
	frame_put16(p + 4, (uint16_t)len);
	p[6] = (uint8_t)protocol;
	p[7] = IP6_HOPS;
	memcpy(p + 8, to->src, 16);
	memcpy(p + 24, to->dst, 16);
	return p + IP6_LEN;
}

size_t
frame_udp4(uint8_t *frame, const struct frame_to *to, size_t len)
{
	uint8_t *ip = put_ether(frame, to, ETHER_IP4);

	memset(ip, 0, IP4_LEN);
	ip[0] = 4 << 4 | IP4_LEN / 4;
	frame_put16(ip + 2, (uint16_t)(IP4_LEN + UDP_LEN + len));
	ip[8] = IP4_TTL;
	ip[9] = FRAME_UDP;
	memcpy(ip + 12, to->src, 4);
	memcpy(ip + 16, to->dst, 4);
	frame_put16(ip + 10, fold(sum(0, ip, IP4_LEN)));
	put_udp(ip + IP4_LEN, to, 4, UDP_LEN + len);
	return FRAME_UDP4_DATA + len;
}

size_t
frame_udp6(uint8_t *frame, const struct frame_to *to, size_t len)
{
	uint8_t *ip = put_ether(frame, to, ETHER_IP6);

	put_udp(put_ip6(ip, to, FRAME_UDP, UDP_LEN + len), to, 16,
	    UDP_LEN + len);
	return FRAME_UDP6_DATA + len;
}

size_t
frame_icmp6(uint8_t *frame, const struct frame_to *to, size_t len)
{
	uint8_t *ip = put_ether(frame, to, ETHER_IP6);
	uint8_t *p = put_ip6(ip, to, FRAME_ICMP6, len);

	frame_put16(p + ICMP6_CSUM, 0);
	frame_put16(p + ICMP6_CSUM, transport_sum(to->src, to->dst, 16,
	    FRAME_ICMP6, p, len));
	return FRAME_ICMP6_DATA + len;
}
