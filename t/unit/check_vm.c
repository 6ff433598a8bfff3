/* SPDX-License-Identifier: ISC */
/*
 * The life of a guest, from start to stopped.  Loop and vCPU are pthreads that a
 * thread checker may watch.
 */
#include <sys/resource.h>

#include <errno.h>

#include "vmm/console.h"
#include "vmrig.h"

START_TEST(starts_and_stops)
{
	static const enum vm_state order[] = {
		VM_STARTING, VM_RUNNING, VM_STOPPING, VM_STOPPED,
	};

	make_vm(NULL);
	ck_assert_int_eq(status().state, VM_STOPPED);
	ck_assert_int_eq(status().reason, VM_REASON_NONE);
	ck_assert_int_eq(vm_start(vm), 0);
	wait_for(VM_RUNNING);
	ck_assert_uint_eq(status().boots, 1);
	ck_assert_uint_eq(status().memory, 32 * MIB);
	ck_assert_uint_eq(fakehv_look().regs.rip, 16 * MIB + 0x200);
	ck_assert_str_eq(fakehv_look().thread, "vm a-name-of-/0");
	stop_vm();
	ck_assert_int_eq(status().reason, VM_REASON_STOP);
	ck_assert_uint_eq(status().uptime_ns, 0);
	ck_assert_str_eq(vm_message(vm), "");
	ck_assert_uint_eq(nseen, 4);
	ck_assert_mem_eq(seen, order, sizeof(order));
}
END_TEST

START_TEST(refuses_what_the_state_forbids)
{
	make_vm(NULL);
	ck_assert_int_eq(vm_stop(vm, false), -ESRCH);
	ck_assert_int_eq(vm_start(vm), 0);
	ck_assert_int_eq(vm_start(vm), -EBUSY);
	ck_assert_int_eq(vm_set_conf(vm, &conf), -EBUSY);
	wait_for(VM_RUNNING);
	ck_assert_int_eq(vm_start(vm), -EBUSY);
	ck_assert_int_eq(vm_stop(vm, false), 0);
	ck_assert_int_eq(vm_start(vm), -EBUSY);
	ck_assert_int_eq(vm_stop(vm, false), 0);
	wait_for(VM_STOPPED);
	ck_assert_int_eq(vm_stop(vm, true), -ESRCH);
	ck_assert_int_eq(vm_set_conf(vm, &conf), 0);
}
END_TEST

static bool
nothing_left(const struct fakehv *f)
{
	return f->vms == 0 && f->vcpus == 0;
}

/* A stop at any moment of a start, of either kind, ends in stopped. */
START_TEST(stop_races_start)
{
	unsigned i;

	make_vm(NULL);
	for (i = 0; i < 60; i++) {
		ck_assert_int_eq(vm_start(vm), 0);
		awaited = (enum vm_state)-1;
		if (i % 6 != 0)
			run_for(0.0003 * (i % 6));
		ck_assert_int_eq(vm_stop(vm, i % 2), 0);
		wait_for(VM_STOPPED);
		ck_assert_int_eq(status().reason, VM_REASON_STOP);
	}
	/* What a forced stop detached goes on its own. */
	wait_until(nothing_left);
	run_for(0.1);
}
END_TEST

static void
start_fails(const char *text)
{
	ck_assert_int_eq(vm_start(vm), 0);
	wait_for(VM_STOPPED);
	ck_assert_int_eq(status().reason, VM_REASON_ERROR);
	ck_assert_msg(strstr(vm_message(vm), text) != NULL,
	    "\"%s\" lacks \"%s\"", vm_message(vm), text);
	ck_assert_uint_eq(status().boots, 0);
}

START_TEST(missing_kernel)
{
	make_vm(NULL);
	unlink(kernel);
	start_fails("kernel /tmp/");
	/* And the next start finds it. */
	ck_assert_int_eq(tiny_kernel_write(kernel), 0);
	ck_assert_int_eq(vm_start(vm), 0);
	ck_assert_str_eq(vm_message(vm), "");
	wait_for(VM_RUNNING);
	stop_vm();
}
END_TEST

START_TEST(missing_disk)
{
	conf.disk[0].path = image;
	conf.ndisks = 1;
	make_vm(NULL);
	start_fails("disk /tmp/");
}
END_TEST

/* Two guests may not have one image. */
START_TEST(locked_disk)
{
	struct vm *first;
	int fd = open(image, O_RDWR | O_CREAT, 0600);

	ck_assert_int_eq(ftruncate(fd, MIB), 0);
	close(fd);
	conf.disk[0].path = image;
	conf.ndisks = 1;
	make_vm(NULL);
	ck_assert_int_eq(vm_start(vm), 0);
	wait_for(VM_RUNNING);
	first = vm;
	vm = vm_create(&env, &conf);
	start_fails("disk /tmp/");
	vm_destroy(vm);
	vm = first;
	ck_assert_int_eq(status().state, VM_RUNNING);
	stop_vm();
}
END_TEST

START_TEST(hypervisor_refuses)
{
	struct fakehv f = { .fail_vm = "no memory here" };

	make_vm(NULL);
	fakehv_setup(&f);
	start_fails("no memory here");
	f = (struct fakehv){ .fail_vcpu = "no vCPU here" };
	fakehv_setup(&f);
	start_fails("no vCPU here");
}
END_TEST

/* No descriptor left for the guest's timer: nothing of it remains. */
START_TEST(no_resources)
{
	struct rlimit old, none;

	make_vm(NULL);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(vm_start(vm), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	ck_assert_int_eq(status().state, VM_STOPPED);
	ck_assert_int_eq(status().reason, VM_REASON_ERROR);
	ck_assert_str_eq(vm_message(vm), "cannot start: Too many open files");
	ck_assert_int_eq(vm_start(vm), 0);
	wait_for(VM_RUNNING);
	stop_vm();
}
END_TEST

/* Where no device is, memory reads ones and takes writes. */
static bool
guest_mmio(unsigned step, struct hv_exit *e)
{
	switch (step) {
	case 0:
		return fakehv_mmio(e, 0xfee00030, true);
	case 1:
		return fakehv_mmio(e, 0xfee00030, false);
	case 2:
		return fakehv_value() == 0xff && fakehv_out(e, 0x64, 0xfe);
	default:
		return false;
	}
}

static uint8_t msr_fault;
static uint64_t msr_value;

static bool
guest_msr(unsigned step, struct hv_exit *e)
{
	if (step > 0)
		return guest_resets(step - 1, e);
	e->kind = HV_EXIT_MSR;
	e->msr.index = 0x1b;
	e->msr.write = false;
	e->msr.fault = &msr_fault;
	e->msr.data = &msr_value;
	return true;
}

/* The guest's own policy counts. */
START_TEST(unknown_msr)
{
	conf.ignore_msrs = _i;
	msr_fault = _i;
	msr_value = 7;
	make_vm(guest_msr);
	ck_assert_int_eq(vm_start(vm), 0);
	wait_for(VM_STOPPED);
	ck_assert_int_eq(status().reason, VM_REASON_RESET);
	ck_assert_uint_eq(status().stats.kind[HV_EXIT_MSR], 1);
	ck_assert_uint_eq(msr_fault, !_i);
	ck_assert_uint_eq(msr_value, _i ? 0 : 7);
}
END_TEST

static const struct {
	bool		(*guest)(unsigned, struct hv_exit *);
	enum vm_reason	 reason;
	enum hv_exit_kind kind;
	const char	*text;
} ends[] = {
	{ guest_mmio, VM_REASON_RESET, HV_EXIT_MMIO, "" },
	{ guest_error, VM_REASON_ERROR, HV_EXIT_ERROR,
	    "out of ideas; vcpu=0 rip=0x1000200" },
	{ guest_shutdown, VM_REASON_SHUTDOWN, HV_EXIT_SHUTDOWN, "cr3=0x3000" },
	{ guest_halts, VM_REASON_HALTED, HV_EXIT_HLT, "" },
	{ guest_resets, VM_REASON_RESET, HV_EXIT_IO, "" },
	{ guest_powers_off, VM_REASON_POWEROFF, HV_EXIT_IO, "" },
};

/* Each way for a guest to end by itself, with its reason and message. */
START_TEST(guest_ends)
{
	make_vm(ends[_i].guest);
	ck_assert_int_eq(vm_start(vm), 0);
	wait_for(VM_STOPPED);
	ck_assert_int_eq(status().reason, ends[_i].reason);
	ck_assert_msg(strstr(vm_message(vm), ends[_i].text) != NULL,
	    "\"%s\" lacks \"%s\"", vm_message(vm), ends[_i].text);
	ck_assert_uint_eq(status().boots, 1);
	ck_assert_uint_ge(status().stats.exits, 1);
	ck_assert_uint_ge(status().stats.kind[ends[_i].kind], 1);
	ck_assert_uint_gt(status().stats.cpu_ns, 0);
}
END_TEST

/* A vCPU asleep in its kernel for good is found out. */
START_TEST(halt_is_noticed)
{
	struct fakehv f = { .halted = true };

	make_vm(NULL);
	fakehv_setup(&f);
	ck_assert_int_eq(vm_start(vm), 0);
	wait_for(VM_STOPPED);
	ck_assert_int_eq(status().reason, VM_REASON_HALTED);
}
END_TEST

static bool
checked_twice(const struct fakehv *f)
{
	return f->checks >= 2;
}

/* One that merely waits is asked, and left alone. */
START_TEST(idle_is_no_halt)
{
	make_vm(NULL);
	ck_assert_int_eq(vm_start(vm), 0);
	wait_for(VM_RUNNING);
	wait_until(checked_twice);
	ck_assert_int_eq(status().state, VM_RUNNING);
	ck_assert_uint_gt(status().uptime_ns, 1000000000);
	stop_vm();
}
END_TEST

/* Waits for `boots` boots; true if they took `seconds` at least. */
static bool
boots_take(unsigned boots, double seconds, enum vm_reason reason)
{
	uint64_t begin = loop_now_ns();

	ck_assert_int_eq(vm_start(vm), 0);
	while (status().boots < boots) {
		awaited = VM_STARTING;
		run_for(PATIENCE);
		ck_assert(!timed_out);
		ck_assert_int_eq(status().reason, reason);
	}
	return (double)(loop_now_ns() - begin) >= seconds * 1e9;
}

/* Boots again, from scratch, a second apart, until it is stopped. */
START_TEST(reset_restarts)
{
	conf.on_reboot = ON_END_RESTART;
	make_vm(guest_resets);
	ck_assert(boots_take(3, 2.0, VM_REASON_RESET));
	ck_assert_uint_gt(status().next_start_ns, 0);
	/* Between two boots; the guest may be there, or gone already. */
	awaited = (enum vm_state)-1;
	run_for(0.2);
	stop_vm();
	ck_assert_int_eq(status().reason, VM_REASON_STOP);
	ck_assert_uint_eq(status().boots, 3);
	ck_assert_uint_eq(status().next_start_ns, 0);
}
END_TEST

static const struct {
	bool		(*guest)(unsigned, struct hv_exit *);
	enum vm_reason	 reason;
} crashes[] = {
	{ guest_shutdown, VM_REASON_SHUTDOWN },
	{ guest_error, VM_REASON_ERROR },
};

/* One that crashes waits ever longer, and a stop takes the next boot back. */
START_TEST(crash_backs_off)
{
	conf.on_crash = ON_END_RESTART;
	make_vm(crashes[_i].guest);
	ck_assert(boots_take(3, 3.0, crashes[_i].reason));
	ck_assert_int_eq(status().state, VM_STARTING);
	ck_assert_uint_gt(status().next_start_ns, 3000000000);
	ck_assert_uint_le(status().next_start_ns, 4000000000);
	ck_assert_str_ne(vm_message(vm), "");
	if (_i == 0) {
		awaited = (enum vm_state)-1;
		run_for(0.2);
	}
	stop_vm();
	ck_assert_uint_eq(status().boots, 3);
	/* Forgotten with the next start. */
	ck_assert_int_eq(vm_start(vm), 0);
	awaited = VM_STARTING;
	run_for(PATIENCE);
	ck_assert_uint_le(status().next_start_ns, 1000000000);
	stop_vm();
}
END_TEST

/* One that cannot even boot any more is tried again, too. */
START_TEST(crash_then_no_kernel)
{
	conf.on_crash = ON_END_RESTART;
	make_vm(guest_shutdown);
	ck_assert_int_eq(vm_start(vm), 0);
	awaited = VM_STARTING;
	run_for(PATIENCE);
	unlink(kernel);
	while (status().reason != VM_REASON_ERROR)
		run_for(0.1);
	ck_assert_int_eq(status().state, VM_STARTING);
	ck_assert_uint_gt(status().next_start_ns, 1000000000);
	ck_assert_int_eq(tiny_kernel_write(kernel), 0);
	wait_for(VM_RUNNING);
	ck_assert_uint_eq(status().boots, 2);
	stop_vm();
}
END_TEST

/* What never ran is not: somebody waits for the answer. */
START_TEST(first_start_is_tried_once)
{
	conf.on_crash = ON_END_RESTART;
	make_vm(NULL);
	unlink(kernel);
	start_fails("kernel /tmp/");
}
END_TEST

START_TEST(halt_does_not_restart)
{
	conf.on_reboot = ON_END_RESTART;
	conf.on_crash = ON_END_RESTART;
	make_vm(guest_halts);
	ck_assert_int_eq(vm_start(vm), 0);
	wait_for(VM_STOPPED);
	ck_assert_int_eq(status().reason, VM_REASON_HALTED);
	ck_assert_uint_eq(status().boots, 1);
}
END_TEST

/* The PIC with all but IRQ 0 masked, vectors at 30h; the PIT in mode 0. */
static const struct {
	uint16_t	port;
	uint8_t		val;
} program_timer[] = {
	{ 0x20, 0x11 }, { 0x21, 0x30 }, { 0x21, 0x04 }, { 0x21, 0x01 },
	{ 0x21, 0xfe }, { 0x43, 0x30 }, { 0x40, 0x00 }, { 0x40, 0x20 },
};

#define TIMER_STEPS	(sizeof(program_timer) / sizeof(program_timer[0]))

static bool
guest_timer(unsigned step, struct hv_exit *e)
{
	if (step < TIMER_STEPS)
		return fakehv_out(e, program_timer[step].port,
		    program_timer[step].val);
	e->kind = HV_EXIT_INTR_WINDOW;
	return fakehv_look().window && fakehv_look().intr_ready;
}

static bool
was_injected(const struct fakehv *f)
{
	return f->injected > 0;
}

static bool
wants_window(const struct fakehv *f)
{
	return f->window;
}

/* A timer's expiry wakes a halted guest with the right vector, once. */
START_TEST(timer_interrupts)
{
	struct fakehv f = { .guest = guest_timer, .intr_ready = true };

	make_vm(NULL);
	fakehv_setup(&f);
	ck_assert_int_eq(vm_start(vm), 0);
	wait_until(was_injected);
	f = fakehv_look();
	ck_assert_uint_eq(f.vector, 0x30);
	ck_assert_uint_eq(f.injected, 1);
	ck_assert(!f.window);
	ck_assert_uint_ge(f.kicks, 1);
	stop_vm();
}
END_TEST

/* Where it cannot be delivered a window is asked for, and used. */
START_TEST(interrupt_waits_for_window)
{
	make_vm(guest_timer);
	ck_assert_int_eq(vm_start(vm), 0);
	wait_until(wants_window);
	ck_assert_uint_eq(fakehv_look().injected, 0);
	fakehv_set_ready(true);
	/* Any kick will do: as a processor would open the window. */
	console_input(vm_console(vm), "x", 1);
	wait_until(was_injected);
	ck_assert_uint_eq(fakehv_look().vector, 0x30);
	ck_assert(!fakehv_look().window);
	stop_vm();
}
END_TEST

/* Echoes the serial line: polls LSR after each kick, reads, writes back. */
static bool
guest_echo(unsigned step, struct hv_exit *e)
{
	static enum { POLL, LOOK, TAKE, SENT } next;

	if (step == 0)
		next = POLL;
	switch (next) {
	case POLL:
		next = LOOK;
		return fakehv_in(e, 0x3fd);
	case LOOK:
		if ((fakehv_value() & 1) != 0) {
			next = TAKE;
			return fakehv_in(e, 0x3f8);
		}
		next = POLL;
		return false;
	case TAKE:
		next = SENT;
		return fakehv_out(e, 0x3f8, fakehv_value());
	case SENT:
		next = POLL;
		return guest_echo(step + 1, e);
	}
	return false;
}

static char	echoed[8];
static size_t	nechoed;

static void
on_output(struct console_viewer *v, const char *p, size_t n, uint64_t missed)
{
	(void)v;
	ck_assert_uint_eq(missed, 0);
	while (n-- > 0 && nechoed < sizeof(echoed))
		echoed[nechoed++] = *p++;
	if (nechoed == 3)
		loop_break(loop);
}

START_TEST(console_echoes)
{
	struct console_viewer v = { .output = on_output };

	make_vm(guest_echo);
	console_attach(vm_console(vm), &v);
	ck_assert_int_eq(vm_start(vm), 0);
	wait_for(VM_RUNNING);
	ck_assert_uint_eq(console_input(vm_console(vm), "abc", 3), 3);
	awaited = (enum vm_state)-1;
	run_for(PATIENCE);
	ck_assert(!timed_out);
	ck_assert_mem_eq(echoed, "abc", 3);
	stop_vm();
	/* The line stays when the guest is gone. */
	ck_assert_uint_eq(console_input(vm_console(vm), "d", 1), 1);
	console_detach(vm_console(vm), &v);
}
END_TEST

/* COM1's pin of the IOAPIC, level-triggered, whose interrupt does not help. */
static bool
guest_level(unsigned step, struct hv_exit *e)
{
	static uint32_t val;

	switch (step) {
	case 0:
	case 1:
		fakehv_mmio(e, step == 0 ? 0xfec00000 : 0xfec00010, true);
		val = step == 0 ? 0x10 + 2 * 4 : 0x8044;
		e->mmio.size = sizeof(val);
		e->mmio.data = &val;
		return true;
	case 2:
		return fakehv_out(e, 0x3fc, 0x08);	/* OUT2 */
	case 3:
		return fakehv_out(e, 0x3f9, 0x02);	/* transmitter empty */
	case 4:
		e->kind = HV_EXIT_EOI;
		e->eoi.vector = 0x44;
		return true;
	}
	return false;
}

static bool
was_sent_twice(const struct fakehv *f)
{
	return f->msis == 2;
}

/* Messages go to the backend, ends come from it. */
START_TEST(level_interrupt)
{
	struct fakehv f;

	make_vm(guest_level);
	ck_assert_int_eq(vm_start(vm), 0);
	wait_until(was_sent_twice);
	f = fakehv_look();
	ck_assert_uint_eq(f.msi.addr, 0xfee00000);
	ck_assert_uint_eq(f.msi.data, 0xc044);
	ck_assert_uint_eq(f.routes, 1);
	stop_vm();
}
END_TEST

/* A string instruction is as many accesses, in order. */
static bool
guest_outs(unsigned step, struct hv_exit *e)
{
	static char text[] = "abc";

	if (step > 0)
		return false;
	fakehv_out(e, 0x3f8, 0);
	e->io.count = 3;
	e->io.data = text;
	return true;
}

START_TEST(string_output)
{
	struct console_viewer v = { .output = on_output };

	nechoed = 0;
	make_vm(guest_outs);
	console_attach(vm_console(vm), &v);
	ck_assert_int_eq(vm_start(vm), 0);
	awaited = (enum vm_state)-1;
	run_for(PATIENCE);
	ck_assert(!timed_out);
	ck_assert_mem_eq(echoed, "abc", 3);
	wait_for(VM_RUNNING);
	stop_vm();
	console_detach(vm_console(vm), &v);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("vm");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, starts_and_stops);
	tcase_add_test(tc, refuses_what_the_state_forbids);
	tcase_add_test(tc, stop_races_start);
	tcase_add_test(tc, missing_kernel);
	tcase_add_test(tc, missing_disk);
	tcase_add_test(tc, locked_disk);
	tcase_add_test(tc, hypervisor_refuses);
	tcase_add_test(tc, no_resources);
	tcase_add_loop_test(tc, guest_ends, 0,
	    sizeof(ends) / sizeof(ends[0]));
	tcase_add_loop_test(tc, unknown_msr, 0, 2);
	tcase_add_test(tc, halt_is_noticed);
	tcase_add_test(tc, idle_is_no_halt);
	tcase_add_test(tc, reset_restarts);
	tcase_add_loop_test(tc, crash_backs_off, 0,
	    sizeof(crashes) / sizeof(crashes[0]));
	tcase_add_test(tc, crash_then_no_kernel);
	tcase_add_test(tc, first_start_is_tried_once);
	tcase_add_test(tc, halt_does_not_restart);
	tcase_add_test(tc, timer_interrupts);
	tcase_add_test(tc, interrupt_waits_for_window);
	tcase_add_test(tc, console_echoes);
	tcase_add_test(tc, level_interrupt);
	tcase_add_test(tc, string_output);
	return test_main("vm", tc);
}
