/* SPDX-License-Identifier: ISC */
/*
 * Boot parameters, first page tables and registers: see boot_params.h.
 */
#include <errno.h>
#include <string.h>

#include "devices/gmem.h"
#include "vmm/boot_params.h"
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

#define IDENTITY_GIB	(BOOT_REACH >> 30)

_Static_assert(CMDLINE_GPA + BOOT_CMDLINE_MAX + 1 == BIOS_GPA, "command line");

#define LOADER_OTHER	0xff		/* type_of_loader: none of the known */

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

struct e820_entry {
	uint64_t	addr;
	uint64_t	size;
	uint32_t	type;
} __attribute__((__packed__));

struct zero_page {
	uint8_t			pad0[0x70];	/* no screen */
	uint64_t		acpi_rsdp_addr;
	uint8_t			pad1[0x1e8 - 0x78];	/* no firmware */
	uint8_t			e820_entries;
	uint8_t			pad2[HDR_START - 0x1e9];
	struct setup_header	hdr;
	uint8_t			pad3[0x2d0 - HDR_END_MAX];
	struct e820_entry	e820_table[128];
	uint8_t			pad4[0x1000 - 0xcd0];
} __attribute__((__packed__));

_Static_assert(offsetof(struct zero_page, acpi_rsdp_addr) == 0x70, "ACPI");
_Static_assert(offsetof(struct zero_page, hdr) == HDR_START, "hdr");
_Static_assert(offsetof(struct zero_page, e820_table) == 0x2d0, "e820");
_Static_assert(sizeof(struct zero_page) == 4096, "struct zero_page");

uint64_t
boot_low_end(const struct gmem *gm)
{
	return gm->nranges > 0 && gm->range[0].gpa == 0 ?
	    gm->range[0].size : 0;
}

static void
e820_add(struct zero_page *zp, uint64_t addr, uint64_t end, uint32_t type)
{
	struct e820_entry *e = &zp->e820_table[zp->e820_entries++];

	e->addr = addr;
	e->size = end - addr;
	e->type = type;
}

static void
make_e820(struct zero_page *zp, const struct gmem *gm, uint64_t low_end)
{
	const struct gmem_range *r;
	unsigned i;

	_Static_assert(E820_MAX <= 128, "e820_table");
	e820_add(zp, 0, BIOS_GPA, E820_RAM);
	e820_add(zp, BIOS_GPA, BOOT_HIGH_GPA, E820_RESERVED);
	e820_add(zp, BOOT_HIGH_GPA, low_end, E820_RAM);
	for (i = 1; i < gm->nranges; i++) {
		r = &gm->range[i];
		e820_add(zp, r->gpa, r->gpa + r->size, E820_RAM);
	}
}

static int
write_zero_page(const struct gmem *gm, const struct boot_kernel *k,
    const struct boot_params *p)
{
	struct zero_page zp;

	memset(&zp, 0, sizeof(zp));
	/* Since Linux 5.0; others look for it in the BIOS area. */
	zp.acpi_rsdp_addr = p->rsdp;
	zp.hdr = k->hdr;
	zp.hdr.type_of_loader = LOADER_OTHER;
	zp.hdr.code32_start = (uint32_t)k->load;
	zp.hdr.ramdisk_image = (uint32_t)p->initrd;
	zp.hdr.ramdisk_size = (uint32_t)p->initrd_len;
	zp.hdr.cmd_line_ptr = CMDLINE_GPA;
	zp.hdr.setup_data = 0;
	make_e820(&zp, gm, boot_low_end(gm));
	return gmem_write(gm, PARAMS_GPA, &zp, sizeof(zp));
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
set_registers(const struct boot_kernel *k, struct hv_regs *r)
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
	r->rip = k->entry;
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
boot_params_write(const struct gmem *gm, const struct boot_kernel *k,
    const struct boot_params *p, struct hv_regs *regs)
{
	int error;

	error = gmem_write(gm, CMDLINE_GPA, p->cmdline,
	    strlen(p->cmdline) + 1);
	if (error == 0)
		error = write_zero_page(gm, k, p);
	if (error == 0)
		error = write_tables(gm);
	if (error == 0)
		set_registers(k, regs);
	return error;
}
