/* SPDX-License-Identifier: ISC */
/*
 * Threads as the host's scheduler knows them: where they may run, and how long
 * they have waited for that.
 */
#ifndef VMMD_THREAD_H
#define VMMD_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* CPUs that the host may have, online or not: their numbers are below. */
unsigned thread_cpus(void);

/*
 * Lets a thread run only on the CPUs that allows(cookie, cpu) names, or, if
 * `allows` is NULL, on those that the caller may run on: 0 or -errno, which is
 * -EINVAL if none of them is online.
 */
int thread_pin(pthread_t thread, bool (*allows)(const void *cookie,
    unsigned cpu), const void *cookie);

/*
 * The scheduler's account of the calling thread: a descriptor or -errno.  Any
 * thread asks it for how long, in ns, that one could have run and had no CPU:
 * 0, or -errno and *ns 0.  It is kept open since finding it takes long.
 */
int thread_account(void);
int thread_waited(int account, uint64_t *ns);

/*
 * The calling thread, and those that it creates from now on, do without
 * restartable sequences, which nothing here uses.  Then the kernel has no work
 * of theirs to do whenever it has taken the CPU from a thread, for which a vCPU
 * would have to leave the driver.
 */
void thread_forgo_rseq(void);

#endif /* VMMD_THREAD_H */
