/* SPDX-License-Identifier: ISC */
/*
 * A 16550A serial port.
 *
 * Ports: 8 bytes, COM1 is 3f8-3ff on IRQ 4: uart_pio, cookie the struct uart.
 * Registers: National Semiconductor PC16550D data sheet, section 8.
 *
 * Under the VM's mutex.
 */
#ifndef VMMD_UART_H
#define VMMD_UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/bus.h"
#include "devices/dev.h"

#define UART_PORTS	8
#define UART_FIFO	16

/* The far end of the line; both run under the VM's mutex, neither blocks. */
struct uart_backend {
	void	(*output)(void *cookie, const char *p, size_t n);
	/* Takes up to `n` bytes of waiting input; returns how many. */
	size_t	(*input)(void *cookie, char *p, size_t n);
	void	*cookie;
};

struct uart_state {
	uint8_t	data[UART_FIFO];	/* received, data[0] the oldest */
	uint8_t	error[UART_FIFO];	/* LSR error bits of each */
	uint8_t	count;
	uint8_t	last;		/* what RBR holds with nothing received */
	uint8_t	ier;
	uint8_t	fcr;
	uint8_t	lcr;
	uint8_t	mcr;
	uint8_t	lsr;		/* error bits only */
	uint8_t	msr;
	uint8_t	scr;
	uint8_t	dll;
	uint8_t	dlm;
	uint8_t	thre;		/* THRE interrupt pending */
	uint8_t	pad[4];
};

struct uart {
	struct uart_state	 s;
	const struct dev_host	*host;		/* immutable */
	const struct uart_backend *be;		/* immutable */
	unsigned		 irq;		/* immutable */
	bool			 line;		/* level last given to host */
	bool			 more;		/* input may wait */
};

/* Brings the port to its power-on state; `host` and `be` must outlive it. */
void uart_init(struct uart *u, const struct dev_host *host, unsigned irq,
    const struct uart_backend *be);

extern const struct pio_ops uart_pio;
extern const struct dev_ops uart_dev_ops;

#endif /* VMMD_UART_H */
