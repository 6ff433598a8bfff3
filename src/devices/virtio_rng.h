/* SPDX-License-Identifier: ISC */
/*
 * virtio entropy device (virtio 1.2, section 5.4): the host's random numbers.
 */
#ifndef VMMD_VIRTIO_RNG_H
#define VMMD_VIRTIO_RNG_H

#include "devices/virtio.h"

struct virtio_rng;

/* The device type, for a transport; takes a struct virtio_rng. */
extern const struct virtio_dev_ops virtio_rng_ops;

/* NULL with errno set. */
struct virtio_rng *virtio_rng_create(void);

/* Any thread; after its transport is gone. */
void virtio_rng_destroy(struct virtio_rng *r);

#endif /* VMMD_VIRTIO_RNG_H */
