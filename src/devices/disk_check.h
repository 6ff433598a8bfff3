/* SPDX-License-Identifier: ISC */
/*
 * Whether the tables of an image are right, and its size, which tools change.
 * For disks that are open and not attached, except where it says otherwise;
 * functions block, and run on the thread of the open.
 */
#ifndef VMMD_DISK_CHECK_H
#define VMMD_DISK_CHECK_H

#include "devices/disk.h"

enum disk_repair {
	DISK_REPAIR_NOT,
	DISK_REPAIR_LEAKS,
	DISK_REPAIR_ALL,
};

/* What is wrong: words, and the offset in the file that they end in. */
struct disk_problem {
	const char	*what;
	uint64_t	 at;
};

#define DISK_PROBLEMS_MAX	8

/* What is wrong, in clusters and entries of tables, and what was before. */
struct disk_check {
	uint64_t	leaks;		/* room that nothing uses */
	uint64_t	corruptions;	/* data that may get lost */
	uint64_t	leaks_fixed, corruptions_fixed;
	uint64_t	clusters;	/* of the file */
	uint64_t	used;		/* of them */
	/* The first corruptions that were found; what was fixed is among them. */
	struct disk_problem problem[DISK_PROBLEMS_MAX];
	unsigned	nproblems;
};

/*
 * Looks at the tables of a disk that was opened for it (disk_how.check), and
 * repairs what is asked for: 0; -EOPNOTSUPP if it cannot be done for such an
 * image; -errno.
 */
int disk_check(struct disk *d, enum disk_repair repair,
    struct disk_check *res);

/*
 * A new size, in three steps, for a disk that is writable: disk_resize_begin()
 * makes the tables long enough; then, while it is attached, requests may
 * reach up to the greater of both sizes, and those who change it see to it
 * that what is cut off or added reads zero; disk_resize_end() is for the
 * detached disk.  NULL, or why not.
 */
const char *disk_resize_begin(struct disk *d, uint64_t size);
const char *disk_resize_end(struct disk *d, uint64_t size);

/*
 * Between these: up to where bytes from the old size on may not read zero yet
 * in a disk that becomes longer.
 */
uint64_t disk_resize_stale(const struct disk *d, uint64_t was);

#endif /* VMMD_DISK_CHECK_H */
