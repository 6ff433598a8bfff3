/* SPDX-License-Identifier: ISC */
/*
 * The model-specific registers that no backend knows: what a guest gets that
 * asks for one, and the log of it.
 *
 * Of one boot of a guest; its vCPUs' threads share it.
 */
#ifndef VMMD_MSRS_H
#define VMMD_MSRS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define MSRS_LOGGED_MAX	64

struct hv_exit;

/* i: immutable; m: under mtx */
struct msrs {
	const char	*name;		/* i: of the guest, which outlives it */
	bool		 ignore;	/* i: instead of a #GP */
	pthread_mutex_t	 mtx;
	unsigned	 nlogged;	/* m */
	uint32_t	 logged[MSRS_LOGGED_MAX];	/* m */
};

/* 0 or -errno. */
int msrs_init(struct msrs *m, const char *name, bool ignore);
void msrs_destroy(struct msrs *m);

/*
 * Answers a HV_EXIT_MSR, and logs the register the first time; no more than
 * MSRS_LOGGED_MAX of them, for which a guest can choose any number.  Any thread.
 */
void msrs_access(struct msrs *m, const struct hv_exit *e);

#endif /* VMMD_MSRS_H */
