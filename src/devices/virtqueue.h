/* SPDX-License-Identifier: ISC */
/*
 * A split virtqueue (virtio 1.2, section 2.7), seen from the device.
 *
 * The rings lie in guest memory and the guest may scribble on them at any
 * time: every index and descriptor is copied once and the copy is checked.
 * A ring that breaks the rules stays broken, that is every further pop fails,
 * until it is started afresh.
 *
 * Loop thread only.
 */
#ifndef VMMD_VIRTQUEUE_H
#define VMMD_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "devices/gmem.h"

/*
 * Elements of one chain, readable and writable, indirect tables included.  A
 * driver makes none longer than this by filling the largest ring.
 */
#define VQ_CHAIN_MAX		256
#define VQ_SIZE_MAX		VQ_CHAIN_MAX

#define VIRTIO_RING_F_INDIRECT_DESC	(1ULL << 28)
#define VIRTIO_RING_F_EVENT_IDX		(1ULL << 29)

/* Where the driver put a queue: its registers, copied. */
struct vq_config {
	uint16_t	 size;		/* entries, a power of two */
	uint64_t	 desc;		/* guest-physical addresses */
	uint64_t	 avail;
	uint64_t	 used;
};

/*
 * One buffer of the driver, in host addresses: iov[0 .. nread) is for the
 * device to read, the nwrite elements after them to write.  No element is
 * empty and neither sum exceeds 32 bits.
 */
struct vq_chain {
	uint16_t	 head;
	unsigned	 nread;
	unsigned	 nwrite;
	size_t		 read_len;
	size_t		 write_len;
	struct iovec	 iov[VQ_CHAIN_MAX];
};

struct vq_desc;
struct vq_avail;
struct vq_used;

struct virtqueue {
	const struct gmem	*gm;
	uint16_t		 size;		/* 0: not started */
	bool			 indirect;	/* negotiated */
	bool			 event_idx;	/* negotiated */
	bool			 broken;
	bool			 hushed;	/* NO_NOTIFY may be set */
	uint16_t		 next_avail;
	uint16_t		 seen_avail;	/* chains up to here wait */
	uint16_t		 next_used;	/* what publish will show */
	uint16_t		 shown_used;	/* what the driver has seen */
	const struct vq_desc	*desc;
	const struct vq_avail	*avail;
	struct vq_used		*used;
};

/*
 * Starts a queue at position 0 under the negotiated features: 0, -EINVAL
 * (size, alignment), -EFAULT (not RAM).
 */
int vq_start(struct virtqueue *vq, const struct gmem *gm,
    const struct vq_config *cfg, uint64_t features);

/* Forgets the rings; pops nothing from then on. */
void vq_stop(struct virtqueue *vq);

/*
 * Takes the next chain: 1; 0 if there is none, after which the driver will
 * notify when it adds one; -EPROTO or -EFAULT if the ring is broken.
 */
int vq_pop(struct virtqueue *vq, struct vq_chain *c);

/*
 * Returns a chain of which `len` bytes were written; the driver sees it at
 * the next publish.
 */
void vq_push(struct virtqueue *vq, uint16_t head, uint32_t len);

/*
 * Puts back the last `n` chains, none of which was pushed: the next pop takes
 * them again, and looks at them afresh.
 */
void vq_unpop(struct virtqueue *vq, unsigned n);

/* Shows the driver what was pushed; true if it wants an interrupt for it. */
bool vq_publish(struct virtqueue *vq);

/*
 * Continues a freshly started queue where another stood, with nothing in
 * flight: how many chains that one had taken and returned, modulo 2^16.
 */
void vq_seek(struct virtqueue *vq, uint16_t position);
uint16_t vq_position(const struct virtqueue *vq);

#endif /* VMMD_VIRTQUEUE_H */
