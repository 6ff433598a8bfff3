/* SPDX-License-Identifier: ISC */
/*
 * The evaluator's object; statements of a text; anchors and antispoof.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pfe_int.h"

#define MAX_DEPTH	64

struct pfe_block {
	struct pfe_block *next;
	_Alignas(max_align_t) char data[];
};

void *
pfe_alloc(struct pfe *pf, size_t size)
{
	struct pfe_block *b = calloc(1, sizeof(*b) + size);

	assert(b != NULL);
	b->next = pf->blocks;
	pf->blocks = b;
	return b->data;
}

struct pfe *
pfe_create(void)
{
	struct pfe *pf = calloc(1, sizeof(*pf));

	assert(pf != NULL);
	return pf;
}

void
pfe_destroy(struct pfe *pf)
{
	struct pfe_block *b;

	pfe_flush(pf);
	while ((b = pf->blocks) != NULL) {
		pf->blocks = b->next;
		free(b);
	}
	free(pf);
}

static void
parse_net(struct pfe_net *n, char *text)
{
	char *slash = strchr(text, '/');

	assert(slash != NULL);
	*slash = '\0';
	if (pfe_net_parse(n, text, atoi(slash + 1)) != 0)
		abort();
}

void
pfe_iface(struct pfe *pf, const char *name, unsigned rdomain,
    const char *groups, const char *nets)
{
	struct pfe_if *i = pfe_alloc(pf, sizeof(*i)), **at = &pf->ifs;
	char text[512], *word, *rest;

	assert(strlen(name) < sizeof(i->name));
	strcpy(i->name, name);
	i->rdomain = rdomain;
	snprintf(text, sizeof(text), "%s", groups);
	for (word = strtok_r(text, " ", &rest); word != NULL;
	    word = strtok_r(NULL, " ", &rest)) {
		assert(i->ngroups < 8);
		snprintf(i->groups[i->ngroups++], 16, "%s", word);
	}
	snprintf(text, sizeof(text), "%s", nets);
	for (word = strtok_r(text, " ", &rest); word != NULL;
	    word = strtok_r(NULL, " ", &rest)) {
		assert(i->nnets < 8);
		parse_net(&i->nets[i->nnets++], word);
	}
	while (*at != NULL)
		at = &(*at)->next;
	*at = i;
}

void
pfe_route(struct pfe *pf, const char *net, const char *ifname)
{
	struct pfe_rt *rt = pfe_alloc(pf, sizeof(*rt));
	char text[64];

	snprintf(text, sizeof(text), "%s", net);
	parse_net(&rt->net, text);
	snprintf(rt->ifname, sizeof(rt->ifname), "%s", ifname);
	rt->next = pf->routes;
	pf->routes = rt;
}

const struct pfe_anchor *
pfe_anchor_find(const struct pfe *pf, const char *path)
{
	const struct pfe_anchor *a;

	for (a = pf->anchors; a != NULL; a = a->next)
		if (strcmp(a->path, path) == 0)
			return a;
	return NULL;
}

struct pfe_anchor *
pfe_anchor_add(struct pfe_read *r, const char *path)
{
	struct pfe_anchor *a, **at;

	for (at = &r->anchors; (a = *at) != NULL; at = &a->next)
		if (strcmp(a->path, path) == 0) {
			pfe_fail(r, "anchor %s is there already", path);
			return a;
		}
	a = pfe_alloc(r->pf, sizeof(*a));
	snprintf(a->path, sizeof(a->path), "%s", path);
	a->tail = &a->rules;
	*at = a;
	return a;
}

static void
antispoof_host(struct pfe_read *r, struct pfe_rule *rule, const char *name,
    bool dynamic, enum pfe_mod mod)
{
	struct pfe_host **tail = &rule->from;
	struct pfe_net nets[64];
	unsigned i, n;

	if (dynamic) {
		*tail = pfe_alloc(r->pf, sizeof(**tail));
		(*tail)->kind = HOST_DYNAMIC;
		(*tail)->mod = mod;
		(*tail)->prefix = -1;
		snprintf((*tail)->name, sizeof((*tail)->name), "%s", name);
		return;
	}
	n = pfe_if_nets(r->pf, name, mod, false, nets, 64);
	for (i = 0; i < n; i++) {
		*tail = pfe_alloc(r->pf, sizeof(**tail));
		(*tail)->kind = HOST_NET;
		(*tail)->net = nets[i];
		if (mod == MOD_ADDR)
			(*tail)->net.prefix = nets[i].af == 4 ? 32 : 128;
		tail = &(*tail)->next;
	}
	if (n == 0)
		pfe_fail(r, "interface %s has no address", name);
}

/* An interface of antispoof; gathered first, as options follow the list. */
struct spoofed {
	struct spoofed	*next;
	char		name[16];
	bool		dynamic;
};

static void
antispoof_if(struct pfe_read *r, void *arg)
{
	struct spoofed **list = arg, *s = pfe_alloc(r->pf, sizeof(*s));

	s->dynamic = pfe_sym(r, "(");
	pfe_want_word(r, "an interface", s->name, sizeof(s->name));
	if (s->dynamic)
		pfe_want_sym(r, ")");
	if (!r->failed && pfe_if_find(r->pf, s->name) == NULL)
		pfe_fail(r, "there is no interface %s", s->name);
	s->next = *list;
	*list = s;
}

static void
antispoof_rules(struct pfe_read *r, const struct pfe_rule *like,
    const struct spoofed *s)
{
	struct pfe_rule *rule = pfe_alloc(r->pf, sizeof(*rule));

	*rule = *like;
	rule->on = pfe_alloc(r->pf, sizeof(*rule->on));
	rule->on->not = true;
	rule->on->rdomain = -1;
	strcpy(rule->on->name, s->name);
	antispoof_host(r, rule, s->name, s->dynamic, MOD_NETWORK);
	pfe_add_rule(r, rule);
	if (pfe_if_is(r->pf, s->name, "lo"))
		return;
	rule = pfe_alloc(r->pf, sizeof(*rule));
	*rule = *like;
	antispoof_host(r, rule, s->name, s->dynamic, MOD_ADDR);
	pfe_add_rule(r, rule);
}

/* antispoof [log] [quick] for interfaces [af] [label ...] */
void
pfe_read_antispoof(struct pfe_read *r)
{
	struct pfe_rule like = { .action = ACT_BLOCK, .dir = PFE_IN,
	    .how = PFE_DROP, .line = r->tokline };
	struct spoofed *list = NULL;

	like.log = pfe_key(r, "log");
	like.quick = pfe_key(r, "quick");
	if (!like.log)
		like.log = pfe_key(r, "log");
	pfe_want_key(r, "for");
	pfe_list(r, antispoof_if, &list);
	if (pfe_key(r, "inet"))
		like.af = 4;
	else if (pfe_key(r, "inet6"))
		like.af = 6;
	if (pfe_key(r, "label"))
		pfe_want_word(r, "a label", like.label, sizeof(like.label));
	for (; list != NULL && !r->failed; list = list->next)
		antispoof_rules(r, &like, list);
}

/* Each part of a path has at most 63 characters. */
static bool
parts_fit(const char *name)
{
	size_t n = strcspn(name, "/");

	while (n < 64 && name[n] == '/') {
		name += n + 1;
		n = strcspn(name, "/");
	}
	return n < 64;
}

/* The name or nothing; "/(all)" at its end is cut off. */
static bool
anchor_name(struct pfe_read *r, struct pfe_rule *rule, char name[PFE_PATH])
{
	size_t len;

	name[0] = '\0';
	if (r->kind != T_WORD)
		return false;
	pfe_want_word(r, "an anchor", name, PFE_PATH);
	len = strlen(name);
	if (len > 2 && strcmp(name + len - 2, "/*") == 0) {
		rule->children = true;
		name[len - 2] = '\0';
	}
	if (r->failed || name[0] == '\0' || name[0] == '/' || name[0] == '_' ||
	    strstr(name, "//") != NULL || strstr(name, "/_") != NULL ||
	    strchr(name, '*') != NULL || strstr(name, "..") != NULL ||
	    name[strlen(name) - 1] == '/' || !parts_fit(name))
		pfe_fail(r, "\"%s\" is no name of an anchor", name);
	return true;
}

static void read_body(struct pfe_read *r);

static void
read_braces(struct pfe_read *r, struct pfe_rule *rule)
{
	struct pfe_anchor *outside = r->here;

	if (rule->children || strchr(rule->path + strlen(outside->path) +
	    (outside->path[0] != '\0'), '/') != NULL) {
		pfe_fail(r, "an anchor with rules has one name");
		return;
	}
	if (++r->depth > MAX_DEPTH) {
		pfe_fail(r, "anchors are too deep");
		return;
	}
	if (r->kind != T_EOL) {
		pfe_unexpected(r, "the end of the line after {");
		return;
	}
	r->here = pfe_anchor_add(r, rule->path);
	read_body(r);
	pfe_want_sym(r, "}");
	r->here = outside;
	r->depth--;
}

/* `anchor` has been taken. */
void
pfe_read_anchor(struct pfe_read *r)
{
	struct pfe_rule *rule = pfe_alloc(r->pf, sizeof(*rule));
	char name[PFE_PATH];
	bool named;

	rule->line = r->tokline;
	rule->action = ACT_ANCHOR;
	named = anchor_name(r, rule, name);
	if (!named)
		snprintf(name, sizeof(name), "_%u", r->pf->anonymous++);
	if (strlen(r->here->path) + strlen(name) + 2 > sizeof(rule->path)) {
		pfe_fail(r, "anchor %s has too long a path", name);
		return;
	}
	snprintf(rule->path, sizeof(rule->path), "%.120s%s%.120s", r->here->path,
	    r->here->path[0] == '\0' ? "" : "/", name);
	pfe_read_head(r, rule);
	pfe_read_opts(r, rule);
	if (r->failed)
		return;
	pfe_check_rule(r, rule);
	pfe_add_rule(r, rule);
	if (pfe_sym(r, "{"))
		read_braces(r, rule);
	else if (!named)
		pfe_fail(r, "an anchor has a name or rules");
}

/* load anchor "name" from "file": the caller loads that himself. */
static void
read_load(struct pfe_read *r)
{
	struct pfe_rule unused = { .line = 0 };
	char name[PFE_PATH];

	pfe_want_key(r, "anchor");
	if (!anchor_name(r, &unused, name) || unused.children)
		pfe_unexpected(r, "the name of an anchor");
	pfe_want_key(r, "from");
	pfe_want_word(r, "a file", name, sizeof(name));
}

static bool
rule_or_anchor(struct pfe_read *r)
{
	if (pfe_at_key(r, "pass") || pfe_at_key(r, "block") ||
	    pfe_at_key(r, "match"))
		pfe_read_rule(r);
	else if (pfe_key(r, "anchor"))
		pfe_read_anchor(r);
	else
		return false;
	return true;
}

static void
end_of_line(struct pfe_read *r)
{
	if (r->failed || r->kind == T_EOF)
		return;
	if (r->kind != T_EOL)
		pfe_unexpected(r, "the end of the line");
	pfe_next(r);
}

/* In braces there are rules and anchors only. */
static void
read_body(struct pfe_read *r)
{
	while (!r->failed && !pfe_at_sym(r, "}")) {
		if (r->kind == T_EOL) {
			pfe_next(r);
			continue;
		}
		if (!rule_or_anchor(r)) {
			pfe_unexpected(r, "a rule or an anchor");
			return;
		}
		if (r->kind == T_EOF)
			pfe_unexpected(r, "}");
		end_of_line(r);
	}
}

static void
statement(struct pfe_read *r)
{
	char name[sizeof(r->text)];

	if (rule_or_anchor(r))
		return;
	if (pfe_key(r, "set")) {
		pfe_read_set(r);
	} else if (pfe_key(r, "table")) {
		pfe_read_table(r);
	} else if (pfe_key(r, "antispoof")) {
		pfe_read_antispoof(r);
	} else if (pfe_key(r, "load")) {
		read_load(r);
	} else if (pfe_at_key(r, "include")) {
		pfe_fail(r, "files are not included");
	} else if (pfe_at_key(r, "queue")) {
		pfe_fail(r, "queues are not read");
	} else if (r->kind == T_WORD) {
		strcpy(name, r->text);
		pfe_next(r);
		if (pfe_at_sym(r, "="))
			pfe_read_macro(r, name);
		else
			pfe_unexpected(r, "=");
	} else {
		pfe_unexpected(r, "a statement");
	}
}

/* What came with the text of `owner` before goes, the new comes. */
static void
replace(struct pfe_read *r, const char *owner)
{
	struct pfe *pf = r->pf;
	struct pfe_anchor **at = &pf->anchors, *a;

	while ((a = *at) != NULL) {
		if (strcmp(a->owner, owner) == 0)
			*at = a->next;
		else
			at = &a->next;
	}
	for (*at = r->anchors; *at != NULL; at = &(*at)->next)
		snprintf((*at)->owner, sizeof((*at)->owner), "%s", owner);
	if (owner[0] == '\0')
		pf->opt = r->opt;
}

int
pfe_load(struct pfe *pf, const char *anchor, const char *text, char *err,
    size_t size)
{
	struct pfe_read r = { .pf = pf, .pos = text, .line = 1, .err = err,
	    .size = size };

	r.here = pfe_anchor_add(&r, anchor);
	pfe_next(&r);
	while (!r.failed && r.kind != T_EOF) {
		if (r.kind == T_EOL) {
			pfe_next(&r);
			continue;
		}
		statement(&r);
		end_of_line(&r);
	}
	if (r.failed)
		return -EINVAL;
	replace(&r, anchor);
	return 0;
}
