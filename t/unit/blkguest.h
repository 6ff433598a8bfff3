/* SPDX-License-Identifier: ISC */
/*
 * A guest's block driver for tests: makes requests and looks at the answers.
 */
#ifndef VMMD_BLKGUEST_H
#define VMMD_BLKGUEST_H

#include "vguest.h"

#define BLK_IN		0
#define BLK_OUT		1
#define BLK_FLUSH	4
#define BLK_GET_ID	8
#define BLK_DISCARD	11
#define BLK_ZEROES	13

#define BLK_OK		0
#define BLK_IOERR	1
#define BLK_UNSUPP	2
#define BLK_PENDING	0xee	/* what the driver puts there before */

#define BLK_F_FLUSH	(1ull << 9)
#define BLK_F_WCE	(1ull << 11)
#define BLK_WRITEBACK	0xa0u		/* the register of it */
#define BLK_CORE	(1ull << 32 | BLK_F_FLUSH)

/* Headers and status bytes of request i; tables of 16 descriptors. */
#define BLK_HEADER(i)	(0x10000u + 16u * (i))
#define BLK_STATUS(i)	(0x12000u + (i))
#define BLK_TABLE(i)	(0x20000u + 256u * (i))

static inline void
blk_put_header(struct vguest *g, uint64_t addr, uint32_t type,
    uint64_t sector)
{
	uint8_t *p = (uint8_t *)g->gm.range[0].hva + addr;
	uint32_t zero = 0;

	memcpy(p, &type, 4);
	memcpy(p + 4, &zero, 4);
	memcpy(p + 8, &sector, 8);
}

static inline bool
blk_is_out(uint32_t type)
{
	return type == BLK_OUT || type == BLK_DISCARD || type == BLK_ZEROES;
}

static inline uint8_t
blk_status(struct vguest *g, unsigned i)
{
	return ((uint8_t *)g->gm.range[0].hva)[BLK_STATUS(i)];
}

/* Request i of three descriptors, without data of two, in the ring. */
static inline void
blk_offer(struct vguest *g, struct vring *r, unsigned i, uint32_t type,
    uint64_t sector, uint64_t data, uint32_t len)
{
	uint16_t d = (uint16_t)(3 * i);
	uint16_t flags = blk_is_out(type) ? VRING_NEXT :
	    VRING_NEXT | VRING_WRITE;

	((uint8_t *)g->gm.range[0].hva)[BLK_STATUS(i)] = BLK_PENDING;
	blk_put_header(g, BLK_HEADER(i), type, sector);
	vring_desc(r, d, BLK_HEADER(i), 16, VRING_NEXT,
	    (uint16_t)(len == 0 ? d + 2 : d + 1));
	vring_desc(r, d + 1u, data, len, flags, d + 2);
	vring_desc(r, d + 2u, BLK_STATUS(i), 1, VRING_WRITE, 0);
	vring_offer(r, d);
}

/* The same in an indirect table, one descriptor of the ring. */
static inline void
blk_offer_indirect(struct vguest *g, struct vring *r, unsigned i,
    uint32_t type, uint64_t sector, uint64_t data, uint32_t len)
{
	uint16_t flags = blk_is_out(type) ? VRING_NEXT :
	    VRING_NEXT | VRING_WRITE;

	((uint8_t *)g->gm.range[0].hva)[BLK_STATUS(i)] = BLK_PENDING;
	blk_put_header(g, BLK_HEADER(i), type, sector);
	vring_put(r, BLK_TABLE(i), 0, BLK_HEADER(i), 16, VRING_NEXT, 1);
	vring_put(r, BLK_TABLE(i), 1, data, len, flags, 2);
	vring_put(r, BLK_TABLE(i), 2, BLK_STATUS(i), 1, VRING_WRITE, 0);
	vring_desc(r, i, BLK_TABLE(i), 48, VRING_INDIRECT, 0);
	vring_offer(r, (uint16_t)i);
}

/* Notifies and waits for one answer; its length. */
static inline uint32_t
blk_wait(struct vguest *g, struct vring *r)
{
	uint32_t id, len;

	vguest_notify(g, 0);
	while (!vring_take(r, &id, &len))
		vguest_wait_irq(g);
	return len;
}

/* Request 0 from beginning to end; its status. */
static inline uint8_t
blk_do(struct vguest *g, struct vring *r, uint32_t type, uint64_t sector,
    uint64_t data, uint32_t len)
{
	blk_offer(g, r, 0, type, sector, data, len);
	blk_wait(g, r);
	return blk_status(g, 0);
}

#endif /* VMMD_BLKGUEST_H */
