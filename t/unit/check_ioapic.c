/* SPDX-License-Identifier: ISC */
/*
 * The I/O APIC: registers, both triggers, ends, routes, and random programs
 * against a model that is slow and plain.
 */
#include "devices/ioapic.h"
#include "testhost.h"

#define PIN		5
#define TIMER		2
#define ENDED		(UINT32_C(1) << TIMER)

#define EDGE		0x00000u
#define LEVEL		0x08000u
#define MASKED		0x10000u
#define LOGICAL		0x00800u
#define REMOTE_IRR	0x04000u

struct rig {
	struct testhost	t;
	struct ioapic	a;
	unsigned	msis;
	uint64_t	addr;		/* of the last */
	uint32_t	data;
	unsigned	routes;
	uint64_t	route[IOAPIC_PINS];	/* data, 0: none */
};

static struct rig	rig;

static void
take_msi(void *cookie, uint64_t addr, uint32_t data)
{
	struct rig *r = cookie;

	r->msis++;
	r->addr = addr;
	r->data = data;
}

static void
take_route(void *cookie, unsigned pin, uint64_t addr, uint32_t data, bool on)
{
	struct rig *r = cookie;

	ck_assert_uint_lt(pin, IOAPIC_PINS);
	ck_assert_int_eq(on, addr != 0);
	r->routes++;
	r->route[pin] = on ? data : 0;
}

static void
setup(void)
{
	memset(&rig, 0, sizeof(rig));
	testhost_init(&rig.t);
	rig.t.host.cookie = &rig;
	rig.t.host.msi = take_msi;
	ioapic_init(&rig.a, &rig.t.host, ENDED, take_route, &rig);
}

static void
reg_write(struct ioapic *a, unsigned reg, uint32_t val)
{
	ioapic_mmio.write(a, 0x00, 4, reg);
	ioapic_mmio.write(a, 0x10, 4, val);
}

static uint32_t
reg_read(struct ioapic *a, unsigned reg)
{
	ioapic_mmio.write(a, 0x00, 4, reg);
	return (uint32_t)ioapic_mmio.read(a, 0x10, 4);
}

static void
entry(unsigned pin, uint32_t high, uint32_t low)
{
	reg_write(&rig.a, 0x11 + 2 * pin, high);
	reg_write(&rig.a, 0x10 + 2 * pin, low);
}

static uint32_t
low(unsigned pin)
{
	return reg_read(&rig.a, 0x10 + 2 * pin);
}

START_TEST(registers)
{
	unsigned i;

	ck_assert_uint_eq(reg_read(&rig.a, 0), 0);
	ck_assert_uint_eq(reg_read(&rig.a, 1), 0x00170020);
	for (i = 0; i < IOAPIC_PINS; i++) {
		ck_assert_uint_eq(low(i), MASKED);
		ck_assert_uint_eq(reg_read(&rig.a, 0x11 + 2 * i), 0);
	}
	reg_write(&rig.a, 0, 0xffffffff);
	ck_assert_uint_eq(reg_read(&rig.a, 0), 0x0f000000);
	ck_assert_uint_eq(reg_read(&rig.a, 2), 0x0f000000);
	reg_write(&rig.a, 1, 0xffffffff);
	reg_write(&rig.a, 2, 0);
	ck_assert_uint_eq(reg_read(&rig.a, 1), 0x00170020);
	ck_assert_uint_eq(reg_read(&rig.a, 2), 0x0f000000);
	/* The last register of the table, and one past it. */
	reg_write(&rig.a, 0x3f, 0xffffffff);
	ck_assert_uint_eq(reg_read(&rig.a, 0x3f), 0xff000000);
	reg_write(&rig.a, 0x40, 0xffffffff);
	ck_assert_uint_eq(reg_read(&rig.a, 0x40), 0);
	ck_assert_uint_eq(reg_read(&rig.a, 0x0f), 0);
	ck_assert_uint_eq(reg_read(&rig.a, 0xff), 0);
	ck_assert_uint_eq(ioapic_mmio.read(&rig.a, 0x00, 4), 0xff);
	/* Read-only bits of an entry. */
	reg_write(&rig.a, 0x10, 0xffffffff);
	ck_assert_uint_eq(low(0), 0x0001afff);
	/* Between the registers there is nothing. */
	ioapic_mmio.write(&rig.a, 0x20, 4, 0xffffffff);
	ck_assert_uint_eq(ioapic_mmio.read(&rig.a, 0x20, 4), 0);
	ck_assert_uint_eq(ioapic_mmio.read(&rig.a, 0x40, 4), 0);
	ck_assert_uint_eq(rig.msis, 0);
}
END_TEST

START_TEST(edges)
{
	ioapic_set_irq(&rig.a, PIN, true);
	ioapic_set_irq(&rig.a, PIN, false);
	ck_assert_uint_eq(rig.msis, 0);
	/* One that came while it was masked is lost. */
	entry(PIN, 0x03000000, EDGE | 0x41);
	ck_assert_uint_eq(rig.msis, 0);
	ioapic_set_irq(&rig.a, PIN, true);
	ck_assert_uint_eq(rig.msis, 1);
	ck_assert_uint_eq(rig.addr, 0xfee03000);
	ck_assert_uint_eq(rig.data, 0x4041);
	ioapic_set_irq(&rig.a, PIN, true);
	ck_assert_uint_eq(rig.msis, 1);
	ioapic_set_irq(&rig.a, PIN, false);
	ioapic_set_irq(&rig.a, PIN, true);
	ck_assert_uint_eq(rig.msis, 2);
	ck_assert_uint_eq(low(PIN), 0x41);
	ck_assert(!ioapic_waits(&rig.a, PIN));
	ck_assert_uint_eq(rig.routes, 0);
	/* No such pins. */
	ioapic_set_irq(&rig.a, IOAPIC_PINS, true);
	ioapic_set_irq(&rig.a, 32 + PIN, false);
	ck_assert(!ioapic_waits(&rig.a, IOAPIC_PINS));
	ck_assert_uint_eq(rig.msis, 2);
}
END_TEST

START_TEST(levels)
{
	entry(PIN, 0xff000000, LEVEL | LOGICAL | 0x151);
	ioapic_set_irq(&rig.a, PIN, true);
	ck_assert_uint_eq(rig.msis, 1);
	ck_assert_uint_eq(rig.addr, 0xfeeff004);
	ck_assert_uint_eq(rig.data, 0xc151);
	ck_assert_uint_eq(low(PIN), LEVEL | LOGICAL | REMOTE_IRR | 0x151);
	/* Until it ends nothing more; another's end does not count. */
	ioapic_set_irq(&rig.a, PIN, false);
	ioapic_set_irq(&rig.a, PIN, true);
	ioapic_eoi(&rig.a, 0x52);
	ck_assert_uint_eq(rig.msis, 1);
	/* Still high: again, once for each end. */
	ioapic_eoi(&rig.a, 0x51);
	ck_assert_uint_eq(rig.msis, 2);
	ck_assert_uint_ne(low(PIN) & REMOTE_IRR, 0);
	ioapic_set_irq(&rig.a, PIN, false);
	ioapic_mmio.write(&rig.a, 0x40, 4, 0x51);
	ck_assert_uint_eq(rig.msis, 2);
	ck_assert_uint_eq(low(PIN) & REMOTE_IRR, 0);
	ioapic_eoi(&rig.a, 0x51);
	ck_assert_uint_eq(rig.msis, 2);
}
END_TEST

START_TEST(masked_levels_wait)
{
	entry(PIN, 0, MASKED | LEVEL | 0x51);
	ioapic_set_irq(&rig.a, PIN, true);
	ck_assert_uint_eq(rig.msis, 0);
	entry(PIN, 0, LEVEL | 0x51);
	ck_assert_uint_eq(rig.msis, 1);
	/* Masked in service; the end counts, and the line is still high. */
	entry(PIN, 0, MASKED | LEVEL | 0x51);
	ck_assert_uint_ne(low(PIN) & REMOTE_IRR, 0);
	ioapic_eoi(&rig.a, 0x51);
	ck_assert_uint_eq(low(PIN), MASKED | LEVEL | 0x51);
	ck_assert_uint_eq(rig.msis, 1);
	entry(PIN, 0, LEVEL | 0x51);
	ck_assert_uint_eq(rig.msis, 2);
	/* Unmasked in service: not twice. */
	entry(PIN, 0, MASKED | LEVEL | 0x51);
	entry(PIN, 0, LEVEL | 0x51);
	ck_assert_uint_eq(rig.msis, 2);
	/* An interrupt that nobody ends is undone by a turn as an edge. */
	entry(PIN, 0, MASKED | EDGE | 0x51);
	ck_assert_uint_eq(low(PIN), MASKED | EDGE | 0x51);
	entry(PIN, 0, MASKED | LEVEL | 0x51);
	ck_assert_uint_eq(low(PIN), MASKED | LEVEL | 0x51);
}
END_TEST

/* What has no vector has no end. */
START_TEST(without_vectors)
{
	static const uint32_t mode[] = { 0x200, 0x400, 0x500, 0x700 };
	unsigned i;

	for (i = 0; i < 4; i++) {
		setup();
		entry(PIN, 0, LEVEL | mode[i]);
		ioapic_set_irq(&rig.a, PIN, true);
		ck_assert_uint_eq(rig.msis, 1);
		ck_assert_uint_eq(rig.data, 0x4000 | mode[i]);
		ck_assert_uint_eq(low(PIN) & REMOTE_IRR, 0);
		entry(TIMER, 0, EDGE | mode[i]);
		ioapic_set_irq(&rig.a, TIMER, true);
		ck_assert(!ioapic_waits(&rig.a, TIMER));
		ck_assert_uint_eq(rig.routes, 0);
	}
}
END_TEST

/* An edge whose end matters waits for it, and is sent so that it comes. */
START_TEST(edges_that_end)
{
	entry(TIMER, 0, EDGE | 0x30);
	ck_assert_uint_eq(rig.route[TIMER], 0xc030);
	ioapic_set_irq(&rig.a, TIMER, true);
	ck_assert_uint_eq(rig.data, 0xc030);
	ck_assert(ioapic_waits(&rig.a, TIMER));
	/* The guest sees an edge. */
	ck_assert_uint_eq(low(TIMER), EDGE | 0x30);
	ioapic_eoi(&rig.a, 0x31);
	ck_assert(ioapic_waits(&rig.a, TIMER));
	ioapic_eoi(&rig.a, 0x30);
	ck_assert(!ioapic_waits(&rig.a, TIMER));
	ck_assert_uint_eq(rig.msis, 1);
	/* Writing the same leaves it; mask, vector and trigger do not. */
	ioapic_set_irq(&rig.a, TIMER, false);
	ioapic_set_irq(&rig.a, TIMER, true);
	entry(TIMER, 0x01000000, EDGE | 0x30);
	ck_assert(ioapic_waits(&rig.a, TIMER));
	entry(TIMER, 0, EDGE | 0x31);
	ck_assert(!ioapic_waits(&rig.a, TIMER));
	ioapic_set_irq(&rig.a, TIMER, false);
	ioapic_set_irq(&rig.a, TIMER, true);
	entry(TIMER, 0, EDGE | MASKED | 0x31);
	ck_assert(!ioapic_waits(&rig.a, TIMER));
	entry(TIMER, 0, EDGE | 0x31);
	ioapic_set_irq(&rig.a, TIMER, false);
	ioapic_set_irq(&rig.a, TIMER, true);
	entry(TIMER, 0, LEVEL | 0x31);
	ck_assert(!ioapic_waits(&rig.a, TIMER));
}
END_TEST

/* Routes are for what ends, and told only when they change. */
START_TEST(routes)
{
	entry(PIN, 0x02000000, MASKED | LEVEL | 0x51);
	ck_assert_uint_eq(rig.routes, 0);
	entry(PIN, 0x02000000, LEVEL | 0x51);
	ck_assert_uint_eq(rig.routes, 1);
	ck_assert_uint_eq(rig.route[PIN], 0xc051);
	ioapic_set_irq(&rig.a, PIN, true);
	entry(PIN, 0x02000000, LEVEL | MASKED | 0x51);
	ioapic_eoi(&rig.a, 0x51);
	entry(PIN, 0x02000000, LEVEL | 0x51);
	ioapic_eoi(&rig.a, 0x51);
	ck_assert_uint_eq(rig.routes, 1);
	entry(PIN, 0x02000000, LEVEL | 0x52);
	ck_assert_uint_eq(rig.routes, 2);
	ck_assert_uint_eq(rig.route[PIN], 0xc052);
	entry(PIN, 0x02000000, EDGE | 0x52);
	ck_assert_uint_eq(rig.routes, 3);
	ck_assert_uint_eq(rig.route[PIN], 0);
	entry(PIN, 0x02000000, LEVEL | 0x52);
	ioapic_dev_ops.reset(&rig.a);
	ck_assert_uint_eq(rig.route[PIN], 0);
	ck_assert_uint_eq(rig.routes, 5);
	ck_assert_uint_eq(low(PIN), MASKED);
	/* The line is still what its driver makes it. */
	entry(PIN, 0x02000000, LEVEL | 0x52);
	ck_assert_uint_ne(low(PIN) & REMOTE_IRR, 0);
}
END_TEST

/* A loaded state is told anew, one that is masked in service too. */
START_TEST(routes_after_load)
{
	struct ioapic b;
	struct buf saved;

	entry(PIN, 0, LEVEL | 0x51);
	ioapic_set_irq(&rig.a, PIN, true);
	entry(PIN, 0, LEVEL | MASKED | 0x51);
	entry(7, 0, LEVEL | 0x52);
	entry(8, 0, LEVEL | MASKED | 0x53);
	testhost_save(&ioapic_dev_ops, &rig.a, &saved);
	rig.routes = 0;
	memset(rig.route, 0, sizeof(rig.route));
	ioapic_init(&b, &rig.t.host, ENDED, take_route, &rig);
	ck_assert_int_eq(testhost_load(&ioapic_dev_ops, &b, &saved), 0);
	buf_free(&saved);
	ck_assert_uint_eq(rig.routes, 2);
	ck_assert_uint_eq(rig.route[PIN], 0xc051);
	ck_assert_uint_eq(rig.route[7], 0xc052);
	/* Nobody needs to listen. */
	ioapic_init(&b, &rig.t.host, ENDED, NULL, NULL);
	reg_write(&b, 0x10, LEVEL | 0x51);
	ioapic_set_irq(&b, 0, true);
	ck_assert_uint_eq(rig.routes, 2);
	ioapic_dev_ops.reset(&b);
}
END_TEST

/*
 * The model: each bit of a pin a bool of its own, and after every step each
 * pin is looked at.  `sent` says which pins must have sent now, how often.
 */
struct model {
	struct {
		uint32_t high, low;	/* as written, masked to 0x1afff */
		bool	 line, remote_irr, waits;
	}		pin[IOAPIC_PINS];
	unsigned	sent;
};

static bool
model_vector(const struct model *m, unsigned i)
{
	unsigned mode = m->pin[i].low / 256 % 8;

	return mode == 0 || mode == 1;
}

static bool
model_level(const struct model *m, unsigned i)
{
	return m->pin[i].low / 0x8000 % 2 == 1 && model_vector(m, i);
}

static bool
model_masked(const struct model *m, unsigned i)
{
	return m->pin[i].low / 0x10000 % 2 == 1;
}

static void
model_settle(struct model *m)
{
	unsigned i;

	for (i = 0; i < IOAPIC_PINS; i++) {
		if (!model_level(m, i))
			m->pin[i].remote_irr = false;
		if (model_level(m, i) || model_masked(m, i))
			m->pin[i].waits = false;
		if (model_level(m, i) && !model_masked(m, i) &&
		    m->pin[i].line && !m->pin[i].remote_irr) {
			m->pin[i].remote_irr = true;
			m->sent++;
		}
	}
}

static void
model_line(struct model *m, unsigned i, bool level)
{
	bool rises = level && !m->pin[i].line;

	m->pin[i].line = level;
	if (rises && !model_level(m, i) && !model_masked(m, i)) {
		m->sent++;
		m->pin[i].waits = i == TIMER && model_vector(m, i);
	}
	model_settle(m);
}

static void
model_write(struct model *m, unsigned reg, uint32_t val)
{
	unsigned i = (reg - 0x10) / 2;

	if (reg % 2 == 1) {
		m->pin[i].high = val & 0xff000000;
	} else {
		if ((val & 0x7ff) != (m->pin[i].low & 0x7ff))
			m->pin[i].waits = false;
		m->pin[i].low = val & 0x1afff;
	}
	model_settle(m);
}

static void
model_end(struct model *m, unsigned vector)
{
	unsigned i;

	for (i = 0; i < IOAPIC_PINS; i++) {
		if (m->pin[i].low % 256 != vector)
			continue;
		m->pin[i].waits = false;
		m->pin[i].remote_irr = false;
	}
	model_settle(m);
}

/* A few vectors and modes, so that they meet. */
static uint32_t
random_entry(uint32_t x)
{
	static const uint32_t mode[] = { 0, 0, 0, 0x100, 0x100, 0x400, 0x700,
	    0x200 };

	return (x & 0x1e800) | (0x40 + (x & 7)) | mode[x >> 20 & 7];
}

static void
step(struct ioapic *a, struct model *m, uint64_t *seed)
{
	uint32_t x = test_random(seed), y = test_random(seed);
	unsigned pin = y % IOAPIC_PINS, reg = 0x10 + y % (2 * IOAPIC_PINS);

	switch (x % 8) {
	case 0:
		reg_write(a, reg, (reg & 1) != 0 ? x : random_entry(x >> 3));
		model_write(m, reg, (reg & 1) != 0 ? x : random_entry(x >> 3));
		break;
	case 1:
		ioapic_mmio.write(a, 0x40, 4, 0x40 + (y & 7));
		model_end(m, 0x40 + (y & 7));
		break;
	case 2:
		ioapic_eoi(a, 0x40 + (y & 7));
		model_end(m, 0x40 + (y & 7));
		break;
	default:
		ioapic_set_irq(a, pin, x >> 8 & 1);
		model_line(m, pin, x >> 8 & 1);
		break;
	}
}

START_TEST(random_against_the_model)
{
	uint64_t seed = 0x2545f4914f6cdd1dULL;
	struct model m = { 0 };
	struct ioapic b;
	unsigned i, k, waited = 0;

	for (i = 0; i < IOAPIC_PINS; i++)
		m.pin[i].low = MASKED;
	ioapic_init(&b, &rig.t.host, ENDED, NULL, NULL);
	for (i = 0; i < 200000; i++) {
		step(&rig.a, &m, &seed);
		if (rig.msis != m.sent)
			ck_abort_msg("step %u: %u sent, not %u", i, rig.msis,
			    m.sent);
		k = i % IOAPIC_PINS;
		ck_assert_uint_eq(low(k), m.pin[k].low |
		    (m.pin[k].remote_irr ? REMOTE_IRR : 0));
		ck_assert_uint_eq(reg_read(&rig.a, 0x11 + 2 * k),
		    m.pin[k].high);
		ck_assert_int_eq(ioapic_waits(&rig.a, TIMER),
		    m.pin[TIMER].waits);
		waited += m.pin[TIMER].waits;
		if (i % 1024 == 0)
			testhost_round_trip(&ioapic_dev_ops, &rig.a, &b);
	}
	ck_assert_uint_gt(rig.msis, 20000);
	ck_assert_uint_gt(waited, 1000);
}
END_TEST

static void
use(void *dev)
{
	uint64_t seed = 12345;
	struct model m = { 0 };
	unsigned i;

	for (i = 0; i < 50; i++)
		step(dev, &m, &seed);
}

START_TEST(hostile_state)
{
	struct ioapic b;

	entry(PIN, 0x02000000, LEVEL | 0x51);
	ioapic_set_irq(&rig.a, PIN, true);
	entry(TIMER, 0, EDGE | 0x30);
	ioapic_set_irq(&rig.a, TIMER, true);
	ioapic_init(&b, &rig.t.host, ENDED, take_route, &rig);
	testhost_corrupt(&ioapic_dev_ops, &rig.a, &b, use);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("ioapic");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, registers);
	tcase_add_test(tc, edges);
	tcase_add_test(tc, levels);
	tcase_add_test(tc, masked_levels_wait);
	tcase_add_test(tc, without_vectors);
	tcase_add_test(tc, edges_that_end);
	tcase_add_test(tc, routes);
	tcase_add_test(tc, routes_after_load);
	tcase_add_test(tc, random_against_the_model);
	tcase_add_test(tc, hostile_state);
	return test_main("ioapic", tc);
}
