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

struct column {
	const char	*key;
	const char	*title;
	bool		 right;
	void		(*cell)(char *p, size_t size, const char *value);
};

/* The rows of one kind. */
struct table {
	const char		*kind;
	const struct column	*column;
	size_t			 ncolumns;
};

#define COLUMNS_MAX	10

static const struct column vm_columns[] = {
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

static const struct column vcpu_columns[] = {
	{ "id", "VCPU", true, NULL },
	{ "cpu", "CPU", true, NULL },
	{ "guest-time", "GUEST-TIME", true, NULL },
	{ "steal", "STEAL", true, NULL },
	{ "exits", "EXITS", true, NULL },
	{ "inside", "INSIDE", true, NULL },
	{ "kicks", "KICKS", true, NULL },
	{ "ports", "PORTS", true, NULL },
	{ "affinity", "AFFINITY", false, NULL },
};

static const struct column nic_columns[] = {
	{ "id", "NIC", true, NULL },
	{ "switch", "SWITCH", false, NULL },
	{ "tap", "TAP", false, NULL },
	{ "lladdr", "LLADDR", false, NULL },
	{ "address", "ADDRESS", false, NULL },
	{ "link", "LINK", false, NULL },
	{ "in-packets", "IN-PKTS", true, NULL },
	{ "in-bytes", "IN-BYTES", true, NULL },
	{ "out-packets", "OUT-PKTS", true, NULL },
	{ "out-bytes", "OUT-BYTES", true, NULL },
};

#define NCOLUMNS(c)	(sizeof(c) / sizeof((c)[0]))
_Static_assert(NCOLUMNS(vm_columns) <= COLUMNS_MAX, "room for widths");
_Static_assert(NCOLUMNS(vcpu_columns) <= COLUMNS_MAX, "room for widths");
_Static_assert(NCOLUMNS(nic_columns) <= COLUMNS_MAX, "room for widths");

static const struct table vm_table = {
	"vm", vm_columns, NCOLUMNS(vm_columns),
};
static const struct table vcpu_table = {
	"vcpu", vcpu_columns, NCOLUMNS(vcpu_columns),
};
static const struct table nic_table = {
	"nic", nic_columns, NCOLUMNS(nic_columns),
};

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

static void
measure(const struct table *t, const struct rows *rs, int *width)
{
	char cell[32];
	unsigned i;
	size_t k;
	int n;

	for (k = 0; k < t->ncolumns; k++) {
		width[k] = strlen(t->column[k].title);
		for (i = 0; i < rs->n; i++) {
			if (strcmp(rs->row[i].kind, t->kind) != 0)
				continue;
			n = strlen(cell_text(&t->column[k], &rs->row[i], cell,
			    sizeof(cell)));
			if (n > width[k])
				width[k] = n;
		}
	}
}

/* One line of the table; the titles if `r` is NULL. */
static void
print_row(FILE *out, const struct table *t, const struct row *r,
    const int *width)
{
	const char *message = "-";
	const char *text;
	char cell[32];
	size_t k;
	bool last;

	for (k = 0; k < t->ncolumns; k++) {
		text = cell_text(&t->column[k], r, cell, sizeof(cell));
		last = k + 1 == t->ncolumns;
		if (t->column[k].right)
			fprintf(out, "%*s", width[k], text);
		else
			fprintf(out, "%-*s", last ? 0 : width[k], text);
		fputs(last ? "\n" : "  ", out);
	}
	if (r != NULL)
		message = row_value(r, "message", "-");
	if (strcmp(message, "-") != 0 && *message != '\0')
		fprintf(out, "  %s: %s\n", row_value(r, "name", "-"), message);
}

static void
print_table(FILE *out, const struct table *t, const struct rows *rs)
{
	int width[COLUMNS_MAX];
	unsigned i;

	measure(t, rs, width);
	print_row(out, t, NULL, width);
	for (i = 0; i < rs->n; i++)
		if (strcmp(rs->row[i].kind, t->kind) == 0)
			print_row(out, t, &rs->row[i], width);
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
	unsigned i;

	for (i = 0; i < rs->n; i++)
		if (strcmp(rs->row[i].kind, "daemon") == 0)
			print_daemon(out, &rs->row[i]);
	print_table(out, &vm_table, rs);
	for (i = 0; i < rs->n; i++)
		if (strcmp(rs->row[i].kind, nic_table.kind) == 0) {
			fputc('\n', out);
			print_table(out, &nic_table, rs);
			break;
		}
}

static void
print_pair(FILE *out, const char *key, const char *value)
{
	fprintf(out, "%-13s %s", key, *value == '\0' ? "-" : value);
}

static void
print_config(FILE *out, const struct row *r)
{
	const char *next = row_value(r, "next", NULL);

	print_pair(out, row_value(r, "key", "-"), row_value(r, "value", "-"));
	if (next != NULL)
		fprintf(out, " (next start: %s)", next);
	fputc('\n', out);
}

static void
print_pairs(FILE *out, const struct row *r)
{
	unsigned k;

	for (k = 0; k < r->npairs; k++) {
		print_pair(out, r->key[k], r->value[k]);
		fputc('\n', out);
	}
}

/* The table of what is shown in one, or NULL. */
static const struct table *
table_of(const char *kind)
{
	if (strcmp(kind, vcpu_table.kind) == 0)
		return &vcpu_table;
	return strcmp(kind, nic_table.kind) == 0 ? &nic_table : NULL;
}

void
show_print(FILE *out, const struct rows *rs)
{
	const struct table *t;
	const struct row *r;
	unsigned i;
	bool first;

	for (i = 0; i < rs->n; i++) {
		r = &rs->row[i];
		t = table_of(r->kind);
		first = i == 0 || strcmp(r->kind, rs->row[i - 1].kind) != 0;
		/* The same word may be a key of several kinds, as memory is. */
		if (i > 0 && first)
			fprintf(out, "\n%s:\n", r->kind);
		if (strcmp(r->kind, "config") == 0)
			print_config(out, r);
		else if (t == NULL)
			print_pairs(out, r);
		else if (first)
			print_table(out, t, rs);
	}
}

/* A guest's name says what it is of; another could be any word. */
static bool
needs_kind(const char *key)
{
	return strcmp(key, "switch") == 0 || strcmp(key, "policy") == 0;
}

void
values_print(FILE *out, const struct rows *rs)
{
	const struct row *r;
	unsigned k;

	for (r = rs->row; r < rs->row + rs->n; r++)
		for (k = 0; k < r->npairs; k++)
			fprintf(out, "%s%s%s%s",
			    needs_kind(r->key[k]) ? r->key[k] : "",
			    needs_kind(r->key[k]) ? " " : "", r->value[k],
			    k + 1 < r->npairs ? " " : "\n");
}
