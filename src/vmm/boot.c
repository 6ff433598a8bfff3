/* SPDX-License-Identifier: ISC */
/*
 * Booting Linux: the kernel by the loader of its format, the initrd as high
 * as that kernel can reach, and the parameters.
 *
 * A kernel file is as hostile as a guest: its loader looks at everything
 * before it uses it.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "devices/gmem.h"
#include "vmm/boot.h"
#include "vmm/boot_bzimage.h"
#include "vmm/boot_elf.h"
#include "vmm/boot_file.h"
#include "vmm/boot_params.h"

#define PAGE		((uint64_t)4096)

/* The first bytes say what it is; a file of fewer is none. */
static int
load_by_format(struct boot_file *f, const struct gmem *gm,
    struct boot_kernel *k)
{
	char magic[sizeof(BOOT_ELF_MAGIC) - 1] = "";
	int error;

	if (f->gz != NULL || f->size >= sizeof(magic)) {
		error = boot_file_read(f, magic, sizeof(magic), 0);
		if (error != 0)
			return error;
	}
	if (memcmp(magic, BOOT_ELF_MAGIC, sizeof(magic)) == 0)
		return boot_elf(f, gm, k);
	return boot_bzimage(f, gm, k);
}

static int
check_cmdline(struct boot_file *f, const struct boot_kernel *k,
    const char *cmdline)
{
	size_t len = strlen(cmdline);

	if (len > k->hdr.cmdline_size || len > BOOT_CMDLINE_MAX)
		return boot_file_bad(f, ENOEXEC, "takes a command line of at "
		    "most %u bytes, %zu were given",
		    (unsigned)k->hdr.cmdline_size, len);
	return 0;
}

static int
load_kernel(struct boot_file *f, const struct gmem *gm, const char *cmdline,
    struct boot_kernel *k)
{
	int error;

	error = boot_file_open(f, true);
	if (error != 0)
		return error;
	error = load_by_format(f, gm, k);
	if (error == 0)
		error = boot_file_check(f);
	if (error == 0)
		error = check_cmdline(f, k, cmdline);
	boot_file_close(f);
	return error;
}

/* The highest place for the initrd that the kernel allows. */
static int
place_initrd(struct boot_file *f, uint64_t low_end,
    const struct boot_kernel *k, struct boot_params *p)
{
	uint64_t end = (uint64_t)k->hdr.initrd_addr_max + 1;
	uint64_t size = f->size;

	if (end > low_end)
		end = low_end;
	if (size == 0)
		return boot_file_bad(f, EFBIG, "empty");
	if (end < k->end || size > end - k->end ||
	    ((end - size) & ~(PAGE - 1)) < k->end)
		return boot_file_bad(f, EFBIG, "%" PRIu64 " bytes do not fit "
		    "between the kernel's end at %#" PRIx64 " and %#" PRIx64
		    "; more memory or a smaller initrd is needed", size,
		    k->end, end);
	p->initrd = (end - size) & ~(PAGE - 1);
	p->initrd_len = size;
	return 0;
}

static int
load_initrd(struct boot_file *f, const struct gmem *gm,
    const struct boot_kernel *k, struct boot_params *p)
{
	int error;

	error = boot_file_open(f, false);
	if (error != 0)
		return error;
	error = place_initrd(f, boot_low_end(gm), k, p);
	if (error == 0)
		error = boot_file_read(f, gmem_ptr(gm, p->initrd,
		    p->initrd_len), p->initrd_len, 0);
	boot_file_close(f);
	return error;
}

int
boot_linux(const struct boot_linux *bl, const struct gmem *gm,
    struct hv_regs *regs, char *err, size_t errlen)
{
	struct boot_file kernel = {
		.in = bl->in, .what = "kernel", .path = bl->kernel,
		.err = err, .errlen = errlen,
	};
	struct boot_file initrd = {
		.in = bl->in, .what = "initrd", .path = bl->initrd,
		.err = err, .errlen = errlen,
	};
	struct boot_params p = { .cmdline = bl->cmdline, .rsdp = bl->rsdp };
	struct boot_kernel k = { 0 };
	int error;

	if (boot_low_end(gm) <= BOOT_HIGH_GPA)
		return boot_file_bad(&kernel, ENOEXEC,
		    "the guest has no memory above 1 MiB");
	error = load_kernel(&kernel, gm, bl->cmdline, &k);
	if (error == 0 && bl->initrd != NULL)
		error = load_initrd(&initrd, gm, &k, &p);
	if (error != 0)
		return error;
	error = boot_params_write(gm, &k, &p, regs);
	if (error != 0)
		return boot_file_bad(&kernel, -error,
		    "no room for boot parameters");
	return 0;
}
