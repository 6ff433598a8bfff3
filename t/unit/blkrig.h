/* SPDX-License-Identifier: ISC */
/*
 * virtio-blk on a disk made of memory that does as the test says.
 */
#ifndef VMMD_BLKRIG_H
#define VMMD_BLKRIG_H

#include "blkguest.h"
#include "devices/disk.h"
#include "devices/virtio_blk.h"

#define SECTORS		64u
#define DATA		VGUEST_DATA
#define INDIRECT	VIRTIO_RING_F_INDIRECT_DESC
#define DISCARD_MAX	(1u << 22)
#define ZERO_MAX	(1u << 15)

/* The disk: requests complete in a later turn of the loop, or when told. */
struct disk {
	struct loop		*loop;
	struct loop_task	 task;
	uint8_t			 data[SECTORS * DISK_SECTOR];
	struct disk_info	 info;
	bool			 hold;
	int			 error;		/* what requests end with */
	unsigned		 ops[5];
	bool			 unmapped;	/* by the last */
	unsigned		 nheld;
	struct disk_req		*held[512];
};

const struct disk_info *
disk_info(const struct disk *d)
{
	return &d->info;
}

static inline void
disk_move(struct disk *d, struct disk_req *req)
{
	uint64_t off = req->offset;
	unsigned i;

	for (i = 0; i < req->niov && off < sizeof(d->data); i++) {
		ck_assert_uint_ne(req->iov[i].iov_len, 0);
		ck_assert_uint_le(off + req->iov[i].iov_len, d->info.size);
		if (off + req->iov[i].iov_len > sizeof(d->data))
			break;
		if (req->op == DISK_READ)
			memcpy(req->iov[i].iov_base, d->data + off,
			    req->iov[i].iov_len);
		else
			memcpy(d->data + off, req->iov[i].iov_base,
			    req->iov[i].iov_len);
		off += req->iov[i].iov_len;
	}
}

static inline bool
has_data(const struct disk_req *req)
{
	return req->op == DISK_READ || req->op == DISK_WRITE;
}

/* Completes the request that was submitted first. */
static inline void
disk_complete(struct disk *d)
{
	struct disk_req *req = d->held[0];

	ck_assert_uint_ne(d->nheld, 0);
	memmove(d->held, d->held + 1, --d->nheld * sizeof(d->held[0]));
	if (d->error == 0 && req->op == DISK_ZERO)
		memset(d->data + req->offset, 0, req->len);
	else if (d->error == 0 && has_data(req))
		disk_move(d, req);
	/* A disk uses up the array. */
	if (has_data(req))
		memset(req->iov, 0xa5, req->niov * sizeof(req->iov[0]));
	req->done(req, d->error);
}

static inline void
disk_complete_all(void *arg)
{
	struct disk *d = arg;

	while (!d->hold && d->nheld != 0)
		disk_complete(d);
}

void
disk_submit(struct disk *d, struct disk_req *req)
{
	size_t sum = 0;
	unsigned i;

	for (i = 0; has_data(req) && i < req->niov; i++)
		sum += req->iov[i].iov_len;
	ck_assert(!has_data(req) || sum == req->len);
	ck_assert_uint_lt(d->nheld, 512);
	d->ops[req->op]++;
	d->unmapped = req->unmap;
	d->held[d->nheld++] = req;
	loop_post(d->loop, &d->task);
}

struct fixture {
	struct vguest		 g;
	struct vring		 r;
	struct disk		 disk;
	struct virtio_blk	*blk;
	struct virtio_pci	*vp;
	uint8_t			*mem;
	unsigned		 failures;	/* the guest may be paused for */
	bool			 refuses;	/* to pause */
	struct virtio_blk_error	 failure;	/* the last */
};

static inline bool
failed(void *cookie, const struct virtio_blk_error *e)
{
	struct fixture *f = cookie;

	f->failures++;
	f->failure = *e;
	return !f->refuses;
}

static inline struct fixture *
setup_info(const struct disk_info *info, unsigned nqueues)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct loop *loop = loop_create();
	unsigned i;

	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(loop);
	vguest_init(&f->g, loop);
	f->mem = f->g.gm.range[0].hva;
	f->disk.loop = loop;
	f->disk.task.fn = disk_complete_all;
	f->disk.task.arg = &f->disk;
	f->disk.info = *info;
	for (i = 0; i < sizeof(f->disk.data); i++)
		f->disk.data[i] = (uint8_t)(i / DISK_SECTOR + i);
	f->blk = virtio_blk_create(&(struct virtio_blk_conf){
	    .disk = &f->disk, .serial = "serial-0", .name = "vm t: d",
	    .nqueues = nqueues, .loop = loop, .failed = failed, .cookie = f });
	ck_assert_ptr_nonnull(f->blk);
	f->vp = virtio_pci_create(&f->g.t.host, &f->g.gm, f->g.pci,
	    virtio_blk_ops(f->blk), f->blk, "vm t: d");
	ck_assert_ptr_nonnull(f->vp);
	return f;
}

static inline struct fixture *
setup_queues(bool readonly, uint64_t size, unsigned nqueues)
{
	struct disk_info info = {
		.size = size, .block_size = 512, .physical_size = 4096,
		.readonly = readonly,
	};

	return setup_info(&info, nqueues);
}

static inline struct fixture *
setup_writethrough(void)
{
	struct disk_info info = {
		.size = SECTORS * DISK_SECTOR, .block_size = 512,
		.physical_size = 4096, .writethrough = true,
	};

	return setup_info(&info, 1);
}

static inline struct fixture *
setup_disk(bool readonly, uint64_t size)
{
	return setup_queues(readonly, size, 1);
}

static inline struct fixture *
setup(void)
{
	return setup_disk(false, SECTORS * DISK_SECTOR);
}

static inline void
count(void *arg)
{
	++*(unsigned *)arg;
}

static inline void
teardown(struct fixture *f)
{
	unsigned stopped = 0;

	f->disk.hold = false;
	virtio_pci_stop(f->vp, count, &stopped);
	disk_complete_all(&f->disk);
	ck_assert_uint_eq(stopped, 1);
	loop_cancel(f->disk.loop, &f->disk.task);
	virtio_pci_destroy(f->vp);
	virtio_blk_destroy(f->blk);
	vguest_fini(&f->g);
	loop_destroy(f->disk.loop);
	free(f);
}

static inline uint8_t
request(struct fixture *f, uint32_t type, uint64_t sector, uint32_t len)
{
	return blk_do(&f->g, &f->r, type, sector, DATA, len);
}

static inline void
put_range(struct fixture *f, uint64_t sector, uint32_t n, uint32_t flags)
{
	memcpy(f->mem + DATA, &sector, 8);
	memcpy(f->mem + DATA + 8, &n, 4);
	memcpy(f->mem + DATA + 12, &flags, 4);
}

#endif /* VMMD_BLKRIG_H */
