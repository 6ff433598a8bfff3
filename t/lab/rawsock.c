/* SPDX-License-Identifier: ISC */
/*
 * A client of a UNIX socket without manners.
 *
 * usage: rawsock [-d SECONDS] [-n COUNT] SOCKET
 *
 * Sends standard input as it is, closes this direction, and prints what comes
 * until the peer closes the other.
 *
 * -d SECONDS	reads nothing for so long
 * -n COUNT	only opens so many connections, each waiting for the first
 *		bytes of its greeting, prints how many got "vmmd", and holds
 *		them until standard input ends
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
open_socket(const char *path)
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
	return fd;
}

static void
wait_for_eof(void)
{
	char c;

	while (read(STDIN_FILENO, &c, 1) > 0)
		;
}

static void
hold(const char *path, int count)
{
	char word[4];
	int fd, greeted = 0;

	while (count-- > 0) {
		fd = open_socket(path);
		if (recv(fd, word, sizeof(word), MSG_WAITALL) == 4 &&
		    memcmp(word, "vmmd", sizeof(word)) == 0)
			greeted++;
	}
	printf("%d\n", greeted);
	fflush(stdout);
	wait_for_eof();
}

/* A peer that has heard enough closes early: no error. */
static void
send_input(int fd)
{
	char buf[4096];
	ssize_t n, k, at;

	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0)
		for (at = 0; at < n; at += k) {
			k = send(fd, buf + at, (size_t)(n - at), 0);
			if (k == -1)
				return;
		}
	shutdown(fd, SHUT_WR);
}

static void
print_replies(int fd)
{
	char buf[4096];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0) {
		fwrite(buf, 1, (size_t)n, stdout);
		fflush(stdout);
	}
	if (n == -1 && errno != ECONNRESET)
		err(1, "recv");
}

int
main(int argc, char *argv[])
{
	unsigned delay = 0;
	int ch, count = 0, fd;

	while ((ch = getopt(argc, argv, "d:n:")) != -1) {
		if (ch == 'd')
			delay = (unsigned)atoi(optarg);
		else if (ch == 'n')
			count = atoi(optarg);
		else
			return 2;
	}
	if (optind + 1 != argc)
		errx(2, "usage: rawsock [-d SECONDS] [-n COUNT] SOCKET");
	signal(SIGPIPE, SIG_IGN);
	if (count > 0) {
		hold(argv[optind], count);
		return 0;
	}
	fd = open_socket(argv[optind]);
	send_input(fd);
	sleep(delay);
	print_replies(fd);
	return 0;
}
