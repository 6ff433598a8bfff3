/* SPDX-License-Identifier: ISC */
/*
 * The rows of a reply.
 */
#ifndef VMMD_VMMCTL_ROWS_H
#define VMMD_VMMCTL_ROWS_H

#define ROW_PAIRS_MAX	64

struct row {
	char		*kind;		/* its first word */
	char		*key[ROW_PAIRS_MAX];
	char		*value[ROW_PAIRS_MAX];
	unsigned	 npairs;
	char		*text;		/* what the others point into */
};

/* All zero is none. */
struct rows {
	struct row	*row;
	unsigned	 n;
};

/* Adds a row as it came: 0, -EPROTO, -ENOMEM. */
int rows_add(struct rows *rs, const char *line);
void rows_free(struct rows *rs);

/* The value of a key, or `none` if it is not there. */
const char *row_value(const struct row *r, const char *key,
    const char *none);

#endif /* VMMD_VMMCTL_ROWS_H */
