/* SPDX-License-Identifier: ISC */
/*
 * What the files of the KVM backend share.
 */
#ifndef VMMD_HV_KVM_H
#define VMMD_HV_KVM_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct gmem_range;
struct hv_exit;
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

/*
 * The smallest guest there is, to see whether guests run: a page, mapped for
 * the caller to unmap; its registers; a timer, for the caller to delete, that
 * kicks the process again and again if its run does not end; and what the end
 * of the run says of the host.  0 or -errno.
 */
int hv_kvm_probe_page(struct gmem_range *r);
void hv_kvm_probe_regs(struct hv_regs *regs);
int hv_kvm_probe_timer(timer_t *timer);
int hv_kvm_probe_verdict(const struct hv_exit *e, char *err, size_t errlen);

#endif /* VMMD_HV_KVM_H */
