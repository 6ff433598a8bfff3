/* SPDX-License-Identifier: ISC */
/*
 * Each feature bit that virtio devices offer, negotiated alone and used.
 * t/lint/features looks for the rows.
 */
#include "blkrig.h"

#define V1	(1ull << 32)

/* Without it there is no agreement at all. */
static void
use_version_1(struct fixture *f)
{
	ck_assert_uint_eq(request(f, BLK_IN, 3, 512), BLK_OK);
	ck_assert_mem_eq(f->mem + DATA, f->disk.data + 3 * 512, 512);
	ck_assert_uint_eq(vguest_negotiate(&f->g, 0), 0x03);
}

static void
use_indirect(struct fixture *f)
{
	blk_offer_indirect(&f->g, &f->r, 0, BLK_IN, 3, DATA, 512);
	(void)blk_wait(&f->g, &f->r);
	ck_assert_uint_eq(blk_status(&f->g, 0), BLK_OK);
	ck_assert_mem_eq(f->mem + DATA, f->disk.data + 3 * 512, 512);
	vguest_start(&f->g, &f->r, 16, V1);
	blk_offer_indirect(&f->g, &f->r, 0, BLK_IN, 3, DATA, 512);
	vguest_notify(&f->g, 0);
	vguest_turn(&f->g);
	ck_assert_uint_eq(vguest_status(&f->g), 0x4f);
}

/* The device says after which chain it wants to be told, and heeds ours. */
static void
use_event_idx(struct fixture *f)
{
	uint32_t id, len;

	*vring_used_event(&f->r) = 1;
	blk_offer(&f->g, &f->r, 0, BLK_IN, 0, DATA, 512);
	vguest_notify(&f->g, 0);
	vguest_turn(&f->g);
	ck_assert(vring_take(&f->r, &id, &len));
	ck_assert_uint_eq(*vring_avail_event(&f->r), 1);
	ck_assert_uint_eq(vguest_in(&f->g, 0x40, 1), 0);
	blk_offer(&f->g, &f->r, 0, BLK_IN, 0, DATA, 512);
	vguest_notify(&f->g, 0);
	ck_assert_uint_eq(vguest_wait_irq(&f->g), VIRTIO_ISR_QUEUE);
	ck_assert_uint_eq(*vring_avail_event(&f->r), 2);
}

/* As many segments as it says make one request. */
static void
use_seg_max(struct fixture *f)
{
	unsigned n = vguest_in(&f->g, 0x8c, 4), i, len = 0, part;

	ck_assert_uint_eq(n, 254);
	blk_put_header(&f->g, BLK_HEADER(0), BLK_IN, 0);
	vring_desc(&f->r, 0, BLK_HEADER(0), 16, VRING_NEXT, 1);
	for (i = 1; i <= n; i++, len += part) {
		part = i < n ? 64 : 32 * 512 - len;
		vring_desc(&f->r, i, DATA + len, part,
		    VRING_NEXT | VRING_WRITE, (uint16_t)(i + 1));
	}
	vring_desc(&f->r, i, BLK_STATUS(0), 1, VRING_WRITE, 0);
	vring_offer(&f->r, 0);
	ck_assert_uint_eq(blk_wait(&f->g, &f->r), 32 * 512 + 1);
	ck_assert_uint_eq(blk_status(&f->g, 0), BLK_OK);
	ck_assert_mem_eq(f->mem + DATA, f->disk.data, 32 * 512);
}

static void
use_readonly(struct fixture *f)
{
	ck_assert_uint_eq(request(f, BLK_OUT, 0, 512), BLK_IOERR);
	ck_assert_uint_eq(f->disk.ops[DISK_WRITE], 0);
	ck_assert_uint_eq(request(f, BLK_IN, 0, 512), BLK_OK);
}

static void
use_blk_size(struct fixture *f)
{
	ck_assert_uint_eq(vguest_in(&f->g, 0x94, 4),
	    f->disk.info.block_size);
}

/* A write is not stable before the driver asks for that. */
static void
use_flush(struct fixture *f)
{
	ck_assert_uint_eq(request(f, BLK_OUT, 0, 512), BLK_OK);
	ck_assert_uint_eq(f->disk.ops[DISK_FLUSH], 0);
	ck_assert_uint_eq(request(f, BLK_FLUSH, 0, 0), BLK_OK);
	ck_assert_uint_eq(f->disk.ops[DISK_FLUSH], 1);
}

/* Without flushes the cache is off; with them the driver may switch it. */
static void
use_config_wce(struct fixture *f)
{
	ck_assert_uint_eq(vguest_in(&f->g, BLK_WRITEBACK, 1), 0);
	vguest_start(&f->g, &f->r, 16, V1 | BLK_F_FLUSH | BLK_F_WCE);
	ck_assert_uint_eq(vguest_in(&f->g, BLK_WRITEBACK, 1), 1);
	ck_assert_uint_eq(request(f, BLK_OUT, 0, 512), BLK_OK);
	ck_assert_uint_eq(f->disk.ops[DISK_FLUSH], 0);
	vguest_out(&f->g, BLK_WRITEBACK, 1, 0);
	ck_assert_uint_eq(vguest_in(&f->g, BLK_WRITEBACK, 1), 0);
	ck_assert_uint_eq(request(f, BLK_OUT, 0, 512), BLK_OK);
	ck_assert_uint_eq(f->disk.ops[DISK_FLUSH], 1);
	vguest_out(&f->g, BLK_WRITEBACK, 1, 1);
	ck_assert_uint_eq(request(f, BLK_OUT, 0, 512), BLK_OK);
	ck_assert_uint_eq(f->disk.ops[DISK_FLUSH], 1);
}

static void
use_topology(struct fixture *f)
{
	ck_assert_uint_eq(512u << vguest_in(&f->g, 0x98, 1),
	    f->disk.info.physical_size);
}

static void
use_discard(struct fixture *f)
{
	ck_assert_uint_eq(vguest_in(&f->g, 0xa4, 4), DISCARD_MAX);
	put_range(f, 8, 8, 0);
	ck_assert_uint_eq(request(f, BLK_DISCARD, 0, 16), BLK_OK);
	ck_assert_uint_eq(f->disk.ops[DISK_DISCARD], 1);
}

static void
use_write_zeroes(struct fixture *f)
{
	static const uint8_t zero[512];

	ck_assert_uint_eq(vguest_in(&f->g, 0xb0, 4), ZERO_MAX);
	put_range(f, 8, 1, 0);
	ck_assert_uint_eq(request(f, BLK_ZEROES, 0, 16), BLK_OK);
	ck_assert_mem_eq(f->disk.data + 8 * 512, zero, 512);
	ck_assert_mem_ne(f->disk.data + 9 * 512, zero, 512);
}

/* Each queue answers what came by it. */
static void
use_mq(struct fixture *f)
{
	struct vring other;
	uint32_t id, len;

	ck_assert_uint_eq(vguest_in(&f->g, 0xa2, 2), 2);
	ck_assert_uint_eq(vguest_in(&f->g, 0x12, 2), 2);
	vguest_negotiate(&f->g, V1 | 1ull << 12);
	vguest_queue(&f->g, &f->r, 0, 16);
	vguest_queue(&f->g, &other, 1, 16);
	vguest_set_status(&f->g, 0x0f);
	vguest_turn(&f->g);
	blk_offer(&f->g, &other, 1, BLK_IN, 5, DATA + 512, 512);
	ck_assert_uint_eq(request(f, BLK_IN, 3, 512), BLK_OK);
	ck_assert(!vring_take(&other, &id, &len));
	vguest_notify(&f->g, 1);
	while (!vring_take(&other, &id, &len))
		vguest_wait_irq(&f->g);
	ck_assert_uint_eq(len, 513);
	ck_assert_mem_eq(f->mem + DATA, f->disk.data + 3 * 512, 512);
	ck_assert_mem_eq(f->mem + DATA + 512, f->disk.data + 5 * 512, 512);
}

static const struct {
	const char	*name;
	unsigned	 bit;
	bool		 readonly;	/* of disks that are */
	void		(*use)(struct fixture *f);
} rows[] = {
	{ "BLK_F_SEG_MAX", 2, false, use_seg_max },
	{ "BLK_F_RO", 5, true, use_readonly },
	{ "BLK_F_BLK_SIZE", 6, false, use_blk_size },
	{ "BLK_F_FLUSH", 9, false, use_flush },
	{ "BLK_F_TOPOLOGY", 10, false, use_topology },
	{ "BLK_F_CONFIG_WCE", 11, false, use_config_wce },
	{ "BLK_F_MQ", 12, false, use_mq },
	{ "BLK_F_DISCARD", 13, false, use_discard },
	{ "BLK_F_WRITE_ZEROES", 14, false, use_write_zeroes },
	{ "VIRTIO_RING_F_INDIRECT_DESC", 28, false, use_indirect },
	{ "VIRTIO_RING_F_EVENT_IDX", 29, false, use_event_idx },
	{ "VIRTIO_F_VERSION_1", 32, false, use_version_1 },
};

#define NROWS	(sizeof(rows) / sizeof(rows[0]))

START_TEST(alone)
{
	struct fixture *f = setup_queues(rows[_i].readonly,
	    SECTORS * DISK_SECTOR, 2);
	uint64_t bit = 1ull << rows[_i].bit;

	ck_assert_msg((vguest_offered(&f->g) & bit) != 0, "%s",
	    rows[_i].name);
	vguest_start(&f->g, &f->r, 256, V1 | bit);
	rows[_i].use(f);
	teardown(f);
}
END_TEST

/* What is offered is here, and what is not is refused. */
START_TEST(no_others)
{
	struct fixture *f = setup_queues(_i != 0,
	    SECTORS * DISK_SECTOR, 1 + (unsigned)_i);
	uint64_t offered = vguest_offered(&f->g), known = 0;
	unsigned i;

	for (i = 0; i < NROWS; i++)
		known |= 1ull << rows[i].bit;
	ck_assert_uint_eq(offered & ~known, 0);
	for (i = 0; i < 64; i++)
		ck_assert_uint_eq(vguest_negotiate(&f->g, V1 | 1ull << i),
		    (offered >> i & 1) != 0 ? 0x0b : 0x03);
	teardown(f);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("virtio_features");

	tcase_add_loop_test(tc, alone, 0, NROWS);
	tcase_add_loop_test(tc, no_others, 0, 2);
	return test_main("virtio_features", tc);
}
