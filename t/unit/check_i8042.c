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

static void
expect(struct i8042 *k, const uint8_t *p, size_t n)
{
	for (; n > 0; n--, p++) {
		ck_assert_uint_eq(status(k) & 0x41, 0x01);
		ck_assert_uint_eq(data(k), *p);
	}
	ck_assert_uint_eq(status(k) & 0x41, 0);
}

#define EXPECT(k, ...)						\
	do {							\
		const uint8_t want[] = { __VA_ARGS__ };		\
								\
		expect(k, want, sizeof(want));			\
	} while (0)

static void
set_mode(struct i8042 *k, uint8_t mode)
{
	command(k, 0x60);
	send(k, mode);
}

static void
press(struct i8042 *k)
{
	i8042_ctrl_alt_del(k);
	ck_assert_uint_eq(i8042_dev_ops.fold(k, 0), DEV_NO_DEADLINE);
}

/* Each byte is an edge of the line, if that is on. */
START_TEST(keyboard_answers)
{
	struct testhost t;
	struct i8042 k;

	make(&t, &k);
	send(&k, 0xf2);
	ck_assert(t.line[IRQ]);
	EXPECT(&k, 0xfa, 0xab, 0x41);
	ck_assert(!t.line[IRQ]);
	ck_assert_uint_eq(t.rises[IRQ], 3);
	send(&k, 0xff);
	EXPECT(&k, 0xfa, 0xaa);
	ck_assert_uint_eq(t.rises[IRQ], 5);
	set_mode(&k, 0x44);
	send(&k, 0xee);
	ck_assert(!t.line[IRQ]);
	set_mode(&k, 0x45);
	ck_assert(t.line[IRQ]);
	i8042_dev_ops.reset(&k);
	ck_assert(!t.line[IRQ]);
	ck_assert_uint_eq(status(&k), 0x14);
}
END_TEST

START_TEST(keyboard_commands)
{
	struct testhost t;
	struct i8042 k;

	make(&t, &k);
	set_mode(&k, 0x05);
	send(&k, 0xf2);
	EXPECT(&k, 0xfa, 0xab, 0x83);
	send(&k, 0xfe);
	EXPECT(&k, 0x83);
	send(&k, 0xed);
	EXPECT(&k, 0xfa);
	send(&k, 0x07);
	EXPECT(&k, 0xfa);
	send(&k, 0xf3);
	EXPECT(&k, 0xfa);
	/* The first that is a command again, and the last that is none. */
	send(&k, 0xed);
	EXPECT(&k, 0xfa);
	send(&k, 0xec);
	EXPECT(&k, 0xfa);
	send(&k, 0xec);
	EXPECT(&k, 0xfe);
	send(&k, 0xf0);
	EXPECT(&k, 0xfa);
	send(&k, 0x00);
	EXPECT(&k, 0xfa, 0x02);
	send(&k, 0xf0);
	EXPECT(&k, 0xfa);
	send(&k, 0x02);
	EXPECT(&k, 0xfa);
	send(&k, 0xf0);
	EXPECT(&k, 0xfa);
	send(&k, 0x03);
	EXPECT(&k, 0xfe);
}
END_TEST

START_TEST(ctrl_alt_del)
{
	struct testhost t;
	struct i8042 k;

	make(&t, &k);
	i8042_ctrl_alt_del(&k);
	ck_assert_uint_eq(t.attentions, 1);
	ck_assert_uint_eq(status(&k), 0x14);
	(void)i8042_dev_ops.fold(&k, 0);
	ck_assert_uint_eq(t.rises[IRQ], 1);
	EXPECT(&k, 0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d);
	ck_assert_uint_eq(t.rises[IRQ], 8);
	(void)i8042_dev_ops.fold(&k, 0);
	ck_assert_uint_eq(status(&k), 0x14);
	set_mode(&k, 0x05);
	press(&k);
	/* Whose keys are still down cannot press them again. */
	press(&k);
	EXPECT(&k, 0x14, 0x11, 0xe0, 0x71,
	    0xe0, 0xf0, 0x71, 0xf0, 0x11, 0xf0, 0x14);
}
END_TEST

/* Without its interrupt the keys wait to be polled. */
/* From a driver's enabling of it to the next reset, or its disabling. */
START_TEST(heard_by_a_driver)
{
	struct testhost t;
	struct i8042 k;

	make(&t, &k);
	ck_assert(!i8042_is_heard(&k));
	send(&k, 0xed);
	send(&k, 0x00);
	ck_assert(!i8042_is_heard(&k));
	send(&k, 0xf4);
	ck_assert(i8042_is_heard(&k));
	send(&k, 0xed);
	send(&k, 0x07);
	ck_assert(i8042_is_heard(&k));
	send(&k, 0xf5);
	ck_assert(!i8042_is_heard(&k));
	send(&k, 0xf6);
	ck_assert(!i8042_is_heard(&k));
	send(&k, 0xf4);
	i8042_dev_ops.reset(&k);
	ck_assert(!i8042_is_heard(&k));
}
END_TEST

START_TEST(ctrl_alt_del_held_back)
{
	struct testhost t;
	struct i8042 k;

	make(&t, &k);
	set_mode(&k, 0x44);
	press(&k);
	ck_assert_uint_eq(t.rises[IRQ], 0);
	EXPECT(&k, 0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d);
	/* With the interface off they wait for it. */
	command(&k, 0xad);
	press(&k);
	ck_assert_uint_eq(status(&k) & 0x01, 0);
	command(&k, 0xae);
	EXPECT(&k, 0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d);
	/* A keyboard that was told to report none has none. */
	send(&k, 0xf5);
	EXPECT(&k, 0xfa);
	press(&k);
	EXPECT(&k);
	send(&k, 0xf4);
	EXPECT(&k, 0xfa);
	press(&k);
	ck_assert_uint_eq(status(&k) & 0x01, 0x01);
	send(&k, 0xff);
	/* The byte that is out already stays; the rest is forgotten. */
	EXPECT(&k, 0x1d, 0xfa, 0xaa);
}
END_TEST

/* Neither the controller's answers nor the keyboard's lose a key. */
START_TEST(keys_and_answers)
{
	struct testhost t;
	struct i8042 k;

	make(&t, &k);
	press(&k);
	command(&k, 0x20);
	ck_assert(t.line[IRQ]);
	ck_assert_uint_eq(t.rises[IRQ], 2);
	ck_assert_uint_eq(data(&k), 0x65);
	ck_assert(t.line[IRQ]);
	ck_assert_uint_eq(t.rises[IRQ], 3);
	send(&k, 0xf2);
	EXPECT(&k, 0x1d, 0xfa, 0xab, 0x41,
	    0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d);
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
		if (i % 16 == 0)
			press(dev);
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
		switch (x % 6) {
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
		case 4:
			press(&k);
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
	tcase_add_test(tc, keyboard_answers);
	tcase_add_test(tc, keyboard_commands);
	tcase_add_test(tc, ctrl_alt_del);
	tcase_add_test(tc, ctrl_alt_del_held_back);
	tcase_add_test(tc, heard_by_a_driver);
	tcase_add_test(tc, keys_and_answers);
	tcase_add_test(tc, random_programs);
	tcase_add_test(tc, hostile_state);
	return test_main("i8042", tc);
}
