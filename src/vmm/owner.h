/* SPDX-License-Identifier: ISC */
/*
 * Who something belongs to, as vmmd.conf(5) says it: a user, a group, both or
 * nobody.
 */
#ifndef VMMD_OWNER_H
#define VMMD_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define OWNER_NONE	UINT32_MAX

struct owner {
	uint32_t	uid;	/* or OWNER_NONE */
	uint32_t	gid;	/* or OWNER_NONE */
};

/*
 * Reads "USER", "USER:GROUP" or ":GROUP", or "GROUP" alone if only a group may
 * be given, each a name or a number, or "-" for nobody: 0; -EINVAL; -ENOENT if
 * this host has no such user or group.
 */
int owner_parse(const char *s, bool group_only, struct owner *o);

/* Appends it as owner_parse() would read it: 0 or -errno. */
int owner_print(const struct owner *o, bool group_only, struct buf *b);

#endif /* VMMD_OWNER_H */
