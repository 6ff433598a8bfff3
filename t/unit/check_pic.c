/* SPDX-License-Identifier: ISC */
/*
 * The 8259A pair: start-up, priorities, ends of interrupt, the modes, and
 * random programs against a model that is slow and plain.
 */
#include "devices/pic.h"
#include "testhost.h"

#define MASTER	0
#define SLAVE	1

static void
out(struct pic *p, unsigned chip, uint32_t off, uint8_t val)
{
	const struct pio_ops *ops = chip == MASTER ? &pic_pio_master :
	    &pic_pio_slave;

	ops->out(p, off, 1, val);
}

static uint8_t
in(struct pic *p, unsigned chip, uint32_t off)
{
	const struct pio_ops *ops = chip == MASTER ? &pic_pio_master :
	    &pic_pio_slave;

	return (uint8_t)ops->in(p, off, 1);
}

/* Starts both up as PC systems do, with the given ICW4s and no masks. */
static void
start(struct pic *p, uint8_t icw4_master, uint8_t icw4_slave)
{
	out(p, MASTER, 0, 0x11);
	out(p, MASTER, 1, 0x30);
	out(p, MASTER, 1, 0x04);
	out(p, MASTER, 1, icw4_master);
	out(p, SLAVE, 0, 0x11);
	out(p, SLAVE, 1, 0x38);
	out(p, SLAVE, 1, 0x02);
	out(p, SLAVE, 1, icw4_slave);
}

static void
make(struct pic *p)
{
	pic_init(p);
	start(p, 0x01, 0x01);
}

static void
pulse(struct pic *p, unsigned irq)
{
	pic_set_irq(p, irq, false);
	pic_set_irq(p, irq, true);
}

START_TEST(power_on_is_silent)
{
	struct pic p;
	unsigned i;

	pic_init(&p);
	for (i = 0; i < PIC_IRQS; i++)
		pic_set_irq(&p, i, true);
	ck_assert(!pic_pending(&p));
	ck_assert_uint_eq(in(&p, MASTER, 1), 0xff);
	ck_assert_uint_eq(in(&p, SLAVE, 1), 0xff);
}
END_TEST

/* How Linux finds out whether there is a PIC at all. */
START_TEST(mask_reads_back)
{
	struct pic p;

	pic_init(&p);
	out(&p, MASTER, 1, 0xfb);
	ck_assert_uint_eq(in(&p, MASTER, 1), 0xfb);
	ck_assert_uint_eq(in(&p, SLAVE, 1), 0xff);
}
END_TEST

START_TEST(start_up_words)
{
	struct pic p;

	pic_init(&p);
	out(&p, MASTER, 0, 0x11);
	pulse(&p, 1);
	out(&p, MASTER, 1, 0x4f);	/* its low bits are not the base's */
	out(&p, MASTER, 1, 0x04);
	ck_assert(!pic_pending(&p));
	out(&p, MASTER, 1, 0x01);
	ck_assert(pic_pending(&p));
	ck_assert_uint_eq(pic_ack(&p), 0x49);
	/* Alone and without ICW4 it takes two words. */
	out(&p, MASTER, 0, 0x12);
	out(&p, MASTER, 1, 0x20);
	out(&p, MASTER, 1, 0xfe);
	ck_assert_uint_eq(in(&p, MASTER, 1), 0xfe);
	pulse(&p, 0);
	ck_assert_uint_eq(pic_ack(&p), 0x20);
}
END_TEST

START_TEST(start_up_forgets)
{
	struct pic p;

	make(&p);
	pic_set_irq(&p, 3, true);
	pic_set_irq(&p, 4, true);
	ck_assert_uint_eq(pic_ack(&p), 0x33);
	out(&p, MASTER, 1, 0xf0);
	start(&p, 1, 1);
	ck_assert_uint_eq(in(&p, MASTER, 1), 0);
	out(&p, MASTER, 0, 0x0b);
	ck_assert_uint_eq(in(&p, MASTER, 0), 0);
	/* The inputs are still high, which is no edge. */
	ck_assert(!pic_pending(&p));
	pulse(&p, 4);
	ck_assert_uint_eq(pic_ack(&p), 0x34);
}
END_TEST

START_TEST(edge_needs_an_edge)
{
	struct pic p;

	make(&p);
	pic_set_irq(&p, 5, true);
	ck_assert_uint_eq(pic_ack(&p), 0x35);
	out(&p, MASTER, 0, 0x20);
	ck_assert(!pic_pending(&p));
	pic_set_irq(&p, 5, true);
	ck_assert(!pic_pending(&p));
	pulse(&p, 5);
	ck_assert(pic_pending(&p));
}
END_TEST

START_TEST(level_stays)
{
	struct pic p;

	make(&p);
	pic_set_elcr(&p, 1 << 5);
	pic_set_irq(&p, 5, true);
	ck_assert_uint_eq(pic_ack(&p), 0x35);
	ck_assert(!pic_pending(&p));
	out(&p, MASTER, 0, 0x20);
	ck_assert(pic_pending(&p));
	pic_set_irq(&p, 5, false);
	ck_assert(!pic_pending(&p));
}
END_TEST

START_TEST(elcr_bits)
{
	struct pic p;

	make(&p);
	pic_pio_elcr.out(&p, 0, 1, 0xff);
	pic_pio_elcr.out(&p, 1, 1, 0xff);
	ck_assert_uint_eq(pic_pio_elcr.in(&p, 0, 1), 0xf8);
	ck_assert_uint_eq(pic_pio_elcr.in(&p, 1, 1), 0xde);
	pic_set_elcr(&p, 0x0e20);
	pic_pio_elcr.out(&p, 0, 1, 0);
	pic_dev_ops.reset(&p);
	ck_assert_uint_eq(pic_pio_elcr.in(&p, 0, 1), 0x20);
	ck_assert_uint_eq(pic_pio_elcr.in(&p, 1, 1), 0x0e);
}
END_TEST

START_TEST(withdrawn_is_spurious)
{
	struct pic p;

	make(&p);
	pic_set_irq(&p, 3, true);
	ck_assert(pic_pending(&p));
	pic_set_irq(&p, 3, false);
	ck_assert(!pic_pending(&p));
	ck_assert_uint_eq(pic_ack(&p), 0x37);
	out(&p, MASTER, 0, 0x0b);
	ck_assert_uint_eq(in(&p, MASTER, 0), 0);
}
END_TEST

/*
 * A slave that has nothing any more when its turn comes answers 15; the
 * master has IRQ 2 in service and wants its EOI.
 */
START_TEST(spurious_slave)
{
	struct pic p;

	make(&p);
	pulse(&p, 10);
	p.s.chip[SLAVE].irr = 0;	/* between the two INTA pulses */
	ck_assert_uint_eq(pic_ack(&p), 0x3f);
	out(&p, MASTER, 0, 0x0b);
	ck_assert_uint_eq(in(&p, MASTER, 0), 0x04);
	out(&p, SLAVE, 0, 0x0b);
	ck_assert_uint_eq(in(&p, SLAVE, 0), 0);
}
END_TEST

START_TEST(cascade)
{
	struct pic p;

	make(&p);
	pulse(&p, 8);
	pulse(&p, 3);
	ck_assert_uint_eq(pic_ack(&p), 0x38);	/* 8 goes before 3 */
	ck_assert(!pic_pending(&p));
	pulse(&p, 1);
	ck_assert_uint_eq(pic_ack(&p), 0x31);
	out(&p, MASTER, 0, 0x20);
	out(&p, SLAVE, 0, 0x20);
	out(&p, MASTER, 0, 0x20);
	ck_assert_uint_eq(pic_ack(&p), 0x33);
	out(&p, MASTER, 0, 0x20);
	/* Nobody but the slave drives input 2. */
	pic_set_irq(&p, 2, true);
	ck_assert(!pic_pending(&p));
	out(&p, MASTER, 1, 0x04);
	pulse(&p, 9);
	ck_assert(!pic_pending(&p));
	out(&p, MASTER, 1, 0x00);
	ck_assert_uint_eq(pic_ack(&p), 0x39);
}
END_TEST

/* Two of the slave's in a row: the second is seen after the EOIs. */
START_TEST(slave_back_to_back)
{
	struct pic p;

	make(&p);
	pulse(&p, 10);
	pulse(&p, 12);
	ck_assert_uint_eq(pic_ack(&p), 0x3a);
	out(&p, SLAVE, 0, 0x20);
	ck_assert(!pic_pending(&p));
	out(&p, MASTER, 0, 0x20);
	ck_assert_uint_eq(pic_ack(&p), 0x3c);
}
END_TEST

/* With SFNM a slave's more urgent input interrupts its less urgent one. */
START_TEST(special_fully_nested)
{
	struct pic p;

	make(&p);
	pulse(&p, 12);
	ck_assert_uint_eq(pic_ack(&p), 0x3c);
	pulse(&p, 10);
	ck_assert(!pic_pending(&p));
	start(&p, 0x11, 0x01);
	pulse(&p, 12);
	ck_assert_uint_eq(pic_ack(&p), 0x3c);
	pulse(&p, 13);
	pulse(&p, 3);
	ck_assert(!pic_pending(&p));
	pulse(&p, 10);
	ck_assert_uint_eq(pic_ack(&p), 0x3a);
}
END_TEST

START_TEST(eoi_kinds)
{
	struct pic p;

	make(&p);
	pulse(&p, 5);
	ck_assert_uint_eq(pic_ack(&p), 0x35);
	pulse(&p, 3);
	ck_assert_uint_eq(pic_ack(&p), 0x33);
	out(&p, MASTER, 0, 0x65);	/* specific, of 5 */
	out(&p, MASTER, 0, 0x0b);
	ck_assert_uint_eq(in(&p, MASTER, 0), 0x08);
	out(&p, MASTER, 0, 0x20);
	ck_assert_uint_eq(in(&p, MASTER, 0), 0);
	out(&p, MASTER, 0, 0x0a);
	pulse(&p, 6);
	ck_assert_uint_eq(in(&p, MASTER, 0), 0x40);
}
END_TEST

START_TEST(rotation)
{
	struct pic p;

	make(&p);
	pulse(&p, 3);
	ck_assert_uint_eq(pic_ack(&p), 0x33);
	out(&p, MASTER, 0, 0xa0);	/* 3 is now the least urgent */
	pulse(&p, 3);
	pulse(&p, 1);
	pulse(&p, 4);
	ck_assert_uint_eq(pic_ack(&p), 0x34);
	out(&p, MASTER, 0, 0x20);
	ck_assert_uint_eq(pic_ack(&p), 0x31);
	out(&p, MASTER, 0, 0x20);
	ck_assert_uint_eq(pic_ack(&p), 0x33);
	out(&p, MASTER, 0, 0xe3);	/* specific, rotating */
	out(&p, MASTER, 0, 0xc0);	/* set: 0 is the least urgent */
	pulse(&p, 0);
	pulse(&p, 7);
	ck_assert_uint_eq(pic_ack(&p), 0x37);
}
END_TEST

START_TEST(automatic_eoi)
{
	struct pic p;

	make(&p);
	start(&p, 0x03, 0x01);
	out(&p, MASTER, 0, 0x80);	/* rotating */
	pulse(&p, 3);
	pulse(&p, 4);
	ck_assert_uint_eq(pic_ack(&p), 0x33);
	pulse(&p, 3);
	ck_assert_uint_eq(pic_ack(&p), 0x34);
	ck_assert_uint_eq(pic_ack(&p), 0x33);
	out(&p, MASTER, 0, 0x00);	/* no longer */
	pulse(&p, 7);
	pulse(&p, 6);
	ck_assert_uint_eq(pic_ack(&p), 0x36);
	ck_assert_uint_eq(pic_ack(&p), 0x37);
	ck_assert_uint_eq(p.s.chip[MASTER].lowest, 3);
	out(&p, MASTER, 0, 0x0b);
	ck_assert_uint_eq(in(&p, MASTER, 0), 0);
}
END_TEST

START_TEST(special_mask)
{
	struct pic p;

	make(&p);
	pulse(&p, 3);
	ck_assert_uint_eq(pic_ack(&p), 0x33);
	pulse(&p, 6);
	ck_assert(!pic_pending(&p));
	out(&p, MASTER, 0, 0x68);
	ck_assert(!pic_pending(&p));
	out(&p, MASTER, 1, 0x08);
	ck_assert_uint_eq(pic_ack(&p), 0x36);
	/* The masked one is not for an unspecific EOI to end. */
	out(&p, MASTER, 0, 0x20);
	out(&p, MASTER, 0, 0x20);
	out(&p, MASTER, 0, 0x0b);
	ck_assert_uint_eq(in(&p, MASTER, 0), 0x08);
	out(&p, MASTER, 0, 0x48);
	pulse(&p, 6);
	ck_assert(!pic_pending(&p));
}
END_TEST

START_TEST(polling)
{
	struct pic p;

	make(&p);
	out(&p, MASTER, 0, 0x0c);
	ck_assert_uint_eq(in(&p, MASTER, 0), 0);
	pulse(&p, 4);
	out(&p, MASTER, 0, 0x0c);
	ck_assert_uint_eq(in(&p, MASTER, 0), 0x84);
	out(&p, MASTER, 0, 0x0b);
	ck_assert_uint_eq(in(&p, MASTER, 0), 0x10);
	out(&p, MASTER, 0, 0x20);
	pulse(&p, 9);
	out(&p, MASTER, 0, 0x0c);
	ck_assert_uint_eq(in(&p, MASTER, 0), 0x82);
	out(&p, SLAVE, 0, 0x0c);
	ck_assert_uint_eq(in(&p, SLAVE, 1), 0x81);
	ck_assert_uint_eq(in(&p, SLAVE, 1), 0);
}
END_TEST

START_TEST(waits_until_taken)
{
	struct pic p;

	make(&p);
	ck_assert(!pic_waits(&p, 0));
	pulse(&p, 0);
	ck_assert(pic_waits(&p, 0));
	out(&p, MASTER, 1, 0x01);
	ck_assert(!pic_waits(&p, 0));
	out(&p, MASTER, 1, 0x00);
	pic_ack(&p);
	ck_assert(!pic_waits(&p, 0));
	pulse(&p, 15);
	ck_assert(pic_waits(&p, 15));
	ck_assert(!pic_waits(&p, PIC_IRQS));
	pic_set_irq(&p, PIC_IRQS, true);
}
END_TEST

/* The most urgent of a set, found by asking each in turn. */
static int
model_first(const struct pic_chip *c, uint8_t set)
{
	unsigned i, input;

	for (i = 1; i <= 8; i++) {
		input = (c->lowest + i) % 8;
		if ((set >> input & 1) != 0)
			return (int)input;
	}
	return -1;
}

/*
 * What the data sheet says of a chip's choice, walking from the most urgent
 * input down until something in service stops the walk.
 */
static int
model_select(const struct pic_chip *c, bool master)
{
	unsigned i, n;

	for (i = 1; i <= 8 && c->init == 0; i++) {
		n = (c->lowest + i) % 8;
		bool serving = c->isr >> n & 1;
		bool masked = c->imr >> n & 1;
		bool asks = (c->irr >> n & 1) && !masked;

		if (serving && !(c->special_mask && masked)) {
			if (asks && master && n == PIC_CASCADE &&
			    (c->icw4 & 0x10) != 0)
				return (int)n;
			return -1;
		}
		if (asks)
			return (int)n;
	}
	return -1;
}

/* One random step: a line, a register, or an acknowledge checked. */
static void
step(struct pic *p, uint64_t *seed)
{
	uint32_t x = test_random(seed);
	unsigned chip = x >> 8 & 1;
	int m, s;

	switch (x % 8) {
	case 0:
		out(p, chip, x >> 9 & 1, x >> 16 & 0xff);
		break;
	case 1:
		out(p, chip, 0, 0x20 | (x >> 16 & 0xc7));
		break;
	case 2:
		out(p, chip, 1, x >> 16 & x >> 24 & 0xff);
		break;
	case 3:
		(void)in(p, chip, x >> 9 & 1);
		break;
	case 4:
		pic_pio_elcr.out(p, chip, 1, x >> 16 & 0xff);
		break;
	case 5:
		m = model_select(&p->s.chip[MASTER], true);
		s = model_select(&p->s.chip[SLAVE], false);
		if (m < 0)
			m = p->s.chip[MASTER].base + 7;
		else if (m == PIC_CASCADE)
			m = p->s.chip[SLAVE].base + (s < 0 ? 7 : s);
		else
			m += p->s.chip[MASTER].base;
		ck_assert_int_eq(pic_ack(p), m);
		break;
	default:
		pic_set_irq(p, x >> 16 & 15, x >> 20 & 1);
		break;
	}
}

START_TEST(random_against_the_model)
{
	uint64_t seed = 0x2545f4914f6cdd1dULL;
	unsigned acks = 0;
	struct pic p, q;
	unsigned i;

	make(&p);
	for (i = 0; i < 200000; i++) {
		if (i % 64 == 0)
			start(&p, i >> 6 & 0x12, i >> 9 & 0x12);
		step(&p, &seed);
		ck_assert_int_eq(pic_pending(&p),
		    model_select(&p.s.chip[MASTER], true) >= 0);
		acks += pic_pending(&p);
		ck_assert_int_eq((p.s.chip[MASTER].irr >> PIC_CASCADE) & 1,
		    model_select(&p.s.chip[SLAVE], false) >= 0);
		/* An unspecific EOI ends what the model calls first. */
		if (i % 16 == 0 && !p.s.chip[MASTER].special_mask) {
			int first = model_first(&p.s.chip[MASTER],
			    p.s.chip[MASTER].isr);
			uint8_t isr = p.s.chip[MASTER].isr;

			out(&p, MASTER, 0, 0x20);
			if (first >= 0)
				isr &= ~(1 << first);
			ck_assert_uint_eq(p.s.chip[MASTER].isr, isr);
		}
		if (i % 1024 == 0) {
			pic_init(&q);
			testhost_round_trip(&pic_dev_ops, &p, &q);
		}
	}
	ck_assert_uint_gt(acks, 10000);
}
END_TEST

static void
use(void *dev)
{
	struct pic *p = dev;
	uint64_t seed = 12345;
	unsigned i;

	for (i = 0; i < 50; i++)
		step(p, &seed);
}

START_TEST(hostile_state)
{
	struct pic p, q;

	make(&p);
	pic_set_elcr(&p, 0x0e20);
	pulse(&p, 3);
	pulse(&p, 9);
	pic_ack(&p);
	pic_init(&q);
	testhost_corrupt(&pic_dev_ops, &p, &q, use);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("pic");

	tcase_add_test(tc, power_on_is_silent);
	tcase_add_test(tc, mask_reads_back);
	tcase_add_test(tc, start_up_words);
	tcase_add_test(tc, start_up_forgets);
	tcase_add_test(tc, edge_needs_an_edge);
	tcase_add_test(tc, level_stays);
	tcase_add_test(tc, elcr_bits);
	tcase_add_test(tc, withdrawn_is_spurious);
	tcase_add_test(tc, spurious_slave);
	tcase_add_test(tc, cascade);
	tcase_add_test(tc, slave_back_to_back);
	tcase_add_test(tc, special_fully_nested);
	tcase_add_test(tc, eoi_kinds);
	tcase_add_test(tc, rotation);
	tcase_add_test(tc, automatic_eoi);
	tcase_add_test(tc, special_mask);
	tcase_add_test(tc, polling);
	tcase_add_test(tc, waits_until_taken);
	tcase_add_test(tc, random_against_the_model);
	tcase_add_test(tc, hostile_state);
	return test_main("pic", tc);
}
