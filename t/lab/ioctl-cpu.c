/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: instructions that the driver performs, or refuses. */
#include <sys/ioctl.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ioctl-test.h"

extern const uint8_t msr_write_here[], msr_read_here[];

#define VECTOR_UD	6
#define VECTOR_GP	13
#define CR4_OSXSAVE	0x40000
#define OSXSAVE		(1U << 27)	/* CPUID 1 ECX */

GUEST_BLOB64(code_cpuid,
	"cpuid\n"
	"mov %edx, %esi\n"
	"mov $0x100, %dx\n"
	"out %al, %dx\n");

static void
exec_cpuid(struct guest *g, uint32_t leaf, uint32_t subleaf,
    uint32_t out[4])
{
	const __u64 *r = g->now.regs.gpr;
	struct vmm_state s;

	guest_get(g, &s);
	s.regs.rip = GUEST_CODE;
	s.regs.gpr[VMM_RAX] = 0xffffffff00000000ULL | leaf;
	s.regs.gpr[VMM_RCX] = 0xffffffff00000000ULL | subleaf;
	guest_set(g, &s);
	guest_out(g, 0x100);
	out[0] = r[VMM_RAX];
	out[1] = r[VMM_RBX];
	out[2] = r[VMM_RCX];
	out[3] = r[VMM_RSI];
	WANT_EQ((r[VMM_RAX] | r[VMM_RBX] | r[VMM_RCX]) >> 32, 0);
}

static void
want_cpuid(struct guest *g, uint32_t leaf, uint32_t subleaf,
    uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	uint32_t out[4];

	exec_cpuid(g, leaf, subleaf, out);
	if (out[0] != a || out[1] != b || out[2] != c || out[3] != d)
		fail("leaf %#x/%u: %#x %#x %#x %#x, not %#x %#x %#x %#x",
		    leaf, subleaf, out[0], out[1], out[2], out[3], a, b, c, d);
}

static void
test_cpuid(void)
{
	static const struct vmm_cpuid_entry rows[] = {
		{ 0, 0, 0, 0x11, 0x12, 0x13, 0x14, 0 },
		{ 4, 0, VMM_CPUID_SUBLEAF, 0x21, 0x22, 0x23, 0x24, 0 },
		{ 4, 2, VMM_CPUID_SUBLEAF, 0x31, 0x32, 0x33, 0x34, 0 },
		{ 0xffffffff, 0, 0, 0x41, 0x42, 0x43, 0xffffffff, 0 },
	};
	struct vmm_cpuid *c = calloc(1, sizeof(*c));
	struct guest g;

	WANT(c != NULL);
	guest_open(&g);
	c->count = sizeof(rows) / sizeof(rows[0]);
	memcpy(c->entry, rows, sizeof(rows));
	WANT_ERRNO(ioctl(g.vm, VMM_SET_CPUID, c), 0);
	GUEST_LONG(&g, code_cpuid);
	want_cpuid(&g, 0, 0, 0x11, 0x12, 0x13, 0x14);
	want_cpuid(&g, 0, 77, 0x11, 0x12, 0x13, 0x14);
	want_cpuid(&g, 4, 0, 0x21, 0x22, 0x23, 0x24);
	want_cpuid(&g, 4, 1, 0, 0, 0, 0);
	want_cpuid(&g, 4, 2, 0x31, 0x32, 0x33, 0x34);
	want_cpuid(&g, 4, 3, 0, 0, 0, 0);
	want_cpuid(&g, 1, 0, 0, 0, 0, 0);
	want_cpuid(&g, 0xffffffff, 0, 0x41, 0x42, 0x43, 0xffffffff);
	want_cpuid(&g, 0xfffffffe, 0, 0, 0, 0, 0);
}

static void
set_cr4(struct guest *g, bool osxsave, uint64_t xcr0)
{
	struct vmm_state s;

	guest_get(g, &s);
	s.regs.cr4 &= ~(uint64_t)CR4_OSXSAVE;
	s.regs.cr4 |= osxsave ? CR4_OSXSAVE : 0;
	s.xcr0 = xcr0;
	guest_set(g, &s);
}

/* What of CPUID follows the guest's own registers. */
static void
test_cpuid_live(void)
{
	uint32_t out[4];
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, code_cpuid);
	set_cr4(&g, false, 1);
	exec_cpuid(&g, 1, 0, out);
	WANT_EQ(out[2] & OSXSAVE, 0);
	set_cr4(&g, true, 3);
	exec_cpuid(&g, 1, 0, out);
	WANT_EQ(out[2] & OSXSAVE, OSXSAVE);
	WANT_EQ(out[2] >> 31, 1);		/* a hypervisor is there */
	exec_cpuid(&g, 0xd, 0, out);
	WANT_EQ(out[1], 512 + 64);
	set_cr4(&g, true, 7);
	exec_cpuid(&g, 0xd, 0, out);
	WANT_EQ(out[1], 512 + 64 + 256);
	WANT(out[2] >= out[1]);
	exec_cpuid(&g, 0x40000000, 0, out);
	WANT_EQ(memcmp(&out[1], "KVMKVMKVM\0\0", 12), 0);
}

GUEST_BLOB64(code_msr,
	"msr_write_here: wrmsr\n"
	"mov $0x100, %dx\n"
	"out %al, %dx\n"
	"msr_read_here: rdmsr\n"
	"mov %edx, %esi\n"
	"mov $0x100, %dx\n"
	"out %al, %dx\n");

static void
prepare_msr(struct guest *g, const uint8_t *where, uint32_t msr, uint64_t value)
{
	struct vmm_state s;

	guest_get(g, &s);
	s.regs.rip = GUEST_ADDR(code_msr, where);
	s.regs.gpr[VMM_RSP] = GUEST_STACK;
	s.regs.gpr[VMM_RCX] = msr;
	s.regs.gpr[VMM_RAX] = 0xffffffff00000000ULL | (uint32_t)value;
	s.regs.gpr[VMM_RDX] = value >> 32;
	guest_set(g, &s);
}

/* True if it was done, false if it was a #GP; nothing else may happen. */
static bool
finish_msr(struct guest *g, const uint8_t *where)
{
	uint64_t frame[2];

	guest_run(g, VMM_EXIT_IO);
	if (g->run->io.port == 0x100)
		return (true);
	WANT_EQ(g->run->io.port, VECTOR_GP);
	memcpy(frame, g->ram + g->now.regs.gpr[VMM_RSP], sizeof(frame));
	WANT_EQ(frame[0], 0);
	WANT_EQ(frame[1], GUEST_ADDR(code_msr, where));
	return (false);
}

static bool
exec_msr(struct guest *g, const uint8_t *where, uint32_t msr, uint64_t value)
{
	prepare_msr(g, where, msr, value);
	return (finish_msr(g, where));
}

static bool
write_msr(struct guest *g, uint32_t msr, uint64_t value)
{
	return (exec_msr(g, msr_write_here, msr, value));
}

static bool
read_msr(struct guest *g, uint32_t msr, uint64_t *value)
{
	const __u64 *r = g->now.regs.gpr;

	if (!exec_msr(g, msr_read_here, msr, 0))
		return (false);
	WANT_EQ((r[VMM_RAX] | r[VMM_RSI]) >> 32, 0);
	*value = r[VMM_RSI] << 32 | r[VMM_RAX];
	return (true);
}

static void
test_msr(void)
{
	static const struct {
		uint32_t	msr;
		uint64_t	value;
	} rows[] = {
		{ 0xc0000080, 0xd01 },			/* EFER */
		{ 0xc0000080, 0x500 },
		{ 0xc0000081, 0x0023001000000000 },	/* STAR */
		{ 0xc0000082, 0xffffffff81c00010 },	/* LSTAR */
		{ 0xc0000083, 0xffffffff81c00020 },	/* CSTAR */
		{ 0xc0000084, 0x47700 },		/* SFMASK */
		{ 0xc0000100, 0x00007fffdeadb000 },	/* FS base */
		{ 0xc0000101, 0xffff888012345000 },	/* GS base */
		{ 0xc0000102, 0x00007fff98765000 },	/* KERNEL_GS base */
		{ 0x174, 0x10 },			/* SYSENTER */
		{ 0x175, 0xfffffe0000003000 },
		{ 0x176, 0xffffffff81c01000 },
		{ 0x277, 0x0407050600070106 },		/* PAT */
		{ 0x277, 0x0606060606060606 },
	};
	struct guest g;
	uint64_t value;
	size_t i;

	guest_open(&g);
	GUEST_LONG(&g, code_msr);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!write_msr(&g, rows[i].msr, rows[i].value))
			fail("WRMSR %#x faults", rows[i].msr);
		if (!read_msr(&g, rows[i].msr, &value))
			fail("RDMSR %#x faults", rows[i].msr);
		if (value != rows[i].value)
			fail("MSR %#x reads %#llx", rows[i].msr,
			    (unsigned long long)value);
	}
}

/* Each guest has its own. */
static void
test_msr_state(void)
{
	struct vmm_state s;
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, code_msr);
	WANT(write_msr(&g, 0xc0000082, 0x1000));
	WANT(write_msr(&g, 0xc0000102, 0x2000));
	WANT(write_msr(&g, 0x175, 0x3000));
	WANT(write_msr(&g, 0xc0000100, 0x4000));
	guest_get(&g, &s);
	WANT_EQ(s.lstar, 0x1000);
	WANT_EQ(s.kernel_gs_base, 0x2000);
	WANT_EQ(s.sysenter_esp, 0x3000);
	WANT_EQ(s.regs.seg[VMM_FS].base, 0x4000);
}

static void
test_msr_ignored(void)
{
	static const uint32_t msrs[] = {
		0x8b, 0x1d9, 0xc0010010, 0xc0010015, 0xc0010055, 0xc0010058,
	};
	struct guest g;
	uint64_t value;
	size_t i;

	guest_open(&g);
	GUEST_LONG(&g, code_msr);
	for (i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
		WANT(write_msr(&g, msrs[i], 1));
		WANT(read_msr(&g, msrs[i], &value));
		if (value != 0)
			fail("MSR %#x keeps what is written", msrs[i]);
	}
}

/* The exit for an MSR that the driver does not know. */
static void
ask_msr(struct guest *g, const uint8_t *where, uint32_t msr)
{
	const struct vmm_regs *r = &g->run->regs;

	guest_run(g, VMM_EXIT_MSR);
	WANT_EQ(g->run->msr.index, msr);
	WANT_EQ(g->run->msr.flags, where == msr_write_here ? VMM_MSR_WRITE : 0);
	WANT_EQ(g->run->msr.next_rip, GUEST_ADDR(code_msr, where) + 2);
	WANT_EQ(r->rip, GUEST_ADDR(code_msr, where));
	WANT_EQ((uint32_t)r->gpr[VMM_RCX], msr);
	WANT_EQ(r->gpr[VMM_RAX], 0xffffffff55667788);
	WANT_EQ(r->gpr[VMM_RDX], 0x11223344);
}

/* Refused, after it was asked again for want of an answer; then performed. */
static void
want_msr_exit(struct guest *g, const uint8_t *where, uint32_t msr)
{
	struct vmm_regs *r = &g->run->regs;

	prepare_msr(g, where, msr, 0x1122334455667788);
	ask_msr(g, where, msr);
	ask_msr(g, where, msr);
	g->run->event = VMM_EVENT_VALID | VMM_EVENT_EXCEPTION |
	    VMM_EVENT_HAS_ERROR | VECTOR_GP;
	WANT(!finish_msr(g, where));
	WANT_EQ(guest_rax(g), 0xffffffff55667788);
	prepare_msr(g, where, msr, 0x1122334455667788);
	ask_msr(g, where, msr);
	r->gpr[VMM_RAX] = 0x99aabbcc;
	r->gpr[VMM_RDX] = 0xddeeff00;
	r->rip = g->run->msr.next_rip;
	g->run->set_regs = 1;
	WANT(finish_msr(g, where));
	WANT_EQ(guest_rax(g), 0x99aabbcc);
	if (where == msr_read_here)
		WANT_EQ(g->now.regs.gpr[VMM_RSI], 0xddeeff00);
}

static void
test_msr_unknown(void)
{
	static const uint32_t msrs[] = {
		0, 0x1a, 0x1c, 0x48, 0x49, 0x6df, 0x6e1, 0x7ff, 0x900,
		0xda0, 0x1fff, 0x2000,
		0x40000000, 0x4b564cff, 0x4b564d02, 0xc0000085, 0xc0000103,
		0xc0001fff, 0xc0010114, 0xc0010117, 0xc0011fff, 0xffffffff,
	};
	struct guest g;
	size_t i;

	guest_open(&g);
	GUEST_LONG(&g, code_msr);
	for (i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
		want_msr_exit(&g, msr_read_here, msrs[i]);
		want_msr_exit(&g, msr_write_here, msrs[i]);
	}
}

static void
test_msr_values(void)
{
	static const struct {
		uint32_t	msr;
		uint64_t	value;
	} rows[] = {
		{ 0xc0000080, 0x1500 },			/* SVME */
		{ 0xc0000080, 0x400 },			/* LME off */
		{ 0xc0000080, 0x502 },
		{ 0xc0000080, 0x8000000000000500 },
		{ 0x277, 0x0007040600070402 },		/* no such type */
		{ 0x277, 0x0307040600070406 },
		{ 0x277, 0x0008040600070406 },
		{ 0x10, 0 },				/* the TSC */
		{ 0x17, 0 },				/* read-only */
		{ 0xc0000104, 0 },
	};
	struct guest g;
	uint64_t value;
	size_t i;

	guest_open(&g);
	GUEST_LONG(&g, code_msr);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (write_msr(&g, rows[i].msr, rows[i].value))
			fail("%#llx to MSR %#x does not fault",
			    (unsigned long long)rows[i].value, rows[i].msr);
	WANT(read_msr(&g, 0xc0000080, &value));
	WANT_EQ(value, 0x500);
	WANT(read_msr(&g, 0x277, &value));
	WANT_EQ(value, 0x0007040600070406);
}

GUEST_BLOB64(code_vmmcall,
	"mov $0x7fffffff, %eax\n"
	"vmmcall\n"
	"mov $0x100, %dx\n"
	"out %al, %dx\n");

static void
test_vmmcall(void)
{
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, code_vmmcall);
	guest_out(&g, 0x100);
	WANT_EQ(guest_rax(&g), -1000ULL);
}

/* Without RDTSCP: the lab's CPU knows no intercept of it. */
static void
test_undefined(void)
{
	static const struct {
		const char	*name;
		uint8_t		 vector;
		uint8_t		 code[4];
	} rows[] = {
		{ "vmrun", VECTOR_UD, { 0x0f, 0x01, 0xd8 } },
		{ "vmload", VECTOR_UD, { 0x0f, 0x01, 0xda } },
		{ "vmsave", VECTOR_UD, { 0x0f, 0x01, 0xdb } },
		{ "stgi", VECTOR_UD, { 0x0f, 0x01, 0xdc } },
		{ "clgi", VECTOR_UD, { 0x0f, 0x01, 0xdd } },
		{ "skinit", VECTOR_UD, { 0x0f, 0x01, 0xde } },
		{ "invlpga", VECTOR_UD, { 0x0f, 0x01, 0xdf } },
		{ "monitor", VECTOR_UD, { 0x0f, 0x01, 0xc8 } },
		{ "mwait", VECTOR_UD, { 0x0f, 0x01, 0xc9 } },
		{ "vmcall", VECTOR_UD, { 0x0f, 0x01, 0xc1 } },
		{ "rdpru", VECTOR_UD, { 0x0f, 0x01, 0xfd } },
		{ "rsm", VECTOR_UD, { 0x0f, 0xaa } },
		{ "rdpmc", VECTOR_GP, { 0x0f, 0x33 } },
	};
	struct vmm_state s;
	struct guest g;
	size_t i;

	guest_open(&g);
	GUEST_LONG(&g, code_vmmcall);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		guest_get(&g, &s);
		s.regs.rip = GUEST_CODE;
		guest_set(&g, &s);
		memcpy(g.ram + GUEST_CODE, rows[i].code, 4);
		guest_run(&g, VMM_EXIT_IO);
		if (g.run->io.port != rows[i].vector)
			fail("%s: port %#x", rows[i].name, g.run->io.port);
	}
}

GUEST_BLOB64(code_xsetbv,
	"xsetbv\n"
	"xor %ecx, %ecx\n"
	"xgetbv\n"
	"mov %edx, %esi\n"
	"mov $0x100, %dx\n"
	"out %al, %dx\n");

static bool
exec_xsetbv(struct guest *g, uint32_t xcr, uint64_t value)
{
	struct vmm_state s;

	guest_get(g, &s);
	s.regs.rip = GUEST_CODE;
	s.regs.gpr[VMM_RCX] = xcr;
	s.regs.gpr[VMM_RAX] = (uint32_t)value;
	s.regs.gpr[VMM_RDX] = value >> 32;
	guest_set(g, &s);
	guest_run(g, VMM_EXIT_IO);
	guest_get(g, &s);
	if (g->run->io.port != 0x100) {
		WANT_EQ(g->run->io.port, VECTOR_GP);
		WANT_EQ(s.xcr0, 1);
		return (false);
	}
	WANT_EQ(s.xcr0, value);
	WANT_EQ(guest_rax(g), (uint32_t)value);
	WANT_EQ(g->now.regs.gpr[VMM_RSI], value >> 32);
	return (true);
}

static void
test_xsetbv(void)
{
	static const uint64_t bad[] = {
		0, 2, 4, 5, 6, 8 | 7, 0x20 | 7, 0x200 | 7, 1ULL << 32 | 7,
		1ULL << 63 | 7,
	};
	struct guest g;
	size_t i;

	guest_open(&g);
	GUEST_LONG(&g, code_xsetbv);
	set_cr4(&g, true, 1);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (exec_xsetbv(&g, 0, bad[i]))
			fail("XCR0 = %#llx does not fault",
			    (unsigned long long)bad[i]);
	WANT(!exec_xsetbv(&g, 1, 7));
	WANT(!exec_xsetbv(&g, UINT32_MAX, 7));
	WANT(exec_xsetbv(&g, 0, 1));
	WANT(exec_xsetbv(&g, 0, 3));
	WANT(exec_xsetbv(&g, 0, 7));
}

const struct test tests_cpu[] = {
	{ "cpuid",		test_cpuid },
	{ "cpuid-live",		test_cpuid_live },
	{ "msr",		test_msr },
	{ "msr-state",		test_msr_state },
	{ "msr-ignored",	test_msr_ignored },
	{ "msr-unknown",	test_msr_unknown },
	{ "msr-values",		test_msr_values },
	{ "vmmcall",		test_vmmcall },
	{ "undefined",		test_undefined },
	{ "xsetbv",		test_xsetbv },
	{ NULL,			NULL }
};
