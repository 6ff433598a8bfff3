/* SPDX-License-Identifier: ISC */
/*
 * virtio over PCI (virtio 1.2, section 4.1), non-transitional, its registers
 * in one I/O BAR, interrupts by INTx or, where the host has messages, MSI-X.
 *
 *	000	common configuration
 *	040	interrupt status
 *	080	the device type's configuration
 *	100	notify: one 16-bit port a queue
 */
#ifndef VMMD_VIRTIO_PCI_H
#define VMMD_VIRTIO_PCI_H

#include "devices/dev.h"
#include "devices/pci.h"
#include "devices/virtio.h"

#define VIRTIO_PCI_COMMON	0x000
#define VIRTIO_PCI_ISR		0x040
#define VIRTIO_PCI_CONFIG	0x080
#define VIRTIO_PCI_NOTIFY	0x100

struct virtio_pci;

/* As a device of the machine; takes a struct virtio_pci. */
extern const struct dev_ops virtio_pci_ops;

/*
 * Puts the device `dev` of a type on the bus; NULL with errno set.  `dev`
 * must outlive it.
 */
struct virtio_pci *virtio_pci_create(const struct dev_host *host,
    const struct gmem *gm, struct pci *pci, const struct virtio_dev_ops *ops,
    void *dev, const char *name);

/* Any thread; the guest never ran, or virtio_pci_stop() is done. */
void virtio_pci_destroy(struct virtio_pci *vp);

/* As virtio_stop() and virtio_resume(); loop. */
void virtio_pci_stop(struct virtio_pci *vp, void (*done)(void *arg),
    void *arg);
void virtio_pci_resume(struct virtio_pci *vp);

#endif /* VMMD_VIRTIO_PCI_H */
