/* SPDX-License-Identifier: ISC */
/*
 * What processors do to each other and to their timers, as much of it as they
 * can, a thread bound to each that is online; all of it is counted, by amounts
 * and not by time, so that a part takes as long as it takes.
 *
 * usage: guest-storm storms|timers COUNT
 *
 * storms:
 *	ring	a token goes round the processors COUNT times, each waiting for
 *		it asleep: none may get lost
 *	fence	each makes all others pass a barrier, COUNT times
 *	move	each thread goes to all processors in turn, COUNT times
 *	seal	all write to a page; it becomes read-only and must not change
 *		from then on; COUNT times
 *	swap	all read a page whose memory is freed and taken anew; who knows
 *		of a newer one must not see the older; COUNT times
 * timers:
 *	sleep, shot, beat	one-shot sleeps, one-shot and periodic timers,
 *		COUNT on each processor: never early, no expiry lost; how late
 *		at the median and at worst
 *
 * A line for each, "wrong" behind it if anything was.
 */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include <linux/futex.h>
#include <linux/membarrier.h>

#include <err.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CPUS_MAX	64
#define PAGE		4096
#define WORDS		(PAGE / sizeof(uint64_t))
#define NS_PER_S	UINT64_C(1000000000)
#define BEAT_NS		UINT64_C(4000000)

struct cpu {
	pthread_t	 thread;
	int		 number;
	unsigned	 index;
	uint64_t	 done;
	_Atomic uint32_t turns;		/* of the ring, that have come to it */
	uint64_t	*late;		/* ns, of each expiry */
};

static struct cpu	 cpu[CPUS_MAX];
static unsigned		 ncpus;
static unsigned		 count;
static atomic_bool	 over;
static atomic_bool	 wrong;
static volatile uint64_t *window;	/* the page of seal and swap */
static _Atomic uint64_t	 generation;	/* of swap's page, at least */
static _Atomic uint64_t	 faults;	/* of who wrote to a sealed page */

static uint64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static struct timespec
timespec(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / NS_PER_S),
	    .tv_nsec = (long)(ns % NS_PER_S) };
}

static void
settle(int number)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(number, &set);
	if (sched_setaffinity(0, sizeof(set), &set) == -1)
		err(1, "CPU %d", number);
}

static void
bad(void)
{
	atomic_store(&wrong, true);
}

static void
give(struct cpu *c)
{
	atomic_fetch_add(&c->turns, 1);
	syscall(SYS_futex, &c->turns, FUTEX_WAKE_PRIVATE, 1);
}

/* Nothing but the wake of the one before lets a sleeper go on. */
static void *
ring(void *arg)
{
	struct cpu *c = arg;

	settle(c->number);
	if (c->index == 0)
		give(c);
	for (; c->done < count; c->done++) {
		while (atomic_load(&c->turns) == c->done)
			syscall(SYS_futex, &c->turns, FUTEX_WAIT_PRIVATE,
			    (uint32_t)c->done, NULL);
		give(&cpu[(c->index + 1) % ncpus]);
	}
	return NULL;
}

static void *
fence(void *arg)
{
	struct cpu *c = arg;

	settle(c->number);
	for (; c->done < count; c->done++)
		if (syscall(SYS_membarrier,
		    MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == -1)
			err(1, "membarrier");
	return NULL;
}

static void *
move(void *arg)
{
	struct cpu *c = arg;
	unsigned i;

	for (; c->done < count; c->done++)
		for (i = 1; i <= ncpus; i++) {
			int number = cpu[(c->index + i) % ncpus].number;

			settle(number);
			if (sched_getcpu() != number)
				bad();
		}
	return NULL;
}

/* Where virtual processors share one, others come to run only now. */
static void
rest(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
}

/* Who writes to the sealed page gets here, and tries again. */
static void
sealed(int signo)
{
	(void)signo;
	atomic_fetch_add(&faults, 1);
	sched_yield();
}

static void *
scribble(void *arg)
{
	struct cpu *c = arg;

	settle(c->number);
	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		window[c->index]++;
		if (++c->done % 512 == 0)
			sched_yield();
	}
	return NULL;
}

static void *
seal(void *arg)
{
	struct cpu *c = arg;
	uint64_t copy[CPUS_MAX];
	unsigned i;

	settle(c->number);
	for (; c->done < count; c->done++) {
		if (mprotect((void *)window, PAGE, PROT_READ) == -1)
			err(1, "mprotect");
		for (i = 0; i < ncpus; i++)
			copy[i] = window[i];
		rest();
		for (i = 0; i < ncpus; i++)
			if (window[i] != copy[i])
				bad();
		if (mprotect((void *)window, PAGE, PROT_READ | PROT_WRITE) ==
		    -1)
			err(1, "mprotect");
		rest();
	}
	atomic_store(&over, true);
	return NULL;
}

static void *
look(void *arg)
{
	struct cpu *c = arg;
	uint64_t least;

	settle(c->number);
	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		least = atomic_load(&generation);
		if (window[c->done % WORDS] < least)
			bad();
		if (++c->done % 512 == 0)
			sched_yield();
	}
	return NULL;
}

static void *
swap(void *arg)
{
	struct cpu *c = arg;
	uint64_t *page;
	size_t i;

	settle(c->number);
	while (c->done < count) {
		page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (page == MAP_FAILED)
			err(1, "mmap");
		for (i = 0, c->done++; i < WORDS; i++)
			page[i] = c->done;
		if (mremap(page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		    (void *)window) == MAP_FAILED)
			err(1, "mremap");
		atomic_store(&generation, c->done);
		if (c->done % 4 == 0)
			rest();
	}
	atomic_store(&over, true);
	return NULL;
}

/* What was due at a time has come now. */
static void
came(struct cpu *c, uint64_t due)
{
	uint64_t t = now();

	if (t < due) {
		bad();
		t = due;
	}
	c->late[c->done++] = t - due;
}

/* Between 0.5 and 4.5 ms, other ones on each processor. */
static uint64_t
interval(const struct cpu *c)
{
	return 500000 + (c->done * 7919 + c->index * 104729) % 4000 * 1000;
}

static void *
nap(void *arg)
{
	struct cpu *c = arg;
	struct timespec ts;
	uint64_t due;

	settle(c->number);
	while (c->done < count) {
		due = now() + interval(c);
		ts = timespec(due);
		if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts,
		    NULL) != 0)
			errx(1, "clock_nanosleep");
		came(c, due);
	}
	return NULL;
}

static int
timer(uint64_t first, uint64_t period)
{
	struct itimerspec its = { .it_value = timespec(first),
	    .it_interval = timespec(period) };
	int fd;

	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (fd == -1 || timerfd_settime(fd, TFD_TIMER_ABSTIME, &its,
	    NULL) == -1)
		err(1, "timerfd");
	return fd;
}

static uint64_t
expiries(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) != sizeof(n))
		err(1, "timerfd");
	return n;
}

static void *
shot(void *arg)
{
	struct cpu *c = arg;
	uint64_t due;
	int fd;

	settle(c->number);
	while (c->done < count) {
		due = now() + interval(c);
		fd = timer(due, 0);
		if (expiries(fd) != 1)
			bad();
		came(c, due);
		close(fd);
	}
	return NULL;
}

/*
 * All that was due when it was asked for must have come by the answer, and
 * nothing that was not.
 */
static void *
beat(void *arg)
{
	struct cpu *c = arg;
	uint64_t first, before, n = 0;
	int fd;

	settle(c->number);
	first = now() + BEAT_NS + interval(c);
	fd = timer(first, BEAT_NS);
	while (c->done < count) {
		before = now();
		n += expiries(fd);
		if (before >= first && n < (before - first) / BEAT_NS + 1)
			bad();
		came(c, first + (n - 1) * BEAT_NS);
	}
	close(fd);
	return NULL;
}

/* One thread's work on the first processor, the others' on the rest. */
static void
run(void *(*first)(void *), void *(*others)(void *))
{
	unsigned i;

	atomic_store(&over, false);
	for (i = 0; i < ncpus; i++) {
		cpu[i].done = 0;
		if (pthread_create(&cpu[i].thread, NULL, i == 0 ? first : others,
		    &cpu[i]) != 0)
			errx(1, "pthread_create");
	}
	for (i = 0; i < ncpus; i++)
		pthread_join(cpu[i].thread, NULL);
}

static void
tell(const char *what, const char *text)
{
	printf("storm: %s%s%s\n", what, text,
	    atomic_exchange(&wrong, false) ? " wrong" : "");
	fflush(stdout);
}

/* all NAME WORK: by all alike, and none of it may be missing. */
static void
all(const char *name, void *(*work)(void *))
{
	char text[64];
	uint64_t sum = 0;
	unsigned i;

	run(work, work);
	for (i = 0; i < ncpus; i++)
		sum += cpu[i].done;
	if (sum != (uint64_t)ncpus * count)
		bad();
	snprintf(text, sizeof(text), " %llu", (unsigned long long)sum);
	tell(name, text);
}

/* The first changes a page under the others. */
static void
page(const char *name, void *(*change)(void *), void *(*use)(void *))
{
	char text[64];
	uint64_t least = UINT64_MAX;
	unsigned i;

	window = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (window == MAP_FAILED)
		err(1, "mmap");
	run(change, use);
	for (i = 1; i < ncpus; i++)
		if (cpu[i].done < least)
			least = cpu[i].done;
	munmap((void *)window, PAGE);
	snprintf(text, sizeof(text), " %llu least %llu faults %llu",
	    (unsigned long long)cpu[0].done, (unsigned long long)least,
	    (unsigned long long)atomic_exchange(&faults, 0));
	tell(name, text);
}

static int
ascending(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The median of the processor that has the worst, and the worst of all. */
static void
times(const char *name, void *(*work)(void *))
{
	char text[64];
	uint64_t median = 0, worst = 0;
	unsigned i;

	run(work, work);
	for (i = 0; i < ncpus; i++) {
		qsort(cpu[i].late, count, sizeof(*cpu[i].late), ascending);
		if (cpu[i].late[count / 2] > median)
			median = cpu[i].late[count / 2];
		if (cpu[i].late[count - 1] > worst)
			worst = cpu[i].late[count - 1];
	}
	snprintf(text, sizeof(text), " %u median %llu worst %llu",
	    ncpus * count, (unsigned long long)median / 1000,
	    (unsigned long long)worst / 1000);
	tell(name, text);
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
		cpu[ncpus].late = calloc(count, sizeof(*cpu[ncpus].late));
		if (cpu[ncpus].late == NULL)
			err(1, "memory");
		cpu[ncpus].index = ncpus;
		cpu[ncpus++].number = i;
	}
}

int
main(int argc, char *argv[])
{
	if (argc != 3 || (count = (unsigned)strtoul(argv[2], NULL, 10)) == 0)
		errx(2, "usage: guest-storm storms|timers COUNT");
	if (signal(SIGSEGV, sealed) == SIG_ERR ||
	    syscall(SYS_membarrier,
	    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == -1)
		err(1, "membarrier");
	find_cpus();
	if (strcmp(argv[1], "timers") == 0) {
		times("sleep", nap);
		times("shot", shot);
		times("beat", beat);
		return 0;
	}
	all("ring", ring);
	all("fence", fence);
	all("move", move);
	page("seal", seal, scribble);
	page("swap", swap, look);
	return 0;
}
