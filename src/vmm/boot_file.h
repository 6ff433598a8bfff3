/* SPDX-License-Identifier: ISC */
/*
 * A file to boot from, as a loader reads it: what a kernel's file contains if
 * it is compressed by gzip, otherwise the file itself.
 *
 * Reads may block; all on the starting VM's vCPU-0 thread.
 */
#ifndef VMMD_BOOT_FILE_H
#define VMMD_BOOT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No kernel is larger, nor what is read of its file. */
#define BOOT_FILE_MAX	((uint64_t)512 << 20)

struct boot_inflate;
struct confine;

/* On the stack of the loader. */
struct boot_file {
	const struct confine	*in;	/* where it must lie, or NULL */
	const char		*what;	/* "kernel", begins messages */
	const char		*path;
	char			*err;	/* room for one line */
	size_t			 errlen;
	int			 fd;
	uint64_t		 size;	/* of the file, in bytes */
	struct boot_inflate	*gz;	/* NULL: not compressed */
};

/*
 * Opens a regular file; `gzip`: it may be compressed.  The first five members
 * are set.  0, or -errno and a line in f->err.
 */
int boot_file_open(struct boot_file *f, bool gzip);
void boot_file_close(struct boot_file *f);

/*
 * Reads all of `len` bytes at `off`, cheaply only in ascending order if the
 * file is compressed: 0, or -errno and a line.
 */
int boot_file_read(struct boot_file *f, void *dst, uint64_t len,
    uint64_t off);

/* Is the rest of a compressed file whole?  0, or -errno and a line. */
int boot_file_check(struct boot_file *f);

/* Says what is wrong with the file, and returns -error. */
int boot_file_bad(struct boot_file *f, int error, const char *fmt, ...)
    __attribute__((__format__(__printf__, 3, 4)));

#endif /* VMMD_BOOT_FILE_H */
