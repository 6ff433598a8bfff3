/* SPDX-License-Identifier: ISC */
/*
 * From one configuration to the next while guests run.  Loop thread only.
 */
#ifndef VMMD_RELOAD_H
#define VMMD_RELOAD_H

#include <stdbool.h>

struct config;
struct vm_table;

/*
 * Makes the guests what `c` says: removes, updates, adds.  One that fails is
 * logged and does not hold up the others.
 */
void reload_apply(struct vm_table *vt, const struct config *c);

/* Reads `path`; what is wrong with it goes to the log, line by line. */
struct config *reload_read(const char *path);

/*
 * Reads `path` and, if it is sound, applies it and puts it in place of *conf.
 * *restart_required says whether the daemon itself holds on to older values.
 * On any error everything stays as it was: -EINVAL.
 */
int reload_file(struct vm_table *vt, struct config **conf, const char *path,
    bool *restart_required);

#endif /* VMMD_RELOAD_H */
