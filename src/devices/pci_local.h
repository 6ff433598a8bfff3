/* SPDX-License-Identifier: ISC */
/*
 * What the parts of the PCI bus share: pci.c has its devices, pci_bar.c says
 * where they answer, pci_config.c how a guest reaches their configuration.
 *
 * All of it under the VM's mutex.
 */
#ifndef VMMD_PCI_LOCAL_H
#define VMMD_PCI_LOCAL_H

#include "devices/pci.h"

struct pci {
	const struct dev_host	*host;
	struct bus		*bus;
	uint32_t		 address;	/* CONFIG_ADDRESS */
	uint32_t		 next_io;	/* first unassigned port */
	uint32_t		 next_mem;	/* and address */
	unsigned		 ndevs;		/* one past the last in dev */
	struct pci_dev		*dev[PCI_NDEVS]; /* by index; see pci.c */
	struct pci_dev		 bridge;
};

/* What the guest can write in CONFIG_ADDRESS (PCI 3.0, 3.2.2.3.2). */
#define PCI_ADDRESS_WRITABLE	0x80fffffcu

/* Functions 0-7 of slots 0-31, eight bits as in an address; or NULL. */
struct pci_dev *pci_find(const struct pci *pci, unsigned devfn);

/* The level of its pin, whether or not the guest lets it out. */
bool pci_intx_level(const struct pci_dev *d);

/* Tells a device that its capabilities may have changed. */
void pci_caps_written(const struct pci_dev *d);

/* Gives each BAR its place; a window is given out once, ascending. */
int pci_assign_bars(struct pci *pci, struct pci_dev *d);

/* Takes off the bus what no longer answers where it did; all: everything. */
void pci_unmap_bars(struct pci_dev *d, bool all);

/*
 * Makes the bus follow the BARs.  Every device is looked at, since one that
 * leaves may make room for another that waits.
 */
void pci_remap(struct pci *pci);

/* Puts the ways to configuration space on the bus: 0 or -errno. */
int pci_config_attach(struct pci *pci);
void pci_config_detach(struct pci *pci);

#endif /* VMMD_PCI_LOCAL_H */
