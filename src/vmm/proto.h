/* SPDX-License-Identifier: ISC */
/*
 * The control protocol's text, vmmd-protocol(7): what the daemon and vmmctl
 * share.  A row is a word and key=value pairs; a value with anything but
 * printable characters, or with spaces, quotes or backslashes, is quoted.
 */
#ifndef VMMD_PROTO_H
#define VMMD_PROTO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define PROTO_NAME		"vmmd"
#define PROTO_VERSION		1
#define PROTO_LINE_MAX		4096	/* a request, with its newline */
#define PROTO_ROW_MAX		65536	/* a row, with its newline */
#define PROTO_TAG_MAX		32	/* a tag, without its @ */
#define PROTO_SOCKET		"/run/vmmd.sock"

/* Appends " key=value", quoted as needed: 0, -ENOBUFS, -ENOMEM. */
int proto_pair(struct buf *b, const char *key, const char *value);

/* The same for a value made by a format. */
int proto_pairf(struct buf *b, const char *key, const char *fmt, ...)
    __attribute__((__format__(__printf__, 3, 4)));

/* Cuts the first word off *line, which then starts behind it. */
char *proto_word(char **line);

/*
 * Cuts "@tag" off the beginning of a request.  NULL if what follows an @ is no
 * tag: letters, digits, and . - _; "" if there is none.
 */
char *proto_tag(char **line);

/*
 * Cuts the next pair off *line and undoes the quoting in place.  False at the
 * end of the line or if the rest is no pair.
 */
bool proto_next(char **line, char **key, char **value);

#endif /* VMMD_PROTO_H */
