/* SPDX-License-Identifier: ISC */
/*
 * bzImage loader.
 *
 * The header is copied once and every value of it is checked before use.  The
 * kernel goes to the address it prefers, since it would not run below it.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "devices/gmem.h"
#include "vmm/boot_bzimage.h"
#include "vmm/boot_file.h"
#include "vmm/boot_params.h"

#define MIB		((uint64_t)1024 * 1024)
#define PAGE		((uint64_t)4096)
#define SECTOR		512

#define PROTOCOL_MIN	0x020c		/* 2.12 brought xloadflags */
#define ENTRY_64	0x200

/* Where the 64-bit part lies in the file. */
struct image {
	uint64_t	off;
	uint64_t	len;
};

#define bad_kernel(f, ...)	boot_file_bad(f, ENOEXEC, __VA_ARGS__)

/* Is it a kernel that the 64-bit protocol can enter? */
static int
check_protocol(struct boot_file *f, const struct setup_header *h)
{
	if (h->boot_flag != HDR_BOOT_FLAG || h->magic != HDR_MAGIC)
		return bad_kernel(f,
		    "not a Linux kernel image (bzImage, vmlinuz, vmlinux)");
	if (h->version < PROTOCOL_MIN)
		return bad_kernel(f, "boot protocol %u.%02u is too old, "
		    "2.12 (Linux 3.8) or later is needed",
		    (unsigned)h->version >> 8, (unsigned)h->version & 0xff);
	if ((h->loadflags & HDR_LOADED_HIGH) == 0)
		return bad_kernel(f, "a zImage, a bzImage is needed");
	if ((h->xloadflags & HDR_KERNEL_64) == 0)
		return bad_kernel(f,
		    "a 32-bit kernel, one for x86-64 is needed");
	if (HDR_JUMP + 2 + h->jump_distance < HDR_END_MIN ||
	    HDR_JUMP + 2 + h->jump_distance > HDR_END_MAX)
		return bad_kernel(f, "damaged: its setup header ends at %#x",
		    HDR_JUMP + 2 + h->jump_distance);
	return 0;
}

/* Finds the 64-bit part in the file. */
static int
find_code(struct boot_file *f, const struct setup_header *h,
    struct image *im)
{
	unsigned sects = h->setup_sects != 0 ? h->setup_sects : 4;

	im->off = (uint64_t)(sects + 1) * SECTOR;
	im->len = (uint64_t)h->syssize * 16;
	if (im->len <= ENTRY_64)
		return bad_kernel(f, "damaged: it holds no code");
	if (im->len > BOOT_FILE_MAX)
		return bad_kernel(f, "damaged: %" PRIu64 " MiB of code, "
		    "at most %" PRIu64 " are sane", im->len / MIB,
		    BOOT_FILE_MAX / MIB);
	return 0;
}

/* Finds a place for it in RAM, of which `low_end` bytes lie below the hole. */
static int
place_kernel(struct boot_file *f, struct boot_kernel *k, uint64_t len,
    uint64_t low_end)
{
	const struct setup_header *h = &k->hdr;
	uint64_t span = len > h->init_size ? len : h->init_size;

	k->load = h->pref_address != 0 ? h->pref_address : BOOT_HIGH_GPA;
	if (k->load < BOOT_HIGH_GPA || k->load % PAGE != 0)
		return bad_kernel(f, "damaged: it wants to be loaded at "
		    "%#" PRIx64, k->load);
	if (k->load > BOOT_REACH - span)
		return bad_kernel(f, "wants to be loaded at %#" PRIx64
		    ", beyond what can be reached", k->load);
	k->end = k->load + span;
	if (k->end > low_end)
		return bad_kernel(f, "needs %" PRIu64 " MiB of memory below "
		    "3 GiB to start, the guest has %" PRIu64,
		    (k->end + MIB - 1) / MIB, low_end / MIB);
	k->entry = k->load + ENTRY_64;
	return 0;
}

int
boot_bzimage(struct boot_file *f, const struct gmem *gm,
    struct boot_kernel *k)
{
	struct setup_header *h = &k->hdr;
	struct image im;
	size_t len;
	int error;

	if (f->gz == NULL && f->size < HDR_END_MAX)
		return bad_kernel(f, "only %" PRIu64 " bytes, not a Linux "
		    "kernel image (bzImage, vmlinuz, vmlinux)", f->size);
	error = boot_file_read(f, h, sizeof(*h), HDR_START);
	if (error != 0 || (error = check_protocol(f, h)) != 0 ||
	    (error = find_code(f, h, &im)) != 0 ||
	    (error = place_kernel(f, k, im.len, boot_low_end(gm))) != 0)
		return error;
	/* What lies behind the header's end is not of the header. */
	len = HDR_JUMP + 2u + h->jump_distance - HDR_START;
	memset((char *)h + len, 0, sizeof(*h) - len);
	return boot_file_read(f, gmem_ptr(gm, k->load, im.len), im.len,
	    im.off);
}
