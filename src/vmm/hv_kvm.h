/* SPDX-License-Identifier: ISC */
/*
 * What the files of the KVM backend share.
 */
#ifndef VMMD_HV_KVM_H
#define VMMD_HV_KVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct gmem;
struct gmem_range;
struct hv_exit;
struct hv_kvm_clock;
struct hv_kvm_irq;
struct hv_msi;
struct hv_regs;
struct kvm_cpuid2;

#define HV_KVM_CPUID_MAX	256	/* rows of a table */

/*
 * Makes of a CPUID table, as KVM supports it, the one of vCPU `id` of `ncpus`:
 * takes away what the machine lacks, puts in the topology, which is one package
 * of that many cores.  `deadline`: KVM has the APIC timer's TSC-deadline mode.
 * There is room for HV_KVM_CPUID_MAX rows; -E2BIG: there is not.
 */
int hv_kvm_make_cpuid(struct kvm_cpuid2 *table, unsigned ncpus, unsigned id,
    bool deadline);

/*
 * Adds the leaf of hypervisors that tells the frequencies, of the TSC and of
 * the APIC timer; none if there is no room.
 */
void hv_kvm_cpuid_frequency(struct kvm_cpuid2 *table, uint32_t tsc_khz);

/* The bits of XCR0 that a table allows; 0: the processor has no XSAVE. */
uint64_t hv_kvm_cpuid_xcr0(const struct kvm_cpuid2 *table);

/* The registers of the vCPU behind a descriptor: 0 or -errno. */
int hv_kvm_get_regs(int vcpu, struct hv_regs *regs);
int hv_kvm_set_regs(int vcpu, const struct hv_regs *regs);

/*
 * The messages of the VM behind a descriptor; as the operations of hv.h.  The
 * descriptor outlives it.
 */
int hv_kvm_irq_create(struct hv_kvm_irq **irqp, int vm);
void hv_kvm_irq_destroy(struct hv_kvm_irq *irq);
int hv_kvm_irq_send(struct hv_kvm_irq *irq, const struct hv_msi *msg);
int hv_kvm_irq_event(struct hv_kvm_irq *irq, unsigned slot, int fd,
    const struct hv_msi *msg);
int hv_kvm_irq_route(struct hv_kvm_irq *irq, unsigned pin,
    const struct hv_msi *msg);

/*
 * The paravirtual clock of a VM's vCPUs.  `vm` and `gm` outlive it.  Once setup
 * is done the registers that hv_kvm_clock_has() exit, and read and write are
 * for them: 0, or -errno for a #GP.  resumed() and tick() are as the operations
 * of hv.h; enter() goes before each run.  Any thread, but what has a `vcpu` is
 * for that one's.
 */
int hv_kvm_clock_create(struct hv_kvm_clock **clockp, int vm,
    const struct gmem *gm);
void hv_kvm_clock_destroy(struct hv_kvm_clock *clock);
int hv_kvm_clock_setup(int vm);
bool hv_kvm_clock_has(uint32_t index);
int hv_kvm_clock_write(struct hv_kvm_clock *clock, int vcpu, unsigned id,
    uint32_t index, uint64_t val);
uint64_t hv_kvm_clock_read(struct hv_kvm_clock *clock, unsigned id,
    uint32_t index);
void hv_kvm_clock_resumed(struct hv_kvm_clock *clock, int vcpu, unsigned id);
void hv_kvm_clock_enter(struct hv_kvm_clock *clock, int vcpu, unsigned id);
bool hv_kvm_clock_tick(struct hv_kvm_clock *clock);

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
