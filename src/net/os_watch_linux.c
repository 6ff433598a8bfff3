/* SPDX-License-Identifier: ISC */
/*
 * Changes of interfaces on Linux: rtnetlink's notifications.
 *
 * The kernel drops some when thousands come at once, and says so; then all
 * interfaces are asked for.  The answer comes in parts and by the same way, so
 * that no turn of the loop waits for it.
 */
#include "net/os.h"

#include <sys/socket.h>

#include <linux/rtnetlink.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/loop.h"
#include "net/os_nl_linux.h"

/* Messages of a turn, of which one takes about ten microseconds. */
#define OS_WATCH_TURN	16

/* How long after one that failed all are asked for again, in seconds. */
#define OS_WATCH_AGAIN	0.2

/* What the kernel keeps for us: some hundred notifications. */
#define OS_WATCH_BUFFER	(1 << 20)

struct os_watch {
	struct mnl_socket	*nl;
	struct loop		*loop;
	ev_io			 io;
	ev_timer		 later;		/* all are asked for */
	unsigned		 port;		/* our address */
	uint32_t		 seq;		/* of the last dump */
	void			(*fn)(void *cookie, const struct os_link *l);
	void			*cookie;
	bool			 again;		/* one was missed in a dump */
	bool			 dumping;
	bool			 interrupted;	/* by changes meanwhile */
	/* Messages, aligned as their headers want it. */
	char			 in[OS_NL_BUFFER] __attribute__((__aligned__(8)));
};

/* Asks for interface `index`, or, by 0, for all. */
static int
os_watch_request(struct os_watch *w, int index)
{
	char out[256] __attribute__((__aligned__(8)));
	struct nlmsghdr *n = mnl_nlmsg_put_header(out);

	n->nlmsg_type = RTM_GETLINK;
	n->nlmsg_flags = NLM_F_REQUEST | (index == 0 ? NLM_F_DUMP : 0);
	n->nlmsg_seq = index == 0 ? ++w->seq : 0;
	os_nl_put_getlink(n, index);
	if (mnl_socket_sendto(w->nl, n, n->nlmsg_len) == -1)
		return -errno;
	w->dumping |= index == 0;
	return 0;
}

static void
os_watch_failed(struct os_watch *w, int error)
{
	if (error != -EINTR)
		log_warn("interfaces: changes were missed: %s",
		    strerror(-error));
	w->dumping = false;
	ev_timer_start(loop_ev(w->loop), &w->later);
}

static void
os_watch_all(struct os_watch *w)
{
	int error;

	if (w->dumping) {
		w->again = true;
		return;
	}
	w->again = false;
	error = os_watch_request(w, 0);
	if (error != 0)
		os_watch_failed(w, error);
}

static void
os_watch_later(struct ev_loop *ev, ev_timer *timer, int revents)
{
	(void)ev;
	(void)revents;
	os_watch_all(timer->data);
}

/* The end of a dump, such as it is; errors of other requests are no matter. */
static void
os_watch_end(struct os_watch *w, const struct nlmsghdr *n)
{
	int error = os_nl_error(n);

	if (!w->dumping || n->nlmsg_seq != w->seq)
		return;
	if (error == 0 && w->interrupted)
		error = -EINTR;
	w->dumping = w->interrupted = false;
	if (error != 0)
		os_watch_failed(w, error);
	else if (w->again)
		os_watch_all(w);
}

/* One message, or as many as the part of a dump has: that number. */
static unsigned
os_watch_read(struct os_watch *w, ssize_t len)
{
	const struct nlmsghdr *n = (const void *)w->in;
	unsigned count = 0;
	struct os_link l;
	int left = (int)len;

	for (; mnl_nlmsg_ok(n, left); n = mnl_nlmsg_next(n, &left), count++) {
		if (n->nlmsg_flags & NLM_F_DUMP_INTR)
			w->interrupted = true;
		if (n->nlmsg_type == NLMSG_DONE ||
		    n->nlmsg_type == NLMSG_ERROR)
			os_watch_end(w, n);
		if ((n->nlmsg_type == RTM_NEWLINK ||
		    n->nlmsg_type == RTM_DELLINK) && os_nl_link(n, &l) == 0) {
			l.asked = n->nlmsg_pid == w->port;
			w->fn(w->cookie, &l);
		}
	}
	return count;
}

static void
os_watch_ready(struct ev_loop *ev, ev_io *io, int revents)
{
	struct os_watch *w = io->data;
	unsigned turn = 0;
	ssize_t len;

	(void)ev;
	(void)revents;
	while (turn < OS_WATCH_TURN) {
		len = recv(io->fd, w->in, sizeof(w->in),
		    MSG_DONTWAIT | MSG_TRUNC);
		if (len > (ssize_t)sizeof(w->in))
			os_watch_failed(w, -EMSGSIZE);
		else if (len > 0)
			turn += os_watch_read(w, len);
		else if (len == -1 && errno == ENOBUFS)
			os_watch_all(w);
		else
			return;
	}
}

int
os_watch_start(struct os_watch **wp, struct loop *loop,
    void (*fn)(void *cookie, const struct os_link *l), void *cookie)
{
	int size = OS_WATCH_BUFFER, error;
	struct os_watch *w;

	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -ENOMEM;
	w->loop = loop;
	w->fn = fn;
	w->cookie = cookie;
	w->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (w->nl == NULL ||
	    mnl_socket_bind(w->nl, RTMGRP_LINK, MNL_SOCKET_AUTOPID) == -1) {
		error = -errno;
		if (w->nl != NULL)
			mnl_socket_close(w->nl);
		free(w);
		return error;
	}
	w->port = mnl_socket_get_portid(w->nl);
	/* With less it asks for all more often. */
	(void)setsockopt(mnl_socket_get_fd(w->nl), SOL_SOCKET, SO_RCVBUFFORCE,
	    &size, sizeof(size));
	ev_timer_init(&w->later, os_watch_later, OS_WATCH_AGAIN, 0.);
	w->later.data = w;
	ev_io_init(&w->io, os_watch_ready, mnl_socket_get_fd(w->nl), EV_READ);
	w->io.data = w;
	ev_io_start(loop_ev(loop), &w->io);
	*wp = w;
	return 0;
}

void
os_watch_stop(struct os_watch *w)
{
	if (w == NULL)
		return;
	ev_io_stop(loop_ev(w->loop), &w->io);
	ev_timer_stop(loop_ev(w->loop), &w->later);
	mnl_socket_close(w->nl);
	free(w);
}

int
os_watch_ask(struct os_watch *w, int index)
{
	return os_watch_request(w, index);
}
