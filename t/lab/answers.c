/* SPDX-License-Identifier: ISC */
/*
 * How long a guest's console takes to answer: types COUNT lines, each with a
 * number of its own, one after another, and waits for "=" and the line.
 *
 * usage: answers SOCKET GUEST COUNT
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "figures.h"

static int
open_console(const char *path, const char *guest)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path))
		errx(2, "%s: too long", path);
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1 ||
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == -1)
		err(1, "%s", path);
	dprintf(fd, "console %s\n", guest);
	return fd;
}

/* Reads until a line is the text. */
static void
await(FILE *console, const char *text)
{
	char line[256];

	while (fgets(line, sizeof(line), console) != NULL) {
		line[strcspn(line, "\r\n")] = '\0';
		if (strcmp(line, text) == 0)
			return;
	}
	errx(1, "the console ended before it said %s", text);
}

int
main(int argc, char *argv[])
{
	uint64_t *took, began;
	size_t count, i;
	FILE *console;
	char text[64];
	int fd;

	if (argc != 4 || (count = strtoul(argv[3], NULL, 10)) == 0)
		errx(2, "usage: answers SOCKET GUEST COUNT");
	took = calloc(count, sizeof(*took));
	fd = open_console(argv[1], argv[2]);
	console = fdopen(fd, "r");
	if (took == NULL || console == NULL)
		err(1, "memory");
	for (i = 0; i < count; i++) {
		began = figures_now();
		/* What an earlier run was told is in the scrollback. */
		snprintf(text, sizeof(text), "=%llu",
		    (unsigned long long)began);
		dprintf(fd, "%s\n", text + 1);
		await(console, text);
		took[i] = figures_now() - began;
	}
	figures_print(took, count);
	return 0;
}
