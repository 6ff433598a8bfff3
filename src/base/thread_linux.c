/* SPDX-License-Identifier: ISC */
/*
 * Threads and the scheduler, Linux: see thread.h.
 */
#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

unsigned
thread_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_CONF);

	return n < 1 ? 1 : (unsigned)n;
}

int
thread_pin(pthread_t thread, bool (*allows)(const void *, unsigned),
    const void *cookie)
{
	unsigned cpu, ncpus = thread_cpus();
	size_t size = CPU_ALLOC_SIZE(ncpus);
	cpu_set_t *set = CPU_ALLOC(ncpus);
	int error = 0;

	if (set == NULL)
		return -ENOMEM;
	CPU_ZERO_S(size, set);
	for (cpu = 0; allows != NULL && cpu < ncpus; cpu++)
		if (allows(cookie, cpu))
			CPU_SET_S(cpu, size, set);
	if (allows == NULL && sched_getaffinity(0, size, set) == -1)
		error = -errno;
	if (error == 0)
		error = -pthread_setaffinity_np(thread, size, set);
	CPU_FREE(set);
	return error;
}

int
thread_account(void)
{
	int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);

	return fd == -1 ? -errno : fd;
}

int
thread_waited(int account, uint64_t *ns)
{
	char text[128];
	ssize_t n;

	*ns = 0;
	n = pread(account, text, sizeof(text) - 1, 0);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	/* Time on a CPU, then time in a queue for one. */
	return sscanf(text, "%*u %" SCNu64, ns) == 1 ? 0 : -EINVAL;
}

/*
 * The C library has registered an area for the thread, and does so for each
 * whose creator has one.  Without, it asks the kernel for the CPU's number.  If
 * this fails nothing is lost.
 */
void
thread_forgo_rseq(void)
{
	char *area = (char *)__builtin_thread_pointer() + __rseq_offset;
	size_t size = __rseq_size;

	if (size == 0)
		return;
	/* What is registered is never smaller, however little is in use. */
	if (size < sizeof(struct rseq))
		size = sizeof(struct rseq);
	(void)syscall(SYS_rseq, area, size, RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
}
