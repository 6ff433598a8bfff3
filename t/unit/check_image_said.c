/* SPDX-License-Identifier: ISC */
/*
 * `vmmctl image`: what it says beside its rows, on the standard error.
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

/* What is said on the standard error is in the file "said". */
static void
do_noting(const char *args)
{
	int was = dup(STDERR_FILENO), fd;

	fd = open("said", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ne(dup2(fd, STDERR_FILENO), -1);
	imagerig_do(&g, args);
	ck_assert_int_ne(dup2(was, STDERR_FILENO), -1);
	close(was);
	close(fd);
}

/* Whoever writes without them says so, once. */
START_TEST(bitmaps_void)
{
	rig_sh(&g, "qemu-img create -f qcow2 a.qcow2 4M && "
	    "qemu-img bitmap --add a.qcow2 one && "
	    "qemu-img bitmap --add a.qcow2 two");
	imagerig_do(&g, "info a.qcow2");
	ck_assert_str_eq(row_value(&g.rows.row[0], "bitmaps", ""), "2");
	do_noting("resize a.qcow2 +1M");
	ck_assert_int_eq(g.status, 0);
	rig_sh(&g, "[ $(wc -l <said) = 1 ] && grep -q 'disk a.qcow2: bitmaps "
	    "in it, 2, are void' said");
	do_noting("resize a.qcow2 +1M");
	rig_sh(&g, "[ ! -s said ]");
}
END_TEST

/* The first corruptions are told of, and how many there are besides. */
START_TEST(problems_are_told)
{
	rig_sh(&g, "qemu-img create -f qcow2 a.qcow2 4M && "
	    "qemu-io -c 'write 0 64K' a.qcow2 && truncate -s 320K a.qcow2");
	do_noting("check a.qcow2");
	ck_assert_int_eq(g.status, 4);
	rig_sh(&g, "[ \"$(cat said)\" = 'vmmctl: image: a.qcow2: a link leads "
	    "to where the file has nothing, at 0x50000' ]");
	rig_sh(&g, "qemu-img create -f qcow2 -o preallocation=metadata "
	    "b.qcow2 4M && truncate -s 400K b.qcow2");
	do_noting("check b.qcow2");
	rig_sh(&g, "[ $(wc -l <said) = 9 ] && grep -q 'and [0-9]* more$' said");
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("image_said");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, bitmaps_void);
	tcase_add_test(tc, problems_are_told);
	return test_main("image_said", tc);
}
