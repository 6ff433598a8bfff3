/* SPDX-License-Identifier: ISC */
/*
 * The 8042 keyboard controller with a keyboard plugged in, and system control
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

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/bus.h"
#include "devices/dev.h"
#include "devices/ps2kbd.h"

struct i8042_state {
	uint8_t	mode;		/* controller command byte */
	uint8_t	status;
	uint8_t	data;		/* output buffer; what was read last */
	uint8_t	command;	/* whose data byte comes next, or 0 */
	uint8_t	outport;
	uint8_t	kbd_full;	/* 1: kbd_data waits behind the buffer */
	uint8_t	kbd_data;	/* the keyboard's byte */
	uint8_t	pad;
	struct ps2kbd kbd;
};
_Static_assert(sizeof(struct i8042_state) == 40, "no hidden padding");

struct i8042 {
	struct i8042_state	 s;
	const struct dev_host	*host;		/* immutable */
	unsigned		 irq;		/* immutable */
	bool			 line;		/* level last given to host */
	atomic_bool		 pressed;	/* any thread sets it */
	atomic_bool		 heard;		/* a driver wants the keys */
};

/* Brings the controller to the state in which firmware leaves it. */
void i8042_init(struct i8042 *k, const struct dev_host *host, unsigned irq);

/* Has a driver switched the keyboard on?  Any thread. */
bool i8042_is_heard(const struct i8042 *k);

/* Presses Ctrl, Alt and Del, at the next fold(); any thread. */
void i8042_ctrl_alt_del(struct i8042 *k);

extern const struct pio_ops i8042_pio_data;
extern const struct pio_ops i8042_pio_command;
extern const struct pio_ops i8042_pio_porta;
extern const struct dev_ops i8042_dev_ops;

#endif /* VMMD_I8042_H */
