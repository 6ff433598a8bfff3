/* SPDX-License-Identifier: ISC */
/*
 * See fakehv.h.
 */
#include "fakehv.h"

#include <sys/mman.h>

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/gmem.h"

struct hv_vm {
	struct gmem	gm;
};

struct hv_vcpu {
	unsigned	id;
	bool		kicked;
	unsigned	step;
};

static pthread_mutex_t	mtx = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t	cond = PTHREAD_COND_INITIALIZER;
static struct fakehv	fake;
static bool		bound[HV_MSI_EVENTS];
static _Thread_local uint8_t io_data[8];

struct fakehv
fakehv_look(void)
{
	struct fakehv f;

	pthread_mutex_lock(&mtx);
	f = fake;
	pthread_mutex_unlock(&mtx);
	return f;
}

void
fakehv_setup(const struct fakehv *f)
{
	pthread_mutex_lock(&mtx);
	fake = *f;
	memset(bound, 0, sizeof(bound));
	pthread_mutex_unlock(&mtx);
}

void
fakehv_set_ready(bool ready)
{
	pthread_mutex_lock(&mtx);
	fake.intr_ready = ready;
	pthread_mutex_unlock(&mtx);
}

void
fakehv_set_awake(uint64_t vcpus)
{
	pthread_mutex_lock(&mtx);
	fake.awake = vcpus;
	pthread_mutex_unlock(&mtx);
}

void
fakehv_set_guest(bool (*guest)(unsigned, struct hv_exit *))
{
	pthread_mutex_lock(&mtx);
	fake.guest = guest;
	pthread_mutex_unlock(&mtx);
}

static bool
io_exit(struct hv_exit *e, uint16_t port, bool in)
{
	e->kind = HV_EXIT_IO;
	e->io.port = port;
	e->io.size = 1;
	e->io.in = in;
	e->io.count = 1;
	e->io.data = io_data;
	return true;
}

bool
fakehv_out(struct hv_exit *e, uint16_t port, uint8_t val)
{
	io_data[0] = val;
	return io_exit(e, port, false);
}

bool
fakehv_in(struct hv_exit *e, uint16_t port)
{
	return io_exit(e, port, true);
}

bool
fakehv_mmio(struct hv_exit *e, uint64_t gpa, bool write)
{
	e->kind = HV_EXIT_MMIO;
	e->mmio.gpa = gpa;
	e->mmio.size = 1;
	e->mmio.write = write;
	e->mmio.data = io_data;
	return true;
}

uint8_t
fakehv_value(void)
{
	return io_data[0];
}

static int
fake_probe(char *err, size_t errlen)
{
	(void)err;
	(void)errlen;
	return 0;
}

static int
fake_vm_create(struct hv_vm **vmp, struct gmem *gm, unsigned ncpus, char *err,
    size_t errlen)
{
	struct hv_vm *vm;
	unsigned i;
	int error = 0;

	pthread_mutex_lock(&mtx);
	if (fake.fail_vm != NULL) {
		snprintf(err, errlen, "%s", fake.fail_vm);
		error = -ENOMEM;
	} else {
		fake.vms++;
		fake.ncpus = ncpus;
	}
	pthread_mutex_unlock(&mtx);
	if (error != 0)
		return error;
	vm = calloc(1, sizeof(*vm));
	for (i = 0; i < gm->nranges; i++)
		gm->range[i].hva = mmap(NULL, gm->range[i].size,
		    PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	vm->gm = *gm;
	*vmp = vm;
	return 0;
}

static void
fake_vm_destroy(struct hv_vm *vm)
{
	unsigned i;

	for (i = 0; i < vm->gm.nranges; i++)
		munmap(vm->gm.range[i].hva, vm->gm.range[i].size);
	free(vm);
	pthread_mutex_lock(&mtx);
	fake.vms--;
	pthread_mutex_unlock(&mtx);
}

static int
fake_doorbell(struct hv_vm *vm, uint16_t port, uint8_t size, int fd, bool on)
{
	(void)vm;
	(void)port;
	(void)size;
	(void)fd;
	pthread_mutex_lock(&mtx);
	fake.doorbells += on ? 1u : -1u;
	pthread_mutex_unlock(&mtx);
	return 0;
}

static int
fake_msi(struct hv_vm *vm, const struct hv_msi *msg)
{
	(void)vm;
	if (!hv_msi_valid(msg))
		return -EINVAL;
	pthread_mutex_lock(&mtx);
	fake.msis++;
	fake.msi = *msg;
	pthread_mutex_unlock(&mtx);
	return 0;
}

static int
fake_msi_event(struct hv_vm *vm, unsigned slot, int fd,
    const struct hv_msi *msg)
{
	(void)vm;
	(void)fd;
	if (slot >= HV_MSI_EVENTS || (msg != NULL && !hv_msi_valid(msg)))
		return -EINVAL;
	pthread_mutex_lock(&mtx);
	if (bound[slot] != (msg != NULL))
		fake.msi_events += msg != NULL ? 1u : -1u;
	bound[slot] = msg != NULL;
	if (msg != NULL)
		fake.msi = *msg;
	pthread_mutex_unlock(&mtx);
	return 0;
}

static int
fake_ioapic_route(struct hv_vm *vm, unsigned pin, const struct hv_msi *msg)
{
	(void)vm;
	(void)msg;
	if (pin >= HV_IOAPIC_PINS)
		return -EINVAL;
	pthread_mutex_lock(&mtx);
	fake.routes++;
	pthread_mutex_unlock(&mtx);
	return 0;
}

static int
fake_vcpu_create(struct hv_vcpu **vp, struct hv_vm *vm, unsigned id,
    char *err, size_t errlen)
{
	int error = 0;

	(void)vm;
	pthread_mutex_lock(&mtx);
	if (fake.fail_vcpu != NULL && fake.fail_id == id) {
		snprintf(err, errlen, "%s", fake.fail_vcpu);
		error = -EINVAL;
	} else {
		fake.vcpus++;
		pthread_getname_np(pthread_self(), fake.thread,
		    sizeof(fake.thread));
	}
	pthread_mutex_unlock(&mtx);
	if (error != 0)
		return error;
	*vp = calloc(1, sizeof(**vp));
	(*vp)->id = id;
	return 0;
}

static void
fake_vcpu_destroy(struct hv_vcpu *v)
{
	free(v);
	pthread_mutex_lock(&mtx);
	fake.vcpus--;
	pthread_mutex_unlock(&mtx);
}

static int
fake_get_regs(struct hv_vcpu *v, struct hv_regs *regs)
{
	(void)v;
	pthread_mutex_lock(&mtx);
	*regs = fake.regs;
	pthread_mutex_unlock(&mtx);
	return 0;
}

static int
fake_set_regs(struct hv_vcpu *v, const struct hv_regs *regs)
{
	(void)v;
	pthread_mutex_lock(&mtx);
	fake.regs = *regs;
	pthread_mutex_unlock(&mtx);
	return 0;
}

/* What the vCPU does next: false if it halts. */
static bool
step(struct hv_vcpu *v, const struct fakehv *f, struct hv_exit *e)
{
	if (v->id != 0)
		return f->others != NULL && f->others(v->id, v->step++, e);
	return f->guest != NULL && f->guest(v->step++, e);
}

static void
fake_run(struct hv_vcpu *v, struct hv_exit *e)
{
	struct fakehv f;
	bool kicked;

	pthread_mutex_lock(&mtx);
	fake.exits++;
	fake.inside++;
	f = fake;
	kicked = v->kicked;
	v->kicked = false;
	pthread_mutex_unlock(&mtx);
	e->kind = HV_EXIT_NONE;
	if (!kicked && !step(v, &f, e)) {
		pthread_mutex_lock(&mtx);
		while (!v->kicked)
			pthread_cond_wait(&cond, &mtx);
		v->kicked = false;
		pthread_mutex_unlock(&mtx);
	}
	pthread_mutex_lock(&mtx);
	fake.inside--;
	pthread_mutex_unlock(&mtx);
}

static bool
fake_intr_ready(struct hv_vcpu *v)
{
	bool ready;

	assert(v->id == 0);
	pthread_mutex_lock(&mtx);
	ready = fake.intr_ready;
	pthread_mutex_unlock(&mtx);
	return ready;
}

static int
fake_inject(struct hv_vcpu *v, uint8_t vector)
{
	assert(v->id == 0);
	pthread_mutex_lock(&mtx);
	fake.injected++;
	fake.vector = vector;
	pthread_mutex_unlock(&mtx);
	return 0;
}

static void
fake_intr_window(struct hv_vcpu *v, bool want)
{
	assert(v->id == 0);
	pthread_mutex_lock(&mtx);
	fake.window = want;
	pthread_mutex_unlock(&mtx);
}

static void
fake_kick(struct hv_vcpu *v)
{
	pthread_mutex_lock(&mtx);
	fake.kicks++;
	v->kicked = true;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&mtx);
}

static bool
fake_is_halted(struct hv_vcpu *v)
{
	bool halted;

	pthread_mutex_lock(&mtx);
	fake.checks++;
	halted = fake.halted && (fake.awake >> v->id & 1) == 0;
	pthread_mutex_unlock(&mtx);
	return halted;
}

static void
fake_resumed(struct hv_vcpu *v)
{
	(void)v;
	pthread_mutex_lock(&mtx);
	fake.resumed++;
	pthread_mutex_unlock(&mtx);
}

static bool
fake_tick(struct hv_vm *vm)
{
	bool kick;

	(void)vm;
	pthread_mutex_lock(&mtx);
	assert(fake.vms > 0);
	fake.ticks++;
	kick = fake.tick_kicks;
	pthread_mutex_unlock(&mtx);
	return kick;
}

static void
fake_stats(struct hv_vcpu *v, struct hv_stats *st)
{
	(void)v;
	pthread_mutex_lock(&mtx);
	st->exits = fake.exits;
	st->guest_ns = 0;
	pthread_mutex_unlock(&mtx);
}

const struct hv_ops fakehv_ops = {
	.name = "fake",
	.keeps_hlt = true,
	.probe = fake_probe,
	.vm_create = fake_vm_create,
	.vm_destroy = fake_vm_destroy,
	.tick = fake_tick,
	.doorbell = fake_doorbell,
	.msi = fake_msi,
	.msi_event = fake_msi_event,
	.ioapic_route = fake_ioapic_route,
	.vcpu_create = fake_vcpu_create,
	.vcpu_destroy = fake_vcpu_destroy,
	.get_regs = fake_get_regs,
	.set_regs = fake_set_regs,
	.run = fake_run,
	.intr_ready = fake_intr_ready,
	.inject = fake_inject,
	.intr_window = fake_intr_window,
	.kick = fake_kick,
	.is_halted = fake_is_halted,
	.resumed = fake_resumed,
	.stats = fake_stats,
};
