// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The guest's FPU, SSE and AVX registers: on the CPU between fpu_load() and
 * fpu_put(), which also keep preemption off; in an XSAVE area otherwise.
 */
#define pr_fmt(fmt) "vmm: " fmt

#include <linux/mm.h>
#include <linux/slab.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/fpu/types.h>
#include <asm/processor.h>
#include <asm/special_insns.h>

#include "vmm.h"

/* PKRU is left out: the CPU kind keeps the host's. */
#define FPU_MASK	(XFEATURE_MASK_FPSSE | XFEATURE_MASK_YMM | \
			 XFEATURE_MASK_AVX512)

#define XCR0		0
#define CPUID_XSAVE	0xd
#define XSAVE_LEGACY	(512 + 64)	/* legacy region and header */

static u64 fpu_mask __ro_after_init;
static u64 fpu_host_xcr0 __ro_after_init;
static u64 fpu_host_xss __ro_after_init;
static size_t fpu_size __ro_after_init;

/* Bytes of an XSAVE area, standard format, for the features in `mask`. */
static u32 fpu_area_size(u64 mask)
{
	u32 size = XSAVE_LEGACY, eax, ebx, ecx, edx;
	int i;

	for (i = 2; i < 63; i++) {
		if (!(mask & BIT_ULL(i)))
			continue;
		cpuid_count(CPUID_XSAVE, i, &eax, &ebx, &ecx, &edx);
		size = max(size, ebx + eax);
	}
	return size;
}

int __init fpu_init(void)
{
	if (!boot_cpu_has(X86_FEATURE_OSXSAVE)) {
		pr_err("this CPU has no XSAVE, or the kernel runs with noxsave: a CPU made since 2011 is needed\n");
		return -EOPNOTSUPP;
	}
	fpu_host_xcr0 = xgetbv(XCR0);
	fpu_mask = fpu_host_xcr0 & FPU_MASK;
	fpu_size = fpu_area_size(fpu_mask);
	if (boot_cpu_has(X86_FEATURE_XSAVES))
		rdmsrl(MSR_IA32_XSS, fpu_host_xss);
	return 0;
}

u64 fpu_supported(void)
{
	return fpu_mask;
}

bool fpu_xcr0_valid(u64 xcr0)
{
	u64 avx512 = xcr0 & XFEATURE_MASK_AVX512;

	if (xcr0 & ~fpu_mask || !(xcr0 & XFEATURE_MASK_FP))
		return false;
	if ((xcr0 & XFEATURE_MASK_YMM) && !(xcr0 & XFEATURE_MASK_SSE))
		return false;
	return !avx512 || (avx512 == XFEATURE_MASK_AVX512 &&
			   (xcr0 & XFEATURE_MASK_YMM));
}

void *fpu_alloc(void)
{
	struct xregs_state *x;

	/* Power-of-two sizes of kmalloc() are aligned to themselves. */
	x = kzalloc(roundup_pow_of_two(fpu_size), GFP_KERNEL_ACCOUNT);
	if (!x)
		return NULL;
	x->i387.cwd = 0x37f;
	x->i387.mxcsr = MXCSR_DEFAULT;
	x->header.xfeatures = XFEATURE_MASK_FPSSE;
	return x;
}

void fpu_free(void *fpu)
{
	kfree(fpu);
}

void fpu_load(struct vcpu *v)
{
	struct xregs_state *x = v->fpu;
	const u32 zero = 0;

	kernel_fpu_begin_mask(0);
	/* Some AMD CPUs restore FIP, FDP and FOP only after an exception. */
	if (static_cpu_has_bug(X86_BUG_FXSAVE_LEAK))
		asm volatile("fnclex; emms; fildl %0" : : "m" (zero));
	asm volatile("xrstor64 %0"
		     : : "m" (*x), "a" ((u32)fpu_mask),
			 "d" ((u32)(fpu_mask >> 32)) : "memory");
	if (v->xcr0 != fpu_host_xcr0)
		xsetbv(XCR0, v->xcr0);
	/* No intercept keeps a guest from XSAVES: let it find nothing. */
	if (fpu_host_xss)
		wrmsrl(MSR_IA32_XSS, 0);
}

/*
 * Some emulated CPUs let a guest run XSETBV in spite of the intercept: what
 * the CPU says is the truth.
 */
static void fpu_sync(struct vcpu *v)
{
	v->xcr0 = xgetbv(XCR0);
}

void fpu_put(struct vcpu *v)
{
	struct xregs_state *x = v->fpu;

	fpu_sync(v);
	if (fpu_host_xss)
		wrmsrl(MSR_IA32_XSS, fpu_host_xss);
	if (v->xcr0 != fpu_host_xcr0)
		xsetbv(XCR0, fpu_host_xcr0);
	asm volatile("xsave64 %0"
		     : "+m" (*x)
		     : "a" ((u32)fpu_mask), "d" ((u32)(fpu_mask >> 32))
		     : "memory");
	kernel_fpu_end();
}

/*
 * The part of leaf 0xd that depends on what the guest has switched on; its FPU
 * is on the CPU.
 */
void fpu_fix_cpuid(struct vcpu *v, struct vmm_cpuid_entry *e)
{
	if (e->leaf == CPUID_XSAVE && e->subleaf == 0) {
		fpu_sync(v);
		e->ebx = fpu_area_size(v->xcr0);
	}
}
