/* SPDX-License-Identifier: ISC */
/*
 * qcow2: clusters that tables linked to.  They are given back when a commit
 * has made the file forget the links, and when every request that may still
 * use them is over: the file system gets their room, their refcounts sink.
 */
#include <stdlib.h>

#include "devices/disk_qcow2.h"

#define REUSE_MAX	1024u	/* runs */

/* Runs that are put in order at once; more are another thread's work. */
#define SORT_MAX	4096u

int
q2_add_run(struct q2_runs *rs, uint64_t first, uint64_t n)
{
	struct q2_run *last = rs->n > 0 ? &rs->run[rs->n - 1] : NULL, *more;
	size_t room;

	if (last != NULL && last->first + last->n == first) {
		last->n += n;
		return 0;
	}
	if (rs->n == rs->room) {
		room = rs->room != 0 ? rs->room * 2 : 64;
		more = realloc(rs->run, room * sizeof(*more));
		if (more == NULL)
			return -ENOMEM;
		rs->run = more;
		rs->room = room;
	}
	rs->run[rs->n++] = (struct q2_run){ first, n };
	return 0;
}

/* Without memory the clusters leak, which is safe. */
void
q2_unlink(struct q2 *q, uint64_t host, uint64_t n)
{
	(void)q2_add_run(&q->unlinked, host >> q->cluster_bits, n);
}

/* What an L2 entry linked to; the external file's clusters are not counted. */
void
q2_unlink_entry(struct q2 *q, uint64_t entry)
{
	uint64_t off, len, last, c;

	if (q2_has_data_file(q))
		return;
	if ((entry & Q2_COMPRESSED_BIT) == 0) {
		if ((entry & Q2_OFFSET) != 0)
			q2_unlink(q, entry & Q2_OFFSET, 1);
		return;
	}
	/* A cluster may have several: each counts, so runs must not merge. */
	q2_packed_at(q, entry, &off, &len);
	off -= off % DISK_SECTOR;
	last = (off + len - 1) >> q->cluster_bits;
	for (c = off >> q->cluster_bits; c <= last; c++)
		q2_unlink(q, c << q->cluster_bits, 1);
}

static void
q2_freed(struct q2 *q, const struct q2_run *run)
{
	size_t i;

	/* The scan comes by all others. */
	if (run->first >= q->scan)
		return;
	if (q->reuse.n < REUSE_MAX &&
	    q2_add_run(&q->reuse, run->first, run->n) == 0)
		return;
	/* It goes back, and comes by those in the list, too. */
	q->scan = run->first;
	for (i = 0; i < q->reuse.n; i++)
		q->scan = q2_min(q->scan, q->reuse.run[i].first);
	q->reuse.n = 0;
}

/* The file has no room for them any more; their refcounts become zero. */
static int
q2_count_zero(struct q2 *q)
{
	struct disk_slice *s;
	unsigned index;
	uint64_t i;
	int error;

	error = q2_refcount_slice(q, q->free_run.first, &q->free_wait, &s,
	    &index);
	if (error != 0)
		return error;
	for (i = 0; i < q->free_run.n; i++)
		q2_set_refcount(q, s->data, index + i, 0);
	q2_slice_dirty(q, s, true);
	disk_slice_put(s);
	q2_freed(q, &q->free_run);
	q->free_run.n = 0;
	return 0;
}

static void q2_free_more(struct q2 *q);

static void
q2_punched(struct disk_req *req, int res)
{
	struct q2 *q = (struct q2 *)((char *)req -
	    offsetof(struct q2, free_req));

	/* The room stays taken; it can be used again all the same. */
	(void)res;
	q2_free_more(q);
}

static void
q2_punch(struct q2 *q)
{
	q->free_req = (struct disk_req){
		.op = DISK_DISCARD,
		.offset = q->free_run.first << q->cluster_bits,
		.len = q->free_run.n << q->cluster_bits,
		.done = q2_punched,
	};
	disk_submit(q->file, &q->free_req);
}

static void
q2_free_yielded(struct aio_op *op, int res)
{
	struct q2 *q = (struct q2 *)((char *)op -
	    offsetof(struct q2, free_req.file.aio));

	(void)res;
	q2_free_more(q);
}

/* What follows is other slices' or another run's: others come first. */
static void
q2_free_yield(struct q2 *q)
{
	q->free_req.file.aio.done = q2_free_yielded;
	aio_nop(q->d.aio, &q->free_req.file.aio);
}

/* Shared ones, in one slice, that are so no more or by fewer: how many. */
static uint64_t
q2_count_shared(struct q2 *q, struct disk_slice *s, unsigned index,
    uint64_t max)
{
	uint64_t v, n, counts = (uint64_t)q->slice_len * 8 >> q->rc_order;

	for (n = 0; n < max && index + n < counts; n++) {
		v = q2_refcount(q, s->data, index + n);
		if (v < 2)
			break;
		q2_set_refcount(q, s->data, index + n, v - 1);
	}
	if (n != 0)
		q2_slice_dirty(q, s, true);
	return n;
}

/* The first of `run` whose refcount is 1, or those that are shared. */
static int
q2_count_down(struct q2 *q, struct q2_run *run)
{
	uint64_t n, counts = (uint64_t)q->slice_len * 8 >> q->rc_order;
	struct disk_slice *s;
	unsigned index;
	int error;

	error = q2_refcount_slice(q, run->first, &q->free_wait, &s, &index);
	if (error != 0)
		return error;
	for (n = 0; n < run->n && index + n < counts; n++)
		if (q2_refcount(q, s->data, index + n) != 1)
			break;
	if (n > 0) {
		q->free_run = (struct q2_run){ run->first, n };
	} else if ((n = q2_count_shared(q, s, index, run->n)) == 0) {
		error = q2_corrupt(q, "the refcount is 0 already at",
		    run->first << q->cluster_bits);
	}
	disk_slice_put(s);
	run->first += n;
	run->n -= n;
	return error;
}

/* Goes on with the last run; what cannot be given back leaks. */
static void
q2_free_more(struct q2 *q)
{
	struct q2_run *run;
	int error = 0;

	if (q->free_run.n != 0)
		error = q2_count_zero(q);
	while (error != -EINPROGRESS && q->giving.n > 0) {
		run = &q->giving.run[q->giving.n - 1];
		error = q2_count_down(q, run);
		if (error == -EINPROGRESS)
			return;
		if (error != 0 || run->n == 0)
			q->giving.n--;
		if (error == 0) {
			if (q->free_run.n != 0)
				q2_punch(q);
			else
				q2_free_yield(q);
			return;
		}
	}
	if (error == -EINPROGRESS)
		return;
	q->freeing = false;
	disk_queue_wake(&q->free_waiters, 0);
	q2_commit_if_due(q);
}

static void
q2_free_woken(struct disk_wait *w, int res)
{
	struct q2 *q = (struct q2 *)((char *)w -
	    offsetof(struct q2, free_wait));

	if (res != 0) {
		/* That refcount cannot be read. */
		if (q->free_run.n != 0)
			q->free_run.n = 0;
		else
			q->giving.n--;
	}
	q2_free_more(q);
}

static int
q2_compare_runs(const void *va, const void *vb)
{
	const struct q2_run *a = va, *b = vb;

	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return 0;
}

/* In order, those beside each other as one: each is an operation on the file. */
static void
q2_sort_runs(struct q2_runs *rs)
{
	size_t n = rs->n, i;
	struct q2_run run;

	qsort(rs->run, n, sizeof(rs->run[0]), q2_compare_runs);
	rs->n = 0;
	for (i = 0; i < n; i++) {
		run = rs->run[i];
		/* There is room for as many. */
		(void)q2_add_run(rs, run.first, run.n);
	}
}

static int
q2_giving_sort(struct aio_op *op)
{
	struct q2 *q = (struct q2 *)((char *)op -
	    offsetof(struct q2, free_req.file.aio));

	q2_sort_runs(&q->giving);
	return 0;
}

void
q2_free(struct q2 *q)
{
	struct q2_runs empty = q->giving;

	if (q->freeing || q->freed.n == 0 ||
	    (q->oldest != NULL && q->oldest->seq <= q->freed_seq))
		return;
	q->giving = q->freed;
	q->freed = empty;
	q->freeing = true;
	q->free_wait.fn = q2_free_woken;
	if (q->giving.n > SORT_MAX) {
		q->free_req.file.aio.done = q2_free_yielded;
		aio_call(q->d.aio, q2_giving_sort, &q->free_req.file.aio);
		return;
	}
	q2_sort_runs(&q->giving);
	q2_free_more(q);
}
