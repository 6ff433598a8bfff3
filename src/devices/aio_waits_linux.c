/* SPDX-License-Identifier: ISC */
/*
 * Files whose transfers wait where they should not, Linux.
 *
 * Linux 6.1 takes a file system without a block device of its own, FUSE say,
 * for one that heeds a ring's wish not to wait, but not all of them do.  Each
 * file knows better, and refuses such a wish of others.
 */
#include <errno.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/uio.h>

#include "devices/aio.h"

bool
aio_waits(int fd)
{
	char byte;
	struct iovec iov = { &byte, 1 };
	struct statfs fs;

	if (preadv2(fd, &iov, 1, 0, RWF_NOWAIT) != -1 || errno != EOPNOTSUPP)
		return false;
	/* In memory there is nothing to wait for. */
	return fstatfs(fd, &fs) == -1 || fs.f_type != TMPFS_MAGIC;
}
