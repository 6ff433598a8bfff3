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
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/confine.h"
#include "devices/disk.h"
#include "devices/disk_device.h"
#include "devices/disk_lock.h"

#define DISK_PIECE_MAX		(1u << 20)
#define DISK_RETRIES_MAX	100

/* Host file systems write, and allocate, whole pages. */
#define FILE_PHYSICAL_SIZE	4096

/* Immutable after disk_attach(). */
struct disk {
	int			 fd;
	struct disk_info	 info;
	struct aio		*aio;
};

static const char in_use[] = "is in use by another guest or process";

static const uint8_t disk_zeroes[64 << 10];

/* Size and blocks of what is open; NULL, or what is wrong. */
static const char *
disk_measure(struct disk *d)
{
	struct disk_info *i = &d->info;
	struct stat st;
	int error;

	if (fstat(d->fd, &st) == -1)
		return strerror(errno);
	if (S_ISBLK(st.st_mode)) {
		error = disk_device_info(d->fd, i);
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
disk_check(struct disk *d)
{
	const char *why;
	int error;

	why = disk_measure(d);
	if (why != NULL)
		return why;
	error = disk_lock(d->fd, d->info.readonly);
	if (error == -EAGAIN)
		return in_use;
	if (error != 0)
		return strerror(-error);
	/* Again: who held the lock until now may have changed the size. */
	why = disk_measure(d);
	if (why != NULL)
		return why;
	/* O_NONBLOCK was for the open of something like a FIFO. */
	if (fcntl(d->fd, F_SETFL, 0) == -1)
		return strerror(errno);
	return NULL;
}

struct disk *
disk_open(const struct confine *in, const char *path, bool readonly, char *err,
    size_t errlen)
{
	int flags = readonly ? O_RDONLY : O_RDWR | O_EXCL;
	const char *why;
	struct disk *d;

	d = calloc(1, sizeof(*d));
	if (d == NULL) {
		snprintf(err, errlen, "disk %s: %s", path, strerror(ENOMEM));
		return NULL;
	}
	d->info.readonly = readonly;
	/* O_EXCL: not a block device that the host has mounted. */
	d->fd = confine_open(in, path, flags | O_NOCTTY | O_NONBLOCK);
	if (d->fd < 0) {
		snprintf(err, errlen, "disk %s: %s", path, d->fd == -EBUSY ?
		    in_use : confine_strerror(-d->fd));
		goto fail_open;
	}
	why = disk_check(d);
	if (why != NULL) {
		snprintf(err, errlen, "disk %s: %s", path, why);
		goto fail_check;
	}
	return d;

fail_check:
	close(d->fd);
fail_open:
	free(d);
	return NULL;
}

const struct disk_info *
disk_info(const struct disk *d)
{
	return &d->info;
}

void
disk_attach(struct disk *d, struct aio *aio)
{
	d->aio = aio;
}

void
disk_close(struct disk *d)
{
	if (d == NULL)
		return;
	close(d->fd);
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
		aio_readv(d->aio, d->fd, req->iov, n, off, &req->aio);
	else
		aio_writev(d->aio, d->fd, req->iov, n, off, &req->aio);
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
		aio_writev(d->aio, d->fd, &req->zeroes, 1,
		    req->offset + req->moved, &req->aio);
	} else if (req->unmap) {
		aio_punch(d->aio, d->fd, req->offset, req->len, &req->aio);
	} else {
		aio_zero(d->aio, d->fd, req->offset, req->len, &req->aio);
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
		aio_fdatasync(d->aio, d->fd, &req->aio);
		break;
	case DISK_DISCARD:
		aio_punch(d->aio, d->fd, req->offset, req->len, &req->aio);
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
disk_aio_done(struct aio_op *op, int res)
{
	struct disk_req *req = (struct disk_req *)((char *)op -
	    offsetof(struct disk_req, aio));

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
	req->aio.done = disk_aio_done;
	req->moved = 0;
	req->held = 0;
	req->retries = 0;
	req->written = false;
	disk_start(req);
}
