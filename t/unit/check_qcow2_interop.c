/* SPDX-License-Identifier: ISC */
/*
 * qcow2 images between us and QEMU: over all that an image may be, random
 * operations by either, after which the other finds the same bytes, and
 * nothing is wrong with the tables, not even a leak.
 *
 * LOOPS in the environment is the number of images, by default 40.
 */
#include <fcntl.h>

#include "q2rig.h"

#define IMAGES		40
#define OPS		60
#define BATCH		8

/* What an image is made of. */
struct form {
	unsigned	version, cluster_bits, refcount_bits;
	bool		extended, lazy, data_file, raw_data, zstd;
	bool		compressed;	/* its first content is */
	unsigned	snapshots;
	const char	*prealloc;	/* or NULL */
	const char	*behind;	/* format of the image behind, or NULL */
	uint64_t	behind_size;
	uint64_t	size;
};

static struct rig	 r;
static struct form	 form;
static uint8_t		*model, *other;

static uint64_t
pick(uint64_t n)
{
	return test_random(&r.random) % n;
}

static void
choose_form(void)
{
	static const char *const behind[] = { NULL, NULL, "raw", "qcow2" };
	static const char *const prealloc[] = {
		NULL, NULL, NULL, "metadata", "falloc",
	};

	memset(&form, 0, sizeof(form));
	form.version = pick(4) == 0 ? 2 : 3;
	form.cluster_bits = (unsigned)(pick(6) == 0 ? 17 + pick(5) : 9 + pick(8));
	form.refcount_bits = form.version == 2 ? 16 : 1u << pick(7);
	form.size = (pick(2048) + 64) << (form.cluster_bits > 12 ? 12 : 10);
	form.behind = behind[pick(4)];
	form.behind_size = (form.size / 512 * (1 + pick(5)) / 4) * 512;
	form.prealloc = form.behind == NULL ? prealloc[pick(5)] : NULL;
	if (form.version == 2) {
		form.snapshots = (unsigned)pick(3);
		form.compressed = form.prealloc == NULL && pick(3) == 0;
		return;
	}
	form.lazy = pick(4) == 0;
	form.zstd = pick(3) == 0;
	form.extended = form.cluster_bits >= 14 && pick(2) == 0;
	form.data_file = pick(6) == 0;
	form.raw_data = form.data_file && form.behind == NULL && pick(2) == 0;
	if (form.data_file)
		return;
	form.compressed = form.prealloc == NULL && pick(3) == 0;
	/* Compressed clusters share one of the file's. */
	if (form.refcount_bits > (form.compressed ? 4 : 2))
		form.snapshots = (unsigned)pick(3);
}

static void
print_form(unsigned i)
{
	fprintf(stderr, "image %u: v%u clusters 2^%u refcounts %u%s%s%s%s%s%s "
	    "snapshots %u prealloc %s behind %s (%lu) size %lu\n", i,
	    form.version, form.cluster_bits, form.refcount_bits,
	    form.extended ? " extended" : "", form.lazy ? " lazy" : "",
	    form.data_file ? " data_file" : "", form.raw_data ? " raw" : "",
	    form.zstd ? " zstd" : "", form.compressed ? " compressed" : "",
	    form.snapshots, form.prealloc != NULL ? form.prealloc : "-",
	    form.behind != NULL ? form.behind : "-",
	    (unsigned long)form.behind_size, (unsigned long)form.size);
}

static void
fill(uint8_t *p, size_t n)
{
	uint64_t v = test_random(&r.random) | 1;
	size_t i;

	/* Some of it compresses. */
	for (i = 0; i < n; i++)
		p[i] = (uint8_t)(i % 512 < 100 ? test_random(&v) : v);
}

static void
write_file(const char *name, const uint8_t *p, size_t n)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", r.dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(pwrite(fd, p, n, 0), (ssize_t)n);
	close(fd);
}

static void
make_behind(void)
{
	uint64_t at;

	for (at = 0; at < form.behind_size; at += 512 * 40)
		if (pick(3) != 0)
			fill(model + at, form.behind_size - at < 512 * 40 ?
			    form.behind_size - at : 512 * 40);
	write_file("behind.raw", model, form.behind_size);
	if (form.behind_size > form.size)
		memset(model + form.size, 0, form.behind_size - form.size);
	if (strcmp(form.behind, "raw") != 0)
		rig_sh(&r, "qemu-img convert -f raw -O qcow2 behind.raw "
		    "behind.qcow2");
}

/* The image, empty, or with compressed content. */
static void
make_image(void)
{
	char opts[512], behind[128] = "";
	int n;

	n = snprintf(opts, sizeof(opts), "compat=%s,cluster_size=%u",
	    form.version == 2 ? "0.10" : "1.1", 1u << form.cluster_bits);
	if (form.version == 3)
		n += snprintf(opts + n, sizeof(opts) - (size_t)n,
		    ",refcount_bits=%u,lazy_refcounts=%s,extended_l2=%s,"
		    "compression_type=%s", form.refcount_bits,
		    form.lazy ? "on" : "off", form.extended ? "on" : "off",
		    form.zstd ? "zstd" : "zlib");
	if (form.data_file)
		n += snprintf(opts + n, sizeof(opts) - (size_t)n,
		    ",data_file=data.raw,data_file_raw=%s",
		    form.raw_data ? "on" : "off");
	if (form.prealloc != NULL)
		snprintf(opts + n, sizeof(opts) - (size_t)n,
		    ",preallocation=%s", form.prealloc);
	if (form.behind != NULL) {
		make_behind();
		snprintf(behind, sizeof(behind), "-b behind.%s -F %s",
		    form.behind, form.behind);
	}
	rig_sh(&r, "qemu-img create -f qcow2 -o %s %s disk.qcow2 %lu", opts,
	    behind, (unsigned long)form.size);
}

/* Compressed clusters come one by one, over what is there. */
static void
add_compressed(void)
{
	uint64_t size = UINT64_C(1) << form.cluster_bits, at = 0;
	static char commands[65536];
	int n = 0;
	unsigned i;

	for (i = 0; i < 12; i++, at += size) {
		at += pick(form.size / size / 12 + 1) * size;
		if (at + size > form.size)
			break;
		n += snprintf(commands + n, sizeof(commands) - (size_t)n,
		    " -c 'write -c -q -P %u %lu %lu'", i + 1,
		    (unsigned long)at, (unsigned long)size);
		memset(model + at, (int)i + 1, size);
	}
	if (n != 0)
		rig_sh(&r, "qemu-io -f qcow2 %s disk.qcow2", commands);
}

static void
theirs(void)
{
	static char commands[1 << 16];
	uint64_t at, len;
	unsigned i, kind;
	int n = 0;

	for (i = 0; i < 25; i++) {
		at = pick(form.size / 512) * 512;
		len = (pick(pick(4) == 0 ? 400 : 20) + 1) * 512;
		if (len > form.size - at)
			len = form.size - at;
		kind = (unsigned)pick(4);
		n += snprintf(commands + n, sizeof(commands) - (size_t)n,
		    kind == 0 ? " -c 'write -q -z %s%lu %lu'" :
		    " -c 'write -q -P %s%lu %lu'", kind == 0 ? pick(2) == 0 ?
		    "-u " : "" : "77 ", (unsigned long)at,
		    (unsigned long)len);
		memset(model + at, kind == 0 ? 0 : 77, len);
	}
	rig_sh(&r, "qemu-io -f qcow2 %s disk.qcow2", commands);
}

/* Tells discarded sectors that kept their bytes from those that read zero. */
static void
learn_discard(uint64_t at, uint64_t len)
{
	static const uint8_t zero[512];
	uint64_t i;

	ck_assert_int_eq(rig_do(&r, DISK_READ, at, other, len), 0);
	for (i = 0; i < len; i += 512) {
		ck_assert(memcmp(other + i, model + at + i, 512) == 0 ||
		    memcmp(other + i, zero, 512) == 0);
		memcpy(model + at + i, other + i, 512);
	}
}

struct op {
	struct rig_req	 q;
	enum disk_op	 op;
	uint64_t	 at, len;
	uint8_t		*buf;
};

static bool
overlaps(const struct op *o, unsigned n, uint64_t at, uint64_t len)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (at < o[i].at + o[i].len && o[i].at < at + len)
			return true;
	return false;
}

static bool
choose_op(struct op *o, unsigned n)
{
	static const enum disk_op ops[] = {
		DISK_READ, DISK_WRITE, DISK_WRITE, DISK_WRITE, DISK_DISCARD,
		DISK_ZERO,
	};
	struct op *p = &o[n];

	p->op = ops[pick(6)];
	p->at = pick(form.size / 512) * 512;
	p->len = (pick(pick(4) == 0 ? 600 : 16) + 1) * 512;
	if (pick(3) == 0) {
		/* Near one another, for the same clusters. */
		p->at = o[0].at + (n + 1) * 512 * pick(8);
		if (p->at >= form.size)
			return false;
	}
	if (p->len > form.size - p->at)
		p->len = form.size - p->at;
	return !overlaps(o, n, p->at, p->len);
}

/* Some at once, none over another's bytes. */
static void
our_batch(void)
{
	struct op o[BATCH];
	unsigned n, i;
	bool unmap;

	for (n = 0; n < BATCH; n++) {
		if (!choose_op(o, n))
			break;
		o[n].buf = NULL;
		if (o[n].op == DISK_READ || o[n].op == DISK_WRITE)
			o[n].buf = malloc(o[n].len);
		if (o[n].op == DISK_WRITE)
			fill(o[n].buf, o[n].len);
	}
	for (i = 0; i < n; i++) {
		unmap = pick(2) == 0;
		rig_submit(&r, &o[i].q, o[i].op, o[i].at, o[i].buf, o[i].len);
		o[i].q.req.unmap = unmap;
		while (pick(3) != 0 && fakeaio_step(r.aio))
			continue;
	}
	fakeaio_run(r.aio);
	for (i = 0; i < n; i++) {
		ck_assert(o[i].q.done);
		ck_assert_int_eq(o[i].q.res, 0);
		if (o[i].op == DISK_READ)
			ck_assert(memcmp(o[i].buf, model + o[i].at,
			    o[i].len) == 0);
		else if (o[i].op == DISK_WRITE)
			memcpy(model + o[i].at, o[i].buf, o[i].len);
		else if (o[i].op == DISK_ZERO)
			memset(model + o[i].at, 0, o[i].len);
		else
			learn_discard(o[i].at, o[i].len);
		free(o[i].buf);
	}
	if (pick(4) == 0)
		ck_assert_int_eq(rig_do(&r, DISK_FLUSH, 0, NULL, 0), 0);
}

static void
ours(void)
{
	unsigned i;

	rig_open(&r);
	ck_assert_int_eq(disk_kind(r.d), DISK_QCOW2);
	ck_assert_uint_eq(disk_info(r.d)->size, form.size);
	ck_assert_int_eq(rig_do(&r, DISK_READ, 0, other, form.size), 0);
	ck_assert(memcmp(other, model, form.size) == 0);
	for (i = 0; i < OPS / BATCH; i++)
		our_batch();
	ck_assert_int_eq(rig_do(&r, DISK_READ, 0, other, form.size), 0);
	ck_assert(memcmp(other, model, form.size) == 0);
	ck_assert_int_eq(rig_close(&r), 0);
}

/* Clean tables, and the bytes they lead to. */
static void
compare(void)
{
	rig_sh(&r, "qemu-img check -f qcow2 disk.qcow2");
	write_file("model", model, form.size);
	rig_sh(&r, "qemu-img compare -f qcow2 -F raw disk.qcow2 model");
	if (form.raw_data)
		rig_sh(&r, "cmp -n %lu data.raw model",
		    (unsigned long)form.size);
}

static void
take_snapshot(unsigned i)
{
	rig_sh(&r, "qemu-img snapshot -c s%u disk.qcow2", i);
	rig_sh(&r, "cp model model%u", i);
}

static void
compare_snapshot(unsigned i)
{
	rig_sh(&r, "qemu-img convert -f qcow2 -l s%u -O raw disk.qcow2 was && "
	    "cmp was model%u", i, i);
}

static void
one_image(unsigned seed)
{
	unsigned i;

	rig_setup(&r, seed * 7919 + 3, seed % 2 == 0 ? 16384 : 1 << 20);
	for (i = 0; i < 20; i++)
		(void)test_random(&r.random);
	choose_form();
	print_form(seed);
	model = calloc(1, form.size + form.behind_size + (4 << 20));
	other = calloc(1, form.size + form.behind_size);
	make_image();
	if (form.compressed)
		add_compressed();
	compare();
	ours();
	compare();
	for (i = 0; i < form.snapshots; i++) {
		take_snapshot(i);
		ours();
		compare();
	}
	theirs();
	compare();
	ours();
	compare();
	for (i = 0; i < form.snapshots; i++)
		compare_snapshot(i);
	free(model);
	free(other);
	rig_teardown(&r);
}

START_TEST(images)
{
	const char *loops = getenv("LOOPS"), *first = getenv("FIRST");
	unsigned n = loops != NULL ? (unsigned)atoi(loops) : IMAGES, i;

	i = first != NULL ? (unsigned)atoi(first) : 0;
	for (n += i; i < n; i++)
		one_image(i);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("qcow2_interop");

	tcase_set_timeout(tc, 7200);
	tcase_add_test(tc, images);
	return test_main("qcow2_interop", tc);
}
