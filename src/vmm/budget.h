/* SPDX-License-Identifier: ISC */
/*
 * An amount of memory that guests share.  Any thread may take and give.
 */
#ifndef VMMD_BUDGET_H
#define VMMD_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct budget {
	uint64_t	limit;		/* bytes; immutable */
	atomic_ullong	used;
};

/* All of `bytes` or nothing; a budget of NULL has no end. */
bool budget_take(struct budget *b, uint64_t bytes);
void budget_give(struct budget *b, uint64_t bytes);

#endif /* VMMD_BUDGET_H */
