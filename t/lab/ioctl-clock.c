/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: the guest's TSC, its paravirtual clock, and steal time. */
#include <sys/ioctl.h>
#include <sys/timex.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ioctl-test.h"

#define VECTOR_GP	13
#define WALL_CLOCK	0x4b564d00
#define SYSTEM_TIME	0x4b564d01
#define STEAL_TIME	0x4b564d03
#define OLD_WALL_CLOCK	0x11
#define OLD_SYSTEM_TIME	0x12
#define ENABLE		1
#define STOPPED		2	/* a flag of the page */
#define CLOCK_PAGE	0x6000
#define CLOCK_STRIDE	64	/* to that of the second vCPU */
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
	"out %al, %dx\n"
	"1: jmp 1b\n");

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

static uint64_t
boot_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (ts.tv_sec * 1000000000ULL + ts.tv_nsec);
}

/* As a guest reads it, on vCPU `id`. */
static struct system_time
read_clock(const struct guest *g, unsigned id, uint64_t *tsc)
{
	const uint8_t *page = g->ram + CLOCK_PAGE + id * CLOCK_STRIDE;
	const volatile struct system_time *t =
	    (const volatile struct system_time *)page;
	struct system_time copy;
	uint32_t version;

	do {
		version = __atomic_load_n(&t->version, __ATOMIC_ACQUIRE) & ~1U;
		__builtin_ia32_lfence();
		*tsc = __builtin_ia32_rdtsc();
		memcpy(&copy, page, sizeof(copy));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (t->version != version);
	return (copy);
}

/* What to take from the host's TSC for the guest's: the least it can be. */
static uint64_t
tsc_base(struct guest *g)
{
	uint64_t before, base, best = UINT64_MAX;
	int i;

	for (i = 0; i < 20; i++) {
		before = __builtin_ia32_rdtsc();
		base = before - state_tsc(g);
		if (-base < best)
			best = -base;
	}
	return (-best);
}

static void
set_host_pace(long ppm)
{
	struct timex t = { .modes = ADJ_FREQUENCY, .freq = ppm * 65536 };

	if (adjtimex(&t) == -1)
		fail("adjtimex: %s", strerror(errno));
}

/* How far the guest's clock is ahead of the host's: by the closest look. */
static int64_t
ahead(const struct guest *g, uint64_t base)
{
	uint64_t before, after, now, tsc, best = UINT64_MAX;
	struct system_time t;
	int64_t diff = 0;
	int i;

	for (i = 0; i < 50; i++) {
		before = boot_ns();
		t = read_clock(g, 0, &tsc);
		after = boot_ns();
		now = clock_ns(&t, tsc - base);
		if (after - before >= best)
			continue;
		best = after - before;
		diff = now - (before + best / 2);
	}
	return (diff);
}

/*
 * For so long it never goes back, from one vCPU to the other, and changes its
 * pace about every second.
 */
static void
want_forward(const struct guest *g, uint64_t base, unsigned seconds)
{
	const uint64_t end = now_ns() + seconds * 1000000000ULL;
	unsigned paces = 0, id = 0;
	uint32_t version = 0;
	uint64_t tsc, now, last = 0;
	struct system_time t;

	while (now_ns() < end) {
		id = !id;
		t = read_clock(g, id, &tsc);
		now = clock_ns(&t, tsc - base);
		/* What the base is not known to, at 500 ppm. */
		if (now + 20 < last)
			fail("back by %llu ns",
			    (unsigned long long)(last - now));
		last = now;
		paces += t.version != version;
		version = t.version;
	}
	WANT(paces >= seconds / 2 && paces <= seconds + 2);
}

/* No parameter differs, unless it is just being changed. */
static void
want_same(const struct guest *g)
{
	struct system_time a, b;
	uint64_t tsc;

	do {
		a = read_clock(g, 0, &tsc);
		b = read_clock(g, 1, &tsc);
	} while (a.version != b.version);
	WANT(memcmp(&a, &b, sizeof(a)) == 0);
}

/*
 * The host's clock goes by NTP's pace, at its utmost, and the guest's with it;
 * 500 ppm are 2 ms in the time of each.
 */
static void
test_clock_steered(void)
{
	static const int pace[] = { 500, -500, 0 };
	struct guest g, other;
	int64_t start, diff;
	uint64_t base;
	unsigned i;

	guest_open(&g);
	GUEST_LONG(&g, code_wrmsr);
	WANT(set_clock(&g, SYSTEM_TIME, CLOCK_PAGE | ENABLE));
	/* The second comes when the first has had another pace. */
	usleep(1100000);
	guest_vcpu(&g, 1, &other);
	guest_start(&g, GUEST_CODE, &other);
	WANT(set_clock(&other, SYSTEM_TIME,
	    (CLOCK_PAGE + CLOCK_STRIDE) | ENABLE));
	want_same(&g);
	base = tsc_base(&g);
	start = ahead(&g, base);
	for (i = 0; i < sizeof(pace) / sizeof(pace[0]); i++) {
		set_host_pace(pace[i]);
		want_forward(&g, base, 4);
		want_same(&g);
		diff = ahead(&g, base) - start;
		if (diff < -500000 || diff > 500000) {
			set_host_pace(0);
			fail("%lld ns ahead at %d ppm", (long long)diff,
			    pace[i]);
		}
	}
}

static void
test_clock_off(void)
{
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, code_wrmsr);
	WANT(set_clock(&g, SYSTEM_TIME, CLOCK_PAGE | ENABLE));
	WANT(set_clock(&g, SYSTEM_TIME, CLOCK_PAGE));
	memset(g.ram + CLOCK_PAGE, 0xff, PAGE);
	usleep(2200000);
	WANT_EQ(g.ram[CLOCK_PAGE], 0xff);
}

/* Said once, and kept until the guest has seen it. */
static void
test_guest_stopped(void)
{
	struct system_time *t;
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, code_wrmsr);
	t = (struct system_time *)(g.ram + CLOCK_PAGE);
	g.run->resumed = 1;
	WANT(set_clock(&g, SYSTEM_TIME, CLOCK_PAGE | ENABLE));
	WANT_EQ(g.run->resumed, 0);
	WANT_EQ(t->flags & STOPPED, 0);
	g.run->resumed = 1;
	WANT(set_clock(&g, WALL_CLOCK, CLOCK_PAGE + PAGE / 2));
	WANT_EQ(g.run->resumed, 0);
	WANT_EQ(t->flags & STOPPED, STOPPED);
	usleep(1200000);
	WANT_EQ(t->flags & STOPPED, STOPPED);
	t->flags &= ~STOPPED;
	WANT(set_clock(&g, WALL_CLOCK, CLOCK_PAGE + PAGE / 2));
	usleep(1200000);
	WANT_EQ(t->flags & STOPPED, 0);
}

/*
 * The real time when the clock was zero, to be added to the clock: not when
 * the VM was made, if the host's was set since.
 */
static void
test_wall_clock_exact(void)
{
	struct wall_clock w;
	struct timespec now;
	struct guest g;
	int64_t diff;
	uint64_t base;

	guest_open(&g);
	GUEST_LONG(&g, code_wrmsr);
	WANT(set_clock(&g, SYSTEM_TIME, CLOCK_PAGE | ENABLE));
	base = tsc_base(&g);
	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec += 1000;
	WANT_ERRNO(clock_settime(CLOCK_REALTIME, &now), 0);
	WANT(set_clock(&g, WALL_CLOCK, CLOCK_PAGE + PAGE / 2));
	memcpy(&w, g.ram + CLOCK_PAGE + PAGE / 2, sizeof(w));
	diff = boot_ns() + ahead(&g, base);
	clock_gettime(CLOCK_REALTIME, &now);
	diff += (w.sec - now.tv_sec) * 1000000000LL + w.nsec - now.tv_nsec;
	now.tv_sec -= 1000;
	WANT_ERRNO(clock_settime(CLOCK_REALTIME, &now), 0);
	WANT(diff > -1000000 && diff < 1000000);
}

struct steal {
	uint64_t	ns;
	uint32_t	version;
	uint32_t	flags;
	uint8_t		preempted;
	uint8_t		pad[47];
};
_Static_assert(sizeof(struct steal) == 64, "of the KVM ABI");

static void
test_steal_edges(void)
{
	struct guest g;
	int bit;

	guest_open(&g);
	GUEST_LONG(&g, code_wrmsr);
	memset(g.ram + CLOCK_PAGE, 0xff, PAGE);
	for (bit = 1; bit < 6; bit++)
		WANT(!set_clock(&g, STEAL_TIME,
		    CLOCK_PAGE | 1 << bit | ENABLE));
	WANT(set_clock(&g, STEAL_TIME, CLOCK_PAGE));
	WANT_EQ(g.ram[CLOCK_PAGE], 0xff);
	WANT(set_clock(&g, STEAL_TIME, CLOCK_PAGE | ENABLE));
	WANT_EQ(g.ram[CLOCK_PAGE + sizeof(struct steal) - 1], 0);
	WANT_EQ(g.ram[CLOCK_PAGE + sizeof(struct steal)], 0xff);
	WANT(!set_clock(&g, STEAL_TIME, GUEST_SIZE | ENABLE));
	WANT(!set_clock(&g, STEAL_TIME, 0xffffffffffffffc0ULL | ENABLE));
	/* Refused, it is as before. */
	memset(g.ram + CLOCK_PAGE, 0xff, PAGE);
	WANT(set_clock(&g, WALL_CLOCK, CLOCK_PAGE + PAGE / 2));
	compete();
	signal_after(100000);
	guest_run(&g, VMM_EXIT_NONE);
	WANT(g.ram[CLOCK_PAGE] != 0xff);
	WANT(set_clock(&g, STEAL_TIME,
	    (GUEST_SIZE - sizeof(struct steal)) | ENABLE));
}

/* How long the kernel says that this thread waited for a processor. */
static uint64_t
run_delay(void)
{
	unsigned long long ran, waited;
	FILE *f;

	f = fopen("/proc/thread-self/schedstat", "re");
	if (f == NULL || fscanf(f, "%llu %llu", &ran, &waited) != 2)
		fail("schedstat: %s", strerror(errno));
	fclose(f);
	return (waited);
}

/* How much is added in a run of 400 ms: what the kernel says, to 50 ms. */
static uint64_t
stolen(struct guest *g, const volatile struct steal *s)
{
	uint64_t ns, waited;

	/* The guest is told of a wait when it runs again. */
	WANT(set_clock(g, WALL_CLOCK, CLOCK_PAGE + PAGE / 2));
	ns = s->ns;
	waited = run_delay();
	signal_after(400000);
	guest_run(g, VMM_EXIT_NONE);
	WANT(set_clock(g, WALL_CLOCK, CLOCK_PAGE + PAGE / 2));
	ns = s->ns - ns;
	waited = run_delay() - waited;
	WANT_EQ(s->version % 2, 0);
	WANT(ns < waited + 50000000 && waited < ns + 50000000);
	return (ns);
}

static atomic_bool was_preempted, was_running, stop_looking;

static void *
look_thread(void *arg)
{
	const volatile struct steal *s = arg;

	while (!stop_looking) {
		if (s->preempted)
			was_preempted = true;
		else
			was_running = true;
	}
	return (NULL);
}

static void
test_steal(void)
{
	struct steal *s;
	struct guest g;
	pthread_t t;

	guest_open(&g);
	GUEST_LONG(&g, code_wrmsr);
	s = (struct steal *)(g.ram + CLOCK_PAGE);
	WANT(set_clock(&g, STEAL_TIME, CLOCK_PAGE | ENABLE));
	WANT(stolen(&g, s) < 200000000);
	WANT_ERRNO(pthread_create(&t, NULL, look_thread, s), 0);
	compete();
	WANT(stolen(&g, s) > 100000000);
	stop_looking = true;
	WANT_ERRNO(pthread_join(t, NULL), 0);
	WANT(was_preempted);
	WANT(was_running);
}

const struct test tests_clock[] = {
	{ "tsc",		test_tsc },
	{ "clock",		test_clock },
	{ "clock-edges",	test_clock_edges },
	{ "clock-steered",	test_clock_steered },
	{ "clock-off",		test_clock_off },
	{ "guest-stopped",	test_guest_stopped },
	{ "steal-edges",	test_steal_edges },
	{ "steal",		test_steal },
	{ "wall-clock",		test_wall_clock },
	{ "wall-clock-exact",	test_wall_clock_exact },
	{ NULL,			NULL }
};
