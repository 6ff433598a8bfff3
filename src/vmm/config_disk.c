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
#include "vmm/config_option.h"

#define MS	UINT64_C(1000000)
#define HOUR	(3600 * 1000 * MS)

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

#define FIELD(m)	.offset = offsetof(struct vm_disk, m), \
	.size = sizeof(((struct vm_disk *)NULL)->m)
#define LIVE(m)		FIELD(policy.m), .live = true

static const struct conf_option rows[] = {
	{ .name = "format", FIELD(how.kind), .words = kinds },
	{ .name = "readonly", FIELD(how.readonly), .words = option_no_yes,
	    .alone = "yes" },
	{ .name = "cache", FIELD(how.cache), .words = cache_modes },
	{ .name = "on-error", LIVE(on_error), .words = error_modes },
	{ .name = "detect-zeroes", LIVE(zeroes), .words = zeroes_modes },
	{ .name = "limit", LIVE(bytes), .units = value_size_units,
	    .min = 64 << 10, .max = BUCKET_MAX,
	    .advice = "bytes a second with K, M, G or T, 64K at least" },
	{ .name = "requests", LIVE(requests), .units = value_no_units,
	    .min = 1, .max = BUCKET_MAX,
	    .advice = "requests a second, digits only" },
	{ .name = "burst", LIVE(burst), .units = value_duration_units,
	    .min = MS, .max = HOUR, .advice = "1ms to 1h" },
};

static const struct conf_options options = {
	.row = rows, .n = sizeof(rows) / sizeof(rows[0]),
};

int
disk_option(struct vm_disk *d, char *word, unsigned *seen, char *err,
    size_t errlen)
{
	char *value, *name = option_split(word, &value);
	size_t n;
	int error;

	error = option_set(&options, d, name, value, seen, err, errlen);
	if (error != -ENOENT)
		return error;
	option_unknown(&options, name, err, errlen);
	n = strlen(err);
	snprintf(err + n, errlen - n, " (a path cannot contain a comma)");
	return -EINVAL;
}

int
disks_print(const struct vm_config *vm, struct buf *b)
{
	unsigned i;
	int ret = 0;

	if (vm->ndisks == 0)
		return buf_printf(b, "-");
	for (i = 0; i < vm->ndisks && ret == 0; i++) {
		ret = buf_printf(b, "%s%s", i == 0 ? "" : ", ",
		    vm->disk[i].path);
		ret = ret ?: options_print(&options, &vm->disk[i], b);
	}
	return ret;
}

static bool
compare(const struct vm_config *a, const struct vm_config *b, bool all)
{
	unsigned i;

	if (a->ndisks != b->ndisks)
		return false;
	for (i = 0; i < a->ndisks; i++)
		if (strcmp(a->disk[i].path, b->disk[i].path) != 0 ||
		    !options_equal(&options, &a->disk[i], &b->disk[i], all))
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
