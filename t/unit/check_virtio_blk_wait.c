/* SPDX-License-Identifier: ISC */
/*
 * virtio-blk's requests that wait: those that failed and are kept until the
 * cause is gone, and those beyond the limits; and writes of zeroes.
 */
#include <errno.h>

#include "blkrig.h"

static const struct virtio_blk_policy pausing = {
	.on_error = BLK_ERROR_PAUSE,
};

static struct fixture *
setup_pausing(void)
{
	struct fixture *f = setup();

	virtio_blk_set_policy(f->blk, &pausing);
	vguest_start(&f->g, &f->r, 16, BLK_CORE);
	return f;
}

/* Offers a write of a sector full of `byte`, as request `i`. */
static void
offer_write(struct fixture *f, unsigned i, uint64_t sector, uint8_t byte)
{
	memset(f->mem + DATA + i * 512, byte, 512);
	blk_offer(&f->g, &f->r, i, BLK_OUT, sector, DATA + i * 512, 512);
	vguest_notify(&f->g, 0);
	vguest_turn(&f->g);
}

static bool
has(const struct fixture *f, uint64_t sector, uint8_t byte)
{
	unsigned i;

	for (i = 0; i < 512; i++)
		if (f->disk.data[sector * 512 + i] != byte)
			return false;
	return true;
}

static void
take_all(struct fixture *f, unsigned n)
{
	uint32_t id, len;

	for (; n > 0; n--)
		ck_assert(vring_take(&f->r, &id, &len));
	ck_assert(!vring_take(&f->r, &id, &len));
}

START_TEST(kept_until_the_cause_is_gone)
{
	struct fixture *f = setup_pausing();
	unsigned i;

	f->disk.error = -ENOSPC;
	offer_write(f, 0, 7, 0x17);
	ck_assert_uint_eq(f->failures, 1);
	ck_assert_int_eq(f->failure.op, DISK_WRITE);
	ck_assert_int_eq(f->failure.error, -ENOSPC);
	ck_assert_uint_eq(f->failure.sector, 7);
	/* What a processor still asks for on its way to rest stays there. */
	offer_write(f, 1, 8, 0x18);
	ck_assert_uint_eq(f->disk.ops[DISK_WRITE], 1);
	/* Too early. */
	for (i = 2; i < 5; i++) {
		virtio_blk_retry(f->blk);
		vguest_turn(&f->g);
		ck_assert_uint_eq(f->failures, i);
		ck_assert_uint_eq(f->disk.ops[DISK_WRITE], i);
	}
	take_all(f, 0);
	ck_assert_uint_eq(blk_status(&f->g, 0), BLK_PENDING);
	f->disk.error = 0;
	virtio_blk_retry(f->blk);
	vguest_turn(&f->g);
	take_all(f, 2);
	ck_assert_uint_eq(blk_status(&f->g, 0), BLK_OK);
	ck_assert_uint_eq(blk_status(&f->g, 1), BLK_OK);
	ck_assert(has(f, 7, 0x17) && has(f, 8, 0x18));
	teardown(f);
}
END_TEST

/* Of several in flight some fail; each goes once more, and no other does. */
START_TEST(in_flight_together)
{
	struct fixture *f = setup_pausing();
	unsigned i;

	f->disk.hold = true;
	for (i = 0; i < 4; i++)
		offer_write(f, i, i, (uint8_t)(0x40 + i));
	for (i = 0; i < 4; i++) {
		f->disk.error = i % 2 == 0 ? -EIO : 0;
		disk_complete(&f->disk);
	}
	f->disk.error = 0;
	vguest_turn(&f->g);
	ck_assert_uint_eq(f->failures, 2);
	take_all(f, 2);
	virtio_blk_retry(f->blk);
	ck_assert_uint_eq(f->disk.nheld, 2);
	f->disk.hold = false;
	disk_complete_all(&f->disk);
	vguest_turn(&f->g);
	take_all(f, 2);
	ck_assert_uint_eq(f->disk.ops[DISK_WRITE], 6);
	for (i = 0; i < 4; i++)
		ck_assert(has(f, i, (uint8_t)(0x40 + i)));
	teardown(f);
}
END_TEST

/* Whoever is asked does not pause the guest, or not for that. */
START_TEST(told_to_the_guest_after_all)
{
	struct fixture *f = setup_pausing();

	f->refuses = true;
	f->disk.error = -EIO;
	ck_assert_uint_eq(request(f, BLK_OUT, 1, 512), BLK_IOERR);
	ck_assert_uint_eq(f->failures, 1);
	f->refuses = false;
	f->disk.error = -EPERM;
	ck_assert_uint_eq(request(f, BLK_OUT, 0, 512), BLK_IOERR);
	ck_assert_uint_eq(f->failures, 1);
	virtio_blk_set_policy(f->blk, &(struct virtio_blk_policy){ 0 });
	f->disk.error = -EIO;
	ck_assert_uint_eq(request(f, BLK_IN, 1, 512), BLK_IOERR);
	ck_assert_uint_eq(f->failures, 1);
	teardown(f);
}
END_TEST

/* A read, a flush and zeroes; a write whose flush fails is written anew. */
START_TEST(other_requests)
{
	static const uint32_t type[] = { BLK_IN, BLK_FLUSH, BLK_ZEROES };
	static const enum disk_op op[] = { DISK_READ, DISK_FLUSH, DISK_ZERO };
	struct fixture *f = setup_pausing();
	unsigned i;

	put_range(f, 3, 2, 0);
	for (i = 0; i < 3; i++) {
		f->disk.error = -EIO;
		blk_offer(&f->g, &f->r, 0, type[i], 5, DATA,
		    type[i] == BLK_IN ? 512 : type[i] == BLK_FLUSH ? 0 : 16);
		vguest_notify(&f->g, 0);
		vguest_turn(&f->g);
		ck_assert_int_eq(f->failure.op, op[i]);
		take_all(f, 0);
		f->disk.error = 0;
		virtio_blk_retry(f->blk);
		vguest_turn(&f->g);
		take_all(f, 1);
		ck_assert_uint_eq(blk_status(&f->g, 0), BLK_OK);
		ck_assert_uint_eq(f->disk.ops[op[i]], 2);
		if (type[i] == BLK_IN)
			ck_assert_mem_eq(f->mem + DATA,
			    f->disk.data + 5 * 512, 512);
		put_range(f, 3, 2, 0);
	}
	ck_assert(has(f, 3, 0) && has(f, 4, 0) && !has(f, 5, 0));
	teardown(f);
}
END_TEST

START_TEST(stable_writes)
{
	struct fixture *f = setup_writethrough();

	virtio_blk_set_policy(f->blk, &pausing);
	vguest_start(&f->g, &f->r, 16, BLK_CORE);
	f->disk.hold = true;
	offer_write(f, 0, 1, 0x11);
	disk_complete(&f->disk);
	f->disk.error = -EIO;
	disk_complete(&f->disk);
	ck_assert_int_eq(f->failure.op, DISK_FLUSH);
	f->disk.error = 0;
	memset(f->disk.data, 0, sizeof(f->disk.data));
	virtio_blk_retry(f->blk);
	disk_complete(&f->disk);
	ck_assert(has(f, 1, 0x11));
	ck_assert_uint_eq(blk_status(&f->g, 0), BLK_PENDING);
	disk_complete(&f->disk);
	ck_assert_uint_eq(blk_status(&f->g, 0), BLK_OK);
	ck_assert_uint_eq(f->disk.ops[DISK_FLUSH], 2);
	teardown(f);
}
END_TEST

/* A stop, or a reset, tries for the last time. */
START_TEST(the_end)
{
	struct fixture *f = setup_pausing();
	unsigned stopped = 0;

	f->disk.error = -ENOSPC;
	offer_write(f, 0, 7, 0x17);
	offer_write(f, 1, 8, 0x18);
	ck_assert_uint_eq(f->failures, 1);
	virtio_pci_stop(f->vp, count, &stopped);
	ck_assert_uint_eq(f->disk.ops[DISK_WRITE], 2);
	disk_complete_all(&f->disk);
	ck_assert_uint_eq(stopped, 1);
	ck_assert_uint_eq(f->failures, 1);
	ck_assert_uint_eq(blk_status(&f->g, 0), BLK_IOERR);
	ck_assert_uint_eq(blk_status(&f->g, 1), BLK_PENDING);
	virtio_blk_retry(f->blk);
	virtio_pci_resume(f->vp);
	vguest_turn(&f->g);
	ck_assert_uint_eq(f->failures, 2);
	vguest_set_status(&f->g, 0);
	ck_assert_uint_eq(f->failures, 2);
	f->disk.error = 0;
	vguest_start(&f->g, &f->r, 16, BLK_CORE);
	ck_assert_uint_eq(request(f, BLK_IN, 0, 512), BLK_OK);
	teardown(f);
}
END_TEST

/* Offers `n` reads, and turns until all are answered: how long that took. */
static uint64_t
time_reads(struct fixture *f, unsigned n, uint32_t len)
{
	uint64_t begin = loop_now_ns();
	uint32_t id, got;
	unsigned i;

	for (i = 0; i < n; i++)
		blk_offer_indirect(&f->g, &f->r, i, BLK_IN, 0, DATA, len);
	vguest_notify(&f->g, 0);
	while (n > 0) {
		ev_run(loop_ev(f->disk.loop), EVRUN_ONCE);
		while (vring_take(&f->r, &id, &got))
			n--;
	}
	return loop_now_ns() - begin;
}

#define MS	UINT64_C(1000000)

/* Of requests and of bytes; what is saved up goes at once. */
START_TEST(limits)
{
	static const struct {
		struct virtio_blk_policy	policy;
		unsigned			n;
		uint32_t			len;
		uint64_t			least;
	} row[] = {
		{ { .requests = 100, .burst = 10 * MS }, 6, 512, 49 * MS },
		{ { .requests = 100, .burst = 50 * MS }, 10, 512, 49 * MS },
		{ { .bytes = 4u << 20, .burst = MS }, 5, 131072, 124 * MS },
		{ { .bytes = 4u << 20, .requests = 20, .burst = MS }, 3, 512,
		    99 * MS },
	};
	struct fixture *f;
	uint64_t took;
	unsigned i;

	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		f = setup_disk(false, 1u << 20);
		virtio_blk_set_policy(f->blk, &row[i].policy);
		vguest_start(&f->g, &f->r, 256, BLK_CORE | INDIRECT);
		took = time_reads(f, row[i].n, row[i].len);
		ck_assert_uint_ge(took, row[i].least);
		ck_assert_uint_lt(took, 30000 * MS);
		ck_assert_uint_eq(f->disk.ops[DISK_READ], row[i].n);
		teardown(f);
	}
}
END_TEST

/* While one waits none is taken; another limit, or none, counts at once. */
START_TEST(limits_change)
{
	static const struct virtio_blk_policy slow = {
		.requests = 1, .burst = MS,
	}, faster = {
		.requests = 1000, .burst = MS,
	}, none = { 0 };
	struct fixture *f = setup();

	vguest_start(&f->g, &f->r, 256, BLK_CORE | INDIRECT);
	virtio_blk_set_policy(f->blk, &slow);
	f->disk.hold = true;
	blk_offer_indirect(&f->g, &f->r, 0, BLK_IN, 0, DATA, 512);
	blk_offer_indirect(&f->g, &f->r, 1, BLK_IN, 0, DATA, 512);
	blk_offer_indirect(&f->g, &f->r, 2, BLK_IN, 0, DATA, 512);
	blk_offer_indirect(&f->g, &f->r, 3, BLK_IN, 0, DATA, 512);
	vguest_notify(&f->g, 0);
	vguest_turn(&f->g);
	ck_assert_uint_eq(f->disk.nheld, 1);
	virtio_blk_set_policy(f->blk, &faster);
	while (f->disk.nheld < 4)
		ev_run(loop_ev(f->disk.loop), EVRUN_ONCE);
	f->disk.hold = false;
	disk_complete_all(&f->disk);
	virtio_blk_set_policy(f->blk, &slow);
	blk_offer_indirect(&f->g, &f->r, 4, BLK_IN, 0, DATA, 512);
	blk_offer_indirect(&f->g, &f->r, 5, BLK_IN, 0, DATA, 512);
	vguest_notify(&f->g, 0);
	vguest_turn(&f->g);
	ck_assert_uint_eq(blk_status(&f->g, 5), BLK_PENDING);
	virtio_blk_set_policy(f->blk, &none);
	vguest_turn(&f->g);
	ck_assert_uint_eq(blk_status(&f->g, 5), BLK_OK);
	teardown(f);
}
END_TEST

/* A stop does not wait for its time, and nothing waits after it. */
START_TEST(limits_end)
{
	static const struct virtio_blk_policy slow = { .requests = 1 };
	struct fixture *f = setup();
	unsigned stopped = 0;

	vguest_start(&f->g, &f->r, 256, BLK_CORE | INDIRECT);
	virtio_blk_set_policy(f->blk, &slow);
	(void)time_reads(f, 1, 512);
	offer_write(f, 0, 7, 0x17);
	ck_assert_uint_eq(f->disk.ops[DISK_WRITE], 0);
	virtio_pci_stop(f->vp, count, &stopped);
	ck_assert_uint_eq(f->disk.ops[DISK_WRITE], 1);
	disk_complete_all(&f->disk);
	ck_assert_uint_eq(stopped, 1);
	ck_assert(has(f, 7, 0x17));
	virtio_pci_resume(f->vp);
	offer_write(f, 1, 8, 0x18);
	ck_assert_uint_eq(f->disk.ops[DISK_WRITE], 1);
	vguest_set_status(&f->g, 0);
	ck_assert(has(f, 8, 0x18));
	teardown(f);
}
END_TEST

/* One write of 8 KiB at a sector in two elements; which of them is not zero. */
static void
write_zeroes(struct fixture *f, uint64_t sector, unsigned byte)
{
	memset(f->mem + DATA, 0, 8192);
	if (byte < 8192)
		f->mem[DATA + byte] = 1;
	blk_put_header(&f->g, BLK_HEADER(0), BLK_OUT, sector);
	vring_put(&f->r, BLK_TABLE(0), 0, BLK_HEADER(0), 16, VRING_NEXT, 1);
	vring_put(&f->r, BLK_TABLE(0), 1, DATA, 7, VRING_NEXT, 2);
	vring_put(&f->r, BLK_TABLE(0), 2, DATA + 7, 8185, VRING_NEXT, 3);
	vring_put(&f->r, BLK_TABLE(0), 3, BLK_STATUS(0), 1, VRING_WRITE, 0);
	vring_desc(&f->r, 0, BLK_TABLE(0), 64, VRING_INDIRECT, 0);
	vring_offer(&f->r, 0);
	ck_assert_uint_eq(blk_wait(&f->g, &f->r), 1);
	ck_assert_uint_eq(blk_status(&f->g, 0), BLK_OK);
	ck_assert_mem_eq(f->disk.data + sector * 512, f->mem + DATA, 8192);
}

START_TEST(zeroes)
{
	static const struct virtio_blk_policy on = {
		.zeroes = BLK_ZEROES_ON,
	}, unmap = {
		.zeroes = BLK_ZEROES_UNMAP,
	};
	static const unsigned bytes[] = { 0, 6, 7, 22, 23, 24, 4096, 8191 };
	struct fixture *f = setup();
	unsigned i;

	vguest_start(&f->g, &f->r, 16, BLK_CORE | INDIRECT);
	write_zeroes(f, 8, 8192);
	ck_assert_uint_eq(f->disk.ops[DISK_WRITE], 1);
	virtio_blk_set_policy(f->blk, &on);
	write_zeroes(f, 8, 8192);
	ck_assert_uint_eq(f->disk.ops[DISK_ZERO], 1);
	ck_assert(!f->disk.unmapped);
	virtio_blk_set_policy(f->blk, &unmap);
	write_zeroes(f, 24, 8192);
	ck_assert_uint_eq(f->disk.ops[DISK_ZERO], 2);
	ck_assert(f->disk.unmapped);
	/* Not so: any byte of either element, or no whole blocks. */
	for (i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
		write_zeroes(f, 8, bytes[i]);
	write_zeroes(f, 9, 8192);
	ck_assert_uint_eq(request(f, BLK_OUT, 16, 512), BLK_OK);
	ck_assert_uint_eq(f->disk.ops[DISK_ZERO], 2);
	ck_assert_uint_eq(f->disk.ops[DISK_WRITE], 1 + i + 2);
	teardown(f);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("waiting");

	tcase_add_test(tc, kept_until_the_cause_is_gone);
	tcase_add_test(tc, in_flight_together);
	tcase_add_test(tc, told_to_the_guest_after_all);
	tcase_add_test(tc, other_requests);
	tcase_add_test(tc, stable_writes);
	tcase_add_test(tc, the_end);
	tcase_add_test(tc, limits);
	tcase_add_test(tc, limits_change);
	tcase_add_test(tc, limits_end);
	tcase_add_test(tc, zeroes);
	return test_main("virtio_blk_wait", tc);
}
