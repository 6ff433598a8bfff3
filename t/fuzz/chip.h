/* SPDX-License-Identifier: ISC */
/*
 * A chip under a program of register accesses, for fuzz targets.
 *
 * The input is a list of steps.  The low three bits of a step's first byte say
 * what it does, the next two the width of an access (1, 2, 4 or 1 bytes):
 *
 *	0, 1	out: port, value
 *	2, 3	in: port
 *	4	time goes on: shift, u16
 *	5	something happens outside: number
 *	6	all bits above clear: the chip folds; bit 3: it is reset
 *	7	save and load: a twin of the chip begins; bit 3: what was saved
 *		is changed (number of changes, then offset and mask of each)
 *		and, if it is accepted, takes the chip's place
 *
 * A port is an index into those of the chip.  The twin is made by loading what
 * was saved into a fresh chip; it must save the same bytes and from then on
 * get the same accesses, give the same answers and drive the same lines.
 */
#ifndef VMMD_FUZZ_CHIP_H
#define VMMD_FUZZ_CHIP_H

#include <stdbool.h>

#include "devices/bus.h"
#include "devices/dev.h"
#include "fuzz.h"

#define CHIP_PORTS	4
#define CHIP_INPUT	64
#define CHIP_IRQS	16

/* One of the twins and the machine around it. */
struct chip_side {
	struct dev_host	 host;
	struct bus	*bus;
	void		*dev;
	uint64_t	 now;
	int64_t		 wall_ahead;	/* of `now`, ns */
	bool		 line[CHIP_IRQS];
	unsigned	 resets;
	unsigned	 poweroffs;
	bool		 attention;
	bool		 flag;		/* the target's */
	uint32_t	 output;	/* a sum over what the chip put out */
	uint8_t		 input[CHIP_INPUT];	/* waits for the chip */
	unsigned	 ninput;
};

struct chip_port {
	uint16_t		 base, len;
	const struct pio_ops	*ops;
};

/* What a target says of its chip; event and probe may be NULL. */
struct chip_target {
	const struct dev_ops	*ops;
	size_t			 size;		/* of the device's struct */
	void			(*init)(struct chip_side *s);
	void			(*event)(struct chip_side *s, uint8_t what);
	/* What others see of the chip, for comparison. */
	uint32_t		(*probe)(struct chip_side *s);
	struct chip_port	 port[CHIP_PORTS];	/* len 0: no more */
};

extern const struct chip_target chip_target;

#endif /* VMMD_FUZZ_CHIP_H */
