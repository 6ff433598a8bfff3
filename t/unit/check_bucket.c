/* SPDX-License-Identifier: ISC */
/*
 * Token buckets: bursts and rates to the token, over any steps of the clock;
 * the time that is told is the first at which a packet goes.
 */
#include "base/bucket.h"
#include "testhost.h"

#define SECOND	UINT64_C(1000000000)
#define START	UINT64_C(123456789012345)

static const struct bucket_limit none;

static struct bucket
make(uint64_t rate, uint64_t burst)
{
	struct bucket_limit l = { rate, burst };
	struct bucket b;

	bucket_init(&b, &l, &none, START);
	return b;
}

START_TEST(no_limit)
{
	struct bucket b;
	unsigned i;

	bucket_init(&b, &none, &none, START);
	for (i = 0; i < 1000; i++)
		ck_assert_uint_eq(bucket_take(&b, START, 65535, 44), 0);
	ck_assert_uint_eq(bucket_take(&b, 0, UINT64_MAX, UINT64_MAX), 0);
}
END_TEST

START_TEST(burst_then_rate)
{
	struct bucket b = make(1000, 5000);
	uint64_t at;
	unsigned i;

	for (i = 0; i < 5; i++)
		ck_assert_uint_eq(bucket_take(&b, START, 1000, 1), 0);
	at = bucket_take(&b, START, 1000, 1);
	ck_assert_uint_eq(at, START + SECOND);
	ck_assert_uint_eq(bucket_take(&b, at - 1, 1000, 1), at);
	ck_assert_uint_eq(bucket_take(&b, at, 1000, 1), 0);
	/* Less is there sooner; nothing at all at once. */
	ck_assert_uint_eq(bucket_take(&b, at, 1, 1), at + SECOND / 1000);
	ck_assert_uint_eq(bucket_take(&b, at, 0, 1), 0);
	/* No more than the burst is saved up. */
	at += 1000 * SECOND;
	ck_assert_uint_eq(bucket_take(&b, at, 5000, 1), 0);
	ck_assert_uint_eq(bucket_take(&b, at, 1, 1), at + SECOND / 1000);
}
END_TEST

/* One longer than the burst goes when the bucket is full, and is paid for. */
START_TEST(longer_than_the_burst)
{
	struct bucket b = make(1000, 100);

	ck_assert_uint_eq(bucket_take(&b, START, 1100, 1), 0);
	ck_assert_uint_eq(bucket_take(&b, START, 1, 1),
	    START + SECOND + SECOND / 1000);
	ck_assert_uint_eq(bucket_take(&b, START, 1100, 1),
	    START + SECOND + SECOND / 10);
}
END_TEST

START_TEST(both_kinds)
{
	struct bucket_limit bytes = { 1000000, 10000 }, packets = { 10, 3 };
	struct bucket b;
	unsigned i;

	bucket_init(&b, &bytes, &packets, START);
	for (i = 0; i < 3; i++)
		ck_assert_uint_eq(bucket_take(&b, START, 100, 1), 0);
	/* What is refused by one takes nothing of the other. */
	for (i = 0; i < 50; i++)
		ck_assert_uint_eq(bucket_take(&b, START, 1000, 1),
		    START + SECOND / 10);
	ck_assert_uint_eq(bucket_take(&b, START, 9700, 0), 0);
	ck_assert_uint_eq(bucket_take(&b, START, 200000, 1),
	    START + SECOND / 10);
	ck_assert_uint_eq(bucket_take(&b, START, 1, 0), START + 1000);
}
END_TEST

/*
 * Two hours of takes at odd moments of rates that divide nothing: not one token
 * more than were due, and none less once all is drained.
 */
START_TEST(no_drift)
{
	static const uint64_t rates[] = { 1, 3, 7, 999983, 1234567891,
	    UINT64_C(12500000000) };
	uint64_t rate = rates[_i], seed = 99, now = START, taken = 0, due, step;
	struct bucket b = make(rate, UINT64_C(1) << 50);
	unsigned i;

	ck_assert_uint_eq(bucket_take(&b, now, UINT64_C(1) << 50, 1), 0);
	for (i = 0; now < START + 7200 * SECOND; i++) {
		step = test_random(&seed) % (i % 3 == 0 ? 1000 : 4 * SECOND);
		now += step;
		due = (uint64_t)((__extension__ (unsigned __int128)rate) *
		    (now - START) / SECOND);
		ck_assert_uint_le(taken, due);
		/* All that is there, and not one more. */
		if (due > taken)
			ck_assert_uint_eq(bucket_take(&b, now, due - taken, 1),
			    0);
		taken = due;
		ck_assert_uint_gt(bucket_take(&b, now, 1, 1), now);
	}
	ck_assert_uint_gt(i, 1000);
}
END_TEST

/* The time told is the first, whatever the numbers. */
START_TEST(told_to_the_ns)
{
	uint64_t seed = 7, now, at, rate, burst, n;
	struct bucket b, early;
	unsigned i, told = 0;

	for (i = 0; i < 4000; i++) {
		rate = 1 + (test_random(&seed) >> test_random(&seed) % 32);
		burst = 1 + (test_random(&seed) >> test_random(&seed) % 32);
		b = make(rate, burst);
		now = START + test_random(&seed) % SECOND;
		n = test_random(&seed) >> test_random(&seed) % 32;
		(void)bucket_take(&b, now, n, 1);
		n = test_random(&seed) >> test_random(&seed) % 32;
		at = bucket_take(&b, now, n, 1);
		if (at == 0)
			continue;
		told++;
		ck_assert_uint_gt(at, now);
		early = b;
		ck_assert_uint_eq(bucket_take(&early, at - 1, n, 1), at);
		ck_assert_uint_eq(bucket_take(&early, at, n, 1), 0);
		ck_assert_uint_eq(bucket_take(&b, at, n, 1), 0);
	}
	ck_assert_uint_gt(told, 500);
}
END_TEST

START_TEST(clock_stands)
{
	struct bucket b = make(1000, 10);

	ck_assert_uint_eq(bucket_take(&b, START, 10, 1), 0);
	ck_assert_uint_eq(bucket_take(&b, START - SECOND, 1, 1),
	    START + SECOND / 1000);
	ck_assert_uint_eq(bucket_take(&b, 0, 1, 1), START + SECOND / 1000);
	ck_assert_uint_eq(bucket_take(&b, START + SECOND / 1000, 1, 1), 0);
	/* After the longest time there is it is full, no more. */
	ck_assert_uint_eq(bucket_take(&b, UINT64_MAX, 10, 1), 0);
	ck_assert_uint_eq(bucket_take(&b, UINT64_MAX, 1, 1), UINT64_MAX);
}
END_TEST

START_TEST(changed_while_it_runs)
{
	struct bucket_limit slow = { 100, 50 }, fast = { 10000, 2000 };
	struct bucket b = make(1000, 1000);
	uint64_t now = START;

	ck_assert_uint_eq(bucket_take(&b, now, 1000, 1), 0);
	/* Half a second by the old rate, the rest by the new. */
	now += SECOND / 2;
	bucket_set(&b, &fast, &none, now);
	ck_assert_uint_eq(bucket_take(&b, now, 600, 1), now + SECOND / 100);
	ck_assert_uint_eq(bucket_take(&b, now, 500, 1), 0);
	/* A smaller burst takes what was saved above it. */
	now += SECOND;
	bucket_set(&b, &slow, &none, now);
	ck_assert_uint_eq(bucket_take(&b, now, 50, 1), 0);
	ck_assert_uint_eq(bucket_take(&b, now, 1, 1), now + SECOND / 100);
	/* What is owed stays owed. */
	bucket_set(&b, &fast, &none, now);
	ck_assert_uint_eq(bucket_take(&b, now, 1, 1), now + SECOND / 10000);
	/* Without a limit nothing is counted; the next begins full. */
	bucket_set(&b, &none, &none, now);
	ck_assert_uint_eq(bucket_take(&b, now, 1000000, 1), 0);
	bucket_set(&b, &slow, &none, now);
	ck_assert_uint_eq(bucket_take(&b, now, 50, 1), 0);
	/* The same again changes nothing, not even a part of a token. */
	now += 9999999;
	bucket_set(&b, &slow, &none, now);
	ck_assert_uint_eq(bucket_take(&b, now, 1, 1), now + 1);
}
END_TEST

/* Limits beyond all bounds are held at the bounds; a burst is 1 at least. */
START_TEST(bounds)
{
	struct bucket b = make(UINT64_MAX, UINT64_MAX);
	uint64_t at;

	ck_assert_uint_eq(b.bytes.limit.rate, BUCKET_MAX);
	ck_assert_uint_eq(bucket_take(&b, START, UINT64_MAX, 1), 0);
	at = bucket_take(&b, START, UINT64_MAX, 1);
	ck_assert_uint_eq(at, START + SECOND);
	b = make(1, 0);
	ck_assert_uint_eq(bucket_take(&b, START, UINT64_MAX, 1), 0);
	/* Which is in 35 million years, more than the clock has. */
	ck_assert_uint_eq(bucket_take(&b, START, 1, 1), UINT64_MAX);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("bucket");

	tcase_add_test(tc, no_limit);
	tcase_add_test(tc, burst_then_rate);
	tcase_add_test(tc, longer_than_the_burst);
	tcase_add_test(tc, both_kinds);
	tcase_add_loop_test(tc, no_drift, 0, 6);
	tcase_add_test(tc, told_to_the_ns);
	tcase_add_test(tc, clock_stands);
	tcase_add_test(tc, changed_while_it_runs);
	tcase_add_test(tc, bounds);
	return test_main("bucket", tc);
}
