/* SPDX-License-Identifier: ISC */
/*
 * bzImage loader.  Linux, Documentation/arch/x86/boot.rst, names every field
 * used here.
 *
 * A kernel file is as hostile as a guest: its header is copied once and every
 * value of it is checked before use.  Low memory, until the kernel takes it:
 *
 *	0x01000  GDT
 *	0x02000  boot parameters ("zero page")
 *	0x03000  page tables: PML4, PDPT, 4 page directories
 *	0x0a000  end of a stack nobody uses
 *	0x10000  command line
 *	0xa0000  reserved, up to 1 MiB
 *
 * The kernel goes to the address it prefers, since it would not run below it;
 * the initrd as high as the kernel can reach.  Everything runs on the starting
 * VM's vCPU-0 thread.
 */
#include <sys/stat.h>
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/confine.h"
#include "devices/gmem.h"
#include "vmm/boot_linux.h"
#include "vmm/hv.h"

#define MIB		((uint64_t)1024 * 1024)
#define PAGE		((uint64_t)4096)

#define GDT_GPA		0x1000ULL
#define PARAMS_GPA	0x2000ULL
#define PML4_GPA	0x3000ULL
#define PDPT_GPA	0x4000ULL
#define PD_GPA		0x5000ULL
#define STACK_GPA	0xa000ULL
#define CMDLINE_GPA	0x10000ULL
#define BIOS_GPA	0xa0000ULL	/* end of conventional memory */
#define HIGH_GPA	0x100000ULL

#define IDENTITY_GIB	4		/* mapped for the kernel's entry */

#define SECTOR		512
#define KERNEL_MAX	(512 * MIB)

/* Header fields, as an offset in the file and in the boot parameters. */
#define HDR_START	0x1f1
#define HDR_JUMP	0x200
#define HDR_END_MIN	0x264		/* init_size is the last we need */
#define HDR_END_MAX	0x290		/* other parameters begin there */

#define BOOT_FLAG	0xaa55
#define HDR_MAGIC	0x53726448U	/* "HdrS" */
#define PROTOCOL_MIN	0x020c		/* 2.12 brought xloadflags */
#define LOADED_HIGH	0x01		/* loadflags */
#define XLF_KERNEL_64	0x01		/* xloadflags */
#define LOADER_OTHER	0xff		/* type_of_loader: none of the known */
#define ENTRY_64	0x200

#define SEL_CODE	0x10
#define SEL_DATA	0x18
#define AR_CODE64	0xa09b
#define AR_DATA		0xc093
#define AR_TSS		0x008b
#define GDT_CODE64	0x00af9b000000ffffULL
#define GDT_DATA	0x00cf93000000ffffULL

#define CR0_PE		0x00000001ULL
#define CR0_ET		0x00000010ULL
#define CR0_NE		0x00000020ULL
#define CR0_PG		0x80000000ULL
#define CR4_PAE		0x00000020ULL
#define EFER_LME	0x00000100ULL
#define EFER_LMA	0x00000400ULL
#define RFLAGS_ONE	0x00000002ULL

#define PTE_P		0x01ULL
#define PTE_W		0x02ULL
#define PTE_PS		0x80ULL

#define E820_RAM	1
#define E820_RESERVED	2
#define E820_MAX	(GMEM_MAX_RANGES + 2)

struct setup_header {
	uint8_t		setup_sects;
	uint16_t	root_flags;
	uint32_t	syssize;		/* in 16 bytes */
	uint16_t	ram_size;
	uint16_t	vid_mode;
	uint16_t	root_dev;
	uint16_t	boot_flag;
	uint8_t		jump_opcode;
	uint8_t		jump_distance;
	uint32_t	magic;
	uint16_t	version;
	uint32_t	realmode_swtch;
	uint16_t	start_sys_seg;
	uint16_t	kernel_version;
	uint8_t		type_of_loader;
	uint8_t		loadflags;
	uint16_t	setup_move_size;
	uint32_t	code32_start;
	uint32_t	ramdisk_image;
	uint32_t	ramdisk_size;
	uint32_t	bootsect_kludge;
	uint16_t	heap_end_ptr;
	uint8_t		ext_loader_ver;
	uint8_t		ext_loader_type;
	uint32_t	cmd_line_ptr;
	uint32_t	initrd_addr_max;
	uint32_t	kernel_alignment;
	uint8_t		relocatable_kernel;
	uint8_t		min_alignment;
	uint16_t	xloadflags;
	uint32_t	cmdline_size;		/* without the final NUL */
	uint32_t	hardware_subarch;
	uint64_t	hardware_subarch_data;
	uint32_t	payload_offset;
	uint32_t	payload_length;
	uint64_t	setup_data;
	uint64_t	pref_address;
	uint32_t	init_size;
	uint8_t		later[HDR_END_MAX - HDR_END_MIN];
} __attribute__((__packed__));

_Static_assert(offsetof(struct setup_header, magic) == 0x202 - HDR_START,
    "magic");
_Static_assert(offsetof(struct setup_header, cmd_line_ptr) ==
    0x228 - HDR_START, "cmd_line_ptr");
_Static_assert(offsetof(struct setup_header, init_size) == 0x260 - HDR_START,
    "init_size");
_Static_assert(sizeof(struct setup_header) == HDR_END_MAX - HDR_START,
    "struct setup_header");

struct e820_entry {
	uint64_t	addr;
	uint64_t	size;
	uint32_t	type;
} __attribute__((__packed__));

struct boot_params {
	uint8_t			pad0[0x1e8];	/* no screen, no firmware */
	uint8_t			e820_entries;
	uint8_t			pad1[HDR_START - 0x1e9];
	struct setup_header	hdr;
	uint8_t			pad2[0x2d0 - HDR_END_MAX];
	struct e820_entry	e820_table[128];
	uint8_t			pad3[0x1000 - 0xcd0];
} __attribute__((__packed__));

_Static_assert(offsetof(struct boot_params, hdr) == HDR_START, "hdr");
_Static_assert(offsetof(struct boot_params, e820_table) == 0x2d0, "e820");
_Static_assert(sizeof(struct boot_params) == 4096, "struct boot_params");

/* One boot in the making; on the stack of boot_linux(). */
struct loader {
	const struct boot_linux	*bl;
	const struct gmem	*gm;
	uint64_t		 low_end;	/* of RAM below the hole */
	struct setup_header	 hdr;
	uint64_t		 load;		/* where the kernel goes */
	uint64_t		 image_off;	/* of its 64-bit part, in file */
	uint64_t		 image_len;
	uint64_t		 span;		/* what it needs from `load` */
	uint64_t		 initrd;
	uint64_t		 initrd_len;
	char			*err;
	size_t			 errlen;
};

static int bad(struct loader *, const char *, const char *, int, const char *,
    ...) __attribute__((__format__(__printf__, 5, 6)));

/* Says what is wrong with a file and returns -error. */
static int
bad(struct loader *ld, const char *what, const char *path, int error,
    const char *fmt, ...)
{
	va_list ap;
	int n;

	n = snprintf(ld->err, ld->errlen, "%s %s: ", what, path);
	if (n >= 0 && (size_t)n < ld->errlen) {
		va_start(ap, fmt);
		vsnprintf(ld->err + n, ld->errlen - n, fmt, ap);
		va_end(ap);
	}
	return -error;
}

#define bad_kernel(ld, ...) \
	bad(ld, "kernel", (ld)->bl->kernel, ENOEXEC, __VA_ARGS__)
#define bad_initrd(ld, ...) \
	bad(ld, "initrd", (ld)->bl->initrd, EFBIG, __VA_ARGS__)

/*
 * Opens a regular file.  O_NONBLOCK: a FIFO would make open wait for a writer
 * before fstat can refuse it.
 */
static int
file_open(struct loader *ld, const char *what, const char *path,
    uint64_t *size)
{
	struct stat st;
	int error, fd;

	fd = confine_open(ld->bl->in, path, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return bad(ld, what, path, -fd, "%s", confine_strerror(-fd));
	if (fstat(fd, &st) == -1) {
		error = errno;
		close(fd);
		return bad(ld, what, path, error, "%s", strerror(error));
	}
	if (!S_ISREG(st.st_mode)) {
		close(fd);
		return bad(ld, what, path, EINVAL, "not a regular file");
	}
	*size = (uint64_t)st.st_size;
	return fd;
}

static int
file_read(struct loader *ld, const char *what, const char *path, int fd,
    void *dst, uint64_t len, uint64_t off)
{
	char *p = dst;
	ssize_t n;

	while (len > 0) {
		n = pread(fd, p, len, (off_t)off);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return bad(ld, what, path, errno, "%s",
			    strerror(errno));
		if (n == 0)
			return bad(ld, what, path, EIO,
			    "became shorter while it was read");
		p += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* Is it a kernel that the 64-bit protocol can enter? */
static int
check_protocol(struct loader *ld)
{
	const struct setup_header *h = &ld->hdr;

	if (h->boot_flag != BOOT_FLAG || h->magic != HDR_MAGIC)
		return bad_kernel(ld,
		    "not a Linux kernel image (bzImage, vmlinuz)");
	if (h->version < PROTOCOL_MIN)
		return bad_kernel(ld, "boot protocol %u.%02u is too old, "
		    "2.12 (Linux 3.8) or later is needed",
		    (unsigned)h->version >> 8, (unsigned)h->version & 0xff);
	if ((h->loadflags & LOADED_HIGH) == 0)
		return bad_kernel(ld, "a zImage, a bzImage is needed");
	if ((h->xloadflags & XLF_KERNEL_64) == 0)
		return bad_kernel(ld,
		    "a 32-bit kernel, one for x86-64 is needed");
	if (HDR_JUMP + 2 + h->jump_distance < HDR_END_MIN ||
	    HDR_JUMP + 2 + h->jump_distance > HDR_END_MAX)
		return bad_kernel(ld, "damaged: its setup header ends at %#x",
		    HDR_JUMP + 2 + h->jump_distance);
	return 0;
}

/* Finds the 64-bit part in a file of `size` bytes, and its place in RAM. */
static int
place_kernel(struct loader *ld, uint64_t size)
{
	const struct setup_header *h = &ld->hdr;
	unsigned sects = h->setup_sects != 0 ? h->setup_sects : 4;

	ld->image_off = (uint64_t)(sects + 1) * SECTOR;
	ld->image_len = (uint64_t)h->syssize * 16;
	if (ld->image_len <= ENTRY_64)
		return bad_kernel(ld, "damaged: it holds no code");
	if (ld->image_len > KERNEL_MAX)
		return bad_kernel(ld, "damaged: %" PRIu64 " MiB of code, "
		    "at most %" PRIu64 " are sane", ld->image_len / MIB,
		    KERNEL_MAX / MIB);
	if (size < ld->image_off + ld->image_len)
		return bad_kernel(ld, "truncated: %" PRIu64 " bytes, its "
		    "header promises %" PRIu64, size,
		    ld->image_off + ld->image_len);

	ld->load = h->pref_address != 0 ? h->pref_address : HIGH_GPA;
	ld->span = ld->image_len > h->init_size ? ld->image_len :
	    h->init_size;
	if (ld->load < HIGH_GPA || ld->load % PAGE != 0)
		return bad_kernel(ld, "damaged: it wants to be loaded at "
		    "%#" PRIx64, ld->load);
	if (ld->load > IDENTITY_GIB * 1024 * MIB - ld->span)
		return bad_kernel(ld, "wants to be loaded at %#" PRIx64
		    ", beyond what can be reached", ld->load);
	if (ld->load + ld->span > ld->low_end)
		return bad_kernel(ld, "needs %" PRIu64 " MiB of memory below "
		    "3 GiB to start, the guest has %" PRIu64,
		    (ld->load + ld->span + MIB - 1) / MIB, ld->low_end / MIB);
	return 0;
}

static int
check_cmdline(struct loader *ld)
{
	size_t len = strlen(ld->bl->cmdline);

	if (len > ld->hdr.cmdline_size || CMDLINE_GPA + len >= BIOS_GPA)
		return bad_kernel(ld, "takes a command line of at most %u "
		    "bytes, %zu were given", (unsigned)ld->hdr.cmdline_size,
		    len);
	return 0;
}

static int
load_kernel(struct loader *ld)
{
	const char *path = ld->bl->kernel;
	uint64_t size;
	int error, fd;

	fd = file_open(ld, "kernel", path, &size);
	if (fd < 0)
		return fd;
	if (size < HDR_END_MAX) {
		error = bad_kernel(ld, "only %" PRIu64 " bytes, not a Linux "
		    "kernel image (bzImage, vmlinuz)", size);
		goto out;
	}
	error = file_read(ld, "kernel", path, fd, &ld->hdr, sizeof(ld->hdr),
	    HDR_START);
	if (error != 0 || (error = check_protocol(ld)) != 0 ||
	    (error = place_kernel(ld, size)) != 0 ||
	    (error = check_cmdline(ld)) != 0)
		goto out;
	error = file_read(ld, "kernel", path, fd,
	    gmem_ptr(ld->gm, ld->load, ld->image_len), ld->image_len,
	    ld->image_off);
out:
	close(fd);
	return error;
}

/* The highest place for `size` bytes that the kernel allows. */
static int
place_initrd(struct loader *ld, uint64_t size)
{
	uint64_t end = (uint64_t)ld->hdr.initrd_addr_max + 1;
	uint64_t floor = ld->load + ld->span;

	if (end > ld->low_end)
		end = ld->low_end;
	if (size == 0)
		return bad_initrd(ld, "empty");
	if (end < floor || size > end - floor ||
	    ((end - size) & ~(PAGE - 1)) < floor)
		return bad_initrd(ld, "%" PRIu64 " bytes do not fit between "
		    "the kernel's end at %#" PRIx64 " and %#" PRIx64
		    "; more memory or a smaller initrd is needed", size, floor,
		    end);
	ld->initrd = (end - size) & ~(PAGE - 1);
	ld->initrd_len = size;
	return 0;
}

static int
load_initrd(struct loader *ld)
{
	const char *path = ld->bl->initrd;
	uint64_t size;
	int error, fd;

	if (path == NULL)
		return 0;
	fd = file_open(ld, "initrd", path, &size);
	if (fd < 0)
		return fd;
	error = place_initrd(ld, size);
	if (error == 0)
		error = file_read(ld, "initrd", path, fd,
		    gmem_ptr(ld->gm, ld->initrd, size), size, 0);
	close(fd);
	return error;
}

static void
e820_add(struct boot_params *bp, uint64_t addr, uint64_t end, uint32_t type)
{
	struct e820_entry *e = &bp->e820_table[bp->e820_entries++];

	e->addr = addr;
	e->size = end - addr;
	e->type = type;
}

static void
make_e820(struct boot_params *bp, const struct gmem *gm, uint64_t low_end)
{
	const struct gmem_range *r;
	unsigned i;

	_Static_assert(E820_MAX <= 128, "e820_table");
	e820_add(bp, 0, BIOS_GPA, E820_RAM);
	e820_add(bp, BIOS_GPA, HIGH_GPA, E820_RESERVED);
	e820_add(bp, HIGH_GPA, low_end, E820_RAM);
	for (i = 1; i < gm->nranges; i++) {
		r = &gm->range[i];
		e820_add(bp, r->gpa, r->gpa + r->size, E820_RAM);
	}
}

static int
write_params(struct loader *ld)
{
	struct boot_params bp;
	const struct setup_header *h = &ld->hdr;
	size_t len = HDR_JUMP + 2 + h->jump_distance - HDR_START;

	memset(&bp, 0, sizeof(bp));
	memcpy(&bp.hdr, h, len);
	bp.hdr.type_of_loader = LOADER_OTHER;
	bp.hdr.code32_start = (uint32_t)ld->load;
	bp.hdr.ramdisk_image = (uint32_t)ld->initrd;
	bp.hdr.ramdisk_size = (uint32_t)ld->initrd_len;
	bp.hdr.cmd_line_ptr = CMDLINE_GPA;
	bp.hdr.setup_data = 0;
	make_e820(&bp, ld->gm, ld->low_end);
	return gmem_write(ld->gm, PARAMS_GPA, &bp, sizeof(bp));
}

static int
write_tables(const struct gmem *gm)
{
	static const uint64_t gdt[] = { 0, 0, GDT_CODE64, GDT_DATA };
	uint64_t *pml4, *pdpt, *pd;
	unsigned i;

	pml4 = gmem_ptr(gm, PML4_GPA, PAGE);
	pdpt = gmem_ptr(gm, PDPT_GPA, PAGE);
	pd = gmem_ptr(gm, PD_GPA, IDENTITY_GIB * PAGE);
	if (pml4 == NULL || pdpt == NULL || pd == NULL)
		return -EFAULT;
	pml4[0] = PDPT_GPA | PTE_P | PTE_W;
	for (i = 0; i < IDENTITY_GIB; i++)
		pdpt[i] = (PD_GPA + i * PAGE) | PTE_P | PTE_W;
	for (i = 0; i < IDENTITY_GIB * 512; i++)
		pd[i] = i * 2 * MIB | PTE_P | PTE_W | PTE_PS;
	return gmem_write(gm, GDT_GPA, gdt, sizeof(gdt));
}

static void
set_registers(const struct loader *ld, struct hv_regs *r)
{
	static const struct hv_segment code = {
		.limit = 0xffffffff, .selector = SEL_CODE, .ar = AR_CODE64,
	};
	static const struct hv_segment data = {
		.limit = 0xffffffff, .selector = SEL_DATA, .ar = AR_DATA,
	};

	memset(r, 0, sizeof(*r));
	r->gpr[HV_RSI] = PARAMS_GPA;
	r->gpr[HV_RSP] = STACK_GPA;
	r->rip = ld->load + ENTRY_64;
	r->rflags = RFLAGS_ONE;
	r->cr0 = CR0_PG | CR0_NE | CR0_ET | CR0_PE;
	r->cr3 = PML4_GPA;
	r->cr4 = CR4_PAE;
	r->efer = EFER_LME | EFER_LMA;
	r->cs = code;
	r->ds = r->es = r->fs = r->gs = r->ss = data;
	/* A processor in long mode must have a task register. */
	r->tr.ar = AR_TSS;
	r->tr.limit = 0x67;
	r->gdtr.base = GDT_GPA;
	r->gdtr.limit = 4 * 8 - 1;
}

int
boot_linux(const struct boot_linux *bl, const struct gmem *gm,
    struct hv_regs *regs, char *err, size_t errlen)
{
	struct loader ld = {
		.bl = bl, .gm = gm, .err = err, .errlen = errlen,
	};
	int error;

	if (gm->nranges > 0 && gm->range[0].gpa == 0)
		ld.low_end = gm->range[0].size;
	if (ld.low_end <= HIGH_GPA)
		return bad_kernel(&ld, "the guest has no memory above 1 MiB");
	error = load_kernel(&ld);
	if (error == 0)
		error = load_initrd(&ld);
	if (error != 0)
		return error;
	error = gmem_write(gm, CMDLINE_GPA, bl->cmdline,
	    strlen(bl->cmdline) + 1);
	if (error == 0)
		error = write_params(&ld);
	if (error == 0)
		error = write_tables(gm);
	if (error != 0)
		return bad_kernel(&ld, "no room for boot parameters");
	set_registers(&ld, regs);
	return 0;
}
