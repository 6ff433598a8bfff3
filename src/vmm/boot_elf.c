/* SPDX-License-Identifier: ISC */
/*
 * ELF loader.
 *
 * Segments go to their physical addresses.  The kernel's headers say nothing
 * of the boot protocol, so the parameters get a setup header of our making:
 * such a kernel takes what any since Linux 3.8 takes.
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "devices/gmem.h"
#include "vmm/boot_elf.h"
#include "vmm/boot_file.h"
#include "vmm/boot_params.h"

#define MIB		((uint64_t)1 << 20)
#define PHDRS_MAX	32

/* What the header of its bzImage would say. */
#define PROTOCOL	0x020c
#define CMDLINE_MAX	2047
#define INITRD_ADDR_MAX	0x7fffffff

#define bad_kernel(f, ...)	boot_file_bad(f, ENOEXEC, __VA_ARGS__)

static int
check_header(struct boot_file *f, const Elf64_Ehdr *e)
{
	if (memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 ||
	    e->e_ident[EI_CLASS] != ELFCLASS64 ||
	    e->e_ident[EI_DATA] != ELFDATA2LSB || e->e_machine != EM_X86_64)
		return bad_kernel(f, "an ELF file, but not for x86-64");
	if (e->e_type != ET_EXEC)
		return bad_kernel(f, "an ELF file of type %u, but only "
		    "executables (vmlinux) can be booted", e->e_type);
	if (e->e_phentsize != sizeof(Elf64_Phdr) || e->e_phnum == 0 ||
	    e->e_phnum > PHDRS_MAX)
		return bad_kernel(f, "damaged: %u program headers of %u "
		    "bytes, at most %u of %zu are sane", e->e_phnum,
		    e->e_phentsize, PHDRS_MAX, sizeof(Elf64_Phdr));
	return 0;
}

/* Every sum below is one that this has found not to overflow. */
static int
check_segment(struct boot_file *f, const Elf64_Phdr *p, uint64_t low_end)
{
	if (p->p_filesz > p->p_memsz)
		return bad_kernel(f, "damaged: a segment of %" PRIu64
		    " bytes has %" PRIu64 " in the file",
		    (uint64_t)p->p_memsz, (uint64_t)p->p_filesz);
	if (p->p_offset > BOOT_FILE_MAX ||
	    p->p_filesz > BOOT_FILE_MAX - p->p_offset)
		return bad_kernel(f, "damaged: a segment begins at %#" PRIx64
		    " of the file, at most %" PRIu64 " MiB are sane",
		    (uint64_t)p->p_offset, BOOT_FILE_MAX / MIB);
	if (p->p_paddr < BOOT_HIGH_GPA || p->p_paddr > BOOT_REACH ||
	    p->p_memsz > BOOT_REACH - p->p_paddr)
		return bad_kernel(f, "wants %#" PRIx64 " bytes at %#" PRIx64
		    ", beyond what can be reached", (uint64_t)p->p_memsz,
		    (uint64_t)p->p_paddr);
	if (p->p_paddr + p->p_memsz > low_end)
		return bad_kernel(f, "needs %" PRIu64 " MiB of memory below "
		    "3 GiB to start, the guest has %" PRIu64,
		    (p->p_paddr + p->p_memsz + MIB - 1) / MIB,
		    low_end / MIB);
	return 0;
}

/* The entry as a physical address: kernels are linked to either kind. */
static void
find_entry(const Elf64_Ehdr *e, const Elf64_Phdr *p, struct boot_kernel *k)
{
	if (e->e_entry >= p->p_paddr && e->e_entry - p->p_paddr < p->p_filesz)
		k->entry = e->e_entry;
	else if (e->e_entry >= p->p_vaddr &&
	    e->e_entry - p->p_vaddr < p->p_filesz)
		k->entry = e->e_entry - p->p_vaddr + p->p_paddr;
}

static bool
is_loaded(const Elf64_Phdr *p)
{
	return p->p_type == PT_LOAD && p->p_memsz != 0;
}

/* Looks at all segments before a byte of them is read. */
static int
place_kernel(struct boot_file *f, const Elf64_Ehdr *e, const Elf64_Phdr *p,
    uint64_t low_end, struct boot_kernel *k)
{
	unsigned i;
	int error;

	k->load = UINT64_MAX;
	for (i = 0; i < e->e_phnum; i++, p++) {
		if (!is_loaded(p))
			continue;
		error = check_segment(f, p, low_end);
		if (error != 0)
			return error;
		if (p->p_paddr < k->load)
			k->load = p->p_paddr;
		if (p->p_paddr + p->p_memsz > k->end)
			k->end = p->p_paddr + p->p_memsz;
		find_entry(e, p, k);
	}
	if (k->entry == 0)
		return bad_kernel(f, "damaged: it is entered at %#" PRIx64
		    ", where it has no code", (uint64_t)e->e_entry);
	return 0;
}

static int
load_segments(struct boot_file *f, const Elf64_Phdr *p, unsigned n,
    const struct gmem *gm)
{
	int error = 0;

	for (; error == 0 && n > 0; n--, p++) {
		if (is_loaded(p) && p->p_filesz != 0)
			error = boot_file_read(f, gmem_ptr(gm, p->p_paddr,
			    p->p_filesz), p->p_filesz, p->p_offset);
	}
	return error;
}

static void
make_header(struct setup_header *h)
{
	h->boot_flag = HDR_BOOT_FLAG;
	h->magic = HDR_MAGIC;
	h->version = PROTOCOL;
	h->loadflags = HDR_LOADED_HIGH;
	h->xloadflags = HDR_KERNEL_64;
	h->initrd_addr_max = INITRD_ADDR_MAX;
	h->cmdline_size = CMDLINE_MAX;
}

int
boot_elf(struct boot_file *f, const struct gmem *gm, struct boot_kernel *k)
{
	Elf64_Phdr p[PHDRS_MAX];
	Elf64_Ehdr e;
	int error;

	error = boot_file_read(f, &e, sizeof(e), 0);
	if (error == 0)
		error = check_header(f, &e);
	if (error == 0)
		error = boot_file_read(f, p, e.e_phnum * sizeof(p[0]),
		    e.e_phoff);
	if (error == 0)
		error = place_kernel(f, &e, p, boot_low_end(gm), k);
	if (error != 0)
		return error;
	make_header(&k->hdr);
	return load_segments(f, p, e.e_phnum, gm);
}
