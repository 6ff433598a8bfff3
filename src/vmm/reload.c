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

static int
load_rules(struct vm_table *vt, const struct config *c,
    struct buf *report)
{
	struct network *net = vm_table_network(vt);
	char err[512];
	int ret;

	ret = net != NULL ? network_rules(net, c, vt, err, sizeof(err)) : 0;
	if (ret != 0)
		failed(report, err);
	return ret;
}

/*
 * Switches are first: guests' NICs go where these are; then the firewall, so
 * that no guest finds itself without.
 */
static int
apply_network(struct vm_table *vt, const struct config *old,
    const struct config *c, struct buf *report)
{
	struct network *net = vm_table_network(vt);
	char err[512];
	int ret;

	ret = net != NULL ? network_apply(net, c, err, sizeof(err)) : 0;
	if (ret != 0) {
		failed(report, err);
		return ret;
	}
	ret = load_rules(vt, c, report);
	if (ret == 0) {
		report_switches(old, c, report);
		report_policies(old, c, report);
	}
	if (ret != 0 && network_apply(net, old, err, sizeof(err)) != 0)
		failed(report, err);
	return ret;
}

int
reload_network(struct vm_table *vt, const struct config *conf,
    const struct config *c, struct buf *report)
{
	return c->nsws == conf->nsws ? load_rules(vt, c, report) :
	    apply_network(vt, conf, c, report);
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

void
reload_config(struct vm_table *vt, struct config **conf, struct config *c,
    struct buf *report)
{
	if (vm_table_network(vt) != NULL)
		network_adopt(vm_table_network(vt), c);
	reload_apply(vt, c, report);
	config_free(*conf);
	*conf = c;
}

int
reload_file(struct vm_table *vt, struct config **conf, const char *path,
    bool *restart_required, struct buf *report)
{
	struct config *c;

	c = reload_read(path, report);
	if (c == NULL) {
		log_error("daemon: %s: not reloaded", path);
		return -EINVAL;
	}
	if (apply_network(vt, *conf, c, report) != 0) {
		log_error("daemon: %s: not reloaded", path);
		config_free(c);
		return -EINVAL;
	}
	*restart_required = keep_fixed(c, *conf, report);
	reload_config(vt, conf, c, report);
	log_info("daemon: %s: reloaded", path);
	return 0;
}
