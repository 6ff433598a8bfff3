/* SPDX-License-Identifier: ISC */
/*
 * The options of a disk and of a NIC, "NAME=VALUE" behind commas.  Each has a
 * row in a table that reading, printing and comparing follow.
 */
#ifndef VMMD_CONFIG_OPTION_H
#define VMMD_CONFIG_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/config_value.h"

#define OPTION_TEXT	80	/* no value is longer as text */

struct buf;

/*
 * One with words is the index of one, in a bool or an enum; one with units a
 * number, a uint64_t; others read and write their value themselves.  A field
 * with nothing but zero bytes is as if the option were not given.
 */
struct conf_option {
	const char		*name;
	size_t			 offset, size;	/* its field in the struct */
	bool			 live;		/* a change counts at once */
	const char		*alone;		/* what it means without value */
	const char *const	*words;		/* ends in NULL */
	const struct value_unit	*units;
	uint64_t		 min, max;
	const char		*advice;	/* what a number may be */

	/* Takes a value: NULL, or what would be right to write. */
	const char		*(*set)(void *base, const char *value);
	void			(*print)(const void *base,
	    char text[OPTION_TEXT]);
};

struct conf_options {
	const struct conf_option	*row;
	unsigned		 n;
	const char *const	*more;		/* names of others, or NULL */
	unsigned		 nmore;
};

/* The words of one that is on if it is named. */
extern const char *const option_no_yes[];

/*
 * Cuts "NAME" or "NAME=VALUE" up, and blanks off: the name, and the value or
 * NULL.
 */
char *option_split(char *word, char **value);

/*
 * Sets a field of `base`; `seen` has a bit for each option so far.  0, -ENOENT
 * (no option of the table), or -EINVAL and what is wrong in `err`.
 */
int option_set(const struct conf_options *t, void *base, const char *name,
    const char *value, unsigned *seen, char *err, size_t errlen);

/* Says in `err` what `name` could have been meant to be, or what there is. */
void option_unknown(const struct conf_options *t, const char *name, char *err,
    size_t errlen);

/* Appends ",NAME=VALUE" for all that are given; 0 or -errno. */
int options_print(const struct conf_options *t, const void *base,
    struct buf *b);

/* Are all fields equal, or without `all` those that are not live? */
bool options_equal(const struct conf_options *t, const void *a, const void *b,
    bool all);

#endif /* VMMD_CONFIG_OPTION_H */
