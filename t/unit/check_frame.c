/* SPDX-License-Identifier: ISC */
/*
 * Frames: taken apart at every length without a byte too many, whole or not by
 * their checksums and by what the guest leaves to its NIC, and put together so
 * that others take them.
 */
#include "net/dname.h"
#include "netrig.h"

/* Parses a copy of exactly its size, so that a sanitizer sees more. */
static int
parse(const struct wire *w, size_t len, struct frame *f)
{
	uint8_t *exact = malloc(len + 1);
	int error;

	ck_assert_ptr_nonnull(exact);
	memcpy(exact + 1, w->b, len);
	error = frame_parse(f, exact + 1, len);
	if (error == 0) {
		ck_assert_uint_le((size_t)(f->data - exact - 1) + f->len, len);
		/* What is in it is compared by those who look at it. */
		f->data = w->b + (f->data - exact - 1);
	}
	free(exact);
	return error;
}

static struct wire
udp4(void)
{
	struct wire w;

	wire_udp4(&w, any_mac, GUEST_IP, SWITCH_IP, 67, "question", 9);
	return w;
}

static struct wire
udp6(void)
{
	struct wire w;

	wire_udp6(&w, guest_ll, switch_ll, 547, "question", 9);
	return w;
}

static struct wire
icmp6(void)
{
	static const uint8_t message[12] = { 133 };
	struct wire w;

	wire_ip6(&w, guest_ll, switch_ll, 58, message, sizeof(message));
	return w;
}

START_TEST(taken_apart)
{
	struct wire w = udp4();
	struct frame f;

	ck_assert_int_eq(parse(&w, w.len, &f), 0);
	ck_assert(f.intact);
	ck_assert_uint_eq(f.version, 4);
	ck_assert_uint_eq(f.protocol, 17);
	ck_assert_uint_eq(f.hops, 64);
	ck_assert_uint_eq(f.sport, 68);
	ck_assert_uint_eq(f.dport, 67);
	ck_assert_uint_eq(f.len, 9);
	ck_assert_mem_eq(f.data, "question", 9);
	w = udp6();
	ck_assert_int_eq(parse(&w, w.len, &f), 0);
	ck_assert(f.intact);
	ck_assert_uint_eq(f.version, 6);
	ck_assert_uint_eq(f.hops, 255);
	ck_assert_uint_eq(f.dport, 547);
	ck_assert_uint_eq(f.len, 9);
	w = icmp6();
	ck_assert_int_eq(parse(&w, w.len, &f), 0);
	ck_assert(f.intact);
	ck_assert_uint_eq(f.protocol, 58);
	ck_assert_uint_eq(f.len, 12);
	ck_assert_uint_eq(f.data[0], 133);
}
END_TEST

START_TEST(every_length)
{
	struct wire w[3] = { udp4(), udp6(), icmp6() };
	struct frame f;
	unsigned i;
	size_t n;

	for (i = 0; i < 3; i++) {
		for (n = 0; n < w[i].len; n++)
			ck_assert_int_eq(parse(&w[i], n, &f), -ENOMSG);
		/* Padding is none of it. */
		ck_assert_int_eq(parse(&w[i], w[i].len + 30, &f), 0);
		ck_assert(f.intact);
		ck_assert_uint_eq(f.len, i == 2 ? 12 : 9);
	}
}
END_TEST

/* No bit can change unseen, but for those that no checksum is over. */
START_TEST(every_bit)
{
	struct wire w, clean[3] = { udp4(), udp6(), icmp6() };
	struct frame f;
	unsigned i;
	size_t bit;

	for (i = 0; i < 3; i++) {
		for (bit = 8 * ETHER; bit < 8 * clean[i].len; bit++) {
			/* Class and label of IPv6; its hop limit. */
			if (i > 0 && (bit / 8 - ETHER == 7 ||
			    (bit / 8 - ETHER < 4 && bit / 8 - ETHER > 0) ||
			    (bit / 8 == ETHER && bit % 8 < 4)))
				continue;
			w = clean[i];
			w.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (parse(&w, w.len, &f) == 0)
				ck_assert_msg(!f.intact, "%u: bit %zu", i, bit);
		}
	}
}
END_TEST

START_TEST(ip_options)
{
	struct wire w = udp4();
	struct frame f;

	memmove(w.b + ETHER + 60, w.b + ETHER + 20, w.len - ETHER - 20);
	memset(w.b + ETHER + 20, 1, 40);
	w.b[ETHER] = 0x4f;
	w.len += 40;
	rig16(w.b + ETHER + 2, (unsigned)(w.len - ETHER));
	wire_seal(&w);
	ck_assert_int_eq(parse(&w, w.len, &f), 0);
	ck_assert(f.intact);
	ck_assert_mem_eq(f.data, "question", 9);
}
END_TEST

/* Fragments, odd headers, lengths that contradict each other. */
static const struct {
	const char *what; bool six; size_t at; uint8_t to;
} odd[] = {
	{ "a VLAN", false, VNET + 12, 0x81 },
	{ "ARP", false, VNET + 13, 6 },
	{ "IPv6 in IPv4's type", false, ETHER, 0x65 },
	{ "IPv4 in IPv6's type", true, ETHER, 0x40 },
	{ "header of 16", false, ETHER, 0x44 },
	{ "header longer than all", false, ETHER, 0x4f },
	{ "shorter than its header", false, ETHER + 3, 19 },
	{ "without UDP's header", false, ETHER + 3, 27 },
	{ "longer than the frame", false, ETHER + 3, 38 },
	{ "first fragment", false, ETHER + 6, 0x20 },
	{ "second fragment", false, ETHER + 7, 1 },
	{ "last fragment", false, ETHER + 6, 0x1f },
	{ "TCP", false, ETHER + 9, 6 },
	{ "ICMPv6 over IPv4", false, ETHER + 9, 58 },
	{ "UDP of 7", false, ETHER + 25, 7 },
	{ "UDP longer than IP's", false, ETHER + 25, 18 },
	{ "UDP far longer", false, ETHER + 24, 0xff },
	{ "IPv6 longer than the frame", true, ETHER + 5, 18 },
	{ "IPv6 far longer", true, ETHER + 4, 0xff },
	{ "IPv6 without UDP's header", true, ETHER + 5, 7 },
	{ "extension header", true, ETHER + 6, 0 },
	{ "fragment header", true, ETHER + 6, 44 },
};

START_TEST(none_of_these)
{
	struct wire w = odd[_i].six ? udp6() : udp4();
	struct frame f;

	w.b[odd[_i].at] = odd[_i].to;
	ck_assert_msg(parse(&w, w.len, &f) == -ENOMSG, "%s", odd[_i].what);
}
END_TEST

/* Don't fragment is no fragment; UDP may be shorter than its packet. */
START_TEST(these_too)
{
	struct wire w = udp4();
	struct frame f;

	w.b[ETHER + 6] = 0x40;
	w.b[ETHER + 25] = 8 + 3;
	wire_seal(&w);
	ck_assert_int_eq(parse(&w, w.len, &f), 0);
	ck_assert(f.intact);
	ck_assert_uint_eq(f.len, 3);
	/* No checksum is one for IPv4 alone. */
	w = udp4();
	rig16(w.b + ETHER + 26, 0);
	ck_assert_int_eq(parse(&w, w.len, &f), 0);
	ck_assert(f.intact);
	w = udp6();
	rig16(w.b + ETHER + 46, 0);
	ck_assert_int_eq(parse(&w, w.len, &f), 0);
	ck_assert(!f.intact);
	/* Not even where zero is what it comes to. */
	wire_udp6(&w, guest_ll, switch_ll, 547, "\0\0", 2);
	memcpy(w.b + ETHER + 48, w.b + ETHER + 46, 2);
	wire_seal(&w);
	ck_assert_uint_eq(frame_get16(w.b + ETHER + 46), 0xffff);
	ck_assert_int_eq(parse(&w, w.len, &f), 0);
	ck_assert(f.intact);
	rig16(w.b + ETHER + 46, 0);
	ck_assert_int_eq(parse(&w, w.len, &f), 0);
	ck_assert(!f.intact);
}
END_TEST

static void
offload(struct wire *w, unsigned start, unsigned offset)
{
	w->b[0] = 1;
	w->b[6] = (uint8_t)start;
	w->b[7] = (uint8_t)(start >> 8);
	w->b[8] = (uint8_t)offset;
	w->b[9] = (uint8_t)(offset >> 8);
}

START_TEST(left_to_the_nic)
{
	static const struct { unsigned start, offset; } right[] = {
		{ 34, 6 }, { 54, 6 }, { 54, 2 },
	};
	struct wire w, clean[3] = { udp4(), udp6(), icmp6() };
	struct frame f;
	unsigned i, csum;

	for (i = 0; i < 3; i++) {
		w = clean[i];
		rig16(wire_transport(&w, &csum) + right[i].offset, 0x4711);
		ck_assert_int_eq(parse(&w, w.len, &f), 0);
		ck_assert(!f.intact);
		offload(&w, right[i].start, right[i].offset);
		ck_assert_int_eq(parse(&w, w.len, &f), 0);
		ck_assert(f.intact);
		/* Over IP's own it says nothing, nor at another place. */
		if (i == 0) {
			w.b[ETHER + 10] ^= 1;
			ck_assert_int_eq(parse(&w, w.len, &f), 0);
			ck_assert(!f.intact);
			w.b[ETHER + 10] ^= 1;
		}
		offload(&w, right[i].start + 2, right[i].offset);
		ck_assert_int_eq(parse(&w, w.len, &f), 0);
		ck_assert(!f.intact);
		offload(&w, right[i].start, right[i].offset + 256);
		ck_assert_int_eq(parse(&w, w.len, &f), 0);
		ck_assert(!f.intact);
		/* Nor is one half of a segment's any good. */
		offload(&w, right[i].start, right[i].offset);
		w.b[1] = 3;
		ck_assert_int_eq(parse(&w, w.len, &f), 0);
		ck_assert(!f.intact);
	}
}
END_TEST

/* Data of all lengths, odd ones too, and such as sum up to zero. */
START_TEST(put_together)
{
	uint8_t ip4[2][4] = { { 192, 0, 2, 1 }, { 192, 0, 2, 10 } };
	struct frame_to four = { guest_mac, switch_mac, ip4[0], ip4[1], 67, 68 };
	struct frame_to six = { guest_mac, switch_mac, switch_ll, guest_ll,
	    547, 546 };
	struct wire w;
	struct frame f;
	uint64_t seed = 42;
	size_t n, i;

	for (n = 0; n < 600; n++) {
		memset(&w, 0xa5, sizeof(w));
		for (i = 0; i < n; i++)
			w.b[FRAME_UDP4_DATA + i] = (uint8_t)test_random(&seed);
		w.len = frame_udp4(w.b, &four, n);
		wire_judge(&w);
		ck_assert_int_eq(parse(&w, w.len, &f), 0);
		ck_assert(f.intact && f.len == n);
		w.len = frame_udp6(w.b, &six, n);
		wire_judge(&w);
		ck_assert_int_eq(parse(&w, w.len, &f), 0);
		ck_assert(f.intact && f.len == n);
		w.len = frame_icmp6(w.b, &six, n + 4);
		wire_judge(&w);
		ck_assert_int_eq(parse(&w, w.len, &f), 0);
		ck_assert(f.intact && f.len == n + 4);
	}
	/* Two bytes that bring the sum to zero, which is written as ones. */
	memset(&w, 0, sizeof(w));
	w.len = frame_udp4(w.b, &four, 2);
	memcpy(w.b + FRAME_UDP4_DATA, w.b + ETHER + 26, 2);
	w.len = frame_udp4(w.b, &four, 2);
	ck_assert_uint_eq(frame_get16(w.b + ETHER + 26), 0xffff);
	wire_judge(&w);
}
END_TEST

START_TEST(names)
{
	uint8_t wire[DNAME_MAX];
	char text[300];

	ck_assert_uint_eq(dname_encode(wire, "example.org"), 13);
	ck_assert_mem_eq(wire, "\7example\3org\0", 13);
	ck_assert_uint_eq(dname_encode(wire, "a."), 3);
	ck_assert_uint_eq(dname_encode(wire, ""), 0);
	ck_assert_uint_eq(dname_encode(wire, "."), 0);
	ck_assert_uint_eq(dname_encode(wire, ".a"), 0);
	ck_assert_uint_eq(dname_encode(wire, "a..b"), 0);
	memset(text, 'a', sizeof(text));
	text[63] = '\0';
	ck_assert_uint_eq(dname_encode(wire, text), 65);
	text[63] = 'a';
	text[64] = '\0';
	ck_assert_uint_eq(dname_encode(wire, text), 0);
	/* 253 characters are 255 bytes, the most. */
	memset(text, 'a', sizeof(text));
	text[63] = text[127] = text[191] = '.';
	text[253] = '\0';
	ck_assert_uint_eq(dname_encode(wire, text), 255);
	text[253] = 'a';
	text[254] = '\0';
	ck_assert_uint_eq(dname_encode(wire, text), 0);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("frame");

	tcase_add_test(tc, taken_apart);
	tcase_add_test(tc, every_length);
	tcase_add_test(tc, every_bit);
	tcase_add_test(tc, ip_options);
	tcase_add_loop_test(tc, none_of_these, 0,
	    (int)(sizeof(odd) / sizeof(odd[0])));
	tcase_add_test(tc, these_too);
	tcase_add_test(tc, left_to_the_nic);
	tcase_add_test(tc, put_together);
	tcase_add_test(tc, names);
	return test_main("frame", tc);
}
