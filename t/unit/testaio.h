/* SPDX-License-Identifier: ISC */
/*
 * The engine beneath a test's disks: the fake one of fakeaio.h, or by
 * loopaio.c those that the daemon has, with a loop.
 */
#ifndef VMMD_TESTAIO_H
#define VMMD_TESTAIO_H

#include <stdbool.h>
#include <stdint.h>

struct aio;

struct aio *fakeaio_create(uint64_t random);
void fakeaio_destroy(struct aio *a);

/* Ends an operation or some, if there are any. */
bool fakeaio_step(struct aio *a);

/* Ends all, and what follows from them. */
void fakeaio_run(struct aio *a);

#endif /* VMMD_TESTAIO_H */
