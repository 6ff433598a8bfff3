/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: qcow2 images from strangers.
 *
 * The first byte is the number of requests (modulo 16) and flags: 0x80, the disk
 * is only read; 0x40, its tables are not checked; 0x20, it becomes longer; 0x10,
 * what was only read is repaired, too.  The requests are each a kind, a sector
 * (4 bytes), and a length in sectors; bit 7 of the kind leaves it in flight
 * while the next begins.  The rest is the image, in pieces: bytes that are
 * zero (2 bytes), a length (1 byte), and so many bytes.  Whatever the image
 * says, requests end, the disk can be detached, and what is behind is not
 * written.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/confine.h"
#include "base/log.h"
#include "devices/aio_engine.h"
#include "devices/aio_range.h"
#include "devices/disk.h"
#include "devices/disk_check.h"
#include "devices/disk_tables.h"

#define OPS_MAX		16u
#define LOOKS_MAX	16
#define LENGTH_MAX	(32 << 20)	/* of a file that is checked */
#define SECTORS_MAX	256u
#define IMAGE_MAX	(1u << 20)
#define BEHIND_SIZE	8192u

/* The engine: operations end in their order. */
struct engine {
	struct aio	 aio;
	struct aio_op	*first, **last;
};

struct request {
	struct disk_req	 req;
	struct iovec	 iov[2];
	bool		 done;
	struct disk_extent extent;
	uint8_t		 buf[SECTORS_MAX * DISK_SECTOR];
};

static char		 dir[256], image[300], behind[300];
static struct confine	*in;
static struct request	 requests[OPS_MAX + 1];
static uint8_t		 file[IMAGE_MAX];

static void
queue(struct aio *a, struct aio_op *op)
{
	struct engine *e = (struct engine *)a;

	*e->last = op;
	e->last = &op->next;
}

static const struct aio_ops engine_ops = {
	.queue = queue,
};

static int
perform(struct aio_op *op)
{
	switch (op->opcode) {
	/* As where no other way to make zeroes is known, on a tmpfs for one. */
	case AIO_ZERO:
		return aio_range_punch(op->fd, op->off, op->len);
	case AIO_FDATASYNC:
		return 0;
	default:
		return aio_perform(op);
	}
}

static void
run(struct engine *e)
{
	struct aio_op *op;

	while ((op = e->first) != NULL) {
		e->first = op->next;
		if (e->first == NULL)
			e->last = &e->first;
		aio_complete(op, perform(op));
	}
}

static void
setup(void)
{
	const char *tmp = getenv("TMPDIR");
	char err[256];

	/* Names in an image must lead nowhere else. */
	snprintf(dir, sizeof(dir), "%s/fuzz_qcow2.XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	FUZZ_CHECK(mkdtemp(dir) != NULL);
	snprintf(image, sizeof(image), "%s/d", dir);
	snprintf(behind, sizeof(behind), "%s/b", dir);
	FUZZ_CHECK(confine_create(&in, dir, err, sizeof(err)) == 0);
	log_set_level(LOG_LEVEL_ERROR);
}

/* Anew each time: an image may name it as its data file. */
static void
write_behind(void)
{
	uint8_t b[BEHIND_SIZE];
	int fd;

	memset(b, 'b', sizeof(b));
	fd = open(behind, O_RDWR | O_CREAT | O_TRUNC, 0600);
	FUZZ_CHECK(write(fd, b, sizeof(b)) == (ssize_t)sizeof(b));
	close(fd);
}

static void
write_image(struct fuzz_input *fi)
{
	size_t at = 0, n;
	int fd;

	memset(file, 0, sizeof(file));
	while (fi->left != 0) {
		at += fuzz_u16(fi);
		n = fuzz_u8(fi);
		if (at + n > sizeof(file))
			break;
		fuzz_bytes(fi, file + at, n);
		at += n;
	}
	at = (at + DISK_SECTOR - 1) / DISK_SECTOR * DISK_SECTOR;
	if (at > sizeof(file))
		at = sizeof(file);
	fd = open(image, O_RDWR | O_CREAT | O_TRUNC, 0600);
	FUZZ_CHECK(fd != -1);
	FUZZ_CHECK(write(fd, file, at) == (ssize_t)at);
	close(fd);
}

static void
done(struct disk_req *req, int res)
{
	struct request *r = (struct request *)req;

	FUZZ_CHECK(!r->done && res <= 0);
	r->done = true;
	if (req->op == DISK_STATUS && res == 0)
		FUZZ_CHECK(r->extent.len != 0 && r->extent.len <= req->len &&
		    r->extent.depth <= 1);
}

static void
start(struct disk *d, struct request *r, enum disk_op op, uint64_t sector,
    size_t sectors)
{
	size_t len = sectors * DISK_SECTOR, half = len / 3;

	memset(&r->req, 0, sizeof(r->req));
	r->done = false;
	r->iov[0] = (struct iovec){ r->buf, half };
	r->iov[1] = (struct iovec){ r->buf + half, len - half };
	r->req.op = op;
	r->req.offset = sector * DISK_SECTOR;
	r->req.iov = r->iov;
	r->req.niov = 2;
	r->req.len = len;
	r->req.unmap = sector % 2 == 0;
	r->extent = (struct disk_extent){ 0 };
	r->req.extent = &r->extent;
	r->req.done = done;
	disk_submit(d, &r->req);
	FUZZ_CHECK(!r->done);
}

static void
one_request(struct disk *d, struct request *r, struct fuzz_input *ops)
{
	static const enum disk_op kinds[] = {
		DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_DISCARD, DISK_ZERO,
	};
	uint64_t all = disk_info(d)->size / DISK_SECTOR, sector, n;
	uint8_t kind = fuzz_u8(ops) & 0x7f;
	enum disk_op op = kind < 120 ? kinds[kind % 5] : DISK_STATUS;

	sector = fuzz_u32(ops);
	n = fuzz_u8(ops) + 1u;
	r->done = true;
	if (op == DISK_FLUSH) {
		start(d, r, op, 0, 0);
		return;
	}
	if (all == 0)
		return;
	sector %= all;
	start(d, r, op, sector, n < all - sector ? n : all - sector);
}

/* What is where, as far as that is told. */
static void
look(struct disk *d, struct engine *e, struct request *r)
{
	uint64_t all = disk_info(d)->size / DISK_SECTOR, at = 0, n;
	unsigned i;

	for (i = 0; i < LOOKS_MAX && at < all; i++) {
		n = all - at < SECTORS_MAX ? all - at : SECTORS_MAX;
		start(d, r, DISK_STATUS, at, n);
		run(e);
		FUZZ_CHECK(r->done);
		at += r->extent.len / DISK_SECTOR;
	}
}

static void
use(struct disk *d, struct engine *e, struct fuzz_input *ops, unsigned nops)
{
	struct request *last = &requests[OPS_MAX];
	unsigned i;
	bool wait;

	for (i = 0; i < nops; i++) {
		wait = ops->left == 0 || (*ops->p & 0x80) == 0;
		one_request(d, &requests[i], ops);
		if (wait)
			run(e);
	}
	run(e);
	for (i = 0; i < nops; i++)
		FUZZ_CHECK(requests[i].done);
	look(d, e, last);
	start(d, last, DISK_DETACH, 0, 0);
	run(e);
	FUZZ_CHECK(last->done);
}

static void
check_behind(void)
{
	uint8_t b[BEHIND_SIZE + 1];
	size_t i;
	int fd = open(behind, O_RDONLY);

	FUZZ_CHECK(read(fd, b, sizeof(b)) == BEHIND_SIZE);
	for (i = 0; i < BEHIND_SIZE; i++)
		FUZZ_CHECK(b[i] == 'b');
	close(fd);
}

/* What is repaired is right, and stays so. */
static void
check_tables(bool repair)
{
	struct disk_how how = {
		.kind = DISK_QCOW2, .alone = true, .check = true,
		.readonly = !repair,
	};
	enum disk_repair all = repair ? DISK_REPAIR_ALL : DISK_REPAIR_NOT;
	struct disk_check res, again;
	struct disk *d;
	struct stat st;
	char err[512];
	int error;

	/* All clusters of a file are counted, be they holes. */
	if (stat(image, &st) == -1 || st.st_size > LENGTH_MAX)
		return;
	d = disk_open(in, image, &how, err, sizeof(err));
	if (d == NULL)
		return;
	error = disk_check(d, all, &res);
	FUZZ_CHECK(error <= 0);
	disk_close(d);
	if (error != 0 || !repair)
		return;
	how.readonly = true;
	d = disk_open(in, image, &how, err, sizeof(err));
	FUZZ_CHECK(d != NULL && disk_check(d, DISK_REPAIR_NOT, &again) == 0);
	FUZZ_CHECK(again.corruptions == res.corruptions &&
	    again.leaks == res.leaks);
	disk_close(d);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input all = { data, size }, ops;
	struct disk_about about = { 0 };
	struct disk_how how = { .kind = DISK_QCOW2, .about = &about };
	struct disk_tables *cache;
	struct engine e = { { &engine_ops }, .last = &e.first };
	struct disk *d;
	unsigned nops, skip, flags;
	uint64_t longer = 0;
	char err[512];

	if (in == NULL)
		setup();
	nops = fuzz_u8(&all);
	flags = nops;
	how.readonly = (flags & 0x80) != 0;
	nops %= OPS_MAX;
	ops = all;
	for (skip = nops * 6; skip > 0; skip--)
		(void)fuzz_u8(&all);
	write_behind();
	write_image(&all);
	d = disk_open(in, image, &how, err, sizeof(err));
	disk_about_clear(&about);
	if (d == NULL) {
		FUZZ_CHECK(strncmp(err, "disk ", 5) == 0);
		return 0;
	}
	/* It may become longer. */
	if ((flags & 0x20) != 0 && !how.readonly)
		longer = disk_info(d)->size * 3 / 2 / DISK_SECTOR * DISK_SECTOR;
	if (longer != 0 && disk_resize_begin(d, longer) != NULL) {
		disk_close(d);
		return 0;
	}
	cache = disk_tables_create(8192);
	disk_attach(d, &e.aio, cache);
	use(d, &e, &ops, nops);
	if (longer != 0)
		FUZZ_CHECK(disk_resize_end(d, longer) == NULL);
	disk_close(d);
	if ((flags & 0x40) == 0)
		check_tables(!how.readonly || (flags & 0x10) != 0);
	FUZZ_CHECK(disk_tables_used(cache) == 0);
	disk_tables_destroy(cache);
	/* The data file may be the one behind another; then it is written. */
	if (memcmp(file + 72, "\0\0\0\0\0\0\0", 7) == 0 && (file[79] & 4) == 0)
		check_behind();
	return 0;
}
