/* SPDX-License-Identifier: ISC */
/*
 * MSI-X of a device: what the table and the pending bits say, when a signal is
 * a message, and that none is lost.
 */
#include <fcntl.h>

#include "base/event.h"
#include "devices/bus.h"
#include "devices/msix.h"
#include "msirig.h"

#define VECTORS		5u
#define OTHERS		3	/* slots that another device has */
#define ADDR		0xfee01000u
#define CAP		0x40u
#define CONTROL		(CAP + 2)
#define ENABLE		0x8000u
#define MASK_ALL	0x4000u

struct fixture {
	struct testhost	 t;
	struct msirig	 msi;
	struct bus	*bus;
	struct pci	*pci;
	struct pci_dev	 pdev;
	struct msix	*x;
	uint32_t	 bar;
};

static int
host_event(void *cookie, unsigned slot, int fd, uint64_t addr, uint32_t data,
    bool on)
{
	struct fixture *f = cookie;

	return msirig_event(&f->msi, slot, fd, addr, data, on);
}

static int
host_slots(void *cookie, unsigned n)
{
	struct fixture *f = cookie;

	return msirig_slots(&f->msi, n);
}

static void
host_set_irq(void *cookie, unsigned irq, bool level)
{
	struct fixture *f = cookie;

	testhost_set_irq(&f->t, irq, level);
}

static void
caps_written(void *cookie)
{
	struct fixture *f = cookie;

	msix_update(f->x);
}

static const struct pci_dev_ops ops = { .caps_written = caps_written };
static const struct pci_ident ident = { .vendor = 1, .device = 2 };

static uint32_t
conf(struct fixture *f, unsigned reg, unsigned size)
{
	bus_out(f->bus, 0xcf8, 4, 0x80000800u | (reg & 0xfc));
	return bus_in(f->bus, (uint16_t)(0xcfc + (reg & 3)), size);
}

static void
set_conf(struct fixture *f, unsigned reg, unsigned size, uint32_t val)
{
	bus_out(f->bus, 0xcf8, 4, 0x80000800u | (reg & 0xfc));
	bus_out(f->bus, (uint16_t)(0xcfc + (reg & 3)), size, val);
}

static uint64_t
in(struct fixture *f, uint32_t off, unsigned size)
{
	uint64_t val = 0;

	bus_read(f->bus, f->bar + off, &val, size);
	return val;
}

static void
out(struct fixture *f, uint32_t off, unsigned size, uint64_t val)
{
	bus_write(f->bus, f->bar + off, &val, size);
}

static void
setup_n(struct fixture *f, unsigned n)
{
	memset(f, 0, sizeof(*f));
	testhost_init(&f->t);
	f->t.host.cookie = f;
	f->t.host.set_irq = host_set_irq;
	f->t.host.msi_event = host_event;
	f->t.host.msi_slots = host_slots;
	f->msi.used = OTHERS;
	f->bus = bus_create();
	f->pci = pci_create(&f->t.host, f->bus);
	ck_assert_ptr_nonnull(f->pci);
	pci_dev_init(&f->pdev, &ident, &ops, f);
	f->x = msix_create(&f->t.host, &f->pdev, 2, n);
	if (f->x == NULL)
		return;
	ck_assert_int_eq(pci_add(f->pci, &f->pdev), 0);
	f->bar = conf(f, 0x18, 4);
}

static void
setup(struct fixture *f)
{
	setup_n(f, VECTORS);
	ck_assert_ptr_nonnull(f->x);
}

static void
teardown(struct fixture *f)
{
	unsigned i;

	pci_remove(&f->pdev);
	msix_destroy(f->x);
	pci_destroy(f->pci);
	bus_destroy(f->bus);
	for (i = 0; i < MSIRIG_SLOTS; i++)
		ck_assert(!f->msi.slot[i].on);
}

/* A vector with a message; whether it is masked is left. */
static void
program(struct fixture *f, unsigned vector, uint64_t addr, uint32_t data)
{
	out(f, 16 * vector, 8, addr);
	out(f, 16 * vector + 8, 4, data);
}

static void
mask(struct fixture *f, unsigned vector, bool on)
{
	out(f, 16 * vector + 12, 4, on);
}

static void
raise_vector(struct fixture *f, unsigned vector)
{
	int fd = msix_event(f->x, vector);

	ck_assert_int_ge(fd, 0);
	event_signal(fd);
}

static unsigned
sent(struct fixture *f, unsigned vector)
{
	return msirig_sent(&f->msi, OTHERS + vector);
}

static uint32_t
pending(struct fixture *f)
{
	return (uint32_t)in(f, 0x800, 4);
}

START_TEST(capability)
{
	struct fixture f;

	setup(&f);
	ck_assert_uint_eq(conf(&f, 0x34, 1), CAP);
	ck_assert_uint_eq(conf(&f, CAP, 1), 0x11);
	ck_assert_uint_eq(conf(&f, CONTROL, 2), VECTORS - 1);
	ck_assert_uint_eq(conf(&f, CAP + 4, 4), 2);
	ck_assert_uint_eq(conf(&f, CAP + 8, 4), 0x802);
	/* Only the two switches can be written. */
	set_conf(&f, CONTROL, 2, 0xffff);
	ck_assert_uint_eq(conf(&f, CONTROL, 2),
	    ENABLE | MASK_ALL | (VECTORS - 1));
	ck_assert(msix_enabled(f.x));
	set_conf(&f, CONTROL, 2, MASK_ALL);
	ck_assert(!msix_enabled(f.x));
	set_conf(&f, CAP + 4, 4, 0);
	set_conf(&f, CAP + 8, 4, 0);
	ck_assert_uint_eq(conf(&f, CAP + 8, 4), 0x802);
	teardown(&f);
}
END_TEST

START_TEST(table)
{
	struct fixture f;
	unsigned i;

	setup(&f);
	for (i = 0; i < VECTORS; i++) {
		ck_assert_uint_eq(in(&f, 16 * i, 8), 0);
		ck_assert_uint_eq(in(&f, 16 * i + 8, 4), 0);
		ck_assert_uint_eq(in(&f, 16 * i + 12, 4), 1);
	}
	out(&f, 16, 8, 0x1122334455667788);
	out(&f, 24, 8, 0x00000000cafebabe);
	ck_assert_uint_eq(in(&f, 16, 8), 0x1122334455667788);
	ck_assert_uint_eq(in(&f, 20, 4), 0x11223344);
	ck_assert_uint_eq(in(&f, 24, 8), 0x00000000cafebabe);
	ck_assert_uint_eq(in(&f, 26, 2), 0xcafe);
	ck_assert_uint_eq(in(&f, 25, 1), 0xba);
	/* Addresses are of dwords; of the control word one bit is there. */
	out(&f, 16, 4, UINT32_MAX);
	ck_assert_uint_eq(in(&f, 16, 4), 0xfffffffc);
	out(&f, 28, 4, UINT32_MAX);
	ck_assert_uint_eq(in(&f, 28, 4), 1);
	/* Narrow writes and those beside the table do nothing. */
	out(&f, 16, 1, 0);
	out(&f, 18, 2, 0);
	ck_assert_uint_eq(in(&f, 16, 4), 0xfffffffc);
	out(&f, 16 * VECTORS, 8, UINT64_MAX);
	ck_assert_uint_eq(in(&f, 16 * VECTORS, 8), 0);
	out(&f, 0x7f8, 8, UINT64_MAX);
	ck_assert_uint_eq(in(&f, 0x7f8, 8), 0);
	out(&f, 0x800, 8, UINT64_MAX);
	ck_assert_uint_eq(in(&f, 0x800, 8), 0);
	out(&f, 0xff8, 8, UINT64_MAX);
	ck_assert_uint_eq(in(&f, 0xff8, 8), 0);
	teardown(&f);
}
END_TEST

START_TEST(message_goes_out)
{
	struct fixture f;

	setup(&f);
	set_conf(&f, CONTROL, 2, ENABLE);
	program(&f, 3, ADDR, 0x41);
	/* A vector without a use costs no descriptor. */
	mask(&f, 3, false);
	ck_assert_uint_eq(f.msi.binds, 0);
	ck_assert_int_eq(msix_event(f.x, VECTORS), -EINVAL);
	ck_assert_int_eq(msix_event(f.x, UINT16_MAX), -EINVAL);
	ck_assert_int_eq(msix_event(f.x, 3), msix_event(f.x, 3));
	ck_assert_uint_eq(f.msi.binds, 1);
	raise_vector(&f, 3);
	ck_assert_uint_eq(sent(&f, 3), 1);
	ck_assert_uint_eq(f.msi.slot[OTHERS + 3].addr, ADDR);
	ck_assert_uint_eq(f.msi.slot[OTHERS + 3].data, 0x41);
	ck_assert_uint_eq(pending(&f), 0);
	teardown(&f);
}
END_TEST

/* By each of the three switches. */
START_TEST(masked_waits)
{
	struct fixture f;

	setup(&f);
	program(&f, 0, ADDR, 0x30);
	program(&f, 4, ADDR, 0x34);
	mask(&f, 4, false);
	raise_vector(&f, 0);
	raise_vector(&f, 4);
	raise_vector(&f, 4);
	ck_assert_uint_eq(pending(&f), 0x11);
	set_conf(&f, CONTROL, 2, ENABLE | MASK_ALL);
	ck_assert_uint_eq(pending(&f), 0x11);
	ck_assert_uint_eq(in(&f, 0x800, 8), 0x11);
	ck_assert_uint_eq(f.msi.binds, 0);
	set_conf(&f, CONTROL, 2, ENABLE);
	ck_assert_uint_eq(sent(&f, 4), 2);
	ck_assert_uint_eq(sent(&f, 0), 0);
	ck_assert_uint_eq(pending(&f), 0x01);
	mask(&f, 0, false);
	ck_assert_uint_eq(sent(&f, 0), 1);
	ck_assert_uint_eq(pending(&f), 0);
	/* Masked again. */
	mask(&f, 4, true);
	raise_vector(&f, 4);
	ck_assert_uint_eq(sent(&f, 4), 0);
	ck_assert_uint_eq(pending(&f), 0x10);
	set_conf(&f, CONTROL, 2, 0);
	raise_vector(&f, 0);
	ck_assert_uint_eq(sent(&f, 0), 0);
	ck_assert_uint_eq(pending(&f), 0x11);
	set_conf(&f, CONTROL, 2, ENABLE);
	ck_assert_uint_eq(sent(&f, 0), 1);
	teardown(&f);
}
END_TEST

/* However often it is masked, each signal is a message. */
START_TEST(mask_storm)
{
	uint64_t seed = 88172645463325252;
	unsigned i, raised = 0, got = 0;
	struct fixture f;
	uint32_t r;

	setup(&f);
	program(&f, 1, ADDR, 0x31);
	for (i = 0; i < 20000; i++) {
		r = test_random(&seed);
		if ((r & 3) == 0)
			mask(&f, 1, (r & 4) != 0);
		else if ((r & 3) == 1)
			set_conf(&f, CONTROL, 2, (r & 0x18) << 11 & 0xc000);
		else {
			raise_vector(&f, 1);
			raised++;
		}
		if ((r & 0x100) != 0)
			got += sent(&f, 1);
	}
	mask(&f, 1, false);
	set_conf(&f, CONTROL, 2, ENABLE);
	got += sent(&f, 1);
	ck_assert_uint_eq(got, raised);
	ck_assert_uint_gt(f.msi.binds, 500);
	teardown(&f);
}
END_TEST

/* What is written while a vector is on counts from when it is unmasked. */
START_TEST(message_is_read_at_unmasking)
{
	struct fixture f;

	setup(&f);
	program(&f, 2, ADDR, 0x32);
	mask(&f, 2, false);
	set_conf(&f, CONTROL, 2, ENABLE);
	raise_vector(&f, 2);
	program(&f, 2, ADDR + 0x1000, 0x42);
	ck_assert_uint_eq(f.msi.slot[OTHERS + 2].data, 0x32);
	mask(&f, 2, true);
	mask(&f, 2, false);
	ck_assert_uint_eq(f.msi.slot[OTHERS + 2].addr, ADDR + 0x1000);
	ck_assert_uint_eq(f.msi.slot[OTHERS + 2].data, 0x42);
	/* The switch for all is as good. */
	program(&f, 2, ADDR, 0x52);
	set_conf(&f, CONTROL, 2, ENABLE | MASK_ALL);
	set_conf(&f, CONTROL, 2, ENABLE);
	ck_assert_uint_eq(f.msi.slot[OTHERS + 2].data, 0x52);
	teardown(&f);
}
END_TEST

/* An address of no local APIC: its signals wait for a better one. */
START_TEST(wrong_address)
{
	struct fixture f;

	setup(&f);
	set_conf(&f, CONTROL, 2, ENABLE);
	raise_vector(&f, 0);
	program(&f, 0, 0x1000, 0x30);
	mask(&f, 0, false);
	ck_assert_uint_eq(f.msi.refused, 1);
	ck_assert_uint_eq(pending(&f), 1);
	program(&f, 0, 0x1fee00000, 0x30);
	mask(&f, 0, true);
	mask(&f, 0, false);
	ck_assert_uint_eq(f.msi.refused, 2);
	raise_vector(&f, 0);
	ck_assert_uint_eq(sent(&f, 0), 0);
	program(&f, 0, ADDR, 0x30);
	mask(&f, 0, true);
	mask(&f, 0, false);
	ck_assert_uint_eq(sent(&f, 0), 2);
	teardown(&f);
}
END_TEST

START_TEST(reset_and_clear)
{
	struct fixture f;

	setup(&f);
	set_conf(&f, CONTROL, 2, ENABLE);
	program(&f, 0, ADDR, 0x30);
	mask(&f, 0, false);
	raise_vector(&f, 0);
	raise_vector(&f, 1);
	msix_clear(f.x);
	ck_assert_uint_eq(pending(&f), 0);
	ck_assert_uint_eq(in(&f, 8, 4), 0x30);
	raise_vector(&f, 1);
	pci_ops.reset(f.pci);
	msix_reset(f.x);
	ck_assert(!msix_enabled(f.x));
	ck_assert(!f.msi.slot[OTHERS].on);
	ck_assert_uint_eq(in(&f, 0, 8), 0);
	ck_assert_uint_eq(in(&f, 8, 8), 0x100000000);
	ck_assert_uint_eq(pending(&f), 0);
	teardown(&f);
}
END_TEST

/* As many vectors as one page has room for, one more, and no slots. */
START_TEST(sizes)
{
	struct fixture f;
	struct dev_host host;
	struct pci_dev d;
	struct msix *x;

	setup_n(&f, MSIRIG_SLOTS - OTHERS + 1);
	ck_assert_ptr_null(f.x);
	ck_assert_int_eq(errno, ENOSPC);
	teardown(&f);

	setup(&f);
	host = f.t.host;
	f.msi.used = 0;
	pci_dev_init(&d, &ident, &ops, &f);
	x = msix_create(&host, &d, 1, 32);
	ck_assert_uint_eq(d.bar[1].size, 4096);
	msix_destroy(x);
	teardown(&f);
}
END_TEST

static int
any_slots(void *cookie, unsigned n)
{
	(void)cookie;
	(void)n;
	return 0;
}

START_TEST(large_tables)
{
	static const struct {
		unsigned	n;
		uint32_t	size;
	} cases[] = {
		{ 1, 4096 }, { 128, 4096 }, { 129, 8192 },
		{ MSIX_VECTORS_MAX, 65536 },
	};
	struct dev_host host = { .msi_slots = any_slots };
	struct pci_dev d;
	struct msix *x;

	pci_dev_init(&d, &ident, &ops, NULL);
	x = msix_create(&host, &d, 1, cases[_i].n);
	ck_assert_ptr_nonnull(x);
	ck_assert_uint_eq(d.bar[1].size, cases[_i].size);
	ck_assert_uint_eq(d.config[CAP + 2] | d.config[CAP + 3] << 8,
	    cases[_i].n - 1);
	/* The last dword of the pending bits, and what follows. */
	ck_assert_uint_eq(d.bar[1].mem->read(x, cases[_i].size / 2 +
	    (cases[_i].n - 1) / 32 * 4, 4), 0);
	ck_assert_uint_eq(d.bar[1].mem->read(x, cases[_i].size - 8, 8), 0);
	msix_destroy(x);
}
END_TEST

/* Where a dev_ops is wanted. */
static int
save(const void *dev, struct state_writer *w)
{
	const struct fixture *f = dev;
	int error = pci_ops.save(f->pci, w);

	return error != 0 ? error : msix_save(f->x, w);
}

static int
load(void *dev, struct state_reader *r)
{
	struct fixture *f = dev;
	int error = pci_ops.load(f->pci, r);

	return error != 0 ? error : msix_load(f->x, r);
}

static const struct dev_ops msix_dev_ops = { .save = save, .load = load };

static void
use(void *dev)
{
	struct fixture *f = dev;
	unsigned i;

	for (i = 0; i < VECTORS; i++) {
		mask(f, i, false);
		mask(f, i, true);
	}
	pending(f);
}

START_TEST(state_travels)
{
	struct fixture f, g;

	setup(&f);
	setup(&g);
	set_conf(&f, CONTROL, 2, ENABLE);
	program(&f, 0, ADDR, 0x30);
	program(&f, 1, ADDR, 0x31);
	mask(&f, 0, false);
	raise_vector(&f, 0);
	raise_vector(&f, 1);
	ck_assert_uint_eq(sent(&f, 0), 1);
	testhost_round_trip(&msix_dev_ops, &f, &g);
	ck_assert_uint_eq(pending(&g), 2);
	ck_assert_uint_eq(sent(&g, 0), 0);
	raise_vector(&g, 0);
	ck_assert_uint_eq(sent(&g, 0), 1);
	mask(&g, 1, false);
	ck_assert_uint_eq(sent(&g, 1), 1);
	ck_assert_uint_eq(f.msi.slot[OTHERS].data, 0x30);
	testhost_corrupt(&msix_dev_ops, &f, &g, use);
	teardown(&f);
	teardown(&g);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("msix");

	tcase_add_test(tc, capability);
	tcase_add_test(tc, table);
	tcase_add_test(tc, message_goes_out);
	tcase_add_test(tc, masked_waits);
	tcase_add_test(tc, mask_storm);
	tcase_add_test(tc, message_is_read_at_unmasking);
	tcase_add_test(tc, wrong_address);
	tcase_add_test(tc, reset_and_clear);
	tcase_add_test(tc, sizes);
	tcase_add_loop_test(tc, large_tables, 0, 4);
	tcase_add_test(tc, state_travels);
	return test_main("msix", tc);
}
