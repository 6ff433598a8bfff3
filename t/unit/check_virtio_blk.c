/* SPDX-License-Identifier: ISC */
/*
 * virtio-blk on a disk made of memory that does as the test says: every
 * request type and framing, the edges of the disk, what is in flight at most,
 * and what happens to it when the device is stopped, reset or misused.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "blkrig.h"

START_TEST(what_the_driver_sees)
{
	struct fixture *f = setup();

	ck_assert_uint_eq(vguest_conf(&f->g, 1, 0, 4), 0x10421af4);
	ck_assert_uint_eq(vguest_conf(&f->g, 1, 0x0b, 1), 0x01);
	ck_assert_uint_eq(vguest_offered(&f->g), 1ull << 32 | 1ull << 29 |
	    1ull << 28 | 1ull << 14 | 1ull << 13 | 1ull << 11 | 1ull << 10 |
	    1ull << 9 | 1ull << 6 | 1ull << 2);
	ck_assert_uint_eq(vguest_in(&f->g, 0x80, 4), SECTORS);
	ck_assert_uint_eq(vguest_in(&f->g, 0x84, 4), 0);
	ck_assert_uint_eq(vguest_in(&f->g, 0x8c, 4), 254);
	ck_assert_uint_eq(vguest_in(&f->g, 0x94, 4), 512);
	ck_assert_uint_eq(vguest_in(&f->g, 0x98, 1), 3);
	ck_assert_uint_eq(vguest_in(&f->g, BLK_WRITEBACK, 1), 1);
	ck_assert_uint_eq(vguest_in(&f->g, 0xa4, 4), DISCARD_MAX);
	ck_assert_uint_eq(vguest_in(&f->g, 0xa8, 4), 1);
	ck_assert_uint_eq(vguest_in(&f->g, 0xac, 4), 8);
	ck_assert_uint_eq(vguest_in(&f->g, 0xb0, 4), ZERO_MAX);
	ck_assert_uint_eq(vguest_in(&f->g, 0xb4, 4), 1);
	ck_assert_uint_eq(vguest_in(&f->g, 0xb8, 1), 1);
	ck_assert_uint_eq(vguest_in(&f->g, 0xbc, 4), 0xffffffff);
	ck_assert_uint_eq(vguest_in(&f->g, 0x18, 2), 256);
	teardown(f);
	f = setup_disk(true, 1ull << 50);
	ck_assert_uint_eq(vguest_offered(&f->g), 1ull << 32 | 1ull << 29 |
	    1ull << 28 | 1ull << 11 | 1ull << 10 | 1ull << 9 | 1ull << 6 |
	    1ull << 5 | 1ull << 2);
	ck_assert_uint_eq(vguest_in(&f->g, 0xa4, 4), 0);
	ck_assert_uint_eq(vguest_in(&f->g, 0x84, 4), 1u << 9);
	teardown(f);
}
END_TEST

START_TEST(read_and_write)
{
	struct fixture *f = setup();
	unsigned i;

	vguest_start(&f->g, &f->r, 16, BLK_CORE);
	blk_offer(&f->g, &f->r, 0, BLK_IN, 3, DATA, 1024);
	ck_assert_uint_eq(blk_wait(&f->g, &f->r), 1025);
	ck_assert_uint_eq(blk_status(&f->g, 0), BLK_OK);
	ck_assert_mem_eq(f->mem + DATA, f->disk.data + 3 * 512, 1024);
	for (i = 0; i < 512; i++)
		f->mem[DATA + i] = (uint8_t)(i * 3);
	blk_offer(&f->g, &f->r, 0, BLK_OUT, SECTORS - 1, DATA, 512);
	ck_assert_uint_eq(blk_wait(&f->g, &f->r), 1);
	ck_assert_uint_eq(blk_status(&f->g, 0), BLK_OK);
	ck_assert_mem_eq(f->disk.data + (SECTORS - 1) * 512, f->mem + DATA,
	    512);
	ck_assert_uint_eq(f->disk.ops[DISK_FLUSH], 0);
	ck_assert_uint_eq(request(f, BLK_FLUSH, 0, 0), BLK_OK);
	ck_assert_uint_eq(f->disk.ops[DISK_FLUSH], 1);
	teardown(f);
}
END_TEST

START_TEST(edges_of_the_disk)
{
	static const struct {
		uint64_t	sector;
		uint32_t	len;
		uint8_t		status;
	} row[] = {
		{ 0, SECTORS * 512, BLK_OK },
		{ SECTORS - 1, 512, BLK_OK },
		{ SECTORS - 1, 1024, BLK_IOERR },
		{ SECTORS, 512, BLK_IOERR },
		{ SECTORS + 1, 512, BLK_IOERR },
		{ 0, (SECTORS + 1) * 512, BLK_IOERR },
		{ UINT64_MAX, 512, BLK_IOERR },
		{ UINT64_MAX / 512, 512, BLK_IOERR },
		{ 1ull << 55, 512, BLK_IOERR },		/* 0 if it wrapped */
		{ 0, 511, BLK_IOERR },
		{ 0, 513, BLK_IOERR },
		{ 0, 0, BLK_IOERR },
	};
	struct fixture *f = setup();
	unsigned i, ops;

	vguest_start(&f->g, &f->r, 16, BLK_CORE);
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		ops = f->disk.ops[DISK_READ] + f->disk.ops[DISK_WRITE];
		ck_assert_uint_eq(request(f, BLK_IN, row[i].sector,
		    row[i].len), row[i].status);
		ck_assert_uint_eq(request(f, BLK_OUT, row[i].sector,
		    row[i].len), row[i].status);
		/* What is out of bounds does not reach the disk. */
		ck_assert_uint_eq(f->disk.ops[DISK_READ] +
		    f->disk.ops[DISK_WRITE],
		    ops + (row[i].status == BLK_OK ? 2 : 0));
	}
	teardown(f);
}
END_TEST

START_TEST(other_requests)
{
	static const uint32_t unknown[] = { 2, 3, 5, 7, 9, 10, 12, 14, ~0u };
	struct fixture *f = setup();
	unsigned i;

	vguest_start(&f->g, &f->r, 16, BLK_CORE);
	for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		ck_assert_uint_eq(request(f, unknown[i], 0, 512), BLK_UNSUPP);
	memset(f->mem + DATA, 'x', 32);
	blk_offer(&f->g, &f->r, 0, BLK_GET_ID, 0, DATA, 20);
	ck_assert_uint_eq(blk_wait(&f->g, &f->r), 21);
	ck_assert_uint_eq(blk_status(&f->g, 0), BLK_OK);
	ck_assert_mem_eq(f->mem + DATA,
	    "serial-0\0\0\0\0\0\0\0\0\0\0\0\0xxxx", 24);
	/* Less than all of it, and nothing. */
	memset(f->mem + DATA, 'x', 32);
	ck_assert_uint_eq(request(f, BLK_GET_ID, 0, 5), BLK_OK);
	ck_assert_mem_eq(f->mem + DATA, "serial", 5);
	ck_assert_uint_eq(f->mem[DATA + 5], 'x');
	ck_assert_uint_eq(request(f, BLK_GET_ID, 0, 0), BLK_OK);
	teardown(f);
}
END_TEST

START_TEST(readonly_disk)
{
	struct fixture *f = setup_disk(true, SECTORS * DISK_SECTOR);

	vguest_start(&f->g, &f->r, 16, BLK_CORE);
	ck_assert_uint_eq(request(f, BLK_OUT, 0, 512), BLK_IOERR);
	put_range(f, 0, 8, 0);
	ck_assert_uint_eq(request(f, BLK_DISCARD, 0, 16), BLK_IOERR);
	ck_assert_uint_eq(request(f, BLK_ZEROES, 0, 16), BLK_IOERR);
	ck_assert_uint_eq(f->disk.ops[DISK_WRITE] +
	    f->disk.ops[DISK_DISCARD] + f->disk.ops[DISK_ZERO], 0);
	ck_assert_uint_eq(request(f, BLK_IN, 0, 512), BLK_OK);
	teardown(f);
}
END_TEST

/*
 * Offers request 0 as one chain over contiguous header, data and status, cut
 * at every `step` bytes on the readable and on the writable side.
 */
static void
offer_cut(struct fixture *f, uint32_t type, uint64_t sector, uint32_t len,
    uint32_t step)
{
	uint32_t rlen = 16 + (type == BLK_OUT ? len : 0);
	uint32_t wlen = 1 + (type == BLK_OUT ? 0 : len);
	uint64_t addr = DATA;
	uint32_t n, left;
	unsigned i = 0;

	blk_put_header(&f->g, DATA, type, sector);
	for (left = rlen; left != 0; left -= n, addr += n) {
		n = left < step ? left : step;
		vring_desc(&f->r, i, addr, n, VRING_NEXT, i + 1);
		i++;
	}
	for (left = wlen; left != 0; left -= n, addr += n) {
		n = left < step ? left : step;
		vring_desc(&f->r, i, addr, n, VRING_WRITE |
		    (left == n ? 0 : VRING_NEXT), i + 1);
		i++;
	}
	f->mem[addr - 1] = BLK_PENDING;
	vring_offer(&f->r, 0);
	blk_wait(&f->g, &f->r);
	ck_assert_uint_eq(f->mem[addr - 1], BLK_OK);
}

/* No assumption about framing: any cut does (2.7.4.2). */
START_TEST(framing_is_free)
{
	static const uint32_t steps[] = {
		3, 5, 7, 8, 15, 16, 17, 511, 512, 513, 527, 528, 529, 4096,
	};
	struct fixture *f = setup();
	unsigned i, k;

	vguest_start(&f->g, &f->r, 256, BLK_CORE);
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		offer_cut(f, BLK_IN, 5, 512, steps[i]);
		ck_assert_mem_eq(f->mem + DATA + 16, f->disk.data + 5 * 512,
		    512);
		for (k = 0; k < 512; k++)
			f->mem[DATA + 16 + k] = (uint8_t)(k + steps[i]);
		offer_cut(f, BLK_OUT, 9, 512, steps[i]);
		ck_assert_mem_eq(f->disk.data + 9 * 512, f->mem + DATA + 16,
		    512);
	}
	offer_cut(f, BLK_GET_ID, 0, 20, 1);
	ck_assert_mem_eq(f->mem + DATA + 16, "serial-0\0\0\0\0", 12);
	offer_cut(f, BLK_FLUSH, 0, 0, 1);
	teardown(f);
}
END_TEST

/* Neither header nor status to be found: the device gives up. */
START_TEST(chains_without_header_or_status)
{
	struct fixture *f = setup();
	unsigned i;

	for (i = 0; i < 3; i++) {
		vguest_start(&f->g, &f->r, 16, BLK_CORE);
		blk_put_header(&f->g, DATA, BLK_FLUSH, 0);
		vring_desc(&f->r, 0, DATA, i == 0 ? 15 : 16,
		    i == 1 ? 0 : VRING_NEXT, 1);
		vring_desc(&f->r, 1, DATA + 64, 1, VRING_WRITE, 0);
		vring_offer(&f->r, 0);
		vguest_notify(&f->g, 0);
		vguest_turn(&f->g);
		ck_assert_uint_eq(vguest_status(&f->g), i < 2 ? 0x4f : 0x0f);
	}
	ck_assert_uint_eq(f->disk.ops[DISK_FLUSH], 1);
	teardown(f);
}
END_TEST

START_TEST(errors_are_answered_and_logged_once)
{
	char path[] = "/tmp/check_blk.XXXXXX", text[512] = { 0 };
	struct fixture *f = setup();
	int fd = mkstemp(path), saved = dup(STDERR_FILENO);
	char *p;

	unlink(path);
	vguest_start(&f->g, &f->r, 16, BLK_CORE);
	f->disk.error = -ENOSPC;
	fflush(stderr);
	dup2(fd, STDERR_FILENO);
	blk_offer(&f->g, &f->r, 0, BLK_OUT, 7, DATA, 512);
	ck_assert_uint_eq(blk_wait(&f->g, &f->r), 1);
	ck_assert_uint_eq(blk_status(&f->g, 0), BLK_IOERR);
	ck_assert_uint_eq(request(f, BLK_IN, 0, 512), BLK_IOERR);
	ck_assert_uint_eq(request(f, BLK_FLUSH, 0, 0), BLK_IOERR);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	ck_assert_int_gt(pread(fd, text, sizeof(text) - 1, 0), 0);
	p = strstr(text, "vm t: d: write at sector 7: No space left");
	ck_assert_ptr_nonnull(p);
	ck_assert_ptr_null(strstr(p + 1, "vm t: d"));
	f->disk.error = 0;
	ck_assert_uint_eq(request(f, BLK_IN, 0, 512), BLK_OK);
	close(fd);
	close(saved);
	teardown(f);
}
END_TEST

/* A driver without FLUSH is told of a write when it is stable. */
START_TEST(write_through_without_flush)
{
	struct fixture *f = setup();
	uint32_t id, len;

	vguest_start(&f->g, &f->r, 16, 1ull << 32);
	f->disk.hold = true;
	blk_offer(&f->g, &f->r, 0, BLK_OUT, 0, DATA, 512);
	vguest_notify(&f->g, 0);
	vguest_turn(&f->g);
	disk_complete(&f->disk);
	ck_assert_uint_eq(f->disk.ops[DISK_FLUSH], 1);
	ck_assert_uint_eq(blk_status(&f->g, 0), BLK_PENDING);
	disk_complete(&f->disk);
	ck_assert_uint_eq(blk_status(&f->g, 0), BLK_OK);
	vguest_turn(&f->g);
	ck_assert(vring_take(&f->r, &id, &len));
	f->disk.hold = false;
	ck_assert_uint_eq(request(f, BLK_IN, 0, 512), BLK_OK);
	ck_assert_uint_eq(f->disk.ops[DISK_FLUSH], 1);
	teardown(f);
}
END_TEST

/* Offers `n` requests of one indirect descriptor each, from request 0. */
static void
offer_many(struct fixture *f, unsigned n, uint32_t len)
{
	unsigned i;

	for (i = 0; i < n; i++)
		blk_offer_indirect(&f->g, &f->r, i, BLK_IN, 0, DATA, len);
	vguest_notify(&f->g, 0);
}

START_TEST(queue_full_in_flight)
{
	struct fixture *f = setup();
	uint32_t id, len;
	unsigned i, rises, irq;

	vguest_start(&f->g, &f->r, 256, BLK_CORE | INDIRECT);
	irq = vguest_conf(&f->g, 1, 0x3c, 1);
	f->disk.hold = true;
	offer_many(f, 256, 512);
	/* A turn has a budget, so the first does not do it all. */
	ev_run(loop_ev(f->disk.loop), EVRUN_NOWAIT);
	ck_assert_uint_gt(f->disk.nheld, 0);
	ck_assert_uint_lt(f->disk.nheld, 256);
	vguest_turn(&f->g);
	ck_assert_uint_eq(f->disk.nheld, 256);
	rises = f->g.t.rises[irq];
	f->disk.hold = false;
	loop_post(f->disk.loop, &f->disk.task);
	vguest_wait_irq(&f->g);
	for (i = 0; i < 256; i++)
		ck_assert(vring_take(&f->r, &id, &len));
	ck_assert_uint_eq(f->g.t.rises[irq], rises + 1);
	/* And all entries serve again. */
	offer_many(f, 256, 512);
	for (i = 0; i < 256; i++)
		while (!vring_take(&f->r, &id, &len))
			vguest_wait_irq(&f->g);
	teardown(f);
}
END_TEST

/* One read of a sector by a queue's first descriptors; not among offer_many's. */
static void
offer_one(struct fixture *f, struct vring *r, uint64_t sector)
{
	blk_put_header(&f->g, BLK_HEADER(300), BLK_IN, sector);
	vring_desc(r, 0, BLK_HEADER(300), 16, VRING_NEXT, 1);
	vring_desc(r, 1, DATA, 512, VRING_NEXT | VRING_WRITE, 2);
	vring_desc(r, 2, BLK_STATUS(300), 1, VRING_WRITE, 0);
	vring_offer(r, 0);
}

static bool
holds(const struct fixture *f, uint64_t sector)
{
	unsigned i;

	for (i = 0; i < f->disk.nheld; i++)
		if (f->disk.held[i]->offset == sector * DISK_SECTOR)
			return true;
	return false;
}

/* A queue that takes all there is does so one turn in two. */
START_TEST(queues_take_turns)
{
	struct fixture *f = setup_queues(false, SECTORS * DISK_SECTOR, 2);
	struct vring other;
	uint32_t id, len;
	unsigned i;

	vguest_negotiate(&f->g, BLK_CORE | INDIRECT | 1ull << 12);
	vguest_queue(&f->g, &f->r, 0, 256);
	vguest_queue(&f->g, &other, 1, 16);
	vguest_set_status(&f->g, 0x0f);
	f->disk.hold = true;
	offer_many(f, 256, 512);
	for (i = 0; i < 3; i++)
		vguest_turn(&f->g);
	ck_assert_uint_eq(f->disk.nheld, 256);
	for (i = 5; i < 15; i++) {
		offer_one(f, &other, i);
		vguest_notify(&f->g, 1);
		vguest_turn(&f->g);
		ck_assert(!holds(f, i));
		/* Its driver has another request for each that completes. */
		disk_complete(&f->disk);
		vguest_turn(&f->g);
		while (vring_take(&f->r, &id, &len)) {
			vring_offer(&f->r, (uint16_t)id);
			vguest_notify(&f->g, 0);
		}
		vguest_turn(&f->g);
		disk_complete(&f->disk);
		vguest_turn(&f->g);
		ck_assert(holds(f, i));
		ck_assert_uint_eq(f->disk.nheld, 256);
		while (holds(f, i))
			disk_complete(&f->disk);
		vguest_turn(&f->g);
		ck_assert(vring_take(&other, &id, &len));
		while (vring_take(&f->r, &id, &len))
			vring_offer(&f->r, (uint16_t)id);
		vguest_notify(&f->g, 0);
		for (len = 0; len < 3; len++)
			vguest_turn(&f->g);
		ck_assert_uint_eq(f->disk.nheld, 256);
	}
	teardown(f);
}
END_TEST

#define LONG_HEADER	0x60000u	/* beyond all rings */
#define LONG_STATUS	0x60010u

/* Two reads of a hundred descriptors each. */
static void
offer_long(struct fixture *f, struct vring *r)
{
	uint16_t k, i;

	blk_put_header(&f->g, LONG_HEADER, BLK_IN, 0);
	for (k = 0; k < 200; k += 100) {
		vring_desc(r, k, LONG_HEADER, 16, VRING_NEXT, k + 1);
		for (i = k + 1; i < k + 99; i++)
			vring_desc(r, i, DATA, 512, VRING_NEXT | VRING_WRITE,
			    i + 1);
		vring_desc(r, i, LONG_STATUS, 1, VRING_WRITE, 0);
		vring_offer(r, k);
	}
}

/* A disk's share of a turn is one, however many its queues; each has some. */
START_TEST(queues_share_a_turn)
{
	enum { QUEUES = 8 };
	struct fixture *f = setup_queues(false, 1ull << 40, QUEUES);
	unsigned i, had, turns;
	struct vring r[QUEUES];

	vguest_negotiate(&f->g, BLK_CORE | 1ull << 12);
	for (i = 0; i < QUEUES; i++)
		vguest_queue(&f->g, &r[i], i, 256);
	vguest_set_status(&f->g, 0x0f);
	f->disk.hold = true;
	for (i = 0; i < QUEUES; i++) {
		offer_long(f, &r[i]);
		vguest_notify(&f->g, i);
	}
	for (turns = 0; f->disk.nheld < 2 * QUEUES && turns < 100; turns++) {
		had = f->disk.nheld;
		ev_run(loop_ev(f->disk.loop), EVRUN_NOWAIT);
		/* 512 descriptors, and the rest of the last request. */
		ck_assert_uint_le(f->disk.nheld, had + 6);
	}
	ck_assert_uint_eq(f->disk.nheld, 2 * QUEUES);
	ck_assert_uint_lt(turns, 10);
	teardown(f);
}
END_TEST

/* Bytes in flight are bounded; one request may be larger by itself. */
START_TEST(bytes_in_flight)
{
	struct fixture *f = setup_disk(false, 1ull << 40);
	unsigned i;

	vguest_start(&f->g, &f->r, 256, BLK_CORE | INDIRECT);
	f->disk.hold = true;
	offer_many(f, 8, 1u << 20);
	vguest_turn(&f->g);
	ck_assert_uint_eq(f->disk.nheld, 4);
	disk_complete(&f->disk);
	vguest_turn(&f->g);
	ck_assert_uint_eq(f->disk.nheld, 4);
	for (i = 0; i < 7; i++) {
		disk_complete(&f->disk);
		vguest_turn(&f->g);
	}
	ck_assert_uint_eq(f->disk.nheld, 0);
	/* Eight megabytes in one, and a small one behind it. */
	blk_put_header(&f->g, BLK_HEADER(0), BLK_IN, 0);
	vring_put(&f->r, BLK_TABLE(0), 0, BLK_HEADER(0), 16, VRING_NEXT, 1);
	for (i = 1; i <= 8; i++)
		vring_put(&f->r, BLK_TABLE(0), i, DATA, 1u << 20,
		    VRING_NEXT | VRING_WRITE, i + 1);
	vring_put(&f->r, BLK_TABLE(0), 9, BLK_STATUS(0), 1, VRING_WRITE, 0);
	vring_desc(&f->r, 0, BLK_TABLE(0), 160, VRING_INDIRECT, 0);
	vring_offer(&f->r, 0);
	blk_offer_indirect(&f->g, &f->r, 1, BLK_IN, 0, DATA, 512);
	vguest_notify(&f->g, 0);
	vguest_turn(&f->g);
	ck_assert_uint_eq(f->disk.nheld, 1);
	disk_complete(&f->disk);
	vguest_turn(&f->g);
	ck_assert_uint_eq(f->disk.nheld, 1);
	teardown(f);
}
END_TEST

static void
release(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct fixture *f = w->data;

	(void)ev;
	(void)revents;
	ck_assert_uint_eq(f->disk.nheld, 2);
	f->disk.hold = false;
	disk_complete_all(&f->disk);
}

START_TEST(reset_waits_for_the_disk)
{
	struct fixture *f = setup();
	ev_timer timer;

	vguest_start(&f->g, &f->r, 16, BLK_CORE);
	f->disk.hold = true;
	blk_offer(&f->g, &f->r, 0, BLK_IN, 0, DATA, 512);
	blk_offer(&f->g, &f->r, 1, BLK_FLUSH, 0, DATA, 0);
	vguest_notify(&f->g, 0);
	vguest_turn(&f->g);
	ev_timer_init(&timer, release, 0.02, 0.);
	timer.data = f;
	ev_timer_start(loop_ev(f->disk.loop), &timer);
	vguest_set_status(&f->g, 0);
	ck_assert_uint_eq(f->disk.nheld, 0);
	ck_assert_uint_eq(vguest_status(&f->g), 0);
	vguest_start(&f->g, &f->r, 16, BLK_CORE);
	ck_assert_uint_eq(request(f, BLK_IN, 0, 512), BLK_OK);
	teardown(f);
}
END_TEST

START_TEST(stop_waits_for_the_disk)
{
	struct fixture *f = setup();
	unsigned stopped = 0;

	vguest_start(&f->g, &f->r, 16, 1ull << 32);
	f->disk.hold = true;
	blk_offer(&f->g, &f->r, 0, BLK_OUT, 0, DATA, 512);
	vguest_notify(&f->g, 0);
	vguest_turn(&f->g);
	virtio_pci_stop(f->vp, count, &stopped);
	blk_offer(&f->g, &f->r, 1, BLK_IN, 0, DATA, 512);
	vguest_notify(&f->g, 0);
	vguest_turn(&f->g);
	ck_assert_uint_eq(stopped, 0);
	ck_assert_uint_eq(f->disk.nheld, 1);
	/* The write, and the flush that belongs to it. */
	disk_complete(&f->disk);
	ck_assert_uint_eq(stopped, 0);
	disk_complete(&f->disk);
	ck_assert_uint_eq(stopped, 1);
	ck_assert_uint_eq(blk_status(&f->g, 0), BLK_OK);
	ck_assert_uint_eq(blk_status(&f->g, 1), BLK_PENDING);
	f->disk.hold = false;
	virtio_pci_resume(f->vp);
	vguest_turn(&f->g);
	ck_assert_uint_eq(blk_status(&f->g, 1), BLK_OK);
	teardown(f);
}
END_TEST

/* A driver that breaks the ring while the disk works. */
START_TEST(broken_with_requests_in_flight)
{
	struct fixture *f = setup();
	uint32_t id, len;

	vguest_start(&f->g, &f->r, 16, BLK_CORE);
	f->disk.hold = true;
	blk_offer(&f->g, &f->r, 0, BLK_IN, 0, DATA, 512);
	vguest_notify(&f->g, 0);
	vguest_turn(&f->g);
	vring_avail(&f->r)[1] += 100;
	vguest_notify(&f->g, 0);
	vguest_turn(&f->g);
	ck_assert_uint_eq(vguest_status(&f->g), 0x4f);
	f->disk.hold = false;
	disk_complete_all(&f->disk);
	vguest_turn(&f->g);
	ck_assert(!vring_take(&f->r, &id, &len));
	vguest_start(&f->g, &f->r, 16, BLK_CORE);
	ck_assert_uint_eq(request(f, BLK_IN, 0, 512), BLK_OK);
	teardown(f);
}
END_TEST

/* Whatever the guest does and knows, its writes are stable. */
START_TEST(write_through_at_the_hosts_will)
{
	struct fixture *f = setup_writethrough();

	vguest_start(&f->g, &f->r, 16, BLK_CORE);
	ck_assert_uint_eq(request(f, BLK_OUT, 0, 512), BLK_OK);
	ck_assert_uint_eq(f->disk.ops[DISK_FLUSH], 1);
	vguest_start(&f->g, &f->r, 16, BLK_CORE | BLK_F_WCE);
	ck_assert_uint_eq(vguest_in(&f->g, BLK_WRITEBACK, 1), 0);
	vguest_out(&f->g, BLK_WRITEBACK, 1, 1);
	ck_assert_uint_eq(vguest_in(&f->g, BLK_WRITEBACK, 1), 0);
	ck_assert_uint_eq(request(f, BLK_OUT, 0, 512), BLK_OK);
	ck_assert_uint_eq(f->disk.ops[DISK_FLUSH], 2);
	put_range(f, 8, 1, 0);
	ck_assert_uint_eq(request(f, BLK_ZEROES, 0, 16), BLK_OK);
	ck_assert_uint_eq(f->disk.ops[DISK_FLUSH], 3);
	ck_assert_uint_eq(request(f, BLK_IN, 0, 512), BLK_OK);
	ck_assert_uint_eq(f->disk.ops[DISK_FLUSH], 3);
	teardown(f);
}
END_TEST

/* Only that byte can be written; a reset undoes what the driver chose. */
START_TEST(cache_register)
{
	struct fixture *f = setup();
	unsigned off;

	vguest_start(&f->g, &f->r, 16, BLK_CORE | BLK_F_WCE);
	for (off = 0x80; off < 0x80 + 60; off++)
		if (off != BLK_WRITEBACK)
			vguest_out(&f->g, off, 1, 0xff);
	vguest_out(&f->g, BLK_WRITEBACK, 4, 0);
	ck_assert_uint_eq(vguest_in(&f->g, BLK_WRITEBACK, 1), 1);
	ck_assert_uint_eq(vguest_in(&f->g, 0x80, 4), SECTORS);
	vguest_out(&f->g, BLK_WRITEBACK, 1, 0xfe);
	ck_assert_uint_eq(vguest_in(&f->g, BLK_WRITEBACK, 1), 0);
	vguest_start(&f->g, &f->r, 16, BLK_CORE | BLK_F_WCE);
	ck_assert_uint_eq(vguest_in(&f->g, BLK_WRITEBACK, 1), 1);
	teardown(f);
}
END_TEST

static void
use(void *dev)
{
	virtio_pci_ops.reset(dev);
}

START_TEST(state_travels)
{
	struct fixture *f = setup(), *h = setup();
	struct fixture *other = setup_disk(false, 512);
	unsigned stopped = 0;
	struct buf b;

	vguest_start(&f->g, &f->r, 16, BLK_CORE | BLK_F_WCE);
	vguest_out(&f->g, BLK_WRITEBACK, 1, 0);
	ck_assert_uint_eq(request(f, BLK_IN, 0, 512), BLK_OK);
	virtio_pci_stop(f->vp, count, &stopped);
	memcpy(h->mem, f->mem, VGUEST_MEM);
	testhost_round_trip(&virtio_pci_ops, f->vp, h->vp);
	h->r = f->r;
	h->r.mem = h->mem;
	virtio_pci_resume(h->vp);
	ck_assert_uint_eq(request(h, BLK_IN, 1, 512), BLK_OK);
	ck_assert_uint_eq(vguest_in(&h->g, BLK_WRITEBACK, 1), 0);
	virtio_pci_ops.reset(h->vp);
	ck_assert_uint_eq(vguest_in(&h->g, BLK_WRITEBACK, 1), 1);
	testhost_corrupt(&virtio_pci_ops, f->vp, h->vp, use);
	/* A disk of another size is another disk. */
	testhost_save(&virtio_pci_ops, f->vp, &b);
	ck_assert_int_eq(testhost_load(&virtio_pci_ops, other->vp, &b),
	    -EINVAL);
	buf_free(&b);
	teardown(f);
	teardown(h);
	teardown(other);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("virtio_blk");

	tcase_add_test(tc, what_the_driver_sees);
	tcase_add_test(tc, read_and_write);
	tcase_add_test(tc, edges_of_the_disk);
	tcase_add_test(tc, other_requests);
	tcase_add_test(tc, readonly_disk);
	tcase_add_test(tc, framing_is_free);
	tcase_add_test(tc, chains_without_header_or_status);
	tcase_add_test(tc, errors_are_answered_and_logged_once);
	tcase_add_test(tc, write_through_without_flush);
	tcase_add_test(tc, write_through_at_the_hosts_will);
	tcase_add_test(tc, cache_register);
	tcase_add_test(tc, queue_full_in_flight);
	tcase_add_test(tc, queues_take_turns);
	tcase_add_test(tc, queues_share_a_turn);
	tcase_add_test(tc, bytes_in_flight);
	tcase_add_test(tc, reset_waits_for_the_disk);
	tcase_add_test(tc, stop_waits_for_the_disk);
	tcase_add_test(tc, broken_with_requests_in_flight);
	tcase_add_test(tc, state_travels);
	return test_main("virtio_blk", tc);
}
