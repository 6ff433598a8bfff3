/* SPDX-License-Identifier: ISC */
/*
 * A growable byte buffer with a limit, consumed from the front: console
 * scrollback, control lines and replies, saved device state.
 */
#ifndef VMMD_BUF_H
#define VMMD_BUF_H

#include <stddef.h>

struct buf {
	char	*data;		/* first unread byte is data[off] */
	size_t	 off;
	size_t	 len;		/* unread bytes */
	size_t	 cap;		/* allocated bytes */
	size_t	 limit;		/* len never exceeds it */
};

/* Initialises an empty buffer; nothing is allocated until bytes arrive. */
void buf_init(struct buf *b, size_t limit);

/* Frees the bytes; the buffer is empty and usable afterwards. */
void buf_free(struct buf *b);

/* Appends all of `n` bytes or none: 0, -ENOBUFS at the limit, -ENOMEM. */
int buf_append(struct buf *b, const void *p, size_t n);

/* Appends formatted text, all or none.  Errors as buf_append. */
int buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((__format__(__printf__, 2, 3)));

/*
 * First unread byte, or the end if there is none; valid until the buffer is
 * next changed.
 */
char *buf_head(const struct buf *b);

/* Drops the first `n` unread bytes; n <= len. */
void buf_consume(struct buf *b, size_t n);

#endif /* VMMD_BUF_H */
