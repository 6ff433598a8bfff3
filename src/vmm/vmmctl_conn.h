/* SPDX-License-Identifier: ISC */
/*
 * vmmctl's end of the control socket.
 */
#ifndef VMMD_VMMCTL_CONN_H
#define VMMD_VMMCTL_CONN_H

#include "base/buf.h"

struct conn {
	int		 fd;
	struct buf	 in;		/* read, not yet taken */
	char		*line;		/* the last one */
};

/*
 * Connects and checks the greeting: 0, or -errno after a message on stderr.
 * conn_close() belongs to both ends.
 */
int conn_open(struct conn *cn, const char *path);
void conn_close(struct conn *cn);

/* Sends one request, without its newline: 0 or -errno. */
int conn_request(struct conn *cn, const char *verb, const char *object,
    const char *option);

/*
 * The next line, without its newline, valid until the next call; it may be
 * changed.  NULL with a message on stderr if there is none.
 */
char *conn_line(struct conn *cn);

/*
 * The next row of a reply.  NULL at its end: then *status is 0 for ok, or 1
 * with the error on stderr.
 */
char *conn_row(struct conn *cn, int *status);

#endif /* VMMD_VMMCTL_CONN_H */
