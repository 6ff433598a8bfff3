/* SPDX-License-Identifier: ISC */
/*
 * What vmmd -n says of the files of guests: each disk is judged as the start
 * would, by the headers of all files that it is made of, and nothing of them
 * changes; the same file twice is found by whatever name.
 */
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "testhost.h"
#include "toolrig.h"
#include "vmm/config.h"

struct rig {
	char		dir[64];	/* "in" is [daemon] path, "out" is not */
	char		conf[80];
	struct buf	text, said;
};

static struct rig r;

static void
setup(void)
{
	snprintf(r.dir, sizeof(r.dir), "/tmp/check_files.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(r.dir));
	ck_assert_int_eq(chmod(r.dir, 0755), 0);
	snprintf(r.conf, sizeof(r.conf), "%s/conf", r.dir);
	buf_init(&r.text, 1 << 20);
	buf_init(&r.said, CONFIG_ERRORS_MAX);
	rig_sh(&r, "umask 022 && mkdir in out && touch in/k");
	buf_printf(&r.text, "[daemon]\npath=%s/in\n", r.dir);
}

static void
teardown(void)
{
	char command[128];

	buf_free(&r.text);
	buf_free(&r.said);
	snprintf(command, sizeof(command), "rm -rf %s", r.dir);
	ck_assert_int_eq(system(command), 0);
}

/* A guest with one disk, or a disk more. */
static void
guest(const char *name, const char *disk)
{
	if (name != NULL)
		buf_printf(&r.text, "[vm %s]\nkernel=%s/in/k\n", name, r.dir);
	buf_printf(&r.text, "disk=%s/in/%s\n", r.dir, disk);
}

/* What vmmd -n says then; directories are left out of it. */
static const char *
warnings(void)
{
	FILE *f = fopen(r.conf, "w");
	size_t n = strlen(r.dir);
	struct config *c;
	char *p;

	ck_assert_ptr_nonnull(f);
	fwrite(buf_head(&r.text), 1, r.text.len, f);
	ck_assert_int_eq(fclose(f), 0);
	buf_consume(&r.said, r.said.len);
	c = config_read(r.conf, &r.said);
	ck_assert_msg(c != NULL, "%.*s", (int)r.said.len,
	    (char *)buf_head(&r.said));
	config_check_files(c, &r.said);
	config_free(c);
	ck_assert_int_eq(buf_append(&r.said, "", 1), 0);
	p = (char *)buf_head(&r.said);
	while ((p = strstr(p, r.dir)) != NULL)
		memmove(p, p + n, strlen(p + n) + 1);
	return (char *)buf_head(&r.said);
}

START_TEST(images)
{
	static const struct {
		const char	*make, *disk, *want;
	} row[] = {
		{ "truncate -s 4096 in/d", "d", NULL },
		{ "qemu-img create -f qcow2 in/d 4G", "d", NULL },
		{ "truncate -s 1000 in/d", "d,readonly", NULL },
		{ "truncate -s 1000 in/d", "d",
		    "its size is not a multiple of 512 bytes" },
		{ "truncate -s 1000 in/d", "d,cache=none",
		    "its size is not a multiple of 512 bytes" },
		{ "touch in/d", "d", "is empty" },
		{ "touch in/d", "d,readonly", "is empty" },
		{ "mkdir in/d", "d",
		    "is neither a regular file nor a block device" },
		{ "ln -s nowhere in/d", "d", "No such file or directory" },
		{ "printf KDMV >in/d && truncate -s 1M in/d", "d,readonly",
		    "looks like a VMDK image, which is not supported; convert "
		    "it by qemu-img, or say format=raw" },
		{ "printf KDMV >in/d && truncate -s 1M in/d",
		    "d,readonly,format=raw", NULL },
		{ "truncate -s 1M in/d", "d,format=qcow2",
		    "is not a qcow2 image" },
		/* The corrupt bit. */
		{ "qemu-img create -f qcow2 in/d 8M && printf '\\2' | "
		    "dd of=in/d bs=1 seek=79 conv=notrunc", "d",
		    "is marked as corrupt, and can only be read" },
		{ "qemu-img create -f qcow2 in/d 8M && printf '\\2' | "
		    "dd of=in/d bs=1 seek=79 conv=notrunc", "d,readonly",
		    NULL },
		/* Tables of 32 MiB each, none of which is read. */
		{ "qemu-img create -f qcow2 -o cluster_size=512 in/d 128G && "
		    "cp in/d in/b && qemu-img rebase -u -F qcow2 -b b in/d",
		    "d", NULL },
		{ "qemu-img create -f qcow2 -o cluster_size=512 in/d 128G && "
		    "cp in/d in/c && qemu-img rebase -u -F qcow2 -b c in/d && "
		    "cp in/d in/b && qemu-img rebase -u -F qcow2 -b b in/d",
		    "d", "/in/c: its L1 table, with those of the images "
		    "before it, is too large" },
	};
	char want[400];
	size_t len;
	unsigned i;

	setup();
	len = r.text.len;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		r.text.len = len;
		rig_sh(&r, "rm -rf in/* out/* && touch in/k && { %s; }",
		    row[i].make);
		guest("a", row[i].disk);
		snprintf(want, sizeof(want), "warning: vm a: disk /in/%.*s: "
		    "%s\n", (int)strcspn(row[i].disk, ","), row[i].disk,
		    row[i].want);
		ck_assert_str_eq(warnings(), row[i].want == NULL ? "" : want);
	}
	teardown();
}
END_TEST

START_TEST(chains)
{
	static const struct {
		const char	*behind, *want;
	} row[] = {
		{ "b -F raw", NULL },
		{ "odd -F raw", NULL },
		{ "gone -F raw", "/in/gone: No such file or directory" },
		{ "b -F qcow2", "/in/b: is not a qcow2 image" },
		{ "b -F vmdk",
		    "the format `vmdk' of the image behind is unknown" },
		{ "nbd://x/y -F raw",
		    "the image behind it, `nbd://x/y', is named by "
		    "something else than a file" },
		{ "'json:{\"driver\":\"raw\"}' -F raw",
		    "the image behind it, `json:{\"driver\":\"raw\"}', is "
		    "named by something else than a file" },
		{ "../out/b -F raw",
		    "/in/../out/b: lies outside of [daemon] path" },
		{ "fifo -F raw", "/in/fifo: is neither a regular file nor a "
		    "block device" },
		{ "d -F qcow2", "/in/d: is behind itself" },
		{ "over -F qcow2", "/in/gone: No such file or directory" },
	};
	char want[300];
	unsigned i;

	setup();
	rig_sh(&r, "truncate -s 1M in/b out/b && truncate -s 1000 in/odd && "
	    "mkfifo in/fifo && "
	    "qemu-img create -u -f qcow2 -b gone -F raw in/over 1M");
	guest("a", "d");
	/* Nothing that would wait is opened. */
	alarm(60);
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		rig_sh(&r, "qemu-img create -u -f qcow2 -b %s in/d 1M",
		    row[i].behind);
		snprintf(want, sizeof(want), "warning: vm a: disk /in/d: "
		    "%s\n", row[i].want);
		ck_assert_str_eq(warnings(), row[i].want == NULL ? "" : want);
	}
	teardown();
}
END_TEST

START_TEST(data_files)
{
	setup();
	rig_sh(&r, "cd in && qemu-img create -f qcow2 -o data_file=x d 1M && "
	    "qemu-img create -f qcow2 -o data_file=y e 1M && rm y");
	guest("a", "d");
	guest("b", "e");
	guest("c", "e2");
	ck_assert_str_eq(warnings(), "warning: vm b: disk /in/e: /in/y: No "
	    "such file or directory\n"
	    "warning: vm c: disk /in/e2: No such file or directory\n");
	/* Whoever writes the data of one has it alone. */
	rig_sh(&r, "cd in && cp d e && cp d e2");
	ck_assert_str_eq(warnings(), "warning: vm b: disk /in/e: /in/x: is "
	    "what disk /in/d of [vm a] stands on already\n"
	    "warning: vm c: disk /in/e2: /in/x: is what disk /in/d of [vm a] "
	    "stands on already\n");
	teardown();
}
END_TEST

/* Each file of a chain, as the user that is to be the daemon's. */
START_TEST(rights)
{
	bool root = geteuid() == 0;

	setup();
	rig_sh(&r, "cd in && umask 022 && truncate -s 1M b c secret && "
	    "cp b b2 && qemu-img create -u -f qcow2 -b b -F raw d 1M && "
	    "qemu-img create -u -f qcow2 -b secret -F raw e 1M && "
	    "qemu-img create -f qcow2 -o data_file=x f 1M && cp f f2 && "
	    "chmod 666 c d e f && chmod 444 b b2 f2 x && chmod 0 secret && "
	    "touch ../conf && chmod 666 ../conf");
	guest("a", "c");
	guest("b", "d");
	guest("c", "e");
	guest("d", "f");
	guest("e", "b,readonly");
	guest("f", "f2,readonly");
	guest("g", "b2");
	if (root) {
		ck_assert_int_eq(setgroups(0, NULL), 0);
		ck_assert_int_eq(setegid(65534) | seteuid(65534), 0);
	}
	ck_assert_str_eq(warnings(), "warning: vm c: disk /in/e: /in/secret: "
	    "Permission denied to the daemon's user\n"
	    "warning: vm d: disk /in/f: /in/x: Permission denied to the "
	    "daemon's user\n"
	    "warning: vm g: disk /in/b2: Permission denied to the daemon's "
	    "user\n");
	if (root)
		ck_assert_int_eq(seteuid(0) | setegid(0), 0);
	teardown();
}
END_TEST

START_TEST(twice)
{
	setup();
	rig_sh(&r, "cd in && truncate -s 1M a b c && ln -s a link && "
	    "ln a hard && ln -s b b2 && cp a base && ln base base2 && "
	    "qemu-img create -u -f qcow2 -b base -F raw o 1M && cp o o2");
	guest("v", "a");
	guest("w", "link");
	guest(NULL, "hard,readonly");
	guest("x", "./a");
	/* Nobody writes these ... */
	guest(NULL, "b,readonly");
	guest(NULL, "b2,readonly");
	guest(NULL, "o");
	guest("y", "o2");
	guest(NULL, "base,readonly");
	/* ... until now. */
	guest("z", "base2");
	guest(NULL, "./b");
	guest(NULL, "./o");
	ck_assert_str_eq(warnings(),
	    "warning: vm w: disk /in/link: is the disk of [vm v] already, by "
	    "another name, /in/a\n"
	    "warning: vm w: disk /in/hard: is the disk of [vm v] already, by "
	    "another name, /in/a\n"
	    "warning: vm x: disk /in/./a: is the disk of [vm v] already, by "
	    "another name, /in/a\n"
	    "warning: vm z: disk /in/base2: is what disk /in/o of [vm x] "
	    "stands on already, by another name, /in/base\n"
	    "warning: vm z: disk /in/./b: is the disk of [vm x] already, by "
	    "another name, /in/b\n"
	    "warning: vm z: disk /in/./o: is the disk of [vm x] already, by "
	    "another name, /in/o\n"
	    "warning: vm z: disk /in/./o: /in/./base: is the disk of [vm z] "
	    "already, by another name, /in/base2\n");
	teardown();
}
END_TEST

/* An image that was not closed, and one that a guest has. */
START_TEST(nothing_changes)
{
	char path[80];
	int fd;

	setup();
	snprintf(path, sizeof(path), "%s/in/d", r.dir);
	rig_sh(&r, "cd in && "
	    "qemu-img create -f qcow2 -o lazy_refcounts=on d 4M && "
	    "qemu-io -c 'write 0 1M' -c 'sigraise 9' d; "
	    "qemu-img info d >info && grep . info && cp d before");
	fd = open(path, O_RDWR);
	ck_assert_int_ge(fd, 0);
	/* Not for a lock of ours, either. */
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	guest("a", "d");
	ck_assert_str_eq(warnings(), "");
	close(fd);
	rig_sh(&r, "cd in && cmp d before && "
	    "test $(dd if=d bs=1 skip=79 count=1 | od -An -tu1) = 1");
	teardown();
}
END_TEST

START_TEST(hints)
{
	static const char hint[] = "No such file or directory (options follow "
	    "a comma, comments begin with `;')\n";
	char want[600];

	setup();
	rig_sh(&r, "cd in && touch 'a b'");
	guest("a", "k readonly");
	guest(NULL, "k # comment");
	guest(NULL, "none ; comment");
	guest(NULL, "a b,readonly");
	snprintf(want, sizeof(want),
	    "warning: vm a: disk /in/k readonly: %s"
	    "warning: vm a: disk /in/k # comment: %s"
	    "warning: vm a: disk /in/none: No such file or directory\n"
	    "warning: vm a: disk /in/a b: is empty\n", hint, hint);
	ck_assert_str_eq(warnings(), want);
	teardown();
}
END_TEST

START_TEST(kernels)
{
	setup();
	buf_printf(&r.text, "[vm a]\nkernel=%s/in/none\ninitrd=%s/in/k\n"
	    "[vm b]\nkernel=%s/in/k\ninitrd=%s/in/no\n", r.dir, r.dir,
	    r.dir, r.dir);
	ck_assert_str_eq(warnings(),
	    "warning: vm a: kernel /in/none: No such file or directory\n"
	    "warning: vm b: initrd /in/no: No such file or directory\n");
	teardown();
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("config_files");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, images);
	tcase_add_test(tc, chains);
	tcase_add_test(tc, data_files);
	tcase_add_test(tc, rights);
	tcase_add_test(tc, twice);
	tcase_add_test(tc, nothing_changes);
	tcase_add_test(tc, hints);
	tcase_add_test(tc, kernels);
	return test_main("config_files", tc);
}
