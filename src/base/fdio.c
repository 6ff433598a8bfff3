/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <unistd.h>

#include "base/fdio.h"

int
fd_write_all(int fd, const void *p, size_t n)
{
	const char *from = p;
	ssize_t k;

	for (; n > 0; from += k, n -= (size_t)k) {
		k = write(fd, from, n);
		if (k < 0 && errno != EINTR)
			return -errno;
		if (k < 0)
			k = 0;
	}
	return 0;
}
