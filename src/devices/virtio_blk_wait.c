/* SPDX-License-Identifier: ISC */
/*
 * virtio block device: requests that wait to go to the disk, in the order in
 * which they began to.  Those that failed wait for the cause to be gone, which
 * whoever stopped the guest for it says; one beyond the limits waits for its
 * time, and while it does no other is taken from the queues.
 */
#include <errno.h>
#include <string.h>

#include "base/loop.h"
#include "devices/virtio_blk_local.h"

#define BURST		UINT64_C(100000000)	/* ns */
#define BURST_BYTES	(UINT64_C(128) << 10)	/* at least */

__extension__ typedef unsigned __int128 wide;

static void
blk_wait(struct virtio_blk *b, struct blk_req *r)
{
	r->next = NULL;
	*b->last_waiting = r;
	b->last_waiting = &r->next;
}

static void
blk_wait_until(struct virtio_blk *b, uint64_t now, uint64_t then)
{
	struct ev_loop *ev = loop_ev(b->c.loop);

	if (ev_is_active(&b->timer))
		return;
	ev_timer_set(&b->timer, (double)(then - now) / 1e9, 0.);
	/* The loop's clock is that of the turn's begin. */
	ev_now_update(ev);
	ev_timer_start(ev, &b->timer);
}

/* What a request costs the host, in bytes; to discard costs none. */
static uint64_t
blk_cost(const struct blk_req *r)
{
	return r->disk.op == DISK_ZERO ? r->disk.len : r->bytes;
}

/* May it go, by the limits?  If not, the timer says when. */
static bool
blk_pay(struct virtio_blk *b, struct blk_req *r)
{
	uint64_t now, then;

	if (!b->limited || r->paid || b->stopping)
		return true;
	now = loop_now_ns();
	then = bucket_take(&b->bucket, now, blk_cost(r), 1);
	r->paid = then == 0;
	if (!r->paid)
		blk_wait_until(b, now, then);
	return r->paid;
}

static void
blk_go_on(struct virtio_blk *b)
{
	struct blk_req *r;

	while (!b->halted && (r = b->waiting) != NULL && blk_pay(b, r)) {
		b->waiting = r->next;
		if (b->waiting == NULL)
			b->last_waiting = &b->waiting;
		blk_issue(b, r);
	}
	if (b->starved != 0 && !b->stopping && !blk_waits(b))
		blk_feed(b);
}

static void
blk_due(struct ev_loop *ev, ev_timer *t, int revents)
{
	(void)ev;
	(void)revents;
	blk_go_on(t->data);
}

void
blk_wait_init(struct virtio_blk *b)
{
	static const struct bucket_limit none;

	b->last_waiting = &b->waiting;
	bucket_init(&b->bucket, &none, &none, 0);
	ev_timer_init(&b->timer, blk_due, 0., 0.);
	b->timer.data = b;
}

/* Only what may be needed is noted. */
static void
blk_note(struct virtio_blk *b, struct blk_req *r)
{
	r->again = b->policy.on_error == BLK_ERROR_PAUSE;
	if (!r->again)
		return;
	r->op = r->disk.op;
	r->from = r->disk.iov;
	r->niov = r->disk.niov;
	memcpy(r->iov, r->from, r->niov * sizeof(r->iov[0]));
}

void
blk_submit(struct virtio_blk *b, struct blk_req *r)
{
	blk_note(b, r);
	r->paid = false;
	if (blk_pay(b, r))
		blk_issue(b, r);
	else
		blk_wait(b, r);
}

bool
blk_keep(struct virtio_blk *b, struct blk_req *r, int error)
{
	const struct virtio_blk_error e = {
		.op = r->disk.op,
		.sector = r->head.sector,
		.error = error,
	};

	/* What was refused, was so for what the guest wanted. */
	if (!r->again || b->policy.on_error != BLK_ERROR_PAUSE ||
	    b->stopping || error == -EPERM || b->c.failed == NULL ||
	    !b->c.failed(b->c.cookie, &e))
		return false;
	r->disk.op = r->op;
	r->disk.iov = r->from;
	r->disk.niov = r->niov;
	memcpy(r->from, r->iov, r->niov * sizeof(r->iov[0]));
	b->halted = true;
	blk_wait(b, r);
	return true;
}

void
blk_wait_stop(struct virtio_blk *b)
{
	if (ev_is_active(&b->timer))
		ev_timer_stop(loop_ev(b->c.loop), &b->timer);
	b->halted = false;
	blk_go_on(b);
}

void
virtio_blk_retry(struct virtio_blk *b)
{
	b->halted = false;
	blk_go_on(b);
}

static struct bucket_limit
blk_limit(uint64_t rate, uint64_t burst, uint64_t least)
{
	wide n = (wide)rate * burst / UINT64_C(1000000000);
	struct bucket_limit l = {
		.rate = rate,
		.burst = n < BUCKET_MAX ? (uint64_t)n : BUCKET_MAX,
	};

	if (l.burst < least)
		l.burst = least;
	return l;
}

void
virtio_blk_set_policy(struct virtio_blk *b,
    const struct virtio_blk_policy *policy)
{
	const uint64_t burst = policy->burst != 0 ? policy->burst : BURST;
	const struct bucket_limit bytes = blk_limit(policy->bytes, burst,
	    BURST_BYTES);
	const struct bucket_limit requests = blk_limit(policy->requests,
	    burst, 1);

	b->policy = *policy;
	b->limited = policy->bytes != 0 || policy->requests != 0;
	bucket_set(&b->bucket, &bytes, &requests, loop_now_ns());
	if (ev_is_active(&b->timer)) {
		ev_timer_stop(loop_ev(b->c.loop), &b->timer);
		blk_go_on(b);
	}
}
