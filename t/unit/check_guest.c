/* SPDX-License-Identifier: ISC */
/*
 * How a guest ends while its disks are busy: a machine of the test's own
 * stands in for src/vmm/machine.c, so that a call to the loop and the end of
 * the last request come when the test says so.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "devices/disk.h"
#include "fakehv.h"
#include "testhost.h"
#include "tinykernel.h"
#include "vmm/machine.h"
#include "vmm/vm.h"

#define PATIENCE	20.0
#define MIB		((uint64_t)1 << 20)
#define STOP_TIMEOUT	UINT64_C(400000000)

/* The guest's writes to these ports. */
#define PORT_CALL	0x10	/* the device calls the loop */
#define PORT_CALLED	0x11	/* what comes after */

static char		 kernel[] = "/tmp/check_guest.XXXXXX";
static struct loop	*loop;
static struct vm_env	 env;
static struct vm	*vm;
static enum vm_state	 awaited;

struct machine {
	struct machine_conf	 mc;
	void			(*stop_done)(void *);
	void			*stop_arg;
};

/* l: only the loop; the rest under mtx. */
static pthread_mutex_t	 mtx = PTHREAD_MUTEX_INITIALIZER;
static struct dev_call	*calling;	/* l: what waits for its answer */
static bool		 answer;	/* l: at once */
static bool		 quiet;		/* l: no request in flight */
static bool		 listens;	/* l: to Ctrl-Alt-Del */
static unsigned		 asked;		/* l: by it */
static bool		 has_acpi;	/* l: and listens to its button */
static unsigned		 pressed;	/* l: that */
static struct machine	*vm_machine;	/* the last made */
static struct machine	*stopping;	/* l: waits for quiet */
static unsigned		 machines;	/* alive */
static unsigned		 returned;	/* calls */

static void
call_on_loop(void *arg)
{
	struct dev_call *c = arg;

	calling = c;
	if (answer) {
		calling = NULL;
		dev_call_done(c);
	}
}

static void
count(unsigned *n, int by)
{
	pthread_mutex_lock(&mtx);
	*n += (unsigned)by;
	pthread_mutex_unlock(&mtx);
}

static unsigned
look(const unsigned *n)
{
	unsigned val;

	pthread_mutex_lock(&mtx);
	val = *n;
	pthread_mutex_unlock(&mtx);
	return val;
}

int
machine_create(struct machine **mp, const struct machine_conf *mc, char *err,
    size_t errlen)
{
	(void)err;
	(void)errlen;
	*mp = calloc(1, sizeof(**mp));
	(*mp)->mc = *mc;
	vm_machine = *mp;
	count(&machines, 1);
	return 0;
}

void
machine_destroy(struct machine *m)
{
	free(m);
	count(&machines, -1);
}

void
machine_io(struct machine *m, unsigned cpu, struct hv_exit *e)
{
	struct dev_call c;

	(void)cpu;
	if (e->io.port == PORT_CALLED) {
		count(&returned, 1);
		return;
	}
	memset(&c, 0, sizeof(c));
	c.task.fn = call_on_loop;
	c.task.arg = &c;
	m->mc.call(m->mc.cookie, &c);
}

void
machine_mmio(struct machine *m, unsigned cpu, struct hv_exit *e)
{
	(void)m;
	(void)cpu;
	(void)e;
}

void
machine_eoi(struct machine *m, uint8_t vector)
{
	(void)m;
	(void)vector;
}

uint64_t
machine_fold(struct machine *m)
{
	(void)m;
	return DEV_NO_DEADLINE;
}

bool
machine_intr(const struct machine *m)
{
	(void)m;
	return false;
}

uint8_t
machine_intr_ack(struct machine *m)
{
	(void)m;
	return 0;
}

int
machine_tables(struct machine *m, char *err, size_t errlen)
{
	(void)m;
	(void)err;
	(void)errlen;
	return 0;
}

/* The guest may have no ear for either. */
bool
machine_power_button(struct machine *m)
{
	(void)m;
	pressed++;
	return has_acpi;
}

bool
machine_ctrl_alt_del(struct machine *m)
{
	(void)m;
	asked++;
	return listens;
}

void
machine_plug(struct machine *m)
{
	(void)m;
}

void
machine_set_disk(struct machine *m, unsigned disk,
    const struct virtio_blk_policy *policy)
{
	(void)m;
	(void)disk;
	(void)policy;
}

void
machine_retry(struct machine *m)
{
	(void)m;
}

void
machine_set_mtu(struct machine *m, unsigned nic, uint16_t mtu)
{
	(void)m;
	(void)nic;
	(void)mtu;
}

void
machine_stop(struct machine *m, void (*done)(void *), void *arg)
{
	if (quiet) {
		done(arg);
		return;
	}
	m->stop_done = done;
	m->stop_arg = arg;
	stopping = m;
}

static void
on_event(void *cookie, struct vm *v)
{
	struct vm_status st;

	(void)cookie;
	vm_get_status(v, &st);
	if (st.state == awaited)
		loop_break(loop);
}

static void
give_up(struct ev_loop *ev, ev_timer *t, int revents)
{
	(void)t;
	(void)revents;
	ev_break(ev, EVBREAK_ALL);
}

static void
run_for(double seconds)
{
	ev_timer t;

	ev_timer_init(&t, give_up, seconds, 0.0);
	ev_timer_start(loop_ev(loop), &t);
	loop_run(loop);
	ev_timer_stop(loop_ev(loop), &t);
}

static enum vm_state
state(void)
{
	struct vm_status st;

	vm_get_status(vm, &st);
	return st.state;
}

static enum vm_reason
reason(void)
{
	struct vm_status st;

	vm_get_status(vm, &st);
	return st.reason;
}

static void
wait_for(enum vm_state s)
{
	awaited = s;
	if (state() != s)
		run_for(PATIENCE);
	ck_assert_int_eq(state(), s);
	awaited = (enum vm_state)-1;
}

/* Calls the loop, then says that it returned, then halts. */
static bool
guest_calls(unsigned step, struct hv_exit *e)
{
	switch (step) {
	case 0:
		return fakehv_out(e, PORT_CALL, 0);
	case 1:
		return fakehv_out(e, PORT_CALLED, 0);
	default:
		return false;
	}
}

static void
setup(void)
{
	struct vm_config conf = {
		.name = "test", .kernel = kernel, .cmdline = "",
		.cpus = 1, .memory = 32 * MIB, .stop_timeout = STOP_TIMEOUT,
		.on_reboot = ON_END_RESTART,
	};
	struct fakehv f = { .guest = guest_calls };

	close(mkstemp(kernel));
	ck_assert_int_eq(tiny_kernel_write(kernel), 0);
	log_set_level(LOG_LEVEL_ERROR);
	fakehv_setup(&f);
	loop = loop_create();
	env = (struct vm_env){
		.loop = loop, .hv = &fakehv_ops, .event = on_event,
	};
	vm = vm_create(&env, &conf);
	quiet = true;
	answer = true;
	awaited = (enum vm_state)-1;
}

static void
teardown(void)
{
	if (vm != NULL)
		vm_destroy(vm);
	/* The last steps of a detached guest have no event. */
	run_for(0.1);
	ck_assert_uint_eq(look(&machines), 0);
	ck_assert_uint_eq(fakehv_look().vms, 0);
	loop_destroy(loop);
	unlink(kernel);
}

/* Turns the loop until something holds; a loaded host is slow. */
#define until(cond) do {						\
	uint64_t end_ = loop_now_ns() + (uint64_t)(PATIENCE * 1e9);	\
									\
	while (!(cond)) {						\
		ck_assert_uint_lt(loop_now_ns(), end_);			\
		run_for(0.005);						\
	}								\
} while (0)

/* Until the guest is in its call, or past it if that is answered. */
static void
start(void)
{
	unsigned before = look(&returned);

	calling = NULL;
	ck_assert_int_eq(vm_start(vm), 0);
	wait_for(VM_RUNNING);
	if (answer)
		until(look(&returned) == before + 1);
	else
		until(calling != NULL);
}

/* The last of a machine's requests is complete. */
static void
complete(void)
{
	struct machine *m = stopping;

	ck_assert_ptr_nonnull(m);
	stopping = NULL;
	m->stop_done(m->stop_arg);
}

START_TEST(call_returns)
{
	start();
	ck_assert_uint_eq(look(&returned), 1);
	vm_stop(vm, false);
	wait_for(VM_STOPPED);
}
END_TEST

/* A clock is steered while the guest runs, and no longer. */
START_TEST(clock_ticks)
{
	unsigned ticks = fakehv_look().ticks;

	start();
	until(fakehv_look().ticks == ticks + 2);
	vm_stop(vm, false);
	wait_for(VM_STOPPED);
	ticks = fakehv_look().ticks;
	run_for(1.2);
	ck_assert_uint_eq(fakehv_look().ticks, ticks);
}
END_TEST

/* The thread waits as long as the answer takes, and only then goes on. */
START_TEST(call_waits)
{
	answer = false;
	start();
	ck_assert_ptr_nonnull(calling);
	ck_assert_uint_eq(look(&returned), 0);
	dev_call_done(calling);
	until(look(&returned) == 1);
	vm_stop(vm, false);
	wait_for(VM_STOPPED);
}
END_TEST

/* A stop keeps memory and devices until the last request is complete. */
START_TEST(stop_waits_for_requests)
{
	quiet = false;
	start();
	vm_stop(vm, false);
	until(stopping != NULL);
	run_for(0.1);
	ck_assert_int_eq(state(), VM_STOPPING);
	ck_assert_uint_eq(look(&machines), 1);
	ck_assert_uint_eq(fakehv_look().vms, 1);
	complete();
	wait_for(VM_STOPPED);
}
END_TEST

/* A forced one is stopped before that, but frees nothing either. */
START_TEST(force_leaves_memory)
{
	quiet = false;
	start();
	vm_stop(vm, true);
	wait_for(VM_STOPPED);
	until(stopping != NULL);
	run_for(0.05);
	ck_assert_uint_eq(fakehv_look().vms, 1);
	complete();
	until(fakehv_look().vms == 0);
}
END_TEST

/* Force can come second, when a stop turns out to take long. */
START_TEST(force_after_stop)
{
	quiet = false;
	start();
	vm_stop(vm, false);
	until(stopping != NULL);
	ck_assert_int_eq(state(), VM_STOPPING);
	vm_stop(vm, true);
	ck_assert_int_eq(state(), VM_STOPPED);
	complete();
	until(fakehv_look().vms == 0);
}
END_TEST

/* What force detached outlives even the vm, and a guest started anew. */
START_TEST(detached_outlives_vm)
{
	struct machine *first;

	quiet = false;
	start();
	vm_stop(vm, true);
	wait_for(VM_STOPPED);
	until(stopping != NULL);
	first = stopping;
	quiet = true;
	start();
	ck_assert_uint_eq(fakehv_look().vms, 2);
	vm_stop(vm, false);
	wait_for(VM_STOPPED);
	vm_destroy(vm);
	vm = NULL;
	ck_assert_uint_eq(fakehv_look().vms, 1);
	first->stop_done(first->stop_arg);
	until(fakehv_look().vms == 0);
}
END_TEST

/* A stop completes when the device answers the call that the thread is in. */
START_TEST(stop_during_call)
{
	answer = false;
	start();
	vm_stop(vm, false);
	run_for(0.1);
	ck_assert_int_eq(state(), VM_STOPPING);
	ck_assert_ptr_null(stopping);
	dev_call_done(calling);
	wait_for(VM_STOPPED);
	/* The guest ran no further. */
	ck_assert_uint_eq(look(&returned), 0);
}
END_TEST

/* Force does not wait for it, and the thread is not pulled from under it. */
START_TEST(force_during_call)
{
	answer = false;
	quiet = false;
	start();
	vm_stop(vm, true);
	wait_for(VM_STOPPED);
	ck_assert_uint_eq(fakehv_look().vcpus, 1);
	ck_assert_ptr_null(stopping);
	dev_call_done(calling);
	until(stopping != NULL);
	complete();
	until(fakehv_look().vms == 0);
	ck_assert_uint_eq(look(&returned), 0);
}
END_TEST

/* Once the call is answered the guest may run: force waits until it does not. */
START_TEST(force_after_answer)
{
	answer = false;
	quiet = false;
	start();
	dev_call_done(calling);
	vm_stop(vm, true);
	wait_for(VM_STOPPED);
	ck_assert_ptr_nonnull(stopping);
	complete();
	until(fakehv_look().vms == 0);
}
END_TEST

/* The same, with force coming second. */
START_TEST(force_after_stop_during_call)
{
	answer = false;
	start();
	vm_stop(vm, false);
	run_for(0.05);
	ck_assert_int_eq(state(), VM_STOPPING);
	vm_stop(vm, true);
	wait_for(VM_STOPPED);
	dev_call_done(calling);
	until(fakehv_look().vms == 0);
}
END_TEST

/* A call that begins when a stop was already asked for. */
static bool
guest_calls_forever(unsigned step, struct hv_exit *e)
{
	(void)step;
	return fakehv_out(e, PORT_CALL, 0);
}

START_TEST(stop_between_calls)
{
	struct fakehv f = { .guest = guest_calls_forever };
	unsigned i;

	fakehv_setup(&f);
	for (i = 0; i < 40; i++) {
		ck_assert_int_eq(vm_start(vm), 0);
		wait_for(VM_RUNNING);
		run_for(0.0005 * (i % 8));
		vm_stop(vm, i % 2);
		wait_for(VM_STOPPED);
	}
	until(fakehv_look().vms == 0);
}
END_TEST

/* Asked, a guest has its time; what it does then is a stop. */
START_TEST(asked_guest_resets)
{
	listens = true;
	start();
	vm_stop(vm, false);
	ck_assert_int_eq(state(), VM_STOPPING);
	ck_assert_uint_eq(asked, 1);
	/* Once is enough. */
	vm_stop(vm, false);
	run_for(0.1);
	ck_assert_uint_eq(asked, 1);
	ck_assert_int_eq(state(), VM_STOPPING);
	ck_assert_uint_eq(fakehv_look().vcpus, 1);
	vm_machine->mc.reset(vm_machine->mc.cookie);
	wait_for(VM_STOPPED);
	ck_assert_int_eq(reason(), VM_REASON_STOP);
	run_for(0.05);
	ck_assert_int_eq(state(), VM_STOPPED);
}
END_TEST

/* The button is the first to be tried, and enough where it is heard. */
START_TEST(asked_by_button)
{
	listens = true;
	has_acpi = _i == 0;
	start();
	vm_stop(vm, false);
	ck_assert_int_eq(state(), VM_STOPPING);
	ck_assert_uint_eq(pressed, 1);
	ck_assert_uint_eq(asked, !has_acpi);
	vm_machine->mc.poweroff(vm_machine->mc.cookie);
	wait_for(VM_STOPPED);
	ck_assert_int_eq(reason(), VM_REASON_STOP);
}
END_TEST

/* Nobody asked, and it does not boot again whatever its configuration. */
START_TEST(powers_itself_off)
{
	start();
	vm_machine->mc.poweroff(vm_machine->mc.cookie);
	wait_for(VM_STOPPED);
	ck_assert_int_eq(reason(), VM_REASON_POWEROFF);
	run_for(0.05);
	ck_assert_int_eq(state(), VM_STOPPED);
}
END_TEST

/* The ways to end one that does nothing: time, impatience, force. */
START_TEST(asked_guest_ignores)
{
	uint64_t begin;

	listens = true;
	start();
	begin = loop_now_ns();
	vm_stop(vm, false);
	if (_i == 1)
		vm_stop_asking(vm);
	else if (_i == 2)
		vm_stop(vm, true);
	wait_for(VM_STOPPED);
	ck_assert_int_eq(reason(), VM_REASON_STOP);
	ck_assert(_i != 0 || loop_now_ns() - begin >= STOP_TIMEOUT);
	/* No timer of the last stop ends the next guest. */
	until(fakehv_look().vms == 0);
	start();
	run_for(STOP_TIMEOUT / 1e9 + 0.1);
	ck_assert_int_eq(state(), VM_RUNNING);
	listens = false;
	vm_stop(vm, false);
	wait_for(VM_STOPPED);
}
END_TEST

/* One that is paused, or about to be, must go on to do anything. */
START_TEST(asked_while_paused)
{
	listens = true;
	start();
	vm_pause(vm);
	if (_i == 0)
		wait_for(VM_PAUSED);
	vm_stop(vm, false);
	run_for(0.05);
	ck_assert_int_eq(state(), VM_STOPPING);
	vm_machine->mc.reset(vm_machine->mc.cookie);
	wait_for(VM_STOPPED);
	ck_assert_uint_eq(asked, 1);
}
END_TEST

/* A pause is answered when the call is, not before. */
START_TEST(pause_during_call)
{
	answer = false;
	start();
	vm_pause(vm);
	run_for(0.05);
	ck_assert_int_eq(state(), VM_RUNNING);
	dev_call_done(calling);
	wait_for(VM_PAUSED);
	ck_assert_uint_eq(look(&returned), 0);
	vm_resume(vm);
	until(look(&returned) == 1);
	vm_stop(vm, false);
	wait_for(VM_STOPPED);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("guest");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, call_returns);
	tcase_add_test(tc, clock_ticks);
	tcase_add_test(tc, call_waits);
	tcase_add_test(tc, stop_waits_for_requests);
	tcase_add_test(tc, force_leaves_memory);
	tcase_add_test(tc, force_after_stop);
	tcase_add_test(tc, detached_outlives_vm);
	tcase_add_test(tc, stop_during_call);
	tcase_add_test(tc, force_during_call);
	tcase_add_test(tc, force_after_answer);
	tcase_add_test(tc, force_after_stop_during_call);
	tcase_add_test(tc, stop_between_calls);
	tcase_add_test(tc, asked_guest_resets);
	tcase_add_loop_test(tc, asked_by_button, 0, 2);
	tcase_add_test(tc, powers_itself_off);
	tcase_add_loop_test(tc, asked_guest_ignores, 0, 3);
	tcase_add_loop_test(tc, asked_while_paused, 0, 2);
	tcase_add_test(tc, pause_during_call);
	return test_main("guest", tc);
}
