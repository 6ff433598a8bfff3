/* SPDX-License-Identifier: ISC */
/*
 * DHCP: every message of a client's, in every state of RFC 2131, gets the
 * answer that it has to; what is not the NIC's gets none.
 */
#include "dhcprig.h"

START_TEST(discover)
{
	struct lease l;
	struct ask a = ask(DHCP_DISCOVER);
	struct got g;

	rig_lease(&l);
	g = tell(&l, &a);
	want_lease(&g, DHCP_OFFER);
	want_all(&g);
	want32(&g, 58, 1800);
	want32(&g, 59, 3150);
	want_none(&g, 52);
	want_none(&g, 61);
	want_none(&g, 80);
	want_none(&g, 121);
	ck_assert_uint_eq(g.dst, GUEST_IP);
	ck_assert_uint_eq(frame_get32(g.m + 12), 0);
	/* The address that it would like is not its to choose. */
	a = ask(DHCP_DISCOVER);
	opt32(&a, 50, RIG_IP(192, 0, 2, 99));
	rig32(a.b + 12, RIG_IP(192, 0, 2, 99));
	g = tell(&l, &a);
	want_lease(&g, DHCP_OFFER);
	ck_assert_uint_eq(g.dst, GUEST_IP);
	ck_assert_uint_eq(frame_get32(g.m + 12), 0);
}
END_TEST

START_TEST(broadcast_flag)
{
	struct lease l;
	struct ask a = ask(DHCP_DISCOVER);
	struct got g;

	rig_lease(&l);
	rig16(a.b + 10, 0xffff);
	g = tell(&l, &a);
	want_lease(&g, DHCP_OFFER);
	ck_assert_uint_eq(g.dst, ANY_IP);
	ck_assert_uint_eq(frame_get16(g.m + 10), 0x8000);
	/* Who has its address can be reached there. */
	a = ask(DHCP_REQUEST);
	rig16(a.b + 10, 0x8000);
	rig32(a.b + 12, GUEST_IP);
	g = tell(&l, &a);
	want_lease(&g, DHCP_ACK);
	ck_assert_uint_eq(g.dst, GUEST_IP);
}
END_TEST

START_TEST(rapid_commit)
{
	struct lease l;
	struct ask a = ask(DHCP_DISCOVER);
	struct got g;

	rig_lease(&l);
	opt(&a, 80, "", 0);
	rig32(a.b + 12, GUEST_IP + 1);
	g = tell(&l, &a);
	want_lease(&g, DHCP_ACK);
	want(&g, 80, "", 0);
	ck_assert_uint_eq(frame_get32(g.m + 12), 0);
	/* It means nothing elsewhere. */
	a = ask(DHCP_REQUEST);
	opt32(&a, 50, GUEST_IP);
	opt(&a, 80, "", 0);
	g = tell(&l, &a);
	want_lease(&g, DHCP_ACK);
	want_none(&g, 80);
}
END_TEST

/* RFC 2131, 4.3.2 and table 4: requested, ciaddr and server say which. */
static const struct request {
	const char	*state;
	uint32_t	server, requested, ciaddr;
	int		answer;		/* 0: none */
} requests[] = {
	{ "selecting", SWITCH_IP, GUEST_IP, 0, DHCP_ACK },
	{ "selecting another address", SWITCH_IP, GUEST_IP + 1, 0, DHCP_NAK },
	{ "selecting no address", SWITCH_IP, 0, 0, DHCP_NAK },
	{ "selecting another server", SWITCH_IP + 1, GUEST_IP, 0, 0 },
	{ "selecting another's", SWITCH_IP + 1, GUEST_IP + 1, 0, 0 },
	{ "selecting, renewing", SWITCH_IP, 0, GUEST_IP, DHCP_ACK },
	{ "init-reboot", 0, GUEST_IP, 0, DHCP_ACK },
	{ "init-reboot, moved", 0, RIG_IP(10, 0, 0, 5), 0, DHCP_NAK },
	{ "init-reboot, changed", 0, GUEST_IP - 1, 0, DHCP_NAK },
	{ "renewing", 0, 0, GUEST_IP, DHCP_ACK },
	{ "renewing, changed", 0, 0, GUEST_IP + 1, DHCP_NAK },
	{ "both, agreed", 0, GUEST_IP, GUEST_IP, DHCP_ACK },
	{ "both, not agreed", 0, GUEST_IP, GUEST_IP + 1, DHCP_NAK },
	{ "both, the other way", 0, GUEST_IP + 1, GUEST_IP, DHCP_NAK },
	{ "nothing", 0, 0, 0, 0 },
};

START_TEST(request_states)
{
	const struct request *r = &requests[_i];
	struct lease l;
	struct ask a = ask(DHCP_REQUEST);
	struct got g;

	rig_lease(&l);
	if (r->server != 0)
		opt32(&a, 54, r->server);
	if (r->requested != 0)
		opt32(&a, 50, r->requested);
	rig32(a.b + 12, r->ciaddr);
	g = tell(&l, &a);
	if (r->answer == DHCP_ACK) {
		want_lease(&g, DHCP_ACK);
		want_all(&g);
		ck_assert_uint_eq(frame_get32(g.m + 12), r->ciaddr);
		ck_assert_uint_eq(g.dst, GUEST_IP);
	} else if (r->answer == DHCP_NAK) {
		want_nak(&g);
	} else {
		ck_assert_msg(g.n == 0, "%s: %d", r->state, g.n);
	}
}
END_TEST

/* As clients do it: to the server's address, by the switch's MAC. */
START_TEST(renewing_by_unicast)
{
	struct lease l;
	struct ask a = ask(DHCP_REQUEST), again = a;
	struct got g;

	rig_lease(&l);
	a.eth_dst = switch_mac;
	a.src = GUEST_IP;
	a.dst = SWITCH_IP;
	rig32(a.b + 12, GUEST_IP);
	again = a;
	g = tell(&l, &a);
	want_lease(&g, DHCP_ACK);
	/* To another's address or MAC it is another's. */
	a = again;
	a.dst = SWITCH_IP + 1;
	ck_assert_int_eq(tell(&l, &a).n, -ENOMSG);
	a = again;
	a.eth_dst = other_mac;
	ck_assert_int_eq(tell(&l, &a).n, -ENOMSG);
}
END_TEST

START_TEST(inform)
{
	struct lease l;
	struct ask a;
	struct got g;
	static const uint32_t wrong[] = {
		0, RIG_IP(192, 0, 3, 10), RIG_IP(192, 0, 2, 255),
		RIG_IP(192, 0, 2, 0), SWITCH_IP, ANY_IP,
	};
	static const uint32_t right[] = { GUEST_IP, GUEST_IP + 5 };
	uint8_t type = DHCP_ACK;
	unsigned i;

	rig_lease(&l);
	for (i = 0; i < 2; i++) {
		a = ask(DHCP_INFORM);
		rig32(a.b + 12, right[i]);
		g = tell(&l, &a);
		ck_assert_int_gt(g.n, 0);
		want(&g, 53, &type, 1);
		want32(&g, 54, SWITCH_IP);
		want_all(&g);
		want_none(&g, 51);
		want_none(&g, 58);
		want_none(&g, 59);
		ck_assert_uint_eq(frame_get32(g.m + 12), right[i]);
		ck_assert_uint_eq(frame_get32(g.m + 16), 0);
		ck_assert_uint_eq(g.dst, right[i]);
	}
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		a = ask(DHCP_INFORM);
		rig32(a.b + 12, wrong[i]);
		ck_assert_int_eq(tell(&l, &a).n, 0);
	}
}
END_TEST

/* Nothing happens, and the next one has its address as before. */
START_TEST(tolerated)
{
	static const uint8_t types[] = {
		DHCP_DECLINE, DHCP_RELEASE, DHCP_OFFER, DHCP_ACK, DHCP_NAK,
		9, 10, 13, 255
	};
	struct lease l;
	struct ask a;
	struct got g;
	unsigned i;

	rig_lease(&l);
	for (i = 0; i < sizeof(types); i++) {
		a = ask(types[i]);
		opt32(&a, 54, SWITCH_IP);
		opt32(&a, 50, GUEST_IP);
		ck_assert_int_eq(tell(&l, &a).n, 0);
		a = ask(DHCP_DISCOVER);
		g = tell(&l, &a);
		want_lease(&g, DHCP_OFFER);
	}
}
END_TEST

/* Of RFC 951: 300 bytes, with our cookie, another, or nothing. */
START_TEST(bootp)
{
	static const uint32_t cookies[] = { 0x63825363, 0, 0x434d5500 };
	struct lease l;
	struct ask a;
	struct got g;
	struct wire w;

	rig_lease(&l);
	a = ask(0);
	if (_i == 0)
		opt(&a, 61, "identifier", 10);
	rig32(a.b + 236, cookies[_i]);
	/* Which would be a DHCP message, were it not for the cookie. */
	if (_i > 0)
		memcpy(a.b + 240, "\x35\x01\x01\x35", 4);
	wire_udp4(&w, any_mac, 0, ANY_IP, 67, a.b, 300);
	g = hear(&l, &w);
	ck_assert_int_gt(g.n, 0);
	ck_assert_uint_eq(g.mlen, 300);
	ck_assert_uint_eq(frame_get32(g.m + 16), GUEST_IP);
	ck_assert_uint_eq(frame_get32(g.m + 20), SWITCH_IP);
	want32(&g, 1, 0xffffff00);
	want32(&g, 3, SWITCH_IP);
	want(&g, 12, "web1", 4);
	want_none(&g, 53);
	want_none(&g, 54);
	want_none(&g, 51);
	want_none(&g, 58);
	want_none(&g, 61);
	ck_assert_uint_eq(g.dst, GUEST_IP);
}
END_TEST

static const struct { const char *what; size_t at; uint8_t xor; } fields[] = {
	{ "op", 0, 3 }, { "htype", 1, 7 }, { "hlen", 2, 1 },
	{ "giaddr", 24, 1 }, { "giaddr", 27, 1 },
	{ "chaddr", 28, 1 }, { "chaddr", 33, 1 },
};

START_TEST(fields_amiss)
{
	struct lease l;
	struct ask a = ask(DHCP_DISCOVER);
	struct got g;

	rig_lease(&l);
	a.b[fields[_i].at] ^= fields[_i].xor;
	g = tell(&l, &a);
	ck_assert_msg(g.n == 0, "%s: %d", fields[_i].what, g.n);
}
END_TEST

START_TEST(not_the_ports_mac)
{
	struct lease l;
	struct ask a = ask(DHCP_DISCOVER);
	struct wire w;

	rig_lease(&l);
	wire_udp4(&w, any_mac, 0, ANY_IP, 67, a.b, a.len);
	ck_assert_int_gt(hear(&l, &w).n, 0);
	memcpy(w.b + VNET + 6, other_mac, 6);
	ck_assert_int_eq(hear(&l, &w).n, 0);
	memcpy(a.b + 28, other_mac, 6);
	wire_udp4(&w, any_mac, 0, ANY_IP, 67, a.b, a.len);
	memcpy(w.b + VNET + 6, other_mac, 6);
	ck_assert_int_eq(hear(&l, &w).n, 0);
}
END_TEST

/* Others' ports, a VLAN, a wrong checksum, a segment. */
START_TEST(other_frames)
{
	struct lease l;
	struct ask a = ask(DHCP_DISCOVER);
	struct wire w, v;

	rig_lease(&l);
	wire_udp4(&w, any_mac, 0, ANY_IP, 68, a.b, a.len);
	ck_assert_int_eq(hear(&l, &w).n, -ENOMSG);
	wire_udp4(&w, any_mac, 0, RIG_IP(192, 0, 2, 255), 67, a.b, a.len);
	ck_assert_int_eq(hear(&l, &w).n, -ENOMSG);
	wire_udp4(&w, any_mac, 0, ANY_IP, 67, a.b, a.len);
	v = w;
	memmove(v.b + VNET + 16, v.b + VNET + 12, v.len - VNET - 12);
	memcpy(v.b + VNET + 12, "\x81\0\0\1", 4);
	v.len += 4;
	ck_assert_int_eq(hear(&l, &v).n, -ENOMSG);
	v = w;
	v.b[v.len - 1] ^= 1;
	ck_assert_int_eq(hear(&l, &v).n, 0);
	v = w;
	v.b[ETHER + 10] ^= 1;
	ck_assert_int_eq(hear(&l, &v).n, 0);
	v = w;
	v.b[1] = 5;
	ck_assert_int_eq(hear(&l, &v).n, 0);
}
END_TEST

#define N(a)	((int)(sizeof(a) / sizeof((a)[0])))

int
main(void)
{
	TCase *tc = tcase_create("dhcp");

	tcase_add_test(tc, discover);
	tcase_add_test(tc, broadcast_flag);
	tcase_add_test(tc, rapid_commit);
	tcase_add_loop_test(tc, request_states, 0, N(requests));
	tcase_add_test(tc, renewing_by_unicast);
	tcase_add_test(tc, inform);
	tcase_add_test(tc, tolerated);
	tcase_add_loop_test(tc, bootp, 0, 3);
	tcase_add_loop_test(tc, fields_amiss, 0, N(fields));
	tcase_add_test(tc, not_the_ports_mac);
	tcase_add_test(tc, other_frames);
	return test_main("dhcp", tc);
}
