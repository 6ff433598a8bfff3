/* SPDX-License-Identifier: ISC */
/*
 * The console: viewers get every byte in order, scrollback first, and soon;
 * what the ring lost is counted to the byte; input is bounded; a writer in another
 * thread is never held up and nothing races (run under TSan too).
 */
#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "vmm/console.h"

struct viewer {
	struct console_viewer	 v;		/* first: output() casts */
	struct console		*console;
	struct loop		*loop;
	struct buf		 got;
	uint64_t		 missed;
	bool			 leave;		/* detaches in output() */
	int			 calls;
	char			 stop;		/* ends the loop */
};

static void
viewer_output(struct console_viewer *cv, const char *p, size_t n,
    uint64_t missed)
{
	struct viewer *v = (struct viewer *)cv;

	v->calls++;
	v->missed += missed;
	ck_assert_int_eq(buf_append(&v->got, p, n), 0);
	if (v->leave)
		console_detach(v->console, cv);
	if (v->stop != '\0' && n > 0 && p[n - 1] == v->stop)
		loop_break(v->loop);
}

static void
viewer_init(struct viewer *v, struct loop *l, struct console *c)
{
	memset(v, 0, sizeof(*v));
	v->v.output = viewer_output;
	v->loop = l;
	v->console = c;
	buf_init(&v->got, 1 << 24);
}

static void
put(struct console *c, const char *s)
{
	console_write(c, s, strlen(s));
}

START_TEST(scrollback_then_live)
{
	struct loop *l = loop_create();
	struct console *c = console_create(l);
	struct viewer v;

	viewer_init(&v, l, c);
	put(c, "early ");
	console_attach(c, &v.v);
	ck_assert_uint_eq(v.got.len, 6);
	v.stop = '!';
	put(c, "late");
	put(c, "!");
	loop_run(l);
	ck_assert_uint_eq(v.got.len, 11);
	ck_assert_mem_eq(buf_head(&v.got), "early late!", 11);
	ck_assert_uint_eq(v.missed, 0);
	console_detach(c, &v.v);
	put(c, "unseen");
	console_destroy(c);
	ck_assert_uint_eq(v.got.len, 11);
	buf_free(&v.got);
	loop_destroy(l);
}
END_TEST

/* A full ring is all there; one byte more loses exactly the first. */
START_TEST(ring_edge)
{
	static char text[CONSOLE_SCROLLBACK + 1];
	struct loop *l = loop_create();
	struct console *c = console_create(l);
	struct viewer v;
	size_t i;

	for (i = 0; i < sizeof(text); i++)
		text[i] = 'a' + i % 23;
	viewer_init(&v, l, c);
	console_attach(c, &v.v);
	v.stop = text[CONSOLE_SCROLLBACK - 1];
	console_write(c, text, CONSOLE_SCROLLBACK);
	loop_run(l);
	ck_assert_uint_eq(v.missed, 0);
	ck_assert_uint_eq(v.got.len, CONSOLE_SCROLLBACK);
	ck_assert_mem_eq(buf_head(&v.got), text, CONSOLE_SCROLLBACK);

	buf_consume(&v.got, v.got.len);
	v.stop = text[CONSOLE_SCROLLBACK];
	console_write(c, text, sizeof(text));
	loop_run(l);
	ck_assert_uint_eq(v.missed, 1);
	ck_assert_uint_eq(v.got.len, CONSOLE_SCROLLBACK);
	ck_assert_mem_eq(buf_head(&v.got), text + 1, CONSOLE_SCROLLBACK);

	console_detach(c, &v.v);
	console_destroy(c);
	buf_free(&v.got);
	loop_destroy(l);
}
END_TEST

START_TEST(viewers_may_leave_in_output)
{
	struct loop *l = loop_create();
	struct console *c = console_create(l);
	struct viewer v[3];
	int i;

	for (i = 0; i < 3; i++) {
		viewer_init(&v[i], l, c);
		console_attach(c, &v[i].v);
		v[i].leave = true;
	}
	v[0].stop = 'x';	/* attached first, served last */
	put(c, "x");
	loop_run(l);
	put(c, "x");
	for (i = 0; i < 3; i++) {
		ck_assert_uint_eq(v[i].got.len, 1);
		buf_free(&v[i].got);
	}
	console_destroy(c);
	loop_destroy(l);
}
END_TEST

static void
on_pause(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct viewer *v = w->data;

	(void)ev;
	(void)revents;
	loop_break(v->loop);
}

/* Turns the loop for 50 ms. */
static void
turn_loop(struct viewer *v)
{
	ev_timer t;

	ev_timer_init(&t, on_pause, 0.05, 0.0);
	t.data = v;
	ev_timer_start(loop_ev(v->loop), &t);
	loop_run(v->loop);
}

/*
 * Bytes are collected, again after each time.  A test that itself took as long
 * as that says nothing.
 */
START_TEST(bytes_are_collected)
{
	struct loop *l = loop_create();
	struct console *c = console_create(l);
	struct viewer v;
	uint64_t start;
	bool quick;
	int i;

	viewer_init(&v, l, c);
	console_attach(c, &v.v);
	for (i = 1; i <= 2; i++) {
		turn_loop(&v);
		v.stop = 'c';
		v.calls = 0;
		start = loop_now_ns();
		put(c, "a");
		ev_run(loop_ev(l), EVRUN_NOWAIT);
		put(c, "b");
		ev_run(loop_ev(l), EVRUN_NOWAIT);
		put(c, "c");
		quick = loop_now_ns() - start < 1500000;
		loop_run(l);
		if (quick)
			ck_assert_int_eq(v.calls, 1);
		v.stop = '\0';
	}
	ck_assert_uint_eq(v.got.len, 6);
	ck_assert_mem_eq(buf_head(&v.got), "abcabc", 6);
	console_detach(c, &v.v);
	console_destroy(c);
	buf_free(&v.got);
	loop_destroy(l);
}
END_TEST

/* Who must not wait gets all there is, once. */
START_TEST(flush_is_at_once)
{
	struct loop *l = loop_create();
	struct console *c = console_create(l);
	struct viewer v;

	viewer_init(&v, l, c);
	console_attach(c, &v.v);
	put(c, "ab");
	console_flush(c);
	put(c, "c");
	console_flush(c);
	ck_assert_uint_eq(v.got.len, 3);
	turn_loop(&v);
	ck_assert_uint_eq(v.got.len, 3);
	console_detach(c, &v.v);
	console_destroy(c);
	buf_free(&v.got);
	loop_destroy(l);
}
END_TEST

/* Without viewers nobody is woken; the next to attach is served again. */
START_TEST(viewers_come_and_go)
{
	struct loop *l = loop_create();
	struct console *c = console_create(l);
	struct viewer v;
	int i;

	viewer_init(&v, l, c);
	for (i = 0; i < 3; i++) {
		put(c, "-");
		turn_loop(&v);
		put(c, "-");
		turn_loop(&v);
		console_attach(c, &v.v);
		v.stop = '!';
		put(c, "!");
		loop_run(l);
		v.stop = '\0';
		console_detach(c, &v.v);
	}
	/* Each sees the scrollback: 2 more, and what the last said. */
	ck_assert_uint_eq(v.got.len, 3 + 6 + 9);
	console_destroy(c);
	buf_free(&v.got);
	loop_destroy(l);
}
END_TEST

static void
count_ready(void *cookie)
{
	++*(int *)cookie;
}

START_TEST(input_is_bounded)
{
	static char in[CONSOLE_INPUT_MAX + 1], out[CONSOLE_INPUT_MAX + 1];
	struct loop *l = loop_create();
	struct console *c = console_create(l);
	int ready = 0;
	size_t i;

	for (i = 0; i < sizeof(in); i++)
		in[i] = i * 7;
	console_set_input_ready(c, count_ready, &ready);
	ck_assert_uint_eq(console_read(c, out, 1), 0);
	ck_assert_uint_eq(console_input(c, in, 100), 100);
	ck_assert_uint_eq(console_read(c, out, 100), 100);
	ck_assert_mem_eq(out, in, 100);
	ck_assert_uint_eq(console_input(c, in, sizeof(in)),
	    CONSOLE_INPUT_MAX);
	ck_assert_int_eq(ready, 2);
	ck_assert_uint_eq(console_input(c, in, 1), 0);
	ck_assert_int_eq(ready, 2);
	ck_assert_uint_eq(console_read(c, out, 10), 10);
	ck_assert_uint_eq(console_read(c, out + 10, sizeof(out)),
	    CONSOLE_INPUT_MAX - 10);
	ck_assert_mem_eq(out, in, CONSOLE_INPUT_MAX);
	console_set_input_ready(c, NULL, NULL);
	ck_assert_uint_eq(console_input(c, in, 1), 1);
	ck_assert_int_eq(ready, 2);
	console_destroy(c);
	loop_destroy(l);
}
END_TEST

#define LINES	20000

static void *
guest_thread(void *arg)
{
	struct console *c = arg;
	char ch;
	int i;

	for (i = 0; i < LINES; i++) {
		put(c, "0123456789\n");
		console_read(c, &ch, 1);
	}
	put(c, "!");
	return NULL;
}

/* Received plus missed is what was written, whatever the interleaving. */
START_TEST(writer_in_another_thread)
{
	struct loop *l = loop_create();
	struct console *c = console_create(l);
	struct viewer v;
	pthread_t tid;

	viewer_init(&v, l, c);
	v.stop = '!';
	console_attach(c, &v.v);
	ck_assert_int_eq(pthread_create(&tid, NULL, guest_thread, c), 0);
	console_input(c, "abc", 3);
	loop_run(l);
	pthread_join(tid, NULL);
	ck_assert_uint_eq(v.got.len + v.missed, LINES * 11 + 1);
	console_detach(c, &v.v);
	console_destroy(c);
	buf_free(&v.got);
	loop_destroy(l);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("console");
	TCase *tc = tcase_create("console");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(tc, scrollback_then_live);
	tcase_add_test(tc, ring_edge);
	tcase_add_test(tc, viewers_may_leave_in_output);
	tcase_add_test(tc, bytes_are_collected);
	tcase_add_test(tc, flush_is_at_once);
	tcase_add_test(tc, viewers_come_and_go);
	tcase_add_test(tc, input_is_bounded);
	tcase_add_test(tc, writer_in_another_thread);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
