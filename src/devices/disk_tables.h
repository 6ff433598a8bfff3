/* SPDX-License-Identifier: ISC */
/*
 * Pieces of the tables of disk images, in memory: one cache for all disks of
 * a daemon, of bounded size, the piece used longest ago going first.  A
 * piece that is pinned stays, and what has changed in it is written by
 * whoever changed it before the last pin goes.  Loop thread only.
 */
#ifndef VMMD_DISK_TABLES_H
#define VMMD_DISK_TABLES_H

#include "devices/disk.h"

#define DISK_TABLES_BYTES	(32u << 20)

/* The longest piece. */
#define DISK_SLICE_MAX		4096

/*
 * Somebody who waits; part of his own state.  fn() runs once, on the loop
 * thread, with 0 or -errno.
 */
struct disk_wait {
	void			(*fn)(struct disk_wait *w, int res);
	struct disk_wait	*next;
};

/* Zeroed, it is an empty queue. */
struct disk_queue {
	struct disk_wait	*first, *last;
};

void disk_queue_add(struct disk_queue *q, struct disk_wait *w);

/* Takes all who wait now off the queue, and calls them in their order. */
void disk_queue_wake(struct disk_queue *q, int res);

struct disk_slice {
	/* The user's, while it is pinned. */
	bool			 dirty;
	struct disk_slice	*dirty_next;
	uint64_t		 off;		/* in the file; i */
	uint32_t		 len;		/* i */
	uint8_t			*data;

	/* The cache's. */
	struct disk_tables	*tables;
	struct disk		*file;
	unsigned		 pins;
	bool			 loaded;
	struct disk_slice	*chain;		/* of the hash table */
	struct disk_slice	*newer, *older;
	struct disk_queue	 waiters;
	struct disk_req		 io;
	struct iovec		 iov;
};

/* NULL if there is no memory.  `bytes` may be exceeded by what is pinned. */
struct disk_tables *disk_tables_create(size_t bytes);

/* No file may have anything in it any more; NULL is none. */
void disk_tables_destroy(struct disk_tables *c);

/* Bytes of tables it has now. */
size_t disk_tables_used(const struct disk_tables *c);

/*
 * Is what is pinned more than there is to be?  Who has changed pieces then
 * writes them, before he changes others.
 */
bool disk_tables_full(const struct disk_tables *c);

/*
 * A piece of a file, pinned: 0 and *sp.  -EINPROGRESS if it must be read
 * first: `w` is called then, which may ask again.  -ENOMEM.
 */
int disk_tables_get(struct disk_tables *c, struct disk *file, uint64_t off,
    uint32_t len, struct disk_wait *w, struct disk_slice **sp);

/* One pin more; one less. */
void disk_slice_pin(struct disk_slice *s);
void disk_slice_put(struct disk_slice *s);

/*
 * Forgets what has been read of a part of a file, which something else is
 * written to; none of it is pinned.
 */
void disk_tables_drop_part(struct disk_tables *c, const struct disk *file,
    uint64_t off, uint64_t len);

/* Forgets all pieces of a file, none of which is pinned. */
void disk_tables_drop(struct disk_tables *c, const struct disk *file);

#endif /* VMMD_DISK_TABLES_H */
