/* SPDX-License-Identifier: ISC */
/*
 * Deadlines as a timerfd: any thread sets it, the loop watches it.
 */
#include <sys/timerfd.h>

#include <ev.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/loop.h"

#define NS_PER_S	1000000000u

struct deadline {
	struct ev_loop	*ev;
	ev_io		 io;		/* the timerfd; loop thread */
	void		(*fn)(void *cookie);
	void		*cookie;
};

static void
deadline_passed(struct ev_loop *ev, ev_io *io, int revents)
{
	struct deadline *d = io->data;
	uint64_t times;

	(void)ev;
	(void)revents;
	/* Nothing to read if it was set anew in between. */
	if (read(io->fd, &times, sizeof(times)) == (ssize_t)sizeof(times))
		d->fn(d->cookie);
}

struct deadline *
deadline_create(struct loop *loop, void (*fn)(void *cookie), void *cookie)
{
	struct deadline *d;
	int fd, saved;

	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return NULL;
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd == -1) {
		saved = errno;
		free(d);
		errno = saved;
		return NULL;
	}
	d->ev = loop_ev(loop);
	d->fn = fn;
	d->cookie = cookie;
	ev_io_init(&d->io, deadline_passed, fd, EV_READ);
	d->io.data = d;
	ev_io_start(d->ev, &d->io);
	return d;
}

void
deadline_destroy(struct deadline *d)
{
	ev_io_stop(d->ev, &d->io);
	close(d->io.fd);
	free(d);
}

void
deadline_set(struct deadline *d, uint64_t when)
{
	struct itimerspec its;

	memset(&its, 0, sizeof(its));
	if (when != DEADLINE_NONE) {
		/* All zero would mean none. */
		if (when == 0)
			when = 1;
		its.it_value.tv_sec = (time_t)(when / NS_PER_S);
		its.it_value.tv_nsec = (long)(when % NS_PER_S);
	}
	timerfd_settime(d->io.fd, TFD_TIMER_ABSTIME, &its, NULL);
}
