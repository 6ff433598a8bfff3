/* SPDX-License-Identifier: ISC */
/*
 * Reading INI: see config_ini.h.
 *
 * inih splits a line into key and value.  All around it is done by the reader
 * that feeds it: inih cuts long lines and section names silently, passes no
 * line numbers, reports no section without keys, and takes an indented line
 * for the continuation of the one before.  So the reader counts lines, handles
 * section headers itself, and hands inih nothing but sound "key = value"
 * lines without indentation; all others become empty ones.
 */
#include "vmm/config_ini.h"

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/config_value.h"

struct ini_state {
	const struct ini_sink	*sink;
	FILE			*file;
	char			*line;		/* getline()'s */
	size_t			 cap;
	unsigned		 number;
	int			 error;		/* 0 or -errno */
};

static void
ini_error(struct ini_state *st, const char *text)
{
	st->sink->error(st->sink->cookie, st->number, text);
}

/* A semicolon after white space starts a comment. */
static void
ini_cut_comment(char *s)
{
	char *p;

	for (p = s; *p != '\0'; p++) {
		if (*p == ';' &&
		    (p == s || strchr(VALUE_SPACE, p[-1]) != NULL)) {
			*p = '\0';
			return;
		}
	}
}

static bool
ini_is_plain(const char *s, size_t n)
{
	unsigned char c;
	size_t i;

	for (i = 0; i < n; i++) {
		c = s[i];
		if ((c < ' ' && c != '\t') || c >= 0x7f)
			return false;
	}
	return true;
}

static void
ini_section(struct ini_state *st, char *s)
{
	char *end = strchr(s, ']');
	char *kind, *name;

	if (end == NULL || *value_trim(end + 1) != '\0') {
		ini_error(st, "not a section, write [daemon], "
		    "[switch NAME] or [vm NAME]");
		return;
	}
	*end = '\0';
	kind = value_trim(s + 1);
	name = kind + strcspn(kind, VALUE_SPACE);
	if (*name != '\0')
		*name++ = '\0';
	st->sink->section(st->sink->cookie, st->number, kind, value_trim(name));
}

/* The key and value of a line of `n` bytes, or NULL if it has none. */
static char *
ini_line(struct ini_state *st, char *s, size_t n)
{
	static const char bom[] = "\xef\xbb\xbf";

	if (st->number == 1 && strncmp(s, bom, strlen(bom)) == 0) {
		s += strlen(bom);
		n -= strlen(bom);
	}
	if (n > 0 && s[n - 1] == '\r')
		s[--n] = '\0';
	if (s[strspn(s, VALUE_SPACE)] == '#' ||
	    s[strspn(s, VALUE_SPACE)] == ';')
		return NULL;
	if (n > INI_LINE_MAX) {
		ini_error(st, "line is longer than 199 bytes, split it "
		    "(cmdline may be given several times)");
		return NULL;
	}
	if (!ini_is_plain(s, n)) {
		ini_error(st, "line has control or non-ASCII characters, "
		    "write plain ASCII");
		return NULL;
	}
	ini_cut_comment(s);
	s = value_trim(s);
	if (*s == '[') {
		ini_section(st, s);
		return NULL;
	}
	if (*s != '\0' && strpbrk(s, "=:") == NULL) {
		ini_error(st, "neither a [section] nor a key = value");
		return NULL;
	}
	return *s == '\0' ? NULL : s;
}

/* The reader of ini_parse_stream(): like fgets(), with `st` as the file. */
static char *
ini_next(char *str, int size, void *stream)
{
	struct ini_state *st = stream;
	ssize_t n;
	char *s;

	errno = 0;
	n = getline(&st->line, &st->cap, st->file);
	if (n < 0) {
		st->error = -errno;
		return NULL;
	}
	st->number++;
	if (n > 0 && st->line[n - 1] == '\n')
		st->line[--n] = '\0';
	s = ini_line(st, st->line, n);
	/* An inih may be built for shorter lines than Debian's. */
	if (s != NULL && strlen(s) >= (size_t)size) {
		ini_error(st, "line is too long");
		s = NULL;
	}
	strcpy(str, s == NULL ? "" : s);
	return str;
}

static int
ini_value(void *user, const char *section, const char *key, const char *value)
{
	struct ini_state *st = user;

	(void)section;
	st->sink->value(st->sink->cookie, st->number, key, value);
	return 1;
}

int
ini_read(FILE *f, const struct ini_sink *sink)
{
	struct ini_state st = { .sink = sink, .file = f };
	int ret;

	ret = ini_parse_stream(ini_next, &st, ini_value, &st);
	free(st.line);
	if (st.error != 0)
		return st.error;
	if (ret > 0) {
		st.number = ret;
		ini_error(&st, "neither a [section] nor a key = value");
	}
	return ret < 0 ? -ENOMEM : 0;
}
