/* SPDX-License-Identifier: ISC */
/*
 * PCI bus 0: see pci.h.
 *
 * All of it under the VM's mutex.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/pci.h"
#include "devices/state.h"

#define PCI_ADDRESS_PORT	0xcf8
#define PCI_DATA_PORT		0xcfc

/* CONFIG_ADDRESS (PCI 3.0, section 3.2.2.3.2) */
#define PCI_ADDRESS_ENABLE	0x80000000u
#define PCI_ADDRESS_WRITABLE	0x80fffffcu

#define PCI_RESET_OFF		(PCI_RESET_PORT - PCI_ADDRESS_PORT)
#define PCI_RESET_CPU		0x04

/* The type 0 header (section 6.1). */
#define PCI_VENDOR		0x00
#define PCI_DEVICE		0x02
#define PCI_COMMAND		0x04
#define  PCI_COMMAND_IO			0x0001
#define  PCI_COMMAND_MASTER		0x0004
#define  PCI_COMMAND_INTX_OFF		0x0400
#define PCI_STATUS		0x06
#define  PCI_STATUS_INTERRUPT		0x0008
#define  PCI_STATUS_CAPS		0x0010
#define PCI_REVISION		0x08
#define PCI_CLASS		0x09
#define PCI_CACHE_LINE		0x0c
#define PCI_BAR0		0x10
#define  PCI_BAR_IO			0x1
#define PCI_SUBVENDOR		0x2c
#define PCI_SUBDEVICE		0x2e
#define PCI_CAPS		0x34
#define PCI_INT_LINE		0x3c
#define PCI_INT_PIN		0x3d
#define PCI_FIRST_CAP		0x40

/*
 * The host bridge needs an identity that no guest has a workaround for, as
 * they have for most real chips: that of the generic virtual host bridge.
 */
#define PCI_BRIDGE_VENDOR	0x1b36
#define PCI_BRIDGE_DEVICE	0x0008
#define PCI_BRIDGE_CLASS	0x060000

/* PIC inputs that no ISA device of ours wants; 9 is ACPI's. */
static const uint8_t pci_irqs[] = { 14, 10, 11, 5 };
#define PCI_NIRQS	(sizeof(pci_irqs) / sizeof(pci_irqs[0]))

struct pci {
	const struct dev_host	*host;
	struct bus		*bus;
	uint32_t		 address;	/* CONFIG_ADDRESS */
	uint32_t		 next_io;	/* first unassigned port */
	struct pci_dev		*slot[PCI_NSLOTS];
	struct pci_dev		 bridge;
};

/* The saved form: the head, then one of the other a device. */
struct pci_state {
	uint32_t	address;
	uint32_t	slots;		/* which are taken, one bit each */
};

static void
put16(uint8_t *p, uint16_t v)
{
	p[0] = v & 0xff;
	p[1] = v >> 8;
}

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static void
put32(uint8_t *p, uint32_t v)
{
	put16(p, v & 0xffff);
	put16(p + 2, v >> 16);
}

static uint32_t
get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

void
pci_dev_init(struct pci_dev *d, const struct pci_ident *id,
    const struct pci_dev_ops *ops, void *cookie)
{
	memset(d, 0, sizeof(*d));
	d->ops = ops;
	d->cookie = cookie;
	d->caps_end = PCI_FIRST_CAP;
	put16(d->config + PCI_VENDOR, id->vendor);
	put16(d->config + PCI_DEVICE, id->device);
	d->config[PCI_REVISION] = id->revision;
	d->config[PCI_CLASS] = id->class_code & 0xff;
	put16(d->config + PCI_CLASS + 1, (uint16_t)(id->class_code >> 8));
	put16(d->config + PCI_SUBVENDOR, id->subvendor);
	put16(d->config + PCI_SUBDEVICE, id->subdevice);
	/* For the guest's eyes: no device waits for it. */
	put16(d->wmask + PCI_COMMAND, PCI_COMMAND_MASTER);
	pci_set_writable(d, PCI_CACHE_LINE, 1);
	if (ops->intx_level != NULL) {
		d->config[PCI_INT_PIN] = 1;
		d->wmask[PCI_COMMAND + 1] |= PCI_COMMAND_INTX_OFF >> 8;
		pci_set_writable(d, PCI_INT_LINE, 1);
	}
}

void
pci_set_writable(struct pci_dev *d, uint8_t off, size_t len)
{
	assert(len <= (size_t)PCI_CONFIG_SIZE - off);
	memset(d->wmask + off, 0xff, len);
}

void
pci_set_window(struct pci_dev *d, uint8_t off)
{
	assert(off >= PCI_FIRST_CAP && off % 4 == 0);
	d->window = off;
}

uint8_t
pci_add_cap(struct pci_dev *d, uint8_t id, const void *cap, size_t len)
{
	uint8_t off = d->caps_end;

	assert(len >= 2 && len <= (size_t)PCI_CONFIG_SIZE - 4 - off);
	memcpy(d->config + off, cap, len);
	d->config[off] = id;
	d->config[off + 1] = 0;
	d->config[d->last_cap != 0 ? d->last_cap + 1 : PCI_CAPS] = off;
	d->config[PCI_STATUS] |= PCI_STATUS_CAPS;
	d->last_cap = off;
	d->caps_end = (uint8_t)((off + len + 3) & ~3u);
	return off;
}

void
pci_add_io_bar(struct pci_dev *d, unsigned n, uint32_t size,
    const struct pio_ops *ops)
{
	assert(n < PCI_NBARS && size >= 4 && (size & (size - 1)) == 0);
	d->bar[n] = (struct pci_bar){ .size = size, .ops = ops };
	put32(d->config + PCI_BAR0 + 4 * n, PCI_BAR_IO);
	put32(d->wmask + PCI_BAR0 + 4 * n, ~(size - 1));
	d->wmask[PCI_COMMAND] |= PCI_COMMAND_IO;
}

/* Where the guest wants a BAR to answer; 0: nowhere. */
static uint32_t
pci_bar_wanted(const struct pci_dev *d, unsigned n)
{
	if (d->bar[n].size == 0 ||
	    (get16(d->config + PCI_COMMAND) & PCI_COMMAND_IO) == 0)
		return 0;
	return get32(d->config + PCI_BAR0 + 4 * n) & ~(uint32_t)PCI_BAR_IO;
}

static void
pci_bar_moved(struct pci_dev *d, unsigned n, uint32_t base)
{
	d->bar[n].base = base;
	if (d->ops->bar_moved != NULL)
		d->ops->bar_moved(d->cookie, n, base);
}

/* Takes off the bus what no longer answers where it did; all: everything. */
static void
pci_unmap_bars(struct pci_dev *d, bool all)
{
	struct pci_bar *bar;
	unsigned n;

	for (n = 0; n < PCI_NBARS; n++) {
		bar = &d->bar[n];
		if (bar->base == 0 ||
		    (!all && bar->base == pci_bar_wanted(d, n)))
			continue;
		bus_del_pio(d->pci->bus, bar->base);
		pci_bar_moved(d, n, 0);
	}
}

/* One that meets another's ports, or lies beyond the last, stays off. */
static void
pci_map_bars(struct pci_dev *d)
{
	struct pci_bar *bar;
	uint32_t base;
	unsigned n;

	for (n = 0; n < PCI_NBARS; n++) {
		bar = &d->bar[n];
		base = pci_bar_wanted(d, n);
		if (bar->base == 0 && base != 0 && bus_add_pio(d->pci->bus,
		    base, bar->size, bar->ops, d->cookie) == 0)
			pci_bar_moved(d, n, base);
	}
}

/*
 * Makes the port map follow the BARs.  Every device is looked at, since one
 * that leaves may make room for another that waits.
 */
static void
pci_remap(struct pci *pci)
{
	unsigned i;

	for (i = 0; i < PCI_NSLOTS; i++)
		if (pci->slot[i] != NULL)
			pci_unmap_bars(pci->slot[i], false);
	for (i = 0; i < PCI_NSLOTS; i++)
		if (pci->slot[i] != NULL)
			pci_map_bars(pci->slot[i]);
}

static bool
pci_intx_level(const struct pci_dev *d)
{
	return d->ops->intx_level != NULL && d->ops->intx_level(d->cookie);
}

void
pci_fold_intx(struct pci *pci)
{
	const struct pci_dev *d;
	uint16_t high = 0;
	unsigned i;

	for (i = 0; i < PCI_NSLOTS; i++) {
		d = pci->slot[i];
		if (d != NULL && pci_intx_level(d) &&
		    (get16(d->config + PCI_COMMAND) & PCI_COMMAND_INTX_OFF) ==
		    0)
			high |= (uint16_t)(1u << d->irq);
	}
	for (i = 0; i < PCI_NIRQS; i++)
		pci->host->set_irq(pci->host->cookie, pci_irqs[i],
		    (high >> pci_irqs[i] & 1) != 0);
}

unsigned
pci_irq(unsigned slot, unsigned pin)
{
	return pci_irqs[(slot + pin) % PCI_NIRQS];
}

uint16_t
pci_irq_mask(void)
{
	uint16_t mask = 0;
	unsigned i;

	for (i = 0; i < PCI_NIRQS; i++)
		mask |= (uint16_t)(1u << pci_irqs[i]);
	return mask;
}

/* The device whose configuration space is selected, or NULL. */
static struct pci_dev *
pci_selected(const struct pci *pci)
{
	uint32_t a = pci->address;

	/* No other bus and no function but 0. */
	if ((a & PCI_ADDRESS_ENABLE) == 0 || (a & 0x00ff0700) != 0)
		return NULL;
	return pci->slot[a >> 11 & 0x1f];
}

static bool
pci_in_window(const struct pci_dev *d, unsigned reg)
{
	return d->window != 0 && (reg & ~3u) == d->window;
}

static uint32_t
pci_config_read(const struct pci_dev *d, unsigned reg, unsigned size)
{
	uint32_t val = 0;
	unsigned i;

	if (pci_in_window(d, reg))
		return d->ops->window_read(d->cookie, reg & 3, size);
	for (i = 0; i < size; i++) {
		uint8_t byte = d->config[reg + i];

		if (reg + i == PCI_STATUS && pci_intx_level(d))
			byte |= PCI_STATUS_INTERRUPT;
		val |= (uint32_t)byte << (8 * i);
	}
	return val;
}

static void
pci_config_write(struct pci_dev *d, unsigned reg, unsigned size,
    uint32_t val)
{
	struct pci *pci = d->pci;
	unsigned i;

	if (pci_in_window(d, reg)) {
		d->ops->window_write(d->cookie, reg & 3, size, val);
		return;
	}
	for (i = 0; i < size; i++) {
		uint8_t mask = d->wmask[reg + i];

		d->config[reg + i] = (uint8_t)((d->config[reg + i] & ~mask) |
		    (val >> (8 * i) & mask));
	}
	if ((reg & ~3u) == PCI_COMMAND || (reg >= PCI_BAR0 &&
	    reg < PCI_BAR0 + 4 * PCI_NBARS))
		pci_remap(pci);
	if ((reg & ~3u) == PCI_COMMAND)
		pci_fold_intx(pci);
}

/*
 * Only a whole dword reaches CONFIG_ADDRESS; a byte among its ports is the
 * chipset's reset register, as in Intel's (82371 data sheet, "Reset Control").
 */
static uint32_t
pci_address_in(void *cookie, uint32_t off, unsigned size)
{
	const struct pci *pci = cookie;

	(void)off;
	return size == 4 ? pci->address : UINT32_MAX;
}

static void
pci_address_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	struct pci *pci = cookie;

	if (size == 4)
		pci->address = val & PCI_ADDRESS_WRITABLE;
	else if (size == 1 && off == PCI_RESET_OFF &&
	    (val & PCI_RESET_CPU) != 0)
		pci->host->reset(pci->host->cookie);
}

static uint32_t
pci_data_in(void *cookie, uint32_t off, unsigned size)
{
	const struct pci *pci = cookie;
	const struct pci_dev *d = pci_selected(pci);

	if (d == NULL)
		return UINT32_MAX;
	return pci_config_read(d, (pci->address & 0xfc) + off, size);
}

static void
pci_data_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	struct pci *pci = cookie;
	struct pci_dev *d = pci_selected(pci);

	if (d != NULL)
		pci_config_write(d, (pci->address & 0xfc) + off, size, val);
}

static const struct pio_ops pci_address_ops = {
	.in = pci_address_in,
	.out = pci_address_out,
};

static const struct pio_ops pci_data_ops = {
	.in = pci_data_in,
	.out = pci_data_out,
};

static const struct pci_dev_ops pci_bridge_ops = { 0 };

static const struct pci_ident pci_bridge_ident = {
	.vendor = PCI_BRIDGE_VENDOR,
	.device = PCI_BRIDGE_DEVICE,
	.class_code = PCI_BRIDGE_CLASS,
};

struct pci *
pci_create(const struct dev_host *host, struct bus *bus)
{
	struct pci *pci;
	int error;

	pci = calloc(1, sizeof(*pci));
	if (pci == NULL)
		return NULL;
	pci->host = host;
	pci->bus = bus;
	pci->next_io = PCI_IO_BASE;
	error = bus_add_pio(bus, PCI_ADDRESS_PORT, 4, &pci_address_ops, pci);
	if (error != 0)
		goto fail_address;
	error = bus_add_pio(bus, PCI_DATA_PORT, 4, &pci_data_ops, pci);
	if (error != 0)
		goto fail_data;
	pci_dev_init(&pci->bridge, &pci_bridge_ident, &pci_bridge_ops, pci);
	error = pci_add(pci, &pci->bridge);
	assert(error == 0);
	return pci;

fail_data:
	bus_del_pio(bus, PCI_ADDRESS_PORT);
fail_address:
	free(pci);
	errno = -error;
	return NULL;
}

void
pci_destroy(struct pci *pci)
{
	if (pci == NULL)
		return;
	pci_remove(&pci->bridge);
	bus_del_pio(pci->bus, PCI_DATA_PORT);
	bus_del_pio(pci->bus, PCI_ADDRESS_PORT);
	free(pci);
}

/* Gives each BAR its ports; the window is given out once, ascending. */
static int
pci_assign(struct pci *pci, struct pci_dev *d)
{
	uint32_t next = pci->next_io;
	uint32_t size;
	unsigned n;

	for (n = 0; n < PCI_NBARS; n++) {
		size = d->bar[n].size;
		if (size == 0)
			continue;
		next = (next + size - 1) & ~(size - 1);
		if (next > PCI_IO_END || size > PCI_IO_END - next)
			return -ENOSPC;
		put32(d->config + PCI_BAR0 + 4 * n, next | PCI_BAR_IO);
		next += size;
	}
	pci->next_io = next;
	return 0;
}

int
pci_add(struct pci *pci, struct pci_dev *d)
{
	unsigned slot;
	int error;

	for (slot = 0; slot < PCI_NSLOTS; slot++)
		if (pci->slot[slot] == NULL)
			break;
	if (slot == PCI_NSLOTS)
		return -ENOSPC;
	error = pci_assign(pci, d);
	if (error != 0)
		return error;
	d->pci = pci;
	d->slot = slot;
	d->irq = pci_irq(slot, 0);
	if (d->config[PCI_INT_PIN] != 0)
		d->config[PCI_INT_LINE] = (uint8_t)d->irq;
	d->config[PCI_COMMAND] |= d->wmask[PCI_COMMAND];
	memcpy(d->boot, d->config, sizeof(d->boot));
	pci->slot[slot] = d;
	pci_remap(pci);
	return 0;
}

void
pci_remove(struct pci_dev *d)
{
	if (d->pci == NULL)
		return;
	pci_unmap_bars(d, true);
	d->pci->slot[d->slot] = NULL;
	d->pci = NULL;
}

static void
pci_reset(void *dev)
{
	struct pci *pci = dev;
	struct pci_dev *d;
	unsigned i;

	pci->address = 0;
	for (i = 0; i < PCI_NSLOTS; i++) {
		d = pci->slot[i];
		if (d != NULL)
			memcpy(d->config, d->boot, sizeof(d->config));
	}
	pci_remap(pci);
}

static int
pci_save(const void *dev, struct state_writer *w)
{
	const struct pci *pci = dev;
	struct pci_state s = { .address = pci->address };
	unsigned i;
	int error;

	for (i = 0; i < PCI_NSLOTS; i++)
		if (pci->slot[i] != NULL)
			s.slots |= 1u << i;
	error = state_put(w, "pci", 1, &s, sizeof(s));
	for (i = 0; error == 0 && i < PCI_NSLOTS; i++)
		if (pci->slot[i] != NULL)
			error = state_put(w, "pci-device", 1,
			    pci->slot[i]->config, PCI_CONFIG_SIZE);
	return error;
}

/* What the guest cannot write must be as it is here. */
static int
pci_load_dev(struct pci_dev *d, struct state_reader *r)
{
	uint8_t config[PCI_CONFIG_SIZE];
	unsigned i;
	int error;

	error = state_get(r, "pci-device", 1, config, sizeof(config));
	if (error != 0)
		return error;
	for (i = 0; i < sizeof(config); i++)
		if (((config[i] ^ d->config[i]) & ~d->wmask[i]) != 0)
			return -EINVAL;
	memcpy(d->config, config, sizeof(config));
	return 0;
}

static int
pci_load(void *dev, struct state_reader *r)
{
	struct pci *pci = dev;
	struct pci_state s;
	unsigned i;
	int error;

	error = state_get(r, "pci", 1, &s, sizeof(s));
	if (error != 0)
		return error;
	if ((s.address & ~PCI_ADDRESS_WRITABLE) != 0)
		return -EINVAL;
	for (i = 0; i < PCI_NSLOTS; i++)
		if ((pci->slot[i] != NULL) != ((s.slots >> i & 1) != 0))
			return -EINVAL;
	for (i = 0; error == 0 && i < PCI_NSLOTS; i++)
		if (pci->slot[i] != NULL)
			error = pci_load_dev(pci->slot[i], r);
	pci->address = s.address;
	pci_remap(pci);
	return error;
}

static uint64_t
pci_fold(void *dev, uint64_t now)
{
	(void)now;
	pci_fold_intx(dev);
	return DEV_NO_DEADLINE;
}

const struct dev_ops pci_ops = {
	.name = "pci",
	.reset = pci_reset,
	.save = pci_save,
	.load = pci_load,
	.fold = pci_fold,
};
