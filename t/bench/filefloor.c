/* SPDX-License-Identifier: ISC */
/*
 * What the host's kernel itself takes to write a disk's data for the first
 * time: the floor of diskbench's writes.
 *
 * usage: filefloor COUNT SIZE STEP FILE
 *
 * Makes FILE anew with room for COUNT times SIZE bytes, none of which is there,
 * writes them, each piece STEP bytes behind the one before, from the end on to
 * the begin again, and waits for all.
 */
#include <sys/types.h>

#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	uint64_t count, size, step, i, at = 0;
	char *buf;
	int fd;

	if (argc != 5)
		errx(2, "usage: filefloor COUNT SIZE STEP FILE");
	count = strtoull(argv[1], NULL, 10);
	size = strtoull(argv[2], NULL, 10);
	step = strtoull(argv[3], NULL, 10);
	buf = malloc(size);
	if (buf == NULL)
		err(1, NULL);
	memset(buf, 0x55, size);
	fd = open(argv[4], O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd == -1 || ftruncate(fd, (off_t)(count * size)) == -1)
		err(1, "%s", argv[4]);
	for (i = 0; i < count; i++) {
		if (pwrite(fd, buf, size, (off_t)at) != (ssize_t)size)
			err(1, "%s", argv[4]);
		at = (at + step) % (count * size);
	}
	if (fdatasync(fd) == -1)
		err(1, "%s", argv[4]);
	return 0;
}
