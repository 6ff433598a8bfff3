/* SPDX-License-Identifier: ISC */
/*
 * Kernels as a build leaves them before it packs them: ELF, vmlinux.
 */
#ifndef VMMD_BOOT_ELF_H
#define VMMD_BOOT_ELF_H

#define BOOT_ELF_MAGIC	"\177ELF"

struct boot_file;
struct boot_kernel;
struct gmem;

/*
 * Loads the kernel and fills in *k, which is zero: 0, or -errno and a line in
 * f->err, with nothing in memory unless reading failed.
 */
int boot_elf(struct boot_file *f, const struct gmem *gm,
    struct boot_kernel *k);

#endif /* VMMD_BOOT_ELF_H */
