/* SPDX-License-Identifier: ISC */
/*
 * The commands of the control protocol, vmmd-protocol(7).
 */
#ifndef VMMD_COMMAND_H
#define VMMD_COMMAND_H

#include <stdbool.h>

#include "base/buf.h"

struct client;
struct vm_entry;

enum command_privilege {
	PRIVILEGE_ANY,		/* whoever can connect */
	PRIVILEGE_ADMIN,	/* root, or the daemon's own user */
};

enum command_object {
	OBJECT_NONE,
	OBJECT_GUEST,
	OBJECT_OPTIONAL,	/* a guest, or all of them */
};

struct command {
	const char		*name;
	const char		*args;		/* as shown by help */
	const char		*usage;
	enum command_privilege	 privilege;
	enum command_object	 object;
	const char		*option;	/* a word after the object */
	void			(*fn)(struct client *c, struct vm_entry *e,
				    bool option);
};

/* The table; it ends with a row without a name. */
extern const struct command commands[];

/* Runs one request, a line without its newline, which is cut up. */
void command_run(struct client *c, char *line);

/* Appends the row that tells of a change of a guest's state: 0 or -errno. */
int command_event_row(struct buf *b, const struct vm_entry *e);

#endif /* VMMD_COMMAND_H */
