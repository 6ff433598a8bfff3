/* SPDX-License-Identifier: ISC */
/*
 * The firewall's rules: what they are for a policy, and what becomes of
 * packets.
 */
#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "fwrig.h"
#include "net/fw_trace.h"
#include "testhost.h"

static struct house	 h;
static struct fw_rules	 r;
static struct buf	 text;
static char		 why[256];

static void
setup(void)
{
	house_make(&h);
	memset(&r, 0, sizeof(r));
	buf_init(&text, 65536);
}

static void
teardown(void)
{
	fw_rules_free(&r);
	buf_free(&text);
}

static void
build(void)
{
	fw_rules_free(&r);
	ck_assert_int_eq(fw_build(&h.p, &r, why, sizeof(why)), 0);
}

static const char *
printed(enum fw_stage stage)
{
	size_t i;

	buf_consume(&text, text.len);
	for (i = 0; i < r.n; i++)
		if (r.v[i].stage == stage) {
			ck_assert_int_eq(fw_rule_print(&h.p, &r, &r.v[i],
			    &text), 0);
			ck_assert_int_eq(buf_append(&text, "\n", 1), 0);
		}
	ck_assert_int_eq(buf_append(&text, "", 1), 0);
	return buf_head(&text);
}

START_TEST(translations)
{
	build();
	ck_assert_str_eq(printed(FW_SPOOF),
	    "switch lan: spoof: block from elsewhere, from an address of "
	    "subnets of switch lan\n"
	    "switch dmz: spoof: block from elsewhere, from an address of "
	    "subnets of switch dmz\n"
	    "switch office: spoof: block from elsewhere, from an address of "
	    "guests of switch office\n");
	ck_assert_str_eq(printed(FW_RDR),
	    "vm iso2 nic 0: rdr: translate inet udp to 203.0.113.1 port 514 "
	    "-> 10.0.1.15 port 514\n"
	    "vm web nic 0: rdr: translate inet tcp to the host port 80 -> "
	    "10.0.0.11 port 8080\n"
	    "vm web nic 0: rdr: translate inet6 tcp to the host port 80 -> "
	    "fd00:1::11 port 8080\n");
	ck_assert_str_eq(printed(FW_NAT),
	    "vm web nic 0: nat: translate inet published from 10.0.0.0/24 to "
	    "10.0.0.11 by vmmd-lan\n"
	    "vm web nic 0: nat: translate inet6 published from fd00:1::/64 to "
	    "fd00:1::11 by vmmd-lan\n"
	    "vm iso2 nic 0: nat: translate inet published from 10.0.1.0/24 to "
	    "10.0.1.15 by vmmd-dmz\n"
	    "switch lan: nat: translate inet from 10.0.0.0/24 by any interface "
	    "to outside\n"
	    "switch lan: nat: translate inet6 from fd00:1::/64 by any "
	    "interface to outside\n"
	    "switch dmz: nat: translate inet from 10.0.1.0/24 by eth0\n");
	/* Of a bridge of another only what is ours. */
	h.sw[LAN].shared = true;
	h.nic[WEB].npublish = h.nic[ISO2].npublish = 0;
	h.sw[DMZ].nat = FW_NAT_NO;
	h.p.nnics = 2;
	build();
	ck_assert_str_eq(printed(FW_NAT),
	    "switch lan: nat: translate inet from 10.0.0.11 by any interface "
	    "to outside\n"
	    "switch lan: nat: translate inet6 from fd00:1::11 by any interface "
	    "to outside\n"
	    "switch lan: nat: translate inet from 10.0.0.12 by any interface "
	    "to outside\n"
	    "switch lan: nat: translate inet6 from fd00:1::12 by any interface "
	    "to outside\n");
}
END_TEST

START_TEST(rules)
{
	build();
	ck_assert_str_eq(printed(FW_HOST),
	    "every nic: host: pass inet6 icmp type 133\n"
	    "every nic: host: pass inet6 icmp type 135\n"
	    "every nic: host: pass inet6 icmp type 136\n"
	    "vm web nic 0: host: pass udp port 53\n"
	    "vm web nic 0: host: block\n"
	    "vm db nic 0: host: block\n"
	    "vm free nic 0: host: block log\n"
	    "vm iso1 nic 0: host: block\n"
	    "vm iso2 nic 0: host: block\n"
	    "vm pc nic 0: host: block\n");
	ck_assert_str_eq(printed(FW_IN),
	    "switch dmz: in: block not published from switch dmz\n"
	    "every nic: in: pass inet6 icmp type 135\n"
	    "every nic: in: pass inet6 icmp type 136\n"
	    "no guest of switch lan: in: block\n"
	    "no guest of switch dmz: in: block\n"
	    "switch office: in: pass inet6 icmp type 130\n"
	    "switch office: in: pass inet6 icmp type 134\n"
	    "switch office: in: pass inet udp port 68\n"
	    "switch office: in: pass inet6 udp port 546\n"
	    "vm web nic 0: in: pass inet tcp published port 8080\n"
	    "vm web nic 0: in: pass inet6 tcp published port 8080\n"
	    "vm web nic 0: in: pass from switch lan\n"
	    "vm web nic 0: in: block\n"
	    "vm db nic 0: in: pass tcp port 5432 from vm web\n"
	    "vm db nic 0: in: block\n"
	    "vm free nic 0: in: pass from switch lan\n"
	    "vm free nic 0: in: block log\n"
	    "vm iso1 nic 0: in: pass inet from 198.51.100.0/24\n"
	    "vm iso1 nic 0: in: pass inet icmp type 8\n"
	    "vm iso1 nic 0: in: pass inet6 icmp type 128\n"
	    "vm iso1 nic 0: in: block\n"
	    "vm iso2 nic 0: in: pass inet udp published port 514\n"
	    "vm iso2 nic 0: in: pass\n"
	    "vm iso2 nic 0: in: block\n"
	    "vm pc nic 0: in: pass tcp port 443-444\n"
	    "vm pc nic 0: in: block\n");
}
END_TEST

START_TEST(out_and_frame)
{
	h.p.nnics = 3;
	h.nic[WEB].log = FW_LOG_ALL;
	build();
	ck_assert_str_eq(printed(FW_FRAME),
	    "every nic: frame: block neither IPv4, IPv6 nor ARP\n"
	    "every nic: frame: block answers of a DHCP server\n"
	    "every nic: frame: block router advertisements and redirects\n"
	    "vm web nic 0: frame: block log from another MAC address\n"
	    "vm web nic 0: frame: block log ARP for another address\n"
	    "vm web nic 0: frame: block log from another IPv4 address\n"
	    "vm web nic 0: frame: block log from another IPv6 address\n"
	    "vm web nic 0: frame: block log neighbour discovery for another "
	    "address\n"
	    "vm db nic 0: frame: block from another MAC address\n"
	    "vm db nic 0: frame: block ARP for another address\n"
	    "vm db nic 0: frame: block from another IPv4 address\n"
	    "vm db nic 0: frame: block from another IPv6 address\n"
	    "vm db nic 0: frame: block neighbour discovery for another "
	    "address\n"
	    "vm free nic 0: frame: block log from an address of others: all "
	    "guests, and the host in switches\n"
	    "vm free nic 0: frame: block log from an address of others: "
	    "subnets of all switches\n");
	ck_assert_str_eq(printed(FW_OUT),
	    "every nic: out: pass inet6 icmp type 131\n"
	    "every nic: out: pass inet6 icmp type 132\n"
	    "every nic: out: pass inet6 icmp type 133\n"
	    "every nic: out: pass inet6 icmp type 135\n"
	    "every nic: out: pass inet6 icmp type 136\n"
	    "every nic: out: pass inet6 icmp type 143\n"
	    "switch office: out: pass inet udp port 67\n"
	    "switch office: out: pass inet6 udp port 547\n"
	    "vm web nic 0: out: pass log\n"
	    "vm web nic 0: out: block log\n"
	    "vm db nic 0: out: block\n"
	    "vm free nic 0: out: pass\n"
	    "vm free nic 0: out: block log\n");
}
END_TEST

/* What is wrong has a message, and leaves nothing behind. */
START_TEST(refused)
{
	h.lab[0].family = 6;
	ck_assert_int_eq(fw_build(&h.p, &r, why, sizeof(why)), -EINVAL);
	ck_assert_str_eq(why, "vm iso1: nic 0: an address of the other "
	    "family");
	house_make(&h);
	h.nic[ISO2].addrs++;
	h.nic[ISO2].naddrs = 1;
	ck_assert_int_eq(fw_build(&h.p, &r, why, sizeof(why)), -EINVAL);
	ck_assert_str_eq(why, "vm iso2: nic 0: port 514 cannot be published: "
	    "no address of that family");
}
END_TEST

/* Who is not there gets and sends nothing. */
START_TEST(absent)
{
	snprintf(h.from_web.name, FW_NAME, "nobody");
	snprintf(h.lan.name, FW_NAME, "wan");
	h.p.nnics = 3;
	build();
	ck_assert_ptr_null(strstr(printed(FW_IN), "from vm"));
	ck_assert_ptr_null(strstr(printed(FW_IN), "from switch lan"));
}
END_TEST

static const struct fw_table *
table(const char *name)
{
	size_t i;

	for (i = 0; i < r.ntables; i++)
		if (strcmp(r.table[i].name, name) == 0)
			return &r.table[i];
	ck_abort_msg("no table %s", name);
}

START_TEST(tables)
{
	const struct os_addr in = addr("10.0.0.255"), out = addr("10.0.2.0");
	const struct os_addr in6 = addr("fd00:1::ffff");
	const struct os_addr out6 = addr("fd00:1:0:1::");
	const struct os_addr own6 = addr("fe80::ff:fe00:1");
	unsigned i, k;

	/* A subnet twice, and a host in it. */
	h.sw_addrs[DMZ][1] = addr("10.0.0.9/24");
	snprintf(h.nic[ISO1].guest, FW_NAME, "%050d", 7);
	build();
	ck_assert_uint_eq(table("switch-lan")->n, 2);
	ck_assert(fw_table_has(table("switch-lan"), &in));
	ck_assert(!fw_table_has(table("switch-lan"), &out));
	ck_assert(fw_table_has(table("switch-lan"), &in6));
	ck_assert(!fw_table_has(table("switch-lan"), &out6));
	ck_assert_uint_eq(table("all-switches")->n, 5);
	ck_assert_uint_eq(table("nic-web.0")->n, 3);
	ck_assert(fw_table_has(table("nic-web.0"), &own6));
	ck_assert_uint_eq(table("switch-office")->n, 2);
	ck_assert_uint_eq(table("net-office")->n, 2);
	for (i = 0; i < r.ntables; i++) {
		ck_assert_uint_lt(strlen(r.table[i].name), FW_TABLE_NAME);
		for (k = 0; k < i; k++)
			ck_assert_str_ne(r.table[i].name, r.table[k].name);
	}
}
END_TEST

/*
 * A packet in words: from, to, protocol, port, what becomes of it.  "nic>DST"
 * is sent by that NIC from its own address.
 */
struct packet_row {
	int		 from;		/* a NIC; or - enum fw_place */
	const char	*src, *dst;	/* NULL: own */
	unsigned	 proto, port;	/* or ICMP's type */
	const char	*end;		/* to whom; what it was blocked by */
};

static const struct packet_row packet_rows[] = {
	/* Out, by way of the host. */
	{ WEB, NULL, "203.0.113.9", FW_TCP, 443, "outside nat" },
	{ WEB, NULL, "2001:db8:9::9", FW_TCP, 443, "outside nat" },
	{ DB, NULL, "203.0.113.9", FW_TCP, 443, "block out" },
	{ ISO1, NULL, "203.0.113.9", FW_UDP, 53, "outside nat" },
	{ ISO1, NULL, "2001:db8:9::9", FW_UDP, 53, "outside" },
	{ PC, NULL, "203.0.113.9", FW_TCP, 22, "neighbour" },
	/* In the same switch. */
	{ WEB, NULL, "10.0.0.13", FW_TCP, 22, "free" },
	{ WEB, NULL, "fd00:1::13", FW_TCP, 22, "free" },
	{ WEB, NULL, "10.0.0.12", FW_TCP, 5432, "db" },
	{ WEB, NULL, "fd00:1::12", FW_TCP, 5432, "db" },
	{ WEB, NULL, "10.0.0.12", FW_TCP, 5433, "block in" },
	{ WEB, NULL, "10.0.0.12", FW_UDP, 5432, "block in" },
	{ FREE, NULL, "10.0.0.12", FW_TCP, 5432, "block in" },
	{ FREE, "10.0.0.11", "10.0.0.12", FW_TCP, 5432, "block frame" },
	{ FREE, "10.0.1.14", "10.0.0.12", FW_TCP, 5432, "block frame" },
	{ FREE, "10.0.0.1", "10.0.0.11", FW_TCP, 5432, "block frame" },
	{ FREE, "10.0.0.99", "10.0.0.11", FW_TCP, 1, "web" },
	{ FREE, "fd00:1::99", "fd00:1::11", FW_TCP, 1, "web" },
	{ WEB, "10.0.0.99", "10.0.0.13", FW_TCP, 1, "block frame" },
	{ WEB, "fd00:1::99", "fd00:1::13", FW_TCP, 1, "block frame" },
	{ WEB, "fe80::ff:fe00:1", "fd00:1::13", FW_TCP, 1, "free" },
	{ DB, NULL, "10.0.0.11", FW_TCP, 1, "block out" },
	/* Isolated, both ways round. */
	{ ISO1, NULL, "10.0.1.15", FW_TCP, 22, "block in" },
	{ ISO1, NULL, "2001:db8:1::15", FW_ICMP6, 135, "block in" },
	{ WEB, NULL, "10.0.1.15", FW_TCP, 22, "iso2" },
	{ ISO2, NULL, "10.0.0.11", FW_TCP, 22, "block in" },
	{ -FW_AT_OUTSIDE, "198.51.100.1", "10.0.1.14", FW_TCP, 22, "iso1" },
	{ -FW_AT_OUTSIDE, "198.51.101.1", "10.0.1.14", FW_TCP, 22,
	    "block in" },
	{ -FW_AT_OUTSIDE, "203.0.113.9", "10.0.1.14", FW_ICMP, 8, "iso1" },
	{ -FW_AT_OUTSIDE, "203.0.113.9", "10.0.1.14", FW_ICMP, 13,
	    "block in" },
	{ -FW_AT_OUTSIDE, "2001:db8:9::9", "2001:db8:1::14", FW_ICMP6, 128,
	    "iso1" },
	/* Published. */
	{ -FW_AT_OUTSIDE, "203.0.113.9", "203.0.113.1", FW_TCP, 80,
	    "web rdr" },
	{ -FW_AT_OUTSIDE, "2001:db8:9::9", "2001:db8:3::1", FW_TCP, 80,
	    "web rdr" },
	{ -FW_AT_OUTSIDE, "203.0.113.9", "203.0.113.1", FW_UDP, 80, "host" },
	{ -FW_AT_OUTSIDE, "203.0.113.9", "10.0.0.11", FW_TCP, 8080,
	    "block in" },
	{ -FW_AT_OUTSIDE, "203.0.113.9", "203.0.113.1", FW_UDP, 514,
	    "iso2 rdr" },
	{ FREE, NULL, "203.0.113.1", FW_TCP, 80, "web rdr nat" },
	{ FREE, NULL, "10.0.0.1", FW_TCP, 80, "web rdr nat" },
	{ ISO2, NULL, "10.0.1.1", FW_TCP, 80, "web rdr" },
	{ ISO1, NULL, "203.0.113.1", FW_UDP, 514, "iso2 rdr nat" },
	{ DB, NULL, "203.0.113.1", FW_TCP, 80, "block out" },
	/* The host. */
	{ WEB, NULL, "10.0.0.1", FW_UDP, 53, "host" },
	{ WEB, NULL, "203.0.113.1", FW_UDP, 53, "host" },
	{ WEB, NULL, "10.0.0.1", FW_TCP, 53, "block host" },
	{ FREE, NULL, "10.0.0.1", FW_UDP, 53, "block host" },
	{ FREE, NULL, "10.0.0.1", FW_ICMP, 8, "block host" },
	{ FREE, NULL, "255.255.255.255", FW_UDP, 99, "block host" },
	{ FREE, NULL, "10.0.0.255", FW_UDP, 99, "block host" },
	{ FREE, NULL, "fd00:1::1", FW_ICMP6, 135, "host" },
	{ -FW_AT_HOST, "10.0.0.1", "10.0.0.12", FW_TCP, 22, "db" },
	/* From outside. */
	{ -FW_AT_OUTSIDE, "203.0.113.9", "10.0.0.13", FW_TCP, 22,
	    "block in" },
	{ -FW_AT_OUTSIDE, "10.0.0.99", "10.0.0.13", FW_TCP, 22,
	    "block spoof" },
	{ -FW_AT_OUTSIDE, "203.0.113.9", "10.0.0.99", FW_TCP, 22,
	    "block in" },
	{ WEB, NULL, "10.0.1.99", FW_TCP, 22, "block in" },
	{ -FW_AT_OUTSIDE, "203.0.113.9", "203.0.113.8", FW_TCP, 1, "outside" },
	/* With neighbours. */
	{ -FW_AT_NEIGHBOUR, "192.0.2.99", "192.0.2.16", FW_TCP, 443, "pc" },
	{ -FW_AT_NEIGHBOUR, "192.0.2.99", "192.0.2.16", FW_TCP, 445,
	    "block in" },
	{ -FW_AT_NEIGHBOUR, "192.0.2.16", "192.0.2.16", FW_TCP, 443,
	    "block spoof" },
	{ -FW_AT_NEIGHBOUR, "192.0.2.99", "10.0.0.11", FW_TCP, 443,
	    "block in" },
	{ -FW_AT_NEIGHBOUR, "192.0.2.99", "192.0.2.98", FW_TCP, 1,
	    "neighbour" },
	{ WEB, NULL, "192.0.2.99", FW_TCP, 1, "neighbour" },
	{ WEB, NULL, "192.0.2.16", FW_TCP, 443, "pc" },
	/* Servers that guests are not. */
	{ FREE, NULL, "10.0.0.11", FW_UDP, 68, "block frame" },
	{ FREE, NULL, "fd00:1::11", FW_UDP, 546, "block frame" },
	{ FREE, NULL, "ff02::1", FW_ICMP6, 134, "block frame" },
	{ FREE, NULL, "10.0.0.11", FW_ICMP, 5, "block frame" },
	{ WEB, NULL, "10.0.0.13", FW_UDP, 546, "free" },
};

static void
make_packet(struct fw_packet *k, const struct packet_row *row)
{
	bool ipv6 = strchr(row->dst, ':') != NULL;

	memset(k, 0, sizeof(*k));
	k->from = row->from < 0 ? (enum fw_place)-row->from : FW_AT_NIC;
	k->dst = addr(row->dst);
	k->proto = (uint8_t)row->proto;
	k->dport = (uint16_t)row->port;
	k->icmp = (uint8_t)row->port;
	k->sport = 1024;
	k->sw = OFFICE;
	snprintf(k->oif, sizeof(k->oif), "eth0");
	if (row->from >= 0) {
		k->nic = (uint32_t)row->from;
		memcpy(k->mac, h.nic[k->nic].mac, 6);
		k->src = h.nic_addrs[k->nic][ipv6];
	}
	if (row->src != NULL)
		k->src = addr(row->src);
}

static const char *
outcome(const struct fw_judgement *v, char *p, size_t size)
{
	static const char *const stages[] = { [FW_SPOOF] = "spoof",
	    [FW_FRAME] = "frame", [FW_HOST] = "host", [FW_OUT] = "out",
	    [FW_IN] = "in" };
	static const char *const places[] = {
	    [FW_AT_NEIGHBOUR] = "neighbour", [FW_AT_HOST] = "host",
	    [FW_AT_OUTSIDE] = "outside", [FW_AT_NOBODY] = "nobody" };

	if (!v->pass)
		snprintf(p, size, "block %s",
		    stages[v->step[v->nsteps - 1].stage]);
	else
		snprintf(p, size, "%s%s%s", v->to == FW_AT_NIC ?
		    h.nic[v->nic].guest : places[v->to],
		    v->rdr ? " rdr" : "", v->nat ? " nat" : "");
	return p;
}

START_TEST(packets)
{
	const struct os_addr host[] = { addr("203.0.113.1"),
	    addr("2001:db8:3::1") };
	const struct packet_row *row = &packet_rows[_i];
	struct fw_judgement v;
	struct fw_packet k;
	char end[64];

	build();
	make_packet(&k, row);
	fw_trace(&h.p, &r, host, 2, &k, FW_ALL, &v);
	ck_assert_msg(strcmp(outcome(&v, end, sizeof(end)), row->end) == 0,
	    "%d > %s port %u: %s, not %s", row->from, row->dst, row->port, end,
	    row->end);
	/* Nothing begins in its middle, where rules of ours say who may. */
	if (row->proto == FW_TCP && row->from >= 0 && v.pass) {
		k.not_syn = true;
		fw_trace(&h.p, &r, host, 2, &k, FW_ALL, &v);
		ck_assert(!v.pass);
	}
}
END_TEST

static const char *
frame_of(const struct fw_packet *k, uint32_t to)
{
	static char end[64];
	struct fw_judgement v;

	fw_trace(&h.p, &r, NULL, 0, k, to, &v);
	return outcome(&v, end, sizeof(end));
}

/* What is below IP, and what IP needs. */
START_TEST(frames)
{
	struct packet_row row = { WEB, NULL, "10.0.0.13", FW_TCP, 1, "" };
	struct fw_packet k;

	build();
	make_packet(&k, &row);
	k.mac[5] = 9;
	ck_assert_str_eq(frame_of(&k, FW_ALL), "block frame");
	make_packet(&k, &row);
	k.ether = FW_ETHER_OTHER;
	ck_assert_str_eq(frame_of(&k, FREE), "block frame");
	k.ether = FW_ETHER_ARP;
	memcpy(k.arp_mac, k.mac, 6);
	ck_assert_str_eq(frame_of(&k, FREE), "free");
	k.src = addr("0.0.0.0");
	ck_assert_str_eq(frame_of(&k, FREE), "free");
	k.src = addr("10.0.0.1");
	ck_assert_str_eq(frame_of(&k, FREE), "block frame");
	k.src = addr("10.0.0.11");
	k.arp_mac[5] = 9;
	ck_assert_str_eq(frame_of(&k, FREE), "block frame");

	/* A DHCP client has no address yet. */
	row = (struct packet_row){ PC, "0.0.0.0", "255.255.255.255", FW_UDP,
	    67, "" };
	make_packet(&k, &row);
	ck_assert_str_eq(frame_of(&k, WEB), "block frame");
	k.sport = 68;
	k.src.ipv6 = k.dst.ipv6 = false;
	ck_assert_str_eq(frame_of(&k, FW_ALL), "block host");

	/* Detecting duplicates, of its own address only. */
	row = (struct packet_row){ WEB, "::", "ff02::1:ff00:11", FW_ICMP6,
	    135, "" };
	make_packet(&k, &row);
	k.has_target = true;
	k.target = addr("fd00:1::11");
	ck_assert_str_eq(frame_of(&k, FREE), "free");
	k.target = addr("fd00:1::13");
	ck_assert_str_eq(frame_of(&k, FREE), "block frame");
	k.icmp = 129;
	ck_assert_str_eq(frame_of(&k, FREE), "block frame");
	k.icmp = 143;
	ck_assert_str_eq(frame_of(&k, FREE), "free");
	k.src = addr("fd00:1::11");
	k.icmp = 136;
	ck_assert_str_eq(frame_of(&k, FREE), "block frame");
	k.target = addr("fe80::ff:fe00:1");
	ck_assert_str_eq(frame_of(&k, FREE), "free");
}
END_TEST

START_TEST(printed_trace)
{
	struct packet_row row = { WEB, NULL, "10.0.0.12", FW_TCP, 22, "" };
	struct fw_judgement v;
	struct fw_packet k;

	build();
	make_packet(&k, &row);
	fw_trace(&h.p, &r, NULL, 0, &k, FW_ALL, &v);
	ck_assert_int_eq(fw_trace_print(&h.p, &r, &v, &text), 0);
	ck_assert_int_eq(buf_append(&text, "", 1), 0);
	ck_assert_str_eq(buf_head(&text),
	    "to vm db nic 0, bridged\n"
	    "frame: nothing blocks it\n"
	    "vm web nic 0: out: pass\n"
	    "vm db nic 0: in: block\n"
	    "blocked\n");
}
END_TEST

START_TEST(forwards)
{
	char ours[FW_OURS];

	ck_assert(fw_forwards(&h.p, false));
	ck_assert(fw_forwards(&h.p, true));
	h.p.nnics = 1;
	h.nic[WEB].out.n = 0;
	h.nic[WEB].npublish = 0;
	ck_assert(!fw_forwards(&h.p, false));
	h.nic[WEB].in.v = &h.https;
	ck_assert(fw_forwards(&h.p, false));
	h.sw[LAN].shared = true;
	ck_assert(!fw_forwards(&h.p, false));
	fw_ours(ours, "vmmd");
	ck_assert_str_eq(ours, "vmmd");
	fw_ours(ours, "lab");
	ck_assert_str_eq(ours, "vmmd-lab");
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("fw");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, translations);
	tcase_add_test(tc, rules);
	tcase_add_test(tc, out_and_frame);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, absent);
	tcase_add_test(tc, tables);
	tcase_add_loop_test(tc, packets, 0,
	    sizeof(packet_rows) / sizeof(packet_rows[0]));
	tcase_add_test(tc, frames);
	tcase_add_test(tc, printed_trace);
	tcase_add_test(tc, forwards);
	return test_main("fw", tc);
}
