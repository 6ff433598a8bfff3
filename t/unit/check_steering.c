/* SPDX-License-Identifier: ISC */
/*
 * A guest's clock after the host's: a host is played whose NTP steers, and
 * whoever looks comes late.
 */
#include <stdlib.h>

#include "devices/steering.h"
#include "testhost.h"

#define S	UINT64_C(1000000000)
#define MS	1000000

static struct world {
	uint64_t	 hz;
	uint64_t	 now;		/* as it really is, ns */
	uint64_t	 host;		/* its clock, in ns */
	double		 fraction;	/* of a ns that it has not shown yet */
	int		 ppm;		/* by so many it is steered */
	struct steering	 s;
	uint64_t	 last;		/* what the guest has read */
	int64_t		 worst;		/* ns from the host's */
} w;

static const uint64_t hzs[] = { 999999000, 1000000000, 2399876000,
    4294967296, 5812345000 };

static uint64_t
tsc(void)
{
	return (uint64_t)((unsigned __int128)w.now * w.hz / S);
}

/* The guest reads its clock, which never goes back. */
static void
guest_reads(void)
{
	uint64_t ns = steering_at(&w.s, tsc());
	int64_t off = (int64_t)(ns - w.host);

	ck_assert_uint_ge(ns, w.last);
	w.last = ns;
	if (llabs(off) > w.worst)
		w.worst = llabs(off);
}

static void
pass(uint64_t ns)
{
	double host = (double)ns * (1 + w.ppm / 1e6) + w.fraction;

	w.now += ns;
	w.host += (uint64_t)host;
	w.fraction = host - (double)(uint64_t)host;
}

static void
setup(void)
{
	w = (struct world){ .hz = 2399876000, .now = 7 * S, .host = 5 };
	steering_begin(&w.s, w.hz, tsc(), w.host);
	srandom(1);
}

/* A look, and what follows from it a little later. */
static bool
look(void)
{
	struct steering_turn turn;

	guest_reads();
	if (!steering_look(&w.s, tsc(), w.host, &turn))
		return false;
	pass((uint64_t)random() % 2000);
	guest_reads();
	steering_turn(&w.s, tsc(), &turn);
	guest_reads();
	return true;
}

/* The TSC alone: not off by a microsecond in ten minutes. */
START_TEST(rounding)
{
	unsigned i;

	setup();
	w.hz = hzs[_i];
	steering_begin(&w.s, w.hz, tsc(), w.host);
	for (i = 0; i < 600; i++) {
		pass(S);
		guest_reads();
	}
	ck_assert_int_lt(w.worst, 1000);
}
END_TEST

/* Ten minutes of an NTP that does all it may, looked at now and then. */
START_TEST(ten_minutes)
{
	static const int ppm[] = { 0, 500, 0, -500 };
	unsigned i;

	setup();
	w.hz = hzs[_i];
	steering_begin(&w.s, w.hz, tsc(), w.host);
	for (i = 0; i < 600; i++) {
		w.ppm = ppm[i / 30 % 4];
		pass(S * 95 / 100 + (uint64_t)random() % (S / 4));
		ck_assert(look());
	}
	ck_assert_int_lt(w.worst, MS);
	ck_assert_int_gt(w.worst, MS / 10);
}
END_TEST

/* What has gone wrong meanwhile is put right, and by slewing. */
START_TEST(late)
{
	unsigned i;

	setup();
	w.ppm = 500;
	pass(40 * S);
	ck_assert(look());
	ck_assert_int_gt(w.worst, 19 * MS);
	for (i = 0; i < 40; i++) {
		pass(S);
		look();
	}
	w.worst = 0;
	w.ppm = -500;
	pass(S);
	look();
	ck_assert_int_lt(w.worst, MS);
}
END_TEST

START_TEST(too_close)
{
	setup();
	pass(S / 20);
	ck_assert(!look());
	pass(S / 20);
	ck_assert(look());
}
END_TEST

/* The host slept an hour, of which its clock knows and its TSC does not. */
START_TEST(slept)
{
	setup();
	pass(S);
	w.host += 3600 * S;
	w.last = 0;
	ck_assert(look());
	ck_assert_int_lt(llabs((int64_t)(w.last - w.host)), 100 * 1000);
	ck_assert_uint_eq(w.s.mul, (uint32_t)(((S << 33) - 1) / w.hz));
}
END_TEST

/* The TSC went on while the host's clock stood: what was read stays read. */
START_TEST(stood)
{
	setup();
	pass(S);
	w.host -= S / 2;
	ck_assert(look());
	ck_assert_uint_ge(w.s.ns, S);
	pass(S);
	ck_assert(look());
	ck_assert_uint_ge(w.s.ns, 2 * S - MS * 3);
}
END_TEST

/* A TSC that begins anew: the host's time, or that of the last turn. */
START_TEST(tsc_began_anew)
{
	struct steering_turn turn;
	uint64_t ns;

	setup();
	pass(S);
	ck_assert(look());
	ns = w.s.ns;
	ck_assert(steering_look(&w.s, 1000, ns + S * _i, &turn));
	steering_turn(&w.s, 1000, &turn);
	ck_assert_uint_eq(w.s.ns, ns + S * _i);
	ck_assert_uint_eq(w.s.tsc, 1000);
}
END_TEST

/* Nonsense does not divide by too little, nor set the clock back. */
START_TEST(nonsense)
{
	static const uint64_t ns[] = { 0, 1, S, UINT64_C(1) << 59,
	    UINT64_C(1) << 63, UINT64_MAX };
	struct steering_turn turn;
	unsigned i, j;

	for (i = 0; i < 6; i++) {
		for (j = 0; j < 6; j++) {
			setup();
			w.s.ns = S;
			if (!steering_look(&w.s, w.s.tsc + ns[i], ns[j],
			    &turn))
				continue;
			steering_turn(&w.s, w.s.tsc + ns[i], &turn);
			ck_assert_uint_ge(steering_at(&w.s, w.s.tsc), S);
		}
	}
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("steering");

	tcase_add_loop_test(tc, rounding, 0, sizeof(hzs) / sizeof(hzs[0]));
	tcase_add_loop_test(tc, ten_minutes, 0, sizeof(hzs) / sizeof(hzs[0]));
	tcase_add_test(tc, late);
	tcase_add_test(tc, too_close);
	tcase_add_test(tc, slept);
	tcase_add_test(tc, stood);
	tcase_add_loop_test(tc, tsc_began_anew, 0, 2);
	tcase_add_test(tc, nonsense);
	return test_main("steering", tc);
}
