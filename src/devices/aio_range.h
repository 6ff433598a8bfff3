/* SPDX-License-Identifier: ISC */
/*
 * Ranges of a file that are to read zero.
 */
#ifndef VMMD_AIO_RANGE_H
#define VMMD_AIO_RANGE_H

#include <stdint.h>

/* As aio_punch() and aio_zero(), waiting for it.  0 or -errno; any thread. */
int aio_range_punch(int fd, uint64_t off, uint64_t len);
int aio_range_zero(int fd, uint64_t off, uint64_t len);

#endif /* VMMD_AIO_RANGE_H */
