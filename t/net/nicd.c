/* SPDX-License-Identifier: ISC */
/*
 * Guests' NICs as the daemon has them, with a network stack behind each that
 * plays the guest: a tap NAME.N, for NIC N of guest NAME, to be moved into a
 * network of its own.
 *
 * usage: nicd FILE
 *
 * FILE is a configuration of the daemon.  It is applied again on SIGHUP, when
 * it must have the same NICs; on SIGUSR2 nicd tells of them; SIGTERM ends it.
 */
#include <sys/ioctl.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/loop.h"
#include "vmm/config.h"
#include "vmm/network.h"
#include "vmm/nic.h"

#define GUESTS_MAX	16

/* A NIC, and the tap that is its guest. */
struct guest {
	struct nic	*nic;
	struct nicport	*port;
	const char	*vm;
	unsigned	 number;
	int		 fd;
	ev_io		 readable;
	uint8_t		 frame[NICPORT_FRAME_MAX];	/* that waits */
	size_t		 len;				/* of it, or 0 */
	uint64_t	 since;				/* the link is down */
};

static struct loop	*loop;
static struct config	*conf;
static struct network	*net;
static struct guest	 guests[GUESTS_MAX];
static unsigned		 nguests, applied;
static const char	*path;

static void
fail(const char *what)
{
	printf("apply %u: %s\n", ++applied, what);
	exit(1);
}

static int
open_tap(const char *vm, unsigned number)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int size = NICPORT_HEADER;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s.%u", vm, number);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) != 0 ||
	    ioctl(fd, TUNSETVNETHDRSZ, &size) != 0)
		fail(strerror(errno));
	return fd;
}

/* To the guest. */
static void
on_readable(void *cookie, unsigned queue)
{
	struct guest *g = cookie;
	uint8_t frame[NICPORT_FRAME_MAX];
	struct iovec iov = { .iov_base = frame, .iov_len = sizeof(frame) };
	ssize_t len = g->port->ops->recv(g->port, queue, &iov, 1);

	/* What the guest does not take is lost. */
	if (len > 0 && write(g->fd, frame, (size_t)len) != len)
		return;
}

/* Sends what waits: false if it still does. */
static bool
send_frame(struct guest *g)
{
	struct iovec iov = { .iov_base = g->frame, .iov_len = g->len };
	bool waits;

	waits = g->port->ops->send(g->port, 0, &iov, 1) == -EAGAIN;
	g->port->ops->want(g->port, 0, NICPORT_RECV |
	    (waits ? NICPORT_SEND : 0));
	if (waits)
		ev_io_stop(loop_ev(loop), &g->readable);
	else
		ev_io_start(loop_ev(loop), &g->readable);
	return !waits;
}

static void
on_writable(void *cookie, unsigned queue)
{
	(void)queue;
	(void)send_frame(cookie);
}

static void
on_link(void *cookie, bool up)
{
	struct guest *g = cookie;
	int on = up;

	printf("%s.%u: link %s\n", g->vm, g->number, up ? "up" : "down");
	if (!up)
		g->since = loop_now_ns();
	else if (g->since != 0)
		printf("%s.%u: down for %u ms\n", g->vm, g->number,
		    (unsigned)((loop_now_ns() - g->since) / 1000000));
	if (ioctl(g->fd, TUNSETCARRIER, &on) != 0)
		printf("%s.%u: %s\n", g->vm, g->number, strerror(errno));
}

static const struct nic_ops ops = {
	.readable = on_readable,
	.writable = on_writable,
	.link = on_link,
};

/* From the guest. */
static void
on_tap(struct ev_loop *ev, ev_io *io, int revents)
{
	struct guest *g = io->data;
	ssize_t len;

	(void)ev;
	(void)revents;
	len = read(g->fd, g->frame, sizeof(g->frame));
	if (len <= 0)
		return;
	g->len = (size_t)len;
	(void)send_frame(g);
}

static void
start_guest(struct guest *g, const struct vm_config *vm, unsigned i)
{
	const struct vm_nic *n = &vm->nics.nic[i];
	struct nic_conf nc = {
		.daemon = network_daemon(net), .vm = strdup(vm->name),
		.number = i, .queues = 1,
	};
	struct nic_status st;
	char err[256];

	nc.set = switches_find(network_switches(net), n->sw)->ports;
	g->vm = nc.vm;
	g->number = i;
	g->fd = open_tap(vm->name, i);
	if (nic_create(&g->nic, &nc, err, sizeof(err)) != 0 ||
	    nic_plug(g->nic, loop, net, n, err, sizeof(err)) != 0)
		fail(err);
	g->port = nic_far_end(g->nic);
	g->port->ops->attach(g->port, &ops, g);
	g->port->ops->want(g->port, 0, NICPORT_RECV);
	ev_io_init(&g->readable, on_tap, g->fd, EV_READ);
	g->readable.data = g;
	ev_io_start(loop_ev(loop), &g->readable);
	nic_get_status(g->nic, &st);
	printf("%s.%u: lladdr %02x:%02x:%02x:%02x:%02x:%02x\n", g->vm, i,
	    st.mac[0], st.mac[1], st.mac[2], st.mac[3], st.mac[4], st.mac[5]);
}

static void
end_guest(struct guest *g)
{
	ev_io_stop(loop_ev(loop), &g->readable);
	g->port->ops->attach(g->port, NULL, NULL);
	nic_unplug(g->nic);
	nic_destroy(g->nic);
	close(g->fd);
	free((void *)(uintptr_t)g->vm);
}

static struct config *
read_file(void)
{
	struct config *c;
	struct buf errors;

	buf_init(&errors, CONFIG_ERRORS_MAX);
	c = config_read(path, &errors);
	printf("%.*s", (int)errors.len, errors.len > 0 ?
	    (char *)buf_head(&errors) : "");
	buf_free(&errors);
	if (c == NULL)
		fail("no configuration");
	return c;
}

static void
start(void)
{
	char err[256];
	unsigned i, k;

	conf = read_file();
	if (network_create(&net, conf->name, loop, err, sizeof(err)) != 0 ||
	    network_apply(net, conf, err, sizeof(err)) != 0)
		fail(err);
	for (i = 0; i < conf->nvms; i++)
		for (k = 0; k < conf->vm[i].nics.n; k++)
			start_guest(&guests[nguests++], &conf->vm[i], k);
	printf("apply %u: ok\n", ++applied);
}

static void
reload(void)
{
	struct config *c = read_file();
	char err[256] = "ok";
	const struct vm_config *vm;
	struct guest *g;

	if (network_apply(net, c, err, sizeof(err)) != 0) {
		printf("apply %u: %s\n", ++applied, err);
		config_free(c);
		return;
	}
	for (g = guests; g < guests + nguests; g++) {
		vm = config_find_vm(c, g->vm);
		if (nic_change(g->nic, &vm->nics.nic[g->number], err,
		    sizeof(err)) != 0)
			break;
	}
	config_free(conf);
	conf = c;
	printf("apply %u: %s\n", ++applied, err);
}

static void
tell(void)
{
	struct nic_status st;
	struct guest *g;

	for (g = guests; g < guests + nguests; g++) {
		nic_get_status(g->nic, &st);
		printf("%s.%u: in %llu out %llu waits %llu answered %llu "
		    "%llu\n", g->vm, g->number,
		    (unsigned long long)st.in.packets,
		    (unsigned long long)st.out.packets,
		    (unsigned long long)(st.in.waits + st.out.waits),
		    (unsigned long long)st.in.answered,
		    (unsigned long long)st.out.answered);
	}
	printf("told\n");
}

static void
signalled(struct ev_loop *ev, ev_signal *w, int revents)
{
	(void)ev;
	(void)revents;
	if (w->signum == SIGHUP)
		reload();
	else if (w->signum == SIGUSR2)
		tell();
	else
		loop_break(loop);
}

int
main(int argc, char **argv)
{
	static const int signals[] = { SIGHUP, SIGUSR2, SIGTERM };
	ev_signal watchers[3];
	unsigned i;

	if (argc != 2)
		exit(2);
	path = argv[1];
	setvbuf(stdout, NULL, _IOLBF, 0);
	loop = loop_create();
	for (i = 0; i < 3; i++) {
		ev_signal_init(&watchers[i], signalled, signals[i]);
		ev_signal_start(loop_ev(loop), &watchers[i]);
	}
	start();
	loop_run(loop);
	for (i = 0; i < 3; i++)
		ev_signal_stop(loop_ev(loop), &watchers[i]);
	while (nguests > 0)
		end_guest(&guests[--nguests]);
	network_destroy(net);
	loop_destroy(loop);
	config_free(conf);
	printf("ended\n");
	return 0;
}
