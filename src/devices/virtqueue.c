/* SPDX-License-Identifier: ISC */
/*
 * Split virtqueues, seen from the device: see virtqueue.h.
 *
 * Ordering: the driver's index is loaded with acquire before what it covers,
 * ours is stored after what it covers.  Where we publish something and then
 * look whether the driver has meanwhile published its part (used index then
 * event index, event index then available index) both accesses are
 * sequentially consistent, which is a full fence between them.
 */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "devices/virtqueue.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
    "the rings are little-endian");

#define VQ_DESC_F_NEXT		0x1
#define VQ_DESC_F_WRITE		0x2
#define VQ_DESC_F_INDIRECT	0x4

#define VQ_AVAIL_F_NO_INTERRUPT	0x1
#define VQ_USED_F_NO_NOTIFY	0x1

/* virtio 1.2, 2.7.5 */
struct vq_desc {
	uint64_t	addr;
	uint32_t	len;
	uint16_t	flags;
	uint16_t	next;
};
_Static_assert(sizeof(struct vq_desc) == 16, "vq_desc");

/* 2.7.6; the driver's event index follows ring[size]. */
struct vq_avail {
	uint16_t	flags;
	uint16_t	idx;
	uint16_t	ring[];
};
_Static_assert(sizeof(struct vq_avail) == 4, "vq_avail");

struct vq_used_elem {
	uint32_t	id;
	uint32_t	len;
};

/* 2.7.8; the device's event index follows ring[size]. */
struct vq_used {
	uint16_t		flags;
	uint16_t		idx;
	struct vq_used_elem	ring[];
};
_Static_assert(sizeof(struct vq_used) == 4, "vq_used");

/*
 * Where a walk along a chain is: in the ring's table or an indirect one, among
 * the elements to read or among those to write, of which it has so many bytes.
 */
struct vq_walk {
	const struct vq_desc	*table;
	uint32_t		 entries;
	bool			 indirect;
	uint16_t		 way;		/* 0 or VQ_DESC_F_WRITE */
	unsigned		 n;		/* elements */
	size_t			 len;
};

int
vq_start(struct virtqueue *vq, const struct gmem *gm,
    const struct vq_config *cfg, uint64_t features)
{
	uint32_t n = cfg->size;

	memset(vq, 0, sizeof(*vq));
	if (n == 0 || n > VQ_SIZE_MAX || (n & (n - 1)) != 0)
		return -EINVAL;
	if (cfg->desc % 16 != 0 || cfg->avail % 2 != 0 || cfg->used % 4 != 0)
		return -EINVAL;
	/* Both rings with their event index. */
	vq->desc = gmem_ptr(gm, cfg->desc, n * sizeof(struct vq_desc));
	vq->avail = gmem_ptr(gm, cfg->avail, sizeof(struct vq_avail) +
	    n * sizeof(uint16_t) + sizeof(uint16_t));
	vq->used = gmem_ptr(gm, cfg->used, sizeof(struct vq_used) +
	    n * sizeof(struct vq_used_elem) + sizeof(uint16_t));
	if (vq->desc == NULL || vq->avail == NULL || vq->used == NULL)
		return -EFAULT;
	vq->gm = gm;
	vq->indirect = (features & VIRTIO_RING_F_INDIRECT_DESC) != 0;
	vq->event_idx = (features & VIRTIO_RING_F_EVENT_IDX) != 0;
	vq->hushed = true;
	vq->size = cfg->size;
	return 0;
}

void
vq_stop(struct virtqueue *vq)
{
	memset(vq, 0, sizeof(*vq));
}

void
vq_seek(struct virtqueue *vq, uint16_t position)
{
	vq->next_avail = vq->seen_avail = position;
	vq->next_used = vq->shown_used = position;
}

uint16_t
vq_position(const struct virtqueue *vq)
{
	return vq->next_used;
}

static uint16_t *
vq_avail_event(const struct virtqueue *vq)
{
	return (uint16_t *)&vq->used->ring[vq->size];
}

/*
 * How many chains wait, or -EPROTO: the driver cannot have more outstanding,
 * offered or not yet seen back, than the ring has entries.  Its index is read
 * again when all that it showed is taken.
 */
static int
vq_waiting(struct virtqueue *vq)
{
	uint16_t idx, waiting, out;

	if (vq->seen_avail != vq->next_avail)
		return (uint16_t)(vq->seen_avail - vq->next_avail);
	idx = __atomic_load_n(&vq->avail->idx, __ATOMIC_SEQ_CST);
	waiting = (uint16_t)(idx - vq->next_avail);
	out = (uint16_t)(vq->next_avail - vq->shown_used);
	if (waiting > vq->size - out)
		return -EPROTO;
	vq->seen_avail = idx;
	return waiting;
}

/* Asks for a notification of the next chain, then looks again. */
static int
vq_arm(struct virtqueue *vq)
{
	if (vq->event_idx)
		__atomic_store_n(vq_avail_event(vq), vq->next_avail,
		    __ATOMIC_SEQ_CST);
	else if (vq->hushed)
		__atomic_store_n(&vq->used->flags, 0, __ATOMIC_SEQ_CST);
	vq->hushed = false;
	return vq_waiting(vq);
}

/* Notifications are of no use while we are at it. */
static void
vq_hush(struct virtqueue *vq)
{
	if (vq->event_idx || vq->hushed)
		return;
	__atomic_store_n(&vq->used->flags, VQ_USED_F_NO_NOTIFY,
	    __ATOMIC_RELAXED);
	vq->hushed = true;
}

/* Ends the part that the walk is in. */
static void
vq_end_part(const struct vq_walk *w, struct vq_chain *c)
{
	if (w->way == 0) {
		c->nread = w->n;
		c->read_len = w->len;
	} else {
		c->nwrite = w->n - c->nread;
		c->write_len = w->len;
	}
}

/*
 * Adds what a descriptor points at to the chain.  One that goes in circles
 * ends here, being too long.
 */
static int
vq_add(const struct virtqueue *vq, struct vq_walk *w, struct vq_chain *c,
    const struct vq_desc *d)
{
	void *p;

	if (w->n == VQ_CHAIN_MAX)
		return -EPROTO;
	if ((d->flags & VQ_DESC_F_WRITE) != w->way) {
		if (w->way != 0)
			return -EPROTO;
		vq_end_part(w, c);
		w->way = VQ_DESC_F_WRITE;
		w->len = 0;
	}
	w->len += d->len;
	if (w->len > UINT32_MAX)
		return -EPROTO;
	p = gmem_ptr(vq->gm, d->addr, d->len);
	if (p == NULL)
		return -EFAULT;
	c->iov[w->n++] = (struct iovec){ .iov_base = p, .iov_len = d->len };
	return 0;
}

/* Goes on in an indirect table, which ends the chain (2.7.5.3). */
static int
vq_enter(const struct virtqueue *vq, struct vq_walk *w,
    const struct vq_desc *d)
{
	if (!vq->indirect || w->indirect || (d->flags & VQ_DESC_F_NEXT) != 0)
		return -EPROTO;
	if (d->len == 0 || d->len % sizeof(struct vq_desc) != 0)
		return -EPROTO;
	w->table = gmem_ptr(vq->gm, d->addr, d->len);
	if (w->table == NULL)
		return -EFAULT;
	w->entries = d->len / sizeof(struct vq_desc);
	w->indirect = true;
	return 0;
}

/*
 * Copies one descriptor out of the guest's reach.  The fence keeps the
 * compiler from reading the guest's copy a second time.  An indirect table
 * may lie at any address, hence bytes.
 */
static int
vq_fetch(struct vq_walk *w, uint32_t i, struct vq_desc *d)
{
	if (i >= w->entries)
		return -EPROTO;
	memcpy(d, (const uint8_t *)w->table + i * sizeof(*d), sizeof(*d));
	atomic_signal_fence(memory_order_seq_cst);
	return 0;
}

/* A chain of one descriptor, as most are that frames are received into. */
static int
vq_single(const struct virtqueue *vq, struct vq_chain *c,
    const struct vq_desc *d)
{
	void *p = gmem_ptr(vq->gm, d->addr, d->len);

	if (p == NULL)
		return -EFAULT;
	c->iov[0] = (struct iovec){ .iov_base = p, .iov_len = d->len };
	c->nwrite = (d->flags & VQ_DESC_F_WRITE) != 0;
	c->nread = !c->nwrite;
	c->write_len = c->nwrite != 0 ? d->len : 0;
	c->read_len = d->len - c->write_len;
	return 0;
}

static int
vq_walk(const struct virtqueue *vq, struct vq_chain *c)
{
	struct vq_walk w = {
		.table = vq->desc,
		.entries = vq->size,
	};
	struct vq_desc d = { .next = c->head };
	int error;

	error = vq_fetch(&w, d.next, &d);
	if (error != 0)
		return error;
	if ((d.flags & (VQ_DESC_F_NEXT | VQ_DESC_F_INDIRECT)) == 0)
		return vq_single(vq, c, &d);
	c->nread = c->nwrite = 0;
	c->read_len = c->write_len = 0;
	for (;;) {
		if ((d.flags & VQ_DESC_F_INDIRECT) != 0) {
			error = vq_enter(vq, &w, &d);
			d.next = 0;
		} else {
			error = vq_add(vq, &w, c, &d);
		}
		if (error != 0)
			return error;
		if ((d.flags & (VQ_DESC_F_NEXT | VQ_DESC_F_INDIRECT)) == 0)
			break;
		error = vq_fetch(&w, d.next, &d);
		if (error != 0)
			return error;
	}
	vq_end_part(&w, c);
	return 0;
}

int
vq_pop(struct virtqueue *vq, struct vq_chain *c)
{
	int n;

	if (vq->broken)
		return -EPROTO;
	if (vq->size == 0)
		return 0;
	n = vq_waiting(vq);
	if (n == 0)
		n = vq_arm(vq);
	if (n == 0)
		return 0;
	if (n > 0) {
		vq_hush(vq);
		c->head = __atomic_load_n(
		    &vq->avail->ring[vq->next_avail & (vq->size - 1)],
		    __ATOMIC_RELAXED);
		n = vq_walk(vq, c);
	}
	if (n < 0) {
		vq->broken = true;
		return n;
	}
	vq->next_avail++;
	return 1;
}

void
vq_push(struct virtqueue *vq, uint16_t head, uint32_t len)
{
	struct vq_used_elem *e;

	assert(vq->next_used != vq->next_avail);
	e = &vq->used->ring[vq->next_used & (vq->size - 1)];
	__atomic_store_n(&e->id, head, __ATOMIC_RELAXED);
	__atomic_store_n(&e->len, len, __ATOMIC_RELAXED);
	vq->next_used++;
}

void
vq_unpop(struct virtqueue *vq, unsigned n)
{
	assert(n <= (uint16_t)(vq->next_avail - vq->next_used));
	vq->next_avail -= (uint16_t)n;
}

bool
vq_publish(struct virtqueue *vq)
{
	uint16_t old = vq->shown_used;
	uint16_t new = vq->next_used;
	uint16_t event;

	if (old == new)
		return false;
	__atomic_store_n(&vq->used->idx, new, __ATOMIC_SEQ_CST);
	vq->shown_used = new;
	if (!vq->event_idx)
		return (__atomic_load_n(&vq->avail->flags, __ATOMIC_SEQ_CST) &
		    VQ_AVAIL_F_NO_INTERRUPT) == 0;
	/* Has the index just passed the driver's event? (2.7.10) */
	event = __atomic_load_n(&vq->avail->ring[vq->size], __ATOMIC_SEQ_CST);
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}
