// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The log of pages that a guest writes to: the dirty bits which the CPU sets
 * in the nested page table.  They cost the guest no fault, and the fault path
 * need not know of the log, but for one thing: while it is kept, all is mapped
 * by 4 KiB.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "vmm.h"

/* The bits, from the page of `gpa` on. */
struct dirty_range {
	u64		 gpa;
	unsigned long	*bitmap;
};

/* A huge page is split; what is written from the next flush on is new. */
static int dirty_begin(struct vm *vm, u64 *block, u64 gpa, long n, void *arg)
{
	u64 *table = npt_table(block);
	long i;

	if (!table)
		return -ENOMEM;
	for (i = 0; i < BLOCK_PAGES; i++)
		npt_clear_dirty(&table[i]);
	return 0;
}

int dirty_log(struct vm *vm, bool on)
{
	int ret;

	lockdep_assert_held(&vm->lock);
	vm->dirty_log = on;
	if (!on)
		return 0;
	ret = npt_walk(vm, 0, 1ULL << VMM_GPA_BITS, dirty_begin, NULL);
	if (ret)
		vm->dirty_log = false;
	vcpu_flush_tlb(vm);
	return ret;
}

static int dirty_collect(struct vm *vm, u64 *block, u64 gpa, long n, void *arg)
{
	u64 *entry = npt_entry(npt_child(*block), gpa);
	struct dirty_range *r = arg;
	long i, first = (gpa - r->gpa) >> PAGE_SHIFT;

	for (i = 0; i < n; i++)
		if (npt_clear_dirty(&entry[i]))
			__set_bit(first + i, r->bitmap);
	return 0;
}

int dirty_fetch(struct vm *vm, const struct vmm_dirty *d)
{
	struct dirty_range r = { .gpa = d->gpa };
	size_t size;
	int ret;

	lockdep_assert_held(&vm->lock);
	if (d->flags || d->reserved || !mem_is_ram(vm, d->gpa, d->size))
		return -EINVAL;
	if (d->size > VMM_MAX_DIRTY)
		return -E2BIG;
	if (!vm->dirty_log)
		return -ENODATA;
	size = BITS_TO_U64(d->size >> PAGE_SHIFT) * sizeof(u64);
	r.bitmap = kvzalloc(size, GFP_KERNEL_ACCOUNT);
	if (!r.bitmap)
		return -ENOMEM;
	npt_walk(vm, d->gpa, d->size, dirty_collect, &r);
	/* Only now does a CPU that writes once more say so once more. */
	vcpu_flush_tlb(vm);
	ret = copy_to_user(u64_to_user_ptr(d->bitmap), r.bitmap, size) ?
	      -EFAULT : 0;
	kvfree(r.bitmap);
	return ret;
}
