/* SPDX-License-Identifier: ISC */
/*
 * What the configuration names on this host, as `vmmd -n` looks at it: see
 * config.h.
 */
#include <net/if.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/confine.h"
#include "vmm/config.h"

static void
check_file(const struct confine *in, const struct vm_config *vm,
    const char *key, const char *path, int mode, struct buf *warnings)
{
	int ret;

	if (path == NULL)
		return;
	ret = confine_access(in, path, mode);
	if (ret != 0)
		(void)buf_printf(warnings, "warning: vm %s: %s %s: %s\n",
		    vm->name, key, path, confine_strerror(-ret));
}

void
config_check_files(const struct config *c, struct buf *warnings)
{
	struct confine *in;
	const struct vm_config *vm;
	char err[512];
	unsigned i;

	if (confine_create(&in, c->path, err, sizeof(err)) != 0) {
		(void)buf_printf(warnings, "warning: %s\n", err);
		return;
	}
	for (vm = c->vm; vm < c->vm + c->nvms; vm++) {
		check_file(in, vm, "kernel", vm->kernel, R_OK, warnings);
		check_file(in, vm, "initrd", vm->initrd, R_OK, warnings);
		for (i = 0; i < vm->ndisks; i++)
			check_file(in, vm, "disk", vm->disk[i].path, R_OK |
			    (vm->disk[i].how.readonly ? 0 : W_OK), warnings);
	}
	confine_destroy(in);
}

static void
check_interface(const struct config_switch *sw, const char *key,
    const char *name, struct buf *warnings)
{
	if (name != NULL && if_nametoindex(name) == 0)
		(void)buf_printf(warnings, "warning: switch %s: %s %s: %s\n",
		    sw->name, key, name, strerror(errno));
}

void
config_check_switches(const struct config *c, struct buf *warnings)
{
	const struct config_switch *sw;
	uint32_t number;

	for (sw = c->sw; sw < c->sw + c->nsws; sw++) {
		check_interface(sw, "uplink", sw->uplink, warnings);
		check_interface(sw, "vrf", sw->vrf, warnings);
		if (sw->nat != NULL && strcmp(sw->nat, "auto") != 0 &&
		    strcmp(sw->nat, "no") != 0)
			check_interface(sw, "nat", sw->nat, warnings);
		if (sw->group != NULL && os_group(sw->group, &number) != 0)
			(void)buf_printf(warnings, "warning: switch %s: group "
			    "%s: there is none\n", sw->name, sw->group);
		/* A bridge of others may have its own DHCP server. */
		if (sw->addrs.n == 0 && sw->uplink == NULL &&
		    sw->bridge == NULL)
			(void)buf_printf(warnings, "warning: switch %s: "
			    "neither address nor uplink: its guests get no "
			    "address\n", sw->name);
	}
}
