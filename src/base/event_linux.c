/* SPDX-License-Identifier: ISC */
/*
 * Events as eventfds.
 */
#include <sys/eventfd.h>

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <unistd.h>

#include "base/event.h"

int
event_create(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd == -1 ? -errno : fd;
}

void
event_signal(int fd)
{
	const uint64_t one = 1;
	ssize_t n;

	/* It fails when the count is at its end: then it is signalled. */
	n = write(fd, &one, sizeof(one));
	(void)n;
}

bool
event_waits(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

void
event_clear(int fd)
{
	uint64_t times;
	ssize_t n;

	n = read(fd, &times, sizeof(times));
	(void)n;
}
