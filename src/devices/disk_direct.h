/* SPDX-License-Identifier: ISC */
/*
 * Transfers past the host's cache.
 */
#ifndef VMMD_DISK_DIRECT_H
#define VMMD_DISK_DIRECT_H

#include <stddef.h>

#define DISK_ALIGN_MAX	(64u << 10)

/* What the host asks of such a transfer: powers of two, in bytes. */
struct disk_align {
	size_t	memory;		/* where each element begins */
	size_t	offset;		/* the place in the file, each length */
};

/*
 * Has all transfers of an open file go past the host's cache from now on, and
 * says what they need.  0 or -errno: -EOPNOTSUPP if there is no such way.
 * May block.
 */
int disk_direct(int fd, struct disk_align *a);

#endif /* VMMD_DISK_DIRECT_H */
