/* SPDX-License-Identifier: ISC */
/*
 * What kinds of engines share, and what each of them is.
 */
#ifndef VMMD_AIO_ENGINE_H
#define VMMD_AIO_ENGINE_H

#include "devices/aio.h"

/* Loop thread. */
struct aio_ops {
	/* Takes an operation that is filled in; ends it by aio_complete(). */
	void		(*queue)(struct aio *a, struct aio_op *op);
	void		(*destroy)(struct aio *a);
	/* Transfers of a share in flight, of which many must find room. */
	unsigned	share;
	/* The same of those that wait; 0 where each holds a thread anyway. */
	unsigned	waiting;
};

/* The first member of each kind's struct. */
struct aio {
	const struct aio_ops	*ops;
};

/* Ends an operation that an engine has taken; loop thread. */
void aio_complete(struct aio_op *op, int res);

/* Does what an operation says, waiting for it: its result.  Any thread. */
int aio_perform(struct aio_op *op);

/* As aio_create(); -ENOSYS where the system has none of the kind. */
int aio_uring_create(struct aio **ap, struct loop *loop);
int aio_threads_create(struct aio **ap, struct loop *loop);

#endif /* VMMD_AIO_ENGINE_H */
