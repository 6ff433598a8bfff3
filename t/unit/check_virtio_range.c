/* SPDX-License-Identifier: ISC */
/*
 * virtio-blk: discard and write zeroes.
 */
#include "blkrig.h"

/* What a driver may ask of ranges, and what not. */
static const struct {
	uint32_t	type;
	uint64_t	sector;
	uint32_t	n, flags, len;
	uint8_t		status;
} ranges[] = {
	{ BLK_DISCARD, 0, 1, 0, 16, BLK_OK },
	{ BLK_ZEROES, 0, 1, 0, 16, BLK_OK },
	{ BLK_ZEROES, 7, 9, 1, 16, BLK_OK },
	{ BLK_DISCARD, 0, SECTORS, 0, 16, BLK_OK },
	{ BLK_ZEROES, SECTORS - 1, 1, 0, 16, BLK_OK },
	{ BLK_DISCARD, 0, SECTORS + 1, 0, 16, BLK_IOERR },
	{ BLK_DISCARD, 1, SECTORS, 0, 16, BLK_IOERR },
	{ BLK_ZEROES, SECTORS, 1, 0, 16, BLK_IOERR },
	{ BLK_ZEROES, UINT64_MAX, 1, 0, 16, BLK_IOERR },
	{ BLK_ZEROES, 1ull << 55, 1, 0, 16, BLK_IOERR },
	{ BLK_ZEROES, 0, 0, 0, 16, BLK_IOERR },
	{ BLK_ZEROES, 0, UINT32_MAX, 0, 16, BLK_IOERR },
	{ BLK_DISCARD, 0, 1, 1, 16, BLK_UNSUPP },
	{ BLK_DISCARD, 0, 1, 1u << 31, 16, BLK_UNSUPP },
	{ BLK_ZEROES, 0, 1, 2, 16, BLK_UNSUPP },
	{ BLK_ZEROES, 0, 1, 3, 16, BLK_UNSUPP },
	/* One range, and all of it. */
	{ BLK_DISCARD, 0, 1, 0, 15, BLK_IOERR },
	{ BLK_DISCARD, 0, 1, 0, 17, BLK_IOERR },
	{ BLK_DISCARD, 0, 1, 0, 32, BLK_IOERR },
	{ BLK_ZEROES, 0, 1, 0, 0, BLK_IOERR },
};

START_TEST(discard_and_zeroes)
{
	enum disk_op op = ranges[_i].type == BLK_ZEROES ? DISK_ZERO :
	    DISK_DISCARD;
	bool ok = ranges[_i].status == BLK_OK;
	struct fixture *f = setup();
	struct disk_req *req;

	vguest_start(&f->g, &f->r, 16, BLK_CORE);
	put_range(f, ranges[_i].sector, ranges[_i].n, ranges[_i].flags);
	f->disk.hold = ok;
	blk_offer(&f->g, &f->r, 0, ranges[_i].type, 0, DATA, ranges[_i].len);
	vguest_notify(&f->g, 0);
	vguest_turn(&f->g);
	ck_assert_uint_eq(f->disk.ops[op], ok);
	if (ok) {
		req = f->disk.held[0];
		ck_assert_uint_eq(req->offset, ranges[_i].sector * 512);
		ck_assert_uint_eq(req->len, ranges[_i].n * 512);
		ck_assert_uint_eq(req->unmap, ranges[_i].flags);
		f->disk.hold = false;
		disk_complete_all(&f->disk);
	}
	ck_assert_uint_eq(blk_status(&f->g, 0), ranges[_i].status);
	teardown(f);
}
END_TEST

/* The longest that the configuration space allows, and one sector more. */
START_TEST(longest_ranges)
{
	struct fixture *f = setup_disk(false, 1ull << 40);
	uint32_t id, len;

	f->disk.hold = true;
	vguest_start(&f->g, &f->r, 16, BLK_CORE);
	put_range(f, 5, DISCARD_MAX, 0);
	blk_offer(&f->g, &f->r, 0, BLK_DISCARD, 0, DATA, 16);
	vguest_notify(&f->g, 0);
	vguest_turn(&f->g);
	ck_assert_uint_eq(f->disk.nheld, 1);
	/* It moves no bytes that others would have to wait for. */
	blk_offer(&f->g, &f->r, 1, BLK_IN, 0, DATA + 64, 512);
	vguest_notify(&f->g, 0);
	vguest_turn(&f->g);
	ck_assert_uint_eq(f->disk.nheld, 2);
	disk_complete(&f->disk);
	f->disk.hold = false;
	disk_complete_all(&f->disk);
	vguest_turn(&f->g);
	ck_assert(vring_take(&f->r, &id, &len));
	ck_assert(vring_take(&f->r, &id, &len));
	put_range(f, 0, DISCARD_MAX + 1, 0);
	ck_assert_uint_eq(request(f, BLK_DISCARD, 0, 16), BLK_IOERR);
	put_range(f, 0, ZERO_MAX + 1, 0);
	ck_assert_uint_eq(request(f, BLK_ZEROES, 0, 16), BLK_IOERR);
	teardown(f);
}
END_TEST

/* A range may be cut in any way, too, and zeroes are as stable as a write. */
START_TEST(zeroes_framing_and_stability)
{
	struct fixture *f = setup();
	unsigned i;

	vguest_start(&f->g, &f->r, 64, 1ull << 32);
	blk_put_header(&f->g, DATA, BLK_ZEROES, 0);
	put_range(f, 3, 2, 1);
	memmove(f->mem + DATA + 16, f->mem + DATA, 16);
	blk_put_header(&f->g, DATA, BLK_ZEROES, 0);
	for (i = 0; i < 32; i++)
		vring_desc(&f->r, i, DATA + i, 1, VRING_NEXT, i + 1);
	vring_desc(&f->r, 32, BLK_STATUS(0), 1, VRING_WRITE, 0);
	vring_offer(&f->r, 0);
	blk_wait(&f->g, &f->r);
	ck_assert_uint_eq(blk_status(&f->g, 0), BLK_OK);
	ck_assert_uint_ne(f->disk.data[3 * 512 - 1], 0);
	for (i = 0; i < 1024; i++)
		ck_assert_uint_eq(f->disk.data[3 * 512 + i], 0);
	ck_assert_uint_ne(f->disk.data[5 * 512 + 1], 0);
	ck_assert_uint_eq(f->disk.ops[DISK_FLUSH], 1);
	teardown(f);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("virtio_range");

	tcase_add_loop_test(tc, discard_and_zeroes, 0,
	    sizeof(ranges) / sizeof(ranges[0]));
	tcase_add_test(tc, longest_ranges);
	tcase_add_test(tc, zeroes_framing_and_stability);
	return test_main("virtio_range", tc);
}
