/* SPDX-License-Identifier: ISC */
/*
 * Saved state: the layout is the documented one, a record is written and
 * taken whole or not at all, and a reader never looks past its bytes.
 */
#include <errno.h>

#include "devices/state.h"
#include "testhost.h"

START_TEST(layout)
{
	static const uint8_t want[] = {
		2, 'a', 'b', 0x34, 0x12, 3, 0, 0, 0, 'x', 'y', 'z'
	};
	struct buf b;
	struct state_writer w = { &b };

	buf_init(&b, 100);
	ck_assert_int_eq(state_put(&w, "ab", 0x1234, "xyz", 3), 0);
	ck_assert_uint_eq(b.len, sizeof(want));
	ck_assert_mem_eq(buf_head(&b), want, sizeof(want));
	buf_free(&b);
}
END_TEST

START_TEST(name_length_edges)
{
	char name[STATE_NAME_MAX + 2];
	struct buf b;
	struct state_writer w = { &b };

	buf_init(&b, 1000);
	memset(name, 'n', sizeof(name));
	name[STATE_NAME_MAX + 1] = '\0';
	ck_assert_int_eq(state_put(&w, name, 1, "", 0), -EINVAL);
	ck_assert_int_eq(state_put(&w, "", 1, "", 0), -EINVAL);
	ck_assert_uint_eq(b.len, 0);
	name[STATE_NAME_MAX] = '\0';
	ck_assert_int_eq(state_put(&w, name, 1, "", 0), 0);
	ck_assert_uint_eq(b.len, 1 + STATE_NAME_MAX + 6);
	buf_free(&b);
}
END_TEST

/* The head fits the limit, the payload misses it by one byte. */
START_TEST(no_half_records)
{
	struct buf b;
	struct state_writer w = { &b };

	buf_init(&b, 2 * 12 - 1);
	ck_assert_int_eq(state_put(&w, "ab", 1, "123", 3), 0);
	ck_assert_int_eq(state_put(&w, "ab", 1, "123", 3), -ENOBUFS);
	ck_assert_uint_eq(b.len, 12);
	ck_assert_int_eq(state_put(&w, "ab", 1, "12", 2), 0);
	ck_assert_uint_eq(b.len, 23);
	buf_free(&b);
}
END_TEST

START_TEST(only_the_exact_record)
{
	char out[4] = "???";
	struct buf b;
	struct state_writer w = { &b };
	struct state_reader r;

	buf_init(&b, 100);
	ck_assert_int_eq(state_put(&w, "ab", 1, "xyz", 3), 0);
	ck_assert_int_eq(state_put(&w, "cd", 2, "q", 1), 0);
	r = (struct state_reader){ (uint8_t *)buf_head(&b), b.len };
	ck_assert_int_eq(state_get(&r, "ac", 1, out, 3), -EINVAL);
	ck_assert_int_eq(state_get(&r, "abc", 1, out, 3), -EINVAL);
	ck_assert_int_eq(state_get(&r, "a", 1, out, 3), -EINVAL);
	ck_assert_int_eq(state_get(&r, "ab", 2, out, 3), -EINVAL);
	ck_assert_int_eq(state_get(&r, "ab", 1, out, 2), -EINVAL);
	ck_assert_int_eq(state_get(&r, "ab", 1, out, 4), -EINVAL);
	ck_assert_str_eq(out, "???");
	ck_assert_uint_eq(r.left, b.len);
	ck_assert_int_eq(state_get(&r, "ab", 1, out, 3), 0);
	ck_assert_str_eq(out, "xyz");
	ck_assert_int_eq(state_get(&r, "cd", 2, out, 1), 0);
	ck_assert_int_eq(out[0], 'q');
	ck_assert_uint_eq(r.left, 0);
	ck_assert_int_eq(state_get(&r, "cd", 2, out, 1), -EINVAL);
	buf_free(&b);
}
END_TEST

/* Each truncation, in a block of its own so that the sanitizer watches. */
START_TEST(truncations)
{
	char out[3];
	struct buf b;
	struct state_writer w = { &b };
	struct state_reader r;
	uint8_t *copy;
	size_t n;

	buf_init(&b, 100);
	ck_assert_int_eq(state_put(&w, "ab", 1, "xyz", 3), 0);
	for (n = 0; n < b.len; n++) {
		copy = malloc(n != 0 ? n : 1);
		ck_assert_ptr_nonnull(copy);
		memcpy(copy, buf_head(&b), n);
		r = (struct state_reader){ copy, n };
		ck_assert_int_eq(state_get(&r, "ab", 1, out, 3), -EINVAL);
		ck_assert_uint_eq(r.left, n);
		free(copy);
	}
	buf_free(&b);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("state");

	tcase_add_test(tc, layout);
	tcase_add_test(tc, name_length_edges);
	tcase_add_test(tc, no_half_records);
	tcase_add_test(tc, only_the_exact_record);
	tcase_add_test(tc, truncations);
	return test_main("state", tc);
}
