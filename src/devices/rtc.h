/* SPDX-License-Identifier: ISC */
/*
 * The MC146818 real-time clock and its CMOS RAM.
 *
 * Ports: 70-71, rtc_pio, cookie the struct rtc; IRQ 8.  Registers: Motorola
 * MC146818A data sheet, "Register Description"; the RAM's bytes are those of
 * the IBM PC AT, with the century at 32 and the memory sizes that PC firmware
 * reads at 34-35 and 5b-5d.
 *
 * The clock shows UTC.  Under the VM's mutex.
 */
#ifndef VMMD_RTC_H
#define VMMD_RTC_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/bus.h"
#include "devices/dev.h"

#define RTC_CMOS	128

struct gmem;

/*
 * What is saved.  A guest's time is the host's wall clock plus `offset`, so a
 * guest that slept on disk wakes with the right time; while the clock is
 * stopped for setting, the registers in cmos[] hold it instead.
 */
struct rtc_state {
	uint64_t	elapsed;	/* ns since power-on, at save */
	int64_t		offset;		/* ns */
	int64_t		second;		/* last second that was looked at */
	int64_t		period;		/* last period that set PF */
	uint8_t		cmos[RTC_CMOS];
	uint8_t		index;
	uint8_t		pad[7];
};

struct rtc {
	struct rtc_state	 s;
	const struct dev_host	*host;		/* immutable */
	unsigned		 irq;		/* immutable */
	uint64_t		 epoch;		/* host's time at power-on */
	uint64_t		 low, high;	/* RAM below, above 4 GiB */
	int64_t			 (*wall)(void *cookie);	/* immutable */
};

/*
 * Brings the clock to its power-on state.  `wall`, called with the host's
 * cookie, gives the ns since 1970; NULL is the host's CLOCK_REALTIME.  `gm`
 * is read for the memory sizes.
 */
void rtc_init(struct rtc *r, const struct dev_host *host, unsigned irq,
    int64_t (*wall)(void *cookie), const struct gmem *gm);

extern const struct pio_ops rtc_pio;
extern const struct dev_ops rtc_dev_ops;

#endif /* VMMD_RTC_H */
