/* SPDX-License-Identifier: ISC */
/*
 * The commands of the control protocol, vmmd-protocol(7), one row each: what
 * they are called, what they take, who may give them.  The daemon binds a
 * function to each; vmmctl and the tests have the texts alone.
 */
#ifndef VMMD_COMMAND_TABLE_H
#define VMMD_COMMAND_TABLE_H

#include <stdbool.h>

#include "base/buf.h"

/* All of what a verb takes, as text. */
#define COMMAND_ARGS_MAX	64

enum command_id {
	COMMAND_CONSOLE,
	COMMAND_DEFINE,
	COMMAND_EVENTS,
	COMMAND_HELP,
	COMMAND_LOG,
	COMMAND_NFT,
	COMMAND_PAUSE,
	COMMAND_PF,
	COMMAND_RELOAD,
	COMMAND_RESET,
	COMMAND_RESUME,
	COMMAND_SET,
	COMMAND_SHOW,
	COMMAND_START,
	COMMAND_STATUS,
	COMMAND_STOP,
	COMMAND_TRACE,
	COMMAND_UNDEFINE,
	COMMAND_WAIT,
	COMMAND_COUNT
};

enum command_privilege {
	PRIVILEGE_ANY,		/* whoever can connect */
	PRIVILEGE_OWNER,	/* who a guest belongs to, for that one */
	PRIVILEGE_ADMIN,	/* see peer_is_admin() */
};

/* The word behind the verb. */
enum command_object {
	OBJECT_NONE,
	OBJECT_GUEST,		/* the name of a guest there is */
	OBJECT_OPTIONAL,	/* the same, or none for all of them */
	OBJECT_NEW,		/* a name that is no guest's yet */
	OBJECT_WORD,		/* something else, which may be left out */
};

struct command {
	const char		*name;
	const char		*args;		/* the object, as shown */
	const char		*usage;
	enum command_privilege	 privilege;
	enum command_object	 object;
	const char		*option;	/* a word after the object */
	const char		*pairs;		/* key=value follow, or */
	bool			 words;		/* others */
};

/* In the order of their names, which is that of enum command_id. */
extern const struct command commands[COMMAND_COUNT];

/* NULL if there is no such verb. */
const struct command *command_find(const char *name);

/* Writes all that may stand behind a verb, as in "NAME [force]". */
void command_args(const struct command *cmd, char *p, size_t size);

/* Appends the row of help for a verb: 0 or -errno. */
int command_help_row(struct buf *b, const struct command *cmd);

#endif /* VMMD_COMMAND_TABLE_H */
