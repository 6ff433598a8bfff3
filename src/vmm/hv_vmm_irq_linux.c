/* SPDX-License-Identifier: ISC */
/*
 * Backend `vmm`: interrupt messages, and accesses to the page of an xAPIC,
 * which a decoder of instructions has seen and the driver performs.
 */
#include <sys/ioctl.h>

#include <errno.h>
#include <string.h>

#include "devices/lapic.h"
#include "kernel/vmm_uapi.h"
#include "vmm/hv.h"
#include "vmm/hv_vmm.h"

#define LAPIC_SIZE	4096u
#define LAPIC_NONE	0u	/* a register that is not there */

int
hv_vmm_msi(int vm, const struct hv_msi *msg)
{
	struct vmm_msi m = { .addr = msg->addr, .data = msg->data };

	return ioctl(vm, VMM_MSI, &m) == 0 ? 0 : -errno;
}

int
hv_vmm_msi_event(int vm, unsigned slot, int fd, const struct hv_msi *msg)
{
	struct vmm_msi_event e = { .slot = slot };

	_Static_assert(HV_MSI_EVENTS <= VMM_MAX_MSI_EVENTS, "room");
	if (msg != NULL) {
		e.addr = msg->addr;
		e.data = msg->data;
		e.fd = fd;
	} else {
		e.fd = -1;
		e.flags = VMM_EVENT_REMOVE;
	}
	return ioctl(vm, VMM_MSI_EVENT, &e) == 0 ? 0 : -errno;
}

/* Only aligned accesses of 4 bytes are defined, but some read otherwise. */
static struct vmm_apic_access
translate(const struct hv_exit *e)
{
	struct vmm_apic_access a = {
		.offset = (uint32_t)(e->mmio.gpa - LAPIC_GPA) & ~15U,
	};

	if (!e->mmio.write)
		return a;
	a.flags = VMM_APIC_WRITE;
	if (e->mmio.gpa % 16 == 0 && e->mmio.size == sizeof(a.value))
		memcpy(&a.value, e->mmio.data, sizeof(a.value));
	else
		a.offset = LAPIC_NONE;
	return a;
}

bool
hv_vmm_apic_access(int vcpu, struct hv_exit *e)
{
	struct vmm_apic_access a;
	unsigned at;
	uint64_t value;

	if (e->kind != HV_EXIT_MMIO || e->mmio.gpa - LAPIC_GPA >= LAPIC_SIZE)
		return false;
	a = translate(e);
	if (ioctl(vcpu, VMM_APIC_ACCESS, &a) == -1)
		return false;
	if (!e->mmio.write) {
		at = e->mmio.gpa % 16;
		value = at < sizeof(a.value) ? a.value >> 8 * at : 0;
		memcpy(e->mmio.data, &value, e->mmio.size);
	}
	if (a.eoi == 0)
		return true;
	e->kind = HV_EXIT_EOI;
	e->eoi.vector = a.eoi;
	return false;
}
