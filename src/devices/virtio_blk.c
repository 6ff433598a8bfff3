/* SPDX-License-Identifier: ISC */
/*
 * virtio block device: see virtio_blk.h.
 *
 * Requests are made once, one for each entry of the queue, and go round
 * between a free list and the disk.  All on the loop thread, except the
 * configuration space, which never changes.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "devices/disk.h"
#include "devices/state.h"
#include "devices/virtio_blk.h"

#define BLK_DEVICE_ID		2
#define BLK_PCI_CLASS		0x018000	/* mass storage, other */
#define BLK_QUEUE_MAX		256

/* Feature bits (5.2.3). */
#define BLK_F_SEG_MAX		(1ULL << 2)
#define BLK_F_RO		(1ULL << 5)
#define BLK_F_BLK_SIZE		(1ULL << 6)
#define BLK_F_FLUSH		(1ULL << 9)

/* Request types and results (5.2.6). */
#define BLK_T_IN		0
#define BLK_T_OUT		1
#define BLK_T_FLUSH		4
#define BLK_T_GET_ID		8

#define BLK_S_OK		0
#define BLK_S_IOERR		1
#define BLK_S_UNSUPP		2

/*
 * A turn's share of one disk, in descriptors, and the bytes it may have in
 * flight: a request beyond that goes alone.  What the host has cached is
 * copied while the loop waits, so both bound how long the others wait.
 */
#define BLK_TURN_DESCS		512
#define BLK_FLIGHT_BYTES	(4u << 20)

#define BLK_LOG_INTERVAL	10000000000ull	/* ns */

/* struct virtio_blk_config (5.2.4), as far as the offered features fill it */
struct blk_config {
	uint64_t	capacity;	/* sectors */
	uint32_t	size_max;
	uint32_t	seg_max;
	uint32_t	geometry;
	uint32_t	blk_size;
};
_Static_assert(sizeof(struct blk_config) == 24, "blk_config");
_Static_assert(BLK_QUEUE_MAX <= VQ_SIZE_MAX, "queue too large");

/* What a request begins with. */
struct blk_header {
	uint32_t	type;
	uint32_t	reserved;
	uint64_t	sector;
};
_Static_assert(sizeof(struct blk_header) == 16, "blk_header");

/* One request, free or in flight. */
struct blk_req {
	struct virtio_blk	*b;
	struct blk_req		*next;		/* free list */
	struct vq_chain		 chain;
	struct blk_header	 head;		/* copied */
	uint8_t			*status;	/* in guest memory */
	struct disk_req		 disk;
};

/* i: immutable; the rest: loop */
struct virtio_blk {
	struct disk		*disk;		/* i */
	char			*name;		/* i */
	struct blk_config	 config;	/* i */
	bool			 readonly;	/* i */
	char			 serial[VIRTIO_BLK_SERIAL_MAX];	/* i */
	struct virtio		*v;		/* set by start */
	struct blk_req		*free;
	unsigned		 in_flight;	/* requests */
	size_t			 bytes;		/* of data in flight */
	bool			 starved;	/* popping met a limit */
	bool			 stopping;
	uint64_t		 log_after;	/* ns: no error line before */
	struct blk_req		 req[BLK_QUEUE_MAX];
};

struct virtio_blk *
virtio_blk_create(struct disk *disk, bool readonly, const char *serial,
    const char *name)
{
	struct virtio_blk *b;
	unsigned i;

	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return NULL;
	b->name = strdup(name);
	if (b->name == NULL) {
		free(b);
		return NULL;
	}
	b->disk = disk;
	b->readonly = readonly;
	b->config.capacity = disk_size(disk) / DISK_SECTOR;
	/* A chain has two more elements: the header and the status. */
	b->config.seg_max = BLK_QUEUE_MAX - 2;
	b->config.blk_size = DISK_SECTOR;
	memcpy(b->serial, serial, strnlen(serial, sizeof(b->serial)));
	for (i = 0; i < BLK_QUEUE_MAX; i++) {
		b->req[i].b = b;
		b->req[i].next = b->free;
		b->free = &b->req[i];
	}
	return b;
}

void
virtio_blk_destroy(struct virtio_blk *b)
{
	if (b == NULL)
		return;
	assert(b->in_flight == 0);
	free(b->name);
	free(b);
}

static uint64_t
blk_features(const void *dev)
{
	const struct virtio_blk *b = dev;

	return BLK_F_SEG_MAX | BLK_F_BLK_SIZE | BLK_F_FLUSH |
	    (b->readonly ? BLK_F_RO : 0);
}

static uint32_t
blk_config_read(const void *dev, uint32_t off, unsigned size)
{
	const struct virtio_blk *b = dev;
	uint32_t val = 0;

	memcpy(&val, (const uint8_t *)&b->config + off, size);
	return val;
}

static void
blk_start(void *dev, struct virtio *v)
{
	struct virtio_blk *b = dev;

	b->v = v;
	b->stopping = false;
	b->starved = false;
}

/*
 * Takes the header off the front of the readable part.  It may be spread
 * over elements in any way (2.7.4.2); none is left empty.
 */
static void
blk_take_header(struct blk_req *r, struct iovec **iov, unsigned *niov)
{
	uint8_t *dst = (uint8_t *)&r->head;
	size_t left = sizeof(r->head);
	size_t n;

	while (left != 0) {
		struct iovec *e = *iov;

		n = e->iov_len < left ? e->iov_len : left;
		memcpy(dst, e->iov_base, n);
		dst += n;
		left -= n;
		e->iov_base = (uint8_t *)e->iov_base + n;
		e->iov_len -= n;
		if (e->iov_len == 0) {
			(*iov)++;
			(*niov)--;
		}
	}
}

/* Takes the status byte off the end of the writable part. */
static void
blk_take_status(struct blk_req *r)
{
	struct vq_chain *c = &r->chain;
	struct iovec *last = &c->iov[c->nread + c->nwrite - 1];

	last->iov_len--;
	r->status = (uint8_t *)last->iov_base + last->iov_len;
	c->write_len--;
	if (last->iov_len == 0)
		c->nwrite--;
}

/* Finds header, data and status in a chain; false if they are not there. */
static bool
blk_parse(struct blk_req *r)
{
	struct vq_chain *c = &r->chain;
	struct iovec *out = c->iov;
	unsigned nout = c->nread;

	if (c->read_len < sizeof(r->head) || c->write_len == 0)
		return false;
	blk_take_header(r, &out, &nout);
	blk_take_status(r);
	memset(&r->disk, 0, sizeof(r->disk));
	if (r->head.type == BLK_T_OUT) {
		r->disk.op = DISK_WRITE;
		r->disk.iov = out;
		r->disk.niov = nout;
		r->disk.len = c->read_len - sizeof(r->head);
	} else {
		r->disk.op = DISK_READ;
		r->disk.iov = &c->iov[c->nread];
		r->disk.niov = c->nwrite;
		r->disk.len = c->write_len;
	}
	return true;
}

static void
blk_free(struct virtio_blk *b, struct blk_req *r)
{
	r->next = b->free;
	b->free = r;
}

/* Answers the driver; `written` bytes of data precede the status. */
static void
blk_answer(struct virtio_blk *b, struct blk_req *r, uint8_t status,
    size_t written)
{
	*r->status = status;
	virtio_push(b->v, 0, r->chain.head, (uint32_t)written + 1);
	blk_free(b, r);
}

static void
blk_log_error(struct virtio_blk *b, const struct blk_req *r, int error)
{
	static const char *const verb[] = {
		[DISK_READ] = "read",
		[DISK_WRITE] = "write",
		[DISK_FLUSH] = "flush",
	};
	uint64_t now = loop_now_ns();

	if (now < b->log_after)
		return;
	b->log_after = now + BLK_LOG_INTERVAL;
	log_warn("%s: %s at sector %" PRIu64 ": %s", b->name,
	    verb[r->disk.op], r->head.sector, strerror(-error));
}

/*
 * A driver that does not flush takes a completed write for a stable one
 * (5.2.6.2).
 */
static bool
blk_needs_flush(const struct virtio_blk *b, const struct blk_req *r)
{
	return r->disk.op == DISK_WRITE &&
	    (virtio_features(b->v) & BLK_F_FLUSH) == 0;
}

static void
blk_disk_done(struct disk_req *req, int res)
{
	struct blk_req *r = (struct blk_req *)((char *)req -
	    offsetof(struct blk_req, disk));
	struct virtio_blk *b = r->b;

	if (res == 0 && blk_needs_flush(b, r)) {
		r->disk.op = DISK_FLUSH;
		disk_submit(b->disk, &r->disk);
		return;
	}
	b->in_flight--;
	b->bytes -= r->disk.len;
	if (res != 0)
		blk_log_error(b, r, res);
	blk_answer(b, r, res == 0 ? BLK_S_OK : BLK_S_IOERR,
	    res == 0 && r->disk.op == DISK_READ ? r->disk.len : 0);
	if (b->stopping && b->in_flight == 0) {
		virtio_stopped(b->v);
	} else if (b->starved) {
		b->starved = false;
		virtio_notify(b->v, 0);
	}
}

static void
blk_submit(struct virtio_blk *b, struct blk_req *r)
{
	b->in_flight++;
	b->bytes += r->disk.len;
	r->disk.done = blk_disk_done;
	disk_submit(b->disk, &r->disk);
}

/* Reads and writes lie within the disk, in whole sectors. */
static bool
blk_in_range(const struct virtio_blk *b, const struct blk_req *r)
{
	uint64_t n = r->disk.len / DISK_SECTOR;

	return n != 0 && r->disk.len % DISK_SECTOR == 0 &&
	    r->head.sector <= b->config.capacity &&
	    n <= b->config.capacity - r->head.sector;
}

static void
blk_transfer(struct virtio_blk *b, struct blk_req *r)
{
	if (!blk_in_range(b, r) ||
	    (r->disk.op == DISK_WRITE && b->readonly)) {
		blk_answer(b, r, BLK_S_IOERR, 0);
		return;
	}
	r->disk.offset = r->head.sector * DISK_SECTOR;
	blk_submit(b, r);
}

/* The serial number, zero-padded and unterminated (5.2.6). */
static void
blk_get_id(struct virtio_blk *b, struct blk_req *r)
{
	const struct iovec *e = r->disk.iov;
	size_t done, n;

	for (done = 0; done < r->disk.len && done < sizeof(b->serial);
	    done += n, e++) {
		n = sizeof(b->serial) - done;
		if (n > e->iov_len)
			n = e->iov_len;
		memcpy(e->iov_base, b->serial + done, n);
	}
	blk_answer(b, r, BLK_S_OK, done);
}

static void
blk_handle(struct virtio_blk *b, struct blk_req *r)
{
	if (!blk_parse(r)) {
		blk_free(b, r);
		virtio_fail(b->v, "a request has no header or no status");
		return;
	}
	switch (r->head.type) {
	case BLK_T_IN:
	case BLK_T_OUT:
		blk_transfer(b, r);
		break;
	case BLK_T_FLUSH:
		r->disk.op = DISK_FLUSH;
		r->disk.len = 0;
		blk_submit(b, r);
		break;
	case BLK_T_GET_ID:
		blk_get_id(b, r);
		break;
	default:
		blk_answer(b, r, BLK_S_UNSUPP, 0);
		break;
	}
}

static void
blk_notify(void *dev, unsigned queue)
{
	struct virtio_blk *b = dev;
	unsigned descs = 0;
	struct blk_req *r;

	while (descs < BLK_TURN_DESCS) {
		r = b->free;
		if (r == NULL || b->bytes >= BLK_FLIGHT_BYTES) {
			/* The next completion comes back here. */
			b->starved = true;
			return;
		}
		if (!virtio_pop(b->v, queue, &r->chain))
			return;
		b->free = r->next;
		descs += r->chain.nread + r->chain.nwrite;
		blk_handle(b, r);
	}
	virtio_notify(b->v, queue);
}

static void
blk_stop(void *dev)
{
	struct virtio_blk *b = dev;

	b->stopping = true;
	if (b->in_flight == 0)
		virtio_stopped(b->v);
}

/* A guest goes on only with the disk it knows. */
struct blk_state {
	struct blk_config	config;
	uint32_t		readonly;
	uint32_t		pad;
};
_Static_assert(sizeof(struct blk_state) == 32, "no hidden padding");

static int
blk_save(const void *dev, struct state_writer *w)
{
	const struct virtio_blk *b = dev;
	struct blk_state s = { .config = b->config, .readonly = b->readonly };

	return state_put(w, "virtio-blk", 1, &s, sizeof(s));
}

static int
blk_load(void *dev, struct state_reader *r)
{
	const struct virtio_blk *b = dev;
	struct blk_state s;
	int error;

	error = state_get(r, "virtio-blk", 1, &s, sizeof(s));
	if (error != 0)
		return error;
	if (memcmp(&s.config, &b->config, sizeof(s.config)) != 0 ||
	    s.readonly != b->readonly)
		return -EINVAL;
	return 0;
}

const struct virtio_dev_ops virtio_blk_ops = {
	.name = "virtio-blk",
	.id = BLK_DEVICE_ID,
	.pci_class = BLK_PCI_CLASS,
	.nqueues = 1,
	.queue_max = BLK_QUEUE_MAX,
	.config_len = sizeof(struct blk_config),
	.features = blk_features,
	.config_read = blk_config_read,
	.start = blk_start,
	.notify = blk_notify,
	.stop = blk_stop,
	.save = blk_save,
	.load = blk_load,
};
