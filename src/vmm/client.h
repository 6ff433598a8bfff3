/* SPDX-License-Identifier: ISC */
/*
 * One connection to the control socket: requests in, replies out, or the
 * serial line of a guest.  Loop thread only.
 */
#ifndef VMMD_CLIENT_H
#define VMMD_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/*
 * What a client that does not read may have waiting for it, beside the rows of
 * one reply, which may be so long.
 */
#define CLIENT_OUTPUT_MAX	(256 * 1024)
#define CLIENT_REPLY_MAX	(16 << 20)

/* Requests of one client that wait for guests. */
#define CLIENT_WAITS_MAX	64

struct client;
struct control_env;
struct peer;
struct vm_entry;

/* What is answered later, when a guest's state has changed. */
enum client_wait {
	CLIENT_WAIT_START,	/* it runs, or has failed to */
	CLIENT_WAIT_PAUSE,
	CLIENT_WAIT_STOP,
	CLIENT_WAIT_REASON,	/* it stops, and says why */
};

/*
 * Serves the connection `fd`, which it then owns, and greets it.  `ended` is
 * called once, from the loop, when the connection is over; client_destroy()
 * is up to it.  The client takes over what belongs to `peer`.
 */
struct client *client_create(struct control_env *env, int fd,
    struct peer *peer, void (*ended)(void *cookie, struct client *c),
    void *cookie);
void client_destroy(struct client *c);

struct control_env *client_env(const struct client *c);
const struct peer *client_peer(const struct client *c);

/* What the configuration in place lets it do, to all and to one guest. */
bool client_is_admin(const struct client *c);
bool client_may(const struct client *c, const struct vm_entry *e);

/* The configuration has changed: ends what it may not have any more. */
void client_check_rights(struct client *c);

/*
 * Rows and replies belong to the current request and carry its tag.  Whole
 * rows, CLIENT_REPLY_MAX bytes at most.
 */
void client_send(struct client *c, const struct buf *rows);

/* End the reply to the current request. */
void client_ok(struct client *c);
void client_err(struct client *c, const char *code, const char *fmt, ...)
    __attribute__((__format__(__printf__, 3, 4)));

/*
 * The reply comes when the guest is there, which may be at once.  Only a
 * request with a tag lets others run meanwhile.
 */
void client_wait(struct client *c, struct vm_entry *e, enum client_wait what);

/*
 * The reply comes when the caller has it, before client_answered(); *slot, where the
 * caller has the client, becomes NULL if that is gone by then.
 */
void client_defer(struct client *c, struct client **slot);
void client_answered(struct client *c);

/* From here on the connection is the guest's serial line, and only that. */
void client_console(struct client *c, struct vm_entry *e);

/* Rows of events follow the reply, with its tag, between others. */
void client_watch(struct client *c);

/* A guest's state changed; `row` tells it to those who watch. */
void client_guest_changed(struct client *c, struct vm_entry *e,
    const struct buf *row);

#endif /* VMMD_CLIENT_H */
