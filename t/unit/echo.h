/* SPDX-License-Identifier: ISC */
/*
 * A virtio device type that hands chains back or holds them, over PCI: the
 * fixture of virtio-pci's tests.
 */
#ifndef VMMD_ECHO_H
#define VMMD_ECHO_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "vguest.h"

#define ECHO_FEATURE	0x2ull
#define ECHO_QUEUES	3
#define CORE		(1ull << 32)
#define INDIRECT	VIRTIO_RING_F_INDIRECT_DESC
#define EVENT_IDX	VIRTIO_RING_F_EVENT_IDX

/* Hands back what is offered, or holds it until told. */
struct echo {
	struct virtio	*v;
	uint32_t	 config[2];
	bool		 hold;
	bool		 stopping;
	unsigned	 nheld;
	uint16_t	 held[16];
	unsigned	 notified;
	unsigned	 started;
	struct vq_chain	 c;
};

static inline uint64_t
echo_features(const void *dev)
{
	(void)dev;
	return ECHO_FEATURE;
}

static inline uint32_t
echo_config_read(const void *dev, uint32_t off, unsigned size)
{
	const struct echo *e = dev;
	uint32_t val = 0;

	memcpy(&val, (const uint8_t *)e->config + off, size);
	return val;
}

static inline void
echo_config_write(void *dev, uint32_t off, unsigned size, uint32_t val)
{
	struct echo *e = dev;

	memcpy((uint8_t *)e->config + off, &val, size);
}

static inline void
echo_start(void *dev, struct virtio *v)
{
	struct echo *e = dev;

	e->v = v;
	e->stopping = false;
	e->started++;
}

static inline void
echo_notify(void *dev, unsigned queue)
{
	struct echo *e = dev;

	e->notified++;
	while (virtio_pop(e->v, queue, &e->c)) {
		if (e->hold)
			e->held[e->nheld++] = e->c.head;
		else
			virtio_push(e->v, queue, e->c.head,
			    (uint32_t)e->c.write_len);
	}
}

static inline void
echo_release(struct echo *e)
{
	while (e->nheld > 0)
		virtio_push(e->v, 0, e->held[--e->nheld], 0);
	if (e->stopping)
		virtio_stopped(e->v);
}

static inline void
echo_stop(void *dev)
{
	struct echo *e = dev;

	e->stopping = true;
	if (e->nheld == 0)
		virtio_stopped(e->v);
}

static const struct virtio_dev_ops echo_ops = {
	.name = "echo",
	.id = 0x3f,
	.pci_class = 0xff0000,
	.nqueues = ECHO_QUEUES,
	.queue_max = 16,
	.config_len = 8,
	.features = echo_features,
	.config_read = echo_config_read,
	.config_write = echo_config_write,
	.start = echo_start,
	.notify = echo_notify,
	.stop = echo_stop,
};

struct fixture {
	struct vguest		 g;
	struct loop		*loop;
	struct echo		 e;
	struct virtio_pci	*vp;
	struct vring		 r;
};

static inline void
setup_guest(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->loop = loop_create();
	ck_assert_ptr_nonnull(f->loop);
	vguest_init(&f->g, f->loop);
}

static inline void
setup_device(struct fixture *f)
{
	f->vp = virtio_pci_create(&f->g.t.host, &f->g.gm, f->g.pci, &echo_ops,
	    &f->e, "vm t: echo");
	ck_assert_ptr_nonnull(f->vp);
}

static inline void
setup(struct fixture *f)
{
	setup_guest(f);
	setup_device(f);
}

static inline void
count(void *arg)
{
	++*(unsigned *)arg;
}

static inline void
teardown(struct fixture *f)
{
	unsigned stopped = 0;

	f->e.hold = false;
	if (f->e.nheld != 0)
		echo_release(&f->e);
	virtio_pci_stop(f->vp, count, &stopped);
	ck_assert_uint_eq(stopped, 1);
	virtio_pci_destroy(f->vp);
	vguest_fini(&f->g);
	loop_destroy(f->loop);
}

/* Offers descriptor `i`, `len` writable bytes. */
static inline void
offer(struct fixture *f, uint16_t i, uint32_t len)
{
	vring_desc(&f->r, i, VGUEST_DATA, len, VRING_WRITE, 0);
	vring_offer(&f->r, i);
}

#endif /* VMMD_ECHO_H */
