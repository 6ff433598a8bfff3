/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: MSI-X of a device.
 *
 * The input is a list of steps; the low three bits of a step's first byte say
 * what it does: 0 and 1 write to the BAR, 2 reads there, 3 writes the
 * capability's control word, 4 and 5 signal a vector, 6 forgets what waits or
 * resets, 7 saves and loads, with bit 3 something else than was saved.  After
 * each of them a vector is bound as the switches say, with the message it had
 * then, and each signal was sent or is a pending bit.
 */
#include "fuzz.h"

#include <errno.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/event.h"
#include "devices/bus.h"
#include "devices/msix.h"
#include "devices/state.h"

#define VECTORS		35
#define SLOT		7	/* the first of the device's */
#define CONTROL		0x42
#define PBA		0x800

struct vector {
	int		fd;		/* of the binding, or -1 */
	uint64_t	addr;
	uint32_t	data;
	bool		waits;		/* was signalled, not sent */
	bool		was_open;
	bool		refused;	/* when it was opened */
};

struct rig {
	struct fuzz_input	 in;
	struct dev_host		 host;
	struct bus		*bus;
	struct pci		*pci;
	struct pci_dev		 pdev;
	struct msix		*x;
	uint32_t		 bar;
	struct vector		 vector[VECTORS];
};

static void
rig_set_irq(void *cookie, unsigned irq, bool level)
{
	(void)cookie;
	FUZZ_CHECK(irq < 16 && !level);
}

static int
rig_slots(void *cookie, unsigned n)
{
	(void)cookie;
	FUZZ_CHECK(n == VECTORS);
	return SLOT;
}

static int
rig_event(void *cookie, unsigned slot, int fd, uint64_t addr, uint32_t data,
    bool on)
{
	struct rig *r = cookie;
	struct vector *v;

	FUZZ_CHECK(slot >= SLOT && slot < SLOT + VECTORS && fd >= 0);
	v = &r->vector[slot - SLOT];
	if (!on) {
		FUZZ_CHECK(v->fd == fd);
		v->fd = -1;
		return 0;
	}
	FUZZ_CHECK(v->fd == -1);
	v->refused = addr >> 20 != 0xfee;
	if (v->refused)
		return -EINVAL;
	v->fd = fd;
	v->addr = addr;
	v->data = data;
	event_clear(fd);
	v->waits = false;
	return 0;
}

static void
rig_caps_written(void *cookie)
{
	struct rig *r = cookie;

	msix_update(r->x);
}

static const struct pci_dev_ops rig_ops = {
	.caps_written = rig_caps_written,
};

static void
rig_init(struct rig *r)
{
	const struct pci_ident id = { .vendor = 0x1af4, .device = 0x1042 };
	unsigned i;

	r->host.cookie = r;
	r->host.set_irq = rig_set_irq;
	r->host.msi_event = rig_event;
	r->host.msi_slots = rig_slots;
	r->bus = bus_create();
	r->pci = pci_create(&r->host, r->bus);
	for (i = 0; i < VECTORS; i++)
		r->vector[i].fd = -1;
	pci_dev_init(&r->pdev, &id, &rig_ops, r);
	r->x = msix_create(&r->host, &r->pdev, 1, VECTORS);
	FUZZ_CHECK(r->x != NULL && pci_add(r->pci, &r->pdev) == 0);
	r->bar = r->pdev.bar[1].base;
}

static void
rig_fini(struct rig *r)
{
	unsigned i;

	pci_remove(&r->pdev);
	msix_destroy(r->x);
	for (i = 0; i < VECTORS; i++)
		FUZZ_CHECK(r->vector[i].fd == -1);
	pci_destroy(r->pci);
	bus_destroy(r->bus);
}

static uint64_t
bar_read(struct rig *r, uint32_t off, unsigned size)
{
	uint64_t val = 0;

	bus_read(r->bus, r->bar + off, &val, size);
	return val;
}

static uint16_t
control(struct rig *r)
{
	bus_out(r->bus, 0xcf8, 4, 0x80000800u | (CONTROL & 0xfc));
	return (uint16_t)bus_in(r->bus, 0xcfc + (CONTROL & 3), 2);
}

/* `used`: it has had a signal, and so an event. */
static void
check_vector(struct rig *r, unsigned i, bool all_open)
{
	struct vector *v = &r->vector[i];
	uint64_t pba = bar_read(r, PBA + i / 64 * 8, 8);
	uint32_t word = (uint32_t)bar_read(r, 16 * i + 12, 4);
	bool open = all_open && (word & 1) == 0;

	FUZZ_CHECK((word & ~1u) == 0);
	FUZZ_CHECK((bar_read(r, 16 * i, 4) & 3) == 0);
	FUZZ_CHECK(open || v->fd == -1);
	FUZZ_CHECK((pba >> i % 64 & 1) == v->waits);
	/* Opened just now: with the message of now. */
	if (v->fd != -1 && !v->was_open) {
		FUZZ_CHECK(v->addr == bar_read(r, 16 * i, 8));
		FUZZ_CHECK(v->data == bar_read(r, 16 * i + 8, 4));
	}
	v->was_open = v->fd != -1;
}

static void
check_all(struct rig *r)
{
	uint16_t c = control(r);
	unsigned i;

	FUZZ_CHECK((c & 0x3fff) == VECTORS - 1);
	FUZZ_CHECK(msix_enabled(r->x) == (c >> 15));
	for (i = 0; i < VECTORS; i++)
		check_vector(r, i, c >> 14 == 2);
	FUZZ_CHECK(bar_read(r, PBA, 8) >> 35 == 0);
}

static void
signal_vector(struct rig *r, uint8_t op)
{
	unsigned i = fuzz_u8(&r->in) % (VECTORS + 2);
	int fd = msix_event(r->x, i);
	bool open;

	FUZZ_CHECK((fd >= 0) == (i < VECTORS));
	if (fd < 0 || (op & 8) != 0)
		return;
	open = control(r) >> 14 == 2 && (bar_read(r, 16 * i + 12, 4) & 1) == 0;
	event_signal(fd);
	FUZZ_CHECK((r->vector[i].fd == fd) ==
	    (open && !r->vector[i].refused));
	if (r->vector[i].fd == -1)
		r->vector[i].waits = true;
	else
		event_clear(fd);
}

static void
forget(struct rig *r, uint8_t op)
{
	unsigned i;

	if ((op & 8) != 0) {
		pci_ops.reset(r->pci);
		msix_reset(r->x);
		for (i = 0; i < VECTORS; i++)
			FUZZ_CHECK(bar_read(r, 16 * i, 8) == 0 &&
			    bar_read(r, 16 * i + 8, 8) == 1ull << 32);
		r->bar = r->pdev.bar[1].base;
	} else {
		msix_clear(r->x);
	}
	for (i = 0; i < VECTORS; i++)
		r->vector[i].waits = false;
}

static void
save(struct rig *r, struct buf *out)
{
	struct state_writer w = { out };

	buf_init(out, 1 << 16);
	FUZZ_CHECK(pci_ops.save(r->pci, &w) == 0);
	FUZZ_CHECK(msix_save(r->x, &w) == 0);
}

/* The spare machine's model: what waits there is what its bits say. */
static void
check_loaded(struct rig *other)
{
	unsigned i;

	other->bar = other->pdev.bar[1].base;
	if (other->bar == 0)
		return;
	for (i = 0; i < VECTORS; i++)
		other->vector[i].waits =
		    bar_read(other, PBA + i / 64 * 8, 8) >> i % 64 & 1;
	check_all(other);
}

static void
save_and_load(struct rig *r, bool hostile)
{
	unsigned n = hostile ? fuzz_u8(&r->in) % 8 : 0;
	struct rig other = { 0 };
	struct buf saved, again;
	struct state_reader reader;
	uint16_t at;

	save(r, &saved);
	while (n-- > 0) {
		at = fuzz_u16(&r->in);
		buf_head(&saved)[at % saved.len] ^= (char)fuzz_u8(&r->in);
	}
	rig_init(&other);
	reader = (struct state_reader){
		(const uint8_t *)buf_head(&saved), saved.len
	};
	if (pci_ops.load(other.pci, &reader) == 0 &&
	    msix_load(other.x, &reader) == 0) {
		FUZZ_CHECK(reader.left == 0);
		save(&other, &again);
		/* What waited with a good message and no mask has gone. */
		FUZZ_CHECK(saved.len == again.len);
		check_loaded(&other);
		buf_free(&again);
	} else {
		FUZZ_CHECK(hostile);
	}
	rig_fini(&other);
	buf_free(&saved);
}

/* Anywhere, or in the table, of which part is an address that is good. */
static void
write_bar(struct rig *r, uint8_t op)
{
	unsigned size = 1u << (op >> 3 & 3);
	uint32_t off = fuzz_u16(&r->in) & 0xfff;
	uint64_t val = fuzz_u32(&r->in);

	if ((op & 1) != 0) {
		off = off % (16 * VECTORS) & ~7u;
		size = (op & 8) != 0 ? 8 : 4;
		if ((op & 16) != 0)
			off |= 12, size = 4;
		else if ((op & 32) != 0)
			val = 0xfee00000 | (val & 0xfffff);
	}
	bus_write(r->bus, r->bar + off, &val, size);
}

static void
step(struct rig *r)
{
	uint8_t op = fuzz_u8(&r->in);

	switch (op & 7) {
	case 0:
	case 1:
		write_bar(r, op);
		break;
	case 2:
		(void)bar_read(r, fuzz_u16(&r->in) & 0xfff,
		    1u << (op >> 3 & 3));
		break;
	case 3:
		(void)control(r);
		bus_out(r->bus, 0xcfc + (CONTROL & 3), 2,
		    (uint32_t)(op & 0x18) << 11);
		break;
	case 4:
	case 5:
		signal_vector(r, op);
		break;
	case 6:
		forget(r, op);
		break;
	case 7:
		save_and_load(r, (op & 8) != 0);
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
