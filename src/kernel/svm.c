// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * AMD-V: what a CPU and a vCPU need to run guests with it.  Sections are
 * those of AMD's Architecture Programmer's Manual (APM), volume 2.
 */
#define pr_fmt(fmt) "vmm: " fmt

#include <linux/cc_platform.h>
#include <linux/gfp.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <asm/io.h>
#include <asm/msr.h>
#include <asm/processor.h>

#include "kcompat.h"
#include "svm.h"
#include "svm_caps.h"

#define SVM_ENTRY_TABLE	(_PAGE_PRESENT | _PAGE_RW | _PAGE_USER)
#define IOPM_ORDER	2		/* 12 KiB, rounded up */
#define MSRPM_ORDER	1		/* 8 KiB */

/* A loop of so many PAUSEs exits, with fewer cycles from each to the next. */
#define PAUSE_COUNT	3000
#define PAUSE_CYCLES	128

/* A host CPU; touched by itself with preemption off, or while it is down. */
struct svm_cpu {
	struct page	*hsave;		/* VM_HSAVE_PA: VMRUN's */
	struct page	*host;		/* VMSAVE's, what VMRUN leaves out */
	u64		 asid_gen;	/* never 0 */
	u32		 asid_next;
	u32		 asid_max;
	u64		 tsc_aux;	/* the host's, where RDPID is */
};

static DEFINE_PER_CPU(struct svm_cpu, svm_cpus);
static void *svm_iopm; /* I, every port exits */
static void *svm_msrpm;		/* I */
static u32 svm_edx __ro_after_init;	/* SVM_CAPS_EDX_*, what we use */

/*
 * MSRs that VMLOAD and VMSAVE switch, or the VMCB holds: the guest has them
 * for itself.
 */
static const u32 svm_direct_msrs[] = {
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK,
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
};

static int svm_check(void)
{
	const char *why;
	u64 vm_cr = 0;
	u32 ecx = 0, edx = 0;

	if (cpuid_eax(0x80000000) >= 0x80000001)
		ecx = cpuid_ecx(0x80000001);
	if (ecx & SVM_CAPS_ECX_SVM) {
		edx = cpuid_edx(SVM_CPUID_FUNC);
		rdmsrl_safe(MSR_VM_CR, &vm_cr);
	}
	why = svm_refusal(ecx, edx, vm_cr);
	if (!why && cc_platform_has(CC_ATTR_HOST_MEM_ENCRYPT))
		why = "memory encryption is on: boot the host with mem_encrypt=off";
	if (!why) {
		svm_edx = svm_features(edx);
		return 0;
	}
	pr_err("%s\n", why);
	return -EOPNOTSUPP;
}

bool svm_has(u32 feature)
{
	return svm_edx & feature;
}

/* Two bits an MSR, read and write; 15.11. */
static void svm_msrpm_allow(u32 msr)
{
	static const u32 first[] = { 0, 0xc0000000, 0xc0010000 };
	unsigned int i, bit;

	for (i = 0; i < ARRAY_SIZE(first); i++) {
		if (msr - first[i] >= 0x2000)
			continue;
		bit = i * 0x800 * 8 + (msr - first[i]) * 2;
		__clear_bit(bit, svm_msrpm);
		__clear_bit(bit + 1, svm_msrpm);
		return;
	}
	WARN_ON_ONCE(1);
}

static void svm_exit(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct svm_cpu *c = per_cpu_ptr(&svm_cpus, cpu);

		if (c->hsave)
			__free_page(c->hsave);
		if (c->host)
			__free_page(c->host);
	}
	free_pages((unsigned long)svm_msrpm, MSRPM_ORDER);
	free_pages((unsigned long)svm_iopm, IOPM_ORDER);
}

static int svm_init(void)
{
	int cpu, i;

	svm_iopm = (void *)__get_free_pages(GFP_KERNEL, IOPM_ORDER);
	svm_msrpm = (void *)__get_free_pages(GFP_KERNEL, MSRPM_ORDER);
	if (!svm_iopm || !svm_msrpm)
		goto err;
	memset(svm_iopm, 0xff, PAGE_SIZE << IOPM_ORDER);
	memset(svm_msrpm, 0xff, PAGE_SIZE << MSRPM_ORDER);
	for (i = 0; i < ARRAY_SIZE(svm_direct_msrs); i++)
		svm_msrpm_allow(svm_direct_msrs[i]);
	for_each_possible_cpu(cpu) {
		struct svm_cpu *c = per_cpu_ptr(&svm_cpus, cpu);

		c->hsave = alloc_page(GFP_KERNEL | __GFP_ZERO);
		c->host = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!c->hsave || !c->host)
			goto err;
	}
	return 0;
err:
	svm_exit();
	return -ENOMEM;
}

static int svm_cpu_enable(void)
{
	struct svm_cpu *c = this_cpu_ptr(&svm_cpus);
	u64 efer;

	rdmsrl(MSR_EFER, efer);
	if (efer & EFER_SVME)
		return -EBUSY;
	wrmsrl(MSR_EFER, efer | EFER_SVME);
	wrmsrl(MSR_VM_HSAVE_PA, page_to_phys(c->hsave));
	c->asid_max = cpuid_ebx(SVM_CPUID_FUNC) - 1;
	c->asid_next = c->asid_max + 1;
	c->asid_gen++;
	if (boot_cpu_has(X86_FEATURE_RDPID))
		rdmsrl(MSR_TSC_AUX, c->tsc_aux);
	return 0;
}

static void svm_cpu_disable(void)
{
	u64 efer;

	wrmsrl(MSR_VM_HSAVE_PA, 0);
	rdmsrl(MSR_EFER, efer);
	wrmsrl(MSR_EFER, efer & ~EFER_SVME);
}

void svm_intercept(struct vmcb *vmcb, unsigned int bit, bool on)
{
	__assign_bit(bit, (unsigned long *)vmcb->control.intercepts, on);
	svm_changed(vmcb, SVM_CLEAN_INTERCEPTS);
}

/* Exits that need no thought of the guest's: 15.9 to 15.13. */
static const u8 svm_intercepts[] = {
	INTERCEPT_INTR, INTERCEPT_NMI, INTERCEPT_SMI, INTERCEPT_INIT,
	INTERCEPT_CPUID, INTERCEPT_HLT, INTERCEPT_IOIO_PROT,
	INTERCEPT_MSR_PROT, INTERCEPT_SHUTDOWN, INTERCEPT_XSETBV,
	INTERCEPT_VMMCALL, INTERCEPT_INVD, INTERCEPT_WBINVD, INTERCEPT_RDPMC,
	/* no guest has these: #UD */
	INTERCEPT_VMRUN, INTERCEPT_VMLOAD, INTERCEPT_VMSAVE, INTERCEPT_STGI,
	INTERCEPT_CLGI, INTERCEPT_SKINIT, INTERCEPT_INVLPGA, INTERCEPT_RSM,
	INTERCEPT_RDTSCP, INTERCEPT_MONITOR, INTERCEPT_MWAIT, INTERCEPT_RDPRU,
};

/* An empty VMCB with what holds for all of the vCPU's life. */
void svm_vmcb_init(struct vcpu *v)
{
	struct vmcb *vmcb = to_vmcb(v);
	struct vmcb_control_area *c = &vmcb->control;
	int i;

	memset(vmcb, 0, sizeof(*vmcb));
	v->window &= ~WINDOW_CLASS;
	for (i = 0; i < ARRAY_SIZE(svm_intercepts); i++)
		svm_intercept(vmcb, svm_intercepts[i], true);
	/*
	 * A guest whose handlers fault on these for ever would keep the CPU
	 * in microcode, deaf to interrupts.
	 */
	svm_intercept(vmcb, INTERCEPT_EXCEPTION_OFFSET + AC_VECTOR, true);
	svm_intercept(vmcb, INTERCEPT_EXCEPTION_OFFSET + DB_VECTOR, true);
	svm_intercept(vmcb, INTERCEPT_EXCEPTION_OFFSET + MC_VECTOR, true);
	svm_dr_intercept(vmcb, true);
	if (svm_has(SVM_CAPS_EDX_PAUSE)) {
		svm_intercept(vmcb, INTERCEPT_PAUSE, true);
		c->pause_filter_count = PAUSE_COUNT;
		c->pause_filter_thresh = PAUSE_CYCLES;
	}
	c->iopm_base_pa = __pa(svm_iopm);
	c->msrpm_base_pa = __pa(svm_msrpm);
	c->tsc_offset = -v->vm->tsc_base;
	c->int_ctl = V_INTR_MASKING_MASK;
	c->nested_ctl = SVM_NESTED_CTL_NP_ENABLE;
	c->nested_cr3 = __pa(v->vm->npt);
}

static int svm_vcpu_init(struct vcpu *v)
{
	struct svm_vcpu *svm;

	svm = kzalloc(sizeof(*svm), GFP_KERNEL_ACCOUNT);
	if (!svm)
		return -ENOMEM;
	svm->vmcb = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!svm->vmcb) {
		kfree(svm);
		return -ENOMEM;
	}
	svm->vmcb_pa = __pa(svm->vmcb);
	v->data = svm;
	svm_vmcb_init(v);
	return 0;
}

static void svm_vcpu_free(struct vcpu *v)
{
	free_page((unsigned long)to_vmcb(v));
	kfree(v->data);
}

/* A fresh ASID, so that nothing cached under an old one is used: 15.16. */
static void svm_new_asid(struct vcpu *v, struct svm_cpu *c)
{
	struct vmcb *vmcb = to_vmcb(v);

	if (c->asid_next > c->asid_max) {
		c->asid_gen++;
		c->asid_next = 1;
		vmcb->control.tlb_ctl = TLB_CONTROL_FLUSH_ALL_ASID;
	}
	to_svm(v)->asid_gen = c->asid_gen;
	vmcb->control.asid = c->asid_next++;
	svm_changed(vmcb, SVM_CLEAN_ASID);
}

/* What is cached under the ASID goes, or the ASID does. */
void svm_flush(struct vcpu *v)
{
	if (svm_has(SVM_CAPS_EDX_FLUSH_ASID))
		to_svm(v)->flush = true;
	else
		to_svm(v)->asid_gen = 0;
}

static void svm_load(struct vcpu *v)
{
	int cpu = smp_processor_id();

	if (v->cpu != cpu) {
		WRITE_ONCE(v->cpu, cpu);
		to_svm(v)->asid_gen = 0;	/* it was of that CPU */
		to_vmcb(v)->control.clean = 0;
	}
	/* RDPID reads it without an exit: not the host's, then. */
	if (boot_cpu_has(X86_FEATURE_RDPID))
		wrmsrl(MSR_TSC_AUX, 0);
}

static void svm_put(struct vcpu *v)
{
	if (boot_cpu_has(X86_FEATURE_RDPID))
		wrmsrl(MSR_TSC_AUX, this_cpu_ptr(&svm_cpus)->tsc_aux);
}

/*
 * Guests may set CR4.PKE and then PKRU, which no part of VMRUN switches; the
 * host's accesses to user memory must not be subject to it.
 */
static void svm_pkru_restore(u32 pkru)
{
	if (boot_cpu_has(X86_FEATURE_OSPKE) && rdpkru() != pkru)
		wrpkru(pkru);
}

/* Switches what VMRUN and svm_enter() leave out, and enters. */
static void svm_switch(struct vcpu *v, struct svm_cpu *c)
{
	struct svm_vcpu *svm = to_svm(v);
	u32 pkru = boot_cpu_has(X86_FEATURE_OSPKE) ? rdpkru() : 0;
	bool dr = svm_dr_wanted(v);

	if (unlikely(dr))
		svm_dr_load(v);
	/* Each time: an IPI may have changed the LDT since the last. */
	asm volatile("vmsave %%rax"
		     : : "a" (page_to_phys(c->host)) : "memory");
	svm_enter(svm->vmcb_pa, page_to_phys(c->host), v->gpr);
	svm_pkru_restore(pkru);
	/* NMIs, too, only now that all is the host's again. */
	asm volatile("stgi" : : : "memory");

	if (unlikely(dr || hw_breakpoint_active() ||
		     svm->vmcb->save.dr6 != DR6_RESERVED))
		svm_dr_save(v, dr);
}

/*
 * The VMCB did not get as far as a guest: the CPU may have read none of it, and
 * flushed nothing.  Whoever needs an ASID here next brings a flush of them all.
 */
static void svm_refused(struct svm_vcpu *svm, struct svm_cpu *cpu)
{
	svm->vmcb->control.clean = 0;
	svm->asid_gen = 0;
	cpu->asid_next = cpu->asid_max + 1;
}

static void svm_run(struct vcpu *v)
{
	struct vmcb_control_area *c = &to_vmcb(v)->control;
	struct svm_cpu *cpu = this_cpu_ptr(&svm_cpus);
	struct svm_vcpu *svm = to_svm(v);

	/* No earlier: the flush that may come with it must be run, here. */
	if (svm->asid_gen != cpu->asid_gen)
		svm_new_asid(v, cpu);
	else if (svm->flush)
		c->tlb_ctl = TLB_CONTROL_FLUSH_ASID;
	svm->flush = false;
	svm_load_event(v);
	svm_switch(v, cpu);
	c->tlb_ctl = TLB_CONTROL_DO_NOTHING;
	c->clean = svm_has(SVM_CAPS_EDX_CLEAN) ? SVM_CLEAN_ALL : 0;
	if (unlikely(c->exit_code == (u32)SVM_EXIT_ERR))
		svm_refused(svm, cpu);
	/*
	 * Guest mode is a quiescent state: one that is left only for the
	 * host's interrupts must not hold up RCU.
	 */
	if (c->exit_code == SVM_EXIT_INTR)
		kcompat_rcu_note();
}

static u64 svm_rax(struct vcpu *v)
{
	return to_vmcb(v)->save.rax;
}

static void svm_set_rax(struct vcpu *v, u64 val)
{
	to_vmcb(v)->save.rax = val;
}

static u64 svm_cr4(struct vcpu *v)
{
	return to_vmcb(v)->save.cr4;
}

static u8 svm_cr8(struct vcpu *v)
{
	return to_vmcb(v)->control.int_ctl & V_TPR_MASK;
}

static void svm_set_cr8(struct vcpu *v, u8 val)
{
	struct vmcb_control_area *c = &to_vmcb(v)->control;

	c->int_ctl = (c->int_ctl & ~V_TPR_MASK) | val;
	svm_changed(to_vmcb(v), SVM_CLEAN_INTR);
}

static u64 svm_efer(struct vcpu *v)
{
	return to_vmcb(v)->save.efer & ~EFER_SVME;
}

static u64 svm_pat(struct vcpu *v)
{
	return to_vmcb(v)->save.g_pat;
}

static void svm_set_pat(struct vcpu *v, u64 val)
{
	to_vmcb(v)->save.g_pat = val;
	svm_changed(to_vmcb(v), SVM_CLEAN_NP);
}

const struct cpu_ops svm_ops = {
	.name		= "AMD-V, nested paging",
	.npt		= {
		.table		= SVM_ENTRY_TABLE,
		.page		= SVM_ENTRY_TABLE,
		.large		= SVM_ENTRY_TABLE | _PAGE_PSE,
		.present	= _PAGE_PRESENT,
		.dirty		= _PAGE_DIRTY,
		.host_levels	= true,
	},
	.check		= svm_check,
	.init		= svm_init,
	.exit		= svm_exit,
	.cpu_enable	= svm_cpu_enable,
	.cpu_disable	= svm_cpu_disable,
	.vcpu_init	= svm_vcpu_init,
	.vcpu_free	= svm_vcpu_free,
	.get_state	= svm_get_state,
	.set_state	= svm_set_state,
	.get_regs	= svm_get_regs,
	.set_regs	= svm_set_regs,
	.load		= svm_load,
	.put		= svm_put,
	.flush		= svm_flush,
	.enter		= svm_run,
	.handle_fast	= svm_handle_fast,
	.handle_slow	= svm_handle_slow,
	.intr_ready	= svm_intr_ready,
	.intr_window	= svm_intr_window,
	.inject		= svm_inject,
	.event_busy	= svm_event_busy,
	.event_pending	= svm_event_pending,
	.rax		= svm_rax,
	.set_rax	= svm_set_rax,
	.cr4		= svm_cr4,
	.cr8		= svm_cr8,
	.set_cr8	= svm_set_cr8,
	.efer		= svm_efer,
	.set_efer	= svm_set_efer,
	.pat		= svm_pat,
	.set_pat	= svm_set_pat,
};
