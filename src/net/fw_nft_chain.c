/* SPDX-License-Identifier: ISC */
/*
 * Which NICs share chains, so that hundreds with the same policy have one, and
 * which rules there are before their own: see fw_nft.h.
 */
#include "net/fw_nft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/addr.h"

static bool
same_peer(const struct fw_peer *a, const struct fw_peer *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == FW_PEER_CIDR)
		return addr_equal(&a->cidr, &b->cidr);
	return a->kind == FW_PEER_ANY ||
	    (a->sw == b->sw && a->table == b->table);
}

/* Would both be the same line?  A log names the NIC. */
static bool
same_rule(const struct fw_rule *a, const struct fw_rule *b)
{
	return !a->log && !b->log && a->verdict == b->verdict &&
	    a->family == b->family && a->proto == b->proto &&
	    a->lo == b->lo && a->hi == b->hi && a->has_icmp == b->has_icmp &&
	    a->icmp == b->icmp && a->want == b->want &&
	    same_peer(&a->peer, &b->peer);
}

static bool
same_chain(const struct fw_nft *w, const struct fw_nft_chain *a,
    const struct fw_nft_chain *b)
{
	size_t i;

	if (w->p->nic[a->nic].sw != w->p->nic[b->nic].sw ||
	    a->end - a->begin != b->end - b->begin)
		return false;
	for (i = 0; i < a->end - a->begin; i++)
		if (!same_rule(&w->r->v[a->begin + i],
		    &w->r->v[b->begin + i]))
			return false;
	return true;
}

/* A NIC's rules of a stage stand together. */
static void
find_rules(struct fw_nft *w)
{
	const struct fw_rule *rule;
	struct fw_nft_chain *c;
	size_t i;

	for (i = 0; i < w->r->n; i++) {
		rule = &w->r->v[i];
		if (rule->nic >= w->p->nnics || w->nics[rule->stage] == NULL)
			continue;
		c = &w->nics[rule->stage][rule->nic];
		if (c->end == 0)
			c->begin = i;
		c->end = i + 1;
	}
}

/* Each NIC's chains ask whether there are any. */
static int
find_general(struct fw_nft *w)
{
	const struct fw_rule *rule, *end = w->r->v + w->r->n;
	uint32_t sw;

	w->general = calloc(w->p->nsws + 1, sizeof(*w->general));
	if (w->general == NULL)
		return -ENOMEM;
	for (rule = w->r->v; rule < end; rule++)
		for (sw = 0; rule->nic == FW_ALL && sw < w->p->nsws; sw++)
			if (rule->sw == FW_ALL || rule->sw == sw)
				w->general[sw] |= 1u << rule->stage;
	return 0;
}

static void
share(struct fw_nft *w, struct fw_nft_chain *v, uint32_t *firsts)
{
	uint32_t i, k, n = 0;

	for (i = 0; i < w->p->nnics; i++) {
		for (k = 0; k < n; k++)
			if (same_chain(w, &v[firsts[k]], &v[i]))
				break;
		if (k == n)
			firsts[n++] = i;
		else
			v[i].nic = firsts[k];
	}
}

int
fw_nft_chains(struct fw_nft *w)
{
	static const enum fw_stage stages[] = {
		FW_FRAME, FW_HOST, FW_OUT, FW_IN,
	};
	uint32_t *firsts = calloc(w->p->nnics + 1, sizeof(*firsts));
	int error = find_general(w);
	uint32_t i;
	size_t s;

	for (s = 0; s < sizeof(stages) / sizeof(stages[0]); s++) {
		w->nics[stages[s]] = calloc(w->p->nnics + 1,
		    sizeof(struct fw_nft_chain));
		if (w->nics[stages[s]] == NULL || firsts == NULL ||
		    error != 0) {
			free(firsts);
			return -ENOMEM;
		}
		for (i = 0; i < w->p->nnics; i++)
			w->nics[stages[s]][i].nic = i;
	}
	find_rules(w);
	for (s = 1; s < sizeof(stages) / sizeof(stages[0]); s++)
		share(w, w->nics[stages[s]], firsts);
	free(firsts);
	return 0;
}

void
fw_nft_chains_free(struct fw_nft *w)
{
	size_t s;

	for (s = 0; s < FW_STAGES; s++)
		free(w->nics[s]);
	free(w->general);
}
