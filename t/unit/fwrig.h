/* SPDX-License-Identifier: ISC */
/*
 * A policy that has a bit of everything, for tests of the firewall, and packets
 * by a few words.
 */
#ifndef VMMD_T_FWRIG_H
#define VMMD_T_FWRIG_H

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "net/fw.h"

enum { LAN, DMZ, OFFICE, SWITCHES };
enum { WEB, DB, FREE, ISO1, ISO2, PC, NICS };

/* "10.0.0.1", "10.0.0.0/24", "fd00::1/64". */
static inline struct os_addr
addr(const char *text)
{
	struct os_addr a = { .ipv6 = strchr(text, ':') != NULL };
	char host[64];
	const char *slash = strchr(text, '/');

	snprintf(host, sizeof(host), "%.*s", (int)strcspn(text, "/"), text);
	if (inet_pton(a.ipv6 ? AF_INET6 : AF_INET, host, a.bytes) != 1)
		abort();
	a.prefix = slash != NULL ? (uint8_t)atoi(slash + 1) :
	    a.ipv6 ? 128 : 32;
	return a;
}

struct house {
	struct os_addr		 sw_addrs[SWITCHES][2];
	struct os_addr		 nic_addrs[NICS][2];
	struct fw_switch	 sw[SWITCHES];
	struct fw_nic		 nic[NICS];
	struct fw_allow		 any, lan, from_web, https, dns, ping;
	struct fw_allow		 lab[2];
	struct fw_publish	 pub[2];
	struct fw_policy	 p;
};

static inline void
house_switch(struct house *h, unsigned i, const char *name, const char *v4,
    const char *v6)
{
	struct fw_switch *sw = &h->sw[i];

	snprintf(sw->name, sizeof(sw->name), "%s", name);
	snprintf(sw->iface, sizeof(sw->iface), "vmmd-%s", name);
	h->sw_addrs[i][0] = addr(v4);
	h->sw_addrs[i][1] = addr(v6);
	sw->addrs = h->sw_addrs[i];
	sw->naddrs = 2;
}

static inline void
house_nic(struct house *h, unsigned i, const char *guest, uint32_t sw,
    const char *v4, const char *v6)
{
	struct fw_nic *n = &h->nic[i];

	snprintf(n->guest, sizeof(n->guest), "%s", guest);
	snprintf(n->tap, sizeof(n->tap), "vmmd-%s.0", guest);
	n->sw = sw;
	n->mac[0] = 2;
	n->mac[5] = (uint8_t)(i + 1);
	h->nic_addrs[i][0] = addr(v4);
	h->nic_addrs[i][1] = addr(v6);
	n->addrs = h->nic_addrs[i];
	n->naddrs = 2;
	n->locked = true;
	n->out = (struct fw_allows){ &h->any, 1 };
	n->in = (struct fw_allows){ &h->lan, 1 };
}

/*
 * web		in lan, locked, published; https and name service at the host
 * db		in lan, only what web asks of its port 5432, nothing out
 * free		in lan, not locked, logs
 * iso1, iso2	in dmz, which is isolated; iso2 published at one address
 * pc		in office, behind an uplink
 */
static inline void
house_make(struct house *h)
{
	memset(h, 0, sizeof(*h));
	snprintf(h->p.daemon, sizeof(h->p.daemon), "vmmd");
	house_switch(h, LAN, "lan", "10.0.0.1/24", "fd00:1::1/64");
	house_switch(h, DMZ, "dmz", "10.0.1.1/24", "2001:db8:1::1/64");
	house_switch(h, OFFICE, "office", "192.0.2.1/24", "2001:db8:2::1/64");
	h->sw[LAN].nat = FW_NAT_AUTO;
	h->sw[DMZ].nat = FW_NAT_IFACE;
	snprintf(h->sw[DMZ].nat_iface, IFNAME_SIZE, "eth0");
	h->sw[DMZ].isolate = true;
	h->sw[OFFICE].shared = true;
	snprintf(h->sw[OFFICE].uplink, IFNAME_SIZE, "eth1");

	h->lan = (struct fw_allow){ .kind = FW_PEER_SWITCH, .name = "lan" };
	h->from_web = (struct fw_allow){ .proto = FW_TCP, .lo = 5432,
	    .hi = 5432, .kind = FW_PEER_GUEST, .name = "web" };
	h->https = (struct fw_allow){ .proto = FW_TCP, .lo = 443, .hi = 444 };
	h->dns = (struct fw_allow){ .proto = FW_UDP, .lo = 53, .hi = 53 };
	h->ping = (struct fw_allow){ .proto = FW_ICMP, .echo = true };
	h->lab[0] = (struct fw_allow){ .kind = FW_PEER_CIDR,
	    .cidr = addr("198.51.100.0/24") };
	h->lab[1] = h->ping;
	h->pub[0] = (struct fw_publish){ .proto = FW_TCP, .port = 80,
	    .to = 8080 };
	h->pub[1] = (struct fw_publish){ .proto = FW_UDP, .has_host = true,
	    .host = addr("203.0.113.1"), .port = 514, .to = 514 };

	house_nic(h, WEB, "web", LAN, "10.0.0.11", "fd00:1::11");
	house_nic(h, DB, "db", LAN, "10.0.0.12", "fd00:1::12");
	house_nic(h, FREE, "free", LAN, "10.0.0.13", "fd00:1::13");
	house_nic(h, ISO1, "iso1", DMZ, "10.0.1.14", "2001:db8:1::14");
	house_nic(h, ISO2, "iso2", DMZ, "10.0.1.15", "2001:db8:1::15");
	house_nic(h, PC, "pc", OFFICE, "192.0.2.16", "2001:db8:2::16");
	h->nic[WEB].publish = &h->pub[0];
	h->nic[WEB].npublish = 1;
	h->nic[WEB].host = (struct fw_allows){ &h->dns, 1 };
	h->nic[DB].in = (struct fw_allows){ &h->from_web, 1 };
	h->nic[DB].out.n = 0;
	h->nic[FREE].locked = false;
	h->nic[FREE].log = FW_LOG_BLOCKED;
	h->nic[ISO1].in = (struct fw_allows){ h->lab, 2 };
	h->nic[ISO2].in = (struct fw_allows){ &h->any, 1 };
	h->nic[ISO2].publish = &h->pub[1];
	h->nic[ISO2].npublish = 1;
	h->nic[PC].in = (struct fw_allows){ &h->https, 1 };
	h->p.sw = h->sw;
	h->p.nsws = SWITCHES;
	h->p.nic = h->nic;
	h->p.nnics = NICS;
}

#endif /* VMMD_T_FWRIG_H */
