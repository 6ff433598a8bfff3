/* SPDX-License-Identifier: ISC */
/*
 * The 8254's interrupts: when, how many, and that none is lost or added over
 * hours; and what becomes of them when it is saved, loaded or abused.
 */
#include "pitrig.h"

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
		{ 2, 65535, 2 * 3600 },
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

/* A count that was never begun has the farthest end there can be. */
START_TEST(count_behind_a_low_gate_is_saved)
{
	struct rig a, b;

	make(&a);
	make(&b);
	program(&a, 2, 2, 0);
	program(&a, 2, 2, 0);
	out(&a, 2, 8);
	out(&a, 2, 0);
	testhost_round_trip(&pit_dev_ops, &a.p, &b.p);
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

int
main(void)
{
	TCase *tc = tcase_create("pit_irq");

	tcase_set_timeout(tc, 10);
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
	tcase_add_test(tc, loaded_timer_goes_on);
	tcase_add_test(tc, count_behind_a_low_gate_is_saved);
	tcase_add_test(tc, random_programs);
	tcase_add_test(tc, hostile_state);
	return test_main("pit_irq", tc);
}
