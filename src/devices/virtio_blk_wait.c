/* SPDX-License-Identifier: ISC */
/*
 * virtio block device: requests that wait to go to the disk, in the order in
 * which they began to.  Those that failed wait for the cause to be gone, which
 * whoever stopped the guest for it says.
 */
#include <errno.h>
#include <string.h>

#include "devices/virtio_blk_local.h"

void
blk_wait_init(struct virtio_blk *b)
{
	b->waiting = NULL;
	b->last_waiting = &b->waiting;
	b->halted = false;
}

static void
blk_wait(struct virtio_blk *b, struct blk_req *r)
{
	r->next = NULL;
	*b->last_waiting = r;
	b->last_waiting = &r->next;
}

static void
blk_go_on(struct virtio_blk *b)
{
	struct blk_req *r;

	while (!b->halted && (r = b->waiting) != NULL) {
		b->waiting = r->next;
		if (b->waiting == NULL)
			b->last_waiting = &b->waiting;
		blk_issue(b, r);
	}
	if (b->starved != 0 && !b->stopping && !blk_waits(b))
		blk_feed(b);
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
	blk_issue(b, r);
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
	b->halted = false;
	blk_go_on(b);
}

void
virtio_blk_retry(struct virtio_blk *b)
{
	b->halted = false;
	blk_go_on(b);
}

void
virtio_blk_set_policy(struct virtio_blk *b,
    const struct virtio_blk_policy *policy)
{
	b->policy = *policy;
}
