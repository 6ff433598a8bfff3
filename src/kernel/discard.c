// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * VMM_MEM_DISCARD: guest memory given back, perhaps under a running guest.
 *
 * First the entries are hidden from the guest, where their addresses stay; then
 * every CPU forgets them; only then are the pages let go.  A fault waits for
 * vm->lock meanwhile.
 */
#include <linux/mm.h>

#include "vmm.h"

static bool discard_is_empty(const u64 *table)
{
	long i;

	for (i = 0; i < BLOCK_PAGES; i++)
		if (npt_is_present(table[i]))
			return false;
	return true;
}

static int discard_hide(struct vm *vm, u64 *block, u64 gpa, long n, void *arg)
{
	u64 *end = arg, *entry, *table;
	long i;

	if (n < BLOCK_PAGES) {
		table = npt_table(block);
		if (!table)
			return -ENOMEM;
		entry = npt_entry(table, gpa);
		for (i = 0; i < n; i++)
			npt_hide(&entry[i]);
		if (!discard_is_empty(table))
			block = NULL;
	}
	/* A table that maps nothing goes with its pages. */
	if (block)
		npt_hide(block);
	*end = gpa + n * PAGE_SIZE;
	return 0;
}

static int discard_drop(struct vm *vm, u64 *block, u64 gpa, long n, void *arg)
{
	long i, gone = 0;
	u64 *entry;

	if (!npt_is_present(*block)) {
		mem_drop_block(vm, block);
		return 0;
	}
	entry = npt_entry(npt_child(*block), gpa);
	for (i = 0; i < n; i++) {
		if (!entry[i])
			continue;
		vm->block[gone++] = npt_page(entry[i]);
		entry[i] = 0;
	}
	mem_unpin(vm, gone);
	return 0;
}

int discard_range(struct vm *vm, const struct vmm_discard *d)
{
	const unsigned long pinned = vm->pinned;
	u64 end = d->gpa;
	int ret;

	lockdep_assert_held(&vm->lock);
	if (d->flags || d->reserved || !mem_is_ram(vm, d->gpa, d->size))
		return -EINVAL;
	/* Without memory to split a huge page it ends early: see `end`. */
	ret = npt_walk(vm, d->gpa, d->size, discard_hide, &end);
	if (end == d->gpa)
		return ret;
	eoi_discard(vm, d->gpa, end - d->gpa);
	vcpu_flush_tlb(vm);
	npt_walk(vm, d->gpa, end - d->gpa, discard_drop, NULL);
	account_locked_vm(vm->mm, pinned - vm->pinned, false);
	return ret;
}
