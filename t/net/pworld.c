/* SPDX-License-Identifier: ISC */
/*
 * A world of taps and bridges: see pworld.h.
 */
#include "pworld.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/os_nl_linux.h"

#define IFACES	PTAB_NAMES
#define SOCKETS	6
#define VNET	12	/* what a tap's frames begin with */

struct iface {
	char	 name[16];
	int	 index;
	int	 fd;		/* a tap's, or -1 */
	pcap_t	*seen[2];	/* PWORLD_IN, PWORLD_OUT; or NULL */
};

struct pworld {
	const struct ptab *t;
	struct os	*os;
	struct iface	 ifaces[IFACES];
	size_t		 n;
	int		 sock[SOCKETS];	/* raw ones */
	pworld_fn	*fn;		/* while looking */
	void		*cookie;
	struct iface	*at;
	enum pworld_where where;
	unsigned	 count;
};

/*
 * Nobody there answers, so nobody may have to be asked; no echoes either; and
 * what is bridged meets no rules of IP.
 */
static const struct {
	const char	*path;
	const char	*text;
} sysctls[] = {
	{ "bridge/bridge-nf-call-iptables", "0" },
	{ "bridge/bridge-nf-call-ip6tables", "0" },
	{ "bridge/bridge-nf-call-arptables", "0" },
	{ "ipv4/ip_forward", "1" },
	{ "ipv4/icmp_echo_ignore_all", "1" },
	{ "ipv4/conf/all/rp_filter", "0" },
	{ "ipv4/conf/default/rp_filter", "0" },
	{ "ipv4/conf/all/send_redirects", "0" },
	{ "ipv4/conf/default/send_redirects", "0" },
	{ "ipv6/icmp/echo_ignore_all", "1" },
	{ "ipv6/conf/all/forwarding", "1" },
	{ "ipv6/conf/all/accept_dad", "0" },
	{ "ipv6/conf/default/accept_dad", "0" },
	{ "ipv6/conf/default/dad_transmits", "0" },
};

static int
set_sysctls(void)
{
	char path[128];
	ssize_t n;
	size_t i;
	int fd;

	for (i = 0; i < sizeof(sysctls) / sizeof(sysctls[0]); i++) {
		snprintf(path, sizeof(path), "/proc/sys/net/%s",
		    sysctls[i].path);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		/* The bridge's may not be there. */
		if (fd == -1 && errno == ENOENT)
			continue;
		if (fd == -1)
			return -errno;
		n = write(fd, sysctls[i].text, 1);
		close(fd);
		if (n != 1)
			return -EIO;
	}
	return 0;
}

static struct iface *
iface_find(struct pworld *w, const char *name)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		if (strcmp(w->ifaces[i].name, name) == 0)
			return &w->ifaces[i];
	return NULL;
}

static struct iface *
iface_new(struct pworld *w, const char *name)
{
	struct iface *f = &w->ifaces[w->n];

	if (w->n == IFACES)
		return NULL;
	w->n++;
	snprintf(f->name, sizeof(f->name), "%s", name);
	f->fd = -1;
	return f;
}

static int
set_number(struct pworld *w, int index, enum os_attr attr, uint32_t number)
{
	struct os_value v = { .number = number };

	return os_link_set(w->os, index, attr, &v);
}

/* The tap of that name, with the MAC of whom it belongs to, if anybody. */
static int
make_tap(struct pworld *w, const char *name, const uint8_t *mac,
    struct iface **fp)
{
	struct os_value v = { .number = 0 };
	struct iface *f;
	int error;

	f = *fp = iface_find(w, name);
	if (f != NULL)
		return 0;
	f = *fp = iface_new(w, name);
	if (f == NULL)
		return -ENOSPC;
	error = os_tap_create(name, 1, &f->fd, &f->index);
	if (error != 0 || mac == NULL)
		return error;
	memcpy(v.mac, mac, 6);
	return os_link_set(w->os, f->index, OS_MAC, &v);
}

/* Is there a party at an interface of its own, so that it is a bridge? */
static bool
is_bridge(const struct pworld *w, const struct ptab_name *seg)
{
	const struct ptab *t = w->t;
	size_t i;

	for (i = 0; i < t->nnames; i++)
		if (t->names[i].role == PTAB_PARTY &&
		    t->names[i].up == seg &&
		    strcmp(t->names[i].iface, seg->iface) != 0)
			return true;
	return false;
}

static int
set_address(struct pworld *w, int index, const struct ptab_name *seg,
    bool ipv6)
{
	struct os_addr a = { .ipv6 = ipv6 };

	if (ipv6 ? !seg->has6 : !seg->has4)
		return 0;
	memcpy(a.bytes, ipv6 ? seg->v6 : seg->v4, ipv6 ? 16 : 4);
	a.prefix = (uint8_t)(ipv6 ? seg->bits6 : seg->bits4);
	return os_addr_set(w->os, index, &a, true);
}

static int
make_segment(struct pworld *w, const struct ptab_name *seg)
{
	struct iface *f;
	int error;

	if (is_bridge(w, seg)) {
		f = iface_new(w, seg->iface);
		if (f == NULL)
			return -ENOSPC;
		error = os_bridge_create(w->os, seg->iface, seg->mac,
		    &f->index);
	} else {
		error = make_tap(w, seg->iface, seg->mac, &f);
	}
	if (error == 0)
		error = set_number(w, f->index, OS_UP, 1);
	if (error == 0)
		error = set_address(w, f->index, seg, false);
	if (error == 0)
		error = set_address(w, f->index, seg, true);
	return error;
}

/* Says who has an address, or at which port of a bridge a MAC is. */
static int
set_neighbour(struct pworld *w, int index, int family, const void *ip,
    const uint8_t *mac)
{
	struct nlmsghdr *n = os_nl_begin(w->os, RTM_NEWNEIGH,
	    NLM_F_CREATE | NLM_F_REPLACE);
	struct ndmsg *m = mnl_nlmsg_put_extra_header(n, sizeof(*m));

	m->ndm_family = (uint8_t)family;
	m->ndm_ifindex = index;
	m->ndm_state = NUD_PERMANENT;
	if (family == AF_BRIDGE) {
		m->ndm_state = NUD_NOARP;
		m->ndm_flags = NTF_MASTER | NTF_STICKY;
	} else {
		mnl_attr_put(n, NDA_DST, family == AF_INET ? 4 : 16, ip);
	}
	mnl_attr_put(n, NDA_LLADDR, 6, mac);
	return os_nl_send(w->os, n);
}

static int
make_party(struct pworld *w, const struct ptab_name *p)
{
	struct iface *seg = iface_find(w, p->up->iface), *f;
	int error;

	error = make_tap(w, p->iface, NULL, &f);
	if (error == 0 && f != seg) {
		error = set_number(w, f->index, OS_MASTER,
		    (uint32_t)seg->index);
		if (error == 0)
			error = set_number(w, f->index, OS_UP, 1);
		if (error == 0)
			error = set_neighbour(w, f->index, AF_BRIDGE, NULL,
			    p->mac);
	}
	if (error == 0 && p->has4 && p->up->has4)
		error = set_neighbour(w, seg->index, AF_INET, p->v4, p->mac);
	if (error == 0 && p->has6 && p->up->has6)
		error = set_neighbour(w, seg->index, AF_INET6, p->v6, p->mac);
	return error;
}

static int
set_default(struct pworld *w, int family, const void *ip)
{
	struct nlmsghdr *n = os_nl_begin(w->os, RTM_NEWROUTE,
	    NLM_F_CREATE | NLM_F_EXCL);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(n, sizeof(*m));

	m->rtm_family = (uint8_t)family;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_protocol = RTPROT_STATIC;
	m->rtm_scope = RT_SCOPE_UNIVERSE;
	m->rtm_type = RTN_UNICAST;
	mnl_attr_put(n, RTA_GATEWAY, family == AF_INET ? 4 : 16, ip);
	return os_nl_send(w->os, n);
}

static int
make_all(struct pworld *w)
{
	const struct ptab *t = w->t;
	int error;
	size_t i;

	error = set_sysctls();
	for (i = 0; i < t->nnames && error == 0; i++) {
		if (t->names[i].role == PTAB_SEGMENT)
			error = make_segment(w, &t->names[i]);
		else if (t->names[i].role == PTAB_PARTY)
			error = make_party(w, &t->names[i]);
	}
	if (error == 0 && t->gateway != NULL && t->gateway->has4)
		error = set_default(w, AF_INET, t->gateway->v4);
	if (error == 0 && t->gateway != NULL && t->gateway->has6)
		error = set_default(w, AF_INET6, t->gateway->v6);
	return error;
}

static pcap_t *
watch(const char *iface, pcap_direction_t d, char *err, size_t errlen)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	pcap_t *p = pcap_create(iface, text);

	if (p == NULL || pcap_set_snaplen(p, 2048) != 0 ||
	    pcap_set_immediate_mode(p, 1) != 0 ||
	    pcap_set_buffer_size(p, 1 << 20) != 0 || pcap_activate(p) < 0 ||
	    pcap_setdirection(p, d) != 0 ||
	    pcap_setnonblock(p, 1, text) != 0) {
		snprintf(err, errlen, "pcap: %s: %s", iface,
		    p != NULL && text[0] == '\0' ? pcap_geterr(p) : text);
		if (p != NULL)
			pcap_close(p);
		return NULL;
	}
	return p;
}

/* Taps both ways; of a bridge, what goes up to the host. */
static int
watch_all(struct pworld *w, char *err, size_t errlen)
{
	struct iface *f;

	for (f = w->ifaces; f < w->ifaces + w->n; f++) {
		f->seen[PWORLD_IN] = watch(f->name, PCAP_D_IN, err, errlen);
		if (f->seen[PWORLD_IN] == NULL)
			return -EIO;
		if (f->fd == -1)
			continue;
		f->seen[PWORLD_OUT] = watch(f->name, PCAP_D_OUT, err,
		    errlen);
		if (f->seen[PWORLD_OUT] == NULL)
			return -EIO;
	}
	return 0;
}

/* Whatever the host's programs could get. */
static int
listen_all(struct pworld *w)
{
	static const struct {
		int	family, protocol;
	} socks[SOCKETS] = {
		{ AF_INET, IPPROTO_TCP }, { AF_INET, IPPROTO_UDP },
		{ AF_INET, IPPROTO_ICMP }, { AF_INET6, IPPROTO_TCP },
		{ AF_INET6, IPPROTO_UDP }, { AF_INET6, IPPROTO_ICMPV6 },
	};
	size_t i;

	for (i = 0; i < SOCKETS; i++) {
		w->sock[i] = socket(socks[i].family, SOCK_RAW | SOCK_NONBLOCK |
		    SOCK_CLOEXEC, socks[i].protocol);
		if (w->sock[i] == -1)
			return -errno;
	}
	return 0;
}

int
pworld_open(struct pworld **wp, const struct ptab *t, char *err,
    size_t errlen)
{
	struct pworld *w;
	size_t i;
	int error;

	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -ENOMEM;
	w->t = t;
	for (i = 0; i < SOCKETS; i++)
		w->sock[i] = -1;
	snprintf(err, errlen, "the world cannot be made");
	error = os_open(&w->os);
	if (error == 0)
		error = make_all(w);
	if (error == 0)
		error = listen_all(w);
	if (error == 0)
		error = watch_all(w, err, errlen);
	if (error != 0) {
		pworld_close(w);
		return error;
	}
	*wp = w;
	return 0;
}

void
pworld_close(struct pworld *w)
{
	struct iface *f;
	size_t i;

	for (f = w->ifaces; f < w->ifaces + w->n; f++) {
		for (i = 0; i < 2; i++)
			if (f->seen[i] != NULL)
				pcap_close(f->seen[i]);
		/* A tap goes with its descriptor. */
		if (f->fd != -1)
			close(f->fd);
		else if (f->index > 0)
			os_links_delete(w->os, &f->index, 1);
	}
	for (i = 0; i < SOCKETS; i++)
		if (w->sock[i] != -1)
			close(w->sock[i]);
	os_close(w->os);
	free(w);
}

int
pworld_send(struct pworld *w, const char *iface, const uint8_t *frame,
    size_t len)
{
	struct iface *f = iface_find(w, iface);
	uint8_t bytes[VNET + 2048] = { 0 };

	if (f == NULL || f->fd == -1 || len > sizeof(bytes) - VNET)
		return -EINVAL;
	memcpy(bytes + VNET, frame, len);
	if (write(f->fd, bytes, VNET + len) != (ssize_t)(VNET + len))
		return -errno;
	return 0;
}

static void
seen(u_char *cookie, const struct pcap_pkthdr *h, const u_char *bytes)
{
	struct pworld *w = (struct pworld *)cookie;

	w->count++;
	w->fn(w->cookie, w->where, w->at->name, bytes, h->caplen);
}

static void
look_iface(struct pworld *w, struct iface *f)
{
	uint8_t bytes[4096];
	unsigned i;

	/* Nobody reads what the parties got, but their queues have an end. */
	while (f->fd != -1 && read(f->fd, bytes, sizeof(bytes)) > 0)
		;
	w->at = f;
	for (i = 0; i < 2; i++) {
		w->where = f->fd == -1 ? PWORLD_HOST : (enum pworld_where)i;
		if (f->seen[i] != NULL)
			pcap_dispatch(f->seen[i], -1, seen, (u_char *)w);
	}
}

static void
look_sock(struct pworld *w, int sock)
{
	uint8_t bytes[4096];
	ssize_t n;

	while ((n = recv(sock, bytes, sizeof(bytes), 0)) > 0) {
		w->count++;
		w->fn(w->cookie, PWORLD_HOST, "", bytes, (size_t)n);
	}
}

static void
wait_some(struct pworld *w, int ms)
{
	struct pollfd fds[2 * IFACES + SOCKETS];
	nfds_t n = 0;
	size_t i, k;

	for (i = 0; i < w->n; i++)
		for (k = 0; k < 2; k++)
			if (w->ifaces[i].seen[k] != NULL)
				fds[n++].fd =
				    pcap_get_selectable_fd(w->ifaces[i].seen[k]);
	for (i = 0; i < SOCKETS; i++)
		fds[n++].fd = w->sock[i];
	for (i = 0; i < n; i++)
		fds[i].events = POLLIN;
	poll(fds, n, ms);
}

void
pworld_look(struct pworld *w, int ms, pworld_fn *fn, void *cookie)
{
	bool waited = ms == 0;
	size_t i;

	w->fn = fn;
	w->cookie = cookie;
	w->count = 0;
	for (;;) {
		for (i = 0; i < w->n; i++)
			look_iface(w, &w->ifaces[i]);
		for (i = 0; i < SOCKETS; i++)
			look_sock(w, w->sock[i]);
		if (w->count > 0 || waited)
			return;
		wait_some(w, ms);
		waited = true;
	}
}
