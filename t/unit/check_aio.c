/* SPDX-License-Identifier: ISC */
/*
 * The I/O engines: what is asked for is done once and reported later, also if
 * more is asked than the ring or its completions, or the threads, have room
 * for; calls are made on threads, if there are any; the ring is restricted for
 * life.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/loop.h"
#include "devices/aio_engine.h"
#include "nothreads.h"
#include "testhost.h"

#define MANY	6000
#define SLOW	10	/* that and all behind it hang, where one does */

struct op {
	struct aio_op	 aio;
	struct iovec	 iov;
	struct fixture	*f;
	uint32_t	 value;
	int		 res;
	bool		 done;
};

struct fixture {
	struct loop	*loop;
	struct aio	*aio;
	int		 fd;
	bool		 inside;	/* of a submit */
	unsigned	 pending;
	struct op	 op[MANY];
};

/* The last one may come when the loop is about to sleep. */
static void
one_less(struct fixture *f)
{
	if (--f->pending == 0)
		loop_break(f->loop);
}

static void
op_done(struct aio_op *aio, int res)
{
	struct op *op = (struct op *)aio;

	ck_assert(!op->f->inside);
	ck_assert(!op->done);
	op->done = true;
	op->res = res;
	one_less(op->f);
}

/* The descriptor of the engine's ring, found from outside. */
static int
ring_fd(void)
{
	char path[32], target[64];
	ssize_t n;
	int fd;

	for (fd = 3; fd < 64; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (strcmp(target, "anon_inode:[io_uring]") == 0)
			return fd;
	}
	return -1;
}

static const char *const engines[] = { "io_uring", "threads" };

static struct fixture *
setup(int engine)
{
	char path[] = "/tmp/check_aio.XXXXXX";
	struct fixture *f = calloc(1, sizeof(*f));

	ck_assert_ptr_nonnull(f);
	f->fd = mkstemp(path);
	ck_assert_int_ne(f->fd, -1);
	unlink(path);
	f->loop = loop_create();
	ck_assert_ptr_nonnull(f->loop);
	f->aio = aio_create(f->loop, engines[engine]);
	ck_assert_msg(f->aio != NULL, "%s: %s", engines[engine],
	    strerror(errno));
	ck_assert_int_eq(ring_fd() == -1, engine == 1);
	return f;
}

static void
teardown(struct fixture *f)
{
	aio_destroy(f->aio);
	loop_destroy(f->loop);
	close(f->fd);
	free(f);
}

static struct op *
prepare(struct fixture *f, unsigned i)
{
	struct op *op = &f->op[i];

	*op = (struct op){ .aio.done = op_done, .f = f };
	op->iov = (struct iovec){ &op->value, sizeof(op->value) };
	f->pending++;
	return op;
}

static void
start(struct fixture *f, unsigned i, char what, int fd, uint32_t value)
{
	struct op *op = prepare(f, i);

	op->value = value;
	f->inside = true;
	if (what == 'r')
		aio_readv(f->aio, fd, &op->iov, 1, 4 * i, &op->aio);
	else if (what == 'w')
		aio_writev(f->aio, fd, &op->iov, 1, 4 * i, &op->aio);
	else
		aio_fdatasync(f->aio, fd, &op->aio);
	f->inside = false;
}

static void
finish(struct fixture *f)
{
	while (f->pending != 0)
		loop_run(f->loop);
}

START_TEST(write_sync_read)
{
	struct fixture *f = setup(_i);

	start(f, 3, 'w', f->fd, 0x12345678);
	ck_assert(!f->op[3].done);
	finish(f);
	ck_assert_int_eq(f->op[3].res, 4);
	start(f, 0, 's', f->fd, 0);
	finish(f);
	ck_assert_int_eq(f->op[0].res, 0);
	start(f, 3, 'r', f->fd, 0);
	start(f, 4, 'r', f->fd, 7);
	finish(f);
	ck_assert_int_eq(f->op[3].res, 4);
	ck_assert_uint_eq(f->op[3].value, 0x12345678);
	/* At the end of the file. */
	ck_assert_int_eq(f->op[4].res, 0);
	ck_assert_uint_eq(f->op[4].value, 7);
	teardown(f);
}
END_TEST

/* Of a file without a promise not to wait, as few make; of one in memory. */
START_TEST(those_that_wait)
{
	int fd = open("/proc/version", O_RDONLY);
	int memory = memfd_create("check", MFD_CLOEXEC);
	struct fixture *f = setup(_i);
	struct op *op = prepare(f, 0);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_ne(memory, -1);
	ck_assert(aio_waits(fd));
	ck_assert(!aio_waits(memory));
	op->aio.waits = true;
	aio_readv(f->aio, fd, &op->iov, 1, 0, &op->aio);
	finish(f);
	ck_assert_int_eq(op->res, 4);
	ck_assert_mem_eq(&op->value, "Linu", 4);
	close(memory);
	close(fd);
	teardown(f);
}
END_TEST

START_TEST(errors_are_results)
{
	int fd = open("/dev/zero", O_RDONLY), fds[2];
	struct fixture *f = setup(_i);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(pipe(fds), 0);
	start(f, 0, 'r', -1, 0);
	start(f, 1, 'w', 9999, 0);
	start(f, 2, 's', fds[0], 0);
	start(f, 3, 'w', fd, 0);
	finish(f);
	ck_assert_int_eq(f->op[0].res, -EBADF);
	ck_assert_int_eq(f->op[1].res, -EBADF);
	ck_assert_int_eq(f->op[2].res, -EINVAL);
	ck_assert_int_eq(f->op[3].res, -EBADF);
	close(fd);
	close(fds[0]);
	close(fds[1]);
	teardown(f);
}
END_TEST

/* More in one turn than either ring holds. */
START_TEST(many_at_once)
{
	struct fixture *f = setup(_i);
	unsigned i;

	for (i = 0; i < MANY; i++)
		start(f, i, 'w', f->fd, i * 7);
	finish(f);
	for (i = 0; i < MANY; i++)
		ck_assert_int_eq(f->op[i].res, 4);
	for (i = 0; i < MANY; i++)
		start(f, i, 'r', f->fd, 0);
	finish(f);
	for (i = 0; i < MANY; i++) {
		ck_assert_int_eq(f->op[i].res, 4);
		ck_assert_uint_eq(f->op[i].value, i * 7);
	}
	teardown(f);
}
END_TEST

/* Reads of an empty pipe stay in flight: the rest must wait its turn. */
START_TEST(many_that_wait)
{
	struct fixture *f = setup(0);
	static char bytes[4 * MANY];
	size_t left = sizeof(bytes);
	unsigned i;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	for (i = 0; i < MANY; i++) {
		struct op *op = prepare(f, i);

		aio_readv(f->aio, fds[0], &op->iov, 1, 0, &op->aio);
	}
	for (i = 0; i < 5; i++)
		ev_run(loop_ev(f->loop), EVRUN_NOWAIT);
	ck_assert_uint_eq(f->pending, MANY);
	ck_assert_int_eq(write(fds[1], bytes, left), (ssize_t)left);
	finish(f);
	for (i = 0; i < MANY; i++)
		ck_assert_int_eq(f->op[i].res, 4);
	close(fds[0]);
	close(fds[1]);
	teardown(f);
}
END_TEST

/*
 * What is more than a turn may copy waits for the next, in order; what is more
 * by itself goes alone.
 */
START_TEST(large_ones)
{
	static const size_t len[] = {
		700 << 10, 700 << 10, 4, 3 << 20, 1 << 20, 4,
	};
	struct fixture *f = setup(_i);
	char *bytes = calloc(1, 3 << 20);
	unsigned i, n = sizeof(len) / sizeof(len[0]);

	for (i = 0; i < n; i++) {
		struct op *op = prepare(f, i);

		op->iov = (struct iovec){ bytes, len[i] };
		aio_writev(f->aio, f->fd, &op->iov, 1, 0, &op->aio);
	}
	finish(f);
	for (i = 0; i < n; i++)
		ck_assert_int_eq(f->op[i].res, (int)len[i]);
	free(bytes);
	teardown(f);
}
END_TEST

static void
chain_done(struct aio_op *aio, int res)
{
	struct op *op = (struct op *)aio;

	ck_assert_int_eq(res, 4);
	if (++op->value < 1000)
		aio_writev(op->f->aio, op->f->fd, &op->iov, 1, 0, aio);
	else
		one_less(op->f);
}

/* An operation may start itself anew from its own completion. */
START_TEST(started_by_completion)
{
	struct fixture *f = setup(_i);
	uint32_t value = 0;
	struct op *op = prepare(f, 0);

	op->aio.done = chain_done;
	aio_writev(f->aio, f->fd, &op->iov, 1, 0, &op->aio);
	finish(f);
	ck_assert_int_eq(pread(f->fd, &value, 4, 0), 4);
	ck_assert_uint_eq(value, 999);
	teardown(f);
}
END_TEST

/* Both kinds of zeroes; the size stays. */
START_TEST(ranges)
{
	struct fixture *f = setup(_i);
	static const char zero[4096];
	char bytes[12288];
	struct stat st;

	memset(bytes, 7, sizeof(bytes));
	ck_assert_int_eq(write(f->fd, bytes, sizeof(bytes)), sizeof(bytes));
	aio_punch(f->aio, f->fd, 0, 4096, &prepare(f, 0)->aio);
	aio_punch(f->aio, f->fd, 8192, 65536, &prepare(f, 1)->aio);
	aio_punch(f->aio, -1, 0, 4096, &prepare(f, 2)->aio);
	finish(f);
	ck_assert_int_eq(f->op[0].res, 0);
	ck_assert_int_eq(f->op[1].res, 0);
	ck_assert_int_eq(f->op[2].res, -EBADF);
	ck_assert_int_eq(fstat(f->fd, &st), 0);
	ck_assert_int_eq(st.st_size, sizeof(bytes));
	ck_assert_int_eq(pread(f->fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	ck_assert_mem_eq(bytes, zero, 4096);
	ck_assert_mem_eq(bytes + 8192, zero, 4096);
	ck_assert_int_eq(bytes[4096], 7);
	aio_zero(f->aio, f->fd, 4096, 4096, &prepare(f, 0)->aio);
	finish(f);
	/* A tmpfs cannot. */
	ck_assert(f->op[0].res == 0 || f->op[0].res == -EOPNOTSUPP);
	ck_assert_int_eq(pread(f->fd, bytes, 1, 4096), 1);
	ck_assert_int_eq(bytes[0], f->op[0].res == 0 ? 0 : 7);
	teardown(f);
}
END_TEST

static sem_t released;
static atomic_uint hanging;
static int hangs_fd = -1;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

/* The threads' flushes of one file hang until they are released. */
int
__wrap_fdatasync(int fd)
{
	if (fd != hangs_fd)
		return __real_fdatasync(fd);
	hanging++;
	while (sem_wait(&released) == -1)
		continue;
	hanging--;
	return 0;
}

/* More than any share, and none of it ends by itself: flushes, or reads. */
static void
hang(struct fixture *f, struct aio *share, const int fds[2], bool flushes)
{
	unsigned i;

	hangs_fd = fds[1];
	for (i = SLOW; i < MANY; i++) {
		struct op *op = prepare(f, i);

		if (flushes)
			aio_fdatasync(share, fds[1], &op->aio);
		else
			aio_readv(share, fds[0], &op->iov, 1, 0, &op->aio);
	}
}

static void
let_go(struct fixture *f, const int fds[2], bool flushes)
{
	unsigned i;

	for (i = SLOW; i < MANY; i++) {
		if (flushes)
			ck_assert_int_eq(sem_post(&released), 0);
		else
			ck_assert_int_eq(write(fds[1], "four", 4), 4);
	}
	finish(f);
	for (i = SLOW; i < MANY; i++)
		ck_assert_int_eq(f->op[i].res, flushes ? 0 : 4);
}

/* One share hangs: what another asks for is done meanwhile. */
START_TEST(shares)
{
	struct fixture *f = setup(_i);
	struct aio *all = f->aio, *slow = aio_share_create(all);
	struct aio *quick = aio_share_create(all);
	int fds[2];

	ck_assert_ptr_nonnull(slow);
	ck_assert_ptr_nonnull(quick);
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(sem_init(&released, 0, 0), 0);
	hang(f, slow, fds, _i == 1);
	f->aio = quick;
	start(f, 0, 'w', f->fd, 1);
	start(f, 1, 's', f->fd, 0);
	start(f, 2, 'w', f->fd, 3);
	while (f->pending != MANY - SLOW)
		ev_run(loop_ev(f->loop), EVRUN_ONCE);
	ck_assert(f->op[0].done && f->op[1].done && f->op[2].done);
	ck_assert_uint_le(hanging, 4);
	f->aio = all;
	let_go(f, fds, _i == 1);
	aio_destroy(slow);
	aio_destroy(quick);
	close(fds[0]);
	close(fds[1]);
	teardown(f);
}
END_TEST

/* An engine that does nothing until it is told so. */
struct still {
	struct aio	 aio;
	struct aio_op	*op[64];
	unsigned	 n;
};

static void
still_queue(struct aio *a, struct aio_op *op)
{
	struct still *s = (struct still *)a;

	s->op[s->n++] = op;
}

static void
still_done(struct aio_op *op, int res)
{
	(void)op;
	(void)res;
}

/* How many of ten each reach it: transfers that wait, others, and flushes. */
static void
still_is_asked(const struct aio_ops *ops, unsigned waiting, unsigned transfers,
    unsigned flushes)
{
	struct still s = { .aio.ops = ops };
	struct aio *share = aio_share_create(&s.aio);
	struct aio_op op[30] = { 0 };
	unsigned i, last;

	ck_assert_ptr_nonnull(share);
	for (i = 0; i < 30; i++) {
		op[i].done = still_done;
		op[i].waits = i < 10;
		if (i < 20)
			aio_readv(share, -1, NULL, 0, 0, &op[i]);
		else
			aio_fdatasync(share, -1, &op[i]);
		if (i % 10 == 9)
			ck_assert_uint_eq(s.n, i == 9 ? waiting : i == 19 ?
			    waiting + transfers : waiting + transfers + flushes);
	}
	/* Another of its kind has the place of one that is over. */
	last = s.n;
	aio_complete(s.op[0], 0);
	ck_assert_uint_eq(s.n, last + 1);
	ck_assert_ptr_eq(s.op[last], &op[waiting]);
	for (i = 1; i < s.n; i++)
		aio_complete(s.op[i], 0);
	ck_assert_uint_eq(s.n, 30);
	aio_destroy(share);
}

START_TEST(kinds_of_shares)
{
	static const struct aio_ops apart = {
		.queue = still_queue, .share = 5, .waiting = 3,
	}, together = {
		.queue = still_queue, .share = 5,
	};

	still_is_asked(&apart, 3, 5, 4);
	still_is_asked(&together, 5, 0, 4);
}
END_TEST

/* Done at a later turn, and with nothing else. */
START_TEST(nothing_at_all)
{
	struct fixture *f = setup(_i);

	f->inside = true;
	aio_nop(f->aio, &prepare(f, 0)->aio);
	aio_nop(f->aio, &prepare(f, 1)->aio);
	f->inside = false;
	finish(f);
	ck_assert_int_eq(f->op[0].res, 0);
	ck_assert_int_eq(f->op[1].res, 0);
	teardown(f);
}
END_TEST

static pthread_t loop_thread;
static pthread_barrier_t together;
static atomic_uint waiting_calls;

/* Whether a thread other than the loop's has called. */
static int
call_where(struct aio_op *aio)
{
	struct op *op = (struct op *)aio;

	op->value++;
	return pthread_equal(pthread_self(), loop_thread) ? 0 : 1;
}

static int
call_together(struct aio_op *aio)
{
	(void)pthread_barrier_wait(&together);
	return call_where(aio);
}

static int
call_that_waits(struct aio_op *aio)
{
	waiting_calls++;
	while (sem_wait(&released) == -1)
		continue;
	waiting_calls--;
	return call_where(aio);
}

static void
call(struct fixture *f, unsigned i, int (*fn)(struct aio_op *aio))
{
	f->inside = true;
	aio_call(f->aio, fn, &prepare(f, i)->aio);
	f->inside = false;
}

/* None of them can end before all have begun. */
START_TEST(calls)
{
	struct fixture *f = setup(_i);
	unsigned i;

	loop_thread = pthread_self();
	ck_assert_int_eq(pthread_barrier_init(&together, NULL, 5), 0);
	for (i = 0; i < 5; i++)
		call(f, i, call_together);
	start(f, 5, 'w', f->fd, 1);
	finish(f);
	for (i = 0; i < 5; i++) {
		ck_assert_int_eq(f->op[i].res, 1);
		ck_assert_uint_eq(f->op[i].value, 1);
	}
	ck_assert_int_eq(f->op[5].res, 4);
	pthread_barrier_destroy(&together);
	teardown(f);
}
END_TEST

/* One that threads cannot be had for is made all the same, and later. */
START_TEST(calls_without_threads)
{
	struct fixture *f = setup(_i);
	unsigned i;

	loop_thread = pthread_self();
	no_threads = true;
	for (i = 0; i < 20; i++) {
		call(f, i, call_where);
		ck_assert(_i == 1 || f->op[i].value == 0);
	}
	finish(f);
	/* The engine of threads has the one that it began with. */
	for (i = 0; i < 20; i++) {
		ck_assert_uint_eq(f->op[i].value, 1);
		ck_assert_int_eq(f->op[i].res, _i);
	}
	no_threads = false;
	call(f, 0, call_where);
	finish(f);
	ck_assert_int_eq(f->op[0].res, 1);
	teardown(f);
}
END_TEST

/* Those of one share are few at a time, and delay no other's. */
START_TEST(calls_of_shares)
{
	struct fixture *f = setup(_i);
	struct aio *all = f->aio, *slow = aio_share_create(all);
	struct aio *quick = aio_share_create(all);
	unsigned i;

	loop_thread = pthread_self();
	ck_assert_int_eq(sem_init(&released, 0, 0), 0);
	f->aio = slow;
	for (i = 1; i <= 100; i++)
		call(f, i, call_that_waits);
	f->aio = quick;
	call(f, 0, call_where);
	while (f->pending != 100)
		ev_run(loop_ev(f->loop), EVRUN_ONCE);
	ck_assert(f->op[0].done);
	ck_assert_uint_le(waiting_calls, 4);
	for (i = 1; i <= 100; i++)
		ck_assert_int_eq(sem_post(&released), 0);
	finish(f);
	for (i = 0; i <= 100; i++)
		ck_assert_int_eq(f->op[i].res, 1);
	f->aio = all;
	aio_destroy(slow);
	aio_destroy(quick);
	teardown(f);
}
END_TEST

START_TEST(ring_is_restricted)
{
	struct fixture *f = setup(0);
	int efd = f->fd;
	int fd = ring_fd();

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(io_uring_register((unsigned)fd,
	    IORING_REGISTER_FILES, &efd, 1), -EACCES);
	ck_assert_int_eq(io_uring_register((unsigned)fd,
	    IORING_UNREGISTER_EVENTFD, NULL, 0), -EACCES);
	teardown(f);
}
END_TEST

START_TEST(creation_fails_cleanly)
{
	struct loop *loop = loop_create();
	struct rlimit rl, none;
	struct aio *a;

	ck_assert_ptr_nonnull(loop);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &rl), 0);
	none = rl;
	none.rlim_cur = 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	errno = 0;
	ck_assert_ptr_null(aio_create(loop, "io_uring"));
	ck_assert_int_eq(errno, EMFILE);
	/* Threads need no descriptors. */
	a = aio_create(loop, "auto");
	ck_assert_ptr_nonnull(a);
	ck_assert_int_eq(ring_fd(), -1);
	aio_destroy(a);
	errno = 0;
	ck_assert_ptr_null(aio_create(loop, "no such"));
	ck_assert_int_eq(errno, ENOSYS);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &rl), 0);
	loop_destroy(loop);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("aio");

	tcase_add_loop_test(tc, write_sync_read, 0, 2);
	tcase_add_loop_test(tc, those_that_wait, 0, 2);
	tcase_add_loop_test(tc, errors_are_results, 0, 2);
	tcase_add_loop_test(tc, many_at_once, 0, 2);
	tcase_add_test(tc, many_that_wait);
	tcase_add_loop_test(tc, large_ones, 0, 2);
	tcase_add_loop_test(tc, started_by_completion, 0, 2);
	tcase_add_loop_test(tc, ranges, 0, 2);
	tcase_add_loop_test(tc, shares, 0, 2);
	tcase_add_test(tc, kinds_of_shares);
	tcase_add_loop_test(tc, nothing_at_all, 0, 2);
	tcase_add_loop_test(tc, calls, 0, 2);
	tcase_add_loop_test(tc, calls_without_threads, 0, 2);
	tcase_add_loop_test(tc, calls_of_shares, 0, 2);
	tcase_add_test(tc, ring_is_restricted);
	tcase_add_test(tc, creation_fails_cleanly);
	return test_main("aio", tc);
}
