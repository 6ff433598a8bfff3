// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Steal time, as Linux guests know it from KVM: each vCPU has a structure in
 * guest memory that says for how long its thread was ready to run and had no
 * CPU, and whether it is so just now.
 */
#include <linux/minmax.h>
#include <linux/sched/stat.h>
#include <asm/kvm_para.h>

#include "kcompat.h"
#include "vmm.h"

bool steal_supported(void)
{
	return sched_info_on();
}

static int steal_write(struct vcpu *v, size_t offset, const void *src,
		       size_t len)
{
	const u64 gpa = v->steal.msr & KVM_STEAL_VALID_BITS;

	return mem_write(v->vm, gpa + offset, src, len);
}

#define STEAL_WRITE(v, member, value)					\
({									\
	typeof_member(struct kvm_steal_time, member) member_ = (value);	\
									\
	steal_write((v), offsetof(struct kvm_steal_time, member),	\
		    &member_, sizeof(member_));				\
})

int steal_set(struct vcpu *v, u64 val)
{
	const struct kvm_steal_time t = {
		.steal = v->steal.ns, .version = v->steal.version,
	};
	const u64 old = v->steal.msr;

	if (val & KVM_STEAL_RESERVED_MASK)
		return -EPERM;
	v->steal.msr = val;
	if (!(val & KVM_MSR_ENABLED))
		return 0;
	if (steal_write(v, 0, &t, sizeof(t))) {
		v->steal.msr = old;
		return -EPERM;
	}
	v->steal.delay = kcompat_run_delay();
	return 0;
}

/*
 * The vCPU does not run meanwhile, but others may look: its version is odd
 * until the rest is right.  Writes to memory keep their order.
 */
void steal_update(struct vcpu *v)
{
	const u64 delay = kcompat_run_delay();

	if (!(v->steal.msr & KVM_MSR_ENABLED) ||
	    (delay == v->steal.delay && !v->steal.preempted))
		return;
	/* Another thread has another count. */
	v->steal.ns += max_t(s64, delay - v->steal.delay, 0);
	v->steal.delay = delay;
	v->steal.preempted = false;
	v->steal.version += 2;
	STEAL_WRITE(v, version, v->steal.version - 1);
	STEAL_WRITE(v, steal, v->steal.ns);
	STEAL_WRITE(v, preempted, 0);
	STEAL_WRITE(v, version, v->steal.version);
}

void steal_preempted(struct vcpu *v)
{
	const u8 yes = KVM_VCPU_PREEMPTED;
	u64 gpa = v->steal.msr & KVM_STEAL_VALID_BITS;

	if (!(v->steal.msr & KVM_MSR_ENABLED))
		return;
	gpa += offsetof(struct kvm_steal_time, preempted);
	v->steal.preempted = mem_write_now(v->vm, gpa, &yes, sizeof(yes)) == 0;
}
