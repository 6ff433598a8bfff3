/* SPDX-License-Identifier: ISC */
/*
 * The commands of the control protocol at work: see command_table.h.
 */
#ifndef VMMD_COMMAND_H
#define VMMD_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct client;
struct vm_entry;

/* What came behind the verb. */
struct command_args {
	struct vm_entry	*e;		/* the guest, or NULL */
	const char	*word;		/* the object, or NULL */
	bool		 option;	/* given */
	char		*pairs;		/* what comes behind, to be cut up */
};

/*
 * Runs one request, a line without its newline and its tag, which is cut up.
 */
void command_run(struct client *c, char *line);

/* Appends the row that tells of a change of a guest's state: 0 or -errno. */
int command_event_row(struct buf *b, const struct vm_entry *e);

/* Appends what status says about a guest: 0 or -errno. */
int command_guest_row(struct buf *b, const char *backend,
    const struct vm_entry *e);

/* Appends a row for each of its NICs, while it has them: 0 or -errno. */
int command_nic_rows(struct buf *b, const struct vm_entry *e);

/* Appends a time, with three decimals: 0 or -errno. */
int command_pair_seconds(struct buf *b, const char *key, uint64_t ns);

/* Sends what was gathered and ok, or says why it could not be; frees `b`. */
void command_reply(struct client *c, struct buf *b, int ret);

/* The verbs about configuration, in command_config.c. */
void command_define(struct client *c, const struct command_args *a);
void command_reload(struct client *c, const struct command_args *a);
void command_set(struct client *c, const struct command_args *a);
void command_show(struct client *c, const struct command_args *a);
void command_undefine(struct client *c, const struct command_args *a);

/* Those about the firewall, in command_fw.c. */
void command_nft(struct client *c, const struct command_args *a);
void command_pf(struct client *c, const struct command_args *a);
void command_trace(struct client *c, const struct command_args *a);

#endif /* VMMD_COMMAND_H */
