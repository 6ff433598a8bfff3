/* SPDX-License-Identifier: ISC */
/*
 * What the work that a guest is told to do costs its host.
 *
 * usage: meter IN OUT GUEST [LINE]...
 *
 * IN and OUT are the guest's console.  Once it says "bench ready", each
 * line is written to it, until it says "bench done"; but one that begins with
 * "!" is a command that is run in between.  Prints for each of the others
 * "BUSY GUEST LINE": the ns that the host's processor worked meanwhile, which
 * in the lab's --icount mode are instructions, and by how much the number has
 * grown that the command GUEST prints.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ns that the processor, the lab has one, did not idle. */
static double
busy(void)
{
	double idle = 0, ns;
	struct timespec ts;
	char line[256];
	FILE *f;

	f = fopen("/proc/timer_list", "r");
	if (f == NULL)
		err(1, "/proc/timer_list");
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, " .idle_sleeptime : %lf", &ns) == 1 ||
		    sscanf(line, " .iowait_sleeptime: %lf", &ns) == 1)
			idle += ns;
	fclose(f);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (ts.tv_sec * 1e9 + ts.tv_nsec - idle);
}

/* What a command prints, a number. */
static double
ask(const char *command)
{
	double value;
	FILE *f;

	f = popen(command, "r");
	if (f == NULL || fscanf(f, "%lf", &value) != 1)
		errx(1, "no number from '%s'", command);
	pclose(f);
	return (value);
}

/* A console says little, and ends when something went wrong: all is shown. */
static void
wait_for(FILE *out, const char *what)
{
	static char said[65536];
	size_t len = 0;

	while (len < sizeof(said) - 1 &&
	    fgets(said + len, (int)(sizeof(said) - len), out) != NULL) {
		if (strstr(said + len, what) != NULL)
			return;
		len += strlen(said + len);
	}
	errx(1, "the guest does not say '%s', but: %s", what, said);
}

static void
meter(int in, FILE *out, const char *guest, const char *line)
{
	double before, after, guest_before, guest_after;

	guest_before = ask(guest);
	before = busy();
	if (dprintf(in, "%s\n", line) < 0)
		err(1, "%s", line);
	wait_for(out, "bench done");
	after = busy();
	guest_after = ask(guest);
	printf("%.0f %.0f %s\n", after - before, guest_after - guest_before,
	    line);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	FILE *out;
	int in, i;

	if (argc < 4)
		errx(2, "usage: meter IN OUT GUEST [LINE]...");
	in = open(argv[1], O_WRONLY);
	out = fopen(argv[2], "r");
	if (in == -1 || out == NULL)
		err(1, "%s", in == -1 ? argv[1] : argv[2]);
	wait_for(out, "bench ready");
	for (i = 4; i < argc; i++)
		if (argv[i][0] != '!')
			meter(in, out, argv[3], argv[i]);
		else if (system(argv[i] + 1) != 0)
			errx(1, "%s", argv[i]);
	return (0);
}
