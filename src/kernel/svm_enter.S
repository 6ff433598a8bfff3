/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The way into a guest and back on AMD-V: APM volume 2, 15.5 and 15.6.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/alternative.h>
#include <asm/asm.h>
#include <asm/frame.h>
#include <asm/nospec-branch.h>

/* Some 6.12 kernels do not know this leak of the host's stores yet. */
#ifdef X86_FEATURE_CLEAR_CPU_BUF_VM
#define KCOMPAT_CLEAR_CPU_BUFFERS VM_CLEAR_CPU_BUFFERS
#else
#define KCOMPAT_CLEAR_CPU_BUFFERS
#endif

/* Offsets into the array of general registers: VMM_RAX and so on, times 8 */
#define GPR_RCX		8
#define GPR_RDX		16
#define GPR_RBX		24
#define GPR_RBP		40
#define GPR_RSI		48
#define GPR_RDI		56
#define GPR_R(n)	((n) * 8)

	.section .noinstr.text, "ax"

/*
 * void svm_enter(u64 vmcb_pa, u64 host_pa, u64 *gpr)
 *
 * VMRUN switches RAX, RSP and what the VMCB holds; VMLOAD and VMSAVE switch
 * FS, GS, TR, LDTR and the SYSCALL and SYSENTER MSRs; the rest is ours.
 *
 * The interrupt flag that VMRUN finds decides whether physical interrupts end
 * guest mode, so it must be set; CLGI keeps them out, and NMIs, until the
 * caller says STGI.
 */
SYM_FUNC_START(svm_enter)
	push	%rbp
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%rbx
	push	%rdx
	push	%rsi

	mov	%rdi, %rax
	mov	GPR_RCX(%rdx), %rcx
	mov	GPR_RBX(%rdx), %rbx
	mov	GPR_RBP(%rdx), %rbp
	mov	GPR_RSI(%rdx), %rsi
	mov	GPR_RDI(%rdx), %rdi
	mov	GPR_R(8)(%rdx), %r8
	mov	GPR_R(9)(%rdx), %r9
	mov	GPR_R(10)(%rdx), %r10
	mov	GPR_R(11)(%rdx), %r11
	mov	GPR_R(12)(%rdx), %r12
	mov	GPR_R(13)(%rdx), %r13
	mov	GPR_R(14)(%rdx), %r14
	mov	GPR_R(15)(%rdx), %r15
	mov	GPR_RDX(%rdx), %rdx

	KCOMPAT_CLEAR_CPU_BUFFERS
	clgi
	sti
	vmload	%rax
	vmrun	%rax
	vmsave	%rax
	pop	%rax
	vmload	%rax
	cli

	pop	%rax
	mov	%rcx, GPR_RCX(%rax)
	mov	%rdx, GPR_RDX(%rax)
	mov	%rbx, GPR_RBX(%rax)
	mov	%rbp, GPR_RBP(%rax)
	mov	%rsi, GPR_RSI(%rax)
	mov	%rdi, GPR_RDI(%rax)
	mov	%r8, GPR_R(8)(%rax)
	mov	%r9, GPR_R(9)(%rax)
	mov	%r10, GPR_R(10)(%rax)
	mov	%r11, GPR_R(11)(%rax)
	mov	%r12, GPR_R(12)(%rax)
	mov	%r13, GPR_R(13)(%rax)
	mov	%r14, GPR_R(14)(%rax)
	mov	%r15, GPR_R(15)(%rax)

	/* No return may be predicted from what the guest left behind. */
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RETPOLINE
	UNTRAIN_RET
	ALTERNATIVE "", "call entry_ibpb", X86_FEATURE_IBPB_ON_VMEXIT

	/* Nor may a register be speculated on that still holds its values. */
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%esi, %esi
	xor	%edi, %edi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d

	pop	%rbx
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	pop	%rbp
	RET
SYM_FUNC_END(svm_enter)
STACK_FRAME_NON_STANDARD svm_enter
