/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: the I/O APIC.  Its registers stand at ports, since that is what
 * a program of accesses knows.  An event drives a line (its number in the low
 * bits, its level in bit 5) or, with bit 7, is the end of one of the last
 * vectors that were sent.
 */
#include "chip.h"
#include "devices/ioapic.h"

#define PORTS	3
#define ENDED	UINT32_C(0x000104)

static const uint16_t offset[PORTS] = { 0x00, 0x10, 0x40 };

static uint32_t
port_in(void *cookie, uint32_t off, unsigned size)
{
	return (uint32_t)ioapic_mmio.read(cookie, offset[off], size);
}

static void
port_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	ioapic_mmio.write(cookie, offset[off], size, val);
}

static const struct pio_ops ports = { .in = port_in, .out = port_out };

/* All that is sent has a form that backends take. */
static void
take_msi(void *cookie, uint64_t addr, uint32_t data)
{
	struct chip_side *s = cookie;

	FUZZ_CHECK((addr & ~UINT64_C(0xff004)) == 0xfee00000);
	FUZZ_CHECK((data & ~0xc7ffu) == 0 && (data & 0x4000) != 0);
	s->output = (s->output * 31 + (uint32_t)addr) * 31 + data;
	s->input[s->ninput++ % CHIP_INPUT] = (uint8_t)data;
}

static void
take_route(void *cookie, unsigned pin, uint64_t addr, uint32_t data, bool on)
{
	(void)cookie;
	FUZZ_CHECK(pin < IOAPIC_PINS);
	FUZZ_CHECK(on == (addr != 0));
	/* Nothing is asked for that ends without a word. */
	FUZZ_CHECK(!on || (data & 0x8600) == 0x8000);
}

static void
ioapic_make(struct chip_side *s)
{
	s->host.msi = take_msi;
	ioapic_init(s->dev, &s->host, ENDED, take_route, s);
}

static void
ioapic_event(struct chip_side *s, uint8_t what)
{
	struct ioapic *a = s->dev;
	unsigned pin;

	if ((what & 0x80) != 0)
		ioapic_eoi(a, s->input[what % CHIP_INPUT]);
	else
		ioapic_set_irq(a, what & 0x1f, (what & 0x20) != 0);
	/* What waits for its end has a route by which it comes. */
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		if (ioapic_waits(a, pin))
			FUZZ_CHECK((ENDED >> pin & 1) != 0 &&
			    a->told[pin].addr != 0);
		if ((a->s.entry[pin] & 0x4000) != 0)
			FUZZ_CHECK(a->told[pin].addr != 0);
	}
}

static uint32_t
ioapic_probe(struct chip_side *s)
{
	uint32_t seen = 0;
	unsigned i;

	for (i = 0; i <= IOAPIC_PINS; i++)
		seen = seen << 1 | ioapic_waits(s->dev, i);
	return seen;
}

const struct chip_target chip_target = {
	.ops = &ioapic_dev_ops,
	.size = sizeof(struct ioapic),
	.init = ioapic_make,
	.event = ioapic_event,
	.probe = ioapic_probe,
	.port = {
		{ 0x100, PORTS, &ports },
	},
};
