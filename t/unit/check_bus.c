/* SPDX-License-Identifier: ISC */
/*
 * The buses: every port reaches its device and no other, whatever the
 * order of adding; accesses are split where they must be; unclaimed ports
 * read ones.  A table of all ports is the model.
 */
#include <errno.h>
#include <stdio.h>

#include "devices/bus.h"
#include "testhost.h"

struct rec {
	struct bus	*bus;
	uint8_t		 id;
	bool		 leave;		/* removes itself when written */
	uint32_t	 base;
	unsigned	 calls;
	uint32_t	 off, val;
	unsigned	 size;
};

static uint32_t
rec_in(void *cookie, uint32_t off, unsigned size)
{
	struct rec *r = cookie;

	r->calls++;
	r->off = off;
	r->size = size;
	/* More bits than asked for: the bus cuts them off. */
	return 0xa5000000 | r->id << 16 | (off & 0xff) << 8 | r->id;
}

static void
rec_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	struct rec *r = cookie;

	r->calls++;
	r->off = off;
	r->size = size;
	r->val = val;
	if (r->leave)
		bus_del_pio(r->bus, r->base);
}

static const struct pio_ops rec_pio = { .in = rec_in, .out = rec_out };
static const struct pio_ops rec_pio_bytes = {
	.in = rec_in,
	.out = rec_out,
	.bytewise = true,
};

START_TEST(range_edges)
{
	struct bus *b = bus_create();
	struct rec r = { .id = 7 };

	ck_assert_int_eq(bus_add_pio(b, 0x100, 4, &rec_pio, &r), 0);
	ck_assert_uint_eq(bus_in(b, 0x0ff, 1), 0xff);
	ck_assert_uint_eq(r.calls, 0);
	ck_assert_uint_eq(bus_in(b, 0x100, 1), 7);
	ck_assert_uint_eq(r.off, 0);
	ck_assert_uint_eq(bus_in(b, 0x103, 1), 7);
	ck_assert_uint_eq(r.off, 3);
	ck_assert_uint_eq(r.calls, 2);
	ck_assert_uint_eq(bus_in(b, 0x104, 1), 0xff);
	ck_assert_uint_eq(bus_in(b, 0x100, 4), 0xa5070007);
	ck_assert_uint_eq(bus_in(b, 0x100, 2), 0x0007);
	ck_assert_uint_eq(r.size, 2);
	bus_out(b, 0x102, 2, 0xffff1234);
	ck_assert_uint_eq(r.val, 0x1234);
	ck_assert_uint_eq(r.off, 2);
	bus_destroy(b);
}
END_TEST

START_TEST(bad_ranges)
{
	struct bus *b = bus_create();
	struct rec r = { .id = 1 };

	ck_assert_int_eq(bus_add_pio(b, 0, 0, &rec_pio, &r), -EINVAL);
	ck_assert_int_eq(bus_add_pio(b, 0x10000, 1, &rec_pio, &r), -EINVAL);
	ck_assert_int_eq(bus_add_pio(b, 0xffff, 2, &rec_pio, &r), -EINVAL);
	ck_assert_int_eq(bus_add_pio(b, 1, UINT32_MAX, &rec_pio, &r), -EINVAL);
	ck_assert_int_eq(bus_add_pio(b, 0xffff, 1, &rec_pio, &r), 0);
	ck_assert_uint_eq(bus_in(b, 0xffff, 1), 1);
	ck_assert_int_eq(bus_add_pio(b, 0x100, 0x10, &rec_pio, &r), 0);
	ck_assert_int_eq(bus_add_pio(b, 0x0ff, 2, &rec_pio, &r), -EEXIST);
	ck_assert_int_eq(bus_add_pio(b, 0x10f, 1, &rec_pio, &r), -EEXIST);
	ck_assert_int_eq(bus_add_pio(b, 0x104, 1, &rec_pio, &r), -EEXIST);
	ck_assert_int_eq(bus_add_pio(b, 0x0f0, 0x40, &rec_pio, &r), -EEXIST);
	ck_assert_int_eq(bus_add_pio(b, 0x0ff, 1, &rec_pio, &r), 0);
	ck_assert_int_eq(bus_add_pio(b, 0x110, 1, &rec_pio, &r), 0);
	bus_destroy(b);
}
END_TEST

START_TEST(split_across_devices)
{
	struct bus *b = bus_create();
	struct rec r1 = { .id = 1 }, r2 = { .id = 2 };

	ck_assert_int_eq(bus_add_pio(b, 0x100, 2, &rec_pio, &r1), 0);
	ck_assert_int_eq(bus_add_pio(b, 0x103, 1, &rec_pio, &r2), 0);
	ck_assert_uint_eq(bus_in(b, 0x100, 4), 0x02ff0101);
	ck_assert_uint_eq(bus_in(b, 0x0ff, 2), 0x01ff);
	bus_out(b, 0x101, 4, 0x44332211);
	ck_assert_uint_eq(r1.val, 0x11);
	ck_assert_uint_eq(r1.size, 1);
	ck_assert_uint_eq(r2.val, 0x33);
	ck_assert_uint_eq(r2.off, 0);
	bus_destroy(b);
}
END_TEST

START_TEST(bytewise_devices)
{
	struct bus *b = bus_create();
	struct rec r = { .id = 9 };

	ck_assert_int_eq(bus_add_pio(b, 0x60, 8, &rec_pio_bytes, &r), 0);
	ck_assert_uint_eq(bus_in(b, 0x60, 4), 0x09090909);
	ck_assert_uint_eq(r.calls, 4);
	ck_assert_uint_eq(r.size, 1);
	ck_assert_uint_eq(r.off, 3);
	bus_out(b, 0x60, 2, 0xbeef);
	ck_assert_uint_eq(r.calls, 6);
	ck_assert_uint_eq(r.val, 0xbe);
	bus_destroy(b);
}
END_TEST

START_TEST(no_wrap_at_the_last_port)
{
	struct bus *b = bus_create();
	struct rec first = { .id = 1 }, last = { .id = 2 };

	ck_assert_int_eq(bus_add_pio(b, 0, 1, &rec_pio, &first), 0);
	ck_assert_int_eq(bus_add_pio(b, 0xffff, 1, &rec_pio, &last), 0);
	ck_assert_uint_eq(bus_in(b, 0xffff, 4), 0xffffff02);
	bus_out(b, 0xfffe, 4, 0x12345678);
	ck_assert_uint_eq(last.val, 0x56);
	ck_assert_uint_eq(first.calls, 0);
	bus_destroy(b);
}
END_TEST

START_TEST(handler_removes_itself)
{
	struct bus *b = bus_create();
	struct rec r = { .bus = b, .id = 3, .leave = true, .base = 0x100 };

	ck_assert_int_eq(bus_add_pio(b, 0x100, 4, &rec_pio_bytes, &r), 0);
	bus_out(b, 0x100, 4, 0);
	ck_assert_uint_eq(r.calls, 1);
	ck_assert_uint_eq(bus_in(b, 0x100, 1), 0xff);
	bus_del_pio(b, 0x100);
	bus_destroy(b);
}
END_TEST

/* Does [base, base + len) meet a claimed port of the model? */
static bool
meets(const uint8_t *owner, uint32_t base, uint32_t len)
{
	while (len-- > 0) {
		if (owner[base + len] != 0)
			return true;
	}
	return false;
}

START_TEST(random_against_a_table)
{
	static uint8_t owner[0x10000];
	struct rec recs[200] = { 0 };
	uint64_t seed = 88172645463325252ULL;
	struct bus *b = bus_create();
	uint32_t base, len, i, p;

	memset(owner, 0, sizeof(owner));
	for (i = 1; i < 200; i++) {
		recs[i].id = i;
		recs[i].base = base = test_random(&seed) % 0x2000;
		len = 1 + test_random(&seed) % 64;
		if (meets(owner, base, len)) {
			ck_assert_int_eq(bus_add_pio(b, base, len, &rec_pio,
			    &recs[i]), -EEXIST);
			continue;
		}
		ck_assert_int_eq(bus_add_pio(b, base, len, &rec_pio,
		    &recs[i]), 0);
		memset(owner + base, (int)i, len);
		if (i % 3 != 0)
			continue;
		p = recs[1 + test_random(&seed) % i].base;
		if (owner[p] != 0 && recs[owner[p]].base == p) {
			bus_del_pio(b, p);
			for (len = p, base = owner[p]; owner[len] == base;)
				owner[len++] = 0;
		}
	}
	for (p = 0; p < 0x2100; p++)
		ck_assert_uint_eq(bus_in(b, p, 1),
		    owner[p] != 0 ? owner[p] : 0xff);
	bus_destroy(b);
}
END_TEST

/* A device in memory, and its accesses as text. */
static char mmio_log[256];

static uint64_t
mem_read(void *cookie, uint64_t off, unsigned size)
{
	size_t len = strlen(mmio_log);

	snprintf(mmio_log + len, sizeof(mmio_log) - len, "r%s%x.%u ",
	    (const char *)cookie, (unsigned)off, size);
	return 0x8877665544332211;
}

static void
mem_write(void *cookie, uint64_t off, unsigned size, uint64_t val)
{
	size_t len = strlen(mmio_log);

	snprintf(mmio_log + len, sizeof(mmio_log) - len, "w%s%x.%u=%llx ",
	    (const char *)cookie, (unsigned)off, size,
	    (unsigned long long)val);
}

static const struct mmio_ops mem_ops = { mem_read, mem_write };

#define HOLE	UINT64_C(0xc0000000)

static const struct {
	uint64_t	 gpa;
	unsigned	 len;
	const char	*reads, *writes;
	uint8_t		 data[8];		/* read */
} accesses[] = {
	{ HOLE, 4, "ra0.4 ", "wa0.4=4030201 ", { 0x11, 0x22, 0x33, 0x44 } },
	{ HOLE, 8, "ra0.8 ", "wa0.8=807060504030201 ",
	    { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88 } },
	/* Not aligned, and no power of two. */
	{ HOLE + 1, 4, "ra1.1 ra2.2 ra4.1 ", "wa1.1=1 wa2.2=302 wa4.1=4 ",
	    { 0x11, 0x11, 0x22, 0x11 } },
	{ HOLE + 4, 3, "ra4.2 ra6.1 ", "wa4.2=201 wa6.1=3 ",
	    { 0x11, 0x22, 0x11 } },
	/* Into the next device, and from where there is none. */
	{ HOLE + 0xffc, 8, "raffc.4 rb0.4 ", "waffc.4=4030201 wb0.4=8070605 ",
	    { 0x11, 0x22, 0x33, 0x44, 0x11, 0x22, 0x33, 0x44 } },
	{ HOLE - 2, 4, "ra0.2 ", "wa0.2=403 ", { 0xff, 0xff, 0x11, 0x22 } },
	/* The second has an odd end. */
	{ HOLE + 0x1004, 4, "rb4.2 ", "wb4.2=201 ",
	    { 0x11, 0x22, 0xff, 0xff } },
	{ HOLE + 0x1006, 2, "", "", { 0xff, 0xff } },
	{ HOLE - 8, 8, "", "",
	    { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } },
};

START_TEST(memory_accesses)
{
	const uint8_t out[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct bus *b = bus_create();
	uint8_t data[9];
	unsigned len = accesses[_i].len;

	ck_assert_int_eq(bus_add_mmio(b, HOLE + 0x1000, 6, &mem_ops, "b"), 0);
	ck_assert_int_eq(bus_add_mmio(b, HOLE, 0x1000, &mem_ops, "a"), 0);
	memset(data, 0xa5, sizeof(data));
	mmio_log[0] = '\0';
	bus_read(b, accesses[_i].gpa, data, len);
	ck_assert_str_eq(mmio_log, accesses[_i].reads);
	ck_assert_mem_eq(data, accesses[_i].data, len);
	ck_assert_uint_eq(data[len], 0xa5);
	mmio_log[0] = '\0';
	bus_write(b, accesses[_i].gpa, out, len);
	ck_assert_str_eq(mmio_log, accesses[_i].writes);
	bus_destroy(b);
}
END_TEST

START_TEST(memory_ranges)
{
	struct bus *b = bus_create();
	uint64_t top = UINT64_C(1) << 52;
	uint8_t byte = 0;

	ck_assert_int_eq(bus_add_mmio(b, HOLE, 0, &mem_ops, "a"), -EINVAL);
	ck_assert_int_eq(bus_add_mmio(b, top, 1, &mem_ops, "a"), -EINVAL);
	ck_assert_int_eq(bus_add_mmio(b, 1, top, &mem_ops, "a"), -EINVAL);
	ck_assert_int_eq(bus_add_mmio(b, top - 1, 1, &mem_ops, "a"), 0);
	ck_assert_int_eq(bus_add_mmio(b, 0, top, &mem_ops, "b"), -EEXIST);
	ck_assert_int_eq(bus_add_mmio(b, 0, top - 1, &mem_ops, "b"), 0);
	/* Ports are another space. */
	ck_assert_uint_eq(bus_in(b, 0, 1), 0xff);
	bus_read(b, 0, &byte, 1);
	ck_assert_uint_eq(byte, 0x11);
	bus_del_mmio(b, 1);
	bus_del_mmio(b, 0);
	bus_read(b, 0, &byte, 1);
	ck_assert_uint_eq(byte, 0xff);
	bus_read(b, top - 1, &byte, 1);
	ck_assert_uint_eq(byte, 0x11);
	bus_destroy(b);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("bus");

	tcase_add_test(tc, range_edges);
	tcase_add_test(tc, bad_ranges);
	tcase_add_test(tc, split_across_devices);
	tcase_add_test(tc, bytewise_devices);
	tcase_add_test(tc, no_wrap_at_the_last_port);
	tcase_add_test(tc, handler_removes_itself);
	tcase_add_test(tc, random_against_a_table);
	tcase_add_loop_test(tc, memory_accesses, 0,
	    sizeof(accesses) / sizeof(accesses[0]));
	tcase_add_test(tc, memory_ranges);
	return test_main("bus", tc);
}
