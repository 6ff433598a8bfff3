/* SPDX-License-Identifier: ISC */
/*
 * The processor a guest sees on the KVM backend: what KVM supports, less what
 * this machine has no device for, with the topology of one vCPU.
 *
 * Pure; any thread.  Leaves and bits are those of Intel's SDM volume 2
 * (CPUID) and AMD's APM volume 3, appendix E; 0x4000_000x is KVM's own.
 */
#include <linux/kvm.h>
#include <linux/kvm_para.h>

#include <stdint.h>

#include "vmm/hv_kvm.h"

#define BIT(n)	(UINT32_C(1) << (n))

/* Leaf 1. */
#define L1_EBX_KEEP	UINT32_C(0x0000ffff)	/* brand, CLFLUSH size */
#define L1_EBX_ONE_CPU	UINT32_C(0x00010000)
#define L1_ECX_MONITOR	BIT(3)
#define L1_ECX_VMX	BIT(5)
#define L1_ECX_PDCM	BIT(15)
#define L1_ECX_X2APIC	BIT(21)
#define L1_ECX_DEADLINE	BIT(24)
#define L1_ECX_HYPERV	BIT(31)		/* leaf 0x40000000 is there */
#define L1_EDX_APIC	BIT(9)
#define L1_EDX_HTT	BIT(28)

/* Leaves 4 and 0x8000001d: processors that share a cache, cores. */
#define CACHE_SHARING	UINT32_C(0x03ffc000)
#define CACHE_CORES	UINT32_C(0xfc000000)	/* leaf 4 only */

/* Leaf 0x80000001. */
#define X1_ECX_CMP_LEG	BIT(1)
#define X1_ECX_SVM	BIT(2)
#define X1_ECX_EXTAPIC	BIT(3)
#define X1_ECX_IBS	BIT(10)
#define X1_ECX_PERFCTR	BIT(23)
#define X1_EDX_APIC	BIT(9)

#define PV_FEATURES	(BIT(KVM_FEATURE_CLOCKSOURCE) | \
			    BIT(KVM_FEATURE_NOP_IO_DELAY) | \
			    BIT(KVM_FEATURE_CLOCKSOURCE2) | \
			    BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT))

static void
clear(struct kvm_cpuid_entry2 *e)
{
	e->eax = e->ebx = e->ecx = e->edx = 0;
}

static void
filter_features(struct kvm_cpuid_entry2 *e)
{
	e->ebx = (e->ebx & L1_EBX_KEEP) | L1_EBX_ONE_CPU;
	e->ecx &= ~(L1_ECX_MONITOR | L1_ECX_VMX | L1_ECX_PDCM |
	    L1_ECX_X2APIC | L1_ECX_DEADLINE);
	e->ecx |= L1_ECX_HYPERV;
	e->edx &= ~(L1_EDX_APIC | L1_EDX_HTT);
}

static void
filter_entry(struct kvm_cpuid_entry2 *e)
{
	switch (e->function) {
	case 0x1:
		filter_features(e);
		break;
	case 0x4:
		e->eax &= ~(CACHE_SHARING | CACHE_CORES);
		break;
	case 0x5:		/* MONITOR */
	case 0xa:		/* performance counters */
	case 0x8000000a:	/* SVM */
	case 0x80000022:	/* performance counters */
		clear(e);
		break;
	case 0xb:
	case 0x1f:		/* no levels: leaf 1 says it all */
		clear(e);
		e->ecx = e->index;
		break;
	case KVM_CPUID_FEATURES:
		e->eax &= PV_FEATURES;
		e->edx = 0;
		break;
	case 0x80000001:
		e->ecx &= ~(X1_ECX_CMP_LEG | X1_ECX_SVM | X1_ECX_EXTAPIC |
		    X1_ECX_IBS | X1_ECX_PERFCTR);
		e->edx &= ~X1_EDX_APIC;
		break;
	case 0x80000008:
		e->ecx = 0;	/* one core */
		break;
	case 0x8000001d:
		e->eax &= ~CACHE_SHARING;
		break;
	case 0x8000001e:
		clear(e);	/* core 0, one thread a core, node 0 of 1 */
		break;
	}
}

uint64_t
hv_kvm_cpuid_xcr0(const struct kvm_cpuid2 *table)
{
	const struct kvm_cpuid_entry2 *e;
	uint32_t i;

	for (i = 0; i < table->nent; i++) {
		e = &table->entries[i];
		if (e->function == 0xd && e->index == 0)
			return (uint64_t)e->edx << 32 | e->eax;
	}
	return 0;
}

void
hv_kvm_filter_cpuid(struct kvm_cpuid2 *table)
{
	uint32_t i;

	for (i = 0; i < table->nent; i++)
		filter_entry(&table->entries[i]);
}
