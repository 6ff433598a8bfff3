/* SPDX-License-Identifier: ISC */
/*
 * What hv.c and the backends behind hv.h share; nobody else includes it.
 */
#ifndef VMMD_HV_BACKEND_H
#define VMMD_HV_BACKEND_H

#include <signal.h>
#include <stddef.h>

#include "vmm/hv.h"

/*
 * What a kick sends to the vCPU's thread.  Its handler does nothing: the
 * signal is there to end a run, and a backend pairs it with a flag that its
 * kernel looks at on entry, for the signal that came just before.
 */
#define HV_KICK_SIGNAL	SIGUSR1

extern const struct hv_ops hv_kvm_ops;
extern const struct hv_ops hv_vmm_ops;

/* The backends of this system in order of preference, ending in NULL. */
extern const struct hv_ops *const hv_backends[];

/*
 * Maps memory that reads zero behind every range of `gm` and fills in hva; 0,
 * or -errno and a line in `err`.  More than the host has is refused.
 */
struct gmem;
int hv_ram_map(struct gmem *gm, char *err, size_t errlen);
void hv_ram_unmap(struct gmem *gm);

/* Writes one line to `err` and returns -error. */
int hv_fail(char *err, size_t errlen, int error, const char *fmt, ...)
    __attribute__((__format__(__printf__, 4, 5)));

/* Makes `e` the end of the guest, with a line that says why. */
void hv_exit_error(struct hv_exit *e, const char *fmt, ...)
    __attribute__((__format__(__printf__, 2, 3)));

#endif /* VMMD_HV_BACKEND_H */
