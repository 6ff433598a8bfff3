/* SPDX-License-Identifier: ISC */
/*
 * Names, marks and hardware addresses of interfaces.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/ifname.h"
#include "testhost.h"

static char	name[IFNAME_SIZE];
static char	mark[IFNAME_MARK];

static const char *
sw(const char *daemon, const char *what)
{
	ifname_switch(name, daemon, what);
	return name;
}

static const char *
port(const char *daemon, const char *vm, unsigned nic)
{
	ifname_port(name, daemon, vm, nic);
	return name;
}

START_TEST(readable)
{
	ck_assert_str_eq(sw("vmmd", "lan"), "vmmd-lan");
	ck_assert_str_eq(sw("vmmd", "a-b_c"), "vmmd-a-b_c");
	ck_assert_str_eq(port("vmmd", "web1", 0), "vmmd-web1.0");
	ck_assert_str_eq(port("vmmd", "a.b-c", 31), "vmmd-a.b-c.31");
	/* 15 characters fit. */
	ck_assert_str_eq(sw("vmmd", "0123456789"), "vmmd-0123456789");
	ck_assert_str_eq(port("vmmd", "01234567", 9), "vmmd-01234567.9");
}
END_TEST

/* What cannot be told apart otherwise, or is too long. */
START_TEST(hashed)
{
	static const char *const daemons[] = { "vmmd", "a-b", "d" };
	char first[IFNAME_SIZE];
	unsigned i;

	ck_assert_ptr_nonnull(strchr(sw("vmmd", "01234567890"), '~'));
	ck_assert_ptr_nonnull(strchr(port("vmmd", "01234567", 10), '~'));
	ck_assert_ptr_nonnull(strchr(sw("a-b", "c"), '~'));
	ck_assert_ptr_nonnull(strchr(port("a-b", "c", 0), '~'));
	ck_assert_ptr_nonnull(strchr(sw("vmmd", "web1.0"), '~'));
	ck_assert_int_eq(strncmp(sw("vmmd", "production-network"), "produc~",
	    7), 0);
	/* The same each time, and another for each daemon. */
	for (i = 0; i < 3; i++) {
		strcpy(first, sw(daemons[i], "production-network"));
		ck_assert_str_eq(sw(daemons[i], "production-network"), first);
		ck_assert_str_ne(sw(daemons[(i + 1) % 3],
		    "production-network"), first);
	}
}
END_TEST

static int
compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Every switch and NIC of many daemons, with names that invite it. */
START_TEST(distinct)
{
	static const char *const parts[] = {
		"a", "b", "a-b", "a.b", "b-a", "a.0", "0", "b.1", "a-b-a",
		"a_b", "production", "production-lan", "production-lan-1",
		"production-lan-2", "vmmd", "vmmd-a",
	};
	enum { N = sizeof(parts) / sizeof(parts[0]) };
	static char all[N * N * 13][IFNAME_SIZE];
	unsigned d, i, nic, n = 0;
	const char *p;

	for (d = 0; d < N; d++)
		for (i = 0; i < N; i++) {
			strcpy(all[n++], sw(parts[d], parts[i]));
			for (nic = 0; nic < 12; nic++)
				strcpy(all[n++],
				    port(parts[d], parts[i], nic));
		}
	qsort(all, n, sizeof(all[0]), compare);
	for (i = 0; i < n; i++) {
		if (i > 0)
			ck_assert_str_ne(all[i - 1], all[i]);
		ck_assert_uint_le(strlen(all[i]), 15);
		for (p = all[i]; *p != '\0'; p++)
			ck_assert_msg(strchr("/: %", *p) == NULL, "%s",
			    all[i]);
	}
}
END_TEST

START_TEST(marks)
{
	char longest[65], longer[IFNAME_MARK];

	ifname_port_mark(mark, "vmmd", "web", 3);
	ck_assert_str_eq(mark, "vmmd vmmd: vm web nic 3");
	ck_assert(!ifname_is_switch_mark(mark, "vmmd"));
	ifname_switch_mark(mark, "vmmd", "lan", "");
	ck_assert_str_eq(mark, "vmmd vmmd: switch lan");
	ck_assert_str_eq(ifname_mark_uplink(mark), "");
	ck_assert(ifname_is_switch_mark(mark, "vmmd"));
	/* Daemons whose names begin as ours, and other programs' marks. */
	ck_assert(!ifname_is_switch_mark(mark, "vmm"));
	ck_assert(!ifname_is_switch_mark(mark, "vmmd2"));
	ck_assert(!ifname_is_switch_mark("", "vmmd"));
	ck_assert(!ifname_is_switch_mark("somebody", "vmmd"));
	ifname_switch_mark(mark, "vmmd", "lan", "eth0");
	ck_assert_str_eq(mark, "vmmd vmmd: switch lan, uplink eth0");
	ck_assert_str_eq(ifname_mark_uplink(mark), "eth0");
	ck_assert(ifname_is_switch_mark(mark, "vmmd"));
	/* The longest is not cut. */
	memset(longest, 'x', 64);
	longest[64] = '\0';
	ifname_switch_mark(longer, longest, longest, "0123456789abcde");
	ck_assert_str_eq(ifname_mark_uplink(longer), "0123456789abcde");
	ck_assert(ifname_is_switch_mark(longer, longest));
}
END_TEST

START_TEST(macs)
{
	uint8_t a[6], b[6];

	ifname_switch_mac(a, "host", "vmmd", "lan");
	ck_assert_uint_eq(a[0] & 3, 2);	/* local, not a group's */
	ifname_switch_mac(b, "host", "vmmd", "lan");
	ck_assert_mem_eq(a, b, 6);
	ifname_switch_mac(b, "host2", "vmmd", "lan");
	ck_assert_mem_ne(a, b, 6);
	ifname_switch_mac(b, "host", "vmmd2", "lan");
	ck_assert_mem_ne(a, b, 6);
	ifname_switch_mac(b, "host", "vmmd", "dmz");
	ck_assert_mem_ne(a, b, 6);
}
END_TEST

/* Those of NICs tell all names apart, and are none of a switch's. */
START_TEST(nic_macs)
{
	uint8_t a[6], b[6];

	ifname_port_mac(a, "vmmd", "web1", 0);
	ck_assert_uint_eq(a[0], 0x0e);
	ifname_port_mac(b, "vmmd", "web1", 0);
	ck_assert_mem_eq(a, b, 6);
	ifname_port_mac(b, "vmmd", "web1", 1);
	ck_assert_mem_ne(a, b, 6);
	ifname_port_mac(b, "vmmd", "web2", 0);
	ck_assert_mem_ne(a, b, 6);
	ifname_port_mac(b, "lab", "web1", 0);
	ck_assert_mem_ne(a, b, 6);
	/* No digit moves from one name to the next. */
	ifname_port_mac(a, "vmmd", "web1", 11);
	ifname_port_mac(b, "vmmd", "web11", 1);
	ck_assert_mem_ne(a, b, 6);
	ck_assert_uint_ne(ifname_hash("vm", "a"), ifname_hash("vm", "b"));
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("ifname");

	tcase_add_test(tc, readable);
	tcase_add_test(tc, hashed);
	tcase_add_test(tc, distinct);
	tcase_add_test(tc, marks);
	tcase_add_test(tc, macs);
	tcase_add_test(tc, nic_macs);
	return test_main("ifname", tc);
}
