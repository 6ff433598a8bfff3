/* SPDX-License-Identifier: ISC */
/*
 * Guest memory: the hole is where a PC has it, and no address or length gets
 * a pointer that leaves its region.
 */
#include <errno.h>

#include "devices/gmem.h"
#include "testhost.h"

#define GIB	(1ULL << 30)
#define PAGE	4096ULL

START_TEST(layout_below_the_hole)
{
	struct gmem gm;

	gmem_layout(&gm, 3 * GIB);
	ck_assert_uint_eq(gm.nranges, 1);
	ck_assert_uint_eq(gm.range[0].gpa, 0);
	ck_assert_uint_eq(gm.range[0].size, 3 * GIB);
	ck_assert_ptr_null(gm.range[0].hva);
	ck_assert_uint_eq(gmem_size(&gm), 3 * GIB);
}
END_TEST

START_TEST(layout_around_the_hole)
{
	struct gmem gm;

	gmem_layout(&gm, 3 * GIB + PAGE);
	ck_assert_uint_eq(gm.nranges, 2);
	ck_assert_uint_eq(gm.range[0].size, 3 * GIB);
	ck_assert_uint_eq(gm.range[1].gpa, 4 * GIB);
	ck_assert_uint_eq(gm.range[1].size, PAGE);
	ck_assert_uint_eq(gmem_size(&gm), 3 * GIB + PAGE);
}
END_TEST

START_TEST(layout_of_nothing)
{
	struct gmem gm;

	gmem_layout(&gm, 0);
	ck_assert_uint_eq(gm.nranges, 0);
	ck_assert_uint_eq(gmem_size(&gm), 0);
	ck_assert_ptr_null(gmem_ptr(&gm, 0, 1));
}
END_TEST

/* Two small ranges with the second above 4 GiB, as a big guest has them. */
static void
make(struct gmem *gm, char *low, char *high)
{
	memset(gm, 0, sizeof(*gm));
	gm->nranges = 2;
	gm->range[0] = (struct gmem_range){ 0, 2 * PAGE, low };
	gm->range[1] = (struct gmem_range){ 4 * GIB, PAGE, high };
}

START_TEST(pointer_edges)
{
	char low[2 * PAGE], high[PAGE];
	struct gmem gm;

	make(&gm, low, high);
	ck_assert_ptr_eq(gmem_ptr(&gm, 0, 1), low);
	ck_assert_ptr_eq(gmem_ptr(&gm, 0, 2 * PAGE), low);
	ck_assert_ptr_null(gmem_ptr(&gm, 0, 2 * PAGE + 1));
	ck_assert_ptr_eq(gmem_ptr(&gm, 2 * PAGE - 1, 1), low + 2 * PAGE - 1);
	ck_assert_ptr_null(gmem_ptr(&gm, 2 * PAGE - 1, 2));
	ck_assert_ptr_null(gmem_ptr(&gm, 2 * PAGE, 1));
	ck_assert_ptr_null(gmem_ptr(&gm, 4 * GIB - 1, 1));
	ck_assert_ptr_null(gmem_ptr(&gm, 4 * GIB - 1, 2));
	ck_assert_ptr_eq(gmem_ptr(&gm, 4 * GIB, PAGE), high);
	ck_assert_ptr_eq(gmem_ptr(&gm, 4 * GIB + PAGE - 1, 1),
	    high + PAGE - 1);
	ck_assert_ptr_null(gmem_ptr(&gm, 4 * GIB + PAGE, 1));
}
END_TEST

START_TEST(sums_that_overflow)
{
	char low[2 * PAGE], high[PAGE];
	struct gmem gm;

	make(&gm, low, high);
	ck_assert_ptr_null(gmem_ptr(&gm, 0, 0));
	ck_assert_ptr_null(gmem_ptr(&gm, 1, UINT64_MAX));
	ck_assert_ptr_null(gmem_ptr(&gm, UINT64_MAX, 1));
	ck_assert_ptr_null(gmem_ptr(&gm, UINT64_MAX, UINT64_MAX));
	ck_assert_ptr_null(gmem_ptr(&gm, 4 * GIB + 1, UINT64_MAX - 4 * GIB));
}
END_TEST

START_TEST(copies_all_or_nothing)
{
	char low[2 * PAGE], high[PAGE], out[5];
	struct gmem gm;

	make(&gm, low, high);
	memset(low, '.', sizeof(low));
	ck_assert_int_eq(gmem_write(&gm, 2 * PAGE - 5, "hello", 5), 0);
	ck_assert_mem_eq(low + 2 * PAGE - 5, "hello", 5);
	ck_assert_int_eq(gmem_write(&gm, 2 * PAGE - 4, "WORLD", 5), -EFAULT);
	ck_assert_mem_eq(low + 2 * PAGE - 5, "hello", 5);
	ck_assert_int_eq(gmem_read(&gm, 2 * PAGE - 5, out, 5), 0);
	ck_assert_mem_eq(out, "hello", 5);
	memset(out, 'x', 5);
	ck_assert_int_eq(gmem_read(&gm, 2 * PAGE - 4, out, 5), -EFAULT);
	ck_assert_mem_eq(out, "xxxxx", 5);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("gmem");

	tcase_add_test(tc, layout_below_the_hole);
	tcase_add_test(tc, layout_around_the_hole);
	tcase_add_test(tc, layout_of_nothing);
	tcase_add_test(tc, pointer_edges);
	tcase_add_test(tc, sums_that_overflow);
	tcase_add_test(tc, copies_all_or_nothing);
	return test_main("gmem", tc);
}
