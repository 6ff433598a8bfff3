/* SPDX-License-Identifier: ISC */
/*
 * Files to boot from, above all compressed ones: whole, cut at any place,
 * damaged, and larger than anything sane.
 */
#include <zlib.h>

#include "bootrig.h"
#include "vmm/boot_file.h"

#define LEN		300000

static uint8_t	content[LEN], packed[LEN + 1000], back[LEN];

/* Compresses content[] into packed[]; its length. */
static size_t
pack(void)
{
	z_stream z = {
		.next_in = content, .avail_in = LEN,
		.next_out = packed, .avail_out = sizeof(packed),
	};
	size_t i;

	for (i = 0; i < LEN; i++)
		content[i] = (uint8_t)(i * i >> 7);
	ck_assert_int_eq(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8,
	    Z_DEFAULT_STRATEGY), Z_OK);
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return z.total_out;
}

static void
setup(void)
{
	rig_make(16 * MIB);
	err[0] = '\0';
}

/* Opens the kernel's file of `len` bytes of packed[]. */
static void
open_packed(struct boot_file *f, size_t len)
{
	*f = (struct boot_file){
		.what = "kernel", .path = kernel,
		.err = err, .errlen = sizeof(err),
	};
	write_file(kernel, packed, len);
	ck_assert_int_eq(boot_file_open(f, true), 0);
}

/* Reads all of the file of so many bytes: what came of it. */
static int
read_all(size_t len)
{
	struct boot_file f;
	int error;

	open_packed(&f, len);
	error = boot_file_read(&f, back, LEN, 0);
	if (error == 0)
		error = boot_file_check(&f);
	boot_file_close(&f);
	return error;
}

START_TEST(reads_anywhere)
{
	static const struct {
		uint64_t	off, len;
	} part[] = {
		{ 0, 4 }, { 4, 100 }, { 200000, 65537 }, { 265537, 1 },
		{ 100, 199900 }, { LEN - 1, 1 }, { 0, LEN },
	};
	size_t len = pack(), i;
	struct boot_file f;

	open_packed(&f, len);
	for (i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		memset(back, 0, sizeof(back));
		ck_assert_int_eq(boot_file_read(&f, back, part[i].len,
		    part[i].off), 0);
		ck_assert_mem_eq(back, content + part[i].off, part[i].len);
	}
	ck_assert_int_eq(boot_file_check(&f), 0);
	assert_says(boot_file_read(&f, back, 2, LEN - 1), "kernel /tmp/",
	    "contains 300000 bytes, its header promises more");
	assert_says(boot_file_read(&f, back, 1, UINT64_MAX), "kernel /tmp/",
	    "contains 300000 bytes");
	boot_file_close(&f);
}
END_TEST

/* What follows the compressed data, such as a signature, is not theirs. */
START_TEST(ignores_tail)
{
	size_t len = pack();

	memset(packed + len, 0x55, 100);
	ck_assert_int_eq(read_all(len + 100), 0);
}
END_TEST

START_TEST(refuses_truncated)
{
	size_t len = pack(), n;
	int error;

	for (n = 3; n < len; n += n < 40 || n > len - 40 ? 1 : 997) {
		error = read_all(n);
		ck_assert_int_eq(error, -ENOEXEC);
		assert_says(error, "kernel /tmp/",
		    "truncated: its compressed data end after");
	}
	ck_assert_int_eq(read_all(len), 0);
}
END_TEST

/* Length and sum are at the end, and seen although nobody reads so far. */
START_TEST(refuses_damaged)
{
	size_t len = pack(), i;
	int error;

	for (i = 0; i < 8; i++) {
		packed[len - 8 + i] ^= 0x10;
		error = read_all(len);
		ck_assert_int_eq(error, -ENOEXEC);
		assert_says(error, "kernel /tmp/", "damaged");
		packed[len - 8 + i] ^= 0x10;
	}
	/* Anywhere: refused or not, but never more than that. */
	for (i = 3; i < len - 8; i += 499) {
		packed[i] ^= 0xff;
		if (read_all(len) != 0)
			assert_says(-1, "kernel /tmp/", "");
		packed[i] ^= 0xff;
	}
}
END_TEST

/* By magic only: others are files like any. */
START_TEST(not_compressed)
{
	struct boot_file f;

	(void)pack();
	packed[2] = 7;
	open_packed(&f, 100);
	ck_assert_int_eq(boot_file_read(&f, back, 100, 0), 0);
	ck_assert_mem_eq(back, packed, 100);
	assert_says(boot_file_read(&f, back, 1, 100), "kernel /tmp/",
	    "truncated: 100 bytes, its header promises 101");
	assert_says(boot_file_read(&f, back, 2, UINT64_MAX), "kernel /tmp/",
	    "truncated");
	boot_file_close(&f);
}
END_TEST

/* So many bytes of nothing, in a file. */
static void
write_bomb(uint64_t len)
{
	gzFile g = gzopen(kernel, "wb1");

	memset(content, 0, sizeof(content));
	for (; len >= LEN; len -= LEN)
		ck_assert_int_eq(gzwrite(g, content, LEN), LEN);
	if (len != 0)
		ck_assert_int_eq(gzwrite(g, content, (unsigned)len), len);
	gzclose(g);
}

START_TEST(bounds_output)
{
	struct boot_file f = {
		.what = "kernel", .path = kernel,
		.err = err, .errlen = sizeof(err),
	};

	write_bomb(BOOT_FILE_MAX);
	ck_assert_int_eq(boot_file_open(&f, true), 0);
	ck_assert_int_eq(boot_file_check(&f), 0);
	/* All of it may be read twice, not more. */
	ck_assert_int_eq(boot_file_read(&f, back, LEN, 0), 0);
	ck_assert_int_eq(boot_file_check(&f), 0);
	assert_says(boot_file_read(&f, back, 1, 0), "kernel /tmp/", "512 MiB");
	boot_file_close(&f);
	write_bomb(BOOT_FILE_MAX + 1);
	ck_assert_int_eq(boot_file_open(&f, true), 0);
	assert_says(boot_file_check(&f), "kernel /tmp/",
	    "inflates to more than 512 MiB");
	boot_file_close(&f);
}
END_TEST

/* A loader is told the same as a reader. */
START_TEST(loads_compressed)
{
	size_t len = pack();

	write_file(kernel, packed, len);
	assert_says(load(NULL, ""), "kernel /tmp/",
	    "not a Linux kernel image");
	write_file(kernel, packed, 200);
	assert_says(load(NULL, ""), "kernel /tmp/", "truncated");
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("boot_file");

	tcase_add_checked_fixture(tc, setup, rig_free);
	tcase_add_test(tc, reads_anywhere);
	tcase_add_test(tc, ignores_tail);
	tcase_add_test(tc, refuses_truncated);
	tcase_add_test(tc, refuses_damaged);
	tcase_add_test(tc, not_compressed);
	tcase_add_test(tc, bounds_output);
	tcase_add_test(tc, loads_compressed);
	return test_main("boot_file", tc);
}
