/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: VMM_MEM_DISCARD, under guests that stand still and that run. */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ioctl-touch.h"

static int
discard(const struct guest *g, uint64_t gpa, uint64_t size)
{
	struct vmm_discard d = { .gpa = gpa, .size = size };

	return (ioctl(g->vm, VMM_MEM_DISCARD, &d));
}

/* As a daemon does it: its own memory first, then the guest's. */
static void
give_back(const struct guest *g, uint8_t *high, unsigned first, unsigned n)
{
	WANT_ERRNO(madvise(high + first * PAGE, (size_t)n * PAGE,
	    MADV_DONTNEED), 0);
	WANT_ERRNO(discard(g, HIGH + first * PAGE, (uint64_t)n * PAGE), 0);
}

/* KiB of this process that count to RLIMIT_MEMLOCK. */
static long
locked(void)
{
	char line[128];
	long kib = -1;
	FILE *f;

	f = fopen("/proc/self/status", "re");
	WANT(f != NULL);
	while (kib == -1 && fgets(line, sizeof(line), f) != NULL)
		sscanf(line, "VmLck: %ld", &kib);
	fclose(f);
	return (kib);
}

static void
want_pinned(long pages)
{
	/* And those of guest_open(): it has run in them. */
	WANT_EQ(counter("pinned_pages"), pages + GUEST_SIZE / PAGE);
	WANT_EQ(locked() * 1024 / PAGE, pages + GUEST_SIZE / PAGE);
}

static void
test_fields(void)
{
	struct vmm_discard d = { .gpa = HIGH, .size = PAGE };
	const uint64_t size = 4 * PAGE, last = HIGH + size - PAGE;
	struct guest g;

	guest_open(&g);
	guest_memory(&g, HIGH, size);
	WANT_ERRNO(discard(&g, HIGH, size), 0);
	WANT_ERRNO(discard(&g, last, PAGE), 0);
	WANT_ERRNO(discard(&g, last, 2 * PAGE), EINVAL);
	WANT_ERRNO(discard(&g, last + PAGE, PAGE), EINVAL);
	WANT_ERRNO(discard(&g, HIGH - PAGE, PAGE), EINVAL);
	WANT_ERRNO(discard(&g, HIGH - PAGE, 2 * PAGE), EINVAL);
	WANT_ERRNO(discard(&g, HIGH, 0), EINVAL);
	WANT_ERRNO(discard(&g, HIGH + 1, PAGE), EINVAL);
	WANT_ERRNO(discard(&g, HIGH + PAGE - 1, PAGE), EINVAL);
	WANT_ERRNO(discard(&g, HIGH, PAGE - 1), EINVAL);
	WANT_ERRNO(discard(&g, HIGH, PAGE + 1), EINVAL);
	WANT_ERRNO(discard(&g, HIGH, -(uint64_t)HIGH), EINVAL);
	WANT_ERRNO(discard(&g, HIGH, -(uint64_t)PAGE), EINVAL);
	WANT_ERRNO(discard(&g, -(uint64_t)PAGE, PAGE), EINVAL);
	WANT_ERRNO(discard(&g, -(uint64_t)PAGE, 2 * PAGE), EINVAL);
	WANT_ERRNO(discard(&g, 1ULL << VMM_GPA_BITS, PAGE), EINVAL);
	d.flags = 1;
	WANT_ERRNO(ioctl(g.vm, VMM_MEM_DISCARD, &d), EINVAL);
	d.flags = 0;
	d.reserved = 1;
	WANT_ERRNO(ioctl(g.vm, VMM_MEM_DISCARD, &d), EINVAL);
	d.reserved = 0;
	WANT_ERRNO(ioctl(g.vm, VMM_MEM_DISCARD, &d), 0);
	WANT_ERRNO(ioctl(g.vm, VMM_MEM_DISCARD, NULL), EFAULT);
	WANT_ERRNO(ioctl(g.dev, VMM_MEM_DISCARD, &d), ENOTTY);
}

/* Over the end of one range into the next, but not over a hole. */
static void
test_meeting(void)
{
	const uint64_t top = 1ULL << VMM_GPA_BITS;
	struct guest g;
	uint8_t *a, *b;

	guest_open(&g);
	a = guest_memory(&g, HIGH, 2 * PAGE);
	b = guest_memory(&g, HIGH + 2 * PAGE, PAGE);
	guest_memory(&g, HIGH + 4 * PAGE, PAGE);
	guest_memory(&g, top - PAGE, PAGE);
	GUEST_LONG(&g, touch_code);
	guest_out(&g, 0x100);
	touch_pages(&g, a, 1, 1);
	touch_at(&g, HIGH + 2 * PAGE, 7);
	guest_out(&g, 0x100);
	guest_out(&g, 0x100);
	WANT_EQ(b[0], 7);
	want_pinned(3);
	WANT_ERRNO(discard(&g, HIGH, 5 * PAGE), EINVAL);
	want_pinned(3);
	WANT_ERRNO(discard(&g, HIGH + PAGE, 2 * PAGE), 0);
	want_pinned(1);
	WANT_ERRNO(discard(&g, top - PAGE, PAGE), 0);
	WANT_ERRNO(discard(&g, top - PAGE, 2 * PAGE), EINVAL);
}

/* Whole huge pages: the next touch brings others, zeroed, as huge. */
static void
test_blocks(void)
{
	struct guest g;
	uint8_t *high = touch_open(&g, 2);
	const long npt = counter("npt_pages");

	want_pinned(TOUCH_PAGES);
	give_back(&g, high, 0, BLOCK_PAGES);
	want_pinned(BLOCK_PAGES);
	touch_at(&g, HIGH + BLOCK - PAGE, 1);
	WANT_EQ(guest_out(&g, 0x100), 0);
	guest_out(&g, 0x100);
	WANT_EQ(high[BLOCK - PAGE], 1);
	want_pinned(TOUCH_PAGES);
	give_back(&g, high, 0, TOUCH_PAGES);
	want_pinned(0);
	/* What is not there can be given back, too. */
	give_back(&g, high, 0, TOUCH_PAGES);
	touch_pages(&g, high, 0, 2);
	touch_pages(&g, high, TOUCH_PAGES - 1, 1);
	want_pinned(TOUCH_PAGES);
	WANT_EQ(counter("npt_pages"), npt);
}

/* Parts of huge pages, the last of one and the first of the next. */
static void
test_parts(void)
{
	struct guest g;
	uint8_t *high = touch_open(&g, 2);
	const long npt = counter("npt_pages");

	touch_pages(&g, high, BLOCK_PAGES - 2, 4);
	give_back(&g, high, BLOCK_PAGES - 1, 2);
	want_pinned(TOUCH_PAGES - 2);
	WANT_EQ(counter("npt_pages"), npt + 2);
	/* Neighbours are where they were. */
	touch_at(&g, HIGH + (BLOCK_PAGES - 2) * PAGE, 0);
	WANT_EQ(guest_out(&g, 0x100), (uint16_t)~(BLOCK_PAGES - 2));
	touch_at(&g, HIGH + (BLOCK_PAGES + 1) * PAGE, 0);
	WANT_EQ(guest_out(&g, 0x100), (uint16_t)~(BLOCK_PAGES + 1));
	touch_pages(&g, high, BLOCK_PAGES - 2, 1);
	want_pinned(TOUCH_PAGES - 2);
	/* Each comes back alone. */
	touch_at(&g, HIGH + (BLOCK_PAGES - 1) * PAGE, 0);
	WANT_EQ(guest_out(&g, 0x100), 0);
	want_pinned(TOUCH_PAGES - 1);
	touch_pages(&g, high, BLOCK_PAGES - 1, 2);
	want_pinned(TOUCH_PAGES);
}

/* A page at a time, until nothing is left, not even a table. */
static void
test_pages(void)
{
	struct guest g;
	uint8_t *high = touch_open(&g, 2);
	const long npt = counter("npt_pages");
	unsigned i;

	for (i = 0; i < BLOCK_PAGES; i++)
		WANT_ERRNO(discard(&g, HIGH + i * PAGE, PAGE), 0);
	want_pinned(BLOCK_PAGES);
	WANT_EQ(counter("npt_pages"), npt);
	/* The same memory, as the daemon has not replaced it. */
	touch_at(&g, HIGH, 0);
	WANT_EQ(guest_out(&g, 0x100), 0xffff);
	touch_pages(&g, high, 0, 1);
	WANT_EQ(counter("npt_pages"), npt);
	want_pinned(TOUCH_PAGES);
}

/* Writes for ever: counts in one word each in the range's two blocks. */
GUEST_BLOB64(code_count,
	"mov $0x1000000, %ebx\n"
	"mov $0x11ff000, %ecx\n"
	"1: incl (%rbx)\n"
	"incl (%rcx)\n"
	"incl 0x200000(%rbx)\n"
	"jmp 1b\n");

static atomic_bool stop;

static void
on_signal(int sig)
{
	(void)sig;
}

static void *
count_thread(void *arg)
{
	const struct guest *g = arg;

	while (!stop) {
		if (ioctl(g->vcpu, VMM_RUN, 0) == -1)
			fail("VMM_RUN: %s", strerror(errno));
		WANT_EQ(g->run->reason, VMM_EXIT_NONE);
	}
	return (NULL);
}

/* Until the guest has written to what the daemon sees there. */
static void
wait_counting(const volatile void *page)
{
	const volatile uint32_t *n = page;
	const uint32_t old = *n;
	const uint64_t end = now_ns() + 5000000000ULL;

	while (*n == old)
		if (now_ns() > end)
			fail("the guest writes to other memory");
}

static void
join_counting(struct guest *g, pthread_t t)
{
	stop = true;
	g->run->immediate_exit = 1;
	pthread_kill(t, SIGUSR1);
	WANT(pthread_join(t, NULL) == 0);
}

static void
test_running(void)
{
	const unsigned last = BLOCK_PAGES - 1;
	struct guest g;
	uint8_t *high;
	pthread_t t;
	unsigned i;

	signal(SIGUSR1, on_signal);
	guest_open(&g);
	high = touch_memory(&g, TOUCH_PAGES * PAGE, 0);
	GUEST_LONG(&g, code_count);
	WANT(pthread_create(&t, NULL, count_thread, &g) == 0);
	for (i = 0; i < 200; i++) {
		wait_counting(high);
		wait_counting(high + last * PAGE);
		wait_counting(high + BLOCK);
		switch (i % 4) {
		case 0:		/* splits one */
			give_back(&g, high, 0, 1);
			break;
		case 1:		/* over a block's end */
			give_back(&g, high, last, 2);
			break;
		case 2:
			give_back(&g, high, 0, BLOCK_PAGES);
			break;
		default:
			give_back(&g, high, 0, TOUCH_PAGES);
		}
	}
	join_counting(&g, t);
	WANT_ERRNO(discard(&g, HIGH, TOUCH_PAGES * PAGE), 0);
	want_pinned(0);
}

GUEST_BLOB64(code_count_one, "mov $0x1000000, %ebx; 1: incl (%rbx); jmp 1b");

/* Maps a page of a file where the guest's memory is, over what is there. */
static void
map_file(int fd, void *at, off_t off)
{
	WANT(mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
	    fd, off) == at);
}

/*
 * Once the call is back, not one write goes to the old page, which the daemon
 * has a second look at.
 */
static void
test_old(void)
{
	volatile uint32_t *view[2];
	struct guest g;
	uint8_t *high;
	pthread_t t;
	uint64_t end;
	uint32_t old;
	int fd, i;

	signal(SIGUSR1, on_signal);
	guest_open(&g);
	high = touch_memory(&g, PAGE, 0);
	fd = memfd_create("pages", MFD_CLOEXEC);
	WANT(fd != -1 && ftruncate(fd, 2 * PAGE) == 0);
	view[0] = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	WANT(view[0] != MAP_FAILED);
	view[1] = view[0] + PAGE / sizeof(*view[0]);
	map_file(fd, high, 0);
	GUEST_LONG(&g, code_count_one);
	WANT(pthread_create(&t, NULL, count_thread, &g) == 0);
	for (i = 0; i < 100; i++) {
		wait_counting(view[i % 2]);
		map_file(fd, high, (i + 1) % 2 * PAGE);
		WANT_ERRNO(discard(&g, HIGH, PAGE), 0);
		old = *view[i % 2];
		for (end = now_ns() + 200000; now_ns() < end;)
			WANT_EQ(*view[i % 2], old);
	}
	join_counting(&g, t);
}

/* Killed while it gives back what its guest touches: nothing may be left. */
static void
test_killed(void)
{
	struct guest g;
	uint8_t *high;
	int status, i;
	pthread_t t;
	pid_t pid;

	for (i = 0; i < 10; i++) {
		pid = fork();
		if (pid == 0) {
			guest_open(&g);
			high = touch_memory(&g, TOUCH_PAGES * PAGE, 0);
			GUEST_LONG(&g, code_count);
			pthread_create(&t, NULL, count_thread, &g);
			for (;;) {
				give_back(&g, high, 3, BLOCK_PAGES);
				give_back(&g, high, 0, TOUCH_PAGES);
			}
		}
		WANT(pid != -1);
		while (counter("pinned_pages") == 0)
			usleep(1000);
		usleep(2000 * i);
		kill(pid, SIGKILL);
		WANT(waitpid(pid, &status, 0) == pid);
		WANT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		WANT_EQ(counter("pinned_pages"), 0);
		WANT_EQ(counter("npt_pages"), 0);
	}
}

const struct test tests_discard[] = {
	{ "discard-fields",	test_fields },
	{ "discard-meeting",	test_meeting },
	{ "discard-blocks",	test_blocks },
	{ "discard-parts",	test_parts },
	{ "discard-pages",	test_pages },
	{ "discard-running",	test_running },
	{ "discard-old",	test_old },
	{ "discard-killed",	test_killed },
	{ NULL,			NULL }
};
