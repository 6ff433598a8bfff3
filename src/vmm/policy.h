/* SPDX-License-Identifier: ISC */
/*
 * The firewall's policy, as a configuration states it.  Pure functions of the
 * configuration, but for what the host's bridges are.  Any thread.
 */
#ifndef VMMD_POLICY_H
#define VMMD_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "net/fw.h"
#include "vmm/config.h"

struct policy;

/*
 * With all that it points to, but for addresses of switches, which are those of
 * `c`: 0 or -errno.  `joined` tells of each switch of `c` whether it is
 * another's bridge; NULL: none is.
 */
int policy_make(struct policy **pp, const struct config *c,
    const bool *joined);

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
