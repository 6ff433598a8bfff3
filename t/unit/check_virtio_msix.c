/* SPDX-License-Identifier: ISC */
/*
 * virtio over PCI with MSI-X: which vector an interrupt takes, what the
 * interrupt status says meanwhile, and that the pin is quiet.
 */
#include <sys/resource.h>

#include "echo.h"

#define ADDR		0xfee00000u
#define ENABLE		0x8000u
#define MASK_ALL	0x4000u
#define CONFIG_VECTOR	0x10
#define QUEUE_SELECT	0x16
#define QUEUE_VECTOR	0x1a
#define NO_VECTOR	0xffffu

static unsigned
find_cap(struct fixture *f)
{
	unsigned cap = vguest_conf(&f->g, 1, 0x34, 1);

	while (vguest_conf(&f->g, 1, cap, 1) != 0x11)
		cap = vguest_conf(&f->g, 1, cap + 1, 1);
	return cap;
}

static void
set_control(struct fixture *f, uint16_t control)
{
	vguest_set_conf(&f->g, 1, find_cap(f) + 2, 2, control);
}

static void
table_out(struct fixture *f, uint32_t off, uint32_t val)
{
	bus_write(f->g.bus, vguest_conf(&f->g, 1, 0x14, 4) + off, &val, 4);
}

static uint32_t
pending(struct fixture *f)
{
	uint32_t val;

	bus_read(f->g.bus, vguest_conf(&f->g, 1, 0x14, 4) + 0x800, &val, 4);
	return val;
}

static void
mask(struct fixture *f, unsigned vector, bool on)
{
	table_out(f, 16 * vector + 12, on);
}

static void
set_queue_vector(struct fixture *f, unsigned queue, unsigned vector)
{
	vguest_out(&f->g, QUEUE_SELECT, 2, queue);
	vguest_out(&f->g, QUEUE_VECTOR, 2, vector);
}

static uint32_t
queue_vector(struct fixture *f, unsigned queue)
{
	vguest_out(&f->g, QUEUE_SELECT, 2, queue);
	return vguest_in(&f->g, QUEUE_VECTOR, 2);
}

/* A device with MSI-X on, and a message for each vector. */
static void
setup_msix(struct fixture *f)
{
	unsigned i;

	setup_guest(f);
	vguest_add_msi(&f->g);
	setup_device(f);
	set_control(f, ENABLE);
	for (i = 0; i < ECHO_QUEUES + 1; i++) {
		table_out(f, 16 * i, ADDR);
		table_out(f, 16 * i + 8, 0x30 + i);
		mask(f, i, false);
	}
}

/* Queue 0 runs, with vector 1; the configuration has vector 0. */
static void
start(struct fixture *f)
{
	ck_assert_uint_eq(vguest_negotiate(&f->g, CORE), 0x0b);
	vguest_out(&f->g, CONFIG_VECTOR, 2, 0);
	ck_assert_uint_eq(vguest_in(&f->g, CONFIG_VECTOR, 2), 0);
	set_queue_vector(f, 0, 1);
	ck_assert_uint_eq(queue_vector(f, 0), 1);
	vguest_queue(&f->g, &f->r, 0, 8);
	vguest_set_status(&f->g, 0x0f);
	vguest_turn(&f->g);
}

static void
echo_one(struct fixture *f)
{
	offer(f, 0, 4);
	vguest_notify(&f->g, 0);
	vguest_turn(&f->g);
	pci_fold_intx(f->g.pci);
}

START_TEST(capability)
{
	struct fixture f;
	unsigned cap;

	setup_guest(&f);
	vguest_add_msi(&f.g);
	setup_device(&f);
	cap = find_cap(&f);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 2, 2), ECHO_QUEUES);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 4, 4), 1);
	ck_assert_uint_eq(f.g.msi.used, ECHO_QUEUES + 1);
	teardown(&f);
}
END_TEST

START_TEST(vector_registers)
{
	struct fixture f;
	unsigned i;

	setup_msix(&f);
	ck_assert_uint_eq(vguest_in(&f.g, CONFIG_VECTOR, 2), NO_VECTOR);
	for (i = 0; i < ECHO_QUEUES; i++) {
		ck_assert_uint_eq(queue_vector(&f, i), NO_VECTOR);
		set_queue_vector(&f, i, ECHO_QUEUES - i);
	}
	vguest_out(&f.g, CONFIG_VECTOR, 2, 0);
	for (i = 0; i < ECHO_QUEUES; i++)
		ck_assert_uint_eq(queue_vector(&f, i), ECHO_QUEUES - i);
	ck_assert_uint_eq(vguest_in(&f.g, CONFIG_VECTOR, 2), 0);
	/* Two may share; what is not there is none. */
	set_queue_vector(&f, 0, 0);
	ck_assert_uint_eq(queue_vector(&f, 0), 0);
	set_queue_vector(&f, 0, ECHO_QUEUES + 1);
	ck_assert_uint_eq(queue_vector(&f, 0), NO_VECTOR);
	vguest_out(&f.g, CONFIG_VECTOR, 2, 0xfffe);
	ck_assert_uint_eq(vguest_in(&f.g, CONFIG_VECTOR, 2), NO_VECTOR);
	set_queue_vector(&f, ECHO_QUEUES, 1);
	ck_assert_uint_eq(queue_vector(&f, ECHO_QUEUES), NO_VECTOR);
	set_queue_vector(&f, UINT16_MAX, 1);
	ck_assert_uint_eq(queue_vector(&f, UINT16_MAX), NO_VECTOR);
	/* A reset takes them away. */
	vguest_out(&f.g, CONFIG_VECTOR, 2, 2);
	vguest_set_status(&f.g, 0);
	ck_assert_uint_eq(vguest_in(&f.g, CONFIG_VECTOR, 2), NO_VECTOR);
	ck_assert_uint_eq(queue_vector(&f, 2), NO_VECTOR);
	teardown(&f);
}
END_TEST

/* One that the daemon has no descriptor for is none. */
START_TEST(no_descriptors)
{
	struct rlimit old, none;
	struct fixture f;

	setup_msix(&f);
	set_queue_vector(&f, 1, 1);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	set_queue_vector(&f, 0, 2);
	ck_assert_uint_eq(queue_vector(&f, 0), NO_VECTOR);
	/* What has been used before needs none. */
	set_queue_vector(&f, 0, 1);
	ck_assert_uint_eq(queue_vector(&f, 0), 1);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	set_queue_vector(&f, 0, 2);
	ck_assert_uint_eq(queue_vector(&f, 0), 2);
	teardown(&f);
}
END_TEST

START_TEST(queue_interrupts_by_its_vector)
{
	struct fixture f;
	unsigned i;

	setup_msix(&f);
	start(&f);
	for (i = 1; i < 4; i++) {
		echo_one(&f);
		ck_assert_uint_eq(msirig_sent(&f.g.msi, 1), 1);
		ck_assert_uint_eq(msirig_sent(&f.g.msi, 0), 0);
		ck_assert(!vguest_line(&f.g));
		ck_assert_uint_eq(vguest_in(&f.g, 0x40, 1), 0);
	}
	ck_assert_uint_eq(f.g.msi.slot[1].data, 0x31);
	/* Another vector, at once; none, and it is quiet. */
	set_queue_vector(&f, 0, 3);
	echo_one(&f);
	ck_assert_uint_eq(msirig_sent(&f.g.msi, 1), 0);
	ck_assert_uint_eq(msirig_sent(&f.g.msi, 3), 1);
	set_queue_vector(&f, 0, NO_VECTOR);
	echo_one(&f);
	ck_assert_uint_eq(msirig_sent(&f.g.msi, 3), 0);
	ck_assert_uint_eq(pending(&f), 0);
	ck_assert(!vguest_line(&f.g));
	ck_assert_uint_eq(vguest_in(&f.g, 0x40, 1), 0);
	teardown(&f);
}
END_TEST

START_TEST(configuration_interrupts_by_its_own)
{
	struct fixture f;

	setup_msix(&f);
	start(&f);
	vring_offer(&f.r, 8);		/* out of the ring */
	vguest_notify(&f.g, 0);
	vguest_turn(&f.g);
	pci_fold_intx(f.g.pci);
	ck_assert_uint_eq(vguest_status(&f.g), 0x4f);
	ck_assert_uint_eq(msirig_sent(&f.g.msi, 0), 1);
	ck_assert_uint_eq(msirig_sent(&f.g.msi, 1), 0);
	ck_assert(!vguest_line(&f.g));
	/* The status says so all the same; once off, so does the pin. */
	set_control(&f, 0);
	ck_assert(vguest_line(&f.g));
	set_control(&f, ENABLE);
	ck_assert(!vguest_line(&f.g));
	ck_assert_uint_eq(vguest_in(&f.g, 0x40, 1), VIRTIO_ISR_CONFIG);
	teardown(&f);
}
END_TEST

START_TEST(masked_queue_waits)
{
	struct fixture f;

	setup_msix(&f);
	start(&f);
	mask(&f, 1, true);
	echo_one(&f);
	ck_assert_uint_eq(msirig_sent(&f.g.msi, 1), 0);
	ck_assert_uint_eq(pending(&f), 2);
	mask(&f, 1, false);
	ck_assert_uint_eq(msirig_sent(&f.g.msi, 1), 1);
	set_control(&f, ENABLE | MASK_ALL);
	echo_one(&f);
	ck_assert_uint_eq(pending(&f), 2);
	set_control(&f, ENABLE);
	ck_assert_uint_eq(msirig_sent(&f.g.msi, 1), 1);
	/* A reset forgets it. */
	mask(&f, 1, true);
	echo_one(&f);
	ck_assert_uint_eq(pending(&f), 2);
	vguest_set_status(&f.g, 0);
	ck_assert_uint_eq(pending(&f), 0);
	teardown(&f);
}
END_TEST

/* Off, the device has its pin as if it had nothing else. */
START_TEST(pin_while_disabled)
{
	struct fixture f;

	setup_msix(&f);
	set_control(&f, 0);
	start(&f);
	offer(&f, 0, 4);
	vguest_notify(&f.g, 0);
	ck_assert_uint_eq(vguest_wait_irq(&f.g), VIRTIO_ISR_QUEUE);
	ck_assert_uint_eq(msirig_sent(&f.g.msi, 1), 0);
	ck_assert_uint_eq(pending(&f), 0);
	teardown(&f);
}
END_TEST

/* Off, on, and where it goes: PCI's reset and the device's. */
START_TEST(machine_reset)
{
	struct fixture f;

	setup_msix(&f);
	start(&f);
	pci_ops.reset(f.g.pci);
	virtio_pci_ops.reset(f.vp);
	ck_assert_uint_eq(queue_vector(&f, 0), NO_VECTOR);
	vguest_start(&f.g, &f.r, 8, CORE);
	offer(&f, 0, 4);
	vguest_notify(&f.g, 0);
	ck_assert_uint_eq(vguest_wait_irq(&f.g), VIRTIO_ISR_QUEUE);
	teardown(&f);
}
END_TEST

/* Both parts of a machine that has this device. */
static int
save(const void *dev, struct state_writer *w)
{
	const struct fixture *f = dev;
	int error = pci_ops.save(f->g.pci, w);

	return error != 0 ? error : virtio_pci_ops.save(f->vp, w);
}

static int
load(void *dev, struct state_reader *r)
{
	struct fixture *f = dev;
	int error;

	vguest_set_status(&f->g, 0);
	error = pci_ops.load(f->g.pci, r);
	return error != 0 ? error : virtio_pci_ops.load(f->vp, r);
}

static const struct dev_ops both_ops = { .save = save, .load = load };

static void
use(void *dev)
{
	struct fixture *f = dev;

	vguest_in(&f->g, CONFIG_VECTOR, 2);
}

START_TEST(state_travels)
{
	unsigned stopped = 0;
	struct fixture f, g;

	setup_msix(&f);
	start(&f);
	mask(&f, 1, true);
	echo_one(&f);
	virtio_pci_stop(f.vp, count, &stopped);
	ck_assert_uint_eq(stopped, 1);
	setup_guest(&g);
	vguest_add_msi(&g.g);
	setup_device(&g);
	testhost_round_trip(&both_ops, &f, &g);
	memcpy(g.g.gm.range[0].hva, f.g.gm.range[0].hva, VGUEST_MEM);
	g.r = f.r;
	g.r.mem = g.g.gm.range[0].hva;
	virtio_pci_resume(g.vp);
	ck_assert_uint_eq(vguest_in(&g.g, CONFIG_VECTOR, 2), 0);
	ck_assert_uint_eq(queue_vector(&g, 0), 1);
	ck_assert_uint_eq(pending(&g), 2);
	mask(&g, 1, false);
	ck_assert_uint_eq(msirig_sent(&g.g.msi, 1), 1);
	echo_one(&g);
	ck_assert_uint_eq(msirig_sent(&g.g.msi, 1), 1);
	virtio_pci_stop(g.vp, count, &stopped);
	testhost_corrupt(&both_ops, &f, &g, use);
	vguest_set_status(&g.g, 0);
	teardown(&f);
	teardown(&g);
}
END_TEST

static void *
run_loop(void *arg)
{
	loop_run(arg);
	return NULL;
}

static void
break_loop(void *arg)
{
	loop_break(arg);
}

/*
 * The loop signals while the guest masks, unmasks and moves its vector: each
 * batch that came back is told by a message at last.
 */
START_TEST(storm_of_masks)
{
	struct loop_task end = { .fn = break_loop };
	uint32_t id, len;
	struct fixture f;
	unsigned i, spins, used = 1;
	pthread_t t;

	setup_msix(&f);
	end.arg = f.loop;
	f.g.threaded = true;
	ck_assert_int_eq(pthread_create(&t, NULL, run_loop, f.loop), 0);
	ck_assert_uint_eq(vguest_negotiate(&f.g, CORE), 0x0b);
	set_queue_vector(&f, 0, used);
	vguest_queue(&f.g, &f.r, 0, 8);
	vguest_set_status(&f.g, 0x0f);
	for (i = 0; i < 500; i++) {
		offer(&f, 0, 4);
		vguest_notify(&f.g, 0);
		for (spins = 0; msirig_sent(&f.g.msi, used) == 0; spins++) {
			mask(&f, used, true);
			if ((spins & 7) == 0)
				sched_yield();
			mask(&f, used, false);
		}
		ck_assert(vring_take(&f.r, &id, &len));
		used = 1 + i % ECHO_QUEUES;
		set_queue_vector(&f, 0, used);
	}
	vguest_set_status(&f.g, 0);
	loop_post(f.loop, &end);
	pthread_join(t, NULL);
	f.g.threaded = false;
	teardown(&f);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("virtio_msix");

	tcase_add_test(tc, capability);
	tcase_add_test(tc, vector_registers);
	tcase_add_test(tc, no_descriptors);
	tcase_add_test(tc, queue_interrupts_by_its_vector);
	tcase_add_test(tc, configuration_interrupts_by_its_own);
	tcase_add_test(tc, masked_queue_waits);
	tcase_add_test(tc, pin_while_disabled);
	tcase_add_test(tc, machine_reset);
	tcase_add_test(tc, state_travels);
	tcase_add_test(tc, storm_of_masks);
	return test_main("virtio_msix", tc);
}
