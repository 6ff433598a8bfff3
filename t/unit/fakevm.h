/* SPDX-License-Identifier: ISC */
/*
 * A guest without a machine, linked in place of src/vmm/vm.c.  Its kernel's
 * path says how it behaves; whatever is not said here succeeds in the next
 * turn of the loop.
 *
 *	/fail	does not start, with a message
 *	/slow	starts when fake_vm_runs() says so
 *	/stuck	stops only by force
 */
#ifndef VMMD_T_FAKEVM_H
#define VMMD_T_FAKEVM_H

#include "vmm/vm.h"

/* A slow one has started. */
void fake_vm_runs(struct vm *vm);

/* A running one ends by itself. */
void fake_vm_ends(struct vm *vm, enum vm_reason reason, const char *msg);

#endif /* VMMD_T_FAKEVM_H */
