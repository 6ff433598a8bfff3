/* SPDX-License-Identifier: ISC */
/*
 * ACPI's power management: the button is heard by who listens, S5 and nothing
 * else switches off, the timer keeps the host's time.
 */
#include "devices/acpipm.h"
#include "testhost.h"

#define IRQ	9
#define S5	5

#define TIMER	0x0001
#define GLOBAL	0x0020
#define POWER	0x0100
#define RTC	0x0400
#define ALL	(TIMER | GLOBAL | POWER | RTC)

#define STATUS	0
#define ENABLE	2

static uint32_t
event(struct acpipm *p, uint32_t off, unsigned size)
{
	return acpipm_pio_event.in(p, off, size);
}

static void
set_event(struct acpipm *p, uint32_t off, unsigned size, uint32_t val)
{
	acpipm_pio_event.out(p, off, size, val);
}

static uint32_t
timer(struct acpipm *p)
{
	return acpipm_pio_timer.in(p, 0, 4);
}

static void
make(struct testhost *t, struct acpipm *p)
{
	testhost_init(t);
	acpipm_init(p, &t->host, IRQ, S5);
}

static uint64_t
fold(struct testhost *t, struct acpipm *p)
{
	return acpipm_dev_ops.fold(p, t->now);
}

static void
press(struct testhost *t, struct acpipm *p)
{
	acpipm_press(p);
	(void)fold(t, p);
}

START_TEST(power_on)
{
	struct acpipm p;
	struct testhost t;

	make(&t, &p);
	ck_assert_uint_eq(event(&p, 0, 4), 0);
	/* ACPI is enabled, and cannot be disabled. */
	ck_assert_uint_eq(acpipm_pio_control.in(&p, 0, 2), 0x0001);
	acpipm_pio_control.out(&p, 0, 2, 0);
	ck_assert_uint_eq(acpipm_pio_control.in(&p, 0, 2), 0x0001);
	ck_assert_uint_eq(timer(&p), 0);
	ck_assert(!acpipm_is_heard(&p));
	ck_assert(!t.line[IRQ]);
	ck_assert_uint_eq(fold(&t, &p), DEV_NO_DEADLINE);
}
END_TEST

START_TEST(button)
{
	struct acpipm p;
	struct testhost t;

	make(&t, &p);
	set_event(&p, ENABLE, 2, GLOBAL);
	ck_assert(!acpipm_is_heard(&p));
	set_event(&p, ENABLE, 2, GLOBAL | POWER);
	ck_assert(acpipm_is_heard(&p));
	acpipm_press(&p);
	ck_assert_uint_eq(t.attentions, 1);
	ck_assert(!t.line[IRQ]);
	(void)fold(&t, &p);
	ck_assert(t.line[IRQ]);
	ck_assert_uint_eq(event(&p, STATUS, 2), POWER);
	/* One write of a one ends it, a zero does not; pressed once is once. */
	set_event(&p, STATUS, 2, (uint16_t)~POWER);
	ck_assert(t.line[IRQ]);
	set_event(&p, STATUS, 2, POWER);
	ck_assert(!t.line[IRQ]);
	ck_assert_uint_eq(event(&p, STATUS, 2), 0);
	(void)fold(&t, &p);
	ck_assert(!t.line[IRQ]);
	press(&t, &p);
	ck_assert_uint_eq(t.rises[IRQ], 2);
}
END_TEST

/* What nobody wants an interrupt for waits in the status. */
START_TEST(button_unheard)
{
	struct acpipm p;
	struct testhost t;

	make(&t, &p);
	press(&t, &p);
	ck_assert(!t.line[IRQ]);
	ck_assert_uint_eq(event(&p, STATUS, 2), POWER);
	set_event(&p, ENABLE, 2, POWER);
	ck_assert(t.line[IRQ]);
	set_event(&p, ENABLE, 2, 0);
	ck_assert(!t.line[IRQ]);
	ck_assert(!acpipm_is_heard(&p));
	set_event(&p, ENABLE, 2, POWER);
	acpipm_dev_ops.reset(&p);
	ck_assert(!t.line[IRQ]);
	ck_assert(!acpipm_is_heard(&p));
	ck_assert_uint_eq(event(&p, 0, 4), 0);
}
END_TEST

/* Every width at every place, and only what exists is kept. */
START_TEST(register_widths)
{
	struct acpipm p;
	struct testhost t;

	make(&t, &p);
	set_event(&p, 0, 4, UINT32_MAX);
	ck_assert_uint_eq(event(&p, 0, 4), (uint32_t)ALL << 16);
	ck_assert_uint_eq(event(&p, ENABLE, 2), ALL);
	ck_assert_uint_eq(event(&p, ENABLE, 1), TIMER | GLOBAL);
	ck_assert_uint_eq(event(&p, ENABLE + 1, 1), (POWER | RTC) >> 8);
	set_event(&p, ENABLE + 1, 1, 0);
	ck_assert_uint_eq(event(&p, ENABLE, 2), TIMER | GLOBAL);
	set_event(&p, ENABLE, 1, GLOBAL);
	ck_assert_uint_eq(event(&p, ENABLE, 2), GLOBAL);
	press(&t, &p);
	set_event(&p, STATUS, 1, 0xff);
	ck_assert_uint_eq(event(&p, STATUS + 1, 1), POWER >> 8);
	set_event(&p, STATUS + 1, 1, 0xff);
	ck_assert_uint_eq(event(&p, 0, 4), (uint32_t)GLOBAL << 16);
	acpipm_pio_control.out(&p, 0, 2, 0xffff & ~0x2000);
	ck_assert_uint_eq(acpipm_pio_control.in(&p, 0, 2), 0x1c03);
	acpipm_pio_control.out(&p, 1, 1, 0);
	ck_assert_uint_eq(acpipm_pio_control.in(&p, 0, 2), 0x0003);
	ck_assert_uint_eq(t.poweroffs, 0);
}
END_TEST

/* SLP_EN with each SLP_TYP, at once and, as systems do it, in two writes. */
START_TEST(sleep_states)
{
	struct acpipm p;
	struct testhost t;
	unsigned type;

	make(&t, &p);
	for (type = 0; type < 8; type++) {
		t.poweroffs = 0;
		acpipm_pio_control.out(&p, 0, 2, type << 10);
		ck_assert_uint_eq(t.poweroffs, 0);
		acpipm_pio_control.out(&p, 0, 2, type << 10 | 0x2001);
		ck_assert_uint_eq(t.poweroffs, type == S5);
		ck_assert_uint_eq(acpipm_pio_control.in(&p, 0, 2),
		    type << 10 | 1);
	}
	t.poweroffs = 0;
	acpipm_pio_control.out(&p, 1, 1, S5 << 2 | 0x20);
	ck_assert_uint_eq(t.poweroffs, 1);
	acpipm_pio_control.out(&p, 0, 1, 0x20);
	ck_assert_uint_eq(t.poweroffs, 1);
}
END_TEST

/* To a tick, over a day. */
START_TEST(timer_rate)
{
	struct acpipm p;
	struct testhost t;
	uint64_t start;

	make(&t, &p);
	start = t.now;
	t.now = start + 1000000000;
	ck_assert_uint_eq(timer(&p), ACPIPM_TIMER_HZ);
	t.now = start + 280;
	ck_assert_uint_eq(timer(&p), 1);
	t.now = start + 279;
	ck_assert_uint_eq(timer(&p), 0);
	t.now = start + UINT64_C(86400) * 1000000000;
	ck_assert_uint_eq(timer(&p),
	    (uint32_t)(UINT64_C(86400) * ACPIPM_TIMER_HZ));
	ck_assert_uint_eq(acpipm_pio_timer.in(&p, 2, 2), timer(&p) >> 16);
	ck_assert_uint_eq(acpipm_pio_timer.in(&p, 1, 1),
	    timer(&p) >> 8 & 0xff);
	acpipm_pio_timer.out(&p, 0, 4, 0);
	ck_assert_uint_eq(timer(&p),
	    (uint32_t)(UINT64_C(86400) * ACPIPM_TIMER_HZ));
}
END_TEST

/* Its deadline is the first ns at which the highest bit has changed. */
START_TEST(timer_carries)
{
	struct acpipm p;
	struct testhost t;
	unsigned i;

	make(&t, &p);
	set_event(&p, ENABLE, 2, TIMER);
	ck_assert_uint_eq(t.attentions, 1);
	for (i = 1; i < 5; i++) {
		t.now = fold(&t, &p);
		t.now--;
		ck_assert_uint_eq(timer(&p) >> 31, (i - 1) & 1);
		ck_assert_uint_gt(fold(&t, &p), t.now);
		ck_assert(!t.line[IRQ]);
		t.now++;
		ck_assert_uint_eq(timer(&p) >> 31, i & 1);
		(void)fold(&t, &p);
		ck_assert(t.line[IRQ]);
		ck_assert_uint_eq(event(&p, STATUS, 2), TIMER);
		set_event(&p, STATUS, 2, TIMER);
		ck_assert(!t.line[IRQ]);
	}
	/* Nobody waits for it; who looks finds it. */
	set_event(&p, ENABLE, 2, 0);
	ck_assert_uint_eq(fold(&t, &p), DEV_NO_DEADLINE);
	t.now += UINT64_C(600) * 1000000000;
	ck_assert_uint_eq(event(&p, STATUS, 2), TIMER);
}
END_TEST

static void
use(void *dev)
{
	struct acpipm *p = dev;
	unsigned i;

	for (i = 0; i < 64; i++) {
		set_event(p, i % 4, 1, i * 37);
		acpipm_pio_control.out(p, i % 2, 1, i * 41 & ~0x20u);
		(void)event(p, 0, 4);
		(void)timer(p);
		acpipm_press(p);
		ck_assert_uint_gt(acpipm_dev_ops.fold(p, 0), 0);
	}
}

START_TEST(random_programs)
{
	uint64_t seed = 0x9876543212345678ULL;
	struct acpipm p, other;
	struct testhost t, t2;
	unsigned i, size;
	uint32_t x;

	make(&t, &p);
	make(&t2, &other);
	for (i = 0; i < 20000; i++) {
		x = test_random(&seed);
		size = 1u << (x >> 8) % 3;
		switch (x % 6) {
		case 0:
			set_event(&p, (x >> 10) % 4 & ~(size - 1), size,
			    test_random(&seed) >> (32 - 8 * size));
			break;
		case 1:
			(void)event(&p, (x >> 10) % 4 & ~(size - 1), size);
			break;
		case 2:
			press(&t, &p);
			break;
		case 3:
			t.now += (uint64_t)(x >> 8) << (x >> 4) % 16;
			break;
		case 4:
			acpipm_pio_control.out(&p, 0, 2, x >> 8 & 0xffff);
			break;
		default:
			(void)fold(&t, &p);
			break;
		}
		ck_assert(t.line[IRQ] == ((p.s.status & p.s.enable) != 0));
		ck_assert(acpipm_is_heard(&p) == ((p.s.enable & POWER) != 0));
		if (i % 64 == 0) {
			testhost_round_trip(&acpipm_dev_ops, &p, &other);
			ck_assert_uint_eq(timer(&p), timer(&other));
			ck_assert(acpipm_is_heard(&p) ==
			    acpipm_is_heard(&other));
		}
	}
	ck_assert_uint_gt(t.poweroffs, 0);
}
END_TEST

START_TEST(hostile_state)
{
	struct acpipm p, other;
	struct testhost t;

	make(&t, &p);
	make(&t, &other);
	t.now += UINT64_C(2000) * 1000000000;
	set_event(&p, ENABLE, 2, TIMER | POWER);
	press(&t, &p);
	testhost_corrupt(&acpipm_dev_ops, &p, &other, use);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("acpipm");

	tcase_add_test(tc, power_on);
	tcase_add_test(tc, button);
	tcase_add_test(tc, button_unheard);
	tcase_add_test(tc, register_widths);
	tcase_add_test(tc, sleep_states);
	tcase_add_test(tc, timer_rate);
	tcase_add_test(tc, timer_carries);
	tcase_add_test(tc, random_programs);
	tcase_add_test(tc, hostile_state);
	return test_main("acpipm", tc);
}
