/* SPDX-License-Identifier: ISC */
/*
 * pester PID SECONDS: every millisecond moves each vCPU's thread of a daemon
 * to another host CPU, and kicks it with its signal.
 *
 * Threads are known by their names, "vm NAME"; prints how often it did so.
 */
#include <sys/syscall.h>

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS	64
#define PERIOD_NS	1000000L
#define RESCAN		100		/* periods */
#define KICK		SIGUSR1

static bool
is_vcpu(pid_t pid, const char *tid)
{
	char path[64], name[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%.16s/comm", pid, tid);
	f = fopen(path, "re");
	if (f == NULL)
		return (false);
	if (fgets(name, sizeof(name), f) == NULL)
		name[0] = '\0';
	fclose(f);
	return (strncmp(name, "vm ", 3) == 0);
}

/* The vCPUs' threads now; none if the process is gone. */
static size_t
find_threads(pid_t pid, pid_t *tids)
{
	const struct dirent *entry;
	char path[32];
	size_t n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (dir == NULL)
		return (0);
	while (n < MAX_THREADS && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' && is_vcpu(pid, entry->d_name))
			tids[n++] = atoi(entry->d_name);
	closedir(dir);
	return (n);
}

/* A thread that has just ended is no error. */
static bool
move_and_kick(pid_t pid, pid_t tid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(tid, sizeof(set), &set) == -1 ||
	    syscall(SYS_tgkill, pid, tid, KICK) == -1) {
		if (errno != ESRCH)
			err(1, "thread %d", tid);
		return (false);
	}
	return (true);
}

int
main(int argc, char **argv)
{
	const struct timespec period = { .tv_nsec = PERIOD_NS };
	const int cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned long turn, kicks = 0;
	pid_t pid, tids[MAX_THREADS];
	size_t i, n = 0;
	time_t end;

	if (argc != 3)
		errx(1, "usage: pester PID SECONDS");
	pid = atoi(argv[1]);
	end = time(NULL) + atoi(argv[2]);
	for (turn = 0; time(NULL) < end; turn++) {
		if (turn % RESCAN == 0)
			n = find_threads(pid, tids);
		for (i = 0; i < n; i++)
			kicks += move_and_kick(pid, tids[i],
			    (turn + i) % cpus);
		nanosleep(&period, NULL);
	}
	printf("pester: %lu kicks\n", kicks);
	return (kicks == 0);
}
