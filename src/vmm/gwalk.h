/* SPDX-License-Identifier: ISC */
/*
 * The guest's own page tables, walked as its processor would: from a linear
 * address to a guest-physical one, or to the page fault to raise.
 *
 * For the thread of the vCPU whose registers these are, while it does not run;
 * its other vCPUs may change the tables at any time.  Entries outside RAM read
 * all ones.  Protection keys are not looked at: they need the FPU's state.
 */
#ifndef VMMD_GWALK_H
#define VMMD_GWALK_H

#include <stdbool.h>
#include <stdint.h>

struct gmem;
struct hv_regs;

/* Kinds of access, and the bits of a page fault's error code. */
#define GWALK_PRESENT	(1U << 0)	/* in error codes only, as the next */
#define GWALK_WRITE	(1U << 1)
#define GWALK_USER	(1U << 2)
#define GWALK_RESERVED	(1U << 3)
#define GWALK_FETCH	(1U << 4)

/* All that a walk depends on; immutable once made, valid for one exit. */
struct gwalk {
	const struct gmem	*gm;
	uint64_t		 cr3;
	uint64_t		 address;	/* bits of a physical address */
	unsigned		 levels;	/* 0: no paging */
	bool			 legacy;	/* entries of 32 bits */
	bool			 pse, wp, nxe, smep;
	bool			 smap;		/* in force: AC is clear */
};

/* A page fault: what goes to CR2, and the error code. */
struct gwalk_fault {
	uint64_t	va;
	uint32_t	code;
};

/* Where bytes that follow each other in linear memory are: one page or two. */
struct gwalk_span {
	uint64_t	gpa[2];
	unsigned	len[2];		/* of the second, maybe 0 */
};

/* `phys_bits`: the width of the guest's physical addresses, 32 to 52. */
void gwalk_init(struct gwalk *w, const struct gmem *gm,
    const struct hv_regs *r, unsigned phys_bits);

/*
 * Translates `va` for an access of GWALK_* bits, and marks entries accessed
 * and dirty.  0; -EFAULT and *f, with no entry marked; -EAGAIN if others
 * changed the tables too often meanwhile.
 */
int gwalk_page(const struct gwalk *w, uint64_t va, unsigned access,
    uint64_t *gpa, struct gwalk_fault *f);

/*
 * The same for [va, va + len), at most a page; `mask` is the highest linear
 * address, at which addresses wrap.  Both pages are walked before anything is
 * said about either.
 */
int gwalk_span(const struct gwalk *w, uint64_t va, unsigned len, uint64_t mask,
    unsigned access, struct gwalk_span *s, struct gwalk_fault *f);

#endif /* VMMD_GWALK_H */
