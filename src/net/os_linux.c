/* SPDX-License-Identifier: ISC */
/*
 * Bridges, ports and addresses on Linux, by rtnetlink.
 */
#include "net/os.h"

#include <sys/random.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/os_nl_linux.h"

/* How long a bridge remembers an address, in hundredths of a second. */
#define OS_AGEING	30000

/* How many, of Linux 6.7, beyond the headers of 6.1; others ignore it. */
#define OS_BR_FDB_MAX_LEARNED	(IFLA_BR_MCAST_QUERIER_STATE + 2)
#define OS_LEARNED		16384

#define OS_VLAN_MAX	4094

void
os_host(char *out, size_t size)
{
	struct utsname u;

	snprintf(out, size, "%s", uname(&u) == 0 ? u.nodename : "");
}

/* A request about one interface, whose flags are as they were. */
static struct nlmsghdr *
os_link_begin(struct os *o, uint16_t type, int index, uint8_t family)
{
	struct nlmsghdr *n = os_nl_begin(o, type, 0);
	struct ifinfomsg *ifi;

	ifi = mnl_nlmsg_put_extra_header(n, sizeof(*ifi));
	ifi->ifi_family = family;
	ifi->ifi_index = index;
	return n;
}

static int
os_link_delete(struct os *o, int index)
{
	int error;

	error = os_nl_send(o, os_link_begin(o, RTM_DELLINK, index,
	    AF_UNSPEC));
	return error == -ENODEV ? 0 : error;
}

/* Kernels ignore what they are built without, VLANs for one. */
static void
os_put_bridge(struct nlmsghdr *n)
{
	struct nlattr *info, *data;

	info = mnl_attr_nest_start(n, IFLA_LINKINFO);
	mnl_attr_put_strz(n, IFLA_INFO_KIND, "bridge");
	data = mnl_attr_nest_start(n, IFLA_INFO_DATA);
	mnl_attr_put_u32(n, IFLA_BR_STP_STATE, 0);
	mnl_attr_put_u32(n, IFLA_BR_FORWARD_DELAY, 0);
	mnl_attr_put_u32(n, IFLA_BR_AGEING_TIME, OS_AGEING);
	/* A guest can make up as many as it has frames to send. */
	mnl_attr_put_u32(n, OS_BR_FDB_MAX_LEARNED, OS_LEARNED);
	/* Whoever plays the querier would say who gets what. */
	mnl_attr_put_u8(n, IFLA_BR_MCAST_SNOOPING, 0);
	mnl_attr_put_u16(n, IFLA_BR_VLAN_DEFAULT_PVID, 0);
	mnl_attr_nest_end(n, data);
	mnl_attr_nest_end(n, info);
}

/* net.ipv4.conf and net.ipv6.conf, for which there is no message. */
static int
os_sysctl(const char *family, const char *name, const char *key,
    uint32_t number)
{
	char path[96], text[16];
	int fd, len, error = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family,
	    name, key);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd == -1)
		return -errno;
	len = snprintf(text, sizeof(text), "%u", number);
	if (write(fd, text, (size_t)len) != len)
		error = -errno;
	close(fd);
	return error;
}

int
os_bridge_create(struct os *o, const char *name, const uint8_t mac[6],
    int *index)
{
	struct nlmsghdr *n;
	int error;

	n = os_link_begin(o, RTM_NEWLINK, 0, AF_UNSPEC);
	n->nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
	mnl_attr_put_strz(n, IFLA_IFNAME, name);
	mnl_attr_put(n, IFLA_ADDRESS, 6, mac);
	os_put_bridge(n);
	error = os_nl_send(o, n);
	if (error != 0)
		return error;
	*index = (int)if_nametoindex(name);
	if (*index == 0)
		return -errno;
	/* An address that goes takes others of its subnet along otherwise. */
	error = os_sysctl("ipv4", name, "promote_secondaries", 1);
	if (error != 0)
		(void)os_link_delete(o, *index);
	return error;
}

static int
os_set_ra(int index, uint32_t ra)
{
	char name[IF_NAMESIZE];
	int error;

	if (if_indextoname((unsigned)index, name) == NULL)
		return -errno;
	error = os_sysctl("ipv6", name, "accept_ra", ra);
	/* A host without IPv6 hears none. */
	return error == -ENOENT && ra == 0 ? 0 : error;
}

/* A flag of a bridge, or of an interface in one: what it is of says `kind`. */
static void
os_put_flag(struct nlmsghdr *n, uint16_t kind, uint16_t data, uint16_t flag,
    bool on)
{
	struct nlattr *info, *flags;

	info = mnl_attr_nest_start(n, IFLA_LINKINFO);
	mnl_attr_put_strz(n, kind, "bridge");
	flags = mnl_attr_nest_start(n, data);
	mnl_attr_put_u8(n, flag, on);
	mnl_attr_nest_end(n, flags);
	mnl_attr_nest_end(n, info);
}

/*
 * A host without IPv6 has no such setting, nor has an interface whose MTU is
 * too small for it: it has no address either.
 */
static int
os_set_linklocal(struct os *o, struct nlmsghdr *n, bool on)
{
	struct nlattr *spec, *family;
	int error;

	spec = mnl_attr_nest_start(n, IFLA_AF_SPEC);
	family = mnl_attr_nest_start(n, AF_INET6);
	mnl_attr_put_u8(n, IFLA_INET6_ADDR_GEN_MODE,
	    on ? IN6_ADDR_GEN_MODE_EUI64 : IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(n, family);
	mnl_attr_nest_end(n, spec);
	error = os_nl_send(o, n);
	return error == -EAFNOSUPPORT ? 0 : error;
}

static void
os_put_up(struct nlmsghdr *n, bool on)
{
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(n);

	ifi->ifi_change = IFF_UP;
	ifi->ifi_flags = on ? IFF_UP : 0;
}

int
os_link_set(struct os *o, int index, enum os_attr attr,
    const struct os_value *v)
{
	struct nlmsghdr *n;

	if (attr == OS_RA)
		return os_set_ra(index, v->number);
	n = os_link_begin(o, RTM_NEWLINK, index, AF_UNSPEC);
	switch (attr) {
	case OS_MARK:
		mnl_attr_put_strz(n, IFLA_IFALIAS, v->text);
		break;
	case OS_MAC:
		mnl_attr_put(n, IFLA_ADDRESS, sizeof(v->mac), v->mac);
		break;
	case OS_MTU:
		mnl_attr_put_u32(n, IFLA_MTU, v->number);
		break;
	case OS_GROUP:
		mnl_attr_put_u32(n, IFLA_GROUP, v->number);
		break;
	case OS_MASTER:
		mnl_attr_put_u32(n, IFLA_MASTER, v->number);
		break;
	case OS_UP:
		os_put_up(n, v->number != 0);
		break;
	case OS_ISOLATED:
		os_put_flag(n, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA,
		    IFLA_BRPORT_ISOLATED, v->number != 0);
		break;
	case OS_VLANS:
		os_put_flag(n, IFLA_INFO_KIND, IFLA_INFO_DATA,
		    IFLA_BR_VLAN_FILTERING, v->number != 0);
		break;
	case OS_LINKLOCAL:
		return os_set_linklocal(o, n, v->number != 0);
	case OS_RA:
		break;
	}
	return os_nl_send(o, n);
}

/*
 * What the kernel deletes in one go is a group: these become one that nobody
 * else has, since its number is drawn from a billion.
 */
static int
os_group_delete(struct os *o, const int *index, size_t n)
{
	struct os_value group = { .number = 0 };
	struct nlmsghdr *msg;
	bool found = false;
	size_t i;
	int error;

	if (getrandom(&group.number, sizeof(group.number), 0) !=
	    (ssize_t)sizeof(group.number))
		return -EIO;
	group.number = (group.number & 0x3fffffff) | 0x40000000;
	for (i = 0; i < n; i++) {
		error = os_link_set(o, index[i], OS_GROUP, &group);
		if (error != 0 && error != -ENODEV)
			return error;
		found |= error == 0;
	}
	if (!found)
		return 0;
	msg = os_link_begin(o, RTM_DELLINK, 0, AF_UNSPEC);
	mnl_attr_put_u32(msg, IFLA_GROUP, group.number);
	return os_nl_send(o, msg);
}

int
os_links_delete(struct os *o, const int *index, size_t n)
{
	int error = 0, one;
	size_t i;

	if (n > 1 && os_group_delete(o, index, n) == 0)
		return 0;
	/* One of them that cannot be must not keep the others. */
	for (i = 0; i < n; i++) {
		one = os_link_delete(o, index[i]);
		if (error == 0)
			error = one;
	}
	return error;
}

/* All of the host part's bits are ones; networks of two hosts have none. */
static uint32_t
os_broadcast(const struct os_addr *a)
{
	uint32_t b;
	unsigned i;

	memcpy(&b, a->bytes, sizeof(b));
	for (i = a->prefix; i < 32; i++)
		((uint8_t *)&b)[i / 8] |= (uint8_t)(0x80 >> i % 8);
	return b;
}

int
os_addr_set(struct os *o, int index, const struct os_addr *a, bool on)
{
	size_t len = a->ipv6 ? 16 : 4;
	struct ifaddrmsg *ifa;
	struct nlmsghdr *n;

	n = os_nl_begin(o, on ? RTM_NEWADDR : RTM_DELADDR,
	    on ? NLM_F_CREATE | NLM_F_EXCL : 0);
	ifa = mnl_nlmsg_put_extra_header(n, sizeof(*ifa));
	ifa->ifa_family = a->ipv6 ? AF_INET6 : AF_INET;
	ifa->ifa_prefixlen = a->prefix;
	/* It is used at once, though a bridge without ports has no carrier. */
	ifa->ifa_flags = a->ipv6 && on ? IFA_F_NODAD : 0;
	ifa->ifa_index = (unsigned)index;
	mnl_attr_put(n, IFA_LOCAL, len, a->bytes);
	mnl_attr_put(n, IFA_ADDRESS, len, a->bytes);
	if (on && !a->ipv6 && a->prefix < 31)
		mnl_attr_put_u32(n, IFA_BROADCAST, os_broadcast(a));
	if (on)
		mnl_attr_put_u8(n, IFA_PROTO, OS_NL_PROTO);
	return os_nl_send(o, n);
}

static int
os_vlan_change(struct os *o, int index, bool self,
    const struct bridge_vlan_info *v, unsigned count, bool on)
{
	struct nlmsghdr *n;
	struct nlattr *spec;
	unsigned i;
	int error;

	n = os_link_begin(o, on ? RTM_SETLINK : RTM_DELLINK, index,
	    AF_BRIDGE);
	spec = mnl_attr_nest_start(n, IFLA_AF_SPEC);
	if (self)
		mnl_attr_put_u16(n, IFLA_BRIDGE_FLAGS, BRIDGE_FLAGS_SELF);
	for (i = 0; i < count; i++)
		mnl_attr_put(n, IFLA_BRIDGE_VLAN_INFO, sizeof(v[i]), &v[i]);
	mnl_attr_nest_end(n, spec);
	error = os_nl_send(o, n);
	/* What somebody took out of its bridge is in no VLAN. */
	return error == -EOPNOTSUPP && !on ? 0 : error;
}

int
os_vlan_set(struct os *o, int index, uint16_t vlan, bool tagged, bool self)
{
	static const struct bridge_vlan_info all[2] = {
		{ .flags = BRIDGE_VLAN_INFO_RANGE_BEGIN, .vid = 1 },
		{ .flags = BRIDGE_VLAN_INFO_RANGE_END, .vid = OS_VLAN_MAX },
	};
	struct bridge_vlan_info one = { .vid = vlan };
	int error;

	error = os_vlan_change(o, index, self, all, 2, false);
	if (error != 0 || vlan == 0)
		return error;
	if (!tagged)
		one.flags = BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED;
	return os_vlan_change(o, index, self, &one, 1, true);
}

/* A line "number name" of one of iproute2's files, which others read too. */
static bool
os_group_in(const char *path, const char *name, uint32_t *number)
{
	char line[256], found[64], end;
	bool ok = false;
	FILE *f;

	f = fopen(path, "re");
	if (f == NULL)
		return false;
	while (!ok && fgets(line, sizeof(line), f) != NULL)
		ok = sscanf(line, "%u %63s %c", number, found, &end) == 2 &&
		    strcmp(found, name) == 0;
	fclose(f);
	return ok;
}

int
os_group(const char *text, uint32_t *number)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == '\0') {
		*number = (uint32_t)n;
		return errno == 0 && n <= INT32_MAX ? 0 : -ERANGE;
	}
	return os_group_in("/etc/iproute2/group", text, number) ||
	    os_group_in("/usr/share/iproute2/group", text, number) ?
	    0 : -ENOENT;
}
