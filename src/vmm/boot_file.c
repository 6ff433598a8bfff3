/* SPDX-License-Identifier: ISC */
/*
 * Files to boot from: see boot_file.h.
 *
 * A compressed file is inflated where it is to go, without a copy of it in
 * memory; what lies between two reads is inflated for nothing, and to go back
 * means to begin afresh.  Loaders read each part once, mostly in order.
 */
#include <sys/stat.h>
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/confine.h"
#include "vmm/boot_file.h"

#define CHUNK		(64u << 10)
#define GZIP_WINDOW	(15 + 16)	/* of inflateInit2(): gzip, any size */
#define MIB		((uint64_t)1 << 20)
/* Parts out of order cost time, of which nobody needs so much. */
#define WORK_MAX	(2 * BOOT_FILE_MAX)

struct boot_inflate {
	z_stream	 z;
	uint64_t	 in;		/* bytes of the file taken */
	uint64_t	 out;		/* bytes inflated since the beginning */
	uint64_t	 work;		/* in all */
	bool		 ended;
	uint8_t		 buf[CHUNK];	/* of the file */
	uint8_t		 skipped[CHUNK];
};

int
boot_file_bad(struct boot_file *f, int error, const char *fmt, ...)
{
	va_list ap;
	int n;

	n = snprintf(f->err, f->errlen, "%s %s: ", f->what, f->path);
	if (n >= 0 && (size_t)n < f->errlen) {
		va_start(ap, fmt);
		vsnprintf(f->err + n, f->errlen - (size_t)n, fmt, ap);
		va_end(ap);
	}
	return -error;
}

/* pread(2) of up to `len` bytes, less only at the end of the file. */
static ssize_t
file_pread(struct boot_file *f, void *dst, uint64_t len, uint64_t off)
{
	char *p = dst;
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pread(f->fd, p + done, len - done, (off_t)(off + done));
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return boot_file_bad(f, errno, "%s", strerror(errno));
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int
plain_read(struct boot_file *f, void *dst, uint64_t len, uint64_t off)
{
	ssize_t n;

	if (off > f->size || len > f->size - off)
		return boot_file_bad(f, ENOEXEC, "truncated: %" PRIu64
		    " bytes, its header promises %" PRIu64, f->size,
		    off > UINT64_MAX - len ? UINT64_MAX : off + len);
	n = file_pread(f, dst, len, off);
	if (n >= 0 && (uint64_t)n < len)
		return boot_file_bad(f, EIO,
		    "became shorter while it was read");
	return n < 0 ? (int)n : 0;
}

/* Gets more of the file for zlib; its end is zlib's to judge. */
static int
gzip_fill(struct boot_file *f)
{
	struct boot_inflate *gz = f->gz;
	ssize_t n;

	if (gz->z.avail_in != 0)
		return 0;
	n = file_pread(f, gz->buf, sizeof(gz->buf), gz->in);
	if (n < 0)
		return (int)n;
	if (n == 0)
		return boot_file_bad(f, ENOEXEC, "truncated: its compressed "
		    "data end after %" PRIu64 " bytes", gz->in);
	gz->in += (uint64_t)n;
	gz->z.next_in = gz->buf;
	gz->z.avail_in = (uInt)n;
	return 0;
}

/* Inflates up to `len` bytes, at most CHUNK; *done are none at the end. */
static int
gzip_inflate(struct boot_file *f, void *dst, uint64_t len, uint64_t *done)
{
	struct boot_inflate *gz = f->gz;
	int error, res;

	gz->z.next_out = dst;
	gz->z.avail_out = len < CHUNK ? (uInt)len : CHUNK;
	*done = gz->z.avail_out;
	while (!gz->ended && gz->z.avail_out != 0) {
		error = gzip_fill(f);
		if (error != 0)
			return error;
		res = inflate(&gz->z, Z_NO_FLUSH);
		gz->ended = res == Z_STREAM_END;
		if (res == Z_MEM_ERROR)
			return boot_file_bad(f, ENOMEM, "%s",
			    strerror(ENOMEM));
		if (res != Z_OK && res != Z_STREAM_END && res != Z_BUF_ERROR)
			return boot_file_bad(f, ENOEXEC, "damaged: its "
			    "compressed data are wrong after %" PRIu64
			    " bytes", gz->out);
	}
	*done -= gz->z.avail_out;
	gz->out += *done;
	gz->work += *done;
	if (gz->out > BOOT_FILE_MAX || gz->work > WORK_MAX)
		return boot_file_bad(f, EFBIG, "inflates to more than %"
		    PRIu64 " MiB", BOOT_FILE_MAX / MIB);
	return 0;
}

/* Goes to a place in what the file contains. */
static int
gzip_seek(struct boot_file *f, uint64_t off)
{
	struct boot_inflate *gz = f->gz;
	uint64_t n = 1;
	int error = 0;

	if (off < gz->out) {
		gz->in = gz->out = 0;
		gz->ended = false;
		gz->z.avail_in = 0;
		inflateReset(&gz->z);
	}
	while (error == 0 && gz->out < off && n != 0)
		error = gzip_inflate(f, gz->skipped, off - gz->out, &n);
	return error;
}

static int
gzip_read(struct boot_file *f, void *dst, uint64_t len, uint64_t off)
{
	uint64_t n;
	char *p = dst;
	int error;

	error = gzip_seek(f, off);
	for (; error == 0 && len != 0; p += n, len -= n) {
		error = gzip_inflate(f, p, len, &n);
		if (error == 0 && n == 0)
			return boot_file_bad(f, ENOEXEC, "truncated: it "
			    "contains %" PRIu64 " bytes, its header promises "
			    "more", f->gz->out);
	}
	return error;
}

static int
gzip_open(struct boot_file *f)
{
	static const uint8_t magic[] = { 0x1f, 0x8b, 8 };
	uint8_t head[sizeof(magic)];
	int error;

	if (f->size < sizeof(head))
		return 0;
	error = plain_read(f, head, sizeof(head), 0);
	if (error != 0 || memcmp(head, magic, sizeof(head)) != 0)
		return error;
	f->gz = calloc(1, sizeof(*f->gz));
	if (f->gz == NULL || inflateInit2(&f->gz->z, GZIP_WINDOW) != Z_OK) {
		free(f->gz);
		f->gz = NULL;
		return boot_file_bad(f, ENOMEM, "%s", strerror(ENOMEM));
	}
	return 0;
}

int
boot_file_open(struct boot_file *f, bool gzip)
{
	struct stat st;
	int error;

	/* A FIFO would make open wait for a writer, but for O_NONBLOCK. */
	f->fd = confine_open(f->in, f->path, O_RDONLY | O_NONBLOCK);
	if (f->fd < 0)
		return boot_file_bad(f, -f->fd, "%s",
		    confine_strerror(-f->fd));
	f->gz = NULL;
	if (fstat(f->fd, &st) == -1) {
		error = boot_file_bad(f, errno, "%s", strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		error = boot_file_bad(f, EINVAL, "not a regular file");
	} else {
		f->size = (uint64_t)st.st_size;
		error = gzip ? gzip_open(f) : 0;
	}
	if (error != 0)
		close(f->fd);
	return error;
}

void
boot_file_close(struct boot_file *f)
{
	if (f->gz != NULL) {
		inflateEnd(&f->gz->z);
		free(f->gz);
	}
	close(f->fd);
}

int
boot_file_read(struct boot_file *f, void *dst, uint64_t len, uint64_t off)
{
	return f->gz != NULL ? gzip_read(f, dst, len, off) :
	    plain_read(f, dst, len, off);
}

int
boot_file_check(struct boot_file *f)
{
	/* One more than there may be: the end, or an error, comes first. */
	return f->gz != NULL ? gzip_seek(f, BOOT_FILE_MAX + 1) : 0;
}
