/* SPDX-License-Identifier: ISC */
/*
 * The driver's side of a split virtqueue, for tests: it puts descriptors
 * where it is told, also where no driver should.
 */
#ifndef VMMD_VRING_H
#define VMMD_VRING_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "devices/virtqueue.h"

#define VRING_NEXT	1
#define VRING_WRITE	2
#define VRING_INDIRECT	4

struct vring_desc {
	uint64_t	addr;
	uint32_t	len;
	uint16_t	flags;
	uint16_t	next;
};

struct vring {
	uint8_t			*mem;		/* guest address 0 */
	struct vq_config	 cfg;
	uint16_t		 idx;		/* chains offered */
	uint16_t		 seen;		/* chains got back */
};

/* Bytes from the descriptor table's start to the end of the used ring. */
#define VRING_BYTES(n)	(16u * (n) + 8u * (n) + 4096u + 8u * (n) + 8u)

/* Lays an empty queue out at guest address `base`, a multiple of 16. */
static inline void
vring_init(struct vring *r, uint8_t *mem, uint64_t base, uint16_t size)
{
	*r = (struct vring){ .mem = mem };
	r->cfg.size = size;
	r->cfg.desc = base;
	r->cfg.avail = base + 16u * size;
	r->cfg.used = (r->cfg.avail + 6u + 2u * size + 3u) & ~3ull;
	memset(mem + base, 0, VRING_BYTES(size) - 4096u);
}

static inline uint16_t *
vring_avail(const struct vring *r)
{
	return (uint16_t *)(r->mem + r->cfg.avail);
}

static inline uint16_t *
vring_used(const struct vring *r)
{
	return (uint16_t *)(r->mem + r->cfg.used);
}

/* Where the driver says after which chain it wants an interrupt. */
static inline uint16_t *
vring_used_event(const struct vring *r)
{
	return vring_avail(r) + 2 + r->cfg.size;
}

/* Where the device says after which chain it wants a notification. */
static inline uint16_t *
vring_avail_event(const struct vring *r)
{
	return vring_used(r) + 2 + 4 * r->cfg.size;
}

/* Writes a descriptor into the table at guest address `table`. */
static inline void
vring_put(const struct vring *r, uint64_t table, unsigned i, uint64_t addr,
    uint32_t len, uint16_t flags, uint16_t next)
{
	struct vring_desc d = { addr, len, flags, next };

	memcpy(r->mem + table + i * sizeof(d), &d, sizeof(d));
}

static inline void
vring_desc(const struct vring *r, unsigned i, uint64_t addr, uint32_t len,
    uint16_t flags, uint16_t next)
{
	vring_put(r, r->cfg.desc, i, addr, len, flags, next);
}

/* Offers a chain; true if the device asked to be told, by event index. */
static inline bool
vring_offer(struct vring *r, uint16_t head)
{
	uint16_t *avail = vring_avail(r);
	uint16_t event;

	__atomic_store_n(&avail[2 + r->idx % r->cfg.size], head,
	    __ATOMIC_RELAXED);
	r->idx++;
	__atomic_store_n(&avail[1], r->idx, __ATOMIC_SEQ_CST);
	event = __atomic_load_n(vring_avail_event(r), __ATOMIC_SEQ_CST);
	return event == (uint16_t)(r->idx - 1);
}

/* Asks for an interrupt for the next chain that comes back. */
static inline void
vring_arm(struct vring *r)
{
	__atomic_store_n(vring_used_event(r), r->seen, __ATOMIC_SEQ_CST);
}

/* Takes a chain back; false if there is none. */
static inline bool
vring_take(struct vring *r, uint32_t *id, uint32_t *len)
{
	uint16_t *used = vring_used(r);
	uint32_t *e = (uint32_t *)(used + 2) + 2 * (r->seen % r->cfg.size);

	if (__atomic_load_n(&used[1], __ATOMIC_SEQ_CST) == r->seen)
		return false;
	*id = __atomic_load_n(&e[0], __ATOMIC_RELAXED);
	*len = __atomic_load_n(&e[1], __ATOMIC_RELAXED);
	r->seen++;
	return true;
}

#endif /* VMMD_VRING_H */
