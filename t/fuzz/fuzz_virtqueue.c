/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: a virtqueue whose driver is the input.
 *
 * The input is a list of steps; the low three bits of a step's first byte say
 * what it does: 0 starts the queue, 1 writes a descriptor, 2 offers a chain, 3
 * writes anywhere, 4 pops or, with the highest bit, puts back what was popped
 * last, 5 pushes one that was popped, 6 publishes, 7 stops.
 * Whatever the driver did, a chain lies in memory, is bounded and not empty,
 * and the device writes nowhere but to its own ring.
 */
#include "fuzz.h"

#include "devices/gmem.h"
#include "devices/virtqueue.h"

#define LOW_SIZE	0x6000u
#define HIGH_GPA	0x100000000ull
#define HIGH_SIZE	0x3000u
#define DESC_GPA	0x0000u
#define AVAIL_GPA	0x2000u
#define USED_GPA	0x3000u
#define DATA_GPA	0x4000u

struct driver {
	struct fuzz_input	 in;
	struct gmem		 gm;
	uint8_t			*shadow[2];	/* what memory should hold */
	struct virtqueue	 vq;
	struct vq_config	 cfg;
	uint64_t		 used_len;	/* of the used ring */
	uint16_t		 idx;		/* chains offered */
	uint16_t		 heads[VQ_SIZE_MAX];	/* popped, not pushed */
	unsigned		 nheads;
	unsigned		 last;	/* of these, after any push */
	unsigned		 unseen;	/* pushed, not published */
};

/* An address in memory, at its ends, beyond it, or where sums overflow. */
static uint64_t
any_address(struct driver *d)
{
	uint8_t kind = fuzz_u8(&d->in);
	uint64_t off = fuzz_u16(&d->in);

	switch (kind & 7) {
	case 0:
		return HIGH_GPA + off;
	case 1:
		return HIGH_GPA + HIGH_SIZE - (off & 31);
	case 2:
		return LOW_SIZE - (off & 31);
	case 3:
		return UINT64_MAX - off;
	default:
		return off % LOW_SIZE;
	}
}

/* The driver's writes go to memory and to its shadow. */
static void
driver_write(struct driver *d, uint64_t gpa, const void *p, size_t n)
{
	unsigned i = gpa >= HIGH_GPA;

	if (gmem_write(&d->gm, gpa, p, n) == 0)
		memcpy(d->shadow[i] + (gpa - d->gm.range[i].gpa), p, n);
}

static void
check_memory(struct driver *d)
{
	const struct gmem_range *r;
	uint8_t *used;
	unsigned i;

	/* The device's ring is its own. */
	used = d->vq.size != 0 ?
	    gmem_ptr(&d->gm, d->cfg.used, d->used_len) : NULL;
	if (used != NULL) {
		i = d->cfg.used >= HIGH_GPA;
		memcpy(d->shadow[i] + (d->cfg.used - d->gm.range[i].gpa), used,
		    d->used_len);
	}
	for (i = 0; i < d->gm.nranges; i++) {
		r = &d->gm.range[i];
		FUZZ_CHECK(memcmp(d->shadow[i], r->hva, r->size) == 0);
	}
}

static void
start(struct driver *d)
{
	uint8_t how = fuzz_u8(&d->in);
	uint64_t features = 0;

	d->cfg = (struct vq_config){
		(uint16_t)(1u << (how & 15)), DESC_GPA, AVAIL_GPA, USED_GPA
	};
	if ((how & 0x10) != 0)
		features |= VIRTIO_RING_F_INDIRECT_DESC;
	if ((how & 0x20) != 0)
		features |= VIRTIO_RING_F_EVENT_IDX;
	if ((how & 0x40) != 0) {
		d->cfg.size = fuzz_u16(&d->in);
		d->cfg.desc = any_address(d);
		d->cfg.avail = any_address(d);
		d->cfg.used = any_address(d);
	}
	d->nheads = d->last = d->unseen = 0;
	d->idx = 0;
	d->used_len = 4 + 8ull * d->cfg.size + 2;
	if (vq_start(&d->vq, &d->gm, &d->cfg, features) != 0) {
		vq_stop(&d->vq);
	} else if ((how & 0x80) != 0) {
		d->idx = fuzz_u16(&d->in);
		vq_seek(&d->vq, d->idx);
		FUZZ_CHECK(vq_position(&d->vq) == d->idx);
	}
}

static void
put_descriptor(struct driver *d)
{
	uint8_t table = fuzz_u8(&d->in), i = fuzz_u8(&d->in);
	uint8_t flags = fuzz_u8(&d->in), next = fuzz_u8(&d->in);
	struct {
		uint64_t	addr;
		uint32_t	len;
		uint16_t	flags, next;
	} desc = { .flags = flags & 7, .next = next };

	desc.addr = any_address(d);
	desc.len = fuzz_u16(&d->in);
	if ((flags & 0x08) != 0)
		desc.len <<= 16;
	if ((flags & 0x10) != 0)
		desc.next = fuzz_u16(&d->in);
	driver_write(d, (table == 0 ? d->cfg.desc : DATA_GPA + 16u * table) +
	    16u * i, &desc, sizeof(desc));
}

static void
offer(struct driver *d)
{
	uint16_t head = fuzz_u8(&d->in);

	if (d->vq.size == 0)
		return;
	driver_write(d, d->cfg.avail + 4 + 2u * (d->idx % d->vq.size), &head,
	    sizeof(head));
	d->idx++;
	driver_write(d, d->cfg.avail + 2, &d->idx, sizeof(d->idx));
}

static void
poke(struct driver *d)
{
	uint64_t gpa = any_address(d);
	uint16_t val = fuzz_u16(&d->in);

	driver_write(d, gpa, &val, sizeof(val));
}

static void
check_chain(struct driver *d, const struct vq_chain *c)
{
	unsigned n = c->nread + c->nwrite, i, k;
	size_t len[2] = { 0, 0 };
	bool inside;

	FUZZ_CHECK(c->nread <= VQ_CHAIN_MAX && c->nwrite <= VQ_CHAIN_MAX);
	FUZZ_CHECK(n != 0 && n <= VQ_CHAIN_MAX);
	FUZZ_CHECK(c->head < d->vq.size);
	for (i = 0; i < n; i++) {
		const char *p = c->iov[i].iov_base;

		FUZZ_CHECK(c->iov[i].iov_len != 0);
		len[i >= c->nread] += c->iov[i].iov_len;
		inside = false;
		for (k = 0; k < d->gm.nranges; k++) {
			const char *base = d->gm.range[k].hva;

			inside |= p >= base && c->iov[i].iov_len <=
			    d->gm.range[k].size - (size_t)(p - base);
		}
		FUZZ_CHECK(inside);
	}
	FUZZ_CHECK(len[0] == c->read_len && len[1] == c->write_len);
	FUZZ_CHECK(len[0] <= UINT32_MAX && len[1] <= UINT32_MAX);
}

static void
pop(struct driver *d)
{
	static struct vq_chain chain;
	bool broken = d->vq.broken;
	int ret = vq_pop(&d->vq, &chain);

	FUZZ_CHECK(ret <= 1);
	FUZZ_CHECK(!broken || ret < 0);
	FUZZ_CHECK((ret < 0) == d->vq.broken);
	if (ret != 1)
		return;
	check_chain(d, &chain);
	d->heads[d->nheads++] = chain.head;
	d->last++;
	FUZZ_CHECK(d->nheads + d->unseen <= d->vq.size);
}

static void
unpop(struct driver *d)
{
	unsigned n = d->last != 0 ? 1 + fuzz_u8(&d->in) % d->last : 0;

	vq_unpop(&d->vq, n);
	d->nheads -= n;
	d->last -= n;
}

static void
push(struct driver *d)
{
	unsigned i = fuzz_u8(&d->in);

	if (d->nheads == 0)
		return;
	i %= d->nheads;
	vq_push(&d->vq, d->heads[i], i);
	d->heads[i] = d->heads[--d->nheads];
	d->last = 0;
	d->unseen++;
}

static void
step(struct driver *d)
{
	uint8_t op = fuzz_u8(&d->in);

	switch (op & 7) {
	case 0:
		start(d);
		break;
	case 1:
		put_descriptor(d);
		break;
	case 2:
		offer(d);
		break;
	case 3:
		poke(d);
		break;
	case 4:
		if ((op & 0x80) != 0)
			unpop(d);
		else
			pop(d);
		break;
	case 5:
		push(d);
		break;
	case 6:
		if (vq_publish(&d->vq))
			FUZZ_CHECK(d->unseen != 0);
		d->unseen = 0;
		break;
	case 7:
		vq_stop(&d->vq);
		d->nheads = d->last = d->unseen = 0;
		break;
	}
	check_memory(d);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct driver d = { .in = { data, size } };
	unsigned i;

	d.gm.nranges = 2;
	d.gm.range[0] = (struct gmem_range){ .size = LOW_SIZE };
	d.gm.range[1] = (struct gmem_range){ HIGH_GPA, HIGH_SIZE, NULL };
	for (i = 0; i < d.gm.nranges; i++) {
		d.gm.range[i].hva = aligned_alloc(4096, d.gm.range[i].size);
		memset(d.gm.range[i].hva, 0, d.gm.range[i].size);
		d.shadow[i] = calloc(1, d.gm.range[i].size);
	}
	while (d.in.left != 0)
		step(&d);
	for (i = 0; i < d.gm.nranges; i++) {
		free(d.gm.range[i].hva);
		free(d.shadow[i]);
	}
	return 0;
}
