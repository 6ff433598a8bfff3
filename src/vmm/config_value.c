/* SPDX-License-Identifier: ISC */
/*
 * Values of the configuration: see config_value.h.
 */
#include "vmm/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX	31

/*
 * The tables run from the largest unit to the smallest, the name that is
 * printed before others of the same.
 */
const struct value_unit value_size_units[] = {
	{ "T", 1ull << 40 }, { "t", 1ull << 40 },
	{ "G", 1ull << 30 }, { "g", 1ull << 30 },
	{ "M", 1ull << 20 }, { "m", 1ull << 20 },
	{ "K", 1ull << 10 }, { "k", 1ull << 10 },
	{ "", 1 },
	{ NULL, 0 },
};

const struct value_unit value_duration_units[] = {
	{ "h", 3600000000000ull },
	{ "m", 60000000000ull },
	{ "s", 1000000000ull },
	{ "ms", 1000000ull },
	{ NULL, 0 },
};

const struct value_unit value_no_units[] = {
	{ "", 1 },
	{ NULL, 0 },
};

int
value_parse(const char *s, const struct value_unit *units, uint64_t *v)
{
	uint64_t n = 0;
	bool over = false;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	for (; isdigit((unsigned char)*s); s++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
			over = true;
	while (units->name != NULL && strcmp(units->name, s) != 0)
		units++;
	if (units->name == NULL)
		return -EINVAL;
	if (over || __builtin_mul_overflow(n, units->factor, &n))
		return -ERANGE;
	*v = n;
	return 0;
}

void
value_format(char *p, size_t size, const struct value_unit *units, uint64_t v)
{
	while (units[1].name != NULL && (v == 0 || v % units->factor != 0))
		units++;
	snprintf(p, size, "%" PRIu64 "%s", v / units->factor, units->name);
}

char *
value_trim(char *s)
{
	size_t n;

	s += strspn(s, VALUE_SPACE);
	for (n = strlen(s); n > 0 && strchr(VALUE_SPACE, s[n - 1]) != NULL;
	    n--)
		s[n - 1] = '\0';
	return s;
}

bool
value_is_name(const char *s)
{
	if (!isalnum((unsigned char)*s))
		return false;
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && strchr(".-_", *s) == NULL)
			return false;
	return true;
}

static unsigned
min2(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/*
 * How many letters differ: the edit distance of two short words.  A change, a
 * loss, a gain cost 1, and so do two letters that have changed places.
 */
static unsigned
distance(const char *a, const char *b)
{
	unsigned char d[WORD_MAX + 1][WORD_MAX + 1];
	size_t i, j, na = strlen(a), nb = strlen(b);

	if (na > WORD_MAX || nb > WORD_MAX)
		return WORD_MAX;
	for (i = 0; i <= na; i++)
		for (j = 0; j <= nb; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = i + j;
				continue;
			}
			d[i][j] = min2(d[i - 1][j - 1] + (a[i - 1] != b[j - 1]),
			    min2(d[i - 1][j], d[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				d[i][j] = min2(d[i][j], d[i - 2][j - 2] + 1);
		}
	return d[na][nb];
}

bool
value_nearer(const char *name, const char *word, unsigned *best)
{
	unsigned d = distance(name, word);

	/* Its beginning is as good as one wrong letter. */
	if (*name != '\0' && strncmp(word, name, strlen(name)) == 0)
		d = 1;
	/* One with most of its letters wrong is another word. */
	if (d >= *best || 2 * d > strlen(word))
		return false;
	*best = d;
	return true;
}

int
value_word(const char *const *words, const char *value)
{
	int i;

	for (i = 0; words[i] != NULL; i++)
		if (strcmp(words[i], value) == 0)
			return i;
	return -1;
}

void
value_list_words(const char *const *words, char *text, size_t size)
{
	size_t n = 0;
	int i;

	for (i = 0; words[i] != NULL && n < size; i++)
		n += (size_t)snprintf(text + n, size - n, "%s%s",
		    i == 0 ? "" : ", ", words[i]);
}
