/* SPDX-License-Identifier: ISC */
/*
 * From Zydis's view of an instruction to ours: a table of those that can be
 * performed, and their operands.  All that need the FPU's registers are
 * missing, as are those that load a segment or a control register.
 */
#include "vmm/insn_code.h"

#include <errno.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "vmm/hv.h"
#include "vmm/x86.h"

#define SI	(1U << 0)	/* a string instruction that moves SI */
#define DI	(1U << 1)
#define EQ	(1U << 2)	/* whose REP looks at ZF */
#define BITS	(1U << 3)	/* the bit's number is part of the address */
#define COND	(1U << 4)
#define PUSH	(1U << 5)
#define POP	(1U << 6)

struct insn_row {
	uint16_t	 mnemonic;
	uint8_t		 nops;
	uint8_t		 flags;
	insn_alu_fn	*fn;
};

#define M(name)	ZYDIS_MNEMONIC_##name

static const struct insn_row rows[] = {
	{ M(MOV), 2, 0, insn_alu_mov },
	{ M(MOVZX), 2, 0, insn_alu_mov },
	{ M(MOVSX), 2, 0, insn_alu_movsx },
	{ M(MOVSXD), 2, 0, insn_alu_movsx },
	{ M(MOVSB), 2, SI | DI, insn_alu_mov },
	{ M(MOVSW), 2, SI | DI, insn_alu_mov },
	{ M(MOVSD), 2, SI | DI, insn_alu_mov },
	{ M(MOVSQ), 2, SI | DI, insn_alu_mov },
	{ M(STOSB), 2, DI, insn_alu_mov },
	{ M(STOSW), 2, DI, insn_alu_mov },
	{ M(STOSD), 2, DI, insn_alu_mov },
	{ M(STOSQ), 2, DI, insn_alu_mov },
	{ M(LODSB), 2, SI, insn_alu_mov },
	{ M(LODSW), 2, SI, insn_alu_mov },
	{ M(LODSD), 2, SI, insn_alu_mov },
	{ M(LODSQ), 2, SI, insn_alu_mov },
	{ M(INSB), 2, DI, insn_alu_mov },
	{ M(INSW), 2, DI, insn_alu_mov },
	{ M(INSD), 2, DI, insn_alu_mov },
	{ M(OUTSB), 2, SI, insn_alu_mov },
	{ M(OUTSW), 2, SI, insn_alu_mov },
	{ M(OUTSD), 2, SI, insn_alu_mov },
	{ M(CMPSB), 2, SI | DI | EQ, insn_alu_cmp },
	{ M(CMPSW), 2, SI | DI | EQ, insn_alu_cmp },
	{ M(CMPSD), 2, SI | DI | EQ, insn_alu_cmp },
	{ M(CMPSQ), 2, SI | DI | EQ, insn_alu_cmp },
	{ M(SCASB), 2, DI | EQ, insn_alu_cmp },
	{ M(SCASW), 2, DI | EQ, insn_alu_cmp },
	{ M(SCASD), 2, DI | EQ, insn_alu_cmp },
	{ M(SCASQ), 2, DI | EQ, insn_alu_cmp },
	{ M(ADD), 2, 0, insn_alu_add },
	{ M(ADC), 2, 0, insn_alu_adc },
	{ M(SUB), 2, 0, insn_alu_sub },
	{ M(SBB), 2, 0, insn_alu_sbb },
	{ M(CMP), 2, 0, insn_alu_cmp },
	{ M(AND), 2, 0, insn_alu_and },
	{ M(OR), 2, 0, insn_alu_or },
	{ M(XOR), 2, 0, insn_alu_xor },
	{ M(TEST), 2, 0, insn_alu_test },
	{ M(INC), 1, 0, insn_alu_inc },
	{ M(DEC), 1, 0, insn_alu_dec },
	{ M(NOT), 1, 0, insn_alu_not },
	{ M(NEG), 1, 0, insn_alu_neg },
	{ M(BT), 2, BITS, insn_alu_bt },
	{ M(BTS), 2, BITS, insn_alu_bts },
	{ M(BTR), 2, BITS, insn_alu_btr },
	{ M(BTC), 2, BITS, insn_alu_btc },
	{ M(XCHG), 2, 0, insn_alu_xchg },
	{ M(XADD), 2, 0, insn_alu_xadd },
	{ M(CMPXCHG), 3, 0, insn_alu_cmpxchg },
	{ M(MOVBE), 2, 0, insn_alu_movbe },
	{ M(MOVNTI), 2, 0, insn_alu_mov },
	{ M(PUSH), 2, PUSH, insn_alu_push },
	{ M(POP), 2, POP, insn_alu_mov },
	{ M(SETB), 1, COND, insn_alu_setcc },
	{ M(SETBE), 1, COND, insn_alu_setcc },
	{ M(SETL), 1, COND, insn_alu_setcc },
	{ M(SETLE), 1, COND, insn_alu_setcc },
	{ M(SETNB), 1, COND, insn_alu_setcc },
	{ M(SETNBE), 1, COND, insn_alu_setcc },
	{ M(SETNL), 1, COND, insn_alu_setcc },
	{ M(SETNLE), 1, COND, insn_alu_setcc },
	{ M(SETNO), 1, COND, insn_alu_setcc },
	{ M(SETNP), 1, COND, insn_alu_setcc },
	{ M(SETNS), 1, COND, insn_alu_setcc },
	{ M(SETNZ), 1, COND, insn_alu_setcc },
	{ M(SETO), 1, COND, insn_alu_setcc },
	{ M(SETP), 1, COND, insn_alu_setcc },
	{ M(SETS), 1, COND, insn_alu_setcc },
	{ M(SETZ), 1, COND, insn_alu_setcc },
	{ M(CMOVB), 2, COND, insn_alu_cmovcc },
	{ M(CMOVBE), 2, COND, insn_alu_cmovcc },
	{ M(CMOVL), 2, COND, insn_alu_cmovcc },
	{ M(CMOVLE), 2, COND, insn_alu_cmovcc },
	{ M(CMOVNB), 2, COND, insn_alu_cmovcc },
	{ M(CMOVNBE), 2, COND, insn_alu_cmovcc },
	{ M(CMOVNL), 2, COND, insn_alu_cmovcc },
	{ M(CMOVNLE), 2, COND, insn_alu_cmovcc },
	{ M(CMOVNO), 2, COND, insn_alu_cmovcc },
	{ M(CMOVNP), 2, COND, insn_alu_cmovcc },
	{ M(CMOVNS), 2, COND, insn_alu_cmovcc },
	{ M(CMOVNZ), 2, COND, insn_alu_cmovcc },
	{ M(CMOVO), 2, COND, insn_alu_cmovcc },
	{ M(CMOVP), 2, COND, insn_alu_cmovcc },
	{ M(CMOVS), 2, COND, insn_alu_cmovcc },
	{ M(CMOVZ), 2, COND, insn_alu_cmovcc },
};

enum insn_mode
insn_mode(const struct hv_regs *r)
{
	if ((r->cr0 & CR0_PE) == 0 || (r->rflags & RFLAGS_VM) != 0)
		return INSN_REAL;
	if ((r->efer & EFER_LMA) != 0 && (r->cs.ar & SEG_L) != 0)
		return INSN_LONG;
	return (r->cs.ar & SEG_D) != 0 ? INSN_PROTECTED_32 :
	    INSN_PROTECTED_16;
}

static void
decoder_init(ZydisDecoder *d, enum insn_mode mode, bool wide_stack)
{
	ZydisStackWidth stack = wide_stack ? ZYDIS_STACK_WIDTH_32 :
	    ZYDIS_STACK_WIDTH_16;

	switch (mode) {
	case INSN_REAL:
		ZydisDecoderInit(d, ZYDIS_MACHINE_MODE_REAL_16,
		    ZYDIS_STACK_WIDTH_16);
		break;
	case INSN_PROTECTED_16:
		ZydisDecoderInit(d, ZYDIS_MACHINE_MODE_LEGACY_16, stack);
		break;
	case INSN_PROTECTED_32:
		ZydisDecoderInit(d, ZYDIS_MACHINE_MODE_LEGACY_32, stack);
		break;
	case INSN_LONG:
		ZydisDecoderInit(d, ZYDIS_MACHINE_MODE_LONG_64,
		    ZYDIS_STACK_WIDTH_64);
		break;
	}
}

static const struct insn_row *
find_row(ZydisMnemonic mnemonic)
{
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].mnemonic == mnemonic)
			return &rows[i];
	return NULL;
}

static int
take_register(struct insn_operand *to, ZydisRegister reg)
{
	ZyanI8 id = ZydisRegisterGetId(reg);

	to->kind = INSN_REG;
	to->reg = id;
	switch (ZydisRegisterGetClass(reg)) {
	case ZYDIS_REGCLASS_GPR8:
		/* AL to BL, AH to BH, then SPL and all the others. */
		if (id >= 8)
			to->reg = (int8_t)(id - 4);
		else if (id >= 4) {
			to->kind = INSN_HIGH;
			to->reg = (int8_t)(id - 4);
		}
		return 0;
	case ZYDIS_REGCLASS_GPR16:
	case ZYDIS_REGCLASS_GPR32:
	case ZYDIS_REGCLASS_GPR64:
		return 0;
	case ZYDIS_REGCLASS_SEGMENT:
		to->kind = INSN_SELECTOR;
		return to->write ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

/* Of an address: as wide as the address, which is cut to its width anyway. */
static int8_t
address_register(ZydisRegister reg)
{
	if (reg == ZYDIS_REGISTER_NONE)
		return INSN_NO_REG;
	if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
		return INSN_RIP;
	return ZydisRegisterGetId(reg);
}

static int
take_memory(struct insn_operand *to, const ZydisDecodedOperandMem *m)
{
	if (m->type != ZYDIS_MEMOP_TYPE_MEM ||
	    ZydisRegisterGetClass(m->index) == ZYDIS_REGCLASS_XMM)
		return -EINVAL;
	to->kind = INSN_MEM;
	to->seg = (uint8_t)ZydisRegisterGetId(m->segment);
	to->reg = address_register(m->base);
	to->index = address_register(m->index);
	to->scale = m->scale;
	to->value = m->disp.value;
	return 0;
}

static int
take_operand(struct insn_operand *to, const ZydisDecodedOperand *from)
{
	to->size = (uint8_t)(from->size / 8);
	if (from->size > 64 || (from->size & (from->size - 1)) != 0 ||
	    to->size == 0)
		return -EINVAL;
	to->read = (from->actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
	to->write = (from->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
	switch (from->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		return take_register(to, from->reg.value);
	case ZYDIS_OPERAND_TYPE_MEMORY:
		return take_memory(to, &from->mem);
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		to->kind = INSN_IMM;
		to->value = from->imm.value.s;
		return 0;
	default:
		return -EINVAL;
	}
}

/* INS and OUTS name DX, and mean the port. */
static void
take_port(struct insn_code *c, ZydisMnemonic mnemonic)
{
	struct insn_operand *port;

	switch (mnemonic) {
	case M(INSB):
	case M(INSW):
	case M(INSD):
		port = &c->op[1];
		port->size = c->op[0].size;
		break;
	case M(OUTSB):
	case M(OUTSW):
	case M(OUTSD):
		port = &c->op[0];
		port->size = c->op[1].size;
		port->write = true;
		port->read = false;
		break;
	default:
		return;
	}
	port->kind = INSN_PORT;
}

static void
take_rep(struct insn_code *c, const ZydisDecodedInstruction *zi,
    unsigned flags)
{
	unsigned i;

	c->moves_si = (flags & SI) != 0;
	c->moves_di = (flags & DI) != 0;
	c->rep = INSN_ONCE;
	if ((flags & (SI | DI)) == 0)
		return;
	/* Processors take the last one, and either where ZF is not looked at */
	for (i = 0; i < zi->raw.prefix_count; i++) {
		if (zi->raw.prefixes[i].value == 0xf3)
			c->rep = (flags & EQ) != 0 ? INSN_REPE : INSN_REP;
		else if (zi->raw.prefixes[i].value == 0xf2)
			c->rep = (flags & EQ) != 0 ? INSN_REPNE : INSN_REP;
	}
}

static int
take_all(struct insn_code *c, const ZydisDecodedInstruction *zi,
    const ZydisDecodedOperand *zo, const struct insn_row *row)
{
	/* PUSH and POP: between what is moved and the stack comes SP. */
	bool stack = (row->flags & (PUSH | POP)) != 0;
	unsigned i, from;
	int error;

	memset(c, 0, sizeof(*c));
	c->fn = row->fn;
	c->nops = row->nops;
	c->length = zi->length;
	c->address_size = zi->address_width / 8;
	c->stack_size = zi->stack_width / 8;
	c->cond = zi->opcode & 15;
	c->bit_string = (row->flags & BITS) != 0;
	for (i = 0; i < c->nops; i++) {
		from = stack ? 2 * i : i;
		if (from >= zi->operand_count)
			return -EINVAL;
		error = take_operand(&c->op[i], &zo[from]);
		if (error != 0)
			return error;
	}
	if (stack)
		c->stack = (int8_t)((row->flags & PUSH) != 0 ?
		    -c->op[1].size : c->op[1].size);
	c->bit_string = c->bit_string && c->op[0].kind == INSN_MEM &&
	    c->op[1].kind == INSN_REG;
	take_port(c, zi->mnemonic);
	take_rep(c, zi, row->flags);
	return 0;
}

int
insn_decode(struct insn_code *c, enum insn_mode mode, bool wide_stack,
    const uint8_t *bytes, size_t n)
{
	ZydisDecodedOperand zo[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction zi;
	const struct insn_row *row;
	ZydisDecoder d;
	ZyanStatus status;

	decoder_init(&d, mode, wide_stack);
	status = ZydisDecoderDecodeFull(&d, bytes, n, &zi, zo);
	if (status == ZYDIS_STATUS_NO_MORE_DATA)
		return n < INSN_LENGTH_MAX ? -ENODATA : -E2BIG;
	if (status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG)
		return -E2BIG;
	if (!ZYAN_SUCCESS(status))
		return -EINVAL;
	row = find_row(zi.mnemonic);
	return row == NULL ? -EINVAL : take_all(c, &zi, zo, row);
}
