/* SPDX-License-Identifier: ISC */
/*
 * Files past the host's cache, on a host made of memory that asks for blocks
 * of 4 KiB and completes in any order: whatever is asked for at once, in
 * parts of blocks and from any memory, each byte is as it was written last.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/aio_engine.h"
#include "devices/disk_direct.h"
#include "devices/disk_file.h"
#include "testhost.h"

#define SIZE		(1u << 20)
#define BLOCK		4096u
#define MEMORY		512u
#define UNIT		512u		/* what callers may ask for */
#define BUFFER		(256u << 10)
#define OPS		24u

/* The engine: what was submitted, and the file behind it. */
struct engine {
	struct aio	 aio;
	uint8_t		 data[SIZE];
	struct aio_op	*op[2 * OPS];
	unsigned	 n;
	unsigned	 submitted;
	size_t		 size;		/* of the file */
	bool		 aligned;	/* asks for that */
	int		 error;		/* of what completes next, or 0 */
};

int
disk_direct(int fd, struct disk_align *a)
{
	if (fd == -1)
		return -EOPNOTSUPP;
	*a = (struct disk_align){ .memory = MEMORY, .offset = BLOCK };
	return 0;
}

static void
engine_queue(struct aio *aio, struct aio_op *op)
{
	struct engine *a = (struct engine *)aio;
	bool transfer = op->opcode <= AIO_WRITEV;
	unsigned i;

	for (i = 0; transfer && i < op->niov && a->aligned; i++) {
		ck_assert_uint_eq((uintptr_t)op->iov[i].iov_base % MEMORY, 0);
		ck_assert_uint_eq(op->iov[i].iov_len % BLOCK, 0);
	}
	ck_assert(!transfer || !a->aligned || op->off % BLOCK == 0);
	ck_assert_uint_lt(a->n, 2 * OPS);
	a->op[a->n++] = op;
	a->submitted++;
}

static const struct aio_ops engine_ops = {
	.queue = engine_queue,
};

static int
engine_move(struct engine *a, const struct aio_op *op)
{
	size_t off = op->off, n;
	unsigned i;

	for (i = 0; i < op->niov && off < a->size; i++, off += n) {
		n = op->iov[i].iov_len;
		if (n > a->size - off)
			n = a->size - off;
		if (op->opcode == AIO_READV)
			memcpy(op->iov[i].iov_base, a->data + off, n);
		else
			memcpy(a->data + off, op->iov[i].iov_base, n);
	}
	return off < op->off ? 0 : (int)(off - op->off);
}

/* Does and completes one of those that were submitted. */
static void
engine_complete(struct engine *a, unsigned i)
{
	struct aio_op *op = a->op[i];
	int res = a->error;

	a->op[i] = a->op[--a->n];
	a->error = 0;
	if (res == 0 && op->opcode <= AIO_WRITEV)
		res = engine_move(a, op);
	else if (res == 0 && op->opcode != AIO_FDATASYNC)
		memset(a->data + op->off, 0, op->len);
	aio_complete(op, res);
}

struct op {
	struct disk_file_op	 file;
	struct iovec		 iov[3];
	bool			 done;
	int			 res;
	enum aio_opcode		 opcode;
	size_t			 off, len;
	uint8_t			*memory;
};

struct fixture {
	struct engine		 engine;
	struct disk_file	*f;
	uint8_t			 want[SIZE];
	struct op		 op[OPS];
	uint64_t		 seed;
};

static struct fixture *
setup(bool direct)
{
	struct fixture *t = calloc(1, sizeof(*t));
	size_t i;

	ck_assert_ptr_nonnull(t);
	ck_assert_int_eq(disk_file_create(&t->f, dup(0), direct,
	    false), 0);
	ck_assert_uint_eq(disk_file_align(t->f), direct ? BLOCK : 1);
	disk_file_attach(t->f, &t->engine.aio);
	t->engine.aio.ops = &engine_ops;
	t->engine.size = SIZE;
	t->engine.aligned = direct;
	t->seed = 88172645463325252ull;
	for (i = 0; i < SIZE; i++)
		t->want[i] = t->engine.data[i] =
		    (uint8_t)test_random(&t->seed);
	return t;
}

static void
teardown(struct fixture *t)
{
	disk_file_destroy(t->f);
	free(t);
}

static void
op_done(struct disk_file_op *file, int res)
{
	struct op *op = (struct op *)file;

	ck_assert(!op->done);
	op->done = true;
	op->res = res;
}

/* Starts one over the memory at `p`, cut into three elements at `cut`. */
static void
start(struct fixture *t, struct op *op, enum aio_opcode opcode, size_t off,
    size_t len, uint8_t *p, size_t cut)
{
	op->file.done = op_done;
	op->done = false;
	op->opcode = opcode;
	op->off = off;
	op->len = len;
	op->iov[0] = (struct iovec){ p, cut };
	op->iov[1] = (struct iovec){ p + cut, cut };
	op->iov[2] = (struct iovec){ p + 2 * cut, len - 2 * cut };
	if (opcode == AIO_READV)
		disk_file_readv(t->f, op->iov, 3, off, &op->file);
	else if (opcode == AIO_WRITEV)
		disk_file_writev(t->f, op->iov, 3, off, &op->file);
	else if (opcode == AIO_PUNCH)
		disk_file_punch(t->f, off, len, &op->file);
	else if (opcode == AIO_ZERO)
		disk_file_zero(t->f, off, len, &op->file);
	else
		disk_file_sync(t->f, &op->file);
}

static unsigned
any(struct fixture *t, unsigned n)
{
	return (unsigned)(test_random(&t->seed) % n);
}

/* Something in the range of the file that begins at `off`. */
static void
start_any(struct fixture *t, struct op *op, size_t off, size_t len)
{
	enum aio_opcode opcode = any(t, 6) < 3 ? AIO_WRITEV :
	    (enum aio_opcode)any(t, 5);
	uint8_t *p;
	size_t i;

	op->memory = aligned_alloc(BLOCK, (len / BLOCK + 2) * BLOCK);
	ck_assert_ptr_nonnull(op->memory);
	p = op->memory + (any(t, 2) != 0 ? any(t, BLOCK) : 0);
	for (i = 0; i < len; i++)
		p[i] = (uint8_t)test_random(&t->seed);
	if (opcode == AIO_WRITEV)
		memcpy(t->want + off, p, len);
	else if (opcode == AIO_PUNCH || opcode == AIO_ZERO)
		memset(t->want + off, 0, len);
	start(t, op, opcode, off, len, p,
	    any(t, 2) != 0 ? any(t, (unsigned)len / 2) : 0);
}

/* All must have been moved: none is longer than the buffer. */
static void
look(struct fixture *t, struct op *op)
{
	bool moves = op->opcode == AIO_READV || op->opcode == AIO_WRITEV;

	ck_assert(op->done);
	ck_assert_int_eq(op->res, moves ? (int)op->len : 0);
	if (op->opcode == AIO_READV)
		ck_assert(memcmp(op->iov[0].iov_base, t->want + op->off,
		    op->len) == 0);
	free(op->memory);
}

/*
 * Neighbours, who share blocks, at once: ranges of whole units one behind the
 * other, in any order.
 */
START_TEST(neighbours_at_once)
{
	struct fixture *t = setup(true);
	unsigned round, i;
	size_t off, len;

	for (round = 0; round < 500; round++) {
		off = any(t, 64) * UNIT;
		for (i = 0; i < OPS; i++, off += len) {
			len = (1 + any(t, 24)) * UNIT;
			start_any(t, &t->op[i], off, len);
			if (any(t, 3) == 0 && t->engine.n != 0)
				engine_complete(&t->engine, any(t, t->engine.n));
		}
		while (t->engine.n != 0)
			engine_complete(&t->engine, any(t, t->engine.n));
		for (i = 0; i < OPS; i++)
			look(t, &t->op[i]);
	}
	ck_assert(memcmp(t->engine.data, t->want, SIZE) == 0);
	teardown(t);
}
END_TEST

/* What is aligned is the engine's as it came, all of it at once. */
START_TEST(aligned_ones_go_straight)
{
	struct fixture *t = setup(true);
	uint8_t *p = aligned_alloc(BLOCK, OPS * BLOCK);
	unsigned i;

	for (i = 0; i < OPS; i++) {
		start(t, &t->op[i], i % 2 == 0 ? AIO_WRITEV :
		    AIO_READV, i * BLOCK, BLOCK, p + i * BLOCK, 0);
		ck_assert_uint_eq(t->engine.n, i + 1);
		ck_assert_ptr_eq(t->engine.op[i]->iov, t->op[i].iov);
	}
	while (t->engine.n != 0)
		engine_complete(&t->engine, t->engine.n - 1);
	ck_assert_uint_eq(t->engine.submitted, OPS);
	free(p);
	teardown(t);
}
END_TEST

/* Reads and flushes pass a part of a block that is being written. */
START_TEST(reads_do_not_wait)
{
	struct fixture *t = setup(true);
	uint8_t *p = aligned_alloc(BLOCK, 4 * BLOCK);

	memset(p, 0, 4 * BLOCK);
	start(t, &t->op[0], AIO_WRITEV, UNIT, UNIT, p, 0);
	start(t, &t->op[1], AIO_WRITEV, 4 * BLOCK, BLOCK, p, 0);
	ck_assert_uint_eq(t->engine.n, 1);
	start(t, &t->op[2], AIO_READV, BLOCK, BLOCK, p + BLOCK, 0);
	start(t, &t->op[3], AIO_FDATASYNC, 0, 0, p, 0);
	ck_assert_uint_eq(t->engine.n, 3);
	while (t->engine.n != 0)
		engine_complete(&t->engine, t->engine.n - 1);
	ck_assert(t->op[1].done && t->op[1].res == (int)BLOCK);
	free(p);
	teardown(t);
}
END_TEST

/* Who waits is not overtaken for ever by writes that need not. */
START_TEST(in_the_order_they_came)
{
	struct fixture *t = setup(true);
	uint8_t *p = aligned_alloc(BLOCK, 4 * BLOCK);

	memset(p, 0, 4 * BLOCK);
	start(t, &t->op[0], AIO_WRITEV, 0, BLOCK, p, 0);
	start(t, &t->op[1], AIO_WRITEV, BLOCK, UNIT, p, 0);
	start(t, &t->op[2], AIO_WRITEV, 2 * BLOCK, BLOCK, p, 0);
	ck_assert_uint_eq(t->engine.n, 1);
	while (t->engine.n != 0) {
		engine_complete(&t->engine, 0);
		ck_assert(t->op[1].done || !t->op[2].done);
	}
	ck_assert(t->op[2].done);
	free(p);
	teardown(t);
}
END_TEST

/* More than the buffer holds comes back short, as far as it went. */
START_TEST(long_ones_come_back_short)
{
	struct fixture *t = setup(true);
	uint8_t *p = malloc(SIZE + 1);
	struct op *op = &t->op[0];
	size_t at, n = 0;

	memcpy(p + 1, t->want, SIZE);
	for (at = UNIT; at < SIZE; at += (size_t)op->res, n++) {
		start(t, op, AIO_WRITEV, at, SIZE - at, p + 1 + at, 0);
		while (t->engine.n != 0)
			engine_complete(&t->engine, 0);
		ck_assert_int_gt(op->res, 0);
		ck_assert_uint_le((size_t)op->res, BUFFER);
	}
	ck_assert_uint_eq(n, SIZE / BUFFER);
	ck_assert(memcmp(t->engine.data, t->want, SIZE) == 0);
	free(p);
	teardown(t);
}
END_TEST

/* An error is the caller's, and who waited goes on. */
START_TEST(errors_end_the_wait)
{
	struct fixture *t = setup(true);
	uint8_t *p = malloc(2 * BLOCK);
	unsigned i;

	memset(p, 0, 2 * BLOCK);
	/* In its read; then in its write; in a read by way of the buffer. */
	for (i = 0; i < 3; i++) {
		start(t, &t->op[0], i < 2 ? AIO_WRITEV : AIO_READV,
		    UNIT, UNIT, p + 1, 0);
		start(t, &t->op[1], AIO_WRITEV, UNIT, BLOCK, p + 1, 0);
		ck_assert_uint_eq(t->engine.n, 1);
		if (i == 1)
			engine_complete(&t->engine, 0);
		t->engine.error = -EIO;
		engine_complete(&t->engine, 0);
		ck_assert(t->op[0].done && !t->op[1].done);
		ck_assert_int_eq(t->op[0].res, -EIO);
		ck_assert_uint_eq(t->engine.n, 1);
		while (t->engine.n != 0)
			engine_complete(&t->engine, 0);
		ck_assert_int_eq(t->op[1].res, BLOCK);
	}
	free(p);
	teardown(t);
}
END_TEST

/* The file ends before it did: no block is made up. */
START_TEST(shorter_file)
{
	struct fixture *t = setup(true);
	uint8_t *p = malloc(2 * BLOCK);
	struct op *op = &t->op[0];

	t->engine.size = BLOCK + UNIT;
	start(t, op, AIO_READV, BLOCK, 2 * UNIT, p + 1, 0);
	engine_complete(&t->engine, 0);
	ck_assert_int_eq(op->res, UNIT);
	start(t, op, AIO_READV, BLOCK + UNIT, UNIT, p + 1, 0);
	engine_complete(&t->engine, 0);
	ck_assert_int_eq(op->res, 0);
	start(t, op, AIO_WRITEV, BLOCK, UNIT, p + 1, 0);
	engine_complete(&t->engine, 0);
	ck_assert_int_eq(op->res, -EIO);
	ck_assert_uint_eq(t->engine.n, 0);
	free(p);
	teardown(t);
}
END_TEST

/* By the host's cache nothing is looked at. */
START_TEST(cached_file)
{
	struct fixture *t = setup(false);
	uint8_t *p = malloc(BLOCK);

	memset(p, 7, BLOCK);
	start(t, &t->op[0], AIO_WRITEV, 3, 5, p + 1, 0);
	start(t, &t->op[1], AIO_WRITEV, 9, 5, p + 1, 0);
	ck_assert_uint_eq(t->engine.n, 2);
	while (t->engine.n != 0)
		engine_complete(&t->engine, 0);
	ck_assert_int_eq(t->op[1].res, 5);
	ck_assert_mem_eq(t->engine.data + 9, p, 5);
	free(p);
	teardown(t);
}
END_TEST

START_TEST(no_way_past_the_cache)
{
	struct disk_file *f;

	ck_assert_int_eq(disk_file_create(&f, -1, true, false), -EOPNOTSUPP);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("disk_file");

	tcase_add_test(tc, neighbours_at_once);
	tcase_add_test(tc, aligned_ones_go_straight);
	tcase_add_test(tc, reads_do_not_wait);
	tcase_add_test(tc, in_the_order_they_came);
	tcase_add_test(tc, long_ones_come_back_short);
	tcase_add_test(tc, errors_end_the_wait);
	tcase_add_test(tc, shorter_file);
	tcase_add_test(tc, cached_file);
	tcase_add_test(tc, no_way_past_the_cache);
	return test_main("disk_file", tc);
}
