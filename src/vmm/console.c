/* SPDX-License-Identifier: ISC */
/*
 * The serial line between a guest and its viewers: see console.h.
 *
 * Positions in both rings count bytes since the console was made and never
 * wrap; a position modulo the ring's size is its place.  Viewers are called
 * without the mutex, from a copy, so a slow one never holds the guest.
 *
 * A guest writes byte by byte, and to wake a viewer's process costs ten times
 * what the byte does.  So what it writes is collected for CONSOLE_PAUSE, for
 * which `awake` says that the loop will serve it; without viewers it stays so
 * until one attaches, and the loop is left alone.
 */
#include "vmm/console.h"

#include <assert.h>
#include <ev.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Bytes handed to a viewer at once. */
#define CONSOLE_CHUNK	4096

#define CONSOLE_PAUSE	0.002	/* s */

/* l: loop thread only; m: the mutex; others are immutable. */
struct console {
	struct loop		*loop;
	struct loop_task	 task;
	ev_timer		 pause;		/* l */
	pthread_mutex_t		 mtx;
	bool			 awake;		/* m */
	uint64_t		 out_head;	/* m: bytes ever written */
	uint64_t		 in_head;	/* m: bytes ever queued */
	uint64_t		 in_tail;	/* m: bytes ever taken */
	struct console_viewer	*viewers;	/* l */
	struct console_viewer	*current;	/* l: being served */
	struct console_viewer	*next;		/* l: served after it */
	void			(*ready)(void *); /* l */
	void			*ready_cookie;	/* l */
	char			 out[CONSOLE_SCROLLBACK];	/* m */
	char			 in[CONSOLE_INPUT_MAX];		/* m */
};

static void
ring_put(char *ring, size_t size, uint64_t pos, const char *p, size_t n)
{
	size_t at = pos % size;
	size_t first = n < size - at ? n : size - at;

	memcpy(ring + at, p, first);
	if (n > first)
		memcpy(ring, p + first, n - first);
}

static void
ring_get(const char *ring, size_t size, uint64_t pos, char *p, size_t n)
{
	size_t at = pos % size;
	size_t first = n < size - at ? n : size - at;

	memcpy(p, ring + at, first);
	memcpy(p + first, ring, n - first);
}

/* Copies what comes next for `v`, up to position `end`. */
static size_t
console_copy(struct console *c, struct console_viewer *v, uint64_t end,
    char *p, uint64_t *missed)
{
	uint64_t oldest = 0;
	size_t n;

	pthread_mutex_lock(&c->mtx);
	if (c->out_head > sizeof(c->out))
		oldest = c->out_head - sizeof(c->out);
	*missed = v->pos < oldest ? oldest - v->pos : 0;
	v->pos += *missed;
	if (end < v->pos)
		end = v->pos;
	n = end - v->pos < CONSOLE_CHUNK ? end - v->pos : CONSOLE_CHUNK;
	ring_get(c->out, sizeof(c->out), v->pos, p, n);
	v->pos += n;
	pthread_mutex_unlock(&c->mtx);
	return n;
}

static uint64_t
console_head(struct console *c)
{
	uint64_t head;

	pthread_mutex_lock(&c->mtx);
	head = c->out_head;
	pthread_mutex_unlock(&c->mtx);
	return head;
}

/*
 * Serves one viewer what is there now; bytes that come meanwhile wait for the
 * next turn, so a guest that writes without end cannot keep the loop.
 */
static void
console_serve_viewer(struct console *c, struct console_viewer *v)
{
	uint64_t missed, end = console_head(c);
	char chunk[CONSOLE_CHUNK];
	size_t n;

	c->current = v;
	while (c->current == v && v->pos < end) {
		n = console_copy(c, v, end, chunk, &missed);
		v->output(v, chunk, n, missed);
	}
	c->current = NULL;
}

void
console_flush(struct console *c)
{
	struct console_viewer *v;

	pthread_mutex_lock(&c->mtx);
	c->awake = false;
	pthread_mutex_unlock(&c->mtx);
	for (v = c->viewers; v != NULL; v = c->next) {
		c->next = v->next;
		console_serve_viewer(c, v);
	}
}

static void
console_paused(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)revents;
	ev_timer_stop(ev, w);
	console_flush(w->data);
}

static void
console_wake(void *arg)
{
	struct console *c = arg;

	if (c->viewers != NULL)
		ev_timer_again(loop_ev(c->loop), &c->pause);
}

struct console *
console_create(struct loop *loop)
{
	struct console *c;

	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	if (pthread_mutex_init(&c->mtx, NULL) != 0) {
		free(c);
		return NULL;
	}
	c->loop = loop;
	c->task.fn = console_wake;
	c->task.arg = c;
	ev_timer_init(&c->pause, console_paused, 0.0, CONSOLE_PAUSE);
	c->pause.data = c;
	return c;
}

void
console_destroy(struct console *c)
{
	if (c == NULL)
		return;
	assert(c->viewers == NULL);
	loop_cancel(c->loop, &c->task);
	ev_timer_stop(loop_ev(c->loop), &c->pause);
	pthread_mutex_destroy(&c->mtx);
	free(c);
}

void
console_write(struct console *c, const char *p, size_t n)
{
	size_t skip = n > sizeof(c->out) ? n - sizeof(c->out) : 0;
	bool wake;

	pthread_mutex_lock(&c->mtx);
	ring_put(c->out, sizeof(c->out), c->out_head + skip, p + skip,
	    n - skip);
	c->out_head += n;
	wake = !c->awake;
	c->awake = true;
	pthread_mutex_unlock(&c->mtx);
	if (wake)
		loop_post(c->loop, &c->task);
}

size_t
console_read(struct console *c, char *p, size_t n)
{
	pthread_mutex_lock(&c->mtx);
	if (n > c->in_head - c->in_tail)
		n = c->in_head - c->in_tail;
	ring_get(c->in, sizeof(c->in), c->in_tail, p, n);
	c->in_tail += n;
	pthread_mutex_unlock(&c->mtx);
	return n;
}

size_t
console_input(struct console *c, const char *p, size_t n)
{
	size_t room;

	pthread_mutex_lock(&c->mtx);
	room = sizeof(c->in) - (c->in_head - c->in_tail);
	if (n > room)
		n = room;
	ring_put(c->in, sizeof(c->in), c->in_head, p, n);
	c->in_head += n;
	pthread_mutex_unlock(&c->mtx);
	if (n > 0 && c->ready != NULL)
		c->ready(c->ready_cookie);
	return n;
}

void
console_set_input_ready(struct console *c, void (*fn)(void *cookie),
    void *cookie)
{
	c->ready = fn;
	c->ready_cookie = cookie;
}

void
console_attach(struct console *c, struct console_viewer *v)
{
	uint64_t head = console_head(c);

	v->pos = head > sizeof(c->out) ? head - sizeof(c->out) : 0;
	v->next = c->viewers;
	c->viewers = v;
	console_flush(c);
}

void
console_detach(struct console *c, struct console_viewer *v)
{
	struct console_viewer **vp;

	for (vp = &c->viewers; *vp != NULL; vp = &(*vp)->next) {
		if (*vp != v)
			continue;
		*vp = v->next;
		break;
	}
	if (c->next == v)
		c->next = v->next;
	if (c->current == v)
		c->current = NULL;
}
