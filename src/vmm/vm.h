/* SPDX-License-Identifier: ISC */
/*
 * One guest, as the loop sees it: a small state machine.
 *
 *	stopped -> starting -> running <-> paused
 *	              ^           |           |
 *	              +--(boots again)--------+-> stopping -> stopped
 *
 * A vCPU-0 thread does what may block (open, load, map, tear down) and posts
 * its results.  Every function here is for the loop thread and returns at
 * once; what happens later arrives through the events function.
 */
#ifndef VMMD_VM_H
#define VMMD_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/config.h"
#include "vmm/hv.h"

struct aio;
struct disk_tables;
struct budget;
struct confine;
struct console;
struct loop;
struct network;
struct nic_status;
struct vm;

enum vm_state {
	VM_STOPPED,
	VM_STARTING,
	VM_RUNNING,
	VM_PAUSED,
	VM_STOPPING,
};

/* Why a guest is stopped, or paused; the names are part of the control protocol. */
enum vm_reason {
	VM_REASON_NONE,		/* "-": has not run */
	VM_REASON_STOP,		/* "stop": the administrator said so */
	VM_REASON_RESET,	/* "reset": its own, with on-reboot = stop */
	VM_REASON_SHUTDOWN,	/* "triple-fault" */
	VM_REASON_HALTED,	/* "halted": HLT with interrupts disabled */
	VM_REASON_POWEROFF,	/* "poweroff": ACPI's S5 */
	VM_REASON_ERROR,	/* "error": see vm_message() */
	VM_REASON_DISK,		/* "disk-error": paused by one, see there, too */
};

/* What all guests of a daemon share. */
struct vm_env {
	struct loop		*loop;
	struct aio		*aio;
	struct disk_tables	*disk_tables;
	const struct hv_ops	*hv;
	const struct confine	*files;		/* where they must lie */
	struct budget		*memory;	/* of all guests together */
	struct network		*net;		/* NULL: there are no NICs */

	/* Called on each change of state, after it; loop thread. */
	void			(*event)(void *cookie, struct vm *vm);
	void			*cookie;
};

/* What a guest has cost since its last boot. */
struct vm_stats {
	uint64_t	 exits;		/* to the daemon and inside the kernel */
	uint64_t	 kind[HV_EXIT_KINDS];	/* to the daemon, of each kind */
	uint64_t	 cpu_ns;	/* of the vCPUs' threads */
	uint64_t	 guest_ns;	/* of that in guest mode; 0: unknown */
};

/* One of a running guest's vCPUs. */
struct vm_vcpu {
	struct vm_stats	 stats;
	uint64_t	 steal_ns;	/* its thread had no CPU; 0: unknown */
};

struct vm_status {
	enum vm_state	 state;
	enum vm_reason	 reason;	/* of the last stop, or VM_REASON_DISK */
	uint64_t	 memory;	/* bytes */
	uint64_t	 uptime_ns;	/* 0 unless running or paused */
	uint64_t	 next_start_ns;	/* until it boots again; 0: no boot waits */
	struct vm_stats	 stats;
	unsigned	 nvcpus;
	unsigned	 boots;		/* times the guest was entered afresh */
};

/*
 * A stopped guest with a copy of the configuration, or NULL (ENOMEM).
 * `env` must outlive it.
 */
struct vm *vm_create(const struct vm_env *env, const struct vm_config *conf);

/* Only when stopped. */
void vm_destroy(struct vm *vm);

/* Starts it: 0; -EBUSY unless stopped; -errno (thread, timer). */
int vm_start(struct vm *vm);

/*
 * Stops it.  A guest that runs and listens is asked to shut down, and has its
 * stop-timeout to do so; a reset of its machine counts.  One that is paused
 * goes on for that.  Then, or at once, the vCPU ends, submitted disk requests
 * complete, and the guest is gone.  With `force` nothing is waited for but the
 * kernel.  -ESRCH if stopped.
 */
int vm_stop(struct vm *vm, bool force);

/* After vm_stop(): the guest has been asked long enough. */
void vm_stop_asking(struct vm *vm);

/*
 * Pauses a running guest: 0, and the state is VM_PAUSED as soon as it does not
 * run any more; -ESRCH unless running.  Disk requests that it has made go on.
 * Its clocks go on, too: to the guest a pause is a processor that was away.
 */
int vm_pause(struct vm *vm);

/*
 * Lets a paused guest run on: 0, -ESRCH unless paused.  If a disk's error has
 * paused it, what failed is tried again.
 */
int vm_resume(struct vm *vm);

/*
 * Presses the reset button: the guest is ended without being asked and boots
 * again at once with the configuration it has, through VM_STARTING.  0,
 * -ESRCH unless running or paused.
 */
int vm_reset(struct vm *vm);

const struct vm_config *vm_conf(const struct vm *vm);
/* Replaces the configuration of a stopped guest: 0, -EBUSY, -ENOMEM. */
int vm_set_conf(struct vm *vm, const struct vm_config *conf);
/* Takes over what may change at any time; see vm_config_set_live(). */
void vm_set_live(struct vm *vm, const struct vm_config *conf);

void vm_get_status(const struct vm *vm, struct vm_status *st);

/* One vCPU, below nvcpus; false unless the guest runs or is paused. */
bool vm_get_vcpu(const struct vm *vm, unsigned id, struct vm_vcpu *st);

/* One NIC; false unless the guest has it and runs or is paused. */
bool vm_get_nic(const struct vm *vm, unsigned i, struct nic_status *st);

/* The switches, or the guest's NICs, may be others now. */
void vm_update_nics(struct vm *vm);

/* Why it is paused by an error, or the last start or run failed, or "". */
const char *vm_message(const struct vm *vm);

/* The guest's serial line; lives as long as the vm. */
struct console *vm_console(struct vm *vm);

const char *vm_state_name(enum vm_state s);
const char *vm_reason_name(enum vm_reason r);

#endif /* VMMD_VM_H */
