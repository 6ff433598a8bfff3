/* SPDX-License-Identifier: ISC */
/*
 * qcow2: reads of compressed clusters.  A cluster is unpacked whole, by a call
 * on a thread, several of them at the same time; whoever asks for one that is
 * on its way waits for that.  The last ones are kept, since a guest that reads
 * in order comes back for the rest; and what it will come to next is unpacked
 * meanwhile.
 *
 * What is unpacked is looked back at, so it goes to memory that no guest has,
 * and is copied from there.
 */
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "devices/disk_qcow2.h"

/* Clusters of a disk that are unpacked at the same time. */
#define CONTEXTS	4u

/* Clusters that are begun before they are asked for; fewer than contexts. */
#define AHEAD		2u

/* zstd's window, as log2: no cluster is longer, so none needs more. */
#define WINDOW_LOG	21

/*
 * What is on its way, since each piece looks among those; and bytes of it in
 * memory, a cluster's at least: an entry may claim twice a cluster of 2 MiB.
 */
#define PACKED_COUNT	64u
#define PACKED_MAX	(4u << 20)

/* A piece of a request, within one such cluster. */
struct q2_piece {
	struct q2_req	*r;
	struct q2_piece	*next;
	uint64_t	 from;		/* in the cluster */
	unsigned	 niov;
	struct iovec	 iov[];		/* the guest's */
};

/* A cluster on its way, whose pieces may be none. */
struct q2_packed {
	struct q2_unpacker *u;
	struct q2_packed *next;
	uint64_t	 entry;
	struct q2_piece	*first, **last;	/* that the loop copies */
	struct q2_piece	*called;	/* that the thread copies */
	bool		 ready;		/* it was read, and is not begun */
	struct disk_req	 io;
	struct iovec	 iov;
	uint64_t	 len;
	uint8_t		 bytes[];
};

/* What it takes to unpack one.  A thread's while a call is under way. */
struct q2_context {
	struct aio_op	 call;
	struct q2_packed *packed;	/* it is at work on, or NULL */
	uint64_t	 entry;		/* in `out`; 0: none whole */
	uint64_t	 used;		/* a number that rises */
	z_stream	 zlib;
	ZSTD_DCtx	*zstd;		/* NULL: zlib */
	size_t		 size;		/* of a cluster */
	uint8_t		 out[];
};

/* One a disk, once it is needed.  Loop. */
struct q2_unpacker {
	struct q2	*q;
	struct q2_context *context[CONTEXTS];
	unsigned	 ncontexts;	/* made when needed, one at least */
	uint64_t	 uses;
	struct q2_packed *first, **last;	/* on their way */
	unsigned	 npacked;
	uint64_t	 bytes;		/* of all of them */
	uint64_t	 next;		/* guest's, behind the last request */
	struct disk_queue waiters;	/* for room for theirs */
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

static void
q2_context_destroy(struct q2_context *c)
{
	if (c->zstd != NULL)
		ZSTD_freeDCtx(c->zstd);
	else
		inflateEnd(&c->zlib);
	free(c);
}

static struct q2_context *
q2_context_create(const struct q2 *q)
{
	size_t size = q2_cluster_size(q);
	struct q2_context *c = malloc(sizeof(*c) + size);

	if (c == NULL)
		return NULL;
	memset(c, 0, sizeof(*c));
	c->size = size;
	if (q->zstd)
		c->zstd = q2_zstd_create();
	/* Deflate without a header, of whatever window. */
	if (q->zstd ? c->zstd != NULL : inflateInit2(&c->zlib, -15) == Z_OK)
		return c;
	free(c);
	return NULL;
}

static struct q2_unpacker *
q2_unpacker_create(struct q2 *q)
{
	struct q2_unpacker *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	u->q = q;
	u->last = &u->first;
	u->context[0] = q2_context_create(q);
	if (u->context[0] == NULL) {
		free(u);
		return NULL;
	}
	u->ncontexts = 1;
	return u;
}

void
q2_unpacker_destroy(struct q2_unpacker *u)
{
	if (u == NULL)
		return;
	while (u->ncontexts > 0)
		q2_context_destroy(u->context[--u->ncontexts]);
	free(u);
}

/* All at once: then zlib keeps no copy of what it may look back at. */
static bool
q2_inflate(struct q2_context *c)
{
	struct q2_packed *p = c->packed;
	int ret;

	(void)inflateReset(&c->zlib);
	c->zlib.next_in = p->bytes;
	c->zlib.avail_in = (uInt)p->len;
	c->zlib.next_out = c->out;
	c->zlib.avail_out = (uInt)c->size;
	ret = inflate(&c->zlib, Z_FINISH);
	/* Z_BUF_ERROR: it would go on. */
	return (ret == Z_STREAM_END || ret == Z_BUF_ERROR) &&
	    c->zlib.avail_out == 0;
}

/* What follows the cluster's bytes in the last sector is of another. */
static bool
q2_unzstd(struct q2_context *c)
{
	ZSTD_inBuffer in = { c->packed->bytes, c->packed->len, 0 };
	ZSTD_outBuffer out = { c->out, c->size, 0 };
	size_t was, ret;

	(void)ZSTD_DCtx_reset(c->zstd, ZSTD_reset_session_only);
	do {
		was = in.pos + out.pos;
		ret = ZSTD_decompressStream(c->zstd, &out, &in);
	} while (!ZSTD_isError(ret) && out.pos < out.size &&
	    in.pos + out.pos != was);
	return !ZSTD_isError(ret) && out.pos == out.size;
}

static void
q2_copy_pieces(const struct q2_context *c, const struct q2_piece *a)
{
	const uint8_t *from;
	unsigned i;

	for (; a != NULL; a = a->next) {
		from = c->out + a->from;
		for (i = 0; i < a->niov; i++) {
			memcpy(a->iov[i].iov_base, from, a->iov[i].iov_len);
			from += a->iov[i].iov_len;
		}
	}
}

/* On a thread: 0, or -EIO if the cluster is broken. */
static int
q2_unpack(struct aio_op *op)
{
	struct q2_context *c = (struct q2_context *)op;

	if (!(c->zstd != NULL ? q2_unzstd(c) : q2_inflate(c)))
		return -EIO;
	q2_copy_pieces(c, c->packed->called);
	return 0;
}

/* One that is not at work, and of these what was used the longest ago. */
static struct q2_context *
q2_context_idle(struct q2_unpacker *u)
{
	struct q2_context *c, *found = NULL;
	unsigned i;

	for (i = 0; i < u->ncontexts; i++) {
		c = u->context[i];
		if (c->packed == NULL && (found == NULL ||
		    c->used < found->used))
			found = c;
	}
	if (found != NULL || u->ncontexts == CONTEXTS)
		return found;
	/* Without memory those that there are do it all. */
	found = q2_context_create(u->q);
	if (found != NULL)
		u->context[u->ncontexts++] = found;
	return found;
}

static void q2_unpacked(struct aio_op *op, int res);

/* The next one that was read, if there is one, and a context for it. */
static void
q2_unpack_next(struct q2_unpacker *u)
{
	struct q2_packed *p = u->first;
	struct q2_context *c;

	while (p != NULL && !p->ready)
		p = p->next;
	if (p == NULL)
		return;
	c = q2_context_idle(u);
	if (c == NULL)
		return;
	c->packed = p;
	c->entry = 0;
	c->used = ++u->uses;
	c->call.done = q2_unpacked;
	p->ready = false;
	p->called = p->first;
	p->first = NULL;
	p->last = &p->first;
	aio_call(u->q->d.aio, q2_unpack, &c->call);
}

/* Not all at once, so that who waits is not called for each. */
static void
q2_packed_free(struct q2_packed *p)
{
	struct q2_unpacker *u = p->u;
	struct q2_packed **at = &u->first;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	if (u->last == &p->next)
		u->last = at;
	u->npacked--;
	u->bytes -= p->len;
	free(p);
	if (u->npacked <= PACKED_COUNT / 2 && u->bytes <= PACKED_MAX / 2)
		disk_queue_wake(&u->waiters, 0);
}

static void
q2_pieces_end(struct q2_piece *next, int res)
{
	struct q2_piece *a;
	struct q2_req *r;

	while ((a = next) != NULL) {
		next = a->next;
		r = a->r;
		free(a);
		q2_child_ended(r, res);
	}
}

/* The disk may be gone when the last piece has ended. */
static void
q2_packed_end(struct q2_packed *p, int res)
{
	struct q2_piece *called = p->called, *first = p->first;

	q2_packed_free(p);
	q2_pieces_end(called, res);
	q2_pieces_end(first, res);
}

static void
q2_unpacked(struct aio_op *op, int res)
{
	struct q2_context *c = (struct q2_context *)op;
	struct q2_packed *p = c->packed;
	struct q2_unpacker *u = p->u;

	c->packed = NULL;
	if (res == 0) {
		c->entry = p->entry;
		q2_copy_pieces(c, p->first);
	} else if (p->called != NULL || p->first != NULL) {
		res = q2_corrupt(u->q, "a compressed cluster is broken at",
		    p->io.offset);
	}
	q2_unpack_next(u);
	q2_packed_end(p, res);
}

static void
q2_packed_read(struct disk_req *req, int res)
{
	struct q2_packed *p = (struct q2_packed *)((char *)req -
	    offsetof(struct q2_packed, io));

	if (res != 0) {
		q2_packed_end(p, res);
		return;
	}
	p->ready = true;
	q2_unpack_next(p->u);
}

/* Reads `len` bytes of the file at `off`; NULL without memory. */
static struct q2_packed *
q2_packed_create(struct q2_unpacker *u, uint64_t entry, uint64_t off,
    uint64_t len)
{
	struct q2_packed *p = malloc(sizeof(*p) + len);

	if (p == NULL)
		return NULL;
	memset(p, 0, sizeof(*p));
	p->u = u;
	p->entry = entry;
	p->last = &p->first;
	p->len = len;
	p->iov = (struct iovec){ p->bytes, len };
	p->io.op = DISK_READ;
	p->io.offset = off;
	p->io.iov = &p->iov;
	p->io.niov = 1;
	p->io.len = len;
	p->io.padded = disk_is_beyond(u->q->file, off, len);
	p->io.done = q2_packed_read;
	*u->last = p;
	u->last = &p->next;
	u->npacked++;
	u->bytes += len;
	disk_submit(u->q->file, &p->io);
	return p;
}

/* The one that is on its way already, or sets it on that; -ENOBUFS: no room. */
static int
q2_packed_get(struct q2_unpacker *u, uint64_t entry, struct q2_packed **pp)
{
	struct q2_packed *p;
	uint64_t off, len;

	for (p = u->first; p != NULL && p->entry != entry; p = p->next)
		continue;
	if (p == NULL) {
		q2_packed_at(u->q, entry, &off, &len);
		if (u->npacked != 0 && (u->npacked == PACKED_COUNT ||
		    len > PACKED_MAX - u->bytes))
			return -ENOBUFS;
		p = q2_packed_create(u, entry, off, len);
	}
	*pp = p;
	return p != NULL ? 0 : -ENOMEM;
}

static int
q2_piece_add(struct q2_packed *p, struct q2_req *r, uint64_t len)
{
	unsigned n = q2_iov_count(r, len);
	struct q2_piece *a = malloc(sizeof(*a) + n * sizeof(a->iov[0]));

	if (a == NULL)
		return -ENOMEM;
	a->r = r;
	a->next = NULL;
	a->from = r->pos % q2_cluster_size(r->q);
	a->niov = q2_iov_take(r, len, a->iov);
	*p->last = a;
	p->last = &a->next;
	r->pos += len;
	r->children++;
	return 0;
}

static struct q2_context *
q2_context_with(struct q2_unpacker *u, uint64_t entry)
{
	unsigned i;

	for (i = 0; i < u->ncontexts; i++)
		if (u->context[i]->entry == entry)
			return u->context[i];
	return NULL;
}

static void
q2_copy_kept(struct q2_unpacker *u, struct q2_context *c, struct q2_req *r,
    uint64_t len)
{
	const uint8_t *from = c->out + r->pos % c->size;
	struct iovec part;

	c->used = ++u->uses;
	r->pos += len;
	for (; len != 0 && r->niov != 0; len -= part.iov_len) {
		(void)q2_iov_take(r, q2_min(len, r->iov->iov_len), &part);
		memcpy(part.iov_base, from, part.iov_len);
		from += part.iov_len;
	}
}

/* The cluster at `pos`, if the table that was just looked at has its entry. */
static void
q2_ahead_one(struct q2_unpacker *u, uint64_t pos)
{
	struct q2_packed *p;
	struct q2_extent x;

	if (q2_lookup(u->q, pos, 1, NULL, &x) == 0 &&
	    x.kind == Q2_COMPRESSED && q2_context_with(u, x.entry) == NULL)
		(void)q2_packed_get(u, x.entry, &p);
}

/*
 * Who asks for one thing after the other, in order, would wait for a thread to
 * wake each time: where such a request begins with a cluster, those that follow
 * its last one are begun, too.
 */
static void
q2_read_ahead(struct q2_unpacker *u, uint64_t pos, uint64_t end)
{
	const struct q2 *q = u->q;
	uint64_t size = q2_cluster_size(q), next = u->next, i;
	uint64_t span = size * (q->slice_len / q->entry_len);

	u->next = end;
	if (pos != next || pos % size != 0)
		return;
	end = (end + size - 1) / size * size;
	for (i = 0; i < AHEAD && end < q->d.info.size &&
	    end / span == pos / span; i++, end += size)
		q2_ahead_one(u, end);
}

int
q2_read_packed(struct q2_req *r, const struct q2_extent *x)
{
	struct q2 *q = r->q;
	struct q2_unpacker *u = q->unpacker;
	struct q2_context *c;
	struct q2_packed *p;
	uint64_t pos = r->pos;
	int error = 0;

	if (u == NULL) {
		u = q->unpacker = q2_unpacker_create(q);
		if (u == NULL)
			return -ENOMEM;
	}
	c = q2_context_with(u, x->entry);
	if (c == NULL) {
		error = q2_packed_get(u, x->entry, &p);
		if (error == -ENOBUFS) {
			disk_queue_add(&u->waiters, &r->wait);
			return -EINPROGRESS;
		}
	}
	if (c != NULL)
		q2_copy_kept(u, c, r, x->len);
	else if (error == 0)
		error = q2_piece_add(p, r, x->len);
	if (error == 0)
		q2_read_ahead(u, pos, r->end);
	return error;
}

bool
q2_unpacker_is_idle(struct q2_unpacker *u, struct disk_wait *w)
{
	if (u == NULL || u->npacked == 0)
		return true;
	disk_queue_add(&u->waiters, w);
	return false;
}
