/* SPDX-License-Identifier: ISC */
/*
 * Finds chains of others that may drop what our rules let pass: a packet is
 * accepted only if all tables accept it.  Reads what `nft list ruleset` prints,
 * a line a statement, indented by tabs: a table, in it chains, in them rules.
 */
#include "net/fw_load_linux.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME	128	/* what the kernel takes, and more than we tell */

struct chain {
	char	 table[NAME];	/* "inet filter" */
	char	 name[NAME];
	bool	 forward;	/* begins at that hook, or at input */
	bool	 input;
	bool	 policy;	/* drops what gets to its end */
	bool	 drops;		/* has a rule that does */
};

struct jump {
	size_t	 from;		/* index of the chain */
	char	 to[NAME];
};

struct reader {
	struct chain	*chains;
	size_t		 n, cap;
	struct jump	*jumps;
	size_t		 njumps, jumpcap;
	char		 table[NAME];
	bool		 skip;		/* the table is one of a vmmd */
	bool		 in_chain;
};

static int
grow(void **v, size_t n, size_t *cap, size_t size)
{
	void *p;

	if (n < *cap)
		return 0;
	p = reallocarray(*v, *cap * 2 + 16, size);
	if (p == NULL)
		return -ENOMEM;
	*v = p;
	*cap = *cap * 2 + 16;
	return 0;
}

/* The next word, which ends at a blank or at ; , } of nft's grammar. */
static bool
next_word(const char **p, char out[NAME])
{
	size_t n;

	*p += strspn(*p, " \t;,{}:");
	n = strcspn(*p, " \t;,{}:");
	if (n == 0)
		return false;
	snprintf(out, NAME, "%.*s", (int)n, *p);
	*p += n;
	return true;
}

/* "table inet filter {" */
static void
read_table(struct reader *r, const char *line)
{
	char family[NAME], name[NAME];
	const char *p = line + strlen("table");

	r->skip = !next_word(&p, family) || !next_word(&p, name) ||
	    (strcmp(family, "inet") != 0 && strcmp(family, "ip") != 0 &&
	    strcmp(family, "ip6") != 0 && strcmp(family, "bridge") != 0) ||
	    strcmp(name, "vmmd") == 0 || strncmp(name, "vmmd-", 5) == 0;
	if (!r->skip)
		snprintf(r->table, sizeof(r->table), "%.8s %.100s", family,
		    name);
}

static int
begin_chain(struct reader *r, const char *p)
{
	struct chain *c;
	int error;

	error = grow((void **)&r->chains, r->n, &r->cap, sizeof(*c));
	if (error != 0)
		return error;
	c = &r->chains[r->n++];
	memset(c, 0, sizeof(*c));
	snprintf(c->table, sizeof(c->table), "%s", r->table);
	r->in_chain = next_word(&p, c->name);
	return 0;
}

/* "type filter hook forward priority filter; policy drop;" */
static void
read_hook(struct chain *c, const char *p)
{
	char word[NAME], before[NAME] = "";

	while (next_word(&p, word)) {
		if (strcmp(before, "hook") == 0) {
			c->forward = strcmp(word, "forward") == 0;
			c->input = strcmp(word, "input") == 0;
		}
		if (strcmp(before, "policy") == 0)
			c->policy = strcmp(word, "drop") == 0;
		memcpy(before, word, sizeof(before));
	}
}

static int
add_jump(struct reader *r, const char *to)
{
	struct jump *j;
	int error;

	error = grow((void **)&r->jumps, r->njumps, &r->jumpcap, sizeof(*j));
	if (error != 0)
		return error;
	j = &r->jumps[r->njumps++];
	j->from = r->n - 1;
	snprintf(j->to, sizeof(j->to), "%s", to);
	return 0;
}

/* What nobody could want is dropped by many, and is no allowed packet's end. */
static bool
is_harmless(const char *line)
{
	return strstr(line, "ct state invalid drop") != NULL ||
	    strstr(line, "ct state invalid counter drop") != NULL;
}

static int
read_rule(struct reader *r, const char *line)
{
	struct chain *c = &r->chains[r->n - 1];
	char word[NAME], before[NAME] = "";
	const char *p = line;
	int error = 0;

	if (strncmp(line, "type ", 5) == 0) {
		read_hook(c, line);
		return 0;
	}
	if (is_harmless(line))
		return 0;
	while (error == 0 && next_word(&p, word)) {
		/* A text may have any words in it. */
		if (word[0] == '"')
			p += strcspn(p, "\"");
		if (strcmp(word, "drop") == 0 || strcmp(word, "reject") == 0)
			c->drops = true;
		if (strcmp(before, "jump") == 0 || strcmp(before, "goto") == 0)
			error = add_jump(r, word);
		memcpy(before, word, sizeof(before));
	}
	return error;
}

static int
read_line(struct reader *r, const char *line)
{
	if (strncmp(line, "table ", 6) == 0) {
		read_table(r, line);
		return 0;
	}
	if (r->skip)
		return 0;
	if (strncmp(line, "\tchain ", 7) == 0)
		return begin_chain(r, line + 7);
	if (strncmp(line, "\t}", 2) == 0)
		r->in_chain = false;
	if (r->in_chain && strncmp(line, "\t\t", 2) == 0)
		return read_rule(r, line + 2);
	return 0;
}

/* What a chain jumps to begins where it does. */
static void
follow_jumps(struct reader *r)
{
	const struct chain *from;
	struct chain *to;
	bool more = true;
	size_t i, k;

	while (more) {
		more = false;
		for (i = 0; i < r->njumps; i++)
			for (k = 0; k < r->n; k++) {
				from = &r->chains[r->jumps[i].from];
				to = &r->chains[k];
				if (strcmp(to->name, r->jumps[i].to) != 0 ||
				    strcmp(to->table, from->table) != 0)
					continue;
				more |= (from->forward && !to->forward) ||
				    (from->input && !to->input);
				to->forward |= from->forward;
				to->input |= from->input;
			}
	}
}

static int
tell(const struct chain *c, struct buf *b)
{
	if ((!c->forward && !c->input) || (!c->policy && !c->drops))
		return 0;
	return buf_printf(b, "table %s, chain %s: %s, and may drop what %s\n",
	    c->table, c->name,
	    c->policy ? "its policy is drop" : "it has a rule that drops",
	    c->forward ? "guests may send or get" :
	    "guests may send to this host");
}

int
fw_conflicts_read(const char *listed, struct buf *warnings)
{
	struct reader r = { .skip = true };
	char *text, *line, *save = NULL;
	int error = 0;
	size_t i;

	text = strdup(listed);
	if (text == NULL)
		return -ENOMEM;
	for (line = strtok_r(text, "\n", &save); line != NULL && error == 0;
	    line = strtok_r(NULL, "\n", &save))
		error = read_line(&r, line);
	follow_jumps(&r);
	for (i = 0; i < r.n && error == 0; i++)
		error = tell(&r.chains[i], warnings);
	free(r.chains);
	free(r.jumps);
	free(text);
	return error;
}
