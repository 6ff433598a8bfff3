/* SPDX-License-Identifier: ISC */
/*
 * The texts of the commands: see command_table.h.
 */
#include "vmm/command_table.h"

#include <stdio.h>
#include <string.h>

#include "vmm/proto.h"

const struct command commands[COMMAND_COUNT] = {
	[COMMAND_CONSOLE] = { .name = "console", .args = "NAME",
	    .usage = "become the guest's serial line",
	    .privilege = PRIVILEGE_OWNER, .object = OBJECT_GUEST },
	[COMMAND_DEFINE] = { .name = "define", .args = "NAME",
	    .usage = "make a guest, which is kept until undefine",
	    .privilege = PRIVILEGE_ADMIN, .object = OBJECT_NEW,
	    .pairs = "KEY=VALUE..." },
	[COMMAND_EVENTS] = { .name = "events", .args = "",
	    .usage = "report each change of a guest's state",
	    .privilege = PRIVILEGE_OWNER, .object = OBJECT_NONE },
	[COMMAND_HELP] = { .name = "help", .args = "[VERB]",
	    .usage = "list the commands",
	    .privilege = PRIVILEGE_ANY, .object = OBJECT_WORD },
	[COMMAND_LOG] = { .name = "log", .args = "[LEVEL]",
	    .usage = "show or set what is logged: error, warn, info, debug",
	    .privilege = PRIVILEGE_ADMIN, .object = OBJECT_WORD },
	[COMMAND_NFT] = { .name = "nft", .args = "",
	    .usage = "show the firewall's rules as nft(8) takes them",
	    .privilege = PRIVILEGE_ADMIN, .object = OBJECT_NONE },
	[COMMAND_PAUSE] = { .name = "pause", .args = "NAME",
	    .usage = "hold a guest; ok when it does not run any more",
	    .privilege = PRIVILEGE_OWNER, .object = OBJECT_GUEST },
	[COMMAND_PF] = { .name = "pf", .args = "",
	    .usage = "show the firewall's rules as pf.conf(5) has them",
	    .privilege = PRIVILEGE_ADMIN, .object = OBJECT_NONE },
	[COMMAND_RELOAD] = { .name = "reload", .args = "",
	    .usage = "read the configuration again, all of it or nothing",
	    .privilege = PRIVILEGE_ADMIN, .object = OBJECT_NONE },
	[COMMAND_RESET] = { .name = "reset", .args = "NAME",
	    .usage = "press a guest's reset button; ok when it runs again",
	    .privilege = PRIVILEGE_OWNER, .object = OBJECT_GUEST },
	[COMMAND_RESUME] = { .name = "resume", .args = "NAME",
	    .usage = "let a paused guest run on",
	    .privilege = PRIVILEGE_OWNER, .object = OBJECT_GUEST },
	[COMMAND_SET] = { .name = "set", .args = "NAME",
	    .usage = "change keys of a defined guest; empty values go",
	    .privilege = PRIVILEGE_ADMIN, .object = OBJECT_GUEST,
	    .pairs = "KEY=VALUE..." },
	[COMMAND_SHOW] = { .name = "show", .args = "NAME",
	    .usage = "show all there is to know about a guest",
	    .privilege = PRIVILEGE_OWNER, .object = OBJECT_GUEST },
	[COMMAND_START] = { .name = "start", .args = "NAME",
	    .usage = "start a guest; ok when it runs",
	    .privilege = PRIVILEGE_OWNER, .object = OBJECT_GUEST },
	[COMMAND_STATUS] = { .name = "status", .args = "[NAME]",
	    .usage = "show the daemon and its guests",
	    .privilege = PRIVILEGE_OWNER, .object = OBJECT_OPTIONAL },
	[COMMAND_STOP] = { .name = "stop", .args = "NAME",
	    .usage = "stop a guest; ok when it has stopped",
	    .privilege = PRIVILEGE_OWNER, .object = OBJECT_GUEST,
	    .option = "force" },
	[COMMAND_TRACE] = { .name = "trace", .args = "NAME",
	    .usage = "tell which rule decides about a guest's packet",
	    .privilege = PRIVILEGE_ADMIN, .object = OBJECT_GUEST,
	    .pairs = "PROTO SRC DST [PORT]", .words = true },
	[COMMAND_UNDEFINE] = { .name = "undefine", .args = "NAME",
	    .usage = "forget a defined guest, which must be stopped",
	    .privilege = PRIVILEGE_ADMIN, .object = OBJECT_GUEST },
	[COMMAND_WAIT] = { .name = "wait", .args = "NAME",
	    .usage = "wait until a guest has stopped and say why",
	    .privilege = PRIVILEGE_OWNER, .object = OBJECT_GUEST },
};

const struct command *
command_find(const char *name)
{
	int i;

	for (i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static const char *const privilege_names[] = {
	[PRIVILEGE_ANY] = "any",
	[PRIVILEGE_OWNER] = "owner",
	[PRIVILEGE_ADMIN] = "admin",
};

void
command_args(const struct command *cmd, char *p, size_t size)
{
	const char *option = cmd->option, *pairs = cmd->pairs;

	snprintf(p, size, "%s%s%s%s%s%s", cmd->args,
	    option == NULL ? "" : " [", option == NULL ? "" : option,
	    option == NULL ? "" : "]", pairs == NULL ? "" : " ",
	    pairs == NULL ? "" : pairs);
}

int
command_help_row(struct buf *b, const struct command *cmd)
{
	char args[COMMAND_ARGS_MAX];
	int ret;

	command_args(cmd, args, sizeof(args));
	ret = buf_printf(b, "help");
	ret = ret ?: proto_pair(b, "verb", cmd->name);
	ret = ret ?: proto_pair(b, "args", args);
	ret = ret ?: proto_pair(b, "usage", cmd->usage);
	ret = ret ?: proto_pair(b, "for", privilege_names[cmd->privilege]);
	return ret ?: buf_append(b, "\n", 1);
}
