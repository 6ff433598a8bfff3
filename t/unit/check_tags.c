/* SPDX-License-Identifier: ISC */
/*
 * Requests with a tag: they wait beside each other, each is answered in its
 * own name, and there is an end to how many wait.
 */
#include <check.h>
#include <stdio.h>

#include "ctlrig.h"
#include "testhost.h"

static struct ctlrig rig;

static void
setup(void)
{
	rig_open(&rig, "[daemon]\nname = lab\n"
	    "[vm a]\nkernel = /k\nautostart = no\n"
	    "[vm slow]\nkernel = /slow\nautostart = no\n"
	    "[vm fail]\nkernel = /fail\nautostart = no\n");
	rig_read(&rig);
}

static void
teardown(void)
{
	rig_close(&rig);
}

static const char *
ask(const char *line)
{
	return rig_ask(&rig, line);
}

static struct vm *
slow(void)
{
	return vm_table_find(rig.env.guests, "slow")->vm;
}

/* Those with a tag are answered as it comes, each in its own name. */
START_TEST(tagged)
{
	ck_assert_str_eq(ask("@1 start slow\n@2 wait slow\n@3 wait a\n"
	    "@h help wait"),
	    "@3 event vm=a state=stopped reason=- message=\"\"\n@3 ok\n"
	    "@h help verb=wait args=NAME usage=\"wait until a guest has "
	    "stopped and say why\" for=owner\n@h ok\n");
	/* A tag is taken until it is answered. */
	ck_assert_str_eq(ask("@2 status a"),
	    "err syntax tag 2 is that of a request that waits\n");
	fake_vm_runs(slow());
	ck_assert_str_eq(rig_read(&rig), "@1 ok\n");
	ck_assert_str_eq(ask("@1 stop slow"),
	    "@2 event vm=slow state=stopped reason=stop message=\"\"\n"
	    "@2 ok\n@1 ok\n");
}
END_TEST

/* One without a tag holds up all that come after it. */
START_TEST(untagged_holds)
{
	ck_assert_str_eq(ask("@1 start slow\nwait slow\n@2 wait a"), "");
	fake_vm_runs(slow());
	ck_assert_str_eq(rig_read(&rig), "@1 ok\n");
	fake_vm_ends(slow(), VM_REASON_RESET, "");
	ck_assert_str_eq(rig_read(&rig),
	    "event vm=slow state=stopped reason=reset message=\"\"\nok\n"
	    "@2 event vm=a state=stopped reason=- message=\"\"\n@2 ok\n");
}
END_TEST

START_TEST(events)
{
	ck_assert_str_eq(ask("@ev events\n@s start fail"),
	    "@ev event vm=a state=stopped reason=- message=\"\"\n"
	    "@ev event vm=slow state=stopped reason=- message=\"\"\n"
	    "@ev event vm=fail state=stopped reason=- message=\"\"\n"
	    "@ev ok\n"
	    "@ev event vm=fail state=starting reason=- message=\"\"\n"
	    "@ev event vm=fail state=stopped reason=error "
	    "message=\"kernel /fail: \\\"no\\\" file\"\n"
	    "@s err failed vm fail: not started: kernel /fail: "
	    "\"no\" file\n");
}
END_TEST

START_TEST(without_end)
{
	char line[128], *p = rig.got;
	int i, n;

	ask("@s start slow");
	fake_vm_runs(slow());
	ck_assert_str_eq(rig_read(&rig), "@s ok\n");
	for (i = 0; i < CLIENT_WAITS_MAX; i++) {
		snprintf(line, sizeof(line), "@%d wait slow", i);
		ck_assert_str_eq(ask(line), "");
	}
	ck_assert_str_eq(ask("@64 wait slow"),
	    "@64 err busy 64 requests wait already\n");
	fake_vm_ends(slow(), VM_REASON_RESET, "");
	rig_read(&rig);
	for (i = 0; i < CLIENT_WAITS_MAX; i++, p += n) {
		n = snprintf(line, sizeof(line), "@%d event vm=slow "
		    "state=stopped reason=reset message=\"\"\n@%d ok\n", i, i);
		ck_assert_int_eq(strncmp(p, line, n), 0);
	}
	ck_assert_str_eq(p, "");
}
END_TEST

/* A console is all that is left of its connection. */
START_TEST(console)
{
	ck_assert_str_eq(ask("@1 start slow\n@2 console slow"), "@2 ok\n");
	fake_vm_runs(slow());
	ck_assert_str_eq(rig_read(&rig), "");
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("tags");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, tagged);
	tcase_add_test(tc, untagged_holds);
	tcase_add_test(tc, events);
	tcase_add_test(tc, without_end);
	tcase_add_test(tc, console);
	return test_main("tags", tc);
}
