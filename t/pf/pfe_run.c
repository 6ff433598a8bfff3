/* SPDX-License-Identifier: ISC */
/*
 * A packet's way through the rules: the state first, then every rule in order,
 * the last one that matches deciding, a quick one at once.
 */
#include <stdio.h>
#include <string.h>

#include "pfe_int.h"

static bool walk(struct pfe_run *run, const struct pfe_anchor *a);

/* The anchors one name below `path`, in the order of their names. */
static const struct pfe_anchor *
next_child(const struct pfe *pf, const char *path, const char *after)
{
	const struct pfe_anchor *a, *best = NULL;
	size_t len = strlen(path);
	const char *name;

	for (a = pf->anchors; a != NULL; a = a->next) {
		if (strncmp(a->path, path, len) != 0 || a->path[len] != '/')
			continue;
		name = a->path + len + 1;
		if (name[0] == '_' || strchr(name, '/') != NULL ||
		    (after != NULL && strcmp(a->path, after) <= 0))
			continue;
		if (best == NULL || strcmp(a->path, best->path) < 0)
			best = a;
	}
	return best;
}

/* True if the evaluation ends with it. */
static bool
enter(struct pfe_run *run, const struct pfe_rule *r)
{
	const struct pfe_rule *before = run->last;
	const struct pfe_anchor *a;
	bool done = false;

	if (r->children) {
		for (a = next_child(run->pf, r->path, NULL); a != NULL && !done;
		    a = next_child(run->pf, r->path, a->path))
			done = walk(run, a);
	} else {
		a = pfe_anchor_find(run->pf, r->path);
		if (a != NULL)
			done = walk(run, a);
	}
	return done || (r->quick && run->last != before);
}

static bool
walk(struct pfe_run *run, const struct pfe_anchor *a)
{
	const struct pfe_anchor *where = run->where;
	struct pfe_rule *r;

	for (r = a->rules; r != NULL && !run->bad; r = r->next) {
		if (!pfe_rule_matches(run, a, r))
			continue;
		if (r->tag[0] != '\0')
			strcpy(run->tag, r->tag);
		if (r->action == ACT_ANCHOR) {
			if (enter(run, r))
				return true;
			continue;
		}
		r->spent = r->once;
		if (r->action == ACT_MATCH) {
			where = run->where;
			run->where = a;
			pfe_translate(run, r);
			run->where = where;
			run->log |= r->log;
		} else {
			run->last = r;
			run->where = a;
		}
		if (r->quick)
			return true;
	}
	return run->bad;
}

static void
describe(const struct pfe_run *run, struct pfe_verdict *v)
{
	v->log = run->log;
	if (run->last == NULL)
		return;
	v->log |= run->last->log;
	v->line = run->last->line;
	v->how = run->last->how;
	strcpy(v->label, run->last->label);
	snprintf(v->anchor, sizeof(v->anchor), "%s", run->where->path);
}

static void
decide(struct pfe_run *run, struct pfe_packet *pkt, struct pfe_verdict *v)
{
	const struct pfe_rule *r = run->last;

	v->pass = r == NULL || r->action == ACT_PASS;
	if (v->pass && r != NULL)
		pfe_translate(run, r);
	describe(run, v);
	if (run->bad || (pkt->options && (r == NULL || !r->allow_opts)))
		v->pass = false;
	if (!v->pass)
		return;
	strcpy(pkt->tag, run->tag);
	if (r == NULL || r->keep == KEEP_NONE || pfe_is_error(pkt) ||
	    (pkt->fragment && run->pf->opt.no_reassemble))
		return;
	v->made = v->pass = pfe_state_make(run, pkt);
}

void
pfe_run(struct pfe *pf, struct pfe_packet *pkt, struct pfe_verdict *v)
{
	struct pfe_run run = { .pf = pf, .pkt = pkt, .flow = pkt->flow };
	const struct pfe_anchor *a = pfe_anchor_find(pf, "");

	memset(v, 0, sizeof(*v));
	strcpy(run.tag, pkt->tag);
	if (pfe_onif_has(pf, pf->opt.skip, pkt->ifname)) {
		v->pass = true;
		return;
	}
	if (pfe_state_pass(pf, pkt, v))
		return;
	if (a != NULL)
		walk(&run, a);
	decide(&run, pkt, v);
}
