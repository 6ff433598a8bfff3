/* SPDX-License-Identifier: ISC */
/*
 * What the guest at a NIC is told of its network, by DHCP (dhcp.h), by router
 * advertisements (ra.h) and by stateless DHCPv6 (dhcp6.h).
 *
 * The switch is the server of all three: its addresses are those from which
 * answers come.  IPv4 addresses and masks are in host order, IPv6 addresses as
 * they are on the wire.  A lease is made and changed by who owns the port, on
 * the loop's thread; those who answer only read it, each time anew, so that a
 * change holds from the next message on.
 */
#ifndef VMMD_LEASE_H
#define VMMD_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#define LEASE_DNS	8	/* servers of each family */
#define LEASE_FOREVER	UINT32_MAX

/* The longest names: RFC 1035, 2.3.4, as text. */
#define LEASE_LABEL	63
#define LEASE_DOMAIN	253

struct lease {
	uint8_t		mac[6];		/* the guest's NIC */
	uint8_t		server_mac[6];	/* the switch's */
	uint16_t	mtu;		/* 0: is not told */

	uint32_t	ip;		/* the guest's; 0: no DHCP */
	uint8_t		prefix;		/* bits of its subnet's mask, 1..32 */
	uint32_t	server;		/* the switch's address; not 0 */
	uint32_t	router;		/* 0: none */
	uint32_t	dns[LEASE_DNS];
	unsigned	ndns;
	uint32_t	seconds;	/* of a lease, or LEASE_FOREVER */

	uint8_t		prefix6[16];	/* bits past prefix6_len are 0 */
	uint8_t		prefix6_len;	/* 1..128; 0: no IPv6 is told */
	bool		router6;	/* the switch is a default router */
	uint8_t		server6[16];	/* the switch's link-local address */
	uint8_t		dns6[LEASE_DNS][16];
	unsigned	ndns6;

	/* Of a host and a domain, labels and dots only; "": is not told. */
	char		hostname[LEASE_LABEL + 1];
	char		domain[LEASE_DOMAIN + 1];
};

#endif /* VMMD_LEASE_H */
