/* SPDX-License-Identifier: ISC */
/*
 * The cost of an exit, by a minimal program on either kernel interface.
 *
 * usage: exits vmm|kvm
 *
 * Real-mode guests: one writes a port for ever, which this program handles by
 * entering again; one runs CPUID a number of times, and one writes a doorbell,
 * which the kernel handles, the eventfd having no reader.  A fourth one halts,
 * on a thread of its own that another kicks: from there to the end of the run.
 * Prints "port N", "cpuid N", "doorbell N" and "kick N": nanoseconds each,
 * which in the lab's --icount mode are instructions.
 */
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernel/vmm_uapi.h"

#define CODE_GPA	0x1000
#define RAM_SIZE	0x10000
#define ROUNDS		200000
#define BELL		0x200
#define KICKS		5000

extern const char port_code[], port_end[], cpuid_code[], cpuid_end[],
    bell_code[], bell_end[], halt_code[], halt_end[];

__asm__(
    ".pushsection .rodata\n"
    ".code16\n"
    "port_code:\n"
    "	out	%al, $0x80\n"
    "	jmp	port_code\n"
    "port_end:\n"
    "cpuid_code:\n"
    "	mov	$200000, %esi\n"
    "1:	xor	%eax, %eax\n"
    "	cpuid\n"
    "	dec	%esi\n"
    "	jnz	1b\n"
    "	out	%al, $0x80\n"
    "	hlt\n"
    "cpuid_end:\n"
    "bell_code:\n"
    "	mov	$200000, %esi\n"
    "	mov	$0x200, %dx\n"
    "1:	out	%ax, %dx\n"
    "	dec	%esi\n"
    "	jnz	1b\n"
    "	out	%al, $0x80\n"
    "	hlt\n"
    "bell_end:\n"
    "halt_code:\n"
    "	sti\n"
    "	hlt\n"
    "	jmp	halt_code\n"
    "halt_end:\n"
    ".code64\n"
    ".popsection\n");

struct machine {
	int	 vm;
	int	 vcpu;
	void	*run;
	char	*ram;
	bool	 halts;		/* in the kernel: kvm's split irqchip */
	int	 event;		/* for kicks, of vmm */
	pthread_t thread;	/* runs it, of kvm */
};

static int
check(int r, const char *what)
{
	if (r == -1)
		err(1, "%s", what);
	return (r);
}

static void
map_run(struct machine *m, size_t size)
{
	m->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu,
	    0);
	if (m->run == MAP_FAILED)
		err(1, "mmap");
}

static void
vmm_open(struct machine *m)
{
	struct vmm_memory mem = { .size = RAM_SIZE };
	struct vmm_cpuid table = { .count = VMM_MAX_CPUID };
	struct vmm_state s;
	int dev;

	dev = check(open("/dev/vmm", O_RDWR), "/dev/vmm");
	m->vm = check(ioctl(dev, VMM_CREATE_VM, 0), "VMM_CREATE_VM");
	check(ioctl(dev, VMM_GET_CPUID, &table), "VMM_GET_CPUID");
	check(ioctl(m->vm, VMM_SET_CPUID, &table), "VMM_SET_CPUID");
	mem.address = (uintptr_t)m->ram;
	check(ioctl(m->vm, VMM_SET_MEMORY, &mem), "VMM_SET_MEMORY");
	m->vcpu = check(ioctl(m->vm, VMM_CREATE_VCPU, 0), "VMM_CREATE_VCPU");
	map_run(m, sizeof(struct vmm_run));
	check(ioctl(m->vcpu, VMM_GET_STATE, &s), "VMM_GET_STATE");
	s.regs.seg[VMM_CS].base = s.regs.seg[VMM_CS].selector = 0;
	s.regs.rip = CODE_GPA;
	check(ioctl(m->vcpu, VMM_SET_STATE, &s), "VMM_SET_STATE");
}

static void
vmm_until_port(struct machine *m)
{
	struct vmm_run *run = m->run;

	do
		check(ioctl(m->vcpu, VMM_RUN, 0), "VMM_RUN");
	while (run->reason == VMM_EXIT_NONE);
	if (run->reason != VMM_EXIT_IO || run->io.port != 0x80)
		errx(1, "vmm: exit %u", run->reason);
}

static void
vmm_doorbell(struct machine *m, int fd)
{
	struct vmm_doorbell d = { .port = BELL, .size = 2, .fd = fd };

	check(ioctl(m->vm, VMM_DOORBELL, &d), "VMM_DOORBELL");
}

static void
vmm_can_kick(struct machine *m)
{
	struct vmm_irq_event e = { .line = 0 };

	e.fd = m->event = check(eventfd(0, 0), "eventfd");
	check(ioctl(m->vcpu, VMM_IRQ_EVENT, &e), "VMM_IRQ_EVENT");
}

static void
vmm_kick(struct machine *m)
{
	const uint64_t one = 1;

	if (write(m->event, &one, sizeof(one)) != sizeof(one))
		err(1, "eventfd");
}

static void
vmm_until_kick(struct machine *m)
{
	struct vmm_run *run = m->run;

	do
		check(ioctl(m->vcpu, VMM_RUN, 0), "VMM_RUN");
	while (run->irqs == 0);
}

/* KVM as the daemon's peers use it: every CPUID leaf there is. */
static void
kvm_open(struct machine *m)
{
	struct kvm_userspace_memory_region mem = { .memory_size = RAM_SIZE };
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP };
	struct kvm_cpuid2 *table;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	int dev, size;

	dev = check(open("/dev/kvm", O_RDWR), "/dev/kvm");
	m->vm = check(ioctl(dev, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	if (m->halts)
		check(ioctl(m->vm, KVM_ENABLE_CAP, &split), "split irqchip");
	mem.userspace_addr = (uintptr_t)m->ram;
	check(ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &mem), "memory");
	m->vcpu = check(ioctl(m->vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	table = calloc(1, sizeof(*table) + 256 * sizeof(table->entries[0]));
	if (table == NULL)
		err(1, "calloc");
	table->nent = 256;
	check(ioctl(dev, KVM_GET_SUPPORTED_CPUID, table), "supported CPUID");
	check(ioctl(m->vcpu, KVM_SET_CPUID2, table), "KVM_SET_CPUID2");
	free(table);
	size = check(ioctl(dev, KVM_GET_VCPU_MMAP_SIZE, 0), "run size");
	map_run(m, (size_t)size);
	check(ioctl(m->vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs.base = sregs.cs.selector = 0;
	check(ioctl(m->vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	memset(&regs, 0, sizeof(regs));
	regs.rip = CODE_GPA;
	regs.rflags = 2;
	check(ioctl(m->vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

static void
kvm_until_port(struct machine *m)
{
	struct kvm_run *run = m->run;

	check(ioctl(m->vcpu, KVM_RUN, 0), "KVM_RUN");
	if (run->exit_reason != KVM_EXIT_IO || run->io.port != 0x80)
		errx(1, "kvm: exit %u", run->exit_reason);
}

static void
kvm_doorbell(struct machine *m, int fd)
{
	struct kvm_ioeventfd e = {
		.addr = BELL, .len = 2, .fd = fd,
		.flags = KVM_IOEVENTFD_FLAG_PIO,
	};

	check(ioctl(m->vm, KVM_IOEVENTFD, &e), "KVM_IOEVENTFD");
}

static void
on_kick(int sig)
{
	(void)sig;
}

static void
kvm_can_kick(struct machine *m)
{
	struct sigaction sa = { .sa_handler = on_kick };

	m->thread = pthread_self();
	check(sigaction(SIGUSR1, &sa, NULL), "sigaction");
}

/* As its users do: the flag is for the signal that comes just too early. */
static void
kvm_kick(struct machine *m)
{
	struct kvm_run *run = m->run;

	__atomic_store_n(&run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(m->thread, SIGUSR1);
}

static void
kvm_until_kick(struct machine *m)
{
	struct kvm_run *run = m->run;

	if (ioctl(m->vcpu, KVM_RUN, 0) != -1 || errno != EINTR)
		errx(1, "kvm: exit %u", run->exit_reason);
	__atomic_store_n(&run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

struct backend {
	void	(*open)(struct machine *);
	void	(*doorbell)(struct machine *, int);
	void	(*until_port)(struct machine *);
	void	(*can_kick)(struct machine *);	/* on the vCPU's thread */
	void	(*kick)(struct machine *);
	void	(*until_kick)(struct machine *);
};

static const struct backend vmm = {
	vmm_open, vmm_doorbell, vmm_until_port,
	vmm_can_kick, vmm_kick, vmm_until_kick
};
static const struct backend kvm = {
	kvm_open, kvm_doorbell, kvm_until_port,
	kvm_can_kick, kvm_kick, kvm_until_kick
};

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (ts.tv_sec * 1e9 + ts.tv_nsec);
}

static void
start(struct machine *m, const struct backend *b, const char *code,
    const char *end)
{
	m->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->ram == MAP_FAILED)
		err(1, "mmap");
	memcpy(m->ram + CODE_GPA, code, end - code);
	b->open(m);
}

static void
bench_doorbell(const struct backend *b)
{
	struct machine m;
	uint64_t rung;
	double begin, end;
	int fd;

	fd = check(eventfd(0, EFD_NONBLOCK), "eventfd");
	start(&m, b, bell_code, bell_end);
	b->doorbell(&m, fd);
	begin = now();
	b->until_port(&m);
	end = now();
	if (read(fd, &rung, sizeof(rung)) != sizeof(rung) || rung != ROUNDS)
		errx(1, "doorbell: not every write rang");
	printf("doorbell %.0f\n", (end - begin) / ROUNDS);
}

/* One vCPU's thread and whoever kicks it. */
struct kicked {
	struct machine		 m;
	const struct backend	*b;
	sem_t			 ready;
	sem_t			 done;
	double			 end;
};

static void *
halted_vcpu(void *arg)
{
	struct kicked *k = arg;
	int i;

	k->b->can_kick(&k->m);
	for (i = 0; i < KICKS; i++) {
		sem_post(&k->ready);
		k->b->until_kick(&k->m);
		k->end = now();
		sem_post(&k->done);
	}
	return (NULL);
}

static void
bench_kick(const struct backend *b)
{
	struct kicked k = { .b = b, .m.halts = true };
	double begin, total = 0;
	pthread_t thread;
	int i;

	start(&k.m, b, halt_code, halt_end);
	sem_init(&k.ready, 0, 0);
	sem_init(&k.done, 0, 0);
	if (pthread_create(&thread, NULL, halted_vcpu, &k) != 0)
		errx(1, "pthread_create");
	for (i = 0; i < KICKS; i++) {
		sem_wait(&k.ready);
		usleep(200);		/* until it halts */
		begin = now();
		b->kick(&k.m);
		sem_wait(&k.done);
		total += k.end - begin;
	}
	pthread_join(thread, NULL);
	printf("kick %.0f\n", total / KICKS);
}

int
main(int argc, char **argv)
{
	const struct backend *b;
	struct machine m;
	double begin;
	int i;

	if (argc != 2 || (strcmp(argv[1], "vmm") && strcmp(argv[1], "kvm")))
		errx(2, "usage: exits vmm|kvm");
	b = strcmp(argv[1], "vmm") == 0 ? &vmm : &kvm;

	start(&m, b, port_code, port_end);
	b->until_port(&m);
	begin = now();
	for (i = 0; i < ROUNDS; i++)
		b->until_port(&m);
	printf("port %.0f\n", (now() - begin) / ROUNDS);

	start(&m, b, cpuid_code, cpuid_end);
	begin = now();
	b->until_port(&m);
	printf("cpuid %.0f\n", (now() - begin) / ROUNDS);
	bench_doorbell(b);
	bench_kick(b);
	return (0);
}
