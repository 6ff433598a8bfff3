/* SPDX-License-Identifier: ISC */
/* yield_next(): everyone has a turn, and nobody but who wants one. */
#include <check.h>
#include <stdint.h>

#include "kernel/yield.h"
#include "testhost.h"

#define MANY	64u

START_TEST(test_alone)
{
	unsigned id, last;

	for (id = 0; id < MANY; id++)
		for (last = 0; last < MANY; last++)
			ck_assert_uint_eq(yield_next(UINT64_C(1) << id, last),
			    id);
}
END_TEST

/* The next of all, of the others, and past the last to the first. */
START_TEST(test_circle)
{
	unsigned last;

	for (last = 0; last < MANY; last++) {
		ck_assert_uint_eq(yield_next(UINT64_MAX, last),
		    (last + 1) % MANY);
		ck_assert_uint_eq(yield_next(UINT64_C(1) << last |
		    UINT64_C(1) << (last + 5) % MANY, last), (last + 5) % MANY);
	}
	ck_assert_uint_eq(yield_next(0x13, 1), 4);
	ck_assert_uint_eq(yield_next(0x13, 4), 0);
	ck_assert_uint_eq(yield_next(0x13, 63), 0);
	ck_assert_uint_eq(yield_next(UINT64_C(1) << 63 | 1, 62), 63);
	ck_assert_uint_eq(yield_next(UINT64_C(1) << 63 | 1, 63), 0);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("yield");

	tcase_add_test(tc, test_alone);
	tcase_add_test(tc, test_circle);
	return test_main("yield", tc);
}
