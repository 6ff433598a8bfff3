/* SPDX-License-Identifier: ISC */
/*
 * An engine for tests: see fakeaio.h.
 */
#include "fakeaio.h"

#include <stdlib.h>
#include <string.h>

#include "devices/aio_range.h"
#include "testhost.h"

/* What the test may end next. */
struct fakeaio_op {
	struct aio_op	*op;
	int		 event;		/* or -1 */
};

/* Has it to do with a file? */
static bool
is_io(const struct aio_op *op)
{
	return op->opcode != AIO_NOP && op->opcode != AIO_CALL;
}

static uint64_t
op_length(const struct aio_op *op)
{
	uint64_t len = 0;
	unsigned i;

	switch (op->opcode) {
	case AIO_READV:
	case AIO_WRITEV:
		for (i = 0; i < op->niov; i++)
			len += op->iov[i].iov_len;
		return len;
	case AIO_PUNCH:
	case AIO_ZERO:
		return op->len;
	default:
		return 0;
	}
}

/* Notes a write or flush; the number of its event, or -1. */
static int
note(struct fakeaio *a, const struct aio_op *op)
{
	struct fakeaio_event *e;
	size_t done = 0;
	unsigned i;

	if (!a->logging || op->opcode == AIO_READV || !is_io(op))
		return -1;
	if (a->nevents == a->events_room) {
		a->events_room = a->events_room * 2 + 64;
		a->event = realloc(a->event, a->events_room *
		    sizeof(*a->event));
		ck_assert_ptr_nonnull(a->event);
	}
	e = &a->event[a->nevents];
	*e = (struct fakeaio_event){
		.fd = op->fd,
		.flush = op->opcode == AIO_FDATASYNC,
		.skipped = op->opcode == AIO_FDATASYNC &&
		    a->skips_flush != NULL && a->skips_flush(),
		.off = op->off,
		.len = op_length(op),
		.submitted = a->now++,
	};
	if (!e->flush)
		e->data = calloc(1, e->len);
	for (i = 0; op->opcode == AIO_WRITEV && i < op->niov; i++) {
		memcpy(e->data + done, op->iov[i].iov_base,
		    op->iov[i].iov_len);
		done += op->iov[i].iov_len;
	}
	return (int)a->nevents++;
}

static void
fakeaio_queue(struct aio *base, struct aio_op *op)
{
	struct fakeaio *a = fakeaio_of(base);

	if (a->n == a->room) {
		a->room = a->room * 2 + 64;
		a->queue = realloc(a->queue, a->room * sizeof(*a->queue));
		ck_assert_ptr_nonnull(a->queue);
	}
	a->queue[a->n++] = (struct fakeaio_op){ op, note(a, op) };
}

static const struct aio_ops fakeaio_ops = {
	.queue = fakeaio_queue,
};

struct aio *
fakeaio_create(uint64_t random)
{
	struct fakeaio *a = calloc(1, sizeof(*a));

	ck_assert_ptr_nonnull(a);
	a->aio.ops = &fakeaio_ops;
	a->random = random * 2 + 1;
	a->now = 1;
	return &a->aio;
}

void
fakeaio_destroy(struct aio *base)
{
	struct fakeaio *a = fakeaio_of(base);
	unsigned i;

	ck_assert_uint_eq(a->n, 0);
	for (i = 0; i < a->nevents; i++)
		free(a->event[i].data);
	free(a->event);
	free(a->queue);
	free(a);
}

static int
perform(struct aio_op *op)
{
	switch (op->opcode) {
	/* As where no other way to make zeroes is known, on a tmpfs for one. */
	case AIO_ZERO:
		return aio_range_punch(op->fd, op->off, op->len);
	case AIO_FDATASYNC:
		return 0;
	default:
		return aio_perform(op);
	}
}

static bool
hold(struct fakeaio *a, struct aio_op *op)
{
	if (a->ops != a->hold_at || !is_io(op) || a->held != NULL)
		return false;
	a->held = op;
	return true;
}

bool
fakeaio_step(struct aio *base)
{
	struct fakeaio *a = fakeaio_of(base);
	struct fakeaio_event *e;
	struct fakeaio_op f;
	unsigned i;
	int res;

	if (a->n == 0)
		return false;
	i = (unsigned)(test_random(&a->random) % a->n);
	f = a->queue[i];
	a->queue[i] = a->queue[--a->n];
	a->ops += is_io(f.op);
	if (hold(a, f.op))
		return true;
	if (a->ops == a->fail_at && is_io(f.op)) {
		a->flush_failed = f.op->opcode == AIO_FDATASYNC;
		res = a->fail_with;
	} else {
		res = perform(f.op);
	}
	if (f.event != -1 && res >= 0) {
		e = &a->event[f.event];
		e->completed = e->skipped ? 0 : a->now++;
	}
	aio_complete(f.op, res);
	return true;
}

void
fakeaio_run(struct aio *base)
{
	while (fakeaio_step(base))
		continue;
}

void
fakeaio_release(struct aio *base)
{
	struct fakeaio *a = fakeaio_of(base);

	a->hold_at = 0;
	if (a->held != NULL)
		fakeaio_queue(base, a->held);
	a->held = NULL;
}
