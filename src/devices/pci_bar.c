/* SPDX-License-Identifier: ISC */
/*
 * Base address registers: which ports and addresses a device answers at.
 *
 * The guest's word is the register and the command bit of its kind; where the
 * bus has the BAR follows after every write of either.
 */
#include <assert.h>
#include <errno.h>

#include "devices/pci_local.h"
#include "devices/pci_regs.h"

static void
pci_add_bar(struct pci_dev *d, unsigned n, const struct pci_bar *bar)
{
	assert(n < PCI_NBARS && (bar->size & (bar->size - 1)) == 0);
	d->bar[n] = *bar;
	pci_put32(d->config + PCI_BAR0 + 4 * n,
	    bar->mem != NULL ? 0 : PCI_BAR_IO);
	pci_put32(d->wmask + PCI_BAR0 + 4 * n, ~(bar->size - 1));
	d->wmask[PCI_COMMAND] |=
	    bar->mem != NULL ? PCI_COMMAND_MEM : PCI_COMMAND_IO;
}

void
pci_add_io_bar(struct pci_dev *d, unsigned n, uint32_t size,
    const struct pio_ops *ops, void *cookie)
{
	const struct pci_bar bar = {
		.size = size, .io = ops, .cookie = cookie,
	};

	assert(size >= 4);
	pci_add_bar(d, n, &bar);
}

void
pci_add_mem_bar(struct pci_dev *d, unsigned n, uint32_t size,
    const struct mmio_ops *ops, void *cookie)
{
	const struct pci_bar bar = {
		.size = size, .mem = ops, .cookie = cookie,
	};

	assert(size >= 16);
	pci_add_bar(d, n, &bar);
}

/* Room for `size` bytes, from *next on; false if the window ends before. */
static bool
pci_take(uint32_t *next, uint32_t end, uint32_t size, uint32_t *base)
{
	uint32_t at = (*next + size - 1) & ~(size - 1);

	if (at < *next || at > end || size > end - at)
		return false;
	*base = at;
	*next = at + size;
	return true;
}

int
pci_assign_bars(struct pci *pci, struct pci_dev *d)
{
	uint32_t io = pci->next_io, mem = pci->next_mem;
	const struct pci_bar *bar;
	uint32_t base;
	unsigned n;

	for (n = 0; n < PCI_NBARS; n++) {
		bar = &d->bar[n];
		if (bar->size == 0)
			continue;
		if (!(bar->mem != NULL ?
		    pci_take(&mem, PCI_MEM_END, bar->size, &base) :
		    pci_take(&io, PCI_IO_END, bar->size, &base)))
			return -ENOSPC;
		if (bar->mem == NULL)
			base |= PCI_BAR_IO;
		pci_put32(d->config + PCI_BAR0 + 4 * n, base);
	}
	pci->next_io = io;
	pci->next_mem = mem;
	return 0;
}

/* Where the guest wants a BAR to answer; 0: nowhere. */
static uint32_t
pci_bar_wanted(const struct pci_dev *d, unsigned n)
{
	const struct pci_bar *bar = &d->bar[n];
	uint16_t on = bar->mem != NULL ? PCI_COMMAND_MEM : PCI_COMMAND_IO;

	if (bar->size == 0 ||
	    (pci_get16(d->config + PCI_COMMAND) & on) == 0)
		return 0;
	return pci_get32(d->config + PCI_BAR0 + 4 * n) & ~(bar->size - 1);
}

static void
pci_bar_moved(struct pci_dev *d, unsigned n, uint32_t base)
{
	d->bar[n].base = base;
	if (d->ops->bar_moved != NULL)
		d->ops->bar_moved(d->cookie, n, base);
}

void
pci_unmap_bars(struct pci_dev *d, bool all)
{
	struct bus *bus = d->pci->bus;
	struct pci_bar *bar;
	unsigned n;

	for (n = 0; n < PCI_NBARS; n++) {
		bar = &d->bar[n];
		if (bar->base == 0 ||
		    (!all && bar->base == pci_bar_wanted(d, n)))
			continue;
		if (bar->mem != NULL)
			bus_del_mmio(bus, bar->base);
		else
			bus_del_pio(bus, bar->base);
		pci_bar_moved(d, n, 0);
	}
}

static int
pci_map_bar(struct pci_dev *d, const struct pci_bar *bar, uint32_t base)
{
	struct bus *bus = d->pci->bus;

	return bar->mem != NULL ?
	    bus_add_mmio(bus, base, bar->size, bar->mem, bar->cookie) :
	    bus_add_pio(bus, base, bar->size, bar->io, bar->cookie);
}

/* One that meets another's place, or lies beyond the last, stays off. */
static void
pci_map_bars(struct pci_dev *d)
{
	const struct pci_bar *bar;
	uint32_t base;
	unsigned n;

	for (n = 0; n < PCI_NBARS; n++) {
		bar = &d->bar[n];
		base = pci_bar_wanted(d, n);
		if (bar->base == 0 && base != 0 &&
		    pci_map_bar(d, bar, base) == 0)
			pci_bar_moved(d, n, base);
	}
}

void
pci_remap(struct pci *pci)
{
	unsigned i;

	for (i = 0; i < pci->ndevs; i++)
		if (pci->dev[i] != NULL)
			pci_unmap_bars(pci->dev[i], false);
	for (i = 0; i < pci->ndevs; i++)
		if (pci->dev[i] != NULL)
			pci_map_bars(pci->dev[i]);
}
