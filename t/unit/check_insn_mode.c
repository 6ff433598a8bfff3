/* SPDX-License-Identifier: ISC */
/*
 * Instructions where no native run can serve as the model: segments of real
 * and protected mode, faults, devices, ports, and the bounds of REP.
 */
#include <stdio.h>

#include "devices/gmem.h"
#include "testhost.h"
#include "vmm/hv.h"
#include "vmm/insn.h"
#include "vmm/x86.h"

#define RAM	0x20000U
#define CODE	0x1000U
#define DATA	0x8000U		/* base of most segments */
#define HOLE	UINT64_C(0xc0000000)

#define DATA_RW	(SEG_P | 0x13)
#define CODE_R	(SEG_P | 0x1b)

static struct gmem	 gm;
static uint8_t		*ram;
static struct insn	*insn;
static struct hv_regs	 r;
static struct hv_exit	 e;
static char		 seen[4096];	/* accesses of devices */

static void
setup(void)
{
	ram = calloc(1, RAM);
	memset(&gm, 0, sizeof(gm));
	gm.range[0] = (struct gmem_range){ .size = RAM, .hva = ram };
	gm.nranges = 1;
	insn = insn_create(&gm, 48);
}

static void
teardown(void)
{
	insn_destroy(insn);
	free(ram);
}

enum mode { REAL, PROT16, PROT32, LONG };

/* The registers of a mode; segments are at DATA, code at 0, no paging. */
static void
enter(enum mode mode)
{
	struct hv_segment data = { .base = DATA, .limit = 0xffff,
	    .ar = DATA_RW };

	memset(&r, 0, sizeof(r));
	r.rip = CODE;
	r.rflags = 2;
	r.cs = (struct hv_segment){ .limit = 0xffff, .ar = CODE_R };
	r.ds = r.es = r.ss = r.fs = r.gs = data;
	if (mode != REAL)
		r.cr0 = CR0_PE;
	if (mode == PROT32) {
		r.cs.ar |= SEG_D;
		r.cs.limit = r.ds.limit = r.es.limit = UINT32_MAX;
		r.ss.ar |= SEG_D;
	}
	if (mode == LONG) {
		r.efer = EFER_LMA;
		r.cs.ar |= SEG_L;
	}
}

static void
user(void)
{
	r.ss.ar |= 3 << SEG_DPL_SHIFT;
	r.cs.ar |= 3 << SEG_DPL_SHIFT;
}

/* Devices read 11, 22, 33 ..., and all accesses are noted in `seen`. */
static void
serve(void)
{
	size_t len = strlen(seen);
	bool mmio = e.kind == HV_EXIT_MMIO;
	bool write = mmio ? e.mmio.write : !e.io.in;
	unsigned size = mmio ? e.mmio.size : e.io.size, i;
	uint8_t *p = mmio ? e.mmio.data : e.io.data;
	uint64_t val = 0;

	ck_assert(mmio || e.kind == HV_EXIT_IO);
	ck_assert(mmio || e.io.count == 1);
	for (i = 0; i < size && !write; i++)
		p[i] = 0x11 * (i + 1);
	memcpy(&val, p, size);
	snprintf(seen + len, sizeof(seen) - len, "%c%llx.%u=%llx ",
	    write ? 'w' : 'r', mmio ? (unsigned long long)e.mmio.gpa :
	    e.io.port, size, (unsigned long long)val);
}

static enum insn_end
run_port(const void *code, size_t n, const struct insn_port *port)
{
	enum insn_end end;

	/* A test may have put it elsewhere. */
	if (n != 0)
		memcpy(ram + r.cs.base + r.rip, code, n);
	seen[0] = '\0';
	insn_begin(insn, &r, port);
	while ((end = insn_run(insn, &e)) == INSN_EXIT)
		serve();
	return end;
}

#define RUN(...) run_port((const uint8_t []){ __VA_ARGS__ }, \
	sizeof((const uint8_t []){ __VA_ARGS__ }), NULL)

#define DONE(len, ...) do { \
	uint64_t rip_ = r.rip; \
	ck_assert_int_eq(RUN(__VA_ARGS__), INSN_DONE); \
	ck_assert_uint_eq(r.rip, rip_ + (len)); \
} while (0)

/* A fault leaves all registers alone, but for CR2. */
#define FAULTS(vec, err, ...) do { \
	struct hv_regs r_ = r; \
	ck_assert_int_eq(RUN(__VA_ARGS__), INSN_FAULT); \
	ck_assert_uint_eq(insn_fault(insn).vector, vec); \
	ck_assert_int_eq(insn_fault(insn).has_error, (err) >= 0); \
	if ((err) >= 0) \
		ck_assert_uint_eq(insn_fault(insn).error, err); \
	r_.cr2 = r.cr2; \
	ck_assert_mem_eq(&r, &r_, sizeof(r)); \
	ck_assert_str_eq(seen, ""); \
} while (0)

static void
poke(uint64_t gpa, uint64_t val)
{
	memcpy(ram + gpa, &val, 8);
}

static uint64_t
peek(uint64_t gpa)
{
	uint64_t val;

	memcpy(&val, ram + gpa, 8);
	return val;
}

START_TEST(real_mode)
{
	enter(REAL);
	poke(DATA + 0x1234, 0xbeef);
	r.gpr[HV_RBX] = 0xfff0;
	r.gpr[HV_RSI] = 0x1244;
	r.gpr[HV_RAX] = 0x11112222;
	/* mov (%bx,%si), %ax: the offset wraps at 64 Ki. */
	DONE(2, 0x8b, 0x00);
	ck_assert_uint_eq(r.gpr[HV_RAX], 0x1111beef);
	/* mov %eax, %cs:4(%bp): code may be written. */
	r.gpr[HV_RBP] = 0x5000;
	DONE(5, 0x2e, 0x66, 0x89, 0x46, 0x04);
	ck_assert_uint_eq(peek(0x5004), 0x1111beef);
	/* BP means SS; a word at the limit's last byte. */
	r.gpr[HV_RBP] = 0xffff;
	DONE(3, 0x8a, 0x46, 0x00);
	FAULTS(VECTOR_SS, -1, 0x8b, 0x46, 0x00);
	r.gpr[HV_RBX] = 0xffff;
	FAULTS(VECTOR_GP, -1, 0x8b, 0x07);
	/* With 32-bit addresses there is more beyond the limit. */
	r.gpr[HV_RBX] = 0x10000;
	FAULTS(VECTOR_GP, -1, 0x67, 0x8b, 0x03);
	/* rep stosb: DI wraps, CX counts, the upper halves stay. */
	r.gpr[HV_RDI] = 0x5555fffe;
	r.gpr[HV_RCX] = 0x77770003;
	r.gpr[HV_RAX] = 0xa5;
	DONE(2, 0xf3, 0xaa);
	ck_assert_uint_eq(r.gpr[HV_RDI], 0x55550001);
	ck_assert_uint_eq(r.gpr[HV_RCX], 0x77770000);
	ck_assert_uint_eq(ram[DATA], 0xa5);
	ck_assert_uint_eq(ram[DATA + 0xffff], 0xa5);
}
END_TEST

/* What the processor told is not looked for again; the rest is fetched. */
START_TEST(bytes_given)
{
	/* mov (%bx,%si), %ax */
	static const uint8_t code[] = { 0x8b, 0x00 }, ud2[] = { 0x0f, 0x0b };
	uint64_t rip;
	unsigned n;

	for (n = 0; n <= sizeof(code); n++) {
		enter(REAL);
		poke(DATA + 0x10, 0xbeef);
		r.gpr[HV_RBX] = 0x10;
		rip = r.rip;
		memcpy(ram + r.cs.base + rip, n == sizeof(code) ? ud2 : code,
		    sizeof(code));
		insn_begin(insn, &r, NULL);
		insn_give(insn, code, n);
		ck_assert_int_eq(insn_run(insn, &e), INSN_DONE);
		ck_assert_uint_eq(r.gpr[HV_RAX], 0xbeef);
		ck_assert_uint_eq(r.rip, rip + sizeof(code));
	}
	/* Not of the next instruction. */
	enter(REAL);
	ck_assert_int_eq(RUN(0x0f, 0x0b), INSN_REFUSED);
}
END_TEST
START_TEST(virtual_8086)
{
	enter(PROT32);
	user();
	r.rflags |= RFLAGS_VM;
	r.cs.limit = r.ds.limit = 0xffff;
	r.gpr[HV_RBX] = 0xfff0;
	r.gpr[HV_RSI] = 0x30;
	poke(DATA + 0x20, 0x1357);
	DONE(2, 0x8b, 0x00);
	ck_assert_uint_eq(r.gpr[HV_RAX], 0x1357);
	r.gpr[HV_RBX] = 0xffff;
	FAULTS(VECTOR_GP, 0, 0x8b, 0x07);
}
END_TEST

START_TEST(segments)
{
	enter(PROT32);
	r.gpr[HV_RAX] = 0xfffc;
	/* mov (%eax), %ecx; the limit's last byte, and one more. */
	r.ds.limit = 0xffff;
	DONE(2, 0x8b, 0x08);
	r.gpr[HV_RAX]++;
	FAULTS(VECTOR_GP, 0, 0x8b, 0x08);
	/* A null selector, a segment of code to read, to execute only. */
	r.gpr[HV_RAX] = 0;
	r.ds.ar = 0;
	FAULTS(VECTOR_GP, 0, 0x8b, 0x08);
	r.ds.ar = CODE_R;
	DONE(2, 0x8b, 0x08);
	FAULTS(VECTOR_GP, 0, 0x89, 0x08);
	r.ds.ar = CODE_R & ~2;
	FAULTS(VECTOR_GP, 0, 0x8b, 0x08);
	/* Data to read only; TEST does not write, though AND does. */
	r.ds.ar = DATA_RW & ~2;
	DONE(2, 0x85, 0x08);
	FAULTS(VECTOR_GP, 0, 0x21, 0x08);
	/* Expanding down: above the limit, below 64 Ki or 4 Gi. */
	r.ds.ar = DATA_RW | 4;
	r.ds.limit = 0xfff;
	r.gpr[HV_RAX] = 0x1000;
	DONE(2, 0x8b, 0x08);
	r.gpr[HV_RAX] = 0xfff;
	FAULTS(VECTOR_GP, 0, 0x8b, 0x08);
	r.gpr[HV_RAX] = 0xfffd;
	FAULTS(VECTOR_GP, 0, 0x8b, 0x08);
	r.ds.ar |= SEG_D;
	DONE(2, 0x8b, 0x08);
	/* Addresses wrap at 4 Gi. */
	r.ds.base = 0xfffffffe;
	r.gpr[HV_RAX] = 0x6002;
	poke(0x6000, 0x1234);
	DONE(2, 0x8b, 0x08);
	ck_assert_uint_eq(r.gpr[HV_RCX], 0x1234);
	/* Code beyond the limit of CS. */
	r.cs.limit = (uint32_t)r.rip;
	FAULTS(VECTOR_GP, 0, 0x8b, 0x08);
}
END_TEST

/* PUSH and POP in the width of the stack, not of the code. */
START_TEST(stacks)
{
	enter(PROT16);
	r.gpr[HV_RSP] = 0x12340002;
	r.gpr[HV_RBX] = 0x100;
	poke(DATA + 0x100, 0x7654);
	/* push (%bx): SP wraps; pop 2(%bx) */
	DONE(2, 0xff, 0x37);
	ck_assert_uint_eq(r.gpr[HV_RSP], 0x12340000);
	DONE(2, 0xff, 0x37);
	ck_assert_uint_eq(r.gpr[HV_RSP], 0x1234fffe);
	ck_assert_uint_eq(peek(DATA + 0xfffe) & 0xffff, 0x7654);
	DONE(3, 0x8f, 0x47, 0x02);
	ck_assert_uint_eq(r.gpr[HV_RSP], 0x12340000);
	ck_assert_uint_eq(peek(DATA + 0x100), 0x76547654);
	/* pop 4(%esp): the address is that after the pop. */
	enter(PROT32);
	r.gpr[HV_RSP] = 0x200;
	poke(DATA + 0x200, 0x89abcdef);
	DONE(4, 0x8f, 0x44, 0x24, 0x04);
	ck_assert_uint_eq(r.gpr[HV_RSP], 0x204);
	ck_assert_uint_eq(peek(DATA + 0x208), 0x89abcdef);
	/* push $-2 where there is no room: nothing changes. */
	r.ss.limit = 0x1ff;
	r.gpr[HV_RSP] = 0x206;
	FAULTS(VECTOR_SS, 0, 0x6a, 0xfe);
	r.ss.limit = 0x205;
	DONE(2, 0x6a, 0xfe);
	ck_assert_uint_eq(peek(DATA + 0x202) & UINT32_MAX, 0xfffffffe);
}
END_TEST

START_TEST(long_mode)
{
	enter(LONG);
	r.gpr[HV_RAX] = DATA;
	poke(DATA, 0x1122334455667788);
	/* The base of DS is none here, that of GS is. */
	DONE(3, 0x48, 0x8b, 0x08);
	ck_assert_uint_eq(r.gpr[HV_RCX], 0x1122334455667788);
	r.gs.base = 8;
	r.gs.ar = r.ds.ar = 0;
	DONE(3, 0x65, 0x89, 0x08);
	ck_assert_uint_eq(peek(DATA + 8), 0x55667788);
	/* mov (%eax), %ecx: 32 bits of address. */
	r.gpr[HV_RAX] = UINT64_C(0xffffffff00000000) | DATA;
	DONE(3, 0x67, 0x8b, 0x08);
	ck_assert_uint_eq(r.gpr[HV_RCX], 0x55667788);
	/* Not canonical: by its first byte, and by its last. */
	r.gpr[HV_RAX] = UINT64_C(1) << 47;
	FAULTS(VECTOR_GP, 0, 0x8a, 0x08);
	r.gpr[HV_RAX] -= 4;
	FAULTS(VECTOR_GP, 0, 0x48, 0x8b, 0x08);
	r.gpr[HV_RBP] = UINT64_C(1) << 63;
	FAULTS(VECTOR_SS, 0, 0x8a, 0x4d, 0x00);
}
END_TEST

/* Devices: in which order, how wide, and the parts of what crosses a page. */
START_TEST(devices)
{
	enter(LONG);
	r.gpr[HV_RAX] = HOLE;
	r.gpr[HV_RCX] = 0x0123456789abcdef;
	DONE(3, 0x48, 0x89, 0x08);
	ck_assert_str_eq(seen, "wc0000000.8=123456789abcdef ");
	DONE(2, 0x8b, 0x08);
	ck_assert_str_eq(seen, "rc0000000.4=44332211 ");
	ck_assert_uint_eq(r.gpr[HV_RCX], 0x44332211);
	/* lock or, cmp (no write), xchg */
	DONE(4, 0xf0, 0x83, 0x08, 0x04);
	ck_assert_str_eq(seen, "rc0000000.4=44332211 wc0000000.4=44332215 ");
	DONE(3, 0x80, 0x38, 0x11);
	ck_assert_str_eq(seen, "rc0000000.1=11 ");
	ck_assert_uint_eq(r.rflags & RFLAGS_ZF, RFLAGS_ZF);
	DONE(2, 0x86, 0x08);
	ck_assert_str_eq(seen, "rc0000000.1=11 wc0000000.1=11 ");
	/* Between pages of a device, from RAM to a device. */
	r.gpr[HV_RAX] = HOLE + 0xffd;
	DONE(3, 0x48, 0x8b, 0x08);
	ck_assert_str_eq(seen, "rc0000ffd.3=332211 rc0001000.5=5544332211 ");
	ck_assert_uint_eq(r.gpr[HV_RCX], 0x5544332211332211);
	r.gpr[HV_RAX] = RAM - 2;
	poke(RAM - 8, 0xa1a2000000000000);
	DONE(2, 0x8b, 0x08);
	ck_assert_str_eq(seen, "r20000.2=2211 ");
	ck_assert_uint_eq(r.gpr[HV_RCX], 0x2211a1a2);
	DONE(2, 0x01, 0x08);
	ck_assert_str_eq(seen, "r20000.2=2211 w20000.2=4423 ");
	ck_assert_uint_eq(peek(RAM - 8) >> 48, 0x4344);
}
END_TEST

START_TEST(device_to_device)
{
	enter(LONG);
	r.gpr[HV_RSI] = HOLE;
	r.gpr[HV_RDI] = HOLE + 0x100;
	r.gpr[HV_RCX] = 2;
	DONE(2, 0xf3, 0xa5);
	ck_assert_str_eq(seen, "rc0000000.4=44332211 wc0000100.4=44332211 "
	    "rc0000004.4=44332211 wc0000104.4=44332211 ");
	ck_assert_uint_eq(r.gpr[HV_RCX], 0);
	ck_assert_uint_eq(r.gpr[HV_RSI], HOLE + 8);
	ck_assert_uint_eq(r.gpr[HV_RDI], HOLE + 0x108);
	/* None at all. */
	DONE(2, 0xf3, 0xa5);
	ck_assert_str_eq(seen, "");
	/* repne scasb finds the first 11, cmpsb differs at once. */
	r.gpr[HV_RCX] = 9;
	r.gpr[HV_RAX] = 0x11;
	DONE(2, 0xf2, 0xae);
	ck_assert_uint_eq(r.gpr[HV_RCX], 8);
	r.gpr[HV_RSI] = DATA;
	DONE(2, 0xf3, 0xa6);
	ck_assert_uint_eq(r.gpr[HV_RCX], 7);
}
END_TEST

#define PML4	0x10000U
#define PT	0x13000U

/* Long mode with pages: the first 2 MiB are RAM one to one, writable. */
static void
enter_paged(void)
{
	unsigned i;

	enter(LONG);
	r.cr0 |= CR0_PG | CR0_WP;
	r.cr4 = CR4_PAE;
	r.efer |= EFER_NXE;
	r.cr3 = PML4;
	for (i = 0; i < 3; i++)
		poke(PML4 + 0x1000 * i, (PML4 + 0x1000 * (i + 1)) | 7);
	for (i = 0; i < RAM / 4096; i++)
		poke(PT + 8 * i, i * 4096 | 7);
}

static void
set_page(uint64_t va, uint64_t entry)
{
	poke(PT + va / 4096 * 8, entry);
}

START_TEST(page_faults)
{
	enter_paged();
	r.gpr[HV_RAX] = 0x40000;
	FAULTS(VECTOR_PF, 0, 0x8b, 0x08);
	ck_assert_uint_eq(r.cr2, 0x40000);
	FAULTS(VECTOR_PF, 2, 0x89, 0x08);
	set_page(0x9000, 0x9005);
	r.gpr[HV_RAX] = 0x9000;
	FAULTS(VECTOR_PF, 3, 0x01, 0x08);
	user();
	FAULTS(VECTOR_PF, 7, 0x01, 0x08);
	DONE(2, 0x8b, 0x08);
	/* In the second page, and nothing of the first is written. */
	r.gpr[HV_RAX] = 0x8ffe;
	FAULTS(VECTOR_PF, 7, 0x89, 0x08);
	ck_assert_uint_eq(r.cr2, 0x9000);
	ck_assert_uint_eq(peek(0x8ff8), 0);
	/* Nor is a device disturbed whose other half faults. */
	set_page(0x8000, HOLE | 7);
	FAULTS(VECTOR_PF, 7, 0x89, 0x08);
	/* PUSH reads, and then cannot push. */
	r.gpr[HV_RAX] = 0x8000;
	r.gpr[HV_RSP] = 0x9100;
	FAULTS(VECTOR_PF, 7, 0xff, 0x30);
}
END_TEST

START_TEST(fetches)
{
	enter_paged();
	/* movl $0x11223344, (%rax) across a page's end. */
	r.gpr[HV_RAX] = DATA;
	r.rip = 0x2000 - 3;
	DONE(6, 0xc7, 0x00, 0x44, 0x33, 0x22, 0x11);
	ck_assert_uint_eq(peek(DATA), 0x11223344);
	/* The second page is needed, or it is not. */
	set_page(0x2000, 0);
	r.rip = 0x2000 - 2;
	DONE(2, 0x8b, 0x08);
	r.rip = 0x2000 - 2;
	FAULTS(VECTOR_PF, 0x10, 0xc7, 0x00);
	ck_assert_uint_eq(r.cr2, 0x2000);
	set_page(0x2000, 0x2007 | UINT64_C(1) << 63);
	FAULTS(VECTOR_PF, 0x11, 0xc7, 0x00);
	/* Sixteen bytes are none; no byte is in RAM. */
	r.rip = CODE;
	FAULTS(VECTOR_GP, 0, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
	    0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x8b, 0x08);
	set_page(0x3000, HOLE | 7);
	r.rip = 0x3000;
	ck_assert_int_eq(run_port(NULL, 0, NULL), INSN_REFUSED);
	ck_assert_str_eq(e.msg, "the instruction to perform is not in memory");
	user();
	ck_assert_int_eq(run_port(NULL, 0, NULL), INSN_FAULT);
	ck_assert_uint_eq(insn_fault(insn).vector, VECTOR_UD);
}
END_TEST

/* The same bytes in another mode, others at the same place: no stale code. */
START_TEST(decoded_afresh)
{
	enter(LONG);
	r.gpr[8] = DATA;
	r.gpr[HV_RCX] = 0x10;
	/* In long mode a prefix, INC ECX before. */
	DONE(3, 0x41, 0x89, 0x08);
	ck_assert_uint_eq(peek(DATA), 0x10);
	poke(DATA, 0x55);
	r.rip = CODE;
	DONE(3, 0x41, 0x8b, 0x08);
	ck_assert_uint_eq(r.gpr[HV_RCX], 0x55);
	enter(PROT32);
	r.gpr[HV_RCX] = 0x10;
	DONE(1, 0x41, 0x89, 0x08);
	ck_assert_uint_eq(r.gpr[HV_RCX], 0x11);
}
END_TEST

START_TEST(rep_in_pieces)
{
	enter_paged();
	r.gpr[HV_RDI] = DATA;
	r.gpr[HV_RCX] = 2 * INSN_REP_MAX + 1;
	r.gpr[HV_RAX] = 0x5a;
	DONE(0, 0xf3, 0xaa);
	ck_assert_uint_eq(r.gpr[HV_RCX], INSN_REP_MAX + 1);
	ck_assert_uint_eq(r.gpr[HV_RDI], DATA + INSN_REP_MAX);
	DONE(0, 0xf3, 0xaa);
	DONE(2, 0xf3, 0xaa);
	ck_assert_uint_eq(r.gpr[HV_RCX], 0);
	ck_assert_uint_eq(ram[DATA + 2 * INSN_REP_MAX], 0x5a);
	ck_assert_uint_eq(ram[DATA + 2 * INSN_REP_MAX + 1], 0);
	/* One element at a time in single steps; RF ends with the last. */
	r.rflags |= RFLAGS_TF | RFLAGS_RF;
	r.gpr[HV_RCX] = 2;
	DONE(0, 0xf3, 0xaa);
	ck_assert_uint_eq(r.gpr[HV_RCX], 1);
	ck_assert_uint_eq(r.rflags & RFLAGS_RF, RFLAGS_RF);
	DONE(2, 0xf3, 0xaa);
	ck_assert_uint_eq(r.rflags & RFLAGS_RF, 0);
	r.rflags &= ~RFLAGS_TF;
	/* A fault on the way: what is done is done. */
	set_page(DATA + 0x1000, 0);
	r.gpr[HV_RDI] = DATA + 0xffc;
	r.gpr[HV_RCX] = 8;
	ck_assert_int_eq(RUN(0xf3, 0xaa), INSN_FAULT);
	ck_assert_uint_eq(insn_fault(insn).error, 2);
	ck_assert_uint_eq(r.cr2, DATA + 0x1000);
	ck_assert_uint_eq(r.gpr[HV_RDI], DATA + 0x1000);
	ck_assert_uint_eq(r.gpr[HV_RCX], 4);
}
END_TEST

static enum insn_end
run_io(bool rep, uint8_t opcode, uint16_t port, uint8_t size, bool in)
{
	const uint8_t code[3] = { 0x66, opcode, 0 };
	const uint8_t rep_code[3] = { 0xf3, opcode, 0 };
	struct insn_port p = { .port = port, .size = size, .in = in };

	return run_port(rep ? rep_code : code + (size != 2), 2 +
	    (rep ? 0 : size == 2) - !rep, &p);
}

START_TEST(ports)
{
	enter(LONG);
	r.gpr[HV_RDX] = 0xffff03f8;
	r.gpr[HV_RSI] = DATA;
	r.gpr[HV_RDI] = DATA + 0x100;
	r.gpr[HV_RCX] = 3;
	memcpy(ram + DATA, "text", 4);
	ck_assert_int_eq(run_io(true, 0x6e, 0x3f8, 1, false), INSN_DONE);
	ck_assert_str_eq(seen, "w3f8.1=74 w3f8.1=65 w3f8.1=78 ");
	ck_assert_uint_eq(r.gpr[HV_RSI], DATA + 3);
	ck_assert_uint_eq(r.gpr[HV_RCX], 0);
	/* insw, once; insl, from the end */
	ck_assert_int_eq(run_io(false, 0x6d, 0x3f8, 2, true), INSN_DONE);
	ck_assert_str_eq(seen, "r3f8.2=2211 ");
	ck_assert_uint_eq(peek(DATA + 0x100), 0x2211);
	r.rflags |= RFLAGS_DF;
	ck_assert_int_eq(run_io(false, 0x6d, 0x3f8, 4, true), INSN_DONE);
	ck_assert_uint_eq(peek(DATA + 0x100), 0x443322112211);
	ck_assert_uint_eq(r.gpr[HV_RDI], DATA + 0xfe);
}
END_TEST

/* String I/O is done exactly if and as the processor has allowed it. */
START_TEST(ports_disagree)
{
	struct hv_regs before;

	enter(LONG);
	r.gpr[HV_RDX] = 0x3f8;
	r.gpr[HV_RSI] = r.gpr[HV_RDI] = DATA;
	r.gpr[HV_RAX] = DATA;
	before = r;
	ck_assert_int_eq(run_io(false, 0x6e, 0x3f9, 1, false), INSN_AGAIN);
	ck_assert_int_eq(run_io(false, 0x6e, 0x3f8, 4, false), INSN_AGAIN);
	ck_assert_int_eq(run_io(false, 0x6e, 0x3f8, 1, true), INSN_AGAIN);
	ck_assert_int_eq(RUN(0x6e), INSN_AGAIN);
	ck_assert_int_eq(run_io(false, 0xaa, 0x3f8, 1, false), INSN_AGAIN);
	ck_assert_str_eq(seen, "");
	ck_assert_mem_eq(&r, &before, sizeof(r));
	ck_assert_int_eq(run_io(false, 0x6e, 0x3f8, 1, false), INSN_DONE);
}
END_TEST

static const struct {
	uint8_t		code[15];
	unsigned	n;
} refused[] = {
	{ { 0xf3, 0x0f, 0x6f, 0x00 }, 4 },	/* movdqu (%rax), %xmm0 */
	{ { 0xf2, 0x0f, 0x10, 0x00 }, 4 },	/* movsd (%rax), %xmm0 */
	{ { 0xd9, 0x00 }, 2 },			/* fld (%rax) */
	{ { 0x8e, 0x18 }, 2 },			/* mov (%rax), %ds */
	{ { 0x0f, 0x01, 0x10 }, 3 },		/* lgdt (%rax) */
	{ { 0xff, 0x20 }, 2 },			/* jmp *(%rax) */
	{ { 0xf0, 0x8b, 0x08 }, 3 },		/* lock mov */
	{ { 0x06 }, 1 },			/* none in long mode */
	{ { 0xf4 }, 1 },			/* hlt */
};

START_TEST(refusals)
{
	char text[160] = "an instruction that cannot be performed where there "
	    "is no memory:";
	unsigned i;

	enter(LONG);
	r.gpr[HV_RAX] = HOLE;
	memcpy(ram + CODE, refused[_i].code, refused[_i].n);
	ck_assert_int_eq(run_port(NULL, 0, NULL), INSN_REFUSED);
	ck_assert_int_eq(e.kind, HV_EXIT_ERROR);
	for (i = 0; i < 15; i++)
		sprintf(text + strlen(text), " %02x", refused[_i].code[i]);
	ck_assert_str_eq(e.msg, text);
	/* A program in the guest cannot end its guest so. */
	user();
	FAULTS(VECTOR_UD, -1, refused[_i].code[0]);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("insn_mode");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, real_mode);
	tcase_add_test(tc, bytes_given);
	tcase_add_test(tc, virtual_8086);
	tcase_add_test(tc, segments);
	tcase_add_test(tc, stacks);
	tcase_add_test(tc, long_mode);
	tcase_add_test(tc, devices);
	tcase_add_test(tc, device_to_device);
	tcase_add_test(tc, page_faults);
	tcase_add_test(tc, fetches);
	tcase_add_test(tc, decoded_afresh);
	tcase_add_test(tc, rep_in_pieces);
	tcase_add_test(tc, ports);
	tcase_add_test(tc, ports_disagree);
	tcase_add_loop_test(tc, refusals, 0,
	    sizeof(refused) / sizeof(refused[0]));
	return test_main("insn_mode", tc);
}
