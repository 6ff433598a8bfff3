/* SPDX-License-Identifier: ISC */
/*
 * The texts of the commands: see command_table.h.
 */
#include "vmm/command_table.h"

#include <string.h>

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
	[COMMAND_START] = { "start", "NAME",
	    "start a guest; ok when it runs",
	    PRIVILEGE_ADMIN, OBJECT_GUEST, NULL },
	[COMMAND_STATUS] = { "status", "[NAME]",
	    "show the daemon and its guests",
	    PRIVILEGE_ADMIN, OBJECT_OPTIONAL, NULL },
	[COMMAND_STOP] = { "stop", "NAME [force]",
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

const char *
command_privilege_name(enum command_privilege p)
{
	static const char *const name[] = {
		[PRIVILEGE_ANY] = "any",
		[PRIVILEGE_ADMIN] = "admin",
	};

	return name[p];
}
