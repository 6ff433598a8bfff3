/* SPDX-License-Identifier: ISC */
/*
 * Reads a guest's console, where t/lab/guest-clock says the time: when the
 * first byte of such a line comes, the host's clock is read.  Appends to FILE
 * by how many nanoseconds that is later than the guest's, a line each: the
 * clocks' difference, and how long the line took to come.  Everything else goes
 * to standard output.
 *
 * usage: clock-pairs FILE <CONSOLE
 */
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S	INT64_C(1000000000)

/* A line that has begun, and when it did. */
struct line {
	char	text[256];
	size_t	len;
	int64_t	began;
};

static int64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void
end_line(int file, struct line *l)
{
	char *end;
	int64_t then;

	l->text[l->len] = '\0';
	then = strtoll(l->text + 1, &end, 10);
	if (l->text[0] == '@' && end[0] == '\n')
		dprintf(file, "%" PRId64 "\n", l->began - then);
	else if (write(STDOUT_FILENO, l->text, l->len) == -1)
		err(1, "standard output");
	l->len = 0;
}

static void
take(int file, struct line *l, char c, int64_t when)
{
	if (c == '\r')
		return;
	if (l->len == 0)
		l->began = when;
	l->text[l->len++] = c;
	if (c == '\n' || l->len == sizeof(l->text) - 1)
		end_line(file, l);
}

int
main(int argc, char *argv[])
{
	struct line l = { .len = 0 };
	char buf[4096];
	int64_t when;
	ssize_t n, i;
	int file;

	if (argc != 2)
		errx(2, "usage: clock-pairs FILE <CONSOLE");
	file = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (file == -1)
		err(1, "%s", argv[1]);
	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0) {
		when = now();
		for (i = 0; i < n; i++)
			take(file, &l, buf[i], when);
	}
	return n == 0 ? 0 : 1;
}
