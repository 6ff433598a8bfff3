/* SPDX-License-Identifier: ISC */
/*
 * The thread of one vCPU: prepares what it will run, runs it, tears it down,
 * each when the loop says so, and posts to the loop when it is done.
 *
 *	loop:	create         run           stop            teardown  destroy
 *	thread:	  prepare -> [run guest ... ended] -> parked -> teardown -> .
 *	posts:	     prepared            (idle)     parked          gone
 *
 * Between run and stop the guest may be paused and resumed, any number of
 * times; the thread then waits with all its state, and posts `paused`.
 *
 * The loop never waits for the thread, except to join it after `gone`.  That
 * there are several in a guest is the business of crew.h; only vCPU 0 differs:
 * it runs what has come due in the devices and takes the PIC's interrupts.
 */
#ifndef VMMD_VCPU_H
#define VMMD_VCPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/vm.h"

#define VCPU_MSG_MAX	400

struct affinity;
struct deadline;
struct dev_call;
struct hv_ops;
struct hv_vcpu;
struct hv_vm;
struct loop;
struct machine;
struct msrs;
struct vcpu;

/* What a thread runs; prepare() fills it in.  All but `hv` is the guest's. */
struct vcpu_guest {
	struct hv_vm	*vm;
	struct hv_vcpu	*hv;
	struct machine	*machine;
	struct msrs	*msrs;
};

/* The guest a vCPU belongs to.  t: on the vCPU's thread; l: on the loop. */
struct vcpu_ops {
	/* t: 0, or -errno and a line in `err`; cleans up after itself. */
	int	(*prepare)(void *cookie, struct vcpu_guest *g, char *err,
		    size_t errlen);
	/* t: undoes a prepare() that succeeded. */
	void	(*teardown)(void *cookie);

	/* l: prepare() returned `error`, and vcpu_message() says why. */
	void	(*prepared)(void *cookie, int error);
	/*
	 * l: a stop was asked for, and the guest does not run any more, though
	 * the thread still waits for a device.  May not come before parked().
	 */
	void	(*idle)(void *cookie);
	/* l: a pause was asked for, and the vCPU does not run meanwhile. */
	void	(*paused)(void *cookie);
	/*
	 * l: the vCPU was found halted with interrupts disabled.  It runs
	 * again all the same: who knows what the others are about to do?
	 */
	void	(*halted)(void *cookie);
	/* l: the vCPU does not run any more and never will. */
	void	(*parked)(void *cookie, enum vm_reason reason);
	/* l: teardown is done: vcpu_destroy() is next. */
	void	(*gone)(void *cookie);
};

struct vcpu_conf {
	unsigned		 id;
	bool			 alone;		/* its guest has no other */
	char			 thread_name[16];
	struct loop		*loop;
	const struct hv_ops	*hv;
	struct deadline		*deadline;	/* vCPU 0: for the devices' timers */
	const struct vcpu_ops	*ops;
	void			*cookie;
};

/* Loop thread.  0 or -errno; prepare() then runs. */
int vcpu_create(struct vcpu **vp, const struct vcpu_conf *vc);
void vcpu_destroy(struct vcpu *v);		/* after gone() */
void vcpu_run(struct vcpu *v);			/* after prepared() */
void vcpu_stop(struct vcpu *v);			/* at any time, repeatedly */
void vcpu_pause(struct vcpu *v);		/* after vcpu_run() */
void vcpu_resume(struct vcpu *v);		/* takes it back, too */
void vcpu_check_halt(struct vcpu *v);		/* halted() if it is; see hv.h */
void vcpu_teardown(struct vcpu *v);		/* after prepared() or parked() */
const char *vcpu_message(const struct vcpu *v);	/* after prepared(), parked() */

/* Loop thread, between paused() and vcpu_resume(): is it so for good? */
bool vcpu_is_halted(const struct vcpu *v);

/* Loop thread, between prepared() and vcpu_teardown(): what it has cost. */
void vcpu_stats(const struct vcpu *v, struct vm_stats *st);

/* The same, and what the scheduler says of the thread. */
void vcpu_status(const struct vcpu *v, struct vm_vcpu *st);

/*
 * Loop thread: says where the thread may run; with `again` after it has had
 * another say in that.  0 or -errno; see affinity_apply().
 */
int vcpu_pin(struct vcpu *v, const struct affinity *a, bool again);

/* See struct dev_host; loop or any thread of the same guest. */
void vcpu_attention(struct vcpu *v);

/* Is this its thread?  Any thread of the same guest. */
bool vcpu_is_self(const struct vcpu *v);

/* The vCPU's thread: ends it, before it runs any further. */
void vcpu_end(struct vcpu *v, enum vm_reason reason);

/* The vCPU's thread, no lock held. */
void vcpu_call(struct vcpu *v, struct dev_call *c);

#endif /* VMMD_VCPU_H */
