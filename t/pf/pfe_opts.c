/* SPDX-License-Identifier: ISC */
/*
 * The options at a rule's end, in any order, most of them once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pfe_int.h"

/* Bits of pfe_rule.seen. */
enum {
	SEEN_ICMP = 1 << 0, SEEN_SETPRIO = 1 << 1, SEEN_SETTOS = 1 << 2,
	SEEN_RATE = 1 << 3, SEEN_DELAY = 1 << 4, SEEN_NODF = 1 << 5,
	SEEN_TTL = 1 << 6, SEEN_MSS = 1 << 7, SEEN_TCP = 1 << 8,
	SEEN_ID = 1 << 9,
};

static void
once(struct pfe_read *r, struct pfe_rule *rule, unsigned bit, const char *what)
{
	if (rule->seen & bit)
		pfe_fail(r, "%s is given twice", what);
	rule->seen |= bit;
}

static uint8_t
flag_set(struct pfe_read *r)
{
	static const char letters[] = "FSRPAUEW";
	const char *p, *at;
	uint8_t set = 0;

	if (r->kind != T_WORD) {
		pfe_unexpected(r, "TCP flags");
		return 0;
	}
	for (p = r->text; *p != '\0'; p++) {
		at = strchr(letters, *p);
		if (at == NULL) {
			pfe_fail(r, "%s are no TCP flags", r->text);
			return 0;
		}
		set |= (uint8_t)(1 << (at - letters));
	}
	pfe_next(r);
	return set;
}

static void
read_flags(struct pfe_read *r, struct pfe_rule *rule)
{
	if (rule->has_flags)
		pfe_fail(r, "flags is given twice");
	rule->has_flags = true;
	if (pfe_key(r, "any"))
		return;
	if (!pfe_at_sym(r, "/"))
		rule->flags = flag_set(r);
	pfe_want_sym(r, "/");
	rule->flagset = flag_set(r);
	if (!r->failed && (rule->flags & ~rule->flagset) != 0)
		pfe_fail(r, "flags outside of the set that is looked at");
}

static void
icmp_item(struct pfe_read *r, int proto, struct pfe_icmp *i)
{
	i->proto = (uint8_t)proto;
	i->code = -1;
	if (r->kind == T_NUM) {
		i->type = (int)pfe_want_num(r, "an ICMP type", 255);
	} else if (r->kind == T_WORD) {
		i->type = pfe_icmp_type(proto, r->text);
		if (i->type < 0)
			pfe_fail(r, "unknown ICMP type %s", r->text);
		pfe_next(r);
	} else {
		pfe_unexpected(r, "an ICMP type");
	}
	if (!pfe_key(r, "code"))
		return;
	if (r->kind == T_NUM) {
		i->code = (int)pfe_want_num(r, "an ICMP code", 255);
	} else if (r->kind == T_WORD) {
		i->code = pfe_icmp_code(proto, i->type, r->text);
		if (i->code < 0)
			pfe_fail(r, "unknown ICMP code %s", r->text);
		pfe_next(r);
	} else {
		pfe_unexpected(r, "an ICMP code");
	}
}

static void
icmp4(struct pfe_read *r, void *arg)
{
	struct pfe_icmp ***tail = arg, *i = pfe_alloc(r->pf, sizeof(*i));

	icmp_item(r, PFE_ICMP, i);
	**tail = i;
	*tail = &i->next;
}

static void
icmp6(struct pfe_read *r, void *arg)
{
	struct pfe_icmp ***tail = arg, *i = pfe_alloc(r->pf, sizeof(*i));

	icmp_item(r, PFE_ICMP6, i);
	**tail = i;
	*tail = &i->next;
}

static void
read_icmp(struct pfe_read *r, struct pfe_rule *rule, bool v6)
{
	struct pfe_icmp **tail = &rule->icmp;

	once(r, rule, SEEN_ICMP, "icmp-type");
	pfe_list(r, v6 ? icmp6 : icmp4, &tail);
}

static void
read_tos(struct pfe_read *r)
{
	static const char *const names[] = {
		"critical", "inetcontrol", "lowdelay", "netcontrol",
		"throughput", "reliability", "cs0", "cs1", "cs2", "cs3", "cs4",
		"cs5", "cs6", "cs7", "ef", "af11", "af12", "af13", "af21",
		"af22", "af23", "af31", "af32", "af33", "af41", "af42", "af43",
	};
	unsigned i;
	char *end;

	if (r->kind == T_NUM) {
		pfe_want_num(r, "a TOS", 255);
		return;
	}
	if (r->kind != T_WORD) {
		pfe_unexpected(r, "a TOS");
		return;
	}
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], r->text) == 0)
			break;
	if (i == sizeof(names) / sizeof(names[0]) &&
	    (strncmp(r->text, "0x", 2) != 0 ||
	    strtoul(r->text, &end, 16) > 255 || *end != '\0'))
		pfe_fail(r, "%s is no TOS", r->text);
	pfe_next(r);
}

static void
scrub_option(struct pfe_read *r, struct pfe_rule *rule)
{
	if (pfe_key(r, "no-df")) {
		once(r, rule, SEEN_NODF, "no-df");
		rule->scrub_v4 = true;
	} else if (pfe_key(r, "random-id")) {
		once(r, rule, SEEN_ID, "random-id");
		rule->scrub_v4 = true;
	} else if (pfe_key(r, "min-ttl")) {
		once(r, rule, SEEN_TTL, "min-ttl");
		pfe_want_num(r, "a TTL", 255);
	} else if (pfe_key(r, "max-mss")) {
		once(r, rule, SEEN_MSS, "max-mss");
		pfe_want_num(r, "a segment size", 65535);
	} else if (pfe_key(r, "reassemble")) {
		once(r, rule, SEEN_TCP, "reassemble");
		if (r->kind != T_WORD || strcmp(r->text, "tcp") != 0)
			pfe_unexpected(r, "tcp");
		pfe_next(r);
	} else {
		pfe_unexpected(r, "an option of scrub");
	}
}

static void
in_parens(struct pfe_read *r, struct pfe_rule *rule,
    void (*item)(struct pfe_read *, struct pfe_rule *))
{
	pfe_want_sym(r, "(");
	do {
		item(r, rule);
	} while (!r->failed && (pfe_sym(r, ",") || !pfe_at_sym(r, ")")));
	pfe_want_sym(r, ")");
}

static void
set_option(struct pfe_read *r, struct pfe_rule *rule)
{
	if (pfe_key(r, "prio")) {
		once(r, rule, SEEN_SETPRIO, "set prio");
		if (pfe_sym(r, "(")) {
			pfe_want_num(r, "a priority", 7);
			pfe_sym(r, ",");
			pfe_want_num(r, "a priority", 7);
			pfe_want_sym(r, ")");
		} else {
			pfe_want_num(r, "a priority", 7);
		}
	} else if (pfe_key(r, "tos")) {
		once(r, rule, SEEN_SETTOS, "set tos");
		read_tos(r);
	} else if (pfe_key(r, "delay")) {
		once(r, rule, SEEN_DELAY, "set delay");
		pfe_want_num(r, "a delay", 65535);
	} else if (pfe_at_key(r, "queue")) {
		pfe_fail(r, "queues are not read");
	} else {
		pfe_unexpected(r, "an option of set");
	}
}

static void
read_keep(struct pfe_read *r, struct pfe_rule *rule)
{
	if (rule->has_keep)
		pfe_fail(r, "the state is given twice");
	rule->has_keep = true;
	if (pfe_key(r, "no"))
		rule->keep = KEEP_NONE;
	else if (pfe_key(r, "keep"))
		rule->keep = KEEP_STATE;
	else if (pfe_key(r, "modulate"))
		rule->keep = KEEP_MODULATE;
	else if (pfe_key(r, "synproxy"))
		rule->keep = KEEP_SYNPROXY;
	pfe_want_key(r, "state");
	if (rule->keep != KEEP_NONE && pfe_sym(r, "("))
		pfe_read_keepopts(r, &rule->keepopt, true);
}

/* A name is one word for us; pf joins several. */
static void
read_name(struct pfe_read *r, const char *what, char name[PFE_NAME])
{
	pfe_want_word(r, what, name, PFE_NAME);
	if (!r->failed && name[0] == '\0')
		pfe_fail(r, "%s is empty", what);
}

static void
read_label(struct pfe_read *r, struct pfe_rule *rule)
{
	if (rule->label[0] != '\0')
		pfe_fail(r, "label is given twice");
	else
		read_name(r, "a label", rule->label);
}

/* tagged and received-on may be negated. */
static void
read_negated(struct pfe_read *r, struct pfe_rule *rule)
{
	bool not = pfe_sym(r, "!");
	struct pfe_onif **tail = &rule->received;

	if (pfe_key(r, "tagged")) {
		read_name(r, "a tag", rule->tagged);
		rule->not_tagged = not;
	} else if (pfe_key(r, "received-on")) {
		if (rule->received != NULL) {
			pfe_fail(r, "received-on is given twice");
			return;
		}
		if (pfe_at_sym(r, "!")) {
			pfe_unexpected(r, "an interface");
			return;
		}
		pfe_read_onif(r, &tail);
		rule->received->not = not;
	} else {
		pfe_unexpected(r, "tagged or received-on");
	}
}

static void
read_rate(struct pfe_read *r, struct pfe_rule *rule)
{
	once(r, rule, SEEN_RATE, "max-pkt-rate");
	pfe_want_num(r, "a number", UINT32_MAX);
	pfe_want_sym(r, "/");
	pfe_want_num(r, "seconds", UINT32_MAX);
}

/* Parts of the grammar whose verdict is not ours to know. */
static bool
refused(struct pfe_read *r)
{
	static const char *const words[] = {
		"user", "group", "probability", "rtable", "divert-to",
		"divert-reply", "divert-packet", "route-to", "reply-to",
		"dup-to", "af-to", "queue", "prio", "tos",
	};
	unsigned i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (pfe_at_key(r, words[i])) {
			pfe_fail(r, "%s is not evaluated", words[i]);
			return true;
		}
	return false;
}

static void
read_set(struct pfe_read *r, struct pfe_rule *rule)
{
	if (pfe_at_sym(r, "("))
		in_parens(r, rule, set_option);
	else
		set_option(r, rule);
}

static bool
packet_option(struct pfe_read *r, struct pfe_rule *rule)
{
	if (pfe_key(r, "set")) {
		read_set(r, rule);
	} else if (pfe_key(r, "scrub")) {
		in_parens(r, rule, scrub_option);
	} else if (pfe_key(r, "max-pkt-rate")) {
		read_rate(r, rule);
	} else {
		return false;
	}
	return true;
}

static void
read_option(struct pfe_read *r, struct pfe_rule *rule)
{
	if (packet_option(r, rule) || refused(r))
		return;
	if (pfe_key(r, "flags")) {
		read_flags(r, rule);
	} else if (pfe_key(r, "icmp-type")) {
		read_icmp(r, rule, false);
	} else if (pfe_key(r, "icmp6-type")) {
		read_icmp(r, rule, true);
	} else if (pfe_at_key(r, "no") || pfe_at_key(r, "keep") ||
	    pfe_at_key(r, "modulate") || pfe_at_key(r, "synproxy")) {
		read_keep(r, rule);
	} else if (pfe_key(r, "fragment")) {
		rule->fragment = true;
	} else if (pfe_key(r, "allow-opts")) {
		rule->allow_opts = true;
	} else if (pfe_key(r, "once")) {
		rule->once = true;
	} else if (pfe_key(r, "label")) {
		read_label(r, rule);
	} else if (pfe_key(r, "tag")) {
		read_name(r, "a tag", rule->tag);
	} else if (pfe_at_sym(r, "!") || pfe_at_key(r, "tagged") ||
	    pfe_at_key(r, "received-on")) {
		read_negated(r, rule);
	} else if (pfe_key(r, "nat-to")) {
		pfe_read_pool(r, rule, false, false);
	} else if (pfe_key(r, "binat-to")) {
		pfe_read_pool(r, rule, false, true);
	} else if (pfe_key(r, "rdr-to")) {
		pfe_read_pool(r, rule, true, false);
	} else {
		pfe_unexpected(r, "an option of the rule");
	}
}

void
pfe_read_opts(struct pfe_read *r, struct pfe_rule *rule)
{
	while (!r->failed && r->kind != T_EOL && r->kind != T_EOF &&
	    !(rule->action == ACT_ANCHOR && pfe_at_sym(r, "{")))
		read_option(r, rule);
}
