/* SPDX-License-Identifier: ISC */
/*
 * The 8254 interval timer, and system control port B that gates its
 * channel 2.
 *
 * Ports: 40-43 pit_pio, 61 pit_pio_portb; the cookie is the struct pit.
 * Registers: Intel 8254 data sheet, "Programming the 8254", "Mode
 * Definitions"; port 61: Intel 82371 (PIIX) data sheet, "NMI Status and
 * Control Register".
 *
 * Channel 0 is the timer of IRQ 0.  Under the VM's mutex.
 */
#ifndef VMMD_PIT_H
#define VMMD_PIT_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/bus.h"
#include "devices/dev.h"

#define PIT_HZ		1193182
#define PIT_CHANNELS	3

/*
 * A channel as it is saved.  Times are ticks of PIT_HZ since the chip's
 * power-on; `start` is the tick at which the counter took the value `count`
 * (it can lie before power-on, when a phase began in mid-cycle).
 */
struct pit_channel {
	int64_t		start;
	int64_t		next_at;	/* when next_count takes over */
	int64_t		held;		/* ticks counted when the gate fell */
	uint32_t	count;		/* in force: 1 to 65536 */
	uint32_t	next_count;	/* waits for next_at or gate; 0: none */
	uint16_t	latch;		/* latched count */
	uint8_t		status;		/* latched status */
	uint8_t		mode;		/* 0 to 5 */
	uint8_t		bcd;
	uint8_t		access;		/* 1 LSB, 2 MSB, 3 LSB then MSB */
	uint8_t		lsb;		/* first byte of a two-byte write */
	uint8_t		read_msb;	/* the next read is of the MSB */
	uint8_t		write_msb;	/* the next write is of the MSB */
	uint8_t		latched;	/* count */
	uint8_t		status_latched;
	uint8_t		next_low;	/* mode 3: next_count starts low */
	uint8_t		running;	/* counting, the gate permitting */
	uint8_t		gate;
	uint8_t		pad[2];
};

struct pit_state {
	uint64_t		elapsed;	/* ns since power-on, at save */
	struct pit_channel	ch[PIT_CHANNELS];
	int64_t			seen;	/* edges up to here are in `due` */
	int64_t			raised;	/* tick of the last edge given */
	uint32_t		due;	/* edges of channel 0 not given yet */
	uint8_t			portb;	/* bits 0-3 of port 61 */
	uint8_t			pad[3];
};

struct pit {
	struct pit_state	 s;
	const struct dev_host	*host;		/* immutable */
	unsigned		 irq;		/* immutable */
	uint64_t		 epoch;		/* host's time at power-on */
	bool			 (*waits)(void *cookie, unsigned irq);
	void			*cookie;	/* both immutable */
};

/*
 * Brings the timer to its power-on state: no channel counts.  `waits` says
 * whether an edge given on `irq` still waits for the processor; NULL if
 * nobody can tell.
 */
void pit_init(struct pit *p, const struct dev_host *host, unsigned irq,
    bool (*waits)(void *cookie, unsigned irq), void *cookie);

extern const struct pio_ops pit_pio;
extern const struct pio_ops pit_pio_portb;
extern const struct dev_ops pit_dev_ops;

#endif /* VMMD_PIT_H */
