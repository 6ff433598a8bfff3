/* SPDX-License-Identifier: ISC */
/*
 * A packet filter that only takes notes, in place of net/fw_load.h.  What it
 * noted is to be read while the firewall is idle.
 */
#ifndef VMMD_FAKEFW_H
#define VMMD_FAKEFW_H

struct fakefw {
	char		loaded[1 << 20];	/* the rules, and taps and MACs */
	char		forgotten[256];		/* addresses, a blank each */
	unsigned	loads;			/* that went well */
	unsigned	texts;			/* that were made */
	unsigned	forwards, conflicts;	/* times it was asked */
	/* That there are to be. */
	int		open_error, load_error, forward_error, forget_error;
};

extern struct fakefw fakefw;

/* Keeps whoever loads from going on, until it is let go. */
void fakefw_hold(void);
void fakefw_let_go(void);

/* Waits until somebody is kept from going on. */
void fakefw_wait_held(void);

#endif /* VMMD_FAKEFW_H */
