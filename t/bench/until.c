/* SPDX-License-Identifier: ISC */
/*
 * How long a command takes until it prints something.
 *
 * usage: until STRING COMMAND...
 *
 * Prints "busy N idle N", in ms: the time the host's processor worked, and the
 * time it idled, from before the command is started until STRING appears in
 * its output.  In the lab's --icount mode a busy ns is one instruction.  The
 * command is then ended by SIGTERM.
 *
 * Waiting for a disk is idle time, too, which /proc/uptime leaves out: in that
 * mode a second passes while the emulator's own disk turns a millisecond.
 */
#include <sys/wait.h>

#include <err.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct sample {
	double	elapsed;	/* ms */
	double	idle;		/* ms */
};

/* ns that all processors have idled. */
static double
idle_time(void)
{
	double sum = 0, ns;
	char line[256];
	FILE *f;
	int n = 0;

	f = fopen("/proc/timer_list", "r");
	if (f == NULL)
		err(1, "/proc/timer_list");
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, " .idle_sleeptime : %lf", &ns) == 1 ||
		    sscanf(line, " .iowait_sleeptime: %lf", &ns) == 1) {
			sum += ns;
			n++;
		}
	fclose(f);
	if (n == 0)
		errx(1, "/proc/timer_list: no idle times");
	return (sum);
}

static struct sample
sample(void)
{
	struct timespec ts;
	struct sample s;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	s.elapsed = ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
	s.idle = idle_time() / 1e6 / sysconf(_SC_NPROCESSORS_ONLN);
	return (s);
}

/* Reads until `what` was seen; false if the output ends before. */
static bool
wait_for(int fd, const char *what)
{
	size_t len = strlen(what), have = 0;
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf + have, sizeof(buf) - have)) > 0) {
		have += (size_t)n;
		if (memmem(buf, have, what, len) != NULL)
			return (true);
		/* Keep what may be the beginning of it. */
		if (have >= len) {
			memmove(buf, buf + have - (len - 1), len - 1);
			have = len - 1;
		}
	}
	return (false);
}

static pid_t
spawn(char **argv, int *out)
{
	int fd[2];
	pid_t pid;

	if (pipe(fd) == -1)
		err(1, "pipe");
	pid = fork();
	if (pid == -1)
		err(1, "fork");
	if (pid == 0) {
		dup2(fd[1], STDOUT_FILENO);
		close(fd[0]);
		close(fd[1]);
		execvp(argv[0], argv);
		err(127, "%s", argv[0]);
	}
	close(fd[1]);
	*out = fd[0];
	return (pid);
}

int
main(int argc, char **argv)
{
	struct sample begin, end;
	bool seen;
	pid_t pid;
	int fd;

	if (argc < 3)
		errx(2, "usage: until STRING COMMAND...");
	begin = sample();
	pid = spawn(argv + 2, &fd);
	seen = wait_for(fd, argv[1]);
	end = sample();
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	if (!seen)
		errx(1, "%s ended without saying '%s'", argv[2], argv[1]);
	end.idle -= begin.idle;
	printf("busy %.1f idle %.1f\n", end.elapsed - begin.elapsed - end.idle,
	    end.idle);
	return (0);
}
