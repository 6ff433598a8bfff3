/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: the real-time clock.  An event sets the host's wall clock, by
 * its low six bits as a power of two of ns, forwards or (bit 7) backwards.
 */
#include "chip.h"
#include "devices/gmem.h"
#include "devices/rtc.h"

static int64_t
rtc_wall_clock(void *cookie)
{
	struct chip_side *s = cookie;

	return (int64_t)(s->now + (uint64_t)s->wall_ahead);
}

static void
rtc_make(struct chip_side *s)
{
	struct gmem gm;

	gmem_layout(&gm, 5ULL << 30);
	rtc_init(s->dev, &s->host, 8, rtc_wall_clock, &gm);
}

static void
rtc_event(struct chip_side *s, uint8_t what)
{
	uint64_t step = 1ULL << (what & 63);

	s->wall_ahead = (int64_t)((uint64_t)s->wall_ahead +
	    ((what & 0x80) != 0 ? -step : step));
	s->attention = true;
}

const struct chip_target chip_target = {
	.ops = &rtc_dev_ops,
	.size = sizeof(struct rtc),
	.init = rtc_make,
	.event = rtc_event,
	.port = { { 0x70, 2, &rtc_pio } },
};
