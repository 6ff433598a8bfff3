/* SPDX-License-Identifier: ISC */
/*
 * Two programs side by side: run in turn, many times.
 *
 * usage: beside RUNS PREPARE OUR-ARGUMENT... -- PEER-ARGUMENT...
 *
 * PREPARE is a line for the shell, run before each of them; what it takes does
 * not count.  Each reads the standard input from its begin.  Prints the medians
 * in microseconds: elapsed time of ours and of the peer, processor time, user's
 * and system's, of ours and of the peer.
 */
#include <sys/resource.h>
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RUNS_MAX	1000

extern char **environ;

enum { ELAPSED, CPU, NFIGURES };

static long	figure[2][NFIGURES][RUNS_MAX];

static long
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static long
micros(struct timeval t)
{
	return t.tv_sec * 1000000 + t.tv_usec;
}

/* One run; the program's output is of no interest. */
static void
measure(char **argv, int who, int run)
{
	posix_spawn_file_actions_t quiet;
	struct rusage use;
	int error, status;
	long before;
	pid_t pid;

	(void)lseek(0, 0, SEEK_SET);
	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
	before = now();
	error = posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ);
	if (error != 0)
		errx(1, "%s: %s", argv[0], strerror(error));
	if (wait4(pid, &status, 0, &use) != pid || status != 0)
		errx(1, "%s: status %#x", argv[0], (unsigned)status);
	figure[who][ELAPSED][run] = now() - before;
	figure[who][CPU][run] = micros(use.ru_utime) + micros(use.ru_stime);
	posix_spawn_file_actions_destroy(&quiet);
}

static int
compare(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

static long
median(long *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), compare);
	return (v[(n - 1) / 2] + v[n / 2]) / 2;
}

int
main(int argc, char **argv)
{
	char **side[2] = { argv + 3, NULL };
	int i, run, runs, who;

	for (i = 3; i < argc && side[1] == NULL; i++) {
		if (strcmp(argv[i], "--") == 0) {
			argv[i] = NULL;
			side[1] = argv + i + 1;
		}
	}
	runs = argc > 3 ? atoi(argv[1]) : 0;
	if (side[1] == NULL || runs < 1 || runs > RUNS_MAX)
		errx(2, "usage: beside RUNS PREPARE OURS... -- PEER...");
	for (run = 0; run < runs; run++) {
		for (i = 0; i < 2; i++) {
			/* In turn, too, who is the first. */
			who = run % 2 ^ i;
			if (system(argv[2]) != 0)
				errx(1, "%s: failed", argv[2]);
			measure(side[who], who, run);
		}
	}
	for (i = 0; i < NFIGURES; i++)
		printf("%ld %ld%c", median(figure[0][i], runs),
		    median(figure[1][i], runs), i == CPU ? '\n' : ' ');
	return 0;
}
