// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Events of a vCPU on AMD-V: what is to be delivered on the next entry, what
 * has to wait for it, and when NMIs are blocked.
 */
#include <asm/trapnr.h>

#include "svm.h"

static u32 type(u64 event)
{
	return event & SVM_EVTINJ_TYPE_MASK;
}

static bool nmi_ready(struct vcpu *v)
{
	const struct svm_vcpu *svm = to_svm(v);

	return svm->nmi_pending && !svm->nmi_masked &&
	       !(svm->vmcb->control.int_state & SVM_INTERRUPT_SHADOW_MASK);
}

bool svm_event_busy(struct vcpu *v)
{
	return to_svm(v)->event != 0;
}

bool svm_event_pending(struct vcpu *v)
{
	return svm_event_busy(v) || nmi_ready(v);
}

bool svm_intr_ready(struct vcpu *v)
{
	const struct vmcb *vmcb = to_vmcb(v);

	return (vmcb->save.rflags & X86_EFLAGS_IF) && !svm_event_pending(v) &&
	       !(vmcb->control.int_state & SVM_INTERRUPT_SHADOW_MASK);
}

/*
 * A virtual interrupt that exits before it is taken, of a priority that the
 * CPU compares with CR8 or not: 15.21.4.
 */
void svm_intr_window(struct vcpu *v, u8 class)
{
	struct vmcb *vmcb = to_vmcb(v);
	u32 ctl = vmcb->control.int_ctl;

	ctl &= ~(V_IRQ_MASK | V_IGN_TPR_MASK | V_INTR_PRIO_MASK);
	if (class == WINDOW_ANY)
		ctl |= V_IRQ_MASK | V_IGN_TPR_MASK;
	else if (class)
		ctl |= V_IRQ_MASK | (u32)class << V_INTR_PRIO_SHIFT;
	vmcb->control.int_ctl = ctl;
	v->window = (v->window & WINDOW_WANTED) | class;
	svm_changed(vmcb, SVM_CLEAN_INTR);
	svm_intercept(vmcb, INTERCEPT_VINTR, class);
}

/*
 * An exception that came while an interrupt was being delivered waits until
 * that is through: its vector has been acknowledged and cannot come again.
 * An NMI waits for whatever there is, and for the end of another.
 */
void svm_inject(struct vcpu *v, u64 event)
{
	struct svm_vcpu *svm = to_svm(v);

	if (type(event) == SVM_EVTINJ_TYPE_NMI)
		svm->nmi_pending = true;
	else if (svm->event && type(svm->event) != SVM_EVTINJ_TYPE_EXEPT)
		svm->later = event;
	else
		svm->event = event;
}

/* NMIs are blocked until the IRET, which exits before it is executed. */
void svm_mask_nmi(struct vcpu *v, bool masked)
{
	struct svm_vcpu *svm = to_svm(v);

	svm->nmi_masked = masked;
	svm->nmi_iret = false;
	svm_intercept(svm->vmcb, INTERCEPT_IRET, masked);
}

enum next svm_exit_iret(struct vcpu *v)
{
	struct svm_vcpu *svm = to_svm(v);

	svm_intercept(svm->vmcb, INTERCEPT_IRET, false);
	svm->nmi_iret = true;
	svm->iret_rip = svm->vmcb->save.rip;
	return NEXT_ENTER;
}

/* An exit at another RIP: the IRET has been executed. */
void svm_end_nmi(struct vcpu *v)
{
	struct svm_vcpu *svm = to_svm(v);

	if (svm->vmcb->save.rip != svm->iret_rip)
		svm_mask_nmi(v, false);
}

/* Hands the next event to VMRUN. */
void svm_load_event(struct vcpu *v)
{
	struct svm_vcpu *svm = to_svm(v);
	struct vmcb_control_area *c = &svm->vmcb->control;

	if (unlikely(svm->nmi_pending) && !svm->event && nmi_ready(v)) {
		svm->nmi_pending = false;
		svm->event = VMM_EVENT_VALID | SVM_EVTINJ_TYPE_NMI |
			     X86_TRAP_NMI;
	}
	if (unlikely(type(svm->event) == SVM_EVTINJ_TYPE_NMI))
		svm_mask_nmi(v, true);
	c->event_inj = (u32)svm->event;
	c->event_inj_err = svm->event >> 32;
	svm->event = svm->later;
	svm->later = 0;
}

/*
 * An exit may come in the middle of an event's delivery; it is delivered
 * again, and before any that waits for it.  Software interrupts and INT3, INTO
 * are not: RIP still points at the instruction, which will run again.  15.7.2.
 */
void svm_keep_event(struct vcpu *v)
{
	const struct vmcb_control_area *c = &to_vmcb(v)->control;
	u32 info = c->exit_int_info;
	u8 vector = info & SVM_EXITINTINFO_VEC_MASK;

	if (!(info & SVM_EXITINTINFO_VALID) ||
	    type(info) == SVM_EVTINJ_TYPE_SOFT)
		return;
	if (type(info) == SVM_EVTINJ_TYPE_EXEPT &&
	    (vector == BP_VECTOR || vector == OF_VECTOR))
		return;
	to_svm(v)->later = to_svm(v)->event;
	to_svm(v)->event = (u64)c->exit_int_info_err << 32 | info;
}
