// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * CPUID: the table of what this host and driver can give to a guest, and the
 * instruction, answered from the table of its VM.
 */
#include <linux/bits.h>
#include <linux/minmax.h>
#include <asm/cpufeatures.h>
#include <asm/kvm_para.h>
#include <asm/processor.h>
#include <asm/tsc.h>

#include "vmm.h"

#define F(x)		BIT((x) & 31)

/*
 * The features a guest may see, where the host has them: instructions that
 * need nothing of the driver but the registers it already switches.  Left
 * out with the reason in doc/security.md: all that needs more MSRs,
 * performance counters, or state beyond XSAVE's first parts.
 */
#define LEAF_1_ECX							\
	(F(X86_FEATURE_XMM3) | F(X86_FEATURE_PCLMULQDQ) |		\
	 F(X86_FEATURE_SSSE3) | F(X86_FEATURE_FMA) | F(X86_FEATURE_CX16) | \
	 F(X86_FEATURE_PCID) | F(X86_FEATURE_XMM4_1) |			\
	 F(X86_FEATURE_XMM4_2) | F(X86_FEATURE_MOVBE) |			\
	 F(X86_FEATURE_POPCNT) | F(X86_FEATURE_AES) |			\
	 F(X86_FEATURE_XSAVE) | F(X86_FEATURE_AVX) |			\
	 F(X86_FEATURE_F16C) | F(X86_FEATURE_RDRAND))
#define LEAF_1_EDX							\
	(F(X86_FEATURE_FPU) | F(X86_FEATURE_VME) | F(X86_FEATURE_DE) |	\
	 F(X86_FEATURE_PSE) | F(X86_FEATURE_TSC) | F(X86_FEATURE_MSR) |	\
	 F(X86_FEATURE_PAE) | F(X86_FEATURE_CX8) | F(X86_FEATURE_SEP) |	\
	 F(X86_FEATURE_PGE) | F(X86_FEATURE_CMOV) | F(X86_FEATURE_PAT) | \
	 F(X86_FEATURE_PSE36) | F(X86_FEATURE_CLFLUSH) |		\
	 F(X86_FEATURE_MMX) | F(X86_FEATURE_FXSR) | F(X86_FEATURE_XMM) | \
	 F(X86_FEATURE_XMM2))
/* What the driver has, whatever the host does. */
#define LEAF_1_ECX_OURS							\
	(F(X86_FEATURE_X2APIC) | F(X86_FEATURE_TSC_DEADLINE_TIMER) |	\
	 F(X86_FEATURE_HYPERVISOR))
#define LEAF_7_EBX							\
	(F(X86_FEATURE_FSGSBASE) | F(X86_FEATURE_BMI1) |		\
	 F(X86_FEATURE_AVX2) | F(X86_FEATURE_SMEP) |			\
	 F(X86_FEATURE_BMI2) | F(X86_FEATURE_ERMS) |			\
	 F(X86_FEATURE_AVX512F) | F(X86_FEATURE_AVX512DQ) |		\
	 F(X86_FEATURE_RDSEED) | F(X86_FEATURE_ADX) |			\
	 F(X86_FEATURE_SMAP) | F(X86_FEATURE_AVX512IFMA) |		\
	 F(X86_FEATURE_CLFLUSHOPT) | F(X86_FEATURE_CLWB) |		\
	 F(X86_FEATURE_AVX512CD) | F(X86_FEATURE_SHA_NI) |		\
	 F(X86_FEATURE_AVX512BW) | F(X86_FEATURE_AVX512VL))
#define LEAF_7_ECX							\
	(F(X86_FEATURE_AVX512VBMI) | F(X86_FEATURE_UMIP) |		\
	 F(X86_FEATURE_AVX512_VBMI2) | F(X86_FEATURE_GFNI) |		\
	 F(X86_FEATURE_VAES) | F(X86_FEATURE_VPCLMULQDQ) |		\
	 F(X86_FEATURE_AVX512_VNNI) | F(X86_FEATURE_AVX512_BITALG) |	\
	 F(X86_FEATURE_AVX512_VPOPCNTDQ))
#define LEAF_7_EDX	(F(X86_FEATURE_FSRM))
#define LEAF_80000001_ECX						\
	(F(X86_FEATURE_LAHF_LM) | F(X86_FEATURE_ABM) |			\
	 F(X86_FEATURE_SSE4A) | F(X86_FEATURE_MISALIGNSSE) |		\
	 F(X86_FEATURE_3DNOWPREFETCH))
/* EDX repeats leaf 1 on AMD; these are its own. */
#define LEAF_80000001_EDX						\
	(F(X86_FEATURE_SYSCALL) | F(X86_FEATURE_NX) |			\
	 F(X86_FEATURE_MMXEXT) | F(X86_FEATURE_FXSR_OPT) |		\
	 F(X86_FEATURE_GBPAGES) | F(X86_FEATURE_LM))
#define LEAF_80000001_EDX_COMMON	(LEAF_1_EDX & 0x0183f3ff)
#define LEAF_80000008_EBX	(F(X86_FEATURE_CLZERO))

#define XSAVE_1_EAX	(F(X86_FEATURE_XSAVEOPT) | F(X86_FEATURE_XGETBV1))

/* "KVMKVMKVM" */
#define PV_SIGNATURE_EBX	0x4b4d564b
#define PV_SIGNATURE_ECX	0x564b4d56
#define PV_SIGNATURE_EDX	0x0000004d
#define PV_FEATURES							\
	(BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_CLOCKSOURCE2) | \
	 BIT(KVM_FEATURE_NOP_IO_DELAY) | BIT(KVM_FEATURE_PV_EOI) |	\
	 BIT(KVM_FEATURE_PV_UNHALT))

/* The leaf of frequencies, VMware's, which other hypervisors took over. */
#define PV_FREQUENCY	0x40000010
#define APIC_KHZ	1000000

#define CPUID_1_ECX_OSXSAVE	BIT(27)

static struct vmm_cpuid_entry *add(struct vmm_cpuid *c, u32 leaf, u32 subleaf,
				   u32 flags)
{
	struct vmm_cpuid_entry *e = &c->entry[c->count++];

	*e = (struct vmm_cpuid_entry){
		.leaf = leaf, .subleaf = subleaf, .flags = flags
	};
	cpuid_count(leaf, subleaf, &e->eax, &e->ebx, &e->ecx, &e->edx);
	return e;
}

static void add_basic(struct vmm_cpuid *c)
{
	struct vmm_cpuid_entry *e;
	u32 max;

	e = add(c, 0, 0, 0);
	e->eax = max = min(e->eax, 0xdU);

	e = add(c, 1, 0, 0);
	e->ebx &= 0x0000ff00;		/* CLFLUSH size; one CPU */
	e->ecx = (e->ecx & LEAF_1_ECX) | LEAF_1_ECX_OURS;
	e->edx = (e->edx & LEAF_1_EDX) | F(X86_FEATURE_APIC);

	if (max >= 6) {
		e = add(c, 6, 0, 0);
		e->eax = F(X86_FEATURE_ARAT);
		e->ebx = e->ecx = e->edx = 0;
	}
	if (max < 7)
		return;
	e = add(c, 7, 0, VMM_CPUID_SUBLEAF);
	e->eax = 0;
	e->ebx &= LEAF_7_EBX;
	e->ecx &= LEAF_7_ECX;
	e->edx &= LEAF_7_EDX;
}

static void add_xsave(struct vmm_cpuid *c)
{
	u64 mask = fpu_supported();
	struct vmm_cpuid_entry *e;
	int i;

	e = add(c, 0xd, 0, VMM_CPUID_SUBLEAF);
	e->eax = mask;
	e->edx = mask >> 32;
	e = add(c, 0xd, 1, VMM_CPUID_SUBLEAF);
	e->eax &= XSAVE_1_EAX;
	e->ebx = e->ecx = e->edx = 0;
	for (i = 2; i < 63; i++)
		if (mask & BIT_ULL(i))
			add(c, 0xd, i, VMM_CPUID_SUBLEAF);
}

static void add_paravirt(struct vmm_cpuid *c)
{
	struct vmm_cpuid_entry *e;

	e = &c->entry[c->count++];
	*e = (struct vmm_cpuid_entry){
		.leaf = KVM_CPUID_SIGNATURE, .eax = PV_FREQUENCY,
		.ebx = PV_SIGNATURE_EBX, .ecx = PV_SIGNATURE_ECX,
		.edx = PV_SIGNATURE_EDX,
	};
	e = &c->entry[c->count++];
	*e = (struct vmm_cpuid_entry){
		.leaf = KVM_CPUID_FEATURES, .eax = PV_FEATURES
	};
	if (!check_tsc_unstable())
		e->eax |= BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT);
	if (steal_supported())
		e->eax |= BIT(KVM_FEATURE_STEAL_TIME);
	e = &c->entry[c->count++];
	*e = (struct vmm_cpuid_entry){
		.leaf = PV_FREQUENCY, .eax = tsc_khz, .ebx = APIC_KHZ
	};
}

static void add_extended(struct vmm_cpuid *c)
{
	struct vmm_cpuid_entry *e;
	u32 max, leaf;

	e = add(c, 0x80000000, 0, 0);
	e->eax = max = min(e->eax, 0x80000008U);
	for (leaf = 0x80000001; leaf <= max; leaf++) {
		e = add(c, leaf, 0, 0);
		switch (leaf) {
		case 0x80000001:
			e->ecx &= LEAF_80000001_ECX;
			e->edx &= LEAF_80000001_EDX | LEAF_80000001_EDX_COMMON;
			break;
		case 0x80000007:
			/*
			 * Not even the invariant TSC: a guest would prefer it
			 * to the paravirtual clock, which follows the host's.
			 */
			e->eax = e->ebx = e->ecx = e->edx = 0;
			break;
		case 0x80000008:
			/* Physical and linear address bits; one core. */
			e->eax = (e->eax & 0xff00) |
				 min(e->eax & 0xff, (u32)VMM_GPA_BITS);
			e->ebx &= LEAF_80000008_EBX;
			e->ecx = e->edx = 0;
			break;
		}
	}
}

void cpuid_supported(struct vmm_cpuid *c)
{
	c->count = 0;
	add_basic(c);
	if (c->entry[0].eax >= 0xd)
		add_xsave(c);
	add_paravirt(c);
	add_extended(c);
}

static const struct vmm_cpuid_entry *find(const struct vm *vm, u32 leaf,
					  u32 subleaf)
{
	const struct vmm_cpuid_entry *e = vm->cpuid;
	unsigned int i;

	for (i = 0; i < vm->ncpuid; i++, e++)
		if (e->leaf == leaf && (!(e->flags & VMM_CPUID_SUBLEAF) ||
					e->subleaf == subleaf))
			return e;
	return NULL;
}

bool cpuid_has_unhalt(const struct vm *vm)
{
	const struct vmm_cpuid_entry *e = find(vm, KVM_CPUID_FEATURES, 0);

	return e && (e->eax & BIT(KVM_FEATURE_PV_UNHALT));
}

/* In `flags` of a row: fix() has something to do. */
#define ROW_FIX		BIT(31)

void cpuid_prepare(struct vmm_cpuid_entry *e, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++)
		switch (e[i].leaf) {
		case 1:
		case 0xb:
		case 0xd:
		case 0x1f:
		case 0x8000001e:
			e[i].flags |= ROW_FIX;
		}
}

/* What is this vCPU's own, or depends on its registers. */
static void fix(struct vcpu *v, struct vmm_cpuid_entry *r)
{
	switch (r->leaf) {
	case 1:
		r->ebx = (r->ebx & 0xffffff) | v->id << 24;
		if (lapic_mode(&v->lapic) == LAPIC_OFF)
			r->edx &= ~F(X86_FEATURE_APIC);
		if (vmm_cpu->cr4(v) & X86_CR4_OSXSAVE)
			r->ecx |= CPUID_1_ECX_OSXSAVE;
		break;
	case 0xb:
	case 0x1f:
		r->edx = v->id;
		break;
	case 0xd:
		fpu_fix_cpuid(v, r);
		break;
	case 0x8000001e:
		r->eax = v->id;
		r->ebx = (r->ebx & ~0xffU) | v->id;
		break;
	}
}

void cpuid_exec(struct vcpu *v)
{
	u32 leaf = vmm_cpu->rax(v), subleaf = v->gpr[VMM_RCX];
	const struct vmm_cpuid_entry *e = find(v->vm, leaf, subleaf);
	struct vmm_cpuid_entry r = { 0 };

	if (e)
		r = *e;
	if (r.flags & ROW_FIX)
		fix(v, &r);
	vmm_cpu->set_rax(v, r.eax);
	v->gpr[VMM_RBX] = r.ebx;
	v->gpr[VMM_RCX] = r.ecx;
	v->gpr[VMM_RDX] = r.edx;
}
