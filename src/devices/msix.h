/* SPDX-License-Identifier: ISC */
/*
 * MSI-X of one PCI device (PCI 3.0, section 6.8.2): the capability, and the
 * table and pending bits in a memory BAR of their own.
 *
 *	whoever interrupts --signals--> eventfd of a vector
 *	eventfd --message, while the vector is on--> local APIC
 *
 * A vector is an eventfd, which the backend turns into messages while nothing
 * masks the vector.  What is signalled meanwhile waits in the eventfd, which
 * so is the pending bit; nobody who interrupts needs to know.  A message is
 * read from the table when its vector is unmasked.
 *
 * On a vCPU thread under the VM's mutex; the eventfds are for any thread.
 */
#ifndef VMMD_MSIX_H
#define VMMD_MSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/dev.h"
#include "devices/pci.h"

#define MSIX_VECTORS_MAX	2048

struct msix;

/*
 * Gives a device `n` vectors, with BAR `bar`; before pci_add(), on a host that
 * has msi_event.  NULL with errno set.
 */
struct msix *msix_create(const struct dev_host *host, struct pci_dev *d,
    unsigned bar, unsigned n);

/* After the device was removed; nobody interrupts any more. */
void msix_destroy(struct msix *x);

/* Has the guest switched from its interrupt pin to vectors? */
bool msix_enabled(const struct msix *x);

/* For pci_dev_ops.caps_written. */
void msix_update(struct msix *x);

/*
 * What to signal for a vector, or -EINVAL if there is no such vector, or
 * another -errno.  An eventfd is made when it is first asked for, so that
 * vectors without a use cost none, and is there until msix_destroy().
 */
int msix_event(struct msix *x, unsigned vector);

/* Forgets what waits; reset() makes the table as it was made, too. */
void msix_clear(struct msix *x);
void msix_reset(struct msix *x);

/* As in struct dev_ops; load() after the device's configuration space. */
int msix_save(const struct msix *x, struct state_writer *w);
int msix_load(struct msix *x, struct state_reader *r);

#endif /* VMMD_MSIX_H */
