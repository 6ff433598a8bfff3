/* SPDX-License-Identifier: ISC */
/*
 * The real-time clock: the calendar against the C library's, the formats,
 * setting, the update flag and both interrupts, and the memory sizes.
 */
#include <time.h>

#include "devices/gmem.h"
#include "devices/rtc.h"
#include "testhost.h"

#define IRQ	8
#define NS	1000000000LL
#define GIB	(1ULL << 30)

struct rig {
	struct testhost	t;	/* first: it is the host's cookie */
	int64_t		wall;	/* of the moment in which t.now was 0 */
	struct rtc	r;
};

static int64_t
rig_wall(void *cookie)
{
	struct rig *r = cookie;

	return r->wall + (int64_t)r->t.now;
}

/* A clock whose wall shows `sec` now. */
static void
make(struct rig *r, int64_t sec)
{
	struct gmem gm;

	memset(r, 0, sizeof(*r));
	testhost_init(&r->t);
	r->wall = sec * NS - (int64_t)r->t.now;
	gmem_layout(&gm, 256 << 20);
	rtc_init(&r->r, &r->t.host, IRQ, rig_wall, &gm);
}

static uint8_t
rd(struct rig *r, uint8_t reg)
{
	rtc_pio.out(&r->r, 0, 1, reg);
	return (uint8_t)rtc_pio.in(&r->r, 1, 1);
}

static void
wr(struct rig *r, uint8_t reg, uint8_t val)
{
	rtc_pio.out(&r->r, 0, 1, reg);
	rtc_pio.out(&r->r, 1, 1, val);
}

static uint64_t
fold(struct rig *r)
{
	return rtc_dev_ops.fold(&r->r, r->t.now);
}

static unsigned
bcd(uint8_t v)
{
	ck_assert_uint_le(v & 15, 9);
	return (v >> 4) * 10u + (v & 15u);
}

/* Compares the BCD registers with what the C library makes of a time. */
static void
check_time(struct rig *r, time_t sec)
{
	struct tm tm;

	gmtime_r(&sec, &tm);
	ck_assert_uint_eq(bcd(rd(r, 0)), tm.tm_sec);
	ck_assert_uint_eq(bcd(rd(r, 2)), tm.tm_min);
	ck_assert_uint_eq(bcd(rd(r, 4)), tm.tm_hour);
	ck_assert_uint_eq(bcd(rd(r, 6)), tm.tm_wday + 1);
	ck_assert_uint_eq(bcd(rd(r, 7)), tm.tm_mday);
	ck_assert_uint_eq(bcd(rd(r, 8)), tm.tm_mon + 1);
	ck_assert_uint_eq(bcd(rd(r, 9)), tm.tm_year % 100);
	ck_assert_uint_eq(bcd(rd(r, 0x32)), 19 + tm.tm_year / 100);
}

START_TEST(calendar)
{
	static const time_t edges[] = {
		0, 86399, 86400, 951782399, 951782400, 951868800,
		951955199, 951955200, 1709164799, 1709164800, 1709251199,
		1709251200, 4102444799
	};
	uint64_t seed = 31415926535ULL;
	struct rig r;
	unsigned i;
	time_t sec;

	for (i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		make(&r, edges[i]);
		check_time(&r, edges[i]);
	}
	for (i = 0; i < 300; i++) {
		sec = test_random(&seed) % 4102444800;
		make(&r, sec);
		check_time(&r, sec);
	}
}
END_TEST

/* A wall clock out of all reason shows the nearest time there is. */
START_TEST(absurd_walls)
{
	struct rig r;

	make(&r, 4102444800);
	check_time(&r, 4102444799);
	make(&r, 0);
	r.wall = INT64_MIN;
	check_time(&r, 0);
	r.wall = INT64_MAX - (int64_t)r.t.now;
	check_time(&r, 4102444799);
}
END_TEST

START_TEST(seconds_roll_over)
{
	struct rig r;

	make(&r, 1709251199);		/* 2024-02-29 23:59:59 */
	r.t.now += NS - 1;
	check_time(&r, 1709251199);
	r.t.now++;
	check_time(&r, 1709251200);
}
END_TEST

START_TEST(formats)
{
	static const struct {
		unsigned	hour;
		uint8_t		bcd12, bin12;
	} hours[] = {
		{ 0, 0x12, 12 }, { 1, 0x01, 1 }, { 11, 0x11, 11 },
		{ 12, 0x92, 0x8c }, { 13, 0x81, 0x81 }, { 23, 0x91, 0x8b },
	};
	struct rig r;
	unsigned i;

	for (i = 0; i < sizeof(hours) / sizeof(hours[0]); i++) {
		make(&r, hours[i].hour * 3600 + 59 * 60);
		wr(&r, 0x0b, 0x00);
		ck_assert_uint_eq(rd(&r, 4), hours[i].bcd12);
		ck_assert_uint_eq(rd(&r, 2), 0x59);
		wr(&r, 0x0b, 0x04);
		ck_assert_uint_eq(rd(&r, 4), hours[i].bin12);
		ck_assert_uint_eq(rd(&r, 2), 59);
		wr(&r, 0x0b, 0x06);
		ck_assert_uint_eq(rd(&r, 4), hours[i].hour);
		/* Written back as shown it is the same hour. */
		wr(&r, 0x0b, 0x80);
		wr(&r, 4, hours[i].bcd12);
		wr(&r, 0x0b, 0x00);
		wr(&r, 0x0b, 0x02);
		ck_assert_uint_eq(bcd(rd(&r, 4)), hours[i].hour);
	}
}
END_TEST

START_TEST(registers_after_reset)
{
	struct rig r;

	make(&r, 1000);
	ck_assert_uint_eq(rd(&r, 0x0a), 0x26);
	ck_assert_uint_eq(rd(&r, 0x0b), 0x02);
	ck_assert_uint_eq(rd(&r, 0x0c), 0x00);
	ck_assert_uint_eq(rd(&r, 0x0d), 0x80);
	wr(&r, 0x0c, 0xff);
	wr(&r, 0x0d, 0x00);
	ck_assert_uint_eq(rd(&r, 0x0c), 0x00);
	ck_assert_uint_eq(rd(&r, 0x0d), 0x80);
	ck_assert_uint_eq(rtc_pio.in(&r.r, 0, 1), 0xff);
	/* The index has seven bits; the eighth masks an NMI. */
	wr(&r, 0x7f, 0x5a);
	wr(&r, 0xff, 0xa5);
	ck_assert_uint_eq(rd(&r, 0x7f), 0xa5);
	wr(&r, 0x01, 0xc0);
	wr(&r, 0x03, 0xff);
	wr(&r, 0x05, 0x23);
	ck_assert_uint_eq(rd(&r, 0x01), 0xc0);
	ck_assert_uint_eq(rd(&r, 0x03), 0xff);
	ck_assert_uint_eq(rd(&r, 0x05), 0x23);
}
END_TEST

START_TEST(update_in_progress)
{
	struct rig r;

	make(&r, 1000);
	r.t.now += NS - 244001;
	ck_assert_uint_eq(rd(&r, 0x0a), 0x26);
	r.t.now++;
	ck_assert_uint_eq(rd(&r, 0x0a), 0xa6);
	wr(&r, 0x0a, 0xa6);
	r.t.now += 243999;
	ck_assert_uint_eq(rd(&r, 0x0a), 0xa6);
	r.t.now++;
	ck_assert_uint_eq(rd(&r, 0x0a), 0x26);
	wr(&r, 0x0b, 0x82);
	r.t.now += NS - 1;
	ck_assert_uint_eq(rd(&r, 0x0a), 0x26);
}
END_TEST

/* The order in which Linux sets the clock; the first second is a half. */
START_TEST(set_with_divider_reset)
{
	struct rig r;

	make(&r, 1000);
	r.t.now += 123456789;
	wr(&r, 0x0b, 0x82);
	wr(&r, 0x0a, 0x76);
	wr(&r, 9, 0x31);
	wr(&r, 8, 0x12);
	wr(&r, 7, 0x31);
	wr(&r, 4, 0x23);
	wr(&r, 2, 0x59);
	wr(&r, 0, 0x58);
	wr(&r, 0x32, 0x20);
	r.t.now += 7 * NS;		/* it stands still meanwhile */
	ck_assert_uint_eq(rd(&r, 0), 0x58);
	wr(&r, 0x0b, 0x02);
	r.t.now += 7 * NS;
	ck_assert_uint_eq(rd(&r, 0), 0x58);
	wr(&r, 0x0a, 0x26);
	check_time(&r, 1956527998);	/* 2031-12-31 23:59:58 */
	r.t.now += NS / 2 - 1;
	check_time(&r, 1956527998);
	r.t.now++;
	check_time(&r, 1956527999);
	r.t.now += NS;
	check_time(&r, 1956528000);
}
END_TEST

/* SET alone leaves the divider running: seconds change where they did. */
START_TEST(set_keeps_the_phase)
{
	struct rig r;

	make(&r, 1000);
	r.t.now += NS / 4;
	wr(&r, 0x0b, 0x82);
	wr(&r, 2, 0x30);
	r.t.now += 5 * NS;
	wr(&r, 0x0b, 0x02);
	check_time(&r, 1000 - 16 * 60 + 30 * 60);
	r.t.now += 3 * NS / 4 - 1;
	check_time(&r, 1000 - 16 * 60 + 30 * 60);
	r.t.now++;
	check_time(&r, 1001 - 16 * 60 + 30 * 60);
}
END_TEST

START_TEST(set_while_running)
{
	struct rig r;

	make(&r, 1000);
	wr(&r, 4, 0x05);
	check_time(&r, 1000 + 5 * 3600);
	/* Nonsense is brought into range. */
	wr(&r, 8, 0xff);
	ck_assert_uint_eq(rd(&r, 8), 0x12);
	wr(&r, 8, 0x00);
	ck_assert_uint_eq(rd(&r, 8), 0x01);
	wr(&r, 0x32, 0x99);
	ck_assert_uint_eq(rd(&r, 0x32), 0x20);
	wr(&r, 9, 0xff);
	ck_assert_uint_eq(rd(&r, 9), 0x99);
}
END_TEST

/* A reset keeps what the battery keeps: the time as the guest has set it. */
START_TEST(reset_keeps_the_time)
{
	struct rig r;

	make(&r, 1000);
	wr(&r, 4, 0x07);
	wr(&r, 0x0b, 0x52);
	wr(&r, 0x34, 0);
	wr(&r, 0x40, 1);
	r.t.now += 2 * NS;
	(void)fold(&r);
	ck_assert(r.t.line[IRQ]);
	rtc_dev_ops.reset(&r.r);
	ck_assert(!r.t.line[IRQ]);
	check_time(&r, 1002 + 7 * 3600);
	ck_assert_uint_eq(rd(&r, 0x0b), 0x02);
	ck_assert_uint_eq(rd(&r, 0x0c), 0x00);
	ck_assert_uint_eq(rd(&r, 0x35), 0x0f);
	ck_assert_uint_eq(rd(&r, 0x40), 0);
	wr(&r, 0x0b, 0x82);
	wr(&r, 4, 0x09);
	rtc_dev_ops.reset(&r.r);
	check_time(&r, 1002 + 9 * 3600);
}
END_TEST

START_TEST(update_interrupt)
{
	struct rig r;

	make(&r, 1000);
	wr(&r, 0x0a, 0x20);		/* no periods */
	r.t.now += 400000000;
	ck_assert_uint_eq(fold(&r), DEV_NO_DEADLINE);
	r.t.attentions = 0;
	wr(&r, 0x0b, 0x12);
	ck_assert_uint_gt(r.t.attentions, 0);
	ck_assert_uint_eq(fold(&r), r.t.now + 600000000);
	r.t.now += 599999999;
	(void)fold(&r);
	ck_assert(!r.t.line[IRQ]);
	r.t.now++;
	/* Nothing more to wait for before C is read. */
	ck_assert_uint_eq(fold(&r), DEV_NO_DEADLINE);
	ck_assert(r.t.line[IRQ]);
	r.t.attentions = 0;
	ck_assert_uint_eq(rd(&r, 0x0c), 0x90);
	ck_assert(!r.t.line[IRQ]);
	ck_assert_uint_eq(r.t.attentions, 1);
	ck_assert_uint_eq(rd(&r, 0x0c), 0x00);
	ck_assert_uint_eq(fold(&r), r.t.now + NS);
	/* SET switches it off, and no second changes. */
	wr(&r, 0x0b, 0x92);
	ck_assert_uint_eq(rd(&r, 0x0b), 0x82);
	r.t.now += 3 * NS;
	ck_assert_uint_eq(fold(&r), DEV_NO_DEADLINE);
	ck_assert_uint_eq(rd(&r, 0x0c), 0x00);
}
END_TEST

/* The clock stands at the end of 2099, and asks for nothing more. */
START_TEST(end_of_time)
{
	struct rig r;

	make(&r, 4102444799);
	wr(&r, 0x0b, 0x12);
	r.t.now += 5 * NS;
	(void)rd(&r, 0x0c);
	ck_assert_uint_eq(fold(&r), DEV_NO_DEADLINE);
	check_time(&r, 4102444799);
}
END_TEST

static void
set_alarm(struct rig *r, uint8_t hour, uint8_t minute, uint8_t second)
{
	wr(r, 5, hour);
	wr(r, 3, minute);
	wr(r, 1, second);
}

#define MIDNIGHT	1709164800	/* 2024-02-29 */

/* Alarms in both formats of both kinds, in seconds after `from`. */
static const struct {
	uint8_t	b, hour, minute, second;
	int	from, after;		/* -1: never */
} alarms[] = {
	{ 0x22, 0x00, 0x00, 0x02, 1, 1 },
	{ 0x22, 0x00, 0x00, 0x02, 2, 86400 },
	{ 0x22, 0x23, 0x59, 0x59, 0, 86399 },
	{ 0x22, 0x00, 0x00, 0x00, 86399, 1 },
	{ 0x26, 23, 59, 59, 0, 86399 },
	{ 0x20, 0x12, 0x00, 0x00, 0, 86400 },
	{ 0x20, 0x92, 0x00, 0x00, 0, 43200 },
	{ 0x20, 0x81, 0x30, 0x00, 0, 48600 },
	{ 0x24, 0x8b, 59, 58, 0, 86398 },
	/* Wildcards: the lowest and the highest. */
	{ 0x22, 0xc0, 0xc0, 0xc0, 17, 1 },
	{ 0x22, 0xff, 0xff, 0xff, 86399, 1 },
	{ 0x22, 0xff, 0xff, 0x30, 29, 1 },
	{ 0x22, 0xff, 0xff, 0x30, 30, 60 },
	{ 0x22, 0xff, 0x10, 0xff, 659, 3541 },
	{ 0x22, 0xff, 0x10, 0xff, 658, 1 },
	{ 0x22, 0x05, 0xff, 0x00, 0, 18000 },
	{ 0x22, 0x05, 0xff, 0xff, 21599, 82801 },
	/* No time is like these. */
	{ 0x22, 0x24, 0x00, 0x00, 0, -1 },
	{ 0x22, 0x00, 0x60, 0x00, 0, -1 },
	{ 0x22, 0x00, 0x00, 0x60, 0, -1 },
	{ 0x22, 0x00, 0x00, 0x0a, 0, -1 },
	{ 0x22, 0x00, 0x00, 0xbf, 0, -1 },
	{ 0x26, 24, 0, 0, 0, -1 },
	{ 0x20, 0x00, 0x00, 0x00, 0, -1 },
	{ 0x20, 0x13, 0x00, 0x00, 0, -1 },
};

/* The line rises in the nanosecond in which the alarm's second begins. */
START_TEST(alarm_time)
{
	uint64_t at, now, want;
	struct rig r;

	make(&r, MIDNIGHT + alarms[_i].from);
	wr(&r, 0x0b, alarms[_i].b);
	set_alarm(&r, alarms[_i].hour, alarms[_i].minute, alarms[_i].second);
	(void)rd(&r, 0x0c);
	want = r.t.now + (uint64_t)alarms[_i].after * NS;
	if (alarms[_i].after == -1) {
		ck_assert_uint_eq(fold(&r), DEV_NO_DEADLINE);
		r.t.now += 2 * 86400 * NS;
		ck_assert_uint_eq(fold(&r), DEV_NO_DEADLINE);
		ck_assert_uint_eq(rd(&r, 0x0c) & 0xa0, 0);
		return;
	}
	/* It looks each minute whether the host's clock is still right. */
	while ((at = fold(&r)) < want) {
		now = r.t.now;
		ck_assert_uint_eq(at, now + 60 * NS);
		r.t.now = at;
	}
	ck_assert_uint_eq(at, want);
	r.t.now = at - 1;
	(void)fold(&r);
	ck_assert(!r.t.line[IRQ]);
	r.t.now = at;
	ck_assert_uint_eq(fold(&r), DEV_NO_DEADLINE);
	ck_assert(r.t.line[IRQ]);
	ck_assert_uint_eq(rd(&r, 0x0c) & 0xa0, 0xa0);
	ck_assert(!r.t.line[IRQ]);
	ck_assert_uint_gt(fold(&r), r.t.now);
}
END_TEST

/* The flag comes without its interrupt, too, and does not ring when late. */
START_TEST(alarm_flag)
{
	struct rig r;

	make(&r, MIDNIGHT);
	set_alarm(&r, 0x00, 0x00, 0x05);
	r.t.now += 4 * NS;
	ck_assert_uint_eq(rd(&r, 0x0c) & 0x20, 0);
	/* Written while enabled, it counts from then on. */
	wr(&r, 0x0b, 0x22);
	r.t.attentions = 0;
	wr(&r, 1, 0x04);
	ck_assert_uint_eq(r.t.attentions, 1);
	ck_assert_uint_eq(fold(&r), r.t.now + 60 * NS);
	r.t.now += NS;
	ck_assert_uint_eq(rd(&r, 0x0c) & 0x20, 0);
	wr(&r, 0x0b, 0x02);
	/* Passed over by a host that slept, and by one that set its clock. */
	r.t.now += 86400 * NS;
	ck_assert_uint_eq(rd(&r, 0x0c), 0x70);
	ck_assert_int_eq(r.t.rises[IRQ], 0);
	r.wall -= 86400 * NS;
	ck_assert_uint_eq(rd(&r, 0x0c) & 0x30, 0x10);
	r.wall -= NS;
	ck_assert_uint_eq(rd(&r, 0x0c) & 0x30, 0x30);
	/* A clock that is stopped for setting passes no alarm. */
	wr(&r, 0x0b, 0xa2);
	r.t.now += 86400 * NS;
	ck_assert_uint_eq(fold(&r), DEV_NO_DEADLINE);
	ck_assert_uint_eq(rd(&r, 0x0c) & 0x30, 0);
}
END_TEST

/* A flag that is up raises the line the moment it is enabled. */
START_TEST(enabling_shows_the_flag)
{
	struct rig r;

	make(&r, 1000);
	r.t.now += NS;
	ck_assert_uint_eq(rd(&r, 0x0b), 0x02);
	ck_assert(!r.t.line[IRQ]);
	wr(&r, 0x0b, 0x12);
	ck_assert(r.t.line[IRQ]);
	wr(&r, 0x0b, 0x02);
	ck_assert(!r.t.line[IRQ]);
	ck_assert_uint_eq(rd(&r, 0x0c) & 0x90, 0x10);
}
END_TEST

START_TEST(periodic_rates)
{
	static const unsigned hz[16] = {
		0, 256, 128, 8192, 4096, 2048, 1024, 512, 256, 128, 64, 32,
		16, 8, 4, 2
	};
	unsigned rate, count;
	struct rig r;
	uint64_t end, next;

	for (rate = 0; rate < 16; rate++) {
		make(&r, 1000);
		wr(&r, 0x0a, (uint8_t)(0x20 | rate));
		wr(&r, 0x0b, 0x42);
		end = r.t.now + NS;
		for (count = 0; (next = fold(&r)) <= end;) {
			r.t.now = next;
			(void)fold(&r);
			if (r.t.line[IRQ]) {
				ck_assert_uint_eq(rd(&r, 0x0c) & 0xc0, 0xc0);
				count++;
			}
		}
		ck_assert_uint_eq(count, hz[rate]);
		ck_assert_uint_eq(r.t.rises[IRQ], hz[rate]);
	}
	/* Not while the divider is held. */
	make(&r, 1000);
	wr(&r, 0x0a, 0x66);
	wr(&r, 0x0b, 0x42);
	ck_assert_uint_eq(fold(&r), DEV_NO_DEADLINE);
	r.t.now += NS;
	ck_assert_uint_eq(rd(&r, 0x0c), 0x00);
}
END_TEST

/* Without its interrupt the flag is for those who look. */
START_TEST(periodic_flag_by_polling)
{
	struct rig r;

	make(&r, 1000);
	(void)rd(&r, 0x0c);
	r.t.now += NS / 1024 - 100;
	ck_assert_uint_eq(rd(&r, 0x0c), 0x00);
	r.t.now += 200;
	ck_assert_uint_eq(rd(&r, 0x0c), 0x40);
	ck_assert_uint_eq(rd(&r, 0x0c), 0x00);
	ck_assert_uint_eq(r.t.rises[IRQ], 0);
	/* A new rate is no event of itself. */
	r.t.now += NS / 4;
	(void)rd(&r, 0x0c);
	wr(&r, 0x0a, 0x23);
	ck_assert_uint_eq(rd(&r, 0x0c), 0x00);
}
END_TEST

static void
check_memory(uint64_t size, unsigned base, unsigned ext, unsigned above16,
    unsigned high)
{
	struct gmem gm;
	struct rig r;

	make(&r, 0);
	gmem_layout(&gm, size);
	rtc_init(&r.r, &r.t.host, IRQ, rig_wall, &gm);
	ck_assert_uint_eq(rd(&r, 0x15) | rd(&r, 0x16) << 8, base);
	ck_assert_uint_eq(rd(&r, 0x17) | rd(&r, 0x18) << 8, ext);
	ck_assert_uint_eq(rd(&r, 0x30) | rd(&r, 0x31) << 8, ext);
	ck_assert_uint_eq(rd(&r, 0x34) | rd(&r, 0x35) << 8, above16);
	ck_assert_uint_eq(rd(&r, 0x5b) | rd(&r, 0x5c) << 8 |
	    rd(&r, 0x5d) << 16, high);
}

START_TEST(memory_sizes)
{
	check_memory(512 << 10, 512, 0, 0, 0);
	check_memory(1 << 20, 640, 0, 0, 0);
	check_memory(16 << 20, 640, 15 << 10, 0, 0);
	check_memory(17 << 20, 640, 16 << 10, 16, 0);
	check_memory(64 << 20, 640, 63 << 10, 48 << 4, 0);
	check_memory(65 << 20, 640, 65535, 49 << 4, 0);
	check_memory(3 * GIB, 640, 65535, 3056 << 4, 0);
	check_memory(3 * GIB + 65536, 640, 65535, 3056 << 4, 1);
	check_memory(5 * GIB, 640, 65535, 3056 << 4, 2048 << 4);
	check_memory(2048 * GIB, 640, 65535, 3056 << 4, 0xffffff);
}
END_TEST

/* What the guest has set stays with the wall clock through a save. */
START_TEST(loaded_clock_is_right)
{
	struct rig a, b;
	struct buf saved;

	make(&a, 1000000);
	wr(&a, 7, 0x20);
	testhost_save(&rtc_dev_ops, &a.r, &saved);
	make(&b, 1000000 + 3600);	/* an hour later, elsewhere */
	b.t.now += 5;
	ck_assert_int_eq(testhost_load(&rtc_dev_ops, &b.r, &saved), 0);
	check_time(&b, 1000000 + 3600 + 8 * 86400);
	buf_free(&saved);
}
END_TEST

START_TEST(host_clock_by_default)
{
	struct gmem gm;
	struct rig r;
	time_t before, after;
	unsigned day;
	struct tm tm;

	make(&r, 0);
	gmem_layout(&gm, 1 << 20);
	rtc_init(&r.r, &r.t.host, IRQ, NULL, &gm);
	do {
		before = time(NULL);
		day = bcd(rd(&r, 7));
		after = time(NULL);
	} while (before / 86400 != after / 86400);
	gmtime_r(&before, &tm);
	ck_assert_uint_eq(day, tm.tm_mday);
	ck_assert_uint_eq(bcd(rd(&r, 9)), tm.tm_year % 100);
}
END_TEST

static void
step(struct rig *r, uint64_t *seed)
{
	uint32_t x = test_random(seed);

	switch (x % 6) {
	case 0:
	case 1:
		wr(r, x >> 8 & 0x0f, (uint8_t)(x >> 16));
		break;
	case 2:
		wr(r, (uint8_t)(x >> 8), (uint8_t)(x >> 16));
		break;
	case 3:
		(void)rd(r, x >> 8 & 0x3f);
		break;
	case 4:
		r->t.now += x >> (x >> 8 & 15);
		break;
	default:
		(void)fold(r);
		break;
	}
}

START_TEST(random_programs)
{
	uint64_t seed = 0x0123456789abcdefULL;
	struct rig r, other;
	unsigned i;

	make(&r, 1700000000);
	make(&other, 1700000000);
	for (i = 0; i < 100000; i++) {
		step(&r, &seed);
		if (r.t.line[IRQ] != ((r.r.s.cmos[0x0c] & 0x80) != 0))
			ck_abort_msg("line and IRQF differ");
		if (i % 16 == 0) {
			other.t.now = r.t.now;
			testhost_round_trip(&rtc_dev_ops, &r.r, &other.r);
		}
	}
	ck_assert_uint_gt(r.t.rises[IRQ], 0);
}
END_TEST

static void
use(void *dev)
{
	/* dev is the member of a rig. */
	struct rig *r = (struct rig *)((char *)dev - offsetof(struct rig, r));
	uint64_t seed = 99;
	unsigned i;

	for (i = 0; i < 60; i++)
		step(r, &seed);
}

START_TEST(hostile_state)
{
	struct rig a, b;

	make(&a, 1700000000);
	make(&b, 1700000000);
	wr(&a, 0x0b, 0x52);
	a.t.now += 3 * NS;
	(void)fold(&a);
	testhost_corrupt(&rtc_dev_ops, &a.r, &b.r, use);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("rtc");

	tcase_set_timeout(tc, 10);
	tcase_add_test(tc, calendar);
	tcase_add_test(tc, absurd_walls);
	tcase_add_test(tc, seconds_roll_over);
	tcase_add_test(tc, formats);
	tcase_add_test(tc, registers_after_reset);
	tcase_add_test(tc, update_in_progress);
	tcase_add_test(tc, set_with_divider_reset);
	tcase_add_test(tc, set_keeps_the_phase);
	tcase_add_test(tc, set_while_running);
	tcase_add_test(tc, reset_keeps_the_time);
	tcase_add_test(tc, update_interrupt);
	tcase_add_test(tc, end_of_time);
	tcase_add_loop_test(tc, alarm_time, 0,
	    sizeof(alarms) / sizeof(alarms[0]));
	tcase_add_test(tc, alarm_flag);
	tcase_add_test(tc, enabling_shows_the_flag);
	tcase_add_test(tc, periodic_rates);
	tcase_add_test(tc, periodic_flag_by_polling);
	tcase_add_test(tc, memory_sizes);
	tcase_add_test(tc, loaded_clock_is_right);
	tcase_add_test(tc, host_clock_by_default);
	tcase_add_test(tc, random_programs);
	tcase_add_test(tc, hostile_state);
	return test_main("rtc", tc);
}
