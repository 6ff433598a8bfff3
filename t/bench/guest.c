/* SPDX-License-Identifier: ISC */
/*
 * What is measured inside a guest.  Without a C library, which would make up a
 * third of the initrd that every guest of a comparison unpacks.
 *
 * As any process: the round trip of a write to a port that no device has,
 * through the whole daemon.  Prints "bench-port N", in ns.
 *
 * As the first process, on the emulator itself: how long it took to get here.
 * Prints "bench-floor N", in us, and resets.  The emulator's TSC counts the
 * ns since reset; the kernel does not idle before its init.
 */
#include <sys/syscall.h>

#include <linux/reboot.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <x86intrin.h>

#define PORT	0x80
#define ROUNDS	200000

void start(void);

static long
sys(long number, long a, long b, long c)
{
	long ret;

	__asm__ volatile("syscall" : "=a" (ret)
	    : "a" (number), "D" (a), "S" (b), "d" (c)
	    : "rcx", "r11", "memory");
	return (ret);
}

static uint64_t
now(void)
{
	struct timespec ts;

	sys(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&ts, 0);
	return ((uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
}

static void
print(const char *text, size_t len)
{
	sys(SYS_write, 1, (long)text, (long)len);
}

#define PRINT(text)	print(text, sizeof(text) - 1)

static void
print_value(uint64_t value)
{
	char digits[24];
	size_t at = sizeof(digits);

	digits[--at] = '\n';
	do
		digits[--at] = '0' + (char)(value % 10);
	while ((value /= 10) != 0);
	print(digits + at, sizeof(digits) - at);
}

static void
measure_port(void)
{
	uint64_t begin, value;
	int i;

	if (sys(SYS_ioperm, PORT, 1, 1) != 0) {
		PRINT("ioperm failed\n");
		return;
	}
	begin = now();
	for (i = 0; i < ROUNDS; i++)
		__asm__ volatile("outb %%al, %0" : : "i" (PORT), "a" (0));
	value = (now() - begin) / ROUNDS;
	PRINT("bench-port ");
	print_value(value);
}

static void
measure_floor(void)
{
	uint64_t ns;

	PRINT("vmmd-guest: init\n");
	ns = __rdtsc();
	PRINT("bench-floor ");
	print_value(ns / 1000);
	sys(SYS_reboot, (long)LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
	    LINUX_REBOOT_CMD_RESTART);
}

__attribute__((__force_align_arg_pointer__)) void
start(void)
{
	if (sys(SYS_getpid, 0, 0, 0) == 1)
		measure_floor();
	else
		measure_port();
	sys(SYS_exit, 0, 0, 0);
}
