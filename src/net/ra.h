/* SPDX-License-Identifier: ISC */
/*
 * The router advertisements of a NIC (RFC 4861, 6.2), with its prefix, MTU,
 * name servers and domain (RFC 8106).
 *
 * They are answers to solicitations, and come unasked at intervals: time is an
 * argument, in ns of any clock that does not go back.
 *
 * A guest makes its own address from a prefix of 64 bits (RFC 4862); one of
 * another length is only told to be on the link.  That more is to be had by
 * DHCPv6 is told if dhcp6.h has an answer.
 */
#ifndef VMMD_RA_H
#define VMMD_RA_H

#include <stdint.h>

#include "net/frame.h"
#include "net/lease.h"

#define RA_SOLICITATION	133	/* ICMPv6 type */
#define RA_NEVER	UINT64_MAX

struct ra {
	uint64_t	due;		/* of the next one unasked, or RA_NEVER */
	uint64_t	quiet;		/* none to all nodes before that */
	uint32_t	seed;		/* of the intervals */
	unsigned	first;		/* so many more come soon */
};

/* At the start of a NIC, and whenever its lease has changed. */
void ra_init(struct ra *ra, const struct lease *l, uint64_t now);

/*
 * Answers a frame of the guest: length of the answer in `out`; 0 if it was a
 * router solicitation, but gets no answer, or none now; -ENOMSG if it was
 * none.
 */
int ra_answer(struct ra *ra, const struct lease *l, const struct frame *f,
    uint64_t now, uint8_t out[FRAME_MAX]);

/* The advertisement that is due at ra->due, if it is: its length or 0. */
int ra_periodic(struct ra *ra, const struct lease *l, uint64_t now,
    uint8_t out[FRAME_MAX]);

/*
 * The last one, when IPv6 is taken from a NIC: what `l` told is withdrawn (RFC
 * 4861, 6.2.5).  Its length.
 */
int ra_withdraw(const struct lease *l, uint8_t out[FRAME_MAX]);

/* The same of its name servers and domain alone, when they are others. */
int ra_withdraw_names(const struct lease *l, uint8_t out[FRAME_MAX]);

#endif /* VMMD_RA_H */
