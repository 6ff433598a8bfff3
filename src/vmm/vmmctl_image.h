/* SPDX-License-Identifier: ISC */
/*
 * `vmmctl image`: files for disks, made with the caller's rights.
 */
#ifndef VMMD_VMMCTL_IMAGE_H
#define VMMD_VMMCTL_IMAGE_H

#include <stdint.h>

/*
 * Makes a raw image of `size` bytes, all zero and without blocks of its own,
 * that outlasts a crash: 0; -EEXIST if there is such a file; -errno.
 */
int image_create(const char *path, uint64_t size);

#endif /* VMMD_VMMCTL_IMAGE_H */
