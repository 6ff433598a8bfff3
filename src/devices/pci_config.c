/* SPDX-License-Identifier: ISC */
/*
 * The two ways to configuration space: ports cf8 and cfc (PCI 3.0, section
 * 3.2.2.3.2), and a window in memory with 4096 bytes a function (PCI Express
 * 3.0, section 7.2.2), of which those from 256 up are empty.
 */
#include "devices/pci_local.h"
#include "devices/pci_regs.h"

#define PCI_ADDRESS_PORT	0xcf8
#define PCI_DATA_PORT		0xcfc

/* CONFIG_ADDRESS */
#define PCI_ADDRESS_ENABLE	0x80000000u
#define PCI_ADDRESS_BUS		0x00ff0000u

#define PCI_RESET_OFF		(PCI_RESET_PORT - PCI_ADDRESS_PORT)
#define PCI_RESET_CPU		0x04

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
	if (reg >= PCI_FIRST_CAP)
		pci_caps_written(d);
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

/* The device whose configuration space is selected, or NULL. */
static struct pci_dev *
pci_selected(const struct pci *pci)
{
	uint32_t a = pci->address;

	if ((a & PCI_ADDRESS_ENABLE) == 0 || (a & PCI_ADDRESS_BUS) != 0)
		return NULL;
	return pci_find(pci, a >> 8 & 0xff);
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

/* An access of eight bytes is two of four, as a bridge would make of it. */
static uint64_t
pci_ecam_read(void *cookie, uint64_t off, unsigned size)
{
	const struct pci_dev *d = pci_find(cookie, (unsigned)(off >> 12));
	unsigned reg = off & 0xfff;

	if (d == NULL)
		return UINT64_MAX;
	if (reg >= PCI_CONFIG_SIZE)
		return 0;
	if (size < 8)
		return pci_config_read(d, reg, size);
	return pci_config_read(d, reg, 4) |
	    (uint64_t)pci_config_read(d, reg + 4, 4) << 32;
}

static void
pci_ecam_write(void *cookie, uint64_t off, unsigned size, uint64_t val)
{
	struct pci_dev *d = pci_find(cookie, (unsigned)(off >> 12));
	unsigned reg = off & 0xfff;

	if (d == NULL || reg >= PCI_CONFIG_SIZE)
		return;
	pci_config_write(d, reg, size < 8 ? size : 4, (uint32_t)val);
	if (size == 8)
		pci_config_write(d, reg + 4, 4, val >> 32);
}

static const struct mmio_ops pci_ecam_ops = {
	.read = pci_ecam_read,
	.write = pci_ecam_write,
};

int
pci_config_attach(struct pci *pci)
{
	struct bus *bus = pci->bus;
	int error;

	error = bus_add_pio(bus, PCI_ADDRESS_PORT, 4, &pci_address_ops, pci);
	if (error != 0)
		return error;
	error = bus_add_pio(bus, PCI_DATA_PORT, 4, &pci_data_ops, pci);
	if (error != 0)
		goto fail_data;
	error = bus_add_mmio(bus, PCI_ECAM_BASE, PCI_ECAM_SIZE, &pci_ecam_ops,
	    pci);
	if (error != 0)
		goto fail_ecam;
	return 0;

fail_ecam:
	bus_del_pio(bus, PCI_DATA_PORT);
fail_data:
	bus_del_pio(bus, PCI_ADDRESS_PORT);
	return error;
}

void
pci_config_detach(struct pci *pci)
{
	bus_del_mmio(pci->bus, PCI_ECAM_BASE);
	bus_del_pio(pci->bus, PCI_DATA_PORT);
	bus_del_pio(pci->bus, PCI_ADDRESS_PORT);
}
