/* SPDX-License-Identifier: ISC */
/*
 * qcow2: reads of compressed clusters.  A cluster is unpacked whole; the last
 * one is kept, since a guest that reads in order comes back for the rest.  To
 * unpack is the loop's work: it goes in steps, one cluster after the other, and
 * lets others come in between.
 */
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "devices/disk_qcow2.h"

/* Bytes unpacked in one step. */
#define STEP_BYTES	(64u << 10)

/* zstd's window, as log2: no cluster is longer, so none needs more. */
#define WINDOW_LOG	21

/*
 * Packed bytes that a disk has in memory, a cluster's at least: an entry may
 * claim twice a cluster of 2 MiB for each sector that is read.
 */
#define PACKED_MAX	(4u << 20)

/* A piece of a request, within one such cluster. */
struct q2_packed {
	struct q2_req	*r;
	struct q2_packed *next;		/* to be unpacked */
	uint64_t	 entry;
	uint64_t	 from;		/* in the cluster */
	unsigned	 niov;
	struct iovec	*iov;		/* behind this struct: the guest's */
	struct disk_req	 io;
	struct iovec	 packed;
	uint8_t		*bytes;		/* behind those */
	uint64_t	 len;
};

/* One a disk, once it is needed.  Loop. */
struct q2_unpacker {
	struct q2		*q;
	struct q2_packed	*first, **last;	/* wait, in their order */
	struct q2_packed	*unpacking;	/* the first, once begun */
	uint64_t		 bytes;		/* of all in memory */
	struct disk_queue	 waiters;	/* for room for theirs */
	struct aio_op		 step;
	z_stream		 zlib;
	ZSTD_DCtx		*zstd;
	ZSTD_inBuffer		 in;		/* of zstd */
	uint64_t		 entry;		/* in `out`; 0: none whole */
	uint8_t			*out;		/* a cluster */
	size_t			 have;		/* of it */
};

/*
 * Where the bytes of a compressed cluster are, at most: the entry has the
 * offset, and sectors in addition to the one of that.
 */
void
q2_packed_at(const struct q2 *q, uint64_t entry, uint64_t *off, uint64_t *len)
{
	unsigned shift = 62 - (q->cluster_bits - 8);
	uint64_t sectors = entry >> shift &
	    ((UINT64_C(1) << (q->cluster_bits - 8)) - 1);

	*off = entry & ((UINT64_C(1) << shift) - 1);
	*len = (sectors + 1) * DISK_SECTOR - *off % DISK_SECTOR;
}

/* What a frame asks for would else be up to 128 MiB. */
static ZSTD_DCtx *
q2_zstd_create(void)
{
	ZSTD_DCtx *z = ZSTD_createDCtx();

	/* It can only fail for what is no window. */
	if (z != NULL)
		(void)ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax,
		    WINDOW_LOG);
	return z;
}

static struct q2_unpacker *
q2_unpacker_create(struct q2 *q)
{
	struct q2_unpacker *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	u->q = q;
	u->last = &u->first;
	u->out = malloc(q2_cluster_size(q));
	if (q->zstd)
		u->zstd = q2_zstd_create();
	/* Deflate without a header, of whatever window. */
	if (u->out != NULL && (q->zstd ? u->zstd != NULL :
	    inflateInit2(&u->zlib, -15) == Z_OK))
		return u;
	ZSTD_freeDCtx(u->zstd);
	free(u->out);
	free(u);
	return NULL;
}

void
q2_unpacker_destroy(struct q2_unpacker *u)
{
	if (u == NULL)
		return;
	if (u->zstd != NULL)
		ZSTD_freeDCtx(u->zstd);
	else
		inflateEnd(&u->zlib);
	free(u->out);
	free(u);
}

/* Up to `to` bytes in all; false if that cannot be. */
static bool
q2_inflate(struct q2_unpacker *u, size_t to)
{
	int ret;

	u->zlib.next_out = u->out + u->have;
	u->zlib.avail_out = (uInt)(to - u->have);
	ret = inflate(&u->zlib, Z_SYNC_FLUSH);
	u->have = to - u->zlib.avail_out;
	return (ret == Z_OK || ret == Z_STREAM_END) && u->have == to;
}

/* What follows the cluster's bytes in the last sector is of another. */
static bool
q2_unzstd(struct q2_unpacker *u, size_t to)
{
	ZSTD_outBuffer out = { u->out, to, u->have };
	size_t was, ret;

	do {
		was = u->in.pos + out.pos;
		ret = ZSTD_decompressStream(u->zstd, &out, &u->in);
	} while (!ZSTD_isError(ret) && out.pos < to &&
	    u->in.pos + out.pos != was);
	u->have = out.pos;
	return !ZSTD_isError(ret) && out.pos == to;
}

static void
q2_unpack_begin(struct q2_unpacker *u)
{
	const struct q2_packed *p = u->first;

	u->entry = 0;
	u->have = 0;
	if (u->zstd != NULL) {
		u->in = (ZSTD_inBuffer){ p->bytes, p->len, 0 };
		(void)ZSTD_DCtx_reset(u->zstd, ZSTD_reset_session_only);
	} else {
		(void)inflateReset(&u->zlib);
		u->zlib.next_in = p->bytes;
		u->zlib.avail_in = (uInt)p->len;
	}
}

static void
q2_copy_out(const struct q2_unpacker *u, const struct q2_packed *p)
{
	const uint8_t *from = u->out + p->from;
	unsigned i;

	for (i = 0; i < p->niov; i++) {
		memcpy(p->iov[i].iov_base, from, p->iov[i].iov_len);
		from += p->iov[i].iov_len;
	}
}

/* Not all at once, so that who waits is not called for each. */
static void
q2_packed_free(struct q2_unpacker *u, struct q2_packed *p)
{
	u->bytes -= p->len;
	free(p);
	if (u->bytes <= PACKED_MAX / 2)
		disk_queue_wake(&u->waiters, 0);
}

/* The first is over; the next one follows in a step of its own. */
static void
q2_unpack_end(struct q2_unpacker *u, int res)
{
	struct q2_packed *p = u->first;
	struct q2_req *r = p->r;

	u->first = p->next;
	if (u->first == NULL)
		u->last = &u->first;
	else
		aio_nop(u->q->d.aio, &u->step);
	if (res == 0)
		q2_copy_out(u, p);
	q2_packed_free(u, p);
	q2_child_ended(r, res);
}

static void
q2_unpack_step(struct aio_op *op, int res)
{
	struct q2_unpacker *u = (struct q2_unpacker *)((char *)op -
	    offsetof(struct q2_unpacker, step));
	uint64_t size = q2_cluster_size(u->q), entry = u->first->entry;
	size_t to;

	(void)res;
	if (u->entry == entry) {
		q2_unpack_end(u, 0);
		return;
	}
	/* The one before it is whole, or has failed. */
	if (u->unpacking != u->first) {
		u->unpacking = u->first;
		q2_unpack_begin(u);
	}
	to = q2_min(size, u->have + STEP_BYTES);
	if (!(u->zstd != NULL ? q2_unzstd(u, to) : q2_inflate(u, to))) {
		u->unpacking = NULL;
		q2_unpack_end(u, q2_corrupt(u->q, "a compressed cluster is "
		    "broken at", u->first->io.offset));
	} else if (to != size) {
		aio_nop(u->q->d.aio, &u->step);
	} else {
		u->unpacking = NULL;
		u->entry = entry;
		q2_unpack_end(u, 0);
	}
}

static void
q2_packed_read(struct disk_req *req, int res)
{
	struct q2_packed *p = (struct q2_packed *)((char *)req -
	    offsetof(struct q2_packed, io));
	struct q2_unpacker *u = p->r->q->unpacker;
	struct q2_req *r = p->r;

	if (res != 0) {
		q2_packed_free(u, p);
		q2_child_ended(r, res);
		return;
	}
	/* Who comes to an empty queue starts the steps. */
	if (u->first == NULL)
		aio_nop(r->q->d.aio, &u->step);
	*u->last = p;
	u->last = &p->next;
}

/* With room for `len` bytes of the file at `off`. */
static struct q2_packed *
q2_packed_create(struct q2_req *r, const struct q2_extent *x, uint64_t off,
    uint64_t len)
{
	unsigned n = q2_iov_count(r, x->len);
	struct q2_packed *p;

	p = malloc(sizeof(*p) + n * sizeof(struct iovec) + len);
	if (p == NULL)
		return NULL;
	memset(p, 0, sizeof(*p));
	p->r = r;
	p->entry = x->entry;
	p->from = r->pos % q2_cluster_size(r->q);
	p->iov = (struct iovec *)(p + 1);
	p->niov = q2_iov_take(r, x->len, p->iov);
	p->bytes = (uint8_t *)(p->iov + n);
	p->len = len;
	p->packed = (struct iovec){ p->bytes, len };
	p->io.op = DISK_READ;
	p->io.offset = off;
	p->io.iov = &p->packed;
	p->io.niov = 1;
	p->io.len = len;
	p->io.padded = disk_is_beyond(r->q->file, off, len);
	p->io.done = q2_packed_read;
	return p;
}

int
q2_read_packed(struct q2_req *r, const struct q2_extent *x)
{
	struct q2 *q = r->q;
	struct q2_unpacker *u = q->unpacker;
	struct q2_packed *p;
	uint64_t off, len;

	if (u == NULL) {
		u = q->unpacker = q2_unpacker_create(q);
		if (u == NULL)
			return -ENOMEM;
		u->step.done = q2_unpack_step;
	}
	q2_packed_at(q, x->entry, &off, &len);
	if (u->entry == x->entry)
		len = 0;
	if (u->bytes != 0 && len > PACKED_MAX - u->bytes) {
		disk_queue_add(&u->waiters, &r->wait);
		return -EINPROGRESS;
	}
	p = q2_packed_create(r, x, off, len);
	if (p == NULL)
		return -ENOMEM;
	r->pos += x->len;
	if (len == 0) {
		q2_copy_out(u, p);
		free(p);
		return 0;
	}
	u->bytes += len;
	r->children++;
	disk_submit(q->file, &p->io);
	return 0;
}
