/* SPDX-License-Identifier: ISC */
/*
 * KVM backend: the CPUID table a guest gets, and the guest of the probe.
 */
#include <linux/kvm.h>
#include <linux/kvm_para.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "devices/gmem.h"
#include "testhost.h"
#include "vmm/hv.h"
#include "vmm/hv_kvm.h"

#define ALL	UINT32_C(0xffffffff)

/* One leaf of all ones, filtered. */
static struct kvm_cpuid_entry2
filter(uint32_t function, uint32_t index)
{
	struct kvm_cpuid2 *t;
	struct kvm_cpuid_entry2 e = {
		.function = function, .index = index,
		.eax = ALL, .ebx = ALL, .ecx = ALL, .edx = ALL,
	};

	t = calloc(1, sizeof(*t) + sizeof(e));
	t->nent = 1;
	t->entries[0] = e;
	hv_kvm_filter_cpuid(t);
	e = t->entries[0];
	free(t);
	return e;
}

/* No local APIC in any form, no virtualization, a hypervisor. */
START_TEST(no_local_apic)
{
	struct kvm_cpuid_entry2 e = filter(1, 0);

	ck_assert_uint_eq(e.edx >> 9 & 1, 0);	/* APIC */
	ck_assert_uint_eq(e.ecx >> 21 & 1, 0);	/* x2APIC */
	ck_assert_uint_eq(e.ecx >> 24 & 1, 0);	/* TSC deadline */
	ck_assert_uint_eq(e.ecx >> 5 & 1, 0);	/* VMX */
	ck_assert_uint_eq(e.ecx >> 3 & 1, 0);	/* MONITOR */
	ck_assert_uint_eq(e.ecx >> 31 & 1, 1);	/* hypervisor */
	ck_assert_uint_eq(e.edx & 1, 1);	/* the FPU stays */
	e = filter(0x80000001, 0);
	ck_assert_uint_eq(e.edx >> 9 & 1, 0);	/* APIC */
	ck_assert_uint_eq(e.ecx >> 3 & 1, 0);	/* extended APIC space */
	ck_assert_uint_eq(e.ecx >> 2 & 1, 0);	/* SVM */
	ck_assert_uint_eq(e.edx >> 29 & 1, 1);	/* long mode stays */
}
END_TEST

/* Every leaf that counts processors says one. */
START_TEST(one_processor)
{
	ck_assert_uint_eq(filter(1, 0).edx >> 28 & 1, 0);
	ck_assert_uint_eq(filter(1, 0).ebx, 0x0001ffff);
	ck_assert_uint_eq(filter(4, 0).eax >> 14, 0);
	ck_assert_uint_eq(filter(4, 3).eax & 0x3fff, 0x3fff);
	ck_assert_uint_eq(filter(0xb, 1).ebx, 0);
	ck_assert_uint_eq(filter(0xb, 1).ecx, 1);
	ck_assert_uint_eq(filter(0x1f, 0).ebx, 0);
	ck_assert_uint_eq(filter(0x80000008, 0).ecx, 0);
	ck_assert_uint_eq(filter(0x80000008, 0).eax, ALL);
	ck_assert_uint_eq(filter(0x8000001d, 0).eax, ~0x03ffc000u);
	ck_assert_uint_eq(filter(0x8000001e, 0).ebx, 0);
}
END_TEST

/* Of KVM's own features the clock, and nothing that needs a local APIC. */
START_TEST(paravirtual_clock_only)
{
	struct kvm_cpuid_entry2 e = filter(KVM_CPUID_FEATURES, 0);

	ck_assert_uint_eq(e.eax, 1u << 0 | 1u << 1 | 1u << 3 | 1u << 24);
	ck_assert_uint_eq(e.edx, 0);
	ck_assert_uint_eq(filter(KVM_CPUID_SIGNATURE, 0).ebx, ALL);
}
END_TEST

START_TEST(no_performance_counters)
{
	ck_assert_uint_eq(filter(0xa, 0).eax, 0);
	ck_assert_uint_eq(filter(0x80000022, 0).eax, 0);
	ck_assert_uint_eq(filter(0x8000000a, 0).eax, 0);
}
END_TEST

/* XCR0's bits are those of the first subleaf. */
START_TEST(xcr0_from_leaf_d)
{
	struct kvm_cpuid2 *t;

	t = calloc(1, sizeof(*t) + 2 * sizeof(t->entries[0]));
	ck_assert_uint_eq(hv_kvm_cpuid_xcr0(t), 0);
	t->nent = 2;
	t->entries[0] = (struct kvm_cpuid_entry2){
		.function = 0xd, .index = 1, .eax = 5,
	};
	t->entries[1] = (struct kvm_cpuid_entry2){
		.function = 0xd, .index = 0, .eax = 7, .edx = 1,
	};
	ck_assert_uint_eq(hv_kvm_cpuid_xcr0(t), 0x100000007);
	free(t);
}
END_TEST

/* Only the OUT that was asked for shows that guests run. */
START_TEST(verdict_of_the_probe)
{
	struct hv_exit e = {
		.kind = HV_EXIT_IO, .io = { .port = 0x80, .size = 1 },
	};
	char err[200] = "";

	ck_assert_int_eq(hv_kvm_probe_verdict(&e, err, sizeof(err)), 0);
	e.io.port = 0x81;
	ck_assert_int_eq(hv_kvm_probe_verdict(&e, err, sizeof(err)), -ENOTSUP);
	e.io.port = 0x80;
	e.io.in = true;
	ck_assert_int_eq(hv_kvm_probe_verdict(&e, err, sizeof(err)), -ENOTSUP);
	e.kind = HV_EXIT_SHUTDOWN;
	ck_assert_int_eq(hv_kvm_probe_verdict(&e, err, sizeof(err)), -ENOTSUP);
	ck_assert_str_eq(err, "backend kvm: /dev/kvm does not run guests: "
	    "the first instruction of one fails");
	e.kind = HV_EXIT_NONE;
	ck_assert_int_eq(hv_kvm_probe_verdict(&e, err, sizeof(err)), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err, "does not end"));
	e.kind = HV_EXIT_ERROR;
	strcpy(e.msg, "KVM_RUN: Bad address");
	ck_assert_int_eq(hv_kvm_probe_verdict(&e, err, sizeof(err)), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err, "guests: KVM_RUN: Bad address"));
}
END_TEST

/* The page leads from the registers to the instruction, as a CPU walks it. */
START_TEST(page_of_the_probe)
{
	struct gmem_range r;
	struct hv_regs regs;
	uint64_t table = 0, *entry;
	int shift;

	ck_assert_int_eq(hv_kvm_probe_page(&r), 0);
	hv_kvm_probe_regs(&regs);
	ck_assert_uint_eq(r.size, 4096);
	table = regs.cr3;
	for (shift = 39; shift >= 21; shift -= 9) {
		ck_assert_uint_eq(table, 0);
		entry = (uint64_t *)r.hva + (regs.rip >> shift & 511);
		ck_assert_uint_eq(*entry & 1, 1);
		ck_assert_uint_eq(*entry >> 7 & 1, shift == 21);
		table = *entry & ~UINT64_C(0xfff);
	}
	ck_assert_uint_eq(table, 0);
	ck_assert_mem_eq((char *)r.hva + (regs.rip & 0xfff), "\xe6\x80", 2);
	munmap(r.hva, r.size);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("hv_kvm");

	tcase_add_test(tc, no_local_apic);
	tcase_add_test(tc, one_processor);
	tcase_add_test(tc, paravirtual_clock_only);
	tcase_add_test(tc, no_performance_counters);
	tcase_add_test(tc, xcr0_from_leaf_d);
	tcase_add_test(tc, verdict_of_the_probe);
	tcase_add_test(tc, page_of_the_probe);
	return test_main("hv_kvm", tc);
}
