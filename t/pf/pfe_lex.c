/* SPDX-License-Identifier: ISC */
/*
 * Words of pf.conf(5): comments, lines continued by a backslash, quotes,
 * macros.  A macro's value is read in its place, and joins what follows it; in
 * a value no macro is expanded again.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pfe_int.h"

/* Reserved by 7.8's grammar, whether we read it or not; sorted. */
static const char *const reserved[] = {
	"af-to", "all", "allow-opts", "anchor", "antispoof", "any",
	"bandwidth", "binat-to", "bitmask", "block", "block-policy", "burst",
	"code", "debug", "default", "delay", "divert-packet", "divert-reply",
	"divert-to", "drop", "dup-to", "file", "fingerprints", "flags",
	"floating", "flows", "flush", "for", "fragment", "from", "global",
	"group", "hostid", "icmp-type", "icmp6-type", "if-bound", "in",
	"include", "inet", "inet6", "keep", "label", "least-states", "limit",
	"load", "log", "loginterface", "match", "matches", "max", "max-mss",
	"max-pkt-rate", "max-src-conn", "max-src-conn-rate", "max-src-nodes",
	"max-src-states", "min", "min-ttl", "modulate", "nat-to", "no",
	"no-df", "no-route", "no-sync", "on", "once", "optimization", "os",
	"out", "overload", "parent", "pass", "pflow", "port", "prio",
	"probability", "proto", "qlimit", "quantum", "queue", "quick",
	"random", "random-id", "rdomain", "rdr-to", "reassemble",
	"received-on", "reply-to", "return", "return-icmp", "return-icmp6",
	"return-rst", "round-robin", "route", "route-to", "rtable", "rule",
	"ruleset-optimization", "scrub", "set", "skip", "sloppy",
	"source-hash", "source-track", "state", "state-defaults",
	"state-policy", "static-port", "sticky-address", "syncookies",
	"synproxy", "table", "tag", "tagged", "timeout", "to", "tos", "ttl",
	"urpf-failed", "user", "weight",
};

static int
compare(const void *a, const void *b)
{
	return strcmp(a, *(const char *const *)b);
}

bool
pfe_reserved(const char *word)
{
	return bsearch(word, reserved, sizeof(reserved) / sizeof(reserved[0]),
	    sizeof(reserved[0]), compare) != NULL;
}

void
pfe_fail(struct pfe_read *r, const char *fmt, ...)
{
	char what[384];
	va_list ap;

	if (r->failed)
		return;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(r->err, r->size, "%d: %s", r->tokline, what);
	r->failed = true;
	r->kind = T_EOF;
	r->text[0] = '\0';
}

void
pfe_unexpected(struct pfe_read *r, const char *wanted)
{
	if (r->kind == T_EOF)
		pfe_fail(r, "the text ends, expected %s", wanted);
	else if (r->kind == T_EOL)
		pfe_fail(r, "the line ends, expected %s", wanted);
	else
		pfe_fail(r, "\"%s\", expected %s", r->text, wanted);
}

/* The next character: of the macro, else of the text; 0 at the end. */
static int
peek(struct pfe_read *r)
{
	if (r->expand != NULL && *r->expand != '\0')
		return (unsigned char)*r->expand;
	r->expand = NULL;
	while (r->pos[0] == '\\' && r->pos[1] == '\n') {
		r->pos += 2;
		r->line++;
	}
	return (unsigned char)*r->pos;
}

static int
take(struct pfe_read *r)
{
	int c = peek(r);

	if (c == '\0')
		return c;
	if (r->expand != NULL)
		r->expand++;
	else {
		if (c == '\n')
			r->line++;
		r->pos++;
	}
	return c;
}

static void
append(struct pfe_read *r, size_t *len, int c)
{
	if (*len + 1 >= sizeof(r->text)) {
		pfe_fail(r, "a word is too long");
		return;
	}
	r->text[(*len)++] = (char)c;
	r->text[*len] = '\0';
}

static void
quoted(struct pfe_read *r, int quote)
{
	size_t len = 0;
	int c;

	r->text[0] = '\0';
	r->kind = T_WORD;
	while (!r->failed && (c = take(r)) != quote) {
		if (c == '\0') {
			pfe_fail(r, "a quote is not closed");
			return;
		}
		if (c == '\\' && (peek(r) == quote || peek(r) == ' ' ||
		    peek(r) == '\t'))
			c = take(r);
		if (c != '\n')
			append(r, &len, c);
	}
}

static bool
in_word(int c)
{
	return c != '\0' && (isalnum(c) ||
	    (ispunct(c) && strchr("(){}<>!=/#,", c) == NULL));
}

static bool
ends_number(int c)
{
	return c == '\0' || isspace(c) || strchr("),/}=", c) != NULL;
}

/* A word, a reserved one, or, all digits, a number. */
static void
word(struct pfe_read *r)
{
	size_t len = 0;
	char *end;

	r->text[0] = '\0';
	while (!r->failed && in_word(peek(r)))
		append(r, &len, take(r));
	if (r->failed)
		return;
	r->kind = pfe_reserved(r->text) ? T_KEY : T_WORD;
	if (strspn(r->text, "0123456789") == len && len < 18 &&
	    ends_number(peek(r))) {
		r->num = strtoul(r->text, &end, 10);
		r->kind = T_NUM;
	}
}

static void
symbol(struct pfe_read *r)
{
	static const char *const two[] = { "<=", ">=", "<>", "><", "!=" };
	char pair[3] = "";
	size_t i;

	pair[0] = (char)take(r);
	pair[1] = (char)peek(r);
	r->kind = T_SYM;
	for (i = 0; i < sizeof(two) / sizeof(two[0]); i++)
		if (strcmp(pair, two[i]) == 0) {
			take(r);
			strcpy(r->text, pair);
			return;
		}
	pair[1] = '\0';
	strcpy(r->text, pair);
}

static void
expand(struct pfe_read *r)
{
	const struct pfe_macro *m;
	size_t len = 0;

	take(r);
	r->text[0] = '\0';
	while (isalnum(peek(r)) || peek(r) == '_')
		append(r, &len, take(r));
	for (m = r->macros; m != NULL; m = m->next)
		if (strcmp(m->name, r->text) == 0) {
			r->expand = m->value;
			return;
		}
	pfe_fail(r, "macro $%.*s is not defined", PFE_NAME, r->text);
}

void
pfe_next(struct pfe_read *r)
{
	int c;

	if (r->failed)
		return;
	for (;;) {
		while (peek(r) == ' ' || peek(r) == '\t')
			take(r);
		r->tokline = r->line;
		if (peek(r) == '#') {
			while (peek(r) != '\n' && peek(r) != '\0')
				take(r);
		}
		if (peek(r) != '$' || r->expand != NULL)
			break;
		expand(r);
		if (r->failed)
			return;
	}
	c = peek(r);
	if (c == '\0') {
		r->kind = T_EOF;
		strcpy(r->text, "");
	} else if (c == '\n') {
		take(r);
		r->kind = T_EOL;
		strcpy(r->text, "");
	} else if (c == '"' || c == '\'') {
		take(r);
		quoted(r, c);
	} else if (isalnum(c) || c == ':' || c == '_') {
		word(r);
	} else {
		symbol(r);
	}
}

bool
pfe_at_key(const struct pfe_read *r, const char *key)
{
	return r->kind == T_KEY && strcmp(r->text, key) == 0;
}

bool
pfe_at_sym(const struct pfe_read *r, const char *sym)
{
	return r->kind == T_SYM && strcmp(r->text, sym) == 0;
}

bool
pfe_key(struct pfe_read *r, const char *key)
{
	if (!pfe_at_key(r, key))
		return false;
	pfe_next(r);
	return true;
}

bool
pfe_sym(struct pfe_read *r, const char *sym)
{
	if (!pfe_at_sym(r, sym))
		return false;
	pfe_next(r);
	return true;
}

void
pfe_want_sym(struct pfe_read *r, const char *sym)
{
	if (!pfe_sym(r, sym))
		pfe_unexpected(r, sym);
}

void
pfe_want_key(struct pfe_read *r, const char *key)
{
	if (!pfe_key(r, key))
		pfe_unexpected(r, key);
}

unsigned long
pfe_want_num(struct pfe_read *r, const char *what, unsigned long max)
{
	unsigned long n = r->num;

	if (r->kind != T_NUM) {
		pfe_unexpected(r, what);
		return 0;
	}
	if (n > max) {
		pfe_fail(r, "%s %lu is too large", what, n);
		return 0;
	}
	pfe_next(r);
	return n;
}

void
pfe_want_word(struct pfe_read *r, const char *what, char *to, size_t size)
{
	if (r->kind != T_WORD) {
		pfe_unexpected(r, what);
		return;
	}
	if (strlen(r->text) >= size) {
		pfe_fail(r, "%s %s is too long", what, r->text);
		return;
	}
	strcpy(to, r->text);
	pfe_next(r);
}

/* Ends of lines may follow an item or the brace, but no comma. */
void
pfe_list(struct pfe_read *r, void (*item)(struct pfe_read *, void *),
    void *arg)
{
	if (!pfe_sym(r, "{")) {
		item(r, arg);
		return;
	}
	while (r->kind == T_EOL)
		pfe_next(r);
	do {
		item(r, arg);
		while (r->kind == T_EOL)
			pfe_next(r);
	} while (!r->failed && (pfe_sym(r, ",") || !pfe_at_sym(r, "}")));
	pfe_want_sym(r, "}");
}

/* NAME has been read, `=` follows: words and numbers up to the line's end. */
void
pfe_read_macro(struct pfe_read *r, const char *name)
{
	struct pfe_macro *m = pfe_alloc(r->pf, sizeof(*m));
	char value[2048] = "";
	size_t len;

	if (strpbrk(name, " \t") != NULL || strlen(name) >= sizeof(m->name)) {
		pfe_fail(r, "\"%s\" is no name of a macro", name);
		return;
	}
	pfe_next(r);
	do {
		if (r->kind != T_WORD && r->kind != T_NUM) {
			pfe_unexpected(r, "a macro's value");
			return;
		}
		len = strlen(value);
		if (len + strlen(r->text) + 2 > sizeof(value)) {
			pfe_fail(r, "the value of %s is too long", name);
			return;
		}
		sprintf(value + len, "%s%s", len == 0 ? "" : " ", r->text);
		pfe_next(r);
	} while (r->kind != T_EOL && r->kind != T_EOF);
	strcpy(m->name, name);
	m->value = pfe_alloc(r->pf, strlen(value) + 1);
	strcpy(m->value, value);
	m->next = r->macros;
	r->macros = m;
}
