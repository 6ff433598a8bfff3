/* SPDX-License-Identifier: ISC */
/*
 * A host's file that a disk is kept in: the engine's operations on it, at any
 * offset and from any memory, also where the host's cache is left out and the
 * system asks for whole blocks.  Loop thread, except where it says otherwise.
 */
#ifndef VMMD_DISK_FILE_H
#define VMMD_DISK_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "devices/aio.h"

struct disk_file;

/*
 * One operation, under the rules of struct aio_op.  A transfer may come back
 * short; its rest is another operation's.
 */
struct disk_file_op {
	void			(*done)(struct disk_file_op *op, int res);

	/* The file's. */
	struct aio_op		 aio;
	struct disk_file	*file;
	struct disk_file_op	*next;		/* that waits, too */
	enum aio_opcode		 opcode;
	const struct iovec	*iov;
	unsigned		 niov;
	uint64_t		 off;
	uint64_t		 len;
	bool			 bounces;	/* by way of the file's buffer */
	bool			 partial;	/* it changes parts of blocks */
	size_t			 skip;		/* of the buffer, before it */
	struct iovec		 span;		/* of the buffer */
};

/*
 * Makes one of an open descriptor, which it closes at the end: with `direct`
 * past the host's cache; one that `grows` may end within a block, and what is
 * written beyond its end makes it longer.  0 or -errno: -EOPNOTSUPP if the
 * file system has no way past its cache.  Any thread, and may block.
 */
int disk_file_create(struct disk_file **fp, int fd, bool direct, bool grows);

/* No operation may be in flight.  Any thread. */
void disk_file_destroy(struct disk_file *f);

/* Bytes: the file's size must be a multiple of them.  Any thread. */
size_t disk_file_align(const struct disk_file *f);

/* Before the first operation. */
void disk_file_attach(struct disk_file *f, struct aio *aio);

/* As the aio_*() of that name. */
void disk_file_readv(struct disk_file *f, const struct iovec *iov,
    unsigned niov, uint64_t off, struct disk_file_op *op);
void disk_file_writev(struct disk_file *f, const struct iovec *iov,
    unsigned niov, uint64_t off, struct disk_file_op *op);
void disk_file_punch(struct disk_file *f, uint64_t off, uint64_t len,
    struct disk_file_op *op);
void disk_file_zero(struct disk_file *f, uint64_t off, uint64_t len,
    struct disk_file_op *op);
void disk_file_sync(struct disk_file *f, struct disk_file_op *op);

#endif /* VMMD_DISK_FILE_H */
