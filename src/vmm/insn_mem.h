/* SPDX-License-Identifier: ISC */
/*
 * From an instruction's operand to guest-physical addresses: effective
 * address, segment, pages.
 */
#ifndef VMMD_INSN_MEM_H
#define VMMD_INSN_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/gwalk.h"
#include "vmm/insn.h"
#include "vmm/insn_code.h"

/* What addresses depend on, for one exit. */
struct insn_mem {
	const struct hv_regs	*r;
	const struct gmem	*gm;
	struct gwalk		 walk;
	enum insn_mode		 mode;
	bool			 user;		/* CPL 3 */
};

void insn_mem_init(struct insn_mem *m, const struct gmem *gm,
    const struct hv_regs *r, unsigned phys_bits);

/*
 * Copies `n` bytes at RIP, of one page or of two.  0; -EFAULT and *f; -EAGAIN
 * as gwalk_page(); -ENXIO if no RAM is there.
 */
int insn_mem_fetch(const struct insn_mem *m, uint8_t *bytes, size_t n,
    struct insn_fault *f, uint64_t *cr2);

/* Does an instruction of so many bytes lie within CS? */
bool insn_mem_fits(const struct insn_mem *m, unsigned length);

/*
 * Where operand `n` of an instruction is, for an access as its flags say.  0;
 * -EFAULT and *f, with *cr2 set for a page fault; -EAGAIN.
 */
int insn_mem_locate(const struct insn_mem *m, const struct insn_code *c,
    unsigned n, struct gwalk_span *s, struct insn_fault *f, uint64_t *cr2);

#endif /* VMMD_INSN_MEM_H */
