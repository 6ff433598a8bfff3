/* SPDX-License-Identifier: ISC */
/*
 * A virtio block device, what its files share.
 *
 *	virtio_blk.c		requests, from the guest's queues to the disk
 *	virtio_blk_wait.c	those that are not at the disk yet, or not any more
 */
#ifndef VMMD_VIRTIO_BLK_LOCAL_H
#define VMMD_VIRTIO_BLK_LOCAL_H

#include <ev.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/bucket.h"
#include "devices/disk.h"
#include "devices/virtio_blk.h"

#define BLK_QUEUE_MAX		256

/* struct virtio_blk_config (5.2.4), as far as the offered features fill it */
struct blk_config {
	uint64_t	capacity;	/* sectors */
	uint32_t	size_max;
	uint32_t	seg_max;
	uint32_t	geometry;
	uint32_t	blk_size;
	uint8_t		physical_block_exp;	/* 2^n logical blocks */
	uint8_t		alignment_offset;
	uint16_t	min_io_size;
	uint32_t	opt_io_size;
	uint8_t		writeback;	/* as it is at first */
	uint8_t		unused0;
	uint16_t	num_queues;
	uint32_t	max_discard_sectors;
	uint32_t	max_discard_seg;
	uint32_t	discard_sector_alignment;
	uint32_t	max_write_zeroes_sectors;
	uint32_t	max_write_zeroes_seg;
	uint8_t		write_zeroes_may_unmap;
	uint8_t		unused1[3];
	uint32_t	pad;			/* not the guest's */
};
#define BLK_CONFIG_LEN	60
_Static_assert(offsetof(struct blk_config, pad) == BLK_CONFIG_LEN,
    "blk_config");
_Static_assert(sizeof(struct blk_config) == 64, "no hidden padding");
_Static_assert(BLK_QUEUE_MAX <= VQ_SIZE_MAX, "queue too large");

/* What a request begins with. */
struct blk_header {
	uint32_t	type;
	uint32_t	reserved;
	uint64_t	sector;
};
_Static_assert(sizeof(struct blk_header) == 16, "blk_header");

/* One request, free or in flight. */
struct blk_req {
	struct virtio_blk	*b;
	struct blk_req		*next;		/* free, or waits */
	unsigned		 queue;
	struct vq_chain		 chain;
	struct blk_header	 head;		/* copied */
	uint8_t			*status;	/* in guest memory */
	size_t			 bytes;		/* of data it moves */
	bool			 stable;	/* once it is complete */
	bool			 paid;		/* to the limits */
	struct disk_req		 disk;

	/* What it was, for another try; its disk's uses up the array. */
	bool			 again;		/* there may be one */
	enum disk_op		 op;
	struct iovec		*from;
	unsigned		 niov;
	struct iovec		 iov[VQ_CHAIN_MAX];
};

/* i: immutable; the rest: loop */
struct virtio_blk {
	struct virtio_dev_ops	 ops;		/* i: those below, its queues */
	struct virtio_blk_conf	 c;		/* i */
	struct blk_config	 config;	/* i */
	bool			 readonly;	/* i */
	_Atomic uint8_t		 writeback;	/* set by vCPU threads, too */
	char			 serial[VIRTIO_BLK_SERIAL_MAX];	/* i */
	struct virtio		*v;		/* set by start */
	struct blk_req		*free;
	unsigned		 nused;		/* of req[], ever */
	unsigned		 in_flight;	/* requests */
	size_t			 bytes;		/* of data in flight */
	uint64_t		 starved;	/* queues that met a limit */
	unsigned		 first;		/* the queue that goes on first */
	unsigned		 turn;		/* of the loop's, the last */
	unsigned		 descs;		/* taken in it */
	unsigned		 owed[VIRTIO_BLK_QUEUES_MAX];
	bool			 stopping;
	struct virtio_blk_policy policy;
	bool			 limited;
	struct bucket		 bucket;
	ev_timer		 timer;		/* until it has enough */
	struct blk_req		*waiting;	/* are to go to the disk */
	struct blk_req		**last_waiting;
	bool			 halted;	/* none goes, by an error */
	uint64_t		 log_after;	/* ns: no error line before */
	struct blk_req		 req[BLK_QUEUE_MAX];
};

/* Hands a request to the disk, for the first time or again. */
void blk_issue(struct virtio_blk *b, struct blk_req *r);

/* Lets the queues that met a limit go on. */
void blk_feed(struct virtio_blk *b);

/* virtio_blk_wait.c; must those that come next wait? */
static inline bool
blk_waits(const struct virtio_blk *b)
{
	return b->halted || b->waiting != NULL;
}

void blk_wait_init(struct virtio_blk *b);

/* A request is complete but for its way to the disk. */
void blk_submit(struct virtio_blk *b, struct blk_req *r);

/* Is one that failed kept, for another try? */
bool blk_keep(struct virtio_blk *b, struct blk_req *r, int error);

/* The device stops: what waits goes to the disk for the last time. */
void blk_wait_stop(struct virtio_blk *b);

#endif /* VMMD_VIRTIO_BLK_LOCAL_H */
