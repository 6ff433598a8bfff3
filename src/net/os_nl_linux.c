/* SPDX-License-Identifier: ISC */
/*
 * Requests to rtnetlink, and what it tells of interfaces: see os_nl_linux.h.
 */
#include "net/os_nl_linux.h"

#include <sys/socket.h>

#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How often a dump is begun again because something changed meanwhile. */
#define OS_NL_TRIES	8

struct os {
	struct mnl_socket	*nl;
	unsigned		 seq;
	/* Messages, aligned as their headers want it. */
	char			 out[1024] __attribute__((__aligned__(8)));
	char			 in[OS_NL_BUFFER] __attribute__((__aligned__(8)));
};

int
os_open(struct os **op)
{
	struct os *o;
	int error;

	o = calloc(1, sizeof(*o));
	if (o == NULL)
		return -ENOMEM;
	o->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (o->nl == NULL ||
	    mnl_socket_bind(o->nl, 0, MNL_SOCKET_AUTOPID) == -1) {
		error = -errno;
		os_close(o);
		return error;
	}
	*op = o;
	return 0;
}

void
os_close(struct os *o)
{
	if (o == NULL)
		return;
	if (o->nl != NULL)
		mnl_socket_close(o->nl);
	free(o);
}

struct nlmsghdr *
os_nl_begin(struct os *o, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *n = mnl_nlmsg_put_header(o->out);

	n->nlmsg_type = type;
	n->nlmsg_flags = NLM_F_REQUEST | flags;
	n->nlmsg_seq = ++o->seq;
	return n;
}

int
os_nl_error(const struct nlmsghdr *n)
{
	int error;

	/* Both begin with it; the end of a dump may be without. */
	if (mnl_nlmsg_get_payload_len(n) < sizeof(error))
		return n->nlmsg_type == NLMSG_DONE ? 0 : -EPROTO;
	memcpy(&error, mnl_nlmsg_get_payload(n), sizeof(error));
	return error <= 0 ? error : -EPROTO;
}

/*
 * What has come, of answers to request `n`: MNL_CB_OK if there is more to
 * come, MNL_CB_STOP at the end.  After the first error, which is kept, they are
 * only taken off the socket.
 */
static int
os_nl_answers(struct os *o, const struct nlmsghdr *n, ssize_t len,
    mnl_cb_t fn, void *cookie, int *error)
{
	const struct nlmsghdr *a = (const void *)o->in;
	int left = (int)len, result;

	for (; mnl_nlmsg_ok(a, left); a = mnl_nlmsg_next(a, &left)) {
		/* The rest of an answer that nobody waited for. */
		if (a->nlmsg_seq != n->nlmsg_seq)
			continue;
		if ((a->nlmsg_flags & NLM_F_DUMP_INTR) && *error == 0)
			*error = -EINTR;
		if (a->nlmsg_type == NLMSG_ERROR ||
		    a->nlmsg_type == NLMSG_DONE) {
			if (*error == 0)
				*error = os_nl_error(a);
			return MNL_CB_STOP;
		}
		result = fn != NULL && *error == 0 ? fn(a, cookie) : 0;
		if (result < 0)
			*error = result;
	}
	return MNL_CB_OK;
}

static int
os_nl_exchange(struct os *o, struct nlmsghdr *n, mnl_cb_t fn, void *cookie)
{
	int error = 0;
	ssize_t len;

	if (mnl_socket_sendto(o->nl, n, n->nlmsg_len) == -1)
		return -errno;
	for (;;) {
		len = mnl_socket_recvfrom(o->nl, o->in, sizeof(o->in));
		if (len == -1 && errno == EINTR)
			continue;
		if (len == -1)
			return -errno;
		if (os_nl_answers(o, n, len, fn, cookie, &error) ==
		    MNL_CB_STOP)
			return error;
	}
}

int
os_nl_send(struct os *o, struct nlmsghdr *n)
{
	n->nlmsg_flags |= NLM_F_ACK;
	return os_nl_exchange(o, n, NULL, NULL);
}

int
os_nl_dump(struct os *o, struct nlmsghdr *n, mnl_cb_t fn, void *cookie)
{
	n->nlmsg_flags |= NLM_F_DUMP;
	return os_nl_exchange(o, n, fn, cookie);
}

void
os_nl_put_getlink(struct nlmsghdr *n, int index)
{
	struct ifinfomsg *ifi;

	ifi = mnl_nlmsg_put_extra_header(n, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = index;
	/* Nobody here reads the counters, a third of each answer. */
	mnl_attr_put_u32(n, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

/* The attributes of a nest, those up to `max`, by type. */
struct os_nl_table {
	const struct nlattr	**tb;
	uint16_t		  max;
};

static int
os_nl_table_add(const struct nlattr *a, void *cookie)
{
	const struct os_nl_table *t = cookie;

	if (mnl_attr_get_type(a) <= t->max)
		t->tb[mnl_attr_get_type(a)] = a;
	return MNL_CB_OK;
}

static void
os_nl_nest(const struct nlattr *nest, const struct nlattr **tb, uint16_t max)
{
	struct os_nl_table t = { .tb = tb, .max = max };

	if (nest != NULL)
		mnl_attr_parse_nested(nest, os_nl_table_add, &t);
}

static uint32_t
os_nl_number(const struct nlattr *a)
{
	if (a == NULL)
		return 0;
	switch (mnl_attr_get_payload_len(a)) {
	case 1:	return mnl_attr_get_u8(a);
	case 2:	return mnl_attr_get_u16(a);
	case 4:	return mnl_attr_get_u32(a);
	}
	return 0;
}

static void
os_nl_text(const struct nlattr *a, char *out, size_t size)
{
	size_t n;

	if (a == NULL)
		return;
	n = mnl_attr_get_payload_len(a);
	n = n < size ? n : size - 1;
	memcpy(out, mnl_attr_get_payload(a), n);
	out[n] = '\0';
}

static void
os_nl_bridge(const struct nlattr *data, struct os_link *l)
{
	const struct nlattr *tb[IFLA_BR_MAX + 1] = { NULL };

	os_nl_nest(data, tb, IFLA_BR_MAX);
	l->vlans = os_nl_number(tb[IFLA_BR_VLAN_FILTERING]) != 0;
}

static void
os_nl_kind(const struct nlattr *info, struct os_link *l)
{
	const struct nlattr *tb[IFLA_INFO_MAX + 1] = { NULL };
	const struct nlattr *port[IFLA_BRPORT_MAX + 1] = { NULL };
	char kind[16] = "", slave[16] = "";

	os_nl_nest(info, tb, IFLA_INFO_MAX);
	os_nl_text(tb[IFLA_INFO_KIND], kind, sizeof(kind));
	if (strcmp(kind, "bridge") == 0) {
		l->kind = OS_KIND_BRIDGE;
		os_nl_bridge(tb[IFLA_INFO_DATA], l);
	} else if (strcmp(kind, "vrf") == 0) {
		l->kind = OS_KIND_VRF;
	}
	os_nl_text(tb[IFLA_INFO_SLAVE_KIND], slave, sizeof(slave));
	if (strcmp(slave, "bridge") == 0) {
		os_nl_nest(tb[IFLA_INFO_SLAVE_DATA], port, IFLA_BRPORT_MAX);
		l->isolated = os_nl_number(port[IFLA_BRPORT_ISOLATED]) != 0;
	}
}

static void
os_nl_ipv6(const struct nlattr *spec, struct os_link *l)
{
	const struct nlattr *family[AF_INET6 + 1] = { NULL };
	const struct nlattr *tb[IFLA_INET6_MAX + 1] = { NULL };
	const struct nlattr *conf;
	uint32_t ra;

	os_nl_nest(spec, family, AF_INET6);
	if (family[AF_INET6] == NULL)
		return;
	os_nl_nest(family[AF_INET6], tb, IFLA_INET6_MAX);
	l->linklocal = os_nl_number(tb[IFLA_INET6_ADDR_GEN_MODE]) !=
	    IN6_ADDR_GEN_MODE_NONE;
	conf = tb[IFLA_INET6_CONF];
	if (conf != NULL && mnl_attr_get_payload_len(conf) >=
	    (DEVCONF_ACCEPT_RA + 1) * sizeof(ra)) {
		memcpy(&ra, (const char *)mnl_attr_get_payload(conf) +
		    DEVCONF_ACCEPT_RA * sizeof(ra), sizeof(ra));
		l->ra = ra;
	}
}

int
os_nl_link(const struct nlmsghdr *n, struct os_link *l)
{
	const struct nlattr *tb[IFLA_MAX + 1] = { NULL };
	struct os_nl_table t = { .tb = tb, .max = IFLA_MAX };
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(n);

	memset(l, 0, sizeof(*l));
	/* Bridges tell of their ports under a family of their own. */
	if (mnl_nlmsg_get_payload_len(n) < sizeof(*ifi) ||
	    ifi->ifi_family != AF_UNSPEC)
		return -EINVAL;
	mnl_attr_parse(n, sizeof(*ifi), os_nl_table_add, &t);
	l->index = ifi->ifi_index;
	l->gone = n->nlmsg_type == RTM_DELLINK;
	l->up = (ifi->ifi_flags & IFF_UP) != 0;
	l->running = l->up && (ifi->ifi_flags & IFF_LOWER_UP) != 0;
	l->master = (int)os_nl_number(tb[IFLA_MASTER]);
	l->mtu = os_nl_number(tb[IFLA_MTU]);
	l->group = os_nl_number(tb[IFLA_GROUP]);
	os_nl_text(tb[IFLA_IFNAME], l->name, sizeof(l->name));
	os_nl_text(tb[IFLA_IFALIAS], l->mark, sizeof(l->mark));
	if (tb[IFLA_ADDRESS] != NULL && mnl_attr_get_payload_len(
	    tb[IFLA_ADDRESS]) == sizeof(l->mac))
		memcpy(l->mac, mnl_attr_get_payload(tb[IFLA_ADDRESS]),
		    sizeof(l->mac));
	os_nl_kind(tb[IFLA_LINKINFO], l);
	os_nl_ipv6(tb[IFLA_AF_SPEC], l);
	return 0;
}

/* A growing array of what a dump tells. */
struct os_nl_list {
	struct os_view	*v;
	size_t		 cap;
};

/* Room for element n of a list, which moves: NULL if there is none. */
static void *
os_nl_room(struct os_nl_list *list, void **array, size_t n, size_t size)
{
	size_t cap = list->cap == 0 ? 64 : 2 * list->cap;
	void *p = *array;

	if (n == list->cap) {
		p = reallocarray(p, cap, size);
		if (p == NULL)
			return NULL;
		*array = p;
		list->cap = cap;
	}
	return (char *)p + n * size;
}

static int
os_nl_add_link(const struct nlmsghdr *n, void *cookie)
{
	struct os_nl_list *list = cookie;
	struct os_link *l;

	l = os_nl_room(list, (void **)&list->v->links, list->v->nlinks,
	    sizeof(*l));
	if (l == NULL)
		return -ENOMEM;
	if (os_nl_link(n, l) == 0)
		list->v->nlinks++;
	return MNL_CB_OK;
}

static int
os_nl_add_addr(const struct nlmsghdr *n, void *cookie)
{
	const struct nlattr *tb[IFA_MAX + 1] = { NULL };
	struct os_nl_table t = { .tb = tb, .max = IFA_MAX };
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(n);
	struct os_nl_list *list = cookie;
	const struct nlattr *local;
	struct os_ifaddr *a;
	size_t len;

	if (mnl_nlmsg_get_payload_len(n) < sizeof(*ifa) ||
	    (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6))
		return MNL_CB_OK;
	mnl_attr_parse(n, sizeof(*ifa), os_nl_table_add, &t);
	local = tb[IFA_LOCAL] != NULL ? tb[IFA_LOCAL] : tb[IFA_ADDRESS];
	len = ifa->ifa_family == AF_INET ? 4 : 16;
	if (local == NULL || mnl_attr_get_payload_len(local) != len)
		return MNL_CB_OK;
	a = os_nl_room(list, (void **)&list->v->addrs, list->v->naddrs,
	    sizeof(*a));
	if (a == NULL)
		return -ENOMEM;
	memset(a, 0, sizeof(*a));
	a->index = (int)ifa->ifa_index;
	a->ours = os_nl_number(tb[IFA_PROTO]) == OS_NL_PROTO;
	a->addr.ipv6 = ifa->ifa_family == AF_INET6;
	a->addr.prefix = ifa->ifa_prefixlen;
	memcpy(a->addr.bytes, mnl_attr_get_payload(local), len);
	list->v->naddrs++;
	return MNL_CB_OK;
}

static int
os_view_try(struct os *o, struct os_view *v)
{
	struct os_nl_list links = { .v = v }, addrs = { .v = v };
	struct nlmsghdr *n;
	struct ifaddrmsg *ifa;
	int error;

	memset(v, 0, sizeof(*v));
	n = os_nl_begin(o, RTM_GETLINK, 0);
	os_nl_put_getlink(n, 0);
	error = os_nl_dump(o, n, os_nl_add_link, &links);
	if (error == 0) {
		n = os_nl_begin(o, RTM_GETADDR, 0);
		ifa = mnl_nlmsg_put_extra_header(n, sizeof(*ifa));
		ifa->ifa_family = AF_UNSPEC;
		error = os_nl_dump(o, n, os_nl_add_addr, &addrs);
	}
	if (error != 0)
		os_view_free(v);
	return error;
}

int
os_view_get(struct os *o, struct os_view *v)
{
	int error, tries = 0;

	do {
		error = os_view_try(o, v);
	} while (error == -EINTR && ++tries < OS_NL_TRIES);
	return error;
}

void
os_view_free(struct os_view *v)
{
	free(v->links);
	free(v->addrs);
	memset(v, 0, sizeof(*v));
}
