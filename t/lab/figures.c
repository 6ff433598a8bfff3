/* SPDX-License-Identifier: ISC */
/*
 * See figures.h.
 */
#include "figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t
figures_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int
ascending(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void
figures_print(uint64_t *took, size_t n)
{
	qsort(took, n, sizeof(*took), ascending);
	printf("p50 %llu p99 %llu max %llu\n",
	    (unsigned long long)took[n / 2] / 1000,
	    (unsigned long long)took[(n * 99 - 1) / 100] / 1000,
	    (unsigned long long)took[n - 1] / 1000);
}
