/* SPDX-License-Identifier: ISC */
/*
 * The I/O engine on Linux: one io_uring.
 *
 * Operations queue here and enter the ring when the loop is about to sleep,
 * all of a turn in one system call.  No more are in flight than the
 * completion ring holds, so that it cannot overflow.  Loop thread only.
 *
 * Calls go to an engine of threads, which is there from the first one on.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "devices/aio_engine.h"

#define URING_SQ_ENTRIES	128
#define URING_CQ_ENTRIES	4096

/*
 * Transfers of one guest; threads of the kernel's for what blocks, and of those
 * the transfers of one guest.
 */
#define URING_SHARE		128
#define URING_WORKERS		256u
#define URING_WAITING		12

/*
 * What one turn of the loop submits at most: the kernel may copy as much from
 * or to its cache before the submission returns.
 */
#define URING_TURN_BYTES	(1u << 20)
#define URING_NOP_BYTES		(URING_TURN_BYTES / 4)

/* How long to leave a kernel alone that took no submission, or said nothing. */
#define URING_RETRY_SECONDS	0.005

struct aio_uring {
	struct aio		 aio;
	struct loop		*loop;
	struct io_uring		 ring;
	struct aio		*threads;	/* or NULL */
	int			 efd;		/* signalled by completions */
	ev_io			 completed;
	ev_prepare		 submit;
	ev_timer		 retry;
	ev_idle			 more;		/* active: the next turn is due */
	struct aio_op		*head;		/* wait to enter the ring */
	struct aio_op		**tail;
	unsigned		 in_flight;	/* entered, not reaped */
	bool			 refused;	/* the last submission was */
	bool			 prompt;	/* it was complete at once */
};

/*
 * What the daemon may ask of the ring for the rest of its life: a few
 * operations, with no flag but one.  Through the bare system call, since the
 * shared liburing 2.3 forgets to export the functions for it.
 */
static int
uring_restrict(struct aio_uring *a)
{
	static const int ops[] = {
		IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_READ,
		IORING_OP_WRITE, IORING_OP_FSYNC, IORING_OP_FALLOCATE,
		IORING_OP_NOP,
	};
	struct io_uring_restriction r[sizeof(ops) / sizeof(ops[0]) + 1] = { 0 };
	unsigned n;
	int error;

	for (n = 0; n < sizeof(ops) / sizeof(ops[0]); n++) {
		r[n].opcode = IORING_RESTRICTION_SQE_OP;
		r[n].sqe_op = (uint8_t)ops[n];
	}
	r[n].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	r[n++].sqe_flags = IOSQE_ASYNC;
	error = io_uring_register((unsigned)a->ring.ring_fd,
	    IORING_REGISTER_RESTRICTIONS, r, n);
	if (error != 0)
		return error;
	return io_uring_register((unsigned)a->ring.ring_fd,
	    IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

/*
 * By default they are four for each processor: as many flushes that hang would
 * hold up all others.  Linux before 5.15 has them so.
 */
static void
uring_set_workers(struct aio_uring *a)
{
	unsigned max[2] = { URING_WORKERS, 0 };

	(void)io_uring_register((unsigned)a->ring.ring_fd,
	    IORING_REGISTER_IOWQ_MAX_WORKERS, max, 2);
}

/* A vector of one costs the kernel more than the one it holds. */
static void
uring_prep_transfer(struct io_uring_sqe *sqe, const struct aio_op *op)
{
	bool write = op->opcode == AIO_WRITEV;

	if (op->niov == 1 && op->iov->iov_len <= UINT_MAX)
		io_uring_prep_rw(write ? IORING_OP_WRITE : IORING_OP_READ,
		    sqe, op->fd, op->iov->iov_base,
		    (unsigned)op->iov->iov_len, op->off);
	else
		io_uring_prep_rw(write ? IORING_OP_WRITEV : IORING_OP_READV,
		    sqe, op->fd, op->iov, op->niov, op->off);
	/* By a thread of the kernel's. */
	if (op->waits)
		sqe->flags |= IOSQE_ASYNC;
}

static void
uring_prep(struct io_uring_sqe *sqe, const struct aio_op *op)
{
	switch (op->opcode) {
	case AIO_READV:
	case AIO_WRITEV:
		uring_prep_transfer(sqe, op);
		break;
	case AIO_PUNCH:
		io_uring_prep_fallocate(sqe, op->fd, FALLOC_FL_PUNCH_HOLE |
		    FALLOC_FL_KEEP_SIZE, (off_t)op->off, (off_t)op->len);
		break;
	case AIO_ZERO:
		io_uring_prep_fallocate(sqe, op->fd, FALLOC_FL_ZERO_RANGE |
		    FALLOC_FL_KEEP_SIZE, (off_t)op->off, (off_t)op->len);
		break;
	case AIO_FDATASYNC:
		io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC);
		break;
	case AIO_CALL:
	case AIO_NOP:
		io_uring_prep_nop(sqe);
		break;
	}
}

/* Puts an operation into the ring; false if that is full. */
static bool
uring_enter(struct aio_uring *a, struct aio_op *op)
{
	struct io_uring_sqe *sqe;

	sqe = io_uring_get_sqe(&a->ring);
	if (sqe == NULL)
		return false;
	uring_prep(sqe, op);
	io_uring_sqe_set_data(sqe, op);
	a->in_flight++;
	return true;
}

static size_t
uring_bytes(const struct aio_op *op)
{
	size_t sum = 0;
	unsigned i;

	/* What follows it is work, too: others come first now and then. */
	if (op->opcode == AIO_NOP || op->opcode == AIO_CALL)
		return URING_NOP_BYTES;
	if (op->opcode != AIO_READV && op->opcode != AIO_WRITEV)
		return 0;
	for (i = 0; i < op->niov; i++)
		sum += op->iov[i].iov_len;
	return sum;
}

/*
 * Moves what waits into the ring, as much as there is room for and the turn's
 * *budget allows; an operation above that goes alone.
 */
static void
uring_fill(struct aio_uring *a, size_t *budget)
{
	size_t bytes;

	while (a->head != NULL && a->in_flight < URING_CQ_ENTRIES) {
		bytes = uring_bytes(a->head);
		if (bytes > *budget && *budget != URING_TURN_BYTES)
			break;
		if (!uring_enter(a, a->head))
			break;
		*budget -= bytes < *budget ? bytes : *budget;
		a->head = a->head->next;
	}
	if (a->head == NULL)
		a->tail = &a->head;
}

/* Reports what is complete; false if nothing is. */
static bool
uring_reap(struct aio_uring *a)
{
	struct io_uring_cqe *cqe;
	struct aio_op *op;
	bool any = false;
	int res;

	/* To peek where nothing is costs more than to ask first. */
	while (io_uring_cq_ready(&a->ring) != 0 &&
	    io_uring_peek_cqe(&a->ring, &cqe) == 0) {
		op = io_uring_cqe_get_data(cqe);
		res = cqe->res;
		io_uring_cqe_seen(&a->ring, cqe);
		a->in_flight--;
		/* No thread was to be had for it. */
		if (op->opcode == AIO_CALL)
			res = op->call(op);
		aio_complete(op, res);
		any = true;
	}
	return any;
}

/*
 * Submits what waits, and reports what is complete already.  Returns what the
 * last submission did.
 */
static int
uring_work(struct aio_uring *a, size_t *budget)
{
	int n = 1;

	do {
		uring_fill(a, budget);
		while (n > 0 && io_uring_sq_ready(&a->ring) != 0) {
			n = io_uring_submit(&a->ring);
			uring_fill(a, budget);
		}
	} while (uring_reap(a) && a->head != NULL && *budget > 0 && n > 0);
	return n;
}

/* Has the loop woken soon, come what may. */
static void
uring_wake_soon(struct ev_loop *ev, struct aio_uring *a)
{
	if (ev_is_active(&a->retry))
		return;
	ev_timer_set(&a->retry, URING_RETRY_SECONDS, 0.);
	ev_timer_start(ev, &a->retry);
}

/*
 * Where the host's cache completes all at once, the kernel need not signal
 * meanwhile.  Its workers look at the flag for that without a barrier after
 * they have completed something: where any are at work after all, a timer
 * stands in for a signal that this may have lost.
 */
static int
uring_work_hushed(struct ev_loop *ev, struct aio_uring *a, size_t *budget)
{
	int n;

	(void)io_uring_cq_eventfd_toggle(&a->ring, false);
	n = uring_work(a, budget);
	(void)io_uring_cq_eventfd_toggle(&a->ring, true);
	if (a->in_flight != 0) {
		(void)uring_reap(a);
		uring_wake_soon(ev, a);
	}
	return n;
}

/*
 * Submission: the last thing a turn does.  What the kernel refuses for now
 * stays in the ring; if nothing in flight would wake the loop, a timer does.
 */
static void
uring_submit(struct ev_loop *ev, ev_prepare *w, int revents)
{
	struct aio_uring *a = w->data;
	size_t budget = URING_TURN_BYTES;
	int n;

	(void)revents;
	if (a->head == NULL && io_uring_sq_ready(&a->ring) == 0) {
		ev_idle_stop(ev, &a->more);
		return;
	}
	n = a->prompt ? uring_work_hushed(ev, a, &budget) : uring_work(a, &budget);
	a->prompt = a->in_flight == 0;
	/* While it is active the loop goes on without waiting. */
	if (a->head != NULL && io_uring_sq_ready(&a->ring) == 0 &&
	    a->in_flight < URING_CQ_ENTRIES)
		ev_idle_start(ev, &a->more);
	else
		ev_idle_stop(ev, &a->more);
	if (io_uring_sq_ready(&a->ring) == 0) {
		a->refused = false;
		return;
	}
	if (!a->refused)
		log_warn("disk I/O is delayed: %s", strerror(n < 0 ? -n : EAGAIN));
	a->refused = true;
	uring_wake_soon(ev, a);
}

static void
uring_more(struct ev_loop *ev, ev_idle *w, int revents)
{
	(void)ev;
	(void)w;
	(void)revents;
}

/* It has woken the loop; a submission follows at the end of the turn. */
static void
uring_retry(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)revents;
	(void)uring_reap(w->data);
}

/* What done() starts enters the ring only at the end of the turn. */
static void
uring_completed(struct ev_loop *ev, ev_io *w, int revents)
{
	struct aio_uring *a = w->data;
	eventfd_t count;

	(void)ev;
	(void)revents;
	/* Before the ring is looked at: what comes later signals anew. */
	(void)eventfd_read(a->efd, &count);
	(void)uring_reap(a);
}

static void
uring_start_watchers(struct aio_uring *a)
{
	struct ev_loop *ev = loop_ev(a->loop);

	ev_io_init(&a->completed, uring_completed, a->efd, EV_READ);
	a->completed.data = a;
	ev_io_start(ev, &a->completed);

	/* After every other watcher of the turn that might start something. */
	ev_prepare_init(&a->submit, uring_submit);
	ev_set_priority(&a->submit, EV_MINPRI + 1);
	a->submit.data = a;
	ev_prepare_start(ev, &a->submit);

	ev_timer_init(&a->retry, uring_retry, URING_RETRY_SECONDS, 0.);
	a->retry.data = a;
	ev_idle_init(&a->more, uring_more);
}

static void
uring_destroy(struct aio *base)
{
	struct aio_uring *a = (struct aio_uring *)base;
	struct ev_loop *ev = loop_ev(a->loop);

	assert(a->in_flight == 0 && a->head == NULL);
	ev_timer_stop(ev, &a->retry);
	ev_idle_stop(ev, &a->more);
	ev_prepare_stop(ev, &a->submit);
	ev_io_stop(ev, &a->completed);
	aio_destroy(a->threads);
	io_uring_queue_exit(&a->ring);
	close(a->efd);
	free(a);
}

static void
uring_queue(struct aio *base, struct aio_op *op)
{
	struct aio_uring *a = (struct aio_uring *)base;

	if (op->opcode == AIO_CALL && (a->threads != NULL ||
	    aio_threads_create(&a->threads, a->loop) == 0)) {
		a->threads->ops->queue(a->threads, op);
		return;
	}
	*a->tail = op;
	a->tail = &op->next;
}

static const struct aio_ops uring_ops = {
	.queue = uring_queue,
	.destroy = uring_destroy,
	.share = URING_SHARE,
	.waiting = URING_WAITING,
};

int
aio_uring_create(struct aio **ap, struct loop *loop)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE,
		.cq_entries = URING_CQ_ENTRIES,
	};
	struct aio_uring *a;
	int error;

	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return -ENOMEM;
	a->aio.ops = &uring_ops;
	a->loop = loop;
	a->tail = &a->head;
	a->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->efd == -1) {
		error = -errno;
		goto fail_efd;
	}
	error = io_uring_queue_init_params(URING_SQ_ENTRIES, &a->ring, &p);
	if (error != 0)
		goto fail_ring;
	error = io_uring_register_eventfd(&a->ring, a->efd);
	if (error == 0) {
		uring_set_workers(a);
		error = uring_restrict(a);
	}
	if (error != 0)
		goto fail_register;
	uring_start_watchers(a);
	*ap = &a->aio;
	return 0;

fail_register:
	io_uring_queue_exit(&a->ring);
fail_ring:
	close(a->efd);
fail_efd:
	free(a);
	return error;
}
