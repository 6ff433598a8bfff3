/* SPDX-License-Identifier: ISC */
/*
 * Backend `vmm`: how CPUID shows the vCPUs of a guest.  Leaves: AMD's
 * Architecture Programmer's Manual, volume 3, appendix E.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/vmm_uapi.h"
#include "vmm/hv_vmm.h"

#define L1_EBX_COUNT_SHIFT	16
#define L1_EDX_HTT		(1U << 28)	/* several, see CMP_LEGACY */
#define X1_ECX_CMP_LEGACY	(1U << 1)	/* they are cores */
#define X8_ECX_ID_BITS_SHIFT	12

/* Leaf 0xb: ECX 15-8 */
#define LEVEL_THREAD		(1U << 8)
#define LEVEL_CORE		(2U << 8)

static struct vmm_cpuid_entry *
find(struct vmm_cpuid *t, uint32_t leaf)
{
	uint32_t i;

	for (i = 0; i < t->count; i++)
		if (t->entry[i].leaf == leaf)
			return &t->entry[i];
	return NULL;
}

/* Bits of an APIC id that tell `n` cores apart. */
static unsigned
id_bits(unsigned n)
{
	unsigned bits = 0;

	while (1U << bits < n)
		bits++;
	return bits;
}

static void
add_level(struct vmm_cpuid *t, uint32_t level, uint32_t shift, uint32_t n)
{
	assert(t->count < VMM_MAX_CPUID);
	t->entry[t->count++] = (struct vmm_cpuid_entry){
		.leaf = 0xb,
		.subleaf = level == LEVEL_THREAD ? 0 : 1,
		.flags = VMM_CPUID_SUBLEAF,
		.eax = shift,
		.ebx = n,
		.ecx = level | (level == LEVEL_THREAD ? 0 : 1),
	};
}

void
hv_vmm_topology(struct vmm_cpuid *t, unsigned ncpus)
{
	struct vmm_cpuid_entry *e;

	e = find(t, 1);
	if (e != NULL) {
		e->ebx |= ncpus << L1_EBX_COUNT_SHIFT;
		if (ncpus > 1)
			e->edx |= L1_EDX_HTT;
	}
	e = find(t, 0x80000001);
	if (e != NULL && ncpus > 1)
		e->ecx |= X1_ECX_CMP_LEGACY;
	e = find(t, 0x80000008);
	if (e != NULL)
		e->ecx = (ncpus - 1) |
		    id_bits(ncpus) << X8_ECX_ID_BITS_SHIFT;
	e = find(t, 0);
	if (e != NULL && e->eax >= 0xb) {
		add_level(t, LEVEL_THREAD, 0, 1);
		add_level(t, LEVEL_CORE, id_bits(ncpus), ncpus);
	}
}
