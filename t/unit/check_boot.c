/* SPDX-License-Identifier: ISC */
/*
 * bzImage loader, initrd and parameters: kernels made here, good and hostile,
 * into memory of our own.
 */
#include "bootrig.h"

#define CODE_LEN	(64 * 1024)
#define SETUP_LEN	(3 * 512)
#define FILE_LEN	(SETUP_LEN + CODE_LEN)
#define LOAD		(16 * MIB)
#define SPAN		(4 * MIB)
#define RAM		(32 * MIB)
#define CMDLINE_MAX	300

/* Offsets in the file; those in the boot parameters are the same. */
#define O_SETUP_SECTS	0x1f1
#define O_SYSSIZE	0x1f4
#define O_BOOT_FLAG	0x1fe
#define O_JUMP		0x201
#define O_MAGIC		0x202
#define O_VERSION	0x206
#define O_LOADER	0x210
#define O_LOADFLAGS	0x211
#define O_RAMDISK	0x218
#define O_RAMDISK_LEN	0x21c
#define O_CMDLINE	0x228
#define O_INITRD_MAX	0x22c
#define O_XLOADFLAGS	0x236
#define O_CMDLINE_LEN	0x238
#define O_SETUP_DATA	0x250
#define O_PREF		0x258
#define O_INIT_SIZE	0x260

#define O_E820_N	0x1e8
#define O_E820		0x2d0

static uint8_t	image[FILE_LEN];

static void
put(size_t off, uint64_t val, size_t len)
{
	memcpy(image + off, &val, len);
}

/* A small kernel that is right in all respects. */
static void
make_kernel(void)
{
	size_t i;

	for (i = 0; i < sizeof(image); i++)
		image[i] = (uint8_t)(i * 7 + i / 251);
	memset(image + 0x1e8, 0, 0x290 - 0x1e8);
	put(O_SETUP_SECTS, 2, 1);
	put(O_SYSSIZE, CODE_LEN / 16, 4);
	put(O_BOOT_FLAG, 0xaa55, 2);
	put(O_JUMP, 0x6a, 1);
	memcpy(image + O_MAGIC, "HdrS", 4);
	put(O_VERSION, 0x20f, 2);
	put(O_LOADFLAGS, 1, 1);
	put(O_INITRD_MAX, 0x7fffffff, 4);
	put(O_XLOADFLAGS, 1, 2);
	put(O_CMDLINE_LEN, CMDLINE_MAX, 4);
	put(O_PREF, LOAD, 8);
	put(O_INIT_SIZE, SPAN, 4);
}

static void
setup(void)
{
	make_kernel();
	rig_make(RAM);
}

static int
load_image(size_t len)
{
	write_file(kernel, image, len);
	return load(NULL, "");
}

/* The code lies where the header wants it and nowhere else. */
START_TEST(loads_code)
{
	ck_assert_msg(load_image(FILE_LEN) == 0, "%s", err);
	ck_assert_mem_eq(gmem_ptr(&gm, LOAD, CODE_LEN), image + SETUP_LEN,
	    CODE_LEN);
	ck_assert_uint_eq(get(LOAD - 1, 1), 0);
	ck_assert_uint_eq(get(LOAD + CODE_LEN, 1), 0);
}
END_TEST

/* What follows the code in the file (a signature) is left there. */
START_TEST(ignores_tail)
{
	put(O_SYSSIZE, CODE_LEN / 16 - 1, 4);
	ck_assert_int_eq(load_image(FILE_LEN), 0);
	ck_assert_uint_ne(image[FILE_LEN - 16], 0);
	ck_assert_uint_eq(get(LOAD + CODE_LEN - 16, 1), 0);
}
END_TEST

START_TEST(no_setup_sects_means_four)
{
	put(O_SETUP_SECTS, 0, 1);
	put(O_SYSSIZE, 4096 / 16, 4);
	ck_assert_int_eq(load_image(FILE_LEN), 0);
	ck_assert_mem_eq(gmem_ptr(&gm, LOAD, 4096), image + 5 * 512, 4096);
}
END_TEST

START_TEST(old_kernel_without_preference)
{
	put(O_PREF, 0, 8);
	ck_assert_int_eq(load_image(FILE_LEN), 0);
	ck_assert_uint_eq(regs.rip, MIB + 0x200);
}
END_TEST

/* Long mode, flat segments, interrupts off, RSI at the parameters. */
START_TEST(sets_registers)
{
	ck_assert_int_eq(load_image(FILE_LEN), 0);
	ck_assert_uint_eq(regs.rip, LOAD + 0x200);
	ck_assert_uint_eq(regs.rflags, 2);
	ck_assert_uint_eq(regs.cr0 & 0x80000001, 0x80000001);
	ck_assert_uint_eq(regs.cr4 & 0x20, 0x20);
	ck_assert_uint_eq(regs.efer & 0x500, 0x500);
	ck_assert_uint_eq(regs.cs.selector, 0x10);
	ck_assert_uint_eq(regs.cs.ar, 0xa09b);
	ck_assert_uint_eq(regs.ds.selector, 0x18);
	ck_assert_uint_eq(regs.ss.ar, 0xc093);
	ck_assert_uint_eq(get(regs.gpr[HV_RSI] + O_MAGIC, 4), 0x53726448);
	/* The descriptors in memory say the same as the registers. */
	ck_assert_uint_ge(regs.gdtr.limit, 0x1f);
	ck_assert_uint_eq(get(regs.gdtr.base + 0x10, 8), 0xaf9b000000ffff);
	ck_assert_uint_eq(get(regs.gdtr.base + 0x18, 8), 0xcf93000000ffff);
}
END_TEST

/* Walks the tables as a processor would: 2 MiB pages, identity. */
static bool
maps_to_itself(uint64_t addr)
{
	uint64_t e;

	e = get(regs.cr3 + (addr >> 39 & 511) * 8, 8);
	if ((e & 3) != 3)
		return false;
	e = get((e & ~0xfffULL) + (addr >> 30 & 511) * 8, 8);
	if ((e & 3) != 3)
		return false;
	e = get((e & ~0xfffULL) + (addr >> 21 & 511) * 8, 8);
	return (e & 0x83) == 0x83 && (e & ~0x1fffffULL) ==
	    (addr & ~0x1fffffULL);
}

START_TEST(maps_four_gib)
{
	ck_assert_int_eq(load_image(FILE_LEN), 0);
	ck_assert(maps_to_itself(0));
	ck_assert(maps_to_itself(LOAD));
	ck_assert(maps_to_itself(0xffffffff));
	ck_assert(!maps_to_itself(0x100000000));
}
END_TEST

START_TEST(fills_parameters)
{
	uint64_t bp;

	image[O_SETUP_DATA] = 0xee;
	write_file(kernel, image, FILE_LEN);
	ck_assert_int_eq(load(NULL, "console=ttyS0 quiet"), 0);
	bp = regs.gpr[HV_RSI];
	ck_assert_uint_eq(get(bp + O_LOADER, 1), 0xff);
	ck_assert_uint_eq(get(bp + O_SETUP_DATA, 8), 0);
	ck_assert_uint_eq(get(bp + O_RAMDISK, 8), 0);
	ck_assert_uint_eq(get(bp + O_VERSION, 2), 0x20f);
	ck_assert_str_eq(gmem_ptr(&gm, get(bp + O_CMDLINE, 4), 20),
	    "console=ttyS0 quiet");
	/* Nothing but what is filled in: no screen, no firmware. */
	ck_assert_uint_eq(get(bp, 8), 0);
	ck_assert_uint_eq(get(bp + 0x68, 8), 0);
	ck_assert_uint_eq(get(bp + 0x70, 8), 0xe0000);
	ck_assert_uint_eq(get(bp + 0x78, 8), 0);
	ck_assert_uint_eq(get(bp + 0x1ef, 1), 0);
	ck_assert_uint_eq(get(bp + 0x290, 8), 0);
}
END_TEST

static void
assert_e820(unsigned n, uint64_t addr, uint64_t end, unsigned type)
{
	uint64_t e = regs.gpr[HV_RSI] + O_E820 + n * 20;

	ck_assert_uint_eq(get(e, 8), addr);
	ck_assert_uint_eq(get(e + 8, 8), end - addr);
	ck_assert_uint_eq(get(e + 16, 4), type);
}

START_TEST(small_memory_map)
{
	ck_assert_int_eq(load_image(FILE_LEN), 0);
	ck_assert_uint_eq(get(regs.gpr[HV_RSI] + O_E820_N, 1), 3);
	assert_e820(0, 0, 0xa0000, 1);
	assert_e820(1, 0xa0000, 0x100000, 2);
	assert_e820(2, 0x100000, RAM, 1);
}
END_TEST

START_TEST(large_memory_map)
{
	make_ram(4096 * MIB);
	ck_assert_int_eq(load_image(FILE_LEN), 0);
	ck_assert_uint_eq(get(regs.gpr[HV_RSI] + O_E820_N, 1), 4);
	assert_e820(2, 0x100000, 3072 * MIB, 1);
	assert_e820(3, 4096 * MIB, 5120 * MIB, 1);
}
END_TEST

static const struct {
	size_t		 off;
	uint64_t	 val;
	size_t		 len;
	const char	*text;
} hostile[] = {
	{ O_BOOT_FLAG, 0xaa54, 2, "not a Linux kernel image" },
	{ O_MAGIC, 0, 4, "not a Linux kernel image" },
	{ O_VERSION, 0x20b, 2, "2.12 (Linux 3.8) or later is needed" },
	{ O_LOADFLAGS, 0, 1, "a bzImage is needed" },
	{ O_XLOADFLAGS, 0xfffe, 2, "one for x86-64 is needed" },
	{ O_JUMP, 0x61, 1, "setup header ends at 0x263" },
	{ O_JUMP, 0x8f, 1, "setup header ends at 0x291" },
	{ O_JUMP, 0xff, 1, "setup header ends at 0x301" },
	{ O_SYSSIZE, 0, 4, "holds no code" },
	{ O_SYSSIZE, 0x20, 4, "holds no code" },
	{ O_SYSSIZE, CODE_LEN / 16 + 1, 4, "truncated" },
	{ O_SYSSIZE, 0xffffffff, 4, "damaged" },
	{ O_SETUP_SECTS, 3, 1, "truncated" },
	{ O_SETUP_SECTS, 255, 1, "truncated" },
	{ O_PREF, MIB - 4096, 8, "wants to be loaded at 0xff000" },
	{ O_PREF, LOAD + 1, 8, "wants to be loaded at 0x1000001" },
	{ O_PREF, UINT64_MAX - 4095, 8, "beyond what can be reached" },
	{ O_PREF, 0x100000000, 8, "beyond what can be reached" },
	{ O_PREF, RAM - SPAN + 4096, 8, "needs 33 MiB" },
	{ O_INIT_SIZE, RAM - LOAD + 1, 4, "needs 33 MiB" },
	{ O_INIT_SIZE, 0xffffffff, 4, "beyond what can be reached" },
};

/* Each is one clear line, and not a byte reaches the guest. */
START_TEST(refuses_hostile_header)
{
	int error;

	put(hostile[_i].off, hostile[_i].val, hostile[_i].len);
	error = load_image(FILE_LEN);
	ck_assert_int_eq(error, -ENOEXEC);
	assert_says(error, "kernel /tmp/", hostile[_i].text);
	ck_assert_uint_eq(get(LOAD, 1), 0);
}
END_TEST

static const struct {
	size_t		 off;
	uint64_t	 val;
	size_t		 len;
} odd[] = {
	{ O_VERSION, 0x20c, 2 },
	{ O_JUMP, 0x62, 1 },
	{ O_JUMP, 0x8e, 1 },
	{ O_SYSSIZE, 0x21, 4 },
	{ O_PREF, MIB, 8 },
	{ O_PREF, RAM - SPAN, 8 },
	{ O_INIT_SIZE, RAM - LOAD, 4 },
	{ O_INIT_SIZE, 0, 4 },
};

/* The other side of each edge. */
START_TEST(accepts_odd_header)
{
	put(odd[_i].off, odd[_i].val, odd[_i].len);
	ck_assert_msg(load_image(FILE_LEN) == 0, "%s", err);
}
END_TEST

/* An init_size of less than the code does not hide the code's end. */
START_TEST(code_counts_too)
{
	put(O_INIT_SIZE, 0, 4);
	put(O_PREF, RAM - CODE_LEN, 8);
	ck_assert_msg(load_image(FILE_LEN) == 0, "%s", err);
	put(O_PREF, RAM - CODE_LEN + 4096, 8);
	assert_says(load_image(FILE_LEN), "kernel /tmp/", "needs 33 MiB");
}
END_TEST

START_TEST(refuses_truncated_file)
{
	assert_says(load_image(FILE_LEN - 1), "kernel /tmp/", "truncated");
	assert_says(load_image(0x28f), "kernel /tmp/", "only 655 bytes");
	assert_says(load_image(0), "kernel /tmp/", "only 0 bytes");
}
END_TEST

START_TEST(refuses_what_is_no_file)
{
	int error;

	error = load(NULL, "");
	ck_assert_int_eq(error, -ENOENT);
	assert_says(error, "kernel /tmp/", "No such file");
	ck_assert_int_eq(mkfifo(kernel, 0600), 0);
	assert_says(load(NULL, ""), "kernel /tmp/", "not a regular file");
	unlink(kernel);
	ck_assert_int_eq(mkdir(kernel, 0700), 0);
	assert_says(load(NULL, ""), "kernel /tmp/", "not a regular file");
	rmdir(kernel);
}
END_TEST

START_TEST(bounds_command_line)
{
	char line[CMDLINE_MAX + 2];

	write_file(kernel, image, FILE_LEN);
	memset(line, 'x', sizeof(line));
	line[CMDLINE_MAX] = '\0';
	ck_assert_msg(load(NULL, line) == 0, "%s", err);
	line[CMDLINE_MAX] = 'x';
	line[CMDLINE_MAX + 1] = '\0';
	assert_says(load(NULL, line), "kernel /tmp/", "at most 300 bytes");
}
END_TEST

/* A kernel that claims to take any length still gets what has room. */
START_TEST(bounds_claimed_command_line)
{
	size_t room = 0xa0000 - 0x10000;
	char *line = malloc(room + 1);

	put(O_CMDLINE_LEN, 0xffffffff, 4);
	write_file(kernel, image, FILE_LEN);
	memset(line, 'x', room + 1);
	line[room - 1] = '\0';
	ck_assert_msg(load(NULL, line) == 0, "%s", err);
	line[room - 1] = 'x';
	line[room] = '\0';
	assert_says(load(NULL, line), "kernel /tmp/", "command line");
	free(line);
}
END_TEST

static void
make_initrd(size_t len)
{
	char *p = malloc(len + 1);

	memset(p, 0x5a, len);
	write_file(initrd, p, len);
	free(p);
	write_file(kernel, image, FILE_LEN);
}

START_TEST(loads_initrd_high)
{
	uint64_t bp, at;

	make_initrd(10000);
	ck_assert_msg(load(initrd, "") == 0, "%s", err);
	bp = regs.gpr[HV_RSI];
	at = get(bp + O_RAMDISK, 4);
	ck_assert_uint_eq(get(bp + O_RAMDISK_LEN, 4), 10000);
	ck_assert_uint_eq(at, RAM - 3 * 4096);
	ck_assert_uint_eq(get(at, 1), 0x5a);
	ck_assert_uint_eq(get(at + 9999, 1), 0x5a);
	ck_assert_uint_eq(get(at + 10000, 1), 0);
	ck_assert_uint_eq(get(at - 1, 1), 0);
}
END_TEST

START_TEST(keeps_initrd_in_reach)
{
	put(O_INITRD_MAX, 24 * MIB - 1, 4);
	make_initrd(4096);
	ck_assert_msg(load(initrd, "") == 0, "%s", err);
	ck_assert_uint_eq(get(regs.gpr[HV_RSI] + O_RAMDISK, 4),
	    24 * MIB - 4096);
	/* One byte less in reach costs a page. */
	put(O_INITRD_MAX, 24 * MIB - 2, 4);
	make_initrd(4096);
	ck_assert_msg(load(initrd, "") == 0, "%s", err);
	ck_assert_uint_eq(get(regs.gpr[HV_RSI] + O_RAMDISK, 4),
	    24 * MIB - 2 * 4096);
}
END_TEST

START_TEST(initrd_fits_or_not)
{
	make_initrd(RAM - LOAD - SPAN);
	ck_assert_msg(load(initrd, "") == 0, "%s", err);
	ck_assert_uint_eq(get(regs.gpr[HV_RSI] + O_RAMDISK, 4), LOAD + SPAN);
	make_initrd(RAM - LOAD - SPAN + 1);
	assert_says(load(initrd, ""), "initrd /tmp/", "do not fit");
	make_initrd(0);
	assert_says(load(initrd, ""), "initrd /tmp/", "empty");
	put(O_INITRD_MAX, 0, 4);
	make_initrd(1);
	assert_says(load(initrd, ""), "initrd /tmp/", "do not fit");
	unlink(initrd);
	assert_says(load(initrd, ""), "initrd /tmp/", "No such file");
}
END_TEST

START_TEST(refuses_tiny_memory)
{
	make_ram(MIB);
	assert_says(load_image(FILE_LEN), "kernel /tmp/", "above 1 MiB");
	make_ram(LOAD);
	assert_says(load_image(FILE_LEN), "kernel /tmp/",
	    "needs 20 MiB of memory below 3 GiB to start, the guest has 16");
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("load");

	tcase_add_checked_fixture(tc, setup, rig_free);
	tcase_add_test(tc, loads_code);
	tcase_add_test(tc, ignores_tail);
	tcase_add_test(tc, no_setup_sects_means_four);
	tcase_add_test(tc, old_kernel_without_preference);
	tcase_add_test(tc, sets_registers);
	tcase_add_test(tc, maps_four_gib);
	tcase_add_test(tc, fills_parameters);
	tcase_add_test(tc, small_memory_map);
	tcase_add_test(tc, large_memory_map);
	tcase_add_loop_test(tc, refuses_hostile_header, 0,
	    sizeof(hostile) / sizeof(hostile[0]));
	tcase_add_loop_test(tc, accepts_odd_header, 0,
	    sizeof(odd) / sizeof(odd[0]));
	tcase_add_test(tc, code_counts_too);
	tcase_add_test(tc, refuses_truncated_file);
	tcase_add_test(tc, refuses_what_is_no_file);
	tcase_add_test(tc, bounds_command_line);
	tcase_add_test(tc, bounds_claimed_command_line);
	tcase_add_test(tc, loads_initrd_high);
	tcase_add_test(tc, keeps_initrd_in_reach);
	tcase_add_test(tc, initrd_fits_or_not);
	tcase_add_test(tc, refuses_tiny_memory);
	return test_main("boot", tc);
}
