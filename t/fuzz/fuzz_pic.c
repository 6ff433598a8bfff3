/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: the interrupt controllers.  An event drives a line (its number
 * in the low bits, its level in bit 4) or, with bit 5, is the processor's
 * acknowledge.
 */
#include "chip.h"
#include "devices/pic.h"

static void
pic_make(struct chip_side *s)
{
	pic_init(s->dev);
	pic_set_elcr(s->dev, 0x0e20);
}

static void
pic_event(struct chip_side *s, uint8_t what)
{
	bool pending;

	if ((what & 0x20) == 0) {
		pic_set_irq(s->dev, what & 15, (what & 0x10) != 0);
		return;
	}
	pending = pic_pending(s->dev);
	s->output = s->output * 31 + pic_ack(s->dev);
	/* Nothing is left but what the acknowledged one does not hold up. */
	if (!pending)
		FUZZ_CHECK(!pic_pending(s->dev));
}

static uint32_t
pic_probe(struct chip_side *s)
{
	uint32_t seen = pic_pending(s->dev);
	unsigned i;

	for (i = 0; i <= PIC_IRQS; i++)
		seen = seen << 1 | pic_waits(s->dev, i);
	return seen;
}

const struct chip_target chip_target = {
	.ops = &pic_dev_ops,
	.size = sizeof(struct pic),
	.init = pic_make,
	.event = pic_event,
	.probe = pic_probe,
	.port = {
		{ 0x20, 2, &pic_pio_master },
		{ 0xa0, 2, &pic_pio_slave },
		{ 0x4d0, 2, &pic_pio_elcr },
	},
};
