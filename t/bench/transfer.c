/* SPDX-License-Identifier: ISC */
/*
 * What the host's kernel itself takes to move 1 MiB in elements of 4 KiB, as
 * whoever has a guest's disk moves them: the floor of that.
 *
 * usage: transfer writeback|none DISK
 *
 * By way of its cache, or past it.  Prints "floor.read-1m N" and
 * "floor.write-1m N", with "none-" before the names of the latter: the ns of
 * one preadv(2) or pwritev(2) from one end of DISK to the other, over and over,
 * the system call included.  In the lab's --icount mode a ns is one
 * instruction.
 */
#include <sys/uio.h>

#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BYTES	(1u << 20)
#define PAGE	4096u
#define COUNT	1000

typedef ssize_t (*transfer)(int, const struct iovec *, int, off_t);

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((double)ts.tv_sec * 1e9 + (double)ts.tv_nsec);
}

static double
measure(transfer move, int fd, const struct iovec *iov)
{
	off_t size = lseek(fd, 0, SEEK_END);
	double before = now();
	int i;

	for (i = 0; i < COUNT; i++)
		if (move(fd, iov, BYTES / PAGE,
		    (off_t)i * BYTES % size) != BYTES)
			err(1, "transfer");
	return ((now() - before) / COUNT);
}

int
main(int argc, char **argv)
{
	struct iovec iov[BYTES / PAGE];
	const char *prefix;
	uint8_t *buffer;
	bool direct;
	size_t i;
	int fd;

	if (argc != 3)
		errx(2, "usage: transfer writeback|none DISK");
	direct = strcmp(argv[1], "none") == 0;
	prefix = direct ? "none-" : "";
	fd = open(argv[2], O_RDWR | (direct ? O_DIRECT : 0));
	buffer = aligned_alloc(PAGE, BYTES);
	if (fd == -1 || buffer == NULL)
		err(1, "%s", argv[1]);
	memset(buffer, 0x5a, BYTES);
	/* Backwards, so that none continues the one before. */
	for (i = 0; i < BYTES / PAGE; i++)
		iov[i] = (struct iovec){ buffer + BYTES - (i + 1) * PAGE, PAGE };
	printf("floor.%sread-1m %.0f\n", prefix, measure(preadv, fd, iov));
	printf("floor.%swrite-1m %.0f\n", prefix, measure(pwritev, fd, iov));
	return (0);
}
