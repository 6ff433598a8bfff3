/* SPDX-License-Identifier: ISC */
/*
 * Checker of the debug registers: a child writes to variables in an order
 * that is known, its tracer watches four of them.  Each write to one of these
 * must stop it, with the right bit in DR6, and nothing else may.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "checkers.h"

#define WATCHED		4
#define VARS		8	/* 0-3 watched, 4-7 their neighbours */
#define DR6_HITS	0xf
#define STOP_SECONDS	30	/* more than any breakpoint may take */

/* Enabled for this process, on writes, 4 bytes each. */
#define DR7_WRITES	0xdddd0055UL

struct shared {
	volatile uint32_t	var[VARS];
};

static long
debug_register(int n)
{
	return (offsetof(struct user, u_debugreg) + n * sizeof(long));
}

static void
poke(const struct check *c, pid_t pid, int n, unsigned long val)
{
	if (ptrace(PTRACE_POKEUSER, pid, debug_register(n), val) == -1)
		check_fail(c, "DR%d = %#lx: %s", n, val, strerror(errno));
}

static unsigned long
peek(const struct check *c, pid_t pid, int n)
{
	long val;

	errno = 0;
	val = ptrace(PTRACE_PEEKUSER, pid, debug_register(n), 0);
	if (errno != 0)
		check_fail(c, "reading DR%d: %s", n, strerror(errno));
	return (val);
}

/* Writes one after another, neighbours too, for ever. */
static _Noreturn void
write_all(struct check *c, struct shared *s)
{
	unsigned i;
	uint32_t n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ptrace(PTRACE_TRACEME, 0, 0, 0) == -1)
		_exit(1);
	raise(SIGSTOP);
	for (;;)
		for (i = 0; i < WATCHED; i++) {
			n = check_spins(c);
			__asm__ volatile("1: dec %0; jnz 1b" : "+r" (n) : :
			    "cc");
			s->var[WATCHED + i]++;
			s->var[i]++;
		}
}

/* Which register watches a variable: another one each time. */
static unsigned
register_of(unsigned var, unsigned turn)
{
	return ((var + turn) % WATCHED);
}

static void
set_watch(const struct check *c, pid_t pid, struct shared *s, unsigned turn)
{
	unsigned i;

	poke(c, pid, 7, 0);
	for (i = 0; i < WATCHED; i++)
		poke(c, pid, register_of(i, turn), (uintptr_t)&s->var[i]);
	poke(c, pid, 7, DR7_WRITES);
}

static void
wait_stop(const struct check *c, pid_t pid, int sig)
{
	int status;

	alarm(STOP_SECONDS);
	if (waitpid(pid, &status, 0) == -1)
		check_fail(c, "no stop in %d s", STOP_SECONDS);
	if (!WIFSTOPPED(status))
		check_fail(c, "the traced process is gone");
	if (WSTOPSIG(status) != sig)
		check_fail(c, "it stops by %s", strsignal(WSTOPSIG(status)));
}

/* All variables that come before the one just written are one ahead. */
static void
check_stop(const struct check *c, pid_t pid, const struct shared *s,
    unsigned var, unsigned turn, uint32_t count)
{
	unsigned i, reg = register_of(var, turn);
	unsigned long dr6 = peek(c, pid, 6);

	for (i = 0; i < WATCHED; i++)
		if (s->var[i] != count + (i <= var))
			check_fail(c, "stopped at %u, but variable %u is %u, "
			    "not %u", var, i, s->var[i], count + (i <= var));
	if ((dr6 & DR6_HITS) != 1UL << reg)
		check_fail(c, "DR6 is %#lx for DR%u", dr6, reg);
	for (i = 0; i < WATCHED; i++)
		if (peek(c, pid, register_of(i, turn)) !=
		    (uintptr_t)&s->var[i])
			check_fail(c, "DR%u reads %#lx", register_of(i, turn),
			    peek(c, pid, register_of(i, turn)));
	if (peek(c, pid, 7) != DR7_WRITES)
		check_fail(c, "DR7 reads %#lx", peek(c, pid, 7));
}

static void
on_alarm(int sig)
{
	(void)sig;
}

static void
run_debug(struct check *c)
{
	const struct sigaction alarmed = { .sa_handler = on_alarm };
	struct shared *s;
	unsigned var;
	uint32_t count = 0;
	pid_t pid;

	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED || (pid = fork()) == -1)
		check_fail(c, "%s", strerror(errno));
	if (pid == 0)
		write_all(c, s);
	sigaction(SIGALRM, &alarmed, NULL);
	wait_stop(c, pid, SIGSTOP);
	do {
		set_watch(c, pid, s, count);
		for (var = 0; var < WATCHED; var++) {
			if (ptrace(PTRACE_CONT, pid, 0, 0) == -1)
				check_fail(c, "PTRACE_CONT: %s",
				    strerror(errno));
			wait_stop(c, pid, SIGTRAP);
			check_stop(c, pid, s, var, count, count);
			poke(c, pid, 6, 0);
		}
		count++;
	} while (check_more(c));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

const struct checker checkers_debug[] = {
	{ "debug",	run_debug },
	{ NULL,		NULL }
};
