/* SPDX-License-Identifier: ISC */
/*
 * Virtqueues: what a driver may do works, at every edge; what it may not do
 * breaks its own queue and nothing else; no notification is lost between two
 * threads.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "testhost.h"
#include "vring.h"

#define MEM_SIZE	0x100000u
#define RING_BASE	0x1000u
#define TABLE		0x20000u	/* for indirect tables */
#define DATA		0x40000u
#define HIGH		(4ull << 30)	/* a big range, never touched */
#define HIGH_SIZE	(8ull << 30)

#define INDIRECT	VIRTIO_RING_F_INDIRECT_DESC
#define EVENT_IDX	VIRTIO_RING_F_EVENT_IDX

struct fixture {
	struct gmem		 gm;
	struct virtqueue	 vq;
	struct vq_chain		 c;
	struct vring		 r;
};

static void
start(struct fixture *f, uint16_t size, uint64_t features)
{
	vring_init(&f->r, f->gm.range[0].hva, RING_BASE, size);
	ck_assert_int_eq(vq_start(&f->vq, &f->gm, &f->r.cfg, features), 0);
}

static struct fixture *
setup(uint16_t size, uint64_t features)
{
	struct fixture *f = calloc(1, sizeof(*f));
	void *mem, *high;

	ck_assert_ptr_nonnull(f);
	mem = aligned_alloc(4096, MEM_SIZE);
	ck_assert_ptr_nonnull(mem);
	memset(mem, 0, MEM_SIZE);
	high = mmap(NULL, HIGH_SIZE, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(high, MAP_FAILED);
	f->gm.nranges = 2;
	f->gm.range[0] = (struct gmem_range){ 0, MEM_SIZE, mem };
	f->gm.range[1] = (struct gmem_range){ HIGH, HIGH_SIZE, high };
	start(f, size, features);
	return f;
}

static void
teardown(struct fixture *f)
{
	munmap(f->gm.range[1].hva, HIGH_SIZE);
	free(f->gm.range[0].hva);
	free(f);
}

/* Offers head 0 and expects the pop's result; then starts the queue afresh. */
static void
expect(struct fixture *f, int result, uint64_t features)
{
	vring_offer(&f->r, 0);
	ck_assert_int_eq(vq_pop(&f->vq, &f->c), result);
	if (result < 0) {
		/* Broken for good, whatever is offered. */
		vring_desc(&f->r, 0, DATA, 1, 0, 0);
		vring_offer(&f->r, 0);
		ck_assert_int_eq(vq_pop(&f->vq, &f->c), -EPROTO);
	}
	start(f, f->r.cfg.size, features);
}

START_TEST(chain_is_taken_apart)
{
	struct fixture *f = setup(8, 0);
	uint8_t *mem = f->r.mem;

	ck_assert_int_eq(vq_pop(&f->vq, &f->c), 0);
	vring_desc(&f->r, 5, DATA, 16, VRING_NEXT, 2);
	vring_desc(&f->r, 2, DATA + 100, 7, VRING_NEXT | VRING_WRITE, 7);
	vring_desc(&f->r, 7, DATA + 200, 1, VRING_WRITE, 99);
	vring_offer(&f->r, 5);
	ck_assert_int_eq(vq_pop(&f->vq, &f->c), 1);
	ck_assert_uint_eq(f->c.head, 5);
	ck_assert_uint_eq(f->c.nread, 1);
	ck_assert_uint_eq(f->c.nwrite, 2);
	ck_assert_uint_eq(f->c.read_len, 16);
	ck_assert_uint_eq(f->c.write_len, 8);
	ck_assert_ptr_eq(f->c.iov[0].iov_base, mem + DATA);
	ck_assert_ptr_eq(f->c.iov[1].iov_base, mem + DATA + 100);
	ck_assert_uint_eq(f->c.iov[1].iov_len, 7);
	ck_assert_ptr_eq(f->c.iov[2].iov_base, mem + DATA + 200);
	ck_assert_int_eq(vq_pop(&f->vq, &f->c), 0);
	teardown(f);
}
END_TEST

START_TEST(used_ring_shows_what_was_pushed)
{
	struct fixture *f = setup(4, 0);
	uint32_t id, len;

	vring_desc(&f->r, 3, DATA, 9, VRING_WRITE, 0);
	vring_offer(&f->r, 3);
	ck_assert_int_eq(vq_pop(&f->vq, &f->c), 1);
	vq_push(&f->vq, 3, 9);
	ck_assert(!vring_take(&f->r, &id, &len));
	ck_assert(vq_publish(&f->vq));
	ck_assert(vring_take(&f->r, &id, &len));
	ck_assert_uint_eq(id, 3);
	ck_assert_uint_eq(len, 9);
	ck_assert(!vring_take(&f->r, &id, &len));
	ck_assert(!vq_publish(&f->vq));
	teardown(f);
}
END_TEST

/* The last byte of RAM, and one past it. */
START_TEST(elements_end_with_memory)
{
	struct fixture *f = setup(4, 0);

	vring_desc(&f->r, 0, MEM_SIZE - 8, 8, 0, 0);
	expect(f, 1, 0);
	vring_desc(&f->r, 0, MEM_SIZE - 8, 9, 0, 0);
	expect(f, -EFAULT, 0);
	vring_desc(&f->r, 0, UINT64_MAX, 1, 0, 0);
	expect(f, -EFAULT, 0);
	vring_desc(&f->r, 0, UINT64_MAX - 7, 16, 0, 0);
	expect(f, -EFAULT, 0);
	vring_desc(&f->r, 0, DATA, 1, 0, 0);
	expect(f, 1, 0);
	vring_desc(&f->r, 0, DATA, 0, 0, 0);
	expect(f, -EFAULT, 0);
	teardown(f);
}
END_TEST

START_TEST(sums_fit_32_bits)
{
	struct fixture *f = setup(4, 0);

	vring_desc(&f->r, 0, HIGH, UINT32_MAX, VRING_NEXT | VRING_WRITE, 1);
	vring_desc(&f->r, 1, HIGH, 1, VRING_WRITE, 0);
	expect(f, -EPROTO, 0);
	vring_desc(&f->r, 0, HIGH, UINT32_MAX - 1, VRING_NEXT | VRING_WRITE,
	    1);
	vring_desc(&f->r, 1, HIGH, 1, VRING_WRITE, 0);
	expect(f, 1, 0);
	/* Each sum by itself. */
	vring_desc(&f->r, 0, HIGH, UINT32_MAX, VRING_NEXT, 1);
	vring_desc(&f->r, 1, HIGH, UINT32_MAX, VRING_WRITE, 0);
	expect(f, 1, 0);
	teardown(f);
}
END_TEST

START_TEST(order_and_links_are_checked)
{
	struct fixture *f = setup(4, 0);
	unsigned i;

	vring_desc(&f->r, 0, DATA, 1, VRING_NEXT | VRING_WRITE, 1);
	vring_desc(&f->r, 1, DATA, 1, 0, 0);
	expect(f, -EPROTO, 0);
	/* To itself, round in a circle, out of the table. */
	vring_desc(&f->r, 0, DATA, 1, VRING_NEXT, 0);
	expect(f, -EPROTO, 0);
	for (i = 0; i < 4; i++)
		vring_desc(&f->r, i, DATA, 1, VRING_NEXT, (i + 1) % 4);
	expect(f, -EPROTO, 0);
	vring_desc(&f->r, 0, DATA, 1, VRING_NEXT, 4);
	expect(f, -EPROTO, 0);
	/* As long as the queue, and its last entry. */
	for (i = 0; i < 4; i++)
		vring_desc(&f->r, i, DATA, 1, i < 3 ? VRING_NEXT : 0, i + 1);
	expect(f, 1, 0);
	ck_assert_uint_eq(f->c.nread, 4);
	/* A head beyond the table. */
	vring_offer(&f->r, 4);
	ck_assert_int_eq(vq_pop(&f->vq, &f->c), -EPROTO);
	teardown(f);
}
END_TEST

static void
indirect(struct fixture *f, uint64_t addr, uint32_t len, uint16_t flags)
{
	vring_desc(&f->r, 0, addr, len, VRING_INDIRECT | flags, 1);
	vring_desc(&f->r, 1, DATA, 1, 0, 0);
}

START_TEST(indirect_tables)
{
	struct fixture *f = setup(4, INDIRECT);

	vring_put(&f->r, TABLE, 0, DATA, 3, VRING_NEXT, 2);
	vring_put(&f->r, TABLE, 2, DATA, 4, VRING_WRITE, 0);
	indirect(f, TABLE, 48, 0);
	expect(f, 1, INDIRECT);
	ck_assert_uint_eq(f->c.read_len, 3);
	ck_assert_uint_eq(f->c.write_len, 4);
	/* The table ends before the link's target. */
	indirect(f, TABLE, 32, 0);
	expect(f, -EPROTO, INDIRECT);
	/* After elements of the ring; its own WRITE flag says nothing. */
	vring_desc(&f->r, 0, DATA, 5, VRING_NEXT, 3);
	vring_desc(&f->r, 3, TABLE, 48, VRING_INDIRECT | VRING_WRITE, 0);
	expect(f, 1, INDIRECT);
	ck_assert_uint_eq(f->c.read_len, 8);
	/* At an odd address. */
	vring_put(&f->r, TABLE + 1, 0, DATA, 2, 0, 0);
	indirect(f, TABLE + 1, 16, 0);
	expect(f, 1, INDIRECT);
	ck_assert_uint_eq(f->c.read_len, 2);
	teardown(f);
}
END_TEST

START_TEST(indirect_abuse)
{
	struct fixture *f = setup(4, 0);

	vring_put(&f->r, TABLE, 0, DATA, 1, 0, 0);
	indirect(f, TABLE, 16, 0);
	expect(f, -EPROTO, INDIRECT);		/* was not negotiated */
	indirect(f, TABLE, 16, 0);
	expect(f, 1, INDIRECT);
	indirect(f, TABLE, 0, 0);
	expect(f, -EPROTO, INDIRECT);
	indirect(f, TABLE, 15, 0);
	expect(f, -EPROTO, INDIRECT);
	indirect(f, TABLE, 17, 0);
	expect(f, -EPROTO, INDIRECT);
	indirect(f, TABLE, 16, VRING_NEXT);
	expect(f, -EPROTO, INDIRECT);
	/* The table's edge is the memory's, and one entry past it. */
	memcpy(f->r.mem + MEM_SIZE - 16, f->r.mem + TABLE, 16);
	indirect(f, MEM_SIZE - 16, 16, 0);
	expect(f, 1, INDIRECT);
	indirect(f, MEM_SIZE - 16, 32, 0);
	expect(f, -EFAULT, INDIRECT);
	/* A table in a table, at its start or later; a table of itself. */
	vring_put(&f->r, TABLE, 0, TABLE + 64, 16, VRING_INDIRECT, 0);
	vring_put(&f->r, TABLE + 64, 0, DATA, 1, 0, 0);
	indirect(f, TABLE, 16, 0);
	expect(f, -EPROTO, INDIRECT);
	vring_put(&f->r, TABLE, 0, DATA, 1, VRING_NEXT, 1);
	vring_put(&f->r, TABLE, 1, TABLE, 32, VRING_INDIRECT, 0);
	indirect(f, TABLE, 32, 0);
	expect(f, -EPROTO, INDIRECT);
	vring_put(&f->r, TABLE, 0, DATA, 1, VRING_NEXT, 0);
	indirect(f, TABLE, 16, 0);
	expect(f, -EPROTO, INDIRECT);
	teardown(f);
}
END_TEST

/* As long a chain as there may be, and one more. */
START_TEST(indirect_length)
{
	struct fixture *f = setup(2, INDIRECT);
	unsigned i;

	for (i = 0; i <= VQ_CHAIN_MAX; i++)
		vring_put(&f->r, TABLE, i, DATA, 1,
		    i + 1 < VQ_CHAIN_MAX ? VRING_NEXT : 0, i + 1);
	indirect(f, TABLE, 16 * (VQ_CHAIN_MAX + 1), 0);
	expect(f, 1, INDIRECT);
	ck_assert_uint_eq(f->c.nread, VQ_CHAIN_MAX);
	vring_put(&f->r, TABLE, VQ_CHAIN_MAX - 1, DATA, 1, VRING_NEXT,
	    VQ_CHAIN_MAX);
	indirect(f, TABLE, 16 * (VQ_CHAIN_MAX + 1), 0);
	expect(f, -EPROTO, INDIRECT);
	teardown(f);
}
END_TEST

START_TEST(available_index_is_bounded)
{
	struct fixture *f = setup(4, 0);
	unsigned i;

	for (i = 0; i < 4; i++)
		vring_desc(&f->r, i, DATA, 1, 0, 0);
	/* A full ring; then one more although nothing came back. */
	for (i = 0; i < 4; i++)
		vring_offer(&f->r, i);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(vq_pop(&f->vq, &f->c), 1);
	ck_assert_int_eq(vq_pop(&f->vq, &f->c), 0);
	vring_offer(&f->r, 0);
	ck_assert_int_eq(vq_pop(&f->vq, &f->c), -EPROTO);

	start(f, 4, 0);
	for (i = 0; i < 5; i++)
		vring_offer(&f->r, 0);
	ck_assert_int_eq(vq_pop(&f->vq, &f->c), -EPROTO);

	/* Backwards. */
	start(f, 4, 0);
	vring_avail(&f->r)[1] = UINT16_MAX;
	ck_assert_int_eq(vq_pop(&f->vq, &f->c), -EPROTO);
	teardown(f);
}
END_TEST

/* What was pushed but not shown does not yet make room. */
START_TEST(room_comes_with_publishing)
{
	struct fixture *f = setup(2, 0);

	vring_desc(&f->r, 0, DATA, 1, 0, 0);
	vring_offer(&f->r, 0);
	vring_offer(&f->r, 0);
	ck_assert_int_eq(vq_pop(&f->vq, &f->c), 1);
	vq_push(&f->vq, 0, 0);
	vq_publish(&f->vq);
	vring_offer(&f->r, 0);
	ck_assert_int_eq(vq_pop(&f->vq, &f->c), 1);
	vq_push(&f->vq, 0, 0);
	vring_offer(&f->r, 0);
	ck_assert_int_eq(vq_pop(&f->vq, &f->c), -EPROTO);
	teardown(f);
}
END_TEST

START_TEST(indices_wrap)
{
	struct fixture *f = setup(4, EVENT_IDX);
	uint32_t i, id, len;

	for (i = 0; i < 70000; i++) {
		*vring_used_event(&f->r) = (uint16_t)i;
		vring_desc(&f->r, i % 4, DATA + i % 64, 1, VRING_WRITE, 0);
		/* The queue was seen empty, so the device wants to know. */
		ck_assert_int_eq(vq_pop(&f->vq, &f->c), 0);
		ck_assert(vring_offer(&f->r, i % 4));
		ck_assert_int_eq(vq_pop(&f->vq, &f->c), 1);
		ck_assert_uint_eq(f->c.head, i % 4);
		vq_push(&f->vq, f->c.head, i);
		ck_assert(vq_publish(&f->vq));
		ck_assert(vring_take(&f->r, &id, &len));
		ck_assert_uint_eq(id, i % 4);
		ck_assert_uint_eq(len, i);
	}
	teardown(f);
}
END_TEST

/* An interrupt is due if the index steps over the event, not beside it. */
START_TEST(used_event_edges)
{
	struct fixture *f = setup(8, EVENT_IDX);
	static const struct {
		uint16_t	event;
		bool		wanted;
	} row[] = {
		/* The index goes from 3 to 5. */
		{ 2, false }, { 3, true }, { 4, true }, { 5, false },
		{ 40000, false },
	};
	unsigned i, k;

	vring_desc(&f->r, 0, DATA, 1, 0, 0);
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		start(f, 8, EVENT_IDX);
		for (k = 0; k < 5; k++) {
			vring_desc(&f->r, 0, DATA, 1, 0, 0);
			vring_offer(&f->r, 0);
			ck_assert_int_eq(vq_pop(&f->vq, &f->c), 1);
			vq_push(&f->vq, 0, 0);
			if (k == 2)
				vq_publish(&f->vq);
		}
		*vring_used_event(&f->r) = row[i].event;
		ck_assert_int_eq(vq_publish(&f->vq), row[i].wanted);
	}
	teardown(f);
}
END_TEST

START_TEST(flags_suppress)
{
	struct fixture *f = setup(4, 0);
	uint16_t *avail = vring_avail(&f->r);
	uint16_t *used = vring_used(&f->r);

	vring_desc(&f->r, 0, DATA, 1, 0, 0);
	vring_offer(&f->r, 0);
	vring_offer(&f->r, 0);
	ck_assert_int_eq(vq_pop(&f->vq, &f->c), 1);
	ck_assert_int_eq(vq_pop(&f->vq, &f->c), 1);
	ck_assert_int_eq(vq_pop(&f->vq, &f->c), 0);
	ck_assert_uint_eq(used[0], 0);		/* empty: wants to be told */
	vq_push(&f->vq, 0, 0);
	avail[0] = 1;
	ck_assert(!vq_publish(&f->vq));
	vq_push(&f->vq, 0, 0);
	avail[0] = 0;
	ck_assert(vq_publish(&f->vq));
	vring_offer(&f->r, 0);
	ck_assert_int_eq(vq_pop(&f->vq, &f->c), 1);
	ck_assert_uint_eq(used[0], 1);		/* busy: need not be told */
	ck_assert_int_eq(vq_pop(&f->vq, &f->c), 0);
	ck_assert_uint_eq(used[0], 0);
	teardown(f);
}
END_TEST

START_TEST(position_is_all_there_is)
{
	struct fixture *f = setup(4, 0);
	struct virtqueue other;
	uint32_t id, len;
	unsigned i;

	vring_desc(&f->r, 1, DATA, 1, 0, 0);
	for (i = 0; i < 3; i++) {
		vring_offer(&f->r, 1);
		ck_assert_int_eq(vq_pop(&f->vq, &f->c), 1);
		vq_push(&f->vq, 1, i);
		vq_publish(&f->vq);
	}
	ck_assert_int_eq(vq_start(&other, &f->gm, &f->r.cfg, 0), 0);
	vq_seek(&other, vq_position(&f->vq));
	ck_assert_int_eq(vq_pop(&other, &f->c), 0);
	vring_offer(&f->r, 1);
	ck_assert_int_eq(vq_pop(&other, &f->c), 1);
	vq_push(&other, 1, 77);
	ck_assert(vq_publish(&other));
	for (i = 0; i < 4; i++)
		ck_assert(vring_take(&f->r, &id, &len));
	ck_assert_uint_eq(len, 77);
	teardown(f);
}
END_TEST

/* What was put back comes again, as it is then, also after a save. */
START_TEST(chains_are_put_back)
{
	struct fixture *f = setup(4, EVENT_IDX);
	struct virtqueue other;
	unsigned i;

	for (i = 0; i < 4; i++) {
		vring_desc(&f->r, i, DATA + i, 1, VRING_WRITE, 0);
		vring_offer(&f->r, (uint16_t)i);
	}
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(vq_pop(&f->vq, &f->c), 1);
	vq_push(&f->vq, 0, 1);
	vq_unpop(&f->vq, 0);
	ck_assert_int_eq(vq_pop(&f->vq, &f->c), 0);
	vq_unpop(&f->vq, 3);
	vq_publish(&f->vq);
	vring_desc(&f->r, 2, DATA + 2, 77, VRING_WRITE, 0);
	vring_offer(&f->r, 0);
	ck_assert_int_eq(vq_start(&other, &f->gm, &f->r.cfg, EVENT_IDX), 0);
	vq_seek(&other, vq_position(&f->vq));
	for (i = 1; i <= 4; i++) {
		ck_assert_int_eq(vq_pop(&f->vq, &f->c), 1);
		ck_assert_uint_eq(f->c.head, i % 4);
		ck_assert_uint_eq(f->c.write_len, i == 2 ? 77 : 1);
		ck_assert_int_eq(vq_pop(&other, &f->c), 1);
		ck_assert_uint_eq(f->c.head, i % 4);
	}
	ck_assert_int_eq(vq_pop(&f->vq, &f->c), 0);
	ck_assert_int_eq(vq_pop(&other, &f->c), 0);
	teardown(f);
}
END_TEST

START_TEST(start_checks_the_rings)
{
	struct fixture *f = setup(4, 0);
	struct vq_config good = f->r.cfg, c;
	static const uint16_t sizes[] = { 0, 3, 255, VQ_SIZE_MAX * 2 };
	unsigned i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		c = good;
		c.size = sizes[i];
		ck_assert_int_eq(vq_start(&f->vq, &f->gm, &c, 0), -EINVAL);
		ck_assert_int_eq(vq_pop(&f->vq, &f->c), 0);
	}
	c = good;
	c.desc += 8;
	ck_assert_int_eq(vq_start(&f->vq, &f->gm, &c, 0), -EINVAL);
	c = good;
	c.avail += 1;
	ck_assert_int_eq(vq_start(&f->vq, &f->gm, &c, 0), -EINVAL);
	c = good;
	c.used += 2;
	ck_assert_int_eq(vq_start(&f->vq, &f->gm, &c, 0), -EINVAL);
	/* Each ring at the end of memory, and one step beyond it. */
	c.desc = MEM_SIZE - 64;
	c.avail = MEM_SIZE - 14;
	c.used = MEM_SIZE - 40;
	ck_assert_int_eq(vq_start(&f->vq, &f->gm, &c, 0), 0);
	good = c;
	c.desc += 16;
	ck_assert_int_eq(vq_start(&f->vq, &f->gm, &c, 0), -EFAULT);
	c = good;
	c.avail += 2;
	ck_assert_int_eq(vq_start(&f->vq, &f->gm, &c, 0), -EFAULT);
	c = good;
	c.used += 4;
	ck_assert_int_eq(vq_start(&f->vq, &f->gm, &c, 0), -EFAULT);
	teardown(f);
}
END_TEST

/* Whatever a chain is made of, what comes out lies in memory. */
START_TEST(random_rings)
{
	struct fixture *f = setup(16, INDIRECT);
	uint64_t seed = 0x1234567890abcdefull;
	const uint8_t *mem = f->r.mem;
	unsigned i, k, popped = 0, refused = 0;

	for (i = 0; i < 20000; i++) {
		start(f, 16, INDIRECT);
		for (k = 0; k < 64; k++)
			vring_put(&f->r, k < 16 ? RING_BASE : TABLE, k % 16,
			    test_random(&seed) % 3 ? TABLE :
			    test_random(&seed) % (MEM_SIZE + 64),
			    16 * (test_random(&seed) % 17),
			    test_random(&seed) % 8, test_random(&seed) % 17);
		vring_offer(&f->r, test_random(&seed) % 17);
		if (vq_pop(&f->vq, &f->c) != 1) {
			refused++;
			continue;
		}
		popped++;
		ck_assert_uint_le(f->c.nread + f->c.nwrite, VQ_CHAIN_MAX);
		for (k = 0; k < f->c.nread + f->c.nwrite; k++) {
			const uint8_t *p = f->c.iov[k].iov_base;

			ck_assert_uint_ne(f->c.iov[k].iov_len, 0);
			ck_assert(p >= mem && p + f->c.iov[k].iov_len <=
			    mem + MEM_SIZE);
		}
	}
	ck_assert_uint_gt(popped, 1000);
	ck_assert_uint_gt(refused, 1000);
	teardown(f);
}
END_TEST

#define RACE_CHAINS	50000

struct race {
	struct fixture	*f;
	sem_t		 bell;		/* the driver notified */
	sem_t		 irq;		/* the device interrupted */
};

/* The driver keeps the ring as full as it can, and sleeps when it must. */
static void *
race_driver(void *arg)
{
	struct race *race = arg;
	struct vring *r = &race->f->r;
	uint32_t id, len, got = 0;

	while (got < RACE_CHAINS) {
		while ((uint16_t)(r->idx - r->seen) < r->cfg.size &&
		    got + (uint16_t)(r->idx - r->seen) < RACE_CHAINS)
			if (vring_offer(r, r->idx % r->cfg.size))
				sem_post(&race->bell);
		vring_arm(r);
		if (!vring_take(r, &id, &len)) {
			sem_wait(&race->irq);
			continue;
		}
		got++;
		ck_assert_uint_eq(len, id + 1);
	}
	return NULL;
}

/*
 * Both sides sleep when they see nothing to do: were one notification or
 * interrupt lost, the test would hang until Check ends it.
 */
START_TEST(no_notification_is_lost)
{
	struct race race = { .f = setup(4, EVENT_IDX) };
	struct fixture *f = race.f;
	unsigned i, done = 0;
	pthread_t tid;

	for (i = 0; i < 4; i++)
		vring_desc(&f->r, i, DATA + 8 * i, 8, VRING_WRITE, 0);
	sem_init(&race.bell, 0, 0);
	sem_init(&race.irq, 0, 0);
	ck_assert_int_eq(pthread_create(&tid, NULL, race_driver, &race), 0);
	while (done < RACE_CHAINS) {
		while (vq_pop(&f->vq, &f->c) == 1) {
			vq_push(&f->vq, f->c.head, f->c.head + 1u);
			done++;
			if (done % 3 == 0 && vq_publish(&f->vq))
				sem_post(&race.irq);
		}
		if (vq_publish(&f->vq))
			sem_post(&race.irq);
		ck_assert(!f->vq.broken);
		if (done < RACE_CHAINS)
			sem_wait(&race.bell);
	}
	pthread_join(tid, NULL);
	sem_destroy(&race.bell);
	sem_destroy(&race.irq);
	teardown(f);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("virtqueue");

	tcase_add_test(tc, chain_is_taken_apart);
	tcase_add_test(tc, used_ring_shows_what_was_pushed);
	tcase_add_test(tc, elements_end_with_memory);
	tcase_add_test(tc, sums_fit_32_bits);
	tcase_add_test(tc, order_and_links_are_checked);
	tcase_add_test(tc, indirect_tables);
	tcase_add_test(tc, indirect_abuse);
	tcase_add_test(tc, indirect_length);
	tcase_add_test(tc, available_index_is_bounded);
	tcase_add_test(tc, room_comes_with_publishing);
	tcase_add_test(tc, indices_wrap);
	tcase_add_test(tc, used_event_edges);
	tcase_add_test(tc, flags_suppress);
	tcase_add_test(tc, position_is_all_there_is);
	tcase_add_test(tc, chains_are_put_back);
	tcase_add_test(tc, start_checks_the_rings);
	tcase_add_test(tc, random_rings);
	tcase_add_test(tc, no_notification_is_lost);
	return test_main("virtqueue", tc);
}
