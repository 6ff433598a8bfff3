/* SPDX-License-Identifier: ISC */
/*
 * Bits of the processor's registers that more than one file needs.  APM
 * volume 2, 3.1.
 */
#ifndef VMMD_X86_H
#define VMMD_X86_H

#include <stdint.h>

#define CR0_PE		(UINT64_C(1) << 0)
#define CR0_WP		(UINT64_C(1) << 16)
#define CR0_PG		(UINT64_C(1) << 31)

#define CR4_PSE		(UINT64_C(1) << 4)
#define CR4_PAE		(UINT64_C(1) << 5)
#define CR4_SMEP	(UINT64_C(1) << 20)
#define CR4_SMAP	(UINT64_C(1) << 21)

#define EFER_LMA	(UINT64_C(1) << 10)
#define EFER_NXE	(UINT64_C(1) << 11)

#define RFLAGS_CF	(UINT64_C(1) << 0)
#define RFLAGS_PF	(UINT64_C(1) << 2)
#define RFLAGS_AF	(UINT64_C(1) << 4)
#define RFLAGS_ZF	(UINT64_C(1) << 6)
#define RFLAGS_SF	(UINT64_C(1) << 7)
#define RFLAGS_TF	(UINT64_C(1) << 8)
#define RFLAGS_DF	(UINT64_C(1) << 10)
#define RFLAGS_OF	(UINT64_C(1) << 11)
#define RFLAGS_RF	(UINT64_C(1) << 16)
#define RFLAGS_VM	(UINT64_C(1) << 17)
#define RFLAGS_AC	(UINT64_C(1) << 18)

/* struct hv_segment.ar */
#define SEG_TYPE_CODE	0x0008
#define SEG_TYPE_DOWN	0x0004		/* data: expands down */
#define SEG_TYPE_RW	0x0002		/* data: writable; code: readable */
#define SEG_DPL_SHIFT	5
#define SEG_P		0x0080
#define SEG_L		0x2000
#define SEG_D		0x4000

#define VECTOR_DB	1
#define VECTOR_UD	6
#define VECTOR_SS	12
#define VECTOR_GP	13
#define VECTOR_PF	14

#endif /* VMMD_X86_H */
