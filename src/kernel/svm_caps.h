/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Can this CPU run guests with AMD-V?  A pure function over what CPUID and
 * VM_CR say, so that unit tests can show it every machine there is.
 */
#ifndef VMM_SVM_CAPS_H
#define VMM_SVM_CAPS_H

/* CPUID 8000_0001.ECX, CPUID 8000_000A.EDX (APM volume 3, E.4) */
#define SVM_CAPS_ECX_SVM	(1U << 2)
#define SVM_CAPS_EDX_NPT	(1U << 0)
#define SVM_CAPS_EDX_NRIPS	(1U << 3)	/* tells the next RIP */
#define SVM_CAPS_EDX_CLEAN	(1U << 5)	/* may cache the VMCB */
#define SVM_CAPS_EDX_FLUSH_ASID	(1U << 6)	/* flushes one ASID */
#define SVM_CAPS_EDX_DECODE	(1U << 7)	/* tells instructions' bytes */
#define SVM_CAPS_EDX_PAUSE	(1U << 10)	/* counts PAUSEs */
#define SVM_CAPS_EDX_NEAR	(1U << 12)	/* those near to one another */

/* MSR C001_0114, VM_CR (APM volume 2, 15.30.1) */
#define SVM_CAPS_VM_CR_LOCK	(1ULL << 3)
#define SVM_CAPS_VM_CR_SVMDIS	(1ULL << 4)

/* NULL if it can; otherwise why not, and what to do. */
static inline const char *svm_refusal(unsigned int ecx, unsigned int edx,
				      unsigned long long vm_cr)
{
	if (!(ecx & SVM_CAPS_ECX_SVM))
		return "this CPU has no AMD-V (SVM): use a host that has it, or, in a virtual machine, have its hypervisor allow nested virtualization";
	if (vm_cr & SVM_CAPS_VM_CR_SVMDIS)
		return vm_cr & SVM_CAPS_VM_CR_LOCK ?
		       "AMD-V is disabled by the firmware: enable SVM in the BIOS setup" :
		       "AMD-V is disabled in VM_CR: enable SVM in the BIOS setup, or clear VM_CR.SVMDIS";
	if (!(edx & SVM_CAPS_EDX_NPT))
		return "this CPU has no nested paging: a CPU made since 2008 is needed";
	return (void *)0;
}

/* What is used where it is there, and done without where it is not. */
static inline unsigned int svm_features(unsigned int edx)
{
	/* Counted one by one, those of short waits add up. */
	if (!(edx & SVM_CAPS_EDX_NEAR))
		edx &= ~SVM_CAPS_EDX_PAUSE;
	return edx & (SVM_CAPS_EDX_NRIPS | SVM_CAPS_EDX_CLEAN |
		      SVM_CAPS_EDX_FLUSH_ASID | SVM_CAPS_EDX_DECODE |
		      SVM_CAPS_EDX_PAUSE);
}

#endif /* VMM_SVM_CAPS_H */
