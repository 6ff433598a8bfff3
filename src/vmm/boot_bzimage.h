/* SPDX-License-Identifier: ISC */
/*
 * Kernels as distributions install them: bzImage, /boot/vmlinuz.
 */
#ifndef VMMD_BOOT_BZIMAGE_H
#define VMMD_BOOT_BZIMAGE_H

struct boot_file;
struct boot_kernel;
struct gmem;

/*
 * Loads the kernel and fills in *k, which is zero: 0, or -errno and a line in
 * f->err, with nothing in memory unless reading failed.
 */
int boot_bzimage(struct boot_file *f, const struct gmem *gm,
    struct boot_kernel *k);

#endif /* VMMD_BOOT_BZIMAGE_H */
