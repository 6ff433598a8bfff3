/* SPDX-License-Identifier: ISC */
/*
 * What the files of the backend `vmm` share.
 */
#ifndef VMMD_HV_VMM_H
#define VMMD_HV_VMM_H

struct vmm_cpuid;

/*
 * Has the table that the driver offers say how many vCPUs there are, 1 to
 * VMM_MAX_VCPUS: cores of one package, of one thread each.  What differs from
 * one to the other the driver fills in.
 */
void hv_vmm_topology(struct vmm_cpuid *table, unsigned ncpus);

#endif /* VMMD_HV_VMM_H */
