/* SPDX-License-Identifier: ISC */
/*
 * qcow2 disks: free space goes back to the file system and is used again, in
 * few operations, and also where some of it is out of reach.
 */
#include <errno.h>

#include "devices/disk_qcow2.h"
#include "q2rig.h"

#define MIB	(1u << 20)

static struct rig r;

static void
setup(void)
{
	rig_setup(&r, 5, MIB);
}

static void
teardown(void)
{
	rig_teardown(&r);
}

/* Discarded clusters go back to the file system, and are used again. */
START_TEST(discards_free_space)
{
	static uint8_t buf[MIB];
	struct stat st;
	off_t full;
	unsigned i;

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 disk.qcow2 64M");
	memset(buf, 1, sizeof(buf));
	rig_open(&r);
	for (i = 0; i < 16; i++)
		ck_assert_int_eq(rig_do(&r, DISK_WRITE, i * MIB, buf, MIB), 0);
	ck_assert_int_eq(stat(r.path, &st), 0);
	full = st.st_size;
	ck_assert_int_ge(st.st_blocks, 16 * MIB / 512);
	ck_assert_int_eq(rig_do(&r, DISK_DISCARD, 0, NULL, 16 * MIB), 0);
	ck_assert_int_eq(rig_do(&r, DISK_FLUSH, 0, NULL, 0), 0);
	ck_assert_int_eq(stat(r.path, &st), 0);
	ck_assert_int_lt(st.st_blocks, MIB / 512);
	for (i = 20; i < 36; i++)
		ck_assert_int_eq(rig_do(&r, DISK_WRITE, i * MIB, buf, MIB), 0);
	ck_assert_int_eq(rig_close(&r), 0);
	ck_assert_int_eq(stat(r.path, &st), 0);
	ck_assert_int_le(st.st_size, full + 2 * 65536);
	rig_sh(&r, "qemu-img check disk.qcow2");
	teardown();
}
END_TEST

/* Free clusters whose refcounts cannot be read: there are others. */
START_TEST(unreadable_free_space)
{
	static uint8_t buf[2 * MIB];
	struct fakeaio *a;
	struct q2 *q;
	uint64_t first;

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 -o cluster_size=512 disk.qcow2 "
	    "4M");
	memset(buf, 1, sizeof(buf));
	rig_open(&r);
	q = (struct q2 *)r.d;
	a = fakeaio_of(r.aio);
	ck_assert_int_eq(rig_do(&r, DISK_WRITE, 0, buf, sizeof(buf)), 0);
	/* Two runs, whose refcounts are in blocks of their own. */
	ck_assert_int_eq(rig_do(&r, DISK_DISCARD, 100 * 512, NULL, 8 * 512),
	    0);
	ck_assert_int_eq(rig_do(&r, DISK_FLUSH, 0, NULL, 0), 0);
	ck_assert_int_eq(rig_do(&r, DISK_DISCARD, MIB, NULL, 8 * 512), 0);
	ck_assert_int_eq(rig_do(&r, DISK_FLUSH, 0, NULL, 0), 0);
	ck_assert_uint_eq(q->reuse.n, 2);
	first = q->reuse.run[0].first;
	/* What gave them back is in the file, and no more in memory. */
	ck_assert_int_eq(rig_do(&r, DISK_FLUSH, 0, NULL, 0), 0);
	disk_tables_drop(r.cache, q->file);
	/* There is no L2 table yet, so a cluster is the first thing needed. */
	a->fail_at = a->ops + 1;
	a->fail_with = -EIO;
	ck_assert_int_eq(rig_do(&r, DISK_WRITE, 3 * MIB, buf, 512), 0);
	ck_assert_uint_lt(a->fail_at, a->ops);
	a->fail_at = 0;
	ck_assert_uint_eq(q->reuse.n, 1);
	ck_assert_uint_eq(q->reuse.run[0].first, first + 2);
	ck_assert_int_eq(rig_close(&r), 0);
	rig_sh(&r, "qemu-img check disk.qcow2");
	teardown();
}
END_TEST

/* Clusters that lie beside each other go back as one, however they came. */
START_TEST(discards_merge)
{
	const unsigned clusters = _i == 0 ? 2048 : 8192;
	static uint8_t buf[4096];
	struct stat st;
	unsigned i, before;

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 -o cluster_size=4k disk.qcow2 "
	    "64M");
	rig_open(&r);
	for (i = 0; i < clusters; i++)
		ck_assert_int_eq(rig_do(&r, DISK_WRITE,
		    (i * 1237ull) % clusters * sizeof(buf), buf, sizeof(buf)),
		    0);
	ck_assert_int_eq(rig_do(&r, DISK_FLUSH, 0, NULL, 0), 0);
	before = fakeaio_of(r.aio)->ops;
	ck_assert_int_eq(rig_do(&r, DISK_DISCARD, 0, NULL,
	    clusters * sizeof(buf)), 0);
	ck_assert_int_eq(rig_do(&r, DISK_FLUSH, 0, NULL, 0), 0);
	ck_assert_int_eq(rig_close(&r), 0);
	ck_assert_uint_lt(fakeaio_of(r.aio)->ops - before, clusters / 16);
	ck_assert_int_eq(stat(r.path, &st), 0);
	ck_assert_int_lt(st.st_blocks, (long)(clusters * sizeof(buf) / 512 /
	    4));
	rig_sh(&r, "qemu-img check disk.qcow2");
	teardown();
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("qcow2_free");

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, discards_free_space);
	tcase_add_test(tc, unreadable_free_space);
	tcase_add_loop_test(tc, discards_merge, 0, 2);
	return test_main("qcow2_free", tc);
}
