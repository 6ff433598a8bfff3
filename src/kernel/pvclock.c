// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The paravirtual clock that Linux and OpenBSD guests know from KVM: a page
 * of the guest's for each vCPU, which says how to turn its TSC into
 * nanoseconds.
 *
 * The host's clock is CLOCK_BOOTTIME, after which they are steered once a
 * second (steering.h), all at the same time.
 */
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>
#include <asm/pvclock.h>
#include <asm/tsc.h>

#include "vmm.h"

#define PVCLOCK_ENABLE	1ULL

u64 guest_tsc(const struct vm *vm)
{
	return rdtsc_ordered() - vm->tsc_base;
}

/* The TSC and the host's clock at one moment: the best of a few looks. */
static void pvclock_sample(const struct vm *vm, u64 *tsc, u64 *ns)
{
	u64 best = U64_MAX, before, now, after;
	unsigned long flags;
	int i;

	local_irq_save(flags);
	for (i = 0; i < 5; i++) {
		before = guest_tsc(vm);
		now = ktime_get_boottime_ns();
		after = guest_tsc(vm);
		if (after - before >= best)
			continue;
		best = after - before;
		*tsc = before + best / 2;
		*ns = now - vm->pvclock.base;
	}
	local_irq_restore(flags);
}

static bool pvclock_is_used(const struct vm *vm)
{
	int i;

	for (i = 0; i < VMM_MAX_VCPUS; i++)
		if (vm->pvclock.msr[i] & PVCLOCK_ENABLE)
			return true;
	return false;
}

/* A vCPU's page, as long as vm->lock is held; NULL if it cannot be had now. */
static struct pvclock_vcpu_time_info *pvclock_page(struct vm *vm,
						   unsigned int id)
{
	const u64 msr = vm->pvclock.msr[id];

	return msr & PVCLOCK_ENABLE ? mem_mapped(vm, msr & ~PVCLOCK_ENABLE) :
				      NULL;
}

/* With this version, which is even, it is complete. */
static void pvclock_write(const struct pvclock *c,
			  struct pvclock_vcpu_time_info *t)
{
	/* The guest clears the one flag when it has seen it. */
	u8 flags = t->flags & PVCLOCK_GUEST_STOPPED;

	if (!check_tsc_unstable())
		flags |= PVCLOCK_TSC_STABLE_BIT;
	t->tsc_timestamp = c->clock.tsc;
	t->system_time = c->clock.ns;
	t->tsc_to_system_mul = c->clock.mul;
	t->tsc_shift = c->clock.shift;
	t->flags = flags;
	/* Pairs with the guest's barrier after its look at the version. */
	smp_store_release(&t->version, c->version);
}

/*
 * Turns all clocks at the moment when each version is odd: what a guest has
 * read by the old pace it has read before, on any vCPU, so that no clock goes
 * back however much slower it becomes.
 */
static void pvclock_turn(struct vm *vm, const struct steering_turn *turn)
{
	struct pvclock_vcpu_time_info *page[VMM_MAX_VCPUS];
	struct pvclock *c = &vm->pvclock;
	unsigned long flags;
	int i, n = 0;

	for (i = 0; i < VMM_MAX_VCPUS; i++) {
		page[n] = pvclock_page(vm, i);
		if (page[n])
			n++;
	}
	/* Guests that look wait for the end of it. */
	local_irq_save(flags);
	for (i = 0; i < n; i++)
		WRITE_ONCE(page[i]->version, c->version + 1);
	/* Pairs with that before its second look: its TSC is before ours. */
	smp_mb();
	steering_turn(&c->clock, guest_tsc(vm), turn);
	c->version += 2;
	for (i = 0; i < n; i++)
		pvclock_write(c, page[i]);
	local_irq_restore(flags);
}

static void pvclock_steer(struct vm *vm)
{
	struct steering_turn turn;
	u64 tsc, ns;

	pvclock_sample(vm, &tsc, &ns);
	if (steering_look(&vm->pvclock.clock, tsc, ns, &turn))
		pvclock_turn(vm, &turn);
}

static void pvclock_wait(struct pvclock *c)
{
	/* With those of other VMs, if there are any. */
	schedule_delayed_work(&c->work, round_jiffies_relative(HZ));
}

static void pvclock_work(struct work_struct *work)
{
	struct vm *vm = container_of(to_delayed_work(work), struct vm,
				     pvclock.work);

	mutex_lock(&vm->lock);
	if (vm->npt && pvclock_is_used(vm)) {
		pvclock_steer(vm);
		pvclock_wait(&vm->pvclock);
	}
	mutex_unlock(&vm->lock);
}

void pvclock_init(struct vm *vm)
{
	vm->pvclock.base = ktime_get_boottime_ns();
	INIT_DELAYED_WORK(&vm->pvclock.work, pvclock_work);
}

void pvclock_end(struct vm *vm)
{
	cancel_delayed_work_sync(&vm->pvclock.work);
}

/* Nobody has a clock yet. */
static void pvclock_begin(struct vm *vm)
{
	struct pvclock *c = &vm->pvclock;
	u64 tsc, ns;

	pvclock_sample(vm, &tsc, &ns);
	steering_begin(&c->clock, tsc_khz * 1000ULL, tsc, ns);
	c->version += 2;
	pvclock_wait(c);
}

static int pvclock_enable(struct vm *vm, unsigned int id, u64 msr)
{
	const u64 gpa = msr & ~PVCLOCK_ENABLE;
	struct pvclock_vcpu_time_info *page;
	struct pvclock *c = &vm->pvclock;

	/* Aligned to 4 bytes, and never over the end of a page. */
	if (!IS_ALIGNED(gpa, 4) ||
	    offset_in_page(gpa) + sizeof(*page) > PAGE_SIZE ||
	    mem_fault_locked(vm, gpa))
		return -EPERM;
	if (!pvclock_is_used(vm))
		pvclock_begin(vm);
	vm->pvclock.msr[id] = msr;
	page = pvclock_page(vm, id);
	/* It may be in use already, by others: a version of its own. */
	WRITE_ONCE(page->version, c->version + 1);
	c->version += 2;
	/* Pairs with the guest's barrier before its second look. */
	smp_wmb();
	page->pad0 = 0;
	page->flags = 0;
	memset(page->pad, 0, sizeof(page->pad));
	pvclock_write(c, page);
	return 0;
}

int pvclock_set_system_time(struct vcpu *v, u64 val)
{
	struct vm *vm = v->vm;
	int ret = 0;

	mutex_lock(&vm->lock);
	if (val & PVCLOCK_ENABLE)
		ret = pvclock_enable(vm, v->id, val);
	else
		vm->pvclock.msr[v->id] = val;
	mutex_unlock(&vm->lock);
	return ret;
}

u64 pvclock_system_time(struct vcpu *v)
{
	return READ_ONCE(v->vm->pvclock.msr[v->id]);
}

void pvclock_stopped(struct vcpu *v)
{
	struct pvclock_vcpu_time_info *page;

	mutex_lock(&v->vm->lock);
	page = pvclock_page(v->vm, v->id);
	if (page)
		WRITE_ONCE(page->flags, page->flags | PVCLOCK_GUEST_STOPPED);
	mutex_unlock(&v->vm->lock);
}

/* The real time when the other clock was, or would have been, zero. */
int pvclock_set_wall_clock(struct vcpu *v, u64 val)
{
	struct pvclock_wall_clock w = { .version = 2 };
	u32 nsec;

	w.sec = div_u64_rem(ktime_get_real_ns() - ktime_get_boottime_ns() +
			    v->vm->pvclock.base, NSEC_PER_SEC, &nsec);
	w.nsec = nsec;
	if (!IS_ALIGNED(val, 4) || mem_write(v->vm, val, &w, sizeof(w)))
		return -EPERM;
	v->wall_clock = val;
	return 0;
}
