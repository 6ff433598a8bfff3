/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the parts of the AMD-V half share. */
#ifndef VMM_SVM_H
#define VMM_SVM_H

#include <linux/hw_breakpoint.h>
#include <linux/types.h>
#include <asm/debugreg.h>
#include <asm/svm.h>

#include "svm_caps.h"
#include "vmm.h"

struct svm_vcpu {
	struct vmcb	*vmcb;
	u64		 vmcb_pa;
	u64		 event;		/* VMM_EVENT_*, for the next entry */
	u64		 later;		/* an exception, for the one after it */
	bool		 nmi_pending;
	bool		 nmi_masked;	/* until the IRET of the last */
	bool		 nmi_iret;	/* which is about to be executed, at */
	u64		 iret_rip;
	u64		 asid_gen;	/* generation asid belongs to; 0: none */
	bool		 flush;		/* that ASID, on the next entry */
	bool		 dr_wanted;	/* the guest is about to use DR0-7 */
};

static inline struct svm_vcpu *to_svm(struct vcpu *v)
{
	return v->data;
}

static inline struct vmcb *to_vmcb(struct vcpu *v)
{
	return to_svm(v)->vmcb;
}

/* svm_enter.S: with interrupts off */
asmlinkage void svm_enter(u64 vmcb_pa, u64 host_pa, u64 *gpr);

/*
 * Groups of the VMCB that the CPU may keep cached, 15.15.3.  Whoever changes
 * one says so; without the feature they all are read each time.
 */
#define SVM_CLEAN_INTERCEPTS	BIT(0)
#define SVM_CLEAN_ASID		BIT(2)
#define SVM_CLEAN_INTR		BIT(3)
#define SVM_CLEAN_NP		BIT(4)
#define SVM_CLEAN_CR		BIT(5)
#define SVM_CLEAN_DR		BIT(6)
#define SVM_CLEAN_CR2		BIT(9)
#define SVM_CLEAN_ALL		0x3ffU	/* to CR2: what follows is unused */

static inline void svm_changed(struct vmcb *vmcb, u32 groups)
{
	vmcb->control.clean &= ~groups;
}

/* svm.c */
bool svm_has(u32 feature);		/* one of SVM_CAPS_EDX_* */
void svm_vmcb_init(struct vcpu *v);
void svm_intercept(struct vmcb *vmcb, unsigned int bit, bool on);
void svm_flush(struct vcpu *v);

/* svm_event.c; see struct cpu_ops */
bool svm_event_busy(struct vcpu *v);
bool svm_event_pending(struct vcpu *v);
bool svm_intr_ready(struct vcpu *v);
void svm_intr_window(struct vcpu *v, u8 class);
void svm_inject(struct vcpu *v, u64 event);
void svm_mask_nmi(struct vcpu *v, bool masked);
enum next svm_exit_iret(struct vcpu *v);
void svm_end_nmi(struct vcpu *v);
void svm_load_event(struct vcpu *v);
void svm_keep_event(struct vcpu *v);

/*
 * svm_dr.c.  Interrupts off: load before svm_enter() if the guest wants them;
 * save after it if it did, or the host has breakpoints, or the guest's DR6 is
 * not as the host expects it in its #DB.
 */
void svm_dr_intercept(struct vmcb *vmcb, bool on);
void svm_dr_load(struct vcpu *v);
void svm_dr_save(struct vcpu *v, bool wanted);

#define DR7_ENABLED	0xffUL		/* L0-3, G0-3 */

/* Does the guest use DR0-3 in this entry? */
static inline bool svm_dr_wanted(struct vcpu *v)
{
	return to_svm(v)->dr_wanted || (to_vmcb(v)->save.dr7 & DR7_ENABLED);
}

/* svm_state.c */
void svm_get_regs(struct vcpu *v, struct vmm_regs *r);
void svm_set_regs(struct vcpu *v, const struct vmm_regs *r, bool done);
void svm_get_state(struct vcpu *v, struct vmm_state *s);
int svm_set_state(struct vcpu *v, const struct vmm_state *s);
int svm_set_efer(struct vcpu *v, u64 val);

/* svm_exit.c */
enum next svm_handle_fast(struct vcpu *v);
enum next svm_handle_slow(struct vcpu *v);
/* The instruction that exited is through: no shadow, but a single step. */
void svm_instruction_done(struct vcpu *v);

#endif /* VMM_SVM_H */
