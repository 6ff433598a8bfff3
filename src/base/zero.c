/* SPDX-License-Identifier: ISC */
/*
 * Memory that is all zero: see zero.h.
 */
#include "base/zero.h"

#include <string.h>

#define HEAD	64u

bool
zero_is(const void *p, size_t n)
{
	static const char zeroes[HEAD];
	const char *c = p;

	if (n < HEAD)
		return memcmp(c, zeroes, n) == 0;
	/* If the head is zero, and all equals what is that far before it. */
	return memcmp(c, zeroes, HEAD) == 0 &&
	    c[n - 1] == 0 && memcmp(c, c + HEAD, n - HEAD) == 0;
}
