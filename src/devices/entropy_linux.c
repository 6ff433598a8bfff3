/* SPDX-License-Identifier: ISC */
/*
 * Random numbers, Linux: getrandom(2), which is the very generator that
 * /dev/urandom is.
 */
#include <errno.h>
#include <sys/random.h>

#include "devices/entropy.h"

int
entropy_get(void *p, size_t n)
{
	char *dst = p;
	ssize_t got;

	while (n > 0) {
		got = getrandom(dst, n, GRND_NONBLOCK);
		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return -errno;
		dst += got;
		n -= (size_t)got;
	}
	return 0;
}
