/* SPDX-License-Identifier: ISC */
/*
 * Pause, resume and reset of a guest, by two pthreads.
 */
#include <errno.h>

#include "vmrig.h"

/* Writes to a port for ever: exits count while it runs. */
static bool
guest_busy(unsigned step, struct hv_exit *e)
{
	(void)step;
	return fakehv_out(e, 0x80, 0);
}

static void
start_vm(bool (*guest)(unsigned, struct hv_exit *))
{
	make_vm(guest);
	ck_assert_int_eq(vm_start(vm), 0);
	wait_for(VM_RUNNING);
}

static void
pause_vm(void)
{
	ck_assert_int_eq(vm_pause(vm), 0);
	wait_for(VM_PAUSED);
}

static uint64_t
exits_within(double seconds)
{
	uint64_t before = fakehv_look().exits;

	awaited = (enum vm_state)-1;
	run_for(seconds);
	return fakehv_look().exits - before;
}

START_TEST(pause_stands_still)
{
	static const enum vm_state order[] = {
		VM_STARTING, VM_RUNNING, VM_PAUSED, VM_RUNNING, VM_STOPPING,
		VM_STOPPED,
	};

	start_vm(guest_busy);
	ck_assert_uint_gt(exits_within(0.05), 0);
	pause_vm();
	ck_assert_uint_eq(exits_within(0.1), 0);
	ck_assert_uint_ge(status().uptime_ns, 100000000);
	ck_assert_uint_eq(fakehv_look().vcpus, 1);
	ck_assert_int_eq(vm_resume(vm), 0);
	ck_assert_int_eq(status().state, VM_RUNNING);
	ck_assert_uint_gt(exits_within(0.05), 0);
	ck_assert_uint_eq(fakehv_look().resumed, 1);
	ck_assert_uint_eq(status().boots, 1);
	stop_vm();
	ck_assert_uint_eq(nseen, 6);
	ck_assert_mem_eq(seen, order, sizeof(order));
}
END_TEST

START_TEST(only_in_their_states)
{
	make_vm(NULL);
	ck_assert_int_eq(vm_pause(vm), -ESRCH);
	ck_assert_int_eq(vm_resume(vm), -ESRCH);
	ck_assert_int_eq(vm_reset(vm), -ESRCH);
	ck_assert_int_eq(vm_start(vm), 0);
	ck_assert_int_eq(vm_pause(vm), -ESRCH);
	ck_assert_int_eq(vm_reset(vm), -ESRCH);
	wait_for(VM_RUNNING);
	ck_assert_int_eq(vm_resume(vm), -ESRCH);
	/* Asked twice it pauses once. */
	ck_assert_int_eq(vm_pause(vm), 0);
	ck_assert_int_eq(vm_resume(vm), -ESRCH);
	pause_vm();
	ck_assert_int_eq(vm_pause(vm), -ESRCH);
	ck_assert_int_eq(vm_start(vm), -EBUSY);
	ck_assert_int_eq(vm_set_conf(vm, &conf), -EBUSY);
	stop_vm();
	ck_assert_int_eq(vm_pause(vm), -ESRCH);
}
END_TEST

/* A resume that the thread did not get to see between two pauses. */
START_TEST(pause_again_at_once)
{
	unsigned i;

	start_vm(guest_busy);
	for (i = 0; i < 200; i++) {
		pause_vm();
		ck_assert_int_eq(vm_resume(vm), 0);
	}
	stop_vm();
}
END_TEST

static void
nothing_left(void)
{
	while (fakehv_look().vms != 0)
		(void)exits_within(0.01);
	/* The last step is the loop's. */
	(void)exits_within(0.5);
}

/* Each way to end it, once paused and while about to be. */
START_TEST(stop_while_paused)
{
	unsigned i;

	make_vm(guest_busy);
	for (i = 0; i < 40; i++) {
		ck_assert_int_eq(vm_start(vm), 0);
		wait_for(VM_RUNNING);
		ck_assert_int_eq(vm_pause(vm), 0);
		if (i % 4 < 2)
			wait_for(VM_PAUSED);
		ck_assert_int_eq(vm_stop(vm, i % 2), 0);
		wait_for(VM_STOPPED);
		ck_assert_int_eq(status().reason, VM_REASON_STOP);
	}
	nothing_left();
}
END_TEST

/* The button works whatever on-reboot says, and at once. */
START_TEST(reset_boots_again)
{
	uint64_t begin;
	unsigned i;

	start_vm(guest_busy);
	begin = loop_now_ns();
	for (i = 2; i < 12; i++) {
		if (i % 3 == 0)
			pause_vm();
		if (i % 3 == 1)
			ck_assert_int_eq(vm_pause(vm), 0);
		ck_assert_int_eq(vm_reset(vm), 0);
		ck_assert_int_eq(status().state, VM_STARTING);
		ck_assert_int_eq(vm_reset(vm), -ESRCH);
		wait_for(VM_RUNNING);
		ck_assert_uint_eq(status().boots, i);
		ck_assert_int_eq(status().reason, VM_REASON_RESET);
	}
	/* Well under a second each. */
	ck_assert_uint_lt(loop_now_ns() - begin, 8000000000);
	ck_assert_uint_gt(exits_within(0.05), 0);
	stop_vm();
	ck_assert_int_eq(status().reason, VM_REASON_STOP);
}
END_TEST

/* A stop takes a reset back, at any moment of it. */
START_TEST(stop_overtakes_reset)
{
	unsigned i;

	make_vm(guest_busy);
	for (i = 0; i < 40; i++) {
		ck_assert_int_eq(vm_start(vm), 0);
		wait_for(VM_RUNNING);
		ck_assert_int_eq(vm_reset(vm), 0);
		awaited = (enum vm_state)-1;
		if (i % 8 != 0)
			run_for(0.0003 * (i % 8));
		ck_assert_int_eq(vm_stop(vm, i % 2), 0);
		wait_for(VM_STOPPED);
		ck_assert_int_eq(status().reason, VM_REASON_STOP);
		/* It stays so. */
		if (i % 8 == 0)
			(void)exits_within(0.02);
		ck_assert_int_eq(status().state, VM_STOPPED);
	}
	nothing_left();
}
END_TEST

/* A reset guest whose kernel is gone fails as a start does. */
START_TEST(reset_without_kernel)
{
	start_vm(guest_busy);
	unlink(kernel);
	ck_assert_int_eq(vm_reset(vm), 0);
	wait_for(VM_STOPPED);
	ck_assert_int_eq(status().reason, VM_REASON_ERROR);
	ck_assert_ptr_nonnull(strstr(vm_message(vm), "kernel /tmp/"));
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("vm_pause");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, pause_stands_still);
	tcase_add_test(tc, only_in_their_states);
	tcase_add_test(tc, pause_again_at_once);
	tcase_add_test(tc, stop_while_paused);
	tcase_add_test(tc, reset_boots_again);
	tcase_add_test(tc, stop_overtakes_reset);
	tcase_add_test(tc, reset_without_kernel);
	return test_main("vm_pause", tc);
}
