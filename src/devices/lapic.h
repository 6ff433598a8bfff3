/* SPDX-License-Identifier: ISC */
/*
 * The local APIC of one virtual CPU, as xAPIC and as x2APIC.
 *
 * A state machine and nothing else: it allocates, locks and calls nothing and
 * has no clock.  The kernel module and the daemon compile the same source; it
 * includes only this header.
 *
 * Intel SDM volume 3, "Advanced Programmable Interrupt Controller (APIC)";
 * AMD APM volume 2, chapter 16.  What is offered: version 0x14 with six LVT
 * entries, no CMCI, no suppression of EOI broadcasts.  Deviations: the ID and
 * the base address are fixed; SMIs, and ExtINT as a message, go nowhere; a
 * change between one-shot and periodic does not stop the timer, as KVM has
 * it; IPIs are edge-triggered, as on all since the Pentium 4.
 *
 * Only the thread that runs the vCPU may call anything, with one exception:
 * lapic_msg_is_for() may be called by any thread at any time.  Who sends to
 * another vCPU hands the message to that one's thread, which calls
 * lapic_accept().
 *
 * Times: `now` is nanoseconds of a clock of the caller's choice that never
 * goes back and stays below 2^62; the timer's bus clock is 1 GHz on it.
 * TSC-deadline mode goes by the guest's TSC.
 */
#ifndef VMMD_LAPIC_H
#define VMMD_LAPIC_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stdint.h>
#endif

#define LAPIC_GPA	0xfee00000u	/* of the xAPIC's page */
#define LAPIC_ID_MAX	0xfeu
#define LAPIC_BUS_HZ	1000000000u

/* MSR 1B, IA32_APIC_BASE */
#define LAPIC_BASE_BSP		(1u << 8)
#define LAPIC_BASE_EXTD		(1u << 10)
#define LAPIC_BASE_ENABLE	(1u << 11)

/* Registers: offset in the page >> 4, and MSR - 0x800. */
#define LAPIC_ID	0x02
#define LAPIC_VERSION	0x03
#define LAPIC_TPR	0x08
#define LAPIC_APR	0x09
#define LAPIC_PPR	0x0a
#define LAPIC_EOI	0x0b
#define LAPIC_RRD	0x0c
#define LAPIC_LDR	0x0d
#define LAPIC_DFR	0x0e
#define LAPIC_SVR	0x0f
#define LAPIC_ISR	0x10		/* 8 registers each */
#define LAPIC_TMR	0x18
#define LAPIC_IRR	0x20
#define LAPIC_ESR	0x28
#define LAPIC_ICR	0x30
#define LAPIC_ICR_HIGH	0x31		/* xAPIC */
#define LAPIC_LVT	0x32		/* LAPIC_LVTS registers */
#define LAPIC_TMICT	0x38
#define LAPIC_TMCCT	0x39
#define LAPIC_TDCR	0x3e
#define LAPIC_SELF	0x3f		/* x2APIC */
#define LAPIC_REGS	0x40

/* The LVT's entries, in the order of their registers. */
#define LAPIC_LVT_TIMER		0
#define LAPIC_LVT_THERMAL	1
#define LAPIC_LVT_PERF		2
#define LAPIC_LVT_LINT0		3
#define LAPIC_LVT_LINT1		4
#define LAPIC_LVT_ERROR		5
#define LAPIC_LVTS		6

#define LAPIC_LVT_MASKED	(1u << 16)
#define LAPIC_LVT_PERIODIC	(1u << 17)
#define LAPIC_LVT_DEADLINE	(1u << 18)

#define LAPIC_SVR_ENABLE	(1u << 8)

/* ESR */
#define LAPIC_ESR_SEND_VECTOR	(1u << 5)
#define LAPIC_ESR_RECV_VECTOR	(1u << 6)
#define LAPIC_ESR_REGISTER	(1u << 7)

/* Delivery modes. */
#define LAPIC_FIXED	0
#define LAPIC_LOWEST	1
#define LAPIC_SMI	2
#define LAPIC_NMI	4
#define LAPIC_INIT	5
#define LAPIC_STARTUP	6
#define LAPIC_EXTINT	7

/* 256 bits, and which of their words are not 0: no search is ever needed. */
struct lapic_vectors {
	uint32_t	word[8];
	uint32_t	used;		/* bit n: word[n] != 0 */
};

/*
 * A local APIC as it is saved.  Times in it are on the caller's clocks; see
 * lapic_move_time().
 */
struct lapic {
	uint64_t		base;		/* IA32_APIC_BASE */
	uint64_t		icr;
	uint64_t		deadline;	/* guest TSC; 0: not armed */
	uint64_t		due;		/* ns; while `counting` */
	uint32_t		counting;	/* the timer, by TMICT: 0, 1 */
	uint32_t		id;		/* immutable */
	uint32_t		tpr;
	uint32_t		svr;
	uint32_t		ldr;		/* xAPIC's */
	uint32_t		dfr;		/* xAPIC's */
	uint32_t		esr;		/* as it reads */
	uint32_t		errors;		/* since ESR was written */
	uint32_t		lvt[LAPIC_LVTS];
	uint32_t		tmict;
	uint32_t		tdcr;
	struct lapic_vectors	irr;
	struct lapic_vectors	isr;
	uint32_t		tmr[8];
};

/* The shorthands of a message's destination. */
#define LAPIC_TO_DEST	0
#define LAPIC_TO_SELF	1		/* never in a message */
#define LAPIC_TO_ALL	2
#define LAPIC_TO_OTHERS	3

#define LAPIC_BROADCAST	0xffffffffu

/* An interrupt message between APICs, or from a device. */
struct lapic_msg {
	uint32_t	dest;		/* LAPIC_BROADCAST or as `logical` */
	uint8_t		mode;		/* fixed, lowest, NMI, INIT, start-up */
	uint8_t		vector;		/* start-up: page of the code */
	uint8_t		shorthand;	/* LAPIC_TO_... */
	bool		logical;
	bool		level;		/* triggered; fixed and lowest only */
};

/* What is left to the caller of lapic_write(). */
#define LAPIC_DO_IPI	0x01		/* send `msg` */
#define LAPIC_DO_EOI	0x02		/* of level vector `vector`: tell IOAPIC */
#define LAPIC_DO_TIMER	0x04		/* look at lapic_timer_when() again */
#define LAPIC_DO_TPR	0x08		/* TPR was written */

struct lapic_action {
	uint32_t		what;		/* LAPIC_DO_... or 0 */
	uint8_t			vector;
	struct lapic_msg	msg;
};

enum lapic_mode {
	LAPIC_OFF,			/* as if there were none */
	LAPIC_XAPIC,			/* registers in memory */
	LAPIC_X2APIC,			/* registers are MSRs */
};

static inline enum lapic_mode
lapic_mode(const struct lapic *l)
{
	if ((l->base & LAPIC_BASE_EXTD) != 0)
		return LAPIC_X2APIC;
	return (l->base & LAPIC_BASE_ENABLE) != 0 ? LAPIC_XAPIC : LAPIC_OFF;
}

/* Power-on; id <= LAPIC_ID_MAX. */
void lapic_reset(struct lapic *l, uint32_t id, bool bsp);

/* INIT: as power-on, but ID and APIC_BASE, and so the mode, stay. */
void lapic_init(struct lapic *l);

/*
 * As firmware leaves the boot processor's: enabled by software, the PIC on
 * LINT0, NMI on LINT1 (MultiProcessor Specification, "Virtual Wire Mode").
 */
void lapic_virtual_wire(struct lapic *l);

/*
 * Writes IA32_APIC_BASE: 0, or -1 for #GP.  Switching off resets all, so that
 * the timer has to be looked at again.
 */
int lapic_base_write(struct lapic *l, uint64_t val);

/*
 * A read or write of register `reg`: 0, or -1 for #GP.  The caller has seen
 * to it that the access is one of lapic_mode(): through memory for
 * LAPIC_XAPIC, an MSR's for LAPIC_X2APIC; when off all fail.  In xAPIC mode
 * nothing else fails: what is not there reads 0 and sets ESR.
 */
int lapic_read(struct lapic *l, uint32_t reg, uint64_t now, uint64_t *val);
int lapic_write(struct lapic *l, uint32_t reg, uint64_t val, uint64_t now,
    struct lapic_action *a);

/*
 * The message that a write of `data` to `addr` sends: 0, or -1 if that sends
 * none.  Bit 14 of the data (assert) is not looked at.  SDM, "Message
 * Signalled Interrupts"; IOAPICs make theirs in the same form.
 */
int lapic_msg_from_msi(uint64_t addr, uint32_t data, struct lapic_msg *m);

/*
 * Is the message for this APIC?  `sender` is the ID of who sent it, or
 * LAPIC_BROADCAST for a device.  One of mode LAPIC_LOWEST is for one of those
 * it matches: the caller chooses.  Any thread; an APIC that is being written
 * to at this moment is asked as before or as after.
 */
bool lapic_msg_is_for(const struct lapic *l, const struct lapic_msg *m,
    uint32_t sender);

/* Takes in a fixed interrupt, if software has enabled the APIC. */
void lapic_accept(struct lapic *l, uint8_t vector, bool level);

/* The most urgent of IRR if TPR and ISR let it pass, else -1. */
int lapic_pending_slow(const struct lapic *l);

static inline int
lapic_pending(const struct lapic *l)
{
	return l->irr.used == 0 ? -1 : lapic_pending_slow(l);
}

/* The processor takes the vector that lapic_pending() told: IRR to ISR. */
void lapic_ack(struct lapic *l, uint8_t vector);

/* EOI: the vector if it was a level-triggered one, of which to tell; or -1. */
int lapic_eoi(struct lapic *l);

/*
 * Is something in service whose EOI nobody is waiting for: edge-triggered, so
 * that the IOAPIC is not told, and nothing in IRR that it might let pass?
 */
bool lapic_eoi_is_silent(const struct lapic *l);

/* CR8, which is the upper half of TPR. */
static inline uint8_t
lapic_cr8(const struct lapic *l)
{
	return (uint8_t)(l->tpr >> 4);
}

static inline void
lapic_set_cr8(struct lapic *l, uint8_t cr8)
{
	l->tpr = (uint32_t)(cr8 & 15) << 4;
}

/*
 * Does the PIC's output reach this processor: through LINT0, or, with the
 * APIC off, as it does the boot processor?
 */
bool lapic_takes_extint(const struct lapic *l);

/* Does the NMI line, LINT1, reach this processor? */
bool lapic_takes_nmi(const struct lapic *l);

/* IA32_TSC_DEADLINE, which is inert in the other modes of the timer. */
static inline uint64_t
lapic_deadline(const struct lapic *l)
{
	return l->deadline;
}

static inline void
lapic_set_deadline(struct lapic *l, uint64_t tsc)
{
	if ((l->lvt[LAPIC_LVT_TIMER] & LAPIC_LVT_DEADLINE) != 0)
		l->deadline = tsc;
}

enum lapic_clock {
	LAPIC_NEVER,
	LAPIC_AT_NS,			/* on the clock of `now` */
	LAPIC_AT_TSC,			/* on the guest's TSC */
};

/* When to call lapic_timer_expired(): by which clock, and `*when` on it. */
static inline enum lapic_clock
lapic_timer_when(const struct lapic *l, uint64_t *when)
{
	*when = l->counting ? l->due : l->deadline;
	if (l->counting)
		return LAPIC_AT_NS;
	return l->deadline != 0 ? LAPIC_AT_TSC : LAPIC_NEVER;
}

/*
 * Has the timer, at these times, expired?  Then its interrupt is taken in,
 * once however often a period has passed, and the next period begins on the
 * beat.  Too early a call does no harm.  A period shorter than
 * LAPIC_GAP_MIN_NS leaves beats out, so that a guest cannot drown its host.
 */
#define LAPIC_GAP_MIN_NS	50000u
bool lapic_timer_expired(struct lapic *l, uint64_t now, uint64_t tsc);

/*
 * Moves what `due` and `deadline` say, for a state saved under other clocks:
 * by the differences of the clocks' readings, modulo 2^64.
 */
void lapic_move_time(struct lapic *l, uint64_t ns, uint64_t tsc);

/* Could a local APIC be in this state at `now`?  It may be a stranger's. */
bool lapic_valid(const struct lapic *l, uint64_t now);

#endif /* VMMD_LAPIC_H */
