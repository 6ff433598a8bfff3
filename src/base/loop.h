/* SPDX-License-Identifier: ISC */
/*
 * The daemon's one event loop: libev, plus the queue by which other threads
 * hand it work.
 *
 * loop_post() is the only function here that another thread may call.
 */
#ifndef VMMD_LOOP_H
#define VMMD_LOOP_H

#include <ev.h>
#include <stdatomic.h>
#include <stdint.h>

struct loop;

/*
 * One piece of work for the loop.  It is embedded in the object it works on,
 * so posting allocates nothing.  Zeroed memory plus fn and arg is a valid,
 * unqueued task.  Posting a task that waits in the queue already does
 * nothing: the one pending run serves both.  `queued` is cleared just before
 * fn runs, so a post made while fn runs is never lost.
 */
struct loop_task {
	void			(*fn)(void *arg);
	void			*arg;
	struct loop_task	*next;		/* q: the queue's mutex */
	atomic_bool		 queued;
};

/* Creates the loop on the calling thread, which becomes the loop thread. */
struct loop *loop_create(void);
void loop_destroy(struct loop *l);

/* The libev loop, for watchers; loop thread only. */
struct ev_loop *loop_ev(struct loop *l);

/* Runs until loop_break(); both on the loop thread. */
void loop_run(struct loop *l);
void loop_break(struct loop *l);

/*
 * Queues t->fn(t->arg) for the loop thread; any thread.  The task's memory
 * must stay until it has run or loop_cancel() was called.
 */
void loop_post(struct loop *l, struct loop_task *t);

/* Takes a task out of the queue if it waits there; loop thread only. */
void loop_cancel(struct loop *l, struct loop_task *t);

/*
 * The longest time that one task, or all watchers of one turn together, have
 * taken, in nanoseconds.
 */
uint64_t loop_worst_ns(const struct loop *l);

/* Monotonic time in nanoseconds; any thread. */
uint64_t loop_now_ns(void);

#endif /* VMMD_LOOP_H */
