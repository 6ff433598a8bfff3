/* SPDX-License-Identifier: ISC */
/*
 * ACPI tables: see acpi.h.
 *
 * The DSDT is small on purpose.  A guest interprets it while it boots, and an
 * object more is some 10,000 instructions: there are no methods, the buttons
 * and the timer are fixed hardware, and devices that every operating system
 * knows to be in a PC, such as PIC and PIT, are not listed.
 */
#include "vmm/acpi.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "devices/acpipm.h"
#include "devices/ioapic.h"
#include "devices/lapic.h"
#include "devices/pci.h"
#include "vmm/aml.h"

#define TABLES_MAX	3		/* in the XSDT */
#define TABLE_ALIGN	16
#define FACS_ALIGN	64

#define OEM_ID		"VMMD  "
#define OEM_TABLE_ID	"VMMD    "
#define CREATOR_ID	"VMMD"

struct rsdp {
	char		signature[8];
	uint8_t		checksum;	/* of the first 20 bytes */
	char		oem_id[6];
	uint8_t		revision;
	uint32_t	rsdt;
	uint32_t	length;
	uint64_t	xsdt;
	uint8_t		checksum_all;
	uint8_t		reserved[3];
} __attribute__((__packed__));
_Static_assert(sizeof(struct rsdp) == 36, "section 5.2.5.3");
#define RSDP_V1_SIZE	20

struct header {
	char		signature[4];
	uint32_t	length;
	uint8_t		revision;
	uint8_t		checksum;
	char		oem_id[6];
	char		oem_table_id[8];
	uint32_t	oem_revision;
	char		creator_id[4];
	uint32_t	creator_revision;
} __attribute__((__packed__));
_Static_assert(sizeof(struct header) == 36, "section 5.2.6");

/* Where a register is: generic address structure, section 5.2.3.2. */
struct gas {
	uint8_t		space;
	uint8_t		bits;
	uint8_t		bit_offset;
	uint8_t		access;		/* 1 byte, 2 word, 3 dword */
	uint64_t	address;
} __attribute__((__packed__));
_Static_assert(sizeof(struct gas) == 12, "section 5.2.3.2");
#define GAS_IO		1

struct fadt {
	struct header	hdr;
	uint32_t	facs;
	uint32_t	dsdt;
	uint8_t		reserved0;
	uint8_t		profile;
	uint16_t	sci;
	uint32_t	smi_cmd;
	uint8_t		smi_values[4];
	uint32_t	pm1a_evt, pm1b_evt;
	uint32_t	pm1a_cnt, pm1b_cnt;
	uint32_t	pm2_cnt;
	uint32_t	pm_tmr;
	uint32_t	gpe0, gpe1;
	uint8_t		pm1_evt_len;
	uint8_t		pm1_cnt_len;
	uint8_t		pm2_cnt_len;
	uint8_t		pm_tmr_len;
	uint8_t		gpe[3];
	uint8_t		cst_cnt;
	uint16_t	p_lvl2_lat, p_lvl3_lat;
	uint16_t	flush_size, flush_stride;
	uint8_t		duty[2];
	uint8_t		day_alarm, month_alarm;
	uint8_t		century;	/* index in the CMOS */
	uint16_t	boot_arch;
	uint8_t		reserved1;
	uint32_t	flags;
	struct gas	reset_reg;
	uint8_t		reset_value;
	uint16_t	arm_boot_arch;
	uint8_t		minor;
	uint64_t	x_facs, x_dsdt;
	struct gas	x_pm1a_evt, x_pm1b_evt;
	struct gas	x_pm1a_cnt, x_pm1b_cnt;
	struct gas	x_pm2_cnt;
	struct gas	x_pm_tmr;
	struct gas	x_gpe0, x_gpe1;
	struct gas	sleep_control, sleep_status;
	uint64_t	hypervisor;
} __attribute__((__packed__));
_Static_assert(offsetof(struct fadt, flags) == 112, "section 5.2.9");
_Static_assert(offsetof(struct fadt, x_pm1a_evt) == 148, "section 5.2.9");
_Static_assert(sizeof(struct fadt) == 276, "section 5.2.9");
#define BOOT_LEGACY		0x0001	/* devices on an ISA bus */
#define BOOT_8042		0x0002
#define BOOT_NO_VGA		0x0004
#define BOOT_NO_ASPM		0x0010
#define FADT_WBINVD		0x00000001
#define FADT_PROC_C1		0x00000004
#define FADT_NO_SLEEP_BUTTON	0x00000020
#define FADT_NO_RTC_WAKE	0x00000040
#define FADT_TMR_32		0x00000100
#define FADT_RESET_REG		0x00000400
#define FADT_HEADLESS		0x00001000
#define LAT_NO_C2		0x0fff	/* more than any that counts */
#define CMOS_CENTURY		0x32

struct facs {
	char		signature[4];
	uint32_t	length;
	uint32_t	hardware;
	uint32_t	waking;
	uint32_t	global_lock;
	uint32_t	flags;
	uint64_t	x_waking;
	uint8_t		version;
	uint8_t		reserved[31];
} __attribute__((__packed__));
_Static_assert(sizeof(struct facs) == 64, "section 5.2.10");

struct madt {
	struct header	hdr;
	uint32_t	lapic;
	uint32_t	flags;
} __attribute__((__packed__));
#define MADT_PCAT_COMPAT	1	/* there is a PIC, too */

struct madt_lapic {
	uint8_t		type, length;
	uint8_t		uid;
	uint8_t		apic_id;
	uint32_t	flags;
} __attribute__((__packed__));
_Static_assert(sizeof(struct madt_lapic) == 8, "section 5.2.12.2");
#define MADT_LAPIC		0
#define MADT_LAPIC_ENABLED	1

struct madt_ioapic {
	uint8_t		type, length;
	uint8_t		id;
	uint8_t		reserved;
	uint32_t	address;
	uint32_t	gsi_base;
} __attribute__((__packed__));
_Static_assert(sizeof(struct madt_ioapic) == 12, "section 5.2.12.3");
#define MADT_IOAPIC		1

struct madt_override {
	uint8_t		type, length;
	uint8_t		bus;		/* 0: ISA */
	uint8_t		irq;
	uint32_t	gsi;
	uint16_t	flags;
} __attribute__((__packed__));
_Static_assert(sizeof(struct madt_override) == 10, "section 5.2.12.5");
#define MADT_OVERRIDE		2
#define MADT_ISA_DEFAULT	0x00	/* edge, active high */
#define MADT_LEVEL_HIGH		0x0d

struct madt_nmi {
	uint8_t		type, length;
	uint8_t		uid;
	uint16_t	flags;
	uint8_t		lint;
} __attribute__((__packed__));
_Static_assert(sizeof(struct madt_nmi) == 6, "section 5.2.12.7");
#define MADT_NMI		4
#define MADT_ALL_CPUS		0xff

struct mcfg {
	struct header	hdr;
	uint8_t		reserved[8];
	uint64_t	base;
	uint16_t	segment;
	uint8_t		first_bus, last_bus;
	uint32_t	reserved1;
} __attribute__((__packed__));
_Static_assert(sizeof(struct mcfg) == 60, "section 4.1.2 of PCI Firmware");

/* Addresses of tables, as they come into being. */
struct tables {
	uint32_t	facs;
	uint32_t	dsdt;
	uint64_t	xsdt[TABLES_MAX];
	unsigned	n;
};

static uint8_t
checksum(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint8_t sum = 0;

	while (n-- > 0)
		sum += *b++;
	return (uint8_t)-sum;
}

static void
set_header(struct header *h, const char *signature, uint8_t revision)
{
	memset(h, 0, sizeof(*h));
	memcpy(h->signature, signature, sizeof(h->signature));
	h->revision = revision;
	memcpy(h->oem_id, OEM_ID, sizeof(h->oem_id));
	memcpy(h->oem_table_id, OEM_TABLE_ID, sizeof(h->oem_table_id));
	h->oem_revision = 1;
	memcpy(h->creator_id, CREATOR_ID, sizeof(h->creator_id));
	h->creator_revision = 1;
}

/* Where the next table begins; what lies between is zero. */
static size_t
table_begin(struct aml *a, size_t align)
{
	static const uint8_t zero[FACS_ALIGN];

	aml_bytes(a, zero, -a->len & (align - 1));
	return a->len;
}

/* Length and checksum of the table that began at `start`: its address. */
static uint32_t
table_end(struct aml *a, size_t start)
{
	struct header h;

	if (a->failed)
		return 0;
	memcpy(&h, a->p + start, sizeof(h));
	h.length = (uint32_t)(a->len - start);
	memcpy(a->p + start, &h, sizeof(h));
	h.checksum = checksum(a->p + start, h.length);
	memcpy(a->p + start, &h, sizeof(h));
	return (uint32_t)(ACPI_GPA + start);
}

static void
add_cpus(struct aml *a, unsigned ncpus)
{
	char name[8];
	unsigned i;

	for (i = 0; i < ncpus; i++) {
		snprintf(name, sizeof(name), "C%03X", i & 0xfff);
		aml_device(a, name);
		aml_name(a, "_HID");
		aml_string(a, "ACPI0007");
		aml_name(a, "_UID");
		aml_int(a, i);
		aml_end(a);
	}
}

/* Which line of the IOAPIC each pin of each slot drives. */
static void
add_routing(struct aml *a, uint32_t slots)
{
	unsigned slot, pin;

	aml_name(a, "_PRT");
	aml_package(a, (uint8_t)(4 * __builtin_popcount(slots)));
	for (slot = 0; slot < PCI_NSLOTS; slot++) {
		if ((slots >> slot & 1) == 0)
			continue;
		for (pin = 0; pin < 4; pin++) {
			aml_package(a, 4);
			aml_int(a, slot << 16 | 0xffff);
			aml_int(a, pin);
			aml_int(a, 0);
			aml_int(a, pci_irq(slot, pin));
			aml_end(a);
		}
	}
	aml_end(a);
}

static void
add_pci(struct aml *a, const struct acpi_conf *c)
{
	aml_device(a, "PCI0");
	aml_name(a, "_HID");
	aml_eisa_id(a, "PNP0A03");
	aml_name(a, "_CRS");
	aml_resources(a);
	aml_bus_window(a, 0, 0);
	aml_io_window(a, PCI_IO_BASE, PCI_IO_END - 1);
	if (c->pci_memory_size != 0)
		aml_memory_window(a, c->pci_memory,
		    c->pci_memory + c->pci_memory_size - 1);
	aml_resources_end(a);
	add_routing(a, c->pci_slots);
	aml_end(a);
}

/* A device of the ISA bus; its resources follow. */
static void
isa_begin(struct aml *a, const char *name, const char *id)
{
	aml_device(a, name);
	aml_name(a, "_HID");
	aml_eisa_id(a, id);
	aml_name(a, "_CRS");
	aml_resources(a);
}

static void
isa_end(struct aml *a)
{
	aml_resources_end(a);
	aml_end(a);
}

static void
add_isa(struct aml *a)
{
	isa_begin(a, "COM1", "PNP0501");
	aml_io(a, 0x3f8, 8);
	aml_irq(a, 4);
	isa_end(a);
	isa_begin(a, "RTC0", "PNP0B00");
	aml_io(a, 0x70, 2);
	aml_irq(a, 8);
	isa_end(a);
	isa_begin(a, "KBD0", "PNP0303");
	aml_io(a, 0x60, 1);
	aml_io(a, 0x64, 1);
	aml_irq(a, 1);
	isa_end(a);
}

/* The MCFG counts only if a device of the board owns what it names. */
static void
add_board(struct aml *a, uint32_t ecam)
{
	if (ecam == 0)
		return;
	isa_begin(a, "MBRD", "PNP0C02");
	aml_memory(a, ecam, PCI_ECAM_SIZE);
	isa_end(a);
}

static void
add_dsdt(struct aml *a, const struct acpi_conf *c, struct tables *t)
{
	size_t start = table_begin(a, TABLE_ALIGN);
	struct header h;

	set_header(&h, "DSDT", 2);
	aml_bytes(a, &h, sizeof(h));
	aml_name(a, "_S5");
	aml_package(a, 4);
	aml_int(a, ACPI_S5);
	aml_int(a, 0);
	aml_int(a, 0);
	aml_int(a, 0);
	aml_end(a);
	aml_scope(a, "_SB");
	add_cpus(a, c->ncpus);
	add_pci(a, c);
	add_isa(a);
	add_board(a, c->ecam);
	aml_end(a);
	t->dsdt = table_end(a, start);
}

static void
add_facs(struct aml *a, struct tables *t)
{
	struct facs f = {
		.signature = "FACS", .length = sizeof(f), .version = 2,
	};

	t->facs = (uint32_t)(ACPI_GPA + table_begin(a, FACS_ALIGN));
	aml_bytes(a, &f, sizeof(f));
}

static struct gas
port_gas(uint16_t port, uint8_t bytes, uint8_t access)
{
	return (struct gas){
		.space = GAS_IO, .bits = (uint8_t)(8 * bytes),
		.access = access, .address = port,
	};
}

/* There is no SMI_CMD: the hardware is ACPI's from power-on. */
static void
add_fadt(struct aml *a, struct tables *t)
{
	size_t start = table_begin(a, TABLE_ALIGN);
	struct fadt f = {
		.dsdt = t->dsdt,
		.sci = ACPI_SCI,
		.pm1a_evt = ACPIPM_EVENT,
		.pm1a_cnt = ACPIPM_CONTROL,
		.pm_tmr = ACPIPM_TIMER,
		.pm1_evt_len = ACPIPM_EVENT_LEN,
		.pm1_cnt_len = ACPIPM_CONTROL_LEN,
		.pm_tmr_len = ACPIPM_TIMER_LEN,
		.p_lvl2_lat = LAT_NO_C2,
		.p_lvl3_lat = LAT_NO_C2,
		.century = CMOS_CENTURY,
		.boot_arch = BOOT_LEGACY | BOOT_8042 | BOOT_NO_VGA |
		    BOOT_NO_ASPM,
		.flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLEEP_BUTTON |
		    FADT_NO_RTC_WAKE | FADT_TMR_32 | FADT_RESET_REG |
		    FADT_HEADLESS,
		.reset_reg = port_gas(PCI_RESET_PORT, 1, 1),
		.reset_value = PCI_RESET_VALUE,
		.minor = 3,
		.x_facs = t->facs,
		.x_dsdt = t->dsdt,
		.x_pm1a_evt = port_gas(ACPIPM_EVENT, ACPIPM_EVENT_LEN, 2),
		.x_pm1a_cnt = port_gas(ACPIPM_CONTROL, ACPIPM_CONTROL_LEN, 2),
		.x_pm_tmr = port_gas(ACPIPM_TIMER, ACPIPM_TIMER_LEN, 3),
	};

	set_header(&f.hdr, "FACP", 6);
	aml_bytes(a, &f, sizeof(f));
	t->xsdt[t->n++] = table_end(a, start);
}

static void
add_override(struct aml *a, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	const struct madt_override o = {
		.type = MADT_OVERRIDE, .length = sizeof(o),
		.irq = irq, .gsi = gsi, .flags = flags,
	};

	aml_bytes(a, &o, sizeof(o));
}

static void
add_madt(struct aml *a, const struct acpi_conf *c, struct tables *t)
{
	const struct madt_ioapic ioapic = {
		.type = MADT_IOAPIC, .length = sizeof(ioapic),
		.address = IOAPIC_BASE,
	};
	const struct madt_nmi nmi = {
		.type = MADT_NMI, .length = sizeof(nmi),
		.uid = MADT_ALL_CPUS, .lint = 1,
	};
	struct madt m = { .lapic = LAPIC_GPA, .flags = MADT_PCAT_COMPAT };
	size_t start = table_begin(a, TABLE_ALIGN);
	unsigned i;

	set_header(&m.hdr, "APIC", 5);
	aml_bytes(a, &m, sizeof(m));
	for (i = 0; i < c->ncpus; i++) {
		const struct madt_lapic cpu = {
			.type = MADT_LAPIC, .length = sizeof(cpu),
			.uid = (uint8_t)i, .apic_id = (uint8_t)i,
			.flags = MADT_LAPIC_ENABLED,
		};

		aml_bytes(a, &cpu, sizeof(cpu));
	}
	aml_bytes(a, &ioapic, sizeof(ioapic));
	/* The timer is on pin 2, whose ISA line the PICs have for themselves. */
	add_override(a, 0, 2, MADT_ISA_DEFAULT);
	add_override(a, ACPI_SCI, ACPI_SCI, MADT_LEVEL_HIGH);
	aml_bytes(a, &nmi, sizeof(nmi));
	t->xsdt[t->n++] = table_end(a, start);
}

static void
add_mcfg(struct aml *a, uint32_t ecam, struct tables *t)
{
	struct mcfg m = { .base = ecam };
	size_t start;

	if (ecam == 0)
		return;
	start = table_begin(a, TABLE_ALIGN);
	set_header(&m.hdr, "MCFG", 1);
	aml_bytes(a, &m, sizeof(m));
	t->xsdt[t->n++] = table_end(a, start);
}

/* Writes the RSDP, which points to it, too. */
static void
add_xsdt(struct aml *a, const struct tables *t)
{
	size_t start = table_begin(a, TABLE_ALIGN);
	struct rsdp r = {
		.signature = "RSD PTR ", .oem_id = OEM_ID, .revision = 2,
		.length = sizeof(r),
	};
	struct header h;

	set_header(&h, "XSDT", 1);
	aml_bytes(a, &h, sizeof(h));
	aml_bytes(a, t->xsdt, t->n * sizeof(t->xsdt[0]));
	r.xsdt = table_end(a, start);
	r.checksum = checksum(&r, RSDP_V1_SIZE);
	r.checksum_all = checksum(&r, sizeof(r));
	if (!a->failed)
		memcpy(a->p, &r, sizeof(r));
}

int
acpi_build(const struct acpi_conf *c, void *p, size_t size, size_t *len)
{
	static const struct rsdp room;
	struct tables t = { 0 };
	struct aml a;

	assert(c->ncpus >= 1 && c->ncpus <= ACPI_CPUS_MAX);
	aml_init(&a, p, size);
	aml_bytes(&a, &room, sizeof(room));
	add_facs(&a, &t);
	add_dsdt(&a, c, &t);
	add_fadt(&a, &t);
	add_madt(&a, c, &t);
	add_mcfg(&a, c->ecam, &t);
	add_xsdt(&a, &t);
	*len = a.len;
	return a.failed ? -ENOSPC : 0;
}
