/* SPDX-License-Identifier: ISC */
/*
 * Plans: the steps for a configuration, and those for another one.  What they
 * do to a kernel is tested by t/net; here are those, too, that not every kernel
 * can do.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "net/plan.h"
#include "testhost.h"

#define LINKS	8

static struct os_link		links[LINKS];
static struct os_ifaddr		ifaddrs[LINKS];
static struct os_view		view;
static struct switch_conf	conf[3];
static struct switch_state	state[3], old[3];
static struct plan		plan;
static struct buf		text;
static char			why[256];

static void
setup(void)
{
	unsigned i;

	memset(links, 0, sizeof(links));
	memset(ifaddrs, 0, sizeof(ifaddrs));
	memset(conf, 0, sizeof(conf));
	memset(old, 0, sizeof(old));
	view = (struct os_view){ .links = links, .addrs = ifaddrs };
	for (i = 0; i < 3; i++)
		conf[i].bridge = conf[i].uplink = conf[i].vrf =
		    conf[i].group = "";
	conf[0].name = "lan";
	conf[1].name = "dmz";
	plan_init(&plan);
	buf_init(&text, 8192);
}

static void
teardown(void)
{
	plan_free(&plan);
	buf_free(&text);
}

/* The interface with index n + 1. */
static struct os_link *
link_add(const char *name)
{
	struct os_link *l = &links[view.nlinks++];

	l->index = (int)view.nlinks;
	l->mtu = 1500;
	snprintf(l->name, sizeof(l->name), "%s", name);
	return l;
}

/* A bridge of ours, as a plan for a switch without keys makes it. */
static struct os_link *
bridge_add(const char *sw, const char *uplink)
{
	char host[65], name[IFNAME_SIZE], mark[IFNAME_MARK];
	struct os_link *l;

	ifname_switch(name, "vmmd", sw);
	l = link_add(name);
	l->kind = OS_KIND_BRIDGE;
	l->up = true;
	ifname_switch_mark(mark, "vmmd", sw, uplink);
	strcpy(l->mark, mark);
	os_host(host, sizeof(host));
	ifname_switch_mac(l->mac, host, "vmmd", sw);
	return l;
}

static struct os_addr
addr(const char *s, uint8_t prefix)
{
	struct os_addr a = { .prefix = prefix, .ipv6 = strchr(s, ':') };

	ck_assert_int_eq(inet_pton(a.ipv6 ? AF_INET6 : AF_INET, s, a.bytes),
	    1);
	return a;
}

static void
print_set(const struct plan_step *s)
{
	static const char *const names[] = {
		[OS_MARK] = "mark", [OS_MAC] = "mac", [OS_MTU] = "mtu",
		[OS_GROUP] = "group", [OS_MASTER] = "master", [OS_UP] = "up",
		[OS_ISOLATED] = "isolated", [OS_VLANS] = "vlans",
		[OS_LINKLOCAL] = "linklocal", [OS_RA] = "ra",
	};

	buf_printf(&text, "%d %s ", *s->index, names[s->attr]);
	if (s->attr == OS_MARK)
		buf_printf(&text, "%s", s->text);
	else if (s->attr == OS_MAC)
		buf_printf(&text, "%02x>%02x", s->from.mac[5], s->to.mac[5]);
	else if (s->ref != NULL)
		buf_printf(&text, "%u>@%d", s->from.number, *s->ref);
	else
		buf_printf(&text, "%u>%u", s->from.number, s->to.number);
}

/* The steps, one a line. */
static const char *
printed(void)
{
	const struct plan_step *s;
	size_t i;

	buf_free(&text);
	for (i = 0; i < plan.n; i++) {
		s = &plan.steps[i];
		switch (s->op) {
		case PLAN_CREATE:
			buf_printf(&text, "create %s", s->name);
			break;
		case PLAN_SET:
			print_set(s);
			break;
		case PLAN_ADDR:
			buf_printf(&text, "%d addr %c%u.%u.%u.%u/%u",
			    *s->index, s->on ? '+' : '-', s->addr.bytes[0],
			    s->addr.bytes[1], s->addr.bytes[2],
			    s->addr.bytes[3], s->addr.prefix);
			break;
		case PLAN_VLAN:
			buf_printf(&text, "%d vlan %u>%u%s%s", *s->index,
			    s->from.number, s->to.number,
			    s->tagged ? " tagged" : "",
			    s->self ? " self" : "");
			break;
		case PLAN_DELETE:
			buf_printf(&text, "delete %d", *s->index);
			break;
		}
		buf_printf(&text, "\n");
	}
	buf_append(&text, "", 1);
	return buf_head(&text);
}

static int
plan_for(size_t n, size_t nold)
{
	int error;

	plan_free(&plan);
	error = plan_switches(&plan, "vmmd", &view, conf, n, state, old, nold,
	    why, sizeof(why));
	if (error == 0)
		plan_leftovers(&plan, "vmmd", &view, state, n);
	return error;
}

static void
steps(size_t n, size_t nold, const char *expected)
{
	ck_assert_msg(plan_for(n, nold) == 0, "%s", why);
	ck_assert_str_eq(printed(), expected);
}

static void
refused(size_t n, int error, const char *expected)
{
	ck_assert_int_eq(plan_for(n, 0), error);
	ck_assert_str_eq(why, expected);
}

START_TEST(fresh)
{
	struct os_addr a = addr("192.0.2.1", 24);

	conf[0].addrs = &a;
	conf[0].naddrs = 1;
	conf[0].mtu = 9000;
	steps(1, 0,
	    "create vmmd-lan\n"
	    "0 mark vmmd vmmd: switch lan\n"
	    "0 mtu 1500>9000\n"
	    "0 linklocal 1>0\n"
	    "0 ra 1>0\n"
	    "0 addr +192.0.2.1/24\n"
	    "0 up 0>1\n");
	ck_assert(state[0].owned);
	ck_assert_str_eq(state[0].bridge, "vmmd-lan");
	ck_assert_uint_eq(state[0].ports.mtu, 9000);
}
END_TEST

/* What is as it shall be takes no step, whoever has made it so. */
START_TEST(nothing_to_do)
{
	struct os_addr a = addr("192.0.2.1", 24);

	bridge_add("lan", "");
	ifaddrs[view.naddrs++] = (struct os_ifaddr){ .index = 1, .addr = a };
	conf[0].addrs = &a;
	conf[0].naddrs = 1;
	steps(1, 0, "");
	ck_assert_int_eq(state[0].index, 1);
}
END_TEST

START_TEST(addresses)
{
	struct os_addr a = addr("192.0.2.1", 24);

	bridge_add("lan", "");
	/* Ours, another's, and ours elsewhere. */
	ifaddrs[0] = (struct os_ifaddr){ 1, true, addr("192.0.2.2", 24) };
	ifaddrs[1] = (struct os_ifaddr){ 1, false, addr("192.0.2.3", 24) };
	ifaddrs[2] = (struct os_ifaddr){ 2, true, addr("192.0.2.1", 24) };
	/* The same with another prefix. */
	ifaddrs[3] = (struct os_ifaddr){ 1, true, addr("192.0.2.1", 25) };
	view.naddrs = 4;
	conf[0].addrs = &a;
	conf[0].naddrs = 1;
	steps(1, 0,
	    "1 addr -192.0.2.2/24\n"
	    "1 addr -192.0.2.1/25\n"
	    "1 addr +192.0.2.1/24\n");
}
END_TEST

/* A host on IPv6 has a link-local address, and hears routers behind uplinks. */
START_TEST(ipv6)
{
	struct os_addr a = addr("2001:db8::1", 64);
	struct os_link *l = bridge_add("lan", "");

	conf[0].addrs = &a;
	conf[0].naddrs = 1;
	l->ra = 2;
	steps(1, 0,
	    "1 linklocal 0>1\n"
	    "1 ra 2>0\n"
	    "1 addr +32.1.13.184/64\n");
	link_add("eth0")->up = true;
	memcpy(links[1].mac, l->mac, 6);
	conf[0].uplink = "eth0";
	conf[0].naddrs = 0;
	steps(1, 0,
	    "1 mark vmmd vmmd: switch lan, uplink eth0\n"
	    "1 linklocal 0>1\n"
	    "2 master 0>@1\n");
}
END_TEST

/* Below 1,280 bytes an interface has no IPv6; beyond it is all new. */
START_TEST(small_mtu)
{
	struct os_link *l = bridge_add("lan", "eth0");

	conf[0].uplink = "eth0";
	conf[0].mtu = l->mtu = 1279;
	*link_add("eth0") = (struct os_link){ .index = 2, .name = "eth0",
	    .mtu = 1500, .up = true, .master = 1 };
	memcpy(links[1].mac, l->mac, 6);
	steps(1, 0, "");
	conf[0].mtu = 1280;
	steps(1, 0, "1 mtu 1279>1280\n");
	conf[0].uplink = "";
	strcpy(l->mark, "vmmd vmmd: switch lan");
	links[1].master = 0;
	steps(1, 0,
	    "1 mtu 1279>1280\n"
	    "1 linklocal 1>0\n"
	    "1 ra 1>0\n");
	l->mtu = 1500;
	l->linklocal = true;
	conf[0].mtu = 1000;
	steps(1, 0, "1 mtu 1500>1000\n");
}
END_TEST

/* The old uplink is given back before it joins another bridge. */
START_TEST(uplink_moves)
{
	struct os_link *l;

	bridge_add("lan", "eth0")->linklocal = true;
	bridge_add("dmz", "")->linklocal = true;
	l = link_add("eth0");
	l->master = 1;
	l->mtu = 1400;
	memcpy(l->mac, links[1].mac, 6);
	conf[1].uplink = "eth0";
	steps(2, 0,
	    "3 master 1>0\n"
	    "1 mark vmmd vmmd: switch lan\n"
	    "1 linklocal 1>0\n"
	    "2 mark vmmd vmmd: switch dmz, uplink eth0\n"
	    "2 mtu 1500>1400\n"
	    "3 master 0>@2\n"
	    "3 up 0>1\n");
	ck_assert_uint_eq(state[1].ports.mtu, 1400);
	l->mtu = PLAN_MTU_MAX + 1;
	refused(2, -EINVAL, "switch dmz: uplink eth0: its MTU is 65522, more "
	    "than a tap's: write mtu, at most 65521");
	conf[1].mtu = PLAN_MTU_MAX;
	ck_assert_int_eq(plan_for(2, 0), 0);
}
END_TEST

/* A trunk outside, the host among the guests, no VLAN for anybody else. */
START_TEST(vlan)
{
	struct os_link *l;

	l = link_add("eth0");
	l->up = true;
	l->mac[0] = 2;
	l->mac[5] = 0xee;
	conf[0].uplink = "eth0";
	conf[0].vlan = 10;
	ck_assert_int_eq(plan_for(1, 0), 0);
	ck_assert_ptr_nonnull(strstr(printed(),
	    "0 vlan 0>10 self\n"
	    "0 vlans 0>1\n"
	    "0 up 0>1\n"
	    "1 master 0>@0\n"
	    "1 vlan 0>10 tagged\n"));
	ck_assert_uint_eq(state[0].ports.vlan, 10);
	/* Another one, and none. */
	l->master = 2;
	bridge_add("lan", "eth0")->vlans = true;
	links[1].linklocal = true;
	memcpy(links[1].mac, l->mac, 6);
	old[0] = (struct switch_state){ .index = 2, .vlan = 10 };
	conf[0].vlan = 20;
	steps(1, 1,
	    "2 vlan 10>20 self\n"
	    "1 vlan 10>20 tagged\n");
	conf[0].vlan = 0;
	steps(1, 1,
	    "2 vlan 10>0 self\n"
	    "2 vlans 1>0\n"
	    "1 vlan 10>0 tagged\n");
	/* After a kill nobody knows which one it was. */
	conf[0].vlan = 10;
	steps(1, 0,
	    "2 vlan 0>10 self\n"
	    "1 vlan 0>10 tagged\n");
	/* Undone, the uplink would be back in its VLAN. */
	steps(0, 1,
	    "1 vlan 10>0 tagged\n"
	    "1 master 2>0\n"
	    "delete 2\n");
}
END_TEST

START_TEST(vrf)
{
	struct os_addr both[2] = { addr("192.0.2.1", 24),
		addr("2001:db8::1", 64) };

	link_add("red")->kind = OS_KIND_VRF;
	bridge_add("lan", "");
	conf[0].vrf = "red";
	steps(1, 0, "2 master 0>1\n");
	links[1].master = 1;
	steps(1, 0, "");
	conf[0].vrf = "";
	steps(1, 0, "2 master 1>0\n");
	/* IPv6 addresses do not survive it. */
	ifaddrs[0] = (struct os_ifaddr){ 2, true, addr("192.0.2.1", 24) };
	ifaddrs[1] = (struct os_ifaddr){ 2, true, addr("2001:db8::1", 64) };
	view.naddrs = 2;
	conf[0].addrs = both;
	conf[0].naddrs = 2;
	links[1].linklocal = true;
	steps(1, 0,
	    "2 addr -32.1.13.184/64\n"
	    "2 master 1>0\n"
	    "2 addr +32.1.13.184/64\n");
	conf[0].vrf = "lo";
	refused(1, -ENODEV, "switch lan: vrf lo: No such device");
	link_add("lo");
	refused(1, -ENODEV, "switch lan: vrf lo: it is no VRF");
}
END_TEST

/* Two switches may share a bridge of another, each in its VLAN. */
START_TEST(joined)
{
	struct os_link *l = link_add("br0");

	l->kind = OS_KIND_BRIDGE;
	conf[0].bridge = conf[1].bridge = "br0";
	conf[0].vlan = 10;
	conf[1].vlan = 20;
	refused(2, -EPERM,
	    "switch lan: bridge br0: it is not ours, and filters no VLANs");
	l->vlans = true;
	l->mtu = 1480;
	steps(2, 0, "");
	ck_assert(!state[0].owned);
	ck_assert_int_eq(state[1].index, 1);
	ck_assert_uint_eq(state[0].ports.vlan, 10);
	ck_assert_uint_eq(state[1].ports.vlan, 20);
	ck_assert_uint_eq(state[1].ports.mtu, 1480);
	l->mtu = PLAN_MTU_MAX;
	steps(2, 0, "");
	l->mtu++;
	refused(2, -EINVAL, "switch lan: bridge br0: its MTU is 65522, more "
	    "than a tap's, 65521");
	l->mtu = 1480;
	/* But not one of ours, there or to come. */
	strcpy(l->mark, "vmmd vmmd: switch old");
	refused(2, -EEXIST, "switch dmz: bridge br0: it is switch lan's");
	view.nlinks = 0;
	refused(2, -EEXIST, "switch dmz: bridge br0: it is switch lan's");
}
END_TEST

/* Bridges of ours that no switch has; of another daemon, of nobody. */
START_TEST(leftovers)
{
	struct os_link *l;

	bridge_add("old", "eth0");
	l = link_add("eth0");
	l->master = 1;
	l = bridge_add("theirs", "");
	strcpy(l->mark, "vmmd vmmd2: switch theirs");
	l = bridge_add("nobodys", "");
	strcpy(l->mark, "");
	memset(l->mac, 2, 6);
	bridge_add("lan", "");
	steps(1, 0,
	    "2 master 1>0\n"
	    "delete 1\n");
}
END_TEST

/* The MAC tells whose it is that has no mark yet. */
START_TEST(unmarked)
{
	bridge_add("lan", "")->mark[0] = '\0';
	steps(1, 0, "1 mark vmmd vmmd: switch lan\n");
	links[0].mac[5] ^= 1;
	refused(1, -EEXIST, "switch lan: bridge vmmd-lan: File exists, "
	    "and it is not ours");
}
END_TEST

START_TEST(ports)
{
	struct port_set now = { .master = 5, .mtu = 1500, .vlan = 10,
		.isolated = true };
	struct port_set want = now;
	int index = 9, to = 5, fresh_one = 0;

	plan_port(&plan, "vm web: nic 0", &index, true, &now, &want, &to);
	ck_assert_str_eq(printed(), "");
	/* In its bridge. */
	want = (struct port_set){ .mtu = 1400, .group = 3, .vlan = 20 };
	plan_port(&plan, "vm web: nic 0", &index, true, &now, &want, &to);
	ck_assert_str_eq(printed(),
	    "9 mtu 1500>1400\n"
	    "9 group 0>3\n"
	    "9 isolated 1>0\n"
	    "9 vlan 10>20\n");
	/* To one that is yet to be made: nothing gets through meanwhile. */
	plan_free(&plan);
	want = now;
	plan_port(&plan, "vm web: nic 0", &index, true, &now, &want,
	    &fresh_one);
	ck_assert_str_eq(printed(),
	    "9 up 1>0\n"
	    "9 isolated 1>0\n"
	    "9 vlan 10>0\n"
	    "9 master 5>@0\n"
	    "9 isolated 0>1\n"
	    "9 vlan 0>10\n"
	    "9 up 0>1\n");
	/* Out of any. */
	plan_free(&plan);
	plan_port(&plan, "vm web: nic 0", &index, true, &now, &want, NULL);
	ck_assert_str_eq(printed(),
	    "9 up 1>0\n"
	    "9 isolated 1>0\n"
	    "9 vlan 10>0\n"
	    "9 master 5>0\n"
	    "9 up 0>1\n");
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("plan");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, fresh);
	tcase_add_test(tc, nothing_to_do);
	tcase_add_test(tc, addresses);
	tcase_add_test(tc, ipv6);
	tcase_add_test(tc, small_mtu);
	tcase_add_test(tc, uplink_moves);
	tcase_add_test(tc, vlan);
	tcase_add_test(tc, vrf);
	tcase_add_test(tc, joined);
	tcase_add_test(tc, leftovers);
	tcase_add_test(tc, unmarked);
	tcase_add_test(tc, ports);
	return test_main("plan", tc);
}
