/* SPDX-License-Identifier: ISC */
/*
 * The verbs about configuration: see command.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/addr.h"
#include "vmm/client.h"
#include "vmm/command.h"
#include "vmm/config.h"
#include "vmm/config_keys.h"
#include "vmm/config_value.h"
#include "vmm/control.h"
#include "vmm/nic.h"
#include "vmm/proto.h"
#include "vmm/reload.h"
#include "vmm/statedir.h"
#include "vmm/vm_table.h"

/* One key: its value now and, if that is another, with the next start. */
static int
key_row(struct buf *b, const struct key *k, const struct vm_config *now,
    const struct vm_config *next)
{
	struct buf value, then;
	int ret;

	buf_init(&value, PROTO_ROW_MAX);
	buf_init(&then, PROTO_ROW_MAX);
	ret = key_print(k, now, &value);
	ret = ret ?: buf_append(&value, "", 1);
	ret = ret ?: key_print(k, next, &then);
	ret = ret ?: buf_append(&then, "", 1);
	ret = ret ?: buf_printf(b, "config");
	ret = ret ?: proto_pair(b, "key", k->name);
	ret = ret ?: proto_pair(b, "value", buf_head(&value));
	if (ret == 0 && strcmp(buf_head(&value), buf_head(&then)) != 0)
		ret = proto_pair(b, "next", buf_head(&then));
	ret = ret ?: buf_append(b, "\n", 1);
	buf_free(&value);
	buf_free(&then);
	return ret;
}

/* The exits to the daemon by what they are for; the rest stays inside. */
static int
pair_kinds(struct buf *b, const struct vm_stats *st)
{
	static const char *const name[HV_EXIT_KINDS] = {
		[HV_EXIT_NONE] = "kicks",
		[HV_EXIT_IO] = "ports",
		[HV_EXIT_MMIO] = "memory",
		[HV_EXIT_MSR] = "msrs",
		[HV_EXIT_INTR_WINDOW] = "windows",
		[HV_EXIT_EOI] = "interrupt-ends",
		[HV_EXIT_HLT] = "halts",
		[HV_EXIT_SHUTDOWN] = "triple-faults",
		[HV_EXIT_ERROR] = "errors",
	};
	uint64_t inside = st->exits;
	int i, ret = 0;

	for (i = 0; i < HV_EXIT_KINDS; i++) {
		ret = ret ?: proto_pairf(b, name[i], "%" PRIu64, st->kind[i]);
		/* The counters are read while they move. */
		inside -= st->kind[i] < inside ? st->kind[i] : inside;
	}
	return ret ?: proto_pairf(b, "inside", "%" PRIu64, inside);
}

static int
exits_row(struct buf *b, const struct vm_stats *st)
{
	int ret = buf_printf(b, "exits");

	ret = ret ?: pair_kinds(b, st);
	return ret ?: buf_append(b, "\n", 1);
}

static int
pair_affinity(struct buf *b, const struct affinity *a, unsigned vcpu)
{
	struct buf text;
	int ret;

	if (a->n == 0)
		return proto_pair(b, "affinity", "-");
	buf_init(&text, PROTO_ROW_MAX);
	ret = affinity_print_vcpu(a, vcpu, &text);
	ret = ret ?: buf_append(&text, "", 1);
	ret = ret ?: proto_pair(b, "affinity", buf_head(&text));
	buf_free(&text);
	return ret;
}

/* One virtual CPU, while there is one. */
static int
vcpu_row(struct buf *b, const struct vm_entry *e, unsigned id)
{
	struct vm_vcpu v;
	int ret;

	if (!vm_get_vcpu(e->vm, id, &v))
		return 0;
	ret = buf_printf(b, "vcpu");
	ret = ret ?: proto_pairf(b, "id", "%u", id);
	ret = ret ?: command_pair_seconds(b, "cpu", v.stats.cpu_ns);
	ret = ret ?: command_pair_seconds(b, "guest-time", v.stats.guest_ns);
	ret = ret ?: command_pair_seconds(b, "steal", v.steal_ns);
	ret = ret ?: pair_affinity(b, &vm_conf(e->vm)->affinity, id);
	ret = ret ?: proto_pairf(b, "exits", "%" PRIu64, v.stats.exits);
	ret = ret ?: pair_kinds(b, &v.stats);
	return ret ?: buf_append(b, "\n", 1);
}

static int
pair_counter(struct buf *b, const char *dir, const char *what, uint64_t n)
{
	char key[32];

	snprintf(key, sizeof(key), "%s-%s", dir, what);
	return proto_pairf(b, key, "%" PRIu64, n);
}

static int
pair_counters(struct buf *b, const char *dir, const struct port_counters *c)
{
	int ret;

	ret = pair_counter(b, dir, "packets", c->packets);
	ret = ret ?: pair_counter(b, dir, "bytes", c->bytes);
	ret = ret ?: pair_counter(b, dir, "lost", c->lost);
	ret = ret ?: pair_counter(b, dir, "waits", c->waits);
	return ret ?: pair_counter(b, dir, "answered", c->answered);
}

static int
pair_address(struct buf *b, const struct nic_status *st)
{
	char text[ADDR_TEXT];

	if (st->ip == 0)
		return proto_pair(b, "address", "-");
	return proto_pairf(b, "address", "%s/%u", addr_ip_text(st->ip, text),
	    st->prefix);
}

/* One NIC, while it is plugged in. */
static int
nic_row(struct buf *b, const struct vm_entry *e, unsigned id)
{
	struct nic_status st;
	int ret;

	if (!vm_get_nic(e->vm, id, &st))
		return 0;
	ret = buf_printf(b, "nic");
	ret = ret ?: proto_pairf(b, "id", "%u", id);
	ret = ret ?: proto_pair(b, "switch", st.sw);
	ret = ret ?: proto_pair(b, "tap", st.tap);
	ret = ret ?: proto_pairf(b, "lladdr", "%02x:%02x:%02x:%02x:%02x:%02x",
	    st.mac[0], st.mac[1], st.mac[2], st.mac[3], st.mac[4], st.mac[5]);
	ret = ret ?: pair_address(b, &st);
	ret = ret ?: proto_pair(b, "link", st.up ? "up" : "down");
	ret = ret ?: pair_counters(b, "in", &st.in);
	ret = ret ?: pair_counters(b, "out", &st.out);
	return ret ?: buf_append(b, "\n", 1);
}

int
command_nic_rows(struct buf *b, const struct vm_entry *e)
{
	unsigned i;
	int ret = 0;

	for (i = 0; i < vm_conf(e->vm)->nics.n; i++)
		ret = ret ?: nic_row(b, e, i);
	return ret;
}

void
command_show(struct client *c, const struct command_args *a)
{
	const struct vm_config *now = vm_conf(a->e->vm);
	const struct vm_config *next = a->e->pending;
	struct vm_status st;
	struct buf b;
	unsigned i;
	int ret;

	vm_get_status(a->e->vm, &st);
	buf_init(&b, CLIENT_REPLY_MAX);
	ret = command_guest_row(&b, client_env(c)->backend, a->e);
	ret = ret ?: exits_row(&b, &st.stats);
	for (i = 0; i < st.nvcpus; i++)
		ret = ret ?: vcpu_row(&b, a->e, i);
	ret = ret ?: command_nic_rows(&b, a->e);
	for (i = 0; i < CONFIG_NKEYS; i++)
		if (config_keys[i].section == SECTION_VM)
			ret = ret ?: key_row(&b, &config_keys[i], now,
			    next != NULL ? next : now);
	command_reply(c, &b, ret);
}

/* A change of the configuration that somebody waits for. */
struct request {
	struct client		*c;		/* NULL: not any more */
	struct control_env	*env;
	struct reload		 change;
	struct buf		 report;
	char			 name[VM_NAME_MAX + 1];	/* the guest, or */
	char			*file;		/* in which it is to be */
	struct buf		 text;		/* of it; empty: none */
	int			 not_kept;	/* -errno */
};

/* NULL after a reply: there is no memory. */
static struct request *
request_create(struct client *c, void (*done)(void *cookie, int error))
{
	struct control_env *env = client_env(c);
	struct request *q = calloc(1, sizeof(*q));

	if (q == NULL) {
		client_err(c, "failed", "%s", strerror(ENOMEM));
		return NULL;
	}
	q->env = env;
	buf_init(&q->report, RELOAD_REPORT_MAX);
	buf_init(&q->text, STATEDIR_TEXT_MAX);
	q->change = (struct reload){
		.vt = env->guests, .conf = env->conf, .report = &q->report,
		.done = done, .cookie = q,
	};
	client_defer(c, &q->c);
	return q;
}

static void
request_free(struct request *q)
{
	if (q->c != NULL)
		client_answered(q->c);
	buf_free(&q->report);
	buf_free(&q->text);
	free(q->file);
	free(q);
}

static void
reload_done(void *cookie, int error)
{
	struct request *q = cookie;

	if (error == 0)
		control_configured(q->env->control);
	if (q->c != NULL) {
		client_send(q->c, &q->report);
		if (error == 0)
			client_ok(q->c);
		else
			client_err(q->c, "invalid", "%s: not reloaded, "
			    "nothing changed", q->env->conf_path);
	}
	request_free(q);
}

void
command_reload(struct client *c, const struct command_args *a)
{
	struct request *q = request_create(c, reload_done);

	(void)a;
	if (q == NULL)
		return;
	q->change.restart_required = &q->env->restart_required;
	reload_file(&q->change, q->env->conf_path);
}

/* All that is wrong with a request, in one reply. */
static void
reply_errors(struct client *c, const char *name, struct buf *errors)
{
	struct buf rows;

	buf_init(&rows, RELOAD_REPORT_MAX);
	reload_report_errors(&rows, errors);
	client_send(c, &rows);
	client_err(c, "invalid", "vm %.64s: nothing changed", name);
	buf_free(&rows);
}

/* The last that may fail. */
static int
keep_guest(void *cookie)
{
	struct request *q = cookie;

	q->not_kept = q->text.len > 0 ? statedir_write(q->file, &q->text) :
	    statedir_remove(q->file);
	return q->not_kept;
}

static void
guest_done(void *cookie, int error)
{
	struct request *q = cookie;

	if (error == 0)
		control_configured(q->env->control);
	if (q->c != NULL && q->not_kept != 0) {
		client_err(q->c, "failed", "vm %.64s: cannot be kept: %s: %s",
		    q->name, q->file, strerror(-q->not_kept));
	} else if (q->c != NULL) {
		client_send(q->c, &q->report);
		if (error == 0)
			client_ok(q->c);
		else
			client_err(q->c, "invalid", "vm %.64s: nothing "
			    "changed", q->name);
	}
	request_free(q);
}

/*
 * Makes guest `name` what `text` says, which it takes, or nothing if that is
 * NULL: first in its file, then here.  Nothing is changed unless all of it is
 * right.
 */
static void
change_guest(struct client *c, const char *name, const char *file,
    struct buf *text)
{
	struct request *q = request_create(c, guest_done);
	struct config *conf;

	if (q == NULL)
		return;
	snprintf(q->name, sizeof(q->name), "%s", name);
	q->change.keep = keep_guest;
	q->file = strdup(file);
	conf = q->file == NULL ? NULL :
	    config_with(*q->env->conf, name, file, text, &q->report);
	if (conf == NULL) {
		reply_errors(c, name, &q->report);
		request_free(q);
		return;
	}
	if (text != NULL) {
		q->text = *text;
		buf_init(text, STATEDIR_TEXT_MAX);
	}
	reload_guests(&q->change, conf);
}

/* A new text for a guest's file, from the old one unless that is NULL. */
static void
edit_guest(struct client *c, const char *name, const char *old,
    const char *file, char *pairs)
{
	struct buf text, errors;
	int ret;

	buf_init(&text, STATEDIR_TEXT_MAX);
	buf_init(&errors, CONFIG_ERRORS_MAX);
	ret = statedir_edit(old, name, pairs, &text, &errors);
	if (errors.len > 0)
		reply_errors(c, name, &errors);
	else if (ret != 0)
		client_err(c, "failed", "vm %.64s: %s: %s", name, file,
		    strerror(-ret));
	else
		change_guest(c, name, file, &text);
	buf_free(&text);
	buf_free(&errors);
}

void
command_define(struct client *c, const struct command_args *a)
{
	const struct config *conf = *client_env(c)->conf;
	const struct vm_config *vm = config_find_vm(conf, a->word);
	char *file;

	/* It becomes the name of a file. */
	if (!value_is_name(a->word) || strlen(a->word) > VM_NAME_MAX) {
		client_err(c, "syntax", "no name: write a letter or digit, "
		    "then letters, digits, `.', `-', `_', at most %d in all",
		    VM_NAME_MAX);
		return;
	}
	if (vm != NULL) {
		client_err(c, "state", "vm %s: is there already, in %s",
		    vm->name, vm->file);
		return;
	}
	file = statedir_path(conf->state, a->word);
	if (file != NULL)
		edit_guest(c, a->word, NULL, file, a->pairs);
	else
		client_err(c, "failed", "%s", strerror(ENOMEM));
	free(file);
}

/* The file of a guest that was defined; NULL after a reply if it was not. */
static char *
defined_file(struct client *c, const char *name)
{
	const struct config *conf = *client_env(c)->conf;
	const struct vm_config *vm = config_find_vm(conf, name);
	char *file = statedir_path(conf->state, name);

	if (file == NULL) {
		client_err(c, "failed", "%s", strerror(ENOMEM));
	} else if (vm == NULL) {
		client_err(c, "state", "vm %s: is about to go", name);
	} else if (strcmp(vm->file, file) != 0) {
		client_err(c, "state", "vm %s: stands in %s, change it there "
		    "and reload", name, vm->file);
	} else {
		return file;
	}
	free(file);
	return NULL;
}

void
command_set(struct client *c, const struct command_args *a)
{
	char *file = defined_file(c, a->word);

	if (file != NULL)
		edit_guest(c, a->word, file, file, a->pairs);
	free(file);
}

void
command_undefine(struct client *c, const struct command_args *a)
{
	char *file = defined_file(c, a->word);

	if (file != NULL && vm_entry_state(a->e) != VM_STOPPED)
		client_err(c, "state", "vm %s: is %s, stop it first", a->word,
		    vm_state_name(vm_entry_state(a->e)));
	else if (file != NULL)
		change_guest(c, a->word, file, NULL);
	free(file);
}
