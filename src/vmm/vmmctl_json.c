/* SPDX-License-Identifier: ISC */
/*
 * Rows as JSON: see vmmctl_json.h.
 */
#include "vmm/vmmctl_json.h"

#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"

/* Keys whose values are numbers in JSON. */
static const char *const number_keys[] = {
	"memory", "vcpus", "uptime", "next-start", "cpu", "guest-time",
	"exits", "boots", "pid", "kicks", "ports", "msrs", "windows",
	"interrupt-ends", "halts", "triple-faults", "errors", "inside",
	"guests", "clients", "worst-callback-us", "id", "steal",
	"in-packets", "in-bytes", "in-lost", "in-waits", "in-answered",
	"out-packets", "out-bytes", "out-lost", "out-waits", "out-answered",
	"size", "allocated", "cluster-size", "refcount-bits",
	"corruptions", "leaks", "corruptions-fixed", "leaks-fixed",
	"clusters", "clusters-used",
};

void
json_string(FILE *out, const char *s)
{
	size_t n;

	fputc('"', out);
	for (; *s != '\0'; s += n == 0 ? 1 : n) {
		n = utf8_length(s);
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
json_row(FILE *out, const struct row *r)
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
json_line(FILE *out, const struct row *r)
{
	fputc('{', out);
	json_string(out, r->kind);
	fputs(": ", out);
	json_row(out, r);
	fputs("}\n", out);
}

/* Is it the first of its kind? */
static bool
is_first(const struct rows *rs, unsigned i)
{
	unsigned k;

	for (k = 0; k < i; k++)
		if (strcmp(rs->row[k].kind, rs->row[i].kind) == 0)
			return false;
	return true;
}

/* Those of the kind of row `i`, from there on. */
static void
json_kind(FILE *out, const struct rows *rs, unsigned i)
{
	const char *kind = rs->row[i].kind;
	unsigned k;

	/* The error that ends the answer has that name. */
	json_string(out, strcmp(kind, "error") == 0 ? "errors" : kind);
	fputs(": [", out);
	for (k = i; k < rs->n; k++) {
		if (strcmp(rs->row[k].kind, kind) != 0)
			continue;
		if (k > i)
			fputs(", ", out);
		json_row(out, &rs->row[k]);
	}
	fputs("], ", out);
}

void
json_reply(FILE *out, const struct rows *rs, const char *code,
    const char *text)
{
	unsigned i;

	fputc('{', out);
	for (i = 0; i < rs->n; i++)
		if (is_first(rs, i))
			json_kind(out, rs, i);
	if (code == NULL) {
		fputs("\"ok\": true}\n", out);
		return;
	}
	fputs("\"error\": {\"code\": ", out);
	json_string(out, code);
	fputs(", \"message\": ", out);
	json_string(out, text);
	fputs("}}\n", out);
}

/* The rows of a kind, an array. */
static void
json_array(FILE *out, const struct rows *rs, const char *kind)
{
	bool first = true;
	unsigned i;

	fputc('[', out);
	for (i = 0; i < rs->n; i++) {
		if (strcmp(rs->row[i].kind, kind) != 0)
			continue;
		fputs(first ? "\n  " : ",\n  ", out);
		json_row(out, &rs->row[i]);
		first = false;
	}
	fputc(']', out);
}

void
json_status(FILE *out, const struct rows *rs)
{
	bool nics = false;
	unsigned i;

	fputc('{', out);
	for (i = 0; i < rs->n; i++) {
		nics |= strcmp(rs->row[i].kind, "nic") == 0;
		if (strcmp(rs->row[i].kind, "daemon") != 0)
			continue;
		fputs("\"daemon\": ", out);
		json_row(out, &rs->row[i]);
		fputs(",\n ", out);
	}
	fputs("\"vms\": ", out);
	json_array(out, rs, "vm");
	if (nics) {
		fputs(",\n \"nics\": ", out);
		json_array(out, rs, "nic");
	}
	fputs("}\n", out);
}
