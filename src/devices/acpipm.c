/* SPDX-License-Identifier: ISC */
/*
 * ACPI power management: see acpipm.h.
 *
 * The timer is the host's clock, read when the guest reads it.  Its status bit
 * says that the highest bit has changed, which happens every ten minutes; only
 * a guest that wants the interrupt makes the host look at that time.
 *
 * A sleep state other than S5 is one that no table offers: nothing happens.
 */
#include "devices/acpipm.h"

#include <errno.h>
#include <string.h>

#include "devices/state.h"

#define ACPIPM_VERSION	1
#define NS_PER_S	UINT64_C(1000000000)

/* Status, and the same bits to enable an interrupt. */
#define PM1_TIMER	0x0001
#define PM1_GLOBAL	0x0020	/* the firmware let go of the global lock */
#define PM1_POWER	0x0100	/* button */
#define PM1_RTC		0x0400	/* Linux enables it, whatever the FADT says */
#define PM1_EVENTS	(PM1_TIMER | PM1_GLOBAL | PM1_POWER | PM1_RTC)

#define CNT_SCI_EN	0x0001
#define CNT_BM_RLD	0x0002
#define CNT_SLP_TYP	0x1c00
#define CNT_SLP_SHIFT	10
#define CNT_SLP_EN	0x2000	/* always reads as 0 */
#define CNT_WRITABLE	(CNT_BM_RLD | CNT_SLP_TYP)

#define CARRY_SHIFT	31	/* the timer's highest bit */

static uint64_t
ns_to_ticks(uint64_t ns)
{
	return ns / NS_PER_S * ACPIPM_TIMER_HZ +
	    ns % NS_PER_S * ACPIPM_TIMER_HZ / NS_PER_S;
}

/* The first ns at which there are so many. */
static uint64_t
ticks_to_ns(uint64_t ticks)
{
	return ticks / ACPIPM_TIMER_HZ * NS_PER_S +
	    (ticks % ACPIPM_TIMER_HZ * NS_PER_S + ACPIPM_TIMER_HZ - 1) /
	    ACPIPM_TIMER_HZ;
}

static uint64_t
acpipm_ticks(const struct acpipm *p)
{
	return ns_to_ticks(p->host->now(p->host->cookie) - p->epoch);
}

static bool
acpipm_level(const struct acpipm_state *s)
{
	return (s->status & s->enable) != 0;
}

static void
acpipm_update_irq(struct acpipm *p)
{
	bool level = acpipm_level(&p->s);

	if (level == p->line)
		return;
	p->line = level;
	p->host->set_irq(p->host->cookie, p->irq, level);
}

/* Has the timer carried into its highest bit, or out of it? */
static void
acpipm_look(struct acpipm *p)
{
	uint64_t carries = acpipm_ticks(p) >> CARRY_SHIFT;

	if (carries == p->s.carries)
		return;
	p->s.carries = carries;
	p->s.status |= PM1_TIMER;
	acpipm_update_irq(p);
}

/* Some bytes of a register of up to 32 bits. */
static uint32_t
part(uint32_t reg, uint32_t off, unsigned size)
{
	reg >>= 8 * off;
	return size == 4 ? reg : reg & ((1u << 8 * size) - 1);
}

/* A write of some bytes of one, as all of it, and which bits count. */
static uint32_t
whole(uint32_t off, unsigned size, uint32_t val, uint32_t *mask)
{
	*mask = part(UINT32_MAX, 0, size) << 8 * off;
	return val << 8 * off;
}

/* The status register, and behind it the enable register. */
static uint32_t
acpipm_event_in(void *cookie, uint32_t off, unsigned size)
{
	struct acpipm *p = cookie;

	acpipm_look(p);
	return part(p->s.status | (uint32_t)p->s.enable << 16, off, size);
}

static void
acpipm_event_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	struct acpipm *p = cookie;
	uint32_t mask;

	val = whole(off, size, val, &mask);
	acpipm_look(p);
	/* Ones clear. */
	p->s.status &= ~(val & mask);
	val >>= 16;
	mask = (mask >> 16) & PM1_EVENTS;
	p->s.enable = (uint16_t)((p->s.enable & ~mask) | (val & mask));
	atomic_store(&p->heard, (p->s.enable & PM1_POWER) != 0);
	acpipm_update_irq(p);
	/* For the timer's deadline. */
	if ((p->s.enable & PM1_TIMER) != 0)
		p->host->attention(p->host->cookie);
}

static uint32_t
acpipm_control_in(void *cookie, uint32_t off, unsigned size)
{
	struct acpipm *p = cookie;

	return part(p->s.control | CNT_SCI_EN, off, size);
}

static void
acpipm_control_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	struct acpipm *p = cookie;
	uint32_t mask, type;

	val = whole(off, size, val, &mask);
	p->s.control = (uint16_t)((p->s.control & ~mask) |
	    (val & mask & CNT_WRITABLE));
	type = (p->s.control & CNT_SLP_TYP) >> CNT_SLP_SHIFT;
	if ((val & CNT_SLP_EN) != 0 && type == p->s5)
		p->host->poweroff(p->host->cookie);
}

static uint32_t
acpipm_timer_in(void *cookie, uint32_t off, unsigned size)
{
	struct acpipm *p = cookie;

	return part((uint32_t)acpipm_ticks(p), off, size);
}

static void
acpipm_timer_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	(void)cookie;
	(void)off;
	(void)size;
	(void)val;
}

static void
acpipm_reset(void *dev)
{
	struct acpipm *p = dev;

	memset(&p->s, 0, sizeof(p->s));
	p->epoch = p->host->now(p->host->cookie);
	atomic_store(&p->heard, false);
	acpipm_update_irq(p);
}

void
acpipm_init(struct acpipm *p, const struct dev_host *host, unsigned irq,
    uint8_t s5)
{
	memset(p, 0, sizeof(*p));
	p->host = host;
	p->irq = irq;
	p->s5 = s5;
	acpipm_reset(p);
}

bool
acpipm_is_heard(const struct acpipm *p)
{
	return atomic_load(&p->heard);
}

void
acpipm_press(struct acpipm *p)
{
	atomic_store(&p->pressed, true);
	p->host->attention(p->host->cookie);
}

static uint64_t
acpipm_fold(void *dev, uint64_t now)
{
	struct acpipm *p = dev;

	(void)now;
	acpipm_look(p);
	if (atomic_exchange(&p->pressed, false)) {
		p->s.status |= PM1_POWER;
		acpipm_update_irq(p);
	}
	if ((p->s.enable & PM1_TIMER) == 0)
		return DEV_NO_DEADLINE;
	return p->epoch + ticks_to_ns((p->s.carries + 1) << CARRY_SHIFT);
}

static int
acpipm_save(const void *dev, struct state_writer *w)
{
	const struct acpipm *p = dev;
	struct acpipm_state s = p->s;

	s.elapsed = p->host->now(p->host->cookie) - p->epoch;
	return state_put(w, "acpipm", ACPIPM_VERSION, &s, sizeof(s));
}

static int
acpipm_load(void *dev, struct state_reader *r)
{
	struct acpipm *p = dev;
	struct acpipm_state s;
	int error;

	error = state_get(r, "acpipm", ACPIPM_VERSION, &s, sizeof(s));
	if (error != 0)
		return error;
	if (s.elapsed > INT64_MAX ||
	    s.carries > ns_to_ticks(s.elapsed) >> CARRY_SHIFT ||
	    (s.status & ~(PM1_TIMER | PM1_POWER)) != 0 ||
	    (s.enable & ~PM1_EVENTS) != 0 ||
	    (s.control & ~CNT_WRITABLE) != 0 || s.pad != 0)
		return -EINVAL;
	p->s = s;
	p->epoch = p->host->now(p->host->cookie) - s.elapsed;
	atomic_store(&p->heard, (s.enable & PM1_POWER) != 0);
	/* The interrupt controller's own state has the line's level. */
	p->line = acpipm_level(&s);
	return 0;
}

const struct pio_ops acpipm_pio_event = {
	.in = acpipm_event_in,
	.out = acpipm_event_out,
};

const struct pio_ops acpipm_pio_control = {
	.in = acpipm_control_in,
	.out = acpipm_control_out,
};

const struct pio_ops acpipm_pio_timer = {
	.in = acpipm_timer_in,
	.out = acpipm_timer_out,
};

const struct dev_ops acpipm_dev_ops = {
	.name = "acpipm",
	.reset = acpipm_reset,
	.save = acpipm_save,
	.load = acpipm_load,
	.fold = acpipm_fold,
};
