/* SPDX-License-Identifier: ISC */
/*
 * Forgets connections of guests that are gone: ctnetlink, of which all entries
 * are read, then those of the addresses deleted.
 */
#include "net/fw_load.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_MAX	1024
#define ANSWER_MAX	32768	/* a part of a dump */
#define ENTRY_MAX	512	/* of what names an entry */

/* What names an entry: its attributes as they came. */
struct entry {
	uint8_t	family;
	size_t	len;
	char	attrs[ENTRY_MAX];
};

struct forget {
	struct mnl_socket	*nl;
	const struct os_addr	*gone;
	size_t			 n;
	struct entry		*entries;
	size_t			 nentries, cap;
	int			 error;
};

static bool
is_gone(const struct forget *f, const struct nlattr *a, bool ipv6)
{
	const void *ip = mnl_attr_get_payload(a);
	size_t i, size = ipv6 ? 16 : 4;

	for (i = 0; i < f->n && mnl_attr_get_payload_len(a) == size; i++)
		if (f->gone[i].ipv6 == ipv6 &&
		    memcmp(f->gone[i].bytes, ip, size) == 0)
			return true;
	return false;
}

/* Is either end of this direction gone? */
static bool
tuple_gone(const struct forget *f, const struct nlattr *tuple)
{
	const struct nlattr *a, *ip;
	unsigned type;

	mnl_attr_for_each_nested(a, tuple) {
		if (mnl_attr_get_type(a) != CTA_TUPLE_IP)
			continue;
		mnl_attr_for_each_nested(ip, a) {
			type = mnl_attr_get_type(ip);
			if (is_gone(f, ip, type == CTA_IP_V6_SRC ||
			    type == CTA_IP_V6_DST))
				return true;
		}
	}
	return false;
}

static void
entry_add(struct entry *e, const struct nlattr *a)
{
	if (e->len + MNL_ALIGN(a->nla_len) > sizeof(e->attrs))
		return;
	memcpy(e->attrs + e->len, a, a->nla_len);
	e->len += MNL_ALIGN(a->nla_len);
}

static int
take_entry(const struct nlmsghdr *n, void *cookie)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(n);
	struct entry e = { .family = g->nfgen_family }, *v;
	struct forget *f = cookie;
	const struct nlattr *a;
	bool gone = false;
	unsigned type;

	mnl_attr_for_each(a, n, sizeof(*g)) {
		type = mnl_attr_get_type(a);
		if (type == CTA_TUPLE_ORIG || type == CTA_TUPLE_REPLY)
			gone = gone || tuple_gone(f, a);
		if (type == CTA_TUPLE_ORIG || type == CTA_ZONE ||
		    type == CTA_ID)
			entry_add(&e, a);
	}
	if (!gone)
		return MNL_CB_OK;
	if (f->nentries == f->cap) {
		v = reallocarray(f->entries, f->cap * 2 + 64, sizeof(*v));
		if (v == NULL) {
			f->error = -ENOMEM;
			return MNL_CB_OK;
		}
		f->entries = v;
		f->cap = f->cap * 2 + 64;
	}
	f->entries[f->nentries++] = e;
	return MNL_CB_OK;
}

/* Sends a request and reads all of its answer. */
static int
exchange(struct forget *f, struct nlmsghdr *n, mnl_cb_t fn)
{
	char in[ANSWER_MAX] __attribute__((__aligned__(8)));
	ssize_t len;
	int result;

	if (mnl_socket_sendto(f->nl, n, n->nlmsg_len) == -1)
		return -errno;
	for (;;) {
		len = mnl_socket_recvfrom(f->nl, in, sizeof(in));
		if (len == -1 && errno == EINTR)
			continue;
		if (len == -1)
			return -errno;
		result = mnl_cb_run(in, (size_t)len, n->nlmsg_seq,
		    mnl_socket_get_portid(f->nl), fn, f);
		if (result == MNL_CB_ERROR)
			return -errno;
		if (result == MNL_CB_STOP)
			return 0;
	}
}

static struct nlmsghdr *
request(char *buf, unsigned type, uint16_t flags, uint8_t family,
    uint32_t seq)
{
	struct nlmsghdr *n = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	n->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	n->nlmsg_flags = NLM_F_REQUEST | flags;
	n->nlmsg_seq = seq;
	g = mnl_nlmsg_put_extra_header(n, sizeof(*g));
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	return n;
}

/* One that has ended meanwhile is gone as well. */
static int
delete_entry(struct forget *f, const struct entry *e, uint32_t seq)
{
	char out[REQUEST_MAX] __attribute__((__aligned__(8)));
	struct nlmsghdr *n;
	int error;

	n = request(out, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, e->family, seq);
	memcpy(mnl_nlmsg_get_payload_tail(n), e->attrs, e->len);
	n->nlmsg_len += (uint32_t)e->len;
	error = exchange(f, n, NULL);
	return error == -ENOENT ? 0 : error;
}

static int
forget_all(struct forget *f)
{
	char out[REQUEST_MAX] __attribute__((__aligned__(8)));
	uint32_t seq = 1;
	size_t i;
	int error;

	error = exchange(f, request(out, IPCTNL_MSG_CT_GET, NLM_F_DUMP,
	    AF_UNSPEC, seq), take_entry);
	if (error == 0)
		error = f->error;
	for (i = 0; i < f->nentries && error == 0; i++)
		error = delete_entry(f, &f->entries[i], ++seq);
	return error;
}

int
fw_load_forget(struct fw_load *l, const struct os_addr *gone, size_t n,
    char *err, size_t errlen)
{
	struct forget f = { .gone = gone, .n = n };
	int error;

	(void)l;
	if (n == 0)
		return 0;
	f.nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (f.nl == NULL || mnl_socket_bind(f.nl, 0,
	    MNL_SOCKET_AUTOPID) == -1)
		error = -errno;
	else
		error = forget_all(&f);
	if (error != 0)
		snprintf(err, errlen, "conntrack: %s", strerror(-error));
	if (f.nl != NULL)
		mnl_socket_close(f.nl);
	free(f.entries);
	return error;
}
