/* SPDX-License-Identifier: ISC */
/*
 * What becomes of a packet that a person describes: see firewall.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/fw_trace.h"
#include "vmm/firewall.h"
#include "vmm/firewall_rules.h"
#include "vmm/policy.h"

#define HOST_ADDRS_MAX	256

struct host_addrs {
	struct os_addr	 v[HOST_ADDRS_MAX];
	size_t		 n;
};

static bool
read_addr(const char *text, struct os_addr *a)
{
	memset(a, 0, sizeof(*a));
	a->ipv6 = strchr(text, ':') != NULL;
	a->prefix = a->ipv6 ? 128 : 32;
	return inet_pton(a->ipv6 ? AF_INET6 : AF_INET, text, a->bytes) == 1;
}

/* Those of all interfaces; what cannot be told is not there. */
static void
host_addrs(struct host_addrs *h)
{
	struct ifaddrs *list, *i;
	struct os_addr a;
	char text[INET6_ADDRSTRLEN];
	const void *p;

	h->n = 0;
	if (getifaddrs(&list) != 0)
		return;
	for (i = list; i != NULL && h->n < HOST_ADDRS_MAX; i = i->ifa_next) {
		if (i->ifa_addr == NULL || (i->ifa_addr->sa_family != AF_INET &&
		    i->ifa_addr->sa_family != AF_INET6))
			continue;
		p = i->ifa_addr->sa_family == AF_INET ? (const void *)
		    &((const struct sockaddr_in *)i->ifa_addr)->sin_addr :
		    &((const struct sockaddr_in6 *)i->ifa_addr)->sin6_addr;
		inet_ntop(i->ifa_addr->sa_family, p, text, sizeof(text));
		if (read_addr(text, &a))
			h->v[h->n++] = a;
	}
	freeifaddrs(list);
}

/* "tcp", "udp", "icmp" or a number. */
static bool
read_proto(const char *text, struct fw_packet *k)
{
	char *end;
	unsigned long v;

	if (strcmp(text, "tcp") == 0)
		k->proto = FW_TCP;
	else if (strcmp(text, "udp") == 0)
		k->proto = FW_UDP;
	else if (strcmp(text, "icmp") == 0)
		k->proto = k->dst.ipv6 ? FW_ICMP6 : FW_ICMP;
	else {
		v = strtoul(text, &end, 10);
		if (*text < '0' || *text > '9' || *end != '\0' || v > 255)
			return false;
		k->proto = (uint8_t)v;
	}
	return true;
}

/* Of ICMP it is the type, an echo request's unless given. */
static bool
read_port(const char *text, struct fw_packet *k)
{
	bool icmp = k->proto == FW_ICMP || k->proto == FW_ICMP6;
	unsigned long v;
	char *end;

	k->icmp = k->proto == FW_ICMP6 ? 128 : 8;
	if (text == NULL)
		return k->proto != FW_TCP && k->proto != FW_UDP;
	v = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' ||
	    v > (icmp ? 255 : 65535))
		return false;
	k->icmp = icmp ? (uint8_t)v : 0;
	k->dport = icmp ? 0 : (uint16_t)v;
	return true;
}

static bool
read_packet(char *text, struct fw_packet *k)
{
	char *word[5] = { NULL }, *w;
	unsigned n = 0;

	memset(k, 0, sizeof(*k));
	while ((w = strsep(&text, " ")) != NULL) {
		if (*w == '\0')
			continue;
		if (n == 4)
			return false;
		word[n++] = w;
	}
	k->sport = 1024;
	return n >= 3 && read_addr(word[1], &k->src) &&
	    read_addr(word[2], &k->dst) && k->src.ipv6 == k->dst.ipv6 &&
	    read_proto(word[0], k) && read_port(word[3], k);
}

/* Where a packet with that source comes from. */
static void
place(struct fw_packet *k, const struct fw_policy *p,
    const struct host_addrs *h)
{
	uint32_t i;
	size_t n;

	k->nic = fw_nic_of(p, &k->src);
	k->from = k->nic != FW_ALL ? FW_AT_NIC :
	    fw_is_host(p, h->v, h->n, &k->src) ? FW_AT_HOST : FW_AT_OUTSIDE;
	if (k->from == FW_AT_NIC) {
		memcpy(k->mac, p->nic[k->nic].mac, sizeof(k->mac));
		snprintf(k->oif, sizeof(k->oif), "%s",
		    p->sw[p->nic[k->nic].sw].nat_iface);
	}
	for (i = 0; i < p->nsws && k->from == FW_AT_OUTSIDE; i++)
		for (n = 0; n < p->sw[i].naddrs; n++)
			if (p->sw[i].shared &&
			    fw_addr_in(&p->sw[i].addrs[n], &k->src)) {
				k->from = FW_AT_NEIGHBOUR;
				k->sw = i;
			}
}

static bool
concerns(const struct fw_policy *p, const struct fw_packet *k,
    const struct fw_judgement *v, const char *vm)
{
	return (k->from == FW_AT_NIC &&
	    strcmp(p->nic[k->nic].guest, vm) == 0) ||
	    (v->to == FW_AT_NIC && strcmp(p->nic[v->nic].guest, vm) == 0);
}

int
firewall_trace(const struct config *c, const struct vm_table *vt,
    const struct switches *sw, const char *vm, char *packet, struct buf *b,
    char *err, size_t errlen)
{
	const struct fw_policy *p;
	struct fw_judgement v;
	struct host_addrs host;
	struct ruleset rs;
	struct fw_packet k;
	int error;

	if (!read_packet(packet, &k)) {
		snprintf(err, errlen, "no packet: write it as in tcp 192.0.2.7 "
		    "198.51.100.1 80, or with udp, icmp, or a number");
		return -EINVAL;
	}
	error = ruleset_make(&rs, c, vt, sw, err, errlen);
	if (error != 0)
		return error;
	p = policy_fw(rs.policy);
	host_addrs(&host);
	place(&k, p, &host);
	fw_trace(p, &rs.rules, host.v, host.n, &k, FW_ALL, &v);
	if (concerns(p, &k, &v, vm)) {
		error = fw_trace_print(p, &rs.rules, &v, b);
	} else {
		snprintf(err, errlen, "vm %s: neither address is its own, nor "
		    "a port that it publishes", vm);
		error = -EINVAL;
	}
	ruleset_free(&rs);
	return error;
}
