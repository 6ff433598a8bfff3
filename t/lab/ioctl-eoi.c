/* SPDX-License-Identifier: ISC */
/*
 * vmm-ioctl: paravirtual EOI.  One handler ends all interrupts as Linux does:
 * by the bit, if that was offered, or else by the register.
 */
#include <sys/ioctl.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "devices/lapic.h"
#include "ioctl-apic.h"

#define PV_EOI		0x4b564d04
#define ENABLE		1
#define MSI_SELF	0xfee00000ULL
#define LEVEL		0x8000

#define CODE		0x3000	/* beside that of ioctl-apic.c */
#define WORD		0x6000	/* the guest's, as in the code */
#define OTHERS		0xfffffffe
#define EDGE		0x51	/* taken by the handler, as are the rest */
#define LOW		0x41
#define HIGH		0x91
#define PORT_DONE	0x100
#define PORT_INSIDE	0x101
#define ROUNDS		1000

extern const uint8_t eoi_start[], eoi_many[], eoi_handler[], eoi_inside[],
    eoi_twice[];

/* RSI counts what was ended by the bit, RDI by the register. */
GUEST_BLOB64(eoi_code,
	"eoi_start: sti; hlt; cli\n"
	"mov $0x100, %edx; out %eax, %dx; jmp eoi_start\n"
	/* RBP interrupts to itself, each taken before the next. */
	"eoi_many: sti\n"
	"1: mov $0x83f, %ecx; mov $0x51, %eax; xor %edx, %edx; wrmsr; nop\n"
	"dec %ebp; jnz 1b\n"
	"cli; mov $0x100, %edx; out %eax, %dx\n"
	/* One with an exit before its end. */
	"eoi_inside: mov $0x101, %edx; out %eax, %dx\n"
	"eoi_handler: btrl $0, 0x6000; jnc 2f\n"
	"inc %esi; iretq\n"
	"2: inc %edi\n"
	"mov $0x80b, %ecx; xor %eax, %eax; xor %edx, %edx; wrmsr; iretq\n"
	/* One that ends, says so, and waits for leave to go. */
	"eoi_twice: btrl $0, 0x6000; jnc 2b\n"
	"inc %esi; movb $1, 0x6008\n"
	"3: pause; cmpb $0, 0x6009; je 3b\n"
	"iretq\n");

static uint16_t
address(const uint8_t *where)
{
	return ((uint16_t)(CODE + (where - eoi_code)));
}

static void
set_handler(struct guest *g, uint8_t vector, const uint8_t *where)
{
	const uint16_t at = address(where);

	memcpy(g->ram + GUEST_IDT + 16 * vector, &at, sizeof(at));
}

static uint32_t
word(const struct guest *g)
{
	return (*(volatile uint32_t *)(g->ram + WORD));
}

/* The word is in use. */
static void
open_eoi(struct guest *g)
{
	const uint32_t others = OTHERS;

	apic_open(g);
	memcpy(g->ram + WORD, &others, sizeof(others));
	WANT(apic_wrmsr(g, PV_EOI, WORD | ENABLE));
	WANT_EQ(word(g), OTHERS);
	memcpy(g->ram + CODE, eoi_code, eoi_code_end - eoi_code);
	set_handler(g, EDGE, eoi_handler);
	set_handler(g, LOW, eoi_handler);
	set_handler(g, HIGH, eoi_handler);
}

static void
go_to(struct guest *g, const uint8_t *where, uint64_t rounds)
{
	struct vmm_state s;

	guest_get(g, &s);
	s.regs.rip = address(where);
	s.regs.rflags = 2;
	s.regs.gpr[VMM_RSP] = GUEST_STACK;
	s.regs.gpr[VMM_RBP] = rounds;
	s.regs.gpr[VMM_RSI] = s.regs.gpr[VMM_RDI] = 0;
	guest_set(g, &s);
}

static struct lapic
lapic_of(struct guest *g)
{
	struct vmm_apic a;
	struct lapic l;

	WANT_ERRNO(ioctl(g->vcpu, VMM_GET_APIC, &a), 0);
	memcpy(&l, a.state, sizeof(l));
	return (l);
}

/* Ended so many by the bit and by the register; and nothing is left. */
static void
want_ended(struct guest *g, unsigned by_bit, unsigned by_register)
{
	struct lapic l = lapic_of(g);

	WANT_EQ(g->now.regs.gpr[VMM_RSI], by_bit);
	WANT_EQ(g->now.regs.gpr[VMM_RDI], by_register);
	WANT_EQ(l.irr.used | l.isr.used, 0);
	WANT_EQ(word(g), OTHERS);
}

/* One interrupt, from the HLT on. */
static void
one(struct guest *g, uint32_t data, unsigned by_bit, unsigned by_register)
{
	WANT_ERRNO(msi_send(g, MSI_SELF, data), 0);
	go_to(g, eoi_start, 0);
	guest_out(g, PORT_DONE);
	want_ended(g, by_bit, by_register);
}

/* In the guest's memory, aligned, and none of the reserved bits. */
static void
test_eoi_edges(void)
{
	struct guest g;
	uint64_t val;

	apic_open(&g);
	WANT(apic_rdmsr(&g, PV_EOI, &val));
	WANT_EQ(val, 0);
	WANT(apic_wrmsr(&g, PV_EOI, WORD | ENABLE));
	WANT(!apic_wrmsr(&g, PV_EOI, WORD | 2 | ENABLE));
	WANT(!apic_wrmsr(&g, PV_EOI, WORD | 2));
	WANT(!apic_wrmsr(&g, PV_EOI, GUEST_SIZE | ENABLE));
	WANT(!apic_wrmsr(&g, PV_EOI, 0xfffffffffffffffcULL | ENABLE));
	WANT(!apic_wrmsr(&g, PV_EOI, 1ULL << VMM_GPA_BITS | ENABLE));
	/* Refused, it is as before. */
	WANT(apic_rdmsr(&g, PV_EOI, &val));
	WANT_EQ(val, WORD | ENABLE);
	WANT(apic_wrmsr(&g, PV_EOI, (GUEST_SIZE - 4) | ENABLE));
	WANT(apic_wrmsr(&g, PV_EOI, WORD));
	WANT(apic_rdmsr(&g, PV_EOI, &val));
	WANT_EQ(val, WORD);
}

/* Half of the exits go: each IPI is one, and no end. */
static void
test_eoi_skipped(void)
{
	uint64_t exits;
	struct guest g;

	open_eoi(&g);
	exits = g.run->exits;
	go_to(&g, eoi_many, ROUNDS);
	guest_out(&g, PORT_DONE);
	want_ended(&g, ROUNDS, 0);
	exits = g.run->exits - exits;
	if (exits > ROUNDS * 3 / 2)
		fail("%llu exits", (unsigned long long)exits);
	/* Switched off, nothing is offered. */
	WANT_EQ(word(&g), OTHERS);
	WANT(apic_wrmsr(&g, PV_EOI, WORD));
	go_to(&g, eoi_many, ROUNDS);
	guest_out(&g, PORT_DONE);
	want_ended(&g, 0, ROUNDS);
}

/* The end of a level is told. */
static void
test_eoi_level(void)
{
	struct guest g;

	open_eoi(&g);
	WANT_ERRNO(msi_send(&g, MSI_SELF, LEVEL | EDGE), 0);
	go_to(&g, eoi_start, 0);
	guest_run(&g, VMM_EXIT_EOI);
	WANT_EQ(g.run->eoi.vector, EDGE);
	guest_out(&g, PORT_DONE);
	want_ended(&g, 0, 1);
	one(&g, EDGE, 1, 0);
}

/* One that waits comes at the end of the other, which is no secret then. */
static void
test_eoi_waiting(void)
{
	struct guest g;

	open_eoi(&g);
	WANT_ERRNO(msi_send(&g, MSI_SELF, LOW), 0);
	WANT_ERRNO(msi_send(&g, MSI_SELF, HIGH), 0);
	go_to(&g, eoi_start, 0);
	guest_out(&g, PORT_DONE);
	want_ended(&g, 1, 1);
}

/* Taken back at every exit: what is in service is in the APIC alone. */
static void
test_eoi_inside(void)
{
	struct guest g;
	struct lapic l;

	open_eoi(&g);
	set_handler(&g, EDGE, eoi_inside);
	WANT_ERRNO(msi_send(&g, MSI_SELF, EDGE), 0);
	go_to(&g, eoi_start, 0);
	guest_out(&g, PORT_INSIDE);
	WANT_EQ(word(&g), OTHERS);
	l = lapic_of(&g);
	WANT_EQ(l.isr.word[EDGE / 32], 1U << EDGE % 32);
	guest_out(&g, PORT_DONE);
	want_ended(&g, 1, 0);
	/* What comes meanwhile waits for the end. */
	WANT_ERRNO(msi_send(&g, MSI_SELF, EDGE), 0);
	go_to(&g, eoi_start, 0);
	guest_out(&g, PORT_INSIDE);
	WANT_ERRNO(msi_send(&g, MSI_SELF, LOW), 0);
	guest_out(&g, PORT_DONE);
	want_ended(&g, 1, 1);
}

static void *
send_low(void *arg)
{
	struct guest *g = arg;
	volatile uint8_t *ram = g->ram;

	while (!ram[WORD + 8])
		usleep(1000);
	WANT_ERRNO(msi_send(g, MSI_SELF, LOW), 0);
	usleep(20000);
	ram[WORD + 9] = 1;
	return (NULL);
}

/* One that comes after the bit was cleared, while the guest runs on. */
static void
test_eoi_cleared(void)
{
	pthread_t thread;
	struct guest g;

	open_eoi(&g);
	set_handler(&g, EDGE, eoi_twice);
	WANT_EQ(pthread_create(&thread, NULL, send_low, &g), 0);
	WANT_ERRNO(msi_send(&g, MSI_SELF, EDGE), 0);
	go_to(&g, eoi_start, 0);
	guest_out(&g, PORT_DONE);
	pthread_join(thread, NULL);
	want_ended(&g, 2, 0);
}

/* Memory that goes takes it along; the log has it rest. */
static void
test_eoi_memory(void)
{
	struct vmm_discard d = { .gpa = WORD, .size = 4096 };
	struct guest g;

	open_eoi(&g);
	one(&g, EDGE, 1, 0);
	WANT_ERRNO(ioctl(g.vm, VMM_DIRTY_LOG, 1), 0);
	one(&g, EDGE, 0, 1);
	WANT_ERRNO(ioctl(g.vm, VMM_DIRTY_LOG, 0), 0);
	one(&g, EDGE, 1, 0);
	d.gpa += 4096;
	WANT_ERRNO(ioctl(g.vm, VMM_MEM_DISCARD, &d), 0);
	one(&g, EDGE, 1, 0);
	d.gpa -= 4096;
	WANT_ERRNO(ioctl(g.vm, VMM_MEM_DISCARD, &d), 0);
	one(&g, EDGE, 0, 1);
	WANT(apic_wrmsr(&g, PV_EOI, WORD | ENABLE));
	one(&g, EDGE, 1, 0);
}

const struct test tests_eoi[] = {
	{ "eoi-edges",		test_eoi_edges },
	{ "eoi-skipped",	test_eoi_skipped },
	{ "eoi-level",		test_eoi_level },
	{ "eoi-waiting",	test_eoi_waiting },
	{ "eoi-inside",		test_eoi_inside },
	{ "eoi-cleared",	test_eoi_cleared },
	{ "eoi-memory",		test_eoi_memory },
	{ NULL,			NULL }
};
