/* SPDX-License-Identifier: ISC */
/*
 * The firewall's rules, for guests as they are: see firewall.h and
 * firewall_rules.h.
 */
#include "vmm/firewall_rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/fw_load.h"
#include "net/switch.h"
#include "vmm/firewall.h"
#include "vmm/policy.h"
#include "vmm/vm_table.h"

static int
no_memory(char *err, size_t errlen)
{
	snprintf(err, errlen, "firewall: %s", strerror(ENOMEM));
	return -ENOMEM;
}

/* A NIC of a guest that goes may be in a switch that is gone already. */
static bool
has_switches(const struct config *c, const struct vm_config *vm)
{
	unsigned i;

	for (i = 0; i < vm->nics.n; i++)
		if (config_find_switch(c, vm->nics.nic[i].sw) == NULL)
			return false;
	return true;
}

/* Has the guest other NICs now than after its next start? */
static bool
differs(const struct config *c, const struct vm_entry *e,
    const struct vm_config *conf)
{
	const struct vm_config *now = vm_conf(e->vm);

	return !nics_alike(&now->nics, &conf->nics) &&
	    vm_entry_state(e) != VM_STOPPED && has_switches(c, now);
}

/* Guest number i, or one that is in no configuration any more, is like that. */
static int
note(struct ruleset_now *n, unsigned i, const struct vm_config *as)
{
	n->as[i] = vm_config_dup(as);
	n->any = true;
	n->nics |= as->nics.n > 0;
	return n->as[i] != NULL ? 0 : -ENOMEM;
}

/* Mostly guests are in both in the same order: *e is where to look first. */
static const struct vm_entry *
find(const struct vm_table *vt, const struct vm_entry **e, const char *name)
{
	const struct vm_entry *found = *e;

	if (found == NULL || strcmp(vm_entry_name(found), name) != 0)
		found = vm_table_find(vt, name);
	if (found != NULL)
		*e = found->next;
	return found;
}

static int
note_guests(struct ruleset_now *n, const struct vm_table *vt)
{
	const struct vm_entry *e, *next = vm_table_first(vt);
	const struct config *c = n->c;
	unsigned i, known = 0;
	int error = 0;

	for (i = 0; i < c->nvms && error == 0; i++) {
		e = find(vt, &next, c->vm[i].name);
		known += e != NULL;
		if (e != NULL && differs(c, e, &c->vm[i]))
			error = note(n, i, vm_conf(e->vm));
	}
	if (known == vm_table_count(vt))
		return error;
	for (e = vm_table_first(vt); e != NULL && error == 0; e = e->next)
		if (config_find_vm(c, vm_entry_name(e)) == NULL &&
		    has_switches(c, vm_conf(e->vm)))
			error = note(n, n->n++, vm_conf(e->vm));
	return error;
}

static bool
is_joined(const struct switches *sw, const char *name)
{
	const struct switch_state *s = switches_find(sw, name);

	return s != NULL && !s->owned;
}

int
ruleset_note(struct ruleset *rs, const struct config *c,
    const struct vm_table *vt, const struct switches *sw)
{
	size_t room = c->nvms + (vt != NULL ? vm_table_count(vt) : 0);
	struct ruleset_now *n = &rs->now;
	int error = 0;
	unsigned i;

	memset(rs, 0, sizeof(*rs));
	n->c = c;
	n->n = c->nvms;
	n->as = calloc(room + 1, sizeof(*n->as));
	n->joined = calloc(c->nsws + 1, sizeof(*n->joined));
	if (n->as == NULL || n->joined == NULL)
		error = -ENOMEM;
	for (i = 0; i < c->nsws && sw != NULL && error == 0; i++)
		n->joined[i] = is_joined(sw, c->sw[i].name);
	for (i = 0; i < c->nvms; i++)
		n->nics |= c->vm[i].nics.n > 0;
	if (vt != NULL && error == 0)
		error = note_guests(n, vt);
	if (error != 0)
		ruleset_free(rs);
	return error;
}

static int
make_view(struct ruleset *rs, const char *daemon)
{
	const struct ruleset_now *n = &rs->now;
	unsigned i;

	rs->view = *n->c;
	rs->view.name = (char *)(uintptr_t)daemon;
	rs->view.nvms = n->n;
	rs->view.vm = calloc(n->n + 1, sizeof(*rs->view.vm));
	if (rs->view.vm == NULL)
		return -ENOMEM;
	for (i = 0; i < n->n; i++)
		rs->view.vm[i] = n->as[i] != NULL ? *n->as[i] : n->c->vm[i];
	return policy_make(&rs->policy, &rs->view, n->joined);
}

/* What others are to have is not theirs any more who differ. */
static void
yield(struct ruleset *rs)
{
	unsigned i;

	for (i = 0; i < rs->view.nvms; i++)
		if (rs->now.as[i] != NULL &&
		    policy_yield(rs->policy, rs->view.vm[i].name))
			rs->cut = rs->view.vm[i].name;
}

int
ruleset_build(struct ruleset *rs, const char *daemon, char *err,
    size_t errlen)
{
	if (make_view(rs, daemon) != 0)
		return no_memory(err, errlen);
	yield(rs);
	return fw_build(policy_fw(rs->policy), &rs->rules, err, errlen);
}

int
ruleset_make(struct ruleset *rs, const struct config *c,
    const struct vm_table *vt, const struct switches *sw, char *err,
    size_t errlen)
{
	int error;

	if (ruleset_note(rs, c, vt, sw) != 0)
		return no_memory(err, errlen);
	error = ruleset_build(rs, c->name, err, errlen);
	if (error != 0)
		ruleset_free(rs);
	return error;
}

void
ruleset_free(struct ruleset *rs)
{
	unsigned i;

	fw_rules_free(&rs->rules);
	policy_free(rs->policy);
	free(rs->view.vm);
	for (i = 0; i < rs->now.n && rs->now.as != NULL; i++)
		vm_config_free(rs->now.as[i]);
	free(rs->now.as);
	free(rs->now.joined);
}

/* What pf does not do stands behind it, as comments: one text to be loaded. */
static int
print_pf(const struct ruleset *rs, struct buf *b, char *err, size_t errlen)
{
	const struct fw_policy *p = policy_fw(rs->policy);
	char *line, *rest;
	struct buf bridge;
	int ret;

	buf_init(&bridge, FIREWALL_TEXT_MAX);
	ret = fw_pf_write(p, &rs->rules, b, err, errlen);
	if (ret == 0)
		ret = fw_pf_bridge_write(p, &rs->rules, &bridge, err, errlen);
	if (ret == 0 && (buf_append(&bridge, "", 1) != 0 ||
	    buf_printf(b, "# Commands for veb(4):\n") != 0))
		ret = no_memory(err, errlen);
	for (rest = buf_head(&bridge); ret == 0 &&
	    (line = strsep(&rest, "\n")) != NULL && *line != '\0';)
		if (buf_printf(b, "#\t%s\n", line) != 0)
			ret = no_memory(err, errlen);
	buf_free(&bridge);
	return ret;
}

int
firewall_print(enum firewall_text text, const struct config *c,
    const struct vm_table *vt, const struct switches *sw, struct buf *b,
    char *err, size_t errlen)
{
	struct ruleset rs;
	int error;

	error = ruleset_make(&rs, c, vt, sw, err, errlen);
	if (error != 0)
		return error;
	if (text == FIREWALL_NFT)
		error = fw_nft_write(policy_fw(rs.policy), &rs.rules, b, err,
		    errlen);
	else
		error = print_pf(&rs, b, err, errlen);
	ruleset_free(&rs);
	return error;
}

int
firewall_check(const struct config *c, char *err, size_t errlen)
{
	struct ruleset rs;
	struct buf b;
	int error;

	error = ruleset_make(&rs, c, NULL, NULL, err, errlen);
	if (error != 0)
		return error;
	buf_init(&b, FIREWALL_TEXT_MAX);
	error = policy_fw(rs.policy)->nnics == 0 ? 0 :
	    fw_load_write(policy_fw(rs.policy), &rs.rules, &b, err, errlen);
	buf_free(&b);
	ruleset_free(&rs);
	return error;
}
