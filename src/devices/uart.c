/* SPDX-License-Identifier: ISC */
/*
 * The 16550A.
 *
 * A byte written goes to the backend at once, so the transmitter is always
 * empty; its interrupt still falls and rises with each byte, because the
 * interrupt controller wants an edge.  Input is taken from the backend as far
 * as the FIFO has room: the guest's own reading is the flow control, and only
 * loopback can overrun.  The four characters' time that a real port waits
 * before it reports fewer bytes than the trigger level is zero here.
 *
 * As on PC boards OUT2 gates the interrupt.  In loopback the pins, OUT2 among
 * them, are inactive, so there is no interrupt.
 */
#include "devices/uart.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "devices/state.h"

#define UART_VERSION	1

/* Offsets; the first two are the divisor while LCR_DLAB is set. */
#define REG_DATA	0
#define REG_IER		1
#define REG_IIR		2	/* FCR if written */
#define REG_LCR		3
#define REG_MCR		4
#define REG_LSR		5
#define REG_MSR		6
#define REG_SCR		7

#define IER_RDA		0x01
#define IER_THRE	0x02
#define IER_RLS		0x04
#define IER_MS		0x08
#define IER_MASK	0x0f

#define IIR_MS		0x00
#define IIR_NONE	0x01
#define IIR_THRE	0x02
#define IIR_RDA		0x04
#define IIR_RLS		0x06
#define IIR_TIMEOUT	0x0c
#define IIR_FIFO	0xc0

#define FCR_ENABLE	0x01
#define FCR_CLEAR_RX	0x02
#define FCR_DMA		0x08
#define FCR_TRIGGER	0xc0
#define FCR_KEPT	(FCR_ENABLE | FCR_DMA | FCR_TRIGGER)

#define LCR_BREAK	0x40
#define LCR_DLAB	0x80

#define MCR_DTR		0x01
#define MCR_RTS		0x02
#define MCR_OUT1	0x04
#define MCR_OUT2	0x08
#define MCR_LOOP	0x10
#define MCR_MASK	0x1f

#define LSR_DR		0x01
#define LSR_OE		0x02
#define LSR_BI		0x10
#define LSR_ERRORS	0x1e
#define LSR_THRE	0x20
#define LSR_TEMT	0x40
#define LSR_FIFO	0x80	/* a byte in the FIFO has an error */

#define MSR_DCTS	0x01
#define MSR_DDSR	0x02
#define MSR_TERI	0x04
#define MSR_DDCD	0x08
#define MSR_DELTAS	0x0f
#define MSR_CTS		0x10
#define MSR_DSR		0x20
#define MSR_RI		0x40
#define MSR_DCD		0x80
#define MSR_PLUGGED	(MSR_CTS | MSR_DSR | MSR_DCD)

static bool
uart_fifo_on(const struct uart_state *s)
{
	return (s->fcr & FCR_ENABLE) != 0;
}

static unsigned
uart_capacity(const struct uart_state *s)
{
	return uart_fifo_on(s) ? UART_FIFO : 1;
}

static unsigned
uart_trigger(const struct uart_state *s)
{
	static const uint8_t level[] = { 1, 4, 8, 14 };

	return uart_fifo_on(s) ? level[s->fcr >> 6] : 1;
}

/* The most urgent interrupt that is enabled and pending. */
static uint8_t
uart_cause(const struct uart_state *s)
{
	if ((s->ier & IER_RLS) != 0 && s->lsr != 0)
		return IIR_RLS;
	if ((s->ier & IER_RDA) != 0 && s->count >= uart_trigger(s))
		return IIR_RDA;
	if ((s->ier & IER_RDA) != 0 && s->count > 0)
		return IIR_TIMEOUT;
	if ((s->ier & IER_THRE) != 0 && s->thre)
		return IIR_THRE;
	if ((s->ier & IER_MS) != 0 && (s->msr & MSR_DELTAS) != 0)
		return IIR_MS;
	return IIR_NONE;
}

static bool
uart_level(const struct uart_state *s)
{
	return (s->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2 &&
	    uart_cause(s) != IIR_NONE;
}

static void
uart_update_irq(struct uart *u)
{
	bool level = uart_level(&u->s);

	if (level == u->line)
		return;
	u->line = level;
	u->host->set_irq(u->host->cookie, u->irq, level);
}

/* LSR shows the errors of the oldest byte from when it becomes that. */
static void
uart_show_error(struct uart_state *s)
{
	if (s->count == 0)
		return;
	s->lsr |= s->error[0];
	s->error[0] = 0;
}

static void
uart_receive(struct uart_state *s, uint8_t byte, uint8_t error)
{
	if (s->count == uart_capacity(s)) {
		s->lsr |= LSR_OE;
		/* A FIFO keeps what it has; a lone register does not. */
		if (uart_fifo_on(s))
			return;
		s->count = 0;
	}
	s->data[s->count] = byte;
	s->error[s->count] = error;
	s->count++;
	if (s->count == 1)
		uart_show_error(s);
}

/* Takes waiting input from the backend, as much as there is room for. */
static void
uart_pull(struct uart *u)
{
	char in[UART_FIFO];
	size_t room, n, i;

	if (!u->more || (u->s.mcr & MCR_LOOP) != 0)
		return;
	room = uart_capacity(&u->s) - u->s.count;
	if (room == 0)
		return;
	n = u->be->input(u->be->cookie, in, room);
	assert(n <= room);
	u->more = n == room;
	for (i = 0; i < n; i++)
		uart_receive(&u->s, (uint8_t)in[i], 0);
}

static uint8_t
uart_read_data(struct uart *u)
{
	struct uart_state *s = &u->s;

	if (s->count > 0) {
		s->last = s->data[0];
		s->count--;
		memmove(s->data, s->data + 1, s->count);
		memmove(s->error, s->error + 1, s->count);
		uart_show_error(s);
		uart_pull(u);
	}
	return s->last;
}

static void
uart_write_data(struct uart *u, uint8_t byte)
{
	char c = (char)byte;

	u->s.thre = 0;
	uart_update_irq(u);
	if ((u->s.mcr & MCR_LOOP) != 0)
		uart_receive(&u->s, byte, 0);
	else
		u->be->output(u->be->cookie, &c, 1);
	u->s.thre = 1;
}

static uint8_t
uart_read_iir(struct uart_state *s)
{
	uint8_t cause = uart_cause(s);

	if (cause == IIR_THRE)
		s->thre = 0;
	return cause | (uart_fifo_on(s) ? IIR_FIFO : 0);
}

static uint8_t
uart_read_lsr(struct uart_state *s)
{
	uint8_t lsr = s->lsr | LSR_THRE | LSR_TEMT;
	unsigned i;

	if (s->count > 0)
		lsr |= LSR_DR;
	if (uart_fifo_on(s)) {
		if ((s->lsr & LSR_ERRORS & ~LSR_OE) != 0)
			lsr |= LSR_FIFO;
		for (i = 0; i < s->count; i++) {
			if (s->error[i] != 0)
				lsr |= LSR_FIFO;
		}
	}
	s->lsr = 0;
	return lsr;
}

static void
uart_write_ier(struct uart_state *s, uint8_t val)
{
	/* Enabling it reports an empty transmitter at once. */
	if ((val & ~s->ier & IER_THRE) != 0)
		s->thre = 1;
	s->ier = val & IER_MASK;
}

static void
uart_write_fcr(struct uart_state *s, uint8_t val)
{
	bool clear = ((val ^ s->fcr) & FCR_ENABLE) != 0;

	if ((val & FCR_ENABLE) == 0) {
		s->fcr = 0;
	} else {
		s->fcr = val & FCR_KEPT;
		clear = clear || (val & FCR_CLEAR_RX) != 0;
	}
	if (clear)
		s->count = 0;
}

/* The modem's lines as the chip sees them. */
static uint8_t
uart_modem(const struct uart_state *s)
{
	if ((s->mcr & MCR_LOOP) == 0)
		return MSR_PLUGGED;
	return ((s->mcr & MCR_RTS) != 0 ? MSR_CTS : 0) |
	    ((s->mcr & MCR_DTR) != 0 ? MSR_DSR : 0) |
	    ((s->mcr & MCR_OUT1) != 0 ? MSR_RI : 0) |
	    ((s->mcr & MCR_OUT2) != 0 ? MSR_DCD : 0);
}

static void
uart_write_mcr(struct uart_state *s, uint8_t val)
{
	uint8_t now, changed;

	s->mcr = val & MCR_MASK;
	now = uart_modem(s);
	changed = (s->msr ^ now) & 0xf0;
	s->msr = now | (s->msr & MSR_DELTAS);
	s->msr |= (changed & MSR_CTS) != 0 ? MSR_DCTS : 0;
	s->msr |= (changed & MSR_DSR) != 0 ? MSR_DDSR : 0;
	/* Only the trailing edge of the ring indicator counts. */
	s->msr |= (changed & ~now & MSR_RI) != 0 ? MSR_TERI : 0;
	s->msr |= (changed & MSR_DCD) != 0 ? MSR_DDCD : 0;
}

static void
uart_write_lcr(struct uart_state *s, uint8_t val)
{
	bool begins = (val & ~s->lcr & LCR_BREAK) != 0;

	s->lcr = val;
	if (begins && (s->mcr & MCR_LOOP) != 0)
		uart_receive(s, 0, LSR_BI);
}

static uint32_t
uart_in(void *cookie, uint32_t off, unsigned size)
{
	struct uart *u = cookie;
	struct uart_state *s = &u->s;
	bool dlab = (s->lcr & LCR_DLAB) != 0;
	uint8_t val = 0xff;

	(void)size;
	switch (off) {
	case REG_DATA:
		val = dlab ? s->dll : uart_read_data(u);
		break;
	case REG_IER:
		val = dlab ? s->dlm : s->ier;
		break;
	case REG_IIR:
		val = uart_read_iir(s);
		break;
	case REG_LCR:
		val = s->lcr;
		break;
	case REG_MCR:
		val = s->mcr;
		break;
	case REG_LSR:
		val = uart_read_lsr(s);
		break;
	case REG_MSR:
		val = s->msr;
		s->msr &= ~MSR_DELTAS;
		break;
	case REG_SCR:
		val = s->scr;
		break;
	}
	uart_update_irq(u);
	return val;
}

static void
uart_out(void *cookie, uint32_t off, unsigned size, uint32_t v)
{
	struct uart *u = cookie;
	struct uart_state *s = &u->s;
	bool dlab = (s->lcr & LCR_DLAB) != 0;
	uint8_t val = (uint8_t)v;

	(void)size;
	switch (off) {
	case REG_DATA:
		if (dlab)
			s->dll = val;
		else
			uart_write_data(u, val);
		break;
	case REG_IER:
		if (dlab)
			s->dlm = val;
		else
			uart_write_ier(s, val);
		break;
	case REG_IIR:
		uart_write_fcr(s, val);
		uart_pull(u);
		break;
	case REG_LCR:
		uart_write_lcr(s, val);
		break;
	case REG_MCR:
		uart_write_mcr(s, val);
		uart_pull(u);
		break;
	case REG_SCR:
		s->scr = val;
		break;
	}
	uart_update_irq(u);
}

static uint64_t
uart_fold(void *dev, uint64_t now)
{
	struct uart *u = dev;

	(void)now;
	u->more = true;
	uart_pull(u);
	uart_update_irq(u);
	return DEV_NO_DEADLINE;
}

static void
uart_reset(void *dev)
{
	struct uart *u = dev;

	memset(&u->s, 0, sizeof(u->s));
	u->s.msr = MSR_PLUGGED;
	u->s.dll = 1;		/* 115200 baud */
	u->s.thre = 1;
	u->more = true;
	uart_update_irq(u);
}

void
uart_init(struct uart *u, const struct dev_host *host, unsigned irq,
    const struct uart_backend *be)
{
	memset(u, 0, sizeof(*u));
	u->host = host;
	u->irq = irq;
	u->be = be;
	uart_reset(u);
}

static int
uart_save(const void *dev, struct state_writer *w)
{
	const struct uart *u = dev;

	return state_put(w, "uart", UART_VERSION, &u->s, sizeof(u->s));
}

static bool
uart_valid(const struct uart_state *s)
{
	static const uint8_t zero[sizeof(s->pad)];
	unsigned i;

	for (i = 0; i < UART_FIFO; i++) {
		if ((s->error[i] & ~LSR_ERRORS) != 0)
			return false;
	}
	return (s->fcr & ~FCR_KEPT) == 0 &&
	    (uart_fifo_on(s) || s->fcr == 0) &&
	    s->count <= uart_capacity(s) &&
	    (s->ier & ~IER_MASK) == 0 && (s->mcr & ~MCR_MASK) == 0 &&
	    (s->lsr & ~LSR_ERRORS) == 0 &&
	    (s->msr & 0xf0) == uart_modem(s) && s->thre <= 1 &&
	    memcmp(s->pad, zero, sizeof(zero)) == 0;
}

static int
uart_load(void *dev, struct state_reader *r)
{
	struct uart_state s;
	struct uart *u = dev;
	int error;

	error = state_get(r, "uart", UART_VERSION, &s, sizeof(s));
	if (error != 0)
		return error;
	if (!uart_valid(&s))
		return -EINVAL;
	u->s = s;
	u->more = true;
	/* The interrupt controller's own state has the line's level. */
	u->line = uart_level(&s);
	return 0;
}

const struct pio_ops uart_pio = {
	.in = uart_in,
	.out = uart_out,
	.bytewise = true,
};

const struct dev_ops uart_dev_ops = {
	.name = "uart",
	.reset = uart_reset,
	.save = uart_save,
	.load = uart_load,
	.fold = uart_fold,
};
