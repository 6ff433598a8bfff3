/* SPDX-License-Identifier: ISC */
/*
 * Raw disk images and block devices: the file's bytes are the disk's.
 *
 * A request goes to the engine in pieces of bounded size, since what the host
 * has cached is copied while the loop waits; a piece that comes back short is
 * continued where it stopped.  What the host cannot discard stays; what it
 * cannot make zero by itself is written.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/confine.h"
#include "devices/disk_device.h"
#include "devices/disk_file.h"
#include "devices/disk_local.h"
#include "devices/disk_lock.h"

#define DISK_PIECE_MAX		(1u << 20)
#define DISK_RETRIES_MAX	100

/* What is copied of a write to a disk's begin: whole blocks of most hosts. */
#define DISK_FIRST_MAX		4096u

/* Host file systems write, and allocate, whole pages. */
#define FILE_PHYSICAL_SIZE	4096

/* i: immutable after the open; the rest: loop */
struct disk_raw {
	struct disk		 d;		/* i */
	int			 fd;		/* i: the file's */
	struct disk_file	*file;		/* i */
	bool			 regular;	/* i: no block device */
	bool			 cached;	/* i: by the host */
	bool			 unsafe;	/* i: a flush does nothing */
	bool			 odd;		/* i: ends within a sector */
	int			 lost;		/* -errno of a flush, or 0 */
};

static const struct disk_format raw_format;

static struct disk_raw *
raw_of(const struct disk *d)
{
	return (struct disk_raw *)(uintptr_t)d;
}

static const char in_use[] = "is in use by another guest or process";

alignas(4096) static const uint8_t disk_zeroes[64 << 10];

/* Size and blocks of what is open; NULL, or what is wrong. */
static const char *
raw_measure(struct disk_raw *r)
{
	struct disk_info *i = &r->d.info;
	struct stat st;
	int error;

	if (fstat(r->fd, &st) == -1)
		return strerror(errno);
	if (S_ISBLK(st.st_mode)) {
		error = disk_device_info(r->fd, i);
		return error != 0 ? strerror(-error) : NULL;
	}
	if (!S_ISREG(st.st_mode))
		return "is neither a regular file nor a block device";
	r->regular = true;
	i->size = (uint64_t)st.st_size;
	i->block_size = DISK_SECTOR;
	i->physical_size = FILE_PHYSICAL_SIZE;
	return NULL;
}

/* Which file it is; of a device any name will do. */
static int
raw_identify(const struct disk_raw *r, struct disk_opening *o)
{
	struct stat st;

	if (fstat(r->fd, &st) == -1)
		return -errno;
	o->dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	o->ino = S_ISBLK(st.st_mode) ? 0 : st.st_ino;
	return 0;
}

/* Does an image above stand on the same file? */
static bool
raw_is_loop(const struct disk_opening *o)
{
	const struct disk_opening *up;

	for (up = o->up; up != NULL; up = up->up)
		if (up->dev == o->dev && up->ino == o->ino)
			return true;
	return false;
}

/* Says why the file that is open is of no use, or NULL; fills in the info. */
static const char *
raw_check(struct disk_raw *r, struct disk_opening *o)
{
	const char *why;
	int error;

	why = raw_measure(r);
	if (why != NULL)
		return why;
	error = raw_identify(r, o);
	if (error == 0 && raw_is_loop(o))
		return "is behind itself";
	if (error == 0 && !o->how.unlocked && o->how.look == NULL)
		error = disk_lock(r->fd, r->d.info.readonly);
	if (error == -EAGAIN)
		return in_use;
	if (error != 0)
		return strerror(-error);
	/* Again: who held the lock until now may have changed the size. */
	why = raw_measure(r);
	if (why != NULL)
		return why;
	/* O_NONBLOCK was for the open of something like a FIFO. */
	if (fcntl(r->fd, F_SETFL, 0) == -1)
		return strerror(errno);
	return NULL;
}

/* In the words of whoever opens it; always NULL. */
static struct disk *
raw_refuse(const struct disk_opening *o, int error)
{
	const struct disk_how *how = &disk_opening_first(o)->how;

	if (error == EBUSY && how->say_unlocked != NULL)
		return disk_refuse(o, "%s; %s", in_use, how->say_unlocked);
	if (error == EBUSY)
		return disk_refuse(o, "%s", in_use);
	return disk_refuse(o, "%s", how->tool ? strerror(error) :
	    confine_strerror(error));
}

/*
 * For one who only looks: a descriptor, or -errno as if all were opened that
 * may be asked for.  An open of some devices does something, so none is that
 * cannot be a disk.
 */
static int
raw_open_to_look(const struct disk_opening *o)
{
	struct stat st;
	int error, fd;

	error = confine_access(o->in, o->path, R_OK | (o->how.readonly ? 0 :
	    W_OK));
	if (error != 0)
		return error;
	fd = confine_open(o->in, o->path, O_PATH);
	if (fd < 0 || fstat(fd, &st) == -1 ||
	    (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)))
		return fd;
	close(fd);
	return confine_open(o->in, o->path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
}

/* O_EXCL: not a block device that the host has mounted. */
static int
raw_open(const struct disk_opening *o)
{
	int flags = o->how.readonly ? O_RDONLY : O_RDWR | O_EXCL;

	if (o->how.look != NULL)
		return raw_open_to_look(o);
	return confine_open(o->in, o->path, flags | O_NOCTTY | O_NONBLOCK);
}

static void
raw_tell(const struct disk_opening *o)
{
	struct disk_seen seen = {
		.path = o->path, .dev = o->dev, .ino = o->ino,
		.written = !o->how.readonly,
	};

	o->how.look->file(o->how.look, &seen);
}

struct disk *
disk_raw_open(struct disk_opening *o)
{
	struct disk_raw *r;
	const char *why;

	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return disk_refuse(o, "%s", strerror(ENOMEM));
	r->d.format = &raw_format;
	r->d.info.readonly = o->how.readonly;
	r->d.info.writethrough = o->how.cache == DISK_WRITETHROUGH;
	r->unsafe = o->how.cache == DISK_UNSAFE;
	r->fd = raw_open(o);
	if (r->fd < 0) {
		raw_refuse(o, -r->fd);
		goto fail_open;
	}
	why = raw_check(r, o);
	if (why != NULL) {
		if (why == in_use)
			raw_refuse(o, EBUSY);
		else
			disk_refuse(o, "%s", why);
		goto fail_check;
	}
	if (o->how.look != NULL)
		raw_tell(o);
	return &r->d;

fail_check:
	close(r->fd);
fail_open:
	free(r);
	return NULL;
}

/* Makes r->file of the open file, or says why it is of no use. */
static const char *
raw_set_file(struct disk_raw *r, bool direct, bool part)
{
	struct disk_info *i = &r->d.info;
	size_t align;
	int error;

	r->cached = !direct;
	error = disk_file_create(&r->file, r->fd, direct, part && r->regular);
	if (error == -EOPNOTSUPP)
		return "cache=none: its file system needs the host's cache";
	if (error != 0)
		return strerror(-error);
	align = disk_file_align(r->file);
	if (!part && i->size % align != 0)
		return "cache=none: its size is not a multiple of the host's "
		    "blocks";
	if (i->physical_size < align)
		i->physical_size = (uint32_t)align;
	return NULL;
}

bool
disk_raw_ready(struct disk *file, struct disk_opening *o, bool part)
{
	const char *why;

	why = raw_set_file(raw_of(file), o->how.cache == DISK_NONE, part);
	if (why != NULL)
		disk_refuse(o, "%s", why);
	return why == NULL;
}

void
disk_raw_round(struct disk *file)
{
	uint64_t size = file->info.size;

	raw_of(file)->odd = size % DISK_SECTOR != 0;
	file->info.size = (size + DISK_SECTOR - 1) / DISK_SECTOR * DISK_SECTOR;
}

bool
disk_raw_grows(const struct disk *file)
{
	return raw_of(file)->regular;
}

int
disk_raw_read(const struct disk *file, void *buf, size_t len, uint64_t off)
{
	uint8_t *p = buf;
	ssize_t n;

	for (; len != 0; len -= (size_t)n, p += n, off += (uint64_t)n) {
		n = pread(raw_of(file)->fd, p, len, (off_t)off);
		if (n == -1)
			return -errno;
		if (n == 0) {
			memset(p, 0, len);
			break;
		}
	}
	return 0;
}

int
disk_raw_write(const struct disk *file, const void *buf, size_t len,
    uint64_t off)
{
	const uint8_t *p = buf;
	ssize_t n;

	for (; len != 0; len -= (size_t)n, p += n, off += (uint64_t)n) {
		n = pwrite(raw_of(file)->fd, p, len, (off_t)off);
		if (n == -1)
			return -errno;
	}
	return 0;
}

int
disk_raw_sync(const struct disk *file)
{
	return fsync(raw_of(file)->fd) == -1 ? -errno : 0;
}

static void
raw_attach(struct disk *d)
{
	disk_file_attach(raw_of(d)->file, d->aio);
}

static void
raw_close(struct disk *d)
{
	struct disk_raw *r = raw_of(d);

	if (r->file != NULL)
		disk_file_destroy(r->file);
	else
		close(r->fd);
	free(r);
}

/* The caller's memory is his again. */
static void
disk_done(struct disk_req *req, int res)
{
	free(req->first.iov_base);
	req->done(req, res);
}

/* Hands the next piece of a transfer to the engine. */
static void
disk_next(struct disk_req *req)
{
	const struct disk_raw *r = raw_of(req->disk);
	uint64_t off = req->offset + req->moved;
	size_t sum = 0;
	unsigned n;

	if (req->first.iov_len != 0) {
		disk_file_writev(r->file, &req->first, 1, off, &req->file);
		return;
	}
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
		disk_file_readv(r->file, req->iov, n, off, &req->file);
	else
		disk_file_writev(r->file, req->iov, n, off, &req->file);
}

/* What is left of the copy goes to its begin, where it is aligned. */
static void
disk_advance_first(struct disk_req *req, size_t n)
{
	uint8_t *p = req->first.iov_base;

	req->first.iov_len -= n;
	memmove(p, p + n, req->first.iov_len);
}

/* Moves the request on by what was transferred. */
static void
disk_advance(struct disk_req *req, size_t n)
{
	struct iovec *v = req->iov;

	if (req->first.iov_len != 0)
		disk_advance_first(req, n);
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
	const struct disk_raw *r = raw_of(req->disk);
	size_t left = req->len - req->moved;

	if (req->written) {
		req->zeroes.iov_base = (void *)(uintptr_t)disk_zeroes;
		req->zeroes.iov_len = left < sizeof(disk_zeroes) ? left :
		    sizeof(disk_zeroes);
		disk_file_writev(r->file, &req->zeroes, 1,
		    req->offset + req->moved, &req->file);
	} else if (req->unmap) {
		disk_file_punch(r->file, req->offset, req->len, &req->file);
	} else {
		disk_file_zero(r->file, req->offset, req->len, &req->file);
	}
}

static void
disk_start(struct disk_req *req)
{
	const struct disk_raw *r = raw_of(req->disk);

	switch (req->op) {
	case DISK_READ:
	case DISK_WRITE:
		disk_next(req);
		break;
	case DISK_FLUSH:
		disk_file_sync(r->file, &req->file);
		break;
	case DISK_DISCARD:
		disk_file_punch(r->file, req->offset, req->len, &req->file);
		break;
	case DISK_ZERO:
		disk_zero(req);
		break;
	case DISK_STATUS:
	case DISK_DETACH:
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

/* Does the file end where the request is now, within its last sector? */
static bool
raw_is_last(const struct disk_raw *r, const struct disk_req *req)
{
	return r->odd && req->offset + req->moved >
	    r->d.info.size - DISK_SECTOR;
}

/*
 * Nothing where there should be: the file was truncated, or ends there and
 * all beyond reads zero.
 */
static int
disk_pad(struct disk_req *req)
{
	unsigned i;

	if (req->op != DISK_READ ||
	    (!req->padded && !raw_is_last(raw_of(req->disk), req)))
		return -EIO;
	req->iov[0].iov_len += req->held;
	for (i = 0; i < req->niov; i++)
		memset(req->iov[i].iov_base, 0, req->iov[i].iov_len);
	return 0;
}

/*
 * After a flush that failed the system may take what was not written for clean:
 * the next one would succeed, and what was to be stable is gone.  So none does.
 */
static int
disk_flushed(struct disk_raw *r, int res)
{
	if (res != 0 && r->cached && r->lost == 0)
		r->lost = res;
	return r->lost != 0 ? r->lost : res;
}

/*
 * Cannot the host do this by itself?  Of devices with blocks of 4096 bytes it
 * wants whole ones, which guests, whose sectors have 512, do not know.
 */
static bool
disk_is_refused(const struct disk_req *req, int res)
{
	if (req->op != DISK_ZERO && req->op != DISK_DISCARD)
		return false;
	return res == -EOPNOTSUPP || res == -EINVAL || res == -ENODEV ||
	    res == -ENOSYS;
}

/* The operation is over by what it returned: tells the caller so. */
static bool
disk_finish(struct disk_req *req, int res)
{
	bool moves = req->op == DISK_READ || req->op == DISK_WRITE ||
	    req->written;

	if (disk_is_refused(req, res) && req->op == DISK_DISCARD)
		res = 0;
	if (req->op == DISK_FLUSH)
		res = disk_flushed(raw_of(req->disk), res);
	if (res == 0 && moves)
		res = disk_pad(req);
	if (res > 0)
		return false;
	disk_done(req, res);
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
	if (req->len != 0 && req->moved == req->len)
		disk_done(req, 0);
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
	} else if (disk_is_refused(req, res) && req->op == DISK_ZERO &&
	    !req->written) {
		req->written = true;
		disk_continue(req, 0);
	} else if (!disk_finish(req, res)) {
		disk_continue(req, (size_t)res);
	}
}

/* The first bytes of a write, out of memory that may change meanwhile. */
static int
raw_copy_first(struct disk_req *req)
{
	size_t n = 0, len;
	uint8_t *p;
	unsigned i;

	if (posix_memalign(&req->first.iov_base, DISK_FIRST_MAX,
	    DISK_FIRST_MAX) != 0) {
		req->first.iov_base = NULL;
		return -ENOMEM;
	}
	p = req->first.iov_base;
	for (i = 0; i < req->niov && n < DISK_FIRST_MAX; i++, n += len) {
		len = req->iov[i].iov_len;
		if (len > DISK_FIRST_MAX - n)
			len = DISK_FIRST_MAX - n;
		memcpy(p + n, req->iov[i].iov_base, len);
	}
	req->first.iov_len = n;
	return 0;
}

/*
 * A guest that wrote another format's header would choose what its disk is
 * the next time, and which of the host's files are behind it; or that it is of
 * a format of others, and refused.  (So is what ends as a VHD does, which harms
 * its guest alone: that is not worth a look at all writes.)  What is looked at
 * is what is written: another processor of the guest's cannot change it.
 */
static int
raw_check_first(struct disk_req *req)
{
	int error;

	req->first = (struct iovec){ NULL, 0 };
	if (!req->disk->guessed || req->op != DISK_WRITE || req->offset != 0)
		return 0;
	error = raw_copy_first(req);
	if (error != 0 ||
	    (disk_probe_bytes(req->first.iov_base) == DISK_RAW &&
	    disk_foreign(req->first.iov_base, req->first.iov_len) == NULL))
		return error;
	free(req->first.iov_base);
	return -EPERM;
}

static void
raw_told(struct aio_op *op, int res)
{
	struct disk_req *req = (struct disk_req *)((char *)op -
	    offsetof(struct disk_req, file.aio));

	(void)res;
	req->done(req, req->late);
}

/*
 * Data and holes, where the file system tells; else all is data.  It is asked
 * here and now, since it has that in memory, or nearly so.
 */
static int
raw_status(const struct disk_raw *r, const struct disk_req *req)
{
	struct disk_extent *x = req->extent;
	off_t off = (off_t)req->offset, data, end;

	*x = (struct disk_extent){
		.len = req->len, .depth = x->depth, .present = true,
		.data = true, .host = req->offset,
	};
	if (!r->regular)
		return 0;
	data = lseek(r->fd, off, SEEK_DATA);
	if (data == off) {
		/* At a file's end, the rest of the sector goes with it. */
		end = lseek(r->fd, off, SEEK_HOLE);
		if (end > off && end % DISK_SECTOR != 0)
			end += DISK_SECTOR - end % DISK_SECTOR;
	} else if (data > off || errno == ENXIO) {
		x->zero = true;
		x->data = false;
		end = data;
	} else {
		return errno == EINVAL ? 0 : -errno;
	}
	if (end > off && (uint64_t)(end - off) < req->len)
		x->len = (uint64_t)(end - off);
	return 0;
}

/* Is there nothing to do for the engine? */
static bool
raw_is_quick(const struct disk_raw *r, struct disk_req *req)
{
	req->late = raw_check_first(req);
	if (req->op == DISK_STATUS)
		req->late = raw_status(r, req);
	return req->late != 0 || req->op == DISK_STATUS ||
	    req->op == DISK_DETACH || (req->op == DISK_FLUSH && r->unsafe);
}

static void
raw_submit(struct disk *d, struct disk_req *req)
{
	if (raw_is_quick(raw_of(d), req)) {
		req->file.aio.done = raw_told;
		aio_nop(d->aio, &req->file.aio);
		return;
	}
	req->file.done = disk_piece_done;
	req->moved = 0;
	req->held = 0;
	req->retries = 0;
	req->written = false;
	disk_start(req);
}

static const char *
raw_resize_begin(struct disk *d, uint64_t size)
{
	(void)size;
	return raw_of(d)->regular ? NULL : "is no regular file";
}

static const char *
raw_resize_end(struct disk *d, uint64_t size)
{
	int fd = raw_of(d)->fd;

	if (ftruncate(fd, (off_t)size) == -1 || fsync(fd) == -1)
		return strerror(errno);
	return NULL;
}

static const struct disk_format raw_format = {
	.kind = DISK_RAW,
	.attach = raw_attach,
	.submit = raw_submit,
	.close = raw_close,
	.resize_begin = raw_resize_begin,
	.resize_end = raw_resize_end,
};
