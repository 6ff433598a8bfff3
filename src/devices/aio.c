/* SPDX-License-Identifier: ISC */
/*
 * The I/O engine: see aio.h.  Here is what is the same in all kinds.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "devices/aio.h"
#include "devices/aio_engine.h"

static const struct {
	const char	*name;
	int		(*create)(struct aio **ap, struct loop *loop);
} kinds[] = {
	{ "io_uring", aio_uring_create },
	{ "threads", aio_threads_create },
};

/* One that fails may be missing from the kernel, or be forbidden. */
struct aio *
aio_create(struct loop *loop, const char *name)
{
	bool any = strcmp(name, "auto") == 0;
	int error = -ENOSYS;
	struct aio *a;
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!any && strcmp(name, kinds[i].name) != 0)
			continue;
		error = kinds[i].create(&a, loop);
		if (error == 0)
			return a;
		if (any)
			log_warn("disk I/O: no %s: %s", kinds[i].name,
			    strerror(-error));
	}
	errno = -error;
	return NULL;
}

void
aio_destroy(struct aio *a)
{
	if (a != NULL)
		a->ops->destroy(a);
}

static void
aio_queue(struct aio *a, enum aio_opcode opcode, int fd, struct aio_op *op)
{
	op->opcode = opcode;
	op->fd = fd;
	op->next = NULL;
	op->share = NULL;
	a->ops->queue(a, op);
}

static void
aio_transfer(struct aio *a, enum aio_opcode opcode, int fd,
    const struct iovec *iov, unsigned niov, uint64_t off, struct aio_op *op)
{
	op->iov = iov;
	op->niov = niov;
	op->off = off;
	aio_queue(a, opcode, fd, op);
}

static void
aio_range(struct aio *a, enum aio_opcode opcode, int fd, uint64_t off,
    uint64_t len, struct aio_op *op)
{
	op->off = off;
	op->len = len;
	aio_queue(a, opcode, fd, op);
}

void
aio_readv(struct aio *a, int fd, const struct iovec *iov, unsigned niov,
    uint64_t off, struct aio_op *op)
{
	aio_transfer(a, AIO_READV, fd, iov, niov, off, op);
}

void
aio_writev(struct aio *a, int fd, const struct iovec *iov, unsigned niov,
    uint64_t off, struct aio_op *op)
{
	aio_transfer(a, AIO_WRITEV, fd, iov, niov, off, op);
}

void
aio_punch(struct aio *a, int fd, uint64_t off, uint64_t len,
    struct aio_op *op)
{
	aio_range(a, AIO_PUNCH, fd, off, len, op);
}

void
aio_zero(struct aio *a, int fd, uint64_t off, uint64_t len,
    struct aio_op *op)
{
	aio_range(a, AIO_ZERO, fd, off, len, op);
}

void
aio_fdatasync(struct aio *a, int fd, struct aio_op *op)
{
	aio_queue(a, AIO_FDATASYNC, fd, op);
}

void
aio_call(struct aio *a, int (*call)(struct aio_op *op), struct aio_op *op)
{
	op->call = call;
	aio_queue(a, AIO_CALL, -1, op);
}

void
aio_nop(struct aio *a, struct aio_op *op)
{
	aio_queue(a, AIO_NOP, -1, op);
}
