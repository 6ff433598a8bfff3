/* SPDX-License-Identifier: ISC */
/*
 * The evaluator of bridge(4)'s rules: its grammar, one wrong line for each way
 * to break it, and what frames meet.
 */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "../pf/pfe.h"

static const struct {
	const char	*line;
	const char	*error;
} wrong[] = {
	{ "brconfig bridge0 rule pass in on tap0", "1: expected \"ifconfig\"" },
	{ "ifconfig", "1: the line ends, expected \"a bridge\"" },
	{ "ifconfig a_bridge_with_a_long_name rule pass in on tap0",
	  "1: too long: \"a_bridge_with_a_long_name\"" },
	{ "ifconfig bridge0 pass in on tap0",
	  "1: expected \"rule, blocknonip or flushrule\"" },
	{ "ifconfig bridge0 blocknonip",
	  "1: the line ends, expected \"a member\"" },
	{ "ifconfig bridge0 flushrule tap0 tap1", "1: unexpected \"tap1\"" },
	{ "ifconfig bridge0 rule drop in on tap0",
	  "1: expected \"block or pass\"" },
	{ "ifconfig bridge0 rule pass tap0", "1: expected \"in, out or on\"" },
	{ "ifconfig bridge0 rule pass in tap0", "1: expected \"on\"" },
	{ "ifconfig bridge0 rule pass in on",
	  "1: the line ends, expected \"a member\"" },
	{ "ifconfig bridge0 rule pass in on tap0 quick",
	  "1: unexpected \"quick\"" },
	{ "ifconfig bridge0 rule pass in on tap0 src",
	  "1: the line ends, expected \"a MAC address\"" },
	{ "ifconfig bridge0 rule pass in on tap0 src 0:1:2:3:4",
	  "1: no MAC address: \"0:1:2:3:4\"" },
	{ "ifconfig bridge0 rule pass in on tap0 src 0:1:2:3:4:5:6",
	  "1: no MAC address: \"0:1:2:3:4:5:6\"" },
	{ "ifconfig bridge0 rule pass in on tap0 dst x",
	  "1: no MAC address: \"x\"" },
	{ "ifconfig bridge0 rule pass in on tap0 src 0:1:2:3:4:5 src 0:1:2:3:4:5",
	  "1: given twice: \"src\"" },
	{ "ifconfig bridge0 rule pass in on tap0 tag",
	  "1: the line ends, expected \"a tag\"" },
	{ "ifconfig bridge0 rule pass in on tap0 tag A tag B",
	  "1: given twice: \"tag\"" },
	{ "ifconfig bridge0 rule pass in on tap0 spa 10.0.0.1",
	  "1: unexpected \"spa\"" },
	{ "ifconfig bridge0 rule pass in on tap0 arp rarp",
	  "1: unexpected \"rarp\"" },
	{ "ifconfig bridge0 rule pass in on tap0 arp request reply",
	  "1: given twice: \"request or reply\"" },
	{ "ifconfig bridge0 rule pass in on tap0 arp spa 10.0.0",
	  "1: no IPv4 address: \"10.0.0\"" },
	{ "ifconfig bridge0 rule pass in on tap0 arp spa fd00::1",
	  "1: no IPv4 address: \"fd00::1\"" },
	{ "ifconfig bridge0 rule pass in on tap0 arp tpa",
	  "1: the line ends, expected \"an IPv4 address\"" },
	{ "# no rule\n\nifconfig bridge0 rule pass up on tap0",
	  "3: expected \"in, out or on\"" },
};

START_TEST(what_is_refused)
{
	struct pfe_bridge *b = pfe_bridge_create();
	char err[256];

	ck_assert_int_eq(pfe_bridge_load(b, wrong[_i].line, err, sizeof(err)),
	    -EINVAL);
	ck_assert_str_eq(err, wrong[_i].error);
	pfe_bridge_destroy(b);
}
END_TEST

static const char rules[] =
    "# the guest's lock\n"
    "ifconfig bridge0 rule pass in on tap0 src 2:0:0:0:0:1 arp sha "
    "2:0:0:0:0:1 spa 10.0.0.2\n"
    "\n"
    "ifconfig bridge0 rule block in on tap0 arp\n"
    "ifconfig bridge0 rule block in on tap0 rarp request\n"
    "ifconfig bridge0 rule pass in on tap0 src 02:00:00:00:00:01 tag LOCKED\n"
    "ifconfig bridge0 rule block in on tap0\n"
    "ifconfig bridge0 rule pass out on tap1 dst 2:0:0:0:0:2\n"
    "ifconfig bridge0 rule block out on tap1 arp reply tha 2:0:0:0:0:9 tpa "
    "10.0.0.9\n"
    "ifconfig bridge0 rule block on tap2 src 2:0:0:0:0:3\n"
    "ifconfig bridge0 blocknonip tap2\n"
    "ifconfig bridge0 rule block in on tap3\n"
    "ifconfig bridge0 flushrule tap3\n"
    "ifconfig bridge1 rule block in/out on tap0\n";

static bool
run(const char *bridge, const char *member, enum pfe_dir dir,
    const struct pfe_frame *f, char tag[64])
{
	struct pfe_bridge *b = pfe_bridge_create();
	char err[256] = "";
	bool pass;

	ck_assert_msg(pfe_bridge_load(b, rules, err, sizeof(err)) == 0, "%s",
	    err);
	tag[0] = '\0';
	pass = pfe_bridge_run(b, bridge, member, dir, f, tag);
	pfe_bridge_destroy(b);
	return pass;
}

START_TEST(sources)
{
	struct pfe_frame f = { .src = { 2, 0, 0, 0, 0, 1 },
	    .ethertype = 0x0800 };
	char tag[64];

	ck_assert(run("bridge0", "tap0", PFE_IN, &f, tag));
	ck_assert_str_eq(tag, "LOCKED");
	ck_assert(!run("bridge1", "tap0", PFE_IN, &f, tag));
	ck_assert(!run("bridge1", "tap0", PFE_OUT, &f, tag));
	f.src[5] = 9;
	ck_assert(!run("bridge0", "tap0", PFE_IN, &f, tag));
	ck_assert(run("bridge0", "tap0", PFE_OUT, &f, tag));
	ck_assert(run("bridge0", "tap3", PFE_IN, &f, tag));
	f.src[5] = 3;
	ck_assert(!run("bridge0", "tap2", PFE_IN, &f, tag));
	ck_assert(!run("bridge0", "tap2", PFE_OUT, &f, tag));
	f.src[5] = 4;
	ck_assert(run("bridge0", "tap2", PFE_OUT, &f, tag));
	f.ethertype = 0x8100;
	ck_assert(!run("bridge0", "tap2", PFE_OUT, &f, tag));
	ck_assert(run("bridge0", "tap3", PFE_OUT, &f, tag));
}
END_TEST

START_TEST(arp)
{
	struct pfe_frame f = { .src = { 2, 0, 0, 0, 0, 1 },
	    .ethertype = 0x0806, .op = 1, .sha = { 2, 0, 0, 0, 0, 1 },
	    .spa = { 10, 0, 0, 2 } };
	char tag[64];

	ck_assert(run("bridge0", "tap0", PFE_IN, &f, tag));
	ck_assert_str_eq(tag, "");
	f.spa[3] = 3;
	ck_assert(!run("bridge0", "tap0", PFE_IN, &f, tag));
	f.spa[3] = 2;
	f.sha[5] = 2;
	ck_assert(!run("bridge0", "tap0", PFE_IN, &f, tag));
	f.ethertype = 0x8035;
	f.op = 3;
	ck_assert(!run("bridge0", "tap0", PFE_IN, &f, tag));
	f.op = 4;
	ck_assert(run("bridge0", "tap0", PFE_IN, &f, tag));
}
END_TEST

START_TEST(first_match)
{
	struct pfe_frame f = { .dst = { 2, 0, 0, 0, 0, 2 },
	    .ethertype = 0x0806, .op = 2, .tha = { 2, 0, 0, 0, 0, 9 },
	    .tpa = { 10, 0, 0, 9 } };
	char tag[64];

	ck_assert(run("bridge0", "tap1", PFE_OUT, &f, tag));
	f.dst[5] = 9;
	ck_assert(!run("bridge0", "tap1", PFE_OUT, &f, tag));
	f.tpa[0] = 11;
	ck_assert(run("bridge0", "tap1", PFE_OUT, &f, tag));
	f.tpa[0] = 10;
	f.op = 1;
	ck_assert(run("bridge0", "tap1", PFE_OUT, &f, tag));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("pfe_bridge");
	SRunner *sr = srunner_create(s);
	TCase *tc = tcase_create("pfe_bridge");
	int failed;

	tcase_add_loop_test(tc, what_is_refused, 0,
	    sizeof(wrong) / sizeof(wrong[0]));
	tcase_add_test(tc, sources);
	tcase_add_test(tc, arp);
	tcase_add_test(tc, first_match);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
