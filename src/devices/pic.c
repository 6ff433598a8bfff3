/* SPDX-License-Identifier: ISC */
/*
 * The 8259A pair.
 *
 * An edge makes a request that its input withdraws by falling before the
 * acknowledge, as the data sheet has it: that is where spurious interrupts
 * come from.  The cascade input is treated as level-triggered, so the slave's
 * next request is seen however soon it follows the last.
 *
 * ICW1's level bit is without effect where there is an ELCR, and so are ICW3
 * (the cascade is wired), buffered mode and the 8080's way to acknowledge.
 */
#include "devices/pic.h"

#include <errno.h>
#include <string.h>

#include "devices/state.h"

#define PIC_MASTER		0
#define PIC_SLAVE		1
#define PIC_VERSION		1

#define PIC_ELCR_WRITABLE	0xdef8	/* all but 0, 1, 2, 8 and 13 */
#define PIC_SPURIOUS		7	/* what an idle chip acknowledges */
#define PIC_NONE		(-1)

#define ICW1_IC4		0x01	/* ICW4 follows */
#define ICW1_SNGL		0x02	/* no ICW3 */
#define ICW1_INIT		0x10	/* an ICW1, not an OCW */
#define ICW4_AEOI		0x02
#define ICW4_SFNM		0x10

#define OCW2_EOI		0x20
#define OCW2_SL			0x40	/* bits 0-2 name an input */
#define OCW2_R			0x80	/* rotate */
#define OCW3_RIS		0x01
#define OCW3_RR			0x02
#define OCW3_P			0x04
#define OCW3_OCW3		0x08	/* an OCW3, not an OCW2 */
#define OCW3_SMM		0x20
#define OCW3_ESMM		0x40

#define POLL_INT		0x80	/* there was a request */

/* How urgent an input is, 0 being the most. */
static unsigned
pic_rank(const struct pic_chip *c, unsigned input)
{
	return (input - c->lowest - 1) & 7;
}

/* The most urgent input in `set`, or PIC_NONE. */
static int
pic_first(const struct pic_chip *c, uint8_t set)
{
	unsigned turn = (c->lowest + 1) & 7;
	unsigned turned;

	if (set == 0)
		return PIC_NONE;
	/* Rotated so that bit n is rank n. */
	turned = ((unsigned)set | (unsigned)set << 8) >> turn;
	return (int)((turn + (unsigned)__builtin_ctz(turned)) & 7);
}

/* The input that the chip would acknowledge now, or PIC_NONE. */
static int
pic_select(const struct pic_chip *c, bool master)
{
	uint8_t serving = c->isr;
	int irq, isr;

	if (c->init != 0)
		return PIC_NONE;
	irq = pic_first(c, c->irr & ~c->imr);
	if (irq == PIC_NONE)
		return PIC_NONE;
	if (c->special_mask)
		serving &= ~c->imr;
	isr = pic_first(c, serving);
	if (isr == PIC_NONE || pic_rank(c, irq) < pic_rank(c, isr))
		return irq;
	/* A slave in service may interrupt itself. */
	if (master && (c->icw4 & ICW4_SFNM) != 0 && irq == PIC_CASCADE &&
	    isr == PIC_CASCADE)
		return irq;
	return PIC_NONE;
}

static void
pic_chip_input(struct pic_chip *c, unsigned input, bool level)
{
	uint8_t bit = (uint8_t)(1u << input);

	if (!level) {
		c->lines &= ~bit;
		c->irr &= ~bit;
		return;
	}
	if ((c->elcr & bit) != 0 || (c->lines & bit) == 0)
		c->irr |= bit;
	c->lines |= bit;
}

/* Passes the slave's INT output on to the master. */
static void
pic_cascade(struct pic *p)
{
	struct pic_chip *m = &p->s.chip[PIC_MASTER];
	uint8_t bit = 1u << PIC_CASCADE;

	if (pic_select(&p->s.chip[PIC_SLAVE], false) != PIC_NONE) {
		m->lines |= bit;
		m->irr |= bit;
	} else {
		m->lines &= ~bit;
		m->irr &= ~bit;
	}
}

void
pic_set_irq(struct pic *p, unsigned irq, bool level)
{
	if (irq >= PIC_IRQS || irq == PIC_CASCADE)
		return;
	pic_chip_input(&p->s.chip[irq / 8], irq % 8, level);
	if (irq >= 8)
		pic_cascade(p);
}

bool
pic_pending(const struct pic *p)
{
	return pic_select(&p->s.chip[PIC_MASTER], true) != PIC_NONE;
}

bool
pic_waits(const struct pic *p, unsigned irq)
{
	const struct pic_chip *c;

	if (irq >= PIC_IRQS)
		return false;
	c = &p->s.chip[irq / 8];
	return (c->irr & ~c->imr & (1u << irq % 8)) != 0;
}

/* Takes an input into service. */
static void
pic_chip_ack(struct pic_chip *c, int input)
{
	uint8_t bit = (uint8_t)(1u << input);

	if ((c->elcr & bit) == 0)
		c->irr &= ~bit;
	if ((c->icw4 & ICW4_AEOI) == 0)
		c->isr |= bit;
	else if (c->rotate_aeoi)
		c->lowest = (uint8_t)input;
}

uint8_t
pic_ack(struct pic *p)
{
	struct pic_chip *m = &p->s.chip[PIC_MASTER];
	struct pic_chip *s = &p->s.chip[PIC_SLAVE];
	int irq;

	irq = pic_select(m, true);
	if (irq == PIC_NONE)
		return m->base + PIC_SPURIOUS;
	pic_chip_ack(m, irq);
	if (irq != PIC_CASCADE)
		return (uint8_t)(m->base + irq);
	irq = pic_select(s, false);
	if (irq == PIC_NONE)
		irq = PIC_SPURIOUS;
	else
		pic_chip_ack(s, irq);
	pic_cascade(p);
	return (uint8_t)(s->base + irq);
}

static void
pic_icw1(struct pic_chip *c, uint8_t val)
{
	c->icw1 = val;
	c->icw4 = 0;
	c->init = 2;
	/* The edge latches clear: an input must rise anew. */
	c->irr = c->lines & c->elcr;
	c->isr = 0;
	c->imr = 0;
	c->lowest = 7;
	c->read_isr = 0;
	c->special_mask = 0;
	c->poll = 0;
	c->rotate_aeoi = 0;
}

/* ICW2 to ICW4: what a write to the odd port means during a start-up. */
static void
pic_icw(struct pic_chip *c, uint8_t val)
{
	switch (c->init) {
	case 2:
		c->base = val & 0xf8;
		if ((c->icw1 & ICW1_SNGL) == 0)
			c->init = 3;
		else
			c->init = (c->icw1 & ICW1_IC4) != 0 ? 4 : 0;
		break;
	case 3:
		c->init = (c->icw1 & ICW1_IC4) != 0 ? 4 : 0;
		break;
	default:
		c->icw4 = val;
		c->init = 0;
		break;
	}
}

/* The input that an end of interrupt is meant for, or PIC_NONE. */
static int
pic_eoi_input(const struct pic_chip *c, uint8_t val)
{
	uint8_t serving = c->isr;

	if ((val & OCW2_SL) != 0)
		return val & 7;
	if (c->special_mask)
		serving &= ~c->imr;
	return pic_first(c, serving);
}

static void
pic_ocw2(struct pic_chip *c, uint8_t val)
{
	int input;

	if ((val & OCW2_EOI) != 0) {
		input = pic_eoi_input(c, val);
		if (input == PIC_NONE)
			return;
		c->isr &= ~(1u << input);
		if ((val & OCW2_R) != 0)
			c->lowest = (uint8_t)input;
		return;
	}
	if ((val & OCW2_SL) == 0)
		c->rotate_aeoi = (val & OCW2_R) != 0;
	else if ((val & OCW2_R) != 0)
		c->lowest = val & 7;
}

static void
pic_ocw3(struct pic_chip *c, uint8_t val)
{
	if ((val & OCW3_ESMM) != 0)
		c->special_mask = (val & OCW3_SMM) != 0;
	if ((val & OCW3_P) != 0)
		c->poll = 1;
	else if ((val & OCW3_RR) != 0)
		c->read_isr = (val & OCW3_RIS) != 0;
}

static void
pic_write(struct pic *p, unsigned which, uint32_t off, uint32_t val)
{
	struct pic_chip *c = &p->s.chip[which];
	uint8_t v = (uint8_t)val;

	if (off == 0) {
		if ((v & ICW1_INIT) != 0)
			pic_icw1(c, v);
		else if ((v & OCW3_OCW3) != 0)
			pic_ocw3(c, v);
		else
			pic_ocw2(c, v);
	} else if (c->init != 0) {
		pic_icw(c, v);
	} else {
		c->imr = v;
	}
	pic_cascade(p);
}

/* The read after a poll command acknowledges like the processor would. */
static uint8_t
pic_poll(struct pic *p, unsigned which)
{
	struct pic_chip *c = &p->s.chip[which];
	int input = pic_select(c, which == PIC_MASTER);

	c->poll = 0;
	if (input == PIC_NONE)
		return 0;
	pic_chip_ack(c, input);
	pic_cascade(p);
	return (uint8_t)(POLL_INT | input);
}

static uint32_t
pic_read(struct pic *p, unsigned which, uint32_t off)
{
	struct pic_chip *c = &p->s.chip[which];

	if (c->poll)
		return pic_poll(p, which);
	if (off != 0)
		return c->imr;
	return c->read_isr ? c->isr : c->irr;
}

static uint32_t
pic_master_in(void *cookie, uint32_t off, unsigned size)
{
	(void)size;
	return pic_read(cookie, PIC_MASTER, off);
}

static void
pic_master_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	(void)size;
	pic_write(cookie, PIC_MASTER, off, val);
}

static uint32_t
pic_slave_in(void *cookie, uint32_t off, unsigned size)
{
	(void)size;
	return pic_read(cookie, PIC_SLAVE, off);
}

static void
pic_slave_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	(void)size;
	pic_write(cookie, PIC_SLAVE, off, val);
}

/* Sets one chip's trigger modes; its requests follow from its inputs. */
static void
pic_elcr_write(struct pic *p, unsigned which, uint8_t val)
{
	struct pic_chip *c = &p->s.chip[which];

	c->elcr = val & (PIC_ELCR_WRITABLE >> (8 * which));
	c->irr = (c->irr & ~c->elcr) | (c->lines & c->elcr);
	pic_cascade(p);
}

static uint32_t
pic_elcr_in(void *cookie, uint32_t off, unsigned size)
{
	struct pic *p = cookie;

	(void)size;
	return p->s.chip[off].elcr;
}

static void
pic_elcr_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	(void)size;
	pic_elcr_write(cookie, off, (uint8_t)val);
}

void
pic_set_elcr(struct pic *p, uint16_t level)
{
	p->preset_elcr = level;
	pic_elcr_write(p, PIC_MASTER, level & 0xff);
	pic_elcr_write(p, PIC_SLAVE, level >> 8);
}

static void
pic_reset(void *dev)
{
	struct pic *p = dev;
	unsigned i;

	memset(&p->s, 0, sizeof(p->s));
	for (i = 0; i < 2; i++) {
		p->s.chip[i].imr = 0xff;
		p->s.chip[i].lowest = 7;
	}
	/* The vectors of PC firmware. */
	p->s.chip[PIC_MASTER].base = 0x08;
	p->s.chip[PIC_SLAVE].base = 0x70;
	pic_set_elcr(p, p->preset_elcr);
}

void
pic_init(struct pic *p)
{
	memset(p, 0, sizeof(*p));
	pic_reset(p);
}

static int
pic_save(const void *dev, struct state_writer *w)
{
	const struct pic *p = dev;

	return state_put(w, "pic", PIC_VERSION, &p->s, sizeof(p->s));
}

static bool
pic_chip_valid(const struct pic_chip *c, unsigned which)
{
	uint8_t no_line = which == PIC_MASTER ? 1u << PIC_CASCADE : 0;

	return (c->elcr & ~(PIC_ELCR_WRITABLE >> (8 * which))) == 0 &&
	    (c->irr & ~c->lines) == 0 &&
	    (c->lines & ~c->irr & (c->elcr | no_line)) == 0 &&
	    (c->base & 7) == 0 && c->lowest <= 7 &&
	    c->init != 1 && c->init <= 4 && c->read_isr <= 1 &&
	    c->special_mask <= 1 && c->poll <= 1 && c->rotate_aeoi <= 1 &&
	    c->pad[0] == 0 && c->pad[1] == 0;
}

static int
pic_load(void *dev, struct state_reader *r)
{
	struct pic_state s;
	struct pic *p = dev;
	int error;

	error = state_get(r, "pic", PIC_VERSION, &s, sizeof(s));
	if (error != 0)
		return error;
	if (!pic_chip_valid(&s.chip[PIC_MASTER], PIC_MASTER) ||
	    !pic_chip_valid(&s.chip[PIC_SLAVE], PIC_SLAVE))
		return -EINVAL;
	p->s = s;
	pic_cascade(p);
	return 0;
}

const struct pio_ops pic_pio_master = {
	.in = pic_master_in,
	.out = pic_master_out,
	.bytewise = true,
};

const struct pio_ops pic_pio_slave = {
	.in = pic_slave_in,
	.out = pic_slave_out,
	.bytewise = true,
};

const struct pio_ops pic_pio_elcr = {
	.in = pic_elcr_in,
	.out = pic_elcr_out,
	.bytewise = true,
};

const struct dev_ops pic_dev_ops = {
	.name = "pic",
	.reset = pic_reset,
	.save = pic_save,
	.load = pic_load,
};
