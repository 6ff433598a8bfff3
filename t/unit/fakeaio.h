/* SPDX-License-Identifier: ISC */
/*
 * An engine whose operations are over in any order, when the test says so, on
 * files that are there.  It can note what is written and flushed, so that a
 * test may tell what a power cut leaves, and fail or hold operations.
 */
#ifndef VMMD_FAKEAIO_H
#define VMMD_FAKEAIO_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/aio_engine.h"
#include "testaio.h"

/* One write or flush in the order of submission; times are event numbers. */
struct fakeaio_event {
	int		 fd;
	bool		 flush, skipped;
	uint64_t	 off, len;
	uint8_t		*data;
	unsigned	 submitted;
	unsigned	 completed;	/* 0: not yet */
};

struct fakeaio_op;

struct fakeaio {
	struct aio		 aio;
	struct fakeaio_op	*queue;
	unsigned		 n, room;
	uint64_t		 random;	/* of the order */
	unsigned		 now;		/* event number */

	bool			 logging;
	struct fakeaio_event	*event;
	unsigned		 nevents, events_room;

	/* The operation that fails, counted from 1; 0: none. */
	unsigned		 fail_at;
	int			 fail_with;
	bool			 flush_failed;	/* it was one */
	unsigned		 ops;
	/* The operation that does not end, counted so, until it is released. */
	unsigned		 hold_at;
	struct aio_op		*held;
	/* Says of a flush, when it begins, whether it is to do nothing. */
	bool			 (*skips_flush)(void);
};

/* What fakeaio_create() has made. */
static inline struct fakeaio *
fakeaio_of(struct aio *a)
{
	return (struct fakeaio *)a;
}

/* Lets the operation that is held end like the others. */
void fakeaio_release(struct aio *a);

#endif /* VMMD_FAKEAIO_H */
