/* SPDX-License-Identifier: ISC */
/*
 * What the daemon may do: root's rights end here.  Called by the main thread
 * before there is any other.
 */
#ifndef VMMD_PRIVILEGE_H
#define VMMD_PRIVILEGE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Raises the limit of locked memory to `bytes` as far as may be: what it is
 * then, at most `bytes`.
 */
uint64_t privilege_lock_limit(uint64_t bytes);

/*
 * Before privilege_drop(), gives `user` what it must own: a file, if there is
 * one; a directory for nobody else, which is made unless it is there or would
 * lie nowhere.  Only root can: 0 for others, or -errno and one line in `err`.
 */
int privilege_give(const char *user, const char *file, const char *dir,
    char *err, size_t errlen);

/*
 * Becomes `user`, with the user's groups and of root's capabilities only
 * CAP_NET_ADMIN.  Whoever is not root stays what it is.  In either case no
 * program started from here on gains any right.  0, or -errno and one line in
 * `err`.
 */
int privilege_drop(const char *user, char *err, size_t errlen);

#endif /* VMMD_PRIVILEGE_H */
