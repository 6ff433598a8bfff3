/* SPDX-License-Identifier: ISC */
/*
 * The keyboard controller: each way to reset a guest and none else resets it,
 * and what drivers ask is answered in the order they ask it.
 */
#include "devices/i8042.h"
#include "testhost.h"

#define IRQ	1

static uint8_t
data(struct i8042 *k)
{
	return (uint8_t)i8042_pio_data.in(k, 0, 1);
}

static uint8_t
status(struct i8042 *k)
{
	return (uint8_t)i8042_pio_command.in(k, 0, 1);
}

static void
send(struct i8042 *k, uint8_t val)
{
	i8042_pio_data.out(k, 0, 1, val);
}

static void
command(struct i8042 *k, uint8_t val)
{
	i8042_pio_command.out(k, 0, 1, val);
}

static void
make(struct testhost *t, struct i8042 *k)
{
	testhost_init(t);
	i8042_init(k, &t->host, IRQ);
}

START_TEST(power_on)
{
	struct testhost t;
	struct i8042 k;

	make(&t, &k);
	/* Ready for a command, nothing to read, not locked. */
	ck_assert_uint_eq(status(&k), 0x14);
	ck_assert(!t.line[IRQ]);
	ck_assert_uint_eq(t.resets, 0);
}
END_TEST

/* f0 to ff pulse the lines whose bits are clear; bit 0 is the reset. */
START_TEST(reset_by_pulse)
{
	struct testhost t;
	struct i8042 k;
	unsigned cmd;

	make(&t, &k);
	for (cmd = 0; cmd < 0x100; cmd++) {
		t.resets = 0;
		command(&k, (uint8_t)cmd);
		ck_assert_uint_eq(t.resets, cmd >= 0xf0 && cmd % 2 == 0);
	}
}
END_TEST

START_TEST(reset_by_output_port)
{
	struct testhost t;
	struct i8042 k;

	make(&t, &k);
	command(&k, 0xd1);
	send(&k, 0xdf);
	ck_assert_uint_eq(t.resets, 0);
	command(&k, 0xd1);
	send(&k, 0xde);
	ck_assert_uint_eq(t.resets, 1);
	/* Only the byte after the command is for the port. */
	send(&k, 0x00);
	ck_assert_uint_eq(t.resets, 1);
	command(&k, 0xd1);
	command(&k, 0xaa);
	send(&k, 0x00);
	ck_assert_uint_eq(t.resets, 1);
}
END_TEST

START_TEST(reset_by_port_92)
{
	struct testhost t;
	struct i8042 k;

	make(&t, &k);
	i8042_pio_porta.out(&k, 0, 1, 0x02);
	ck_assert_uint_eq(t.resets, 0);
	i8042_pio_porta.out(&k, 0, 1, 0x03);
	ck_assert_uint_eq(t.resets, 1);
	ck_assert_uint_eq(i8042_pio_porta.in(&k, 0, 1), 0x02);
}
END_TEST

START_TEST(a20_has_three_handles)
{
	struct testhost t;
	struct i8042 k;

	make(&t, &k);
	command(&k, 0xd0);
	ck_assert_uint_eq(data(&k), 0x03);
	command(&k, 0xdd);
	ck_assert_uint_eq(i8042_pio_porta.in(&k, 0, 1), 0x00);
	command(&k, 0xdf);
	ck_assert_uint_eq(i8042_pio_porta.in(&k, 0, 1), 0x02);
	i8042_pio_porta.out(&k, 0, 1, 0x00);
	command(&k, 0xd0);
	ck_assert_uint_eq(data(&k), 0x01);
	command(&k, 0xd1);
	send(&k, 0x03);
	ck_assert_uint_eq(i8042_pio_porta.in(&k, 0, 1), 0x02);
	ck_assert_uint_eq(t.resets, 0);
}
END_TEST

START_TEST(tests_and_mode)
{
	struct testhost t;
	struct i8042 k;

	make(&t, &k);
	command(&k, 0x20);
	ck_assert_uint_eq(status(&k), 0x1d);
	ck_assert_uint_eq(data(&k), 0x65);
	ck_assert_uint_eq(status(&k), 0x1c);
	command(&k, 0x60);
	send(&k, 0x30);
	ck_assert_uint_eq(status(&k), 0x10);
	command(&k, 0x20);
	ck_assert_uint_eq(data(&k), 0x30);
	command(&k, 0xaa);
	ck_assert_uint_eq(data(&k), 0x55);
	ck_assert_uint_eq(status(&k), 0x1c);
	command(&k, 0xab);
	ck_assert_uint_eq(data(&k), 0x00);
	command(&k, 0xae);
	command(&k, 0xa8);
	command(&k, 0x20);
	ck_assert_uint_eq(data(&k), 0x00);
	command(&k, 0xad);
	command(&k, 0xa7);
	command(&k, 0x20);
	ck_assert_uint_eq(data(&k), 0x30);
	command(&k, 0xc0);
	ck_assert_uint_eq(data(&k), 0x80);
}
END_TEST

/* Only cell 0 of the RAM exists; the others take their byte all the same. */
START_TEST(ram_edges)
{
	struct testhost t;
	struct i8042 k;

	make(&t, &k);
	command(&k, 0x61);
	send(&k, 0xff);
	command(&k, 0x7f);
	send(&k, 0xff);
	ck_assert_uint_eq(status(&k) & 0x01, 0);
	command(&k, 0x3f);
	ck_assert_uint_eq(data(&k), 0x00);
	command(&k, 0x40);
	ck_assert_uint_eq(status(&k) & 0x01, 0);
	command(&k, 0x20);
	ck_assert_uint_eq(data(&k), 0x65);
}
END_TEST

/* No byte carries the auxiliary bit, and the interface test fails. */
START_TEST(no_aux_port)
{
	struct testhost t;
	struct i8042 k;

	make(&t, &k);
	command(&k, 0xd3);
	send(&k, 0x5a);
	ck_assert_uint_eq(status(&k) & 0x21, 0x01);
	ck_assert_uint_eq(data(&k), 0x5a);
	command(&k, 0xa9);
	ck_assert_uint_eq(status(&k) & 0x21, 0x01);
	ck_assert_uint_eq(data(&k), 0x01);
	command(&k, 0xd4);
	send(&k, 0xf2);
	ck_assert_uint_eq(status(&k) & 0x61, 0x41);
	ck_assert_uint_eq(data(&k), 0xfe);
}
END_TEST

/* A keyboard's byte is refused at once, by interrupt if that is on. */
START_TEST(no_keyboard)
{
	struct testhost t;
	struct i8042 k;

	make(&t, &k);
	send(&k, 0xf2);
	ck_assert(t.line[IRQ]);
	ck_assert_uint_eq(status(&k), 0x55);
	ck_assert_uint_eq(data(&k), 0xfe);
	ck_assert_uint_eq(status(&k), 0x14);
	ck_assert(!t.line[IRQ]);
	send(&k, 0xf2);
	send(&k, 0xed);
	ck_assert_uint_eq(t.rises[IRQ], 3);
	(void)data(&k);
	command(&k, 0x60);
	send(&k, 0x44);
	send(&k, 0xf2);
	ck_assert(!t.line[IRQ]);
	ck_assert_uint_eq(status(&k) & 0x41, 0x41);
	command(&k, 0x60);
	send(&k, 0x45);
	ck_assert(t.line[IRQ]);
	i8042_dev_ops.reset(&k);
	ck_assert(!t.line[IRQ]);
}
END_TEST

static void
use(void *dev)
{
	unsigned i;

	for (i = 0; i < 256; i++) {
		command(dev, (uint8_t)i);
		send(dev, (uint8_t)(i * 7));
		(void)data(dev);
		(void)status(dev);
	}
}

START_TEST(random_programs)
{
	uint64_t seed = 0x1234567887654321ULL;
	struct i8042 k, other;
	struct testhost t, t2;
	unsigned i;
	uint32_t x;

	make(&t, &k);
	make(&t2, &other);
	for (i = 0; i < 50000; i++) {
		x = test_random(&seed);
		switch (x % 5) {
		case 0:
			command(&k, (uint8_t)(x >> 8));
			break;
		case 1:
			send(&k, (uint8_t)(x >> 8));
			break;
		case 2:
			i8042_pio_porta.out(&k, 0, 1, x >> 8 & 0xff);
			break;
		case 3:
			(void)data(&k);
			break;
		default:
			/* Never busy: nobody waits for us. */
			ck_assert_uint_eq(status(&k) & 0x02, 0);
			break;
		}
		ck_assert(t.line[IRQ] == k.line);
		if (i % 64 == 0)
			testhost_round_trip(&i8042_dev_ops, &k, &other);
	}
	ck_assert_uint_gt(t.resets, 0);
}
END_TEST

START_TEST(hostile_state)
{
	struct testhost t;
	struct i8042 k, other;

	make(&t, &k);
	make(&t, &other);
	command(&k, 0x60);
	testhost_corrupt(&i8042_dev_ops, &k, &other, use);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("i8042");

	tcase_add_test(tc, power_on);
	tcase_add_test(tc, reset_by_pulse);
	tcase_add_test(tc, reset_by_output_port);
	tcase_add_test(tc, reset_by_port_92);
	tcase_add_test(tc, a20_has_three_handles);
	tcase_add_test(tc, tests_and_mode);
	tcase_add_test(tc, ram_edges);
	tcase_add_test(tc, no_aux_port);
	tcase_add_test(tc, no_keyboard);
	tcase_add_test(tc, random_programs);
	tcase_add_test(tc, hostile_state);
	return test_main("i8042", tc);
}
