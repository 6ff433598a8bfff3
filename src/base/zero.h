/* SPDX-License-Identifier: ISC */
/*
 * Memory that is all zero.  Any thread.
 */
#ifndef VMMD_ZERO_H
#define VMMD_ZERO_H

#include <stdbool.h>
#include <stddef.h>

/* Are the `n` bytes at `p` zero?  Fast, too, where the first are not. */
bool zero_is(const void *p, size_t n);

#endif /* VMMD_ZERO_H */
