/* SPDX-License-Identifier: ISC */
/*
 * Traffic of which no byte may be lost or changed, in guests and on hosts.
 *
 * usage: traffic serve PORT
 *	  traffic send|fetch ADDRESS PORT MIB
 *	  traffic echo ADDRESS PORT FILE
 *	  traffic connect ADDRESS PORT COUNT
 *	  traffic ask ADDRESS PORT COUNT MS
 *	  traffic flood ADDRESS PORT MS
 *	  traffic plain INTERFACE
 *
 * "serve" is the other end of all that follow, by TCP and UDP, and ends when it
 * is killed.  "send" and "fetch" are a stream to it and from it; "echo" is one
 * that comes back, until FILE is there; "connect" has so many connections open
 * at once, and each answers twice.  "ask" is one datagram after another, MS
 * apart, and how long the answers take; "flood" short datagrams as fast as may
 * be, which nobody counts.  "plain" takes the offloads of sending away from an
 * interface, so that frames leave it as they would go on a wire.
 *
 * Each prints one line, and fails if anything was not as sent.  What streams
 * carry is known at both ends: every byte of it is compared.
 */
#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "figures.h"

/* A prime number: whatever is moved by a page or a segment is another byte. */
#define TABLE		1048573u
#define MIB		(UINT64_C(1) << 20)
#define PIECE		65536u
#define WINDOW		(UINT64_C(1) << 18)	/* sent, and not yet back */
#define ECHO_US		5000u			/* between two pieces */
#define CONNECTING	64u
#define EVENTS		64
#define BURST		32
#define SMALL		18			/* a frame of 60 bytes */
#define PATIENCE_MS	60000
#define ANSWER_MS	2000

/* Begins a stream, or is the whole of a message. */
struct request {
	uint64_t	kind;
	uint64_t	number;		/* of bytes; what is to be answered */
};

#define SEND		1u
#define FETCH		2u
#define ECHO		3u
#define ANSWER		4u

static uint8_t	table[TABLE];
static uint8_t	piece[PIECE];

static void
fill_table(void)
{
	uint64_t x = UINT64_C(0x9e3779b97f4a7c15);
	unsigned i;

	for (i = 0; i < TABLE; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		table[i] = (uint8_t)(x >> 32);
	}
}

static unsigned
ms_since(uint64_t then)
{
	return (unsigned)((figures_now() - then) / 1000000);
}

/* As much of a stream as can be had at once, at this place of it. */
static size_t
span(uint64_t at, uint64_t end, const uint8_t **p)
{
	uint64_t n = TABLE - at % TABLE;

	*p = table + at % TABLE;
	if (n > PIECE)
		n = PIECE;
	return (size_t)(n < end - at ? n : end - at);
}

/* Whether these are bytes of a stream at this place. */
static bool
as_sent(const uint8_t *got, size_t len, uint64_t at)
{
	const uint8_t *p;
	size_t n;

	for (; len > 0; got += n, at += n, len -= n) {
		n = span(at, at + len, &p);
		if (memcmp(got, p, n) != 0)
			return false;
	}
	return true;
}

static bool
write_all(int fd, const void *p, size_t len)
{
	const uint8_t *b = p;
	ssize_t n;

	for (; len > 0; b += n, len -= (size_t)n)
		if ((n = send(fd, b, len, MSG_NOSIGNAL)) <= 0)
			return false;
	return true;
}

static bool
put_stream(int fd, uint64_t bytes)
{
	const uint8_t *p;
	uint64_t at;
	size_t n;

	for (at = 0; at < bytes; at += n) {
		n = span(at, bytes, &p);
		if (!write_all(fd, p, n))
			return false;
	}
	return true;
}

/* To the end: how much came before the first byte that differs. */
static uint64_t
take_stream(int fd)
{
	uint64_t at = 0;
	ssize_t n;

	while ((n = recv(fd, piece, sizeof(piece), 0)) > 0) {
		if (!as_sent(piece, (size_t)n, at))
			break;
		at += (uint64_t)n;
	}
	return at;
}

static struct sockaddr_in
address_of(const char *host, const char *port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
	};

	if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
		errx(2, "%s: no address", host);
	return a;
}

static int
open_socket(int type)
{
	int fd = socket(AF_INET, type, 0);

	if (fd < 0)
		err(1, "socket");
	return fd;
}

/* Who serves may still be on its way. */
static int
reach(const struct sockaddr_in *a, const struct request *r)
{
	uint64_t then = figures_now();
	int fd;

	for (;;) {
		fd = open_socket(SOCK_STREAM);
		if (connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0)
			break;
		if (ms_since(then) > PATIENCE_MS)
			err(1, "connect");
		close(fd);
		usleep(100000);
	}
	if (!write_all(fd, r, sizeof(*r)))
		err(1, "request");
	return fd;
}

static bool
read_request(int fd, struct request *r)
{
	return recv(fd, r, sizeof(*r), MSG_WAITALL) == (ssize_t)sizeof(*r);
}

/* A stream has a process of its own, which ends here. */
static void
serve_stream(int fd, const struct request *r)
{
	struct request reply = { .kind = r->kind };
	ssize_t n;

	switch (r->kind) {
	case SEND:
		reply.number = take_stream(fd);
		write_all(fd, &reply, sizeof(reply));
		break;
	case FETCH:
		put_stream(fd, r->number);
		break;
	case ECHO:
		while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
			if (!write_all(fd, piece, (size_t)n))
				break;
		break;
	}
	exit(0);
}

/* The next request of a connection, or its end. */
static void
serve_request(int fd)
{
	struct request r;

	if (!read_request(fd, &r)) {
		close(fd);
	} else if (r.kind == ANSWER) {
		if (!write_all(fd, &r, sizeof(r)))
			close(fd);
	} else {
		if (fork() == 0)
			serve_stream(fd, &r);
		close(fd);
	}
}

static void
serve_datagrams(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	ssize_t n;

	while ((n = recvfrom(fd, piece, sizeof(piece), MSG_DONTWAIT,
	    (struct sockaddr *)&a, &len)) >= 0) {
		(void)sendto(fd, piece, (size_t)n, MSG_DONTWAIT,
		    (struct sockaddr *)&a, len);
		len = sizeof(a);
	}
}

static void
listen_to(int set, int fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &e) != 0)
		err(1, "epoll_ctl");
}

static int
bound(const char *port, int type)
{
	struct sockaddr_in a = address_of("0.0.0.0", port);
	int fd = open_socket(type), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		err(1, "bind");
	if (type == SOCK_STREAM && listen(fd, 4096) != 0)
		err(1, "listen");
	return fd;
}

static void
accept_one(int set, int tcp)
{
	int fd = accept(tcp, NULL, NULL);

	if (fd < 0)
		err(1, "accept");
	listen_to(set, fd);
}

static int
serve(char **arg)
{
	int set = epoll_create1(EPOLL_CLOEXEC), n, i;
	int tcp = bound(arg[0], SOCK_STREAM), udp = bound(arg[0], SOCK_DGRAM);
	struct epoll_event e[EVENTS];

	signal(SIGCHLD, SIG_IGN);
	listen_to(set, tcp);
	listen_to(set, udp);
	for (;;) {
		if ((n = epoll_wait(set, e, EVENTS, -1)) < 0 && errno != EINTR)
			err(1, "epoll_wait");
		for (i = 0; i < n; i++) {
			if (e[i].data.fd == udp)
				serve_datagrams(udp);
			else if (e[i].data.fd == tcp)
				accept_one(set, tcp);
			else
				serve_request(e[i].data.fd);
		}
	}
}

static int
send_stream(char **arg)
{
	struct sockaddr_in a = address_of(arg[0], arg[1]);
	uint64_t bytes = strtoull(arg[2], NULL, 10) * MIB;
	struct request r = { .kind = SEND, .number = bytes };
	uint64_t then = figures_now();
	int fd = reach(&a, &r);

	if (!put_stream(fd, bytes) || shutdown(fd, SHUT_WR) != 0 ||
	    !read_request(fd, &r))
		err(1, "stream");
	if (r.number != bytes)
		errx(1, "byte %llu has not arrived as sent",
		    (unsigned long long)r.number);
	printf("sent %s MiB in %u ms\n", arg[2], ms_since(then));
	return 0;
}

static int
fetch_stream(char **arg)
{
	struct sockaddr_in a = address_of(arg[0], arg[1]);
	uint64_t bytes = strtoull(arg[2], NULL, 10) * MIB, got;
	struct request r = { .kind = FETCH, .number = bytes };
	uint64_t then = figures_now();

	got = take_stream(reach(&a, &r));
	if (got != bytes)
		errx(1, "byte %llu is not as sent", (unsigned long long)got);
	printf("fetched %s MiB in %u ms\n", arg[2], ms_since(then));
	return 0;
}

/* A stream there and back. */
struct round_trip {
	uint64_t	sent, back;
	uint64_t	last;		/* when something came back */
	unsigned	pause;		/* the longest without, in ms */
	bool		over;		/* nothing more is sent */
};

static void
send_some(int fd, struct round_trip *t)
{
	const uint8_t *p;
	size_t len = span(t->sent, t->back + WINDOW, &p);
	ssize_t n = send(fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		err(1, "echo: send");
	if (n > 0)
		t->sent += (uint64_t)n;
	/* It is to last, not to be fast. */
	usleep(ECHO_US);
}

/* True at the end of it. */
static bool
take_back(int fd, struct round_trip *t)
{
	ssize_t n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
	unsigned ms;

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n < 0)
		err(1, "echo: recv");
	if (!as_sent(piece, (size_t)n, t->back))
		errx(1, "after byte %llu something is not as sent",
		    (unsigned long long)t->back);
	ms = ms_since(t->last);
	if (ms > t->pause)
		t->pause = ms;
	t->last = figures_now();
	t->back += (uint64_t)n;
	return n == 0;
}

static int
echo_stream(char **arg)
{
	struct sockaddr_in a = address_of(arg[0], arg[1]);
	struct request r = { .kind = ECHO };
	struct pollfd p = { .fd = reach(&a, &r) };
	struct round_trip t = { .last = figures_now() };

	do {
		p.events = POLLIN;
		if (!t.over && t.sent - t.back < WINDOW)
			p.events |= POLLOUT;
		if (poll(&p, 1, 50) < 0)
			err(1, "poll");
		if (ms_since(t.last) > PATIENCE_MS)
			errx(1, "nothing comes back after %llu bytes",
			    (unsigned long long)t.back);
		if ((p.revents & POLLOUT) != 0)
			send_some(p.fd, &t);
		if (!t.over && access(arg[2], F_OK) == 0) {
			t.over = true;
			shutdown(p.fd, SHUT_WR);
		}
	} while ((p.revents & ~POLLOUT) == 0 || !take_back(p.fd, &t));
	if (t.back != t.sent)
		errx(1, "%llu of %llu bytes came back",
		    (unsigned long long)t.back, (unsigned long long)t.sent);
	printf("echoed %llu MiB, longest pause %u ms\n",
	    (unsigned long long)(t.back / MIB), t.pause);
	return 0;
}

/* Many connections, by their numbers. */
struct crowd {
	struct sockaddr_in	 a;
	int			 set;
	int			*fd;
	unsigned		 n, begun, answered;
};

static void
ask_one(struct crowd *c, unsigned i, unsigned round)
{
	struct request r = { ANSWER, (uint64_t)round << 32 | i };

	if (!write_all(c->fd[i], &r, sizeof(r)))
		err(1, "connection %u", i);
}

/* Connecting ends with an event that says that it can be written to. */
static void
begin_one(struct crowd *c)
{
	struct epoll_event e = { .events = EPOLLOUT, .data.u32 = c->begun };
	int fd = open_socket(SOCK_STREAM | SOCK_NONBLOCK);

	if (connect(fd, (struct sockaddr *)&c->a, sizeof(c->a)) != 0 &&
	    errno != EINPROGRESS)
		err(1, "connection %u", c->begun);
	if (epoll_ctl(c->set, EPOLL_CTL_ADD, fd, &e) != 0)
		err(1, "epoll_ctl");
	c->fd[c->begun++] = fd;
}

static void
on_event(struct crowd *c, struct epoll_event *e, unsigned round)
{
	unsigned i = e->data.u32;
	struct request r;

	if ((e->events & EPOLLOUT) != 0) {
		ask_one(c, i, round);
		e->events = EPOLLIN;
		if (epoll_ctl(c->set, EPOLL_CTL_MOD, c->fd[i], e) != 0)
			err(1, "epoll_ctl");
		return;
	}
	if (!read_request(c->fd[i], &r))
		err(1, "connection %u", i);
	if (r.kind != ANSWER || r.number != ((uint64_t)round << 32 | i))
		errx(1, "connection %u has another's answer", i);
	c->answered++;
}

/* Until each has had one more answer; in the first, all are begun. */
static void
answer_all(struct crowd *c, unsigned round)
{
	struct epoll_event e[EVENTS];
	int n, i;

	c->answered = 0;
	while (c->answered < c->n) {
		while (c->begun < c->n && c->begun - c->answered < CONNECTING)
			begin_one(c);
		n = epoll_wait(c->set, e, EVENTS, PATIENCE_MS);
		if (n <= 0)
			errx(1, "%u of %u, then silence", c->answered, c->n);
		for (i = 0; i < n; i++)
			on_event(c, &e[i], round);
	}
}

static int
connect_many(char **arg)
{
	struct crowd c = { .a = address_of(arg[0], arg[1]) };
	uint64_t then = figures_now();
	unsigned i;

	c.n = (unsigned)strtoul(arg[2], NULL, 10);
	c.set = epoll_create1(EPOLL_CLOEXEC);
	c.fd = calloc(c.n, sizeof(*c.fd));
	if (c.set < 0 || c.fd == NULL)
		err(1, "connect");
	answer_all(&c, 1);
	for (i = 0; i < c.n; i++)
		ask_one(&c, i, 2);
	answer_all(&c, 2);
	printf("connected %u at once in %u ms\n", c.n, ms_since(then));
	return 0;
}

/* Its answer, and no older one: ns, or 0 if there is none. */
static uint64_t
ask(int fd, uint64_t number)
{
	struct request r = { ANSWER, number };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t then = figures_now();

	if (send(fd, &r, sizeof(r), 0) < 0)
		return 0;
	while (ms_since(then) < ANSWER_MS) {
		if (poll(&p, 1, ANSWER_MS) <= 0)
			return 0;
		if (recv(fd, &r, sizeof(r), MSG_DONTWAIT) ==
		    (ssize_t)sizeof(r) && r.number == number)
			return figures_now() - then;
	}
	return 0;
}

static int
ask_often(char **arg)
{
	struct sockaddr_in a = address_of(arg[0], arg[1]);
	unsigned count = (unsigned)strtoul(arg[2], NULL, 10), i;
	useconds_t us = (useconds_t)strtoul(arg[3], NULL, 10) * 1000;
	uint64_t *took = calloc(count, sizeof(*took));
	int fd = open_socket(SOCK_DGRAM);
	size_t n = 0;

	if (took == NULL || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		err(1, "ask");
	for (i = 0; i < count; i++) {
		if ((took[n] = ask(fd, i)) != 0)
			n++;
		usleep(us);
	}
	if (n == 0)
		errx(1, "no answer");
	printf("asked %u lost %zu ", count, count - n);
	figures_print(took, n);
	free(took);
	return 0;
}

static int
flood(char **arg)
{
	struct sockaddr_in a = address_of(arg[0], arg[1]);
	unsigned ms = (unsigned)strtoul(arg[2], NULL, 10);
	struct iovec iov = { .iov_base = table, .iov_len = SMALL };
	struct mmsghdr m[BURST];
	uint64_t then = figures_now(), sent = 0;
	int fd = open_socket(SOCK_DGRAM), i, n;

	memset(m, 0, sizeof(m));
	for (i = 0; i < BURST; i++) {
		m[i].msg_hdr.msg_name = &a;
		m[i].msg_hdr.msg_namelen = sizeof(a);
		m[i].msg_hdr.msg_iov = &iov;
		m[i].msg_hdr.msg_iovlen = 1;
	}
	while (ms_since(then) < ms)
		if ((n = sendmmsg(fd, m, BURST, 0)) > 0)
			sent += (uint64_t)n;
	printf("flooded %llu datagrams in %u ms\n", (unsigned long long)sent,
	    ms_since(then));
	return 0;
}

static int
make_plain(char **arg)
{
	static const uint32_t what[] = { ETHTOOL_STXCSUM, ETHTOOL_STSO,
	    ETHTOOL_SGSO };
	struct ethtool_value v = { .data = 0 };
	struct ifreq ifr = { .ifr_data = (char *)&v };
	int fd = open_socket(SOCK_DGRAM);
	unsigned i;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", arg[0]);
	for (i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
		v.cmd = what[i];
		if (ioctl(fd, SIOCETHTOOL, &ifr) != 0)
			err(1, "%s", arg[0]);
	}
	return 0;
}

static const struct verb {
	const char	*name;
	int		 args;
	int		(*run)(char **arg);
} verbs[] = {
	{ "serve", 1, serve },
	{ "send", 3, send_stream },
	{ "fetch", 3, fetch_stream },
	{ "echo", 3, echo_stream },
	{ "connect", 3, connect_many },
	{ "ask", 4, ask_often },
	{ "flood", 3, flood },
	{ "plain", 1, make_plain },
};

int
main(int argc, char **argv)
{
	struct rlimit files = { 20000, 20000 };
	size_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	fill_table();
	/* Who may not have so many needs no more. */
	(void)setrlimit(RLIMIT_NOFILE, &files);
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (argc - 2 == verbs[i].args &&
		    strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(argv + 2);
	errx(2, "usage: traffic VERB ARGUMENT...");
}
