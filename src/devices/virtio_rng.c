/* SPDX-License-Identifier: ISC */
/*
 * virtio entropy device: see virtio_rng.h.
 *
 * A request is answered when it is seen, so nothing is ever in flight and
 * there is no state.  Numbers are made by the loop thread, hence the bounds:
 * a driver that wants more asks again, in another turn.
 */
#include "devices/virtio_rng.h"

#include <stdlib.h>

#include "devices/entropy.h"

#define RNG_DEVICE_ID		4
#define RNG_PCI_CLASS		0x00ff00	/* none of the classes */
#define RNG_QUEUE_MAX		64

#define RNG_REQUEST_MAX		1024	/* bytes */
#define RNG_TURN_REQUESTS	32

struct virtio_rng {
	struct virtio	*v;		/* set by start */
};

struct virtio_rng *
virtio_rng_create(void)
{
	return calloc(1, sizeof(struct virtio_rng));
}

void
virtio_rng_destroy(struct virtio_rng *r)
{
	free(r);
}

static uint64_t
rng_features(const void *dev)
{
	(void)dev;
	return 0;
}

static void
rng_start(void *dev, struct virtio *v)
{
	struct virtio_rng *r = dev;

	r->v = v;
}

/* Fills what a driver may be given at once; false if there is nothing. */
static bool
rng_fill(const struct vq_chain *c, uint32_t *len)
{
	const struct iovec *e = &c->iov[c->nread];
	unsigned i;
	size_t n;

	*len = 0;
	for (i = 0; i < c->nwrite && *len < RNG_REQUEST_MAX; i++, e++) {
		n = RNG_REQUEST_MAX - *len;
		if (n > e->iov_len)
			n = e->iov_len;
		if (entropy_get(e->iov_base, n) != 0)
			break;
		*len += (uint32_t)n;
	}
	return *len != 0;
}

static void
rng_notify(void *dev, unsigned queue)
{
	struct virtio_rng *r = dev;
	struct vq_chain c;
	unsigned i;
	uint32_t len;

	for (i = 0; i < RNG_TURN_REQUESTS; i++) {
		if (!virtio_pop(r->v, queue, &c))
			return;
		if (c.nread != 0 || c.nwrite == 0) {
			virtio_fail(r->v, "a buffer is not to be written");
			return;
		}
		if (!rng_fill(&c, &len)) {
			virtio_fail(r->v, "the host has no random numbers");
			return;
		}
		virtio_push(r->v, queue, c.head, len);
	}
	virtio_notify(r->v, queue);
}

static void
rng_stop(void *dev)
{
	struct virtio_rng *r = dev;

	virtio_stopped(r->v);
}

const struct virtio_dev_ops virtio_rng_ops = {
	.name = "virtio-rng",
	.id = RNG_DEVICE_ID,
	.pci_class = RNG_PCI_CLASS,
	.nqueues = 1,
	.queue_max = RNG_QUEUE_MAX,
	.features = rng_features,
	.start = rng_start,
	.notify = rng_notify,
	.stop = rng_stop,
};
