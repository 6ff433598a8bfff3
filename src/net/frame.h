/* SPDX-License-Identifier: ISC */
/*
 * Frames of a guest's NIC, as far as its switch answers them itself: a virtio
 * net header (virtio 1.2, 5.1.6), Ethernet II without VLAN tag, IPv4 (RFC 791)
 * or IPv6 (RFC 8200) without extension headers, and in it UDP (RFC 768) or
 * ICMPv6 (RFC 4443).
 *
 * Pure functions over bytes.  A frame that is taken apart is the guest's, so
 * anything may stand in it; the caller's copy of it must not change meanwhile.
 */
#ifndef VMMD_FRAME_H
#define VMMD_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/nicport.h"

#define FRAME_VNET	NICPORT_HEADER
#define FRAME_ETHER	14
#define FRAME_MAX	(FRAME_VNET + FRAME_ETHER + 1500)	/* of an answer */

#define FRAME_UDP	17	/* protocol numbers */
#define FRAME_ICMP6	58

/* A datagram in a frame, whose bytes it points to. */
struct frame {
	bool		 intact;	/* by its checksums, and in one piece */
	const uint8_t	*eth_dst, *eth_src;
	unsigned	 version;	/* 4 or 6 */
	unsigned	 protocol;
	unsigned	 hops;		/* time to live, hop limit */
	const uint8_t	*src, *dst;	/* 4 or 16 bytes */
	uint16_t	 sport, dport;	/* UDP's */
	/* What is behind UDP's header, or the ICMPv6 message with its own. */
	const uint8_t	*data;
	size_t		 len;
};

/*
 * Takes a frame apart: 0, or -ENOMSG if it is none of the above, is a fragment,
 * or has headers that contradict its length.
 *
 * A UDP or ICMPv6 checksum that the guest has left to its NIC (NEEDS_CSUM in
 * the virtio header, at the right place) is taken for good.
 */
int frame_parse(struct frame *f, const uint8_t *frame, size_t len);

/* What an answer has around its data. */
struct frame_to {
	const uint8_t	*eth_dst, *eth_src;
	const uint8_t	*src, *dst;	/* 4 or 16 bytes */
	uint16_t	 sport, dport;	/* UDP's, not 0 */
};

/* Where the data of an answer begins in its frame, by kind. */
#define FRAME_UDP4_DATA		(FRAME_VNET + FRAME_ETHER + 20 + 8)
#define FRAME_UDP6_DATA		(FRAME_VNET + FRAME_ETHER + 40 + 8)
#define FRAME_ICMP6_DATA	(FRAME_VNET + FRAME_ETHER + 40)

/*
 * Puts the headers before `len` bytes of data, which stand in `frame` already,
 * with all checksums.  That of an ICMPv6 message is put into its bytes 2-3, and
 * its hop limit is 255.  The frame's length.
 */
size_t frame_udp4(uint8_t *frame, const struct frame_to *to, size_t len);
size_t frame_udp6(uint8_t *frame, const struct frame_to *to, size_t len);
size_t frame_icmp6(uint8_t *frame, const struct frame_to *to, size_t len);

/* Numbers as they are on the wire. */
static inline uint16_t
frame_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
frame_get32(const uint8_t *p)
{
	return (uint32_t)frame_get16(p) << 16 | frame_get16(p + 2);
}

static inline void
frame_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
frame_put32(uint8_t *p, uint32_t v)
{
	frame_put16(p, (uint16_t)(v >> 16));
	frame_put16(p + 2, (uint16_t)v);
}

#endif /* VMMD_FRAME_H */
