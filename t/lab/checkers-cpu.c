/* SPDX-License-Identifier: ISC */
/* Checkers of general registers, segment bases and the TSC. */
#include <asm/prctl.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "checkers.h"

#define HWCAP2_FSGSBASE	2

/* The clock and the TSC may disagree by so much, of what has passed. */
#define TSC_BOUND(ns)	((ns) / 100)

enum { GPR_COUNT = 14 };

/*
 * Loads all but RSP and RBP (which points at the arguments), spins by a
 * counter in memory, stores them; and RBP is looked at by the caller.
 */
void	hold_gprs(const uint64_t *, uint64_t *, uint32_t *);

__asm__(".text\n"
    "hold_gprs:\n"
    "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "push %rsi\n"
    "mov %rdx, %rbp\n"
    "mov %rdi, %rax\n"
    "mov 8(%rax), %rbx; mov 16(%rax), %rcx; mov 24(%rax), %rdx\n"
    "mov 32(%rax), %rsi; mov 40(%rax), %rdi; mov 48(%rax), %r8\n"
    "mov 56(%rax), %r9; mov 64(%rax), %r10; mov 72(%rax), %r11\n"
    "mov 80(%rax), %r12; mov 88(%rax), %r13; mov 96(%rax), %r14\n"
    "mov 104(%rax), %r15; mov (%rax), %rax\n"
    "1: decl (%rbp)\n"
    "jnz 1b\n"
    "xchg %rax, (%rsp)\n"
    "mov %rbx, 8(%rax); mov %rcx, 16(%rax); mov %rdx, 24(%rax)\n"
    "mov %rsi, 32(%rax); mov %rdi, 40(%rax); mov %r8, 48(%rax)\n"
    "mov %r9, 56(%rax); mov %r10, 64(%rax); mov %r11, 72(%rax)\n"
    "mov %r12, 80(%rax); mov %r13, 88(%rax); mov %r14, 96(%rax)\n"
    "mov %r15, 104(%rax)\n"
    "pop %rcx\n"
    "mov %rcx, (%rax)\n"
    "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "ret\n");

static void
run_gpr(struct check *c)
{
	uint64_t in[GPR_COUNT], out[GPR_COUNT];
	uint32_t spins;

	do {
		check_fill(c, in, sizeof(in));
		memset(out, 0, sizeof(out));
		spins = check_spins(c);
		hold_gprs(in, out, &spins);
		check_same(c, "gpr", out, in, sizeof(in));
	} while (check_more(c));
}

static uint64_t
read_gs(void)
{
	uint64_t val;

	__asm__ volatile("mov %%gs:0, %0" : "=r" (val));
	return (val);
}

static void
spin(uint32_t n)
{
	__asm__ volatile("1: dec %0; jnz 1b" : "+r" (n) : : "cc");
}

/* GS by the system call; the calls themselves swap it for the kernel's. */
static void
check_gs_call(struct check *c)
{
	uint64_t mark = check_random(c), base = 0;

	if (syscall(SYS_arch_prctl, ARCH_SET_GS, &mark) == -1)
		check_fail(c, "ARCH_SET_GS");
	spin(check_spins(c));
	sched_yield();
	if (read_gs() != mark)
		check_fail(c, "GS reads %#llx",
		    (unsigned long long)read_gs());
	if (syscall(SYS_arch_prctl, ARCH_GET_GS, &base) == -1 ||
	    base != (uintptr_t)&mark)
		check_fail(c, "GS base is %#llx, not %p",
		    (unsigned long long)base, (void *)&mark);
}

/* Both bases by the instructions; nothing here may use FS until it is back. */
static void
check_bases(struct check *c)
{
	uint64_t fs = check_random(c) >> 18, gs = check_random(c) >> 18;
	uint64_t own, got_fs, got_gs;
	uint32_t n = check_spins(c);

	__asm__ volatile("rdfsbase %0\n"
	    "wrfsbase %4\n"
	    "wrgsbase %5\n"
	    "1: dec %3\n"
	    "jnz 1b\n"
	    "rdfsbase %1\n"
	    "rdgsbase %2\n"
	    "wrfsbase %0\n"
	    : "=&r" (own), "=&r" (got_fs), "=&r" (got_gs), "+&r" (n)
	    : "r" (fs), "r" (gs) : "cc");
	check_same(c, "FS base", &got_fs, &fs, sizeof(fs));
	check_same(c, "GS base", &got_gs, &gs, sizeof(gs));
}

static void
run_bases(struct check *c)
{
	uint64_t fs, now;

	if (syscall(SYS_arch_prctl, ARCH_GET_FS, &fs) == -1)
		check_fail(c, "ARCH_GET_FS");
	do {
		check_gs_call(c);
		if (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE)
			check_bases(c);
		if (syscall(SYS_arch_prctl, ARCH_GET_FS, &now) == -1 ||
		    now != fs)
			check_fail(c, "FS base is %#llx, not %#llx",
			    (unsigned long long)now, (unsigned long long)fs);
	} while (check_more(c));
}

static uint64_t
rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a" (lo), "=d" (hi) : : "memory");
	return ((uint64_t)hi << 32 | lo);
}

struct sample {
	uint64_t	tsc;
	uint64_t	ns;
};

/* The clock between two reads of the TSC, the closest of many. */
static struct sample
take_sample(void)
{
	struct sample s = { 0, 0 };
	uint64_t best = UINT64_MAX, before, after, ns;
	int i;

	for (i = 0; i < 64; i++) {
		before = rdtsc();
		ns = check_now();
		after = rdtsc();
		if (after - before < best) {
			best = after - before;
			s.tsc = before + best / 2;
			s.ns = ns;
		}
	}
	return (s);
}

/* The rate seen in the first half second is that of every longer time. */
static void
check_rate(const struct check *c, struct sample start, struct sample first,
    struct sample now)
{
	uint64_t ns = now.ns - start.ns;
	double rate = (double)(first.ns - start.ns) / (first.tsc - start.tsc);
	uint64_t by_tsc = (now.tsc - start.tsc) * rate;
	uint64_t off = by_tsc > ns ? by_tsc - ns : ns - by_tsc;

	if (off > TSC_BOUND(ns))
		check_fail(c, "the TSC says %llu us, the clock %llu us",
		    (unsigned long long)by_tsc / 1000,
		    (unsigned long long)ns / 1000);
}

static void
run_tsc(struct check *c)
{
	struct sample start = take_sample(), first = start, now;
	uint64_t tsc, ns, last_tsc = 0, last_ns = 0;
	int i;

	do {
		for (i = 0; i < 1000; i++) {
			tsc = rdtsc();
			ns = check_now();
			if (tsc < last_tsc)
				check_fail(c, "the TSC goes back by %llu",
				    (unsigned long long)(last_tsc - tsc));
			if (ns < last_ns)
				check_fail(c, "the clock goes back by %llu ns",
				    (unsigned long long)(last_ns - ns));
			last_tsc = tsc;
			last_ns = ns;
		}
		now = take_sample();
		if (first.ns - start.ns < 500000000)
			first = now;
		else
			check_rate(c, start, first, now);
	} while (check_more(c));
}

const struct checker checkers_cpu[] = {
	{ "gpr",	run_gpr },
	{ "bases",	run_bases },
	{ "tsc",	run_tsc },
	{ NULL,		NULL }
};
