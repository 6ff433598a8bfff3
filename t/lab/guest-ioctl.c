/* SPDX-License-Identifier: ISC */
/*
 * What a guest asks of its devices that no program of busybox does.
 *
 * usage: guest-ioctl discard|zero|punch DISK FIRST BYTES
 *	  guest-ioctl trim DIRECTORY
 *	  guest-ioctl alarm|update SECONDS
 *	  guest-ioctl rdmsr|wrmsr MSR
 *	  guest-ioctl ticks PORT
 *	  guest-ioctl outb PORT VALUE
 *
 * alarm waits for the clock's alarm, set to so many seconds from now, update
 * for so many changes of its second; both print how many milliseconds passed.
 * wrmsr writes a value that no MSR with a meaning takes.  ticks tells how many
 * a second the counter of 32 bits at a port makes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/rtc.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS	15000
#define TICKS_NS	UINT64_C(2000000000)
#define MSR_VALUE	UINT64_C(0x7777777777777772)

static int
fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 1;
}

static int
change_range(const char *how, const char *disk, uint64_t first, uint64_t len)
{
	uint64_t range[2] = { first, len };
	int fd, ret;

	fd = open(disk, O_RDWR);
	if (fd == -1)
		return fail(disk);
	if (strcmp(how, "discard") == 0)
		ret = ioctl(fd, BLKDISCARD, range);
	else if (strcmp(how, "zero") == 0)
		ret = ioctl(fd, BLKZEROOUT, range);
	else
		ret = fallocate(fd, FALLOC_FL_PUNCH_HOLE |
		    FALLOC_FL_KEEP_SIZE, (off_t)first, (off_t)len);
	if (ret == -1 || fsync(fd) == -1)
		return fail(how);
	close(fd);
	return 0;
}

static int
trim(const char *dir)
{
	struct fstrim_range r = { .len = UINT64_MAX };
	int fd;

	fd = open(dir, O_RDONLY);
	if (fd == -1 || ioctl(fd, FITRIM, &r) == -1)
		return fail(dir);
	close(fd);
	printf("trimmed %llu bytes\n", (unsigned long long)r.len);
	return 0;
}

/* Sets the alarm as Linux does it for every kind of clock: UTC, no date. */
static int
set_alarm(int fd, int seconds)
{
	struct rtc_time t;
	struct tm tm;
	time_t at;

	if (ioctl(fd, RTC_RD_TIME, &t) == -1)
		return -1;
	tm = (struct tm){
		.tm_sec = t.tm_sec, .tm_min = t.tm_min, .tm_hour = t.tm_hour,
		.tm_mday = t.tm_mday, .tm_mon = t.tm_mon, .tm_year = t.tm_year,
	};
	at = timegm(&tm) + seconds;
	gmtime_r(&at, &tm);
	t.tm_sec = tm.tm_sec;
	t.tm_min = tm.tm_min;
	t.tm_hour = tm.tm_hour;
	if (ioctl(fd, RTC_ALM_SET, &t) == -1)
		return -1;
	return ioctl(fd, RTC_AIE_ON, 0);
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Waits for so many events of the clock, which may come together. */
static int
wait_clock(int fd, unsigned long n)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	unsigned long data, seen = 0;

	while (seen < n) {
		if (poll(&p, 1, PATIENCE_MS) != 1) {
			printf("no interrupt\n");
			return 1;
		}
		if (read(fd, &data, sizeof(data)) != sizeof(data))
			return fail("read");
		seen += data >> 8;
	}
	return 0;
}

static int
clock_test(const char *how, int seconds)
{
	int alarm = strcmp(how, "alarm") == 0, fd;
	int64_t begin = now_ms();

	fd = open("/dev/rtc0", O_RDONLY);
	if (fd == -1)
		return fail("/dev/rtc0");
	if ((alarm ? set_alarm(fd, seconds) : ioctl(fd, RTC_UIE_ON, 0)) == -1)
		return fail(how);
	if (wait_clock(fd, alarm ? 1 : (unsigned long)seconds) != 0)
		return 1;
	printf("%s after %lld ms\n", how, (long long)(now_ms() - begin));
	return 0;
}

static int
msr_test(const char *how, const char *msr)
{
	off_t at = strtoll(msr, NULL, 0);
	uint64_t value = MSR_VALUE;
	bool write = strcmp(how, "wrmsr") == 0;
	ssize_t n;
	int fd;

	fd = open("/dev/cpu/0/msr", O_RDWR);
	if (fd == -1)
		return fail("/dev/cpu/0/msr");
	n = write ? pwrite(fd, &value, sizeof(value), at) :
	    pread(fd, &value, sizeof(value), at);
	printf("%s %s: ", how, msr);
	if (n != sizeof(value))
		puts(strerror(errno));
	else if (write)
		puts("done");
	else
		printf("%#llx\n", (unsigned long long)value);
	close(fd);
	return 0;
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int
count_ticks(unsigned short port)
{
	uint64_t begin, end;
	uint32_t first, last;

	if (iopl(3) == -1)
		return fail("iopl");
	begin = now_ns();
	first = inl(port);
	do {
		last = inl(port);
		end = now_ns();
	} while (end - begin < TICKS_NS);
	printf("ticks %.0f\n", (last - first) * 1e9 / (double)(end - begin));
	return 0;
}

static int
write_port(unsigned short port, unsigned char value)
{
	if (iopl(3) == -1)
		return fail("iopl");
	outb(value, port);
	return 0;
}

int
main(int argc, char *argv[])
{
	if (argc == 4 && strcmp(argv[1], "outb") == 0)
		return write_port((unsigned short)strtoul(argv[2], NULL, 0),
		    (unsigned char)strtoul(argv[3], NULL, 0));
	if (argc == 5)
		return change_range(argv[1], argv[2],
		    strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
	if (argc == 3 && strcmp(argv[1], "trim") == 0)
		return trim(argv[2]);
	if (argc == 3 && strcmp(argv[1], "ticks") == 0)
		return count_ticks((unsigned short)strtoul(argv[2], NULL, 0));
	if (argc == 3 && strstr(argv[1], "msr") != NULL)
		return msr_test(argv[1], argv[2]);
	if (argc == 3)
		return clock_test(argv[1], atoi(argv[2]));
	fprintf(stderr, "usage: guest-ioctl WHAT WHERE [FIRST BYTES]\n");
	return 2;
}
