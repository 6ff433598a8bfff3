/* SPDX-License-Identifier: ISC */
/*
 * What a guest says to its port, for fuzz targets of what ports answer.
 *
 * The input: a byte whose bits say what there is in the lease, then questions.
 * A question is a byte of bits, a length (u16), and so many bytes.  Bit 0 of
 * the byte: they are a whole frame; otherwise they are what the target wraps in
 * headers, of which bit 1 leaves the checksum to the NIC, and bits 2-3 change
 * something: nothing, the source's MAC, the sender's address, the receiver's.
 * After a question with bit 4 time goes on, by 2 seconds to the power of the
 * highest three bits; after one with bit 7 alone the lease changes.
 */
#ifndef VMMD_FUZZ_NETFRAME_H
#define VMMD_FUZZ_NETFRAME_H

#include <errno.h>

#include "fuzz.h"
#include "net/answer.h"

#define NETFRAME_SECOND	UINT64_C(1000000000)
#define NETFRAME_LONGEST 2048

static const uint8_t fuzz_guest_mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };
static const uint8_t fuzz_switch_mac[6] = { 0x52, 0x54, 0, 255, 255, 1 };
static const uint8_t fuzz_guest_ll[16] = { 0xfe, 0x80, [15] = 0x77 };
static const uint8_t fuzz_switch_ll[16] = { 0xfe, 0x80, [15] = 1 };

/* What a target says of itself. */
struct netframe {
	/* Puts headers before `len` bytes at `data` of `frame`. */
	size_t	(*wrap)(uint8_t *frame, const struct frame_to *to, size_t len);
	size_t	data;
	const uint8_t	*src, *dst;	/* addresses */
	uint16_t	 sport, dport;
	/* Judges an answer, intact and to this guest. */
	void	(*judge)(const struct lease *l, const struct frame *asked,
		    const struct frame *answer);
};

static inline void
netframe_lease(struct lease *l, uint8_t bits)
{
	unsigned i;

	memset(l, 0, sizeof(*l));
	memcpy(l->mac, fuzz_guest_mac, 6);
	memcpy(l->server_mac, fuzz_switch_mac, 6);
	memcpy(l->server6, fuzz_switch_ll, 16);
	l->ip = 0xc000020a;
	l->server = 0xc0000201;
	l->prefix = (bits & 1) != 0 ? 24 : 31;
	l->router = (bits & 2) != 0 ? l->server : 0;
	l->mtu = (bits & 4) != 0 ? 1400 : 0;
	l->seconds = (bits & 8) != 0 ? 3600 : LEASE_FOREVER;
	l->ndns = l->ndns6 = (bits & 16) != 0 ? LEASE_DNS : 0;
	if ((bits & 32) != 0) {
		memset(l->hostname, 'h', LEASE_LABEL);
		memset(l->domain, 'd', LEASE_DOMAIN);
		for (i = 63; i < LEASE_DOMAIN; i += 64)
			l->domain[i] = '.';
	}
	l->prefix6[0] = 0xfd;
	l->prefix6_len = (bits & 64) != 0 ? 64 : 96;
	l->router6 = (bits & 128) != 0;
}

/* Makes a frame of a question: its length. */
static inline size_t
netframe_make(const struct netframe *n, uint8_t bits, uint8_t *frame,
    struct fuzz_input *in, size_t len)
{
	uint8_t mac[6], src[16], dst[16];
	const struct frame_to to = {
		.eth_dst = n->dst[0] == 255 && n->data == FRAME_UDP4_DATA ?
		    n->dst : fuzz_switch_mac,
		.eth_src = mac, .src = src, .dst = dst,
		.sport = n->sport, .dport = n->dport,
	};
	size_t alen = n->data == FRAME_UDP4_DATA ? 4 : 16;

	if ((bits & 1) != 0) {
		fuzz_bytes(in, frame, len);
		return len;
	}
	memcpy(mac, fuzz_guest_mac, 6);
	memcpy(src, n->src, alen);
	memcpy(dst, n->dst, alen);
	switch (bits >> 2 & 3) {
	case 1:
		mac[5]++;
		break;
	case 2:
		fuzz_bytes(in, src, alen);
		break;
	case 3:
		fuzz_bytes(in, dst, alen);
		break;
	}
	if (len > 1400)
		len = 1400;
	fuzz_bytes(in, frame + n->data, len);
	len = n->wrap(frame, &to, len);
	if ((bits & 2) != 0) {
		frame[0] = 1;
		frame[6] = alen == 4 ? 34 : 54;
		frame[8] = n->wrap == frame_icmp6 ? 2 : 6;
		frame[FRAME_VNET + frame[6] + frame[8]] ^= 0x5a;
	}
	return len;
}

/* Asks in memory of just the frame's size, and judges what comes. */
static inline void
netframe_ask(const struct netframe *n, struct answer *a, uint64_t now,
    const uint8_t *frame, size_t len)
{
	uint8_t out[FRAME_MAX + 16], *exact = malloc(len + 1);
	struct frame asked, answer;
	struct iovec iov[2];
	int got;

	if (exact == NULL)
		abort();
	/* Behind one byte, so that nothing is aligned by chance. */
	memcpy(exact + 1, frame, len);
	memset(out, 0xa5, sizeof(out));
	/* Odd ones in parts, as guests have them. */
	iov[0] = (struct iovec){ exact + 1, len / 3 };
	iov[1] = (struct iovec){ exact + 1 + len / 3, len - len / 3 };
	got = len % 2 != 0 ? answer_iov(a, iov, 2, now, out) :
	    answer_frame(a, exact + 1, len, now, out);
	FUZZ_CHECK(memcmp(exact + 1, frame, len) == 0);
	FUZZ_CHECK(got == -ENOMSG || answer_is_asked(exact + 1,
	    len < ANSWER_HEAD ? len : ANSWER_HEAD));
	FUZZ_CHECK(got >= 0 || got == -ENOMSG);
	FUZZ_CHECK(got <= FRAME_MAX && out[FRAME_MAX] == 0xa5);
	if (got > 0) {
		FUZZ_CHECK(frame_parse(&asked, exact + 1, len) == 0);
		FUZZ_CHECK(asked.intact);
		FUZZ_CHECK(frame_parse(&answer, out, (size_t)got) == 0);
		FUZZ_CHECK(answer.intact);
		FUZZ_CHECK(answer.data + answer.len == out + got);
		FUZZ_CHECK(memcmp(asked.eth_src, fuzz_guest_mac, 6) == 0);
		FUZZ_CHECK((answer.eth_dst[0] & 1) != 0 ||
		    memcmp(answer.eth_dst, fuzz_guest_mac, 6) == 0);
		FUZZ_CHECK(memcmp(answer.eth_src, fuzz_switch_mac, 6) == 0);
		n->judge(&a->lease, &asked, &answer);
	}
	free(exact);
}

static inline int
netframe_run(const struct netframe *n, const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t frame[NETFRAME_LONGEST], bits;
	uint64_t now = NETFRAME_SECOND, due;
	struct answer a;
	struct lease l;
	size_t len;

	netframe_lease(&l, fuzz_u8(&in));
	answer_init(&a, &l, now);
	while (in.left > 0) {
		bits = fuzz_u8(&in);
		len = fuzz_u16(&in) % sizeof(frame);
		len = netframe_make(n, bits, frame, &in, len);
		netframe_ask(n, &a, now, frame, len);
		due = answer_due(&a);
		FUZZ_CHECK(due <= now + 600 * NETFRAME_SECOND);
		if ((bits & 0x10) != 0) {
			now += NETFRAME_SECOND << (bits >> 5);
			FUZZ_CHECK((answer_periodic(&a, now, frame) > 0) ==
			    (now >= due));
		} else if ((bits & 0x80) != 0) {
			netframe_lease(&l, fuzz_u8(&in));
			(void)answer_change(&a, &l, now, frame);
		}
	}
	return 0;
}

#endif /* VMMD_FUZZ_NETFRAME_H */
