/* SPDX-License-Identifier: ISC */
/*
 * qcow2 disks for which there is no memory: a detach needs none.
 */
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

int
main(void)
{
	TCase *tc = tcase_create("qcow2_hostile");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, detach_without_memory, 0, 2);
	return test_main("qcow2_hostile", tc);
}
