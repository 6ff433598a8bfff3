/* SPDX-License-Identifier: ISC */
/*
 * qcow2: writes.  What a request may write in place goes to the file as it
 * is.  Else clusters are filled: new ones, or such that have no data yet.
 *
 *	start      pos           stop        end
 *	  | head    | the guest's  | tail     |
 *	  +---------+--------------+----------+
 *
 * Head and tail are the rest of the first and the last cluster, or of the part
 * of it that has a state of its own.  They are read as the guest would read
 * them, by requests of our own, and written with the guest's bytes at once.
 * The tables change when that is done.  Meanwhile whoever else wants to fill
 * one of the clusters waits; and since a sector of the guest's may need a
 * cluster of ours, so does who comes when heads and tails have their room.
 */
#include <assert.h>
#include <stdlib.h>

#include "devices/disk_qcow2.h"

#define ALL_SUBS	UINT64_C(0xffffffff)

/* Bytes of heads and tails in memory with which no filling begins any more. */
#define RESTS_FULL	(4u << 20)

static int
q2_write_in_place(struct q2_req *r, const struct q2_extent *x)
{
	struct q2_child *c = q2_child_create(r, DISK_WRITE, x->host, x->len);

	if (c == NULL)
		return -ENOMEM;
	r->pos += x->len;
	q2_child_start(c, r->q->data);
	return 0;
}

/* Is the cluster in the file already, for nobody else? */
static bool
q2_can_reuse(uint64_t entry)
{
	return (entry & Q2_COMPRESSED_BIT) == 0 &&
	    (entry & Q2_OFFSET) != 0 && (entry & Q2_COPIED) != 0;
}

/* Must all of an old cluster go into the new one, though it is in parts? */
static bool
q2_copies_whole(const struct q2 *q, uint64_t entry)
{
	if (q2_has_data_file(q))
		return false;
	return (entry & Q2_COMPRESSED_BIT) != 0 ||
	    ((entry & Q2_OFFSET) != 0 && !q2_can_reuse(entry));
}

/* Parts of a cluster, from one byte in it to another, as bits. */
static uint64_t
q2_subs(const struct q2 *q, uint64_t from, uint64_t to)
{
	unsigned first = (unsigned)(from >> q->sub_bits);
	unsigned last = (unsigned)((to - 1) >> q->sub_bits);

	return ALL_SUBS >> (31 - last + first) << first;
}

/* The entry of the filled cluster number `i`. */
static void
q2_fill_entry(struct q2 *q, struct q2_fill *f, uint64_t i)
{
	uint64_t size = q2_cluster_size(q), at = (f->first + i) * size;
	uint64_t old, bitmap, now, from = 0, to = size;
	unsigned index = f->index + (unsigned)i;

	old = q2_entry(q, f->s, index);
	bitmap = q2_bitmap(q, f->s, index);
	if (q->extended) {
		if (f->start > at)
			from = f->start - at;
		if (f->end < at + size)
			to = f->end - at;
		now = q2_subs(q, from, to);
		bitmap = (bitmap | now) & ~(now << 32);
	}
	q2_set_entry(q, f->s, index, (f->host + i * size) | Q2_COPIED, bitmap);
	if (!f->reused)
		q2_unlink_entry(q, old);
}

/* Where those in the same piece of a table are, the highest first. */
static struct q2_fill **
q2_fill_bucket(struct q2 *q, uint64_t cluster)
{
	return &q->fills[cluster / (q->slice_len / q->entry_len) %
	    Q2_FILL_BUCKETS];
}

/*
 * The lowest one that has the cluster or is above it; NULL if none is near
 * it.  Who goes up finds his place at the begin of the list.
 */
struct q2_fill *
q2_fill_from(struct q2 *q, uint64_t cluster)
{
	struct q2_fill *f, *found = NULL;

	for (f = *q2_fill_bucket(q, cluster);
	    f != NULL && f->first + f->n > cluster; f = f->below)
		found = f;
	return found;
}

static void
q2_fill_insert(struct q2 *q, struct q2_fill *f)
{
	struct q2_fill **bucket = q2_fill_bucket(q, f->first);

	f->above = q2_fill_from(q, f->first);
	f->below = f->above != NULL ? f->above->below : *bucket;
	if (f->above != NULL)
		f->above->below = f;
	else
		*bucket = f;
	if (f->below != NULL)
		f->below->above = f;
}

static void
q2_fill_remove(struct q2 *q, struct q2_fill *f)
{
	if (f->above != NULL)
		f->above->below = f->below;
	else
		*q2_fill_bucket(q, f->first) = f->below;
	if (f->below != NULL)
		f->below->above = f->above;
}

/* The host's clusters, whose filling failed, are nobody's. */
static void
q2_fill_undo(struct q2 *q, const struct q2_fill *f)
{
	if (!f->reused)
		q2_unlink(q, f->host, f->n);
}

/* Who waits for room goes on in order, as far as there is room. */
static void
q2_rests_wake(struct q2 *q)
{
	struct disk_wait *w;

	while (q->rests < RESTS_FULL && (w = q->crowded.first) != NULL) {
		q->crowded.first = w->next;
		w->fn(w, 0);
	}
}

static void
q2_fill_end(struct q2_fill *f, int res)
{
	struct q2 *q = f->r->q;
	struct q2_req *r = f->r;
	uint64_t i;

	if (res == 0)
		for (i = 0; i < f->n; i++)
			q2_fill_entry(q, f, i);
	else
		q2_fill_undo(q, f);
	q2_fill_remove(q, f);
	disk_slice_put(f->s);
	free(f->head);
	free(f->tail);
	q->rests -= f->rests;
	q2_rests_wake(q);
	disk_queue_wake(&f->waiters, 0);
	free(f);
	q2_commit_if_due(q);
	q2_child_ended(r, res);
}

static void
q2_fill_written(struct disk_req *req, int res)
{
	q2_fill_end((struct q2_fill *)((char *)req -
	    offsetof(struct q2_fill, io)), res);
}

static void
q2_fill_write(struct q2_fill *f)
{
	struct q2 *q = f->r->q;
	uint64_t base = f->first << q->cluster_bits, len = f->stop - f->pos;
	struct iovec *iov = f->iov + 1;
	unsigned n = f->niov;
	uint64_t off = f->pos;

	if (f->head != NULL) {
		*--iov = (struct iovec){ f->head, f->pos - f->start };
		off = f->start;
		len += f->pos - f->start;
		n++;
	}
	if (f->tail != NULL) {
		f->iov[1 + f->niov] = (struct iovec){ f->tail,
		    f->end - f->stop };
		len += f->end - f->stop;
		n++;
	}
	f->io = (struct disk_req){
		.op = DISK_WRITE,
		.offset = f->host + (off - base),
		.iov = iov,
		.niov = n,
		.len = len,
		.done = q2_fill_written,
	};
	disk_submit(q->data, &f->io);
}

static void
q2_fill_read(struct q2_fill *f, int res)
{
	if (res != 0 && f->res == 0)
		f->res = res;
	if (--f->reads != 0)
		return;
	if (f->res != 0)
		q2_fill_end(f, f->res);
	else
		q2_fill_write(f);
}

static void
q2_head_read(struct disk_req *req, int res)
{
	q2_fill_read((struct q2_fill *)((char *)req -
	    offsetof(struct q2_fill, head_req)), res);
}

static void
q2_tail_read(struct disk_req *req, int res)
{
	q2_fill_read((struct q2_fill *)((char *)req -
	    offsetof(struct q2_fill, tail_req)), res);
}

/* Reads what the guest would see there; beyond the disk's end are zeroes. */
static void
q2_read_rest(struct q2_fill *f, struct disk_req *req, struct iovec *iov,
    uint8_t *to, uint64_t off, uint64_t end)
{
	struct q2 *q = f->r->q;

	end = q2_min(end, q->d.info.size);
	if (to == NULL || off >= end)
		return;
	*iov = (struct iovec){ to, end - off };
	req->op = DISK_READ;
	req->offset = off;
	req->iov = iov;
	req->niov = 1;
	req->len = end - off;
	f->reads++;
	disk_submit(&q->d, req);
}

/* Does the part of a cluster with the byte at `pos` read zero? */
static bool
q2_rest_is_zero(struct q2_req *r, const struct q2_fill *f, uint64_t pos)
{
	unsigned index = f->index + (unsigned)((pos >> r->q->cluster_bits) -
	    f->first);
	struct q2_extent x;

	return q2_extent_at(r->q, f->s, index, pos, 1, &x) == 0 &&
	    q2_reads_zero(r->q, &x, pos);
}

/* Room for such bytes: zeroes where no read is to put others. */
static int
q2_rest_create(struct q2_fill *f, uint8_t **rest, uint64_t from, uint64_t to,
    bool read)
{
	uint64_t size = f->r->q->d.info.size;

	*rest = q2_alloc_bytes(to - from, !read || size <= from ? 0 :
	    q2_min(size, to) - from);
	if (*rest == NULL)
		return -ENOMEM;
	f->rests += to - from;
	return 0;
}

/* Room for head and tail where they must be written. */
static int
q2_fill_rest(struct q2_req *r, struct q2_fill *f, bool *read_head,
    bool *read_tail)
{
	int error = 0;

	*read_head = f->start < f->pos && (f->whole_first ||
	    !q2_rest_is_zero(r, f, f->start));
	*read_tail = f->stop < f->end && (f->whole_last ||
	    !q2_rest_is_zero(r, f, f->stop));
	if (f->start < f->pos && (*read_head || !f->fresh))
		error = q2_rest_create(f, &f->head, f->start, f->pos,
		    *read_head);
	if (error == 0 && f->stop < f->end && (*read_tail || !f->fresh))
		error = q2_rest_create(f, &f->tail, f->stop, f->end,
		    *read_tail);
	return error;
}

/* What the filling covers, beside the guest's bytes. */
static void
q2_fill_measure(struct q2_req *r, struct q2_fill *f)
{
	struct q2 *q = r->q;
	uint64_t size = q2_cluster_size(q), sub = UINT64_C(1) << q->sub_bits;
	unsigned last = f->index + (unsigned)f->n - 1;

	f->whole_first = q2_copies_whole(q, q2_entry(q, f->s, f->index));
	f->whole_last = q2_copies_whole(q, q2_entry(q, f->s, last));
	f->start = f->pos - f->pos % (f->whole_first ? size : sub);
	f->end = f->stop + (f->whole_last ? size : sub) - 1;
	f->end -= f->end % (f->whole_last ? size : sub);
}

static int
q2_fill_start(struct q2_req *r, const struct q2_fill *want)
{
	unsigned n = q2_iov_count(r, want->stop - want->pos);
	struct q2_fill *f = calloc(1, sizeof(*f) + (n + 2) * sizeof(f->iov[0]));
	bool read_head, read_tail;
	int error;

	if (f == NULL)
		return -ENOMEM;
	*f = *want;
	f->r = r;
	q2_fill_measure(r, f);
	error = q2_fill_rest(r, f, &read_head, &read_tail);
	if (error != 0) {
		free(f->head);
		free(f);
		return error;
	}
	f->niov = q2_iov_take(r, f->stop - f->pos, f->iov + 1);
	disk_slice_pin(f->s);
	q2_fill_insert(r->q, f);
	r->q->rests += f->rests;
	r->children++;
	r->pos = f->stop;
	/* One more, so that the write starts when both have been started. */
	f->reads = 1;
	f->head_req.done = q2_head_read;
	f->tail_req.done = q2_tail_read;
	if (read_head)
		q2_read_rest(f, &f->head_req, &f->head_iov, f->head, f->start,
		    f->pos);
	if (read_tail)
		q2_read_rest(f, &f->tail_req, &f->tail_iov, f->tail, f->stop,
		    f->end);
	q2_fill_read(f, 0);
	return 0;
}

/*
 * How many clusters from the first one on have no place of their own; at most
 * those that are left of the piece of the table, and of what is below others'.
 */
static uint64_t
q2_count_placeless(struct q2_req *r, const struct disk_slice *s,
    unsigned index)
{
	struct q2 *q = r->q;
	uint64_t first = r->pos >> q->cluster_bits, n;
	uint64_t end = ((r->end - 1) >> q->cluster_bits) + 1;
	const struct q2_fill *other = q2_fill_from(q, first);

	end = q2_min(end, first + q->slice_len / q->entry_len - index);
	if (other != NULL)
		end = q2_min(end, other->first);
	for (n = 1; first + n < end; n++)
		if (q2_can_reuse(q2_entry(q, s, index + (unsigned)n)))
			break;
	return n;
}

/* Finds a place for the next clusters, new or known. */
static int
q2_fill_place(struct q2_req *r, struct q2_fill *f, const struct q2_extent *x)
{
	struct q2 *q = r->q;
	uint64_t size = q2_cluster_size(q);
	int error;

	f->n = 1;
	f->reused = true;
	f->stop = r->pos + x->len;
	f->host = x->entry & Q2_OFFSET;
	if (q2_has_data_file(q))
		f->host = f->first * size;
	if (q2_has_data_file(q) || q2_can_reuse(x->entry)) {
		f->stop = q2_min(f->stop, (f->first + 1) * size);
		return 0;
	}
	f->reused = false;
	error = q2_alloc(q, q2_count_placeless(r, f->s, f->index), &r->wait,
	    &f->host, &f->n);
	if (error != 0)
		return error;
	f->stop = q2_min(r->end, (f->first + f->n) * size);
	f->fresh = disk_raw_grows(q->file) && f->host >= q->fresh_from;
	if (q->fresh_from < f->host + f->n * size)
		q->fresh_from = f->host + f->n * size;
	return 0;
}

static int
q2_fill(struct q2_req *r, struct disk_slice *s, unsigned index,
    const struct q2_extent *x)
{
	struct q2 *q = r->q;
	struct q2_fill want = {
		.s = s,
		.index = index,
		.first = r->pos >> q->cluster_bits,
		.pos = r->pos,
	}, *other = q2_fill_from(q, want.first);
	int error;

	if (other != NULL && other->first <= want.first) {
		disk_queue_add(&other->waiters, &r->wait);
		return -EINPROGRESS;
	}
	if (q->rests >= RESTS_FULL) {
		disk_queue_add(&q->crowded, &r->wait);
		return -EINPROGRESS;
	}
	error = q2_fill_place(r, &want, x);
	if (error != 0)
		return error;
	error = q2_fill_start(r, &want);
	if (error != 0)
		q2_fill_undo(q, &want);
	return error;
}

int
q2_write_step(struct q2_req *r)
{
	struct q2 *q = r->q;
	struct disk_slice *s;
	struct q2_extent x;
	unsigned index;
	int error;

	if (q2_is_throttled(q)) {
		q2_commit_if_due(q);
		disk_queue_add(&q->throttled, &r->wait);
		return -EINPROGRESS;
	}
	error = q2_own_table(q, r->pos, &r->wait);
	if (error != 0)
		return error;
	error = q2_table_slice(q, r->pos, &r->wait, &s, &index);
	if (error != 0)
		return error;
	error = q2_extent_at(q, s, index, r->pos, r->end - r->pos, &x);
	if (error == 0 && x.kind == Q2_NORMAL && x.own)
		error = q2_write_in_place(r, &x);
	else if (error == 0)
		error = q2_fill(r, s, index, &x);
	disk_slice_put(s);
	return error;
}
