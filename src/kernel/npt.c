// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Nested page tables: four or five levels of 512 entries, guest-physical to
 * host-physical.  The leaf entries are the record of the pages pinned.
 *
 * A block is what an entry of the second level from below covers, 2 MiB: it
 * is mapped by that entry itself, a large leaf, or by a table of 4 KiB pages.
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

u64 *npt_child(u64 entry)
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

bool npt_is_present(u64 entry)
{
	return entry & vmm_cpu->npt.present;
}

bool npt_is_large(u64 entry)
{
	return entry & vmm_cpu->npt.large & ~vmm_cpu->npt.page;
}

bool npt_clear_dirty(u64 *entry)
{
	const u64 dirty = vmm_cpu->npt.dirty;
	u64 old = READ_ONCE(*entry);

	/* The CPU may set bits meanwhile. */
	while ((old & dirty) && !try_cmpxchg64(entry, &old, old & ~dirty))
		;
	return old & dirty;
}

void npt_set_dirty(u64 *entry)
{
	u64 old = READ_ONCE(*entry);

	while (!try_cmpxchg64(entry, &old, old | vmm_cpu->npt.dirty))
		;
}

void npt_hide(u64 *entry)
{
	WRITE_ONCE(*entry, *entry & ~vmm_cpu->npt.present);
}

struct page *npt_page(u64 entry)
{
	return pfn_to_page((entry & NPT_ADDR) >> PAGE_SHIFT);
}

u64 npt_leaf(struct page *page, bool large)
{
	return page_to_phys(page) |
	       (large ? vmm_cpu->npt.large : vmm_cpu->npt.page);
}

u64 *npt_block(struct vm *vm, u64 gpa)
{
	u64 *table = vm->npt, *entry, *child;
	int level;

	lockdep_assert_held(&vm->lock);
	for (level = npt_levels() - 1; level > 1; level--) {
		entry = &table[npt_index(gpa, level)];
		if (!npt_is_present(*entry)) {
			child = npt_alloc_table();
			if (!child)
				return NULL;
			WRITE_ONCE(*entry, __pa(child) | vmm_cpu->npt.table);
		}
		table = npt_child(*entry);
	}
	return &table[npt_index(gpa, 1)];
}

/* The block's entry, if there is one, and where the next one begins. */
static u64 *npt_find(struct vm *vm, u64 gpa, u64 *next)
{
	u64 *table = vm->npt, *entry, size;
	int level;

	for (level = npt_levels() - 1; ; level--) {
		entry = &table[npt_index(gpa, level)];
		size = 1ULL << (PAGE_SHIFT + 9 * level);
		*next = round_down(gpa, size) + size;
		if (level == 1)
			return *entry ? entry : NULL;
		if (!npt_is_present(*entry))
			return NULL;
		table = npt_child(*entry);
	}
}

u64 *npt_leaf_of(struct vm *vm, u64 gpa)
{
	u64 *entry, next;

	lockdep_assert_held(&vm->lock);
	entry = npt_find(vm, gpa, &next);
	if (entry && npt_is_present(*entry) && !npt_is_large(*entry))
		entry = npt_entry(npt_child(*entry), gpa);
	return entry && npt_is_present(*entry) ? entry : NULL;
}

int npt_walk(struct vm *vm, u64 gpa, u64 size, npt_walk_fn *fn, void *arg)
{
	const u64 end = gpa + size;
	u64 *block, next;
	int ret;

	lockdep_assert_held(&vm->lock);
	for (; gpa < end; gpa = next) {
		block = npt_find(vm, gpa, &next);
		next = min(next, end);
		if (!block)
			continue;
		ret = fn(vm, block, gpa, (next - gpa) >> PAGE_SHIFT, arg);
		if (ret)
			return ret;
		cond_resched();
	}
	return 0;
}

u64 *npt_table(u64 *block)
{
	u64 leaf = *block, *table;
	unsigned int i;

	if (npt_is_present(leaf) && !npt_is_large(leaf))
		return npt_child(leaf);
	table = npt_alloc_table();
	if (!table)
		return NULL;
	for (i = 0; npt_is_large(leaf) && i < NPT_ENTRIES; i++)
		table[i] = npt_leaf(npt_page(leaf) + i, false);
	/* The table is whole before the CPU can see it. */
	smp_store_release(block, __pa(table) | vmm_cpu->npt.table);
	return table;
}

u64 *npt_entry(u64 *table, u64 gpa)
{
	return &table[npt_index(gpa, 0)];
}

void npt_free_table(u64 *table)
{
	free_page((unsigned long)table);
	atomic_long_dec(&vmm_counters.npt_pages);
}

static void npt_free_level(struct vm *vm, u64 *table, int level,
			   void (*drop)(struct vm *vm, u64 *block))
{
	unsigned int i;

	for (i = 0; i < NPT_ENTRIES; i++) {
		if (!npt_is_present(table[i]))
			continue;
		if (level > 1)
			npt_free_level(vm, npt_child(table[i]), level - 1,
				       drop);
		else
			drop(vm, &table[i]);
	}
	npt_free_table(table);
	cond_resched();
}

void npt_free(struct vm *vm, void (*drop)(struct vm *vm, u64 *block))
{
	if (vm->npt)
		npt_free_level(vm, vm->npt, npt_levels() - 1, drop);
}
