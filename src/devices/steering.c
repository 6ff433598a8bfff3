/* SPDX-License-Identifier: ISC */
/*
 * Guests' clocks after the host's: see steering.h.
 */
#include "steering.h"

#define NS_PER_S	1000000000u

/* No more than this share of its pace is given to correct a clock. */
#define CORRECTION	512

#define MUL_ONE		0x100000000u	/* a tick is a nanosecond */

/* a * b / c, whose product may have 128 bits; the quotient must fit. */
static uint64_t
mul_div(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t high;

	/* The kernel has no function for a division of 128 bits. */
	__asm__("mulq %3\n\tdivq %4"
	    : "=&a" (a), "=&d" (high)
	    : "0" (a), "r" (b), "r" (c)
	    : "cc");
	return a;
}

static void
set_pace(struct steering *s, uint64_t ns)
{
	uint64_t ticks = s->hz;

	s->shift = 0;
	/* Bring the quotient into [1/2, 1), where mul has 32 bits. */
	while (ns >= ticks) {
		ticks <<= 1;
		s->shift++;
	}
	while (ns * 2 < ticks) {
		ns <<= 1;
		s->shift--;
	}
	s->mul = (uint32_t)mul_div(ns, MUL_ONE, ticks);
}

void
steering_begin(struct steering *s, uint64_t hz, uint64_t tsc, uint64_t ns)
{
	s->hz = hz;
	s->tsc = s->host_tsc = tsc;
	s->ns = s->host_ns = ns;
	set_pace(s, NS_PER_S);
}

uint64_t
steering_at(const struct steering *s, uint64_t tsc)
{
	uint64_t ticks = tsc - s->tsc;

	if (s->shift < 0)
		ticks >>= -s->shift;
	else
		ticks <<= s->shift;
	return s->ns + mul_div(ticks, s->mul, MUL_ONE);
}

/*
 * Half of the error goes in the next second, so that a look that comes late
 * does not make it worse.
 */
bool
steering_look(struct steering *s, uint64_t tsc, uint64_t ns,
    struct steering_turn *turn)
{
	uint64_t ticks = tsc - s->host_tsc, passed = ns - s->host_ns, pace;
	int64_t most, wanted;

	/* Two looks too close to one another tell no pace. */
	if (ticks < s->hz / 16)
		return false;
	s->host_tsc = tsc;
	s->host_ns = ns;
	/* No NTP is off by an eighth: the host, or its TSC, has slept. */
	pace = passed >> 59 != 0 ? 0 : mul_div(passed, s->hz, ticks);
	if (pace < NS_PER_S / 8 * 7 || pace > NS_PER_S / 8 * 9) {
		turn->pace = NS_PER_S;
		turn->to = ns;
		return true;
	}
	most = (int64_t)(pace / CORRECTION);
	wanted = (int64_t)(ns - steering_at(s, tsc)) / 2;
	if (wanted > most)
		wanted = most;
	if (wanted < -most)
		wanted = -most;
	turn->pace = pace + (uint64_t)wanted;
	turn->to = 0;
	return true;
}

void
steering_turn(struct steering *s, uint64_t tsc,
    const struct steering_turn *turn)
{
	/* A TSC that begins anew leaves only what it was at the last turn. */
	uint64_t now = tsc < s->tsc ? s->ns : steering_at(s, tsc);

	s->ns = turn->to > now ? turn->to : now;
	s->tsc = tsc;
	set_pace(s, turn->pace);
}
