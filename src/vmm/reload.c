/* SPDX-License-Identifier: ISC */
/*
 * Reload: see reload.h.  The new configuration is whole and checked before
 * anything is touched.
 */
#include "vmm/reload.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "vmm/config.h"
#include "vmm/firewall.h"
#include "vmm/network.h"
#include "vmm/proto.h"
#include "vmm/vm_table.h"

/*
 * Of a guest, or of the daemon if `name` is NULL.  A report that is full is one
 * that nobody reads to its end.
 */
static void
report_change(struct buf *report, const char *name, const char *what,
    const struct buf *changes)
{
	int ret;

	if (report == NULL)
		return;
	ret = buf_printf(report, "change");
	if (name != NULL)
		ret = ret ?: proto_pair(report, "vm", name);
	ret = ret ?: proto_pair(report, "what", what);
	if (changes != NULL)
		ret = ret ?: proto_pairf(report, "keys", "%.*s",
		    (int)changes->len, buf_head(changes));
	(void)(ret ?: buf_append(report, "\n", 1));
}

static void
report_error(struct buf *report, const char *text, size_t len)
{
	int ret;

	if (report == NULL)
		return;
	ret = buf_printf(report, "error");
	ret = ret ?: proto_pairf(report, "message", "%.*s", (int)len, text);
	(void)(ret ?: buf_append(report, "\n", 1));
}

static void
remove_gone(struct vm_table *vt, const struct config *c, struct buf *report)
{
	struct vm_entry *e;

	for (e = vm_table_first(vt); e != NULL; e = e->next) {
		if (e->removing || config_find_vm(c, vm_entry_name(e)) != NULL)
			continue;
		report_change(report, vm_entry_name(e), "removed", NULL);
		vm_table_remove(vt, e);
	}
}

/* Says what an update did before it is forgotten what there was. */
static int
update_vm(struct vm_table *vt, struct vm_entry *e, const struct vm_config *vm,
    struct buf *report)
{
	const struct vm_config *last =
	    e->pending != NULL ? e->pending : vm_conf(e->vm);
	struct buf live, pending;
	int ret;

	buf_init(&live, CONFIG_CHANGES_MAX);
	buf_init(&pending, CONFIG_CHANGES_MAX);
	/* What waits already has been told. */
	if (vm_config_live_changes(vm_conf(e->vm), vm, &live) == 0 &&
	    vm_config_equal(last, vm) && !e->removing)
		return 0;
	vm_config_changes(vm_conf(e->vm), vm, &pending);
	ret = vm_table_update(vt, e, vm);
	if (live.len > 0)
		report_change(report, vm->name, "changed", &live);
	if (pending.len > 0)
		report_change(report, vm->name,
		    e->pending != NULL ? "pending" : "changed", &pending);
	buf_free(&live);
	buf_free(&pending);
	return ret;
}

static int
apply_vm(struct vm_table *vt, const struct vm_config *vm, struct buf *report)
{
	struct vm_entry *e = vm_table_find(vt, vm->name);

	if (e != NULL)
		return update_vm(vt, e, vm, report);
	report_change(report, vm->name, "added", NULL);
	return vm_table_add(vt, vm);
}

static int
report_network(struct buf *report, const char *kind, const char *name,
    const char *what, const struct buf *keys)
{
	int ret;

	if (report == NULL)
		return 0;
	ret = buf_printf(report, "change");
	ret = ret ?: proto_pair(report, kind, name);
	ret = ret ?: proto_pair(report, "what", what);
	if (keys != NULL)
		ret = ret ?: proto_pairf(report, "keys", "%.*s",
		    (int)keys->len, buf_head(keys));
	return ret ?: buf_append(report, "\n", 1);
}

static void
report_policies(const struct config *old, const struct config *c,
    struct buf *report)
{
	const struct config_policy *p, *was;
	unsigned i;

	for (i = 0; i < c->npolicies; i++) {
		p = &c->policy[i];
		was = config_find_policy(old, p->name);
		if (was == NULL)
			(void)report_network(report, "policy", p->name,
			    "added", NULL);
		else if (policy_changed(was, p))
			(void)report_network(report, "policy", p->name,
			    "changed", NULL);
	}
	for (i = 0; i < old->npolicies; i++)
		if (config_find_policy(c, old->policy[i].name) == NULL)
			(void)report_network(report, "policy",
			    old->policy[i].name, "removed", NULL);
}

static void
report_switches(const struct config *old, const struct config *c,
    struct buf *report)
{
	const struct config_switch *was;
	struct buf keys;
	unsigned i;

	for (i = 0; i < old->nsws; i++)
		if (config_find_switch(c, old->sw[i].name) == NULL)
			(void)report_network(report, "switch",
			    old->sw[i].name, "removed", NULL);
	for (i = 0; i < c->nsws; i++) {
		was = config_find_switch(old, c->sw[i].name);
		buf_init(&keys, CONFIG_CHANGES_MAX);
		if (was == NULL)
			(void)report_network(report, "switch",
			    c->sw[i].name, "added", NULL);
		else if (switch_changes(was, &c->sw[i], &keys) > 0)
			(void)report_network(report, "switch", was->name,
			    "changed", &keys);
		buf_free(&keys);
	}
}

static void
failed(struct buf *report, const char *err)
{
	log_error("%s", err);
	report_error(report, err, strlen(err));
}

static void
update_nics(struct vm_table *vt)
{
	struct vm_entry *e;

	for (e = vm_table_first(vt); e != NULL; e = e->next)
		vm_update_nics(e->vm);
}

void
reload_apply(struct vm_table *vt, const struct config *c, struct buf *report)
{
	unsigned i;
	int ret;

	vm_table_set_stagger(vt, c->stagger, c->parallel);
	remove_gone(vt, c, report);
	for (i = 0; i < c->nvms; i++) {
		ret = apply_vm(vt, &c->vm[i], report);
		if (ret != 0)
			log_error("vm %s: cannot be configured: %s",
			    c->vm[i].name, strerror(-ret));
	}
	if (vm_table_network(vt) != NULL)
		update_nics(vt);
}

void
reload_report_errors(struct buf *report, struct buf *errors)
{
	char *p, *end;

	while (errors->len > 0) {
		p = buf_head(errors);
		end = memchr(p, '\n', errors->len);
		if (end == NULL)
			return;
		report_error(report, p, end - p);
		buf_consume(errors, end - p + 1);
	}
}

/* One message a line. */
static void
log_lines(const struct buf *b)
{
	const char *p, *next;

	for (p = buf_head(b); p < buf_head(b) + b->len; p = next + 1) {
		next = memchr(p, '\n', buf_head(b) + b->len - p);
		if (next == NULL)
			return;
		log_error("%.*s", (int)(next - p), p);
	}
}

struct config *
reload_read(const char *path, struct buf *report)
{
	struct config *c;
	struct buf errors;

	buf_init(&errors, CONFIG_ERRORS_MAX);
	c = config_read(path, &errors);
	log_lines(&errors);
	reload_report_errors(report, &errors);
	buf_free(&errors);
	return c;
}

static bool
keep_fixed(struct config *c, struct config *old, struct buf *report)
{
	struct buf changes;
	bool differ;

	buf_init(&changes, CONFIG_CHANGES_MAX);
	differ = config_keep_fixed(c, old, &changes);
	if (differ) {
		log_warn("daemon: changed: restart required: %.*s",
		    (int)changes.len, buf_head(&changes));
		report_change(report, NULL, "restart required", &changes);
	}
	buf_free(&changes);
	return differ;
}

/* With a guest one may come or go. */
static bool
has_switches(const struct reload *r)
{
	return r->path != NULL || r->next->nsws != (*r->conf)->nsws;
}

static void
log_outcome(const struct reload *r, int error)
{
	if (r->path != NULL && error == 0)
		log_info("daemon: %s: reloaded", r->path);
	else if (r->path != NULL)
		log_error("daemon: %s: not reloaded", r->path);
}

/* Also rules, if those of what is not to be are loaded. */
static void
take_back(struct reload *r, int error, bool rules)
{
	struct network *net = vm_table_network(r->vt);
	char err[512];

	if (net != NULL && has_switches(r) &&
	    network_apply(net, *r->conf, err, sizeof(err)) != 0)
		failed(r->report, err);
	if (net != NULL)
		network_adopt(net, *r->conf);
	if (rules)
		firewall_revert(vm_table_firewall(r->vt));
	config_free(r->next);
	log_outcome(r, error);
	r->done(r->cookie, error);
}

/* From here on it is the one in place, also to whatever guests do now. */
static void
put_in_place(struct reload *r)
{
	struct network *net = vm_table_network(r->vt);
	struct config *old = *r->conf;

	if (has_switches(r)) {
		report_switches(old, r->next, r->report);
		report_policies(old, r->next, r->report);
	}
	if (r->restart_required != NULL)
		*r->restart_required = keep_fixed(r->next, old, r->report);
	if (net != NULL)
		network_adopt(net, r->next);
	*r->conf = r->next;
	reload_apply(r->vt, r->next, r->report);
	config_free(old);
	log_outcome(r, 0);
	r->done(r->cookie, 0);
}

/* The rules are there, or cannot be. */
static void
loaded(void *cookie, int error, const char *err)
{
	struct reload *r = cookie;

	if (error != 0) {
		failed(r->report, err);
		take_back(r, error, false);
		return;
	}
	if (r->keep != NULL)
		error = r->keep(r->cookie);
	if (error != 0)
		take_back(r, error, true);
	else
		put_in_place(r);
}

/*
 * Switches are first: guests' NICs go where these are; then the firewall, so
 * that no guest finds itself without; guests are last.
 */
static void
begin(struct reload *r)
{
	struct network *net = vm_table_network(r->vt);
	char err[512] = "";
	int error = 0;

	if (net != NULL && has_switches(r))
		error = network_apply(net, r->next, err, sizeof(err));
	if (error != 0) {
		failed(r->report, err);
		config_free(r->next);
		log_outcome(r, error);
		r->done(r->cookie, error);
		return;
	}
	error = firewall_apply(vm_table_firewall(r->vt), r->next, loaded, r,
	    err, sizeof(err));
	if (error != -EINPROGRESS)
		loaded(r, error, err);
}

void
reload_file(struct reload *r, const char *path)
{
	r->path = path;
	r->next = reload_read(path, r->report);
	if (r->next == NULL) {
		log_outcome(r, -EINVAL);
		r->done(r->cookie, -EINVAL);
		return;
	}
	begin(r);
}

void
reload_guests(struct reload *r, struct config *c)
{
	r->path = NULL;
	r->next = c;
	begin(r);
}
