/* SPDX-License-Identifier: ISC */
/*
 * The I/O APIC: 24 pins, each of which sends a message to the local APICs.
 *
 * Registers: Intel 82093AA data sheet, section 3; the EOI register, and with it
 * version 20h, is that of later ones (Intel ICH9 data sheet, section 13.5).
 *
 * Under the VM's mutex.
 */
#ifndef VMMD_IOAPIC_H
#define VMMD_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/bus.h"
#include "devices/dev.h"

#define IOAPIC_PINS	24
#define IOAPIC_BASE	UINT64_C(0xfec00000)
#define IOAPIC_SIZE	0x1000

/* As it is saved; bit n of a mask is pin n. */
struct ioapic_state {
	uint64_t	entry[IOAPIC_PINS];	/* of the redirection table */
	uint32_t	lines;		/* levels of the inputs */
	uint32_t	waits;		/* edges sent and not ended */
	uint8_t		id;
	uint8_t		select;		/* IOREGSEL */
	uint8_t		pad[6];
};

/* A pin's message, as told; addr 0: none. */
struct ioapic_route {
	uint64_t	addr;
	uint32_t	data;
};

struct ioapic {
	struct ioapic_state	 s;
	struct ioapic_route	 told[IOAPIC_PINS];
	/* Immutable once running. */
	const struct dev_host	*host;
	uint32_t		 ended;
	void			(*route)(void *cookie, unsigned pin,
				    uint64_t addr, uint32_t data, bool on);
	void			*cookie;
};

/*
 * Brings it to its power-on state, all masked.  Messages go to host->msi.
 *
 * The pins in `ended` are those of edges which may not melt into one: such an
 * edge is sent as if level-triggered, so that its end is told to ioapic_eoi().
 *
 * route(), NULL if nobody wants to know, is told for each pin which message of
 * its it must report the end of, or that there is none.
 */
void ioapic_init(struct ioapic *a, const struct dev_host *host,
    uint32_t ended, void (*route)(void *cookie, unsigned pin, uint64_t addr,
    uint32_t data, bool on), void *cookie);

/* Drives an input; others than `pin` below IOAPIC_PINS there are none. */
void ioapic_set_irq(struct ioapic *a, unsigned pin, bool level);

/* A local APIC's end of a level-triggered interrupt. */
void ioapic_eoi(struct ioapic *a, uint8_t vector);

/* Has an edge of `pin`, one of `ended`, been sent and not ended? */
bool ioapic_waits(const struct ioapic *a, unsigned pin);

extern const struct mmio_ops ioapic_mmio;
extern const struct dev_ops ioapic_dev_ops;

#endif /* VMMD_IOAPIC_H */
