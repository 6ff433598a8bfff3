/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: messages between local APICs, from calls and from eventfds. */
#include <sys/ioctl.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "devices/lapic.h"
#include "ioctl-apic.h"

#define VECTOR_NMI	2
#define MSI_BASE	0xfee00000ULL
#define MSI_TO(id)	(MSI_BASE | (uint64_t)(id) << 12)

#define ICR_TO(id)	((uint64_t)(id) << 32)
#define ICR_NMI		0x400
#define ICR_INIT	0x4500		/* asserted */
#define ICR_SIPI	0x600
#define ICR_OTHERS	0xc0000

/* Where a start-up IPI sends a vCPU, in real mode: CS is shown by OUT. */
#define START_PAGE	0x0f
GUEST_BLOB16(start_code, "mov %cs, %ax; mov $0x200, %dx; out %ax, %dx\n"
	"1: jmp 1b\n");

/* A vCPU that a thread of its own runs to the next exit. */
struct runner {
	struct guest	*g;
	pthread_t	 thread;
};

static void *
run_main(void *arg)
{
	struct runner *r = arg;

	do {
		if (ioctl(r->g->vcpu, VMM_RUN, 0) == -1)
			fail("VMM_RUN: %s", strerror(errno));
	} while (r->g->run->reason == VMM_EXIT_NONE);
	return (NULL);
}

static void
run_start(struct runner *r, struct guest *g)
{
	r->g = g;
	WANT_EQ(pthread_create(&r->thread, NULL, run_main, r), 0);
}

static void
run_join(struct runner *r, uint32_t reason)
{
	pthread_join(r->thread, NULL);
	WANT_EQ(r->g->run->reason, reason);
}

static void
join_out(struct runner *r, uint16_t port)
{
	run_join(r, VMM_EXIT_IO);
	WANT_EQ(r->g->run->io.port, port);
}

static void
send_ipi(struct guest *g, uint64_t icr)
{
	WANT(apic_wrmsr(g, X2APIC + LAPIC_ICR, icr));
}

static void
open_two(struct guest *g)
{
	apic_open(&g[0]);
	apic_vcpu(&g[0], 3, &g[1]);
	apic_enable(&g[1]);
}

/* To one that halts, and to one in guest mode; fixed, NMI, all others. */
static void
test_ipi(void)
{
	static void (*const rest[])(struct guest *) = { apic_halt, apic_spin };
	struct guest g[2];
	struct runner r;
	unsigned i;

	open_two(g);
	for (i = 0; i < 4; i++) {
		rest[i % 2](&g[1]);
		run_start(&r, &g[1]);
		usleep(i / 2 * 10000);
		send_ipi(&g[0], ICR_TO(3) | 0x55);
		join_out(&r, 0x55);
		WANT(apic_wrmsr(&g[1], X2APIC + LAPIC_EOI, 0));
		rest[i % 2](&g[1]);
		run_start(&r, &g[1]);
		usleep(i / 2 * 10000);
		send_ipi(&g[0], ICR_OTHERS | 0x56);
		join_out(&r, 0x56);
		WANT(apic_wrmsr(&g[1], X2APIC + LAPIC_EOI, 0));
		WANT_EQ(apic_word(&g[0], LAPIC_IRR, 0x56), 0);
	}
	/* It waits in the kernel: the other might kick it. */
	apic_stop(&g[1]);
	run_start(&r, &g[1]);
	usleep(10000);
	send_ipi(&g[0], ICR_TO(3) | ICR_NMI);
	join_out(&r, VECTOR_NMI);
}

/* To nobody: an id without vCPU, and one beyond all of them. */
static void
test_ipi_absent(void)
{
	struct guest g[2];

	open_two(g);
	send_ipi(&g[0], ICR_TO(1) | 0x55);
	send_ipi(&g[0], ICR_TO(64) | 0x55);
	send_ipi(&g[0], ICR_TO(0x7fffffff) | 0x55);
	close(g[1].vcpu);
	send_ipi(&g[0], ICR_TO(3) | 0x55);
	send_ipi(&g[0], ICR_TO(3) | ICR_INIT);
	send_ipi(&g[0], ICR_OTHERS | 0x55);
	WANT_EQ(apic_word(&g[0], LAPIC_IRR, 0x55), 0);
}

static void
want_started(struct guest *g)
{
	guest_get(g, &g->now);
	WANT_EQ(g->run->io.data & 0xffff, START_PAGE << 8);
	WANT_EQ(g->now.regs.seg[VMM_CS].base, START_PAGE << 12);
	WANT_EQ(g->now.regs.efer, 0);
	WANT_EQ(g->now.regs.cr0 & 0x80000001, 0);
}

/* It waits, is started, and stopped wherever it is; then once more. */
static void
test_ipi_start(void)
{
	struct guest g[2];
	struct runner r;
	unsigned i;

	apic_open(&g[0]);
	memcpy(g[0].ram + (START_PAGE << 12), start_code,
	    start_code_end - start_code);
	guest_vcpu(&g[0], 3, &g[1]);
	run_start(&r, &g[1]);
	run_join(&r, VMM_EXIT_HLT);
	WANT_EQ(g[1].run->halted, VMM_HALTED_SIPI);
	for (i = 0; i < 4; i++) {
		run_start(&r, &g[1]);
		usleep(i % 2 * 10000);
		/* An interrupt starts nothing. */
		send_ipi(&g[0], ICR_TO(3) | 0x55);
		send_ipi(&g[0], ICR_TO(3) | ICR_SIPI | START_PAGE);
		join_out(&r, 0x200);
		want_started(&g[1]);
		/* One more does nothing, and then it is stopped. */
		run_start(&r, &g[1]);
		send_ipi(&g[0], ICR_TO(3) | ICR_SIPI | START_PAGE);
		usleep(i / 2 * 10000);
		send_ipi(&g[0], ICR_TO(3) | ICR_INIT);
		run_join(&r, VMM_EXIT_HLT);
		WANT_EQ(g[1].run->halted, VMM_HALTED_SIPI);
		guest_get(&g[1], &g[1].now);
		WANT_EQ(g[1].now.stuck, 1);
		WANT_EQ(g[1].now.regs.rip, 0xfff0);
	}
}

#define SYSTEM_TIME	0x4b564d01
#define STEAL_TIME	0x4b564d03
#define PV_EOI		0x4b564d04
#define PAGE_CLOCK	0xe000
#define PAGE_STEAL	0xf000
#define PAGE_EOI	0xf800

/* What INIT leaves as it was. */
static void
test_ipi_init(void)
{
	struct vmm_state s;
	struct guest g[2];
	uint64_t val;

	open_two(g);
	WANT(apic_wrmsr(&g[1], SYSTEM_TIME, PAGE_CLOCK | 1));
	WANT(apic_wrmsr(&g[1], STEAL_TIME, PAGE_STEAL | 1));
	WANT(apic_wrmsr(&g[1], PV_EOI, PAGE_EOI | 1));
	guest_get(&g[1], &s);
	s.pat = 0x0606060606060606ULL;
	s.lstar = 0x123456;
	s.cr8 = 5;
	s.xcr0 = 3;
	guest_set(&g[1], &s);
	send_ipi(&g[0], ICR_TO(3) | 0x55);
	send_ipi(&g[0], ICR_TO(3) | ICR_INIT);
	guest_run(&g[1], VMM_EXIT_HLT);
	WANT_EQ(g[1].now.pat, 0x0606060606060606ULL);
	WANT_EQ(g[1].now.lstar, 0x123456);
	WANT_EQ(g[1].now.xcr0, 3);
	WANT_EQ(g[1].now.cr8, 0);
	WANT_EQ(g[1].now.regs.cr0, 0x10);
	guest_start(&g[0], GUEST_CODE, &g[1]);
	WANT(apic_rdmsr(&g[1], APIC_BASE, &val));
	WANT_EQ(val, BASE_X2APIC);
	WANT_EQ(apic_word(&g[1], LAPIC_IRR, 0x55), 0);
	WANT_EQ(apic_reg(&g[1], LAPIC_SVR), 0xff);
	/* The guest's memory is written to no more. */
	WANT(apic_rdmsr(&g[1], SYSTEM_TIME, &val));
	WANT_EQ(val, 0);
	WANT(apic_rdmsr(&g[1], STEAL_TIME, &val));
	WANT_EQ(val, 0);
	WANT(apic_rdmsr(&g[1], PV_EOI, &val));
	WANT_EQ(val, 0);
}

static void
test_msi(void)
{
	struct vmm_msi m = { .addr = MSI_BASE, .data = 0x44 };
	struct guest g[2];
	unsigned i, n;

	open_two(g);
	WANT_ERRNO(msi_send(&g[0], MSI_TO(3), 0x44), 0);
	apic_spin(&g[1]);
	guest_vector(&g[1], 0x44);
	WANT(apic_wrmsr(&g[1], X2APIC + LAPIC_EOI, 0));
	/* Nobody's, but a message. */
	WANT_ERRNO(msi_send(&g[0], MSI_TO(1), 0x44), 0);
	WANT_ERRNO(msi_send(&g[0], MSI_TO(254), 0x44), 0);
	WANT_ERRNO(msi_send(&g[0], MSI_TO(255), 0x45), 0);
	for (i = 0; i < 2; i++)
		WANT_EQ(apic_word(&g[i], LAPIC_IRR, 0x45), 1 << 5);
	/* Lowest priority: one of them. */
	WANT_ERRNO(msi_send(&g[0], MSI_TO(255), 0x100 | 0x46), 0);
	for (i = n = 0; i < 2; i++)
		n += apic_word(&g[i], LAPIC_IRR, 0x46) >> 6 & 1;
	WANT_EQ(n, 1);
	WANT_ERRNO(msi_send(&g[0], 0xfef00000, 0x44), EINVAL);
	WANT_ERRNO(msi_send(&g[0], 0xfedff000, 0x44), EINVAL);
	WANT_ERRNO(msi_send(&g[0], 1ULL << 32 | MSI_BASE, 0x44), EINVAL);
	WANT_ERRNO(msi_send(&g[0], MSI_BASE, 0x200), EINVAL);
	m.flags = 1;
	WANT_ERRNO(ioctl(g[0].vm, VMM_MSI, &m), EINVAL);
	WANT_ERRNO(ioctl(g[0].vm, VMM_MSI, NULL), EFAULT);
	WANT_ERRNO(ioctl(g[0].vcpu, VMM_MSI, &m), ENOTTY);
}

static int
bind_msi(const struct guest *g, unsigned slot, int fd, uint64_t addr,
    uint32_t data)
{
	struct vmm_msi_event e = {
		.slot = slot, .fd = fd, .addr = addr, .data = data,
		.flags = fd == -1 ? VMM_EVENT_REMOVE : 0,
	};

	return (ioctl(g->vm, VMM_MSI_EVENT, &e));
}

static bool
is_pending(struct guest *g, uint8_t vector)
{
	return (apic_word(g, LAPIC_IRR, vector) >> vector % 32 & 1);
}

/* Bound, with another message, another eventfd; what waits is not lost. */
static void
test_msi_event(void)
{
	struct guest g;
	int fd[2] = { event_open(), event_open() };

	apic_open(&g);
	event_signal(fd[0]);
	WANT_ERRNO(bind_msi(&g, 3999, fd[0], MSI_BASE, 0x41), 0);
	WANT(is_pending(&g, 0x41));
	WANT_EQ(event_count(fd[0]), 0);
	WANT_ERRNO(bind_msi(&g, 3999, fd[0], MSI_BASE, 0x42), 0);
	WANT(!is_pending(&g, 0x42));
	event_signal(fd[0]);
	WANT(is_pending(&g, 0x42));
	event_signal(fd[1]);
	WANT_ERRNO(bind_msi(&g, 3999, fd[1], MSI_BASE, 0x43), 0);
	WANT(is_pending(&g, 0x43));
	event_signal(fd[0]);
	event_signal(fd[0]);
	WANT_EQ(event_count(fd[0]), 2);
	WANT_ERRNO(bind_msi(&g, 0, fd[0], MSI_BASE, 0x44), 0);
	WANT_ERRNO(bind_msi(&g, 3999, -1, 0, 0), 0);
	WANT_ERRNO(bind_msi(&g, 3999, -1, 0, 0), ENOENT);
	event_signal(fd[1]);
	event_signal(fd[1]);
	WANT_EQ(event_count(fd[1]), 2);
	WANT(!is_pending(&g, 0x44));
	/* The driver keeps what the descriptor stood for. */
	close(fd[0]);
	WANT_ERRNO(bind_msi(&g, 0, -1, 0, 0), 0);
}

static void
test_msi_event_fields(void)
{
	struct vmm_msi_event e, good = { .addr = MSI_BASE, .data = 0x41 };
	struct guest g;
	int pipefd[2], other;

	apic_open(&g);
	WANT_ERRNO(pipe(pipefd), 0);
	good.fd = event_open();
	WANT_ERRNO(bind_msi(&g, VMM_MAX_MSI_EVENTS, good.fd, MSI_BASE, 0x41),
	    EINVAL);
	WANT_ERRNO(bind_msi(&g, 0, good.fd, 0xfed00000, 0x41), EINVAL);
	WANT_ERRNO(bind_msi(&g, 0, good.fd, MSI_BASE, 0x241), EINVAL);
	WANT_ERRNO(bind_msi(&g, 0, pipefd[0], MSI_BASE, 0x41), EINVAL);
	WANT_ERRNO(bind_msi(&g, 0, 1000, MSI_BASE, 0x41), EBADF);
	WANT_ERRNO(bind_msi(&g, 0, -1, MSI_BASE, 0), EINVAL);
	WANT_ERRNO(bind_msi(&g, 0, -1, 0, 0x41), EINVAL);
	WANT_ERRNO(bind_msi(&g, 0, -1, 0, 0), ENOENT);
	e = good;
	e.flags = VMM_EVENT_REMOVE << 1;
	WANT_ERRNO(ioctl(g.vm, VMM_MSI_EVENT, &e), EINVAL);
	e = good;
	e.reserved = 1;
	WANT_ERRNO(ioctl(g.vm, VMM_MSI_EVENT, &e), EINVAL);
	WANT_ERRNO(ioctl(g.vm, VMM_MSI_EVENT, NULL), EFAULT);
	WANT_ERRNO(ioctl(g.vcpu, VMM_MSI_EVENT, &good), ENOTTY);
	WANT_ERRNO(ioctl(g.vm, VMM_MSI_EVENT, &good), 0);
	/* A change that is refused leaves what was. */
	WANT_ERRNO(bind_msi(&g, 0, 1000, MSI_BASE, 0x42), EBADF);
	WANT_ERRNO(bind_msi(&g, 0, good.fd, 0, 0x42), EINVAL);
	WANT_ERRNO(bind_msi(&g, 0, pipefd[0], MSI_BASE, 0x42), EINVAL);
	other = event_open();
	WANT_ERRNO(bind_msi(&g, 1, other, MSI_BASE, 0x43), 0);
	WANT_ERRNO(bind_msi(&g, 0, other, MSI_BASE, 0x42), EBUSY);
	WANT_ERRNO(bind_msi(&g, 2, other, MSI_BASE, 0x42), EBUSY);
	WANT_ERRNO(bind_msi(&g, 2, -1, 0, 0), ENOENT);
	event_signal(other);
	WANT(is_pending(&g, 0x43));
	WANT(!is_pending(&g, 0x42));
	event_signal(good.fd);
	WANT(is_pending(&g, 0x41));
}

#define STORM	300

static void *
storm(void *arg)
{
	struct guest *g = arg;
	int fd = event_open();
	unsigned i;

	for (i = 0; i < STORM; i++) {
		WANT_ERRNO(bind_msi(g, 7, fd, MSI_TO(3), 0x47), 0);
		event_signal(fd);
		if (i % 3 == 0)
			WANT_ERRNO(bind_msi(g, 7, -1, 0, 0), 0);
	}
	WANT_ERRNO(bind_msi(g, 7, -1, 0, 0), 0);
	WANT_ERRNO(bind_msi(g, 8, fd, MSI_TO(3), 0x88), 0);
	event_signal(fd);
	return (NULL);
}

/* Wherever the vCPU is, and whatever is bound meanwhile: the last comes. */
static void
msi_storm(void (*rest)(struct guest *))
{
	struct guest g[2];
	pthread_t thread;
	uint16_t port;

	open_two(g);
	WANT_EQ(pthread_create(&thread, NULL, storm, &g[0]), 0);
	do {
		rest(&g[1]);
		guest_run(&g[1], VMM_EXIT_IO);
		port = g[1].run->io.port;
		WANT(port == 0x47 || port == 0x88);
		WANT(apic_wrmsr(&g[1], X2APIC + LAPIC_EOI, 0));
	} while (port != 0x88);
	pthread_join(thread, NULL);
	close(g[1].vcpu);
	close(g[0].vcpu);
	close(g[0].vm);
}

static void
test_msi_storm(void)
{
	msi_storm(apic_halt);
	msi_storm(apic_spin);
}

const struct test tests_ipi[] = {
	{ "ipi",		test_ipi },
	{ "ipi-absent",		test_ipi_absent },
	{ "ipi-start",		test_ipi_start },
	{ "ipi-init",		test_ipi_init },
	{ "msi",		test_msi },
	{ "msi-event",		test_msi_event },
	{ "msi-event-fields",	test_msi_event_fields },
	{ "msi-storm",		test_msi_storm },
	{ NULL,			NULL }
};
