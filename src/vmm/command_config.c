/* SPDX-License-Identifier: ISC */
/*
 * The verbs about configuration: see command.h.
 */
#include <errno.h>
#include <string.h>

#include "vmm/client.h"
#include "vmm/command.h"
#include "vmm/config.h"
#include "vmm/config_keys.h"
#include "vmm/control.h"
#include "vmm/proto.h"
#include "vmm/reload.h"
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

void
command_show(struct client *c, const struct command_args *a)
{
	const struct vm_config *now = vm_conf(a->e->vm);
	const struct vm_config *next = a->e->pending;
	struct buf b;
	size_t i;
	int ret;

	buf_init(&b, CLIENT_OUTPUT_MAX);
	ret = command_guest_row(&b, client_env(c)->backend, a->e);
	for (i = 0; i < CONFIG_NKEYS; i++)
		if (config_keys[i].section == SECTION_VM)
			ret = ret ?: key_row(&b, &config_keys[i], now,
			    next != NULL ? next : now);
	command_reply(c, &b, ret);
}

void
command_reload(struct client *c, const struct command_args *a)
{
	struct control_env *env = client_env(c);
	struct buf report;
	int ret;

	(void)a;
	buf_init(&report, RELOAD_REPORT_MAX);
	ret = reload_file(env->guests, env->conf, env->conf_path,
	    &env->restart_required, &report);
	client_send(c, &report);
	if (ret == 0)
		client_ok(c);
	else
		client_err(c, "invalid", "%s: not reloaded, nothing changed",
		    env->conf_path);
	buf_free(&report);
}
