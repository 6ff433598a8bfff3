/* SPDX-License-Identifier: ISC */
/*
 * What kinds of engines share, and what each of them is.
 */
#ifndef VMMD_AIO_ENGINE_H
#define VMMD_AIO_ENGINE_H

#include "devices/aio.h"

/* Loop thread. */
struct aio_ops {
	/* Takes an operation that is filled in. */
	void		(*queue)(struct aio *a, struct aio_op *op);
	void		(*destroy)(struct aio *a);
};

/* The first member of each kind's struct. */
struct aio {
	const struct aio_ops	*ops;
};

/* As aio_create(); -ENOSYS where the system has none of the kind. */
int aio_uring_create(struct aio **ap, struct loop *loop);
int aio_threads_create(struct aio **ap, struct loop *loop);

#endif /* VMMD_AIO_ENGINE_H */
