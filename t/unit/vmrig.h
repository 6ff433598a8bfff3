/* SPDX-License-Identifier: ISC */
/*
 * A guest with real devices and threads on a hypervisor of the test's own, for
 * the tests of its life.
 */
#ifndef VMMD_VMRIG_H
#define VMMD_VMRIG_H

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "devices/aio.h"
#include "fakehv.h"
#include "testhost.h"
#include "tinykernel.h"
#include "vmm/vm.h"

#define PATIENCE	20.0	/* seconds: a checker is slow */
#define MIB		((uint64_t)1 << 20)

static char		 dir[] = "/tmp/check_vm.XXXXXX";
static char		 kernel[64], image[64];
static struct loop	*loop;
static struct vm_env	 env;
static struct vm_config	 conf;
static struct vm	*vm;
static enum vm_state	 awaited;
static enum vm_state	 seen[32];
static unsigned		 nseen;
static bool		 timed_out;

static inline void
on_event(void *cookie, struct vm *v)
{
	struct vm_status st;

	(void)cookie;
	vm_get_status(v, &st);
	if (nseen < sizeof(seen) / sizeof(seen[0]))
		seen[nseen++] = st.state;
	if (st.state == awaited)
		loop_break(loop);
}

static inline void
give_up(struct ev_loop *ev, ev_timer *t, int revents)
{
	(void)t;
	(void)revents;
	timed_out = true;
	ev_break(ev, EVBREAK_ALL);
}

static inline struct vm_status
status(void)
{
	struct vm_status st;

	vm_get_status(vm, &st);
	return st;
}

/* Runs the loop for `seconds`, or until the event function breaks it. */
static inline void
run_for(double seconds)
{
	ev_timer t;

	timed_out = false;
	ev_timer_init(&t, give_up, seconds, 0.0);
	ev_timer_start(loop_ev(loop), &t);
	loop_run(loop);
	ev_timer_stop(loop_ev(loop), &t);
}

static inline void
wait_for(enum vm_state state)
{
	awaited = state;
	if (status().state != state) {
		run_for(PATIENCE);
		ck_assert_msg(!timed_out, "still %s: %s",
		    vm_state_name(status().state), vm_message(vm));
	}
}

/* Runs the loop until the hypervisor has seen something. */
static inline void
wait_until(bool (*cond)(const struct fakehv *f))
{
	uint64_t end = loop_now_ns() + (uint64_t)(PATIENCE * 1e9);
	struct fakehv f;

	awaited = (enum vm_state)-1;
	do {
		ck_assert_uint_lt(loop_now_ns(), end);
		run_for(0.01);
		f = fakehv_look();
	} while (!cond(&f));
}

static inline void
setup(void)
{
	static const struct fakehv none;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(kernel, sizeof(kernel), "%s/kernel", dir);
	snprintf(image, sizeof(image), "%s/disk", dir);
	ck_assert_int_eq(tiny_kernel_write(kernel), 0);
	log_set_level(LOG_LEVEL_ERROR);
	fakehv_setup(&none);
	loop = loop_create();
	env = (struct vm_env){
		.loop = loop, .hv = &fakehv_ops, .event = on_event,
		.aio = aio_create(loop, "auto"),
	};
	ck_assert_ptr_nonnull(env.aio);
	conf = (struct vm_config){
		.name = "a-name-of-some-length", .kernel = kernel,
		.cmdline = "", .cpus = 1, .memory = 32 * MIB,
	};
	nseen = 0;
}

static inline void
make_vm(bool (*guest)(unsigned, struct hv_exit *))
{
	struct fakehv f = { .guest = guest };

	fakehv_setup(&f);
	vm = vm_create(&env, &conf);
	ck_assert_ptr_nonnull(vm);
}

/* Nothing is left of any guest. */
static inline void
teardown(void)
{
	struct fakehv f = fakehv_look();

	ck_assert_uint_eq(f.vms, 0);
	ck_assert_uint_eq(f.vcpus, 0);
	if (vm != NULL)
		vm_destroy(vm);
	aio_destroy(env.aio);
	loop_destroy(loop);
	unlink(kernel);
	unlink(image);
	rmdir(dir);
}

static inline void
stop_vm(void)
{
	ck_assert_int_eq(vm_stop(vm, false), 0);
	wait_for(VM_STOPPED);
}

static inline bool
guest_shutdown(unsigned step, struct hv_exit *e)
{
	e->kind = HV_EXIT_SHUTDOWN;
	return step == 0;
}

static inline bool
guest_halts(unsigned step, struct hv_exit *e)
{
	e->kind = HV_EXIT_HLT;
	return step == 0;
}

static inline bool
guest_resets(unsigned step, struct hv_exit *e)
{
	return step == 0 && fakehv_out(e, 0x64, 0xfe);
}

static inline bool
guest_powers_off(unsigned step, struct hv_exit *e)
{
	/* The upper byte of PM1 control: SLP_EN and S5. */
	return step == 0 && fakehv_out(e, 0x605, 0x34);
}

static inline bool
guest_error(unsigned step, struct hv_exit *e)
{
	e->kind = HV_EXIT_ERROR;
	snprintf(e->msg, sizeof(e->msg), "out of ideas");
	return step == 0;
}

#endif /* VMMD_VMRIG_H */
