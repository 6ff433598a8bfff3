/* SPDX-License-Identifier: ISC */
/*
 * The daemon's engines in the place of the fake one: see testaio.h.  What
 * there is to do is counted, so that a test knows when all is over.
 */
#include <ev.h>

#include "base/loop.h"
#include "devices/aio_engine.h"
#include "testaio.h"
#include "testhost.h"

struct loopaio {
	struct aio	 aio;
	struct aio	*engine;
	struct loop	*loop;
	unsigned	 in_flight;
};

/* What the engine gets for a test's operation. */
struct counted {
	struct aio_op	 op;
	struct aio_op	*theirs;
	struct loopaio	*l;
};

static void
counted_done(struct aio_op *op, int res)
{
	struct counted *c = (struct counted *)op;
	struct aio_op *theirs = c->theirs;

	if (--c->l->in_flight == 0)
		loop_break(c->l->loop);
	free(c);
	aio_complete(theirs, res);
}

static int
counted_call(struct aio_op *op)
{
	struct counted *c = (struct counted *)op;

	return c->theirs->call(c->theirs);
}

static void
loopaio_queue(struct aio *a, struct aio_op *op)
{
	struct loopaio *l = (struct loopaio *)a;
	struct counted *c = calloc(1, sizeof(*c));

	ck_assert_ptr_nonnull(c);
	c->op = *op;
	c->op.done = counted_done;
	c->op.call = counted_call;
	c->theirs = op;
	c->l = l;
	l->in_flight++;
	l->engine->ops->queue(l->engine, &c->op);
}

static const struct aio_ops loopaio_ops = {
	.queue = loopaio_queue,
};

/* One engine or the other. */
struct aio *
fakeaio_create(uint64_t random)
{
	struct loopaio *l = calloc(1, sizeof(*l));

	ck_assert_ptr_nonnull(l);
	l->aio.ops = &loopaio_ops;
	l->loop = loop_create();
	l->engine = aio_create(l->loop, random / 2 % 2 == 0 ? "io_uring" :
	    "threads");
	ck_assert_ptr_nonnull(l->engine);
	return &l->aio;
}

void
fakeaio_destroy(struct aio *a)
{
	struct loopaio *l = (struct loopaio *)a;

	ck_assert_uint_eq(l->in_flight, 0);
	aio_destroy(l->engine);
	loop_destroy(l->loop);
	free(l);
}

bool
fakeaio_step(struct aio *a)
{
	struct loopaio *l = (struct loopaio *)a;

	if (l->in_flight == 0)
		return false;
	ev_run(loop_ev(l->loop), EVRUN_NOWAIT);
	return true;
}

void
fakeaio_run(struct aio *a)
{
	struct loopaio *l = (struct loopaio *)a;

	while (l->in_flight != 0)
		loop_run(l->loop);
}
