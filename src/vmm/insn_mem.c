/* SPDX-License-Identifier: ISC */
/*
 * Segmentation: APM volume 2, 4.12 (limits), 4.5.3 and 5.3.1 (long mode).
 */
#include "vmm/insn_mem.h"

#include <errno.h>

#include "devices/gmem.h"
#include "vmm/hv.h"
#include "vmm/x86.h"

#define PAGE_SIZE	4096U

void
insn_mem_init(struct insn_mem *m, const struct gmem *gm,
    const struct hv_regs *r, unsigned phys_bits)
{
	m->r = r;
	m->gm = gm;
	m->mode = insn_mode(r);
	m->user = (r->ss.ar >> SEG_DPL_SHIFT & 3) == 3;
	gwalk_init(&m->walk, gm, r, phys_bits);
}

static uint64_t
linear_mask(const struct insn_mem *m)
{
	return m->mode == INSN_LONG ? UINT64_MAX : UINT32_MAX;
}

static const struct hv_segment *
segment(const struct hv_regs *r, unsigned n)
{
	const struct hv_segment *const seg[INSN_NSEG] = {
		&r->es, &r->cs, &r->ss, &r->ds, &r->fs, &r->gs,
	};

	return seg[n];
}

/* Real mode delivers exceptions without an error code. */
static int
raise(const struct insn_mem *m, struct insn_fault *f, uint8_t vector,
    uint32_t error)
{
	f->vector = vector;
	f->has_error = (m->r->cr0 & CR0_PE) != 0;
	f->error = error;
	return -EFAULT;
}

static int
raise_page(const struct insn_mem *m, struct insn_fault *f, uint64_t *cr2,
    const struct gwalk_fault *pf)
{
	*cr2 = pf->va;
	return raise(m, f, VECTOR_PF, pf->code);
}

/* 48 bits, sign-extended. */
static bool
canonical(uint64_t va)
{
	return (va + (UINT64_C(1) << 47)) >> 48 == 0;
}

static bool
within_limit(const struct hv_segment *s, uint64_t off, unsigned size)
{
	uint64_t last = off + size - 1;

	if ((s->ar & (SEG_TYPE_CODE | SEG_TYPE_DOWN)) == SEG_TYPE_DOWN)
		return off > s->limit &&
		    last <= ((s->ar & SEG_D) != 0 ? UINT32_MAX : UINT16_MAX);
	return last <= s->limit;
}

/* May data be read, or written, through this segment? */
static bool
segment_allows(const struct insn_mem *m, const struct hv_segment *s, bool write)
{
	if ((s->ar & SEG_P) == 0)
		return false;
	if (m->mode == INSN_REAL)
		return true;
	if ((s->ar & SEG_TYPE_CODE) != 0)
		return !write && (s->ar & SEG_TYPE_RW) != 0;
	return !write || (s->ar & SEG_TYPE_RW) != 0;
}

static int
to_linear(const struct insn_mem *m, const struct insn_operand *op,
    uint64_t off, uint64_t *va, struct insn_fault *f)
{
	const struct hv_segment *s = segment(m->r, op->seg);

	if (m->mode == INSN_LONG) {
		*va = off;
		if (op->seg == INSN_FS || op->seg == INSN_GS)
			*va += s->base;
		if (canonical(*va) && canonical(*va + op->size - 1))
			return 0;
	} else if (segment_allows(m, s, op->write) &&
	    within_limit(s, off, op->size)) {
		*va = (s->base + off) & UINT32_MAX;
		return 0;
	}
	return raise(m, f, op->seg == INSN_SS ? VECTOR_SS : VECTOR_GP, 0);
}

static uint64_t
address_register(const struct insn_mem *m, const struct insn_code *c, int reg)
{
	if (reg == INSN_NO_REG)
		return 0;
	return reg == INSN_RIP ? m->r->rip + c->length : m->r->gpr[reg];
}

/* The bytes that a bit's number, signed, puts in front of the operand. */
static uint64_t
bit_offset(const struct insn_mem *m, const struct insn_code *c)
{
	unsigned unused = 64 - 8 * c->op[1].size;
	int64_t n = (int64_t)(m->r->gpr[c->op[1].reg] << unused) >> unused;

	return (uint64_t)(n >> 3) & ~(uint64_t)(c->op[0].size - 1);
}

static uint64_t
effective_address(const struct insn_mem *m, const struct insn_code *c,
    unsigned n)
{
	const struct insn_operand *op = &c->op[n];
	uint64_t ea = (uint64_t)op->value + address_register(m, c, op->reg) +
	    address_register(m, c, op->index) * op->scale;
	unsigned size = c->address_size;

	if (c->bit_string && n == 0)
		ea += bit_offset(m, c);
	if (c->stack != 0) {
		/* Of both, only the stack's own operand is in this width. */
		if (n == 1)
			size = c->stack_size;
		/* PUSH is below SP; POP's other operand sees SP after it. */
		if (n == 1 ? c->stack < 0 : c->stack > 0 &&
		    op->reg == HV_RSP)
			ea += (uint64_t)(int64_t)c->stack;
	}
	return ea & insn_alu_mask(size);
}

int
insn_mem_locate(const struct insn_mem *m, const struct insn_code *c,
    unsigned n, struct gwalk_span *s, struct insn_fault *f, uint64_t *cr2)
{
	const struct insn_operand *op = &c->op[n];
	struct gwalk_fault pf;
	uint64_t va = 0;
	int error;

	error = to_linear(m, op, effective_address(m, c, n), &va, f);
	if (error != 0)
		return error;
	error = gwalk_span(&m->walk, va, op->size, linear_mask(m),
	    (op->write ? GWALK_WRITE : 0) | (m->user ? GWALK_USER : 0), s, &pf);
	return error == -EFAULT ? raise_page(m, f, cr2, &pf) : error;
}

bool
insn_mem_fits(const struct insn_mem *m, unsigned length)
{
	return m->mode == INSN_LONG ||
	    m->r->rip + length - 1 <= m->r->cs.limit;
}

int
insn_mem_fetch(const struct insn_mem *m, uint8_t *bytes, size_t n,
    struct insn_fault *f, uint64_t *cr2)
{
	unsigned access = GWALK_FETCH | (m->user ? GWALK_USER : 0);
	uint64_t base = m->mode == INSN_LONG ? 0 : m->r->cs.base;
	uint64_t va = (base + m->r->rip) & linear_mask(m);
	struct gwalk_fault pf;
	struct gwalk_span s;
	int error;

	error = gwalk_span(&m->walk, va, (unsigned)n, linear_mask(m), access,
	    &s, &pf);
	if (error == -EFAULT)
		return raise_page(m, f, cr2, &pf);
	if (error != 0)
		return error;
	if (gmem_read(m->gm, s.gpa[0], bytes, s.len[0]) != 0 ||
	    (s.len[1] != 0 && gmem_read(m->gm, s.gpa[1], bytes + s.len[0],
	    s.len[1]) != 0))
		return -ENXIO;
	return 0;
}
