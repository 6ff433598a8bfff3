/* SPDX-License-Identifier: ISC */
/*
 * Ports: see port.h.
 *
 * A descriptor is watched only while the NIC wants to be called and the
 * direction has tokens, so a guest that takes nothing costs nothing.  A frame
 * is paid for when the next one wants to go, since the length of one that is
 * received is known no sooner.
 */
#include "net/port.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "net/ifname.h"
#include "net/switch.h"

#define PORT_ANSWERS	8
#define PORT_DRAIN	1024	/* frames that a tap's queue holds, and more */
#define PORT_ANSWER_MAX	(NICPORT_HEADER + 14 + 1500)

/* One direction: the time it has to wait, and what it still has to pay. */
struct port_lane {
	struct port		*port;
	struct bucket		 bucket;
	uint64_t		 owed;		/* bytes of frames that passed */
	uint64_t		 packets;	/* how many, not yet paid for */
	bool			 limited;
	bool			 waits;		/* the timer runs */
	ev_timer		 timer;
	struct port_counters	 counters;
};

struct port_queue {
	struct port	*port;
	unsigned	 number;
	unsigned	 want;		/* NICPORT_RECV, NICPORT_SEND */
	int		 fd;
	bool		 used;		/* the tap puts frames here */
	ev_io		 readable;
	ev_io		 writable;
};

struct port_frame {
	size_t	 len;
	uint8_t	 bytes[PORT_ANSWER_MAX];
};

struct port {
	struct nicport		 nic;
	struct switch_port	 sp;
	char			 name[IFNAME_SIZE];
	struct loop		*loop;		/* NULL: not plugged in */
	struct switches		*switches;
	const struct nic_ops	*ops;		/* NULL: no NIC */
	void			*cookie;	/* the NIC */
	struct port_filter	 filter;
	struct port_lane	 lanes[PORT_DIRS];
	struct port_frame	*answers[PORT_ANSWERS];
	unsigned		 nanswers;
	ev_timer		 answer;	/* the next turn of the loop */
	ev_timer		 change;	/* the same, for queues */
	bool			 up;
	bool			 broken;	/* the tap was taken away */
	unsigned		 offload;	/* of the tap */
	unsigned		 inuse;		/* queues, of */
	unsigned		 nqueues;
	struct port_queue	 queues[];
};

static struct port *
port_of(struct nicport *nic)
{
	return (struct port *)nic;
}

static void
port_watch(struct ev_loop *ev, ev_io *io, bool on)
{
	if (on)
		ev_io_start(ev, io);
	else
		ev_io_stop(ev, io);
}

/* Lets each watcher be active if something is to come of it. */
static void
queue_update(struct port_queue *q)
{
	struct port *p = q->port;
	struct ev_loop *ev;
	bool sends;

	if (p->loop == NULL)
		return;
	ev = loop_ev(p->loop);
	port_watch(ev, &q->readable, (q->want & NICPORT_RECV) && q->used &&
	    !p->lanes[PORT_RECV].waits && !p->broken);
	sends = (q->want & NICPORT_SEND) && !p->lanes[PORT_SEND].waits;
	port_watch(ev, &q->writable, sends && q->used && !p->broken);
	/* What waits is lost, and not for ever on its way. */
	if (sends && p->broken)
		ev_feed_event(ev, &q->writable, EV_WRITE);
	if (q->number != 0)
		return;
	if ((q->want & NICPORT_RECV) && p->nanswers > 0)
		ev_timer_start(ev, &p->answer);
	else
		ev_timer_stop(ev, &p->answer);
}

static void
port_update(struct port *p)
{
	unsigned i;

	for (i = 0; i < p->nqueues; i++)
		queue_update(&p->queues[i]);
}

/* Somebody has deleted the tap: its descriptors only report errors now. */
static void
port_break(struct port *p)
{
	if (p->broken)
		return;
	p->broken = true;
	log_warn("%s: interface %s was deleted", p->sp.what, p->name);
	port_update(p);
}

/* May a frame pass?  If not, the timer says when. */
static bool
lane_open(struct port_lane *l)
{
	uint64_t now, then;

	if (!l->limited || l->packets == 0)
		return true;
	if (l->waits)
		return false;
	now = loop_now_ns();
	then = bucket_take(&l->bucket, now, l->owed,
	    l->packets);
	if (then == 0) {
		l->owed = l->packets = 0;
		return true;
	}
	l->waits = true;
	l->counters.waits++;
	ev_timer_set(&l->timer, (double)(then - now) / 1e9, 0.);
	/* The loop's clock is that of the turn's begin. */
	ev_now_update(loop_ev(l->port->loop));
	ev_timer_start(loop_ev(l->port->loop), &l->timer);
	port_update(l->port);
	return false;
}

static size_t
frame_bytes(size_t len)
{
	return len > NICPORT_HEADER ? len - NICPORT_HEADER : 0;
}

/* Answers pass a lane that is not open, so what is owed adds up. */
static void
lane_owes(struct port_lane *l, size_t len)
{
	if (!l->limited)
		return;
	l->owed += frame_bytes(len);
	l->packets++;
}

static void
lane_passed(struct port_lane *l, size_t len)
{
	l->counters.packets++;
	l->counters.bytes += frame_bytes(len);
	lane_owes(l, len);
}

static void
lane_due(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct port_lane *l = t->data;

	(void)ev;
	(void)revents;
	l->waits = false;
	port_update(l->port);
}

static void
lane_stop(struct port_lane *l)
{
	l->waits = false;
	ev_timer_stop(loop_ev(l->port->loop), &l->timer);
}

static size_t
iov_length(const struct iovec *iov, unsigned niov)
{
	size_t len = 0;
	unsigned i;

	for (i = 0; i < niov; i++)
		len += iov[i].iov_len;
	return len;
}

/*
 * Is it to 01:80:c2:00:00:00 to :0f (IEEE 802.1Q, 8.6.3)?  Bridges do not pass
 * those on, and Linux takes them for the host, of which a guest is no part: no
 * rule of the bridge ever sees most of them.
 */
static bool
is_reserved(const struct iovec *iov, unsigned niov)
{
	static const uint8_t group[] = { 0x01, 0x80, 0xc2, 0, 0 };
	uint8_t mac[6] = { 0 };
	size_t skip = NICPORT_HEADER, have = 0, n;

	for (; niov > 0 && have < sizeof(mac); iov++, niov--) {
		n = iov->iov_len < skip ? iov->iov_len : skip;
		skip -= n;
		for (; n < iov->iov_len && have < sizeof(mac); n++)
			mac[have++] = ((const uint8_t *)iov->iov_base)[n];
	}
	return memcmp(mac, group, sizeof(group)) == 0 && mac[5] < 16;
}

static int
port_send(struct nicport *nic, unsigned queue, const struct iovec *iov,
    unsigned niov)
{
	struct port *p = port_of(nic);
	struct port_lane *l = &p->lanes[PORT_SEND];
	ssize_t sent;
	int error;

	assert(queue < p->nqueues);
	if ((!p->queues[queue].used && !p->broken) || !lane_open(l))
		return -EAGAIN;
	if (is_reserved(iov, niov)) {
		l->counters.lost++;
		lane_owes(l, iov_length(iov, niov));
		return 0;
	}
	if (p->filter.frame != NULL &&
	    p->filter.frame(p->filter.cookie, iov, niov)) {
		l->counters.answered++;
		lane_passed(l, iov_length(iov, niov));
		return 0;
	}
	/* The kernel takes longer to look at a vector. */
	sent = niov == 1 ?
	    write(p->queues[queue].fd, iov->iov_base, iov->iov_len) :
	    writev(p->queues[queue].fd, iov, (int)niov);
	if (sent != -1) {
		lane_passed(l, iov_length(iov, niov));
		return 0;
	}
	error = errno;
	if (error == EAGAIN || error == EINTR)
		return -EAGAIN;
	if (error == EBADFD)
		port_break(p);
	/* To refuse it was work, too. */
	l->counters.lost++;
	lane_owes(l, iov_length(iov, niov));
	return -error;
}

/* The first of the answers, as much of it as there is room for. */
static ssize_t
port_recv_answer(struct port *p, const struct iovec *iov, unsigned niov)
{
	struct port_frame *f = p->answers[0];
	size_t done = 0, n;
	unsigned i;

	for (i = 0; i < niov && done < f->len; i++) {
		n = f->len - done;
		n = n < iov[i].iov_len ? n : iov[i].iov_len;
		memcpy(iov[i].iov_base, f->bytes + done, n);
		done += n;
	}
	free(f);
	p->nanswers--;
	memmove(p->answers, p->answers + 1,
	    p->nanswers * sizeof(p->answers[0]));
	p->lanes[PORT_RECV].counters.answered++;
	return (ssize_t)done;
}

static ssize_t
port_recv(struct nicport *nic, unsigned queue, const struct iovec *iov,
    unsigned niov)
{
	struct port *p = port_of(nic);
	struct port_lane *l = &p->lanes[PORT_RECV];
	ssize_t len;

	assert(queue < p->nqueues);
	if (queue == 0 && p->nanswers > 0) {
		len = port_recv_answer(p, iov, niov);
		lane_passed(l, (size_t)len);
		return len;
	}
	if (!p->queues[queue].used || !lane_open(l))
		return -EAGAIN;
	len = niov == 1 ?
	    read(p->queues[queue].fd, iov->iov_base, iov->iov_len) :
	    readv(p->queues[queue].fd, iov, (int)niov);
	if (len > 0) {
		lane_passed(l, (size_t)len);
		return len;
	}
	if (len == -1 && errno == EBADFD)
		port_break(p);
	return -EAGAIN;
}

static void
port_want(struct nicport *nic, unsigned queue, unsigned what)
{
	struct port *p = port_of(nic);

	assert(queue < p->nqueues);
	p->queues[queue].want = what;
	queue_update(&p->queues[queue]);
}

/* Takes one queue more into use, or one less. */
static int
queue_use(struct port_queue *q, bool on)
{
	int error;

	if (q->used == on)
		return 0;
	error = os_tap_queue(q->fd, on);
	if (error != 0)
		return error;
	q->used = on;
	queue_update(q);
	return 0;
}

/* The first queue that is used and should not be, or the reverse, or NULL. */
static struct port_queue *
port_odd_queue(struct port *p)
{
	unsigned i;

	for (i = 0; i < p->nqueues; i++)
		if (p->queues[i].used != (i < p->inuse))
			return &p->queues[i];
	return NULL;
}

/*
 * Each change waits for the lock of all the host's interfaces, and the kernel
 * for all its CPUs before it lets go of a queue: one a turn, so that a guest of
 * many cannot hold up others.
 */
static void
change_due(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct port *p = t->data;
	struct port_queue *q = port_odd_queue(p);
	int error;

	(void)revents;
	if (q == NULL)
		return;
	error = queue_use(q, !q->used);
	if (error == 0)
		ev_timer_start(ev, t);
	else
		log_warn("%s: queue %u: %s", p->sp.what, q->number,
		    strerror(-error));
}

static int
port_queues(struct nicport *nic, unsigned n)
{
	struct port *p = port_of(nic);

	if (n < 1 || n > p->nqueues)
		return -EINVAL;
	p->inuse = n;
	if (port_odd_queue(p) != NULL)
		ev_timer_start(loop_ev(p->loop), &p->change);
	return 0;
}

static int
port_offload(struct nicport *nic, unsigned flags)
{
	struct port *p = port_of(nic);
	int error;

	if (flags & ~p->nic.offloads)
		return -EINVAL;
	/* It waits for the lock of all the host's interfaces. */
	if (flags == p->offload)
		return 0;
	error = os_tap_offload(p->queues[0].fd, flags);
	if (error == 0)
		p->offload = flags;
	return error;
}

static void
port_forget_answers(struct port *p)
{
	while (p->nanswers > 0)
		free(p->answers[--p->nanswers]);
}

static void
port_attach(struct nicport *nic, const struct nic_ops *ops, void *cookie)
{
	struct port *p = port_of(nic);
	unsigned i;

	assert(p->loop != NULL);
	p->ops = ops;
	p->cookie = cookie;
	port_forget_answers(p);
	for (i = 0; i < p->nqueues; i++)
		p->queues[i].want = 0;
	port_update(p);
	if (ops == NULL)
		return;
	if (port_queues(nic, 1) != 0 || port_offload(nic, 0) != 0)
		log_warn("%s: interface %s is not as it began", p->sp.what,
		    p->name);
	ops->link(cookie, p->up);
}

static const struct nicport_ops port_ops = {
	.attach = port_attach,
	.send = port_send,
	.recv = port_recv,
	.want = port_want,
	.queues = port_queues,
	.offload = port_offload,
};

static void
queue_readable(struct ev_loop *ev, ev_io *io, int revents)
{
	struct port_queue *q = io->data;

	(void)ev;
	(void)revents;
	q->port->ops->readable(q->port->cookie, q->number);
}

static void
queue_writable(struct ev_loop *ev, ev_io *io, int revents)
{
	struct port_queue *q = io->data;

	(void)ev;
	(void)revents;
	q->port->ops->writable(q->port->cookie, q->number);
}

static void
answer_ready(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct port *p = t->data;

	(void)ev;
	(void)revents;
	p->ops->readable(p->cookie, 0);
	/* NULL: it has just left. */
	if (p->loop != NULL)
		queue_update(&p->queues[0]);
}

static void
port_link(struct switch_port *sp, bool up)
{
	struct port *p = (struct port *)((char *)sp -
	    offsetof(struct port, sp));

	p->up = up;
	if (p->ops != NULL)
		p->ops->link(p->cookie, up);
}

/* What a new tap is. */
static const struct port_set fresh = { .mtu = 1500 };

/* Makes it what it shall be. */
static int
port_set_up(struct port *p, const struct port_conf *c, char *err,
    size_t errlen)
{
	struct os_value v = { .number = 0 };
	char mark[IFNAME_MARK];
	struct plan plan;
	struct os *o;
	int error;

	error = os_open(&o);
	if (error != 0)
		goto out;
	ifname_port_mark(mark, c->daemon, c->vm, c->nic);
	v.text = mark;
	error = os_link_set(o, p->sp.index, OS_MARK, &v);
	if (error == 0)
		error = os_tap_direct(o, p->sp.index);
	/* The host would talk to the guest by it. */
	if (error == 0)
		error = os_link_set(o, p->sp.index, OS_LINKLOCAL, &v);
	if (error == 0) {
		plan_init(&plan);
		plan_port(&plan, p->sp.what, &p->sp.index, false, &fresh,
		    &p->sp.set, p->sp.set.master != 0 ?
		    &p->sp.set.master : NULL);
		error = plan_run(&plan, o, err, errlen);
		plan_free(&plan);
		os_close(o);
		return error;
	}
	os_close(o);
out:
	snprintf(err, errlen, "%s: %s", p->sp.what, strerror(-error));
	return error;
}

/* With nothing but memory, and no descriptor. */
static struct port *
port_alloc(const struct port_conf *c)
{
	struct port *p;
	struct port_queue *q;
	unsigned i;

	p = calloc(1, sizeof(*p) + c->nqueues * sizeof(p->queues[0]));
	if (p == NULL)
		return NULL;
	p->nic.ops = &port_ops;
	snprintf(p->sp.what, sizeof(p->sp.what), "vm %s: nic %u", c->vm,
	    c->nic);
	p->sp.set = c->set.master != 0 ? c->set : fresh;
	p->sp.link = port_link;
	p->sp.running = true;
	ifname_port(p->name, c->daemon, c->vm, c->nic);
	for (i = 0; i < PORT_DIRS; i++) {
		p->lanes[i].port = p;
		ev_init(&p->lanes[i].timer, lane_due);
		p->lanes[i].timer.data = &p->lanes[i];
	}
	ev_timer_init(&p->answer, answer_ready, 0., 0.);
	p->answer.data = p;
	ev_timer_init(&p->change, change_due, 0., 0.);
	p->change.data = p;
	p->inuse = 1;
	p->nqueues = c->nqueues;
	for (i = 0; i < c->nqueues; i++) {
		q = &p->queues[i];
		q->port = p;
		q->number = i;
		q->used = true;
	}
	return p;
}

/* Of these the first one is used. */
static int
port_open_queues(struct port *p, const int *fds)
{
	struct port_queue *q;
	unsigned i;
	int error = 0;

	for (i = 0; i < p->nqueues; i++) {
		q = &p->queues[i];
		q->fd = fds[i];
		ev_io_init(&q->readable, queue_readable, q->fd, EV_READ);
		ev_io_init(&q->writable, queue_writable, q->fd, EV_WRITE);
		q->readable.data = q->writable.data = q;
		if (i > 0 && error == 0)
			error = queue_use(q, false);
	}
	return error;
}

int
port_create(struct port **pp, const struct port_conf *c, char *err,
    size_t errlen)
{
	int fds[PORT_QUEUES], error;
	struct port *p;

	assert(c->nqueues >= 1 && c->nqueues <= PORT_QUEUES);
	p = port_alloc(c);
	if (p == NULL) {
		snprintf(err, errlen, "vm %s: nic %u: %s", c->vm, c->nic,
		    strerror(ENOMEM));
		return -ENOMEM;
	}
	error = os_tap_create(p->name, p->nqueues, fds, &p->sp.index);
	if (error != 0) {
		snprintf(err, errlen, "%s: interface %s: %s", p->sp.what,
		    p->name, error == -EBUSY ?
		    "File exists, and it is not ours" : strerror(-error));
		free(p);
		return error;
	}
	p->nic.offloads = os_tap_offloads(fds[0]);
	error = port_open_queues(p, fds);
	if (error != 0)
		snprintf(err, errlen, "%s: queues: %s", p->sp.what,
		    strerror(-error));
	else
		error = port_set_up(p, c, err, errlen);
	if (error != 0) {
		port_destroy(p);
		return error;
	}
	*pp = p;
	return 0;
}

void
port_destroy(struct port *p)
{
	unsigned i;

	if (p == NULL)
		return;
	assert(p->loop == NULL);
	for (i = 0; i < p->nqueues; i++)
		close(p->queues[i].fd);
	free(p);
}

struct nicport *
port_nic(struct port *p)
{
	return &p->nic;
}

const char *
port_name(const struct port *p)
{
	return p->name;
}

int
port_index(const struct port *p)
{
	return p->sp.index;
}

int
port_plug(struct port *p, struct loop *loop, struct switches *s,
    const char *name, char *err, size_t errlen)
{
	int error;

	assert(p->loop == NULL);
	error = switches_plug(s, &p->sp, name, err, errlen);
	if (error != 0)
		return error;
	p->loop = loop;
	p->switches = s;
	return 0;
}

int
port_move(struct port *p, const char *name, char *err, size_t errlen)
{
	return switches_move(p->switches, &p->sp, name, err, errlen);
}

void
port_unplug(struct port *p)
{
	assert(p->ops == NULL);
	switches_unplug(p->switches, &p->sp);
	port_forget_answers(p);
	ev_timer_stop(loop_ev(p->loop), &p->change);
	lane_stop(&p->lanes[PORT_SEND]);
	lane_stop(&p->lanes[PORT_RECV]);
	port_update(p);
	p->loop = NULL;
	p->switches = NULL;
	p->up = false;
}

void
port_set_filter(struct port *p, const struct port_filter *f)
{
	static const struct port_filter none;

	p->filter = f != NULL ? *f : none;
}

void
port_set_limit(struct port *p, enum port_dir dir,
    const struct bucket_limit *bytes, const struct bucket_limit *packets)
{
	struct port_lane *l = &p->lanes[dir];

	assert(p->loop != NULL);
	if (!l->limited)
		bucket_init(&l->bucket, bytes, packets, loop_now_ns());
	else
		bucket_set(&l->bucket, bytes, packets, loop_now_ns());
	l->limited = bytes->rate != 0 || packets->rate != 0;
	if (!l->limited)
		l->owed = l->packets = 0;
	/* It may be over sooner now. */
	lane_stop(l);
	port_update(p);
}

bool
port_is_up(const struct port *p)
{
	return p->up;
}

int
port_set_cable(struct port *p, bool in)
{
	int error;

	error = os_tap_carrier(p->queues[0].fd, in);
	/* That it is out shows at once, also in a move. */
	if (error == 0 && (p->loop == NULL || !in))
		p->sp.running = in;
	return error;
}

void
port_drain(struct port *p)
{
	uint8_t begin[NICPORT_HEADER + 1];
	unsigned i, left;

	for (i = 0; i < p->nqueues; i++) {
		left = PORT_DRAIN;
		/* The rest of a frame is gone with its beginning. */
		while (left-- > 0 && read(p->queues[i].fd, begin,
		    sizeof(begin)) > 0)
			continue;
	}
}

int
port_answer(struct port *p, const void *frame, size_t len)
{
	struct port_frame *f;

	if (len > PORT_ANSWER_MAX)
		return -EMSGSIZE;
	if (p->nanswers == PORT_ANSWERS || p->ops == NULL)
		return -ENOBUFS;
	f = malloc(sizeof(*f));
	if (f == NULL)
		return -ENOBUFS;
	f->len = len;
	memcpy(f->bytes, frame, len);
	p->answers[p->nanswers++] = f;
	queue_update(&p->queues[0]);
	return 0;
}

const struct port_counters *
port_counters(const struct port *p, enum port_dir dir)
{
	return &p->lanes[dir].counters;
}
