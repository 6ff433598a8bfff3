/* SPDX-License-Identifier: ISC */
/*
 * What the files of the KVM backend share.
 */
#ifndef VMMD_HV_KVM_H
#define VMMD_HV_KVM_H

#include <stdint.h>

struct hv_regs;
struct kvm_cpuid2;

/*
 * Takes from a CPUID table, as KVM supports it, what a guest with one vCPU and
 * no local APIC must not see.
 */
void hv_kvm_filter_cpuid(struct kvm_cpuid2 *table);

/* The bits of XCR0 that a table allows; 0: the processor has no XSAVE. */
uint64_t hv_kvm_cpuid_xcr0(const struct kvm_cpuid2 *table);

/* The registers of the vCPU behind a descriptor: 0 or -errno. */
int hv_kvm_get_regs(int vcpu, struct hv_regs *regs);
int hv_kvm_set_regs(int vcpu, const struct hv_regs *regs);

#endif /* VMMD_HV_KVM_H */
