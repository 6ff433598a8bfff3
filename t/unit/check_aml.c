/* SPDX-License-Identifier: ISC */
/*
 * AML: every object has its shortest encoding, at each edge between two.
 */
#include "vmm/aml.h"
#include "testhost.h"

static uint8_t out[1 << 21];

static void
is(const struct aml *a, const void *want, size_t n)
{
	ck_assert(!a->failed);
	ck_assert_uint_eq(a->depth, 0);
	ck_assert_uint_eq(a->len, n);
	ck_assert_mem_eq(a->p, want, n);
}

#define IS(a, ...)						\
	do {							\
		const uint8_t want[] = { __VA_ARGS__ };		\
								\
		is(a, want, sizeof(want));			\
	} while (0)

START_TEST(integers)
{
	struct aml a;

	aml_init(&a, out, sizeof(out));
	aml_int(&a, 0);
	aml_int(&a, 1);
	aml_int(&a, 2);
	aml_int(&a, 0xff);
	aml_int(&a, 0x100);
	aml_int(&a, 0xffff);
	aml_int(&a, 0x10000);
	aml_int(&a, 0xffffffff);
	IS(&a, 0x00, 0x01, 0x0a, 0x02, 0x0a, 0xff, 0x0b, 0x00, 0x01,
	    0x0b, 0xff, 0xff, 0x0c, 0x00, 0x00, 0x01, 0x00,
	    0x0c, 0xff, 0xff, 0xff, 0xff);
}
END_TEST

START_TEST(names_and_strings)
{
	struct aml a;

	aml_init(&a, out, sizeof(out));
	aml_name(&a, "_S5");
	aml_string(&a, "AB");
	aml_name(&a, "A");
	aml_eisa_id(&a, "PNP0A03");
	IS(&a, 0x08, '_', 'S', '5', '_', 0x0d, 'A', 'B', 0,
	    0x08, 'A', '_', '_', '_', 0x0c, 0x41, 0xd0, 0x0a, 0x03);
}
END_TEST

START_TEST(nesting)
{
	struct aml a;

	aml_init(&a, out, sizeof(out));
	aml_scope(&a, "_SB");
	aml_device(&a, "DEV0");
	aml_name(&a, "_PRT");
	aml_package(&a, 2);
	aml_int(&a, 7);
	aml_package(&a, 0);
	aml_end(&a);
	aml_end(&a);
	aml_end(&a);
	aml_end(&a);
	IS(&a, 0x10, 0x19, '_', 'S', 'B', '_',
	    0x5b, 0x82, 0x12, 'D', 'E', 'V', '0',
	    0x08, '_', 'P', 'R', 'T',
	    0x12, 0x07, 0x02, 0x0a, 0x07, 0x12, 0x02, 0x00);
}
END_TEST

/* A package of `n` bytes in all after its opcode: its first bytes. */
static void
length(size_t n, size_t head, uint32_t want)
{
	static const uint8_t zero[1 << 20];
	uint32_t got = 0;
	struct aml a;

	aml_init(&a, out, sizeof(out));
	aml_package(&a, 0);
	aml_bytes(&a, zero, n - head - 1);
	aml_end(&a);
	ck_assert(!a.failed);
	ck_assert_uint_eq(a.len, n + 1);
	memcpy(&got, a.p + 1, head);
	ck_assert_uint_eq(got, want);
	ck_assert_uint_eq(a.p[1 + head], 0);
}

START_TEST(lengths)
{
	length(2, 1, 0x02);
	length(0x3f, 1, 0x3f);
	/* With the same body less a byte it would have fitted into one. */
	length(0x41, 2, 0x0441);
	length(0xfff, 2, 0xff4f);
	length(0x1001, 3, 0x010081);
	length(0xfffff, 3, 0xffff8f);
	length(0x100001, 4, 0x010000c1);
}
END_TEST

START_TEST(resources)
{
	struct aml a;

	aml_init(&a, out, sizeof(out));
	aml_resources(&a);
	aml_io(&a, 0x3f8, 8);
	aml_irq(&a, 4);
	aml_memory(&a, 0xe0000000, 0x100000);
	aml_resources_end(&a);
	IS(&a, 0x11, 0x1c, 0x0a, 0x19,
	    0x47, 0x01, 0xf8, 0x03, 0xf8, 0x03, 0x01, 0x08,
	    0x22, 0x10, 0x00,
	    0x86, 0x09, 0x00, 0x01, 0x00, 0x00, 0x00, 0xe0,
	    0x00, 0x00, 0x10, 0x00,
	    0x79, 0x00);
	aml_init(&a, out, sizeof(out));
	aml_resources(&a);
	aml_bus_window(&a, 0, 0);
	aml_io_window(&a, 0x1000, 0xffff);
	aml_memory_window(&a, 0xc0000000, 0xdfffffff);
	aml_resources_end(&a);
	IS(&a, 0x11, 0x3f, 0x0a, 0x3c,
	    0x88, 0x0d, 0x00, 0x02, 0x0c, 0x00, 0x00, 0x00, 0x00, 0x00,
	    0x00, 0x00, 0x00, 0x00, 0x01, 0x00,
	    0x88, 0x0d, 0x00, 0x01, 0x0c, 0x03, 0x00, 0x00, 0x00, 0x10,
	    0xff, 0xff, 0x00, 0x00, 0x00, 0xf0,
	    0x87, 0x17, 0x00, 0x00, 0x0c, 0x01, 0x00, 0x00, 0x00, 0x00,
	    0x00, 0x00, 0x00, 0xc0, 0xff, 0xff, 0xff, 0xdf,
	    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20,
	    0x79, 0x00);
}
END_TEST

static void
build(struct aml *a, void *p, size_t size)
{
	aml_init(a, p, size);
	aml_scope(a, "_SB");
	aml_device(a, "DEV0");
	aml_name(a, "_CRS");
	aml_resources(a);
	aml_io(a, 0x70, 2);
	aml_resources_end(a);
	aml_end(a);
	aml_end(a);
}

/* In each size that is too small nothing is written past it. */
START_TEST(no_room)
{
	size_t n, size;
	struct aml a;
	uint8_t *p;

	build(&a, out, sizeof(out));
	n = a.len;
	for (size = 0; size <= n; size++) {
		p = malloc(size + 1);
		p[size] = 0xa5;
		build(&a, p, size);
		ck_assert(a.failed == (size < n));
		ck_assert_uint_le(a.len, size);
		ck_assert_uint_eq(p[size], 0xa5);
		free(p);
	}
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("aml");

	tcase_add_test(tc, integers);
	tcase_add_test(tc, names_and_strings);
	tcase_add_test(tc, nesting);
	tcase_add_test(tc, lengths);
	tcase_add_test(tc, resources);
	tcase_add_test(tc, no_room);
	return test_main("aml", tc);
}
