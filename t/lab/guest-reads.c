/* SPDX-License-Identifier: ISC */
/*
 * Reads so many blocks of 4 KiB of a disk, past the cache, one by one or MS
 * apart, from places all over it, and prints how long that took.
 *
 * usage: guest-reads DISK COUNT [MS]
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "figures.h"

#define BLOCK	4096

int
main(int argc, char *argv[])
{
	uint64_t *took, began;
	unsigned apart;
	size_t count, i;
	off_t blocks;
	void *buf;
	int fd;

	if (argc < 3 || argc > 4 || (count = strtoul(argv[2], NULL, 10)) == 0)
		errx(2, "usage: guest-reads DISK COUNT [MS]");
	apart = argc == 4 ? (unsigned)atoi(argv[3]) : 0;
	fd = open(argv[1], O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd == -1 || (blocks = lseek(fd, 0, SEEK_END) / BLOCK) < 1)
		err(1, "%s", argv[1]);
	took = calloc(count, sizeof(*took));
	if (took == NULL || posix_memalign(&buf, BLOCK, BLOCK) != 0)
		errx(1, "memory");
	for (i = 0; i < count; i++) {
		began = figures_now();
		if (pread(fd, buf, BLOCK,
		    (off_t)(i * 7919) % blocks * BLOCK) != BLOCK)
			err(1, "%s", argv[1]);
		took[i] = figures_now() - began;
		usleep(apart * 1000);
	}
	figures_print(took, count);
	return 0;
}
