/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: port I/O, HLT, signals, and how a run ends. */
#include <sys/ioctl.h>
#include <sys/resource.h>

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ioctl-test.h"

extern const uint8_t outs_rep[], ins_w[], hlt_after[];

GUEST_BLOB64(code_out_widths,
	"mov $0x11223344aabbccdd, %rax\n"
	"mov $0xffff, %dx\n"
	"out %al, %dx\n"
	"out %ax, %dx\n"
	"out %eax, %dx\n"
	"out %al, $0xff\n");

static void
test_out(void)
{
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, code_out_widths);
	WANT_EQ(guest_out(&g, 0xffff), 0xdd);
	WANT_EQ(g.run->io.size, 1);
	WANT_EQ(guest_out(&g, 0xffff), 0xccdd);
	WANT_EQ(g.run->io.size, 2);
	WANT_EQ(guest_out(&g, 0xffff), 0xaabbccdd);
	WANT_EQ(g.run->io.size, 4);
	WANT_EQ(guest_out(&g, 0xff), 0xdd);
	WANT_EQ(g.run->io.size, 1);
	/* The instruction is done with. */
	WANT_EQ(g.now.regs.rip,
	    GUEST_CODE + (code_out_widths_end - code_out_widths));
}

GUEST_BLOB64(code_in_widths,
	"mov $0x1122334455667788, %rbx\n"
	"mov $0x100, %dx\n"
	"mov %rbx, %rax; in %dx, %al; out %al, %dx\n"
	"mov %rbx, %rax; in %dx, %ax; out %al, %dx\n"
	"mov %rbx, %rax; in %dx, %eax; out %al, %dx\n"
	"mov %rbx, %rax; in $0xff, %al; out %al, %dx\n");

static void
answer(struct guest *g, uint16_t port, uint8_t size, uint32_t data)
{
	guest_run(g, VMM_EXIT_IO);
	WANT_EQ(g->run->io.flags, VMM_IO_IN);
	WANT_EQ(g->run->io.port, port);
	WANT_EQ(g->run->io.size, size);
	g->run->io.data = data;
	guest_out(g, 0x100);
}

static void
test_in(void)
{
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, code_in_widths);
	answer(&g, 0x100, 1, 0xdeadbeef);
	WANT_EQ(guest_rax(&g), 0x11223344556677efULL);
	answer(&g, 0x100, 2, 0xdeadbeef);
	WANT_EQ(guest_rax(&g), 0x112233445566beefULL);
	answer(&g, 0x100, 4, 0xdeadbeef);
	WANT_EQ(guest_rax(&g), 0xdeadbeefULL);
	answer(&g, 0xff, 1, 0);
	WANT_EQ(guest_rax(&g), 0x1122334455667700ULL);
}

GUEST_BLOB64(code_strings,
	"mov $0x100, %dx\n"
	"mov $3, %ecx\n"
	"outs_rep: rep outsb\n"
	"ins_w: insw\n");

/* A string instruction is the daemon's to perform: RIP stays on it. */
static void
test_string(void)
{
	struct vmm_state s;
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, code_strings);
	guest_run(&g, VMM_EXIT_IO);
	WANT_EQ(g.run->io.flags, VMM_IO_STRING | VMM_IO_REP);
	WANT_EQ(g.run->io.size, 1);
	WANT_EQ(g.run->io.port, 0x100);
	WANT_EQ(g.now.regs.rip, GUEST_ADDR(code_strings, outs_rep));
	WANT_EQ(g.now.regs.gpr[VMM_RCX], 3);
	guest_get(&g, &s);
	s.regs.rip = GUEST_ADDR(code_strings, ins_w);
	s.regs.gpr[VMM_RAX] = 0x7777;
	guest_set(&g, &s);
	guest_run(&g, VMM_EXIT_IO);
	WANT_EQ(g.run->io.flags, VMM_IO_STRING | VMM_IO_IN);
	WANT_EQ(g.run->io.size, 2);
	WANT_EQ(g.now.regs.rip, GUEST_ADDR(code_strings, ins_w));
	/* No answer is taken for it. */
	g.run->io.data = 0xffff;
	guest_run(&g, VMM_EXIT_IO);
	WANT_EQ(guest_rax(&g), 0x7777);
}

GUEST_BLOB16(code_halt,
	"cli\n"
	"hlt\n"
	"hlt_after: mov $0x100, %dx\n"
	"out %al, %dx\n");

static void
test_halt(void)
{
	struct vmm_state s;
	struct guest g;

	guest_open(&g);
	GUEST_REAL(&g, code_halt);
	guest_run(&g, VMM_EXIT_HLT);
	WANT_EQ(g.run->halted, VMM_HALTED_HLT);
	WANT_EQ(g.now.stuck, 1);
	/* It is told once: from then on the vCPU waits. */
	signal_after(10000);
	guest_run(&g, VMM_EXIT_NONE);
	WANT_EQ(g.run->halted, VMM_HALTED_HLT);
	WANT_EQ(g.now.stuck, 1);
	WANT_EQ(g.run->intr_ready, 0);
	WANT_EQ(g.now.regs.rip, GUEST_ADDR(code_halt, hlt_after));
	guest_get(&g, &s);
	WANT_EQ(s.halted, 1);
	s.halted = 0;
	guest_set(&g, &s);
	guest_out(&g, 0x100);
	WANT_EQ(g.run->halted, 0);
	WANT_EQ(g.now.stuck, 0);
}

GUEST_BLOB16(code_idle, "sti; hlt; jmp code_idle");

static void
test_halt_sleeps(void)
{
	struct guest g;
	clock_t cpu;
	uint64_t start, exits;

	guest_open(&g);
	GUEST_REAL(&g, code_idle);
	signal_every(200000);
	start = now_ns();
	cpu = clock();
	guest_run(&g, VMM_EXIT_NONE);
	WANT(now_ns() - start > 100000000);
	WANT(clock() - cpu < CLOCKS_PER_SEC / 20);
	WANT_EQ(g.run->halted, 1);
	WANT_EQ(g.run->intr_ready, 1);
	/* It sleeps on, without an entry. */
	exits = g.run->exits;
	guest_run(&g, VMM_EXIT_NONE);
	WANT_EQ(g.run->exits, exits);
	WANT_EQ(g.run->halted, 1);
	g.run->immediate_exit = 1;
	start = now_ns();
	guest_run(&g, VMM_EXIT_NONE);
	WANT(now_ns() - start < 100000000);
}

GUEST_BLOB16(code_busy, "inc %eax; jmp code_busy");

static void
test_signal(void)
{
	struct guest g;
	uint64_t exits, tsc;
	uint32_t rax;
	int i;

	guest_open(&g);
	GUEST_REAL(&g, code_busy);
	signal_every(10000);
	for (i = 0; i < 10; i++) {
		rax = guest_rax(&g);
		exits = g.run->exits;
		tsc = g.run->guest_tsc;
		guest_run(&g, VMM_EXIT_NONE);
		WANT(guest_rax(&g) != rax);
		WANT(g.run->exits > exits);
		WANT(g.run->guest_tsc > tsc);
	}
}

/* The host's scheduler takes the processor, and gives it back: no exit. */
static void
test_preempted(void)
{
	struct rusage before, after;
	struct guest g;
	uint64_t start;
	int i = 0;

	guest_open(&g);
	GUEST_REAL(&g, code_busy);
	compete();
	WANT_ERRNO(getrusage(RUSAGE_SELF, &before), 0);
	do {
		signal_after(500000);
		start = now_ns();
		guest_run(&g, VMM_EXIT_NONE);
		WANT(now_ns() - start > 400000000);
		WANT_ERRNO(getrusage(RUSAGE_SELF, &after), 0);
	} while (after.ru_nivcsw - before.ru_nivcsw < 5 && ++i < 20);
	WANT(i < 20);
}

static void
test_immediate_exit(void)
{
	struct guest g;

	guest_open(&g);
	GUEST_REAL(&g, code_busy);
	g.run->immediate_exit = 1;
	guest_run(&g, VMM_EXIT_NONE);
	WANT_EQ(g.run->exits, 0);
	WANT_EQ(g.now.regs.rip, GUEST_CODE);
	WANT_EQ(g.run->immediate_exit, 1);
}

/* An answer to IN is not lost, nor given twice, by a run that ends early. */
static void
test_in_kicked(void)
{
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, code_in_widths);
	guest_run(&g, VMM_EXIT_IO);
	g.run->io.data = 0xef;
	g.run->immediate_exit = 1;
	guest_run(&g, VMM_EXIT_NONE);
	WANT_EQ(guest_rax(&g), 0x11223344556677efULL);
	g.run->io.data = 0xff;
	g.run->immediate_exit = 0;
	guest_out(&g, 0x100);
	WANT_EQ(guest_rax(&g), 0x11223344556677efULL);
}

GUEST_BLOB16(code_fault, "ud2");

/* No handler for #UD, nor for the #GP and the #DF that come of it. */
static void
test_shutdown(void)
{
	struct vmm_state good, s;
	struct guest g;

	guest_open(&g);
	GUEST_REAL(&g, code_fault);
	guest_get(&g, &good);
	s = good;
	s.idtr.limit = 0;
	guest_set(&g, &s);
	guest_run(&g, VMM_EXIT_SHUTDOWN);
	/* It stays so, without an entry, until a new state ends it. */
	guest_run(&g, VMM_EXIT_SHUTDOWN);
	guest_set(&g, &good);
	guest_vector(&g, 6);
}

/* The run page is the daemon's to scribble on. */
static void
test_hostile_page(void)
{
	struct guest g;
	int fill, i;

	guest_open(&g);
	GUEST_REAL(&g, code_busy);
	signal_every(1000);
	for (fill = 0; fill < 256; fill += 5)
		for (i = 0; i < 4; i++) {
			memset(g.run, fill, 4096);
			g.run->immediate_exit = i & 1;
			g.run->intr_window = fill;
			g.run->inject = i & 2;
			if (i & 1)
				g.run->event = 0;
			if (ioctl(g.vcpu, VMM_RUN, 0) == -1)
				WANT(errno == EAGAIN || errno == EINVAL);
		}
}

const struct test tests_run[] = {
	{ "out",		test_out },
	{ "in",			test_in },
	{ "in-kicked",		test_in_kicked },
	{ "string-io",		test_string },
	{ "halt",		test_halt },
	{ "halt-sleeps",	test_halt_sleeps },
	{ "signal",		test_signal },
	{ "preempted",		test_preempted },
	{ "immediate-exit",	test_immediate_exit },
	{ "shutdown",		test_shutdown },
	{ "hostile-run-page",	test_hostile_page },
	{ NULL,			NULL }
};
