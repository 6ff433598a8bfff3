/* SPDX-License-Identifier: ISC */
/*
 * qcow2: reads, and what there is to read.
 */
#include "devices/disk_qcow2.h"

static int
q2_read_from(struct q2_req *r, struct disk *from, uint64_t off, uint64_t len)
{
	struct q2_child *c = q2_child_create(r, DISK_READ, off, len);

	if (c == NULL)
		return -ENOMEM;
	c->io.padded = disk_is_beyond(from, off, len);
	r->pos += len;
	q2_child_start(c, from);
	return 0;
}

int
q2_read_step(struct q2_req *r)
{
	struct q2 *q = r->q;
	struct q2_extent x;
	int error;

	error = q2_lookup(q, r->pos, r->end - r->pos, &r->wait, &x);
	if (error != 0)
		return error;
	if (x.kind == Q2_COMPRESSED)
		return q2_read_packed(r, &x);
	if (x.kind == Q2_NORMAL)
		return q2_read_from(r, q->data, x.host, x.len);
	if (!q2_reads_zero(q, &x, r->pos))
		return q2_read_from(r, q->backing, r->pos, x.len);
	q2_iov_zero(r, x.len);
	r->pos += x.len;
	return 0;
}

/* What the first bytes of the range are; where nothing is, the next one says. */
int
q2_status_step(struct q2_req *r)
{
	struct disk_extent *e = r->req->extent;
	struct q2 *q = r->q;
	struct q2_child *c;
	struct q2_extent x;
	int error;

	error = q2_lookup(q, r->pos, r->end - r->pos, &r->wait, &x);
	if (error != 0)
		return error;
	if (x.kind != Q2_UNALLOCATED || q2_reads_zero(q, &x, r->pos)) {
		*e = (struct disk_extent){
			.len = x.len,
			.depth = e->depth,
			.present = x.kind != Q2_UNALLOCATED,
			.zero = q2_reads_zero(q, &x, r->pos),
			.data = x.kind == Q2_NORMAL ||
			    x.kind == Q2_COMPRESSED,
			.packed = x.kind == Q2_COMPRESSED,
			.host = x.kind == Q2_NORMAL ? x.host : 0,
		};
		r->pos = r->end;
		return 0;
	}
	c = q2_child_create(r, DISK_STATUS, r->pos, x.len);
	if (c == NULL)
		return -ENOMEM;
	e->depth++;
	c->io.extent = e;
	r->pos = r->end;
	q2_child_start(c, q->backing);
	return 0;
}
