/* SPDX-License-Identifier: ISC */
/*
 * The local APIC: see lapic.h.
 *
 * The driver calls this with preemption off, and EOI, ICR and the deadline
 * are what guests write most: those paths have no loop and no division.
 *
 * While the APIC is off its state is that of power-on, so that nothing but
 * the entrances (register accesses) has to ask whether it is.
 */
#include "lapic.h"

_Static_assert(sizeof(struct lapic) == 200, "saved as it is: no padding");

#define VERSION		(0x14u | (LAPIC_LVTS - 1) << 16)
#define SVR_RESET	0xffu
#define VECTOR_MIN	16

#define LVT_VECTOR	0xffu
#define LVT_MODE(v)	((v) >> 8 & 7)
#define LVT_READ_ONLY	0x5000u		/* delivery status, remote IRR */
#define LVT_TIMER_MODE	(LAPIC_LVT_PERIODIC | LAPIC_LVT_DEADLINE)

#define ICR_MODE(v)	((v) >> 8 & 7)
#define ICR_LOGICAL	(1u << 11)
#define ICR_ASSERT	(1u << 14)
#define ICR_LEVEL	(1u << 15)
#define ICR_SHORTHAND(v) ((v) >> 18 & 3)
#define ICR_WRITABLE	0x000ccfffu

#define SEND_ANY	(1 << LAPIC_FIXED | 1 << LAPIC_LOWEST | \
			 1 << LAPIC_NMI | 1 << LAPIC_INIT | 1 << LAPIC_STARTUP)

#define TDCR_WRITABLE	0x0bu
#define ESR_BITS	(LAPIC_ESR_SEND_VECTOR | LAPIC_ESR_RECV_VECTOR | \
			 LAPIC_ESR_REGISTER)

/* What there is at each register, in each mode. */
#define RM	0x01		/* xAPIC: read, written */
#define WM	0x02
#define RX	0x04		/* x2APIC */
#define WX	0x08
#define RO	(RM | RX)
#define RW	(RM | WM | RX | WX)

/* In x2APIC mode a bit that is not `writable` is reserved. */
struct reg {
	uint32_t	access;
	uint32_t	writable;
};

static const struct reg regs[LAPIC_REGS] = {
	[LAPIC_ID] = { RO, 0 },
	[LAPIC_VERSION] = { RO, 0 },
	[LAPIC_TPR] = { RW, 0xff },
	[LAPIC_APR] = { RM, 0 },
	[LAPIC_PPR] = { RO, 0 },
	[LAPIC_EOI] = { WM | WX, 0 },
	[LAPIC_RRD] = { RM, 0 },
	[LAPIC_LDR] = { RO | WM, 0xff000000 },
	[LAPIC_DFR] = { RM | WM, 0xf0000000 },
	[LAPIC_SVR] = { RW, 0x3ff },
	[LAPIC_ISR ... LAPIC_IRR + 7] = { RO, 0 },
	[LAPIC_ESR] = { RW, 0 },
	[LAPIC_ICR] = { RW, ICR_WRITABLE },
	[LAPIC_ICR_HIGH] = { RM | WM, 0xff000000 },
	[LAPIC_LVT + LAPIC_LVT_TIMER] = { RW, 0x710ff },
	[LAPIC_LVT + LAPIC_LVT_THERMAL] = { RW, 0x117ff },
	[LAPIC_LVT + LAPIC_LVT_PERF] = { RW, 0x117ff },
	[LAPIC_LVT + LAPIC_LVT_LINT0] = { RW, 0x1f7ff },
	[LAPIC_LVT + LAPIC_LVT_LINT1] = { RW, 0x1f7ff },
	[LAPIC_LVT + LAPIC_LVT_ERROR] = { RW, 0x110ff },
	[LAPIC_TMICT] = { RW, 0xffffffff },
	[LAPIC_TMCCT] = { RO, 0 },
	[LAPIC_TDCR] = { RW, TDCR_WRITABLE },
	[LAPIC_SELF] = { WX, 0xff },
};

/*
 * Four words are read by other threads.  Each is written whole; which comes
 * first does not matter, as no message can rely on a change under way.
 */
#define PUBLISH(word, val)	__atomic_store_n(&(word), val, __ATOMIC_RELAXED)
#define LOOK_AT(word)		__atomic_load_n(&(word), __ATOMIC_RELAXED)

/* Of a word that is not 0; compilers know that this is one instruction. */
#define TOP_BIT(word)	((unsigned int)__builtin_clz(word) ^ 31)

static void
vectors_set(struct lapic_vectors *v, unsigned int n)
{
	v->word[n >> 5] |= 1u << (n & 31);
	v->used |= 1u << (n >> 5);
}

static void
vectors_clear(struct lapic_vectors *v, unsigned int n)
{
	v->word[n >> 5] &= ~(1u << (n & 31));
	if (v->word[n >> 5] == 0)
		v->used &= ~(1u << (n >> 5));
}

/* The greatest in the set; 0, of a class that hinders nothing, if empty. */
static unsigned int
vectors_top(const struct lapic_vectors *v)
{
	unsigned int i;

	if (v->used == 0)
		return 0;
	i = TOP_BIT(v->used);
	return i << 5 | TOP_BIT(v->word[i]);
}

/* A priority, raised to the class of a vector that is above its own. */
static uint32_t
raised(uint32_t priority, uint32_t vector)
{
	return (priority & 0xf0) >= (vector & 0xf0) ? priority : vector & 0xf0;
}

static uint32_t
lapic_ppr(const struct lapic *l)
{
	return raised(l->tpr, vectors_top(&l->isr));
}

static bool
lapic_is_x2(const struct lapic *l)
{
	return (l->base & LAPIC_BASE_EXTD) != 0;
}

void
lapic_init(struct lapic *l)
{
	unsigned int i;

	PUBLISH(l->ldr, 0);
	PUBLISH(l->dfr, 0xffffffff);
	l->icr = l->deadline = l->due = 0;
	l->counting = l->tpr = l->esr = l->errors = l->tmict = l->tdcr = 0;
	l->svr = SVR_RESET;
	for (i = 0; i < LAPIC_LVTS; i++)
		l->lvt[i] = LAPIC_LVT_MASKED;
	for (i = 0; i < 8; i++)
		l->irr.word[i] = l->isr.word[i] = l->tmr[i] = 0;
	l->irr.used = l->isr.used = 0;
}

void
lapic_reset(struct lapic *l, uint32_t id, bool bsp)
{
	PUBLISH(l->id, id);
	PUBLISH(l->base, LAPIC_GPA | LAPIC_BASE_ENABLE |
	    (bsp ? LAPIC_BASE_BSP : 0));
	lapic_init(l);
}

void
lapic_virtual_wire(struct lapic *l)
{
	l->svr |= LAPIC_SVR_ENABLE;
	l->lvt[LAPIC_LVT_LINT0] = LAPIC_EXTINT << 8;
	l->lvt[LAPIC_LVT_LINT1] = LAPIC_NMI << 8;
}

/* SDM, "x2APIC State Transitions". */
int
lapic_base_write(struct lapic *l, uint64_t val)
{
	const uint64_t mode = LAPIC_BASE_ENABLE | LAPIC_BASE_EXTD;
	uint64_t from = l->base & mode, to = val & mode;

	/* It may be written, but the guest's machine has chosen. */
	val = (val & ~(uint64_t)LAPIC_BASE_BSP) | (l->base & LAPIC_BASE_BSP);
	if ((val & ~(mode | LAPIC_BASE_BSP)) != LAPIC_GPA)
		return -1;
	if (to == LAPIC_BASE_EXTD || (from == mode && to == LAPIC_BASE_ENABLE) ||
	    (from == 0 && to == mode))
		return -1;
	PUBLISH(l->base, val);
	if (to == 0)
		lapic_init(l);
	else if (to == mode && from != mode)
		l->icr &= ICR_WRITABLE;		/* its destination is wider */
	return 0;
}

/* SDM, "Error Handling": one interrupt until ESR is written. */
static void
lapic_error(struct lapic *l, uint32_t what)
{
	uint32_t lvt = l->lvt[LAPIC_LVT_ERROR];
	bool first = l->errors == 0;

	l->errors |= what;
	if (first && (lvt & LAPIC_LVT_MASKED) == 0)
		lapic_accept(l, lvt & LVT_VECTOR, false);
}

void
lapic_accept(struct lapic *l, uint8_t vector, bool level)
{
	uint32_t bit = 1u << (vector & 31);

	if ((l->svr & LAPIC_SVR_ENABLE) == 0)
		return;
	if (vector < VECTOR_MIN) {
		lapic_error(l, LAPIC_ESR_RECV_VECTOR);
		return;
	}
	vectors_set(&l->irr, vector);
	if (level)
		l->tmr[vector >> 5] |= bit;
	else
		l->tmr[vector >> 5] &= ~bit;
}

int
lapic_pending_slow(const struct lapic *l)
{
	unsigned int v = vectors_top(&l->irr);

	return (v & 0xf0) > (lapic_ppr(l) & 0xf0) ? (int)v : -1;
}

void
lapic_ack(struct lapic *l, uint8_t vector)
{
	vectors_clear(&l->irr, vector);
	vectors_set(&l->isr, vector);
}

int
lapic_eoi(struct lapic *l)
{
	unsigned int i, bit;

	if (l->isr.used == 0)
		return -1;
	i = TOP_BIT(l->isr.used);
	bit = TOP_BIT(l->isr.word[i]);
	l->isr.word[i] ^= 1u << bit;
	if (l->isr.word[i] == 0)
		l->isr.used ^= 1u << i;
	return (l->tmr[i] >> bit & 1) != 0 ? (int)(i << 5 | bit) : -1;
}

bool
lapic_eoi_is_silent(const struct lapic *l)
{
	unsigned int v = vectors_top(&l->isr);

	return v != 0 && l->irr.used == 0 &&
	    (l->tmr[v >> 5] >> (v & 31) & 1) == 0;
}

/* Does LINT0 or LINT1 bring what it brings without an APIC? */
static bool
lapic_lint(const struct lapic *l, unsigned int n, uint32_t mode)
{
	if (lapic_mode(l) == LAPIC_OFF)
		return (l->base & LAPIC_BASE_BSP) != 0;
	return (l->lvt[n] & LAPIC_LVT_MASKED) == 0 &&
	    LVT_MODE(l->lvt[n]) == mode;
}

bool
lapic_takes_extint(const struct lapic *l)
{
	return lapic_lint(l, LAPIC_LVT_LINT0, LAPIC_EXTINT);
}

bool
lapic_takes_nmi(const struct lapic *l)
{
	return lapic_lint(l, LAPIC_LVT_LINT1, LAPIC_NMI);
}

/* Eight bits of destination, all ones of which reach everyone. */
static uint32_t
dest_of_8(uint8_t dest)
{
	return dest == 0xff ? LAPIC_BROADCAST : dest;
}

int
lapic_msg_from_msi(uint64_t addr, uint32_t data, struct lapic_msg *m)
{
	if (addr >> 20 != LAPIC_GPA >> 20)
		return -1;
	m->dest = dest_of_8((uint8_t)(addr >> 12));
	m->logical = (addr & 4) != 0;
	m->shorthand = LAPIC_TO_DEST;
	m->vector = (uint8_t)data;
	m->mode = data >> 8 & 7;
	m->level = (data & 0x8000) != 0;
	/* The redirection hint asks for the same as this mode. */
	if (m->mode == LAPIC_FIXED && (addr & 8) != 0)
		m->mode = LAPIC_LOWEST;
	if (m->mode == LAPIC_NMI || m->mode == LAPIC_INIT)
		m->level = false;
	else if (m->mode > LAPIC_LOWEST)
		return -1;
	return 0;
}

/* SDM, "Logical Destination Mode" and "Logical Destination Mode in x2APIC". */
static bool
lapic_logical_match(uint32_t dest, uint32_t ldr, uint32_t dfr)
{
	ldr >>= 24;
	if (dest > 0xff)
		return false;
	if (dfr >> 28 == 0xf)
		return (dest & ldr) != 0;
	return dest >> 4 == ldr >> 4 && (dest & ldr & 0xf) != 0;
}

bool
lapic_msg_is_for(const struct lapic *l, const struct lapic_msg *m,
    uint32_t sender)
{
	uint64_t base = LOOK_AT(l->base);
	uint32_t id = LOOK_AT(l->id);

	if ((base & LAPIC_BASE_ENABLE) == 0)
		return false;
	if (m->shorthand != LAPIC_TO_DEST)
		return m->shorthand == LAPIC_TO_ALL || id != sender;
	if (m->dest == LAPIC_BROADCAST)
		return true;
	if (!m->logical)
		return m->dest == id;
	if ((base & LAPIC_BASE_EXTD) != 0)
		return m->dest >> 16 == id >> 4 &&
		    (m->dest >> (id & 15) & 1) != 0;
	return lapic_logical_match(m->dest, LOOK_AT(l->ldr), LOOK_AT(l->dfr));
}

/* An IPI to itself does not leave the APIC. */
static void
lapic_send_self(struct lapic *l, uint8_t vector)
{
	if (vector < VECTOR_MIN)
		lapic_error(l, LAPIC_ESR_SEND_VECTOR | LAPIC_ESR_RECV_VECTOR);
	else
		lapic_accept(l, vector, false);
}

/*
 * SDM, "Valid Combinations for the Pentium 4 and Intel Xeon Processors' Local
 * xAPIC Interrupt Command Register": what is not in that table does nothing.
 */
static void
lapic_send(struct lapic *l, struct lapic_action *a)
{
	static const uint8_t sendable[4] = {	/* modes, by shorthand */
		SEND_ANY, 1 << LAPIC_FIXED, 1 << LAPIC_FIXED, SEND_ANY,
	};
	uint32_t icr = (uint32_t)l->icr;
	struct lapic_msg *m = &a->msg;

	m->mode = ICR_MODE(icr);
	m->vector = (uint8_t)icr;
	m->shorthand = ICR_SHORTHAND(icr);
	m->logical = (icr & ICR_LOGICAL) != 0;
	m->level = false;
	m->dest = lapic_is_x2(l) ? (uint32_t)(l->icr >> 32) :
	    dest_of_8((uint8_t)(l->icr >> 56));
	if ((sendable[m->shorthand] >> m->mode & 1) == 0)
		return;
	if (m->shorthand == LAPIC_TO_SELF)
		lapic_send_self(l, m->vector);
	else if (m->mode <= LAPIC_LOWEST && m->vector < VECTOR_MIN)
		lapic_error(l, LAPIC_ESR_SEND_VECTOR);
	/* INIT level de-assert is for the APICs of old. */
	else if (m->mode != LAPIC_INIT ||
	    (icr & (ICR_LEVEL | ICR_ASSERT)) != ICR_LEVEL)
		a->what = LAPIC_DO_IPI;
}

/* The time that a count takes is itself shifted by this. */
static unsigned int
timer_shift(const struct lapic *l)
{
	return (((l->tdcr & 8) >> 1 | (l->tdcr & 3)) + 1) & 7;
}

/* Of the count in TMICT, in ns: below 2^39. */
static int64_t
timer_period(const struct lapic *l)
{
	return (int64_t)l->tmict << timer_shift(l);
}

static bool
timer_is(const struct lapic *l, uint32_t mode)
{
	return (l->lvt[LAPIC_LVT_TIMER] & mode) != 0;
}

/* To the next beat or the end, in ns; `due` may be whole periods from it. */
static int64_t
timer_left(const struct lapic *l, uint64_t now)
{
	int64_t left = (int64_t)(l->due - now);

	if (!l->counting)
		return 0;
	if (!timer_is(l, LAPIC_LVT_PERIODIC))
		return left > 0 ? left : 0;
	left %= timer_period(l);
	return left > 0 ? left : left + timer_period(l);
}

/* What TMCCT reads: 0 only once it has expired. */
static uint32_t
timer_count(const struct lapic *l, uint64_t now)
{
	unsigned int shift = timer_shift(l);

	return (uint32_t)((timer_left(l, now) + (1 << shift) - 1) >> shift);
}

static void
timer_interrupt(struct lapic *l)
{
	uint32_t lvt = l->lvt[LAPIC_LVT_TIMER];

	if ((lvt & LAPIC_LVT_MASKED) == 0)
		lapic_accept(l, lvt & LVT_VECTOR, false);
}

static bool
timer_ns_expired(struct lapic *l, uint64_t now)
{
	int64_t period = timer_period(l), lacks;

	if (!l->counting || (int64_t)(now - l->due) < 0)
		return false;
	if (timer_is(l, LAPIC_LVT_PERIODIC)) {
		l->due += (uint64_t)period;
		/* Beats too near, or gone by, are left out. */
		lacks = (int64_t)(now + LAPIC_GAP_MIN_NS - l->due);
		if (lacks > 0)
			l->due += (uint64_t)((lacks + period - 1) / period *
			    period);
	} else {
		l->counting = 0;
		l->due = 0;
	}
	timer_interrupt(l);
	return true;
}

bool
lapic_timer_expired(struct lapic *l, uint64_t now, uint64_t tsc)
{
	if (l->deadline == 0)
		return timer_ns_expired(l, now);
	if (tsc < l->deadline)
		return false;
	l->deadline = 0;
	timer_interrupt(l);
	return true;
}

static void
timer_start(struct lapic *l, uint32_t count, uint64_t now)
{
	if (timer_is(l, LAPIC_LVT_DEADLINE))
		return;
	l->tmict = count;
	l->counting = count != 0;
	l->due = count != 0 ? now + (uint64_t)timer_period(l) : 0;
}

/* What has been counted stays counted. */
static void
timer_divide(struct lapic *l, uint32_t tdcr, uint64_t now)
{
	uint64_t count = timer_count(l, now);

	l->tdcr = tdcr;
	if (l->counting)
		l->due = now + (count << timer_shift(l));
}

/* What is disabled by software is masked, and stays so. */
static void
lapic_set_lvt(struct lapic *l, unsigned int n, uint32_t val)
{
	val &= ~LVT_READ_ONLY;
	if ((l->svr & LAPIC_SVR_ENABLE) == 0)
		val |= LAPIC_LVT_MASKED;
	l->lvt[n] = val;
}

static void
timer_set_lvt(struct lapic *l, uint32_t val, uint64_t now)
{
	uint32_t changed = l->lvt[LAPIC_LVT_TIMER] ^ val;

	/* The beats left out are a periodic timer's alone. */
	if (l->counting)
		l->due = now + (uint64_t)timer_left(l, now);
	/* Both bits are reserved. */
	if ((val & LAPIC_LVT_DEADLINE) != 0)
		val &= ~LAPIC_LVT_PERIODIC;
	if ((changed & LAPIC_LVT_DEADLINE) != 0) {
		l->counting = l->tmict = 0;
		l->due = l->deadline = 0;
	}
	lapic_set_lvt(l, LAPIC_LVT_TIMER, val);
}

/* The timer's registers; what it had to do before now is done first. */
static void
lapic_write_timer(struct lapic *l, uint32_t reg, uint32_t val, uint64_t now,
    struct lapic_action *a)
{
	timer_ns_expired(l, now);
	if (reg == LAPIC_TMICT)
		timer_start(l, val, now);
	else if (reg == LAPIC_TDCR)
		timer_divide(l, val, now);
	else
		timer_set_lvt(l, val, now);
	a->what |= LAPIC_DO_TIMER;
}

static void
lapic_write_eoi(struct lapic *l, struct lapic_action *a)
{
	int vector = lapic_eoi(l);

	if (vector < 0)
		return;
	a->what = LAPIC_DO_EOI;
	a->vector = (uint8_t)vector;
}

/* A value without reserved bits to a register that takes it. */
static void
lapic_write_valid(struct lapic *l, uint32_t reg, uint32_t val, uint64_t now,
    struct lapic_action *a)
{
	unsigned int i;

	switch (reg) {
	case LAPIC_TPR:
		l->tpr = val;
		a->what |= LAPIC_DO_TPR;
		break;
	case LAPIC_EOI:
		lapic_write_eoi(l, a);
		break;
	case LAPIC_LDR:
		PUBLISH(l->ldr, val);
		break;
	case LAPIC_DFR:
		PUBLISH(l->dfr, val | 0x0fffffff);
		break;
	case LAPIC_SVR:
		l->svr = val;
		for (i = 0; i < LAPIC_LVTS; i++)
			lapic_set_lvt(l, i, l->lvt[i]);
		break;
	case LAPIC_ESR:
		l->esr = l->errors;
		l->errors = 0;
		break;
	case LAPIC_ICR:			/* x2APIC's is done already */
		l->icr = (l->icr & 0xff00000000000000) | val;
		lapic_send(l, a);
		break;
	case LAPIC_ICR_HIGH:
		l->icr = (uint64_t)val << 32 | (uint32_t)l->icr;
		break;
	case LAPIC_SELF:
		lapic_send_self(l, (uint8_t)val);
		break;
	case LAPIC_TMICT:
	case LAPIC_TDCR:
	case LAPIC_LVT + LAPIC_LVT_TIMER:
		lapic_write_timer(l, reg, val, now, a);
		break;
	default:			/* the rest of the LVT */
		lapic_set_lvt(l, reg - LAPIC_LVT, val);
		break;
	}
}

/* What is written most comes first. */
static int
lapic_write_x2(struct lapic *l, uint32_t reg, uint64_t val, uint64_t now,
    struct lapic_action *a)
{
	if (reg == LAPIC_EOI && val == 0) {
		lapic_write_eoi(l, a);
		return 0;
	}
	if (reg == LAPIC_ICR && ((uint32_t)val & ~ICR_WRITABLE) == 0) {
		l->icr = val;
		lapic_send(l, a);
		return 0;
	}
	if (reg >= LAPIC_REGS || (regs[reg].access & WX) == 0 ||
	    (val & ~(uint64_t)regs[reg].writable) != 0 ||
	    (reg == LAPIC_LVT + LAPIC_LVT_TIMER &&
	    (val & LVT_TIMER_MODE) == LVT_TIMER_MODE))
		return -1;
	lapic_write_valid(l, reg, (uint32_t)val, now, a);
	return 0;
}

int
lapic_write(struct lapic *l, uint32_t reg, uint64_t val, uint64_t now,
    struct lapic_action *a)
{
	uint32_t access;

	a->what = 0;
	if (lapic_is_x2(l))
		return lapic_write_x2(l, reg, val, now, a);
	if (lapic_mode(l) == LAPIC_OFF)
		return -1;
	access = reg < LAPIC_REGS ? regs[reg].access : 0;
	if ((access & WM) != 0)
		lapic_write_valid(l, reg, (uint32_t)val & regs[reg].writable,
		    now, a);
	else if ((access & RM) == 0)
		lapic_error(l, LAPIC_ESR_REGISTER);
	return 0;
}

/* A register that is there. */
static uint64_t
lapic_read_valid(const struct lapic *l, uint32_t reg, uint64_t now)
{
	bool x2 = lapic_is_x2(l);

	switch (reg) {
	case LAPIC_ID:
		return x2 ? l->id : l->id << 24;
	case LAPIC_VERSION:
		return VERSION;
	case LAPIC_TPR:
		return l->tpr;
	case LAPIC_APR:
		return raised(lapic_ppr(l), vectors_top(&l->irr));
	case LAPIC_PPR:
		return lapic_ppr(l);
	case LAPIC_LDR:
		return x2 ? l->id >> 4 << 16 | 1u << (l->id & 15) : l->ldr;
	case LAPIC_DFR:
		return l->dfr;
	case LAPIC_SVR:
		return l->svr;
	case LAPIC_ISR ... LAPIC_ISR + 7:
		return l->isr.word[reg - LAPIC_ISR];
	case LAPIC_TMR ... LAPIC_TMR + 7:
		return l->tmr[reg - LAPIC_TMR];
	case LAPIC_IRR ... LAPIC_IRR + 7:
		return l->irr.word[reg - LAPIC_IRR];
	case LAPIC_ESR:
		return l->esr;
	case LAPIC_ICR:
		return x2 ? l->icr : (uint32_t)l->icr;
	case LAPIC_ICR_HIGH:
		return l->icr >> 32;
	case LAPIC_LVT ... LAPIC_LVT + LAPIC_LVTS - 1:
		return l->lvt[reg - LAPIC_LVT];
	case LAPIC_TMICT:
		return l->tmict;
	case LAPIC_TMCCT:
		return timer_count(l, now);
	case LAPIC_TDCR:
		return l->tdcr;
	default:			/* EOI and remote read */
		return 0;
	}
}

int
lapic_read(struct lapic *l, uint32_t reg, uint64_t now, uint64_t *val)
{
	uint32_t access = reg < LAPIC_REGS ? regs[reg].access : 0;

	*val = 0;
	if (lapic_mode(l) == LAPIC_OFF || (lapic_is_x2(l) && !(access & RX)))
		return -1;
	if (lapic_is_x2(l) || (access & (RM | WM)) != 0)
		*val = lapic_read_valid(l, reg, now);
	else
		lapic_error(l, LAPIC_ESR_REGISTER);
	return 0;
}

void
lapic_move_time(struct lapic *l, uint64_t ns, uint64_t tsc)
{
	if (l->counting)
		l->due += ns;
	if (l->deadline == 0)
		return;
	l->deadline += tsc;
	/* The one value that says something else. */
	if (l->deadline == 0)
		l->deadline = 1;
}

/* One vector of a class at most is in service, as it holds up the others. */
static bool
valid_vectors(const struct lapic_vectors *v, bool in_service)
{
	uint32_t used = 0, half;
	unsigned int i;

	for (i = 0; i < 16; i++) {
		half = v->word[i / 2] >> i % 2 * 16 & 0xffff;
		if (half != 0)
			used |= 1u << i / 2;
		if (in_service && (half & (half - 1)) != 0)
			return false;
	}
	return v->used == used && (v->word[0] & 0xffff) == 0;
}

static bool
valid_lvt(const struct lapic *l)
{
	uint32_t timer = l->lvt[LAPIC_LVT_TIMER];
	bool off = (l->svr & LAPIC_SVR_ENABLE) == 0;
	unsigned int i;

	for (i = 0; i < LAPIC_LVTS; i++) {
		if ((l->lvt[i] & (~regs[LAPIC_LVT + i].writable |
		    LVT_READ_ONLY)) != 0 ||
		    (off && (l->lvt[i] & LAPIC_LVT_MASKED) == 0))
			return false;
	}
	return (timer & LVT_TIMER_MODE) != LVT_TIMER_MODE;
}

static bool
valid_timer(const struct lapic *l, uint64_t now)
{
	int64_t left = (int64_t)(l->due - now);

	if ((l->tdcr & ~TDCR_WRITABLE) != 0 || l->counting > 1)
		return false;
	if (timer_is(l, LAPIC_LVT_DEADLINE))
		return !l->counting && l->due == 0 && l->tmict == 0;
	if (l->deadline != 0)
		return false;
	if (!l->counting)
		return l->due == 0;
	/* It may be overdue, but not by half of all time. */
	return l->tmict != 0 && left > -(1LL << 62) &&
	    left <= timer_period(l) + LAPIC_GAP_MIN_NS;
}

/* Off it is as at power-on, but for CR8, which has no APIC to ask. */
static bool
valid_base(const struct lapic *l)
{
	const uint64_t mode = LAPIC_BASE_ENABLE | LAPIC_BASE_EXTD;
	struct lapic off;

	if ((l->base & ~(mode | LAPIC_BASE_BSP)) != LAPIC_GPA ||
	    (l->base & mode) == LAPIC_BASE_EXTD || l->id > LAPIC_ID_MAX)
		return false;
	if (lapic_mode(l) != LAPIC_OFF)
		return true;
	lapic_reset(&off, l->id, false);
	off.base = l->base;
	off.tpr = l->tpr;
	return __builtin_memcmp(&off, l, sizeof(off)) == 0;
}

bool
lapic_valid(const struct lapic *l, uint64_t now)
{
	uint64_t icr = lapic_is_x2(l) ? 0xffffffffu : 0xff000000u;

	return valid_base(l) && valid_lvt(l) && valid_timer(l, now) &&
	    valid_vectors(&l->irr, false) && valid_vectors(&l->isr, true) &&
	    (l->icr & ~(icr << 32 | ICR_WRITABLE)) == 0 &&
	    (l->tpr & ~regs[LAPIC_TPR].writable) == 0 &&
	    (l->svr & ~regs[LAPIC_SVR].writable) == 0 &&
	    (l->ldr & ~regs[LAPIC_LDR].writable) == 0 &&
	    (l->dfr | regs[LAPIC_DFR].writable) == 0xffffffff &&
	    (l->esr & ~ESR_BITS) == 0 && (l->errors & ~ESR_BITS) == 0 &&
	    (l->tmr[0] & 0xffff) == 0;
}
