/* SPDX-License-Identifier: ISC */
/*
 * vmmctl's end of the control socket.  What goes wrong is kept, with a code of
 * vmmd-protocol(7) or "connection", for the end of the program to tell.
 */
#ifndef VMMD_VMMCTL_CONN_H
#define VMMD_VMMCTL_CONN_H

#include <stdbool.h>

#include "base/buf.h"

#define CONN_ERROR_MAX	512

struct conn {
	int		 fd;		/* -1: none */
	struct buf	 in;		/* read, not yet taken */
	char		*line;		/* the last one */
	char		 code[32];	/* of what went wrong, or "" */
	char		 error[CONN_ERROR_MAX];
};

/* One that is not connected. */
void conn_init(struct conn *cn);

/* Connects and checks the greeting: 0 or -errno. */
int conn_open(struct conn *cn, const char *path);
void conn_close(struct conn *cn);

/* Keeps what went wrong, unless something did before. */
void conn_fail(struct conn *cn, const char *code, const char *fmt, ...)
    __attribute__((__format__(__printf__, 3, 4)));

/* Sends one request, a line with its newline: 0 or -errno. */
int conn_request(struct conn *cn, const struct buf *line);

/*
 * The next line, without its newline, valid until the next call; it may be
 * changed.  NULL if there is none.
 */
char *conn_line(struct conn *cn);

/* The next row of a reply; NULL at its end, where `code` is "" for ok. */
char *conn_row(struct conn *cn);

#endif /* VMMD_VMMCTL_CONN_H */
