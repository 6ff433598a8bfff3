/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the parts of the AMD-V half share. */
#ifndef VMM_SVM_H
#define VMM_SVM_H

#include <linux/types.h>
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

/* svm_dr.c; enter and leave around svm_enter(), interrupts off */
void svm_dr_init(void);
void svm_dr_intercept(struct vmcb *vmcb, bool on);
/* True if DR0-3 are the guest's now: for svm_dr_leave(). */
bool svm_dr_enter(struct vcpu *v);
void svm_dr_leave(struct vcpu *v, bool dr);

/* svm_state.c */
void svm_get_regs(struct vcpu *v, struct vmm_regs *r);
void svm_get_state(struct vcpu *v, struct vmm_state *s);
int svm_set_state(struct vcpu *v, const struct vmm_state *s);
int svm_set_efer(struct vcpu *v, u64 val);

/* svm_exit.c */
enum next svm_handle_fast(struct vcpu *v);
enum next svm_handle_slow(struct vcpu *v);

#endif /* VMM_SVM_H */
