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

/*
 * Fills `n` entries of one leaf table; gives back pages whose entries are in
 * use already, and returns how many.
 */
static long mem_map_pages(struct vm *vm, u64 *entry, struct page **pages,
			  long n)
{
	const u64 present = vmm_cpu->npt.present, bits = vmm_cpu->npt.page;
	long i, unused = 0;

	for (i = 0; i < n; i++) {
		if (entry[i] & present) {
			unpin_user_page(pages[i]);
			unused++;
			continue;
		}
		WRITE_ONCE(entry[i], page_to_phys(pages[i]) | bits);
	}
	vm->pinned += n - unused;
	atomic_long_add(n - unused, &vmm_counters.pinned_pages);
	return unused;
}

/*
 * Pins and maps up to `n` pages from `gpa`, all in one 2 MiB block; `entry` is
 * the first's.  Returns how many, or -errno.
 */
static long mem_pin(struct vm *vm, const struct mem_range *r, u64 gpa,
		    u64 *entry, long n)
{
	long got, unused;
	int ret;

	/* pin_user_pages_fast() takes no pages for all there are. */
	if (n == 0)
		return 0;
	ret = account_locked_vm(vm->mm, n, true);
	if (ret)
		return ret;
	got = pin_user_pages_fast(r->hva + (gpa - r->gpa), n,
				  FOLL_WRITE | FOLL_LONGTERM, vm->block);
	unused = n - max(got, 0L);
	if (got > 0)
		unused += mem_map_pages(vm, entry, vm->block, got);
	account_locked_vm(vm->mm, unused, false);
	return got;
}

/* Pins what else there is of the 2 MiB block around a page; it may fail. */
static void mem_pin_around(struct vm *vm, const struct mem_range *r, u64 gpa,
			   u64 *entry)
{
	u64 block = round_down(gpa, BLOCK_SIZE_2M), end;
	long before;

	before = (gpa - max(block, r->gpa)) >> PAGE_SHIFT;
	mem_pin(vm, r, gpa - before * PAGE_SIZE, entry - before, before);
	gpa += PAGE_SIZE;
	end = min(block + BLOCK_SIZE_2M, r->gpa + r->size);
	mem_pin(vm, r, gpa, entry + 1, (end - gpa) >> PAGE_SHIFT);
}

/*
 * A guest faults once where the host has a huge page: the page itself brings
 * it, and the rest of its block is then had by one look at it.
 */
static int mem_fault_locked(struct vm *vm, u64 gpa)
{
	const struct mem_range *r = mem_find(vm, gpa);
	u64 *entry;
	long got;

	if (!r)
		return -ENOENT;
	gpa &= PAGE_MASK;
	entry = npt_entry(vm, gpa);
	if (!entry)
		return -ENOMEM;
	if (*entry & vmm_cpu->npt.present)
		return 0;
	got = mem_pin(vm, r, gpa, entry, 1);
	if (got != 1)
		return got < 0 ? got : -ENOMEM;
	mem_pin_around(vm, r, gpa, entry);
	return 0;
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
