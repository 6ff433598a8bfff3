/* SPDX-License-Identifier: ISC */
/*
 * A policy with one of each: see ppolicy.h.  Its guests and switches are parties
 * and segments of packets.tab.
 */
#include "ppolicy.h"

#define IP4(a, b, c, d, bits)						\
	{ .bytes = { a, b, c, d }, .prefix = (bits) }
#define IP6(a, b, c, d, last, bits)					\
	{ .bytes = { a, b, c, d, [15] = (last) }, .prefix = (bits),	\
	    .ipv6 = true }
/* 2001:db8:X::last */
#define DOC6(x, last, bits)						\
	{ .bytes = { 0x20, 0x01, 0x0d, 0xb8, 0, x, [15] = (last) },	\
	    .prefix = (bits), .ipv6 = true }
#define LEN(v)	(sizeof(v) / sizeof((v)[0]))
#define LIST(l)	{ .v = (l), .n = LEN(l) }
#define PAIR(name, net, host)						\
	static const struct os_addr name[] = {				\
		IP4(10, net, 0, host, 32),				\
		IP6(0xfd, net, 0, 0, 0x##host, 128),		\
	}

static const struct os_addr lan_addrs[] = {
	IP4(10, 1, 0, 1, 24), IP6(0xfd, 1, 0, 0, 1, 64),
};
static const struct os_addr dmz_addrs[] = {
	IP4(10, 2, 0, 1, 24), IP6(0xfd, 2, 0, 0, 1, 64),
};
static const struct os_addr lab_addrs[] = {
	IP4(10, 3, 0, 1, 24), IP6(0xfd, 3, 0, 0, 1, 64),
};
static const struct os_addr office_addrs[] = {
	IP4(192, 0, 2, 1, 24), DOC6(4, 1, 64),
};

static const struct fw_switch switches[] = {
	{
		.name = "lan", .iface = "vmmd-lan", .uplink = "",
		.nat = FW_NAT_AUTO,
		.addrs = lan_addrs, .naddrs = LEN(lan_addrs),
	}, {
		.name = "dmz", .iface = "vmmd-dmz", .uplink = "",
		.nat = FW_NAT_IFACE, .nat_iface = "up0",
		.addrs = dmz_addrs, .naddrs = LEN(dmz_addrs),
	}, {
		.name = "lab", .iface = "vmmd-lab", .uplink = "",
		.isolate = true,
		.addrs = lab_addrs, .naddrs = LEN(lab_addrs),
	}, {
		.name = "office", .iface = "vmmd-office", .uplink = "off0",
		.shared = true,
		.addrs = office_addrs, .naddrs = LEN(office_addrs),
	},
};

PAIR(web_addrs, 1, 10);
PAIR(db_addrs, 1, 11);
PAIR(app_addrs, 1, 12);
PAIR(free_addrs, 1, 13);
PAIR(www_addrs, 2, 10);
PAIR(adm_addrs, 2, 11);
PAIR(iso1_addrs, 3, 10);
PAIR(iso2_addrs, 3, 11);
PAIR(iso3_addrs, 3, 12);
static const struct os_addr desk_addrs[] = {
	IP4(192, 0, 2, 10, 32), DOC6(4, 0x10, 128),
};

static const struct fw_allow any[] = { { .kind = FW_PEER_ANY } };
static const struct fw_allow of_lan[] = {
	{ .kind = FW_PEER_SWITCH, .name = "lan" },
};
static const struct fw_allow of_lab[] = {
	{ .kind = FW_PEER_SWITCH, .name = "lab" },
};
static const struct fw_allow iso2_in[] = {
	{ .kind = FW_PEER_SWITCH, .name = "lab" },
	{ .proto = FW_UDP, .lo = 9000, .hi = 9000 },
};
static const struct fw_allow of_office[] = {
	{ .kind = FW_PEER_SWITCH, .name = "office" },
};
static const struct fw_allow dns[] = {
	{ .proto = FW_UDP, .lo = 53, .hi = 53 },
};
/* A database that one other guest reaches. */
static const struct fw_allow db_in[] = {
	{
		.proto = FW_TCP, .lo = 5432, .hi = 5432,
		.kind = FW_PEER_GUEST, .name = "web",
	},
};
static const struct fw_allow app_in[] = {
	{ .proto = FW_ICMP, .echo = true },
	{
		.proto = FW_TCP, .lo = 22, .hi = 22,
		.kind = FW_PEER_CIDR, .cidr = IP4(198, 51, 100, 0, 24),
	}, {
		.proto = FW_TCP, .lo = 22, .hi = 22,
		.kind = FW_PEER_CIDR, .cidr = DOC6(9, 0, 64),
	}, {
		.family = 4, .proto = FW_UDP, .lo = 6000, .hi = 6010,
	},
};
static const struct fw_allow app_out[] = {
	{ .proto = FW_TCP, .lo = 443, .hi = 443 },
	{
		.proto = FW_UDP, .lo = 53, .hi = 53,
		.kind = FW_PEER_CIDR, .cidr = IP4(203, 0, 113, 0, 24),
	},
	{ .proto = FW_ICMP, .kind = FW_PEER_SWITCH, .name = "dmz" },
	{ .kind = FW_PEER_GUEST, .name = "free" },
};
static const struct fw_allow www_in[] = {
	{ .proto = FW_TCP, .lo = 80, .hi = 80 },
	{
		.proto = FW_TCP, .lo = 22, .hi = 22,
		.kind = FW_PEER_SWITCH, .name = "dmz",
	},
	{ .kind = FW_PEER_SWITCH, .name = "lan" },
};
static const struct fw_allow adm_out[] = {
	{
		.proto = FW_TCP, .lo = 22, .hi = 22,
		.kind = FW_PEER_GUEST, .name = "www",
	}, {
		.proto = FW_TCP,
		.kind = FW_PEER_SWITCH, .name = "lan",
	},
};
static const struct fw_allow desk_in[] = {
	{ .proto = FW_TCP, .lo = 22, .hi = 22 },
	{ .proto = FW_ICMP, .echo = true },
};

static const struct fw_publish web_publish[] = {
	{ .proto = FW_TCP, .port = 8080, .to = 80 },
	{ .proto = FW_UDP, .port = 5353, .to = 53 },
	{
		.proto = FW_TCP, .port = 2222, .to = 22, .has_host = true,
		.host = IP4(198, 51, 100, 2, 32),
	},
};
static const struct fw_publish www_publish[] = {
	{ .proto = FW_TCP, .port = 80, .to = 80 },
};
static const struct fw_publish iso2_publish[] = {
	{ .proto = FW_TCP, .port = 8181, .to = 81 },
};

#define NIC(vm, index, sw_, last)					\
	.guest = vm, .number = (index), .sw = (sw_),			\
	.tap = "vmmd-" vm ".0",						\
	.mac = { 2, 0, 0, 0, (sw_) + 1, (last) }
#define ADDRS(v)	.addrs = (v), .naddrs = LEN(v)
#define PUBLISH(v)	.publish = (v), .npublish = LEN(v)

static const struct fw_nic nics[] = {
	{
		NIC("web", 0, 0, 0x10), ADDRS(web_addrs), .locked = true,
		.in = LIST(of_lan), .out = LIST(any), .host = LIST(dns),
		PUBLISH(web_publish),
	}, {
		NIC("db", 0, 0, 0x11), ADDRS(db_addrs), .locked = true,
		.in = LIST(db_in), .log = FW_LOG_BLOCKED,
	}, {
		NIC("app", 0, 0, 0x12), ADDRS(app_addrs), .locked = true,
		.in = LIST(app_in), .out = LIST(app_out), .host = LIST(any),
	}, {
		NIC("free", 0, 0, 0x13), ADDRS(free_addrs),
		.in = LIST(of_lan), .out = LIST(any), .log = FW_LOG_ALL,
	}, {
		NIC("www", 0, 1, 0x10), ADDRS(www_addrs), .locked = true,
		.in = LIST(www_in), .out = LIST(any), PUBLISH(www_publish),
	}, {
		NIC("adm", 0, 1, 0x11), ADDRS(adm_addrs), .locked = true,
		.out = LIST(adm_out),
	}, {
		NIC("iso1", 0, 2, 0x10), ADDRS(iso1_addrs), .locked = true,
		.in = LIST(of_lab), .out = LIST(any),
	}, {
		NIC("iso2", 0, 2, 0x11), ADDRS(iso2_addrs), .locked = true,
		.in = LIST(iso2_in), .out = LIST(any), PUBLISH(iso2_publish),
	}, {
		NIC("desk", 0, 3, 0x10), ADDRS(desk_addrs), .locked = true,
		.in = LIST(desk_in), .out = LIST(any),
	}, {
		/* Whose addresses nobody knows. */
		NIC("kiosk", 0, 3, 0x11),
		.in = LIST(of_office), .out = LIST(any),
	}, {
		/* Not one of prandom.c's. */
		NIC("iso3", 0, 2, 0x12), ADDRS(iso3_addrs), .out = LIST(any),
	},
};

const struct fw_policy ppolicy = {
	.daemon = "vmmd",
	.sw = switches, .nsws = LEN(switches),
	.nic = nics, .nnics = LEN(nics),
};
