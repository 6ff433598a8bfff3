/* SPDX-License-Identifier: ISC */
/*
 * What stands behind nat-to, binat-to, rdr-to and `keep state`.
 */
#include <string.h>

#include "pfe_int.h"

static void
redir_host(struct pfe_read *r, void *arg)
{
	struct pfe_host ***tail = arg;

	if (pfe_at_sym(r, "!")) {
		pfe_unexpected(r, "an address");
		return;
	}
	pfe_read_host(r, tail);
	if (pfe_at_key(r, "weight"))
		pfe_fail(r, "weights are not evaluated");
}

static void
pool_type(struct pfe_read *r, struct pfe_pool *p, enum pfe_pick pick)
{
	if (p->pick != PICK_NONE)
		pfe_fail(r, "the type of a pool is given twice");
	p->pick = pick;
	if (pick == PICK_HASH && (r->kind == T_WORD || r->kind == T_NUM))
		pfe_next(r);
}

static void
flag(struct pfe_read *r, bool *flag, const char *what)
{
	if (*flag)
		pfe_fail(r, "%s is given twice", what);
	*flag = true;
}

static void
pool_options(struct pfe_read *r, struct pfe_pool *p)
{
	for (;;) {
		if (pfe_key(r, "bitmask"))
			pool_type(r, p, PICK_BITMASK);
		else if (pfe_key(r, "random"))
			pool_type(r, p, PICK_RANDOM);
		else if (pfe_key(r, "source-hash"))
			pool_type(r, p, PICK_HASH);
		else if (pfe_key(r, "round-robin"))
			pool_type(r, p, PICK_ROUND);
		else if (pfe_key(r, "least-states"))
			pool_type(r, p, PICK_LEAST);
		else if (pfe_key(r, "static-port"))
			flag(r, &p->static_port, "static-port");
		else if (pfe_key(r, "sticky-address"))
			flag(r, &p->sticky, "sticky-address");
		else
			return;
	}
}

static void
check_pool(struct pfe_read *r, const struct pfe_pool *p, bool rdr)
{
	const struct pfe_host *h;
	unsigned n = 0;

	for (h = p->hosts; h != NULL; h = h->next) {
		if (h->kind == HOST_NOROUTE || h->kind == HOST_URPF ||
		    h->kind == HOST_RANGE)
			pfe_fail(r, "a packet cannot be sent to that");
		else if (h->kind != HOST_NET && p->hosts->next != NULL)
			pfe_fail(r, "only addresses can be in a list here");
		n++;
	}
	if (n > 1 && (p->pick == PICK_BITMASK || p->pick == PICK_HASH))
		pfe_fail(r, "that type of pool has one net");
	if (p->hosts != NULL && p->hosts->kind == HOST_TABLE &&
	    (p->pick == PICK_BITMASK))
		pfe_fail(r, "that type of pool has no table");
	if (p->static_port && rdr)
		pfe_fail(r, "static-port is for nat-to");
	if (p->static_port && p->ports)
		pfe_fail(r, "static-port and a port");
	if (p->binat && p->ports)
		pfe_fail(r, "binat-to and a port");
}

/* host [port LO[:HI | :*]] [pool options] */
void
pfe_read_pool(struct pfe_read *r, struct pfe_rule *rule, bool rdr, bool binat)
{
	struct pfe_pool *p = pfe_alloc(r->pf, sizeof(*p));
	struct pfe_host **tail = &p->hosts;
	bool range;

	if (rdr ? rule->rdr != NULL : rule->nat != NULL) {
		pfe_fail(r, "a second translation of the same end");
		return;
	}
	pfe_list(r, redir_host, &tail);
	if (!r->failed && pfe_key(r, "port"))
		p->ports = pfe_read_port(r, rdr, &p->lo, &p->hi, &range,
		    &p->star);
	pool_options(r, p);
	p->binat = binat;
	if (binat)
		p->static_port = true;
	check_pool(r, p, rdr);
	if (rdr)
		rule->rdr = p;
	else
		rule->nat = p;
}

enum {
	OPT_MAX = 1 << 0, OPT_SYNC = 1 << 1, OPT_STATES = 1 << 2,
	OPT_CONN = 1 << 3, OPT_RATE = 1 << 4, OPT_OVERLOAD = 1 << 5,
	OPT_NODES = 1 << 6, OPT_TRACK = 1 << 7, OPT_LOCK = 1 << 8,
	OPT_SLOPPY = 1 << 9, OPT_PFLOW = 1 << 10, OPT_TIMEOUT = 1 << 11,
};

static const char *const timeouts[] = {
	"tcp.first", "tcp.opening", "tcp.established", "tcp.closing",
	"tcp.finwait", "tcp.closed", "tcp.tsdiff", "udp.first", "udp.single",
	"udp.multiple", "icmp.first", "icmp.error", "other.first",
	"other.single", "other.multiple", "frag", "interval",
	"adaptive.start", "adaptive.end", "src.track",
};

static void
timeout(struct pfe_read *r, struct pfe_keepopt *k)
{
	unsigned i;

	for (i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++)
		if (r->kind == T_WORD && strcmp(r->text, timeouts[i]) == 0 &&
		    strchr(timeouts[i], '.') != NULL)
			break;
	if (i == sizeof(timeouts) / sizeof(timeouts[0])) {
		pfe_unexpected(r, "an option of the state");
		return;
	}
	pfe_next(r);
	if (k->seen & OPT_TIMEOUT << i)
		pfe_fail(r, "%s is given twice", timeouts[i]);
	k->seen |= OPT_TIMEOUT << i;
	pfe_want_num(r, "seconds", UINT32_MAX);
}

static unsigned
limit(struct pfe_read *r)
{
	unsigned n = (unsigned)pfe_want_num(r, "a limit", UINT32_MAX);

	if (!r->failed && n == 0)
		pfe_fail(r, "the limit is 0");
	return n;
}

static void
overload(struct pfe_read *r, struct pfe_keepopt *k)
{
	char name[PFE_TABLE];

	pfe_want_sym(r, "<");
	pfe_want_word(r, "the name of a table", name, sizeof(name));
	pfe_want_sym(r, ">");
	if (pfe_key(r, "flush"))
		pfe_key(r, "global");
	k->overload = true;
}

static void
state_value(struct pfe_read *r, struct pfe_keepopt *k, unsigned bit)
{
	switch (bit) {
	case OPT_MAX:
		k->max = (unsigned)pfe_want_num(r, "a limit", UINT32_MAX);
		break;
	case OPT_STATES:
		k->src_states = limit(r);
		break;
	case OPT_CONN:
		k->src_conn = limit(r);
		break;
	case OPT_NODES:
		k->src_nodes = limit(r);
		break;
	case OPT_RATE:
		k->conn_rate = limit(r);
		pfe_want_sym(r, "/");
		k->conn_secs = limit(r);
		break;
	case OPT_OVERLOAD:
		overload(r, k);
		break;
	case OPT_TRACK:
		k->track = pfe_key(r, "rule") ? 2 : pfe_key(r, "global") ? 3 :
		    1;
		break;
	case OPT_SLOPPY:
		k->sloppy = true;
		break;
	}
}

static void
state_option(struct pfe_read *r, struct pfe_keepopt *k)
{
	static const struct {
		const char	*key;
		unsigned	bit;
	} opts[] = {
		{ "max", OPT_MAX }, { "no-sync", OPT_SYNC },
		{ "max-src-states", OPT_STATES }, { "max-src-conn", OPT_CONN },
		{ "max-src-conn-rate", OPT_RATE }, { "overload", OPT_OVERLOAD },
		{ "max-src-nodes", OPT_NODES }, { "source-track", OPT_TRACK },
		{ "if-bound", OPT_LOCK }, { "floating", OPT_LOCK },
		{ "sloppy", OPT_SLOPPY }, { "pflow", OPT_PFLOW },
	};
	unsigned i;

	for (i = 0; i < sizeof(opts) / sizeof(opts[0]); i++)
		if (pfe_at_key(r, opts[i].key))
			break;
	if (i == sizeof(opts) / sizeof(opts[0])) {
		timeout(r, k);
		return;
	}
	if (k->seen & opts[i].bit)
		pfe_fail(r, "%s is given twice", opts[i].key);
	k->seen |= opts[i].bit;
	k->bound |= pfe_at_key(r, "if-bound");
	k->floating |= pfe_at_key(r, "floating");
	pfe_next(r);
	state_value(r, k, opts[i].bit);
}

static void
check_state(struct pfe_read *r, const struct pfe_keepopt *k)
{
	if (k->track == 3 && (k->src_nodes != 0 || k->src_conn != 0 ||
	    k->conn_rate != 0))
		pfe_fail(r, "a limit of sources with source-track global");
	if (k->overload && k->src_conn == 0 && k->conn_rate == 0)
		pfe_fail(r, "overload without a limit of connections");
}

/* In parentheses, or up to the end of the line (set state-defaults). */
void
pfe_read_keepopts(struct pfe_read *r, struct pfe_keepopt *k, bool paren)
{
	do {
		state_option(r, k);
	} while (!r->failed && (pfe_sym(r, ",") ||
	    (paren ? !pfe_at_sym(r, ")") : r->kind != T_EOL &&
	    r->kind != T_EOF)));
	if (paren)
		pfe_want_sym(r, ")");
	check_state(r, k);
}
