/* SPDX-License-Identifier: ISC */
/*
 * The texts of the commands: see command_table.h.
 */
#include "vmm/command_table.h"

#include <stdio.h>
#include <string.h>

#include "vmm/proto.h"

const struct command commands[COMMAND_COUNT] = {
	[COMMAND_CONSOLE] = { "console", "NAME",
	    "become the guest's serial line",
	    PRIVILEGE_ADMIN, OBJECT_GUEST, NULL },
	[COMMAND_EVENTS] = { "events", "",
	    "report each change of a guest's state",
	    PRIVILEGE_ADMIN, OBJECT_NONE, NULL },
	[COMMAND_HELP] = { "help", "[VERB]",
	    "list the commands",
	    PRIVILEGE_ANY, OBJECT_WORD, NULL },
	[COMMAND_LOG] = { "log", "[LEVEL]",
	    "show or set how much is logged: error, warn, info or debug",
	    PRIVILEGE_ADMIN, OBJECT_WORD, NULL },
	[COMMAND_PAUSE] = { "pause", "NAME",
	    "hold a guest; ok when it does not run any more",
	    PRIVILEGE_ADMIN, OBJECT_GUEST, NULL },
	[COMMAND_RELOAD] = { "reload", "",
	    "read the configuration again, all of it or nothing",
	    PRIVILEGE_ADMIN, OBJECT_NONE, NULL },
	[COMMAND_RESET] = { "reset", "NAME",
	    "press a guest's reset button; ok when it runs again",
	    PRIVILEGE_ADMIN, OBJECT_GUEST, NULL },
	[COMMAND_RESUME] = { "resume", "NAME",
	    "let a paused guest run on",
	    PRIVILEGE_ADMIN, OBJECT_GUEST, NULL },
	[COMMAND_SHOW] = { "show", "NAME",
	    "show all there is to know about a guest",
	    PRIVILEGE_ADMIN, OBJECT_GUEST, NULL },
	[COMMAND_START] = { "start", "NAME",
	    "start a guest; ok when it runs",
	    PRIVILEGE_ADMIN, OBJECT_GUEST, NULL },
	[COMMAND_STATUS] = { "status", "[NAME]",
	    "show the daemon and its guests",
	    PRIVILEGE_ADMIN, OBJECT_OPTIONAL, NULL },
	[COMMAND_STOP] = { "stop", "NAME",
	    "stop a guest; ok when it has stopped",
	    PRIVILEGE_ADMIN, OBJECT_GUEST, "force" },
	[COMMAND_WAIT] = { "wait", "NAME",
	    "wait until a guest has stopped and say why",
	    PRIVILEGE_ADMIN, OBJECT_GUEST, NULL },
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
	[PRIVILEGE_ADMIN] = "admin",
};

void
command_args(const struct command *cmd, char *p, size_t size)
{
	const char *option = cmd->option;

	snprintf(p, size, "%s%s%s%s", cmd->args, option == NULL ? "" : " [",
	    option == NULL ? "" : option, option == NULL ? "" : "]");
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
