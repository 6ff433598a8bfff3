/* SPDX-License-Identifier: ISC */
/*
 * Random programs of the driver's calls, with arguments that are right, nearly
 * right or wrong, while memory, descriptors and processes come and go between
 * them, and guests of random bytes.
 *
 * usage: ioctl-fuzz FIRST COUNT
 *
 * One program, a process of two threads, for each seed from FIRST on.  What
 * they do is of no interest here, as long as they end and the driver's
 * counters are 0 afterwards; whether the kernel complains others look at.
 */
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernel/vmm_uapi.h"

#define PAGE		4096ULL
#define ARENA		(4ULL << 20)
#define STEPS		400		/* of a thread */
#define FDS		12
#define SECONDS		60		/* that a program may take */
#define EDGE		(2 * PAGE)	/* room before a hole */

/* Shared by a program's threads without a lock: races are wanted. */
static volatile int fds[FDS];
static struct vmm_run *volatile runs[FDS];
static uint8_t *arena;
static uint8_t *edge;			/* where the hole begins */

struct dice {
	uint64_t	seed;
};

static uint64_t
roll(struct dice *d)
{
	d->seed ^= d->seed << 13;
	d->seed ^= d->seed >> 7;
	d->seed ^= d->seed << 17;
	return (d->seed >> 11);
}

static bool
one_in(struct dice *d, unsigned n)
{
	return (roll(d) % n == 0);
}

/* Numbers with a meaning, mostly. */
static uint64_t
number(struct dice *d)
{
	static const uint64_t some[] = {
		0, 1, 2, 3, 4, 8, 16, 63, 64, 255, PAGE - 1, PAGE, PAGE + 1,
		ARENA - PAGE, ARENA, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
		0xffffffff, 1ULL << VMM_GPA_BITS, VMM_MAX_MEMORY,
		0x7ffffffff000, 0xffff800000000000, -PAGE, -1ULL,
	};

	if (one_in(d, 4))
		return (roll(d));
	return (some[roll(d) % (sizeof(some) / sizeof(some[0]))]);
}

static uint64_t
page_number(struct dice *d)
{
	if (one_in(d, 8))
		return (number(d));
	return (roll(d) % (ARENA / PAGE) * PAGE);
}

static int
any_fd(struct dice *d)
{
	return (one_in(d, 20) ? (int)number(d) : fds[roll(d) % FDS]);
}

static void
keep(struct dice *d, int fd)
{
	unsigned i = roll(d) % FDS;

	if (fd == -1)
		return;
	if (fds[i] != -1)
		close(fds[i]);
	fds[i] = fd;
}

/* Where an argument lies: before the hole, reaching into it, or nowhere. */
static void *
place(struct dice *d, const void *arg, size_t size)
{
	uint8_t *p = edge - EDGE / 2 - size - roll(d) % 256;

	switch (roll(d) % 16) {
	case 0:
		return ((void *)(uintptr_t)(number(d) | 1ULL << 63));
	case 1:
		return (NULL);
	case 2:
		p = edge - roll(d) % (size + 1);
		return (p);
	case 3:
		p = edge - size;
		break;
	}
	memcpy(p, arg, size);
	return (p);
}

/* Some bytes of it otherwise. */
static void
damage(struct dice *d, void *arg, size_t size)
{
	uint64_t val;
	size_t at;

	if (!one_in(d, 4))
		return;
	at = roll(d) % size;
	val = number(d);
	memcpy((uint8_t *)arg + at, &val, size - at < 8 ? size - at : 8);
}

static int
call(struct dice *d, int fd, unsigned long cmd, void *arg, size_t size)
{
	damage(d, arg, size);
	return (ioctl(fd, cmd, place(d, arg, size)));
}

static void
do_setup(struct dice *d)
{
	struct vmm_cpuid *c;
	struct vmm_memory m = {
		.gpa = page_number(d), .size = PAGE << roll(d) % 11,
		.address = (uintptr_t)arena + page_number(d),
	};
	struct vmm_info info;

	switch (roll(d) % 7) {
	case 0:
		keep(d, open("/dev/vmm", O_RDWR | O_CLOEXEC));
		break;
	case 1:
		keep(d, ioctl(any_fd(d), VMM_CREATE_VM, 0));
		break;
	case 2:
		keep(d, ioctl(any_fd(d), VMM_CREATE_VCPU,
		    one_in(d, 8) ? number(d) : roll(d) % 4));
		break;
	case 3:
		call(d, any_fd(d), VMM_GET_INFO, &info, sizeof(info));
		break;
	case 4:
		c = calloc(1, sizeof(*c));
		if (c == NULL)
			break;
		c->count = VMM_MAX_CPUID;
		ioctl(any_fd(d), VMM_GET_CPUID, c);
		call(d, any_fd(d), VMM_SET_CPUID, c, sizeof(*c));
		free(c);
		break;
	default:
		call(d, any_fd(d), VMM_SET_MEMORY, &m, sizeof(m));
		break;
	}
}

static void
do_state(struct dice *d)
{
	struct vmm_state s;
	unsigned i;
	int fd = any_fd(d);

	memset(&s, 0, sizeof(s));
	if (ioctl(fd, VMM_GET_STATE, &s) == -1)
		return;
	for (i = 0; i < 3; i++)
		damage(d, &s, sizeof(s));
	if (!one_in(d, 4)) {
		s.regs.rip = roll(d) & 0xffff;
		s.regs.seg[VMM_CS].base = 0;
	}
	call(d, fd, VMM_SET_STATE, &s, sizeof(s));
}

static void
do_memory(struct dice *d)
{
	struct vmm_discard c = {
		.gpa = page_number(d), .size = PAGE << roll(d) % 11,
	};
	struct vmm_dirty g = {
		.gpa = page_number(d), .size = PAGE << roll(d) % 11,
		.bitmap = (uintptr_t)(edge - EDGE / 2),
	};

	switch (roll(d) % 3) {
	case 0:
		call(d, any_fd(d), VMM_MEM_DISCARD, &c, sizeof(c));
		break;
	case 1:
		ioctl(any_fd(d), VMM_DIRTY_LOG, roll(d) % 3);
		break;
	default:
		/* The driver writes there: not damaged at random. */
		if (one_in(d, 4))
			g.bitmap = (uintptr_t)edge - roll(d) % 64;
		ioctl(any_fd(d), VMM_GET_DIRTY, &g);
		break;
	}
}

static void
do_event(struct dice *d)
{
	struct vmm_doorbell b = {
		.port = roll(d) & 0xff, .size = 1 << roll(d) % 3,
		.flags = roll(d) % 2, .fd = any_fd(d),
	};
	struct vmm_irq_event e = {
		.fd = any_fd(d), .line = roll(d) % 65, .flags = roll(d) % 2,
	};
	uint64_t one = 1;

	if (b.flags)
		b.fd = -1;
	if (e.flags)
		e.fd = -1;
	switch (roll(d) % 4) {
	case 0:
		keep(d, eventfd(roll(d) % 2, EFD_CLOEXEC | EFD_NONBLOCK));
		break;
	case 1:
		call(d, any_fd(d), VMM_DOORBELL, &b, sizeof(b));
		break;
	case 2:
		call(d, any_fd(d), VMM_IRQ_EVENT, &e, sizeof(e));
		break;
	default:
		/* On an eventfd; others refuse. */
		if (write(any_fd(d), &one, sizeof(one)) == -1)
			break;
	}
}

static void
do_msi(struct dice *d)
{
	const uint64_t addr = 0xfee00000 | (roll(d) % 5) << 12 |
	    (roll(d) & 0xc);
	const uint32_t data = roll(d) & (one_in(d, 2) ? 0x80ff : 0xffff);
	struct vmm_msi m = { .addr = addr, .data = data };
	struct vmm_msi_event e = {
		.slot = roll(d) % 4 + (one_in(d, 8) ? 3997 : 0),
		.fd = any_fd(d), .addr = addr, .data = data,
	};

	if (one_in(d, 3))
		e = (struct vmm_msi_event){
			.slot = e.slot, .fd = -1, .flags = VMM_EVENT_REMOVE,
		};
	if (one_in(d, 2))
		call(d, any_fd(d), VMM_MSI, &m, sizeof(m));
	else
		call(d, any_fd(d), VMM_MSI_EVENT, &e, sizeof(e));
}

static void
do_apic(struct dice *d)
{
	struct vmm_apic_access a = {
		.offset = roll(d) % 0x40 * 16, .flags = roll(d) % 2,
		.value = one_in(d, 2) ? number(d) : roll(d),
	};
	struct vmm_apic s;
	int fd = any_fd(d);

	if (one_in(d, 2)) {
		call(d, fd, VMM_APIC_ACCESS, &a, sizeof(a));
		return;
	}
	memset(&s, 0, sizeof(s));
	if (ioctl(fd, VMM_GET_APIC, &s) == -1)
		return;
	call(d, one_in(d, 4) ? any_fd(d) : fd, VMM_SET_APIC, &s, sizeof(s));
}

static void
do_run(struct dice *d)
{
	static const uint64_t events[] = {
		VMM_EVENT_VALID | VMM_EVENT_NMI | 2,
		VMM_EVENT_VALID | VMM_EVENT_EXCEPTION | 6,
		VMM_EVENT_VALID | VMM_EVENT_EXCEPTION | 13 |
		    VMM_EVENT_HAS_ERROR,
	};
	unsigned i = roll(d) % FDS, n;
	struct vmm_run *run = runs[i];
	int fd = fds[i];

	if (run == NULL) {
		run = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    one_in(d, 8) ? PAGE : 0);
		if (run == MAP_FAILED)
			run = NULL;
		runs[i] = run;
	}
	for (n = roll(d) % 8; run != NULL && n > 0; n--) {
		run->immediate_exit = one_in(d, 4);
		run->intr_window = one_in(d, 4);
		run->inject = one_in(d, 4);
		run->vector = roll(d);
		run->set_regs = one_in(d, 8);
		run->event = one_in(d, 4) ? events[roll(d) % 3] : 0;
		if (one_in(d, 8))
			damage(d, run, sizeof(*run));
		ioctl(fd, VMM_RUN, 0);
	}
	ioctl(fd, VMM_RUN, one_in(d, 16) ? number(d) : 0);
}

/* The memory behind the guests, and their code. */
static void
do_arena(struct dice *d)
{
	static const int prots[] = {
		PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
	};
	const size_t size = PAGE << roll(d) % 4;
	uint8_t code[PAGE], *p = arena + roll(d) % (ARENA / PAGE - 8) * PAGE;
	struct iovec to = { p, sizeof(code) }, from = { code, sizeof(code) };
	size_t i;

	switch (roll(d) % 4) {
	case 0:
		madvise(p, size, MADV_DONTNEED);
		break;
	case 1:
		mprotect(p, size, prots[roll(d) % 3]);
		break;
	case 2:
		mmap(p, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	default:
		for (i = 0; i < sizeof(code); i++)
			code[i] = roll(d);
		/* It may not be there: no fault of ours, then. */
		if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) == -1)
			break;
	}
}

/* Another process with the same descriptors: none of its calls may do. */
static void
do_fork(struct dice *d)
{
	unsigned i;
	int status;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		do_run(d);
		do_state(d);
		do_event(d);
		do_msi(d);
		do_apic(d);
		for (i = 0; i < FDS; i++) {
			if (runs[i] != NULL)
				munmap(runs[i], PAGE);
			runs[i] = NULL;
		}
		do_run(d);
		_exit(0);
	}
	if (pid != -1)
		waitpid(pid, &status, 0);
}

static void
do_rest(struct dice *d)
{
	unsigned i = roll(d) % FDS;

	switch (roll(d) % 4) {
	case 0:
		/* The page stays where the other thread may use it. */
		runs[i] = NULL;
		break;
	case 1:
		if (fds[i] != -1)
			close(fds[i]);
		fds[i] = -1;
		break;
	case 2:
		keep(d, dup(any_fd(d)));
		break;
	default:
		/* Any number of the driver's, with an argument of any size. */
		ioctl(any_fd(d), _IOC(roll(d) % 4, VMM_IOC, roll(d) % 0x30,
		    roll(d) % 512), edge - roll(d) % EDGE);
		break;
	}
}

static void *
thread_main(void *arg)
{
	static void (*const work[])(struct dice *) = {
		do_setup, do_setup, do_state, do_memory, do_event, do_msi,
		do_apic, do_run, do_run, do_run, do_arena, do_rest,
	};
	struct dice *d = arg;
	unsigned i;

	for (i = 0; i < STEPS; i++) {
		if (one_in(d, 200))
			do_fork(d);
		work[roll(d) % (sizeof(work) / sizeof(work[0]))](d);
	}
	return (NULL);
}

static void
on_alarm(int sig)
{
	(void)sig;
}

/* Nothing sleeps for ever: a signal comes all the time, to either thread. */
static void
start_signals(void)
{
	struct itimerval t = {
		.it_interval = { .tv_usec = 1000 },
		.it_value = { .tv_usec = 1000 },
	};
	struct sigaction sa = { .sa_handler = on_alarm };

	if (sigaction(SIGALRM, &sa, NULL) == -1 ||
	    setitimer(ITIMER_REAL, &t, NULL) == -1)
		err(1, "setitimer");
}

static void *
map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		err(1, "mmap");
	return (p);
}

static _Noreturn void
program(uint64_t seed)
{
	struct dice d[2] = {
		{ seed * 0x9e3779b97f4a7c15 | 1 },
		{ seed * 0xbf58476d1ce4e5b9 | 1 },
	};
	pthread_t thread;
	sigset_t alarm;
	unsigned i;
	size_t at;

	arena = map(ARENA);
	edge = map(EDGE + PAGE);
	edge += EDGE;
	munmap(edge, PAGE);
	for (at = 0; at < 16 * PAGE; at++)
		arena[at] = roll(&d[0]);
	for (i = 0; i < FDS; i++)
		fds[i] = -1;
	/* A start that leads somewhere. */
	fds[0] = open("/dev/vmm", O_RDWR | O_CLOEXEC);
	fds[1] = ioctl(fds[0], VMM_CREATE_VM, 0);
	if (fds[1] == -1)
		err(1, "VMM_CREATE_VM");
	start_signals();
	if (pthread_create(&thread, NULL, thread_main, &d[1]) != 0)
		err(1, "pthread_create");
	thread_main(&d[0]);
	/* The signals of a process go to this thread as long as it wants any. */
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, NULL);
	if (seed % 2 == 0)
		pthread_join(thread, NULL);
	_exit(0);
}

static long
counter(const char *name)
{
	char path[64];
	long value;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/misc/vmm/%s", name);
	f = fopen(path, "re");
	if (f == NULL || fscanf(f, "%ld", &value) != 1)
		err(1, "%s", path);
	fclose(f);
	return (value);
}

static void
want_nothing_left(uint64_t seed)
{
	static const char *const names[] = {
		"vms", "vcpus", "npt_pages", "pinned_pages",
	};
	time_t end = time(NULL) + SECONDS;
	unsigned i;
	long n;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		/* A process that it has forked may be about to end. */
		while ((n = counter(names[i])) != 0 && time(NULL) < end)
			usleep(1000);
		if (n != 0)
			errx(1, "seed %llu: %s is %ld afterwards",
			    (unsigned long long)seed, names[i], n);
	}
}

static void
run_program(uint64_t seed)
{
	time_t end = time(NULL) + SECONDS;
	int status;
	pid_t pid, got;

	pid = fork();
	if (pid == -1)
		err(1, "fork");
	if (pid == 0)
		program(seed);
	while ((got = waitpid(pid, &status, WNOHANG)) == 0) {
		if (time(NULL) > end)
			errx(1, "seed %llu does not end",
			    (unsigned long long)seed);
		usleep(5000);
	}
	if (got == -1)
		err(1, "waitpid");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		errx(1, "seed %llu: status %#x", (unsigned long long)seed,
		    status);
	want_nothing_left(seed);
}

int
main(int argc, char **argv)
{
	uint64_t seed, first, count;

	if (argc != 3)
		errx(2, "usage: ioctl-fuzz FIRST COUNT");
	first = strtoull(argv[1], NULL, 0);
	count = strtoull(argv[2], NULL, 0);
	for (seed = first; seed < first + count; seed++)
		run_program(seed);
	return (0);
}
