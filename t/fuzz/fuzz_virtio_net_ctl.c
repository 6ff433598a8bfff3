/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: the control queue of virtio-net, and the filters set by it.
 *
 * The input is a list of commands, each with a byte that says how its chain is
 * cut and how the frame looks that comes after it.  Each is answered by one
 * byte, 0 or 1, and no other is written; after a save and a load everything is
 * as it was.
 */
#include "nicrig.h"

#define CTL_QUEUE	(2 * NET_PAIRS)
#define ORDER		8
#define ACK_GPA		(NET_DATA - 16)

/* A chain over `len` bytes of data in pieces of `cut`, and an answer. */
static void
put_chain(struct net_rig *r, uint32_t len, uint32_t cut)
{
	uint32_t at, n;
	unsigned i = 0;

	for (at = 0; at < len && i < 200; at += n, i++) {
		n = len - at < cut && i < 199 ? len - at : cut;
		net_put_desc(r, CTL_QUEUE, i, NET_DATA + at, n, 1,
		    (uint16_t)(i + 1));
	}
	net_put_desc(r, CTL_QUEUE, i, ACK_GPA, 8, 2, 0);
}

/* Class, command and arguments; tables get a size that may be true. */
static void
put_command(struct net_rig *r, uint8_t how)
{
	static const uint8_t lens[] = { 3, 4, 8, 10 };
	uint8_t bytes[64];
	uint32_t len = (how & 4) != 0 ? lens[how & 3] : fuzz_u8(&r->in);
	uint32_t count;

	if (len > sizeof(bytes))
		len *= 16;
	fuzz_bytes(&r->in, bytes, len < sizeof(bytes) ? len : sizeof(bytes));
	bytes[0] &= 7;
	bytes[1] &= 7;
	if ((how & 8) != 0) {
		bytes[0] = 1;
		bytes[1] = 0;
		count = fuzz_u8(&r->in);
		memcpy(bytes + 2, &count, sizeof(count));
		len = 2 + 4 + 6 * count + 4 + (how >> 6) * 6;
		count = how >> 6;
		(void)gmem_write(&r->gm, NET_DATA + len - 4 - 6 * count,
		    &count, sizeof(count));
	}
	(void)gmem_write(&r->gm, NET_DATA, bytes, sizeof(bytes));
	put_chain(r, len, (how & 16) != 0 ? 1 + fuzz_u8(&r->in) : 4096);
}

static void
do_command(struct net_rig *r, uint8_t how)
{
	uint8_t *ack = (uint8_t *)r->gm.range[0].hva + ACK_GPA;
	uint8_t rest[7];

	memset(ack, 0xee, 8);
	memset(rest, 0xee, sizeof(rest));
	put_command(r, how);
	net_offer(r, CTL_QUEUE, ORDER, 0);
	virtio_notify(r->m->v, CTL_QUEUE);
	net_turn(r);
	FUZZ_CHECK(virtio_status(r->m->v) == 0x0f);
	FUZZ_CHECK(ack[0] <= 1 && memcmp(ack + 1, rest, sizeof(rest)) == 0);
}

/* One comes to a buffer that is there, and is taken or not. */
static void
do_frame(struct net_rig *r)
{
	memset(r->head, 0, sizeof(r->head));
	fuzz_bytes(&r->in, r->head + NICPORT_HEADER, 6);
	fuzz_bytes(&r->in, r->head + NICPORT_HEADER + 12, 4);
	net_put_desc(r, 0, 0, NET_DATA + 0x4000, 128, 2, 0);
	net_offer(r, 0, ORDER, 0);
	virtio_notify(r->m->v, 0);
	r->waiting[0] = 64;
	r->nwaiting = 1;
	net_turn(r);
	FUZZ_CHECK(r->nwaiting == 0);
}

static void
do_save(struct net_rig *r)
{
	struct net_machine *old = r->m;
	struct state_reader reader;
	struct buf saved, again;

	net_stop(r->m);
	net_save(r->m, &saved);
	reader = (struct state_reader){
		(const uint8_t *)buf_head(&saved), saved.len
	};
	FUZZ_CHECK(virtio_load(r->spare->v, &reader) == 0);
	net_save(r->spare, &again);
	FUZZ_CHECK(saved.len == again.len && memcmp(buf_head(&saved),
	    buf_head(&again), saved.len) == 0);
	buf_free(&saved);
	buf_free(&again);
	r->m = r->spare;
	r->spare = old;
	net_reset(r, r->spare);
	virtio_resume(r->m->v);
	net_turn(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct net_rig rig;
	struct net_rig *r = &rig;
	uint8_t how;

	if (r->loop == NULL)
		net_make(r, 0x1f, NET_PAIRS);
	net_begin(r, data, size);
	net_start(r, UINT64_MAX, ORDER);
	net_turn(r);
	while (r->in.left != 0) {
		how = fuzz_u8(&r->in);
		r->error = (how & 0xe4) == 0xe4 ? -EIO : 0;
		do_command(r, how);
		r->error = 0;
		if ((how & 32) != 0)
			do_frame(r);
		if ((how & 0xc4) == 0xc0)
			do_save(r);
	}
	net_end(r);
	return 0;
}
