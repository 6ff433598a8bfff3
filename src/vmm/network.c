/* SPDX-License-Identifier: ISC */
/*
 * Switches and leases: see network.h.
 */
#include "vmm/network.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* Guests ask again at half of it, and so hear of changes. */
#define LEASE_SECONDS	3600

struct network {
	char			 daemon[VM_NAME_MAX + 1];
	struct switches		*switches;
	const struct config	*conf;		/* not ours */
	struct config_addrs	 dns;		/* the host's */
	struct firewall		*firewall;	/* not ours, or NULL */
};

static const uint8_t link_local[16] = { 0xfe, 0x80 };

int
network_create(struct network **np, const char *daemon, struct loop *loop,
    char *err, size_t errlen)
{
	struct network *n;
	int error;

	n = calloc(1, sizeof(*n));
	if (n == NULL) {
		snprintf(err, errlen, "network: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	snprintf(n->daemon, sizeof(n->daemon), "%s", daemon);
	error = switches_open(&n->switches, daemon, loop, err, errlen);
	if (error != 0) {
		free(n);
		return error;
	}
	*np = n;
	return 0;
}

void
network_destroy(struct network *n)
{
	if (n == NULL)
		return;
	switches_close(n->switches);
	free(n);
}

void
network_abandon(struct network *n)
{
	char err[256];

	if (n != NULL &&
	    switches_apply(n->switches, NULL, 0, err, sizeof(err)) != 0)
		log_warn("%s", err);
}

static void
add_resolvers(struct config_addrs *dns, const char *path)
{
	char line[256], text[64], why[200];
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, " nameserver %63s", text) != 1)
			continue;
		/* What no guest reaches, or is one too many, is left out. */
		(void)addrs_add(dns, text, false, LEASE_DNS, why, sizeof(why));
	}
	fclose(f);
}

static void
read_resolvers(struct config_addrs *dns)
{
	dns->n = 0;
	add_resolvers(dns, "/etc/resolv.conf");
	/* Where that names the host's own stub, those behind it are here. */
	if (dns->n == 0)
		add_resolvers(dns, "/run/systemd/resolve/resolv.conf");
}

static const char *
text_of(const char *s)
{
	return s != NULL ? s : "";
}

static struct switch_conf
switch_conf_of(const struct config_switch *sw)
{
	return (struct switch_conf){
		.name = sw->name,
		.bridge = text_of(sw->bridge),
		.uplink = text_of(sw->uplink),
		.vrf = text_of(sw->vrf),
		.group = text_of(sw->group),
		.addrs = sw->addrs.addr,
		.naddrs = sw->addrs.n,
		.vlan = (uint16_t)sw->vlan,
		.mtu = (uint32_t)sw->mtu,
		.isolate = sw->isolate,
	};
}

int
network_apply(struct network *n, const struct config *c, char *err,
    size_t errlen)
{
	struct switch_conf *sc;
	unsigned i;
	int error;

	sc = calloc(c->nsws + 1, sizeof(*sc));
	if (sc == NULL) {
		snprintf(err, errlen, "network: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	for (i = 0; i < c->nsws; i++)
		sc[i] = switch_conf_of(&c->sw[i]);
	error = switches_apply(n->switches, sc, c->nsws, err, errlen);
	free(sc);
	/* With no right to, and no need: another of our name has made them. */
	if (error != 0 && (error != -EPERM || c->nsws > 0))
		return error;
	n->conf = c;
	read_resolvers(&n->dns);
	return 0;
}

void
network_adopt(struct network *n, const struct config *c)
{
	n->conf = c;
}

void
network_set_firewall(struct network *n, struct firewall *f)
{
	n->firewall = f;
}

struct firewall *
network_firewall(const struct network *n)
{
	return n->firewall;
}

const char *
network_daemon(const struct network *n)
{
	return n->daemon;
}

struct switches *
network_switches(const struct network *n)
{
	return n->switches;
}

uint16_t
network_mtu(const struct network *n, const struct vm_nic *nic)
{
	const struct switch_state *s = switches_find(n->switches, nic->sw);
	uint32_t mtu = s != NULL ? s->ports.mtu : PLAN_MTU;

	if (nic->mtu != 0 && nic->mtu < mtu)
		mtu = (uint32_t)nic->mtu;
	return mtu < UINT16_MAX ? (uint16_t)mtu : UINT16_MAX;
}

static void
lease_dns(struct lease *l, const struct config_addrs *dns)
{
	const struct os_addr *a;

	for (a = dns->addr; a < dns->addr + dns->n; a++)
		if (a->ipv6 && l->ndns6 < LEASE_DNS)
			memcpy(l->dns6[l->ndns6++], a->bytes, 16);
		else if (!a->ipv6 && l->ndns < LEASE_DNS)
			l->dns[l->ndns++] = addr_ip(a);
}

static void
lease_ipv4(struct lease *l, const struct config_switch *sw, const char *vm,
    const struct vm_nic *nic, unsigned i)
{
	struct addr_net net;

	if (nic_address(sw, vm, nic, i, &net) != 0)
		return;
	l->ip = net.ip;
	l->prefix = net.prefix;
	l->server = addr_ip(switch_subnet(sw, net.ip));
	l->seconds = LEASE_SECONDS;
	if (sw->router.n > 0)
		l->router = addr_ip(&sw->router.addr[0]);
	else if (sw->uplink == NULL)
		l->router = l->server;
}

/* The one by which guests make themselves addresses, or any, or NULL. */
static const struct os_addr *
subnet6(const struct config_switch *sw)
{
	const struct os_addr *a, *best = NULL;

	for (a = sw->addrs.addr; a < sw->addrs.addr + sw->addrs.n; a++)
		if (a->ipv6 && (best == NULL ||
		    (a->prefix == 64 && best->prefix != 64)))
			best = a;
	return best;
}

/* Behind an uplink there are routers that tell of themselves. */
static void
lease_ipv6(struct lease *l, const struct config_switch *sw)
{
	const struct os_addr *a = subnet6(sw);
	struct addr_net6 net;

	if (sw->uplink != NULL || a == NULL)
		return;
	memcpy(net.ip, a->bytes, sizeof(net.ip));
	net.prefix = a->prefix;
	addr6_clear(&net);
	memcpy(l->prefix6, net.ip, sizeof(l->prefix6));
	l->prefix6_len = net.prefix;
	l->router6 = true;
	addr6_by_mac(l->server6, link_local, l->server_mac);
}

/* The guest's own name, if it is a host's. */
static void
lease_hostname(struct lease *l, const char *vm, const struct vm_nic *nic)
{
	const char *name = nic->hostname[0] != '\0' ? nic->hostname : vm, *p;

	for (p = name; isalnum((unsigned char)*p) || *p == '-'; p++)
		;
	if (*p == '\0' && p - name <= LEASE_LABEL)
		memcpy(l->hostname, name, (size_t)(p - name) + 1);
}

void
network_lease(const struct network *n, const char *vm,
    const struct vm_nic *nic, unsigned i, struct lease *l)
{
	const struct config_switch *sw = config_find_switch(n->conf, nic->sw);
	const struct switch_state *s = switches_find(n->switches, nic->sw);

	memset(l, 0, sizeof(*l));
	nic_mac(l->mac, n->daemon, vm, nic, i);
	if (sw == NULL || s == NULL)
		return;
	memcpy(l->server_mac, s->mac, sizeof(l->server_mac));
	l->mtu = network_mtu(n, nic);
	lease_ipv4(l, sw, vm, nic, i);
	lease_ipv6(l, sw);
	lease_dns(l, sw->dns.n > 0 ? &sw->dns : &n->dns);
	lease_hostname(l, vm, nic);
	if (sw->domain != NULL)
		snprintf(l->domain, sizeof(l->domain), "%s", sw->domain);
}
