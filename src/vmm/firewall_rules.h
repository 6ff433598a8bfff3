/* SPDX-License-Identifier: ISC */
/*
 * What the files of the firewall share; of no use elsewhere.
 *
 * Rules are made in two halves: who is what is noted on the loop, which takes
 * little time, and all that follows from it by any thread.
 */
#ifndef VMMD_FIREWALL_RULES_H
#define VMMD_FIREWALL_RULES_H

#include "net/fw.h"
#include "vmm/config.h"

struct policy;
struct switches;
struct vm_table;

/* Guests as they are, when they differ from the configuration. */
struct ruleset_now {
	const struct config	 *c;		/* not ours */
	struct vm_config	**as;		/* ours */
	unsigned		  n;		/* its guests, then others */
	bool			 *joined;	/* a switch is another's bridge */
	bool			  any;		/* of them does */
	bool			  nics;		/* someone has one */
};

/* Rules, and what they are made of. */
struct ruleset {
	struct ruleset_now	 now;
	struct config		 view;	/* guests as they are; owns vm[] alone */
	struct policy		*policy;
	struct fw_rules		 rules;
	const char		*cut;	/* one that is cut off, or NULL */
};

/*
 * Loop: 0 or -errno, and there is nothing to free.  `c` stays, and stays what it
 * is, as long as there is the ruleset.  `vt` and `sw` may be NULL.
 */
int ruleset_note(struct ruleset *rs, const struct config *c,
    const struct vm_table *vt, const struct switches *sw);

/*
 * Then, any thread: 0, or -errno and a message.  The rules are those of a daemon
 * of that name.
 */
int ruleset_build(struct ruleset *rs, const char *daemon, char *err,
    size_t errlen);

/* Both: 0, or -errno and a message, and there is nothing to free. */
int ruleset_make(struct ruleset *rs, const struct config *c,
    const struct vm_table *vt, const struct switches *sw, char *err,
    size_t errlen);

/* Noted or built. */
void ruleset_free(struct ruleset *rs);

#endif /* VMMD_FIREWALL_RULES_H */
