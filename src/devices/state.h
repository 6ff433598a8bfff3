/* SPDX-License-Identifier: ISC */
/*
 * The saved form of device state: a sequence of named, versioned records.
 *
 *	u8 namelen, name, u16 version, u32 size, size bytes of payload
 *
 * in little endian.  A device keeps its state in one struct of fixed-width
 * fields and saves it whole; the reader checks name, version and size, the
 * device checks the values.
 */
#ifndef VMMD_STATE_H
#define VMMD_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define STATE_NAME_MAX	31

struct state_writer {
	struct buf	*out;
};

struct state_reader {
	const uint8_t	*p;
	size_t		 left;
};

/* Appends one record: 0 or -errno of buf_append. */
int state_put(struct state_writer *w, const char *name, uint16_t version,
    const void *payload, uint32_t size);

/*
 * Takes the next record, which must be `name` of exactly this version and
 * size: 0, or -EINVAL and nothing is taken.
 */
int state_get(struct state_reader *r, const char *name, uint16_t version,
    void *payload, uint32_t size);

#endif /* VMMD_STATE_H */
