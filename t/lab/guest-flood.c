/* SPDX-License-Identifier: ISC */
/*
 * Writes to the serial line as fast as a guest can, by string instructions to
 * the port, past the kernel and without asking whether there is room.
 *
 * usage: guest-flood SECONDS
 *
 * Each line is "flood: N" with a running number, filled up by dots.  The last
 * one is "flood: N lines".
 */
#include <sys/io.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COM1	0x3f8
#define WIDTH	78

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
put_line(unsigned long n)
{
	char line[WIDTH + 3];
	int len;

	len = snprintf(line, sizeof(line), "flood: %lu ", n);
	memset(line + len, '.', (size_t)(WIDTH - len));
	memcpy(line + WIDTH, "\r\n", 3);
	outsb(COM1, line, WIDTH + 2);
}

int
main(int argc, char *argv[])
{
	unsigned long n = 0;
	double until;

	if (argc != 2)
		errx(2, "usage: guest-flood SECONDS");
	if (iopl(3) == -1)
		err(1, "iopl");
	until = now() + strtod(argv[1], NULL);
	while (now() < until)
		put_line(++n);
	printf("flood: %lu lines\n", n);
	return 0;
}
