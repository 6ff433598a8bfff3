/* SPDX-License-Identifier: ISC */
/*
 * The firewall as it is loaded: what the configuration states, for guests as
 * they are.  A guest that waits for its restart, or to be gone, has the rules
 * of what it is until then.
 *
 * Rules are made and loaded by a thread of the firewall's own, of one set at a
 * time:
 *
 *	idle -> loading -> idle
 *	         |   ^
 *	         +---+  something else was to be loaded meanwhile: the newest
 *
 * No configuration takes the place of another while that is at work; whoever is
 * to be let loose, or to change the configuration, waits until it is idle, by
 * firewall_settled().  All functions are for the loop thread, or main before
 * there is one.
 */
#ifndef VMMD_FIREWALL_H
#define VMMD_FIREWALL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/loop.h"
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

/* What rules follow from; all of it outlives the firewall. */
struct firewall_env {
	struct loop		*loop;
	struct config *const	*conf;		/* the one in place */
	const struct vm_table	*guests;
	const struct switches	*switches;	/* may be NULL */
};

/* Is told once; `err` is a message if error, which is -errno, is not 0. */
typedef void firewall_done_fn(void *cookie, int error, const char *err);

/* Someone who waits; zeroed but for what is to be run then, by the loop. */
struct firewall_wait {
	struct loop_task	 task;
	struct firewall_wait	*next;
	bool			 waits;
};

/*
 * With nothing loaded; or NULL without memory.  Where the system has none, or
 * the daemon has no right to it, there can be no NIC: firewall_apply() says so.
 */
struct firewall *firewall_create(const char *daemon,
    const struct firewall_env *env);

/* Takes out what is loaded; idle.  NULL is allowed. */
void firewall_destroy(struct firewall *f);

/*
 * Lets the host forward what the configuration needs, and logs what that
 * changed.
 */
void firewall_forward(const struct config *c);

/*
 * Loads the rules of `c` in place of those before, when idle.  -EINPROGRESS:
 * done() is called when they are there, or cannot be and those before stay; `c`
 * does not change until then.  0: there is nothing to be loaded; or -errno and a
 * message.  NULL is no firewall, and 0.  Logs what the rules of others may drop.
 */
int firewall_apply(struct firewall *f, const struct config *c,
    firewall_done_fn *done, void *cookie, char *err, size_t errlen);

/* The same for the configuration in place; returns when it is done. */
int firewall_load(struct firewall *f, char *err, size_t errlen);

/*
 * A guest has become what it is configured to be, or is gone: loads the rules
 * of the configuration in place if that makes a difference.  What fails is
 * logged.  NULL is allowed.
 */
void firewall_refresh(struct firewall *f);

/* The same after firewall_apply() of what is not to be: when idle, anyhow. */
void firewall_revert(struct firewall *f);

/*
 * Is the firewall idle?  If not, w->task is run once it is, unless
 * firewall_unwait().  NULL is idle.
 */
bool firewall_settled(struct firewall *f, struct firewall_wait *w);
void firewall_unwait(struct firewall *f, struct firewall_wait *w);

/*
 * Idle, or in a task that has waited for it: are the rules of guests as they are
 * loaded?  If not, a message says why.  NULL: there are none.
 */
bool firewall_covers(const struct firewall *f, char *err, size_t errlen);

/* Waits until it is idle, without the loop; before that runs, or after. */
void firewall_finish(struct firewall *f);

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
