/* SPDX-License-Identifier: ISC */
/*
 * The PC's pair of 8259A interrupt controllers with its edge/level register.
 *
 * Ports: 20-21 pic_pio_master, a0-a1 pic_pio_slave, 4d0-4d1 pic_pio_elcr; the
 * cookie is the struct pic each time.  Registers: Intel 8259A data sheet,
 * "Programming the 8259A"; ELCR: Intel 82371 (PIIX) data sheet, "Interrupt
 * Edge/Level Control Registers".
 *
 * Under the VM's mutex.
 */
#ifndef VMMD_PIC_H
#define VMMD_PIC_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/bus.h"
#include "devices/dev.h"

#define PIC_IRQS	16
#define PIC_CASCADE	2	/* the master's input that the slave drives */

/* One 8259A as it is saved; bit n of a mask is input n. */
struct pic_chip {
	uint8_t	lines;		/* levels of the inputs */
	uint8_t	irr;
	uint8_t	isr;
	uint8_t	imr;
	uint8_t	elcr;		/* 1: level-triggered */
	uint8_t	base;		/* vector of input 0 */
	uint8_t	lowest;		/* input of the lowest priority */
	uint8_t	init;		/* ICW expected next: 2 to 4, 0 for none */
	uint8_t	icw1;
	uint8_t	icw4;
	uint8_t	read_isr;	/* OCW3 chose ISR, not IRR */
	uint8_t	special_mask;
	uint8_t	poll;		/* the next read acknowledges */
	uint8_t	rotate_aeoi;
	uint8_t	pad[2];
};

struct pic_state {
	struct pic_chip	chip[2];	/* master, slave */
};

struct pic {
	struct pic_state	s;
	uint16_t		preset_elcr;	/* immutable once running */
};

/* Brings the pair to its power-on state: all masked, all edge-triggered. */
void pic_init(struct pic *p);

/*
 * Presets the edge/level register, as firmware does; reset returns to it.
 * Bit n makes IRQ n level-triggered; IRQs 0, 1, 2, 8 and 13 stay edge.
 */
void pic_set_elcr(struct pic *p, uint16_t level);

/* Drives an input; `irq` below PIC_IRQS.  Input 2 is the cascade's own. */
void pic_set_irq(struct pic *p, unsigned irq, bool level);

/* The INTR output: is there an interrupt for the processor? */
bool pic_pending(const struct pic *p);

/*
 * The processor's acknowledge (INTA): the vector.  With nothing pending it
 * is the spurious one, input 7's.
 */
uint8_t pic_ack(struct pic *p);

/*
 * Has `irq` a request, not masked, that is still to be acknowledged?  A timer
 * asks, to keep back ticks that would melt into the one that waits.
 */
bool pic_waits(const struct pic *p, unsigned irq);

extern const struct pio_ops pic_pio_master;
extern const struct pio_ops pic_pio_slave;
extern const struct pio_ops pic_pio_elcr;
extern const struct dev_ops pic_dev_ops;

#endif /* VMMD_PIC_H */
