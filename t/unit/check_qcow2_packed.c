/* SPDX-License-Identifier: ISC */
/*
 * Compressed clusters on the daemon's own engines: several are unpacked at the
 * same time and none twice for those who ask together, a broken one is nobody
 * else's, what is read ahead holds up a detach, and without threads the loop
 * does it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "devices/disk_qcow2.h"
#include "nothreads.h"
#include "q2rig.h"

#define CLUSTER		65536u
#define CLUSTERS	16u
#define SIZE		(CLUSTER * CLUSTERS)
#define PATIENCE	10		/* seconds */

static struct rig r;
static uint8_t model[SIZE], buf[3][SIZE];
static struct rig_req q[3 * CLUSTERS];

static atomic_uint inside;		/* of the libraries */
static atomic_uint most, inflated;
static atomic_uint gathering;		/* who waits until so many are inside */
static atomic_bool held;

int __real_inflate(z_streamp z, int flush);
int __wrap_inflate(z_streamp z, int flush);
size_t __real_ZSTD_decompressStream(ZSTD_DCtx *z, ZSTD_outBuffer *out,
    ZSTD_inBuffer *in);
size_t __wrap_ZSTD_decompressStream(ZSTD_DCtx *z, ZSTD_outBuffer *out,
    ZSTD_inBuffer *in);

static void
enter(void)
{
	time_t end = time(NULL) + PATIENCE;
	unsigned n = ++inside;

	while (n > most)
		most = n;
	while ((most < gathering || held) && time(NULL) < end)
		usleep(1000);
	/* Once in vain is enough. */
	gathering = 0;
}

int
__wrap_inflate(z_streamp z, int flush)
{
	int ret;

	inflated++;
	enter();
	ret = __real_inflate(z, flush);
	inside--;
	return ret;
}

size_t
__wrap_ZSTD_decompressStream(ZSTD_DCtx *z, ZSTD_outBuffer *out,
    ZSTD_inBuffer *in)
{
	size_t ret;

	enter();
	ret = __real_ZSTD_decompressStream(z, out, in);
	inside--;
	return ret;
}

/* Both kinds on either engine. */
static void
setup(int i)
{
	char path[128];
	int fd;

	rig_setup(&r, (uint64_t)i, DISK_TABLES_BYTES);
	rig_sh(&r, "seq 100000 300000 | head -c %u >raw && qemu-img convert "
	    "-c -O qcow2 -o compression_type=%s raw disk.qcow2", SIZE,
	    i % 2 == 0 ? "zlib" : "zstd");
	snprintf(path, sizeof(path), "%s/raw", r.dir);
	fd = open(path, O_RDONLY);
	ck_assert_int_eq(read(fd, model, SIZE), SIZE);
	close(fd);
}

/* Makes a cluster what nothing can have packed. */
static void
spoil(unsigned cluster)
{
	uint64_t l2 = rig_peek(&r, rig_peek(&r, 40)) & Q2_OFFSET;
	uint64_t entry = rig_peek(&r, l2 + cluster * 8);

	ck_assert_uint_ne(entry & Q2_COMPRESSED_BIT, 0);
	/* 16 bits of a cluster: 54 for where it is. */
	rig_poke(&r, entry & ((UINT64_C(1) << 54) - 1), 8, UINT64_MAX);
}

static void
read_one(unsigned i, uint8_t *to, uint64_t at, size_t len)
{
	rig_submit(&r, &q[i], DISK_READ, at, to + at, len);
}

/* Of each cluster all of it, its begin, and its end with what follows. */
static void
read_all(void)
{
	unsigned i;

	memset(buf, 0, sizeof(buf));
	for (i = 0; i < CLUSTERS; i++) {
		uint64_t at = i * CLUSTER;

		read_one(3 * i, buf[0], at, CLUSTER);
		read_one(3 * i + 1, buf[1], at, 4096);
		read_one(3 * i + 2, buf[2], at + CLUSTER - 4096,
		    i + 1 < CLUSTERS ? 8192 : 4096);
	}
	fakeaio_run(r.aio);
}

static bool
is_right(unsigned i)
{
	uint64_t at = q[i].req.offset;

	return q[i].done && q[i].res == 0 &&
	    memcmp(buf[i % 3] + at, model + at, q[i].req.len) == 0;
}

START_TEST(several_at_once)
{
	unsigned i;

	setup(_i);
	rig_open(&r);
	gathering = 2;
	read_all();
	for (i = 0; i < 3 * CLUSTERS; i++)
		ck_assert_msg(is_right(i), "request %u", i);
	ck_assert_uint_ge(most, 2);
	ck_assert_uint_le(most, 4);
	ck_assert_uint_eq(inflated, _i % 2 == 0 ? CLUSTERS : 0);
	ck_assert_int_eq(rig_close(&r), 0);
	rig_teardown(&r);
}
END_TEST

/* The end of a request before the fifth is in that. */
START_TEST(a_broken_one)
{
	unsigned i;
	bool bad;

	setup(_i);
	spoil(5);
	rig_open(&r);
	read_all();
	for (i = 0; i < 3 * CLUSTERS; i++) {
		bad = i / 3 == 5 || i == 3 * 4 + 2;
		ck_assert(q[i].done);
		ck_assert_int_eq(q[i].res, bad ? -EIO : 0);
		ck_assert_msg(bad || is_right(i), "request %u", i);
	}
	ck_assert_int_eq(rig_close(&r), 0);
	rig_teardown(&r);
}
END_TEST

/* What nobody has asked for is nobody's error. */
START_TEST(a_broken_one_ahead)
{
	setup(_i);
	spoil(1);
	rig_open(&r);
	read_one(0, buf[0], 0, 4096);
	fakeaio_run(r.aio);
	ck_assert(is_right(0));
	ck_assert(!((struct q2 *)r.d)->told);
	read_one(0, buf[0], CLUSTER, 4096);
	fakeaio_run(r.aio);
	ck_assert_int_eq(q[0].res, -EIO);
	ck_assert(((struct q2 *)r.d)->told);
	read_one(0, buf[0], 2 * CLUSTER, 4096);
	fakeaio_run(r.aio);
	ck_assert(is_right(0));
	ck_assert_int_eq(rig_close(&r), 0);
	rig_teardown(&r);
}
END_TEST

/* Whoever reads in order finds what comes next. */
START_TEST(ahead)
{
	unsigned n;

	setup(_i);
	rig_open(&r);
	read_one(0, buf[0], 0, 4096);
	fakeaio_run(r.aio);
	ck_assert(is_right(0));
	/* Two clusters more; the requests to those wait for no thread. */
	n = inflated;
	ck_assert_uint_eq(n, _i % 2 == 0 ? 3 : 0);
	read_one(0, buf[0], 4096, CLUSTER - 4096);
	fakeaio_run(r.aio);
	ck_assert_uint_eq(inflated, n);
	held = true;
	read_one(0, buf[0], CLUSTER, 4096);
	while (!q[0].done || inside == 0)
		(void)fakeaio_step(r.aio);
	ck_assert(is_right(0));
	/* The third is under way: the disk must not go before it is over. */
	rig_submit(&r, &q[1], DISK_DETACH, 0, NULL, 0);
	for (n = 0; n < 100; n++)
		(void)fakeaio_step(r.aio);
	ck_assert(!q[1].done);
	held = false;
	fakeaio_run(r.aio);
	ck_assert(q[1].done && q[1].res == 0);
	disk_close(r.d);
	rig_teardown(&r);
}
END_TEST

START_TEST(without_threads)
{
	unsigned i;

	setup(_i);
	rig_open(&r);
	no_threads = true;
	read_all();
	for (i = 0; i < 3 * CLUSTERS; i++)
		ck_assert_msg(is_right(i), "request %u", i);
	ck_assert_uint_eq(most, 1);
	ck_assert_int_eq(rig_close(&r), 0);
	rig_teardown(&r);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("qcow2_packed");

	tcase_add_loop_test(tc, several_at_once, 0, 4);
	tcase_add_loop_test(tc, a_broken_one, 0, 4);
	tcase_add_loop_test(tc, a_broken_one_ahead, 0, 4);
	tcase_add_loop_test(tc, ahead, 0, 4);
	tcase_add_loop_test(tc, without_threads, 0, 4);
	return test_main("qcow2_packed", tc);
}
