// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The paravirtual clock that Linux and OpenBSD guests know from KVM: a page
 * of the guest's for each vCPU, which says how to turn its TSC into
 * nanoseconds.
 *
 * The guest's TSC is the host's less a constant, but the host's own clock is
 * steered by NTP and the TSC is not.  So once a second all pages get a pace at
 * which the guest's clock comes to agree with CLOCK_BOOTTIME.
 */
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>
#include <asm/pvclock.h>
#include <asm/tsc.h>

#include "vmm.h"

#define PVCLOCK_ENABLE	1ULL

/* No more than this share of its pace is given to correct a clock. */
#define PVCLOCK_CORRECTION	512

static u64 tsc_second(void)
{
	return tsc_khz * 1000ULL;
}

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

/* So many ns a second of the TSC: ns = ((ticks << shift) * mul) >> 32. */
static void pvclock_pace(struct pvclock *c, u64 ns)
{
	u64 ticks = tsc_second();
	s8 shift = 0;

	/* Bring the quotient into [1/2, 1), where mul has 32 bits. */
	while (ns >= ticks) {
		ticks <<= 1;
		shift++;
	}
	while (ns * 2 < ticks) {
		ns <<= 1;
		shift--;
	}
	c->mul = mul_u64_u64_div_u64(ns, 1ULL << 32, ticks);
	c->shift = shift;
}

static u64 pvclock_at(const struct pvclock *c, u64 tsc)
{
	return c->ns + pvclock_scale_delta(tsc - c->tsc, c->mul, c->shift);
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
	t->tsc_timestamp = c->tsc;
	t->system_time = c->ns;
	t->tsc_to_system_mul = c->mul;
	t->tsc_shift = c->shift;
	t->flags = flags;
	/* Pairs with the guest's barrier after its look at the version. */
	smp_store_release(&t->version, c->version);
}

/*
 * Gives all clocks a new pace, from the moment when each version is odd: what
 * a guest has read by the old one it has read before, on any vCPU, so that no
 * clock goes back however much slower it becomes.  If `to` is not 0, it is the
 * time from then on.
 */
static void pvclock_switch(struct vm *vm, u64 pace, u64 to)
{
	struct pvclock_vcpu_time_info *page[VMM_MAX_VCPUS];
	struct pvclock *c = &vm->pvclock;
	unsigned long flags;
	int i, n = 0;
	u64 tsc;

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
	tsc = guest_tsc(vm);
	c->ns = to ?: pvclock_at(c, tsc);
	c->tsc = tsc;
	pvclock_pace(c, pace);
	c->version += 2;
	for (i = 0; i < n; i++)
		pvclock_write(c, page[i]);
	local_irq_restore(flags);
}

/*
 * Half of the error goes in the next second, so that a call that comes late
 * does not make it worse.
 */
static void pvclock_steer(struct vm *vm)
{
	struct pvclock *c = &vm->pvclock;
	u64 tsc, ns, pace;
	s64 most;

	pvclock_sample(vm, &tsc, &ns);
	/* Two samples too close to one another tell no pace. */
	if (tsc - c->host_tsc < tsc_second() / 16)
		return;
	pace = mul_u64_u64_div_u64(ns - c->host_ns, tsc_second(),
				   tsc - c->host_tsc);
	c->host_tsc = tsc;
	c->host_ns = ns;
	if (pace < NSEC_PER_SEC / 8 * 7 || pace > NSEC_PER_SEC / 8 * 9) {
		/* No NTP does that: the host has slept. */
		pvclock_switch(vm, NSEC_PER_SEC, max(ns, c->ns));
		return;
	}
	most = pace / PVCLOCK_CORRECTION;
	pace += clamp((s64)(ns - pvclock_at(c, tsc)) / 2, -most, most);
	pvclock_switch(vm, pace, 0);
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

/* Nobody has a clock yet: it is the host's, at the TSC's own pace. */
static void pvclock_begin(struct vm *vm)
{
	struct pvclock *c = &vm->pvclock;

	pvclock_sample(vm, &c->host_tsc, &c->host_ns);
	c->tsc = c->host_tsc;
	c->ns = c->host_ns;
	c->version += 2;
	pvclock_pace(c, NSEC_PER_SEC);
	pvclock_wait(c);
}

static int pvclock_enable(struct vm *vm, unsigned int id, u64 msr)
{
	const u64 gpa = msr & ~PVCLOCK_ENABLE;
	struct pvclock_vcpu_time_info *page;

	/* Aligned to 4 bytes, and never over the end of a page. */
	if (!IS_ALIGNED(gpa, 4) ||
	    offset_in_page(gpa) + sizeof(*page) > PAGE_SIZE ||
	    mem_fault_locked(vm, gpa))
		return -EPERM;
	if (!pvclock_is_used(vm))
		pvclock_begin(vm);
	vm->pvclock.msr[id] = msr;
	page = pvclock_page(vm, id);
	memset(page, 0, sizeof(*page));
	pvclock_write(&vm->pvclock, page);
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
