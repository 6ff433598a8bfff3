/* SPDX-License-Identifier: ISC */
/*
 * From one configuration to the next while guests run.  Loop thread only.
 *
 * A `report` gets rows of vmmd-protocol(7): "change" for each guest that
 * differs now or will, each switch and each policy, "error" for each line that is
 * wrong; NULL for none.
 */
#ifndef VMMD_RELOAD_H
#define VMMD_RELOAD_H

#include <stdbool.h>

struct buf;
struct config;
struct vm_table;

/* Room for a report about all guests. */
#define RELOAD_REPORT_MAX	(128 * 1024)

/*
 * Makes the guests what `c` says: removes, updates, adds.  One that fails is
 * logged and does not hold up the others.
 */
void reload_apply(struct vm_table *vt, const struct config *c,
    struct buf *report);

/* Reads `path`; what is wrong with it goes to the log, too, line by line. */
struct config *reload_read(const char *path, struct buf *report);

/*
 * Reads `path` and, if it is sound, applies it and puts it in place of *conf.
 * *restart_required says whether the daemon itself holds on to older values.
 * On any error everything stays as it was: -EINVAL.
 */
int reload_file(struct vm_table *vt, struct config **conf, const char *path,
    bool *restart_required, struct buf *report);

/*
 * From `conf`, which is in place, to a sound configuration with a switch more or
 * less, or none: makes the switches and loads the firewall's rules.  Then it is
 * applied, or all this is taken back, the other way round.  On any error all is
 * as it was.
 */
int reload_network(struct vm_table *vt, const struct config *conf,
    const struct config *c, struct buf *report);

/*
 * Applies a sound configuration with the same switches, and puts it in place of
 * *conf.
 */
void reload_config(struct vm_table *vt, struct config **conf, struct config *c,
    struct buf *report);

/* Makes rows of lines that tell what is wrong, and takes them from `errors`. */
void reload_report_errors(struct buf *report, struct buf *errors);

#endif /* VMMD_RELOAD_H */
