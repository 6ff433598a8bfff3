/* SPDX-License-Identifier: ISC */
/*
 * All that a port answers its guest itself: DHCP, router advertisements,
 * stateless DHCPv6.  No socket hears any of it.
 *
 * What an honest client sends is seen, and goes no further.  It is no barrier:
 * the same goes on to the bridge behind a VLAN tag, be it one of VLAN 0, in
 * fragments, behind extension headers, longer than ANSWER_LONGEST, or to
 * another's MAC.  What a guest may send is the firewall's business.
 *
 * Time is an argument, in ns of one clock that does not go back.
 */
#ifndef VMMD_ANSWER_H
#define VMMD_ANSWER_H

#include <sys/uio.h>

#include "net/frame.h"
#include "net/lease.h"
#include "net/ra.h"

/* So much of a frame tells whether it may be one to answer. */
#define ANSWER_HEAD	(FRAME_VNET + FRAME_ETHER + 60 + 8)

/* A longer one is not looked at. */
#define ANSWER_LONGEST	2048

struct answer {
	struct lease	lease;
	struct ra	ra;
	/* Answers given, and frames that were for us but got none. */
	uint64_t	dhcp, dhcp6, advertised, refused;
};

void answer_init(struct answer *a, const struct lease *l, uint64_t now);

/*
 * Another lease from now on.  The length of a frame in `out` that the guest is
 * to get before any other, or 0.
 */
int answer_change(struct answer *a, const struct lease *l, uint64_t now,
    uint8_t out[FRAME_MAX]);

/*
 * Whether a frame may be one to answer, by its first ANSWER_HEAD bytes or all
 * that it has.  If not, nothing need be copied: it goes on its way.
 */
bool answer_is_asked(const uint8_t *head, size_t len);

/* The same of a frame where the guest has it. */
bool answer_iov_is_asked(const struct iovec *iov, unsigned niov);

/*
 * Answers a frame of the guest: length of the answer in `out`, 0 if there is
 * none and the frame is done with, -ENOMSG if it is to go on its way.
 */
int answer_frame(struct answer *a, const uint8_t *frame, size_t len,
    uint64_t now, uint8_t out[FRAME_MAX]);

/*
 * The same of a frame where the guest has it, who may change it meanwhile: only
 * one that seems to ask is copied, and the copy judged.  Most do not, which
 * answer_iov_is_asked() tells without asking what time it is.
 */
int answer_iov(struct answer *a, const struct iovec *iov, unsigned niov,
    uint64_t now, uint8_t out[FRAME_MAX]);

/* What comes unasked: when (RA_NEVER: never), and its length, or 0. */
uint64_t answer_due(const struct answer *a);
int answer_periodic(struct answer *a, uint64_t now, uint8_t out[FRAME_MAX]);

#endif /* VMMD_ANSWER_H */
