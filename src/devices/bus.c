/* SPDX-License-Identifier: ISC */
/*
 * Ports and memory: each an array of ranges, ascending and disjoint, searched
 * by halving.
 *
 * A handler may add and remove ranges, its own included (a guest that moves a
 * BAR does), so a range is copied before its handler is called and looked up
 * afresh for each part of a split access.
 */
#include "devices/bus.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BUS_PORTS	0x10000
#define BUS_GPA_END	(UINT64_C(1) << 52)	/* no address is higher */

struct bus_range {
	uint64_t			 base;
	uint64_t			 end;	/* one past the last */
	union {
		const struct pio_ops	*pio;
		const struct mmio_ops	*mmio;
	};
	void				*cookie;
};

struct bus_space {
	struct bus_range	*range;
	unsigned		 nranges;
	unsigned		 nalloc;
	unsigned		 last;		/* found last, or any number */
};

/* All of it under the VM's mutex. */
struct bus {
	struct bus_space	 pio;
	struct bus_space	 mmio;
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
	free(b->pio.range);
	free(b->mmio.range);
	free(b);
}

/* The index of the first range that ends above `at`, maybe nranges. */
static unsigned
space_find(const struct bus_space *s, uint64_t at)
{
	unsigned lo = 0, hi = s->nranges, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (s->range[mid].end <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int
space_grow(struct bus_space *s)
{
	unsigned n = s->nalloc != 0 ? s->nalloc * 2 : 16;
	struct bus_range *r;

	if (s->nranges < s->nalloc)
		return 0;
	r = reallocarray(s->range, n, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	s->range = r;
	s->nalloc = n;
	return 0;
}

/* Adds a range without its operations: its place in *rp. */
static int
space_add(struct bus_space *s, uint64_t base, uint64_t len, void *cookie,
    struct bus_range **rp)
{
	unsigned i = space_find(s, base);
	int error;

	if (i < s->nranges && s->range[i].base < base + len)
		return -EEXIST;
	error = space_grow(s);
	if (error != 0)
		return error;
	memmove(&s->range[i + 1], &s->range[i],
	    (s->nranges - i) * sizeof(s->range[0]));
	s->range[i] = (struct bus_range){
		.base = base,
		.end = base + len,
		.cookie = cookie,
	};
	s->nranges++;
	*rp = &s->range[i];
	return 0;
}

static void
space_del(struct bus_space *s, uint64_t base)
{
	unsigned i = space_find(s, base);

	if (i == s->nranges || s->range[i].base != base)
		return;
	s->nranges--;
	memmove(&s->range[i], &s->range[i + 1],
	    (s->nranges - i) * sizeof(s->range[0]));
}

static bool
space_holds(const struct bus_space *s, unsigned i, uint64_t at)
{
	return i < s->nranges && s->range[i].base <= at &&
	    at < s->range[i].end;
}

/*
 * Copies out the range of an address; false if nobody claims it.  Who uses a
 * device uses it again, so the last range is tried first.
 */
static bool
space_lookup(struct bus_space *s, uint64_t at, struct bus_range *r)
{
	if (!space_holds(s, s->last, at)) {
		s->last = space_find(s, at);
		if (!space_holds(s, s->last, at))
			return false;
	}
	*r = s->range[s->last];
	return true;
}

int
bus_add_pio(struct bus *b, uint32_t base, uint32_t len,
    const struct pio_ops *ops, void *cookie)
{
	struct bus_range *r;
	int error;

	if (len == 0 || base >= BUS_PORTS || len > BUS_PORTS - base)
		return -EINVAL;
	error = space_add(&b->pio, base, len, cookie, &r);
	if (error == 0)
		r->pio = ops;
	return error;
}

void
bus_del_pio(struct bus *b, uint32_t base)
{
	space_del(&b->pio, base);
}

int
bus_add_mmio(struct bus *b, uint64_t base, uint64_t len,
    const struct mmio_ops *ops, void *cookie)
{
	struct bus_range *r;
	int error;

	if (len == 0 || base >= BUS_GPA_END || len > BUS_GPA_END - base)
		return -EINVAL;
	error = space_add(&b->mmio, base, len, cookie, &r);
	if (error == 0)
		r->mmio = ops;
	return error;
}

void
bus_del_mmio(struct bus *b, uint64_t base)
{
	space_del(&b->mmio, base);
}

/* Does one call of the range's handler do for the whole access? */
static bool
bus_fits(const struct bus_range *r, uint32_t port, unsigned size)
{
	return size == 1 || (!r->pio->bytewise && size <= r->end - port);
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

	if (space_lookup(&b->pio, port, &r) && bus_fits(&r, port, size))
		return r.pio->in(r.cookie, (uint32_t)(port - r.base), size) &
		    bus_mask(size);
	for (i = 0; i < size; i++) {
		uint32_t p = (uint32_t)port + i;
		uint32_t byte = 0xff;

		if (space_lookup(&b->pio, p, &r))
			byte = r.pio->in(r.cookie, (uint32_t)(p - r.base), 1) & 0xff;
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
	if (space_lookup(&b->pio, port, &r) && bus_fits(&r, port, size)) {
		r.pio->out(r.cookie, (uint32_t)(port - r.base), size, val);
		return;
	}
	for (i = 0; i < size; i++) {
		uint32_t p = (uint32_t)port + i;

		if (space_lookup(&b->pio, p, &r))
			r.pio->out(r.cookie, (uint32_t)(p - r.base), 1,
			    (val >> (8 * i)) & 0xff);
	}
}

/*
 * The next part of an access: the largest power of two up to 8 that is left,
 * lies on a multiple of itself and inside the range.
 */
static unsigned
mmio_part(const struct bus_range *r, uint64_t gpa, unsigned left)
{
	unsigned size = 8;

	while (size > left || gpa % size != 0 || size > r->end - gpa)
		size /= 2;
	return size;
}

void
bus_read(struct bus *b, uint64_t gpa, void *data, unsigned len)
{
	unsigned done, size;
	struct bus_range r;
	uint64_t val;

	for (done = 0; done < len; done += size) {
		uint64_t at = gpa + done;

		val = UINT64_MAX;
		size = 1;
		if (space_lookup(&b->mmio, at, &r)) {
			size = mmio_part(&r, at, len - done);
			val = r.mmio->read(r.cookie, at - r.base, size);
		}
		memcpy((char *)data + done, &val, size);
	}
}

void
bus_write(struct bus *b, uint64_t gpa, const void *data, unsigned len)
{
	unsigned done, size;
	struct bus_range r;
	uint64_t val;

	for (done = 0; done < len; done += size) {
		uint64_t at = gpa + done;

		size = 1;
		if (!space_lookup(&b->mmio, at, &r))
			continue;
		size = mmio_part(&r, at, len - done);
		val = 0;
		memcpy(&val, (const char *)data + done, size);
		r.mmio->write(r.cookie, at - r.base, size, val);
	}
}
