/* SPDX-License-Identifier: ISC */
/*
 * The firewall's rules as nftables' text: golden files, in t/unit/fw; what it
 * cannot say; and that guests add chains, but nothing to what all packets pass.
 */
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "fwrig.h"
#include "testhost.h"

#define TEXT_MAX	(4 << 20)
#define MANY		500

static struct house	 h;
static struct fw_rules	 r;
static struct buf	 text;
static char		 why[256];

/* Where the golden files are: beside this source, whatever the build does. */
static void
enter(void)
{
	const char *top = getenv("srcdir");
	char dir[512];

	snprintf(dir, sizeof(dir), "%s/t/unit/fw", top != NULL ? top : ".");
	ck_assert_msg(chdir(dir) == 0, "%s: %s", dir, strerror(errno));
}

static void
setup(void)
{
	enter();
	house_make(&h);
	memset(&r, 0, sizeof(r));
	buf_init(&text, TEXT_MAX);
}

static void
teardown(void)
{
	fw_rules_free(&r);
	buf_free(&text);
}

static int
write_text(void)
{
	int error;

	fw_rules_free(&r);
	ck_assert_int_eq(fw_build(&h.p, &r, why, sizeof(why)), 0);
	buf_free(&text);
	error = fw_nft_write(&h.p, &r, &text, why, sizeof(why));
	if (error == 0)
		ck_assert_int_eq(buf_append(&text, "", 1), 0);
	return error;
}

static void
compare(const char *path)
{
	char want[65536];
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	n = fread(want, 1, sizeof(want) - 1, f);
	want[n] = '\0';
	fclose(f);
	ck_assert_str_eq(buf_head(&text), want);
}

START_TEST(golden)
{
	ck_assert_int_eq(write_text(), 0);
	compare("house.nft");
}
END_TEST

START_TEST(golden_named)
{
	snprintf(h.p.daemon, sizeof(h.p.daemon), "lab");
	h.p.nic = &h.nic[ISO1];
	h.p.nnics = 1;
	ck_assert_int_eq(write_text(), 0);
	compare("named.nft");
}
END_TEST

/* Nothing is left of what was loaded before. */
START_TEST(golden_none)
{
	h.p.nnics = 0;
	ck_assert_int_eq(write_text(), 0);
	compare("none.nft");
}
END_TEST

START_TEST(refused)
{
	memcpy(h.nic[FREE].mac, h.nic[WEB].mac, 6);
	ck_assert_int_eq(write_text(), -EOPNOTSUPP);
	ck_assert_str_eq(why, "vm free: nic 0: vm web nic 0 has the same "
	    "lladdr, by which nftables must tell them apart");
	house_make(&h);
	h.nic_addrs[ISO1][1] = h.nic_addrs[DB][1];
	ck_assert_int_eq(write_text(), -EOPNOTSUPP);
	ck_assert_str_eq(why, "vm iso1: nic 0: vm db nic 0 has the same "
	    "address, by which nftables must tell them apart");
	house_make(&h);
	snprintf(h.sw[DMZ].nat_iface, IFNAME_SIZE, "eth*");
	ck_assert_int_eq(write_text(), -EOPNOTSUPP);
	ck_assert_str_eq(why, "switch dmz: the name of an interface that "
	    "nftables cannot be told");
	house_make(&h);
	snprintf(h.sw[LAN].iface, IFNAME_SIZE, "a\"b");
	ck_assert_int_eq(write_text(), -EOPNOTSUPP);
}
END_TEST

/* A locked NIC's IPv6 addresses are in one line, which has an end. */
START_TEST(refused_addresses)
{
	struct os_addr many[32];
	unsigned i;

	for (i = 0; i < 32; i++) {
		many[i] = addr("fd00:1::100");
		many[i].bytes[15] = (uint8_t)i;
	}
	h.nic[WEB].addrs = many;
	h.nic[WEB].naddrs = 16;
	ck_assert_int_eq(write_text(), 0);
	h.nic[WEB].naddrs = 32;
	ck_assert_int_eq(write_text(), -EOPNOTSUPP);
	ck_assert_str_eq(why, "vm web: nic 0: too many IPv6 addresses for "
	    "nftables");
}
END_TEST

START_TEST(no_room)
{
	size_t limit;

	ck_assert_int_eq(write_text(), 0);
	for (limit = 0; limit < text.len - 1; limit += 97) {
		struct buf small;

		buf_init(&small, limit);
		ck_assert_int_eq(fw_nft_write(&h.p, &r, &small, why,
		    sizeof(why)), -ENOBUFS);
		buf_free(&small);
	}
}
END_TEST

/* Lines of the chains that have a hook, and of those that all go on to. */
static size_t
common_lines(void)
{
	bool common = false;
	const char *p, *next;
	size_t n = 0;

	for (p = buf_head(&text); *p != '\0'; p = next) {
		next = p + strcspn(p, "\n") + 1;
		if (strncmp(p, "\tchain ", 7) == 0)
			common = strcspn(p, "-") > (size_t)(next - p);
		else if (strncmp(p, "\t}", 2) == 0)
			common = false;
		n += common;
	}
	return n;
}

static struct fw_nic	 nics[FW_NICS_MAX];
static struct os_addr	 addrs[FW_NICS_MAX][2];

/* As many as web, but for what tells them apart. */
static void
make_nics(unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		nics[i] = h.nic[WEB];
		snprintf(nics[i].guest, sizeof(nics[i].guest), "g%u", i);
		snprintf(nics[i].tap, sizeof(nics[i].tap), "g%u.0", i);
		nics[i].mac[3] = (uint8_t)(i >> 8);
		nics[i].mac[4] = (uint8_t)i;
		addrs[i][0] = addr("10.9.0.0");
		addrs[i][1] = addr("fd00:9::");
		addrs[i][0].bytes[2] = addrs[i][1].bytes[14] = (uint8_t)(i >> 8);
		addrs[i][0].bytes[3] = addrs[i][1].bytes[15] = (uint8_t)i;
		nics[i].addrs = addrs[i];
	}
	h.p.nic = nics;
	h.p.nnics = n;
}

START_TEST(many)
{
	size_t few;

	make_nics(1);
	ck_assert_int_eq(write_text(), 0);
	few = common_lines();
	ck_assert_uint_gt(few, 40);
	make_nics(MANY);
	ck_assert_int_eq(write_text(), 0);
	ck_assert_uint_eq(common_lines(), few);
}
END_TEST

static double
cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Nothing is looked for once a NIC among all that there is. */
START_TEST(most)
{
	double seconds;

	make_nics(FW_NICS_MAX);
	ck_assert_int_eq(fw_build(&h.p, &r, why, sizeof(why)), 0);
	buf_init(&text, 64 << 20);
	seconds = cpu_seconds();
	ck_assert_int_eq(fw_nft_write(&h.p, &r, &text, why, sizeof(why)), 0);
	seconds = cpu_seconds() - seconds;
	printf("# %u NICs, %zu rules: %.2f s\n", FW_NICS_MAX, r.n, seconds);
	ck_assert(seconds < 4);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("fw_nft");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, golden);
	tcase_add_test(tc, golden_named);
	tcase_add_test(tc, golden_none);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, refused_addresses);
	tcase_add_test(tc, no_room);
	tcase_add_test(tc, many);
	tcase_add_test(tc, most);
	return test_main("fw_nft", tc);
}
