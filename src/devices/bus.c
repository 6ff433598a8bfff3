/* SPDX-License-Identifier: ISC */
/*
 * The port I/O space: an array of ranges, ascending and disjoint, searched by
 * halving.
 *
 * A handler may add and remove ranges, its own included (a guest that moves a
 * BAR does), so a range is copied before its handler is called and looked up
 * afresh for each byte of a split access.
 */
#include "devices/bus.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BUS_PORTS	0x10000

struct bus_range {
	uint32_t		 base;
	uint32_t		 end;		/* one past the last port */
	const struct pio_ops	*ops;
	void			*cookie;
};

/* All of it under the VM's mutex. */
struct bus {
	struct bus_range	*range;
	unsigned		 nranges;
	unsigned		 nalloc;
	unsigned		 last;		/* found last, or any number */
};

struct bus *
bus_create(void)
{
	return calloc(1, sizeof(struct bus));
}

void
bus_destroy(struct bus *b)
{
	if (b == NULL)
		return;
	free(b->range);
	free(b);
}

/* The index of the first range that ends above `port`, maybe nranges. */
static unsigned
bus_find(const struct bus *b, uint32_t port)
{
	unsigned lo = 0, hi = b->nranges, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (b->range[mid].end <= port)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int
bus_grow(struct bus *b)
{
	unsigned n = b->nalloc != 0 ? b->nalloc * 2 : 16;
	struct bus_range *r;

	if (b->nranges < b->nalloc)
		return 0;
	r = reallocarray(b->range, n, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	b->range = r;
	b->nalloc = n;
	return 0;
}

int
bus_add_pio(struct bus *b, uint32_t base, uint32_t len,
    const struct pio_ops *ops, void *cookie)
{
	unsigned i;
	int error;

	if (len == 0 || base >= BUS_PORTS || len > BUS_PORTS - base)
		return -EINVAL;
	i = bus_find(b, base);
	if (i < b->nranges && b->range[i].base < base + len)
		return -EEXIST;
	error = bus_grow(b);
	if (error != 0)
		return error;
	memmove(&b->range[i + 1], &b->range[i],
	    (b->nranges - i) * sizeof(b->range[0]));
	b->range[i] = (struct bus_range){ base, base + len, ops, cookie };
	b->nranges++;
	return 0;
}

void
bus_del_pio(struct bus *b, uint32_t base)
{
	unsigned i = bus_find(b, base);

	if (i == b->nranges || b->range[i].base != base)
		return;
	b->nranges--;
	memmove(&b->range[i], &b->range[i + 1],
	    (b->nranges - i) * sizeof(b->range[0]));
}

static bool
bus_holds(const struct bus *b, unsigned i, uint32_t port)
{
	return i < b->nranges && b->range[i].base <= port &&
	    port < b->range[i].end;
}

/*
 * Copies out the range of a port; false if nobody claims it.  Who uses a
 * device uses it again, so the last range is tried first.
 */
static bool
bus_lookup(struct bus *b, uint32_t port, struct bus_range *r)
{
	if (!bus_holds(b, b->last, port)) {
		b->last = bus_find(b, port);
		if (!bus_holds(b, b->last, port))
			return false;
	}
	*r = b->range[b->last];
	return true;
}

/* Does one call of the range's handler do for the whole access? */
static bool
bus_fits(const struct bus_range *r, uint32_t port, unsigned size)
{
	return size == 1 || (!r->ops->bytewise && size <= r->end - port);
}

static uint32_t
bus_mask(unsigned size)
{
	return UINT32_MAX >> (32 - 8 * size);
}

uint32_t
bus_in(struct bus *b, uint16_t port, unsigned size)
{
	struct bus_range r;
	uint32_t val = 0;
	unsigned i;

	if (bus_lookup(b, port, &r) && bus_fits(&r, port, size))
		return r.ops->in(r.cookie, port - r.base, size) &
		    bus_mask(size);
	for (i = 0; i < size; i++) {
		uint32_t p = (uint32_t)port + i;
		uint32_t byte = 0xff;

		if (bus_lookup(b, p, &r))
			byte = r.ops->in(r.cookie, p - r.base, 1) & 0xff;
		val |= byte << (8 * i);
	}
	return val;
}

void
bus_out(struct bus *b, uint16_t port, unsigned size, uint32_t val)
{
	struct bus_range r;
	unsigned i;

	val &= bus_mask(size);
	if (bus_lookup(b, port, &r) && bus_fits(&r, port, size)) {
		r.ops->out(r.cookie, port - r.base, size, val);
		return;
	}
	for (i = 0; i < size; i++) {
		uint32_t p = (uint32_t)port + i;

		if (bus_lookup(b, p, &r))
			r.ops->out(r.cookie, p - r.base, 1,
			    (val >> (8 * i)) & 0xff);
	}
}
