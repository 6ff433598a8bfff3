/* SPDX-License-Identifier: ISC */
/*
 * The registers of a PCI function's type 0 header (PCI 3.0, section 6.1), and
 * how its bytes are read and written: little-endian.
 */
#ifndef VMMD_PCI_REGS_H
#define VMMD_PCI_REGS_H

#include <stdint.h>

#define PCI_VENDOR		0x00
#define PCI_DEVICE		0x02
#define PCI_COMMAND		0x04
#define  PCI_COMMAND_IO			0x0001
#define  PCI_COMMAND_MEM		0x0002
#define  PCI_COMMAND_MASTER		0x0004
#define  PCI_COMMAND_INTX_OFF		0x0400
#define PCI_STATUS		0x06
#define  PCI_STATUS_INTERRUPT		0x0008
#define  PCI_STATUS_CAPS		0x0010
#define PCI_REVISION		0x08
#define PCI_CLASS		0x09
#define PCI_CACHE_LINE		0x0c
#define PCI_HEADER_TYPE		0x0e
#define  PCI_HEADER_MULTI		0x80
#define PCI_BAR0		0x10
#define  PCI_BAR_IO			0x1
#define PCI_SUBVENDOR		0x2c
#define PCI_SUBDEVICE		0x2e
#define PCI_CAPS		0x34
#define PCI_INT_LINE		0x3c
#define PCI_INT_PIN		0x3d
#define PCI_FIRST_CAP		0x40

static inline void
pci_put16(uint8_t *p, uint16_t v)
{
	p[0] = v & 0xff;
	p[1] = v >> 8;
}

static inline uint16_t
pci_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline void
pci_put32(uint8_t *p, uint32_t v)
{
	pci_put16(p, v & 0xffff);
	pci_put16(p + 2, v >> 16);
}

static inline uint32_t
pci_get32(const uint8_t *p)
{
	return pci_get16(p) | (uint32_t)pci_get16(p + 2) << 16;
}

#endif /* VMMD_PCI_REGS_H */
