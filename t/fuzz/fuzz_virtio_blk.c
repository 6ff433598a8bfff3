/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: virtio-blk as the guest sees it, over PCI, with a disk whose
 * requests complete when the input says so.
 *
 * The input is a list of steps; the low three bits of a step's first byte say
 * what it does: 0 writes a register or the table of MSI-X, 1 reads one, 2 starts the device as a
 * driver would, 3 writes a descriptor, 4 a request's header, 5 offers a chain,
 * 6 completes a request, which may be kept if it fails, or tries those that are
 * kept again and has limits or none, 7 saves and loads.  What reaches the disk lies within
 * it and within memory; all of it comes back to the guest.
 *
 * Machines are large and made once.  A reset must leave one as it was made,
 * and does so between any two inputs.
 */
#include "fuzz.h"

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "devices/disk.h"
#include "devices/gmem.h"
#include "devices/pci.h"
#include "devices/state.h"
#include "devices/virtio_blk.h"
#include "devices/virtio_pci.h"

#define MEM_SIZE	0x8000u
#define DESC_GPA	0x0000u
#define AVAIL_GPA	0x2000u
#define USED_GPA	0x3000u
#define DATA_GPA	0x4000u

#define SLOT		1
#define BAR		0x1000u		/* where the bus puts it */
#define SECTORS		64
#define VECTORS		3		/* of a device with two queues */
#define HELD_MAX	256

struct disk {
	struct disk_info	 info;
	const struct gmem	*gm;
	struct disk_req		*held[HELD_MAX];
	unsigned		 n;
};

struct rig;

/* One device on a bus of its own. */
struct machine {
	struct rig		*rig;
	struct dev_host		 host;
	bool			 no_bells;	/* the backend refuses them */
	bool			 bound[VECTORS];
	int			 bell;		/* of the doorbell, or -1 */
	uint16_t		 bell_port;
	struct bus		*bus;
	struct pci		*pci;
	struct virtio_blk	*blk;
	struct virtio_pci	*vp;
};

struct rig {
	struct fuzz_input	 in;
	struct loop		*loop;
	struct gmem		 gm;
	struct disk		 disk;
	struct machine		 machine[2];
	struct machine		*m;		/* the guest's */
	struct machine		*spare;		/* reset: a load goes here */
	struct buf		 pristine;	/* its state when it was made */
	bool			 keeps;		/* what fails next */
	uint16_t		 idx;		/* chains offered */
	unsigned		 queue;		/* in this one */
};

const struct disk_info *
disk_info(const struct disk *d)
{
	return &d->info;
}

static void
check_vector(const struct disk *d, const struct disk_req *req)
{
	const char *mem = d->gm->range[0].hva, *p;
	size_t sum = 0;
	unsigned i;

	FUZZ_CHECK(req->niov != 0 && req->niov <= DISK_IOV_MAX);
	for (i = 0; i < req->niov; i++) {
		p = req->iov[i].iov_base;
		FUZZ_CHECK(p >= mem && req->iov[i].iov_len <=
		    MEM_SIZE - (size_t)(p - mem));
		sum += req->iov[i].iov_len;
	}
	FUZZ_CHECK(sum == req->len);
}

void
disk_submit(struct disk *d, struct disk_req *req)
{
	FUZZ_CHECK(d->n < HELD_MAX);
	FUZZ_CHECK(req->offset <= d->info.size &&
	    req->len <= d->info.size - req->offset);
	FUZZ_CHECK(req->offset % DISK_SECTOR == 0);
	FUZZ_CHECK(!d->info.readonly || req->op == DISK_READ ||
	    req->op == DISK_FLUSH);
	if (req->op == DISK_READ || req->op == DISK_WRITE)
		check_vector(d, req);
	req->disk = d;
	d->held[d->n++] = req;
}

/* Moves the data of a request and answers it. */
static void
disk_complete(struct disk *d, unsigned i, int res)
{
	struct disk_req *req = d->held[i];
	bool wrote = res == 0 &&
	    (req->op == DISK_WRITE || req->op == DISK_ZERO);
	unsigned k;

	d->held[i] = d->held[--d->n];
	if (req->op == DISK_READ)
		for (k = 0; k < req->niov; k++)
			memset(req->iov[k].iov_base, 0x5a,
			    req->iov[k].iov_len);
	req->done(req, res);
	/* No answer before it is stable. */
	FUZZ_CHECK(!wrote || !d->info.writethrough || req->op == DISK_FLUSH);
}

static void
turn(struct rig *r)
{
	ev_run(loop_ev(r->loop), EVRUN_NOWAIT);
}

static void
complete_all(struct rig *r)
{
	while (r->disk.n != 0)
		disk_complete(&r->disk, 0, 0);
	turn(r);
}

static uint64_t
host_now(void *cookie)
{
	(void)cookie;
	return 0;
}

static void
host_set_irq(void *cookie, unsigned irq, bool level)
{
	(void)cookie;
	(void)level;
	FUZZ_CHECK(irq < 16);
}

static void
host_attention(void *cookie)
{
	struct machine *m = cookie;

	pci_fold_intx(m->pci);
}

static void
host_answered(struct dev_call *c)
{
	*(bool *)c->cookie = true;
}

static void
host_call(void *cookie, struct dev_call *c)
{
	struct machine *m = cookie;
	bool answered = false;

	c->done = host_answered;
	c->cookie = &answered;
	c->task.fn(c->task.arg);
	if (!answered)
		complete_all(m->rig);
	FUZZ_CHECK(answered);
}

static int
host_doorbell(void *cookie, uint16_t port, uint8_t size, int fd, bool on)
{
	struct machine *m = cookie;

	FUZZ_CHECK(size == 2 && fd >= 0);
	if (m->no_bells) {
		FUZZ_CHECK(on);
		return -ENOSPC;
	}
	FUZZ_CHECK(on ? m->bell == -1 : m->bell == fd && m->bell_port == port);
	m->bell = on ? fd : -1;
	m->bell_port = port;
	return 0;
}

/* By the register among the ports of PCI; the rig goes on. */
static void
host_reset(void *cookie)
{
	(void)cookie;
}

static int
host_msi_event(void *cookie, unsigned slot, int fd, uint64_t addr,
    uint32_t data, bool on)
{
	struct machine *m = cookie;

	(void)data;
	FUZZ_CHECK(slot < VECTORS && fd >= 0 && m->bound[slot] != on);
	if (on && addr >> 20 != 0xfee)
		return -EINVAL;
	m->bound[slot] = on;
	return 0;
}

static int
host_msi_slots(void *cookie, unsigned n)
{
	const struct machine *m = cookie;

	FUZZ_CHECK(n == (m->no_bells ? VECTORS : VECTORS - 1));
	return 0;
}

/* So slow that its time does not come. */
static const struct virtio_blk_policy pausing = {
	.on_error = BLK_ERROR_PAUSE, .zeroes = BLK_ZEROES_UNMAP,
}, slow = {
	.on_error = BLK_ERROR_PAUSE, .bytes = 1, .requests = 1, .burst = 1,
};

static bool
failed(void *cookie, const struct virtio_blk_error *e)
{
	const struct machine *m = cookie;

	FUZZ_CHECK(e->error != 0);
	return m->rig->keeps;
}

static void
machine_make(struct rig *r, struct machine *m)
{
	m->rig = r;
	/* Two that have nothing to do with each other, at one go. */
	m->no_bells = r->disk.info.readonly;
	m->bell = -1;
	m->host = (struct dev_host){
		.cookie = m,
		.loop = r->loop,
		.now = host_now,
		.set_irq = host_set_irq,
		.attention = host_attention,
		.call = host_call,
		.doorbell = host_doorbell,
		.reset = host_reset,
	};
	if (r->disk.info.block_size != DISK_SECTOR) {
		m->host.msi_event = host_msi_event;
		m->host.msi_slots = host_msi_slots;
	}
	m->bus = bus_create();
	m->pci = pci_create(&m->host, m->bus);
	m->blk = virtio_blk_create(&(struct virtio_blk_conf){
	    .disk = &r->disk, .serial = "serial", .name = "disk",
	    .nqueues = m->no_bells ? 2 : 1, .loop = r->loop, .failed = failed, .cookie = m });
	virtio_blk_set_policy(m->blk, &pausing);
	m->vp = virtio_pci_create(&m->host, &r->gm, m->pci,
	    virtio_blk_ops(m->blk), m->blk, "disk");
	FUZZ_CHECK(m->vp != NULL);
}

/* What the guest writes goes to the doorbell, if it is there. */
static void
machine_out(struct machine *m, uint16_t port, unsigned size, uint32_t val)
{
	const uint64_t one = 1;

	if (m->bell == -1 || port != m->bell_port || size != 2)
		bus_out(m->bus, port, size, val);
	else
		FUZZ_CHECK(write(m->bell, &one, sizeof(one)) == sizeof(one));
}

static void
on_stopped(void *arg)
{
	*(bool *)arg = true;
}

static void
machine_stop(struct rig *r, struct machine *m)
{
	bool stopped = false;

	virtio_pci_stop(m->vp, on_stopped, &stopped);
	if (!stopped)
		complete_all(r);
	FUZZ_CHECK(stopped);
}

static void
machine_save(struct machine *m, struct buf *out)
{
	struct state_writer w = { out };

	buf_init(out, 1 << 16);
	FUZZ_CHECK(virtio_pci_ops.save(m->vp, &w) == 0);
}

/* What a reset leaves is what was made. */
static void
machine_reset(struct rig *r, struct machine *m)
{
	struct buf now;

	virtio_pci_ops.reset(m->vp);
	pci_ops.reset(m->pci);
	machine_save(m, &now);
	FUZZ_CHECK(now.len == r->pristine.len);
	FUZZ_CHECK(memcmp(buf_head(&now), buf_head(&r->pristine),
	    now.len) == 0);
	buf_free(&now);
}

static void
save_and_load(struct rig *r, bool hostile)
{
	unsigned n = hostile ? fuzz_u8(&r->in) % 8 : 0;
	struct machine *old = r->m;
	struct buf saved, again;
	struct state_reader reader;
	uint16_t at;

	machine_stop(r, r->m);
	machine_save(r->m, &saved);
	while (n-- > 0) {
		at = fuzz_u16(&r->in);
		buf_head(&saved)[at % saved.len] ^= (char)fuzz_u8(&r->in);
	}
	reader = (struct state_reader){
		(const uint8_t *)buf_head(&saved), saved.len
	};
	if (virtio_pci_ops.load(r->spare->vp, &reader) == 0) {
		FUZZ_CHECK(reader.left == 0);
		machine_save(r->spare, &again);
		FUZZ_CHECK(hostile || (saved.len == again.len &&
		    memcmp(buf_head(&saved), buf_head(&again),
		    saved.len) == 0));
		buf_free(&again);
		r->m = r->spare;
		r->spare = old;
	} else {
		FUZZ_CHECK(hostile);
	}
	machine_reset(r, r->spare);
	buf_free(&saved);
	virtio_pci_resume(r->m->vp);
}

static void
out(struct rig *r, uint32_t off, unsigned size, uint32_t val)
{
	machine_out(r->m, (uint16_t)(BAR + off), size, val);
}

static void
put64(struct rig *r, uint32_t off, uint64_t val)
{
	out(r, off, 4, (uint32_t)val);
	out(r, off + 4, 4, val >> 32);
}

static void
access_memory(struct rig *r, uint8_t op, uint32_t off, unsigned size)
{
	uint64_t val = 0;

	if ((op & 1) != 0) {
		bus_read(r->m->bus, PCI_MEM_BASE + off, &val, size);
	} else {
		val = fuzz_sized(&r->in, size);
		bus_write(r->m->bus, PCI_MEM_BASE + off, &val, size);
	}
}

/* Any register, of the device, of its MSI-X, or of PCI configuration. */
static void
access_register(struct rig *r, uint8_t op)
{
	static const uint8_t sizes[] = { 1, 2, 4, 1 };
	unsigned size = sizes[op >> 3 & 3];
	uint16_t port = fuzz_u16(&r->in);

	if ((op & 0x40) != 0) {
		access_memory(r, op, port & 0xfff, size);
		return;
	}
	port = (op & 0x20) != 0 ? 0xcf8 + (port & 7) : BAR + (port & 0x1ff);
	if ((op & 1) != 0)
		(void)bus_in(r->m->bus, port, size);
	else
		machine_out(r->m, port, size, fuzz_sized(&r->in, size));
}

/* Reset, features, one queue of 2^n entries, DRIVER_OK. */
static void
start(struct rig *r, uint8_t op)
{
	uint32_t features = fuzz_u32(&r->in);

	machine_out(r->m, 0xcf8, 4, 0x80000000u | SLOT << 11 | 0x10);
	machine_out(r->m, 0xcfc, 4, BAR);
	out(r, 0x14, 1, 0);
	out(r, 0x14, 1, 3);
	out(r, 0x00, 4, 0);
	features &= bus_in(r->m->bus, BAR + 0x04, 4);
	out(r, 0x08, 4, 0);
	out(r, 0x0c, 4, features);
	out(r, 0x08, 4, 1);
	out(r, 0x0c, 4, 1);
	out(r, 0x14, 1, 0x0b);
	r->queue = r->m->no_bells ? op >> 7 : 0;
	out(r, 0x16, 2, r->queue);
	out(r, 0x18, 2, 1u << (op >> 3 & 15));
	put64(r, 0x20, DESC_GPA);
	put64(r, 0x28, AVAIL_GPA);
	put64(r, 0x30, USED_GPA);
	out(r, 0x1c, 2, 1);
	memset(r->gm.range[0].hva, 0, DATA_GPA);
	r->idx = 0;
	out(r, 0x14, 1, 0x0f);
}

static void
put_descriptor(struct rig *r, uint8_t op)
{
	uint64_t table = (op & 8) == 0 ? DESC_GPA : DATA_GPA + 0x800;
	uint8_t i = fuzz_u8(&r->in), flags = fuzz_u8(&r->in);
	struct {
		uint64_t	addr;
		uint32_t	len;
		uint16_t	flags, next;
	} d = { .flags = flags & 7, .next = (uint16_t)(i + 1) };

	d.addr = fuzz_u16(&r->in);
	d.len = fuzz_u16(&r->in);
	if ((flags & 8) != 0)
		d.addr = DATA_GPA + (d.addr & 0x3fff);
	if ((flags & 16) != 0)
		d.next = fuzz_u8(&r->in);
	(void)gmem_write(&r->gm, table + 16u * i, &d, sizeof(d));
}

/* A header in one of sixteen places, or the range that follows one. */
static void
put_header(struct rig *r, uint8_t op)
{
	struct {
		uint32_t	type, reserved;
		uint64_t	sector;
	} h = { .type = fuzz_u8(&r->in) };

	h.sector = fuzz_u8(&r->in);
	if ((op & 8) != 0)
		h.sector = fuzz_u32(&r->in);
	if ((op & 16) != 0)
		h.reserved = fuzz_u32(&r->in);
	if ((op & 32) != 0)
		h.sector |= (uint64_t)fuzz_u8(&r->in) << 32;
	(void)gmem_write(&r->gm, DATA_GPA + 16u * (h.type >> 4), &h,
	    sizeof(h));
	h.type &= 15;
	(void)gmem_write(&r->gm, DATA_GPA + 0x100, &h, sizeof(h));
}

static void
offer(struct rig *r, uint8_t op)
{
	uint16_t head = fuzz_u8(&r->in);
	unsigned n = op >> 6;

	do {
		(void)gmem_write(&r->gm, AVAIL_GPA + 4 + 2u * (r->idx & 255),
		    &head, sizeof(head));
		r->idx++;
	} while (n-- > 0);
	(void)gmem_write(&r->gm, AVAIL_GPA + 2, &r->idx, sizeof(r->idx));
	if ((op & 8) == 0)
		out(r, 0x100 + 2 * r->queue, 2, 0);
	if ((op & 16) == 0)
		turn(r);
}

static void
complete(struct rig *r, uint8_t op)
{
	static const int results[] = { 0, 0, -5, -28 };

	r->keeps = (op & 0x20) != 0;
	if ((op & 0x40) != 0) {
		virtio_blk_set_policy(r->m->blk,
		    (op & 0x80) != 0 ? &slow : &pausing);
		virtio_blk_retry(r->m->blk);
	} else if (r->disk.n != 0)
		disk_complete(&r->disk, fuzz_u8(&r->in) % r->disk.n,
		    results[op >> 3 & 3]);
	turn(r);
}

static void
step(struct rig *r)
{
	uint8_t op = fuzz_u8(&r->in);

	switch (op & 7) {
	case 0:
	case 1:
		access_register(r, op);
		break;
	case 2:
		start(r, op);
		break;
	case 3:
		put_descriptor(r, op);
		break;
	case 4:
		put_header(r, op);
		break;
	case 5:
		offer(r, op);
		break;
	case 6:
		complete(r, op);
		break;
	case 7:
		save_and_load(r, (op & 8) != 0);
		break;
	}
}

/*
 * By bit 0 the disk is read-only, by bit 1 its blocks are of 4 KiB, and the
 * device has MSI-X; by bit 2 each write is flushed.
 */
static void
rig_make(struct rig *r, unsigned kind)
{
	r->disk.info = (struct disk_info){
		.size = SECTORS * DISK_SECTOR,
		.block_size = (kind & 2) != 0 ? 4096 : DISK_SECTOR,
		.physical_size = 4096,
		.readonly = (kind & 1) != 0,
		.writethrough = (kind & 4) != 0,
	};
	r->loop = loop_create();
	r->gm.nranges = 1;
	r->gm.range[0].size = MEM_SIZE;
	r->gm.range[0].hva = aligned_alloc(4096, MEM_SIZE);
	r->disk.gm = &r->gm;
	r->m = &r->machine[0];
	r->spare = &r->machine[1];
	machine_make(r, r->m);
	machine_make(r, r->spare);
	machine_save(r->m, &r->pristine);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rig rigs[8];
	struct rig *r;

	log_set_level(LOG_LEVEL_ERROR);
	if (size == 0)
		return 0;
	r = &rigs[data[0] & 7];
	if (r->loop == NULL)
		rig_make(r, data[0] & 7);
	r->in = (struct fuzz_input){ data + 1, size - 1 };
	r->idx = 0;
	r->queue = 0;
	memset(r->gm.range[0].hva, 0, MEM_SIZE);
	while (r->in.left != 0)
		step(r);
	machine_reset(r, r->m);
	virtio_blk_set_policy(r->m->blk, &pausing);
	virtio_blk_set_policy(r->spare->blk, &pausing);
	FUZZ_CHECK(r->disk.n == 0);
	turn(r);
	return 0;
}
