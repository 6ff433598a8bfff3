/* SPDX-License-Identifier: ISC */
/*
 * The connection of vmmctl: see vmmctl_conn.h.  All calls block.
 */
#include "vmm/vmmctl_conn.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/proto.h"

void
conn_init(struct conn *cn)
{
	memset(cn, 0, sizeof(*cn));
	cn->fd = -1;
	buf_init(&cn->in, PROTO_ROW_MAX);
}

void
conn_fail(struct conn *cn, const char *code, const char *fmt, ...)
{
	va_list ap;

	if (*cn->code != '\0')
		return;
	snprintf(cn->code, sizeof(cn->code), "%s", code);
	va_start(ap, fmt);
	vsnprintf(cn->error, sizeof(cn->error), fmt, ap);
	va_end(ap);
}

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
		return "it is for root, vmmd's user and group, and owners of "
		    "guests";
	case ENAMETOOLONG:
		return "a socket's path has at most 107 bytes";
	default:
		return "is vmmd running, with this socket?";
	}
}

/* Keeps "CODE TEXT". */
static void
conn_fail_line(struct conn *cn, char *line)
{
	char *code = proto_word(&line);

	conn_fail(cn, code, "%s", line);
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
		conn_fail_line(cn, line + 4);
	else
		conn_fail(cn, "connection", "%s: no vmmd that speaks protocol "
		    "%d", path, PROTO_VERSION);
	return -EPROTO;
}

int
conn_open(struct conn *cn, const char *path)
{
	cn->fd = conn_connect(path);
	if (cn->fd < 0) {
		conn_fail(cn, "connection", "%s: %s (%s)", path,
		    strerror(-cn->fd), conn_hint(-cn->fd));
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
conn_request(struct conn *cn, const struct buf *line)
{
	size_t at;
	ssize_t k;

	if (line->len > PROTO_LINE_MAX) {
		conn_fail(cn, "too-long", "a request has at most %d bytes",
		    PROTO_LINE_MAX);
		return -EMSGSIZE;
	}
	for (at = 0; at < line->len; at += k) {
		k = send(cn->fd, buf_head(line) + at, line->len - at,
		    MSG_NOSIGNAL);
		if (k < 0) {
			k = -errno;
			conn_fail(cn, "connection", "request: %s",
			    strerror(errno));
			return k;
		}
	}
	return 0;
}

/* Reads some more; false at the end of it all. */
static bool
conn_fill(struct conn *cn)
{
	char chunk[4096];
	ssize_t n;

	do
		n = recv(cn->fd, chunk, sizeof(chunk), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		conn_fail(cn, "connection", "connection to vmmd: %s",
		    strerror(errno));
	else if (n == 0)
		conn_fail(cn, "connection", "vmmd closed the connection");
	else if (buf_append(&cn->in, chunk, n) != 0)
		conn_fail(cn, "connection", "vmmd sends too long a line");
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
		conn_fail(cn, "failed", "out of memory");
	buf_consume(&cn->in, n + 1);
	return cn->line;
}

char *
conn_row(struct conn *cn)
{
	char *line = conn_line(cn);

	if (line == NULL || strcmp(line, "ok") == 0)
		return NULL;
	if (strncmp(line, "err ", 4) != 0)
		return line;
	conn_fail_line(cn, line + 4);
	return NULL;
}
