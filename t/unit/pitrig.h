/* SPDX-License-Identifier: ISC */
/* An 8254 with a hand-moved clock, for its tests. */
#ifndef VMMD_PITRIG_H
#define VMMD_PITRIG_H

#include "devices/pic.h"
#include "devices/pit.h"
#include "testhost.h"

#define IRQ	0
#define NS	1000000000ULL

struct rig {
	struct testhost	t;
	struct pit	p;
	uint64_t	zero;		/* host's time at tick 0 */
	bool		busy;		/* the last edge still waits */
};

static inline bool
rig_waits(void *cookie, unsigned irq)
{
	struct rig *r = cookie;

	ck_assert_uint_eq(irq, IRQ);
	return r->busy;
}

static inline void
make(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	testhost_init(&r->t);
	r->zero = r->t.now;
	pit_init(&r->p, &r->t.host, IRQ, rig_waits, r);
}

/* Moves the clock to the first nanosecond of a tick. */
static inline void
at(struct rig *r, uint64_t tick)
{
	r->t.now = r->zero +
	    (uint64_t)(((unsigned __int128)tick * NS + PIT_HZ - 1) / PIT_HZ);
}

static inline uint8_t
in(struct rig *r, uint32_t off)
{
	return (uint8_t)pit_pio.in(&r->p, off, 1);
}

static inline void
out(struct rig *r, uint32_t off, uint8_t val)
{
	pit_pio.out(&r->p, off, 1, val);
}

static inline void
portb(struct rig *r, uint8_t val)
{
	pit_pio_portb.out(&r->p, 0, 1, val);
}

static inline bool
out2(struct rig *r)
{
	return (pit_pio_portb.in(&r->p, 0, 1) & 0x20) != 0;
}

static inline uint64_t
fold(struct rig *r)
{
	return pit_dev_ops.fold(&r->p, r->t.now);
}

/* Programs a channel with both bytes of a count. */
static inline void
program(struct rig *r, unsigned ch, unsigned mode, uint16_t count)
{
	out(r, 3, (uint8_t)(ch << 6 | 0x30 | mode << 1));
	out(r, ch, count & 0xff);
	out(r, ch, count >> 8);
}

static inline uint16_t
latch(struct rig *r, unsigned ch)
{
	uint8_t lsb;

	out(r, 3, (uint8_t)(ch << 6));
	lsb = in(r, ch);
	return (uint16_t)(in(r, ch) << 8 | lsb);
}

#endif /* VMMD_PITRIG_H */
