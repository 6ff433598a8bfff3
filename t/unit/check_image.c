/* SPDX-License-Identifier: ISC */
/*
 * `vmmctl image` create, info and convert against QEMU's tools: what we make
 * they find right, and what they make we read, over all that an image may be.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sys/resource.h>

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

/* Forms of qcow2, as -o has them, and what is in them. */
static const struct {
	const char	*options;
	const char	*size;
	bool		 behind, compressed, snapshot;
} forms[] = {
	{ "compat=1.1", "5M", false, false, false },
	{ "compat=1.1", "5M", true, true, true },
	{ "compat=0.10", "5M", true, true, true },
	{ "cluster_size=512", "3M", true, true, true },
	{ "cluster_size=4K,refcount_bits=1", "3M", true, false, false },
	{ "cluster_size=2M,refcount_bits=2", "33M", true, false, true },
	{ "refcount_bits=4", "5M", false, true, true },
	{ "refcount_bits=8,lazy_refcounts=on", "5M", true, true, false },
	{ "refcount_bits=32,cluster_size=1K", "3M", false, true, true },
	{ "refcount_bits=64,cluster_size=8K", "3M", true, true, true },
	{ "extended_l2=on", "5M", true, true, true },
	{ "extended_l2=on,cluster_size=16K", "3M", true, false, true },
	{ "compression_type=zstd", "5M", true, true, false },
	{ "preallocation=metadata", "5M", false, false, true },
	{ "preallocation=falloc,cluster_size=512", "3M", false, false, false },
	{ "preallocation=metadata,extended_l2=on", "5M", false, false, true },
	{ "preallocation=metadata,refcount_bits=64,cluster_size=512", "9M",
	    false, false, false },
	{ "preallocation=full", "5M", false, false, true },
	{ "preallocation=full,cluster_size=512", "3M", false, false, false },
};

#define NFORMS	((int)(sizeof(forms) / sizeof(forms[0])))

/* An image of that form by QEMU, a.qcow2, with something in it. */
static void
make_theirs(int i)
{
	const char *size = forms[i].size;

	if (forms[i].behind)
		rig_sh(&g, "truncate -s 2M behind && "
		    "qemu-io -f raw -c 'write -q -P 9 4K 700K' behind");
	rig_sh(&g, "qemu-img create -f qcow2 -o %s %s a.qcow2 %s",
	    forms[i].options, forms[i].behind ? "-b behind -F raw" : "", size);
	rig_sh(&g, "qemu-io -c 'write -q -P 3 1M 333K' "
	    "-c 'write -q -z 1100K 64K' -c 'write -q -P 5 2600000 3K' "
	    "-c 'write -q -P 0 1200K 128K' a.qcow2");
	if (forms[i].compressed)
		rig_sh(&g, "qemu-io -c 'write -q -c -P 6 2M 64K' "
		    "-c 'write -q -c -P 7 2176K 64K' a.qcow2");
	if (forms[i].snapshot)
		rig_sh(&g, "qemu-img snapshot -c first a.qcow2 && "
		    "qemu-io -c 'write -q -P 8 1088K 40K' a.qcow2");
}

static void
compare(const char *a, const char *b)
{
	rig_sh(&g, "qemu-img compare %s %s", a, b);
}

/* No more of the host's disk than QEMU's own copy, but for some tables. */
static void
is_sparse(const char *a, const char *format, const char *options)
{
	struct stat ours, theirs;

	rig_sh(&g, "rm -f theirs && qemu-img convert -O %s %s %s "
	    "a.qcow2 theirs", format, *options != '\0' ? "-o" : "", options);
	ck_assert_int_eq(stat(a, &ours), 0);
	ck_assert_int_eq(stat("theirs", &theirs), 0);
	ck_assert_int_le(ours.st_blocks, theirs.st_blocks + 512);
}

static const char *
value(unsigned row, const char *key)
{
	ck_assert_uint_lt(row, g.rows.n);
	return row_value(&g.rows.row[row], key, "");
}

START_TEST(converted)
{
	int other = (_i + 5) % NFORMS;

	make_theirs(_i);
	imagerig_do(&g, "convert a.qcow2 b.raw");
	compare("a.qcow2", "b.raw");
	is_sparse("b.raw", "raw", "");
	imagerig_do(&g, "convert -o %s a.qcow2 c.qcow2",
	    forms[other].options);
	compare("a.qcow2", "c.qcow2");
	rig_sh(&g, "qemu-img check c.qcow2");
	is_sparse("c.qcow2", "qcow2", forms[other].options);
	imagerig_do(&g, "convert -f raw -O qcow2 -o %s b.raw d.img",
	    forms[_i].options);
	compare("b.raw", "d.img");
	rig_sh(&g, "qemu-img check d.img");
	imagerig_no_rest(&g);
}
END_TEST

/* Does qemu-img's account of the image have that line? */
static void
theirs_says(const char *image, const char *line)
{
	rig_sh(&g, "qemu-img info %s | grep -q '%s'", image, line);
}

START_TEST(created)
{
	rig_sh(&g, "truncate -s 2M behind");
	imagerig_do(&g, "create -f qcow2 -o %s -s %s a", forms[_i].options,
	    forms[_i].size);
	rig_sh(&g, "qemu-img check a");
	rig_sh(&g, "qemu-io -c 'read -q -P 0 0 %s' a", forms[_i].size);
	rig_sh(&g, "qemu-img create -f qcow2 -o %s b %s", forms[_i].options,
	    forms[_i].size);
	rig_sh(&g, "qemu-img info a | grep -v -e '^disk size' -e ^image "
	    ">a.txt; qemu-img info b | grep -v -e '^disk size' -e ^image "
	    ">b.txt; cmp a.txt b.txt");
	/* It takes what is written to it. */
	rig_sh(&g, "qemu-io -c 'write -q -P 3 1M 1M' a && qemu-img check a");
	rig_sh(&g, "qemu-io -c 'read -q -P 3 1M 1M' -c 'read -q -P 0 0 1M' "
	    "a");
}
END_TEST

START_TEST(created_behind)
{
	rig_sh(&g, "mkdir sub && truncate -s 3M sub/base && "
	    "qemu-io -f raw -c 'write -q -P 1 0 3M' sub/base");
	imagerig_do(&g, "create -b base -F raw sub/a.qcow2");
	theirs_says("sub/a.qcow2", "backing file: base (actual path: sub/base)");
	theirs_says("sub/a.qcow2", "backing file format: raw");
	theirs_says("sub/a.qcow2", "virtual size: 3 MiB");
	rig_sh(&g, "qemu-io -c 'read -q -P 1 0 3M' sub/a.qcow2");
	/* Raw by what is in it; a guest may have made what looks like more. */
	imagerig_do(&g, "create -b base sub/r.qcow2");
	theirs_says("sub/r.qcow2", "backing file format: raw");
	rig_sh(&g, "cp sub/a.qcow2 sub/lost && "
	    "qemu-img rebase -u -b none -F raw sub/lost");
	imagerig_fails(&g, "image: write -F and the format of sub/lost, which "
	    "looks like qcow2", "create -b sub/lost b.qcow2");
	/* A size of its own. */
	imagerig_do(&g, "create -b sub/a.qcow2 -F qcow2 -s 5M b.qcow2");
	theirs_says("b.qcow2", "backing file format: qcow2");
	rig_sh(&g, "qemu-io -c 'read -q -P 1 0 3M' -c 'read -q -P 0 3M 2M' "
	    "b.qcow2");
	rig_sh(&g, "qemu-img check b.qcow2");
	imagerig_fails(&g, "none: No such file", "create -b none c.qcow2");
	imagerig_fails(&g, "raw image has none", "create -b b.qcow2 -F qcow2 c.img");
	imagerig_fails(&g, "nothing is preallocated",
	    "create -b b.qcow2 -F qcow2 -o preallocation=metadata c.qcow2");
	/* It is no file for those who open it later. */
	rig_sh(&g, "cp sub/base x:y && truncate -s 0 empty");
	imagerig_fails(&g, "image: c.qcow2: the image behind it, `x:y', would "
	    "be taken for a protocol, write ./x:y", "create -b x:y c.qcow2");
	imagerig_fails(&g, "image: c.qcow2: the image behind it, `nbd://x', is "
	    "named by something else than a file", "create -b nbd://x c.qcow2");
	imagerig_do(&g, "create -b ./x:y d.qcow2");
	imagerig_fails(&g, "image: empty: is empty", "create -b empty c.qcow2");
	ck_assert(!imagerig_has("c.qcow2") && !imagerig_has("c.img"));
	imagerig_no_rest(&g);
}
END_TEST

/* Images whose data is in a file of its own, %s. */
static const struct {
	const char	*options;
	bool		 raw, full;
	bool		 other;		/* QEMU makes tables that say less */
} data_forms[] = {
	{ "data_file=%s", false, false, false },
	{ "data_file=%s,data_file_raw=on", true, false, false },
	{ "data_file=%s,preallocation=metadata", false, false, false },
	{ "data_file=%s,data_file_raw=on,preallocation=falloc", true, true,
	    false },
	{ "data_file=%s,preallocation=full", false, true, false },
	{ "data_file=%s,preallocation=full,extended_l2=on", false, true, true },
	{ "data_file=%s,data_file_raw=on,extended_l2=on", true, false, true },
	{ "data_file_raw=on,data_file=%s,cluster_size=512,refcount_bits=1",
	    true, false, false },
	{ "data_file=%s,cluster_size=2M,lazy_refcounts=on", false, false,
	    false },
};

#define NDATA	((int)(sizeof(data_forms) / sizeof(data_forms[0])))

static const char *
data_options(int i, const char *name)
{
	static char options[128];
	const char *form = data_forms[i].options, *at = strstr(form, "%s");

	snprintf(options, sizeof(options), "%.*s%s%s", (int)(at - form), form,
	    name, at + 2);
	return options;
}

START_TEST(created_data)
{
	struct stat st;

	imagerig_do(&g, "create -o %s -s 5M a.qcow2", data_options(_i, "adat"));
	rig_sh(&g, "qemu-img create -f qcow2 -o %s b.qcow2 5M && "
	    "qemu-img check a.qcow2 && qemu-img compare %s a.qcow2 b.qcow2",
	    data_options(_i, "bdat"), data_forms[_i].other ? "" : "-s");
	rig_sh(&g, "for i in a b; do qemu-img info $i.qcow2 | "
	    "sed -e '/^disk size/d' -e \"s/$i.qcow2/img/\" -e s/${i}dat/dat/ "
	    ">$i.txt; qemu-img map --output=json $i.qcow2 >$i.map; done; "
	    "cmp a.txt b.txt && { %s || cmp a.map b.map; }",
	    data_forms[_i].other ? "true" : "false");
	ck_assert_int_eq(stat("adat", &st), 0);
	ck_assert_int_eq(st.st_size, 5 << 20);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(st.st_blocks >= 10240, data_forms[_i].full);
	rig_sh(&g, "qemu-io -c 'read -q -P 0 0 5M' -c 'write -q -P 3 1M 1M' "
	    "-c 'write -q -z 1500K 64K' a.qcow2 && qemu-img check a.qcow2");
	if (data_forms[_i].raw)
		rig_sh(&g, "qemu-img compare -F raw a.qcow2 adat");
	imagerig_do(&g, "convert -o %s a.qcow2 c.qcow2",
	    data_options(_i, "cdat"));
	compare("a.qcow2", "c.qcow2");
	rig_sh(&g, "qemu-img check c.qcow2");
	imagerig_do(&g, "info c.qcow2");
	ck_assert_str_eq(value(0, "data-file"), "cdat");
	ck_assert_str_eq(value(0, "data-file-raw"),
	    data_forms[_i].raw ? "on" : "off");
	if (data_forms[_i].raw)
		rig_sh(&g, "qemu-img compare -F raw a.qcow2 cdat");
	imagerig_no_rest(&g);
}
END_TEST

/* The data file is a new one, beside the image, and goes with it. */
START_TEST(created_data_refused)
{
	static const struct {
		const char *words, *text;
	} bad[] = {
		{ "-o data_file=base -s 1M a.qcow2", "base: is there already, and is never "
		    "overwritten; remove it first" },
		{ "-o data_file=no/x -s 1M a.qcow2", "no/x: No such file" },
		{ "-o data_file=x:y -s 1M a.qcow2", "that of no file" },
		{ "-o data_file= -s 1M a.qcow2", "must be the name of" },
		{ "-o data_file=a.qcow2 -s 1M a.qcow2", "is there already" },
		{ "-o data_file=x -s 1M a.raw", "no option `data_file'" },
		{ "-o data_file=x,compat=0.10 -s 1M a.qcow2", "0.10 has" },
		{ "-o data_file_raw=on -s 1M a.qcow2", "needs a data_file" },
		{ "-o data_file=x,data_file_raw=on -b base a.qcow2",
		    "cannot be raw" },
		{ "-o data_file=x -b b:c a.qcow2", "for a protocol" },
		{ "-o data_file=x -s 1E a.qcow2", "no size" },
		{ "-o data_file=x,cluster_size=512 -s 1T a.qcow2",
		    "too large for" },
	};
	size_t i;

	rig_sh(&g, "mkdir sub && truncate -s 1M base && cp base b:c");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		imagerig_fails(&g, bad[i].text, "create %s", bad[i].words);
	imagerig_fails(&g, "too long for the first cluster",
	    "create -o cluster_size=512,data_file=%0300d -s 1M a.qcow2", 1);
	rig_sh(&g, "[ \"$(echo [!l]*)\" = 'b:c base sub' ]");
	imagerig_do(&g, "create -o data_file=x -s 1M -b ../base sub/a.qcow2");
	/* QEMU looks for it from where it is itself. */
	rig_sh(&g, "cd sub && [ -f x ] && qemu-img check a.qcow2 && "
	    "qemu-img info a.qcow2 | grep 'backing file: ../base'");
	imagerig_fails(&g, "x: is there already", "convert -o data_file=x base "
	    "sub/b.qcow2");
}
END_TEST

START_TEST(created_raw)
{
	struct stat st;

	imagerig_do(&g, "create -f raw -s 1G a");
	ck_assert_int_eq(stat("a", &st), 0);
	ck_assert_int_eq(st.st_size, 1 << 30);
	ck_assert_int_lt(st.st_blocks, 64);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	/* What is there stays as it is. */
	imagerig_fails(&g, "a: is there already", "create -f raw -s 512 a");
	imagerig_fails(&g, "a: is there already", "convert -O raw a a");
	ck_assert_int_eq(stat("a", &st), 0);
	ck_assert_int_eq(st.st_size, 1 << 30);
	imagerig_do(&g, "create -s 2M -o preallocation=falloc b.img");
	ck_assert_int_eq(stat("b.img", &st), 0);
	ck_assert_int_ge(st.st_blocks, 4096);
	imagerig_do(&g, "create -s 2500k -o preallocation=full c.img");
	ck_assert_int_eq(stat("c.img", &st), 0);
	ck_assert_int_ge(st.st_blocks, 5000);
	rig_sh(&g, "head -c 2560000 /dev/zero | cmp - c.img");
	/* Neither too long nor a dangling link leaves a file behind. */
	imagerig_fails(&g, "too large: a disk like that is smaller than "
	    "8388608T", "create -s 9223372036854775808 c.raw");
	imagerig_fails(&g, "c.raw: ", "create -s 9223372036854775296 c.raw");
	ck_assert_int_eq(symlink("none", "c.raw"), 0);
	imagerig_fails(&g, "c.raw: is there already", "create -s 512 c.raw");
	ck_assert(!imagerig_has("none"));
	imagerig_fails(&g, "No such file", "create -s 512 none/c.raw");
	imagerig_no_rest(&g);
}
END_TEST

START_TEST(refused)
{
	static const struct {
		const char *words, *text;
	} bad[] = {
		{ "create -s 0 a.raw", "image: a.raw: `0' is no size: a" },
		{ "create -s 513 a.raw", "no size" },
		{ "create -s 1X a.raw", "no size" },
		{ "create -f vmdk -s 1M a.raw", "`vmdk' is no format" },
		{ "create -s 1M -o cluster_size=4K a.raw", "have no option" },
		{ "create -s 1M -o preallocation=metadata a.raw",
		    "no metadata" },
		{ "create -s 1M -o preallocation=some a.raw",
		    "off, metadata, falloc or" },
		{ "create -s 1M -o nonsense a.qcow2", "not OPTION=VALUE" },
		{ "create -s 1M -o lazy=on a.qcow2", "have no option `lazy'" },
		{ "create -s 1M -o cluster_size=3K a.qcow2", "a power of" },
		{ "create -s 1M -o cluster_size=3k a.qcow2", "cluster_size is "
		    "`3k', must be 512 to" },
		{ "create -s 1M -o compat=1.1,compat=1.1 a.qcow2",
		    "compat: given twice" },
		{ "create -s 1M -o cluster_size=256 a.qcow2", "must be 512 to 2M" },
		{ "create -s 1M -o cluster_size=4M a.qcow2", "must be 512 to 2M" },
		{ "create -s 1M -o refcount_bits=3 a.qcow2", "1, 2, 4" },
		{ "create -s 1M -o refcount_bits=128 a.qcow2", "must be 1, 2" },
		{ "create -s 1M -o compat=0.10,lazy_refcounts=on a.qcow2",
		    "0.10 has" },
		{ "create -s 1M -o extended_l2=on,cluster_size=8K a.qcow2",
		    "at least 16K" },
		{ "create -s 128G -o cluster_size=512 a.qcow2",
		    "a.qcow2: that is too large for clusters of this size: a "
		    "disk like that is smaller than 128G" },
		{ "convert a.qcow2 b.img", "image: a.qcow2: No such file" },
		{ "convert empty b.img", "image: empty: is empty" },
		{ "check empty", "image: empty: is empty" },
		{ "info a.qcow2", "No such file" },
		{ "info -f qcow2 base", "is not a qcow2 image" },
		{ "info .", "neither a regular file" },
		{ "convert base none/b.img", "No such file" },
	};
	size_t i;

	rig_sh(&g, "truncate -s 1M base && truncate -s 0 empty");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		imagerig_fails(&g, bad[i].text, "%s", bad[i].words);
	ck_assert(!imagerig_has("a") && !imagerig_has("a.qcow2") &&
	    !imagerig_has("a.raw"));
	imagerig_no_rest(&g);
}
END_TEST

/* Rights are the caller's, whoever that is. */
START_TEST(denied)
{
	ck_assert_int_eq(chmod(g.dir, 0777), 0);
	rig_sh(&g, "truncate -s 1M base && chmod 600 base");
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	else
		rig_sh(&g, "chmod 0 base");
	imagerig_fails(&g, "image: base: Permission denied", "info base");
	ck_assert_ptr_null(strstr(g.cn.error, "daemon"));
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

/* What a new image is must be said, and nothing twice. */
START_TEST(unclear)
{
	static const struct {
		const char *words, *text;
	} bad[] = {
		{ "create -s 1M a", "a: its name ends neither in .raw, .img "
		    "nor .qcow2, write -f and a format" },
		{ "create -s 1M a.vmdk", "write -f and a format" },
		{ "create -s 1M .d/a", "write -f and a format" },
		{ "create -s 1M -s 2M a.raw", "image: -s: given twice" },
		{ "create -s 1M -f raw -f raw a.raw", "-f: given twice" },
		{ "create -o compat=1.1 -s 1M -o lazy_refcounts=on a.qcow2",
		    "-o: given twice" },
		{ "create -b base -b base a.qcow2", "-b: given twice" },
		{ "create -b base -F raw -F raw a.qcow2", "-F: given twice" },
		{ "convert -O raw -O qcow2 base a", "-O: given twice" },
		{ "convert -f raw -f raw base a.raw", "-f: given twice" },
		{ "check -r leaks -r all a.qcow2", "-r: given twice" },
		{ "commit -f raw -f qcow2 a.qcow2", "-f: given twice" },
		{ "info -f raw -U -f raw base", "-f: given twice" },
		{ "map -f raw -f raw base", "-f: given twice" },
		{ "resize -f raw -f raw base 1M", "-f: given twice" },
		{ "convert base a.vmdk", "a.vmdk: its name ends neither in "
		    ".raw, .img nor .qcow2, write -O and a format" },
	};
	size_t i;

	rig_sh(&g, "truncate -s 1M base");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		imagerig_fails(&g, bad[i].text, "%s", bad[i].words);
	ck_assert(!imagerig_has("a") && !imagerig_has("a.qcow2") &&
	    !imagerig_has("a.raw") && !imagerig_has("a.vmdk"));
	imagerig_no_rest(&g);
}
END_TEST

/* Help is for those who ask for it, whatever else they write. */
START_TEST(helped)
{
	static const char *const words[] = {
		"help", "--help", "create -h", "create -s 10G --help a b c",
		"convert --help", "resize --shrink -h",
	};
	char *text = NULL;
	size_t i, len;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		g.out = open_memstream(&text, &len);
		ck_assert_ptr_nonnull(g.out);
		imagerig_do(&g, "%s", words[i]);
		fclose(g.out);
		ck_assert_ptr_eq(strstr(text, "usage: vmmctl"), text);
		ck_assert_ptr_nonnull(strstr(text, "\n\t-f FORMAT"));
		ck_assert_int_eq(strstr(text, "--shrink ") != NULL,
		    i < 2 || i == 5);
		ck_assert_int_eq(strstr(text, "-s SIZE  ") != NULL, i < 4);
		ck_assert_int_eq(strstr(text, "cluster_size") != NULL, i != 5);
		free(text);
	}
}
END_TEST

START_TEST(told)
{
	rig_sh(&g, "truncate -s 1M behind && qemu-img create -f qcow2 -o "
	    "cluster_size=32K,refcount_bits=8,lazy_refcounts=on,"
	    "extended_l2=on,compression_type=zstd -b behind -F raw a.qcow2 "
	    "7M && qemu-img snapshot -c one a.qcow2 && "
	    "qemu-img snapshot -c 'two and' a.qcow2");
	imagerig_do(&g, "info a.qcow2");
	ck_assert_uint_eq(g.rows.n, 3);
	ck_assert_str_eq(value(0, "format"), "qcow2");
	ck_assert_str_eq(value(0, "size"), "7340032");
	ck_assert_str_eq(value(0, "compat"), "1.1");
	ck_assert_str_eq(value(0, "cluster-size"), "32768");
	ck_assert_str_eq(value(0, "refcount-bits"), "8");
	ck_assert_str_eq(value(0, "lazy-refcounts"), "on");
	ck_assert_str_eq(value(0, "extended-l2"), "on");
	ck_assert_str_eq(value(0, "compression"), "zstd");
	ck_assert_str_eq(value(0, "dirty"), "off");
	ck_assert_str_eq(value(0, "corrupt"), "off");
	ck_assert_str_eq(value(0, "backing-file"), "behind");
	ck_assert_str_eq(value(0, "backing-format"), "raw");
	ck_assert_str_eq(value(1, "name"), "one");
	ck_assert_str_eq(value(2, "id"), "2");
	ck_assert_str_eq(value(2, "name"), "two and");
	ck_assert_str_eq(value(2, "size"), "7340032");
	/* What is behind need not be there. */
	rig_sh(&g, "rm behind");
	imagerig_do(&g, "info a.qcow2");
	imagerig_fails(&g, "behind: No such file", "convert a.qcow2 b.img");
	rig_sh(&g, "qemu-img create -f qcow2 -o data_file=data d.qcow2 1M && "
	    "rm data");
	imagerig_do(&g, "info d.qcow2");
	ck_assert_str_eq(value(0, "data-file"), "data");
	imagerig_fails(&g, "data: No such file", "map d.qcow2");
	rig_sh(&g, "truncate -s 3M b && qemu-img create -f qcow2 -o "
	    "compat=0.10 c 1M");
	imagerig_do(&g, "info b");
	ck_assert_str_eq(value(0, "format"), "raw");
	ck_assert_str_eq(value(0, "size"), "3145728");
	ck_assert_str_eq(value(0, "allocated"), "0");
	imagerig_do(&g, "info c");
	ck_assert_str_eq(value(0, "compat"), "0.10");
	ck_assert_str_eq(value(0, "refcount-bits"), "16");
}
END_TEST

/* A raw file that ends within a sector is one of whole ones. */
START_TEST(odd)
{
	rig_sh(&g, "truncate -s 99000 odd && "
	    "qemu-io -f raw -c 'write -q -P 7 0 512' odd && "
	    "head -c 1000 /dev/zero | tr '\\0' x >>odd");
	ck_assert_int_ne(rig_run(&g, "exit $(($(stat -c %%s odd) %% 512))"), 0);
	imagerig_do(&g, "info odd");
	rig_sh(&g, "qemu-img info -f raw odd | grep -q '(%s bytes)'",
	    value(0, "size"));
	imagerig_do(&g, "convert odd a.raw");
	rig_sh(&g, "qemu-img convert -f raw -O raw odd b.raw && "
	    "cmp a.raw b.raw");
	imagerig_do(&g, "convert odd a.qcow2");
	rig_sh(&g, "qemu-img check a.qcow2 && "
	    "qemu-img compare -f qcow2 -F raw a.qcow2 odd");
	imagerig_do(&g, "create -b odd c.qcow2");
	rig_sh(&g, "qemu-img create -f qcow2 -b odd -F raw d.qcow2 && "
	    "qemu-img compare -s c.qcow2 d.qcow2");
	imagerig_do(&g, "convert c.qcow2 e.raw");
	rig_sh(&g, "cmp e.raw b.raw");
	/* Nobody writes to one. */
	imagerig_fails(&g, "odd: its size is not a multiple of 512 bytes",
	    "resize odd 1M");
	imagerig_fails(&g, "odd: its size is not a multiple of 512 bytes",
	    "commit c.qcow2");
}
END_TEST

/* What an image's names say is not for the terminal to obey. */
START_TEST(told_without_controls)
{
	char *text = NULL;
	size_t len;
	FILE *out;

	rig_sh(&g, "qemu-img create -f qcow2 a.qcow2 1M && qemu-img snapshot "
	    "-c \"$(printf 'a\\033b\\233c\\302\\233d\\303\\251e\\303')\" a.qcow2");
	imagerig_do(&g, "info a.qcow2");
	out = open_memstream(&text, &len);
	ck_assert_ptr_nonnull(out);
	image_print(out, &g.rows);
	fclose(out);
	ck_assert_msg(strstr(text, "name: a?b?c?d\303\251e?\n") != NULL, "%s",
	    text);
	free(text);
}
END_TEST

/* An image that a guest has open is nobody else's. */
START_TEST(in_use)
{
	struct disk_how how = { 0 };
	struct disk *d;
	char err[512];

	rig_sh(&g, "qemu-img create -f qcow2 a.qcow2 1M");
	d = disk_open(NULL, "a.qcow2", &how, err, sizeof(err));
	ck_assert_msg(d != NULL, "%s", err);
	imagerig_fails(&g, "in use by another", "convert a.qcow2 b.raw");
	ck_assert_ptr_null(strstr(g.cn.error, "-U"));
	imagerig_fails(&g, "in use by another guest or process; -U looks at "
	    "it nevertheless", "info a.qcow2");
	imagerig_fails(&g, "in use by another", "create -b a.qcow2 -F qcow2 b.qcow2");
	imagerig_do(&g, "info -U a.qcow2");
	disk_close(d);
	imagerig_do(&g, "convert a.qcow2 b.raw");
}
END_TEST

/* No verb takes another's format for raw. */
START_TEST(foreign)
{
	static const struct {
		const char *words, *text;
	} bad[] = {
		{ "info v.vmdk", "image: v.vmdk: looks like a VMDK image, "
		    "which is not supported; convert it by qemu-img, or say "
		    "-f raw" },
		{ "convert v.vmdk a.qcow2", "or say -f raw" },
		{ "map v.vmdk", "or say -f raw" },
		{ "resize v.vmdk +1M", "or say -f raw" },
		{ "create -b v.vmdk a.qcow2", "or say -F raw" },
		{ "commit c.qcow2", "convert it by qemu-img" },
	};
	size_t i;

	rig_sh(&g, "qemu-img create -f vmdk v.vmdk 8M && cp v.vmdk before");
	rig_sh(&g, "qemu-img create -u -f qcow2 -b v.vmdk -F raw c.qcow2 8M && "
	    "sed -i 's/\\xe2y.\\xca/none/' c.qcow2");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		imagerig_fails(&g, bad[i].text, "%s", bad[i].words);
	ck_assert_ptr_null(strstr(g.cn.error, "or say"));
	rig_sh(&g, "cmp v.vmdk before");
	ck_assert(!imagerig_has("a.qcow2"));
	imagerig_do(&g, "info -f raw v.vmdk");
	imagerig_no_rest(&g);
}
END_TEST

/* A file that cannot become as long as it must is not there afterwards. */
START_TEST(no_room)
{
	const struct rlimit limit = { 2 << 20, 2 << 20 };

	rig_sh(&g, "qemu-img create -f qcow2 a.qcow2 64M && "
	    "qemu-io -c 'write -q -P 1 0 8M' a.qcow2");
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	imagerig_fails(&g, "b.qcow2: File too large",
	    "convert a.qcow2 b.qcow2");
	imagerig_fails(&g, "b.raw: File too large", "convert a.qcow2 b.raw");
	imagerig_fails(&g, "c: File too large", "create -f raw -s 3M c");
	imagerig_fails(&g, "c.qcow2: File too large",
	    "create -o preallocation=falloc -s 3M c.qcow2");
	imagerig_fails(&g, "c.qcow2: File too large",
	    "create -o preallocation=full,data_file=data -s 3M c.qcow2");
	imagerig_fails(&g, "c.qcow2: File too large",
	    "convert -o data_file=data a.qcow2 c.qcow2");
	ck_assert(!imagerig_has("data"));
	ck_assert(!imagerig_has("b.qcow2") && !imagerig_has("b.raw") &&
	    !imagerig_has("c") && !imagerig_has("c.qcow2"));
	imagerig_no_rest(&g);
}
END_TEST

/* A source that cannot be read names itself. */
START_TEST(broken_source)
{
	rig_sh(&g, "qemu-img create -f qcow2 a.qcow2 1M && "
	    "qemu-io -c 'write -q -P 1 0 1M' a.qcow2");
	/* The L2 table, in the fifth cluster. */
	rig_sh(&g, "qemu-io -f raw -c 'write -q -P 0x11 256K 4K' a.qcow2");
	imagerig_fails(&g, "a.qcow2: Input/output error",
	    "convert a.qcow2 b.raw");
	ck_assert(!imagerig_has("b.raw"));
	imagerig_no_rest(&g);
}
END_TEST

/* Bytes of the host's disk that a file takes. */
static long long
taken(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return (long long)st.st_blocks * 512;
}

/* Opens the new image, which has no name yet. */
static int
open_unnamed(void)
{
	glob_t found;
	int fd;

	while (glob("b.qcow2.*", 0, NULL, &found) != 0)
		usleep(10000);
	fd = open(found.gl_pathv[0], O_RDONLY);
	globfree(&found);
	ck_assert_int_ge(fd, 0);
	return fd;
}

/* Ctrl-C, while tables are made as well: it ends then, and nothing is left. */
START_TEST(interrupted)
{
	static const char *const words[] = {
		"convert a.qcow2 b.qcow2",
		"create -o preallocation=full,data_file=data -s 8G b.qcow2",
		"convert -o preallocation=metadata,cluster_size=4K h.qcow2 "
		    "b.qcow2",
		"create -o preallocation=metadata,cluster_size=4K -s 1T "
		    "b.qcow2",
		"create -o data_file=data,data_file_raw=on,cluster_size=4K "
		    "-s 1T b.qcow2",
	};
	long long had;
	pid_t pid;
	int status, fd;

	/* Much to read, though it takes no room. */
	rig_sh(&g, "qemu-img create -f qcow2 -o preallocation=metadata "
	    "a.qcow2 64G && qemu-img create -f qcow2 h.qcow2 1T");
	pid = fork();
	if (pid == 0) {
		bool ok = imagerig_try(&g, "%s", words[_i]);

		_exit(ok ? 0 : strcmp(g.cn.error, "image: interrupted, "
		    "b.qcow2 has not been made") == 0 ? 3 : 4);
	}
	fd = open_unnamed();
	usleep(100000);
	had = taken(fd);
	kill(pid, SIGINT);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 3);
	/* The tables alone of the large ones take 2 GiB. */
	ck_assert_int_lt(taken(fd) - had, 512 << 20);
	close(fd);
	ck_assert(!imagerig_has("b.qcow2") && !imagerig_has("data"));
	imagerig_no_rest(&g);
}
END_TEST

/* What is asked more often than it has an answer, ends. */
static bool
counts_down(void *arg)
{
	return (*(int *)arg)-- == 0;
}

/* The making of an image is asked for each table, and each 64 MiB of room. */
START_TEST(stopped)
{
	static const struct {
		enum disk_kind	 kind;
		enum disk_prealloc prealloc;
		int		 asks;
	} kinds[] = {
		{ DISK_RAW, DISK_PREALLOC_FALLOC, 3 },
		/* Header, refcount table, blocks, L1 table, L2 tables. */
		{ DISK_QCOW2, DISK_PREALLOC_METADATA, 1 + 1 + 21 + 1 + 80 },
		{ DISK_QCOW2, DISK_PREALLOC_FALLOC, 3 + 1 + 1 + 21 + 1 + 80 },
	};
	const int asks = kinds[_i].asks;
	struct disk_make m;
	char first[4];
	int fd, i, left;

	disk_make_init(&m, kinds[_i].kind, 160 << 20);
	m.cluster = 4096;
	m.prealloc = kinds[_i].prealloc;
	m.stops = counts_down;
	m.stops_arg = &left;
	for (i = 0; i <= asks; i++) {
		fd = open("new", O_RDWR | O_CREAT | O_TRUNC, 0600);
		left = i;
		ck_assert_int_eq(disk_make(fd, -1, &m), i < asks ? -EINTR : 0);
		ck_assert_int_eq(left, i < asks ? -1 : 0);
		ck_assert_int_eq(pread(fd, first, 4, 0), 4);
		ck_assert_int_eq(memcmp(first, "QFI\xfb", 4) == 0,
		    i == asks && m.kind == DISK_QCOW2);
		ck_assert_int_le(taken(fd), (i + 1LL) << 26);
		close(fd);
	}
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("image");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, converted, 0, NFORMS);
	tcase_add_loop_test(tc, created, 0, NFORMS);
	tcase_add_test(tc, created_behind);
	tcase_add_loop_test(tc, created_data, 0, NDATA);
	tcase_add_test(tc, created_data_refused);
	tcase_add_test(tc, created_raw);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, denied);
	tcase_add_test(tc, unclear);
	tcase_add_test(tc, helped);
	tcase_add_test(tc, told);
	tcase_add_test(tc, odd);
	tcase_add_test(tc, told_without_controls);
	tcase_add_test(tc, in_use);
	tcase_add_test(tc, foreign);
	tcase_add_test(tc, no_room);
	tcase_add_test(tc, broken_source);
	tcase_add_loop_test(tc, interrupted, 0, 5);
	tcase_add_loop_test(tc, stopped, 0, 3);
	return test_main("image", tc);
}
