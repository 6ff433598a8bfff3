/* SPDX-License-Identifier: ISC */
/*
 * A table of packets, t/net/packets.tab: who is where, and for each packet who
 * sends it and who must get it.  What a firewall is tested with, whichever it
 * is: the verdicts are stated once.
 *
 * A line is one of
 *
 *	segment NAME INTERFACE MAC V4/BITS V6/BITS	the host's, or -
 *	party NAME SEGMENT INTERFACE MAC V4 V6
 *	behind NAME PARTY V4 V6			reached by way of a party
 *	default PARTY				the host's way to all else
 *	addr NAME V4 V6 [MAC]			a name for an address
 *	ID | FAMILIES | PARTY | PACKET | EXPECTED [| NEEDS]
 *
 * FAMILIES is 4, 6, 46, which makes two packets, or - for no IP.  EXPECTED is
 * `none`, or all who get it, by commas, and how it is then if it was
 * translated: `far up0:* > far:80`.  NEEDS: `bridge-ct` if the host must track
 * connections of bridged packets for it.
 *
 * PACKET is one of
 *
 *	tcp|udp SRC[:PORT] > DST:PORT [FLAGS]	from a port of the line's own
 *	icmp SRC > DST [TYPE [CODE]]		echo request unless given
 *	ip PROTOCOL SRC > DST
 *	arp request|reply SRC > DST
 *	ns|na|rs|ra|redirect SRC > DST [TARGET]
 *	ether TYPE DST
 *	reply ID [FLAGS]			to what was got of that packet
 *	again ID [FLAGS]			the same once more
 *	error ID unreach|expired|big		about what was got
 *
 * and more words: from=NAME, to=NAME: its Ethernet addresses, if others than
 * the sender's and those that lead to DST; lladdr=NAME: in ARP and ND, the
 * hardware address that it tells; frag=all|first|rest.
 */
#ifndef PTAB_H
#define PTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PTAB_NAME	24
#define PTAB_NAMES	64
#define PTAB_WHO	12	/* receivers of one packet */

enum ptab_role {
	PTAB_SEGMENT,	/* a bridge of the host, or a wire at it */
	PTAB_PARTY,	/* somebody at an interface of it */
	PTAB_BEHIND,	/* somebody whose frames come by way of a party */
	PTAB_ADDR,
};

struct ptab_name {
	char		 name[PTAB_NAME];
	enum ptab_role	 role;
	char		 iface[16];
	const struct ptab_name *up;	/* its segment or party, or NULL */
	bool		 has_mac, has4, has6;
	uint8_t		 mac[6];
	uint8_t		 v4[4], v6[16];
	unsigned	 bits4, bits6;	/* of a segment's */
};

enum ptab_kind {
	PTAB_TCP,
	PTAB_UDP,
	PTAB_ICMP,
	PTAB_IP,
	PTAB_ARP,
	PTAB_ND,
	PTAB_ETHER,
	PTAB_REPLY,
	PTAB_AGAIN,
	PTAB_ERROR,
};

enum ptab_frag {
	PTAB_WHOLE,
	PTAB_FRAG_ALL,
	PTAB_FRAG_FIRST,
	PTAB_FRAG_REST,
};

/* Bits of TCP's. */
#define PTAB_FIN	1
#define PTAB_SYN	2
#define PTAB_RST	4
#define PTAB_ACK	16

struct ptab_end {
	const struct ptab_name	*who;
	uint16_t		 port;
	bool			 any_port;
};

struct ptab_packet {
	char			 id[PTAB_NAME];
	unsigned		 line;
	unsigned		 family;	/* 4, 6 or 0 */
	const struct ptab_name	*sender;	/* a party, or one behind it */
	enum ptab_kind		 kind;
	unsigned		 protocol;	/* IP's, or the Ethernet type */
	struct ptab_end		 src, dst;	/* `who` may be NULL */
	unsigned		 flags;		/* TCP's */
	unsigned		 type, code;	/* ICMP's and ND's; ARP's: 1, 2 */
	enum ptab_frag		 frag;
	const struct ptab_name	*target;	/* of ND; or NULL, as all here: */
	const struct ptab_name	*eth_src, *eth_dst, *lladdr;
	const struct ptab_packet *of;		/* of a reply, again or error */

	bool			 to_host;
	size_t			 nwho;		/* 0 and not to_host: none */
	const struct ptab_name	*who[PTAB_WHO];
	bool			 translated;
	struct ptab_end		 as_src, as_dst;
	bool			 needs_bridge_ct;
};

struct ptab {
	struct ptab_name	 names[PTAB_NAMES];
	size_t			 nnames;
	const struct ptab_name	*gateway;	/* or NULL */
	struct ptab_packet	*packets;	/* in order */
	size_t			 npackets;
};

/*
 * Reads it; 0, or -errno, and what is wrong with which line is in `err`.
 */
int ptab_read(struct ptab *t, FILE *f, char *err, size_t errlen);
void ptab_free(struct ptab *t);

/* By its name; or NULL. */
const struct ptab_name *ptab_find(const struct ptab *t, const char *name);

/* The party by whose interface somebody is reached; the segment of that. */
const struct ptab_name *ptab_party(const struct ptab_name *n);
const struct ptab_name *ptab_segment(const struct ptab_name *n);

/* The address in a family, of 4 or 16 bytes; or NULL. */
const uint8_t *ptab_ip(const struct ptab_name *n, unsigned family);

#endif /* PTAB_H */
