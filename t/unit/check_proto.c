/* SPDX-License-Identifier: ISC */
/*
 * The protocol's text: whatever a value holds, it comes back as it was and
 * never leaves its line; broken rows are refused.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/proto.h"

static struct buf b;

static void
setup(void)
{
	buf_init(&b, 4096);
}

static void
teardown(void)
{
	buf_free(&b);
}

static const struct {
	const char	*value, *row;
} pairs[] = {
	{ "plain", " k=plain" },
	{ "a=b", " k=a=b" },
	{ "", " k=\"\"" },
	{ "two words", " k=\"two words\"" },
	{ "say \"hi\"", " k=\"say \\\"hi\\\"\"" },
	{ "back\\slash", " k=\"back\\\\slash\"" },
	{ "a\nb\x7f", " k=\"a\\x0ab\\x7f\"" },
	{ "\xc3\xa9", " k=\"\\xc3\\xa9\"" },
	{ "\"", " k=\"\\\"\"" },
};

START_TEST(round_trip)
{
	char *line, *key, *value;

	ck_assert_int_eq(proto_pair(&b, "k", pairs[_i].value), 0);
	ck_assert_int_eq(proto_pair(&b, "next", "x"), 0);
	buf_append(&b, "", 1);
	line = buf_head(&b);
	ck_assert_int_eq(strncmp(line, pairs[_i].row, strlen(pairs[_i].row)),
	    0);
	ck_assert(proto_next(&line, &key, &value));
	ck_assert_str_eq(key, "k");
	ck_assert_str_eq(value, pairs[_i].value);
	ck_assert(proto_next(&line, &key, &value));
	ck_assert_str_eq(key, "next");
	ck_assert_str_eq(value, "x");
	ck_assert(!proto_next(&line, &key, &value));
}
END_TEST

/* A person may leave the quotes of an empty value out. */
START_TEST(empty_value)
{
	char text[] = "a= b=1  c=", *line = text, *key, *value;

	ck_assert(proto_next(&line, &key, &value));
	ck_assert_str_eq(key, "a");
	ck_assert_str_eq(value, "");
	ck_assert(proto_next(&line, &key, &value));
	ck_assert_str_eq(key, "b");
	ck_assert_str_eq(value, "1");
	ck_assert(proto_next(&line, &key, &value));
	ck_assert_str_eq(key, "c");
	ck_assert_str_eq(value, "");
	ck_assert(!proto_next(&line, &key, &value));
}
END_TEST

START_TEST(any_byte_round_trips)
{
	char text[256], *line, *key, *value;
	int i;

	for (i = 1; i < 256; i++)
		text[i - 1] = i;
	text[255] = '\0';
	ck_assert_int_eq(proto_pairf(&b, "k", "%s", text), 0);
	buf_append(&b, "", 1);
	line = buf_head(&b);
	ck_assert_ptr_null(strchr(line, '\n'));
	ck_assert(proto_next(&line, &key, &value));
	ck_assert_str_eq(value, text);
}
END_TEST

static const char *const broken[] = {
	"", "   ", "word", "=value", "k=\"open", "k=\"a\"b", "k=\"\\n\"",
	"k=\"\\x4\"", "k=\"\\xGG\"", "k=\"\\", "k=\"",
};

START_TEST(broken_rows)
{
	char text[32], *line = text, *key, *value;

	strcpy(text, broken[_i]);
	ck_assert(!proto_next(&line, &key, &value));
}
END_TEST

START_TEST(words)
{
	char text[] = "  stop  web1 force ", *line = text;

	ck_assert_str_eq(proto_word(&line), "stop");
	ck_assert_str_eq(proto_word(&line), "web1");
	ck_assert_str_eq(proto_word(&line), "force");
	ck_assert_str_eq(proto_word(&line), "");
	ck_assert_str_eq(proto_word(&line), "");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("proto");
	TCase *tc = tcase_create("proto");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, round_trip, 0,
	    sizeof(pairs) / sizeof(pairs[0]));
	tcase_add_test(tc, empty_value);
	tcase_add_test(tc, any_byte_round_trips);
	tcase_add_loop_test(tc, broken_rows, 0,
	    sizeof(broken) / sizeof(broken[0]));
	tcase_add_test(tc, words);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
