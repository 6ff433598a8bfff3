/* SPDX-License-Identifier: ISC */
/*
 * Writes to the serial line as fast as a guest can, past the kernel and without
 * asking whether there is room.
 *
 * usage: guest-flood LINES
 *
 * Each line is "flood: N" with a running number, filled up by dots.  The last
 * is "flood: N lines in M ms".
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
	for (len = 0; len < WIDTH + 2; len++)
		outb((unsigned char)line[len], COM1);
}

int
main(int argc, char *argv[])
{
	unsigned long lines, n;
	double start;

	if (argc != 2)
		errx(2, "usage: guest-flood LINES");
	if (iopl(3) == -1)
		err(1, "iopl");
	lines = strtoul(argv[1], NULL, 10);
	start = now();
	for (n = 1; n <= lines; n++)
		put_line(n);
	printf("flood: %lu lines in %.0f ms\n", lines, (now() - start) * 1e3);
	return 0;
}
