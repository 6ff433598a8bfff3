/* SPDX-License-Identifier: ISC */
/*
 * An element of an instruction goes through four steps: locate the operands,
 * which may fault; load; compute; store, and then the registers.  Loads and
 * stores may have to leave for a device and come back, so where they are is
 * kept in struct insn, and not on a stack.
 *
 * RAM is not locked between load and store: of a LOCK prefix only what a
 * device sees is left.
 */
#include "vmm/insn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/gmem.h"
#include "vmm/hv.h"
#include "vmm/insn_code.h"
#include "vmm/insn_mem.h"
#include "vmm/x86.h"

#define PAGE_SIZE	4096U
#define CACHE_SIZE	16U	/* a power of two */

enum step {
	STEP_DECODE,
	STEP_LOCATE,
	STEP_LOAD,
	STEP_STORE,
};

/* Decoding takes longer than all the rest: the last ones are kept. */
struct cached {
	struct insn_code	code;		/* length 0: none */
	enum insn_mode		mode;
	bool			wide_stack;
	uint8_t			bytes[INSN_LENGTH_MAX];
};

struct insn {
	const struct gmem	*gm;
	unsigned		 phys_bits;
	struct hv_regs		*r;
	struct insn_mem		 mem;
	bool			 is_port;
	struct insn_port	 port;
	const struct insn_code	*code;

	enum step		 step;
	unsigned		 at;		/* the operand being moved */
	unsigned		 part;		/* of its span */
	bool			 out;		/* a device has it */
	unsigned		 done;		/* elements */
	struct gwalk_span	 span[INSN_OPERANDS];
	struct insn_alu		 alu;
	struct insn_fault	 fault;

	uint8_t			 bytes[INSN_LENGTH_MAX];
	unsigned		 given;		/* of them, by the processor */
	struct cached		 cache[CACHE_SIZE];
};

struct insn *
insn_create(const struct gmem *gm, unsigned phys_bits)
{
	struct insn *in = calloc(1, sizeof(*in));

	if (in != NULL) {
		in->gm = gm;
		in->phys_bits = phys_bits;
	}
	return in;
}

void
insn_destroy(struct insn *in)
{
	free(in);
}

void
insn_begin(struct insn *in, struct hv_regs *r, const struct insn_port *port)
{
	in->r = r;
	in->is_port = port != NULL;
	if (port != NULL)
		in->port = *port;
	in->step = STEP_DECODE;
	in->at = in->part = in->done = 0;
	in->out = false;
	in->given = 0;
	insn_mem_init(&in->mem, in->gm, r, in->phys_bits);
}

void
insn_give(struct insn *in, const uint8_t *bytes, unsigned n)
{
	in->given = n < INSN_LENGTH_MAX ? n : INSN_LENGTH_MAX;
	memcpy(in->bytes, bytes, in->given);
}

struct insn_fault
insn_fault(const struct insn *in)
{
	return in->fault;
}

/*
 * Not for us.  A program of the guest's must not end its guest by an
 * instruction: it gets what a processor without that instruction would raise.
 */
static enum insn_end
refuse(struct insn *in, struct hv_exit *e, const char *why, size_t n)
{
	char hex[3 * INSN_LENGTH_MAX + 1] = "";
	size_t i;

	if (in->mem.user) {
		in->fault = (struct insn_fault){ .vector = VECTOR_UD };
		return INSN_FAULT;
	}
	for (i = 0; i < n; i++)
		snprintf(hex + 3 * i, sizeof(hex) - 3 * i, " %02x",
		    in->bytes[i]);
	e->kind = HV_EXIT_ERROR;
	snprintf(e->msg, sizeof(e->msg), "%s%s", why, hex);
	return INSN_REFUSED;
}

static enum insn_end
general_protection(struct insn *in)
{
	in->fault = (struct insn_fault){
		.vector = VECTOR_GP,
		.has_error = (in->r->cr0 & CR0_PE) != 0,
	};
	return INSN_FAULT;
}

/* How a part that failed with `error` ends an instruction, or its turn. */
static enum insn_end
end_of(const struct insn *in, int error)
{
	if (error == -EFAULT)
		return INSN_FAULT;
	return in->done != 0 ? INSN_DONE : INSN_AGAIN;
}

static int
decode_cached(struct insn *in, size_t n)
{
	bool wide_stack = (in->r->ss.ar & SEG_D) != 0;
	struct cached *c = &in->cache[(in->r->rip ^ in->r->rip >> 4) &
	    (CACHE_SIZE - 1)];
	int error;

	if (c->code.length == 0 || c->code.length > n ||
	    c->mode != in->mem.mode || c->wide_stack != wide_stack ||
	    memcmp(c->bytes, in->bytes, c->code.length) != 0) {
		c->code.length = 0;
		error = insn_decode(&c->code, in->mem.mode, wide_stack,
		    in->bytes, n);
		if (error != 0) {
			c->code.length = 0;
			return error;
		}
		c->mode = in->mem.mode;
		c->wide_stack = wide_stack;
		memcpy(c->bytes, in->bytes, c->code.length);
	}
	in->code = &c->code;
	return 0;
}

/* The bytes that are in the first byte's page: more may not be there. */
static size_t
first_fetch(const struct insn *in)
{
	uint64_t page_left = PAGE_SIZE - ((in->r->rip +
	    (in->mem.mode == INSN_LONG ? 0 : in->r->cs.base)) &
	    (PAGE_SIZE - 1));

	return page_left < INSN_LENGTH_MAX ? page_left : INSN_LENGTH_MAX;
}

/* INSN_DONE: it is known. */
static enum insn_end
decode(struct insn *in, struct hv_exit *e)
{
	size_t n = in->given;
	int error = n > 0 ? decode_cached(in, n) : -ENODATA;

	if (error == -ENODATA)
		n = first_fetch(in);
	while (error == -ENODATA) {
		error = insn_mem_fetch(&in->mem, in->bytes, n, &in->fault,
		    &in->r->cr2);
		if (error == -ENXIO)
			return refuse(in, e, "the instruction to perform is "
			    "not in memory", 0);
		if (error != 0)
			return end_of(in, error);
		error = decode_cached(in, n);
		if (n == INSN_LENGTH_MAX)
			break;
		n = error == -ENODATA ? INSN_LENGTH_MAX : n;
	}
	if (error == -E2BIG)
		return general_protection(in);
	if (error != 0)
		return refuse(in, e, "an instruction that cannot be performed"
		    " where there is no memory:", n);
	return insn_mem_fits(&in->mem, in->code->length) ? INSN_DONE :
	    general_protection(in);
}

/* Is it string I/O exactly if, and as, the processor said? */
static bool
port_agrees(const struct insn *in)
{
	const struct insn_code *c = in->code;
	unsigned i;

	for (i = 0; i < c->nops; i++)
		if (c->op[i].kind == INSN_PORT)
			return in->is_port && in->port.in == c->op[i].read &&
			    in->port.size == c->op[i].size && in->port.port ==
			    (in->r->gpr[HV_RDX] & UINT16_MAX);
	return !in->is_port;
}

static void
set_register(struct hv_regs *r, int reg, unsigned size, uint64_t val)
{
	uint64_t mask = insn_alu_mask(size);

	/* Results of 32 bits clear the upper half. */
	if (size >= 4)
		r->gpr[reg] = val & mask;
	else
		r->gpr[reg] = (r->gpr[reg] & ~mask) | (val & mask);
}

static uint64_t
counter(const struct insn *in)
{
	return in->r->gpr[HV_RCX] & insn_alu_mask(in->code->address_size);
}

static enum insn_end
finish(struct insn *in)
{
	struct hv_regs *r = in->r;

	r->rip += in->code->length;
	if (in->mem.mode != INSN_LONG)
		r->rip &= UINT32_MAX;
	r->rflags &= ~RFLAGS_RF;
	return INSN_DONE;
}

static int
locate(struct insn *in)
{
	const struct insn_code *c = in->code;
	unsigned i;
	int error;

	for (i = 0; i < c->nops; i++) {
		if (c->op[i].kind != INSN_MEM)
			continue;
		error = insn_mem_locate(&in->mem, c, i, &in->span[i],
		    &in->fault, &in->r->cr2);
		if (error != 0)
			return error;
	}
	return 0;
}

/* Moves an operand in memory; true if a device has to do a part of it. */
static bool
move_memory(struct insn *in, bool write, struct hv_exit *e)
{
	const struct gwalk_span *s = &in->span[in->at];
	uint8_t *p = (uint8_t *)&in->alu.val[in->at];
	unsigned len;
	uint64_t gpa;

	_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "as guests");
	for (; in->part < 2 && s->len[in->part] != 0; in->part++) {
		if (in->out) {
			in->out = false;
			continue;
		}
		len = s->len[in->part];
		gpa = s->gpa[in->part];
		if (in->part == 1)
			p += s->len[0];
		if ((write ? gmem_write(in->gm, gpa, p, len) :
		    gmem_read(in->gm, gpa, p, len)) == 0)
			continue;
		e->kind = HV_EXIT_MMIO;
		e->mmio.gpa = gpa;
		e->mmio.size = (uint8_t)len;
		e->mmio.write = write;
		e->mmio.data = p;
		in->out = true;
		return true;
	}
	in->part = 0;
	return false;
}

static bool
move_port(struct insn *in, bool write, struct hv_exit *e)
{
	if (in->out) {
		in->out = false;
		return false;
	}
	e->kind = HV_EXIT_IO;
	e->io.port = in->port.port;
	e->io.size = in->port.size;
	e->io.in = !write;
	e->io.count = 1;
	e->io.data = &in->alu.val[in->at];
	in->out = true;
	return true;
}

static uint64_t
selector(const struct hv_regs *r, int n)
{
	const uint16_t sel[INSN_NSEG] = {
		r->es.selector, r->cs.selector, r->ss.selector,
		r->ds.selector, r->fs.selector, r->gs.selector,
	};

	return sel[n];
}

/* Loads the operands that are left to load; true for an exit. */
static bool
load(struct insn *in, struct hv_exit *e)
{
	for (; in->at < in->code->nops; in->at++) {
		const struct insn_operand *op = &in->code->op[in->at];
		uint64_t *val = &in->alu.val[in->at];

		/* What is there of an operand that a device has is kept. */
		if (!in->out)
			*val = 0;
		switch (op->kind) {
		case INSN_REG:
			*val = in->r->gpr[op->reg] & insn_alu_mask(op->size);
			break;
		case INSN_HIGH:
			*val = in->r->gpr[op->reg] >> 8 & 0xff;
			break;
		case INSN_SELECTOR:
			*val = selector(in->r, op->reg);
			break;
		case INSN_IMM:
			*val = (uint64_t)op->value;
			break;
		case INSN_MEM:
			if (op->read && move_memory(in, false, e))
				return true;
			break;
		case INSN_PORT:
			if (op->read && move_port(in, false, e))
				return true;
			break;
		}
	}
	in->at = 0;
	return false;
}

static void
compute(struct insn *in)
{
	const struct insn_code *c = in->code;
	struct insn_alu *a = &in->alu;

	a->size = c->op[0].size;
	a->src_size = c->nops > 1 ? c->op[1].size : 0;
	a->cond = c->cond;
	a->rflags = in->r->rflags;
	a->keep = false;
	c->fn(a);
}

/* Stores what goes to memory or a port; true for an exit. */
static bool
store(struct insn *in, struct hv_exit *e)
{
	for (; in->at < in->code->nops; in->at++) {
		const struct insn_operand *op = &in->code->op[in->at];

		if (!op->write)
			continue;
		if (op->kind == INSN_MEM && move_memory(in, true, e))
			return true;
		if (op->kind == INSN_PORT && move_port(in, true, e))
			return true;
	}
	in->at = 0;
	return false;
}

/* SI, DI, SP, and the operands in registers. */
static void
store_registers(struct insn *in)
{
	const struct insn_code *c = in->code;
	struct hv_regs *r = in->r;
	uint64_t step = c->nops > 0 ? c->op[0].size : 0;
	unsigned i;

	if ((r->rflags & RFLAGS_DF) != 0)
		step = -step;
	if (c->moves_si)
		set_register(r, HV_RSI, c->address_size, r->gpr[HV_RSI] + step);
	if (c->moves_di)
		set_register(r, HV_RDI, c->address_size, r->gpr[HV_RDI] + step);
	if (c->stack != 0)
		set_register(r, HV_RSP, c->stack_size, r->gpr[HV_RSP] +
		    (uint64_t)(int64_t)c->stack);
	for (i = 0; i < c->nops; i++) {
		const struct insn_operand *op = &c->op[i];

		if (!op->write || (in->alu.keep && i == c->nops - 1))
			continue;
		if (op->kind == INSN_REG)
			set_register(r, op->reg, op->size, in->alu.val[i]);
		else if (op->kind == INSN_HIGH)
			r->gpr[op->reg] = (r->gpr[op->reg] &
			    ~UINT64_C(0xff00)) | (in->alu.val[i] & 0xff) << 8;
	}
	r->rflags = in->alu.rflags;
	in->done++;
}

/* Counts an element: is there another? */
static bool
repeats(struct insn *in)
{
	bool zero = (in->r->rflags & RFLAGS_ZF) != 0;
	const struct insn_code *c = in->code;

	if (c->rep == INSN_ONCE)
		return false;
	set_register(in->r, HV_RCX, c->address_size, counter(in) - 1);
	return counter(in) != 0 && !(c->rep == INSN_REPE && !zero) &&
	    !(c->rep == INSN_REPNE && zero);
}

enum insn_end
insn_run(struct insn *in, struct hv_exit *e)
{
	enum insn_end end;
	int error;

	if (in->step == STEP_DECODE) {
		end = decode(in, e);
		if (end != INSN_DONE)
			return end;
		if (!port_agrees(in))
			return INSN_AGAIN;
		if (in->code->rep != INSN_ONCE && counter(in) == 0)
			return finish(in);
		in->step = STEP_LOCATE;
	}
	for (;;) {
		switch (in->step) {
		case STEP_DECODE:
		case STEP_LOCATE:
			error = locate(in);
			if (error != 0)
				return end_of(in, error);
			in->step = STEP_LOAD;
			/* FALLTHROUGH */
		case STEP_LOAD:
			if (load(in, e))
				return INSN_EXIT;
			compute(in);
			in->step = STEP_STORE;
			/* FALLTHROUGH */
		case STEP_STORE:
			if (store(in, e))
				return INSN_EXIT;
		}
		store_registers(in);
		if (!repeats(in))
			return finish(in);
		/* The processor traps after each element, too. */
		if (in->done == INSN_REP_MAX ||
		    (in->r->rflags & RFLAGS_TF) != 0)
			return INSN_DONE;
		in->step = STEP_LOCATE;
	}
}
