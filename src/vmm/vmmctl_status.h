/* SPDX-License-Identifier: ISC */
/*
 * Rows of `status` for people and for programs.
 */
#ifndef VMMD_VMMCTL_STATUS_H
#define VMMD_VMMCTL_STATUS_H

#include <stdio.h>

#define STATUS_PAIRS_MAX	32

struct status_row {
	char		*kind;		/* "daemon" or "vm" */
	char		*key[STATUS_PAIRS_MAX];
	char		*value[STATUS_PAIRS_MAX];
	unsigned	 npairs;
	char		*text;		/* what the others point into */
};

struct status {
	struct status_row	*row;
	unsigned		 nrows;
};

/* Adds a row as it came: 0, -EPROTO, -ENOMEM. */
int status_add(struct status *st, const char *line);
void status_free(struct status *st);

/* An aligned table of guests below a line about the daemon. */
void status_print(const struct status *st, FILE *out);

/* {"daemon": {...}, "vms": [...]}, with every key that came. */
void status_print_json(const struct status *st, FILE *out);

/* Writes `s` as a JSON string; what is no UTF-8 becomes U+FFFD. */
void json_string(FILE *out, const char *s);

#endif /* VMMD_VMMCTL_STATUS_H */
