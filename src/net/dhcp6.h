/* SPDX-License-Identifier: ISC */
/*
 * The stateless DHCPv6 server of a NIC (RFC 8415, 6.1 and 18.3.6): name
 * servers and the domain (RFC 3646).  Addresses come from advertisements
 * (ra.h), so messages that want one get no answer.
 */
#ifndef VMMD_DHCP6_H
#define VMMD_DHCP6_H

#include <stdint.h>

#include "net/frame.h"
#include "net/lease.h"

#define DHCP6_SERVER_PORT	547

/*
 * Answers a frame of the guest: length of the answer in `out`; 0 if it was for
 * DHCPv6 servers and there is nothing to answer, so it goes no further either;
 * -ENOMSG if it was not.
 */
int dhcp6_answer(const struct lease *l, const struct frame *f,
    uint8_t out[FRAME_MAX]);

#endif /* VMMD_DHCP6_H */
