/* SPDX-License-Identifier: ISC */
/*
 * `vmmctl image` check, resize, map and commit against QEMU's tools, over
 * images that those have made, and damaged.
 */
#include <fcntl.h>

#include "imagerig.h"

static struct imagerig g;

static void
setup(void)
{
	imagerig_setup(&g);
}

static void
teardown(void)
{
	imagerig_teardown(&g);
}

static const char *
value(const char *key)
{
	ck_assert_uint_eq(g.rows.n, 1);
	return row_value(&g.rows.row[0], key, "");
}

/* Forms of qcow2 images. */
static const struct {
	const char	*options;
	bool		 v3, snapshot;
	unsigned	 large;		/* MiB: more than one L1 table has */
} forms[] = {
	{ "compat=1.1", true, true, 1100 },
	{ "compat=0.10", false, false, 1100 },
	{ "cluster_size=512", true, true, 40 },
	{ "cluster_size=512,refcount_bits=1", true, false, 40 },
	{ "cluster_size=4K,refcount_bits=2", true, true, 60 },
	{ "cluster_size=4K,refcount_bits=64", true, true, 60 },
	{ "refcount_bits=8,lazy_refcounts=on", true, false, 1100 },
	{ "cluster_size=16K,extended_l2=on", true, true, 100 },
	{ "cluster_size=2M,refcount_bits=32", true, false, 100 },
};

#define NFORMS	((int)(sizeof(forms) / sizeof(forms[0])))

/* a.qcow2 of 6 MiB before "behind" of 4 MiB, all kinds of clusters in it. */
static void
make(int i)
{
	rig_sh(&g, "truncate -s 4M behind && "
	    "qemu-io -f raw -c 'write -q -P 9 4K 3M' behind");
	rig_sh(&g, "qemu-img create -f qcow2 -o %s -b behind -F raw a.qcow2 "
	    "6M", forms[i].options);
	rig_sh(&g, "qemu-io -c 'write -q -P 3 1M 333K' "
	    "-c 'write -q -P 5 5000000 3K' a.qcow2");
	if (forms[i].v3)
		rig_sh(&g, "qemu-io -c 'write -q -z 1100K 64K' a.qcow2");
	if (forms[i].snapshot)
		rig_sh(&g, "qemu-img snapshot -c first a.qcow2 && "
		    "qemu-io -c 'write -q -P 8 1088K 40K' a.qcow2");
}

/* The numbers of our check are those of theirs. */
static void
check_like_theirs(const char *image)
{
	imagerig_do(&g, "check %s", image);
	rig_sh(&g, "qemu-img check --output=json %s >json; "
	    "n() { sed -n \"s/.*\\\"$1\\\": \\([0-9]*\\).*/\\1/p\" json | "
	    "grep . || echo 0; }; "
	    "[ \"$(n corruptions) $(n leaks)\" = '%s %s' ]", image,
	    value("corruptions"), value("leaks"));
	ck_assert_int_eq(g.status, strcmp(value("corruptions"), "0") != 0 ? 4 :
	    strcmp(value("leaks"), "0") != 0 ? 3 : 0);
}

/* What it must read after all that is in `was`, a raw copy. */
static void
compare(const char *image)
{
	rig_sh(&g, "qemu-img check %s && qemu-img compare -F raw %s was",
	    image, image);
}

START_TEST(checked)
{
	make(_i);
	check_like_theirs("a.qcow2");
	ck_assert_int_eq(g.status, 0);
	ck_assert_str_eq(value("corruptions"), "0");
	ck_assert_str_eq(value("leaks"), "0");
}
END_TEST

/* Writes bytes over those of the image. */
static void
poke(uint64_t off, const void *bytes, size_t n)
{
	int fd = open("a.qcow2", O_RDWR);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(pwrite(fd, bytes, n, (off_t)off), (ssize_t)n);
	close(fd);
}

/*
 * An image of 64 KiB clusters as QEMU lays it out: the header, the refcount
 * table, one block of it, L1, L2, data.
 */
#define BLOCK	0x20000u
#define L1	0x30000u
#define L2	0x40000u

static void
make_plain(void)
{
	rig_sh(&g, "qemu-img create -f qcow2 a.qcow2 6M && "
	    "qemu-io -c 'write -q -P 3 0 1M' a.qcow2 && "
	    "cp a.qcow2 was.qcow2");
}

static void
is_repaired(void)
{
	imagerig_do(&g, "check a.qcow2");
	ck_assert_int_eq(g.status, 0);
	rig_sh(&g, "qemu-img check a.qcow2 && "
	    "qemu-img compare a.qcow2 was.qcow2");
	/* It can be written, and nothing is overwritten by that. */
	rig_sh(&g, "qemu-io -c 'write -q -P 4 2M 2M' -c 'read -q -P 3 0 448K' "
	    "a.qcow2 && qemu-img check a.qcow2");
}

START_TEST(leaks)
{
	make_plain();
	/* One in use too often, and nine that nobody uses. */
	poke(BLOCK + 5 * 2, "\0\3", 2);
	poke(L2 + 7 * 8, "\0\0\0\0\0\0\0\0", 8);
	rig_sh(&g, "cp a.qcow2 was.qcow2");
	imagerig_do(&g, "check a.qcow2");
	ck_assert_str_eq(value("leaks"), "2");
	/* The flag of the first is wrong by that, too. */
	check_like_theirs("a.qcow2");
	ck_assert_int_eq(g.status, 4);
	imagerig_fails(&g, "only -r all", "check -r leaks a.qcow2");
	imagerig_do(&g, "check -r all a.qcow2");
	ck_assert_int_eq(g.status, 0);
	ck_assert_str_eq(value("leaks-fixed"), "2");
	is_repaired();
}
END_TEST

START_TEST(only_leaks)
{
	make_plain();
	poke(L2 + 7 * 8, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	rig_sh(&g, "cp a.qcow2 was.qcow2");
	check_like_theirs("a.qcow2");
	ck_assert_int_eq(g.status, 3);
	ck_assert_str_eq(value("leaks"), "2");
	rig_sh(&g, "cmp a.qcow2 was.qcow2");
	imagerig_do(&g, "check -r leaks a.qcow2");
	ck_assert_int_eq(g.status, 0);
	ck_assert_str_eq(value("leaks"), "0");
	ck_assert_str_eq(value("leaks-fixed"), "2");
	is_repaired();
}
END_TEST

START_TEST(corruptions)
{
	make_plain();
	/* Two not counted, an entry and a table that do not say they own. */
	poke(BLOCK + 6 * 2, "\0\0\0\0", 4);
	poke(L2 + 8 * 8, "\0", 1);
	poke(L1, "\0", 1);
	check_like_theirs("a.qcow2");
	ck_assert_int_eq(g.status, 4);
	imagerig_do(&g, "check -r all a.qcow2");
	ck_assert_int_eq(g.status, 0);
	ck_assert_str_ne(value("corruptions-fixed"), "0");
	is_repaired();
}
END_TEST

START_TEST(marked)
{
	make_plain();
	/* Incompatible features: dirty and corrupt. */
	poke(79, "\3", 1);
	imagerig_fails(&g, "corrupt", "resize a.qcow2 8M");
	imagerig_do(&g, "check a.qcow2");
	ck_assert_int_eq(g.status, 0);
	imagerig_do(&g, "info a.qcow2");
	ck_assert_str_eq(value("corrupt"), "on");
	imagerig_do(&g, "check -r all a.qcow2");
	imagerig_do(&g, "info a.qcow2");
	ck_assert_str_eq(value("corrupt"), "off");
	ck_assert_str_eq(value("dirty"), "off");
	is_repaired();
}
END_TEST

/*
 * Counts made anew for another reason: flags agree with them, whether a link
 * became the only one by that, or is not and said so.
 */
START_TEST(flags_with_counts)
{
	struct disk_how how = { 0 };
	struct disk *d;
	char err[512];

	make_plain();
	/* In use once, but counted twice; as a failed snapshot leaves it. */
	poke(BLOCK + 5 * 2, "\0\2", 2);
	poke(L2, "\0", 1);
	if (_i == 2)
		poke(L2 + 2 * 8, "\x80\0\0\0\0\x06\0\0", 8);
	rig_sh(&g, "cp a.qcow2 was.qcow2");
	if (_i == 0) {
		check_like_theirs("a.qcow2");
		ck_assert_int_eq(g.status, 3);
		imagerig_do(&g, "resize a.qcow2 10G");
	} else {
		poke(79, "\1", 1);
		d = disk_open(NULL, "a.qcow2", &how, err, sizeof(err));
		ck_assert_msg(d != NULL, "%s", err);
		disk_close(d);
	}
	imagerig_do(&g, "check a.qcow2");
	ck_assert_str_eq(value("leaks"), "0");
	ck_assert_str_eq(value("corruptions"), "0");
	is_repaired();
}
END_TEST

/* An image with bitmaps, one of them with clusters of its own. */
static void
make_bitmaps(int i)
{
	make(i);
	rig_sh(&g, "qemu-img bitmap --add a.qcow2 one && "
	    "qemu-img bitmap --add -g 512 a.qcow2 'another one' && "
	    "qemu-img bitmap --add --disable a.qcow2 empty && "
	    "qemu-io -c 'write -q -P 6 3M 100K' a.qcow2");
}

static void
has_bitmaps(bool has)
{
	rig_sh(&g, "[ $(qemu-img info a.qcow2 2>&1 | grep -c 'name: one\\|name: "
	    "another one\\|name: empty') = %d ]", has ? 3 : 0);
}

/* What they take room by is in use while they are true, and a leak then. */
START_TEST(bitmaps)
{
	if (!forms[_i].v3)
		return;
	make_bitmaps(_i);
	rig_sh(&g, "qemu-img convert -O raw a.qcow2 was");
	check_like_theirs("a.qcow2");
	ck_assert_int_eq(g.status, 0);
	ck_assert_str_eq(value("corruptions"), "0");
	imagerig_do(&g, "check -r all a.qcow2");
	has_bitmaps(true);
	/* Autoclear features. */
	poke(95, "\0", 1);
	check_like_theirs("a.qcow2");
	ck_assert_int_eq(g.status, 3);
	imagerig_do(&g, "check -r leaks a.qcow2");
	ck_assert_int_eq(g.status, 0);
	check_like_theirs("a.qcow2");
	has_bitmaps(false);
	compare("a.qcow2");
}
END_TEST

/* Where an image has the header extension of bitmaps. */
static uint64_t
bitmaps_extension(void)
{
	uint8_t head[4096];
	size_t i;
	int fd = open("a.qcow2", O_RDONLY);

	ck_assert_int_eq(read(fd, head, sizeof(head)), sizeof(head));
	close(fd);
	for (i = 104; memcmp(head + i, "\x23\x85\x28\x75", 4) != 0; i++)
		ck_assert_uint_lt(i, sizeof(head) - 32);
	return i + 8;
}

static uint64_t
peek64(uint64_t off)
{
	uint64_t v;
	int fd = open("a.qcow2", O_RDONLY);

	ck_assert_int_eq(pread(fd, &v, sizeof(v), (off_t)off), sizeof(v));
	close(fd);
	return be64toh(v);
}

/* All counts are made anew, and those of bitmaps with them. */
START_TEST(bitmaps_repaired)
{
	uint64_t table;

	make_plain();
	rig_sh(&g, "qemu-img bitmap --add a.qcow2 one && qemu-img bitmap "
	    "--add a.qcow2 'another one' && qemu-img bitmap --add a.qcow2 "
	    "empty && qemu-io -c 'write -q -P 3 0 64K' a.qcow2 && "
	    "cp a.qcow2 was.qcow2");
	table = peek64(bitmaps_extension() + 16);
	poke(BLOCK + table / 65536 * 2, "\0\0", 2);
	table = peek64(peek64(table)) & 0xfffffffffe00;
	ck_assert_uint_ne(table, 0);
	poke(BLOCK + table / 65536 * 2, "\0\0", 2);
	check_like_theirs("a.qcow2");
	ck_assert_str_eq(value("corruptions"), "2");
	imagerig_do(&g, "check -r all a.qcow2");
	ck_assert_int_eq(g.status, 0);
	has_bitmaps(true);
	is_repaired();
	has_bitmaps(true);
}
END_TEST

/* What is wrong with bitmaps is found, and ends. */
START_TEST(bitmaps_broken)
{
	uint64_t ext, dir, table;

	make_plain();
	rig_sh(&g, "qemu-img bitmap --add a.qcow2 one && qemu-img bitmap "
	    "--add a.qcow2 two && qemu-io -c 'write -q -P 3 0 64K' a.qcow2 && "
	    "cp a.qcow2 was.qcow2");
	ext = bitmaps_extension();
	dir = peek64(ext + 16);
	table = peek64(dir);
	for (int i = 0; i < 11; i++) {
		rig_sh(&g, "cp was.qcow2 a.qcow2");
		switch (i) {
		case 0:		/* more than there are */
			poke(ext, "\0\0\0\3", 4);
			break;
		case 1:
			poke(ext, "\xff\xff\xff\xff", 4);
			break;
		case 2:		/* the directory: shorter, longer, nowhere */
			poke(ext + 15, "\x20", 1);
			break;
		case 3:
			poke(ext + 8, "\1", 1);
			break;
		case 4:
			poke(ext + 16, "\x40", 1);
			break;
		case 5:
			poke(ext + 23, "\1", 1);
			break;
		case 6:		/* its entry: a table that is long, or not one */
			poke(dir + 8, "\xff\xff\xff\xff", 4);
			break;
		case 7:
			poke(dir + 20, "\xff\xff\xff\xff", 4);
			break;
		case 8:		/* the second's is the first's */
			poke(dir + 32, &(uint64_t){ htobe64(table) }, 8);
			break;
		case 9:		/* an entry of the table */
			poke(table, "\x80", 1);
			break;
		default:
			poke(table + 7, "\1", 1);
		}
		imagerig_do(&g, "check a.qcow2");
		ck_assert_int_eq(g.status, 4);
		imagerig_fails(&g, "too damaged", "check -r all a.qcow2");
	}
	/* An extension of another length is none. */
	poke(ext - 1, "\x17", 1);
	imagerig_fails(&g, "a header extension is wrong", "check a.qcow2");
}
END_TEST

/* Who writes does not keep them, and says so before. */
START_TEST(bitmaps_written)
{
	struct disk_how how = { 0 };
	struct disk *d;
	char err[512];

	for (int i = 0; i < 2; i++) {
		make_bitmaps(0);
		rig_sh(&g, "qemu-img convert -O raw a.qcow2 was");
		/* Incompatible features: dirty, and counted anew. */
		if (i == 1)
			poke(79, "\1", 1);
		d = disk_open(NULL, "a.qcow2", &how, err, sizeof(err));
		ck_assert_msg(d != NULL, "%s", err);
		disk_close(d);
		ck_assert_uint_eq(peek64(88), 0);
		check_like_theirs("a.qcow2");
		ck_assert_int_eq(g.status, i == 0 ? 3 : 0);
		imagerig_do(&g, "check -r leaks a.qcow2");
		has_bitmaps(false);
		compare("a.qcow2");
	}
}
END_TEST

/* An L2 table that an L1 table links to all over, read once nevertheless. */
START_TEST(one_table)
{
	static uint64_t l1[1 << 20];
	const uint64_t at = 64 << 20;
	uint64_t link;
	size_t i;

	rig_sh(&g, "qemu-img create -f qcow2 -o cluster_size=2M a.qcow2 6M && "
	    "qemu-io -c 'write -q -P 3 0 2M' a.qcow2");
	link = htobe64(peek64(peek64(40)));
	ck_assert_uint_ne(link, 0);
	for (i = 0; i < sizeof(l1) / sizeof(l1[0]); i++)
		l1[i] = link;
	poke(at, l1, sizeof(l1));
	poke(36, &(uint32_t){ htobe32(1 << 20) }, 4);
	poke(40, &(uint64_t){ htobe64(at) }, 8);
	imagerig_do(&g, "check a.qcow2");
	ck_assert_int_eq(g.status, 4);
	imagerig_fails(&g, "too damaged", "check -r all a.qcow2");
}
END_TEST

/* A link to where nothing can be is found, and not guessed at. */
START_TEST(nowhere)
{
	make_plain();
	poke(L2 + 3 * 8, "\x80\0\0\x70\0\0\0\0", 8);
	imagerig_do(&g, "check a.qcow2");
	ck_assert_int_eq(g.status, 4);
	imagerig_fails(&g, "too damaged", "check -r all a.qcow2");
	imagerig_fails(&g, "nothing to check", "check -f raw a.qcow2");
}
END_TEST

START_TEST(resized)
{
	unsigned large = forms[_i].large;

	make(_i);
	rig_sh(&g, "qemu-img convert -O raw a.qcow2 was");
	imagerig_do(&g, "resize a.qcow2 +3M");
	rig_sh(&g, "truncate -s 9M was");
	compare("a.qcow2");
	/* Within what is behind, and beyond that again, which reads zero. */
	imagerig_fails(&g, "write --shrink", "resize a.qcow2 1028K");
	imagerig_do(&g, "resize --shrink a.qcow2 1028K");
	rig_sh(&g, "truncate -s 1028K was");
	compare("a.qcow2");
	imagerig_do(&g, "resize a.qcow2 7M");
	rig_sh(&g, "truncate -s 7M was");
	compare("a.qcow2");
	/* Far more than the L1 table has room for. */
	imagerig_do(&g, "resize a.qcow2 %uM", large);
	rig_sh(&g, "truncate -s %uM was", large);
	compare("a.qcow2");
	rig_sh(&g, "qemu-io -c 'write -q -P 6 %uM 1M' a.qcow2 && "
	    "qemu-io -f raw -c 'write -q -P 6 %uM 1M' was", large - 2,
	    large - 2);
	compare("a.qcow2");
	imagerig_do(&g, "resize --shrink a.qcow2 -20M");
	rig_sh(&g, "truncate -s %uM was", large - 20);
	compare("a.qcow2");
	if (forms[_i].snapshot)
		rig_sh(&g, "qemu-img snapshot -a first a.qcow2 && "
		    "qemu-io -c 'read -q -P 3 1088K 12K' a.qcow2 && "
		    "[ \"$(qemu-img info a.qcow2 | grep -c '6 MiB')\" = 1 ]");
}
END_TEST

/*
 * A block device made of the file "device" of so many KiB, in "loop"; it goes
 * when this process ends.  False where this host gives none.
 */
static bool
make_device(char loop[32], unsigned kib)
{
	FILE *f;

	if (rig_run(&g, "truncate -s %uK device && losetup -f --show device "
	    ">loop", kib) != 0)
		return false;
	f = fopen("loop", "r");
	ck_assert_int_eq(fscanf(f, "%31s", loop), 1);
	fclose(f);
	/* Kept by the open file alone. */
	ck_assert_int_ne(open(loop, O_RDONLY | O_CLOEXEC), -1);
	rig_sh(&g, "losetup -d %s", loop);
	return true;
}

/* An image there that QEMU did not close. */
static void
make_unclosed(const char *loop, unsigned mib, unsigned kib)
{
	rig_sh(&g, "qemu-img create -f qcow2 -o lazy_refcounts=on %s %uM",
	    loop, mib);
	(void)rig_run(&g, "qemu-io -c 'write -q -P 3 0 %uK' -c flush "
	    "-c abort %s", kib, loop);
	/* Incompatible features: dirty. */
	rig_sh(&g, "[ $(od -An -tu1 -j79 -N1 %s) = 1 ]", loop);
	rig_sh(&g, "qemu-img convert -O qcow2 %s was.qcow2", loop);
}

static void
open_closed(const char *loop)
{
	struct disk_how how = { 0 };
	struct disk *d;
	char err[512];

	d = disk_open(NULL, loop, &how, err, sizeof(err));
	ck_assert_msg(d != NULL, "%s", err);
	disk_close(d);
}

static void
is_whole(const char *loop)
{
	rig_sh(&g, "qemu-img check %s && qemu-img compare %s was.qcow2 && "
	    "qemu-io -c 'write -q -P 3 1M 64K' %s && qemu-io -c "
	    "'write -q -P 3 1M 64K' was.qcow2 && qemu-img check %s && "
	    "qemu-img compare %s was.qcow2", loop, loop, loop, loop, loop);
}

/* A device has an end: new tables go behind what is in use. */
START_TEST(on_a_device)
{
	char loop[32];

	if (!make_device(loop, (64 << 10) + 1))
		return;
	make_unclosed(loop, 32, 1024);
	open_closed(loop);
	is_whole(loop);
	make_unclosed(loop, 32, 1024);
	imagerig_do(&g, "check -r all %s", loop);
	is_whole(loop);
	/* Twice: the tables in use are not overwritten by new ones. */
	imagerig_do(&g, "resize %s 3G", loop);
	is_whole(loop);
	rig_sh(&g, "qemu-img snapshot -c one %s", loop);
	imagerig_do(&g, "resize %s 3000G", loop);
	is_whole(loop);
}
END_TEST

/* And where they have no room there, all stays as it is. */
START_TEST(on_a_full_device)
{
	char loop[32];

	if (!make_device(loop, (2 << 10) + 32))
		return;
	/* 27 clusters, and 5 of tables. */
	make_unclosed(loop, 2, 27 * 64);
	rig_sh(&g, "cp device kept");
	imagerig_fails(&g, "No space", "check -r all %s", loop);
	imagerig_fails(&g, "No space", "resize %s 3G", loop);
	rig_sh(&g, "cmp device kept");
	/* Nor are those lost of one that was closed. */
	rig_sh(&g, "qemu-img create -f qcow2 %s 2M && "
	    "qemu-io -c 'write -q -P 3 0 1728K' %s && cp device kept", loop,
	    loop);
	imagerig_fails(&g, "No space", "resize %s 3G", loop);
	rig_sh(&g, "cmp -n 2M device kept && qemu-img check %s", loop);
}
END_TEST

START_TEST(resized_others)
{
	struct stat st;

	rig_sh(&g, "truncate -s 4M a && qemu-io -f raw -c 'write -q -P 1 0 4M' "
	    "a");
	imagerig_do(&g, "resize a 6M");
	imagerig_do(&g, "resize -f raw --shrink a 2M");
	ck_assert_int_eq(stat("a", &st), 0);
	ck_assert_int_eq(st.st_size, 2 << 20);
	rig_sh(&g, "qemu-io -f raw -c 'read -q -P 1 0 2M' a");
	imagerig_do(&g, "resize a 2M");
	imagerig_fails(&g, "no size", "resize a 1x");
	imagerig_fails(&g, "makes no size", "resize --shrink a -2M");
	imagerig_fails(&g, "makes no size", "resize --shrink a -3M");
	imagerig_fails(&g, "makes no size", "resize a 9223372036854775808");
	rig_sh(&g, "qemu-img create -f qcow2 -o cluster_size=512 b 1M");
	imagerig_fails(&g, "too large", "resize b 1T");
	rig_sh(&g, "qemu-img create -f qcow2 -o data_file=data c 1M");
	imagerig_fails(&g, "external data file", "resize c 2M");
	rig_sh(&g, "qemu-img create -f qcow2 -o compat=0.10 d 1M && "
	    "qemu-img snapshot -c one d");
	imagerig_fails(&g, "snapshots", "resize d 2M");
	rig_sh(&g, "qemu-img check b && qemu-img check d");
}
END_TEST

/*
 * Both maps, a line for each range, alike ones together: START DEPTH ZERO
 * DATA.  QEMU looks for holes in the file, too, where a cluster has data.
 */
static const char same_map[] =
	"sum() { tr '{' '\\n' <$1 | sed -n 's/.*\"start\": *\\([0-9]*\\), "
	"*\"length\": *\\([0-9]*\\), *\"depth\": *\\([0-9]*\\).*\"zero\": "
	"*\\([a-z]*\\), *\"data\": *\\([a-z]*\\).*/\\1 \\2 \\3 \\4 \\5/p' | "
	"awk '$5 == \"false\" { $3 = 0 } $5 == \"true\" { $4 = \"-\" } "
	"{ k = $3 \" \" $4 \" \" $5; if (k != was) print $1, k; was = k }'; }; "
	"sum ours >ours.txt; sum theirs >theirs.txt; "
	"diff ours.txt theirs.txt && [ -s ours.txt ]";

START_TEST(mapped)
{
	make(_i);
	if (strstr(forms[_i].options, "2M") == NULL)
		rig_sh(&g, "qemu-io -c 'write -q -c -P 6 2M 64K' a.qcow2");
	rig_sh(&g, "qemu-img create -f qcow2 -b a.qcow2 -F qcow2 b.qcow2 && "
	    "qemu-io -c 'write -q -P 7 3M 64K' b.qcow2");
	g.out = fopen("ours", "w");
	imagerig_do(&g, "map b.qcow2");
	fclose(g.out);
	rig_sh(&g, "qemu-img map --output=json b.qcow2 >theirs");
	rig_sh(&g, "%s", same_map);
}
END_TEST

START_TEST(committed)
{
	make(_i);
	rig_sh(&g, "qemu-img convert -O raw a.qcow2 was && cp a.qcow2 a");
	imagerig_do(&g, "commit a.qcow2");
	rig_sh(&g, "cmp behind was && cmp a a.qcow2");
	/* Into a shorter one of the same kind, and not what is behind that. */
	make(_i);
	rig_sh(&g, "qemu-img create -f qcow2 -b a.qcow2 -F qcow2 b.qcow2 8M && "
	    "cp behind kept && "
	    "qemu-io -c 'write -q -P 7 3M 64K' -c 'write -q -P 2 7M 64K' "
	    "-c 'write -q -z 1088K 100K' b.qcow2 && "
	    "qemu-img convert -O raw b.qcow2 was");
	imagerig_do(&g, "commit b.qcow2");
	compare("a.qcow2");
	compare("b.qcow2");
	rig_sh(&g, "cmp behind kept");
}
END_TEST

START_TEST(commit_refused)
{
	struct disk_how how = { 0 };
	struct disk *d;
	char err[512];

	make(0);
	imagerig_fails(&g, "no image is behind", "commit behind");
	d = disk_open(NULL, "behind", &how, err, sizeof(err));
	ck_assert_msg(d != NULL, "%s", err);
	imagerig_fails(&g, "behind: is in use", "commit a.qcow2");
	imagerig_fails(&g, "behind: is in use by another guest or process; "
	    "-U looks", "map a.qcow2");
	imagerig_do(&g, "check a.qcow2");
	disk_close(d);
	d = disk_open(NULL, "a.qcow2", &how, err, sizeof(err));
	ck_assert_msg(d != NULL, "%s", err);
	imagerig_fails(&g, "a.qcow2: is in use", "commit a.qcow2");
	imagerig_fails(&g, "a.qcow2: is in use", "resize a.qcow2 10M");
	imagerig_fails(&g, "a.qcow2: is in use", "check a.qcow2");
	imagerig_fails(&g, "a.qcow2: is in use", "check -r all a.qcow2");
	imagerig_fails(&g, "a.qcow2: is in use", "map a.qcow2");
	g.out = fopen("ours", "w");
	imagerig_do(&g, "map -U a.qcow2");
	fclose(g.out);
	disk_close(d);
	rig_sh(&g, "rm behind");
	imagerig_fails(&g, "behind: No such file", "commit a.qcow2");
}
END_TEST

/* What is wrong with the words is said of them. */
START_TEST(wrong_words)
{
	static const struct {
		const char *words, *text;
	} bad[] = {
		{ "create a.qcow2", "a.qcow2: a size is missing: -s 10G" },
		{ "create -f raw a.raw 10g", "image: write the size as -s 10g, "
		    "before a.raw" },
		{ "create -F raw -s 1M a.qcow2", "image: -F needs -b" },
		{ "create -s 1M -o backing_file=x a.qcow2",
		    "image: no option `backing_file', write -b" },
		{ "create -s 1M a.qcow2 b.qcow2", "`b.qcow2': one FILE only" },
		{ "create a.qcow2 -s 1M", "-s: options stand before FILE" },
		{ "convert base a.qcow2 -O qcow2", "-O: options stand before "
		    "SRC" },
		{ "resize base 1M --shrink", "--shrink: options stand before "
		    "FILE" },
		{ "resize base -100T", "image: base: has 1M, of which `-100T' "
		    "makes no size" },
		{ "check -r foo base", "image: -r: `foo' is neither leaks nor "
		    "all" },
		{ "rebase base", "image: no verb `rebase', there are check, "
		    "commit, convert, create, info, map, resize" },
	};
	size_t i;

	rig_sh(&g, "truncate -s 1M base");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		imagerig_fails(&g, bad[i].text, "%s", bad[i].words);
		ck_assert_str_eq(g.cn.code, "syntax");
	}
	rig_sh(&g, "[ \"$(echo [!l]*)\" = base ]");
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("image_tables");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, checked, 0, NFORMS);
	tcase_add_test(tc, leaks);
	tcase_add_test(tc, only_leaks);
	tcase_add_test(tc, corruptions);
	tcase_add_test(tc, marked);
	tcase_add_loop_test(tc, flags_with_counts, 0, 3);
	tcase_add_loop_test(tc, bitmaps, 0, NFORMS);
	tcase_add_test(tc, bitmaps_repaired);
	tcase_add_test(tc, bitmaps_broken);
	tcase_add_test(tc, bitmaps_written);
	tcase_add_test(tc, one_table);
	tcase_add_test(tc, nowhere);
	tcase_add_loop_test(tc, resized, 0, NFORMS);
	tcase_add_test(tc, on_a_device);
	tcase_add_test(tc, on_a_full_device);
	tcase_add_test(tc, resized_others);
	tcase_add_loop_test(tc, mapped, 0, NFORMS);
	tcase_add_loop_test(tc, committed, 0, NFORMS);
	tcase_add_test(tc, commit_refused);
	tcase_add_test(tc, wrong_words);
	return test_main("image_tables", tc);
}
