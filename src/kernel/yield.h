/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Whose turn it is to be yielded to: a pure function, so that unit tests can
 * ask it of many sets.
 */
#ifndef VMM_YIELD_H
#define VMM_YIELD_H

/* Of ids below 64, at least one: the next after `last`, in a circle. */
static inline unsigned int yield_next(unsigned long long ids, unsigned int last)
{
	/* 2 << 63 is 0: nothing is above. */
	unsigned long long above = ids & -(2ULL << last);

	return __builtin_ctzll(above ? above : ids);
}

#endif /* VMM_YIELD_H */
