/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: the log of pages that a guest writes to. */
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ioctl-touch.h"

#define MSR_CLOCK	0x4b564d01

static int
log_on(const struct guest *g, unsigned long on)
{
	return (ioctl(g->vm, VMM_DIRTY_LOG, on));
}

static int
fetch(const struct guest *g, uint64_t gpa, uint64_t size, void *bitmap)
{
	struct vmm_dirty d = {
		.gpa = gpa, .size = size, .bitmap = (uintptr_t)bitmap,
	};

	return (ioctl(g->vm, VMM_GET_DIRTY, &d));
}

/* Of all pages at HIGH that one is in the log, or with TOUCH_PAGES none. */
static void
want_dirty(const struct guest *g, size_t page)
{
	uint64_t bitmap[TOUCH_PAGES / 64];
	size_t i;

	memset(bitmap, 0xff, sizeof(bitmap));
	WANT_ERRNO(fetch(g, HIGH, TOUCH_PAGES * PAGE, bitmap), 0);
	for (i = 0; i < TOUCH_PAGES; i++)
		if ((bitmap[i / 64] >> i % 64 & 1) != (i == page))
			fail("page %zu is%s in the log, not page %zu", i,
			    i == page ? " not" : "", page);
}

static void
test_fields(void)
{
	struct vmm_dirty d = { .gpa = HIGH, .size = PAGE };
	const uint64_t size = 4 * PAGE, last = HIGH + size - PAGE;
	struct guest g;
	uint64_t word;

	d.bitmap = (uintptr_t)&word;
	guest_open(&g);
	guest_memory(&g, HIGH, size);
	WANT_ERRNO(fetch(&g, HIGH, PAGE, &word), ENODATA);
	WANT_ERRNO(log_on(&g, 2), EINVAL);
	WANT_ERRNO(log_on(&g, 1UL << 32), EINVAL);
	WANT_ERRNO(log_on(&g, 0), 0);
	WANT_ERRNO(fetch(&g, HIGH, PAGE, &word), ENODATA);
	WANT_ERRNO(log_on(&g, 1), 0);
	WANT_ERRNO(fetch(&g, HIGH, size, &word), 0);
	WANT_EQ(word, 0);
	WANT_ERRNO(fetch(&g, last, PAGE, &word), 0);
	WANT_ERRNO(fetch(&g, last, 2 * PAGE, &word), EINVAL);
	WANT_ERRNO(fetch(&g, last + PAGE, PAGE, &word), EINVAL);
	WANT_ERRNO(fetch(&g, HIGH - PAGE, 2 * PAGE, &word), EINVAL);
	WANT_ERRNO(fetch(&g, HIGH, 0, &word), EINVAL);
	WANT_ERRNO(fetch(&g, HIGH + 1, PAGE, &word), EINVAL);
	WANT_ERRNO(fetch(&g, HIGH, PAGE + 1, &word), EINVAL);
	WANT_ERRNO(fetch(&g, HIGH, PAGE - 1, &word), EINVAL);
	WANT_ERRNO(fetch(&g, HIGH, -(uint64_t)HIGH, &word), EINVAL);
	WANT_ERRNO(fetch(&g, -(uint64_t)PAGE, 2 * PAGE, &word), EINVAL);
	d.flags = 1;
	WANT_ERRNO(ioctl(g.vm, VMM_GET_DIRTY, &d), EINVAL);
	d.flags = 0;
	d.reserved = 1;
	WANT_ERRNO(ioctl(g.vm, VMM_GET_DIRTY, &d), EINVAL);
	WANT_ERRNO(ioctl(g.vm, VMM_GET_DIRTY, NULL), EFAULT);
	WANT_ERRNO(log_on(&g, 0), 0);
	WANT_ERRNO(fetch(&g, HIGH, PAGE, &word), ENODATA);
}

/* The words are all that is written, and are wholly. */
static void
test_bitmap(void)
{
	struct guest g;
	uint8_t *edge;

	edge = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	WANT(edge != MAP_FAILED);
	WANT_ERRNO(munmap(edge + PAGE, PAGE), 0);
	memset(edge, 0xff, PAGE);
	edge += PAGE;
	guest_open(&g);
	guest_memory(&g, HIGH, 65 * PAGE);
	WANT_ERRNO(log_on(&g, 1), 0);
	WANT_ERRNO(fetch(&g, HIGH, 64 * PAGE, edge - 8), 0);
	WANT_ERRNO(fetch(&g, HIGH, 64 * PAGE, edge - 7), EFAULT);
	WANT_ERRNO(fetch(&g, HIGH, 65 * PAGE, edge - 16), 0);
	WANT_ERRNO(fetch(&g, HIGH, 65 * PAGE, edge - 15), EFAULT);
	WANT_ERRNO(fetch(&g, HIGH, PAGE, NULL), EFAULT);
	WANT_ERRNO(fetch(&g, HIGH, PAGE, (void *)-8L), EFAULT);
	WANT_EQ(edge[-17], 0xff);
}

static void
test_limit(void)
{
	void *bitmap = calloc(1, VMM_MAX_DIRTY / PAGE / 8);
	struct guest g;

	WANT(bitmap != NULL);
	vmm_create(&g);
	/* Nothing is there, but nothing looks before the guest does. */
	WANT_ERRNO(vmm_memory(&g, 0, VMM_MAX_DIRTY + PAGE, (void *)PAGE), 0);
	WANT_ERRNO(log_on(&g, 1), 0);
	WANT_ERRNO(fetch(&g, 0, VMM_MAX_DIRTY, bitmap), 0);
	WANT_ERRNO(fetch(&g, PAGE, VMM_MAX_DIRTY, bitmap), 0);
	WANT_ERRNO(fetch(&g, 0, VMM_MAX_DIRTY + PAGE, bitmap), E2BIG);
}

/* A page is in it once it is written to, once, and not when it is read. */
static void
touch_logged(struct guest *g, size_t page)
{
	touch_at(g, HIGH + page * PAGE, 1);
	guest_out(g, 0x100);
	want_dirty(g, TOUCH_PAGES);
	guest_out(g, 0x100);
	want_dirty(g, page);
	want_dirty(g, TOUCH_PAGES);
}

static void
test_pages(void)
{
	struct guest g;
	uint8_t *high = touch_open(&g, 1);
	const long npt = counter("npt_pages");

	WANT_ERRNO(log_on(&g, 1), 0);
	WANT_EQ(counter("npt_pages"), npt + 2);
	want_dirty(&g, TOUCH_PAGES);
	touch_logged(&g, 0);
	touch_logged(&g, BLOCK_PAGES - 1);
	touch_logged(&g, BLOCK_PAGES);
	touch_logged(&g, TOUCH_PAGES - 1);
	touch_logged(&g, 0);
	/* What the daemon writes is not in it. */
	high[0] = 1;
	want_dirty(&g, TOUCH_PAGES);
	/* A second beginning forgets. */
	touch_pages(&g, high, 5, 1);
	WANT_ERRNO(log_on(&g, 1), 0);
	want_dirty(&g, TOUCH_PAGES);
	touch_logged(&g, 5);
}

/* Bits count from the range's first page. */
static void
test_part(void)
{
	struct guest g;
	uint8_t *high = touch_open(&g, 1);
	uint64_t bitmap[2];

	WANT_ERRNO(log_on(&g, 1), 0);
	touch_pages(&g, high, 6, 2);
	touch_pages(&g, high, 71, 1);
	touch_pages(&g, high, 72, 1);
	WANT_ERRNO(fetch(&g, HIGH + 7 * PAGE, 65 * PAGE, bitmap), 0);
	WANT_EQ(bitmap[0], 1);
	WANT_EQ(bitmap[1], 1);
	/* Those outside are still to be fetched. */
	WANT_ERRNO(fetch(&g, HIGH + 6 * PAGE, 67 * PAGE, bitmap), 0);
	WANT_EQ(bitmap[0], 1);
	WANT_EQ(bitmap[1], 4);
}

/* Blocks that come while there is a log, and after. */
static void
test_new(void)
{
	struct vmm_discard d = { .gpa = HIGH, .size = TOUCH_PAGES * PAGE };
	struct guest g;
	uint8_t *high;
	long npt;

	guest_open(&g);
	high = touch_memory(&g, TOUCH_PAGES * PAGE, 0);
	GUEST_LONG(&g, touch_code);
	guest_out(&g, 0x100);
	WANT_ERRNO(log_on(&g, 1), 0);
	npt = counter("npt_pages");
	touch_logged(&g, BLOCK_PAGES - 1);
	touch_logged(&g, BLOCK_PAGES - 2);
	touch_logged(&g, BLOCK_PAGES);
	WANT_EQ(counter("npt_pages"), npt + 2);
	WANT_ERRNO(ioctl(g.vm, VMM_MEM_DISCARD, &d), 0);
	touch_logged(&g, BLOCK_PAGES);
	WANT_EQ(counter("npt_pages"), npt + 1);
	WANT_ERRNO(log_on(&g, 0), 0);
	touch_pages(&g, high, BLOCK_PAGES - 1, 2);
	WANT_EQ(counter("npt_pages"), npt + 1);
	WANT_ERRNO(ioctl(g.vm, VMM_MEM_DISCARD, &d), 0);
	touch_pages(&g, high, BLOCK_PAGES - 1, 2);
	WANT_EQ(counter("npt_pages"), npt);
}

GUEST_BLOB64(code_log_clock, "xor %edx, %edx; wrmsr; mov $0x100, %dx; "
    "out %al, %dx; hlt");

/* The clock's page is written by the driver. */
static void
test_clock(void)
{
	struct vmm_state s;
	struct guest g;
	int i;

	guest_open(&g);
	touch_memory(&g, TOUCH_PAGES * PAGE, 0);
	GUEST_LONG(&g, code_log_clock);
	WANT_ERRNO(log_on(&g, 1), 0);
	guest_get(&g, &s);
	for (i = 0; i < 2; i++) {
		s.regs.gpr[VMM_RCX] = MSR_CLOCK;
		s.regs.gpr[VMM_RAX] = (HIGH + 3 * PAGE + 64) | 1;
		guest_set(&g, &s);
		guest_out(&g, 0x100);
		want_dirty(&g, 3);
		want_dirty(&g, TOUCH_PAGES);
	}
}

/* Writes to each of 64 pages, many times before the next one. */
GUEST_BLOB64(code_write,
	"mov $0x1000000, %ebx\n"
	"mov $64, %esi\n"
	"1: mov $20000, %ecx\n"
	"2: incl (%rbx)\n"
	"dec %ecx\n"
	"jnz 2b\n"
	"add $0x1000, %ebx\n"
	"dec %esi\n"
	"jnz 1b\n"
	"mov $0x100, %dx\n"
	"out %al, %dx\n"
	"jmp code_write\n");

static atomic_bool done;

static void *
write_thread(void *arg)
{
	guest_out(arg, 0x100);
	done = true;
	return (NULL);
}

/* What the log names is copied: in the end the copy has all. */
static void
copy_logged(const struct guest *g, const uint8_t *from, uint8_t *to)
{
	uint64_t word;
	int i;

	WANT_ERRNO(fetch(g, HIGH, 64 * PAGE, &word), 0);
	for (i = 0; i < 64; i++)
		if (word >> i & 1)
			memcpy(to + i * PAGE, from + i * PAGE, PAGE);
}

/*
 * A write that the log misses shows where it was the guest's last to a page.
 * Many rounds, as threads that share a processor hide it.
 */
static void
test_copy(void)
{
	uint8_t *high, *copy = malloc(64 * PAGE);
	struct guest g;
	pthread_t t;
	int i, round;

	WANT(copy != NULL);
	guest_open(&g);
	high = touch_memory(&g, TOUCH_PAGES * PAGE, 0);
	GUEST_LONG(&g, code_write);
	guest_out(&g, 0x100);
	WANT_ERRNO(log_on(&g, 1), 0);
	memcpy(copy, high, 64 * PAGE);
	for (round = 0; round < 30; round++) {
		done = false;
		WANT(pthread_create(&t, NULL, write_thread, &g) == 0);
		while (!done)
			copy_logged(&g, high, copy);
		WANT(pthread_join(t, NULL) == 0);
		copy_logged(&g, high, copy);
		for (i = 0; i < 64; i++)
			if (memcmp(high + i * PAGE, copy + i * PAGE, PAGE) != 0)
				fail("page %d was written to and not logged",
				    i);
	}
}

const struct test tests_dirty[] = {
	{ "dirty-fields",	test_fields },
	{ "dirty-bitmap",	test_bitmap },
	{ "dirty-limit",	test_limit },
	{ "dirty-pages",	test_pages },
	{ "dirty-part",		test_part },
	{ "dirty-new",		test_new },
	{ "dirty-clock",	test_clock },
	{ "dirty-copy",		test_copy },
	{ NULL,			NULL }
};
