/* SPDX-License-Identifier: ISC */
/*
 * DHCP messages and their options.
 */
#include "net/dhcp_opt.h"

#include <errno.h>
#include <string.h>

#include "net/frame.h"

#define OP_REQUEST	1
#define HTYPE_ETHER	1

#define OVERLOAD_FILE	1
#define OVERLOAD_SNAME	2
#define OVERLOAD_LEN	3		/* of the option that says so */

/* The options that are looked at, with the lengths they may have. */
enum {
	TYPE,
	OVERLOAD,
	REQUESTED,
	SERVER,
	WANTED,
	MAX_SIZE,
	CLIENT_ID,
	RAPID,
	NOPTIONS,
};
static const struct { uint8_t code, min, max; } known[NOPTIONS] = {
	[TYPE] =	{ DHCP_TYPE, 1, 1 },
	[OVERLOAD] =	{ DHCP_OVERLOAD, 1, 1 },
	[REQUESTED] =	{ DHCP_REQUESTED, 4, 4 },
	[SERVER] =	{ DHCP_SERVER, 4, 4 },
	[WANTED] =	{ DHCP_WANTED, 1, 255 },
	[MAX_SIZE] =	{ DHCP_MAX_SIZE, 2, 2 },
	[CLIENT_ID] =	{ DHCP_CLIENT_ID, 1, 255 },
	[RAPID] =	{ DHCP_RAPID, 0, 0 },
};

struct option {
	bool		seen;
	uint8_t		len;
	uint8_t		data[255];
};

/* One that comes again goes on where the last ended (RFC 3396, 5). */
static int
add(struct option *o, const uint8_t *p, size_t len)
{
	if (len > sizeof(o->data) - o->len)
		return -EBADMSG;
	memcpy(o->data + o->len, p, len);
	o->len = (uint8_t)(o->len + len);
	o->seen = true;
	return 0;
}

/* The options of one field; one without an end ends with its field. */
static int
collect(struct option *options, const uint8_t *p, size_t len)
{
	size_t n;
	unsigned i;

	while (len > 0 && p[0] != DHCP_END) {
		if (p[0] == DHCP_PAD) {
			p++;
			len--;
			continue;
		}
		if (len < 2 || p[1] > len - 2)
			return -EBADMSG;
		n = p[1];
		for (i = 0; i < NOPTIONS && known[i].code != p[0]; i++)
			;
		if (i < NOPTIONS && add(&options[i], p + 2, n) != 0)
			return -EBADMSG;
		p += 2 + n;
		len -= 2 + n;
	}
	return 0;
}

static int
collect_all(struct option *options, const uint8_t *p, size_t len)
{
	struct option *overload = &options[OVERLOAD];
	uint8_t over, said;
	unsigned i;

	if (collect(options, p + DHCP_OPTIONS, len - DHCP_OPTIONS) != 0)
		return -EBADMSG;
	/* What a field that is used so says of overload counts for nothing. */
	over = overload->data[0];
	said = overload->len;
	if ((over & OVERLOAD_FILE) != 0 &&
	    collect(options, p + DHCP_FILE, DHCP_FILE_LEN) != 0)
		return -EBADMSG;
	if ((over & OVERLOAD_SNAME) != 0 &&
	    collect(options, p + DHCP_SNAME, DHCP_SNAME_LEN) != 0)
		return -EBADMSG;
	overload->len = said;
	for (i = 0; i < NOPTIONS; i++)
		if (options[i].seen && (options[i].len < known[i].min ||
		    options[i].len > known[i].max))
			return -EBADMSG;
	return 0;
}

static void
take_options(struct dhcp_msg *m, const struct option *options)
{
	m->type = options[TYPE].data[0];
	m->rapid = options[RAPID].seen;
	m->any = !options[WANTED].seen;
	m->max_size = frame_get16(options[MAX_SIZE].data);
	m->requested = frame_get32(options[REQUESTED].data);
	m->server = frame_get32(options[SERVER].data);
	m->nwanted = options[WANTED].len;
	memcpy(m->wanted, options[WANTED].data, m->nwanted);
	m->nclient_id = options[CLIENT_ID].len;
	memcpy(m->client_id, options[CLIENT_ID].data, m->nclient_id);
}

int
dhcp_parse(struct dhcp_msg *m, const uint8_t *p, size_t len)
{
	struct option options[NOPTIONS];

	memset(m, 0, sizeof(*m));
	memset(options, 0, sizeof(options));
	if (len < DHCP_OPTIONS || p[DHCP_OP] != OP_REQUEST ||
	    p[DHCP_HTYPE] != HTYPE_ETHER || p[DHCP_HLEN] != sizeof(m->mac))
		return -EBADMSG;
	m->xid = frame_get32(p + DHCP_XID);
	m->flags = frame_get16(p + DHCP_FLAGS);
	m->ciaddr = frame_get32(p + DHCP_CIADDR);
	m->giaddr = frame_get32(p + DHCP_GIADDR);
	memcpy(m->mac, p + DHCP_CHADDR, sizeof(m->mac));
	/* BOOTP has what its vendor likes there, or our cookie, too. */
	if (frame_get32(p + DHCP_COOKIE) == DHCP_MAGIC &&
	    collect_all(options, p, len) != 0)
		return -EBADMSG;
	if (options[TYPE].seen && options[TYPE].data[0] == DHCP_BOOTP)
		return -EBADMSG;
	take_options(m, options);
	return 0;
}

void
dhcp_out_init(struct dhcp_out *o, uint8_t *msg, size_t cap, bool overload)
{
	memset(o, 0, sizeof(*o));
	o->msg = msg;
	o->areas = overload ? 3 : 1;
	o->area[0] = msg + DHCP_OPTIONS;
	o->area[1] = msg + DHCP_FILE;
	o->area[2] = msg + DHCP_SNAME;
	/* Each has an end, the first the option that points to the others. */
	o->size[0] = cap - 1 - (overload ? OVERLOAD_LEN : 0);
	o->size[1] = DHCP_FILE_LEN - 1;
	o->size[2] = DHCP_SNAME_LEN - 1;
}

bool
dhcp_put(struct dhcp_out *o, enum dhcp_code code, const void *p, size_t len)
{
	unsigned i;
	uint8_t *to;

	/* Not back to a field that was left: options have an order. */
	for (i = o->now; i < o->areas; i++)
		if (len + 2 <= o->size[i] - o->used[i])
			break;
	if (i == o->areas || len > UINT8_MAX)
		return false;
	to = o->area[i] + o->used[i];
	to[0] = (uint8_t)code;
	to[1] = (uint8_t)len;
	memcpy(to + 2, p, len);
	o->used[i] += 2 + len;
	o->now = i;
	return true;
}

bool
dhcp_put32(struct dhcp_out *o, enum dhcp_code code, uint32_t v)
{
	uint8_t p[4];

	frame_put32(p, v);
	return dhcp_put(o, code, p, sizeof(p));
}

size_t
dhcp_out_end(struct dhcp_out *o)
{
	uint8_t over = 0, *p;
	size_t len;

	if (o->used[1] != 0)
		over |= OVERLOAD_FILE;
	if (o->used[2] != 0)
		over |= OVERLOAD_SNAME;
	p = o->area[0] + o->used[0];
	if (over != 0) {
		*p++ = DHCP_OVERLOAD;
		*p++ = 1;
		*p++ = over;
	}
	*p++ = DHCP_END;
	if (o->used[1] != 0)
		o->area[1][o->used[1]] = DHCP_END;
	if (o->used[2] != 0)
		o->area[2][o->used[2]] = DHCP_END;
	len = (size_t)(p - o->msg);
	return len > DHCP_BOOTP_LEN ? len : DHCP_BOOTP_LEN;
}
