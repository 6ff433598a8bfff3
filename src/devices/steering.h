/* SPDX-License-Identifier: ISC */
/*
 * A guest's paravirtual clock, steered after the host's.
 *
 * The guest's TSC is the host's less a constant, but the host's own clock is
 * steered by NTP and the TSC is not.  So whoever owns the guest's clock compares
 * the two about once a second, and gives the guest's a pace at which it comes
 * to agree with the host's.
 *
 * A state machine and nothing else: it locks and calls nothing.  The kernel
 * module and the daemon compile the same source; it includes only this header.
 * Parameters are those of the page that KVM defines for its guests
 * (Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW).
 */
#ifndef VMMD_STEERING_H
#define VMMD_STEERING_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stdint.h>
#endif

/* `ns` at `tsc`, and from then on ((ticks << shift) * mul) >> 32 more. */
struct steering {
	uint64_t	tsc;		/* of the guest */
	uint64_t	ns;
	uint32_t	mul;
	int8_t		shift;		/* negative: to the right */
	uint64_t	hz;		/* of the TSC, about */
	uint64_t	host_tsc;	/* when the host's clock was seen */
	uint64_t	host_ns;
};

/* What is to become of the clock. */
struct steering_turn {
	uint64_t	pace;		/* ns in so many ticks as hz */
	uint64_t	to;		/* the time then, unless it is later */
};

/* The clock is the host's from now on, at the TSC's own pace. */
void steering_begin(struct steering *s, uint64_t hz, uint64_t tsc,
    uint64_t ns);

/* What it says at a TSC, which is s->tsc or later. */
uint64_t steering_at(const struct steering *s, uint64_t tsc);

/*
 * Notes that the host's clock was `ns` at `tsc`; true if the clock is to turn.
 * Until it does steering_at() is as before.
 */
bool steering_look(struct steering *s, uint64_t tsc, uint64_t ns,
    struct steering_turn *turn);

/*
 * Turns at `tsc`, and never back: what guests have read until then they may not
 * read again.  Only if the TSC itself is before s->tsc is the clock's time at
 * the last turn all that it keeps.
 */
void steering_turn(struct steering *s, uint64_t tsc,
    const struct steering_turn *turn);

#endif /* VMMD_STEERING_H */
