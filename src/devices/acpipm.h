/* SPDX-License-Identifier: ISC */
/*
 * ACPI's fixed power management hardware: the PM1a registers with the power
 * button, and the PM timer.  Registers: ACPI 6.4, section 4.8.3.  ACPI is
 * enabled from power-on and stays so.
 *
 * Ports: acpipm_pio_event, acpipm_pio_control, acpipm_pio_timer; the cookie is
 * the struct acpipm.
 *
 * Under the VM's mutex.
 */
#ifndef VMMD_ACPIPM_H
#define VMMD_ACPIPM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/bus.h"
#include "devices/dev.h"

#define ACPIPM_EVENT		0x600
#define ACPIPM_EVENT_LEN	4
#define ACPIPM_CONTROL		0x604
#define ACPIPM_CONTROL_LEN	2
#define ACPIPM_TIMER		0x608
#define ACPIPM_TIMER_LEN	4

#define ACPIPM_TIMER_HZ		3579545

struct acpipm_state {
	uint64_t	elapsed;	/* ns since power-on, at save */
	uint64_t	carries;	/* of the timer, that are in `status` */
	uint16_t	status;
	uint16_t	enable;
	uint16_t	control;
	uint16_t	pad;
};
_Static_assert(sizeof(struct acpipm_state) == 24, "no hidden padding");

struct acpipm {
	struct acpipm_state	 s;
	const struct dev_host	*host;		/* immutable */
	unsigned		 irq;		/* immutable */
	uint8_t			 s5;		/* immutable */
	uint64_t		 epoch;		/* host's time at power-on */
	bool			 line;		/* level last given to host */
	atomic_bool		 pressed;	/* any thread sets it */
	atomic_bool		 heard;		/* PWRBTN_EN */
};

/*
 * Brings it to its power-on state.  `irq` is the line of the SCI; `s5` the
 * SLP_TYP, 0 to 7, with which the guest powers itself off.
 */
void acpipm_init(struct acpipm *p, const struct dev_host *host, unsigned irq,
    uint8_t s5);

/* Has a driver asked to be told of the power button?  Any thread. */
bool acpipm_is_heard(const struct acpipm *p);

/* Presses it, at the next fold(); any thread. */
void acpipm_press(struct acpipm *p);

extern const struct pio_ops acpipm_pio_event;
extern const struct pio_ops acpipm_pio_control;
extern const struct pio_ops acpipm_pio_timer;
extern const struct dev_ops acpipm_dev_ops;

#endif /* VMMD_ACPIPM_H */
