/* SPDX-License-Identifier: ISC */
/*
 * ELF loader: kernels made here, good and hostile.
 */
#include "bootrig.h"

/* Has a macro of the name of one of libev's constants. */
#include <elf.h>

#define RAM		(32 * MIB)
#define CODE_OFF	0x1000
#define CODE_LEN	0x2000
#define DATA_OFF	(CODE_OFF + CODE_LEN)
#define DATA_LEN	0x300
#define DATA_SPAN	0x5000
#define FILE_LEN	(DATA_OFF + DATA_LEN)
#define CODE		(16 * MIB)
#define DATA		(20 * MIB)
#define VIRTUAL		0xffffffff80000000ULL
#define ENTRY		(CODE + 0x100)

static struct {
	Elf64_Ehdr	e;
	Elf64_Phdr	p[3];
	uint8_t		rest[FILE_LEN - sizeof(Elf64_Ehdr) -
			    3 * sizeof(Elf64_Phdr)];
} image;
_Static_assert(sizeof(image) == FILE_LEN, "image");

static void
setup(void)
{
	size_t i;

	for (i = 0; i < FILE_LEN; i++)
		((uint8_t *)&image)[i] = (uint8_t)(i * 7 + i / 251);
	image.e = (Elf64_Ehdr){
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
		.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1,
		.e_entry = ENTRY, .e_phoff = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 3,
	};
	image.p[0] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_offset = CODE_OFF,
		.p_vaddr = VIRTUAL + CODE, .p_paddr = CODE,
		.p_filesz = CODE_LEN, .p_memsz = CODE_LEN,
	};
	image.p[1] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_offset = DATA_OFF,
		.p_vaddr = VIRTUAL + DATA, .p_paddr = DATA,
		.p_filesz = DATA_LEN, .p_memsz = DATA_SPAN,
	};
	/* Not to be loaded, and absurd. */
	image.p[2] = (Elf64_Phdr){
		.p_type = PT_NOTE, .p_offset = UINT64_MAX, .p_paddr = 1,
		.p_filesz = UINT64_MAX, .p_memsz = 1,
	};
	rig_make(RAM);
}

static int
load_image(size_t len)
{
	write_file(kernel, &image, len);
	return load(NULL, "");
}

START_TEST(loads_segments)
{
	ck_assert_msg(load_image(FILE_LEN) == 0, "%s", err);
	ck_assert_mem_eq(gmem_ptr(&gm, CODE, CODE_LEN),
	    (uint8_t *)&image + CODE_OFF, CODE_LEN);
	ck_assert_mem_eq(gmem_ptr(&gm, DATA, DATA_LEN),
	    (uint8_t *)&image + DATA_OFF, DATA_LEN);
	ck_assert_uint_eq(get(CODE - 1, 1), 0);
	ck_assert_uint_eq(get(CODE + CODE_LEN, 1), 0);
	ck_assert_uint_eq(get(DATA + DATA_LEN, 1), 0);
	ck_assert_uint_eq(regs.rip, ENTRY);
}
END_TEST

START_TEST(virtual_entry)
{
	image.e.e_entry = VIRTUAL + ENTRY;
	ck_assert_msg(load_image(FILE_LEN) == 0, "%s", err);
	ck_assert_uint_eq(regs.rip, ENTRY);
	image.e.e_entry = CODE + CODE_LEN - 1;
	ck_assert_msg(load_image(FILE_LEN) == 0, "%s", err);
	image.e.e_entry = CODE + CODE_LEN;
	assert_says(load_image(FILE_LEN), "kernel /tmp/", "entered at");
	image.e.e_entry = 0;
	assert_says(load_image(FILE_LEN), "kernel /tmp/", "entered at 0,");
}
END_TEST

/* The parameters look like those of a bzImage. */
START_TEST(makes_parameters)
{
	char line[2049];
	uint64_t bp;

	memset(line, 'x', sizeof(line));
	line[2047] = '\0';
	write_file(kernel, &image, FILE_LEN);
	write_file(initrd, "initrd", 6);
	ck_assert_msg(load(initrd, line) == 0, "%s", err);
	bp = regs.gpr[HV_RSI];
	ck_assert_uint_eq(get(bp + 0x1fe, 2), 0xaa55);
	ck_assert_uint_eq(get(bp + 0x202, 4), 0x53726448);
	ck_assert_uint_eq(get(bp + 0x206, 2), 0x20c);
	ck_assert_uint_eq(get(bp + 0x211, 1), 1);
	ck_assert_uint_eq(get(bp + 0x214, 4), CODE);
	ck_assert_uint_eq(get(bp + 0x218, 4), RAM - 4096);
	ck_assert_uint_eq(get(bp + 0x21c, 4), 6);
	ck_assert_uint_eq(get(RAM - 4096, 1), 'i');
	ck_assert_uint_eq(get(bp + 0x1e8, 1), 3);
	line[2047] = 'x';
	line[2048] = '\0';
	assert_says(load(NULL, line), "kernel /tmp/", "at most 2047 bytes");
}
END_TEST

/* An initrd does not go where the kernel's memory without contents is. */
START_TEST(initrd_above_bss)
{
	image.p[1].p_memsz = RAM - DATA - 4096;
	write_file(initrd, "initrd", 6);
	write_file(kernel, &image, FILE_LEN);
	ck_assert_msg(load(initrd, "") == 0, "%s", err);
	image.p[1].p_memsz++;
	write_file(kernel, &image, FILE_LEN);
	assert_says(load(initrd, ""), "initrd /tmp/", "do not fit");
}
END_TEST

#define AT(member)	offsetof(__typeof__(image), member)

static const struct {
	size_t		 off;
	uint64_t	 val;
	size_t		 len;
	const char	*text;
} hostile[] = {
	{ AT(e.e_ident[EI_CLASS]), ELFCLASS32, 1, "not for x86-64" },
	{ AT(e.e_ident[EI_DATA]), ELFDATA2MSB, 1, "not for x86-64" },
	{ AT(e.e_ident[0]), 0x7e, 1, "not a Linux kernel image" },
	{ AT(e.e_machine), EM_386, 2, "not for x86-64" },
	{ AT(e.e_type), ET_DYN, 2, "of type 3" },
	{ AT(e.e_phentsize), 55, 2, "3 program headers of 55 bytes" },
	{ AT(e.e_phnum), 0, 2, "0 program headers" },
	{ AT(e.e_phnum), 33, 2, "33 program headers" },
	{ AT(e.e_phnum), 0xffff, 2, "65535 program headers" },
	{ AT(e.e_phoff), FILE_LEN - 3 * 56 + 1, 8, "truncated" },
	{ AT(e.e_phoff), UINT64_MAX, 8, "truncated" },
	{ AT(p[0].p_filesz), CODE_LEN + 1, 8, "8192 bytes has 8193" },
	{ AT(p[1].p_filesz), DATA_LEN + 1, 8, "truncated" },
	{ AT(p[1].p_offset), DATA_OFF + 1, 8, "truncated" },
	{ AT(p[0].p_offset), UINT64_MAX - 8, 8, "0xfffffffffffffff7 of the" },
	{ AT(p[0].p_offset), 512 * MIB - CODE_LEN + 1, 8, "are sane" },
	{ AT(p[0].p_paddr), MIB - 1, 8, "0x2000 bytes at 0xfffff" },
	{ AT(p[0].p_paddr), 0, 8, "beyond what can be reached" },
	{ AT(p[0].p_paddr), UINT64_MAX - 16, 8, "beyond what can be reached" },
	{ AT(p[0].p_paddr), 4096 * MIB - CODE_LEN + 1, 8,
	    "beyond what can be reached" },
	{ AT(p[0].p_paddr), RAM - CODE_LEN + 1, 8, "needs 33 MiB" },
	{ AT(p[1].p_memsz), RAM - DATA + 1, 8, "needs 33 MiB" },
	{ AT(p[1].p_memsz), UINT64_MAX, 8, "beyond what can be reached" },
	{ AT(p[0].p_type), PT_NOTE, 4, "entered at 0x1000100" },
};

START_TEST(refuses_hostile_header)
{
	int error;

	memcpy((char *)&image + hostile[_i].off, &hostile[_i].val,
	    hostile[_i].len);
	error = load_image(FILE_LEN);
	ck_assert_int_eq(error, -ENOEXEC);
	assert_says(error, "kernel /tmp/", hostile[_i].text);
}
END_TEST

static const struct {
	size_t		 off;
	uint64_t	 val;
} odd[] = {
	{ AT(e.e_phoff), FILE_LEN - 3 * 56 },
	{ AT(p[0].p_paddr), MIB },
	{ AT(p[0].p_paddr), RAM - CODE_LEN },
	{ AT(p[1].p_memsz), RAM - DATA },
	{ AT(p[1].p_filesz), 0 },
	{ AT(p[1].p_memsz), DATA_LEN },
};

/* The other side of each edge. */
START_TEST(accepts_odd_header)
{
	char *p = (char *)&image;

	memmove(p + FILE_LEN - sizeof(image.p), image.p, sizeof(image.p));
	memcpy(p + odd[_i].off, &odd[_i].val, 8);
	image.e.e_entry = image.p[0].p_paddr;
	ck_assert_msg(load_image(FILE_LEN) == 0, "%s", err);
}
END_TEST

START_TEST(refuses_truncated_file)
{
	assert_says(load_image(FILE_LEN - 1), "kernel /tmp/",
	    "truncated: 13055 bytes, its header promises 13056");
	assert_says(load_image(sizeof(image.e) + 3 * 56 - 1), "kernel /tmp/",
	    "truncated");
	assert_says(load_image(sizeof(image.e) - 1), "kernel /tmp/",
	    "truncated");
	assert_says(load_image(4), "kernel /tmp/", "truncated");
	assert_says(load_image(3), "kernel /tmp/", "only 3 bytes");
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("elf");

	tcase_add_checked_fixture(tc, setup, rig_free);
	tcase_add_test(tc, loads_segments);
	tcase_add_test(tc, virtual_entry);
	tcase_add_test(tc, makes_parameters);
	tcase_add_test(tc, initrd_above_bss);
	tcase_add_loop_test(tc, refuses_hostile_header, 0,
	    sizeof(hostile) / sizeof(hostile[0]));
	tcase_add_loop_test(tc, accepts_odd_header, 0,
	    sizeof(odd) / sizeof(odd[0]));
	tcase_add_test(tc, refuses_truncated_file);
	return test_main("boot_elf", tc);
}
