/* SPDX-License-Identifier: ISC */
/*
 * The bytes of one disk to another, many requests at a time.  Holes and what
 * the formats know to be zero is not read, and zeroes are not written where
 * there are some.
 */
#ifndef VMMD_IMAGE_COPY_H
#define VMMD_IMAGE_COPY_H

#include "vmm/image_work.h"

struct image_copy {
	struct image_work *work;
	struct disk	*from, *to;	/* attached to the work's engine */
	uint64_t	 size;		/* bytes; both have as many */
	uint32_t	 grain;		/* of `to`: what it takes room by */
	bool		 blank;		/* `to` reads zero everywhere */
	bool		 own;		/* not what `from` itself has not */
	bool		 writing;	/* after a failure: was it that? */
};

/*
 * Copies; 0, -EINTR if the work was interrupted, -errno.  work->done grows by
 * all bytes, copied or not.
 */
int image_copy(struct image_copy *c);

/* Writes zeroes to all of a disk, and counts them; returns the same. */
int image_fill(struct image_work *w, struct disk *d);

#endif /* VMMD_IMAGE_COPY_H */
