/* SPDX-License-Identifier: ISC */
/*
 * The command table: each row is sound and in the manual page; requests that
 * are none of them get one error and change nothing; privilege is asked for.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "fakevm.h"
#include "vmm/client.h"
#include "vmm/command.h"
#include "vmm/command_table.h"
#include "vmm/config.h"
#include "vmm/control.h"
#include "vmm/vm_table.h"

static struct loop *loop;
static struct control_env env;
static struct client *client;
static int peer;
static char got[65536];
static const struct hv_ops fake_hv = { .name = "fake" };

static void
nobody(void *cookie, struct vm_entry *e)
{
	(void)cookie;
	(void)e;
}

static void
ended(void *cookie, struct client *c)
{
	(void)cookie;
	(void)c;
}

static void
turn(int n)
{
	while (n-- > 0)
		ev_run(loop_ev(loop), EVRUN_NOWAIT);
}

static void
connect_as(bool admin)
{
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fd), 0);
	client = client_create(&env, fd[0], admin, ended, NULL);
	ck_assert_ptr_nonnull(client);
	peer = fd[1];
}

static void
setup(void)
{
	char name[] = "a", kernel[] = "/k", cmdline[] = "";
	struct vm_config conf = {
		.name = name, .kernel = kernel, .cmdline = cmdline,
	};

	loop = loop_create();
	env = (struct control_env){ .loop = loop, .name = "lab",
	    .backend = "fake" };
	env.guests = vm_table_create(loop, NULL, &fake_hv, nobody, NULL);
	ck_assert_int_eq(vm_table_add(env.guests, &conf), 0);
	turn(2);
	connect_as(true);
}

static void
teardown(void)
{
	client_destroy(client);
	close(peer);
	vm_table_stop_all(env.guests, true);
	turn(4);
	vm_table_destroy(env.guests);
	loop_destroy(loop);
}

/* Sends one request and returns all that came since the last one. */
static const char *
ask(const char *line)
{
	ssize_t n;

	ck_assert_int_eq(write(peer, line, strlen(line)), strlen(line));
	ck_assert_int_eq(write(peer, "\n", 1), 1);
	turn(6);
	n = read(peer, got, sizeof(got) - 1);
	got[n < 0 ? 0 : n] = '\0';
	return got;
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
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/man/vmmd-protocol.7",
	    top != NULL ? top : ".");
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
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
	ck_assert_int_eq(strncmp(got, "vmmd 1 lab ", 11), 0);
	for (i = 0; i < COMMAND_COUNT; i++) {
		snprintf(want, sizeof(want), "\nhelp verb=%s ",
		    commands[i].name);
		ck_assert_msg(strstr(got, want) != NULL, "%s", want);
	}
	ck_assert_str_eq(got + strlen(got) - 4, "\nok\n");
	ck_assert_str_eq(ask("help stop"), "help verb=stop "
	    "args=\"NAME [force]\" usage=\"stop a guest; ok when it has "
	    "stopped\" for=admin\nok\n");
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
	{ "status b", "err no-vm vm b: no such guest\n" },
	{ "start b", "err no-vm vm b: no such guest\n" },
	{ "console b", "err no-vm vm b: no such guest\n" },
	{ "stop a", "err state vm a: is not running\n" },
};

START_TEST(bad_requests)
{
	turn(4);
	(void)!read(peer, got, sizeof(got));
	ck_assert_str_eq(ask(bad[_i].request), bad[_i].reply);
	/* The connection goes on. */
	ck_assert_str_eq(ask("wait a"),
	    "event vm=a state=stopped reason=- message=\"\"\nok\n");
}
END_TEST

START_TEST(privilege)
{
	char request[64], want[64];
	int i;

	client_destroy(client);
	close(peer);
	connect_as(false);
	ask("help");
	ck_assert_str_eq(got + strlen(got) - 4, "\nok\n");
	for (i = 0; i < COMMAND_COUNT; i++) {
		if (commands[i].privilege == PRIVILEGE_ANY)
			continue;
		snprintf(request, sizeof(request), "%s a", commands[i].name);
		snprintf(want, sizeof(want),
		    "err denied %s: permission denied\n", commands[i].name);
		ck_assert_str_eq(ask(request), want);
	}
	ck_assert_uint_eq(vm_table_running(env.guests), 0);
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
	tcase_add_test(tc, privilege);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
