/* SPDX-License-Identifier: ISC */
/*
 * Stateless DHCPv6: a request for information gets what there is and it wants;
 * whatever else a client can say gets nothing.
 */
#include "net/dhcp6.h"
#include "netrig.h"

static const uint8_t servers[16] = { 0xff, 2, [13] = 1, 0, 2 };
static const uint8_t server_id[14] = { 0, 2, 0, 10, 0, 3, 0, 1,
    0x52, 0x54, 0, 0xff, 0xff, 1 };
static const uint8_t client_id[14] = { 0, 1, 0, 10, 0, 3, 0, 1,
    0x52, 0x54, 0, 1, 2, 3 };

struct ask {
	uint8_t	b[1024];
	size_t	len;
};

static struct ask
ask(uint8_t type)
{
	struct ask a = { { type, 0xab, 0xcd, 0xef }, 4 };

	return a;
}

static void
add(struct ask *a, const void *p, size_t len)
{
	memcpy(a->b + a->len, p, len);
	a->len += len;
}

static int
hear(const struct lease *l, const struct wire *w, struct wire *out)
{
	uint8_t *exact = wire_exact(w);
	struct frame f;
	int n;

	n = frame_parse(&f, exact, w->len);
	if (n == 0)
		n = dhcp6_answer(l, &f, out->b);
	wire_exact_end(exact, w);
	out->len = n > 0 ? (size_t)n : 0;
	if (n > 0) {
		wire_judge(out);
		ck_assert_mem_eq(out->b + VNET, guest_mac, 6);
		ck_assert_mem_eq(out->b + ETHER + 8, switch_ll, 16);
		ck_assert_mem_eq(out->b + ETHER + 24, guest_ll, 16);
		ck_assert_uint_eq(frame_get16(out->b + ETHER + 40), 547);
		ck_assert_uint_eq(frame_get16(out->b + ETHER + 42), 546);
		ck_assert_mem_eq(out->b + ETHER + 48, "\7\xab\xcd\xef", 4);
	}
	return n;
}

static int
tell(const struct lease *l, const struct ask *a, struct wire *out)
{
	struct wire w;

	wire_udp6(&w, guest_ll, servers, 547, a->b, a->len);
	return hear(l, &w, out);
}

/* The length of an answer's option, which is there once, or -1. */
static int
look(const struct wire *w, unsigned code, const uint8_t **data)
{
	const uint8_t *p = w->b + ETHER + 52, *end = w->b + w->len;
	int found = -1;

	while (p < end) {
		if (frame_get16(p) == code) {
			ck_assert_int_eq(found, -1);
			found = frame_get16(p + 2);
			*data = p + 4;
		}
		p += 4 + frame_get16(p + 2);
	}
	ck_assert_ptr_eq(p, end);
	return found;
}

static void
want(const struct wire *w, unsigned code, const void *p, int len)
{
	const uint8_t *data = NULL;

	ck_assert_int_eq(look(w, code, &data), len);
	if (len > 0)
		ck_assert_mem_eq(data, p, (size_t)len);
}

START_TEST(information)
{
	struct lease l;
	struct ask a = ask(11);
	struct wire out;

	rig_lease(&l);
	add(&a, client_id, sizeof(client_id));
	add(&a, "\0\x08\0\2\0\0", 6);
	add(&a, "\0\6\0\6\0\x17\0\x18\0\x20", 10);
	ck_assert_int_gt(tell(&l, &a, &out), 0);
	want(&out, 2, server_id + 4, 10);
	want(&out, 1, client_id + 4, 10);
	want(&out, 23, l.dns6[0], 16);
	want(&out, 24, "\7example\3org\0", 13);
	want(&out, 32, "\0\1\x51\x80", 4);
	/* Who says nothing gets all, and is known by nothing. */
	a = ask(11);
	ck_assert_int_gt(tell(&l, &a, &out), 0);
	want(&out, 1, NULL, -1);
	want(&out, 2, server_id + 4, 10);
	want(&out, 23, l.dns6[0], 16);
	want(&out, 24, "\7example\3org\0", 13);
	/* This server, by name. */
	add(&a, server_id, sizeof(server_id));
	ck_assert_int_gt(tell(&l, &a, &out), 0);
}
END_TEST

START_TEST(only_what_is_wanted)
{
	struct lease l;
	struct ask a = ask(11);
	struct wire out;
	unsigned i;

	rig_lease(&l);
	add(&a, "\0\6\0\2\0\x17", 6);
	ck_assert_int_gt(tell(&l, &a, &out), 0);
	want(&out, 23, l.dns6[0], 16);
	want(&out, 24, NULL, -1);
	want(&out, 32, NULL, -1);
	a = ask(11);
	add(&a, "\0\6\0\0", 4);
	ck_assert_int_gt(tell(&l, &a, &out), 0);
	want(&out, 23, NULL, -1);
	/* What there is not, and the most that there can be. */
	l.ndns6 = 0;
	l.domain[0] = '\0';
	a = ask(11);
	ck_assert_int_gt(tell(&l, &a, &out), 0);
	want(&out, 23, NULL, -1);
	want(&out, 24, NULL, -1);
	l.ndns6 = LEASE_DNS;
	memset(l.domain, 'd', LEASE_DOMAIN);
	for (i = 63; i < LEASE_DOMAIN; i += 64)
		l.domain[i] = '.';
	ck_assert_int_gt(tell(&l, &a, &out), 0);
	want(&out, 23, l.dns6, 16 * LEASE_DNS);
	ck_assert_int_eq(look(&out, 24, &(const uint8_t *){ NULL }), 255);
	l.prefix6_len = 0;
	ck_assert_int_eq(tell(&l, &a, &out), -ENOMSG);
}
END_TEST

START_TEST(every_other_type)
{
	struct lease l;
	struct ask a;
	struct wire out;
	unsigned type;

	rig_lease(&l);
	for (type = 0; type < 256; type++) {
		a = ask((uint8_t)type);
		if (type == 11)
			continue;
		ck_assert_int_eq(tell(&l, &a, &out), 0);
	}
}
END_TEST

static const struct {
	const char *what; const char *options; size_t len;
} odd[] = {
	{ "half a head", "\0\1\0", 3 },
	{ "longer than the message", "\0\1\0\4\1\2\3", 7 },
	{ "far longer", "\0\xff\xff\xff", 4 },
	{ "two clients", "\0\1\0\3abc\0\1\0\3abc", 14 },
	{ "a client of 2", "\0\1\0\2ab", 6 },
	{ "two servers", "\0\2\0\1a\0\2\0\1a", 10 },
	{ "another server", "\0\2\0\x0a\0\3\0\1\x52\x54\0\1\2\3", 14 },
	{ "a server of 0", "\0\2\0\0", 4 },
	{ "odd wishes", "\0\6\0\3\0\x17\0", 7 },
	{ "two lists of wishes", "\0\6\0\2\0\x17\0\6\0\2\0\x17", 12 },
	{ "IA_NA", "\0\3\0\x0c" "aaaabbbbcccc", 16 },
	{ "IA_TA", "\0\4\0\4aaaa", 8 },
	{ "IA_PD", "\0\x19\0\x0c" "aaaabbbbcccc", 16 },
};

START_TEST(malformed)
{
	struct lease l;
	struct ask a = ask(11);
	struct wire out;
	int n;

	rig_lease(&l);
	add(&a, odd[_i].options, odd[_i].len);
	n = tell(&l, &a, &out);
	ck_assert_msg(n == 0, "%s: %d", odd[_i].what, n);
}
END_TEST

START_TEST(edges)
{
	uint8_t duid[4 + 131] = { 0, 1, 0, 130 };
	struct lease l;
	struct ask a = ask(11);
	struct wire out;
	size_t n;

	rig_lease(&l);
	add(&a, duid, 4 + 130);
	ck_assert_int_gt(tell(&l, &a, &out), 0);
	want(&out, 1, duid + 4, 130);
	a = ask(11);
	duid[3] = 131;
	add(&a, duid, 4 + 131);
	ck_assert_int_eq(tell(&l, &a, &out), 0);
	for (n = 0; n < 4; n++) {
		a = ask(11);
		a.len = n;
		ck_assert_int_eq(tell(&l, &a, &out), 0);
	}
	/* What nobody knows is skipped. */
	a = ask(11);
	add(&a, "\xab\xcd\0\2ab\0\x0e\0\0", 10);
	ck_assert_int_gt(tell(&l, &a, &out), 0);
}
END_TEST

START_TEST(others)
{
	static const uint8_t site[16] = { 0xff, 5, [13] = 1, 0, 3 };
	struct lease l;
	struct ask a = ask(11);
	struct wire w, out;

	rig_lease(&l);
	/* To a server by its own address, to all of a site, another port. */
	wire_udp6(&w, guest_ll, switch_ll, 547, a.b, a.len);
	ck_assert_int_eq(hear(&l, &w, &out), -ENOMSG);
	wire_udp6(&w, guest_ll, site, 547, a.b, a.len);
	ck_assert_int_eq(hear(&l, &w, &out), -ENOMSG);
	wire_udp6(&w, guest_ll, servers, 546, a.b, a.len);
	ck_assert_int_eq(hear(&l, &w, &out), -ENOMSG);
	/* From nobody, from a group, from another NIC, damaged. */
	wire_udp6(&w, no_ip6, servers, 547, a.b, a.len);
	ck_assert_int_eq(hear(&l, &w, &out), 0);
	wire_udp6(&w, servers, servers, 547, a.b, a.len);
	ck_assert_int_eq(hear(&l, &w, &out), 0);
	wire_udp6(&w, guest_ll, servers, 547, a.b, a.len);
	memcpy(w.b + VNET + 6, other_mac, 6);
	ck_assert_int_eq(hear(&l, &w, &out), 0);
	wire_udp6(&w, guest_ll, servers, 547, a.b, a.len);
	w.b[w.len - 1] ^= 1;
	ck_assert_int_eq(hear(&l, &w, &out), 0);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("dhcp6");

	tcase_add_test(tc, information);
	tcase_add_test(tc, only_what_is_wanted);
	tcase_add_test(tc, every_other_type);
	tcase_add_loop_test(tc, malformed, 0,
	    (int)(sizeof(odd) / sizeof(odd[0])));
	tcase_add_test(tc, edges);
	tcase_add_test(tc, others);
	return test_main("dhcp6", tc);
}
