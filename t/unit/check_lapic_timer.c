/* SPDX-License-Identifier: ISC */
/*
 * The local APIC's timer: SDM, "APIC Timer".
 */
#include "lapicrig.h"

static enum lapic_clock
when(const struct lapic *l, uint64_t *at)
{
	*at = 0xdead;
	return lapic_timer_when(l, at);
}

/* "APIC Timer": every divisor, one-shot. */
START_TEST(timer_one_shot)
{
	static const uint8_t tdcr[] = { 11, 0, 1, 2, 3, 8, 9, 10 };
	struct lapic l;
	uint64_t at, end;
	unsigned i;

	for (i = 0; i < LENGTH(tdcr); i++) {
		make(&l, 0, true);
		set(&l, LVT(TIMER), 0x40);
		set(&l, LAPIC_TDCR, tdcr[i]);
		ck_assert_int_eq(when(&l, &at), LAPIC_NEVER);
		ck_assert_uint_eq(set_at(&l, 1000, LAPIC_TMICT, 100).what,
		    LAPIC_DO_TIMER);
		end = 1000 + (100ULL << i);
		ck_assert_int_eq(when(&l, &at), LAPIC_AT_NS);
		ck_assert_uint_eq(at, end);
		ck_assert_uint_eq(get_at(&l, 1000, LAPIC_TMCCT), 100);
		ck_assert_uint_eq(get_at(&l, 1000 + (1 << i), LAPIC_TMCCT),
		    99);
		ck_assert_uint_eq(get_at(&l, end - 1, LAPIC_TMCCT), 1);
		ck_assert_uint_eq(get_at(&l, end, LAPIC_TMCCT), 0);
		ck_assert(!lapic_timer_expired(&l, end - 1, ~0ULL));
		ck_assert_int_eq(lapic_pending(&l), -1);
		ck_assert(lapic_timer_expired(&l, end, 0));
		ck_assert_int_eq(lapic_pending(&l), 0x40);
		ck_assert_int_eq(when(&l, &at), LAPIC_NEVER);
		ck_assert(!lapic_timer_expired(&l, end + 1000, 0));
		ck_assert_uint_eq(get_at(&l, end, LAPIC_TMICT), 100);
		/* Masked it counts, and says nothing. */
		lapic_init(&l);
		set_at(&l, 0, LAPIC_TMICT, 100);
		ck_assert(lapic_timer_expired(&l, 1000, 0));
		ck_assert_uint_eq(l.irr.used, 0);
		/* A count of 0 stops. */
		set_at(&l, 0, LAPIC_TMICT, 100);
		set_at(&l, 1, LAPIC_TMICT, 0);
		ck_assert_int_eq(when(&l, &at), LAPIC_NEVER);
	}
}
END_TEST

START_TEST(timer_periodic)
{
	struct lapic l;
	uint64_t at;

	make(&l, 0, false);
	set(&l, LVT(TIMER), 0x20040);
	set(&l, LAPIC_TDCR, 0xb);
	set_at(&l, 7, LAPIC_TMICT, 1000000);
	ck_assert_int_eq(when(&l, &at), LAPIC_AT_NS);
	ck_assert_uint_eq(at, 1000007);
	/* Late, but on the beat. */
	ck_assert(lapic_timer_expired(&l, 1000123, 0));
	when(&l, &at);
	ck_assert_uint_eq(at, 2000007);
	ck_assert_uint_eq(get_at(&l, 1000107, LAPIC_TMCCT), 999900);
	/* Later than a beat: one interrupt, and on. */
	ck_assert_uint_eq(get_at(&l, 3000008, LAPIC_TMCCT), 999999);
	lapic_ack(&l, 0x40);
	set_at(&l, 3000008, LAPIC_EOI, 0);
	ck_assert(lapic_timer_expired(&l, 3000008, 0));
	ck_assert_int_eq(lapic_pending(&l), 0x40);
	when(&l, &at);
	ck_assert_uint_eq(at, 4000007);
	/* No faster than this, but on the beat. */
	set_at(&l, 5000000, LAPIC_TMICT, 3);
	ck_assert(lapic_timer_expired(&l, 5000003, 0));
	when(&l, &at);
	ck_assert_uint_ge(at, 5000003 + LAPIC_GAP_MIN_NS);
	ck_assert_uint_lt(at, 5000003 + LAPIC_GAP_MIN_NS + 3);
	ck_assert_uint_eq((at - 5000000) % 3, 0);
	ck_assert_uint_eq(get_at(&l, 5000003, LAPIC_TMCCT), 3);
	ck_assert_uint_eq(get_at(&l, 5000004, LAPIC_TMCCT), 2);
}
END_TEST

/* The mode or the divisor changes under way. */
START_TEST(timer_changes)
{
	struct lapic l;
	uint64_t at;

	make(&l, 0, false);
	set(&l, LVT(TIMER), 0x40);
	set(&l, LAPIC_TDCR, 0xb);
	set_at(&l, 0, LAPIC_TMICT, 1000000);
	set_at(&l, 400000, LVT(TIMER), 0x20040);
	ck_assert_uint_eq(get_at(&l, 400000, LAPIC_TMCCT), 600000);
	ck_assert(lapic_timer_expired(&l, 1000000, 0));
	when(&l, &at);
	ck_assert_uint_eq(at, 2000000);
	set_at(&l, 1500000, LAPIC_TDCR, 0x0);
	when(&l, &at);
	ck_assert_uint_eq(at, 2500000);
	ck_assert_uint_eq(get_at(&l, 1500000, LAPIC_TMCCT), 500000);
	set_at(&l, 1500000, LVT(TIMER), 0x40);
	/* What fell due before a write comes before it. */
	lapic_ack(&l, 0x40);
	set_at(&l, 1500000, LAPIC_EOI, 0);
	set_at(&l, 2500000, LVT(TIMER), 0x10040);
	ck_assert_int_eq(lapic_pending(&l), 0x40);
	/* Once expired it does not come back to life. */
	set_at(&l, 2500000, LVT(TIMER), 0x20040);
	ck_assert_int_eq(when(&l, &at), LAPIC_NEVER);
	ck_assert_uint_eq(get_at(&l, 2500001, LAPIC_TMCCT), 0);
}
END_TEST

/* "TSC-Deadline Mode" */
START_TEST(timer_deadline)
{
	struct lapic l;
	uint64_t at;

	make(&l, 0, true);
	lapic_set_deadline(&l, 1234);
	ck_assert_uint_eq(lapic_deadline(&l), 0);
	set(&l, LVT(TIMER), 0x40040);
	lapic_set_deadline(&l, 1234);
	ck_assert_uint_eq(lapic_deadline(&l), 1234);
	ck_assert_int_eq(when(&l, &at), LAPIC_AT_TSC);
	ck_assert_uint_eq(at, 1234);
	set(&l, LAPIC_TMICT, 5);		/* ignored */
	ck_assert_int_eq(when(&l, &at), LAPIC_AT_TSC);
	ck_assert_uint_eq(get(&l, LAPIC_TMCCT), 0);
	ck_assert(!lapic_timer_expired(&l, ~0ULL >> 2, 1233));
	ck_assert(lapic_timer_expired(&l, 0, 1234));
	ck_assert_uint_eq(lapic_deadline(&l), 0);
	ck_assert_int_eq(lapic_pending(&l), 0x40);
	ck_assert(!lapic_timer_expired(&l, 0, 99999));
	lapic_set_deadline(&l, 5);
	lapic_set_deadline(&l, 0);
	ck_assert_int_eq(when(&l, &at), LAPIC_NEVER);
	/* Other modes disarm, both ways. */
	lapic_set_deadline(&l, 5);
	set(&l, LVT(TIMER), 0x40);
	ck_assert_int_eq(when(&l, &at), LAPIC_NEVER);
	set(&l, LAPIC_TMICT, 5);
	ck_assert_int_eq(when(&l, &at), LAPIC_AT_NS);
	set(&l, LVT(TIMER), 0x40040);
	ck_assert_int_eq(when(&l, &at), LAPIC_NEVER);
}
END_TEST

/* A saved timer under other clocks. */
START_TEST(clocks_move)
{
	struct lapic l;
	uint64_t at;

	make(&l, 0, false);
	set(&l, LVT(TIMER), 0x40);
	set_at(&l, 5000, LAPIC_TMICT, 500);
	lapic_move_time(&l, (uint64_t)-4000, 77);
	when(&l, &at);
	ck_assert_uint_eq(at, 2000);
	ck_assert(lapic_valid(&l, 1000));
	/* Long overdue, even before the new clock began. */
	lapic_move_time(&l, (uint64_t)-3000, 0);
	ck_assert(lapic_valid(&l, 1));
	ck_assert(lapic_timer_expired(&l, 1, 0));
	set(&l, LVT(TIMER), 0x40040);
	lapic_move_time(&l, 5, 5);
	ck_assert_int_eq(when(&l, &at), LAPIC_NEVER);
	lapic_set_deadline(&l, 100);
	lapic_move_time(&l, 5, 5);
	ck_assert_uint_eq(lapic_deadline(&l), 105);
	lapic_move_time(&l, 5, (uint64_t)-105);
	ck_assert_uint_ne(lapic_deadline(&l), 0);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("lapic_timer");

	tcase_add_test(tc, timer_one_shot);
	tcase_add_test(tc, timer_periodic);
	tcase_add_test(tc, timer_changes);
	tcase_add_test(tc, timer_deadline);
	tcase_add_test(tc, clocks_move);
	return test_main("lapic_timer", tc);
}
