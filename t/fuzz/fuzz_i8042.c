/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: the keyboard controller and its keyboard.  An event is
 * Ctrl-Alt-Del.
 */
#include "chip.h"
#include "devices/i8042.h"

static void
i8042_make(struct chip_side *s)
{
	i8042_init(s->dev, &s->host, 1);
}

static void
i8042_event(struct chip_side *s, uint8_t what)
{
	(void)what;
	i8042_ctrl_alt_del(s->dev);
}

const struct chip_target chip_target = {
	.ops = &i8042_dev_ops,
	.size = sizeof(struct i8042),
	.init = i8042_make,
	.event = i8042_event,
	.port = {
		{ 0x60, 1, &i8042_pio_data },
		{ 0x64, 1, &i8042_pio_command },
		{ 0x92, 1, &i8042_pio_porta },
	},
};
