/* SPDX-License-Identifier: ISC */
/*
 * A guest's network device at a port of a switch, for tests: virtio-net, its
 * port, and a driver that carries frames between the device's queues and a tap,
 * whose other end is a kernel's own network: the guest's.
 *
 * usage: nicguest NAME ADDRESS TAP [full|plain|unmerged]
 *
 * Makes a switch `lan` with an IPv4 address of 24 bits, a guest `g` at it, and
 * TAP, and says "ready"; the test moves TAP into another network.  "full" has
 * all offloads, "plain" none, "unmerged" all of them and a buffer of 64 KiB for
 * each frame.  SIGUSR1 has it tell of itself, SIGTERM end.
 */
#include <arpa/inet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit/vring.h"
#include "base/loop.h"
#include "devices/gmem.h"
#include "devices/virtio_net.h"
#include "net/port.h"
#include "net/switch.h"

#define MEM_SIZE	0x2000000u
#define ENTRIES		256u
#define RINGS		0x8000u		/* each queue's */
#define TX_SLOTS	64u
#define SLOT		0x11000u	/* more than the longest frame */
#define TX_MEM		0x100000u
#define RX_MEM		0x800000u

#define F_GUEST		(1ull << 1 | 1ull << 7 | 1ull << 8 | 1ull << 9)
#define F_HOST		(1ull << 0 | 1ull << 11 | 1ull << 12 | 1ull << 13)
#define F_MRG		(1ull << 15)

static struct loop	*loop;
static struct gmem	 gm;
static uint8_t		*mem;
static struct virtio	*v;
static struct virtio_net *net;
static struct vring	 rx, tx;
static uint32_t		 rx_len;	/* of a buffer */
static unsigned		 rx_count;
static unsigned		 tx_free[TX_SLOTS], tx_nfree;
static unsigned long	 interrupts, long_in, long_out;
static struct loop_task	 interrupt;
static ev_io		 stack;		/* the guest's tap */

static void
bad(const char *what)
{
	fprintf(stderr, "nicguest: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* Buffer i, as its last owner left it. */
static void
rx_offer(unsigned i)
{
	vring_desc(&rx, i, RX_MEM + (uint64_t)i * rx_len, rx_len, VRING_WRITE,
	    0);
	vring_offer(&rx, (uint16_t)i);
}

/* Carries a frame from its buffers to the guest's network. */
static bool
rx_take(void)
{
	struct iovec iov[ENTRIES];
	uint32_t id[ENTRIES], len;
	uint16_t n = 1, i;
	size_t sum = 0;

	for (i = 0; i < n; i++) {
		if (!vring_take(&rx, &id[i], &len)) {
			if (i != 0)
				bad("a frame without its end");
			return false;
		}
		iov[i].iov_base = mem + RX_MEM + (size_t)id[i] * rx_len;
		iov[i].iov_len = len;
		sum += len;
		if (i == 0)
			memcpy(&n, (uint8_t *)iov[0].iov_base + 10, 2);
		if (n == 0 || n > ENTRIES)
			bad("a frame of no buffers");
	}
	long_in += sum > 2000;
	/* What the tap has no room for is lost, as on any wire. */
	if (writev(stack.fd, iov, n) == -1 && errno != EAGAIN && errno != EIO)
		bad("write");
	for (i = 0; i < n; i++)
		rx_offer(id[i]);
	return true;
}

static void
listen_to_stack(bool on)
{
	if (on)
		ev_io_start(loop_ev(loop), &stack);
	else
		ev_io_stop(loop_ev(loop), &stack);
}

static bool
tx_take(void)
{
	uint32_t id, len;

	if (!vring_take(&tx, &id, &len))
		return false;
	tx_free[tx_nfree++] = id / 2;
	return true;
}

/* What comes back after the last look is told by another interrupt. */
static void
on_interrupt(void *arg)
{
	(void)arg;
	interrupts++;
	(void)virtio_take_isr(v);
	do {
		while (rx_take())
			continue;
		vring_arm(&rx);
	} while (rx_take());
	do {
		while (tx_take())
			continue;
		vring_arm(&tx);
	} while (tx_take());
	virtio_notify(v, 0);
	if (tx_nfree != 0)
		listen_to_stack(true);
}

/* A frame from the guest's network, the header in an element of its own. */
static void
on_stack(struct ev_loop *ev, ev_io *w, int revents)
{
	unsigned budget = 64, slot;
	uint64_t at;
	ssize_t len;

	(void)ev;
	(void)revents;
	while (tx_nfree != 0 && budget-- != 0) {
		slot = tx_free[tx_nfree - 1];
		at = TX_MEM + (uint64_t)slot * SLOT;
		len = read(w->fd, mem + at, SLOT);
		if (len <= 12)
			break;
		tx_nfree--;
		long_out += len > 2000;
		vring_desc(&tx, 2 * slot, at, 12, VRING_NEXT,
		    (uint16_t)(2 * slot + 1));
		vring_desc(&tx, 2 * slot + 1, at + 12, (uint32_t)len - 12, 0,
		    0);
		vring_offer(&tx, (uint16_t)(2 * slot));
	}
	if (tx_nfree == 0)
		listen_to_stack(false);
	virtio_notify(v, 1);
}

static uint64_t
host_now(void *cookie)
{
	(void)cookie;
	return loop_now_ns();
}

static void
host_attention(void *cookie)
{
	(void)cookie;
	loop_post(loop, &interrupt);
}

static void
host_called(struct dev_call *c)
{
	(void)c;
}

static void
host_call(void *cookie, struct dev_call *c)
{
	(void)cookie;
	c->done = host_called;
	c->task.fn(c->task.arg);
}

static const struct dev_host *
make_host(void)
{
	static struct dev_host host = {
		.now = host_now,
		.attention = host_attention,
		.call = host_call,
	};

	host.loop = loop;
	return &host;
}

static void
open_stack(const char *name, bool offloads)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int size = 12;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd == -1 || ioctl(fd, TUNSETIFF, &ifr) == -1 ||
	    ioctl(fd, TUNSETVNETHDRSZ, &size) == -1 ||
	    ioctl(fd, TUNSETOFFLOAD, offloads ? TUN_F_CSUM | TUN_F_TSO4 |
	    TUN_F_TSO6 | TUN_F_TSO_ECN : 0) == -1)
		bad(name);
	ev_io_init(&stack, on_stack, fd, EV_READ);
}

/* As a driver would, all at once. */
static void
drive(uint64_t features)
{
	unsigned i;

	vring_init(&rx, mem, 0, ENTRIES);
	vring_init(&tx, mem, RINGS, ENTRIES);
	virtio_set_status(v, 0x0b, features);
	virtio_enable_queue(v, 0, &rx.cfg);
	virtio_enable_queue(v, 1, &tx.cfg);
	virtio_set_status(v, 0x0f, features);
	if (virtio_status(v) != 0x0f)
		bad("status");
	for (i = 0; i < rx_count; i++)
		rx_offer(i);
	for (i = 0; i < TX_SLOTS; i++)
		tx_free[tx_nfree++] = i;
	virtio_notify(v, 0);
	listen_to_stack(true);
}

static void
signalled(struct ev_loop *ev, ev_signal *w, int revents)
{
	struct virtio_net_stats s;

	(void)revents;
	if (w->signum == SIGTERM) {
		ev_break(ev, EVBREAK_ALL);
		return;
	}
	virtio_net_stats(net, &s);
	printf("tx %lu long %lu lost %lu rx %lu long %lu lost %lu .\n",
	    (unsigned long)s.tx_packets, long_out,
	    (unsigned long)(s.tx_malformed + s.tx_refused),
	    (unsigned long)s.rx_packets, long_in,
	    (unsigned long)(s.rx_malformed + s.rx_filtered + s.rx_too_long));
	printf("interrupts %lu worst %lu us\n", interrupts,
	    (unsigned long)(loop_worst_ns(loop) / 1000));
}

static void
stopped(void *arg)
{
	*(bool *)arg = true;
}

/* Runs the guest at a port of the switch; returns when it is to end. */
static void
run_guest(struct port *port, const char *kind)
{
	static const struct virtio_net_params params = {
		.mac = { 2, 0, 0, 0, 0, 2 }, .mtu = 1500, .pairs = 1,
	};
	bool done = false;
	uint64_t features = VIRTIO_F_VERSION_1 | VIRTIO_RING_F_EVENT_IDX;

	rx_len = strcmp(kind, "unmerged") == 0 ? SLOT : 1536;
	rx_count = rx_len == SLOT ? 64 : ENTRIES;
	if (rx_len != SLOT)
		features |= F_MRG;
	if (strcmp(kind, "plain") != 0)
		features |= F_HOST | F_GUEST;
	net = virtio_net_create(port_nic(port), &params);
	v = virtio_create(make_host(), &gm, virtio_net_ops(net), net, kind);
	virtio_net_attach(net);
	drive(features & virtio_offered(v));
	printf("ready\n");
	loop_run(loop);
	virtio_stop(v, stopped, &done);
	if (!done)
		bad("stop");
	virtio_net_detach(net);
	virtio_destroy(v);
	virtio_net_destroy(net);
}

static struct switches *
make_switch(const char *name, const char *address)
{
	struct os_addr addr = { .prefix = 24 };
	struct switch_conf c = {
		.name = "lan", .bridge = "", .uplink = "", .vrf = "",
		.group = "", .addrs = &addr, .naddrs = 1,
	};
	struct switches *s;
	char err[256];

	if (inet_pton(AF_INET, address, addr.bytes) != 1)
		bad(address);
	if (switches_open(&s, name, loop, err, sizeof(err)) != 0 ||
	    switches_apply(s, &c, 1, err, sizeof(err)) != 0)
		bad(err);
	return s;
}

int
main(int argc, char **argv)
{
	struct port_conf c = { .vm = "g", .nqueues = 1 };
	ev_signal sigs[2];
	struct switches *s;
	struct port *port;
	char err[256];

	if (argc != 5)
		bad("usage");
	setvbuf(stdout, NULL, _IOLBF, 0);
	loop = loop_create();
	mem = aligned_alloc(4096, MEM_SIZE);
	memset(mem, 0, MEM_SIZE);
	gm.nranges = 1;
	gm.range[0] = (struct gmem_range){ 0, MEM_SIZE, mem };
	interrupt.fn = on_interrupt;
	s = make_switch(argv[1], argv[2]);
	c.daemon = argv[1];
	c.set = switches_find(s, "lan")->ports;
	if (port_create(&port, &c, err, sizeof(err)) != 0 ||
	    port_plug(port, loop, s, "lan", err, sizeof(err)) != 0)
		bad(err);
	open_stack(argv[3], strcmp(argv[4], "plain") != 0);
	ev_signal_init(&sigs[0], signalled, SIGTERM);
	ev_signal_init(&sigs[1], signalled, SIGUSR1);
	ev_signal_start(loop_ev(loop), &sigs[0]);
	ev_signal_start(loop_ev(loop), &sigs[1]);
	run_guest(port, argv[4]);
	ev_io_stop(loop_ev(loop), &stack);
	loop_cancel(loop, &interrupt);
	close(stack.fd);
	port_unplug(port);
	port_destroy(port);
	switches_close(s);
	ev_signal_stop(loop_ev(loop), &sigs[0]);
	ev_signal_stop(loop_ev(loop), &sigs[1]);
	loop_destroy(loop);
	free(mem);
	return 0;
}
