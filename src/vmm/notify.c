/* SPDX-License-Identifier: ISC */
/*
 * Telling the service manager: see notify.h.
 */
#include "vmm/notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/loop.h"

#define NS_PER_US	1000
#define US_PER_S	1e6

static int
notify_to(const struct sockaddr_un *addr, size_t len, const char *state)
{
	int fd, ret = 0;

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -errno;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL,
	    (const struct sockaddr *)addr, (socklen_t)len) == -1)
		ret = -errno;
	close(fd);
	return ret;
}

int
notify_send(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t n;

	if (path == NULL || *path == '\0')
		return 0;
	n = strlen(path);
	if ((*path != '/' && *path != '@') || n >= sizeof(addr.sun_path))
		return -EINVAL;
	memcpy(addr.sun_path, path, n);
	/* A name of Linux's own, without a file. */
	if (*path == '@')
		addr.sun_path[0] = '\0';
	return notify_to(&addr, offsetof(struct sockaddr_un, sun_path) + n,
	    state);
}

int
notify_reloading(void)
{
	char state[64];

	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	    loop_now_ns() / NS_PER_US);
	return notify_send(state);
}

double
notify_watchdog(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");

	if (usec == NULL || (pid != NULL && atol(pid) != (long)getpid()))
		return 0;
	return (double)strtoull(usec, NULL, 10) / US_PER_S;
}
