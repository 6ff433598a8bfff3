/* SPDX-License-Identifier: ISC */
/*
 * PCI bus 0 of one guest: configuration space by ports cf8 and cfc and by a
 * window in memory, a host bridge at 00:00.0, and up to 87 devices beside it.
 *
 * Devices have slots 1 to 23 for themselves; those after that are functions 0
 * to 7 of slot 24, and so on to slot 31.  So a device's address does not depend
 * on what is added after it, and guests find devices in the order in which
 * they were added.
 *
 * Devices find themselves ready for a guest that has no firmware: BARs are
 * assigned, decoding is on, INTERRUPT_LINE names the PIC input.  The guest
 * may size, move and disable them; a BAR answers where it lies as long as
 * nobody else is there.
 *
 * Everything here runs on a vCPU thread under the VM's mutex, or before the
 * guest first runs.
 */
#ifndef VMMD_PCI_H
#define VMMD_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/bus.h"
#include "devices/dev.h"

#define PCI_CONFIG_SIZE	256
#define PCI_NSLOTS	32
#define PCI_NPINS	4		/* INTA# to INTD# */
#define PCI_NSINGLE	24		/* slots of one function */
#define PCI_NDEVS	(PCI_NSINGLE + 8 * (PCI_NSLOTS - PCI_NSINGLE))
#define PCI_NBARS	6

/* The windows BARs are assigned from: of ports and of memory. */
#define PCI_IO_BASE	0x1000
#define PCI_IO_END	0x10000
#define PCI_MEM_BASE	0xc0000000u
#define PCI_MEM_END	0xe0000000u

/* Where configuration space lies in memory: one bus. */
#define PCI_ECAM_BASE	0xe0000000u
#define PCI_ECAM_SIZE	0x100000u

#define PCI_CAP_VENDOR	0x09

/* Written as a byte: the guest's reset, see ACPI's RESET_REG. */
#define PCI_RESET_PORT	0xcf9
#define PCI_RESET_VALUE	0x06

struct pci;

/* Who a device says it is. */
struct pci_ident {
	uint16_t	 vendor;
	uint16_t	 device;
	uint16_t	 subvendor;
	uint16_t	 subdevice;
	uint32_t	 class_code;	/* 24 bits: class down to interface */
	uint8_t		 revision;
};

/*
 * What a device does itself.  intx_level is the state of its interrupt pin,
 * NULL if it has none.  bar_moved says that a BAR answers at `base` from now
 * on, or nowhere if that is 0; caps_written that the capabilities may have
 * changed: by a write, a reset or a load.  Both may be NULL.  The window is
 * one dword of configuration space that the device answers (see
 * pci_set_window); `off` and `size` lie inside it.
 */
struct pci_dev_ops {
	bool		(*intx_level)(void *cookie);
	void		(*bar_moved)(void *cookie, unsigned bar,
			    uint32_t base);
	void		(*caps_written)(void *cookie);
	uint32_t	(*window_read)(void *cookie, unsigned off,
			    unsigned size);
	void		(*window_write)(void *cookie, unsigned off,
			    unsigned size, uint32_t val);
};

struct pci_bar {
	uint32_t		 size;		/* power of two; 0: no BAR */
	const struct pio_ops	*io;		/* one of these two */
	const struct mmio_ops	*mem;
	void			*cookie;	/* theirs */
	uint32_t		 base;		/* where the bus has it, or 0 */
};

/* One device; embedded in its owner's struct. */
struct pci_dev {
	const struct pci_dev_ops	*ops;
	void				*cookie;
	struct pci			*pci;		/* NULL: not added */
	unsigned			 index;		/* on the bus */
	unsigned			 irq;
	uint8_t				 last_cap;	/* offset, 0: none */
	uint8_t				 caps_end;
	uint8_t				 window;	/* offset, 0: none */
	struct pci_bar			 bar[PCI_NBARS];
	uint8_t				 config[PCI_CONFIG_SIZE];
	uint8_t				 wmask[PCI_CONFIG_SIZE];
	uint8_t				 boot[PCI_CONFIG_SIZE];
};

/* The bus as a device of the machine; takes a struct pci. */
extern const struct dev_ops pci_ops;

/* A bus with its host bridge; NULL with errno set. */
struct pci *pci_create(const struct dev_host *host, struct bus *bus);

/* After every device was removed. */
void pci_destroy(struct pci *pci);

/* Describes a device: first init, then capabilities and BARs, then add. */
void pci_dev_init(struct pci_dev *d, const struct pci_ident *id,
    const struct pci_dev_ops *ops, void *cookie);

/*
 * Appends a capability of `len` bytes, whose first two (id and link) are
 * filled in here; returns its offset.
 */
uint8_t pci_add_cap(struct pci_dev *d, uint8_t id, const void *cap,
    size_t len);

/* Lets the guest write `len` bytes of configuration space at `off`. */
void pci_set_writable(struct pci_dev *d, uint8_t off, size_t len);

/* Hands the dword at `off` to ops->window_*. */
void pci_set_window(struct pci_dev *d, uint8_t off);

/* Gives the device an I/O BAR of `size` ports, a power of two from 4. */
void pci_add_io_bar(struct pci_dev *d, unsigned n, uint32_t size,
    const struct pio_ops *ops, void *cookie);

/* The same in memory, 32 bits, not prefetchable; `size` from 16. */
void pci_add_mem_bar(struct pci_dev *d, unsigned n, uint32_t size,
    const struct mmio_ops *ops, void *cookie);

/* Plugs the device in at the next free place: 0, -ENOSPC (places, BARs). */
int pci_add(struct pci *pci, struct pci_dev *d);

/* Unplugs it; nothing if it was never added. */
void pci_remove(struct pci_dev *d);

/* Drives every interrupt line that devices share to its level. */
void pci_fold_intx(struct pci *pci);

/* The PIC input of a slot's interrupt pin, 0 for INTA# to 3 for INTD#. */
unsigned pci_irq(unsigned slot, unsigned pin);

/* The slots of devices with interrupt pins, one bit each. */
uint32_t pci_intx_slots(const struct pci *pci);

/* The PIC inputs the bus uses, one bit each: to be level triggered (ELCR). */
uint16_t pci_irq_mask(void);

#endif /* VMMD_PCI_H */
