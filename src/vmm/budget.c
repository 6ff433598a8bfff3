/* SPDX-License-Identifier: ISC */
/*
 * An amount of memory that guests share: see budget.h.
 */
#include "vmm/budget.h"

#include <stddef.h>

bool
budget_take(struct budget *b, uint64_t bytes)
{
	unsigned long long used;

	if (b == NULL)
		return true;
	used = atomic_load(&b->used);
	do {
		if (bytes > b->limit || used > b->limit - bytes)
			return false;
	} while (!atomic_compare_exchange_weak(&b->used, &used, used + bytes));
	return true;
}

void
budget_give(struct budget *b, uint64_t bytes)
{
	if (b != NULL)
		atomic_fetch_sub(&b->used, bytes);
}
