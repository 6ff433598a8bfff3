/* SPDX-License-Identifier: ISC */
/*
 * Reads a table of packets: see ptab.h.
 */
#include "ptab.h"

#include <arpa/inet.h>

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define PTAB_WORDS	16
#define PTAB_PACKETS	2000

/* A file as it is read. */
struct reader {
	struct ptab	*t;
	unsigned	 line;
	char		*err;
	size_t		 errlen;
};

__attribute__((__format__(__printf__, 2, 3)))
static int
bad(struct reader *r, const char *fmt, ...)
{
	va_list ap;
	int n;

	n = snprintf(r->err, r->errlen, "line %u: ", r->line);
	if (n < 0 || (size_t)n >= r->errlen)
		return -EINVAL;
	va_start(ap, fmt);
	vsnprintf(r->err + n, r->errlen - (size_t)n, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

const struct ptab_name *
ptab_find(const struct ptab *t, const char *name)
{
	size_t i;

	for (i = 0; i < t->nnames; i++)
		if (strcmp(t->names[i].name, name) == 0)
			return &t->names[i];
	return NULL;
}

const struct ptab_name *
ptab_party(const struct ptab_name *n)
{
	while (n != NULL && n->role == PTAB_BEHIND)
		n = n->up;
	return n != NULL && n->role == PTAB_PARTY ? n : NULL;
}

const struct ptab_name *
ptab_segment(const struct ptab_name *n)
{
	while (n != NULL && n->role != PTAB_SEGMENT)
		n = n->up;
	return n;
}

const uint8_t *
ptab_ip(const struct ptab_name *n, unsigned family)
{
	if (family == 4)
		return n->has4 ? n->v4 : NULL;
	return n->has6 ? n->v6 : NULL;
}

/* Cuts a line into words; their number. */
static size_t
split(char *text, char **words)
{
	size_t n = 0;
	char *p;

	for (p = strtok(text, " \t"); p != NULL && n < PTAB_WORDS;
	    p = strtok(NULL, " \t"))
		words[n++] = p;
	return n;
}

static bool
read_number(const char *text, unsigned max, unsigned *n)
{
	unsigned long v;
	char *end;

	v = strtoul(text, &end, 0);
	if (end == text || *end != '\0' || v > max)
		return false;
	*n = (unsigned)v;
	return true;
}

/* ADDRESS[/BITS] or -. */
static bool
read_ip(char *text, int af, uint8_t *ip, unsigned *bits, bool *has)
{
	char *slash = strchr(text, '/');

	*has = false;
	if (strcmp(text, "-") == 0)
		return true;
	if (slash != NULL) {
		*slash = '\0';
		if (!read_number(slash + 1, af == AF_INET ? 32 : 128, bits))
			return false;
	}
	*has = inet_pton(af, text, ip) == 1;
	return *has;
}

static bool
read_mac(const char *text, struct ptab_name *n)
{
	unsigned b[6], i;
	char end;

	if (strcmp(text, "-") == 0)
		return true;
	if (sscanf(text, "%x:%x:%x:%x:%x:%x%c", &b[0], &b[1], &b[2], &b[3],
	    &b[4], &b[5], &end) != 6)
		return false;
	for (i = 0; i < 6; i++)
		n->mac[i] = (uint8_t)b[i];
	n->has_mac = true;
	return true;
}

static int
read_addresses(struct reader *r, struct ptab_name *n, char **word,
    const char *mac)
{
	if (!read_ip(word[0], AF_INET, n->v4, &n->bits4, &n->has4) ||
	    !read_ip(word[1], AF_INET6, n->v6, &n->bits6, &n->has6))
		return bad(r, "%s %s: no addresses", word[0], word[1]);
	if (mac != NULL && !read_mac(mac, n))
		return bad(r, "%s: no hardware address", mac);
	return 0;
}

static int
set_name(struct reader *r, struct ptab_name *n, const char *name)
{
	if (strlen(name) >= sizeof(n->name) || strcmp(name, "host") == 0 ||
	    strcmp(name, "none") == 0)
		return bad(r, "%s: no name for anybody", name);
	if (ptab_find(r->t, name) != NULL)
		return bad(r, "there is a %s already", name);
	strcpy(n->name, name);
	return 0;
}

static int
set_up(struct reader *r, struct ptab_name *n, const char *name,
    enum ptab_role role)
{
	n->up = ptab_find(r->t, name);
	if (n->up == NULL || n->up->role != role)
		return bad(r, "there is no such %s: %s",
		    role == PTAB_SEGMENT ? "segment" : "party", name);
	return 0;
}

static int
read_segment(struct reader *r, struct ptab_name *n, char **word)
{
	snprintf(n->iface, sizeof(n->iface), "%s", word[2]);
	return read_addresses(r, n, word + 4, word[3]);
}

static int
read_party(struct reader *r, struct ptab_name *n, char **word)
{
	snprintf(n->iface, sizeof(n->iface), "%s", word[3]);
	if (set_up(r, n, word[2], PTAB_SEGMENT) != 0)
		return -EINVAL;
	return read_addresses(r, n, word + 5, word[4]);
}

static int
read_behind(struct reader *r, struct ptab_name *n, char **word)
{
	if (set_up(r, n, word[2], PTAB_PARTY) != 0)
		return -EINVAL;
	snprintf(n->iface, sizeof(n->iface), "%s", n->up->iface);
	memcpy(n->mac, n->up->mac, sizeof(n->mac));
	n->has_mac = n->up->has_mac;
	return read_addresses(r, n, word + 3, NULL);
}

static int
read_addr(struct reader *r, struct ptab_name *n, char **word)
{
	return read_addresses(r, n, word + 2, word[4]);
}

/* A line that says who is where. */
static int
read_name(struct reader *r, char **word, size_t nwords)
{
	static const struct {
		const char	*word;
		enum ptab_role	 role;
		size_t		 min, max;
		int		 (*fn)(struct reader *, struct ptab_name *,
		    char **);
	} kinds[] = {
		{ "segment", PTAB_SEGMENT, 6, 6, read_segment },
		{ "party", PTAB_PARTY, 7, 7, read_party },
		{ "behind", PTAB_BEHIND, 5, 5, read_behind },
		{ "addr", PTAB_ADDR, 4, 5, read_addr },
	};
	struct ptab *t = r->t;
	struct ptab_name *n = &t->names[t->nnames];
	size_t i;
	int error;

	if (strcmp(word[0], "default") == 0 && nwords == 2) {
		t->gateway = ptab_party(ptab_find(t, word[1]));
		return t->gateway == NULL ? bad(r, "%s: no party", word[1]) :
		    0;
	}
	if (t->nnames == PTAB_NAMES)
		return bad(r, "too many names");
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(word[0], kinds[i].word) != 0)
			continue;
		if (nwords < kinds[i].min || nwords > kinds[i].max)
			return bad(r, "%s: words are missing", word[0]);
		n->role = kinds[i].role;
		error = set_name(r, n, word[1]);
		if (error == 0)
			error = kinds[i].fn(r, n, word);
		t->nnames += error == 0;
		return error;
	}
	return bad(r, "%s: unknown", word[0]);
}

static int
name_of(struct reader *r, const char *name, unsigned family,
    const struct ptab_name **np)
{
	*np = ptab_find(r->t, name);
	if (*np == NULL)
		return bad(r, "nobody is called %s", name);
	if (family != 0 && ptab_ip(*np, family) == NULL)
		return bad(r, "%s has no address of IPv%u", name, family);
	return 0;
}

/* NAME, or NAME:PORT, or NAME:*. */
static int
read_end(struct reader *r, const char *text, unsigned family,
    struct ptab_end *e)
{
	char name[64];
	unsigned port = 0;
	char *colon;

	snprintf(name, sizeof(name), "%s", text);
	colon = strchr(name, ':');
	if (colon != NULL) {
		*colon = '\0';
		e->any_port = strcmp(colon + 1, "*") == 0;
		if (!e->any_port && !read_number(colon + 1, 65535, &port))
			return bad(r, "%s: no port", text);
		e->port = (uint16_t)port;
	}
	return name_of(r, name, family, &e->who);
}

/* SRC > DST at the first three words. */
static int
read_ends(struct reader *r, char **word, size_t nwords, unsigned family,
    struct ptab_end *src, struct ptab_end *dst)
{
	int error;

	if (nwords < 3 || strcmp(word[1], ">") != 0)
		return bad(r, "SRC > DST is missing");
	error = read_end(r, word[0], family, src);
	return error != 0 ? error : read_end(r, word[2], family, dst);
}

static int
read_flags(struct reader *r, const char *text, unsigned *flags)
{
	static const char letters[] = "FSR.A";
	const char *p;

	*flags = 0;
	for (; *text != '\0'; text++) {
		p = strchr(letters, *text);
		if (p == NULL || *p == '.')
			return bad(r, "%c is no flag of TCP", *text);
		*flags |= 1u << (p - letters);
	}
	return 0;
}

/* Words with a = may stand anywhere; takes them out. */
static int
read_options(struct reader *r, struct ptab_packet *p, char **word,
    size_t *nwords)
{
	static const char *const frags[] = { "", "all", "first", "rest" };
	size_t i, j, n = 0;
	const char *v;
	int error = 0;

	for (i = 0; i < *nwords && error == 0; i++) {
		v = strchr(word[i], '=');
		if (v == NULL) {
			word[n++] = word[i];
		} else if (strncmp(word[i], "from=", 5) == 0) {
			error = name_of(r, v + 1, 0, &p->eth_src);
		} else if (strncmp(word[i], "to=", 3) == 0) {
			error = name_of(r, v + 1, 0, &p->eth_dst);
		} else if (strncmp(word[i], "lladdr=", 7) == 0) {
			error = name_of(r, v + 1, 0, &p->lladdr);
		} else if (strncmp(word[i], "frag=", 5) == 0) {
			for (j = 1; j < 4 && strcmp(v + 1, frags[j]) != 0;)
				j++;
			p->frag = (enum ptab_frag)j;
			if (j == 4)
				error = bad(r, "%s: unknown", word[i]);
		} else {
			error = bad(r, "%s: unknown", word[i]);
		}
	}
	*nwords = n;
	return error;
}

static int
read_port_packet(struct reader *r, struct ptab_packet *p, char **word,
    size_t n)
{
	int error;

	error = read_ends(r, word + 1, n - 1, p->family, &p->src, &p->dst);
	if (error != 0)
		return error;
	/* Connections of two packets are two. */
	if (p->src.port == 0)
		p->src.port = (uint16_t)(10000 + r->line);
	p->flags = PTAB_SYN;
	if (n == 5 && p->kind == PTAB_TCP)
		return read_flags(r, word[4], &p->flags);
	return n == 4 ? 0 : bad(r, "too many words");
}

static int
read_icmp(struct reader *r, struct ptab_packet *p, char **word, size_t n)
{
	p->type = p->family == 4 ? 8 : 128;
	p->protocol = p->family == 4 ? 1 : 58;
	if (n > 6 || (n > 4 && !read_number(word[4], 255, &p->type)) ||
	    (n > 5 && !read_number(word[5], 255, &p->code)))
		return bad(r, "TYPE and CODE are numbers");
	return read_ends(r, word + 1, n - 1, p->family, &p->src, &p->dst);
}

static int
read_ip_packet(struct reader *r, struct ptab_packet *p, char **word,
    size_t n)
{
	if (n != 5 || !read_number(word[1], 255, &p->protocol))
		return bad(r, "ip PROTOCOL SRC > DST");
	return read_ends(r, word + 2, n - 2, p->family, &p->src, &p->dst);
}

static int
read_arp(struct reader *r, struct ptab_packet *p, char **word, size_t n)
{
	if (n != 5 || p->family != 4 || (strcmp(word[1], "request") != 0 &&
	    strcmp(word[1], "reply") != 0))
		return bad(r, "arp request|reply SRC > DST, of IPv4");
	p->type = strcmp(word[1], "request") == 0 ? 1 : 2;
	p->protocol = 0x0806;
	return read_ends(r, word + 2, n - 2, 4, &p->src, &p->dst);
}

static int
read_nd(struct reader *r, struct ptab_packet *p, char **word, size_t n)
{
	static const char *const types[] = {
		"rs", "ra", "ns", "na", "redirect",
	};
	int error;

	for (p->type = 0; p->type < 5; p->type++)
		if (strcmp(types[p->type], word[0]) == 0)
			break;
	p->type += 133;
	p->protocol = 58;
	if (p->family != 6 || n > 5)
		return bad(r, "%s SRC > DST [TARGET], of IPv6", word[0]);
	error = read_ends(r, word + 1, n - 1, 6, &p->src, &p->dst);
	if (error == 0 && n == 5)
		error = name_of(r, word[4], 6, &p->target);
	return error;
}

static int
read_ether(struct reader *r, struct ptab_packet *p, char **word, size_t n)
{
	if (n != 3 || !read_number(word[1], 0xffff, &p->protocol))
		return bad(r, "ether TYPE DST");
	return name_of(r, word[2], 0, &p->eth_dst);
}

/* A packet that there was of that family, or of either. */
static const struct ptab_packet *
find_packet(const struct ptab *t, const char *id, unsigned family)
{
	size_t i;

	for (i = 0; i < t->npackets; i++)
		if (strcmp(t->packets[i].id, id) == 0 &&
		    t->packets[i].family == family)
			return &t->packets[i];
	return NULL;
}

static int
read_related(struct reader *r, struct ptab_packet *p, char **word, size_t n)
{
	static const char *const errors[] = { "unreach", "expired", "big" };

	if (n < 2 || n > 3)
		return bad(r, "%s ID", word[0]);
	p->of = find_packet(r->t, word[1], p->family);
	if (p->of == NULL)
		return bad(r, "there was no %s", word[1]);
	p->protocol = p->of->protocol;
	p->flags = p->kind == PTAB_AGAIN ? PTAB_ACK : PTAB_SYN | PTAB_ACK;
	if (p->kind != PTAB_ERROR)
		return n == 3 ? read_flags(r, word[2], &p->flags) : 0;
	for (p->type = 0; n == 3 && p->type < 3; p->type++)
		if (strcmp(word[2], errors[p->type]) == 0)
			return 0;
	return bad(r, "error ID unreach|expired|big");
}

static int
read_packet(struct reader *r, struct ptab_packet *p, char *text)
{
	static const struct {
		const char	*word;
		enum ptab_kind	 kind;
		unsigned	 protocol;
		int		 (*fn)(struct reader *, struct ptab_packet *,
		    char **, size_t);
	} kinds[] = {
		{ "tcp", PTAB_TCP, 6, read_port_packet },
		{ "udp", PTAB_UDP, 17, read_port_packet },
		{ "icmp", PTAB_ICMP, 0, read_icmp },
		{ "ip", PTAB_IP, 0, read_ip_packet },
		{ "arp", PTAB_ARP, 0, read_arp },
		{ "rs", PTAB_ND, 0, read_nd },
		{ "ra", PTAB_ND, 0, read_nd },
		{ "ns", PTAB_ND, 0, read_nd },
		{ "na", PTAB_ND, 0, read_nd },
		{ "redirect", PTAB_ND, 0, read_nd },
		{ "ether", PTAB_ETHER, 0, read_ether },
		{ "reply", PTAB_REPLY, 0, read_related },
		{ "again", PTAB_AGAIN, 0, read_related },
		{ "error", PTAB_ERROR, 0, read_related },
	};
	char *word[PTAB_WORDS];
	size_t i, n;
	int error;

	n = split(text, word);
	error = read_options(r, p, word, &n);
	if (error != 0)
		return error;
	for (i = 0; n > 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(word[0], kinds[i].word) != 0)
			continue;
		p->kind = kinds[i].kind;
		p->protocol = kinds[i].protocol;
		return kinds[i].fn(r, p, word, n);
	}
	return bad(r, "%s: no kind of packet", n > 0 ? word[0] : "");
}

/* By commas. */
static int
read_who(struct reader *r, struct ptab_packet *p, char *text)
{
	const struct ptab_name *n;
	char *name, *save = NULL;

	for (name = strtok_r(text, ",", &save); name != NULL;
	    name = strtok_r(NULL, ",", &save)) {
		if (strcmp(name, "host") == 0) {
			p->to_host = true;
			continue;
		}
		n = ptab_find(r->t, name);
		if (ptab_party(n) == NULL || p->nwho == PTAB_WHO)
			return bad(r, "%s gets nothing", name);
		p->who[p->nwho++] = n;
	}
	return 0;
}

static int
read_expected(struct reader *r, struct ptab_packet *p, char *text)
{
	char *word[PTAB_WORDS];
	size_t n;
	int error;

	n = split(text, word);
	if (n == 0)
		return bad(r, "nothing is expected");
	if (strcmp(word[0], "none") == 0)
		return n == 1 ? 0 : bad(r, "none, and more");
	error = read_who(r, p, word[0]);
	if (error != 0 || n == 1)
		return error;
	p->translated = true;
	if (n != 4)
		return bad(r, "WHO [SRC > DST]");
	return read_ends(r, word + 1, n - 1, p->family, &p->as_src,
	    &p->as_dst);
}

/* One packet of a line, of one family. */
static int
read_line_family(struct reader *r, char *const *field, unsigned family)
{
	struct ptab *t = r->t;
	struct ptab_packet *p = &t->packets[t->npackets];
	char packet[256], expected[256];
	int error;

	if (t->npackets == PTAB_PACKETS)
		return bad(r, "too many packets");
	p->line = r->line;
	p->family = family;
	if (strlen(field[0]) >= sizeof(p->id) ||
	    find_packet(t, field[0], family) != NULL)
		return bad(r, "%s: too long, or there is one", field[0]);
	strcpy(p->id, field[0]);
	p->sender = ptab_find(t, field[2]);
	if (ptab_party(p->sender) == NULL)
		return bad(r, "%s sends nothing", field[2]);
	snprintf(packet, sizeof(packet), "%s", field[3]);
	snprintf(expected, sizeof(expected), "%s", field[4]);
	error = read_packet(r, p, packet);
	if (error == 0)
		error = read_expected(r, p, expected);
	if (error == 0 && field[5] != NULL &&
	    strcmp(field[5], "bridge-ct") != 0)
		error = bad(r, "needs %s", field[5]);
	p->needs_bridge_ct = field[5] != NULL;
	t->npackets += error == 0;
	return error;
}

/* Fields by |, without blanks around; NULL behind the last. */
static size_t
fields(char *text, char **field, size_t max)
{
	char *end, *p = text;
	size_t n = 0;

	while (p != NULL && n < max) {
		char *next = strchr(p, '|');

		if (next != NULL)
			*next++ = '\0';
		p += strspn(p, " \t");
		end = p + strlen(p);
		while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
			*--end = '\0';
		field[n++] = p;
		p = next;
	}
	field[n] = NULL;
	return p == NULL ? n : max + 1;
}

static int
read_line(struct reader *r, char *text)
{
	char *field[8] = { NULL }, *word[PTAB_WORDS] = { NULL };
	const char *f;
	size_t n;
	int error = 0;

	text[strcspn(text, "#\n")] = '\0';
	if (text[strspn(text, " \t")] == '\0')
		return 0;
	if (strchr(text, '|') == NULL) {
		n = split(text, word);
		return read_name(r, word, n);
	}
	n = fields(text, field, 6);
	if (n < 5 || n > 6 || *field[1] == '\0')
		return bad(r, "ID | FAMILIES | PARTY | PACKET | EXPECTED");
	if (strcmp(field[1], "-") == 0)
		return read_line_family(r, field, 0);
	for (f = field[1]; *f != '\0' && error == 0; f++) {
		if (*f != '4' && *f != '6')
			return bad(r, "%s: no families", field[1]);
		error = read_line_family(r, field, (unsigned)(*f - '0'));
	}
	return error;
}

int
ptab_read(struct ptab *t, FILE *f, char *err, size_t errlen)
{
	struct reader r = { .t = t, .err = err, .errlen = errlen };
	char *line = NULL;
	size_t size = 0;
	int error = 0;

	memset(t, 0, sizeof(*t));
	/* Those that are pointed to do not move. */
	t->packets = calloc(PTAB_PACKETS, sizeof(*t->packets));
	if (t->packets == NULL)
		return bad(&r, "no memory");
	while (error == 0 && getline(&line, &size, f) != -1) {
		r.line++;
		error = read_line(&r, line);
	}
	free(line);
	if (error != 0)
		ptab_free(t);
	return error;
}

void
ptab_free(struct ptab *t)
{
	free(t->packets);
	t->packets = NULL;
	t->npackets = 0;
}
