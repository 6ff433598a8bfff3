// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A vCPU that spins waits for another, which may have no CPU because it is
 * somebody else's, perhaps the spinning one's.
 */
#include <linux/bits.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/spinlock.h>

#include "vmm.h"
#include "yield.h"

/* To so many at most before the guest goes on: each takes locks of others. */
#define YIELD_TRIES	4

void yield_set_task(struct vcpu *v, struct task_struct *task)
{
	struct task_struct *old;

	if (task)
		get_task_struct(task);
	spin_lock(&v->task_lock);
	old = v->task;
	v->task = task;
	spin_unlock(&v->task_lock);
	if (old)
		put_task_struct(old);
}

/* They are not in the guest, and not for want of something to do. */
static u64 yield_candidates(const struct vcpu *v)
{
	unsigned int id, n = READ_ONCE(v->vm->vcpu_end);
	const struct vcpu *other;
	u64 ids = 0;

	BUILD_BUG_ON(VMM_MAX_VCPUS > 64);
	for (id = 0; id < n; id++) {
		/* Pairs with vcpu_publish(). */
		other = smp_load_acquire(&v->vm->vcpu[id]);
		if (other && other != v && !READ_ONCE(other->in_guest) &&
		    !READ_ONCE(other->halted))
			ids |= BIT_ULL(id);
	}
	return ids;
}

/* True if it runs now; only what is ready to run and does not can. */
static bool yield_to_vcpu(struct vcpu *v)
{
	struct task_struct *task;
	bool yielded;

	spin_lock(&v->task_lock);
	task = v->task;
	if (task)
		get_task_struct(task);
	spin_unlock(&v->task_lock);
	if (!task)
		return false;
	yielded = yield_to(task, true) > 0;
	put_task_struct(task);
	return yielded;
}

void yield_spinning(struct vcpu *v)
{
	u64 ids = yield_candidates(v);
	int tries;

	/* Others who wait for this one are to know; until its next entry. */
	if (ids)
		steal_preempted(v);
	for (tries = 0; ids && tries < YIELD_TRIES; tries++) {
		v->yielded = yield_next(ids, v->yielded);
		if (yield_to_vcpu(v->vm->vcpu[v->yielded]))
			return;
		ids &= ~BIT_ULL(v->yielded);
	}
}
