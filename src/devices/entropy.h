/* SPDX-License-Identifier: ISC */
/*
 * Random numbers of the host.
 */
#ifndef VMMD_ENTROPY_H
#define VMMD_ENTROPY_H

#include <stddef.h>

/*
 * Fills `n` bytes without waiting: 0, or -EAGAIN while the host has no random
 * numbers yet.  Any thread.
 */
int entropy_get(void *p, size_t n);

#endif /* VMMD_ENTROPY_H */
