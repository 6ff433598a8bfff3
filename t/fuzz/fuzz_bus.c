/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: the spaces of ports and of device memory, against a plain list.
 *
 * The input is a list of steps; a step's first byte says by bit 0 whether it
 * is about ports or memory, by bits 1 and 2 what it does: adds a range, takes
 * one away, reads, writes; and by bits 3 to 5 the size of an access, less one.
 */
#include "fuzz.h"

#include <stdbool.h>

#include "devices/bus.h"

#define RANGES		24
#define MMIO_END	(1ull << 52)

/* A device; each of its bytes reads as a number of its own. */
struct range {
	struct rig	*rig;
	bool		 used, mmio;
	bool		 bytewise;
	uint8_t		 id;
	uint64_t	 base, len;
};

struct rig {
	struct fuzz_input	 in;
	struct bus		*bus;
	struct range		 range[RANGES];
	uint64_t		 base;		/* of the access */
	uint8_t			 written[8];	/* what is to arrive */
	unsigned		 arrived;	/* a bit for each byte */
};

static uint8_t
byte_at(const struct range *r, uint64_t off)
{
	return (uint8_t)(r->id * 37 + off);
}

static uint64_t
range_read(void *cookie, uint64_t off, unsigned size)
{
	struct range *r = cookie;
	uint64_t val = 0;
	unsigned i;

	FUZZ_CHECK(r->used && size <= r->len && off <= r->len - size);
	FUZZ_CHECK(!r->bytewise || size == 1);
	FUZZ_CHECK(!r->mmio || (r->base + off) % size == 0);
	for (i = 0; i < size; i++)
		val |= (uint64_t)byte_at(r, off + i) << (8 * i);
	return val;
}

static void
range_write(void *cookie, uint64_t off, unsigned size, uint64_t val)
{
	struct range *r = cookie;
	uint64_t at;
	unsigned i;

	(void)range_read(cookie, off, size);
	for (i = 0; i < size; i++) {
		at = r->base + off + i - r->rig->base;
		FUZZ_CHECK(at < sizeof(r->rig->written));
		FUZZ_CHECK(r->rig->written[at] == (uint8_t)(val >> (8 * i)));
		FUZZ_CHECK((r->rig->arrived >> at & 1) == 0);
		r->rig->arrived |= 1u << at;
	}
}

static uint32_t
range_in(void *cookie, uint32_t off, unsigned size)
{
	return (uint32_t)range_read(cookie, off, size);
}

static void
range_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	range_write(cookie, off, size, val);
}

static const struct pio_ops pio = { range_in, range_out, false };
static const struct pio_ops pio_bytes = { range_in, range_out, true };
static const struct mmio_ops mmio = { range_read, range_write };

static struct range *
owner(struct rig *r, bool is_mmio, uint64_t at)
{
	unsigned i;

	for (i = 0; i < RANGES; i++)
		if (r->range[i].used && r->range[i].mmio == is_mmio &&
		    at - r->range[i].base < r->range[i].len)
			return &r->range[i];
	return NULL;
}

/* An address; the spaces' ends are as near as their beginnings. */
static uint64_t
any_address(struct rig *r, bool is_mmio)
{
	uint64_t at = fuzz_u16(&r->in);

	if (!is_mmio)
		return (at & 0x8000) != 0 ? 0x10000 - (at & 0xff) : at & 0xff;
	return (at & 0x8000) != 0 ? MMIO_END - (at & 0xff) : at & 0xff;
}

/* Is the range one of the space's, and free? */
static bool
is_free(struct rig *r, const struct range *n)
{
	uint64_t end = n->mmio ? MMIO_END : 0x10000;
	unsigned i;

	if (n->len == 0 || n->base >= end || n->len > end - n->base)
		return false;
	for (i = 0; i < RANGES; i++)
		if (r->range[i].used && r->range[i].mmio == n->mmio &&
		    r->range[i].base < n->base + n->len &&
		    n->base < r->range[i].base + r->range[i].len)
			return false;
	return true;
}

static void
add(struct rig *r, bool is_mmio)
{
	uint8_t how = fuzz_u8(&r->in);
	struct range *n = &r->range[how % RANGES];
	int ret;

	if (n->used)
		return;
	*n = (struct range){
		.rig = r,
		.mmio = is_mmio,
		.bytewise = !is_mmio && how >= 0x80,
		.id = how,
		.base = any_address(r, is_mmio),
	};
	n->len = fuzz_u8(&r->in);
	if (n->len >= 0xf0)
		n->len <<= fuzz_u8(&r->in) % 56;
	if (is_mmio)
		ret = bus_add_mmio(r->bus, n->base, n->len, &mmio, n);
	else
		ret = bus_add_pio(r->bus, (uint32_t)n->base, (uint32_t)n->len,
		    n->bytewise ? &pio_bytes : &pio, n);
	if (!is_mmio)
		n->len = (uint32_t)n->len;
	FUZZ_CHECK((ret == 0) == is_free(r, n));
	n->used = ret == 0;
}

static void
take(struct rig *r, bool is_mmio)
{
	uint64_t base = any_address(r, is_mmio);
	struct range *n = owner(r, is_mmio, base);

	if (is_mmio)
		bus_del_mmio(r->bus, base);
	else
		bus_del_pio(r->bus, (uint32_t)base);
	if (n != NULL && n->base == base)
		n->used = false;
}

static void
read_bytes(struct rig *r, bool is_mmio, unsigned len)
{
	uint64_t at = any_address(r, is_mmio);
	uint8_t data[8] = { 0 }, want;
	struct range *n;
	uint32_t val;
	unsigned i;

	if (is_mmio) {
		bus_read(r->bus, at, data, len);
	} else {
		len = len >= 4 ? 4 : len == 3 ? 2 : len;
		val = bus_in(r->bus, (uint16_t)at, len);
		memcpy(data, &val, sizeof(val));
		at = (uint16_t)at;
	}
	for (i = 0; i < len; i++) {
		n = owner(r, is_mmio, at + i);
		want = n == NULL ? 0xff : byte_at(n, at + i - n->base);
		FUZZ_CHECK(data[i] == want);
	}
}

static void
write_bytes(struct rig *r, bool is_mmio, unsigned len)
{
	uint64_t at = any_address(r, is_mmio);
	uint32_t val;
	unsigned i;

	fuzz_bytes(&r->in, r->written, sizeof(r->written));
	r->arrived = 0;
	r->base = at;
	if (is_mmio) {
		bus_write(r->bus, at, r->written, len);
	} else {
		len = len >= 4 ? 4 : len == 3 ? 2 : len;
		memcpy(&val, r->written, sizeof(val));
		r->base = at = (uint16_t)at;
		bus_out(r->bus, (uint16_t)at, len, val);
	}
	for (i = 0; i < 8; i++)
		FUZZ_CHECK((r->arrived >> i & 1) ==
		    (i < len && owner(r, is_mmio, at + i) != NULL));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig r = { .in = { data, size } };
	uint8_t op;

	r.bus = bus_create();
	while (r.in.left != 0) {
		op = fuzz_u8(&r.in);
		switch (op >> 1 & 3) {
		case 0:
			add(&r, op & 1);
			break;
		case 1:
			take(&r, op & 1);
			break;
		case 2:
			read_bytes(&r, op & 1, (op >> 3 & 7) + 1);
			break;
		case 3:
			write_bytes(&r, op & 1, (op >> 3 & 7) + 1);
			break;
		}
	}
	bus_destroy(r.bus);
	return 0;
}
