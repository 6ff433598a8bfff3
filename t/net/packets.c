/* SPDX-License-Identifier: ISC */
/*
 * Sends the packets of a table through this host's packet filter, which has the
 * rules of ppolicy.h, and says which verdicts were others than expected.
 *
 * usage: packets TABLE
 *	  packets --print		the rules
 *	  packets --routed TABLE	where the host tracks no connections of
 *					what is bridged: without those packets
 *	  packets --rules FILE TABLE	with rules of a file, some of which are
 *					wrong: waits for no packet for long
 *	  packets --random N TABLE	N policies and packets by chance, among
 *					who is in the table
 */
#include <arpa/inet.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "net/fw_load.h"
#include "pframe.h"
#include "ppolicy.h"
#include "prandom.h"
#include "pworld.h"

#define RULES_MAX	(1 << 20)
#define WAIT_MS		2000
#define WAIT_QUICK_MS	120
#define FAILURES	40	/* that are told */
#define RANDOM		100	/* packets of a policy */
#define RANDOM_MAX	500	/* policies: each packet has a port of its own */
#define RANDOM_PORT	10000

/* What became of a packet. */
struct fate {
	bool		 came;		/* in by its sender's interface */
	bool		 host;
	size_t		 nwhere;
	char		 where[PTAB_WHO][16];	/* interfaces it left by */
	struct pframe	 sent, got;	/* the first of each */
};

struct run {
	struct ptab	 t;
	struct pworld	*w;
	struct fate	*fates;		/* of each packet */
	bool		 routed;
	bool		 quick;
	const char	*file;
	size_t		 random;	/* policies; 0: the table's packets */
	size_t		 failed, skipped, missed;
	size_t		 got, translated;	/* that should be */
};

static void
keep(struct pframe *f, const uint8_t *bytes, size_t len)
{
	if (f->len > 0 || len > sizeof(f->bytes))
		return;
	memcpy(f->bytes, bytes, len);
	f->len = len;
}

static void
left(struct fate *fate, const char *iface)
{
	size_t i;

	for (i = 0; i < fate->nwhere; i++)
		if (strcmp(fate->where[i], iface) == 0)
			return;
	if (fate->nwhere < PTAB_WHO)
		snprintf(fate->where[fate->nwhere++], 16, "%s", iface);
}

static void
seen(void *cookie, enum pworld_where where, const char *iface,
    const uint8_t *bytes, size_t len)
{
	struct run *r = cookie;
	struct pframe_view v = { .tag = 0 };
	const struct ptab_packet *p;
	struct fate *fate;

	if (*iface == '\0')
		v.tag = pframe_tag(bytes, len);
	else
		pframe_look(&v, bytes, len);
	if (v.tag == 0 || v.tag > r->t.npackets)
		return;
	p = &r->t.packets[v.tag - 1];
	fate = &r->fates[v.tag - 1];
	/* The host's own errors and redirects quote packets. */
	if (v.is_error && p->kind != PTAB_ERROR && p->kind != PTAB_ND &&
	    (p->kind != PTAB_ICMP || v.l4[0] != p->type))
		return;
	if (where == PWORLD_HOST) {
		/* Of IP, the bridge sees what programs do not get yet. */
		if (*iface == '\0' || v.family == 0)
			fate->host = true;
	} else if (where == PWORLD_IN) {
		fate->came |= strcmp(iface, p->sender->iface) == 0;
	} else {
		left(fate, iface);
		keep(&fate->got, bytes, len);
	}
}

static bool
got_by(const struct fate *fate, const char *iface)
{
	size_t i;

	for (i = 0; i < fate->nwhere; i++)
		if (strcmp(fate->where[i], iface) == 0)
			return true;
	return false;
}

/* Everybody who must have it has it. */
static bool
arrived(const struct ptab_packet *p, const struct fate *fate)
{
	size_t i;

	for (i = 0; i < p->nwho; i++)
		if (!got_by(fate, p->who[i]->iface))
			return false;
	return fate->came && (fate->host || !p->to_host);
}

/* Nobody has it who must not. */
static bool
kept(const struct ptab_packet *p, const struct fate *fate)
{
	size_t i, k;

	for (i = 0; i < fate->nwhere; i++) {
		for (k = 0; k < p->nwho; k++)
			if (strcmp(p->who[k]->iface, fate->where[i]) == 0)
				break;
		if (k == p->nwho)
			return false;
	}
	return p->to_host || !fate->host;
}

static bool
same_end(const struct ptab_end *e, const struct pframe_view *v,
    const uint8_t *ip, uint16_t port)
{
	return memcmp(ptab_ip(e->who, v->family), ip,
	    v->family == 4 ? 4 : 16) == 0 &&
	    (!v->ports || e->any_port || e->port == 0 || e->port == port);
}

/* Addresses and ports are as the table says, or as they were sent. */
static bool
translated(const struct ptab_packet *p, const struct fate *fate)
{
	struct pframe_view got, sent;
	size_t size;

	if (p->nwho == 0 || !pframe_look(&got, fate->got.bytes,
	    fate->got.len) || got.family == 0)
		return true;
	if (p->translated)
		return same_end(&p->as_src, &got, got.src, got.sport) &&
		    same_end(&p->as_dst, &got, got.dst, got.dport);
	size = got.family == 4 ? 4 : 16;
	return pframe_look(&sent, fate->sent.bytes, fate->sent.len) &&
	    memcmp(sent.src, got.src, size) == 0 &&
	    memcmp(sent.dst, got.dst, size) == 0 &&
	    (!sent.ports || !got.ports || (sent.sport == got.sport &&
	    sent.dport == got.dport));
}

static void
tell_end(const uint8_t *ip, unsigned family, uint16_t port)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(family == 4 ? AF_INET : AF_INET6, ip, text, sizeof(text));
	printf(" %s:%u", text, port);
}

static void
tell(struct run *r, const struct ptab_packet *p, const char *why)
{
	const struct fate *fate = &r->fates[p - r->t.packets];
	struct pframe_view v;
	size_t i;

	if (r->failed++ >= FAILURES)
		return;
	printf("%s:%u: %s %u: %s: got by", r->file, p->line, p->id,
	    p->family, why);
	for (i = 0; i < fate->nwhere; i++)
		printf(" %s", fate->where[i]);
	printf("%s", fate->host ? " host" : "");
	if (fate->got.len > 0 && pframe_look(&v, fate->got.bytes,
	    fate->got.len) && v.family != 0) {
		tell_end(v.src, v.family, v.sport);
		tell_end(v.dst, v.family, v.dport);
	}
	printf("\n");
}

static void
run_packet(struct run *r, const struct ptab_packet *p)
{
	struct fate *fate = &r->fates[p - r->t.packets];
	const struct fate *of = NULL;
	const struct pframe *about = NULL;
	struct pframe f[2];
	size_t i, n;
	int error, tries, ms;

	if (p->of != NULL) {
		of = &r->fates[p->of - r->t.packets];
		about = p->kind == PTAB_AGAIN ? &of->sent : &of->got;
	}
	error = pframe_build(p, (unsigned)(p - r->t.packets) + 1, about, f,
	    &n);
	if (error != 0) {
		tell(r, p, error == -ENOENT ? "there was nothing before" :
		    "it cannot be made");
		return;
	}
	for (i = 0; i < n; i++) {
		keep(&fate->sent, f[i].bytes, f[i].len);
		error = pworld_send(r->w, p->sender->iface, f[i].bytes,
		    f[i].len);
		if (error != 0)
			tell(r, p, strerror(-error));
	}
	/* Where much is wrong nobody waits long. */
	ms = r->missed >= 5 ? 2 : r->quick ? WAIT_QUICK_MS / 8 : WAIT_MS / 8;
	for (tries = 0; tries < 8 && !arrived(p, fate); tries++)
		pworld_look(r->w, ms, seen, r);
	r->missed += !arrived(p, fate);
	pworld_look(r->w, 0, seen, r);
}

static bool
is_skipped(const struct run *r, const struct ptab_packet *p)
{
	return r->routed && p->needs_bridge_ct;
}

static void
run_packets(struct run *r, size_t first, size_t n)
{
	const struct ptab_packet *begin = r->t.packets + first, *p;
	const struct ptab_packet *end = begin + n;

	for (p = begin; p < end; p++)
		if (!is_skipped(r, p))
			run_packet(r, p);
	/* What comes late comes, too. */
	pworld_look(r->w, 100, seen, r);
	for (p = begin; p < end; p++) {
		const struct fate *fate = &r->fates[p - r->t.packets];

		if (is_skipped(r, p))
			r->skipped++;
		else if (fate->sent.len == 0)
			continue;
		else if (!arrived(p, fate))
			tell(r, p, fate->came ? "not got" : "not sent");
		else if (!kept(p, fate))
			tell(r, p, "got by others");
		else if (!translated(p, fate))
			tell(r, p, "translated wrongly");
		r->got += p->nwho > 0 || p->to_host;
		r->translated += p->translated;
	}
}

static int
write_rules(struct buf *b, const struct fw_policy *p, struct fw_rules *rules)
{
	char err[256] = "";
	int error = fw_build(p, rules, err, sizeof(err));

	if (error == 0) {
		error = fw_nft_write(p, rules, b, err, sizeof(err));
		if (error != 0)
			fw_rules_free(rules);
	}
	if (error != 0)
		fprintf(stderr, "rules: %s\n", err);
	return error != 0 ? error : buf_append(b, "", 1);
}

static int
make_rules(struct buf *b, const char *file)
{
	struct fw_rules rules;
	char text[4096];
	size_t n;
	int error;
	FILE *f;

	buf_init(b, RULES_MAX);
	if (file != NULL) {
		f = fopen(file, "r");
		if (f == NULL)
			return -errno;
		while ((n = fread(text, 1, sizeof(text), f)) > 0)
			buf_append(b, text, n);
		fclose(f);
		return buf_append(b, "", 1);
	}
	error = write_rules(b, &ppolicy, &rules);
	if (error == 0)
		fw_rules_free(&rules);
	return error;
}

/* One policy's packets, from number `first` on. */
static int
run_chance(struct run *r, struct fw_load *load, size_t first, char *err,
    size_t errlen)
{
	struct prandom chance;
	struct fw_rules rules;
	struct buf text;
	size_t i;
	int error;

	buf_init(&text, RULES_MAX);
	prandom_policy(&chance, 1 + first / RANDOM);
	error = write_rules(&text, &chance.p, &rules);
	if (error == 0) {
		error = fw_load_apply(load, buf_head(&text), err, errlen);
		for (i = first; i < first + RANDOM && error == 0; i++)
			if (!prandom_packet(&chance, &r->t, &rules,
			    (uint16_t)(RANDOM_PORT + i), &r->t.packets[i]))
				error = -ENOENT;
		fw_rules_free(&rules);
	}
	if (error == 0)
		run_packets(r, first, RANDOM);
	buf_free(&text);
	return error;
}

/* What the table has is not sent. */
static int
run_random(struct run *r, struct fw_load *load, char *err, size_t errlen)
{
	size_t i;
	int error = 0;

	for (i = 0; i < r->random && error == 0; i++)
		error = run_chance(r, load, i * RANDOM, err, errlen);
	return error;
}

static int
run_loaded(struct run *r, struct fw_load *load, const struct buf *rules,
    char *err, size_t errlen)
{
	int error;

	if (r->random > 0)
		return run_random(r, load, err, errlen);
	error = fw_load_apply(load, buf_head(rules), err, errlen);
	if (error == 0)
		run_packets(r, 0, r->t.npackets);
	return error;
}

/* Room for those by chance instead of the table's. */
static bool
make_room(struct run *r)
{
	if (r->random > 0) {
		free(r->t.packets);
		r->t.npackets = r->random * RANDOM;
		r->t.packets = calloc(r->t.npackets, sizeof(*r->t.packets));
	}
	r->fates = calloc(r->t.npackets, sizeof(*r->fates));
	return r->t.packets != NULL && r->fates != NULL;
}

static int
run_table(struct run *r, struct buf *rules)
{
	struct fw_load *load;
	char err[1024] = "";
	int error;
	FILE *f;

	f = fopen(r->file, "r");
	if (f == NULL || ptab_read(&r->t, f, err, sizeof(err)) != 0) {
		fprintf(stderr, "%s: %s\n", r->file,
		    f == NULL ? strerror(errno) : err);
		return 1;
	}
	fclose(f);
	if (!make_room(r))
		return 1;
	error = pworld_open(&r->w, &r->t, err, sizeof(err));
	if (error != 0) {
		fprintf(stderr, "%s: %s\n", err, strerror(-error));
		return 1;
	}
	error = fw_load_open(&load, err, sizeof(err));
	if (error == 0)
		error = run_loaded(r, load, rules, err, sizeof(err));
	if (error != 0)
		fprintf(stderr, "%s\n", err);
	fw_load_close(load);
	pworld_close(r->w);
	return error != 0;
}

int
main(int argc, char **argv)
{
	struct run r = { .routed = false };
	const char *file = NULL;
	struct buf rules;
	int error;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && strcmp(argv[1], "--routed") == 0) {
		r.routed = true;
		argc--;
		argv++;
	}
	if (argc > 2 && strcmp(argv[1], "--rules") == 0) {
		file = argv[2];
		r.quick = true;
		argc -= 2;
		argv += 2;
	}
	if (argc > 2 && strcmp(argv[1], "--random") == 0) {
		r.random = strtoul(argv[2], NULL, 10);
		argc -= 2;
		argv += 2;
	}
	if (argc != 2 || r.random > RANDOM_MAX)
		return 2;
	if (make_rules(&rules, file) != 0)
		return 1;
	if (strcmp(argv[1], "--print") == 0) {
		printf("%s", buf_head(&rules));
		buf_free(&rules);
		return 0;
	}
	r.file = argv[1];
	error = run_table(&r, &rules);
	buf_free(&rules);
	if (error == 0)
		printf("%zu packets, %zu for somebody, %zu translated, "
		    "%zu skipped, %zu wrong\n", r.t.npackets, r.got,
		    r.translated, r.skipped, r.failed);
	free(r.fates);
	ptab_free(&r.t);
	/* Those for nobody alone would show little. */
	return error != 0 || r.failed > 0 || r.got < r.t.npackets / 10;
}
