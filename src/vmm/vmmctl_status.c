/* SPDX-License-Identifier: ISC */
/*
 * Rows for people to read: see vmmctl_status.h.
 */
#include "vmm/vmmctl_status.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

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
cell_text(const struct column *c, const struct row *r, char *p,
    size_t size)
{
	const char *value;

	if (r == NULL)
		return c->title;
	value = row_value(r, c->key, "-");
	if (c->cell == NULL)
		return value;
	c->cell(p, size, value);
	return p;
}

static bool
is_vm(const struct row *r)
{
	return strcmp(r->kind, "vm") == 0;
}

static void
measure(const struct rows *rs, int *width)
{
	char cell[32];
	unsigned i;
	size_t k;
	int n;

	for (k = 0; k < NCOLUMNS; k++) {
		width[k] = strlen(columns[k].title);
		for (i = 0; i < rs->n; i++) {
			if (!is_vm(&rs->row[i]))
				continue;
			n = strlen(cell_text(&columns[k], &rs->row[i], cell,
			    sizeof(cell)));
			if (n > width[k])
				width[k] = n;
		}
	}
}

/* One line of the table; the titles if `r` is NULL. */
static void
print_row(FILE *out, const struct row *r, const int *width)
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
		message = row_value(r, "message", "-");
	if (strcmp(message, "-") != 0 && *message != '\0')
		fprintf(out, "  %s: %s\n", row_value(r, "name", "-"), message);
}

static void
print_daemon(FILE *out, const struct row *r)
{
	char uptime[32];

	cell_uptime(uptime, sizeof(uptime), row_value(r, "uptime", "-"));
	fprintf(out, "daemon %s: version %s, backend %s, pid %s, up %s, "
	    "worst callback %s us", row_value(r, "name", "-"),
	    row_value(r, "version", "-"), row_value(r, "backend", "-"),
	    row_value(r, "pid", "-"), uptime,
	    row_value(r, "worst-callback-us", "-"));
	if (strcmp(row_value(r, "pending", "-"), "-") != 0)
		fprintf(out, ", %s", row_value(r, "pending", "-"));
	fprintf(out, "\n");
}

void
status_print(FILE *out, const struct rows *rs)
{
	int width[NCOLUMNS];
	unsigned i;

	for (i = 0; i < rs->n; i++)
		if (strcmp(rs->row[i].kind, "daemon") == 0)
			print_daemon(out, &rs->row[i]);
	measure(rs, width);
	print_row(out, NULL, width);
	for (i = 0; i < rs->n; i++)
		if (is_vm(&rs->row[i]))
			print_row(out, &rs->row[i], width);
}

static void
print_pair(FILE *out, const char *key, const char *value)
{
	fprintf(out, "%-13s %s", key, *value == '\0' ? "-" : value);
}

/* The same word may be a key of several kinds: memory is one of all. */
static void
print_heading(FILE *out, const struct rows *rs, unsigned i)
{
	if (i > 0 && strcmp(rs->row[i].kind, rs->row[i - 1].kind) != 0)
		fprintf(out, "\n%s:\n", rs->row[i].kind);
}

void
show_print(FILE *out, const struct rows *rs)
{
	const struct row *r;
	const char *next;
	unsigned i, k;

	for (i = 0; i < rs->n; i++) {
		r = &rs->row[i];
		print_heading(out, rs, i);
		if (strcmp(r->kind, "config") == 0) {
			next = row_value(r, "next", NULL);
			print_pair(out, row_value(r, "key", "-"),
			    row_value(r, "value", "-"));
			if (next != NULL)
				fprintf(out, " (next start: %s)", next);
			fputc('\n', out);
			continue;
		}
		for (k = 0; k < r->npairs; k++) {
			print_pair(out, r->key[k], r->value[k]);
			fputc('\n', out);
		}
	}
}
