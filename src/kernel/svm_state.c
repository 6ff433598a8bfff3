// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The registers of a vCPU on AMD-V, between the VMCB and the neutral form of
 * vmm_uapi.h.
 */
#include <linux/bits.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "svm.h"

#define SS_DPL_SHIFT	5
#define SS_DPL		(3U << SS_DPL_SHIFT)

#define EFER_GUEST	(EFER_SCE | EFER_LME | EFER_LMA | EFER_NX | \
			 EFER_FFXSR)

/* The VMCB packs the attributes into 12 bits, a descriptor into 16. */
static void get_segment(struct vmm_segment *s, const struct vmcb_seg *v)
{
	s->base = v->base;
	s->limit = v->limit;
	s->selector = v->selector;
	s->ar = (v->attrib & 0xff) | (v->attrib & 0xf00) << 4;
}

static void set_segment(struct vmcb_seg *v, const struct vmm_segment *s)
{
	v->base = s->base;
	v->limit = s->limit;
	v->selector = s->selector;
	v->attrib = (s->ar & 0xff) | (s->ar & 0xf000) >> 4;
}

void svm_get_regs(struct vcpu *v, struct vmm_regs *r)
{
	const struct vmcb_save_area *save = &to_vmcb(v)->save;

	memcpy(r->gpr, v->gpr, sizeof(r->gpr));
	r->gpr[VMM_RAX] = save->rax;
	r->gpr[VMM_RSP] = save->rsp;
	r->rip = save->rip;
	r->rflags = save->rflags;
	r->cr0 = save->cr0;
	r->cr2 = save->cr2;
	r->cr3 = save->cr3;
	r->cr4 = save->cr4;
	r->efer = save->efer & ~EFER_SVME;
	get_segment(&r->seg[VMM_ES], &save->es);
	get_segment(&r->seg[VMM_CS], &save->cs);
	get_segment(&r->seg[VMM_SS], &save->ss);
	/* The DPL of SS is the CPL, which SYSRET changes without it. */
	r->seg[VMM_SS].ar &= ~SS_DPL;
	r->seg[VMM_SS].ar |= save->cpl << SS_DPL_SHIFT;
	get_segment(&r->seg[VMM_DS], &save->ds);
	get_segment(&r->seg[VMM_FS], &save->fs);
	get_segment(&r->seg[VMM_GS], &save->gs);
	get_segment(&r->seg[VMM_LDTR], &save->ldtr);
	get_segment(&r->seg[VMM_TR], &save->tr);
}

void svm_get_state(struct vcpu *v, struct vmm_state *s)
{
	const struct vmcb *vmcb = to_vmcb(v);
	const struct vmcb_save_area *save = &vmcb->save;

	svm_get_regs(v, &s->regs);
	s->gdtr.base = save->gdtr.base;
	s->gdtr.limit = save->gdtr.limit;
	s->idtr.base = save->idtr.base;
	s->idtr.limit = save->idtr.limit;
	s->cr8 = vmcb->control.int_ctl & V_TPR_MASK;
	s->dr6 = save->dr6;
	s->dr7 = save->dr7;
	s->pat = save->g_pat;
	s->star = save->star;
	s->lstar = save->lstar;
	s->cstar = save->cstar;
	s->sfmask = save->sfmask;
	s->kernel_gs_base = save->kernel_gs_base;
	s->sysenter_cs = save->sysenter_cs;
	s->sysenter_esp = save->sysenter_esp;
	s->sysenter_eip = save->sysenter_eip;
	s->event = to_svm(v)->event;
	s->next_event = to_svm(v)->later;
	s->nmi = (to_svm(v)->nmi_masked ? VMM_NMI_MASKED : 0) |
		 (to_svm(v)->nmi_pending ? VMM_NMI_PENDING : 0);
	s->shadow = !!(vmcb->control.int_state & SVM_INTERRUPT_SHADOW_MASK);
}

static bool event_valid(u64 event)
{
	return event == 0 ||
	       ((event & VMM_EVENT_VALID) &&
		!(event & ~(VMM_EVENT_VECTOR | VMM_EVENT_TYPE |
			    VMM_EVENT_HAS_ERROR | VMM_EVENT_VALID |
			    VMM_EVENT_ERROR)));
}

/* What VMRUN would refuse (APM 15.5.1), and what we never give. */
static bool state_valid(const struct vmm_state *s)
{
	const struct vmm_regs *r = &s->regs;

	return !(r->efer & ~EFER_GUEST) &&
	       !(upper_32_bits(r->cr0)) && !(upper_32_bits(r->cr4)) &&
	       !((r->cr0 & X86_CR0_NW) && !(r->cr0 & X86_CR0_CD)) &&
	       !upper_32_bits(s->dr6) && !upper_32_bits(s->dr7) &&
	       s->cr8 <= 15 && pat_valid(s->pat) &&
	       event_valid(s->event) && event_valid(s->next_event) &&
	       (s->event || !s->next_event);
}

/* What instructions work with; `r` may be the run page, so read once. */
static void set_user_regs(struct vcpu *v, const struct vmm_regs *r)
{
	struct vmcb_save_area *save = &to_vmcb(v)->save;

	memcpy(v->gpr, r->gpr, sizeof(v->gpr));
	save->rax = v->gpr[VMM_RAX];
	save->rsp = v->gpr[VMM_RSP];
	save->rip = r->rip;
	save->rflags = r->rflags | X86_EFLAGS_FIXED;
	save->cr2 = r->cr2;
	svm_changed(to_vmcb(v), SVM_CLEAN_CR2);
}

void svm_set_regs(struct vcpu *v, const struct vmm_regs *r, bool done)
{
	if (done)
		svm_instruction_done(v);
	set_user_regs(v, r);
}

static void set_regs(struct vcpu *v, const struct vmm_regs *r)
{
	struct vmcb_save_area *save = &to_vmcb(v)->save;

	set_user_regs(v, r);
	save->cr0 = r->cr0;
	save->cr3 = r->cr3;
	save->cr4 = r->cr4;
	save->efer = r->efer | EFER_SVME;
	set_segment(&save->es, &r->seg[VMM_ES]);
	set_segment(&save->cs, &r->seg[VMM_CS]);
	set_segment(&save->ss, &r->seg[VMM_SS]);
	set_segment(&save->ds, &r->seg[VMM_DS]);
	set_segment(&save->fs, &r->seg[VMM_FS]);
	set_segment(&save->gs, &r->seg[VMM_GS]);
	set_segment(&save->ldtr, &r->seg[VMM_LDTR]);
	set_segment(&save->tr, &r->seg[VMM_TR]);
	save->cpl = (r->seg[VMM_SS].ar & SS_DPL) >> SS_DPL_SHIFT;
}

int svm_set_state(struct vcpu *v, const struct vmm_state *s)
{
	struct vmcb *vmcb = to_vmcb(v);
	struct vmcb_save_area *save = &vmcb->save;

	if (!state_valid(s))
		return -EINVAL;
	svm_vmcb_init(v);
	set_regs(v, &s->regs);
	save->gdtr.base = s->gdtr.base;
	save->gdtr.limit = s->gdtr.limit;
	save->idtr.base = s->idtr.base;
	save->idtr.limit = s->idtr.limit;
	save->dr6 = s->dr6;
	save->dr7 = s->dr7;
	save->g_pat = s->pat;
	save->star = s->star;
	save->lstar = s->lstar;
	save->cstar = s->cstar;
	save->sfmask = s->sfmask;
	save->kernel_gs_base = s->kernel_gs_base;
	save->sysenter_cs = s->sysenter_cs;
	save->sysenter_esp = s->sysenter_esp;
	save->sysenter_eip = s->sysenter_eip;
	vmcb->control.int_ctl |= s->cr8;
	vmcb->control.int_state = s->shadow ? SVM_INTERRUPT_SHADOW_MASK : 0;
	to_svm(v)->event = s->event;
	to_svm(v)->later = s->next_event;
	to_svm(v)->nmi_pending = s->nmi & VMM_NMI_PENDING;
	svm_mask_nmi(v, s->nmi & VMM_NMI_MASKED);
	to_svm(v)->asid_gen = 0;
	return 0;
}

/* WRMSR to EFER: LMA is the CPU's, LME fixed while paging is on. */
int svm_set_efer(struct vcpu *v, u64 val)
{
	struct vmcb_save_area *save = &to_vmcb(v)->save;

	val = (val & ~(u64)EFER_LMA) | (save->efer & EFER_LMA);
	if (val & ~(u64)EFER_GUEST)
		return -EINVAL;
	if ((save->cr0 & X86_CR0_PG) && ((val ^ save->efer) & EFER_LME))
		return -EINVAL;
	save->efer = val | EFER_SVME;
	svm_changed(to_vmcb(v), SVM_CLEAN_CR);
	svm_flush(v);
	return 0;
}
