/* SPDX-License-Identifier: ISC */
/*
 * What a rule may not combine.  Lists stand for every combination of their
 * items, and each must make sense; only those of different families are left
 * out, and one at least must remain.
 */
#include <string.h>

#include "pfe_int.h"

/* The family that all of a list have; 0 if none or several. */
uint8_t
pfe_hosts_af(const struct pfe_host *h)
{
	uint8_t af = 0;

	for (; h != NULL; h = h->next) {
		if (h->kind != HOST_NET && h->kind != HOST_RANGE)
			return 0;
		if (af != 0 && af != h->net.af)
			return 0;
		af = h->net.af;
	}
	return af;
}

static unsigned
families(const struct pfe_host *h)
{
	unsigned set = 0;

	if (h == NULL)
		return 4 | 6 << 4;
	for (; h != NULL; h = h->next) {
		if (h->kind == HOST_NET || h->kind == HOST_RANGE)
			set |= h->net.af == 4 ? 4 : 6 << 4;
		else
			set |= 4 | 6 << 4;
	}
	return set;
}

static void
check_families(struct pfe_read *r, struct pfe_rule *rule)
{
	unsigned set = families(rule->from) & families(rule->to);

	if (rule->af == 0)
		rule->af = pfe_hosts_af(rule->from);
	if (rule->af == 0)
		rule->af = pfe_hosts_af(rule->to);
	if (rule->af == 0 && rule->nat != NULL)
		rule->af = pfe_hosts_af(rule->nat->hosts);
	if (rule->af == 0 && rule->rdr != NULL)
		rule->af = pfe_hosts_af(rule->rdr->hosts);
	if (rule->nat != NULL)
		set &= families(rule->nat->hosts);
	if (rule->rdr != NULL)
		set &= families(rule->rdr->hosts);
	if (rule->af == 4)
		set &= 4;
	else if (rule->af == 6)
		set &= 6 << 4;
	if (set == 0)
		pfe_fail(r, "no address family is left");
}

static void
check_proto(struct pfe_read *r, const struct pfe_rule *rule, uint8_t proto)
{
	bool ports = rule->sport != NULL || rule->dport != NULL;
	const struct pfe_icmp *i;

	if (ports && proto != PFE_TCP && proto != PFE_UDP)
		pfe_fail(r, "ports are of tcp and udp");
	for (i = rule->icmp; i != NULL; i = i->next) {
		if (proto != PFE_ICMP && proto != PFE_ICMP6)
			pfe_fail(r, "icmp-type is of icmp and icmp6");
		else if (proto != i->proto)
			pfe_fail(r, "icmp-type of the other protocol");
	}
	if (rule->icmp != NULL && rule->af == 0)
		pfe_fail(r, "icmp-type without an address family");
	if ((proto == PFE_ICMP && rule->af == 6) ||
	    (proto == PFE_ICMP6 && rule->af == 4))
		pfe_fail(r, "the protocol is of the other address family");
	if (rule->action == ACT_BLOCK && rule->how == PFE_RETURN_RST &&
	    proto != PFE_TCP)
		pfe_fail(r, "return-rst is of tcp");
	if (rule->rdr != NULL && rule->rdr->ports && proto != PFE_TCP &&
	    proto != PFE_UDP)
		pfe_fail(r, "a port to go to is of tcp and udp");
}

static void
check_protos(struct pfe_read *r, const struct pfe_rule *rule)
{
	const struct pfe_proto *p;
	bool tcp = rule->protos == NULL;

	if (rule->protos == NULL)
		check_proto(r, rule, 0);
	for (p = rule->protos; p != NULL; p = p->next) {
		check_proto(r, rule, p->proto);
		tcp |= p->proto == PFE_TCP;
	}
	if (rule->has_flags && rule->flagset != 0 && !tcp)
		pfe_fail(r, "flags are of tcp");
}

static void
check_binat(struct pfe_read *r, const struct pfe_rule *rule)
{
	const struct pfe_host *to = rule->nat->hosts, *from = rule->from;

	if (rule->dir != 0 || rule->rdr != NULL)
		pfe_fail(r, "binat-to has both directions");
	else if (from == NULL || from->next != NULL || from->not ||
	    from->kind != HOST_NET)
		pfe_fail(r, "binat-to is from one address or net");
	else if (to->next != NULL || to->kind != HOST_NET ||
	    to->net.af != from->net.af || to->net.prefix != from->net.prefix)
		pfe_fail(r, "binat-to is to as many addresses");
}

static void
check_translation(struct pfe_read *r, const struct pfe_rule *rule)
{
	if (rule->nat == NULL && rule->rdr == NULL)
		return;
	if (rule->action == ACT_ANCHOR || rule->action == ACT_BLOCK)
		pfe_fail(r, "translation is of pass and match rules");
	if (rule->nat != NULL && rule->nat->binat)
		check_binat(r, rule);
	else if (rule->dir == 0)
		pfe_fail(r, "nat-to and rdr-to need a direction");
	if (rule->action == ACT_PASS && rule->keep == KEEP_NONE)
		pfe_fail(r, "nat-to and rdr-to need a state");
}

static void
check_state(struct pfe_read *r, const struct pfe_rule *rule)
{
	if (rule->keep != KEEP_NONE && rule->action != ACT_PASS)
		pfe_fail(r, "only pass rules keep state");
	if (rule->has_keep && rule->action == ACT_ANCHOR)
		pfe_fail(r, "an anchor keeps no state");
	if (rule->keepopt.sloppy && (rule->keep == KEEP_MODULATE ||
	    rule->keep == KEEP_SYNPROXY))
		pfe_fail(r, "sloppy is of keep state");
	if (rule->allow_opts && rule->action != ACT_PASS)
		pfe_fail(r, "allow-opts is of pass rules");
}

static void
check_tables(struct pfe_read *r, const struct pfe_host *h)
{
	for (; h != NULL; h = h->next)
		if (h->kind == HOST_TABLE &&
		    pfe_table_find(r, r->here->path, h->name) == NULL &&
		    pfe_table_find(r, "", h->name) == NULL)
			pfe_fail(r, "table <%s> is not defined", h->name);
}

void
pfe_check_rule(struct pfe_read *r, struct pfe_rule *rule)
{
	check_families(r, rule);
	check_protos(r, rule);
	check_translation(r, rule);
	check_state(r, rule);
	if (rule->fragment && (rule->sport != NULL || rule->dport != NULL ||
	    rule->flagset != 0 || rule->icmp != NULL))
		pfe_fail(r, "fragments have no ports, flags or types");
	if (rule->scrub_v4 && rule->af == 6)
		pfe_fail(r, "no-df and random-id are of inet");
	check_tables(r, rule->from);
	check_tables(r, rule->to);
	if (rule->nat != NULL)
		check_tables(r, rule->nat->hosts);
	if (rule->rdr != NULL)
		check_tables(r, rule->rdr->hosts);
}
