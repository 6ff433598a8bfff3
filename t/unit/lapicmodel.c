/* SPDX-License-Identifier: ISC */
/*
 * The model of the local APIC: see lapicmodel.h.
 */
#include "lapicmodel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
descending(const void *a, const void *b)
{
	return *(const int *)b - *(const int *)a;
}

/* The greatest of a set, or -1. */
static int
greatest(const bool *set)
{
	int all[257], n = 0, v;

	for (v = 0; v < 256; v++) {
		if (set[v])
			all[n++] = v;
	}
	all[n++] = -1;
	qsort(all, (size_t)n, sizeof(*all), descending);
	return all[0];
}

static unsigned
class_of(int vector)
{
	return vector < 0 ? 0 : (unsigned)vector / 16;
}

static unsigned
model_ppr(const struct model *m)
{
	unsigned served = class_of(greatest(m->isr));

	return m->tpr / 16 < served ? served * 16 : m->tpr;
}

static unsigned
model_apr(const struct model *m)
{
	unsigned asks = class_of(greatest(m->irr));

	return model_ppr(m) / 16 < asks ? asks * 16 : model_ppr(m);
}

int
model_pending(const struct model *m)
{
	int v = greatest(m->irr);

	return v >= 0 && class_of(v) > model_ppr(m) / 16 ? v : -1;
}

bool
model_eoi_is_silent(const struct model *m)
{
	int v = greatest(m->isr);

	return v >= 0 && greatest(m->irr) < 0 && !m->tmr[v];
}

void
model_clear(struct model *m)
{
	unsigned i;

	for (i = 0; i < 256; i++)
		m->irr[i] = m->isr[i] = m->tmr[i] = false;
	for (i = 0; i < 6; i++)
		m->lvt[i] = 0x10000;
	m->tpr = m->ldr = m->esr = m->errors = m->dest = m->icr = 0;
	m->initial = m->divide = 0;
	m->svr = 0xff;
	m->dfr = 0xffffffff;
	m->running = false;
	m->deadline = 0;
}

static bool
model_enabled(const struct model *m)
{
	return (m->svr & 0x100) != 0;
}

void
model_error(struct model *m, unsigned bits)
{
	bool quiet = m->errors != 0;

	m->errors |= bits;
	if (!quiet && (m->lvt[5] & 0x10000) == 0)
		model_accept(m, m->lvt[5] & 0xff, false);
}

void
model_accept(struct model *m, unsigned vector, bool level)
{
	if (!model_enabled(m))
		return;
	if (vector < 16) {
		model_error(m, 0x40);
	} else {
		m->irr[vector] = true;
		m->tmr[vector] = level;
	}
}

static uint64_t
model_divisor(const struct model *m)
{
	static const unsigned by[] = { 2, 4, 8, 16, 32, 64, 128, 1 };

	return by[(m->divide & 3) + ((m->divide & 8) != 0 ? 4 : 0)];
}

unsigned
model_timer_mode(const struct model *m)
{
	return m->lvt[0] >> 17 & 3;
}

/* The next beat after `now`, those that are left out included. */
static uint64_t
model_next(const struct model *m, uint64_t now)
{
	uint64_t period = m->initial * model_divisor(m), beat = m->beat;

	while (beat <= now)
		beat += period;
	while (beat - now > period)
		beat -= period;
	return beat;
}

static unsigned
model_count(const struct model *m, uint64_t now)
{
	uint64_t d = model_divisor(m), left;

	if (!m->running || (model_timer_mode(m) == 0 && now >= m->beat))
		return 0;
	left = (model_timer_mode(m) == 0 ? m->beat : model_next(m, now)) - now;
	return (unsigned)(left / d + (left % d != 0));
}

static void
model_fire(struct model *m)
{
	if ((m->lvt[0] & 0x10000) == 0)
		model_accept(m, m->lvt[0] & 0xff, false);
}

static bool
model_expire(struct model *m, uint64_t now)
{
	if (!m->running || now < m->beat)
		return false;
	if (model_timer_mode(m) == 1) {
		do {
			m->beat += m->initial * model_divisor(m);
		} while (m->beat < now + LAPIC_GAP_MIN_NS);
	} else {
		m->running = false;
	}
	model_fire(m);
	return true;
}

bool
model_expired(struct model *m, uint64_t now, uint64_t tsc)
{
	if (m->deadline == 0)
		return model_expire(m, now);
	if (tsc < m->deadline)
		return false;
	m->deadline = 0;
	model_fire(m);
	return true;
}

/* What the ICR asks for, by the table of valid combinations. */
static void
model_send(struct model *m, struct effect *e)
{
	static const char *const valid[] = {	/* by shorthand */
		"fixed lowest nmi init startup", "fixed", "fixed",
		"fixed lowest nmi init startup",
	};
	static const char *const names[] = { "fixed", "lowest", "smi", "res",
		"nmi", "init", "startup", "extint" };
	unsigned vector = m->icr & 0xff, mode = m->icr >> 8 & 7;
	unsigned shorthand = m->icr >> 18 & 3;
	bool level = (m->icr & 0x8000) != 0, assert = (m->icr & 0x4000) != 0;
	bool fixed = mode == 0 || mode == 1;

	if (strstr(valid[shorthand], names[mode]) == NULL)
		return;
	if (fixed && vector < 16) {
		model_error(m, shorthand == 1 ? 0x60 : 0x20);
		return;
	}
	if (mode == 5 && level && !assert)
		return;
	if (shorthand == 1) {
		model_accept(m, vector, false);
		return;
	}
	e->sends = true;
	e->msg.vector = (uint8_t)vector;
	e->msg.mode = (uint8_t)mode;
	e->msg.shorthand = (uint8_t)shorthand;
	e->msg.logical = (m->icr & 0x800) != 0;
	e->msg.dest = m->dest;
	if (m->mode == XAPIC)
		e->msg.dest = m->dest >> 24 == 255 ? 0xffffffff :
		    m->dest >> 24;
}

static void
model_end(struct model *m, struct effect *e)
{
	int v = greatest(m->isr);

	if (v < 0)
		return;
	m->isr[v] = false;
	if (m->tmr[v]) {
		e->ends = true;
		e->ended = (unsigned)v;
	}
}

static void
model_lvt(struct model *m, unsigned n, unsigned val, uint64_t now)
{
	unsigned was = model_timer_mode(m);

	if (n == 0) {
		if ((val & 0x60000) == 0x60000)
			val &= ~0x20000u;
		if (m->running && was == 1)
			m->beat = model_next(m, now);
	}
	if (!model_enabled(m))
		val |= 0x10000;
	m->lvt[n] = val;
	if ((was == 2) != (model_timer_mode(m) == 2)) {
		m->running = false;
		m->initial = 0;
		m->deadline = 0;
	}
}

static void
model_timer(struct model *m, unsigned reg, unsigned val, uint64_t now)
{
	unsigned count;

	model_expire(m, now);
	if (reg == 0x32) {
		model_lvt(m, 0, val, now);
	} else if (reg == 0x3e) {
		count = model_count(m, now);
		m->divide = val;
		m->beat = now + count * model_divisor(m);
	} else if (model_timer_mode(m) != 2) {
		m->initial = val;
		m->running = val != 0;
		m->beat = now + val * model_divisor(m);
	}
}

/* Bits that a register keeps. */
static uint64_t
model_kept(const struct model *m, unsigned reg)
{
	switch (reg) {
	case 0x08: return 0xff;
	case 0x0d: return 0xff000000;
	case 0x0e: return 0xf0000000;
	case 0x0f: return 0x3ff;
	case 0x30: return m->mode == X2APIC ? 0xffffffff000ccfff : 0xccfff;
	case 0x31: return 0xff000000;
	case 0x32: return 0x700ff;
	case 0x33: case 0x34: return 0x107ff;
	case 0x35: case 0x36: return 0x1a7ff;
	case 0x37: return 0x100ff;
	case 0x38: return 0xffffffff;
	case 0x3e: return 0xb;
	case 0x3f: return 0xff;
	default: return 0;
	}
}

/* Bits that a register keeps or that only read. */
uint64_t
model_bits(const struct model *m, unsigned reg)
{
	uint64_t status = reg >= 0x32 && reg <= 0x37 ? 0x1000 : 0;

	if (reg == 0x35 || reg == 0x36)
		status |= 0x4000;
	return model_kept(m, reg) | status;
}

static bool
among(unsigned reg, const char *list)
{
	const char *p = list;
	unsigned lo, hi;
	int used;

	for (; sscanf(p, "%x-%x%n", &lo, &hi, &used) == 2; p += used) {
		if (reg >= lo && reg <= hi)
			return true;
	}
	return false;
}

/* SDM, tables of the registers of xAPIC and x2APIC, as ranges. */
bool
model_may_read(const struct model *m, unsigned reg)
{
	if (m->mode == X2APIC)
		return among(reg, "02-03 08-08 0a-0a 0d-0d 0f-28 30-30 32-39 "
		    "3e-3e");
	return among(reg, "02-03 08-28 30-39 3e-3e");
}

static bool
model_may_write(const struct model *m, unsigned reg)
{
	if (m->mode == X2APIC)
		return among(reg, "08-08 0b-0b 0f-0f 28-28 30-30 32-38 3e-3f");
	return among(reg, "08-08 0b-0b 0d-0f 28-28 30-38 3e-3e");
}

static void
model_store(struct model *m, unsigned reg, uint64_t val, uint64_t now,
    struct effect *e)
{
	unsigned v = (unsigned)(val & model_kept(m, reg)), i;

	switch (reg) {
	case 0x08: m->tpr = v; e->tpr = true; break;
	case 0x0b: model_end(m, e); break;
	case 0x0d: m->ldr = v; break;
	case 0x0e: m->dfr = v | 0xfffffff; break;
	case 0x0f:
		m->svr = v;
		for (i = 0; i < 6 && !model_enabled(m); i++)
			m->lvt[i] |= 0x10000;
		break;
	case 0x28: m->esr = m->errors; m->errors = 0; break;
	case 0x30:
		m->icr = v;
		if (m->mode == X2APIC)
			m->dest = (unsigned)(val >> 32);
		model_send(m, e);
		break;
	case 0x31: m->dest = v; break;
	case 0x32: case 0x38: case 0x3e:
		model_timer(m, reg, v, now);
		e->timer = true;
		break;
	case 0x3f:
		if (v < 16)
			model_error(m, 0x60);
		else
			model_accept(m, v, false);
		break;
	default: model_lvt(m, reg - 0x32, v, now); break;
	}
}

int
model_write(struct model *m, unsigned reg, uint64_t val, uint64_t now,
    struct effect *e)
{
	memset(e, 0, sizeof(*e));
	if (m->mode == OFF)
		return GP;
	if (m->mode == X2APIC) {
		if (!model_may_write(m, reg) || (val & ~model_bits(m, reg)) != 0 ||
		    (reg == 0x32 && (val & 0x60000) == 0x60000))
			return GP;
	} else if (!model_may_write(m, reg)) {
		if (!model_may_read(m, reg))
			model_error(m, 0x80);
		return 0;
	}
	model_store(m, reg, val, now, e);
	return 0;
}

static unsigned
word_of(const bool *set, unsigned n)
{
	unsigned i, word = 0;

	for (i = 0; i < 32; i++)
		word += set[32 * n + i] ? 1u << i : 0;
	return word;
}

uint64_t
model_load(const struct model *m, unsigned reg, uint64_t now)
{
	bool x2 = m->mode == X2APIC;

	if (reg >= 0x10 && reg < 0x28)
		return word_of(reg < 0x18 ? m->isr : reg < 0x20 ? m->tmr :
		    m->irr, reg % 8);
	if (reg >= 0x32 && reg < 0x38)
		return m->lvt[reg - 0x32];
	switch (reg) {
	case 0x02: return x2 ? m->id : m->id * 0x1000000;
	case 0x03: return 0x50014;
	case 0x08: return m->tpr;
	case 0x09: return model_apr(m);
	case 0x0a: return model_ppr(m);
	case 0x0d: return !x2 ? m->ldr :
		m->id / 16 * 0x10000 + (1u << m->id % 16);
	case 0x0e: return m->dfr;
	case 0x0f: return m->svr;
	case 0x28: return m->esr;
	case 0x30: return x2 ? (uint64_t)m->dest << 32 | m->icr : m->icr;
	case 0x31: return m->dest;
	case 0x38: return m->initial;
	case 0x39: return model_count(m, now);
	case 0x3e: return m->divide;
	default: return 0;
	}
}

int
model_base(struct model *m, uint64_t val)
{
	unsigned to = val >> 10 & 3;	/* 0 off, 2 xAPIC, 3 x2APIC */

	if ((val & ~0xd00ULL) != 0xfee00000 || to == 1 ||
	    (m->mode == OFF && to == 3) || (m->mode == X2APIC && to == 2))
		return GP;
	if (to == 3 && m->mode == XAPIC)
		m->dest = 0;
	m->mode = to == 3 ? X2APIC : to == 2 ? XAPIC : OFF;
	if (m->mode == OFF)
		model_clear(m);
	return 0;
}

bool
model_is_for(const struct model *m, const struct lapic_msg *msg,
    unsigned sender)
{
	unsigned own = m->ldr >> 24, i, bits;

	if (m->mode == OFF)
		return false;
	if (msg->shorthand != 0)
		return msg->shorthand == 2 || sender != m->id;
	if (msg->dest == 0xffffffff)
		return true;
	if (!msg->logical)
		return msg->dest == m->id;
	bits = 8;
	if (m->mode == X2APIC) {
		own = m->id / 16 * 0x10000 + (1u << m->id % 16);
		if (msg->dest / 0x10000 != own / 0x10000)
			return false;
		bits = 16;
	} else if (msg->dest > 255) {
		return false;
	} else if (m->dfr >> 28 != 15) {
		if (msg->dest / 16 != own / 16)
			return false;
		bits = 4;
	}
	for (i = 0; i < bits; i++) {
		if ((msg->dest >> i & 1) == 1 && (own >> i & 1) == 1)
			return true;
	}
	return false;
}
