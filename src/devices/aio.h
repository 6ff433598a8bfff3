/* SPDX-License-Identifier: ISC */
/*
 * The asynchronous I/O engine: one per daemon, on the loop thread.  There are
 * two kinds of equal meaning.  One is Linux's io_uring, whose completions wake
 * the loop through an eventfd and whose submissions go out once a turn
 * (ev_prepare); the other has threads that make the system calls.  Calls of
 * functions are made by threads of either.
 */
#ifndef VMMD_AIO_H
#define VMMD_AIO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct aio;
struct aio_share;
struct loop;

enum aio_opcode {
	AIO_READV,
	AIO_WRITEV,
	AIO_PUNCH,
	AIO_ZERO,
	AIO_FDATASYNC,
	AIO_CALL,
	AIO_NOP,
};

/*
 * One operation on a descriptor; owned by the caller until done() has run, on
 * the loop thread and never from within a submit.  `res` is the bytes moved
 * or -errno, as from preadv(2), pwritev(2), fdatasync(2), fallocate(2).
 * Operations that are in flight together may be done in any order.
 */
struct aio_op {
	void			(*done)(struct aio_op *op, int res);
	bool			 waits;		/* a transfer: aio_waits() */

	/* The engine's. */
	struct aio_op		*next;
	struct aio_share	*share;		/* or NULL */
	uint64_t		 off;
	const struct iovec	*iov;
	unsigned		 niov;
	int			 fd;
	enum aio_opcode		 opcode;
	int			 res;
	uint64_t		 len;
	int			(*call)(struct aio_op *op);
};

/*
 * Creates the engine, on the loop thread: "io_uring", "threads", or with "auto"
 * the first of them that can be had.  NULL with errno set.
 */
struct aio *aio_create(struct loop *loop, const char *name);

/*
 * A share in an engine, which is used like it and must go before it: of what
 * is asked for by way of one, only so much reaches the engine at a time that
 * others' operations find room there, however long the first take.  One for
 * each guest.  NULL without memory.
 */
struct aio *aio_share_create(struct aio *engine);

/* Destroys an engine or a share; no operation may be in flight. */
void aio_destroy(struct aio *a);

/*
 * Does the system have who asks for a transfer of this file wait for the host's
 * disk, whatever it was told?  Then the operation must say so, and not the loop
 * waits but a thread of the system's.  Any thread; may block.
 */
bool aio_waits(int fd);

void aio_readv(struct aio *a, int fd, const struct iovec *iov, unsigned niov,
    uint64_t off, struct aio_op *op);
void aio_writev(struct aio *a, int fd, const struct iovec *iov, unsigned niov,
    uint64_t off, struct aio_op *op);
/*
 * Make a range read zero, without room on the host's disk or with it; the file
 * keeps its size.  -EOPNOTSUPP where the host cannot.
 */
void aio_punch(struct aio *a, int fd, uint64_t off, uint64_t len,
    struct aio_op *op);
void aio_zero(struct aio *a, int fd, uint64_t off, uint64_t len,
    struct aio_op *op);

/*
 * Does nothing, with 0: for what is complete but may not say so yet, and for
 * work that goes on when others had their turn.
 */
void aio_nop(struct aio *a, struct aio_op *op);

void aio_fdatasync(struct aio *a, int fd, struct aio_op *op);

/*
 * Has a thread call a function, whose value is `res`: for work that would hold
 * up the loop.  The function may touch only what is left alone until done().
 * Where the system gives no thread, the loop calls it after all.
 */
void aio_call(struct aio *a, int (*call)(struct aio_op *op),
    struct aio_op *op);

#endif /* VMMD_AIO_H */
