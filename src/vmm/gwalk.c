/* SPDX-License-Identifier: ISC */
/*
 * A walk goes down the tables and notes each entry; if the access is allowed
 * it then sets the accessed and dirty bits, by compare and swap, since another
 * processor of the guest may be changing the same entry: if one has, the walk
 * begins again.
 *
 * Entries: APM volume 2, 5.2 (32 bits), 5.2.3 (PAE), 5.3 (long mode).
 */
#include "vmm/gwalk.h"

#include <errno.h>
#include <stddef.h>

#include "devices/gmem.h"
#include "vmm/hv.h"
#include "vmm/x86.h"

#define PTE_P		(UINT64_C(1) << 0)
#define PTE_W		(UINT64_C(1) << 1)
#define PTE_U		(UINT64_C(1) << 2)
#define PTE_A		(UINT64_C(1) << 5)
#define PTE_D		(UINT64_C(1) << 6)
#define PTE_PS		(UINT64_C(1) << 7)
#define PTE_NX		(UINT64_C(1) << 63)
#define PTE_ADDRESS	UINT64_C(0x000ffffffffff000)
#define PAE_IGNORED	UINT64_C(0x7ff0000000000000)	/* reserved there */
#define PDPTE_RESERVED	(UINT64_C(0x1e6) | PAE_IGNORED | PTE_NX)
#define LEGACY_ADDRESS	UINT64_C(0xfffff000)

#define PAGE_SIZE	4096U
#define LEVELS_MAX	4
#define TRIES		8

/* One walk on its way. */
struct walk {
	const struct gwalk	*w;
	uint64_t		 va;
	unsigned		 level;		/* of the last entry read */
	struct {
		void		*p;		/* NULL: not RAM */
		uint64_t	 val;
	}			 entry[LEVELS_MAX + 1];	/* by level, from 1 */
	uint64_t		 rights;	/* U, W of all; NX of any */
};

void
gwalk_init(struct gwalk *w, const struct gmem *gm, const struct hv_regs *r,
    unsigned phys_bits)
{
	w->gm = gm;
	w->cr3 = r->cr3;
	w->address = PTE_ADDRESS & ((UINT64_C(1) << phys_bits) - 1);
	w->legacy = (r->cr4 & CR4_PAE) == 0;
	if ((r->cr0 & CR0_PG) == 0)
		w->levels = 0;
	else if (w->legacy)
		w->levels = 2;
	else
		w->levels = (r->efer & EFER_LMA) != 0 ? 4 : 3;
	w->pse = (r->cr4 & CR4_PSE) != 0;
	w->wp = (r->cr0 & CR0_WP) != 0;
	w->nxe = !w->legacy && (r->efer & EFER_NXE) != 0;
	w->smep = (r->cr4 & CR4_SMEP) != 0;
	w->smap = (r->cr4 & CR4_SMAP) != 0 && (r->rflags & RFLAGS_AC) == 0;
}

static unsigned
level_shift(const struct gwalk *w, unsigned level)
{
	return 12 + (level - 1) * (w->legacy ? 10 : 9);
}

/* Reads the entry for the walk's address out of a table. */
static void
read_entry(struct walk *k, uint64_t table)
{
	const struct gwalk *w = k->w;
	uint64_t index = k->va >> level_shift(w, k->level);
	void *p;

	if (w->legacy) {
		p = gmem_ptr(w->gm, table + (index & 0x3ff) * 4, 4);
		k->entry[k->level].val = p == NULL ? UINT32_MAX :
		    __atomic_load_n((uint32_t *)p, __ATOMIC_ACQUIRE);
	} else {
		/* A PAE CR3 has four entries on top, of 32-bit addresses. */
		p = gmem_ptr(w->gm, table + (index & 0x1ff) * 8, 8);
		k->entry[k->level].val = p == NULL ? UINT64_MAX :
		    __atomic_load_n((uint64_t *)p, __ATOMIC_ACQUIRE);
	}
	k->entry[k->level].p = p;
}

/* Has this level only pointers, without rights: the top of PAE? */
static bool
is_pdpte(const struct gwalk *w, unsigned level)
{
	return w->levels == 3 && level == 3;
}

static bool
is_leaf(const struct gwalk *w, unsigned level, uint64_t e)
{
	if (level == 1)
		return true;
	if ((e & PTE_PS) == 0)
		return false;
	return w->legacy ? w->pse : level == 2 || (w->levels == 4 &&
	    level == 3);
}

/* The bits of an entry that must be zero. */
static uint64_t
reserved_bits(const struct gwalk *w, unsigned level, uint64_t e)
{
	uint64_t r = PTE_ADDRESS & ~w->address;

	if (w->legacy) {
		/* A page of 4 MiB has address bits 39-32 in 20-13. */
		if (level == 1 || !is_leaf(w, level, e))
			return 0;
		return UINT64_C(0x3fe000) & ~((w->address >> 32 & 0xff) << 13);
	}
	if (is_pdpte(w, level))
		return r | PDPTE_RESERVED;
	if (w->levels == 3)
		r |= PAE_IGNORED;
	if (!w->nxe)
		r |= PTE_NX;
	if (level == 4)
		r |= PTE_PS;
	if (level > 1 && is_leaf(w, level, e))
		r |= (UINT64_C(1) << level_shift(w, level)) - 0x2000;
	return r;
}

static bool
allowed(const struct gwalk *w, uint64_t rights, unsigned access)
{
	bool user_page = (rights & PTE_U) != 0;

	if ((access & GWALK_USER) != 0 && !user_page)
		return false;
	if ((access & GWALK_WRITE) != 0 && (rights & PTE_W) == 0 &&
	    ((access & GWALK_USER) != 0 || w->wp))
		return false;
	if ((access & GWALK_FETCH) != 0 && (rights & PTE_NX) != 0)
		return false;
	if ((access & GWALK_USER) != 0 || !user_page)
		return true;
	return (access & GWALK_FETCH) != 0 ? !w->smep : !w->smap;
}

static int
page_fault(const struct walk *k, unsigned access, uint32_t code,
    struct gwalk_fault *f)
{
	/* Fetches are told apart only where they may be forbidden. */
	if (!k->w->nxe && !k->w->smep)
		access &= ~GWALK_FETCH;
	f->va = k->va;
	f->code = access | code;
	return -EFAULT;
}

/* Goes down to the entry of the page; the sum of all rights on the way. */
static int
descend(struct walk *k, unsigned access, struct gwalk_fault *f)
{
	const struct gwalk *w = k->w;
	uint64_t table = w->cr3 & w->address, e;

	if (w->levels < 4)
		table = w->cr3 & (w->legacy ? LEGACY_ADDRESS : 0xffffffe0);
	k->rights = PTE_U | PTE_W;
	for (k->level = w->levels;; k->level--) {
		read_entry(k, table);
		e = k->entry[k->level].val;
		if ((e & PTE_P) == 0)
			return page_fault(k, access, 0, f);
		if ((e & reserved_bits(w, k->level, e)) != 0)
			return page_fault(k, access,
			    GWALK_PRESENT | GWALK_RESERVED, f);
		if (!is_pdpte(w, k->level))
			k->rights = (k->rights & e & (PTE_U | PTE_W)) |
			    ((k->rights | e) & PTE_NX);
		if (is_leaf(w, k->level, e))
			break;
		table = w->legacy ? e & LEGACY_ADDRESS : e & w->address;
	}
	return allowed(w, k->rights, access) ? 0 :
	    page_fault(k, access, GWALK_PRESENT, f);
}

/* Sets bits of an entry as it was read; false if it is not that any more. */
static bool
mark(const struct walk *k, unsigned level, uint64_t bits)
{
	uint64_t old = k->entry[level].val;
	uint32_t old32 = (uint32_t)old;
	void *p = k->entry[level].p;

	if (p == NULL || (old & bits) == bits)
		return true;
	if (k->w->legacy)
		return __atomic_compare_exchange_n((uint32_t *)p, &old32,
		    (uint32_t)(old | bits), false, __ATOMIC_SEQ_CST,
		    __ATOMIC_RELAXED);
	return __atomic_compare_exchange_n((uint64_t *)p, &old, old | bits,
	    false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static bool
mark_all(const struct walk *k, unsigned access)
{
	unsigned level = k->w->levels;

	if (is_pdpte(k->w, level))
		level--;
	for (; level > k->level; level--)
		if (!mark(k, level, PTE_A))
			return false;
	return mark(k, level, (access & GWALK_WRITE) != 0 ? PTE_A | PTE_D :
	    PTE_A);
}

static uint64_t
leaf_address(const struct walk *k)
{
	uint64_t low = (UINT64_C(1) << level_shift(k->w, k->level)) - 1;
	uint64_t e = k->entry[k->level].val, base = e & k->w->address;

	if (k->w->legacy) {
		base = e & LEGACY_ADDRESS;
		if (k->level == 2)
			base |= (e >> 13 & 0xff) << 32;
	}
	return (base & ~low) | (k->va & low);
}

int
gwalk_page(const struct gwalk *w, uint64_t va, unsigned access, uint64_t *gpa,
    struct gwalk_fault *f)
{
	struct walk k = { .w = w, .va = va };
	unsigned tries;
	int error;

	if (w->levels == 0) {
		*gpa = va;
		return 0;
	}
	for (tries = 0; tries < TRIES; tries++) {
		error = descend(&k, access, f);
		if (error != 0)
			return error;
		if (mark_all(&k, access)) {
			*gpa = leaf_address(&k);
			return 0;
		}
	}
	return -EAGAIN;
}

int
gwalk_span(const struct gwalk *w, uint64_t va, unsigned len, uint64_t mask,
    unsigned access, struct gwalk_span *s, struct gwalk_fault *f)
{
	unsigned room = PAGE_SIZE - (va & (PAGE_SIZE - 1));
	int error;

	s->len[0] = len < room ? len : room;
	s->len[1] = len - s->len[0];
	error = gwalk_page(w, va, access, &s->gpa[0], f);
	if (error == 0 && s->len[1] != 0)
		error = gwalk_page(w, (va + room) & mask, access, &s->gpa[1],
		    f);
	return error;
}
