/* SPDX-License-Identifier: ISC */
/*
 * Policies and packets by chance, the same for the same seed, for who is in a
 * table of packets (ptab.h); who must get them is what fw_trace() says.
 */
#ifndef PRANDOM_H
#define PRANDOM_H

#include "net/fw.h"
#include "ptab.h"

#define PRANDOM_SWITCHES	4
#define PRANDOM_NICS		10
#define PRANDOM_ALLOWS		4
#define PRANDOM_PUBLISHED	2

struct prandom {
	unsigned long	 seed;		/* it began with */
	unsigned short	 state[3];
	struct fw_policy p;
	struct fw_switch sw[PRANDOM_SWITCHES];
	struct fw_nic	 nic[PRANDOM_NICS];
	struct fw_allow	 allow[PRANDOM_NICS][3][PRANDOM_ALLOWS];
	struct fw_publish publish[PRANDOM_NICS][PRANDOM_PUBLISHED];
};

/* In `p`, which points into itself: ppolicy.h's, but for what is allowed. */
void prandom_policy(struct prandom *r, unsigned long seed);

/*
 * A packet from port `port`, which no other of the same world is from.  False:
 * the table has not all the names.
 */
bool prandom_packet(struct prandom *r, const struct ptab *t,
    const struct fw_rules *rules, uint16_t port, struct ptab_packet *p);

#endif /* PRANDOM_H */
