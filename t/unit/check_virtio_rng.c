/* SPDX-License-Identifier: ISC */
/*
 * virtio-rng on numbers that count, so that each byte is seen to come once:
 * bounds of a request and of a turn, and drivers that misuse it.
 */
#include <errno.h>

#include "devices/entropy.h"
#include "devices/virtio_rng.h"
#include "vguest.h"

#define DATA	VGUEST_DATA
#define FEATURE	(1ull << 32)

static uint8_t	next;		/* the numbers */
static int	broken;		/* what entropy_get() returns */
static unsigned	bytes;

int
entropy_get(void *p, size_t n)
{
	uint8_t *dst = p;

	ck_assert_uint_ne(n, 0);
	if (broken != 0)
		return broken;
	for (; n > 0; n--, bytes++)
		*dst++ = ++next;
	return 0;
}

struct fixture {
	struct vguest		 g;
	struct vring		 r;
	struct loop		*loop;
	struct virtio_rng	*rng;
	struct virtio_pci	*vp;
	uint8_t			*mem;
};

static struct fixture *
setup(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	next = 0;
	broken = 0;
	bytes = 0;
	ck_assert_ptr_nonnull(f);
	f->loop = loop_create();
	vguest_init(&f->g, f->loop);
	f->mem = f->g.gm.range[0].hva;
	f->rng = virtio_rng_create();
	ck_assert_ptr_nonnull(f->rng);
	f->vp = virtio_pci_create(&f->g.t.host, &f->g.gm, f->g.pci,
	    &virtio_rng_ops, f->rng, "vm t: rng");
	ck_assert_ptr_nonnull(f->vp);
	return f;
}

static void
count(void *arg)
{
	++*(unsigned *)arg;
}

static void
teardown(struct fixture *f)
{
	unsigned stopped = 0;

	virtio_pci_stop(f->vp, count, &stopped);
	ck_assert_uint_eq(stopped, 1);
	virtio_pci_destroy(f->vp);
	virtio_rng_destroy(f->rng);
	vguest_fini(&f->g);
	loop_destroy(f->loop);
	free(f);
}

/* One buffer in descriptor i. */
static void
offer(struct fixture *f, unsigned i, uint64_t addr, uint32_t len)
{
	vring_desc(&f->r, i, addr, len, VRING_WRITE, 0);
	vring_offer(&f->r, (uint16_t)i);
}

static uint32_t
answer(struct fixture *f)
{
	uint32_t id, len;

	vguest_notify(&f->g, 0);
	while (!vring_take(&f->r, &id, &len))
		vguest_wait_irq(&f->g);
	return len;
}

START_TEST(what_the_driver_sees)
{
	struct fixture *f = setup();

	ck_assert_uint_eq(vguest_conf(&f->g, 1, 0, 4), 0x10441af4);
	ck_assert_uint_eq(vguest_conf(&f->g, 1, 0x08, 4) >> 8, 0x00ff00);
	ck_assert_uint_eq(vguest_offered(&f->g), 1ull << 32 | 1ull << 29 |
	    1ull << 28);
	ck_assert_uint_eq(vguest_in(&f->g, 0x18, 2), 64);
	/* No configuration space. */
	ck_assert_uint_eq(vguest_in(&f->g, 0x80, 4), 0xffffffff);
	teardown(f);
}
END_TEST

START_TEST(numbers)
{
	static const struct {
		uint32_t	asked, got;
	} row[] = {
		{ 1, 1 }, { 64, 64 }, { 1023, 1023 }, { 1024, 1024 },
		{ 1025, 1024 }, { 1u << 20, 1024 },
	};
	struct fixture *f = setup();
	unsigned i, k;

	vguest_start(&f->g, &f->r, 16, FEATURE);
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		next = 0;
		memset(f->mem + DATA, 0xee, 2048);
		offer(f, 0, DATA, row[i].asked);
		ck_assert_uint_eq(answer(f), row[i].got);
		for (k = 0; k < row[i].got; k++)
			ck_assert_uint_eq(f->mem[DATA + k], (k + 1) & 0xff);
		ck_assert_uint_eq(f->mem[DATA + k], 0xee);
	}
	/* In pieces, across the bound. */
	vring_desc(&f->r, 0, DATA, 1000, VRING_NEXT | VRING_WRITE, 1);
	vring_desc(&f->r, 1, DATA + 4096, 1000, VRING_WRITE, 0);
	vring_offer(&f->r, 0);
	next = 0;
	memset(f->mem + DATA, 0xee, 8192);
	ck_assert_uint_eq(answer(f), 1024);
	ck_assert_uint_eq(f->mem[DATA + 1000], 0xee);
	ck_assert_uint_eq(f->mem[DATA + 4096 + 23], 1024 & 0xff);
	ck_assert_uint_eq(f->mem[DATA + 4096 + 24], 0xee);
	teardown(f);
}
END_TEST

/* All of a full queue, but not in one turn. */
START_TEST(turns_are_bounded)
{
	struct fixture *f = setup();
	uint32_t id, len;
	unsigned i;

	vguest_start(&f->g, &f->r, 64, FEATURE);
	for (i = 0; i < 64; i++)
		offer(f, i, DATA + 1024 * i, 1024);
	vguest_notify(&f->g, 0);
	ev_run(loop_ev(f->loop), EVRUN_NOWAIT);
	ck_assert_uint_gt(bytes, 0);
	ck_assert_uint_le(bytes, 32 * 1024);
	vguest_turn(&f->g);
	ck_assert_uint_eq(bytes, 64 * 1024);
	for (i = 0; i < 64; i++)
		ck_assert(vring_take(&f->r, &id, &len));
	teardown(f);
}
END_TEST

/* Buffers to read from, and a host without numbers: dead until a reset. */
START_TEST(misuse)
{
	struct fixture *f = setup();
	unsigned i;

	for (i = 0; i < 3; i++) {
		vguest_start(&f->g, &f->r, 16, FEATURE);
		broken = i == 2 ? -EAGAIN : 0;
		vring_desc(&f->r, 0, DATA, 8,
		    i == 0 ? 0 : i == 1 ? VRING_NEXT : VRING_WRITE, 1);
		vring_desc(&f->r, 1, DATA, 8, VRING_WRITE, 0);
		vring_offer(&f->r, 0);
		vguest_notify(&f->g, 0);
		vguest_turn(&f->g);
		ck_assert_uint_eq(vguest_status(&f->g), 0x4f);
		ck_assert_uint_eq(bytes, 0);
	}
	broken = 0;
	vguest_start(&f->g, &f->r, 16, FEATURE);
	offer(f, 0, DATA, 8);
	ck_assert_uint_eq(answer(f), 8);
	teardown(f);
}
END_TEST

START_TEST(state_travels)
{
	struct fixture *f = setup(), *h = setup();
	unsigned stopped = 0;

	vguest_start(&f->g, &f->r, 16, FEATURE);
	offer(f, 0, DATA, 8);
	ck_assert_uint_eq(answer(f), 8);
	virtio_pci_stop(f->vp, count, &stopped);
	memcpy(h->mem, f->mem, VGUEST_MEM);
	testhost_round_trip(&virtio_pci_ops, f->vp, h->vp);
	h->r = f->r;
	h->r.mem = h->mem;
	virtio_pci_resume(h->vp);
	offer(h, 1, DATA, 16);
	ck_assert_uint_eq(answer(h), 16);
	teardown(f);
	teardown(h);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("virtio_rng");

	tcase_add_test(tc, what_the_driver_sees);
	tcase_add_test(tc, numbers);
	tcase_add_test(tc, turns_are_bounded);
	tcase_add_test(tc, misuse);
	tcase_add_test(tc, state_travels);
	return test_main("virtio_rng", tc);
}
