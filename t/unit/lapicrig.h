/* SPDX-License-Identifier: ISC */
/*
 * What the tests of the local APIC share: accesses that must succeed, after
 * each of which its state is one that could be.
 */
#ifndef VMMD_LAPICRIG_H
#define VMMD_LAPICRIG_H

#include "devices/lapic.h"
#include "testhost.h"

#define LVT(n)		(LAPIC_LVT + LAPIC_LVT_ ## n)
#define LENGTH(a)	(sizeof(a) / sizeof((a)[0]))
#define BASE		((uint64_t)LAPIC_GPA)
#define X2		(BASE | LAPIC_BASE_ENABLE | LAPIC_BASE_EXTD)
#define XAPIC		(BASE | LAPIC_BASE_ENABLE)

/* Registers' writes that must succeed; what they ask for. */
static inline struct lapic_action
set_at(struct lapic *l, uint64_t now, uint32_t reg, uint64_t val)
{
	struct lapic_action a = { .what = 0xdead };

	if (lapic_write(l, reg, val, now, &a) != 0)
		ck_abort_msg("#GP: register %x", reg);
	if (!lapic_valid(l, now))
		ck_abort_msg("not valid after register %x", reg);
	return a;
}

static inline struct lapic_action
set(struct lapic *l, uint32_t reg, uint64_t val)
{
	return set_at(l, 0, reg, val);
}

static inline uint64_t
get_at(struct lapic *l, uint64_t now, uint32_t reg)
{
	uint64_t val = 0xdead;

	if (lapic_read(l, reg, now, &val) != 0)
		ck_abort_msg("#GP: register %x", reg);
	return val;
}

static inline uint64_t
get(struct lapic *l, uint32_t reg)
{
	return get_at(l, 0, reg);
}

/* An APIC in xAPIC mode, or x2APIC mode, that software has enabled. */
static inline void
make(struct lapic *l, uint32_t id, bool x2)
{
	memset(l, 0xa5, sizeof(*l));
	lapic_reset(l, id, false);
	ck_assert(lapic_valid(l, 0));
	if (x2)
		ck_assert_int_eq(lapic_base_write(l, X2), 0);
	set(l, LAPIC_SVR, 0x1ff);
}

#endif /* VMMD_LAPICRIG_H */
