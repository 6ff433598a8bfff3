/* SPDX-License-Identifier: ISC */
/*
 * qcow2 disks: what is refused, and why; images behind images; what was not
 * closed is repaired; errors are the request's alone; one image that hangs is
 * no other's concern; tables in memory are bounded.
 */
#include <errno.h>
#include <sys/mman.h>

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

static void
poke(uint64_t off, unsigned bytes, uint64_t v)
{
	rig_poke(&r, off, bytes, v);
}

static uint64_t
peek(uint64_t off)
{
	return rig_peek(&r, off);
}

static void
looked_at(struct disk_look *look, const struct disk_seen *seen)
{
	(void)look;
	ck_assert_ptr_nonnull(seen->path);
}

/* Also by those who only look. */
static void
refused(enum disk_kind kind, bool readonly, const char *want)
{
	struct disk_look look = { looked_at };
	struct disk_how how = { .kind = kind, .readonly = readonly };
	char line[600];
	int i;

	snprintf(line, sizeof(line), "disk %s: %s", r.path, want);
	for (i = 0; i < 2; i++) {
		r.d = disk_open(NULL, r.path, &how, r.err, sizeof(r.err));
		ck_assert_msg(r.d == NULL, "not refused: %s", want);
		ck_assert_str_eq(r.err, line);
		how.look = &look;
	}
}

START_TEST(bad_headers)
{
	static const struct {
		uint64_t	off;
		unsigned	bytes;
		uint64_t	v;
		const char	*why;
	} row[] = {
		{ 4, 4, 4, "this version of qcow2 is unknown" },
		{ 4, 4, 1, "is a qcow image of version 1, which is not "
		    "supported; convert it by qemu-img" },
		{ 4, 4, 0, "this version of qcow2 is unknown" },
		{ 20, 4, 8, "the size of its clusters is not of this world" },
		{ 20, 4, 22, "the size of its clusters is not of this world" },
		{ 24, 8, UINT64_MAX, "is too large" },
		{ 24, 8, 1ull << 60, "the size of its L1 table is wrong" },
		{ 32, 4, 1, "is encrypted, which is not supported" },
		{ 32, 4, 2, "is encrypted, which is not supported" },
		{ 36, 4, 0, "the size of its L1 table is wrong" },
		{ 36, 4, 1u << 31, "the size of its L1 table is wrong" },
		{ 40, 8, 512, "a table is where none can be" },
		{ 48, 8, 0, "a table is where none can be" },
		{ 48, 8, 512, "a table is where none can be" },
		{ 56, 4, 0, "the size of its refcount table is wrong" },
		{ 56, 4, 1000, "the size of its refcount table is wrong" },
		{ 60, 4, 65537, "has too many snapshots" },
		{ 64, 8, 3, "a table is where none can be" },
		{ 96, 4, 7, "its refcounts are too wide" },
		{ 100, 4, 96, "the length of the header is wrong" },
		{ 100, 4, 108, "the length of the header is wrong" },
		{ 100, 4, 1u << 17, "the length of the header is wrong" },
		{ 104, 1, 1, "is compressed in an unknown way" },
		{ 104, 1, 2, "is compressed in an unknown way" },
		{ 116, 4, 1u << 30, "a header extension is wrong" },
		/* The dirty bit's name is in every image's table. */
		{ 72, 8, 1ull << 40, "needs the unknown feature 40" },
		{ 72, 8, 1ull << 63, "needs the unknown feature 63" },
		{ 72, 8, 2, "is marked as corrupt, and can only be read" },
		{ 72, 8, 4, "does not name its data file" },
	};
	unsigned i;

	setup();
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		rig_sh(&r, "qemu-img create -f qcow2 disk.qcow2 64M");
		poke(row[i].off, row[i].bytes, row[i].v);
		refused(DISK_AUTO, false, row[i].why);
	}
	teardown();
}
END_TEST

/* A copy that was interrupted, or a full file system. */
START_TEST(cut_headers)
{
	static const struct {
		const char	*compat;
		unsigned	bytes;
		const char	*why;
	} row[] = {
		{ "1.1", 4, "is cut off within its header" },
		{ "1.1", 7, "is cut off within its header" },
		{ "1.1", 50, "is cut off within its header" },
		{ "1.1", 103, "is cut off within its header" },
		{ "0.10", 71, "is cut off within its header" },
		{ "0.10", 3, "its size is not a multiple of 512 bytes" },
	};
	unsigned i;

	setup();
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		rig_sh(&r, "qemu-img create -f qcow2 -o compat=%s disk.qcow2 "
		    "64M && truncate -s %u disk.qcow2", row[i].compat,
		    row[i].bytes);
		refused(DISK_AUTO, false, row[i].why);
	}
	rig_sh(&r, "qemu-img create -f qcow disk.qcow2 64M");
	refused(DISK_QCOW2, true, "is a qcow image of version 1, which is not "
	    "supported; convert it by qemu-img");
	teardown();
}
END_TEST

/* An unknown feature goes by the name that the image has for it. */
START_TEST(features_by_name)
{
	uint64_t at;

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 disk.qcow2 64M");
	/* The first extension is the table of names; 8 bytes, then rows. */
	at = 112;
	ck_assert_uint_eq(peek(at) >> 32, 0x6803f857);
	poke(at + 8, 2, 41);
	poke(at + 10, 8, 0x7761727020647269);	/* "warp dri" */
	poke(at + 18, 8, 0x7665000000000000);	/* "ve" */
	poke(72, 8, 1ull << 41);
	refused(DISK_AUTO, false,
	    "needs the feature `warp drive', which is not supported");
	teardown();
}
END_TEST

START_TEST(kinds)
{
	struct disk_how how = { .kind = DISK_RAW };
	uint8_t buf[1024] = { 'Q', 'F', 'I', 0xfb };

	setup();
	rig_sh(&r, "truncate -s 1M disk.qcow2");
	refused(DISK_QCOW2, false, "is not a qcow2 image");
	/* A guest cannot make its disk an image of another kind ... */
	rig_open(&r);
	ck_assert_int_eq(disk_kind(r.d), DISK_RAW);
	ck_assert_int_eq(rig_do(&r, DISK_WRITE, 0, buf, 1024), -EPERM);
	ck_assert_int_eq(rig_do(&r, DISK_WRITE, 512, buf, 512), 0);
	buf[0] = 0;
	ck_assert_int_eq(rig_do(&r, DISK_WRITE, 0, buf, 1024), 0);
	ck_assert_int_eq(rig_close(&r), 0);
	/* ... unless somebody has said what it is. */
	buf[0] = 'Q';
	r.d = disk_open(NULL, r.path, &how, r.err, sizeof(r.err));
	disk_attach(r.d, r.aio, r.cache);
	ck_assert_int_eq(rig_do(&r, DISK_WRITE, 0, buf, 1024), 0);
	ck_assert_int_eq(rig_close(&r), 0);
	teardown();
}
END_TEST

/* Images of other formats, as QEMU makes them, are nobody's raw disk ... */
START_TEST(foreign)
{
	static const struct {
		const char *options, *name;
	} row[] = {
		{ "vmdk", "VMDK" },
		{ "vmdk -o subformat=monolithicFlat", "VMDK" },
		{ "vdi", "VDI" },
		{ "vpc", "VHD" },
		{ "vpc -o subformat=fixed", "VHD" },
		{ "vhdx", "VHDX" },
		{ "qed", "QED" },
		{ "parallels", "Parallels" },
	};
	struct disk_how how = { .kind = DISK_RAW };
	unsigned i;
	char why[200];

	setup();
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		rig_sh(&r, "rm -f disk* && qemu-img create -f %s disk.qcow2 8M",
		    row[i].options);
		snprintf(why, sizeof(why), "looks like a %s image, which is "
		    "not supported; convert it by qemu-img, or say "
		    "format=raw", row[i].name);
		refused(DISK_AUTO, false, why);
		refused(DISK_AUTO, true, why);
		/* ... unless somebody has said so. */
		rig_sh(&r, "truncate -s %%512 disk.qcow2");
		r.d = disk_open(NULL, r.path, &how, r.err, sizeof(r.err));
		ck_assert_msg(r.d != NULL, "%s", r.err);
		disk_close(r.d);
	}
	rig_sh(&r, "truncate -s 0 disk.qcow2 && truncate -s 1M disk.qcow2 && "
	    "printf COWD | dd of=disk.qcow2 conv=notrunc");
	refused(DISK_AUTO, false, "looks like a VMDK image, which is not "
	    "supported; convert it by qemu-img, or say format=raw");
	/* Who stands behind another image is told of, without advice. */
	rig_sh(&r, "mv disk.qcow2 v && qemu-img create -u -f qcow2 -b v "
	    "-F raw disk.qcow2 1M && sed -i 's/\\xe2y.\\xca/none/' "
	    "disk.qcow2");
	snprintf(why, sizeof(why), "%s/v: looks like a VMDK image, which is "
	    "not supported; convert it by qemu-img", r.dir);
	refused(DISK_AUTO, false, why);
	teardown();
}
END_TEST

/* Another processor of the guest's changes the memory of a write. */
START_TEST(kind_cannot_change_later)
{
	static uint8_t buf[16384], got[16384];
	struct rig_req q;

	setup();
	rig_sh(&r, "truncate -s 1M disk.qcow2");
	rig_open(&r);
	memset(buf, 5, sizeof(buf));
	rig_submit(&r, &q, DISK_WRITE, 0, buf, sizeof(buf));
	memcpy(buf, "QFI\xfb", 4);
	fakeaio_run(r.aio);
	ck_assert(q.done && q.res == 0);
	ck_assert_int_eq(rig_do(&r, DISK_READ, 0, got, sizeof(got)), 0);
	memset(buf, 5, 4);
	ck_assert_mem_eq(got, buf, sizeof(buf));
	/* A sector alone, and behind the first. */
	rig_submit(&r, &q, DISK_WRITE, 0, buf, 512);
	memcpy(buf, "QFI\xfb", 4);
	fakeaio_run(r.aio);
	ck_assert(q.done && q.res == 0);
	ck_assert_uint_eq(peek(0), 0x0505050505050505);
	ck_assert_int_eq(rig_do(&r, DISK_WRITE, 512, buf, 512), 0);
	ck_assert_uint_eq(peek(512) >> 32, 0x514649fb);
	ck_assert_int_eq(rig_close(&r), 0);
	teardown();
}
END_TEST

START_TEST(corrupt_is_read)
{
	struct disk_how how = { .readonly = true };
	uint8_t buf[512];

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 disk.qcow2 64M && "
	    "qemu-io -c 'write -P 5 0 64k' disk.qcow2");
	poke(72, 8, 2);
	r.d = disk_open(NULL, r.path, &how, r.err, sizeof(r.err));
	ck_assert_msg(r.d != NULL, "%s", r.err);
	disk_attach(r.d, r.aio, r.cache);
	ck_assert_int_eq(rig_do(&r, DISK_READ, 0, buf, 512), 0);
	ck_assert_uint_eq(buf[100], 5);
	ck_assert_int_eq(rig_do(&r, DISK_WRITE, 0, buf, 512), -EBADF);
	ck_assert_int_eq(rig_do(&r, DISK_DISCARD, 0, NULL, 512), -EBADF);
	ck_assert_int_eq(rig_do(&r, DISK_FLUSH, 0, NULL, 0), 0);
	ck_assert_int_eq(rig_close(&r), 0);
	ck_assert_uint_eq(peek(72), 2);
	teardown();
}
END_TEST

/* What others keep true by bits that we do not know is no longer. */
START_TEST(autoclear)
{
	setup();
	rig_sh(&r, "qemu-img create -f qcow2 disk.qcow2 64M && "
	    "qemu-img bitmap --add disk.qcow2 b");
	ck_assert_uint_eq(peek(88), 1);
	poke(88, 8, 0xff01);
	rig_open(&r);
	ck_assert_int_eq(rig_close(&r), 0);
	ck_assert_uint_eq(peek(88), 0);
	teardown();
}
END_TEST

START_TEST(chains)
{
	uint8_t buf[512];
	unsigned i;

	setup();
	rig_sh(&r, "truncate -s 1000 raw && printf x | dd of=raw bs=1 "
	    "seek=999 conv=notrunc && mkdir sub && "
	    "qemu-img create -f qcow2 -b ../raw -F raw sub/c1 2M");
	for (i = 2; i < 32; i++)
		rig_sh(&r, "qemu-img create -u -f qcow2 -b c%u -F qcow2 "
		    "sub/c%u 2M", i - 1, i);
	snprintf(r.path, sizeof(r.path), "%s/sub/c31", r.dir);
	rig_open(&r);
	/* The raw file's last sector is not a whole one. */
	ck_assert_int_eq(rig_do(&r, DISK_READ, 512, buf, 512), 0);
	ck_assert_uint_eq(buf[999 - 512], 'x');
	ck_assert_uint_eq(buf[511], 0);
	ck_assert_int_eq(rig_close(&r), 0);
	rig_sh(&r, "qemu-img create -u -f qcow2 -b c31 -F qcow2 sub/c32 2M");
	snprintf(r.path, sizeof(r.path), "%s/sub/c32", r.dir);
	ck_assert_ptr_null(disk_open(NULL, r.path, &(struct disk_how){ 0 },
	    r.err, sizeof(r.err)));
	ck_assert_ptr_nonnull(strstr(r.err, "more than 32 images"));
	teardown();
}
END_TEST

START_TEST(what_is_behind)
{
	static const struct {
		const char	*create;
		const char	*why;
	} row[] = {
		{ "-u -b gone -F raw", "/gone: No such file or directory" },
		{ "-u -b gone -F vmdk",
		    "the format `vmdk' of the image behind is unknown" },
		{ "-u -b nbd://x/y -F raw",
		    "the image behind it, `nbd://x/y', is named by "
		    "something else than a file" },
		{ "-u -b ./disk.qcow2 -F qcow2", "/disk.qcow2: is behind "
		    "itself" },
	};
	unsigned i;

	setup();
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		rig_sh(&r, "rm -f disk.qcow2 && qemu-img create -f qcow2 %s "
		    "disk.qcow2 1M", row[i].create);
		ck_assert_ptr_null(disk_open(NULL, r.path,
		    &(struct disk_how){ 0 }, r.err, sizeof(r.err)));
		ck_assert_msg(strstr(r.err, row[i].why) != NULL, "%s", r.err);
	}
	ck_assert_ptr_null(disk_open(NULL, r.path,
	    &(struct disk_how){ .readonly = true }, r.err,
	    sizeof(r.err)));
	ck_assert_msg(strstr(r.err, "is behind itself") != NULL, "%s", r.err);
	teardown();
}
END_TEST

/* QEMU keeps refcounts back, and is killed. */
START_TEST(unclosed_is_repaired)
{
	static const char *const opts[] = {
		"cluster_size=65536", "cluster_size=512,refcount_bits=64",
		"cluster_size=4096,refcount_bits=4",
		"cluster_size=16384,extended_l2=on",
	};
	uint8_t buf[512];

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 -o lazy_refcounts=on,%s "
	    "disk.qcow2 4M && qemu-io -c 'write -P 1 0 100k' -c 'write -P 2 "
	    "1M 300k' disk.qcow2 && qemu-img snapshot -c s disk.qcow2",
	    opts[_i]);
	(void)rig_run(&r, "qemu-io -c 'write -P 3 50k 100k' -c 'write -P 4 "
	    "2M 400k' -c flush -c abort disk.qcow2");
	ck_assert_uint_eq(peek(72) & 1, 1);
	rig_open(&r);
	ck_assert_uint_eq(peek(72) & 1, 0);
	memset(buf, 9, sizeof(buf));
	ck_assert_int_eq(rig_do(&r, DISK_WRITE, 3 * MIB, buf, 512), 0);
	ck_assert_int_eq(rig_close(&r), 0);
	rig_sh(&r, "qemu-img check disk.qcow2");
	rig_sh(&r, "qemu-io -c 'read -P 1 0 50k' -c 'read -P 3 50k 100k' "
	    "-c 'read -P 2 1M 300k' -c 'read -P 4 2M 400k' "
	    "-c 'read -P 9 3M 512' disk.qcow2 && ! grep -i fail log");
	rig_sh(&r, "qemu-img snapshot -a s disk.qcow2 && qemu-io -c "
	    "'read -P 1 0 100k' disk.qcow2 && ! grep -i fail log");
	teardown();
}
END_TEST

/* A file cut short under a running guest is an error, no zeroes. */
START_TEST(truncated_file)
{
	static uint8_t buf[65536];

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 disk.qcow2 2G && qemu-io "
	    "-c 'write -P 1 0 128k' -c 'write -P 2 1G 64k' disk.qcow2");
	rig_open(&r);
	ck_assert_int_eq(rig_do(&r, DISK_READ, 0, buf, 65536), 0);
	ck_assert_int_eq(truncate(r.path, 6 * 65536), 0);
	/* The second cluster, and another one's L2 table. */
	ck_assert_int_eq(rig_do(&r, DISK_READ, 65536, buf, 65536), -EIO);
	ck_assert_int_eq(rig_do(&r, DISK_READ, 1u << 30, buf, 512), -EIO);
	ck_assert_int_eq(rig_do(&r, DISK_READ, 0, buf, 65536), 0);
	ck_assert_uint_eq(buf[65535], 1);
	ck_assert_int_eq(rig_close(&r), 0);
	teardown();
}
END_TEST

/* One compressed cluster is broken: no other is. */
START_TEST(broken_cluster)
{
	static const char *const kind[] = { "zlib", "zstd" };
	static uint8_t buf[3 << 20];
	struct rig_req q[3];
	uint64_t entry;
	unsigned i;

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 -o cluster_size=1M,"
	    "compression_type=%s disk.qcow2 4M && qemu-io -c 'write -c -P 1 "
	    "0 1M' -c 'write -c -P 2 1M 1M' -c 'write -c -P 3 2M 1M' "
	    "disk.qcow2", kind[_i]);
	entry = peek((peek(peek(40)) & Q2_OFFSET) + 8);
	ck_assert_uint_ne(entry & Q2_COMPRESSED_BIT, 0);
	/* 20 bits of a cluster: 12 for its sectors, 50 for where it is. */
	poke(entry & ((UINT64_C(1) << 50) - 1), 8, UINT64_MAX);
	rig_open(&r);
	for (i = 0; i < 3; i++)
		rig_submit(&r, &q[i], DISK_READ, i * MIB, buf + i * MIB, MIB);
	fakeaio_run(r.aio);
	for (i = 0; i < 3; i++) {
		ck_assert(q[i].done);
		ck_assert_int_eq(q[i].res, i == 1 ? -EIO : 0);
		ck_assert(i == 1 || (buf[i * MIB] == i + 1 &&
		    buf[(i + 1) * MIB - 1] == i + 1));
	}
	/* What is written anew needs nothing of it. */
	ck_assert_int_eq(rig_do(&r, DISK_WRITE, MIB, buf, 4096), -EIO);
	ck_assert_int_eq(rig_do(&r, DISK_WRITE, MIB, buf, MIB), 0);
	ck_assert_int_eq(rig_close(&r), 0);
	rig_sh(&r, "qemu-img check disk.qcow2");
	teardown();
}
END_TEST

/* Writes over the whole disk; which of them failed. */
static unsigned
write_all(uint8_t *model, uint8_t fill, bool *unsure)
{
	static uint8_t buf[8192];
	unsigned i, failed = 0;

	for (i = 0; i < 64; i++) {
		memset(buf, fill + (int)i, sizeof(buf));
		if (rig_do(&r, DISK_WRITE, i * 32768ull, buf, sizeof(buf)) !=
		    0) {
			unsure[i] = true;
			failed++;
		} else {
			unsure[i] = false;
			memset(model + i * 32768, fill + (int)i, sizeof(buf));
		}
		if (i % 16 == 9)
			failed += rig_do(&r, DISK_FLUSH, 0, NULL, 0) != 0;
	}
	return failed;
}

/*
 * Any one operation fails: tables stay sound, and the disk goes on; but what
 * was not written when a flush failed is lost, and none succeeds any more.
 */
START_TEST(errors)
{
	static uint8_t model[2 * MIB], got[2 * MIB];
	static const int error[] = { -EIO, -ENOSPC };
	bool unsure[64], lost;
	unsigned at, failed = 1, i;

	for (at = 1 + (unsigned)_i; failed != 0; at += 2 + at / 16) {
		setup();
		rig_sh(&r, "qemu-img create -f qcow2 -o cluster_size=4096,"
		    "refcount_bits=64 disk.qcow2 2M && qemu-io -c 'write -P 7 "
		    "0 2M' disk.qcow2 && qemu-img snapshot -c s disk.qcow2");
		memset(model, 7, sizeof(model));
		rig_open(&r);
		fakeaio_of(r.aio)->fail_at = at;
		fakeaio_of(r.aio)->fail_with = error[_i];
		failed = write_all(model, 20, unsure);
		fakeaio_of(r.aio)->fail_at = 0;
		ck_assert_int_eq(rig_do(&r, DISK_READ, 0, got, sizeof(got)),
		    0);
		for (i = 0; i < 64; i++)
			ck_assert(unsure[i] || memcmp(got + i * 32768, model +
			    i * 32768, 32768) == 0);
		lost = fakeaio_of(r.aio)->flush_failed;
		ck_assert_uint_eq(write_all(model, 120, unsure), lost ? 4 : 0);
		ck_assert_int_eq(rig_close(&r), lost ? error[_i] : 0);
		i = (unsigned)rig_run(&r, "qemu-img check disk.qcow2");
		ck_assert_msg(i == 0 || i == 3, "at %u: check %u", at, i);
		teardown();
	}
	ck_assert_uint_gt(at, 60);
}
END_TEST

/* Reads and writes where each needs a table of its own, and flushes. */
static void
submit_some(struct rig_req *q, unsigned n)
{
	static const enum disk_op op[] = {
		DISK_WRITE, DISK_READ, DISK_WRITE, DISK_FLUSH,
	};
	static uint8_t buf[8192];
	unsigned i;

	for (i = 0; i < n; i++)
		rig_submit(&r, &q[i], op[i % 4], i * 100 * MIB,
		    op[i % 4] == DISK_FLUSH ? NULL : buf,
		    op[i % 4] == DISK_FLUSH ? 0 : sizeof(buf));
}

/* All that a disk does from its open to its end, each request at once. */
static void
use_other(const char *path)
{
	struct disk *mine = r.d;
	struct disk_how how = { 0 };
	static uint8_t buf[8192];
	unsigned i;

	r.d = disk_open(NULL, path, &how, r.err, sizeof(r.err));
	ck_assert_ptr_nonnull(r.d);
	disk_attach(r.d, r.aio, r.cache);
	for (i = 0; i < 8; i++) {
		ck_assert_int_eq(rig_do(&r, i % 2 == 0 ? DISK_WRITE :
		    DISK_READ, i * 150ull * MIB, buf, sizeof(buf)), 0);
		ck_assert_int_eq(rig_do(&r, DISK_FLUSH, 0, NULL, 0), 0);
	}
	ck_assert_int_eq(rig_do(&r, DISK_DETACH, 0, NULL, 0), 0);
	disk_close(r.d);
	r.d = mine;
}

/*
 * While an operation of an image hangs, each in turn, another disk is opened
 * and served: where tables must be made, where they must be read, and where
 * what is read is in the image behind.
 */
START_TEST(one_that_hangs)
{
	static const char *const create[] = {
		"qemu-img create -f qcow2 disk.qcow2 2G",
		"qemu-img create -f qcow2 -o preallocation=metadata "
		    "disk.qcow2 2G",
		"qemu-img create -f qcow2 -o preallocation=metadata behind 2G"
		    " && qemu-img create -f qcow2 -b behind -F qcow2 "
		    "disk.qcow2",
	};
	unsigned at, i, n = 16, done, hung = 0;
	struct rig_req q[16];
	char path[160];

	for (at = 1; at < 36; at++) {
		setup();
		rig_sh(&r, "%s && qemu-img create -f qcow2 other 2G",
		    create[_i]);
		snprintf(path, sizeof(path), "%s/other", r.dir);
		rig_open(&r);
		fakeaio_of(r.aio)->hold_at = at;
		submit_some(q, n);
		fakeaio_run(r.aio);
		fakeaio_of(r.aio)->hold_at = 0;
		use_other(path);
		for (i = 0, done = 0; i < n; i++)
			done += q[i].done;
		ck_assert(fakeaio_of(r.aio)->held != NULL ? done < n : done == n);
		hung += done < n;
		fakeaio_release(r.aio);
		fakeaio_run(r.aio);
		for (i = 0; i < n; i++)
			ck_assert(q[i].done && q[i].res == 0);
		ck_assert_int_eq(rig_close(&r), 0);
		teardown();
	}
	ck_assert_uint_ge(hung, 20);
}
END_TEST

/* The tables of 16 GiB would be 2 MiB: 64 KiB have to do, flushed or not. */
START_TEST(cache_is_bounded)
{
	static uint8_t buf[512];
	size_t most = 0;
	unsigned i;

	rig_setup(&r, 5, 65536);
	rig_sh(&r, "qemu-img create -f qcow2 disk.qcow2 16G");
	rig_open(&r);
	for (i = 0; i < 600; i++) {
		ck_assert_int_eq(rig_do(&r, DISK_WRITE, i * 27ull * MIB, buf,
		    512), 0);
		if (_i == 0 && i % 8 == 7)
			ck_assert_int_eq(rig_do(&r, DISK_FLUSH, 0, NULL, 0),
			    0);
		if (disk_tables_used(r.cache) > most)
			most = disk_tables_used(r.cache);
	}
	ck_assert_uint_le(most, 65536 + 10 * 4096);
	ck_assert_uint_ge(most, 60000);
	ck_assert_int_eq(rig_close(&r), 0);
	rig_sh(&r, "qemu-img check disk.qcow2");
	teardown();
}
END_TEST

/* To look for a free cluster takes long where most are taken. */
START_TEST(others_come_between)
{
	static uint8_t buf[8 * MIB];
	struct rig_req q[2];
	struct q2 *disk;
	uint64_t end;

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 -o cluster_size=512 disk.qcow2 "
	    "64M");
	rig_open(&r);
	disk = (struct q2 *)r.d;
	ck_assert_int_eq(rig_do(&r, DISK_WRITE, 0, buf, sizeof(buf)), 0);
	/* The pieces of all refcounts up to there are in memory. */
	end = disk->scan;
	ck_assert_uint_gt(end, 8 * MIB / 512);
	disk->scan = 0;
	rig_submit(&r, &q[0], DISK_WRITE, 32 * MIB, buf, 512);
	rig_submit(&r, &q[1], DISK_READ, 0, buf, 512);
	ck_assert_uint_gt(disk->scan, 0);
	ck_assert_uint_lt(disk->scan, end - 1024);
	fakeaio_run(r.aio);
	ck_assert(q[0].done && q[0].res == 0 && q[1].done && q[1].res == 0);
	ck_assert_uint_ge(disk->scan, end);
	ck_assert_int_eq(rig_close(&r), 0);
	rig_sh(&r, "qemu-img check disk.qcow2");
	teardown();
}
END_TEST

/* Without a flush, a commit comes when much has changed. */
START_TEST(commits_without_flushes)
{
	static uint8_t buf[512];
	unsigned i, most = 0;
	struct q2 *q;

	setup();
	rig_sh(&r, "qemu-img create -f qcow2 -o cluster_size=512 disk.qcow2 "
	    "512M");
	rig_open(&r);
	q = (struct q2 *)r.d;
	for (i = 0; i < 4000; i++) {
		ck_assert_int_eq(rig_do(&r, DISK_WRITE, i * 130ull * 1024,
		    buf, 512), 0);
		if (q->ndirty > most)
			most = q->ndirty;
	}
	ck_assert_uint_le(most, Q2_DIRTY_MAX + 8);
	ck_assert_int_eq(rig_close(&r), 0);
	rig_sh(&r, "qemu-img check disk.qcow2");
	teardown();
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("qcow2");

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, bad_headers);
	tcase_add_test(tc, cut_headers);
	tcase_add_test(tc, features_by_name);
	tcase_add_test(tc, kinds);
	tcase_add_test(tc, foreign);
	tcase_add_test(tc, kind_cannot_change_later);
	tcase_add_test(tc, corrupt_is_read);
	tcase_add_test(tc, autoclear);
	tcase_add_test(tc, chains);
	tcase_add_test(tc, what_is_behind);
	tcase_add_loop_test(tc, unclosed_is_repaired, 0, 4);
	tcase_add_test(tc, truncated_file);
	tcase_add_loop_test(tc, broken_cluster, 0, 2);
	tcase_add_loop_test(tc, errors, 0, 2);
	tcase_add_loop_test(tc, one_that_hangs, 0, 3);
	tcase_add_loop_test(tc, cache_is_bounded, 0, 2);
	tcase_add_test(tc, others_come_between);
	tcase_add_test(tc, commits_without_flushes);
	return test_main("qcow2", tc);
}
