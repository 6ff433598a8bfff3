/* SPDX-License-Identifier: ISC */
/*
 * Instructions against the processor: each runs natively and by insn.c, on the
 * same random registers, flags and memory, of which the latter finds some in
 * RAM and some in a device.  Guest-physical, linear and host addresses are all
 * the same here, and paging is off.
 */
#include <sys/mman.h>

#include <stdio.h>

#include "devices/gmem.h"
#include "testhost.h"
#include "vmm/hv.h"
#include "vmm/insn.h"
#include "vmm/x86.h"

#define PAGE	4096U
#define PAGES	4U		/* code, data, data, stack */
#define ROUNDS	100

/* Flags that the tests set, and that both must leave alike. */
#define FLAGS	(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | \
		 RFLAGS_OF | RFLAGS_DF)

/* What native_run() loads and stores. */
struct cpu {
	uint64_t	gpr[16];
	uint64_t	rflags;
};

struct cpu	*native_cpu;
uint64_t	 native_rsp, native_rax, native_target;
void		 native_run(void);
void		 native_back(void);

__asm__(
    ".pushsection .text\n"
    ".globl native_run, native_back\n"
    "native_run:\n"
    "	push	%rbx\n	push	%rbp\n"
    "	push	%r12\n	push	%r13\n	push	%r14\n	push	%r15\n"
    "	mov	%rsp, native_rsp(%rip)\n"
    "	mov	native_cpu(%rip), %rax\n"
    "	push	128(%rax)\n	popfq\n"
    "	mov	8(%rax), %rcx\n	mov	16(%rax), %rdx\n"
    "	mov	24(%rax), %rbx\n	mov	32(%rax), %rsp\n"
    "	mov	40(%rax), %rbp\n	mov	48(%rax), %rsi\n"
    "	mov	56(%rax), %rdi\n	mov	64(%rax), %r8\n"
    "	mov	72(%rax), %r9\n	mov	80(%rax), %r10\n"
    "	mov	88(%rax), %r11\n	mov	96(%rax), %r12\n"
    "	mov	104(%rax), %r13\n	mov	112(%rax), %r14\n"
    "	mov	120(%rax), %r15\n	mov	(%rax), %rax\n"
    "	jmp	*native_target(%rip)\n"
    "native_back:\n"
    "	mov	%rax, native_rax(%rip)\n"
    "	mov	native_cpu(%rip), %rax\n"
    "	mov	%rsp, 32(%rax)\n"
    "	mov	native_rsp(%rip), %rsp\n"
    "	pushfq\n	pop	128(%rax)\n	cld\n"
    "	mov	%rcx, 8(%rax)\n	mov	%rdx, 16(%rax)\n"
    "	mov	%rbx, 24(%rax)\n"
    "	mov	%rbp, 40(%rax)\n	mov	%rsi, 48(%rax)\n"
    "	mov	%rdi, 56(%rax)\n	mov	%r8, 64(%rax)\n"
    "	mov	%r9, 72(%rax)\n	mov	%r10, 80(%rax)\n"
    "	mov	%r11, 88(%rax)\n	mov	%r12, 96(%rax)\n"
    "	mov	%r13, 104(%rax)\n	mov	%r14, 112(%rax)\n"
    "	mov	%r15, 120(%rax)\n"
    "	mov	native_rax(%rip), %rcx\n	mov	%rcx, (%rax)\n"
    "	pop	%r15\n	pop	%r14\n	pop	%r13\n	pop	%r12\n"
    "	pop	%rbp\n	pop	%rbx\n	ret\n"
    ".popsection\n");

/* The page with code, two of data, one of stack; and a copy of the latter. */
static uint8_t	*area;
static uint8_t	 before[PAGES * PAGE], after[PAGES * PAGE];
static uint64_t	 seed;

static void
setup(void)
{
	area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(area, MAP_FAILED);
	seed = 0x9e3779b97f4a7c15;
}

static void
teardown(void)
{
	munmap(area, PAGES * PAGE);
}

static uint64_t
rnd(void)
{
	return test_random(&seed);
}

/* A number whose carries and signs are interesting more often than not. */
static uint64_t
value(void)
{
	static const uint64_t edge[] = {
		0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
		0x80000000, 0xffffffff, INT64_MAX, UINT64_C(1) << 63,
		UINT64_MAX,
	};

	return rnd() % 3 == 0 ? edge[rnd() % (sizeof(edge) / sizeof(edge[0]))] :
	    rnd();
}

enum {
	IMM8 = 1, IMM = 2,		/* an immediate follows */
	BYTE = 4,			/* operands of 8 bits */
	LOCK = 8,			/* may have the prefix */
	BITS = 16,			/* the register is a bit's number */
	ONLY32 = 32,			/* no 16 bits */
	STRING = 64,
	SEGS = 128,			/* the register is a segment */
	MOFFS = 256,
	WIDE_ONLY = 512,		/* needs REX.W */
};

#define REG	(-1)			/* modrm.reg is a register */

/* An opcode, modrm.reg or REG, and how many that follow are alike. */
static const struct form {
	uint8_t		op[3];
	uint8_t		len;
	int8_t		reg;
	uint16_t	flags;
} forms[] = {
#define ARITH(n) \
	{ { 8 * (n) }, 1, REG, BYTE | ((n) < 7 ? LOCK : 0) }, \
	{ { 8 * (n) + 1 }, 1, REG, (n) < 7 ? LOCK : 0 }, \
	{ { 8 * (n) + 2 }, 1, REG, BYTE }, { { 8 * (n) + 3 }, 1, REG, 0 }, \
	{ { 0x80 }, 1, n, BYTE | IMM8 }, { { 0x81 }, 1, n, IMM }, \
	{ { 0x83 }, 1, n, IMM8 }
	ARITH(0), ARITH(1), ARITH(2), ARITH(3),
	ARITH(4), ARITH(5), ARITH(6), ARITH(7),
	{ { 0x84 }, 1, REG, BYTE }, { { 0x85 }, 1, REG, 0 },
	{ { 0xf6 }, 1, 0, BYTE | IMM8 }, { { 0xf7 }, 1, 0, IMM },
	{ { 0xf6 }, 1, 2, BYTE | LOCK }, { { 0xf7 }, 1, 2, LOCK },
	{ { 0xf6 }, 1, 3, BYTE | LOCK }, { { 0xf7 }, 1, 3, LOCK },
	{ { 0xfe }, 1, 0, BYTE | LOCK }, { { 0xff }, 1, 0, LOCK },
	{ { 0xfe }, 1, 1, BYTE | LOCK }, { { 0xff }, 1, 1, LOCK },
	{ { 0x86 }, 1, REG, BYTE | LOCK }, { { 0x87 }, 1, REG, LOCK },
	{ { 0x88 }, 1, REG, BYTE }, { { 0x89 }, 1, REG, 0 },
	{ { 0x8a }, 1, REG, BYTE }, { { 0x8b }, 1, REG, 0 },
	{ { 0xc6 }, 1, 0, BYTE | IMM8 }, { { 0xc7 }, 1, 0, IMM },
	{ { 0x63 }, 1, REG, WIDE_ONLY },
	{ { 0x0f, 0xb6 }, 2, REG, 0 }, { { 0x0f, 0xb7 }, 2, REG, 0 },
	{ { 0x0f, 0xbe }, 2, REG, 0 }, { { 0x0f, 0xbf }, 2, REG, 0 },
	{ { 0x0f, 0xb0 }, 2, REG, BYTE | LOCK },
	{ { 0x0f, 0xb1 }, 2, REG, LOCK },
	{ { 0x0f, 0xc0 }, 2, REG, BYTE | LOCK },
	{ { 0x0f, 0xc1 }, 2, REG, LOCK },
	{ { 0x0f, 0xc3 }, 2, REG, ONLY32 },
	{ { 0x0f, 0x38, 0xf0 }, 3, REG, 0 },
	{ { 0x0f, 0x38, 0xf1 }, 3, REG, 0 },
#define BIT(n, op) \
	{ { 0x0f, 0xba }, 2, n, IMM8 | ((n) > 4 ? LOCK : 0) }, \
	{ { 0x0f, op }, 2, REG, BITS | ((n) > 4 ? LOCK : 0) }
	BIT(4, 0xa3), BIT(5, 0xab), BIT(6, 0xb3), BIT(7, 0xbb),
#define CONDS(base, flags) \
	{ { 0x0f, (base) }, 2, REG, flags }, \
	{ { 0x0f, (base) + 1 }, 2, REG, flags }, \
	{ { 0x0f, (base) + 2 }, 2, REG, flags }, \
	{ { 0x0f, (base) + 3 }, 2, REG, flags }
	CONDS(0x40, 0), CONDS(0x44, 0), CONDS(0x48, 0), CONDS(0x4c, 0),
	CONDS(0x90, BYTE), CONDS(0x94, BYTE), CONDS(0x98, BYTE),
	CONDS(0x9c, BYTE),
	{ { 0x8c }, 1, REG, SEGS },
	{ { 0xff }, 1, 6, 0 }, { { 0x8f }, 1, 0, 0 },
	{ { 0xa0 }, 1, REG, MOFFS | BYTE }, { { 0xa1 }, 1, REG, MOFFS },
	{ { 0xa2 }, 1, REG, MOFFS | BYTE }, { { 0xa3 }, 1, REG, MOFFS },
	{ { 0xa4 }, 1, REG, STRING | BYTE }, { { 0xa5 }, 1, REG, STRING },
	{ { 0xaa }, 1, REG, STRING | BYTE }, { { 0xab }, 1, REG, STRING },
	{ { 0xac }, 1, REG, STRING | BYTE }, { { 0xad }, 1, REG, STRING },
	{ { 0xa6 }, 1, REG, STRING | BYTE }, { { 0xa7 }, 1, REG, STRING },
	{ { 0xae }, 1, REG, STRING | BYTE }, { { 0xaf }, 1, REG, STRING },
};

struct code {
	uint8_t		byte[32];
	unsigned	n;
};

static void
put(struct code *c, uint64_t val, unsigned size)
{
	memcpy(c->byte + c->n, &val, size);
	c->n += size;
}

/*
 * The operand in memory, near the middle of the data: by RIP; RBX and eight
 * bits; or RBX, R9 and 32 bits.
 */
static void
put_operand(struct code *c, unsigned reg, unsigned imm, bool index)
{
	uint64_t data = (uintptr_t)area + 2 * PAGE - 8 + rnd() % 16;

	switch (index ? 2 : rnd() % 2) {
	case 0:
		put(c, reg << 3 | 5, 1);
		put(c, data - ((uintptr_t)area + c->n + 4 + imm), 4);
		break;
	case 1:
		put(c, 0x40 | reg << 3 | 3, 1);
		put(c, rnd() % 16 - 8, 1);
		break;
	default:
		put(c, 0x80 | reg << 3 | 4, 1);
		put(c, (rnd() % 4) << 6 | 1 << 3 | 3, 1);
		put(c, rnd() % 64 - 32, 4);
	}
}

/* One instruction of a form, with random prefixes and operands. */
static void
make_code(struct code *c, const struct form *f)
{
	unsigned reg = f->reg == REG ? rnd() % 8 : (unsigned)f->reg, imm = 0;
	bool rex, index = false;
	unsigned wide = rnd() % 3;	/* 0: 16 bits, 1: 32, 2: 64 */

	c->n = 0;
	if ((f->flags & (BYTE | ONLY32)) != 0 && wide == 0)
		wide = 1;
	if ((f->flags & WIDE_ONLY) != 0)
		wide = 2;
	if ((f->flags & SEGS) != 0)
		reg %= 6;
	if ((f->flags & BITS) != 0)
		reg = HV_RBP + rnd() % 3;
	if (wide == 0)
		put(c, 0x66, 1);
	if ((f->flags & LOCK) != 0 && rnd() % 4 == 0 &&
	    !(f->op[0] < 0x40 && (f->op[0] & 2) != 0 && f->len == 1))
		put(c, 0xf0, 1);
	if ((f->flags & STRING) != 0 && rnd() % 4 != 0)
		put(c, 0xf2 + rnd() % 2, 1);
	rex = wide == 2 || rnd() % 2 == 0;
	if (rex) {
		index = (f->flags & (STRING | MOFFS)) == 0 && rnd() % 2 == 0;
		put(c, 0x40 | (wide == 2 ? 8 : 0) | (index ? 2 : 0) |
		    (f->reg == REG && (f->flags & SEGS) == 0 ? (rnd() % 2) << 2
		    : 0), 1);
	}
	put(c, f->op[0] | f->op[1] << 8 | f->op[2] << 16, f->len);
	if ((f->flags & MOFFS) != 0)
		put(c, (uintptr_t)area + 2 * PAGE - 8 + rnd() % 16, 8);
	else if ((f->flags & STRING) == 0) {
		if ((f->flags & IMM8) != 0)
			imm = 1;
		else if ((f->flags & IMM) != 0)
			imm = wide == 0 ? 2 : 4;
		put_operand(c, reg, imm, index);
		put(c, value(), imm);
	}
}

static void
make_cpu(struct cpu *c, const struct form *f)
{
	unsigned i;

	for (i = 0; i < 16; i++)
		c->gpr[i] = value();
	c->gpr[HV_RBX] = (uintptr_t)area + 2 * PAGE - rnd() % 16;
	c->gpr[9] = rnd() % 64 - 32;
	c->gpr[HV_RSP] = (uintptr_t)area + PAGES * PAGE - 64;
	if ((f->flags & STRING) != 0) {
		c->gpr[HV_RSI] = (uintptr_t)area + 2 * PAGE - 64 + rnd() % 128;
		c->gpr[HV_RDI] = (uintptr_t)area + 2 * PAGE - 64 + rnd() % 128;
		c->gpr[HV_RCX] = rnd() % 20;
	}
	/* RBP, RSI, RDI and their like with REX. */
	if ((f->flags & BITS) != 0)
		for (i = 0; i < 3; i++)
			c->gpr[HV_RBP + i] = c->gpr[HV_RBP + 8 + i] =
			    rnd() % 2048 - 1024;
	c->rflags = 0x202 | (rnd() & FLAGS);
	if ((f->flags & STRING) == 0)
		c->rflags &= ~RFLAGS_DF;
}

/* Bytes of the data; in strings, few different ones. */
static void
make_data(const struct form *f)
{
	bool equal = (f->flags & STRING) != 0 && rnd() % 2 == 0;
	unsigned i;

	/* What operands reach, around the end of the first page. */
	for (i = 2 * PAGE - 512; i < 2 * PAGE + 512; i += 8) {
		uint64_t v = equal ? rnd() % 16 == 0 : rnd();

		memcpy(area + i, &v, 8);
	}
}

static void
run_native(const struct code *code, struct cpu *c)
{
	/* jmp *0(%rip), and where to. */
	static const uint8_t jump[] = { 0xff, 0x25, 0, 0, 0, 0 };
	uint64_t back = (uintptr_t)native_back;

	memcpy(area, code->byte, code->n);
	memcpy(area + code->n, jump, sizeof(jump));
	memcpy(area + code->n + sizeof(jump), &back, 8);
	native_cpu = c;
	native_target = (uintptr_t)area;
	native_run();
}

static struct hv_regs
long_mode(const struct cpu *c)
{
	struct hv_regs r = { .cr0 = CR0_PE, .efer = EFER_LMA };

	memcpy(r.gpr, c->gpr, sizeof(r.gpr));
	r.rflags = c->rflags | RFLAGS_RF;
	r.rip = (uintptr_t)area;
	r.cs.ar = SEG_L | SEG_P;
	__asm__("mov %%cs, %0" : "=r" (r.cs.selector));
	__asm__("mov %%ds, %0" : "=r" (r.ds.selector));
	__asm__("mov %%es, %0" : "=r" (r.es.selector));
	__asm__("mov %%ss, %0" : "=r" (r.ss.selector));
	__asm__("mov %%fs, %0" : "=r" (r.fs.selector));
	__asm__("mov %%gs, %0" : "=r" (r.gs.selector));
	return r;
}

/* Serves what is not RAM out of the same memory. */
static void
serve(struct hv_exit *e)
{
	ck_assert_int_eq(e->kind, HV_EXIT_MMIO);
	ck_assert_uint_ge(e->mmio.gpa, (uintptr_t)area);
	ck_assert_uint_le(e->mmio.gpa + e->mmio.size,
	    (uintptr_t)area + PAGES * PAGE);
	ck_assert_uint_ge(e->mmio.size, 1);
	if (e->mmio.write)
		memcpy((void *)(uintptr_t)e->mmio.gpa, e->mmio.data,
		    e->mmio.size);
	else
		memcpy(e->mmio.data, (void *)(uintptr_t)e->mmio.gpa,
		    e->mmio.size);
}

/* The code is in RAM, and of the data the pages that `pages` has. */
static void
run_emulated(struct hv_regs *r, unsigned pages)
{
	struct gmem gm = { .nranges = 0 };
	struct hv_exit e = { .kind = HV_EXIT_NONE };
	enum insn_end end;
	struct insn *in;
	unsigned i;

	for (i = 0; i < PAGES; i++)
		if (i == 0 || (pages >> i & 1) != 0)
			gm.range[gm.nranges++] = (struct gmem_range){
				.gpa = (uintptr_t)area + i * PAGE,
				.size = PAGE,
				.hva = area + i * PAGE,
			};
	in = insn_create(&gm, 52);
	insn_begin(in, r, NULL);
	while ((end = insn_run(in, &e)) == INSN_EXIT)
		serve(&e);
	ck_assert_msg(end == INSN_DONE, "ended by %d: %s", end,
	    end == INSN_REFUSED ? e.msg : "");
	insn_destroy(in);
}

static void
describe(char *text, size_t size, const struct code *c)
{
	unsigned i;

	for (i = 0; i < c->n && 3 * i + 4 < size; i++)
		sprintf(text + 3 * i, "%02x ", c->byte[i]);
}

static void
compare(const struct code *code, const struct cpu *want,
    const struct hv_regs *r)
{
	char text[128];
	unsigned i;

	describe(text, sizeof(text), code);
	for (i = 0; i < 16; i++)
		ck_assert_msg(r->gpr[i] == want->gpr[i],
		    "%sregister %u is %#llx, should be %#llx", text, i,
		    (unsigned long long)r->gpr[i],
		    (unsigned long long)want->gpr[i]);
	ck_assert_msg((r->rflags & FLAGS) == (want->rflags & FLAGS),
	    "%sflags are %#llx, should be %#llx", text,
	    (unsigned long long)r->rflags & FLAGS,
	    (unsigned long long)want->rflags & FLAGS);
	ck_assert_msg((r->rflags & RFLAGS_RF) == 0, "%sRF is set", text);
	ck_assert_msg(r->rip == (uintptr_t)area + code->n,
	    "%sis %u bytes, not %d", text, code->n,
	    (int)(r->rip - (uintptr_t)area));
	ck_assert_msg(memcmp(area + PAGE, after + PAGE, (PAGES - 1) * PAGE) ==
	    0, "%sdiffers in memory", text);
}

START_TEST(as_the_processor)
{
	const struct form *f = &forms[_i];
	struct hv_regs r;
	struct code code;
	struct cpu cpu;
	unsigned round;

	seed += (uint64_t)_i;
	for (round = 0; round < ROUNDS; round++) {
		make_cpu(&cpu, f);
		make_code(&code, f);
		make_data(f);
		memcpy(before, area, sizeof(before));
		r = long_mode(&cpu);
		run_native(&code, &cpu);
		memcpy(after, area, sizeof(after));
		memcpy(area + PAGE, before + PAGE, (PAGES - 1) * PAGE);
		run_emulated(&r, (unsigned)rnd());
		compare(&code, &cpu, &r);
	}
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("insn");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, as_the_processor, 0,
	    sizeof(forms) / sizeof(forms[0]));
	return test_main("insn", tc);
}
