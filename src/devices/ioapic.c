/* SPDX-License-Identifier: ISC */
/*
 * The I/O APIC.
 *
 * A level-triggered pin sends its message when its line is high and remote IRR
 * is clear, and sets that; the end of the interrupt clears it, so a line that
 * stays high costs one message for each end the guest writes.  An edge is sent
 * at once, or lost if its pin is masked.  Messages are accepted at once: the
 * delivery status reads idle.
 *
 * What has no vector (NMI, INIT, SMI, ExtINT) is sent as an edge whatever the
 * entry says, since it has no end.  Polarity is kept and means nothing: lines
 * are logical levels here.
 */
#include "devices/ioapic.h"

#include <errno.h>
#include <string.h>

#include "devices/state.h"

#define IOAPIC_VERSION	1

/* Offsets in memory. */
#define MEM_SELECT	0x00
#define MEM_WINDOW	0x10
#define MEM_EOI		0x40

/* Registers by IOREGSEL. */
#define REG_ID		0x00
#define REG_VERSION	0x01
#define REG_ARBITRATION	0x02
#define REG_TABLE	0x10
#define REG_TABLE_END	(REG_TABLE + 2 * IOAPIC_PINS)

#define ID_SHIFT	24
#define ID_MASK		0xf
#define VERSION		(0x20 | (IOAPIC_PINS - 1) << 16)

/* An entry of the redirection table. */
#define E_VECTOR(e)	((uint8_t)(e))
#define E_MODE(e)	((e) >> 8 & 7)
#define E_MODE_LOWEST	1		/* beyond it no vectors */
#define E_MESSAGE	UINT64_C(0x7ff)	/* vector and mode: as in the data */
#define E_LOGICAL	(UINT64_C(1) << 11)
#define E_REMOTE_IRR	(UINT64_C(1) << 14)
#define E_LEVEL		(UINT64_C(1) << 15)
#define E_MASKED	(UINT64_C(1) << 16)
#define E_DEST(e)	((e) >> 56)
#define E_WRITABLE	UINT64_C(0xff0000000001afff)

/* The message: Intel SDM volume 3, "Message Signalled Interrupts". */
#define MSI_ADDRESS	UINT64_C(0xfee00000)
#define MSI_DEST_SHIFT	12
#define MSI_LOGICAL	UINT64_C(0x4)
#define MSI_ASSERT	0x4000
#define MSI_LEVEL	0x8000

static bool
entry_has_vector(uint64_t e)
{
	return E_MODE(e) <= E_MODE_LOWEST;
}

static bool
entry_is_level(uint64_t e)
{
	return (e & E_LEVEL) != 0 && entry_has_vector(e);
}

/* Is the end of what the pin sends to be reported? */
static bool
pin_ends(const struct ioapic *a, unsigned pin)
{
	return entry_has_vector(a->s.entry[pin]) &&
	    ((a->s.entry[pin] & E_LEVEL) != 0 || (a->ended >> pin & 1) != 0);
}

static struct ioapic_route
pin_message(const struct ioapic *a, unsigned pin)
{
	uint64_t e = a->s.entry[pin];
	struct ioapic_route r = {
		.addr = MSI_ADDRESS | E_DEST(e) << MSI_DEST_SHIFT |
		    ((e & E_LOGICAL) != 0 ? MSI_LOGICAL : 0),
		.data = (uint32_t)(e & E_MESSAGE) | MSI_ASSERT |
		    (pin_ends(a, pin) ? MSI_LEVEL : 0),
	};

	return r;
}

static void
pin_send(struct ioapic *a, unsigned pin)
{
	struct ioapic_route r = pin_message(a, pin);

	a->host->msi(a->host->cookie, r.addr, r.data);
}

/* Sends a level-triggered pin's message if it is time. */
static void
pin_service(struct ioapic *a, unsigned pin)
{
	uint64_t *e = &a->s.entry[pin];

	if (!entry_is_level(*e) || (*e & (E_MASKED | E_REMOTE_IRR)) != 0 ||
	    (a->s.lines >> pin & 1) == 0)
		return;
	*e |= E_REMOTE_IRR;
	pin_send(a, pin);
}

/*
 * A masked pin keeps its route: its last interrupt may not have ended.  After a
 * load it may have none to keep.
 */
static void
pin_route(struct ioapic *a, unsigned pin)
{
	struct ioapic_route r = { 0 };
	uint64_t e = a->s.entry[pin];
	bool quiet = (e & E_MASKED) != 0 &&
	    (a->told[pin].addr != 0 || (e & E_REMOTE_IRR) == 0);

	if (a->route == NULL || quiet)
		return;
	if (pin_ends(a, pin))
		r = pin_message(a, pin);
	if (r.addr == a->told[pin].addr && r.data == a->told[pin].data)
		return;
	a->told[pin] = r;
	a->route(a->cookie, pin, r.addr, r.data, r.addr != 0);
}

static void
ioapic_forget_routes(struct ioapic *a)
{
	unsigned pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		if (a->told[pin].addr != 0)
			a->route(a->cookie, pin, 0, 0, false);
		a->told[pin] = (struct ioapic_route){ 0 };
	}
}

void
ioapic_set_irq(struct ioapic *a, unsigned pin, bool level)
{
	uint32_t bit;
	bool rises;

	if (pin >= IOAPIC_PINS)
		return;
	bit = UINT32_C(1) << pin;
	rises = level && (a->s.lines & bit) == 0;
	a->s.lines = level ? a->s.lines | bit : a->s.lines & ~bit;
	if (!rises)
		return;
	if (entry_is_level(a->s.entry[pin])) {
		pin_service(a, pin);
	} else if ((a->s.entry[pin] & E_MASKED) == 0) {
		if (pin_ends(a, pin))
			a->s.waits |= bit;
		pin_send(a, pin);
	}
}

void
ioapic_eoi(struct ioapic *a, uint8_t vector)
{
	unsigned pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		if (E_VECTOR(a->s.entry[pin]) != vector)
			continue;
		a->s.waits &= ~(UINT32_C(1) << pin);
		a->s.entry[pin] &= ~E_REMOTE_IRR;
		pin_service(a, pin);
	}
}

bool
ioapic_waits(const struct ioapic *a, unsigned pin)
{
	return pin < IOAPIC_PINS && (a->s.waits >> pin & 1) != 0;
}

/*
 * Half of an entry is written.  Making a pin edge-triggered clears remote IRR,
 * by which systems undo an interrupt that nobody ended.
 */
static void
entry_write(struct ioapic *a, unsigned pin, bool high, uint32_t val)
{
	uint64_t *e = &a->s.entry[pin], old = *e;
	uint64_t half = high ? UINT64_C(0xffffffff00000000) : UINT32_MAX;
	uint64_t set = high ? (uint64_t)val << 32 : val;

	*e = (old & ~(half & E_WRITABLE)) | (set & half & E_WRITABLE);
	if (!entry_is_level(*e))
		*e &= ~E_REMOTE_IRR;
	/* Whose end would not be seen, or was for another, is forgotten. */
	if ((*e & E_MASKED) != 0 || entry_is_level(*e) ||
	    ((*e ^ old) & E_MESSAGE) != 0)
		a->s.waits &= ~(UINT32_C(1) << pin);
	pin_route(a, pin);
	pin_service(a, pin);
}

static uint32_t
register_read(const struct ioapic *a)
{
	unsigned reg = a->s.select;
	uint64_t e;

	switch (reg) {
	case REG_ID:
	case REG_ARBITRATION:
		return (uint32_t)a->s.id << ID_SHIFT;
	case REG_VERSION:
		return VERSION;
	}
	if (reg < REG_TABLE || reg >= REG_TABLE_END)
		return 0;
	e = a->s.entry[(reg - REG_TABLE) / 2];
	return (uint32_t)((reg & 1) != 0 ? e >> 32 : e);
}

static void
register_write(struct ioapic *a, uint32_t val)
{
	unsigned reg = a->s.select;

	if (reg == REG_ID)
		a->s.id = val >> ID_SHIFT & ID_MASK;
	else if (reg >= REG_TABLE && reg < REG_TABLE_END)
		entry_write(a, (reg - REG_TABLE) / 2, (reg & 1) != 0, val);
}

static uint64_t
ioapic_read(void *cookie, uint64_t off, unsigned size)
{
	const struct ioapic *a = cookie;

	(void)size;
	if (off == MEM_SELECT)
		return a->s.select;
	return off == MEM_WINDOW ? register_read(a) : 0;
}

static void
ioapic_write(void *cookie, uint64_t off, unsigned size, uint64_t val)
{
	struct ioapic *a = cookie;

	(void)size;
	if (off == MEM_SELECT)
		a->s.select = (uint8_t)val;
	else if (off == MEM_WINDOW)
		register_write(a, (uint32_t)val);
	else if (off == MEM_EOI)
		ioapic_eoi(a, (uint8_t)val);
}

/* The inputs are their drivers'. */
static void
ioapic_reset(void *dev)
{
	struct ioapic *a = dev;
	uint32_t lines = a->s.lines;
	unsigned pin;

	memset(&a->s, 0, sizeof(a->s));
	a->s.lines = lines;
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		a->s.entry[pin] = E_MASKED;
	ioapic_forget_routes(a);
}

void
ioapic_init(struct ioapic *a, const struct dev_host *host, uint32_t ended,
    void (*route)(void *cookie, unsigned pin, uint64_t addr, uint32_t data,
    bool on), void *cookie)
{
	memset(a, 0, sizeof(*a));
	a->host = host;
	a->ended = ended;
	a->route = route;
	a->cookie = cookie;
	ioapic_reset(a);
}

static int
ioapic_save(const void *dev, struct state_writer *w)
{
	const struct ioapic *a = dev;

	return state_put(w, "ioapic", IOAPIC_VERSION, &a->s, sizeof(a->s));
}

/* Could a pin's entry be so, with its line and its wait? */
static bool
pin_valid(const struct ioapic_state *s, uint32_t ended, unsigned pin)
{
	uint64_t e = s->entry[pin];
	bool high = (s->lines >> pin & 1) != 0;

	if ((e & ~(E_WRITABLE | E_REMOTE_IRR)) != 0)
		return false;
	if ((s->waits >> pin & 1) != 0 && ((ended >> pin & 1) == 0 ||
	    (e & E_MASKED) != 0 || (e & E_LEVEL) != 0 ||
	    !entry_has_vector(e)))
		return false;
	if (!entry_is_level(e))
		return (e & E_REMOTE_IRR) == 0;
	return !high || (e & (E_MASKED | E_REMOTE_IRR)) != 0;
}

static bool
ioapic_valid(const struct ioapic_state *s, uint32_t ended)
{
	static const uint8_t zero[sizeof(s->pad)];
	unsigned pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		if (!pin_valid(s, ended, pin))
			return false;
	}
	return s->lines >> IOAPIC_PINS == 0 && s->waits >> IOAPIC_PINS == 0 &&
	    s->id <= ID_MASK && memcmp(s->pad, zero, sizeof(zero)) == 0;
}

static int
ioapic_load(void *dev, struct state_reader *r)
{
	struct ioapic *a = dev;
	struct ioapic_state s;
	unsigned pin;
	int error;

	error = state_get(r, "ioapic", IOAPIC_VERSION, &s, sizeof(s));
	if (error != 0)
		return error;
	if (!ioapic_valid(&s, a->ended))
		return -EINVAL;
	a->s = s;
	ioapic_forget_routes(a);
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		pin_route(a, pin);
	return 0;
}

const struct mmio_ops ioapic_mmio = {
	.read = ioapic_read,
	.write = ioapic_write,
};

const struct dev_ops ioapic_dev_ops = {
	.name = "ioapic",
	.reset = ioapic_reset,
	.save = ioapic_save,
	.load = ioapic_load,
};
