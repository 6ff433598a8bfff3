/* SPDX-License-Identifier: ISC */
/*
 * What pf(4) of OpenBSD 7.8 does with a packet, by the text of its rules and
 * nothing else: an own reader of pf.conf(5) and of the rules of bridge(4), and
 * an own evaluation of both.  It is there to judge what the daemon writes, so
 * it shares neither code nor structure with any writer.
 *
 * It reads the grammar of firewall rules: macros, tables, options, anchors,
 * antispoof, rules.  Everything else is an error with a line number: queues,
 * files, names to be resolved, and what would make a verdict depend on more
 * than packets (users, probability, routing, operating systems).  It is
 * stricter than pfctl(8) in one way: a table must be defined where pf would
 * look for it, in the anchor or in the main rules.
 *
 * A packet is shown once at each interface that it passes, as pf sees it: in
 * at the one, out at the other.  Translations are made in the packet.
 *
 * Not thread safe; tests only.
 */
#ifndef VMMD_T_PFE_H
#define VMMD_T_PFE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PFE_ICMP = 1, PFE_TCP = 6, PFE_UDP = 17, PFE_ICMP6 = 58,
};

/* TCP flags, as in the header. */
enum {
	PFE_FIN = 0x01, PFE_SYN = 0x02, PFE_RST = 0x04, PFE_PUSH = 0x08,
	PFE_ACK = 0x10, PFE_URG = 0x20, PFE_ECE = 0x40, PFE_CWR = 0x80,
};

enum pfe_dir { PFE_IN = 1, PFE_OUT = 2 };

/* Who talks to whom; ports in host order, of ICMP queries `sport` is the id. */
struct pfe_flow {
	uint8_t		af;		/* 4 or 6 */
	uint8_t		proto;
	uint8_t		type;		/* ICMP */
	uint8_t		code;
	uint16_t	sport;
	uint16_t	dport;
	uint8_t		src[16];	/* IPv4: the first four bytes */
	uint8_t		dst[16];
	uint8_t		target[16];	/* neighbour discovery */
};

struct pfe_packet {
	struct pfe_flow	flow;
	const char	*ifname;	/* where it is now */
	const char	*received;	/* where it came in; NULL: our own */
	enum pfe_dir	dir;
	uint8_t		flags;		/* TCP */
	bool		fragment;	/* one, the ports being the first's */
	bool		options;	/* IP options or extension headers */
	bool		error;		/* ICMP error, about `inner` */
	struct pfe_flow	inner;
	char		tag[64];	/* "": none; kept from hop to hop */
};

enum pfe_how { PFE_DROP, PFE_RETURN, PFE_RETURN_RST, PFE_RETURN_ICMP };

struct pfe_verdict {
	bool		pass;
	enum pfe_how	how;		/* of a block */
	bool		log;
	bool		known;		/* by a state, no rule was asked */
	bool		made;		/* it made a state */
	int		line;		/* of the deciding rule; 0: none */
	char		anchor[256];	/* its anchor; "": the main rules */
	char		label[64];
};

struct pfe;

struct pfe *pfe_create(void);
void pfe_destroy(struct pfe *pf);

/*
 * The host.  `groups` and `nets` are lists separated by spaces, nets as
 * address/prefix.  A route is a prefix behind an interface.
 */
void pfe_iface(struct pfe *pf, const char *name, unsigned rdomain,
    const char *groups, const char *nets);
void pfe_route(struct pfe *pf, const char *net, const char *ifname);

/*
 * Loads a text as `pfctl -a anchor -f` does ("": the main rules), in place of
 * what was there.  0, or -EINVAL and "LINE: what" in `err`; then nothing
 * changed.  States stay.
 */
int pfe_load(struct pfe *pf, const char *anchor, const char *text, char *err,
    size_t size);

/* Shows a packet to pf, which may change it. */
void pfe_run(struct pfe *pf, struct pfe_packet *pkt, struct pfe_verdict *v);

/* Forgets all states. */
void pfe_flush(struct pfe *pf);
unsigned pfe_states(const struct pfe *pf);

/*
 * Rules of bridge(4) and veb(4), lines of `ifconfig IF rule ...`, blocknonip
 * and flushrule; comments and empty lines are skipped.  Errors as above.
 */
struct pfe_frame {
	uint8_t		src[6];
	uint8_t		dst[6];
	uint16_t	ethertype;
	uint16_t	op;		/* ARP and RARP: 1 to 4 */
	uint8_t		sha[6];
	uint8_t		tha[6];
	uint8_t		spa[4];
	uint8_t		tpa[4];
};

struct pfe_bridge;

struct pfe_bridge *pfe_bridge_create(void);
void pfe_bridge_destroy(struct pfe_bridge *b);
int pfe_bridge_load(struct pfe_bridge *b, const char *text, char *err,
    size_t size);

/*
 * Whether a frame passes a member of a bridge; `tag` (64 bytes) becomes what
 * the deciding rule says, and stays if it says nothing.
 */
bool pfe_bridge_run(const struct pfe_bridge *b, const char *bridge,
    const char *member, enum pfe_dir dir, const struct pfe_frame *f,
    char *tag);

#endif /* VMMD_T_PFE_H */
