/* SPDX-License-Identifier: ISC */
/*
 * The commands of the control protocol at work: see command_table.h.
 */
#ifndef VMMD_COMMAND_H
#define VMMD_COMMAND_H

#include "base/buf.h"

struct client;
struct vm_entry;

/*
 * Runs one request, a line without its newline and its tag, which is cut up.
 */
void command_run(struct client *c, char *line);

/* Appends the row that tells of a change of a guest's state: 0 or -errno. */
int command_event_row(struct buf *b, const struct vm_entry *e);

#endif /* VMMD_COMMAND_H */
