/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* All that differs between the kernels the module builds for. */
#ifndef VMM_KCOMPAT_H
#define VMM_KCOMPAT_H

#include <linux/mm.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "vmm needs Linux 6.1 or later"
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#endif

#endif /* VMM_KCOMPAT_H */
