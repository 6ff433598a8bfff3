/* SPDX-License-Identifier: ISC */
/*
 * Arithmetic, logic and flags.  Flags that the manuals leave undefined are as
 * processors have them: AF is clear after logic, and BT changes CF alone.
 */
#include "vmm/insn_alu.h"

#include <byteswap.h>

#include "vmm/x86.h"

#define RFLAGS_ARITH	(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | \
			 RFLAGS_SF | RFLAGS_OF)

uint64_t
insn_alu_mask(unsigned size)
{
	return UINT64_MAX >> (64 - 8 * size);
}

static uint64_t
sign_bit(unsigned size)
{
	return UINT64_C(1) << (8 * size - 1);
}

static uint64_t
sign_extend(uint64_t v, unsigned size)
{
	v &= insn_alu_mask(size);
	return (v ^ sign_bit(size)) - sign_bit(size);
}

static void
set_flag(struct insn_alu *a, uint64_t flag, bool set)
{
	a->rflags = set ? a->rflags | flag : a->rflags & ~flag;
}

/* Those that depend on the result alone. */
static void
result_flags(struct insn_alu *a, uint64_t r)
{
	set_flag(a, RFLAGS_ZF, (r & insn_alu_mask(a->size)) == 0);
	set_flag(a, RFLAGS_SF, (r & sign_bit(a->size)) != 0);
	set_flag(a, RFLAGS_PF, __builtin_parity(r & 0xff) == 0);
}

/* x + y + carry and all flags. */
static uint64_t
add(struct insn_alu *a, uint64_t x, uint64_t y, bool carry)
{
	uint64_t r = x + y + carry;

	/* A carry leaves every bit where two of three inputs were set. */
	set_flag(a, RFLAGS_CF, (((x & y) | ((x | y) & ~r)) &
	    sign_bit(a->size)) != 0);
	set_flag(a, RFLAGS_AF, ((x ^ y ^ r) & 0x10) != 0);
	set_flag(a, RFLAGS_OF, ((x ^ r) & (y ^ r) & sign_bit(a->size)) != 0);
	result_flags(a, r);
	return r;
}

static uint64_t
sub(struct insn_alu *a, uint64_t x, uint64_t y, bool borrow)
{
	uint64_t r = x - y - borrow;

	set_flag(a, RFLAGS_CF, (((~x & y) | ((~x | y) & r)) &
	    sign_bit(a->size)) != 0);
	set_flag(a, RFLAGS_AF, ((x ^ y ^ r) & 0x10) != 0);
	set_flag(a, RFLAGS_OF, ((x ^ y) & (x ^ r) & sign_bit(a->size)) != 0);
	result_flags(a, r);
	return r;
}

static uint64_t
logic(struct insn_alu *a, uint64_t r)
{
	a->rflags &= ~RFLAGS_ARITH;
	result_flags(a, r);
	return r;
}

static bool
carry(const struct insn_alu *a)
{
	return (a->rflags & RFLAGS_CF) != 0;
}

void
insn_alu_add(struct insn_alu *a)
{
	a->val[0] = add(a, a->val[0], a->val[1], false);
}

void
insn_alu_adc(struct insn_alu *a)
{
	a->val[0] = add(a, a->val[0], a->val[1], carry(a));
}

void
insn_alu_sub(struct insn_alu *a)
{
	a->val[0] = sub(a, a->val[0], a->val[1], false);
}

void
insn_alu_sbb(struct insn_alu *a)
{
	a->val[0] = sub(a, a->val[0], a->val[1], carry(a));
}

void
insn_alu_cmp(struct insn_alu *a)
{
	sub(a, a->val[0], a->val[1], false);
}

void
insn_alu_and(struct insn_alu *a)
{
	a->val[0] = logic(a, a->val[0] & a->val[1]);
}

void
insn_alu_or(struct insn_alu *a)
{
	a->val[0] = logic(a, a->val[0] | a->val[1]);
}

void
insn_alu_xor(struct insn_alu *a)
{
	a->val[0] = logic(a, a->val[0] ^ a->val[1]);
}

void
insn_alu_test(struct insn_alu *a)
{
	logic(a, a->val[0] & a->val[1]);
}

void
insn_alu_inc(struct insn_alu *a)
{
	bool c = carry(a);

	a->val[0] = add(a, a->val[0], 1, false);
	set_flag(a, RFLAGS_CF, c);
}

void
insn_alu_dec(struct insn_alu *a)
{
	bool c = carry(a);

	a->val[0] = sub(a, a->val[0], 1, false);
	set_flag(a, RFLAGS_CF, c);
}

void
insn_alu_not(struct insn_alu *a)
{
	a->val[0] = ~a->val[0];
}

void
insn_alu_neg(struct insn_alu *a)
{
	a->val[0] = sub(a, 0, a->val[0], false);
}

/* The bit that the second operand names; its upper part is in the address. */
static uint64_t
bit(struct insn_alu *a)
{
	uint64_t b = UINT64_C(1) << (a->val[1] & (8 * a->size - 1));

	set_flag(a, RFLAGS_CF, (a->val[0] & b) != 0);
	return b;
}

void
insn_alu_bt(struct insn_alu *a)
{
	bit(a);
}

void
insn_alu_bts(struct insn_alu *a)
{
	a->val[0] |= bit(a);
}

void
insn_alu_btr(struct insn_alu *a)
{
	a->val[0] &= ~bit(a);
}

void
insn_alu_btc(struct insn_alu *a)
{
	a->val[0] ^= bit(a);
}

void
insn_alu_xchg(struct insn_alu *a)
{
	uint64_t v = a->val[0];

	a->val[0] = a->val[1];
	a->val[1] = v;
}

void
insn_alu_xadd(struct insn_alu *a)
{
	uint64_t v = a->val[0];

	a->val[0] = add(a, v, a->val[1], false);
	a->val[1] = v;
}

/* Operands: memory, new value, accumulator.  Memory is written either way. */
void
insn_alu_cmpxchg(struct insn_alu *a)
{
	sub(a, a->val[2], a->val[0], false);
	a->keep = (a->rflags & RFLAGS_ZF) != 0;
	if (a->keep)
		a->val[0] = a->val[1];
	else
		a->val[2] = a->val[0];
}

void
insn_alu_mov(struct insn_alu *a)
{
	a->val[0] = a->val[1];
}

void
insn_alu_movsx(struct insn_alu *a)
{
	a->val[0] = sign_extend(a->val[1], a->src_size);
}

void
insn_alu_movbe(struct insn_alu *a)
{
	a->val[0] = bswap_64(a->val[1]) >> (64 - 8 * a->size);
}

/* Operands: what is pushed, the stack. */
void
insn_alu_push(struct insn_alu *a)
{
	a->val[1] = a->val[0];
}

static bool
condition(const struct insn_alu *a)
{
	uint64_t f = a->rflags;
	bool less = ((f & RFLAGS_SF) != 0) != ((f & RFLAGS_OF) != 0);
	bool met = false;

	switch (a->cond >> 1 & 7) {
	case 0:
		met = (f & RFLAGS_OF) != 0;
		break;
	case 1:
		met = (f & RFLAGS_CF) != 0;
		break;
	case 2:
		met = (f & RFLAGS_ZF) != 0;
		break;
	case 3:
		met = (f & (RFLAGS_CF | RFLAGS_ZF)) != 0;
		break;
	case 4:
		met = (f & RFLAGS_SF) != 0;
		break;
	case 5:
		met = (f & RFLAGS_PF) != 0;
		break;
	case 6:
		met = less;
		break;
	case 7:
		met = less || (f & RFLAGS_ZF) != 0;
		break;
	}
	return met != (a->cond & 1);
}

void
insn_alu_setcc(struct insn_alu *a)
{
	a->val[0] = condition(a);
}

void
insn_alu_cmovcc(struct insn_alu *a)
{
	if (condition(a))
		a->val[0] = a->val[1];
}
