/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the parts of the AMD-V half share. */
#ifndef VMM_SVM_H
#define VMM_SVM_H

#include <linux/hw_breakpoint.h>
#include <linux/types.h>
#include <asm/debugreg.h>
#include <asm/svm.h>

#include "vmm.h"

struct svm_vcpu {
	struct vmcb	*vmcb;
	u64		 vmcb_pa;
	u64		 event;		/* VMM_EVENT_*, for the next entry */
	u64		 later;		/* an exception, for the one after it */
	u64		 asid_gen;	/* generation asid belongs to; 0: none */
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

/* svm.c */
void svm_vmcb_init(struct vcpu *v);
void svm_inject(struct vcpu *v, u64 event);

/* svm_dr.c; load and save around svm_enter(), interrupts off */
void svm_dr_init(void);
void svm_dr_intercept(struct vmcb *vmcb, bool on);
void svm_dr_load(struct vcpu *v, bool wanted);
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
