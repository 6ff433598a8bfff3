/* SPDX-License-Identifier: ISC */
/*
 * A bell: a descriptor that others signal, a kernel among them, and what the
 * loop does then.  Signals that come before it is heard are one.
 */
#ifndef VMMD_BELL_H
#define VMMD_BELL_H

#include <stdbool.h>

struct bell;
struct loop;

/*
 * Creates one to which nobody listens yet; fn(arg) will run on the loop.  Any
 * thread.  NULL with errno set.
 */
struct bell *bell_create(struct loop *loop, void (*fn)(void *arg), void *arg);

/* Any thread; nobody listens.  NULL is allowed. */
void bell_destroy(struct bell *b);

/* What to signal: an eventfd.  It stays the bell's. */
int bell_fd(const struct bell *b);

/* Loop: what was signalled meanwhile is heard once somebody listens. */
void bell_listen(struct bell *b, bool on);

#endif /* VMMD_BELL_H */
