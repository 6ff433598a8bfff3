/* SPDX-License-Identifier: ISC */
/*
 * Addresses, interfaces and tables: as text, and what they mean on this host.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pfe_int.h"

/* `prefix` -1: a host.  Of IPv4 with a prefix the last zeros may be missing. */
int
pfe_net_parse(struct pfe_net *n, const char *addr, int prefix)
{
	char full[64];
	const char *p;
	int dots = 0, max;

	memset(n, 0, sizeof(*n));
	if (strchr(addr, ':') != NULL) {
		if (inet_pton(AF_INET6, addr, n->addr) != 1)
			return -EINVAL;
		n->af = 6;
		max = 128;
	} else {
		for (p = addr; *p != '\0'; p++)
			dots += *p == '.';
		if (strlen(addr) > 15 || dots > 3 || (prefix < 0 && dots != 3))
			return -EINVAL;
		snprintf(full, sizeof(full), "%s%s", addr, &".0.0.0"[2 * dots]);
		if (inet_pton(AF_INET, full, n->addr) != 1)
			return -EINVAL;
		n->af = 4;
		max = 32;
	}
	if (prefix > max)
		return -EINVAL;
	n->prefix = (uint8_t)(prefix < 0 ? max : prefix);
	return 0;
}

bool
pfe_net_has(const struct pfe_net *n, const uint8_t addr[16])
{
	unsigned bytes = n->prefix / 8, rest = n->prefix % 8;

	if (memcmp(n->addr, addr, bytes) != 0)
		return false;
	return rest == 0 ||
	    ((n->addr[bytes] ^ addr[bytes]) >> (8 - rest)) == 0;
}

const struct pfe_if *
pfe_if_find(const struct pfe *pf, const char *name)
{
	const struct pfe_if *i;

	for (i = pf->ifs; i != NULL; i = i->next)
		if (strcmp(i->name, name) == 0)
			return i;
	return NULL;
}

static bool
in_group(const struct pfe_if *i, const char *group)
{
	unsigned n;

	for (n = 0; n < i->ngroups; n++)
		if (strcmp(i->groups[n], group) == 0)
			return true;
	return false;
}

/*
 * Whether an interface has this name, is in this group, or `any` is meant:
 * each but loopback ones.
 */
bool
pfe_if_is(const struct pfe *pf, const char *ifname, const char *what)
{
	const struct pfe_if *i = pfe_if_find(pf, ifname);

	if (strcmp(what, "any") == 0)
		return i != NULL && !in_group(i, "lo");
	return strcmp(what, ifname) == 0 ||
	    (i != NULL && in_group(i, what));
}

/* An interface's kind, "tap" of tap3, is a group of its own as well. */
static bool
known(const struct pfe *pf, const char *what)
{
	const struct pfe_if *i;

	for (i = pf->ifs; i != NULL; i = i->next)
		if (strcmp(what, "self") == 0 ||
		    pfe_if_is(pf, i->name, what))
			return true;
	return false;
}

static void
modify(struct pfe_net *n, enum pfe_mod mod)
{
	unsigned bit, max = n->af == 4 ? 32 : 128;

	for (bit = n->prefix; mod != MOD_ADDR && bit < max; bit++) {
		if (mod == MOD_NETWORK)
			n->addr[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
		else
			n->addr[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	}
	if (mod != MOD_NETWORK)
		n->prefix = (uint8_t)max;
}

/* The addresses of an interface, of a group, or of the host ("self"). */
unsigned
pfe_if_nets(const struct pfe *pf, const char *what, enum pfe_mod mod,
    bool first, struct pfe_net *to, unsigned max)
{
	const struct pfe_if *i;
	unsigned n, count = 0, seen;

	for (i = pf->ifs; i != NULL; i = i->next) {
		if (strcmp(what, "self") != 0 && !pfe_if_is(pf, i->name, what))
			continue;
		seen = 0;
		for (n = 0; n < i->nnets && count < max; n++) {
			if (first && (seen & 1U << i->nets[n].af))
				continue;
			if (mod == MOD_BROADCAST && i->nets[n].af == 6)
				continue;
			seen |= 1U << i->nets[n].af;
			to[count] = i->nets[n];
			modify(&to[count++], mod);
		}
	}
	return count;
}

/* Splits NAME[:modifier]... in place. */
static bool
modifiers(struct pfe_read *r, char *name, enum pfe_mod *mod, bool *first)
{
	char *colon;

	*mod = MOD_ADDR;
	*first = false;
	while ((colon = strrchr(name, ':')) != NULL) {
		if (strcmp(colon, ":0") == 0) {
			*first = true;
		} else if (*mod != MOD_ADDR) {
			pfe_fail(r, "%s has two modifiers", name);
			return false;
		} else if (strcmp(colon, ":network") == 0) {
			*mod = MOD_NETWORK;
		} else if (strcmp(colon, ":broadcast") == 0) {
			*mod = MOD_BROADCAST;
		} else if (strcmp(colon, ":peer") == 0) {
			*mod = MOD_PEER;
		} else {
			pfe_fail(r, "%s has an unknown modifier", name);
			return false;
		}
		*colon = '\0';
	}
	return true;
}

static struct pfe_host *
add(struct pfe_read *r, struct pfe_host ***tail, enum pfe_kind kind, bool not)
{
	struct pfe_host *h = pfe_alloc(r->pf, sizeof(*h));

	h->kind = kind;
	h->not = not;
	h->prefix = -1;
	**tail = h;
	*tail = &h->next;
	return h;
}

/* An interface's name without parentheses: its addresses of now. */
static void
static_if(struct pfe_read *r, struct pfe_host ***tail, char *name, bool not,
    int prefix)
{
	struct pfe_net nets[64];
	enum pfe_mod mod;
	unsigned i, n;
	bool first;

	if (!modifiers(r, name, &mod, &first))
		return;
	if (!known(r->pf, name)) {
		pfe_fail(r, "%s is no address and no interface", name);
		return;
	}
	if (prefix >= 0 && mod != MOD_ADDR) {
		pfe_fail(r, "a prefix after a modifier of %s", name);
		return;
	}
	n = pfe_if_nets(r->pf, name, mod, first, nets, 64);
	if (n == 0)
		pfe_fail(r, "interface %s has no address", name);
	for (i = 0; i < n; i++) {
		if (prefix >= 0)
			nets[i].prefix = (uint8_t)prefix;
		add(r, tail, HOST_NET, not)->net = nets[i];
	}
}

static void
dynamic(struct pfe_read *r, struct pfe_host ***tail, bool not)
{
	char name[64];
	enum pfe_mod mod;
	bool first;
	struct pfe_host *h;

	pfe_want_word(r, "an interface", name, sizeof(name));
	if (r->failed || !modifiers(r, name, &mod, &first))
		return;
	if (!isalpha((unsigned char)name[0]) || strlen(name) > 15) {
		pfe_fail(r, "%s is no interface", name);
		return;
	}
	pfe_want_sym(r, ")");
	h = add(r, tail, HOST_DYNAMIC, not);
	snprintf(h->name, sizeof(h->name), "%.15s", name);
	h->mod = mod;
	h->first = first;
	if (pfe_sym(r, "/"))
		h->prefix = (int)pfe_want_num(r, "a prefix", 128);
}

static void
table_name(struct pfe_read *r, char name[PFE_TABLE])
{
	pfe_want_word(r, "the name of a table", name, PFE_TABLE);
	pfe_want_sym(r, ">");
}

static void
range(struct pfe_read *r, struct pfe_host *h, const char *text)
{
	struct pfe_net end;
	char name[64] = "";

	pfe_want_word(r, "the last address", name, sizeof(name));
	if (r->failed)
		return;
	if (pfe_net_parse(&end, name, -1) != 0 || end.af != h->net.af ||
	    memcmp(end.addr, h->net.addr, 16) < 0) {
		pfe_fail(r, "%s - %s is no range", text, name);
		return;
	}
	h->kind = HOST_RANGE;
	memcpy(h->end, end.addr, 16);
}

/* An address, a net, a range, an interface. */
static void
address(struct pfe_read *r, struct pfe_host ***tail, bool not)
{
	bool number = r->kind == T_NUM;
	struct pfe_net n;
	struct pfe_host *h;
	int prefix = -1;
	char text[64];

	if (strlen(r->text) >= sizeof(text)) {
		pfe_fail(r, "%s is no host", r->text);
		return;
	}
	strcpy(text, r->text);
	pfe_next(r);
	if (number && !pfe_at_sym(r, "/")) {
		pfe_fail(r, "%s is no host", text);
		return;
	}
	if (pfe_sym(r, "/")) {
		prefix = (int)pfe_want_num(r, "a prefix", 128);
		if (r->failed)
			return;
	}
	if (pfe_net_parse(&n, text, prefix) == 0) {
		h = add(r, tail, HOST_NET, not);
		h->net = n;
		if (prefix < 0 && pfe_sym(r, "-"))
			range(r, h, text);
	} else if (isalpha((unsigned char)text[0]) &&
	    strchr(text, '@') == NULL && strchr(text, '%') == NULL) {
		static_if(r, tail, text, not, prefix);
	} else {
		pfe_fail(r, prefix < 0 ? "%s is no host" :
		    "%s/%d is no host", text, prefix);
	}
}

void
pfe_read_host(struct pfe_read *r, struct pfe_host ***tail)
{
	bool not = pfe_sym(r, "!");

	if (pfe_key(r, "no-route"))
		add(r, tail, HOST_NOROUTE, not);
	else if (pfe_key(r, "urpf-failed"))
		add(r, tail, HOST_URPF, not);
	else if (pfe_sym(r, "("))
		dynamic(r, tail, not);
	else if (pfe_sym(r, "<"))
		table_name(r, add(r, tail, HOST_TABLE, not)->name);
	else if (pfe_at_key(r, "route"))
		pfe_fail(r, "route labels are not evaluated");
	else if (r->kind == T_WORD || r->kind == T_NUM)
		address(r, tail, not);
	else
		pfe_unexpected(r, "a host");
}

struct hosts {
	struct pfe_host	**tail;
	bool		any;
};

static void
one_host(struct pfe_read *r, void *arg)
{
	struct hosts *l = arg;

	if (pfe_key(r, "any"))
		l->any = true;
	else if (pfe_at_sym(r, "{"))
		pfe_list(r, one_host, arg);
	else
		pfe_read_host(r, &l->tail);
}

/* A list with `any` in it is any. */
void
pfe_read_hosts(struct pfe_read *r, struct pfe_host **list)
{
	struct hosts l = { list, false };

	*list = NULL;
	pfe_list(r, one_host, &l);
	if (l.any)
		*list = NULL;
}

/* Where pf looks for a table: in the anchor, then in the main rules. */
struct pfe_table *
pfe_table_find(const struct pfe_read *r, const char *path, const char *name)
{
	const struct pfe_anchor *a;
	struct pfe_table *t = NULL;

	for (a = r->anchors; a != NULL && strcmp(a->path, path) != 0;)
		a = a->next;
	if (a == NULL)
		a = pfe_anchor_find(r->pf, path);
	for (t = a == NULL ? NULL : a->tables; t != NULL; t = t->next)
		if (strcmp(t->name, name) == 0)
			break;
	return t;
}

static void
table_item(struct pfe_read *r, void *arg)
{
	struct pfe_host ***tail = arg, **first = *tail, *h;

	if (pfe_at_sym(r, "{")) {
		pfe_list(r, table_item, arg);
		return;
	}
	pfe_read_host(r, tail);
	for (h = *first; h != NULL && !r->failed; h = h->next)
		if (h->kind != HOST_NET)
			pfe_fail(r, "a table has addresses and nets only");
}

static void
table_options(struct pfe_read *r, struct pfe_host ***tail)
{
	while (!r->failed && r->kind != T_EOL && r->kind != T_EOF) {
		if (pfe_sym(r, "{")) {
			while (r->kind == T_EOL)
				pfe_next(r);
			while (!r->failed && !pfe_at_sym(r, "}")) {
				table_item(r, tail);
				while (r->kind == T_EOL)
					pfe_next(r);
				if (pfe_sym(r, ",") && pfe_at_sym(r, "}"))
					pfe_unexpected(r, "an address");
			}
			pfe_want_sym(r, "}");
		} else if (pfe_at_key(r, "file")) {
			pfe_fail(r, "files of addresses are not read");
		} else if (r->kind == T_WORD && (strcmp(r->text, "const") == 0 ||
		    strcmp(r->text, "persist") == 0 ||
		    strcmp(r->text, "counters") == 0)) {
			pfe_next(r);
		} else {
			pfe_unexpected(r, "an option of a table");
		}
	}
}

/* table <name> [const] [persist] [counters] [{ ... }] */
void
pfe_read_table(struct pfe_read *r)
{
	struct pfe_table *t = pfe_alloc(r->pf, sizeof(*t)), *old;
	struct pfe_host **tail = &t->hosts;

	t->line = r->tokline;
	pfe_want_sym(r, "<");
	table_name(r, t->name);
	if (r->failed)
		return;
	old = pfe_table_find(r, r->here->path, t->name);
	if (old != NULL) {
		pfe_fail(r, "table <%s> is defined in line %d", t->name,
		    old->line);
		return;
	}
	table_options(r, &tail);
	t->next = r->here->tables;
	r->here->tables = t;
}
