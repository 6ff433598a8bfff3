/* SPDX-License-Identifier: ISC */
/*
 * The ACPI tables of a guest: ACPI 6.4, chapter 5; MCFG: PCI Firmware 3.2,
 * section 4.1.2.  RSDP, XSDT, FADT, FACS, DSDT, MADT, and MCFG.
 *
 * A pure function of what the guest's machine is made of.  The tables are
 * made for the one place where all guests have them, in the BIOS area, where
 * an operating system that is not told of them looks for them.
 */
#ifndef VMMD_ACPI_H
#define VMMD_ACPI_H

#include <stddef.h>
#include <stdint.h>

#define ACPI_GPA	0xe0000		/* of the RSDP, the others after it */
#define ACPI_SIZE_MAX	0x20000		/* up to 1 MiB */
#define ACPI_CPUS_MAX	64

#define ACPI_SCI	9		/* a line of the IOAPIC, and of the PIC */
#define ACPI_S5		5		/* SLP_TYP of a guest that powers off */

struct acpi_conf {
	unsigned	 ncpus;		/* APIC ids 0 to ncpus - 1 */
	uint32_t	 pci_slots;	/* that have devices, one bit each */
	uint32_t	 pci_memory;	/* window for BARs; size 0: none */
	uint32_t	 pci_memory_size;
	uint32_t	 ecam;		/* configuration space of bus 0, or 0 */
};

/*
 * Writes the tables to `p`, which has `size` bytes and becomes ACPI_GPA: 0 and
 * their length, or -ENOSPC.
 */
int acpi_build(const struct acpi_conf *c, void *p, size_t size, size_t *len);

#endif /* VMMD_ACPI_H */
