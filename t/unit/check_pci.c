/* SPDX-License-Identifier: ISC */
/*
 * The PCI bus: how a guest finds, sizes, moves and disables devices through
 * cf8 and cfc or the window in memory, and what their shared interrupt lines
 * do.
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/pci.h"
#include "testhost.h"

#define ADDRESS		0xcf8
#define DATA		0xcfc
#define COMMAND		0x04
#define STATUS		0x06
#define BAR0		0x10
#define INT_LINE	0x3c

/* Function n of a slot, where the functions below take a slot. */
#define FN(slot, n)	((slot) | (n) << 5)

/* A device that remembers what was done to it. */
struct probe {
	struct pci_dev	 pdev;
	bool		 level;
	unsigned	 caps_written;
	uint32_t	 value;		/* the BAR's and the window's */
	uint32_t	 last_off;
	unsigned	 last_size;
};

struct fixture {
	struct testhost	 t;
	struct bus	*bus;
	struct pci	*pci;
};

static bool
probe_level(void *cookie)
{
	const struct probe *p = cookie;

	return p->level;
}

static uint32_t
probe_in(void *cookie, uint32_t off, unsigned size)
{
	struct probe *p = cookie;

	p->last_off = off;
	p->last_size = size;
	return p->value;
}

static void
probe_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	probe_in(cookie, off, size);
	((struct probe *)cookie)->value = val;
}

static const struct pio_ops probe_pio = { .in = probe_in, .out = probe_out };

static uint64_t
probe_read(void *cookie, uint64_t off, unsigned size)
{
	return probe_in(cookie, (uint32_t)off, size);
}

static void
probe_write(void *cookie, uint64_t off, unsigned size, uint64_t val)
{
	probe_out(cookie, (uint32_t)off, size, (uint32_t)val);
}

static const struct mmio_ops probe_mmio = { probe_read, probe_write };

static void
probe_caps_written(void *cookie)
{
	struct probe *p = cookie;

	p->caps_written++;
}

static const struct pci_dev_ops probe_ops = {
	.intx_level = probe_level,
	.caps_written = probe_caps_written,
	.window_read = probe_in,
	.window_write = probe_out,
};

static const struct pci_ident probe_ident = {
	.vendor = 0x1234,
	.device = 0x5678,
	.subvendor = 0x9abc,
	.subdevice = 0xdef0,
	.class_code = 0x010203,
	.revision = 7,
};

static void
setup(struct fixture *f)
{
	testhost_init(&f->t);
	f->bus = bus_create();
	ck_assert_ptr_nonnull(f->bus);
	f->pci = pci_create(&f->t.host, f->bus);
	ck_assert_ptr_nonnull(f->pci);
}

static void
teardown(struct fixture *f)
{
	pci_destroy(f->pci);
	/* Nothing of it is left on the bus. */
	ck_assert_uint_eq(bus_in(f->bus, ADDRESS, 4), UINT32_MAX);
	ck_assert_int_eq(bus_add_pio(f->bus, 0, 0x10000, &probe_pio, NULL),
	    0);
	bus_destroy(f->bus);
}

static void
probe_init(struct probe *p, uint32_t size)
{
	memset(p, 0, sizeof(*p));
	pci_dev_init(&p->pdev, &probe_ident, &probe_ops, p);
	pci_add_io_bar(&p->pdev, 0, size, &probe_pio, p);
}

static void
plug(struct fixture *f, struct probe *p, uint32_t size)
{
	probe_init(p, size);
	ck_assert_int_eq(pci_add(f->pci, &p->pdev), 0);
}

static void
select_reg(struct fixture *f, unsigned slot, unsigned reg)
{
	bus_out(f->bus, ADDRESS, 4, 0x80000000u | (slot & 31) << 11 |
	    slot >> 5 << 8 | (reg & 0xfc));
}

static uint32_t
conf(struct fixture *f, unsigned slot, unsigned reg, unsigned size)
{
	select_reg(f, slot, reg);
	return bus_in(f->bus, (uint16_t)(DATA + (reg & 3)), size);
}

static void
set_conf(struct fixture *f, unsigned slot, unsigned reg, unsigned size,
    uint32_t val)
{
	select_reg(f, slot, reg);
	bus_out(f->bus, (uint16_t)(DATA + (reg & 3)), size, val);
}

static uint64_t
mem(struct fixture *f, uint64_t gpa, unsigned size)
{
	uint64_t val = 0;

	bus_read(f->bus, gpa, &val, size);
	return val;
}

static uint64_t
ecam(unsigned slot, unsigned reg)
{
	return PCI_ECAM_BASE + ((slot & 31) << 15 | slot >> 5 << 12 | reg);
}

START_TEST(address_register)
{
	struct fixture f;

	setup(&f);
	/* As guests probe for the mechanism. */
	bus_out(f.bus, 0xcfb, 1, 0x01);
	ck_assert_uint_eq(bus_in(f.bus, ADDRESS, 4), 0);
	bus_out(f.bus, ADDRESS, 4, 0x80000000u);
	ck_assert_uint_eq(bus_in(f.bus, ADDRESS, 4), 0x80000000u);
	bus_out(f.bus, ADDRESS, 2, 0x1234);
	ck_assert_uint_eq(bus_in(f.bus, ADDRESS, 4), 0x80000000u);
	bus_out(f.bus, ADDRESS, 4, UINT32_MAX);
	ck_assert_uint_eq(bus_in(f.bus, ADDRESS, 4), 0x80fffffcu);
	ck_assert_uint_eq(bus_in(f.bus, ADDRESS, 2), 0xffff);
	teardown(&f);
}
END_TEST

/* RST_CPU in a byte at cf9, and nothing else among the mechanism's ports. */
START_TEST(reset_register)
{
	struct fixture f;
	uint16_t port;
	uint32_t val;

	setup(&f);
	for (port = ADDRESS; port < ADDRESS + 4; port++)
		for (val = 0; val < 0x100; val++) {
			f.t.resets = 0;
			bus_out(f.bus, port, 1, val);
			ck_assert_uint_eq(f.t.resets, port == PCI_RESET_PORT &&
			    (val & 0x04) != 0);
		}
	f.t.resets = 0;
	bus_out(f.bus, ADDRESS, 2, 0x0606);
	bus_out(f.bus, ADDRESS, 4, 0x06060606);
	ck_assert_uint_eq(f.t.resets, 0);
	teardown(&f);
}
END_TEST

/* Each pin of a slot has its line, and none is ACPI's or an ISA device's. */
START_TEST(pins_have_lines)
{
	unsigned slot, pin;

	ck_assert_uint_eq(pci_irq_mask() & 0x03ff, 1u << 5);
	for (slot = 0; slot < 32; slot++)
		for (pin = 0; pin < 4; pin++) {
			ck_assert((pci_irq_mask() >> pci_irq(slot, pin) & 1) !=
			    0);
			ck_assert_uint_eq(pci_irq(slot, pin),
			    pci_irq(slot + 1, (pin + 3) % 4));
		}
}
END_TEST

START_TEST(bridge_and_absent_devices)
{
	struct fixture f;
	uint32_t id;

	setup(&f);
	id = conf(&f, 0, 0, 4);
	ck_assert_uint_ne(id, UINT32_MAX);
	ck_assert_uint_eq(conf(&f, 0, 0x08, 4) >> 8, 0x060000);
	ck_assert_uint_eq(conf(&f, 0, 0x3d, 1), 0);
	ck_assert_uint_eq(conf(&f, 1, 0, 4), UINT32_MAX);
	ck_assert_uint_eq(conf(&f, 31, 0, 4), UINT32_MAX);
	set_conf(&f, 31, COMMAND, 2, 7);
	/* Another bus, a function it does not have, not enabled. */
	bus_out(f.bus, ADDRESS, 4, 0x80010000u);
	ck_assert_uint_eq(bus_in(f.bus, DATA, 4), UINT32_MAX);
	bus_out(f.bus, ADDRESS, 4, 0x80000100u);
	ck_assert_uint_eq(bus_in(f.bus, DATA, 4), UINT32_MAX);
	bus_out(f.bus, ADDRESS, 4, 0);
	ck_assert_uint_eq(bus_in(f.bus, DATA, 4), UINT32_MAX);
	bus_out(f.bus, ADDRESS, 4, 0x80000000u);
	ck_assert_uint_eq(bus_in(f.bus, DATA, 4), id);
	teardown(&f);
}
END_TEST

START_TEST(header_says_who_it_is)
{
	struct fixture f;
	struct probe p;

	setup(&f);
	plug(&f, &p, 256);
	ck_assert_uint_eq(conf(&f, 1, 0, 4), 0x56781234);
	ck_assert_uint_eq(conf(&f, 1, 2, 2), 0x5678);
	ck_assert_uint_eq(conf(&f, 1, 1, 1), 0x12);
	ck_assert_uint_eq(conf(&f, 1, 0x08, 4), 0x01020307);
	ck_assert_uint_eq(conf(&f, 1, 0x2c, 4), 0xdef09abc);
	ck_assert_uint_eq(conf(&f, 1, 0x3d, 1), 1);
	ck_assert_uint_eq(conf(&f, 1, COMMAND, 2), 5);
	/* Read-only, and a word that leaves the dword. */
	set_conf(&f, 1, 0, 4, 0);
	ck_assert_uint_eq(conf(&f, 1, 0, 4), 0x56781234);
	set_conf(&f, 1, INT_LINE, 1, 0x77);
	ck_assert_uint_eq(conf(&f, 1, INT_LINE, 1), 0x77);
	ck_assert_uint_eq(conf(&f, 1, 3, 2), 0xff56);
	pci_remove(&p.pdev);
	ck_assert_uint_eq(conf(&f, 1, 0, 4), UINT32_MAX);
	teardown(&f);
}
END_TEST

START_TEST(bar_is_sized_and_moved)
{
	struct fixture f;
	struct probe p;
	uint32_t bar;

	setup(&f);
	plug(&f, &p, 512);
	bar = conf(&f, 1, BAR0, 4);
	ck_assert_uint_eq(bar & 3, 1);
	ck_assert_uint_eq((bar & ~3u) % 512, 0);
	bar &= ~3u;
	ck_assert_uint_ge(bar, PCI_IO_BASE);
	p.value = 0x42;
	ck_assert_uint_eq(bus_in(f.bus, (uint16_t)bar, 1), 0x42);
	ck_assert_uint_eq(bus_in(f.bus, (uint16_t)(bar + 511), 1), 0x42);
	ck_assert_uint_eq(p.last_off, 511);
	ck_assert_uint_eq(bus_in(f.bus, (uint16_t)(bar + 512), 1), 0xff);
	ck_assert_uint_eq(bus_in(f.bus, (uint16_t)(bar - 1), 1), 0xff);
	/* Sizing, decoding on: it answers nowhere meanwhile. */
	set_conf(&f, 1, BAR0, 4, UINT32_MAX);
	ck_assert_uint_eq(conf(&f, 1, BAR0, 4), 0xfffffe01);
	ck_assert_uint_eq(bus_in(f.bus, (uint16_t)bar, 1), 0xff);
	ck_assert_uint_eq(bus_in(f.bus, 0xfe00, 1), 0xff);
	/* Elsewhere; the BARs it does not have stay zero. */
	set_conf(&f, 1, BAR0, 4, 0xfe00);
	ck_assert_uint_eq(bus_in(f.bus, 0xfe00, 1), 0x42);
	ck_assert_uint_eq(bus_in(f.bus, 0xffff, 1), 0x42);
	set_conf(&f, 1, BAR0 + 4, 4, UINT32_MAX);
	ck_assert_uint_eq(conf(&f, 1, BAR0 + 4, 4), 0);
	/* Decoding off and on. */
	set_conf(&f, 1, COMMAND, 2, 0);
	ck_assert_uint_eq(bus_in(f.bus, 0xfe00, 1), 0xff);
	set_conf(&f, 1, COMMAND, 2, 1);
	ck_assert_uint_eq(bus_in(f.bus, 0xfe00, 1), 0x42);
	pci_remove(&p.pdev);
	ck_assert_uint_eq(bus_in(f.bus, 0xfe00, 1), 0xff);
	teardown(&f);
}
END_TEST

/* A BAR over others' ports is not there, until they make room. */
START_TEST(bars_do_not_overlap)
{
	struct fixture f;
	struct probe a, b, other;
	uint32_t abar, bbar;

	setup(&f);
	probe_init(&other, 4);
	other.value = 0x99;
	ck_assert_int_eq(bus_add_pio(f.bus, 0x3f8, 8, &probe_pio, &other), 0);
	plug(&f, &a, 256);
	plug(&f, &b, 256);
	a.value = 0xaa;
	b.value = 0xbb;
	abar = conf(&f, 1, BAR0, 4) & ~3u;
	bbar = conf(&f, 2, BAR0, 4) & ~3u;
	set_conf(&f, 1, BAR0, 4, 0x300);
	ck_assert_uint_eq(conf(&f, 1, BAR0, 4), 0x301);
	ck_assert_uint_eq(bus_in(f.bus, 0x3f8, 1), 0x99);
	ck_assert_uint_eq(bus_in(f.bus, 0x300, 1), 0xff);
	set_conf(&f, 1, BAR0, 4, bbar);
	ck_assert_uint_eq(bus_in(f.bus, (uint16_t)bbar, 1), 0xbb);
	/* Disabling the one beneath does not take the other off. */
	set_conf(&f, 1, COMMAND, 2, 0);
	ck_assert_uint_eq(bus_in(f.bus, (uint16_t)bbar, 1), 0xbb);
	set_conf(&f, 1, COMMAND, 2, 1);
	set_conf(&f, 2, BAR0, 4, abar);
	ck_assert_uint_eq(bus_in(f.bus, (uint16_t)bbar, 1), 0xaa);
	ck_assert_uint_eq(bus_in(f.bus, (uint16_t)abar, 1), 0xbb);
	bus_del_pio(f.bus, 0x3f8);
	pci_remove(&a.pdev);
	pci_remove(&b.pdev);
	teardown(&f);
}
END_TEST

START_TEST(capabilities_are_linked)
{
	static const uint8_t one[6] = { 0, 0, 6, 1, 2, 3 };
	static const uint8_t two[8] = { 0, 0, 8, 4, 5, 6, 7, 8 };
	struct fixture f;
	struct probe p;
	uint8_t off;

	setup(&f);
	probe_init(&p, 4);
	ck_assert_uint_eq(p.pdev.config[STATUS] & 0x10, 0);
	off = pci_add_cap(&p.pdev, PCI_CAP_VENDOR, one, sizeof(one));
	off = pci_add_cap(&p.pdev, 0x11, two, sizeof(two));
	pci_set_writable(&p.pdev, off + 3, 1);
	ck_assert_int_eq(pci_add(f.pci, &p.pdev), 0);
	ck_assert_uint_eq(conf(&f, 1, STATUS, 2) & 0x10, 0x10);
	ck_assert_uint_eq(conf(&f, 1, 0x34, 1), 0x40);
	ck_assert_uint_eq(conf(&f, 1, 0x40, 4), 0x01060000u | off << 8 | 9);
	ck_assert_uint_eq(off % 4, 0);
	ck_assert_uint_eq(conf(&f, 1, off, 4), 0x04080011);
	set_conf(&f, 1, off, 4, UINT32_MAX);
	ck_assert_uint_eq(conf(&f, 1, off, 4), 0xff080011);
	pci_remove(&p.pdev);
	teardown(&f);
}
END_TEST

START_TEST(window_belongs_to_the_device)
{
	struct fixture f;
	struct probe p;

	setup(&f);
	probe_init(&p, 4);
	pci_set_window(&p.pdev, 0x80);
	ck_assert_int_eq(pci_add(f.pci, &p.pdev), 0);
	set_conf(&f, 1, 0x82, 2, 0xcafe);
	ck_assert_uint_eq(p.value, 0xcafe);
	ck_assert_uint_eq(p.last_off, 2);
	ck_assert_uint_eq(p.last_size, 2);
	p.value = 0x12345678;
	ck_assert_uint_eq(conf(&f, 1, 0x80, 4), 0x12345678);
	ck_assert_uint_eq(conf(&f, 1, 0x7c, 4), 0);
	ck_assert_uint_eq(conf(&f, 1, 0x84, 4), 0);
	pci_remove(&p.pdev);
	teardown(&f);
}
END_TEST

START_TEST(lines_are_shared)
{
	struct fixture f;
	struct probe p[5];
	unsigned i, irq;

	setup(&f);
	for (i = 0; i < 5; i++)
		plug(&f, &p[i], 16);
	irq = conf(&f, 1, INT_LINE, 1);
	ck_assert_uint_eq(conf(&f, 5, INT_LINE, 1), irq);
	ck_assert_uint_ne(conf(&f, 2, INT_LINE, 1), irq);
	for (i = 0; i < 5; i++)
		ck_assert((pci_irq_mask() >> conf(&f, i + 1, INT_LINE, 1) & 1)
		    != 0);
	/* The bridge, in slot 0, has no pin. */
	ck_assert_uint_eq(pci_intx_slots(f.pci), 0x3e);
	/* High as long as one of them wants it. */
	p[0].level = p[4].level = true;
	pci_fold_intx(f.pci);
	ck_assert(f.t.line[irq]);
	ck_assert(!f.t.line[conf(&f, 2, INT_LINE, 1)]);
	p[0].level = false;
	pci_fold_intx(f.pci);
	ck_assert(f.t.line[irq]);
	p[4].level = false;
	pci_fold_intx(f.pci);
	ck_assert(!f.t.line[irq]);
	/* A guest that writes INTERRUPT_LINE moves no wire. */
	set_conf(&f, 1, INT_LINE, 1, 3);
	p[0].level = true;
	pci_fold_intx(f.pci);
	ck_assert(f.t.line[irq]);
	ck_assert(!f.t.line[3]);
	for (i = 0; i < 5; i++)
		pci_remove(&p[i].pdev);
	teardown(&f);
}
END_TEST

START_TEST(intx_disable_and_status)
{
	struct fixture f;
	struct probe p;
	unsigned irq;

	setup(&f);
	plug(&f, &p, 16);
	irq = conf(&f, 1, INT_LINE, 1);
	ck_assert_uint_eq(conf(&f, 1, STATUS, 2) & 8, 0);
	p.level = true;
	pci_fold_intx(f.pci);
	ck_assert_uint_eq(conf(&f, 1, STATUS, 2) & 8, 8);
	/* At once, with no fold; the status bit stays. */
	set_conf(&f, 1, COMMAND, 2, 0x405);
	ck_assert(!f.t.line[irq]);
	ck_assert_uint_eq(conf(&f, 1, STATUS, 2) & 8, 8);
	set_conf(&f, 1, COMMAND, 2, 0x005);
	ck_assert(f.t.line[irq]);
	pci_remove(&p.pdev);
	teardown(&f);
}
END_TEST

START_TEST(memory_bar)
{
	struct fixture f;
	struct probe p;
	uint32_t bar;

	setup(&f);
	probe_init(&p, 64);
	pci_add_mem_bar(&p.pdev, 1, 0x2000, &probe_mmio, &p);
	ck_assert_int_eq(pci_add(f.pci, &p.pdev), 0);
	p.value = 0x42;
	bar = conf(&f, 1, BAR0 + 4, 4);
	ck_assert_uint_ge(bar, PCI_MEM_BASE);
	ck_assert_uint_eq(bar % 0x2000, 0);
	ck_assert_uint_eq(conf(&f, 1, COMMAND, 2), 7);
	ck_assert_uint_eq(mem(&f, bar, 1), 0x42);
	ck_assert_uint_eq(mem(&f, bar + 0x1ffc, 4), 0x42);
	ck_assert_uint_eq(p.last_off, 0x1ffc);
	ck_assert_uint_eq(mem(&f, bar + 0x2000, 1), 0xff);
	ck_assert_uint_eq(mem(&f, bar - 1, 1), 0xff);
	/* Sized and moved, its low bits zero. */
	set_conf(&f, 1, BAR0 + 4, 4, UINT32_MAX);
	ck_assert_uint_eq(conf(&f, 1, BAR0 + 4, 4), 0xffffe000);
	ck_assert_uint_eq(mem(&f, bar, 1), 0xff);
	set_conf(&f, 1, BAR0 + 4, 4, 0xd0000000);
	ck_assert_uint_eq(mem(&f, 0xd0000000, 4), 0x42);
	/* Each kind has its own switch. */
	set_conf(&f, 1, COMMAND, 2, 1);
	ck_assert_uint_eq(mem(&f, 0xd0000000, 1), 0xff);
	set_conf(&f, 1, COMMAND, 2, 2);
	ck_assert_uint_eq(mem(&f, 0xd0000000, 1), 0x42);
	ck_assert_uint_eq(p.pdev.bar[0].base, 0);
	/* Not where configuration space is. */
	set_conf(&f, 1, BAR0 + 4, 4, PCI_ECAM_BASE);
	ck_assert_uint_eq(mem(&f, ecam(1, 0), 4), 0x56781234);
	ck_assert_uint_eq(p.pdev.bar[1].base, 0);
	pci_ops.reset(f.pci);
	ck_assert_uint_eq(mem(&f, bar, 1), 0x42);
	pci_remove(&p.pdev);
	ck_assert_uint_eq(mem(&f, bar, 1), 0xff);
	teardown(&f);
}
END_TEST

START_TEST(window_in_memory)
{
	struct fixture f;
	struct probe p;
	uint64_t val = 0x0c000005;

	setup(&f);
	plug(&f, &p, 64);
	ck_assert_uint_eq(mem(&f, ecam(1, 0), 4), 0x56781234);
	ck_assert_uint_eq(mem(&f, ecam(1, 2), 2), 0x5678);
	ck_assert_uint_eq(mem(&f, ecam(1, 0), 8), 0x0000000556781234);
	ck_assert_uint_eq(mem(&f, ecam(0, 0), 4), conf(&f, 0, 0, 4));
	/* Absent, or with nothing in its extended space. */
	ck_assert_uint_eq(mem(&f, ecam(2, 0), 8), UINT64_MAX);
	ck_assert_uint_eq(mem(&f, ecam(2, 0xffc), 4), UINT32_MAX);
	ck_assert_uint_eq(mem(&f, ecam(FN(0, 1), 0), 4), UINT32_MAX);
	ck_assert_uint_eq(mem(&f, ecam(FN(1, 1), 0), 4), UINT32_MAX);
	ck_assert_uint_eq(mem(&f, ecam(1, 0x100), 4), 0);
	ck_assert_uint_eq(mem(&f, ecam(1, 0xff8), 8), 0);
	bus_write(f.bus, ecam(1, 0x100), &val, 4);
	bus_write(f.bus, ecam(2, COMMAND), &val, 4);
	/* A write does what it does by ports, and has no memory of them. */
	select_reg(&f, 1, COMMAND);
	val = 4;
	bus_write(f.bus, ecam(1, COMMAND), &val, 2);
	ck_assert_uint_eq(bus_in(f.bus, DATA, 2), 4);
	ck_assert_uint_eq(p.pdev.bar[0].base, 0);
	val = 0x0000900100000000;
	bus_write(f.bus, ecam(1, 0x0c), &val, 8);
	val = 5;
	bus_write(f.bus, ecam(1, COMMAND), &val, 1);
	ck_assert_uint_eq(p.pdev.bar[0].base, 0x9000);
	pci_remove(&p.pdev);
	teardown(&f);
}
END_TEST

START_TEST(devices_hear_of_their_capabilities)
{
	struct fixture f;
	struct probe p;

	setup(&f);
	plug(&f, &p, 64);
	set_conf(&f, 1, 0x3c, 4, 0);
	ck_assert_uint_eq(p.caps_written, 0);
	set_conf(&f, 1, 0x40, 1, 0);
	ck_assert_uint_eq(p.caps_written, 1);
	set_conf(&f, 1, 0xfc, 4, 0);
	ck_assert_uint_eq(p.caps_written, 2);
	pci_ops.reset(f.pci);
	ck_assert_uint_eq(p.caps_written, 3);
	pci_remove(&p.pdev);
	teardown(&f);
}
END_TEST

START_TEST(ports_end)
{
	struct probe big, p;
	struct fixture f;

	setup(&f);
	/* What is left of the window after one half of it. */
	plug(&f, &big, 0x8000);
	probe_init(&p, 0x8000);
	ck_assert_int_eq(pci_add(f.pci, &p.pdev), -ENOSPC);
	pci_remove(&big.pdev);
	teardown(&f);
}
END_TEST

START_TEST(memory_ends)
{
	struct probe big, p;
	struct fixture f;

	setup(&f);
	probe_init(&big, 4);
	pci_add_mem_bar(&big.pdev, 1, 0x10000000, &probe_mmio, &big);
	ck_assert_int_eq(pci_add(f.pci, &big.pdev), 0);
	probe_init(&p, 4);
	pci_add_mem_bar(&p.pdev, 1, 0x20000000, &probe_mmio, &p);
	ck_assert_int_eq(pci_add(f.pci, &p.pdev), -ENOSPC);
	probe_init(&p, 4);
	pci_add_mem_bar(&p.pdev, 1, 0x10000000, &probe_mmio, &p);
	ck_assert_int_eq(pci_add(f.pci, &p.pdev), 0);
	pci_remove(&p.pdev);
	pci_remove(&big.pdev);
	teardown(&f);
}
END_TEST

/*
 * The last slots have functions, each at the next pin of its slot; in the
 * order of addresses stand devices as they were added.
 */
START_TEST(functions_of_last_slots)
{
	static struct probe p[PCI_NDEVS];
	struct fixture f;
	unsigned i, at, slot, n, found = 0;

	setup(&f);
	for (i = 1; i <= PCI_NSINGLE; i++)
		plug(&f, &p[i], 64);
	ck_assert_uint_eq(conf(&f, 24, 0x0e, 1), 0);
	for (; i < PCI_NDEVS; i++)
		plug(&f, &p[i], 64);
	probe_init(&p[0], 64);
	ck_assert_int_eq(pci_add(f.pci, &p[0].pdev), -ENOSPC);
	for (i = 1; i < PCI_NDEVS; i++)
		p[i].value = i;
	for (i = 1; i < 256; i++) {
		slot = i / 8;
		n = i % 8;
		at = FN(slot, n);
		if (n != 0 && slot < 24) {
			ck_assert_uint_eq(conf(&f, at, 0, 4), UINT32_MAX);
			ck_assert_uint_eq(mem(&f, ecam(at, 0), 4), UINT32_MAX);
			continue;
		}
		ck_assert_uint_eq(conf(&f, at, 0, 4), 0x56781234);
		ck_assert_uint_eq(mem(&f, ecam(at, 0), 4), 0x56781234);
		ck_assert_uint_eq(conf(&f, at, 0x0e, 1),
		    slot >= 24 && n == 0 ? 0x80 : 0);
		ck_assert_uint_eq(conf(&f, at, 0x3d, 1), n % 4 + 1);
		ck_assert_uint_eq(conf(&f, at, INT_LINE, 1),
		    pci_irq(slot, n % 4));
		ck_assert_uint_eq(bus_in(f.bus, (uint16_t)
		    (conf(&f, at, BAR0, 4) & ~3u), 1), ++found);
	}
	ck_assert_uint_eq(found, PCI_NDEVS - 1);
	/* What is found after a reset is the same. */
	pci_ops.reset(f.pci);
	ck_assert_uint_eq(conf(&f, 31, 0x0e, 1), 0x80);
	for (i = 1; i < PCI_NDEVS; i++)
		pci_remove(&p[i].pdev);
	teardown(&f);
}
END_TEST

START_TEST(reset_puts_bars_back)
{
	struct fixture f;
	struct probe p;
	uint32_t bar;

	setup(&f);
	plug(&f, &p, 64);
	p.value = 0x42;
	bar = conf(&f, 1, BAR0, 4) & ~3u;
	set_conf(&f, 1, BAR0, 4, 0x8000);
	set_conf(&f, 1, INT_LINE, 1, 1);
	set_conf(&f, 1, COMMAND, 2, 0);
	pci_ops.reset(f.pci);
	ck_assert_uint_eq(bus_in(f.bus, ADDRESS, 4), 0);
	ck_assert_uint_eq(bus_in(f.bus, (uint16_t)bar, 1), 0x42);
	ck_assert_uint_eq(bus_in(f.bus, 0x8000, 1), 0xff);
	ck_assert_uint_ne(conf(&f, 1, INT_LINE, 1), 1);
	pci_remove(&p.pdev);
	teardown(&f);
}
END_TEST

static void
use(void *dev)
{
	pci_fold_intx(dev);
}

START_TEST(state_travels)
{
	struct fixture f, g;
	struct probe p, q, extra;

	setup(&f);
	setup(&g);
	plug(&f, &p, 64);
	plug(&g, &q, 64);
	p.level = true;		/* lives in the device, not here */
	q.value = 0x24;
	set_conf(&f, 1, BAR0, 4, 0x8000);
	set_conf(&f, 1, INT_LINE, 1, 0x0c);
	testhost_round_trip(&pci_ops, f.pci, g.pci);
	ck_assert_uint_eq(q.caps_written, 1);
	ck_assert_uint_eq(bus_in(g.bus, 0x8000, 1), 0x24);
	ck_assert_uint_eq(conf(&g, 1, INT_LINE, 1), 0x0c);
	testhost_corrupt(&pci_ops, f.pci, g.pci, use);
	/* A machine with another set of devices is another machine. */
	plug(&g, &extra, 64);
	{
		struct buf b;

		testhost_save(&pci_ops, f.pci, &b);
		ck_assert_int_eq(testhost_load(&pci_ops, g.pci, &b), -EINVAL);
		buf_free(&b);
	}
	pci_remove(&extra.pdev);
	pci_remove(&p.pdev);
	pci_remove(&q.pdev);
	teardown(&f);
	teardown(&g);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("pci");

	tcase_add_test(tc, address_register);
	tcase_add_test(tc, reset_register);
	tcase_add_test(tc, pins_have_lines);
	tcase_add_test(tc, bridge_and_absent_devices);
	tcase_add_test(tc, header_says_who_it_is);
	tcase_add_test(tc, bar_is_sized_and_moved);
	tcase_add_test(tc, bars_do_not_overlap);
	tcase_add_test(tc, capabilities_are_linked);
	tcase_add_test(tc, window_belongs_to_the_device);
	tcase_add_test(tc, lines_are_shared);
	tcase_add_test(tc, intx_disable_and_status);
	tcase_add_test(tc, memory_bar);
	tcase_add_test(tc, window_in_memory);
	tcase_add_test(tc, devices_hear_of_their_capabilities);
	tcase_add_test(tc, ports_end);
	tcase_add_test(tc, memory_ends);
	tcase_add_test(tc, functions_of_last_slots);
	tcase_add_test(tc, reset_puts_bars_back);
	tcase_add_test(tc, state_travels);
	return test_main("pci", tc);
}
