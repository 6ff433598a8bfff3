/* SPDX-License-Identifier: ISC */
/*
 * PCI bus 0 and what is plugged into it: see pci.h.
 *
 * A device has an index on the bus, 0 the bridge's, then one a device in the
 * order of their addresses.
 *
 * All of it under the VM's mutex.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/pci_local.h"
#include "devices/pci_regs.h"
#include "devices/state.h"

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

/* The saved form: the head, then one of the other a device. */
struct pci_state {
	uint32_t	address;
	uint8_t		used[12];	/* one bit an index, then zeroes */
};
_Static_assert(sizeof(struct pci_state) == 16, "no hidden padding");
_Static_assert(8 * 12 >= PCI_NDEVS, "a bit a device");

static unsigned
pci_slot(unsigned index)
{
	return index < PCI_NSINGLE ? index :
	    PCI_NSINGLE + (index - PCI_NSINGLE) / 8;
}

static unsigned
pci_function(unsigned index)
{
	return index < PCI_NSINGLE ? 0 : (index - PCI_NSINGLE) % 8;
}

struct pci_dev *
pci_find(const struct pci *pci, unsigned devfn)
{
	unsigned slot = devfn >> 3 & 0x1f, function = devfn & 7;
	unsigned index = slot;

	if (slot >= PCI_NSINGLE)
		index += (slot - PCI_NSINGLE) * 7 + function;
	else if (function != 0)
		return NULL;
	return index < pci->ndevs ? pci->dev[index] : NULL;
}

void
pci_dev_init(struct pci_dev *d, const struct pci_ident *id,
    const struct pci_dev_ops *ops, void *cookie)
{
	memset(d, 0, sizeof(*d));
	d->ops = ops;
	d->cookie = cookie;
	d->caps_end = PCI_FIRST_CAP;
	pci_put16(d->config + PCI_VENDOR, id->vendor);
	pci_put16(d->config + PCI_DEVICE, id->device);
	d->config[PCI_REVISION] = id->revision;
	d->config[PCI_CLASS] = id->class_code & 0xff;
	pci_put16(d->config + PCI_CLASS + 1, (uint16_t)(id->class_code >> 8));
	pci_put16(d->config + PCI_SUBVENDOR, id->subvendor);
	pci_put16(d->config + PCI_SUBDEVICE, id->subdevice);
	/* For the guest's eyes: no device waits for it. */
	pci_put16(d->wmask + PCI_COMMAND, PCI_COMMAND_MASTER);
	pci_set_writable(d, PCI_CACHE_LINE, 1);
	if (ops->intx_level != NULL) {
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

bool
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

	for (i = 0; i < pci->ndevs; i++) {
		d = pci->dev[i];
		if (d != NULL && pci_intx_level(d) &&
		    (pci_get16(d->config + PCI_COMMAND) &
		    PCI_COMMAND_INTX_OFF) == 0)
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

uint32_t
pci_intx_slots(const struct pci *pci)
{
	uint32_t slots = 0;
	unsigned i;

	for (i = 0; i < pci->ndevs; i++)
		if (pci->dev[i] != NULL &&
		    pci->dev[i]->config[PCI_INT_PIN] != 0)
			slots |= UINT32_C(1) << pci_slot(i);
	return slots;
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
	pci->next_mem = PCI_MEM_BASE;
	error = pci_config_attach(pci);
	if (error != 0) {
		free(pci);
		errno = -error;
		return NULL;
	}
	pci_dev_init(&pci->bridge, &pci_bridge_ident, &pci_bridge_ops, pci);
	error = pci_add(pci, &pci->bridge);
	assert(error == 0);
	return pci;
}

void
pci_destroy(struct pci *pci)
{
	if (pci == NULL)
		return;
	pci_remove(&pci->bridge);
	pci_config_detach(pci);
	free(pci);
}

/* Function 0 says that there are others (PCI 3.0, section 6.2.1). */
static void
pci_add_function(struct pci *pci, const struct pci_dev *d)
{
	struct pci_dev *first = pci->dev[d->index - pci_function(d->index)];

	first->config[PCI_HEADER_TYPE] |= PCI_HEADER_MULTI;
	first->boot[PCI_HEADER_TYPE] |= PCI_HEADER_MULTI;
}

static void
pci_wire(struct pci_dev *d)
{
	unsigned pin = pci_function(d->index) % PCI_NPINS;

	d->irq = pci_irq(pci_slot(d->index), pin);
	if (d->ops->intx_level == NULL)
		return;
	d->config[PCI_INT_PIN] = (uint8_t)(pin + 1);
	d->config[PCI_INT_LINE] = (uint8_t)d->irq;
}

int
pci_add(struct pci *pci, struct pci_dev *d)
{
	unsigned index;
	int error;

	for (index = 0; index < pci->ndevs; index++)
		if (pci->dev[index] == NULL)
			break;
	if (index == PCI_NDEVS)
		return -ENOSPC;
	error = pci_assign_bars(pci, d);
	if (error != 0)
		return error;
	d->pci = pci;
	d->index = index;
	pci_wire(d);
	d->config[PCI_COMMAND] |= d->wmask[PCI_COMMAND];
	memcpy(d->boot, d->config, sizeof(d->boot));
	pci->dev[index] = d;
	if (index == pci->ndevs)
		pci->ndevs++;
	if (pci_function(index) != 0)
		pci_add_function(pci, d);
	pci_remap(pci);
	return 0;
}

void
pci_remove(struct pci_dev *d)
{
	if (d->pci == NULL)
		return;
	pci_unmap_bars(d, true);
	d->pci->dev[d->index] = NULL;
	d->pci = NULL;
}

void
pci_caps_written(const struct pci_dev *d)
{
	if (d->ops->caps_written != NULL)
		d->ops->caps_written(d->cookie);
}

/* All of configuration space has changed. */
static void
pci_follow(struct pci *pci)
{
	unsigned i;

	pci_remap(pci);
	for (i = 0; i < pci->ndevs; i++)
		if (pci->dev[i] != NULL)
			pci_caps_written(pci->dev[i]);
}

static void
pci_reset(void *dev)
{
	struct pci *pci = dev;
	struct pci_dev *d;
	unsigned i;

	pci->address = 0;
	for (i = 0; i < pci->ndevs; i++) {
		d = pci->dev[i];
		if (d != NULL)
			memcpy(d->config, d->boot, sizeof(d->config));
	}
	pci_follow(pci);
}

static int
pci_save(const void *dev, struct state_writer *w)
{
	const struct pci *pci = dev;
	struct pci_state s = { .address = pci->address };
	unsigned i;
	int error;

	for (i = 0; i < pci->ndevs; i++)
		if (pci->dev[i] != NULL)
			s.used[i / 8] |= (uint8_t)(1u << i % 8);
	error = state_put(w, "pci", 1, &s, sizeof(s));
	for (i = 0; error == 0 && i < pci->ndevs; i++)
		if (pci->dev[i] != NULL)
			error = state_put(w, "pci-device", 1,
			    pci->dev[i]->config, PCI_CONFIG_SIZE);
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
	for (i = 0; i < 8 * sizeof(s.used); i++)
		if ((i < pci->ndevs && pci->dev[i] != NULL) !=
		    ((s.used[i / 8] >> i % 8 & 1) != 0))
			return -EINVAL;
	for (i = 0; error == 0 && i < pci->ndevs; i++)
		if (pci->dev[i] != NULL)
			error = pci_load_dev(pci->dev[i], r);
	pci->address = s.address;
	pci_follow(pci);
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
