/* SPDX-License-Identifier: ISC */
/*
 * Guest memory: the layout of a PC's RAM, and checked access to it.
 */
#include "devices/gmem.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define GMEM_HOLE_START	(3ULL << 30)
#define GMEM_HOLE_END	(4ULL << 30)

void
gmem_layout(struct gmem *gm, uint64_t size)
{
	uint64_t low = size < GMEM_HOLE_START ? size : GMEM_HOLE_START;

	assert(size <= UINT64_MAX - GMEM_HOLE_END);
	memset(gm, 0, sizeof(*gm));
	if (low != 0)
		gm->range[gm->nranges++] = (struct gmem_range){ .size = low };
	if (size > low)
		gm->range[gm->nranges++] = (struct gmem_range){
			.gpa = GMEM_HOLE_END,
			.size = size - low,
		};
}

uint64_t
gmem_size(const struct gmem *gm)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < gm->nranges; i++)
		sum += gm->range[i].size;
	return sum;
}

int
gmem_read(const struct gmem *gm, uint64_t gpa, void *dst, size_t len)
{
	const void *p = gmem_ptr(gm, gpa, len);

	if (p == NULL)
		return -EFAULT;
	memcpy(dst, p, len);
	return 0;
}

int
gmem_write(const struct gmem *gm, uint64_t gpa, const void *src, size_t len)
{
	void *p = gmem_ptr(gm, gpa, len);

	if (p == NULL)
		return -EFAULT;
	memcpy(p, src, len);
	return 0;
}
