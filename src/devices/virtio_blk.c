/* SPDX-License-Identifier: ISC */
/*
 * virtio block device: see virtio_blk.h.
 *
 * Requests are made once, one for each entry of the queue, and go round
 * between a free list and the disk.  All on the loop thread, except the
 * configuration space, of which only the cache mode changes.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "devices/state.h"
#include "devices/virtio_blk_local.h"

#define BLK_DEVICE_ID		2
#define BLK_PCI_CLASS		0x018000	/* mass storage, other */
#define BLK_STATE_VERSION	3

/* Feature bits (5.2.3). */
#define BLK_F_SEG_MAX		(1ULL << 2)
#define BLK_F_RO		(1ULL << 5)
#define BLK_F_BLK_SIZE		(1ULL << 6)
#define BLK_F_FLUSH		(1ULL << 9)
#define BLK_F_TOPOLOGY		(1ULL << 10)
#define BLK_F_CONFIG_WCE	(1ULL << 11)
#define BLK_F_MQ		(1ULL << 12)
#define BLK_F_DISCARD		(1ULL << 13)
#define BLK_F_WRITE_ZEROES	(1ULL << 14)

/* Request types and results (5.2.6). */
#define BLK_T_IN		0
#define BLK_T_OUT		1
#define BLK_T_FLUSH		4
#define BLK_T_GET_ID		8
#define BLK_T_DISCARD		11
#define BLK_T_WRITE_ZEROES	13

#define BLK_S_OK		0
#define BLK_S_IOERR		1
#define BLK_S_UNSUPP		2

/*
 * A turn's share of one disk, in descriptors, of which each queue has its own
 * part, and the bytes it may have in flight: a request beyond that goes alone,
 * and what it took of a queue's later parts is owed.  What the host has cached
 * is copied while the loop waits, so both bound how long the others wait.
 */
#define BLK_TURN_DESCS		512
#define BLK_FLIGHT_BYTES	(4u << 20)

/*
 * The longest ranges, in sectors.  To discard costs the host little; zeroes it
 * may have to write, all before the guest's next request to stop.
 */
#define BLK_DISCARD_MAX		(1u << 22)
#define BLK_ZERO_MAX		(1u << 15)

/* The longest write, in bytes, that is looked at for zeroes: the loop waits. */
#define BLK_DETECT_MAX		(2u << 20)

#define BLK_LOG_INTERVAL	10000000000ull	/* ns */

/* What discard and write zeroes apply to. */
struct blk_range {
	uint64_t	sector;
	uint32_t	num_sectors;
	uint32_t	flags;
};
#define BLK_RANGE_UNMAP		0x1
_Static_assert(sizeof(struct blk_range) == 16, "blk_range");

static const struct virtio_dev_ops blk_ops;

static void
blk_fill_config(struct blk_config *c, const struct disk_info *i,
    unsigned nqueues)
{
	uint32_t size;

	c->capacity = i->size / DISK_SECTOR;
	/* A chain has two more elements: the header and the status. */
	c->seg_max = BLK_QUEUE_MAX - 2;
	c->blk_size = i->block_size;
	c->num_queues = (uint16_t)nqueues;
	c->writeback = !i->writethrough;
	for (size = i->block_size; size < i->physical_size; size *= 2)
		c->physical_block_exp++;
	if (i->readonly)
		return;
	/* One range a request: the host takes them one by one, too. */
	c->max_discard_sectors = BLK_DISCARD_MAX;
	c->max_discard_seg = 1;
	c->discard_sector_alignment = i->physical_size / DISK_SECTOR;
	c->max_write_zeroes_sectors = BLK_ZERO_MAX;
	c->max_write_zeroes_seg = 1;
	c->write_zeroes_may_unmap = 1;
}

struct virtio_blk *
virtio_blk_create(const struct virtio_blk_conf *c)
{
	struct virtio_blk *b;

	assert(c->nqueues >= 1 && c->nqueues <= VIRTIO_BLK_QUEUES_MAX);

	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return NULL;
	b->ops = blk_ops;
	b->ops.nqueues = (uint16_t)c->nqueues;
	b->c = *c;
	b->readonly = disk_info(c->disk)->readonly;
	blk_fill_config(&b->config, disk_info(c->disk), c->nqueues);
	atomic_init(&b->writeback, b->config.writeback);
	memcpy(b->serial, c->serial, strnlen(c->serial, sizeof(b->serial)));
	blk_wait_init(b);
	return b;
}

void
virtio_blk_destroy(struct virtio_blk *b)
{
	if (b == NULL)
		return;
	assert(b->in_flight == 0 && b->waiting == NULL);
	free(b);
}

const struct virtio_dev_ops *
virtio_blk_ops(const struct virtio_blk *b)
{
	return &b->ops;
}

static uint64_t
blk_features(const void *dev)
{
	const struct virtio_blk *b = dev;

	return BLK_F_SEG_MAX | BLK_F_BLK_SIZE | BLK_F_FLUSH | BLK_F_TOPOLOGY |
	    BLK_F_CONFIG_WCE | (b->ops.nqueues > 1 ? BLK_F_MQ : 0) |
	    (b->readonly ? BLK_F_RO : BLK_F_DISCARD | BLK_F_WRITE_ZEROES);
}

static uint32_t
blk_config_read(const void *dev, uint32_t off, unsigned size)
{
	const struct virtio_blk *b = dev;
	struct blk_config c = b->config;
	uint32_t val = 0;

	c.writeback = atomic_load(&b->writeback);
	memcpy(&val, (const uint8_t *)&c + off, size);
	return val;
}

/* A guest may do without the cache, but not have one against the host's will. */
static void
blk_config_write(void *dev, uint32_t off, unsigned size, uint32_t val)
{
	struct virtio_blk *b = dev;

	if (off != offsetof(struct blk_config, writeback) || size != 1)
		return;
	atomic_store(&b->writeback, b->config.writeback & val & 1);
}

static void
blk_start(void *dev, struct virtio *v)
{
	struct virtio_blk *b = dev;

	b->v = v;
	b->stopping = false;
	b->starved = 0;
	b->halted = false;
	b->first = 0;
	memset(b->owed, 0, sizeof(b->owed));
	/* Without flushes there is no cache that could be on (5.2.5.2). */
	if ((virtio_features(v) & BLK_F_FLUSH) == 0)
		atomic_store(&b->writeback, 0);
}

static void
blk_reset(void *dev)
{
	struct virtio_blk *b = dev;

	atomic_store(&b->writeback, b->config.writeback);
}

/*
 * Takes `left` bytes, which are there, off the front of the readable part.
 * They may be spread over elements in any way (2.7.4.2); none is left empty.
 */
static void
blk_take(void *to, size_t left, struct iovec **iov, unsigned *niov)
{
	uint8_t *dst = to;
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

/* Is the data of such a request for the device to read? */
static bool
blk_is_out(uint32_t type)
{
	return type == BLK_T_OUT || type == BLK_T_DISCARD ||
	    type == BLK_T_WRITE_ZEROES;
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
	blk_take(&r->head, sizeof(r->head), &out, &nout);
	blk_take_status(r);
	memset(&r->disk, 0, sizeof(r->disk));
	if (blk_is_out(r->head.type)) {
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
	virtio_push(b->v, r->queue, r->chain.head, (uint32_t)written + 1);
	blk_free(b, r);
}

const char *
virtio_blk_verb(enum disk_op op)
{
	static const char *const verb[] = {
		[DISK_READ] = "read",
		[DISK_WRITE] = "write",
		[DISK_FLUSH] = "flush",
		[DISK_DISCARD] = "discard",
		[DISK_ZERO] = "write of zeroes",
	};

	return verb[op];
}

static void
blk_log_error(struct virtio_blk *b, const struct blk_req *r, int error)
{
	uint64_t now = loop_now_ns();

	if (now < b->log_after)
		return;
	b->log_after = now + BLK_LOG_INTERVAL;
	log_warn("%s: %s at sector %" PRIu64 ": %s", b->c.name,
	    virtio_blk_verb(r->disk.op), r->head.sector, strerror(-error));
}

/*
 * A driver that does not flush, or has switched the cache off, takes a
 * completed write for a stable one (5.2.6.2).  What it does not know of is the
 * host's will: that a write is stable in any case.
 */
static bool
blk_needs_flush(const struct blk_req *r)
{
	return r->stable &&
	    (r->disk.op == DISK_WRITE || r->disk.op == DISK_ZERO);
}

/*
 * Lets the queues that met a limit go on.  The first of them may take all there
 * is: another one is the first the next time.
 */
void
blk_feed(struct virtio_blk *b)
{
	unsigned n = b->ops.nqueues, first = b->first, i, queue;
	uint64_t starved = b->starved;

	b->starved = 0;
	for (i = 0; i < n; i++) {
		queue = (first + i) % n;
		if ((starved >> queue & 1) == 0)
			continue;
		if (b->first == first)
			b->first = (queue + 1) % n;
		virtio_notify(b->v, queue);
	}
}

static void
blk_finish(struct virtio_blk *b, struct blk_req *r, int res)
{
	if (res != 0)
		blk_log_error(b, r, res);
	blk_answer(b, r, res == 0 ? BLK_S_OK : BLK_S_IOERR,
	    res == 0 && r->disk.op == DISK_READ ? r->disk.len : 0);
}

static void
blk_disk_done(struct disk_req *req, int res)
{
	struct blk_req *r = (struct blk_req *)((char *)req -
	    offsetof(struct blk_req, disk));
	struct virtio_blk *b = r->b;

	if (res == 0 && blk_needs_flush(r)) {
		r->disk.op = DISK_FLUSH;
		disk_submit(b->c.disk, &r->disk);
		return;
	}
	b->in_flight--;
	b->bytes -= r->bytes;
	if (res == 0 || !blk_keep(b, r, res))
		blk_finish(b, r, res);
	if (b->stopping && b->in_flight == 0) {
		virtio_stopped(b->v);
	} else if (b->starved != 0 && !blk_waits(b)) {
		blk_feed(b);
	}
}

void
blk_issue(struct virtio_blk *b, struct blk_req *r)
{
	b->in_flight++;
	b->bytes += r->bytes;
	disk_submit(b->c.disk, &r->disk);
}

/* A request is as the disk wants it, and moves so many bytes. */
static void
blk_begin(struct virtio_blk *b, struct blk_req *r, size_t bytes)
{
	r->bytes = bytes;
	r->stable = atomic_load(&b->writeback) == 0 ||
	    (virtio_features(b->v) & BLK_F_FLUSH) == 0;
	r->disk.done = blk_disk_done;
	blk_submit(b, r);
}

/* Are these sectors, at least one, on the disk? */
static bool
blk_in_range(const struct virtio_blk *b, uint64_t sector, uint64_t n)
{
	return n != 0 && sector <= b->config.capacity &&
	    n <= b->config.capacity - sector;
}

static bool
blk_is_zero(const struct iovec *e)
{
	const uint8_t *p = e->iov_base;
	size_t n = e->iov_len < 16 ? e->iov_len : 16, i;

	for (i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	/* What equals itself a little farther on, repeats its begin. */
	return memcmp(p, p + n, e->iov_len - n) == 0;
}

/* Makes a write of zeroes one, where it covers blocks of the host's. */
static void
blk_detect_zeroes(const struct virtio_blk *b, struct blk_req *r)
{
	const uint64_t block = disk_info(b->c.disk)->physical_size;
	unsigned i;

	if (b->policy.zeroes == BLK_ZEROES_OFF || r->disk.op != DISK_WRITE ||
	    r->disk.len > BLK_DETECT_MAX || r->disk.len % block != 0 ||
	    r->disk.offset % block != 0)
		return;
	for (i = 0; i < r->disk.niov; i++)
		if (!blk_is_zero(&r->disk.iov[i]))
			return;
	r->disk.op = DISK_ZERO;
	r->disk.unmap = b->policy.zeroes == BLK_ZEROES_UNMAP;
}

static void
blk_transfer(struct virtio_blk *b, struct blk_req *r)
{
	if (r->disk.len % DISK_SECTOR != 0 ||
	    !blk_in_range(b, r->head.sector, r->disk.len / DISK_SECTOR) ||
	    (r->disk.op == DISK_WRITE && b->readonly)) {
		blk_answer(b, r, BLK_S_IOERR, 0);
		return;
	}
	r->disk.offset = r->head.sector * DISK_SECTOR;
	blk_detect_zeroes(b, r);
	blk_begin(b, r, r->disk.len);
}

/* The result of a discard or write of zeroes that is not to be done. */
static uint8_t
blk_check_range(const struct virtio_blk *b, const struct blk_req *r,
    const struct blk_range *range)
{
	bool zero = r->head.type == BLK_T_WRITE_ZEROES;
	uint32_t max = zero ? BLK_ZERO_MAX : BLK_DISCARD_MAX;

	if ((range->flags & ~(zero ? BLK_RANGE_UNMAP : 0u)) != 0)
		return BLK_S_UNSUPP;
	if (range->num_sectors > max ||
	    !blk_in_range(b, range->sector, range->num_sectors))
		return BLK_S_IOERR;
	return BLK_S_OK;
}

static void
blk_range(struct virtio_blk *b, struct blk_req *r)
{
	struct blk_range range;
	uint8_t status = BLK_S_IOERR;

	if (!b->readonly && r->disk.len == sizeof(range)) {
		blk_take(&range, sizeof(range), &r->disk.iov, &r->disk.niov);
		status = blk_check_range(b, r, &range);
	}
	if (status != BLK_S_OK) {
		blk_answer(b, r, status, 0);
		return;
	}
	r->disk.op = r->head.type == BLK_T_DISCARD ? DISK_DISCARD : DISK_ZERO;
	r->disk.unmap = (range.flags & BLK_RANGE_UNMAP) != 0;
	r->disk.offset = range.sector * DISK_SECTOR;
	r->disk.len = (size_t)range.num_sectors * DISK_SECTOR;
	r->head.sector = range.sector;
	blk_begin(b, r, 0);
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
		blk_begin(b, r, 0);
		break;
	case BLK_T_DISCARD:
	case BLK_T_WRITE_ZEROES:
		blk_range(b, r);
		break;
	case BLK_T_GET_ID:
		blk_get_id(b, r);
		break;
	default:
		blk_answer(b, r, BLK_S_UNSUPP, 0);
		break;
	}
}

/*
 * The first free request, or NULL.  Each has more than a page: those that a
 * guest never needs are left untouched, and so take no memory.
 */
static struct blk_req *
blk_first_free(struct virtio_blk *b)
{
	struct blk_req *r;

	if (b->free == NULL && b->nused < BLK_QUEUE_MAX) {
		r = &b->req[b->nused++];
		r->b = b;
		blk_free(b, r);
	}
	return b->free;
}

/* Begins the disk's share anew with each turn. */
static void
blk_look_at_turn(struct virtio_blk *b)
{
	unsigned turn = virtio_turn(b->v);

	if (turn == b->turn)
		return;
	b->turn = turn;
	b->descs = 0;
}

static void
blk_notify(void *dev, unsigned queue)
{
	struct virtio_blk *b = dev;
	unsigned share = BLK_TURN_DESCS / b->ops.nqueues;
	unsigned descs = b->owed[queue], n;
	struct blk_req *r;

	blk_look_at_turn(b);
	b->owed[queue] = 0;
	while (descs < share && b->descs < BLK_TURN_DESCS) {
		r = blk_first_free(b);
		if (r == NULL || b->bytes >= BLK_FLIGHT_BYTES || blk_waits(b)) {
			/* The next completion, or retry, comes back here. */
			b->starved |= UINT64_C(1) << queue;
			return;
		}
		if (!virtio_pop(b->v, queue, &r->chain))
			return;
		b->free = r->next;
		r->queue = queue;
		n = r->chain.nread + r->chain.nwrite;
		descs += n;
		b->descs += n;
		blk_handle(b, r);
	}
	if (descs > share)
		b->owed[queue] = descs - share;
	virtio_notify(b->v, queue);
}

static void
blk_stop(void *dev)
{
	struct virtio_blk *b = dev;

	b->stopping = true;
	blk_wait_stop(b);
	if (b->in_flight == 0)
		virtio_stopped(b->v);
}

/* A guest goes on only with the disk it knows. */
struct blk_state {
	struct blk_config	config;
	uint32_t		readonly;
	uint32_t		writeback;	/* as the guest set it */
};
_Static_assert(sizeof(struct blk_state) == 72, "no hidden padding");

static int
blk_save(const void *dev, struct state_writer *w)
{
	const struct virtio_blk *b = dev;
	struct blk_state s = {
		.config = b->config,
		.readonly = b->readonly,
		.writeback = atomic_load(&b->writeback),
	};

	return state_put(w, "virtio-blk", BLK_STATE_VERSION, &s, sizeof(s));
}

static int
blk_load(void *dev, uint64_t features, struct state_reader *r)
{
	struct virtio_blk *b = dev;
	struct blk_state s;
	int error;

	(void)features;
	error = state_get(r, "virtio-blk", BLK_STATE_VERSION, &s, sizeof(s));
	if (error != 0)
		return error;
	if (memcmp(&s.config, &b->config, sizeof(s.config)) != 0 ||
	    s.readonly != b->readonly || s.writeback > b->config.writeback)
		return -EINVAL;
	atomic_store(&b->writeback, (uint8_t)s.writeback);
	return 0;
}

static const struct virtio_dev_ops blk_ops = {
	.name = "virtio-blk",
	.id = BLK_DEVICE_ID,
	.pci_class = BLK_PCI_CLASS,
	.nqueues = 1,
	.queue_max = BLK_QUEUE_MAX,
	.config_len = BLK_CONFIG_LEN,
	.features = blk_features,
	.config_read = blk_config_read,
	.config_write = blk_config_write,
	.start = blk_start,
	.notify = blk_notify,
	.stop = blk_stop,
	.reset = blk_reset,
	.save = blk_save,
	.load = blk_load,
};
