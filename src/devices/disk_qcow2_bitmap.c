/* SPDX-License-Identifier: ISC */
/*
 * qcow2: bitmaps, in which others keep what was written since their last
 * backup ("Bitmaps" in QEMU's text).  Nothing is read of them here; but their
 * directory, tables and clusters are in use as long as the header says that
 * they are true.  Blocks; before the disk is attached.
 */
#include "devices/disk_qcow2.h"

/* The header extension. */
#define EXT_COUNT		0
#define EXT_DIRECTORY_LEN	8
#define EXT_DIRECTORY		16

/* An entry of the directory begins so; extra data and a name follow. */
#define ENTRY_LEN		24u
#define ENTRY_TABLE		0
#define ENTRY_TABLE_SIZE	8
#define ENTRY_NAME_LEN		18
#define ENTRY_EXTRA_LEN		20

/* Of the table of one: without a cluster, all of its bits are one. */
#define ALL_ONES		UINT64_C(1)

struct q2_bitmap {
	uint64_t	table;		/* where it is */
	uint64_t	len;		/* bytes of it */
};

/* What the extension says, of Q2_BITMAPS_LEN bytes. */
void
q2_bitmaps_take(struct q2 *q, const uint8_t *data)
{
	q->nbitmaps = (uint32_t)q2_be(data + EXT_COUNT, 4);
	q->bitmaps_len = q2_be64(data + EXT_DIRECTORY_LEN);
	q->bitmaps_offset = q2_be64(data + EXT_DIRECTORY);
}

/* The entry at *off, which is set to the next: -EILSEQ if it is cut off. */
static int
q2_bitmap_read(const struct q2 *q, uint64_t *off, struct q2_bitmap *b)
{
	uint64_t end = q->bitmaps_offset + q->bitmaps_len, len;
	uint8_t e[ENTRY_LEN];
	int error;

	if (end - *off < ENTRY_LEN)
		return -EILSEQ;
	error = disk_raw_read(q->file, e, sizeof(e), *off);
	if (error != 0)
		return error;
	b->table = q2_be64(e + ENTRY_TABLE);
	b->len = q2_be(e + ENTRY_TABLE_SIZE, 4) * 8;
	len = (ENTRY_LEN + q2_be(e + ENTRY_EXTRA_LEN, 4) +
	    q2_be(e + ENTRY_NAME_LEN, 2) + 7) / 8 * 8;
	if (len > end - *off)
		return -EILSEQ;
	*off += len;
	return 0;
}

static const char table_wrong[] = "a bitmap's table is where none can be, at";
static const char directory_wrong[] = "the list of bitmaps is wrong at";

static int
q2_count_bits(struct q2_count *c, uint64_t entry)
{
	uint64_t size = q2_cluster_size(c->q), off = entry & Q2_OFFSET;

	if ((entry & ~(Q2_OFFSET | ALL_ONES)) != 0 || off % size != 0 ||
	    (off != 0 && (entry & ALL_ONES) != 0))
		return q2_count_wrong(c, "a bitmap has a wrong link, to", off);
	return off != 0 ? q2_count_bytes(c, off, size) : 0;
}

/* `len` bytes of a table, in the cluster at `off`. */
static int
q2_count_bitmap_part(struct q2_count *c, uint64_t off, size_t len)
{
	size_t i;
	int error;

	error = q2_count_bytes(c, off, len);
	if (error == 0)
		error = q2_count_read(c, len);
	if (error == 0)
		error = disk_raw_read(c->q->file, c->table, len, off);
	for (i = 0; i < len && error == 0; i += 8)
		error = q2_count_bits(c, q2_be64(c->table + i));
	return error;
}

static int
q2_count_bitmap(struct q2_count *c, const struct q2_bitmap *b)
{
	unsigned bits = c->q->cluster_bits;
	uint64_t size = q2_cluster_size(c->q), at, i;
	int error = 0;

	if (b->table % size != 0 || b->table >= c->n << bits)
		return q2_count_wrong(c, table_wrong, b->table);
	for (at = 0; at < b->len && error == 0; at += size) {
		i = (b->table + at) >> bits;
		/* Its own alone: thus none is read again and again. */
		if (i >= c->n || c->links[i] != 0)
			return q2_count_wrong(c, table_wrong, b->table);
		error = q2_count_bitmap_part(c, b->table + at,
		    q2_min(size, b->len - at));
	}
	return error;
}

int
q2_count_bitmaps(struct q2_count *c)
{
	const struct q2 *q = c->q;
	uint64_t at = q->bitmaps_offset;
	struct q2_bitmap b;
	uint32_t i;
	int error;

	if (q->nbitmaps == 0)
		return 0;
	if (q->nbitmaps > Q2_BITMAPS_MAX ||
	    q->bitmaps_len > Q2_BITMAPS_BYTES ||
	    at % q2_cluster_size(q) != 0 || at > INT64_MAX - Q2_BITMAPS_BYTES)
		return q2_count_wrong(c, directory_wrong, at);
	error = q2_count_bytes(c, at, q->bitmaps_len);
	for (i = 0; i < q->nbitmaps && error == 0; i++) {
		error = q2_bitmap_read(q, &at, &b);
		if (error == -EILSEQ)
			return q2_count_wrong(c, directory_wrong, at);
		if (error == 0)
			error = q2_count_bitmap(c, &b);
	}
	if (error == 0 && at != q->bitmaps_offset + q->bitmaps_len)
		error = q2_count_wrong(c, directory_wrong, at);
	return error;
}
