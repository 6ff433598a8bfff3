/* SPDX-License-Identifier: ISC */
/*
 * virtio block device (virtio 1.2, section 5.2) on a disk image.
 */
#ifndef VMMD_VIRTIO_BLK_H
#define VMMD_VIRTIO_BLK_H

#include "devices/virtio.h"

#define VIRTIO_BLK_SERIAL_MAX	20
#define VIRTIO_BLK_QUEUES_MAX	64

struct disk;
struct virtio_blk;

/*
 * A block device on `disk`, which must outlive it and be attached to the
 * loop's engine before the guest runs; read-only if the disk is.  It has
 * `nqueues` queues, 1 to VIRTIO_BLK_QUEUES_MAX, which share what may be in
 * flight.  `serial` is cut to its maximum; `name` begins log lines ("vm web1:
 * disk 0").  NULL with errno set.
 */
struct virtio_blk *virtio_blk_create(struct disk *disk, const char *serial,
    const char *name, unsigned nqueues);

/* The device type, for a transport; lives as long as the device. */
const struct virtio_dev_ops *virtio_blk_ops(const struct virtio_blk *b);

/* Any thread; after its transport is gone. */
void virtio_blk_destroy(struct virtio_blk *b);

#endif /* VMMD_VIRTIO_BLK_H */
