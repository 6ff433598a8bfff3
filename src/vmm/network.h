/* SPDX-License-Identifier: ISC */
/*
 * The daemon's switches, as they are and as they are configured: what a guest's
 * NIC is plugged into, and what the guest is told of it.  Loop thread only, or
 * main before there is one.
 */
#ifndef VMMD_NETWORK_H
#define VMMD_NETWORK_H

#include <stddef.h>

#include "net/lease.h"
#include "net/switch.h"
#include "vmm/config.h"

struct firewall;
struct loop;
struct network;

/* Without a switch: 0, or -errno and a message. */
int network_create(struct network **np, const char *daemon, struct loop *loop,
    char *err, size_t errlen);

/*
 * Removes what is ours of the host.  NULL is allowed.  Where a guest could not
 * be ended its ports stay plugged in, and then only _exit(2) is left.
 */
void network_destroy(struct network *n);
void network_abandon(struct network *n);

/*
 * Lets the switches be what `c` says: 0, or -errno and a message, and all is
 * as it was.  `c` is read until the next one takes its place.
 */
int network_apply(struct network *n, const struct config *c, char *err,
    size_t errlen);

/* Another configuration, with the same switches. */
void network_adopt(struct network *n, const struct config *c);

/* The firewall of all this; NULL, and there is none, unless set. */
void network_set_firewall(struct network *n, struct firewall *f);
struct firewall *network_firewall(const struct network *n);

const char *network_daemon(const struct network *n);
struct switches *network_switches(const struct network *n);

/* The MTU of a guest's NIC, as it is told. */
uint16_t network_mtu(const struct network *n, const struct vm_nic *nic);

/* All that guest `vm` is told by its NIC number `i`. */
void network_lease(const struct network *n, const char *vm,
    const struct vm_nic *nic, unsigned i, struct lease *l);

#endif /* VMMD_NETWORK_H */
