/* SPDX-License-Identifier: ISC */
/*
 * The keyboard controller.
 *
 * Its own answers and the keyboard's bytes have a buffer each, so that a key
 * pressed while a driver asks something is not lost: the driver reads its
 * answer first.  The auxiliary port fails its tests; a byte for it is
 * answered, as real controllers do, with "resend" and the time-out bit: a
 * driver gives up at once rather than wait.
 *
 * A20 can be switched but nothing wraps: no guest of ours needs it.
 */
#include "devices/i8042.h"

#include <errno.h>
#include <string.h>

#include "devices/state.h"

#define I8042_VERSION	2

#define ST_OUTPUT_FULL	0x01
#define ST_SYSTEM	0x04
#define ST_COMMAND	0x08	/* the last write was to port 64 */
#define ST_UNLOCKED	0x10
#define ST_TIMEOUT	0x40
#define ST_MASK		(ST_OUTPUT_FULL | ST_SYSTEM | ST_COMMAND | \
			    ST_UNLOCKED | ST_TIMEOUT)

#define MODE_KBD_IRQ	0x01
#define MODE_SYSTEM	0x04
#define MODE_KBD_OFF	0x10
#define MODE_AUX_OFF	0x20
#define MODE_TRANSLATE	0x40

#define OUT_NO_RESET	0x01	/* low: the processor is in reset */
#define OUT_A20		0x02

#define CMD_READ_MODE	0x20
#define CMD_READ_RAM	0x3f	/* the last of them */
#define CMD_WRITE_MODE	0x60
#define CMD_WRITE_RAM	0x7f	/* the last of them */
#define CMD_AUX_OFF	0xa7
#define CMD_AUX_ON	0xa8
#define CMD_AUX_TEST	0xa9
#define CMD_SELF_TEST	0xaa
#define CMD_KBD_TEST	0xab
#define CMD_KBD_OFF	0xad
#define CMD_KBD_ON	0xae
#define CMD_READ_INPORT	0xc0
#define CMD_READ_OUTPORT 0xd0
#define CMD_WRITE_OUTPORT 0xd1
#define CMD_WRITE_KBD	0xd2	/* the byte comes back as a key */
#define CMD_WRITE_AUX	0xd3
#define CMD_TO_AUX	0xd4
#define CMD_A20_OFF	0xdd
#define CMD_A20_ON	0xdf
#define CMD_PULSE	0xf0	/* to ff: pulses the lines whose bits are 0 */

#define ANSWER_SELF_TEST 0x55
#define ANSWER_NO_CLOCK	0x01	/* of an interface: clock stuck low */
#define ANSWER_INPORT	0x80	/* keyboard not locked */
#define ANSWER_RESEND	0xfe

#define KEY_RELEASED	0xf0	/* set 2: of the key whose code follows */
#define SET1_RELEASED	0x80

#define PORTA_RESET	0x01
#define PORTA_A20	0x02

/* Something to read, or not? */
static uint8_t
i8042_status(const struct i8042_state *s)
{
	return s->status | (s->kbd_full ? ST_OUTPUT_FULL : 0);
}

static bool
i8042_level(const struct i8042_state *s)
{
	return (i8042_status(s) & ST_OUTPUT_FULL) != 0 &&
	    (s->mode & MODE_KBD_IRQ) != 0;
}

static void
i8042_update_irq(struct i8042 *k)
{
	bool level = i8042_level(&k->s);

	if (level == k->line)
		return;
	k->line = level;
	k->host->set_irq(k->host->cookie, k->irq, level);
}

/* The line falls in between, so that each byte makes an edge. */
static void
i8042_pulse_irq(struct i8042 *k)
{
	if (k->line) {
		k->line = false;
		k->host->set_irq(k->host->cookie, k->irq, false);
	}
	i8042_update_irq(k);
}

/* Puts a byte into the output buffer, over one that was not read. */
static void
i8042_answer(struct i8042 *k, uint8_t data, uint8_t status)
{
	k->s.status &= ~ST_TIMEOUT;
	k->s.data = data;
	k->s.status |= ST_OUTPUT_FULL | status;
	i8042_pulse_irq(k);
}

/* From set 2 to set 1: the codes of which the keyboard sends any. */
static uint8_t
i8042_translate(uint8_t val)
{
	switch (val) {
	case 0x02:		/* its answer to which set it uses */
	case 0x83:		/* the end of its identification */
		return 0x41;
	case 0x11:		/* Alt */
		return 0x38;
	case 0x14:		/* Ctrl */
		return 0x1d;
	case 0x71:		/* Del */
		return 0x53;
	default:
		return val;
	}
}

/* Takes the keyboard's next byte, if it may send and there is room. */
static void
i8042_pull(struct i8042 *k)
{
	struct i8042_state *s = &k->s;
	uint8_t released = 0, val;

	while (!s->kbd_full && (s->mode & MODE_KBD_OFF) == 0 &&
	    ps2kbd_read(&s->kbd, &val)) {
		if ((s->mode & MODE_TRANSLATE) == 0) {
			s->kbd_data = val;
		} else if (val == KEY_RELEASED) {
			/* The key's code follows. */
			released = SET1_RELEASED;
			continue;
		} else {
			s->kbd_data = i8042_translate(val) | released;
		}
		s->kbd_full = 1;
		i8042_pulse_irq(k);
	}
}

static void
i8042_set_outport(struct i8042 *k, uint8_t val)
{
	/* A system that is running again has left its reset. */
	k->s.outport = val | OUT_NO_RESET;
	if ((val & OUT_NO_RESET) == 0)
		k->host->reset(k->host->cookie);
}

static void
i8042_set_a20(struct i8042 *k, bool on)
{
	k->s.outport &= ~OUT_A20;
	k->s.outport |= on ? OUT_A20 : 0;
}

static void
i8042_self_test(struct i8042 *k)
{
	k->s.status |= ST_SYSTEM;
	i8042_answer(k, ANSWER_SELF_TEST, 0);
}

/* The commands without a byte to follow that are not one bit's change. */
static void
i8042_ask(struct i8042 *k, uint8_t cmd)
{
	switch (cmd) {
	case CMD_READ_MODE:
		i8042_answer(k, k->s.mode, 0);
		break;
	case CMD_AUX_TEST:
		i8042_answer(k, ANSWER_NO_CLOCK, 0);
		break;
	case CMD_SELF_TEST:
		i8042_self_test(k);
		break;
	case CMD_KBD_TEST:
		i8042_answer(k, 0, 0);
		break;
	case CMD_READ_INPORT:
		i8042_answer(k, ANSWER_INPORT, 0);
		break;
	case CMD_READ_OUTPORT:
		i8042_answer(k, k->s.outport, 0);
		break;
	default:
		/* Of the controller's RAM only the mode byte is here. */
		if (cmd > CMD_READ_MODE && cmd <= CMD_READ_RAM)
			i8042_answer(k, 0, 0);
		break;
	}
}

static bool
i8042_takes_byte(uint8_t cmd)
{
	return (cmd >= CMD_WRITE_MODE && cmd <= CMD_WRITE_RAM) ||
	    (cmd >= CMD_WRITE_OUTPORT && cmd <= CMD_TO_AUX);
}

static void
i8042_command(struct i8042 *k, uint8_t cmd)
{
	k->s.status |= ST_COMMAND;
	k->s.command = i8042_takes_byte(cmd) ? cmd : 0;
	switch (cmd) {
	case CMD_AUX_OFF:
		k->s.mode |= MODE_AUX_OFF;
		break;
	case CMD_AUX_ON:
		k->s.mode &= ~MODE_AUX_OFF;
		break;
	case CMD_KBD_OFF:
		k->s.mode |= MODE_KBD_OFF;
		break;
	case CMD_KBD_ON:
		k->s.mode &= ~MODE_KBD_OFF;
		i8042_pull(k);
		break;
	case CMD_A20_OFF:
	case CMD_A20_ON:
		i8042_set_a20(k, cmd == CMD_A20_ON);
		break;
	default:
		if (cmd < CMD_PULSE)
			i8042_ask(k, cmd);
		else if ((cmd & OUT_NO_RESET) == 0)
			k->host->reset(k->host->cookie);
		break;
	}
}

static void
i8042_set_mode(struct i8042 *k, uint8_t mode)
{
	k->s.mode = mode;
	k->s.status &= ~ST_SYSTEM;
	k->s.status |= (mode & MODE_SYSTEM) != 0 ? ST_SYSTEM : 0;
	i8042_update_irq(k);
	i8042_pull(k);
}

/*
 * A keyboard reports keys from power-on; only a driver, at the end of its
 * preparations, switches that on.
 */
static void
i8042_hear(struct i8042 *k, uint8_t val)
{
	bool heard = k->s.kbd.scanning != 0;

	if (val != PS2KBD_ENABLE)
		heard = heard && atomic_load(&k->heard);
	atomic_store(&k->heard, heard);
}

/* A byte to port 60: the rest of a command, or one for the keyboard. */
static void
i8042_data(struct i8042 *k, uint8_t val)
{
	uint8_t cmd = k->s.command;

	k->s.status &= ~ST_COMMAND;
	k->s.command = 0;
	switch (cmd) {
	case CMD_WRITE_MODE:
		i8042_set_mode(k, val);
		break;
	case CMD_WRITE_OUTPORT:
		i8042_set_outport(k, val);
		break;
	case CMD_WRITE_KBD:
	case CMD_WRITE_AUX:
		/* Without the auxiliary bit: that port does not work. */
		i8042_answer(k, val, 0);
		break;
	case CMD_TO_AUX:
		i8042_answer(k, ANSWER_RESEND, ST_TIMEOUT);
		break;
	case 0:
		/* Who sends to the keyboard wants to hear it, too. */
		k->s.mode &= ~MODE_KBD_OFF;
		ps2kbd_write(&k->s.kbd, val);
		i8042_hear(k, val);
		i8042_pull(k);
		break;
	}
}

static uint32_t
i8042_data_in(void *cookie, uint32_t off, unsigned size)
{
	struct i8042 *k = cookie;
	struct i8042_state *s = &k->s;

	(void)off;
	(void)size;
	if ((s->status & ST_OUTPUT_FULL) == 0 && s->kbd_full) {
		s->data = s->kbd_data;
		s->kbd_full = 0;
		i8042_update_irq(k);
		i8042_pull(k);
	} else {
		s->status &= ~(ST_OUTPUT_FULL | ST_TIMEOUT);
		i8042_pulse_irq(k);
	}
	return s->data;
}

static void
i8042_data_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	(void)off;
	(void)size;
	i8042_data(cookie, (uint8_t)val);
}

static uint32_t
i8042_command_in(void *cookie, uint32_t off, unsigned size)
{
	struct i8042 *k = cookie;

	(void)off;
	(void)size;
	return i8042_status(&k->s);
}

static void
i8042_command_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	(void)off;
	(void)size;
	i8042_command(cookie, (uint8_t)val);
}

static uint32_t
i8042_porta_in(void *cookie, uint32_t off, unsigned size)
{
	struct i8042 *k = cookie;

	(void)off;
	(void)size;
	return (k->s.outport & OUT_A20) != 0 ? PORTA_A20 : 0;
}

static void
i8042_porta_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	struct i8042 *k = cookie;

	(void)off;
	(void)size;
	i8042_set_a20(k, (val & PORTA_A20) != 0);
	if ((val & PORTA_RESET) != 0)
		k->host->reset(k->host->cookie);
}

static void
i8042_reset(void *dev)
{
	struct i8042 *k = dev;

	memset(&k->s, 0, sizeof(k->s));
	k->s.mode = MODE_KBD_IRQ | MODE_SYSTEM | MODE_AUX_OFF |
	    MODE_TRANSLATE;
	k->s.status = ST_SYSTEM | ST_UNLOCKED;
	k->s.outport = OUT_NO_RESET | OUT_A20;
	ps2kbd_reset(&k->s.kbd);
	atomic_store(&k->heard, false);
	i8042_update_irq(k);
}

void
i8042_init(struct i8042 *k, const struct dev_host *host, unsigned irq)
{
	memset(k, 0, sizeof(*k));
	k->host = host;
	k->irq = irq;
	i8042_reset(k);
}

bool
i8042_is_heard(const struct i8042 *k)
{
	return atomic_load(&k->heard);
}

void
i8042_ctrl_alt_del(struct i8042 *k)
{
	atomic_store(&k->pressed, true);
	k->host->attention(k->host->cookie);
}

static uint64_t
i8042_fold(void *dev, uint64_t now)
{
	struct i8042 *k = dev;

	(void)now;
	if (atomic_exchange(&k->pressed, false)) {
		ps2kbd_ctrl_alt_del(&k->s.kbd);
		i8042_pull(k);
	}
	return DEV_NO_DEADLINE;
}

static int
i8042_save(const void *dev, struct state_writer *w)
{
	const struct i8042 *k = dev;

	return state_put(w, "i8042", I8042_VERSION, &k->s, sizeof(k->s));
}

static int
i8042_load(void *dev, struct state_reader *r)
{
	struct i8042 *k = dev;
	struct i8042_state s;
	int error;

	error = state_get(r, "i8042", I8042_VERSION, &s, sizeof(s));
	if (error != 0)
		return error;
	if ((s.status & ~ST_MASK) != 0 || (s.status & ST_UNLOCKED) == 0 ||
	    (s.outport & OUT_NO_RESET) == 0 ||
	    (s.command != 0 && !i8042_takes_byte(s.command)) ||
	    s.kbd_full > 1 || s.pad != 0 || !ps2kbd_valid(&s.kbd))
		return -EINVAL;
	k->s = s;
	/* Not known, but likely. */
	atomic_store(&k->heard, s.kbd.scanning != 0);
	/* The interrupt controller's own state has the line's level. */
	k->line = i8042_level(&s);
	return 0;
}

const struct pio_ops i8042_pio_data = {
	.in = i8042_data_in,
	.out = i8042_data_out,
	.bytewise = true,
};

const struct pio_ops i8042_pio_command = {
	.in = i8042_command_in,
	.out = i8042_command_out,
	.bytewise = true,
};

const struct pio_ops i8042_pio_porta = {
	.in = i8042_porta_in,
	.out = i8042_porta_out,
	.bytewise = true,
};

const struct dev_ops i8042_dev_ops = {
	.name = "i8042",
	.reset = i8042_reset,
	.save = i8042_save,
	.load = i8042_load,
	.fold = i8042_fold,
};
