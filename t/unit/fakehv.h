/* SPDX-License-Identifier: ISC */
/*
 * A hypervisor without a processor: a test says on each run what the guest
 * "does", and waits as a halted guest does.  All of it is under one mutex.
 */
#ifndef VMMD_T_FAKEHV_H
#define VMMD_T_FAKEHV_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/hv.h"

struct fakehv {
	/*
	 * What the guest does: fills in an exit, or returns false to halt
	 * until the next kick.  `step` counts from 0, afresh for each vCPU;
	 * on the vCPU's thread.
	 */
	bool		(*guest)(unsigned step, struct hv_exit *e);
	/* The same for the vCPUs from 1 up; NULL: they are not started. */
	bool		(*others)(unsigned id, unsigned step,
			    struct hv_exit *e);
	bool		 intr_ready;	/* answer of hv->intr_ready() */
	bool		 halted;	/* answer of hv->is_halted() */
	bool		 tick_kicks;	/* answer of hv->tick() */
	uint64_t	 awake;		/* vCPUs for which it is no all the same */
	const char	*fail_vm;	/* vm_create() fails so */
	const char	*fail_vcpu;	/* vcpu_create() does */
	unsigned	 fail_id;	/* of this one */

	/* What was seen. */
	unsigned	 vms, vcpus;	/* alive */
	unsigned	 ncpus;		/* of the last VM made */
	unsigned	 doorbells;	/* there are */
	unsigned	 msis;		/* sent */
	struct hv_msi	 msi;		/* the last of them, or of an event */
	unsigned	 msi_events;	/* bound */
	unsigned	 routes;	/* calls of ioapic_route() */
	unsigned	 kicks;
	unsigned	 checks;	/* is_halted() was asked */
	unsigned	 ticks;
	unsigned	 resumed;	/* resumed() was told */
	unsigned	 injected;
	uint8_t		 vector;	/* the last of them */
	bool		 window;	/* wanted */
	uint64_t	 exits;
	struct hv_regs	 regs;		/* last set */
	char		 thread[16];	/* name of the last vCPU's */
	unsigned	 inside;	/* vCPUs in run() */
};

/* A test's copy of what was seen. */
struct fakehv fakehv_look(void);

/* Changes the answers; zeroes what was seen. */
void fakehv_setup(const struct fakehv *f);
void fakehv_set_ready(bool ready);
void fakehv_set_awake(uint64_t vcpus);
void fakehv_set_guest(bool (*guest)(unsigned step, struct hv_exit *e));

/* Exits for guest() and others(), on their threads. */
bool fakehv_out(struct hv_exit *e, uint16_t port, uint8_t val);
bool fakehv_in(struct hv_exit *e, uint16_t port);
bool fakehv_mmio(struct hv_exit *e, uint64_t gpa, bool write);
uint8_t fakehv_value(void);	/* what the last of them read */

extern const struct hv_ops fakehv_ops;

#endif /* VMMD_T_FAKEHV_H */
