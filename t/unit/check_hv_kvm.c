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

#define AMD	UINT32_C(0x68747541)	/* "Auth" */
#define INTEL	UINT32_C(0x756e6547)	/* "Genu" */

static struct kvm_cpuid2 *
new_table(void)
{
	return calloc(1, sizeof(struct kvm_cpuid2) +
	    HV_KVM_CPUID_MAX * sizeof(struct kvm_cpuid_entry2));
}

static struct kvm_cpuid_entry2
find(const struct kvm_cpuid2 *t, uint32_t function, uint32_t index)
{
	uint32_t i;

	for (i = 0; i < t->nent; i++)
		if (t->entries[i].function == function &&
		    t->entries[i].index == index)
			return t->entries[i];
	ck_abort_msg("no leaf %#x.%u", function, index);
}

/* One leaf, of vCPU `id` of `n`, made of the given EAX and all ones. */
static struct kvm_cpuid_entry2
leaf(uint32_t vendor, unsigned n, unsigned id, uint32_t function,
    uint32_t eax)
{
	struct kvm_cpuid2 *t = new_table();
	struct kvm_cpuid_entry2 e = {
		.function = function,
		.eax = eax, .ebx = ALL, .ecx = ALL, .edx = ALL,
	};

	t->nent = 2;
	t->entries[0].ebx = vendor;
	t->entries[1] = e;
	ck_assert_int_eq(hv_kvm_make_cpuid(t, n, id, true), 0);
	e = find(t, function, 0);
	free(t);
	return e;
}

static struct kvm_cpuid_entry2
filter(uint32_t function)
{
	return leaf(AMD, 1, 0, function, ALL);
}

/* The local APIC, no virtualization, a hypervisor. */
START_TEST(local_apic)
{
	struct kvm_cpuid_entry2 e = filter(1);
	struct kvm_cpuid2 *t = new_table();

	ck_assert_uint_eq(e.edx >> 9 & 1, 1);	/* APIC */
	ck_assert_uint_eq(e.ecx >> 21 & 1, 1);	/* x2APIC */
	ck_assert_uint_eq(e.ecx >> 24 & 1, 1);	/* TSC deadline */
	ck_assert_uint_eq(e.ecx >> 5 & 1, 0);	/* VMX */
	ck_assert_uint_eq(e.ecx >> 3 & 1, 0);	/* MONITOR */
	ck_assert_uint_eq(e.ecx >> 31 & 1, 1);	/* hypervisor */
	ck_assert_uint_eq(e.edx & 1, 1);	/* the FPU stays */
	e = filter(0x80000001);
	ck_assert_uint_eq(e.edx >> 9 & 1, 1);	/* APIC */
	ck_assert_uint_eq(e.ecx >> 3 & 1, 0);	/* extended APIC space */
	ck_assert_uint_eq(e.ecx >> 2 & 1, 0);	/* SVM */
	ck_assert_uint_eq(e.edx >> 29 & 1, 1);	/* long mode stays */
	/* The timer's mode is KVM's word, which its table does not have. */
	t->nent = 2;
	t->entries[1].function = 1;
	ck_assert_int_eq(hv_kvm_make_cpuid(t, 1, 0, true), 0);
	ck_assert_uint_eq(find(t, 1, 0).ecx >> 24 & 1, 1);
	ck_assert_int_eq(hv_kvm_make_cpuid(t, 1, 0, false), 0);
	ck_assert_uint_eq(find(t, 1, 0).ecx >> 24 & 1, 0);
	free(t);
}
END_TEST

/* Every leaf that counts processors says one. */
START_TEST(one_processor)
{
	ck_assert_uint_eq(filter(1).edx >> 28 & 1, 0);
	ck_assert_uint_eq(filter(1).ebx, 0x0001ffff);
	ck_assert_uint_eq(filter(4).eax, 0x3fff);
	ck_assert_uint_eq(filter(0x80000001).ecx >> 1 & 1, 0);
	ck_assert_uint_eq(filter(0x80000008).ecx, 0);
	ck_assert_uint_eq(filter(0x80000008).eax, ALL);
	ck_assert_uint_eq(filter(0x8000001d).eax, ~0x03ffc000u);
	ck_assert_uint_eq(filter(0x8000001e).ebx, 0);
}
END_TEST

/* Six cores: ids have three bits. */
START_TEST(several_processors)
{
	struct kvm_cpuid_entry2 e = leaf(AMD, 6, 5, 1, ALL);

	ck_assert_uint_eq(e.ebx, 0x0506ffff);
	ck_assert_uint_eq(e.edx >> 28 & 1, 1);
	ck_assert_uint_eq(leaf(AMD, 6, 5, 0x80000001, 0).ecx >> 1 & 1, 1);
	ck_assert_uint_eq(leaf(INTEL, 6, 5, 0x80000001, 0).ecx >> 1 & 1, 0);
	ck_assert_uint_eq(leaf(AMD, 6, 5, 0x80000008, 0).ecx, 0x3005);
	ck_assert_uint_eq(leaf(INTEL, 6, 5, 0x80000008, 0).ecx, 0);
	e = leaf(AMD, 6, 5, 0x8000001e, ALL);
	ck_assert_uint_eq(e.eax, 5);
	ck_assert_uint_eq(e.ebx, 5);
	ck_assert_uint_eq(e.ecx, 0);
	/* 64 are the most that leaf 4 can say. */
	ck_assert_uint_eq(leaf(INTEL, 64, 63, 4, 0x63).eax, 0xfc0fc063);
	ck_assert_uint_eq(leaf(AMD, 64, 63, 0x80000008, 0).ecx, 0x603f);
	ck_assert_uint_eq(leaf(AMD, 64, 63, 1, 0).ebx, 0x3f40ffff);
}
END_TEST

/* Caches are a core's own, but the last; the row that ends them stays. */
START_TEST(shared_caches)
{
	ck_assert_uint_eq(leaf(INTEL, 4, 0, 4, 0xffffc021).eax, 0x0c000021);
	ck_assert_uint_eq(leaf(INTEL, 4, 0, 4, 0x43).eax, 0x0c000043);
	ck_assert_uint_eq(leaf(INTEL, 4, 0, 4, 0x63).eax, 0x0c00c063);
	ck_assert_uint_eq(leaf(INTEL, 4, 0, 4, 0).eax, 0);
	ck_assert_uint_eq(leaf(AMD, 4, 0, 0x8000001d, 0x43).eax, 0x43);
	ck_assert_uint_eq(leaf(AMD, 4, 0, 0x8000001d, 0x63).eax, 0xc063);
}
END_TEST

/* Leaf 0xb is ours, whatever the host has, and leaf 0 leads to it. */
START_TEST(topology)
{
	struct kvm_cpuid_entry2 e;
	struct kvm_cpuid2 *t = new_table();
	uint32_t i;

	t->nent = 5;
	t->entries[0].eax = 7;
	for (i = 1; i < 4; i++) {
		t->entries[i].function = 0xb;
		t->entries[i].index = i - 1;
		t->entries[i].ebx = 32;
	}
	t->entries[4].function = 0x1f;
	ck_assert_int_eq(hv_kvm_make_cpuid(t, 6, 4, true), 0);
	ck_assert_uint_eq(t->nent, 4);
	ck_assert_uint_eq(find(t, 0, 0).eax, 0xb);
	e = find(t, 0xb, 0);
	ck_assert_uint_eq(e.eax, 0);
	ck_assert_uint_eq(e.ebx, 1);
	ck_assert_uint_eq(e.ecx, 0x100);
	ck_assert_uint_eq(e.edx, 4);
	ck_assert_uint_eq(e.flags, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
	e = find(t, 0xb, 1);
	ck_assert_uint_eq(e.eax, 3);
	ck_assert_uint_eq(e.ebx, 6);
	ck_assert_uint_eq(e.ecx, 0x201);
	ck_assert_uint_eq(e.edx, 4);
	e = find(t, 0xb, 2);
	ck_assert_uint_eq(e.eax | e.ebx, 0);
	ck_assert_uint_eq(e.ecx, 2);
	t->nent = HV_KVM_CPUID_MAX;
	for (i = 0; i < t->nent; i++)
		t->entries[i].function = 2;
	ck_assert_int_eq(hv_kvm_make_cpuid(t, 6, 4, true), -E2BIG);
	free(t);
}
END_TEST

/* Of KVM's own features the clock, steal time, EOI and kicks. */
START_TEST(paravirtual_features)
{
	struct kvm_cpuid_entry2 e = filter(KVM_CPUID_FEATURES);

	ck_assert_uint_eq(e.eax, 1u << 0 | 1u << 1 | 1u << 3 |
	    1u << 5 | 1u << 6 | 1u << 7 | 1u << 24);
	ck_assert_uint_eq(e.edx, 0);
	ck_assert_uint_eq(filter(KVM_CPUID_SIGNATURE).ebx, ALL);
}
END_TEST

/* The leaf of frequencies can be found; else guests are as they were. */
START_TEST(frequencies)
{
	struct kvm_cpuid2 *t = new_table();
	struct kvm_cpuid_entry2 e;

	t->nent = 1;
	t->entries[0].function = KVM_CPUID_SIGNATURE;
	t->entries[0].eax = KVM_CPUID_FEATURES;
	hv_kvm_cpuid_frequency(t, 2900123);
	ck_assert_uint_eq(t->nent, 2);
	ck_assert_uint_eq(find(t, KVM_CPUID_SIGNATURE, 0).eax, 0x40000010);
	e = find(t, 0x40000010, 0);
	ck_assert_uint_eq(e.eax, 2900123);
	ck_assert_uint_eq(e.ebx, 1000000);
	ck_assert_uint_eq(e.ecx | e.edx, 0);
	t->nent = HV_KVM_CPUID_MAX;
	t->entries[0].eax = KVM_CPUID_FEATURES;
	hv_kvm_cpuid_frequency(t, 2900123);
	ck_assert_uint_eq(t->nent, HV_KVM_CPUID_MAX);
	ck_assert_uint_eq(t->entries[0].eax, KVM_CPUID_FEATURES);
	free(t);
}
END_TEST

START_TEST(no_invariant_tsc)
{
	ck_assert_uint_eq(filter(0x80000007).edx, ALL & ~(1u << 8));
	ck_assert_uint_eq(filter(7).ebx, ALL & ~(1u << 1));	/* TSC_ADJUST */
}
END_TEST

START_TEST(no_performance_counters)
{
	ck_assert_uint_eq(filter(0xa).eax, 0);
	ck_assert_uint_eq(filter(0x80000022).eax, 0);
	ck_assert_uint_eq(filter(0x8000000a).eax, 0);
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

	tcase_add_test(tc, local_apic);
	tcase_add_test(tc, one_processor);
	tcase_add_test(tc, several_processors);
	tcase_add_test(tc, shared_caches);
	tcase_add_test(tc, topology);
	tcase_add_test(tc, paravirtual_features);
	tcase_add_test(tc, frequencies);
	tcase_add_test(tc, no_invariant_tsc);
	tcase_add_test(tc, no_performance_counters);
	tcase_add_test(tc, xcr0_from_leaf_d);
	tcase_add_test(tc, verdict_of_the_probe);
	tcase_add_test(tc, page_of_the_probe);
	return test_main("hv_kvm", tc);
}
