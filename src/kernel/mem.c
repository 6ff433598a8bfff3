// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Guest memory: ranges of the daemon's address space, pinned as the guest
 * touches them.  A pinned page stays until the VM goes, so the nested page
 * table never has to follow the host's.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/uaccess.h>
#include <asm/io.h>

#include "vmm.h"

static const struct mem_range *mem_find(const struct vm *vm, u64 gpa)
{
	unsigned int i;

	for (i = 0; i < vm->nranges; i++)
		if (gpa - vm->range[i].gpa < vm->range[i].size)
			return &vm->range[i];
	return NULL;
}

static char __user *mem_user(const struct mem_range *r, u64 gpa)
{
	return (char __user *)(r->hva + (gpa - r->gpa));
}

static bool mem_valid(const struct vmm_memory *m)
{
	const u64 limit = 1ULL << VMM_GPA_BITS;

	return m->flags == 0 && m->reserved == 0 && m->size != 0 &&
	       PAGE_ALIGNED(m->gpa | m->size | m->address) &&
	       m->gpa < limit && m->size <= limit - m->gpa &&
	       m->address < TASK_SIZE_MAX &&
	       m->size <= TASK_SIZE_MAX - m->address;
}

int mem_add(struct vm *vm, const struct vmm_memory *m)
{
	const struct mem_range *r;

	lockdep_assert_held(&vm->lock);
	if (!mem_valid(m))
		return -EINVAL;
	for (r = vm->range; r < vm->range + vm->nranges; r++)
		if (m->gpa < r->gpa + r->size && r->gpa < m->gpa + m->size)
			return -EEXIST;
	if (vm->nranges == VMM_MAX_RANGES ||
	    m->size > VMM_MAX_MEMORY - vm->memory)
		return -ENOSPC;
	vm->range[vm->nranges++] = (struct mem_range){
		.gpa = m->gpa, .size = m->size, .hva = m->address,
	};
	vm->memory += m->size;
	return 0;
}

bool mem_is_ram(const struct vm *vm, u64 gpa, u64 size)
{
	const u64 limit = 1ULL << VMM_GPA_BITS;
	const struct mem_range *r;
	u64 end;

	if (!PAGE_ALIGNED(gpa | size) || size == 0 || size > limit ||
	    gpa > limit - size)
		return false;
	for (end = gpa + size; gpa < end; gpa = r->gpa + r->size) {
		r = mem_find(vm, gpa);
		if (!r)
			return false;
	}
	return true;
}

void mem_unpin(struct vm *vm, long n)
{
	/* The guest may have written to them. */
	unpin_user_pages_dirty_lock(vm->block, n, true);
	vm->pinned -= n;
	atomic_long_sub(n, &vmm_counters.pinned_pages);
}

static bool mem_is_contiguous(struct page **pages, long n)
{
	unsigned long pfn = page_to_pfn(pages[0]);
	long i;

	for (i = 1; i < n; i++)
		if (page_to_pfn(pages[i]) != pfn + i)
			return false;
	return true;
}

/* May a whole block be mapped by one entry? */
static bool mem_fits_large(const struct vm *vm, const u64 *block, long n)
{
	return n == BLOCK_PAGES && *block == 0 && !vm->dirty_log &&
	       IS_ALIGNED(page_to_pfn(vm->block[0]), BLOCK_PAGES) &&
	       mem_is_contiguous(vm->block, n);
}

/* Maps the first `n` of vm->block, which have no entries yet. */
static int mem_map_pages(struct vm *vm, u64 *block, u64 gpa, long n)
{
	u64 *table, *entry;
	long i;

	if (mem_fits_large(vm, block, n)) {
		WRITE_ONCE(*block, npt_leaf(vm->block[0], true));
		return 0;
	}
	table = npt_table(block);
	if (!table)
		return -ENOMEM;
	entry = npt_entry(table, gpa);
	for (i = 0; i < n; i++)
		WRITE_ONCE(entry[i], npt_leaf(vm->block[i], false));
	return 0;
}

/*
 * Pins and maps up to `n` pages from `gpa` on, all of them in one block and
 * none mapped; it may be fewer.
 */
static int mem_pin(struct vm *vm, const struct mem_range *r, u64 *block,
		   u64 gpa, long n)
{
	long got;
	int ret;

	ret = account_locked_vm(vm->mm, n, true);
	if (ret)
		return ret;
	got = pin_user_pages_fast((unsigned long)mem_user(r, gpa), n,
				  FOLL_WRITE | FOLL_LONGTERM, vm->block);
	account_locked_vm(vm->mm, n - max(got, 0L), false);
	if (got <= 0)
		return got < 0 ? got : -ENOMEM;
	vm->pinned += got;
	atomic_long_add(got, &vmm_counters.pinned_pages);
	ret = mem_map_pages(vm, block, gpa, got);
	if (ret) {
		mem_unpin(vm, got);
		account_locked_vm(vm->mm, got, false);
	}
	return ret;
}

/* Is a page mapped from `gpa` on, `n` in one block? */
static bool mem_is_mapped(u64 *block, u64 gpa, long n)
{
	const u64 *entry;
	long i;

	if (!npt_is_present(*block) || npt_is_large(*block))
		return npt_is_present(*block);
	entry = npt_entry(npt_child(*block), gpa);
	for (i = 0; i < n; i++)
		if (npt_is_present(entry[i]))
			return true;
	return false;
}

/*
 * The first touch of a block brings all of it.  The page comes first, alone:
 * if that makes the host give a huge page, all the rest is there at one look,
 * while a page that is not there is looked for one by one.
 */
static void mem_pin_block(struct vm *vm, const struct mem_range *r, u64 *block,
			  u64 gpa)
{
	u64 start = max(round_down(gpa, BLOCK_SIZE_2M), r->gpa);
	u64 end = min(round_down(gpa, BLOCK_SIZE_2M) + BLOCK_SIZE_2M,
		      r->gpa + r->size);
	long n = (end - start) >> PAGE_SHIFT;

	if (mem_is_mapped(block, start, n))
		return;
	if (!fault_in_safe_writeable(mem_user(r, gpa), 1))
		mem_pin(vm, r, block, start, n);
}

/*
 * If the block cannot be had, or part of it was there and has been given back
 * since, the page comes alone.
 */
int mem_fault_locked(struct vm *vm, u64 gpa)
{
	const struct mem_range *r = mem_find(vm, gpa);
	u64 *block;

	lockdep_assert_held(&vm->lock);
	if (!r)
		return -ENOENT;
	atomic_long_inc(&vmm_counters.npt_faults);
	gpa &= PAGE_MASK;
	block = npt_block(vm, gpa);
	if (!block)
		return -ENOMEM;
	if (mem_is_mapped(block, gpa, 1))
		return 0;
	mem_pin_block(vm, r, block, gpa);
	if (mem_is_mapped(block, gpa, 1))
		return 0;
	return mem_pin(vm, r, block, gpa, 1);
}

int mem_fault(struct vm *vm, u64 gpa)
{
	int ret;

	mutex_lock(&vm->lock);
	ret = mem_fault_locked(vm, gpa);
	mutex_unlock(&vm->lock);
	return ret;
}

void *mem_mapped(struct vm *vm, u64 gpa)
{
	u64 *entry = npt_leaf_of(vm, gpa);
	unsigned long size = PAGE_SIZE;

	if (!entry)
		return NULL;
	if (npt_is_large(*entry))
		size = BLOCK_SIZE_2M;
	npt_set_dirty(entry);
	return page_to_virt(npt_page(*entry)) + (gpa & (size - 1));
}

/* Puts the page into the log, which takes an entry to do so. */
static int mem_log_write(struct vm *vm, u64 gpa)
{
	int ret = 0;

	/* Who begins a log later finds what we have written. */
	smp_mb();
	if (!READ_ONCE(vm->dirty_log))
		return 0;
	mutex_lock(&vm->lock);
	if (vm->dirty_log)
		ret = mem_fault_locked(vm, gpa);
	if (vm->dirty_log && ret == 0)
		npt_set_dirty(npt_entry(npt_child(*npt_block(vm, gpa)), gpa));
	mutex_unlock(&vm->lock);
	return ret;
}

int mem_write_now(struct vm *vm, u64 gpa, const void *src, size_t len)
{
	const struct mem_range *r = mem_find(vm, gpa);
	unsigned long left;

	if (!r || len > r->size - (gpa - r->gpa))
		return -EFAULT;
	pagefault_disable();
	left = __copy_to_user_inatomic(mem_user(r, gpa), src, len);
	pagefault_enable();
	return left ? -EFAULT : 0;
}

int mem_write(struct vm *vm, u64 gpa, const void *src, size_t len)
{
	const struct mem_range *r = mem_find(vm, gpa);
	int ret;

	if (!r || len > r->size - (gpa - r->gpa))
		return -EFAULT;
	if (copy_to_user(mem_user(r, gpa), src, len))
		return -EFAULT;
	ret = mem_log_write(vm, gpa);
	if (ret == 0 && offset_in_page(gpa) + len > PAGE_SIZE)
		ret = mem_log_write(vm, gpa + len - 1);
	return ret;
}

void mem_drop_block(struct vm *vm, u64 *block)
{
	const u64 *entry = npt_child(*block);
	long i, n = 0;

	if (npt_is_large(*block)) {
		unpin_user_page_range_dirty_lock(npt_page(*block), BLOCK_PAGES,
						 true);
		vm->pinned -= BLOCK_PAGES;
		atomic_long_sub(BLOCK_PAGES, &vmm_counters.pinned_pages);
	} else {
		for (i = 0; i < BLOCK_PAGES; i++)
			if (entry[i])
				vm->block[n++] = npt_page(entry[i]);
		mem_unpin(vm, n);
		npt_free_table(npt_child(*block));
	}
	*block = 0;
}

void mem_free(struct vm *vm)
{
	const unsigned long pinned = vm->pinned;

	lockdep_assert_held(&vm->lock);
	npt_free(vm, mem_drop_block);
	vm->npt = NULL;
	account_locked_vm(vm->mm, pinned, false);
}
