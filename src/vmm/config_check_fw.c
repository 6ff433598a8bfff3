/* SPDX-License-Identifier: ISC */
/*
 * Reading the configuration: what the firewall is told, once all guests,
 * switches and policies are known.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/addr.h"
#include "vmm/config_fw.h"
#include "vmm/config_parser.h"
#include "vmm/config_value.h"

/* Where a rule stands. */
struct place {
	struct parser	*ps;
	unsigned	 line;
	const char	*what;		/* "nic: allow-in", "allow" */
};

/* A section that is named, and is not there; `near` is one that is, or NULL. */
static void
no_section(const struct place *at, const char *kind, const char *name,
    const char *near)
{
	if (near != NULL)
		parser_error(at->ps, at->line, "%s: there is no [%s %s], did "
		    "you mean `%s'?", at->what, kind, name, near);
	else
		parser_error(at->ps, at->line, "%s: there is no [%s %s], add "
		    "that section", at->what, kind, name);
}

static void
no_vm(const struct place *at, const char *name)
{
	const struct config *c = at->ps->conf;
	const char *near = NULL;
	unsigned i, best = VALUE_FAR;

	for (i = 0; i < c->nvms; i++)
		if (value_nearer(name, c->vm[i].name, &best))
			near = c->vm[i].name;
	no_section(at, "vm", name, near);
}

static void
no_policy(const struct place *at, const char *name)
{
	const struct config *c = at->ps->conf;
	const char *near = NULL;
	unsigned i, best = VALUE_FAR;

	for (i = 0; i < c->npolicies; i++)
		if (value_nearer(name, c->policy[i].name, &best))
			near = c->policy[i].name;
	no_section(at, "policy", name, near);
}

/* Who is named must be there. */
static void
check_peer(const struct place *at, const struct fw_allow *a)
{
	const struct config *c = at->ps->conf;
	const struct vm_config *vm;

	if (a->kind == FW_PEER_SWITCH && config_find_switch(c, a->name) == NULL)
		no_section(at, "switch", a->name,
		    parser_near_switch(at->ps, a->name));
	if (a->kind != FW_PEER_GUEST)
		return;
	vm = config_find_vm(c, a->name);
	if (vm == NULL)
		no_vm(at, a->name);
	else if (vm->nics.n == 0)
		parser_error(at->ps, at->line, "%s: [vm %s] has no nic",
		    at->what, a->name);
}

void
parser_check_policy(struct parser *ps, unsigned i)
{
	const struct policy_lines *l = &ps->policy_lines[i];
	struct place at = { .ps = ps, .what = "allow" };
	char value[NIC_RULES_TEXT];
	struct allow a;
	unsigned k;

	if (!l->tried)
		parser_error(ps, l->section, "[policy %s]: allows nothing, "
		    "add allow = ..., or write none where it is named",
		    ps->conf->policy[i].name);
	for (k = 0; policy_get(&ps->conf->policy[i], k, value); k++) {
		at.line = l->allow[k];
		if (allow_parse(&a, NIC_RULES, value, NULL, 0) == 0)
			check_peer(&at, &a.one);
	}
}

/* Services of the host are the same for all. */
static void
check_host_policy(const struct place *at, const struct config_policy *p)
{
	char value[NIC_RULES_TEXT];
	struct allow a;
	unsigned k;

	for (k = 0; policy_get(p, k, value); k++) {
		if (allow_parse(&a, NIC_RULES, value, NULL, 0) != 0 ||
		    a.one.kind == FW_PEER_ANY)
			continue;
		parser_error(at->ps, at->line, "%s: [policy %s] names who is "
		    "at the other end, which here is the host", at->what,
		    p->name);
		return;
	}
}

static void
check_allow(const struct place *at, enum nic_rule rule, const char *value)
{
	const struct config_policy *p;
	struct allow a;

	if (allow_parse(&a, rule, value, NULL, 0) != 0)
		return;
	if (a.policy[0] == '\0') {
		check_peer(at, &a.one);
		return;
	}
	p = config_find_policy(at->ps->conf, a.policy);
	if (p == NULL)
		no_policy(at, a.policy);
	else if (rule == NIC_ALLOW_HOST)
		check_host_policy(at, p);
}

/* Two that a packet could be for. */
static bool
collide(const struct fw_publish *a, const struct fw_publish *b)
{
	if (a->proto != b->proto || a->port != b->port ||
	    a->has_host != b->has_host)
		return false;
	return !a->has_host || addr_same(&a->host, &b->host);
}

/* Looks for the port in what stands before word `word` of that NIC. */
static void
check_collision(const struct place *at, unsigned vm, unsigned nic,
    unsigned word, const struct fw_publish *p)
{
	struct parser *ps = at->ps;
	const struct nic_port *o;
	char place[PLACE_MAX];
	unsigned i;

	for (i = 0; i < ps->claims.nports; i++) {
		o = &ps->claims.port[i];
		if (o->vm == vm && o->nic == nic && o->word == word)
			return;
		if (!collide(&o->publish, p))
			continue;
		parser_error(ps, at->line, "%s: port %u of the host is that "
		    "of nic %u of [vm %s] already, %s", at->what, p->port,
		    o->nic, ps->conf->vm[o->vm].name, parser_place(ps,
		    ps->conf->vm[o->vm].file, ps->lines[o->vm].nic[o->nic],
		    place, sizeof(place)));
		return;
	}
}

static bool
has_family(const struct config *c, unsigned vm, unsigned nic, bool ipv6)
{
	struct os_addr a[POLICY_ADDRS_MAX];
	unsigned n, i;

	n = policy_addrs(c, &c->vm[vm], nic, a);
	for (i = 0; i < n; i++)
		if (a[i].ipv6 == ipv6)
			return true;
	return false;
}

static void
check_publish(const struct place *at, unsigned vm, unsigned nic, unsigned i,
    const char *value)
{
	const struct config *c = at->ps->conf;
	const struct config_switch *sw =
	    config_find_switch(c, c->vm[vm].nics.nic[nic].sw);
	struct fw_publish p;

	if (publish_parse(&p, value, NULL, 0) != 0 || sw == NULL)
		return;
	if (sw->uplink != NULL)
		parser_error(at->ps, at->line, "%s: [switch %s] has an uplink, "
		    "where the guest has ports of its own: write allow-in",
		    at->what, sw->name);
	else if (p.has_host ? !has_family(c, vm, nic, p.host.ipv6) :
	    !has_family(c, vm, nic, false) && !has_family(c, vm, nic, true))
		parser_error(at->ps, at->line, "%s: the guest has no %saddress "
		    "in [switch %s]", at->what, !p.has_host ? "" :
		    p.host.ipv6 ? "IPv6 " : "IPv4 ", sw->name);
	check_collision(at, vm, nic, i, &p);
}

/* The words of that NIC before number `end`. */
static bool
given_before(const struct vm_nic *n, unsigned end, const struct os_addr *a)
{
	char value[NIC_RULES_TEXT];
	struct os_addr other;
	unsigned i;

	for (i = 0; i < end && nic_rule_get(n, NIC_ADDRESS6, i, value); i++)
		if (address6_parse(&other, value, NULL, 0) == 0 &&
		    addr_same(&other, a))
			return true;
	return false;
}

/* An address is one NIC's. */
static void
check_address6_once(const struct place *at, unsigned vm, unsigned nic,
    unsigned word, const struct os_addr *a)
{
	const struct parser *ps = at->ps;
	const struct vm_config *v = &ps->conf->vm[vm];
	const struct nic_addr *o;
	unsigned i;

	if (given_before(&v->nics.nic[nic], word, a)) {
		parser_error(at->ps, at->line, "%s: it is that of nic %u of "
		    "[vm %s] already", at->what, nic, v->name);
		return;
	}
	for (i = 0; i < ps->claims.naddrs; i++) {
		o = &ps->claims.addr[i];
		if ((o->vm == vm && o->nic == nic) || !addr_same(&o->addr, a))
			continue;
		parser_error(at->ps, at->line, "%s: it is that of nic %u of "
		    "[vm %s], too", at->what, o->nic,
		    ps->conf->vm[o->vm].name);
		return;
	}
}

/* It is in a subnet of the switch, where those are all that there are. */
static void
check_address6(const struct place *at, unsigned vm, unsigned nic,
    unsigned end, const char *value)
{
	const struct config *c = at->ps->conf;
	const struct config_switch *sw =
	    config_find_switch(c, c->vm[vm].nics.nic[nic].sw);
	struct os_addr a;
	unsigned i;

	if (address6_parse(&a, value, NULL, 0) != 0)
		return;
	check_address6_once(at, vm, nic, end, &a);
	if (sw == NULL || sw->uplink != NULL)
		return;
	for (i = 0; i < sw->addrs.n; i++) {
		if (addr_same(&sw->addrs.addr[i], &a))
			break;
		if (fw_addr_in(&sw->addrs.addr[i], &a))
			return;
	}
	parser_error(at->ps, at->line, i < sw->addrs.n ? "%s: %s is that of "
	    "[switch %s] itself" : "%s: %s lies in no subnet of [switch %s]",
	    at->what, value, sw->name);
}

static void
check_nic(struct parser *ps, unsigned vm, unsigned nic)
{
	const struct vm_nic *n = &ps->conf->vm[vm].nics.nic[nic];
	struct place at = { .ps = ps, .line = ps->lines[vm].nic[nic] };
	char what[32], value[NIC_RULES_TEXT];
	unsigned rule, i;

	for (rule = 0; rule < NIC_RULES; rule++) {
		snprintf(what, sizeof(what), "nic: %s", nic_rule_names[rule]);
		at.what = what;
		for (i = 0; nic_rule_get(n, rule, i, value); i++)
			if (rule == NIC_ADDRESS6)
				check_address6(&at, vm, nic, i, value);
			else if (rule == NIC_PUBLISH)
				check_publish(&at, vm, nic, i, value);
			else
				check_allow(&at, rule, value);
	}
}

/* Room for one more behind `n` of them; NULL without memory. */
static void *
claims_grow(void *array, unsigned n, size_t size)
{
	if ((n & (n - 1)) != 0)
		return array;
	return reallocarray(array, n == 0 ? 1 : 2 * (size_t)n, size);
}

static int
claim_ports(struct nic_claims *c, const struct vm_nic *n, unsigned vm,
    unsigned nic)
{
	struct nic_port one = { .vm = vm, .nic = nic }, *grown;
	char value[NIC_RULES_TEXT];

	for (; nic_rule_get(n, NIC_PUBLISH, one.word, value); one.word++) {
		if (publish_parse(&one.publish, value, NULL, 0) != 0)
			continue;
		grown = claims_grow(c->port, c->nports, sizeof(one));
		if (grown == NULL)
			return -ENOMEM;
		c->port = grown;
		c->port[c->nports++] = one;
	}
	return 0;
}

static int
claim_addrs(struct nic_claims *c, const struct config *conf, unsigned vm,
    unsigned nic)
{
	struct os_addr a[POLICY_ADDRS_MAX];
	struct nic_addr *grown;
	unsigned n, i;

	n = policy_addrs(conf, &conf->vm[vm], nic, a);
	for (i = 0; i < n; i++) {
		grown = claims_grow(c->addr, c->naddrs, sizeof(*grown));
		if (grown == NULL)
			return -ENOMEM;
		c->addr = grown;
		c->addr[c->naddrs++] = (struct nic_addr){ vm, nic, a[i] };
	}
	return 0;
}

int
parser_claim(struct parser *ps)
{
	const struct vm_nics *nics;
	unsigned vm, nic;
	int ret = 0;

	for (vm = 0; vm < ps->conf->nvms; vm++) {
		nics = &ps->conf->vm[vm].nics;
		for (nic = 0; nic < nics->n && ret == 0; nic++) {
			ret = claim_ports(&ps->claims, &nics->nic[nic], vm,
			    nic);
			ret = ret ?: claim_addrs(&ps->claims, ps->conf, vm,
			    nic);
		}
	}
	return ret;
}

void
parser_free_claims(struct parser *ps)
{
	free(ps->claims.port);
	free(ps->claims.addr);
}

void
parser_check_rules(struct parser *ps, unsigned vm)
{
	unsigned i;

	ps->path = ps->conf->vm[vm].file;
	for (i = 0; i < ps->conf->vm[vm].nics.n; i++)
		check_nic(ps, vm, i);
}
