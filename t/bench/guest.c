/* SPDX-License-Identifier: ISC */
/*
 * What is measured inside a guest.  Without a C library, which would make up a
 * third of the initrd that every guest of a comparison unpacks.
 *
 * As any process: the round trip of a write to a port that no device has, and
 * of a read where no memory is, through the whole daemon.  Prints "bench-port
 * N" and "bench-mmio N", in ns.
 *
 * As the first process, on the emulator itself: how long it took to get here.
 * Prints "bench-floor N", in us, and resets.  The emulator's TSC counts the
 * ns since reset; the kernel does not idle before its init.
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include <fcntl.h>
#include <linux/reboot.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <x86intrin.h>

#define PORT	0x80
#define HOLE	0xd0000000
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

static long
sys6(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall" : "=a" (ret)
	    : "a" (number), "D" (a), "S" (b), "d" (c), "r" (r10), "r" (r8),
	      "r" (r9) : "rcx", "r11", "memory");
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

/* A read where no memory is, by which a device's register would be read. */
static void
measure_mmio(void)
{
	const volatile uint32_t *p;
	uint64_t begin, value;
	long fd, at;
	int i;

	fd = sys(SYS_open, (long)"/dev/mem", O_RDONLY, 0);
	at = sys6(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, fd, HOLE);
	if (fd < 0 || at < 0) {
		PRINT("/dev/mem failed\n");
		return;
	}
	p = (const volatile uint32_t *)at;
	begin = now();
	for (i = 0; i < ROUNDS; i++)
		(void)*p;
	value = (now() - begin) / ROUNDS;
	PRINT("bench-mmio ");
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
	else {
		measure_port();
		measure_mmio();
	}
	sys(SYS_exit, 0, 0, 0);
}
