/* SPDX-License-Identifier: ISC */
/*
 * One boot of a guest, from the opening of its files to the last of its
 * memory.  A guest that boots again is another struct guest.
 *
 * All functions and all calls back are on the loop thread; what blocks is
 * done on the thread of the guest's vCPU 0.
 */
#ifndef VMMD_GUEST_H
#define VMMD_GUEST_H

#include "vmm/vm.h"

struct console;
struct guest;
struct nics;
struct vm_config;

/*
 * What becomes of a guest: running() once it was entered; ended() always,
 * once, with a message or ""; gone() last, and the guest is freed after it.
 * idle() may come before ended(), once a stop was asked for: the guest does
 * not run any more, but a request of its disks keeps its thread from parking.
 * paused() answers guest_pause().
 *
 * failed(): a disk could not do a request, for the reason in `msg`.  True: the
 * guest is about to be paused, and the request is kept until guest_resume().
 */
struct guest_ops {
	void	(*running)(void *cookie);
	void	(*idle)(void *cookie);
	void	(*paused)(void *cookie);
	bool	(*failed)(void *cookie, const char *msg);
	void	(*ended)(void *cookie, enum vm_reason reason, const char *msg);
	void	(*gone)(void *cookie);
};

/*
 * Starts one, with the NICs of an earlier boot, which it takes, or with new ones
 * if *nics is NULL: 0 or -errno.
 */
int guest_create(struct guest **gp, const struct vm_env *env,
    const struct vm_config *conf, struct nics **nics,
    struct console *console, const struct guest_ops *ops, void *cookie);

/*
 * From within ended(): its NICs stay plugged in, without a cable, and are at
 * *nics when gone() is called.
 */
void guest_keep_nics(struct guest *g, struct nics **nics);

/*
 * Asks it to shut down, by its power button or else by Ctrl-Alt-Del: it may then
 * end by itself, or not.  False if it listens to neither.  Between running() and ended().
 */
bool guest_ask_stop(struct guest *g);

/* Ends it as soon as may be; submitted disk requests complete first. */
void guest_stop(struct guest *g);

/*
 * Between running() and ended(): lets it run no further, its state kept, and
 * lets it run on.  Disk requests go on meanwhile, but for those that failed,
 * which guest_resume() tries again.  guest_resume() also takes a
 * pause back that was not answered by paused() yet; it may be, all the same.
 */
void guest_pause(struct guest *g);
void guest_resume(struct guest *g);

/* Between running() and ended(), also when paused: ended() says reset. */
void guest_reset(struct guest *g);

/*
 * Calls nobody back any more, and frees itself when the kernel is done with
 * its memory.  Only after idle() or ended(): nothing touches the console from
 * then on.
 */
void guest_detach(struct guest *g);

/* Between running() and ended(): of all its vCPUs together, and of one. */
void guest_stats(const struct guest *g, struct vm_stats *st);
void guest_get_vcpu(const struct guest *g, unsigned id, struct vm_vcpu *st);

/* Between running() and ended(): NIC `i`; false if there is none. */
bool guest_get_nic(const struct guest *g, unsigned i, struct nic_status *st);

/*
 * Takes over what has changed of its NICs, which are alike those it has, and of
 * their switches.
 */
void guest_set_nics(struct guest *g, const struct vm_nics *nics);

/* Takes over what has changed of its disks, whose images are the same. */
void guest_set_disks(struct guest *g, const struct vm_config *conf);

/* Has its vCPUs run on other CPUs, from now on. */
void guest_pin(struct guest *g, const struct affinity *a);

#endif /* VMMD_GUEST_H */
