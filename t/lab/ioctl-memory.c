/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: guest memory that is there, is not there, or goes away. */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <unistd.h>

#include "ioctl-test.h"
#include "ioctl-touch.h"

extern const uint8_t touch_write[];

static void
want_no_ram(struct guest *g, uint64_t gpa, uint32_t flags)
{
	guest_run(g, VMM_EXIT_MEMORY);
	WANT_EQ(g->run->memory.gpa, gpa);
	WANT_EQ(g->run->memory.flags, flags);
}

/* The last bytes in a range, the first ones after it, and across. */
static void
test_range_end(void)
{
	struct guest g;
	uint8_t *high;

	guest_open(&g);
	high = guest_memory(&g, HIGH, 3 * PAGE);
	memcpy(high + 3 * PAGE - 2, "\x34\x12", 2);
	GUEST_LONG(&g, touch_code);
	touch_at(&g, HIGH + 3 * PAGE - 2, 0x5678);
	WANT_EQ(guest_out(&g, 0x100), 0x1234);
	guest_out(&g, 0x100);
	WANT_EQ(memcmp(high + 3 * PAGE - 2, "\x78\x56", 2), 0);
	touch_at(&g, HIGH + 3 * PAGE, 0);
	want_no_ram(&g, HIGH + 3 * PAGE, 0);
	touch_at(&g, HIGH + 3 * PAGE - 1, 0);
	want_no_ram(&g, HIGH + 3 * PAGE, 0);
	touch_at(&g, HIGH - 1, 0);
	want_no_ram(&g, HIGH - 1, 0);
	touch_at(&g, HIGH, 0);
	guest_out(&g, 0x100);
}

static void
test_no_ram_write(void)
{
	struct vmm_state s;
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, touch_code);
	touch_at(&g, HIGH + 0x123, 1);
	guest_get(&g, &s);
	s.regs.rip = GUEST_ADDR(touch_code, touch_write);
	guest_set(&g, &s);
	want_no_ram(&g, HIGH + 0x123, VMM_MEMORY_WRITE);
	/* RIP stays on the instruction: so it does each time. */
	want_no_ram(&g, HIGH + 0x123, VMM_MEMORY_WRITE);
	WANT_EQ(g.now.regs.rip, GUEST_ADDR(touch_code, touch_write));
}

static void
test_no_ram_fetch(void)
{
	struct vmm_state s;
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, touch_code);
	guest_get(&g, &s);
	s.regs.rip = HIGH + 0x10;
	guest_set(&g, &s);
	want_no_ram(&g, HIGH + 0x10, VMM_MEMORY_FETCH);
}

/* A page that the daemon has taken away; RUN goes on once it is back. */
static void
test_unmapped(void)
{
	struct guest g;
	uint8_t *high;

	guest_open(&g);
	high = guest_memory(&g, HIGH, 3 * PAGE);
	GUEST_LONG(&g, touch_code);
	WANT_ERRNO(munmap(high + PAGE, PAGE), 0);
	touch_at(&g, HIGH + PAGE + 8, 0);
	guest_run(&g, VMM_EXIT_FAULT);
	WANT_EQ(g.run->fault.gpa & ~(PAGE - 1ULL), HIGH + PAGE);
	WANT_EQ(-g.run->fault.error, EFAULT);
	guest_run(&g, VMM_EXIT_FAULT);
	/* Its neighbours are there, though of the same block. */
	touch_at(&g, HIGH + 2 * PAGE, 7);
	guest_out(&g, 0x100);
	guest_out(&g, 0x100);
	WANT_EQ(high[2 * PAGE], 7);
	WANT(mmap(high + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_FIXED |
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == high + PAGE);
	high[PAGE] = 9;
	touch_at(&g, HIGH + PAGE, 0);
	WANT_EQ(guest_out(&g, 0x100), 9);
}

/* The guest may not write where the daemon may not. */
static void
test_read_only(void)
{
	struct guest g;
	uint8_t *high;

	guest_open(&g);
	high = guest_memory(&g, HIGH, PAGE);
	GUEST_LONG(&g, touch_code);
	WANT_ERRNO(mprotect(high, PAGE, PROT_READ), 0);
	touch_at(&g, HIGH, 0);
	guest_run(&g, VMM_EXIT_FAULT);
	WANT_EQ(-g.run->fault.error, EFAULT);
}

/* The page is the guest's even after the daemon has let go of it. */
static void
test_pinned(void)
{
	struct guest g;
	uint8_t *high;
	long pinned;

	guest_open(&g);
	high = guest_memory(&g, HIGH, 2 * BLOCK);
	GUEST_LONG(&g, touch_code);
	guest_out(&g, 0x100);
	pinned = counter("pinned_pages");
	touch_at(&g, HIGH + BLOCK - 2, 3);
	guest_out(&g, 0x100);
	guest_out(&g, 0x100);
	/* The block it lies in, and no page of the next. */
	WANT_EQ(counter("pinned_pages") - pinned, BLOCK / PAGE);
	WANT_ERRNO(munmap(high, 2 * BLOCK), 0);
	touch_at(&g, HIGH + BLOCK - 2, 0);
	WANT_EQ(guest_out(&g, 0x100), 3);
	WANT_EQ(counter("pinned_pages") - pinned, BLOCK / PAGE);
}

/* Pages count to RLIMIT_MEMLOCK: to the limit, and not one further. */
static void
test_memlock(void)
{
	struct rlimit lim = { 0, 0 };
	struct guest g;

	guest_open(&g);
	guest_memory(&g, HIGH, 2 * PAGE);
	guest_memory(&g, HIGH + BLOCK, PAGE);
	GUEST_LONG(&g, touch_code);
	lim.rlim_cur = lim.rlim_max = GUEST_SIZE + PAGE;
	WANT(setrlimit(RLIMIT_MEMLOCK, &lim) == 0);
	WANT(setgroups(0, NULL) == 0 && setgid(65534) == 0 &&
	    setuid(65534) == 0);
	/* One page of two fits, whatever a block would take. */
	touch_at(&g, HIGH, 0);
	guest_out(&g, 0x100);
	touch_at(&g, HIGH + PAGE, 0);
	guest_run(&g, VMM_EXIT_FAULT);
	WANT_EQ(-g.run->fault.error, ENOMEM);
	touch_at(&g, HIGH + BLOCK, 0);
	guest_run(&g, VMM_EXIT_FAULT);
	WANT_EQ(-g.run->fault.error, ENOMEM);
}

/* Pages shared with a child: the guest and the daemon still see the same. */
static void
test_fork(void)
{
	struct guest g;
	uint8_t *high;
	int status;
	pid_t pid;

	guest_open(&g);
	high = guest_memory(&g, HIGH, PAGE);
	high[0] = 1;
	GUEST_LONG(&g, touch_code);
	touch_at(&g, HIGH, 2);
	WANT_EQ(guest_out(&g, 0x100), 1);
	pid = fork();
	if (pid == 0) {
		high[0] = 99;
		_exit(0);
	}
	high[1] = 0x55;
	WANT(pid != -1 && waitpid(pid, &status, 0) == pid);
	guest_out(&g, 0x100);
	WANT_EQ(high[0], 2);
	high[0] = 4;
	touch_at(&g, HIGH, 0);
	WANT_EQ(guest_out(&g, 0x100), 4);
}

/* Two ranges with the same pages behind them, and one with the last page. */
static void
test_aliases(void)
{
	struct guest g;
	uint8_t *high;

	guest_open(&g);
	high = guest_memory(&g, HIGH, 2 * PAGE);
	WANT_ERRNO(vmm_memory(&g, HIGH + BLOCK, PAGE, high + PAGE), 0);
	GUEST_LONG(&g, touch_code);
	touch_at(&g, HIGH + PAGE, 0x4321);
	guest_out(&g, 0x100);
	guest_out(&g, 0x100);
	touch_at(&g, HIGH + BLOCK, 0);
	WANT_EQ(guest_out(&g, 0x100), 0x4321);
}

/* One fault a block; no table where the host has a huge page to map. */
static void
blocks(size_t off, unsigned tables)
{
	long faults, npt, pinned;
	struct guest g;
	uint8_t *high;

	guest_open(&g);
	high = touch_memory(&g, 2 * BLOCK, off);
	GUEST_LONG(&g, touch_code);
	guest_out(&g, 0x100);
	faults = counter("npt_faults");
	npt = counter("npt_pages");
	pinned = counter("pinned_pages");
	touch_pages(&g, high, BLOCK / PAGE - 3, 3);
	WANT_EQ(counter("npt_faults") - faults, 1);
	WANT_EQ(counter("npt_pages") - npt, tables);
	touch_pages(&g, high, BLOCK / PAGE, 2);
	touch_pages(&g, high, 0, 2);
	touch_pages(&g, high, 2 * BLOCK / PAGE - 2, 2);
	WANT_EQ(counter("npt_faults") - faults, 2);
	WANT_EQ(counter("npt_pages") - npt, 2 * tables);
	WANT_EQ(counter("pinned_pages") - pinned, 2 * BLOCK / PAGE);
}

static void
test_large(void)
{
	blocks(0, 0);
}

/* The guest's blocks lie across the host's. */
static void
test_not_large(void)
{
	blocks(PAGE, 1);
}

/* A block that the range has not all of. */
static void
test_large_end(void)
{
	struct guest g;
	uint8_t *high;
	long npt;

	guest_open(&g);
	high = touch_memory(&g, 2 * BLOCK - PAGE, 0);
	GUEST_LONG(&g, touch_code);
	guest_out(&g, 0x100);
	npt = counter("npt_pages");
	touch_pages(&g, high, 2 * BLOCK / PAGE - 2, 1);
	WANT_EQ(counter("npt_pages") - npt, 1);
	touch_at(&g, HIGH + 2 * BLOCK - PAGE, 0);
	want_no_ram(&g, HIGH + 2 * BLOCK - PAGE, 0);
	touch_pages(&g, high, BLOCK / PAGE - 1, 1);
	WANT_EQ(counter("npt_pages") - npt, 1);
}

const struct test tests_memory[] = {
	{ "range-end",		test_range_end },
	{ "no-ram-write",	test_no_ram_write },
	{ "no-ram-fetch",	test_no_ram_fetch },
	{ "unmapped-backing",	test_unmapped },
	{ "read-only-backing",	test_read_only },
	{ "pinned-pages",	test_pinned },
	{ "memlock-limit",	test_memlock },
	{ "fork",		test_fork },
	{ "aliases",		test_aliases },
	{ "large",		test_large },
	{ "not-large",		test_not_large },
	{ "large-end",		test_large_end },
	{ NULL,			NULL }
};
