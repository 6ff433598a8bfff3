/* SPDX-License-Identifier: ISC */
/*
 * Byte buffers: see buf.h.  A buffer belongs to whoever embeds it; nothing
 * here locks.
 */
#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_MIN		256

void
buf_init(struct buf *b, size_t limit)
{
	memset(b, 0, sizeof(*b));
	b->limit = limit;
}

void
buf_free(struct buf *b)
{
	free(b->data);
	buf_init(b, b->limit);
}

/* Makes room for `n` bytes behind the unread ones; n keeps to the limit. */
static int
buf_reserve(struct buf *b, size_t n)
{
	size_t cap = b->cap;
	char *p;

	if (cap - b->off - b->len >= n)
		return 0;
	if (b->off > 0) {
		memmove(b->data, b->data + b->off, b->len);
		b->off = 0;
		if (cap - b->len >= n)
			return 0;
	}
	if (cap < BUF_MIN)
		cap = BUF_MIN;
	while (cap < b->len + n)
		cap = cap > SIZE_MAX / 2 ? b->len + n : cap * 2;
	p = realloc(b->data, cap);
	if (p == NULL)
		return -ENOMEM;
	b->data = p;
	b->cap = cap;
	return 0;
}

int
buf_append(struct buf *b, const void *p, size_t n)
{
	int ret;

	if (n == 0)
		return 0;
	if (n > b->limit - b->len)
		return -ENOBUFS;
	ret = buf_reserve(b, n);
	if (ret != 0)
		return ret;
	memcpy(b->data + b->off + b->len, p, n);
	b->len += n;
	return 0;
}

/* Formats straight into the buffer, where the final NUL needs a byte too. */
static int
buf_vprintf(struct buf *b, const char *fmt, va_list ap, size_t n)
{
	int ret;

	ret = buf_reserve(b, n + 1);
	if (ret != 0)
		return ret;
	vsnprintf(b->data + b->off + b->len, n + 1, fmt, ap);
	b->len += n;
	return 0;
}

int
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n, ret;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	if ((size_t)n > b->limit - b->len)
		return -ENOBUFS;
	va_start(ap, fmt);
	ret = buf_vprintf(b, fmt, ap, n);
	va_end(ap);
	return ret;
}

char *
buf_head(const struct buf *b)
{
	/* Not NULL, to which not even nothing may be added. */
	return b->data == NULL ? "" : b->data + b->off;
}

void
buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->len);
	b->off += n;
	b->len -= n;
	if (b->len == 0)
		b->off = 0;
}
