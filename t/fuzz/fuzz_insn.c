/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: instructions performed for a guest, and its page tables.
 *
 * The input is the mode, registers, entries of the page tables, and the
 * instruction; then what devices answer, each access a byte that says whether
 * the guest writes to its memory meanwhile, and the value.  RAM has tables for
 * each format, which map it one to one.
 */
#include "fuzz.h"

#include <stdbool.h>

#include "devices/gmem.h"
#include "vmm/gwalk.h"
#include "vmm/hv.h"
#include "vmm/insn.h"
#include "vmm/x86.h"

#define PAGE		4096U
#define RAM		(10 * PAGE)
#define TOP		0U		/* of the tables, a page a level */
#define CODE		(5 * PAGE)
#define PRESENT_ALL	0x7U		/* present, writable, user */

/* An element has two operands in two parts each, loaded and stored. */
#define EXITS_MAX	(8 * INSN_REP_MAX)

struct rig {
	struct fuzz_input	 in;
	struct gmem		 gm;
	uint8_t			*ram;
	struct hv_regs		 r, before;
	struct insn_port	 port;
	bool			 is_port;
};

/* How r->r.cr0, cr4 and efer page. */
enum { LEGACY, PAE, LONG, UNPAGED };

static void
put(struct rig *r, unsigned at, uint64_t val, unsigned size)
{
	memcpy(r->ram + at, &val, size);
}

/* Tables of all levels, the last of which maps RAM one to one. */
static void
make_tables(struct rig *r, unsigned format)
{
	unsigned levels = format == LONG ? 4 : format == PAE ? 3 : 2, i;
	unsigned size = format == LEGACY ? 4 : 8;

	for (i = 0; i + 1 < levels; i++)
		put(r, TOP + i * PAGE, (TOP + (i + 1) * PAGE) |
		    (format == PAE && i == 0 ? 1 : PRESENT_ALL), size);
	for (i = 0; i < RAM / PAGE + 2; i++)
		put(r, TOP + (levels - 1) * PAGE + i * size,
		    i * PAGE | PRESENT_ALL, size);
}

static void
change_tables(struct rig *r)
{
	unsigned n = fuzz_u8(&r->in) % 4;

	while (n-- > 0) {
		unsigned at = fuzz_u16(&r->in) % (CODE - 8);
		uint64_t val = fuzz_u32(&r->in);

		put(r, at, val | (uint64_t)fuzz_u32(&r->in) << 32, 8);
	}
}

/* Mostly an address in RAM or not far beyond, or else any number. */
static uint64_t
number(struct rig *r)
{
	uint64_t v = fuzz_u16(&r->in);

	if ((v & 7) == 7) {
		v = fuzz_u32(&r->in);
		v |= (uint64_t)fuzz_u32(&r->in) << 32;
	}
	return v;
}

static void
make_segment(struct rig *r, struct hv_segment *s)
{
	uint8_t how = fuzz_u8(&r->in);

	s->ar = SEG_P | 0x10 | (how & 0xf) | ((how & 0x10) != 0 ? SEG_D : 0);
	s->limit = (how & 0x20) != 0 ? UINT32_MAX : UINT16_MAX;
	if ((how & 0x40) != 0)
		s->base = number(r);
	if ((how & 0x80) != 0)
		s->limit = fuzz_u16(&r->in);
}

static void
make_mode(struct rig *r)
{
	uint8_t how = fuzz_u8(&r->in), more = fuzz_u8(&r->in);
	unsigned format = how & 3;

	r->r.cr3 = TOP;
	r->r.cr0 = CR0_PE | ((how & 4) != 0 ? CR0_WP : 0);
	if (format != UNPAGED)
		r->r.cr0 |= CR0_PG;
	if (format == LEGACY)
		r->r.cr4 = CR4_PSE;
	else
		r->r.cr4 = CR4_PAE;
	if (format == LONG)
		r->r.efer = EFER_LMA;
	if ((how & 8) != 0)
		r->r.efer |= EFER_NXE;
	if ((how & 0x10) != 0)
		r->r.cr4 |= CR4_SMEP;
	if ((how & 0x20) != 0)
		r->r.cr4 |= CR4_SMAP;
	make_segment(r, &r->r.cs);
	r->r.cs.ar |= SEG_TYPE_CODE;
	if (format == LONG && (how & 0x40) == 0)
		r->r.cs.ar |= SEG_L;
	make_segment(r, &r->r.ds);
	make_segment(r, &r->r.es);
	make_segment(r, &r->r.ss);
	r->r.fs = r->r.gs = r->r.ds;
	if ((more & 1) != 0)
		r->r.ss.ar |= 3 << SEG_DPL_SHIFT;
	if ((more & 2) != 0)
		r->r.cr0 &= ~(CR0_PE | CR0_PG);
	r->r.rflags = 2 | fuzz_u16(&r->in);
	if ((more & 4) != 0)
		r->r.rflags |= RFLAGS_VM;
	make_tables(r, format);
}

static void
make_code(struct rig *r)
{
	unsigned at = CODE + fuzz_u8(&r->in);

	/* Where a page ends, one time in four. */
	if ((at & 3) == 0)
		at = CODE + PAGE - 1 - (at >> 2 & 15);
	r->r.cs.base = (r->r.cs.base & ~(uint64_t)(PAGE - 1)) % CODE;
	r->r.rip = at - r->r.cs.base;
	fuzz_bytes(&r->in, r->ram + at, 15);
}

static bool
in_ram(uint64_t gpa)
{
	return gpa < RAM;
}

static void
serve(struct rig *r, const struct hv_exit *e)
{
	void *data = e->kind == HV_EXIT_IO ? e->io.data : e->mmio.data;
	unsigned size = e->kind == HV_EXIT_IO ? e->io.size : e->mmio.size;
	bool write = e->kind == HV_EXIT_IO ? !e->io.in : e->mmio.write;

	if (e->kind == HV_EXIT_IO) {
		FUZZ_CHECK(r->is_port && e->io.port == r->port.port);
		FUZZ_CHECK(size == r->port.size && e->io.in == r->port.in);
		FUZZ_CHECK(e->io.count == 1);
	} else {
		FUZZ_CHECK(e->kind == HV_EXIT_MMIO);
		FUZZ_CHECK(size >= 1 && size <= 8);
		FUZZ_CHECK(!in_ram(e->mmio.gpa));
		FUZZ_CHECK((e->mmio.gpa & (PAGE - 1)) + size <= PAGE);
	}
	/* Another processor of the guest. */
	if (fuzz_u8(&r->in) == 1)
		put(r, fuzz_u16(&r->in) % (RAM - 8), fuzz_u32(&r->in), 4);
	if (!write)
		fuzz_bytes(&r->in, data, size);
}

/* What an instruction of ours can never change. */
static void
check_end(struct rig *r, enum insn_end end)
{
	const uint64_t flags = RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF |
	    RFLAGS_SF | RFLAGS_OF | RFLAGS_RF;
	struct hv_regs *a = &r->r, *b = &r->before;

	FUZZ_CHECK(((a->rflags ^ b->rflags) & ~flags) == 0);
	FUZZ_CHECK(a->cr2 == b->cr2 || end == INSN_FAULT);
	FUZZ_CHECK(a->rip == b->rip || end == INSN_DONE);
	FUZZ_CHECK((uint32_t)(a->rip - b->rip) <= 15);
	if (end == INSN_AGAIN || end == INSN_REFUSED)
		FUZZ_CHECK(memcmp(a->gpr, b->gpr, sizeof(a->gpr)) == 0 &&
		    a->rflags == b->rflags);
	memcpy(b->gpr, a->gpr, sizeof(b->gpr));
	b->rip = a->rip;
	b->rflags = a->rflags;
	b->cr2 = a->cr2;
	FUZZ_CHECK(memcmp(a, b, sizeof(*a)) == 0);
}

static void
perform(struct rig *r, struct insn *insn)
{
	struct hv_exit e = { .kind = HV_EXIT_NONE };
	unsigned exits = 0;
	enum insn_end end;

	r->before = r->r;
	insn_begin(insn, &r->r, r->is_port ? &r->port : NULL);
	while ((end = insn_run(insn, &e)) == INSN_EXIT) {
		FUZZ_CHECK(++exits <= EXITS_MAX);
		serve(r, &e);
	}
	check_end(r, end);
}

/* The walk by itself: the place in the page stays. */
static void
walk(struct rig *r)
{
	unsigned access = fuzz_u8(&r->in);
	uint64_t va = number(r), gpa;
	struct gwalk_fault f;
	struct gwalk w;

	access &= GWALK_WRITE | GWALK_USER | GWALK_FETCH;
	gwalk_init(&w, &r->gm, &r->r, 40);
	if (gwalk_page(&w, va, access, &gpa, &f) == 0)
		FUZZ_CHECK((gpa & (PAGE - 1)) == (va & (PAGE - 1)));
	else
		FUZZ_CHECK((f.code & access & GWALK_WRITE) ==
		    (access & GWALK_WRITE));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig r = { .in = { data, size } };
	struct insn *insn;
	unsigned i, times;

	/* Of its own, so that the sanitizer sees its end. */
	r.ram = calloc(1, RAM);
	r.gm.range[0] = (struct gmem_range){ .size = RAM, .hva = r.ram };
	r.gm.nranges = 1;
	insn = insn_create(&r.gm, 40);
	FUZZ_CHECK(r.ram != NULL && insn != NULL);
	make_mode(&r);
	for (i = 0; i < 16; i++)
		r.r.gpr[i] = number(&r);
	change_tables(&r);
	times = 1 + fuzz_u8(&r.in) % 3;
	while (times-- > 0) {
		uint8_t how = fuzz_u8(&r.in);

		make_code(&r);
		r.is_port = (how & 1) != 0;
		r.port.port = (uint16_t)r.r.gpr[HV_RDX];
		r.port.size = 1 << (how >> 1) % 3;
		r.port.in = (how & 8) != 0;
		perform(&r, insn);
		if ((how & 0x10) != 0)
			walk(&r);
	}
	insn_destroy(insn);
	free(r.ram);
	return 0;
}
