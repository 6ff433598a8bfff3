/* SPDX-License-Identifier: ISC */
/*
 * The firewall: what guests may send and receive, as one list of rules from
 * which the text for each packet filter is written.
 *
 * struct fw_policy is what the configuration states.  fw_build() makes the
 * rules, whose meaning stands below and is the same on every system; a writer
 * turns them into the text of one packet filter.  All are pure functions: no
 * system is asked, nothing is loaded.  Any thread.
 *
 *
 * THE WAY OF A PACKET
 *
 * A NIC is a guest's; `tap` is the host's end of it, a port of its switch.
 * `iface` is the host's own interface in the switch: on Linux the bridge
 * itself, on OpenBSD the vport(4) of a veb(4) which has link1 set, so that pf
 * runs on its ports.  A port of a switch that is no tap of a policy's NIC, that
 * is an uplink or a stranger's, is "a neighbour".
 *
 * Who sent a packet is known by the tap that it came in by, never by its
 * addresses.  Who gets it is known by the tap it leaves by if it is bridged, by
 * its destination address if it is routed.  Each packet passes these stages,
 * those that apply, in this order; one that any of them blocks is dropped
 * without an answer:
 *
 *   FW_SPOOF   comes from anywhere but a guest's tap or the host itself
 *              (loopback included)
 *   FW_FRAME   comes from a guest's tap
 *   FW_RDR     is for the host itself: may change the destination
 *   FW_HOST    comes from a guest's tap, is for the host itself
 *   FW_OUT     comes from a guest's tap, is for anyone else
 *   FW_IN      goes to a guest, and comes from anyone but the host itself
 *   FW_NAT     is routed: may change the source
 *
 *   guest A -> guest B of the same switch, bridged:  FRAME OUT(A) IN(B)
 *   guest A -> guest B by way of the host, routed:   FRAME OUT(A) IN(B)
 *   guest A -> a published port of the host -> B:    FRAME RDR OUT(A) IN(B) NAT
 *   guest A -> the host                              FRAME RDR HOST(A)
 *   guest A -> outside, routed                       FRAME OUT(A) NAT
 *   guest A -> a neighbour behind the uplink         FRAME OUT(A)
 *   neighbour -> guest B, bridged                    SPOOF IN(B)
 *   outside -> guest B, routed or published          SPOOF RDR IN(B)
 *   the host -> guest B                              (nothing)
 *   neighbour -> neighbour, host <-> outside         SPOOF, else not ours
 *
 * "Bridged" is what goes from port to port of a switch by its destination MAC;
 * "routed" is what the host's IP forwards, the same switch on both sides
 * included.  A frame to a group (multicast, broadcast) is bridged to each port,
 * and is for the host, too: each of these copies is judged by itself.  "For the
 * host itself" is: to one of its addresses, whichever interface has it, to a
 * broadcast address of an interface or to a group that the host hears.
 *
 *
 * ADDRESSES
 *
 * Rules of HOST, OUT and IN see the destination after RDR and the source before
 * NAT: they name guests by the guests' own addresses, and a NATed sender by its
 * own.  FRAME, SPOOF and RDR see the packet as it came.  No rule names a source
 * port.
 *
 *
 * STATE
 *
 * HOST, OUT, IN, RDR and NAT look at the first packet of a connection only.
 * One that passes makes state, after which all its packets in both directions,
 * and ICMP errors about them, pass these stages and are translated as the first
 * was, also after a reload that would block it now.  A TCP connection begins
 * with SYN without ACK; any other packet of TCP without state is blocked in
 * them, but only where a rule of ours would look at it.  A rule with
 * `stateless` passes each packet by itself.  FRAME and SPOOF look at each.
 * IP fragments are judged as the packet that they make up.
 *
 *
 * WHICH RULE
 *
 * In a stage, the first rule of the list decides that is of the NIC and
 * matches.  The NIC is the sender in FRAME, HOST and OUT, the receiver in IN.
 * Each NIC has a last rule there that matches all (but FRAME: what no rule
 * blocks passes).  Rules of a NIC stand behind all that are of a switch's NICs
 * or of every NIC, so that a writer may look up a NIC's own list by one step,
 * and cost does not grow with guests.  What IP would send to a switch that is
 * not shared, for an address that no guest is known to have, has a rule of
 * FW_NOBODY of that switch in IN, which blocks it.
 * SPOOF, RDR, NAT: the first rule that matches.  What nothing matches passes,
 * and is not translated.
 */
#ifndef VMMD_NET_FW_H
#define VMMD_NET_FW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/ifname.h"
#include "net/os.h"
#include "net/plan.h"

#define FW_NAME		65	/* of a guest or switch, with the NUL */
#define FW_TABLE_NAME	32
#define FW_NICS_MAX	8192	/* that a writer must cope with */
#define FW_ALL		UINT32_MAX
#define FW_NOBODY	(UINT32_MAX - 1)

struct buf;

/* Protocols, as in an IP header. */
#define FW_ANY		0	/* any; IPv6's hop-by-hop options are none */
#define FW_ICMP		1
#define FW_TCP		6
#define FW_UDP		17
#define FW_ICMP6	58

/*
 * ---- The policy: what is stated.  All pointers are the caller's and outlive
 * the policy's use; no string is NULL, "" is nothing.
 */

/* Who is at the other end. */
enum fw_peer_kind {
	FW_PEER_ANY,
	FW_PEER_CIDR,
	FW_PEER_GUEST,		/* known addresses of a guest's NICs */
	FW_PEER_SWITCH,		/* the guests of a switch, see struct fw_peer */
};

/* One thing that is allowed. */
struct fw_allow {
	uint8_t			 family;	/* 4, 6; 0: both */
	/* FW_ICMP is ICMP in IPv4, and ICMPv6 in IPv6. */
	uint8_t			 proto;
	uint16_t		 lo, hi;	/* port; 0, 0: any */
	bool			 echo;		/* of ICMP: requests only */
	enum fw_peer_kind	 kind;
	struct os_addr		 cidr;		/* FW_PEER_CIDR */
	char			 name[FW_NAME];	/* of the guest, the switch */
};

struct fw_allows {
	const struct fw_allow	*v;
	size_t			 n;		/* 0: nothing is allowed */
};

/* A port of the host that is a guest's. */
struct fw_publish {
	uint8_t			 proto;		/* FW_TCP, FW_UDP */
	bool			 has_host;
	struct os_addr		 host;		/* else any of the host's */
	uint16_t		 port;		/* of the host */
	uint16_t		 to;		/* of the guest */
};

enum fw_log {
	FW_LOG_NO,
	FW_LOG_BLOCKED,
	FW_LOG_ALL,		/* connections that pass, too */
};

struct fw_nic {
	char			 guest[FW_NAME];
	unsigned		 number;	/* of the guest's NICs */
	uint32_t		 sw;		/* index in fw_policy.sw */
	char			 tap[IFNAME_SIZE];
	uint8_t			 mac[6];
	/* Its known addresses, prefix 32 or 128, none of them link-local. */
	const struct os_addr	*addrs;
	size_t			 naddrs;
	bool			 locked;
	struct fw_allows	 in, out, host;
	const struct fw_publish	*publish;
	size_t			 npublish;
	enum fw_log		 log;
};

enum fw_nat {
	FW_NAT_NO,
	FW_NAT_AUTO,		/* what leaves by any interface to outside */
	FW_NAT_IFACE,		/* what leaves by that of fw_switch.nat_iface */
};

struct fw_switch {
	char			 name[FW_NAME];
	char			 iface[IFNAME_SIZE];
	char			 uplink[IFNAME_SIZE];	/* "": none */
	/* It may have neighbours: has an uplink, or is a bridge of another. */
	bool			 shared;
	bool			 isolate;
	enum fw_nat		 nat;
	char			 nat_iface[IFNAME_SIZE];
	const struct os_addr	*addrs;		/* the host's, with subnets */
	size_t			 naddrs;
};

struct fw_policy {
	char			 daemon[FW_NAME];
	const struct fw_switch	*sw;
	size_t			 nsws;
	const struct fw_nic	*nic;		/* those of a guest in a row */
	size_t			 nnics;
};

/*
 * ---- The rules: what follows.
 */

enum fw_stage {
	FW_SPOOF,
	FW_FRAME,
	FW_RDR,
	FW_HOST,
	FW_OUT,
	FW_IN,
	FW_NAT,
	FW_STAGES,
};

enum fw_verdict {
	FW_PASS,
	FW_BLOCK,
	FW_TRANSLATE,		/* RDR, NAT; and passes */
};

/*
 * What a rule of FRAME blocks, and what one of SPOOF does.  "Own" are the MAC
 * and the table `own` of the rule's NIC, which has the NIC's known addresses
 * and, of IPv6, the link-local one of its MAC.
 */
enum fw_check {
	FW_CHECK_NONE,		/* a rule of another stage */

	/* Every NIC. */
	FW_CHECK_TYPE,		/* neither IPv4, IPv6 nor ARP: VLANs, too */
	FW_CHECK_DHCP,		/* UDP to port 68 in IPv4, or 546 in IPv6 */
	/* ICMPv6 134, 137 (router advertisement, redirect), ICMP 9, 5. */
	FW_CHECK_RA,

	/* A locked NIC. */
	FW_CHECK_MAC,		/* the frame's source is not own */
	/*
	 * ARP whose sender's MAC is not own, or whose sender's IPv4 address is
	 * neither own nor 0.0.0.0.
	 */
	FW_CHECK_ARP,
	/*
	 * IPv4 whose source is not own; but not UDP from 0.0.0.0 port 68 to
	 * port 67.
	 */
	FW_CHECK_IP4,
	/*
	 * IPv6 whose source is not own; but not ICMPv6 133, 135, 131, 132 and
	 * 143 (router and neighbour solicitation, listener reports) from ::.
	 */
	FW_CHECK_IP6,
	/*
	 * Of ICMPv6: 136 (neighbour advertisement), and 135 from ::, whose
	 * target is not own.
	 */
	FW_CHECK_ND,

	/*
	 * A NIC that is not locked: the source address is in the rule's table
	 * `peer.table` and not in `own`.  Twice: addresses of other guests and
	 * of the host, and not the NIC's; subnets of switches, and not of its.
	 */
	FW_CHECK_OTHERS,

	/*
	 * SPOOF: the source address is in `peer.table`: the rule's switch's
	 * guests, and this did not come from there.
	 */
	FW_CHECK_SPOOF,
};

/* A rule may want a packet whose destination RDR has changed, or not. */
enum fw_rdr_want {
	FW_RDR_ANY,
	FW_RDR_ONLY,
	FW_RDR_NOT,
};

/*
 * Addresses and subnets, of both families, none within another, sorted: IPv4
 * first.  Several rules may name one.  The name is unique in the policy, begins
 * with a letter, has letters, digits, . - and _, and says what it is, as
 * guest-web1, nic-web1.0, switch-lan, all-guests.
 */
struct fw_table {
	char			 name[FW_TABLE_NAME];
	char			 what[96];	/* for a comment */
	uint32_t		 sw;		/* whose it is, or FW_ALL */
	struct os_addr		*v;
	size_t			 n;		/* may be 0 */
};

/*
 * The other end: the destination in OUT, the source in IN, RDR and NAT.
 *
 * FW_PEER_GUEST: an address in the table, which has the guest's known ones.
 *
 * FW_PEER_SWITCH: an address in the table, which has the switch's subnets if
 * it is not shared, else the known addresses of its guests.  Further
 *   in OUT, if it is the NIC's own switch: an address in fw_link_scope;
 *   in IN, if it is the NIC's own switch and the packet is bridged, or the rule
 *   blocks: instead of the table, whatever came in by a tap of its guests.
 */
struct fw_peer {
	enum fw_peer_kind	 kind;
	struct os_addr		 cidr;		/* FW_PEER_CIDR */
	uint32_t		 sw;		/* FW_PEER_SWITCH */
	uint32_t		 table;		/* of both; FRAME, SPOOF */
};

/*
 * What is 0 (or ANY, "") matches everything.
 *
 * RDR: a packet from anyone but the host itself, source in `peer`, of
 * `family`, `proto`, to port lo of `host`, an address of the host, or any that
 * it has if has_host is false; becomes one to `to`, port `to_port`, which are
 * NIC `nic`'s.
 *
 * NAT: a packet that is routed, source in `peer`, leaving by `iface`; with "",
 * by any that is no switch's of this policy (pf: group egress); if has_host is
 * true, only one to the address `host`, which is after RDR.  Its source becomes
 * the address of the interface that it leaves by.  One with want == FW_RDR_ONLY
 * is a published port's that a guest of the same switch asks for: answers must
 * come back by way of the host.
 */
struct fw_rule {
	enum fw_stage		 stage;
	enum fw_verdict		 verdict;
	enum fw_check		 check;		/* FRAME, SPOOF */
	uint32_t		 nic;		/* or FW_ALL or _NOBODY of sw */
	uint32_t		 sw;		/* that of the NIC; or FW_ALL */
	uint8_t			 family;	/* 4, 6; 0: both */
	/* FW_ICMP with family 0 is ICMP and ICMPv6; FW_ICMP6 needs 6. */
	uint8_t			 proto;
	uint16_t		 lo, hi;	/* destination port */
	bool			 has_icmp;
	uint8_t			 icmp;		/* type; needs a family */
	enum fw_rdr_want	 want;
	bool			 stateless;
	bool			 log;
	struct fw_peer		 peer;
	uint32_t		 own;		/* table; or FW_ALL */
	bool			 has_host;
	struct os_addr		 host;
	struct os_addr		 to;
	uint16_t		 to_port;
	char			 iface[IFNAME_SIZE];
};

struct fw_rules {
	struct fw_rule		*v;
	size_t			 n;
	struct fw_table		*table;
	size_t			 ntables;
};

/*
 * What is sent to a link and its groups, of both families: 169.254.0.0/16,
 * 224.0.0.0/4, 255.255.255.255, fe80::/10, ff00::/8.
 */
#define FW_LINK_SCOPES	5
extern const struct os_addr fw_link_scope[FW_LINK_SCOPES];

/*
 * Makes the rules: 0, or -errno and a message.  What is allowed with a guest or
 * a switch that is not there has no rule.  fw_rules_free() frees what is in
 * them, also of zeroes.
 */
int fw_build(const struct fw_policy *p, struct fw_rules *r, char *err,
    size_t errlen);
void fw_rules_free(struct fw_rules *r);

/* Does the host have to forward IPv4, IPv6 for this? */
bool fw_forwards(const struct fw_policy *p, bool ipv6);

/*
 * Whether the table has the address; the prefix of `a` is not looked at.
 */
bool fw_table_has(const struct fw_table *t, const struct os_addr *a);
bool fw_addr_in(const struct os_addr *net, const struct os_addr *a);

/*
 * What our part of a packet filter is called, by the daemon's name: "vmmd" if
 * that is vmmd, else "vmmd-NAME".
 */
#define FW_OURS		(FW_NAME + 5)
void fw_ours(char out[FW_OURS], const char *daemon);

/*
 * One line, without its end, that says what a rule does, for comments and
 * traces, as in "web1 nic 0: in: pass tcp port 80 from switch lan": 0 or
 * -errno.
 */
int fw_rule_print(const struct fw_policy *p, const struct fw_rules *r,
    const struct fw_rule *rule, struct buf *b);

/*
 * Writers.  Append the text: 0; -EOPNOTSUPP and a message naming NIC or switch,
 * what this packet filter cannot express; -ENOMEM, -ENOBUFS.
 *
 * pf: the anchors of all switches, which the administrator's /etc/pf.conf has
 * evaluated; then, by fw_pf_bridge_write(), the lines of ifconfig(8) for
 * veb(4), which are FRAME's part.  nft: both tables, each replaced as a whole,
 * in one transaction.
 */
int fw_pf_write(const struct fw_policy *p, const struct fw_rules *r,
    struct buf *b, char *err, size_t errlen);
int fw_pf_bridge_write(const struct fw_policy *p, const struct fw_rules *r,
    struct buf *b, char *err, size_t errlen);
int fw_nft_write(const struct fw_policy *p, const struct fw_rules *r,
    struct buf *b, char *err, size_t errlen);

#endif /* VMMD_NET_FW_H */
