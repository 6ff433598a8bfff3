/* SPDX-License-Identifier: ISC */
/*
 * The 16550A: what drivers probe, the order and the clearing of interrupts,
 * the FIFO's edges, loopback, and flow control towards the backend.
 */
#include "devices/uart.h"
#include "testhost.h"

#define IRQ	4

#define DATA	0
#define IER	1
#define IIR	2
#define FCR	2
#define LCR	3
#define MCR	4
#define LSR	5
#define MSR	6
#define SCR	7

struct rig {
	struct testhost		t;
	struct uart_backend	be;
	struct uart		u;
	char			sent[64];
	size_t			nsent;
	const char		*typed;		/* still to be taken */
	unsigned		asked;		/* calls of input */
};

static void
rig_output(void *cookie, const char *p, size_t n)
{
	struct rig *r = cookie;

	if (n > sizeof(r->sent) - r->nsent)
		r->nsent = 0;
	memcpy(r->sent + r->nsent, p, n);
	r->nsent += n;
}

static size_t
rig_input(void *cookie, char *p, size_t n)
{
	struct rig *r = cookie;
	size_t len = strlen(r->typed);

	r->asked++;
	ck_assert_uint_gt(n, 0);
	n = n < len ? n : len;
	memcpy(p, r->typed, n);
	r->typed += n;
	return n;
}

static void
make(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	testhost_init(&r->t);
	r->typed = "";
	r->be = (struct uart_backend){ rig_output, rig_input, r };
	uart_init(&r->u, &r->t.host, IRQ, &r->be);
}

static uint8_t
in(struct rig *r, uint32_t off)
{
	return (uint8_t)uart_pio.in(&r->u, off, 1);
}

static void
out(struct rig *r, uint32_t off, uint8_t val)
{
	uart_pio.out(&r->u, off, 1, val);
}

static void
type(struct rig *r, const char *text)
{
	r->typed = text;
	ck_assert_uint_eq(uart_dev_ops.fold(&r->u, r->t.now),
	    DEV_NO_DEADLINE);
}

START_TEST(power_on)
{
	struct rig r;

	make(&r);
	ck_assert_uint_eq(in(&r, IER), 0);
	ck_assert_uint_eq(in(&r, IIR), 0x01);
	ck_assert_uint_eq(in(&r, LCR), 0);
	ck_assert_uint_eq(in(&r, MCR), 0);
	ck_assert_uint_eq(in(&r, LSR), 0x60);
	ck_assert_uint_eq(in(&r, MSR), 0xb0);
	ck_assert(!r.t.line[IRQ]);
}
END_TEST

START_TEST(divisor_and_scratch)
{
	struct rig r;

	make(&r);
	out(&r, LCR, 0x83);
	out(&r, DATA, 0x34);
	out(&r, IER, 0x12);
	ck_assert_uint_eq(in(&r, DATA), 0x34);
	ck_assert_uint_eq(in(&r, IER), 0x12);
	out(&r, LCR, 0x03);
	ck_assert_uint_eq(in(&r, IER), 0);
	ck_assert_uint_eq(r.nsent, 0);
	out(&r, SCR, 0xa5);
	ck_assert_uint_eq(in(&r, SCR), 0xa5);
}
END_TEST

/* The steps by which a driver tells a 16550A from its relatives. */
START_TEST(identification)
{
	struct rig r;

	make(&r);
	out(&r, IER, 0xff);
	ck_assert_uint_eq(in(&r, IER), 0x0f);
	out(&r, IER, 0);
	ck_assert_uint_eq(in(&r, IER), 0);
	out(&r, MCR, 0x1a);
	ck_assert_uint_eq(in(&r, MSR) & 0xf0, 0x90);
	out(&r, MCR, 0);
	ck_assert_uint_eq(in(&r, IIR) >> 6, 0);
	out(&r, FCR, 0x01);
	ck_assert_uint_eq(in(&r, IIR) >> 6, 3);
	out(&r, MCR, 0xff);
	ck_assert_uint_eq(in(&r, MCR), 0x1f);
}
END_TEST

START_TEST(output_goes_out_at_once)
{
	struct rig r;

	make(&r);
	out(&r, DATA, 'o');
	out(&r, DATA, 'k');
	ck_assert_uint_eq(r.nsent, 2);
	ck_assert_mem_eq(r.sent, "ok", 2);
	ck_assert_uint_eq(in(&r, LSR), 0x60);
}
END_TEST

/* Enabling it asks for the empty transmitter again each time. */
START_TEST(thre_test_of_linux)
{
	struct rig r;

	make(&r);
	out(&r, IER, 0x02);
	ck_assert_uint_eq(in(&r, IIR), 0x02);
	ck_assert_uint_eq(in(&r, IIR), 0x01);
	out(&r, IER, 0);
	out(&r, IER, 0x02);
	ck_assert_uint_eq(in(&r, LSR), 0x60);
	ck_assert_uint_eq(in(&r, IIR), 0x02);
	out(&r, IER, 0x02);
	ck_assert_uint_eq(in(&r, IIR), 0x01);
}
END_TEST

/* Each byte written makes an edge, as the interrupt controller needs. */
START_TEST(thre_edges)
{
	struct rig r;

	make(&r);
	out(&r, MCR, 0x08);
	out(&r, IER, 0x02);
	ck_assert_uint_eq(r.t.rises[IRQ], 1);
	out(&r, DATA, 'a');
	ck_assert_uint_eq(r.t.rises[IRQ], 2);
	ck_assert(r.t.line[IRQ]);
	ck_assert_uint_eq(in(&r, IIR), 0x02);
	ck_assert(!r.t.line[IRQ]);
	out(&r, DATA, 'b');
	ck_assert_uint_eq(r.t.rises[IRQ], 3);
	out(&r, IER, 0);
	ck_assert(!r.t.line[IRQ]);
}
END_TEST

START_TEST(out2_gates_the_line)
{
	struct rig r;

	make(&r);
	out(&r, IER, 0x02);
	ck_assert(!r.t.line[IRQ]);
	out(&r, MCR, 0x08);
	ck_assert(r.t.line[IRQ]);
	out(&r, MCR, 0x18);
	ck_assert(!r.t.line[IRQ]);
	out(&r, MCR, 0x08);
	ck_assert(r.t.line[IRQ]);
	uart_dev_ops.reset(&r.u);
	ck_assert(!r.t.line[IRQ]);
}
END_TEST

START_TEST(receive_without_fifo)
{
	struct rig r;

	make(&r);
	out(&r, MCR, 0x08);
	out(&r, IER, 0x01);
	type(&r, "hi");
	ck_assert_str_eq(r.typed, "i");
	ck_assert_uint_eq(in(&r, IIR), 0x04);
	ck_assert_uint_eq(in(&r, LSR), 0x61);
	ck_assert_uint_eq(in(&r, DATA), 'h');
	/* Reading made room, which the next byte fills. */
	ck_assert_uint_eq(in(&r, LSR), 0x61);
	ck_assert_uint_eq(in(&r, DATA), 'i');
	ck_assert_uint_eq(in(&r, LSR), 0x60);
	ck_assert(!r.t.line[IRQ]);
	ck_assert_uint_eq(in(&r, DATA), 'i');
}
END_TEST

START_TEST(fifo_holds_sixteen)
{
	static const char text[] = "0123456789abcdefXYZ";
	struct rig r;
	unsigned i;

	make(&r);
	out(&r, FCR, 0x01);
	type(&r, text);
	ck_assert_str_eq(r.typed, "XYZ");
	for (i = 0; i < strlen(text); i++) {
		ck_assert_uint_eq(in(&r, LSR), 0x61);
		ck_assert_uint_eq(in(&r, DATA), text[i]);
	}
	ck_assert_uint_eq(in(&r, LSR), 0x60);
	ck_assert_str_eq(r.typed, "");
}
END_TEST

/* Nothing is asked of the backend once it has said that it is empty. */
START_TEST(no_needless_asking)
{
	struct rig r;
	unsigned asked, i;

	make(&r);
	out(&r, FCR, 0x01);
	type(&r, "abc");
	asked = r.asked;
	for (i = 0; i < 10; i++)
		(void)in(&r, DATA);
	ck_assert_uint_eq(r.asked, asked);
	type(&r, "d");
	ck_assert_uint_eq(r.asked, asked + 1);
	ck_assert_uint_eq(in(&r, DATA), 'd');
}
END_TEST

START_TEST(trigger_levels)
{
	static const unsigned level[] = { 1, 4, 8, 14 };
	static const char text[] = "0123456789abcdef";
	struct rig r;
	unsigned i;

	for (i = 0; i < 4; i++) {
		make(&r);
		out(&r, FCR, (uint8_t)(i << 6 | 0x01));
		out(&r, IER, 0x01);
		ck_assert_uint_eq(in(&r, IIR), 0xc1);
		type(&r, text + 16 - level[i]);
		ck_assert_uint_eq(in(&r, IIR), 0xc4);
		(void)in(&r, DATA);
		/* One below it is for the time-out. */
		ck_assert_uint_eq(in(&r, IIR), level[i] == 1 ? 0xc1 : 0xcc);
	}
}
END_TEST

START_TEST(fifo_clears)
{
	struct rig r;

	make(&r);
	out(&r, FCR, 0x01);
	type(&r, "abc");
	out(&r, FCR, 0x03);
	ck_assert_uint_eq(in(&r, LSR), 0x60);
	type(&r, "abc");
	out(&r, FCR, 0x00);
	ck_assert_uint_eq(in(&r, LSR), 0x60);
	ck_assert_uint_eq(in(&r, IIR), 0x01);
	/* Without bit 0 the others are not taken. */
	type(&r, "x");
	out(&r, FCR, 0xc2);
	ck_assert_uint_eq(in(&r, DATA), 'x');
	ck_assert_uint_eq(in(&r, IIR), 0x01);
}
END_TEST

START_TEST(loopback)
{
	struct rig r;
	unsigned i;

	make(&r);
	out(&r, MCR, 0x10);
	out(&r, FCR, 0x01);
	for (i = 0; i < 16; i++)
		out(&r, DATA, (uint8_t)(0x40 + i));
	ck_assert_uint_eq(in(&r, LSR), 0x61);
	out(&r, DATA, 0x50);
	ck_assert_uint_eq(in(&r, LSR), 0x63);
	ck_assert_uint_eq(in(&r, LSR), 0x61);
	for (i = 0; i < 16; i++)
		ck_assert_uint_eq(in(&r, DATA), 0x40 + i);
	ck_assert_uint_eq(in(&r, LSR), 0x60);
	ck_assert_uint_eq(r.nsent, 0);
	/* The far end's bytes wait outside. */
	type(&r, "q");
	ck_assert_uint_eq(in(&r, LSR), 0x60);
	out(&r, MCR, 0);
	ck_assert_uint_eq(in(&r, DATA), 'q');
}
END_TEST

START_TEST(loopback_without_fifo_overruns)
{
	struct rig r;

	make(&r);
	out(&r, MCR, 0x10);
	out(&r, DATA, 'a');
	out(&r, DATA, 'b');
	ck_assert_uint_eq(in(&r, LSR), 0x63);
	ck_assert_uint_eq(in(&r, DATA), 'b');
	ck_assert_uint_eq(in(&r, LSR), 0x60);
}
END_TEST

/* A break is reported when its byte is the oldest, and once. */
START_TEST(breaks)
{
	struct rig r;

	make(&r);
	out(&r, FCR, 0x01);
	out(&r, MCR, 0x10);
	out(&r, IER, 0x05);
	out(&r, DATA, 'a');
	out(&r, LCR, 0x43);
	ck_assert_uint_eq(in(&r, LSR), 0xe1);
	ck_assert_uint_eq(in(&r, IIR), 0xc4);
	ck_assert_uint_eq(in(&r, DATA), 'a');
	ck_assert_uint_eq(in(&r, IIR), 0xc6);
	ck_assert_uint_eq(in(&r, LSR), 0xf1);
	ck_assert_uint_eq(in(&r, LSR), 0x61);
	ck_assert_uint_eq(in(&r, IIR), 0xc4);
	ck_assert_uint_eq(in(&r, DATA), 0);
	ck_assert_uint_eq(in(&r, IIR), 0xc1);
	out(&r, LCR, 0x43);
	ck_assert_uint_eq(in(&r, LSR), 0x60);
	/* Towards the far end there is no such thing. */
	out(&r, MCR, 0);
	out(&r, LCR, 0x03);
	out(&r, LCR, 0x43);
	ck_assert_uint_eq(r.nsent, 0);
	ck_assert_uint_eq(in(&r, LSR), 0x60);
}
END_TEST

START_TEST(modem_status)
{
	struct rig r;

	make(&r);
	out(&r, IER, 0x08);
	out(&r, MCR, 0x10);
	ck_assert_uint_eq(in(&r, IIR), 0x00);
	ck_assert_uint_eq(in(&r, MSR), 0x0b);	/* all three fell */
	ck_assert_uint_eq(in(&r, MSR), 0x00);
	ck_assert_uint_eq(in(&r, IIR), 0x01);
	out(&r, MCR, 0x14);			/* ring begins */
	ck_assert_uint_eq(in(&r, MSR), 0x40);
	out(&r, MCR, 0x10);			/* and ends */
	ck_assert_uint_eq(in(&r, MSR), 0x04);
	out(&r, MCR, 0x12);
	ck_assert_uint_eq(in(&r, MSR), 0x11);
	out(&r, MCR, 0x11);
	ck_assert_uint_eq(in(&r, MSR), 0x23);
	out(&r, MSR, 0xff);
	ck_assert_uint_eq(in(&r, MSR), 0x20);
}
END_TEST

/* All pending at once are told in the order of the data sheet. */
START_TEST(interrupt_priorities)
{
	struct rig r;

	make(&r);
	out(&r, MCR, 0x10);
	out(&r, IER, 0x0f);
	out(&r, DATA, 'a');
	out(&r, DATA, 'b');
	ck_assert_uint_eq(in(&r, IIR), 0x06);
	(void)in(&r, LSR);
	ck_assert_uint_eq(in(&r, IIR), 0x04);
	/* Asking while another is told does not clear THRE. */
	(void)in(&r, DATA);
	ck_assert_uint_eq(in(&r, IIR), 0x02);
	ck_assert_uint_eq(in(&r, IIR), 0x00);
	(void)in(&r, MSR);
	ck_assert_uint_eq(in(&r, IIR), 0x01);
}
END_TEST

/* Every register program leaves a state that loads again. */
static void
random_program(struct rig *r, uint64_t *seed, unsigned steps)
{
	struct rig other;
	uint32_t x;

	while (steps-- > 0) {
		x = test_random(seed);
		if ((x & 0x300) == 0)
			type(r, "some text of many more bytes than a FIFO");
		else if ((x & 0x100) != 0)
			out(r, x & 7, (uint8_t)(x >> 16));
		else
			(void)in(r, x & 7);
		ck_assert_uint_le(r->u.s.count, UART_FIFO);
		ck_assert(r->t.line[IRQ] == r->u.line);
		if (steps % 64 == 0) {
			make(&other);
			testhost_round_trip(&uart_dev_ops, &r->u, &other.u);
		}
	}
}

START_TEST(random_programs)
{
	uint64_t seed = 0x9e3779b97f4a7c15ULL;
	struct rig r;

	make(&r);
	random_program(&r, &seed, 100000);
	ck_assert_uint_gt(r.t.rises[IRQ], 100);
}
END_TEST

/* A loaded port goes on where the saved one stopped. */
START_TEST(loaded_port_goes_on)
{
	struct rig a, b;

	make(&a);
	make(&b);
	out(&a, FCR, 0x81);
	out(&a, MCR, 0x08);
	out(&a, IER, 0x01);
	type(&a, "hello");
	(void)in(&a, DATA);
	testhost_round_trip(&uart_dev_ops, &a.u, &b.u);
	ck_assert_uint_eq(in(&b, IIR), 0xcc);
	ck_assert_uint_eq(in(&b, DATA), 'e');
	/* The line was up when saved: it falls, and does not rise before. */
	ck_assert_uint_eq(b.t.rises[IRQ], 0);
	ck_assert_uint_eq(in(&b, DATA), 'l');
	ck_assert_uint_eq(in(&b, DATA), 'l');
	ck_assert_uint_eq(in(&b, DATA), 'o');
	ck_assert_uint_eq(in(&b, LSR), 0x60);
}
END_TEST

static void
use(void *dev)
{
	unsigned i;

	for (i = 0; i < 3 * UART_PORTS; i++) {
		(void)uart_pio.in(dev, i % UART_PORTS, 1);
		uart_pio.out(dev, i % UART_PORTS, 1, i * 37);
	}
	(void)uart_dev_ops.fold(dev, 0);
}

START_TEST(hostile_state)
{
	struct rig a, b;

	make(&a);
	make(&b);
	out(&a, FCR, 0x01);
	out(&a, MCR, 0x10);
	out(&a, DATA, 'x');
	out(&a, LCR, 0x43);
	testhost_corrupt(&uart_dev_ops, &a.u, &b.u, use);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("uart");

	tcase_add_test(tc, power_on);
	tcase_add_test(tc, divisor_and_scratch);
	tcase_add_test(tc, identification);
	tcase_add_test(tc, output_goes_out_at_once);
	tcase_add_test(tc, thre_test_of_linux);
	tcase_add_test(tc, thre_edges);
	tcase_add_test(tc, out2_gates_the_line);
	tcase_add_test(tc, receive_without_fifo);
	tcase_add_test(tc, fifo_holds_sixteen);
	tcase_add_test(tc, no_needless_asking);
	tcase_add_test(tc, trigger_levels);
	tcase_add_test(tc, fifo_clears);
	tcase_add_test(tc, loopback);
	tcase_add_test(tc, loopback_without_fifo_overruns);
	tcase_add_test(tc, breaks);
	tcase_add_test(tc, modem_status);
	tcase_add_test(tc, interrupt_priorities);
	tcase_add_test(tc, random_programs);
	tcase_add_test(tc, loaded_port_goes_on);
	tcase_add_test(tc, hostile_state);
	return test_main("uart", tc);
}
