/* SPDX-License-Identifier: ISC */
/*
 * One moment in time that any thread may set and the loop notices, to the
 * resolution of the system's timers (a watcher of libev would round to
 * milliseconds).
 */
#ifndef VMMD_DEADLINE_H
#define VMMD_DEADLINE_H

#include <stdint.h>

struct deadline;
struct loop;

#define DEADLINE_NONE	UINT64_MAX

/*
 * Creates an unset deadline; fn(cookie) runs on the loop thread each time it
 * has passed.  NULL with errno set.  Create and destroy on the loop thread.
 */
struct deadline *deadline_create(struct loop *loop, void (*fn)(void *cookie),
    void *cookie);
void deadline_destroy(struct deadline *d);

/*
 * Sets it to a time of loop_now_ns(), in place of the one before; one that
 * has passed is noticed at once.  DEADLINE_NONE: to none.  Any thread.
 */
void deadline_set(struct deadline *d, uint64_t when);

#endif /* VMMD_DEADLINE_H */
