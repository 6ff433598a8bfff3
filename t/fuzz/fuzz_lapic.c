/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: the local APIC.
 *
 * The input is a list of steps; the low three bits of a step's first byte say
 * what it does, the rest of it is often a register:
 *
 *	0	write: register, u32
 *	1	write of 64 bits: register, u64
 *	2	read: register
 *	3	an interrupt comes: vector; bit 3: level-triggered
 *	4	time goes on: u16, shifted by the upper bits; bit 7 of the
 *		shift: the timer is not asked
 *	5	the processor takes the vector pending; bit 3: and ends it
 *	6	bits 3 to 5: APIC_BASE is written, INIT, CR8, deadline, message
 *	7	a twin begins, on other clocks; bit 3: as a stranger may send it
 *
 * The state is always one that could be, what is pending is above the
 * processor's priority, the timer is never due in the past once asked, and
 * the twin does the same.
 */
#include "fuzz.h"

#include <stdbool.h>

#include "devices/lapic.h"

struct side {
	struct lapic	l;
	uint64_t	now, tsc;
	uint64_t	sum;		/* of all answers */
};

struct rig {
	struct fuzz_input	in;
	struct side		side[2];
	unsigned		n;	/* of sides that there are */
};

static void
tell(struct side *s, uint64_t what)
{
	s->sum = (s->sum ^ what) * 0x100000001b3ULL;
}

static void
side_write(struct side *s, uint32_t reg, uint64_t val)
{
	struct lapic_action a;
	int ret = lapic_write(&s->l, reg, val, s->now, &a);

	FUZZ_CHECK(ret == 0 || a.what == 0);
	FUZZ_CHECK(lapic_mode(&s->l) != LAPIC_XAPIC || ret == 0);
	FUZZ_CHECK(lapic_mode(&s->l) != LAPIC_OFF || ret == -1);
	tell(s, (uint64_t)ret);
	tell(s, a.what);
	if ((a.what & LAPIC_DO_EOI) != 0) {
		FUZZ_CHECK(a.vector >= 16);
		tell(s, a.vector);
	}
	if ((a.what & LAPIC_DO_IPI) == 0)
		return;
	FUZZ_CHECK(a.msg.mode != LAPIC_SMI && a.msg.mode <= LAPIC_STARTUP &&
	    a.msg.shorthand != LAPIC_TO_SELF && !a.msg.level);
	FUZZ_CHECK(a.msg.mode > LAPIC_LOWEST || a.msg.vector >= 16);
	tell(s, a.msg.dest);
	tell(s, (uint64_t)a.msg.mode << 16 | a.msg.vector << 8 |
	    a.msg.shorthand << 1 | a.msg.logical);
	tell(s, lapic_msg_is_for(&s->l, &a.msg, s->l.id));
}

static void
side_read(struct side *s, uint32_t reg)
{
	uint64_t val;
	int ret = lapic_read(&s->l, reg, s->now, &val);

	tell(s, (uint64_t)ret);
	tell(s, val);
}

static void
side_time(struct side *s, uint64_t ns, bool ask)
{
	enum lapic_clock clock;
	uint64_t when;

	s->now += ns;
	s->tsc += 2 * ns;
	if (!ask)
		return;
	tell(s, lapic_timer_expired(&s->l, s->now, s->tsc));
	clock = lapic_timer_when(&s->l, &when);
	FUZZ_CHECK(clock != LAPIC_AT_NS || (int64_t)(when - s->now) > 0);
	FUZZ_CHECK(clock != LAPIC_AT_TSC || when > s->tsc);
	FUZZ_CHECK(!lapic_timer_expired(&s->l, s->now, s->tsc));
	tell(s, clock);
}

static void
side_take(struct side *s, bool end)
{
	int v = lapic_pending(&s->l);

	tell(s, (uint64_t)v);
	if (v < 0)
		return;
	lapic_ack(&s->l, (uint8_t)v);
	FUZZ_CHECK(lapic_pending(&s->l) < 0);
	if (end)
		tell(s, (uint64_t)lapic_eoi(&s->l));
}

static void
side_message(struct side *s, uint64_t addr, uint32_t data)
{
	struct lapic_msg m;

	if (lapic_msg_from_msi(addr, data, &m) != 0)
		return;
	FUZZ_CHECK(m.mode == LAPIC_FIXED || m.mode == LAPIC_LOWEST ||
	    m.mode == LAPIC_NMI || m.mode == LAPIC_INIT);
	FUZZ_CHECK(m.mode <= LAPIC_LOWEST || !m.level);
	if (lapic_msg_is_for(&s->l, &m, LAPIC_BROADCAST) &&
	    m.mode <= LAPIC_LOWEST)
		lapic_accept(&s->l, m.vector, m.level);
}

/* What others do to it; `how` and `val` are the input's. */
static void
side_event(struct side *s, unsigned how, uint32_t val)
{
	switch (how) {
	case 0:
	case 1:
		tell(s, (uint64_t)lapic_base_write(&s->l,
		    LAPIC_GPA ^ (how == 0 ? (uint64_t)(val & 0xd00) : val)));
		break;
	case 2:
		if ((val & 7) == 0)
			lapic_init(&s->l);
		else if (lapic_mode(&s->l) != LAPIC_OFF)
			lapic_virtual_wire(&s->l);
		break;
	case 3:
		lapic_set_cr8(&s->l, (uint8_t)val);
		break;
	case 4:
	case 5:
		lapic_set_deadline(&s->l, val != 0 ? s->tsc + val : 0);
		break;
	default:
		side_message(s, LAPIC_GPA | (val >> 20 << 2), val & 0xfffff);
		break;
	}
}

static void
side_check(struct side *s)
{
	int v = lapic_pending(&s->l);
	uint64_t ppr;

	FUZZ_CHECK(lapic_valid(&s->l, s->now));
	FUZZ_CHECK(lapic_cr8(&s->l) == s->l.tpr >> 4);
	tell(s, lapic_takes_extint(&s->l));
	tell(s, lapic_takes_nmi(&s->l));
	tell(s, (uint64_t)v);
	if (lapic_mode(&s->l) == LAPIC_OFF) {
		FUZZ_CHECK(v < 0);
		return;
	}
	FUZZ_CHECK(lapic_read(&s->l, LAPIC_PPR, s->now, &ppr) == 0);
	FUZZ_CHECK(ppr >> 4 >= lapic_cr8(&s->l));
	FUZZ_CHECK(v < 0 || (v >= 16 && (uint64_t)v >> 4 > ppr >> 4));
}

/* The twin's clocks stand elsewhere; moved back it must be the same. */
static void
rig_twin(struct rig *r)
{
	struct side *a = &r->side[0], *b = &r->side[1];
	uint64_t ns = fuzz_u32(&r->in), tsc = fuzz_u32(&r->in);

	r->n = 1;
	/* A stranger's, which would wrap. */
	if (a->l.deadline >> 62 != 0)
		return;
	*b = *a;
	b->now += ns;
	b->tsc += tsc;
	lapic_move_time(&b->l, ns, tsc);
	FUZZ_CHECK(lapic_valid(&b->l, b->now));
	r->n = 2;
}

static void
rig_hostile(struct rig *r)
{
	unsigned n = fuzz_u8(&r->in) % 8;
	struct lapic l = r->side[0].l;

	while (n-- > 0) {
		uint8_t at = fuzz_u8(&r->in);

		((uint8_t *)&l)[at % sizeof(l)] ^= fuzz_u8(&r->in);
	}
	if (!lapic_valid(&l, r->side[0].now))
		return;
	r->side[0].l = l;
	r->n = 1;
}

static void
rig_compare(struct rig *r)
{
	struct side *a = &r->side[0], *b = &r->side[1];
	struct lapic l;

	side_check(a);
	if (r->n == 1)
		return;
	side_check(b);
	FUZZ_CHECK(a->sum == b->sum);
	l = b->l;
	lapic_move_time(&l, a->now - b->now, a->tsc - b->tsc);
	FUZZ_CHECK(memcmp(&l, &a->l, sizeof(l)) == 0);
}

static void
side_step(struct side *s, uint8_t op, uint8_t x, uint64_t val)
{
	switch (op & 7) {
	case 0:
	case 1:
		side_write(s, x % (LAPIC_REGS + 4), val);
		break;
	case 2:
		side_read(s, x % (LAPIC_REGS + 4));
		break;
	case 3:
		lapic_accept(&s->l, x, (op & 8) != 0);
		break;
	case 4:
		side_time(s, val << (op >> 3 & 15), (op & 0x80) == 0);
		break;
	case 5:
		side_take(s, (op & 8) != 0);
		break;
	case 6:
		side_event(s, op >> 3 & 7, (uint32_t)val);
		break;
	}
}

static void
rig_step(struct rig *r)
{
	uint8_t op = fuzz_u8(&r->in), x = 0;
	uint64_t val = 0;
	unsigned i;

	if ((op & 7) == 7) {
		if ((op & 8) == 0)
			rig_twin(r);
		else
			rig_hostile(r);
	} else {
		if ((op & 7) <= 3)
			x = fuzz_u8(&r->in);
		if ((op & 7) == 0 || (op & 7) == 6)
			val = fuzz_u32(&r->in);
		else if ((op & 7) == 1)
			fuzz_bytes(&r->in, &val, sizeof(val));
		else if ((op & 7) == 4)
			val = fuzz_u16(&r->in);
		for (i = 0; i < r->n; i++)
			side_step(&r->side[i], op, x, val);
	}
	rig_compare(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig r = { .in = { data, size }, .n = 1 };

	lapic_reset(&r.side[0].l, 5, true);
	r.side[0].now = 1000000007;
	r.side[0].tsc = 1;
	while (r.in.left != 0)
		rig_step(&r);
	return 0;
}
