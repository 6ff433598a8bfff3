/* SPDX-License-Identifier: ISC */
/*
 * Files that disks are kept in: see disk_file.h.
 *
 * Past the host's cache, offset, length and memory of a transfer must be
 * aligned.  Those that are not go by way of one buffer of the file's, one at
 * a time.  What changes a part of a block reads the whole before, and nothing
 * else may change the file until it is written; what has to wait for that, or
 * for the buffer, goes in the order in which it came.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/disk_direct.h"
#include "devices/disk_file.h"

/* Untouched, and so without memory, in disks that need none of it. */
#define BOUNCE_BYTES	(256u << 10)

/* i: immutable after disk_file_attach(); the rest: loop */
struct disk_file {
	int			 fd;		/* i */
	struct aio		*aio;		/* i */
	bool			 direct;	/* i */
	bool			 waits;		/* i */
	bool			 grows;		/* i */
	struct disk_align	 align;		/* i */
	uint8_t			*bounce;	/* i; NULL unless direct */
	struct disk_file_op	*bounced;	/* has the buffer */
	bool			 alone;		/* and is partial */
	unsigned		 changes;	/* operations under way */
	struct disk_file_op	*head;		/* wait */
	struct disk_file_op	**tail;
};

int
disk_file_create(struct disk_file **fp, int fd, bool direct, bool grows)
{
	struct disk_file *f;
	void *p;
	int error = 0;

	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	f->fd = fd;
	f->direct = direct;
	f->grows = grows;
	f->waits = aio_waits(fd);
	f->align = (struct disk_align){ 1, 1 };
	f->tail = &f->head;
	if (direct) {
		error = disk_direct(fd, &f->align);
		if (error == 0 && posix_memalign(&p, DISK_ALIGN_MAX,
		    BOUNCE_BYTES) != 0)
			error = -ENOMEM;
		if (error == 0)
			f->bounce = p;
	}
	if (error != 0)
		free(f);
	else
		*fp = f;
	return error;
}

void
disk_file_destroy(struct disk_file *f)
{
	if (f == NULL)
		return;
	assert(f->head == NULL && f->bounced == NULL && f->changes == 0);
	close(f->fd);
	free(f->bounce);
	free(f);
}

size_t
disk_file_align(const struct disk_file *f)
{
	return f->align.offset;
}

void
disk_file_attach(struct disk_file *f, struct aio *aio)
{
	f->aio = aio;
}

static bool
file_changes(const struct disk_file_op *op)
{
	return op->opcode != AIO_READV && op->opcode != AIO_FDATASYNC;
}

/* Copies between the buffer and the operation's memory, `n` bytes at most. */
static void
file_copy(const struct disk_file_op *op, size_t n)
{
	uint8_t *p = op->file->bounce + op->skip;
	const struct iovec *v;
	size_t part;

	for (v = op->iov; n != 0; v++) {
		part = v->iov_len < n ? v->iov_len : n;
		if (op->opcode == AIO_READV)
			memcpy(v->iov_base, p, part);
		else
			memcpy(p, v->iov_base, part);
		p += part;
		n -= part;
	}
}

/* Hands the operation to the engine as it is. */
static void
file_issue(struct disk_file_op *op)
{
	const struct disk_file *f = op->file;

	switch (op->opcode) {
	case AIO_READV:
		aio_readv(f->aio, f->fd, op->iov, op->niov, op->off, &op->aio);
		break;
	case AIO_WRITEV:
		aio_writev(f->aio, f->fd, op->iov, op->niov, op->off,
		    &op->aio);
		break;
	case AIO_PUNCH:
		aio_punch(f->aio, f->fd, op->off, op->len, &op->aio);
		break;
	case AIO_ZERO:
		aio_zero(f->aio, f->fd, op->off, op->len, &op->aio);
		break;
	case AIO_FDATASYNC:
		aio_fdatasync(f->aio, f->fd, &op->aio);
		break;
	case AIO_CALL:
	case AIO_NOP:
		/* A file is not asked for them. */
		break;
	}
}

static struct disk_file_op *
file_op(struct aio_op *aio)
{
	return (struct disk_file_op *)((char *)aio -
	    offsetof(struct disk_file_op, aio));
}

static void
file_done(struct aio_op *aio, int res)
{
	struct disk_file_op *op = file_op(aio);

	op->done(op, res);
}

static void file_begin(struct disk_file_op *op);

/* May it go now?  Only what bounces or changes the file is asked. */
static bool
file_may_begin(const struct disk_file_op *op)
{
	const struct disk_file *f = op->file;

	if (op->bounces && f->bounced != NULL)
		return false;
	if (op->partial && f->changes != 0)
		return false;
	return !file_changes(op) || !f->alone;
}

/* It is over: lets go on what waited, and tells the caller. */
static void
file_end(struct disk_file_op *op, int res)
{
	struct disk_file *f = op->file;
	struct disk_file_op *first;

	if (file_changes(op))
		f->changes--;
	if (f->bounced == op) {
		f->bounced = NULL;
		f->alone = false;
	}
	while ((first = f->head) != NULL && file_may_begin(first)) {
		f->head = first->next;
		if (f->head == NULL)
			f->tail = &f->head;
		file_begin(first);
	}
	op->done(op, res);
}

static void
file_direct_done(struct aio_op *aio, int res)
{
	file_end(file_op(aio), res);
}

/* The operation's part of what was moved of the buffer. */
static int
file_moved(const struct disk_file_op *op, int res)
{
	size_t n;

	if (res < 0 || (size_t)res <= op->skip)
		return res < 0 ? res : 0;
	n = (size_t)res - op->skip;
	return n < op->len ? (int)n : (int)op->len;
}

static void
bounce_written(struct aio_op *aio, int res)
{
	struct disk_file_op *op = file_op(aio);

	file_end(op, file_moved(op, res));
}

static void
bounce_write(struct disk_file_op *op)
{
	struct disk_file *f = op->file;

	file_copy(op, op->len);
	op->aio.done = bounce_written;
	aio_writev(f->aio, f->fd, &op->span, 1, op->off - op->skip, &op->aio);
}

static void
bounce_read_done(struct aio_op *aio, int res)
{
	struct disk_file_op *op = file_op(aio);
	int n;

	if (op->opcode == AIO_READV) {
		n = file_moved(op, res);
		if (n > 0)
			file_copy(op, (size_t)n);
		file_end(op, n);
	} else if (res >= 0 && op->file->grows) {
		memset(op->file->bounce + res, 0, op->span.iov_len -
		    (size_t)res);
		bounce_write(op);
	} else if (res < 0 || (size_t)res != op->span.iov_len) {
		/* The file is shorter than it was when it was opened. */
		file_end(op, res < 0 ? res : -EIO);
	} else {
		bounce_write(op);
	}
}

/* As much as there is room for, from the block on that it begins in. */
static void
bounce_begin(struct disk_file_op *op)
{
	struct disk_file *f = op->file;
	size_t align = f->align.offset;

	op->skip = op->off % align;
	if (op->len > BOUNCE_BYTES - op->skip)
		op->len = BOUNCE_BYTES - op->skip;
	op->span.iov_base = f->bounce;
	op->span.iov_len = (op->skip + op->len + align - 1) / align * align;
	f->bounced = op;
	f->alone = op->partial;
	if (op->opcode == AIO_WRITEV && !op->partial) {
		bounce_write(op);
		return;
	}
	op->aio.done = bounce_read_done;
	aio_readv(f->aio, f->fd, &op->span, 1, op->off - op->skip, &op->aio);
}

static void
file_begin(struct disk_file_op *op)
{
	if (file_changes(op))
		op->file->changes++;
	if (op->bounces)
		bounce_begin(op);
	else
		file_issue(op);
}

/* Does a transfer meet what the host asks for? */
static void
file_look(struct disk_file_op *op)
{
	const struct disk_align *a = &op->file->align;
	bool aligned = true;
	unsigned i;

	op->len = 0;
	for (i = 0; i < op->niov; i++) {
		aligned &= (uintptr_t)op->iov[i].iov_base % a->memory == 0 &&
		    op->iov[i].iov_len % a->offset == 0;
		op->len += op->iov[i].iov_len;
	}
	op->bounces = !aligned || op->off % a->offset != 0;
	op->partial = op->opcode == AIO_WRITEV &&
	    (op->off % a->offset != 0 || op->len % a->offset != 0);
}

static void
file_start(struct disk_file *f, enum aio_opcode opcode,
    struct disk_file_op *op)
{
	op->file = f;
	op->opcode = opcode;
	op->aio.waits = f->waits;
	if (!f->direct) {
		op->aio.done = file_done;
		file_issue(op);
		return;
	}
	op->aio.done = file_direct_done;
	op->bounces = false;
	op->partial = false;
	if (opcode == AIO_READV || opcode == AIO_WRITEV)
		file_look(op);
	if (!op->bounces && !file_changes(op)) {
		file_issue(op);
	} else if (f->head == NULL && file_may_begin(op)) {
		file_begin(op);
	} else {
		op->next = NULL;
		*f->tail = op;
		f->tail = &op->next;
	}
}

static void
file_transfer(struct disk_file *f, enum aio_opcode opcode,
    const struct iovec *iov, unsigned niov, uint64_t off,
    struct disk_file_op *op)
{
	op->iov = iov;
	op->niov = niov;
	op->off = off;
	file_start(f, opcode, op);
}

void
disk_file_readv(struct disk_file *f, const struct iovec *iov, unsigned niov,
    uint64_t off, struct disk_file_op *op)
{
	file_transfer(f, AIO_READV, iov, niov, off, op);
}

void
disk_file_writev(struct disk_file *f, const struct iovec *iov, unsigned niov,
    uint64_t off, struct disk_file_op *op)
{
	file_transfer(f, AIO_WRITEV, iov, niov, off, op);
}

static void
file_range(struct disk_file *f, enum aio_opcode opcode, uint64_t off,
    uint64_t len, struct disk_file_op *op)
{
	op->off = off;
	op->len = len;
	file_start(f, opcode, op);
}

void
disk_file_punch(struct disk_file *f, uint64_t off, uint64_t len,
    struct disk_file_op *op)
{
	file_range(f, AIO_PUNCH, off, len, op);
}

void
disk_file_zero(struct disk_file *f, uint64_t off, uint64_t len,
    struct disk_file_op *op)
{
	file_range(f, AIO_ZERO, off, len, op);
}

void
disk_file_sync(struct disk_file *f, struct disk_file_op *op)
{
	file_start(f, AIO_FDATASYNC, op);
}
