/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: ACPI's power management.  An event is the power button.
 */
#include "chip.h"
#include "devices/acpipm.h"

static void
acpipm_make(struct chip_side *s)
{
	acpipm_init(s->dev, &s->host, 9, 5);
}

static void
acpipm_event(struct chip_side *s, uint8_t what)
{
	(void)what;
	acpipm_press(s->dev);
}

static uint32_t
acpipm_probe(struct chip_side *s)
{
	return acpipm_is_heard(s->dev);
}

const struct chip_target chip_target = {
	.ops = &acpipm_dev_ops,
	.size = sizeof(struct acpipm),
	.init = acpipm_make,
	.event = acpipm_event,
	.probe = acpipm_probe,
	.port = {
		{ ACPIPM_EVENT, ACPIPM_EVENT_LEN, &acpipm_pio_event },
		{ ACPIPM_CONTROL, ACPIPM_CONTROL_LEN, &acpipm_pio_control },
		{ ACPIPM_TIMER, ACPIPM_TIMER_LEN, &acpipm_pio_timer },
	},
};
