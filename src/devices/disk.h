/* SPDX-License-Identifier: ISC */
/*
 * A disk: what virtio-blk sees of an image, whatever its format.
 *
 * All functions run on the loop thread except disk_open(), which may block
 * and runs on the starting VM's vCPU-0 thread.
 */
#ifndef VMMD_DISK_H
#define VMMD_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "devices/aio.h"
#include "devices/disk_file.h"

#define DISK_SECTOR	512
#define DISK_IOV_MAX	256

struct confine;
struct disk;
struct disk_tables;

/* The format of an image. */
enum disk_kind {
	DISK_AUTO,		/* by what the file begins with */
	DISK_RAW,
	DISK_QCOW2,
};

enum disk_op {
	DISK_READ,
	DISK_WRITE,
	DISK_FLUSH,
	DISK_DISCARD,		/* the bytes matter no more */
	DISK_ZERO,		/* the bytes become zero */
	DISK_STATUS,		/* what there is: see struct disk_extent */
	DISK_DETACH,		/* the last: see disk_attach() */
};

/*
 * Some bytes of a disk that are alike.  Of an image with others behind it, the
 * one that has them is at `depth`, 0 being the first.
 */
struct disk_extent {
	uint64_t	len;
	unsigned	depth;
	bool		present;	/* that image says what they are */
	bool		zero;		/* they read zero */
	bool		data;		/* a file has them */
	bool		packed;		/* compressed */
	uint64_t	host;		/* data, not packed: where in the file */
};

/*
 * One request.  The caller owns it, fills the first part, and keeps it and the
 * memory behind iov until done() has run: on the loop thread, never from
 * within disk_submit(), with `res` 0 or -errno.  The engine uses up the array
 * at iov, which only reads and writes have.
 */
struct disk_req {
	enum disk_op	 op;
	uint64_t	 offset;	/* bytes */
	struct iovec	*iov;
	unsigned	 niov;		/* at most DISK_IOV_MAX */
	size_t		 len;		/* bytes; the sum of iov */
	bool		 unmap;		/* DISK_ZERO: may give up its room */
	bool		 padded;	/* DISK_READ: zeroes follow the file's end */
	/*
	 * DISK_STATUS: the first bytes of the range, as many as are alike as
	 * far as one look tells.  The depth is added to that it has before.
	 */
	struct disk_extent *extent;
	void		(*done)(struct disk_req *req, int res);

	/* The format's. */
	struct disk	*disk;
	struct disk_file_op file;
	size_t		 moved;		/* bytes transferred so far */
	size_t		 held;		/* bytes of iov[0] for a later turn */
	unsigned	 retries;
	bool		 written;	/* DISK_ZERO: by writing zeroes */
	struct iovec	 zeroes;
	struct iovec	 first;		/* raw: what was looked at */
	void		*walker;	/* qcow2: who goes on later */
	int		 late;		/* the result, told later */
};

/* Where a guest's write is, from when it is complete until a flush. */
enum disk_cache {
	DISK_WRITEBACK,		/* in the host's cache */
	DISK_WRITETHROUGH,	/* there, too, and on the disk */
	DISK_NONE,		/* in no cache but the disk's own */
	DISK_UNSAFE,		/* as writeback, and a flush does nothing */
};

struct disk_snapshot {
	char		*id, *name;
	uint64_t	 size;		/* bytes of the disk; 0: unknown */
	uint64_t	 seconds;	/* since 1970, when it was taken */
};

/* What an image says of itself.  Of raw ones all but the kind is zero. */
struct disk_about {
	enum disk_kind	kind;
	unsigned	version;	/* of the format */
	uint32_t	cluster;	/* bytes */
	unsigned	refcount_bits;
	bool		lazy, extended, zstd, raw_data;
	bool		dirty, corrupt;
	uint32_t	nbitmaps;	/* that are true */
	char		behind[1024], behind_format[16]; /* "" is none */
	char		data[1024];	/* the external data file, or "" */
	struct disk_snapshot *snapshot;
	unsigned	nsnapshots;
};

/* A file that a disk is made of. */
struct disk_seen {
	const char	*path;
	uint64_t	dev, ino;	/* alike only of the same one */
	bool		written;	/* by whoever has the disk */
};

/*
 * For those who only ask whether a disk could be opened so.  Each file that it
 * is made of is told of, from the image itself on, and of each the header is
 * read: nothing is locked, repaired or otherwise changed.
 */
struct disk_look {
	void		(*file)(struct disk_look *look,
			    const struct disk_seen *seen);
};

/* How a disk is to be opened. */
struct disk_how {
	enum disk_kind	kind;
	bool		readonly;	/* which others may do, too */
	enum disk_cache	cache;
	/* For those who only look at images, and for tools. */
	bool		unlocked;	/* readonly, whoever writes it */
	bool		alone;		/* without what stands behind it */
	bool		header;		/* no other file; for no request */
	struct disk_look *look;		/* or NULL; for no request */
	bool		check;		/* for disk_check() alone */
	/* How users say that it is raw, or ""; NULL is "format=raw". */
	const char	*say_raw;
	/* How they see one that is in use, of all of its files; or NULL. */
	const char	*say_unlocked;
	bool		tool;		/* a user's, whose rights count */
	struct disk_about *about;	/* to be filled in, or NULL */
};

/* What never changes about an open disk. */
struct disk_info {
	uint64_t	size;		/* bytes, a multiple of block_size */
	uint32_t	block_size;	/* bytes that the host can address */
	uint32_t	physical_size;	/* bytes that it writes at once */
	bool		readonly;
	bool		writethrough;	/* the caller flushes each write */
};

/*
 * Opens and locks the image at `path`, which must lie within `in` as must all
 * that it names.  On failure NULL, and `err` says why in one line that begins
 * with "disk PATH: ".
 */
struct disk *disk_open(const struct confine *in, const char *path,
    const struct disk_how *how, char *err, size_t errlen);

/* Frees what the open put there. */
void disk_about_clear(struct disk_about *about);

/*
 * Where the file of a name in the image at `path` is: relative names are beside
 * it.  To be freed; NULL without memory.
 */
char *disk_path_beside(const char *path, const char *name);

/* Names in an image like nbd://host or json:{...} are of no file. */
bool disk_is_file_name(const char *name);

/* What the image turned out to be.  Any thread; valid until the close. */
enum disk_kind disk_kind(const struct disk *d);

/* Any thread; valid until the close. */
const struct disk_info *disk_info(const struct disk *d);

/*
 * Connects the disk to the loop's engine and the tables kept in memory, before
 * the first submit; both outlive it.  Raw disks have no tables.  A request
 * DISK_DETACH, the only one then in flight, undoes this: it writes what was
 * kept back.
 */
void disk_attach(struct disk *d, struct aio *aio, struct disk_tables *tables);

/* Starts a request; range and length are the caller's to check. */
void disk_submit(struct disk *d, struct disk_req *req);

/*
 * Closes a disk that was never attached, or is detached; NULL is none.  Any
 * thread.
 */
void disk_close(struct disk *d);

#endif /* VMMD_DISK_H */
