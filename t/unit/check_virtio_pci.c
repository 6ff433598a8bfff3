/* SPDX-License-Identifier: ISC */
/*
 * virtio over PCI, with a device type that hands chains back or holds them:
 * what the registers say, which negotiations succeed, what a reset waits for,
 * how a broken device stays alone, and all of it again with the vCPU on a
 * thread of its own.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "vguest.h"

#define ECHO_FEATURE	0x2ull
#define ECHO_QUEUES	3
#define CORE		(1ull << 32)
#define INDIRECT	VIRTIO_RING_F_INDIRECT_DESC
#define EVENT_IDX	VIRTIO_RING_F_EVENT_IDX

/* Hands back what is offered, or holds it until told. */
struct echo {
	struct virtio	*v;
	uint32_t	 config[2];
	bool		 hold;
	bool		 stopping;
	unsigned	 nheld;
	uint16_t	 held[16];
	unsigned	 notified;
	unsigned	 started;
	struct vq_chain	 c;
};

static uint64_t
echo_features(const void *dev)
{
	(void)dev;
	return ECHO_FEATURE;
}

static uint32_t
echo_config_read(const void *dev, uint32_t off, unsigned size)
{
	const struct echo *e = dev;
	uint32_t val = 0;

	memcpy(&val, (const uint8_t *)e->config + off, size);
	return val;
}

static void
echo_config_write(void *dev, uint32_t off, unsigned size, uint32_t val)
{
	struct echo *e = dev;

	memcpy((uint8_t *)e->config + off, &val, size);
}

static void
echo_start(void *dev, struct virtio *v)
{
	struct echo *e = dev;

	e->v = v;
	e->stopping = false;
	e->started++;
}

static void
echo_notify(void *dev, unsigned queue)
{
	struct echo *e = dev;

	e->notified++;
	while (virtio_pop(e->v, queue, &e->c)) {
		if (e->hold)
			e->held[e->nheld++] = e->c.head;
		else
			virtio_push(e->v, queue, e->c.head,
			    (uint32_t)e->c.write_len);
	}
}

static void
echo_release(struct echo *e)
{
	while (e->nheld > 0)
		virtio_push(e->v, 0, e->held[--e->nheld], 0);
	if (e->stopping)
		virtio_stopped(e->v);
}

static void
echo_stop(void *dev)
{
	struct echo *e = dev;

	e->stopping = true;
	if (e->nheld == 0)
		virtio_stopped(e->v);
}

static const struct virtio_dev_ops echo_ops = {
	.name = "echo",
	.id = 0x3f,
	.pci_class = 0xff0000,
	.nqueues = ECHO_QUEUES,
	.queue_max = 16,
	.config_len = 8,
	.features = echo_features,
	.config_read = echo_config_read,
	.config_write = echo_config_write,
	.start = echo_start,
	.notify = echo_notify,
	.stop = echo_stop,
};

struct fixture {
	struct vguest		 g;
	struct loop		*loop;
	struct echo		 e;
	struct virtio_pci	*vp;
	struct vring		 r;
};

static void
setup(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->loop = loop_create();
	ck_assert_ptr_nonnull(f->loop);
	vguest_init(&f->g, f->loop);
	f->vp = virtio_pci_create(&f->g.t.host, &f->g.gm, f->g.pci, &echo_ops,
	    &f->e, "vm t: echo");
	ck_assert_ptr_nonnull(f->vp);
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

	f->e.hold = false;
	if (f->e.nheld != 0)
		echo_release(&f->e);
	virtio_pci_stop(f->vp, count, &stopped);
	ck_assert_uint_eq(stopped, 1);
	virtio_pci_destroy(f->vp);
	vguest_fini(&f->g);
	loop_destroy(f->loop);
}

/* Offers descriptor `i`, `len` writable bytes. */
static void
offer(struct fixture *f, uint16_t i, uint32_t len)
{
	vring_desc(&f->r, i, VGUEST_DATA, len, VRING_WRITE, 0);
	vring_offer(&f->r, i);
}

START_TEST(identity_and_capabilities)
{
	struct fixture f;
	unsigned cap, type, seen = 0;

	setup(&f);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, 0, 4), 0x107f1af4);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, 0x08, 1), 1);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, 0x2c, 2), 0x1af4);
	ck_assert_uint_ge(vguest_conf(&f.g, 1, 0x2e, 2), 0x40);
	/* Where each structure must be, and how long. */
	for (cap = vguest_conf(&f.g, 1, 0x34, 1); cap != 0;
	    cap = vguest_conf(&f.g, 1, cap + 1, 1)) {
		uint32_t off = vguest_conf(&f.g, 1, cap + 8, 4);
		uint32_t len = vguest_conf(&f.g, 1, cap + 12, 4);

		ck_assert_uint_eq(vguest_conf(&f.g, 1, cap, 1), 0x09);
		ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 4, 1), 0);
		type = vguest_conf(&f.g, 1, cap + 3, 1);
		seen |= 1u << type;
		if (type == 1) {
			ck_assert_uint_eq(off % 4, 0);
			ck_assert_uint_eq(len, 0x38);
		} else if (type == 2) {
			ck_assert_uint_eq(off, VIRTIO_PCI_NOTIFY);
			ck_assert_uint_eq(len, 2 * ECHO_QUEUES);
			ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 2, 1), 20);
			ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 4),
			    2);
		} else if (type == 4) {
			ck_assert_uint_eq(off, VIRTIO_PCI_CONFIG);
			ck_assert_uint_eq(len, 8);
		}
	}
	ck_assert_uint_eq(seen, 0x3e);
	teardown(&f);
}
END_TEST

START_TEST(registers_after_creation)
{
	struct fixture f;

	setup(&f);
	ck_assert_uint_eq(vguest_offered(&f.g),
	    CORE | INDIRECT | EVENT_IDX | ECHO_FEATURE);
	vguest_out(&f.g, 0x00, 4, 2);
	ck_assert_uint_eq(vguest_in(&f.g, 0x04, 4), 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x10, 2), 0xffff);
	ck_assert_uint_eq(vguest_in(&f.g, 0x12, 2), ECHO_QUEUES);
	ck_assert_uint_eq(vguest_in(&f.g, 0x14, 1), 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x15, 1), 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x18, 2), 16);
	ck_assert_uint_eq(vguest_in(&f.g, 0x1a, 2), 0xffff);
	vguest_out(&f.g, 0x1a, 2, 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x1a, 2), 0xffff);
	vguest_out(&f.g, 0x16, 2, ECHO_QUEUES - 1);
	ck_assert_uint_eq(vguest_in(&f.g, 0x18, 2), 16);
	ck_assert_uint_eq(vguest_in(&f.g, 0x1e, 2), ECHO_QUEUES - 1);
	/* A queue that is not there. */
	vguest_out(&f.g, 0x16, 2, ECHO_QUEUES);
	ck_assert_uint_eq(vguest_in(&f.g, 0x18, 2), 0);
	vguest_out(&f.g, 0x18, 2, 8);
	vguest_out(&f.g, 0x1c, 2, 1);
	ck_assert_uint_eq(vguest_in(&f.g, 0x1c, 2), 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x20, 4), 0);
	vguest_out(&f.g, 0x16, 2, 0xffff);
	ck_assert_uint_eq(vguest_in(&f.g, 0x18, 2), 0);
	teardown(&f);
}
END_TEST

/* Only the natural width of a field reaches it. */
START_TEST(widths)
{
	struct fixture f;

	setup(&f);
	ck_assert_uint_eq(vguest_in(&f.g, 0x12, 1), 0xff);
	ck_assert_uint_eq(vguest_in(&f.g, 0x12, 4), UINT32_MAX);
	ck_assert_uint_eq(vguest_in(&f.g, 0x14, 2), 0xffff);
	ck_assert_uint_eq(vguest_in(&f.g, 0x02, 2), 0xffff);
	vguest_out(&f.g, 0x14, 2, 1);
	vguest_out(&f.g, 0x14, 4, 1);
	ck_assert_uint_eq(vguest_status(&f.g), 0);
	vguest_out(&f.g, 0x16, 4, 1);
	ck_assert_uint_eq(vguest_in(&f.g, 0x16, 2), 0);
	vguest_out(&f.g, 0x20, 2, 0x1000);
	ck_assert_uint_eq(vguest_in(&f.g, 0x20, 4), 0);
	/* The type's own space takes every width inside it, none beyond. */
	vguest_out(&f.g, 0x80, 4, 0x44332211);
	vguest_out(&f.g, 0x86, 2, 0x8877);
	ck_assert_uint_eq(vguest_in(&f.g, 0x81, 1), 0x22);
	ck_assert_uint_eq(vguest_in(&f.g, 0x84, 4), 0x88770000);
	ck_assert_uint_eq(vguest_in(&f.g, 0x87, 1), 0x88);
	ck_assert_uint_eq(vguest_in(&f.g, 0x87, 2), 0xffff);
	ck_assert_uint_eq(vguest_in(&f.g, 0x88, 1), 0xff);
	vguest_out(&f.g, 0x88, 1, 1);
	ck_assert_uint_eq(vguest_in(&f.g, 0x7f, 1), 0xff);
	ck_assert_uint_eq(vguest_in(&f.g, 0x38, 2), 0xffff);
	ck_assert_uint_eq(vguest_in(&f.g, 0x1ff, 1), 0xff);
	teardown(&f);
}
END_TEST

START_TEST(negotiation)
{
	struct fixture f;

	setup(&f);
	ck_assert_uint_eq(vguest_negotiate(&f.g, CORE), 0x0b);
	ck_assert_uint_eq(vguest_negotiate(&f.g,
	    CORE | EVENT_IDX | ECHO_FEATURE), 0x0b);
	/* Frozen from then on. */
	vguest_out(&f.g, 0x0c, 4, 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x0c, 4), 1);
	ck_assert_uint_eq(vguest_negotiate(&f.g, ECHO_FEATURE), 0x03);
	ck_assert_uint_eq(vguest_negotiate(&f.g, CORE | 1), 0x03);
	ck_assert_uint_eq(vguest_negotiate(&f.g, CORE | 1ull << 63), 0x03);
	/* A driver may try again with less. */
	vguest_out(&f.g, 0x0c, 4, 1);
	vguest_set_status(&f.g, 0x0b);
	ck_assert_uint_eq(vguest_status(&f.g), 0x0b);
	/* A bit from 64 up, which has no register of its own. */
	ck_assert_uint_eq(vguest_negotiate(&f.g, 0), 0x03);
	vguest_out(&f.g, 0x08, 4, 2);
	vguest_out(&f.g, 0x0c, 4, 0);
	vguest_out(&f.g, 0x08, 4, 1);
	vguest_out(&f.g, 0x0c, 4, 1);
	vguest_set_status(&f.g, 0x0b);
	ck_assert_uint_eq(vguest_status(&f.g), 0x0b);
	ck_assert_uint_eq(vguest_negotiate(&f.g, 0), 0x03);
	vguest_out(&f.g, 0x08, 4, 3);
	vguest_out(&f.g, 0x0c, 4, 4);
	vguest_out(&f.g, 0x08, 4, 1);
	vguest_out(&f.g, 0x0c, 4, 1);
	vguest_set_status(&f.g, 0x0b);
	ck_assert_uint_eq(vguest_status(&f.g), 0x03);
	teardown(&f);
}
END_TEST

START_TEST(status_only_grows)
{
	struct fixture f;

	setup(&f);
	vguest_set_status(&f.g, 0x07);
	ck_assert_uint_eq(vguest_status(&f.g), 0x03);
	ck_assert_uint_eq(f.e.started, 0);
	ck_assert_uint_eq(vguest_negotiate(&f.g, CORE), 0x0b);
	vguest_set_status(&f.g, 0x01);
	ck_assert_uint_eq(vguest_status(&f.g), 0x0b);
	vguest_set_status(&f.g, 0x70);
	ck_assert_uint_eq(vguest_status(&f.g), 0x0b);
	vguest_set_status(&f.g, 0x0f);
	vguest_set_status(&f.g, 0x0f);
	ck_assert_uint_eq(f.e.started, 1);
	vguest_set_status(&f.g, 0x8f);
	ck_assert_uint_eq(vguest_status(&f.g), 0x8f);
	vguest_set_status(&f.g, 0);
	ck_assert_uint_eq(vguest_status(&f.g), 0);
	teardown(&f);
}
END_TEST

START_TEST(queue_registers)
{
	struct fixture f;
	static const uint16_t bad[] = { 0, 3, 17, 32 };
	unsigned i;

	setup(&f);
	vguest_negotiate(&f.g, CORE);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		vguest_out(&f.g, 0x18, 2, bad[i]);
		ck_assert_uint_eq(vguest_in(&f.g, 0x18, 2), 16);
	}
	vguest_out(&f.g, 0x18, 2, 4);
	vguest_out(&f.g, 0x20, 4, 0x11111110);
	vguest_out(&f.g, 0x24, 4, 0x22222222);
	vguest_out(&f.g, 0x28, 4, 0x33333330);
	vguest_out(&f.g, 0x34, 4, 0x44444444);
	ck_assert_uint_eq(vguest_in(&f.g, 0x20, 4), 0x11111110);
	ck_assert_uint_eq(vguest_in(&f.g, 0x24, 4), 0x22222222);
	ck_assert_uint_eq(vguest_in(&f.g, 0x28, 4), 0x33333330);
	ck_assert_uint_eq(vguest_in(&f.g, 0x2c, 4), 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x34, 4), 0x44444444);
	/* Only 1 enables, and then nothing moves until the reset. */
	vguest_out(&f.g, 0x1c, 2, 2);
	ck_assert_uint_eq(vguest_in(&f.g, 0x1c, 2), 0);
	vguest_out(&f.g, 0x1c, 2, 1);
	ck_assert_uint_eq(vguest_in(&f.g, 0x1c, 2), 1);
	vguest_out(&f.g, 0x1c, 2, 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x1c, 2), 1);
	vguest_out(&f.g, 0x18, 2, 8);
	ck_assert_uint_eq(vguest_in(&f.g, 0x18, 2), 4);
	vguest_out(&f.g, 0x20, 4, 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x20, 4), 0x11111110);
	vguest_set_status(&f.g, 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x1c, 2), 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x18, 2), 16);
	ck_assert_uint_eq(vguest_in(&f.g, 0x20, 4), 0);
	teardown(&f);
}
END_TEST

START_TEST(chain_comes_back_with_an_interrupt)
{
	struct fixture f;
	uint32_t id, len;

	setup(&f);
	vguest_start(&f.g, &f.r, 8, CORE);
	vguest_turn(&f.g);
	ck_assert(!vguest_line(&f.g));
	offer(&f, 3, 17);
	vguest_notify(&f.g, 0);
	ck_assert_uint_eq(vguest_wait_irq(&f.g), VIRTIO_ISR_QUEUE);
	ck_assert_uint_eq(vguest_in(&f.g, 0x40, 1), 0);
	ck_assert(vring_take(&f.r, &id, &len));
	ck_assert_uint_eq(id, 3);
	ck_assert_uint_eq(len, 17);
	teardown(&f);
}
END_TEST

/* What was offered before DRIVER_OK is found without a notification. */
START_TEST(early_chains_are_found)
{
	struct fixture f;
	uint32_t id, len;

	setup(&f);
	ck_assert_uint_eq(vguest_negotiate(&f.g, CORE), 0x0b);
	vguest_queue(&f.g, &f.r, 0, 8);
	offer(&f, 1, 4);
	vguest_notify(&f.g, 0);
	vguest_turn(&f.g);
	ck_assert_uint_eq(f.e.notified, 0);
	ck_assert(!vring_take(&f.r, &id, &len));
	vguest_set_status(&f.g, 0x0f);
	ck_assert_uint_eq(vguest_wait_irq(&f.g), VIRTIO_ISR_QUEUE);
	ck_assert(vring_take(&f.r, &id, &len));
	teardown(&f);
}
END_TEST

START_TEST(notify_port_and_width)
{
	struct fixture f;
	unsigned before;

	setup(&f);
	vguest_start(&f.g, &f.r, 8, CORE);
	vguest_turn(&f.g);
	before = f.e.notified;
	vguest_out(&f.g, 0x100, 1, 0);
	vguest_out(&f.g, 0x100, 4, 0);
	vguest_out(&f.g, 0x101, 2, 0);
	vguest_out(&f.g, 0x102, 2, 0);		/* queue 1: not enabled */
	vguest_out(&f.g, 0x100 + 2 * ECHO_QUEUES, 2, 0);
	vguest_out(&f.g, 0x1fe, 2, 0);
	vguest_turn(&f.g);
	ck_assert_uint_eq(f.e.notified, before);
	/* Two in one turn are one; the value says nothing. */
	vguest_out(&f.g, 0x100, 2, 0xbeef);
	vguest_out(&f.g, 0x100, 2, 0);
	vguest_turn(&f.g);
	ck_assert_uint_eq(f.e.notified, before + 1);
	teardown(&f);
}
END_TEST

START_TEST(one_interrupt_for_a_batch)
{
	struct fixture f;
	uint32_t id, len;
	unsigned i, irq;

	setup(&f);
	irq = vguest_conf(&f.g, 1, 0x3c, 1);
	vguest_start(&f.g, &f.r, 8, CORE);
	vguest_turn(&f.g);
	for (i = 0; i < 8; i++)
		offer(&f, i, 1);
	vguest_notify(&f.g, 0);
	vguest_wait_irq(&f.g);
	for (i = 0; i < 8; i++)
		ck_assert(vring_take(&f.r, &id, &len));
	vguest_turn(&f.g);
	pci_fold_intx(f.g.pci);
	ck_assert_uint_eq(f.g.t.rises[irq], 1);
	teardown(&f);
}
END_TEST

START_TEST(window_of_configuration_space)
{
	struct fixture f;
	unsigned cap;

	setup(&f);
	for (cap = vguest_conf(&f.g, 1, 0x34, 1);
	    vguest_conf(&f.g, 1, cap + 3, 1) != 5;
	    cap = vguest_conf(&f.g, 1, cap + 1, 1))
		continue;
	vguest_set_conf(&f.g, 1, cap + 8, 4, 0x14);
	vguest_set_conf(&f.g, 1, cap + 12, 4, 1);
	vguest_set_conf(&f.g, 1, cap + 16, 1, 0x03);
	ck_assert_uint_eq(vguest_status(&f.g), 0x03);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 1), 0x03);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 4), 0x03);
	/* Only the first `length` bytes count. */
	vguest_set_conf(&f.g, 1, cap + 16, 4, 0xffffff00);
	ck_assert_uint_eq(vguest_status(&f.g), 0);
	vguest_set_conf(&f.g, 1, cap + 8, 4, 0x12);
	vguest_set_conf(&f.g, 1, cap + 12, 4, 2);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 2), ECHO_QUEUES);
	/* Too narrow, not at its start, misaligned, odd length, no BAR. */
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 1), 0xff);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 18, 2), 0xffff);
	vguest_set_conf(&f.g, 1, cap + 8, 4, 0x13);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 2), 0xffff);
	vguest_set_conf(&f.g, 1, cap + 12, 4, 3);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 4), UINT32_MAX);
	vguest_set_conf(&f.g, 1, cap + 12, 4, 0);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 4), UINT32_MAX);
	vguest_set_conf(&f.g, 1, cap + 8, 4, 0x12);
	vguest_set_conf(&f.g, 1, cap + 12, 4, 2);
	vguest_set_conf(&f.g, 1, cap + 4, 1, 1);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 2), 0xffff);
	vguest_set_conf(&f.g, 1, cap + 4, 1, 0);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 2), ECHO_QUEUES);
	/* The last dword of the BAR, one past it, and far away. */
	vguest_set_conf(&f.g, 1, cap + 12, 4, 4);
	vguest_set_conf(&f.g, 1, cap + 8, 4, 0x1fc);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 4), UINT32_MAX);
	vguest_set_conf(&f.g, 1, cap + 8, 4, 0x200);
	vguest_set_conf(&f.g, 1, cap + 16, 4, 1);
	vguest_set_conf(&f.g, 1, cap + 8, 4, 0xfffffffc);
	ck_assert_uint_eq(vguest_conf(&f.g, 1, cap + 16, 4), UINT32_MAX);
	teardown(&f);
}
END_TEST

/* A broken ring costs the guest this device, until it resets it. */
START_TEST(broken_ring_needs_reset)
{
	struct virtio_pci *vp2;
	struct fixture f;
	uint32_t id, len;
	struct echo e2 = { 0 };
	unsigned stopped = 0;

	setup(&f);
	vp2 = virtio_pci_create(&f.g.t.host, &f.g.gm, f.g.pci, &echo_ops, &e2,
	    "vm t: other");
	ck_assert_ptr_nonnull(vp2);
	vguest_start(&f.g, &f.r, 8, CORE);
	vring_desc(&f.r, 0, VGUEST_DATA, 4, VRING_NEXT, 0);
	vring_offer(&f.r, 0);
	vguest_notify(&f.g, 0);
	ck_assert_uint_eq(vguest_wait_irq(&f.g), VIRTIO_ISR_CONFIG);
	ck_assert_uint_eq(vguest_status(&f.g), 0x4f);
	offer(&f, 0, 4);
	vguest_notify(&f.g, 0);
	vguest_turn(&f.g);
	ck_assert(!vring_take(&f.r, &id, &len));
	ck_assert_uint_eq(vguest_status(&f.g), 0x4f);
	vguest_start(&f.g, &f.r, 8, CORE);
	offer(&f, 0, 4);
	vguest_notify(&f.g, 0);
	ck_assert_uint_eq(vguest_wait_irq(&f.g), VIRTIO_ISR_QUEUE);
	ck_assert(vring_take(&f.r, &id, &len));
	/* The neighbour was never touched. */
	ck_assert_uint_eq(e2.notified, 0);
	virtio_pci_stop(vp2, count, &stopped);
	virtio_pci_destroy(vp2);
	teardown(&f);
}
END_TEST

/* What is in flight when the ring breaks never reaches it. */
START_TEST(broken_device_is_dead)
{
	struct fixture f;
	uint32_t id, len;

	setup(&f);
	f.e.hold = true;
	vguest_start(&f.g, &f.r, 8, CORE);
	offer(&f, 1, 4);
	vguest_notify(&f.g, 0);
	vguest_turn(&f.g);
	ck_assert_uint_eq(f.e.nheld, 1);
	vring_offer(&f.r, 8);
	vguest_notify(&f.g, 0);
	vguest_turn(&f.g);
	ck_assert_uint_eq(vguest_status(&f.g), 0x4f);
	echo_release(&f.e);
	vguest_turn(&f.g);
	ck_assert(!vring_take(&f.r, &id, &len));
	teardown(&f);
}
END_TEST

START_TEST(misplaced_queue_needs_reset)
{
	struct fixture f;
	struct vq_config c;

	setup(&f);
	ck_assert_uint_eq(vguest_negotiate(&f.g, CORE), 0x0b);
	vguest_queue(&f.g, &f.r, 0, 8);
	c = f.r.cfg;
	c.used = VGUEST_MEM - 4;
	vguest_enable(&f.g, 1, &c);
	vguest_set_status(&f.g, 0x0f);
	ck_assert_uint_eq(vguest_status(&f.g), 0x4f);
	ck_assert_uint_eq(f.e.started, 0);
	vguest_notify(&f.g, 0);
	vguest_turn(&f.g);
	ck_assert_uint_eq(f.e.notified, 0);
	vguest_start(&f.g, &f.r, 8, CORE);
	ck_assert_uint_eq(f.e.started, 1);
	teardown(&f);
}
END_TEST

static void
release_later(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct fixture *f = w->data;
	struct vring r;

	(void)ev;
	(void)revents;
	/* Still waiting, and the loop free to come here. */
	ck_assert_uint_eq(f->e.stopping, 1);
	ck_assert_uint_eq(vguest_status(&f->g), 0x0f);
	/* What another vCPU does meanwhile is lost in the reset. */
	vguest_set_status(&f->g, 0x8f);
	vguest_queue(&f->g, &r, 1, 8);
	ck_assert_uint_eq(vguest_in(&f->g, 0x1c, 2), 0);
	ck_assert_uint_eq(f->e.started, 1);
	echo_release(&f->e);
}

START_TEST(reset_waits_for_requests)
{
	struct fixture f;
	ev_timer timer;
	uint32_t id, len;

	setup(&f);
	f.e.hold = true;
	vguest_start(&f.g, &f.r, 8, CORE);
	offer(&f, 1, 4);
	offer(&f, 2, 4);
	vguest_notify(&f.g, 0);
	vguest_turn(&f.g);
	ck_assert_uint_eq(f.e.nheld, 2);
	ev_timer_init(&timer, release_later, 0.02, 0.);
	timer.data = &f;
	ev_timer_start(loop_ev(f.loop), &timer);
	vguest_set_status(&f.g, 0);
	ck_assert_uint_eq(f.e.nheld, 0);
	ck_assert_uint_eq(vguest_status(&f.g), 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x40, 1), 0);
	/* And from the beginning. */
	f.e.hold = false;
	vguest_start(&f.g, &f.r, 8, CORE);
	offer(&f, 5, 4);
	vguest_notify(&f.g, 0);
	vguest_wait_irq(&f.g);
	ck_assert(vring_take(&f.r, &id, &len));
	ck_assert_uint_eq(id, 5);
	teardown(&f);
}
END_TEST

START_TEST(stop_waits_for_requests)
{
	struct fixture f;
	unsigned stopped = 0;
	uint32_t id, len;

	setup(&f);
	f.e.hold = true;
	vguest_start(&f.g, &f.r, 8, CORE);
	offer(&f, 1, 4);
	vguest_notify(&f.g, 0);
	vguest_turn(&f.g);
	virtio_pci_stop(f.vp, count, &stopped);
	vguest_turn(&f.g);
	ck_assert_uint_eq(stopped, 0);
	/* Nothing new is taken meanwhile. */
	offer(&f, 2, 4);
	vguest_notify(&f.g, 0);
	vguest_turn(&f.g);
	ck_assert_uint_eq(f.e.nheld, 1);
	echo_release(&f.e);
	ck_assert_uint_eq(stopped, 1);
	/* The guest has what completed before it went on. */
	ck_assert(vring_take(&f.r, &id, &len));
	ck_assert_uint_eq(id, 1);
	ck_assert(!vring_take(&f.r, &id, &len));
	f.e.hold = false;
	virtio_pci_resume(f.vp);
	ck_assert_uint_eq(vguest_wait_irq(&f.g), VIRTIO_ISR_QUEUE);
	vguest_turn(&f.g);
	ck_assert(vring_take(&f.r, &id, &len));
	ck_assert_uint_eq(id, 2);
	teardown(&f);
}
END_TEST

START_TEST(machine_reset)
{
	struct fixture f;

	setup(&f);
	vguest_start(&f.g, &f.r, 8, CORE);
	offer(&f, 1, 4);
	vguest_notify(&f.g, 0);
	vguest_turn(&f.g);
	pci_fold_intx(f.g.pci);
	ck_assert(vguest_line(&f.g));
	vguest_out(&f.g, 0x16, 2, 2);
	virtio_pci_ops.reset(f.vp);
	ck_assert(!vguest_line(&f.g));
	ck_assert_uint_eq(vguest_status(&f.g), 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x16, 2), 0);
	ck_assert_uint_eq(vguest_in(&f.g, 0x1c, 2), 0);
	teardown(&f);
}
END_TEST

static void
use(void *dev)
{
	virtio_pci_ops.reset(dev);
}

/* Half of the traffic in one machine, half in another over its memory. */
START_TEST(state_travels)
{
	struct fixture f, g;
	unsigned i, stopped = 0;
	uint32_t id, len;

	setup(&f);
	setup(&g);
	vguest_start(&f.g, &f.r, 8, CORE | EVENT_IDX);
	for (i = 0; i < 11; i++) {
		offer(&f, i % 8, i + 1);
		vguest_notify(&f.g, 0);
		vguest_turn(&f.g);
		ck_assert(i == 0 || vring_take(&f.r, &id, &len));
	}
	virtio_pci_stop(f.vp, count, &stopped);
	ck_assert_uint_eq(stopped, 1);
	offer(&f, 3, 99);
	memcpy(g.g.gm.range[0].hva, f.g.gm.range[0].hva, VGUEST_MEM);
	testhost_round_trip(&virtio_pci_ops, f.vp, g.vp);
	g.r = f.r;
	g.r.mem = g.g.gm.range[0].hva;
	/* What is pending there is pending here; the rest follows. */
	ck_assert_uint_eq(vguest_status(&g.g), 0x0f);
	ck_assert_uint_eq(vguest_wait_irq(&g.g), VIRTIO_ISR_QUEUE);
	ck_assert(vring_take(&g.r, &id, &len));
	ck_assert(!vring_take(&g.r, &id, &len));
	vring_arm(&g.r);
	virtio_pci_resume(g.vp);
	ck_assert_uint_eq(vguest_wait_irq(&g.g), VIRTIO_ISR_QUEUE);
	ck_assert(vring_take(&g.r, &id, &len));
	ck_assert_uint_eq(id, 3);
	ck_assert_uint_eq(len, 99);
	teardown(&g);
	setup(&g);
	testhost_corrupt(&virtio_pci_ops, f.vp, g.vp, use);
	teardown(&g);
	teardown(&f);
}
END_TEST

START_TEST(running_device_is_not_saved)
{
	struct fixture f;
	struct state_writer w;
	struct buf b;

	setup(&f);
	vguest_start(&f.g, &f.r, 8, CORE);
	buf_init(&b, 4096);
	w.out = &b;
	ck_assert_int_eq(virtio_pci_ops.save(f.vp, &w), -EBUSY);
	buf_free(&b);
	teardown(&f);
}
END_TEST

#define ROUNDS	300

/* The vCPU: brings the device up, drives it, resets it amid its work. */
static void *
vcpu(void *arg)
{
	struct fixture *f = arg;
	uint32_t id, len;
	unsigned round, i, got;

	for (round = 0; round < ROUNDS; round++) {
		vguest_start(&f->g, &f->r, 8,
		    CORE | (round % 2 ? EVENT_IDX : 0));
		for (i = 0; i < 8; i++)
			offer(f, i, round + 1);
		vguest_notify(&f->g, 0);
		if (round % 3 == 0)
			continue;
		for (got = 0; got < 8;) {
			vring_arm(&f->r);
			if (vring_take(&f->r, &id, &len)) {
				ck_assert_uint_eq(len, round + 1);
				got++;
			} else {
				vguest_wait_irq(&f->g);
			}
		}
	}
	return NULL;
}

struct runner {
	struct fixture		*f;
	struct loop_task	 task;
	void			*(*fn)(void *);
};

static void
end_loop(void *arg)
{
	loop_break(arg);
}

static void *
run_vcpu(void *arg)
{
	struct runner *r = arg;

	r->fn(r->f);
	loop_post(r->f->loop, &r->task);
	return NULL;
}

START_TEST(vcpu_on_its_own_thread)
{
	struct fixture f;
	struct runner r = { .f = &f, .fn = vcpu };
	pthread_t tid;

	setup(&f);
	f.g.threaded = true;
	r.task.fn = end_loop;
	r.task.arg = f.loop;
	ck_assert_int_eq(pthread_create(&tid, NULL, run_vcpu, &r), 0);
	loop_run(f.loop);
	pthread_join(tid, NULL);
	ck_assert_uint_eq(f.e.started, ROUNDS);
	f.g.threaded = false;
	teardown(&f);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("virtio_pci");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, identity_and_capabilities);
	tcase_add_test(tc, registers_after_creation);
	tcase_add_test(tc, widths);
	tcase_add_test(tc, negotiation);
	tcase_add_test(tc, status_only_grows);
	tcase_add_test(tc, queue_registers);
	tcase_add_test(tc, chain_comes_back_with_an_interrupt);
	tcase_add_test(tc, early_chains_are_found);
	tcase_add_test(tc, notify_port_and_width);
	tcase_add_test(tc, one_interrupt_for_a_batch);
	tcase_add_test(tc, window_of_configuration_space);
	tcase_add_test(tc, broken_ring_needs_reset);
	tcase_add_test(tc, broken_device_is_dead);
	tcase_add_test(tc, misplaced_queue_needs_reset);
	tcase_add_test(tc, reset_waits_for_requests);
	tcase_add_test(tc, stop_waits_for_requests);
	tcase_add_test(tc, machine_reset);
	tcase_add_test(tc, state_travels);
	tcase_add_test(tc, running_device_is_not_saved);
	tcase_add_test(tc, vcpu_on_its_own_thread);
	return test_main("virtio_pci", tc);
}
