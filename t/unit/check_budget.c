/* SPDX-License-Identifier: ISC */
/*
 * The budget: all or nothing, to the byte, and threads that never have more
 * than there is.
 */
#include <pthread.h>

#include "testhost.h"
#include "vmm/budget.h"

#define THREADS	4
#define ROUNDS	20000

START_TEST(all_or_nothing)
{
	struct budget b = { .limit = 100 };

	ck_assert(budget_take(&b, 60));
	ck_assert(!budget_take(&b, 41));
	ck_assert(budget_take(&b, 40));
	ck_assert(!budget_take(&b, 1));
	ck_assert(budget_take(&b, 0));
	budget_give(&b, 60);
	ck_assert(!budget_take(&b, UINT64_MAX));
	ck_assert(!budget_take(&b, 101));
	ck_assert(budget_take(&b, 60));
	ck_assert_uint_eq(b.used, 100);
}
END_TEST

START_TEST(none_has_no_end)
{
	ck_assert(budget_take(NULL, UINT64_MAX));
	ck_assert(budget_take(NULL, UINT64_MAX));
	budget_give(NULL, UINT64_MAX);
}
END_TEST

static void *
take_and_give(void *arg)
{
	struct budget *b = arg;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		if (!budget_take(b, 2))
			continue;
		if (atomic_load(&b->used) > b->limit)
			return b;
		budget_give(b, 2);
	}
	return NULL;
}

START_TEST(shared_by_threads)
{
	struct budget b = { .limit = 5 };
	pthread_t t[THREADS];
	void *bad;
	int i;

	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, take_and_give,
		    &b), 0);
	for (i = 0; i < THREADS; i++) {
		pthread_join(t[i], &bad);
		ck_assert_ptr_null(bad);
	}
	ck_assert_uint_eq(b.used, 0);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("budget");

	tcase_add_test(tc, all_or_nothing);
	tcase_add_test(tc, none_has_no_end);
	tcase_add_test(tc, shared_by_threads);
	return test_main("budget", tc);
}
