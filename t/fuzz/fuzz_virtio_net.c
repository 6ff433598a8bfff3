/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: virtio-net as the guest and its port see it.
 *
 * The input is a list of steps; the low three bits of a step's first byte say
 * what it does: 0 reads the configuration or sets what the daemon may, 1
 * changes the port, 2 starts the device as a driver would, 3 writes a
 * descriptor, 4 writes data, 5 offers chains, 6 has frames come, 7 saves and
 * loads.  What reaches the port lies in memory and has a header that means
 * something.
 *
 * Devices are made once.  A reset must leave one as it was made, and does so
 * between any two inputs.
 */
#include "nicrig.h"

static unsigned order;		/* of the queues' sizes */

static void
configure(struct net_rig *r, uint8_t op)
{
	const struct virtio_dev_ops *ops = virtio_net_ops(r->m->net);
	struct virtio_net_stats stats;

	switch (op >> 3 & 3) {
	case 0:
		(void)ops->config_read(r->m->net, (op >> 5) + 1u, 4);
		break;
	case 1:
		virtio_net_announce(r->m->net);
		break;
	case 2:
		virtio_net_set_mtu(r->m->net, 1500);
		break;
	case 3:
		virtio_net_stats(r->m->net, &stats);
		break;
	}
}

static void
change_port(struct net_rig *r, uint8_t op)
{
	switch (op >> 3 & 3) {
	case 0:
		r->m->ops->link(r->m->nic, (op & 0x20) != 0);
		break;
	case 1:
		r->room = op >> 5;
		break;
	case 2:
		r->send_error = (op & 0x20) != 0 ? -EIO : 0;
		break;
	case 3:
		r->error = (op & 0x20) != 0 ? -EIO : 0;
		break;
	}
	net_turn(r);
}

/* Queues of 2 to 256 entries; most features, or those of the input. */
static void
start(struct net_rig *r, uint8_t op)
{
	uint64_t features = UINT64_MAX;

	order = 1 + (op >> 3 & 7);
	if ((op & 0x40) != 0)
		features = fuzz_u32(&r->in) | (uint64_t)(op >> 7) << 54;
	net_start(r, features, order);
	net_turn(r);
}

/* Somewhere in data, short or long; or anything at all. */
static void
put_descriptor(struct net_rig *r, uint8_t op)
{
	uint8_t i = fuzz_u8(&r->in), flags = fuzz_u8(&r->in);
	uint64_t addr = NET_DATA + fuzz_u16(&r->in);
	uint32_t len = fuzz_u8(&r->in);
	uint16_t next = (uint16_t)(i + 1);

	if ((flags & 0x08) != 0)
		len = fuzz_u16(&r->in);
	if ((flags & 0x10) != 0)
		next = fuzz_u8(&r->in);
	if ((flags & 0x20) != 0)
		addr = fuzz_u32(&r->in);
	net_put_desc(r, op >> 3 & 7, i, addr, len, flags & 7, next);
}

static void
put_data(struct net_rig *r, uint8_t op)
{
	uint8_t bytes[32];
	unsigned n = 1 + (op >> 3);
	uint16_t at = fuzz_u16(&r->in);

	fuzz_bytes(&r->in, bytes, n);
	(void)gmem_write(&r->gm, NET_DATA + at, bytes, n);
}

static void
offer(struct net_rig *r, uint8_t op)
{
	unsigned q = (op >> 3 & 7) % r->nqueues, n = op >> 6;
	uint16_t head = fuzz_u8(&r->in);

	do {
		net_offer(r, q, order, head++);
	} while (n-- > 0);
	virtio_notify(r->m->v, q);
	net_turn(r);
}

/* The header and addresses are the input's, or of a frame for the guest. */
static void
arrive(struct net_rig *r, uint8_t op)
{
	size_t len = (op & 8) != 0 ? fuzz_u16(&r->in) : fuzz_u8(&r->in);
	unsigned n = op >> 6;

	memset(r->head, 0, sizeof(r->head));
	r->head[NICPORT_HEADER] = 2;
	r->head[NICPORT_HEADER + 5] = 1;
	if ((op & 16) != 0)
		fuzz_bytes(&r->in, r->head, 12);
	if ((op & 32) != 0)
		fuzz_bytes(&r->in, r->head + 12, sizeof(r->head) - 12);
	if ((op & 24) == 24)
		len += 31;
	do {
		if (r->nwaiting < NET_WAITING)
			r->waiting[r->nwaiting++] = len;
	} while (n-- > 0);
	net_turn(r);
}

static void
save_and_load(struct net_rig *r, bool hostile)
{
	unsigned n = hostile ? fuzz_u8(&r->in) % 8 : 0;
	struct net_machine *old = r->m;
	struct state_reader reader;
	struct buf saved, again;
	uint16_t at;

	net_stop(r->m);
	net_save(r->m, &saved);
	while (n-- > 0) {
		at = fuzz_u16(&r->in);
		buf_head(&saved)[at % saved.len] ^= (char)fuzz_u8(&r->in);
	}
	reader = (struct state_reader){
		(const uint8_t *)buf_head(&saved), saved.len
	};
	if (virtio_load(r->spare->v, &reader) == 0) {
		FUZZ_CHECK(reader.left == 0);
		net_save(r->spare, &again);
		FUZZ_CHECK(hostile || (saved.len == again.len &&
		    memcmp(buf_head(&saved), buf_head(&again),
		    saved.len) == 0));
		buf_free(&again);
		r->m = r->spare;
		r->spare = old;
	} else {
		FUZZ_CHECK(hostile);
	}
	net_reset(r, r->spare);
	buf_free(&saved);
	virtio_resume(r->m->v);
	net_turn(r);
}

static void
step(struct net_rig *r)
{
	uint8_t op = fuzz_u8(&r->in);

	switch (op & 7) {
	case 0:
		configure(r, op);
		break;
	case 1:
		change_port(r, op);
		break;
	case 2:
		start(r, op);
		break;
	case 3:
		put_descriptor(r, op);
		break;
	case 4:
		put_data(r, op);
		break;
	case 5:
		offer(r, op);
		break;
	case 6:
		arrive(r, op);
		break;
	case 7:
		save_and_load(r, (op & 8) != 0);
		break;
	}
}

/* By bit 0 of the first byte there are two pairs, by bit 1 no offloads. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct net_rig rigs[4];
	struct net_rig *r;

	if (size == 0)
		return 0;
	r = &rigs[data[0] & 3];
	if (r->loop == NULL)
		net_make(r, (data[0] & 2) != 0 ? 0 : 0x1f,
		    1 + (data[0] & 1));
	net_begin(r, data + 1, size - 1);
	order = 8;
	while (r->in.left != 0)
		step(r);
	net_end(r);
	return 0;
}
