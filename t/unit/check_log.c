/* SPDX-License-Identifier: ISC */
/*
 * The log on stderr: one message is one line whatever its text holds, levels
 * filter, long messages are cut, errno survives.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static int log_pipe[2];

/* Each test runs in a process of its own, so stderr may be lost. */
static void
setup(void)
{
	ck_assert_int_eq(pipe2(log_pipe, O_NONBLOCK), 0);
	ck_assert_int_eq(dup2(log_pipe[1], STDERR_FILENO), STDERR_FILENO);
	log_open("prog", false);
}

static size_t
drain(char *p, size_t size)
{
	ssize_t n = read(log_pipe[0], p, size - 1);

	if (n < 0)
		n = 0;
	p[n] = '\0';
	return n;
}

START_TEST(levels)
{
	char got[256];

	log_debug("no");
	ck_assert_uint_eq(drain(got, sizeof(got)), 0);
	log_info("vm %s: started", "web1");
	log_warn("w");
	log_error("e %d", 7);
	drain(got, sizeof(got));
	ck_assert_str_eq(got, "prog: vm web1: started\n"
	    "prog: warning: w\nprog: error: e 7\n");

	log_set_level(LOG_LEVEL_ERROR);
	log_warn("w");
	ck_assert_uint_eq(drain(got, sizeof(got)), 0);
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("d");
	drain(got, sizeof(got));
	ck_assert_str_eq(got, "prog: debug: d\n");
}
END_TEST

START_TEST(no_forged_lines)
{
	char got[256];

	log_info("a\nb\033[2J%s", "\r\x7f");
	drain(got, sizeof(got));
	ck_assert_str_eq(got, "prog: a?b?[2J??\n");
}
END_TEST

START_TEST(long_message_is_one_line)
{
	static char text[10000], got[16384];
	size_t n;

	memset(text, 'x', sizeof(text) - 1);
	log_error("%s", text);
	n = drain(got, sizeof(got));
	ck_assert_uint_gt(n, 1000);
	ck_assert_uint_lt(n, sizeof(text));
	ck_assert_ptr_eq(strchr(got, '\n'), got + n - 1);
}
END_TEST

START_TEST(errno_survives)
{
	close(STDERR_FILENO);
	errno = EXDEV;
	log_error("lost");
	ck_assert_int_eq(errno, EXDEV);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("log");
	TCase *tc = tcase_create("log");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, levels);
	tcase_add_test(tc, no_forged_lines);
	tcase_add_test(tc, long_message_is_one_line);
	tcase_add_test(tc, errno_survives);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
