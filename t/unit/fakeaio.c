/* SPDX-License-Identifier: ISC */
/*
 * An engine for tests: see fakeaio.h.
 */
#include "fakeaio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "testhost.h"

enum fakeaio_kind {
	OP_READ,
	OP_WRITE,
	OP_FREE,
	OP_FLUSH,
	OP_NOP,
};

/* What the test may end next. */
struct fakeaio_op {
	struct aio_op		*op;
	enum fakeaio_kind	 kind;
	int			 fd;
	const struct iovec	*iov;
	unsigned		 niov;
	uint64_t		 off, len;
	int			 event;		/* or -1 */
};

struct aio *
fakeaio_create(uint64_t random)
{
	struct aio *a = calloc(1, sizeof(*a));

	ck_assert_ptr_nonnull(a);
	a->random = random * 2 + 1;
	a->now = 1;
	return a;
}

void
fakeaio_destroy(struct aio *a)
{
	unsigned i;

	ck_assert_uint_eq(a->n, 0);
	for (i = 0; i < a->nevents; i++)
		free(a->event[i].data);
	free(a->event);
	free(a->queue);
	free(a->held);
	free(a);
}

/* Notes a write or flush; the number of its event, or -1. */
static int
note(struct aio *a, const struct fakeaio_op *f)
{
	struct fakeaio_event *e;
	size_t done = 0;
	unsigned i;

	if (!a->logging || f->kind == OP_READ || f->kind == OP_NOP)
		return -1;
	if (a->nevents == a->events_room) {
		a->events_room = a->events_room * 2 + 64;
		a->event = realloc(a->event, a->events_room *
		    sizeof(*a->event));
		ck_assert_ptr_nonnull(a->event);
	}
	e = &a->event[a->nevents];
	*e = (struct fakeaio_event){
		.fd = f->fd,
		.flush = f->kind == OP_FLUSH,
		.skipped = f->kind == OP_FLUSH && a->skips_flush != NULL &&
		    a->skips_flush(),
		.off = f->off,
		.len = f->len,
		.submitted = a->now++,
	};
	if (!e->flush)
		e->data = calloc(1, e->len);
	for (i = 0; f->kind == OP_WRITE && i < f->niov; i++) {
		memcpy(e->data + done, f->iov[i].iov_base, f->iov[i].iov_len);
		done += f->iov[i].iov_len;
	}
	return (int)a->nevents++;
}

static void
queue(struct aio *a, struct fakeaio_op f)
{
	if (a->n == a->room) {
		a->room = a->room * 2 + 64;
		a->queue = realloc(a->queue, a->room * sizeof(*a->queue));
		ck_assert_ptr_nonnull(a->queue);
	}
	f.event = note(a, &f);
	a->queue[a->n++] = f;
}

static void
transfer(struct aio *a, enum fakeaio_kind kind, int fd,
    const struct iovec *iov, unsigned niov, uint64_t off, struct aio_op *op)
{
	uint64_t len = 0;
	unsigned i;

	for (i = 0; i < niov; i++)
		len += iov[i].iov_len;
	queue(a, (struct fakeaio_op){ .op = op, .kind = kind, .fd = fd,
	    .iov = iov, .niov = niov, .off = off, .len = len });
}

void
aio_readv(struct aio *a, int fd, const struct iovec *iov, unsigned niov,
    uint64_t off, struct aio_op *op)
{
	transfer(a, OP_READ, fd, iov, niov, off, op);
}

void
aio_writev(struct aio *a, int fd, const struct iovec *iov, unsigned niov,
    uint64_t off, struct aio_op *op)
{
	transfer(a, OP_WRITE, fd, iov, niov, off, op);
}

void
aio_punch(struct aio *a, int fd, uint64_t off, uint64_t len,
    struct aio_op *op)
{
	queue(a, (struct fakeaio_op){ .op = op, .kind = OP_FREE, .fd = fd,
	    .off = off, .len = len });
}

/* As where no other way to make zeroes is known, on a tmpfs for one. */
void
aio_zero(struct aio *a, int fd, uint64_t off, uint64_t len,
    struct aio_op *op)
{
	aio_punch(a, fd, off, len, op);
}

void
aio_fdatasync(struct aio *a, int fd, struct aio_op *op)
{
	queue(a, (struct fakeaio_op){ .op = op, .kind = OP_FLUSH, .fd = fd });
}

void
aio_nop(struct aio *a, struct aio_op *op)
{
	queue(a, (struct fakeaio_op){ .op = op, .kind = OP_NOP, .fd = -1 });
}

static int
perform(const struct fakeaio_op *f)
{
	ssize_t n = 0;

	switch (f->kind) {
	case OP_READ:
		n = preadv(f->fd, f->iov, (int)f->niov, (off_t)f->off);
		break;
	case OP_WRITE:
		n = pwritev(f->fd, f->iov, (int)f->niov, (off_t)f->off);
		break;
	case OP_FREE:
		n = fallocate(f->fd, FALLOC_FL_PUNCH_HOLE |
		    FALLOC_FL_KEEP_SIZE, (off_t)f->off, (off_t)f->len);
		break;
	case OP_FLUSH:
	case OP_NOP:
		break;
	}
	return n == -1 ? -errno : (int)n;
}

static bool
hold(struct aio *a, const struct fakeaio_op *f)
{
	if (a->ops != a->hold_at || f->kind == OP_NOP || a->held != NULL)
		return false;
	a->held = malloc(sizeof(*a->held));
	ck_assert_ptr_nonnull(a->held);
	*a->held = *f;
	return true;
}

bool
fakeaio_step(struct aio *a)
{
	struct fakeaio_event *e;
	struct fakeaio_op f;
	unsigned i;
	int res;

	if (a->n == 0)
		return false;
	i = (unsigned)(test_random(&a->random) % a->n);
	f = a->queue[i];
	a->queue[i] = a->queue[--a->n];
	a->ops += f.kind != OP_NOP;
	if (hold(a, &f))
		return true;
	if (a->ops == a->fail_at && f.kind != OP_NOP) {
		a->flush_failed = f.kind == OP_FLUSH;
		res = a->fail_with;
	} else {
		res = perform(&f);
	}
	if (f.event != -1 && res >= 0) {
		e = &a->event[f.event];
		e->completed = e->skipped ? 0 : a->now++;
	}
	f.op->done(f.op, res);
	return true;
}

void
fakeaio_run(struct aio *a)
{
	while (fakeaio_step(a))
		continue;
}

void
fakeaio_release(struct aio *a)
{
	a->hold_at = 0;
	if (a->held != NULL)
		queue(a, *a->held);
	free(a->held);
	a->held = NULL;
}
