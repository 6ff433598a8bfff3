/* SPDX-License-Identifier: ISC */
/*
 * vmm-ioctl: proves what vmm_uapi.h says of the driver, call by call, with
 * guests of a few instructions.  Needs the module loaded and root.
 *
 *	vmm-ioctl [NAME]...	only the tests whose names begin so
 */
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ioctl-test.h"

#define TEST_SECONDS	30

static const struct test *const groups[] = {
	tests_setup, tests_object, tests_state, tests_run, tests_memory,
	tests_discard, tests_dirty, tests_event, tests_input, tests_nmi,
	tests_doorbell, tests_irq, tests_debug, tests_cpu, tests_clock,
	tests_smp, tests_apic, tests_ipi, tests_halt, tests_eoi,
	tests_kick,
};

static const char *const counters[] = {
	"vms", "vcpus", "npt_pages", "pinned_pages",
};

/* In a test's process: the parent has written the first half of the line. */
_Noreturn void
fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	fflush(stdout);
	_exit(1);
}

void
want_errno(const char *call, int line, long ret, int error)
{
	int got = ret == -1 ? errno : 0;

	if (ret != -1 && ret != 0)
		fail("line %d: %s returns %ld, not %s", line, call, ret,
		    strerrorname_np(error));
	if (got != error)
		fail("line %d: %s: %s, not %s", line, call,
		    strerrorname_np(got), strerrorname_np(error));
}

long
counter(const char *name)
{
	char path[64];
	long value;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/misc/vmm/%s", name);
	f = fopen(path, "re");
	if (f == NULL || fscanf(f, "%ld", &value) != 1)
		fail("%s: %s", path, strerror(errno));
	fclose(f);
	return (value);
}

uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (ts.tv_sec * 1000000000ULL + ts.tv_nsec);
}

static void
on_alarm(int sig)
{
	(void)sig;
}

static void
signal_set(struct itimerval t)
{
	struct sigaction sa = { .sa_handler = on_alarm };

	if (sigaction(SIGALRM, &sa, NULL) == -1 ||
	    setitimer(ITIMER_REAL, &t, NULL) == -1)
		fail("setitimer: %s", strerror(errno));
}

void
signal_every(unsigned usec)
{
	signal_set((struct itimerval){
		.it_interval = { .tv_usec = usec },
		.it_value = { .tv_usec = usec },
	});
}

void
signal_after(unsigned usec)
{
	signal_set((struct itimerval){ .it_value = { .tv_usec = usec } });
}

void
compete(void)
{
	cpu_set_t set;
	pid_t pid;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	WANT_ERRNO(sched_setaffinity(0, sizeof(set), &set), 0);
	pid = fork();
	WANT(pid != -1);
	if (pid != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		continue;
}

static _Noreturn void
test_child(const struct test *t, int out)
{
	if (dup2(out, STDOUT_FILENO) == -1)
		_exit(1);
	t->run();
	fflush(stdout);
	_exit(0);
}

/*
 * What the child said, cut at the buffer's end, and how it ended: it does so
 * in time, or is killed.
 */
static int
test_reap(pid_t pid, int in, char *text, size_t len)
{
	const uint64_t end = now_ns() + TEST_SECONDS * 1000000000ULL;
	struct pollfd p = { .fd = in, .events = POLLIN };
	size_t n = 0;
	ssize_t got = 1;
	int status;

	while (n < len - 1 && got > 0 && now_ns() < end) {
		if (poll(&p, 1, 1000) < 1)
			continue;
		got = read(in, text + n, len - 1 - n);
		if (got > 0)
			n += got;
	}
	text[n] = '\0';
	if (got > 0)
		kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) == -1)
		return (-1);
	if (WIFSIGNALED(status) && n == 0)
		snprintf(text, len, "%s", strsignal(WTERMSIG(status)));
	return (status);
}

/* Pages that the host's kernel has pinned, for anybody, less those let go. */
static long
host_pins(void)
{
	long n = 0, value;
	char name[64];
	FILE *f;

	/* Each CPU has counted for itself; reading this sums them up. */
	f = fopen("/proc/sys/vm/stat_refresh", "re");
	if (f != NULL) {
		while (fgetc(f) != EOF)
			continue;
		fclose(f);
	}
	f = fopen("/proc/vmstat", "re");
	if (f == NULL)
		fail("/proc/vmstat: %s", strerror(errno));
	while (fscanf(f, "%63s %ld", name, &value) == 2) {
		if (strcmp(name, "nr_foll_pin_acquired") == 0)
			n += value;
		else if (strcmp(name, "nr_foll_pin_released") == 0)
			n -= value;
	}
	fclose(f);
	return (n);
}

/* Nothing of a test may outlive its process. */
static bool
test_left(char *text, size_t len)
{
	size_t i;
	long n;

	n = host_pins();
	if (n != 0) {
		snprintf(text, len, "%ld pages stay pinned", n);
		return (true);
	}
	for (i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		n = counter(counters[i]);
		if (n != 0) {
			snprintf(text, len, "%s is %ld afterwards",
			    counters[i], n);
			return (true);
		}
	}
	return (false);
}

static bool
test_run(const struct test *t)
{
	char text[512];
	int fd[2];
	bool good;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) == -1 || (pid = fork()) == -1) {
		printf("not ok %s: %s\n", t->name, strerror(errno));
		return (false);
	}
	if (pid == 0)
		test_child(t, fd[1]);
	close(fd[1]);
	good = test_reap(pid, fd[0], text, sizeof(text)) == 0;
	close(fd[0]);
	if (good && test_left(text, sizeof(text)))
		good = false;
	if (good)
		printf("ok %s\n", t->name);
	else
		printf("not ok %s: %s\n", t->name, text);
	fflush(stdout);
	return (good);
}

static bool
test_wanted(const struct test *t, char **names)
{
	if (*names == NULL)
		return (true);
	for (; *names != NULL; names++)
		if (strncmp(t->name, *names, strlen(*names)) == 0)
			return (true);
	return (false);
}

int
main(int argc, char **argv)
{
	unsigned ran = 0, failed = 0;
	const struct test *t;
	size_t i;

	(void)argc;
	setvbuf(stdout, NULL, _IOFBF, 0);
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		for (t = groups[i]; t->name != NULL; t++)
			if (test_wanted(t, argv + 1)) {
				ran++;
				failed += !test_run(t);
			}
	return (ran == 0 || failed != 0);
}
