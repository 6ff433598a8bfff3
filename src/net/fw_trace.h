/* SPDX-License-Identifier: ISC */
/*
 * What the rules say to one packet, by which of them, and why: the reference of
 * what fw.h means, and the answer to "why does this not arrive?".  Pure
 * functions; the packet is the first of its connection.
 */
#ifndef VMMD_NET_FW_TRACE_H
#define VMMD_NET_FW_TRACE_H

#include "net/fw.h"

/* Where a packet comes from, or is delivered to. */
enum fw_place {
	FW_AT_NIC,		/* a guest's; `nic` */
	FW_AT_NEIGHBOUR,	/* of a shared switch; `sw` */
	FW_AT_HOST,		/* itself */
	FW_AT_OUTSIDE,		/* whatever else the host routes to */
	FW_AT_NOBODY,		/* an address of a switch that no guest has */
};

enum fw_ether {
	FW_ETHER_IP,		/* IPv4 or IPv6, by the addresses */
	FW_ETHER_ARP,
	FW_ETHER_OTHER,
};

struct fw_packet {
	enum fw_place	 from;
	uint32_t	 nic;		/* FW_AT_NIC: index */
	uint32_t	 sw;		/* FW_AT_NEIGHBOUR: index */
	uint8_t		 mac[6];	/* source; of a guest */
	enum fw_ether	 ether;
	struct os_addr	 src, dst;	/* one family; ARP: sender, target */
	uint8_t		 arp_mac[6];	/* ARP: sender */
	uint8_t		 proto;		/* as in the header */
	uint16_t	 sport, dport;
	uint8_t		 icmp;		/* type */
	bool		 has_target;	/* of ICMPv6 135 and 136 */
	struct os_addr	 target;
	bool		 not_syn;	/* of TCP: begins no connection */
	/* Leaves, if routed to outside, by this. */
	char		 oif[IFNAME_SIZE];
};

/* A rule that a packet met. */
struct fw_step {
	enum fw_stage		 stage;
	const struct fw_rule	*rule;		/* NULL: none; passes */
};

#define FW_STEPS	16

struct fw_judgement {
	bool		 pass;
	bool		 bridged;
	enum fw_place	 to;		/* where it arrives or would */
	uint32_t	 nic;		/* FW_AT_NIC */
	uint32_t	 sw;		/* FW_AT_NEIGHBOUR, FW_AT_NOBODY */
	bool		 rdr, nat;	/* was translated */
	bool		 not_first;	/* no connection begins so */
	struct os_addr	 dst;		/* after RDR */
	uint16_t	 dport;
	unsigned	 nsteps;
	struct fw_step	 step[FW_STEPS];	/* the last one decides */
};

/*
 * Judges a packet to one receiver.  Which way it goes follows from the
 * destination: to an address of the host, of a guest, of a subnet of a switch;
 * what a guest or a neighbour sends to its own switch is bridged, all else is
 * routed.  Where that does not say who gets it (groups, link-local addresses,
 * addresses that no guest is known to have) it is `to`, a NIC of the same
 * switch, or with FW_ALL the host for groups and else a neighbour, or nobody.
 * Other than FW_ALL it stands for the NIC that a bridged packet's MAC leads to,
 * whatever the address.  `host` are addresses of the host beside those of
 * switches.
 */
void fw_trace(const struct fw_policy *p, const struct fw_rules *r,
    const struct os_addr *host, size_t nhost, const struct fw_packet *k,
    uint32_t to, struct fw_judgement *v);

/* The NIC that is known to have the address, or FW_ALL. */
uint32_t fw_nic_of(const struct fw_policy *p, const struct os_addr *a);

/* Is it the host's, in a switch or one of `host`? */
bool fw_is_host(const struct fw_policy *p, const struct os_addr *host,
    size_t nhost, const struct os_addr *a);

/* Appends it as lines that a person reads: 0 or -errno. */
int fw_trace_print(const struct fw_policy *p, const struct fw_rules *r,
    const struct fw_judgement *v, struct buf *b);

#endif /* VMMD_NET_FW_TRACE_H */
