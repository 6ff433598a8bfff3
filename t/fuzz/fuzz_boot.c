/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: kernels and initrds, as files.
 *
 * The first byte says what the kernel is: bits 0 and 1 the rest of the input
 * as it is (0), a sound bzImage (1) or ELF file (2) of which the input changes
 * bytes; bit 2: compressed by gzip, before or (bit 3) after these changes; bit
 * 4: there is an initrd.  The second is the memory in 64 KiB.  Changes are a
 * count, then an offset, a number of bytes, and these, for each.  A kernel is
 * loaded wholly within memory, or a line says why not.
 */
#include "fuzz.h"

#include <elf.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "devices/gmem.h"
#include "vmm/boot.h"
#include "vmm/boot_params.h"
#include "vmm/hv.h"

#define MEM_MAX		0x1000000u	/* 256 steps of 64 KiB */
#define GUARD		0x1000u
#define FILE_MAX	0x4000u
#define IMAGE_LEN	0xc00u		/* of the sound kernels */
#define CODE_OFF	0x400u
#define INITRD_MAX	0x2000u
#define ZERO_PAGE	0x2000u
#define E820		0x2d0u

struct file {
	uint8_t	data[FILE_MAX];
	size_t	len;
};

static void
make_bzimage(struct file *f)
{
	struct setup_header h = {
		.setup_sects = 1,
		.syssize = (IMAGE_LEN - CODE_OFF) / 16,
		.boot_flag = HDR_BOOT_FLAG,
		.jump_opcode = 0xeb,
		.jump_distance = HDR_END_MAX - HDR_JUMP - 2,
		.magic = HDR_MAGIC,
		.version = 0x020f,
		.loadflags = HDR_LOADED_HIGH,
		.xloadflags = HDR_KERNEL_64,
		.initrd_addr_max = 0x7fffffff,
		.cmdline_size = 64,
		.pref_address = BOOT_HIGH_GPA,
		.init_size = 0x8000,
	};

	memset(f, 0, sizeof(*f));
	memcpy(f->data + HDR_START, &h, sizeof(h));
	memset(f->data + CODE_OFF, 0x90, IMAGE_LEN - CODE_OFF);
	f->len = IMAGE_LEN;
}

static void
make_elf(struct file *f)
{
	const Elf64_Ehdr e = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
		    ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_entry = 0xffffffff81000010,
		.e_phoff = sizeof(e),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
	};
	const Elf64_Phdr p[2] = {
		{ PT_LOAD, 5, CODE_OFF, 0xffffffff81000000, BOOT_HIGH_GPA,
		    0x400, 0x1000, 0x1000 },
		{ PT_LOAD, 6, CODE_OFF + 0x400, 0xffffffff81002000,
		    BOOT_HIGH_GPA + 0x2000, 0x400, 0x3000, 0x1000 },
	};

	memset(f, 0, sizeof(*f));
	memcpy(f->data, &e, sizeof(e));
	memcpy(f->data + sizeof(e), p, sizeof(p));
	memset(f->data + CODE_OFF, 0x90, IMAGE_LEN - CODE_OFF);
	f->len = IMAGE_LEN;
}

static void
compress_file(struct file *f)
{
	static struct file out;
	z_stream z = { .next_in = f->data, .avail_in = (uInt)f->len };

	z.next_out = out.data;
	z.avail_out = sizeof(out.data);
	FUZZ_CHECK(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 9,
	    Z_DEFAULT_STRATEGY) == Z_OK);
	FUZZ_CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
	out.len = z.total_out;
	deflateEnd(&z);
	*f = out;
}

static void
change(struct file *f, struct fuzz_input *in)
{
	unsigned n = fuzz_u8(in) % 32, len;
	uint16_t at;

	for (; n > 0; n--) {
		at = fuzz_u16(in) % (FILE_MAX - 8);
		len = fuzz_u8(in) % 9;
		fuzz_bytes(in, f->data + at, len);
	}
	/* What remains says how long the file is. */
	if (in->left >= 2)
		f->len = fuzz_u16(in) % (FILE_MAX + 1);
}

static void
make_kernel(struct file *f, struct fuzz_input *in, uint8_t how)
{
	switch (how & 3) {
	case 1:
		make_bzimage(f);
		break;
	case 2:
		make_elf(f);
		break;
	default:
		memset(f, 0, sizeof(*f));
		f->len = in->left < FILE_MAX / 2 ? in->left : FILE_MAX / 2;
		fuzz_bytes(in, f->data, f->len);
		break;
	}
	if ((how & 12) == 12)
		compress_file(f);
	change(f, in);
	if ((how & 12) == 4)
		compress_file(f);
}

static void
check_line(const char *err)
{
	FUZZ_CHECK(strncmp(err, "kernel /", 8) == 0 ||
	    strncmp(err, "initrd /", 8) == 0);
	FUZZ_CHECK(strlen(err) > 20);
	for (; *err != '\0'; err++)
		FUZZ_CHECK(*err >= ' ' && *err < 0x7f);
}

/* The memory map covers the memory, in order. */
static void
check_e820(const uint8_t *zp, uint64_t size)
{
	unsigned n = zp[0x1e8], i;
	uint64_t at = 0, addr, len;

	FUZZ_CHECK(n == 3);
	for (i = 0; i < n; i++) {
		memcpy(&addr, zp + E820 + 20 * i, sizeof(addr));
		memcpy(&len, zp + E820 + 20 * i + 8, sizeof(len));
		FUZZ_CHECK(addr == at && len != 0);
		at += len;
	}
	FUZZ_CHECK(at == size);
}

static void
check_loaded(const struct gmem *gm, const struct hv_regs *regs,
    const struct file *initrd, uint64_t size)
{
	const uint8_t *zp = gmem_ptr(gm, ZERO_PAGE, 4096);
	struct setup_header h;

	memcpy(&h, zp + HDR_START, sizeof(h));
	check_e820(zp, size);
	FUZZ_CHECK(regs->rip >= BOOT_HIGH_GPA && regs->rip < size);
	FUZZ_CHECK(h.code32_start >= BOOT_HIGH_GPA &&
	    regs->rip >= h.code32_start);
	FUZZ_CHECK(strcmp(gmem_ptr(gm, h.cmd_line_ptr, 8), "console") == 0);
	FUZZ_CHECK(h.ramdisk_size == initrd->len);
	if (initrd->len == 0)
		return;
	FUZZ_CHECK(h.ramdisk_image > regs->rip);
	FUZZ_CHECK(h.ramdisk_image + initrd->len - 1 <= h.initrd_addr_max);
	FUZZ_CHECK(memcmp(gmem_ptr(gm, h.ramdisk_image, initrd->len),
	    initrd->data, initrd->len) == 0);
}

/* A file of a path that never changes. */
static const char *
put_file(int *fd, char path[32], const struct file *f)
{
	if (*fd == 0) {
		*fd = memfd_create("file", MFD_CLOEXEC);
		snprintf(path, 32, "/proc/self/fd/%d", *fd);
	}
	FUZZ_CHECK(ftruncate(*fd, 0) == 0);
	FUZZ_CHECK(pwrite(*fd, f->data, f->len, 0) == (ssize_t)f->len);
	return path;
}

/* Memory that ends where nothing is mapped. */
static uint8_t *
memory(uint64_t size)
{
	static uint8_t *mem;

	if (mem == NULL) {
		mem = mmap(NULL, MEM_MAX + GUARD, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		FUZZ_CHECK(mem != MAP_FAILED);
		FUZZ_CHECK(mprotect(mem + MEM_MAX, GUARD, PROT_NONE) == 0);
	}
	FUZZ_CHECK(madvise(mem, MEM_MAX, MADV_DONTNEED) == 0);
	return mem + MEM_MAX - size;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct file kernel, initrd;
	static char kernel_path[32], initrd_path[32];
	static int kernel_fd, initrd_fd;
	struct fuzz_input in = { data, size };
	uint8_t how = fuzz_u8(&in);
	struct boot_linux bl = { .cmdline = "console" };
	struct gmem gm = { .nranges = 1 };
	struct hv_regs regs;
	char err[512] = "";

	gm.range[0].size = (fuzz_u8(&in) + 1ull) << 16;
	gm.range[0].hva = memory(gm.range[0].size);
	initrd.len = (how & 16) != 0 ? fuzz_u16(&in) % INITRD_MAX : 0;
	memset(initrd.data, 0x33, sizeof(initrd.data));
	make_kernel(&kernel, &in, how);
	bl.kernel = put_file(&kernel_fd, kernel_path, &kernel);
	if ((how & 16) != 0)
		bl.initrd = put_file(&initrd_fd, initrd_path, &initrd);
	if (boot_linux(&bl, &gm, &regs, err, sizeof(err)) != 0)
		check_line(err);
	else
		check_loaded(&gm, &regs, &initrd, gm.range[0].size);
	return 0;
}
