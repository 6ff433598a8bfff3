/* SPDX-License-Identifier: ISC */
/*
 * The firewall in the configuration: what is allowed and published, as words of
 * a NIC's line or of a [policy NAME].  It is kept as text, of which a line has
 * little, and read anew when rules are made.
 */
#ifndef VMMD_CONFIG_FW_H
#define VMMD_CONFIG_FW_H

#include <stdbool.h>
#include <stddef.h>

#include "net/fw.h"
#include "vmm/config_net.h"

struct buf;
struct config;
struct config_policy;
struct vm_config;

/* What a NIC's line has any number of. */
enum nic_rule {
	NIC_ADDRESS6,
	NIC_ALLOW_IN,
	NIC_ALLOW_OUT,
	NIC_ALLOW_HOST,
	NIC_PUBLISH,
	NIC_RULES,
};

extern const char *const nic_rule_names[NIC_RULES];

/* What is meant by what a NIC, or a policy, allows. */
struct allow {
	bool		 none;
	bool		 dns;			/* as `one', and TCP as well */
	char		 policy[FW_NAME];	/* or "" */
	struct fw_allow	 one;			/* neither of these */
};

/*
 * Reads what is allowed, in a list of that kind; NIC_RULES: in a policy: 0, or
 * -EINVAL and what is wrong.
 */
int allow_parse(struct allow *a, enum nic_rule rule, const char *value,
    char *err, size_t errlen);
int publish_parse(struct fw_publish *p, const char *value, char *err,
    size_t errlen);
int address6_parse(struct os_addr *a, const char *value, char *err,
    size_t errlen);

/*
 * Adds a word to a NIC's line, and the line as a file says it: 0, or -errno and
 * what is wrong.
 */
int nic_rule_add(struct vm_nic *n, enum nic_rule rule, const char *value,
    char *err, size_t errlen);
int nic_rule_print(const struct vm_nic *n, enum nic_rule rule,
    struct buf *b);

/* Word number `i` of a kind; false: there are not so many. */
bool nic_rule_get(const struct vm_nic *n, enum nic_rule rule, unsigned i,
    char value[NIC_RULES_TEXT]);

/* What a policy allows, one after another, in the same way. */
bool policy_get(const struct config_policy *p, unsigned i,
    char value[NIC_RULES_TEXT]);

/*
 * The addresses that NIC number `i` is known to have: given to it, or by DHCP
 * and router advertisements: how many.
 */
#define POLICY_ADDRS_MAX	(NIC_RULES_TEXT / 2 + 2)
unsigned policy_addrs(const struct config *c, const struct vm_config *vm,
    unsigned i, struct os_addr a[POLICY_ADDRS_MAX]);

#endif /* VMMD_CONFIG_FW_H */
