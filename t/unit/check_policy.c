/* SPDX-License-Identifier: ISC */
/*
 * The firewall's policy as a configuration states it: the rules for the worked
 * examples of vmmd.conf(5), a golden file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "testhost.h"
#include "vmm/policy.h"

static struct buf	 text;
static struct config	*conf;
static struct policy	*policy;
static struct fw_rules	 rules;

static void
setup(void)
{
	const char *dir = getenv("srcdir") != NULL ? getenv("srcdir") : ".";
	char path[256], why[256];

	snprintf(path, sizeof(path), "%s/t/unit/config", dir);
	ck_assert_int_eq(chdir(path), 0);
	buf_init(&text, 64 << 10);
	conf = config_read("fw.conf", &text);
	ck_assert_msg(conf != NULL, "%s", buf_head(&text));
	ck_assert_int_eq(policy_make(&policy, conf, NULL), 0);
	ck_assert_int_eq(fw_build(policy_fw(policy), &rules, why,
	    sizeof(why)), 0);
}

static void
teardown(void)
{
	fw_rules_free(&rules);
	policy_free(policy);
	config_free(conf);
	buf_free(&text);
}

START_TEST(golden)
{
	static char want[64 << 10];
	FILE *f = fopen("fw.rules", "r");
	size_t i;

	ck_assert_ptr_nonnull(f);
	want[fread(want, 1, sizeof(want) - 1, f)] = '\0';
	fclose(f);
	for (i = 0; i < rules.n; i++) {
		ck_assert_int_eq(fw_rule_print(policy_fw(policy), &rules,
		    &rules.v[i], &text), 0);
		ck_assert_int_eq(buf_append(&text, "\n", 1), 0);
	}
	ck_assert_int_eq(buf_append(&text, "", 1), 0);
	ck_assert_str_eq(buf_head(&text), want);
}
END_TEST

START_TEST(interfaces)
{
	const struct fw_policy *p = policy_fw(policy);
	const struct fw_nic *web = &p->nic[0], *open = &p->nic[p->nnics - 1];

	ck_assert_str_eq(p->daemon, "vmmd");
	ck_assert_str_eq(p->sw[0].iface, "vmmd-lan");
	ck_assert(!p->sw[0].shared && p->sw[2].shared);
	ck_assert_str_eq(p->sw[2].uplink, "enp3s0");
	ck_assert_int_eq(p->sw[0].nat, FW_NAT_AUTO);
	ck_assert_int_eq(p->sw[1].nat, FW_NAT_NO);
	ck_assert_int_eq(p->sw[2].nat, FW_NAT_NO);
	ck_assert_int_eq(p->sw[3].nat, FW_NAT_IFACE);
	ck_assert_str_eq(p->sw[3].nat_iface, "ppp0");
	ck_assert_str_eq(web->tap, "vmmd-web1.0");
	ck_assert(web->locked && !open->locked);
	/* By DHCP and by advertisement. */
	ck_assert_uint_eq(web->naddrs, 2);
	ck_assert_uint_eq(web->addrs[0].bytes[0], 10);
	ck_assert_uint_eq(web->addrs[1].bytes[0], 0xfd);
	ck_assert_mem_eq(&web->addrs[1].bytes[13], &web->mac[3], 3);
	/* Given as well. */
	ck_assert_uint_eq(open->naddrs, 3);
	ck_assert_uint_eq(open->addrs[1].bytes[15], 7);
}
END_TEST

/* Puts what the manual has as examples, but that of pf.conf(5), into a file. */
static unsigned
examples(FILE *to)
{
	FILE *f = fopen("../../../man/vmmd.conf.5", "r");
	bool there = false, literal = false;
	unsigned guests = 0;
	char line[256];

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f) != NULL &&
	    strncmp(line, "set skip", 8) != 0) {
		if (strcmp(line, ".Ss Examples of the firewall\n") == 0)
			there = true;
		else if (strncmp(line, ".Bd -literal", 12) == 0)
			literal = there;
		else if (strcmp(line, ".Ed\n") == 0)
			literal = false;
		else if (literal)
			fputs(line, to);
		guests += literal && strncmp(line, "[vm ", 4) == 0;
	}
	fclose(f);
	return guests;
}

/* Whoever copies them gets what is said there. */
START_TEST(manual)
{
	char path[] = "/tmp/check_policy.XXXXXX", why[256];
	int fd = mkstemp(path);
	struct fw_rules r;
	struct policy *p;
	struct config *c;
	FILE *f;

	ck_assert_int_ge(fd, 0);
	f = fdopen(fd, "w");
	ck_assert_uint_eq(examples(f), 4);
	fclose(f);
	c = config_read(path, &text);
	unlink(path);
	ck_assert_msg(c != NULL, "%s", buf_head(&text));
	ck_assert_int_eq(policy_make(&p, c, NULL), 0);
	ck_assert_int_eq(fw_build(policy_fw(p), &r, why, sizeof(why)), 0);
	fw_rules_free(&r);
	policy_free(p);
	config_free(c);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("policy");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, golden);
	tcase_add_test(tc, interfaces);
	tcase_add_test(tc, manual);
	return test_main("policy", tc);
}
