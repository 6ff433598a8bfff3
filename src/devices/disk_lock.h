/* SPDX-License-Identifier: ISC */
/*
 * The lock that keeps two users from one disk image.
 */
#ifndef VMMD_DISK_LOCK_H
#define VMMD_DISK_LOCK_H

#include <stdbool.h>

/*
 * Locks the file, to be unlocked by its last close: exclusively, or shared
 * among readers.  QEMU and its tools heed it, and are heeded.  0, -EAGAIN if
 * another holds it, -errno.
 */
int disk_lock(int fd, bool shared);

#endif /* VMMD_DISK_LOCK_H */
