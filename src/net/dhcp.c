/* SPDX-License-Identifier: ISC */
/*
 * The DHCP server of a NIC.
 */
#include "net/dhcp.h"

#include <errno.h>
#include <string.h>

#include "net/dhcp_opt.h"

#define CLIENT_PORT	68

#define OP_REPLY	2
#define IP_BROADCAST	0xffffffffu
#define IP_HEADERS	(20 + 8)	/* IP's and UDP's */
#define IP_LEAST	576		/* that any host can receive */
#define IP_MOST		1500

static const uint8_t ether_broadcast[6] = { 255, 255, 255, 255, 255, 255 };

/* What who has no list of wishes gets; BOOTP has room for few. */
static const uint8_t all_options[] = {
	DHCP_ROUTER, DHCP_DNS, DHCP_HOSTNAME, DHCP_DOMAIN, DHCP_MTU,
	DHCP_BROADCAST_IP, DHCP_T1, DHCP_T2, DHCP_ROUTES,
};
static const uint8_t bootp_options[] = {
	DHCP_ROUTER, DHCP_DNS, DHCP_HOSTNAME, DHCP_DOMAIN,
};

/* An answer in the making. */
struct reply {
	const struct lease	*l;
	const struct dhcp_msg	*m;
	uint8_t			 type;	/* enum dhcp_type */
	uint32_t		 to;	/* IP address */
	struct dhcp_out		 out;
};

static uint32_t
mask_of(const struct lease *l)
{
	return l->prefix == 0 ? 0 : ~UINT32_C(0) << (32 - l->prefix);
}

static bool
is_beside(const struct lease *l, uint32_t ip)
{
	return ((ip ^ l->ip) & mask_of(l)) == 0;
}

static void
put_text(struct reply *r, enum dhcp_code code, const char *text)
{
	if (text[0] != '\0')
		dhcp_put(&r->out, code, text, strlen(text));
}

static void
put_dns(struct reply *r)
{
	uint8_t list[4 * LEASE_DNS];
	unsigned i;

	for (i = 0; i < r->l->ndns; i++)
		frame_put32(list + 4 * i, r->l->dns[i]);
	if (i > 0)
		dhcp_put(&r->out, DHCP_DNS, list, 4 * i);
}

/*
 * A router that is not beside the guest, or in a subnet of two addresses, which
 * not everybody takes for one, is reached by a route to itself (RFC 3442:
 * bits of the destination, as many of its bytes as that needs, gateway).
 */
static void
put_routes(struct reply *r)
{
	const struct lease *l = r->l;
	uint8_t routes[1 + 4 + 4 + 1 + 4] = { 32 };

	if (l->router == 0 || (l->prefix < 31 && is_beside(l, l->router)))
		return;
	frame_put32(routes + 1, l->router);
	frame_put32(routes + 10, l->router);
	dhcp_put(&r->out, DHCP_ROUTES, routes, sizeof(routes));
}

/* T1 and T2 of RFC 2131, 4.4.5; an address that is had has no time. */
static void
put_time(struct reply *r, enum dhcp_code code)
{
	uint64_t s = r->l->seconds;

	if (r->type == DHCP_BOOTP || r->m->type == DHCP_INFORM)
		return;
	if (code == DHCP_LEASE)
		dhcp_put32(&r->out, code, (uint32_t)s);
	else if (s != LEASE_FOREVER)
		dhcp_put32(&r->out, code,
		    (uint32_t)(code == DHCP_T1 ? s / 2 : s * 7 / 8));
}

/* An option that the client wants, if there is one. */
static void
put_option(struct reply *r, uint8_t code)
{
	const struct lease *l = r->l;
	uint8_t mtu[2];

	switch (code) {
	case DHCP_ROUTER:
		if (l->router != 0)
			dhcp_put32(&r->out, code, l->router);
		break;
	case DHCP_DNS:
		put_dns(r);
		break;
	case DHCP_HOSTNAME:
		put_text(r, code, l->hostname);
		break;
	case DHCP_DOMAIN:
		put_text(r, code, l->domain);
		break;
	case DHCP_MTU:
		frame_put16(mtu, l->mtu);
		if (l->mtu != 0)
			dhcp_put(&r->out, code, mtu, sizeof(mtu));
		break;
	case DHCP_BROADCAST_IP:
		if (l->prefix < 31)
			dhcp_put32(&r->out, code, l->ip | ~mask_of(l));
		break;
	case DHCP_T1:
	case DHCP_T2:
		put_time(r, code);
		break;
	case DHCP_ROUTES:
		put_routes(r);
		break;
	default:
		break;
	}
}

/* In the client's order, each once (RFC 2132, 9.8). */
static void
put_wanted(struct reply *r)
{
	const uint8_t *list = all_options;
	size_t n = sizeof(all_options), i;
	bool done[256] = { false };

	if (r->type == DHCP_BOOTP) {
		list = bootp_options;
		n = sizeof(bootp_options);
	} else if (!r->m->any) {
		list = r->m->wanted;
		n = r->m->nwanted;
	}
	for (i = 0; i < n; i++) {
		if (!done[list[i]])
			put_option(r, list[i]);
		done[list[i]] = true;
	}
}

/* RFC 2131, table 3, with what must be there before what can be left out. */
static void
put_options(struct reply *r)
{
	static const char why[] = "not the address of this port";
	const struct dhcp_msg *m = r->m;

	if (r->type != DHCP_BOOTP) {
		dhcp_put(&r->out, DHCP_TYPE, &r->type, 1);
		dhcp_put32(&r->out, DHCP_SERVER, r->l->server);
	}
	/* RFC 6842; BOOTP has no room for it. */
	if (m->nclient_id != 0 && r->type != DHCP_BOOTP)
		dhcp_put(&r->out, DHCP_CLIENT_ID, m->client_id, m->nclient_id);
	if (r->type == DHCP_NAK) {
		dhcp_put(&r->out, DHCP_MESSAGE, why, sizeof(why) - 1);
		return;
	}
	put_time(r, DHCP_LEASE);
	if (r->type == DHCP_ACK && m->type == DHCP_DISCOVER)
		dhcp_put(&r->out, DHCP_RAPID, "", 0);
	/* Always, and before any router (RFC 2132, 3.3). */
	dhcp_put32(&r->out, DHCP_MASK, mask_of(r->l));
	put_wanted(r);
}

static size_t
options_cap(const struct reply *r)
{
	size_t size = r->m->max_size;

	if (r->type == DHCP_BOOTP)
		return DHCP_BOOTP_LEN - DHCP_OPTIONS;
	if (r->l->mtu != 0 && size > r->l->mtu)
		size = r->l->mtu;
	if (size > IP_MOST)
		size = IP_MOST;
	if (size < IP_LEAST)
		size = IP_LEAST;
	return size - IP_HEADERS - DHCP_OPTIONS;
}

static size_t
put_message(struct reply *r, uint8_t *p)
{
	const struct dhcp_msg *m = r->m;

	p[DHCP_OP] = OP_REPLY;
	p[DHCP_HTYPE] = 1;
	p[DHCP_HLEN] = sizeof(m->mac);
	frame_put32(p + DHCP_XID, m->xid);
	frame_put16(p + DHCP_FLAGS, m->flags & DHCP_BROADCAST);
	memcpy(p + DHCP_CHADDR, m->mac, sizeof(m->mac));
	frame_put32(p + DHCP_COOKIE, DHCP_MAGIC);
	if (r->type != DHCP_NAK) {
		frame_put32(p + DHCP_SIADDR, r->l->server);
		if (m->type != DHCP_INFORM)
			frame_put32(p + DHCP_YIADDR, r->l->ip);
		if (r->type == DHCP_ACK && m->type != DHCP_DISCOVER)
			frame_put32(p + DHCP_CIADDR, m->ciaddr);
	}
	dhcp_out_init(&r->out, p, options_cap(r), r->type != DHCP_BOOTP);
	put_options(r);
	return dhcp_out_end(&r->out);
}

/* Where to, RFC 2131, 4.1: the guest may have no address to receive at yet. */
static uint32_t
where_to(const struct reply *r)
{
	const struct dhcp_msg *m = r->m;

	if (r->type == DHCP_NAK)
		return IP_BROADCAST;
	if (m->type == DHCP_INFORM)
		return m->ciaddr;
	if (m->ciaddr == r->l->ip)
		return r->l->ip;
	return (m->flags & DHCP_BROADCAST) != 0 ? IP_BROADCAST : r->l->ip;
}

static int
send_reply(const struct lease *l, const struct dhcp_msg *m, uint8_t type,
    uint8_t *out)
{
	struct reply r = { .l = l, .m = m, .type = type };
	uint8_t src[4], dst[4];
	const struct frame_to to = {
		.eth_dst = where_to(&r) == IP_BROADCAST ? ether_broadcast :
		    l->mac,
		.eth_src = l->server_mac,
		.src = src,
		.dst = dst,
		.sport = DHCP_SERVER_PORT,
		.dport = CLIENT_PORT,
	};

	frame_put32(src, l->server);
	frame_put32(dst, where_to(&r));
	memset(out, 0, FRAME_MAX);
	return (int)frame_udp4(out, &to, put_message(&r, out + FRAME_UDP4_DATA));
}

/*
 * DHCPREQUEST, RFC 2131, 4.3.2: which of the client's states it is in is told
 * by what it has filled in.  The address is right or wrong; there is no third,
 * since nobody else can know this client.
 */
static int
answer_request(const struct lease *l, const struct dhcp_msg *m, uint8_t *out)
{
	uint32_t ip = m->requested != 0 ? m->requested : m->ciaddr;

	if (m->server != 0 && m->server != l->server)
		return 0;
	if (m->server == 0 && ip == 0)
		return 0;
	if (ip != l->ip || (m->ciaddr != 0 && m->ciaddr != l->ip))
		return send_reply(l, m, DHCP_NAK, out);
	return send_reply(l, m, DHCP_ACK, out);
}

/* An address that was set by hand is none of ours, but may be beside it. */
static int
answer_inform(const struct lease *l, const struct dhcp_msg *m, uint8_t *out)
{
	uint32_t host = m->ciaddr & ~mask_of(l);

	if (m->ciaddr != l->ip && (!is_beside(l, m->ciaddr) ||
	    m->ciaddr == l->server ||
	    (l->prefix < 31 && (host == 0 || host == ~mask_of(l)))))
		return 0;
	return send_reply(l, m, DHCP_ACK, out);
}

static int
answer_message(const struct lease *l, const struct dhcp_msg *m, uint8_t *out)
{
	switch (m->type) {
	case DHCP_BOOTP:
		return send_reply(l, m, DHCP_BOOTP, out);
	case DHCP_DISCOVER:
		return send_reply(l, m, m->rapid ? DHCP_ACK : DHCP_OFFER, out);
	case DHCP_REQUEST:
		return answer_request(l, m, out);
	case DHCP_INFORM:
		return answer_inform(l, m, out);
	default:
		return 0;
	}
}

int
dhcp_answer(const struct lease *l, const struct frame *f,
    uint8_t out[FRAME_MAX])
{
	struct dhcp_msg m;
	uint32_t dst;

	if (l->ip == 0 || f->version != 4 || f->protocol != FRAME_UDP ||
	    f->dport != DHCP_SERVER_PORT)
		return -ENOMSG;
	/* To this server, or to any. */
	dst = frame_get32(f->dst);
	if ((dst != IP_BROADCAST && dst != l->server) ||
	    (memcmp(f->eth_dst, ether_broadcast, 6) != 0 &&
	    memcmp(f->eth_dst, l->server_mac, 6) != 0))
		return -ENOMSG;
	if (!f->intact || memcmp(f->eth_src, l->mac, 6) != 0 ||
	    dhcp_parse(&m, f->data, f->len) != 0 ||
	    memcmp(m.mac, l->mac, 6) != 0 || m.giaddr != 0)
		return 0;
	return answer_message(l, &m, out);
}
