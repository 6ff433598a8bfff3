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

void svm_dr_intercept(struct vmcb *vmcb, bool on)
{
	vmcb->control.intercepts[INTERCEPT_DR] = on ? ~0U : 0;
	svm_changed(vmcb, SVM_CLEAN_INTERCEPTS);
}

void svm_dr_load(struct vcpu *v)
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

void svm_dr_save(struct vcpu *v, bool wanted)
{
	if (wanted)
		save_addresses(v);
	set_debugreg(DR6_RESERVED, 6);
	/* #VMEXIT has switched all breakpoints off, the host's too. */
	if (hw_breakpoint_active())
		hw_breakpoint_restore();
}
