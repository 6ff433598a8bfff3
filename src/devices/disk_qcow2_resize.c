/* SPDX-License-Identifier: ISC */
/*
 * qcow2: another size.  See disk_check.h.  The header's size changes last; what
 * has changed before that is without harm if it does not come to it.
 *
 * A longer L1 table goes where nothing is in use, as new refcounts do, and the
 * same write of the header makes both the image's.
 */
#include <stdlib.h>

#include "devices/disk_check.h"
#include "devices/disk_qcow2.h"

/* The L1 table with `n` entries, where nothing is. */
static int
q2_longer_l1(struct q2 *q, uint64_t n, uint64_t at)
{
	uint64_t size = q2_cluster_size(q), len = (n * 8 + size - 1) / size *
	    size, *l1, i;
	uint8_t *dirty;
	int error;

	l1 = calloc(1, len);
	dirty = calloc(n / Q2_ENTRY_BLOCK + 1, 1);
	if (l1 == NULL || dirty == NULL) {
		free(l1);
		free(dirty);
		return -ENOMEM;
	}
	for (i = 0; i < q->l1_size; i++)
		q2_put_be64(&l1[i], q->l1[i]);
	error = disk_raw_write(q->file, l1, len, at);
	for (i = 0; i < q->l1_size; i++)
		l1[i] = q->l1[i];
	free(q->l1);
	free(q->l1_dirty);
	q->l1 = l1;
	q->l1_dirty = dirty;
	q->l1_size = n;
	q->l1_whole = n;
	q->l1_offset = at;
	if (q->fresh_from < at + len)
		q->fresh_from = at + len;
	return error;
}

static const char *
q2_lengthen(struct q2 *q, uint64_t entries)
{
	uint64_t at;
	int error;

	if (entries * 8 > Q2_L1_MAX)
		return "that is too large for clusters of this size";
	error = q2_unused_from(q, &at);
	if (error == 0)
		error = q2_longer_l1(q, entries, at);
	if (error == 0)
		error = q2_repair(q);
	if (error == 0)
		error = q2_load_reftable(q);
	if (error == -EILSEQ)
		return "its tables are damaged";
	return error != 0 ? strerror(-error) : NULL;
}

const char *
q2_resize_begin(struct disk *d, uint64_t size)
{
	struct q2 *q = (struct q2 *)d;
	uint64_t span = UINT64_C(1) << (q->cluster_bits + q->l2_bits);
	uint64_t need = size / span + (size % span != 0);
	const char *why = NULL;
	int error;

	if (q2_has_data_file(q))
		return "has an external data file";
	if (q->nsnapshots != 0 && q->version < 3)
		return "has snapshots, which in version 0.10 have no size of "
		    "their own";
	error = q2_load_l1(q, q->l1_whole);
	if (error != 0)
		return strerror(-error);
	if (need > q->l1_size)
		why = q2_lengthen(q, need);
	if (why == NULL && size > q->d.info.size)
		q->d.info.size = size;
	return why;
}

/* The rest of the last cluster, and what the image behind has. */
uint64_t
q2_resize_stale(const struct disk *d, uint64_t was)
{
	const struct q2 *q = (const struct q2 *)d;
	uint64_t size = q2_cluster_size(q), end = (was + size - 1) / size *
	    size;

	if (end < q->backing_size)
		end = q->backing_size;
	return q2_min(end, q->d.info.size);
}

const char *
q2_resize_end(struct disk *d, uint64_t size)
{
	struct q2 *q = (struct q2 *)d;
	uint8_t be[8];
	int error;

	q2_put_be64(be, size);
	error = disk_raw_write(q->file, be, sizeof(be),
	    offsetof(struct q2_header, size));
	if (error == 0)
		error = disk_raw_sync(q->file);
	return error != 0 ? strerror(-error) : NULL;
}
