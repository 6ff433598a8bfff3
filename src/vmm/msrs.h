/* SPDX-License-Identifier: ISC */
/*
 * The model-specific registers that no backend knows: what a guest gets that
 * asks for one, and the log of it.
 *
 * Of one boot of a guest; belongs to its vCPU's thread.
 */
#ifndef VMMD_MSRS_H
#define VMMD_MSRS_H

#include <stdbool.h>
#include <stdint.h>

#define MSRS_LOGGED_MAX	64

struct hv_exit;

struct msrs {
	const char	*name;		/* of the guest, which outlives it */
	bool		 ignore;	/* instead of a #GP */
	unsigned	 nlogged;
	uint32_t	 logged[MSRS_LOGGED_MAX];
};

/*
 * Answers a HV_EXIT_MSR, and logs the register the first time; no more than
 * MSRS_LOGGED_MAX of them, for which a guest can choose any number.
 */
void msrs_access(struct msrs *m, const struct hv_exit *e);

#endif /* VMMD_MSRS_H */
