/* SPDX-License-Identifier: ISC */
/*
 * States.  One has two keys: the flow as it is on the wire and as the host has
 * it behind the translation; seen in the direction of its first packet.  A
 * packet in the same direction at any interface has the key as it is, one in
 * the other direction has it with the ends exchanged.  A packet forwarded has
 * thus two states, of its way in and of its way out.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pfe_int.h"

struct pfe_state {
	struct pfe_state *next;
	enum pfe_dir	dir;
	struct pfe_flow	wire;
	struct pfe_flow	stack;
	bool		bound;
	char		ifname[16];
	bool		allow_opts;
	char		tag[PFE_NAME];
	const struct pfe_rule *rule;
	const char	*anchor;
};

/* ICMP types that ask, and what answers them. */
static const struct {
	uint8_t		proto;
	uint8_t		ask;
	uint8_t		answer;
} queries[] = {
	{ PFE_ICMP, 8, 0 }, { PFE_ICMP, 13, 14 }, { PFE_ICMP, 15, 16 },
	{ PFE_ICMP, 17, 18 }, { PFE_ICMP6, 128, 129 }, { PFE_ICMP6, 135, 136 },
	{ PFE_ICMP6, 139, 140 },
};

static bool
is_icmp(const struct pfe_flow *f)
{
	return f->proto == PFE_ICMP || f->proto == PFE_ICMP6;
}

/* Errors make no state; without what they are about they have none. */
bool
pfe_is_error(const struct pfe_packet *pkt)
{
	uint8_t type = pkt->flow.type;

	if (pkt->flow.proto == PFE_ICMP)
		return (type >= 3 && type <= 5) || type == 11 || type == 12;
	return pkt->flow.proto == PFE_ICMP6 && type >= 1 && type <= 4;
}

/* The other of a pair of types; -1 for a type on its own. */
static int
partner(const struct pfe_flow *f)
{
	unsigned i;

	for (i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		if (queries[i].proto != f->proto)
			continue;
		if (queries[i].ask == f->type)
			return queries[i].answer;
		if (queries[i].answer == f->type)
			return queries[i].ask;
	}
	return -1;
}

/* Neighbour discovery is between who asks and what is asked for. */
static void
key(struct pfe_flow *k, const struct pfe_flow *f)
{
	*k = *f;
	if (is_icmp(f))
		k->dport = 0;
	else if (f->proto != PFE_TCP && f->proto != PFE_UDP)
		k->sport = k->dport = 0;
	if (f->proto != PFE_ICMP6 || (f->type != 135 && f->type != 136))
		return;
	k->sport = 0;
	if (f->type == 135) {
		memcpy(k->dst, f->target, 16);
	} else {
		memcpy(k->src, f->target, 16);
		if (f->dst[0] == 0xff)
			memset(k->dst, 0, 16);
	}
}

static bool
same(const struct pfe_flow *a, const struct pfe_flow *b)
{
	return a->af == b->af && a->proto == b->proto &&
	    memcmp(a->src, b->src, 16) == 0 &&
	    memcmp(a->dst, b->dst, 16) == 0 && a->sport == b->sport &&
	    a->dport == b->dport && (!is_icmp(a) || a->type == b->type);
}

static struct pfe_flow
swapped(const struct pfe_flow *f)
{
	struct pfe_flow s = *f;

	memcpy(s.src, f->dst, 16);
	memcpy(s.dst, f->src, 16);
	if (!is_icmp(f)) {
		s.sport = f->dport;
		s.dport = f->sport;
	}
	return s;
}

/*
 * Finds the state of a flow in a direction; `to` is the flow behind it.  Of an
 * answer the type is that of the question.
 */
static const struct pfe_state *
find(const struct pfe *pf, const char *ifname, enum pfe_dir dir,
    const struct pfe_flow *flow, struct pfe_flow *to)
{
	const struct pfe_state *s;
	const struct pfe_flow *here, *there;
	struct pfe_flow k, back, asked;

	key(&k, flow);
	back = swapped(&k);
	if (is_icmp(flow))
		back.type = (uint8_t)partner(flow);
	for (s = pf->states; s != NULL; s = s->next) {
		if (s->bound && strcmp(s->ifname, ifname) != 0)
			continue;
		here = dir == PFE_IN ? &s->wire : &s->stack;
		there = dir == PFE_IN ? &s->stack : &s->wire;
		key(&asked, here);
		if (s->dir == dir && same(&k, &asked)) {
			*to = *there;
			return s;
		}
		if (s->dir != dir && (!is_icmp(flow) || partner(flow) >= 0) &&
		    same(&back, &asked)) {
			*to = swapped(there);
			return s;
		}
	}
	return NULL;
}

/* Addresses and ports of `to`, the rest stays. */
static void
rewrite(struct pfe_flow *f, const struct pfe_flow *to)
{
	if (f->proto == PFE_ICMP6 && (f->type == 135 || f->type == 136))
		return;
	memcpy(f->src, to->src, 16);
	memcpy(f->dst, to->dst, 16);
	f->sport = to->sport;
	f->dport = to->dport;
}

/*
 * An ICMP error goes against the packet that it is about, and belongs to that
 * one's state.  Where an end in it is translated, so is the packet's.
 */
static const struct pfe_state *
find_error(const struct pfe *pf, struct pfe_packet *pkt)
{
	const struct pfe_state *s;
	struct pfe_flow against = swapped(&pkt->inner), to, was = pkt->inner;
	int answer = partner(&pkt->inner);

	if (is_icmp(&pkt->inner)) {
		if (answer < 0)
			return NULL;
		against.type = (uint8_t)answer;
	}
	s = find(pf, pkt->ifname, pkt->dir, &against, &to);
	if (s == NULL)
		return NULL;
	to = swapped(&to);
	rewrite(&pkt->inner, &to);
	if (memcmp(was.src, pkt->inner.src, 16) != 0)
		memcpy(pkt->flow.dst, pkt->inner.src, 16);
	if (memcmp(was.dst, pkt->inner.dst, 16) != 0)
		memcpy(pkt->flow.src, pkt->inner.dst, 16);
	return s;
}

/* Whether a state decides: then `v` says how. */
bool
pfe_state_pass(struct pfe *pf, struct pfe_packet *pkt, struct pfe_verdict *v)
{
	const struct pfe_state *s;
	struct pfe_flow to;

	if (pkt->fragment && pf->opt.no_reassemble)
		return false;
	if (pfe_is_error(pkt)) {
		s = pkt->error ? find_error(pf, pkt) : NULL;
	} else {
		s = find(pf, pkt->ifname, pkt->dir, &pkt->flow, &to);
		if (s != NULL)
			rewrite(&pkt->flow, &to);
	}
	if (s == NULL)
		return false;
	v->known = true;
	v->pass = !pkt->options || s->allow_opts;
	v->line = s->rule->line;
	strcpy(v->label, s->rule->label);
	strcpy(v->anchor, s->anchor);
	if (s->tag[0] != '\0')
		strcpy(pkt->tag, s->tag);
	return true;
}

/* Two flows that translation made one cannot both have a state. */
static bool
collides(const struct pfe *pf, const struct pfe_state *new)
{
	const struct pfe_state *s;
	struct pfe_flow a[2], b[2];

	key(&a[0], &new->wire);
	key(&a[1], &new->stack);
	for (s = pf->states; s != NULL; s = s->next) {
		key(&b[0], &s->wire);
		key(&b[1], &s->stack);
		if (s->dir == new->dir &&
		    (same(&a[0], &b[0]) || same(&a[1], &b[1])) &&
		    s->bound == new->bound &&
		    (!s->bound || strcmp(s->ifname, new->ifname) == 0))
			return true;
	}
	return false;
}

bool
pfe_state_make(struct pfe_run *run, struct pfe_packet *pkt)
{
	struct pfe_state *s = calloc(1, sizeof(*s));

	assert(s != NULL && strlen(pkt->ifname) < sizeof(s->ifname));
	s->dir = pkt->dir;
	s->wire = pkt->dir == PFE_IN ? pkt->flow : run->flow;
	s->stack = pkt->dir == PFE_IN ? run->flow : pkt->flow;
	s->bound = run->last->keepopt.bound;
	strcpy(s->ifname, pkt->ifname);
	s->allow_opts = run->last->allow_opts;
	strcpy(s->tag, run->tag);
	s->rule = run->last;
	s->anchor = run->where->path;
	if (collides(run->pf, s)) {
		free(s);
		return false;
	}
	s->next = run->pf->states;
	run->pf->states = s;
	pkt->flow = run->flow;
	return true;
}

void
pfe_flush(struct pfe *pf)
{
	struct pfe_state *s;

	while ((s = pf->states) != NULL) {
		pf->states = s->next;
		free(s);
	}
}

unsigned
pfe_states(const struct pfe *pf)
{
	const struct pfe_state *s;
	unsigned n = 0;

	for (s = pf->states; s != NULL; s = s->next)
		n++;
	return n;
}
