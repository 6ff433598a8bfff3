/* SPDX-License-Identifier: ISC */
/*
 * qcow2: refcounts anew, for an image whose writer kept them back and did not
 * come to write them.  All links are counted, of snapshots and bitmaps, too;
 * what is counted goes behind the file's end, or on a device behind all that is
 * in use, links are said to be the only ones, or not, and one write of the
 * header makes it the image's and clears the mark.  Cut off before, nothing is
 * lost.
 *
 * The old refcount table is no longer counted, and thus free.  Blocks; before
 * the disk is attached.
 */
#include <stdlib.h>

#include "devices/disk_qcow2.h"

/*
 * Bytes of tables read to count: a file that is nearly all holes has room
 * for more than anybody would wait for.
 */
#define COUNT_BYTES_MAX	(UINT64_C(64) << 30)

/* Something is where nothing can be: the end, unless all such are counted. */
int
q2_count_wrong(struct q2_count *c, const char *what, uint64_t at)
{
	if (c->found == NULL)
		return -EILSEQ;
	q2_found(c->found, what, at);
	return 0;
}

/* Counts `len` bytes of the file, if it has them. */
int
q2_count_bytes(struct q2_count *c, uint64_t off, uint64_t len)
{
	unsigned bits = c->q->cluster_bits;
	int error = 0;
	uint64_t i;

	if (len == 0)
		return 0;
	if (off >> bits >= c->n || len > (c->n << bits) - off)
		return q2_count_wrong(c, "a link leads to where the file has "
		    "nothing, at", off);
	for (i = off >> bits; i <= (off + len - 1) >> bits && error == 0; i++) {
		if (c->links[i] == c->most)
			error = q2_count_wrong(c, "there are more links than "
			    "a refcount can say to", i << bits);
		else
			c->links[i]++;
	}
	return error;
}

/* A table is to be read. */
int
q2_count_read(struct q2_count *c, uint64_t len)
{
	if (len > c->left)
		return -EFBIG;
	c->left -= len;
	return 0;
}

static int
q2_count_entry(struct q2_count *c, uint64_t entry)
{
	struct q2 *q = c->q;
	uint64_t off, len;

	if (q2_has_data_file(q))
		return 0;
	if ((entry & Q2_COMPRESSED_BIT) != 0) {
		q2_packed_at(q, entry, &off, &len);
		/* The last sector may be cut off with the file. */
		off -= off % DISK_SECTOR;
		if (off >> q->cluster_bits >= c->n)
			return q2_count_wrong(c, "a compressed cluster is "
			    "behind the end of the file, at", off);
		len = q2_min(len, (c->n << q->cluster_bits) - off);
		return q2_count_bytes(c, off, len);
	}
	if ((entry & Q2_OFFSET) == 0)
		return 0;
	if ((entry & Q2_OFFSET) % q2_cluster_size(q) != 0)
		return q2_count_wrong(c, "a link leads to no begin of a "
		    "cluster, at",
		    entry & Q2_OFFSET);
	return q2_count_bytes(c, entry & Q2_OFFSET, q2_cluster_size(q));
}

static int
q2_count_l2(struct q2_count *c, uint64_t off)
{
	struct q2 *q = c->q;
	size_t size = q2_cluster_size(q), i;
	int error;

	/* The disk and each snapshot have a link to a table, and no two. */
	if (off % size != 0 || (off >> q->cluster_bits < c->n &&
	    c->links[off >> q->cluster_bits] > q->nsnapshots))
		return q2_count_wrong(c, "a table is where none can be, at", off);
	error = q2_count_bytes(c, off, size);
	if (error == 0)
		error = q2_count_read(c, size);
	if (error == 0)
		error = disk_raw_read(q->file, c->table, size, off);
	for (i = 0; i < size && error == 0; i += q->entry_len)
		error = q2_count_entry(c, q2_be64(c->table + i));
	return error;
}

static int
q2_count_l1(struct q2_count *c, uint64_t off, const uint64_t *l1, uint64_t n)
{
	uint64_t i;
	int error;

	error = q2_count_bytes(c, off, n * 8);
	for (i = 0; i < n && error == 0; i++)
		if ((l1[i] & Q2_OFFSET) != 0)
			error = q2_count_l2(c, l1[i] & Q2_OFFSET);
	return error;
}

/* One snapshot, whose entry is at *off, which is set to the next. */
static int
q2_count_snapshot(struct q2_count *c, uint64_t *off)
{
	struct q2_snapshot s;
	uint64_t *l1;
	int error;

	error = q2_snapshot_read(c->q, off, &s);
	if (error == 0)
		error = q2_count_read(c, s.l1_size * 8);
	if (error != 0)
		return error;
	l1 = q2_load_table(c->q, s.l1_offset, s.l1_size, &error);
	if (error != 0)
		return error;
	error = q2_count_l1(c, s.l1_offset, l1, s.l1_size);
	free(l1);
	return error;
}

int
q2_count_all(struct q2_count *c)
{
	struct q2 *q = c->q;
	uint64_t at = q->snapshots_offset;
	uint32_t i;
	int error;

	error = q2_count_bytes(c, 0, 1);
	if (error == 0)
		error = q2_count_l1(c, q->l1_offset, q->l1, q->l1_size);
	for (i = 0; i < q->nsnapshots && error == 0; i++)
		error = q2_count_snapshot(c, &at);
	if (error == 0)
		error = q2_count_bytes(c, q->snapshots_offset,
		    at - q->snapshots_offset);
	return error != 0 ? error : q2_count_bitmaps(c);
}

/* The clusters up to the end of something at `off`, or `n` if that is more. */
static uint64_t
q2_up_to(const struct q2_count *c, uint64_t n, uint64_t off, uint64_t len)
{
	unsigned bits = c->q->cluster_bits;
	uint64_t end;

	if (off >> bits >= c->n)
		return n;
	end = (off + len + q2_cluster_size(c->q) - 1) >> bits;
	return end > n && end <= c->n ? end : n;
}

/*
 * Once all links are counted: leaves out what is behind the last cluster in use,
 * by the refcounts that the header still names, too, where new tables go then.
 * A device has no room behind its end; other files go on there.
 */
static int
q2_count_used(struct q2_count *c)
{
	struct q2 *q = c->q;
	uint64_t n = c->n, i;
	int error;

	if (disk_raw_grows(q->file))
		return 0;
	error = q2_load_reftable(q);
	if (error != 0)
		return error;
	while (n > 0 && c->links[n - 1] == 0)
		n--;
	n = q2_up_to(c, n, q->rt_offset, q->rt_size * 8);
	for (i = 0; i < q->rt_size; i++)
		n = q2_up_to(c, n, q->rt[i], q2_cluster_size(q));
	c->n = n;
	return 0;
}

/* Writes one block of refcounts; `n` clusters at `own` are the new ones. */
static int
q2_write_block(struct q2_count *c, uint64_t block, uint64_t n, uint64_t off)
{
	struct q2 *q = c->q;
	uint64_t per = UINT64_C(1) << q->rb_bits, i, at, v;

	memset(c->table, 0, q2_cluster_size(q));
	for (i = 0; i < per; i++) {
		at = block * per + i;
		v = at < c->n ? c->links[at] : at < c->n + n ? 1 : 0;
		q2_set_refcount(q, c->table, i, v);
	}
	return disk_raw_write(q->file, c->table, q2_cluster_size(q), off);
}

/* The part of the header from the L1 table to the features. */
static int
q2_write_header(struct q2 *q)
{
	uint64_t clusters = q->rt_size * 8 >> q->cluster_bits;
	struct q2_header h;
	const size_t from = offsetof(struct q2_header, l1_size);
	size_t to = offsetof(struct q2_header, incompatible);
	int error;

	error = disk_raw_sync(q->file);
	if (error == 0)
		error = disk_raw_read(q->file, &h, sizeof(h), 0);
	if (error != 0)
		return error;
	h.l1_size = htobe32((uint32_t)q->l1_size);
	h.l1_offset = htobe64(q->l1_offset);
	h.reftable_offset = htobe64(q->rt_offset);
	h.reftable_clusters = htobe32((uint32_t)clusters);
	if (q->version >= 3) {
		h.incompatible &= ~htobe64(Q2_INCOMPAT_DIRTY);
		to = offsetof(struct q2_header, compatible);
	}
	error = disk_raw_write(q->file, (uint8_t *)&h + from, to - from,
	    from);
	return error != 0 ? error : disk_raw_sync(q->file);
}

/* A table and its blocks, behind the file's end. */
static int
q2_write_refcounts(struct q2_count *c)
{
	struct q2 *q = c->q;
	uint64_t size = q2_cluster_size(q), per = UINT64_C(1) << q->rb_bits;
	uint64_t clusters = 1, blocks = 0, want, i, at, *table;
	int error = 0;

	do {
		want = blocks;
		clusters = (blocks * 8 + size - 1) / size + (blocks == 0);
		blocks = (c->n + clusters + blocks + per - 1) / per;
	} while (blocks != want);
	if (clusters * size > Q2_REFTABLE_MAX)
		return -EFBIG;
	table = calloc(clusters, size);
	if (table == NULL)
		return -ENOMEM;
	for (i = 0; i < blocks && error == 0; i++) {
		at = (c->n + clusters + i) << q->cluster_bits;
		q2_put_be64(&table[i], at);
		error = q2_write_block(c, i, clusters + blocks, at);
	}
	at = c->n << q->cluster_bits;
	if (error == 0)
		error = disk_raw_write(q->file, table, clusters * size, at);
	free(table);
	q->rt_offset = at;
	q->rt_size = clusters * size / 8;
	at = (c->n + clusters + blocks) << q->cluster_bits;
	if (q->fresh_from < at)
		q->fresh_from = at;
	return error;
}

int
q2_count_begin(struct q2_count *c, struct q2 *q)
{
	*c = (struct q2_count){
		.q = q,
		.n = q->fresh_from / q2_cluster_size(q),
		.most = UINT64_MAX >> (64 - (1u << q->rc_order)),
		.left = COUNT_BYTES_MAX,
	};
	/* More than any table of refcounts tells of. */
	if (c->n >> q->rb_bits > Q2_REFTABLE_MAX / 8)
		return -EFBIG;
	c->links = calloc(c->n + 1, sizeof(*c->links));
	c->table = malloc(q2_cluster_size(q));
	return c->links != NULL && c->table != NULL ? 0 : -ENOMEM;
}

void
q2_count_end(struct q2_count *c)
{
	free(c->links);
	free(c->table);
}

/* From where on nothing is in use. */
int
q2_unused_from(struct q2 *q, uint64_t *off)
{
	struct q2_count c;
	int error;

	*off = q->fresh_from;
	if (disk_raw_grows(q->file))
		return 0;
	error = q2_count_begin(&c, q);
	if (error == 0)
		error = q2_count_all(&c);
	if (error == 0)
		error = q2_count_used(&c);
	*off = c.n << q->cluster_bits;
	q2_count_end(&c);
	return error;
}

int
q2_repair(struct q2 *q)
{
	struct q2_count c;
	int error;

	error = q2_count_begin(&c, q);
	if (error == 0)
		error = q2_count_all(&c);
	if (error == 0)
		error = q2_count_used(&c);
	if (error == 0)
		error = q2_write_refcounts(&c);
	/* Or else the image would be made valid with flags that are not. */
	if (error == 0)
		error = q2_set_flags(&c);
	if (error == 0)
		error = q2_write_header(q);
	q2_count_end(&c);
	return error;
}
