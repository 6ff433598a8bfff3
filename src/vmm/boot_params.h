/* SPDX-License-Identifier: ISC */
/*
 * What a Linux kernel for x86-64 expects to find in memory and registers when
 * it is entered by the 64-bit boot protocol.  Linux,
 * Documentation/arch/x86/boot.rst, names every field used here.
 *
 * Low memory, until the kernel takes it:
 *
 *	0x01000  GDT
 *	0x02000  boot parameters ("zero page")
 *	0x03000  page tables: PML4, PDPT, 4 page directories
 *	0x0a000  end of a stack nobody uses
 *	0x10000  command line
 *	0xa0000  reserved, up to 1 MiB; ACPI's tables are there
 */
#ifndef VMMD_BOOT_PARAMS_H
#define VMMD_BOOT_PARAMS_H

#include <stddef.h>
#include <stdint.h>

struct gmem;
struct hv_regs;

#define BOOT_HIGH_GPA	0x100000ULL	/* where kernels may begin */
#define BOOT_REACH	(4ULL << 30)	/* mapped when they are entered */
#define BOOT_CMDLINE_MAX 0x8ffff	/* bytes, without the final NUL */

/* The setup header, as an offset in the file and in the boot parameters. */
#define HDR_START	0x1f1
#define HDR_JUMP	0x200
#define HDR_END_MIN	0x264		/* init_size is the last we need */
#define HDR_END_MAX	0x290		/* other parameters begin there */

#define HDR_BOOT_FLAG	0xaa55
#define HDR_MAGIC	0x53726448U	/* "HdrS" */
#define HDR_LOADED_HIGH	0x01		/* loadflags */
#define HDR_KERNEL_64	0x01		/* xloadflags */

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

/* A kernel in guest memory, as its loader left it there. */
struct boot_kernel {
	struct setup_header	hdr;		/* zero where unknown */
	uint64_t		load;		/* where it begins */
	uint64_t		end;		/* of what it needs to start */
	uint64_t		entry;
};

/* What goes with it. */
struct boot_params {
	const char	*cmdline;	/* of a length that the header allows */
	uint64_t	 initrd;	/* its address and size, in bytes */
	uint64_t	 initrd_len;
	uint64_t	 rsdp;		/* of ACPI, or 0 */
};

/* Bytes of RAM from 0 up to the hole. */
uint64_t boot_low_end(const struct gmem *gm);

/*
 * Writes parameters, tables and command line for a kernel, and the registers
 * to enter it: 0, or -EFAULT if a part of low memory is not there.
 */
int boot_params_write(const struct gmem *gm, const struct boot_kernel *k,
    const struct boot_params *p, struct hv_regs *regs);

#endif /* VMMD_BOOT_PARAMS_H */
