/* SPDX-License-Identifier: ISC */
/*
 * Addresses and subnets, and those that a NIC has without being given any:
 * functions of what it is, so that they are the same after a restart.
 *
 * IPv4 addresses are in host order, IPv6 addresses as on the wire.
 */
#ifndef VMMD_ADDR_H
#define VMMD_ADDR_H

#include <stdbool.h>
#include <stdint.h>

#include "net/os.h"

/* An address in its subnet, 192.0.2.1/24. */
struct addr_net {
	uint32_t	ip;
	uint8_t		prefix;		/* bits, 0..32 */
};

struct addr_net6 {
	uint8_t		ip[16];
	uint8_t		prefix;		/* bits, 0..128 */
};

/* From text, address/bits: 0 or -EINVAL. */
int addr_parse(struct addr_net *n, const char *text);
int addr6_parse(struct addr_net6 *n, const char *text);

#define ADDR_TEXT	64

/* As text, in `p`: with its prefix, unless that is 0. */
const char *addr_text(const struct os_addr *a, char p[ADDR_TEXT]);
const char *addr_ip_text(uint32_t ip, char p[ADDR_TEXT]);

/* With its prefix, unless that is a host's, 32 or 128. */
const char *addr_net_text(const struct os_addr *a, char p[ADDR_TEXT]);

/* The same address?  The same in the same subnet? */
bool addr_same(const struct os_addr *a, const struct os_addr *b);
bool addr_equal(const struct os_addr *a, const struct os_addr *b);

uint32_t addr_mask(unsigned prefix);

/* Whether `ip` is in the subnet and a host there can have it. */
bool addr_is_host(const struct addr_net *n, uint32_t ip);

/* Clears what is behind the prefix: the subnet itself. */
void addr6_clear(struct addr_net6 *n);

/*
 * The address of a guest's NIC in a switch's subnet.  The first NIC (0) of
 * guest `vm` (1 and up) has the host number vm + 1; further ones are as far
 * away from it as can be: in a subnet of 256 by 128, 64, 192, 32 and so on,
 * round its end.  Two NICs can meet only where guests are so many, and then
 * one must be given an address; who has the list of NICs looks for that.
 *
 * 0; -ERANGE if the subnet has not so many; -EADDRNOTAVAIL if the address is
 * the switch's own, or none for a host.
 */
int addr_lease(const struct addr_net *net, unsigned vm, unsigned nic,
    uint32_t *ip);

/*
 * The address of an interface in a prefix of 64 bits, by its MAC (RFC 4291,
 * appendix A); that with the prefix fe80:: is link-local.
 */
void addr6_by_mac(uint8_t ip[16], const uint8_t prefix[16],
    const uint8_t mac[6]);

#endif /* VMMD_ADDR_H */
