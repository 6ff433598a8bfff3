/* SPDX-License-Identifier: ISC */
/*
 * Unknown MSRs: both policies, reads and writes, and a log that names each
 * register once and that no guest can fill.
 */
#include <check.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "testhost.h"
#include "vmm/hv.h"
#include "vmm/msrs.h"

#define VALUE	UINT64_C(0x1122334455667788)

static int	 log_pipe[2];
static char	 got[16384];
static uint8_t	 fault;
static uint64_t	 value;

/* Each test runs in a process of its own, so stderr may be lost. */
static void
setup(void)
{
	ck_assert_int_eq(pipe2(log_pipe, O_NONBLOCK), 0);
	ck_assert_int_eq(dup2(log_pipe[1], STDERR_FILENO), STDERR_FILENO);
	log_open("prog", false);
}

/* What the log has gained. */
static const char *
logged(void)
{
	ssize_t n = read(log_pipe[0], got, sizeof(got) - 1);

	got[n < 0 ? 0 : n] = '\0';
	return got;
}

static void
touch(struct msrs *m, uint32_t index, bool write)
{
	struct hv_exit e = {
		.kind = HV_EXIT_MSR,
		.msr = { index, write, &fault, &value },
	};

	/* What was there before must not be taken for an answer. */
	fault = m->ignore;
	value = VALUE;
	msrs_access(m, &e);
}

START_TEST(refused)
{
	struct msrs m;

	msrs_init(&m, "web1", false);
	touch(&m, 0xc0010015, true);
	ck_assert_uint_eq(fault, 1);
	ck_assert_uint_eq(value, VALUE);
	ck_assert_str_eq(logged(),
	    "prog: vm web1: unknown MSR 0xc0010015 written: #GP\n");
	touch(&m, 0, false);
	ck_assert_uint_eq(fault, 1);
	ck_assert_str_eq(logged(), "prog: vm web1: unknown MSR 0 read: #GP\n");
	msrs_destroy(&m);
}
END_TEST

START_TEST(ignored)
{
	struct msrs m;

	msrs_init(&m, "web1", true);
	touch(&m, UINT32_MAX, true);
	ck_assert_uint_eq(fault, 0);
	ck_assert_uint_eq(value, VALUE);
	ck_assert_str_eq(logged(),
	    "prog: vm web1: unknown MSR 0xffffffff written: ignored\n");
	touch(&m, 0x1b, false);
	ck_assert_uint_eq(fault, 0);
	ck_assert_uint_eq(value, 0);
	ck_assert_str_eq(logged(),
	    "prog: vm web1: unknown MSR 0x1b read: zero\n");
	msrs_destroy(&m);
}
END_TEST

/* Once, however often and however it is used; the answer stays. */
START_TEST(logged_once)
{
	struct msrs m;

	msrs_init(&m, "a", false);
	touch(&m, 0x1b, false);
	ck_assert_str_ne(logged(), "");
	touch(&m, 0x1b, false);
	touch(&m, 0x1b, true);
	ck_assert_str_eq(logged(), "");
	ck_assert_uint_eq(fault, 1);
	msrs_destroy(&m);
}
END_TEST

static unsigned
lines(const char *s)
{
	unsigned n = 0;

	for (; *s != '\0'; s++)
		n += *s == '\n';
	return n;
}

/* A guest that tries all numbers fills no disk. */
START_TEST(log_is_bounded)
{
	struct msrs m;
	uint32_t i;

	msrs_init(&m, "a", true);
	for (i = 0; i < MSRS_LOGGED_MAX; i++)
		touch(&m, i, false);
	ck_assert_uint_eq(lines(logged()), MSRS_LOGGED_MAX);
	for (; i < 4 * MSRS_LOGGED_MAX; i++) {
		touch(&m, i, false);
		ck_assert_uint_eq(fault, 0);
		ck_assert_uint_eq(value, 0);
	}
	ck_assert_str_eq(logged(), "");
	msrs_destroy(&m);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("msrs");
	TCase *tc = tcase_create("msrs");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, ignored);
	tcase_add_test(tc, logged_once);
	tcase_add_test(tc, log_is_bounded);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
