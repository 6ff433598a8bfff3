/* SPDX-License-Identifier: ISC */
/*
 * A backend's messages for tests: what is signalled to a bound event is a
 * message that was sent; sending takes the count, as kernels do.
 */
#ifndef VMMD_MSIRIG_H
#define VMMD_MSIRIG_H

#include <sys/types.h>

#include <errno.h>
#include <unistd.h>

#include "testhost.h"

#define MSIRIG_SLOTS	32

struct msirig {
	struct {
		int		fd;
		bool		on;
		uint64_t	addr;
		uint32_t	data;
		uint64_t	sent;	/* since it was last looked at */
	}		slot[MSIRIG_SLOTS];
	unsigned	used;		/* slots given away */
	unsigned	binds, refused;
};

static inline void
msirig_turn(struct msirig *m)
{
	uint64_t n;
	unsigned i;

	for (i = 0; i < MSIRIG_SLOTS; i++)
		if (m->slot[i].on &&
		    read(m->slot[i].fd, &n, sizeof(n)) == (ssize_t)sizeof(n))
			m->slot[i].sent += n;
}

/* For dev_host.msi_event, with the rig. */
static inline int
msirig_event(struct msirig *m, unsigned slot, int fd, uint64_t addr,
    uint32_t data, bool on)
{
	ck_assert_uint_lt(slot, m->used);
	ck_assert_int_ge(fd, 0);
	msirig_turn(m);
	if (on && addr >> 20 != 0xfee) {
		m->refused++;
		return -EINVAL;
	}
	ck_assert(on || m->slot[slot].on);
	m->slot[slot].on = on;
	m->slot[slot].fd = fd;
	m->slot[slot].addr = addr;
	m->slot[slot].data = data;
	m->binds += on;
	msirig_turn(m);
	return 0;
}

static inline int
msirig_slots(struct msirig *m, unsigned n)
{
	unsigned first = m->used;

	if (n > MSIRIG_SLOTS - first)
		return -ENOSPC;
	m->used += n;
	return (int)first;
}

/* How many messages a slot has sent since this was last asked. */
static inline unsigned
msirig_sent(struct msirig *m, unsigned slot)
{
	unsigned n;

	msirig_turn(m);
	n = (unsigned)m->slot[slot].sent;
	m->slot[slot].sent = 0;
	return n;
}

#endif /* VMMD_MSIRIG_H */
