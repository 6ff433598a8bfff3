/* SPDX-License-Identifier: ISC */
/*
 * Raw disks: what is written is read back, in pieces of every shape; a file
 * that is no disk, or somebody else's, is refused with a reason; a file that
 * shrinks is an error and not an endless loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/loop.h"
#include "devices/disk.h"
#include "fakeaio.h"
#include "testhost.h"

#define SIZE	(4u << 20)

struct fixture {
	char		 dir[32];
	char		 path[64];
	char		 err[256];
	struct loop	*loop;
	struct aio	*aio;
	struct disk	*d;
	bool		 inside;
};

struct request {
	struct disk_req	 req;
	struct fixture	*f;
	struct iovec	 iov[DISK_IOV_MAX];
	bool		 done;
	int		 res;
};

static void
make(const char *path, off_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	close(fd);
}

/* The host's caches; what is past them needs a file system on a disk. */
static const enum disk_cache caches[] = {
	DISK_WRITEBACK, DISK_WRITETHROUGH, DISK_NONE,
};
static const char disk_dir[] = "/var/tmp";

#define NCACHES	3
static const char *const engines[] = { "io_uring", "threads" };

static struct disk *
open_disk(struct fixture *f, bool readonly, enum disk_cache cache)
{
	struct disk_how how = { .readonly = readonly, .cache = cache };

	return disk_open(NULL, f->path, &how, f->err, sizeof(f->err));
}

static void
setup_in(struct fixture *f, const char *parent, enum disk_cache cache,
    int engine)
{
	memset(f, 0, sizeof(*f));
	snprintf(f->dir, sizeof(f->dir), "%s/check_disk.XXXXXX", parent);
	ck_assert_ptr_nonnull(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/disk", f->dir);
	make(f->path, SIZE);
	f->loop = loop_create();
	f->aio = aio_create(f->loop, engines[engine]);
	ck_assert_ptr_nonnull(f->aio);
	f->d = open_disk(f, false, cache);
	ck_assert_msg(f->d != NULL, "%s", f->err);
	disk_attach(f->d, f->aio, NULL);
}

static void
setup(struct fixture *f)
{
	setup_in(f, "/tmp", DISK_WRITEBACK, 0);
}

static void
teardown(struct fixture *f)
{
	disk_close(f->d);
	aio_destroy(f->aio);
	loop_destroy(f->loop);
	unlink(f->path);
	ck_assert_int_eq(rmdir(f->dir), 0);
}

static void
request_done(struct disk_req *req, int res)
{
	struct request *r = (struct request *)req;

	ck_assert(!r->f->inside);
	ck_assert(!r->done);
	r->done = true;
	r->res = res;
	/* The loop may be about to sleep. */
	loop_break(r->f->loop);
}

static void
submit(struct fixture *f, struct request *r, enum disk_op op, uint64_t off)
{
	unsigned i;

	r->f = f;
	r->done = false;
	r->req.op = op;
	r->req.offset = off;
	r->req.iov = r->iov;
	r->req.done = request_done;
	r->req.len = 0;
	for (i = 0; i < r->req.niov; i++)
		r->req.len += r->iov[i].iov_len;
	f->inside = true;
	disk_submit(f->d, &r->req);
	f->inside = false;
}

static int
wait_for(struct request *r)
{
	while (!r->done)
		loop_run(r->f->loop);
	return r->res;
}

/* One request over `len` bytes, cut into elements of `step`. */
static int
transfer(struct fixture *f, enum disk_op op, uint64_t off, uint8_t *p,
    size_t len, size_t step)
{
	struct request r = { 0 };
	size_t n;

	for (; len != 0; p += n, len -= n) {
		n = len < step ? len : step;
		ck_assert_uint_lt(r.req.niov, DISK_IOV_MAX);
		r.iov[r.req.niov++] = (struct iovec){ p, n };
	}
	submit(f, &r, op, off);
	return wait_for(&r);
}

static void
fill(uint8_t *p, size_t len, uint64_t seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)test_random(&seed);
}

/* Elements below, at and above the engine's piece of 1 MiB. */
START_TEST(written_is_read)
{
	static const size_t steps[] = {
		SIZE, 1u << 20, (1u << 20) + 1, (1u << 20) - 1, 40000,
		(3u << 20) + 512,
	};
	uint8_t *out = malloc(SIZE), *in = malloc(SIZE);
	struct fixture f;
	unsigned i;

	setup_in(&f, disk_dir, caches[_i % NCACHES], _i / NCACHES);
	ck_assert_uint_eq(disk_info(f.d)->size, SIZE);
	ck_assert_uint_eq(disk_info(f.d)->block_size, 512);
	ck_assert_uint_eq(disk_info(f.d)->physical_size, 4096);
	ck_assert(!disk_info(f.d)->readonly);
	ck_assert_int_eq(disk_info(f.d)->writethrough,
	    caches[_i % NCACHES] == DISK_WRITETHROUGH);
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		fill(out, SIZE, i + 1);
		memset(in, 0, SIZE);
		ck_assert_int_eq(transfer(&f, DISK_WRITE, 0, out, SIZE,
		    steps[i]), 0);
		ck_assert_int_eq(transfer(&f, DISK_READ, 0, in, SIZE,
		    steps[(i + 1) % 6]), 0);
		ck_assert_mem_eq(in, out, SIZE);
	}
	/* The last sector, alone. */
	ck_assert_int_eq(transfer(&f, DISK_WRITE, SIZE - 512, in, 512, 100),
	    0);
	ck_assert_int_eq(transfer(&f, DISK_READ, SIZE - 512, out, 512, 512),
	    0);
	ck_assert_mem_eq(in, out, 512);
	free(out);
	free(in);
	teardown(&f);
}
END_TEST

START_TEST(flush)
{
	struct request r = { 0 };
	struct fixture f;

	setup(&f);
	submit(&f, &r, DISK_FLUSH, 0);
	ck_assert(!r.done);
	ck_assert_int_eq(wait_for(&r), 0);
	teardown(&f);
}
END_TEST

/* One request without data over a range. */
static int
change(struct fixture *f, enum disk_op op, uint64_t off, size_t len,
    bool unmap)
{
	struct request r = { 0 };

	r.f = f;
	r.req.op = op;
	r.req.offset = off;
	r.req.len = len;
	r.req.unmap = unmap;
	r.req.done = request_done;
	f->inside = true;
	disk_submit(f->d, &r.req);
	f->inside = false;
	return wait_for(&r);
}

static off_t
allocated(const struct fixture *f)
{
	struct stat st;

	ck_assert_int_eq(stat(f->path, &st), 0);
	ck_assert_int_eq(st.st_size, SIZE);
	return (off_t)st.st_blocks * 512;
}

/*
 * A tmpfs has no way to make zeroes but to give up the room or to write them;
 * other file systems have.  Ends, pieces and neighbours are right on both.
 */
START_TEST(zeroes_and_discards)
{
	static const struct {
		enum disk_op	op;
		bool		unmap;
		size_t		off, len;
	} row[] = {
		{ DISK_ZERO, false, 512, 512 },
		{ DISK_ZERO, false, 4096, 3 << 20 },
		{ DISK_ZERO, false, SIZE - 66048, 66048 },
		{ DISK_ZERO, true, 1024, 65536 + 512 },
		{ DISK_ZERO, true, 0, SIZE },
		{ DISK_DISCARD, false, 4096, 1 << 20 },
	};
	static const struct {
		const char	*parent;
		enum disk_cache	 cache;
	} where[] = {
		{ "/tmp", DISK_WRITEBACK }, { "/dev/shm", DISK_WRITEBACK },
		{ disk_dir, DISK_NONE },
	};
	uint8_t *want = malloc(SIZE), *got = malloc(SIZE);
	struct fixture f;
	unsigned i;

	setup_in(&f, where[_i % 3].parent, where[_i % 3].cache, _i / 3);
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		fill(want, SIZE, i + 1);
		ck_assert_int_eq(transfer(&f, DISK_WRITE, 0, want, SIZE,
		    SIZE), 0);
		ck_assert_int_ge(allocated(&f), SIZE);
		ck_assert_int_eq(change(&f, row[i].op, row[i].off,
		    row[i].len, row[i].unmap), 0);
		memset(want + row[i].off, 0, row[i].len);
		ck_assert_int_eq(transfer(&f, DISK_READ, 0, got, SIZE, SIZE),
		    0);
		ck_assert(memcmp(want, got, SIZE) == 0);
		if (!row[i].unmap && row[i].op == DISK_ZERO)
			ck_assert_int_ge(allocated(&f), SIZE);
		else
			ck_assert_int_lt(allocated(&f), SIZE);
	}
	free(want);
	free(got);
	teardown(&f);
}
END_TEST

/* What else a host says that cannot do it, as 4096-byte devices do of less. */
START_TEST(zeroes_are_written_then)
{
	static const int errors[] = { EOPNOTSUPP, EINVAL, ENODEV, ENOSYS };
	uint8_t want[8192], got[8192];
	struct aio *engine;
	struct request r;
	struct fixture f;
	unsigned i;

	setup(&f);
	fill(want, sizeof(want), 1);
	ck_assert_int_eq(transfer(&f, DISK_WRITE, 0, want, sizeof(want),
	    sizeof(want)), 0);
	engine = f.aio;
	f.aio = fakeaio_create(1);
	disk_attach(f.d, f.aio, NULL);
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		fakeaio_of(f.aio)->fail_at = fakeaio_of(f.aio)->ops + 1;
		fakeaio_of(f.aio)->fail_with = -errors[i];
		memset(&r, 0, sizeof(r));
		r.f = &f;
		r.req = (struct disk_req){ .op = _i, .offset = 512 + i * 1024,
		    .len = 1024, .done = request_done };
		disk_submit(f.d, &r.req);
		fakeaio_run(f.aio);
		ck_assert(r.done);
		ck_assert_int_eq(r.res, 0);
		if (_i == DISK_ZERO)
			memset(want + 512 + i * 1024, 0, 1024);
	}
	fakeaio_destroy(f.aio);
	f.aio = engine;
	disk_attach(f.d, f.aio, NULL);
	ck_assert_int_eq(transfer(&f, DISK_READ, 0, got, sizeof(got),
	    sizeof(got)), 0);
	ck_assert_mem_eq(got, want, sizeof(want));
	teardown(&f);
}
END_TEST

/* A read that meets the end of a file cut short meanwhile. */
START_TEST(truncated_file)
{
	uint8_t *p = malloc(SIZE);
	struct fixture f;

	setup_in(&f, disk_dir, caches[_i % NCACHES], _i / NCACHES);
	ck_assert_int_eq(truncate(f.path, 1024), 0);
	ck_assert_int_eq(transfer(&f, DISK_READ, 0, p, 1024, 1024), 0);
	ck_assert_int_eq(transfer(&f, DISK_READ, 0, p, 1536, 1536), -EIO);
	ck_assert_int_eq(transfer(&f, DISK_READ, 4096, p, 512, 512), -EIO);
	free(p);
	teardown(&f);
}
END_TEST

/* Bytes of the fixture's file that the host's cache holds. */
static size_t
cached(const struct fixture *f)
{
	unsigned char in[SIZE / 4096];
	size_t sum = 0, i;
	void *p;
	int fd;

	fd = open(f->path, O_RDONLY);
	ck_assert_int_ne(fd, -1);
	p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(p, MAP_FAILED);
	ck_assert_int_eq(mincore(p, SIZE, in), 0);
	for (i = 0; i < sizeof(in); i++)
		sum += (in[i] & 1u) * 4096u;
	munmap(p, SIZE);
	close(fd);
	return sum;
}

/* Not even what is not aligned in memory leaves anything there. */
START_TEST(past_the_cache)
{
	uint8_t *p = malloc(SIZE + 1);
	struct fixture f;

	setup_in(&f, disk_dir, DISK_NONE, 0);
	fill(p + 1, SIZE, 1);
	ck_assert_int_eq(transfer(&f, DISK_WRITE, 0, p + 1, SIZE, SIZE), 0);
	ck_assert_int_eq(transfer(&f, DISK_READ, 0, p + 1, SIZE, SIZE), 0);
	ck_assert_uint_eq(cached(&f), 0);
	disk_close(f.d);
	f.d = open_disk(&f, false, DISK_WRITEBACK);
	disk_attach(f.d, f.aio, NULL);
	ck_assert_int_eq(transfer(&f, DISK_READ, 0, p, SIZE, SIZE), 0);
	ck_assert_uint_eq(cached(&f), SIZE);
	free(p);
	teardown(&f);
}
END_TEST

/* Opens the fixture's path a second time; true if refused with `why`. */
static bool
refused(struct fixture *f, bool readonly, const char *why)
{
	struct disk *d = open_disk(f, readonly, DISK_WRITEBACK);
	char want[160];

	if (d != NULL) {
		disk_close(d);
		return false;
	}
	snprintf(want, sizeof(want), "disk %s: %s", f->path, why);
	ck_assert_str_eq(f->err, want);
	return true;
}

START_TEST(in_use)
{
	static const char why[] = "is in use by another guest or process";
	struct fixture f;
	struct disk *d;
	int fd;

	setup(&f);
	ck_assert(refused(&f, false, why));
	ck_assert(refused(&f, true, why));
	disk_close(f.d);
	ck_assert(!refused(&f, false, why));
	/* Either lock of somebody else is enough. */
	fd = open(f.path, O_RDWR);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ck_assert(refused(&f, false, why));
	ck_assert_int_eq(flock(fd, LOCK_UN), 0);
	{
		struct flock fl = { .l_type = F_WRLCK };

		ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &fl), 0);
	}
	ck_assert(refused(&f, false, why));
	close(fd);
	/* Readers share, and keep a writer out. */
	f.d = open_disk(&f, true, DISK_WRITEBACK);
	ck_assert_ptr_nonnull(f.d);
	d = open_disk(&f, true, DISK_WRITEBACK);
	ck_assert_ptr_nonnull(d);
	ck_assert(refused(&f, false, why));
	disk_close(d);
	teardown(&f);
}
END_TEST

START_TEST(readonly_is_not_written)
{
	uint8_t p[512] = { 0 };
	struct fixture f;

	setup(&f);
	disk_close(f.d);
	f.d = open_disk(&f, true, DISK_WRITEBACK);
	ck_assert_ptr_nonnull(f.d);
	disk_attach(f.d, f.aio, NULL);
	ck_assert_int_eq(transfer(&f, DISK_READ, 0, p, 512, 512), 0);
	ck_assert_int_eq(transfer(&f, DISK_WRITE, 0, p, 512, 512), -EBADF);
	ck_assert_int_eq(change(&f, DISK_DISCARD, 0, 512, false), -EBADF);
	ck_assert_int_eq(change(&f, DISK_ZERO, 0, 512, false), -EBADF);
	teardown(&f);
}
END_TEST

/* What is missing of the last sector reads zero, and no more than that. */
START_TEST(odd_size)
{
	enum disk_cache cache = caches[_i % NCACHES];
	uint8_t p[5120], want[2048];
	struct disk_extent x = { 0 };
	struct request look = { .req = { .extent = &x } };
	struct fixture f;
	int fd;

	setup_in(&f, disk_dir, cache, _i / NCACHES);
	disk_close(f.d);
	fill(want, sizeof(want), 1);
	memset(want + 1537, 0, 511);
	fd = open(f.path, O_RDWR | O_TRUNC);
	ck_assert_int_eq(pwrite(fd, want, 1537, 0), 1537);
	f.d = open_disk(&f, true, cache);
	ck_assert_msg(f.d != NULL, "%s", f.err);
	ck_assert_uint_eq(disk_info(f.d)->size, 2048);
	disk_attach(f.d, f.aio, NULL);
	memset(p, 0xff, sizeof(p));
	ck_assert_int_eq(transfer(&f, DISK_READ, 0, p, 2048, 700), 0);
	ck_assert_mem_eq(p, want, 2048);
	memset(p, 0xff, sizeof(p));
	ck_assert_int_eq(transfer(&f, DISK_READ, 1536, p, 512, 512), 0);
	ck_assert_mem_eq(p, want + 1536, 512);
	look.req.len = 2048;
	look.f = &f;
	look.req.op = DISK_STATUS;
	look.req.done = request_done;
	disk_submit(f.d, &look.req);
	ck_assert_int_eq(wait_for(&look), 0);
	ck_assert(x.data && x.len == 2048);
	/* It is shorter than it was. */
	ck_assert_int_eq(ftruncate(fd, 1536), 0);
	ck_assert_int_eq(transfer(&f, DISK_READ, 1024, p, 512, 512), 0);
	ck_assert_int_eq(transfer(&f, DISK_READ, 1024, p, 1024, 512), -EIO);
	ck_assert_int_eq(transfer(&f, DISK_READ, 1536, p, 512, 512), -EIO);
	close(fd);
	teardown(&f);
}
END_TEST

START_TEST(files_that_are_no_disks)
{
	static const char no_disk[] =
	    "is neither a regular file nor a block device";
	struct fixture f;
	struct fixture g = { 0 };

	setup(&f);
	snprintf(g.path, sizeof(g.path), "%s/x", f.dir);
	ck_assert(refused(&g, false, "No such file or directory"));
	make(g.path, 511);
	ck_assert(refused(&g, false,
	    "its size is not a multiple of 512 bytes"));
	make(g.path, 513);
	ck_assert(refused(&g, false,
	    "its size is not a multiple of 512 bytes"));
	ck_assert(!refused(&g, true, ""));
	make(g.path, 512);
	ck_assert(!refused(&g, false, ""));
	unlink(g.path);
	/* Opening a FIFO must not wait for its other end. */
	ck_assert_int_eq(mkfifo(g.path, 0600), 0);
	ck_assert(refused(&g, false, no_disk));
	ck_assert(refused(&g, true, no_disk));
	unlink(g.path);
	snprintf(g.path, sizeof(g.path), "%s", f.dir);
	ck_assert(refused(&g, true, no_disk));
	ck_assert(refused(&g, false, "Is a directory"));
	snprintf(g.path, sizeof(g.path), "/dev/null");
	ck_assert(refused(&g, false, no_disk));
	teardown(&f);
}
END_TEST

/* The lock is not inherited by what the daemon may execute. */
START_TEST(descriptor_is_closed_on_exec)
{
	struct fixture f;
	int fd, flags;

	setup(&f);
	for (fd = 3; fd < 64; fd++) {
		flags = fcntl(fd, F_GETFD);
		if (flags != -1 && fcntl(fd, F_GETFL) != -1) {
			struct stat a, b;

			ck_assert_int_eq(stat(f.path, &a), 0);
			ck_assert_int_eq(fstat(fd, &b), 0);
			if (a.st_ino == b.st_ino && a.st_dev == b.st_dev)
				break;
		}
	}
	ck_assert_int_lt(fd, 64);
	ck_assert_int_eq(flags & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	teardown(&f);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("disk_raw");

	tcase_add_loop_test(tc, written_is_read, 0, 2 * NCACHES);
	tcase_add_test(tc, flush);
	tcase_add_loop_test(tc, zeroes_and_discards, 0, 6);
	tcase_add_loop_test(tc, truncated_file, 0, 2 * NCACHES);
	tcase_add_test(tc, past_the_cache);
	tcase_add_test(tc, in_use);
	tcase_add_loop_test(tc, zeroes_are_written_then, DISK_ZERO,
	    DISK_ZERO + 1);
	tcase_add_loop_test(tc, zeroes_are_written_then, DISK_DISCARD,
	    DISK_DISCARD + 1);
	tcase_add_test(tc, readonly_is_not_written);
	tcase_add_loop_test(tc, odd_size, 0, 2 * NCACHES);
	tcase_add_test(tc, files_that_are_no_disks);
	tcase_add_test(tc, descriptor_is_closed_on_exec);
	return test_main("disk_raw", tc);
}
