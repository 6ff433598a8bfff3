/* SPDX-License-Identifier: ISC */
/*
 * NICs of guests: see nic.h.
 */
#include "vmm/nic.h"

#include <ev.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/loop.h"
#include "net/answer.h"
#include "vmm/network.h"

/* A limited direction may send a tenth of a second's at once, or these. */
#define BURST_PART	10
#define BURST_BYTES	(UINT64_C(128) << 10)
#define BURST_PACKETS	64

/* So long is the cable out for a guest to see that; a blink it would miss. */
#define CABLE_OUT	1.0

struct nic {
	struct nic_conf		 c;		/* immutable */
	struct port		*port;
	struct loop		*loop;		/* NULL: not plugged in */
	struct network		*net;
	struct vm_nic		 conf;
	struct answer		 answer;
	ev_timer		 due;		/* what comes unasked */
	ev_timer		 cable;		/* until it is back */
	bool			 rests;		/* and has none */
};

static struct ev_loop *
nic_ev(const struct nic *n)
{
	return loop_ev(n->loop);
}

/* Waits for the next advertisement that nobody asks for. */
static void
set_due(struct nic *n)
{
	uint64_t when = answer_due(&n->answer), now;

	ev_timer_stop(nic_ev(n), &n->due);
	if (when == RA_NEVER)
		return;
	now = loop_now_ns();
	ev_timer_set(&n->due, when > now ? (double)(when - now) / 1e9 : 0.,
	    0.);
	ev_timer_start(nic_ev(n), &n->due);
}

/* A guest that takes nothing loses what it is told. */
static void
tell(struct nic *n, const uint8_t *frame, int len)
{
	if (len > 0)
		(void)port_answer(n->port, frame, (size_t)len);
}

static void
on_due(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct nic *n = t->data;
	uint8_t out[FRAME_MAX];

	(void)ev;
	(void)revents;
	tell(n, out, answer_periodic(&n->answer, loop_now_ns(), out));
	set_due(n);
}

static bool
on_frame(void *cookie, const struct iovec *iov, unsigned niov)
{
	struct nic *n = cookie;
	uint64_t due = answer_due(&n->answer);
	uint8_t out[FRAME_MAX];
	int len;

	/* Most frames are none of ours, and need not know the time. */
	if (!answer_iov_is_asked(iov, niov))
		return false;
	len = answer_iov(&n->answer, iov, niov, loop_now_ns(), out);
	if (len == -ENOMSG)
		return false;
	tell(n, out, len);
	if (answer_due(&n->answer) != due)
		set_due(n);
	return true;
}

static int
set_cable(struct nic *n, char *err, size_t errlen)
{
	int error = port_set_cable(n->port, !n->conf.down && !n->rests);

	if (error != 0)
		snprintf(err, errlen, "vm %s: nic %u: link: %s", n->c.vm,
		    n->c.number, strerror(-error));
	return error;
}

/* Has the guest ask for an address again, as in any network it comes to. */
static void
pull_cable(struct nic *n)
{
	if (port_set_cable(n->port, false) != 0)
		return;
	ev_timer_stop(nic_ev(n), &n->cable);
	ev_timer_set(&n->cable, CABLE_OUT, 0.);
	/* A reload may have taken much of this turn of the loop. */
	ev_now_update(nic_ev(n));
	ev_timer_start(nic_ev(n), &n->cable);
}

static void
on_cable(struct ev_loop *ev, ev_timer *t, int revents)
{
	char err[256];

	(void)ev;
	(void)revents;
	if (set_cable(t->data, err, sizeof(err)) != 0)
		log_error("%s", err);
}

int
nic_create(struct nic **np, const struct nic_conf *c, char *err,
    size_t errlen)
{
	const struct port_conf pc = {
		.daemon = c->daemon, .vm = c->vm, .nic = c->number,
		.nqueues = c->queues, .set = c->set,
	};
	struct nic *n;
	int error;

	n = calloc(1, sizeof(*n));
	if (n == NULL) {
		snprintf(err, errlen, "nic %u: %s", c->number,
		    strerror(ENOMEM));
		return -ENOMEM;
	}
	n->c = *c;
	ev_timer_init(&n->due, on_due, 0., 0.);
	n->due.data = n;
	ev_timer_init(&n->cable, on_cable, 0., 0.);
	n->cable.data = n;
	error = port_create(&n->port, &pc, err, errlen);
	if (error != 0) {
		free(n);
		return error;
	}
	*np = n;
	return 0;
}

void
nic_destroy(struct nic *n)
{
	port_destroy(n->port);
	free(n);
}

int
nic_index(const struct nic *n)
{
	return port_index(n->port);
}

struct nicport *
nic_far_end(struct nic *n)
{
	return port_nic(n->port);
}

static struct bucket_limit
limit(uint64_t rate, uint64_t least)
{
	struct bucket_limit l = { .rate = rate, .burst = rate / BURST_PART };

	if (l.burst < least)
		l.burst = least;
	return l;
}

static void
set_limit(struct nic *n, enum port_dir to, enum nic_dir dir)
{
	const struct bucket_limit bytes = limit(n->conf.bytes[dir],
	    BURST_BYTES);
	const struct bucket_limit packets = limit(n->conf.packets[dir],
	    BURST_PACKETS);

	port_set_limit(n->port, to, &bytes, &packets);
}

static bool
limits_equal(const struct vm_nic *a, const struct vm_nic *b,
    enum nic_dir dir)
{
	return a->bytes[dir] == b->bytes[dir] &&
	    a->packets[dir] == b->packets[dir];
}

/* The guest that begins is told all as if it had never been. */
static int
wake(struct nic *n, const struct vm_nic *conf, char *err, size_t errlen)
{
	struct lease l;
	int error;

	error = nic_change(n, conf, err, errlen);
	n->rests = false;
	if (error == 0)
		error = set_cable(n, err, errlen);
	l = n->answer.lease;
	answer_init(&n->answer, &l, loop_now_ns());
	set_due(n);
	return error;
}

int
nic_plug(struct nic *n, struct loop *loop, struct network *net,
    const struct vm_nic *conf, char *err, size_t errlen)
{
	const struct port_filter filter = { .frame = on_frame, .cookie = n };
	struct lease l;
	int error;

	if (n->loop != NULL)
		return wake(n, conf, err, errlen);
	n->conf = *conf;
	error = conf->down ? set_cable(n, err, errlen) : 0;
	if (error == 0)
		error = port_plug(n->port, loop, network_switches(net),
		    conf->sw, err, errlen);
	if (error != 0)
		return error;
	n->loop = loop;
	n->net = net;
	network_lease(net, n->c.vm, conf, n->c.number, &l);
	answer_init(&n->answer, &l, loop_now_ns());
	set_due(n);
	port_set_filter(n->port, &filter);
	set_limit(n, PORT_SEND, NIC_OUT);
	set_limit(n, PORT_RECV, NIC_IN);
	return 0;
}

bool
nic_rest(struct nic *n)
{
	n->rests = true;
	ev_timer_stop(nic_ev(n), &n->due);
	ev_timer_stop(nic_ev(n), &n->cable);
	return port_set_cable(n->port, false) == 0;
}

void
nic_drain(struct nic *n)
{
	port_drain(n->port);
}

void
nic_unplug(struct nic *n)
{
	if (n->loop == NULL)
		return;
	ev_timer_stop(nic_ev(n), &n->due);
	ev_timer_stop(nic_ev(n), &n->cable);
	port_set_filter(n->port, NULL);
	port_unplug(n->port);
	n->loop = NULL;
}

static void
change_lease(struct nic *n)
{
	const struct lease *was = &n->answer.lease;
	uint8_t out[FRAME_MAX];
	struct lease l;
	bool moved;

	network_lease(n->net, n->c.vm, &n->conf, n->c.number, &l);
	/* Both were filled from zero on. */
	if (memcmp(&l, was, sizeof(l)) == 0)
		return;
	moved = l.ip != was->ip || l.prefix != was->prefix ||
	    l.server != was->server;
	tell(n, out, answer_change(&n->answer, &l, loop_now_ns(), out));
	set_due(n);
	if (moved)
		pull_cable(n);
}

int
nic_change(struct nic *n, const struct vm_nic *conf, char *err,
    size_t errlen)
{
	struct vm_nic old = n->conf;
	int error = 0;

	n->conf = *conf;
	if (!limits_equal(&old, conf, NIC_OUT))
		set_limit(n, PORT_SEND, NIC_OUT);
	if (!limits_equal(&old, conf, NIC_IN))
		set_limit(n, PORT_RECV, NIC_IN);
	if (old.down != conf->down)
		error = set_cable(n, err, errlen);
	if (error == 0 && strcmp(old.sw, conf->sw) != 0) {
		pull_cable(n);
		error = port_move(n->port, conf->sw, err, errlen);
	}
	if (error != 0)
		memcpy(n->conf.sw, old.sw, sizeof(old.sw));
	change_lease(n);
	return error;
}

void
nic_get_status(const struct nic *n, struct nic_status *st)
{
	const struct lease *l = &n->answer.lease;

	memset(st, 0, sizeof(*st));
	snprintf(st->sw, sizeof(st->sw), "%s", n->conf.sw);
	snprintf(st->tap, sizeof(st->tap), "%s", port_name(n->port));
	memcpy(st->mac, l->mac, sizeof(st->mac));
	st->ip = l->ip;
	st->prefix = l->prefix;
	st->up = port_is_up(n->port);
	st->in = *port_counters(n->port, PORT_RECV);
	st->out = *port_counters(n->port, PORT_SEND);
}
