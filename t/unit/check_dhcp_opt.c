/* SPDX-License-Identifier: ISC */
/*
 * Options of DHCP: those of an answer are what the client wants, in its order,
 * and find a place; a question with malformed ones gets no answer.
 */
#include "dhcprig.h"

/* Who asks for a list gets that, in its order, each once, after the mask. */
START_TEST(wanted_list)
{
	static const uint8_t list[] = { 15, 3, 1, 42, 3, 6, 53, 0, 255, 12, 51 };
	static const uint8_t order[] = { 53, 54, 51, 1, 15, 3, 6, 12, 255 };
	struct lease l;
	struct ask a = ask(DHCP_DISCOVER);
	struct got g;
	const uint8_t *p;
	unsigned i;

	rig_lease(&l);
	opt(&a, 55, list, sizeof(list));
	g = tell(&l, &a);
	want_lease(&g, DHCP_OFFER);
	want_none(&g, 26);
	want_none(&g, 28);
	want_none(&g, 58);
	for (i = 0, p = g.m + 240; i < sizeof(order); i++) {
		ck_assert_uint_eq(*p, order[i]);
		p += 2 + p[1];
	}
	/* In two parts (RFC 3396), and once with the times. */
	a = ask(DHCP_DISCOVER);
	opt(&a, 55, "\x1a\x3b", 2);
	opt(&a, 55, "\x3a", 1);
	g = tell(&l, &a);
	want_lease(&g, DHCP_OFFER);
	want(&g, 26, "\x05\x78", 2);
	want32(&g, 58, 1800);
	want32(&g, 59, 3150);
	want_none(&g, 3);
}
END_TEST

/* What there is not is not told. */
START_TEST(sparse_lease)
{
	static const uint8_t none[] = { 3, 6, 12, 15, 26, 52, 58, 59, 121 };
	struct lease l;
	struct ask a = ask(DHCP_DISCOVER);
	struct got g;
	unsigned i;

	rig_lease(&l);
	l.router = l.ndns = l.mtu = 0;
	l.hostname[0] = l.domain[0] = '\0';
	l.seconds = LEASE_FOREVER;
	g = tell(&l, &a);
	ck_assert_int_gt(g.n, 0);
	want32(&g, 51, 0xffffffff);
	for (i = 0; i < sizeof(none); i++)
		want_none(&g, none[i]);
	l.ip = 0;
	a = ask(DHCP_DISCOVER);
	ck_assert_int_eq(tell(&l, &a).n, -ENOMSG);
}
END_TEST

START_TEST(classless_routes)
{
	static const struct {
		uint8_t prefix; uint32_t ip, router; bool told;
	} rows[] = {
		{ 30, GUEST_IP, GUEST_IP - 1, false },
		{ 31, GUEST_IP + 1, GUEST_IP, true },
		{ 32, GUEST_IP, SWITCH_IP, true },
		{ 24, GUEST_IP, RIG_IP(10, 0, 0, 1), true },
		{ 32, GUEST_IP, 0, false },
	};
	uint8_t routes[14] = { 32 };
	struct lease l;
	struct ask a = ask(DHCP_DISCOVER);
	struct got g;

	rig_lease(&l);
	l.prefix = rows[_i].prefix;
	l.ip = rows[_i].ip;
	l.router = rows[_i].router;
	g = tell(&l, &a);
	ck_assert_int_gt(g.n, 0);
	want32(&g, 1, ~0u << (32 - l.prefix));
	rig32(routes + 1, l.router);
	rig32(routes + 10, l.router);
	if (rows[_i].told)
		want(&g, 121, routes, sizeof(routes));
	else
		want_none(&g, 121);
	if (l.prefix >= 31)
		want_none(&g, 28);
	if (l.router != 0)
		want32(&g, 3, l.router);
}
END_TEST

START_TEST(client_id_comes_back)
{
	uint8_t id[255];
	struct lease l;
	struct ask a = ask(DHCP_REQUEST);
	struct got g;

	rig_lease(&l);
	memset(id, 0xa5, sizeof(id));
	opt(&a, 61, id, 7);
	opt32(&a, 50, GUEST_IP);
	g = tell(&l, &a);
	want_lease(&g, DHCP_ACK);
	want(&g, 61, id, 7);
	a = ask(DHCP_REQUEST);
	opt(&a, 61, id, 255);
	opt32(&a, 50, GUEST_IP + 1);
	g = tell(&l, &a);
	want_nak(&g);
	want(&g, 61, id, 255);
}
END_TEST

/* More than 576 bytes of packet are for who says so, less for nobody. */
START_TEST(sizes_and_overload)
{
	static const struct { unsigned max, mtu, most; bool over; } rows[] = {
		{ 0, 0, 576, true }, { 300, 0, 576, true },
		{ 577, 0, 577, true }, { 1500, 0, 1500, false },
		{ 65535, 9000, 1500, false }, { 1500, 600, 600, true },
		{ 1500, 100, 576, true },
	};
	uint8_t id[200], max[2];
	struct lease l;
	struct ask a = ask(DHCP_DISCOVER);
	struct got g;
	unsigned i;

	rig_lease(&l);
	l.mtu = (uint16_t)rows[_i].mtu;
	memset(id, 0xa5, sizeof(id));
	memset(l.hostname, 'h', LEASE_LABEL);
	memset(l.domain, 'd', 60);
	for (i = 0; i < LEASE_DNS; i++)
		l.dns[i] = i + 1;
	l.ndns = LEASE_DNS;
	opt(&a, 61, id, sizeof(id));
	rig16(max, rows[_i].max);
	if (rows[_i].max != 0)
		opt(&a, 57, max, 2);
	g = tell(&l, &a);
	want_lease(&g, DHCP_OFFER);
	want(&g, 61, id, sizeof(id));
	want(&g, 12, l.hostname, LEASE_LABEL);
	want(&g, 15, l.domain, 60);
	ck_assert_uint_le(g.mlen + 28, rows[_i].most);
	if (rows[_i].over)
		ck_assert(g.m[44] != 0 || g.m[108] != 0);
	else
		want_none(&g, 52);
}
END_TEST

/* However full the first field is, its end and overload have their place. */
START_TEST(filled_to_the_byte)
{
	uint8_t id[255];
	struct lease l;
	struct ask a;
	struct got g;
	size_t n, full = 0;

	rig_lease(&l);
	memset(id, 0xa5, sizeof(id));
	memset(l.domain, 'd', 100);
	for (n = 1; n < 250; n++) {
		a = ask(DHCP_DISCOVER);
		opt(&a, 61, id, n);
		g = tell(&l, &a);
		want_lease(&g, DHCP_OFFER);
		want(&g, 15, l.domain, strlen(l.domain));
		want32(&g, 59, 3150);
		ck_assert_uint_le(g.mlen + 28, 576);
		full += g.mlen + 28 == 576;
	}
	ck_assert_uint_gt(full, 0);
}
END_TEST

/* What follows one in the field file is not before it in the first. */
START_TEST(order_over_fields)
{
	uint8_t id[250];
	struct lease l;
	struct ask a = ask(DHCP_DISCOVER);
	struct got g;

	rig_lease(&l);
	memset(id, 0xa5, sizeof(id));
	memset(l.domain, 'd', 100);
	opt(&a, 61, id, sizeof(id));
	opt(&a, 55, "\x0f\x1a", 2);
	g = tell(&l, &a);
	want_lease(&g, DHCP_OFFER);
	ck_assert_uint_eq(g.m[108], 15);
	ck_assert_uint_eq(g.m[108 + 2 + 100], 26);
	ck_assert_uint_eq(g.m[44], 0);
}
END_TEST

/* What has room nowhere is left out, and the rest is there. */
START_TEST(no_room)
{
	uint8_t id[255];
	struct lease l;
	struct ask a = ask(DHCP_DISCOVER);
	struct got g;

	rig_lease(&l);
	memset(id, 0xa5, sizeof(id));
	memset(l.domain, 'd', LEASE_DOMAIN);
	opt(&a, 61, id, sizeof(id));
	g = tell(&l, &a);
	want_lease(&g, DHCP_OFFER);
	want_none(&g, 15);
	want(&g, 26, "\x05\x78", 2);
	want32(&g, 59, 3150);
}
END_TEST

/* Options in the fields file and sname, if option 52 says so. */
START_TEST(overloaded_request)
{
	struct lease l;
	struct ask a;
	struct got g;
	uint8_t over = (uint8_t)_i;

	rig_lease(&l);
	a = ask(0);
	opt(&a, 52, &over, 1);
	memcpy(a.b + 108, "\x35\x01\x03\x34\x01\x02\xff", 7);
	memcpy(a.b + 44, "\x32\x04\xc0\x00\x02\x0a\xff", 7);
	g = tell(&l, &a);
	switch (over) {
	case 0:		/* BOOTP */
	case 2:
		ck_assert_int_gt(g.n, 0);
		want_none(&g, 53);
		break;
	case 1:		/* a request without an address */
		ck_assert_int_eq(g.n, 0);
		break;
	default:
		want_lease(&g, DHCP_ACK);
		break;
	}
}
END_TEST

/* One byte or one bit amiss, and there is no answer. */
START_TEST(malformed)
{
	static const struct {
		const char *what; const char *options; size_t len;
	} rows[] = {
		{ "type of length 0", "\x35\0\xff", 3 },
		{ "type of length 2", "\x35\2\1\1\xff", 5 },
		{ "type 0", "\x35\1\0\xff", 4 },
		{ "two types", "\x35\1\1\x35\1\1\xff", 7 },
		{ "length past the end", "\x35\1\1\x0c\5ab", 7 },
		{ "no length", "\x35\1\1\x0c", 4 },
		{ "only a code", "\x35", 1 },
		{ "requested of 3", "\x35\1\1\x32\3\1\2\3\xff", 9 },
		{ "requested of 5", "\x35\1\1\x32\5\1\2\3\4\5\xff", 11 },
		{ "server of 0", "\x35\1\1\x36\0\xff", 6 },
		{ "wanted of 0", "\x35\1\1\x37\0\xff", 6 },
		{ "max size of 1", "\x35\1\1\x39\1\2\xff", 7 },
		{ "client id of 0", "\x35\1\1\x3d\0\xff", 6 },
		{ "rapid commit of 1", "\x35\1\1\x50\1\0\xff", 7 },
		{ "overload of 2", "\x35\1\1\x34\2\1\1\xff", 8 },
		{ "overloaded file malformed", "\x35\1\1\x34\1\1\xff", 7 },
	};
	struct lease l;
	struct ask a = ask(0);
	struct wire w;
	struct got g;

	rig_lease(&l);
	/* An option past the field's end, if the field is one of options. */
	a.b[108] = 0;
	memset(a.b + 109, 12, 127);
	memcpy(a.b + 240, rows[_i].options, rows[_i].len);
	wire_udp4(&w, any_mac, 0, ANY_IP, 67, a.b, 240 + rows[_i].len);
	g = hear(&l, &w);
	ck_assert_msg(g.n == 0, "%s: %d", rows[_i].what, g.n);
}
END_TEST

/* Client identifiers of more than 255 bytes in parts. */
START_TEST(parts_too_long)
{
	uint8_t part[255] = { 1 };
	struct lease l;
	struct ask a = ask(DHCP_DISCOVER);

	rig_lease(&l);
	opt(&a, 61, part, 200);
	opt(&a, 61, part, 55);
	ck_assert_int_gt(tell(&l, &a).n, 0);
	a = ask(DHCP_DISCOVER);
	opt(&a, 61, part, 200);
	opt(&a, 61, part, 56);
	ck_assert_int_eq(tell(&l, &a).n, 0);
}
END_TEST

/* No end of options but that of the packet; and padding everywhere. */
START_TEST(lenient)
{
	struct lease l;
	struct ask a = ask(DHCP_DISCOVER);
	struct wire w;
	struct got g;

	rig_lease(&l);
	wire_udp4(&w, any_mac, 0, ANY_IP, 67, a.b, a.len);
	g = hear(&l, &w);
	want_lease(&g, DHCP_OFFER);
	a = ask(0);
	a.len += 5;
	opt(&a, 53, "\1", 1);
	a.len += 5;
	opt(&a, 12, "guest", 5);
	g = tell(&l, &a);
	want_lease(&g, DHCP_OFFER);
	/* Bytes behind the packet, as short frames have them. */
	a = ask(DHCP_DISCOVER);
	wire_udp4(&w, any_mac, 0, ANY_IP, 67, a.b, a.len);
	w.len += 40;
	g = hear(&l, &w);
	want_lease(&g, DHCP_OFFER);
}
END_TEST

/* Every length below that of a message, with and without options. */
START_TEST(cut_off)
{
	struct lease l;
	struct ask a = ask(DHCP_DISCOVER);
	struct wire w;
	size_t n;

	rig_lease(&l);
	for (n = 0; n < 240; n++) {
		wire_udp4(&w, any_mac, 0, ANY_IP, 67, a.b, n);
		ck_assert_int_eq(hear(&l, &w).n, 0);
	}
	wire_udp4(&w, any_mac, 0, ANY_IP, 67, a.b, 242);
	ck_assert_int_eq(hear(&l, &w).n, 0);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("dhcp_opt");

	tcase_add_test(tc, wanted_list);
	tcase_add_test(tc, sparse_lease);
	tcase_add_loop_test(tc, classless_routes, 0, 5);
	tcase_add_test(tc, client_id_comes_back);
	tcase_add_loop_test(tc, sizes_and_overload, 0, 7);
	tcase_add_test(tc, filled_to_the_byte);
	tcase_add_test(tc, order_over_fields);
	tcase_add_test(tc, no_room);
	tcase_add_loop_test(tc, overloaded_request, 0, 4);
	tcase_add_loop_test(tc, malformed, 0, 16);
	tcase_add_test(tc, parts_too_long);
	tcase_add_test(tc, lenient);
	tcase_add_test(tc, cut_off);
	return test_main("dhcp_opt", tc);
}
