/* SPDX-License-Identifier: ISC */
/*
 * Policies and packets by chance, the same for the same seed, to show writers
 * of the firewall's rules.
 */
#ifndef VMMD_T_FWRANDOM_H
#define VMMD_T_FWRANDOM_H

#include "net/fw_trace.h"

#define FWRANDOM_SWITCHES	3
#define FWRANDOM_NICS		6
#define FWRANDOM_ALLOWS		4
#define FWRANDOM_PUBLISHED	2

struct fwrandom {
	unsigned long	 seed;		/* it began with; for messages */
	uint64_t	 state;
	struct fw_policy p;
	struct fw_switch sw[FWRANDOM_SWITCHES];
	struct os_addr	 sw_addrs[FWRANDOM_SWITCHES][2];
	struct fw_nic	 nic[FWRANDOM_NICS];
	struct os_addr	 nic_addrs[FWRANDOM_NICS][2];
	struct fw_allow	 allow[FWRANDOM_NICS][3][FWRANDOM_ALLOWS];
	struct fw_publish publish[FWRANDOM_NICS][FWRANDOM_PUBLISHED];
};

/* The policy in `p`, which points into itself. */
void fwrandom_policy(struct fwrandom *r, unsigned long seed);

/* A packet, and the NIC that fw_trace() is to be asked for. */
uint32_t fwrandom_packet(struct fwrandom *r, const struct fw_policy *p,
    struct fw_packet *k);

const char *fwrandom_print(const struct fw_packet *k, uint32_t to, char *text,
    size_t size);

/*
 * Is this what pf cannot see: the target of a solicitation from nobody?  And
 * what it is stricter about: neighbour discovery of locked NICs?
 */
bool fwrandom_unseen(const struct fw_policy *p, const struct fw_packet *k,
    uint32_t to);
bool fwrandom_stricter(const struct fw_policy *p, const struct fw_packet *k,
    const struct fw_judgement *v);

/* If it passes it has a state, and an answer has a way back. */
bool fwrandom_answers(const struct fw_policy *p, const struct fw_packet *k);

#endif /* VMMD_T_FWRANDOM_H */
