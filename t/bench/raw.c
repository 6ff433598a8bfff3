/* SPDX-License-Identifier: ISC */
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "raw.h"
#include "kernel/vmm_uapi.h"

#define MSI_ADDRESS	0xfee00000	/* APIC 0, physical */
#define CPUID_TSC_DEADLINE	(1U << 24)	/* leaf 1, ECX */
#define MSI_GSI		24		/* behind the I/O APIC's */

int
raw_check(int r, const char *what)
{
	if (r == -1)
		err(1, "%s", what);
	return (r);
}

static void
map_run(struct raw *m, unsigned cpu, size_t size)
{
	m->run[cpu] = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    m->vcpu[cpu], 0);
	if (m->run[cpu] == MAP_FAILED)
		err(1, "mmap");
}

static void
vmm_vcpu(struct raw *m, unsigned cpu)
{
	m->vcpu[cpu] = raw_check(ioctl(m->vm, VMM_CREATE_VCPU, cpu),
	    "VMM_CREATE_VCPU");
	map_run(m, cpu, sizeof(struct vmm_run));
}

static void
vmm_open(struct raw *m)
{
	struct vmm_memory mem = { .size = RAW_RAM };
	struct vmm_cpuid table = { .count = VMM_MAX_CPUID };
	struct vmm_state s;
	unsigned cpu;
	int dev;

	dev = raw_check(open("/dev/vmm", O_RDWR), "/dev/vmm");
	m->vm = raw_check(ioctl(dev, VMM_CREATE_VM, 0), "VMM_CREATE_VM");
	raw_check(ioctl(dev, VMM_GET_CPUID, &table), "VMM_GET_CPUID");
	raw_check(ioctl(m->vm, VMM_SET_CPUID, &table), "VMM_SET_CPUID");
	mem.address = (uintptr_t)m->ram;
	raw_check(ioctl(m->vm, VMM_SET_MEMORY, &mem), "VMM_SET_MEMORY");
	for (cpu = 0; cpu < m->ncpus; cpu++)
		vmm_vcpu(m, cpu);
	raw_check(ioctl(m->vcpu[0], VMM_GET_STATE, &s), "VMM_GET_STATE");
	s.regs.seg[VMM_CS].base = s.regs.seg[VMM_CS].selector = 0;
	s.regs.rip = RAW_CODE;
	raw_check(ioctl(m->vcpu[0], VMM_SET_STATE, &s), "VMM_SET_STATE");
}

static void
vmm_until_done(struct raw *m, unsigned cpu)
{
	struct vmm_run *run = m->run[cpu];

	do
		raw_check(ioctl(m->vcpu[cpu], VMM_RUN, 0), "VMM_RUN");
	while (run->reason == VMM_EXIT_NONE);
	if (run->reason != VMM_EXIT_IO || run->io.port != RAW_DONE)
		errx(1, "vmm: CPU %u: exit %u", cpu, run->reason);
}

static void
vmm_doorbell(struct raw *m, int fd)
{
	struct vmm_doorbell d = { .port = RAW_BELL, .size = 2, .fd = fd };

	raw_check(ioctl(m->vm, VMM_DOORBELL, &d), "VMM_DOORBELL");
}

static void
vmm_msi(struct raw *m, int fd, uint8_t vector)
{
	struct vmm_msi_event e = {
		.fd = fd, .addr = MSI_ADDRESS, .data = vector,
	};

	raw_check(ioctl(m->vm, VMM_MSI_EVENT, &e), "VMM_MSI_EVENT");
}

static void
vmm_can_kick(struct raw *m)
{
	struct vmm_irq_event e = { .line = 0 };

	e.fd = m->event = raw_check(eventfd(0, 0), "eventfd");
	raw_check(ioctl(m->vcpu[0], VMM_IRQ_EVENT, &e), "VMM_IRQ_EVENT");
}

static void
vmm_kick(struct raw *m)
{
	const uint64_t one = 1;

	if (write(m->event, &one, sizeof(one)) != sizeof(one))
		err(1, "eventfd");
}

static void
vmm_until_kick(struct raw *m)
{
	struct vmm_run *run = m->run[0];

	do
		raw_check(ioctl(m->vcpu[0], VMM_RUN, 0), "VMM_RUN");
	while (run->irqs == 0);
}

/*
 * KVM as the daemon's peers use it: every CPUID leaf there is, and what KVM
 * leaves to whoever gives it a local APIC.
 */
static void
kvm_cpuid(int dev, int vcpu)
{
	struct kvm_cpuid2 *table;
	unsigned i;

	table = calloc(1, sizeof(*table) + 256 * sizeof(table->entries[0]));
	if (table == NULL)
		err(1, "calloc");
	table->nent = 256;
	raw_check(ioctl(dev, KVM_GET_SUPPORTED_CPUID, table),
	    "supported CPUID");
	for (i = 0; i < table->nent; i++)
		if (table->entries[i].function == 1)
			table->entries[i].ecx |= CPUID_TSC_DEADLINE;
	raw_check(ioctl(vcpu, KVM_SET_CPUID2, table), "KVM_SET_CPUID2");
	free(table);
}

static void
kvm_vcpu(struct raw *m, int dev, unsigned cpu)
{
	int size;

	m->vcpu[cpu] = raw_check(ioctl(m->vm, KVM_CREATE_VCPU, cpu),
	    "KVM_CREATE_VCPU");
	kvm_cpuid(dev, m->vcpu[cpu]);
	size = raw_check(ioctl(dev, KVM_GET_VCPU_MMAP_SIZE, 0), "run size");
	map_run(m, cpu, (size_t)size);
}

static void
kvm_open(struct raw *m)
{
	struct kvm_userspace_memory_region mem = { .memory_size = RAW_RAM };
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP };
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	unsigned cpu;
	int dev;

	dev = raw_check(open("/dev/kvm", O_RDWR), "/dev/kvm");
	m->vm = raw_check(ioctl(dev, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	if (m->irqchip == RAW_SPLIT)
		raw_check(ioctl(m->vm, KVM_ENABLE_CAP, &split), "split irqchip");
	else if (m->irqchip == RAW_IRQCHIP)
		raw_check(ioctl(m->vm, KVM_CREATE_IRQCHIP, 0), "irqchip");
	mem.userspace_addr = (uintptr_t)m->ram;
	raw_check(ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &mem), "memory");
	for (cpu = 0; cpu < m->ncpus; cpu++)
		kvm_vcpu(m, dev, cpu);
	raw_check(ioctl(m->vcpu[0], KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs.base = sregs.cs.selector = 0;
	raw_check(ioctl(m->vcpu[0], KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	memset(&regs, 0, sizeof(regs));
	regs.rip = RAW_CODE;
	regs.rflags = 2;
	raw_check(ioctl(m->vcpu[0], KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

static void
kvm_until_done(struct raw *m, unsigned cpu)
{
	struct kvm_run *run = m->run[cpu];
	int r;

	/* Once it has got its INIT. */
	do
		r = ioctl(m->vcpu[cpu], KVM_RUN, 0);
	while (r == -1 && errno == EAGAIN);
	raw_check(r, "KVM_RUN");
	if (run->exit_reason != KVM_EXIT_IO || run->io.port != RAW_DONE)
		errx(1, "kvm: CPU %u: exit %u", cpu, run->exit_reason);
}

static void
kvm_doorbell(struct raw *m, int fd)
{
	struct kvm_ioeventfd e = {
		.addr = RAW_BELL, .len = 2, .fd = fd,
		.flags = KVM_IOEVENTFD_FLAG_PIO,
	};

	raw_check(ioctl(m->vm, KVM_IOEVENTFD, &e), "KVM_IOEVENTFD");
}

static void
kvm_msi(struct raw *m, int fd, uint8_t vector)
{
	struct {
		struct kvm_irq_routing		table;
		struct kvm_irq_routing_entry	entry;
	} r = {
		.table.nr = 1,
		.entry = {
			.gsi = MSI_GSI,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi.address_lo = MSI_ADDRESS,
			.u.msi.data = vector,
		},
	};
	struct kvm_irqfd e = { .fd = fd, .gsi = MSI_GSI };

	raw_check(ioctl(m->vm, KVM_SET_GSI_ROUTING, &r), "routing");
	raw_check(ioctl(m->vm, KVM_IRQFD, &e), "KVM_IRQFD");
}

static void
on_kick(int sig)
{
	(void)sig;
}

static void
kvm_can_kick(struct raw *m)
{
	struct sigaction sa = { .sa_handler = on_kick };

	m->thread = pthread_self();
	raw_check(sigaction(SIGUSR1, &sa, NULL), "sigaction");
}

/* As its users do: the flag is for the signal that comes just too early. */
static void
kvm_kick(struct raw *m)
{
	struct kvm_run *run = m->run[0];

	__atomic_store_n(&run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(m->thread, SIGUSR1);
}

static void
kvm_until_kick(struct raw *m)
{
	struct kvm_run *run = m->run[0];

	if (ioctl(m->vcpu[0], KVM_RUN, 0) != -1 || errno != EINTR)
		errx(1, "kvm: exit %u", run->exit_reason);
	__atomic_store_n(&run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

const struct raw_ops *
raw_find(const char *name, const char *usage)
{
	static const struct raw_ops vmm = {
		vmm_open, vmm_until_done, vmm_doorbell, vmm_msi,
		vmm_can_kick, vmm_kick, vmm_until_kick
	};
	static const struct raw_ops kvm = {
		kvm_open, kvm_until_done, kvm_doorbell, kvm_msi,
		kvm_can_kick, kvm_kick, kvm_until_kick
	};

	if (name != NULL && strcmp(name, "vmm") == 0)
		return (&vmm);
	if (name != NULL && strcmp(name, "kvm") == 0)
		return (&kvm);
	errx(2, "usage: %s vmm|kvm", usage);
}

void
raw_start(struct raw *m, const struct raw_ops *ops, const char *code,
    const char *end)
{
	m->ram = mmap(NULL, RAW_RAM, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->ram == MAP_FAILED)
		err(1, "mmap");
	memcpy(m->ram + RAW_CODE, code, (size_t)(end - code));
	ops->open(m);
}

double
raw_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((double)ts.tv_sec * 1e9 + (double)ts.tv_nsec);
}
