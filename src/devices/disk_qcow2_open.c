/* SPDX-License-Identifier: ISC */
/*
 * qcow2: the open.  What the header and its extensions say is checked before
 * anything of it is used; the L1 and the refcount table are read, and the
 * images and files that it names are opened.  May block.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "devices/disk_qcow2.h"

#define NAME_MAX_LEN	1023u
#define V2_HEADER_LEN	72u
#define V3_HEADER_LEN	104u

/* Of the table of features, an extension. */
#define FEATURE_LEN	48u		/* type, bit, name */

/* What an open gathers. */
struct q2_opening {
	struct disk_opening	*o;
	struct q2		*q;
	struct q2_header	 h;		/* in the host's byte order */
	uint8_t			*head;		/* the first cluster */
	char			 behind[NAME_MAX_LEN + 1];
	char			 behind_format[16];
	char			 data[NAME_MAX_LEN + 1];
	const uint8_t		*features;	/* in head, or NULL */
	uint32_t		 nfeatures;
	uint64_t		 need;		/* L1 entries that the size asks for */
};

static void
q2_swap_header(struct q2_header *h)
{
	h->version = be32toh(h->version);
	h->backing_offset = be64toh(h->backing_offset);
	h->backing_len = be32toh(h->backing_len);
	h->cluster_bits = be32toh(h->cluster_bits);
	h->size = be64toh(h->size);
	h->crypt_method = be32toh(h->crypt_method);
	h->l1_size = be32toh(h->l1_size);
	h->l1_offset = be64toh(h->l1_offset);
	h->reftable_offset = be64toh(h->reftable_offset);
	h->reftable_clusters = be32toh(h->reftable_clusters);
	h->nsnapshots = be32toh(h->nsnapshots);
	h->snapshots_offset = be64toh(h->snapshots_offset);
	h->incompatible = be64toh(h->incompatible);
	h->compatible = be64toh(h->compatible);
	h->autoclear = be64toh(h->autoclear);
	h->refcount_order = be32toh(h->refcount_order);
	h->header_len = be32toh(h->header_len);
}

/* Is there less of the header than its version has?  `size` is the file's. */
static bool
q2_is_cut(const struct q2_header *h, uint64_t size)
{
	switch (h->version) {
	case 2:
		return size < V2_HEADER_LEN;
	case 3:
		return size < V3_HEADER_LEN;
	default:
		return size < offsetof(struct q2_header, backing_offset);
	}
}

/* The header alone, of a file of `size` bytes; NULL, or what is wrong. */
static const char *
q2_check_header(struct q2_header *h, uint64_t size)
{
	if (disk_probe_bytes((const char *)&h->magic) != DISK_QCOW2)
		return "is not a qcow2 image";
	if (q2_is_cut(h, size))
		return "is cut off within its header";
	if (h->version == 2) {
		h->incompatible = h->compatible = h->autoclear = 0;
		h->refcount_order = 4;
		h->header_len = V2_HEADER_LEN;
	} else if (h->version == 1) {
		return "is a qcow image of version 1, which is not supported; "
		    "convert it by qemu-img";
	} else if (h->version != 3) {
		return "this version of qcow2 is unknown";
	}
	if (h->cluster_bits < 9 || h->cluster_bits > 21)
		return "the size of its clusters is not of this world";
	if (h->version == 3 && (h->header_len < V3_HEADER_LEN ||
	    h->header_len % 8 != 0 || h->header_len > 1u << h->cluster_bits))
		return "the length of the header is wrong";
	if (h->header_len <= V3_HEADER_LEN)
		h->compression = 0;
	if (h->refcount_order > 6)
		return "its refcounts are too wide";
	if (h->crypt_method != 0)
		return "is encrypted, which is not supported";
	if (h->size > INT64_MAX)
		return "is too large";
	return NULL;
}

static const char *
q2_check_tables(const struct q2_header *h, uint64_t *need)
{
	uint64_t size = UINT64_C(1) << h->cluster_bits, span;
	bool extended = (h->incompatible & Q2_INCOMPAT_EXTENDED_L2) != 0;

	if (extended && h->cluster_bits < 14)
		return "extended L2 entries need larger clusters";
	span = size * (size / (extended ? 16 : 8));
	*need = h->size / span + (h->size % span != 0);
	if ((uint64_t)h->l1_size * 8 > Q2_L1_MAX || *need > h->l1_size)
		return "the size of its L1 table is wrong";
	if (h->l1_offset % size != 0 || h->l1_offset > INT64_MAX - Q2_L1_MAX ||
	    h->reftable_offset % size != 0 || h->reftable_offset == 0 ||
	    h->reftable_offset > INT64_MAX - Q2_REFTABLE_MAX ||
	    h->snapshots_offset % size != 0)
		return "a table is where none can be";
	if (h->reftable_clusters == 0 ||
	    h->reftable_clusters > Q2_REFTABLE_MAX / size +
	    (Q2_REFTABLE_MAX % size != 0))
		return "the size of its refcount table is wrong";
	if (h->nsnapshots > Q2_SNAPSHOTS_MAX)
		return "has too many snapshots";
	if (h->compression > 1 || (h->compression != 0) !=
	    ((h->incompatible & Q2_INCOMPAT_COMPRESSION) != 0))
		return "is compressed in an unknown way";
	return NULL;
}

static void
q2_copy_name(char *to, size_t room, const uint8_t *from, uint32_t len)
{
	snprintf(to, room, "%.*s", (int)len, (const char *)from);
}

/* One header extension; false if it is wrong. */
static bool
q2_take_extension(struct q2_opening *p, uint32_t type, const uint8_t *data,
    uint32_t len)
{
	switch (type) {
	case Q2_EXT_BACKING:
		if (len >= sizeof(p->behind_format))
			return false;
		q2_copy_name(p->behind_format, sizeof(p->behind_format), data,
		    len);
		break;
	case Q2_EXT_DATA_FILE:
		if (len > NAME_MAX_LEN)
			return false;
		q2_copy_name(p->data, sizeof(p->data), data, len);
		break;
	case Q2_EXT_BITMAPS:
		if (len != Q2_BITMAPS_LEN)
			return false;
		if ((p->h.autoclear & Q2_AUTOCLEAR_BITMAPS) != 0)
			q2_bitmaps_take(p->q, data);
		break;
	case Q2_EXT_FEATURES:
		p->features = data;
		p->nfeatures = len / FEATURE_LEN;
		break;
	default:
		/* What must be known is an incompatible feature. */
		break;
	}
	return true;
}

static bool
q2_take_extensions(struct q2_opening *p)
{
	uint32_t size = 1u << p->h.cluster_bits, end = size, at, type, len;

	if (p->h.backing_offset != 0)
		end = (uint32_t)p->h.backing_offset;
	for (at = p->h.header_len; end >= 8 && at <= end - 8;
	    at += 8 + (len + 7) / 8 * 8) {
		memcpy(&type, p->head + at, sizeof(type));
		memcpy(&len, p->head + at + 4, sizeof(len));
		type = be32toh(type);
		len = be32toh(len);
		if (type == Q2_EXT_END)
			return true;
		if (len > end - at - 8 ||
		    !q2_take_extension(p, type, p->head + at + 8, len))
			return false;
	}
	return true;
}

static const char *
q2_take_names(struct q2_opening *p)
{
	const struct q2_header *h = &p->h;
	uint32_t size = 1u << h->cluster_bits;

	if (h->backing_offset != 0) {
		if (h->backing_len > NAME_MAX_LEN ||
		    h->backing_offset > size ||
		    h->backing_len > size - h->backing_offset)
			return "the name of the image behind is wrong";
		q2_copy_name(p->behind, sizeof(p->behind), p->head +
		    h->backing_offset, h->backing_len);
	}
	if (!q2_take_extensions(p))
		return "a header extension is wrong";
	return NULL;
}

/* Refuses the first of some incompatible features, by the image's own name. */
static void
q2_refuse_feature(const struct q2_opening *p, uint64_t bits)
{
	unsigned bit = (unsigned)__builtin_ctzll(bits);
	const uint8_t *f = p->features;
	uint32_t i;

	for (i = 0; i < p->nfeatures; i++, f += FEATURE_LEN) {
		if (f[0] == 0 && f[1] == bit) {
			disk_refuse(p->o, "needs the feature `%.46s', which "
			    "is not supported", (const char *)f + 2);
			return;
		}
	}
	disk_refuse(p->o, "needs the unknown feature %u", bit);
}

/* The first cluster, and what it says; false once it is refused. */
static bool
q2_read_header(struct q2_opening *p)
{
	const char *why;
	int error;

	error = disk_raw_read(p->q->file, &p->h, sizeof(p->h), 0);
	if (error != 0)
		goto fail;
	q2_swap_header(&p->h);
	why = q2_check_header(&p->h, p->q->file->info.size);
	if (why != NULL)
		goto refuse;
	error = -ENOMEM;
	p->head = malloc((size_t)1 << p->h.cluster_bits);
	if (p->head == NULL)
		goto fail;
	error = disk_raw_read(p->q->file, p->head,
	    (size_t)1 << p->h.cluster_bits, 0);
	if (error != 0)
		goto fail;
	why = q2_take_names(p);
	if (why != NULL)
		goto refuse;
	if ((p->h.incompatible & ~(uint64_t)Q2_INCOMPAT_KNOWN) != 0) {
		q2_refuse_feature(p, p->h.incompatible &
		    ~(uint64_t)Q2_INCOMPAT_KNOWN);
		return false;
	}
	why = q2_check_tables(&p->h, &p->need);
	if (why != NULL)
		goto refuse;
	return true;

refuse:
	disk_refuse(p->o, "%s", why);
	return false;
fail:
	disk_refuse(p->o, "%s", strerror(-error));
	return false;
}

static void
q2_take_header(struct q2 *q, const struct q2_header *h)
{
	q->version = h->version;
	q->cluster_bits = h->cluster_bits;
	q->extended = (h->incompatible & Q2_INCOMPAT_EXTENDED_L2) != 0;
	q->entry_len = q->extended ? 16 : 8;
	q->l2_bits = h->cluster_bits - (q->extended ? 4 : 3);
	q->sub_bits = h->cluster_bits - (q->extended ? 5 : 0);
	q->rc_order = h->refcount_order;
	q->rb_bits = h->cluster_bits + 3 - h->refcount_order;
	q->slice_len = (uint32_t)q2_min(q2_cluster_size(q), DISK_SLICE_MAX);
	q->zstd = h->compression == 1;
	q->l1_offset = h->l1_offset;
	q->l1_whole = h->l1_size;
	q->rt_offset = h->reftable_offset;
	q->rt_size = (uint64_t)h->reftable_clusters << q->cluster_bits >> 3;
	q->incompatible = h->incompatible & ~Q2_INCOMPAT_DIRTY;
	q->snapshots_offset = h->snapshots_offset;
	q->nsnapshots = h->nsnapshots;
	q->d.info.size = h->size - h->size % DISK_SECTOR;
	q->d.info.block_size = DISK_SECTOR;
	q->d.info.readonly = q->file->info.readonly;
	q->fresh_from = (q->file->info.size + q2_cluster_size(q) - 1) &
	    ~(q2_cluster_size(q) - 1);
}

uint64_t *
q2_load_table(struct q2 *q, uint64_t off, uint64_t n, int *error)
{
	uint64_t *table = calloc(n + 1, sizeof(*table)), i;

	*error = table == NULL ? -ENOMEM :
	    disk_raw_read(q->file, table, n * sizeof(*table), off);
	if (*error != 0) {
		free(table);
		return NULL;
	}
	for (i = 0; i < n; i++)
		table[i] = be64toh(table[i]);
	return table;
}

/* The first `n` entries, instead of those loaded before. */
int
q2_load_l1(struct q2 *q, uint64_t n)
{
	int error;

	free(q->l1);
	free(q->l1_dirty);
	q->l1_dirty = NULL;
	q->l1_size = n;
	q->l1 = q2_load_table(q, q->l1_offset, n, &error);
	if (error != 0)
		return error;
	q->l1_dirty = calloc(q->l1_size / Q2_ENTRY_BLOCK + 1, 1);
	return q->l1_dirty == NULL ? -ENOMEM : 0;
}

/* Instead of one that was loaded before. */
int
q2_load_reftable(struct q2 *q)
{
	int error;

	free(q->rt);
	free(q->rt_dirty);
	q->rt_dirty = NULL;
	q->rt = q2_load_table(q, q->rt_offset, q->rt_size, &error);
	if (error != 0)
		return error;
	q->rt_dirty = calloc(q->rt_size / Q2_ENTRY_BLOCK + 1, 1);
	return q->rt_dirty == NULL ? -ENOMEM : 0;
}

/*
 * Before anything is written: features that others would trust, and that this
 * driver does not keep true, are cleared.
 */
static int
q2_clear_features(struct q2 *q, const struct q2_header *h)
{
	uint64_t keep = h->autoclear & Q2_AUTOCLEAR_RAW_DATA;
	uint8_t be[8];
	int error;

	if (h->autoclear == keep)
		return 0;
	q2_put_be64(be, keep);
	error = disk_raw_write(q->file, be, sizeof(be),
	    offsetof(struct q2_header, autoclear));
	if (error == 0)
		error = disk_raw_sync(q->file);
	if (error == 0 && q->nbitmaps != 0)
		log_warn("disk %s: bitmaps in it, %u, are void from now on: "
		    "the next backup must be a full one", q->path,
		    q->nbitmaps);
	q->nbitmaps = 0;
	return error;
}

static int
q2_run_order(const void *a, const void *b)
{
	const struct q2_run *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* In order, and none in another, so that one can be looked for. */
static void
q2_sort_runs(struct q2_runs *rs)
{
	struct q2_run *last = rs->run;
	uint64_t end;
	size_t i;

	if (rs->n == 0)
		return;
	qsort(rs->run, rs->n, sizeof(*rs->run), q2_run_order);
	for (i = 1; i < rs->n; i++) {
		end = rs->run[i].first + rs->run[i].n;
		if (rs->run[i].first > last->first + last->n)
			*++last = rs->run[i];
		else if (end > last->first + last->n)
			last->n = end - last->first;
	}
	rs->n = (size_t)(last - rs->run) + 1;
}

/* The clusters of a table; where a file cannot have any there are none. */
static int
q2_learn_bytes(const struct q2 *q, struct q2_runs *rs, uint64_t off,
    uint64_t len)
{
	uint64_t first = off >> q->cluster_bits;

	if (off == 0 || len == 0 || off > INT64_MAX - len)
		return 0;
	return q2_add_run(rs, first,
	    ((off + len - 1) >> q->cluster_bits) - first + 1);
}

/* The table of snapshots, as far as it makes sense, and their L1 tables. */
static int
q2_learn_snapshots(struct q2 *q)
{
	uint64_t at = q->snapshots_offset;
	struct q2_snapshot s;
	int error = 0;
	uint32_t i;

	for (i = 0; i < q->nsnapshots && error == 0; i++) {
		if (q2_snapshot_read(q, &at, &s) != 0)
			break;
		error = q2_learn_bytes(q, &q->fixed, s.l1_offset,
		    s.l1_size * 8);
	}
	return error != 0 ? error : q2_learn_bytes(q, &q->fixed,
	    q->snapshots_offset, at - q->snapshots_offset);
}

/*
 * Where tables are, so that none is taken for free by a refcount that is
 * wrong: see q2_is_known().
 */
static int
q2_learn_tables(struct q2 *q)
{
	uint64_t size = q2_cluster_size(q), i;
	int error;

	error = q2_learn_snapshots(q);
	for (i = 0; i < q->l1_size && error == 0; i++)
		error = q2_learn_bytes(q, &q->tables_were,
		    q->l1[i] & Q2_OFFSET, size);
	for (i = 0; i < q->rt_size && error == 0; i++)
		error = q2_learn_bytes(q, &q->tables_were, q->rt[i], size);
	q2_sort_runs(&q->fixed);
	q2_sort_runs(&q->tables_were);
	return error;
}

/* What only a disk that is written needs; false once it is refused. */
static bool
q2_prepare_writes(struct q2_opening *p)
{
	const struct q2_header *h = &p->h;
	int error;

	if ((h->incompatible & Q2_INCOMPAT_CORRUPT) != 0) {
		disk_refuse(p->o, "is marked as corrupt, and can only be "
		    "read");
		return false;
	}
	if (p->o->how.look != NULL)
		return true;
	error = q2_clear_features(p->q, h);
	if (error == 0 && (h->incompatible & Q2_INCOMPAT_DIRTY) != 0)
		error = q2_repair(p->q);
	if (error == 0)
		error = q2_load_reftable(p->q);
	if (error == 0)
		error = q2_learn_tables(p->q);
	if (error == 0)
		return true;
	disk_refuse(p->o, "%s", error == -EILSEQ ?
	    "was not closed, and is too damaged to be repaired here" :
	    strerror(-error));
	return false;
}

/* Opens another file that the image names; the kind as far as it says. */
static struct disk *
q2_open_other(const struct q2_opening *p, const char *name,
    const struct disk_how *how, bool image)
{
	struct disk_opening other = {
		.in = p->o->in,
		.how = *how,
		.err = p->o->err,
		.errlen = p->o->errlen,
		.depth = p->o->depth + 1,
		.up = p->o,
		.table_bytes = p->o->table_bytes,
	};
	struct disk *d;
	char *path;

	if (!disk_is_file_name(name))
		return disk_refuse(p->o, "the %s, `%s', is named by something "
		    "else than a file", image ? "image behind it" :
		    "data file of it", name);
	if (other.depth >= DISK_DEPTH_MAX)
		return disk_refuse(p->o, "more than %d images stand behind "
		    "each other", DISK_DEPTH_MAX);
	path = disk_path_beside(p->o->path, name);
	if (path == NULL)
		return disk_refuse(p->o, "%s", strerror(ENOMEM));
	other.path = path;
	d = image ? disk_open_image(&other) : disk_raw_open(&other);
	free(path);
	return d;
}

static bool
q2_open_backing(struct q2_opening *p)
{
	struct disk_how how = {
		.readonly = true,
		.cache = p->o->how.cache,
		.unlocked = p->o->how.unlocked,
		.look = p->o->how.look,
	};
	struct q2 *q = p->q;

	if (p->behind[0] == '\0' || p->o->how.alone)
		return true;
	if (strcmp(p->behind_format, "raw") == 0 ||
	    strcmp(p->behind_format, "file") == 0) {
		how.kind = DISK_RAW;
	} else if (strcmp(p->behind_format, "qcow2") == 0) {
		how.kind = DISK_QCOW2;
	} else if (p->behind_format[0] != '\0') {
		disk_refuse(p->o, "the format `%s' of the image behind is "
		    "unknown", p->behind_format);
		return false;
	}
	q->backing = q2_open_other(p, p->behind, &how, true);
	if (q->backing == NULL)
		return false;
	q->backing_size = q->backing->info.size;
	return true;
}

static bool
q2_open_data(struct q2_opening *p)
{
	struct disk_how how = {
		.readonly = p->o->how.readonly,
		.cache = p->o->how.cache,
		.unlocked = p->o->how.unlocked,
		.look = p->o->how.look,
	};
	struct q2 *q = p->q;

	q->data = q->file;
	if ((p->h.incompatible & Q2_INCOMPAT_DATA_FILE) == 0)
		return true;
	if (p->data[0] == '\0') {
		disk_refuse(p->o, "does not name its data file");
		return false;
	}
	q->data = q2_open_other(p, p->data, &how, false);
	if (q->data != NULL)
		return true;
	q->data = q->file;
	return false;
}

/* The last: from now on requests alone reach the files. */
static bool
q2_ready(struct q2_opening *p)
{
	struct q2 *q = p->q;

	if (!disk_raw_ready(q->file, p->o, true) ||
	    (q2_has_data_file(q) && !disk_raw_ready(q->data, p->o, true)))
		return false;
	q->d.info.writethrough = q->file->info.writethrough;
	q->d.info.physical_size = q->file->info.physical_size;
	return true;
}

/* What the header says, for those who ask; false and the error. */
static bool
q2_tell(const struct q2_opening *p)
{
	struct disk_about *a = p->o->how.about;
	const struct q2_header *h = &p->h;
	int error;

	a->kind = DISK_QCOW2;
	a->version = h->version;
	a->cluster = UINT32_C(1) << h->cluster_bits;
	a->refcount_bits = 1u << h->refcount_order;
	a->lazy = (h->compatible & Q2_COMPAT_LAZY) != 0;
	a->extended = (h->incompatible & Q2_INCOMPAT_EXTENDED_L2) != 0;
	a->zstd = h->compression == 1;
	a->raw_data = (h->autoclear & Q2_AUTOCLEAR_RAW_DATA) != 0;
	a->nbitmaps = p->q->nbitmaps;
	a->dirty = (h->incompatible & Q2_INCOMPAT_DIRTY) != 0;
	a->corrupt = (h->incompatible & Q2_INCOMPAT_CORRUPT) != 0;
	q2_copy_name(a->behind, sizeof(a->behind), (const uint8_t *)p->behind,
	    NAME_MAX_LEN);
	q2_copy_name(a->behind_format, sizeof(a->behind_format),
	    (const uint8_t *)p->behind_format, NAME_MAX_LEN);
	q2_copy_name(a->data, sizeof(a->data), (const uint8_t *)p->data,
	    NAME_MAX_LEN);
	error = q2_snapshots_tell(p->q, a);
	if (error != 0)
		disk_refuse(p->o, "its snapshots: %s", strerror(-error));
	return error == 0;
}

/*
 * The L1 table, as far as the disk's size asks for it, and whole where all of
 * the image is looked at; false once it is refused.
 */
static bool
q2_open_l1(struct q2_opening *p)
{
	const struct disk_how *how = &p->o->how;
	bool all = how->check || (!how->readonly &&
	    (p->h.incompatible & Q2_INCOMPAT_DIRTY) != 0);
	uint64_t n = all ? p->h.l1_size : p->need;
	int error = 0;

	p->o->table_bytes += n * 8;
	if (p->o->table_bytes > Q2_CHAIN_MAX) {
		disk_refuse(p->o, "its L1 table, with those of the images "
		    "before it, is too large");
		return false;
	}
	if (how->look == NULL)
		error = q2_load_l1(p->q, n);
	if (error != 0)
		disk_refuse(p->o, "%s", strerror(-error));
	return error == 0;
}

static bool
q2_open_parts(struct q2_opening *p)
{
	struct q2 *q = p->q;

	if (!q2_read_header(p))
		return false;
	q2_take_header(q, &p->h);
	if (!p->o->how.header && !q2_open_l1(p))
		return false;
	if (p->o->how.about != NULL && !q2_tell(p))
		return false;
	if (p->o->how.header)
		return q2_ready(p);
	if (!q2_open_data(p) || !q2_open_backing(p))
		return false;
	/* Only an image that can be used is changed. */
	if (!q->d.info.readonly && !p->o->how.check && !q2_prepare_writes(p))
		return false;
	return q2_ready(p);
}

struct disk *
disk_qcow2_open(struct disk_opening *o, struct disk *file)
{
	struct q2_opening p = { .o = o };
	struct q2 *q;
	bool ok;

	q = calloc(1, sizeof(*q));
	if (q == NULL || (q->path = strdup(o->path)) == NULL) {
		free(q);
		disk_close(file);
		return disk_refuse(o, "%s", strerror(ENOMEM));
	}
	q->d.format = &q2_format;
	q->file = q->data = file;
	p.q = q;
	ok = q2_open_parts(&p);
	free(p.head);
	if (ok)
		return &q->d;
	disk_close(&q->d);
	return NULL;
}
