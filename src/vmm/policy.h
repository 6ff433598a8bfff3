/* SPDX-License-Identifier: ISC */
/*
 * The firewall's policy, as a configuration states it.  Pure functions of the
 * configuration, but for what the host's bridges are.
 */
#ifndef VMMD_POLICY_H
#define VMMD_POLICY_H

#include <stddef.h>

#include "net/fw.h"
#include "vmm/config.h"

struct policy;
struct switches;

/*
 * With all that it points to: 0 or -errno.  `state` tells of a switch that is
 * there whether it is another's bridge; NULL: none is.
 */
int policy_make(struct policy **pp, const struct config *c,
    const struct switches *state);

/*
 * Cuts off each NIC of a guest that has what is another's: its MAC, an address,
 * a port of the host.  That is so for a guest that is not yet, or no more, what
 * it is configured to be.  Whether any was.
 */
bool policy_yield(struct policy *p, const char *guest);

/* NULL is allowed. */
void policy_free(struct policy *p);
const struct fw_policy *policy_fw(const struct policy *p);

#endif /* VMMD_POLICY_H */
