/* SPDX-License-Identifier: ISC */
/*
 * The DHCP server of a NIC: RFC 2131 for one client that has one address, and
 * BOOTP (RFC 951, RFC 1542).
 *
 * There is no table of leases and nothing to expire: the address is the NIC's,
 * whether the guest has asked for it, released it or declined it.  Hence an
 * answer needs nothing but the question and the lease as it is now.
 */
#ifndef VMMD_DHCP_H
#define VMMD_DHCP_H

#include <stdint.h>

#include "net/frame.h"
#include "net/lease.h"

#define DHCP_SERVER_PORT	67

/*
 * Answers a frame of the guest.  The length of the frame put into `out`; 0 if
 * it was for a DHCP server and there is nothing to answer, so it goes no
 * further either; -ENOMSG if it was not.
 *
 * Not answered are: a message whose chaddr or Ethernet source is not the NIC's,
 * one that a relay has passed on, one that is malformed or has a wrong
 * checksum, a request to another server, DHCPDECLINE, DHCPRELEASE.
 */
int dhcp_answer(const struct lease *l, const struct frame *f,
    uint8_t out[FRAME_MAX]);

#endif /* VMMD_DHCP_H */
