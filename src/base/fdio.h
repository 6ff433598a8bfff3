/* SPDX-License-Identifier: ISC */
/* Blocking output to descriptors; any thread. */
#ifndef VMMD_FDIO_H
#define VMMD_FDIO_H

#include <stddef.h>

/* Writes all of `n` bytes, goes on after signals: 0 or -errno. */
int fd_write_all(int fd, const void *p, size_t n);

#endif /* VMMD_FDIO_H */
