/* SPDX-License-Identifier: ISC */
/*
 * What tools ask of an image's format: see disk_check.h.
 */
#include "devices/disk_check.h"

#include <errno.h>

#include "devices/disk_local.h"

int
disk_check(struct disk *d, enum disk_repair repair, struct disk_check *res)
{
	if (d->format->check == NULL)
		return -EOPNOTSUPP;
	return d->format->check(d, repair, res);
}

const char *
disk_resize_begin(struct disk *d, uint64_t size)
{
	return d->format->resize_begin(d, size);
}

const char *
disk_resize_end(struct disk *d, uint64_t size)
{
	return d->format->resize_end(d, size);
}

uint64_t
disk_resize_stale(const struct disk *d, uint64_t was)
{
	return d->format->resize_stale == NULL ? was :
	    d->format->resize_stale(d, was);
}
