/* SPDX-License-Identifier: ISC */
/*
 * Reload: what is gone stops and goes, what is new starts, what changed waits
 * for its next start, and a bad file changes nothing.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "fakevm.h"
#include "vmm/config.h"
#include "vmm/reload.h"
#include "vmm/vm_table.h"

static struct loop *loop;
static struct vm_table *vt;
static struct config *conf;
static char path[64];
static bool restart_required;
static const struct hv_ops fake_hv = { .name = "fake" };

/* The names of those that have started, in order. */
static char started[128];

static void
changed(void *cookie, struct vm_entry *e)
{
	(void)cookie;
	if (vm_entry_state(e) == VM_STARTING) {
		strcat(started, vm_entry_name(e));
		strcat(started, " ");
	}
}

static void
turn(int n)
{
	while (n-- > 0)
		ev_run(loop_ev(loop), EVRUN_NOWAIT);
}

static void
put_file(const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void
done(void *cookie, int error)
{
	int *outcome = cookie;

	/* Once. */
	ck_assert_int_eq(*outcome, 1);
	*outcome = error;
}

/* Reloads with `text` and lets everything settle that can. */
static int
reload(const char *text)
{
	int outcome = 1;
	struct reload r = {
		.vt = vt, .conf = &conf, .done = done, .cookie = &outcome,
		.restart_required = &restart_required,
	};

	put_file(text);
	reload_file(&r, path);
	turn(8);
	return outcome;
}

static void
setup(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	snprintf(path, sizeof(path), "/tmp/check_reload.%d", (int)getpid());
	loop = loop_create();
	vt = vm_table_create(loop, NULL, &fake_hv, changed, NULL);
	put_file("");
	conf = reload_read(path, NULL);
	ck_assert_ptr_nonnull(conf);
}

static void
teardown(void)
{
	vm_table_stop_all(vt, true);
	turn(8);
	vm_table_destroy(vt);
	config_free(conf);
	loop_destroy(loop);
	unlink(path);
}

static enum vm_state
state(const char *name)
{
	struct vm_entry *e = vm_table_find(vt, name);

	ck_assert_msg(e != NULL, "vm %s is gone", name);
	return vm_entry_state(e);
}

START_TEST(adds_and_starts)
{
	ck_assert_int_eq(reload("[vm a]\nkernel=/k\n"
	    "[vm b]\nkernel=/k\nautostart=no\n"), 0);
	ck_assert_int_eq(state("a"), VM_RUNNING);
	ck_assert_int_eq(state("b"), VM_STOPPED);
	ck_assert_uint_eq(vm_table_count(vt), 2);
	ck_assert_uint_eq(vm_table_running(vt), 1);
}
END_TEST

START_TEST(removes)
{
	reload("[vm a]\nkernel=/k\n[vm b]\nkernel=/k\nautostart=no\n"
	    "[vm c]\nkernel=/k\n");
	ck_assert_int_eq(reload("[vm c]\nkernel=/k\n"), 0);
	ck_assert_ptr_null(vm_table_find(vt, "a"));
	ck_assert_ptr_null(vm_table_find(vt, "b"));
	ck_assert_int_eq(state("c"), VM_RUNNING);
	ck_assert_uint_eq(vm_table_count(vt), 1);
}
END_TEST

START_TEST(bad_file_changes_nothing)
{
	const struct config *old;

	reload("[vm a]\nkernel=/k\n");
	old = conf;
	/* Errors go to the log; this one is expected. */
	close(STDERR_FILENO);
	ck_assert_int_eq(reload("[vm b]\nkernel=/k\nbad\n"), -EINVAL);
	ck_assert_ptr_eq(conf, old);
	ck_assert_int_eq(state("a"), VM_RUNNING);
	ck_assert_ptr_null(vm_table_find(vt, "b"));
}
END_TEST

START_TEST(changed_waits_for_restart)
{
	struct vm_entry *e;

	reload("[vm a]\nkernel=/k\nmemory=64M\n");
	reload("[vm a]\nkernel=/k\nmemory=128M\n");
	e = vm_table_find(vt, "a");
	ck_assert_int_eq(state("a"), VM_RUNNING);
	ck_assert_ptr_nonnull(e->pending);
	ck_assert_uint_eq(vm_conf(e->vm)->memory, 64 << 20);

	ck_assert_int_eq(vm_table_stop(vt, e, false), 0);
	turn(4);
	ck_assert_int_eq(vm_table_start(vt, e), 0);
	turn(4);
	ck_assert_int_eq(state("a"), VM_RUNNING);
	ck_assert_ptr_null(e->pending);
	ck_assert_uint_eq(vm_conf(e->vm)->memory, 128 << 20);
}
END_TEST

START_TEST(change_taken_back)
{
	reload("[vm a]\nkernel=/k\nmemory=64M\n");
	reload("[vm a]\nkernel=/k\nmemory=128M\n");
	reload("[vm a]\nkernel=/k\nmemory=64M\n");
	ck_assert_ptr_null(vm_table_find(vt, "a")->pending);
	reload("[vm a]\nkernel=/k\nmemory=64M\nautostart=no\n");
	ck_assert_ptr_null(vm_table_find(vt, "a")->pending);
	ck_assert_int_eq(state("a"), VM_RUNNING);
}
END_TEST

START_TEST(stopped_changes_at_once)
{
	struct vm_entry *e;

	reload("[vm a]\nkernel=/k\nautostart=no\n");
	reload("[vm a]\nkernel=/other\nautostart=no\n");
	e = vm_table_find(vt, "a");
	ck_assert_ptr_null(e->pending);
	ck_assert_str_eq(vm_conf(e->vm)->kernel, "/other");
}
END_TEST

/* The disk of a renamed guest is locked until the old name is gone. */
START_TEST(start_waits_for_removal)
{
	struct vm_entry *old;

	reload("[vm a]\nkernel=/stuck\ndisk=/d\n");
	old = vm_table_find(vt, "a");
	ck_assert_int_eq(reload("[vm b]\nkernel=/k\ndisk=/d\n"), 0);
	ck_assert(old->removing);
	ck_assert_int_eq(state("a"), VM_STOPPING);
	ck_assert_int_eq(state("b"), VM_STOPPED);
	ck_assert_int_eq(vm_table_start(vt, old), -ESHUTDOWN);
	ck_assert_int_eq(vm_table_stop(vt, old, true), 0);
	turn(8);
	ck_assert_ptr_null(vm_table_find(vt, "a"));
	ck_assert_int_eq(state("b"), VM_RUNNING);
}
END_TEST

START_TEST(comes_back_while_it_goes)
{
	struct vm_entry *e;

	reload("[vm a]\nkernel=/stuck\n");
	reload("");
	e = vm_table_find(vt, "a");
	ck_assert(e->removing);
	reload("[vm a]\nkernel=/k\n");
	ck_assert(!e->removing);
	ck_assert_int_eq(state("a"), VM_STOPPING);
	ck_assert_int_eq(vm_table_stop(vt, e, true), 0);
	e->want_start = true;
	turn(8);
	ck_assert_int_eq(state("a"), VM_RUNNING);
	ck_assert_str_eq(vm_conf(e->vm)->kernel, "/k");
}
END_TEST

START_TEST(one_failure_holds_up_nobody)
{
	reload("[vm a]\nkernel=/fail\n[vm b]\nkernel=/k\n");
	ck_assert_int_eq(state("a"), VM_STOPPED);
	ck_assert_str_eq(vm_message(vm_table_find(vt, "a")->vm),
	    "kernel /fail: \"no\" file");
	ck_assert_int_eq(state("b"), VM_RUNNING);
}
END_TEST

START_TEST(daemon_keys)
{
	ck_assert_int_eq(reload("[daemon]\nstop-timeout=3s\n"), 0);
	ck_assert(!restart_required);
	ck_assert_uint_eq(conf->stop_timeout, 3000000000);
	ck_assert_int_eq(reload("[daemon]\nname=other\n"), 0);
	ck_assert(restart_required);
	ck_assert_str_eq(conf->name, "vmmd");
	ck_assert_str_eq(conf->socket, "/run/vmmd.sock");
	ck_assert_int_eq(reload("[daemon]\nname=vmmd\n"), 0);
	ck_assert(!restart_required);
}
END_TEST

START_TEST(starts_in_order)
{
	reload("[vm a]\nkernel=/k\n[vm b]\nkernel=/k\nstart-order=101\n"
	    "[vm c]\nkernel=/k\nstart-order=0\n[vm d]\nkernel=/k\n"
	    "[vm e]\nkernel=/k\nautostart=no\nstart-order=0\n");
	ck_assert_str_eq(started, "c a d b ");
}
END_TEST

/* Waits until so many have started; says how long that took. */
static double
wait_started(size_t n)
{
	uint64_t begin = loop_now_ns();

	while (strlen(started) < 2 * n) {
		ck_assert_uint_lt(loop_now_ns() - begin, 20000000000);
		ev_run(loop_ev(loop), EVRUN_ONCE);
	}
	ck_assert_uint_eq(strlen(started), 2 * n);
	return (double)(loop_now_ns() - begin) / 1e9;
}

#define FIVE	"[vm a]\nkernel=/k\n[vm b]\nkernel=/fail\n" \
	"[vm c]\nkernel=/k\n[vm d]\nkernel=/k\nstart-order=1\n" \
	"[vm e]\nkernel=/k\n"

/* Two at a time, also those that a reload adds; by hand at any time. */
START_TEST(staggered)
{
	reload("[daemon]\nstagger=300ms\nparallel=2\n" FIVE);
	ck_assert_str_eq(started, "d a ");
	ck_assert_int_eq(vm_table_start(vt, vm_table_find(vt, "e")), 0);
	ck_assert_double_ge(wait_started(5), 0.2);
	ck_assert_str_eq(started, "d a e b c ");
	reload("[daemon]\nstagger=300ms\nparallel=2\n" FIVE
	    "[vm f]\nkernel=/k\n");
	ck_assert_uint_eq(strlen(started), 10);
	ck_assert_double_ge(wait_started(6), 0.1);
	ck_assert_int_eq(state("b"), VM_STOPPED);
}
END_TEST

/* A stop takes back a turn that has not come; no stagger, no turns. */
START_TEST(stagger_ends)
{
	reload("[daemon]\nstagger=1h\n" FIVE);
	ck_assert_str_eq(started, "d ");
	(void)vm_table_stop(vt, vm_table_find(vt, "c"), false);
	reload("[daemon]\nstagger=0s\n" FIVE);
	ck_assert_str_eq(started, "d a b e ");
}
END_TEST

/* What may change at any time does; the next start orders by it. */
START_TEST(live_keys)
{
	struct vm_entry *e;

	reload("[vm a]\nkernel=/k\nmemory=64M\n");
	reload("[vm a]\nkernel=/k\nmemory=128M\nstart-order=7\n");
	e = vm_table_find(vt, "a");
	ck_assert_ptr_nonnull(e->pending);
	ck_assert_uint_eq(vm_conf(e->vm)->start_order, 7);
	ck_assert_uint_eq(vm_conf(e->vm)->memory, 64 << 20);
}
END_TEST

START_TEST(nothing_starts_at_the_end)
{
	reload("[vm a]\nkernel=/k\n[vm b]\nkernel=/stuck\n");
	vm_table_stop_all(vt, false);
	turn(8);
	ck_assert_int_eq(state("a"), VM_STOPPED);
	ck_assert_int_eq(state("b"), VM_STOPPING);
	ck_assert_int_eq(vm_table_start(vt, vm_table_find(vt, "a")),
	    -ESHUTDOWN);
	ck_assert(!vm_table_forced(vt));
	vm_table_stop_all(vt, true);
	turn(8);
	ck_assert_uint_eq(vm_table_running(vt), 0);
	ck_assert(vm_table_forced(vt));
}
END_TEST

static TCase *
reload_case(void)
{
	TCase *tc = tcase_create("reload");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, adds_and_starts);
	tcase_add_test(tc, removes);
	tcase_add_test(tc, bad_file_changes_nothing);
	tcase_add_test(tc, changed_waits_for_restart);
	tcase_add_test(tc, change_taken_back);
	tcase_add_test(tc, stopped_changes_at_once);
	tcase_add_test(tc, start_waits_for_removal);
	tcase_add_test(tc, comes_back_while_it_goes);
	tcase_add_test(tc, one_failure_holds_up_nobody);
	tcase_add_test(tc, daemon_keys);
	tcase_add_test(tc, starts_in_order);
	tcase_add_test(tc, staggered);
	tcase_add_test(tc, stagger_ends);
	tcase_add_test(tc, live_keys);
	tcase_add_test(tc, nothing_starts_at_the_end);
	return tc;
}

int
main(void)
{
	Suite *s = suite_create("reload");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, reload_case());
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
