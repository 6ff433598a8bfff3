// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Debug registers on AMD-V: VMRUN switches DR6 and DR7.  DR0-3 are the guest's
 * for one entry, if it uses them; else its access to them exits.  The host's
 * DR7 must not be on while they are: it would watch addresses that the guest
 * chose.
 */
#include <asm/processor.h>

#include "svm.h"

#define DR7_FIXED	0x400UL
#define DR7_IO_TYPES	0xeeee0400UL	/* of breakpoints that are off */

void svm_dr_intercept(struct vmcb *vmcb, bool on)
{
	vmcb->control.intercepts[INTERCEPT_DR] = on ? ~0U : 0;
	svm_changed(vmcb, SVM_CLEAN_INTERCEPTS);
}

static void load_addresses(struct vcpu *v)
{
	if (hw_breakpoint_active())
		set_debugreg(DR7_FIXED, 7);
	set_debugreg(v->dr[0], 0);
	set_debugreg(v->dr[1], 1);
	set_debugreg(v->dr[2], 2);
	set_debugreg(v->dr[3], 3);
	svm_dr_intercept(to_vmcb(v), false);
}

static void save_addresses(struct vcpu *v)
{
	get_debugreg(v->dr[0], 0);
	get_debugreg(v->dr[1], 1);
	get_debugreg(v->dr[2], 2);
	get_debugreg(v->dr[3], 3);
	to_svm(v)->dr_wanted = false;
	svm_dr_intercept(to_vmcb(v), true);
}

/*
 * QEMU's translator has VMRUN and #VMEXIT change the value of DR7 alone.  It
 * sets breakpoints on MOV to DR7, and clears them then by the types that DR7
 * had before: none, if those were of I/O.
 */
static void svm_emulate_dr7_load(u64 dr7)
{
	u64 type;
	int i;

	/* What is off the guest may switch on, with another type. */
	for (i = 0; i < HBP_NUM; i++) {
		type = 0xfULL << (16 + 4 * i);
		if (!(dr7 & (3ULL << 2 * i)))
			dr7 = (dr7 & ~type) | (DR7_IO_TYPES & type);
	}
	set_debugreg(dr7, 7);
}

static void svm_emulate_dr7_save(u64 dr7)
{
	set_debugreg(dr7 & ~DR7_ENABLED, 7);
	set_debugreg(DR7_IO_TYPES, 7);
}

/* Called if the guest wants them, or the host has breakpoints. */
void svm_dr_load(struct vcpu *v, bool wanted)
{
	if (wanted)
		load_addresses(v);
	if (svm_emulated)
		svm_emulate_dr7_load(to_vmcb(v)->save.dr7);
}

/* The same, or the guest's DR6 is not as the host expects it in its #DB. */
void svm_dr_save(struct vcpu *v, bool wanted)
{
	if (wanted) {
		save_addresses(v);
		if (svm_emulated)
			svm_emulate_dr7_save(to_vmcb(v)->save.dr7);
	}
	set_debugreg(DR6_RESERVED, 6);
	/* #VMEXIT has switched all breakpoints off, the host's too. */
	if (hw_breakpoint_active())
		hw_breakpoint_restore();
}
