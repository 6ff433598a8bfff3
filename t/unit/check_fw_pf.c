/* SPDX-License-Identifier: ISC */
/*
 * The firewall as pf's rules and veb's: golden files (t/unit/fw/NAME.pf and
 * NAME.veb), and what an evaluator of the texts makes of packets, which has to
 * be what fw_trace() says; with texts that are a little wrong it is not.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "fwpf.h"
#include "fwrandom.h"
#include "fwrig.h"
#include "testhost.h"

static struct house	 h;
static struct fw_rules	 r;
static struct buf	 pf, veb;
static struct fwpf	 host;
static char		 why[512];

static void
setup(void)
{
	const char *top = getenv("srcdir");
	char dir[4096];

	snprintf(dir, sizeof(dir), "%s/t/unit/fw", top ? top : ".");
	ck_assert_msg(chdir(dir) == 0, "%s: %s", dir, strerror(errno));
	house_make(&h);
	memset(&r, 0, sizeof(r));
	buf_init(&pf, 1 << 24);
	buf_init(&veb, 1 << 22);
}

static void
teardown(void)
{
	fw_rules_free(&r);
	buf_free(&pf);
	buf_free(&veb);
}

static void
write_texts(const struct fw_policy *p)
{
	fw_rules_free(&r);
	buf_consume(&pf, pf.len);
	buf_consume(&veb, veb.len);
	why[0] = '\0';
	ck_assert_msg(fw_build(p, &r, why, sizeof(why)) == 0, "%s", why);
	ck_assert_msg(fw_pf_write(p, &r, &pf, why, sizeof(why)) == 0, "%s",
	    why);
	ck_assert_int_eq(fw_pf_bridge_write(p, &r, &veb, why, sizeof(why)), 0);
	ck_assert_int_eq(buf_append(&pf, "", 1), 0);
	ck_assert_int_eq(buf_append(&veb, "", 1), 0);
}

static void
open_host(const struct fw_policy *p)
{
	ck_assert_msg(fwpf_open(&host, p, buf_head(&pf), buf_head(&veb), why,
	    sizeof(why)), "%s", why);
}

static void
is_golden(const char *path, const char *text)
{
	static char want[1 << 20];
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	n = fread(want, 1, sizeof(want) - 1, f);
	want[n] = '\0';
	fclose(f);
	for (n = 0; want[n] != '\0' && want[n] == text[n];)
		n++;
	ck_assert_msg(want[n] == text[n], "%s is not what is written: %.200s",
	    path, text + n);
}

/* One guest behind a published port. */
static void
make_one(void)
{
	h.p.nnics = 1;
	h.p.nsws = 1;
	h.nic[WEB].host.n = 0;
}

START_TEST(golden)
{
	write_texts(&h.p);
	is_golden("house.pf", buf_head(&pf));
	is_golden("house.veb", buf_head(&veb));
	make_one();
	snprintf(h.p.daemon, FW_NAME, "lab");
	snprintf(h.sw[LAN].iface, IFNAME_SIZE, "vport3");
	write_texts(&h.p);
	is_golden("one.pf", buf_head(&pf));
	is_golden("one.veb", buf_head(&veb));
}
END_TEST

/* Names that pf has no room for. */
START_TEST(names)
{
	write_texts(&h.p);
	snprintf(h.p.daemon, FW_NAME, "%060d", 1);
	ck_assert_int_eq(fw_pf_write(&h.p, &r, &pf, why, sizeof(why)),
	    -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(why, "is too long for"));
	snprintf(h.p.daemon, FW_NAME, "vmmd");
	snprintf(h.sw[DMZ].name, FW_NAME, "%064d", 1);
	snprintf(h.nic[ISO1].guest, FW_NAME, "%064d", 2);
	write_texts(&h.p);
	open_host(&h.p);
	fwpf_close(&host);
	buf_consume(&pf, pf.len);
	pf.limit = 1000;
	ck_assert_int_eq(fw_pf_write(&h.p, &r, &pf, why, sizeof(why)),
	    -ENOBUFS);
}
END_TEST

/* What the text says, and what the rules: "" if it is the same. */
static const char *
differs(const struct fw_policy *p, const struct fw_packet *k, uint32_t to,
    const struct fwpf_way *w)
{
	const struct os_addr outside[] = { addr("203.0.113.1"),
	    addr("2001:db8:3::1") };
	static char text[1024];
	struct fw_judgement v;
	bool rdr, nat;

	fw_trace(p, &r, outside, 2, k, to, &v);
	/* NAT is of connections, and none begins so, or by a redirect. */
	v.nat = v.nat && (k->proto != FW_TCP || !k->not_syn) &&
	    (k->proto != FW_ICMP || k->icmp != 5);
	rdr = memcmp(w->first.dst, w->last.dst, 16) != 0 ||
	    w->first.dport != w->last.dport;
	nat = memcmp(w->first.src, w->last.src, 16) != 0 ||
	    w->first.sport != w->last.sport;
	text[0] = '\0';
	if (w->pass == v.pass && (!v.pass || (rdr == v.rdr && nat == v.nat &&
	    memcmp(w->last.dst, v.dst.bytes, k->src.ipv6 ? 16 : 4) == 0 &&
	    (w->last.dport == v.dport || k->proto == FW_ICMP ||
	    k->proto == FW_ICMP6))))
		return text;
	if (!v.pass && fwrandom_unseen(p, k, to))
		return text;
	if (v.pass && !w->pass && fwrandom_stricter(p, k, &v))
		return text;
	snprintf(text, sizeof(text), "pf: %s rdr %d nat %d line %d label %s; "
	    "rules: %s rdr %d nat %d to %d nic %d", w->pass ? "pass" : "block",
	    rdr, nat, w->by.line, w->by.anchor, v.pass ? "pass" : "block",
	    v.rdr, v.nat, v.to, (int)v.nic);
	return text;
}

static unsigned passed, answered, translated;

static void
compare(const struct fw_policy *p, struct fwrandom *rnd, unsigned n)
{
	struct fwpf_way w;
	struct fw_packet k;
	const char *what;
	char text[512];
	uint32_t to;

	while (n-- > 0) {
		to = fwrandom_packet(rnd, p, &k);
		pfe_flush(host.pf);
		fwpf_send(&host, &k, to, &w);
		what = differs(p, &k, to, &w);
		ck_assert_msg(what[0] == '\0', "seed %lu: %s: %s", rnd->seed,
		    fwrandom_print(&k, to, text, sizeof(text)), what);
		if (!w.pass || k.ether != FW_ETHER_IP)
			continue;
		passed++;
		translated += w.first.sport != w.last.sport;
		if (!fwrandom_answers(p, &k))
			continue;
		ck_assert_msg(fwpf_answer(&host, &w),
		    "seed %lu: %s: no answer", rnd->seed,
		    fwrandom_print(&k, to, text, sizeof(text)));
		answered++;
	}
}

/* Both verdicts are one, for any policy and any packet. */
START_TEST(random_policies)
{
	const char *count = getenv("FW_POLICIES");
	unsigned n = count == NULL ? 60 : (unsigned)atoi(count);
	struct fwrandom rnd;
	unsigned i;

	for (i = 0; i < n; i++) {
		fwrandom_policy(&rnd, i + 1);
		write_texts(&rnd.p);
		open_host(&rnd.p);
		compare(&rnd.p, &rnd, 400);
		fwpf_close(&host);
	}
	ck_assert_uint_gt(passed, n * 40);
	ck_assert_uint_gt(answered, n * 10);
	ck_assert_uint_gt(translated, n / 4);
}
END_TEST

START_TEST(the_house)
{
	struct fwrandom rnd = { .seed = 7, .state = 7 };

	write_texts(&h.p);
	open_host(&h.p);
	compare(&h.p, &rnd, 20000);
	fwpf_close(&host);
}
END_TEST

/* A daemon full of guests: its text is of a size in proportion to them. */
START_TEST(many)
{
	enum { MANY = 1500 };
	struct fw_nic *v = calloc(MANY, sizeof(*v));
	struct os_addr *addrs = calloc(MANY, sizeof(*addrs));
	size_t half;
	unsigned i;

	for (i = 0; i < MANY; i++) {
		v[i] = h.nic[i % 2 == 0 ? WEB : ISO1];
		v[i].npublish = 0;
		snprintf(v[i].guest, FW_NAME, "guest%u", i);
		snprintf(v[i].tap, IFNAME_SIZE, "tap%u", i);
		v[i].mac[4] = (uint8_t)(i >> 8);
		v[i].mac[5] = (uint8_t)i;
		addrs[i] = h.nic_addrs[WEB][0];
		addrs[i].bytes[1] = (uint8_t)(1 + (i >> 8));
		addrs[i].bytes[3] = (uint8_t)i;
		v[i].addrs = &addrs[i];
		v[i].naddrs = 1;
	}
	h.p.nic = v;
	h.p.nnics = MANY / 2;
	write_texts(&h.p);
	half = pf.len;
	h.p.nnics = MANY;
	write_texts(&h.p);
	/* A few longer names. */
	ck_assert_uint_le(pf.len, 2 * half + half / 50);
	ck_assert_uint_le(pf.len, MANY * 6000);
	ck_assert_ptr_nonnull(strstr(buf_head(&pf),
	    "\n# Needs set limit anchors "));
	ck_assert_ptr_nonnull(strstr(buf_head(&pf),
	    "\n# Needs set limit tables "));
	open_host(&h.p);
	fwpf_close(&host);
	free(v);
	free(addrs);
}
END_TEST

/* Locked guests are found, and cannot pretend to be another. */
START_TEST(neighbours)
{
	struct fw_packet ask = { .from = FW_AT_NIC, .nic = FREE,
	    .src = addr("fd00:1::13"), .dst = addr("ff02::1:ff00:11"),
	    .proto = FW_ICMP6, .icmp = 135, .has_target = true,
	    .target = addr("fd00:1::11") };
	struct fw_packet tell = { .from = FW_AT_NIC, .nic = WEB,
	    .src = addr("fd00:1::11"), .dst = addr("fd00:1::13"),
	    .proto = FW_ICMP6, .icmp = 136, .has_target = true,
	    .target = addr("fd00:1::11") };
	struct fwpf_way w;

	write_texts(&h.p);
	open_host(&h.p);
	memcpy(ask.mac, h.nic[FREE].mac, 6);
	memcpy(tell.mac, h.nic[WEB].mac, 6);
	fwpf_send(&host, &tell, FREE, &w);
	ck_assert(!w.pass);
	fwpf_send(&host, &ask, WEB, &w);
	ck_assert(w.pass);
	fwpf_send(&host, &tell, FREE, &w);
	ck_assert(w.pass);
	/* Of another's address, which was not asked of it. */
	tell.target = addr("fd00:1::12");
	fwpf_send(&host, &tell, FREE, &w);
	ck_assert(!w.pass);
	ask.dst = addr("ff02::1:ff00:12");
	ask.target = addr("fd00:1::12");
	fwpf_send(&host, &ask, WEB, &w);
	ck_assert(!w.pass);
	fwpf_send(&host, &tell, FREE, &w);
	ck_assert(!w.pass);
	/* The host asks. */
	ask = (struct fw_packet){ .from = FW_AT_HOST,
	    .src = addr("fd00:1::1"), .dst = addr("fd00:1::11"),
	    .proto = FW_ICMP6, .icmp = 135, .has_target = true,
	    .target = addr("fd00:1::11") };
	tell.target = addr("fd00:1::11");
	tell.dst = addr("fd00:1::1");
	fwpf_send(&host, &tell, FW_ALL, &w);
	ck_assert(!w.pass);
	fwpf_send(&host, &ask, FW_ALL, &w);
	ck_assert(w.pass);
	fwpf_send(&host, &tell, FW_ALL, &w);
	ck_assert(w.pass);
	fwpf_close(&host);
}
END_TEST

/*
 * Ways in which the writer could be wrong: the first line that has `find` is
 * written so instead.
 */
static const struct mutant {
	const char	*find;
	const char	*instead;
} mutants[] = {
	/* A quick that is missing. */
	{ "block quick inet proto udp to port 68\n",
	  "block inet proto udp to port 68\n" },
	{ "block quick inet6 proto icmp6 icmp6-type { routeradv redir }\n",
	  "block inet6 proto icmp6 icmp6-type { routeradv redir }\n" },
	{ "block quick tagged vmmd.lan:forged\n",
	  "block tagged vmmd.lan:forged\n" },
	{ "block log quick from ! <vmmd-nic-free.0>\n",
	  "block log from ! <vmmd-nic-free.0>\n" },
	{ "pass quick proto udp to port 53 keep state (if-bound)\n",
	  "pass proto udp to port 53 keep state (if-bound)\n" },
	{ "pass in quick keep state (if-bound)\n",
	  "pass in keep state (if-bound)\n" },
	{ "block out quick tagged vmmd.dmz\n", "block out tagged vmmd.dmz\n" },
	{ "pass out quick proto tcp from <vmmd-guest-web>",
	  "pass out proto tcp from <vmmd-guest-web>" },
	{ "block in quick on ! lo from <vmmd-switch-lan>\n",
	  "block in on ! lo from <vmmd-switch-dmz>\n" },
	{ "block out quick to ! <vmmd-all-guests>",
	  "block out to ! <vmmd-all-guests>" },
	{ "pass quick flags S/SA ! tagged vmmd.lan allow-opts no state\n",
	  "pass flags S/SA ! tagged vmmd.lan allow-opts no state\n" },
	/* Two that changed places. */
	{ "pass in quick keep state (if-bound)\n            block in quick\n",
	  "block in quick\npass in quick keep state (if-bound)\n" },
	{ "pass quick proto udp to port 53 keep state (if-bound)\n"
	  "                block quick\n",
	  "block quick\npass quick proto udp to port 53\n" },
	{ "pass out quick tag vmmd.dmz keep state (if-bound)\n"
	  "            block out quick\n",
	  "block out quick\npass out quick tag vmmd.dmz\n" },
	{ "match inet from ! <vmmd-nic-web.0> tag vmmd.lan:forged\n"
	  "                match inet proto udp from 0.0.0.0 port 68 to any "
	  "port 67 tag vmmd.lan\n",
	  "match inet proto udp from 0.0.0.0 port 68 to any port 67 tag "
	  "vmmd.lan\nmatch inet from ! <vmmd-nic-web.0> tag "
	  "vmmd.lan:forged\n" },
	/* A family that is lost. */
	{ "match inet6 from ! <vmmd-nic-web.0> tag vmmd.lan:forged\n", "\n" },
	{ "match inet from ! <vmmd-nic-web.0> tag vmmd.lan:forged\n", "\n" },
	{ "pass out quick inet6 proto tcp to port 8080",
	  "pass out quick inet proto tcp to port 8080" },
	{ "match in on ! lo inet6 proto tcp to (self) port 80",
	  "match in on ! lo inet6 proto tcp to (self) port 81" },
	{ "match out on egress inet6", "match out on lo inet6" },
	{ "block quick inet6 proto udp to port 546\n", "\n" },
	{ "pass out quick proto tcp to port 443:444",
	  "pass out quick inet proto tcp to port 443:444" },
	{ "10.0.0.11 fd00:1::11 fe80::ff:fe00:1", "10.0.0.11" },
	{ "pass out quick proto tcp from <vmmd-guest-web>",
	  "pass out quick inet proto tcp from <vmmd-guest-web>" },
	/* Translations and states. */
	{ "match out inet from 10.0.0.0/24 to 10.0.0.11 tagged "
	  "vmmd:published nat-to 10.0.0.1\n", "\n" },
	{ "rdr-to 10.0.0.11 port 8080", "rdr-to 10.0.0.11 port 8081" },
	{ "pass in quick keep state (if-bound)\n", "pass in quick no state\n" },
	{ "pass out quick flags any allow-opts keep state (if-bound)\n",
	  "pass out quick flags any allow-opts\n" },
	{ "pass out quick tagged vmmd.lan:routed keep state\n", "\n" },
	{ "pass in quick tagged vmmd:published keep state\n", "\n" },
	{ "match out ! received-on any tag vmmd:host\n", "\n" },
	{ "match in on vmmd-db.0 tag vmmd.lan\n", "\n" },
	{ "block out quick tagged vmmd.dmz\n", "\n" },
	/* Of the bridge. */
	{ "ifconfig vmmd-lan blocknonip vmmd-web.0\n", "\n" },
	{ "ifconfig vmmd-lan rule block in on vmmd-web.0 arp\n", "\n" },
	{ "ifconfig vmmd-lan rule block in on vmmd-web.0\n", "\n" },
	{ "arp sha 02:00:00:00:00:01 spa 10.0.0.11\n", "\n" },
};

/* Continued lines made one. */
static char *
joined(const char *text)
{
	char *to = malloc(strlen(text) + 1), *p = to;

	while (*text != '\0') {
		if (text[0] == '\\' && text[1] == '\n')
			text += 2 + strspn(text + 2, " ");
		else
			*p++ = *text++;
	}
	*p = '\0';
	return to;
}

/* The text with the first `find` replaced; NULL if there is none. */
static char *
mutated(const char *text, const struct mutant *m)
{
	char *whole = joined(text), *at, *to = NULL;

	at = strstr(whole, m->find);
	if (at != NULL) {
		to = malloc(strlen(whole) + strlen(m->instead) + 1);
		sprintf(to, "%.*s%s%s", (int)(at - whole), whole, m->instead,
		    at + strlen(m->find));
	}
	free(whole);
	return to;
}

static bool
is_caught(const char *rules, const char *frames)
{
	struct fwrandom rnd = { .seed = 1, .state = 1 };
	bool caught = false;
	struct fwpf_way w;
	struct fw_packet k;
	unsigned i;
	uint32_t to;

	ck_assert_msg(fwpf_open(&host, &h.p, rules, frames, why, sizeof(why)),
	    "%s", why);
	for (i = 0; i < 40000 && !caught; i++) {
		to = fwrandom_packet(&rnd, &h.p, &k);
		pfe_flush(host.pf);
		fwpf_send(&host, &k, to, &w);
		caught = differs(&h.p, &k, to, &w)[0] != '\0' ||
		    (w.pass && fwrandom_answers(&h.p, &k) &&
		    !fwpf_answer(&host, &w));
	}
	fwpf_close(&host);
	return caught;
}

START_TEST(mutants_are_caught)
{
	const struct mutant *m = &mutants[_i];
	char *rules, *frames;

	write_texts(&h.p);
	rules = mutated(buf_head(&pf), m);
	frames = mutated(buf_head(&veb), m);
	ck_assert_msg(rules != NULL || frames != NULL, "nothing is so: %s",
	    m->find);
	ck_assert_msg(is_caught(rules ? rules : buf_head(&pf),
	    frames ? frames : buf_head(&veb)), "not caught: %s to %s",
	    m->find, m->instead);
	free(rules);
	free(frames);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("fw_pf");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, golden);
	tcase_add_test(tc, names);
	tcase_add_test(tc, the_house);
	tcase_add_test(tc, random_policies);
	tcase_add_test(tc, many);
	tcase_add_test(tc, neighbours);
	tcase_add_loop_test(tc, mutants_are_caught, 0,
	    sizeof(mutants) / sizeof(mutants[0]));
	return test_main("fw_pf", tc);
}
