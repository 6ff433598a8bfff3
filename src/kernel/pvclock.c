// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The paravirtual clock that Linux and OpenBSD guests know from KVM: a page
 * of the guest's that says how to turn its TSC into nanoseconds.
 *
 * The guest's TSC is the host's less a constant, so what is written once
 * stays true for as long as the VM lives.
 */
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/time64.h>
#include <asm/pvclock-abi.h>
#include <asm/tsc.h>

#include "vmm.h"

#define PVCLOCK_ENABLE	1ULL

/* The TSC runs at tsc_khz; ns = ((ticks << shift) * mul) >> 32. */
static void pvclock_scale(u32 khz, u32 *mul, s8 *shift)
{
	u64 hz = khz * 1000ULL, scaled = NSEC_PER_SEC;
	s8 s = 0;

	/* Bring the quotient into [1/2, 1), where mul has 32 bits. */
	while (scaled >= hz) {
		hz <<= 1;
		s++;
	}
	while (scaled * 2 < hz) {
		hz >>= 1;
		s--;
	}
	*mul = div64_u64(scaled << 32, hz);
	*shift = s;
}

u64 guest_tsc(const struct vm *vm)
{
	return rdtsc_ordered() - vm->tsc_base;
}

int pvclock_set_system_time(struct vcpu *v, u64 val)
{
	struct pvclock_vcpu_time_info t = {
		.version = 2,
		.tsc_timestamp = 0,
		.system_time = 0,
		.flags = check_tsc_unstable() ? 0 : PVCLOCK_TSC_STABLE_BIT,
	};

	if (val & PVCLOCK_ENABLE) {
		u64 gpa = val & ~PVCLOCK_ENABLE;

		/* Aligned to 4 bytes, and never over the end of a page. */
		if (!IS_ALIGNED(gpa, 4) ||
		    offset_in_page(gpa) + sizeof(t) > PAGE_SIZE)
			return -EPERM;
		pvclock_scale(tsc_khz, &t.tsc_to_system_mul, &t.tsc_shift);
		if (mem_write(v->vm, gpa, &t, sizeof(t)))
			return -EPERM;
	}
	v->pvclock.system_time = val;
	return 0;
}

int pvclock_set_wall_clock(struct vcpu *v, u64 val)
{
	struct pvclock_wall_clock w = { .version = 2 };
	u32 nsec;

	w.sec = div_u64_rem(v->vm->wall_base, NSEC_PER_SEC, &nsec);
	w.nsec = nsec;
	if (!IS_ALIGNED(val, 4) || mem_write(v->vm, val, &w, sizeof(w)))
		return -EPERM;
	v->pvclock.wall_clock = val;
	return 0;
}
