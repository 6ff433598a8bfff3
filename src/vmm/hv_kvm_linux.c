/* SPDX-License-Identifier: ISC */
/*
 * Backend `kvm`: /dev/kvm with the split interrupt controller.  KVM keeps the
 * local APICs, to which the daemon sends messages (hv_kvm_irq_linux.c); IOAPIC,
 * PIC and PIT are the daemon's, and the PIC's vector enters by KVM_INTERRUPT.
 *
 * With the local APIC in the kernel HLT stays there too: a halted vCPU sleeps
 * inside KVM_RUN, and a kick ends that as it ends a running guest.
 *
 * Why no kick is lost: kick() sets immediate_exit, then signals the thread.
 *  - In the kernel, running or halted: the signal ends KVM_RUN.
 *  - Before that: KVM_RUN looks at immediate_exit first and returns.
 *  - After KVM_RUN ended for another reason: immediate_exit stays set, since
 *    only a run that ended by EINTR clears it; the next one returns at once.
 * The clearing is an atomic exchange, so what a kicker published before a
 * kick that it swallows is visible when run() returns.
 *
 * One thread per vCPU; `run->immediate_exit` is all that others touch.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/kvm.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "devices/gmem.h"
#include "vmm/hv.h"
#include "vmm/hv_backend.h"
#include "vmm/hv_kvm.h"

#define DEV_KVM		"/dev/kvm"

/* Pages KVM wants on Intel without unrestricted guest; in the PCI hole. */
#define IDENTITY_GPA	UINT64_C(0xfffbc000)
#define TSS_GPA		UINT64_C(0xfffbd000)

struct hv_vm {
	int		 kvm;		/* the device */
	int		 fd;
	size_t		 run_size;
	unsigned	 ncpus;
	struct hv_kvm_irq *irq;
	struct hv_kvm_clock *clock;
	struct gmem	 gm;		/* ours to unmap */
};

struct hv_vcpu {
	struct kvm_run	*run;		/* shared with the kernel */
	int		 fd;
	unsigned	 id;
	struct hv_kvm_clock *clock;	/* the VM's */
	pthread_t	 thread;	/* runs it */
	size_t		 run_size;
	atomic_ullong	 exits;
};

/* What we ask of KVM, and how to say that it is missing. */
static const struct {
	int		 cap;
	const char	*name;
} needed[] = {
	{ KVM_CAP_USER_MEMORY, "user memory" },
	{ KVM_CAP_EXT_CPUID, "extended CPUID" },
	{ KVM_CAP_MP_STATE, "vCPU state" },
	{ KVM_CAP_VCPU_EVENTS, "vCPU events" },
	{ KVM_CAP_SPLIT_IRQCHIP, "split irqchip" },
	{ KVM_CAP_SIGNAL_MSI, "messages" },
	{ KVM_CAP_IRQ_ROUTING, "interrupt routing" },
	{ KVM_CAP_IRQFD, "irqfd" },
	{ KVM_CAP_IMMEDIATE_EXIT, "immediate exit" },
	{ KVM_CAP_IOEVENTFD, "ioeventfd" },
	{ KVM_CAP_X86_USER_SPACE_MSR, "exits by MSRs" },
	{ KVM_CAP_X86_MSR_FILTER, "a filter of MSRs" },
};

static int
check_device(int kvm, char *err, size_t errlen)
{
	unsigned i;

	if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return hv_fail(err, errlen, ENOTSUP,
		    "backend kvm: %s speaks another version of KVM", DEV_KVM);
	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (ioctl(kvm, KVM_CHECK_EXTENSION, needed[i].cap) <= 0)
			return hv_fail(err, errlen, ENOTSUP,
			    "backend kvm: this kernel's KVM lacks %s, "
			    "Linux 5.10 or later is needed", needed[i].name);
	return 0;
}

static int
open_device(char *err, size_t errlen)
{
	const char *hint = "";
	int error, fd;

	fd = open(DEV_KVM, O_RDWR | O_CLOEXEC);
	if (fd == -1) {
		error = errno;
		if (error == ENOENT || error == ENODEV)
			hint = "; load kvm_amd or kvm_intel";
		else if (error == EACCES || error == EPERM)
			hint = "; the daemon's user must be in its group";
		return hv_fail(err, errlen, error, "backend kvm: %s: %s%s",
		    DEV_KVM, strerror(error), hint);
	}
	error = check_device(fd, err, errlen);
	if (error != 0) {
		close(fd);
		return error;
	}
	return fd;
}

/* Everything of the machine that must be there before the first vCPU. */
static int
setup_machine(int vm, char *err, size_t errlen)
{
	struct kvm_enable_cap irqchip = {
		.cap = KVM_CAP_SPLIT_IRQCHIP,
		.args[0] = HV_IOAPIC_PINS,
	};
	struct kvm_enable_cap msrs = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args[0] = KVM_MSR_EXIT_REASON_UNKNOWN |
		    KVM_MSR_EXIT_REASON_FILTER,
	};
	uint64_t identity = IDENTITY_GPA;
	int error;

	if (ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity) == 0 &&
	    ioctl(vm, KVM_SET_TSS_ADDR, TSS_GPA) == 0 &&
	    ioctl(vm, KVM_ENABLE_CAP, &irqchip) == 0 &&
	    ioctl(vm, KVM_ENABLE_CAP, &msrs) == 0 &&
	    hv_kvm_clock_setup(vm) == 0)
		return 0;
	error = errno;
	return hv_fail(err, errlen, error, "backend kvm: setting up a VM: %s",
	    strerror(error));
}

/* Opens the device and makes a VM without memory. */
static int
vm_open(struct hv_vm *vm, char *err, size_t errlen)
{
	int error, size;

	vm->kvm = open_device(err, errlen);
	if (vm->kvm < 0)
		return vm->kvm;
	vm->fd = ioctl(vm->kvm, KVM_CREATE_VM, 0);
	if (vm->fd == -1) {
		error = hv_fail(err, errlen, errno,
		    "backend kvm: creating a VM: %s%s", strerror(errno),
		    errno == EBUSY ? "; does another hypervisor hold the "
		    "processor's virtualization? stop it" : "");
		goto close_kvm;
	}
	size = ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run)) {
		error = hv_fail(err, errlen, ENOTSUP,
		    "backend kvm: no room for a vCPU's exits");
		goto close_vm;
	}
	vm->run_size = (size_t)size;
	error = setup_machine(vm->fd, err, errlen);
	if (error == 0)
		return 0;
close_vm:
	close(vm->fd);
close_kvm:
	close(vm->kvm);
	return error;
}

static void
vm_close(struct hv_vm *vm)
{
	close(vm->fd);
	close(vm->kvm);
}

static int
give_range(struct hv_vm *vm, unsigned slot)
{
	const struct gmem_range *r = &vm->gm.range[slot];
	struct kvm_userspace_memory_region mr;

	memset(&mr, 0, sizeof(mr));
	mr.slot = slot;
	mr.guest_phys_addr = r->gpa;
	mr.memory_size = r->size;
	mr.userspace_addr = (uintptr_t)r->hva;
	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &mr) == 0 ? 0 :
	    -errno;
}

static int
add_memory(struct hv_vm *vm, struct gmem *gm, char *err, size_t errlen)
{
	unsigned i;
	int error;

	error = hv_ram_map(gm, err, errlen);
	if (error != 0)
		return error;
	vm->gm = *gm;
	for (i = 0; i < gm->nranges; i++) {
		error = give_range(vm, i);
		if (error != 0) {
			hv_ram_unmap(gm);
			return hv_fail(err, errlen, -error, "backend kvm: "
			    "giving memory to the guest: %s",
			    strerror(-error));
		}
	}
	return 0;
}

/* Said once for all rather than by the first vCPU too many. */
static int
check_cpus(const struct hv_vm *vm, unsigned ncpus, char *err, size_t errlen)
{
	int max = ioctl(vm->kvm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);

	if (max < 0 || ncpus <= (unsigned)max)
		return 0;
	return hv_fail(err, errlen, ENOTSUP, "backend kvm: %u vCPUs, and "
	    "this kernel's KVM allows %d", ncpus, max);
}

static int
kvm_vm_create(struct hv_vm **vmp, struct gmem *gm, unsigned ncpus, char *err,
    size_t errlen)
{
	struct hv_vm *vm;
	int error;

	vm = calloc(1, sizeof(*vm));
	if (vm == NULL)
		return hv_fail(err, errlen, ENOMEM, "out of memory");
	error = vm_open(vm, err, errlen);
	if (error != 0)
		goto free_vm;
	error = check_cpus(vm, ncpus, err, errlen);
	if (error != 0)
		goto close;
	error = hv_kvm_irq_create(&vm->irq, vm->fd);
	if (error != 0) {
		hv_fail(err, errlen, -error, "backend kvm: interrupts: %s",
		    strerror(-error));
		goto close;
	}
	error = add_memory(vm, gm, err, errlen);
	if (error != 0)
		goto destroy_irq;
	error = hv_kvm_clock_create(&vm->clock, vm->fd, &vm->gm);
	if (error != 0) {
		hv_fail(err, errlen, -error, "backend kvm: a clock: %s",
		    strerror(-error));
		goto unmap;
	}
	vm->ncpus = ncpus;
	*vmp = vm;
	return 0;
unmap:
	hv_ram_unmap(gm);
destroy_irq:
	hv_kvm_irq_destroy(vm->irq);
close:
	vm_close(vm);
free_vm:
	free(vm);
	return error;
}

static void
kvm_vm_destroy(struct hv_vm *vm)
{
	hv_kvm_clock_destroy(vm->clock);
	hv_kvm_irq_destroy(vm->irq);
	vm_close(vm);
	hv_ram_unmap(&vm->gm);
	free(vm);
}

static int
kvm_doorbell(struct hv_vm *vm, uint16_t port, uint8_t size, int fd, bool on)
{
	struct kvm_ioeventfd e = {
		.addr = port,
		.len = size,
		.fd = fd,
		.flags = KVM_IOEVENTFD_FLAG_PIO |
		    (on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};

	return ioctl(vm->fd, KVM_IOEVENTFD, &e) == 0 ? 0 : -errno;
}

static int
kvm_msi(struct hv_vm *vm, const struct hv_msi *msg)
{
	return hv_kvm_irq_send(vm->irq, msg);
}

static int
kvm_msi_event(struct hv_vm *vm, unsigned slot, int fd,
    const struct hv_msi *msg)
{
	return hv_kvm_irq_event(vm->irq, slot, fd, msg);
}

static bool
kvm_tick(struct hv_vm *vm)
{
	return hv_kvm_clock_tick(vm->clock);
}

static int
kvm_ioapic_route(struct hv_vm *vm, unsigned pin, const struct hv_msi *msg)
{
	return hv_kvm_irq_route(vm->irq, pin, msg);
}

/*
 * Sets XCR0 to what the guest may use, and is about to set: there are hosts,
 * themselves emulated, whose XSETBV does not exit, so KVM would go on loading
 * the value of reset and save no more than that.
 */
static int
set_xcr0(int vcpu, const struct kvm_cpuid2 *table)
{
	struct kvm_xcrs xcrs;
	uint64_t xcr0 = hv_kvm_cpuid_xcr0(table);

	if (xcr0 == 0)
		return 0;
	memset(&xcrs, 0, sizeof(xcrs));
	xcrs.nr_xcrs = 1;
	xcrs.xcrs[0].value = xcr0;
	return ioctl(vcpu, KVM_SET_XCRS, &xcrs) == 0 ? 0 : -errno;
}

static int
setup_cpu(const struct hv_vm *vm, int vcpu, unsigned id)
{
	struct kvm_cpuid2 *table;
	bool deadline;
	int error, khz;

	table = calloc(1, sizeof(*table) +
	    HV_KVM_CPUID_MAX * sizeof(table->entries[0]));
	if (table == NULL)
		return -ENOMEM;
	table->nent = HV_KVM_CPUID_MAX;
	if (ioctl(vm->kvm, KVM_GET_SUPPORTED_CPUID, table) == -1) {
		error = -errno;
		goto out;
	}
	deadline = ioctl(vm->kvm, KVM_CHECK_EXTENSION,
	    KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	error = hv_kvm_make_cpuid(table, vm->ncpus, id, deadline);
	if (error != 0)
		goto out;
	khz = ioctl(vcpu, KVM_GET_TSC_KHZ, 0);
	if (khz > 0)
		hv_kvm_cpuid_frequency(table, (uint32_t)khz);
	if (ioctl(vcpu, KVM_SET_CPUID2, table) == -1) {
		error = -errno;
		goto out;
	}
	error = set_xcr0(vcpu, table);
out:
	free(table);
	return error;
}

static int
kvm_vcpu_create(struct hv_vcpu **vcpup, struct hv_vm *vm, unsigned id,
    char *err, size_t errlen)
{
	struct hv_vcpu *v;
	int error;

	v = calloc(1, sizeof(*v));
	if (v == NULL) {
		error = -ENOMEM;
		goto fail;
	}
	v->thread = pthread_self();
	v->run_size = vm->run_size;
	v->id = id;
	v->clock = vm->clock;
	v->fd = ioctl(vm->fd, KVM_CREATE_VCPU, id);
	if (v->fd == -1) {
		error = -errno;
		goto free_vcpu;
	}
	v->run = mmap(NULL, v->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    v->fd, 0);
	if (v->run == MAP_FAILED) {
		error = -errno;
		goto close;
	}
	error = setup_cpu(vm, v->fd, id);
	if (error != 0)
		goto unmap;
	*vcpup = v;
	return 0;
unmap:
	munmap(v->run, v->run_size);
close:
	close(v->fd);
free_vcpu:
	free(v);
fail:
	return hv_fail(err, errlen, -error, "backend kvm: creating vCPU %u: "
	    "%s", id, strerror(-error));
}

static void
kvm_vcpu_destroy(struct hv_vcpu *v)
{
	munmap(v->run, v->run_size);
	close(v->fd);
	free(v);
}

static int
kvm_get_regs(struct hv_vcpu *v, struct hv_regs *regs)
{
	return hv_kvm_get_regs(v->fd, regs);
}

static int
kvm_set_regs(struct hv_vcpu *v, const struct hv_regs *regs)
{
	return hv_kvm_set_regs(v->fd, regs);
}

static void
run_failed(struct hv_vcpu *v, struct hv_exit *e)
{
	if (errno == EINTR) {
		e->kind = HV_EXIT_NONE;
		__atomic_exchange_n(&v->run->immediate_exit, 0,
		    __ATOMIC_SEQ_CST);
	} else if (errno == EAGAIN)
		e->kind = HV_EXIT_NONE;		/* was waiting to be started */
	else
		hv_exit_error(e, "KVM_RUN: %s", strerror(errno));
}

/* Of the clock's registers; the daemon above has nothing to do with them. */
static void
exit_clock_msr(struct hv_vcpu *v, struct hv_exit *e)
{
	struct kvm_run *run = v->run;

	run->msr.error = 0;
	if (run->exit_reason == KVM_EXIT_X86_WRMSR)
		run->msr.error = hv_kvm_clock_write(v->clock, v->fd, v->id,
		    run->msr.index, run->msr.data) != 0;
	else
		run->msr.data = hv_kvm_clock_read(v->clock, v->id,
		    run->msr.index);
	e->kind = HV_EXIT_NONE;
}

/* The next run performs the instruction, or raises the #GP. */
static void
exit_msr(struct hv_vcpu *v, struct hv_exit *e)
{
	struct kvm_run *run = v->run;

	/* An interrupt now would meet the #GP. */
	run->ready_for_interrupt_injection = 0;
	if (hv_kvm_clock_has(run->msr.index)) {
		exit_clock_msr(v, e);
		return;
	}
	e->kind = HV_EXIT_MSR;
	e->msr.index = run->msr.index;
	e->msr.write = run->exit_reason == KVM_EXIT_X86_WRMSR;
	e->msr.fault = &run->msr.error;
	e->msr.data = &run->msr.data;
}

/* The exits that end a guest. */
static void
exit_fatal(const struct kvm_run *run, struct hv_exit *e)
{
	switch (run->exit_reason) {
	case KVM_EXIT_FAIL_ENTRY:
		hv_exit_error(e, "the processor refuses to enter the guest: "
		    "reason %#llx",
		    run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		hv_exit_error(e, run->internal.suberror ==
		    KVM_INTERNAL_ERROR_EMULATION ?
		    "KVM cannot emulate an instruction (suberror %u)" :
		    "KVM gave up on the guest (suberror %u)",
		    run->internal.suberror);
		break;
	case KVM_EXIT_UNKNOWN:
		hv_exit_error(e, "unknown exit of the processor: reason %#llx",
		    run->hw.hardware_exit_reason);
		break;
	default:
		hv_exit_error(e, "unexpected KVM exit %u", run->exit_reason);
	}
}

static void
run_once(struct hv_vcpu *v, struct hv_exit *e)
{
	struct kvm_run *run = v->run;
	int r;

	r = ioctl(v->fd, KVM_RUN, 0);
	atomic_store_explicit(&v->exits, atomic_load_explicit(&v->exits,
	    memory_order_relaxed) + 1, memory_order_relaxed);
	if (r == -1) {
		run_failed(v, e);
		return;
	}
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		e->kind = HV_EXIT_IO;
		e->io.port = run->io.port;
		e->io.size = run->io.size;
		e->io.in = run->io.direction == KVM_EXIT_IO_IN;
		e->io.count = run->io.count;
		e->io.data = (char *)run + run->io.data_offset;
		break;
	case KVM_EXIT_MMIO:
		e->kind = HV_EXIT_MMIO;
		e->mmio.gpa = run->mmio.phys_addr;
		e->mmio.size = (uint8_t)run->mmio.len;
		e->mmio.write = run->mmio.is_write;
		e->mmio.data = run->mmio.data;
		break;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		exit_msr(v, e);
		break;
	case KVM_EXIT_IOAPIC_EOI:
		e->kind = HV_EXIT_EOI;
		e->eoi.vector = run->eoi.vector;
		break;
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		e->kind = HV_EXIT_INTR_WINDOW;
		break;
	case KVM_EXIT_INTR:
		e->kind = HV_EXIT_NONE;
		break;
	case KVM_EXIT_SHUTDOWN:
		e->kind = HV_EXIT_SHUTDOWN;
		break;
	default:
		exit_fatal(run, e);
	}
}

static void
kvm_run(struct hv_vcpu *v, struct hv_exit *e)
{
	hv_kvm_clock_enter(v->clock, v->fd, v->id);
	run_once(v, e);
}

/*
 * A device that makes vCPUs need not be able to run one, as where KVM itself
 * runs in a guest whose hypervisor promises more than it keeps.  So one
 * instruction is run, in the mode in which guests begin.
 */
static int
probe_run(struct hv_vcpu *v, char *err, size_t errlen)
{
	struct hv_regs regs;
	struct hv_exit e;
	timer_t timer;
	int error;

	hv_kvm_probe_regs(&regs);
	error = hv_kvm_set_regs(v->fd, &regs);
	if (error == 0)
		error = hv_kvm_probe_timer(&timer);
	if (error != 0)
		return hv_fail(err, errlen, -error, "backend kvm: preparing "
		    "a guest: %s", strerror(-error));
	run_once(v, &e);
	timer_delete(timer);
	return hv_kvm_probe_verdict(&e, err, errlen);
}

static int
probe_vm(struct hv_vm *vm, char *err, size_t errlen)
{
	struct hv_vcpu *vcpu;
	int error;

	error = give_range(vm, 0);
	if (error != 0)
		return hv_fail(err, errlen, -error, "backend kvm: giving "
		    "memory to a guest: %s", strerror(-error));
	error = kvm_vcpu_create(&vcpu, vm, 0, err, errlen);
	if (error == 0) {
		error = probe_run(vcpu, err, errlen);
		kvm_vcpu_destroy(vcpu);
	}
	return error;
}

static int
kvm_probe(char *err, size_t errlen)
{
	struct hv_vm vm = { .ncpus = 1, .gm.nranges = 1 };
	int error;

	error = hv_kvm_probe_page(&vm.gm.range[0]);
	if (error != 0)
		return hv_fail(err, errlen, -error, "backend kvm: memory: %s",
		    strerror(-error));
	error = vm_open(&vm, err, errlen);
	if (error == 0) {
		error = probe_vm(&vm, err, errlen);
		vm_close(&vm);
	}
	munmap(vm.gm.range[0].hva, vm.gm.range[0].size);
	return error;
}

static bool
kvm_intr_ready(struct hv_vcpu *v)
{
	return v->run->ready_for_interrupt_injection && v->run->if_flag;
}

static int
kvm_inject(struct hv_vcpu *v, uint8_t vector)
{
	struct kvm_interrupt irq = { .irq = vector };

	/* There is room for one; the next run says when it is free again. */
	v->run->ready_for_interrupt_injection = 0;
	return ioctl(v->fd, KVM_INTERRUPT, &irq) == 0 ? 0 : -errno;
}

static void
kvm_intr_window(struct hv_vcpu *v, bool want)
{
	v->run->request_interrupt_window = want;
}

static void
kvm_kick(struct hv_vcpu *v)
{
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(v->thread, HV_KICK_SIGNAL);
}

static bool
kvm_is_halted(struct hv_vcpu *v)
{
	struct kvm_mp_state mp;
	struct kvm_vcpu_events ev;

	if (ioctl(v->fd, KVM_GET_MP_STATE, &mp) == -1 ||
	    ioctl(v->fd, KVM_GET_VCPU_EVENTS, &ev) == -1)
		return false;
	/* What asks for the state has accepted an INIT or SIPI before. */
	if (mp.mp_state == KVM_MP_STATE_UNINITIALIZED ||
	    mp.mp_state == KVM_MP_STATE_INIT_RECEIVED)
		return true;
	return mp.mp_state == KVM_MP_STATE_HALTED && !v->run->if_flag &&
	    !ev.interrupt.injected && !ev.nmi.injected && !ev.nmi.pending &&
	    !ev.exception.injected && !ev.smi.pending;
}

static void
kvm_resumed(struct hv_vcpu *v)
{
	hv_kvm_clock_resumed(v->clock, v->fd, v->id);
}

static void
kvm_stats(struct hv_vcpu *v, struct hv_stats *st)
{
	st->exits = atomic_load_explicit(&v->exits, memory_order_relaxed);
	st->guest_ns = 0;
}

const struct hv_ops hv_kvm_ops = {
	.name = "kvm",
	.keeps_hlt = true,
	.probe = kvm_probe,
	.vm_create = kvm_vm_create,
	.vm_destroy = kvm_vm_destroy,
	.tick = kvm_tick,
	.doorbell = kvm_doorbell,
	.msi = kvm_msi,
	.msi_event = kvm_msi_event,
	.ioapic_route = kvm_ioapic_route,
	.vcpu_create = kvm_vcpu_create,
	.vcpu_destroy = kvm_vcpu_destroy,
	.get_regs = kvm_get_regs,
	.set_regs = kvm_set_regs,
	.run = kvm_run,
	.intr_ready = kvm_intr_ready,
	.inject = kvm_inject,
	.intr_window = kvm_intr_window,
	.kick = kvm_kick,
	.is_halted = kvm_is_halted,
	.resumed = kvm_resumed,
	.stats = kvm_stats,
};
