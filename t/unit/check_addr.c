/* SPDX-License-Identifier: ISC */
/*
 * Addresses: what is derived is right, the same each time, and another for each
 * NIC; every edge of a subnet.
 */
#include "net/addr.h"
#include "netrig.h"

static struct addr_net
net(const char *text)
{
	struct addr_net n;

	ck_assert_int_eq(addr_parse(&n, text), 0);
	return n;
}

START_TEST(texts)
{
	static const char *const wrong[] = {
		"", "/", "192.0.2.1", "192.0.2.1/", "192.0.2.1/33",
		"192.0.2.1/024", "192.0.2.1/+4", "192.0.2.1/4 ", "192.0.2/24",
		"192.0.2.256/24", " 192.0.2.1/24", "192.0.2.1/99999999999",
		"192.0.2.1/24/24", "fd00::1/64",
		"1111111111111111111111111111111111111111111111111111/8",
	};
	static const char *const wrong6[] = {
		"", "fd00::1", "fd00::1/129", "192.0.2.1/24", "fd00::1::/8",
		"fd00::1/064",
	};
	struct addr_net n;
	struct addr_net6 n6;
	unsigned i;

	n = net("192.0.2.1/24");
	ck_assert_uint_eq(n.ip, SWITCH_IP);
	ck_assert_uint_eq(n.prefix, 24);
	ck_assert_uint_eq(net("0.0.0.0/0").prefix, 0);
	ck_assert_uint_eq(net("192.0.2.1/32").prefix, 32);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_int_eq(addr_parse(&n, wrong[i]), -EINVAL);
	ck_assert_int_eq(addr6_parse(&n6, "fd00::1/128"), 0);
	ck_assert_uint_eq(n6.prefix, 128);
	ck_assert_uint_eq(n6.ip[0], 0xfd);
	ck_assert_uint_eq(n6.ip[15], 1);
	for (i = 0; i < sizeof(wrong6) / sizeof(wrong6[0]); i++)
		ck_assert_int_eq(addr6_parse(&n6, wrong6[i]), -EINVAL);
}
END_TEST

START_TEST(written)
{
	struct os_addr a = { .bytes = { 192, 0, 2, 1 }, .prefix = 24 }, b = a;
	char p[ADDR_TEXT];

	ck_assert_str_eq(addr_text(&a, p), "192.0.2.1/24");
	ck_assert_str_eq(addr_net_text(&a, p), "192.0.2.1/24");
	b.prefix = 32;
	ck_assert_str_eq(addr_text(&b, p), "192.0.2.1/32");
	ck_assert_str_eq(addr_net_text(&b, p), "192.0.2.1");
	ck_assert(addr_same(&a, &b));
	ck_assert(!addr_equal(&a, &b));
	b.prefix = 0;
	ck_assert_str_eq(addr_text(&b, p), "192.0.2.1");
	ck_assert_str_eq(addr_net_text(&b, p), "192.0.2.1/0");
	b = a;
	ck_assert(addr_equal(&a, &b));
	b.bytes[3] = 2;
	ck_assert(!addr_same(&a, &b));
	b = a;
	b.ipv6 = true;
	ck_assert(!addr_same(&a, &b));
	ck_assert_str_eq(addr_net_text(&b, p), "c000:201::/24");
	a = b;
	b.bytes[15] = 1;
	b.prefix = 128;
	ck_assert(!addr_same(&a, &b));
	ck_assert_str_eq(addr_net_text(&b, p), "c000:201::1");
}
END_TEST

START_TEST(masks)
{
	struct addr_net6 n6;

	ck_assert_uint_eq(addr_mask(0), 0);
	ck_assert_uint_eq(addr_mask(1), 0x80000000);
	ck_assert_uint_eq(addr_mask(31), 0xfffffffe);
	ck_assert_uint_eq(addr_mask(32), 0xffffffff);
	ck_assert_int_eq(addr6_parse(&n6, "ffff:ffff:ffff:ffff::ffff/61"), 0);
	addr6_clear(&n6);
	ck_assert_mem_eq(n6.ip, "\xff\xff\xff\xff\xff\xff\xff\xf8\0\0\0\0\0\0\0",
	    16);
	ck_assert_int_eq(addr6_parse(&n6, "fd00::ffff/128"), 0);
	addr6_clear(&n6);
	ck_assert_uint_eq(n6.ip[15], 0xff);
	n6.prefix = 0;
	addr6_clear(&n6);
	ck_assert_mem_eq(n6.ip, no_ip6, 16);
}
END_TEST

START_TEST(hosts)
{
	struct addr_net n = net("192.0.2.1/24");

	ck_assert(addr_is_host(&n, RIG_IP(192, 0, 2, 1)));
	ck_assert(addr_is_host(&n, RIG_IP(192, 0, 2, 254)));
	ck_assert(!addr_is_host(&n, RIG_IP(192, 0, 2, 0)));
	ck_assert(!addr_is_host(&n, RIG_IP(192, 0, 2, 255)));
	ck_assert(!addr_is_host(&n, RIG_IP(192, 0, 3, 1)));
	n = net("192.0.2.0/31");
	ck_assert(addr_is_host(&n, RIG_IP(192, 0, 2, 0)));
	ck_assert(addr_is_host(&n, RIG_IP(192, 0, 2, 1)));
	ck_assert(!addr_is_host(&n, RIG_IP(192, 0, 2, 2)));
	n = net("192.0.2.5/32");
	ck_assert(addr_is_host(&n, RIG_IP(192, 0, 2, 5)));
	ck_assert(!addr_is_host(&n, RIG_IP(192, 0, 2, 4)));
	n = net("0.0.0.0/0");
	ck_assert(addr_is_host(&n, RIG_IP(223, 255, 255, 255)));
	ck_assert(!addr_is_host(&n, RIG_IP(224, 0, 0, 1)));
	ck_assert(!addr_is_host(&n, RIG_IP(127, 0, 0, 1)));
	ck_assert(!addr_is_host(&n, RIG_IP(0, 0, 0, 1)));
}
END_TEST

static void
lease(const char *text, unsigned vm, unsigned nic, uint32_t want)
{
	struct addr_net n = net(text);
	uint32_t ip = 0;

	ck_assert_int_eq(addr_lease(&n, vm, nic, &ip), 0);
	ck_assert_uint_eq(ip, want);
}

static void
no_lease(const char *text, unsigned vm, unsigned nic, int error)
{
	struct addr_net n = net(text);
	uint32_t ip;

	ck_assert_int_eq(addr_lease(&n, vm, nic, &ip), error);
}

/* Written down: an update must not move guests to other addresses. */
START_TEST(derived)
{
	lease("192.0.2.1/24", 1, 0, RIG_IP(192, 0, 2, 2));
	lease("192.0.2.1/24", 1, 1, RIG_IP(192, 0, 2, 130));
	lease("192.0.2.1/24", 1, 2, RIG_IP(192, 0, 2, 66));
	lease("192.0.2.1/24", 1, 3, RIG_IP(192, 0, 2, 194));
	lease("192.0.2.1/24", 1, 4, RIG_IP(192, 0, 2, 34));
	lease("192.0.2.1/24", 253, 0, RIG_IP(192, 0, 2, 254));
	lease("192.0.2.1/24", 200, 1, RIG_IP(192, 0, 2, 73));
	lease("192.0.2.254/24", 3, 0, RIG_IP(192, 0, 2, 4));
	lease("10.1.0.1/16", 1000, 0, RIG_IP(10, 1, 3, 233));
	lease("10.1.0.1/16", 1000, 1, RIG_IP(10, 1, 131, 233));
	lease("192.0.2.1/30", 1, 0, RIG_IP(192, 0, 2, 2));
	no_lease("192.0.2.1/24", 0, 0, -ERANGE);
	no_lease("192.0.2.1/24", 254, 0, -EADDRNOTAVAIL);
	no_lease("192.0.2.1/24", 255, 0, -ERANGE);
	no_lease("192.0.2.1/24", 1, 256, -ERANGE);
	no_lease("192.0.2.254/24", 253, 0, -EADDRNOTAVAIL);
	no_lease("192.0.2.1/24", 128, 1, -EADDRNOTAVAIL);
	no_lease("192.0.2.1/30", 2, 0, -EADDRNOTAVAIL);
	no_lease("192.0.2.0/31", 1, 0, -ERANGE);
	no_lease("192.0.2.0/32", 1, 0, -ERANGE);
	no_lease("127.0.0.1/8", 1, 0, -EADDRNOTAVAIL);
}
END_TEST

/* As many NICs as there are powers of two, all have addresses of their own. */
START_TEST(all_differ)
{
	struct addr_net n = net("192.0.2.1/24");
	unsigned nics, vm, nic;
	bool seen[256];
	uint32_t ip;

	for (nics = 1; nics <= 16; nics *= 2) {
		memset(seen, 0, sizeof(seen));
		seen[1] = true;
		for (vm = 1; vm <= 256 / nics - 3; vm++) {
			for (nic = 0; nic < nics; nic++) {
				ck_assert_int_eq(addr_lease(&n, vm, nic, &ip),
				    0);
				ck_assert(!seen[ip & 255]);
				seen[ip & 255] = true;
			}
		}
	}
}
END_TEST

START_TEST(addresses_of_ipv6)
{
	static const uint8_t ll[16] = { 0xfe, 0x80 };
	static const uint8_t want[16] = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0,
	    0x50, 0x54, 0, 0xff, 0xfe, 1, 2, 3 };
	uint8_t ip[16];

	addr6_by_mac(ip, ll, guest_mac);
	ck_assert_mem_eq(ip, want, 16);
	addr6_by_mac(ip, ip, guest_mac);
	ck_assert_mem_eq(ip, want, 16);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("addr");

	tcase_add_test(tc, texts);
	tcase_add_test(tc, written);
	tcase_add_test(tc, masks);
	tcase_add_test(tc, hosts);
	tcase_add_test(tc, derived);
	tcase_add_test(tc, all_differ);
	tcase_add_test(tc, addresses_of_ipv6);
	return test_main("addr", tc);
}
