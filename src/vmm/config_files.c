/* SPDX-License-Identifier: ISC */
/*
 * The files of guests, as `vmmd -n` looks at them: see config.h.
 */
#include <errno.h>
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
