/* SPDX-License-Identifier: ISC */
/*
 * The local APIC by sections of the SDM's chapter on it; its timer is
 * check_lapic_timer's.
 */
#include "lapicrig.h"

static bool
in(const uint32_t *words, unsigned v)
{
	return (words[v / 32] >> v % 32 & 1) != 0;
}

/* "Local APIC State After Power-Up or Reset" */
START_TEST(power_on)
{
	static const struct { uint32_t reg; uint64_t val; } want[] = {
		{ LAPIC_ID, 0x2a000000 }, { LAPIC_VERSION, 0x50014 },
		{ LAPIC_TPR, 0 }, { LAPIC_PPR, 0 }, { LAPIC_LDR, 0 },
		{ LAPIC_DFR, 0xffffffff }, { LAPIC_SVR, 0xff },
		{ LAPIC_ESR, 0 }, { LAPIC_ICR, 0 }, { LAPIC_ICR_HIGH, 0 },
		{ LVT(TIMER), 0x10000 }, { LVT(THERMAL), 0x10000 },
		{ LVT(PERF), 0x10000 }, { LVT(LINT0), 0x10000 },
		{ LVT(LINT1), 0x10000 }, { LVT(ERROR), 0x10000 },
		{ LAPIC_TMICT, 0 }, { LAPIC_TMCCT, 0 }, { LAPIC_TDCR, 0 },
	};
	struct lapic l;
	unsigned i;

	memset(&l, 0xa5, sizeof(l));
	lapic_reset(&l, 0x2a, true);
	ck_assert_uint_eq(l.base, XAPIC | LAPIC_BASE_BSP);
	for (i = 0; i < LENGTH(want); i++)
		ck_assert_uint_eq(get(&l, want[i].reg), want[i].val);
	for (i = LAPIC_ISR; i < LAPIC_IRR + 8; i++)
		ck_assert_uint_eq(get(&l, i), 0);
	ck_assert_int_eq(lapic_pending(&l), -1);
	ck_assert(!lapic_takes_extint(&l) && !lapic_takes_nmi(&l));
	lapic_virtual_wire(&l);
	ck_assert(lapic_takes_extint(&l) && lapic_takes_nmi(&l));
	ck_assert(lapic_valid(&l, 0));
}
END_TEST

/* "Local APIC State After It Receives an INIT Reset" */
START_TEST(init_keeps)
{
	struct lapic l, fresh;
	int x2;

	for (x2 = 0; x2 < 2; x2++) {
		make(&l, 7, x2);
		set(&l, LAPIC_TPR, 0x30);
		set(&l, LVT(TIMER), 0x20040);
		set(&l, LAPIC_TMICT, 1000);
		lapic_accept(&l, 0x61, true);
		lapic_ack(&l, 0x61);
		lapic_accept(&l, 0x71, false);
		lapic_init(&l);
		lapic_reset(&fresh, 7, false);
		fresh.base = x2 ? X2 : XAPIC;
		ck_assert_mem_eq(&l, &fresh, sizeof(l));
	}
}
END_TEST

/* "x2APIC State Transitions": from each mode to each. */
START_TEST(modes)
{
	static const uint64_t mode[] = { BASE, XAPIC, X2,
		BASE | LAPIC_BASE_EXTD };
	static const bool legal[3][4] = {
		{ true, true, false, false },
		{ true, true, true, false },
		{ true, false, true, false },
	};
	struct lapic l;
	unsigned from, to;

	for (from = 0; from < 3; from++)
		for (to = 0; to < 4; to++) {
			lapic_reset(&l, 1, true);
			ck_assert_int_eq(lapic_base_write(&l, mode[from]), 0);
			ck_assert_int_eq(lapic_base_write(&l, mode[to]),
			    legal[from][to] ? 0 : -1);
			ck_assert_uint_eq(l.base, LAPIC_BASE_BSP |
			    mode[legal[from][to] ? to : from]);
			ck_assert(lapic_valid(&l, 0));
		}
}
END_TEST

START_TEST(base_reserved_bits)
{
	struct lapic l;
	unsigned i;

	lapic_reset(&l, 1, false);
	for (i = 0; i < 64; i++) {
		if (i == 8 || i == 10 || i == 11)
			continue;
		ck_assert_int_eq(lapic_base_write(&l, XAPIC ^ 1ULL << i), -1);
	}
	ck_assert_int_eq(lapic_base_write(&l, XAPIC | LAPIC_BASE_BSP), 0);
	ck_assert_uint_eq(l.base, XAPIC);
}
END_TEST

/* Off, it is as if there were none; back on, as after power-on. */
START_TEST(switched_off)
{
	struct lapic_action a;
	struct lapic l;
	uint64_t val;
	uint32_t reg;

	lapic_reset(&l, 1, true);
	set(&l, LAPIC_SVR, 0x1ff);
	lapic_accept(&l, 0x40, false);
	ck_assert_int_eq(lapic_base_write(&l, BASE), 0);
	ck_assert_int_eq(lapic_pending(&l), -1);
	lapic_accept(&l, 0x40, false);
	ck_assert_int_eq(lapic_pending(&l), -1);
	for (reg = 0; reg <= LAPIC_REGS; reg++) {
		ck_assert_int_eq(lapic_read(&l, reg, 0, &val), -1);
		ck_assert_int_eq(lapic_write(&l, reg, 0, 0, &a), -1);
		ck_assert_uint_eq(a.what, 0);
	}
	/* The boot processor has the PIC on its pin. */
	ck_assert(lapic_takes_extint(&l) && lapic_takes_nmi(&l));
	lapic_set_cr8(&l, 5);
	ck_assert(lapic_valid(&l, 0));
	ck_assert_int_eq(lapic_base_write(&l, XAPIC), 0);
	ck_assert_uint_eq(get(&l, LAPIC_SVR), 0xff);
	ck_assert(!lapic_takes_extint(&l));
	lapic_reset(&l, 1, false);
	ck_assert_int_eq(lapic_base_write(&l, BASE), 0);
	ck_assert(!lapic_takes_extint(&l) && !lapic_takes_nmi(&l));
}
END_TEST

/* "x2APIC Register Address Space": what may be read and written there. */
START_TEST(x2apic_registers)
{
	static const uint8_t rights[LAPIC_REGS] = {	/* 1 read, 2 write */
		0, 0, 1, 1, 0, 0, 0, 0, 3, 0, 1, 2, 0, 1, 0, 3,
		1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
		1, 1, 1, 1, 1, 1, 1, 1, 3, 0, 0, 0, 0, 0, 0, 0,
		3, 0, 3, 3, 3, 3, 3, 3, 3, 1, 0, 0, 0, 0, 3, 2,
	};
	struct lapic_action a;
	uint64_t val;
	uint32_t reg;
	struct lapic l;

	make(&l, 1, true);
	for (reg = 0; reg < 2 * LAPIC_REGS; reg++) {
		uint8_t r = reg < LAPIC_REGS ? rights[reg] : 0;

		ck_assert_int_eq(lapic_read(&l, reg, 0, &val),
		    (r & 1) != 0 ? 0 : -1);
		ck_assert_int_eq(lapic_write(&l, reg, 0, 0, &a),
		    (r & 2) != 0 ? 0 : -1);
	}
	ck_assert_uint_eq(l.errors & LAPIC_ESR_REGISTER, 0);
}
END_TEST

/* Bits reserved in x2APIC mode: #GP, and nothing changes. */
START_TEST(x2apic_reserved_bits)
{
	static const struct { uint32_t reg; uint64_t good; } regs[] = {
		{ LAPIC_TPR, 0xff }, { LAPIC_EOI, 0 }, { LAPIC_SVR, 0x3ff },
		{ LAPIC_ESR, 0 }, { LAPIC_ICR, 0xffffffff000ccfff },
		{ LVT(TIMER), 0x710ff }, { LVT(THERMAL), 0x117ff },
		{ LVT(PERF), 0x117ff }, { LVT(LINT0), 0x1f7ff },
		{ LVT(LINT1), 0x1f7ff }, { LVT(ERROR), 0x110ff },
		{ LAPIC_TMICT, 0xffffffff }, { LAPIC_TDCR, 0xb },
		{ LAPIC_SELF, 0xff },
	};
	struct lapic_action a;
	struct lapic l, was;
	unsigned i, bit;
	int ret;

	make(&l, 1, true);
	was = l;
	for (i = 0; i < LENGTH(regs); i++)
		for (bit = 0; bit < 64; bit++) {
			l = was;
			ret = lapic_write(&l, regs[i].reg, 1ULL << bit, 0, &a);
			ck_assert_int_eq(ret,
			    (regs[i].good >> bit & 1) != 0 ? 0 : -1);
			if (ret != 0)
				ck_assert_mem_eq(&l, &was, sizeof(l));
		}
	ck_assert_int_eq(lapic_write(&l, LVT(TIMER), 0x60040, 0, &a), -1);
}
END_TEST

/* What xAPIC mode ignores. */
START_TEST(xapic_writes)
{
	static const struct { uint32_t reg; uint32_t val; } want[] = {
		{ LAPIC_ID, 0x03000000 }, { LAPIC_VERSION, 0x50014 },
		{ LAPIC_TPR, 0xff }, { LAPIC_LDR, 0xff000000 },
		{ LAPIC_DFR, 0xffffffff }, { LAPIC_SVR, 0x3ff },
		{ LAPIC_ICR_HIGH, 0xff000000 }, { LVT(TIMER), 0x500ff },
		{ LVT(THERMAL), 0x107ff }, { LVT(PERF), 0x107ff },
		{ LVT(LINT0), 0x1a7ff }, { LVT(LINT1), 0x1a7ff },
		{ LVT(ERROR), 0x100ff }, { LAPIC_TDCR, 0xb },
		{ LAPIC_PPR, 0xff }, { LAPIC_APR, 0xff }, { LAPIC_EOI, 0 },
		{ LAPIC_RRD, 0 }, { LAPIC_TMCCT, 0 },
	};
	struct lapic l;
	unsigned i;

	make(&l, 3, false);
	for (i = 0; i < LENGTH(want); i++)
		set(&l, want[i].reg, 0xffffffff);
	for (i = 0; i < LENGTH(want); i++)
		ck_assert_uint_eq(get(&l, want[i].reg), want[i].val);
	set(&l, LAPIC_DFR, 0);
	ck_assert_uint_eq(get(&l, LAPIC_DFR), 0x0fffffff);
	set(&l, LAPIC_ICR, 0x000c4640 | 0xfff33000);
	ck_assert_uint_eq(get(&l, LAPIC_ICR), 0x000c4640);
	ck_assert_uint_eq(l.errors, 0);
}
END_TEST

/* "Error Handling": writes latch, the first error interrupts. */
START_TEST(errors)
{
	struct lapic l;

	make(&l, 0, false);
	set(&l, LVT(ERROR), 0xfe);
	ck_assert_uint_eq(get(&l, 0x00), 0);
	ck_assert_int_eq(lapic_pending(&l), 0xfe);
	lapic_ack(&l, 0xfe);
	ck_assert_uint_eq(get(&l, LAPIC_ESR), 0);
	set(&l, 0x3f, 0x40);		/* no self IPI here */
	set(&l, LAPIC_REGS, 0);
	set(&l, LAPIC_ICR, 0xc000f);
	ck_assert_int_eq(lapic_pending(&l), -1);
	set(&l, LAPIC_EOI, 0);
	ck_assert_int_eq(lapic_pending(&l), -1);
	set(&l, LAPIC_ESR, 0xff);
	ck_assert_uint_eq(get(&l, LAPIC_ESR), 0xa0);
	lapic_accept(&l, 15, false);
	ck_assert_int_eq(lapic_pending(&l), 0xfe);
	ck_assert_uint_eq(get(&l, LAPIC_ESR), 0xa0);
	set(&l, LAPIC_ESR, 0);
	ck_assert_uint_eq(get(&l, LAPIC_ESR), 0x40);
	set(&l, LAPIC_ESR, 0);
	ck_assert_uint_eq(get(&l, LAPIC_ESR), 0);
	/* Errors of the error interrupt itself come to an end. */
	set(&l, LVT(ERROR), 0x0f);
	lapic_accept(&l, 0, false);
	set(&l, LAPIC_ESR, 0);
	ck_assert_uint_eq(get(&l, LAPIC_ESR), 0x40);
	/* Masked they are collected all the same. */
	set(&l, LVT(ERROR), 0x100fe);
	lapic_ack(&l, 0xfe);
	set(&l, LAPIC_EOI, 0);
	get(&l, 0x3e + 2);
	ck_assert_int_eq(lapic_pending(&l), -1);
	set(&l, LAPIC_ESR, 0);
	ck_assert_uint_eq(get(&l, LAPIC_ESR), 0x80);
}
END_TEST

/* "Valid Interrupt Vectors": 15 and 16 by every way in. */
START_TEST(illegal_vectors)
{
	struct lapic l;

	make(&l, 0, true);
	set(&l, LAPIC_SELF, 15);
	set(&l, LAPIC_ESR, 0);
	ck_assert_uint_eq(get(&l, LAPIC_ESR), 0x60);
	ck_assert_uint_eq(set(&l, LAPIC_ICR, 15).what, 0);
	set(&l, LAPIC_ESR, 0);
	ck_assert_uint_eq(get(&l, LAPIC_ESR), 0x20);
	ck_assert_uint_eq(set(&l, LAPIC_ICR, 16).what, LAPIC_DO_IPI);
	set(&l, LVT(TIMER), 15);
	set(&l, LAPIC_TMICT, 1);
	ck_assert(lapic_timer_expired(&l, 2, 0));
	set(&l, LAPIC_ESR, 0);
	ck_assert_uint_eq(get(&l, LAPIC_ESR), 0x40);
	ck_assert_uint_eq(l.irr.used, 0);
	set(&l, LAPIC_SELF, 16);
	ck_assert(in(l.irr.word, 16));
	set(&l, LAPIC_ESR, 0);
	ck_assert_uint_eq(get(&l, LAPIC_ESR), 0);
}
END_TEST

/* "Local APIC State After It Has Been Software Disabled" */
START_TEST(software_disabled)
{
	struct lapic l;
	unsigned i;

	make(&l, 0, false);
	for (i = 0; i < LAPIC_LVTS; i++)
		set(&l, LAPIC_LVT + i, 0x40);
	lapic_accept(&l, 0x51, false);
	lapic_accept(&l, 0x61, false);
	lapic_ack(&l, 0x61);
	set(&l, LAPIC_SVR, 0xff);
	for (i = 0; i < LAPIC_LVTS; i++) {
		ck_assert_uint_eq(get(&l, LAPIC_LVT + i), 0x10040);
		set(&l, LAPIC_LVT + i, 0x41);
		ck_assert_uint_eq(get(&l, LAPIC_LVT + i), 0x10041);
	}
	/* What was pending is still; nothing new comes. */
	lapic_accept(&l, 0x71, false);
	set(&l, LAPIC_EOI, 0);
	ck_assert_int_eq(lapic_pending(&l), 0x51);
	lapic_ack(&l, 0x51);
	ck_assert_int_eq(lapic_pending(&l), -1);
	/* It still sends. */
	ck_assert_uint_eq(set(&l, LAPIC_ICR, 0x4040).what, LAPIC_DO_IPI);
	set(&l, LAPIC_SVR, 0x1ff);
	ck_assert_uint_eq(get(&l, LVT(ERROR)), 0x10041);
}
END_TEST

/* "Task and Processor Priorities" */
START_TEST(priorities)
{
	static const struct { uint8_t tpr, isr, irr, ppr, apr; bool passes; }
	    rows[] = {
		{ 0x00, 0, 0x10, 0x00, 0x10, true },
		{ 0x0f, 0, 0x10, 0x0f, 0x10, true },
		{ 0x10, 0, 0x1f, 0x10, 0x10, false },
		{ 0x10, 0, 0x20, 0x10, 0x20, true },
		{ 0x4f, 0x51, 0x5f, 0x50, 0x50, false },
		{ 0x4f, 0x51, 0x60, 0x50, 0x60, true },
		{ 0x57, 0x51, 0x60, 0x57, 0x60, true },
		{ 0x50, 0x51, 0x50, 0x50, 0x50, false },
		{ 0x63, 0x51, 0x60, 0x63, 0x63, false },
		{ 0xf0, 0, 0xff, 0xf0, 0xf0, false },
		{ 0xef, 0xe1, 0xf0, 0xef, 0xf0, true },
	};
	struct lapic l;
	unsigned i;

	for (i = 0; i < LENGTH(rows); i++) {
		make(&l, 0, false);
		if (rows[i].isr != 0) {
			lapic_accept(&l, rows[i].isr, false);
			lapic_ack(&l, rows[i].isr);
		}
		set(&l, LAPIC_TPR, rows[i].tpr);
		lapic_accept(&l, rows[i].irr, false);
		ck_assert_uint_eq(get(&l, LAPIC_PPR), rows[i].ppr);
		ck_assert_uint_eq(get(&l, LAPIC_APR), rows[i].apr);
		ck_assert_int_eq(lapic_pending(&l),
		    rows[i].passes ? rows[i].irr : -1);
		ck_assert_uint_eq(lapic_cr8(&l), rows[i].tpr >> 4);
	}
	ck_assert_uint_eq(set(&l, LAPIC_TPR, 0x35).what, LAPIC_DO_TPR);
	lapic_set_cr8(&l, 0xc);
	ck_assert_uint_eq(get(&l, LAPIC_TPR), 0xc0);
}
END_TEST

/* "Interrupt Acceptance for Fixed Interrupts", "Signaling Servicing Complete" */
START_TEST(nesting)
{
	struct lapic_action a;
	struct lapic l;

	make(&l, 0, true);
	lapic_accept(&l, 0x31, false);
	lapic_accept(&l, 0x41, true);
	lapic_accept(&l, 0x42, true);
	lapic_accept(&l, 0xff, false);
	ck_assert_int_eq(lapic_pending(&l), 0xff);
	lapic_ack(&l, 0xff);
	ck_assert_int_eq(lapic_pending(&l), -1);
	ck_assert_uint_eq(set(&l, LAPIC_EOI, 0).what, 0);
	ck_assert_int_eq(lapic_pending(&l), 0x42);
	lapic_ack(&l, 0x42);
	/* The same one again while it is in service. */
	lapic_accept(&l, 0x42, true);
	ck_assert_int_eq(lapic_pending(&l), -1);
	ck_assert_uint_eq(get(&l, LAPIC_ISR + 2), 1 << 2);
	ck_assert_uint_eq(get(&l, LAPIC_TMR + 2), 3 << 1);
	ck_assert_uint_eq(get(&l, LAPIC_IRR + 2), 3 << 1);
	a = set(&l, LAPIC_EOI, 0);
	ck_assert_uint_eq(a.what, LAPIC_DO_EOI);
	ck_assert_uint_eq(a.vector, 0x42);
	/* It came as level and comes as edge: the last one counts. */
	lapic_accept(&l, 0x42, false);
	lapic_ack(&l, 0x42);
	ck_assert_uint_eq(set(&l, LAPIC_EOI, 0).what, 0);
	lapic_ack(&l, 0x41);
	ck_assert_int_eq(lapic_eoi(&l), 0x41);
	lapic_ack(&l, 0x31);
	ck_assert_int_eq(lapic_eoi(&l), -1);
	/* One too many. */
	ck_assert_int_eq(lapic_eoi(&l), -1);
	ck_assert_uint_eq(set(&l, LAPIC_EOI, 0).what, 0);
}
END_TEST

/* Nobody is told of an end, and nobody waits for it. */
START_TEST(silent_ends)
{
	struct lapic l;

	make(&l, 0, true);
	ck_assert(!lapic_eoi_is_silent(&l));
	lapic_accept(&l, 0x41, false);
	ck_assert(!lapic_eoi_is_silent(&l));
	lapic_ack(&l, 0x41);
	ck_assert(lapic_eoi_is_silent(&l));
	/* A level's above it is told of; then the turn is its own again. */
	lapic_accept(&l, 0xf1, true);
	ck_assert(!lapic_eoi_is_silent(&l));
	lapic_ack(&l, 0xf1);
	ck_assert(!lapic_eoi_is_silent(&l));
	ck_assert_int_eq(lapic_eoi(&l), 0xf1);
	ck_assert(lapic_eoi_is_silent(&l));
	/* What waits may wait for it, or come as a level. */
	lapic_accept(&l, 0x31, false);
	ck_assert(!lapic_eoi_is_silent(&l));
	ck_assert_int_eq(lapic_eoi(&l), -1);
	lapic_ack(&l, 0x31);
	ck_assert(lapic_eoi_is_silent(&l));
	lapic_accept(&l, 0x31, true);
	ck_assert(!lapic_eoi_is_silent(&l));
}
END_TEST

/* "Determining IPI Destination": the message of each ICR. */
START_TEST(icr_xapic)
{
	static const struct {
		uint32_t high, low;
		int mode;			/* -1: nothing is sent */
		uint32_t dest;
		uint8_t shorthand;
		bool logical;
	} rows[] = {
		{ 0x05000000, 0x00004040, LAPIC_FIXED, 5, 0, false },
		{ 0xff000000, 0x00000040, LAPIC_FIXED, LAPIC_BROADCAST, 0,
		    false },
		{ 0x0f000000, 0x00000940, LAPIC_LOWEST, 15, 0, true },
		{ 0x01000000, 0x0000c040, LAPIC_FIXED, 1, 0, false },
		{ 0x01000000, 0x00000240, -1, 0, 0, false },	/* SMI */
		{ 0x01000000, 0x00000340, -1, 0, 0, false },
		{ 0x01000000, 0x00000400, LAPIC_NMI, 1, 0, false },
		{ 0x01000000, 0x0000c500, LAPIC_INIT, 1, 0, false },
		{ 0x01000000, 0x00000500, LAPIC_INIT, 1, 0, false },
		{ 0x01000000, 0x00008500, -1, 0, 0, false },	/* de-assert */
		{ 0x01000000, 0x0000069a, LAPIC_STARTUP, 1, 0, false },
		{ 0x01000000, 0x00000740, -1, 0, 0, false },	/* ExtINT */
		{ 0, 0x00080040, LAPIC_FIXED, 0, LAPIC_TO_ALL, false },
		{ 0, 0x00080140, -1, 0, 0, false },
		{ 0, 0x00080400, -1, 0, 0, false },
		{ 0, 0x00080500, -1, 0, 0, false },
		{ 0, 0x000c0140, LAPIC_LOWEST, 0, LAPIC_TO_OTHERS, false },
		{ 0, 0x000c4500, LAPIC_INIT, 0, LAPIC_TO_OTHERS, false },
		{ 0, 0x000c4608, LAPIC_STARTUP, 0, LAPIC_TO_OTHERS, false },
		{ 0, 0x00040400, -1, 0, 0, false },
		{ 0, 0x00040140, -1, 0, 0, false },
		{ 0, 0x00000010, LAPIC_FIXED, 0, 0, false },
		{ 0, 0x0000000f, -1, 0, 0, false },
	};
	struct lapic_action a;
	struct lapic l;
	unsigned i;

	make(&l, 0, false);
	for (i = 0; i < LENGTH(rows); i++) {
		ck_assert_uint_eq(set(&l, LAPIC_ICR_HIGH, rows[i].high).what,
		    0);
		a = set(&l, LAPIC_ICR, rows[i].low);
		ck_assert_uint_eq(a.what,
		    rows[i].mode >= 0 ? LAPIC_DO_IPI : 0);
		if (rows[i].mode < 0)
			continue;
		ck_assert_int_eq(a.msg.mode, rows[i].mode);
		ck_assert_uint_eq(a.msg.vector, rows[i].low & 0xff);
		ck_assert_uint_eq(a.msg.dest, rows[i].dest);
		ck_assert_uint_eq(a.msg.shorthand, rows[i].shorthand);
		ck_assert(a.msg.logical == rows[i].logical && !a.msg.level);
	}
	ck_assert_uint_eq(l.irr.used, 0);
}
END_TEST

START_TEST(icr_x2apic)
{
	struct lapic_action a;
	struct lapic l;

	make(&l, 0, true);
	a = set(&l, LAPIC_ICR, 0x0001000f00000841);
	ck_assert_uint_eq(a.what, LAPIC_DO_IPI);
	ck_assert_uint_eq(a.msg.dest, 0x1000f);
	ck_assert(a.msg.logical);
	ck_assert_uint_eq(get(&l, LAPIC_ICR), 0x0001000f00000841);
	a = set(&l, LAPIC_ICR, 0x000000ff00004041);
	ck_assert_uint_eq(a.msg.dest, 0xff);
	a = set(&l, LAPIC_ICR, 0xffffffff00004041);
	ck_assert_uint_eq(a.msg.dest, LAPIC_BROADCAST);
	ck_assert_uint_eq(l.irr.used, 0);
	/* To itself: nobody else has to do anything. */
	ck_assert_uint_eq(set(&l, LAPIC_ICR, 0x40051).what, 0);
	ck_assert_uint_eq(set(&l, LAPIC_SELF, 0x52).what, 0);
	ck_assert(in(l.irr.word, 0x51) && in(l.irr.word, 0x52));
}
END_TEST

/* "Message Signalled Interrupts" */
START_TEST(messages)
{
	static const struct {
		uint64_t addr;
		uint32_t data;
		int ret;
		uint32_t dest;
		uint8_t mode;
		bool logical, level;
	} rows[] = {
		{ 0xfee05000, 0x41, 0, 5, LAPIC_FIXED, false, false },
		{ 0xfeeff000, 0x41, 0, LAPIC_BROADCAST, LAPIC_FIXED, false,
		    false },
		{ 0xfee03004, 0x41, 0, 3, LAPIC_FIXED, true, false },
		{ 0xfee03008, 0x41, 0, 3, LAPIC_LOWEST, false, false },
		{ 0xfee0300c, 0x141, 0, 3, LAPIC_LOWEST, true, false },
		{ 0xfee00000, 0xc041, 0, 0, LAPIC_FIXED, false, true },
		{ 0xfee00000, 0x8041, 0, 0, LAPIC_FIXED, false, true },
		{ 0xfee00000, 0x8441, 0, 0, LAPIC_NMI, false, false },
		{ 0xfee00000, 0x8541, 0, 0, LAPIC_INIT, false, false },
		{ 0xfee00000, 0x241, -1, 0, 0, false, false },
		{ 0xfee00000, 0x341, -1, 0, 0, false, false },
		{ 0xfee00000, 0x641, -1, 0, 0, false, false },
		{ 0xfee00000, 0x741, -1, 0, 0, false, false },
		{ 0xfed00000, 0x41, -1, 0, 0, false, false },
		{ 0x1fee00000, 0x41, -1, 0, 0, false, false },
	};
	struct lapic_msg m;
	unsigned i;

	for (i = 0; i < LENGTH(rows); i++) {
		memset(&m, 0xa5, sizeof(m));
		ck_assert_int_eq(lapic_msg_from_msi(rows[i].addr, rows[i].data,
		    &m), rows[i].ret);
		if (rows[i].ret != 0)
			continue;
		ck_assert_uint_eq(m.dest, rows[i].dest);
		ck_assert_uint_eq(m.mode, rows[i].mode);
		ck_assert_uint_eq(m.vector, 0x41);
		ck_assert_uint_eq(m.shorthand, LAPIC_TO_DEST);
		ck_assert(m.logical == rows[i].logical);
		ck_assert(m.level == rows[i].level);
	}
}
END_TEST

/* "Determining IPI Destination", logical and physical, by either sender. */
START_TEST(destinations)
{
	static const struct {
		uint32_t id;
		int x2;
		uint32_t ldr, dfr, dest;
		bool logical, match;
	} rows[] = {
		{ 5, 0, 0, 0xf, 5, false, true },
		{ 5, 0, 0, 0xf, 4, false, false },
		{ 5, 0, 0, 0xf, 0x105, false, false },
		{ 5, 0, 0, 0xf, LAPIC_BROADCAST, false, true },
		{ 5, 1, 0, 0, 5, false, true },
		{ 5, 1, 0, 0, LAPIC_BROADCAST, false, true },
		{ 5, 0, 0x20, 0xf, 0x20, true, true },
		{ 5, 0, 0x20, 0xf, 0xf0, true, true },
		{ 5, 0, 0x20, 0xf, 0xdf, true, false },
		{ 5, 0, 0x20, 0xf, 0x120, true, false },
		{ 5, 0, 0x00, 0xf, LAPIC_BROADCAST, true, true },
		{ 5, 0, 0x24, 0x0, 0x24, true, true },
		{ 5, 0, 0x24, 0x0, 0x2f, true, true },
		{ 5, 0, 0x24, 0x0, 0x2b, true, false },
		{ 5, 0, 0x24, 0x0, 0x34, true, false },
		{ 5, 0, 0x24, 0x0, LAPIC_BROADCAST, true, true },
		{ 0x25, 1, 0, 0, 0x20020, true, true },
		{ 0x25, 1, 0, 0, 0x2ffff, true, true },
		{ 0x25, 1, 0, 0, 0x2ffdf, true, false },
		{ 0x25, 1, 0, 0, 0x10020, true, false },
		{ 0x25, 1, 0, 0, 0x00020, true, false },
		{ 0x3f, 1, 0, 0, 0x38000, true, true },
		{ 0x25, 1, 0, 0, LAPIC_BROADCAST, true, true },
	};
	struct lapic_msg m = { .vector = 0x40 };
	struct lapic l;
	unsigned i;

	for (i = 0; i < LENGTH(rows); i++) {
		make(&l, rows[i].id, rows[i].x2);
		if (!rows[i].x2) {
			set(&l, LAPIC_LDR, rows[i].ldr << 24);
			set(&l, LAPIC_DFR, rows[i].dfr << 28);
		}
		m.dest = rows[i].dest;
		m.logical = rows[i].logical;
		if (lapic_msg_is_for(&l, &m, 5) != rows[i].match)
			ck_abort_msg("row %u", i);
	}
	ck_assert_uint_eq(get(&l, LAPIC_LDR), 0x20020);
	ck_assert_int_eq(lapic_base_write(&l, BASE), 0);
	ck_assert(!lapic_msg_is_for(&l, &m, 5));
}
END_TEST

START_TEST(shorthands)
{
	struct lapic_msg m = { .vector = 0x40 };
	struct lapic l;

	make(&l, 5, true);
	m.shorthand = LAPIC_TO_ALL;
	ck_assert(lapic_msg_is_for(&l, &m, 5));
	ck_assert(lapic_msg_is_for(&l, &m, 4));
	m.shorthand = LAPIC_TO_OTHERS;
	ck_assert(!lapic_msg_is_for(&l, &m, 5));
	ck_assert(lapic_msg_is_for(&l, &m, 4));
}
END_TEST

/* What a stranger may send: one thing wrong at a time. */
START_TEST(impossible_states)
{
	struct lapic l, good;

	make(&good, 1, false);
	set(&good, LVT(TIMER), 0x20040);
	set(&good, LAPIC_TMICT, 1000);
	lapic_accept(&good, 0x45, false);
	lapic_ack(&good, 0x45);
#define REFUSED(change) do {						\
	l = good;							\
	change;								\
	ck_assert(!lapic_valid(&l, 0));					\
} while (0)
	REFUSED(l.base |= 1);
	REFUSED(l.base |= 1ULL << 36);
	REFUSED(l.base ^= LAPIC_BASE_ENABLE | LAPIC_BASE_EXTD);
	REFUSED(l.base ^= LAPIC_BASE_ENABLE);
	REFUSED(l.id = 0xff);
	REFUSED(l.tpr = 0x100);
	REFUSED(l.svr |= 0x400);
	REFUSED(l.svr &= ~0x100u);	/* with an LVT entry not masked */
	REFUSED(l.ldr = 1);
	REFUSED(l.dfr = 0xf0000000);
	REFUSED(l.esr = 1);
	REFUSED(l.errors = 0x100);
	REFUSED(l.icr = 0x1000);
	REFUSED(l.icr = 1ULL << 32);	/* x2APIC's */
	REFUSED(l.lvt[LAPIC_LVT_LINT0] |= 0x4000);
	REFUSED(l.lvt[LAPIC_LVT_ERROR] |= 0x400);
	REFUSED(l.lvt[LAPIC_LVT_TIMER] |= 0x60000);
	REFUSED(l.tdcr = 4);
	REFUSED(l.tmict = 0);
	REFUSED(l.counting = 2);
	REFUSED(l.counting = 0);	/* and yet due */
	REFUSED(l.due = 2 * 1000 + LAPIC_GAP_MIN_NS + 1);
	REFUSED(l.due = 1ULL << 63);
	REFUSED(l.deadline = 5);
	REFUSED(l.lvt[LAPIC_LVT_TIMER] = 0x40040);
	REFUSED(l.irr.word[0] = l.irr.used = 1);
	REFUSED(l.irr.word[1] = 1);
	REFUSED(l.irr.used = 2);
	REFUSED(l.irr.used = 0x100);
	REFUSED(l.isr.word[2] |= 1 << 6);	/* 46 beside 45 */
	REFUSED(l.isr.used = 0);
	REFUSED(l.tmr[0] = 1);
#undef REFUSED
	good.isr.word[2] |= 1 << 16;
	good.due = 2 * 1000 + LAPIC_GAP_MIN_NS;
	ck_assert(lapic_valid(&good, 0));
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("lapic");

	tcase_add_test(tc, power_on);
	tcase_add_test(tc, init_keeps);
	tcase_add_test(tc, modes);
	tcase_add_test(tc, base_reserved_bits);
	tcase_add_test(tc, switched_off);
	tcase_add_test(tc, x2apic_registers);
	tcase_add_test(tc, x2apic_reserved_bits);
	tcase_add_test(tc, xapic_writes);
	tcase_add_test(tc, errors);
	tcase_add_test(tc, illegal_vectors);
	tcase_add_test(tc, software_disabled);
	tcase_add_test(tc, priorities);
	tcase_add_test(tc, nesting);
	tcase_add_test(tc, silent_ends);
	tcase_add_test(tc, icr_xapic);
	tcase_add_test(tc, icr_x2apic);
	tcase_add_test(tc, messages);
	tcase_add_test(tc, destinations);
	tcase_add_test(tc, shorthands);
	tcase_add_test(tc, impossible_states);
	return test_main("lapic", tc);
}
