/* SPDX-License-Identifier: ISC */
/*
 * Raw disk images: the file's bytes are the disk's.
 *
 * A request goes to the engine in pieces of bounded size, since what the host
 * has cached is copied while the loop waits; a piece that comes back short is
 * continued where it stopped.
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
#include "devices/disk_lock.h"

#define DISK_PIECE_MAX		(256u << 10)
#define DISK_RETRIES_MAX	100

/* Immutable after disk_attach(). */
struct disk {
	int		 fd;
	uint64_t	 size;
	struct aio	*aio;
};

/* Says why the file that is open is of no use, or NULL; fills in its size. */
static const char *
disk_check(struct disk *d, bool readonly)
{
	struct stat st;
	int error;

	if (fstat(d->fd, &st) == -1)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "is not a regular file";
	error = disk_lock(d->fd, readonly);
	if (error == -EAGAIN)
		return "is in use by another guest or process";
	if (error != 0)
		return strerror(-error);
	/* Again: who held the lock until now may have changed the size. */
	if (fstat(d->fd, &st) == -1)
		return strerror(errno);
	if (st.st_size % DISK_SECTOR != 0)
		return "its size is not a multiple of 512 bytes";
	/* O_NONBLOCK was for the open of something like a FIFO. */
	if (fcntl(d->fd, F_SETFL, 0) == -1)
		return strerror(errno);
	d->size = (uint64_t)st.st_size;
	return NULL;
}

struct disk *
disk_open(const struct confine *in, const char *path, bool readonly, char *err,
    size_t errlen)
{
	const char *why;
	struct disk *d;

	d = calloc(1, sizeof(*d));
	if (d == NULL) {
		snprintf(err, errlen, "disk %s: %s", path, strerror(ENOMEM));
		return NULL;
	}
	d->fd = confine_open(in, path, (readonly ? O_RDONLY : O_RDWR) |
	    O_NOCTTY | O_NONBLOCK);
	if (d->fd < 0) {
		snprintf(err, errlen, "disk %s: %s", path,
		    confine_strerror(-d->fd));
		goto fail_open;
	}
	why = disk_check(d, readonly);
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

uint64_t
disk_size(const struct disk *d)
{
	return d->size;
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

static void
disk_start(struct disk_req *req)
{
	if (req->op == DISK_FLUSH)
		aio_fdatasync(req->disk->aio, req->disk->fd, &req->aio);
	else
		disk_next(req);
}

/* Is it worth another try?  Not for ever: a guest's stop waits for this. */
static bool
disk_retry(struct disk_req *req, int res)
{
	return (res == -EINTR || res == -EAGAIN) &&
	    req->retries++ < DISK_RETRIES_MAX;
}

static void
disk_aio_done(struct aio_op *op, int res)
{
	struct disk_req *req = (struct disk_req *)((char *)op -
	    offsetof(struct disk_req, aio));

	if (disk_retry(req, res)) {
		res = 0;
	} else if (res < 0 || req->op == DISK_FLUSH) {
		req->done(req, res);
		return;
	} else if (res == 0) {
		/* Nothing where there should be: the file was truncated. */
		req->done(req, -EIO);
		return;
	}
	if (req->op != DISK_FLUSH) {
		disk_advance(req, (size_t)res);
		if (req->moved == req->len) {
			req->done(req, 0);
			return;
		}
	}
	disk_start(req);
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
	disk_start(req);
}
