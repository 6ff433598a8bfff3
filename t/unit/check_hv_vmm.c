/* SPDX-License-Identifier: ISC */
/*
 * Backend `vmm`: what its CPUID table says of the number of vCPUs.
 */
#include "kernel/vmm_uapi.h"
#include "testhost.h"
#include "vmm/hv_vmm.h"

/* A row of the table for `ncpus`, made from an AMD processor's leaves. */
static struct vmm_cpuid_entry
row(unsigned ncpus, uint32_t max, uint32_t leaf, uint32_t subleaf)
{
	struct vmm_cpuid_entry e = { .leaf = UINT32_MAX };
	struct vmm_cpuid *t = calloc(1, sizeof(*t));
	uint32_t i;

	t->count = 4;
	t->entry[0] = (struct vmm_cpuid_entry){ .leaf = 0, .eax = max };
	t->entry[1] = (struct vmm_cpuid_entry){ .leaf = 1, .ebx = 0x800 };
	t->entry[2].leaf = 0x80000001;
	t->entry[3].leaf = 0x80000008;
	hv_vmm_topology(t, ncpus);
	for (i = 0; i < t->count; i++)
		if (t->entry[i].leaf == leaf && t->entry[i].subleaf == subleaf)
			e = t->entry[i];
	free(t);
	return e;
}

/* Cores, their ids' bits: of one package, one thread each. */
static const struct {
	unsigned	ncpus, bits;
} counts[] = {
	{ 1, 0 }, { 2, 1 }, { 3, 2 }, { 4, 2 }, { 5, 3 }, { 8, 3 }, { 63, 6 },
	{ 64, 6 },
};

START_TEST(cores_of_one_package)
{
	const unsigned n = counts[_i].ncpus, bits = counts[_i].bits;
	struct vmm_cpuid_entry e;

	e = row(n, 0xd, 1, 0);
	ck_assert_uint_eq(e.ebx, n << 16 | 0x800);
	ck_assert_uint_eq(e.edx >> 28 & 1, n > 1);
	ck_assert_uint_eq(row(n, 0xd, 0x80000001, 0).ecx, n > 1 ? 2 : 0);
	ck_assert_uint_eq(row(n, 0xd, 0x80000008, 0).ecx,
	    (n - 1) | bits << 12);
	e = row(n, 0xd, 0xb, 0);
	ck_assert_uint_eq(e.flags, VMM_CPUID_SUBLEAF);
	ck_assert_uint_eq(e.eax, 0);
	ck_assert_uint_eq(e.ebx, 1);
	ck_assert_uint_eq(e.ecx, 0x100);
	e = row(n, 0xd, 0xb, 1);
	ck_assert_uint_eq(e.flags, VMM_CPUID_SUBLEAF);
	ck_assert_uint_eq(e.eax, bits);
	ck_assert_uint_eq(e.ebx, n);
	ck_assert_uint_eq(e.ecx, 0x201);
}
END_TEST

/* A processor without leaf 0xb does not get one. */
START_TEST(no_leaf_beyond_the_last)
{
	ck_assert_uint_eq(row(2, 0xb, 0xb, 0).leaf, 0xb);
	ck_assert_uint_eq(row(2, 0xa, 0xb, 0).leaf, UINT32_MAX);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("hv_vmm");

	tcase_add_loop_test(tc, cores_of_one_package, 0,
	    sizeof(counts) / sizeof(counts[0]));
	tcase_add_test(tc, no_leaf_beyond_the_last);
	return test_main("hv_vmm", tc);
}
