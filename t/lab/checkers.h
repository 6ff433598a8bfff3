/* SPDX-License-Identifier: ISC */
/* The checkers of one program: see checkers.c. */
#ifndef VMMD_CHECKERS_H
#define VMMD_CHECKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One checker at work, in its own process. */
struct check {
	const char	*name;
	uint64_t	 random;	/* state of its generator */
	uint64_t	 end;		/* CLOCK_MONOTONIC, ns */
	uint64_t	*rounds;	/* shared with the parent */
};

struct checker {
	const char	*name;
	void		(*run)(struct check *);
};

extern const struct checker checkers_fpu[];	/* end without name */
extern const struct checker checkers_cpu[];
extern const struct checker checkers_debug[];

/* Counts a round; false once the time is over. */
bool		check_more(struct check *);
uint64_t	check_random(struct check *);
void		check_fill(struct check *, void *, size_t);
/* Iterations of a loop that takes from microseconds to milliseconds. */
uint32_t	check_spins(struct check *);
void		check_same(const struct check *, const char *, const void *,
		    const void *, size_t);
uint64_t	check_now(void);
_Noreturn void	check_fail(const struct check *, const char *, ...)
		    __attribute__((__format__ (printf, 2, 3)));
/* This CPU has not got it, or the kernel does not offer it. */
_Noreturn void	check_absent(const struct check *);

#endif /* VMMD_CHECKERS_H */
