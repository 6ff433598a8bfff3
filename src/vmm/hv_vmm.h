/* SPDX-License-Identifier: ISC */
/*
 * What the files of the backend `vmm` share.
 */
#ifndef VMMD_HV_VMM_H
#define VMMD_HV_VMM_H

#include <stdbool.h>

struct hv_exit;
struct hv_msi;
struct vmm_cpuid;

/*
 * Has the table that the driver offers say how many vCPUs there are, 1 to
 * VMM_MAX_VCPUS: cores of one package, of one thread each.  What differs from
 * one to the other the driver fills in.
 */
void hv_vmm_topology(struct vmm_cpuid *table, unsigned ncpus);

/* hv.h's msi and msi_event, by the VM's descriptor. */
int hv_vmm_msi(int vm, const struct hv_msi *msg);
int hv_vmm_msi_event(int vm, unsigned slot, int fd, const struct hv_msi *msg);

/*
 * Performs an access to the page of the vCPU's xAPIC; false if *e is still
 * for the daemon: it was none, there is no such page now, or it has ended an
 * interrupt, which *e then says.
 */
bool hv_vmm_apic_access(int vcpu, struct hv_exit *e);

#endif /* VMMD_HV_VMM_H */
