/* SPDX-License-Identifier: ISC */
/*
 * The 8254.  A model counts tick by tick, as the data sheet describes it;
 * the chip, which only ever divides, must show the same value and the same
 * OUT at every tick.  Then the interrupts: when, how many, and that none is
 * lost or added over hours.
 */
#include "devices/pic.h"
#include "devices/pit.h"
#include "testhost.h"

#define IRQ	0
#define NS	1000000000ULL

struct rig {
	struct testhost	t;
	struct pit	p;
	uint64_t	zero;		/* host's time at tick 0 */
	bool		busy;		/* the last edge still waits */
};

static bool
rig_waits(void *cookie, unsigned irq)
{
	struct rig *r = cookie;

	ck_assert_uint_eq(irq, IRQ);
	return r->busy;
}

static void
make(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	testhost_init(&r->t);
	r->zero = r->t.now;
	pit_init(&r->p, &r->t.host, IRQ, rig_waits, r);
}

/* Moves the clock to the first nanosecond of a tick. */
static void
at(struct rig *r, uint64_t tick)
{
	r->t.now = r->zero +
	    (uint64_t)(((unsigned __int128)tick * NS + PIT_HZ - 1) / PIT_HZ);
}

static uint8_t
in(struct rig *r, uint32_t off)
{
	return (uint8_t)pit_pio.in(&r->p, off, 1);
}

static void
out(struct rig *r, uint32_t off, uint8_t val)
{
	pit_pio.out(&r->p, off, 1, val);
}

static void
portb(struct rig *r, uint8_t val)
{
	pit_pio_portb.out(&r->p, 0, 1, val);
}

static bool
out2(struct rig *r)
{
	return (pit_pio_portb.in(&r->p, 0, 1) & 0x20) != 0;
}

static uint64_t
fold(struct rig *r)
{
	return pit_dev_ops.fold(&r->p, r->t.now);
}

/* Programs a channel with both bytes of a count. */
static void
program(struct rig *r, unsigned ch, unsigned mode, uint16_t count)
{
	out(r, 3, (uint8_t)(ch << 6 | 0x30 | mode << 1));
	out(r, ch, count & 0xff);
	out(r, ch, count >> 8);
}

static uint16_t
latch(struct rig *r, unsigned ch)
{
	uint8_t lsb;

	out(r, 3, (uint8_t)(ch << 6));
	lsb = in(r, ch);
	return (uint16_t)(in(r, ch) << 8 | lsb);
}

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

/* Runs to `end` as the machine does: from deadline to deadline. */
static void
run(struct rig *r, uint64_t end)
{
	uint64_t next, before;

	for (;;) {
		before = r->t.now;
		next = fold(r);
		if (next <= before)
			ck_abort_msg("a deadline in the past");
		if (next > end)
			break;
		r->t.now = next;
	}
	r->t.now = end;
	(void)fold(r);
}

START_TEST(nothing_programmed)
{
	struct rig r;

	make(&r);
	ck_assert_uint_eq(fold(&r), DEV_NO_DEADLINE);
	out(&r, 3, 0x34);
	ck_assert_uint_eq(fold(&r), DEV_NO_DEADLINE);
	out(&r, 0, 1);
	ck_assert_uint_eq(fold(&r), DEV_NO_DEADLINE);
	ck_assert_uint_eq(r.t.rises[IRQ], 0);
	ck_assert_uint_gt(r.t.attentions, 0);
	r.t.attentions = 0;
	out(&r, 0, 1);
	ck_assert_uint_eq(r.t.attentions, 1);
	ck_assert_uint_ne(fold(&r), DEV_NO_DEADLINE);
}
END_TEST

/* Exactly as many ticks as the crystal makes: a minute, and half a day. */
START_TEST(periodic_does_not_drift)
{
	static const struct {
		unsigned	mode, count, seconds;
	} runs[] = {
		{ 2, 1193, 60 },
		{ 3, 1193, 60 },
		{ 2, 65535, 12 * 3600 },
	};
	struct rig r;
	unsigned i;

	for (i = 0; i < 3; i++) {
		make(&r);
		program(&r, 0, runs[i].mode, (uint16_t)runs[i].count);
		run(&r, r.zero + runs[i].seconds * NS);
		ck_assert_uint_eq(r.t.rises[IRQ],
		    ((uint64_t)runs[i].seconds * PIT_HZ - 1) / runs[i].count);
	}
}
END_TEST

START_TEST(periodic_edge_is_exact)
{
	struct rig r;

	make(&r);
	program(&r, 0, 2, 1000);
	at(&r, 1001);
	r.t.now--;
	(void)fold(&r);
	ck_assert_uint_eq(r.t.rises[IRQ], 0);
	ck_assert_uint_eq(fold(&r), r.t.now + 1);
	r.t.now++;
	(void)fold(&r);
	ck_assert_uint_eq(r.t.rises[IRQ], 1);
	(void)fold(&r);
	ck_assert_uint_eq(r.t.rises[IRQ], 1);
	ck_assert(r.t.line[IRQ]);
}
END_TEST

START_TEST(one_shots)
{
	struct rig r;

	make(&r);
	program(&r, 0, 4, 500);
	run(&r, r.zero + NS);
	ck_assert_uint_eq(r.t.rises[IRQ], 1);
	/* Again with the count alone; exact to the tick. */
	at(&r, 2 * PIT_HZ);
	out(&r, 0, 100);
	out(&r, 0, 0);
	at(&r, 2 * PIT_HZ + 101);
	(void)fold(&r);
	ck_assert_uint_eq(r.t.rises[IRQ], 1);
	at(&r, 2 * PIT_HZ + 102);
	(void)fold(&r);
	ck_assert_uint_eq(r.t.rises[IRQ], 2);
	ck_assert_uint_eq(fold(&r), DEV_NO_DEADLINE);
	out(&r, 3, 0x30);
	ck_assert(!r.t.line[IRQ]);
	out(&r, 0, 100);
	out(&r, 0, 0);
	at(&r, 2 * PIT_HZ + 202);
	(void)fold(&r);
	ck_assert(!r.t.line[IRQ]);
	at(&r, 2 * PIT_HZ + 203);
	(void)fold(&r);
	ck_assert(r.t.line[IRQ]);
	ck_assert_uint_eq(r.t.rises[IRQ], 3);
}
END_TEST

/* In mode 0 the first byte of a new count stops the old one. */
START_TEST(first_byte_stops_mode_0)
{
	struct rig r;

	make(&r);
	program(&r, 0, 0, 100);
	out(&r, 0, 200);
	run(&r, r.zero + NS);
	ck_assert(!r.t.line[IRQ]);
	out(&r, 0, 0);
	run(&r, r.zero + 2 * NS);
	ck_assert(r.t.line[IRQ]);
	/* In mode 4 it does not. */
	program(&r, 0, 4, 100);
	out(&r, 0, 200);
	run(&r, r.zero + 3 * NS);
	ck_assert_uint_eq(r.t.rises[IRQ], 2);
}
END_TEST

/* A one-shot that was due before it is set again is not lost. */
START_TEST(one_shot_set_again_late)
{
	struct rig r;

	make(&r);
	program(&r, 0, 4, 100);
	at(&r, 5000);
	out(&r, 0, 50);
	out(&r, 0, 0);
	(void)fold(&r);
	ck_assert_uint_eq(r.t.rises[IRQ], 1);
	run(&r, r.t.now + NS);
	ck_assert_uint_eq(r.t.rises[IRQ], 2);
}
END_TEST

/* Ten ticks slept through: given one by one, half a period apart. */
START_TEST(missed_ticks_are_made_up)
{
	const unsigned n = 11932;
	struct rig r;
	unsigned i;

	make(&r);
	program(&r, 0, 2, n);
	at(&r, 10 * n + 1);
	(void)fold(&r);
	ck_assert_uint_eq(r.t.rises[IRQ], 1);
	ck_assert_uint_eq(r.p.s.due, 9);
	for (i = 1; i < 30; i++) {
		at(&r, 10 * n + 1 + i * (n / 2) - 1);
		(void)fold(&r);
		ck_assert_uint_eq(r.t.rises[IRQ], i <= 18 ? i :
		    10 + (i - 1) / 2);
		at(&r, 10 * n + 1 + i * (n / 2));
		(void)fold(&r);
	}
	run(&r, r.zero + 100 * NS);
	ck_assert_uint_eq(r.t.rises[IRQ], (100ULL * PIT_HZ - 1) / n);
}
END_TEST

START_TEST(catching_up_is_bounded)
{
	const unsigned n = 11932;
	struct rig r;

	make(&r);
	program(&r, 0, 2, n);
	at(&r, 1 + 128 * n);
	(void)fold(&r);
	ck_assert_uint_eq(r.p.s.due, 127);
	make(&r);
	program(&r, 0, 2, n);
	at(&r, 1 + 100000ULL * n);
	(void)fold(&r);
	ck_assert_uint_eq(r.t.rises[IRQ], 1);
	ck_assert_uint_eq(r.p.s.due, 127);
}
END_TEST

/* While an edge waits for the processor no other is given. */
START_TEST(edges_wait_for_their_turn)
{
	const unsigned n = 11932;
	struct rig r;

	make(&r);
	program(&r, 0, 2, n);
	at(&r, n + 1);
	(void)fold(&r);
	ck_assert_uint_eq(r.t.rises[IRQ], 1);
	r.busy = true;
	run(&r, r.zero + NS / 2);
	ck_assert_uint_eq(r.t.rises[IRQ], 1);
	r.busy = false;
	run(&r, r.zero + 10 * NS);
	ck_assert_uint_eq(r.t.rises[IRQ], (10ULL * PIT_HZ - 1) / n);
	/* A new mode begins without a debt. */
	r.busy = true;
	at(&r, 11 * PIT_HZ);
	(void)fold(&r);
	ck_assert_uint_gt(r.p.s.due, 0);
	out(&r, 3, 0x34);
	ck_assert_uint_eq(r.p.s.due, 0);
}
END_TEST

/* A period of one tick costs the host 20,000 wake-ups a second, no more. */
START_TEST(rate_is_bounded)
{
	uint64_t end, wakes = 0;
	struct rig r;
	uint16_t n;

	for (n = 1; n <= 3; n++) {
		make(&r);
		program(&r, 0, 2 + n % 2, n);
		end = r.zero + NS / 10;
		for (wakes = 0; r.t.now < end; wakes++)
			r.t.now = fold(&r);
		ck_assert_uint_le(wakes, 2000);
		ck_assert_uint_gt(r.t.rises[IRQ], 1900);
	}
}
END_TEST

/* A count changed on the run takes over at the end of the cycle. */
START_TEST(period_changes_without_a_glitch)
{
	struct rig r;

	make(&r);
	program(&r, 0, 2, 1000);
	at(&r, 2500);
	out(&r, 0, 200);
	out(&r, 0, 0);
	(void)fold(&r);
	/* 1001 and 2001 were due; now 3001, and from there every 200. */
	run(&r, r.zero + 3000 * NS / PIT_HZ);
	ck_assert_uint_eq(r.t.rises[IRQ] + r.p.s.due, 2);
	at(&r, 3001 + 200 * 50);
	(void)fold(&r);
	ck_assert_uint_eq(r.t.rises[IRQ] + r.p.s.due, 3 + 50);
}
END_TEST

/* With the real controller, and a guest that takes its time. */
static bool
pic_waits_for(void *cookie, unsigned irq)
{
	return pic_waits(cookie, irq);
}

static void
pic_line(void *cookie, unsigned irq, bool level)
{
	pic_set_irq(cookie, irq, level);
}

static uint64_t
fixed_now(void *cookie)
{
	(void)cookie;
	return 0;
}

static void
no_attention(void *cookie)
{
	(void)cookie;
}

START_TEST(slow_guest_gets_every_tick)
{
	const unsigned n = 11932;
	struct pic pic;
	struct dev_host host = {
		.cookie = &pic,
		.now = fixed_now,
		.set_irq = pic_line,
		.attention = no_attention,
	};
	uint64_t now = 0, next, seed = 4711, taken = 0;
	struct pit p;

	pic_init(&pic);
	pic_pio_master.out(&pic, 0, 1, 0x11);
	pic_pio_master.out(&pic, 1, 1, 0x30);
	pic_pio_master.out(&pic, 1, 1, 0x04);
	pic_pio_master.out(&pic, 1, 1, 0x01);
	pit_init(&p, &host, 0, pic_waits_for, &pic);
	pit_pio.out(&p, 3, 1, 0x34);
	pit_pio.out(&p, 0, 1, n & 0xff);
	pit_pio.out(&p, 0, 1, n >> 8);
	while (now < 60 * NS) {
		next = pit_dev_ops.fold(&p, now);
		/* Up to 40 ms late, with interrupts off now and then. */
		now = next + (test_random(&seed) % 16 == 0 ?
		    test_random(&seed) % 40000000 : 0);
		if (pic_pending(&pic) && test_random(&seed) % 8 != 0) {
			ck_assert_uint_eq(pic_ack(&pic), 0x30);
			pic_pio_master.out(&pic, 0, 1, 0x20);
			taken++;
		}
	}
	ck_assert_uint_ge(taken + p.s.due + 2, 60ULL * PIT_HZ / n);
	ck_assert_uint_le(taken, 60ULL * PIT_HZ / n + 4);
}
END_TEST

/* A saved timer goes on where it was, whatever the new host's clock says. */
START_TEST(loaded_timer_goes_on)
{
	struct rig a, b;
	struct buf saved;

	make(&a);
	program(&a, 0, 2, 1000);
	at(&a, 4321);
	(void)fold(&a);
	testhost_save(&pit_dev_ops, &a.p, &saved);
	memset(&b, 0, sizeof(b));
	testhost_init(&b.t);
	b.t.now = 5;			/* a host that was just booted */
	pit_init(&b.p, &b.t.host, IRQ, rig_waits, &b);
	b.t.now = 77;
	ck_assert_int_eq(testhost_load(&pit_dev_ops, &b.p, &saved), 0);
	ck_assert_uint_eq(latch(&a, 0), 1000 - 320);
	ck_assert_uint_eq(latch(&b, 0), 1000 - 320);
	a.t.now += 12345678;
	b.t.now += 12345678;
	ck_assert_uint_eq(latch(&a, 0), latch(&b, 0));
	ck_assert_uint_eq(fold(&a) - a.t.now, fold(&b) - b.t.now);
	ck_assert_uint_eq(a.p.s.due, b.p.s.due);
	buf_free(&saved);
}
END_TEST

static void
step(struct rig *r, uint64_t *seed)
{
	uint32_t x = test_random(seed);

	switch (x % 8) {
	case 0:
		out(r, 3, (uint8_t)(x >> 8));
		break;
	case 1:
		portb(r, (uint8_t)(x >> 8));
		break;
	case 2:
		(void)in(r, x >> 8 & 3);
		break;
	case 3:
		(void)pit_pio_portb.in(&r->p, 0, 1);
		break;
	case 4:
		(void)fold(r);
		break;
	case 5:
		r->t.now += x >> (8 + (x >> 8 & 15));
		break;
	default:
		out(r, x >> 8 & 3, (uint8_t)(x >> 16));
		break;
	}
}

START_TEST(random_programs)
{
	uint64_t seed = 0xdeadbeefcafef00dULL;
	struct rig r, other;
	unsigned i;

	make(&r);
	make(&other);
	for (i = 0; i < 200000; i++) {
		step(&r, &seed);
		if (i % 16 == 0) {
			other.t.now = r.t.now;
			testhost_round_trip(&pit_dev_ops, &r.p, &other.p);
		}
	}
	ck_assert_uint_gt(r.t.rises[IRQ], 0);
}
END_TEST

static void
use(void *dev)
{
	/* dev is the member of a rig. */
	struct rig *r = (struct rig *)((char *)dev - offsetof(struct rig, p));
	uint64_t seed = 99;
	unsigned i;

	for (i = 0; i < 60; i++)
		step(r, &seed);
}

START_TEST(hostile_state)
{
	struct rig a, b;

	make(&a);
	make(&b);
	program(&a, 0, 3, 999);
	program(&a, 2, 1, 50);
	portb(&a, 1);
	at(&a, 77777);
	(void)fold(&a);
	out(&a, 0, 5);
	out(&a, 0, 1);
	b.t.now = a.t.now;
	testhost_corrupt(&pit_dev_ops, &a.p, &b.p, use);
}
END_TEST

static void
add_counting(TCase *tc)
{
	tcase_add_test(tc, every_mode_against_the_model);
	tcase_add_test(tc, square_wave_of_odd_counts);
	tcase_add_test(tc, largest_counts);
	tcase_add_test(tc, byte_access);
	tcase_add_test(tc, latch_holds);
	tcase_add_test(tc, read_back);
	tcase_add_test(tc, modes_six_and_seven);
	tcase_add_test(tc, calibration_by_channel_2);
	tcase_add_test(tc, port_b);
}

static void
add_interrupts(TCase *tc)
{
	tcase_add_test(tc, nothing_programmed);
	tcase_add_test(tc, periodic_does_not_drift);
	tcase_add_test(tc, periodic_edge_is_exact);
	tcase_add_test(tc, one_shots);
	tcase_add_test(tc, first_byte_stops_mode_0);
	tcase_add_test(tc, one_shot_set_again_late);
	tcase_add_test(tc, missed_ticks_are_made_up);
	tcase_add_test(tc, catching_up_is_bounded);
	tcase_add_test(tc, edges_wait_for_their_turn);
	tcase_add_test(tc, rate_is_bounded);
	tcase_add_test(tc, period_changes_without_a_glitch);
	tcase_add_test(tc, slow_guest_gets_every_tick);
}

int
main(void)
{
	TCase *tc = tcase_create("pit");

	tcase_set_timeout(tc, 10);
	add_counting(tc);
	add_interrupts(tc);
	tcase_add_test(tc, loaded_timer_goes_on);
	tcase_add_test(tc, random_programs);
	tcase_add_test(tc, hostile_state);
	return test_main("pit", tc);
}
