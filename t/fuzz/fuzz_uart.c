/* SPDX-License-Identifier: ISC */
/* Fuzz target: the serial port.  An event is a byte typed at the far end. */
#include "chip.h"
#include "devices/uart.h"

static void
uart_output(void *cookie, const char *p, size_t n)
{
	struct chip_side *s = cookie;

	while (n-- > 0)
		s->output = s->output * 31 + (uint8_t)*p++;
}

static size_t
uart_input(void *cookie, char *p, size_t n)
{
	struct chip_side *s = cookie;

	if (n > s->ninput)
		n = s->ninput;
	memcpy(p, s->input, n);
	s->ninput -= n;
	memmove(s->input, s->input + n, s->ninput);
	return n;
}

/* The port and its far end, which knows it by its side. */
struct uart_pair {
	struct uart		uart;
	struct uart_backend	be;
};

static void
uart_make(struct chip_side *s)
{
	struct uart_pair *p = s->dev;

	p->be = (struct uart_backend){ uart_output, uart_input, s };
	uart_init(&p->uart, &s->host, 4, &p->be);
}

static void
uart_event(struct chip_side *s, uint8_t what)
{
	if (s->ninput < CHIP_INPUT)
		s->input[s->ninput++] = what;
	s->attention = true;
}

const struct chip_target chip_target = {
	.ops = &uart_dev_ops,
	.size = sizeof(struct uart_pair),
	.init = uart_make,
	.event = uart_event,
	.port = { { 0x3f8, UART_PORTS, &uart_pio } },
};
