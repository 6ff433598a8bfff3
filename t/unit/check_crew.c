/* SPDX-License-Identifier: ISC */
/*
 * A guest of several vCPUs: pthreads that all run the same devices and are
 * paused, resumed, reset and stopped as one.
 */
#include <errno.h>
#include <sched.h>

#include "vmrig.h"

#define CPUS	8

/* Every vCPU at the same chips: interrupt masks, timer, clock, PCI, line. */
static bool
hammer(unsigned id, unsigned step, struct hv_exit *e)
{
	static const uint16_t ports[] = {
		0x21, 0xa1, 0x40, 0x43, 0x61, 0x70, 0x71, 0x60, 0x64, 0x3f9,
		0x3f8, 0xcf8, 0x20, 0x1014,
	};
	unsigned i = step + 5 * id;
	uint16_t port = ports[i % (sizeof(ports) / sizeof(ports[0]))];

	if (i % 7 == 0)
		return fakehv_mmio(e, 0xfec00000, i % 2 == 0);
	if (port == 0x64 || i % 3 == 0)
		return fakehv_in(e, port);
	return fakehv_out(e, port, (uint8_t)step);
}

static bool
hammer_first(unsigned step, struct hv_exit *e)
{
	return hammer(0, step, e);
}

/* An MSR that nobody knows, again and again. */
static bool
touch_msr(unsigned id, unsigned step, struct hv_exit *e)
{
	static _Thread_local uint64_t data;
	static _Thread_local uint8_t fault;

	e->kind = HV_EXIT_MSR;
	e->msr.index = id / 2 + step % 40;
	e->msr.write = false;
	e->msr.fault = &fault;
	e->msr.data = &data;
	return true;
}

static bool
other_fails(unsigned id, unsigned step, struct hv_exit *e)
{
	if (id != 5 || step < 3)
		return hammer(id, step, e);
	e->kind = HV_EXIT_ERROR;
	snprintf(e->msg, sizeof(e->msg), "out of ideas");
	return true;
}

static bool
other_resets(unsigned id, unsigned step, struct hv_exit *e)
{
	if (id == 3 && step == 100)
		return fakehv_out(e, 0x64, 0xfe);
	/* Whatever the others do then: they have no say any more. */
	return hammer(id, step, e);
}

static bool
halts_once(unsigned step, struct hv_exit *e)
{
	e->kind = HV_EXIT_HLT;
	return step == 0;
}

static bool
other_halts_once(unsigned id, unsigned step, struct hv_exit *e)
{
	(void)id;
	return halts_once(step, e);
}

static void
make_crew(const struct fakehv *f)
{
	conf.cpus = CPUS;
	make_vm(NULL);
	fakehv_setup(f);
}

static void
start_crew(const struct fakehv *f)
{
	make_crew(f);
	ck_assert_int_eq(vm_start(vm), 0);
	wait_for(VM_RUNNING);
}

static const struct fakehv busy = {
	.guest = hammer_first, .others = hammer, .intr_ready = true,
};

static bool
all_inside(const struct fakehv *f)
{
	return f->inside == CPUS;
}

static bool
some_exits(const struct fakehv *f)
{
	return f->exits > 2000;
}

START_TEST(all_run)
{
	const struct fakehv idle = { .guest = NULL };

	start_crew(&idle);
	wait_until(all_inside);
	ck_assert_uint_eq(fakehv_look().ncpus, CPUS);
	ck_assert_uint_eq(fakehv_look().vcpus, CPUS);
	ck_assert_uint_eq(status().nvcpus, CPUS);
	stop_vm();
	ck_assert_uint_eq(fakehv_look().vcpus, 0);
	ck_assert_uint_eq(fakehv_look().vms, 0);
}
END_TEST

static bool
all_kicked(const struct fakehv *f)
{
	return f->kicks >= CPUS;
}

/* A tick of the clock may ask for it; a look at who is halted kicks one. */
START_TEST(tick_kicks_all)
{
	const struct fakehv idle = { .tick_kicks = true };

	start_crew(&idle);
	wait_until(all_inside);
	wait_until(all_kicked);
	ck_assert_uint_le(fakehv_look().ticks, 2);
	stop_vm();
}
END_TEST

/* The number of the vCPU is in the name of its thread, however long. */
START_TEST(threads_are_named)
{
	const struct fakehv idle = { .guest = NULL };

	conf.cpus = _i == 0 ? 1 : 12;
	if (_i == 2)
		conf.name = "web1";
	make_vm(NULL);
	fakehv_setup(&idle);
	ck_assert_int_eq(vm_start(vm), 0);
	wait_for(VM_RUNNING);
	if (_i == 0)
		ck_assert_str_eq(fakehv_look().thread, "vm a-name-of-/0");
	else if (_i == 1)
		ck_assert_mem_eq(fakehv_look().thread, "vm a-name-of", 12);
	else
		ck_assert_mem_eq(fakehv_look().thread, "vm web1/", 8);
	stop_vm();
}
END_TEST

START_TEST(devices_are_shared)
{
	start_crew(&busy);
	wait_until(some_exits);
	stop_vm();
	ck_assert_int_eq(status().reason, VM_REASON_STOP);
}
END_TEST

START_TEST(msrs_are_shared)
{
	const struct fakehv f = { .others = touch_msr };

	conf.ignore_msrs = true;
	start_crew(&f);
	wait_until(some_exits);
	stop_vm();
}
END_TEST

/* All of them stand still, each time. */
START_TEST(pause_storm)
{
	uint64_t exits;
	unsigned i;

	start_crew(&busy);
	for (i = 0; i < 100; i++) {
		ck_assert_int_eq(vm_pause(vm), 0);
		wait_for(VM_PAUSED);
		ck_assert_uint_eq(fakehv_look().inside, 0);
		exits = fakehv_look().exits;
		if (i % 10 == 0)
			run_for(0.005);
		ck_assert_uint_eq(fakehv_look().exits, exits);
		ck_assert_int_eq(vm_resume(vm), 0);
		if (i % 3 == 0)
			run_for(0.0005 * (i % 4));
	}
	stop_vm();
}
END_TEST

START_TEST(stop_storm)
{
	unsigned i;

	make_crew(&busy);
	for (i = 0; i < 40; i++) {
		ck_assert_int_eq(vm_start(vm), 0);
		if (i % 5 != 0)
			wait_for(VM_RUNNING);
		if (i % 5 > 2)
			ck_assert_int_eq(vm_pause(vm), 0);
		awaited = (enum vm_state)-1;
		if (i % 2 == 0)
			run_for(0.0004 * (i % 8));
		ck_assert_int_eq(vm_stop(vm, i % 4 < 2), 0);
		wait_for(VM_STOPPED);
		ck_assert_int_eq(status().reason, VM_REASON_STOP);
	}
	while (fakehv_look().vms != 0)
		run_for(0.01);
	run_for(0.2);
}
END_TEST

START_TEST(reset_storm)
{
	unsigned i;

	start_crew(&busy);
	for (i = 2; i < 20; i++) {
		if (i % 3 == 0)
			ck_assert_int_eq(vm_pause(vm), 0);
		ck_assert_int_eq(vm_reset(vm), 0);
		wait_for(VM_RUNNING);
		ck_assert_uint_eq(status().boots, i);
		ck_assert_int_eq(status().reason, VM_REASON_RESET);
	}
	stop_vm();
}
END_TEST

/* What one vCPU does wrong ends the guest, and says which it was. */
START_TEST(fault_names_vcpu)
{
	const struct fakehv f = { .guest = hammer_first, .others = other_fails };

	make_crew(&f);
	ck_assert_int_eq(vm_start(vm), 0);
	wait_for(VM_STOPPED);
	ck_assert_int_eq(status().reason, VM_REASON_ERROR);
	ck_assert_ptr_nonnull(strstr(vm_message(vm),
	    "out of ideas; vcpu=5 rip="));
}
END_TEST

/* The vCPU that resets the machine runs no further, so no other reason wins. */
START_TEST(any_vcpu_resets)
{
	const struct fakehv f = { .guest = hammer_first, .others = other_resets };

	conf.on_reboot = ON_END_STOP;
	make_crew(&f);
	ck_assert_int_eq(vm_start(vm), 0);
	wait_for(VM_STOPPED);
	ck_assert_int_eq(status().reason, VM_REASON_RESET);
}
END_TEST

/* What cannot be made is told, and what was made is gone. */
START_TEST(vcpu_fails)
{
	const struct fakehv f = { .fail_vcpu = "no more", .fail_id = 1 + _i };

	make_crew(&f);
	ck_assert_int_eq(vm_start(vm), 0);
	wait_for(VM_STOPPED);
	ck_assert_int_eq(status().reason, VM_REASON_ERROR);
	ck_assert_str_eq(vm_message(vm), "no more");
	ck_assert_uint_eq(fakehv_look().vms, 0);
	ck_assert_uint_eq(fakehv_look().vcpus, 0);
}
END_TEST

static bool
many_checks(const struct fakehv *f)
{
	return f->checks >= 2 * CPUS;
}

static bool
some_check(const struct fakehv *f)
{
	return f->checks > 0;
}

/* All but one halted: that one may wake them, and the guest goes on. */
START_TEST(one_is_awake)
{
	const struct fakehv f = {
		.guest = halts_once, .others = other_halts_once,
		.halted = true, .awake = UINT64_C(1) << _i,
	};

	start_crew(&f);
	run_for(0.3);
	ck_assert_int_eq(status().state, VM_RUNNING);
	wait_until(all_inside);
	/* It has gone to sleep, and a kernel that keeps HLT is asked. */
	fakehv_set_awake(0);
	wait_for(VM_STOPPED);
	ck_assert_int_eq(status().reason, VM_REASON_HALTED);
}
END_TEST

/* The exits alone tell, when the last of them halts. */
START_TEST(all_halt)
{
	const struct fakehv f = {
		.guest = halts_once, .others = other_halts_once,
		.halted = true,
	};

	make_crew(&f);
	ck_assert_int_eq(vm_start(vm), 0);
	wait_for(VM_STOPPED);
	ck_assert_int_eq(status().reason, VM_REASON_HALTED);
}
END_TEST

static bool
halts_always(unsigned id, unsigned step, struct hv_exit *e)
{
	(void)step;
	if (id == 0)
		return false;
	e->kind = HV_EXIT_HLT;
	return true;
}

/* As where NMIs wake one again and again: the loop has better things to do. */
START_TEST(halts_in_vain)
{
	const struct fakehv f = {
		.others = halts_always, .halted = true, .awake = 1,
	};
	uint64_t begin;
	unsigned before, checks;

	start_crew(&f);
	wait_until(some_check);
	begin = loop_now_ns();
	before = fakehv_look().checks;
	run_for(0.3);
	checks = fakehv_look().checks - before;
	ck_assert_uint_gt(checks, 0);
	/* vCPU 0 is asked first, and answers for all. */
	ck_assert_uint_le(checks, (loop_now_ns() - begin) / 10000000 + 2);
	stop_vm();
}
END_TEST

/* vCPU 0 offline and asked every other second; a pause amid that is one. */
START_TEST(check_and_pause)
{
	const struct fakehv f = {
		.halted = true, .awake = UINT64_C(1) << 6,
	};
	unsigned i;

	start_crew(&f);
	for (i = 0; i < 300; i++) {
		ck_assert_int_eq(vm_pause(vm), 0);
		wait_for(VM_PAUSED);
		ck_assert_uint_eq(fakehv_look().inside, 0);
		ck_assert_int_eq(vm_resume(vm), 0);
		run_for(0.01);
		if (i == 150)
			wait_until(many_checks);
	}
	ck_assert_int_eq(status().state, VM_RUNNING);
	stop_vm();
}
END_TEST

/* Each has counters of its own, which the guest's are the sum of. */
START_TEST(each_is_told)
{
	const struct fakehv f = { .guest = hammer_first };
	struct vm_vcpu v;
	uint64_t ports = 0;
	unsigned i;

	start_crew(&f);
	wait_until(some_exits);
	ck_assert_int_eq(vm_pause(vm), 0);
	wait_for(VM_PAUSED);
	for (i = 0; i < CPUS; i++) {
		ck_assert(vm_get_vcpu(vm, i, &v));
		ck_assert(i != 0 || v.stats.kind[HV_EXIT_IO] > 100);
		ck_assert_uint_gt(v.stats.cpu_ns, 0);
		ports += v.stats.kind[HV_EXIT_IO];
	}
	ck_assert_uint_eq(v.stats.kind[HV_EXIT_IO], 0);
	ck_assert_uint_eq(status().stats.kind[HV_EXIT_IO], ports);
	ck_assert_int_eq(vm_resume(vm), 0);
	stop_vm();
	ck_assert(!vm_get_vcpu(vm, 0, &v));
}
END_TEST

static uint64_t	ran_on;		/* vCPUs that found themselves pinned */

/* Says where it is pinned to, once. */
static bool
looks_around(unsigned id, unsigned step, struct hv_exit *e)
{
	cpu_set_t set;

	(void)e;
	if (sched_getaffinity(0, sizeof(set), &set) == 0 &&
	    CPU_COUNT(&set) == 1)
		__atomic_fetch_or(&ran_on, UINT64_C(1) << id,
		    __ATOMIC_SEQ_CST);
	(void)step;
	e->kind = HV_EXIT_NONE;
	usleep(1000);
	return true;
}

static bool
looks_around_first(unsigned step, struct hv_exit *e)
{
	return looks_around(0, step, e);
}

/* The vCPUs that are pinned after a while, as a mask. */
static uint64_t
pinned(void)
{
	awaited = (enum vm_state)-1;
	run_for(0.1);
	__atomic_store_n(&ran_on, 0, __ATOMIC_SEQ_CST);
	run_for(0.2);
	return __atomic_load_n(&ran_on, __ATOMIC_SEQ_CST);
}

/* As configured from the start, changed while it runs, and undone. */
START_TEST(runs_where_it_may)
{
	const struct fakehv f = {
		.guest = looks_around_first, .others = looks_around,
	};
	struct affinity none = { 0 };
	cpu_set_t set;
	unsigned cpu = 0;
	char value[32], why[160];

	sched_getaffinity(0, sizeof(set), &set);
	/* Where there is one CPU everything is pinned to it. */
	if (CPU_COUNT(&set) < 2)
		return;
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	conf.affinity = none;
	snprintf(value, sizeof(value), "2-3:%u", cpu);
	ck_assert_int_eq(affinity_add(&conf.affinity, value, why,
	    sizeof(why)), 0);
	start_crew(&f);
	ck_assert_uint_eq(pinned(), 0x0c);
	snprintf(value, sizeof(value), "all:%u", cpu);
	ck_assert_int_eq(affinity_add(&conf.affinity, value, why,
	    sizeof(why)), 0);
	vm_set_live(vm, &conf);
	ck_assert_uint_eq(pinned(), 0xff);
	conf.affinity = none;
	vm_set_live(vm, &conf);
	ck_assert_uint_eq(pinned(), 0);
	stop_vm();
}
END_TEST

static void
setup_crew(void)
{
	setup();
	conf.name = "a-name-of-some-length";
}

int
main(void)
{
	TCase *tc = tcase_create("crew");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup_crew, teardown);
	tcase_add_test(tc, all_run);
	tcase_add_test(tc, tick_kicks_all);
	tcase_add_loop_test(tc, threads_are_named, 0, 3);
	tcase_add_test(tc, devices_are_shared);
	tcase_add_test(tc, msrs_are_shared);
	tcase_add_test(tc, pause_storm);
	tcase_add_test(tc, stop_storm);
	tcase_add_test(tc, reset_storm);
	tcase_add_test(tc, fault_names_vcpu);
	tcase_add_test(tc, any_vcpu_resets);
	tcase_add_loop_test(tc, vcpu_fails, 0, CPUS - 1);
	tcase_add_loop_test(tc, one_is_awake, 0, 2);
	tcase_add_test(tc, all_halt);
	tcase_add_test(tc, halts_in_vain);
	tcase_add_test(tc, check_and_pause);
	tcase_add_test(tc, each_is_told);
	tcase_add_test(tc, runs_where_it_may);
	return test_main("crew", tc);
}
