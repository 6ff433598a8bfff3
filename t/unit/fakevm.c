/* SPDX-License-Identifier: ISC */
/*
 * The guest without a machine: see fakevm.h.
 */
#include "fakevm.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "vmm/console.h"
#include "vmm/nic.h"

struct vm {
	const struct vm_env	*env;
	struct vm_config	*conf;
	struct console		*console;
	struct loop_task	 task;
	enum vm_state		 state;
	enum vm_reason		 reason;
	char			 msg[64];
	unsigned		 boots;
};

static void
set_state(struct vm *vm, enum vm_state state)
{
	vm->state = state;
	vm->env->event(vm->env->cookie, vm);
}

static bool
behaves(const struct vm *vm, const char *how)
{
	return strcmp(vm->conf->kernel, how) == 0;
}

static void
next_state(void *arg)
{
	struct vm *vm = arg;

	if (vm->state == VM_STARTING && behaves(vm, "/fail"))
		fake_vm_ends(vm, VM_REASON_ERROR, "kernel /fail: \"no\" file");
	else if (vm->state == VM_STARTING && !behaves(vm, "/slow"))
		fake_vm_runs(vm);
	else if (vm->state == VM_STOPPING)
		fake_vm_ends(vm, VM_REASON_STOP, "");
}

void
fake_vm_runs(struct vm *vm)
{
	vm->boots++;
	set_state(vm, VM_RUNNING);
}

void
fake_vm_ends(struct vm *vm, enum vm_reason reason, const char *msg)
{
	loop_cancel(vm->env->loop, &vm->task);
	vm->reason = reason;
	snprintf(vm->msg, sizeof(vm->msg), "%s", msg);
	set_state(vm, VM_STOPPED);
}

struct vm *
vm_create(const struct vm_env *env, const struct vm_config *conf)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	vm->env = env;
	vm->conf = vm_config_dup(conf);
	vm->console = console_create(env->loop);
	vm->task.fn = next_state;
	vm->task.arg = vm;
	return vm;
}

void
vm_destroy(struct vm *vm)
{
	assert(vm->state == VM_STOPPED);
	loop_cancel(vm->env->loop, &vm->task);
	console_destroy(vm->console);
	vm_config_free(vm->conf);
	free(vm);
}

int
vm_start(struct vm *vm)
{
	if (vm->state != VM_STOPPED)
		return -EBUSY;
	vm->reason = VM_REASON_NONE;
	vm->msg[0] = '\0';
	loop_post(vm->env->loop, &vm->task);
	set_state(vm, VM_STARTING);
	return 0;
}

int
vm_stop(struct vm *vm, bool force)
{
	if (vm->state == VM_STOPPED)
		return -ESRCH;
	if (force || !behaves(vm, "/stuck"))
		loop_post(vm->env->loop, &vm->task);
	if (vm->state != VM_STOPPING)
		set_state(vm, VM_STOPPING);
	return 0;
}

void
vm_stop_asking(struct vm *vm)
{
	(void)vm;
}

int
vm_pause(struct vm *vm)
{
	if (vm->state != VM_RUNNING)
		return -ESRCH;
	set_state(vm, VM_PAUSED);
	return 0;
}

int
vm_resume(struct vm *vm)
{
	if (vm->state != VM_PAUSED)
		return -ESRCH;
	set_state(vm, VM_RUNNING);
	return 0;
}

int
vm_reset(struct vm *vm)
{
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return -ESRCH;
	vm->reason = VM_REASON_RESET;
	loop_post(vm->env->loop, &vm->task);
	set_state(vm, VM_STARTING);
	return 0;
}

const struct vm_config *
vm_conf(const struct vm *vm)
{
	return vm->conf;
}

int
vm_set_conf(struct vm *vm, const struct vm_config *conf)
{
	if (vm->state != VM_STOPPED)
		return -EBUSY;
	vm_config_free(vm->conf);
	vm->conf = vm_config_dup(conf);
	return 0;
}

void
vm_set_live(struct vm *vm, const struct vm_config *conf)
{
	vm_config_set_live(vm->conf, conf);
}

void
vm_get_status(const struct vm *vm, struct vm_status *st)
{
	*st = (struct vm_status){
		.state = vm->state,
		.reason = vm->reason,
		.memory = vm->conf->memory,
		.uptime_ns = vm->state == VM_RUNNING ? 12345678900 : 0,
		.stats = { .exits = 7, .kind[HV_EXIT_IO] = 4 },
		.nvcpus = (unsigned)vm->conf->cpus,
		.boots = vm->boots,
	};
}

bool
vm_get_vcpu(const struct vm *vm, unsigned id, struct vm_vcpu *st)
{
	*st = (struct vm_vcpu){
		.stats = { .exits = 3 + id, .kind[HV_EXIT_IO] = 2,
		    .cpu_ns = 1500000000 },
		.steal_ns = 20000000,
	};
	return vm->state == VM_RUNNING;
}

bool
vm_get_nic(const struct vm *vm, unsigned i, struct nic_status *st)
{
	*st = (struct nic_status){
		.sw = "lan", .tap = "vmmd-a.0", .ip = 0xc0000207,
		.prefix = 24, .mac = { 0x0e, 1, 2, 3, 4, 5 }, .up = true,
		.in = { .packets = 11, .bytes = 1100, .lost = 1 },
		.out = { .packets = 22, .bytes = 2200, .waits = 2 },
	};
	return vm->state == VM_RUNNING && i < vm->conf->nics.n;
}

void
vm_update_nics(struct vm *vm)
{
	(void)vm;
}

const char *
vm_message(const struct vm *vm)
{
	return vm->msg;
}

struct console *
vm_console(struct vm *vm)
{
	return vm->console;
}

const char *
vm_state_name(enum vm_state s)
{
	static const char *const names[] = {
		"stopped", "starting", "running", "paused", "stopping",
	};

	return names[s];
}

const char *
vm_reason_name(enum vm_reason r)
{
	static const char *const names[] = {
		"-", "stop", "reset", "triple-fault", "halted", "poweroff",
		"error",
	};

	return names[r];
}
