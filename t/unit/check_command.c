/* SPDX-License-Identifier: ISC */
/*
 * The command table: each row is sound and in the manual page; requests that
 * are none of them get one error and change nothing.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctlrig.h"
#include "vmm/command_table.h"

static struct ctlrig rig;

static const char *
ask(const char *line)
{
	return rig_ask(&rig, line);
}

static void
setup(void)
{
	rig_open(&rig, "[daemon]\nname = lab\n"
	    "[vm a]\nkernel = /k\nautostart = no\n");
}

static void
teardown(void)
{
	rig_close(&rig);
}

START_TEST(rows_are_sound)
{
	const struct command *cmd;
	int i;

	for (i = 0; i < COMMAND_COUNT; i++) {
		cmd = &commands[i];
		ck_assert_ptr_nonnull(cmd->name);
		ck_assert_ptr_nonnull(cmd->args);
		ck_assert_uint_gt(strlen(cmd->usage), 0);
		ck_assert_int_eq(*cmd->args == '\0',
		    cmd->object == OBJECT_NONE);
		ck_assert_ptr_eq(command_find(cmd->name), cmd);
		if (i > 0)
			ck_assert_int_lt(strcmp(cmd[-1].name, cmd->name), 0);
	}
}
END_TEST

/* The page of the protocol as one text. */
static const char *
read_page(void)
{
	const char *top = getenv("SRCDIR");
	static char page[65536];
	char file[4096];
	FILE *f;

	snprintf(file, sizeof(file), "%s/man/vmmd-protocol.7",
	    top != NULL ? top : ".");
	f = fopen(file, "r");
	ck_assert_msg(f != NULL, "%s: %s", file, strerror(errno));
	page[fread(page, 1, sizeof(page) - 1, f)] = '\0';
	fclose(f);
	return page;
}

/* Every verb has its item, and no item is about a verb that is not there. */
START_TEST(rows_are_documented)
{
	const char *p = strstr(read_page(), "\n.Ss Verbs\n"), *end;
	char verb[32];
	int i = 0;

	ck_assert_ptr_nonnull(p);
	end = strstr(p, "\n.El\n");
	while ((p = strstr(p, "\n.It Ic ")) != NULL && p < end) {
		p += strlen("\n.It Ic ");
		snprintf(verb, sizeof(verb), "%.*s",
		    (int)strcspn(p, " \n"), p);
		ck_assert_int_lt(i, COMMAND_COUNT);
		ck_assert_str_eq(verb, commands[i].name);
		i++;
	}
	ck_assert_int_eq(i, COMMAND_COUNT);
}
END_TEST

START_TEST(help_lists_all)
{
	char want[64];
	int i;

	ask("help");
	ck_assert_int_eq(strncmp(rig.got, "vmmd 1 lab ", 11), 0);
	for (i = 0; i < COMMAND_COUNT; i++) {
		snprintf(want, sizeof(want), "\nhelp verb=%s ",
		    commands[i].name);
		ck_assert_msg(strstr(rig.got, want) != NULL, "%s", want);
	}
	ck_assert_str_eq(rig.got + strlen(rig.got) - 4, "\nok\n");
	ck_assert_str_eq(ask("help stop"), "help verb=stop "
	    "args=\"NAME [force]\" usage=\"stop a guest; ok when it has "
	    "stopped\" for=owner\nok\n");
}
END_TEST

static const struct {
	const char	*request, *reply;
} bad[] = {
	{ "", "err syntax empty request, try help\n" },
	{ "   ", "err syntax empty request, try help\n" },
	{ "frobnicate", "err unknown no command frobnicate, try help\n" },
	{ "STATUS", "err unknown no command STATUS, try help\n" },
	{ "help me", "err unknown no command me, try help\n" },
	{ "help stop it", "err syntax usage: help [VERB]\n" },
	{ "@", "err syntax a tag is @ and 1 to 32 letters, digits, `.', "
	    "`-', `_'\n" },
	{ "@ help", "err syntax a tag is @ and 1 to 32 letters, digits, "
	    "`.', `-', `_'\n" },
	{ "@a@b help", "err syntax a tag is @ and 1 to 32 letters, digits, "
	    "`.', `-', `_'\n" },
	{ "@x23456789012345678901234567890123 help", "err syntax a tag is @ "
	    "and 1 to 32 letters, digits, `.', `-', `_'\n" },
	{ "@x", "@x err syntax empty request, try help\n" },
	{ "@x @y help", "@x err unknown no command @y, try help\n" },
	{ " @x2345678901234567890123456789012 stop a",
	    "@x2345678901234567890123456789012 "
	    "err state vm a: is not running\n" },
	{ "events a", "err syntax usage: events\n" },
	{ "start", "err syntax usage: start NAME\n" },
	{ "start a b", "err syntax usage: start NAME\n" },
	{ "stop", "err syntax usage: stop NAME [force]\n" },
	{ "stop a gently", "err syntax usage: stop NAME [force]\n" },
	{ "stop a force force", "err syntax usage: stop NAME [force]\n" },
	{ "status a b", "err syntax usage: status [NAME]\n" },
	{ "define", "err syntax usage: define NAME KEY=VALUE...\n" },
	{ "define b", "err syntax usage: define NAME KEY=VALUE...\n" },
	{ "set b a=1", "err no-vm vm b: no such guest\n" },
	{ "undefine a a=1", "err syntax usage: undefine NAME\n" },
	{ "reload now", "err syntax usage: reload\n" },
	{ "show", "err syntax usage: show NAME\n" },
	{ "show b", "err no-vm vm b: no such guest\n" },
	{ "pause b", "err no-vm vm b: no such guest\n" },
	{ "log a b", "err syntax usage: log [LEVEL]\n" },
	{ "status b", "err no-vm vm b: no such guest\n" },
	{ "start b", "err no-vm vm b: no such guest\n" },
	{ "console b", "err no-vm vm b: no such guest\n" },
	{ "stop a", "err state vm a: is not running\n" },
	{ "nft all", "err syntax usage: nft\n" },
	{ "pf all", "err syntax usage: pf\n" },
	{ "trace", "err syntax usage: trace NAME PROTO SRC DST [PORT]\n" },
	{ "trace a", "err syntax usage: trace NAME PROTO SRC DST [PORT]\n" },
	{ "trace b tcp 10.0.0.1 10.0.0.2 1",
	    "err no-vm vm b: no such guest\n" },
	{ "trace a tcp 10.0.0.1 10.0.0.2", "err syntax no packet: write it as "
	    "in tcp 192.0.2.7 198.51.100.1 80, or with udp, icmp, or a "
	    "number\n" },
	{ "trace a tcp 10.0.0.1 10.0.0.2 1", "err syntax vm a: neither "
	    "address is its own, nor a port that it publishes\n" },
};

START_TEST(bad_requests)
{
	rig_read(&rig);
	ck_assert_str_eq(ask(bad[_i].request), bad[_i].reply);
	/* The connection goes on. */
	ck_assert_str_eq(ask("wait a"),
	    "event vm=a state=stopped reason=- message=\"\"\nok\n");
}
END_TEST

START_TEST(pause_and_reset)
{
	rig_read(&rig);
	ck_assert_str_eq(ask("pause a"), "err state vm a: is not running\n");
	ck_assert_str_eq(ask("resume a"), "err state vm a: is not paused\n");
	ck_assert_str_eq(ask("reset a"), "err state vm a: is not running\n");
	ck_assert_str_eq(ask("start a"), "ok\n");
	ck_assert_str_eq(ask("pause a"), "ok\n");
	ck_assert_str_eq(ask("pause a"), "ok\n");
	ck_assert_str_eq(ask("start a"), "err state vm a: is paused already\n");
	ck_assert_str_eq(ask("resume a"), "ok\n");
	ck_assert_str_eq(ask("resume a"), "err state vm a: is not paused\n");
	ck_assert_str_eq(ask("pause a"), "ok\n");
	ck_assert_str_eq(ask("reset a"), "ok\n");
	ck_assert_int_eq(vm_entry_state(vm_table_first(rig.env.guests)),
	    VM_RUNNING);
	ck_assert_str_eq(ask("stop a"), "ok\n");
}
END_TEST

START_TEST(trace)
{
	rig_put_file(rig.path, "[switch lan]\naddress = 10.0.0.1/24\n"
	    "[vm a]\nkernel = /k\nautostart = no\n"
	    "nic = lan,address=10.0.0.7,allow-in=ping\n");
	rig_read(&rig);
	ask("reload");
	ck_assert_str_eq(ask("trace a icmp 198.51.100.1 10.0.0.7"),
	    "trace line=\"to vm a nic 0, routed\"\n"
	    "trace line=\"spoof: it has no address of a guest\"\n"
	    "trace line=\"vm a nic 0: in: pass inet icmp type 8\"\n"
	    "trace line=passes\nok\n");
	ck_assert_str_eq(ask("@t trace a icmp 198.51.100.1 10.0.0.7 13"),
	    "@t trace line=\"to vm a nic 0, routed\"\n"
	    "@t trace line=\"spoof: it has no address of a guest\"\n"
	    "@t trace line=\"vm a nic 0: in: block\"\n"
	    "@t trace line=blocked\n@t ok\n");
}
END_TEST

START_TEST(log_level)
{
	rig_read(&rig);
	ck_assert_str_eq(ask("log"), "log level=error\nok\n");
	ck_assert_str_eq(ask("log debug"), "log level=debug\nok\n");
	ck_assert_int_eq(log_get_level(), LOG_LEVEL_DEBUG);
	ck_assert_str_eq(ask("log loud"), "err syntax no level loud, write "
	    "error, warn, info or debug\n");
	ck_assert_str_eq(ask("log"), "log level=debug\nok\n");
	ck_assert_str_eq(ask("log error"), "log level=error\nok\n");
}
END_TEST

START_TEST(reload_and_show)
{
	rig_read(&rig);
	ck_assert_str_eq(ask("start a"), "ok\n");
	rig_put_file(rig.path, "[daemon]\nname = other\n"
	    "[vm a]\nkernel = /k\nautostart = yes\nmemory = 1G\n"
	    "[vm b]\nkernel = /k\nautostart = no\n");
	ck_assert_str_eq(ask("reload"),
	    "change what=\"restart required\" keys=\"name lab -> other; "
	    "socket /run/lab.sock -> /run/other.sock\"\n"
	    "change vm=a what=changed keys=\"autostart no -> yes\"\n"
	    "change vm=a what=pending keys=\"memory 512M -> 1G\"\n"
	    "change vm=b what=added\nok\n");
	ask("show a");
	ck_assert_int_eq(strncmp(rig.got, "vm name=a state=running ", 24), 0);
	ck_assert_ptr_nonnull(strstr(rig.got, "\nexits kicks=0 ports=4 "
	    "memory=0 msrs=0 windows=0 interrupt-ends=0 "
	    "halts=0 triple-faults=0 errors=0 inside=3\n"));
	ck_assert_ptr_nonnull(strstr(rig.got,
	    "\nconfig key=autostart value=yes\n"));
	ck_assert_ptr_nonnull(strstr(rig.got,
	    "\nconfig key=memory value=512M next=1G\n"));
	ck_assert_ptr_nonnull(strstr(rig.got, "\nconfig key=disk value=-\n"));
	rig_put_file(rig.path, "[daemon]\nname = lab\n[vm b]\nkernel = /k\n"
	    "autostart = no\nmemory = 1G\n");
	ck_assert_str_eq(ask("reload"),
	    "change vm=a what=removed\n"
	    "change vm=b what=changed keys=\"memory 512M -> 1G\"\nok\n");
}
END_TEST

static const char nic_row[] = "\nnic id=0 switch=lan "
    "tap=vmmd-a.0 lladdr=0e:01:02:03:04:05 address=192.0.2.7/24 "
    "link=up in-packets=11 in-bytes=1100 in-lost=1 in-waits=0 "
    "in-answered=0 out-packets=22 out-bytes=2200 out-lost=0 "
    "out-waits=2 out-answered=0\n";

/* Switches are told of, and what becomes of a NIC, at once or later. */
START_TEST(nics)
{
	rig_read(&rig);
	rig_put_file(rig.path, "[daemon]\nname = lab\n"
	    "[switch lan]\naddress = 192.0.2.1/24\n[switch old]\n"
	    "[vm a]\nkernel = /k\nautostart = no\nnic = lan\n");
	ck_assert_str_eq(ask("reload"), "change switch=lan what=added\n"
	    "change switch=old what=added\n"
	    "change vm=a what=changed keys=\"nic - -> lan\"\nok\n");
	ck_assert_ptr_null(strstr(ask("show a"), "\nnic "));
	ck_assert_str_eq(ask("start a"), "ok\n");
	ck_assert_ptr_nonnull(strstr(ask("show a"), nic_row));
	ck_assert_ptr_nonnull(strstr(ask("status a"), nic_row));
	ck_assert_ptr_null(strstr(ask("status"), "\nnic "));
	rig_put_file(rig.path, "[daemon]\nname = lab\n"
	    "[switch lan]\naddress = 192.0.2.1/24\nisolate = yes\n"
	    "[vm a]\nkernel = /k\nautostart = no\nnic = lan,link=down\n");
	ck_assert_str_eq(ask("reload"), "change switch=old what=removed\n"
	    "change switch=lan what=changed keys=\"isolate no -> yes\"\n"
	    "change vm=a what=changed keys=\"nic lan -> lan,link=down\"\n"
	    "ok\n");
	rig_put_file(rig.path, "[daemon]\nname = lab\n[switch lan]\n"
	    "address = 192.0.2.1/24\nisolate = yes\n[vm a]\nkernel = /k\n"
	    "autostart = no\nnic = lan,link=down\nnic = lan\n");
	ck_assert_str_eq(ask("reload"), "change vm=a what=pending "
	    "keys=\"nic lan,link=down -> lan,link=down, lan\"\nok\n");
	ck_assert_ptr_nonnull(strstr(ask("show a"), "\nconfig key=nic "
	    "value=lan,link=down next=\"lan,link=down, lan\"\n"));
}
END_TEST

START_TEST(bad_reload)
{
	char want[512];

	rig_read(&rig);
	/* Errors go to the log, too; these are expected. */
	close(STDERR_FILENO);
	rig_put_file(rig.path, "[vm a]\nmemory = 1\nfoo = 3\n");
	snprintf(want, sizeof(want),
	    "error message=\"%s:1: [vm a]: no kernel, add kernel = "
	    "/path/of/bzImage\"\n"
	    "error message=\"%s:2: memory: `1' is out of range, write 16M to "
	    "128G\"\n"
	    "error message=\"%s:3: unknown key `foo' in [vm], see "
	    "vmmd.conf(5)\"\n"
	    "err invalid %s: not reloaded, nothing changed\n", rig.path,
	    rig.path, rig.path, rig.path);
	ck_assert_str_eq(ask("reload"), want);
	ck_assert_uint_eq(vm_table_count(rig.env.guests), 1);
}
END_TEST

/* Reads all that is there: how much, and how it ends. */
static size_t
drain(const char *end)
{
	size_t all = 0, n;

	do {
		n = strlen(rig_read(&rig));
		all += n;
		if (n >= strlen(end) && all > sizeof(rig.got) &&
		    strcmp(rig.got + n - strlen(end), end) == 0)
			return all;
	} while (n > 0);
	return all;
}

/* More than may wait for a client otherwise, whose limit is what it was then. */
START_TEST(long_reply)
{
	const struct vm_entry *first = vm_table_first(rig.env.guests);
	struct vm_entry *e = vm_table_find(rig.env.guests,
	    vm_entry_name(first));
	struct buf rows;
	size_t len;
	int i;

	rig_read(&rig);
	buf_init(&rows, CLIENT_REPLY_MAX);
	for (i = 0; i < 30000; i++)
		ck_assert_int_eq(buf_printf(&rows, "row text=\"%07d and "
		    "more\"\n", i), 0);
	len = rows.len;
	ck_assert_uint_gt(len, 3 * CLIENT_OUTPUT_MAX);
	command_reply(rig.client, &rows, 0);
	ck_assert(!rig.over);
	ck_assert_uint_eq(drain("\nok\n"), len + 3);

	ask("events");
	buf_init(&rows, PROTO_ROW_MAX);
	ck_assert_int_eq(buf_printf(&rows, "event %01000d\n", 0), 0);
	for (i = 0; i < CLIENT_OUTPUT_MAX / 1000; i++)
		client_guest_changed(rig.client, e, &rows);
	buf_free(&rows);
	rig_turn(&rig, 1);
	ck_assert(rig.over);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("command");
	TCase *tc = tcase_create("command");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, rows_are_sound);
	tcase_add_test(tc, rows_are_documented);
	tcase_add_test(tc, help_lists_all);
	tcase_add_loop_test(tc, bad_requests, 0,
	    sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tc, pause_and_reset);
	tcase_add_test(tc, trace);
	tcase_add_test(tc, log_level);
	tcase_add_test(tc, reload_and_show);
	tcase_add_test(tc, nics);
	tcase_add_test(tc, bad_reload);
	tcase_add_test(tc, long_reply);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
