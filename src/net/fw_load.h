/* SPDX-License-Identifier: ISC */
/*
 * Loads the text of the firewall into the system's packet filter, where it
 * stays until it is replaced or the daemon ends, however that ends.
 *
 * Each system has these functions in a file of its own.  All return 0 or
 * -errno and a message; -EOPNOTSUPP where there is no such thing.  None of them
 * logs.  Any thread, but one at a time.
 */
#ifndef VMMD_NET_FW_LOAD_H
#define VMMD_NET_FW_LOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "net/os.h"

struct buf;
struct fw_load;
struct fw_policy;
struct fw_rules;

/*
 * Lets the host forward what is asked for; needs root, and is never undone, as
 * others may rely on it by then.  An interface that hears router
 * advertisements goes on to do so.  Appends to `said` a line for each setting
 * that was changed, "net.ipv4.ip_forward: 0 -> 1".
 */
int fw_load_forward(bool ipv4, bool ipv6, struct buf *said, char *err,
    size_t errlen);

/* Nothing is loaded yet.  CAP_NET_ADMIN does. */
int fw_load_open(struct fw_load **lp, char *err, size_t errlen);

/*
 * Writes the rules as this system's text: as fw_nft_write() or fw_pf_write().
 */
int fw_load_write(const struct fw_policy *p, const struct fw_rules *r,
    struct buf *b, char *err, size_t errlen);

/*
 * Puts the text in place of what was loaded before, by one transaction: no
 * packet meets less than one of both.  On an error what was there stays.  With
 * 0 there may be a message, too: what was there does nothing any more, but could
 * not be taken out, which is tried again with the next text.
 */
int fw_load_apply(struct fw_load *l, const char *text, char *err,
    size_t errlen);

/*
 * Forgets the state of connections from and to these addresses, of guests that
 * do not have them any more, and of nobody else.
 */
int fw_load_forget(struct fw_load *l, const struct os_addr *gone, size_t n,
    char *err, size_t errlen);

/*
 * Appends a line for each rule of others that may drop what ours let pass, with
 * the names of table and chain.
 */
int fw_load_conflicts(struct fw_load *l, struct buf *warnings, char *err,
    size_t errlen);

/* Takes out what is loaded.  NULL is allowed. */
void fw_load_close(struct fw_load *l);

#endif /* VMMD_NET_FW_LOAD_H */
