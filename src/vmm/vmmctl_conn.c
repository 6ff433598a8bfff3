/* SPDX-License-Identifier: ISC */
/*
 * The connection of vmmctl: see vmmctl_conn.h.  All calls block.
 */
#include "vmm/vmmctl_conn.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/proto.h"

static int
conn_connect(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, ret;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

/* What to do about a connection that failed. */
static const char *
conn_hint(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return "run as root or as vmmd's user";
	case ENAMETOOLONG:
		return "a socket's path has at most 107 bytes";
	default:
		return "is vmmd running, with this socket?";
	}
}

/* "vmmd 1 NAME VERSION", or an error in its place. */
static int
conn_check_greeting(struct conn *cn, const char *path)
{
	char want[32], *line;
	int n;

	line = conn_line(cn);
	if (line == NULL)
		return -EPROTO;
	n = snprintf(want, sizeof(want), "%s %d ", PROTO_NAME, PROTO_VERSION);
	if (strncmp(line, want, n) == 0)
		return 0;
	if (strncmp(line, "err ", 4) == 0)
		warnx("%s: %s", path, line + 4);
	else
		warnx("%s: no vmmd that speaks protocol %d", path,
		    PROTO_VERSION);
	return -EPROTO;
}

int
conn_open(struct conn *cn, const char *path)
{
	memset(cn, 0, sizeof(*cn));
	buf_init(&cn->in, PROTO_ROW_MAX);
	cn->fd = conn_connect(path);
	if (cn->fd < 0) {
		warnx("%s: %s (%s)", path, strerror(-cn->fd),
		    conn_hint(-cn->fd));
		return cn->fd;
	}
	return conn_check_greeting(cn, path);
}

void
conn_close(struct conn *cn)
{
	if (cn->fd >= 0)
		close(cn->fd);
	buf_free(&cn->in);
	free(cn->line);
}

int
conn_request(struct conn *cn, const char *verb, const char *object,
    const char *option)
{
	char line[PROTO_LINE_MAX];
	ssize_t k;
	int n, at;

	n = snprintf(line, sizeof(line), "%s%s%s%s%s\n", verb,
	    object == NULL ? "" : " ", object == NULL ? "" : object,
	    option == NULL ? "" : " ", option == NULL ? "" : option);
	if (n < 0 || (size_t)n >= sizeof(line)) {
		warnx("%s: name is too long", verb);
		return -EMSGSIZE;
	}
	for (at = 0; at < n; at += k) {
		k = send(cn->fd, line + at, n - at, MSG_NOSIGNAL);
		if (k < 0) {
			warn("%s", verb);
			return -errno;
		}
	}
	return 0;
}

/* Reads some more; false with a message at the end of it all. */
static bool
conn_fill(struct conn *cn)
{
	char chunk[4096];
	ssize_t n;

	do
		n = recv(cn->fd, chunk, sizeof(chunk), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		warn("connection to vmmd");
	else if (n == 0)
		warnx("vmmd closed the connection");
	else if (buf_append(&cn->in, chunk, n) != 0)
		warnx("vmmd sends too long a line");
	else
		return true;
	return false;
}

char *
conn_line(struct conn *cn)
{
	char *end = NULL;
	size_t n;

	free(cn->line);
	cn->line = NULL;
	for (;;) {
		if (cn->in.len > 0)
			end = memchr(buf_head(&cn->in), '\n', cn->in.len);
		if (end != NULL)
			break;
		if (!conn_fill(cn))
			return NULL;
	}
	n = end - buf_head(&cn->in);
	cn->line = strndup(buf_head(&cn->in), n);
	if (cn->line == NULL)
		warnx("out of memory");
	buf_consume(&cn->in, n + 1);
	return cn->line;
}

char *
conn_row(struct conn *cn, int *status)
{
	char *line = conn_line(cn), *text;

	*status = 1;
	if (line == NULL)
		return NULL;
	if (strcmp(line, "ok") == 0) {
		*status = 0;
		return NULL;
	}
	if (strncmp(line, "err ", 4) == 0) {
		text = strchr(line + 4, ' ');
		warnx("%s", text == NULL ? line + 4 : text + 1);
		return NULL;
	}
	return line;
}
