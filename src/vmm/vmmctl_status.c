/* SPDX-License-Identifier: ISC */
/*
 * The output of `vmmctl status`: see vmmctl_status.h.
 */
#include "vmm/vmmctl_status.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/proto.h"

/* Keys whose values are numbers in JSON. */
static const char *const number_keys[] = {
	"memory", "vcpus", "uptime", "exits", "boots", "pid", "guests",
	"clients", "worst-callback-us",
};

static int
row_parse(struct status_row *r)
{
	char *rest = r->text;

	r->kind = proto_word(&rest);
	while (rest[strspn(rest, " ")] != '\0') {
		if (r->npairs == STATUS_PAIRS_MAX || !proto_next(&rest,
		    &r->key[r->npairs], &r->value[r->npairs]))
			return -EPROTO;
		r->npairs++;
	}
	return 0;
}

int
status_add(struct status *st, const char *line)
{
	struct status_row *r;
	int ret;

	r = reallocarray(st->row, st->nrows + 1, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	st->row = r;
	r += st->nrows;
	memset(r, 0, sizeof(*r));
	r->text = strdup(line);
	if (r->text == NULL)
		return -ENOMEM;
	ret = row_parse(r);
	if (ret != 0)
		free(r->text);
	else
		st->nrows++;
	return ret;
}

void
status_free(struct status *st)
{
	unsigned i;

	for (i = 0; i < st->nrows; i++)
		free(st->row[i].text);
	free(st->row);
}

static const char *
row_value(const struct status_row *r, const char *key)
{
	unsigned i;

	for (i = 0; i < r->npairs; i++)
		if (strcmp(r->key[i], key) == 0)
			return r->value[i];
	return "-";
}

/* Values a person reads in another form than a program. */
static void
cell_memory(char *p, size_t size, const char *value)
{
	snprintf(p, size, "%lluM", strtoull(value, NULL, 10) >> 20);
}

static void
cell_uptime(char *p, size_t size, const char *value)
{
	unsigned long long s = strtoull(value, NULL, 10);

	if (strcmp(value, "0.000") == 0)
		snprintf(p, size, "-");
	else
		snprintf(p, size, "%llu:%02llu:%02llu", s / 3600, s / 60 % 60,
		    s % 60);
}

static const struct column {
	const char	*key;
	const char	*title;
	bool		 right;
	void		(*cell)(char *p, size_t size, const char *value);
} columns[] = {
	{ "name", "NAME", false, NULL },
	{ "state", "STATE", false, NULL },
	{ "reason", "REASON", false, NULL },
	{ "backend", "BACKEND", false, NULL },
	{ "vcpus", "VCPUS", true, NULL },
	{ "memory", "MEMORY", true, cell_memory },
	{ "uptime", "UPTIME", true, cell_uptime },
	{ "boots", "BOOTS", true, NULL },
	{ "exits", "EXITS", true, NULL },
	{ "pending", "PENDING", false, NULL },
};

#define NCOLUMNS	(sizeof(columns) / sizeof(columns[0]))

static const char *
cell_text(const struct column *c, const struct status_row *r, char *p,
    size_t size)
{
	const char *value;

	if (r == NULL)
		return c->title;
	value = row_value(r, c->key);
	if (c->cell == NULL)
		return value;
	c->cell(p, size, value);
	return p;
}

static bool
is_vm(const struct status_row *r)
{
	return strcmp(r->kind, "vm") == 0;
}

static void
measure(const struct status *st, int *width)
{
	char cell[32];
	unsigned i;
	size_t k;
	int n;

	for (k = 0; k < NCOLUMNS; k++) {
		width[k] = strlen(columns[k].title);
		for (i = 0; i < st->nrows; i++) {
			if (!is_vm(&st->row[i]))
				continue;
			n = strlen(cell_text(&columns[k], &st->row[i], cell,
			    sizeof(cell)));
			if (n > width[k])
				width[k] = n;
		}
	}
}

/* One line of the table; the titles if `r` is NULL. */
static void
print_row(FILE *out, const struct status_row *r, const int *width)
{
	const char *message = "-";
	char cell[32];
	size_t k;

	for (k = 0; k < NCOLUMNS; k++) {
		if (k + 1 == NCOLUMNS)
			fprintf(out, "%s\n", cell_text(&columns[k], r, cell,
			    sizeof(cell)));
		else
			fprintf(out, columns[k].right ? "%*s  " : "%-*s  ",
			    width[k], cell_text(&columns[k], r, cell,
			    sizeof(cell)));
	}
	if (r != NULL)
		message = row_value(r, "message");
	if (strcmp(message, "-") != 0 && *message != '\0')
		fprintf(out, "  %s: %s\n", row_value(r, "name"), message);
}

static void
print_daemon(FILE *out, const struct status_row *r)
{
	char uptime[32];

	cell_uptime(uptime, sizeof(uptime), row_value(r, "uptime"));
	fprintf(out, "daemon %s: version %s, backend %s, pid %s, up %s, "
	    "worst callback %s us", row_value(r, "name"),
	    row_value(r, "version"), row_value(r, "backend"),
	    row_value(r, "pid"), uptime, row_value(r, "worst-callback-us"));
	if (strcmp(row_value(r, "pending"), "-") != 0)
		fprintf(out, ", %s", row_value(r, "pending"));
	fprintf(out, "\n");
}

void
status_print(const struct status *st, FILE *out)
{
	int width[NCOLUMNS];
	unsigned i;

	for (i = 0; i < st->nrows; i++)
		if (strcmp(st->row[i].kind, "daemon") == 0)
			print_daemon(out, &st->row[i]);
	measure(st, width);
	print_row(out, NULL, width);
	for (i = 0; i < st->nrows; i++)
		if (is_vm(&st->row[i]))
			print_row(out, &st->row[i], width);
}

/* The length of the UTF-8 character at `s`, or 0 if there is none. */
static size_t
utf8_length(const unsigned char *s)
{
	size_t n, i;

	if (s[0] < 0x80)
		return 1;
	n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	for (i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, beyond U+10FFFF. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

void
json_string(FILE *out, const char *s)
{
	size_t n;

	fputc('"', out);
	for (; *s != '\0'; s += n == 0 ? 1 : n) {
		n = utf8_length((const unsigned char *)s);
		if (n == 0)
			fputs("\\ufffd", out);
		else if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if ((unsigned char)*s < ' ' || *s == 0x7f)
			fprintf(out, "\\u%04x", (unsigned char)*s);
		else
			fwrite(s, 1, n, out);
	}
	fputc('"', out);
}

/* Is it a number as JSON writes them: no sign, no leading zero? */
static bool
is_number(const char *key, const char *s)
{
	size_t i, n;

	for (i = 0; i < sizeof(number_keys) / sizeof(number_keys[0]); i++)
		if (strcmp(number_keys[i], key) == 0)
			break;
	n = strspn(s, "0123456789");
	if (i == sizeof(number_keys) / sizeof(number_keys[0]) || n == 0 ||
	    (*s == '0' && n > 1))
		return false;
	if (s[n] == '.') {
		s += n + 1;
		n = strspn(s, "0123456789");
	}
	return n > 0 && s[n] == '\0';
}

static void
json_row(FILE *out, const struct status_row *r)
{
	unsigned i;

	fputc('{', out);
	for (i = 0; i < r->npairs; i++) {
		if (i > 0)
			fputs(", ", out);
		json_string(out, r->key[i]);
		fputs(": ", out);
		if (is_number(r->key[i], r->value[i]))
			fputs(r->value[i], out);
		else
			json_string(out, r->value[i]);
	}
	fputc('}', out);
}

void
status_print_json(const struct status *st, FILE *out)
{
	bool first = true;
	unsigned i;

	fputc('{', out);
	for (i = 0; i < st->nrows; i++) {
		if (strcmp(st->row[i].kind, "daemon") != 0)
			continue;
		fputs("\"daemon\": ", out);
		json_row(out, &st->row[i]);
		fputs(",\n ", out);
	}
	fputs("\"vms\": [", out);
	for (i = 0; i < st->nrows; i++) {
		if (!is_vm(&st->row[i]))
			continue;
		fputs(first ? "\n  " : ",\n  ", out);
		json_row(out, &st->row[i]);
		first = false;
	}
	fputs("]}\n", out);
}
