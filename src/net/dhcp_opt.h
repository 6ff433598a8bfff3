/* SPDX-License-Identifier: ISC */
/*
 * DHCP messages: a client's, taken apart, and the options of an answer (RFC
 * 2131, 2; RFC 2132; RFC 3396).
 *
 * Pure functions over bytes, of which the client's may be anything.
 */
#ifndef VMMD_DHCP_OPT_H
#define VMMD_DHCP_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A message's fields, RFC 2131 figure 1, by offset. */
#define DHCP_OP		0
#define DHCP_HTYPE	1
#define DHCP_HLEN	2
#define DHCP_XID	4
#define DHCP_FLAGS	10
#define DHCP_CIADDR	12
#define DHCP_YIADDR	16
#define DHCP_SIADDR	20
#define DHCP_GIADDR	24
#define DHCP_CHADDR	28
#define DHCP_SNAME	44
#define DHCP_SNAME_LEN	64
#define DHCP_FILE	108
#define DHCP_FILE_LEN	128
#define DHCP_COOKIE	236
#define DHCP_OPTIONS	240
#define DHCP_BOOTP_LEN	300	/* all of BOOTP's, the least of ours */

#define DHCP_MAGIC	0x63825363u
#define DHCP_BROADCAST	0x8000u		/* in flags */

enum dhcp_code {			/* RFC 2132 and as marked */
	DHCP_PAD = 0,
	DHCP_MASK = 1,
	DHCP_ROUTER = 3,
	DHCP_DNS = 6,
	DHCP_HOSTNAME = 12,
	DHCP_DOMAIN = 15,
	DHCP_MTU = 26,
	DHCP_BROADCAST_IP = 28,
	DHCP_REQUESTED = 50,
	DHCP_LEASE = 51,
	DHCP_OVERLOAD = 52,
	DHCP_TYPE = 53,
	DHCP_SERVER = 54,
	DHCP_WANTED = 55,		/* parameter request list */
	DHCP_MESSAGE = 56,
	DHCP_MAX_SIZE = 57,
	DHCP_T1 = 58,
	DHCP_T2 = 59,
	DHCP_CLIENT_ID = 61,
	DHCP_RAPID = 80,		/* RFC 4039 */
	DHCP_ROUTES = 121,		/* RFC 3442 */
	DHCP_END = 255,
};

enum dhcp_type {			/* RFC 2132, 9.6 */
	DHCP_BOOTP = 0,			/* has no type */
	DHCP_DISCOVER = 1,
	DHCP_OFFER,
	DHCP_REQUEST,
	DHCP_DECLINE,
	DHCP_ACK,
	DHCP_NAK,
	DHCP_RELEASE,
	DHCP_INFORM,
};

/* What of a client's message matters; addresses in host order, 0: none. */
struct dhcp_msg {
	uint8_t		type;		/* enum dhcp_type */
	bool		rapid;
	bool		any;		/* it has no list of wanted options */
	uint16_t	flags;
	uint16_t	max_size;	/* of an IP packet, 0: not said */
	uint32_t	xid;
	uint32_t	ciaddr, giaddr;
	uint32_t	requested, server;
	uint8_t		mac[6];
	uint8_t		nwanted, nclient_id;
	uint8_t		wanted[255];
	uint8_t		client_id[255];
};

/* 0, or -EBADMSG if it is no client's message, or malformed. */
int dhcp_parse(struct dhcp_msg *m, const uint8_t *p, size_t len);

/*
 * The options of an answer.  They go to the options field, and then, in this
 * order, to the fields file and sname, where that is allowed.
 */
struct dhcp_out {
	uint8_t		*msg;
	uint8_t		*area[3];
	size_t		 size[3], used[3];
	unsigned	 areas, now;	/* allowed, filled at present */
};

/* For an options field of at most `cap` bytes, 8 at least. */
void dhcp_out_init(struct dhcp_out *o, uint8_t *msg, size_t cap, bool overload);

/* One more option: whether there was room for it. */
bool dhcp_put(struct dhcp_out *o, enum dhcp_code code, const void *p,
    size_t len);
bool dhcp_put32(struct dhcp_out *o, enum dhcp_code code, uint32_t v);

/* Completes the message: its length. */
size_t dhcp_out_end(struct dhcp_out *o);

#endif /* VMMD_DHCP_OPT_H */
