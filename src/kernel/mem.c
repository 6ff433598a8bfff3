// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Guest memory: ranges of the daemon's address space, pinned as the guest
 * touches them.  A pinned page stays until the VM goes, so the nested page
 * table never has to follow the host's.
 */
#include <linux/mm.h>
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

/* Maps pages[] from `gpa` on; gives back those that were mapped already. */
static long mem_map_pages(struct vm *vm, u64 gpa, struct page **pages, long n)
{
	long i, unused = 0;
	u64 *entry;

	for (i = 0; i < n; i++, gpa += PAGE_SIZE) {
		entry = npt_entry(vm, gpa);
		if (!entry || (*entry & vmm_cpu->npt.present)) {
			unpin_user_page(pages[i]);
			unused++;
			continue;
		}
		WRITE_ONCE(*entry,
			   page_to_phys(pages[i]) | vmm_cpu->npt.page);
	}
	vm->pinned += n - unused;
	atomic_long_add(n - unused, &vmm_counters.pinned_pages);
	return unused;
}

/* Pins and maps up to `n` pages from `gpa`; returns how many, or -errno. */
static long mem_pin(struct vm *vm, const struct mem_range *r, u64 gpa, long n)
{
	long got, unused;
	int ret;

	ret = account_locked_vm(vm->mm, n, true);
	if (ret)
		return ret;
	got = pin_user_pages_fast(r->hva + (gpa - r->gpa), n,
				  FOLL_WRITE | FOLL_LONGTERM, vm->block);
	unused = n - max(got, 0L);
	if (got > 0)
		unused += mem_map_pages(vm, gpa, vm->block, got);
	account_locked_vm(vm->mm, unused, false);
	return got;
}

/*
 * Pins the 2 MiB block around the page, as far as the range reaches, so that
 * a guest faults once where the host has a huge page.  If the block cannot
 * be had whole, the page alone will do.
 */
static int mem_fault_locked(struct vm *vm, u64 gpa)
{
	const struct mem_range *r = mem_find(vm, gpa);
	u64 *entry, start, end;
	long got;

	if (!r)
		return -ENOENT;
	gpa &= PAGE_MASK;
	entry = npt_entry(vm, gpa);
	if (!entry)
		return -ENOMEM;
	if (*entry & vmm_cpu->npt.present)
		return 0;
	start = max(round_down(gpa, BLOCK_SIZE_2M), r->gpa);
	end = min(round_down(gpa, BLOCK_SIZE_2M) + BLOCK_SIZE_2M,
		  r->gpa + r->size);
	got = mem_pin(vm, r, start, (end - start) >> PAGE_SHIFT);
	if (*entry & vmm_cpu->npt.present)
		return 0;
	got = mem_pin(vm, r, gpa, 1);
	if (*entry & vmm_cpu->npt.present)
		return 0;
	return got < 0 ? got : -ENOMEM;
}

int mem_fault(struct vm *vm, u64 gpa)
{
	int ret;

	mutex_lock(&vm->lock);
	ret = mem_fault_locked(vm, gpa);
	mutex_unlock(&vm->lock);
	return ret;
}

int mem_write(struct vm *vm, u64 gpa, const void *src, size_t len)
{
	const struct mem_range *r = mem_find(vm, gpa);

	if (!r || len > r->size - (gpa - r->gpa))
		return -EFAULT;
	if (copy_to_user((void __user *)(r->hva + (gpa - r->gpa)), src, len))
		return -EFAULT;
	return 0;
}

static void mem_unpin(struct page *page)
{
	unpin_user_pages_dirty_lock(&page, 1, true);
	atomic_long_dec(&vmm_counters.pinned_pages);
}

void mem_free(struct vm *vm)
{
	lockdep_assert_held(&vm->lock);
	npt_free(vm->npt, mem_unpin);
	account_locked_vm(vm->mm, vm->pinned, false);
}
