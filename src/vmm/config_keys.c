/* SPDX-License-Identifier: ISC */
/*
 * The keys of the configuration: see config_keys.h.
 */
#include "vmm/config_keys.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "devices/virtio_net.h"
#include "vmm/config.h"
#include "vmm/config_ini.h"
#include "vmm/config_value.h"
#include "vmm/hv.h"

#define MIB		(1ull << 20)
#define SECOND		1000000000ull
#define SUN_PATH_MAX	107

static const char *const aio_words[] = {
	"auto", "io_uring", "threads", NULL,
};
static const char *const backend_words[] = { "auto", "vmm", "kvm", NULL };
static const char *const bool_words[] = { "no", "yes", NULL };
/* Not all that it may be: an interface has its own name. */
static const char *const nat_words[] = { "auto", "interface", "no", NULL };
static const char *const msr_words[] = { "fault", "ignore-writes", NULL };
static const char *const on_end_words[] = {
	[ON_END_STOP] = "stop",
	[ON_END_RESTART] = "restart",
	NULL,
};

#define DAEMON(m)	SECTION_DAEMON, .offset = offsetof(struct config, m)
#define SWITCH(m)	SECTION_SWITCH, \
	.offset = offsetof(struct config_switch, m)
#define POLICY(m)	SECTION_POLICY, \
	.offset = offsetof(struct config_policy, m)
#define VM(m)		SECTION_VM, .offset = offsetof(struct vm_config, m)

const struct key config_keys[] = {
	{ DAEMON(aio), .name = "aio", .type = KEY_WORD,
	    .class = CLASS_RESTART, .words = aio_words, .def = "auto" },
	{ DAEMON(backend), .name = "backend", .type = KEY_WORD,
	    .class = CLASS_RESTART, .words = backend_words, .def = "auto" },
	{ DAEMON(group), .name = "group", .type = KEY_GROUP,
	    .class = CLASS_LIVE, .def = "-" },
	{ DAEMON(memory), .name = "memory", .type = KEY_SIZE,
	    .class = CLASS_RESTART, .min = 16 * MIB, .max = 64 * 1024 * 1024 *
	    MIB, .derived = "host's" },
	{ DAEMON(name), .name = "name", .type = KEY_NAME,
	    .class = CLASS_RESTART, .max = VM_NAME_MAX, .def = "vmmd" },
	{ DAEMON(parallel), .name = "parallel", .type = KEY_NUMBER,
	    .class = CLASS_LIVE, .min = 1, .max = CONFIG_VMS_MAX, .def = "1" },
	{ DAEMON(path), .name = "path", .type = KEY_DIRS,
	    .class = CLASS_RESTART, .max = CONFIG_PATH_MAX, .derived = "/" },
	{ DAEMON(socket), .name = "socket", .type = KEY_PATH,
	    .class = CLASS_RESTART, .max = SUN_PATH_MAX,
	    .derived = "/run/NAME.sock" },
	{ DAEMON(stagger), .name = "stagger", .type = KEY_DURATION,
	    .class = CLASS_LIVE, .min = 0, .max = 3600 * SECOND,
	    .def = "0s" },
	{ DAEMON(state), .name = "state", .type = KEY_PATH,
	    .class = CLASS_LIVE, .max = INI_LINE_MAX,
	    .derived = "/var/lib/NAME" },
	{ DAEMON(stop_timeout), .name = "stop-timeout", .type = KEY_DURATION,
	    .class = CLASS_LIVE, .min = 0, .max = 3600 * SECOND,
	    .def = "10s" },
	{ DAEMON(user), .name = "user", .type = KEY_USER,
	    .class = CLASS_RESTART, .max = VM_NAME_MAX, .def = "_vmmd" },
	{ SWITCH(addrs), .name = "address", .type = KEY_ADDRS,
	    .class = CLASS_LIVE, .max = SWITCH_ADDRS_MAX },
	{ SWITCH(bridge), .name = "bridge", .type = KEY_NAME,
	    .class = CLASS_LIVE, .max = IFNAME_SIZE - 1,
	    .derived = "DAEMON-NAME" },
	{ SWITCH(dns), .name = "dns", .type = KEY_HOSTS,
	    .class = CLASS_LIVE, .max = LEASE_DNS, .derived = "host's" },
	{ SWITCH(domain), .name = "domain", .type = KEY_NAME,
	    .class = CLASS_LIVE, .max = INI_LINE_MAX },
	{ SWITCH(group), .name = "group", .type = KEY_NAME,
	    .class = CLASS_LIVE, .max = VM_NAME_MAX },
	{ SWITCH(isolate), .name = "isolate", .type = KEY_BOOL,
	    .class = CLASS_LIVE, .words = bool_words, .def = "no" },
	{ SWITCH(mtu), .name = "mtu", .type = KEY_NUMBER,
	    .class = CLASS_LIVE, .min = VIRTIO_NET_MTU_MIN,
	    .max = PLAN_MTU_MAX, .derived = "uplink's, 1500" },
	{ SWITCH(nat), .name = "nat", .type = KEY_NAME,
	    .class = CLASS_LIVE, .max = IFNAME_SIZE - 1, .words = nat_words,
	    .derived = "auto, no with an uplink" },
	{ SWITCH(router), .name = "router", .type = KEY_HOSTS,
	    .class = CLASS_LIVE, .max = 1, .derived = "the host" },
	{ SWITCH(uplink), .name = "uplink", .type = KEY_NAME,
	    .class = CLASS_LIVE, .max = IFNAME_SIZE - 1 },
	{ SWITCH(vlan), .name = "vlan", .type = KEY_NUMBER,
	    .class = CLASS_LIVE, .min = 1, .max = 4094 },
	{ SWITCH(vrf), .name = "vrf", .type = KEY_NAME,
	    .class = CLASS_LIVE, .max = IFNAME_SIZE - 1 },
	{ POLICY(allow), .name = "allow", .type = KEY_ALLOWS,
	    .class = CLASS_LIVE, .max = CONFIG_POLICY_MAX },
	{ VM(autostart), .name = "autostart", .type = KEY_BOOL,
	    .class = CLASS_LIVE, .words = bool_words, .def = "yes" },
	{ VM(cmdline), .name = "cmdline", .type = KEY_TEXT,
	    .class = CLASS_PENDING, .max = VM_CMDLINE_MAX },
	{ VM(affinity), .name = "cpu-affinity", .type = KEY_AFFINITY,
	    .class = CLASS_LIVE },
	{ VM(cpus), .name = "cpus", .type = KEY_NUMBER,
	    .class = CLASS_PENDING, .min = 1, .max = HV_VCPUS_MAX,
	    .def = "1" },
	{ VM(disk), .name = "disk", .type = KEY_DISKS,
	    .class = CLASS_MIXED, .max = INI_LINE_MAX },
	{ VM(initrd), .name = "initrd", .type = KEY_PATH,
	    .class = CLASS_PENDING, .max = INI_LINE_MAX },
	{ VM(kernel), .name = "kernel", .type = KEY_PATH,
	    .class = CLASS_PENDING, .max = INI_LINE_MAX,
	    .derived = "required" },
	{ VM(memory), .name = "memory", .type = KEY_SIZE,
	    .class = CLASS_PENDING, .min = 16 * MIB, .max = 128 * 1024 * MIB,
	    .def = "512M" },
	{ VM(nics), .name = "nic", .type = KEY_NICS,
	    .class = CLASS_MIXED, .max = INI_LINE_MAX },
	{ VM(on_crash), .name = "on-crash", .type = KEY_ON_END,
	    .class = CLASS_PENDING, .words = on_end_words, .def = "stop" },
	{ VM(on_reboot), .name = "on-reboot", .type = KEY_ON_END,
	    .class = CLASS_PENDING, .words = on_end_words,
	    .def = "restart" },
	{ VM(owner), .name = "owner", .type = KEY_OWNER,
	    .class = CLASS_LIVE, .def = "-" },
	{ VM(rng), .name = "rng", .type = KEY_BOOL,
	    .class = CLASS_PENDING, .words = bool_words, .def = "yes" },
	{ VM(start_order), .name = "start-order", .type = KEY_NUMBER,
	    .class = CLASS_LIVE, .min = 0, .max = 9999, .def = "100" },
	{ VM(stop_timeout), .name = "stop-timeout", .type = KEY_DURATION,
	    .class = CLASS_LIVE, .min = 0, .max = 3600 * SECOND,
	    .derived = "the daemon's" },
	{ VM(ignore_msrs), .name = "unknown-msr", .type = KEY_BOOL,
	    .class = CLASS_PENDING, .words = msr_words, .def = "fault" },
};

_Static_assert(sizeof(config_keys) / sizeof(config_keys[0]) == CONFIG_NKEYS,
    "CONFIG_NKEYS counts the rows");

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
	unsigned best = VALUE_FAR;
	size_t i;

	for (i = 0; i < CONFIG_NKEYS; i++)
		if (config_keys[i].section == section &&
		    value_nearer(name, config_keys[i].name, &best))
			nearest = &config_keys[i];
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
	return k->type == KEY_NAME || k->type == KEY_USER ||
	    k->type == KEY_PATH ||
	    k->type == KEY_DIRS || k->type == KEY_TEXT ||
	    k->type == KEY_WORD || k->type == KEY_ALLOWS;
}

bool
key_repeats(const struct key *k)
{
	return k->type == KEY_TEXT || k->type == KEY_DIRS ||
	    k->type == KEY_DISKS || k->type == KEY_AFFINITY ||
	    k->type == KEY_NICS || k->type == KEY_ADDRS ||
	    k->type == KEY_ALLOWS ||
	    (k->type == KEY_HOSTS && k->max > 1);
}

const char *
key_class_name(const struct key *k)
{
	static const char *const name[] = {
		[CLASS_LIVE] = "live",
		[CLASS_PENDING] = "pending",
		[CLASS_RESTART] = "restart",
		[CLASS_MIXED] = "mixed",
	};

	return name[k->class];
}

const struct value_unit *
key_units(const struct key *k)
{
	switch (k->type) {
	case KEY_SIZE:
		return value_size_units;
	case KEY_DURATION:
		return value_duration_units;
	default:
		return value_no_units;
	}
}

static int
print_range(const struct key *k, struct buf *b)
{
	char min[32], max[32];

	value_format(min, sizeof(min), key_units(k), k->min);
	value_format(max, sizeof(max), key_units(k), k->max);
	return buf_printf(b, "%s to %s", min, max);
}

static int
print_words(const struct key *k, struct buf *b)
{
	int i, ret = 0;

	for (i = 0; k->words[i] != NULL && ret == 0; i++)
		ret = buf_printf(b, "%s%s", i == 0 ? "" : ", ", k->words[i]);
	return ret;
}

int
key_print_values(const struct key *k, struct buf *b)
{
	switch (k->type) {
	case KEY_NAME:
	case KEY_USER:
		return k->words != NULL ? print_words(k, b) :
		    buf_printf(b, "name");
	case KEY_PATH:
		return buf_printf(b, "path");
	case KEY_DIRS:
		return buf_printf(b, "path, repeatable");
	case KEY_DISKS:
		return buf_printf(b, "path and options, repeatable");
	case KEY_TEXT:
		return buf_printf(b, "text, repeatable");
	case KEY_ALLOWS:
		return buf_printf(b, "protocol, port, peer, repeatable");
	case KEY_AFFINITY:
		return buf_printf(b, "vcpus:cpus, repeatable");
	case KEY_ADDRS:
		return buf_printf(b, "address/bits, repeatable");
	case KEY_HOSTS:
		return buf_printf(b, "address%s", k->max > 1 ?
		    ", repeatable" : "");
	case KEY_NICS:
		return buf_printf(b, "switch and options, repeatable");
	case KEY_OWNER:
		return buf_printf(b, "user[:group]");
	case KEY_GROUP:
		return buf_printf(b, "group");
	case KEY_WORD:
	case KEY_BOOL:
	case KEY_ON_END:
		return print_words(k, b);
	case KEY_SIZE:
	case KEY_DURATION:
	case KEY_NUMBER:
		return print_range(k, b);
	}
	return -EINVAL;
}

static int
print_lines(const char *lines, struct buf *b)
{
	int ret = 0;

	if (lines == NULL)
		return buf_printf(b, "-");
	for (; *lines != '\0' && ret == 0; lines++)
		ret = *lines == '\n' ? buf_append(b, ", ", 2) :
		    buf_append(b, lines, 1);
	return ret;
}

static int
print_number(const struct key *k, uint64_t value, struct buf *b)
{
	char text[32];

	/* What is not given and follows from elsewhere. */
	if (value == 0 && k->min > 0)
		return buf_printf(b, "-");
	value_format(text, sizeof(text), key_units(k), value);
	return buf_printf(b, "%s", text);
}

int
key_print(const struct key *k, const void *base, struct buf *b)
{
	const void *field = key_field(k, base);
	const char *s;

	switch (k->type) {
	case KEY_NAME:
	case KEY_USER:
	case KEY_PATH:
	case KEY_TEXT:
	case KEY_WORD:
		s = *(char *const *)field;
		return buf_printf(b, "%s", s == NULL || *s == '\0' ? "-" : s);
	case KEY_DIRS:
	case KEY_ALLOWS:
		return print_lines(*(char *const *)field, b);
	case KEY_DISKS:
		return disks_print(base, b);
	case KEY_AFFINITY:
		return affinity_print(field, b);
	case KEY_ADDRS:
	case KEY_HOSTS:
		return addrs_print(field, b);
	case KEY_NICS:
		return nics_print(field, b);
	case KEY_OWNER:
	case KEY_GROUP:
		return owner_print(field, k->type == KEY_GROUP, b);
	case KEY_BOOL:
		return buf_printf(b, "%s", k->words[*(const bool *)field]);
	case KEY_ON_END:
		return buf_printf(b, "%s",
		    k->words[*(const enum on_end *)field]);
	case KEY_SIZE:
	case KEY_DURATION:
	case KEY_NUMBER:
		return print_number(k, *(const uint64_t *)field, b);
	}
	return -EINVAL;
}

size_t
key_size(const struct key *k)
{
	switch (k->type) {
	case KEY_BOOL:
		return sizeof(bool);
	case KEY_OWNER:
	case KEY_GROUP:
		return sizeof(struct owner);
	case KEY_ON_END:
		return sizeof(enum on_end);
	case KEY_AFFINITY:
		return sizeof(struct affinity);
	case KEY_ADDRS:
	case KEY_HOSTS:
		return sizeof(struct config_addrs);
	case KEY_NICS:
		return sizeof(struct vm_nics);
	default:
		return sizeof(uint64_t);
	}
}
