/* SPDX-License-Identifier: ISC */
/*
 * The keys of the configuration: see config_keys.h.
 */
#include "vmm/config_keys.h"

#include <stdbool.h>
#include <string.h>

#include "vmm/config.h"
#include "vmm/config_ini.h"
#include "vmm/config_value.h"

#define MIB		(1ull << 20)
#define SECOND		1000000000ull
#define SUN_PATH_MAX	107

/* Words further away than this are no misspelling. */
#define NEAR		3

static const char *const backend_words[] = { "auto", "vmm", "kvm", NULL };
static const char *const bool_words[] = { "no", "yes", NULL };
static const char *const on_reboot_words[] = {
	[ON_REBOOT_STOP] = "stop",
	[ON_REBOOT_RESTART] = "restart",
	NULL,
};

#define DAEMON(m)	SECTION_DAEMON, .offset = offsetof(struct config, m)
#define VM(m)		SECTION_VM, .offset = offsetof(struct vm_config, m)

const struct key config_keys[CONFIG_NKEYS] = {
	{ DAEMON(name), .name = "name", .type = KEY_NAME,
	    .class = CLASS_RESTART, .max = VM_NAME_MAX },
	{ DAEMON(backend), .name = "backend", .type = KEY_WORD,
	    .class = CLASS_RESTART, .words = backend_words },
	{ DAEMON(socket), .name = "socket", .type = KEY_PATH,
	    .class = CLASS_RESTART, .max = SUN_PATH_MAX },
	{ DAEMON(stop_timeout), .name = "stop-timeout", .type = KEY_DURATION,
	    .class = CLASS_LIVE, .min = 0, .max = 3600 * SECOND },
	{ VM(kernel), .name = "kernel", .type = KEY_PATH,
	    .class = CLASS_RESTART, .max = INI_LINE_MAX },
	{ VM(initrd), .name = "initrd", .type = KEY_PATH,
	    .class = CLASS_RESTART, .max = INI_LINE_MAX },
	{ VM(cmdline), .name = "cmdline", .type = KEY_TEXT,
	    .class = CLASS_RESTART, .max = VM_CMDLINE_MAX },
	{ VM(memory), .name = "memory", .type = KEY_SIZE,
	    .class = CLASS_RESTART, .min = 16 * MIB, .max = 128 * 1024 * MIB },
	{ VM(disk), .name = "disk", .type = KEY_PATHS,
	    .class = CLASS_RESTART, .max = INI_LINE_MAX },
	{ VM(autostart), .name = "autostart", .type = KEY_BOOL,
	    .class = CLASS_LIVE, .words = bool_words },
	{ VM(on_reboot), .name = "on-reboot", .type = KEY_ON_REBOOT,
	    .class = CLASS_RESTART, .words = on_reboot_words },
};

const struct key *
key_find(enum section section, const char *name)
{
	size_t i;

	for (i = 0; i < CONFIG_NKEYS; i++)
		if (config_keys[i].section == section &&
		    strcmp(config_keys[i].name, name) == 0)
			return &config_keys[i];
	return NULL;
}

const struct key *
key_nearest(enum section section, const char *name)
{
	const struct key *nearest = NULL;
	unsigned best = NEAR + 1, d;
	size_t i;

	for (i = 0; i < CONFIG_NKEYS; i++) {
		d = value_distance(name, config_keys[i].name);
		if (config_keys[i].section == section && d < best) {
			best = d;
			nearest = &config_keys[i];
		}
	}
	return nearest;
}

void *
key_field(const struct key *k, const void *base)
{
	return (char *)(uintptr_t)base + k->offset;
}

bool
key_is_string(const struct key *k)
{
	return k->type == KEY_NAME || k->type == KEY_PATH ||
	    k->type == KEY_TEXT || k->type == KEY_WORD;
}
