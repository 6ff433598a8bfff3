/* SPDX-License-Identifier: ISC */
/*
 * Router advertisements: what they say, when they come unasked, and which
 * solicitations are answered.
 */
#include "net/ra.h"
#include "netrig.h"

#define SECOND	UINT64_C(1000000000)
#define START	(77 * SECOND)

static const uint8_t routers[16] = { 0xff, 2, [15] = 2 };
static const uint8_t nodes[16] = { 0xff, 2, [15] = 1 };
static const uint8_t nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
static const uint8_t source[8] = { 1, 1, 0x52, 0x54, 0, 1, 2, 3 };

/* A solicitation with some bytes of options. */
static struct wire
solicit(const uint8_t *src, const void *options, size_t len)
{
	uint8_t b[256] = { 133 };
	struct wire w;

	memcpy(b + 8, options, len);
	wire_ip6(&w, src, routers, 58, b, 8 + len);
	return w;
}

static int
hear(struct ra *ra, const struct lease *l, const struct wire *w, uint64_t now,
    struct wire *out)
{
	uint8_t *exact = wire_exact(w);
	struct frame f;
	int n;

	n = frame_parse(&f, exact, w->len);
	if (n == 0)
		n = ra_answer(ra, l, &f, now, out->b);
	wire_exact_end(exact, w);
	out->len = n > 0 ? (size_t)n : 0;
	return n;
}

/* The option of a type in an advertisement, or NULL. */
static const uint8_t *
look(const struct wire *w, uint8_t type)
{
	const uint8_t *p = w->b + ETHER + 40 + 16, *end = w->b + w->len;
	const uint8_t *found = NULL;

	while (p < end) {
		ck_assert_uint_ne(p[1], 0);
		if (p[0] == type) {
			ck_assert_ptr_null(found);
			found = p;
		}
		p += 8 * p[1];
	}
	ck_assert_ptr_eq(p, end);
	return found;
}

/* An advertisement to `dst`. */
static void
judge(const struct wire *w, const uint8_t *dst)
{
	const uint8_t *ip = w->b + ETHER;

	wire_judge(w);
	ck_assert_uint_eq(ip[7], 255);
	ck_assert_mem_eq(ip + 8, switch_ll, 16);
	ck_assert_mem_eq(ip + 24, dst, 16);
	ck_assert_mem_eq(w->b + VNET, dst == nodes ? nodes_mac : guest_mac, 6);
	ck_assert_uint_eq(ip[40], 134);
	ck_assert_uint_eq(ip[41], 0);
	ck_assert_uint_eq(ip[44], 64);
	ck_assert_mem_eq(look(w, 1) + 2, switch_mac, 6);
}

START_TEST(contents)
{
	static const uint8_t dnssl[24] = { 31, 3, 0, 0, 0, 0, 7, 8, 7, 'e',
	    'x', 'a', 'm', 'p', 'l', 'e', 3, 'o', 'r', 'g', 0 };
	struct lease l;
	struct ra ra;
	struct wire w = solicit(guest_ll, source, 8), out;
	const uint8_t *p;

	rig_lease(&l);
	ra_init(&ra, &l, START);
	ck_assert_int_gt(hear(&ra, &l, &w, START, &out), 0);
	judge(&out, guest_ll);
	p = out.b + ETHER + 40;
	ck_assert_uint_eq(p[5], 0x40);
	ck_assert_uint_eq(frame_get16(p + 6), 1800);
	ck_assert_uint_eq(frame_get32(p + 8), 0);
	ck_assert_uint_eq(frame_get32(p + 12), 0);
	ck_assert_uint_eq(frame_get32(look(&out, 5) + 4), 1400);
	p = look(&out, 3);
	ck_assert_uint_eq(p[1], 4);
	ck_assert_uint_eq(p[2], 64);
	ck_assert_uint_eq(p[3], 0xc0);
	ck_assert_uint_eq(frame_get32(p + 4), 2592000);
	ck_assert_uint_eq(frame_get32(p + 8), 604800);
	ck_assert_mem_eq(p + 16, l.prefix6, 16);
	p = look(&out, 25);
	ck_assert_uint_eq(p[1], 3);
	ck_assert_uint_eq(frame_get32(p + 4), 1800);
	ck_assert_mem_eq(p + 8, l.dns6[0], 16);
	p = look(&out, 31);
	ck_assert_ptr_nonnull(p);
	ck_assert_mem_eq(p, dnssl, sizeof(dnssl));
}
END_TEST

START_TEST(sparse_lease)
{
	struct lease l;
	struct ra ra;
	struct wire w = solicit(guest_ll, "", 0), out;
	unsigned i;

	rig_lease(&l);
	l.ndns6 = 0;
	l.domain[0] = '\0';
	l.mtu = 1279;
	l.router6 = false;
	l.prefix6_len = 96;
	ra_init(&ra, &l, START);
	ck_assert_int_gt(hear(&ra, &l, &w, START, &out), 0);
	judge(&out, guest_ll);
	ck_assert_uint_eq(out.b[ETHER + 40 + 5], 0);
	ck_assert_uint_eq(frame_get16(out.b + ETHER + 46), 0);
	ck_assert_ptr_null(look(&out, 5));
	ck_assert_ptr_null(look(&out, 25));
	ck_assert_ptr_null(look(&out, 31));
	/* On the link, and nobody's to make addresses of. */
	ck_assert_uint_eq(look(&out, 3)[2], 96);
	ck_assert_uint_eq(look(&out, 3)[3], 0x80);
	/* The most that there can be. */
	rig_lease(&l);
	l.ndns6 = LEASE_DNS;
	memset(l.domain, 'd', LEASE_DOMAIN);
	for (i = 63; i < LEASE_DOMAIN; i += 64)
		l.domain[i] = '.';
	ck_assert_int_gt(hear(&ra, &l, &w, START, &out), 0);
	judge(&out, guest_ll);
	ck_assert_uint_eq(look(&out, 25)[1], 17);
	ck_assert_uint_eq(look(&out, 31)[1], 33);
	l.prefix6_len = 0;
	ck_assert_int_eq(hear(&ra, &l, &w, START, &out), -ENOMSG);
}
END_TEST

/* Who has no address yet is answered as all are, once in three seconds. */
START_TEST(nobody_asks)
{
	struct lease l;
	struct ra ra;
	struct wire w = solicit(no_ip6, "", 0), out;

	rig_lease(&l);
	ra_init(&ra, &l, START);
	ck_assert_int_gt(hear(&ra, &l, &w, START, &out), 0);
	judge(&out, nodes);
	ck_assert_uint_eq(ra.due, START + 16 * SECOND);
	ck_assert_int_eq(hear(&ra, &l, &w, START + 3 * SECOND - 1, &out), 0);
	/* What was not given then comes as soon as it may. */
	ck_assert_uint_eq(ra.due, START + 3 * SECOND);
	ck_assert_int_eq(ra_periodic(&ra, &l, START + 3 * SECOND - 1, out.b),
	    0);
	out.len = (size_t)ra_periodic(&ra, &l, START + 3 * SECOND, out.b);
	judge(&out, nodes);
	ck_assert_int_eq(hear(&ra, &l, &w, START + 6 * SECOND - 1, &out), 0);
	ck_assert_int_gt(hear(&ra, &l, &w, START + 6 * SECOND, &out), 0);
	/* Who has one is answered at any time. */
	w = solicit(guest_ll, source, 8);
	ck_assert_int_gt(hear(&ra, &l, &w, START + 6 * SECOND, &out), 0);
	judge(&out, guest_ll);
}
END_TEST

/* Three within 32 seconds, then one in 200 to 600, by no fixed beat. */
START_TEST(unasked)
{
	uint64_t now = START, step, least = UINT64_MAX, most = 0;
	struct lease l;
	struct ra ra, other;
	struct wire out;
	unsigned i, same = 0;

	rig_lease(&l);
	ra_init(&ra, &l, now);
	l.mac[5]++;
	ra_init(&other, &l, now);
	l.mac[5]--;
	for (i = 0; i < 1000; i++) {
		ck_assert_int_eq(ra_periodic(&ra, &l, now - 1, out.b), 0);
		out.len = (size_t)ra_periodic(&ra, &l, now, out.b);
		judge(&out, nodes);
		ck_assert_int_eq(ra_periodic(&ra, &l, now, out.b), 0);
		step = ra.due - now;
		now = ra.due;
		ck_assert_int_gt(ra_periodic(&other, &l, other.due, out.b), 0);
		same += other.due == ra.due;
		if (i < 2) {
			ck_assert_uint_eq(step, 16 * SECOND);
			continue;
		}
		least = step < least ? step : least;
		most = step > most ? step : most;
	}
	ck_assert_uint_ge(least, 200 * SECOND);
	ck_assert_uint_lt(least, 210 * SECOND);
	ck_assert_uint_le(most, 600 * SECOND);
	ck_assert_uint_gt(most, 590 * SECOND);
	ck_assert_uint_lt(same, 20);
	/* Nor by one for MACs that are all zero at their end. */
	memset(l.mac + 2, 0, 4);
	ra_init(&ra, &l, now);
	for (i = 0, most = 0; i < 10; i++) {
		step = ra.due;
		ck_assert_int_gt(ra_periodic(&ra, &l, step, out.b), 0);
		most = ra.due - step > most ? ra.due - step : most;
	}
	ck_assert_uint_gt(most, 201 * SECOND);
	l.prefix6_len = 0;
	ck_assert_int_eq(ra_periodic(&ra, &l, ra.due, out.b), 0);
	ra_init(&ra, &l, now);
	ck_assert_uint_eq(ra.due, RA_NEVER);
}
END_TEST

START_TEST(withdrawn)
{
	struct lease l;
	struct wire out;

	rig_lease(&l);
	out.len = (size_t)ra_withdraw(&l, out.b);
	judge(&out, nodes);
	ck_assert_uint_eq(frame_get16(out.b + ETHER + 46), 0);
	ck_assert_uint_eq(frame_get32(look(&out, 3) + 4), 0);
	ck_assert_uint_eq(frame_get32(look(&out, 3) + 8), 0);
	ck_assert_uint_eq(frame_get32(look(&out, 25) + 4), 0);
	ck_assert_uint_eq(frame_get32(look(&out, 31) + 4), 0);
}
END_TEST

/* RFC 4861, 6.1.1; and who is not the NIC. */
static const struct {
	const char *what; size_t at; uint8_t to;
} odd[] = {
	{ "hop limit", ETHER + 7, 254 },
	{ "code", ETHER + 41, 1 },
	{ "from a multicast address", ETHER + 8, 0xff },
	{ "an option of length 0", ETHER + 49, 0 },
	{ "an option too long", ETHER + 49, 2 },
	{ "another source", VNET + 11, 9 },
};

START_TEST(not_answered)
{
	struct lease l;
	struct ra ra;
	struct wire w = solicit(guest_ll, source, 8), out;
	int n;

	rig_lease(&l);
	ra_init(&ra, &l, START);
	w.b[odd[_i].at] = odd[_i].to;
	wire_seal(&w);
	n = hear(&ra, &l, &w, START, &out);
	ck_assert_msg(n == 0, "%s: %d", odd[_i].what, n);
}
END_TEST

START_TEST(malformed)
{
	struct lease l;
	struct ra ra;
	struct wire w, out;
	unsigned i;

	rig_lease(&l);
	ra_init(&ra, &l, START);
	/* From nobody, with a source. */
	w = solicit(no_ip6, source, 8);
	ck_assert_int_eq(hear(&ra, &l, &w, START, &out), 0);
	/* Half a head, half an option. */
	for (i = 1; i < 8; i++) {
		w = solicit(guest_ll, source, i);
		ck_assert_int_eq(hear(&ra, &l, &w, START, &out), 0);
		w = solicit(guest_ll, "", 0);
		w.len -= i;
		rig16(w.b + ETHER + 4, 8 - i);
		if (i <= 4) {
			wire_seal(&w);
			ck_assert_int_eq(hear(&ra, &l, &w, START, &out), 0);
		} else {
			ck_assert_int_eq(hear(&ra, &l, &w, START, &out),
			    -ENOMSG);
		}
	}
	w = solicit(guest_ll, source, 8);
	w.b[w.len - 1] ^= 1;
	ck_assert_int_eq(hear(&ra, &l, &w, START, &out), 0);
	/* What nobody knows is skipped. */
	w = solicit(guest_ll, "\xfe\2aaaaaabbbbbbbb\1\1ssssss", 24);
	ck_assert_int_gt(hear(&ra, &l, &w, START, &out), 0);
}
END_TEST

/* Neighbours' affairs go on their way. */
START_TEST(others)
{
	static const uint8_t other[16] = { 0xfe, 0x80, [15] = 9 };
	struct lease l;
	struct ra ra;
	struct wire w, out;
	unsigned type;

	rig_lease(&l);
	ra_init(&ra, &l, START);
	for (type = 0; type < 256; type++) {
		w = solicit(guest_ll, source, 8);
		w.b[ETHER + 40] = (uint8_t)type;
		wire_seal(&w);
		if (type == 133)
			ck_assert_int_gt(hear(&ra, &l, &w, START, &out), 0);
		else
			ck_assert_int_eq(hear(&ra, &l, &w, START, &out),
			    -ENOMSG);
	}
	w = solicit(guest_ll, source, 8);
	memcpy(w.b + ETHER + 24, other, 16);
	wire_seal(&w);
	ck_assert_int_eq(hear(&ra, &l, &w, START, &out), -ENOMSG);
	memcpy(w.b + ETHER + 24, switch_ll, 16);
	wire_seal(&w);
	ck_assert_int_gt(hear(&ra, &l, &w, START, &out), 0);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("ra");

	tcase_add_test(tc, contents);
	tcase_add_test(tc, sparse_lease);
	tcase_add_test(tc, nobody_asks);
	tcase_add_test(tc, unasked);
	tcase_add_test(tc, withdrawn);
	tcase_add_loop_test(tc, not_answered, 0,
	    (int)(sizeof(odd) / sizeof(odd[0])));
	tcase_add_test(tc, malformed);
	tcase_add_test(tc, others);
	return test_main("ra", tc);
}
