/* SPDX-License-Identifier: ISC */
/*
 * Ranges that are to read zero, Linux.
 */
#include <errno.h>
#include <fcntl.h>

#include "devices/aio_range.h"

static int
range_change(int fd, int mode, uint64_t off, uint64_t len)
{
	return fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)off,
	    (off_t)len) == -1 ? -errno : 0;
}

int
aio_range_punch(int fd, uint64_t off, uint64_t len)
{
	return range_change(fd, FALLOC_FL_PUNCH_HOLE, off, len);
}

int
aio_range_zero(int fd, uint64_t off, uint64_t len)
{
	return range_change(fd, FALLOC_FL_ZERO_RANGE, off, len);
}
