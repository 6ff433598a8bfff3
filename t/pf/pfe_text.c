/* SPDX-License-Identifier: ISC */
/* Packets as text, see pfe_text.h. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pfe_text.h"

struct words {
	char		*word[48];
	unsigned	n, at;
};

static const char *
next(struct words *w)
{
	return w->at < w->n ? w->word[w->at++] : "";
}

static bool
is(struct words *w, const char *word)
{
	if (w->at >= w->n || strcmp(w->word[w->at], word) != 0)
		return false;
	w->at++;
	return true;
}

static bool
end(const char *text, struct pfe_flow *f, uint8_t addr[16], uint16_t *port)
{
	char copy[80], *hash;

	snprintf(copy, sizeof(copy), "%s", text);
	hash = strchr(copy, '#');
	if (hash != NULL) {
		*hash = '\0';
		*port = (uint16_t)atoi(hash + 1);
	}
	memset(addr, 0, 16);
	f->af = strchr(copy, ':') != NULL ? 6 : 4;
	return inet_pton(f->af == 6 ? AF_INET6 : AF_INET, copy, addr) == 1;
}

static bool
flow(struct words *w, struct pfe_flow *f)
{
	const char *proto = next(w);

	f->proto = (uint8_t)(strcmp(proto, "tcp") == 0 ? PFE_TCP :
	    strcmp(proto, "udp") == 0 ? PFE_UDP :
	    strcmp(proto, "icmp") == 0 ? PFE_ICMP :
	    strcmp(proto, "icmp6") == 0 ? PFE_ICMP6 : atoi(proto));
	if (f->proto == 0 || !end(next(w), f, f->src, &f->sport) ||
	    !end(next(w), f, f->dst, &f->dport))
		return false;
	for (;;) {
		if (is(w, "type"))
			f->type = (uint8_t)atoi(next(w));
		else if (is(w, "code"))
			f->code = (uint8_t)atoi(next(w));
		else if (is(w, "id"))
			f->sport = (uint16_t)atoi(next(w));
		else if (is(w, "target"))
			inet_pton(AF_INET6, next(w), f->target);
		else
			return true;
	}
}

static bool
options(struct words *w, struct pfe_text *t)
{
	struct pfe_packet *p = &t->pkt;

	while (w->at < w->n && !is(w, "=")) {
		if (is(w, "S"))
			p->flags = PFE_SYN;
		else if (is(w, "SA"))
			p->flags = PFE_SYN | PFE_ACK;
		else if (is(w, "A"))
			p->flags = PFE_ACK;
		else if (is(w, "R"))
			p->flags = PFE_RST;
		else if (is(w, "frag"))
			p->fragment = true;
		else if (is(w, "options"))
			p->options = true;
		else if (is(w, "tag"))
			snprintf(p->tag, sizeof(p->tag), "%s", next(w));
		else if (is(w, "from")) {
			snprintf(t->received, sizeof(t->received), "%s",
			    next(w));
			p->received = t->received;
		} else if (is(w, "about")) {
			p->error = true;
			if (!flow(w, &p->inner))
				return false;
		} else
			return false;
	}
	return true;
}

static bool
expected(struct words *w, struct pfe_text *t)
{
	const char *what = next(w);

	if (strcmp(what, "pass") == 0)
		t->pass = true;
	else if (strcmp(what, "return") == 0)
		t->how = PFE_RETURN;
	else if (strcmp(what, "return-rst") == 0)
		t->how = PFE_RETURN_RST;
	else if (strcmp(what, "return-icmp") == 0)
		t->how = PFE_RETURN_ICMP;
	else if (strcmp(what, "block") != 0)
		return false;
	while (w->at < w->n) {
		if (is(w, "known"))
			t->known = 1;
		else if (is(w, "new"))
			t->made = 1;
		else if (is(w, "stateless"))
			t->made = t->known = 0;
		else if (is(w, "log"))
			t->log = true;
		else if (is(w, "line"))
			t->line = atoi(next(w));
		else if (is(w, "label"))
			snprintf(t->label, sizeof(t->label), "%s", next(w));
		else if (is(w, "tag"))
			snprintf(t->tag, sizeof(t->tag), "%s", next(w));
		else if (is(w, "as")) {
			t->has_after = true;
			if (!flow(w, &t->after))
				return false;
		} else
			return false;
	}
	return true;
}

bool
pfe_text_parse(struct pfe_text *t, const char *line)
{
	char copy[512], *word, *rest;
	struct words w = { .n = 0 };
	const char *dir;

	memset(t, 0, sizeof(*t));
	t->known = t->made = t->line = -1;
	snprintf(copy, sizeof(copy), "%s", line);
	for (word = strtok_r(copy, " \t\n", &rest); word != NULL && w.n < 48;
	    word = strtok_r(NULL, " \t\n", &rest))
		w.word[w.n++] = word;
	dir = next(&w);
	t->pkt.dir = strcmp(dir, "in") == 0 ? PFE_IN : PFE_OUT;
	if (t->pkt.dir == PFE_OUT && strcmp(dir, "out") != 0)
		return false;
	snprintf(t->ifname, sizeof(t->ifname), "%s", next(&w));
	t->pkt.ifname = t->ifname;
	if (t->pkt.dir == PFE_IN)
		t->pkt.received = t->ifname;
	return flow(&w, &t->pkt.flow) && options(&w, t) && expected(&w, t);
}

static bool
same_flow(const struct pfe_flow *a, const struct pfe_flow *b)
{
	return a->af == b->af && memcmp(a->src, b->src, 16) == 0 &&
	    memcmp(a->dst, b->dst, 16) == 0 && a->sport == b->sport &&
	    (a->proto == PFE_ICMP || a->proto == PFE_ICMP6 ||
	    a->dport == b->dport);
}

static int
print_flow(char *to, size_t size, const struct pfe_flow *f)
{
	char src[64] = "", dst[64] = "";

	inet_ntop(f->af == 6 ? AF_INET6 : AF_INET, f->src, src, sizeof(src));
	inet_ntop(f->af == 6 ? AF_INET6 : AF_INET, f->dst, dst, sizeof(dst));
	return snprintf(to, size, "proto %d %s#%d %s#%d", f->proto, src,
	    f->sport, dst, f->dport);
}

bool
pfe_text_run(struct pfe *pf, const struct pfe_text *t, char *got, size_t size)
{
	struct pfe_packet p = t->pkt;
	struct pfe_verdict v;
	int n;

	pfe_run(pf, &p, &v);
	n = snprintf(got, size, "%s how %d known %d made %d log %d line %d "
	    "label \"%s\" tag \"%s\" ", v.pass ? "pass" : "block", (int)v.how,
	    v.known, v.made, v.log, v.line, v.label, p.tag);
	print_flow(got + n, size - (size_t)n, &p.flow);
	if (v.pass != t->pass || (!v.pass && v.how != t->how))
		return false;
	if ((t->known >= 0 && t->known != v.known) ||
	    (t->made >= 0 && t->made != v.made) ||
	    (t->line >= 0 && t->line != v.line))
		return false;
	if ((t->log && !v.log) ||
	    (t->label[0] != '\0' && strcmp(t->label, v.label) != 0) ||
	    (t->tag[0] != '\0' && strcmp(t->tag, p.tag) != 0))
		return false;
	return !t->has_after || same_flow(&t->after, &p.flow);
}
