/* SPDX-License-Identifier: ISC */
/*
 * qcow2: new clusters.  Those known to be free come first, then the
 * refcounts are gone through from the file's begin to its end, once.  Where
 * they end, a refcount block is made for the clusters beyond, or a longer
 * refcount table; whoever needs a cluster waits for that.
 */
#include <assert.h>
#include <stdlib.h>

#include "devices/disk_qcow2.h"

uint64_t
q2_refcount(const struct q2 *q, const uint8_t *p, uint64_t i)
{
	unsigned bits = 1u << q->rc_order, n;
	uint64_t v = 0;

	if (bits < 8)
		return p[i * bits / 8] >> (i * bits % 8) & ((1u << bits) - 1);
	for (n = 0; n < bits / 8; n++)
		v = v << 8 | p[i * (bits / 8) + n];
	return v;
}

void
q2_set_refcount(const struct q2 *q, uint8_t *p, uint64_t i, uint64_t v)
{
	unsigned bits = 1u << q->rc_order, n, shift;

	if (bits < 8) {
		shift = i * bits % 8;
		p[i * bits / 8] = (uint8_t)((p[i * bits / 8] &
		    ~(((1u << bits) - 1) << shift)) | v << shift);
		return;
	}
	for (n = bits / 8; n > 0; n--, v >>= 8)
		p[i * (bits / 8) + n - 1] = (uint8_t)v;
}

/* Refcounts in a slice. */
static uint64_t
q2_slice_counts(const struct q2 *q)
{
	return (uint64_t)q->slice_len * 8 >> q->rc_order;
}

/* The cluster's refcount block must be there. */
int
q2_refcount_slice(struct q2 *q, uint64_t cluster, struct disk_wait *w,
    struct disk_slice **sp, unsigned *index)
{
	uint64_t block = cluster >> q->rb_bits, counts = q2_slice_counts(q);
	uint64_t i = cluster & ((UINT64_C(1) << q->rb_bits) - 1);

	if (block >= q->rt_size || q->rt[block] == 0 ||
	    q->rt[block] % q2_cluster_size(q) != 0)
		return q2_corrupt(q, "no refcount block is for",
		    cluster << q->cluster_bits);
	*index = (unsigned)(i % counts);
	return disk_tables_get(q->d.tables, q->file,
	    q->rt[block] + i / counts * q->slice_len, q->slice_len, w, sp);
}

void
q2_slice_dirty(struct q2 *q, struct disk_slice *s, bool refcounts)
{
	struct disk_slice **list = refcounts ? &q->rc_dirty : &q->l2_dirty;

	if (s->dirty)
		return;
	s->dirty = true;
	s->dirty_next = *list;
	*list = s;
	disk_slice_pin(s);
	q->ndirty++;
}

/* Is one of these clusters in a list that is in order? */
static bool
q2_runs_meet(const struct q2_runs *rs, uint64_t first, uint64_t n)
{
	size_t low = 0, high = rs->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (rs->run[mid].first + rs->run[mid].n <= first)
			low = mid + 1;
		else
			high = mid;
	}
	return low < rs->n && rs->run[low].first < first + n;
}

/* Does a table that is in memory link to one of these clusters? */
static bool
q2_links_meet(const struct q2 *q, const uint64_t *table, uint64_t size,
    uint64_t first, uint64_t n)
{
	uint64_t i;

	for (i = 0; i < size; i++)
		if ((table[i] & Q2_OFFSET) != 0 && ((table[i] & Q2_OFFSET) >>
		    q->cluster_bits) - first < n)
			return true;
	return false;
}

/*
 * A refcount of zero is wrong for what the header names, for tables of
 * snapshots, and for L2 tables and refcount blocks: those of the open, unless
 * they have moved since.  What was made since has the refcount that was given
 * to it.
 */
static bool
q2_is_known(const struct q2 *q, uint64_t cluster, uint64_t n)
{
	uint64_t size = q2_cluster_size(q), off = cluster * size;
	uint64_t end = off + n * size;

	return cluster == 0 ||
	    (off < q->l1_offset + q->l1_whole * 8 && q->l1_offset < end) ||
	    (off < q->rt_offset + q->rt_size * 8 && q->rt_offset < end) ||
	    q2_runs_meet(&q->fixed, cluster, n) ||
	    (q2_runs_meet(&q->tables_were, cluster, n) &&
	    (q2_links_meet(q, q->l1, q->l1_size, cluster, n) ||
	    q2_links_meet(q, q->rt, q->rt_size, cluster, n)));
}

/* -EUCLEAN, for q2_alloc(). */
static int
q2_refuse(struct q2 *q, const char *what, uint64_t cluster)
{
	(void)q2_corrupt(q, what, cluster << q->cluster_bits);
	return -EUCLEAN;
}

static int
q2_take(struct q2 *q, struct disk_slice *s, unsigned index, uint64_t cluster,
    uint64_t n, uint64_t *host)
{
	uint64_t i;

	if (q2_is_known(q, cluster, n))
		return q2_refuse(q, "a table's refcount is 0 at", cluster);
	for (i = 0; i < n; i++)
		q2_set_refcount(q, s->data, index + i, 1);
	q2_slice_dirty(q, s, true);
	*host = cluster << q->cluster_bits;
	return 0;
}

struct q2_table *
q2_table_create(struct q2 *q, size_t len)
{
	struct q2_table *t = calloc(1, sizeof(*t) + len);

	if (t == NULL)
		return NULL;
	t->q = q;
	t->len = len;
	return t;
}

static void
q2_table_free(struct q2_table *t)
{
	free(t->longer);
	free(t->longer_dirty);
	free(t);
}

void
q2_table_write(struct q2_table *t)
{
	uint64_t end = t->host + t->len;

	if (t->q->fresh_from < end)
		t->q->fresh_from = end;
	/* The clusters may have been a table once. */
	disk_tables_drop_part(t->q->d.tables, t->q->file, t->host, t->len);
	t->iov = (struct iovec){ t->data, t->len };
	t->io.op = DISK_WRITE;
	t->io.offset = t->host;
	t->io.iov = &t->iov;
	t->io.niov = 1;
	t->io.len = t->len;
	disk_submit(t->q->file, &t->io);
}

static void
q2_block_done(struct disk_req *req, int res)
{
	struct q2_table *t = (struct q2_table *)((char *)req -
	    offsetof(struct q2_table, io));
	struct q2 *q = t->q;

	q->growing = NULL;
	if (res == 0)
		t->made(t);
	disk_queue_wake(&t->waiters, res);
	q2_table_free(t);
}

static int
q2_grow(struct q2_table *t, struct disk_wait *w)
{
	struct q2 *q = t->q;

	t->io.done = q2_block_done;
	q->growing = t;
	disk_queue_add(&t->waiters, w);
	q2_table_write(t);
	return -EINPROGRESS;
}

static void
q2_block_made(struct q2_table *t)
{
	struct q2 *q = t->q;

	q->rt[t->index] = t->host;
	q->rt_dirty[t->index / Q2_ENTRY_BLOCK] = 1;
	q->rt_changed = true;
}

/* A refcount block, for clusters of which it is the first itself. */
static int
q2_make_block(struct q2 *q, uint64_t block, struct disk_wait *w)
{
	uint64_t cluster = block << q->rb_bits;
	struct q2_table *t;

	if (q2_is_known(q, cluster, 1))
		return q2_refuse(q, "no refcount block is for", cluster);
	t = q2_table_create(q, q2_cluster_size(q));
	if (t == NULL)
		return -ENOMEM;
	q2_set_refcount(q, t->data, 0, 1);
	t->index = block;
	t->host = cluster << q->cluster_bits;
	t->made = q2_block_made;
	return q2_grow(t, w);
}

/* `host` are the new blocks, behind the room for the table itself. */
static void
q2_longer_made(struct q2_table *t)
{
	struct q2 *q = t->q;
	uint64_t size = q2_cluster_size(q), n = t->len / size, i;
	uint64_t *old = q->rt;

	memcpy(t->longer, old, q->rt_size * 8);
	for (i = 0; i < n; i++)
		t->longer[q->rt_size + i] = t->host + i * size;
	q2_unlink(q, q->rt_offset, (q->rt_size * 8 + size - 1) / size);
	free(q->rt_dirty);
	q->rt_dirty = t->longer_dirty;
	q->rt = t->longer;
	q->rt_offset = t->host - t->longer_clusters * size;
	q->rt_size = t->longer_clusters * size / 8;
	q->rt_moved = true;
	q->rt_changed = true;
	t->longer = NULL;
	t->longer_dirty = NULL;
	free(old);
}

/* How many clusters of table, and of blocks for them, make it half as long. */
static void
q2_measure_longer(const struct q2 *q, uint64_t *clusters, uint64_t *blocks)
{
	uint64_t size = q2_cluster_size(q), per = UINT64_C(1) << q->rb_bits;
	uint64_t n, want;

	*clusters = (q->rt_size * 8 * 3 / 2 + size - 1) / size;
	for (;; ++*clusters) {
		*blocks = 1;
		while ((n = (*clusters + *blocks + per - 1) / per) > *blocks)
			*blocks = n;
		want = (q->rt_size + *blocks) * 8;
		if (want <= *clusters * size)
			return;
	}
}

/* A longer table and its blocks, where the refcounts have ended until now. */
static int
q2_make_longer(struct q2 *q, struct disk_wait *w)
{
	uint64_t size = q2_cluster_size(q), clusters, blocks, i;
	uint64_t end = q->rt_size << q->rb_bits;
	struct q2_table *t;

	q2_measure_longer(q, &clusters, &blocks);
	if (clusters * size > Q2_REFTABLE_MAX)
		return -EFBIG;
	if (q2_is_known(q, end, clusters + blocks))
		return q2_refuse(q, "no refcount block is for", end);
	t = q2_table_create(q, blocks * size);
	if (t == NULL)
		return -ENOMEM;
	t->longer = calloc(clusters, size);
	t->longer_dirty = calloc(clusters, size / 8 / Q2_ENTRY_BLOCK + 1);
	if (t->longer == NULL || t->longer_dirty == NULL) {
		q2_table_free(t);
		return -ENOMEM;
	}
	for (i = 0; i < clusters + blocks; i++)
		q2_set_refcount(q, t->data, i, 1);
	t->longer_clusters = clusters;
	t->host = (end + clusters) << q->cluster_bits;
	t->made = q2_longer_made;
	return q2_grow(t, w);
}

/* How many from `i` on, at most `n`, are free. */
static uint64_t
q2_count_free(const struct q2 *q, const struct disk_slice *s, unsigned i,
    uint64_t n)
{
	uint64_t k, counts = q2_slice_counts(q);

	for (k = 0; k < n && i + k < counts; k++)
		if (q2_refcount(q, s->data, i + k) != 0)
			break;
	return k;
}

/* A run whose refcounts cannot be read stays off the list: others may do. */
static void
q2_reuse_read(struct disk_wait *w, int res)
{
	struct q2 *q = (struct q2 *)((char *)w -
	    offsetof(struct q2, reuse_wait));

	if (res == 0)
		(void)q2_add_run(&q->reuse, q->reuse_run.first,
		    q->reuse_run.n);
	q->reuse_run.n = 0;
	disk_queue_wake(&q->reuse_waiters, 0);
}

/* The refcounts of the last run in the list, which goes if there are none. */
static int
q2_reuse_slice(struct q2 *q, struct disk_wait *w, struct disk_slice **sp,
    unsigned *index)
{
	const struct q2_run *run = &q->reuse.run[q->reuse.n - 1];
	int error;

	q->reuse_wait.fn = q2_reuse_read;
	error = q2_refcount_slice(q, run->first, &q->reuse_wait, sp, index);
	if (error == 0 || error == -ENOMEM)
		return error;
	q->reuse.n--;
	if (error != -EINPROGRESS)
		return -EAGAIN;
	q->reuse_run = *run;
	disk_queue_add(&q->reuse_waiters, w);
	return error;
}

/*
 * From the list of what was given back, of which the scan may have taken some:
 * -EAGAIN.  -ENOENT if there is nothing in it.
 */
static int
q2_alloc_known(struct q2 *q, uint64_t n, struct disk_wait *w, uint64_t *host,
    uint64_t *got)
{
	struct disk_slice *s;
	struct q2_run *run;
	unsigned index;
	uint64_t used;
	int error;

	if (q->reuse_run.n != 0) {
		disk_queue_add(&q->reuse_waiters, w);
		return -EINPROGRESS;
	}
	if (q->reuse.n == 0)
		return -ENOENT;
	error = q2_reuse_slice(q, w, &s, &index);
	if (error != 0)
		return error;
	run = &q->reuse.run[q->reuse.n - 1];
	*got = q2_count_free(q, s, index, q2_min(n, run->n));
	error = *got == 0 ? -EAGAIN :
	    q2_take(q, s, index, run->first, *got, host);
	disk_slice_put(s);
	used = *got != 0 ? *got : 1;
	run->first += used;
	run->n -= used;
	if (run->n == 0)
		q->reuse.n--;
	return error;
}

/* The next that are free in one slice; -EAGAIN if there are none. */
static int
q2_alloc_scan(struct q2 *q, uint64_t n, struct disk_wait *w, uint64_t *host,
    uint64_t *got)
{
	uint64_t counts = q2_slice_counts(q);
	unsigned index, first;
	struct disk_slice *s;
	int error;

	error = q2_refcount_slice(q, q->scan, w, &s, &index);
	if (error != 0)
		return error;
	for (first = index; first < counts; first++)
		if (q2_refcount(q, s->data, first) == 0)
			break;
	q->scan += first - index;
	*got = q2_count_free(q, s, first, n);
	if (*got == 0)
		error = -EAGAIN;
	else
		error = q2_take(q, s, first, q->scan, *got, host);
	q->scan += *got;
	disk_slice_put(s);
	return error;
}

/* Behind all that was known; -EAGAIN if that was used already. */
static int
q2_alloc_next(struct q2 *q, uint64_t n, struct disk_wait *w, uint64_t *host,
    uint64_t *got)
{
	uint64_t block = q->scan >> q->rb_bits;

	if (q->growing != NULL) {
		disk_queue_add(&q->growing->waiters, w);
		return -EINPROGRESS;
	}
	if (block >= q->rt_size)
		return q2_make_longer(q, w);
	if (q->rt[block] == 0)
		return q2_make_block(q, block, w);
	return q2_alloc_scan(q, n, w, host, got);
}

static void
q2_marked(struct disk_req *req, int res)
{
	struct q2_table *t = (struct q2_table *)((char *)req -
	    offsetof(struct q2_table, io));

	/* The request fails in any case. */
	(void)res;
	disk_queue_wake(&t->waiters, -EIO);
	q2_table_free(t);
}

/* Nobody is to write to the image any more until it is repaired. */
static int
q2_mark(struct q2 *q, struct disk_wait *w)
{
	struct q2_table *t;

	q->refused = true;
	if (q->version < 3)
		return -EIO;
	t = q2_table_create(q, sizeof(uint64_t));
	if (t == NULL)
		return -EIO;
	q2_put_be64(t->data, q->incompatible | Q2_INCOMPAT_CORRUPT);
	t->host = offsetof(struct q2_header, incompatible);
	t->io.done = q2_marked;
	disk_queue_add(&t->waiters, w);
	q2_table_write(t);
	return -EINPROGRESS;
}

/*
 * Looks at one slice: -EAGAIN if nothing was free there, and others may be.
 * Once a refcount was wrong, none is believed: -EIO.
 */
int
q2_alloc(struct q2 *q, uint64_t n, struct disk_wait *w, uint64_t *host,
    uint64_t *got)
{
	int error;

	if (q->refused)
		return -EIO;
	error = q2_alloc_known(q, n, w, host, got);
	if (error == -ENOENT)
		error = q2_alloc_next(q, n, w, host, got);
	return error == -EUCLEAN ? q2_mark(q, w) : error;
}
