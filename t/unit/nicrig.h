/* SPDX-License-Identifier: ISC */
/*
 * virtio-net at a port that does as the test says, and a guest's network
 * driver.
 */
#ifndef VMMD_NICRIG_H
#define VMMD_NICRIG_H

#include <errno.h>
#include <limits.h>

#include "devices/virtio_net.h"
#include "vguest.h"

#define V1		(1ull << 32)
#define MRG		(1ull << 15)
#define CTL		(1ull << 17)
#define ALL_OFFLOADS	0x1fu
#define MTU		1500

/* Where the driver has frames to send, commands, and receive buffers. */
#define TX_MEM		0x80000u
#define CTL_MEM		0xa0000u
#define RX_MEM		0x100000u
#define RX_BYTES	0x100000u

#define HDR		12u
#define PORT_QUEUES	4
#define PORT_FRAMES	600

struct frame {
	size_t	 len;
	uint8_t	*data;		/* header and all */
};

struct frames {
	unsigned	n;
	struct frame	f[PORT_FRAMES];
};

struct fakeport {
	struct nicport		 p;
	const struct nic_ops	*ops;
	void			*nic;
	unsigned		 wanted[PORT_QUEUES];
	unsigned		 wants;		/* calls of want() */
	unsigned		 sends, recvs;	/* and of these */
	unsigned		 elements;	/* of the last recv() */
	unsigned		 queues;
	unsigned		 offload;
	int			 error;		/* of queues() and offload() */
	int			 send_error;
	unsigned		 room;		/* frames it takes as yet */
	struct frames		 sent[PORT_QUEUES];
	struct frames		 waiting[PORT_QUEUES];
	struct ev_check		 poll;
};

static inline void
frames_add(struct frames *s, const void *data, size_t len)
{
	struct frame *f = &s->f[s->n++];

	ck_assert_uint_le(s->n, PORT_FRAMES);
	f->len = len;
	f->data = malloc(len + 1);
	ck_assert_ptr_nonnull(f->data);
	if (len != 0)
		memcpy(f->data, data, len);
}

static inline void
frames_drop(struct frames *s)
{
	ck_assert_uint_ne(s->n, 0);
	free(s->f[0].data);
	memmove(s->f, s->f + 1, --s->n * sizeof(s->f[0]));
}

static inline void
frames_clear(struct frames *s)
{
	while (s->n != 0)
		free(s->f[--s->n].data);
}

static inline void
fakeport_attach(struct nicport *np, const struct nic_ops *ops, void *nic)
{
	struct fakeport *p = (struct fakeport *)np;

	p->ops = ops;
	p->nic = nic;
	memset(p->wanted, 0, sizeof(p->wanted));
	p->queues = 1;
	p->offload = 0;
	if (ops != NULL)
		ops->link(nic, true);
}

static inline int
fakeport_send(struct nicport *np, unsigned queue, const struct iovec *iov,
    unsigned niov)
{
	struct fakeport *p = (struct fakeport *)np;
	static uint8_t data[NICPORT_FRAME_MAX];
	size_t len = 0;
	unsigned i;

	p->sends++;
	ck_assert_uint_lt(queue, p->queues);
	if (p->room == 0)
		return -EAGAIN;
	if (p->send_error != 0)
		return p->send_error;
	p->room--;
	/* Copied, so that it is what the port has judged. */
	ck_assert_uint_ge(iov[0].iov_len, HDR + 14);
	for (i = 0; i < niov; i++) {
		ck_assert_uint_ne(iov[i].iov_len, 0);
		ck_assert_uint_le(len + iov[i].iov_len, sizeof(data));
		memcpy(data + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	frames_add(&p->sent[queue], data, len);
	return 0;
}

/* What there is no room for is lost, as a tap does. */
static inline ssize_t
fakeport_recv(struct nicport *np, unsigned queue, const struct iovec *iov,
    unsigned niov)
{
	struct fakeport *p = (struct fakeport *)np;
	struct frames *s = &p->waiting[queue];
	size_t done = 0, part;
	unsigned i;

	p->recvs++;
	p->elements = niov;
	ck_assert_uint_lt(queue, p->queues);
	ck_assert_uint_ne(niov, 0);
	ck_assert_uint_le(niov, 1024);
	if (s->n == 0)
		return -EAGAIN;
	for (i = 0; i < niov; i++) {
		part = s->f[0].len - done;
		if (part > iov[i].iov_len)
			part = iov[i].iov_len;
		memcpy(iov[i].iov_base, s->f[0].data + done, part);
		done += part;
	}
	frames_drop(s);
	return (ssize_t)done;
}

static inline void
fakeport_want(struct nicport *np, unsigned queue, unsigned what)
{
	struct fakeport *p = (struct fakeport *)np;

	ck_assert_uint_lt(queue, p->queues);
	ck_assert_uint_ne(p->wanted[queue], what);
	p->wanted[queue] = what;
	p->wants++;
}

static inline int
fakeport_queues(struct nicport *np, unsigned n)
{
	struct fakeport *p = (struct fakeport *)np;
	unsigned i;

	ck_assert_uint_ge(n, 1);
	ck_assert_uint_le(n, PORT_QUEUES);
	if (p->error != 0)
		return p->error;
	for (i = n; i < PORT_QUEUES; i++)
		ck_assert_uint_eq(p->wanted[i], 0);
	p->queues = n;
	return 0;
}

static inline int
fakeport_offload(struct nicport *np, unsigned flags)
{
	struct fakeport *p = (struct fakeport *)np;

	ck_assert_uint_eq(flags & ~p->p.offloads, 0);
	if (p->error == 0)
		p->offload = flags;
	return p->error;
}

static const struct nicport_ops fakeport_ops = {
	.attach = fakeport_attach,
	.send = fakeport_send,
	.recv = fakeport_recv,
	.want = fakeport_want,
	.queues = fakeport_queues,
	.offload = fakeport_offload,
};

/* In each turn of the loop: calls the NIC for what it wants and can have. */
static inline void
fakeport_poll(struct ev_loop *ev, struct ev_check *w, int revents)
{
	struct fakeport *p = w->data;
	unsigned i;

	(void)ev;
	(void)revents;
	for (i = 0; p->ops != NULL && i < PORT_QUEUES; i++) {
		if ((p->wanted[i] & NICPORT_RECV) != 0 &&
		    p->waiting[i].n != 0)
			p->ops->readable(p->nic, i);
		if ((p->wanted[i] & NICPORT_SEND) != 0 && p->room != 0)
			p->ops->writable(p->nic, i);
	}
}

struct fixture {
	struct vguest		 g;
	struct fakeport		 port;
	struct virtio_net	*nic;
	struct virtio_pci	*vp;
	uint8_t			*mem;
	struct vring		 rx, tx, ctl;
	unsigned		 ctl_queue;
	uint32_t		 buf_len;	/* of receive buffers */
};

static const uint8_t own_mac[6] = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 };

static inline void
setup_nic(struct fixture *f, struct loop *loop, unsigned offloads,
    unsigned pairs)
{
	struct virtio_net_params params = { .mtu = MTU, .pairs = pairs };

	memcpy(params.mac, own_mac, sizeof(own_mac));
	ck_assert_ptr_nonnull(loop);
	vguest_init(&f->g, loop);
	f->mem = f->g.gm.range[0].hva;
	f->port.p = (struct nicport){ &fakeport_ops, offloads };
	f->port.room = UINT_MAX;
	ev_check_init(&f->port.poll, fakeport_poll);
	f->port.poll.data = &f->port;
	ev_check_start(loop_ev(loop), &f->port.poll);
	f->nic = virtio_net_create(&f->port.p, &params);
	ck_assert_ptr_nonnull(f->nic);
	f->vp = virtio_pci_create(&f->g.t.host, &f->g.gm, f->g.pci,
	    virtio_net_ops(f->nic), f->nic, "vm t: nic 0");
	ck_assert_ptr_nonnull(f->vp);
	virtio_net_attach(f->nic);
}

static inline struct fixture *
setup_with(unsigned offloads, unsigned pairs)
{
	struct fixture *f = calloc(1, sizeof(*f));

	ck_assert_ptr_nonnull(f);
	setup_nic(f, loop_create(), offloads, pairs);
	return f;
}

static inline struct fixture *
setup(void)
{
	return setup_with(ALL_OFFLOADS, 1);
}

static inline void
count(void *arg)
{
	++*(unsigned *)arg;
}

static inline void
stop(struct fixture *f)
{
	unsigned stopped = 0, i;

	virtio_pci_stop(f->vp, count, &stopped);
	ck_assert_uint_eq(stopped, 1);
	for (i = 0; i < PORT_QUEUES; i++)
		ck_assert_uint_eq(f->port.wanted[i], 0);
}

static inline void
teardown(struct fixture *f)
{
	unsigned i;

	stop(f);
	virtio_net_detach(f->nic);
	ev_check_stop(loop_ev(f->g.t.host.loop), &f->port.poll);
	ck_assert_ptr_null(f->port.ops);
	virtio_pci_destroy(f->vp);
	virtio_net_destroy(f->nic);
	for (i = 0; i < PORT_QUEUES; i++) {
		frames_clear(&f->port.sent[i]);
		frames_clear(&f->port.waiting[i]);
	}
	vguest_fini(&f->g);
	loop_destroy(f->g.t.host.loop);
	free(f);
}

static inline void
turn(struct fixture *f)
{
	ev_run(loop_ev(f->g.t.host.loop), EVRUN_NOWAIT);
}

static inline void
turns(struct fixture *f)
{
	unsigned i;

	for (i = 0; i < 10; i++)
		turn(f);
}

/* All the way to DRIVER_OK: queues of `size` entries, no buffers. */
static inline void
start(struct fixture *f, uint16_t size, uint64_t features)
{
	ck_assert_uint_eq(vguest_negotiate(&f->g, features), 0x0b);
	f->ctl_queue = (features >> 22 & 1) != 0 ?
	    vguest_in(&f->g, 0x12, 2) - 1 : 2;
	vguest_queue(&f->g, &f->rx, 0, size);
	vguest_queue(&f->g, &f->tx, 1, size);
	vguest_queue(&f->g, &f->ctl, f->ctl_queue, 16);
	vguest_set_status(&f->g, 0x0f);
	ck_assert_uint_eq(vguest_status(&f->g), 0x0f);
	turns(f);
}

/* Offers receive buffer `i`, of one descriptor. */
static inline void
rx_offer(struct fixture *f, unsigned i)
{
	uint32_t addr = RX_MEM + i * f->buf_len;

	ck_assert_uint_le((i + 1) * f->buf_len, RX_BYTES);
	memset(f->mem + addr, 0xee, f->buf_len);
	vring_desc(&f->rx, i, addr, f->buf_len, VRING_WRITE, 0);
	vring_offer(&f->rx, (uint16_t)i);
}

/* Offers buffers first .. first + n) of `len` bytes each, and notifies. */
static inline void
rx_fill(struct fixture *f, unsigned first, unsigned n, uint32_t len)
{
	unsigned i;

	f->buf_len = len;
	for (i = first; i < first + n; i++)
		rx_offer(f, i);
	vguest_notify(&f->g, 0);
	turn(f);
}

/* Has a frame of `len` bytes in all wait at queue 0 of the port. */
static inline void
arrive_as(struct fixture *f, size_t len, uint8_t flags, uint8_t gso,
    const uint8_t *to)
{
	uint8_t *data = calloc(1, len + 1);
	size_t i;

	ck_assert_ptr_nonnull(data);
	for (i = HDR; i < len; i++)
		data[i] = (uint8_t)(i * 7 + i / 251 + len);
	if (len >= HDR + 6)
		memcpy(data + HDR, to, 6);
	if (len >= HDR) {
		data[0] = flags;
		data[1] = gso;
	}
	frames_add(&f->port.waiting[0], data, len);
	free(data);
}

static inline void
arrive(struct fixture *f, size_t len)
{
	arrive_as(f, len, 0, 0, own_mac);
}

/* Takes a frame of `len` bytes, from `n` buffers, as arrive_as() made it. */
static inline void
rx_expect(struct fixture *f, size_t len, unsigned n)
{
	static uint8_t data[NICPORT_FRAME_MAX];
	uint32_t id, part;
	uint16_t buffers;
	size_t done = 0;
	unsigned i;

	for (i = 0; i < n; i++) {
		ck_assert(vring_take(&f->rx, &id, &part));
		ck_assert_uint_le(part, f->buf_len);
		memcpy(data + done, f->mem + RX_MEM + id * f->buf_len, part);
		done += part;
		if (i + 1 < n)
			ck_assert_uint_eq(part, f->buf_len);
	}
	ck_assert_uint_eq(done, len);
	memcpy(&buffers, data + 10, 2);
	ck_assert_uint_eq(buffers, n);
	for (i = HDR + 6; i < len; i++)
		if (data[i] != (uint8_t)(i * 7 + i / 251 + len))
			ck_abort_msg("byte %u of %zu differs", i, len);
}

static inline bool
rx_idle(struct fixture *f)
{
	uint32_t id, len;

	return !vring_take(&f->rx, &id, &len);
}

/* Writes a frame of `len` bytes, the header among them, at TX_MEM. */
static inline void
tx_write(struct fixture *f, size_t len)
{
	size_t i;

	memset(f->mem + TX_MEM, 0, HDR);
	for (i = HDR; i < len; i++)
		f->mem[TX_MEM + i] = (uint8_t)(i * 5 + i / 253);
}

/* Offers what lies at TX_MEM as one descriptor. */
static inline void
tx_offer(struct fixture *f, unsigned i, uint32_t len)
{
	vring_desc(&f->tx, i, TX_MEM, len, 0, 0);
	vring_offer(&f->tx, (uint16_t)i);
}

static inline unsigned
tx_done(struct fixture *f)
{
	uint32_t id, len;
	unsigned n = 0;

	while (vring_take(&f->tx, &id, &len)) {
		ck_assert_uint_eq(len, 0);
		n++;
	}
	return n;
}

/* Sends one command; the answer. */
static inline uint8_t
command(struct fixture *f, uint8_t class, uint8_t cmd, const void *args,
    uint32_t len)
{
	uint32_t id, n;

	f->mem[CTL_MEM] = class;
	f->mem[CTL_MEM + 1] = cmd;
	if (len != 0)
		memcpy(f->mem + CTL_MEM + 2, args, len);
	f->mem[CTL_MEM - 1] = 0xee;
	vring_desc(&f->ctl, 0, CTL_MEM, 2 + len, VRING_NEXT, 1);
	vring_desc(&f->ctl, 1, CTL_MEM - 1, 1, VRING_WRITE, 0);
	vring_offer(&f->ctl, 0);
	vguest_notify(&f->g, f->ctl_queue);
	turns(f);
	ck_assert(vring_take(&f->ctl, &id, &n));
	ck_assert_uint_eq(n, 1);
	return f->mem[CTL_MEM - 1];
}

static inline struct virtio_net_stats
stats(const struct fixture *f)
{
	struct virtio_net_stats s;

	virtio_net_stats(f->nic, &s);
	return s;
}

#endif /* VMMD_NICRIG_H */
