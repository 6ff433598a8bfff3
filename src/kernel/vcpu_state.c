// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The state of a vCPU: as the daemon sees it, at power-on, and by INIT and a
 * start-up IPI.
 */
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/processor-flags.h>

#include "vmm.h"

/* To be freed; NULL: no memory. */
static struct vmm_state *vcpu_state(struct vcpu *v)
{
	struct vmm_state *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return NULL;
	vmm_cpu->get_state(v, s);
	memcpy(s->dr, v->dr, sizeof(s->dr));
	s->xcr0 = v->xcr0;
	s->tsc = guest_tsc(v->vm);
	s->halted = v->halted;
	s->stuck = vcpu_is_stuck(v);
	s->kicked = v->kicked;
	return s;
}

int vcpu_get_state(struct vcpu *v, void __user *arg)
{
	struct vmm_state *s;
	int ret;

	/* An NMI or a kick on its way is part of it. */
	apic_take(v);
	s = vcpu_state(v);
	if (!s)
		return -ENOMEM;
	ret = copy_to_user(arg, s, sizeof(*s)) ? -EFAULT : 0;
	kfree(s);
	return ret;
}

static int vcpu_apply_state(struct vcpu *v, const struct vmm_state *s)
{
	int ret;

	if (s->reserved || s->reserved2 || s->kicked > 1 ||
	    memchr_inv(s->gdtr.reserved, 0, sizeof(s->gdtr.reserved)) ||
	    memchr_inv(s->idtr.reserved, 0, sizeof(s->idtr.reserved)) ||
	    s->halted > VMM_HALTED_SIPI || s->shadow > 1 ||
	    (s->nmi & ~(VMM_NMI_MASKED | VMM_NMI_PENDING)) ||
	    !fpu_xcr0_valid(s->xcr0))
		return -EINVAL;
	ret = vmm_cpu->set_state(v, s);
	if (ret)
		return ret;
	memcpy(v->dr, s->dr, sizeof(v->dr));
	v->xcr0 = s->xcr0;
	lapic_set_cr8(&v->lapic, s->cr8);
	v->halted = s->halted;
	v->kicked = s->kicked;
	WRITE_ONCE(v->stuck, false);
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

/* What power-on and INIT have in common: APM volume 2, table 14-1. */
static void reset_common(struct vcpu *v, struct vmm_state *s)
{
	int i;

	memset(&s->regs, 0, sizeof(s->regs));
	for (i = VMM_ES; i <= VMM_GS; i++)
		segment(s, i, 0x93);
	segment(s, VMM_CS, 0x9b);
	segment(s, VMM_LDTR, 0x82);
	segment(s, VMM_TR, 0x8b);
	s->regs.seg[VMM_CS].selector = 0xf000;
	s->regs.seg[VMM_CS].base = 0xffff0000;
	s->regs.rip = 0xfff0;
	s->regs.rflags = X86_EFLAGS_FIXED;
	s->regs.cr0 = X86_CR0_ET;
	s->gdtr.base = s->idtr.base = 0;
	s->gdtr.limit = s->idtr.limit = 0xffff;
	s->cr8 = 0;
	memset(s->dr, 0, sizeof(s->dr));
	s->dr6 = 0xffff0ff0;
	s->dr7 = 0x400;
	s->event = s->next_event = 0;
	s->nmi = s->shadow = s->kicked = 0;
	/* The boot processor begins at once. */
	s->halted = v->id == 0 ? VMM_HALTED_NO : VMM_HALTED_SIPI;
}

int vcpu_reset(struct vcpu *v)
{
	struct vmm_state *s;
	int ret;

	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	reset_common(v, s);
	s->regs.cr0 |= X86_CR0_NW | X86_CR0_CD;
	s->pat = 0x0007040600070406ULL;
	s->xcr0 = 1;
	ret = vcpu_apply_state(v, s);
	kfree(s);
	return ret;
}

/*
 * The FPU and most MSRs stay, but not those that name memory to be written to:
 * whose that is from now on nobody knows.
 */
int vcpu_init(struct vcpu *v)
{
	struct vmm_state *s;
	u64 cr0;
	int ret;

	s = vcpu_state(v);
	if (!s)
		return -ENOMEM;
	steal_set(v, 0);
	eoi_set(v, 0);
	pvclock_set_system_time(v, 0);
	cr0 = s->regs.cr0 & (X86_CR0_NW | X86_CR0_CD);
	reset_common(v, s);
	s->regs.cr0 |= cr0;
	ret = vcpu_apply_state(v, s);
	kfree(s);
	return ret;
}

int vcpu_start(struct vcpu *v, u8 vector)
{
	struct vmm_state *s;
	int ret;

	s = vcpu_state(v);
	if (!s)
		return -ENOMEM;
	s->regs.seg[VMM_CS].selector = vector << 8;
	s->regs.seg[VMM_CS].base = vector << 12;
	s->regs.rip = 0;
	s->halted = VMM_HALTED_NO;
	ret = vcpu_apply_state(v, s);
	kfree(s);
	return ret;
}
