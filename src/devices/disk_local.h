/* SPDX-License-Identifier: ISC */
/*
 * What the disk formats share: the head of every open disk, the files beneath
 * them, and the chain of images that one disk may be made of.
 *
 * A format other than raw stands on raw disks, its files, and reaches them by
 * requests of its own: how a file is read and written is told once.
 */
#ifndef VMMD_DISK_LOCAL_H
#define VMMD_DISK_LOCAL_H

#include "devices/disk.h"
#include "devices/disk_check.h"

/* Images behind images, the first included. */
#define DISK_DEPTH_MAX	32

struct disk_format {
	enum disk_kind	kind;
	/* Loop; `aio` and `tables` are set. */
	void		(*attach)(struct disk *d);
	void		(*submit)(struct disk *d, struct disk_req *req);
	/* Any thread; frees the disk and the files beneath. */
	void		(*close)(struct disk *d);
	/* Those of disk_check.h; NULL where a format has nothing to do. */
	int		(*check)(struct disk *d, enum disk_repair repair,
			    struct disk_check *res);
	const char	*(*resize_begin)(struct disk *d, uint64_t size);
	const char	*(*resize_end)(struct disk *d, uint64_t size);
	uint64_t	(*resize_stale)(const struct disk *d, uint64_t was);
};

/* The head of a format's own struct.  Immutable after disk_attach(). */
struct disk {
	const struct disk_format *format;
	struct disk_info	 info;
	struct aio		*aio;
	struct disk_tables	*tables;
	bool			 guessed;	/* raw, but nobody said so */
};

/*
 * One image being opened; those above it name it, one the other.  On the
 * stack of disk_open_image(), thread of the open.
 */
struct disk_opening {
	const struct confine	*in;
	const char		*path;
	struct disk_how	 how;
	char			*err;		/* of the whole chain */
	size_t			 errlen;
	unsigned		 depth;		/* 0: the guest's disk */
	struct disk_opening	*up;		/* who names it, or NULL */
	uint64_t		 table_bytes;	/* kept, of it and those above */
	uint64_t		 dev, ino;	/* as in disk_seen, once open */
};

/* Opens an image and all behind it; NULL and o->err. */
struct disk *disk_open_image(struct disk_opening *o);

/* The format of an image that begins so. */
enum disk_kind disk_probe_bytes(const char first[4]);

/* The format, none of ours, of a file that begins so; or NULL. */
const char *disk_foreign(const void *first, size_t len);

/* That of the whole chain: what the caller asked for. */
static inline const struct disk_opening *
disk_opening_first(const struct disk_opening *o)
{
	while (o->up != NULL)
		o = o->up;
	return o;
}

/* Says why an image cannot be opened; always NULL. */
struct disk *disk_refuse(const struct disk_opening *o, const char *fmt, ...)
    __attribute__((__format__(__printf__, 2, 3)));

/*
 * Opens and locks a file of an image, none of those above, as a raw disk of any
 * size; after what the open reads and writes, it is made ready for requests: as
 * a `part` it may have any size, and grow.  NULL or false, and o->err.
 */
struct disk *disk_raw_open(struct disk_opening *o);
bool disk_raw_ready(struct disk *file, struct disk_opening *o, bool part);

/*
 * A disk is made of the file, of whole sectors: what is missing of the last one
 * reads zero.  Once it is ready, before requests, and for reading alone.
 */
void disk_raw_round(struct disk *file);

/* Is it a regular file, which grows and reads zero where never written? */
bool disk_raw_grows(const struct disk *file);

/*
 * May a read go beyond the file's end?  Clusters may, of which not all was ever
 * written; but what was there at the open must be there still.
 */
static inline bool
disk_is_beyond(const struct disk *file, uint64_t off, uint64_t len)
{
	return off + len > file->info.size;
}

/*
 * For the thread of the open, before the file is ready: blocking, whole or
 * not at all.  A read past the file's end is padded with zeroes.
 */
int disk_raw_read(const struct disk *file, void *buf, size_t len,
    uint64_t off);
int disk_raw_write(const struct disk *file, const void *buf, size_t len,
    uint64_t off);
int disk_raw_sync(const struct disk *file);

struct disk_make;

/* disk_make() of that format. */
int disk_qcow2_make(int fd, int data, const struct disk_make *m);

/* -EINTR if the making of an image is to end here, else 0. */
int disk_make_goes_on(const struct disk_make *m);

/* Room on the host's disk for a part of a new file: 0 or -errno. */
int disk_make_room(int fd, uint64_t off, uint64_t len,
    const struct disk_make *m);

/* Takes the image over `file`, which it closes on failure, too. */
struct disk *disk_qcow2_open(struct disk_opening *o, struct disk *file);

#endif /* VMMD_DISK_LOCAL_H */
