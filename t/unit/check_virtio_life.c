/* SPDX-License-Identifier: ISC */
/*
 * The life of a virtio device: what a reset waits for, how a broken device
 * stays alone, how its state travels, and all of it with the vCPU on a thread
 * of its own.
 */
#include "echo.h"

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

/* One that waits for its reset does so elsewhere, and can go on from there. */
START_TEST(broken_device_travels)
{
	struct fixture f, g;
	unsigned stopped = 0;

	setup(&f);
	setup(&g);
	vguest_start(&f.g, &f.r, 8, CORE);
	offer(&f, 1, 4);
	vguest_notify(&f.g, 0);
	vguest_turn(&f.g);
	vring_offer(&f.r, 8);
	vguest_notify(&f.g, 0);
	vguest_turn(&f.g);
	ck_assert_uint_eq(vguest_status(&f.g), 0x4f);
	virtio_pci_stop(f.vp, count, &stopped);
	ck_assert_uint_eq(stopped, 1);
	testhost_round_trip(&virtio_pci_ops, f.vp, g.vp);
	ck_assert_uint_eq(vguest_status(&g.g), 0x4f);
	virtio_pci_resume(g.vp);
	ck_assert_uint_eq(g.e.started, 0);
	vguest_start(&g.g, &g.r, 8, CORE);
	ck_assert_uint_eq(g.e.started, 1);
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
	TCase *tc = tcase_create("virtio_life");

	tcase_add_test(tc, broken_ring_needs_reset);
	tcase_add_test(tc, broken_device_is_dead);
	tcase_add_test(tc, misplaced_queue_needs_reset);
	tcase_add_test(tc, reset_waits_for_requests);
	tcase_add_test(tc, stop_waits_for_requests);
	tcase_add_test(tc, machine_reset);
	tcase_add_test(tc, state_travels);
	tcase_add_test(tc, broken_device_travels);
	tcase_add_test(tc, running_device_is_not_saved);
	tcase_add_test(tc, vcpu_on_its_own_thread);
	return test_main("virtio_life", tc);
}
