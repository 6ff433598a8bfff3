/* SPDX-License-Identifier: ISC */
/*
 * qcow2 images, what their files share.  The format is told in QEMU's
 * docs/interop/qcow2.txt, whose names are used.
 *
 *	disk_qcow2.c		requests, from the guest's to the file's
 *	disk_qcow2_open.c	header, tables, what stands behind
 *	disk_qcow2_make.c	new images
 *	disk_qcow2_repair.c	refcounts anew, at the open
 *	disk_qcow2_check.c	are the tables right?
 *	disk_qcow2_resize.c	another size
 *	disk_qcow2_snapshot.c	the table of snapshots
 *	disk_qcow2_bitmap.c	what bitmaps of others take room by
 *	disk_qcow2_map.c	guest offsets to host offsets: L1 and L2 tables
 *	disk_qcow2_read.c	reads
 *	disk_qcow2_compress.c	reads of compressed clusters
 *	disk_qcow2_write.c	writes: in place, or into new clusters
 *	disk_qcow2_zero.c	discards and zeroes
 *	disk_qcow2_alloc.c	new clusters: refcounts
 *	disk_qcow2_free.c	clusters given back
 *	disk_qcow2_commit.c	tables to the file, in an order
 *
 * A change is made in memory at once, where every request sees it, and gets
 * into the file by a commit: for a flush, or when much has changed.  A commit
 * copies what changed and writes it in phases, each stable before the next:
 *
 *	0	data (written before), refcounts, tables not yet linked
 *	1	links to refcount blocks or to a longer refcount table
 *	2	links to data: L2 and L1 entries
 *	3	clusters that nothing links to any more are given back
 *
 * Thus whatever is cut off between two phases leaves clusters that are
 * counted but not linked, and never one linked but not counted.
 *
 * A request walks over its range and starts what it finds to do on the files
 * without waiting for it; where it must wait, for a table or for another
 * request's new cluster, it is parked in exactly one queue.
 */
#ifndef VMMD_DISK_QCOW2_H
#define VMMD_DISK_QCOW2_H

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "devices/disk_check.h"
#include "devices/disk_tables.h"
#include "devices/disk_local.h"

/* Bits of L1 and L2 entries. */
#define Q2_COPIED		(UINT64_C(1) << 63)
#define Q2_COMPRESSED_BIT	(UINT64_C(1) << 62)
#define Q2_ZERO_BIT		UINT64_C(1)
#define Q2_OFFSET		UINT64_C(0x00fffffffffffe00)

/* Incompatible features. */
#define Q2_INCOMPAT_DIRTY	(UINT64_C(1) << 0)
#define Q2_INCOMPAT_CORRUPT	(UINT64_C(1) << 1)
#define Q2_INCOMPAT_DATA_FILE	(UINT64_C(1) << 2)
#define Q2_INCOMPAT_COMPRESSION	(UINT64_C(1) << 3)
#define Q2_INCOMPAT_EXTENDED_L2	(UINT64_C(1) << 4)
#define Q2_INCOMPAT_KNOWN	0x1f

#define Q2_COMPAT_LAZY		(UINT64_C(1) << 0)

/* While it is true, the image has bitmaps that are. */
#define Q2_AUTOCLEAR_BITMAPS	(UINT64_C(1) << 0)

/* The one autoclear feature that writes here keep true. */
#define Q2_AUTOCLEAR_RAW_DATA	(UINT64_C(1) << 1)

#define Q2_ENTRY_BLOCK		64u	/* L1 or refcount table, written at once */
/* Header extensions. */
#define Q2_EXT_END		0u
#define Q2_EXT_BACKING		0xe2792acau	/* format of the image behind */
#define Q2_EXT_FEATURES		0x6803f857u
#define Q2_EXT_DATA_FILE	0x44415441u
#define Q2_EXT_BITMAPS		0x23852875u

#define Q2_L1_MAX		(32u << 20)	/* bytes, as QEMU has it */
#define Q2_CHAIN_MAX		(64u << 20)	/* of all that one disk has */
#define Q2_REFTABLE_MAX		(8u << 20)
#define Q2_SNAPSHOTS_MAX	65536
#define Q2_SNAPSHOTS_BYTES	(64u << 20)	/* of their table */
#define Q2_BITMAPS_LEN		24u	/* of their header extension */
#define Q2_BITMAPS_MAX		65535
#define Q2_BITMAPS_BYTES	(64u << 20)	/* of their directory */

/* Changed pieces: a commit is due; writes wait for it. */
#define Q2_DIRTY_DUE		512u
#define Q2_DIRTY_MAX		1024u
#define Q2_FREES_DUE		4096u

/* Fills, by the piece of an L2 table that they are in. */
#define Q2_FILL_BUCKETS		64u

/* A header as it is in the file, big-endian; v2 ends before `incompatible`. */
struct q2_header {
	uint32_t	magic;
	uint32_t	version;
	uint64_t	backing_offset;
	uint32_t	backing_len;
	uint32_t	cluster_bits;
	uint64_t	size;
	uint32_t	crypt_method;
	uint32_t	l1_size;
	uint64_t	l1_offset;
	uint64_t	reftable_offset;
	uint32_t	reftable_clusters;
	uint32_t	nsnapshots;
	uint64_t	snapshots_offset;
	uint64_t	incompatible;
	uint64_t	compatible;
	uint64_t	autoclear;
	uint32_t	refcount_order;
	uint32_t	header_len;
	uint8_t		compression;
	uint8_t		pad[7];
};
_Static_assert(sizeof(struct q2_header) == 112, "q2_header");
_Static_assert(offsetof(struct q2_header, incompatible) == 72, "q2_header v2");
_Static_assert(offsetof(struct q2_header, compression) == 104,
    "q2_header v3");

enum q2_kind {
	Q2_UNALLOCATED,		/* the backing image's, or zero */
	Q2_ZERO,
	Q2_NORMAL,
	Q2_COMPRESSED,
};

/* Some bytes of the guest's that are alike. */
struct q2_extent {
	enum q2_kind	kind;
	bool		own;		/* NORMAL: may be written in place */
	uint64_t	host;		/* NORMAL */
	uint64_t	entry;		/* L2, of the first cluster */
	uint64_t	len;
};

/* Clusters of the file, one after the other. */
struct q2_run {
	uint64_t	first, n;
};

struct q2_runs {
	struct q2_run	*run;
	size_t		 n, room;
};

struct q2;
struct q2_unpacker;

/* A guest's request on its way. */
struct q2_req {
	struct q2	*q;
	struct disk_req	*req;
	int		(*step)(struct q2_req *r);
	struct disk_wait wait;
	uint64_t	 pos, end;	/* guest's, not yet walked over */
	struct iovec	*iov;		/* not yet walked over */
	unsigned	 niov;
	unsigned	 children;	/* on the files */
	int		 res;
	bool		 inside;	/* of disk_submit() */
	bool		 walked;
	uint64_t	 seq;
	struct q2_req	*older, *newer;
};

/* A piece of a request on one file. */
struct q2_child {
	struct q2_req	*r;
	struct disk_req	 io;
	struct iovec	 iov[];
};

/* A part of the detach, which is not to need memory. */
struct q2_last {
	struct q2_req	*r;
	struct disk_req	 io;
};

/* Clusters being filled, which the tables do not have yet. */
struct q2_fill {
	struct q2_req		*r;
	struct q2_fill		*above, *below;	/* in its bucket */
	uint64_t		 first;		/* guest's, in clusters */
	uint64_t		 n;
	uint64_t		 host;		/* bytes */
	bool			 fresh;		/* the host's read zero */
	bool			 reused;	/* the tables knew them */
	bool			 whole_first, whole_last;
	struct disk_slice	*s;		/* pinned */
	unsigned		 index;		/* of the first entry in it */
	uint64_t		 start, pos, stop, end; /* guest's: see write.c */
	uint8_t			*head, *tail;
	uint64_t		 rests;		/* bytes of both */
	struct iovec		 head_iov, tail_iov;
	struct disk_req		 head_req, tail_req;
	unsigned		 reads;
	int			 res;
	struct disk_queue	 waiters;
	struct disk_req		 io;
	unsigned		 niov;
	struct iovec		 iov[];		/* head, data, tail */
};

/* A table being made: an L2 table, refcount blocks. */
struct q2_table {
	struct q2		*q;
	struct q2_table		*next;
	uint64_t		 index;		/* in the table above */
	uint64_t		 host;
	uint64_t		 old;		/* whose content it takes, or 0 */
	void			(*made)(struct q2_table *t);
	struct disk_queue	 waiters;
	struct disk_req		 io;
	struct iovec		 iov;
	uint64_t		*longer;	/* refcount table, or NULL */
	uint8_t			*longer_dirty;
	uint64_t		 longer_clusters;
	size_t			 len;
	uint8_t			 data[];
};

/* One write of a commit. */
struct q2_write {
	struct q2_write		*next;
	struct q2		*q;
	struct disk_slice	*s;		/* pinned, or NULL */
	struct disk_req		 io;
	struct iovec		 iov;
	uint8_t			*data;
};

#define Q2_PHASES	3

struct q2_commit {
	bool		 running;
	unsigned	 phase;
	struct q2_write	*write[Q2_PHASES];
	unsigned	 flying;
	int		 res;
	struct disk_req	 sync, sync_data;
	struct q2_runs	 frees;		/* of what phase 2 unlinks */
	uint8_t		*l1_dirty, *rt_dirty;	/* as they were */
	bool		 rt_moved;
	struct disk_queue waiters;	/* flushes it serves */
};

/* i: immutable once open; the rest: loop */
struct q2 {
	struct disk	 d;
	char		*path;		/* i */
	struct disk	*file;		/* i */
	struct disk	*data;		/* i: the same, or the external one */
	struct disk	*backing;	/* i: or NULL */
	uint64_t	 backing_size;	/* i: 0 without */
	unsigned	 version;	/* i */
	unsigned	 cluster_bits;	/* i */
	unsigned	 sub_bits;	/* i: of what has a state of its own */
	unsigned	 l2_bits;	/* i: log2 of a table's entries */
	unsigned	 entry_len;	/* i: of L2, bytes */
	unsigned	 rc_order;	/* i: refcounts have 2^n bits */
	unsigned	 rb_bits;	/* i: log2 of a block's refcounts */
	uint32_t	 slice_len;	/* i */
	bool		 zstd;		/* i: compressed by, not by zlib */
	bool		 extended;	/* i: L2 entries have bitmaps */

	uint64_t	*l1;
	uint64_t	 l1_size;	/* i: entries loaded */
	uint64_t	 l1_whole;	/* i: entries that the file has */
	uint64_t	 l1_offset;	/* i */
	uint8_t		*l1_dirty;	/* a byte a block of entries */
	uint64_t	*rt;		/* the refcount table */
	uint64_t	 rt_size;	/* entries */
	uint64_t	 rt_offset;
	uint8_t		*rt_dirty;
	bool		 rt_moved;	/* the header is to say so */
	bool		 l1_changed, rt_changed;

	struct disk_slice *l2_dirty, *rc_dirty;	/* lists */
	unsigned	 ndirty;
	struct q2_commit commit;
	struct disk_queue flushes;	/* for the next commit */
	struct disk_queue throttled;	/* writes, for the end of one */

	uint64_t	 scan;		/* cluster that may be free */
	uint64_t	 fresh_from;	/* host offset: never written since */
	struct q2_runs	 reuse;		/* known to be free */
	struct q2_run	 reuse_run;	/* one of those, whose count is read */
	struct disk_wait reuse_wait;
	struct disk_queue reuse_waiters;
	struct q2_runs	 unlinked;	/* since the last commit */
	struct q2_runs	 freed;		/* links are gone, counts are not */
	uint64_t	 freed_seq;	/* requests that may still use them */
	struct q2_runs	 giving;	/* counts are sinking */
	bool		 freeing;
	struct disk_wait free_wait;
	struct disk_req	 free_req;
	struct q2_run	 free_run;
	struct disk_queue free_waiters;
	struct q2_table	*growing;	/* refcount blocks, or NULL */
	struct q2_table	*tables;	/* L2, being made */
	struct q2_fill	*fills[Q2_FILL_BUCKETS]; /* the highest of each */
	uint64_t	 rests;		/* bytes of their heads and tails */
	struct disk_queue crowded;	/* writes, for room for theirs */

	uint64_t	 seq;
	struct q2_req	*oldest, *newest;
	struct q2_req	 detach;
	struct q2_last	 last[3];	/* file, data, backing */
	uint64_t	 incompatible;	/* i: features of the header */
	struct q2_runs	 fixed;		/* i: snapshots' tables, in order */
	struct q2_runs	 tables_were;	/* i: others at the open, in order */
	bool		 refused;	/* a cluster: none is given any more */
	uint64_t	 snapshots_offset;	/* i */
	uint32_t	 nsnapshots;	/* i */
	uint32_t	 nbitmaps;	/* i: 0 unless they are true */
	uint64_t	 bitmaps_offset, bitmaps_len; /* i: their directory */
	bool		 told;		/* that it is corrupt */
	struct q2_unpacker *unpacker;	/* NULL until needed */
};

/* Links to the clusters of a file, counted by q2_count_all(). */
struct q2_count {
	struct q2	*q;
	uint64_t	*links;		/* a number for each cluster */
	uint64_t	 n;		/* clusters of the file */
	uint64_t	 most;		/* what a refcount can say */
	uint64_t	 left;		/* bytes of tables to be read at most */
	uint8_t		*table;		/* a cluster */
	struct disk_check *found;	/* what is wrong; NULL: that ends it */
};

/* An entry of the table of snapshots, as far as it is needed. */
struct q2_snapshot {
	uint64_t	l1_offset, l1_size;
	uint64_t	size, seconds;
	uint64_t	name_offset;	/* of the id, which the name follows */
	size_t		id_len, name_len;
};

static inline uint64_t
q2_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t
q2_cluster_size(const struct q2 *q)
{
	return UINT64_C(1) << q->cluster_bits;
}

static inline bool
q2_has_data_file(const struct q2 *q)
{
	return q->data != q->file;
}

/* A number of so many bytes, most significant first. */
static inline uint64_t
q2_be(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes-- > 0)
		v = v << 8 | *p++;
	return v;
}

static inline uint64_t
q2_be64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

static inline void
q2_put_be64(void *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

/* disk_qcow2.c */
extern const struct disk_format q2_format;
void q2_child_start(struct q2_child *c, struct disk *on);
struct q2_child *q2_child_create(struct q2_req *r, enum disk_op op,
    uint64_t off, uint64_t len);
void q2_child_ended(struct q2_req *r, int res);
unsigned q2_iov_take(struct q2_req *r, uint64_t len, struct iovec *out);
unsigned q2_iov_count(const struct q2_req *r, uint64_t len);
/*
 * Bytes for files that are written past the host's cache, too: zeroes from
 * `from` on, before that whatever the memory had.  NULL without memory.
 */
uint8_t *q2_alloc_bytes(size_t len, size_t from);
void q2_iov_zero(struct q2_req *r, uint64_t len);
int q2_corrupt(struct q2 *q, const char *what, uint64_t where);
int q2_add_run(struct q2_runs *rs, uint64_t first, uint64_t n);

/* disk_qcow2_map.c */
int q2_table_slice(struct q2 *q, uint64_t pos, struct disk_wait *w,
    struct disk_slice **sp, unsigned *index);
int q2_lookup(struct q2 *q, uint64_t pos, uint64_t max, struct disk_wait *w,
    struct q2_extent *x);
int q2_extent_at(struct q2 *q, const struct disk_slice *s, unsigned index,
    uint64_t pos, uint64_t max, struct q2_extent *x);
bool q2_reads_zero(const struct q2 *q, const struct q2_extent *x,
    uint64_t pos);
int q2_own_table(struct q2 *q, uint64_t pos, struct disk_wait *w);
uint64_t q2_entry(const struct q2 *q, const struct disk_slice *s,
    unsigned index);
uint64_t q2_bitmap(const struct q2 *q, const struct disk_slice *s,
    unsigned index);
void q2_set_entry(struct q2 *q, struct disk_slice *s, unsigned index,
    uint64_t entry, uint64_t bitmap);

/* disk_qcow2_read.c, _write.c, _zero.c: steps of requests */
int q2_read_step(struct q2_req *r);
int q2_status_step(struct q2_req *r);
int q2_write_step(struct q2_req *r);
struct q2_fill *q2_fill_from(struct q2 *q, uint64_t cluster);
int q2_zero_step(struct q2_req *r);

/* disk_qcow2_compress.c */
void q2_packed_at(const struct q2 *q, uint64_t entry, uint64_t *off,
    uint64_t *len);
void q2_unpacker_destroy(struct q2_unpacker *u);
bool q2_unpacker_is_idle(struct q2_unpacker *u, struct disk_wait *w);
int q2_read_packed(struct q2_req *r, const struct q2_extent *x);

/* disk_qcow2_alloc.c */
uint64_t q2_refcount(const struct q2 *q, const uint8_t *p, uint64_t i);
void q2_set_refcount(const struct q2 *q, uint8_t *p, uint64_t i, uint64_t v);
int q2_refcount_slice(struct q2 *q, uint64_t cluster, struct disk_wait *w,
    struct disk_slice **sp, unsigned *index);
int q2_alloc(struct q2 *q, uint64_t n, struct disk_wait *w, uint64_t *host,
    uint64_t *got);
struct q2_table *q2_table_create(struct q2 *q, size_t len);
void q2_table_write(struct q2_table *t);
void q2_slice_dirty(struct q2 *q, struct disk_slice *s, bool refcounts);

/* disk_qcow2_free.c */
void q2_unlink(struct q2 *q, uint64_t host, uint64_t n);
void q2_unlink_entry(struct q2 *q, uint64_t entry);
void q2_free(struct q2 *q);

/* disk_qcow2_commit.c */
int q2_flush_step(struct q2_req *r);
bool q2_is_throttled(const struct q2 *q);
void q2_commit_if_due(struct q2 *q);
void q2_commit_start(struct q2 *q);
bool q2_is_clean(const struct q2 *q);
void q2_commit_forget(struct q2 *q);

/* disk_qcow2_open.c */
uint64_t *q2_load_table(struct q2 *q, uint64_t off, uint64_t n, int *error);
int q2_load_l1(struct q2 *q, uint64_t n);
int q2_load_reftable(struct q2 *q);

/* disk_qcow2_snapshot.c */
int q2_snapshot_read(const struct q2 *q, uint64_t *off,
    struct q2_snapshot *s);
int q2_snapshots_tell(const struct q2 *q, struct disk_about *about);

/* disk_qcow2_bitmap.c */
void q2_bitmaps_take(struct q2 *q, const uint8_t *data);
int q2_count_bitmaps(struct q2_count *c);

/* disk_qcow2_check.c, disk_qcow2_resize.c: of the format */
int q2_check(struct disk *d, enum disk_repair repair,
    struct disk_check *res);
const char *q2_resize_begin(struct disk *d, uint64_t size);
const char *q2_resize_end(struct disk *d, uint64_t size);
uint64_t q2_resize_stale(const struct disk *d, uint64_t was);

/* disk_qcow2_check.c */
void q2_found(struct disk_check *res, const char *what, uint64_t at);
int q2_set_flags(struct q2_count *c);

/* disk_qcow2_repair.c */
int q2_repair(struct q2 *q);
int q2_unused_from(struct q2 *q, uint64_t *off);
int q2_count_begin(struct q2_count *c, struct q2 *q);
void q2_count_end(struct q2_count *c);
int q2_count_wrong(struct q2_count *c, const char *what, uint64_t at);
int q2_count_bytes(struct q2_count *c, uint64_t off, uint64_t len);
int q2_count_read(struct q2_count *c, uint64_t len);
int q2_count_all(struct q2_count *c);

#endif /* VMMD_DISK_QCOW2_H */
