/* SPDX-License-Identifier: ISC */
/*
 * The real-time clock.
 *
 * While it runs, the time registers are made from the wall clock when read,
 * and writing one moves the offset to the wall clock.  While it is stopped,
 * by the SET bit or by a divider held in reset, they are plain bytes, and
 * starting it makes an offset from what they then say.  Flags are set when
 * looked at: the seconds and periods passed since the last look say which.
 */
#include "devices/rtc.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "devices/gmem.h"
#include "devices/state.h"

#define RTC_VERSION	1
#define NS_PER_SEC	1000000000LL
#define SEC_PER_DAY	86400
#define FOUR_GIB	(4ULL << 30)
#define RTC_HZ		32768
/* The longest a guest can have run, and how far off its clock can be. */
#define RTC_ELAPSED_MAX	(1ULL << 61)
#define RTC_OFFSET_MAX	(1LL << 62)
/* The registers show 1970 to 2099. */
#define RTC_TIME_MAX	(4102444800 * NS_PER_SEC - 1)

#define REG_SECONDS	0x00
#define REG_ALARM_SECONDS 0x01
#define REG_MINUTES	0x02
#define REG_ALARM_MINUTES 0x03
#define REG_HOURS	0x04
#define REG_ALARM_HOURS	0x05
#define REG_WEEKDAY	0x06
#define REG_DAY		0x07
#define REG_MONTH	0x08
#define REG_YEAR	0x09
#define REG_A		0x0a
#define REG_B		0x0b
#define REG_C		0x0c
#define REG_D		0x0d
#define REG_CENTURY	0x32

#define A_UIP		0x80
#define A_DIVIDER_RESET	0x60
#define A_32KHZ		0x20
#define A_RATE		0x0f
#define A_RATE_1024	0x06
#define B_SET		0x80
#define B_PIE		0x40
#define B_AIE		0x20
#define B_UIE		0x10
#define B_BINARY	0x04
#define B_24H		0x02
#define C_IRQF		0x80
#define C_PF		0x40
#define C_AF		0x20
#define C_UF		0x10
#define C_FLAGS		(C_PF | C_AF | C_UF)
#define D_VRT		0x80
#define HOURS_PM	0x80
#define ALARM_ANY	0xc0	/* both bits: whatever the time's part is */

/* UIP rises this long before the seconds change. */
#define UIP_NS		244000

/* The host's clock may be set, or sleep, while the guest waits for an alarm. */
#define ALARM_LOOK_NS	(60 * (uint64_t)NS_PER_SEC)

/* A moment as the registers show it. */
struct rtc_time {
	unsigned	year;
	unsigned	month, day;	/* from 1 */
	unsigned	hour, minute, second;
	unsigned	weekday;	/* from 1, a Sunday */
};

/*
 * Days from 1970-01-01 to a date, not before it, in the Gregorian calendar.
 * Years are counted from March, which puts the leap day at their end.
 */
static int64_t
rtc_days(unsigned year, unsigned month, unsigned day)
{
	unsigned y = month > 2 ? year : year - 1;
	unsigned m = month > 2 ? month - 3 : month + 9;

	return (int64_t)y * 365 + y / 4 - y / 100 + y / 400 +
	    (153 * m + 2) / 5 + day - 1 - 719468;
}

static void
rtc_date(int64_t days, struct rtc_time *t)
{
	unsigned year = 1970 + (unsigned)(days / 366);
	unsigned month = 12;

	while (rtc_days(year + 1, 1, 1) <= days)
		year++;
	while (rtc_days(year, month, 1) > days)
		month--;
	t->year = year;
	t->month = month;
	t->day = (unsigned)(days - rtc_days(year, month, 1)) + 1;
	/* 1970-01-01 was a Thursday, day 5. */
	t->weekday = (unsigned)((days + 4) % 7) + 1;
}

static void
rtc_time_from_seconds(int64_t sec, struct rtc_time *t)
{
	unsigned rest = (unsigned)(sec % SEC_PER_DAY);

	rtc_date(sec / SEC_PER_DAY, t);
	t->hour = rest / 3600;
	t->minute = rest / 60 % 60;
	t->second = rest % 60;
}

static uint8_t
rtc_encode(const struct rtc *r, unsigned v)
{
	if ((r->s.cmos[REG_B] & B_BINARY) != 0)
		return (uint8_t)v;
	return (uint8_t)(v / 10 % 10 << 4 | v % 10);
}

/* A register's value, brought into range: the guest may write anything. */
static unsigned
rtc_decode(const struct rtc *r, uint8_t v, unsigned min, unsigned max)
{
	unsigned n = v;

	if ((r->s.cmos[REG_B] & B_BINARY) == 0)
		n = (v >> 4) * 10u + (v & 15u);
	if (n < min)
		return min;
	return n > max ? max : n;
}

static uint8_t
rtc_encode_hour(const struct rtc *r, unsigned hour)
{
	uint8_t pm = hour >= 12 ? HOURS_PM : 0;

	if ((r->s.cmos[REG_B] & B_24H) != 0)
		return rtc_encode(r, hour);
	return rtc_encode(r, (hour + 11) % 12 + 1) | pm;
}

static unsigned
rtc_decode_hour(const struct rtc *r, uint8_t v)
{
	unsigned hour;

	if ((r->s.cmos[REG_B] & B_24H) != 0)
		return rtc_decode(r, v, 0, 23);
	hour = rtc_decode(r, v & ~HOURS_PM, 1, 12) % 12;
	return (v & HOURS_PM) != 0 ? hour + 12 : hour;
}

static int64_t
rtc_clock_realtime(void *cookie)
{
	struct timespec ts;

	(void)cookie;
	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static int64_t
rtc_clamp(int64_t v, int64_t min, int64_t max)
{
	if (v < min)
		return min;
	return v > max ? max : v;
}

/* The host's wall clock: wherever it was set to, sums with it fit. */
static int64_t
rtc_wall(const struct rtc *r)
{
	return rtc_clamp(r->wall(r->host->cookie), 0, RTC_OFFSET_MAX - 1);
}

/* The guest's time in ns since 1970, had its clock not been stopped. */
static int64_t
rtc_guest_ns(const struct rtc *r)
{
	return rtc_clamp(rtc_wall(r) + r->s.offset, 0, RTC_TIME_MAX);
}

static int64_t
rtc_guest_second(const struct rtc *r)
{
	return rtc_guest_ns(r) / NS_PER_SEC;
}

/* ns since the guest's second began; the divider goes on while SET. */
static int64_t
rtc_fraction(const struct rtc *r)
{
	return rtc_guest_ns(r) % NS_PER_SEC;
}

static bool
rtc_stopped(const struct rtc *r)
{
	return (r->s.cmos[REG_B] & B_SET) != 0 ||
	    (r->s.cmos[REG_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
}

/* Writes the time into its registers. */
static void
rtc_to_registers(struct rtc *r)
{
	uint8_t *cmos = r->s.cmos;
	struct rtc_time t;

	rtc_time_from_seconds(rtc_guest_second(r), &t);
	cmos[REG_SECONDS] = rtc_encode(r, t.second);
	cmos[REG_MINUTES] = rtc_encode(r, t.minute);
	cmos[REG_HOURS] = rtc_encode_hour(r, t.hour);
	cmos[REG_WEEKDAY] = rtc_encode(r, t.weekday);
	cmos[REG_DAY] = rtc_encode(r, t.day);
	cmos[REG_MONTH] = rtc_encode(r, t.month);
	cmos[REG_YEAR] = rtc_encode(r, t.year % 100);
	cmos[REG_CENTURY] = rtc_encode(r, t.year / 100);
}

/* Makes the clock run from what its registers say, `frac` ns into it. */
static void
rtc_from_registers(struct rtc *r, int64_t frac)
{
	const uint8_t *cmos = r->s.cmos;
	unsigned year;
	int64_t sec;

	year = rtc_decode(r, cmos[REG_CENTURY], 19, 20) * 100 +
	    rtc_decode(r, cmos[REG_YEAR], 0, 99);
	if (year < 1970)
		year = 1970;
	sec = rtc_days(year, rtc_decode(r, cmos[REG_MONTH], 1, 12),
	    rtc_decode(r, cmos[REG_DAY], 1, 31)) * SEC_PER_DAY +
	    rtc_decode_hour(r, cmos[REG_HOURS]) * 3600 +
	    rtc_decode(r, cmos[REG_MINUTES], 0, 59) * 60 +
	    rtc_decode(r, cmos[REG_SECONDS], 0, 59);
	r->s.offset = sec * NS_PER_SEC + frac - rtc_wall(r);
	r->s.second = sec;
}

/* The periodic interrupt's interval in ticks of 32768 Hz, 0 for none. */
static unsigned
rtc_interval(const struct rtc *r)
{
	unsigned rate = r->s.cmos[REG_A] & A_RATE;

	if (rate == 0 ||
	    (r->s.cmos[REG_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET)
		return 0;
	return 1u << (rate <= 2 ? rate + 6 : rate - 1);
}

static int64_t
rtc_ticks(const struct rtc *r, uint64_t now)
{
	uint64_t ns = now - r->epoch;

	return (int64_t)(ns / NS_PER_SEC * RTC_HZ +
	    ns % NS_PER_SEC * RTC_HZ / NS_PER_SEC);
}

static bool
rtc_irqf(const struct rtc *r)
{
	return (r->s.cmos[REG_B] & r->s.cmos[REG_C] & C_FLAGS) != 0;
}

static void
rtc_update_irq(struct rtc *r)
{
	bool level = rtc_irqf(r);

	if (level == ((r->s.cmos[REG_C] & C_IRQF) != 0))
		return;
	r->s.cmos[REG_C] ^= C_IRQF;
	r->host->set_irq(r->host->cookie, r->irq, level);
}

/* The parts of the time of the alarm, or -1 for any. */
struct rtc_alarm {
	int	hour, minute, second;
};

static bool
rtc_is_any(uint8_t v)
{
	return (v & ALARM_ANY) == ALARM_ANY;
}

/* One of the minutes' or seconds' registers; false if no time is like it. */
static bool
rtc_alarm_part(const struct rtc *r, uint8_t v, int *part)
{
	*part = rtc_is_any(v) ? -1 : (int)rtc_decode(r, v, 0, 59);
	return *part == -1 || rtc_encode(r, (unsigned)*part) == v;
}

static bool
rtc_alarm_read(const struct rtc *r, struct rtc_alarm *a)
{
	const uint8_t *cmos = r->s.cmos;
	uint8_t v = cmos[REG_ALARM_HOURS];

	a->hour = rtc_is_any(v) ? -1 : (int)rtc_decode_hour(r, v);
	if (a->hour != -1 && rtc_encode_hour(r, (unsigned)a->hour) != v)
		return false;
	return rtc_alarm_part(r, cmos[REG_ALARM_MINUTES], &a->minute) &&
	    rtc_alarm_part(r, cmos[REG_ALARM_SECONDS], &a->second);
}

/*
 * The first second after another that the alarm names, which comes within a
 * day, or -1.  Hours and minutes that do not fit are passed over whole.
 */
static int64_t
rtc_next_alarm(const struct rtc *r, int64_t after)
{
	struct rtc_alarm a;
	int64_t t = after + 1;

	if (!rtc_alarm_read(r, &a))
		return -1;
	for (;;) {
		if (a.hour != -1 && t / 3600 % 24 != a.hour)
			t += 3600 - t % 3600;
		else if (a.minute != -1 && t / 60 % 60 != a.minute)
			t += 60 - t % 60;
		else if (a.second != -1 && t % 60 != a.second)
			t++;
		else
			return t;
	}
}

/* The clock has come to another second, ahead or, if it was set, back. */
static void
rtc_update(struct rtc *r, int64_t second)
{
	int64_t from, alarm;

	from = rtc_clamp(r->s.second, second - SEC_PER_DAY, second - 1);
	alarm = rtc_next_alarm(r, from < -1 ? -1 : from);
	r->s.cmos[REG_C] |= C_UF;
	if (alarm != -1 && alarm <= second)
		r->s.cmos[REG_C] |= C_AF;
	r->s.second = second;
}

/* Sets the flags of what has happened since the last look. */
static void
rtc_sync(struct rtc *r, uint64_t now)
{
	int64_t second = rtc_guest_second(r);
	unsigned interval = rtc_interval(r);
	int64_t period;

	if (interval != 0) {
		period = rtc_ticks(r, now) / interval;
		if (period != r->s.period)
			r->s.cmos[REG_C] |= C_PF;
		r->s.period = period;
	}
	if (!rtc_stopped(r) && second != r->s.second)
		rtc_update(r, second);
	rtc_update_irq(r);
}

static uint64_t
rtc_next_period(const struct rtc *r)
{
	uint64_t ticks = (uint64_t)(r->s.period + 1) * rtc_interval(r);

	return r->epoch + ticks / RTC_HZ * NS_PER_SEC +
	    (ticks % RTC_HZ * NS_PER_SEC + RTC_HZ - 1) / RTC_HZ;
}

/*
 * Host time of the next update or alarm that is to interrupt.  At the end of
 * its time the clock stands: none comes.
 */
static uint64_t
rtc_next_update(const struct rtc *r, uint64_t now, uint8_t wanted)
{
	int64_t guest = rtc_guest_ns(r), second = guest / NS_PER_SEC, alarm;
	uint64_t at = DEV_NO_DEADLINE, when;

	if (rtc_stopped(r) || guest >= RTC_TIME_MAX)
		return at;
	if ((wanted & B_UIE) != 0)
		at = now + (uint64_t)((second + 1) * NS_PER_SEC - guest);
	alarm = (wanted & B_AIE) != 0 ? rtc_next_alarm(r, second) : -1;
	if (alarm != -1) {
		when = (uint64_t)(alarm * NS_PER_SEC - guest);
		when = now + (when < ALARM_LOOK_NS ? when : ALARM_LOOK_NS);
		at = when < at ? when : at;
	}
	return at;
}

/* A flag that is up already has nothing more to tell before C is read. */
static uint64_t
rtc_fold(void *dev, uint64_t now)
{
	uint64_t at = DEV_NO_DEADLINE, update;
	struct rtc *r = dev;
	uint8_t wanted;

	rtc_sync(r, now);
	wanted = r->s.cmos[REG_B] & ~r->s.cmos[REG_C];
	if ((wanted & B_PIE) != 0 && rtc_interval(r) != 0)
		at = rtc_next_period(r);
	update = rtc_next_update(r, now, wanted);
	return update < at ? update : at;
}

static uint64_t
rtc_host_now(const struct rtc *r)
{
	return r->host->now(r->host->cookie);
}

/* Reading C takes its flags back, and the interrupt with them. */
static uint8_t
rtc_read_flags(struct rtc *r)
{
	uint8_t flags = r->s.cmos[REG_C];

	r->s.cmos[REG_C] &= C_IRQF;
	rtc_update_irq(r);
	if ((r->s.cmos[REG_B] & (B_PIE | B_AIE | B_UIE)) != 0)
		r->host->attention(r->host->cookie);
	return flags;
}

static uint8_t
rtc_read_a(const struct rtc *r)
{
	uint8_t val = r->s.cmos[REG_A];

	if (!rtc_stopped(r) && rtc_fraction(r) >= NS_PER_SEC - UIP_NS)
		val |= A_UIP;
	return val;
}

static bool
rtc_is_time(uint8_t reg)
{
	switch (reg) {
	case REG_SECONDS:
	case REG_MINUTES:
	case REG_HOURS:
	case REG_WEEKDAY:
	case REG_DAY:
	case REG_MONTH:
	case REG_YEAR:
	case REG_CENTURY:
		return true;
	default:
		return false;
	}
}

static uint8_t
rtc_read(struct rtc *r)
{
	uint8_t reg = r->s.index;

	rtc_sync(r, rtc_host_now(r));
	switch (reg) {
	case REG_A:
		return rtc_read_a(r);
	case REG_C:
		return rtc_read_flags(r);
	default:
		if (rtc_is_time(reg) && !rtc_stopped(r))
			rtc_to_registers(r);
		return r->s.cmos[reg];
	}
}

/* A write to A or B: the clock may stop, or start again. */
static void
rtc_write_control(struct rtc *r, uint8_t reg, uint8_t val)
{
	uint8_t divider = r->s.cmos[REG_A] & A_DIVIDER_RESET;
	bool stopped = rtc_stopped(r);
	int64_t frac = rtc_fraction(r);
	unsigned interval;

	if (!stopped)
		rtc_to_registers(r);
	r->s.cmos[reg] = val;
	/* Out of its reset the divider makes a second in half of one. */
	if (divider == A_DIVIDER_RESET && reg == REG_A)
		frac = NS_PER_SEC / 2;
	if (stopped && !rtc_stopped(r))
		rtc_from_registers(r, frac);
	interval = rtc_interval(r);
	if (interval != 0)
		r->s.period = rtc_ticks(r, rtc_host_now(r)) / interval;
	rtc_update_irq(r);
	r->host->attention(r->host->cookie);
}

static void
rtc_write_time(struct rtc *r, uint8_t reg, uint8_t val)
{
	int64_t frac = rtc_fraction(r);

	if (rtc_stopped(r)) {
		r->s.cmos[reg] = val;
		return;
	}
	rtc_to_registers(r);
	r->s.cmos[reg] = val;
	rtc_from_registers(r, frac);
	r->host->attention(r->host->cookie);
}

static void
rtc_write_alarm(struct rtc *r, uint8_t reg, uint8_t val)
{
	r->s.cmos[reg] = val;
	if ((r->s.cmos[REG_B] & B_AIE) != 0)
		r->host->attention(r->host->cookie);
}

static void
rtc_write(struct rtc *r, uint8_t val)
{
	uint8_t reg = r->s.index;

	rtc_sync(r, rtc_host_now(r));
	switch (reg) {
	case REG_A:
		rtc_write_control(r, reg, val & ~A_UIP);
		break;
	case REG_B:
		/* SET switches the update interrupt off. */
		if ((val & B_SET) != 0)
			val &= ~B_UIE;
		rtc_write_control(r, reg, val);
		break;
	case REG_C:
	case REG_D:
		break;
	case REG_ALARM_SECONDS:
	case REG_ALARM_MINUTES:
	case REG_ALARM_HOURS:
		rtc_write_alarm(r, reg, val);
		break;
	default:
		if (rtc_is_time(reg))
			rtc_write_time(r, reg, val);
		else
			r->s.cmos[reg] = val;
		break;
	}
}

/* The index is write-only, and its NMI bit has no NMI to mask. */
static uint32_t
rtc_in(void *cookie, uint32_t off, unsigned size)
{
	(void)size;
	return off == 0 ? 0xff : rtc_read(cookie);
}

static void
rtc_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	struct rtc *r = cookie;

	(void)size;
	if (off == 0)
		r->s.index = val & (RTC_CMOS - 1);
	else
		rtc_write(r, (uint8_t)val);
}

/* Puts a size of memory into RAM bytes, or the most that fits them. */
static void
rtc_set_size(struct rtc *r, unsigned reg, unsigned bytes, uint64_t size)
{
	uint64_t max = (1ULL << (8 * bytes)) - 1;
	unsigned i;

	size = size < max ? size : max;
	for (i = 0; i < bytes; i++)
		r->s.cmos[reg + i] = (uint8_t)(size >> (8 * i));
}

static void
rtc_set_memory(struct rtc *r)
{
	uint64_t above1 = r->low > 1 << 20 ? r->low - (1 << 20) : 0;
	uint64_t above16 = r->low > 16 << 20 ? r->low - (16 << 20) : 0;
	uint64_t base = r->low < 640 << 10 ? r->low : 640 << 10;

	rtc_set_size(r, 0x15, 2, base >> 10);
	rtc_set_size(r, 0x17, 2, above1 >> 10);
	rtc_set_size(r, 0x30, 2, above1 >> 10);
	rtc_set_size(r, 0x34, 2, above16 >> 16);
	rtc_set_size(r, 0x5b, 3, r->high >> 16);
}

/* The battery keeps the time that the guest has set, and nothing else. */
static void
rtc_reset(void *dev)
{
	struct rtc *r = dev;
	int64_t offset;

	/* A clock stopped for setting goes on from where it was set. */
	if (rtc_stopped(r))
		rtc_from_registers(r, 0);
	offset = r->s.offset;
	r->s.cmos[REG_C] &= C_IRQF;
	rtc_update_irq(r);
	memset(&r->s, 0, sizeof(r->s));
	r->s.offset = offset;
	r->s.cmos[REG_A] = A_32KHZ | A_RATE_1024;
	r->s.cmos[REG_B] = B_24H;
	r->s.cmos[REG_D] = D_VRT;
	rtc_set_memory(r);
	r->epoch = rtc_host_now(r);
	r->s.second = rtc_guest_second(r);
}

void
rtc_init(struct rtc *r, const struct dev_host *host, unsigned irq,
    int64_t (*wall)(void *cookie), const struct gmem *gm)
{
	unsigned i;

	memset(r, 0, sizeof(*r));
	r->host = host;
	r->irq = irq;
	r->wall = wall != NULL ? wall : rtc_clock_realtime;
	for (i = 0; i < gm->nranges; i++) {
		if (gm->range[i].gpa < FOUR_GIB)
			r->low = gm->range[i].gpa + gm->range[i].size;
		else
			r->high += gm->range[i].size;
	}
	rtc_reset(r);
}

static int
rtc_save(const void *dev, struct state_writer *w)
{
	const struct rtc *r = dev;
	struct rtc_state s = r->s;

	s.elapsed = rtc_host_now(r) - r->epoch;
	return state_put(w, "rtc", RTC_VERSION, &s, sizeof(s));
}

static bool
rtc_valid(const struct rtc_state *s)
{
	static const uint8_t zero[sizeof(s->pad)];
	uint8_t b = s->cmos[REG_B], c = s->cmos[REG_C];
	bool irqf = (b & c & C_FLAGS) != 0;

	return s->elapsed <= RTC_ELAPSED_MAX &&
	    s->offset > -RTC_OFFSET_MAX && s->offset < RTC_OFFSET_MAX &&
	    s->period >= 0 && s->period <= (int64_t)RTC_ELAPSED_MAX / RTC_HZ &&
	    s->index < RTC_CMOS && (s->cmos[REG_A] & A_UIP) == 0 &&
	    ((b & B_SET) == 0 || (b & B_UIE) == 0) &&
	    (c & ~(C_IRQF | C_FLAGS)) == 0 &&
	    ((c & C_IRQF) != 0) == irqf && s->cmos[REG_D] == D_VRT &&
	    memcmp(s->pad, zero, sizeof(zero)) == 0;
}

static int
rtc_load(void *dev, struct state_reader *r)
{
	struct rtc *rtc = dev;
	struct rtc_state s;
	int error;

	error = state_get(r, "rtc", RTC_VERSION, &s, sizeof(s));
	if (error != 0)
		return error;
	if (!rtc_valid(&s))
		return -EINVAL;
	rtc->s = s;
	rtc->epoch = rtc_host_now(rtc) - s.elapsed;
	return 0;
}

const struct pio_ops rtc_pio = {
	.in = rtc_in,
	.out = rtc_out,
	.bytewise = true,
};

const struct dev_ops rtc_dev_ops = {
	.name = "rtc",
	.reset = rtc_reset,
	.save = rtc_save,
	.load = rtc_load,
	.fold = rtc_fold,
};
