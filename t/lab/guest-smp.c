/* SPDX-License-Identifier: ISC */
/*
 * What several processors owe each other, tried on all that are online, a
 * thread on each.
 *
 * usage: guest-smp SECONDS
 *
 * Prints for each part how much of it there was, and "wrong" if anything was:
 *	wakes	threads wake their neighbours, who sleep: interrupts between
 *		processors
 *	maps	one page after another comes to the same address: who sees that
 *		a new one is there must not read the old one's
 *	clock	the clock never steps back from one processor to another
 *	late	the worst of sleeps of 10 ms, in microseconds
 */
#include <sys/mman.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define CPUS_MAX	64
#define PAGES		8
#define PAGE		4096
#define NS_PER_S	UINT64_C(1000000000)
#define SLEEPS		20
#define SLEEP_NS	UINT64_C(10000000)

struct cpu {
	pthread_t	 thread;
	int		 number;
	int		 bell;
	uint64_t	 wakes;
	uint64_t	 reads;
	uint64_t	 late;		/* ns */
};

static struct cpu	 cpu[CPUS_MAX];
static int		 ncpus;
static atomic_bool	 over;
static atomic_bool	 wrong;
static _Atomic uint64_t	 generation;
static volatile uint64_t *window;
static pthread_mutex_t	 clock_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t		 clock_last;
static uint64_t		 clock_reads;

static uint64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void
settle(const struct cpu *c)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(c->number, &set);
	if (sched_setaffinity(0, sizeof(set), &set) == -1)
		err(1, "CPU %d", c->number);
}

/* Sleeps until its bell rings, then rings the next one's. */
static void *
wake(void *arg)
{
	struct cpu *c = arg, *next = &cpu[(c - cpu + 1) % ncpus];
	struct pollfd pfd = { .fd = c->bell, .events = POLLIN };
	const uint64_t one = 1;
	uint64_t n;

	settle(c);
	while (!atomic_load(&over)) {
		if (poll(&pfd, 1, 100) == 1 &&
		    read(c->bell, &n, sizeof(n)) == sizeof(n))
			c->wakes++;
		if (write(next->bell, &one, sizeof(one)) == -1)
			err(1, "eventfd");
	}
	return NULL;
}

static void *
look(void *arg)
{
	struct cpu *c = arg;
	uint64_t least;

	settle(c);
	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		least = atomic_load(&generation);
		if (*window < least)
			atomic_store(&wrong, true);
		c->reads++;
		if (c->reads % 256 == 0)
			sched_yield();
	}
	return NULL;
}

static void *
map(void *arg)
{
	int fd = memfd_create("pages", MFD_CLOEXEC);
	volatile uint64_t *page;
	uint64_t g = 1;

	settle(arg);
	if (fd == -1 || ftruncate(fd, PAGES * PAGE) == -1)
		err(1, "memfd");
	page = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
	    fd, 0);
	if (page == MAP_FAILED)
		err(1, "mmap");
	for (; !atomic_load(&over); g++) {
		page[g % PAGES * (PAGE / sizeof(*page))] = g;
		if (mmap((void *)window, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED,
		    fd, (off_t)(g % PAGES * PAGE)) == MAP_FAILED)
			err(1, "mmap");
		atomic_store(&generation, g);
		if (g % 16 == 0)
			sched_yield();
	}
	return NULL;
}

static void *
tell_time(void *arg)
{
	uint64_t t;

	settle(arg);
	while (!atomic_load(&over)) {
		pthread_mutex_lock(&clock_lock);
		t = now();
		if (t < clock_last)
			atomic_store(&wrong, true);
		clock_last = t;
		clock_reads++;
		pthread_mutex_unlock(&clock_lock);
		sched_yield();
	}
	return NULL;
}

static void *
nap(void *arg)
{
	struct cpu *c = arg;
	uint64_t due, t;
	struct timespec ts;
	int i;

	settle(c);
	due = now();
	for (i = 0; i < SLEEPS; i++) {
		due = now() + SLEEP_NS;
		ts.tv_sec = (time_t)(due / NS_PER_S);
		ts.tv_nsec = (long)(due % NS_PER_S);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
		t = now();
		if (t < due)
			atomic_store(&wrong, true);
		else if (t - due > c->late)
			c->late = t - due;
	}
	return NULL;
}

/* first on the first processor, rest on the others, for a time. */
static void
run(void *(*first)(void *), void *(*rest)(void *), unsigned seconds)
{
	int i;

	atomic_store(&over, false);
	for (i = 0; i < ncpus; i++)
		if (pthread_create(&cpu[i].thread, NULL, i == 0 ? first : rest,
		    &cpu[i]) != 0)
			errx(1, "pthread_create");
	sleep(seconds);
	atomic_store(&over, true);
	for (i = 0; i < ncpus; i++)
		pthread_join(cpu[i].thread, NULL);
}

static void
tell(const char *what, uint64_t n)
{
	printf("guest-smp: %s %llu%s\n", what, (unsigned long long)n,
	    atomic_load(&wrong) ? " wrong" : "");
	fflush(stdout);
}

static void
find_cpus(void)
{
	cpu_set_t set;
	int i;

	if (sched_getaffinity(0, sizeof(set), &set) == -1)
		err(1, "sched_getaffinity");
	for (i = 0; i < CPU_SETSIZE && ncpus < CPUS_MAX; i++) {
		if (!CPU_ISSET(i, &set))
			continue;
		cpu[ncpus].bell = eventfd(0, EFD_NONBLOCK);
		if (cpu[ncpus].bell == -1)
			err(1, "eventfd");
		cpu[ncpus++].number = i;
	}
}

int
main(int argc, char *argv[])
{
	uint64_t wakes = UINT64_MAX, late = 0;
	unsigned seconds;
	int i;

	if (argc != 2)
		errx(2, "usage: guest-smp SECONDS");
	seconds = (unsigned)strtoul(argv[1], NULL, 10);
	find_cpus();
	tell("cpus", (uint64_t)ncpus);
	run(wake, wake, seconds);
	for (i = 0; i < ncpus; i++)
		if (cpu[i].wakes < wakes)
			wakes = cpu[i].wakes;
	tell("wakes", wakes);
	window = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	    0);
	if (window == MAP_FAILED)
		err(1, "mmap");
	run(map, look, seconds);
	tell("maps", atomic_load(&generation));
	run(tell_time, tell_time, seconds);
	tell("clock", clock_reads);
	run(nap, nap, 0);
	for (i = 0; i < ncpus; i++)
		if (cpu[i].late > late)
			late = cpu[i].late;
	tell("late", late / 1000);
	return atomic_load(&wrong);
}
