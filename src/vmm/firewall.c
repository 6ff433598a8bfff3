/* SPDX-License-Identifier: ISC */
/*
 * The loaded firewall: see firewall.h.
 */
#include "vmm/firewall.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "net/fw_load.h"
#include "vmm/firewall_rules.h"
#include "vmm/policy.h"
#include "vmm/vm_table.h"

struct firewall {
	struct fw_load	*load;
	char		*daemon;	/* the name it has, whatever is next */
	int		 error;		/* there is none, and why */
	char		 why[256];
	char		*text;		/* as it is loaded, or NULL */
	bool		 waits;		/* some guest is not as configured */
	struct os_addr	*known;		/* addresses of guests */
	size_t		 nknown;
};

static int
no_memory(char *err, size_t errlen)
{
	snprintf(err, errlen, "firewall: %s", strerror(ENOMEM));
	return -ENOMEM;
}

struct firewall *
firewall_create(const char *daemon)
{
	struct firewall *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->daemon = strdup(daemon);
	if (f->daemon == NULL) {
		free(f);
		return NULL;
	}
	f->error = fw_load_open(&f->load, daemon, f->why, sizeof(f->why));
	return f;
}

void
firewall_destroy(struct firewall *f)
{
	if (f == NULL)
		return;
	if (f->error == 0)
		fw_load_close(f->load);
	free(f->known);
	free(f->text);
	free(f->daemon);
	free(f);
}

/* Has the guest other NICs now than after its next start? */
static const struct vm_config *
as_it_is(const struct vm_entry *e, const struct vm_config *conf)
{
	const struct vm_config *now = vm_conf(e->vm);

	return vm_entry_state(e) == VM_STOPPED ||
	    nics_alike(&now->nics, &conf->nics) ? conf : now;
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

static void
view_add(struct ruleset *rs, const struct vm_config *vm, bool waits)
{
	rs->waits[rs->view.nvms] = waits;
	rs->any |= waits;
	rs->view.vm[rs->view.nvms++] = *vm;
}

static void
view_guests(struct ruleset *rs, const struct config *c,
    const struct vm_table *vt)
{
	const struct vm_config *vm, *as;
	const struct vm_entry *e;
	unsigned i;

	for (i = 0; i < c->nvms; i++) {
		vm = as = &c->vm[i];
		e = vt != NULL ? vm_table_find(vt, vm->name) : NULL;
		if (e != NULL)
			as = as_it_is(e, vm);
		if (!has_switches(c, as))
			as = vm;
		view_add(rs, as, as != vm);
	}
	for (e = vt != NULL ? vm_table_first(vt) : NULL; e != NULL;
	    e = e->next)
		if (config_find_vm(c, vm_entry_name(e)) == NULL &&
		    has_switches(c, vm_conf(e->vm)))
			view_add(rs, vm_conf(e->vm), true);
}

/* What others are to have is not theirs any more who wait. */
static void
yield(struct ruleset *rs)
{
	unsigned i;

	for (i = 0; i < rs->view.nvms; i++)
		if (rs->waits[i] &&
		    policy_yield(rs->policy, rs->view.vm[i].name))
			rs->cut = rs->view.vm[i].name;
}

void
ruleset_free(struct ruleset *rs)
{
	fw_rules_free(&rs->rules);
	policy_free(rs->policy);
	free(rs->view.vm);
	free(rs->waits);
}

int
ruleset_make(struct ruleset *rs, const struct config *c,
    const struct vm_table *vt, const struct switches *sw, char *err,
    size_t errlen)
{
	size_t room = c->nvms + (vt != NULL ? vm_table_count(vt) : 0);
	int error;

	memset(rs, 0, sizeof(*rs));
	rs->view = *c;
	rs->view.nvms = 0;
	rs->view.vm = calloc(room + 1, sizeof(*rs->view.vm));
	rs->waits = calloc(room + 1, sizeof(*rs->waits));
	if (rs->view.vm == NULL || rs->waits == NULL) {
		ruleset_free(rs);
		return no_memory(err, errlen);
	}
	view_guests(rs, c, vt);
	error = policy_make(&rs->policy, &rs->view, sw);
	if (error != 0) {
		error = no_memory(err, errlen);
	} else {
		yield(rs);
		error = fw_build(policy_fw(rs->policy), &rs->rules, err,
		    errlen);
	}
	if (error != 0)
		ruleset_free(rs);
	return error;
}

void
firewall_forward(const struct config *c)
{
	const struct fw_policy *p;
	struct policy *policy;
	struct buf said;
	char err[256] = "", *line, *rest;

	if (policy_make(&policy, c, NULL) != 0)
		return;
	p = policy_fw(policy);
	buf_init(&said, 1 << 16);
	if ((fw_forwards(p, false) || fw_forwards(p, true)) &&
	    fw_load_forward(fw_forwards(p, false), fw_forwards(p, true),
	    &said, err, sizeof(err)) != 0)
		log_warn("%s", err);
	if (buf_append(&said, "", 1) == 0)
		for (rest = buf_head(&said); (line = strsep(&rest, "\n")) !=
		    NULL && *line != '\0';)
			log_info("firewall: %s", line);
	buf_free(&said);
	policy_free(policy);
}

/* Who had an address, and has none any more, has no connections either. */
static void
forget(struct firewall *f, const struct fw_policy *p)
{
	struct os_addr *known, *gone;
	size_t i, k, n = 0, ngone = 0;
	struct fw_table now;
	char err[256];

	for (i = 0; i < p->nnics; i++)
		n += p->nic[i].naddrs;
	known = calloc(n + 1, sizeof(*known));
	gone = calloc(f->nknown + 1, sizeof(*gone));
	if (known != NULL && gone != NULL) {
		for (i = 0, n = 0; i < p->nnics; i++)
			for (k = 0; k < p->nic[i].naddrs; k++)
				known[n++] = p->nic[i].addrs[k];
		now = (struct fw_table){ .v = known, .n = n };
		for (i = 0; i < f->nknown; i++)
			if (!fw_table_has(&now, &f->known[i]))
				gone[ngone++] = f->known[i];
		if (ngone > 0 && fw_load_forget(f->load, gone, ngone, err,
		    sizeof(err)) != 0)
			log_warn("%s", err);
		free(f->known);
		f->known = known;
		f->nknown = n;
		known = NULL;
	}
	free(gone);
	free(known);
}

/* Says what defeats our rules; nothing more can be done about it. */
static void
warn_conflicts(struct firewall *f)
{
	char err[256], *line, *rest;
	struct buf b;

	buf_init(&b, 1 << 16);
	if (fw_load_conflicts(f->load, &b, err, sizeof(err)) != 0)
		log_warn("%s", err);
	else if (buf_append(&b, "", 1) == 0)
		for (rest = buf_head(&b); (line = strsep(&rest, "\n")) !=
		    NULL && *line != '\0';)
			log_warn("firewall: %s", line);
	buf_free(&b);
}

/* Without a NIC there is nothing to be loaded, but what was may have to go. */
static int
load(struct firewall *f, const struct ruleset *rs, char *err, size_t errlen)
{
	struct buf b;
	int error;

	if (policy_fw(rs->policy)->nnics == 0 && f->text == NULL)
		return 0;
	if (f->error != 0) {
		snprintf(err, errlen, "%s", f->why);
		return f->error;
	}
	buf_init(&b, FIREWALL_TEXT_MAX);
	error = fw_load_write(policy_fw(rs->policy), &rs->rules, &b, err,
	    errlen);
	if (error == 0 && buf_append(&b, "", 1) != 0)
		error = no_memory(err, errlen);
	if (error == 0 && (f->text == NULL ||
	    strcmp(f->text, buf_head(&b)) != 0)) {
		error = fw_load_apply(f->load, buf_head(&b), err, errlen);
		if (error == 0) {
			free(f->text);
			f->text = strdup(buf_head(&b));
			firewall_forward(&rs->view);
			forget(f, policy_fw(rs->policy));
			warn_conflicts(f);
		}
	}
	buf_free(&b);
	return error;
}

int
firewall_apply(struct firewall *f, const struct config *c,
    const struct vm_table *vt, const struct switches *sw, char *err,
    size_t errlen)
{
	struct config named = *c;
	struct ruleset rs;
	int error;

	named.name = f->daemon;
	error = ruleset_make(&rs, &named, vt, sw, err, errlen);
	if (error != 0)
		return error;
	error = load(f, &rs, err, errlen);
	if (error == 0)
		f->waits = rs.any;
	if (error == 0 && rs.cut != NULL)
		log_warn("vm %s: firewall: what its NIC has is another's now: "
		    "cut off until it is gone or starts again", rs.cut);
	ruleset_free(&rs);
	return error;
}

void
firewall_refresh(struct firewall *f, const struct config *c,
    const struct vm_table *vt, const struct switches *sw)
{
	char err[512];

	if (f->waits &&
	    firewall_apply(f, c, vt, sw, err, sizeof(err)) != 0)
		log_error("%s", err);
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
