/* SPDX-License-Identifier: ISC */
/*
 * Transfers past the host's cache, Linux: O_DIRECT.  Linux 6.1 and later say
 * what some file systems ask for; of the others it is found by reading.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/disk_direct.h"

#define LEAST	512
#define PAGE	4096

static bool
direct_is_sane(size_t align)
{
	return align != 0 && align <= DISK_ALIGN_MAX &&
	    (align & (align - 1)) == 0;
}

/* The shortest read that is let through; memory is not tried out. */
static int
direct_probe(int fd, struct disk_align *a)
{
	int error = -EOPNOTSUPP;
	size_t n;
	void *p;

	if (posix_memalign(&p, DISK_ALIGN_MAX, DISK_ALIGN_MAX) != 0)
		return -ENOMEM;
	for (n = LEAST; n <= DISK_ALIGN_MAX && error == -EOPNOTSUPP; n *= 2) {
		if (pread(fd, p, n, 0) != -1) {
			a->offset = n;
			a->memory = n < PAGE ? PAGE : n;
			error = 0;
		} else if (errno != EINVAL) {
			error = -errno;
		}
	}
	free(p);
	return error;
}

/* The file says so itself; false if it says nothing. */
static bool
direct_ask(int fd, struct disk_align *a)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == -1 ||
	    (stx.stx_mask & STATX_DIOALIGN) == 0)
		return false;
	a->memory = stx.stx_dio_mem_align;
	a->offset = stx.stx_dio_offset_align;
	return true;
}

int
disk_direct(int fd, struct disk_align *a)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags == -1)
		return -errno;
	if (fcntl(fd, F_SETFL, flags | O_DIRECT) == -1)
		return errno == EINVAL ? -EOPNOTSUPP : -errno;
	if (!direct_ask(fd, a))
		return direct_probe(fd, a);
	return direct_is_sane(a->memory) && direct_is_sane(a->offset) ? 0 :
	    -EOPNOTSUPP;
}
