/* SPDX-License-Identifier: ISC */
/*
 * Options of the whole.  Few change a verdict: skip, block-policy,
 * state-policy, state-defaults, reassemble.
 */
#include <string.h>

#include "pfe_int.h"

static void
one_of(struct pfe_read *r, const char *const *words, const char *what)
{
	for (; *words != NULL; words++)
		if ((r->kind == T_WORD || r->kind == T_KEY) &&
		    strcmp(r->text, *words) == 0) {
			pfe_next(r);
			return;
		}
	pfe_unexpected(r, what);
}

static void
timeout(struct pfe_read *r, void *arg)
{
	static const char *const names[] = {
		"tcp.first", "tcp.opening", "tcp.established", "tcp.closing",
		"tcp.finwait", "tcp.closed", "tcp.tsdiff", "udp.first",
		"udp.single", "udp.multiple", "icmp.first", "icmp.error",
		"other.first", "other.single", "other.multiple", "frag",
		"interval", "adaptive.start", "adaptive.end", "src.track", NULL,
	};

	(void)arg;
	one_of(r, names, "a timeout");
	pfe_want_num(r, "seconds", UINT32_MAX);
}

static void
limit(struct pfe_read *r, void *arg)
{
	static const char *const names[] = {
		"states", "src-nodes", "frags", "tables", "table-entries",
		"pktdelay-pkts", "anchors", NULL,
	};

	(void)arg;
	one_of(r, names, "a limit");
	pfe_want_num(r, "a number", UINT32_MAX);
}

static void
skip(struct pfe_read *r)
{
	struct pfe_onif *list = NULL, **tail = &list, *i;

	pfe_want_key(r, "on");
	pfe_list(r, pfe_read_onif, &tail);
	for (i = list; i != NULL; i = i->next)
		if (i->not || i->rdomain >= 0)
			pfe_fail(r, "set skip names interfaces");
	*tail = r->opt.skip;
	r->opt.skip = list;
}

static void
reassemble(struct pfe_read *r)
{
	if (pfe_key(r, "no")) {
		r->opt.no_reassemble = true;
	} else if (r->kind == T_WORD && strcmp(r->text, "yes") == 0) {
		r->opt.no_reassemble = false;
		pfe_next(r);
	} else {
		pfe_unexpected(r, "yes or no");
	}
	pfe_key(r, "no-df");
}

static void
policy(struct pfe_read *r)
{
	if (pfe_key(r, "drop"))
		r->opt.block_return = false;
	else if (pfe_key(r, "return"))
		r->opt.block_return = true;
	else
		pfe_unexpected(r, "drop or return");
}

static void
state_policy(struct pfe_read *r)
{
	if (pfe_key(r, "if-bound"))
		r->opt.if_bound = true;
	else if (pfe_key(r, "floating"))
		r->opt.if_bound = false;
	else
		pfe_unexpected(r, "if-bound or floating");
}

static void
state_defaults(struct pfe_read *r)
{
	if (r->opt.defaults != NULL) {
		pfe_fail(r, "state-defaults is given twice");
		return;
	}
	r->opt.defaults = pfe_alloc(r->pf, sizeof(*r->opt.defaults));
	pfe_read_keepopts(r, r->opt.defaults, false);
}

/* Options without a part in any verdict. */
static void
other(struct pfe_read *r)
{
	static const char *const profiles[] = {
		"default", "normal", "high-latency", "satellite", "aggressive",
		"conservative", NULL,
	};
	static const char *const optimizers[] = {
		"none", "basic", "profile", NULL,
	};
	static const char *const levels[] = {
		"emerg", "alert", "crit", "err", "warning", "notice", "info",
		"debug", NULL,
	};
	static const char *const cookies[] = {
		"never", "always", "adaptive", NULL,
	};
	char name[16];

	if (pfe_key(r, "optimization"))
		one_of(r, profiles, "an optimization");
	else if (pfe_key(r, "ruleset-optimization"))
		one_of(r, optimizers, "an optimization of rules");
	else if (pfe_key(r, "debug"))
		one_of(r, levels, "a level");
	else if (pfe_key(r, "syncookies"))
		one_of(r, cookies, "never, always or adaptive");
	else if (pfe_key(r, "hostid"))
		pfe_want_num(r, "a number", UINT32_MAX);
	else if (pfe_key(r, "loginterface"))
		pfe_want_word(r, "an interface", name, sizeof(name));
	else
		pfe_unexpected(r, "an option");
}

void
pfe_read_set(struct pfe_read *r)
{
	if (r->here->path[0] != '\0')
		pfe_fail(r, "options are of the main rules");
	else if (pfe_key(r, "timeout"))
		pfe_list(r, timeout, NULL);
	else if (pfe_key(r, "limit"))
		pfe_list(r, limit, NULL);
	else if (pfe_key(r, "skip"))
		skip(r);
	else if (pfe_key(r, "reassemble"))
		reassemble(r);
	else if (pfe_key(r, "block-policy"))
		policy(r);
	else if (pfe_key(r, "state-policy"))
		state_policy(r);
	else if (pfe_key(r, "state-defaults"))
		state_defaults(r);
	else
		other(r);
}
