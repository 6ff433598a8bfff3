/* SPDX-License-Identifier: ISC */
/*
 * Frames, made and taken apart: see pframe.h.  Numbers are of RFC 791, 792, 826,
 * 4443, 4861, 8200, 9293.
 */
#include "pframe.h"

#include <errno.h>
#include <string.h>

#define ETHER		14
#define PAYLOAD		64	/* the tag, again and again */
#define PAYLOAD_FRAG	1600
#define TAG		8
#define MARK		"PTab"

/* Where both ends of a connection begin to count. */
#define SEQ_CLIENT	1000
#define SEQ_SERVER	5000

#define TYPE_IP4	0x0800
#define TYPE_ARP	0x0806
#define TYPE_IP6	0x86dd

#define FRAGMENT	44	/* IPv6's header of one */
/* Bytes in the first: IPv6 has none smaller, but for the last. */
#define FRAG_FIRST	1280

/* A packet in the making: what is in IP, and between whom. */
struct build {
	const struct ptab_packet *p;
	unsigned	 tag;
	unsigned	 family;
	uint8_t		 src[16], dst[16];
	uint8_t		 eth_src[6], eth_dst[6];
	unsigned	 protocol;
	uint16_t	 sport, dport;
	uint32_t	 seq, ack;
	unsigned	 flags;
	uint8_t		 hops;
	uint8_t		 l4[2048];
	size_t		 len;
	size_t		 payload;
};

static void
put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static unsigned
get16(const uint8_t *p)
{
	return (unsigned)(p[0] << 8 | p[1]);
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static uint32_t
sum(const uint8_t *p, size_t len, uint32_t s)
{
	for (; len > 1; p += 2, len -= 2)
		s += get16(p);
	return len > 0 ? s + (uint32_t)(p[0] << 8) : s;
}

static unsigned
fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return ~s & 0xffff;
}

static size_t
ip_size(unsigned family)
{
	return family == 4 ? 4 : 16;
}

/* With the addresses, as TCP, UDP and ICMPv6 want it. */
static unsigned
checksum(const struct build *b)
{
	uint32_t s = 0;

	s = sum(b->src, ip_size(b->family), s);
	s = sum(b->dst, ip_size(b->family), s);
	return fold(sum(b->l4, b->len, s + b->protocol + (uint32_t)b->len));
}

static void
put_tags(struct build *b, size_t len)
{
	size_t i;

	for (i = 0; i + TAG <= len; i += TAG) {
		memcpy(b->l4 + b->len, MARK, 4);
		put32(b->l4 + b->len + 4, b->tag);
		b->len += TAG;
	}
}

static void
put_tcp(struct build *b)
{
	put16(b->l4, b->sport);
	put16(b->l4 + 2, b->dport);
	put32(b->l4 + 4, b->seq);
	put32(b->l4 + 8, b->ack);
	b->l4[12] = 5 << 4;
	b->l4[13] = (uint8_t)b->flags;
	put16(b->l4 + 14, 8192);
	b->len = 20;
	put_tags(b, b->payload);
	put16(b->l4 + 16, checksum(b));
}

static void
put_udp(struct build *b)
{
	put16(b->l4, b->sport);
	put16(b->l4 + 2, b->dport);
	put16(b->l4 + 4, (unsigned)(8 + b->payload));
	b->len = 8;
	put_tags(b, b->payload);
	put16(b->l4 + 6, checksum(b));
}

static void
icmp_checksum(struct build *b)
{
	put16(b->l4 + 2, b->family == 6 ? checksum(b) :
	    fold(sum(b->l4, b->len, 0)));
}

/* The identifier is where `sport` is kept. */
static void
put_icmp(struct build *b, unsigned type, unsigned code)
{
	b->l4[0] = (uint8_t)type;
	b->l4[1] = (uint8_t)code;
	put16(b->l4 + 4, b->sport);
	put16(b->l4 + 6, 1);
	b->len = 8;
	put_tags(b, b->payload);
	icmp_checksum(b);
}

/* An option with a hardware address: 1 the source's, 2 the target's. */
static void
put_lladdr(struct build *b, uint8_t option)
{
	const struct ptab_name *n = b->p->lladdr;
	uint8_t *o = b->l4 + b->len;

	o[0] = option;
	o[1] = 1;
	memcpy(o + 2, n != NULL ? n->mac : b->eth_src, 6);
	b->len += 8;
}

static void
put_nd(struct build *b)
{
	const struct ptab_packet *p = b->p;
	const struct ptab_name *target = p->target;
	uint8_t *o;

	if (target == NULL)
		target = p->type == 136 ? p->src.who : p->dst.who;
	b->l4[0] = (uint8_t)p->type;
	b->len = 8;
	if (p->type == 134) {
		put32(b->l4 + 4, 64u << 24 | 1800);
		b->len = 16;
	} else if (p->type >= 135) {
		/* Solicited, overrides. */
		if (p->type == 136)
			put32(b->l4 + 4, 0x60000000);
		memcpy(b->l4 + 8, target->v6, 16);
		b->len = 24;
	}
	if (p->type == 137) {
		memcpy(b->l4 + 24, p->dst.who->v6, 16);
		b->len = 40;
	}
	/* Who has no address yet tells none. */
	if (p->type == 136 || p->type == 137 || b->src[0] != 0)
		put_lladdr(b, p->type >= 136 ? 2 : 1);
	o = b->l4 + b->len;
	o[0] = 253;
	o[1] = 2;
	b->len += 4;
	put_tags(b, TAG);
	b->len += 4;
	b->hops = 255;
	icmp_checksum(b);
}

/* With the header that was seen, and what conntrack needs of what follows. */
static void
put_error(struct build *b, const struct pframe *seen)
{
	static const uint8_t types[2][3][2] = {
		{ { 3, 3 }, { 11, 0 }, { 3, 4 } },
		{ { 1, 4 }, { 3, 0 }, { 2, 0 } },
	};
	size_t len = (b->family == 4 ? 20 : 40) + 8;
	unsigned type = b->p->type;

	b->l4[0] = types[b->family == 6][type][0];
	b->l4[1] = types[b->family == 6][type][1];
	if (type == 2)
		put32(b->l4 + 4, 1400);
	memcpy(b->l4 + 8, seen->bytes + ETHER, len);
	b->len = 8 + len;
	put_tags(b, TAG);
	b->protocol = b->family == 4 ? 1 : 58;
	icmp_checksum(b);
}

static size_t
put_ip4(const struct build *b, uint8_t *h, size_t len, unsigned fragment)
{
	h[0] = 0x45;
	put16(h + 2, (unsigned)(20 + len));
	put16(h + 4, b->tag & 0xffff);
	put16(h + 6, fragment);
	h[8] = b->hops;
	h[9] = (uint8_t)b->protocol;
	memcpy(h + 12, b->src, 4);
	memcpy(h + 16, b->dst, 4);
	put16(h + 10, fold(sum(h, 20, 0)));
	return 20;
}

static size_t
put_ip6(const struct build *b, uint8_t *h, size_t len, bool fragmented,
    unsigned fragment)
{
	h[0] = 0x60;
	put16(h + 4, (unsigned)(len + (fragmented ? 8 : 0)));
	h[6] = fragmented ? FRAGMENT : (uint8_t)b->protocol;
	h[7] = b->hops;
	memcpy(h + 8, b->src, 16);
	memcpy(h + 24, b->dst, 16);
	if (!fragmented)
		return 40;
	h[40] = (uint8_t)b->protocol;
	put16(h + 42, fragment);
	put32(h + 44, b->tag);
	return 48;
}

/* A frame with bytes [from, from + len) of what is in IP. */
static void
put_frame(const struct build *b, struct pframe *f, size_t from, size_t len)
{
	bool whole = len == b->len, last = from + len == b->len;
	uint8_t *ip = f->bytes + ETHER;
	size_t header;

	memset(f, 0, sizeof(*f));
	memcpy(f->bytes, b->eth_dst, 6);
	memcpy(f->bytes + 6, b->eth_src, 6);
	if (b->family == 4) {
		put16(f->bytes + 12, TYPE_IP4);
		header = put_ip4(b, ip, len, (unsigned)from / 8 |
		    (last ? 0 : 0x2000));
	} else {
		put16(f->bytes + 12, TYPE_IP6);
		header = put_ip6(b, ip, len, !whole, (unsigned)from |
		    !last);
	}
	memcpy(ip + header, b->l4 + from, len);
	f->len = ETHER + header + len;
}

static void
put_frames(const struct build *b, struct pframe out[2], size_t *n)
{
	enum ptab_frag frag = b->p->frag;

	*n = 0;
	if (frag == PTAB_WHOLE) {
		put_frame(b, &out[(*n)++], 0, b->len);
		return;
	}
	if (frag != PTAB_FRAG_REST)
		put_frame(b, &out[(*n)++], 0, FRAG_FIRST);
	if (frag != PTAB_FRAG_FIRST)
		put_frame(b, &out[(*n)++], FRAG_FIRST, b->len - FRAG_FIRST);
}

static void
put_arp(struct build *b, struct pframe *f)
{
	const struct ptab_packet *p = b->p;
	uint8_t *a = f->bytes + ETHER;

	memset(f, 0, sizeof(*f));
	memcpy(f->bytes, b->eth_dst, 6);
	memcpy(f->bytes + 6, b->eth_src, 6);
	put16(f->bytes + 12, TYPE_ARP);
	put16(a, 1);
	put16(a + 2, TYPE_IP4);
	a[4] = 6;
	a[5] = 4;
	put16(a + 6, p->type);
	memcpy(a + 8, p->lladdr != NULL ? p->lladdr->mac : b->eth_src, 6);
	memcpy(a + 14, p->src.who->v4, 4);
	if (p->type == 2)
		memcpy(a + 18, b->eth_dst, 6);
	memcpy(a + 24, p->dst.who->v4, 4);
	memcpy(a + 28, MARK, 4);
	put32(a + 32, b->tag);
	f->len = 60;
}

static void
put_ether(struct build *b, struct pframe *f)
{
	memset(f, 0, sizeof(*f));
	memcpy(f->bytes, b->eth_dst, 6);
	memcpy(f->bytes + 6, b->eth_src, 6);
	put16(f->bytes + 12, b->p->protocol);
	put_tags(b, b->payload);
	memcpy(f->bytes + ETHER, b->l4, b->len);
	f->len = ETHER + b->len;
}

/* To whom a frame goes that is for an address of many. */
static bool
group_mac(const struct build *b, uint8_t mac[6])
{
	static const uint8_t all[4] = { 255, 255, 255, 255 };

	if (b->family == 6 && b->dst[0] == 0xff) {
		mac[0] = mac[1] = 0x33;
		memcpy(mac + 2, b->dst + 12, 4);
		return true;
	}
	if (b->family == 4 && memcmp(b->dst, all, 4) == 0) {
		memset(mac, 0xff, 6);
		return true;
	}
	if (b->family == 4 && (b->dst[0] & 0xf0) == 0xe0) {
		memcpy(mac, "\1\0\x5e", 3);
		memcpy(mac + 3, b->dst + 1, 3);
		mac[3] &= 0x7f;
		return true;
	}
	return false;
}

static int
find_macs(struct build *b)
{
	const struct ptab_packet *p = b->p;
	const struct ptab_name *seg = ptab_segment(p->sender), *to;

	memcpy(b->eth_src, (p->eth_src != NULL ? p->eth_src :
	    p->sender)->mac, 6);
	if (p->eth_dst == NULL && group_mac(b, b->eth_dst))
		return 0;
	if (p->kind == PTAB_ARP && p->type == 1 && p->eth_dst == NULL) {
		memset(b->eth_dst, 0xff, 6);
		return 0;
	}
	to = p->eth_dst;
	if (to == NULL && p->dst.who != NULL &&
	    ptab_segment(p->dst.who) == seg && p->dst.who->has_mac)
		to = p->dst.who;
	if (to == NULL)
		to = seg;
	memcpy(b->eth_dst, to->mac, 6);
	return to->has_mac ? 0 : -EINVAL;
}

static void
copy_ip(uint8_t *to, const struct ptab_name *n, unsigned family)
{
	if (n != NULL && family != 0)
		memcpy(to, ptab_ip(n, family), ip_size(family));
}

/* An address is asked for at the group of those that end like it. */
static void
solicit(struct build *b)
{
	static const uint8_t group[13] = {
		0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff,
	};

	if (b->p->kind == PTAB_ND && b->p->type == 135 &&
	    b->p->eth_dst == NULL)
		memcpy(b->dst, group, sizeof(group));
}

static int
build_begin(struct build *b, const struct ptab_packet *p, unsigned tag)
{
	memset(b, 0, sizeof(*b));
	b->p = p;
	b->tag = tag;
	b->family = p->family;
	b->protocol = p->protocol;
	b->hops = 64;
	b->payload = p->frag == PTAB_WHOLE ? PAYLOAD : PAYLOAD_FRAG;
	b->flags = p->flags;
	b->seq = SEQ_CLIENT;
	b->sport = p->kind == PTAB_ICMP && p->src.port == 0 ?
	    0x1d00 | (tag & 0xff) : p->src.port;
	b->dport = p->dst.port;
	copy_ip(b->src, p->src.who, p->family);
	copy_ip(b->dst, p->dst.who, p->family);
	solicit(b);
	return find_macs(b);
}

static void
put_l4(struct build *b, unsigned type, unsigned code)
{
	switch (b->protocol) {
	case 6:
		put_tcp(b);
		break;
	case 17:
		put_udp(b);
		break;
	case 1:
	case 58:
		put_icmp(b, type, code);
		break;
	default:
		put_tags(b, b->payload);
	}
}

/* The same, or, turned round, the answer to what was seen. */
static int
build_related(struct build *b, const struct pframe *seen, bool turn)
{
	struct pframe_view v;
	size_t size = ip_size(b->family);
	unsigned type;

	if (!pframe_look(&v, seen->bytes, seen->len) || v.l4 == NULL)
		return -ENOENT;
	memcpy(b->src, turn ? v.dst : v.src, size);
	memcpy(b->dst, turn ? v.src : v.dst, size);
	b->sport = turn ? v.dport : v.sport;
	b->dport = turn ? v.sport : v.dport;
	memcpy(b->eth_dst, seen->bytes + (turn ? 6 : 0), 6);
	if (b->p->eth_dst != NULL)
		memcpy(b->eth_dst, b->p->eth_dst->mac, 6);
	b->seq = turn ? SEQ_SERVER : SEQ_CLIENT + PAYLOAD + 1;
	b->ack = turn ? SEQ_CLIENT + PAYLOAD + 1 : SEQ_SERVER + PAYLOAD + 1;
	type = b->family == 4 ? (turn ? 0 : 8) : (turn ? 129 : 128);
	if (v.protocol == 1 || v.protocol == 58)
		b->sport = (uint16_t)get16(v.l4 + 4);
	if (b->p->kind == PTAB_ERROR) {
		copy_ip(b->src, b->p->sender, b->family);
		put_error(b, seen);
		return 0;
	}
	put_l4(b, type, 0);
	return 0;
}

int
pframe_build(const struct ptab_packet *p, unsigned tag,
    const struct pframe *seen, struct pframe out[2], size_t *n)
{
	struct build b;
	int error;

	error = build_begin(&b, p, tag);
	if (p->of != NULL)
		error = seen == NULL ? -ENOENT :
		    build_related(&b, seen, p->kind != PTAB_AGAIN);
	if (error != 0)
		return error;
	*n = 1;
	if (p->kind == PTAB_ARP) {
		put_arp(&b, &out[0]);
		return 0;
	}
	if (p->kind == PTAB_ETHER) {
		put_ether(&b, &out[0]);
		return 0;
	}
	if (p->kind == PTAB_ND)
		put_nd(&b);
	else if (p->of == NULL)
		put_l4(&b, p->type, p->code);
	put_frames(&b, out, n);
	return 0;
}

unsigned
pframe_tag(const uint8_t *bytes, size_t len)
{
	const uint8_t *p;

	if (len < TAG)
		return 0;
	p = memmem(bytes, len - 4, MARK, 4);
	return p == NULL ? 0 : get32(p + 4);
}

/* Errors, and redirects, quote packets with their tags. */
static bool
quotes(const struct pframe_view *v)
{
	unsigned type;

	if (v->l4 == NULL)
		return false;
	type = v->l4[0];
	if (v->protocol == 1)
		return type == 3 || type == 5 || type == 11 || type == 12;
	return v->protocol == 58 && ((type >= 1 && type <= 4) || type == 137);
}

static void
look_l4(struct pframe_view *v, const uint8_t *l4, size_t len)
{
	if (len < 8)
		return;
	v->l4 = l4;
	v->ports = v->protocol == 6 || v->protocol == 17;
	if (v->ports) {
		v->sport = (uint16_t)get16(l4);
		v->dport = (uint16_t)get16(l4 + 2);
	}
	v->is_error = quotes(v);
}

static void
look_ip4(struct pframe_view *v, const uint8_t *ip, size_t len)
{
	if (len < 20)
		return;
	v->family = 4;
	v->src = ip + 12;
	v->dst = ip + 16;
	v->protocol = ip[9];
	if ((get16(ip + 6) & 0x1fff) == 0)
		look_l4(v, ip + 20, len - 20);
}

static void
look_ip6(struct pframe_view *v, const uint8_t *ip, size_t len)
{
	if (len < 48)
		return;
	v->family = 6;
	v->src = ip + 8;
	v->dst = ip + 24;
	v->protocol = ip[6];
	if (v->protocol != FRAGMENT) {
		look_l4(v, ip + 40, len - 40);
		return;
	}
	v->protocol = ip[40];
	if ((get16(ip + 42) & 0xfff8) == 0)
		look_l4(v, ip + 48, len - 48);
}

bool
pframe_look(struct pframe_view *v, const uint8_t *frame, size_t len)
{
	memset(v, 0, sizeof(*v));
	if (len < ETHER)
		return false;
	v->tag = pframe_tag(frame + ETHER, len - ETHER);
	if (v->tag == 0)
		return false;
	v->type = get16(frame + 12);
	if (v->type == TYPE_IP4)
		look_ip4(v, frame + ETHER, len - ETHER);
	else if (v->type == TYPE_IP6)
		look_ip6(v, frame + ETHER, len - ETHER);
	return true;
}
