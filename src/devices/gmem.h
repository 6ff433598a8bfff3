/* SPDX-License-Identifier: ISC */
/*
 * Guest memory, as the devices see it.  Every access to a guest's RAM goes
 * through these functions: each checks that the whole range lies in one RAM
 * region, and that no sum overflows.
 *
 * The map is immutable once made, so any thread may use it.  The bytes behind
 * it change under us at any time: copy, then check the copy.
 */
#ifndef VMMD_GMEM_H
#define VMMD_GMEM_H

#include <stddef.h>
#include <stdint.h>

#define GMEM_MAX_RANGES	4

struct gmem_range {
	uint64_t	 gpa;		/* guest-physical start, page-aligned */
	uint64_t	 size;		/* bytes, a multiple of the page size */
	void		*hva;		/* where the host maps it */
};

struct gmem {
	struct gmem_range	range[GMEM_MAX_RANGES];	/* ascending */
	unsigned		nranges;
};

/*
 * Lays `size` bytes of RAM out from 0 and around the hole at 3-4 GiB; hva is
 * not set.  640K-1M is backed too, as the shadow RAM of a PC is; the memory
 * map handed to the guest reserves it.
 */
void gmem_layout(struct gmem *gm, uint64_t size);

/* Bytes of RAM in all. */
uint64_t gmem_size(const struct gmem *gm);

/*
 * The host address of [gpa, gpa + len), or NULL unless all of it is RAM of
 * one range.  len 0 is refused.  Inline: it runs for each element of a chain.
 */
static inline void *
gmem_ptr(const struct gmem *gm, uint64_t gpa, uint64_t len)
{
	const struct gmem_range *r = gm->range;
	const struct gmem_range *end = r + gm->nranges;
	uint64_t off;

	for (; r < end; r++) {
		/* Below the range the difference wraps to a huge offset. */
		off = gpa - r->gpa;
		if (off < r->size && len - 1 < r->size - off)
			return (char *)r->hva + off;
	}
	return NULL;
}

/* Copies out of or into guest RAM: 0, or -EFAULT and nothing copied. */
int gmem_read(const struct gmem *gm, uint64_t gpa, void *dst, size_t len);
int gmem_write(const struct gmem *gm, uint64_t gpa, const void *src,
    size_t len);

#endif /* VMMD_GMEM_H */
