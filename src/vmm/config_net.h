/* SPDX-License-Identifier: ISC */
/*
 * The network in the configuration: a switch, the NICs of a guest, and the
 * values they are made of.  Plain data; what a guest is not given follows from
 * names.
 */
#ifndef VMMD_CONFIG_NET_H
#define VMMD_CONFIG_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"
#include "net/fw.h"
#include "net/lease.h"
#include "net/os.h"
#include "net/plan.h"

#define VM_NICS_MAX		32
#define SWITCH_ADDRS_MAX	16
#define VM_NIC_NO_IP		UINT32_MAX	/* no answer by DHCP */
#define NIC_RULES_TEXT		200	/* no line is longer */

/*
 * A switch that needs no section: guests reach the host, and no other guest.
 * The subnet is that of local interfaces in OpenBSD's vmd, for whose users rules
 * for it are nothing new.
 */
#define SWITCH_LOCAL		"local"
#define SWITCH_LOCAL_ADDRESS	"100.64.0.1/10"

struct buf;

/* Addresses; of those without a subnet the prefix is 0. */
struct config_addrs {
	unsigned	 n;
	struct os_addr	 addr[SWITCH_ADDRS_MAX];
};

/* A [switch NAME]; a string that is not given is NULL. */
struct config_switch {
	char			*name;
	char			*bridge;
	char			*uplink;
	char			*vrf;
	char			*group;
	char			*domain;
	struct config_addrs	 addrs;
	struct config_addrs	 dns;		/* none: the host's */
	struct config_addrs	 router;	/* one, or none */
	uint64_t		 vlan;		/* 0: none */
	uint64_t		 mtu;		/* 0: not given */
	bool			 isolate;
	char			*nat;		/* auto, no, an interface */
};

/* As the guest sees it. */
enum nic_dir {
	NIC_OUT,
	NIC_IN,
	NIC_DIRS,
};

struct vm_nic {
	/* A change of these counts with the next start. */
	uint8_t		 mac[6];	/* 0: by its name */
	uint64_t	 queues;	/* 0: one for each vCPU */
	uint64_t	 mtu;		/* 0: the switch's */

	/* A change of these counts at once. */
	char		 sw[PLAN_NAME];
	char		 hostname[LEASE_LABEL + 1];	/* "": the guest's */
	uint32_t	 ip;		/* 0: not given, or VM_NIC_NO_IP */
	uint64_t	 bytes[NIC_DIRS];	/* a second; 0: no limit */
	uint64_t	 packets[NIC_DIRS];
	bool		 down;		/* no link */
	bool		 locked;	/* has its addresses only */
	enum fw_log	 log;		/* by the firewall */
	char		 rules[NIC_RULES_TEXT];	/* config_fw.h's */
};

struct vm_nics {
	unsigned	 n;
	struct vm_nic	 nic[VM_NICS_MAX];
};

/*
 * Adds an address, with its subnet or without: 0, or -errno and what is wrong
 * in `err`.
 */
int addrs_add(struct config_addrs *a, const char *value, bool subnet,
    unsigned max, char *err, size_t errlen);
bool addrs_equal(const struct config_addrs *a, const struct config_addrs *b);

/* Appends all, separated by ", ", or "-"; 0 or -errno. */
int addrs_print(const struct config_addrs *a, struct buf *b);

/* The same for a NIC, "SWITCH[,OPTION=VALUE]...". */
int nics_add(struct vm_nics *n, const char *value, char *err, size_t errlen);
bool nics_equal(const struct vm_nics *a, const struct vm_nics *b);
int nics_print(const struct vm_nics *n, struct buf *b);

/* Do the two differ only in what may change at once? */
bool nics_alike(const struct vm_nics *a, const struct vm_nics *b);

/* Is a MAC address given? */
bool nic_has_mac(const struct vm_nic *nic);

/* The MAC address of NIC `i` of guest `vm`, as given or by its name. */
void nic_mac(uint8_t mac[6], const char *daemon, const char *vm,
    const struct vm_nic *nic, unsigned i);

/* The first IPv4 subnet of a switch, or that of `ip` unless 0; or NULL. */
const struct os_addr *switch_subnet(const struct config_switch *sw,
    uint32_t ip);

/* An IPv4 address as a number. */
uint32_t addr_ip(const struct os_addr *a);

/*
 * The IPv4 address of a NIC in its switch, as given or by the guest's name, and
 * its subnet: 0; -ENOENT: it gets none; -ERANGE: the switch has none for it.
 */
int nic_address(const struct config_switch *sw, const char *vm,
    const struct vm_nic *nic, unsigned i, struct addr_net *out);

#endif /* VMMD_CONFIG_NET_H */
