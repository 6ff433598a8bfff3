/* SPDX-License-Identifier: ISC */
/*
 * The 8254.
 *
 * Nothing counts here: each channel keeps the tick at which its count was
 * loaded, and the counter's value, OUT and the interrupts due follow from
 * the ticks that have passed.  Ticks in turn follow from the time since
 * power-on, by division, so no rounding adds up.
 *
 * Interrupts of channel 0.  A tick takes the line low and then high.  Ticks
 * that came while the guest did not run, or had the last one still waiting,
 * are not lost, or a guest that counts them would lose time: they are kept,
 * PIT_DUE_MAX at most, and given one at a time, half a period apart, as soon
 * as the one before has been taken.  Two deviations from the chip: writing a
 * control word never makes an edge, and no rate above PIT_MIN_GAP is kept
 * up, so that a guest cannot make its host work for a period of a few ticks.
 */
#include "devices/pit.h"

#include <errno.h>
#include <string.h>

#include "devices/state.h"

#define PIT_VERSION	1
#define NS_PER_SEC	1000000000ULL

#define PIT_DUE_MAX	128
#define PIT_MIN_GAP	60		/* ticks: 50 us */
#define PIT_PATIENCE	1193		/* ticks: 1 ms */
#define PIT_NEVER	INT64_MAX

#define REG_CONTROL	3		/* port 43 */

#define CW_BCD		0x01
#define CW_MODE(v)	(((v) >> 1) & 7)
#define CW_ACCESS(v)	(((v) >> 4) & 3)
#define CW_CHANNEL(v)	(((v) >> 6) & 3)
#define CW_READ_BACK	3		/* channel field */
#define ACCESS_LATCH	0		/* access field */
#define ACCESS_LSB	1
#define ACCESS_MSB	2
#define ACCESS_BOTH	3
#define RB_CHANNEL(n)	(0x02u << (n))
#define RB_NO_STATUS	0x10
#define RB_NO_COUNT	0x20

#define ST_NULL_COUNT	0x40
#define ST_OUT		0x80

#define PORTB_GATE2	0x01
#define PORTB_WRITABLE	0x0f
#define PORTB_REFRESH	0x10
#define PORTB_OUT2	0x20
#define PORTB_REFRESH_TICKS	18	/* 15 us */

/* The longest a guest can have run, far below where sums overflow. */
#define PIT_ELAPSED_MAX	(1ULL << 61)

static int64_t
pit_ns_to_ticks(uint64_t ns)
{
	return (int64_t)(ns / NS_PER_SEC * PIT_HZ +
	    ns % NS_PER_SEC * PIT_HZ / NS_PER_SEC);
}

/* The first nanosecond in which the tick has passed. */
static uint64_t
pit_ticks_to_ns(int64_t t)
{
	uint64_t ticks = t > 0 ? (uint64_t)t : 0;

	return ticks / PIT_HZ * NS_PER_SEC +
	    (ticks % PIT_HZ * NS_PER_SEC + PIT_HZ - 1) / PIT_HZ;
}

static int64_t
pit_now(const struct pit *p)
{
	return pit_ns_to_ticks(p->host->now(p->host->cookie) - p->epoch);
}

static bool
pit_periodic(const struct pit_channel *c)
{
	return c->mode == 2 || c->mode == 3;
}

/* Modes whose count begins with the gate's rise, not with the writing. */
static bool
pit_triggered(const struct pit_channel *c)
{
	return c->mode == 1 || c->mode == 5;
}

/* Does a low gate stop the count? */
static bool
pit_gated(const struct pit_channel *c)
{
	return !c->gate && !pit_triggered(c);
}

/* How long mode 3 stays high. */
static uint32_t
pit_half(uint32_t count)
{
	return (count + 1) / 2;
}

/* Ticks counted since the load; negative while it is still to come. */
static int64_t
pit_elapsed(const struct pit_channel *c, int64_t t)
{
	return pit_gated(c) ? c->held : t - c->start;
}

/* Lets a new count take over whose time has come. */
static void
pit_switch(struct pit_channel *c, int64_t t)
{
	if (c->next_count == 0 || c->next_at > t || !pit_periodic(c) ||
	    pit_gated(c))
		return;
	c->start = c->next_at;
	c->count = c->next_count;
	c->next_count = 0;
	if (c->next_low)
		c->start -= pit_half(c->count);
}

static uint32_t
pit_modulus(const struct pit_channel *c)
{
	return c->bcd ? 10000 : 65536;
}

/* Mode 3 counts down by two in each half of its period. */
static uint32_t
pit_square_value(uint32_t n, uint32_t pos)
{
	uint32_t high = pit_half(n);

	return (n & ~1u) - 2 * (pos < high ? pos : pos - high);
}

/* The counter's value in plain binary. */
static uint32_t
pit_value(const struct pit_channel *c, int64_t t)
{
	int64_t e = pit_elapsed(c, t);
	uint32_t m = pit_modulus(c);

	if (!c->running || e < 0)
		e = 0;
	switch (c->mode) {
	case 2:
		return (c->count - (uint32_t)(e % c->count)) % m;
	case 3:
		return pit_square_value(c->count,
		    (uint32_t)(e % c->count)) % m;
	default:
		return (c->count % m + m - (uint32_t)(e % m)) % m;
	}
}

static uint16_t
pit_encode(const struct pit_channel *c, uint32_t v)
{
	if (!c->bcd)
		return (uint16_t)v;
	return (uint16_t)(v / 1000 << 12 | v / 100 % 10 << 8 |
	    v / 10 % 10 << 4 | v % 10);
}

/* A written count, of 1 to 65536 ticks; digits above nine count as such. */
static uint32_t
pit_decode(const struct pit_channel *c, uint16_t w)
{
	uint32_t v = w;

	if (c->bcd)
		v = (v >> 12) * 1000 + (v >> 8 & 15) * 100 +
		    (v >> 4 & 15) * 10 + (v & 15);
	return v != 0 ? v : pit_modulus(c);
}

static bool
pit_out_level(const struct pit_channel *c, int64_t t)
{
	int64_t e = pit_elapsed(c, t);
	uint32_t pos;

	if (!c->running)
		return c->mode != 0;
	if (pit_periodic(c) && (e < 0 || !c->gate))
		return true;
	pos = (uint32_t)(pit_periodic(c) ? e % c->count : 0);
	switch (c->mode) {
	case 0:
		return e >= c->count;
	case 1:
		return e < 0 || e >= c->count;
	case 2:
		return c->count == 1 || pos != c->count - 1;
	case 3:
		return pos < pit_half(c->count);
	default:
		return e != c->count;
	}
}

/* How many rising edges of OUT there are in (a, b], for one count. */
static int64_t
pit_edges(const struct pit_channel *c, int64_t a, int64_t b)
{
	int64_t at;

	if (!c->running || pit_gated(c) || b <= a)
		return 0;
	if (pit_periodic(c)) {
		if (a < c->start)
			a = c->start;
		if (b <= a)
			return 0;
		return (b - c->start) / c->count - (a - c->start) / c->count;
	}
	at = c->start + c->count + (c->mode >= 4);
	return a < at && at <= b;
}

/* The tick of the first rising edge after `t`, or PIT_NEVER. */
static int64_t
pit_next_edge(const struct pit_channel *c, int64_t t)
{
	int64_t at;

	if (!c->running || pit_gated(c))
		return PIT_NEVER;
	if (pit_periodic(c)) {
		if (t < c->start)
			return c->start + c->count;
		return c->start + ((t - c->start) / c->count + 1) * c->count;
	}
	at = c->start + c->count + (c->mode >= 4);
	return at > t ? at : PIT_NEVER;
}

/* Adds channel 0's edges since the last look to those due. */
static void
pit_collect(struct pit *p, int64_t t)
{
	struct pit_channel *c = &p->s.ch[0];
	int64_t n = p->s.due;

	if (t <= p->s.seen)
		return;
	if (c->next_count != 0 && c->next_at > p->s.seen &&
	    c->next_at <= t) {
		n += pit_edges(c, p->s.seen, c->next_at);
		p->s.seen = c->next_at;
	}
	pit_switch(c, t);
	n += pit_edges(c, p->s.seen, t);
	p->s.due = n > PIT_DUE_MAX ? PIT_DUE_MAX : (uint32_t)n;
	p->s.seen = t;
}

/* The ticks to keep between two edges given to the guest. */
static int64_t
pit_gap(const struct pit_channel *c)
{
	int64_t gap = c->count / 2;

	if (!pit_periodic(c))
		return 0;
	return gap > PIT_MIN_GAP ? gap : PIT_MIN_GAP;
}

/* Is an edge due while the guest has not taken the last? */
static bool
pit_blocked(const struct pit *p)
{
	return p->s.due != 0 && p->waits != NULL &&
	    p->waits(p->cookie, p->irq);
}

/* Gives one of the edges due; returns the tick at which to look again. */
static int64_t
pit_deliver(struct pit *p, int64_t t)
{
	int64_t gap = pit_gap(&p->s.ch[0]);

	if (p->s.due == 0)
		return PIT_NEVER;
	if (t < p->s.raised + gap)
		return p->s.raised + gap;
	p->host->set_irq(p->host->cookie, p->irq, false);
	p->host->set_irq(p->host->cookie, p->irq, true);
	p->s.raised = t;
	p->s.due--;
	return p->s.due != 0 ? t + gap : PIT_NEVER;
}

/* Brings the chip up to the present, which it returns. */
static int64_t
pit_sync(struct pit *p)
{
	int64_t t = pit_now(p);
	unsigned i;

	pit_collect(p, t);
	for (i = 0; i < PIT_CHANNELS; i++)
		pit_switch(&p->s.ch[i], t);
	return t;
}

/* The tick at which channel 0 next has something to do, or PIT_NEVER. */
static int64_t
pit_next(const struct pit *p, int64_t t)
{
	const struct pit_channel *c = &p->s.ch[0];
	int64_t at = pit_next_edge(c, t);
	int64_t soonest = p->s.raised + pit_gap(c);

	if (at == PIT_NEVER)
		return at;
	if (c->next_count != 0 && c->next_at > t && c->next_at < at)
		at = c->next_at;
	return at > soonest ? at : soonest;
}

static uint64_t
pit_fold(void *dev, uint64_t now)
{
	struct pit *p = dev;
	int64_t t = pit_ns_to_ticks(now - p->epoch);
	int64_t again, next;

	pit_collect(p, t);
	if (pit_blocked(p)) {
		/* Nothing it does to its timer may cost the host more. */
		again = t + PIT_PATIENCE;
	} else {
		again = pit_deliver(p, t);
		next = pit_next(p, t);
		if (next < again)
			again = next;
	}
	if (again == PIT_NEVER)
		return DEV_NO_DEADLINE;
	return p->epoch + pit_ticks_to_ns(again);
}

/* The gate's rise loads the counter of modes 1, 2, 3 and 5. */
static void
pit_trigger(struct pit_channel *c, int64_t t)
{
	if (c->next_count != 0) {
		c->count = c->next_count;
		c->next_count = 0;
		c->running = 1;
	}
	c->start = t + 1;
}

static void
pit_set_gate(struct pit_channel *c, bool gate, int64_t t)
{
	if (gate == c->gate)
		return;
	if (!gate)
		c->held = t - c->start;
	else if (c->mode == 0 || c->mode == 4)
		c->start = t - c->held;
	else
		pit_trigger(c, t);
	c->gate = gate;
}

/* A new count for modes 2 and 3 waits for the end of a cycle, or half. */
static void
pit_schedule(struct pit_channel *c, uint32_t count, int64_t t)
{
	int64_t e = pit_elapsed(c, t);
	int64_t cycle;

	if (e < 0) {
		c->count = count;
		return;
	}
	cycle = c->start + e / c->count * c->count;
	c->next_count = count;
	c->next_low = c->mode == 3 && e % c->count < pit_half(c->count);
	c->next_at = cycle + (c->next_low ? pit_half(c->count) : c->count);
}

/* A count was written whole; the chip loads it with the next clock. */
static void
pit_load_count(struct pit_channel *c, uint16_t written, int64_t t)
{
	uint32_t count = pit_decode(c, written);

	if (pit_triggered(c)) {
		c->next_count = count;
		c->next_at = t + 1;
	} else if (pit_periodic(c) && c->running) {
		pit_schedule(c, count, t);
	} else {
		c->count = count;
		c->start = t + 1;
		c->held = 0;
		c->running = 1;
	}
}

/* Writing in mode 0 takes OUT low, and with it an interrupt not yet taken. */
static void
pit_withdraw(struct pit *p)
{
	p->s.due = 0;
	p->host->set_irq(p->host->cookie, p->irq, false);
}

/* A write to a channel's port: a count, or half of one. */
static void
pit_write(struct pit *p, unsigned n, uint8_t val, int64_t t)
{
	struct pit_channel *c = &p->s.ch[n];

	if (c->mode == 0 && n == 0)
		pit_withdraw(p);
	if (c->access == ACCESS_BOTH && !c->write_msb) {
		c->lsb = val;
		c->write_msb = 1;
		if (c->mode == 0)
			c->running = 0;
		return;
	}
	c->write_msb = 0;
	if (c->access == ACCESS_BOTH)
		pit_load_count(c, (uint16_t)(val << 8 | c->lsb), t);
	else if (c->access == ACCESS_MSB)
		pit_load_count(c, (uint16_t)(val << 8), t);
	else
		pit_load_count(c, val, t);
	if (n == 0)
		p->host->attention(p->host->cookie);
}

static void
pit_latch_count(struct pit_channel *c, int64_t t)
{
	if (c->latched)
		return;
	c->latch = pit_encode(c, pit_value(c, t));
	c->latched = 1;
}

static void
pit_latch_status(struct pit_channel *c, int64_t t)
{
	if (c->status_latched)
		return;
	c->status = (uint8_t)(c->access << 4 | c->mode << 1 | c->bcd);
	if (pit_out_level(c, t))
		c->status |= ST_OUT;
	if (!c->running || c->next_count != 0 || pit_elapsed(c, t) < 0)
		c->status |= ST_NULL_COUNT;
	c->status_latched = 1;
}

static void
pit_read_back(struct pit *p, uint8_t val, int64_t t)
{
	unsigned i;

	for (i = 0; i < PIT_CHANNELS; i++) {
		if ((val & RB_CHANNEL(i)) == 0)
			continue;
		if ((val & RB_NO_COUNT) == 0)
			pit_latch_count(&p->s.ch[i], t);
		if ((val & RB_NO_STATUS) == 0)
			pit_latch_status(&p->s.ch[i], t);
	}
}

static void
pit_program(struct pit *p, unsigned n, uint8_t val)
{
	struct pit_channel *c = &p->s.ch[n];

	c->mode = CW_MODE(val);
	if (c->mode > 5)
		c->mode -= 4;		/* the top bit is not decoded */
	c->bcd = val & CW_BCD;
	c->access = CW_ACCESS(val);
	c->read_msb = 0;
	c->write_msb = 0;
	c->latched = 0;
	c->status_latched = 0;
	c->running = 0;
	c->next_count = 0;
	c->held = 0;
	if (n != 0)
		return;
	if (c->mode == 0)
		pit_withdraw(p);
	p->s.due = 0;
	p->host->attention(p->host->cookie);
}

static void
pit_control(struct pit *p, uint8_t val, int64_t t)
{
	unsigned n = CW_CHANNEL(val);

	if (n == CW_READ_BACK)
		pit_read_back(p, val, t);
	else if (CW_ACCESS(val) == ACCESS_LATCH)
		pit_latch_count(&p->s.ch[n], t);
	else
		pit_program(p, n, val);
}

static uint8_t
pit_read(struct pit_channel *c, int64_t t)
{
	bool msb = c->access == ACCESS_MSB || c->read_msb;
	uint16_t val;

	if (c->status_latched) {
		c->status_latched = 0;
		return c->status;
	}
	val = c->latched ? c->latch : pit_encode(c, pit_value(c, t));
	if (c->access == ACCESS_BOTH)
		c->read_msb = !c->read_msb;
	if (!c->read_msb)
		c->latched = 0;
	return (uint8_t)(msb ? val >> 8 : val);
}

static uint32_t
pit_in(void *cookie, uint32_t off, unsigned size)
{
	struct pit *p = cookie;
	int64_t t = pit_sync(p);

	(void)size;
	if (off == REG_CONTROL)
		return 0xff;
	return pit_read(&p->s.ch[off], t);
}

static void
pit_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	struct pit *p = cookie;
	int64_t t = pit_sync(p);

	(void)size;
	if (off == REG_CONTROL)
		pit_control(p, (uint8_t)val, t);
	else
		pit_write(p, off, (uint8_t)val, t);
}

static uint32_t
pit_portb_in(void *cookie, uint32_t off, unsigned size)
{
	struct pit *p = cookie;
	int64_t t = pit_sync(p);
	uint8_t val = p->s.portb;

	(void)off;
	(void)size;
	if ((t / PORTB_REFRESH_TICKS & 1) != 0)
		val |= PORTB_REFRESH;
	if (pit_out_level(&p->s.ch[2], t))
		val |= PORTB_OUT2;
	return val;
}

static void
pit_portb_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	struct pit *p = cookie;
	int64_t t = pit_sync(p);

	(void)off;
	(void)size;
	p->s.portb = val & PORTB_WRITABLE;
	pit_set_gate(&p->s.ch[2], (val & PORTB_GATE2) != 0, t);
}

static void
pit_reset(void *dev)
{
	struct pit *p = dev;
	unsigned i;

	memset(&p->s, 0, sizeof(p->s));
	p->epoch = p->host->now(p->host->cookie);
	for (i = 0; i < PIT_CHANNELS; i++) {
		p->s.ch[i].count = 65536;
		p->s.ch[i].access = ACCESS_BOTH;
		p->s.ch[i].gate = i != 2;
	}
	p->host->set_irq(p->host->cookie, p->irq, false);
}

void
pit_init(struct pit *p, const struct dev_host *host, unsigned irq,
    bool (*waits)(void *cookie, unsigned irq), void *cookie)
{
	memset(p, 0, sizeof(*p));
	p->host = host;
	p->irq = irq;
	p->waits = waits;
	p->cookie = cookie;
	pit_reset(p);
}

static int
pit_save(const void *dev, struct state_writer *w)
{
	const struct pit *p = dev;
	struct pit_state s = p->s;

	s.elapsed = p->host->now(p->host->cookie) - p->epoch;
	return state_put(w, "pit", PIT_VERSION, &s, sizeof(s));
}

/*
 * Is the channel one that could be, `now` ticks after power-on?  A count whose
 * gate is low can begin a tick from now, and the next one a cycle after that.
 */
static bool
pit_channel_valid(const struct pit_channel *c, int64_t now)
{
	return c->start >= -65536 && c->start <= now + 1 &&
	    c->next_at >= 0 && c->next_at <= now + 1 + 65536 &&
	    c->held >= -1 && c->held <= now + 65536 &&
	    c->count >= 1 && c->count <= 65536 && c->next_count <= 65536 &&
	    c->mode <= 5 && c->bcd <= 1 &&
	    c->access >= ACCESS_LSB && c->access <= ACCESS_BOTH &&
	    c->read_msb <= (c->access == ACCESS_BOTH) &&
	    c->write_msb <= (c->access == ACCESS_BOTH) &&
	    c->latched <= 1 && c->status_latched <= 1 &&
	    c->next_low <= 1 && c->running <= 1 && c->gate <= 1 &&
	    c->pad[0] == 0 && c->pad[1] == 0;
}

static bool
pit_valid(const struct pit_state *s)
{
	int64_t now;
	unsigned i;

	if (s->elapsed > PIT_ELAPSED_MAX)
		return false;
	now = pit_ns_to_ticks(s->elapsed);
	for (i = 0; i < PIT_CHANNELS; i++) {
		if (!pit_channel_valid(&s->ch[i], now))
			return false;
	}
	return s->ch[0].gate && s->ch[1].gate &&
	    s->ch[2].gate == (s->portb & PORTB_GATE2) &&
	    s->seen >= 0 && s->seen <= now &&
	    s->raised >= 0 && s->raised <= now && s->due <= PIT_DUE_MAX &&
	    (s->portb & ~PORTB_WRITABLE) == 0 &&
	    s->pad[0] == 0 && s->pad[1] == 0 && s->pad[2] == 0;
}

static int
pit_load(void *dev, struct state_reader *r)
{
	struct pit *p = dev;
	struct pit_state s;
	int error;

	error = state_get(r, "pit", PIT_VERSION, &s, sizeof(s));
	if (error != 0)
		return error;
	if (!pit_valid(&s))
		return -EINVAL;
	p->s = s;
	p->epoch = p->host->now(p->host->cookie) - s.elapsed;
	return 0;
}

const struct pio_ops pit_pio = {
	.in = pit_in,
	.out = pit_out,
	.bytewise = true,
};

const struct pio_ops pit_pio_portb = {
	.in = pit_portb_in,
	.out = pit_portb_out,
	.bytewise = true,
};

const struct dev_ops pit_dev_ops = {
	.name = "pit",
	.reset = pit_reset,
	.save = pit_save,
	.load = pit_load,
	.fold = pit_fold,
};
