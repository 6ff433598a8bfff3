/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: single steps, and breakpoints of guest and host at once. */
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ioctl-test.h"

extern const uint8_t dr_first[], dr_second[];

#define RFLAGS_TF	0x100
#define DR6_BS		0x4000
#define VECTOR_DB	1

/* The handler of #DB is entered after `insn`; six bytes follow that. */
#define STEP_BLOB(name, insn) GUEST_BLOB16(name,			\
	"mov $0xc0000080, %ecx\n"					\
	"mov $0x101, %dx\n"						\
	"pushf\n"							\
	"pop %ax\n"							\
	"or $0x100, %ax\n"						\
	"push %ax\n"							\
	"popf\n"							\
	insn "\n"							\
	"nop\n"								\
	"mov $0x100, %dx\n"						\
	"out %al, %dx\n"						\
	"hlt")
#define STEP_TAIL	6

STEP_BLOB(step_nop, "nop");
STEP_BLOB(step_cpuid, "cpuid");
STEP_BLOB(step_rdmsr, "rdmsr");
STEP_BLOB(step_vmmcall, "vmmcall");
STEP_BLOB(step_wbinvd, "wbinvd");
STEP_BLOB(step_in, "in %dx, %al");
STEP_BLOB(step_out, "out %al, %dx");

static void
step(const char *name, const uint8_t *code, const uint8_t *end)
{
	struct vmm_state s;
	struct guest g;
	uint16_t frame[3];

	guest_open(&g);
	guest_real(&g, code, end);
	guest_run(&g, VMM_EXIT_IO);
	if (g.run->io.port == 0x101) {
		WANT_EQ(g.run->intr_ready, 0);
		guest_run(&g, VMM_EXIT_IO);
	}
	if (g.run->io.port != VECTOR_DB)
		fail("%s: port %#x, not the handler of #DB", name,
		    g.run->io.port);
	memcpy(frame, g.ram + g.now.regs.gpr[VMM_RSP], sizeof(frame));
	if (frame[0] != GUEST_CODE + (end - code) - STEP_TAIL)
		fail("%s: #DB at %#x", name, frame[0]);
	WANT_EQ(frame[2] & RFLAGS_TF, RFLAGS_TF);
	guest_get(&g, &s);
	WANT_EQ(s.dr6 & 0xffff, DR6_BS | 0x0ff0);
	/* No more steps: the code goes on to its end. */
	frame[2] &= ~RFLAGS_TF;
	memcpy(g.ram + g.now.regs.gpr[VMM_RSP], frame, sizeof(frame));
	guest_out(&g, 0x100);
	guest_run(&g, VMM_EXIT_HLT);
}

#define STEP(blob)	step(#blob, blob, blob##_end)

static void
test_step(void)
{
	STEP(step_nop);
	STEP(step_cpuid);
	STEP(step_rdmsr);
	STEP(step_vmmcall);
	STEP(step_wbinvd);
	STEP(step_in);
	STEP(step_out);
}

/*
 * RBX watches four addresses, 16 bytes apart, for writes; between each setup
 * and the write lie exits that the driver handles and ones it does not.
 */
GUEST_BLOB64(code_watch,
	"mov %rbx, %rax\n"
	"mov %rax, %dr0\n"
	"add $16, %rax\n"
	"mov %rax, %dr1\n"
	"add $16, %rax\n"
	"mov %rax, %dr2\n"
	"add $16, %rax\n"
	"mov %rax, %dr3\n"
	"mov $0xdddd0455, %eax\n"
	"mov %rax, %dr7\n"
	"mov %rbx, %rdi\n"
	"mov $0x100, %dx\n"
	"out %al, %dx\n"
	"mov $4, %esi\n"
	"1: push %rbx\n"
	"xor %eax, %eax\n"
	"cpuid\n"
	"cpuid\n"
	"pop %rbx\n"
	"movl $1, (%rdi)\n"
	"dr_first: mov $0x100, %dx\n"
	"out %al, %dx\n"
	"movl $2, 12(%rdi)\n"			/* just after it */
	"movl $2, -4(%rdi)\n"			/* just before it */
	"movb $3, 3(%rdi)\n"			/* its last byte */
	"dr_second: mov %dr6, %rax\n"
	"mov $0xffff0ff0, %eax\n"
	"mov %rax, %dr6\n"
	"add $16, %rdi\n"
	"dec %esi\n"
	"jnz 1b\n"
	"mov %dr0, %r8\n"
	"mov %dr1, %r9\n"
	"mov %dr2, %r10\n"
	"mov %dr3, %r11\n"
	"mov %dr7, %r12\n"
	"mov $0x100, %dx\n"
	"out %al, %dx\n");

#define WATCHED		0x6000

static void
want_hit(struct guest *g, unsigned which, const uint8_t *where)
{
	struct vmm_state s;
	uint64_t rip;

	guest_vector(g, VECTOR_DB);
	memcpy(&rip, g->ram + g->now.regs.gpr[VMM_RSP], sizeof(rip));
	WANT_EQ(rip, GUEST_ADDR(code_watch, where));
	guest_get(g, &s);
	WANT_EQ(s.dr6 & 0xf, 1U << which);
}

static void
watch(void)
{
	struct vmm_state s;
	struct guest g;
	unsigned i;

	guest_open(&g);
	GUEST_LONG(&g, code_watch);
	guest_get(&g, &s);
	s.regs.gpr[VMM_RBX] = WATCHED;
	guest_set(&g, &s);
	guest_out(&g, 0x100);
	for (i = 0; i < 4; i++) {
		want_hit(&g, i, dr_first);
		guest_out(&g, 0x100);
		want_hit(&g, i, dr_second);
	}
	guest_out(&g, 0x100);
	for (i = 0; i < 4; i++)
		WANT_EQ(g.now.regs.gpr[VMM_R8 + i], WATCHED + 16 * i);
	WANT_EQ(g.now.regs.gpr[VMM_R12], 0xdddd0455);
	guest_get(&g, &s);
	for (i = 0; i < 4; i++)
		WANT_EQ(s.dr[i], WATCHED + 16 * i);
	WANT_EQ(s.dr7, 0xdddd0455);
}

static void
test_watch(void)
{
	watch();
}

/* A breakpoint of this thread, on writes to `var`. */
static int
host_watch(volatile uint32_t *var)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.bp_type = HW_BREAKPOINT_W,
		.bp_addr = (uintptr_t)var,
		.bp_len = HW_BREAKPOINT_LEN_4,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

	if (fd == -1)
		fail("perf_event_open: %s", strerror(errno));
	return (fd);
}

/* The host's breakpoints work, and the guest's, and neither sees the other. */
static void
test_watch_both(void)
{
	static volatile uint32_t var;
	uint64_t count;
	unsigned i;
	int fd = host_watch(&var);

	for (i = 1; i <= 10; i++) {
		var++;
		watch();
		WANT(read(fd, &count, sizeof(count)) == sizeof(count));
		WANT_EQ(count, i);
	}
}

/* DR0-3 set by the daemon, in a guest that has DR7 from it as well. */
static void
test_watch_state(void)
{
	struct vmm_state s;
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, code_watch);
	guest_get(&g, &s);
	s.regs.rip = GUEST_ADDR(code_watch, dr_first) - 6;
	s.regs.gpr[VMM_RDI] = WATCHED;
	s.dr[3] = WATCHED;
	s.dr7 = 0xd0000440;
	guest_set(&g, &s);
	want_hit(&g, 3, dr_first);
}

const struct test tests_debug[] = {
	{ "step",		test_step },
	{ "watch",		test_watch },
	{ "watch-both",		test_watch_both },
	{ "watch-state",	test_watch_state },
	{ NULL,			NULL }
};
