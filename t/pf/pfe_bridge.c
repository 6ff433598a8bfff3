/* SPDX-License-Identifier: ISC */
/*
 * Rules of bridge(4) and veb(4), one `ifconfig IF rule ...` a line.  At each
 * member and direction the first rule that matches decides; without any a
 * frame passes.  A member with blocknonip has neither in nor out anything but
 * IP, ARP and RARP.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pfe.h"

#define TYPE_ARP	0x0806
#define TYPE_RARP	0x8035

struct field {
	bool		given;
	uint8_t		value[6];
};

struct brule {
	struct brule	*next;
	char		bridge[16];
	char		member[16];
	bool		pass;
	unsigned	dirs;
	struct field	src, dst, sha, tha, spa, tpa;
	bool		arp, rarp;
	uint16_t	op;		/* 0: all */
	bool		nonip;		/* no rule: the member's option */
	bool		flush;		/* no rule: those before are gone */
	char		tag[64];
};

struct pfe_bridge {
	struct brule	*rules;
};

/* A line's words, and where an error goes. */
struct words {
	char		*word[40];
	unsigned	n, at;
	int		line;
	char		*err;
	size_t		size;
	bool		failed;
};

struct pfe_bridge *
pfe_bridge_create(void)
{
	struct pfe_bridge *b = calloc(1, sizeof(*b));

	assert(b != NULL);
	return b;
}

static void
drop_rules(struct brule *list)
{
	struct brule *r;

	while ((r = list) != NULL) {
		list = r->next;
		free(r);
	}
}

void
pfe_bridge_destroy(struct pfe_bridge *b)
{
	drop_rules(b->rules);
	free(b);
}

static void
fail(struct words *w, const char *what, const char *text)
{
	if (!w->failed)
		snprintf(w->err, w->size, "%d: %s%s%s%s", w->line, what,
		    text == NULL ? "" : " \"", text == NULL ? "" : text,
		    text == NULL ? "" : "\"");
	w->failed = true;
}

static bool
is(struct words *w, const char *word)
{
	if (w->failed || w->at >= w->n || strcmp(w->word[w->at], word) != 0)
		return false;
	w->at++;
	return true;
}

static const char *
take(struct words *w, const char *what)
{
	if (w->at >= w->n) {
		fail(w, "the line ends, expected", what);
		return "";
	}
	return w->word[w->at++];
}

static void
name(struct words *w, const char *what, char *to, size_t size)
{
	const char *word = take(w, what);

	if (strlen(word) >= size)
		fail(w, "too long:", word);
	else
		strcpy(to, word);
}

static void
once(struct words *w, struct field *f, const char *what)
{
	if (f->given)
		fail(w, "given twice:", what);
	f->given = true;
}

static void
mac(struct words *w, struct field *f, const char *what)
{
	const char *word;
	unsigned b[6], i;
	int end = 0;

	once(w, f, what);
	word = take(w, "a MAC address");
	if (w->failed)
		return;
	if (sscanf(word, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2],
	    &b[3], &b[4], &b[5], &end) != 6 || word[end] != '\0') {
		fail(w, "no MAC address:", word);
		return;
	}
	for (i = 0; i < 6; i++)
		f->value[i] = (uint8_t)b[i];
}

static void
ip(struct words *w, struct field *f, const char *what)
{
	const char *word;

	once(w, f, what);
	word = take(w, "an IPv4 address");
	if (!w->failed && inet_pton(AF_INET, word, f->value) != 1)
		fail(w, "no IPv4 address:", word);
}

static void
operation(struct words *w, struct brule *r, uint16_t op)
{
	if (r->op != 0)
		fail(w, "given twice:", "request or reply");
	r->op = (uint16_t)(r->rarp ? op + 2 : op);
}

/* What follows arp or rarp, in any order. */
static void
arp(struct words *w, struct brule *r)
{
	while (!w->failed && w->at < w->n) {
		if (is(w, "request"))
			operation(w, r, 1);
		else if (is(w, "reply"))
			operation(w, r, 2);
		else if (is(w, "sha"))
			mac(w, &r->sha, "sha");
		else if (is(w, "tha"))
			mac(w, &r->tha, "tha");
		else if (is(w, "spa"))
			ip(w, &r->spa, "spa");
		else if (is(w, "tpa"))
			ip(w, &r->tpa, "tpa");
		else
			return;
	}
}

static void
match(struct words *w, struct brule *r)
{
	while (!w->failed && w->at < w->n) {
		if (is(w, "src")) {
			mac(w, &r->src, "src");
		} else if (is(w, "dst")) {
			mac(w, &r->dst, "dst");
		} else if (is(w, "tag")) {
			if (r->tag[0] != '\0')
				fail(w, "given twice:", "tag");
			name(w, "a tag", r->tag, sizeof(r->tag));
		} else if (!r->arp && !r->rarp && is(w, "arp")) {
			r->arp = true;
			arp(w, r);
		} else if (!r->arp && !r->rarp && is(w, "rarp")) {
			r->rarp = true;
			arp(w, r);
		} else {
			fail(w, "unexpected", w->word[w->at]);
		}
	}
}

static void
direction(struct words *w, struct brule *r)
{
	if (is(w, "in"))
		r->dirs = PFE_IN;
	else if (is(w, "out"))
		r->dirs = PFE_OUT;
	else if (is(w, "in/out") || (w->at < w->n &&
	    strcmp(w->word[w->at], "on") == 0))
		r->dirs = PFE_IN | PFE_OUT;
	else
		fail(w, "expected", "in, out or on");
	if (!is(w, "on"))
		fail(w, "expected", "on");
}

/*
 * ifconfig IF rule (block | pass) [in | out | in/out] on MEMBER ...
 * ifconfig IF blocknonip MEMBER
 * ifconfig IF flushrule MEMBER
 */
static void
read_line(struct words *w, struct brule *r)
{
	if (!is(w, "ifconfig"))
		fail(w, "expected", "ifconfig");
	name(w, "a bridge", r->bridge, sizeof(r->bridge));
	r->flush = is(w, "flushrule");
	r->nonip = !r->flush && is(w, "blocknonip");
	if (r->flush || r->nonip) {
		name(w, "a member", r->member, sizeof(r->member));
		if (w->at < w->n)
			fail(w, "unexpected", w->word[w->at]);
		return;
	}
	if (!is(w, "rule"))
		fail(w, "expected", "rule, blocknonip or flushrule");
	r->pass = is(w, "pass");
	if (!r->pass && !is(w, "block"))
		fail(w, "expected", "block or pass");
	direction(w, r);
	name(w, "a member", r->member, sizeof(r->member));
	match(w, r);
}

static void
split(struct words *w, char *text)
{
	char *word, *rest;

	w->n = w->at = 0;
	for (word = strtok_r(text, " \t", &rest); word != NULL;
	    word = strtok_r(NULL, " \t", &rest)) {
		if (w->n == sizeof(w->word) / sizeof(w->word[0])) {
			fail(w, "too many words", NULL);
			return;
		}
		w->word[w->n++] = word;
	}
}

int
pfe_bridge_load(struct pfe_bridge *b, const char *text, char *err, size_t size)
{
	struct words w = { .err = err, .size = size };
	struct brule *list = NULL, **tail = &list;
	char *copy = strdup(text), *line, *rest;

	assert(copy != NULL);
	for (rest = copy; !w.failed && (line = strsep(&rest, "\n")) != NULL;) {
		w.line++;
		if (line[0] == '#')
			continue;
		split(&w, line);
		if (w.n == 0 || w.failed)
			continue;
		*tail = calloc(1, sizeof(**tail));
		assert(*tail != NULL);
		read_line(&w, *tail);
		tail = &(*tail)->next;
	}
	free(copy);
	if (w.failed) {
		drop_rules(list);
		return -EINVAL;
	}
	drop_rules(b->rules);
	b->rules = list;
	return 0;
}

static bool
has(const struct field *f, const uint8_t *value, size_t len)
{
	return !f->given || memcmp(f->value, value, len) == 0;
}

static bool
matches(const struct brule *r, const struct pfe_frame *f)
{
	if (!has(&r->src, f->src, 6) || !has(&r->dst, f->dst, 6))
		return false;
	if (!r->arp && !r->rarp)
		return true;
	return f->ethertype == (r->arp ? TYPE_ARP : TYPE_RARP) &&
	    (r->op == 0 || r->op == f->op) && has(&r->sha, f->sha, 6) &&
	    has(&r->tha, f->tha, 6) && has(&r->spa, f->spa, 4) &&
	    has(&r->tpa, f->tpa, 4);
}

static bool
is_ip(const struct pfe_frame *f)
{
	return f->ethertype == 0x0800 || f->ethertype == 0x86dd ||
	    f->ethertype == TYPE_ARP || f->ethertype == TYPE_RARP;
}

bool
pfe_bridge_run(const struct pfe_bridge *b, const char *bridge,
    const char *member, enum pfe_dir dir, const struct pfe_frame *f, char *tag)
{
	const struct brule *r, *first = b->rules;

	for (r = b->rules; r != NULL; r = r->next) {
		if (strcmp(r->bridge, bridge) != 0 ||
		    strcmp(r->member, member) != 0)
			continue;
		if (r->nonip && !is_ip(f))
			return false;
		if (r->flush)
			first = r;
	}
	for (r = first; r != NULL; r = r->next) {
		if (strcmp(r->bridge, bridge) != 0 ||
		    strcmp(r->member, member) != 0 || !(r->dirs & dir) ||
		    !matches(r, f))
			continue;
		if (r->tag[0] != '\0')
			strcpy(tag, r->tag);
		return r->pass;
	}
	return true;
}
