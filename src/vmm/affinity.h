/* SPDX-License-Identifier: ISC */
/*
 * Which of the host's CPUs the vCPUs of a guest may run on: the values of
 * cpu-affinity in vmmd.conf(5).  Plain data without pointers.
 */
#ifndef VMMD_AFFINITY_H
#define VMMD_AFFINITY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AFFINITY_MAX	128	/* rows, of one guest */
#define AFFINITY_ALL	UINT8_MAX

struct buf;

/* vCPUs that may run on CPUs; first_vcpu AFFINITY_ALL: those without a row. */
struct affinity_row {
	uint8_t		first_vcpu, last_vcpu;
	uint16_t	first_cpu, last_cpu;
};

struct affinity {
	unsigned		n;
	struct affinity_row	row[AFFINITY_MAX];
};

/*
 * Adds a value, "VCPUS:CPUS": 0, or -errno and what is wrong with it in `err`.
 * VCPUS is a number, a range or "all"; CPUS is numbers and ranges, with commas.
 */
int affinity_add(struct affinity *a, const char *value, char *err,
    size_t errlen);

bool affinity_equal(const struct affinity *a, const struct affinity *b);

/* Appends the values, separated by ", ", or "-"; 0 or -errno. */
int affinity_print(const struct affinity *a, struct buf *b);

/* Appends what holds for one vCPU, as "2-3,8", or "-"; 0 or -errno. */
int affinity_print_vcpu(const struct affinity *a, unsigned vcpu, struct buf *b);

/* The highest vCPU with a row of its own, or -1. */
int affinity_last_vcpu(const struct affinity *a);

/*
 * Has a vCPU's thread run where it may; 0 or -errno, as thread_pin() has it.
 * With `again` also if that is anywhere, for a thread that was elsewhere before.
 */
int affinity_apply(const struct affinity *a, unsigned vcpu, pthread_t thread,
    bool again);

#endif /* VMMD_AFFINITY_H */
