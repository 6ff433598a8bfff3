/* SPDX-License-Identifier: ISC */
/*
 * A guest and its disk from end to end: driver, PCI, virtio-blk, raw file,
 * either engine.  The guest runs on a thread of its own, keeps many requests in
 * flight and finds every sector as it wrote it, over resets and a stop.
 */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "blkguest.h"
#include "devices/aio.h"
#include "devices/disk.h"
#include "devices/virtio_blk.h"

#define SECTORS		4096u
#define REQUESTS	64u		/* in flight */
#define BYTES		4096u		/* each */
#define ROUNDS		40u
#define FEATURES	(BLK_CORE | VIRTIO_RING_F_INDIRECT_DESC)

struct fixture {
	struct vguest		 g;
	struct vring		 r;
	char			 path[64];
	struct loop		*loop;
	struct aio		*aio;
	struct disk		*disk;
	struct virtio_blk	*blk;
	struct virtio_pci	*vp;
	struct loop_task	 end;
	uint64_t		 seed;
	bool			 stopped;
	uint8_t			 shadow[SECTORS * DISK_SECTOR];
};

static const char *const engines[] = { "io_uring", "threads" };

static struct fixture *
setup(int engine)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct disk_how how = { 0 };
	char err[128];
	int fd;

	ck_assert_ptr_nonnull(f);
	strcpy(f->path, "/tmp/check_vdisk.XXXXXX");
	fd = mkstemp(f->path);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(ftruncate(fd, sizeof(f->shadow)), 0);
	close(fd);
	f->loop = loop_create();
	vguest_init(&f->g, f->loop);
	f->aio = aio_create(f->loop, engines[engine]);
	ck_assert_ptr_nonnull(f->aio);
	f->disk = disk_open(NULL, f->path, &how, err, sizeof(err));
	ck_assert_msg(f->disk != NULL, "%s", err);
	disk_attach(f->disk, f->aio, NULL);
	f->blk = virtio_blk_create(&(struct virtio_blk_conf){
	    .disk = f->disk, .serial = "d", .name = "vm t: d", .nqueues = 1 });
	f->vp = virtio_pci_create(&f->g.t.host, &f->g.gm, f->g.pci,
	    virtio_blk_ops(f->blk), f->blk, "vm t: d");
	ck_assert_ptr_nonnull(f->vp);
	f->seed = 88172645463325252ull;
	return f;
}

/* The loop may be about to sleep. */
static void
on_stopped(void *arg)
{
	struct fixture *f = arg;

	f->stopped = true;
	loop_break(f->loop);
}

static void
teardown(struct fixture *f)
{
	virtio_pci_stop(f->vp, on_stopped, f);
	while (!f->stopped)
		loop_run(f->loop);
	virtio_pci_destroy(f->vp);
	virtio_blk_destroy(f->blk);
	disk_close(f->disk);
	aio_destroy(f->aio);
	vguest_fini(&f->g);
	loop_destroy(f->loop);
	unlink(f->path);
	free(f);
}

/* Sectors of their own for each request of a round, in shuffled order. */
static uint64_t
place(unsigned round, unsigned i)
{
	return (uint64_t)((i * 37u + round * 11u) % REQUESTS) *
	    (SECTORS / REQUESTS);
}

static uint8_t *
data(struct fixture *f, unsigned i)
{
	return (uint8_t *)f->g.gm.range[0].hva + VGUEST_DATA + i * BYTES;
}

/* All requests of a round at once; returns when all are answered. */
static void
round_trip(struct fixture *f, unsigned round, uint32_t type)
{
	uint32_t id, len;
	unsigned i;

	for (i = 0; i < REQUESTS; i++)
		blk_offer_indirect(&f->g, &f->r, i, type, place(round, i),
		    VGUEST_DATA + i * BYTES, BYTES);
	vguest_notify(&f->g, 0);
	for (i = 0; i < REQUESTS;) {
		if (vring_take(&f->r, &id, &len)) {
			ck_assert_uint_eq(blk_status(&f->g, id), BLK_OK);
			ck_assert_uint_eq(len, type == BLK_IN ? BYTES + 1 : 1);
			i++;
		} else {
			vguest_wait_irq(&f->g);
		}
	}
}

static void *
guest(void *arg)
{
	struct fixture *f = arg;
	unsigned round, i, k;

	for (round = 0; round < ROUNDS; round++) {
		if (round % 8 == 0)
			vguest_start(&f->g, &f->r, 128, FEATURES);
		for (i = 0; i < REQUESTS; i++) {
			for (k = 0; k < BYTES; k++)
				data(f, i)[k] =
				    (uint8_t)test_random(&f->seed);
			memcpy(f->shadow + place(round, i) * DISK_SECTOR,
			    data(f, i), BYTES);
		}
		round_trip(f, round, BLK_OUT);
		memset(data(f, 0), 0, REQUESTS * BYTES);
		round_trip(f, round + 5, BLK_IN);
		for (i = 0; i < REQUESTS; i++)
			ck_assert_mem_eq(data(f, i), f->shadow +
			    place(round + 5, i) * DISK_SECTOR, BYTES);
		/* Into the reset with all of it in flight. */
		if (round % 8 == 7) {
			for (i = 0; i < REQUESTS; i++)
				blk_offer_indirect(&f->g, &f->r, i, BLK_IN, i,
				    VGUEST_DATA + i * BYTES, BYTES);
			vguest_notify(&f->g, 0);
		}
	}
	vguest_start(&f->g, &f->r, 128, FEATURES);
	ck_assert_uint_eq(blk_do(&f->g, &f->r, BLK_FLUSH, 0, 0, 0), BLK_OK);
	loop_post(f->loop, &f->end);
	return NULL;
}

static void
end_loop(void *arg)
{
	loop_break(arg);
}

START_TEST(sectors_are_as_written)
{
	struct fixture *f = setup(_i);
	uint8_t *file = malloc(sizeof(f->shadow));
	pthread_t tid;
	FILE *fp;

	f->g.threaded = true;
	f->end.fn = end_loop;
	f->end.arg = f->loop;
	ck_assert_int_eq(pthread_create(&tid, NULL, guest, f), 0);
	loop_run(f->loop);
	pthread_join(tid, NULL);
	f->g.threaded = false;
	fp = fopen(f->path, "r");
	ck_assert_ptr_nonnull(fp);
	ck_assert_uint_eq(fread(file, 1, sizeof(f->shadow), fp),
	    sizeof(f->shadow));
	fclose(fp);
	ck_assert_mem_eq(file, f->shadow, sizeof(f->shadow));
	free(file);
	teardown(f);
}
END_TEST

/* Stopped with requests at the kernel: they complete, and all is freed. */
START_TEST(stopped_at_work)
{
	struct fixture *f = setup(_i);
	unsigned i;

	vguest_start(&f->g, &f->r, 128, FEATURES);
	for (i = 0; i < REQUESTS; i++)
		blk_offer_indirect(&f->g, &f->r, i, BLK_IN, place(0, i),
		    VGUEST_DATA + i * BYTES, BYTES);
	vguest_notify(&f->g, 0);
	ev_run(loop_ev(f->loop), EVRUN_NOWAIT);
	teardown(f);
}
END_TEST

/* The host cuts the file short beneath the guest. */
START_TEST(file_cut_short)
{
	struct fixture *f = setup(_i);

	vguest_start(&f->g, &f->r, 16, FEATURES);
	ck_assert_int_eq(truncate(f->path, 1024), 0);
	ck_assert_uint_eq(blk_do(&f->g, &f->r, BLK_IN, 1, VGUEST_DATA, 512),
	    BLK_OK);
	ck_assert_uint_eq(blk_do(&f->g, &f->r, BLK_IN, 1, VGUEST_DATA, 1024),
	    BLK_IOERR);
	teardown(f);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("virtio_disk");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, sectors_are_as_written, 0, 2);
	tcase_add_loop_test(tc, stopped_at_work, 0, 2);
	tcase_add_loop_test(tc, file_cut_short, 0, 2);
	return test_main("virtio_disk", tc);
}
