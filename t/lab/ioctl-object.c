/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: descriptors, mappings, processes, threads. */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ioctl-test.h"

#define PAGE	4096

GUEST_BLOB16(code_sleep, "sti; hlt; jmp code_sleep");
GUEST_BLOB16(code_spin, "jmp code_spin");
GUEST_BLOB16(code_out, "mov $0x100, %dx; mov %bl, %al; out %al, %dx; hlt");

static int
try_mmap(int fd, size_t len, int flags, off_t off)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, off);

	if (p == MAP_FAILED)
		return (-1);
	munmap(p, len);
	return (0);
}

static void
test_mmap(void)
{
	struct guest g;

	guest_open(&g);
	GUEST_REAL(&g, code_out);
	WANT_ERRNO(try_mmap(g.vcpu, PAGE, MAP_SHARED, 0), 0);
	WANT_ERRNO(try_mmap(g.vcpu, PAGE + 1, MAP_SHARED, 0), EINVAL);
	WANT_ERRNO(try_mmap(g.vcpu, 2 * PAGE, MAP_SHARED, 0), EINVAL);
	WANT_ERRNO(try_mmap(g.vcpu, PAGE, MAP_SHARED, PAGE), EINVAL);
	WANT_ERRNO(try_mmap(g.vcpu, PAGE, MAP_PRIVATE, 0), EINVAL);
	WANT_ERRNO(try_mmap(g.vm, PAGE, MAP_SHARED, 0), ENODEV);
	WANT_ERRNO(try_mmap(g.dev, PAGE, MAP_SHARED, 0), ENODEV);
	WANT(mremap(g.run, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
}

/* The run page outlives every descriptor, and is one's own. */
static void
test_mmap_closed(void)
{
	struct guest g;

	guest_open(&g);
	GUEST_REAL(&g, code_out);
	guest_out(&g, 0x100);
	close(g.vcpu);
	close(g.vm);
	close(g.dev);
	WANT_EQ(counter("vcpus"), 1);
	WANT_EQ(g.run->reason, VMM_EXIT_IO);
	g.run->reason = 0;
	munmap(g.run, PAGE);
	WANT_EQ(counter("vcpus"), 0);
	WANT_EQ(counter("vms"), 0);
}

enum { CLOSE_DEV, CLOSE_VM, CLOSE_VCPU, CLOSE_RUN, CLOSE_ALL };

static void
close_one(struct guest *g, unsigned what)
{
	switch (what) {
	case CLOSE_DEV:
		close(g->dev);
		break;
	case CLOSE_VM:
		close(g->vm);
		break;
	case CLOSE_VCPU:
		close(g->vcpu);
		break;
	default:
		munmap(g->run, PAGE);
	}
}

/* All 24 orders of what keeps a guest alive. */
static void
test_close_orders(void)
{
	unsigned code, i, left, order[CLOSE_ALL], seen = 0;
	struct guest g;

	for (code = 0; code < 256; code++) {
		for (i = left = 0; i < CLOSE_ALL; i++) {
			order[i] = code >> (2 * i) & 3;
			left |= 1U << order[i];
		}
		if (left != 15)
			continue;
		seen++;
		guest_open(&g);
		GUEST_REAL(&g, code_out);
		guest_out(&g, 0x100);
		WANT(counter("npt_pages") > 0 && counter("pinned_pages") > 0);
		for (i = 0; i < CLOSE_ALL; i++)
			close_one(&g, order[i]);
		munmap(g.ram, GUEST_SIZE);
		WANT_EQ(counter("vms"), 0);
		WANT_EQ(counter("vcpus"), 0);
		WANT_EQ(counter("npt_pages"), 0);
		WANT_EQ(counter("pinned_pages"), 0);
	}
	WANT_EQ(seen, 24);
}

/* More guests at once than the lab's CPU has address space identifiers. */
static void
test_many(void)
{
	struct guest g[40];
	struct vmm_state s;
	unsigned i;

	for (i = 0; i < 40; i++) {
		guest_open(&g[i]);
		GUEST_REAL(&g[i], code_out);
		guest_get(&g[i], &s);
		s.regs.gpr[VMM_RBX] = i;
		guest_set(&g[i], &s);
		WANT_EQ(guest_out(&g[i], 0x100), i);
	}
	WANT_EQ(counter("vcpus"), 40);
	for (i = 0; i < 40; i++)
		guest_run(&g[i], VMM_EXIT_HLT);
}

static void
test_other_process(void)
{
	struct vmm_memory m = { .size = PAGE };
	struct vmm_state s;
	struct guest g;
	int status;
	pid_t pid;

	guest_open(&g);
	GUEST_REAL(&g, code_out);
	pid = fork();
	if (pid == 0) {
		WANT_ERRNO(ioctl(g.vm, VMM_SET_MEMORY, &m), EIO);
		WANT_ERRNO(ioctl(g.vm, VMM_CREATE_VCPU, 0), EIO);
		WANT_ERRNO(ioctl(g.vcpu, VMM_RUN, 0), EIO);
		WANT_ERRNO(ioctl(g.vcpu, VMM_GET_STATE, &s), EIO);
		WANT_ERRNO(ioctl(g.vcpu, VMM_SET_STATE, &s), EIO);
		WANT_ERRNO(ioctl(g.vm, VMM_DOORBELL, &s), EIO);
		WANT_ERRNO(ioctl(g.vcpu, VMM_IRQ_EVENT, &s), EIO);
		WANT_ERRNO(ioctl(g.vm, VMM_MSI, &s), EIO);
		WANT_ERRNO(ioctl(g.vm, VMM_MSI_EVENT, &s), EIO);
		WANT_ERRNO(ioctl(g.vcpu, VMM_APIC_ACCESS, &s), EIO);
		WANT_ERRNO(ioctl(g.vcpu, VMM_GET_APIC, &s), EIO);
		WANT_ERRNO(ioctl(g.vcpu, VMM_SET_APIC, &s), EIO);
		_exit(0);
	}
	WANT(pid != -1 && waitpid(pid, &status, 0) == pid);
	if (status != 0)
		_exit(1);
	guest_out(&g, 0x100);
}

/* A child that keeps the descriptors keeps the guest, but not its memory. */
static void
test_orphan(void)
{
	int go[2], status;
	struct guest g;
	pid_t owner;
	char c = 0;

	WANT(pipe(go) == 0);
	owner = fork();
	if (owner == 0) {
		guest_open(&g);
		GUEST_REAL(&g, code_out);
		guest_out(&g, 0x100);
		if (fork() == 0) {
			close(go[1]);
			_exit(read(go[0], &c, 1) == 0 ? 0 : 1);
		}
		_exit(0);
	}
	WANT(owner != -1 && waitpid(owner, &status, 0) == owner);
	WANT_EQ(status, 0);
	WANT_EQ(counter("vms"), 1);
	WANT_EQ(counter("vcpus"), 1);
	WANT_EQ(counter("pinned_pages"), 0);
	WANT_EQ(counter("npt_pages"), 0);
	close(go[1]);
	while (counter("vms") != 0)
		usleep(1000);
}

/* Signals make some calls of the kernel's give up; nobody sees it. */
static void
test_create_signals(void)
{
	struct guest g;
	unsigned i;

	for (i = 0; i < 300; i++) {
		signal_after(1 + i % 50 * 20);
		vmm_create(&g);
		close(g.vm);
		close(g.dev);
	}
}

static void
on_signal(int sig)
{
	(void)sig;
}

/* Runs the guest until it is told to leave; wait_busy() may be looking. */
static void *
run_thread(void *arg)
{
	const struct guest *g = arg;
	const volatile struct vmm_run *run = g->run;

	while (ioctl(g->vcpu, VMM_RUN, 0) == -1) {
		if (errno == EBADF)	/* closed, then preempted */
			return (NULL);
		if (errno != EBUSY)
			fail("VMM_RUN: %s", strerror(errno));
	}
	WANT_EQ(run->reason, VMM_EXIT_NONE);
	return (NULL);
}

/* Waits until the thread is in the guest, or in its HLT. */
static void
wait_busy(struct guest *g)
{
	struct vmm_state s;

	while (ioctl(g->vcpu, VMM_GET_STATE, &s) == 0)
		usleep(1000);
	WANT_EQ(errno, EBUSY);
}

static void
two_threads(const uint8_t *code, const uint8_t *end)
{
	struct vmm_state s;
	struct guest g;
	pthread_t t;

	signal(SIGUSR1, on_signal);
	guest_open(&g);
	guest_real(&g, code, end);
	guest_get(&g, &s);
	WANT(pthread_create(&t, NULL, run_thread, &g) == 0);
	wait_busy(&g);
	WANT_ERRNO(ioctl(g.vcpu, VMM_RUN, 0), EBUSY);
	WANT_ERRNO(ioctl(g.vcpu, VMM_SET_STATE, &s), EBUSY);
	WANT_ERRNO(ioctl(g.vcpu, VMM_GET_STATE, &s), EBUSY);
	g.run->immediate_exit = 1;
	pthread_kill(t, SIGUSR1);
	WANT(pthread_join(t, NULL) == 0);
	guest_get(&g, &s);
}

static void
test_two_threads(void)
{
	two_threads(code_sleep, code_sleep_end);
	two_threads(code_spin, code_spin_end);
}

/* The last descriptor closed under a thread that is in the guest. */
static void
test_close_running(void)
{
	struct guest g;
	pthread_t t;

	signal(SIGUSR1, on_signal);
	guest_open(&g);
	GUEST_REAL(&g, code_spin);
	WANT(pthread_create(&t, NULL, run_thread, &g) == 0);
	wait_busy(&g);
	close(g.vcpu);
	close(g.vm);
	close(g.dev);
	g.run->immediate_exit = 1;
	pthread_kill(t, SIGUSR1);
	WANT(pthread_join(t, NULL) == 0);
	munmap(g.run, PAGE);
	WANT_EQ(counter("vms"), 0);
}

/* Killed while it runs: the parent of all tests looks at the counters. */
static void
test_killed(void)
{
	struct guest g;
	int status;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		guest_open(&g);
		GUEST_REAL(&g, code_spin);
		for (;;)
			guest_run(&g, VMM_EXIT_NONE);
	}
	while (counter("pinned_pages") == 0)
		usleep(1000);
	kill(pid, SIGKILL);
	WANT(waitpid(pid, &status, 0) == pid);
	WANT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

const struct test tests_object[] = {
	{ "mmap",		test_mmap },
	{ "mmap-closed",	test_mmap_closed },
	{ "close-orders",	test_close_orders },
	{ "many-guests",	test_many },
	{ "other-process",	test_other_process },
	{ "orphan",		test_orphan },
	{ "create-signals",	test_create_signals },
	{ "two-threads",	test_two_threads },
	{ "close-running",	test_close_running },
	{ "killed",		test_killed },
	{ NULL,			NULL }
};
