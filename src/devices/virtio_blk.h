/* SPDX-License-Identifier: ISC */
/*
 * virtio block device (virtio 1.2, section 5.2) on a disk image.
 */
#ifndef VMMD_VIRTIO_BLK_H
#define VMMD_VIRTIO_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/disk.h"
#include "devices/virtio.h"

#define VIRTIO_BLK_SERIAL_MAX	20
#define VIRTIO_BLK_QUEUES_MAX	64

struct virtio_blk;

/* A request that the host could not do. */
struct virtio_blk_error {
	enum disk_op	 op;
	uint64_t	 sector;
	int		 error;		/* -errno */
};

/* What a device is made of; copied, and what it points to outlives it. */
struct virtio_blk_conf {
	struct disk	*disk;		/* attached before the guest runs */
	const char	*serial;	/* cut to its maximum */
	const char	*name;		/* begins log lines: "vm web1: disk 0" */
	unsigned	 nqueues;	/* share what may be in flight */
	struct loop	*loop;		/* for limits */

	/*
	 * Loop: a request failed, and the policy is to pause.  True: the guest
	 * is about to be, and hears nothing of the error; the request is kept,
	 * and no other begins, until virtio_blk_retry().  NULL is never.
	 */
	bool		(*failed)(void *cookie,
			    const struct virtio_blk_error *e);
	void		*cookie;
};

/* What follows when the host cannot do a request. */
enum virtio_blk_on_error {
	BLK_ERROR_REPORT,	/* the guest gets an error */
	BLK_ERROR_PAUSE,	/* the guest is paused; see failed() */
};

/* What becomes of a write of nothing but zeroes. */
enum virtio_blk_zeroes {
	BLK_ZEROES_OFF,		/* it is not looked for */
	BLK_ZEROES_ON,		/* the host makes them, if it has a way */
	BLK_ZEROES_UNMAP,	/* and takes their room back */
};

/* What may change at any time; all zero at first. */
struct virtio_blk_policy {
	enum virtio_blk_on_error on_error;
	enum virtio_blk_zeroes zeroes;
	uint64_t	 bytes;		/* a second, at most; 0: no limit */
	uint64_t	 requests;	/* the same */
	uint64_t	 burst;		/* ns of both, saved up at most; 0: 1e8 */
};

/* A block device, read-only if its disk is; NULL with errno set. */
struct virtio_blk *virtio_blk_create(const struct virtio_blk_conf *c);

/* The device type, for a transport; lives as long as the device. */
const struct virtio_dev_ops *virtio_blk_ops(const struct virtio_blk *b);

/* Loop, or before the guest runs: from the next request on. */
void virtio_blk_set_policy(struct virtio_blk *b,
    const struct virtio_blk_policy *policy);

/* Loop: tries what was kept once more, and goes on. */
void virtio_blk_retry(struct virtio_blk *b);

/* Says what a request is, for a log. */
const char *virtio_blk_verb(enum disk_op op);

/* Any thread; after its transport is gone. */
void virtio_blk_destroy(struct virtio_blk *b);

#endif /* VMMD_VIRTIO_BLK_H */
