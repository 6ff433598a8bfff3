/* SPDX-License-Identifier: ISC */
/*
 * The firewall as it is loaded: what the configuration states, for guests as
 * they are.  A guest that waits for its restart, or to be gone, has the rules
 * of what it is until then.  Loop thread, or main before there is one.
 */
#ifndef VMMD_FIREWALL_H
#define VMMD_FIREWALL_H

#include <stddef.h>

#include "base/buf.h"
#include "vmm/config.h"

struct firewall;
struct switches;
struct vm_table;

/* All of a text; a line of it is one of a packet filter's. */
#define FIREWALL_TEXT_MAX	(16u << 20)

/* In which language. */
enum firewall_text {
	FIREWALL_NFT,
	FIREWALL_PF,
};

/*
 * With nothing loaded; or NULL without memory.  Where the system has none, or
 * the daemon has no right to it, there can be no NIC: firewall_apply() says so.
 */
struct firewall *firewall_create(const char *daemon);

/* Takes out what is loaded.  NULL is allowed. */
void firewall_destroy(struct firewall *f);

/*
 * Lets the host forward what the configuration needs, and logs what that
 * changed.
 */
void firewall_forward(const struct config *c);

/*
 * Loads the rules of `c` in place of those before: 0, or -errno and a message,
 * and these stay.  Logs what the rules of others may drop.
 */
int firewall_apply(struct firewall *f, const struct config *c,
    const struct vm_table *vt, const struct switches *sw, char *err,
    size_t errlen);

/*
 * A guest has become what it is configured to be, or is gone: as
 * firewall_apply(), if that makes a difference.
 */
void firewall_refresh(struct firewall *f, const struct config *c,
    const struct vm_table *vt, const struct switches *sw);

/*
 * Appends the rules as text, whatever the system: 0, or -errno and a message.
 * `vt` and `sw` may be NULL.
 */
int firewall_print(enum firewall_text text, const struct config *c,
    const struct vm_table *vt, const struct switches *sw, struct buf *b,
    char *err, size_t errlen);

/* Whether this system's packet filter can do what is configured. */
int firewall_check(const struct config *c, char *err, size_t errlen);

/*
 * Appends what becomes of a packet from or to guest `vm`, "PROTO SRC DST PORT",
 * line by line.
 */
int firewall_trace(const struct config *c, const struct vm_table *vt,
    const struct switches *sw, const char *vm, char *packet, struct buf *b,
    char *err, size_t errlen);

#endif /* VMMD_FIREWALL_H */
