/* SPDX-License-Identifier: ISC */
/*
 * qcow2: are the tables right?  See disk_check.h.  All links are counted, and
 * compared with the refcounts; then the flags of links, which say that they are
 * the only ones.  Blocks; before the disk is attached.
 *
 * What leaks is repaired in place.  Where something else is wrong, refcounts
 * are made anew, and flags set right with them.
 */
#include <stdlib.h>

#include "devices/disk_check.h"
#include "devices/disk_qcow2.h"

struct q2_checking {
	struct q2_count		*c;
	struct q2		*q;
	uint8_t			*block;		/* a cluster */
	uint64_t		*counts;	/* refcounts that flags go by */
	bool			*seen;		/* L2 tables, by cluster */
	struct disk_check	*res;
	bool			 repair;	/* what is looked at */
};

void
q2_found(struct disk_check *res, const char *what, uint64_t at)
{
	if (res->nproblems < DISK_PROBLEMS_MAX)
		res->problem[res->nproblems++] =
		    (struct disk_problem){ what, at };
	res->corruptions++;
}

/* The refcount table and its blocks have links, too. */
static int
q2_count_refcounts(struct q2_count *c)
{
	struct q2 *q = c->q;
	uint64_t i;
	int error;

	error = q2_count_bytes(c, q->rt_offset, q->rt_size * 8);
	for (i = 0; i < q->rt_size && error == 0; i++) {
		if (q->rt[i] == 0)
			continue;
		if (q->rt[i] % q2_cluster_size(q) != 0)
			(void)q2_count_wrong(c, "a refcount block is where "
			    "none can be, at", q->rt[i]);
		else
			error = q2_count_bytes(c, q->rt[i],
			    q2_cluster_size(q));
	}
	return error;
}

/* Reads a block; one that is not there has zeroes. */
static int
q2_read_block(struct q2_checking *k, uint64_t i)
{
	const struct q2 *q = k->q;
	size_t size = q2_cluster_size(q);

	if (i >= q->rt_size || q->rt[i] == 0 || q->rt[i] % size != 0) {
		memset(k->block, 0, size);
		return 0;
	}
	return disk_raw_read(q->file, k->block, size, q->rt[i]);
}

/* The refcounts of one block, compared with the links. */
static int
q2_check_block(struct q2_checking *k, uint64_t block)
{
	const struct q2 *q = k->q;
	uint64_t per = UINT64_C(1) << q->rb_bits, i, at, v;
	bool changed = false;
	int error;

	error = q2_read_block(k, block);
	for (i = 0; i < per && error == 0; i++) {
		at = block * per + i;
		if (at >= k->c->n)
			break;
		v = q2_refcount(q, k->block, i);
		k->res->used += v != 0;
		if (v < k->c->links[at])
			q2_found(k->res, "a refcount is less than the links to",
			    at << q->cluster_bits);
		if (v > k->c->links[at]) {
			k->res->leaks++;
			q2_set_refcount(q, k->block, i, k->c->links[at]);
			changed = true;
			v = k->repair ? k->c->links[at] : v;
		}
		k->counts[at] = v;
	}
	if (error == 0 && changed && k->repair)
		error = disk_raw_write(q->file, k->block, q2_cluster_size(q),
		    q->rt[block]);
	return error;
}

/* Whether the flag of a link agrees with the refcount; *link may change. */
static bool
q2_check_flag(struct q2_checking *k, uint64_t off, uint64_t *link)
{
	uint64_t i = off >> k->q->cluster_bits;
	bool own = i < k->c->n && k->counts[i] == 1;

	if (i >= k->c->n || own == ((*link & Q2_COPIED) != 0))
		return true;
	q2_found(k->res, own ? "a link does not say that it is the only one to" :
	    "a link says that it is the only one to", off);
	*link ^= Q2_COPIED;
	return false;
}

static bool
q2_check_entry(struct q2_checking *k, uint64_t *entry)
{
	uint64_t off, len;

	if ((*entry & Q2_COMPRESSED_BIT) != 0) {
		if ((*entry & Q2_COPIED) == 0)
			return true;
		q2_packed_at(k->q, *entry, &off, &len);
		q2_found(k->res, "a link says that it is the only one to", off);
		*entry &= ~Q2_COPIED;
		return false;
	}
	if ((*entry & Q2_OFFSET) == 0 ||
	    (*entry & Q2_OFFSET) % q2_cluster_size(k->q) != 0)
		return true;
	return q2_check_flag(k, *entry & Q2_OFFSET, entry);
}

static int
q2_check_l2(struct q2_checking *k, uint64_t off)
{
	struct q2 *q = k->q;
	size_t size = q2_cluster_size(q), i;
	bool same = true;
	uint64_t entry;
	int error;

	error = disk_raw_read(q->file, k->block, size, off);
	if (error != 0)
		return error;
	for (i = 0; i < size; i += q->entry_len) {
		entry = q2_be64(k->block + i);
		if (q2_check_entry(k, &entry))
			continue;
		q2_put_be64(k->block + i, entry);
		same = false;
	}
	if (same || !k->repair)
		return 0;
	return disk_raw_write(q->file, k->block, size, off);
}

/* One L1 entry, and what it links to. */
static int
q2_check_l1_entry(struct q2_checking *k, uint64_t i)
{
	struct q2 *q = k->q;
	uint64_t link = q->l1[i], off = link & Q2_OFFSET;
	uint8_t be[8];
	int error = 0;

	if (off == 0 || off % q2_cluster_size(q) != 0 ||
	    off >> q->cluster_bits >= k->c->n)
		return 0;
	if (!q2_check_flag(k, off, &link) && k->repair) {
		q->l1[i] = link;
		q2_put_be64(be, link);
		error = disk_raw_write(q->file, be, sizeof(be),
		    q->l1_offset + i * 8);
	}
	/* All links to an external file say that they are the only ones. */
	if (error != 0 || k->seen[off >> q->cluster_bits] ||
	    q2_has_data_file(q))
		return error;
	k->seen[off >> q->cluster_bits] = true;
	return q2_check_l2(k, off);
}

static int
q2_check_flags(struct q2_checking *k)
{
	uint64_t i;
	int error = 0;

	k->seen = calloc(k->c->n + 1, sizeof(*k->seen));
	if (k->seen == NULL)
		return -ENOMEM;
	for (i = 0; i < k->q->l1_size && error == 0; i++)
		error = q2_check_l1_entry(k, i);
	free(k->seen);
	return error;
}

/* Of all links, by what is counted. */
int
q2_set_flags(struct q2_count *c)
{
	struct disk_check res = { 0 };
	struct q2_checking k = {
		.c = c, .q = c->q, .block = c->table, .counts = c->links,
		.res = &res, .repair = true,
	};

	return q2_check_flags(&k);
}

static int
q2_check_all(struct q2_checking *k)
{
	uint64_t per = UINT64_C(1) << k->q->rb_bits, i;
	int error;

	k->c->found = k->res;
	error = q2_count_all(k->c);
	if (error == 0)
		error = q2_count_refcounts(k->c);
	for (i = 0; i * per < k->c->n && error == 0; i++)
		error = q2_check_block(k, i);
	if (error == 0)
		error = q2_check_flags(k);
	return error;
}

/* One look, which may set right what leaks. */
static int
q2_check_once(struct q2 *q, bool repair, struct disk_check *res)
{
	struct q2_count c;
	struct q2_checking k = {
		.c = &c, .q = q, .res = res, .repair = repair,
	};
	int error;

	memset(res, 0, sizeof(*res));
	error = q2_load_reftable(q);
	if (error != 0)
		return error;
	error = q2_count_begin(&c, q);
	k.block = malloc(q2_cluster_size(q));
	k.counts = calloc(c.n + 1, sizeof(*k.counts));
	if (k.block == NULL || k.counts == NULL)
		error = -ENOMEM;
	if (error == 0)
		error = q2_check_all(&k);
	res->clusters = c.n;
	q2_count_end(&c);
	free(k.block);
	free(k.counts);
	return error;
}

/* The marks that say that something may be wrong. */
static int
q2_clear_marks(struct q2 *q)
{
	const size_t at = offsetof(struct q2_header, incompatible);
	uint8_t be[8];
	uint64_t v;
	int error;

	if (q->version < 3)
		return 0;
	error = disk_raw_read(q->file, be, sizeof(be), at);
	v = q2_be64(be);
	if (error != 0 || (v & (Q2_INCOMPAT_DIRTY | Q2_INCOMPAT_CORRUPT)) == 0)
		return error;
	q2_put_be64(be, v & ~(Q2_INCOMPAT_DIRTY | Q2_INCOMPAT_CORRUPT));
	return disk_raw_write(q->file, be, sizeof(be), at);
}

/* Repairs what the first look found, and looks again. */
static int
q2_check_repair(struct q2 *q, enum disk_repair repair, struct disk_check *res)
{
	struct disk_check before = *res;
	bool all = repair == DISK_REPAIR_ALL && before.corruptions != 0;
	int error = 0;

	/* What may have been leaks until now is in use afterwards. */
	if (all)
		error = q2_repair(q);
	else if (before.corruptions != 0)
		return -EUCLEAN;
	else
		error = q2_check_once(q, true, res);
	if (error == 0)
		error = disk_raw_sync(q->file);
	if (error == 0)
		error = q2_check_once(q, false, res);
	if (error == 0 && res->corruptions == 0)
		error = q2_clear_marks(q);
	if (error == 0)
		error = disk_raw_sync(q->file);
	memcpy(res->problem, before.problem, sizeof(res->problem));
	res->nproblems = before.nproblems;
	res->leaks_fixed = before.leaks - q2_min(before.leaks, res->leaks);
	res->corruptions_fixed = before.corruptions -
	    q2_min(before.corruptions, res->corruptions);
	return error;
}

int
q2_check(struct disk *d, enum disk_repair repair, struct disk_check *res)
{
	struct q2 *q = (struct q2 *)d;
	int error;

	error = q2_check_once(q, false, res);
	if (error != 0 || repair == DISK_REPAIR_NOT)
		return error;
	return q2_check_repair(q, repair, res);
}
