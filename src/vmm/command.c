/* SPDX-License-Identifier: ISC */
/*
 * The command table: see command.h.  A function here replies to its client
 * once, now or through client_wait().
 */
#include "vmm/command.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "vmm/client.h"
#include "vmm/command_table.h"
#include "vmm/config.h"
#include "vmm/control.h"
#include "vmm/peer.h"
#include "vmm/vm_table.h"
#include "vmm/proto.h"
#include "vmm/version.h"

#define NS_PER_S	1000000000u
#define NS_PER_MS	1000000u
#define NS_PER_US	1000u

int
command_pair_seconds(struct buf *b, const char *key, uint64_t ns)
{
	return proto_pairf(b, key, "%" PRIu64 ".%03u", ns / NS_PER_S,
	    (unsigned)(ns % NS_PER_S / NS_PER_MS));
}

static const char *
pending_text(const struct vm_entry *e)
{
	if (e->removing)
		return "removal";
	if (e->want_start)
		return "start";
	return e->pending != NULL ? "restart required" : "-";
}

int
command_guest_row(struct buf *b, const char *backend,
    const struct vm_entry *e)
{
	struct vm_status st;
	int ret;

	vm_get_status(e->vm, &st);
	ret = buf_printf(b, "vm");
	ret = ret ?: proto_pair(b, "name", vm_entry_name(e));
	ret = ret ?: proto_pair(b, "state", vm_state_name(st.state));
	ret = ret ?: proto_pair(b, "backend", backend);
	ret = ret ?: proto_pair(b, "reason", vm_reason_name(st.reason));
	ret = ret ?: proto_pairf(b, "memory", "%" PRIu64, st.memory);
	ret = ret ?: proto_pairf(b, "vcpus", "%u", st.nvcpus);
	ret = ret ?: command_pair_seconds(b, "uptime", st.uptime_ns);
	ret = ret ?: command_pair_seconds(b, "next-start", st.next_start_ns);
	ret = ret ?: command_pair_seconds(b, "cpu", st.stats.cpu_ns);
	ret = ret ?: command_pair_seconds(b, "guest-time", st.stats.guest_ns);
	ret = ret ?: proto_pairf(b, "exits", "%" PRIu64, st.stats.exits);
	ret = ret ?: proto_pairf(b, "boots", "%u", st.boots);
	ret = ret ?: proto_pair(b, "pending", pending_text(e));
	ret = ret ?: proto_pair(b, "message", vm_message(e->vm));
	return ret ?: buf_append(b, "\n", 1);
}

static int
daemon_row(struct buf *b, const struct control_env *env)
{
	int ret;

	ret = buf_printf(b, "daemon");
	ret = ret ?: proto_pair(b, "name", (*env->conf)->name);
	ret = ret ?: proto_pair(b, "version", VMMD_VERSION);
	ret = ret ?: proto_pair(b, "backend", env->backend);
	ret = ret ?: proto_pairf(b, "pid", "%d", (int)getpid());
	ret = ret ?: command_pair_seconds(b, "uptime",
	    loop_now_ns() - env->started_ns);
	ret = ret ?: proto_pairf(b, "guests", "%zu",
	    vm_table_count(env->guests));
	ret = ret ?: proto_pairf(b, "clients", "%zu", env->nclients);
	ret = ret ?: proto_pairf(b, "worst-callback-us", "%" PRIu64,
	    loop_worst_ns(env->loop) / NS_PER_US);
	ret = ret ?: proto_pair(b, "pending",
	    env->restart_required ? "restart required" : "-");
	return ret ?: buf_append(b, "\n", 1);
}

int
command_event_row(struct buf *b, const struct vm_entry *e)
{
	struct vm_status st;
	int ret;

	vm_get_status(e->vm, &st);
	ret = buf_printf(b, "event");
	ret = ret ?: proto_pair(b, "vm", vm_entry_name(e));
	ret = ret ?: proto_pair(b, "state",
	    e->removed ? "removed" : vm_state_name(st.state));
	ret = ret ?: proto_pair(b, "reason", vm_reason_name(st.reason));
	ret = ret ?: proto_pair(b, "message", vm_message(e->vm));
	return ret ?: buf_append(b, "\n", 1);
}

typedef void command_fn(struct client *c, const struct command_args *a);

void
command_reply(struct client *c, struct buf *b, int ret)
{
	if (ret == 0) {
		client_send(c, b);
		client_ok(c);
	} else {
		client_err(c, "failed", "%s", strerror(-ret));
	}
	buf_free(b);
}

static void
command_help(struct client *c, const struct command_args *a)
{
	struct buf b;
	int i, ret = 0;

	if (a->word != NULL && command_find(a->word) == NULL) {
		client_err(c, "unknown", "no command %.32s, try help",
		    a->word);
		return;
	}
	buf_init(&b, CLIENT_REPLY_MAX);
	for (i = 0; i < COMMAND_COUNT; i++)
		if (a->word == NULL || strcmp(a->word, commands[i].name) == 0)
			ret = ret ?: command_help_row(&b,
			    &commands[i]);
	command_reply(c, &b, ret);
}

static void
command_status(struct client *c, const struct command_args *a)
{
	const struct control_env *env = client_env(c);
	const struct vm_entry *each;
	struct buf b;
	int ret = 0;

	buf_init(&b, CLIENT_REPLY_MAX);
	if (a->e != NULL) {
		ret = command_guest_row(&b, env->backend, a->e);
		ret = ret ?: command_nic_rows(&b, a->e);
	} else {
		if (client_is_admin(c))
			ret = daemon_row(&b, env);
		for (each = vm_table_first(env->guests); each != NULL;
		    each = each->next)
			if (client_may(c, each))
				ret = ret ?: command_guest_row(&b,
				    env->backend, each);
	}
	command_reply(c, &b, ret);
}

static void
command_start(struct client *c, const struct command_args *a)
{
	struct vm_entry *e = a->e;
	int ret;

	ret = vm_table_start(client_env(c)->guests, e);
	if (ret == 0)
		client_wait(c, e, CLIENT_WAIT_START);
	else if (ret == -EBUSY)
		client_err(c, "state", "vm %s: is %s already", vm_entry_name(e),
		    vm_state_name(vm_entry_state(e)));
	else if (ret == -ESHUTDOWN)
		client_err(c, "state", "vm %s: is about to go",
		    vm_entry_name(e));
	else
		client_err(c, "failed", "vm %s: cannot start: %s",
		    vm_entry_name(e), strerror(-ret));
}

static void
command_stop(struct client *c, const struct command_args *a)
{
	if (vm_table_stop(client_env(c)->guests, a->e, a->option) == 0)
		client_wait(c, a->e, CLIENT_WAIT_STOP);
	else
		client_err(c, "state", "vm %s: is not running",
		    vm_entry_name(a->e));
}

static void
command_pause(struct client *c, const struct command_args *a)
{
	if (vm_entry_state(a->e) == VM_PAUSED || vm_pause(a->e->vm) == 0)
		client_wait(c, a->e, CLIENT_WAIT_PAUSE);
	else
		client_err(c, "state", "vm %s: is not running",
		    vm_entry_name(a->e));
}

static void
command_resume(struct client *c, const struct command_args *a)
{
	if (vm_resume(a->e->vm) == 0)
		client_ok(c);
	else
		client_err(c, "state", "vm %s: is not paused",
		    vm_entry_name(a->e));
}

static void
command_reset(struct client *c, const struct command_args *a)
{
	if (vm_reset(a->e->vm) == 0)
		client_wait(c, a->e, CLIENT_WAIT_START);
	else
		client_err(c, "state", "vm %s: is not running",
		    vm_entry_name(a->e));
}

static void
command_log(struct client *c, const struct command_args *a)
{
	unsigned level = log_get_level();
	struct buf b;
	int ret;

	if (a->word != NULL) {
		for (level = 0; log_level_name(level) != NULL; level++)
			if (strcmp(log_level_name(level), a->word) == 0)
				break;
		if (log_level_name(level) == NULL) {
			client_err(c, "syntax", "no level %.32s, write error, "
			    "warn, info or debug", a->word);
			return;
		}
		log_set_level((enum log_level)level);
	}
	buf_init(&b, PROTO_ROW_MAX);
	ret = buf_printf(&b, "log level=%s\n", log_level_name(level));
	command_reply(c, &b, ret);
}

static void
command_console(struct client *c, const struct command_args *a)
{
	client_console(c, a->e);
}

static void
command_wait(struct client *c, const struct command_args *a)
{
	client_wait(c, a->e, CLIENT_WAIT_REASON);
}

static void
command_events(struct client *c, const struct command_args *a)
{
	const struct vm_entry *e = vm_table_first(client_env(c)->guests);
	struct buf b;
	int ret = 0;

	(void)a;
	buf_init(&b, CLIENT_REPLY_MAX);
	for (; e != NULL; e = e->next)
		if (client_may(c, e))
			ret = ret ?: command_event_row(&b, e);
	if (ret == 0)
		client_watch(c);
	command_reply(c, &b, ret);
}

static command_fn *const command_fns[COMMAND_COUNT] = {
	[COMMAND_CONSOLE] = command_console,
	[COMMAND_DEFINE] = command_define,
	[COMMAND_EVENTS] = command_events,
	[COMMAND_HELP] = command_help,
	[COMMAND_LOG] = command_log,
	[COMMAND_NFT] = command_nft,
	[COMMAND_PAUSE] = command_pause,
	[COMMAND_PF] = command_pf,
	[COMMAND_RELOAD] = command_reload,
	[COMMAND_RESET] = command_reset,
	[COMMAND_RESUME] = command_resume,
	[COMMAND_SET] = command_set,
	[COMMAND_SHOW] = command_show,
	[COMMAND_START] = command_start,
	[COMMAND_STATUS] = command_status,
	[COMMAND_STOP] = command_stop,
	[COMMAND_TRACE] = command_trace,
	[COMMAND_UNDEFINE] = command_undefine,
	[COMMAND_WAIT] = command_wait,
};

/* Takes the words behind the verb; false if they are not what it takes. */
static bool
command_words(const struct command *cmd, char *rest, struct command_args *a)
{
	if (cmd->object != OBJECT_NONE) {
		a->word = proto_word(&rest);
		if (*a->word == '\0')
			a->word = NULL;
		if (a->word == NULL && (cmd->object == OBJECT_GUEST ||
		    cmd->object == OBJECT_NEW))
			return false;
	}
	rest += strspn(rest, " ");
	if (cmd->option != NULL && *rest != '\0') {
		a->option = true;
		if (strcmp(proto_word(&rest), cmd->option) != 0)
			return false;
	}
	a->pairs = rest + strspn(rest, " ");
	return (*a->pairs != '\0') == (cmd->pairs != NULL);
}

/* May the peer use the verb, for some guest at least? */
static bool
command_allowed(const struct client *c, const struct command *cmd)
{
	switch (cmd->privilege) {
	case PRIVILEGE_ANY:
		return true;
	case PRIVILEGE_OWNER:
		return client_is_admin(c) ||
		    peer_owns_any(client_peer(c), *client_env(c)->conf);
	case PRIVILEGE_ADMIN:
		return client_is_admin(c);
	}
	return false;
}

/*
 * Finds the guest that the request names; false if there is none.  Nobody
 * learns which guests others have.
 */
static bool
command_guest(struct client *c, const struct command *cmd,
    struct command_args *a)
{
	if (a->word == NULL || (cmd->object != OBJECT_GUEST &&
	    cmd->object != OBJECT_OPTIONAL))
		return true;
	a->e = vm_table_find(client_env(c)->guests, a->word);
	if (a->e != NULL && client_may(c, a->e))
		return true;
	client_err(c, "no-vm", "vm %.64s: no such guest", a->word);
	return false;
}

void
command_run(struct client *c, char *line)
{
	const char *verb = proto_word(&line);
	const struct command *cmd = command_find(verb);
	struct command_args a = { .e = NULL };
	char args[COMMAND_ARGS_MAX];

	if (*verb == '\0') {
		client_err(c, "syntax", "empty request, try help");
	} else if (cmd == NULL) {
		client_err(c, "unknown", "no command %.32s, try help", verb);
	} else if (!command_allowed(c, cmd)) {
		client_err(c, "denied", "%s: permission denied", cmd->name);
	} else if (!command_words(cmd, line, &a)) {
		command_args(cmd, args, sizeof(args));
		client_err(c, "syntax", "usage: %s%s%s", cmd->name,
		    *args == '\0' ? "" : " ", args);
	} else if (command_guest(c, cmd, &a)) {
		assert(command_fns[cmd - commands] != NULL);
		command_fns[cmd - commands](c, &a);
	}
}
