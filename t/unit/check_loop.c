/* SPDX-License-Identifier: ISC */
/*
 * The loop: a post is never lost and never doubled, whichever threads make
 * it; cancelled tasks do not run; a task that posts itself does not keep
 * others out; a slow turn is seen.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/loop.h"

#define POSTERS		4
#define POSTS		20000

/* One task that every thread posts, and what each had written before. */
struct shared {
	struct loop		*loop;
	struct loop_task	 task;
	atomic_int		 written;
	int			 seen;
	int			 runs;
};

static void
shared_run(void *arg)
{
	struct shared *s = arg;

	s->runs++;
	s->seen = atomic_load_explicit(&s->written, memory_order_relaxed);
	if (s->seen == POSTERS * POSTS)
		loop_break(s->loop);
}

static void *
shared_post(void *arg)
{
	struct shared *s = arg;
	int i;

	for (i = 0; i < POSTS; i++) {
		atomic_fetch_add_explicit(&s->written, 1,
		    memory_order_relaxed);
		loop_post(s->loop, &s->task);
	}
	return NULL;
}

/* The run after the last post sees all that was written before it. */
START_TEST(no_post_is_lost)
{
	struct shared s = { .loop = loop_create() };
	pthread_t tid[POSTERS];
	int i;

	ck_assert_ptr_nonnull(s.loop);
	s.task.fn = shared_run;
	s.task.arg = &s;
	for (i = 0; i < POSTERS; i++)
		ck_assert_int_eq(pthread_create(&tid[i], NULL, shared_post,
		    &s), 0);
	loop_run(s.loop);
	for (i = 0; i < POSTERS; i++)
		pthread_join(tid[i], NULL);
	ck_assert_int_eq(s.seen, POSTERS * POSTS);
	ck_assert_int_le(s.runs, POSTERS * POSTS);
	loop_destroy(s.loop);
}
END_TEST

/* Tasks of their own: the plain data written before a post is handed over. */
struct item {
	struct loop_task	 task;
	struct loop		*loop;
	int			*left;
	int			 value;
	int			 runs;
};

#define ITEMS	1000

static void
item_run(void *arg)
{
	struct item *it = arg;

	it->runs += it->value;
	if (--*it->left == 0)
		loop_break(it->loop);
}

static void *
item_post(void *arg)
{
	struct item *it = arg;
	int i;

	for (i = 0; i < ITEMS; i++) {
		it[i].value = 1;
		loop_post(it[i].loop, &it[i].task);
	}
	return NULL;
}

START_TEST(every_task_runs_once)
{
	static struct item it[POSTERS][ITEMS];
	struct loop *l = loop_create();
	int i, k, left = POSTERS * ITEMS;
	pthread_t tid[POSTERS];

	for (k = 0; k < POSTERS; k++) {
		for (i = 0; i < ITEMS; i++)
			it[k][i] = (struct item){ .loop = l, .left = &left,
			    .task = { .fn = item_run, .arg = &it[k][i] } };
		ck_assert_int_eq(pthread_create(&tid[k], NULL, item_post,
		    it[k]), 0);
	}
	loop_run(l);
	for (k = 0; k < POSTERS; k++)
		pthread_join(tid[k], NULL);
	for (k = 0; k < POSTERS; k++)
		for (i = 0; i < ITEMS; i++)
			ck_assert_int_eq(it[k][i].runs, 1);
	loop_destroy(l);
}
END_TEST

struct order {
	struct loop	*loop;
	char		 log[16];
	int		 n;
};

struct named {
	struct loop_task	 task;
	struct order		*order;
	char			 name;
};

static void
named_run(void *arg)
{
	struct named *t = arg;

	t->order->log[t->order->n++] = t->name;
	if (t->name == 'z')
		loop_break(t->order->loop);
}

static void
named_init(struct named *t, struct order *o, char name)
{
	*t = (struct named){ .order = o, .name = name };
	t->task.fn = named_run;
	t->task.arg = t;
}

/* Head, middle and tail of the queue; the order of the rest stays. */
START_TEST(cancelled_tasks_do_not_run)
{
	struct order o = { .loop = loop_create() };
	struct named t[6], z;
	int i;

	named_init(&z, &o, 'z');
	for (i = 0; i < 6; i++) {
		named_init(&t[i], &o, 'a' + i);
		loop_post(o.loop, &t[i].task);
	}
	loop_cancel(o.loop, &t[0].task);
	loop_cancel(o.loop, &t[3].task);
	loop_cancel(o.loop, &t[5].task);
	loop_cancel(o.loop, &t[5].task);
	loop_post(o.loop, &t[1].task);		/* waits already */
	loop_post(o.loop, &t[0].task);		/* may come again */
	loop_post(o.loop, &z.task);
	loop_run(o.loop);
	ck_assert_str_eq(o.log, "bceaz");
	loop_destroy(o.loop);
}
END_TEST

struct hog {
	struct loop		*loop;
	struct loop_task	 task;
	ev_timer		 timer;
	int			 runs;
};

static void
hog_run(void *arg)
{
	struct hog *h = arg;

	h->runs++;
	loop_post(h->loop, &h->task);
}

static void
hog_end(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct hog *h = w->data;

	(void)ev;
	(void)revents;
	loop_break(h->loop);
}

START_TEST(reposting_starves_nobody)
{
	struct hog h = { .loop = loop_create() };

	h.task.fn = hog_run;
	h.task.arg = &h;
	ev_timer_init(&h.timer, hog_end, 0.02, 0);
	h.timer.data = &h;
	ev_timer_start(loop_ev(h.loop), &h.timer);
	loop_post(h.loop, &h.task);
	loop_run(h.loop);
	ck_assert_int_gt(h.runs, 1);
	loop_cancel(h.loop, &h.task);
	loop_destroy(h.loop);
}
END_TEST

static void
slow_run(void *arg)
{
	struct hog *h = arg;

	if (++h->runs == 2) {
		loop_break(h->loop);
		return;
	}
	usleep(30000);
	loop_post(h->loop, &h->task);
}

START_TEST(slow_turn_is_seen)
{
	struct hog h = { .loop = loop_create() };

	h.task.fn = slow_run;
	h.task.arg = &h;
	ck_assert_uint_eq(loop_worst_ns(h.loop), 0);
	loop_post(h.loop, &h.task);
	loop_run(h.loop);
	ck_assert_uint_ge(loop_worst_ns(h.loop), 30000000);
	loop_destroy(h.loop);
}
END_TEST

static void
slow_task(void *arg)
{
	(void)arg;
	usleep(40000);
}

/* Tasks of one turn are told apart, and from the turn's watchers. */
START_TEST(tasks_are_told_apart)
{
	struct hog h = { .loop = loop_create() };
	struct loop_task t[4];
	unsigned i;

	memset(t, 0, sizeof(t));
	for (i = 0; i < 4; i++) {
		t[i].fn = slow_task;
		loop_post(h.loop, &t[i]);
	}
	ev_timer_init(&h.timer, hog_end, 0.3, 0);
	h.timer.data = &h;
	ev_timer_start(loop_ev(h.loop), &h.timer);
	loop_run(h.loop);
	ck_assert_uint_ge(loop_worst_ns(h.loop), 40000000);
	ck_assert_uint_lt(loop_worst_ns(h.loop), 120000000);
	loop_destroy(h.loop);
}
END_TEST

/* Waiting for something to happen is no slow turn. */
START_TEST(sleep_is_not_counted)
{
	struct hog h = { .loop = loop_create() };

	ev_timer_init(&h.timer, hog_end, 0.2, 0);
	h.timer.data = &h;
	ev_timer_start(loop_ev(h.loop), &h.timer);
	loop_run(h.loop);
	ck_assert_uint_lt(loop_worst_ns(h.loop), 150000000);
	loop_destroy(h.loop);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("loop");
	TCase *tc = tcase_create("loop");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(tc, no_post_is_lost);
	tcase_add_test(tc, every_task_runs_once);
	tcase_add_test(tc, cancelled_tasks_do_not_run);
	tcase_add_test(tc, reposting_starves_nobody);
	tcase_add_test(tc, slow_turn_is_seen);
	tcase_add_test(tc, sleep_is_not_counted);
	tcase_add_test(tc, tasks_are_told_apart);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
