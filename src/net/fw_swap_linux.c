/* SPDX-License-Identifier: ISC */
/*
 * The steps in which nftables' text takes the place of one before: see
 * fw_load_linux.h.
 *
 * Rules are replaced at once by a transaction, but elements of a new set appear
 * one by one when it is done, while its rules look into the set already.  So
 * whatever has elements is there, complete, before anything refers to it.
 */
#include "net/fw_load_linux.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME	192

/* A text as it is read. */
struct reader {
	struct fw_swap	*s;
	unsigned	 number;	/* of the text, in the names of all it has */
	struct buf	 sets, chains;	/* s->remove, behind what empties them */
	char		 table[NAME + 8];	/* "inet vmmd" */
	int		 error;
};

__attribute__((__format__(__printf__, 3, 4)))
static void
put(struct reader *r, struct buf *b, const char *fmt, ...)
{
	char line[FW_SWAP_LINE + 4 * NAME];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line))
		n = -ENOBUFS;
	else
		n = buf_append(b, line, (size_t)n);
	if (r->error == 0)
		r->error = n;
}

static size_t
name_length(const char *p)
{
	size_t n = 0;

	while (isalnum((unsigned char)p[n]) || (p[n] != '\0' &&
	    strchr("._-/", p[n]) != NULL))
		n++;
	return n;
}

/*
 * The length of a name behind p that refers to a set or a chain, 0: none.
 * Bytes of a packet look like a set, @th,64,128.
 */
static size_t
reference(const char *p, const char **name)
{
	size_t n;

	if (*p == '@') {
		*name = p + 1;
		n = name_length(p + 1);
		return p[1 + n] == ',' ? 0 : n;
	}
	if (strncmp(p, "goto ", 5) != 0 && strncmp(p, "jump ", 5) != 0)
		return 0;
	*name = p + 5;
	return name_length(p + 5);
}

/* A line, with the number at each name that it refers to. */
static void
put_line(struct reader *r, struct buf *b, const char *line)
{
	const char *name, *p = line, *from = line;
	bool quoted = false;
	size_t n;

	for (; *p != '\0'; p++) {
		quoted ^= *p == '"';
		n = quoted ? 0 : reference(p, &name);
		if (n == 0)
			continue;
		put(r, b, "%.*s/%u", (int)(name + n - from), from, r->number);
		from = name + n;
		p = from - 1;
	}
	put(r, b, "%s\n", from);
}

/* A chain with a hook does nothing but jump to the one with its rules. */
static void
read_chain(struct reader *r, const char *name, const char *hook)
{
	if (strncmp(hook, "\t\ttype ", 7) == 0) {
		put(r, &r->s->add, "\tchain %s {\n%.*s\n\t}\n", name,
		    (int)strcspn(hook, "\n"), hook);
		put(r, &r->s->turn, "flush chain %s %s\n"
		    "add rule %s %s jump %s/%u\n", r->table, name, r->table,
		    name, name, r->number);
	}
	put(r, &r->s->add, "\tchain %s/%u {\n", name, r->number);
	put(r, &r->s->remove, "flush chain %s %s/%u\n", r->table, name,
	    r->number);
	put(r, &r->chains, "delete chain %s %s/%u\n", r->table, name,
	    r->number);
}

/* A line; what follows it is at `next`. */
static void
read_line(struct reader *r, const char *line, const char *next)
{
	char kind[8], name[NAME], family[8];

	if (sscanf(line, "table %7s %150s {", family, name) == 2)
		snprintf(r->table, sizeof(r->table), "%s %s", family, name);
	if (strncmp(line, "\t\ttype ", 7) == 0 && strstr(line, " hook "))
		return;
	if (line[0] != '\t' || line[1] == '\t' ||
	    sscanf(line, "\t%7s %150s {", kind, name) != 2) {
		put_line(r, &r->s->add, line);
		return;
	}
	if (strcmp(kind, "chain") == 0) {
		read_chain(r, name, next);
	} else if (strcmp(kind, "set") == 0 || strcmp(kind, "map") == 0) {
		put(r, &r->s->add, "\t%s %s/%u {\n", kind, name, r->number);
		put(r, &r->sets, "delete %s %s %s/%u\n", kind, r->table, name,
		    r->number);
	} else {
		put_line(r, &r->s->add, line);
	}
}

static void
put_all(struct reader *r, struct buf *to, struct buf *from)
{
	if (r->error == 0 && from->len > 0)
		r->error = buf_append(to, buf_head(from), from->len);
	buf_free(from);
}

int
fw_swap_make(struct fw_swap *s, const char *text, unsigned number)
{
	struct reader r = { .s = s, .number = number };
	const char *p, *next, *body = strstr(text, "\n\n");
	char line[FW_SWAP_LINE];

	buf_init(&s->add, FW_SWAP_MAX);
	buf_init(&s->turn, FW_SWAP_MAX);
	buf_init(&s->remove, FW_SWAP_MAX);
	buf_init(&r.sets, FW_SWAP_MAX);
	buf_init(&r.chains, FW_SWAP_MAX);
	for (p = body != NULL ? body + 1 : ""; *p != '\0'; p = next) {
		next = p + strcspn(p, "\n");
		if ((size_t)(next - p) >= sizeof(line)) {
			r.error = -ENOBUFS;
			break;
		}
		snprintf(line, sizeof(line), "%.*s", (int)(next - p), p);
		next += *next == '\n';
		read_line(&r, line, next);
	}
	put_all(&r, &s->remove, &r.sets);
	put_all(&r, &s->remove, &r.chains);
	put(&r, &s->add, "%c", '\0');
	put(&r, &s->turn, "%c", '\0');
	put(&r, &s->remove, "%c", '\0');
	if (r.error != 0)
		fw_swap_free(s);
	return r.error;
}

void
fw_swap_free(struct fw_swap *s)
{
	buf_free(&s->add);
	buf_free(&s->turn);
	buf_free(&s->remove);
}
