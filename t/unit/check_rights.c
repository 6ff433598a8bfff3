/* SPDX-License-Identifier: ISC */
/*
 * Who may do what: each verb by each kind of peer, what owners see of others,
 * and rights that come and go with the configuration.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctlrig.h"
#include "testhost.h"
#include "vmm/command_table.h"
#include "vmm/owner.h"

#define ADMINS	3000
#define OWNER	1000
#define GROUP	5000

static struct ctlrig rig;

static const char conf_text[] =
    "[daemon]\nname = lab\ngroup = 3000\nstate = /proc/none\n"
    "[vm a]\nkernel = /k\nautostart = no\nowner = 1000\n"
    "[vm b]\nkernel = /k\nautostart = no\nowner = 1001:5000\n"
    "[vm c]\nkernel = /k\nautostart = no\n";

static void
setup(void)
{
	rig_open(&rig, conf_text);
}

static void
teardown(void)
{
	rig_close(&rig);
}

static void
connect_as(uid_t uid, gid_t group)
{
	rig_disconnect(&rig);
	rig_connect(&rig, uid, group);
	rig_read(&rig);
}

/* The least that is needed for each verb. */
static const struct {
	const char	*verb;
	const char	*rest;		/* for guest a, if for one */
	const char	*other;		/* for guest b, or NULL */
	enum { ANYONE, OWNERS, ADMIN } who;
} verbs[] = {
	{ "console", " a", " b", OWNERS },
	{ "define", " n kernel=/k", NULL, ADMIN },
	{ "events", "", NULL, OWNERS },
	{ "help", "", NULL, ANYONE },
	{ "log", "", NULL, ADMIN },
	{ "nft", "", NULL, ADMIN },
	{ "pause", " a", " b", OWNERS },
	{ "pf", "", NULL, ADMIN },
	{ "reload", "", NULL, ADMIN },
	{ "reset", " a", " b", OWNERS },
	{ "resume", " a", " b", OWNERS },
	{ "set", " a memory=1G", NULL, ADMIN },
	{ "show", " a", " b", OWNERS },
	{ "start", " a", " b", OWNERS },
	{ "status", " a", " b", OWNERS },
	{ "stop", " a", " b", OWNERS },
	{ "trace", " a icmp 10.0.0.1 10.0.0.2", NULL, ADMIN },
	{ "undefine", " a", NULL, ADMIN },
	{ "wait", " a", " b", OWNERS },
};

static const char *
ask(const char *verb, const char *rest)
{
	char line[128];

	snprintf(line, sizeof(line), "%s%s", verb, rest);
	return rig_ask(&rig, line);
}

static bool
refused(const char *reply)
{
	return strncmp(reply, "err denied ", 11) == 0 ||
	    strncmp(reply, "err no-vm ", 10) == 0;
}

START_TEST(all_verbs)
{
	ck_assert_uint_eq(sizeof(verbs) / sizeof(verbs[0]), COMMAND_COUNT);
	ck_assert_str_eq(verbs[_i].verb, commands[_i].name);
}
END_TEST

START_TEST(admin_may)
{
	connect_as(0, 0);
	ck_assert(!refused(ask(verbs[_i].verb, verbs[_i].rest)));
	connect_as(7777, ADMINS);
	ck_assert(!refused(ask(verbs[_i].verb, verbs[_i].rest)));
	/* The daemon's own user. */
	connect_as(geteuid(), 0);
	ck_assert(!refused(ask(verbs[_i].verb, verbs[_i].rest)));
}
END_TEST

static void
check_denied(int i)
{
	char want[64];

	snprintf(want, sizeof(want), "err denied %s: permission denied\n",
	    verbs[i].verb);
	ck_assert_str_eq(ask(verbs[i].verb, verbs[i].rest), want);
}

START_TEST(owner_may)
{
	connect_as(OWNER, 0);
	if (verbs[_i].who == ADMIN)
		check_denied(_i);
	else
		ck_assert(!refused(ask(verbs[_i].verb, verbs[_i].rest)));
	/* Another's guest is one that is not there. */
	if (verbs[_i].other == NULL)
		return;
	connect_as(OWNER, 0);
	ck_assert_str_eq(ask(verbs[_i].verb, verbs[_i].other),
	    "err no-vm vm b: no such guest\n");
	connect_as(7777, GROUP);
	ck_assert(!refused(ask(verbs[_i].verb, verbs[_i].other)));
}
END_TEST

START_TEST(stranger_may_not)
{
	connect_as(7777, 7777);
	if (verbs[_i].who == ANYONE)
		ck_assert(!refused(ask(verbs[_i].verb, verbs[_i].rest)));
	else
		check_denied(_i);
	ck_assert_str_eq(vm_state_name(vm_entry_state(vm_table_find(
	    rig.env.guests, "a"))), "stopped");
	ck_assert_uint_eq(vm_table_running(rig.env.guests), 0);
	ck_assert_uint_eq(vm_table_count(rig.env.guests), 3);
}
END_TEST

/* Others' guests are neither in status nor in events. */
START_TEST(owner_sees_own)
{
	connect_as(1001, 0);
	rig_ask(&rig, "status");
	ck_assert_int_eq(strncmp(rig.got, "vm name=b ", 10), 0);
	ck_assert_ptr_null(strstr(rig.got, "name=a"));
	ck_assert_ptr_null(strstr(rig.got, "name=c"));
	ck_assert_ptr_null(strstr(rig.got, "daemon"));
	ck_assert_str_eq(rig_ask(&rig, "events"),
	    "event vm=b state=stopped reason=- message=\"\"\nok\n");
	ck_assert_int_eq(vm_start(vm_table_find(rig.env.guests, "a")->vm), 0);
	ck_assert_str_eq(rig_read(&rig), "");
	ck_assert_int_eq(vm_start(vm_table_find(rig.env.guests, "b")->vm), 0);
	ck_assert_str_eq(rig_read(&rig),
	    "event vm=b state=starting reason=- message=\"\"\n"
	    "event vm=b state=running reason=- message=\"\"\n");
}
END_TEST

static void
done(void *cookie, int error)
{
	(void)cookie;
	ck_assert_int_eq(error, 0);
}

static void
reload(const char *text)
{
	struct reload r = {
		.vt = rig.env.guests, .conf = &rig.conf, .done = done,
	};

	rig_put_file(rig.path, text);
	reload_file(&r, rig.path);
	rig_turn(&rig, 4);
}

/* A guest that runs changes hands at once, its console too. */
START_TEST(rights_change)
{
	connect_as(OWNER, 0);
	ck_assert_str_eq(rig_ask(&rig, "start a"), "ok\n");
	ck_assert_str_eq(rig_ask(&rig, "console a"), "ok\n");
	reload("[daemon]\nname = lab\n"
	    "[vm a]\nkernel = /k\nautostart = no\nowner = :5000\n");
	client_check_rights(rig.client);
	rig_turn(&rig, 4);
	ck_assert(rig.over);
	connect_as(OWNER, 0);
	ck_assert_str_eq(rig_ask(&rig, "stop a"),
	    "err denied stop: permission denied\n");
	connect_as(7777, GROUP);
	ck_assert_str_eq(rig_ask(&rig, "stop a"), "ok\n");
	connect_as(7777, ADMINS);
	ck_assert_str_eq(rig_ask(&rig, "log"),
	    "err denied log: permission denied\n");
}
END_TEST

/* "-" is nobody, not user or group 0 or the last of all numbers. */
START_TEST(nobody)
{
	struct peer root_group = { .uid = 7, .gid = 0 };
	struct peer last = { .uid = UINT32_MAX, .gid = UINT32_MAX };

	ck_assert(!peer_owns(&root_group, &rig.conf->vm[2]));
	ck_assert(!peer_owns(&last, &rig.conf->vm[2]));
	reload("[vm a]\nkernel = /k\nautostart = no\n");
	ck_assert(!peer_is_admin(&root_group, rig.conf));
	ck_assert(!peer_is_admin(&last, rig.conf));
	ck_assert(!peer_owns_any(&last, rig.conf));
}
END_TEST

static const struct {
	const char	*text;
	bool		 group;
	int		 ret;
	uint32_t	 uid, gid;
} owners[] = {
	{ "-", false, 0, OWNER_NONE, OWNER_NONE },
	{ "-", true, 0, OWNER_NONE, OWNER_NONE },
	{ "root", false, 0, 0, OWNER_NONE },
	{ "root", true, 0, OWNER_NONE, 0 },
	{ "root:root", false, 0, 0, 0 },
	{ ":root", false, 0, OWNER_NONE, 0 },
	{ "12:34", false, 0, 12, 34 },
	{ "4294967294", false, 0, 4294967294, OWNER_NONE },
	{ "4294967295", false, -ENOENT, 0, 0 },
	{ "4294967296", false, -ENOENT, 0, 0 },
	{ "root:", false, -EINVAL, 0, 0 },
	{ ":", false, -EINVAL, 0, 0 },
	{ "no such user", false, -ENOENT, 0, 0 },
	{ "root:no such group", false, -ENOENT, 0, 0 },
	{ "1:2", true, -ENOENT, 0, 0 },
};

START_TEST(owner_texts)
{
	struct owner o, again;
	struct buf b;

	ck_assert_int_eq(owner_parse(owners[_i].text, owners[_i].group, &o),
	    owners[_i].ret);
	if (owners[_i].ret != 0)
		return;
	ck_assert_uint_eq(o.uid, owners[_i].uid);
	ck_assert_uint_eq(o.gid, owners[_i].gid);
	buf_init(&b, 256);
	ck_assert_int_eq(owner_print(&o, owners[_i].group, &b), 0);
	buf_append(&b, "", 1);
	ck_assert_int_eq(owner_parse(buf_head(&b), owners[_i].group, &again),
	    0);
	ck_assert_mem_eq(&o, &again, sizeof(o));
	buf_free(&b);
}
END_TEST

/* What the kernel says of ourselves. */
START_TEST(real_peer)
{
	struct peer p;
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	ck_assert_int_eq(peer_read(&p, fd[0]), 0);
	ck_assert_uint_eq(p.uid, geteuid());
	ck_assert_uint_eq(p.gid, getegid());
	ck_assert_int_eq((int)p.ngroups, getgroups(0, NULL));
	peer_free(&p);
	close(fd[0]);
	close(fd[1]);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("rights");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, all_verbs, 0, COMMAND_COUNT);
	tcase_add_loop_test(tc, admin_may, 0, COMMAND_COUNT);
	tcase_add_loop_test(tc, owner_may, 0, COMMAND_COUNT);
	tcase_add_loop_test(tc, stranger_may_not, 0, COMMAND_COUNT);
	tcase_add_test(tc, owner_sees_own);
	tcase_add_test(tc, rights_change);
	tcase_add_test(tc, nobody);
	tcase_add_loop_test(tc, owner_texts, 0,
	    sizeof(owners) / sizeof(owners[0]));
	tcase_add_test(tc, real_peer);
	return test_main("rights", tc);
}
