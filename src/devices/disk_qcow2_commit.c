/* SPDX-License-Identifier: ISC */
/*
 * qcow2: what has changed in the tables gets into the file, in the phases of
 * disk_qcow2.h.  One commit runs at a time, on copies; a flush waits for the
 * end of the next that begins.
 */
#include <assert.h>
#include <stdlib.h>

#include "devices/disk_qcow2.h"

static void q2_phase_start(struct q2 *q);

/* A write of `len` bytes, to be filled in. */
static struct q2_write *
q2_write_add(struct q2 *q, unsigned phase, uint64_t off, size_t len)
{
	struct q2_write *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->data = q2_alloc_bytes(len, 0);
	if (w->data == NULL) {
		free(w);
		return NULL;
	}
	w->q = q;
	w->iov = (struct iovec){ w->data, len };
	w->io.op = DISK_WRITE;
	w->io.offset = off;
	w->io.iov = &w->iov;
	w->io.niov = 1;
	w->io.len = len;
	w->next = q->commit.write[phase];
	q->commit.write[phase] = w;
	return w;
}

/* Copies the changed pieces, which from now on are clean and stay pinned. */
static int
q2_collect_slices(struct q2 *q, unsigned phase, struct disk_slice **list)
{
	struct disk_slice *s;
	struct q2_write *w;

	while ((s = *list) != NULL) {
		w = q2_write_add(q, phase, s->off, s->len);
		if (w == NULL)
			return -ENOMEM;
		memcpy(w->data, s->data, s->len);
		w->s = s;
		*list = s->dirty_next;
		s->dirty = false;
		q->ndirty--;
	}
	return 0;
}

/* Entries of a table that is in memory, from `first` on. */
static int
q2_collect_entries(struct q2 *q, unsigned phase, uint64_t off,
    const uint64_t *table, uint64_t first, uint64_t n)
{
	struct q2_write *w;
	uint64_t i;

	w = q2_write_add(q, phase, off + first * 8, n * 8);
	if (w == NULL)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		q2_put_be64(w->data + i * 8, table[first + i]);
	return 0;
}

/* The blocks of such a table that have changed; `was` remembers which. */
static int
q2_collect_table(struct q2 *q, unsigned phase, uint64_t off,
    const uint64_t *table, uint64_t size, uint8_t *dirty)
{
	uint64_t i, first;
	int error = 0;

	for (i = 0; i * Q2_ENTRY_BLOCK < size && error == 0; i++) {
		if (dirty[i] == 0)
			continue;
		first = i * Q2_ENTRY_BLOCK;
		error = q2_collect_entries(q, phase, off, table, first,
		    q2_min(size - first, Q2_ENTRY_BLOCK));
		if (error == 0)
			dirty[i] = 0;
	}
	return error;
}

/* The refcount table has moved: all of it, then the header that says where. */
static int
q2_collect_moved(struct q2 *q)
{
	uint32_t clusters = htobe32((uint32_t)((q->rt_size * 8) >>
	    q->cluster_bits));
	struct q2_write *w;
	int error;

	error = q2_collect_entries(q, 0, q->rt_offset, q->rt, 0, q->rt_size);
	if (error != 0)
		return error;
	w = q2_write_add(q, 1, offsetof(struct q2_header, reftable_offset),
	    sizeof(uint64_t) + sizeof(clusters));
	if (w == NULL)
		return -ENOMEM;
	q2_put_be64(w->data, q->rt_offset);
	memcpy(w->data + sizeof(uint64_t), &clusters, sizeof(clusters));
	return 0;
}

static int
q2_collect_refcounts(struct q2 *q)
{
	uint64_t blocks = (q->rt_size + Q2_ENTRY_BLOCK - 1) / Q2_ENTRY_BLOCK;
	int error;

	error = q2_collect_slices(q, 0, &q->rc_dirty);
	if (error != 0 || !q->rt_changed)
		return error;
	if (q->rt_moved)
		error = q2_collect_moved(q);
	else
		error = q2_collect_table(q, 1, q->rt_offset, q->rt,
		    q->rt_size, q->rt_dirty);
	if (error != 0)
		return error;
	memset(q->rt_dirty, 0, blocks);
	q->commit.rt_moved = q->rt_moved;
	q->rt_moved = false;
	q->rt_changed = false;
	return 0;
}

static int
q2_collect(struct q2 *q)
{
	int error;

	error = q2_collect_refcounts(q);
	if (error == 0)
		error = q2_collect_slices(q, 2, &q->l2_dirty);
	if (error == 0 && q->l1_changed) {
		error = q2_collect_table(q, 2, q->l1_offset, q->l1,
		    q->l1_size, q->l1_dirty);
		if (error == 0)
			q->l1_changed = false;
	}
	return error;
}

/* What a write of a failed commit had is still to be written. */
static void
q2_write_again(struct q2 *q, const struct q2_write *w, unsigned phase)
{
	uint64_t first;

	if (w->s != NULL) {
		q2_slice_dirty(q, w->s, phase == 0);
	} else if (phase == 2) {
		first = (w->io.offset - q->l1_offset) / 8;
		q->l1_dirty[first / Q2_ENTRY_BLOCK] = 1;
		q->l1_changed = true;
	} else if (q->commit.rt_moved || q->rt_moved) {
		q->rt_moved = q->rt_changed = true;
	} else {
		first = (w->io.offset - q->rt_offset) / 8;
		q->rt_dirty[first / Q2_ENTRY_BLOCK] = 1;
		q->rt_changed = true;
	}
}

static void
q2_commit_clear(struct q2 *q, bool failed)
{
	struct q2_write *w;
	unsigned phase;

	for (phase = 0; phase < Q2_PHASES; phase++) {
		while ((w = q->commit.write[phase]) != NULL) {
			q->commit.write[phase] = w->next;
			if (failed)
				q2_write_again(q, w, phase);
			if (w->s != NULL)
				disk_slice_put(w->s);
			free(w->data);
			free(w);
		}
	}
}

/* Moves runs to the end of others; without memory they leak. */
static void
q2_move_runs(struct q2_runs *to, struct q2_runs *from)
{
	size_t i;

	for (i = 0; i < from->n; i++)
		(void)q2_add_run(to, from->run[i].first, from->run[i].n);
	from->n = 0;
}

static void
q2_commit_end(struct q2 *q)
{
	struct q2_commit *c = &q->commit;
	struct disk_queue throttled;
	int res = c->res;

	q2_commit_clear(q, res != 0);
	if (res == 0) {
		q2_move_runs(&q->freed, &c->frees);
		q->freed_seq = q->seq;
	} else {
		q2_move_runs(&q->unlinked, &c->frees);
	}
	c->running = false;
	throttled = q->throttled;
	q->throttled = (struct disk_queue){ 0 };
	/* These may start the next. */
	disk_queue_wake(&c->waiters, res);
	disk_queue_wake(&throttled, res);
	q2_free(q);
	if (res == 0)
		q2_commit_if_due(q);
	else if (q->flushes.first != NULL && !c->running)
		q2_commit_start(q);
}

static void
q2_synced(struct q2 *q, int res)
{
	struct q2_commit *c = &q->commit;

	if (res != 0 && c->res == 0)
		c->res = res;
	if (--c->flying != 0)
		return;
	do
		c->phase++;
	while (c->phase < Q2_PHASES && c->write[c->phase] == NULL);
	if (c->res != 0 || c->phase == Q2_PHASES)
		q2_commit_end(q);
	else
		q2_phase_start(q);
}

static void
q2_file_synced(struct disk_req *req, int res)
{
	q2_synced((struct q2 *)((char *)req -
	    offsetof(struct q2, commit.sync)), res);
}

static void
q2_data_synced(struct disk_req *req, int res)
{
	q2_synced((struct q2 *)((char *)req -
	    offsetof(struct q2, commit.sync_data)), res);
}

static void
q2_phase_sync(struct q2 *q)
{
	struct q2_commit *c = &q->commit;

	c->flying = q2_has_data_file(q) ? 2 : 1;
	if (q2_has_data_file(q)) {
		c->sync_data = (struct disk_req){
			.op = DISK_FLUSH,
			.done = q2_data_synced,
		};
		disk_submit(q->data, &c->sync_data);
	}
	c->sync = (struct disk_req){
		.op = DISK_FLUSH,
		.done = q2_file_synced,
	};
	disk_submit(q->file, &c->sync);
}

static void
q2_written(struct disk_req *req, int res)
{
	struct q2_write *w = (struct q2_write *)((char *)req -
	    offsetof(struct q2_write, io));
	struct q2_commit *c = &w->q->commit;

	if (res != 0 && c->res == 0)
		c->res = res;
	if (--c->flying != 0)
		return;
	if (c->res != 0)
		q2_commit_end(w->q);
	else
		q2_phase_sync(w->q);
}

static void
q2_phase_start(struct q2 *q)
{
	struct q2_commit *c = &q->commit;
	struct q2_write *w;

	for (w = c->write[c->phase]; w != NULL; w = w->next)
		c->flying++;
	if (c->flying == 0) {
		q2_phase_sync(q);
		return;
	}
	for (w = c->write[c->phase]; w != NULL; w = w->next) {
		w->io.done = q2_written;
		disk_submit(q->file, &w->io);
	}
}

void
q2_commit_start(struct q2 *q)
{
	struct q2_commit *c = &q->commit;

	assert(!c->running);
	c->running = true;
	c->phase = 0;
	c->flying = 0;
	c->rt_moved = false;
	c->waiters = q->flushes;
	q->flushes = (struct disk_queue){ 0 };
	q2_move_runs(&c->frees, &q->unlinked);
	c->res = q2_collect(q);
	/* Who starts one is not to be woken by it at once. */
	if (c->res != 0)
		q2_phase_sync(q);
	else
		q2_phase_start(q);
}

/* Has the disk so many changed pieces that more must wait? */
bool
q2_is_throttled(const struct q2 *q)
{
	return q->ndirty >= Q2_DIRTY_MAX ||
	    (q->ndirty != 0 && disk_tables_full(q->d.tables));
}

void
q2_commit_if_due(struct q2 *q)
{
	if (!q->commit.running && (q->flushes.first != NULL ||
	    q->ndirty >= Q2_DIRTY_DUE || q2_is_throttled(q) ||
	    q->unlinked.n >= Q2_FREES_DUE))
		q2_commit_start(q);
}

bool
q2_is_clean(const struct q2 *q)
{
	return q->ndirty == 0 && !q->l1_changed && !q->rt_changed &&
	    q->unlinked.n == 0;
}

/* Gives up what cannot be written. */
void
q2_commit_forget(struct q2 *q)
{
	struct disk_slice **list[] = { &q->rc_dirty, &q->l2_dirty }, *s;
	unsigned i;

	for (i = 0; i < 2; i++) {
		while ((s = *list[i]) != NULL) {
			*list[i] = s->dirty_next;
			s->dirty = false;
			q->ndirty--;
			disk_slice_put(s);
		}
	}
}

int
q2_flush_step(struct q2_req *r)
{
	/* Called again once it is woken: the commit is over. */
	if (r->pos == r->end)
		return 0;
	r->pos = r->end;
	disk_queue_add(&r->q->flushes, &r->wait);
	if (!r->q->commit.running)
		q2_commit_start(r->q);
	return -EINPROGRESS;
}
