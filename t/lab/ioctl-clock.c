/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: the guest's TSC and its paravirtual clock. */
#include <sys/ioctl.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ioctl-test.h"

#define VECTOR_GP	13
#define WALL_CLOCK	0x4b564d00
#define SYSTEM_TIME	0x4b564d01
#define OLD_WALL_CLOCK	0x11
#define OLD_SYSTEM_TIME	0x12
#define ENABLE		1
#define CLOCK_PAGE	0x6000
#define PAGE		0x1000

struct system_time {
	uint32_t	version;
	uint32_t	pad0;
	uint64_t	tsc;
	uint64_t	ns;
	uint32_t	mul;
	int8_t		shift;
	uint8_t		flags;
	uint8_t		pad[2];
};
_Static_assert(sizeof(struct system_time) == 32, "of the KVM ABI");

struct wall_clock {
	uint32_t	version;
	uint32_t	sec;
	uint32_t	nsec;
};

GUEST_BLOB64(code_tsc,
	"1: rdtsc\n"
	"shl $32, %rdx\n"
	"or %rdx, %rax\n"
	"mov $0x100, %dx\n"
	"out %al, %dx\n"
	"jmp 1b\n");

static uint64_t
state_tsc(struct guest *g)
{
	struct vmm_state s;

	guest_get(g, &s);
	return (s.tsc);
}

/* The guest reads what the daemon is told, from nearly 0 on. */
static void
test_tsc(void)
{
	struct vmm_info info;
	struct guest g;
	uint64_t before, start;
	int i;

	guest_open(&g);
	start = now_ns();
	GUEST_LONG(&g, code_tsc);
	WANT_ERRNO(ioctl(g.dev, VMM_GET_INFO, &info), 0);
	for (i = 0; i < 1000; i++) {
		before = state_tsc(&g);
		guest_out(&g, 0x100);
		WANT(guest_rax(&g) >= before);
		WANT(guest_rax(&g) <= state_tsc(&g));
	}
	/* A quarter of a second may pass before guest_open() returns. */
	WANT(state_tsc(&g) / info.tsc_khz <
	    (now_ns() - start) / 1000000 + 250);
}

GUEST_BLOB64(code_wrmsr,
	"wrmsr\n"
	"rdmsr\n"
	"mov %edx, %esi\n"
	"mov $0x100, %dx\n"
	"out %al, %dx\n");

/* True if the MSR took and kept the value, false for #GP. */
static bool
set_clock(struct guest *g, uint32_t msr, uint64_t value)
{
	struct vmm_state s;

	guest_get(g, &s);
	s.regs.rip = GUEST_CODE;
	s.regs.gpr[VMM_RCX] = msr;
	s.regs.gpr[VMM_RAX] = (uint32_t)value;
	s.regs.gpr[VMM_RDX] = value >> 32;
	guest_set(g, &s);
	guest_run(g, VMM_EXIT_IO);
	if (g->run->io.port == VECTOR_GP)
		return (false);
	WANT_EQ(g->run->io.port, 0x100);
	WANT_EQ(g->now.regs.gpr[VMM_RSI] << 32 | guest_rax(g), value);
	return (true);
}

static uint64_t
clock_ns(const struct system_time *t, uint64_t tsc)
{
	uint64_t delta = tsc - t->tsc;

	delta = t->shift < 0 ? delta >> -t->shift : delta << t->shift;
	return (t->ns + (uint64_t)((unsigned __int128)delta * t->mul >> 32));
}

static void
want_clock(struct guest *g, uint32_t msr)
{
	struct system_time t;
	struct vmm_info info;
	uint64_t a, b, from, to;

	memset(g->ram + CLOCK_PAGE, 0xff, PAGE);
	WANT(set_clock(g, msr, CLOCK_PAGE | ENABLE));
	memcpy(&t, g->ram + CLOCK_PAGE, sizeof(t));
	WANT_EQ(g->ram[CLOCK_PAGE + sizeof(t)], 0xff);
	WANT(t.version != 0 && t.version % 2 == 0);
	WANT_ERRNO(ioctl(g->dev, VMM_GET_INFO, &info), 0);
	WANT_EQ(t.flags & 1, info.features & VMM_FEATURE_STABLE_TSC);
	/* A second's worth of ticks is a second, to a millionth. */
	a = clock_ns(&t, t.tsc + info.tsc_khz * 1000ULL) - t.ns;
	WANT(a > 999999000 && a < 1000001000);
	/* And it goes as the host's clock does: within 2 %. */
	from = now_ns();
	a = clock_ns(&t, state_tsc(g));
	usleep(300000);
	to = now_ns();
	b = clock_ns(&t, state_tsc(g));
	WANT(b - a > (to - from) / 100 * 98 && b - a < (to - from) / 100 * 102);
}

static void
test_clock(void)
{
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, code_wrmsr);
	want_clock(&g, SYSTEM_TIME);
	want_clock(&g, OLD_SYSTEM_TIME);
	/* Switched off, nothing is written anywhere. */
	memset(g.ram + CLOCK_PAGE, 0xff, PAGE);
	WANT(set_clock(&g, SYSTEM_TIME, CLOCK_PAGE));
	WANT_EQ(g.ram[CLOCK_PAGE], 0xff);
}

static void
test_clock_edges(void)
{
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, code_wrmsr);
	g.ram[CLOCK_PAGE + PAGE] = 0xff;
	WANT(set_clock(&g, SYSTEM_TIME,
	    (CLOCK_PAGE + PAGE - sizeof(struct system_time)) | ENABLE));
	WANT_EQ(g.ram[CLOCK_PAGE + PAGE], 0xff);
	WANT(!set_clock(&g, SYSTEM_TIME,
	    (CLOCK_PAGE + PAGE - sizeof(struct system_time) + 4) | ENABLE));
	WANT_EQ(g.ram[CLOCK_PAGE + PAGE], 0xff);
	WANT(!set_clock(&g, SYSTEM_TIME, (CLOCK_PAGE + 2) | ENABLE));
	WANT(set_clock(&g, SYSTEM_TIME,
	    (GUEST_SIZE - sizeof(struct system_time)) | ENABLE));
	WANT(!set_clock(&g, SYSTEM_TIME, GUEST_SIZE | ENABLE));
	WANT(!set_clock(&g, SYSTEM_TIME, 0xfffffffffffff000ULL | ENABLE));
	WANT(!set_clock(&g, SYSTEM_TIME, 1ULL << VMM_GPA_BITS | ENABLE));
}

static void
want_wall(struct guest *g, uint32_t msr)
{
	struct wall_clock w;
	time_t now;

	memset(g->ram + CLOCK_PAGE, 0xff, PAGE);
	WANT(set_clock(g, msr, CLOCK_PAGE));
	memcpy(&w, g->ram + CLOCK_PAGE, sizeof(w));
	WANT_EQ(g->ram[CLOCK_PAGE + sizeof(w)], 0xff);
	now = time(NULL);
	WANT(w.version != 0 && w.version % 2 == 0);
	WANT(w.nsec < 1000000000);
	WANT(w.sec <= now && w.sec + 5 > now);
}

static void
test_wall_clock(void)
{
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, code_wrmsr);
	want_wall(&g, WALL_CLOCK);
	want_wall(&g, OLD_WALL_CLOCK);
	WANT(set_clock(&g, WALL_CLOCK,
	    GUEST_SIZE - sizeof(struct wall_clock)));
	WANT(!set_clock(&g, WALL_CLOCK,
	    GUEST_SIZE - sizeof(struct wall_clock) + 4));
	WANT(!set_clock(&g, WALL_CLOCK, GUEST_SIZE));
	WANT(!set_clock(&g, WALL_CLOCK, CLOCK_PAGE + 1));
	WANT(!set_clock(&g, WALL_CLOCK, -4096ULL));
}

const struct test tests_clock[] = {
	{ "tsc",		test_tsc },
	{ "clock",		test_clock },
	{ "clock-edges",	test_clock_edges },
	{ "wall-clock",		test_wall_clock },
	{ NULL,			NULL }
};
