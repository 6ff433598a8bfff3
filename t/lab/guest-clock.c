/* SPDX-License-Identifier: ISC */
/*
 * Says what time it is, about so many times a second, until it is killed: a
 * line "@N" with the nanoseconds of CLOCK_REALTIME, in one write.
 *
 * usage: guest-clock TIMES
 */
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S	UINT64_C(1000000000)

int
main(int argc, char *argv[])
{
	struct timespec ts;
	char line[32];
	unsigned n = 0;
	long pause;
	int len;

	if (argc != 2 || atol(argv[1]) < 2)
		errx(2, "usage: guest-clock TIMES");
	pause = (long)NS_PER_S / atol(argv[1]);
	for (;;) {
		/* In step with nothing that happens again and again. */
		n = n * 1103515245 + 12345;
		ts = (struct timespec){ .tv_nsec = pause - (long)(n >> 8) % (pause / 4) };
		nanosleep(&ts, NULL);
		clock_gettime(CLOCK_REALTIME, &ts);
		len = snprintf(line, sizeof(line), "@%" PRIu64 "\n",
		    (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec);
		if (write(STDOUT_FILENO, line, (size_t)len) != len)
			err(1, "write");
	}
}
