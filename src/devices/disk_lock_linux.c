/* SPDX-License-Identifier: ISC */
/*
 * Locks on disk images, Linux: an open file description lock, which image
 * tools look for and which also works between hosts on network file systems,
 * and flock(2), which the rest uses.  Neither belongs to the process, so that
 * another descriptor of the file closed elsewhere does not drop it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "devices/disk_lock.h"

int
disk_lock(int fd, bool shared)
{
	struct flock fl = {
		.l_type = shared ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};

	if (fcntl(fd, F_OFD_SETLK, &fl) == -1)
		return errno == EACCES ? -EAGAIN : -errno;
	if (flock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == -1)
		return -errno;
	return 0;
}
