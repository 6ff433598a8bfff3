// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Nested page tables: four or five levels of 512 entries, guest-physical to
 * host-physical.  The leaf entries are the record of the pages pinned.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <asm/io.h>

#include "vmm.h"

#define NPT_ENTRIES	512
#define NPT_ADDR	GENMASK_ULL(51, 12)

static int npt_levels(void)
{
	return vmm_cpu->npt.host_levels && pgtable_l5_enabled() ? 5 : 4;
}

static u64 *npt_alloc_table(void)
{
	u64 *table = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);

	if (table)
		atomic_long_inc(&vmm_counters.npt_pages);
	return table;
}

static u64 *npt_child(u64 entry)
{
	return __va(entry & NPT_ADDR);
}

static unsigned int npt_index(u64 gpa, int level)
{
	return (gpa >> (PAGE_SHIFT + 9 * level)) % NPT_ENTRIES;
}

u64 *npt_alloc_root(void)
{
	return npt_alloc_table();
}

u64 *npt_entry(struct vm *vm, u64 gpa)
{
	u64 *table = vm->npt, *entry, *child;
	int level;

	lockdep_assert_held(&vm->lock);
	for (level = npt_levels() - 1; level > 0; level--) {
		entry = &table[npt_index(gpa, level)];
		if (!(*entry & vmm_cpu->npt.present)) {
			child = npt_alloc_table();
			if (!child)
				return NULL;
			WRITE_ONCE(*entry, __pa(child) | vmm_cpu->npt.table);
		}
		table = npt_child(*entry);
	}
	return &table[npt_index(gpa, 0)];
}

static void npt_free_table(u64 *table, int level,
			   void (*leaf)(struct page *page))
{
	unsigned int i;

	for (i = 0; i < NPT_ENTRIES; i++) {
		if (!(table[i] & vmm_cpu->npt.present))
			continue;
		if (level > 0)
			npt_free_table(npt_child(table[i]), level - 1, leaf);
		else
			leaf(pfn_to_page((table[i] & NPT_ADDR) >> PAGE_SHIFT));
	}
	free_page((unsigned long)table);
	atomic_long_dec(&vmm_counters.npt_pages);
	cond_resched();
}

void npt_free(u64 *root, void (*leaf)(struct page *page))
{
	if (root)
		npt_free_table(root, npt_levels() - 1, leaf);
}
