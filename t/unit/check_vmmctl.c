/* SPDX-License-Identifier: ISC */
/*
 * vmmctl's own parts: the console's escape in every position and across
 * reads, the table of guests, and JSON from any bytes.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/command_table.h"
#include "vmm/vmmctl_console.h"
#include "vmm/vmmctl_json.h"
#include "vmm/vmmctl_rows.h"
#include "vmm/vmmctl_status.h"

static const struct {
	const char	*in, *out;
	bool		 leaves;
} typed[] = {
	{ "~.", "", true },
	{ "ls\r~.", "ls\r", true },
	{ "ls\n~.rest", "ls\n", true },
	{ "ls~.", "ls~.", false },
	{ "~~.", "~.", false },
	{ "~~", "~", false },
	{ "~x", "~x", false },
	{ "~\r~.", "~\r", true },
	{ "~", "", false },
	{ "a~\r", "a~\r", false },
	{ "\r\r\n~.", "\r\r\n", true },
	{ "~x~.", "~x~.", false },
	{ "", "", false },
};

START_TEST(escape_at_once)
{
	struct escape e = { .state = ESCAPE_LINE_START };
	char out[64];
	bool leaves;
	size_t n;

	leaves = escape_filter(&e, typed[_i].in, strlen(typed[_i].in), out,
	    &n);
	out[n] = '\0';
	ck_assert_str_eq(out, typed[_i].out);
	ck_assert_int_eq(leaves, typed[_i].leaves);
}
END_TEST

START_TEST(escape_bytewise)
{
	struct escape e = { .state = ESCAPE_LINE_START };
	char out[64];
	bool leaves = false;
	size_t n, have = 0;
	const char *p;

	for (p = typed[_i].in; *p != '\0' && !leaves; p++) {
		leaves = escape_filter(&e, p, 1, out + have, &n);
		have += n;
	}
	out[have] = '\0';
	ck_assert_str_eq(out, typed[_i].out);
	ck_assert_int_eq(leaves, typed[_i].leaves);
}
END_TEST

/* What a function prints. */
static char *
printed(void (*fn)(FILE *, const struct rows *), const struct rows *st)
{
	size_t size;
	char *text;
	FILE *f = open_memstream(&text, &size);

	fn(f, st);
	fclose(f);
	return text;
}

static void
add_rows(struct rows *st)
{
	ck_assert_int_eq(rows_add(st, "daemon name=lab version=1 "
	    "backend=kvm pid=7 uptime=3723.500 guests=2 clients=1 "
	    "worst-callback-us=90 pending=-"), 0);
	ck_assert_int_eq(rows_add(st, "vm name=web1 state=running "
	    "backend=kvm reason=- memory=268435456 vcpus=1 uptime=59.999 "
	    "exits=1234 boots=1 pending=\"restart required\" message=\"\""),
	    0);
	ck_assert_int_eq(rows_add(st, "vm name=1 state=stopped "
	    "backend=kvm reason=error memory=16777216 vcpus=1 uptime=0.000 "
	    "exits=0 boots=0 pending=- message=\"no \\\"k\\\"\""), 0);
}

START_TEST(table)
{
	struct rows st = { .n = 0 };
	char *text;

	add_rows(&st);
	text = printed(status_print, &st);
	ck_assert_str_eq(text,
	    "daemon lab: version 1, backend kvm, pid 7, up 1:02:03, worst "
	    "callback 90 us\n"
	    "NAME  STATE    REASON  BACKEND  VCPUS  MEMORY   UPTIME  BOOTS"
	    "  EXITS  PENDING\n"
	    "web1  running  -       kvm          1    256M  0:00:59      1"
	    "   1234  restart required\n"
	    "1     stopped  error   kvm          1     16M        -      0"
	    "      0  -\n"
	    "  1: no \"k\"\n");
	free(text);
	rows_free(&st);
}
END_TEST

START_TEST(json)
{
	struct rows st = { .n = 0 };
	char *text;

	add_rows(&st);
	text = printed(json_status, &st);
	ck_assert_str_eq(text,
	    "{\"daemon\": {\"name\": \"lab\", \"version\": \"1\", "
	    "\"backend\": \"kvm\", \"pid\": 7, \"uptime\": 3723.500, "
	    "\"guests\": 2, \"clients\": 1, \"worst-callback-us\": 90, "
	    "\"pending\": \"-\"},\n \"vms\": [\n"
	    "  {\"name\": \"web1\", \"state\": \"running\", \"backend\": "
	    "\"kvm\", \"reason\": \"-\", \"memory\": 268435456, \"vcpus\": 1, "
	    "\"uptime\": 59.999, \"exits\": 1234, \"boots\": 1, \"pending\": "
	    "\"restart required\", \"message\": \"\"},\n"
	    "  {\"name\": \"1\", \"state\": \"stopped\", \"backend\": "
	    "\"kvm\", \"reason\": \"error\", \"memory\": 16777216, \"vcpus\": "
	    "1, \"uptime\": 0.000, \"exits\": 0, \"boots\": 0, \"pending\": "
	    "\"-\", \"message\": \"no \\\"k\\\"\"}]}\n");
	free(text);
	rows_free(&st);
}
END_TEST

/* One guest has its NICs beside it. */
START_TEST(nics)
{
	struct rows st = { .n = 0 };
	char *text;

	ck_assert_int_eq(rows_add(&st, "vm name=a state=running"), 0);
	ck_assert_int_eq(rows_add(&st, "nic id=0 switch=lan in-packets=11"), 0);
	ck_assert_int_eq(rows_add(&st, "nic id=1 switch=dmz in-packets=2"), 0);
	text = printed(json_status, &st);
	ck_assert_str_eq(text, "{\"vms\": [\n"
	    "  {\"name\": \"a\", \"state\": \"running\"}],\n \"nics\": [\n"
	    "  {\"id\": 0, \"switch\": \"lan\", \"in-packets\": 11},\n"
	    "  {\"id\": 1, \"switch\": \"dmz\", \"in-packets\": 2}]}\n");
	free(text);
	text = printed(status_print, &st);
	ck_assert_ptr_nonnull(strstr(text, "\n\nNIC  SWITCH  TAP  "));
	ck_assert_ptr_nonnull(strstr(text, "\n  1  dmz "));
	free(text);
	rows_free(&st);
}
END_TEST

/* Numbers JSON does not know stay strings. */
START_TEST(json_numbers)
{
	struct rows st = { .n = 0 };
	char *text;

	ck_assert_int_eq(rows_add(&st, "vm boots=007 exits=- memory=1. "
	    "vcpus=0 uptime=.5 pid=-3"), 0);
	text = printed(json_status, &st);
	ck_assert_str_eq(text, "{\"vms\": [\n  {\"boots\": \"007\", "
	    "\"exits\": \"-\", \"memory\": \"1.\", \"vcpus\": 0, \"uptime\": "
	    "\".5\", \"pid\": \"-3\"}]}\n");
	free(text);
	rows_free(&st);
}
END_TEST

static void
print_ok(FILE *out, const struct rows *rs)
{
	json_reply(out, rs, NULL, NULL);
}

static void
print_error(FILE *out, const struct rows *rs)
{
	json_reply(out, rs, "invalid", "2 \"errors\"");
}

/* What is wrong, row by row, and the error in a word have a name each. */
START_TEST(json_errors)
{
	struct rows st = { .n = 0 };
	char *text;

	ck_assert_int_eq(rows_add(&st, "error message=a"), 0);
	ck_assert_int_eq(rows_add(&st, "error message=b"), 0);
	text = printed(print_error, &st);
	ck_assert_str_eq(text, "{\"errors\": [{\"message\": \"a\"}, "
	    "{\"message\": \"b\"}], \"error\": {\"code\": \"invalid\", "
	    "\"message\": \"2 \\\"errors\\\"\"}}\n");
	free(text);
	rows_free(&st);
}
END_TEST

START_TEST(show)
{
	struct rows st = { .n = 0 };
	char *text;

	ck_assert_int_eq(rows_add(&st, "vm name=a memory=1024"), 0);
	ck_assert_int_eq(rows_add(&st, "exits triple-faults=1 memory=2"), 0);
	ck_assert_int_eq(rows_add(&st, "config key=initrd value=\"\""), 0);
	ck_assert_int_eq(rows_add(&st, "config key=memory value=1K next=2K"),
	    0);
	text = printed(show_print, &st);
	ck_assert_str_eq(text,
	    "name          a\n"
	    "memory        1024\n"
	    "\nexits:\n"
	    "triple-faults 1\n"
	    "memory        2\n"
	    "\nconfig:\n"
	    "initrd        -\n"
	    "memory        1K (next start: 2K)\n");
	free(text);
	rows_free(&st);
}
END_TEST

/* A switch may have any name, that of a policy too. */
START_TEST(changes)
{
	struct rows rs = { .n = 0 };
	char out[256];
	FILE *f = fmemopen(out, sizeof(out), "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(rows_add(&rs, "change vm=a what=added"), 0);
	ck_assert_int_eq(rows_add(&rs,
	    "change switch=yes what=changed keys=nat"), 0);
	ck_assert_int_eq(rows_add(&rs, "change policy=p what=removed"), 0);
	values_print(f, &rs);
	fclose(f);
	ck_assert_str_eq(out, "a added\nswitch yes changed nat\n"
	    "policy p removed\n");
	rows_free(&rs);
}
END_TEST

START_TEST(show_nics)
{
	struct rows st = { .n = 0 };
	char *text;

	ck_assert_int_eq(rows_add(&st, "nic id=0 switch=lan tap=vmmd-a.0 "
	    "lladdr=0e:01:02:03:04:05 address=192.0.2.7/24 link=up "
	    "in-packets=11 in-bytes=1100 in-lost=1 in-waits=0 in-answered=2 "
	    "out-packets=22 out-bytes=2200 out-lost=0 out-waits=3 "
	    "out-answered=4"), 0);
	ck_assert_int_eq(rows_add(&st, "nic id=1 switch=local tap=vmmd-a.1 "
	    "lladdr=0a:00:00:00:00:01 address=- link=down"), 0);
	text = printed(show_print, &st);
	ck_assert_str_eq(text,
	    "NIC  SWITCH  TAP       LLADDR             ADDRESS       LINK"
	    "  IN-PKTS  IN-BYTES  OUT-PKTS  OUT-BYTES\n"
	    "  0  lan     vmmd-a.0  0e:01:02:03:04:05  192.0.2.7/24  up  "
	    "       11      1100        22       2200\n"
	    "  1  local   vmmd-a.1  0a:00:00:00:00:01  -             down"
	    "        -         -         -          -\n");
	free(text);
	text = printed(print_ok, &st);
	ck_assert_ptr_nonnull(strstr(text, "\"link\": \"up\", "
	    "\"in-packets\": 11, \"in-bytes\": 1100, \"in-lost\": 1, "
	    "\"in-waits\": 0, \"in-answered\": 2, \"out-packets\": 22, "
	    "\"out-bytes\": 2200, \"out-lost\": 0, \"out-waits\": 3, "
	    "\"out-answered\": 4}"));
	free(text);
	rows_free(&st);
}
END_TEST

static void
print_line(FILE *out, const struct rows *rs)
{
	json_line(out, &rs->row[0]);
}

START_TEST(json_replies)
{
	struct rows st = { .n = 0 };
	char *text = printed(print_ok, &st);

	ck_assert_str_eq(text, "{\"ok\": true}\n");
	free(text);
	ck_assert_int_eq(rows_add(&st, "a x=1 pid=2"), 0);
	ck_assert_int_eq(rows_add(&st, "b"), 0);
	ck_assert_int_eq(rows_add(&st, "a"), 0);
	text = printed(print_ok, &st);
	ck_assert_str_eq(text, "{\"a\": [{\"x\": \"1\", \"pid\": 2}, {}], "
	    "\"b\": [{}], \"ok\": true}\n");
	free(text);
	text = printed(print_error, &st);
	ck_assert_str_eq(text, "{\"a\": [{\"x\": \"1\", \"pid\": 2}, {}], "
	    "\"b\": [{}], \"error\": {\"code\": \"invalid\", \"message\": "
	    "\"2 \\\"errors\\\"\"}}\n");
	free(text);
	text = printed(print_line, &st);
	ck_assert_str_eq(text, "{\"a\": {\"x\": \"1\", \"pid\": 2}}\n");
	free(text);
	rows_free(&st);
}
END_TEST

/* The shell's completion has the verbs of the table, and no others. */
START_TEST(completion)
{
	const char *top = getenv("SRCDIR");
	char path[4096], line[1024], want[1024] = "\tverbs='";
	bool found = false;
	FILE *f;
	int i;

	for (i = 0; i < COMMAND_COUNT; i++) {
		strcat(want, commands[i].name);
		strcat(want, " ");
	}
	strcat(want, "image'\n");
	snprintf(path, sizeof(path), "%s/conf/vmmctl.bash",
	    top != NULL ? top : ".");
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f) != NULL)
		found |= strcmp(line, want) == 0;
	fclose(f);
	ck_assert_msg(found, "%s: no line %s", path, want);
}
END_TEST

START_TEST(empty_status)
{
	struct rows st = { .n = 0 };
	char *text = printed(json_status, &st);

	ck_assert_str_eq(text, "{\"vms\": []}\n");
	free(text);
}
END_TEST

START_TEST(broken_status)
{
	struct rows st = { .n = 0 };
	char line[1024] = "vm";
	int i;

	ck_assert_int_eq(rows_add(&st, "vm name"), -EPROTO);
	ck_assert_int_eq(rows_add(&st, "vm name=\"open"), -EPROTO);
	for (i = 0; i < ROW_PAIRS_MAX; i++)
		strcat(line, " k=v");
	ck_assert_int_eq(rows_add(&st, line), 0);
	strcat(line, " k=v");
	ck_assert_int_eq(rows_add(&st, line), -EPROTO);
	ck_assert_uint_eq(st.n, 1);
	rows_free(&st);
}
END_TEST

static const struct {
	const char	*in, *out;
} strings[] = {
	{ "", "\"\"" },
	{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
	{ "\n\x1f\x7f", "\"\\u000a\\u001f\\u007f\"" },
	{ "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
	    "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"" },
	{ "\xff", "\"\\ufffd\"" },
	{ "\xc3", "\"\\ufffd\"" },
	{ "\xe2\x82", "\"\\ufffd\\ufffd\"" },
	{ "\xc0\x80", "\"\\ufffd\\ufffd\"" },		/* overlong */
	{ "\xe0\x80\x80", "\"\\ufffd\\ufffd\\ufffd\"" },
	{ "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },	/* surrogate */
	{ "\xed\x9f\xbf", "\"\xed\x9f\xbf\"" },
	{ "\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\"" },
	{ "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
};

START_TEST(json_strings)
{
	size_t size;
	char *text;
	FILE *f = open_memstream(&text, &size);

	json_string(f, strings[_i].in);
	fclose(f);
	ck_assert_str_eq(text, strings[_i].out);
	free(text);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("vmmctl");
	TCase *tc = tcase_create("vmmctl");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_loop_test(tc, escape_at_once, 0,
	    sizeof(typed) / sizeof(typed[0]));
	tcase_add_loop_test(tc, escape_bytewise, 0,
	    sizeof(typed) / sizeof(typed[0]));
	tcase_add_test(tc, table);
	tcase_add_test(tc, json);
	tcase_add_test(tc, json_numbers);
	tcase_add_test(tc, json_replies);
	tcase_add_test(tc, json_errors);
	tcase_add_test(tc, show);
	tcase_add_test(tc, show_nics);
	tcase_add_test(tc, changes);
	tcase_add_test(tc, completion);
	tcase_add_test(tc, nics);
	tcase_add_test(tc, empty_status);
	tcase_add_test(tc, broken_status);
	tcase_add_loop_test(tc, json_strings, 0,
	    sizeof(strings) / sizeof(strings[0]));
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
