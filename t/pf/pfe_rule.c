/* SPDX-License-Identifier: ISC */
/*
 * A rule up to its options: what is done, direction, log, quick, interfaces,
 * family, protocols, from where to where.  The order is fixed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pfe_int.h"

/* [!] name | any | rdomain number; `arg` is where the list goes on. */
void
pfe_read_onif(struct pfe_read *r, void *arg)
{
	struct pfe_onif ***tail = arg, *i = pfe_alloc(r->pf, sizeof(*i));

	i->not = pfe_sym(r, "!");
	i->rdomain = -1;
	if (pfe_key(r, "rdomain"))
		i->rdomain = (int)pfe_want_num(r, "a routing domain", 255);
	else if (pfe_key(r, "any"))
		strcpy(i->name, "any");
	else
		pfe_want_word(r, "an interface", i->name, sizeof(i->name));
	**tail = i;
	*tail = &i->next;
}

void
pfe_read_on(struct pfe_read *r, struct pfe_onif **list)
{
	if (pfe_key(r, "on"))
		pfe_list(r, pfe_read_onif, &list);
}

static bool
number_or_name(struct pfe_read *r, const char *text, uint16_t *port)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && n <= 65535) {
		*port = (uint16_t)n;
		return true;
	}
	if (pfe_service(text) >= 0) {
		*port = (uint16_t)pfe_service(text);
		return true;
	}
	pfe_fail(r, "%s is no port", text);
	return false;
}

/*
 * PORT, PORT:PORT or, with `star`, PORT:*.  `open` is set by the star.
 */
bool
pfe_read_port(struct pfe_read *r, bool star, uint16_t *lo, uint16_t *hi,
    bool *range, bool *open)
{
	char text[64], *colon;

	*range = *open = false;
	if (r->kind != T_WORD && r->kind != T_NUM) {
		pfe_unexpected(r, "a port");
		return false;
	}
	snprintf(text, sizeof(text), "%.63s", r->text);
	colon = strchr(text, ':');
	if (colon != NULL)
		*colon++ = '\0';
	if (!number_or_name(r, text, lo))
		return false;
	*hi = *lo;
	if (colon != NULL && star && strcmp(colon, "*") == 0) {
		*open = *range = true;
	} else if (colon != NULL) {
		*range = true;
		if (!number_or_name(r, colon, hi))
			return false;
	}
	pfe_next(r);
	return true;
}

static bool
unary(struct pfe_read *r, enum pfe_op *op)
{
	static const struct {
		const char	*sym;
		enum pfe_op	op;
	} ops[] = {
		{ "=", OP_EQ }, { "!=", OP_NE }, { "<", OP_LT }, { "<=", OP_LE },
		{ ">", OP_GT }, { ">=", OP_GE },
	};
	unsigned i;

	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (pfe_sym(r, ops[i].sym)) {
			*op = ops[i].op;
			return true;
		}
	return false;
}

static void
read_port_item(struct pfe_read *r, void *arg)
{
	struct pfe_port ***tail = arg, *p = pfe_alloc(r->pf, sizeof(*p));
	bool op, range, open, range2 = false;

	op = unary(r, &p->op);
	if (!pfe_read_port(r, false, &p->lo, &p->hi, &range, &open))
		return;
	if (!op) {
		p->op = range ? OP_IN : OP_EQ;
		if (pfe_at_sym(r, "><") || pfe_at_sym(r, "<>")) {
			p->op = pfe_sym(r, "><") ? OP_INSIDE :
			    (pfe_next(r), OP_OUTSIDE);
			op = true;
			if (!pfe_read_port(r, false, &p->hi, &p->hi, &range2,
			    &open))
				return;
		}
	}
	if (op && (range || range2))
		pfe_fail(r, "a range of ports with another operator");
	if (p->lo > p->hi || (p->op == OP_INSIDE && p->lo == p->hi))
		pfe_fail(r, "a range of ports without any");
	**tail = p;
	*tail = &p->next;
}

void
pfe_read_ports(struct pfe_read *r, struct pfe_port **list)
{
	*list = NULL;
	pfe_list(r, read_port_item, &list);
}

static void
read_proto(struct pfe_read *r, void *arg)
{
	struct pfe_proto ***tail = arg, *p = pfe_alloc(r->pf, sizeof(*p));
	int n;

	if (r->kind == T_NUM) {
		n = (int)pfe_want_num(r, "a protocol", 255);
	} else if (r->kind == T_WORD) {
		n = pfe_proto(r->text);
		if (n < 0) {
			pfe_fail(r, "unknown protocol %s", r->text);
			return;
		}
		pfe_next(r);
	} else {
		pfe_unexpected(r, "a protocol");
		return;
	}
	if (n == 0)
		pfe_fail(r, "protocol 0 cannot be used");
	p->proto = (uint8_t)n;
	**tail = p;
	*tail = &p->next;
}

static void
read_end(struct pfe_read *r, struct pfe_host **hosts, struct pfe_port **ports)
{
	if (pfe_key(r, "port")) {
		pfe_read_ports(r, ports);
		return;
	}
	if (pfe_at_key(r, "any"))
		pfe_next(r);
	else
		pfe_read_hosts(r, hosts);
	if (pfe_key(r, "port"))
		pfe_read_ports(r, ports);
}

static void
read_fromto(struct pfe_read *r, struct pfe_rule *rule)
{
	const struct pfe_host *h;

	if (pfe_key(r, "all"))
		return;
	if (pfe_key(r, "from"))
		read_end(r, &rule->from, &rule->sport);
	if (pfe_at_key(r, "os"))
		pfe_fail(r, "operating systems are not evaluated");
	if (pfe_key(r, "to"))
		read_end(r, &rule->to, &rule->dport);
	for (h = rule->to; h != NULL; h = h->next)
		if (h->kind == HOST_URPF)
			pfe_fail(r, "urpf-failed is of sources only");
}

static void
read_logopt(struct pfe_read *r)
{
	if (pfe_key(r, "all") || pfe_key(r, "matches"))
		return;
	if (pfe_at_key(r, "user")) {
		pfe_fail(r, "users are not evaluated");
	} else if (pfe_key(r, "to")) {
		if (r->kind != T_WORD || strncmp(r->text, "pflog", 5) != 0 ||
		    strspn(r->text + 5, "0123456789") != strlen(r->text) - 5 ||
		    strlen(r->text) == 5 || strlen(r->text) > 8)
			pfe_unexpected(r, "a pflog interface");
		pfe_next(r);
	} else {
		pfe_unexpected(r, "an option of log");
	}
}

static bool
read_log(struct pfe_read *r)
{
	if (!pfe_key(r, "log"))
		return false;
	if (pfe_sym(r, "(")) {
		do {
			read_logopt(r);
		} while (!r->failed && (pfe_sym(r, ",") ||
		    !pfe_at_sym(r, ")")));
		pfe_want_sym(r, ")");
	}
	return true;
}

static void
icmp_code(struct pfe_read *r, int proto)
{
	int type = proto == PFE_ICMP ? 3 : 1;

	if (r->kind == T_NUM)
		pfe_want_num(r, "an ICMP code", 255);
	else if (r->kind != T_WORD)
		pfe_unexpected(r, "an ICMP code");
	else if (pfe_icmp_code(proto, type, r->text) < 0)
		pfe_fail(r, "unknown ICMP code %s", r->text);
	else
		pfe_next(r);
}

static void
read_return_icmp(struct pfe_read *r, bool v6)
{
	if (!pfe_sym(r, "("))
		return;
	icmp_code(r, v6 ? PFE_ICMP6 : PFE_ICMP);
	if (!v6 && !pfe_at_sym(r, ")")) {
		pfe_sym(r, ",");
		icmp_code(r, PFE_ICMP6);
	}
	pfe_want_sym(r, ")");
}

static void
read_block(struct pfe_read *r, struct pfe_rule *rule)
{
	rule->how = r->opt.block_return ? PFE_RETURN : PFE_DROP;
	if (pfe_key(r, "drop")) {
		rule->how = PFE_DROP;
	} else if (pfe_key(r, "return")) {
		rule->how = PFE_RETURN;
	} else if (pfe_key(r, "return-rst")) {
		rule->how = PFE_RETURN_RST;
		if (pfe_sym(r, "(")) {
			pfe_want_key(r, "ttl");
			pfe_want_num(r, "a TTL", 255);
			pfe_want_sym(r, ")");
		}
	} else if (pfe_key(r, "return-icmp")) {
		rule->how = PFE_RETURN_ICMP;
		read_return_icmp(r, false);
	} else if (pfe_key(r, "return-icmp6")) {
		rule->how = PFE_RETURN_ICMP;
		read_return_icmp(r, true);
	}
}

/* Direction to hosts: what rules and anchors have in common. */
void
pfe_read_head(struct pfe_read *r, struct pfe_rule *rule)
{
	struct pfe_proto **protos = &rule->protos;

	if (pfe_key(r, "in"))
		rule->dir = PFE_IN;
	else if (pfe_key(r, "out"))
		rule->dir = PFE_OUT;
	if (rule->action != ACT_ANCHOR)
		rule->log = read_log(r);
	rule->quick = pfe_key(r, "quick");
	if (rule->action != ACT_ANCHOR && !rule->log)
		rule->log = read_log(r);
	pfe_read_on(r, &rule->on);
	if (pfe_key(r, "inet"))
		rule->af = 4;
	else if (pfe_key(r, "inet6"))
		rule->af = 6;
	if (pfe_key(r, "proto"))
		pfe_list(r, read_proto, &protos);
	read_fromto(r, rule);
}

static void
defaults(struct pfe_read *r, struct pfe_rule *rule)
{
	if (rule->action != ACT_PASS)
		return;
	if (!rule->has_keep) {
		rule->keep = KEEP_STATE;
		if (r->opt.defaults != NULL)
			rule->keepopt = *r->opt.defaults;
	}
	if (rule->keep != KEEP_NONE && !rule->has_flags && !rule->fragment) {
		rule->flags = PFE_SYN;
		rule->flagset = PFE_SYN | PFE_ACK;
	}
	if (!rule->keepopt.floating && r->opt.if_bound)
		rule->keepopt.bound = true;
}

static struct pfe_host *
copy_hosts(struct pfe_read *r, const struct pfe_host *from)
{
	struct pfe_host *list = NULL, **tail = &list;

	for (; from != NULL; from = from->next) {
		*tail = pfe_alloc(r->pf, sizeof(**tail));
		**tail = *from;
		(*tail)->next = NULL;
		tail = &(*tail)->next;
	}
	return list;
}

/* binat-to is two rules: out as written, in with the ends exchanged. */
static void
add_binat(struct pfe_read *r, struct pfe_rule *rule)
{
	struct pfe_rule *back = pfe_alloc(r->pf, sizeof(*back));

	*back = *rule;
	rule->dir = PFE_OUT;
	back->dir = PFE_IN;
	back->nat = NULL;
	back->rdr = pfe_alloc(r->pf, sizeof(*back->rdr));
	back->rdr->hosts = copy_hosts(r, rule->from);
	back->from = rule->to;
	back->to = copy_hosts(r, rule->nat->hosts);
	back->sport = rule->dport;
	back->dport = rule->sport;
	pfe_add_rule(r, rule);
	pfe_add_rule(r, back);
}

/* (pass | block | match) has been seen, not taken. */
void
pfe_read_rule(struct pfe_read *r)
{
	struct pfe_rule *rule = pfe_alloc(r->pf, sizeof(*rule));

	rule->line = r->tokline;
	if (pfe_key(r, "block")) {
		rule->action = ACT_BLOCK;
		read_block(r, rule);
	} else if (pfe_key(r, "match")) {
		rule->action = ACT_MATCH;
	} else {
		pfe_want_key(r, "pass");
	}
	pfe_read_head(r, rule);
	pfe_read_opts(r, rule);
	if (r->failed)
		return;
	defaults(r, rule);
	pfe_check_rule(r, rule);
	if (r->failed)
		return;
	if (rule->nat != NULL && rule->nat->binat)
		add_binat(r, rule);
	else
		pfe_add_rule(r, rule);
}

void
pfe_add_rule(struct pfe_read *r, struct pfe_rule *rule)
{
	*r->here->tail = rule;
	r->here->tail = &rule->next;
}
