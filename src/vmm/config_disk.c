/* SPDX-License-Identifier: ISC */
/*
 * A guest's disk as the configuration says it: see config_disk.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bucket.h"
#include "base/buf.h"
#include "vmm/config.h"
#include "vmm/config_disk.h"
#include "vmm/config_value.h"

#define MS	UINT64_C(1000000)
#define HOUR	(3600 * 1000 * MS)

/*
 * An option: one of words, whose index is an enum's value; with units a number,
 * a uint64_t; with neither a bool.  What is 0 is as if it were not given.
 */
struct disk_option {
	const char		*name;
	size_t			 offset;
	const char *const	*words;
	const struct value_unit	*units;
	uint64_t		 min, max;
	const char		*advice;
};

static const char *const kinds[] = {
	[DISK_AUTO] = "auto",
	[DISK_RAW] = "raw",
	[DISK_QCOW2] = "qcow2",
	NULL,
};

static const char *const cache_modes[] = {
	[DISK_WRITEBACK] = "writeback",
	[DISK_WRITETHROUGH] = "writethrough",
	[DISK_NONE] = "none",
	NULL,
};

static const char *const error_modes[] = {
	[BLK_ERROR_REPORT] = "report",
	[BLK_ERROR_PAUSE] = "pause",
	NULL,
};

static const char *const zeroes_modes[] = {
	[BLK_ZEROES_OFF] = "off",
	[BLK_ZEROES_ON] = "on",
	[BLK_ZEROES_UNMAP] = "unmap",
	NULL,
};

#define FIELD(m)	.offset = offsetof(struct vm_disk, m)
#define WORDS(m, w)	FIELD(m), .words = (w)

_Static_assert(sizeof(enum disk_kind) == sizeof(unsigned) &&
    sizeof(enum disk_cache) == sizeof(unsigned) &&
    sizeof(enum virtio_blk_on_error) == sizeof(unsigned) &&
    sizeof(enum virtio_blk_zeroes) == sizeof(unsigned),
    "an enum is as an unsigned");

static const struct disk_option options[] = {
	{ .name = "format", WORDS(how.kind, kinds) },
	{ .name = "readonly", FIELD(how.readonly) },
	{ .name = "cache", WORDS(how.cache, cache_modes) },
	{ .name = "on-error", WORDS(policy.on_error, error_modes) },
	{ .name = "detect-zeroes", WORDS(policy.zeroes, zeroes_modes) },
	{ .name = "limit", FIELD(policy.bytes), .units = value_size_units,
	    .min = 64 << 10, .max = BUCKET_MAX,
	    .advice = "bytes a second with K, M, G or T, 64K at least" },
	{ .name = "requests", FIELD(policy.requests), .units = value_no_units,
	    .min = 1, .max = BUCKET_MAX,
	    .advice = "requests a second, digits only" },
	{ .name = "burst", FIELD(policy.burst), .units = value_duration_units,
	    .min = MS, .max = HOUR, .advice = "1ms to 1h" },
};
#define OPTIONS		(sizeof(options) / sizeof(options[0]))

static size_t
option_size(const struct disk_option *o)
{
	if (o->units != NULL)
		return sizeof(uint64_t);
	return o->words != NULL ? sizeof(unsigned) : sizeof(bool);
}

static const void *
option_field(const struct disk_option *o, const struct vm_disk *d)
{
	return (const char *)d + o->offset;
}

static int
unknown_option(const char *name, char *err, size_t errlen)
{
	size_t n, i;

	n = (size_t)snprintf(err, errlen, "unknown option `%s', write one of",
	    name);
	for (i = 0; i < OPTIONS && n < errlen; i++)
		n += (size_t)snprintf(err + n, errlen - n, "%s %s",
		    i == 0 ? "" : ",", options[i].name);
	if (n < errlen)
		snprintf(err + n, errlen - n, " (a path cannot contain a "
		    "comma)");
	return -EINVAL;
}

static int
set_flag(const struct disk_option *o, struct vm_disk *d, const char *value,
    char *err, size_t errlen)
{
	const bool yes = true;

	if (value != NULL) {
		snprintf(err, errlen, "%s: takes no value", o->name);
		return -EINVAL;
	}
	memcpy((char *)d + o->offset, &yes, sizeof(yes));
	return 0;
}

static int
set_word(const struct disk_option *o, struct vm_disk *d, const char *value,
    char *err, size_t errlen)
{
	unsigned i;
	size_t n;

	for (i = 0; o->words[i] != NULL; i++) {
		if (strcmp(o->words[i], value) != 0)
			continue;
		memcpy((char *)d + o->offset, &i, sizeof(i));
		return 0;
	}
	n = (size_t)snprintf(err, errlen, "%s: unknown value `%s', write one "
	    "of", o->name, value);
	for (i = 0; o->words[i] != NULL && n < errlen; i++)
		n += (size_t)snprintf(err + n, errlen - n, "%s %s",
		    i == 0 ? "" : ",", o->words[i]);
	return -EINVAL;
}

static int
set_number(const struct disk_option *o, struct vm_disk *d, const char *value,
    char *err, size_t errlen)
{
	uint64_t v;

	if (value_parse(value, o->units, &v) != 0 || v < o->min ||
	    v > o->max) {
		snprintf(err, errlen, "%s: `%s' is not valid, write %s, or "
		    "leave it out", o->name, value, o->advice);
		return -EINVAL;
	}
	memcpy((char *)d + o->offset, &v, sizeof(v));
	return 0;
}

int
disk_option(struct vm_disk *d, char *word, unsigned *seen, char *err,
    size_t errlen)
{
	char *name = value_trim(strsep(&word, "="));
	const struct disk_option *o;
	size_t i;

	if (word != NULL)
		word = value_trim(word);
	for (i = 0; i < OPTIONS; i++)
		if (strcmp(options[i].name, name) == 0)
			break;
	if (i == OPTIONS)
		return unknown_option(name, err, errlen);
	o = &options[i];
	if ((*seen & 1u << i) != 0) {
		snprintf(err, errlen, "%s: given twice", name);
		return -EINVAL;
	}
	*seen |= 1u << i;
	if (o->words == NULL && o->units == NULL)
		return set_flag(o, d, word, err, errlen);
	if (word == NULL)
		word = name + strlen(name);
	if (o->units != NULL)
		return set_number(o, d, word, err, errlen);
	return set_word(o, d, word, err, errlen);
}

static int
option_print(const struct disk_option *o, const struct vm_disk *d,
    struct buf *b)
{
	static const uint64_t zero;
	char text[32];
	unsigned word;
	uint64_t v;

	if (memcmp(option_field(o, d), &zero, option_size(o)) == 0)
		return 0;
	if (o->words != NULL) {
		memcpy(&word, option_field(o, d), sizeof(word));
		return buf_printf(b, ",%s=%s", o->name, o->words[word]);
	}
	if (o->units == NULL)
		return buf_printf(b, ",%s", o->name);
	memcpy(&v, option_field(o, d), sizeof(v));
	value_format(text, sizeof(text), o->units, v);
	return buf_printf(b, ",%s=%s", o->name, text);
}

int
disks_print(const struct vm_config *vm, struct buf *b)
{
	unsigned i;
	size_t k;
	int ret = 0;

	if (vm->ndisks == 0)
		return buf_printf(b, "-");
	for (i = 0; i < vm->ndisks && ret == 0; i++) {
		ret = buf_printf(b, "%s%s", i == 0 ? "" : ", ",
		    vm->disk[i].path);
		for (k = 0; k < OPTIONS && ret == 0; k++)
			ret = option_print(&options[k], &vm->disk[i], b);
	}
	return ret;
}

static bool
is_live(const struct disk_option *o)
{
	return o->offset >= offsetof(struct vm_disk, policy);
}

static bool
options_equal(const struct vm_disk *a, const struct vm_disk *b, bool all)
{
	const struct disk_option *o;

	for (o = options; o < options + OPTIONS; o++)
		if ((all || !is_live(o)) && memcmp(option_field(o, a),
		    option_field(o, b), option_size(o)) != 0)
			return false;
	return strcmp(a->path, b->path) == 0;
}

static bool
compare(const struct vm_config *a, const struct vm_config *b, bool all)
{
	unsigned i;

	if (a->ndisks != b->ndisks)
		return false;
	for (i = 0; i < a->ndisks; i++)
		if (!options_equal(&a->disk[i], &b->disk[i], all))
			return false;
	return true;
}

bool
disks_equal(const struct vm_config *a, const struct vm_config *b)
{
	return compare(a, b, true);
}

bool
disks_alike(const struct vm_config *a, const struct vm_config *b)
{
	return compare(a, b, false);
}

void
disks_set_live(struct vm_config *vm, const struct vm_config *from)
{
	unsigned i;

	for (i = 0; i < vm->ndisks; i++)
		vm->disk[i].policy = from->disk[i].policy;
}
