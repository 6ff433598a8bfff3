/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: interrupts, exceptions, shadows, events that exits interrupt. */
#include <sys/ioctl.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ioctl-test.h"

extern const uint8_t loop_here[], sti_nop[], sti_after[], ss_here[],
    hlt_done[];

#define RFLAGS_IF	0x200

#define EVENT_NMI	0x200
#define EVENT_EXCEPTION	0x300

#define STACK_RANGE	0x20000		/* pages not yet touched */
#define IDT_RANGE	0x30000
#define NO_RANGE	0x40000

#define VECTOR_UD	6
#define VECTOR_GP	13

static void
inject(struct guest *g, uint8_t vector)
{
	g->run->vector = vector;
	g->run->inject = 1;
}

/* The word that many bytes above the stack's top, in real mode. */
static uint16_t
stack_word(struct guest *g, unsigned off)
{
	uint16_t w;

	memcpy(&w, g->ram + g->now.regs.gpr[VMM_RSP] + off, sizeof(w));
	return (w);
}

GUEST_BLOB16(code_loop,
	"sti\n"
	"mov $0x100, %dx\n"
	"out %al, %dx\n"
	"loop_here: jmp loop_here\n");

static void
test_inject(void)
{
	static const uint8_t vectors[] = { 0x08, 0x20, 0x70, 0xff };
	struct guest g;
	size_t i;

	guest_open(&g);
	GUEST_REAL(&g, code_loop);
	guest_out(&g, 0x100);
	for (i = 0; i < sizeof(vectors); i++) {
		WANT_EQ(g.run->intr_ready, 1);
		inject(&g, vectors[i]);
		guest_vector(&g, vectors[i]);
		WANT_EQ(g.run->inject, 0);
		WANT_EQ(g.run->intr_ready, 0);
		WANT_EQ(stack_word(&g, 0), GUEST_ADDR(code_loop, loop_here));
		WANT_EQ(stack_word(&g, 4) & RFLAGS_IF, RFLAGS_IF);
		/* The handler returns, and it is enabled again. */
		g.run->intr_window = 1;
		guest_run(&g, VMM_EXIT_INTR_WINDOW);
		g.run->intr_window = 0;
	}
}

GUEST_BLOB16(code_closed,
	"cli\n"
	"mov $0x100, %dx\n"
	"out %al, %dx\n"
	"sti\n"
	"sti_nop: nop\n"
	"sti_after: nop\n"
	"hlt\n");

static void
test_inject_closed(void)
{
	struct guest g;

	guest_open(&g);
	GUEST_REAL(&g, code_closed);
	guest_out(&g, 0x100);
	WANT_EQ(g.run->intr_ready, 0);
	inject(&g, 0x20);
	WANT_ERRNO(ioctl(g.vcpu, VMM_RUN, 0), EAGAIN);
	WANT_EQ(g.run->inject, 1);
	g.run->inject = 0;
	/* It was not delivered, nor will it be. */
	g.run->intr_window = 1;
	guest_run(&g, VMM_EXIT_INTR_WINDOW);
}

/* STI opens the window one instruction late. */
static void
test_window(void)
{
	struct guest g;

	guest_open(&g);
	GUEST_REAL(&g, code_closed);
	guest_out(&g, 0x100);
	g.run->intr_window = 1;
	guest_run(&g, VMM_EXIT_INTR_WINDOW);
	WANT_EQ(g.now.regs.rip, GUEST_ADDR(code_closed, sti_after));
	WANT_EQ(g.run->intr_ready, 1);
	/* It is open already, and stays so. */
	guest_run(&g, VMM_EXIT_INTR_WINDOW);
	WANT_EQ(g.now.regs.rip, GUEST_ADDR(code_closed, sti_after));
	inject(&g, 0x21);
	g.run->intr_window = 0;
	guest_vector(&g, 0x21);
	WANT_EQ(stack_word(&g, 0), GUEST_ADDR(code_closed, sti_after));
}

/*
 * A shadow that is set by the daemon counts as one of the guest's.  Where it
 * ends is not asked: the lab's emulated VMRUN takes no shadow along.
 */
static void
test_shadow_state(void)
{
	struct vmm_state s;
	struct guest g;

	guest_open(&g);
	GUEST_REAL(&g, code_closed);
	guest_get(&g, &s);
	s.regs.rip = GUEST_ADDR(code_closed, sti_nop);
	s.regs.rflags |= RFLAGS_IF;
	s.shadow = 1;
	guest_set(&g, &s);
	inject(&g, 0x20);
	WANT_ERRNO(ioctl(g.vcpu, VMM_RUN, 0), EAGAIN);
	g.run->inject = 0;
	g.run->intr_window = 1;
	guest_run(&g, VMM_EXIT_INTR_WINDOW);
	WANT_EQ(g.run->intr_ready, 1);
}

GUEST_BLOB16(code_shadow,
	"mov $0x4000, %ax\n"		/* NO_RANGE */
	"mov %ax, %ds\n"
	"xor %ax, %ax\n"
	"mov $0x100, %dx\n"
	"sti\n"
	"out %al, %dx\n"
	"cli\n"
	"sti\n"
	"movb %al, 0\n"
	"hlt\n"
	"ss_here: mov %ax, %ss\n"
	"movb %al, 0\n");

/* An exit that completes the instruction ends the shadow; others keep it. */
static void
test_shadow_exit(void)
{
	struct vmm_state s;
	struct guest g;

	guest_open(&g);
	GUEST_REAL(&g, code_shadow);
	guest_out(&g, 0x100);
	WANT_EQ(g.run->intr_ready, 1);
	guest_run(&g, VMM_EXIT_MEMORY);
	WANT_EQ(g.run->intr_ready, 0);
	guest_get(&g, &s);
	WANT_EQ(s.shadow, 1);
	inject(&g, 0x20);
	WANT_ERRNO(ioctl(g.vcpu, VMM_RUN, 0), EAGAIN);
	g.run->inject = 0;
	s.regs.rip = GUEST_ADDR(code_shadow, ss_here);
	s.shadow = 0;
	guest_set(&g, &s);
	guest_run(&g, VMM_EXIT_MEMORY);
	WANT_EQ(g.run->intr_ready, 0);
	guest_get(&g, &s);
	WANT_EQ(s.shadow, 1);
}

GUEST_BLOB16(code_sti_hlt,
	"mov $0x100, %dx\n"
	"out %al, %dx\n"
	"sti\n"
	"hlt\n"
	"hlt_done: out %al, %dx\n"
	"hlt\n");

/* `sti; hlt` with an interrupt that waits for the window must not sleep. */
static void
test_window_halt(void)
{
	struct guest g;

	guest_open(&g);
	GUEST_REAL(&g, code_sti_hlt);
	guest_out(&g, 0x100);
	g.run->intr_window = 1;
	guest_run(&g, VMM_EXIT_INTR_WINDOW);
	WANT_EQ(g.run->intr_ready, 1);
	WANT_EQ(g.now.regs.rip, GUEST_ADDR(code_sti_hlt, hlt_done));
	inject(&g, 0x22);
	g.run->intr_window = 0;
	guest_vector(&g, 0x22);
	WANT_EQ(g.run->halted, 0);
	WANT_EQ(stack_word(&g, 0), GUEST_ADDR(code_sti_hlt, hlt_done));
	guest_out(&g, 0x100);
}

/* An interrupt ends HLT. */
static void
test_inject_halted(void)
{
	struct guest g;

	guest_open(&g);
	GUEST_REAL(&g, code_sti_hlt);
	guest_out(&g, 0x100);
	signal_every(50000);
	guest_run(&g, VMM_EXIT_NONE);
	WANT_EQ(g.run->halted, 1);
	WANT_EQ(g.run->intr_ready, 1);
	inject(&g, 0x33);
	guest_vector(&g, 0x33);
	WANT_EQ(g.run->halted, 0);
	WANT_EQ(stack_word(&g, 0), GUEST_ADDR(code_sti_hlt, hlt_done));
	guest_out(&g, 0x100);
}

/*
 * An event that a new state brings is delivered first, HLT or not: the third
 * level of its handler's stack frame is the flags'.
 */
static void
test_event_state(void)
{
	static const struct {
		uint64_t	event;
		uint8_t		vector;
	} events[] = {
		{ VMM_EVENT_VALID | 0x44, 0x44 },
		{ VMM_EVENT_VALID | EVENT_NMI | 2, 2 },
		{ VMM_EVENT_VALID | EVENT_EXCEPTION | VECTOR_UD, VECTOR_UD },
	};
	struct vmm_state s;
	struct guest g;
	size_t i;

	guest_open(&g);
	GUEST_REAL(&g, code_sti_hlt);
	for (i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		guest_get(&g, &s);
		s.regs.rip = GUEST_ADDR(code_sti_hlt, hlt_done);
		s.regs.gpr[VMM_RSP] = GUEST_STACK;
		s.regs.rflags = 2 | RFLAGS_IF;
		s.event = events[i].event;
		s.halted = 1;
		guest_set(&g, &s);
		inject(&g, 0x20);
		WANT_ERRNO(ioctl(g.vcpu, VMM_RUN, 0), EAGAIN);
		g.run->inject = 0;
		guest_vector(&g, events[i].vector);
		WANT_EQ(stack_word(&g, 0),
		    GUEST_ADDR(code_sti_hlt, hlt_done));
		guest_get(&g, &s);
		WANT_EQ(s.event, 0);
		WANT_EQ(s.halted, 0);
	}
}

GUEST_BLOB64(code_nothing, "hlt");

static void
test_event_error(void)
{
	struct vmm_state s;
	struct guest g;
	uint64_t frame[3];

	guest_open(&g);
	GUEST_LONG(&g, code_nothing);
	guest_get(&g, &s);
	s.event = 0xbeefULL << 32 | VMM_EVENT_VALID | VMM_EVENT_HAS_ERROR |
	    EVENT_EXCEPTION | VECTOR_GP;
	guest_set(&g, &s);
	guest_vector(&g, VECTOR_GP);
	memcpy(frame, g.ram + g.now.regs.gpr[VMM_RSP], sizeof(frame));
	WANT_EQ(frame[0], 0xbeef);
	WANT_EQ(frame[1], GUEST_CODE);
	WANT_EQ(frame[2], GUEST_CS);
}

/* A stack, or a vector table, that the guest has not touched before. */
static void
far_stack(struct guest *g, uint16_t segment)
{
	struct vmm_state s;

	guest_get(g, &s);
	s.regs.seg[VMM_SS].selector = segment;
	s.regs.seg[VMM_SS].base = (uint64_t)segment << 4;
	s.regs.gpr[VMM_RSP] = 0x1000;
	guest_set(g, &s);
}

GUEST_BLOB16(code_ud, "ud2");
GUEST_BLOB16(code_int, "int $0x55; out %al, $0xfe");
GUEST_BLOB16(code_int3, "int3");

/*
 * Delivers one event to a handler when none of IDT and stack is mapped yet;
 * each of them ends the delivery once with a nested page fault.
 */
static void
deliver_far(const uint8_t *code, const uint8_t *end, int interrupt,
    uint8_t vector, uint16_t ip)
{
	struct vmm_state s;
	struct guest g;
	uint8_t *stack, *idt;
	uint16_t frame[3];

	guest_open(&g);
	stack = guest_memory(&g, STACK_RANGE, 0x1000);
	idt = guest_memory(&g, IDT_RANGE, 0x1000);
	memcpy(idt, g.ram, 1024);
	guest_real(&g, code, end);
	far_stack(&g, STACK_RANGE >> 4);
	guest_get(&g, &s);
	s.idtr.base = IDT_RANGE;
	s.regs.rflags |= RFLAGS_IF;
	guest_set(&g, &s);
	if (interrupt)
		inject(&g, vector);
	guest_vector(&g, vector);
	memcpy(frame, stack + 0x1000 - sizeof(frame), sizeof(frame));
	WANT_EQ(g.now.regs.gpr[VMM_RSP], 0x1000 - sizeof(frame));
	WANT_EQ(frame[0], ip);
	WANT_EQ(frame[2] & RFLAGS_IF, RFLAGS_IF);
	WANT_EQ(g.run->exits > 2, 1);
}

static void
test_deliver_fault(void)
{
	deliver_far(code_loop, code_loop_end, 1, 0x66, GUEST_CODE);
	deliver_far(code_ud, code_ud_end, 0, VECTOR_UD, GUEST_CODE);
	deliver_far(code_int, code_int_end, 0, 0x55, GUEST_CODE + 2);
	deliver_far(code_int3, code_int3_end, 0, 3, GUEST_CODE + 1);
}

/* No RAM where the frame would go: the event waits, and is not lost. */
static void
test_deliver_no_ram(void)
{
	struct vmm_state s;
	struct guest g;

	guest_open(&g);
	GUEST_REAL(&g, code_loop);
	guest_out(&g, 0x100);
	far_stack(&g, NO_RANGE >> 4);
	inject(&g, 0x66);
	guest_run(&g, VMM_EXIT_MEMORY);
	WANT_EQ(g.run->memory.flags, VMM_MEMORY_WRITE | VMM_MEMORY_EVENT);
	WANT_EQ(g.run->intr_ready, 0);
	/* Whoever takes it for an instruction's is told. */
	g.run->event = VMM_EVENT_VALID | EVENT_EXCEPTION | VECTOR_UD;
	WANT_ERRNO(ioctl(g.vcpu, VMM_RUN, 0), EAGAIN);
	g.run->event = 0;
	guest_get(&g, &s);
	WANT_EQ(s.event, VMM_EVENT_VALID | 0x66);
	far_stack(&g, 0x800);
	guest_vector(&g, 0x66);
}

const struct test tests_event[] = {
	{ "inject",		test_inject },
	{ "inject-closed",	test_inject_closed },
	{ "inject-halted",	test_inject_halted },
	{ "window",		test_window },
	{ "window-halt",	test_window_halt },
	{ "shadow-state",	test_shadow_state },
	{ "shadow-exit",	test_shadow_exit },
	{ "event-state",	test_event_state },
	{ "event-error",	test_event_error },
	{ "deliver-fault",	test_deliver_fault },
	{ "deliver-no-ram",	test_deliver_no_ram },
	{ NULL,			NULL }
};
