/* SPDX-License-Identifier: ISC */
/*
 * The bytes of one disk to another: see image_copy.h.
 *
 * A look at the source tells what the next bytes are, one look at a time.
 * Slots take pieces of them, each with one request in flight: it reads its
 * piece, and writes what is not zero of it.  One of them writes at a time: the
 * host lets one thread into a file, and others spin until they may.
 */
#include "vmm/image_copy.h"

#include <errno.h>
#include <stdlib.h>

#include "base/loop.h"
#include "base/zero.h"

/*
 * Pieces are as long as one operation on a file is at most; so many keep the
 * processors and a disk busy, and more would not stay in a processor's cache
 * between their reading and their writing.
 */
#define SLOTS		4u
#define PIECE_MAX	(1u << 20)
#define ZERO_MAX	(UINT64_C(1) << 30)

/* What it looks for zeroes in; a file system's blocks are no smaller. */
#define GRAIN_MIN	4096u

/* No further than that ahead of the slots. */
#define AHEAD_MAX	(UINT64_C(64) << 20)

#define BUFFER_ALIGN	4096u

enum copy_kind {
	COPY_NOT,
	COPY_ZERO,
	COPY_DATA,
};

struct copy;

struct slot {
	struct copy	*c;
	struct disk_req	 req;
	struct iovec	 iov;
	uint8_t		*buf;
	uint64_t	 pos;		/* of the disk */
	uint64_t	 len, at;	/* of the piece; written of it */
	bool		 busy;
	struct slot	*next;		/* that has read, too */
};

struct copy {
	struct image_copy *of;
	struct slot	 slot[SLOTS];
	unsigned	 busy;
	struct slot	*writer;
	struct slot	*first, **last;	/* who wait to be that */
	uint64_t	 pos, end;	/* known, and not taken */
	enum copy_kind	 kind;		/* of them */
	struct disk_req	 look;
	struct disk_extent extent;	/* from `end` on, if len is not 0 */
	bool		 looking;
	int		 error;
};

static void copy_go(struct copy *c);

static void
copy_fail(struct copy *c, int error, bool writing)
{
	if (c->error != 0)
		return;
	c->error = error;
	c->of->writing = writing;
}

static void slot_write(struct slot *s);

static void
slot_end(struct slot *s)
{
	struct copy *c = s->c;
	struct slot *next = c->first;

	c->of->work->done += s->len;
	s->busy = false;
	c->busy--;
	if (c->writer == s) {
		c->writer = next;
		if (next != NULL) {
			c->first = next->next;
			if (c->first == NULL)
				c->last = &c->first;
			slot_write(next);
		}
	}
	copy_go(c);
}

/* Its turn to write, or a place among those who wait for it. */
static void
slot_queue(struct slot *s)
{
	struct copy *c = s->c;

	if (c->writer == NULL) {
		c->writer = s;
		slot_write(s);
		return;
	}
	s->next = NULL;
	*c->last = s;
	c->last = &s->next;
}

/* The bytes from s->at on that are zero like the first of them, or are not. */
static uint64_t
slot_run(const struct slot *s, bool *zero)
{
	uint64_t grain = s->c->of->grain, at = s->at, n;

	if (!s->c->of->blank) {
		*zero = false;
		return s->len - at;
	}
	do {
		bool is;

		n = grain - (s->pos + at) % grain;
		if (n > s->len - at)
			n = s->len - at;
		is = zero_is(s->buf + at, n);
		if (at == s->at)
			*zero = is;
		else if (is != *zero)
			break;
		at += n;
	} while (at < s->len);
	return at - s->at;
}

static void slot_written(struct disk_req *req, int res);

/* Writes the next of it that is not zero, or ends. */
static void
slot_write(struct slot *s)
{
	bool zero;
	uint64_t n;

	for (; s->at < s->len; s->at += n) {
		n = slot_run(s, &zero);
		if (zero)
			continue;
		s->iov = (struct iovec){ s->buf + s->at, n };
		s->req = (struct disk_req){
			.op = DISK_WRITE,
			.offset = s->pos + s->at,
			.iov = &s->iov,
			.niov = 1,
			.len = n,
			.done = slot_written,
		};
		s->at += n;
		disk_submit(s->c->of->to, &s->req);
		return;
	}
	slot_end(s);
}

static struct slot *
slot_of(struct disk_req *req)
{
	return (struct slot *)((char *)req - offsetof(struct slot, req));
}

static void
slot_written(struct disk_req *req, int res)
{
	struct slot *s = slot_of(req);

	if (res != 0) {
		copy_fail(s->c, res, true);
		s->at = s->len;
	}
	slot_write(s);
}

static void
slot_read(struct disk_req *req, int res)
{
	struct slot *s = slot_of(req);

	if (res != 0) {
		copy_fail(s->c, res, false);
		s->at = s->len;
	}
	slot_queue(s);
}

/* The next piece, up to where one begins that is aligned. */
static void
slot_start(struct slot *s)
{
	struct copy *c = s->c;
	bool data = c->kind == COPY_DATA;
	uint64_t max = data ? PIECE_MAX - c->pos % PIECE_MAX : ZERO_MAX;

	s->pos = c->pos;
	s->len = c->end - c->pos < max ? c->end - c->pos : max;
	s->at = data ? 0 : s->len;
	s->busy = true;
	c->busy++;
	c->pos += s->len;
	s->iov = (struct iovec){ s->buf, s->len };
	s->req = (struct disk_req){
		.op = data ? DISK_READ : DISK_ZERO,
		.offset = s->pos,
		.iov = data ? &s->iov : NULL,
		.niov = data ? 1 : 0,
		.len = s->len,
		.unmap = true,
		.done = data ? slot_read : slot_written,
	};
	disk_submit(data ? c->of->from : c->of->to, &s->req);
}

static enum copy_kind
copy_kind(const struct copy *c)
{
	const struct disk_extent *x = &c->extent;

	if (c->of->own && !x->present)
		return COPY_NOT;
	if (x->zero)
		return c->of->blank ? COPY_NOT : COPY_ZERO;
	return COPY_DATA;
}

/* Takes what the look found, if it goes on with the same or nothing is left. */
static void
copy_take(struct copy *c)
{
	enum copy_kind kind = copy_kind(c);

	if (c->extent.len == 0 || (c->pos != c->end && kind != c->kind))
		return;
	if (kind == COPY_NOT) {
		c->of->work->done += c->extent.len;
		c->pos += c->extent.len;
	}
	c->kind = kind;
	c->end += c->extent.len;
	c->extent.len = 0;
}

static void
copy_looked(struct disk_req *req, int res)
{
	struct copy *c = (struct copy *)((char *)req -
	    offsetof(struct copy, look));

	c->looking = false;
	if (res != 0) {
		copy_fail(c, res, false);
		c->extent.len = 0;
	}
	copy_go(c);
}

static void
copy_look(struct copy *c)
{
	if (c->looking || c->extent.len != 0 || c->end == c->of->size ||
	    c->end - c->pos >= AHEAD_MAX)
		return;
	c->looking = true;
	c->extent = (struct disk_extent){ 0 };
	c->look = (struct disk_req){
		.op = DISK_STATUS,
		.offset = c->end,
		.len = c->of->size - c->end,
		.extent = &c->extent,
		.done = copy_looked,
	};
	disk_submit(c->of->from, &c->look);
}

/* Starts what can be; the loop ends when nothing is left. */
static void
copy_go(struct copy *c)
{
	unsigned i;

	if (c->of->work->caught != 0)
		copy_fail(c, -EINTR, false);
	if (!c->looking && c->error == 0)
		copy_take(c);
	for (i = 0; i < SLOTS && c->error == 0 && c->pos != c->end; i++)
		if (!c->slot[i].busy)
			slot_start(&c->slot[i]);
	if (c->error == 0) {
		if (!c->looking)
			copy_take(c);
		copy_look(c);
	}
	if (c->busy == 0 && !c->looking)
		loop_break(c->of->work->loop);
}

static int
copy_run(struct copy *c)
{
	void *p;
	unsigned i;

	for (i = 0; i < SLOTS; i++) {
		if (posix_memalign(&p, BUFFER_ALIGN, PIECE_MAX) != 0)
			return -ENOMEM;
		c->slot[i].buf = p;
		c->slot[i].c = c;
	}
	/* The first look, without a word from a slot. */
	copy_look(c);
	if (c->looking)
		loop_run(c->of->work->loop);
	return c->error;
}

int
image_copy(struct image_copy *of)
{
	struct copy *c = calloc(1, sizeof(*c));
	unsigned i;
	int error;

	if (c == NULL)
		return -ENOMEM;
	if (of->grain < GRAIN_MIN)
		of->grain = GRAIN_MIN;
	of->writing = false;
	c->of = of;
	c->last = &c->first;
	error = copy_run(c);
	for (i = 0; i < SLOTS; i++)
		free(c->slot[i].buf);
	free(c);
	return error;
}

int
image_fill(struct image_work *w, struct disk *d)
{
	uint64_t size = disk_info(d)->size, at = 0;
	uint8_t *zeroes = calloc(1, PIECE_MAX);
	int error = 0;

	if (zeroes == NULL)
		return -ENOMEM;
	while (at < size && error == 0) {
		struct iovec iov = { zeroes, PIECE_MAX };
		struct disk_req req = {
			.op = DISK_WRITE,
			.offset = at,
			.iov = &iov,
			.niov = 1,
		};

		if (iov.iov_len > size - at)
			iov.iov_len = size - at;
		req.len = iov.iov_len;
		error = w->caught != 0 ? -EINTR : image_work_do(w, d, &req);
		at += req.len;
		w->done += req.len;
	}
	free(zeroes);
	return error;
}
