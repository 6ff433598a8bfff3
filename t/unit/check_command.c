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
	const struct command *cmd, *other;

	for (cmd = commands; cmd->name != NULL; cmd++) {
		ck_assert_ptr_nonnull(cmd->args);
		ck_assert_ptr_nonnull(cmd->fn);
		ck_assert_uint_gt(strlen(cmd->usage), 0);
		ck_assert_int_eq(*cmd->args == '\0',
		    cmd->object == OBJECT_NONE);
		for (other = commands; other != cmd; other++)
			ck_assert_str_ne(other->name, cmd->name);
	}
}
END_TEST

START_TEST(rows_are_documented)
{
	const char *top = getenv("srcdir");
	const struct command *cmd;
	static char page[65536];
	char path[4096], want[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/man/vmmd-protocol.7",
	    top != NULL ? top : ".");
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	page[fread(page, 1, sizeof(page) - 1, f)] = '\0';
	fclose(f);
	for (cmd = commands; cmd->name != NULL; cmd++) {
		snprintf(want, sizeof(want), "\n.It Ic %s", cmd->name);
		ck_assert_msg(strstr(page, want) != NULL, "%s: no `%s'", path,
		    want + 1);
	}
}
END_TEST

START_TEST(help_lists_all)
{
	const struct command *cmd;
	char want[64];

	ask("help");
	ck_assert_int_eq(strncmp(got, "vmmd 1 lab ", 11), 0);
	for (cmd = commands; cmd->name != NULL; cmd++) {
		snprintf(want, sizeof(want), "\nhelp verb=%s ", cmd->name);
		ck_assert_msg(strstr(got, want) != NULL, "%s", want);
	}
	ck_assert_str_eq(got + strlen(got) - 4, "\nok\n");
}
END_TEST

static const struct {
	const char	*request, *reply;
} bad[] = {
	{ "", "err syntax empty request, try help\n" },
	{ "   ", "err syntax empty request, try help\n" },
	{ "frobnicate", "err unknown no command frobnicate, try help\n" },
	{ "STATUS", "err unknown no command STATUS, try help\n" },
	{ "help me", "err syntax usage: help\n" },
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
	const struct command *cmd;
	char request[64], want[64];

	client_destroy(client);
	close(peer);
	connect_as(false);
	ask("help");
	ck_assert_str_eq(got + strlen(got) - 4, "\nok\n");
	for (cmd = commands; cmd->name != NULL; cmd++) {
		if (cmd->privilege == PRIVILEGE_ANY)
			continue;
		snprintf(request, sizeof(request), "%s a", cmd->name);
		snprintf(want, sizeof(want),
		    "err denied %s: permission denied\n", cmd->name);
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
