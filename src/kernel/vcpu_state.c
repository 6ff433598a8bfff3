// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The state of a vCPU as the daemon sees it, and at power-on.
 */
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/processor-flags.h>

#include "vmm.h"

int vcpu_get_state(struct vcpu *v, void __user *arg)
{
	struct vmm_state *s;
	int ret = 0;

	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	vmm_cpu->get_state(v, s);
	memcpy(s->dr, v->dr, sizeof(s->dr));
	s->xcr0 = v->xcr0;
	s->tsc = guest_tsc(v->vm);
	s->halted = v->halted;
	if (copy_to_user(arg, s, sizeof(*s)))
		ret = -EFAULT;
	kfree(s);
	return ret;
}

static int vcpu_apply_state(struct vcpu *v, const struct vmm_state *s)
{
	int ret;

	if (memchr_inv(s->reserved, 0, sizeof(s->reserved)) ||
	    memchr_inv(s->gdtr.reserved, 0, sizeof(s->gdtr.reserved)) ||
	    memchr_inv(s->idtr.reserved, 0, sizeof(s->idtr.reserved)) ||
	    s->halted > VMM_HALTED_SIPI || s->shadow > 1 || s->reserved0 ||
	    (s->nmi & ~(VMM_NMI_MASKED | VMM_NMI_PENDING)) ||
	    !fpu_xcr0_valid(s->xcr0))
		return -EINVAL;
	ret = vmm_cpu->set_state(v, s);
	if (ret)
		return ret;
	memcpy(v->dr, s->dr, sizeof(v->dr));
	v->xcr0 = s->xcr0;
	v->halted = s->halted;
	v->stuck = false;
	vcpu_end_hlt(v);
	v->shutdown = false;
	v->io_in = false;
	return 0;
}

int vcpu_set_state(struct vcpu *v, const void __user *arg)
{
	struct vmm_state *s;
	int ret;

	s = memdup_user(arg, sizeof(*s));
	if (IS_ERR(s))
		return PTR_ERR(s);
	ret = vcpu_apply_state(v, s);
	kfree(s);
	return ret;
}

static void segment(struct vmm_state *s, int seg, u16 ar)
{
	s->regs.seg[seg].limit = 0xffff;
	s->regs.seg[seg].ar = ar;
}

/* Power-on state: APM volume 2, table 14-1; SDM volume 3, table 9-1. */
int vcpu_reset(struct vcpu *v)
{
	struct vmm_state *s;
	int i, ret;

	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	for (i = VMM_ES; i <= VMM_GS; i++)
		segment(s, i, 0x93);
	segment(s, VMM_CS, 0x9b);
	segment(s, VMM_LDTR, 0x82);
	segment(s, VMM_TR, 0x8b);
	s->regs.seg[VMM_CS].selector = 0xf000;
	s->regs.seg[VMM_CS].base = 0xffff0000;
	s->regs.rip = 0xfff0;
	s->regs.rflags = X86_EFLAGS_FIXED;
	s->regs.cr0 = X86_CR0_ET | X86_CR0_NW | X86_CR0_CD;
	s->gdtr.limit = s->idtr.limit = 0xffff;
	s->dr6 = 0xffff0ff0;
	s->dr7 = 0x400;
	s->pat = 0x0007040600070406ULL;
	s->xcr0 = 1;
	s->halted = v->id == 0 ? VMM_HALTED_NO : VMM_HALTED_SIPI;
	ret = vcpu_apply_state(v, s);
	kfree(s);
	return ret;
}
