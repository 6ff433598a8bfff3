/* SPDX-License-Identifier: ISC */
/*
 * The keys of vmmd.conf(5), one row each: reading, comparing, copying and
 * freeing a configuration all follow this table.
 */
#ifndef VMMD_CONFIG_KEYS_H
#define VMMD_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct value_unit;

enum section {
	SECTION_START,		/* before the first header */
	SECTION_UNKNOWN,	/* its keys are skipped */
	SECTION_DAEMON,
	SECTION_SWITCH,
	SECTION_POLICY,
	SECTION_VM,
};

enum key_type {
	KEY_NAME,		/* char *: letters, digits, . - _; `words`: kinds */
	KEY_USER,		/* char *: as KEY_NAME, or from _ on */
	KEY_PATH,		/* char *: absolute, at most `max` bytes */
	KEY_DISKS,		/* struct vm_disk[VM_DISKS_MAX], with ndisks */
	KEY_DIRS,		/* char *: absolute paths, one a line */
	KEY_TEXT,		/* char *: repeated keys append, to `max` */
	KEY_WORD,		/* char *: one of `words` */
	KEY_BOOL,		/* bool: index in `words` */
	KEY_ON_END,		/* enum on_end: index in `words` */
	KEY_AFFINITY,		/* struct affinity */
	KEY_OWNER,		/* struct owner */
	KEY_GROUP,		/* struct owner without a user */
	KEY_SIZE,		/* uint64_t: min to max, multiples of 1M */
	KEY_DURATION,		/* uint64_t: min to max */
	KEY_NUMBER,		/* uint64_t: min to max; 0 if not given */
	KEY_ADDRS,		/* struct config_addrs: at most `max` */
	KEY_HOSTS,		/* the same without subnets */
	KEY_NICS,		/* struct vm_nics */
	KEY_ALLOWS,		/* char *: allow_parse()'s, one a line */
};

/* When a changed value counts. */
enum key_class {
	CLASS_LIVE,		/* with the reload */
	CLASS_PENDING,		/* with the next start of the guest */
	CLASS_RESTART,		/* with the next start of the daemon */
	CLASS_MIXED,		/* live, but of some options pending */
};

struct key {
	enum section		 section;
	const char		*name;
	enum key_type		 type;
	enum key_class		 class;
	size_t			 offset;	/* in its section's struct */
	uint64_t		 min, max;
	const char *const	*words;		/* ends in NULL */
	const char		*def;		/* as a file says it, or NULL */
	const char		*derived;	/* no def: where it comes from */
};

#define CONFIG_NKEYS	41

extern const struct key config_keys[CONFIG_NKEYS];

const struct key *key_find(enum section section, const char *name);

/* The key of `section` that `name` is most likely meant to be, or NULL. */
const struct key *key_nearest(enum section section, const char *name);

/*
 * Where the key's value is in `base`, a struct config, config_switch or
 * vm_config.
 */
void *key_field(const struct key *k, const void *base);

/* Is the value one string of its own? */
bool key_is_string(const struct key *k);

/* May it be given more than once in a section? */
bool key_repeats(const struct key *k);

/* The name of its class, as vmmd.conf(5) has it. */
const char *key_class_name(const struct key *k);

/*
 * Appends what may be given: its words, its range, or its kind; 0 or -errno.
 */
int key_print_values(const struct key *k, struct buf *b);

/*
 * Appends the key's value in `base` as a file would say it, those of a
 * repeated key separated by ", ", nothing as "-"; 0 or -errno.
 */
int key_print(const struct key *k, const void *base, struct buf *b);

/* What a number of this key may end in. */
const struct value_unit *key_units(const struct key *k);

/* Bytes of a value that is no string and no list. */
size_t key_size(const struct key *k);

#endif /* VMMD_CONFIG_KEYS_H */
