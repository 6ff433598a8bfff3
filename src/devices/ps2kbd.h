/* SPDX-License-Identifier: ISC */
/*
 * A PS/2 keyboard with three keys: Ctrl, Alt and Del, all pressed at once.
 *
 * It is behind the keyboard controller and has no ports of its own.  Commands
 * and scan codes (set 2, the only one): IBM PS/2 Hardware Interface Technical
 * Reference, "Keyboards (101- and 102-Key)".
 *
 * A part of its controller, in whose state it is saved; under the VM's mutex.
 */
#ifndef VMMD_PS2KBD_H
#define VMMD_PS2KBD_H

#include <stdbool.h>
#include <stdint.h>

#define PS2KBD_ENABLE		0xf4	/* command: report keys */

#define PS2KBD_REPLY_MAX	3
#define PS2KBD_KEYS_MAX		16

struct ps2kbd {
	uint8_t	command;		/* whose parameter comes next, or 0 */
	uint8_t	scanning;		/* 1: keys are reported */
	uint8_t	last;			/* sent, for who asks again */
	uint8_t	nreply;			/* bytes that wait to be sent */
	uint8_t	nkeys;
	uint8_t	reply[PS2KBD_REPLY_MAX];
	uint8_t	keys[PS2KBD_KEYS_MAX];
	uint8_t	pad[8];
};
_Static_assert(sizeof(struct ps2kbd) == 32, "no hidden padding");

/* The state after power-on, its self-test being over. */
void ps2kbd_reset(struct ps2kbd *k);

/* A byte from the host. */
void ps2kbd_write(struct ps2kbd *k, uint8_t val);

/* The next byte for the host; false if there is none. */
bool ps2kbd_read(struct ps2kbd *k, uint8_t *val);

/*
 * Presses and releases the three keys, unless the host has switched keys off
 * or has not read those of the last time.
 */
void ps2kbd_ctrl_alt_del(struct ps2kbd *k);

/* Can this state, from a stranger, be one of a keyboard's? */
bool ps2kbd_valid(const struct ps2kbd *k);

#endif /* VMMD_PS2KBD_H */
