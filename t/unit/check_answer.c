/* SPDX-License-Identifier: ISC */
/*
 * A port's answers: each question gets its own, the look at a frame's head
 * misses none, and a change of the lease holds at once.
 */
#include "net/answer.h"
#include "netrig.h"

#define SECOND	UINT64_C(1000000000)
#define START	(5 * SECOND)

static const uint8_t servers[16] = { 0xff, 2, [13] = 1, 0, 2 };
static const uint8_t routers[16] = { 0xff, 2, [15] = 2 };

enum { DHCP, DHCP6, SOLICIT, NQUESTIONS };

static struct wire
question(unsigned which)
{
	uint8_t discover[244] = { 1, 1, 6, [236] = 0x63, 0x82, 0x53, 0x63,
	    53, 1, 1, 255 };
	static const uint8_t information[4] = { 11 }, solicit[8] = { 133 };
	struct wire w;

	memcpy(discover + 28, guest_mac, 6);
	if (which == DHCP)
		wire_udp4(&w, any_mac, 0, ANY_IP, 67, discover, 244);
	else if (which == DHCP6)
		wire_udp6(&w, guest_ll, servers, 547, information, 4);
	else
		wire_ip6(&w, guest_ll, routers, 58, solicit, 8);
	return w;
}

static int
hear(struct answer *a, const struct wire *w)
{
	struct wire out;
	int n;

	n = answer_frame(a, w->b, w->len, START, out.b);
	if (n > 0) {
		out.len = (size_t)n;
		wire_judge(&out);
	}
	/* What is answered or refused was seen to be asked. */
	if (n != -ENOMSG)
		ck_assert(answer_is_asked(w->b,
		    w->len < ANSWER_HEAD ? w->len : ANSWER_HEAD));
	return n;
}

START_TEST(each_is_answered)
{
	struct lease l;
	struct answer a;
	struct wire w;
	unsigned i;

	rig_lease(&l);
	answer_init(&a, &l, START);
	for (i = 0; i < NQUESTIONS; i++) {
		w = question(i);
		ck_assert_int_gt(hear(&a, &w), 0);
		ck_assert_uint_eq(a.dhcp, 1);
		ck_assert_uint_eq(a.dhcp6, i >= DHCP6);
		ck_assert_uint_eq(a.advertised, i >= SOLICIT);
		memcpy(w.b + VNET + 6, other_mac, 6);
		ck_assert_int_eq(hear(&a, &w), 0);
		ck_assert_uint_eq(a.refused, i + 1);
	}
	/* Without a lease nothing is ours. */
	memset(&l, 0, sizeof(l));
	answer_init(&a, &l, START);
	for (i = 0; i < NQUESTIONS; i++) {
		w = question(i);
		ck_assert_int_eq(hear(&a, &w), -ENOMSG);
	}
	ck_assert_uint_eq(a.refused, 0);
	ck_assert_uint_eq(answer_due(&a), RA_NEVER);
	ck_assert_int_eq(answer_periodic(&a, START, w.b), 0);
}
END_TEST

/* Wherever the parts of a frame meet; not one byte too long. */
START_TEST(in_parts)
{
	struct lease l;
	struct answer a;
	struct wire w, out;
	struct iovec iov[4];
	unsigned i;
	size_t n;

	rig_lease(&l);
	answer_init(&a, &l, START);
	for (i = 0; i < NQUESTIONS; i++) {
		for (n = 0; n <= question(i).len; n++) {
			w = question(i);
			iov[0] = (struct iovec){ w.b, n };
			iov[1] = (struct iovec){ NULL, 0 };
			iov[2] = (struct iovec){ w.b + n, (w.len - n) / 2 };
			iov[3].iov_base = w.b + n + iov[2].iov_len;
			iov[3].iov_len = w.len - n - iov[2].iov_len;
			ck_assert(answer_iov_is_asked(iov, 4));
			out.len = (size_t)answer_iov(&a, iov, 4, START, out.b);
			wire_judge(&out);
		}
	}
	w = question(DHCP);
	iov[0] = (struct iovec){ w.b, ANSWER_LONGEST - 1 };
	iov[1] = (struct iovec){ w.b, 1 };
	ck_assert_int_gt(answer_iov(&a, iov, 2, START, out.b), 0);
	iov[1].iov_len = 2;
	ck_assert_int_eq(answer_iov(&a, iov, 2, START, out.b), -ENOMSG);
	ck_assert_int_eq(answer_iov(&a, iov, 0, START, out.b), -ENOMSG);
	ck_assert(!answer_iov_is_asked(iov, 0));
	w.b[VNET + 13] = 6;
	ck_assert(!answer_iov_is_asked(iov, 1));
	ck_assert_int_eq(answer_iov(&a, iov, 1, START, out.b), -ENOMSG);
}
END_TEST

/* At every length of a head, in memory of just that size; with IP options. */
START_TEST(head_is_enough)
{
	struct lease l;
	struct answer a;
	struct wire w;
	unsigned i;
	size_t n;
	uint8_t *exact;

	rig_lease(&l);
	answer_init(&a, &l, START);
	for (i = 0; i < NQUESTIONS; i++) {
		w = question(i);
		for (n = 0; n <= w.len; n++) {
			exact = malloc(n + 1);
			ck_assert_ptr_nonnull(exact);
			memcpy(exact + 1, w.b, n);
			if (n >= ANSWER_HEAD || n == w.len)
				ck_assert(answer_is_asked(exact + 1, n));
			else
				(void)answer_is_asked(exact + 1, n);
			free(exact);
		}
	}
	w = question(DHCP);
	memmove(w.b + ETHER + 60, w.b + ETHER + 20, w.len - ETHER - 20);
	memset(w.b + ETHER + 20, 1, 40);
	w.b[ETHER] = 0x4f;
	w.len += 40;
	rig16(w.b + ETHER + 2, (unsigned)(w.len - ETHER));
	wire_seal(&w);
	ck_assert_int_gt(hear(&a, &w), 0);
	/* Ordinary traffic is none of it. */
	wire_udp4(&w, switch_mac, GUEST_IP, SWITCH_IP, 53, "question", 8);
	ck_assert(!answer_is_asked(w.b, w.len));
	w = question(DHCP6);
	w.b[ETHER + 43]--;
	ck_assert(!answer_is_asked(w.b, w.len));
	w = question(SOLICIT);
	w.b[ETHER + 40] = 135;
	ck_assert(!answer_is_asked(w.b, w.len));
	w.b[VNET + 13] = 6;
	ck_assert(!answer_is_asked(w.b, w.len));
}
END_TEST

START_TEST(unasked)
{
	struct lease l;
	struct answer a;
	struct wire w;

	rig_lease(&l);
	answer_init(&a, &l, START);
	ck_assert_uint_eq(answer_due(&a), START);
	w.len = (size_t)answer_periodic(&a, START, w.b);
	wire_judge(&w);
	ck_assert_uint_eq(a.advertised, 1);
	ck_assert_int_eq(answer_periodic(&a, START, w.b), 0);
	ck_assert_uint_eq(a.advertised, 1);
	ck_assert_uint_gt(answer_due(&a), START);
}
END_TEST

/* The old prefix is withdrawn before the new one is told. */
START_TEST(changed)
{
	struct lease l;
	struct answer a;
	struct wire w, out;
	const uint8_t *p;
	unsigned i;

	rig_lease(&l);
	answer_init(&a, &l, START);
	ck_assert_int_gt(answer_periodic(&a, START, out.b), 0);
	/* What IPv6 does not see takes nothing back, and is told at once. */
	l.ip++;
	ck_assert_int_eq(answer_change(&a, &l, START + SECOND, out.b), 0);
	ck_assert_uint_eq(answer_due(&a), START + SECOND);
	w = question(DHCP);
	ck_assert_int_gt(answer_frame(&a, w.b, w.len, START, out.b), 0);
	ck_assert_uint_eq(frame_get32(out.b + ETHER + 28 + 16), GUEST_IP + 1);
	/* Names that are others now: the old ones only. */
	for (i = 0; i < 3; i++) {
		l.dns6[0][15] += i == 0;
		l.ndns6 -= i == 1;
		strcpy(l.domain, i == 2 ? "" : "example.org");
		out.len = (size_t)answer_change(&a, &l, START, out.b);
		wire_judge(&out);
		ck_assert_uint_eq(frame_get16(out.b + ETHER + 46), 1800);
		for (p = out.b + ETHER + 56; *p != 31; p += p[1] * 8)
			if (*p == 3)
				ck_assert_uint_ne(frame_get32(p + 4), 0);
			else if (*p == 25)
				ck_assert_uint_eq(frame_get32(p + 4), 0);
		ck_assert_uint_eq(frame_get32(p + 4), 0);
		ck_assert_int_eq(answer_change(&a, &l, START, out.b), 0);
	}
	l.prefix6[7]++;
	out.len = (size_t)answer_change(&a, &l, START, out.b);
	wire_judge(&out);
	ck_assert_uint_eq(out.b[ETHER + 40 + 16 + 8 + 8 + 16 + 7], 0x42);
	l.prefix6_len = 0;
	ck_assert_int_gt(answer_change(&a, &l, START, out.b), 0);
	ck_assert_uint_eq(answer_due(&a), RA_NEVER);
	ck_assert_int_eq(answer_change(&a, &l, START, out.b), 0);
	rig_lease(&l);
	ck_assert_int_eq(answer_change(&a, &l, START, out.b), 0);
	ck_assert_uint_eq(answer_due(&a), START);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("answer");

	tcase_add_test(tc, each_is_answered);
	tcase_add_test(tc, in_parts);
	tcase_add_test(tc, head_is_enough);
	tcase_add_test(tc, unasked);
	tcase_add_test(tc, changed);
	return test_main("answer", tc);
}
