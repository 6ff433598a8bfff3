/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: the local APIC of one vCPU, its timer, and messages to it. */
#include <sys/ioctl.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "devices/lapic.h"
#include "ioctl-apic.h"

#define PORT_DONE	0x100
#define VECTOR_NMI	2
#define VECTOR_GP	13
#define MS		1000000ULL	/* ns */

extern const uint8_t apic_wr[], apic_rd[], apic_wr_cr8[], apic_rd_cr8[],
    apic_hlt[], apic_jmp[], apic_cli_hlt[], apic_window[], apic_opened[];

GUEST_BLOB64(apic_code,
	"apic_wr: wrmsr; jmp 1f\n"
	"apic_rd: rdmsr; jmp 1f\n"
	"apic_wr_cr8: mov %rax, %cr8; jmp 1f\n"
	"apic_rd_cr8: mov %cr8, %rax; jmp 1f\n"
	"1: mov %edx, %esi\n"
	"mov $0x100, %edx\n"
	"out %eax, %dx\n"
	"apic_hlt: sti; hlt; jmp apic_hlt\n"
	"apic_jmp: sti\n"
	"1: jmp 1b\n"
	"apic_cli_hlt: cli; hlt; jmp apic_cli_hlt\n"
	"apic_window: sti; nop\n"
	"apic_opened: hlt\n");

static void
go_to(struct guest *g, const uint8_t *where)
{
	struct vmm_state s;

	guest_get(g, &s);
	s.regs.rip = GUEST_ADDR(apic_code, where);
	s.regs.rflags = 2;
	s.regs.gpr[VMM_RSP] = GUEST_STACK - g->id * 1024;
	s.halted = VMM_HALTED_NO;
	s.shadow = 0;
	guest_set(g, &s);
}

static bool
perform(struct guest *g, const uint8_t *where, uint32_t reg, uint64_t val)
{
	struct vmm_state s;

	go_to(g, where);
	guest_get(g, &s);
	s.regs.gpr[VMM_RCX] = reg;
	s.regs.gpr[VMM_RAX] = where == apic_wr ? (uint32_t)val : val;
	s.regs.gpr[VMM_RDX] = val >> 32;
	guest_set(g, &s);
	guest_run(g, VMM_EXIT_IO);
	if (g->run->io.port != PORT_DONE && g->run->io.port != VECTOR_GP)
		fail("port %#x", g->run->io.port);
	return (g->run->io.port == PORT_DONE);
}

bool
apic_wrmsr(struct guest *g, uint32_t msr, uint64_t val)
{
	return (perform(g, apic_wr, msr, val));
}

bool
apic_rdmsr(struct guest *g, uint32_t msr, uint64_t *val)
{
	if (!perform(g, apic_rd, msr, 0))
		return (false);
	*val = g->now.regs.gpr[VMM_RSI] << 32 | (uint32_t)guest_rax(g);
	return (true);
}

uint64_t
apic_reg(struct guest *g, uint32_t reg)
{
	uint64_t val;

	WANT(apic_rdmsr(g, X2APIC + reg, &val));
	return (val);
}

void
apic_set_cr8(struct guest *g, uint64_t val)
{
	WANT(perform(g, apic_wr_cr8, 0, val));
}

uint64_t
apic_cr8(struct guest *g)
{
	WANT(perform(g, apic_rd_cr8, 0, 0));
	return (guest_rax(g));
}

void
apic_halt(struct guest *g)
{
	go_to(g, apic_hlt);
}

void
apic_spin(struct guest *g)
{
	go_to(g, apic_jmp);
}

void
apic_stop(struct guest *g)
{
	go_to(g, apic_cli_hlt);
}

uint32_t
apic_word(struct guest *g, uint32_t reg, uint8_t vector)
{
	return (apic_reg(g, reg + vector / 32));
}

void
apic_enable(struct guest *g)
{
	WANT(apic_wrmsr(g, APIC_BASE, BASE_X2APIC | (g->id ? 0 : 0x100)));
	WANT(apic_wrmsr(g, X2APIC + LAPIC_SVR, 0x1ff));
}

void
apic_open(struct guest *g)
{
	guest_open(g);
	GUEST_LONG(g, apic_code);
	apic_enable(g);
}

void
apic_vcpu(const struct guest *g, unsigned id, struct guest *other)
{
	guest_vcpu(g, id, other);
	guest_start(g, GUEST_CODE, other);
}

int
msi_send(const struct guest *g, uint64_t addr, uint32_t data)
{
	struct vmm_msi m = { .addr = addr, .data = data };

	return (ioctl(g->vm, VMM_MSI, &m));
}

/* Each in its mode only, with the id of the vCPU, and not what is reserved. */
static void
test_apic_registers(void)
{
	struct guest g, other;
	uint64_t val;

	guest_open(&g);
	GUEST_LONG(&g, apic_code);
	WANT(apic_rdmsr(&g, APIC_BASE, &val));
	WANT_EQ(val, 0xfee00900);
	WANT(!apic_rdmsr(&g, X2APIC + LAPIC_ID, &val));
	WANT(!apic_wrmsr(&g, APIC_BASE, 0xfee00500));
	WANT(!apic_wrmsr(&g, APIC_BASE, 0xfed00900));
	apic_enable(&g);
	WANT(apic_rdmsr(&g, APIC_BASE, &val));
	WANT_EQ(val, 0xfee00d00);
	WANT_EQ(apic_reg(&g, LAPIC_ID), 0);
	WANT_EQ(apic_reg(&g, LAPIC_VERSION) & 0xff, 0x14);
	WANT(!apic_rdmsr(&g, X2APIC + LAPIC_EOI, &val));
	WANT(!apic_rdmsr(&g, X2APIC + 0xff, &val));
	WANT(!apic_wrmsr(&g, X2APIC + LAPIC_VERSION, 0));
	WANT(!apic_wrmsr(&g, X2APIC + LAPIC_TPR, 0x100));
	WANT(!apic_wrmsr(&g, X2APIC + LAPIC_EOI, 1));
	apic_vcpu(&g, 63, &other);
	WANT(apic_rdmsr(&other, APIC_BASE, &val));
	WANT_EQ(val, 0xfee00800);
	apic_enable(&other);
	WANT_EQ(apic_reg(&other, LAPIC_ID), 63);
}

/* CR8 and TPR are one, also for who sets the state. */
static void
test_apic_cr8(void)
{
	struct vmm_state s;
	struct guest g;

	apic_open(&g);
	WANT_EQ(apic_cr8(&g), 0);
	WANT(apic_wrmsr(&g, X2APIC + LAPIC_TPR, 0x73));
	WANT_EQ(apic_cr8(&g), 7);
	apic_set_cr8(&g, 12);
	WANT_EQ(apic_reg(&g, LAPIC_TPR), 0xc0);
	WANT_EQ(g.now.cr8, 12);
	s = g.now;
	s.cr8 = 3;
	guest_set(&g, &s);
	WANT_EQ(apic_reg(&g, LAPIC_TPR), 0x30);
	WANT(apic_wrmsr(&g, APIC_BASE, 0xfee00100));
	WANT_EQ(apic_cr8(&g), 0);
}

static void
send_self(struct guest *g, uint8_t vector)
{
	WANT(apic_wrmsr(g, X2APIC + LAPIC_SELF, vector));
}

/* Pending, in service, ended; the greater first. */
static void
test_apic_self(void)
{
	struct guest g;

	apic_open(&g);
	send_self(&g, 0x51);
	send_self(&g, 0xff);
	WANT_EQ(apic_word(&g, LAPIC_IRR, 0x51), 1 << 17);
	apic_halt(&g);
	guest_vector(&g, 0xff);
	WANT_EQ(apic_word(&g, LAPIC_ISR, 0xff), 1U << 31);
	/* The other waits for its end. */
	apic_halt(&g);
	signal_after(20000);
	guest_run(&g, VMM_EXIT_NONE);
	WANT_EQ(g.run->halted, VMM_HALTED_HLT);
	WANT(apic_wrmsr(&g, X2APIC + LAPIC_EOI, 0));
	apic_spin(&g);
	guest_vector(&g, 0x51);
	WANT_EQ(apic_word(&g, LAPIC_ISR, 0x51), 1 << 17);
	WANT_EQ(apic_word(&g, LAPIC_IRR, 0x51), 0);
	WANT(apic_wrmsr(&g, X2APIC + LAPIC_EOI, 0));
	WANT_EQ(apic_word(&g, LAPIC_ISR, 0x51), 0);
}

/* As soon as the guest can take it, and no earlier. */
static void
test_apic_window(void)
{
	struct guest g;
	uint64_t rip;

	apic_open(&g);
	send_self(&g, 0x40);
	go_to(&g, apic_window);
	guest_vector(&g, 0x40);
	memcpy(&rip, g.ram + g.now.regs.gpr[VMM_RSP], sizeof(rip));
	WANT_EQ(rip, GUEST_ADDR(apic_code, apic_opened));
}

/* One of class 4 is held up while that is the priority. */
static void
held_up(struct guest *g)
{
	send_self(g, 0x4f);
	apic_halt(g);
	signal_after(20000);
	guest_run(g, VMM_EXIT_NONE);
	WANT_EQ(g->run->halted, VMM_HALTED_HLT);
	apic_spin(g);
	signal_after(20000);
	guest_run(g, VMM_EXIT_NONE);
	WANT(g->run->exits < 1000);
}

/* TPR holds up its class and those below, until it is lowered: either way. */
static void
test_apic_priority(void)
{
	struct guest g;

	apic_open(&g);
	WANT(apic_wrmsr(&g, X2APIC + LAPIC_TPR, 0x40));
	held_up(&g);
	WANT(apic_wrmsr(&g, X2APIC + LAPIC_TPR, 0x3f));
	apic_spin(&g);
	guest_vector(&g, 0x4f);
	WANT(apic_wrmsr(&g, X2APIC + LAPIC_EOI, 0));
	apic_set_cr8(&g, 4);
	held_up(&g);
	apic_set_cr8(&g, 3);
	apic_spin(&g);
	guest_vector(&g, 0x4f);
}

/* The PIC's interrupts pass only if LINT0 lets them, or without an APIC. */
static void
test_apic_extint(void)
{
	struct guest g;

	apic_open(&g);
	apic_spin(&g);
	g.run->intr_window = 1;
	guest_run(&g, VMM_EXIT_INTR_WINDOW);
	WANT_EQ(g.run->intr_ready, 1);
	g.run->intr_window = 0;
	WANT(apic_wrmsr(&g, X2APIC + LAPIC_LVT + LAPIC_LVT_LINT0, 0x10700));
	apic_spin(&g);
	g.run->intr_window = 1;
	signal_after(20000);
	guest_run(&g, VMM_EXIT_NONE);
	WANT_EQ(g.run->intr_ready, 0);
	g.run->inject = 1;
	WANT_ERRNO(ioctl(g.vcpu, VMM_RUN, 0), EAGAIN);
	g.run->inject = g.run->intr_window = 0;
	WANT(apic_wrmsr(&g, X2APIC + LAPIC_LVT + LAPIC_LVT_LINT0, 0x700));
	apic_spin(&g);
	g.run->intr_window = 1;
	guest_run(&g, VMM_EXIT_INTR_WINDOW);
	g.run->intr_window = 0;
	WANT(apic_wrmsr(&g, APIC_BASE, 0xfee00100));
	apic_spin(&g);
	g.run->intr_window = 1;
	guest_run(&g, VMM_EXIT_INTR_WINDOW);
}

enum { ONE_SHOT, PERIODIC, DEADLINE };

#define TIMER_VECTOR	0x61
#define TIMER_NS	(3 * MS)

static void
timer_arm(struct guest *g, int mode)
{
	struct vmm_info info;

	switch (mode) {
	case DEADLINE:
		WANT_ERRNO(ioctl(g->dev, VMM_GET_INFO, &info), 0);
		guest_get(g, &g->now);
		WANT(apic_wrmsr(g, TSC_DEADLINE, g->now.tsc +
		    TIMER_NS * info.tsc_khz / 1000000));
		break;
	default:
		WANT(apic_wrmsr(g, X2APIC + LAPIC_TMICT, TIMER_NS / 2));
		break;
	}
}

/* Never early, and of many tries one is on time; beats may be left out. */
static void
timer(int mode, void (*rest)(struct guest *))
{
	static const uint32_t lvt[] = {
		0, LAPIC_LVT_PERIODIC, LAPIC_LVT_DEADLINE,
	};
	uint64_t start = 0, ns, late, best = ~0ULL;
	struct guest g;
	unsigned i;

	apic_open(&g);
	WANT(apic_wrmsr(&g, X2APIC + LAPIC_LVT + LAPIC_LVT_TIMER,
	    lvt[mode] | TIMER_VECTOR));
	for (i = 0; i < 20; i++) {
		if (mode != PERIODIC || i == 0) {
			start = now_ns();
			timer_arm(&g, mode);
		}
		rest(&g);
		guest_vector(&g, TIMER_VECTOR);
		ns = now_ns() - start;
		WANT(apic_wrmsr(&g, X2APIC + LAPIC_EOI, 0));
		WANT(ns >= TIMER_NS * (mode == PERIODIC ? i + 1 : 1));
		late = mode == PERIODIC ? ns % TIMER_NS : ns - TIMER_NS;
		if (late < best)
			best = late;
	}
	if (best > 2 * MS)
		fail("mode %d: %llu ns late", mode, (unsigned long long)best);
	WANT(mode != DEADLINE || apic_reg(&g, LAPIC_TMCCT) == 0);
}

static void
test_apic_timer(void)
{
	int mode;

	for (mode = ONE_SHOT; mode <= DEADLINE; mode++) {
		timer(mode, apic_halt);
		timer(mode, apic_spin);
	}
}

/* A deadline in the past comes at once; 0 and another mode disarm. */
static void
test_apic_deadline(void)
{
	const uint32_t lvt = X2APIC + LAPIC_LVT + LAPIC_LVT_TIMER;
	struct guest g;
	uint64_t val;

	apic_open(&g);
	WANT(apic_wrmsr(&g, lvt, LAPIC_LVT_DEADLINE | TIMER_VECTOR));
	WANT(apic_wrmsr(&g, TSC_DEADLINE, 1));
	apic_spin(&g);
	guest_vector(&g, TIMER_VECTOR);
	WANT(apic_wrmsr(&g, X2APIC + LAPIC_EOI, 0));
	WANT(apic_rdmsr(&g, TSC_DEADLINE, &val));
	WANT_EQ(val, 0);
	WANT(apic_wrmsr(&g, TSC_DEADLINE, ~0ULL));
	WANT(apic_rdmsr(&g, TSC_DEADLINE, &val));
	WANT_EQ(val, ~0ULL);
	guest_get(&g, &g.now);
	WANT(apic_wrmsr(&g, TSC_DEADLINE, g.now.tsc + 10000000));
	WANT(apic_wrmsr(&g, TSC_DEADLINE, 0));
	apic_halt(&g);
	signal_after(50000);
	guest_run(&g, VMM_EXIT_NONE);
	WANT_EQ(g.run->halted, VMM_HALTED_HLT);
	WANT(apic_wrmsr(&g, lvt, TIMER_VECTOR));
	WANT(apic_wrmsr(&g, TSC_DEADLINE, 1));
	WANT(apic_rdmsr(&g, TSC_DEADLINE, &val));
	WANT_EQ(val, 0);
}

/* Ends of what a level has triggered are told, others not. */
static void
test_apic_eoi(void)
{
	struct guest g;

	apic_open(&g);
	WANT_ERRNO(msi_send(&g, 0xfee00000, 0x8000 | 0x71), 0);
	WANT_ERRNO(msi_send(&g, 0xfee00000, 0x33), 0);
	apic_halt(&g);
	guest_vector(&g, 0x71);
	go_to(&g, apic_wr);
	guest_get(&g, &g.now);
	g.now.regs.gpr[VMM_RCX] = X2APIC + LAPIC_EOI;
	g.now.regs.gpr[VMM_RAX] = g.now.regs.gpr[VMM_RDX] = 0;
	guest_set(&g, &g.now);
	guest_run(&g, VMM_EXIT_EOI);
	WANT_EQ(g.run->eoi.vector, 0x71);
	guest_out(&g, PORT_DONE);
	apic_halt(&g);
	guest_vector(&g, 0x33);
	WANT(apic_wrmsr(&g, X2APIC + LAPIC_EOI, 0));
}

static int
access_reg(struct guest *g, uint32_t offset, uint32_t flags,
    struct vmm_apic_access *a)
{
	a->offset = offset;
	a->flags = flags;
	return (ioctl(g->vcpu, VMM_APIC_ACCESS, a));
}

/* The same registers by the daemon's hand, in xAPIC mode alone. */
static void
test_apic_access(void)
{
	struct vmm_apic_access a = { .value = 0 };
	struct guest g, other;

	guest_open(&g);
	GUEST_LONG(&g, apic_code);
	apic_vcpu(&g, 5, &other);
	WANT_ERRNO(access_reg(&other, LAPIC_ID << 4, 0, &a), 0);
	WANT_EQ(a.value, 5 << 24);
	a.value = 0x1ff;
	WANT_ERRNO(access_reg(&g, LAPIC_SVR << 4, VMM_APIC_WRITE, &a), 0);
	WANT_EQ(a.eoi, 0);
	a.value = 0x20;
	WANT_ERRNO(access_reg(&g, LAPIC_TPR << 4, VMM_APIC_WRITE, &a), 0);
	WANT_EQ(apic_cr8(&g), 2);
	WANT_ERRNO(msi_send(&g, 0xfee00000, 0x8000 | 0x71), 0);
	WANT_ERRNO(access_reg(&g, (LAPIC_IRR + 3) << 4, 0, &a), 0);
	WANT_EQ(a.value, 1 << 17);
	apic_halt(&g);
	guest_vector(&g, 0x71);
	WANT_ERRNO(access_reg(&g, LAPIC_EOI << 4, VMM_APIC_WRITE, &a), 0);
	WANT_EQ(a.eoi, 0x71);
	/* An IPI to itself. */
	a.value = 0x40000 | 0x72;
	WANT_ERRNO(access_reg(&g, LAPIC_ICR << 4, VMM_APIC_WRITE, &a), 0);
	apic_halt(&g);
	guest_vector(&g, 0x72);
	WANT_ERRNO(access_reg(&g, 0x1000, 0, &a), EINVAL);
	WANT_ERRNO(access_reg(&g, 0xff0, 0, &a), 0);
	WANT_ERRNO(access_reg(&g, 0x24, 0, &a), EINVAL);
	WANT_ERRNO(access_reg(&g, 0x20, VMM_APIC_WRITE << 1, &a), EINVAL);
	a.reserved2[1] = 1;
	WANT_ERRNO(access_reg(&g, 0x20, 0, &a), EINVAL);
	a.reserved2[1] = 0;
	a.reserved[2] = 1;
	WANT_ERRNO(access_reg(&g, 0x20, 0, &a), EINVAL);
	a.reserved[2] = 0;
	WANT_ERRNO(ioctl(g.vcpu, VMM_APIC_ACCESS, NULL), EFAULT);
	WANT_ERRNO(ioctl(g.vm, VMM_APIC_ACCESS, &a), ENOTTY);
	apic_enable(&g);
	WANT_ERRNO(access_reg(&g, 0x20, 0, &a), ENXIO);
	WANT(apic_wrmsr(&g, APIC_BASE, 0xfee00100));
	WANT_ERRNO(access_reg(&g, 0x20, 0, &a), ENXIO);
}

/* What was there goes on, the timer by the time that has passed. */
static void
test_apic_state(void)
{
	struct vmm_apic a, b;
	struct lapic l;
	struct guest g, other;

	apic_open(&g);
	WANT(apic_wrmsr(&g, X2APIC + LAPIC_LVT + LAPIC_LVT_TIMER,
	    TIMER_VECTOR));
	WANT(apic_wrmsr(&g, X2APIC + LAPIC_TPR, 0x20));
	/* Of a higher class than the timer's, which may be due any moment. */
	WANT_ERRNO(msi_send(&g, 0xfee00000, 0x75), 0);
	timer_arm(&g, ONE_SHOT);
	WANT_ERRNO(ioctl(g.vcpu, VMM_GET_APIC, &a), 0);
	WANT(apic_wrmsr(&g, APIC_BASE, 0xfee00100));
	WANT(apic_wrmsr(&g, APIC_BASE, 0xfee00900));
	WANT_ERRNO(ioctl(g.vcpu, VMM_SET_APIC, &a), 0);
	WANT_EQ(apic_cr8(&g), 2);
	apic_halt(&g);
	guest_vector(&g, 0x75);
	WANT(apic_wrmsr(&g, X2APIC + LAPIC_EOI, 0));
	apic_halt(&g);
	guest_vector(&g, TIMER_VECTOR);
	memcpy(&l, a.state, sizeof(l));
	l.icr = 0xf00000;
	b = a;
	memcpy(b.state, &l, sizeof(l));
	WANT_ERRNO(ioctl(g.vcpu, VMM_SET_APIC, &b), EINVAL);
	b = a;
	b.state[sizeof(b.state) - 1] = 1;
	WANT_ERRNO(ioctl(g.vcpu, VMM_SET_APIC, &b), EINVAL);
	WANT_ERRNO(ioctl(g.vcpu, VMM_SET_APIC, NULL), EFAULT);
	WANT_ERRNO(ioctl(g.vcpu, VMM_GET_APIC, NULL), EFAULT);
	guest_vcpu(&g, 1, &other);
	WANT_ERRNO(ioctl(other.vcpu, VMM_SET_APIC, &a), EINVAL);
}

/* HLT without interrupts: an interrupt does not end it, an NMI does. */
static void
test_apic_stuck(void)
{
	struct guest g;

	apic_open(&g);
	apic_stop(&g);
	guest_run(&g, VMM_EXIT_HLT);
	WANT_EQ(g.now.stuck, 1);
	WANT_ERRNO(msi_send(&g, 0xfee00000, 0x45), 0);
	signal_after(20000);
	guest_run(&g, VMM_EXIT_NONE);
	WANT_EQ(g.run->halted, VMM_HALTED_HLT);
	WANT_ERRNO(msi_send(&g, 0xfee00000, 0x400), 0);
	guest_get(&g, &g.now);
	WANT_EQ(g.now.stuck, 0);
	guest_vector(&g, VECTOR_NMI);
	WANT_EQ(g.run->halted, 0);
}

const struct test tests_apic[] = {
	{ "apic-registers",	test_apic_registers },
	{ "apic-cr8",		test_apic_cr8 },
	{ "apic-self",		test_apic_self },
	{ "apic-window",	test_apic_window },
	{ "apic-priority",	test_apic_priority },
	{ "apic-extint",	test_apic_extint },
	{ "apic-timer",		test_apic_timer },
	{ "apic-deadline",	test_apic_deadline },
	{ "apic-eoi",		test_apic_eoi },
	{ "apic-access",	test_apic_access },
	{ "apic-state",		test_apic_state },
	{ "apic-stuck",		test_apic_stuck },
	{ NULL,			NULL }
};
