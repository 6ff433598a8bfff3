/* SPDX-License-Identifier: ISC */
/*
 * The keyboard: see ps2kbd.h.
 *
 * What answers a command goes out before keys that still wait, as the host
 * waits for it.
 */
#include "devices/ps2kbd.h"

#include <string.h>

#define CMD_LEDS	0xed	/* takes a byte; the first of all commands */
#define CMD_ECHO	0xee
#define CMD_SCAN_SET	0xf0	/* takes a byte: 0 asks */
#define CMD_IDENTIFY	0xf2
#define CMD_RATE	0xf3	/* takes a byte */
#define CMD_ENABLE	0xf4
#define CMD_DISABLE	0xf5
#define CMD_DEFAULTS	0xf6
#define CMD_RESEND	0xfe
#define CMD_RESET	0xff

#define REPLY_TESTED	0xaa
#define REPLY_ACK	0xfa
#define REPLY_RESEND	0xfe

#define SCAN_SET	2

void
ps2kbd_reset(struct ps2kbd *k)
{
	memset(k, 0, sizeof(*k));
	k->scanning = 1;
}

static void
ps2kbd_reply(struct ps2kbd *k, const uint8_t *p, uint8_t n)
{
	memcpy(k->reply, p, n);
	k->nreply = n;
}

static void
ps2kbd_reply_one(struct ps2kbd *k, uint8_t val)
{
	ps2kbd_reply(k, &val, 1);
}

static void
ps2kbd_set_scanning(struct ps2kbd *k, bool on)
{
	k->scanning = on;
	k->nkeys = 0;
	ps2kbd_reply_one(k, REPLY_ACK);
}

static void
ps2kbd_parameter(struct ps2kbd *k, uint8_t cmd, uint8_t val)
{
	static const uint8_t set[] = { REPLY_ACK, SCAN_SET };

	if (cmd == CMD_SCAN_SET && val == 0)
		ps2kbd_reply(k, set, sizeof(set));
	else if (cmd == CMD_SCAN_SET && val != SCAN_SET)
		ps2kbd_reply_one(k, REPLY_RESEND);
	else
		ps2kbd_reply_one(k, REPLY_ACK);
}

static void
ps2kbd_command(struct ps2kbd *k, uint8_t cmd)
{
	static const uint8_t id[] = { REPLY_ACK, 0xab, 0x83 };
	static const uint8_t tested[] = { REPLY_ACK, REPLY_TESTED };

	switch (cmd) {
	case CMD_LEDS:
	case CMD_SCAN_SET:
	case CMD_RATE:
		k->command = cmd;
		ps2kbd_reply_one(k, REPLY_ACK);
		break;
	case CMD_ECHO:
		ps2kbd_reply_one(k, CMD_ECHO);
		break;
	case CMD_IDENTIFY:
		ps2kbd_reply(k, id, sizeof(id));
		break;
	case CMD_ENABLE:
	case CMD_DEFAULTS:
		ps2kbd_set_scanning(k, true);
		break;
	case CMD_DISABLE:
		ps2kbd_set_scanning(k, false);
		break;
	case CMD_RESEND:
		ps2kbd_reply_one(k, k->last);
		break;
	case CMD_RESET:
		ps2kbd_reset(k);
		ps2kbd_reply(k, tested, sizeof(tested));
		break;
	default:
		ps2kbd_reply_one(k, REPLY_RESEND);
		break;
	}
}

void
ps2kbd_write(struct ps2kbd *k, uint8_t val)
{
	uint8_t cmd = k->command;

	k->command = 0;
	/* No parameter is as large as a command, which takes its place. */
	if (cmd != 0 && val < CMD_LEDS)
		ps2kbd_parameter(k, cmd, val);
	else
		ps2kbd_command(k, val);
}

static uint8_t
take_first(uint8_t *p, uint8_t *n)
{
	uint8_t val = p[0];

	(*n)--;
	memmove(p, p + 1, *n);
	p[*n] = 0;
	return val;
}

bool
ps2kbd_read(struct ps2kbd *k, uint8_t *val)
{
	if (k->nreply != 0)
		*val = take_first(k->reply, &k->nreply);
	else if (k->nkeys != 0)
		*val = take_first(k->keys, &k->nkeys);
	else
		return false;
	k->last = *val;
	return true;
}

void
ps2kbd_ctrl_alt_del(struct ps2kbd *k)
{
	static const uint8_t keys[] = {
		0x14, 0x11, 0xe0, 0x71,
		0xe0, 0xf0, 0x71, 0xf0, 0x11, 0xf0, 0x14,
	};
	_Static_assert(sizeof(keys) <= PS2KBD_KEYS_MAX, "too many keys");

	if (!k->scanning || k->nkeys != 0)
		return;
	memcpy(k->keys, keys, sizeof(keys));
	k->nkeys = sizeof(keys);
}

bool
ps2kbd_valid(const struct ps2kbd *k)
{
	static const uint8_t zero[sizeof(k->pad)];

	return (k->command == 0 || k->command == CMD_LEDS ||
	    k->command == CMD_SCAN_SET || k->command == CMD_RATE) &&
	    k->scanning <= 1 && k->nreply <= PS2KBD_REPLY_MAX &&
	    k->nkeys <= PS2KBD_KEYS_MAX &&
	    memcmp(k->pad, zero, sizeof(zero)) == 0;
}
