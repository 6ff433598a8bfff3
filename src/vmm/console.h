/* SPDX-License-Identifier: ISC */
/*
 * A guest's serial line between its UART and those who look at it.
 *
 * Output goes to a scrollback ring and to every viewer; it never blocks the
 * guest.  Input waits in a small ring for the UART.  The vCPU thread writes
 * output and takes input, the loop does the rest; one mutex, held for copies
 * only, guards both rings.
 */
#ifndef VMMD_CONSOLE_H
#define VMMD_CONSOLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

#define CONSOLE_SCROLLBACK	(64 * 1024)
#define CONSOLE_INPUT_MAX	4096

struct console;

/*
 * Somebody who looks at the line.  output() runs on the loop thread with the
 * bytes that came since the last call; a viewer that has fallen behind the
 * scrollback ring is told how many bytes it `missed` before them.  It may
 * detach viewers, itself too.
 */
struct console_viewer {
	void			 (*output)(struct console_viewer *v,
				    const char *p, size_t n, uint64_t missed);
	uint64_t		 pos;		/* console's */
	struct console_viewer	*next;		/* console's */
};

struct console *console_create(struct loop *loop);

/* With no viewer left and no thread that still writes. */
void console_destroy(struct console *c);

/* Guest output, any thread.  Viewers get it a few milliseconds later. */
void console_write(struct console *c, const char *p, size_t n);

/* Takes up to `n` bytes of input; any thread.  Returns how many. */
size_t console_read(struct console *c, char *p, size_t n);

/* Loop thread: queues input, returns how much of it fitted. */
size_t console_input(struct console *c, const char *p, size_t n);

/* Called on the loop thread after input was queued; NULL for nobody. */
void console_set_input_ready(struct console *c, void (*fn)(void *cookie),
    void *cookie);

/*
 * Adds a viewer, which gets the scrollback before the call returns; loop
 * thread.
 */
void console_attach(struct console *c, struct console_viewer *v);
void console_detach(struct console *c, struct console_viewer *v);

/* Serves all viewers what is there, now; loop thread. */
void console_flush(struct console *c);

#endif /* VMMD_CONSOLE_H */
