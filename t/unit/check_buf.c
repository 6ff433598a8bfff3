/* SPDX-License-Identifier: ISC */
/*
 * Byte buffers: nothing is lost or reordered across growth and compaction,
 * the limit holds to the byte, and a refused append changes nothing.
 */
#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

START_TEST(limit_holds_to_the_byte)
{
	struct buf b;

	buf_init(&b, 10);
	ck_assert_int_eq(buf_append(&b, "0123456", 7), 0);
	ck_assert_int_eq(buf_append(&b, "abcd", 4), -ENOBUFS);
	ck_assert_uint_eq(b.len, 7);
	ck_assert_int_eq(buf_append(&b, "abc", 3), 0);
	ck_assert_int_eq(buf_append(&b, "x", 1), -ENOBUFS);
	ck_assert_int_eq(buf_append(&b, NULL, 0), 0);
	ck_assert_mem_eq(buf_head(&b), "0123456abc", 10);
	buf_free(&b);
}
END_TEST

START_TEST(printf_limit_holds_to_the_byte)
{
	struct buf b;

	buf_init(&b, 8);
	ck_assert_int_eq(buf_printf(&b, "%d-", 123), 0);
	ck_assert_int_eq(buf_printf(&b, "%s", "56789"), -ENOBUFS);
	ck_assert_int_eq(buf_printf(&b, "%s", ""), 0);
	ck_assert_uint_eq(b.len, 4);
	ck_assert_int_eq(buf_printf(&b, "%s", "5678"), 0);
	ck_assert_mem_eq(buf_head(&b), "123-5678", 8);
	buf_free(&b);
}
END_TEST

START_TEST(usable_after_free)
{
	struct buf b;

	buf_init(&b, 4);
	ck_assert_ptr_nonnull(buf_head(&b));
	ck_assert_int_eq(buf_append(&b, "1234", 4), 0);
	buf_free(&b);
	ck_assert_uint_eq(b.len, 0);
	ck_assert_int_eq(buf_append(&b, "12345", 5), -ENOBUFS);
	ck_assert_int_eq(buf_append(&b, "abcd", 4), 0);
	ck_assert_mem_eq(buf_head(&b), "abcd", 4);
	buf_free(&b);
}
END_TEST

/* A stream of counted bytes through appends and consumes of odd sizes. */
START_TEST(order_survives_compaction)
{
	unsigned char chunk[97];
	uint8_t in = 0, out = 0;
	struct buf b;
	size_t i, n;
	int round;

	buf_init(&b, 1000);
	for (round = 0; round < 5000; round++) {
		n = 1 + round * 7 % sizeof(chunk);
		for (i = 0; i < n; i++)
			chunk[i] = in + i;
		if (buf_append(&b, chunk, n) == 0)
			in += n;
		n = round * 13 % 90;
		if (n > b.len)
			n = b.len;
		for (i = 0; i < n; i++)
			ck_assert_uint_eq((uint8_t)buf_head(&b)[i],
			    (uint8_t)(out + i));
		buf_consume(&b, n);
		out += n;
		ck_assert_uint_le(b.len, 1000);
	}
	ck_assert_uint_eq((uint8_t)(in - out), (uint8_t)b.len);
	ck_assert_uint_le(b.cap, 4096);
	buf_free(&b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("buf");
	TCase *tc = tcase_create("buf");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(tc, limit_holds_to_the_byte);
	tcase_add_test(tc, printf_limit_holds_to_the_byte);
	tcase_add_test(tc, usable_after_free);
	tcase_add_test(tc, order_survives_compaction);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
