/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: NMIs, when they are blocked, and events that wait for others. */
#include <sys/ioctl.h>

#include <errno.h>
#include <stdbool.h>

#include "ioctl-test.h"

#define NMI		(VMM_EVENT_VALID | VMM_EVENT_NMI | 2)
#define EXCEPTION(n)	(VMM_EVENT_VALID | VMM_EVENT_EXCEPTION | (n))
#define RFLAGS_IF	0x200
#define VECTOR_DB	1
#define VECTOR_NMI	2
#define VECTOR_UD	6

GUEST_BLOB64(code_nmi_spin, "1: jmp 1b");
GUEST_BLOB64(code_nmi_halt, "sti; 1: hlt; jmp 1b");

static uint32_t
nmi_state(const struct guest *g)
{
	struct vmm_state s;

	guest_get(g, &s);
	return (s.nmi);
}

/* The second comes after the first one's IRET, the third is one too many. */
static void
test_nmi_nested(void)
{
	struct guest g;
	uint64_t sp;

	guest_open(&g);
	GUEST_LONG(&g, code_nmi_spin);
	g.run->event = NMI;
	guest_vector(&g, VECTOR_NMI);
	WANT_EQ(nmi_state(&g), VMM_NMI_MASKED);
	sp = g.now.regs.gpr[VMM_RSP];
	g.run->event = NMI;
	g.run->immediate_exit = 1;
	guest_run(&g, VMM_EXIT_NONE);
	WANT_EQ(nmi_state(&g), VMM_NMI_MASKED | VMM_NMI_PENDING);
	g.run->event = NMI;
	guest_run(&g, VMM_EXIT_NONE);
	g.run->immediate_exit = 0;
	guest_vector(&g, VECTOR_NMI);
	WANT_EQ(g.now.regs.gpr[VMM_RSP], sp);
	WANT_EQ(nmi_state(&g), VMM_NMI_MASKED);
	/* After its IRET nothing is left, once there was an exit. */
	signal_every(20000);
	guest_run(&g, VMM_EXIT_NONE);
	guest_run(&g, VMM_EXIT_NONE);
	WANT_EQ(nmi_state(&g), 0);
	WANT_EQ(g.now.regs.rip, GUEST_CODE);
}

/* A state brings and takes what NMIs there are. */
static void
test_nmi_state(void)
{
	struct vmm_state s;
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, code_nmi_spin);
	guest_get(&g, &s);
	s.nmi = VMM_NMI_MASKED | VMM_NMI_PENDING;
	guest_set(&g, &s);
	signal_every(20000);
	guest_run(&g, VMM_EXIT_NONE);
	WANT_EQ(nmi_state(&g), VMM_NMI_MASKED | VMM_NMI_PENDING);
	s.nmi = VMM_NMI_PENDING;
	guest_set(&g, &s);
	guest_vector(&g, VECTOR_NMI);
	WANT_EQ(nmi_state(&g), VMM_NMI_MASKED);
	s.nmi = 4;
	WANT_ERRNO(ioctl(g.vcpu, VMM_SET_STATE, &s), EINVAL);
}

/* It ends HLT, though not while it is blocked. */
static void
test_nmi_halted(void)
{
	struct vmm_state s;
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, code_nmi_halt);
	signal_every(20000);
	guest_run(&g, VMM_EXIT_NONE);
	WANT_EQ(g.run->halted, 1);
	guest_get(&g, &s);
	s.nmi = VMM_NMI_MASKED;
	guest_set(&g, &s);
	g.run->event = NMI;
	guest_run(&g, VMM_EXIT_NONE);
	WANT_EQ(g.run->event, 0);
	WANT_EQ(g.run->halted, 1);
	WANT_EQ(nmi_state(&g), VMM_NMI_MASKED | VMM_NMI_PENDING);
	guest_get(&g, &s);
	s.nmi = VMM_NMI_PENDING;
	guest_set(&g, &s);
	guest_vector(&g, VECTOR_NMI);
	WANT_EQ(g.run->halted, 0);
}

/*
 * One with an exception to be delivered, and an NMI: has the guest met the
 * exception only?  An interrupt of the host's in its handler is an exit that
 * brings the NMI, too.
 */
static bool
meets_exception(struct guest *g)
{
	struct vmm_state s;

	guest_open(g);
	GUEST_LONG(g, code_nmi_spin);
	guest_get(g, &s);
	s.event = EXCEPTION(VECTOR_UD);
	guest_set(g, &s);
	g->run->event = NMI;
	guest_run(g, VMM_EXIT_IO);
	WANT_EQ(g->run->event, 0);
	return (g->run->io.port == VECTOR_UD);
}

/* It waits for an exception that is there, which has no such patience. */
static void
test_nmi_after_event(void)
{
	struct vmm_state s;
	struct guest g;
	int tries;

	for (tries = 0; !meets_exception(&g); tries++)
		WANT(tries < 5);
	guest_get(&g, &s);
	WANT_EQ(s.nmi, VMM_NMI_PENDING);
	g.run->event = EXCEPTION(VECTOR_DB);
	guest_vector(&g, VECTOR_DB);
	guest_vector(&g, VECTOR_NMI);
}

/* False if a tick of the host's let the exception in before the first OUT. */
static bool
meets_interrupt(struct guest *g)
{
	struct vmm_state s;

	guest_open(g);
	GUEST_LONG(g, code_nmi_spin);
	guest_get(g, &s);
	s.regs.rflags |= RFLAGS_IF;
	s.event = VMM_EVENT_VALID | 0x44;
	s.next_event = EXCEPTION(VECTOR_DB);
	guest_set(g, &s);
	guest_get(g, &s);
	WANT_EQ(s.event, VMM_EVENT_VALID | 0x44);
	WANT_EQ(s.next_event, EXCEPTION(VECTOR_DB));
	guest_run(g, VMM_EXIT_IO);
	return (g->run->io.port == 0x44);
}

/* An exception that an interrupt's delivery raised is shown, and comes. */
static void
test_next_event(void)
{
	struct vmm_state s;
	struct guest g;
	int tries;

	for (tries = 0; !meets_interrupt(&g); tries++)
		WANT(tries < 5);
	guest_get(&g, &s);
	WANT_EQ(s.event, EXCEPTION(VECTOR_DB));
	WANT_EQ(s.next_event, 0);
	guest_vector(&g, VECTOR_DB);
	/* None waits for nothing. */
	s.event = 0;
	s.next_event = EXCEPTION(VECTOR_DB);
	WANT_ERRNO(ioctl(g.vcpu, VMM_SET_STATE, &s), EINVAL);
	s.event = VMM_EVENT_VALID | 0x44;
	s.next_event = VECTOR_DB;
	WANT_ERRNO(ioctl(g.vcpu, VMM_SET_STATE, &s), EINVAL);
}

const struct test tests_nmi[] = {
	{ "nmi-nested",		test_nmi_nested },
	{ "nmi-state",		test_nmi_state },
	{ "nmi-halted",		test_nmi_halted },
	{ "nmi-after-event",	test_nmi_after_event },
	{ "next-event",		test_next_event },
	{ NULL,			NULL }
};
