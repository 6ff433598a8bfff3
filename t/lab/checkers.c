/* SPDX-License-Identifier: ISC */
/*
 * Holds patterns in every register there is, for a while, and looks whether
 * they are still there: what a hypervisor that forgets to switch a register
 * breaks, in its guests or in other processes of its host.
 *
 *	checkers SECONDS [SEED [NAME]...]
 *
 * Each checker is a process; without names all of them run.  As the first
 * process of a guest it needs nobody that a wrong register could hurt before;
 * then its arguments are the word checkers=SECONDS,SEED,NAME,... of the
 * kernel's command line, and the guest is reset at the end.  The last line of output says "checkers: ok" or "checkers: FAILED".
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "checkers.h"

#define MAX_CHECKERS	16
#define STATUS_ABSENT	3
#define NS_PER_SEC	1000000000ULL
#define MAX_SPINS	100000

static const struct checker *const groups[] = {
	checkers_fpu, checkers_cpu, checkers_debug,
};

struct child {
	const char	*name;
	pid_t		 pid;
};

uint64_t
check_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (ts.tv_sec * NS_PER_SEC + ts.tv_nsec);
}

bool
check_more(struct check *c)
{
	(*c->rounds)++;
	return (check_now() < c->end);
}

/* xorshift64*; the state is never 0. */
uint64_t
check_random(struct check *c)
{
	c->random ^= c->random >> 12;
	c->random ^= c->random << 25;
	c->random ^= c->random >> 27;
	return (c->random * 0x2545f4914f6cdd1dULL);
}

void
check_fill(struct check *c, void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len-- > 0)
		*p++ = check_random(c) >> 56;
}

uint32_t
check_spins(struct check *c)
{
	return (1 + (check_random(c) >> 32) % MAX_SPINS);
}

_Noreturn void
check_fail(const struct check *c, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("checkers: MISMATCH %s, round %llu: %s\n", c->name,
	    (unsigned long long)*c->rounds, text);
	fflush(stdout);
	_exit(1);
}

_Noreturn void
check_absent(const struct check *c)
{
	(void)c;
	_exit(STATUS_ABSENT);
}

void
check_same(const struct check *c, const char *what, const void *got,
    const void *want, size_t len)
{
	const uint8_t *g = got, *w = want;
	size_t i;

	for (i = 0; i < len; i++)
		if (g[i] != w[i])
			check_fail(c, "%s: byte %zu is %#x, not %#x", what, i,
			    g[i], w[i]);
}

static void
start(struct child *child, const struct checker *checker, uint64_t seed,
    uint64_t end, uint64_t *rounds)
{
	struct check c = {
		.name = checker->name, .end = end, .rounds = rounds,
		.random = seed ^ (uint64_t)(uintptr_t)rounds << 16 ^ 1,
	};

	child->name = checker->name;
	child->pid = fork();
	if (child->pid == -1)
		err(1, "fork");
	if (child->pid != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	checker->run(&c);
	_exit(0);
}

/* Says how a checker ended; true if it went well. */
static bool
reap(const struct child *child, const uint64_t *rounds)
{
	int status;

	if (waitpid(child->pid, &status, 0) == -1)
		err(1, "waitpid");
	if (WIFSIGNALED(status))
		printf("checkers: MISMATCH %s: %s\n", child->name,
		    strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == STATUS_ABSENT)
		printf("checkers: %s absent\n", child->name);
	else
		printf("checkers: %s %llu rounds\n", child->name,
		    (unsigned long long)*rounds);
	return (WIFEXITED(status) && (WEXITSTATUS(status) == STATUS_ABSENT ||
	    (WEXITSTATUS(status) == 0 && *rounds > 0)));
}

static bool
chosen(const char *name, char **names)
{
	if (names == NULL)
		return (true);
	for (; *names != NULL; names++)
		if (strcmp(name, *names) == 0)
			return (true);
	return (false);
}

static bool
run_all(unsigned seconds, uint64_t seed, char **names)
{
	const uint64_t end = check_now() + seconds * NS_PER_SEC;
	struct child child[MAX_CHECKERS];
	const struct checker *checker;
	uint64_t *rounds;
	size_t n = 0, i;
	bool good = true;

	rounds = mmap(NULL, MAX_CHECKERS * sizeof(*rounds),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (rounds == MAP_FAILED)
		err(1, "mmap");
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		for (checker = groups[i]; checker->name != NULL; checker++)
			if (n < MAX_CHECKERS && chosen(checker->name, names)) {
				start(&child[n], checker, seed, end,
				    &rounds[n]);
				n++;
			}
	for (i = 0; i < n; i++)
		if (!reap(&child[i], &rounds[i]))
			good = false;
	return (n > 0 && good);
}

/* Cuts SECONDS,SEED,NAME,... into arguments after the program's name. */
static int
kernel_arguments(char *word, char **argv, int max)
{
	int argc = 1;

	while (argc < max && word != NULL)
		argv[argc++] = strsep(&word, ",");
	return (argc);
}

int
main(int argc, char **argv)
{
	char *words[MAX_CHECKERS + 4] = { NULL };
	unsigned seconds = 0;
	uint64_t seed = 1;
	bool good;

	if (argc < 2) {
		argc = kernel_arguments(getenv("checkers"), words,
		    MAX_CHECKERS + 3);
		argv = words;
	}
	if (argc > 1)
		seconds = strtoul(argv[1], NULL, 10);
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 10);
	if (seconds == 0)
		errx(1, "usage: checkers SECONDS [SEED [NAME]...]");
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("checkers: start");
	good = run_all(seconds, seed, argc > 3 ? argv + 3 : NULL);
	printf("checkers: %s after %u s\n", good ? "ok" : "FAILED", seconds);
	if (getpid() == 1)
		reboot(RB_AUTOBOOT);
	return (good ? 0 : 1);
}
