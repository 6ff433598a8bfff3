/* SPDX-License-Identifier: ISC */
/*
 * What the parts of the configuration's parser share; of no use elsewhere.
 */
#ifndef VMMD_CONFIG_PARSER_H
#define VMMD_CONFIG_PARSER_H

#include <stdbool.h>
#include <stddef.h>

#include "vmm/config.h"
#include "vmm/config_keys.h"

#define PLACE_MAX	300

/* Where things were found, for messages; one beside each vm_config. */
struct vm_lines {
	unsigned	section;
	unsigned	key[CONFIG_NKEYS];
	unsigned	disk[VM_DISKS_MAX];
	unsigned	nic[VM_NICS_MAX];
	/* Who its NICs are, once they have been looked at. */
	bool		resolved;
	struct nic_id {
		uint8_t		mac[6];
		uint32_t	ip;		/* 0: none */
	}		id[VM_NICS_MAX];
};

/* The same beside each config_switch; one that needs no section has no keys. */
struct switch_lines {
	unsigned	section;
	unsigned	key[CONFIG_NKEYS];
	unsigned	addr[SWITCH_ADDRS_MAX];
};

/* The same beside each config_policy. */
#define POLICY_ALLOWS_MAX	256
struct policy_lines {
	unsigned	section;
	unsigned	allow[POLICY_ALLOWS_MAX];
	unsigned	n;
	bool		tried;		/* it has lines, right or wrong */
};

/*
 * What NICs have that no other may have, in the order of guests, NICs and their
 * words: ports of the host, and addresses, given or derived.
 */
struct nic_claims {
	struct nic_port {
		unsigned	  vm, nic, word;
		struct fw_publish publish;
	}		*port;
	unsigned	 nports;
	struct nic_addr {
		unsigned	  vm, nic;
		struct os_addr	  addr;
	}		*addr;
	unsigned	 naddrs;
};

struct parser {
	const char	*path;		/* of what is being read */
	const char	*main_path;	/* where switches stand, or NULL */
	const char	*only;		/* guest that may stand there, or NULL */
	bool		 request;	/* nobody knows lines in it */
	struct buf	*errors;
	unsigned	 nerrors;
	struct config	*conf;
	struct vm_lines	*lines;		/* of conf->vm[] */
	unsigned	 room;		/* in both of these */
	struct switch_lines *switch_lines;	/* of conf->sw[] */
	struct policy_lines *policy_lines;	/* of conf->policy[] */
	struct nic_claims claims;	/* once all guests are known */
	enum section	 section;
	unsigned	 daemon_line;	/* of [daemon], 0 if there is none */
	unsigned	 seen[CONFIG_NKEYS];	/* line, in this section */
};

/* Notes what is wrong on a line. */
void parser_error(struct parser *ps, unsigned line, const char *fmt, ...)
    __attribute__((__format__(__printf__, 3, 4)));

/*
 * Where something stands that was found before, as seen from what is being
 * read: `p`, filled.
 */
const char *parser_place(struct parser *ps, const char *file, unsigned line,
    char *p, size_t size);

/* The section that is being read, the last one so far. */
struct config_switch *parser_switch(struct parser *ps);
struct config_policy *parser_policy(struct parser *ps);
struct vm_config *parser_vm(struct parser *ps);

/* Takes the value of a key of this section. */
void parser_value(struct parser *ps, unsigned line, const struct key *k,
    const char *value);

/* The line of a key of a switch, or that of its section. */
unsigned parser_switch_line(const struct parser *ps, unsigned sw,
    const char *key);

/* The switch that `name` is most likely meant to be, or NULL. */
const char *parser_near_switch(const struct parser *ps, const char *name);

/* What concerns several values: guest or switch `i`, and those before it. */
void parser_check_vm(struct parser *ps, unsigned i);
void parser_check_nics(struct parser *ps, unsigned vm);
void parser_check_switch(struct parser *ps, unsigned i);
void parser_check_policy(struct parser *ps, unsigned i);

/*
 * The firewall of a guest's NICs: gathers once what all guests claim, 0 or
 * -ENOMEM, and looks at one of them.
 */
int parser_claim(struct parser *ps);
void parser_free_claims(struct parser *ps);
void parser_check_rules(struct parser *ps, unsigned vm);

#endif /* VMMD_CONFIG_PARSER_H */
