/* SPDX-License-Identifier: ISC */
/*
 * The event loop: see loop.h.
 *
 * Of libev only ev_async_send() may be called by other threads, and sends
 * merge; the queue beside it keeps what each of them asked for.  The mutex
 * guards the queue's links only and is never held while a task runs.
 */
#include "base/loop.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

/* Members without a letter belong to the loop thread; q: the mutex. */
struct loop {
	struct ev_loop		*ev;
	ev_async		 async;
	ev_check		 wake;		/* first thing after the poll */
	ev_prepare		 sleep;		/* last thing before it */
	uint64_t		 turn_start;	/* ns, 0 outside a turn */
	uint64_t		 tasks;		/* ns of them in this turn */
	uint64_t		 worst;		/* ns */
	pthread_mutex_t		 mtx;
	struct loop_task	*head;		/* q */
	struct loop_task	**tail;		/* q */
	size_t			 count;		/* q */
};

/* Unlinks the task that *pp points at; with the mutex held. */
static struct loop_task *
loop_unlink(struct loop *l, struct loop_task **pp)
{
	struct loop_task *t = *pp;

	*pp = t->next;
	if (l->tail == &t->next)
		l->tail = pp;
	t->next = NULL;
	l->count--;
	return t;
}

static struct loop_task *
loop_pop(struct loop *l)
{
	struct loop_task *t = NULL;

	pthread_mutex_lock(&l->mtx);
	if (l->head != NULL)
		t = loop_unlink(l, &l->head);
	pthread_mutex_unlock(&l->mtx);
	return t;
}

static size_t
loop_count(struct loop *l)
{
	size_t n;

	pthread_mutex_lock(&l->mtx);
	n = l->count;
	pthread_mutex_unlock(&l->mtx);
	return n;
}

/* One callback, or what cannot be told apart, took so long. */
static void
loop_took(struct loop *l, uint64_t ns)
{
	if (ns > l->worst)
		l->worst = ns;
}

static void
loop_run_task(struct loop *l, struct loop_task *t)
{
	uint64_t start = loop_now_ns(), ns;

	/*
	 * An exchange, not a store: it takes over what a thread wrote before
	 * a post that found the task queued already.
	 */
	(void)atomic_exchange(&t->queued, false);
	t->fn(t->arg);
	ns = loop_now_ns() - start;
	l->tasks += ns;
	loop_took(l, ns);
}

/*
 * Runs what waits now; a task that posts again waits for the next turn, so
 * none can keep the loop from its descriptors.
 */
static void
loop_drain(struct ev_loop *ev, ev_async *w, int revents)
{
	struct loop *l = w->data;
	struct loop_task *t;
	size_t n;

	(void)ev;
	(void)revents;
	for (n = loop_count(l); n > 0; n--) {
		t = loop_pop(l);
		if (t == NULL)
			break;
		loop_run_task(l, t);
	}
}

static void
loop_wake(struct ev_loop *ev, ev_check *w, int revents)
{
	struct loop *l = w->data;

	(void)ev;
	(void)revents;
	l->turn_start = loop_now_ns();
	l->tasks = 0;
}

static void
loop_sleep(struct ev_loop *ev, ev_prepare *w, int revents)
{
	struct loop *l = w->data;

	(void)ev;
	(void)revents;
	if (l->turn_start == 0)
		return;
	/* libev does not tell the callbacks of its watchers apart. */
	loop_took(l, loop_now_ns() - l->turn_start - l->tasks);
	l->turn_start = 0;
}

/* Priorities put both clocks around every other watcher of a turn. */
static void
loop_start_watchers(struct loop *l)
{
	ev_async_init(&l->async, loop_drain);
	l->async.data = l;
	ev_async_start(l->ev, &l->async);

	ev_check_init(&l->wake, loop_wake);
	ev_set_priority(&l->wake, EV_MAXPRI);
	l->wake.data = l;
	ev_check_start(l->ev, &l->wake);

	ev_prepare_init(&l->sleep, loop_sleep);
	ev_set_priority(&l->sleep, EV_MINPRI);
	l->sleep.data = l;
	ev_prepare_start(l->ev, &l->sleep);
}

struct loop *
loop_create(void)
{
	struct loop *l;

	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return NULL;
	l->tail = &l->head;
	if (pthread_mutex_init(&l->mtx, NULL) != 0)
		goto fail_mtx;
	l->ev = ev_loop_new(EVFLAG_AUTO);
	if (l->ev == NULL)
		goto fail_ev;
	loop_start_watchers(l);
	return l;

fail_ev:
	pthread_mutex_destroy(&l->mtx);
fail_mtx:
	free(l);
	return NULL;
}

void
loop_destroy(struct loop *l)
{
	if (l == NULL)
		return;
	ev_prepare_stop(l->ev, &l->sleep);
	ev_check_stop(l->ev, &l->wake);
	ev_async_stop(l->ev, &l->async);
	ev_loop_destroy(l->ev);
	pthread_mutex_destroy(&l->mtx);
	free(l);
}

struct ev_loop *
loop_ev(struct loop *l)
{
	return l->ev;
}

void
loop_run(struct loop *l)
{
	ev_run(l->ev, 0);
}

void
loop_break(struct loop *l)
{
	ev_break(l->ev, EVBREAK_ALL);
}

void
loop_post(struct loop *l, struct loop_task *t)
{
	assert(t->fn != NULL);
	if (atomic_exchange(&t->queued, true))
		return;
	pthread_mutex_lock(&l->mtx);
	t->next = NULL;
	*l->tail = t;
	l->tail = &t->next;
	l->count++;
	pthread_mutex_unlock(&l->mtx);
	ev_async_send(l->ev, &l->async);
}

void
loop_cancel(struct loop *l, struct loop_task *t)
{
	struct loop_task **pp;

	pthread_mutex_lock(&l->mtx);
	for (pp = &l->head; *pp != NULL; pp = &(*pp)->next) {
		if (*pp != t)
			continue;
		loop_unlink(l, pp);
		atomic_store(&t->queued, false);
		break;
	}
	pthread_mutex_unlock(&l->mtx);
}

uint64_t
loop_worst_ns(const struct loop *l)
{
	return l->worst;
}

uint64_t
loop_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
