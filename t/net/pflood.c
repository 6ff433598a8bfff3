/* SPDX-License-Identifier: ISC */
/*
 * Packets as fast as they go through the firewall.
 *
 * usage: pflood replace SECONDS TABLE
 *	  pflood cost GUESTS...
 *
 * replace: while another process loads the rules again and again, none that is
 * to be dropped gets through, and none that is to pass is lost.
 *
 * cost: what a packet takes, in nanoseconds of this machine, without rules (0
 * GUESTS) and with those of so many guests: bridged, routed with NAT, dropped.
 */
#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "net/fw_load.h"
#include "pframe.h"
#include "ppolicy.h"
#include "pworld.h"

#define TEXT_MAX	(8 << 20)
#define PORTS		200	/* connections of a row */
#define BATCHES		15
#define BATCH		2000

static char	err[512];

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int
make_text(struct buf *b, const struct fw_policy *p)
{
	struct fw_rules r;
	int error;

	buf_init(b, TEXT_MAX);
	error = fw_build(p, &r, err, sizeof(err));
	if (error != 0)
		return error;
	error = fw_nft_write(p, &r, b, err, sizeof(err));
	fw_rules_free(&r);
	return error != 0 ? error : buf_append(b, "", 1);
}

/*
 * ---- Replacing.
 */

struct flood {
	struct ptab	 t;
	struct pworld	*w;
	unsigned	*sent, *got;	/* of each packet */
	unsigned	 leaks;
};

/* Tells when it has loaded the rules, and how often when it must end. */
static void
load_always(const char *text, int out, int in)
{
	struct fw_load *l;
	unsigned n = 0;
	char c;

	if (fw_load_open(&l, err, sizeof(err)) != 0)
		_exit(1);
	for (;;) {
		if (fw_load_apply(l, text, err, sizeof(err)) != 0) {
			fprintf(stderr, "%s\n", err);
			_exit(1);
		}
		if (n++ == 0 && write(out, "", 1) != 1)
			_exit(1);
		if (n == 1 && read(in, &c, 1) != 1)
			_exit(1);
		/* The parent's end is closed when it has seen enough. */
		if (getppid() == 1)
			_exit(0);
		if (write(out, "", 1) != 1)
			_exit(0);
	}
}

/* One that stands by itself, and has one receiver at most. */
static bool
is_chosen(const struct ptab_packet *p)
{
	if (p->of != NULL || p->frag != PTAB_WHOLE || p->needs_bridge_ct)
		return false;
	if (!p->to_host && p->nwho == 0)
		return true;
	return !p->to_host && p->nwho == 1 && p->kind == PTAB_UDP &&
	    p->src.port >= 10000;
}

static void
flood_seen(void *cookie, enum pworld_where where, const char *iface,
    const uint8_t *bytes, size_t len)
{
	struct flood *f = cookie;
	struct pframe_view v = { .tag = 0 };
	const struct ptab_packet *p;

	if (where == PWORLD_IN)
		return;
	if (*iface == '\0')
		v.tag = pframe_tag(bytes, len);
	else
		pframe_look(&v, bytes, len);
	if (v.tag == 0 || v.tag > f->t.npackets)
		return;
	p = &f->t.packets[v.tag - 1];
	if (v.is_error || (where == PWORLD_HOST && *iface != '\0' &&
	    v.family != 0))
		return;
	if (p->nwho == 0 && f->leaks++ < 10)
		printf("%s %u: got by %s\n", p->id, p->family,
		    *iface != '\0' ? iface : "host");
	if (p->nwho == 1 && strcmp(iface, p->who[0]->iface) == 0)
		f->got[v.tag - 1]++;
}

static void
flood_round(struct flood *f, unsigned round)
{
	struct ptab_packet p;
	struct pframe frames[2];
	size_t i, n;

	for (i = 0; i < f->t.npackets; i++) {
		p = f->t.packets[i];
		if (!is_chosen(&p))
			continue;
		if (p.nwho == 1)
			p.src.port = (uint16_t)(20000 + round % PORTS);
		if (pframe_build(&p, (unsigned)i + 1, NULL, frames, &n) != 0 ||
		    pworld_send(f->w, p.sender->iface, frames[0].bytes,
		    frames[0].len) != 0)
			continue;
		f->sent[i]++;
		if (i % 16 == 0)
			pworld_look(f->w, 0, flood_seen, f);
	}
	pworld_look(f->w, 0, flood_seen, f);
}

/* Whether none was lost. */
static bool
flood_result(const struct flood *f, unsigned rounds, unsigned loads)
{
	unsigned lost = 0;
	size_t i, n = 0;

	for (i = 0; i < f->t.npackets; i++) {
		n += f->sent[i];
		if (f->t.packets[i].nwho == 1 && f->got[i] != f->sent[i]) {
			printf("%s %u: sent %u, got %u\n", f->t.packets[i].id,
			    f->t.packets[i].family, f->sent[i], f->got[i]);
			lost++;
		}
	}
	printf("%zu packets in %u rounds, %u loads, %u leaks, %u lost\n", n,
	    rounds, loads, f->leaks, lost);
	return lost == 0 && f->leaks == 0 && loads >= 5 && n > 0;
}

static int
run_flood(struct flood *f, unsigned seconds, int in, int out)
{
	unsigned rounds = 0, loads = 0;
	uint64_t end;
	char c[4096];
	ssize_t n;

	if (read(in, c, 1) != 1)
		return 1;
	/* What interfaces say of themselves at first is over soon. */
	end = now_ns() + (uint64_t)seconds * 1000000000;
	if (write(out, "", 1) != 1)
		return 1;
	while (now_ns() < end)
		flood_round(f, rounds++);
	pworld_look(f->w, 200, flood_seen, f);
	pworld_look(f->w, 0, flood_seen, f);
	n = read(in, c, sizeof(c));
	if (n > 0)
		loads = (unsigned)n;
	return !flood_result(f, rounds, loads);
}

static int
replace(unsigned seconds, const char *path)
{
	struct flood f = { .leaks = 0 };
	struct buf text;
	int down[2], up[2], error = 1;
	pid_t pid;
	FILE *file = fopen(path, "r");

	if (file == NULL || ptab_read(&f.t, file, err, sizeof(err)) != 0 ||
	    make_text(&text, &ppolicy) != 0 ||
	    pworld_open(&f.w, &f.t, err, sizeof(err)) != 0 ||
	    pipe(down) != 0 || pipe(up) != 0) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	fclose(file);
	f.sent = calloc(f.t.npackets, sizeof(*f.sent));
	f.got = calloc(f.t.npackets, sizeof(*f.got));
	pid = fork();
	if (pid == 0)
		load_always(buf_head(&text), up[1], down[0]);
	if (pid > 0 && f.sent != NULL && f.got != NULL)
		error = run_flood(&f, seconds, up[0], down[1]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	buf_free(&text);
	pworld_close(f.w);
	ptab_free(&f.t);
	free(f.sent);
	free(f.got);
	return error;
}

/*
 * ---- Cost.
 */

/* Two of the guests are there; all others are in the rules only. */
static const char small_world[] =
    "segment lan vmmd-lan 02:00:00:00:01:01 10.9.0.1/16 fd09::1/64\n"
    "segment up0 up0 02:00:00:00:09:02 198.51.100.2/24 2001:db8:9::2/64\n"
    "party g1 lan g1.0 02:00:00:01:00:01 10.9.1.1 fd09::101\n"
    "party g2 lan g2.0 02:00:00:01:00:02 10.9.1.2 fd09::102\n"
    "party gw up0 up0 02:00:00:00:09:01 198.51.100.1 2001:db8:9::1\n"
    "bridged | 4 | g1 | udp g1 > g2:9 | g2\n"
    "routed | 4 | g1 | udp g1 > gw:9 | gw\n"
    "dropped | 4 | g1 | tcp g1 > g2:9 | none\n";

static int
many_text(struct buf *b, unsigned guests)
{
	static const struct os_addr net = { .bytes = { 10, 9, 0, 1 },
	    .prefix = 16 };
	static const struct fw_allow any = { .kind = FW_PEER_ANY };
	static const struct fw_allow udp = { .proto = FW_UDP };
	struct fw_switch sw = { .name = "lan", .iface = "vmmd-lan",
	    .nat = FW_NAT_AUTO, .addrs = &net, .naddrs = 1 };
	struct fw_policy p = { .daemon = "vmmd", .sw = &sw, .nsws = 1,
	    .nnics = guests };
	struct fw_nic *nic = calloc(guests, sizeof(*nic));
	struct os_addr *addr = calloc(guests, sizeof(*addr));
	unsigned i;
	int error = -ENOMEM;

	for (i = 0; nic != NULL && addr != NULL && i < guests; i++) {
		addr[i] = (struct os_addr){ .prefix = 32, .bytes = { 10, 9,
		    (uint8_t)(1 + (i + 1) / 250), (uint8_t)(i + 1) } };
		nic[i] = (struct fw_nic){ .addrs = &addr[i], .naddrs = 1,
		    .locked = true, .in = { &udp, 1 }, .out = { &any, 1 },
		    .mac = { 2, 0, 0, 1, (uint8_t)((i + 1) >> 8),
		    (uint8_t)(i + 1) } };
		snprintf(nic[i].guest, sizeof(nic[i].guest), "g%u", i + 1);
		snprintf(nic[i].tap, sizeof(nic[i].tap), "g%u.0", i + 1);
		/* Addresses of a third byte count anew. */
		addr[i].bytes[3] = (uint8_t)((i + 1) % 250);
	}
	p.nic = nic;
	if (nic != NULL && addr != NULL)
		error = make_text(b, &p);
	free(nic);
	free(addr);
	return error;
}

static void
look_away(void *cookie, enum pworld_where where, const char *iface,
    const uint8_t *bytes, size_t len)
{
	(void)cookie;
	(void)where;
	(void)iface;
	(void)bytes;
	(void)len;
}

/* The least of some batches, as others use this machine, too. */
static unsigned
time_packet(struct pworld *w, const struct ptab_packet *p)
{
	struct pframe frames[2];
	uint64_t begun, took, least = UINT64_MAX;
	unsigned i, k;
	size_t n;

	if (pframe_build(p, 1, NULL, frames, &n) != 0)
		return 0;
	for (i = 0; i < BATCHES; i++) {
		begun = now_ns();
		for (k = 0; k < BATCH; k++)
			pworld_send(w, p->sender->iface, frames[0].bytes,
			    frames[0].len);
		took = now_ns() - begun;
		if (took < least)
			least = took;
		pworld_look(w, 0, look_away, NULL);
	}
	return (unsigned)(least / BATCH);
}

static int
cost(int n, char **guests)
{
	struct ptab t;
	struct pworld *w;
	struct fw_load *l;
	struct buf text;
	unsigned count;
	uint64_t begun;
	FILE *f = fmemopen((void *)(uintptr_t)small_world,
	    sizeof(small_world) - 1, "r");
	int i, error = 0;

	if (f == NULL || ptab_read(&t, f, err, sizeof(err)) != 0 ||
	    pworld_open(&w, &t, err, sizeof(err)) != 0)
		return 1;
	fclose(f);
	for (i = 0; i < n && error == 0; i++) {
		count = (unsigned)strtoul(guests[i], NULL, 10);
		error = fw_load_open(&l, err, sizeof(err));
		buf_init(&text, TEXT_MAX);
		begun = now_ns();
		if (error == 0 && count > 0)
			error = many_text(&text, count);
		if (error == 0 && count > 0)
			error = fw_load_apply(l, buf_head(&text), err,
			    sizeof(err));
		if (error == 0)
			printf("guests %u load %u us", count,
			    (unsigned)((now_ns() - begun) / 1000));
		if (error == 0)
			printf(" bridged %u", time_packet(w, &t.packets[0]));
		if (error == 0)
			printf(" routed %u", time_packet(w, &t.packets[1]));
		if (error == 0)
			printf(" dropped %u ns\n",
			    time_packet(w, &t.packets[2]));
		buf_free(&text);
		fw_load_close(l);
	}
	pworld_close(w);
	ptab_free(&t);
	return error != 0;
}

int
main(int argc, char **argv)
{
	int error = 2;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 4 && strcmp(argv[1], "replace") == 0)
		error = replace((unsigned)strtoul(argv[2], NULL, 10),
		    argv[3]);
	else if (argc > 2 && strcmp(argv[1], "cost") == 0)
		error = cost(argc - 2, argv + 2);
	if (error != 0 && *err != '\0')
		fprintf(stderr, "%s\n", err);
	return error;
}
