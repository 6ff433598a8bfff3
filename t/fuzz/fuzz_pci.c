/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: PCI configuration.
 *
 * The input is a list of steps; the low two bits of a step's first byte say
 * what it does: 0 writes a register of a device, 1 accesses the ports of the
 * configuration mechanism in any way, 2 any other port or (with bit 7) memory
 * about the window of configuration space, 3 saves and loads, or (with bit 2)
 * changes what was saved, or (bit 3) resets, or (bit 4) moves an interrupt
 * pin.  After each of them the bus is what the BARs say.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "devices/bus.h"
#include "devices/pci.h"
#include "devices/state.h"

#define DEVICES		3
#define BARS		3
#define IRQS		16

struct card {
	struct pci_dev	 pdev;
	bool		 pin;
	unsigned	 window;	/* accesses */
	uint32_t	 told[BARS];	/* where its BARs are */
	struct card	**hit;		/* whose ports were accessed last */
};

struct rig {
	struct fuzz_input	 in;
	struct dev_host		 host;
	bool			 line[IRQS];
	struct bus		*bus;
	struct pci		*pci;
	struct card		 card[DEVICES];
	struct card		*hit;
	bool			 reset;		/* by the reset register */
};

/* Those from BAR_MEM up, and it is taken off, are of memory. */
#define BAR_MEM	0x80000000u
static const uint32_t bar_sizes[DEVICES][BARS] = {
	{ 0x200, 0, BAR_MEM | 0x1000 },
	{ 4, 0x1000, BAR_MEM | 0x10 },
	{ 0x100, 0x8000, BAR_MEM | 0x10000000 },
};

static void
rig_set_irq(void *cookie, unsigned irq, bool level)
{
	struct rig *r = cookie;

	FUZZ_CHECK(irq < IRQS && (pci_irq_mask() >> irq & 1) != 0);
	r->line[irq] = level;
}

static void
rig_reset(void *cookie)
{
	struct rig *r = cookie;

	r->reset = true;
}

static uint32_t
card_in(void *cookie, uint32_t off, unsigned size)
{
	struct card *c = cookie;

	FUZZ_CHECK(off + size <= 0x8000);
	*c->hit = c;
	return off;
}

static void
card_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	(void)val;
	(void)card_in(cookie, off, size);
}

static const struct pio_ops card_pio = { .in = card_in, .out = card_out };

static uint64_t
card_read(void *cookie, uint64_t off, unsigned size)
{
	struct card *c = cookie;

	FUZZ_CHECK(off + size <= 0x10000000);
	*c->hit = c;
	return off;
}

static void
card_write(void *cookie, uint64_t off, unsigned size, uint64_t val)
{
	(void)val;
	(void)card_read(cookie, off, size);
}

static const struct mmio_ops card_mmio = { card_read, card_write };

static bool
card_level(void *cookie)
{
	struct card *c = cookie;

	return c->pin;
}

static uint32_t
card_window_read(void *cookie, unsigned off, unsigned size)
{
	struct card *c = cookie;

	FUZZ_CHECK(off + size <= 4);
	return c->window;
}

static void
card_window_write(void *cookie, unsigned off, unsigned size, uint32_t val)
{
	struct card *c = cookie;

	FUZZ_CHECK(off + size <= 4);
	c->window += val;
}

static void
card_bar_moved(void *cookie, unsigned bar, uint32_t base)
{
	struct card *c = cookie;

	FUZZ_CHECK(bar < BARS && base != c->told[bar]);
	c->told[bar] = base;
}

static const struct pci_dev_ops card_ops = {
	.bar_moved = card_bar_moved,
	.intx_level = card_level,
	.window_read = card_window_read,
	.window_write = card_window_write,
};

static void
card_add_bar(struct pci_dev *d, unsigned n, uint32_t size)
{
	if ((size & BAR_MEM) != 0)
		pci_add_mem_bar(d, n, size & ~BAR_MEM, &card_mmio, d->cookie);
	else if (size != 0)
		pci_add_io_bar(d, n, size, &card_pio, d->cookie);
}

static void
rig_init(struct rig *r)
{
	static const uint8_t cap[16] = { 0 };
	const struct pci_ident id = { .vendor = 0x1af4, .device = 0x1042 };
	unsigned i, n;
	uint8_t off;

	r->host.cookie = r;
	r->host.set_irq = rig_set_irq;
	r->host.reset = rig_reset;
	r->bus = bus_create();
	r->pci = pci_create(&r->host, r->bus);
	for (i = 0; i < DEVICES; i++) {
		r->card[i].hit = &r->hit;
		pci_dev_init(&r->card[i].pdev, &id, &card_ops, &r->card[i]);
		off = pci_add_cap(&r->card[i].pdev, PCI_CAP_VENDOR, cap,
		    sizeof(cap));
		pci_set_window(&r->card[i].pdev, (uint8_t)(off + 12));
		for (n = 0; n < BARS; n++)
			card_add_bar(&r->card[i].pdev, n, bar_sizes[i][n]);
		FUZZ_CHECK(pci_add(r->pci, &r->card[i].pdev) == 0);
	}
}

static void
rig_fini(struct rig *r)
{
	unsigned i;

	for (i = 0; i < DEVICES; i++)
		pci_remove(&r->card[i].pdev);
	pci_destroy(r->pci);
	bus_destroy(r->bus);
}

static uint32_t
conf_read(struct rig *r, unsigned slot, unsigned reg)
{
	bus_out(r->bus, 0xcf8, 4, 0x80000000u | slot << 11 | reg);
	return bus_in(r->bus, 0xcfc, 4);
}

/* Does a BAR other than this one, or the mechanism, lie there? */
static bool
taken(const struct rig *r, const struct pci_bar *self, uint32_t base)
{
	uint64_t end = (uint64_t)base + self->size;
	bool mem = self->mem != NULL;
	const struct pci_bar *b;
	unsigned i, n;

	if (mem ? base < PCI_ECAM_BASE + PCI_ECAM_SIZE && end > PCI_ECAM_BASE :
	    base < 0xd00 && end > 0xcf8)
		return true;
	for (i = 0; i < DEVICES; i++)
		for (n = 0; n < BARS; n++) {
			b = &r->card[i].pdev.bar[n];
			if (b != self && b->base != 0 &&
			    (b->mem != NULL) == mem &&
			    base < b->base + b->size && end > b->base)
				return true;
		}
	return false;
}

static void
access_bar(struct rig *r, const struct pci_bar *b)
{
	uint32_t last = b->base + b->size - 1;
	uint8_t byte = 0;

	r->hit = NULL;
	if (b->mem != NULL)
		bus_write(r->bus, b->base, &byte, 1);
	else
		bus_out(r->bus, (uint16_t)b->base, 1, 0);
	FUZZ_CHECK(r->hit != NULL);
	r->hit = NULL;
	if (b->mem != NULL)
		bus_read(r->bus, last, &byte, 1);
	else
		(void)bus_in(r->bus, (uint16_t)last, 1);
}

static void
check_bar(struct rig *r, struct card *c, unsigned n)
{
	const struct pci_bar *b = &c->pdev.bar[n];
	uint32_t want = 0;

	if (b->size == 0)
		return;
	if ((conf_read(r, c->pdev.index, 0x04) &
	    (b->mem != NULL ? 2u : 1u)) != 0)
		want = conf_read(r, c->pdev.index, 0x10 + 4 * n) & ~3u;
	FUZZ_CHECK(want % b->size == 0);
	FUZZ_CHECK(c->told[n] == b->base);
	if (b->base == 0) {
		FUZZ_CHECK(want == 0 || taken(r, b, want) ||
		    (b->mem == NULL && want > 0x10000 - b->size));
		return;
	}
	FUZZ_CHECK(b->base == want && !taken(r, b, want));
	access_bar(r, b);
	FUZZ_CHECK(r->hit == c);
}

static void
check_lines(struct rig *r)
{
	unsigned i, k;
	bool high;

	pci_ops.fold(r->pci, 0);
	for (i = 0; i < IRQS; i++) {
		high = false;
		for (k = 0; k < DEVICES; k++)
			high |= r->card[k].pdev.irq == i && r->card[k].pin &&
			    (conf_read(r, r->card[k].pdev.index, 0x04) &
			    0x400) == 0;
		FUZZ_CHECK(r->line[i] == high);
	}
}

static void
check_all(struct rig *r)
{
	uint32_t address = bus_in(r->bus, 0xcf8, 4);
	unsigned i, n;

	for (i = 0; i < DEVICES; i++)
		for (n = 0; n < BARS; n++)
			check_bar(r, &r->card[i], n);
	check_lines(r);
	/* A guest finds them where the tables of ACPI say that they are. */
	FUZZ_CHECK(pci_intx_slots(r->pci) == ((1u << DEVICES) - 1) << 1);
	bus_out(r->bus, 0xcf8, 4, address);
	FUZZ_CHECK(bus_in(r->bus, 0xcf8, 4) == address);
}

/* Loads what was saved, changed or not, into another machine. */
static void
load(struct rig *r, bool hostile)
{
	unsigned n = hostile ? fuzz_u8(&r->in) % 8 : 0;
	struct rig other = { 0 };
	struct buf saved, again;
	struct state_writer w = { &saved }, w2 = { &again };
	struct state_reader reader;
	uint16_t at;

	buf_init(&saved, 1 << 16);
	buf_init(&again, 1 << 16);
	FUZZ_CHECK(pci_ops.save(r->pci, &w) == 0);
	while (n-- > 0) {
		at = fuzz_u16(&r->in);
		buf_head(&saved)[at % saved.len] ^= (char)fuzz_u8(&r->in);
	}
	rig_init(&other);
	reader = (struct state_reader){
		(const uint8_t *)buf_head(&saved), saved.len
	};
	if (pci_ops.load(other.pci, &reader) == 0) {
		FUZZ_CHECK(reader.left == 0);
		FUZZ_CHECK(pci_ops.save(other.pci, &w2) == 0);
		FUZZ_CHECK(saved.len == again.len);
		FUZZ_CHECK(memcmp(buf_head(&saved), buf_head(&again),
		    saved.len) == 0);
	} else {
		FUZZ_CHECK(hostile);
	}
	check_all(&other);
	rig_fini(&other);
	buf_free(&saved);
	buf_free(&again);
}

static void
write_register(struct rig *r)
{
	unsigned slot = fuzz_u8(&r->in) % (DEVICES + 2);
	unsigned reg = fuzz_u8(&r->in) & 0xfc;

	bus_out(r->bus, 0xcf8, 4, 0x80000000u | slot << 11 | reg);
	bus_out(r->bus, 0xcfc, 4, fuzz_u32(&r->in));
}

static void
access_port(struct rig *r, uint16_t port, uint8_t how)
{
	static const uint8_t sizes[] = { 1, 2, 4, 1 };
	unsigned size = sizes[how & 3];
	uint32_t val;

	if ((how & 4) != 0) {
		(void)bus_in(r->bus, port, size);
		return;
	}
	val = fuzz_sized(&r->in, size);
	r->reset = false;
	bus_out(r->bus, port, size, val);
	if (r->reset)
		FUZZ_CHECK(port <= PCI_RESET_PORT &&
		    port + size > PCI_RESET_PORT);
	else
		FUZZ_CHECK(port != PCI_RESET_PORT || size != 1 ||
		    (val & 0x04) == 0);
}

/* About the window: of a device, of none, or beyond its end. */
static void
access_memory(struct rig *r, uint8_t how)
{
	uint64_t gpa = PCI_ECAM_BASE + (fuzz_u32(&r->in) & 0x1fffff);
	uint64_t val = fuzz_u32(&r->in) * UINT64_C(0x100000001);
	unsigned size = 1u << (how & 3);

	if ((how & 8) != 0)
		gpa = PCI_ECAM_BASE + (gpa & 0x1f0ff);
	if ((how & 4) != 0)
		bus_read(r->bus, gpa, &val, size);
	else
		bus_write(r->bus, gpa, &val, size);
}

static void
step(struct rig *r)
{
	uint8_t op = fuzz_u8(&r->in);
	uint8_t which;

	switch (op & 3) {
	case 0:
		write_register(r);
		break;
	case 1:
		access_port(r, 0xcf8 + (op >> 2 & 7), op >> 5);
		break;
	case 2:
		if ((op & 0x80) != 0)
			access_memory(r, op >> 2);
		else
			access_port(r, fuzz_u16(&r->in), op >> 2);
		break;
	case 3:
		if ((op & 8) != 0) {
			pci_ops.reset(r->pci);
		} else if ((op & 16) != 0) {
			which = fuzz_u8(&r->in);
			r->card[which % DEVICES].pin = which >= 0x80;
		} else {
			load(r, (op & 4) != 0);
		}
		break;
	}
	check_all(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig r = { .in = { data, size } };

	rig_init(&r);
	while (r.in.left != 0)
		step(&r);
	rig_fini(&r);
	return 0;
}
