/* SPDX-License-Identifier: ISC */
/*
 * Another size for a disk that is open.
 */
#ifndef VMMD_IMAGE_RESIZE_H
#define VMMD_IMAGE_RESIZE_H

#include "vmm/image.h"
#include "vmm/image_work.h"

/*
 * Gives a disk, not attached and writable, another size; what is added reads
 * zero.  False, and the error is kept.  Only a close may follow.
 */
bool image_resize_disk(struct image_call *c, struct image_work *w,
    const char *path, struct disk *d, uint64_t size);

#endif /* VMMD_IMAGE_RESIZE_H */
