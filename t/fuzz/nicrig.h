/* SPDX-License-Identifier: ISC */
/*
 * virtio-net for fuzz targets, without a transport: a guest's memory, a host,
 * and a port that checks what it is asked for.
 *
 * Queue q has its rings at q * NET_RINGS; from NET_DATA on lies whatever the
 * input puts there.
 */
#ifndef VMMD_FUZZ_NICRIG_H
#define VMMD_FUZZ_NICRIG_H

#include "fuzz.h"

#include <errno.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/log.h"
#include "devices/gmem.h"
#include "devices/state.h"
#include "devices/virtio_net.h"

#define NET_MEM		0x20000u
#define NET_RINGS	0x2000u
#define NET_AVAIL	0x1000u		/* in these */
#define NET_USED	0x1400u
#define NET_DATA	0x10000u
#define NET_PAIRS	2
#define NET_WAITING	16

struct net_rig;

/* One device at a port of its own. */
struct net_machine {
	struct nicport		 port;		/* first */
	struct net_rig		*rig;
	const struct nic_ops	*ops;
	void			*nic;
	unsigned		 queues;
	unsigned		 offload;
	unsigned		 wanted[NET_PAIRS];
	struct virtio_net	*net;
	struct virtio		*v;
};

struct net_rig {
	struct fuzz_input	 in;
	struct loop		*loop;
	struct dev_host		 host;
	struct gmem		 gm;
	struct net_machine	 machine[2];
	struct net_machine	*m;		/* the guest's */
	struct net_machine	*spare;		/* reset: a load goes here */
	struct buf		 pristine;	/* its state when it was made */
	unsigned		 nqueues;
	uint16_t		 idx[2 * NET_PAIRS + 1];	/* offered */
	unsigned		 room;		/* frames the port takes */
	int			 send_error;
	int			 error;		/* of queues() and offload() */
	unsigned		 nwaiting;	/* frames for the guest */
	size_t			 waiting[NET_WAITING];
	uint8_t			 head[32];	/* what they begin with */
};

static inline bool
net_in_memory(const struct net_rig *r, const struct iovec *e)
{
	const char *mem = r->gm.range[0].hva, *p = e->iov_base;

	return p >= mem && p < mem + NET_MEM &&
	    e->iov_len <= (size_t)(mem + NET_MEM - p);
}

static inline void
net_attach(struct nicport *p, const struct nic_ops *ops, void *nic)
{
	struct net_machine *m = (struct net_machine *)p;

	m->ops = ops;
	m->nic = nic;
	m->queues = 1;
	if (ops != NULL)
		ops->link(nic, true);
}

/* What a frame that is sent promises, whatever the guest wrote. */
static inline void
net_check_header(const uint8_t *h, size_t len, unsigned can)
{
	uint16_t hdr_len, gso_size, start, offset;
	uint8_t gso = h[1] & 0x7f;

	memcpy(&hdr_len, h + 2, 2);
	memcpy(&gso_size, h + 4, 2);
	memcpy(&start, h + 6, 2);
	memcpy(&offset, h + 8, 2);
	FUZZ_CHECK(h[0] <= 1 && h[10] == 0 && h[11] == 0);
	FUZZ_CHECK(h[0] == 0 ? start == 0 && offset == 0 :
	    (can & NICPORT_CSUM) != 0 && (size_t)start + offset + 2 <= len);
	FUZZ_CHECK(h[1] == 0 || gso == 1 || gso == 4 || h[1] == 5);
	FUZZ_CHECK(h[1] == 0 ? gso_size == 0 && hdr_len == 0 :
	    h[0] == 1 && gso_size != 0 && hdr_len <= len);
	FUZZ_CHECK(gso != 1 || (can & NICPORT_TSO4) != 0);
	FUZZ_CHECK(gso != 4 || (can & NICPORT_TSO6) != 0);
	FUZZ_CHECK(gso != 5 || (can & NICPORT_USO) != 0);
	FUZZ_CHECK((h[1] & 0x80) == 0 || (can & NICPORT_ECN) != 0);
}

/* The first element is the device's: headers, or a frame that is copied. */
static inline int
net_send(struct nicport *p, unsigned queue, const struct iovec *iov,
    unsigned niov)
{
	struct net_machine *m = (struct net_machine *)p;
	struct net_rig *r = m->rig;
	size_t len = iov[0].iov_len - NICPORT_HEADER;
	unsigned i;

	FUZZ_CHECK(queue < m->queues && niov >= 1 && niov <= 1024);
	FUZZ_CHECK(niov == 1 || len == 14);
	FUZZ_CHECK(!net_in_memory(r, &iov[0]));
	for (i = 1; i < niov; i++) {
		FUZZ_CHECK(iov[i].iov_len != 0 && net_in_memory(r, &iov[i]));
		len += iov[i].iov_len;
	}
	FUZZ_CHECK(len >= 14 && len <= NICPORT_FRAME_MAX - NICPORT_HEADER);
	net_check_header(iov[0].iov_base, len, p->offloads);
	if (r->room == 0)
		return -EAGAIN;
	r->room--;
	return r->send_error;
}

/* All but the last element, which is the device's, are the guest's. */
static inline ssize_t
net_recv(struct nicport *p, unsigned queue, const struct iovec *iov,
    unsigned niov)
{
	struct net_machine *m = (struct net_machine *)p;
	struct net_rig *r = m->rig;
	size_t len, done = 0, part;
	unsigned i;

	FUZZ_CHECK(queue < m->queues && niov >= 1 && niov <= 1024);
	if (r->nwaiting == 0)
		return -EAGAIN;
	len = r->waiting[--r->nwaiting];
	for (i = 0; i < niov; i++) {
		FUZZ_CHECK(iov[i].iov_len != 0);
		FUZZ_CHECK(i + 1 == niov || net_in_memory(r, &iov[i]));
		part = len - done < iov[i].iov_len ? len - done :
		    iov[i].iov_len;
		memset(iov[i].iov_base, 0, part);
		if (i == 0)
			memcpy(iov[i].iov_base, r->head,
			    part < sizeof(r->head) ? part : sizeof(r->head));
		done += part;
	}
	return (ssize_t)done;
}

static inline void
net_want(struct nicport *p, unsigned queue, unsigned what)
{
	struct net_machine *m = (struct net_machine *)p;

	FUZZ_CHECK(queue < m->queues && what <= 3);
	m->wanted[queue] = what;
}

static inline int
net_queues(struct nicport *p, unsigned n)
{
	struct net_machine *m = (struct net_machine *)p;
	unsigned i;

	FUZZ_CHECK(n >= 1 && n <= NET_PAIRS);
	for (i = n; i < NET_PAIRS; i++)
		FUZZ_CHECK(m->wanted[i] == 0);
	if (m->rig->error == 0)
		m->queues = n;
	return m->rig->error;
}

static inline int
net_offload(struct nicport *p, unsigned flags)
{
	struct net_machine *m = (struct net_machine *)p;

	FUZZ_CHECK((flags & ~p->offloads) == 0);
	FUZZ_CHECK(flags == 0 || (flags & NICPORT_CSUM) != 0);
	return m->rig->error;
}

static const struct nicport_ops net_port_ops = {
	.attach = net_attach,
	.send = net_send,
	.recv = net_recv,
	.want = net_want,
	.queues = net_queues,
	.offload = net_offload,
};

static inline uint64_t
net_now(void *cookie)
{
	(void)cookie;
	return 0;
}

static inline void
net_attention(void *cookie)
{
	(void)cookie;
}

static inline void
net_answered(struct dev_call *c)
{
	*(bool *)c->cookie = true;
}

/* Nothing is ever in flight, so everything is answered at once. */
static inline void
net_call(void *cookie, struct dev_call *c)
{
	bool answered = false;

	(void)cookie;
	c->done = net_answered;
	c->cookie = &answered;
	c->task.fn(c->task.arg);
	FUZZ_CHECK(answered);
}

/* A turn of the loop, and the port's calls as long as they are wanted. */
static inline void
net_turn(struct net_rig *r)
{
	struct net_machine *m = r->m;
	unsigned i;

	ev_run(loop_ev(r->loop), EVRUN_NOWAIT);
	for (i = 0; i < NET_PAIRS; i++) {
		if ((m->wanted[i] & NICPORT_RECV) != 0 && r->nwaiting != 0)
			m->ops->readable(m->nic, i);
		if ((m->wanted[i] & NICPORT_SEND) != 0 && r->room != 0)
			m->ops->writable(m->nic, i);
	}
	ev_run(loop_ev(r->loop), EVRUN_NOWAIT);
}

static inline void
net_stopped(void *arg)
{
	*(bool *)arg = true;
}

static inline void
net_stop(struct net_machine *m)
{
	bool stopped = false;
	unsigned i;

	virtio_stop(m->v, net_stopped, &stopped);
	FUZZ_CHECK(stopped);
	for (i = 0; i < NET_PAIRS; i++)
		FUZZ_CHECK(m->wanted[i] == 0);
}

static inline void
net_save(struct net_machine *m, struct buf *out)
{
	struct state_writer w = { out };

	buf_init(out, 1 << 16);
	FUZZ_CHECK(virtio_save(m->v, &w) == 0);
}

/* What a reset leaves is what was made, but for the link. */
static inline void
net_reset(struct net_rig *r, struct net_machine *m)
{
	struct buf now;

	m->ops->link(m->nic, true);
	virtio_set_status(m->v, 0, 0);
	net_save(m, &now);
	FUZZ_CHECK(now.len == r->pristine.len);
	FUZZ_CHECK(memcmp(buf_head(&now), buf_head(&r->pristine),
	    now.len) == 0);
	buf_free(&now);
}

/* Reset, features, all queues of 2^n entries, DRIVER_OK. */
static inline void
net_start(struct net_rig *r, uint64_t features, unsigned order)
{
	unsigned q;

	memset(r->gm.range[0].hva, 0, NET_RINGS * (2 * NET_PAIRS + 1));
	memset(r->idx, 0, sizeof(r->idx));
	features = (features & virtio_offered(r->m->v)) | VIRTIO_F_VERSION_1;
	virtio_set_status(r->m->v, 0, 0);
	virtio_set_status(r->m->v, 0x0b, features);
	for (q = 0; q < r->nqueues; q++) {
		struct vq_config cfg = {
			.size = (uint16_t)(1u << order),
			.desc = q * NET_RINGS,
			.avail = q * NET_RINGS + NET_AVAIL,
			.used = q * NET_RINGS + NET_USED,
		};

		virtio_enable_queue(r->m->v, q, &cfg);
	}
	virtio_set_status(r->m->v, 0x0f, features);
}

/* Puts a descriptor into a queue's table or, with q past the end, in data. */
static inline void
net_put_desc(struct net_rig *r, unsigned q, unsigned i, uint64_t addr,
    uint32_t len, uint16_t flags, uint16_t next)
{
	struct {
		uint64_t	addr;
		uint32_t	len;
		uint16_t	flags, next;
	} d = { addr, len, flags, next };
	uint64_t table = q < r->nqueues ? q * NET_RINGS : NET_DATA + 0x8000;

	(void)gmem_write(&r->gm, table + 16 * (i % 256), &d, sizeof(d));
}

static inline void
net_offer(struct net_rig *r, unsigned q, unsigned order, uint16_t head)
{
	uint64_t avail = q * NET_RINGS + NET_AVAIL;
	unsigned size = 1u << order;

	(void)gmem_write(&r->gm, avail + 4 + 2 * (r->idx[q] % size), &head,
	    sizeof(head));
	r->idx[q]++;
	(void)gmem_write(&r->gm, avail + 2, &r->idx[q], sizeof(r->idx[q]));
}

static inline void
net_make(struct net_rig *r, unsigned offloads, unsigned pairs)
{
	struct virtio_net_params params = {
		.mac = { 2, 0, 0, 0, 0, 1 }, .mtu = 1500, .pairs = pairs,
	};
	struct net_machine *m;

	r->loop = loop_create();
	r->host = (struct dev_host){
		.cookie = r,
		.loop = r->loop,
		.now = net_now,
		.attention = net_attention,
		.call = net_call,
	};
	r->gm.nranges = 1;
	r->gm.range[0].size = NET_MEM;
	r->gm.range[0].hva = aligned_alloc(4096, NET_MEM);
	r->nqueues = 2 * pairs + 1;
	for (m = r->machine; m < r->machine + 2; m++) {
		m->rig = r;
		m->port = (struct nicport){ &net_port_ops, offloads };
		m->net = virtio_net_create(&m->port, &params);
		m->v = virtio_create(&r->host, &r->gm,
		    virtio_net_ops(m->net), m->net, "nic");
		FUZZ_CHECK(m->v != NULL);
		virtio_net_attach(m->net);
	}
	r->m = &r->machine[0];
	r->spare = &r->machine[1];
	virtio_set_status(r->m->v, 0, 0);
	net_save(r->m, &r->pristine);
}

/* Begins an input on what the last one has left: a device that is reset. */
static inline void
net_begin(struct net_rig *r, const uint8_t *data, size_t size)
{
	log_set_level(LOG_LEVEL_ERROR);
	r->in = (struct fuzz_input){ data, size };
	memset(r->gm.range[0].hva, 0, NET_MEM);
	memset(r->idx, 0, sizeof(r->idx));
	memset(r->head, 0, sizeof(r->head));
	r->room = 1000;
	r->send_error = r->error = 0;
	r->nwaiting = 0;
}

static inline void
net_end(struct net_rig *r)
{
	r->error = 0;
	net_reset(r, r->m);
	net_turn(r);
}

#endif /* VMMD_FUZZ_NICRIG_H */
