/* SPDX-License-Identifier: ISC */
/*
 * Pieces of disk images' tables: see disk_tables.h.
 */
#include "devices/disk_tables.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "devices/disk_local.h"

#define BUCKETS		4096u		/* a power of two */

struct disk_tables {
	size_t			 limit, used;		/* bytes */
	struct disk_slice	*newest, *oldest;	/* not pinned */
	struct disk_slice	*bucket[BUCKETS];
};

void
disk_queue_add(struct disk_queue *q, struct disk_wait *w)
{
	w->next = NULL;
	if (q->first == NULL)
		q->first = w;
	else
		q->last->next = w;
	q->last = w;
}

void
disk_queue_wake(struct disk_queue *q, int res)
{
	struct disk_wait *w = q->first, *next;

	q->first = NULL;
	for (; w != NULL; w = next) {
		next = w->next;
		w->fn(w, res);
	}
}

struct disk_tables *
disk_tables_create(size_t bytes)
{
	struct disk_tables *c = calloc(1, sizeof(*c));

	if (c != NULL)
		c->limit = bytes;
	return c;
}

void
disk_tables_destroy(struct disk_tables *c)
{
	assert(c == NULL || c->used == 0);
	free(c);
}

size_t
disk_tables_used(const struct disk_tables *c)
{
	return c->used;
}

bool
disk_tables_full(const struct disk_tables *c)
{
	return c->used > c->limit;
}

static struct disk_slice **
tables_bucket(struct disk_tables *c, const struct disk *file, uint64_t off)
{
	uint64_t h = ((uintptr_t)file >> 4) ^ off / DISK_SECTOR;

	h *= UINT64_C(0x9e3779b97f4a7c15);
	return &c->bucket[h >> 40 & (BUCKETS - 1)];
}

static void
tables_unlink(struct disk_tables *c, struct disk_slice *s)
{
	if (s->newer != NULL)
		s->newer->older = s->older;
	else
		c->newest = s->older;
	if (s->older != NULL)
		s->older->newer = s->newer;
	else
		c->oldest = s->newer;
}

static void
tables_link(struct disk_tables *c, struct disk_slice *s)
{
	s->newer = NULL;
	s->older = c->newest;
	if (c->newest != NULL)
		c->newest->newer = s;
	else
		c->oldest = s;
	c->newest = s;
}

static void
tables_forget(struct disk_tables *c, struct disk_slice *s)
{
	struct disk_slice **p = tables_bucket(c, s->file, s->off);

	while (*p != s)
		p = &(*p)->chain;
	*p = s->chain;
	c->used -= s->len;
	free(s->data);
	free(s);
}

static void
tables_remove(struct disk_tables *c, struct disk_slice *s)
{
	tables_unlink(c, s);
	tables_forget(c, s);
}

/* Makes room, as far as there is any to make. */
static void
tables_evict(struct disk_tables *c, size_t len)
{
	while (c->oldest != NULL && c->used + len > c->limit)
		tables_remove(c, c->oldest);
}

static struct disk_slice *
tables_find(struct disk_tables *c, const struct disk *file, uint64_t off)
{
	struct disk_slice *s = *tables_bucket(c, file, off);

	while (s != NULL && (s->off != off || s->file != file))
		s = s->chain;
	return s;
}

static void
tables_loaded(struct disk_req *req, int res)
{
	struct disk_slice *s = (struct disk_slice *)((char *)req -
	    offsetof(struct disk_slice, io));

	s->loaded = res == 0;
	s->io.done = NULL;
	/* The pin of the load keeps it until all have seen it. */
	disk_queue_wake(&s->waiters, res);
	disk_slice_put(s);
}

static struct disk_slice *
tables_add(struct disk_tables *c, struct disk *file, uint64_t off, uint32_t len)
{
	struct disk_slice **p, *s;

	tables_evict(c, len);
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	/* Aligned, for files that are read past the host's cache. */
	if (posix_memalign((void **)&s->data, DISK_SLICE_MAX, len) != 0) {
		free(s);
		return NULL;
	}
	s->tables = c;
	s->file = file;
	s->off = off;
	s->len = len;
	p = tables_bucket(c, file, off);
	s->chain = *p;
	*p = s;
	c->used += len;
	return s;
}

static void
tables_load(struct disk_slice *s)
{
	s->pins = 1;
	s->iov = (struct iovec){ s->data, s->len };
	s->io = (struct disk_req){
		.op = DISK_READ,
		.offset = s->off,
		.iov = &s->iov,
		.niov = 1,
		.len = s->len,
		.padded = disk_is_beyond(s->file, s->off, s->len),
		.done = tables_loaded,
	};
	disk_submit(s->file, &s->io);
}

int
disk_tables_get(struct disk_tables *c, struct disk *file, uint64_t off,
    uint32_t len, struct disk_wait *w, struct disk_slice **sp)
{
	struct disk_slice *s = tables_find(c, file, off);

	if (s == NULL) {
		s = tables_add(c, file, off, len);
		if (s == NULL)
			return -ENOMEM;
		tables_load(s);
	}
	if (!s->loaded) {
		/* Its load failed, and somebody told of that asks again. */
		if (s->io.done == NULL)
			return -EIO;
		disk_queue_add(&s->waiters, w);
		return -EINPROGRESS;
	}
	if (s->pins++ == 0)
		tables_unlink(c, s);
	*sp = s;
	return 0;
}

void
disk_slice_pin(struct disk_slice *s)
{
	s->pins++;
}

void
disk_slice_put(struct disk_slice *s)
{
	assert(s->pins > 0);
	if (--s->pins != 0)
		return;
	if (s->loaded)
		tables_link(s->tables, s);
	else
		tables_forget(s->tables, s);
}

void
disk_tables_drop_part(struct disk_tables *c, const struct disk *file,
    uint64_t off, uint64_t len)
{
	struct disk_slice *s;
	uint64_t end = off + len;

	/* Pieces begin where a multiple of the least of them is. */
	for (; off < end; off += DISK_SECTOR) {
		s = tables_find(c, file, off);
		if (s != NULL && s->pins == 0)
			tables_remove(c, s);
	}
}

void
disk_tables_drop(struct disk_tables *c, const struct disk *file)
{
	struct disk_slice *s, *older;

	for (s = c->newest; s != NULL; s = older) {
		older = s->older;
		if (s->file == file)
			tables_remove(c, s);
	}
}
