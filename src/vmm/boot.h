/* SPDX-License-Identifier: ISC */
/*
 * Loads a Linux kernel for x86-64, bzImage or ELF, perhaps compressed by gzip,
 * by the 64-bit boot protocol: no firmware runs, the guest's first instruction
 * is the kernel's.
 *
 * May block on files; runs on the starting VM's vCPU-0 thread.
 */
#ifndef VMMD_BOOT_H
#define VMMD_BOOT_H

#include <stddef.h>

struct confine;
struct gmem;
struct hv_regs;

/* What to boot; `initrd` may be NULL, `cmdline` may not. */
struct boot_linux {
	const struct confine	*in;	/* where files must lie, or NULL */
	const char		*kernel;
	const char		*initrd;
	const char		*cmdline;
	uint64_t		 rsdp;	/* where ACPI's tables begin, or 0 */
};

/*
 * Loads the files into `gm`, which must read zero, writes the boot parameters
 * and tables the kernel expects, and sets `regs` to enter it.  0, or -errno
 * and one line in `err` that begins with "kernel PATH: " or "initrd PATH: ".
 */
int boot_linux(const struct boot_linux *bl, const struct gmem *gm,
    struct hv_regs *regs, char *err, size_t errlen);

#endif /* VMMD_BOOT_H */
