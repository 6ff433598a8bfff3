/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: the registers and events that the run page brings in. */
#include <sys/ioctl.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "ioctl-test.h"

extern const uint8_t outs_here[], outs_after[], write_here[], write_after[],
    step_here[], step_after[];

#define RFLAGS_FIXED	0x2
#define RFLAGS_TF	0x100
#define RFLAGS_IF	0x200
#define NO_RANGE	0x40000
#define VECTOR_DB	1
#define VECTOR_UD	6
#define VECTOR_PF	14
#define EXCEPTION(n)	(VMM_EVENT_VALID | VMM_EVENT_EXCEPTION | (n))
#define NMI		(VMM_EVENT_VALID | VMM_EVENT_NMI | 2)

GUEST_BLOB64(code_emulated,
	"mov $0x100, %dx\n"
	"mov $3, %ecx\n"
	"outs_here: rep outsb\n"
	"outs_after: out %al, %dx\n"
	"mov $0x40000, %ebx\n"
	"sti\n"
	"write_here: movb %al, (%rbx)\n"
	"write_after: out %al, %dx\n"
	"hlt\n");

static void
want_page_regs(struct guest *g)
{
	WANT_EQ(memcmp(&g->run->regs, &g->now.regs, sizeof(g->now.regs)), 0);
}

/* The daemon performs what it is shown, and the guest goes on from there. */
static void
test_set_regs(void)
{
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, code_emulated);
	guest_run(&g, VMM_EXIT_IO);
	WANT_EQ(g.run->io.flags, VMM_IO_STRING | VMM_IO_REP);
	want_page_regs(&g);
	WANT_EQ(g.run->regs.rip, GUEST_ADDR(code_emulated, outs_here));
	g.run->regs.rip = GUEST_ADDR(code_emulated, outs_after);
	g.run->regs.rflags = 0;
	g.run->regs.cr2 = 0x1234;
	g.run->regs.gpr[VMM_RAX] = 0x1122334455667788;
	g.run->regs.gpr[VMM_RSP] -= 8;
	g.run->regs.gpr[VMM_R15] = ~0ULL;
	g.run->regs.cr3 = ~0ULL;		/* this one is not taken */
	g.run->set_regs = 1;
	WANT_EQ(guest_out(&g, 0x100), 0x88);
	WANT_EQ(g.run->set_regs, 0);
	WANT_EQ(guest_rax(&g), 0x1122334455667788);
	WANT_EQ(g.now.regs.gpr[VMM_RSP], GUEST_STACK - 8);
	WANT_EQ(g.now.regs.gpr[VMM_R15], ~0ULL);
	WANT_EQ(g.now.regs.rflags, RFLAGS_FIXED);
	WANT_EQ(g.now.regs.cr2, 0x1234);
	WANT_EQ(g.now.regs.cr3, GUEST_TABLES);
	/* Once only: what the page holds from now on is not looked at. */
	guest_run(&g, VMM_EXIT_MEMORY);
	WANT_EQ(g.now.regs.rip, GUEST_ADDR(code_emulated, write_here));
}

static void
run_to_write(struct guest *g)
{
	guest_run(g, VMM_EXIT_IO);
	g->run->regs.rip = GUEST_ADDR(code_emulated, outs_after);
	g->run->set_regs = 1;
	guest_run(g, VMM_EXIT_IO);
	guest_run(g, VMM_EXIT_MEMORY);
	WANT_EQ(g->run->memory.gpa, NO_RANGE);
	WANT_EQ(g->run->memory.flags, VMM_MEMORY_WRITE);
	want_page_regs(g);
}

/* An instruction that the daemon performs ends the shadow of STI. */
static void
test_set_regs_shadow(void)
{
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, code_emulated);
	run_to_write(&g);
	WANT_EQ(g.run->intr_ready, 0);
	WANT_EQ(g.now.shadow, 1);
	g.run->regs.rip = GUEST_ADDR(code_emulated, write_after);
	g.run->set_regs = 1;
	g.run->intr_window = 1;
	guest_run(&g, VMM_EXIT_INTR_WINDOW);
	WANT_EQ(g.now.shadow, 0);
	WANT_EQ(g.now.regs.rip, GUEST_ADDR(code_emulated, write_after));
	g.run->intr_window = 0;
	guest_out(&g, 0x100);
}

GUEST_BLOB16(code_step_write,
	"mov $0x4000, %ax\n"		/* NO_RANGE */
	"mov %ax, %ds\n"
	"mov $0x100, %dx\n"
	"pushf\n"
	"pop %ax\n"
	"or $0x100, %ax\n"
	"push %ax\n"
	"popf\n"
	"step_here: movb %al, 0\n"
	"step_after: nop\n");

/* A single step ends one, too; but not one that has faulted. */
static void
step_over(bool fault)
{
	struct vmm_state s;
	struct guest g;
	uint16_t ip;

	guest_open(&g);
	GUEST_REAL(&g, code_step_write);
	guest_run(&g, VMM_EXIT_MEMORY);
	WANT_EQ(g.run->regs.rflags & RFLAGS_TF, RFLAGS_TF);
	g.run->set_regs = 1;
	if (fault)
		g.run->event = EXCEPTION(VECTOR_UD);
	else
		g.run->regs.rip = GUEST_ADDR(code_step_write, step_after);
	guest_vector(&g, fault ? VECTOR_UD : VECTOR_DB);
	memcpy(&ip, g.ram + g.now.regs.gpr[VMM_RSP], sizeof(ip));
	WANT_EQ(ip, GUEST_ADDR(code_step_write, fault ? step_here :
	    step_after));
	guest_get(&g, &s);
	WANT_EQ(s.dr6 & 0x4000, fault ? 0 : 0x4000);
}

static void
test_set_regs_step(void)
{
	step_over(false);
	step_over(true);
}

/* A page fault that the daemon found on its walk: with error code and CR2. */
static void
test_run_event(void)
{
	struct guest g;
	uint64_t frame[2];

	guest_open(&g);
	GUEST_LONG(&g, code_emulated);
	run_to_write(&g);
	g.run->regs.cr2 = 0xffff800000001000;
	g.run->set_regs = 1;
	g.run->event = EXCEPTION(VECTOR_PF) | VMM_EVENT_HAS_ERROR |
	    0x2ULL << 32;
	guest_vector(&g, VECTOR_PF);
	WANT_EQ(g.run->event, 0);
	WANT_EQ(g.run->set_regs, 0);
	WANT_EQ(g.now.regs.cr2, 0xffff800000001000);
	memcpy(frame, g.ram + g.now.regs.gpr[VMM_RSP], sizeof(frame));
	WANT_EQ(frame[0], 2);
	WANT_EQ(frame[1], GUEST_ADDR(code_emulated, write_here));
}

GUEST_BLOB16(code_halts, "sti; hlt; out %al, $0x90");

static void
test_run_event_halted(void)
{
	struct guest g;

	guest_open(&g);
	GUEST_REAL(&g, code_halts);
	signal_every(20000);
	guest_run(&g, VMM_EXIT_NONE);
	WANT_EQ(g.run->halted, 1);
	g.run->event = NMI;
	guest_vector(&g, 2);
	guest_out(&g, 0x90);
	WANT_EQ(g.run->halted, 0);
}

static void
test_run_event_invalid(void)
{
	static const uint64_t events[] = {
		1, EXCEPTION(VECTOR_UD) & ~VMM_EVENT_VALID,
		VMM_EVENT_VALID | 0x20,			/* an interrupt */
		VMM_EVENT_VALID | 0x400 | 0x80,		/* a software one */
		VMM_EVENT_VALID | 0x100, VMM_EVENT_VALID | 0x700,
		EXCEPTION(2), EXCEPTION(32), EXCEPTION(255),
		EXCEPTION(VECTOR_UD) | 0x1000, EXCEPTION(VECTOR_UD) | 1 << 30,
		VMM_EVENT_VALID | VMM_EVENT_NMI, NMI + 1,
		NMI | VMM_EVENT_HAS_ERROR, NMI | 1ULL << 32,
	};
	struct vmm_state s;
	struct guest g;
	size_t i;

	guest_open(&g);
	GUEST_LONG(&g, code_emulated);
	for (i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		g.run->event = events[i];
		g.run->set_regs = 1;
		WANT_ERRNO(ioctl(g.vcpu, VMM_RUN, 0), EINVAL);
		WANT_EQ(g.run->event, events[i]);
		WANT_EQ(g.run->set_regs, 1);
	}
	guest_get(&g, &s);
	WANT_EQ(s.regs.rip, GUEST_CODE);
	WANT_EQ(s.event, 0);
}

/* One event at a time: the second waits with the daemon, and nothing else. */
static void
test_run_event_busy(void)
{
	struct vmm_state s;
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, code_emulated);
	guest_get(&g, &s);
	s.event = EXCEPTION(VECTOR_UD);
	guest_set(&g, &s);
	g.run->event = EXCEPTION(VECTOR_DB);
	g.run->set_regs = 1;
	WANT_ERRNO(ioctl(g.vcpu, VMM_RUN, 0), EAGAIN);
	WANT_EQ(g.run->event, EXCEPTION(VECTOR_DB));
	WANT_EQ(g.run->set_regs, 1);
	g.run->event = 0;
	g.run->set_regs = 0;
	guest_vector(&g, VECTOR_UD);
}

const struct test tests_input[] = {
	{ "set-regs",		test_set_regs },
	{ "set-regs-shadow",	test_set_regs_shadow },
	{ "set-regs-step",	test_set_regs_step },
	{ "run-event",		test_run_event },
	{ "run-event-halted",	test_run_event_halted },
	{ "run-event-invalid",	test_run_event_invalid },
	{ "run-event-busy",	test_run_event_busy },
	{ NULL,			NULL }
};
