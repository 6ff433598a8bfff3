/* SPDX-License-Identifier: ISC */
/*
 * Options behind commas: see config_option.h.
 */
#include "vmm/config_option.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

const char *const option_no_yes[] = { "no", "yes", NULL };

char *
option_split(char *word, char **value)
{
	char *name = value_trim(strsep(&word, "="));

	*value = word == NULL ? NULL : value_trim(word);
	return name;
}

static const struct conf_option *
option_find(const struct conf_options *t, const char *name)
{
	unsigned i;

	for (i = 0; i < t->n; i++)
		if (strcmp(t->row[i].name, name) == 0)
			return &t->row[i];
	return NULL;
}

/* The field is all of the index: an enum, or of two words a bool. */
static bool
set_word(const struct conf_option *o, void *field, const char *value)
{
	int i = value_word(o->words, value);
	uint8_t narrow = (uint8_t)i;

	if (i < 0)
		return false;
	if (o->size == sizeof(narrow))
		memcpy(field, &narrow, sizeof(narrow));
	else
		memcpy(field, &i, sizeof(i));
	return true;
}

static const char *
get_word(const struct conf_option *o, const void *field)
{
	uint8_t narrow;
	unsigned i;

	memcpy(&narrow, field, sizeof(narrow));
	if (o->size == sizeof(narrow))
		return o->words[narrow];
	memcpy(&i, field, sizeof(i));
	return o->words[i];
}

static bool
set_number(const struct conf_option *o, void *field, const char *value)
{
	uint64_t v;

	if (value_parse(value, o->units, &v) != 0 || v < o->min || v > o->max)
		return false;
	memcpy(field, &v, sizeof(v));
	return true;
}

/* False: `right` says what to write. */
static bool
set_value(const struct conf_option *o, void *base, const char *value,
    char *right, size_t size)
{
	void *field = (char *)base + o->offset;
	const char *advice = NULL;
	char list[128];

	if (o->words != NULL) {
		if (set_word(o, field, value))
			return true;
		value_list_words(o->words, list, sizeof(list));
		snprintf(right, size, "one of %s", list);
		return false;
	}
	if (o->units != NULL)
		advice = set_number(o, field, value) ? NULL : o->advice;
	else
		advice = o->set(base, value);
	if (advice != NULL)
		snprintf(right, size, "%s", advice);
	return advice == NULL;
}

int
option_set(const struct conf_options *t, void *base, const char *name,
    const char *value, unsigned *seen, char *err, size_t errlen)
{
	const struct conf_option *o = option_find(t, name);
	char right[160];

	if (o == NULL)
		return -ENOENT;
	if ((*seen & 1u << (o - t->row)) != 0) {
		snprintf(err, errlen, "%s: given twice", name);
		return -EINVAL;
	}
	*seen |= 1u << (o - t->row);
	if (value == NULL)
		value = o->alone != NULL ? o->alone : "";
	if (set_value(o, base, value, right, sizeof(right)))
		return 0;
	if (*value == '\0')
		snprintf(err, errlen, "%s: no value, write %s", name, right);
	else
		snprintf(err, errlen, "%s: `%s' is not valid, write %s%s",
		    name, value, right, o->units != NULL &&
		    strcmp(value, "0") == 0 ? ", or leave it out" : "");
	return -EINVAL;
}

static const char *
option_nearest(const struct conf_options *t, const char *name)
{
	const char *near = NULL;
	unsigned best = VALUE_FAR, i;

	for (i = 0; i < t->n; i++)
		if (value_nearer(name, t->row[i].name, &best))
			near = t->row[i].name;
	for (i = 0; i < t->nmore; i++)
		if (value_nearer(name, t->more[i], &best))
			near = t->more[i];
	return near;
}

void
option_unknown(const struct conf_options *t, const char *name, char *err,
    size_t errlen)
{
	const char *near = option_nearest(t, name);
	size_t n;
	unsigned i;

	if (*name == '\0') {
		snprintf(err, errlen, "a comma at the end, or an option "
		    "without a name");
		return;
	}
	if (near != NULL) {
		snprintf(err, errlen, "unknown option `%s', did you mean "
		    "`%s'?", name, near);
		return;
	}
	n = (size_t)snprintf(err, errlen, "unknown option `%s', write one of",
	    name);
	for (i = 0; i < t->n + t->nmore && n < errlen; i++)
		n += (size_t)snprintf(err + n, errlen - n, "%s %s",
		    i == 0 ? "" : ",", i < t->n ? t->row[i].name :
		    t->more[i - t->n]);
}

static bool
option_given(const struct conf_option *o, const void *base)
{
	const uint8_t *field = (const uint8_t *)base + o->offset;
	size_t i;

	for (i = 0; i < o->size; i++)
		if (field[i] != 0)
			return true;
	return false;
}

static void
option_text(const struct conf_option *o, const void *base,
    char text[OPTION_TEXT])
{
	const char *field = (const char *)base + o->offset;
	uint64_t v;

	if (o->words != NULL) {
		snprintf(text, OPTION_TEXT, "%s", get_word(o, field));
	} else if (o->units != NULL) {
		memcpy(&v, field, sizeof(v));
		value_format(text, OPTION_TEXT, o->units, v);
	} else {
		o->print(base, text);
	}
}

int
options_print(const struct conf_options *t, const void *base, struct buf *b)
{
	const struct conf_option *o;
	char text[OPTION_TEXT];
	int ret = 0;

	for (o = t->row; o < t->row + t->n && ret == 0; o++) {
		if (!option_given(o, base))
			continue;
		option_text(o, base, text);
		if (o->alone != NULL && strcmp(text, o->alone) == 0)
			ret = buf_printf(b, ",%s", o->name);
		else
			ret = buf_printf(b, ",%s=%s", o->name, text);
	}
	return ret;
}

bool
options_equal(const struct conf_options *t, const void *a, const void *b,
    bool all)
{
	const struct conf_option *o;

	for (o = t->row; o < t->row + t->n; o++)
		if ((all || !o->live) && memcmp((const char *)a + o->offset,
		    (const char *)b + o->offset, o->size) != 0)
			return false;
	return true;
}
