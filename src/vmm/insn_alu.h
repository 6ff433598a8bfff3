/* SPDX-License-Identifier: ISC */
/*
 * What instructions compute, as pure functions of values and flags; where the
 * operands come from and go to is the business of others.
 */
#ifndef VMMD_INSN_ALU_H
#define VMMD_INSN_ALU_H

#include <stdbool.h>
#include <stdint.h>

#define INSN_OPERANDS	3

/*
 * The operands in the order of the manuals; sources may have any bits above
 * their size, and so may results.
 */
struct insn_alu {
	uint64_t	val[INSN_OPERANDS];
	unsigned	size;		/* bytes of the first: 1, 2, 4, 8 */
	unsigned	src_size;	/* of the second */
	unsigned	cond;		/* the code of SETcc, CMOVcc */
	uint64_t	rflags;		/* in and out */
	bool		keep;		/* out: the last operand stays */
};

typedef void insn_alu_fn(struct insn_alu *a);

insn_alu_fn insn_alu_add, insn_alu_adc, insn_alu_sub, insn_alu_sbb,
    insn_alu_cmp, insn_alu_and, insn_alu_or, insn_alu_xor, insn_alu_test,
    insn_alu_inc, insn_alu_dec, insn_alu_not, insn_alu_neg, insn_alu_bt,
    insn_alu_bts, insn_alu_btr, insn_alu_btc, insn_alu_xchg, insn_alu_xadd,
    insn_alu_cmpxchg, insn_alu_mov, insn_alu_movsx, insn_alu_movbe,
    insn_alu_push, insn_alu_setcc, insn_alu_cmovcc;

/* All ones in `size` bytes. */
uint64_t insn_alu_mask(unsigned size);

#endif /* VMMD_INSN_ALU_H */
