/* SPDX-License-Identifier: ISC */
/*
 * The evaluator of pf's rules, by which the daemon's are judged: what it
 * refuses (t/pf/bad, a file for each production of the grammar and each way to
 * break it), what it reads (t/pf/good), and what it makes of packets, each case
 * a rule set and packets with their verdicts from pf.conf(5) (t/pf/cases).
 */
#include <check.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../pf/pfe.h"
#include "../pf/pfe_text.h"

static char text[65536];

static void
setup(void)
{
	const char *top = getenv("srcdir");
	char dir[4096];

	snprintf(dir, sizeof(dir), "%s/t/pf", top ? top : ".");
	ck_assert_msg(chdir(dir) == 0, "%s: %s", dir, strerror(errno));
}

static void
slurp(const char *path, char *to, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	n = fread(to, 1, size - 1, f);
	ck_assert_msg(n < size - 1, "%s is too large", path);
	to[n] = '\0';
	fclose(f);
}

/* The host of all cases. */
static struct pfe *
host(void)
{
	struct pfe *pf = pfe_create();

	pfe_iface(pf, "lo0", 0, "lo", "127.0.0.1/8 ::1/128");
	pfe_iface(pf, "em0", 0, "em egress",
	    "198.51.100.2/24 198.51.100.3/24 2001:db8::2/64");
	pfe_iface(pf, "em1", 0, "em", "10.0.0.1/24 fd00::1/64");
	pfe_iface(pf, "em2", 1, "em", "10.9.0.1/24");
	pfe_iface(pf, "tap0", 0, "tap", "");
	pfe_route(pf, "0.0.0.0/0", "em0");
	pfe_route(pf, "2001:db8::/32", "em0");
	return pf;
}

static unsigned
each(const char *pattern, void (*fn)(const char *path))
{
	glob_t g;
	size_t i, n;

	ck_assert_int_eq(glob(pattern, 0, NULL, &g), 0);
	for (i = 0; i < g.gl_pathc; i++)
		fn(g.gl_pathv[i]);
	n = g.gl_pathc;
	globfree(&g);
	return (unsigned)n;
}

static void
refused(const char *path)
{
	char ok[256], want[512], err[512] = "";
	struct pfe *pf = host();

	slurp(path, text, sizeof(text));
	snprintf(ok, sizeof(ok), "%.*s.ok", (int)(strlen(path) - 5), path);
	slurp(ok, want, sizeof(want));
	ck_assert_msg(pfe_load(pf, "", text, err, sizeof(err)) == -EINVAL,
	    "%s is accepted", path);
	strcat(err, "\n");
	ck_assert_msg(strcmp(err, want) == 0, "%s: %s", path, err);
	pfe_destroy(pf);
}

START_TEST(what_is_refused)
{
	ck_assert_uint_ge(each("bad/*.conf", refused), 270);
}
END_TEST

static void
accepted(const char *path)
{
	char err[512] = "";
	struct pfe *pf = host();

	slurp(path, text, sizeof(text));
	ck_assert_msg(pfe_load(pf, "", text, err, sizeof(err)) == 0,
	    "%s:%s", path, err);
	pfe_destroy(pf);
}

START_TEST(what_is_read)
{
	ck_assert_uint_ge(each("good/*.conf", accepted), 2);
}
END_TEST

/*
 * Each rule of what is read, cut off behind any of its characters, and with
 * any one left out: never a crash, and always a message if it is refused.
 */
START_TEST(cut_anywhere)
{
	char err[512];
	struct pfe *pf;
	size_t i, len;
	char *part;

	slurp("good/grammar.conf", text, sizeof(text));
	len = strlen(text);
	part = malloc(len + 1);
	for (i = 0; i < len; i++) {
		pf = host();
		memcpy(part, text, i);
		strcpy(part + i, i % 2 == 0 ? "" : text + i + 1);
		err[0] = '\0';
		if (pfe_load(pf, "", part, err, sizeof(err)) != 0)
			ck_assert_str_ne(err, "");
		pfe_destroy(pf);
	}
	free(part);
}
END_TEST

static int steps;

/* "load PATH" and the anchor's rules up to "end"; "flush"; or a packet. */
static char *
step(struct pfe *pf, const char *path, char *line, char **rest)
{
	struct pfe_text t;
	char got[512], *stop;

	if (strncmp(line, "load ", 5) == 0) {
		stop = strstr(*rest, "\nend\n");
		ck_assert_ptr_nonnull(stop);
		*stop = '\0';
		ck_assert_msg(pfe_load(pf, line + 5, *rest, got,
		    sizeof(got)) == 0, "%s: %s: %s", path, line, got);
		*rest = stop + 5;
		return *rest;
	}
	if (strcmp(line, "flush") == 0) {
		pfe_flush(pf);
		return *rest;
	}
	ck_assert_msg(pfe_text_parse(&t, line), "%s: bad step: %s", path, line);
	ck_assert_msg(pfe_text_run(pf, &t, got, sizeof(got)),
	    "%s: %s\n got %s", path, line, got);
	steps++;
	return *rest;
}

static void
run_case(const char *path)
{
	char err[512] = "", *rest, *line;
	struct pfe *pf = host();

	slurp(path, text, sizeof(text));
	rest = strstr(text, "\n---\n");
	ck_assert_msg(rest != NULL, "%s has no packets", path);
	rest[1] = '\0';
	ck_assert_msg(pfe_load(pf, "", text, err, sizeof(err)) == 0, "%s:%s",
	    path, err);
	rest += 5;
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (line[0] != '\0' && line[0] != '#')
			rest = step(pf, path, line, &rest);
	}
	pfe_destroy(pf);
}

START_TEST(packets)
{
	steps = 0;
	ck_assert_uint_ge(each("cases/*.pf", run_case), 20);
	ck_assert_int_ge(steps, 150);
}
END_TEST

/* An error leaves what was there; an anchor's text replaces its own only. */
START_TEST(loading)
{
	struct pfe *pf = host();
	struct pfe_text t;
	char err[512], got[512];

	ck_assert(pfe_text_parse(&t, "in em0 udp 192.0.2.1#1 10.0.0.2#2 = "
	    "block line 1"));
	ck_assert_int_eq(pfe_load(pf, "", "block\nanchor \"a/*\"\n", err,
	    sizeof(err)), 0);
	ck_assert(pfe_text_run(pf, &t, got, sizeof(got)));
	ck_assert_int_eq(pfe_load(pf, "", "pass\nwrong\n", err, sizeof(err)),
	    -EINVAL);
	ck_assert_str_eq(err, "2: the line ends, expected =");
	ck_assert(pfe_text_run(pf, &t, got, sizeof(got)));
	ck_assert_int_eq(pfe_load(pf, "a/x", "set skip on lo\n", err,
	    sizeof(err)), -EINVAL);
	ck_assert_int_eq(pfe_load(pf, "a/x", "pass no state\n", err,
	    sizeof(err)), 0);
	ck_assert(!pfe_text_run(pf, &t, got, sizeof(got)));
	ck_assert_int_eq(pfe_load(pf, "", "block\nanchor \"a/*\"\n", err,
	    sizeof(err)), 0);
	ck_assert(!pfe_text_run(pf, &t, got, sizeof(got)));
	ck_assert_int_eq(pfe_load(pf, "a/x", "", err, sizeof(err)), 0);
	ck_assert(pfe_text_run(pf, &t, got, sizeof(got)));
	ck_assert_uint_eq(pfe_states(pf), 0);
	pfe_destroy(pf);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("pfe");
	SRunner *sr = srunner_create(s);
	TCase *tc = tcase_create("pfe");
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, what_is_refused);
	tcase_add_test(tc, what_is_read);
	tcase_add_test(tc, cut_anywhere);
	tcase_add_test(tc, packets);
	tcase_add_test(tc, loading);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
