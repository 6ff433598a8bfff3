/* SPDX-License-Identifier: ISC */
/*
 * New disk images.
 */
#ifndef VMMD_DISK_MAKE_H
#define VMMD_DISK_MAKE_H

#include "devices/disk.h"

/* What has its place in the file from the beginning. */
enum disk_prealloc {
	DISK_PREALLOC_OFF,
	DISK_PREALLOC_METADATA,		/* tables; not raw */
	DISK_PREALLOC_FALLOC,		/* and room on the host's disk */
	DISK_PREALLOC_FULL,		/* and zeroes: the caller writes them */
};

/* What an image is to be. */
struct disk_make {
	enum disk_kind	 kind;		/* not DISK_AUTO */
	uint64_t	 size;		/* bytes, a multiple of DISK_SECTOR */
	enum disk_prealloc prealloc;
	/* qcow2 alone. */
	uint32_t	 cluster;	/* bytes */
	unsigned	 version;	/* 2 or 3 */
	unsigned	 refcount_bits;
	bool		 lazy;		/* refcounts may be behind */
	bool		 extended;	/* clusters in 32 parts */
	bool		 zstd;		/* how it may be compressed, not zlib */
	const char	*behind;	/* name of the image behind, or NULL */
	const char	*behind_format;	/* "raw", "qcow2" */
	const char	*data;		/* name of an external data file, or NULL */
	bool		 raw_data;	/* which by itself is a raw image */
	/* Asked between its tables and parts: is it to end?  Or NULL. */
	bool		(*stops)(void *arg);
	void		*stops_arg;
};

/* A raw image, or a qcow2 image, as QEMU makes one without being told how. */
void disk_make_init(struct disk_make *m, enum disk_kind kind, uint64_t size);

/* The size, in bytes, that a disk like that cannot have any more. */
uint64_t disk_make_end(const struct disk_make *m);

/* NULL, or why there can be none like that. */
const char *disk_make_check(const struct disk_make *m);

/*
 * Makes one that has passed the check of an empty file, and of another one if
 * it has a data file.  Blocks; any thread; 0 or -errno, -EINTR if it was to
 * end.  It is not stable before an fsync(2) of both.
 */
int disk_make(int fd, int data, const struct disk_make *m);

#endif /* VMMD_DISK_MAKE_H */
