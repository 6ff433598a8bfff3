// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Paravirtual EOI, as Linux guests know it from KVM: a word of the guest's for
 * each vCPU.  Its lowest bit offers that the interrupt in service be ended
 * without an exit: by one instruction that clears the bit.
 *
 * The bit is set in guest mode only; what the guest has made of it is in its
 * APIC before anything else can look there, or change what waits.  Others write
 * to the word never, so that none of this takes a lock: from eoi_offer() to
 * eoi_take() interrupts are off, and vcpu_flush_tlb() waits for that.
 */
#include <linux/align.h>
#include <linux/mutex.h>
#include <asm/kvm_para.h>

#include "vmm.h"

int eoi_set(struct vcpu *v, u64 val)
{
	const u64 gpa = val & ~(u64)KVM_MSR_ENABLED;
	struct vm *vm = v->vm;
	u32 *word = NULL;
	int ret = 0;

	/* So it never goes over the end of a page. */
	if (!IS_ALIGNED(gpa, sizeof(*word)))
		return -EPERM;
	mutex_lock(&vm->lock);
	if (val & KVM_MSR_ENABLED) {
		if (mem_fault_locked(vm, gpa))
			ret = -EPERM;
		else
			word = mem_mapped(vm, gpa);
	}
	if (ret == 0) {
		v->eoi.msr = val;
		v->eoi.word = word;
	}
	mutex_unlock(&vm->lock);
	return ret;
}

void eoi_offer(struct vcpu *v)
{
	u32 *word = READ_ONCE(v->eoi.word);

	/* The log would have to be told each time. */
	if (!word || READ_ONCE(v->vm->dirty_log) ||
	    !lapic_eoi_is_silent(&v->lapic))
		return;
	WRITE_ONCE(*word, READ_ONCE(*word) | KVM_PV_EOI_MASK);
	v->eoi.offered = word;
}

void eoi_take(struct vcpu *v)
{
	u32 *word = v->eoi.offered, is = READ_ONCE(*word);

	v->eoi.offered = NULL;
	if (is & KVM_PV_EOI_MASK)
		WRITE_ONCE(*word, is & ~KVM_PV_EOI_MASK);
	else
		lapic_eoi(&v->lapic);
}

void eoi_discard(struct vm *vm, u64 gpa, u64 size)
{
	unsigned int i;

	lockdep_assert_held(&vm->lock);
	for (i = 0; i < vm->vcpu_end; i++)
		if (vm->vcpu[i] && vm->vcpu[i]->eoi.msr - gpa < size)
			WRITE_ONCE(vm->vcpu[i]->eoi.word, NULL);
}
