/* SPDX-License-Identifier: ISC */
/*
 * One instruction, decoded: the part of it that can be performed for a guest.
 * Zydis does the decoding, and is not seen beyond this file.
 */
#ifndef VMMD_INSN_CODE_H
#define VMMD_INSN_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/insn_alu.h"

#define INSN_LENGTH_MAX	15

struct hv_regs;

/* How the bytes are to be read. */
enum insn_mode {
	INSN_REAL,		/* and virtual-8086 */
	INSN_PROTECTED_16,
	INSN_PROTECTED_32,
	INSN_LONG,		/* 64 bits */
};

enum insn_kind {
	INSN_REG,
	INSN_HIGH,		/* AH, CH, DH, BH: bits 8-15 of a register */
	INSN_SELECTOR,		/* of a segment register */
	INSN_IMM,
	INSN_MEM,
	INSN_PORT,		/* the one in DX */
};

/* As instructions encode them, and so as struct insn's table has them. */
enum { INSN_ES, INSN_CS, INSN_SS, INSN_DS, INSN_FS, INSN_GS, INSN_NSEG };

#define INSN_NO_REG	(-1)
#define INSN_RIP	16		/* after the instruction */

struct insn_operand {
	uint8_t		kind;
	uint8_t		size;		/* bytes: 1, 2, 4, 8 */
	bool		read, write;
	int8_t		reg;		/* the register; of memory, the base */
	int8_t		index;		/* of memory */
	uint8_t		scale;
	uint8_t		seg;
	int64_t		value;		/* immediate or displacement */
};

enum insn_rep {
	INSN_ONCE,
	INSN_REP,		/* as often as CX says */
	INSN_REPE,		/* and while equal, or while not */
	INSN_REPNE,
};

struct insn_code {
	insn_alu_fn		*fn;
	struct insn_operand	 op[INSN_OPERANDS];
	unsigned		 nops;
	uint8_t			 length;
	uint8_t			 address_size;	/* bytes: 2, 4, 8 */
	uint8_t			 stack_size;	/* of SP, in bytes */
	uint8_t			 rep;		/* enum insn_rep */
	uint8_t			 cond;
	bool			 moves_si, moves_di;	/* string */
	bool			 bit_string;	/* op[1] is in the address */
	int8_t			 stack;		/* added to SP: 0, or a size */
};

enum insn_mode insn_mode(const struct hv_regs *r);

/*
 * Decodes the first of `n` bytes; `wide_stack` is SS.D.  0; -ENODATA if there
 * must be more bytes; -E2BIG for more than 15; -EINVAL if it is none, or none
 * of those that are known here.
 */
int insn_decode(struct insn_code *c, enum insn_mode mode, bool wide_stack,
    const uint8_t *bytes, size_t n);

#endif /* VMMD_INSN_CODE_H */
