/* SPDX-License-Identifier: ISC */
/*
 * The 8254 as a counter.  A model counts tick by tick, as the data sheet
 * describes it; the chip, which only ever divides, must show the same value
 * and the same OUT at every tick.
 */
#include "pitrig.h"

/* The data sheet's channel. */
struct model {
	unsigned	mode, modulus;
	unsigned	count;		/* count register, 1 to 65536 */
	unsigned	ce;		/* counting element */
	bool		written;	/* count goes into ce with the clock */
	bool		counting, gate, trigger, out;
	bool		done;		/* the one strobe was given */
};

static void
model_control(struct model *m, unsigned mode, bool bcd)
{
	m->mode = mode;
	m->modulus = bcd ? 10000 : 65536;
	m->written = m->counting = m->trigger = m->done = false;
	m->out = mode != 0;
}

static void
model_count(struct model *m, unsigned count)
{
	m->count = count;
	m->written = true;
	if (m->mode == 0)
		m->out = false;
}

static void
model_gate(struct model *m, bool gate)
{
	if (gate && !m->gate)
		m->trigger = true;
	m->gate = gate;
	if (!gate && (m->mode == 2 || m->mode == 3))
		m->out = true;
}

static void
model_load(struct model *m)
{
	m->ce = m->mode == 3 ? m->count & ~1u : m->count;
	m->written = m->trigger = m->done = false;
	m->counting = true;
}

/* One clock of modes 0, 1, 4 and 5, which count once and then on. */
static void
model_clock_once(struct model *m)
{
	bool by_gate = m->mode == 1 || m->mode == 5;

	if (by_gate ? m->trigger && (m->counting || m->written) :
	    m->written) {
		model_load(m);
		if (m->mode == 1)
			m->out = false;
		else if (m->mode >= 4)
			m->out = true;
		return;
	}
	m->trigger = false;
	if (!m->counting || (!by_gate && !m->gate))
		return;
	m->ce = (m->ce + m->modulus - 1) % m->modulus;
	if (m->mode >= 4)
		m->out = m->done || m->ce != 0;
	else if (m->ce == 0)
		m->out = true;
	if (m->ce == 0)
		m->done = true;
}

/* One clock of modes 2 and 3, which reload themselves. */
static void
model_clock_again(struct model *m)
{
	bool odd = m->count & 1;

	if ((m->written && !m->counting) ||
	    (m->trigger && m->gate && m->counting)) {
		model_load(m);
		m->out = true;
		return;
	}
	m->trigger = false;
	if (!m->counting || !m->gate)
		return;
	if (m->mode == 2) {
		if (m->ce == 1 || m->count == 1) {
			model_load(m);
			m->out = true;
			return;
		}
		m->ce--;
		m->out = m->ce != 1;
		return;
	}
	/* An odd count's high half lasts one clock more, at zero. */
	if (m->ce == 2 && !(m->out && odd)) {
		model_load(m);
		m->out = !m->out;
	} else if (m->ce == 0) {
		model_load(m);
		m->out = !m->out;
	} else {
		m->ce -= 2;
	}
}

static void
model_clock(struct model *m)
{
	if (m->mode == 2 || m->mode == 3)
		model_clock_again(m);
	else
		model_clock_once(m);
}

static unsigned
to_bcd(unsigned v)
{
	return v / 1000 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10;
}

/*
 * Drives channel 2 and the model through the same random writes of counts and
 * gate, comparing at every tick.  The mode does not change in a run, and in
 * modes 2 and 3 a count is not changed again before the last has taken over
 * (in mode 3 the model knows even counts only for that).
 */
static void
compare(unsigned mode, bool bcd, uint64_t seed)
{
	struct model m = { .gate = false };
	uint64_t tick, quiet = 0;
	unsigned count, want;
	struct rig r;
	uint32_t x;

	make(&r);
	at(&r, 100);
	out(&r, 3, (uint8_t)(0xb0 | mode << 1 | bcd));
	model_control(&m, mode, bcd);
	for (tick = 100; tick < 3100; tick++) {
		at(&r, tick);
		if (out2(&r) != m.out)
			ck_abort_msg("mode %u tick %lu: OUT", mode,
			    (unsigned long)tick);
		if (m.counting) {
			want = m.ce % m.modulus;
			want = bcd ? to_bcd(want) : want;
			if (latch(&r, 2) != want)
				ck_abort_msg("mode %u tick %lu: count", mode,
				    (unsigned long)tick);
		}
		x = test_random(&seed);
		if (x % 40 == 0) {
			model_gate(&m, x >> 8 & 1);
			portb(&r, x >> 8 & 1);
		} else if (x % 40 == 1 && tick > quiet) {
			count = 2 + (x >> 8) % 40;
			if (mode == 3)
				count = 4 + (count & ~1u);
			out(&r, 2, bcd ? (uint8_t)to_bcd(count) :
			    (uint8_t)count);
			out(&r, 2, 0);
			model_count(&m, count);
			quiet = tick + (mode == 2 || mode == 3 ? 90 : 0);
		}
		model_clock(&m);
	}
}

START_TEST(every_mode_against_the_model)
{
	unsigned mode, run;

	for (mode = 0; mode <= 5; mode++) {
		for (run = 1; run <= 100; run++)
			compare(mode, run % 4 == 0, run * 0x9e3779b97f4aULL);
	}
}
END_TEST

/* Odd counts, with the gate high throughout. */
START_TEST(square_wave_of_odd_counts)
{
	struct model m = { .gate = true };
	unsigned count, tick;
	struct rig r;

	for (count = 3; count < 20; count++) {
		make(&r);
		portb(&r, 1);
		model_control(&m, 3, false);
		program(&r, 2, 3, (uint16_t)count);
		model_count(&m, count);
		for (tick = 1; tick < 100; tick++) {
			model_clock(&m);
			at(&r, tick);
			ck_assert(out2(&r) == m.out);
			ck_assert_uint_eq(latch(&r, 2), m.ce);
		}
	}
}
END_TEST

/* Counts of 0 are the largest there are. */
START_TEST(largest_counts)
{
	struct rig r;

	make(&r);
	program(&r, 0, 2, 0);
	at(&r, 1);
	ck_assert_uint_eq(latch(&r, 0), 0);
	at(&r, 2);
	ck_assert_uint_eq(latch(&r, 0), 0xffff);
	at(&r, 65536);
	ck_assert_uint_eq(latch(&r, 0), 1);
	at(&r, 65537);
	ck_assert_uint_eq(latch(&r, 0), 0);
	out(&r, 3, 0x35);
	out(&r, 0, 0);
	out(&r, 0, 0);
	at(&r, 65537 + 2);
	ck_assert_uint_eq(latch(&r, 0), 0x9999);
	at(&r, 65537 + 10000);
	ck_assert_uint_eq(latch(&r, 0), 0x0001);
}
END_TEST

START_TEST(byte_access)
{
	struct rig r;

	make(&r);
	out(&r, 3, 0x14);		/* LSB only, mode 2 */
	out(&r, 0, 0x34);
	at(&r, 1);
	ck_assert_uint_eq(in(&r, 0), 0x34);
	at(&r, 2);
	ck_assert_uint_eq(in(&r, 0), 0x33);
	out(&r, 3, 0x24);		/* MSB only */
	out(&r, 0, 0x12);
	at(&r, 3);
	ck_assert_uint_eq(in(&r, 0), 0x12);
	at(&r, 4);
	ck_assert_uint_eq(in(&r, 0), 0x11);
	program(&r, 0, 2, 0x1234);
	at(&r, 5);
	ck_assert_uint_eq(in(&r, 0), 0x34);
	ck_assert_uint_eq(in(&r, 0), 0x12);
	at(&r, 6);
	ck_assert_uint_eq(in(&r, 0), 0x33);
	ck_assert_uint_eq(in(&r, 3), 0xff);
	ck_assert_uint_eq(in(&r, 0), 0x12);
}
END_TEST

START_TEST(latch_holds)
{
	struct rig r;

	make(&r);
	program(&r, 0, 2, 1000);
	at(&r, 101);
	out(&r, 3, 0x00);
	at(&r, 201);
	out(&r, 3, 0x00);		/* without effect: one is held */
	ck_assert_uint_eq(in(&r, 0), 900 & 0xff);
	ck_assert_uint_eq(in(&r, 0), 900 >> 8);
	ck_assert_uint_eq(in(&r, 0), 800 & 0xff);
	ck_assert_uint_eq(in(&r, 0), 800 >> 8);
	out(&r, 3, 0x00);
	out(&r, 3, 0x34);		/* a control word lets go of it */
	out(&r, 0, 10);
	out(&r, 0, 0);
	at(&r, 203);
	ck_assert_uint_eq(in(&r, 0), 9);
}
END_TEST

START_TEST(read_back)
{
	struct rig r;

	make(&r);
	out(&r, 3, 0x34);
	out(&r, 3, 0xe2);		/* status of channel 0 */
	ck_assert_uint_eq(in(&r, 0), 0xf4);	/* OUT, null count */
	out(&r, 0, 10);
	out(&r, 0, 0);
	at(&r, 1);
	out(&r, 3, 0xe2);
	ck_assert_uint_eq(in(&r, 0), 0xb4);
	at(&r, 10);
	out(&r, 3, 0xc2);		/* both: the status comes first */
	at(&r, 11);
	ck_assert_uint_eq(in(&r, 0), 0x34);
	ck_assert_uint_eq(in(&r, 0), 1);
	ck_assert_uint_eq(in(&r, 0), 0);
	out(&r, 0, 20);
	out(&r, 0, 0);
	out(&r, 3, 0xe2);		/* a count waits for the cycle's end */
	ck_assert_uint_eq(in(&r, 0), 0xf4);
	at(&r, 21);
	out(&r, 3, 0xe2);
	ck_assert_uint_eq(in(&r, 0), 0xb4);
	out(&r, 3, 0xd6);		/* counts of channels 0 and 1 */
	ck_assert(r.p.s.ch[1].latched && !r.p.s.ch[2].latched);
}
END_TEST

START_TEST(modes_six_and_seven)
{
	struct rig r;

	make(&r);
	out(&r, 3, 0x3c);
	ck_assert_uint_eq(r.p.s.ch[0].mode, 2);
	out(&r, 3, 0x3e);
	ck_assert_uint_eq(r.p.s.ch[0].mode, 3);
}
END_TEST

/* The way Linux measures its TSC: 50 ms by channel 2, seen at port 61. */
START_TEST(calibration_by_channel_2)
{
	const unsigned count = PIT_HZ / 20;
	struct rig r;

	make(&r);
	at(&r, 12345);
	portb(&r, 0x01);
	program(&r, 2, 0, count);
	ck_assert(!out2(&r));
	at(&r, 12345 + count);
	ck_assert(!out2(&r));
	at(&r, 12345 + count + 1);
	ck_assert(out2(&r));
	at(&r, 12345 + 65536 * 3);
	ck_assert(out2(&r));
}
END_TEST

START_TEST(port_b)
{
	struct rig r;

	make(&r);
	portb(&r, 0xff);
	ck_assert_uint_eq(pit_pio_portb.in(&r.p, 0, 1) & 0xcf, 0x0f);
	portb(&r, 0);
	ck_assert_uint_eq(pit_pio_portb.in(&r.p, 0, 1) & 0xcf, 0);
	at(&r, 17);
	ck_assert_uint_eq(pit_pio_portb.in(&r.p, 0, 1) & 0x10, 0);
	at(&r, 18);
	ck_assert_uint_eq(pit_pio_portb.in(&r.p, 0, 1) & 0x10, 0x10);
	at(&r, 36);
	ck_assert_uint_eq(pit_pio_portb.in(&r.p, 0, 1) & 0x10, 0);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("pit");

	tcase_set_timeout(tc, 10);
	tcase_add_test(tc, every_mode_against_the_model);
	tcase_add_test(tc, square_wave_of_odd_counts);
	tcase_add_test(tc, largest_counts);
	tcase_add_test(tc, byte_access);
	tcase_add_test(tc, latch_holds);
	tcase_add_test(tc, read_back);
	tcase_add_test(tc, modes_six_and_seven);
	tcase_add_test(tc, calibration_by_channel_2);
	tcase_add_test(tc, port_b);
	return test_main("pit", tc);
}
