// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Exits on AMD-V: one function each, and the two switches that call them.
 * Codes and what EXITINFO holds: APM volume 2, appendix C and chapter 15.
 */
#include <linux/kvm_para.h>
#include <asm/debugreg.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "svm.h"

/* EXITINFO1 of IOIO: 15.10.2 */
#define IOIO_IN		BIT(0)
#define IOIO_STRING	BIT(2)
#define IOIO_REP	BIT(3)
#define IOIO_SIZE(info)	(((info) >> 4) & 7)
#define IOIO_PORT(info)	((u16)((info) >> 16))

#define MSR_IS_WRITE	BIT(0)

/* EXITINFO1 of a nested page fault: 15.25.6 */
#define NPF_WRITE	BIT(1)
#define NPF_FETCH	BIT(4)

static void inject_exception(struct vcpu *v, u8 vector)
{
	svm_inject(v, VMM_EVENT_VALID | SVM_EVTINJ_TYPE_EXEPT | vector);
}

static void inject_exception_code(struct vcpu *v, u8 vector, u32 code)
{
	svm_inject(v, (u64)code << 32 | VMM_EVENT_VALID |
		   VMM_EVENT_HAS_ERROR | SVM_EVTINJ_TYPE_EXEPT | vector);
}

/* RFLAGS are still those from before it. */
void svm_instruction_done(struct vcpu *v)
{
	struct vmcb *vmcb = to_vmcb(v);

	vmcb->control.int_state &= ~SVM_INTERRUPT_SHADOW_MASK;
	if (unlikely(vmcb->save.rflags & X86_EFLAGS_TF)) {
		vmcb->save.dr6 |= DR_STEP;
		svm_changed(vmcb, SVM_CLEAN_DR);
		inject_exception(v, DB_VECTOR);
	}
}

/*
 * What follows the instruction that exited.  Where the CPU does not tell, `len`
 * is the instruction's length without prefixes: a guest that adds some confuses
 * only itself.
 */
static u64 next_rip(struct vcpu *v, unsigned int len)
{
	struct vmcb *vmcb = to_vmcb(v);

	if (svm_has(SVM_CAPS_EDX_NRIPS) && vmcb->control.next_rip)
		return vmcb->control.next_rip;
	return vmcb->save.rip + len;
}

static void skip(struct vcpu *v, unsigned int len)
{
	to_vmcb(v)->save.rip = next_rip(v, len);
	svm_instruction_done(v);
}

static enum next exit_cpuid(struct vcpu *v)
{
	cpuid_exec(v);
	skip(v, 2);
	return NEXT_ENTER;
}

static enum next exit_hlt(struct vcpu *v)
{
	skip(v, 1);
	if (svm_event_pending(v))
		return NEXT_ENTER;
	v->halted = VMM_HALTED_HLT;
	return NEXT_LOOP;
}

static enum next exit_io(struct vcpu *v)
{
	const struct vmcb_control_area *c = &to_vmcb(v)->control;
	u32 info = c->exit_info_1, flags = 0;
	struct vmm_run *run = v->run;

	if (!(info & (IOIO_IN | IOIO_STRING)) &&
	    doorbell_ring(v->vm, IOIO_PORT(info), IOIO_SIZE(info))) {
		skip(v, c->exit_info_2 - to_vmcb(v)->save.rip);
		return NEXT_ENTER;
	}
	if (info & IOIO_IN)
		flags |= VMM_IO_IN;
	if (info & IOIO_STRING)
		flags |= VMM_IO_STRING;
	if (info & IOIO_REP)
		flags |= VMM_IO_REP;
	run->reason = VMM_EXIT_IO;
	run->io.port = IOIO_PORT(info);
	run->io.size = IOIO_SIZE(info);
	run->io.flags = flags;
	run->io.data = to_vmcb(v)->save.rax;
	/* A string instruction stays where it is: the daemon performs it. */
	if (!(flags & VMM_IO_STRING)) {
		v->io_in = flags & VMM_IO_IN;
		v->io_size = IOIO_SIZE(info);
		skip(v, c->exit_info_2 - to_vmcb(v)->save.rip);
	}
	return NEXT_USER;
}

/* Other modes have registers of 32 bits. */
static u64 hypercall(struct vcpu *v)
{
	const struct vmcb *vmcb = to_vmcb(v);
	bool wide = (vmcb->save.efer & EFER_LMA) &&
		    (vmcb->save.cs.attrib & SVM_SELECTOR_L_MASK);
	u64 number = wide ? vmcb->save.rax : (u32)vmcb->save.rax;

	if (number != KVM_HC_KICK_CPU || !cpuid_has_unhalt(v->vm))
		return -KVM_ENOSYS;
	if (vmcb->save.cpl != 0)
		return -KVM_EPERM;
	apic_kick(v->vm, v->gpr[VMM_RCX]);
	return 0;
}

static enum next exit_vmmcall(struct vcpu *v)
{
	to_vmcb(v)->save.rax = hypercall(v);
	skip(v, 3);
	return NEXT_ENTER;
}

/* A loop of them; alone, a vCPU can only go on. */
static enum next exit_pause(struct vcpu *v)
{
	skip(v, 2);
	return READ_ONCE(v->vm->nvcpus) > 1 ? NEXT_SLOW : NEXT_ENTER;
}

static enum next exit_window(struct vcpu *v)
{
	svm_intr_window(v, 0);
	return v->window & WINDOW_WANTED ? NEXT_LOOP : NEXT_ENTER;
}

/*
 * The #MC was the host's: let it have its handler.  That one takes the kernel
 * for the culprit; the function with a guest's registers is not for modules.
 */
static enum next exit_machine_check(struct vcpu *v)
{
	asm volatile("int %0" : : "i" (MC_VECTOR));
	return NEXT_ENTER;
}

static enum next exit_shutdown(struct vcpu *v)
{
	v->shutdown = true;
	v->run->reason = VMM_EXIT_SHUTDOWN;
	return NEXT_USER;
}

static enum next exit_hw(struct vcpu *v, u32 reason)
{
	const struct vmcb_control_area *c = &to_vmcb(v)->control;

	v->run->reason = reason;
	v->run->hw.code = (u64)c->exit_code_hi << 32 | c->exit_code;
	v->run->hw.info[0] = c->exit_info_1;
	v->run->hw.info[1] = c->exit_info_2;
	return NEXT_USER;
}

static enum next exit_undefined(struct vcpu *v)
{
	inject_exception(v, UD_VECTOR);
	return NEXT_ENTER;
}

static u64 written_msr(struct vcpu *v)
{
	return v->gpr[VMM_RDX] << 32 | (u32)to_vmcb(v)->save.rax;
}

static void give_msr(struct vcpu *v, u64 val)
{
	to_vmcb(v)->save.rax = (u32)val;
	v->gpr[VMM_RDX] = val >> 32;
}

/* The registers of the local APIC, without a detour. */
static enum next exit_msr_apic(struct vcpu *v)
{
	const struct vmcb *vmcb = to_vmcb(v);
	u32 msr = v->gpr[VMM_RCX];
	u64 val;
	int ret;

	if (!apic_has_msr(msr))
		return NEXT_SLOW;
	if (vmcb->control.exit_info_1 & MSR_IS_WRITE) {
		ret = apic_write_msr(v, msr, written_msr(v));
	} else {
		ret = apic_read_msr(v, msr, &val);
		if (ret == 0)
			give_msr(v, val);
	}
	if (ret < 0) {
		inject_exception_code(v, GP_VECTOR, 0);
		return NEXT_ENTER;
	}
	skip(v, 2);
	if (ret == 0)
		return NEXT_ENTER;
	v->run->reason = VMM_EXIT_EOI;
	v->run->eoi.vector = ret;
	return NEXT_USER;
}

enum next svm_handle_fast(struct vcpu *v)
{
	const struct vmcb_control_area *c = &to_vmcb(v)->control;

	if (unlikely(c->exit_code == (u32)SVM_EXIT_ERR))
		return exit_hw(v, VMM_EXIT_INVALID);
	svm_keep_event(v);
	if (unlikely(to_svm(v)->nmi_iret))
		svm_end_nmi(v);
	switch (c->exit_code) {
	case SVM_EXIT_INTR:
	case SVM_EXIT_NMI:
	case SVM_EXIT_SMI:
	case SVM_EXIT_INIT:
		return NEXT_ENTER;
	case SVM_EXIT_CPUID:
		return exit_cpuid(v);
	case SVM_EXIT_IOIO:
		return exit_io(v);
	case SVM_EXIT_HLT:
		return exit_hlt(v);
	case SVM_EXIT_IRET:
		return svm_exit_iret(v);
	case SVM_EXIT_VINTR:
		return exit_window(v);
	case SVM_EXIT_READ_DR0 ... SVM_EXIT_WRITE_DR7 + 8:
		to_svm(v)->dr_wanted = true;
		return NEXT_ENTER;
	case SVM_EXIT_VMMCALL:
		return exit_vmmcall(v);
	case SVM_EXIT_INVD:
	case SVM_EXIT_WBINVD:
		skip(v, 2);
		return NEXT_ENTER;
	case SVM_EXIT_EXCP_BASE + DB_VECTOR:
		inject_exception(v, DB_VECTOR);
		return NEXT_ENTER;
	case SVM_EXIT_EXCP_BASE + AC_VECTOR:
		inject_exception_code(v, AC_VECTOR, 0);
		return NEXT_ENTER;
	case SVM_EXIT_EXCP_BASE + MC_VECTOR:
		return exit_machine_check(v);
	case SVM_EXIT_RDPMC:
		inject_exception_code(v, GP_VECTOR, 0);
		return NEXT_ENTER;
	case SVM_EXIT_VMRUN:
	case SVM_EXIT_VMLOAD:
	case SVM_EXIT_VMSAVE:
	case SVM_EXIT_STGI:
	case SVM_EXIT_CLGI:
	case SVM_EXIT_SKINIT:
	case SVM_EXIT_INVLPGA:
	case SVM_EXIT_RSM:
	case SVM_EXIT_RDTSCP:
	case SVM_EXIT_MONITOR:
	case SVM_EXIT_MWAIT:
	case SVM_EXIT_RDPRU:
		return exit_undefined(v);
	case SVM_EXIT_SHUTDOWN:
		return exit_shutdown(v);
	case SVM_EXIT_MSR:
		return exit_msr_apic(v);
	case SVM_EXIT_PAUSE:
		return exit_pause(v);
	case SVM_EXIT_NPF:
	case SVM_EXIT_XSETBV:
		return NEXT_SLOW;
	default:
		return exit_hw(v, VMM_EXIT_UNKNOWN);
	}
}

/* Fewer than the instruction has, or none, if the CPU could not: 15.8.4. */
static void show_bytes(const struct vmcb_control_area *c, struct vmm_run *run)
{
	u8 len = 0;

	if (svm_has(SVM_CAPS_EDX_DECODE))
		len = c->insn_len & 0xf;
	memcpy(run->memory.insn, c->insn_bytes, len);
	run->memory.insn_len = len;
}

static enum next exit_npf(struct vcpu *v)
{
	const struct vmcb_control_area *c = &to_vmcb(v)->control;
	struct vmm_run *run = v->run;
	int ret;

	ret = mem_fault(v->vm, c->exit_info_2);
	if (ret == 0)
		return NEXT_LOOP;
	if (ret == -ENOENT) {
		run->reason = VMM_EXIT_MEMORY;
		run->memory.gpa = c->exit_info_2;
		run->memory.flags = 0;
		if (c->exit_info_1 & NPF_WRITE)
			run->memory.flags |= VMM_MEMORY_WRITE;
		if (c->exit_info_1 & NPF_FETCH)
			run->memory.flags |= VMM_MEMORY_FETCH;
		if (c->exit_int_info & SVM_EXITINTINFO_VALID)
			run->memory.flags |= VMM_MEMORY_EVENT;
		show_bytes(c, run);
		return NEXT_USER;
	}
	run->reason = VMM_EXIT_FAULT;
	run->fault.gpa = c->exit_info_2;
	run->fault.error = ret;
	return NEXT_USER;
}

/* RIP stays where it is: the daemon performs the instruction, or refuses. */
static enum next exit_msr_unknown(struct vcpu *v, u32 msr, bool write)
{
	struct vmm_run *run = v->run;

	run->reason = VMM_EXIT_MSR;
	run->msr.index = msr;
	run->msr.flags = write ? VMM_MSR_WRITE : 0;
	run->msr.next_rip = next_rip(v, 2);
	return NEXT_USER;
}

static enum next exit_msr(struct vcpu *v)
{
	bool write = to_vmcb(v)->control.exit_info_1 & MSR_IS_WRITE;
	u32 msr = v->gpr[VMM_RCX];
	u64 val;
	int ret;

	if (write) {
		ret = msr_write(v, msr, written_msr(v));
	} else {
		ret = msr_read(v, msr, &val);
		if (ret == 0)
			give_msr(v, val);
	}
	if (ret == -ENOENT)
		return exit_msr_unknown(v, msr, write);
	if (ret == 0)
		skip(v, 2);
	else
		inject_exception_code(v, GP_VECTOR, 0);
	return NEXT_LOOP;
}

static enum next exit_xsetbv(struct vcpu *v)
{
	u64 val = written_msr(v);

	if (to_vmcb(v)->save.cpl == 0 && (u32)v->gpr[VMM_RCX] == 0 &&
	    fpu_xcr0_valid(val)) {
		v->xcr0 = val;
		skip(v, 3);
	} else {
		inject_exception_code(v, GP_VECTOR, 0);
	}
	return NEXT_LOOP;
}

enum next svm_handle_slow(struct vcpu *v)
{
	switch (to_vmcb(v)->control.exit_code) {
	case SVM_EXIT_NPF:
		return exit_npf(v);
	case SVM_EXIT_MSR:
		return exit_msr(v);
	case SVM_EXIT_XSETBV:
		return exit_xsetbv(v);
	case SVM_EXIT_PAUSE:
		yield_spinning(v);
		return NEXT_LOOP;
	default:
		return exit_hw(v, VMM_EXIT_UNKNOWN);
	}
}
