/* SPDX-License-Identifier: ISC */
/*
 * The vCPUs of one boot of a guest, each with a thread of its own (vcpu.h), as
 * one.
 *
 *	vCPU 0:	     prepare ........... run ... parked ........... teardown .
 *	the others:	     prepare ... run ... parked, teardown .
 *
 * vCPU 0 makes everything that the guest has and takes it down again; the
 * others are made when that is done, and are gone before it is undone.  What
 * ends one vCPU ends them all, and the first to end says why.
 *
 * Loop thread, unless said otherwise.
 */
#ifndef VMMD_CREW_H
#define VMMD_CREW_H

#include <stdbool.h>
#include <stddef.h>

#include "vmm/vcpu.h"
#include "vmm/vm.h"

struct affinity;
struct crew;

/* The guest they belong to.  t: on the thread of vCPU 0; l: on the loop. */
struct crew_ops {
	/* t: 0, or -errno and a line in `err`; cleans up after itself. */
	int	(*prepare)(void *cookie, struct vcpu_guest *g, char *err,
		    size_t errlen);
	/* t: undoes a prepare() that succeeded. */
	void	(*teardown)(void *cookie);

	/* l: all are there, or none can: crew_message() says why. */
	void	(*prepared)(void *cookie, int error);
	/*
	 * l: none runs any more, though some still wait for a device.  May not
	 * come before parked().
	 */
	void	(*idle)(void *cookie);
	/* l: a pause was asked for, and none runs meanwhile. */
	void	(*paused)(void *cookie);
	/* l: none runs any more, ever. */
	void	(*parked)(void *cookie, enum vm_reason reason);
	/* l: teardown is done: crew_destroy() is next. */
	void	(*gone)(void *cookie);
};

struct crew_conf {
	const char		*name;		/* of the guest; outlives it */
	unsigned		 ncpus;		/* 1 to HV_VCPUS_MAX */
	const struct affinity	*affinity;	/* as it is at each time */
	struct loop		*loop;
	const struct hv_ops	*hv;
	struct deadline		*deadline;	/* for the devices' timers */
	const struct crew_ops	*ops;
	void			*cookie;
};

/*
 * 0 or -errno.  *cp is set before any thread is there: the devices that
 * prepare() makes may want vCPU 0 at once.
 */
int crew_create(struct crew **cp, const struct crew_conf *cc);
void crew_destroy(struct crew *c);		/* after gone() */
void crew_run(struct crew *c);			/* after prepared() */
void crew_stop(struct crew *c);			/* at any time, repeatedly */
void crew_pause(struct crew *c);		/* after crew_run() */
void crew_resume(struct crew *c);		/* takes it back, too */
void crew_teardown(struct crew *c);		/* after prepared() or parked() */
const char *crew_message(const struct crew *c);	/* after prepared(), parked() */

/*
 * Is the guest halted for good: every vCPU halted with interrupts disabled, or
 * waiting to be started?  It then ends with VM_REASON_HALTED.  For backends
 * that keep HLT to themselves; others say when to look.
 */
void crew_check_halt(struct crew *c);

/* Between prepared() and crew_teardown(): of all, and of one. */
void crew_stats(const struct crew *c, struct vm_stats *st);
void crew_get_vcpu(const struct crew *c, unsigned id, struct vm_vcpu *st);

/* The affinity has changed; at any time. */
void crew_pin(struct crew *c);

/* Of vCPU 0, which runs the devices; loop or any thread of the guest. */
void crew_attention(struct crew *c);

/* Every vCPU leaves the guest, and enters it again; loop thread. */
void crew_kick(struct crew *c);

/* Ends the guest; after crew_run(), loop or vCPU thread, which runs no more. */
void crew_end(struct crew *c, enum vm_reason reason);

/* A vCPU's thread, no lock held; see vcpu_call(). */
void crew_call(struct crew *c, struct dev_call *call);

#endif /* VMMD_CREW_H */
