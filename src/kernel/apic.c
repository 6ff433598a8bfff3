// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The local APICs of a VM: lapic.c has one's registers, this what is between
 * them, and the timer.
 *
 * Only a vCPU's own thread touches its APIC.  Others post: they set a bit of
 * what they have, then one of `posts`, and whoever finds that clear kicks the
 * vCPU.  It takes in what was posted before it enters the guest.
 */
#include <linux/bitops.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <asm/msr-index.h>
#include <asm/trapnr.h>
#include <asm/tsc.h>

#include "kcompat.h"
#include "vmm.h"

#define POST_EDGE	0x01		/* vectors are in posted[0] */
#define POST_LEVEL	0x02		/* and in posted[1] */
#define POST_NMI	0x04
#define POST_TIMER	0x08
#define POST_KICK	0x10
#define POST_FAST	0x1f
#define POST_INIT	0x20		/* these need memory, and time */
#define POST_SIPI	0x40
#define POST_SLOW	0x60

#define MSR_X2APIC_END	(APIC_BASE_MSR + 0xff)

/* TSC ticks are counted in ns for so long at once, s. */
#define DEADLINE_MAX	600

/* Any context; the vCPU may be closed already. */
static void apic_post(struct vcpu *v, int what)
{
	/* A full barrier, as is that of apic_take(). */
	if (!(atomic_fetch_or(what, &v->posts) & what))
		vcpu_kick(v);
}

static void apic_post_message(struct vcpu *v, const struct lapic_msg *m)
{
	switch (m->mode) {
	case LAPIC_FIXED:
	case LAPIC_LOWEST:
		set_bit(m->vector, v->posted[m->level]);
		apic_post(v, m->level ? POST_LEVEL : POST_EDGE);
		break;
	case LAPIC_NMI:
		apic_post(v, POST_NMI);
		break;
	case LAPIC_INIT:
		/* It undoes a start-up that has not been seen yet. */
		atomic_andnot(POST_SIPI, &v->posts);
		apic_post(v, POST_INIT);
		break;
	case LAPIC_STARTUP:
		WRITE_ONCE(v->sipi_vector, m->vector);
		apic_post(v, POST_SIPI);
		break;
	}
}

static struct vcpu *apic_find(struct vm *vm, u32 id)
{
	if (id >= VMM_MAX_VCPUS)
		return NULL;
	/* Pairs with vcpu_publish(). */
	return smp_load_acquire(&vm->vcpu[array_index_nospec(id,
							VMM_MAX_VCPUS)]);
}

/* The APICs that a message is for, as bits by id. */
static u64 apic_match(struct vm *vm, const struct lapic_msg *m, u32 sender)
{
	unsigned int id, n = READ_ONCE(vm->vcpu_end);
	struct vcpu *v;
	u64 match = 0;

	if (m->shorthand == LAPIC_TO_DEST && !m->logical &&
	    m->dest != LAPIC_BROADCAST) {
		v = apic_find(vm, m->dest);
		return v && lapic_msg_is_for(&v->lapic, m, sender) ?
		       BIT_ULL(v->id) : 0;
	}
	for (id = 0; id < n; id++) {
		v = apic_find(vm, id);
		if (v && lapic_msg_is_for(&v->lapic, m, sender))
			match |= BIT_ULL(id);
	}
	return match;
}

/*
 * Of those that a lowest-priority message is for one gets it: always the same
 * for one vector, since caches are warm there, and vectors are spread.
 */
static u64 apic_choose(u64 match, u8 vector)
{
	unsigned int skip;

	if (!match)
		return 0;
	for (skip = vector % hweight64(match); skip; skip--)
		match &= match - 1;
	return match & -match;
}

void apic_send(struct vm *vm, const struct lapic_msg *m, u32 sender)
{
	u64 match = apic_match(vm, m, sender);

	if (m->mode == LAPIC_LOWEST)
		match = apic_choose(match, m->vector);
	for (; match; match &= match - 1)
		apic_post_message(apic_find(vm, __ffs64(match)), m);
}

void apic_kick(struct vm *vm, u32 id)
{
	struct vcpu *v = apic_find(vm, id);

	if (v)
		apic_post(v, POST_KICK);
}

bool apic_ends_wait(const struct vcpu *v)
{
	int what = POST_SLOW;

	if (v->halted != VMM_HALTED_SIPI)
		what |= POST_NMI | POST_KICK;
	return atomic_read(&v->posts) & what;
}

static enum hrtimer_restart apic_timer_fire(struct hrtimer *timer)
{
	apic_post(container_of(timer, struct vcpu, timer), POST_TIMER);
	return HRTIMER_NORESTART;
}

/* At most DEADLINE_MAX: then it is looked at again. */
static u64 apic_tsc_to_ns(u64 ticks)
{
	ticks = min(ticks, (u64)tsc_khz * 1000 * DEADLINE_MAX);
	/* Not early, or it would come a second time. */
	return div64_u64(ticks * USEC_PER_SEC, tsc_khz) + 1;
}

void apic_timer(struct vcpu *v)
{
	const u64 now = ktime_get_ns(), tsc = guest_tsc(v->vm);
	struct lapic *l = &v->lapic;
	u64 when;

	lapic_timer_expired(l, now, tsc);
	switch (lapic_timer_when(l, &when)) {
	case LAPIC_NEVER:
		/* If it comes nevertheless, it does no harm. */
		hrtimer_try_to_cancel(&v->timer);
		return;
	case LAPIC_AT_TSC:
		when = now + apic_tsc_to_ns(when - tsc);
		break;
	case LAPIC_AT_NS:
		break;
	}
	hrtimer_start(&v->timer, ns_to_ktime(when),
		      HRTIMER_MODE_ABS_PINNED_HARD);
}

static void apic_take_vectors(struct vcpu *v, bool level)
{
	unsigned long *posted = v->posted[level], word;
	unsigned int i;

	for (i = 0; i < BITS_TO_LONGS(256); i++) {
		if (!READ_ONCE(posted[i]))
			continue;
		for (word = xchg(&posted[i], 0); word; word &= word - 1)
			lapic_accept(&v->lapic,
				     i * BITS_PER_LONG + __ffs(word), level);
	}
}

bool apic_take(struct vcpu *v)
{
	int what = atomic_fetch_andnot(POST_FAST, &v->posts);

	if (what & POST_EDGE)
		apic_take_vectors(v, false);
	if (what & POST_LEVEL)
		apic_take_vectors(v, true);
	if (what & POST_TIMER)
		apic_timer(v);
	/* One that waits to be started has no use for them. */
	if ((what & (POST_NMI | POST_KICK)) && v->halted != VMM_HALTED_SIPI) {
		if (what & POST_NMI)
			vmm_cpu->inject(v, VMM_EVENT_VALID | VMM_EVENT_NMI |
					X86_TRAP_NMI);
		if (what & POST_KICK)
			v->kicked = true;
	}
	return !(what & POST_SLOW);
}

int apic_take_all(struct vcpu *v)
{
	int what, ret;

	if (apic_take(v))
		return 0;
	what = atomic_fetch_andnot(POST_SLOW, &v->posts);
	if (what & POST_INIT) {
		lapic_init(&v->lapic);
		apic_timer(v);
		ret = vcpu_init(v);
		if (ret)
			return ret;
	}
	if ((what & POST_SIPI) && v->halted == VMM_HALTED_SIPI)
		return vcpu_start(v, READ_ONCE(v->sipi_vector));
	return 0;
}

/*
 * The interrupt that would be pending but for TPR, which a guest lowers by CR8
 * without an exit: its class, or 0.
 */
static u8 apic_hidden(struct lapic *l)
{
	const u32 tpr = l->tpr;
	int vector;

	l->tpr = 0;
	vector = lapic_pending(l);
	l->tpr = tpr;
	return vector < 0 ? 0 : vector >> 4;
}

/* What the guest has made of CR8; no exit tells. */
static void apic_sync(struct vcpu *v)
{
	const u8 cr8 = vmm_cpu->cr8(v);

	if (lapic_cr8(&v->lapic) != cr8)
		lapic_set_cr8(&v->lapic, cr8);
}

int apic_pending(struct vcpu *v)
{
	if (!v->lapic.irr.used)
		return -1;
	apic_sync(v);
	return lapic_pending(&v->lapic);
}

void apic_interrupt(struct vcpu *v)
{
	int vector = apic_pending(v);
	u8 window;

	if (vector >= 0 && static_call(vmm_cpu_intr_ready)(v)) {
		lapic_ack(&v->lapic, vector);
		static_call(vmm_cpu_inject)(v, VMM_EVENT_VALID | vector);
	}
	if ((v->window & WINDOW_WANTED) && lapic_takes_extint(&v->lapic))
		window = WINDOW_ANY;
	else
		window = apic_hidden(&v->lapic);
	if (window != (v->window & WINDOW_CLASS))
		static_call(vmm_cpu_intr_window)(v, window);
	eoi_offer(v);
}

static int apic_act(struct vcpu *v, const struct lapic_action *a)
{
	if (a->what & LAPIC_DO_IPI)
		apic_send(v->vm, &a->msg, v->id);
	if (a->what & LAPIC_DO_TIMER)
		apic_timer(v);
	if (a->what & LAPIC_DO_TPR)
		vmm_cpu->set_cr8(v, lapic_cr8(&v->lapic));
	return a->what & LAPIC_DO_EOI ? a->vector : 0;
}

bool apic_has_msr(u32 msr)
{
	return msr == MSR_IA32_TSC_DEADLINE ||
	       (msr >= APIC_BASE_MSR && msr <= MSR_X2APIC_END);
}

int apic_read_msr(struct vcpu *v, u32 msr, u64 *val)
{
	if (msr == MSR_IA32_TSC_DEADLINE) {
		*val = lapic_deadline(&v->lapic);
		return 0;
	}
	apic_sync(v);
	if (lapic_mode(&v->lapic) != LAPIC_X2APIC ||
	    lapic_read(&v->lapic, msr - APIC_BASE_MSR, ktime_get_ns(), val))
		return -EPERM;
	return 0;
}

int apic_write_msr(struct vcpu *v, u32 msr, u64 val)
{
	const u32 reg = msr - APIC_BASE_MSR;
	struct lapic_action action;
	u64 now = 0;

	if (msr == MSR_IA32_TSC_DEADLINE) {
		lapic_set_deadline(&v->lapic, val);
		apic_timer(v);
		return 0;
	}
	/* What is written most needs no clock. */
	if (reg != LAPIC_EOI && reg != LAPIC_ICR)
		now = ktime_get_ns();
	if (lapic_mode(&v->lapic) != LAPIC_X2APIC ||
	    lapic_write(&v->lapic, reg, val, now, &action))
		return -EPERM;
	return action.what ? apic_act(v, &action) : 0;
}

int apic_write_base(struct vcpu *v, u64 val)
{
	apic_sync(v);
	if (lapic_base_write(&v->lapic, val))
		return -EPERM;
	apic_timer(v);
	vmm_cpu->set_cr8(v, lapic_cr8(&v->lapic));
	return 0;
}

/* An xAPIC's register, by the daemon's hand: see VMM_APIC_ACCESS. */
int apic_access(struct vcpu *v, void __user *uarg)
{
	const u64 now = ktime_get_ns();
	struct lapic_action action;
	struct vmm_apic_access a;
	u64 val;

	if (copy_from_user(&a, uarg, sizeof(a)))
		return -EFAULT;
	if (a.offset >= PAGE_SIZE || a.offset % 16 ||
	    memchr_inv(a.reserved, 0, sizeof(a.reserved)) ||
	    memchr_inv(a.reserved2, 0, sizeof(a.reserved2)) ||
	    (a.flags & ~VMM_APIC_WRITE))
		return -EINVAL;
	if (lapic_mode(&v->lapic) != LAPIC_XAPIC)
		return -ENXIO;
	apic_sync(v);
	a.eoi = 0;
	if (a.flags & VMM_APIC_WRITE) {
		if (!lapic_write(&v->lapic, a.offset / 16, a.value, now,
				 &action))
			a.eoi = apic_act(v, &action);
	} else {
		apic_take(v);
		lapic_read(&v->lapic, a.offset / 16, now, &val);
		a.value = val;
	}
	return copy_to_user(uarg, &a, sizeof(a)) ? -EFAULT : 0;
}

int apic_get(struct vcpu *v, void __user *uarg)
{
	struct vmm_apic a = { .ns = ktime_get_ns(), .tsc = guest_tsc(v->vm) };

	BUILD_BUG_ON(sizeof(v->lapic) > sizeof(a.state));
	apic_take(v);
	apic_sync(v);
	memcpy(a.state, &v->lapic, sizeof(v->lapic));
	return copy_to_user(uarg, &a, sizeof(a)) ? -EFAULT : 0;
}

int apic_set(struct vcpu *v, const void __user *uarg)
{
	const u64 now = ktime_get_ns(), tsc = guest_tsc(v->vm);
	struct vmm_apic a;
	struct lapic l;

	if (copy_from_user(&a, uarg, sizeof(a)))
		return -EFAULT;
	memcpy(&l, a.state, sizeof(l));
	lapic_move_time(&l, now - a.ns, tsc - a.tsc);
	if (!lapic_valid(&l, now) || l.id != v->id ||
	    memchr_inv(a.state + sizeof(l), 0, sizeof(a.state) - sizeof(l)))
		return -EINVAL;
	v->lapic = l;
	apic_timer(v);
	vmm_cpu->set_cr8(v, lapic_cr8(&v->lapic));
	return 0;
}

void apic_init(struct vcpu *v)
{
	kcompat_hrtimer_setup(&v->timer, apic_timer_fire, CLOCK_MONOTONIC,
			      HRTIMER_MODE_ABS_PINNED_HARD);
	lapic_reset(&v->lapic, v->id, v->id == 0);
	if (v->id == 0)
		lapic_virtual_wire(&v->lapic);
}

void apic_free(struct vcpu *v)
{
	hrtimer_cancel(&v->timer);
}
