/* SPDX-License-Identifier: ISC */
/*
 * What tests of qcow2 images share: a directory, a disk on the fake engine,
 * requests that run until they are over, and the tools of QEMU.
 */
#ifndef VMMD_Q2RIG_H
#define VMMD_Q2RIG_H

#include <endian.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "devices/disk.h"
#include "devices/disk_tables.h"
#include "fakeaio.h"
#include "testhost.h"
#include "toolrig.h"

struct rig {
	char			 dir[64];
	char			 path[128];	/* of the image */
	char			 err[512];
	struct aio		*aio;
	struct disk_tables	*cache;
	struct disk		*d;
	uint64_t		 random;
};

/* A request in flight, with memory of its own. */
struct rig_req {
	struct disk_req	 req;
	struct iovec	 iov[8];
	bool		 done;
	int		 res;
};

static inline void
rig_setup(struct rig *r, uint64_t random, size_t cache)
{
	memset(r, 0, sizeof(*r));
	snprintf(r->dir, sizeof(r->dir), "/tmp/check_qcow2.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(r->dir));
	snprintf(r->path, sizeof(r->path), "%s/disk.qcow2", r->dir);
	r->random = random * 2 + 1;
	r->aio = fakeaio_create(random);
	r->cache = disk_tables_create(cache);
}

static inline void
rig_open(struct rig *r)
{
	struct disk_how how = { 0 };

	r->d = disk_open(NULL, r->path, &how, r->err, sizeof(r->err));
	ck_assert_msg(r->d != NULL, "%s", r->err);
	disk_attach(r->d, r->aio, r->cache);
}

/* Puts a big-endian number of `bytes` bytes into the image. */
static inline void
rig_poke(const struct rig *r, uint64_t off, unsigned bytes, uint64_t v)
{
	int fd = open(r->path, O_RDWR);

	ck_assert_int_ne(fd, -1);
	v = htobe64(v);
	ck_assert_int_eq(pwrite(fd, (uint8_t *)&v + 8 - bytes, bytes,
	    (off_t)off), bytes);
	close(fd);
}

/* One of 8 bytes. */
static inline uint64_t
rig_peek(const struct rig *r, uint64_t off)
{
	int fd = open(r->path, O_RDONLY);
	uint64_t v;

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(pread(fd, &v, 8, (off_t)off), 8);
	close(fd);
	return be64toh(v);
}

static inline void
rig_done(struct disk_req *req, int res)
{
	struct rig_req *q = (struct rig_req *)req;

	ck_assert(!q->done);
	q->done = true;
	q->res = res;
}

/* Starts a request over `buf`, in elements of odd sizes if it is large. */
static inline void
rig_submit(struct rig *r, struct rig_req *q, enum disk_op op, uint64_t off,
    void *buf, size_t len)
{
	size_t at = 0, n;

	memset(q, 0, sizeof(*q));
	q->req.op = op;
	q->req.offset = off;
	q->req.len = len;
	q->req.done = rig_done;
	q->req.iov = q->iov;
	while (buf != NULL && at < len) {
		n = len - at;
		if (q->req.niov < 7 && n > 100)
			n = n / 3 + 1;
		q->iov[q->req.niov++] = (struct iovec){
			(uint8_t *)buf + at, n
		};
		at += n;
	}
	disk_submit(r->d, &q->req);
	ck_assert(!q->done);
}

/* One request, alone. */
static inline int
rig_do(struct rig *r, enum disk_op op, uint64_t off, void *buf, size_t len)
{
	struct rig_req q;

	rig_submit(r, &q, op, off, buf, len);
	fakeaio_run(r->aio);
	ck_assert(q.done);
	return q.res;
}

static inline int
rig_close(struct rig *r)
{
	int res = rig_do(r, DISK_DETACH, 0, NULL, 0);

	disk_close(r->d);
	r->d = NULL;
	ck_assert_uint_eq(disk_tables_used(r->cache), 0);
	return res;
}

static inline void
rig_teardown(struct rig *r)
{
	char command[128];

	fakeaio_destroy(r->aio);
	disk_tables_destroy(r->cache);
	snprintf(command, sizeof(command), "rm -rf %s", r->dir);
	ck_assert_int_eq(system(command), 0);
}

#endif /* VMMD_Q2RIG_H */
