/* SPDX-License-Identifier: ISC */
/*
 * Threads as the host's scheduler knows them: where they may run, and what
 * they wait for.
 */
#ifndef VMMD_THREAD_H
#define VMMD_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct thread_look {
	uint64_t	waited_ns;	/* ready to run, for want of a CPU */
	bool		sleeps;		/* now */
};

/* CPUs that the host may have, online or not: their numbers are below. */
unsigned thread_cpus(void);

/* The calling thread, as thread_look() knows it. */
int thread_id(void);

/*
 * Lets a thread run only on the CPUs that allows(cookie, cpu) names, or, if
 * `allows` is NULL, on those that the caller may run on: 0 or -errno, which is
 * -EINVAL if none of them is online.
 */
int thread_pin(pthread_t thread, bool (*allows)(const void *cookie,
    unsigned cpu), const void *cookie);

/* What a thread of this process does: 0 or -errno.  Any thread. */
int thread_look(int id, struct thread_look *look);

#endif /* VMMD_THREAD_H */
