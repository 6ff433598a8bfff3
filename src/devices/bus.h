/* SPDX-License-Identifier: ISC */
/*
 * The ports of one guest and its memory beyond RAM: which device answers
 * where.
 *
 * Used on vCPU threads under the VM's mutex.  What nobody claims reads all
 * ones and swallows writes.
 */
#ifndef VMMD_BUS_H
#define VMMD_BUS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A device's port handlers.  `off` counts from the start of its range; `size`
 * is 1, 2 or 4 and the access lies wholly inside the range.  A `bytewise`
 * device is eight bits wide: it gets a wider access as bytes, as on the ISA
 * bus, and `size` is always 1.
 */
struct pio_ops {
	uint32_t (*in)(void *cookie, uint32_t off, unsigned size);
	void	 (*out)(void *cookie, uint32_t off, unsigned size,
		    uint32_t val);
	bool	 bytewise;
};

/*
 * A device's handlers in memory, as above; `size` is 1, 2, 4 or 8, and the
 * access is aligned to it.
 */
struct mmio_ops {
	uint64_t (*read)(void *cookie, uint64_t off, unsigned size);
	void	 (*write)(void *cookie, uint64_t off, unsigned size,
		    uint64_t val);
};

struct bus;

struct bus *bus_create(void);
void bus_destroy(struct bus *b);

/*
 * Claims ports [base, base + len) for a device; 0, -EINVAL if the range leaves
 * the 64 Ki ports, -EEXIST if it meets another's, -ENOMEM.
 */
int bus_add_pio(struct bus *b, uint32_t base, uint32_t len,
    const struct pio_ops *ops, void *cookie);

/* Gives up the range that starts at `base`; nothing if there is none. */
void bus_del_pio(struct bus *b, uint32_t base);

/*
 * One access by the guest; size is 1, 2 or 4.  An access that leaves a
 * device's range is split into bytes.
 */
uint32_t bus_in(struct bus *b, uint16_t port, unsigned size);
void bus_out(struct bus *b, uint16_t port, unsigned size, uint32_t val);

/*
 * The same for guest-physical memory, below 2^52; that RAM is there is not
 * looked at.
 */
int bus_add_mmio(struct bus *b, uint64_t base, uint64_t len,
    const struct mmio_ops *ops, void *cookie);
void bus_del_mmio(struct bus *b, uint64_t base);

/*
 * One access of 1 to 8 bytes by the guest, in the guest's byte order.  It is
 * split into aligned powers of two, each within one device's range.
 */
void bus_read(struct bus *b, uint64_t gpa, void *data, unsigned len);
void bus_write(struct bus *b, uint64_t gpa, const void *data, unsigned len);

#endif /* VMMD_BUS_H */
