/* SPDX-License-Identifier: ISC */
/*
 * How long something took that was done many times, one after another.
 */
#ifndef LAB_FIGURES_H
#define LAB_FIGURES_H

#include <stddef.h>
#include <stdint.h>

/* A clock that is never set back, in ns. */
uint64_t figures_now(void);

/* "p50 N p99 N max N", in us, of `n` times in ns, which it sorts; n > 0. */
void figures_print(uint64_t *took, size_t n);

#endif /* LAB_FIGURES_H */
