/* SPDX-License-Identifier: ISC */
/*
 * Raw disk images and block devices: the file's bytes are the disk's.
 *
 * A request goes to the engine in pieces of bounded size, since what the host
 * has cached is copied while the loop waits; a piece that comes back short is
 * continued where it stopped.  What the host cannot discard stays; what it
 * cannot make zero by itself is written.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/confine.h"
#include "devices/disk.h"
#include "devices/disk_device.h"
#include "devices/disk_file.h"
#include "devices/disk_lock.h"

#define DISK_PIECE_MAX		(1u << 20)
#define DISK_RETRIES_MAX	100

/* Host file systems write, and allocate, whole pages. */
#define FILE_PHYSICAL_SIZE	4096

/* Immutable after disk_attach(). */
struct disk {
	struct disk_file	*file;
	struct disk_info	 info;
};

static const char in_use[] = "is in use by another guest or process";

alignas(4096) static const uint8_t disk_zeroes[64 << 10];

/* Size and blocks of what is open; NULL, or what is wrong. */
static const char *
disk_measure(struct disk *d, int fd)
{
	struct disk_info *i = &d->info;
	struct stat st;
	int error;

	if (fstat(fd, &st) == -1)
		return strerror(errno);
	if (S_ISBLK(st.st_mode)) {
		error = disk_device_info(fd, i);
		return error != 0 ? strerror(-error) : NULL;
	}
	if (!S_ISREG(st.st_mode))
		return "is neither a regular file nor a block device";
	if (st.st_size % DISK_SECTOR != 0)
		return "its size is not a multiple of 512 bytes";
	i->size = (uint64_t)st.st_size;
	i->block_size = DISK_SECTOR;
	i->physical_size = FILE_PHYSICAL_SIZE;
	return NULL;
}

/* Says why the file that is open is of no use, or NULL; fills in d->info. */
static const char *
disk_check(struct disk *d, int fd)
{
	const char *why;
	int error;

	why = disk_measure(d, fd);
	if (why != NULL)
		return why;
	error = disk_lock(fd, d->info.readonly);
	if (error == -EAGAIN)
		return in_use;
	if (error != 0)
		return strerror(-error);
	/* Again: who held the lock until now may have changed the size. */
	why = disk_measure(d, fd);
	if (why != NULL)
		return why;
	/* O_NONBLOCK was for the open of something like a FIFO. */
	if (fcntl(fd, F_SETFL, 0) == -1)
		return strerror(errno);
	return NULL;
}

/* Makes d->file of the open file, or says why it is of no use. */
static const char *
disk_set_file(struct disk *d, int fd, bool direct)
{
	size_t align;
	int error;

	error = disk_file_create(&d->file, fd, direct);
	if (error == -EOPNOTSUPP)
		return "cache=none: its file system needs the host's cache";
	if (error != 0)
		return strerror(-error);
	align = disk_file_align(d->file);
	if (d->info.size % align != 0)
		return "cache=none: its size is not a multiple of the host's "
		    "blocks";
	if (d->info.physical_size < align)
		d->info.physical_size = (uint32_t)align;
	return NULL;
}

/* All that makes a disk of `path`; NULL, or what is wrong. */
static const char *
disk_prepare(struct disk *d, const struct confine *in, const char *path,
    const struct disk_how *how)
{
	int flags = how->readonly ? O_RDONLY : O_RDWR | O_EXCL;
	const char *why;
	int fd;

	/* O_EXCL: not a block device that the host has mounted. */
	fd = confine_open(in, path, flags | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return fd == -EBUSY ? in_use : confine_strerror(-fd);
	why = disk_check(d, fd);
	if (why == NULL)
		why = disk_set_file(d, fd, how->cache == DISK_NONE);
	if (d->file == NULL)
		close(fd);
	return why;
}

struct disk *
disk_open(const struct confine *in, const char *path,
    const struct disk_how *how, char *err, size_t errlen)
{
	const char *why;
	struct disk *d;

	d = calloc(1, sizeof(*d));
	if (d == NULL) {
		snprintf(err, errlen, "disk %s: %s", path, strerror(ENOMEM));
		return NULL;
	}
	d->info.readonly = how->readonly;
	d->info.writethrough = how->cache == DISK_WRITETHROUGH;
	why = disk_prepare(d, in, path, how);
	if (why != NULL) {
		snprintf(err, errlen, "disk %s: %s", path, why);
		disk_close(d);
		return NULL;
	}
	return d;
}

const struct disk_info *
disk_info(const struct disk *d)
{
	return &d->info;
}

void
disk_attach(struct disk *d, struct aio *aio)
{
	disk_file_attach(d->file, aio);
}

void
disk_close(struct disk *d)
{
	if (d == NULL)
		return;
	disk_file_destroy(d->file);
	free(d);
}

/* Hands the next piece of a transfer to the engine. */
static void
disk_next(struct disk_req *req)
{
	const struct disk *d = req->disk;
	uint64_t off = req->offset + req->moved;
	size_t sum = 0;
	unsigned n;

	for (n = 0; n < req->niov; n++) {
		if (req->iov[n].iov_len > DISK_PIECE_MAX - sum)
			break;
		sum += req->iov[n].iov_len;
	}
	if (n == 0) {
		req->held = req->iov[0].iov_len - DISK_PIECE_MAX;
		req->iov[0].iov_len = DISK_PIECE_MAX;
		n = 1;
	}
	if (req->op == DISK_READ)
		disk_file_readv(d->file, req->iov, n, off, &req->file);
	else
		disk_file_writev(d->file, req->iov, n, off, &req->file);
}

/* Moves the request on by what was transferred. */
static void
disk_advance(struct disk_req *req, size_t n)
{
	struct iovec *v = req->iov;

	req->moved += n;
	v->iov_len += req->held;
	req->held = 0;
	for (; n != 0 && n >= v->iov_len; v++, req->niov--)
		n -= v->iov_len;
	if (n != 0) {
		v->iov_base = (char *)v->iov_base + n;
		v->iov_len -= n;
	}
	req->iov = v;
}

/* Zeroes of a range, by the host's own means or written one by one. */
static void
disk_zero(struct disk_req *req)
{
	const struct disk *d = req->disk;
	size_t left = req->len - req->moved;

	if (req->written) {
		req->zeroes.iov_base = (void *)(uintptr_t)disk_zeroes;
		req->zeroes.iov_len = left < sizeof(disk_zeroes) ? left :
		    sizeof(disk_zeroes);
		disk_file_writev(d->file, &req->zeroes, 1,
		    req->offset + req->moved, &req->file);
	} else if (req->unmap) {
		disk_file_punch(d->file, req->offset, req->len, &req->file);
	} else {
		disk_file_zero(d->file, req->offset, req->len, &req->file);
	}
}

static void
disk_start(struct disk_req *req)
{
	const struct disk *d = req->disk;

	switch (req->op) {
	case DISK_READ:
	case DISK_WRITE:
		disk_next(req);
		break;
	case DISK_FLUSH:
		disk_file_sync(d->file, &req->file);
		break;
	case DISK_DISCARD:
		disk_file_punch(d->file, req->offset, req->len, &req->file);
		break;
	case DISK_ZERO:
		disk_zero(req);
		break;
	}
}

/* Is it worth another try?  Not for ever: a guest's stop waits for this. */
static bool
disk_retry(struct disk_req *req, int res)
{
	return (res == -EINTR || res == -EAGAIN) &&
	    req->retries++ < DISK_RETRIES_MAX;
}

/* The operation is over by what it returned: tells the caller so. */
static bool
disk_finish(struct disk_req *req, int res)
{
	bool moves = req->op == DISK_READ || req->op == DISK_WRITE ||
	    req->written;

	if (res == -EOPNOTSUPP && req->op == DISK_DISCARD)
		res = 0;
	/* Nothing where there should be: the file was truncated. */
	if (res == 0 && moves)
		res = -EIO;
	if (res > 0)
		return false;
	req->done(req, res);
	return true;
}

/* Goes on after `n` bytes more, or once more. */
static void
disk_continue(struct disk_req *req, size_t n)
{
	if (req->op == DISK_READ || req->op == DISK_WRITE)
		disk_advance(req, n);
	else
		req->moved += n;
	if (req->op != DISK_FLUSH && req->moved == req->len)
		req->done(req, 0);
	else
		disk_start(req);
}

static void
disk_piece_done(struct disk_file_op *op, int res)
{
	struct disk_req *req = (struct disk_req *)((char *)op -
	    offsetof(struct disk_req, file));

	if (disk_retry(req, res)) {
		disk_continue(req, 0);
	} else if (res == -EOPNOTSUPP && req->op == DISK_ZERO &&
	    !req->written) {
		req->written = true;
		disk_continue(req, 0);
	} else if (!disk_finish(req, res)) {
		disk_continue(req, (size_t)res);
	}
}

void
disk_submit(struct disk *d, struct disk_req *req)
{
	assert(req->op == DISK_FLUSH || req->len != 0);
	req->disk = d;
	req->file.done = disk_piece_done;
	req->moved = 0;
	req->held = 0;
	req->retries = 0;
	req->written = false;
	disk_start(req);
}
