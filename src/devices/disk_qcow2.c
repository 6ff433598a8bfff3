/* SPDX-License-Identifier: ISC */
/*
 * qcow2 images: requests from their begin to their end.  See disk_qcow2.h.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "devices/disk_qcow2.h"

/*
 * Steps of one request before others have their turn: one may go over a piece
 * of a table, which has up to 512 entries or 32,768 refcounts.
 */
#define STEPS_MAX	32

static struct q2 *
q2_of(const struct disk *d)
{
	return (struct q2 *)(uintptr_t)d;
}

/* Says so once; the guest gets an error each time. */
int
q2_corrupt(struct q2 *q, const char *what, uint64_t where)
{
	if (!q->told)
		log_warn("disk %s: the image is corrupt: %s offset %#" PRIx64,
		    q->path, what, where);
	q->told = true;
	return -EIO;
}

static void
q2_enlist(struct q2 *q, struct q2_req *r)
{
	r->seq = ++q->seq;
	r->older = q->newest;
	r->newer = NULL;
	if (q->newest != NULL)
		q->newest->newer = r;
	else
		q->oldest = r;
	q->newest = r;
}

static void
q2_delist(struct q2 *q, struct q2_req *r)
{
	if (r->seq == 0)
		return;
	if (r->older != NULL)
		r->older->newer = r->newer;
	else
		q->oldest = r->newer;
	if (r->newer != NULL)
		r->newer->older = r->older;
	else
		q->newest = r->older;
}

static void
q2_req_free(struct q2_req *r)
{
	struct q2 *q = r->q;

	q2_delist(q, r);
	if (r != &q->detach)
		free(r);
	q2_free(q);
}

static void
q2_late(struct aio_op *op, int res)
{
	struct disk_req *req = (struct disk_req *)((char *)op -
	    offsetof(struct disk_req, file.aio));

	(void)res;
	req->done(req, req->late);
}

/* The caller is told, but not from within its submit. */
static void
q2_answer(struct disk_req *req, int res, bool inside)
{
	if (!inside) {
		req->done(req, res);
		return;
	}
	req->late = res;
	req->file.aio.done = q2_late;
	aio_nop(req->disk->aio, &req->file.aio);
}

static void
q2_end_if_over(struct q2_req *r)
{
	struct disk_req *req = r->req;
	bool inside = r->inside;
	int res = r->res;

	if (!r->walked || r->children != 0)
		return;
	/* First, since done() may detach the disk. */
	q2_req_free(r);
	q2_answer(req, res, inside);
}

static void q2_run(struct q2_req *r);

static void
q2_yielded(struct aio_op *op, int res)
{
	struct disk_req *req = (struct disk_req *)((char *)op -
	    offsetof(struct disk_req, file.aio));

	(void)res;
	q2_run(req->walker);
}

/* Walks on until the request must wait, or has started all it is made of. */
static void
q2_run(struct q2_req *r)
{
	unsigned steps = 0;
	int error = 0;

	while (r->res == 0 && error == 0 && r->pos < r->end) {
		if (steps++ == STEPS_MAX) {
			r->req->walker = r;
			r->req->file.aio.done = q2_yielded;
			aio_nop(r->q->d.aio, &r->req->file.aio);
			return;
		}
		error = r->step(r);
		/* It looks for a free cluster still. */
		if (error == -EAGAIN)
			error = 0;
	}
	if (error == -EINPROGRESS)
		return;
	if (error != 0 && r->res == 0)
		r->res = error;
	r->walked = true;
	q2_end_if_over(r);
}

static void
q2_woken(struct disk_wait *w, int res)
{
	struct q2_req *r = (struct q2_req *)((char *)w -
	    offsetof(struct q2_req, wait));

	if (res != 0 && r->res == 0)
		r->res = res;
	q2_run(r);
}

void
q2_child_ended(struct q2_req *r, int res)
{
	if (res != 0 && r->res == 0)
		r->res = res;
	r->children--;
	q2_end_if_over(r);
}

static void
q2_child_done(struct disk_req *req, int res)
{
	struct q2_child *c = (struct q2_child *)((char *)req -
	    offsetof(struct q2_child, io));
	struct q2_req *r = c->r;

	free(c);
	q2_child_ended(r, res);
}

/* A part of the request, with its share of the iov if it moves data. */
struct q2_child *
q2_child_create(struct q2_req *r, enum disk_op op, uint64_t off, uint64_t len)
{
	unsigned n = op == r->req->op ? q2_iov_count(r, len) : 0;
	struct q2_child *c = calloc(1, sizeof(*c) + n * sizeof(c->iov[0]));

	if (c == NULL)
		return NULL;
	c->r = r;
	c->io.op = op;
	c->io.offset = off;
	c->io.len = len;
	c->io.iov = c->iov;
	c->io.niov = n != 0 ? q2_iov_take(r, len, c->iov) : 0;
	c->io.done = q2_child_done;
	return c;
}

void
q2_child_start(struct q2_child *c, struct disk *on)
{
	c->r->children++;
	disk_submit(on, &c->io);
}

uint8_t *
q2_alloc_bytes(size_t len, size_t from)
{
	void *p;

	if (posix_memalign(&p, DISK_SLICE_MAX, len) != 0)
		return NULL;
	memset((uint8_t *)p + from, 0, len - from);
	return p;
}

/* Elements that hold the next bytes. */
unsigned
q2_iov_count(const struct q2_req *r, uint64_t len)
{
	uint64_t sum = 0;
	unsigned n;

	for (n = 0; n < r->niov && sum < len; n++)
		sum += r->iov[n].iov_len;
	return n;
}

/* Takes the next bytes off the request's array, which is ours to use up. */
unsigned
q2_iov_take(struct q2_req *r, uint64_t len, struct iovec *out)
{
	unsigned n = 0;
	size_t part;

	while (len != 0 && r->niov != 0) {
		part = q2_min(len, r->iov->iov_len);
		out[n++] = (struct iovec){ r->iov->iov_base, part };
		len -= part;
		r->iov->iov_base = (uint8_t *)r->iov->iov_base + part;
		r->iov->iov_len -= part;
		if (r->iov->iov_len == 0) {
			r->iov++;
			r->niov--;
		}
	}
	return n;
}

void
q2_iov_zero(struct q2_req *r, uint64_t len)
{
	struct iovec part;

	for (; len != 0 && r->niov != 0; len -= part.iov_len) {
		(void)q2_iov_take(r, q2_min(len, r->iov->iov_len), &part);
		memset(part.iov_base, 0, part.iov_len);
	}
}

/* Waits until all is in the file; 0 once it is. */
static int
q2_settle(struct q2_req *r)
{
	struct q2 *q = r->q;

	q2_free(q);
	if (q->freeing) {
		disk_queue_add(&q->free_waiters, &r->wait);
		return -EINPROGRESS;
	}
	if (!q->commit.running && q2_is_clean(q))
		return 0;
	disk_queue_add(&q->flushes, &r->wait);
	if (!q->commit.running)
		q2_commit_start(q);
	return -EINPROGRESS;
}

static void
q2_last_done(struct disk_req *req, int res)
{
	struct q2_last *l = (struct q2_last *)((char *)req -
	    offsetof(struct q2_last, io));

	q2_child_ended(l->r, res);
}

static void
q2_detach_one(struct q2_req *r, struct q2_last *l, struct disk *on)
{
	*l = (struct q2_last){
		.r = r,
		.io = { .op = DISK_DETACH, .done = q2_last_done },
	};
	r->children++;
	disk_submit(on, &l->io);
}

static void
q2_detach(struct q2_req *r)
{
	struct q2 *q = r->q;

	if (r->res == 0 && q2_settle(r) == -EINPROGRESS)
		return;
	/* What was read ahead is no request's. */
	if (!q2_unpacker_is_idle(q->unpacker, &r->wait))
		return;
	q2_commit_forget(q);
	q->freed.n = 0;
	disk_tables_drop(q->d.tables, q->file);
	/* None of them is to be the last while others start. */
	r->children++;
	q2_detach_one(r, &q->last[0], q->file);
	if (q2_has_data_file(q))
		q2_detach_one(r, &q->last[1], q->data);
	if (q->backing != NULL)
		q2_detach_one(r, &q->last[2], q->backing);
	r->walked = true;
	q2_child_ended(r, 0);
}

static void
q2_detach_woken(struct disk_wait *w, int res)
{
	struct q2_req *r = (struct q2_req *)((char *)w -
	    offsetof(struct q2_req, wait));

	if (res != 0 && r->res == 0)
		r->res = res;
	q2_detach(r);
}

static void
q2_attach(struct disk *d)
{
	struct q2 *q = q2_of(d);

	disk_attach(q->file, d->aio, d->tables);
	if (q2_has_data_file(q))
		disk_attach(q->data, d->aio, d->tables);
	if (q->backing != NULL)
		disk_attach(q->backing, d->aio, d->tables);
}

static int
q2_begin(struct q2 *q, struct q2_req *r)
{
	static int (*const step[])(struct q2_req *) = {
		[DISK_READ] = q2_read_step,
		[DISK_WRITE] = q2_write_step,
		[DISK_FLUSH] = q2_flush_step,
		[DISK_DISCARD] = q2_zero_step,
		[DISK_ZERO] = q2_zero_step,
		[DISK_STATUS] = q2_status_step,
		[DISK_DETACH] = NULL,
	};
	struct disk_req *req = r->req;
	bool moves = req->op != DISK_FLUSH && req->op != DISK_DETACH;

	r->wait.fn = req->op == DISK_DETACH ? q2_detach_woken : q2_woken;
	r->step = step[req->op];
	r->pos = moves ? req->offset : 0;
	r->end = moves ? req->offset + req->len : 1;
	r->iov = req->iov;
	r->niov = req->op == DISK_READ || req->op == DISK_WRITE ? req->niov :
	    0;
	if (moves)
		q2_enlist(q, r);
	return moves && req->op != DISK_READ && req->op != DISK_STATUS &&
	    q->d.info.readonly ? -EBADF : 0;
}

/* Whoever detaches a disk closes it then, whatever comes of it. */
static struct q2_req *
q2_req_create(struct q2 *q, enum disk_op op)
{
	if (op != DISK_DETACH)
		return calloc(1, sizeof(struct q2_req));
	memset(&q->detach, 0, sizeof(q->detach));
	return &q->detach;
}

static void
q2_submit(struct disk *d, struct disk_req *req)
{
	struct q2 *q = q2_of(d);
	struct q2_req *r = q2_req_create(q, req->op);

	if (r == NULL) {
		q2_answer(req, -ENOMEM, true);
		return;
	}
	r->q = q;
	r->req = req;
	r->res = q2_begin(q, r);
	/* One more, so that it lives until the end of this function. */
	r->children = 1;
	r->inside = true;
	if (req->op == DISK_DETACH)
		q2_detach(r);
	else
		q2_run(r);
	r->children--;
	if (r->walked && r->children == 0) {
		q2_end_if_over(r);
		return;
	}
	r->inside = false;
}

static void
q2_close(struct disk *d)
{
	struct q2 *q = q2_of(d);

	if (q2_has_data_file(q))
		disk_close(q->data);
	disk_close(q->backing);
	disk_close(q->file);
	free(q->l1);
	free(q->l1_dirty);
	free(q->rt);
	free(q->rt_dirty);
	free(q->reuse.run);
	free(q->unlinked.run);
	free(q->freed.run);
	free(q->giving.run);
	free(q->commit.frees.run);
	free(q->fixed.run);
	free(q->tables_were.run);
	q2_unpacker_destroy(q->unpacker);
	free(q->path);
	free(q);
}

const struct disk_format q2_format = {
	.kind = DISK_QCOW2,
	.attach = q2_attach,
	.submit = q2_submit,
	.close = q2_close,
	.check = q2_check,
	.resize_begin = q2_resize_begin,
	.resize_end = q2_resize_end,
	.resize_stale = q2_resize_stale,
};
