/* SPDX-License-Identifier: ISC */
/*
 * Backend `vmm`: our own driver, /dev/vmm; see vmm(4) and vmm_uapi.h.
 *
 * A kick signals an eventfd that the driver has bound to the vCPU: it ends the
 * run, or the next, and the driver keeps it until a run has returned because
 * of it.  So no kick is lost, wherever the thread is.
 *
 * String I/O and accesses where no RAM is are performed here, by insn.c, which
 * may take several exits; until it is through the guest is not entered, and
 * takes no interrupt.  So are accesses to unknown MSRs, in one exit.
 *
 * One thread per vCPU; the eventfd is all that others touch.
 */
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <assert.h>
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/gmem.h"
#include "kernel/vmm_uapi.h"
#include "vmm/hv.h"
#include "vmm/hv_backend.h"
#include "vmm/hv_vmm.h"
#include "vmm/insn.h"
#include "vmm/x86.h"

#define DEV_VMM		"/dev/vmm"

struct hv_vm {
	int		 dev;
	int		 fd;
	uint32_t	 tsc_khz;
	size_t		 run_size;
	struct gmem	 gm;		/* ours to unmap */
};

/* An access to an unknown MSR, while performing. */
enum msr_step {
	MSR_NONE,		/* it is no such access */
	MSR_ASK,		/* the daemon is to be asked */
	MSR_ANSWERED,
};

struct hv_vcpu {
	struct vmm_run	*run;		/* shared with the driver */
	size_t		 run_size;
	int		 fd;
	int		 kick;		/* the eventfd */
	uint32_t	 tsc_khz;
	uint32_t	 data;		/* of port I/O, between two runs */
	bool		 in;		/* `data` is to be given to the guest */
	struct insn	*insn;
	struct hv_regs	 regs;		/* insn's, while performing */
	bool		 performing;
	enum msr_step	 msr;
	uint64_t	 msr_value;	/* the daemon's answer */
	uint8_t		 msr_fault;
};

static int
open_device(struct hv_vm *vm, char *err, size_t errlen)
{
	struct vmm_info info;
	const char *hint = "";
	int error;

	vm->dev = open(DEV_VMM, O_RDWR | O_CLOEXEC);
	if (vm->dev == -1) {
		error = errno;
		if (error == ENOENT || error == ENODEV || error == ENXIO)
			hint = "; load the module: modprobe vmm";
		else if (error == EACCES || error == EPERM)
			hint = "; the daemon's user must be in its group";
		return hv_fail(err, errlen, error, "backend vmm: %s: %s%s",
		    DEV_VMM, strerror(error), hint);
	}
	if (ioctl(vm->dev, VMM_GET_INFO, &info) == 0 && info.abi == VMM_ABI) {
		vm->run_size = info.run_size;
		vm->tsc_khz = info.tsc_khz;
		return 0;
	}
	close(vm->dev);
	return hv_fail(err, errlen, ENOTSUP, "backend vmm: %s speaks another "
	    "version; load the module that came with this vmmd", DEV_VMM);
}

/* Gives the guest every feature that host and driver have. */
static int
setup_cpuid(struct hv_vm *vm, unsigned ncpus)
{
	struct vmm_cpuid *table;
	int error = 0;

	table = calloc(1, sizeof(*table));
	if (table == NULL)
		return -ENOMEM;
	table->count = VMM_MAX_CPUID;
	if (ioctl(vm->dev, VMM_GET_CPUID, table) == -1)
		error = -errno;
	else
		hv_vmm_topology(table, ncpus);
	if (error == 0 && ioctl(vm->fd, VMM_SET_CPUID, table) == -1)
		error = -errno;
	free(table);
	return error;
}

/* Opens the device and makes a VM without memory. */
static int
vm_open(struct hv_vm *vm, unsigned ncpus, char *err, size_t errlen)
{
	int error;

	error = open_device(vm, err, errlen);
	if (error != 0)
		return error;
	vm->fd = ioctl(vm->dev, VMM_CREATE_VM, 0);
	if (vm->fd == -1) {
		error = hv_fail(err, errlen, errno,
		    "backend vmm: creating a VM: %s%s", strerror(errno),
		    errno == EBUSY ? "; another hypervisor has the "
		    "processor's virtualization: stop its guests and unload "
		    "it (rmmod kvm_amd kvm_intel kvm)" : "");
		goto close_dev;
	}
	error = setup_cpuid(vm, ncpus);
	if (error == 0)
		return 0;
	hv_fail(err, errlen, -error, "backend vmm: CPUID table: %s",
	    strerror(-error));
	close(vm->fd);
close_dev:
	close(vm->dev);
	return error;
}

static void
vm_close(struct hv_vm *vm)
{
	close(vm->fd);
	close(vm->dev);
}

static int
add_memory(struct hv_vm *vm, struct gmem *gm, char *err, size_t errlen)
{
	struct vmm_memory m;
	unsigned i;
	int error;

	error = hv_ram_map(gm, err, errlen);
	if (error != 0)
		return error;
	vm->gm = *gm;
	for (i = 0; i < gm->nranges; i++) {
		memset(&m, 0, sizeof(m));
		m.gpa = gm->range[i].gpa;
		m.size = gm->range[i].size;
		m.address = (uintptr_t)gm->range[i].hva;
		if (ioctl(vm->fd, VMM_SET_MEMORY, &m) == -1) {
			error = hv_fail(err, errlen, errno, "backend vmm: "
			    "giving memory to the guest: %s", strerror(errno));
			hv_ram_unmap(gm);
			return error;
		}
	}
	return 0;
}

static int
vmm_vm_create(struct hv_vm **vmp, struct gmem *gm, unsigned ncpus, char *err,
    size_t errlen)
{
	struct hv_vm *vm;
	int error;

	vm = calloc(1, sizeof(*vm));
	if (vm == NULL)
		return hv_fail(err, errlen, ENOMEM, "out of memory");
	error = vm_open(vm, ncpus, err, errlen);
	if (error != 0)
		goto free_vm;
	error = add_memory(vm, gm, err, errlen);
	if (error != 0)
		goto close;
	*vmp = vm;
	return 0;
close:
	vm_close(vm);
free_vm:
	free(vm);
	return error;
}

static void
vmm_vm_destroy(struct hv_vm *vm)
{
	vm_close(vm);
	hv_ram_unmap(&vm->gm);
	free(vm);
}

/* The width that the processor holds a guest's page tables to: the host's. */
static unsigned
physical_bits(void)
{
	unsigned eax, ebx, ecx, edx;

	if (__get_cpuid(0x80000008, &eax, &ebx, &ecx, &edx) == 0)
		return 36;
	return eax & 0xff;
}

static int
vmm_doorbell(struct hv_vm *vm, uint16_t port, uint8_t size, int fd, bool on)
{
	struct vmm_doorbell d = {
		.port = port,
		.size = size,
		.flags = on ? 0 : VMM_EVENT_REMOVE,
		.fd = on ? fd : -1,
	};

	return ioctl(vm->fd, VMM_DOORBELL, &d) == 0 ? 0 : -errno;
}

static int
vmm_msi(struct hv_vm *vm, const struct hv_msi *msg)
{
	return hv_vmm_msi(vm->fd, msg);
}

static int
vmm_msi_event(struct hv_vm *vm, unsigned slot, int fd,
    const struct hv_msi *msg)
{
	return hv_vmm_msi_event(vm->fd, slot, fd, msg);
}

/* The eventfd that the driver takes for a kick: 0 or -errno. */
static int
bind_kick(struct hv_vcpu *v)
{
	struct vmm_irq_event e = { .line = 0 };
	int error;

	v->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->kick == -1)
		return -errno;
	e.fd = v->kick;
	if (ioctl(v->fd, VMM_IRQ_EVENT, &e) == 0)
		return 0;
	error = -errno;
	close(v->kick);
	return error;
}

static int
vmm_vcpu_create(struct hv_vcpu **vcpup, struct hv_vm *vm, unsigned id,
    char *err, size_t errlen)
{
	struct hv_vcpu *v;
	int error;

	v = calloc(1, sizeof(*v));
	if (v == NULL) {
		error = -ENOMEM;
		goto fail;
	}
	v->tsc_khz = vm->tsc_khz;
	v->run_size = vm->run_size;
	v->insn = insn_create(&vm->gm, physical_bits());
	if (v->insn == NULL) {
		error = -ENOMEM;
		goto free_vcpu;
	}
	v->fd = ioctl(vm->fd, VMM_CREATE_VCPU, id);
	if (v->fd == -1) {
		error = -errno;
		goto free_insn;
	}
	error = bind_kick(v);
	if (error != 0)
		goto close;
	v->run = mmap(NULL, v->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    v->fd, 0);
	if (v->run == MAP_FAILED) {
		error = -errno;
		goto close_kick;
	}
	*vcpup = v;
	return 0;
close_kick:
	close(v->kick);
close:
	close(v->fd);
free_insn:
	insn_destroy(v->insn);
free_vcpu:
	free(v);
fail:
	return hv_fail(err, errlen, -error, "backend vmm: creating vCPU %u: "
	    "%s", id, strerror(-error));
}

static void
vmm_vcpu_destroy(struct hv_vcpu *v)
{
	munmap(v->run, v->run_size);
	close(v->fd);
	close(v->kick);
	insn_destroy(v->insn);
	free(v);
}

static int
vmm_probe(char *err, size_t errlen)
{
	struct hv_vm vm;
	struct hv_vcpu *vcpu;
	int error;

	error = vm_open(&vm, 1, err, errlen);
	if (error != 0)
		return error;
	error = vmm_vcpu_create(&vcpu, &vm, 0, err, errlen);
	if (error == 0)
		vmm_vcpu_destroy(vcpu);
	vm_close(&vm);
	return error;
}

static void
get_segment(struct hv_segment *to, const struct vmm_segment *from)
{
	to->base = from->base;
	to->limit = from->limit;
	to->selector = from->selector;
	to->ar = from->ar;
}

static void
set_segment(struct vmm_segment *to, const struct hv_segment *from)
{
	to->base = from->base;
	to->limit = from->limit;
	to->selector = from->selector;
	to->ar = from->ar;
}

static void
get_regs(struct hv_regs *r, const struct vmm_regs *from)
{
	_Static_assert(sizeof(r->gpr) == sizeof(from->gpr), "same order");
	memcpy(r->gpr, from->gpr, sizeof(r->gpr));
	r->rip = from->rip;
	r->rflags = from->rflags;
	r->cr0 = from->cr0;
	r->cr2 = from->cr2;
	r->cr3 = from->cr3;
	r->cr4 = from->cr4;
	r->efer = from->efer;
	get_segment(&r->cs, &from->seg[VMM_CS]);
	get_segment(&r->ds, &from->seg[VMM_DS]);
	get_segment(&r->es, &from->seg[VMM_ES]);
	get_segment(&r->fs, &from->seg[VMM_FS]);
	get_segment(&r->gs, &from->seg[VMM_GS]);
	get_segment(&r->ss, &from->seg[VMM_SS]);
	get_segment(&r->tr, &from->seg[VMM_TR]);
	get_segment(&r->ldtr, &from->seg[VMM_LDTR]);
}

static int
vmm_get_regs(struct hv_vcpu *v, struct hv_regs *r)
{
	struct vmm_state s;

	if (ioctl(v->fd, VMM_GET_STATE, &s) == -1)
		return -errno;
	get_regs(r, &s.regs);
	r->gdtr.base = s.gdtr.base;
	r->gdtr.limit = s.gdtr.limit;
	r->idtr.base = s.idtr.base;
	r->idtr.limit = s.idtr.limit;
	return 0;
}

static int
vmm_set_regs(struct hv_vcpu *v, const struct hv_regs *r)
{
	struct vmm_state s;

	if (ioctl(v->fd, VMM_GET_STATE, &s) == -1)
		return -errno;
	memcpy(s.regs.gpr, r->gpr, sizeof(s.regs.gpr));
	s.regs.rip = r->rip;
	s.regs.rflags = r->rflags;
	s.regs.cr0 = r->cr0;
	s.regs.cr2 = r->cr2;
	s.regs.cr3 = r->cr3;
	s.regs.cr4 = r->cr4;
	s.regs.efer = r->efer;
	set_segment(&s.regs.seg[VMM_CS], &r->cs);
	set_segment(&s.regs.seg[VMM_DS], &r->ds);
	set_segment(&s.regs.seg[VMM_ES], &r->es);
	set_segment(&s.regs.seg[VMM_FS], &r->fs);
	set_segment(&s.regs.seg[VMM_GS], &r->gs);
	set_segment(&s.regs.seg[VMM_SS], &r->ss);
	set_segment(&s.regs.seg[VMM_TR], &r->tr);
	set_segment(&s.regs.seg[VMM_LDTR], &r->ldtr);
	s.gdtr.base = r->gdtr.base;
	s.gdtr.limit = r->gdtr.limit;
	s.idtr.base = r->idtr.base;
	s.idtr.limit = r->idtr.limit;
	return ioctl(v->fd, VMM_SET_STATE, &s) == 0 ? 0 : -errno;
}

/* Begins with the instruction that the run page shows. */
static void
begin(struct hv_vcpu *v, const struct insn_port *port)
{
	get_regs(&v->regs, &v->run->regs);
	insn_begin(v->insn, &v->regs, port);
	v->performing = true;
}

static void
exit_io(struct hv_vcpu *v, struct hv_exit *e)
{
	const struct vmm_run *run = v->run;

	if (run->io.flags & VMM_IO_STRING) {
		begin(v, &(struct insn_port){
			.port = run->io.port,
			.size = run->io.size,
			.in = (run->io.flags & VMM_IO_IN) != 0,
		});
		return;
	}
	e->kind = HV_EXIT_IO;
	e->io.port = run->io.port;
	e->io.size = run->io.size;
	e->io.in = (run->io.flags & VMM_IO_IN) != 0;
	e->io.count = 1;
	e->io.data = &v->data;
	v->data = run->io.data;
	v->in = e->io.in;
}

static void
exit_memory(struct hv_vcpu *v, struct hv_exit *e)
{
	const struct vmm_run *run = v->run;

	if (run->memory.flags & VMM_MEMORY_EVENT) {
		hv_exit_error(e, "the delivery of an interrupt or exception "
		    "meets no memory at gpa=%#llx", run->memory.gpa);
		return;
	}
	begin(v, NULL);
	insn_give(v->insn, run->memory.insn, run->memory.insn_len);
}

static void
exit_msr(struct hv_vcpu *v)
{
	get_regs(&v->regs, &v->run->regs);
	v->msr = MSR_ASK;
	v->performing = true;
}

/* What an instruction made of the registers, with the next run. */
static void
give_back(struct hv_vcpu *v)
{
	struct vmm_run *run = v->run;

	memcpy(run->regs.gpr, v->regs.gpr, sizeof(run->regs.gpr));
	run->regs.rip = v->regs.rip;
	run->regs.rflags = v->regs.rflags;
	run->regs.cr2 = v->regs.cr2;
	run->set_regs = 1;
}

static void
raise_fault(struct hv_vcpu *v, const struct insn_fault *f)
{
	uint64_t event = VMM_EVENT_VALID | VMM_EVENT_EXCEPTION | f->vector;

	if (f->has_error)
		event |= VMM_EVENT_HAS_ERROR | (uint64_t)f->error << 32;
	v->run->event = event;
}

static void
ask_msr(struct hv_vcpu *v, struct hv_exit *e)
{
	e->kind = HV_EXIT_MSR;
	e->msr.index = v->run->msr.index;
	e->msr.write = (v->run->msr.flags & VMM_MSR_WRITE) != 0;
	e->msr.fault = &v->msr_fault;
	e->msr.data = &v->msr_value;
	v->msr = MSR_ANSWERED;
}

static void
finish_msr(struct hv_vcpu *v)
{
	const struct insn_fault gp = { .vector = VECTOR_GP, .has_error = true };

	v->msr = MSR_NONE;
	if (v->msr_fault) {
		raise_fault(v, &gp);
		return;
	}
	if ((v->run->msr.flags & VMM_MSR_WRITE) == 0) {
		v->regs.gpr[HV_RAX] = (uint32_t)v->msr_value;
		v->regs.gpr[HV_RDX] = v->msr_value >> 32;
	}
	v->regs.rip = v->run->msr.next_rip;
	give_back(v);
}

/* Goes on with an instruction; true if *e is for the daemon first. */
static bool
perform_insn(struct hv_vcpu *v, struct hv_exit *e)
{
	enum insn_end result;
	struct insn_fault f;

	do
		result = insn_run(v->insn, e);
	while (result == INSN_EXIT && hv_vmm_apic_access(v->fd, e));
	switch (result) {
	case INSN_EXIT:
		return true;
	case INSN_REFUSED:
		v->performing = false;
		return true;
	case INSN_FAULT:
		f = insn_fault(v->insn);
		raise_fault(v, &f);
		/* FALLTHROUGH */
	case INSN_DONE:
		give_back(v);
		break;
	case INSN_AGAIN:
		break;
	}
	v->performing = false;
	return false;
}

/* The same with what else is performed here. */
static bool
perform(struct hv_vcpu *v, struct hv_exit *e)
{
	switch (v->msr) {
	case MSR_NONE:
		break;
	case MSR_ASK:
		ask_msr(v, e);
		return true;
	case MSR_ANSWERED:
		finish_msr(v);
		v->performing = false;
		return false;
	}
	return perform_insn(v, e);
}

/* The exits that end a guest. */
static void
exit_fatal(const struct vmm_run *run, struct hv_exit *e)
{
	switch (run->reason) {
	case VMM_EXIT_FAULT:
		hv_exit_error(e, "memory at %#llx: %s%s", run->fault.gpa,
		    strerror(-run->fault.error), run->fault.error == -ENOMEM ?
		    "; the host has no more, or RLIMIT_MEMLOCK is too low" :
		    "");
		break;
	case VMM_EXIT_INVALID:
		hv_exit_error(e, "the processor refuses to enter the guest: "
		    "exit code %#llx", run->hw.code);
		break;
	default:
		hv_exit_error(e, "unexpected exit of the processor: code %#llx, "
		    "information %#llx %#llx", run->hw.code, run->hw.info[0],
		    run->hw.info[1]);
	}
}

static void
enter(struct hv_vcpu *v, struct hv_exit *e)
{
	struct vmm_run *run = v->run;

	if (v->in) {
		run->io.data = v->data;
		v->in = false;
	}
	if (ioctl(v->fd, VMM_RUN, 0) == -1) {
		hv_exit_error(e, "VMM_RUN: %s", strerror(errno));
		return;
	}
	switch (run->reason) {
	case VMM_EXIT_NONE:
		e->kind = HV_EXIT_NONE;
		break;
	case VMM_EXIT_IO:
		exit_io(v, e);
		break;
	case VMM_EXIT_MEMORY:
		exit_memory(v, e);
		break;
	case VMM_EXIT_MSR:
		exit_msr(v);
		break;
	case VMM_EXIT_INTR_WINDOW:
		e->kind = HV_EXIT_INTR_WINDOW;
		break;
	case VMM_EXIT_EOI:
		e->kind = HV_EXIT_EOI;
		e->eoi.vector = run->eoi.vector;
		break;
	case VMM_EXIT_HLT:
		e->kind = HV_EXIT_HLT;
		break;
	case VMM_EXIT_SHUTDOWN:
		e->kind = HV_EXIT_SHUTDOWN;
		break;
	default:
		exit_fatal(run, e);
	}
}

static void
vmm_run(struct hv_vcpu *v, struct hv_exit *e)
{
	do {
		if (v->performing && perform(v, e))
			return;
		enter(v, e);
	} while (v->performing);
}

static bool
vmm_intr_ready(struct hv_vcpu *v)
{
	return v->run->intr_ready && !v->performing;
}

static int
vmm_inject(struct hv_vcpu *v, uint8_t vector)
{
	/* There is room for one; the next run says when it is free again. */
	v->run->intr_ready = 0;
	v->run->vector = vector;
	v->run->inject = 1;
	return 0;
}

static void
vmm_intr_window(struct hv_vcpu *v, bool want)
{
	v->run->intr_window = want;
}

static void
vmm_kick(struct hv_vcpu *v)
{
	const uint64_t one = 1;

	/* The driver takes the count, so there is always room for one. */
	if (write(v->kick, &one, sizeof(one)) == -1)
		assert(errno == EAGAIN);
}

/* What the run page says may be out of date: another vCPU has woken it. */
static bool
vmm_is_halted(struct hv_vcpu *v)
{
	struct vmm_state s;

	return !v->performing && ioctl(v->fd, VMM_GET_STATE, &s) == 0 &&
	    s.stuck;
}

static void
vmm_resumed(struct hv_vcpu *v)
{
	v->run->resumed = 1;
}

static void
vmm_stats(struct hv_vcpu *v, struct hv_stats *st)
{
	unsigned __int128 ns = __atomic_load_n(&v->run->guest_tsc,
	    __ATOMIC_RELAXED);

	st->exits = __atomic_load_n(&v->run->exits, __ATOMIC_RELAXED);
	st->guest_ns = v->tsc_khz == 0 ? 0 : ns * 1000000 / v->tsc_khz;
}

const struct hv_ops hv_vmm_ops = {
	.name = "vmm",
	.pins_memory = true,
	.probe = vmm_probe,
	.vm_create = vmm_vm_create,
	.vm_destroy = vmm_vm_destroy,
	.doorbell = vmm_doorbell,
	.msi = vmm_msi,
	.msi_event = vmm_msi_event,
	.vcpu_create = vmm_vcpu_create,
	.vcpu_destroy = vmm_vcpu_destroy,
	.get_regs = vmm_get_regs,
	.set_regs = vmm_set_regs,
	.run = vmm_run,
	.intr_ready = vmm_intr_ready,
	.inject = vmm_inject,
	.intr_window = vmm_intr_window,
	.kick = vmm_kick,
	.is_halted = vmm_is_halted,
	.resumed = vmm_resumed,
	.stats = vmm_stats,
};
