/* SPDX-License-Identifier: ISC */
/*
 * The stateless DHCPv6 server of a NIC.
 */
#include "net/dhcp6.h"

#include <errno.h>
#include <string.h>

#include "net/dname.h"

#define CLIENT_PORT	546

#define REPLY		7
#define INFORMATION_REQUEST 11
#define HEADER_LEN	4		/* type, transaction */

enum code {			/* RFC 8415, 21; RFC 3646 */
	CLIENT_ID = 1,
	SERVER_ID = 2,
	IA_NA = 3,
	IA_TA = 4,
	WANTED = 6,		/* option request */
	DNS = 23,
	DOMAIN = 24,
	IA_PD = 25,
	REFRESH = 32,
};

#define DUID_MAX	130	/* RFC 8415, 11.1: a type and 128 bytes */
#define REFRESH_TIME	86400	/* seconds; 21.23 */

static const uint8_t all_servers[16] = {
	0xff, 2, [13] = 1, 0, 2
};
static const uint8_t unspecified[16];

/* A server is known by the address of its interface: DUID-LL, Ethernet. */
#define SERVER_DUID_LEN	10
static void
server_duid(const struct lease *l, uint8_t duid[SERVER_DUID_LEN])
{
	static const uint8_t kind[4] = { 0, 3, 0, 1 };

	memcpy(duid, kind, sizeof(kind));
	memcpy(duid + sizeof(kind), l->server_mac, 6);
}

/* What of a request matters: a point into it, NULL if it is not there. */
struct request {
	const uint8_t	*client, *server, *wanted;
	size_t		 nclient, nserver, nwanted;
};

/* An option that may come once. */
static int
once(const uint8_t **to, size_t *nto, const uint8_t *p, size_t len)
{
	if (*to != NULL)
		return -EBADMSG;
	*to = p;
	*nto = len;
	return 0;
}

static int
take_option(struct request *r, unsigned code, const uint8_t *p, size_t len)
{
	switch (code) {
	case CLIENT_ID:
		if (len < 3 || len > DUID_MAX)
			return -EBADMSG;
		return once(&r->client, &r->nclient, p, len);
	case SERVER_ID:
		return once(&r->server, &r->nserver, p, len);
	case WANTED:
		if (len % 2 != 0)
			return -EBADMSG;
		return once(&r->wanted, &r->nwanted, p, len);
	case IA_NA:
	case IA_TA:
	case IA_PD:
		/* RFC 8415, 16.12: no Information-request. */
		return -EBADMSG;
	default:
		return 0;
	}
}

static int
parse(struct request *r, const uint8_t *p, size_t len)
{
	size_t n;

	memset(r, 0, sizeof(*r));
	while (len > 0) {
		if (len < 4 || frame_get16(p + 2) > len - 4)
			return -EBADMSG;
		n = frame_get16(p + 2);
		if (take_option(r, frame_get16(p), p + 4, n) != 0)
			return -EBADMSG;
		p += 4 + n;
		len -= 4 + n;
	}
	return 0;
}

/* One that does not say what it wants gets all. */
static bool
is_wanted(const struct request *r, enum code code)
{
	size_t i;

	for (i = 0; i < r->nwanted; i += 2)
		if (frame_get16(r->wanted + i) == code)
			return true;
	return r->wanted == NULL;
}

static uint8_t *
put(uint8_t **p, enum code code, size_t len)
{
	uint8_t *data = *p + 4;

	frame_put16(*p, (uint16_t)code);
	frame_put16(*p + 2, (uint16_t)len);
	*p = data + len;
	return data;
}

static void
put_options(uint8_t **p, const struct lease *l, const struct request *r)
{
	uint8_t duid[SERVER_DUID_LEN], name[DNAME_MAX];
	size_t n;

	server_duid(l, duid);
	memcpy(put(p, SERVER_ID, sizeof(duid)), duid, sizeof(duid));
	if (r->client != NULL)
		memcpy(put(p, CLIENT_ID, r->nclient), r->client, r->nclient);
	n = 16 * (size_t)l->ndns6;
	if (n > 0 && is_wanted(r, DNS))
		memcpy(put(p, DNS, n), l->dns6, n);
	n = dname_encode(name, l->domain);
	if (n > 0 && is_wanted(r, DOMAIN))
		memcpy(put(p, DOMAIN, n), name, n);
	if (is_wanted(r, REFRESH))
		frame_put32(put(p, REFRESH, 4), REFRESH_TIME);
}

static int
send_reply(const struct lease *l, const struct frame *f,
    const struct request *r, uint8_t *out)
{
	const struct frame_to to = {
		.eth_dst = l->mac,
		.eth_src = l->server_mac,
		.src = l->server6,
		.dst = f->src,
		.sport = DHCP6_SERVER_PORT,
		.dport = CLIENT_PORT,
	};
	uint8_t *start = out + FRAME_UDP6_DATA, *p = start + HEADER_LEN;

	memcpy(start, f->data, HEADER_LEN);
	start[0] = REPLY;
	put_options(&p, l, r);
	return (int)frame_udp6(out, &to, (size_t)(p - start));
}

/* To another server, by its DUID. */
static bool
is_for_another(const struct lease *l, const struct request *r)
{
	uint8_t duid[SERVER_DUID_LEN];

	server_duid(l, duid);
	return r->server != NULL && (r->nserver != sizeof(duid) ||
	    memcmp(r->server, duid, sizeof(duid)) != 0);
}

int
dhcp6_answer(const struct lease *l, const struct frame *f,
    uint8_t out[FRAME_MAX])
{
	struct request r;

	if (l->prefix6_len == 0 || f->version != 6 ||
	    f->protocol != FRAME_UDP || f->dport != DHCP6_SERVER_PORT ||
	    memcmp(f->dst, all_servers, 16) != 0)
		return -ENOMSG;
	if (!f->intact || memcmp(f->eth_src, l->mac, 6) != 0 ||
	    f->src[0] == 0xff || memcmp(f->src, unspecified, 16) == 0)
		return 0;
	if (f->len < HEADER_LEN || f->data[0] != INFORMATION_REQUEST ||
	    parse(&r, f->data + HEADER_LEN, f->len - HEADER_LEN) != 0 ||
	    is_for_another(l, &r))
		return 0;
	return send_reply(l, f, &r, out);
}
