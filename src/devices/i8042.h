/* SPDX-License-Identifier: ISC */
/*
 * The 8042 keyboard controller with nothing plugged in, and system control
 * port A.  Guests find the A20 gate and, above all, their reset here.
 *
 * Ports: 60 i8042_pio_data, 64 i8042_pio_command, 92 i8042_pio_porta; the
 * cookie is the struct i8042; IRQ 1.  Registers: IBM PS/2 Hardware Interface
 * Technical Reference, "Keyboard and Auxiliary Device Controller" and "System
 * Control Port A".
 *
 * Under the VM's mutex.
 */
#ifndef VMMD_I8042_H
#define VMMD_I8042_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/bus.h"
#include "devices/dev.h"

struct i8042_state {
	uint8_t	mode;		/* controller command byte */
	uint8_t	status;
	uint8_t	data;		/* output buffer */
	uint8_t	command;	/* whose data byte comes next, or 0 */
	uint8_t	outport;
	uint8_t	pad[3];
};

struct i8042 {
	struct i8042_state	 s;
	const struct dev_host	*host;		/* immutable */
	unsigned		 irq;		/* immutable */
	bool			 line;		/* level last given to host */
};

/* Brings the controller to the state in which firmware leaves it. */
void i8042_init(struct i8042 *k, const struct dev_host *host, unsigned irq);

extern const struct pio_ops i8042_pio_data;
extern const struct pio_ops i8042_pio_command;
extern const struct pio_ops i8042_pio_porta;
extern const struct dev_ops i8042_dev_ops;

#endif /* VMMD_I8042_H */
