/* SPDX-License-Identifier: ISC */
/*
 * Registers of a KVM vCPU to and from the backend-neutral form.
 *
 * vCPU thread, while the vCPU does not run.
 */
#include <sys/ioctl.h>

#include <linux/kvm.h>

#include <errno.h>
#include <stdint.h>

#include "vmm/hv.h"
#include "vmm/hv_kvm.h"

static struct hv_segment
segment_from_kvm(const struct kvm_segment *k)
{
	struct hv_segment s = {
		.base = k->base, .limit = k->limit, .selector = k->selector,
	};

	/* Not present is how we say unusable. */
	if (!k->unusable)
		s.ar = (uint16_t)(k->type | k->s << 4 | k->dpl << 5 |
		    k->present << 7 | k->avl << 12 | k->l << 13 | k->db << 14 |
		    k->g << 15);
	return s;
}

static struct kvm_segment
segment_to_kvm(const struct hv_segment *s)
{
	struct kvm_segment k = {
		.base = s->base, .limit = s->limit, .selector = s->selector,
		.type = s->ar & 0xf, .s = s->ar >> 4 & 1,
		.dpl = s->ar >> 5 & 3, .present = s->ar >> 7 & 1,
		.avl = s->ar >> 12 & 1, .l = s->ar >> 13 & 1,
		.db = s->ar >> 14 & 1, .g = s->ar >> 15 & 1,
		.unusable = (s->ar >> 7 & 1) == 0,
	};

	return k;
}

static void
system_from_kvm(struct hv_regs *r, const struct kvm_sregs *s)
{
	r->cr0 = s->cr0;
	r->cr2 = s->cr2;
	r->cr3 = s->cr3;
	r->cr4 = s->cr4;
	r->efer = s->efer;
	r->cs = segment_from_kvm(&s->cs);
	r->ds = segment_from_kvm(&s->ds);
	r->es = segment_from_kvm(&s->es);
	r->fs = segment_from_kvm(&s->fs);
	r->gs = segment_from_kvm(&s->gs);
	r->ss = segment_from_kvm(&s->ss);
	r->tr = segment_from_kvm(&s->tr);
	r->ldtr = segment_from_kvm(&s->ldt);
	r->gdtr.base = s->gdt.base;
	r->gdtr.limit = s->gdt.limit;
	r->idtr.base = s->idt.base;
	r->idtr.limit = s->idt.limit;
}

static void
system_to_kvm(struct kvm_sregs *s, const struct hv_regs *r)
{
	s->cr0 = r->cr0;
	s->cr2 = r->cr2;
	s->cr3 = r->cr3;
	s->cr4 = r->cr4;
	s->efer = r->efer;
	s->cs = segment_to_kvm(&r->cs);
	s->ds = segment_to_kvm(&r->ds);
	s->es = segment_to_kvm(&r->es);
	s->fs = segment_to_kvm(&r->fs);
	s->gs = segment_to_kvm(&r->gs);
	s->ss = segment_to_kvm(&r->ss);
	s->tr = segment_to_kvm(&r->tr);
	s->ldt = segment_to_kvm(&r->ldtr);
	s->gdt.base = r->gdtr.base;
	s->gdt.limit = r->gdtr.limit;
	s->idt.base = r->idtr.base;
	s->idt.limit = r->idtr.limit;
}

int
hv_kvm_get_regs(int vcpu, struct hv_regs *r)
{
	struct kvm_regs k;
	struct kvm_sregs s;

	if (ioctl(vcpu, KVM_GET_REGS, &k) == -1 ||
	    ioctl(vcpu, KVM_GET_SREGS, &s) == -1)
		return -errno;
	*r = (struct hv_regs){
		.gpr = {
			k.rax, k.rcx, k.rdx, k.rbx, k.rsp, k.rbp, k.rsi, k.rdi,
			k.r8, k.r9, k.r10, k.r11, k.r12, k.r13, k.r14, k.r15,
		},
		.rip = k.rip, .rflags = k.rflags,
	};
	system_from_kvm(r, &s);
	return 0;
}

int
hv_kvm_set_regs(int vcpu, const struct hv_regs *r)
{
	const uint64_t *g = r->gpr;
	struct kvm_regs k = {
		.rax = g[HV_RAX], .rcx = g[HV_RCX], .rdx = g[HV_RDX],
		.rbx = g[HV_RBX], .rsp = g[HV_RSP], .rbp = g[HV_RBP],
		.rsi = g[HV_RSI], .rdi = g[HV_RDI],
		.r8 = g[8], .r9 = g[9], .r10 = g[10], .r11 = g[11],
		.r12 = g[12], .r13 = g[13], .r14 = g[14], .r15 = g[15],
		.rip = r->rip, .rflags = r->rflags,
	};
	struct kvm_sregs s;

	/* What we have no name for (apic_base, cr8) stays as it is. */
	if (ioctl(vcpu, KVM_GET_SREGS, &s) == -1)
		return -errno;
	system_to_kvm(&s, r);
	if (ioctl(vcpu, KVM_SET_SREGS, &s) == -1 ||
	    ioctl(vcpu, KVM_SET_REGS, &k) == -1)
		return -errno;
	return 0;
}
