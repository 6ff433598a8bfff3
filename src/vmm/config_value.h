/* SPDX-License-Identifier: ISC */
/*
 * Values of vmmd.conf(5): sizes and durations with units, names, and the
 * nearest of several words.
 */
#ifndef VMMD_CONFIG_VALUE_H
#define VMMD_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct value_unit {
	const char	*name;
	uint64_t	 factor;
};

/* K, M, G, T or none: bytes. */
extern const struct value_unit value_size_units[];
/* ms, s, m, h: nanoseconds. */
extern const struct value_unit value_duration_units[];

/* Plain numbers. */
extern const struct value_unit value_no_units[];

/* Reads "16M": 0, -EINVAL (no number or unit), -ERANGE (beyond 64 bits). */
int value_parse(const char *s, const struct value_unit *units, uint64_t *v);

/* Writes `v` with the largest unit that divides it. */
void value_format(char *p, size_t size, const struct value_unit *units,
    uint64_t v);

#define VALUE_SPACE	" \t"

/* Cuts blanks off the end, and skips those at the beginning. */
char *value_trim(char *s);

/* First a letter or digit, then those and . - _ */
bool value_is_name(const char *s);

/*
 * Of words of which the last is NULL: the index of one, or -1; and all of them,
 * "a, b, c", as far as there is room.
 */
int value_word(const char *const *words, const char *value);
void value_list_words(const char *const *words, char *text, size_t size);

/*
 * Is `name` a misspelling or the beginning of `word`, and more like it than
 * what was asked about before?  `best` is VALUE_FAR at first.
 */
#define VALUE_FAR	4
bool value_nearer(const char *name, const char *word, unsigned *best);

#endif /* VMMD_CONFIG_VALUE_H */
