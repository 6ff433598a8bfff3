/* SPDX-License-Identifier: ISC */
/*
 * What there is to be seen of somebody from here.
 *
 * usage: scan ADDRESS FIRST-LAST...
 *
 * Connects to all these ports by TCP, and sends to them by UDP, at once, and
 * prints one line: the ports that are open, and how many others have answered
 * in some way.  Who sees nothing says "nothing".
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PROBES		4096u
#define PAUSE_US	1000	/* no queue on the way is to overflow */
#define LISTEN_MS	2500	/* a lost SYN is sent again after a second */

/* One port, and a socket that is closed, and -1, once there was an answer. */
struct probe {
	uint16_t	port;
	bool		udp;
	bool		open;
};

struct scan {
	union {
		struct sockaddr		 sa;
		struct sockaddr_in	 in;
		struct sockaddr_in6	 in6;
	} to;
	socklen_t	 tolen;
	struct probe	 probe[PROBES];
	struct pollfd	 fd[PROBES];
	unsigned	 n, open, refused, unreachable;
};

static void
set_address(struct scan *s, const char *address)
{
	if (inet_pton(AF_INET, address, &s->to.in.sin_addr) == 1) {
		s->to.in.sin_family = AF_INET;
		s->tolen = sizeof(s->to.in);
	} else if (inet_pton(AF_INET6, address, &s->to.in6.sin6_addr) == 1) {
		s->to.in6.sin6_family = AF_INET6;
		s->tolen = sizeof(s->to.in6);
	} else {
		errx(2, "%s: no address", address);
	}
}

/* What came of a probe. */
static void
answered(struct scan *s, unsigned i, int error)
{
	if (error == 0) {
		s->probe[i].open = true;
		s->open++;
	} else if (error == ECONNREFUSED) {
		s->refused++;
	} else {
		s->unreachable++;
	}
	close(s->fd[i].fd);
	s->fd[i].fd = -1;
}

static void
begin(struct scan *s, uint16_t port, bool udp)
{
	unsigned i = s->n++;

	if (i == PROBES)
		errx(2, "too many ports");
	s->probe[i] = (struct probe){ .port = port, .udp = udp };
	s->fd[i].events = udp ? POLLIN : POLLOUT;
	s->fd[i].fd = socket(s->to.sa.sa_family,
	    (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);
	if (s->fd[i].fd < 0)
		err(1, "socket");
	/* At the same place in both. */
	s->to.in.sin_port = htons(port);
	if (connect(s->fd[i].fd, &s->to.sa, s->tolen) != 0 &&
	    errno != EINPROGRESS)
		answered(s, i, errno);
	else if (udp && send(s->fd[i].fd, "anybody?", 8, 0) < 0)
		answered(s, i, errno);
}

static void
begin_range(struct scan *s, const char *range)
{
	unsigned first, last;

	if (sscanf(range, "%u-%u", &first, &last) != 2 || first < 1 ||
	    last > UINT16_MAX)
		errx(2, "%s: no ports", range);
	for (; first <= last; first++) {
		begin(s, (uint16_t)first, false);
		begin(s, (uint16_t)first, true);
		usleep(PAUSE_US);
	}
}

static void
look(struct scan *s, unsigned i)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(s->fd[i].fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		err(1, "getsockopt");
	answered(s, i, error);
}

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
print(const struct scan *s)
{
	unsigned i;

	for (i = 0; i < s->n; i++)
		if (s->probe[i].open)
			printf("%u/%s ", s->probe[i].port,
			    s->probe[i].udp ? "udp" : "tcp");
	if (s->open + s->refused + s->unreachable == 0)
		printf("nothing");
	else
		printf("refused %u unreachable %u", s->refused, s->unreachable);
	printf(" of %u\n", s->n);
}

int
main(int argc, char **argv)
{
	static struct scan s;
	struct rlimit files = { PROBES + 64, PROBES + 64 };
	int64_t end;
	unsigned i;
	int a;

	if (argc < 3)
		errx(2, "usage: scan ADDRESS FIRST-LAST...");
	if (setrlimit(RLIMIT_NOFILE, &files) != 0)
		err(1, "setrlimit");
	set_address(&s, argv[1]);
	for (a = 2; a < argc; a++)
		begin_range(&s, argv[a]);
	end = now_ms() + LISTEN_MS;
	while (now_ms() < end) {
		if (poll(s.fd, s.n, (int)(end - now_ms()) + 1) < 0)
			err(1, "poll");
		for (i = 0; i < s.n; i++)
			if (s.fd[i].fd != -1 && s.fd[i].revents != 0)
				look(&s, i);
	}
	print(&s);
	return 0;
}
