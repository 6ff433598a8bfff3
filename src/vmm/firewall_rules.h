/* SPDX-License-Identifier: ISC */
/*
 * What the files of the firewall share; of no use elsewhere.
 */
#ifndef VMMD_FIREWALL_RULES_H
#define VMMD_FIREWALL_RULES_H

#include "net/fw.h"
#include "vmm/config.h"

struct policy;
struct switches;
struct vm_table;

/* Rules, and what they are made of. */
struct ruleset {
	struct config	 view;	/* guests as they are; owns vm[] alone */
	struct policy	*policy;
	struct fw_rules	 rules;
	bool		*waits;	/* of each of these: it is not as configured */
	bool		 any;	/* of them does */
	const char	*cut;	/* one that is cut off, or NULL */
};

/* 0, or -errno and a message, and there is nothing to free. */
int ruleset_make(struct ruleset *rs, const struct config *c,
    const struct vm_table *vt, const struct switches *sw, char *err,
    size_t errlen);
void ruleset_free(struct ruleset *rs);

#endif /* VMMD_FIREWALL_RULES_H */
