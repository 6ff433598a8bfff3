/* SPDX-License-Identifier: ISC */
/*
 * qcow2 images that somebody made to cost as much as they can, and disks for
 * which there is no memory: what is needed is bounded, and a detach needs none.
 * Guests that would make their disks images of another format.
 */
#include <time.h>
#include <zstd.h>

#include "devices/disk_qcow2.h"
#include "q2rig.h"

#define MIB	(1u << 20)

static struct rig r;

/* The linker puts these around all calls. */
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

static bool no_memory;

void *
__wrap_calloc(size_t n, size_t size)
{
	return no_memory ? NULL : __real_calloc(n, size);
}

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

static struct disk *
open_image(bool readonly)
{
	struct disk_how how = { .readonly = readonly };

	return disk_open(NULL, r.path, &how, r.err, sizeof(r.err));
}

/* Nothing is left of a disk, whatever it had in memory. */
START_TEST(detach_without_memory)
{
	static uint8_t buf[4096];

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 behind 64M && qemu-io -c "
	    "'write -P 1 0 1M' behind && qemu-img create -f qcow2 -b behind "
	    "-F qcow2 disk.qcow2 && qemu-io -c 'write -P 2 1M 1M' disk.qcow2");
	rig_open(&r);
	ck_assert_int_eq(rig_do(&r, DISK_READ, 0, buf, sizeof(buf)), 0);
	ck_assert_int_eq(rig_do(&r, DISK_READ, MIB, buf, sizeof(buf)), 0);
	ck_assert_uint_ge(disk_tables_used(r.cache), 2 * 4096);
	/* What was kept back cannot be written. */
	if (_i != 0)
		ck_assert_int_eq(rig_do(&r, DISK_WRITE, 2 * MIB, buf,
		    sizeof(buf)), 0);
	no_memory = true;
	ck_assert_int_eq(rig_close(&r), _i != 0 ? -ENOMEM : 0);
	no_memory = false;
	teardown();
}
END_TEST

/* All of an L1 table may name one L2 table, which is read each time. */
START_TEST(repair_of_one_table)
{
	uint64_t l1;

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 -o lazy_refcounts=on disk.qcow2 "
	    "2G && qemu-io -c 'write 0 64k' disk.qcow2 && "
	    "qemu-img snapshot -c s disk.qcow2");
	l1 = rig_peek(&r, 40);
	rig_poke(&r, 72, 8, Q2_INCOMPAT_DIRTY);
	r.d = open_image(false);
	ck_assert_msg(r.d != NULL, "%s", r.err);
	disk_close(r.d);
	rig_poke(&r, 72, 8, Q2_INCOMPAT_DIRTY);
	rig_poke(&r, l1 + 8, 8, rig_peek(&r, l1));
	ck_assert_ptr_null(open_image(false));
	ck_assert_msg(strstr(r.err, "too damaged") != NULL, "%s", r.err);
	teardown();
}
END_TEST

START_TEST(repair_is_bounded)
{
	struct q2_count c;

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 -o cluster_size=512,"
	    "refcount_bits=1 disk.qcow2 1M && qemu-io -c 'write 0 1M' "
	    "disk.qcow2");
	r.d = open_image(true);
	ck_assert_msg(r.d != NULL, "%s", r.err);
	ck_assert_int_eq(q2_count_begin(&c, (struct q2 *)r.d), 0);
	/* One bit counts to one. */
	ck_assert_int_eq(q2_count_bytes(&c, 0, 1024), 0);
	ck_assert_int_eq(q2_count_bytes(&c, 512, 1), -EILSEQ);
	q2_count_end(&c);
	/* 32 L2 tables of a cluster each. */
	ck_assert_int_eq(q2_count_begin(&c, (struct q2 *)r.d), 0);
	c.left = 32 * 512;
	ck_assert_int_eq(q2_count_all(&c), 0);
	q2_count_end(&c);
	ck_assert_int_eq(q2_count_begin(&c, (struct q2 *)r.d), 0);
	c.left = 32 * 512 - 1;
	ck_assert_int_eq(q2_count_all(&c), -EFBIG);
	q2_count_end(&c);
	disk_close(r.d);
	/* 2^20 blocks of 64 refcounts are 32 GiB. */
	rig_sh(&r, "rm disk.qcow2 && qemu-img create -f qcow2 -o "
	    "cluster_size=512,refcount_bits=64 disk.qcow2 1M && "
	    "truncate -s 33G disk.qcow2");
	r.d = open_image(true);
	ck_assert_msg(r.d != NULL, "%s", r.err);
	ck_assert_int_eq(q2_count_begin(&c, (struct q2 *)r.d), -EFBIG);
	q2_count_end(&c);
	disk_close(r.d);
	teardown();
}
END_TEST

/* What is logged goes to a file, until the old stderr, an fd, is back. */
static int
log_begin(void)
{
	char path[160];
	int old = dup(STDERR_FILENO), fd;

	snprintf(path, sizeof(path), "%s/warnings", r.dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
	return old;
}

static void
log_end(int old)
{
	ck_assert_int_eq(dup2(old, STDERR_FILENO), STDERR_FILENO);
	close(old);
}

/* The cluster of a table: L2, refcount block, snapshots, a snapshot's L1. */
static uint64_t
table_at(int kind)
{
	switch (kind) {
	case 0:
		return (rig_peek(&r, rig_peek(&r, 40)) & Q2_OFFSET) / 65536;
	case 1:
		return rig_peek(&r, rig_peek(&r, 48)) / 65536;
	case 2:
		return rig_peek(&r, 64) / 65536;
	default:
		return rig_peek(&r, rig_peek(&r, 64)) / 65536;
	}
}

/* A refcount says that a table's cluster is free: nothing takes it. */
START_TEST(tables_are_not_free)
{
	static uint8_t buf[65536];
	int kind = _i % 4, v3 = _i < 4, old;
	uint64_t at;

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 -o compat=%s disk.qcow2 64M && "
	    "qemu-io -c 'write -P 7 0 1M' disk.qcow2 && { [ %d -lt 2 ] || "
	    "qemu-img snapshot -c s disk.qcow2; }", v3 ? "1.1" : "0.10", kind);
	at = table_at(kind);
	rig_poke(&r, rig_peek(&r, rig_peek(&r, 48)) + at * 2, 2, 0);
	rig_sh(&r, "cp disk.qcow2 was");
	rig_open(&r);
	old = log_begin();
	memset(buf, 9, sizeof(buf));
	ck_assert_int_eq(rig_do(&r, DISK_WRITE, 32 * MIB, buf, 65536), -EIO);
	ck_assert(!v3 || rig_peek(&r, 72) == Q2_INCOMPAT_CORRUPT);
	/* From now on no refcount is believed ... */
	ck_assert_int_eq(rig_do(&r, DISK_WRITE, 40 * MIB, buf, 512), -EIO);
	log_end(old);
	rig_sh(&r, "[ $(wc -l <warnings) = 1 ] && grep 'the image is corrupt: "
	    "a table.s refcount is 0 at offset 0x%lx$' warnings",
	    (unsigned long)at * 65536);
	/* ... but what is there is read, and written in place. */
	ck_assert_int_eq(rig_do(&r, DISK_READ, MIB - 65536, buf, 65536), 0);
	ck_assert(buf[0] == 7 && buf[65535] == 7);
	if (kind < 2)
		ck_assert_int_eq(rig_do(&r, DISK_WRITE, 0, buf, 65536), 0);
	ck_assert_int_eq(rig_do(&r, DISK_FLUSH, 0, NULL, 0), 0);
	ck_assert_int_eq(rig_close(&r), 0);
	rig_sh(&r, "cmp -i 80 disk.qcow2 was");
	if (v3) {
		ck_assert_ptr_null(open_image(false));
		ck_assert_ptr_nonnull(strstr(r.err, "is marked as corrupt"));
	}
	rig_sh(&r, "qemu-img check -r all disk.qcow2 && qemu-io -c "
	    "'read -P 7 0 1M' -c 'read -P 0 1M 63M' disk.qcow2");
	rig_open(&r);
	ck_assert_int_eq(rig_do(&r, DISK_WRITE, 32 * MIB, buf, 65536), 0);
	ck_assert_int_eq(rig_close(&r), 0);
	rig_sh(&r, "qemu-img check disk.qcow2");
	teardown();
}
END_TEST

/* A new refcount block would be in the place of a table. */
START_TEST(no_block_over_a_table)
{
	static uint8_t buf[200 * 1024];

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 -o cluster_size=512 disk.qcow2 "
	    "4M");
	/* The first cluster of the second block. */
	rig_poke(&r, rig_peek(&r, 40) + 100 * 8, 8, Q2_COPIED | 256 * 512);
	rig_open(&r);
	ck_assert_int_eq(rig_do(&r, DISK_WRITE, 0, buf, sizeof(buf)), -EIO);
	ck_assert_uint_eq(rig_peek(&r, 72), Q2_INCOMPAT_CORRUPT);
	ck_assert_int_eq(rig_close(&r), 0);
	teardown();
}
END_TEST

/* Where a table was at the open is free once it has moved. */
START_TEST(tables_move)
{
	static uint8_t buf[512];
	uint64_t l1, at;
	struct q2 *q;

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 disk.qcow2 64M && "
	    "qemu-io -c 'write -P 7 0 1M' disk.qcow2");
	/* It does not say that the table is its own, which is copied so. */
	l1 = rig_peek(&r, 40);
	at = rig_peek(&r, l1) & Q2_OFFSET;
	rig_poke(&r, l1, 8, at);
	rig_open(&r);
	q = (struct q2 *)r.d;
	ck_assert_int_eq(rig_do(&r, DISK_WRITE, 2 * MIB, buf, 512), 0);
	ck_assert_int_eq(rig_do(&r, DISK_FLUSH, 0, NULL, 0), 0);
	ck_assert(q->reuse.n == 1 && q->reuse.run[0].first == at / 65536);
	ck_assert_int_eq(rig_do(&r, DISK_WRITE, 3 * MIB, buf, 512), 0);
	ck_assert_uint_eq(q->reuse.n, 0);
	ck_assert_int_eq(rig_close(&r), 0);
	ck_assert_uint_eq(rig_peek(&r, 72), 0);
	teardown();
}
END_TEST

/* Entries claim 4 MiB each, of which each read of a sector needs all. */
START_TEST(packed_bytes_are_bounded)
{
	static struct rig_req q[256];
	static uint8_t buf[256 * 512];
	uint64_t l2, entry[4];
	unsigned i, most = 0;

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 -o cluster_size=2M disk.qcow2 "
	    "10M && qemu-io -c 'write -c -P 1 0 2M' -c 'write -c -P 2 2M 2M' "
	    "-c 'write -c -P 3 4M 2M' -c 'write -c -P 4 6M 2M' disk.qcow2");
	l2 = rig_peek(&r, rig_peek(&r, 40)) & Q2_OFFSET;
	/* 21 bits of a cluster: 13 for its sectors. */
	for (i = 0; i < 4; i++) {
		entry[i] = rig_peek(&r, l2 + i * 8);
		rig_poke(&r, l2 + i * 8, 8, entry[i] | UINT64_C(0x1fff) << 49);
	}
	rig_open(&r);
	/* The table is read then. */
	ck_assert_int_eq(rig_do(&r, DISK_READ, 8 * MIB, buf, 512), 0);
	for (i = 0; i < 256; i++)
		rig_submit(&r, &q[i], DISK_READ, i % 4 * 2 * MIB + i * 4096,
		    buf + i * 512, 512);
	ck_assert_uint_eq(fakeaio_of(r.aio)->n, 1);
	while (fakeaio_step(r.aio))
		most = fakeaio_of(r.aio)->n > most ? fakeaio_of(r.aio)->n : most;
	ck_assert_uint_le(most, 2);
	for (i = 0; i < 256; i++)
		ck_assert(q[i].done && q[i].res == 0 &&
		    buf[i * 512] == i % 4 + 1 &&
		    buf[i * 512 + 511] == i % 4 + 1);
	/* What is as small as it says goes side by side. */
	for (i = 0; i < 4; i++)
		rig_poke(&r, l2 + i * 8, 8, entry[i]);
	ck_assert_int_eq(rig_close(&r), 0);
	rig_open(&r);
	for (i = 0; i < 4; i++)
		rig_submit(&r, &q[i], DISK_READ, i * 2 * MIB, buf, 512);
	for (most = 0; fakeaio_step(r.aio);)
		most = fakeaio_of(r.aio)->n > most ? fakeaio_of(r.aio)->n : most;
	ck_assert_uint_ge(most, 3);
	ck_assert_int_eq(rig_close(&r), 0);
	teardown();
}
END_TEST

#define WIDE	(2 * MIB)
#define WIDES	12u

/* Those that are being filled, as bits; each has begun after those before. */
static uint32_t
wides_filled(uint32_t *begun)
{
	const struct q2_fill *f;
	uint32_t now = 0;

	for (f = q2_fill_from((struct q2 *)r.d, 0); f != NULL; f = f->above)
		now |= 1u << f->first;
	*begun |= now;
	ck_assert_uint_eq(*begun & (*begun + 1), 0);
	return now;
}

/* A sector here and one there, of which each cluster needs all of 2 MiB. */
START_TEST(rests_are_bounded)
{
	static const char *const create[] = {
		/* What is behind; what is packed; what others have left. */
		"qemu-img create -f raw behind 24M && qemu-io -f raw -c "
		    "'write -P 7 0 24M' behind && qemu-img create -f qcow2 "
		    "-o cluster_size=2M -b behind -F raw disk.qcow2",
		"qemu-img create -f raw behind 24M && qemu-io -f raw -c "
		    "'write -P 7 0 24M' behind && qemu-img convert -c -O "
		    "qcow2 -o cluster_size=2M behind disk.qcow2",
		"qemu-img create -f qcow2 -o cluster_size=2M disk.qcow2 24M "
		    "&& qemu-io -c 'write -P 7 0 24M' -c 'write -z -u 0 24M' "
		    "disk.qcow2",
	};
	static struct rig_req q[2 * WIDES];
	static uint8_t sector[512], got[WIDE];
	uint32_t begun = 0;
	unsigned i, at, failed = 0, kind = (unsigned)_i % 3;

	setup();
	rig_sh(&r, "%s", create[kind]);
	rig_open(&r);
	memset(sector, 9, sizeof(sector));
	/* Behind a fill that fails, others go on, too. */
	fakeaio_of(r.aio)->fail_at = _i < 3 ? 0 : 9;
	fakeaio_of(r.aio)->fail_with = -EIO;
	for (i = 0; i < 2 * WIDES; i++) {
		at = i % WIDES * WIDE + (i < WIDES ? 4096 : MIB);
		rig_submit(&r, &q[i], DISK_WRITE, at, sector, 512);
	}
	do
		ck_assert_int_le(__builtin_popcount(wides_filled(&begun)), 4);
	while (fakeaio_step(r.aio));
	for (i = 0; i < 2 * WIDES; i++) {
		ck_assert(q[i].done && (q[i].res == 0 || _i >= 3));
		failed += q[i].res != 0;
	}
	ck_assert_uint_eq(failed, _i < 3 ? 0 : 1);
	for (i = 0; failed == 0 && i < WIDES; i++) {
		ck_assert_int_eq(rig_do(&r, DISK_READ, i * WIDE, got, WIDE),
		    0);
		for (at = 0; at < WIDE; at++)
			if (got[at] != (at / 512 == 4096 / 512 ||
			    at / 512 == MIB / 512 ? 9 : kind < 2 ? 7 : 0))
				ck_abort_msg("cluster %u at %u", i, at);
	}
	ck_assert_int_eq(rig_close(&r), 0);
	rig_sh(&r, "qemu-img check disk.qcow2");
	teardown();
}
END_TEST

/* Each needs two clusters, which others fill at the same time. */
START_TEST(rests_of_neighbours)
{
	static struct rig_req q[WIDES];
	static uint8_t buf[WIDES][WIDE], got[WIDE];
	unsigned i, at;

	setup();
	rig_sh(&r, "qemu-img create -f raw behind 26M && qemu-io -f raw -c "
	    "'write -P 99 0 26M' behind && qemu-img create -f qcow2 -o "
	    "cluster_size=2M -b behind -F raw disk.qcow2");
	rig_open(&r);
	for (i = 0; i < WIDES; i++) {
		memset(buf[i], (int)i, WIDE);
		at = (i * 7 + (unsigned)_i) % WIDES * WIDE + 512;
		rig_submit(&r, &q[i], DISK_WRITE, at, buf[i], WIDE);
	}
	fakeaio_run(r.aio);
	for (i = 0; i < WIDES; i++) {
		ck_assert(q[i].done && q[i].res == 0);
		ck_assert_int_eq(rig_do(&r, DISK_READ, q[i].req.offset, got,
		    WIDE), 0);
		ck_assert_mem_eq(got, buf[i], WIDE);
	}
	ck_assert_int_eq(rig_do(&r, DISK_READ, 0, got, 512), 0);
	ck_assert_uint_eq(got[0], 99);
	ck_assert_uint_eq(got[511], 99);
	ck_assert_int_eq(rig_close(&r), 0);
	rig_sh(&r, "qemu-img check disk.qcow2");
	teardown();
}
END_TEST

/* What the loop's thread has taken, in microseconds. */
static uint64_t
used_up(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/*
 * A place is found for each cluster alone, while more and more are filled: for
 * sixteen times as many it takes some thirty times as long, not the square.
 */
START_TEST(fills_do_not_add_up)
{
	static uint8_t buf[4 * MIB];
	static struct rig_req q[256];
	uint64_t took[2];
	unsigned i, n, most = 16;

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 -o cluster_size=512 disk.qcow2 "
	    "64M");
	rig_open(&r);
	for (i = 0; i < 16 * MIB; i += 4 * MIB)
		ck_assert_int_eq(rig_do(&r, DISK_WRITE, i, buf, 4 * MIB), 0);
	/* The tables for what comes then. */
	for (i = 32 * MIB; i < 48 * MIB; i += 32768)
		ck_assert_int_eq(rig_do(&r, DISK_WRITE, i, buf, 512), 0);
	for (i = 0; i < 16 * MIB; i += 1024)
		ck_assert_int_eq(rig_do(&r, DISK_DISCARD, i, NULL, 512), 0);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(rig_do(&r, DISK_FLUSH, 0, NULL, 0), 0);
	for (n = 0; n < 2; n++, most *= 16) {
		took[n] = used_up();
		for (i = 0; i < most; i++)
			rig_submit(&r, &q[i], DISK_WRITE, (32 + n * 8) * MIB +
			    i * 16384, buf, 16384);
		took[n] = used_up() - took[n];
		fakeaio_run(r.aio);
		for (i = 0; i < most; i++)
			ck_assert(q[i].done && q[i].res == 0);
	}
	ck_assert_uint_le(took[1], 120 * took[0]);
	ck_assert_int_eq(rig_close(&r), 0);
	rig_sh(&r, "qemu-img check disk.qcow2");
	teardown();
}
END_TEST

/* A frame of a cluster that may look back 2^log bytes; its length. */
static size_t
pack(uint8_t *to, size_t room, int log, uint8_t fill)
{
	static uint8_t cluster[65536];
	ZSTD_outBuffer out = { to, room, 0 };
	ZSTD_inBuffer in = { cluster, sizeof(cluster), 0 };
	ZSTD_CCtx *z = ZSTD_createCCtx();

	memset(cluster, fill, sizeof(cluster));
	ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, log);
	/* Not all at once, or it would know that less will do. */
	ck_assert(!ZSTD_isError(ZSTD_compressStream2(z, &out, &in,
	    ZSTD_e_continue)));
	ck_assert_uint_eq(ZSTD_compressStream2(z, &out, &in, ZSTD_e_end), 0);
	ZSTD_freeCCtx(z);
	return out.pos;
}

START_TEST(window_is_bounded)
{
	static const int log[] = { 21, 22, 27 };
	static uint8_t packed[512], buf[65536];
	uint64_t entry;
	size_t n, i;

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 -o compression_type=zstd "
	    "disk.qcow2 1M && qemu-io -c 'write -c -P 1 0 64k' disk.qcow2");
	entry = rig_peek(&r, rig_peek(&r, rig_peek(&r, 40)) & Q2_OFFSET);
	ck_assert_uint_ne(entry & Q2_COMPRESSED_BIT, 0);
	n = pack(packed, sizeof(packed), log[_i], 7);
	for (i = 0; i < n; i++)
		rig_poke(&r, (entry & ((UINT64_C(1) << 54) - 1)) + i, 1,
		    packed[i]);
	rig_open(&r);
	ck_assert_int_eq(rig_do(&r, DISK_READ, 0, buf, sizeof(buf)),
	    log[_i] == 21 ? 0 : -EIO);
	ck_assert(log[_i] != 21 || (buf[0] == 7 && buf[65535] == 7));
	ck_assert_int_eq(rig_close(&r), 0);
	teardown();
}
END_TEST

/* A table may be longer than the disk asks for. */
START_TEST(tables_are_as_long_as_needed)
{
	const struct q2 *q;

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 disk.qcow2 1G && qemu-img create "
	    "-f qcow2 -b disk.qcow2 -F qcow2 above");
	rig_poke(&r, 36, 4, Q2_L1_MAX / 8);
	snprintf(r.path, sizeof(r.path), "%s/above", r.dir);
	rig_open(&r);
	q = (const struct q2 *)((const struct q2 *)r.d)->backing;
	ck_assert_uint_eq(q->l1_size, 2);
	ck_assert_uint_eq(q->l1_whole, Q2_L1_MAX / 8);
	ck_assert_int_eq(rig_close(&r), 0);
	/* Two disks of 128 GiB are as much as one may have. */
	rig_sh(&r, "for i in 1 2 3; do qemu-img create -f qcow2 -o "
	    "cluster_size=512 -u -b $((i - 1)) -F qcow2 $i 128G || exit; "
	    "done; truncate -s 1M 0; qemu-img rebase -u -b 0 -F raw 1");
	snprintf(r.path, sizeof(r.path), "%s/2", r.dir);
	r.d = open_image(true);
	ck_assert_msg(r.d != NULL, "%s", r.err);
	disk_close(r.d);
	snprintf(r.path, sizeof(r.path), "%s/3", r.dir);
	ck_assert_ptr_null(open_image(true));
	ck_assert_msg(strstr(r.err, "/1: its L1 table") != NULL, "%s", r.err);
	teardown();
}
END_TEST

/* No guest makes its disk look like another format; LUKS is its affair. */
START_TEST(foreign_by_guest)
{
	static const struct {
		unsigned at, len;
		const char *magic;
	} row[] = {
		{ 0, 4, "KDMV" },
		{ 0, 4, "COWD" },
		{ 0, 21, "# Disk DescriptorFile" },
		{ 0, 8, "conectix" },
		{ 0, 8, "vhdxfile" },
		{ 0, 4, "QED" },
		{ 0, 16, "WithoutFreeSpace" },
		{ 0, 16, "WithouFreSpacExt" },
		{ 64, 4, "\x7f\x10\xda\xbe" },
	};
	uint8_t buf[1024];
	unsigned i;

	setup();
	rig_sh(&r, "truncate -s 1M disk.qcow2");
	rig_open(&r);
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		memset(buf, 0, sizeof(buf));
		memcpy(buf + row[i].at, row[i].magic, row[i].len);
		ck_assert_int_eq(rig_do(&r, DISK_WRITE, 0, buf, 512), -EPERM);
		ck_assert_int_eq(rig_do(&r, DISK_WRITE, 0, buf, 1024), -EPERM);
		ck_assert_int_eq(rig_do(&r, DISK_WRITE, 512, buf, 512), 0);
		/* All but the last byte. */
		buf[row[i].at + row[i].len - 1] ^= 1;
		ck_assert_int_eq(rig_do(&r, DISK_WRITE, 0, buf, 512), 0);
	}
	memcpy(buf, "LUKS\xba\xbe", 6);
	ck_assert_int_eq(rig_do(&r, DISK_WRITE, 0, buf, 512), 0);
	ck_assert_int_eq(rig_close(&r), 0);
	rig_open(&r);
	ck_assert_int_eq(disk_kind(r.d), DISK_RAW);
	ck_assert_int_eq(rig_close(&r), 0);
	teardown();
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("qcow2_hostile");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, detach_without_memory, 0, 2);
	tcase_add_test(tc, repair_of_one_table);
	tcase_add_test(tc, repair_is_bounded);
	tcase_add_loop_test(tc, tables_are_not_free, 0, 8);
	tcase_add_test(tc, no_block_over_a_table);
	tcase_add_test(tc, tables_move);
	tcase_add_test(tc, packed_bytes_are_bounded);
	tcase_add_loop_test(tc, rests_are_bounded, 0, 6);
	tcase_add_loop_test(tc, rests_of_neighbours, 0, 3);
	tcase_add_test(tc, fills_do_not_add_up);
	tcase_add_loop_test(tc, window_is_bounded, 0, 3);
	tcase_add_test(tc, tables_are_as_long_as_needed);
	tcase_add_test(tc, foreign_by_guest);
	return test_main("qcow2_hostile", tc);
}
