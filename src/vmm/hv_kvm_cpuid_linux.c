/* SPDX-License-Identifier: ISC */
/*
 * The processor a guest sees on the KVM backend: what KVM supports, less what
 * this machine has no device for, with the topology of its vCPUs: n of them are
 * the n cores of one package, with one thread each, and share the last cache.
 *
 * Pure; any thread.  Leaves and bits are those of Intel's SDM volume 2
 * (CPUID) and AMD's APM volume 3, appendix E; 0x4000_000x is KVM's own.
 */
#include <linux/kvm.h>
#include <linux/kvm_para.h>

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/hv_kvm.h"

#define BIT(n)	(UINT32_C(1) << (n))

/* Leaf 1. */
#define L1_EBX_KEEP	UINT32_C(0x0000ffff)	/* brand, CLFLUSH size */
#define L1_ECX_MONITOR	BIT(3)
#define L1_ECX_VMX	BIT(5)
#define L1_ECX_PDCM	BIT(15)
#define L1_ECX_DEADLINE	BIT(24)
#define L1_ECX_HYPERV	BIT(31)		/* leaf 0x40000000 is there */
#define L1_EDX_HTT	BIT(28)

/* Vendors, as EBX of leaf 0, with leaves of AMD's. */
#define VENDOR_AMD	UINT32_C(0x68747541)	/* "Auth" */
#define VENDOR_HYGON	UINT32_C(0x6f677948)	/* "Hygo" */

/* Leaves 4 and 0x8000001d: level, processors that share a cache, cores. */
#define CACHE_LEVEL(v)	((v) >> 5 & 7)
#define CACHE_LAST	3
#define CACHE_SHARING	UINT32_C(0x03ffc000)
#define CACHE_SHIFT	14
#define CACHE_CORES	UINT32_C(0xfc000000)	/* leaf 4 only */
#define CORES_SHIFT	26

/* Leaf 0xb: a subleaf's kind, in ECX. */
#define TOPOLOGY	0xb
#define TOPOLOGY_THREAD	UINT32_C(0x100)
#define TOPOLOGY_CORE	UINT32_C(0x200)

/* The leaf of frequencies, VMware's, which other hypervisors took over. */
#define PV_FREQUENCY	UINT32_C(0x40000010)
#define APIC_KHZ	UINT32_C(1000000)	/* of KVM's APIC timer */

/* Leaf 7. */
#define L7_EBX_TSC_ADJUST	BIT(1)

/* Leaf 0x80000001. */
#define X1_ECX_CMP_LEG	BIT(1)
#define X1_ECX_SVM	BIT(2)
#define X1_ECX_EXTAPIC	BIT(3)
#define X1_ECX_IBS	BIT(10)
#define X1_ECX_PERFCTR	BIT(23)

/* Leaf 0x80000007. */
#define X7_EDX_INVARIANT_TSC	BIT(8)

#define PV_FEATURES	(BIT(KVM_FEATURE_CLOCKSOURCE) | \
			    BIT(KVM_FEATURE_NOP_IO_DELAY) | \
			    BIT(KVM_FEATURE_CLOCKSOURCE2) | \
			    BIT(KVM_FEATURE_STEAL_TIME) | \
			    BIT(KVM_FEATURE_PV_EOI) | \
			    BIT(KVM_FEATURE_PV_UNHALT) | \
			    BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT))

/* Which vCPU a table is for. */
struct cpu {
	unsigned	id;		/* and its APIC's */
	unsigned	n;		/* in the guest */
	unsigned	bits;		/* of an id */
	bool		amd;
	bool		deadline;
};

static void
clear(struct kvm_cpuid_entry2 *e)
{
	e->eax = e->ebx = e->ecx = e->edx = 0;
}

static void
make_features(struct kvm_cpuid_entry2 *e, const struct cpu *c)
{
	e->ebx = (e->ebx & L1_EBX_KEEP) | c->n << 16 | c->id << 24;
	e->ecx &= ~(L1_ECX_MONITOR | L1_ECX_VMX | L1_ECX_PDCM |
	    L1_ECX_DEADLINE);
	e->ecx |= L1_ECX_HYPERV;
	if (c->deadline)
		e->ecx |= L1_ECX_DEADLINE;
	e->edx &= ~L1_EDX_HTT;
	if (c->n > 1)
		e->edx |= L1_EDX_HTT;
}

/* What is counted here are ids there could be, less one. */
static void
make_cache(struct kvm_cpuid_entry2 *e, const struct cpu *c)
{
	uint32_t others = (UINT32_C(1) << c->bits) - 1;
	uint32_t level = CACHE_LEVEL(e->eax);

	e->eax &= ~CACHE_SHARING;
	if (level >= CACHE_LAST)
		e->eax |= others << CACHE_SHIFT;
	if (e->function == 0x4 && level != 0)
		e->eax = (e->eax & ~CACHE_CORES) | others << CORES_SHIFT;
}

static void
make_amd_features(struct kvm_cpuid_entry2 *e, const struct cpu *c)
{
	e->ecx &= ~(X1_ECX_CMP_LEG | X1_ECX_SVM | X1_ECX_EXTAPIC |
	    X1_ECX_IBS | X1_ECX_PERFCTR);
	if (c->amd && c->n > 1)
		e->ecx |= X1_ECX_CMP_LEG;	/* HTT means cores */
}

static void
make_row(struct kvm_cpuid_entry2 *e, const struct cpu *c)
{
	switch (e->function) {
	case 0x0:
		if (e->eax < TOPOLOGY)
			e->eax = TOPOLOGY;
		break;
	case 0x1:
		make_features(e, c);
		break;
	case 0x4:
	case 0x8000001d:
		make_cache(e, c);
		break;
	case 0x7:
		/* Its TSC goes as the paravirtual clock takes it to go. */
		if (e->index == 0)
			e->ebx &= ~L7_EBX_TSC_ADJUST;
		break;
	case 0x5:		/* MONITOR */
	case 0xa:		/* performance counters */
	case 0x8000000a:	/* SVM */
	case 0x80000022:	/* performance counters */
		clear(e);
		break;
	case KVM_CPUID_FEATURES:
		e->eax &= PV_FEATURES;
		e->edx = 0;
		break;
	case 0x80000001:
		make_amd_features(e, c);
		break;
	case 0x80000007:
		/* A guest would prefer the TSC to the paravirtual clock. */
		e->edx &= ~X7_EDX_INVARIANT_TSC;
		break;
	case 0x80000008:
		e->ecx = c->amd ? c->bits << 12 | (c->n - 1) : 0;
		break;
	case 0x8000001e:	/* one thread a core, node 0 of 1 */
		clear(e);
		e->eax = e->ebx = c->id;
		break;
	}
}

/* Another host's topology, of which nothing may be left. */
static bool
is_foreign(const struct kvm_cpuid_entry2 *e)
{
	return e->function == TOPOLOGY || e->function == 0x1f;
}

/* The levels of leaf 0xb: thread, core, end. */
static int
add_topology(struct kvm_cpuid2 *table, const struct cpu *c)
{
	const struct kvm_cpuid_entry2 level[] = {
		{ .eax = 0, .ebx = 1, .ecx = TOPOLOGY_THREAD },
		{ .eax = c->bits, .ebx = c->n, .ecx = TOPOLOGY_CORE },
		{ .eax = 0 },
	};
	struct kvm_cpuid_entry2 *e = &table->entries[table->nent];
	uint32_t i;

	if (table->nent + 3 > HV_KVM_CPUID_MAX)
		return -E2BIG;
	for (i = 0; i < 3; i++, e++) {
		*e = level[i];
		e->function = TOPOLOGY;
		e->index = i;
		e->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		e->ecx |= i;
		e->edx = c->id;
	}
	table->nent += 3;
	return 0;
}

static bool
is_amd(const struct kvm_cpuid2 *table)
{
	const struct kvm_cpuid_entry2 *e;
	uint32_t i;

	for (i = 0; i < table->nent; i++) {
		e = &table->entries[i];
		if (e->function == 0)
			return e->ebx == VENDOR_AMD || e->ebx == VENDOR_HYGON;
	}
	return false;
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

int
hv_kvm_make_cpuid(struct kvm_cpuid2 *table, unsigned ncpus, unsigned id,
    bool deadline)
{
	struct cpu c = {
		.id = id, .n = ncpus, .amd = is_amd(table),
		.deadline = deadline,
	};
	uint32_t i, n = 0;

	while (1u << c.bits < ncpus)
		c.bits++;
	for (i = 0; i < table->nent; i++) {
		if (is_foreign(&table->entries[i]))
			continue;
		table->entries[n] = table->entries[i];
		make_row(&table->entries[n++], &c);
	}
	table->nent = n;
	return add_topology(table, &c);
}

void
hv_kvm_cpuid_frequency(struct kvm_cpuid2 *table, uint32_t tsc_khz)
{
	uint32_t i;

	if (table->nent == HV_KVM_CPUID_MAX)
		return;
	for (i = 0; i < table->nent; i++)
		if (table->entries[i].function == KVM_CPUID_SIGNATURE)
			table->entries[i].eax = PV_FREQUENCY;
	table->entries[table->nent++] = (struct kvm_cpuid_entry2){
		.function = PV_FREQUENCY, .eax = tsc_khz, .ebx = APIC_KHZ,
	};
}
