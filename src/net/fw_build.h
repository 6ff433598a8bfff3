/* SPDX-License-Identifier: ISC */
/*
 * What the files that make the firewall's rules share; of no use elsewhere.
 */
#ifndef VMMD_NET_FW_BUILD_H
#define VMMD_NET_FW_BUILD_H

#include "net/fw.h"

/* The address alone, and the subnet that it is in. */
struct os_addr fw_host_of(const struct os_addr *a);
struct os_addr fw_subnet_of(const struct os_addr *a);

/*
 * Adds a table with room for so many, which the caller fills: 0 or -ENOMEM.
 * It stays where it is until the next one is added.  Then sorts it.
 */
int fw_table_begin(struct fw_rules *r, struct fw_table **tp, size_t room,
    uint32_t sw, const char *kind, const char *name);
void fw_table_end(struct fw_table *t, const char *what);

/*
 * All tables of a policy, of which rules name some: those of switches come
 * first, by their indices.  An index is FW_ALL where there is none.
 */
struct fw_tables {
	uint32_t	*own;		/* of each NIC */
	uint32_t	*guest;		/* of each NIC: its guest's */
	uint32_t	*subnets;	/* of each switch */
	uint32_t	 all_guests;	/* addresses, and the host's */
	uint32_t	 all_subnets;	/* of switches */
};

int fw_tables_make(const struct fw_policy *p, struct fw_rules *r,
    struct fw_tables *t);
void fw_tables_free(struct fw_tables *t);

#endif /* VMMD_NET_FW_BUILD_H */
