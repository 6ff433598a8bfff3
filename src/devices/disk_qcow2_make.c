/* SPDX-License-Identifier: ISC */
/*
 * qcow2: new images.  See disk_make.h.  What they have is one after the other:
 * header, refcount table and blocks, L1 table; L2 tables and data clusters if
 * they are there from the beginning, unless another file has the data.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "devices/disk_make.h"
#include "devices/disk_qcow2.h"

#define V2_LEN		72u
#define V3_LEN		104u

/* Offsets and lengths in clusters. */
struct q2_making {
	const struct disk_make *m;
	int		 fd;
	int		 data_fd;	/* or that of the data file */
	uint64_t	 size;		/* bytes of a cluster */
	unsigned	 rc_order;
	unsigned	 entry_len;	/* of L2 tables */
	uint64_t	 rt, nrt;
	uint64_t	 blocks, nblocks;
	uint64_t	 l1, nl1;
	uint64_t	 entries;	/* of L1 */
	uint64_t	 l2, nl2;
	uint64_t	 data, ndata;	/* of the file that has the data */
	uint64_t	 end;		/* of the image's own */
	uint8_t		*buf;		/* a cluster */
};

static uint64_t
div_up(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

/* Refcounts count themselves. */
static void
q2_plan_refcounts(struct q2_making *k, uint64_t others)
{
	uint64_t per = k->size * 8 >> k->rc_order, was;

	k->nblocks = k->nrt = 1;
	do {
		was = k->nblocks + k->nrt;
		k->nblocks = div_up(others + was, per);
		k->nrt = div_up(k->nblocks * 8, k->size);
	} while (k->nblocks + k->nrt != was);
}

static int
q2_plan(struct q2_making *k)
{
	const struct disk_make *m = k->m;
	uint64_t per, clusters, own;

	k->size = m->cluster;
	k->rc_order = (unsigned)__builtin_ctz(m->refcount_bits);
	k->entry_len = m->extended ? 16 : 8;
	per = k->size / k->entry_len;
	clusters = div_up(m->size, k->size);
	k->entries = div_up(clusters, per);
	k->nl1 = div_up(k->entries * 8, k->size);
	/* Who reads a raw data file alone knows of no table. */
	if (m->prealloc != DISK_PREALLOC_OFF || m->raw_data) {
		k->nl2 = k->entries;
		k->ndata = clusters;
	}
	own = m->data == NULL ? k->ndata : 0;
	q2_plan_refcounts(k, 1 + k->nl1 + k->nl2 + own);
	k->rt = 1;
	k->blocks = k->rt + k->nrt;
	k->l1 = k->blocks + k->nblocks;
	k->l2 = k->l1 + k->nl1;
	k->data = m->data == NULL ? k->l2 + k->nl2 : 0;
	k->end = k->l2 + k->nl2 + own;
	if (k->nrt * k->size > Q2_REFTABLE_MAX ||
	    k->end > (uint64_t)INT64_MAX / k->size)
		return -EFBIG;
	return 0;
}

static int
q2_put(const struct q2_making *k, const void *buf, size_t len, uint64_t off)
{
	const uint8_t *p = buf;
	ssize_t n;

	for (; len != 0; len -= (size_t)n, p += n, off += (uint64_t)n) {
		n = pwrite(k->fd, p, len, (off_t)off);
		if (n == -1)
			return -errno;
	}
	return 0;
}

static int
q2_put_cluster(const struct q2_making *k, uint64_t cluster)
{
	int error = disk_make_goes_on(k->m);

	return error != 0 ? error : q2_put(k, k->buf, k->size,
	    cluster * k->size);
}

/* A table at the cluster `at`: `n` links to `first` and what follows it. */
static int
q2_put_links(const struct q2_making *k, uint64_t at, uint64_t n,
    uint64_t first, uint64_t flags)
{
	uint64_t i, per = k->size / 8;
	int error = 0;

	for (i = 0; i < n && error == 0; i++) {
		if (i % per == 0)
			memset(k->buf, 0, k->size);
		q2_put_be64(k->buf + i % per * 8, (first + i) * k->size |
		    flags);
		if (i % per == per - 1 || i == n - 1)
			error = q2_put_cluster(k, at + i / per);
	}
	return error;
}

/* L2 tables; of extended entries, all parts are there. */
static int
q2_put_l2(const struct q2_making *k)
{
	uint64_t i, per = k->size / k->entry_len;
	uint8_t *p;
	int error = 0;

	for (i = 0; i < k->ndata && error == 0; i++) {
		if (i % per == 0)
			memset(k->buf, 0, k->size);
		p = k->buf + i % per * k->entry_len;
		q2_put_be64(p, (k->data + i) * k->size | Q2_COPIED);
		if (k->m->extended)
			q2_put_be64(p + 8, UINT32_MAX);
		if (i % per == per - 1 || i == k->ndata - 1)
			error = q2_put_cluster(k, k->l2 + i / per);
	}
	return error;
}

/* All clusters up to the end have the refcount 1. */
static int
q2_put_blocks(const struct q2_making *k)
{
	const struct q2 q = { .rc_order = k->rc_order };
	uint64_t per = k->size * 8 >> k->rc_order, i, block, n;
	int error = 0;

	memset(k->buf, 0, k->size);
	n = q2_min(per, k->end);
	for (i = 0; i < n; i++)
		q2_set_refcount(&q, k->buf, i, 1);
	for (block = 0; block < k->nblocks && error == 0; block++) {
		/* The last one is in use up to there. */
		n = k->end - block * per;
		for (i = n; i < per && block > 0; i++)
			q2_set_refcount(&q, k->buf, i, 0);
		error = q2_put_cluster(k, k->blocks + block);
	}
	return error;
}

static void
q2_fill_header(const struct q2_making *k, struct q2_header *h)
{
	const struct disk_make *m = k->m;
	uint64_t incompatible = (m->zstd ? Q2_INCOMPAT_COMPRESSION : 0) |
	    (m->extended ? Q2_INCOMPAT_EXTENDED_L2 : 0) |
	    (m->data != NULL ? Q2_INCOMPAT_DATA_FILE : 0);

	memcpy(&h->magic, "QFI\xfb", 4);
	h->version = htobe32(m->version);
	h->cluster_bits = htobe32((uint32_t)__builtin_ctz(m->cluster));
	h->size = htobe64(m->size);
	h->l1_size = htobe32((uint32_t)k->entries);
	h->l1_offset = htobe64(k->l1 * k->size);
	h->reftable_offset = htobe64(k->rt * k->size);
	h->reftable_clusters = htobe32((uint32_t)k->nrt);
	h->incompatible = htobe64(incompatible);
	h->compatible = htobe64(m->lazy ? Q2_COMPAT_LAZY : 0);
	h->autoclear = htobe64(m->raw_data ? Q2_AUTOCLEAR_RAW_DATA : 0);
	h->refcount_order = htobe32(k->rc_order);
	h->header_len = htobe32(m->zstd ? sizeof(*h) : V3_LEN);
	h->compression = m->zstd;
}

/* An extension at `at`, unless there is no text for it; where the next is. */
static uint32_t
q2_fill_extension(const struct q2_making *k, uint32_t at, uint32_t type,
    const char *text)
{
	size_t len;
	uint32_t v;

	if (text == NULL)
		return at;
	len = strlen(text);
	v = htobe32(type);
	memcpy(k->buf + at, &v, 4);
	v = htobe32((uint32_t)len);
	memcpy(k->buf + at + 4, &v, 4);
	memcpy(k->buf + at + 8, text, len);
	return at + 8 + (uint32_t)(len + 7) / 8 * 8;
}

/* The names of other files, from `at` on. */
static void
q2_fill_names(const struct q2_making *k, struct q2_header *h, uint32_t at)
{
	const struct disk_make *m = k->m;

	at = q2_fill_extension(k, at, Q2_EXT_BACKING, m->behind_format);
	at = q2_fill_extension(k, at, Q2_EXT_DATA_FILE, m->data);
	if (m->behind == NULL)
		return;
	/* The end of the extensions is eight bytes of zero. */
	at += 8;
	memcpy(k->buf + at, m->behind, strlen(m->behind));
	h->backing_offset = htobe64(at);
	h->backing_len = htobe32((uint32_t)strlen(m->behind));
}

/* The last, which makes an image of the file. */
static int
q2_put_header(const struct q2_making *k)
{
	uint32_t len = k->m->version < 3 ? V2_LEN : k->m->zstd ?
	    sizeof(struct q2_header) : V3_LEN;
	struct q2_header h = { 0 };

	memset(k->buf, 0, k->size);
	q2_fill_header(k, &h);
	q2_fill_names(k, &h, len);
	memcpy(k->buf, &h, len);
	return q2_put_cluster(k, 0);
}

/* The length of the files, and what is to have room there. */
static int
q2_put_room(const struct q2_making *k)
{
	const struct disk_make *m = k->m;
	uint64_t off = k->data * k->size, len = k->ndata * k->size;
	int fd = k->fd;

	if (ftruncate(k->fd, (off_t)(k->end * k->size)) == -1)
		return -errno;
	if (m->data != NULL) {
		fd = k->data_fd;
		len = m->size;
		if (ftruncate(fd, (off_t)len) == -1)
			return -errno;
	}
	if (m->prealloc != DISK_PREALLOC_FALLOC)
		return 0;
	return disk_make_room(fd, off, len, m);
}

static int
q2_put_all(const struct q2_making *k)
{
	int error;

	error = q2_put_room(k);
	if (error != 0)
		return error;
	error = q2_put_links(k, k->rt, k->nblocks, k->blocks, 0);
	if (error == 0)
		error = q2_put_blocks(k);
	if (error == 0)
		error = q2_put_links(k, k->l1, k->nl2, k->l2, Q2_COPIED);
	if (error == 0)
		error = q2_put_l2(k);
	return error != 0 ? error : q2_put_header(k);
}

int
disk_qcow2_make(int fd, int data, const struct disk_make *m)
{
	struct q2_making k = { .m = m, .fd = fd, .data_fd = data };
	int error;

	error = q2_plan(&k);
	if (error != 0)
		return error;
	k.buf = malloc(k.size);
	if (k.buf == NULL)
		return -ENOMEM;
	error = q2_put_all(&k);
	free(k.buf);
	return error;
}
