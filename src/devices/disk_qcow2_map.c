/* SPDX-License-Identifier: ISC */
/*
 * qcow2: from guest offsets to host offsets, by the L1 table, which is in
 * memory, and L2 tables, of which the cache has pieces.
 */
#include <assert.h>
#include <stdlib.h>

#include "devices/disk_qcow2.h"

#define SUBS		32u		/* of an extended entry */

int
q2_table_slice(struct q2 *q, uint64_t pos, struct disk_wait *w,
    struct disk_slice **sp, unsigned *index)
{
	uint64_t i = pos >> (q->cluster_bits + q->l2_bits), table, at;

	*sp = NULL;
	if (i >= q->l1_size)
		return q2_corrupt(q, "the L1 table is too short for", pos);
	table = q->l1[i] & Q2_OFFSET;
	if (table == 0)
		return 0;
	if (table % q2_cluster_size(q) != 0)
		return q2_corrupt(q, "no L2 table can be for", pos);
	at = (pos >> q->cluster_bits & ((UINT64_C(1) << q->l2_bits) - 1)) *
	    q->entry_len;
	*index = (unsigned)(at % q->slice_len / q->entry_len);
	return disk_tables_get(q->d.tables, q->file,
	    table + (at - at % q->slice_len), q->slice_len, w, sp);
}

uint64_t
q2_entry(const struct q2 *q, const struct disk_slice *s, unsigned index)
{
	return q2_be64(s->data + (size_t)index * q->entry_len);
}

uint64_t
q2_bitmap(const struct q2 *q, const struct disk_slice *s, unsigned index)
{
	return q->extended ?
	    q2_be64(s->data + (size_t)index * q->entry_len + 8) : 0;
}

void
q2_set_entry(struct q2 *q, struct disk_slice *s, unsigned index,
    uint64_t entry, uint64_t bitmap)
{
	uint8_t *p = s->data + (size_t)index * q->entry_len;

	q2_put_be64(p, entry);
	if (q->extended)
		q2_put_be64(p + 8, bitmap);
	q2_slice_dirty(q, s, false);
}

/* What an entry says of the cluster, or of one part of it; false if nothing. */
static bool
q2_kind_of(const struct q2 *q, uint64_t entry, uint64_t bitmap, unsigned sub,
    enum q2_kind *kind)
{
	bool linked = (entry & Q2_OFFSET) != 0 ||
	    (q2_has_data_file(q) && (entry & Q2_COPIED) != 0);
	bool zero, here;

	if ((entry & Q2_COMPRESSED_BIT) != 0) {
		*kind = Q2_COMPRESSED;
		return !q2_has_data_file(q) && bitmap == 0;
	}
	if ((entry & Q2_OFFSET) % q2_cluster_size(q) != 0)
		return false;
	if (q->extended) {
		zero = (bitmap >> (SUBS + sub) & 1) != 0;
		here = (bitmap >> sub & 1) != 0;
		*kind = zero ? Q2_ZERO : here ? Q2_NORMAL : Q2_UNALLOCATED;
		return !(zero && here) && (linked || !here);
	}
	zero = q->version >= 3 && (entry & Q2_ZERO_BIT) != 0;
	*kind = zero ? Q2_ZERO : linked ? Q2_NORMAL : Q2_UNALLOCATED;
	return true;
}

/* The part of a cluster that begins at or before `pos`, up to its end. */
static int
q2_part(struct q2 *q, const struct disk_slice *s, unsigned index,
    uint64_t pos, struct q2_extent *x)
{
	uint64_t size = q2_cluster_size(q), sub = UINT64_C(1) << q->sub_bits;
	uint64_t in = pos % size;

	x->entry = q2_entry(q, s, index);
	if (!q2_kind_of(q, x->entry, q2_bitmap(q, s, index),
	    (unsigned)(in >> q->sub_bits), &x->kind))
		return q2_corrupt(q, "the L2 entry makes no sense for", pos);
	x->len = sub - pos % sub;
	if (x->kind == Q2_COMPRESSED)
		x->len = size - in;
	x->host = (x->entry & Q2_OFFSET) + in;
	if (q2_has_data_file(q) && x->kind == Q2_NORMAL && x->host != pos)
		return q2_corrupt(q, "the data file has elsewhere", pos);
	x->own = x->kind == Q2_NORMAL && ((x->entry & Q2_COPIED) != 0 ||
	    q2_has_data_file(q));
	return 0;
}

/* Where nothing is allocated, what is behind ends somewhere, too. */
static void
q2_cut(const struct q2 *q, uint64_t pos, uint64_t max, struct q2_extent *x)
{
	x->len = q2_min(x->len, max);
	if (x->kind == Q2_UNALLOCATED && pos < q->backing_size)
		x->len = q2_min(x->len, q->backing_size - pos);
}

int
q2_extent_at(struct q2 *q, const struct disk_slice *s, unsigned index,
    uint64_t pos, uint64_t max, struct q2_extent *x)
{
	unsigned n = q->slice_len / q->entry_len;
	struct q2_extent part;
	uint64_t at;
	int error;

	error = q2_part(q, s, index, pos, x);
	if (error != 0)
		return error;
	while (x->kind != Q2_COMPRESSED && x->len < max) {
		at = pos + x->len;
		if (at % q2_cluster_size(q) == 0 && ++index == n)
			break;
		error = q2_part(q, s, index, at, &part);
		if (error != 0)
			return error;
		if (part.kind != x->kind || part.own != x->own ||
		    (x->kind == Q2_NORMAL && part.host != x->host + x->len))
			break;
		x->len += part.len;
	}
	q2_cut(q, pos, max, x);
	return 0;
}

/* Bytes from `pos` on for which there is no L2 table. */
static uint64_t
q2_no_table(const struct q2 *q, uint64_t pos, uint64_t max)
{
	uint64_t all = UINT64_C(1) << (q->cluster_bits + q->l2_bits);
	uint64_t i = pos / all, len = all - pos % all;

	while (len < max && ++i < q->l1_size && (q->l1[i] & Q2_OFFSET) == 0)
		len += all;
	return len;
}

int
q2_lookup(struct q2 *q, uint64_t pos, uint64_t max, struct disk_wait *w,
    struct q2_extent *x)
{
	struct disk_slice *s;
	unsigned index;
	int error;

	error = q2_table_slice(q, pos, w, &s, &index);
	if (error != 0)
		return error;
	if (s == NULL) {
		*x = (struct q2_extent){ .len = q2_no_table(q, pos, max) };
		q2_cut(q, pos, max, x);
		return 0;
	}
	error = q2_extent_at(q, s, index, pos, max, x);
	disk_slice_put(s);
	return error;
}

bool
q2_reads_zero(const struct q2 *q, const struct q2_extent *x, uint64_t pos)
{
	return x->kind == Q2_ZERO ||
	    (x->kind == Q2_UNALLOCATED && pos >= q->backing_size);
}

/* The L2 table is in the file; the L1 entry follows with the next commit. */
static void
q2_table_made(struct q2_table *t)
{
	struct q2 *q = t->q;

	q->l1[t->index] = t->host | Q2_COPIED;
	q->l1_dirty[t->index / Q2_ENTRY_BLOCK] = 1;
	q->l1_changed = true;
	if (t->old != 0)
		q2_unlink(q, t->old, 1);
}

static void
q2_table_done(struct disk_req *req, int res)
{
	struct q2_table *t = (struct q2_table *)((char *)req -
	    offsetof(struct q2_table, io)), **p;
	struct q2 *q = t->q;

	if (res == 0 && req->op == DISK_READ) {
		q2_table_write(t);
		return;
	}
	for (p = &q->tables; *p != t; p = &(*p)->next)
		continue;
	*p = t->next;
	if (res == 0)
		t->made(t);
	else
		q2_unlink(q, t->host, 1);
	disk_queue_wake(&t->waiters, res);
	free(t);
}

/* Reads the table that is shared with a snapshot, to write it elsewhere. */
static void
q2_table_copy(struct q2_table *t)
{
	t->iov = (struct iovec){ t->data, t->len };
	t->io.op = DISK_READ;
	t->io.offset = t->old;
	t->io.iov = &t->iov;
	t->io.niov = 1;
	t->io.len = t->len;
	t->io.padded = disk_is_beyond(t->q->file, t->old, t->len);
	disk_submit(t->q->file, &t->io);
}

static int
q2_make_table(struct q2 *q, uint64_t i, struct disk_wait *w)
{
	uint64_t host, got;
	struct q2_table *t;
	int error;

	t = q2_table_create(q, q2_cluster_size(q));
	if (t == NULL)
		return -ENOMEM;
	error = q2_alloc(q, 1, w, &host, &got);
	if (error != 0) {
		free(t);
		return error;
	}
	t->index = i;
	t->host = host;
	t->old = q->l1[i] & Q2_OFFSET;
	t->made = q2_table_made;
	t->io.done = q2_table_done;
	t->next = q->tables;
	q->tables = t;
	disk_queue_add(&t->waiters, w);
	if (t->old != 0)
		q2_table_copy(t);
	else
		q2_table_write(t);
	return -EINPROGRESS;
}

int
q2_own_table(struct q2 *q, uint64_t pos, struct disk_wait *w)
{
	uint64_t i = pos >> (q->cluster_bits + q->l2_bits);
	struct q2_table *t;

	if (i >= q->l1_size)
		return q2_corrupt(q, "the L1 table is too short for", pos);
	if ((q->l1[i] & Q2_OFFSET) != 0 && (q->l1[i] & Q2_COPIED) != 0)
		return 0;
	for (t = q->tables; t != NULL; t = t->next) {
		if (t->index == i) {
			disk_queue_add(&t->waiters, w);
			return -EINPROGRESS;
		}
	}
	return q2_make_table(q, i, w);
}
