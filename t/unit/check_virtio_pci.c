/* SPDX-License-Identifier: ISC */
/*
 * virtio over PCI: what the registers say, which negotiations succeed, how
 * chains, notifications and interrupts travel.
 */
#include "echo.h"

START_TEST(identity_and_capabilities)
{
	struct fixture f;
	unsigned cap, type, seen = 0;

	setup(&f);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, 0, 4), 0x107f1af4);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, 0x08, 1), 1);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, 0x2c, 2), 0x1af4);
	ck_assert_uint_ge(vguest_conf(&f.g, 1, 0x2e, 2), 0x40);
	/* Where each structure must be, and how long. */
	for (cap = vguest_conf(&f.g, 1, 0x34, 1); cap != 0;
	    cap = vguest_conf(&f.g, 1, cap + 1, 1)) {
		uint32_t off = vguest_conf(&f.g, 1, cap + 8, 4);
		uint32_t len = vguest_conf(&f.g, 1, cap + 12, 4);

		ck_assert_uint_eq(vguest_conf(&f.g, 1, cap, 1), 0x09);
		ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 4, 1), 0);
		type = vguest_conf(&f.g, 1, cap + 3, 1);
		seen |= 1u << type;
		if (type == 1) {
			ck_assert_uint_eq(off % 4, 0);
			ck_assert_uint_eq(len, 0x38);
		} else if (type == 2) {
			ck_assert_uint_eq(off, VIRTIO_PCI_NOTIFY);
			ck_assert_uint_eq(len, 2 * ECHO_QUEUES);
			ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 2, 1), 20);
			ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 4),
			    2);
		} else if (type == 4) {
			ck_assert_uint_eq(off, VIRTIO_PCI_CONFIG);
			ck_assert_uint_eq(len, 8);
		}
	}
	ck_assert_uint_eq(seen, 0x3e);
	teardown(&f);
}
END_TEST

START_TEST(registers_after_creation)
{
	struct fixture f;

	setup(&f);
	ck_assert_uint_eq(vguest_offered(&f.g),
	    CORE | INDIRECT | EVENT_IDX | ECHO_FEATURE);
	vguest_out(&f.g, 0x00, 4, 2);
	ck_assert_uint_eq(vguest_in(&f.g, 0x04, 4), 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x10, 2), 0xffff);
	ck_assert_uint_eq(vguest_in(&f.g, 0x12, 2), ECHO_QUEUES);
	ck_assert_uint_eq(vguest_in(&f.g, 0x14, 1), 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x15, 1), 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x18, 2), 16);
	ck_assert_uint_eq(vguest_in(&f.g, 0x1a, 2), 0xffff);
	vguest_out(&f.g, 0x1a, 2, 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x1a, 2), 0xffff);
	vguest_out(&f.g, 0x16, 2, ECHO_QUEUES - 1);
	ck_assert_uint_eq(vguest_in(&f.g, 0x18, 2), 16);
	ck_assert_uint_eq(vguest_in(&f.g, 0x1e, 2), ECHO_QUEUES - 1);
	/* A queue that is not there. */
	vguest_out(&f.g, 0x16, 2, ECHO_QUEUES);
	ck_assert_uint_eq(vguest_in(&f.g, 0x18, 2), 0);
	vguest_out(&f.g, 0x18, 2, 8);
	vguest_out(&f.g, 0x1c, 2, 1);
	ck_assert_uint_eq(vguest_in(&f.g, 0x1c, 2), 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x20, 4), 0);
	vguest_out(&f.g, 0x16, 2, 0xffff);
	ck_assert_uint_eq(vguest_in(&f.g, 0x18, 2), 0);
	teardown(&f);
}
END_TEST

/* Only the natural width of a field reaches it. */
START_TEST(widths)
{
	struct fixture f;

	setup(&f);
	ck_assert_uint_eq(vguest_in(&f.g, 0x12, 1), 0xff);
	ck_assert_uint_eq(vguest_in(&f.g, 0x12, 4), UINT32_MAX);
	ck_assert_uint_eq(vguest_in(&f.g, 0x14, 2), 0xffff);
	ck_assert_uint_eq(vguest_in(&f.g, 0x02, 2), 0xffff);
	vguest_out(&f.g, 0x14, 2, 1);
	vguest_out(&f.g, 0x14, 4, 1);
	ck_assert_uint_eq(vguest_status(&f.g), 0);
	vguest_out(&f.g, 0x16, 4, 1);
	ck_assert_uint_eq(vguest_in(&f.g, 0x16, 2), 0);
	vguest_out(&f.g, 0x20, 2, 0x1000);
	ck_assert_uint_eq(vguest_in(&f.g, 0x20, 4), 0);
	/* The type's own space takes every width inside it, none beyond. */
	vguest_out(&f.g, 0x80, 4, 0x44332211);
	vguest_out(&f.g, 0x86, 2, 0x8877);
	ck_assert_uint_eq(vguest_in(&f.g, 0x81, 1), 0x22);
	ck_assert_uint_eq(vguest_in(&f.g, 0x84, 4), 0x88770000);
	ck_assert_uint_eq(vguest_in(&f.g, 0x87, 1), 0x88);
	ck_assert_uint_eq(vguest_in(&f.g, 0x87, 2), 0xffff);
	ck_assert_uint_eq(vguest_in(&f.g, 0x88, 1), 0xff);
	vguest_out(&f.g, 0x88, 1, 1);
	ck_assert_uint_eq(vguest_in(&f.g, 0x7f, 1), 0xff);
	ck_assert_uint_eq(vguest_in(&f.g, 0x38, 2), 0xffff);
	ck_assert_uint_eq(vguest_in(&f.g, 0x1ff, 1), 0xff);
	teardown(&f);
}
END_TEST

START_TEST(negotiation)
{
	struct fixture f;

	setup(&f);
	ck_assert_uint_eq(vguest_negotiate(&f.g, CORE), 0x0b);
	ck_assert_uint_eq(vguest_negotiate(&f.g,
	    CORE | EVENT_IDX | ECHO_FEATURE), 0x0b);
	/* Frozen from then on. */
	vguest_out(&f.g, 0x0c, 4, 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x0c, 4), 1);
	ck_assert_uint_eq(vguest_negotiate(&f.g, ECHO_FEATURE), 0x03);
	ck_assert_uint_eq(vguest_negotiate(&f.g, CORE | 1), 0x03);
	ck_assert_uint_eq(vguest_negotiate(&f.g, CORE | 1ull << 63), 0x03);
	/* A driver may try again with less. */
	vguest_out(&f.g, 0x0c, 4, 1);
	vguest_set_status(&f.g, 0x0b);
	ck_assert_uint_eq(vguest_status(&f.g), 0x0b);
	/* A bit from 64 up, which has no register of its own. */
	ck_assert_uint_eq(vguest_negotiate(&f.g, 0), 0x03);
	vguest_out(&f.g, 0x08, 4, 2);
	vguest_out(&f.g, 0x0c, 4, 0);
	vguest_out(&f.g, 0x08, 4, 1);
	vguest_out(&f.g, 0x0c, 4, 1);
	vguest_set_status(&f.g, 0x0b);
	ck_assert_uint_eq(vguest_status(&f.g), 0x0b);
	ck_assert_uint_eq(vguest_negotiate(&f.g, 0), 0x03);
	vguest_out(&f.g, 0x08, 4, 3);
	vguest_out(&f.g, 0x0c, 4, 4);
	vguest_out(&f.g, 0x08, 4, 1);
	vguest_out(&f.g, 0x0c, 4, 1);
	vguest_set_status(&f.g, 0x0b);
	ck_assert_uint_eq(vguest_status(&f.g), 0x03);
	teardown(&f);
}
END_TEST

START_TEST(status_only_grows)
{
	struct fixture f;

	setup(&f);
	vguest_set_status(&f.g, 0x07);
	ck_assert_uint_eq(vguest_status(&f.g), 0x03);
	ck_assert_uint_eq(f.e.started, 0);
	ck_assert_uint_eq(vguest_negotiate(&f.g, CORE), 0x0b);
	vguest_set_status(&f.g, 0x01);
	ck_assert_uint_eq(vguest_status(&f.g), 0x0b);
	vguest_set_status(&f.g, 0x70);
	ck_assert_uint_eq(vguest_status(&f.g), 0x0b);
	vguest_set_status(&f.g, 0x0f);
	vguest_set_status(&f.g, 0x0f);
	ck_assert_uint_eq(f.e.started, 1);
	vguest_set_status(&f.g, 0x8f);
	ck_assert_uint_eq(vguest_status(&f.g), 0x8f);
	vguest_set_status(&f.g, 0);
	ck_assert_uint_eq(vguest_status(&f.g), 0);
	teardown(&f);
}
END_TEST

START_TEST(queue_registers)
{
	struct fixture f;
	static const uint16_t bad[] = { 0, 3, 17, 32 };
	unsigned i;

	setup(&f);
	vguest_negotiate(&f.g, CORE);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		vguest_out(&f.g, 0x18, 2, bad[i]);
		ck_assert_uint_eq(vguest_in(&f.g, 0x18, 2), 16);
	}
	vguest_out(&f.g, 0x18, 2, 4);
	vguest_out(&f.g, 0x20, 4, 0x11111110);
	vguest_out(&f.g, 0x24, 4, 0x22222222);
	vguest_out(&f.g, 0x28, 4, 0x33333330);
	vguest_out(&f.g, 0x34, 4, 0x44444444);
	ck_assert_uint_eq(vguest_in(&f.g, 0x20, 4), 0x11111110);
	ck_assert_uint_eq(vguest_in(&f.g, 0x24, 4), 0x22222222);
	ck_assert_uint_eq(vguest_in(&f.g, 0x28, 4), 0x33333330);
	ck_assert_uint_eq(vguest_in(&f.g, 0x2c, 4), 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x34, 4), 0x44444444);
	/* Only 1 enables, and then nothing moves until the reset. */
	vguest_out(&f.g, 0x1c, 2, 2);
	ck_assert_uint_eq(vguest_in(&f.g, 0x1c, 2), 0);
	vguest_out(&f.g, 0x1c, 2, 1);
	ck_assert_uint_eq(vguest_in(&f.g, 0x1c, 2), 1);
	vguest_out(&f.g, 0x1c, 2, 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x1c, 2), 1);
	vguest_out(&f.g, 0x18, 2, 8);
	ck_assert_uint_eq(vguest_in(&f.g, 0x18, 2), 4);
	vguest_out(&f.g, 0x20, 4, 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x20, 4), 0x11111110);
	vguest_set_status(&f.g, 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x1c, 2), 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x18, 2), 16);
	ck_assert_uint_eq(vguest_in(&f.g, 0x20, 4), 0);
	teardown(&f);
}
END_TEST

START_TEST(chain_comes_back_with_an_interrupt)
{
	struct fixture f;
	uint32_t id, len;

	setup(&f);
	vguest_start(&f.g, &f.r, 8, CORE);
	vguest_turn(&f.g);
	ck_assert(!vguest_line(&f.g));
	offer(&f, 3, 17);
	vguest_notify(&f.g, 0);
	ck_assert_uint_eq(vguest_wait_irq(&f.g), VIRTIO_ISR_QUEUE);
	ck_assert_uint_eq(vguest_in(&f.g, 0x40, 1), 0);
	ck_assert(vring_take(&f.r, &id, &len));
	ck_assert_uint_eq(id, 3);
	ck_assert_uint_eq(len, 17);
	teardown(&f);
}
END_TEST

/* What was offered before DRIVER_OK is found without a notification. */
START_TEST(early_chains_are_found)
{
	struct fixture f;
	uint32_t id, len;

	setup(&f);
	ck_assert_uint_eq(vguest_negotiate(&f.g, CORE), 0x0b);
	vguest_queue(&f.g, &f.r, 0, 8);
	offer(&f, 1, 4);
	vguest_notify(&f.g, 0);
	vguest_turn(&f.g);
	ck_assert_uint_eq(f.e.notified, 0);
	ck_assert(!vring_take(&f.r, &id, &len));
	vguest_set_status(&f.g, 0x0f);
	ck_assert_uint_eq(vguest_wait_irq(&f.g), VIRTIO_ISR_QUEUE);
	ck_assert(vring_take(&f.r, &id, &len));
	teardown(&f);
}
END_TEST

START_TEST(notify_port_and_width)
{
	struct fixture f;
	unsigned before;

	setup(&f);
	vguest_start(&f.g, &f.r, 8, CORE);
	vguest_turn(&f.g);
	before = f.e.notified;
	vguest_out(&f.g, 0x100, 1, 0);
	vguest_out(&f.g, 0x100, 4, 0);
	vguest_out(&f.g, 0x101, 2, 0);
	vguest_out(&f.g, 0x102, 2, 0);		/* queue 1: not enabled */
	vguest_out(&f.g, 0x100 + 2 * ECHO_QUEUES, 2, 0);
	vguest_out(&f.g, 0x1fe, 2, 0);
	vguest_turn(&f.g);
	ck_assert_uint_eq(f.e.notified, before);
	/* Two in one turn are one; the value says nothing. */
	vguest_out(&f.g, 0x100, 2, 0xbeef);
	vguest_out(&f.g, 0x100, 2, 0);
	vguest_turn(&f.g);
	ck_assert_uint_eq(f.e.notified, before + 1);
	teardown(&f);
}
END_TEST

START_TEST(one_interrupt_for_a_batch)
{
	struct fixture f;
	uint32_t id, len;
	unsigned i, irq;

	setup(&f);
	irq = vguest_conf(&f.g, 1, 0x3c, 1);
	vguest_start(&f.g, &f.r, 8, CORE);
	vguest_turn(&f.g);
	for (i = 0; i < 8; i++)
		offer(&f, i, 1);
	vguest_notify(&f.g, 0);
	vguest_wait_irq(&f.g);
	for (i = 0; i < 8; i++)
		ck_assert(vring_take(&f.r, &id, &len));
	vguest_turn(&f.g);
	pci_fold_intx(f.g.pci);
	ck_assert_uint_eq(f.g.t.rises[irq], 1);
	teardown(&f);
}
END_TEST

START_TEST(window_of_configuration_space)
{
	struct fixture f;
	unsigned cap;

	setup(&f);
	for (cap = vguest_conf(&f.g, 1, 0x34, 1);
	    vguest_conf(&f.g, 1, cap + 3, 1) != 5;
	    cap = vguest_conf(&f.g, 1, cap + 1, 1))
		continue;
	vguest_set_conf(&f.g, 1, cap + 8, 4, 0x14);
	vguest_set_conf(&f.g, 1, cap + 12, 4, 1);
	vguest_set_conf(&f.g, 1, cap + 16, 1, 0x03);
	ck_assert_uint_eq(vguest_status(&f.g), 0x03);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 1), 0x03);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 4), 0x03);
	/* Only the first `length` bytes count. */
	vguest_set_conf(&f.g, 1, cap + 16, 4, 0xffffff00);
	ck_assert_uint_eq(vguest_status(&f.g), 0);
	vguest_set_conf(&f.g, 1, cap + 8, 4, 0x12);
	vguest_set_conf(&f.g, 1, cap + 12, 4, 2);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 2), ECHO_QUEUES);
	/* Too narrow, not at its start, misaligned, odd length, no BAR. */
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 1), 0xff);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 18, 2), 0xffff);
	vguest_set_conf(&f.g, 1, cap + 8, 4, 0x13);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 2), 0xffff);
	vguest_set_conf(&f.g, 1, cap + 12, 4, 3);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 4), UINT32_MAX);
	vguest_set_conf(&f.g, 1, cap + 12, 4, 0);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 4), UINT32_MAX);
	vguest_set_conf(&f.g, 1, cap + 8, 4, 0x12);
	vguest_set_conf(&f.g, 1, cap + 12, 4, 2);
	vguest_set_conf(&f.g, 1, cap + 4, 1, 1);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 2), 0xffff);
	vguest_set_conf(&f.g, 1, cap + 4, 1, 0);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 2), ECHO_QUEUES);
	/* The last dword of the BAR, one past it, and far away. */
	vguest_set_conf(&f.g, 1, cap + 12, 4, 4);
	vguest_set_conf(&f.g, 1, cap + 8, 4, 0x1fc);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 4), UINT32_MAX);
	vguest_set_conf(&f.g, 1, cap + 8, 4, 0x200);
	vguest_set_conf(&f.g, 1, cap + 16, 4, 1);
	vguest_set_conf(&f.g, 1, cap + 8, 4, 0xfffffffc);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 4), UINT32_MAX);
	teardown(&f);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("virtio_pci");

	tcase_add_test(tc, identity_and_capabilities);
	tcase_add_test(tc, registers_after_creation);
	tcase_add_test(tc, widths);
	tcase_add_test(tc, negotiation);
	tcase_add_test(tc, status_only_grows);
	tcase_add_test(tc, queue_registers);
	tcase_add_test(tc, chain_comes_back_with_an_interrupt);
	tcase_add_test(tc, early_chains_are_found);
	tcase_add_test(tc, notify_port_and_width);
	tcase_add_test(tc, one_interrupt_for_a_batch);
	tcase_add_test(tc, window_of_configuration_space);
	return test_main("virtio_pci", tc);
}
