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
#include <string.h>
#include <unistd.h>

unsigned
thread_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_CONF);

	return n < 1 ? 1 : (unsigned)n;
}

int
thread_id(void)
{
	return gettid();
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

/* Reads a short file of the kernel's, whole. */
static int
read_file(int id, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int error = 0, fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", id, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return -errno;
	n = read(fd, text, size - 1);
	if (n < 0)
		error = -errno;
	text[n < 0 ? 0 : n] = '\0';
	close(fd);
	return error;
}

int
thread_look(int id, struct thread_look *look)
{
	char text[512];
	const char *p;
	int error;

	memset(look, 0, sizeof(*look));
	/* Time on a CPU, then time in a queue for one. */
	error = read_file(id, "schedstat", text, sizeof(text));
	if (error != 0)
		return error;
	if (sscanf(text, "%*u %" SCNu64, &look->waited_ns) != 1)
		return -EINVAL;
	/* Behind the name, in which anything may stand: the state. */
	error = read_file(id, "stat", text, sizeof(text));
	if (error != 0)
		return error;
	p = strrchr(text, ')');
	look->sleeps = p != NULL && p[1] == ' ' && p[2] == 'S';
	return 0;
}
