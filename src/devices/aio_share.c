/* SPDX-License-Identifier: ISC */
/*
 * A guest's share of the I/O engine: see aio.h.  What is more than the share
 * waits here, where it is in nobody else's way.
 *
 * Operations that are no transfers have a share of their own, and so have
 * transfers that wait: each of them holds a thread, of the engine's or of the
 * kernel's, while the host's disk or a processor is at work, and there are fewer
 * of those than of operations in flight.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "devices/aio_engine.h"

#define SHARE_OTHERS	4u

struct lane {
	unsigned	 in_flight;	/* at the engine */
	struct aio_op	*head;		/* wait */
	struct aio_op	**tail;
};

struct aio_share {
	struct aio	 aio;
	struct aio	*engine;
	struct lane	 transfers, waiting, others;
};

static struct lane *
share_lane(struct aio_share *s, const struct aio_op *op)
{
	if (op->opcode != AIO_READV && op->opcode != AIO_WRITEV)
		return &s->others;
	return op->waits && s->engine->ops->waiting != 0 ? &s->waiting :
	    &s->transfers;
}

static bool
share_is_full(const struct aio_share *s, const struct lane *l)
{
	if (l == &s->others)
		return l->in_flight >= SHARE_OTHERS;
	return l->in_flight >= (l == &s->waiting ? s->engine->ops->waiting :
	    s->engine->ops->share);
}

static void
share_queue(struct aio *a, struct aio_op *op)
{
	struct aio_share *s = (struct aio_share *)a;
	struct lane *l = share_lane(s, op);

	/* What does nothing holds nothing, and waits for nobody. */
	if (op->opcode == AIO_NOP) {
		s->engine->ops->queue(s->engine, op);
		return;
	}
	op->share = s;
	if (!share_is_full(s, l)) {
		l->in_flight++;
		s->engine->ops->queue(s->engine, op);
		return;
	}
	*l->tail = op;
	l->tail = &op->next;
}

/* Its place is the next one's. */
static void
share_leave(struct aio_share *s, const struct aio_op *done)
{
	struct lane *l = share_lane(s, done);
	struct aio_op *op = l->head;

	if (op == NULL) {
		l->in_flight--;
		return;
	}
	l->head = op->next;
	if (l->head == NULL)
		l->tail = &l->head;
	op->next = NULL;
	s->engine->ops->queue(s->engine, op);
}

void
aio_complete(struct aio_op *op, int res)
{
	if (op->share != NULL)
		share_leave(op->share, op);
	op->done(op, res);
}

static void
share_destroy(struct aio *a)
{
	struct aio_share *s = (struct aio_share *)a;

	assert(s->transfers.in_flight == 0 && s->waiting.in_flight == 0 &&
	    s->others.in_flight == 0);
	free(s);
}

static const struct aio_ops share_ops = {
	.queue = share_queue,
	.destroy = share_destroy,
};

struct aio *
aio_share_create(struct aio *engine)
{
	struct aio_share *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->aio.ops = &share_ops;
	s->engine = engine;
	s->transfers.tail = &s->transfers.head;
	s->waiting.tail = &s->waiting.head;
	s->others.tail = &s->others.head;
	return &s->aio;
}
