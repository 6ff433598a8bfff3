/* SPDX-License-Identifier: ISC */
/*
 * The firewall for pf of OpenBSD 7.8, as one would write it by hand: tables,
 * and an anchor with one in it for each switch, to be included in
 * /etc/pf.conf before that has rules of its own:
 *
 *	# The guests of vmmd(8)
 *	include "/etc/vmmd.pf.conf"
 *
 * Whatever a guest sends or gets is decided in it, quickly; what it does not
 * know goes on to the rules behind it.
 *
 * veb(4) with link1 has pf look at its ports: a packet of a guest's comes in on
 * its tap, where FRAME, RDR, HOST and OUT are, and goes out on another's, where
 * IN is.  What is for the host or beyond passes the switch's vport(4), in or
 * out, which knows what was routed.  As a packet is seen several times, states
 * are bound to an interface; who sent a packet is a tag's to say.
 *
 * Rules are in the order of fw.h, each quick, so that the first one decides.
 */
#include "net/fw_pf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/addr.h"
#include "net/frame.h"

#define COLUMNS		79

/* What pf has by default (pf.conf(5), set limit). */
#define ANCHORS		512
#define TABLES		1000

void
fw_pf_fail(struct fw_pf *w, const char *fmt, ...)
{
	va_list ap;

	if (w->error != 0)
		return;
	w->error = -EOPNOTSUPP;
	va_start(ap, fmt);
	vsnprintf(w->err, w->errlen, fmt, ap);
	va_end(ap);
}

static void
add(struct fw_pf *w, const char *fmt, va_list ap)
{
	size_t room = sizeof(w->line) - w->len;
	int n = vsnprintf(w->line + w->len, room, fmt, ap);

	if (n >= 0 && (size_t)n < room)
		w->len += (size_t)n;
	else
		fw_pf_fail(w, "a line is too long for pf");
}

void
fw_pf_add(struct fw_pf *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(w, fmt, ap);
	va_end(ap);
}

static void
put(struct fw_pf *w, const char *text, size_t n)
{
	int ret = buf_append(w->b, text, n);

	if (ret != 0 && w->error == 0)
		w->error = ret;
}

/* How much of the text goes in a line of so many columns: up to a space. */
static size_t
fitting(const char *text, size_t len, size_t columns)
{
	size_t i, n = 0;

	if (len <= columns)
		return len;
	for (i = 0; i < len && (i + 2 <= columns || n == 0); i++)
		if (text[i] == ' ')
			n = i;
	return n == 0 ? len : n;
}

void
fw_pf_end(struct fw_pf *w)
{
	const char *text = w->line;
	size_t left = w->len, n, used = 4 * w->depth;
	unsigned i;

	while (left > 0) {
		for (i = 0; i < w->depth; i++)
			put(w, "    ", 4);
		if (text != w->line)
			put(w, "    ", 4);
		n = text[0] == '#' ? left :
		    fitting(text, left, used < COLUMNS ? COLUMNS - used : 0);
		put(w, text, n);
		text += n;
		left -= n;
		if (left > 0) {
			put(w, " \\", 2);
			text++;
			left--;
			used = 4 * w->depth + 4;
		}
		put(w, "\n", 1);
	}
	w->len = 0;
}

void
fw_pf_line(struct fw_pf *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(w, fmt, ap);
	va_end(ap);
	fw_pf_end(w);
}

void
fw_pf_open(struct fw_pf *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(w, fmt, ap);
	va_end(ap);
	fw_pf_add(w, " {");
	fw_pf_end(w);
	w->depth++;
	w->anchors++;
}

void
fw_pf_close(struct fw_pf *w)
{
	w->depth--;
	fw_pf_line(w, "}");
}

void
fw_pf_addr(struct fw_pf *w, const struct os_addr *a)
{
	char text[ADDR_TEXT];

	fw_pf_add(w, " %s", addr_net_text(a, text));
}

/* A table of ours has our name; too long a one has a number instead. */
static const char *
name_table(struct fw_pf *w, const char *kind, uint32_t table, char *to)
{
	const char *name = w->r->table[table].name;

	if (strcmp(kind, "nd") == 0 && strncmp(name, "nic-", 4) == 0)
		name += 4;
	else
		kind = "";
	if ((size_t)snprintf(to, FW_PF_TABLE, "%s-%s%s%s", w->ours, kind,
	    kind[0] == '\0' ? "" : "-", name) < FW_PF_TABLE)
		return to;
	if ((size_t)snprintf(to, FW_PF_TABLE, "%s-%s%u", w->ours,
	    kind[0] == '\0' ? "t" : kind, table) >= FW_PF_TABLE)
		fw_pf_fail(w, "the daemon's name %s is too long for tables of "
		    "pf", w->p->daemon);
	return to;
}

const char *
fw_pf_table(struct fw_pf *w, uint32_t table, char to[FW_PF_TABLE])
{
	w->used[table] = true;
	return name_table(w, "", table, to);
}

const char *
fw_pf_nd(struct fw_pf *w, uint32_t own, char to[FW_PF_TABLE])
{
	w->nd[own] = true;
	return name_table(w, "nd", own, to);
}

/* No switch has a name with a colon, or with a dot and then nothing. */
const char *
fw_pf_tag(struct fw_pf *w, enum fw_pf_tag tag, uint32_t sw, char to[FW_PF_TAG])
{
	static const char *const of_switch[] = {
		[FW_PF_GUEST] = "", [FW_PF_ROUTED] = ":routed",
		[FW_PF_FORGED] = ":forged", [FW_PF_TO_HOST] = ":to-host",
		[FW_PF_TO_LINK] = ":to-link", [FW_PF_TO_ALL] = ":to-all",
	};
	int n;

	if (tag == FW_PF_RDR || tag == FW_PF_HOST) {
		n = snprintf(to, FW_PF_TAG, "%s:%s", w->ours,
		    tag == FW_PF_RDR ? "published" : "host");
	} else {
		n = snprintf(to, FW_PF_TAG, "%s.%s%s", w->ours,
		    w->p->sw[sw].name, of_switch[tag]);
		if (n >= FW_PF_TAG)
			n = snprintf(to, FW_PF_TAG, "%s.:%u%s", w->ours, sw,
			    of_switch[tag]);
	}
	if (n >= FW_PF_TAG)
		fw_pf_fail(w, "the daemon's name %s is too long for tags of "
		    "pf", w->p->daemon);
	return to;
}

const char *
fw_pf_anchor_switch(const struct fw_pf *w, uint32_t sw, char to[FW_PF_ANCHOR])
{
	const char *name = w->p->sw[sw].name;

	if (snprintf(to, FW_PF_ANCHOR, "%s", name) >= FW_PF_ANCHOR)
		snprintf(to, FW_PF_ANCHOR, "%.40s:%u", name, sw);
	return to;
}

const char *
fw_pf_anchor_nic(const struct fw_pf *w, uint32_t nic, char to[FW_PF_ANCHOR])
{
	const struct fw_nic *n = &w->p->nic[nic];

	if (snprintf(to, FW_PF_ANCHOR, "%s.%u", n->guest, n->number) >=
	    FW_PF_ANCHOR)
		snprintf(to, FW_PF_ANCHOR, "%.40s:%u", n->guest, nic);
	return to;
}

/* What IP has for a switch's subnet, but no guest of ours. */
static void
write_nobody(struct fw_pf *w, const struct fw_rule *r)
{
	char tag[FW_PF_TAG], name[FW_PF_TABLE];
	uint32_t i;

	for (i = 0; i < w->r->ntables; i++)
		if (strcmp(w->r->table[i].name, "all-guests") == 0)
			break;
	if (i == w->r->ntables) {
		fw_pf_fail(w, "there is no table of all guests");
		return;
	}
	fw_pf_line(w, "block out%s quick to ! <%s> ! tagged %s",
	    r->log ? " log" : "", fw_pf_table(w, i, name),
	    fw_pf_tag(w, FW_PF_HOST, 0, tag));
}

/* The host's own port of the switch. */
static void
write_port(struct fw_pf *w, uint32_t s)
{
	const struct fw_switch *sw = &w->p->sw[s];
	const struct fw_rule *r;
	char guest[FW_PF_TAG], tag[FW_PF_TAG], name[FW_PF_TABLE];

	fw_pf_tag(w, FW_PF_GUEST, s, guest);
	fw_pf_open(w, "anchor \"host\" on %s", sw->iface);
	fw_pf_line(w, "block in quick tagged %s",
	    fw_pf_tag(w, FW_PF_TO_LINK, s, tag));
	fw_pf_line(w, "match in tagged %s tag %s",
	    fw_pf_tag(w, FW_PF_TO_HOST, s, tag), guest);
	fw_pf_line(w, "match in tagged %s tag %s",
	    fw_pf_tag(w, FW_PF_TO_ALL, s, tag), guest);
	fw_pf_line(w, "pass in quick to <%s-groups> tagged %s allow-opts "
	    "no state", w->ours, guest);
	fw_pf_line(w, "pass in quick flags any tagged %s tag %s "
	    "keep state (if-bound)", guest,
	    fw_pf_tag(w, FW_PF_ROUTED, s, tag));
	fw_pf_line(w, "pass in quick flags any tagged %s keep state "
	    "(if-bound)", fw_pf_tag(w, FW_PF_RDR, s, tag));
	fw_pf_line(w, "match out ! received-on any tag %s",
	    fw_pf_tag(w, FW_PF_HOST, s, tag));
	for (r = w->r->v; r < w->r->v + w->r->n; r++)
		if (r->stage == FW_IN && r->nic == FW_NOBODY && r->sw == s)
			write_nobody(w, r);
	if (sw->shared)
		fw_pf_line(w, "pass out quick to <%s> flags any keep state "
		    "(if-bound)", fw_pf_table(w, s, name));
	else
		fw_pf_line(w, "pass out quick flags any allow-opts keep state "
		    "(if-bound)");
	fw_pf_close(w);
}

static void
write_rdr(struct fw_pf *w, const struct fw_rule *r, const char *on)
{
	char tag[FW_PF_TAG], name[FW_PF_TABLE];

	fw_pf_add(w, "match in%s %s proto %s", on,
	    r->family == 6 ? "inet6" : "inet",
	    r->proto == FW_TCP ? "tcp" : "udp");
	if (r->peer.kind == FW_PEER_CIDR) {
		fw_pf_add(w, " from");
		fw_pf_addr(w, &r->peer.cidr);
	} else if (r->peer.kind != FW_PEER_ANY) {
		fw_pf_add(w, " from <%s>", fw_pf_table(w, r->peer.table, name));
	}
	fw_pf_add(w, " to");
	if (r->has_host)
		fw_pf_addr(w, &r->host);
	else
		fw_pf_add(w, " (self)");
	fw_pf_add(w, " port %u%s tag %s rdr-to", r->lo,
	    r->proto == FW_TCP ? " flags S/SA" : "",
	    fw_pf_tag(w, FW_PF_RDR, r->sw, tag));
	fw_pf_addr(w, &r->to);
	fw_pf_add(w, " port %u", r->to_port);
	fw_pf_end(w);
}

static void
write_rdrs(struct fw_pf *w, const char *on)
{
	const struct fw_rule *r;

	for (r = w->r->v; r < w->r->v + w->r->n; r++)
		if (r->stage == FW_RDR)
			write_rdr(w, r, on);
}

static bool
has_stage(const struct fw_pf *w, enum fw_stage stage)
{
	size_t i;

	for (i = 0; i < w->r->n; i++)
		if (w->r->v[i].stage == stage)
			return true;
	return false;
}

static void
write_switch(struct fw_pf *w, uint32_t s)
{
	const struct fw_policy *p = w->p;
	char tag[FW_PF_TAG], name[FW_PF_ANCHOR];
	unsigned n = 0;
	uint32_t i;

	fw_pf_tag(w, FW_PF_GUEST, s, tag);
	fw_pf_open(w, "anchor \"%s\"", fw_pf_anchor_switch(w, s, name));
	write_port(w, s);
	for (i = 0; i < p->nnics; i++)
		if (p->nic[i].sw == s) {
			fw_pf_line(w, "match in on %s tag %s", p->nic[i].tap,
			    tag);
			n++;
		}
	if (n > 0) {
		fw_pf_frames(w, s);
		if (has_stage(w, FW_RDR)) {
			fw_pf_open(w, "anchor \"published\" in tagged %s", tag);
			write_rdrs(w, "");
			fw_pf_close(w);
		}
	}
	for (i = 0; i < p->nnics; i++)
		if (p->nic[i].sw == s)
			fw_pf_nic(w, i);
	fw_pf_close(w);
}

/* An answer goes back by the state of what came in, and is not translated. */
static void
write_nat(struct fw_pf *w, const struct fw_rule *r)
{
	const char *on = r->iface[0] == '\0' ? "egress" : r->iface;
	const char *family = r->family == 6 ? "inet6" : "inet";
	char tag[FW_PF_TAG];

	fw_pf_tag(w, FW_PF_ROUTED, r->sw, tag);
	fw_pf_add(w, "match out on %s %s from", on, family);
	fw_pf_addr(w, &r->peer.cidr);
	fw_pf_add(w, " received-on any tag %s nat-to (%s:0)", tag, on);
	fw_pf_end(w);
	fw_pf_add(w, "pass in quick on %s %s to", on, family);
	fw_pf_addr(w, &r->peer.cidr);
	fw_pf_add(w, " keep state");
	fw_pf_end(w);
}

/* What passes the host's other interfaces. */
static void
write_rest(struct fw_pf *w)
{
	const struct fw_rule *r;
	char tag[FW_PF_TAG], name[FW_PF_TABLE];
	uint32_t s;

	fw_pf_line(w, "# Elsewhere");
	for (r = w->r->v; r < w->r->v + w->r->n; r++)
		if (r->stage == FW_SPOOF)
			fw_pf_line(w, "block in%s quick on ! lo from <%s>",
			    r->log ? " log" : "",
			    fw_pf_table(w, r->peer.table, name));
	if (has_stage(w, FW_RDR)) {
		write_rdrs(w, " on ! lo");
		fw_pf_line(w, "pass in quick tagged %s keep state",
		    fw_pf_tag(w, FW_PF_RDR, 0, tag));
	}
	for (r = w->r->v; r < w->r->v + w->r->n; r++)
		if (r->stage == FW_NAT && r->nic == FW_ALL)
			write_nat(w, r);
	for (s = 0; s < w->p->nsws; s++)
		fw_pf_line(w, "pass out quick tagged %s keep state",
		    fw_pf_tag(w, FW_PF_ROUTED, s, tag));
}

static void
write_body(struct fw_pf *w)
{
	uint32_t s;

	fw_pf_open(w, "anchor \"%s\"", w->ours);
	for (s = 0; s < w->p->nsws; s++)
		write_switch(w, s);
	write_rest(w);
	fw_pf_close(w);
}

static void
write_addrs(struct fw_pf *w, const struct os_addr *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		fw_pf_add(w, "%s", i % 4 == 0 ? "   " : "");
		fw_pf_addr(w, &v[i]);
		if (i % 4 == 3 || i + 1 == n)
			fw_pf_end(w);
	}
}

/* Groups, and the last addresses of subnets. */
static void
write_group_table(struct fw_pf *w)
{
	struct os_addr v[2] = { { .bytes = { 224 }, .prefix = 3 },
	    { .bytes = { 0xff }, .prefix = 8, .ipv6 = true } };
	const struct os_addr *a;
	struct os_addr last;
	uint32_t s;
	size_t i;

	fw_pf_line(w, "# All who listen");
	fw_pf_line(w, "table <%s-groups> const {", w->ours);
	write_addrs(w, v, 2);
	for (s = 0; s < w->p->nsws; s++)
		for (i = 0; i < w->p->sw[s].naddrs; i++) {
			a = &w->p->sw[s].addrs[i];
			if (a->ipv6 || a->prefix > 30)
				continue;
			last = *a;
			last.prefix = 32;
			frame_put32(last.bytes, frame_get32(a->bytes) |
			    ~addr_mask(a->prefix));
			write_addrs(w, &last, 1);
		}
	fw_pf_line(w, "}");
}

/* The NIC's own addresses and their groups (RFC 4291, 2.7.1). */
static void
write_nd_table(struct fw_pf *w, uint32_t own)
{
	const struct fw_table *t = &w->r->table[own];
	char name[FW_PF_TABLE];
	struct os_addr v[2];
	size_t i;

	fw_pf_line(w, "# Where %s is looked for", t->what);
	fw_pf_line(w, "table <%s> const {", fw_pf_nd(w, own, name));
	for (i = 0; i < t->n; i++) {
		if (!t->v[i].ipv6)
			continue;
		v[0] = t->v[i];
		v[1] = (struct os_addr){ .bytes = { 0xff, 2, [11] = 1, 0xff },
		    .prefix = 128, .ipv6 = true };
		memcpy(v[1].bytes + 13, t->v[i].bytes + 13, 3);
		write_addrs(w, v, 2);
	}
	fw_pf_line(w, "}");
}

static void
write_tables(struct fw_pf *w)
{
	const struct fw_table *t;
	char name[FW_PF_TABLE];
	uint32_t i;

	write_group_table(w);
	for (i = 0; i < w->r->ntables; i++) {
		t = &w->r->table[i];
		if (w->used[i]) {
			fw_pf_line(w, "# %s", t->what);
			fw_pf_line(w, "table <%s> const {",
			    fw_pf_table(w, i, name));
			write_addrs(w, t->v, t->n);
			fw_pf_line(w, "}");
		}
		if (w->nd[i])
			write_nd_table(w, i);
	}
}

/* A block ahead of what passes would have no place where both are united. */
static void
check_order(struct fw_pf *w)
{
	const struct fw_rule *r, *next;

	for (r = w->r->v; r + 1 < w->r->v + w->r->n; r++) {
		next = r + 1;
		if ((r->stage == FW_OUT || r->stage == FW_HOST) &&
		    r->verdict == FW_BLOCK && next->stage == r->stage &&
		    (r->nic == FW_ALL || next->nic == r->nic))
			fw_pf_fail(w, "pf cannot have a rule behind one that "
			    "blocks");
	}
}

/* What is of a NIC costs the same for the thousandth. */
static int
make_index(struct fw_pf *w)
{
	size_t nnics = w->p->nnics, i, *next;
	uint32_t nic;

	w->of = calloc(w->r->n + 1, sizeof(*w->of));
	w->first = calloc(nnics + 3, sizeof(*w->first));
	if (w->of == NULL || w->first == NULL)
		return -ENOMEM;
	next = w->first + 1;
	for (i = 0; i < w->r->n; i++) {
		nic = w->r->v[i].nic;
		next[1 + (nic < nnics ? nic : nnics)]++;
	}
	for (i = 1; i < nnics + 2; i++)
		next[i] += next[i - 1];
	for (i = 0; i < w->r->n; i++) {
		nic = w->r->v[i].nic;
		w->of[next[nic < nnics ? nic : nnics]++] = &w->r->v[i];
	}
	return 0;
}

size_t
fw_pf_rules(const struct fw_pf *w, uint32_t nic)
{
	return w->first[w->p->nnics + 1] - w->first[w->p->nnics] +
	    w->first[nic + 1] - w->first[nic];
}

const struct fw_rule *
fw_pf_rule(const struct fw_pf *w, uint32_t nic, size_t i)
{
	size_t common = w->first[w->p->nnics + 1] - w->first[w->p->nnics];

	return i < common ? w->of[w->first[w->p->nnics] + i] :
	    w->of[w->first[nic] + i - common];
}

/* For many guests the administrator has to raise what pf starts with. */
static void
write_limits(struct fw_pf *w)
{
	uint32_t i, tables = 1;

	for (i = 0; i < w->r->ntables; i++)
		tables += w->used[i] + w->nd[i];
	if (w->anchors > ANCHORS)
		fw_pf_line(w, "# Needs set limit anchors %u, and more for "
		    "others.", w->anchors);
	if (tables > TABLES)
		fw_pf_line(w, "# Needs set limit tables %u, and more for "
		    "others.", tables);
}

static void
write_all(struct fw_pf *w)
{
	struct buf body, *to = w->b;

	check_order(w);
	/* The rules first, as they say which tables there are. */
	buf_init(&body, to->limit);
	w->b = &body;
	write_body(w);
	w->b = to;
	fw_pf_line(w, "# Guests of %s: vmmd.conf(5) says what they may do.",
	    w->p->daemon);
	write_limits(w);
	write_tables(w);
	put(w, buf_head(&body), body.len);
	buf_free(&body);
}

int
fw_pf_write(const struct fw_policy *p, const struct fw_rules *r,
    struct buf *b, char *err, size_t errlen)
{
	struct fw_pf *w = calloc(1, sizeof(*w));
	int error = -ENOMEM;

	if (w == NULL)
		return error;
	*w = (struct fw_pf){ .p = p, .r = r, .b = b, .err = err,
	    .errlen = errlen };
	w->used = calloc(r->ntables + 1, sizeof(*w->used));
	w->nd = calloc(r->ntables + 1, sizeof(*w->nd));
	if (w->used != NULL && w->nd != NULL && make_index(w) == 0) {
		fw_ours(w->ours, p->daemon);
		write_all(w);
		error = w->error;
	}
	free(w->of);
	free(w->first);
	free(w->used);
	free(w->nd);
	free(w);
	return error;
}
