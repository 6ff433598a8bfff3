/* SPDX-License-Identifier: ISC */
/*
 * qcow2: discards and zeroes.  Whole clusters, or parts that have a state of
 * their own, change in the tables alone; of others a discard changes nothing,
 * and zeroes are written.
 *
 * A discarded cluster reads zero from then on, never what an image behind has:
 * where the tables cannot say so, it stays.
 */
#include <stdlib.h>

#include "devices/disk_qcow2.h"

/* Zeroes written by one request of our own, whose iov is bounded. */
#define ZERO_PART_MAX	(1u << 20)
#define ZERO_ELEMENT	(64u << 10)

#define ALL_SUBS	UINT64_C(0xffffffff)

static const uint8_t zeroes[ZERO_ELEMENT];

static bool
q2_is_discard(const struct q2_req *r)
{
	return r->req->op == DISK_DISCARD;
}

/* Bytes of the range in place, which the file makes zero as it can. */
static int
q2_zero_in_place(struct q2_req *r, const struct q2_extent *x)
{
	struct q2_child *c = q2_child_create(r, DISK_ZERO, x->host, x->len);

	if (c == NULL)
		return -ENOMEM;
	c->io.iov = NULL;
	c->io.niov = 0;
	c->io.unmap = q2_has_data_file(r->q) &&
	    (q2_is_discard(r) || r->req->unmap);
	r->pos += x->len;
	q2_child_start(c, r->q->data);
	return 0;
}

static void
q2_zeroes_done(struct disk_req *req, int res)
{
	struct q2_child *c = (struct q2_child *)((char *)req -
	    offsetof(struct q2_child, io));
	struct q2_req *r = c->r;

	free(c);
	q2_child_ended(r, res);
}

/* As if the guest wrote them. */
static int
q2_write_zeroes(struct q2_req *r, uint64_t len)
{
	struct q2_child *c;
	uint64_t part;

	len = q2_min(len, ZERO_PART_MAX);
	c = calloc(1, sizeof(*c) + ZERO_PART_MAX / ZERO_ELEMENT *
	    sizeof(c->iov[0]));
	if (c == NULL)
		return -ENOMEM;
	c->r = r;
	c->io.op = DISK_WRITE;
	c->io.offset = r->pos;
	c->io.len = len;
	c->io.iov = c->iov;
	c->io.done = q2_zeroes_done;
	r->pos += len;
	for (; len != 0; len -= part) {
		part = q2_min(len, ZERO_ELEMENT);
		c->iov[c->io.niov++] = (struct iovec){
			(void *)(uintptr_t)zeroes, part
		};
	}
	q2_child_start(c, &r->q->d);
	return 0;
}

/* Of what the tables cannot tell. */
static int
q2_zero_part(struct q2_req *r, uint64_t len)
{
	struct q2_extent x;
	int error;

	error = q2_lookup(r->q, r->pos, len, &r->wait, &x);
	if (error != 0)
		return error;
	if (q2_reads_zero(r->q, &x, r->pos) ||
	    (q2_is_discard(r) && x.kind != Q2_NORMAL)) {
		r->pos += x.len;
		return 0;
	}
	if (x.kind == Q2_NORMAL && x.own)
		return q2_zero_in_place(r, &x);
	return q2_write_zeroes(r, x.len);
}

/* What the entry becomes if these parts read zero; *give: without its place. */
static void
q2_zero_entry(const struct q2_req *r, uint64_t *entry, uint64_t *bitmap,
    uint64_t subs, bool behind, bool *give)
{
	const struct q2 *q = r->q;
	bool unmap = q2_is_discard(r) || r->req->unmap;
	bool own = (*entry & Q2_COPIED) != 0 &&
	    (*entry & Q2_COMPRESSED_BIT) == 0;

	*give = unmap || !own;
	if (q->extended) {
		*bitmap = (*bitmap | subs << 32) & ~subs;
		/* Others are there still. */
		if ((*bitmap & ALL_SUBS) != 0)
			*give = false;
		if (*give)
			*entry = 0;
		return;
	}
	if (*give)
		*entry = 0;
	if (q->version >= 3 && (behind || !*give))
		*entry |= Q2_ZERO_BIT;
}

/* The parts of a cluster that the range from `pos` has of it, as bits. */
static uint64_t
q2_zero_subs(const struct q2 *q, uint64_t pos, uint64_t end)
{
	uint64_t size = q2_cluster_size(q), in = pos % size;
	uint64_t to = q2_min(end - pos + in, size);
	unsigned first = (unsigned)(in >> q->sub_bits), n;

	n = (unsigned)(((to - 1) >> q->sub_bits) - first + 1);
	return ALL_SUBS >> (32 - n) << first;
}

/* Parts of a cluster that cannot be told from the rest. */
static int
q2_zero_rest(struct q2_req *r, uint64_t len)
{
	if (!q2_is_discard(r))
		return q2_write_zeroes(r, len);
	r->pos += len;
	return 0;
}

/* One cluster, or some of its parts; the bytes up to `end` are whole ones. */
static int
q2_zero_cluster(struct q2_req *r, struct disk_slice *s, unsigned index,
    uint64_t end)
{
	struct q2 *q = r->q;
	uint64_t size = q2_cluster_size(q), old, entry, was, bitmap, subs;
	uint64_t next = q2_min(end, r->pos - r->pos % size + size);
	struct q2_extent x;
	bool give;
	int error;

	error = q2_extent_at(q, s, index, r->pos, next - r->pos, &x);
	if (error != 0)
		return error;
	old = entry = q2_entry(q, s, index);
	was = bitmap = q2_bitmap(q, s, index);
	subs = q2_zero_subs(q, r->pos, end);
	if (q->extended && (entry & Q2_COMPRESSED_BIT) != 0 &&
	    subs != ALL_SUBS)
		return q2_zero_rest(r, next - r->pos);
	q2_zero_entry(r, &entry, &bitmap, subs, r->pos < q->backing_size,
	    &give);
	/* Parts of what is a snapshot's, too, which may not change. */
	if (q->extended && !give && (old & Q2_OFFSET) != 0 &&
	    (old & Q2_COPIED) == 0)
		return q2_zero_rest(r, next - r->pos);
	r->pos = next;
	if (entry == old && bitmap == was)
		return 0;
	q2_set_entry(q, s, index, entry, bitmap);
	if (give)
		q2_unlink_entry(q, old);
	return 0;
}

/* As many clusters as one piece of the table has, below those being filled. */
static int
q2_zero_clusters(struct q2_req *r, uint64_t end)
{
	struct q2 *q = r->q;
	unsigned index, entries = q->slice_len / q->entry_len;
	struct disk_slice *s;
	struct q2_fill *f;
	int error;

	error = q2_own_table(q, r->pos, &r->wait);
	if (error == 0)
		error = q2_table_slice(q, r->pos, &r->wait, &s, &index);
	if (error != 0)
		return error;
	f = q2_fill_from(q, r->pos >> q->cluster_bits);
	if (f != NULL)
		end = q2_min(end, f->first << q->cluster_bits);
	if (r->pos >= end) {
		disk_queue_add(&f->waiters, &r->wait);
		error = -EINPROGRESS;
	}
	for (; error == 0 && r->pos < end && index < entries; index++)
		error = q2_zero_cluster(r, s, index, end);
	disk_slice_put(s);
	return error;
}

/* Nothing is there, and nothing behind: up to the end of the L2 table. */
static bool
q2_zero_skip(struct q2_req *r)
{
	struct q2 *q = r->q;
	uint64_t all = UINT64_C(1) << (q->cluster_bits + q->l2_bits);
	uint64_t i = r->pos / all;

	if (i >= q->l1_size || (q->l1[i] & Q2_OFFSET) != 0 ||
	    r->pos < q->backing_size)
		return false;
	r->pos = q2_min(r->end, (i + 1) * all);
	return true;
}

/* Tables that know no zeroes say "nothing", if nothing is behind. */
static bool
q2_tables_can_tell(const struct q2_req *r)
{
	const struct q2 *q = r->q;

	if (q2_has_data_file(q))
		return false;
	if (q->version >= 3)
		return true;
	return r->pos >= q->backing_size &&
	    (q2_is_discard(r) || r->req->unmap);
}

int
q2_zero_step(struct q2_req *r)
{
	struct q2 *q = r->q;
	uint64_t unit = UINT64_C(1) << q->sub_bits, end = r->end, next;

	if (q2_zero_skip(r))
		return 0;
	if (q2_is_throttled(q)) {
		q2_commit_if_due(q);
		disk_queue_add(&q->throttled, &r->wait);
		return -EINPROGRESS;
	}
	if (q2_has_data_file(q))
		return q2_zero_part(r, end - r->pos);
	/* The disk's last cluster may be a part of one. */
	if (end != q->d.info.size)
		end -= end % unit;
	if (r->pos % unit == 0 && r->pos < end && q2_tables_can_tell(r))
		return q2_zero_clusters(r, end);
	next = r->pos - r->pos % unit + unit;
	next = q2_min(next, r->end);
	if (!q2_is_discard(r))
		return q2_zero_part(r, next - r->pos);
	r->pos = next;
	return 0;
}
