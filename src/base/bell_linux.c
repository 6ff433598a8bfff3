/* SPDX-License-Identifier: ISC */
/*
 * Bells as eventfds: the loop watches them, and takes the count.
 */
#include <sys/eventfd.h>

#include <assert.h>
#include <ev.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bell.h"
#include "base/loop.h"

struct bell {
	struct loop	*loop;
	ev_io		 io;		/* the eventfd; loop thread */
	void		(*fn)(void *arg);
	void		*arg;
};

static void
bell_rung(struct ev_loop *ev, ev_io *io, int revents)
{
	struct bell *b = io->data;
	uint64_t times;

	(void)ev;
	(void)revents;
	if (read(io->fd, &times, sizeof(times)) == (ssize_t)sizeof(times))
		b->fn(b->arg);
}

struct bell *
bell_create(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	struct bell *b;
	int fd, saved;

	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return NULL;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd == -1) {
		saved = errno;
		free(b);
		errno = saved;
		return NULL;
	}
	b->loop = loop;
	b->fn = fn;
	b->arg = arg;
	ev_io_init(&b->io, bell_rung, fd, EV_READ);
	b->io.data = b;
	return b;
}

void
bell_destroy(struct bell *b)
{
	if (b == NULL)
		return;
	assert(!ev_is_active(&b->io));
	close(b->io.fd);
	free(b);
}

int
bell_fd(const struct bell *b)
{
	return b->io.fd;
}

void
bell_listen(struct bell *b, bool on)
{
	if (on)
		ev_io_start(loop_ev(b->loop), &b->io);
	else
		ev_io_stop(loop_ev(b->loop), &b->io);
}
