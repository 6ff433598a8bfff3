/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: the interval timer.  An event says whether the last interrupt
 * still waits for the processor.
 */
#include "chip.h"
#include "devices/pit.h"

static bool
pit_waits(void *cookie, unsigned irq)
{
	struct chip_side *s = cookie;

	FUZZ_CHECK(irq == 0);
	return s->flag;
}

static void
pit_make(struct chip_side *s)
{
	pit_init(s->dev, &s->host, 0, pit_waits, s);
}

static void
pit_event(struct chip_side *s, uint8_t what)
{
	s->flag = (what & 1) != 0;
}

const struct chip_target chip_target = {
	.ops = &pit_dev_ops,
	.size = sizeof(struct pit),
	.init = pit_make,
	.event = pit_event,
	.port = {
		{ 0x40, 4, &pit_pio },
		{ 0x61, 1, &pit_pio_portb },
	},
};
