/* SPDX-License-Identifier: ISC */
/*
 * The hypervisor backends of Linux.
 */
#include <stddef.h>

#include "vmm/hv_backend.h"

const struct hv_ops *const hv_backends[] = {
	&hv_vmm_ops,
	&hv_kvm_ops,
	NULL,
};
